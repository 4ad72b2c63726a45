//! Axis numbers: `AXIS 0,-1`.
//!
//! ```text
//! axes = [ "(" ] [ integer { "," integer } [ "," ] ] [ ")" ]      () is no axis at all; empty text is refused
//! ```

use smallvec::SmallVec;

use super::super::error::{Error, Result};
use super::parse::Parser;

/// Reads axis numbers, as they stand: `0`, `0,-1`, `(0, 1)`. A number beyond 64 bits is the nearest that fits.
///
/// # Errors
/// `INDEX` with the column where the text is no list of integers, and `LIMIT` where it is too long.
pub fn parse_axes(text: &[u8]) -> Result<Vec<i64>> {
    if text.trim_ascii().is_empty() {
        return Err(Error::IndexSyntax { column: 1, what: "an axis is missing (as in 0 or 0,-1)".into() });
    }
    let mut axes = Vec::new();
    Parser::new(text)?.sequence("an axis", |p| {
        axes.push(p.integer()?);
        Ok(())
    })?;
    Ok(axes)
}

/// Axis numbers of an array of `ndim` dimensions, counted from the front and in ascending order.
///
/// # Errors
/// `INDEX` for an axis outside `-ndim` to `ndim - 1`, and for one that is named twice.
pub fn normalize_axes(axes: &[i64], ndim: usize) -> Result<SmallVec<[usize; 4]>> {
    let mut sorted = SmallVec::<[usize; 4]>::new();
    for &axis in axes {
        let from_front = match axis < 0 {
            true => usize::try_from(axis.unsigned_abs()).ok().and_then(|back| ndim.checked_sub(back)),
            false => usize::try_from(axis).ok().filter(|&a| a < ndim),
        };
        let found = from_front.ok_or(Error::Axis { axis, ndim })?;
        match sorted.binary_search(&found) {
            Ok(_) => return Err(Error::RepeatedAxis { axis: found }),
            Err(at) => sorted.insert(at, found), // at most ndim times
        }
    }
    Ok(sorted)
}
