//! The shortest decimal digits that read back to the same float of the same dtype.

use super::Dtype;
use crate::nd::scalar::{Number, Scalar};

/// At most seventeen digits identify a float64; this leaves room.
const MAX_DIGITS: usize = 20;

/// A finite float in decimal: `d.ddd` times ten to the exponent. Zero has the one digit `0` and exponent 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Digits {
    pub negative: bool,
    digits: [u8; MAX_DIGITS],
    len: usize,
    pub exponent: i32,
}

impl Digits {
    /// The shortest digits of `x`, a finite value of `dtype` (for complex: of one part).
    pub fn shortest(x: f64, dtype: Dtype) -> Digits {
        let mut buffer = zmij::Buffer::new();
        match dtype {
            // exact: x came from an f32
            Dtype::Float32 | Dtype::Complex64 => Digits::read(buffer.format_finite(x as f32)),
            Dtype::Float16 | Dtype::BFloat16 => {
                let scalar = Scalar::new(Number::Float(x), dtype).unwrap_or(Scalar::of(x));
                Digits::read(&scalar.short().to_string())
            }
            _ => Digits::read(buffer.format_finite(x)),
        }
    }

    /// ASCII digits, without a leading zero (except for zero itself) or trailing ones.
    pub fn digits(&self) -> &[u8] {
        &self.digits[..self.len]
    }

    /// Reads any layout of a decimal number: `-12.50`, `0.001`, `1.5e-7`, `1e+16`.
    fn read(text: &str) -> Digits {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let mut out = Digits { negative: false, digits: [b'0'; MAX_DIGITS], len: 0, exponent: 0 };
        let mut whole = 0i32; // digits before the point, less the zeros behind it that lead
        let mut in_fraction = false;
        for c in mantissa.bytes() {
            match c {
                b'-' => out.negative = true,
                b'.' => in_fraction = true,
                b'0' if out.len == 0 => whole -= i32::from(in_fraction),
                digit => {
                    if out.len < MAX_DIGITS {
                        out.digits[out.len] = digit;
                        out.len += 1;
                    }
                    whole += i32::from(!in_fraction);
                }
            }
        }
        if out.len == 0 {
            return Digits { len: 1, ..out };
        }
        while out.len > 1 && out.digits[out.len - 1] == b'0' {
            out.len -= 1;
        }
        out.exponent = whole - 1 + exponent;
        out
    }

    /// As Python's `repr` lays a float out: fixed from 1e-4 up to 1e16, scientific outside; whole numbers end in
    /// `whole`, which is `".0"` or nothing.
    pub fn push_repr(&self, out: &mut Vec<u8>, whole: &[u8]) {
        const ZEROS: [u8; 16] = [b'0'; 16];
        let digits = self.digits();
        if self.negative {
            out.push(b'-');
        }
        match self.exponent {
            -4..0 => {
                out.extend_from_slice(b"0.");
                out.extend_from_slice(&ZEROS[..self.exponent.unsigned_abs() as usize - 1]); // 0 to 3
                out.extend_from_slice(digits);
            }
            0..16 => {
                let before = self.exponent.unsigned_abs() as usize + 1; // 1 to 16
                match digits.split_at_checked(before) {
                    Some((before, after)) if !after.is_empty() => {
                        out.extend_from_slice(before);
                        out.push(b'.');
                        out.extend_from_slice(after);
                    }
                    _ => {
                        out.extend_from_slice(digits);
                        out.extend_from_slice(&ZEROS[..before - digits.len()]);
                        out.extend_from_slice(whole);
                    }
                }
            }
            exponent => {
                out.push(digits[0]);
                if digits.len() > 1 {
                    out.push(b'.');
                    out.extend_from_slice(&digits[1..]);
                }
                out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
                let exponent = exponent.unsigned_abs();
                if exponent < 10 {
                    out.push(b'0');
                }
                out.extend_from_slice(exponent.to_string().as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn repr(x: f64, dtype: Dtype) -> String {
        let mut out = Vec::new();
        Digits::shortest(x, dtype).push_repr(&mut out, b".0");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn zeros_and_extremes_are_laid_out_as_scalars_are() {
        for x in [
            0.0,
            -0.0,
            1.0,
            10.0,
            1e15,
            1e16,
            123456789.125,
            1e-4,
            1e-5,
            -0.5,
            f64::MAX,
            f64::MIN_POSITIVE,
            5e-324,
            9e22,
            1e23,
            2f64.powi(-1074),
            2f64.powi(70),
        ] {
            assert_eq!(repr(x, Dtype::Float64), Scalar::of(x).python().to_string());
        }
        for x in [f32::MAX, f32::MIN_POSITIVE, f32::from_bits(1), 0.1, 16777216.0, 1e10, 3.4e-38, 33554432.0, 8388608.5]
        {
            assert_eq!(repr(f64::from(x), Dtype::Float32), Scalar::of(x).python().to_string());
        }
    }

    proptest! {
        #[test]
        fn every_float_is_laid_out_as_scalars_are(bits: u64, power in -1074i32..1024) {
            let x = f64::from_bits(bits);
            if x.is_finite() {
                prop_assert_eq!(repr(x, Dtype::Float64), Scalar::of(x).python().to_string());
            }
            let x = 2f64.powi(power);
            prop_assert_eq!(repr(x, Dtype::Float64), Scalar::of(x).python().to_string());
            let x = f32::from_bits(bits as u32);
            if x.is_finite() {
                prop_assert_eq!(repr(f64::from(x), Dtype::Float32), Scalar::of(x).python().to_string());
            }
        }
    }
}
