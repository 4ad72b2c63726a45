//! The axes that a reduction runs over.

use crate::nd::error::{quoted, Error, Result};
use crate::nd::shape::MAX_NDIM;

/// A set of axes of an array of known rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxisSet(u64);

const _: () = assert!(MAX_NDIM <= 64, "a bit for every axis");

impl AxisSet {
    /// Every axis of an array of `ndim` dimensions (at most 64).
    pub fn all(ndim: usize) -> AxisSet {
        AxisSet((0..ndim.min(MAX_NDIM)).fold(0, |bits, axis| bits | 1 << axis))
    }

    /// The axes given; negative ones count from the end. An array without axes takes 0 or -1, as NumPy lends it one.
    ///
    /// # Errors
    /// `INDEX` for an axis outside the rank or named twice.
    pub fn new(axes: &[i64], ndim: usize) -> Result<AxisSet> {
        if ndim == 0 && matches!(axes, [0 | -1]) {
            return Ok(AxisSet(0)); // NumPy's reductions lend a scalar one axis
        }
        let mut bits = 0u64;
        for &axis in axes {
            let rank = ndim as i64; // at most 64
            let from_start = if axis < 0 { axis.saturating_add(rank) } else { axis };
            if !(0..rank).contains(&from_start) {
                return Err(Error::Axis { axis, ndim });
            }
            if bits & 1 << from_start != 0 {
                return Err(Error::RepeatedAxis { axis: from_start as usize }); // 0 to 63, by the check above
            }
            bits |= 1 << from_start;
        }
        Ok(AxisSet(bits))
    }

    /// Reads `0`, `-1`, `0,2`; `()` is no axis at all.
    ///
    /// # Errors
    /// `SYNTAX` for text that lists no integers, `INDEX` as [`AxisSet::new`].
    pub fn parse(text: &[u8], ndim: usize) -> Result<AxisSet> {
        let syntax = || Error::syntax(format!("'{}' lists no axes (write them as 0 or -1 or 0,2)", quoted(text)));
        if text.trim_ascii() == b"()" {
            return Ok(AxisSet(0));
        }
        let text = std::str::from_utf8(text).map_err(|_| syntax())?;
        let mut axes = [0i64; MAX_NDIM + 1];
        let mut count = 0;
        for part in text.split(',') {
            // one more than there can be is enough to be refused as repeated or out of bounds
            if count <= MAX_NDIM {
                axes[count] = part.trim_ascii().parse().map_err(|_| syntax())?;
                count += 1;
            }
        }
        AxisSet::new(&axes[..count], ndim)
    }

    /// Whether the set is every axis of an array of `ndim` dimensions.
    pub fn is_all(self, ndim: usize) -> bool {
        self == AxisSet::all(ndim)
    }

    /// Whether the set is one axis, or every axis of an array of `ndim` dimensions.
    pub fn is_one_or_all(self, ndim: usize) -> bool {
        self.0.count_ones() == 1 || self == AxisSet::all(ndim)
    }

    /// Whether the set has this axis, counted from 0.
    pub fn contains(self, axis: usize) -> bool {
        axis < MAX_NDIM && self.0 >> axis & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_read_as_numpy_counts_them() {
        let set = AxisSet::parse(b"0,-1", 3).unwrap();
        assert!(set.contains(0) && !set.contains(1) && set.contains(2) && !set.contains(3) && !set.contains(99));
        assert_eq!(AxisSet::parse(b"-3, 2", 3), AxisSet::new(&[0, 2], 3));
        assert_eq!(AxisSet::parse(b"()", 3), AxisSet::new(&[], 3));
        assert_eq!(AxisSet::all(64).0, u64::MAX);
        assert_eq!(AxisSet::all(0), AxisSet::new(&[], 0).unwrap());
    }

    #[test]
    fn err_axes_outside_the_rank_or_named_twice() {
        let text = |r: Result<AxisSet>| r.unwrap_err().to_string();
        assert_eq!(
            text(AxisSet::parse(b"3", 3)),
            "INDEX axis 3 is out of bounds for an array of 3 dimensions (use -3 to 2)"
        );
        assert_eq!(text(AxisSet::parse(b"1", 0)), "INDEX axis 1 is out of bounds for an array of 0 dimensions");
        assert!(AxisSet::parse(b"-1", 0).is_ok() && AxisSet::parse(b"0,-1", 0).is_err());
        assert_eq!(text(AxisSet::parse(b"1,-2", 3)), "INDEX axis 1 is named twice");
        assert_eq!(text(AxisSet::parse(b"x", 3)), "SYNTAX 'x' lists no axes (write them as 0 or -1 or 0,2)");
        for bad in ["", ",", "0,", "1.0", "9223372036854775808"] {
            assert!(AxisSet::parse(bad.as_bytes(), 3).is_err(), "{bad}");
        }
        assert!(AxisSet::new(&[i64::MIN], 3).is_err());
        assert!(AxisSet::parse(vec!["0"; 1000].join(",").as_bytes(), 64).is_err());
    }
}
