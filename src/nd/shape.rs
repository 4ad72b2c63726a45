//! Shapes: the lengths of an array's axes, with every product checked.

use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

use super::dtype::Dtype;
use super::error::{quoted, Error, Result};

/// An array has at most this many dimensions, as in NumPy 2.
pub const MAX_NDIM: usize = 64;

/// The largest length of an axis and the largest size of an array in bytes: what a signed 64-bit offset reaches.
pub const MAX_BYTES: usize = i64::MAX as usize;

/// The lengths of an array's axes, outermost first; dereferences to a slice. Rank 0 is a scalar.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(SmallVec<[usize; 4]>);

impl Shape {
    /// The shape of a scalar, `()`.
    pub fn scalar() -> Shape {
        Shape::default()
    }

    /// Checks a list of lengths against the rank limit.
    ///
    /// # Errors
    /// `SHAPE` above 64 dimensions.
    pub fn new(dims: &[usize]) -> Result<Shape> {
        if dims.len() > MAX_NDIM {
            return Err(Error::Rank { ndim: dims.len() });
        }
        Ok(Shape(SmallVec::from_slice(dims)))
    }

    /// Reads `3,4`, `5`, `()`, `(3,4)`, `(5,)`, `3x4`.
    ///
    /// # Errors
    /// `SHAPE` for anything else, negative lengths included, and for more than 64 dimensions.
    #[inline]
    pub fn parse(text: &[u8]) -> Result<Shape> {
        match Shape::parse_plain(text) {
            Some(shape) => Ok(shape), // what most clients send
            None => Shape::parse_lengths(text, None),
        }
    }

    /// Reads lengths of few digits with commas between, as in `3,4`; nothing else.
    #[inline]
    fn parse_plain(text: &[u8]) -> Option<Shape> {
        const DIGITS: usize = 9; // no length or text of so many overflows
        let mut dims = [0usize; 4];
        let (mut ndim, mut digits) = (0, 0);
        for &c in text {
            match c {
                b'0'..=b'9' if digits < DIGITS => {
                    dims[ndim] = dims[ndim] * 10 + usize::from(c - b'0');
                    digits += 1;
                }
                b',' if digits > 0 && ndim + 1 < dims.len() => (ndim, digits) = (ndim + 1, 0),
                _ => return None,
            }
        }
        (digits > 0).then(|| Shape(SmallVec::from_buf_and_len(dims, ndim + 1)))
    }

    /// [`Shape::parse`] of text that may have one `-1` where there is a place to say for which axis; its length is 1.
    fn parse_lengths(text: &[u8], mut open: Option<&mut Option<usize>>) -> Result<Shape> {
        let may_be_open = open.is_some();
        let syntax = || Error::ShapeSyntax { given: quoted(text), may_be_open };
        let mut inner = text.trim_ascii();
        let in_parentheses = inner.first() == Some(&b'(');
        if in_parentheses {
            inner = inner[1..].strip_suffix(b")").ok_or_else(syntax)?.trim_ascii();
            if inner.is_empty() {
                return Ok(Shape::scalar());
            }
            inner = inner.strip_suffix(b",").unwrap_or(inner);
        }
        let separator = if inner.contains(&b'x') { b'x' } else { b',' };
        let mut dims = SmallVec::new();
        let mut ndim = 0usize;
        for part in inner.split(|&c| c == separator) {
            let mut part = part.trim_ascii();
            if let (b"-1", Some(open @ None)) = (part, open.as_deref_mut()) {
                *open = Some(ndim);
                part = b"1";
            }
            if part.is_empty() || part.len() > 20 || !part.iter().all(u8::is_ascii_digit) {
                return Err(syntax());
            }
            let len = part.iter().fold(0u128, |n, &c| n * 10 + u128::from(c - b'0'));
            if len > MAX_BYTES as u128 {
                return Err(Error::Limit { what: "an axis", given: len, limit: MAX_BYTES as u128, unit: "elements" });
            }
            ndim += 1;
            if ndim <= MAX_NDIM {
                dims.push(len as usize); // at most i64::MAX, checked above
            }
        }
        if ndim > MAX_NDIM {
            return Err(Error::Rank { ndim });
        }
        Ok(Shape(dims))
    }

    /// How many axes.
    pub fn ndim(&self) -> usize {
        self.0.len()
    }

    /// How many elements: the product of the lengths, 1 for a scalar, `None` where it overflows.
    pub fn checked_size(&self) -> Option<usize> {
        if self.0.contains(&0) {
            return Some(0);
        }
        self.0.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
    }

    /// [`Shape::checked_size`], or `usize::MAX` where it overflows; for messages only.
    pub fn len_or_max(&self) -> usize {
        self.checked_size().unwrap_or(usize::MAX)
    }

    /// Elements and bytes of an array of this shape and dtype.
    ///
    /// As NumPy, refuses a product that overflows even where another axis is empty.
    ///
    /// # Errors
    /// `LIMIT` where the bytes do not fit a signed 64-bit number.
    #[inline]
    pub fn size_and_bytes(&self, dtype: Dtype) -> Result<(usize, usize)> {
        let (mut bytes, mut is_empty) = (dtype.itemsize(), false);
        for &d in &self.0 {
            is_empty |= d == 0;
            bytes = match bytes.checked_mul(d.max(1)) {
                Some(bytes) if bytes <= MAX_BYTES => bytes,
                _ => return Err(Error::TooManyElements { shape: self.clone(), dtype }),
            };
        }
        if is_empty {
            return Ok((0, 0));
        }
        Ok((bytes >> dtype.itemsize().trailing_zeros(), bytes)) // a power of two: no division
    }

    /// Steps between neighbours along each axis, in elements, of C-order storage.
    ///
    /// Only for shapes whose size was checked.
    pub fn c_strides(&self) -> SmallVec<[usize; 4]> {
        let mut strides = SmallVec::from_elem(0, self.ndim());
        let mut step = 1usize;
        for (s, &d) in strides.iter_mut().zip(&self.0).rev() {
            *s = step;
            step = step.saturating_mul(d.max(1));
        }
        strides
    }

    /// Appends an axis.
    ///
    /// # Errors
    /// `SHAPE` above 64 dimensions.
    pub fn push(&mut self, len: usize) -> Result<()> {
        if self.0.len() == MAX_NDIM {
            return Err(Error::Rank { ndim: MAX_NDIM + 1 });
        }
        self.0.push(len);
        Ok(())
    }

    /// The lengths, for changing in place.
    pub fn dims_mut(&mut self) -> &mut [usize] {
        &mut self.0
    }
}

/// A shape of which one length may be left open, as `-1`: what the size of an array makes it.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenShape {
    /// With 1 in the open place.
    shape: Shape,
    open: Option<usize>,
}

impl OpenShape {
    /// Reads what [`Shape::parse`] reads, and `-1` in at most one place.
    ///
    /// # Errors
    /// As [`Shape::parse`]; `SHAPE` for a second `-1`.
    pub fn parse(text: &[u8]) -> Result<OpenShape> {
        let mut open = None;
        let shape = Shape::parse_lengths(text, Some(&mut open))?;
        Ok(OpenShape { shape, open })
    }

    /// The shape for `size` elements. Whether a shape without an open length fits is not asked here.
    ///
    /// # Errors
    /// `SHAPE` where no length fits, or every one does, because another axis is empty.
    pub fn of_size(&self, size: usize) -> Result<Shape> {
        let Some(axis) = self.open else { return Ok(self.shape.clone()) };
        let others = self.shape.checked_size().unwrap_or(usize::MAX); // larger than any array's
        if others == 0 || !size.is_multiple_of(others) {
            return Err(Error::OpenShape { size, others });
        }
        let mut shape = self.shape.clone();
        shape.0[axis] = size / others;
        Ok(shape)
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    /// For shapes written in the source.
    fn from(dims: [usize; N]) -> Shape {
        const { assert!(N <= MAX_NDIM) };
        Shape(SmallVec::from_slice(&dims))
    }
}

/// As Python writes a tuple: `()`, `(5,)`, `(2, 3)`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, d) in self.0.iter().enumerate() {
            write!(f, "{}{d}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str(if self.0.len() == 1 { ",)" } else { ")" })
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ok_every_spelling() {
        for (text, dims) in [
            ("3,4", &[3, 4][..]),
            ("5", &[5]),
            ("()", &[]),
            ("( )", &[]),
            ("(3,4)", &[3, 4]),
            ("(5,)", &[5]),
            ("3x4", &[3, 4]),
            ("(3, 4)", &[3, 4]),
            ("0", &[0]),
            ("2,0,3", &[2, 0, 3]),
        ] {
            assert_eq!(&Shape::parse(text.as_bytes()).unwrap()[..], dims, "{text}");
        }
    }

    #[test]
    fn err_what_is_no_shape() {
        for bad in ["", ",", "3,", "-1", "3,-4", "(", "(3", "3)", "a", "1.5", "3,,4", "()()", "(,)", "3x", "+3", "1e3"]
        {
            assert!(matches!(Shape::parse(bad.as_bytes()), Err(Error::ShapeSyntax { .. })), "{bad}");
        }
        let many = vec!["1"; 65].join(",");
        assert_eq!(Shape::parse(many.as_bytes()), Err(Error::Rank { ndim: 65 }));
        let many = vec!["1"; 10_000].join(",");
        assert_eq!(Shape::parse(many.as_bytes()), Err(Error::Rank { ndim: 10_000 }));
        assert!(matches!(Shape::parse(b"99999999999999999999"), Err(Error::Limit { .. })));
        assert!(matches!(Shape::parse(b"999999999999999999999"), Err(Error::ShapeSyntax { .. })));
    }

    #[test]
    fn one_length_may_be_open() {
        for (text, size, dims) in [
            ("-1", 6, &[6][..]),
            ("2,-1", 6, &[2, 3]),
            ("(-1, 1, 3)", 6, &[2, 1, 3]),
            ("4,-1", 0, &[4, 0]),
            ("3x-1", 3, &[3, 1]),
            ("()", 7, &[]),
        ] {
            assert_eq!(&OpenShape::parse(text.as_bytes()).unwrap().of_size(size).unwrap()[..], dims, "{text}");
        }
        for bad in ["-1,-1", "-2", "--1", "-1.0", "", "+1"] {
            assert!(matches!(OpenShape::parse(bad.as_bytes()), Err(Error::ShapeSyntax { .. })), "{bad}");
        }
        for (text, size) in [("4,-1", 6), ("0,-1", 0), ("0,-1", 6), ("99999999999,99999999999,-1", 6)] {
            let error = OpenShape::parse(text.as_bytes()).unwrap().of_size(size);
            assert!(matches!(error, Err(Error::OpenShape { .. })), "{text}");
        }
    }

    #[test]
    fn products_that_overflow_are_refused_even_beside_an_empty_axis() {
        let huge = Shape::from([1 << 40, 1 << 40]);
        assert!(huge.size_and_bytes(Dtype::UInt8).is_err());
        let huge = Shape::from([0, 1 << 40, 1 << 40]);
        assert!(huge.size_and_bytes(Dtype::UInt8).is_err());
        assert_eq!(Shape::from([0, 1 << 40]).size_and_bytes(Dtype::Float64).unwrap(), (0, 0));
        assert_eq!(Shape::scalar().size_and_bytes(Dtype::Float64).unwrap(), (1, 8));
    }
}
