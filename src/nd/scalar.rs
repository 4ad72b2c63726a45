//! One value of any dtype, and numbers as text.
//!
//! A [`Number`] is wide enough for every element exactly; a [`Scalar`] is a number that its dtype holds. Text is read
//! as NumPy and Python write it, and written in the shortest form that reads back to the same value of the same dtype.

use std::fmt;

use half::{bf16, f16};
use num_complex::{Complex, Complex32, Complex64};

use super::digits::Digits;
use super::dtype::{dispatch, Bool8, Dtype, Element, Kind};
use super::error::{quoted, Error, Result};
use super::rounding::{f32_to_f16, f64_to_bf16, f64_to_f16, i128_to_bf16};

/// A number of any kind, exact for every dtype.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// `true` or `false`
    Bool(bool),
    /// An integer; wide enough for int64 and uint64.
    Int(i128),
    /// A real number; wide enough for every float dtype.
    Float(f64),
    /// A complex number.
    Complex(Complex64),
}

/// A number that its dtype holds exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scalar {
    dtype: Dtype,
    number: Number,
}

/// Reading and writing one element as a [`Number`]; all conversions of single values go through here.
pub trait ScalarElement: Element {
    /// The element, widened exactly.
    fn to_number(self) -> Number;
    /// The number as this type, or `None` where it cannot be held (an integer out of range, a fraction for an integer
    /// type, an imaginary part for a real one). Floats round to the nearest value, as NumPy rounds.
    fn from_number(n: Number) -> Option<Self>;
}

macro_rules! integers {
    ($($t:ty)*) => {$(
        impl ScalarElement for $t {
            fn to_number(self) -> Number {
                Number::Int(i128::from(self))
            }
            fn from_number(n: Number) -> Option<$t> {
                match n {
                    Number::Bool(b) => Some(<$t>::from(b)),
                    Number::Int(i) => <$t>::try_from(i).ok(),
                    // `as` saturates; the range check below keeps only whole numbers that i128 holds exactly
                    Number::Float(x) if x.fract() == 0.0 && x.abs() < 1e30 => <$t>::try_from(x as i128).ok(),
                    Number::Float(_) | Number::Complex(_) => None,
                }
            }
        }
    )*};
}
integers!(i8 i16 i32 i64 u8 u16 u32 u64);

macro_rules! floats {
    ($($t:ty, $from_f64:expr, $from_int:expr, $to_f64:expr;)*) => {$(
        impl ScalarElement for $t {
            fn to_number(self) -> Number {
                Number::Float($to_f64(self))
            }
            fn from_number(n: Number) -> Option<$t> {
                match n {
                    Number::Bool(b) => Some($from_f64(f64::from(u8::from(b)))),
                    Number::Int(i) => Some($from_int(i)),
                    Number::Float(x) => Some($from_f64(x)),
                    Number::Complex(_) => None,
                }
            }
        }
    )*};
}
// Each rounds once, to nearest. An integer that float32 does not hold is above 2^24, where float16 is infinite anyway.
floats! {
    f16, f64_to_f16, |i| f32_to_f16(i as f32), f64::from;
    bf16, f64_to_bf16, i128_to_bf16, f64::from;
    f32, |x| x as f32, |i| i as f32, f64::from;
    f64, |x| x, |i| i as f64, |x| x;
}

impl ScalarElement for Bool8 {
    fn to_number(self) -> Number {
        Number::Bool(self.get())
    }
    fn from_number(n: Number) -> Option<Bool8> {
        match n {
            Number::Bool(b) => Some(b.into()),
            Number::Int(0) => Some(Bool8(0)),
            Number::Int(1) => Some(Bool8(1)),
            Number::Float(0.0) => Some(Bool8(0)),
            Number::Float(1.0) => Some(Bool8(1)),
            _ => None,
        }
    }
}

macro_rules! complexes {
    ($($t:ty, $part:ty;)*) => {$(
        impl ScalarElement for $t {
            fn to_number(self) -> Number {
                Number::Complex(Complex::new(f64::from(self.re), f64::from(self.im)))
            }
            fn from_number(n: Number) -> Option<$t> {
                match n {
                    Number::Complex(c) => Some(Complex::new(c.re as $part, c.im as $part)),
                    real => <$part>::from_number(real).map(|re| Complex::new(re, 0.0)),
                }
            }
        }
    )*};
}
complexes! { Complex32, f32; Complex64, f64; }

impl Number {
    /// Whether it is NaN, or complex with a part that is.
    pub fn is_nan(self) -> bool {
        match self {
            Number::Float(x) => x.is_nan(),
            Number::Complex(c) => c.re.is_nan() || c.im.is_nan(),
            Number::Bool(_) | Number::Int(_) => false,
        }
    }

    /// Reads a number: digits, `nan`, `inf`, `-inf`, `infinity`, `true`, `false`, `1+2j`, `2j`, `(1+2j)`; any case.
    ///
    /// # Errors
    /// `VALUE` for any other text.
    pub fn parse(text: &[u8]) -> Result<Number> {
        let bad = || Error::NotANumber { given: quoted(text) };
        let trimmed = std::str::from_utf8(text.trim_ascii()).map_err(|_| bad())?;
        if trimmed.len() > 1_000 {
            return Err(bad());
        }
        parse_real(trimmed).or_else(|| parse_complex(trimmed)).ok_or_else(bad)
    }
}

/// An integer, a float or a word.
fn parse_real(s: &str) -> Option<Number> {
    let digits = s.strip_prefix(['+', '-']).unwrap_or(s);
    if !digits.is_empty() && digits.len() <= 38 && digits.bytes().all(|c| c.is_ascii_digit()) {
        return s.parse().ok().map(Number::Int);
    }
    if s.eq_ignore_ascii_case("true") {
        return Some(Number::Bool(true));
    }
    if s.eq_ignore_ascii_case("false") {
        return Some(Number::Bool(false));
    }
    // Rust reads nan, inf and infinity of any case, and the decimal forms that Python reads too.
    s.parse().ok().map(Number::Float)
}

/// `1+2j`, `-2.5e-3j`, `(1-2j)`, `nan+infj`.
fn parse_complex(s: &str) -> Option<Number> {
    let s = s.strip_prefix('(').map_or(Some(s), |t| t.strip_suffix(')'))?;
    let Some(body) = s.strip_suffix(['j', 'J']) else {
        return parse_real(s).and_then(Number::as_f64).map(|re| Number::Complex(Complex::new(re, 0.0)));
    };
    // The sign between the parts: the last one that does not belong to an exponent.
    let bytes = body.as_bytes();
    let split =
        (1..bytes.len()).rev().find(|&i| matches!(bytes[i], b'+' | b'-') && !matches!(bytes[i - 1], b'e' | b'E'));
    let (re, im) = match split {
        Some(i) => (body[..i].parse().ok()?, &body[i..]),
        None => (0.0, body),
    };
    let im = match im {
        "" | "+" => 1.0,
        "-" => -1.0,
        other => other.parse().ok()?,
    };
    Some(Number::Complex(Complex::new(re, im)))
}

impl Number {
    /// A real number as a float; `None` for a complex one.
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Number::Bool(b) => Some(f64::from(u8::from(b))),
            Number::Int(i) => Some(i as f64),
            Number::Float(x) => Some(x),
            Number::Complex(_) => None,
        }
    }
}

impl Scalar {
    /// A scalar of type `T`.
    pub fn of<T: ScalarElement>(value: T) -> Scalar {
        Scalar { dtype: T::DTYPE, number: value.to_number() }
    }

    /// A number as a scalar of `dtype`: floats round to nearest, integers must fit.
    ///
    /// # Errors
    /// `VALUE` where the dtype cannot hold the number.
    pub fn new(number: Number, dtype: Dtype) -> Result<Scalar> {
        dispatch!(dtype, T => T::from_number(number).map(Scalar::of))
            .ok_or_else(|| Error::OutOfRange { given: Python(number, Dtype::Complex128).to_string(), dtype })
    }

    /// Reads text as a value of `dtype`.
    ///
    /// # Errors
    /// `VALUE` where the text is no number or the dtype cannot hold it.
    pub fn parse(text: &[u8], dtype: Dtype) -> Result<Scalar> {
        let number = match Number::parse(text)? {
            // An integer has no sign of zero; the float that was written so has.
            Number::Int(0) if dtype.is_inexact() && text.trim_ascii().starts_with(b"-") => Number::Float(-0.0),
            number => number,
        };
        Scalar::new(number, dtype)
    }

    /// Zero (or false) of `dtype`.
    pub fn zero(dtype: Dtype) -> Scalar {
        dispatch!(dtype, T => Scalar::of(T::default()))
    }

    /// The scalar stored in the first bytes of `bytes`, little-endian.
    ///
    /// # Panics
    /// Where `bytes` is shorter than one element: a bug in the caller.
    pub fn from_le_bytes(dtype: Dtype, bytes: &[u8]) -> Scalar {
        dispatch!(dtype, T => Scalar::of(bytemuck::pod_read_unaligned::<T>(&bytes[..std::mem::size_of::<T>()])))
    }

    /// Its dtype.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Its value.
    pub fn number(&self) -> Number {
        self.number
    }

    /// The element's bytes, little-endian; the first `itemsize` of the sixteen count.
    pub fn to_le_bytes(self) -> [u8; 16] {
        let mut out = [0; 16];
        dispatch!(self.dtype, T => {
            let value = T::from_number(self.number).expect("a scalar holds a number of its dtype");
            out[..std::mem::size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&value));
        });
        out
    }

    /// As a RESP2 client reads it: `3`, `0.1`, `1e-07`, `nan`, `inf`; whole floats without a point.
    pub fn short(&self) -> impl fmt::Display {
        Short(self.number, self.dtype)
    }

    /// As Python writes it: `3.0`, `0.1`, `1e-07`, `nan`, `True`, `(1+2j)`.
    pub fn python(&self) -> impl fmt::Display {
        Python(self.number, self.dtype)
    }

    /// As Python's `json` module writes it: `3.0`, `NaN`, `Infinity`, `true`; complex as `"1+2j"` without quotes.
    pub fn json(&self) -> impl fmt::Display {
        Json(self.number, self.dtype)
    }
}

/// The shortest digits, laid out as Python's `repr` does; whole floats with `.0` where `point`.
fn write_float(f: &mut fmt::Formatter<'_>, x: f64, dtype: Dtype, point: bool) -> fmt::Result {
    if x.is_nan() {
        return f.write_str("nan");
    }
    if x.is_infinite() {
        return f.write_str(if x > 0.0 { "inf" } else { "-inf" });
    }
    let mut text = Vec::with_capacity(32);
    Digits::shortest(x, dtype).push_repr(&mut text, if point { b".0" } else { b"" });
    f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
}

fn write_complex(f: &mut fmt::Formatter<'_>, c: Complex64, dtype: Dtype) -> fmt::Result {
    write_float(f, c.re, dtype, false)?;
    if c.im.is_sign_positive() || c.im.is_nan() {
        f.write_str("+")?;
    }
    write_float(f, c.im, dtype, false)?;
    f.write_str("j")
}

struct Short(Number, Dtype);
struct Python(Number, Dtype);
struct Json(Number, Dtype);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Number::Bool(b) => write!(f, "{}", u8::from(b)),
            Number::Int(i) => write!(f, "{i}"),
            Number::Float(x) => write_float(f, x, self.1, false),
            Number::Complex(c) => write_complex(f, c, self.1),
        }
    }
}

impl fmt::Display for Python {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Number::Bool(b) => f.write_str(if b { "True" } else { "False" }),
            Number::Int(i) => write!(f, "{i}"),
            Number::Float(x) => write_float(f, x, self.1, true),
            Number::Complex(c) => {
                f.write_str("(")?;
                write_complex(f, c, self.1)?;
                f.write_str(")")
            }
        }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Number::Bool(b) => f.write_str(if b { "true" } else { "false" }),
            Number::Int(i) => write!(f, "{i}"),
            Number::Float(x) if x.is_nan() => f.write_str("NaN"),
            Number::Float(x) if x.is_infinite() => f.write_str(if x > 0.0 { "Infinity" } else { "-Infinity" }),
            Number::Float(x) => write_float(f, x, self.1, true),
            Number::Complex(c) => write_complex(f, c, self.1),
        }
    }
}

/// The kind a number's text suggests, as `numpy.array` would infer: bool, int64 (uint64 where only that holds it),
/// float64 or complex128.
pub fn natural_dtype(n: Number) -> Option<Dtype> {
    match n {
        Number::Bool(_) => Some(Dtype::Bool),
        Number::Int(i) if i64::try_from(i).is_ok() => Some(Dtype::Int64),
        Number::Int(i) if u64::try_from(i).is_ok() => Some(Dtype::UInt64),
        Number::Int(_) => None,
        Number::Float(_) => Some(Dtype::Float64),
        Number::Complex(_) => Some(Dtype::Complex128),
    }
}

/// Whether a number of this kind is written without a point.
pub fn is_whole_kind(kind: Kind) -> bool {
    matches!(kind, Kind::Bool | Kind::Signed | Kind::Unsigned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn c(re: f64, im: f64) -> Number {
        Number::Complex(Complex::new(re, im))
    }

    #[test]
    fn ok_numbers() {
        for (text, want) in [
            ("1", Number::Int(1)),
            ("-0", Number::Int(0)),
            ("+7", Number::Int(7)),
            ("1.5", Number::Float(1.5)),
            ("1e3", Number::Float(1000.0)),
            ("inf", Number::Float(f64::INFINITY)),
            ("-Infinity", Number::Float(f64::NEG_INFINITY)),
            ("True", Number::Bool(true)),
            ("1+2j", c(1.0, 2.0)),
            ("1-2j", c(1.0, -2.0)),
            ("-1e-3-2.5e+4j", c(-1e-3, -2.5e4)),
            ("2j", c(0.0, 2.0)),
            ("-j", c(0.0, -1.0)),
            ("(1+2J)", c(1.0, 2.0)),
            ("inf-infj", c(f64::INFINITY, f64::NEG_INFINITY)),
        ] {
            assert_eq!(Number::parse(text.as_bytes()).unwrap(), want, "{text}");
        }
        assert!(matches!(Number::parse(b"NaN").unwrap(), Number::Float(x) if x.is_nan()));
    }

    #[test]
    fn err_text_that_is_no_number() {
        for bad in ["", " ", "x", "1,2", "0x10", "1_000", "--1", "1+j2", "(1", "1)", "tru", "1 2", "e5", "\u{663}"] {
            assert!(Number::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn integers_that_do_not_fit_are_refused_not_wrapped() {
        for (text, d) in [
            ("256", Dtype::UInt8),
            ("-1", Dtype::UInt64),
            ("128", Dtype::Int8),
            ("9223372036854775808", Dtype::Int64),
            ("18446744073709551616", Dtype::UInt64),
            ("1.5", Dtype::Int32),
            ("nan", Dtype::Int32),
            ("2", Dtype::Bool),
            ("1+2j", Dtype::Float64),
        ] {
            assert!(matches!(Scalar::parse(text.as_bytes(), d), Err(Error::OutOfRange { .. })), "{text} {d}");
        }
        assert_eq!(
            Scalar::parse(b"18446744073709551615", Dtype::UInt64).unwrap().number(),
            Number::Int(u64::MAX.into())
        );
        assert_eq!(Scalar::parse(b"1e3", Dtype::Int32).unwrap().number(), Number::Int(1000));
    }

    #[test]
    fn floats_are_written_shortest_and_as_python_writes_them() {
        for (x, want) in [
            (0.1, "0.1"),
            (3.0, "3.0"),
            (-0.0, "-0.0"),
            (1e16, "1e+16"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (9999999999999998.0, "9999999999999998.0"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1.5e300, "1.5e+300"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(Scalar::of(x).python().to_string(), want);
        }
        assert_eq!(Scalar::of(0.1f32).python().to_string(), "0.1");
        assert_eq!(Scalar::of(f16::from_f64(0.1)).python().to_string(), "0.1");
        assert_eq!(Scalar::of(f16::from_f64(65504.0)).short().to_string(), "65500");
        assert_eq!(Scalar::of(f16::from_f64(0.015625)).python().to_string(), "0.01563");
        assert_eq!(Scalar::of(bf16::from_f64(3.140625)).short().to_string(), "3.14");
        assert_eq!(Scalar::of(3.0).short().to_string(), "3");
        assert_eq!(Scalar::of(Complex64::new(1.0, -2.5)).python().to_string(), "(1-2.5j)");
        assert_eq!(Scalar::of(f64::NAN).json().to_string(), "NaN");
    }

    #[test]
    fn the_sign_of_zero_is_read_where_the_dtype_has_one() {
        for dtype in [Dtype::Float16, Dtype::BFloat16, Dtype::Float32, Dtype::Float64] {
            let zero = Scalar::parse(b"-0", dtype).unwrap();
            assert_eq!(zero.short().to_string(), "-0");
            assert_eq!(Scalar::parse(b"0", dtype).unwrap().short().to_string(), "0");
        }
        assert_eq!(Scalar::parse(b"-0", Dtype::Complex64).unwrap().to_le_bytes()[..8], [0, 0, 0, 0x80, 0, 0, 0, 0]);
        assert_eq!(Scalar::parse(b"-0", Dtype::UInt8).unwrap().number(), Number::Int(0));
    }

    #[test]
    fn every_16_bit_float_reads_back_from_its_text() {
        for bits in 0..=u16::MAX {
            let h = f16::from_bits(bits);
            if !h.is_nan() {
                let text = Scalar::of(h).short().to_string();
                let back = Scalar::parse(text.as_bytes(), Dtype::Float16).unwrap();
                assert_eq!(back.number(), h.to_number(), "{text}");
            }
            let b = bf16::from_bits(bits);
            if !b.is_nan() {
                let text = Scalar::of(b).short().to_string();
                let back = Scalar::parse(text.as_bytes(), Dtype::BFloat16).unwrap();
                assert_eq!(back.number(), b.to_number(), "{text}");
            }
        }
    }
}
