//! The shortest decimal digits that read back to the same float of the same dtype, laid out as Python lays them out.
//!
//! Of several shortest decimals the one nearest to the float is taken, and of two as near the even one, as Python and NumPy
//! do: 2^-25 is 2.9802322387695312e-08. (Rust's own formatting writes ...313.)

use super::dtype::Dtype;
use super::rounding::{f64_to_bf16, f64_to_f16};

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
            Dtype::Float16 if x != 0.0 => Digits::shortest_f16(x),
            Dtype::BFloat16 => Digits::read(&shortest_by_trial(x)),
            _ => Digits::read(buffer.format_finite(x)),
        }
    }

    /// Tries one digit after another, in arithmetic: with at most five digits and powers of ten up to 13, every product
    /// and quotient here is exact or correctly rounded.
    fn shortest_f16(x: f64) -> Digits {
        let magnitude = x.abs();
        let mut exponent = -8; // the smallest float16 is 6e-8
        while exponent < 4 && power_of_ten(exponent + 1) <= magnitude {
            exponent += 1;
        }
        let reads_back = |places: i32, n: u32| {
            let scale = power_of_ten(places.abs());
            let value = if places < 0 { f64::from(n) * scale } else { f64::from(n) / scale };
            f64::from(f64_to_f16(value)) == magnitude
        };
        for digits in 0..=5 {
            let places = digits - exponent;
            let scale = power_of_ten(places.abs());
            let scaled = if places < 0 { magnitude / scale } else { magnitude * scale };
            let nearest = scaled.round_ties_even() as u32; // at most 1,000,000
            if let Some(n) = [nearest, nearest + 1].into_iter().find(|&n| reads_back(places, n)) {
                let mut out = Digits::read(zmij::Buffer::new().format_finite(f64::from(n)));
                out.exponent -= places;
                out.negative = x.is_sign_negative();
                return out;
            }
        }
        Digits::read(zmij::Buffer::new().format_finite(x))
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

/// Tries one digit after another until the text reads back as a bfloat16; at most five are needed.
///
/// Where the nearest decimal does not read back, the next one up may: above a power of two the floats lie twice as far
/// apart as below it.
fn shortest_by_trial(x: f64) -> String {
    let reads_back = |s: &String| s.parse().is_ok_and(|y| f64::from(f64_to_bf16(y)) == x);
    let candidates = |digits: usize| {
        let nearest = format!("{x:.digits$e}");
        let up = next_up(&nearest);
        [Some(nearest), up].into_iter().flatten()
    };
    (0..=5).flat_map(candidates).find(reads_back).unwrap_or_else(|| format!("{x:e}"))
}

/// A decimal in exponential form with its last digit one up; `None` where that carries.
fn next_up(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once('e')?;
    let last = mantissa.chars().last()?.to_digit(10).filter(|&d| d < 9)?;
    let head = &mantissa[..mantissa.len() - 1];
    Some(format!("{head}{}e{exponent}", last + 1))
}

/// Ten to a power from -13 to 13: exact from 0 on, correctly rounded below.
fn power_of_ten(power: i32) -> f64 {
    const POWERS: [f64; 14] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13];
    let positive = POWERS.get(power.unsigned_abs() as usize).copied().unwrap_or(f64::INFINITY);
    if power < 0 {
        1.0 / positive
    } else {
        positive
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
    fn floats_are_laid_out_as_python_lays_them_out() {
        for (x, want) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (10.0, "10.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (123456789.125, "123456789.125"),
            (0.0001, "0.0001"),
            (-0.00012, "-0.00012"),
            (0.00001, "1e-05"),
            (1e23, "1e+23"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (2f64.powi(-25), "2.9802322387695312e-08"),
            (2f64.powi(-44), "5.684341886080802e-14"),
            (9007199254740993.0, "9007199254740992.0"),
        ] {
            assert_eq!(repr(x, Dtype::Float64), want);
        }
        for (x, want) in
            [(f32::MAX, "3.4028235e+38"), (f32::from_bits(1), "1e-45"), (0.1, "0.1"), (16777216.0, "16777216.0")]
        {
            assert_eq!(repr(x.into(), Dtype::Float32), want);
        }
        for (x, want) in [(0.015625, "0.01563"), (65504.0, "65500.0"), (5.960464477539063e-08, "6e-08"), (0.1, "0.1")] {
            assert_eq!(repr(f64_to_f16(x).into(), Dtype::Float16), want);
        }
    }

    /// Digits of the shortest text by Rust's own formatting, which differs at most in the last one.
    fn len_in_rust(text: &str) -> usize {
        text.split('e').next().unwrap().bytes().filter(u8::is_ascii_digit).count()
    }

    proptest! {
        #[test]
        fn texts_read_back_and_none_is_shorter(bits: u64, power in -1074i32..1024) {
            for x in [f64::from_bits(bits), 2f64.powi(power)] {
                if x.is_finite() {
                    prop_assert_eq!(repr(x, Dtype::Float64).parse::<f64>().unwrap().to_bits(), x.to_bits());
                    prop_assert_eq!(Digits::shortest(x, Dtype::Float64).digits().len(), len_in_rust(&format!("{x:e}")));
                }
            }
            let x = f32::from_bits(bits as u32);
            if x.is_finite() {
                prop_assert_eq!(repr(x.into(), Dtype::Float32).parse::<f32>().unwrap().to_bits(), x.to_bits());
                prop_assert_eq!(Digits::shortest(x.into(), Dtype::Float32).digits().len(), len_in_rust(&format!("{x:e}")));
            }
        }
    }
}
