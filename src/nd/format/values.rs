//! A flat list of numbers as text, one string each: `VALUES 1 2.5 nan`.
//!
//! The rules are those of [`Scalar::parse`]; plain integers and decimals take a short way to the same result.

use super::{reserve, Dense, Elements};
use crate::nd::dtype::{dispatch, Dtype};
use crate::nd::error::{Error, Result};
use crate::nd::scalar::{Scalar, ScalarElement};
use crate::nd::shape::Shape;

/// Reads as many numbers as `shape` holds.
///
/// # Errors
/// `SHAPE` where the count differs; `VALUE`, naming which value (from 1), where one is no number or does not fit.
pub fn read(dtype: Dtype, shape: &Shape, values: &mut dyn ExactSizeIterator<Item = &[u8]>) -> Result<Dense<'static>> {
    let (size, bytes) = shape.size_and_bytes(dtype)?;
    if values.len() != size {
        return Err(Error::ElementCount { shape: shape.clone(), given: values.len() });
    }
    let mut out = reserve(bytes)?;
    for (i, value) in values.enumerate().take(size) {
        push(dtype, value, &mut out).map_err(|e| numbered(i + 1, &e))?;
    }
    if out.len() != bytes {
        return Err(Error::ElementCount { shape: shape.clone(), given: out.len() / dtype.itemsize() });
    }
    Ok(Dense { dtype, shape: shape.clone(), elements: Elements::Owned(out) })
}

/// The same refusal, saying which value it is about.
fn numbered(place: usize, e: &Error) -> Error {
    let text = e.to_string();
    let sentence = text.strip_prefix("VALUE ").unwrap_or(&text);
    Error::value(format!("value {place}: {sentence}"))
}

/// Appends one number's little-endian bytes.
pub(super) fn push(dtype: Dtype, text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    dispatch!(dtype, T => {
        if let Some(value) = plain_integer(text).and_then(T::from_plain_integer) {
            out.extend_from_slice(bytemuck::bytes_of(&value));
            return Ok(());
        }
        if dtype.is_inexact() {
            if let Some(value) = plain_decimal(text).and_then(T::from_plain_decimal) {
                out.extend_from_slice(bytemuck::bytes_of(&value));
                return Ok(());
            }
        }
    });
    let bytes = Scalar::parse(text, dtype)?.to_le_bytes();
    out.extend_from_slice(&bytes[..dtype.itemsize()]);
    Ok(())
}

/// Up to fifteen digits with an optional minus sign: exact as an i64 and as an f64. Not `-0`, whose sign an i64 loses.
fn plain_integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let n = digits.iter().fold(0i64, |n, &c| n * 10 + i64::from(c - b'0'));
    match digits.len() == text.len() {
        true => Some(n),
        false if n == 0 => None,
        false => Some(-n),
    }
}

/// Digits, points, signs and exponents that Rust reads as a float: the same grammar, and the same value, as Python's.
fn plain_decimal(text: &[u8]) -> Option<f64> {
    let plain = |c: &u8| matches!(c, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
    // An integer without a point takes the long way, which rounds it as an integer.
    if text.len() > 64 || !text.iter().all(plain) || !text.iter().any(|c| matches!(c, b'.' | b'e' | b'E')) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The short ways, for the types that have one.
trait Plain: ScalarElement {
    fn from_plain_integer(n: i64) -> Option<Self> {
        Self::from_number(crate::nd::scalar::Number::Int(n.into()))
    }
    fn from_plain_decimal(x: f64) -> Option<Self> {
        Self::from_number(crate::nd::scalar::Number::Float(x))
    }
}

impl<T: ScalarElement> Plain for T {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(dtype: Dtype, shape: Shape, values: &[&str]) -> Result<Vec<u8>> {
        let values: Vec<&[u8]> = values.iter().map(|v| v.as_bytes()).collect();
        read(dtype, &shape, &mut values.iter().copied())?.elements.into_vec()
    }

    #[test]
    fn ok_values_of_every_kind() {
        assert_eq!(
            read_all(Dtype::Int16, Shape::from([2, 2]), &["1", "-2", "3", "0"]).unwrap(),
            [1, 0, 254, 255, 3, 0, 0, 0]
        );
        assert_eq!(read_all(Dtype::Bool, Shape::from([3]), &["true", "0", "True"]).unwrap(), [1, 0, 1]);
        assert_eq!(read_all(Dtype::Float32, Shape::scalar(), &["-1.5"]).unwrap(), (-1.5f32).to_le_bytes());
        assert_eq!(read_all(Dtype::Complex64, Shape::scalar(), &["2j"]).unwrap(), [0, 0, 0, 0, 0, 0, 0, 64]);
        assert!(read_all(Dtype::Float64, Shape::from([0, 3]), &[]).unwrap().is_empty());
    }

    #[test]
    fn err_says_which_value_from_one() {
        let text = |r: Result<Vec<u8>>| r.unwrap_err().to_string();
        assert_eq!(
            text(read_all(Dtype::UInt8, Shape::from([3]), &["1", "256", "x"])),
            "VALUE value 2: 256 cannot be held by uint8 (use an integer from 0 to 255)"
        );
        assert!(text(read_all(Dtype::Float64, Shape::from([3]), &["1", "2", "x"]))
            .starts_with("VALUE value 3: 'x' is not a number"));
        assert_eq!(text(read_all(Dtype::Int8, Shape::from([3]), &["1"])), "SHAPE shape (3,) holds 3 elements, 1 given");
        assert_eq!(text(read_all(Dtype::Int8, Shape::scalar(), &[])), "SHAPE shape () holds 1 elements, 0 given");
    }

    proptest! {
        #[test]
        fn the_short_ways_agree_with_the_long_one(
            text in prop_oneof!["-?[0-9]{1,20}", "[-+]?[0-9]{0,18}\\.?[0-9]{0,18}([eE][-+]?[0-9]{1,3})?", "[-+a-z0-9.]{0,5}"],
            dtype in prop::sample::select(Dtype::ALL),
        ) {
            let long = Scalar::parse(text.as_bytes(), dtype).map(|s| s.to_le_bytes()[..dtype.itemsize()].to_vec());
            let mut out = Vec::new();
            let short = push(dtype, text.as_bytes(), &mut out).map(|()| out);
            prop_assert_eq!(short, long);
        }
    }
}
