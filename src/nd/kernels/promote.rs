//! Which casts a rule allows, and the dtype in which two arrays meet: `numpy.can_cast` and `numpy.promote_types`.
//!
//! NumPy knows no bfloat16. It is placed by the same reasoning as float16: `bool`, `int8` and `uint8` fit it exactly, it
//! fits `float32`, `float64` and the complex dtypes exactly; neither 16-bit float fits the other, and the two meet in
//! float32. Wider integers and bfloat16 meet where float16 and they would: `int16` in float32, `int32` in float64.

use std::fmt;

use crate::nd::dtype::{Dtype, Kind};
use crate::nd::error::{quoted, Error, Result};

/// How much a cast may lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Casting {
    /// Only casts that keep every value (as NumPy, integers of 64 bits count as kept by float64).
    Safe,
    /// Safe casts, and those within a kind or to a later one: float64 to float32, int64 to int8.
    SameKind,
    /// Every cast.
    Unsafe,
}

impl Casting {
    /// NumPy's name of the rule.
    pub const fn name(self) -> &'static str {
        match self {
            Casting::Safe => "safe",
            Casting::SameKind => "same_kind",
            Casting::Unsafe => "unsafe",
        }
    }

    /// Reads a rule's name, any case.
    ///
    /// # Errors
    /// `SYNTAX` for any other word.
    pub fn parse(text: &[u8]) -> Result<Casting> {
        [Casting::Safe, Casting::SameKind, Casting::Unsafe]
            .into_iter()
            .find(|c| text.eq_ignore_ascii_case(c.name().as_bytes()))
            .ok_or_else(|| {
                Error::syntax(format!("unknown casting rule '{}' (use safe, same_kind or unsafe)", quoted(text)))
            })
    }
}

impl fmt::Display for Casting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether `rule` allows a cast.
pub fn can_cast(from: Dtype, to: Dtype, rule: Casting) -> bool {
    match rule {
        Casting::Safe => is_safe(from, to),
        Casting::SameKind => is_safe(from, to) || from.kind() <= to.kind(),
        Casting::Unsafe => true,
    }
}

/// Refuses a cast that `rule` does not allow.
///
/// # Errors
/// `DTYPE` naming both dtypes and the rule.
pub fn check_cast(from: Dtype, to: Dtype, rule: Casting) -> Result<()> {
    if can_cast(from, to, rule) {
        Ok(())
    } else {
        Err(Error::Cast { from, to, rule: rule.name() })
    }
}

fn is_safe(from: Dtype, to: Dtype) -> bool {
    use Kind::*;
    let (size, room) = (from.number_size(), to.number_size());
    match (from.kind(), to.kind()) {
        _ if from == to => true,
        (Bool, _) => true,
        (_, Bool) => false,
        (Unsigned, Unsigned) | (Signed, Signed) => size <= room,
        (Unsigned, Signed) => size < room,
        (Signed, Unsigned) => false,
        // float64 takes every integer: NumPy's one concession
        (Unsigned | Signed, Float | Complex) => size < room || room == 8,
        (Float, Float | Complex) | (Complex, Complex) => size < room || (size == room && size > 2),
        (Float | Complex, Unsigned | Signed) | (Complex, Float) => false,
    }
}

/// The smallest dtype that both can be cast to safely.
pub fn result_type(a: Dtype, b: Dtype) -> Dtype {
    use Dtype::*;
    const SMALLEST_FIRST: [Dtype; 15] = [
        Bool, UInt8, Int8, UInt16, Int16, UInt32, Int32, UInt64, Int64, Float16, BFloat16, Float32, Float64, Complex64,
        Complex128,
    ];
    SMALLEST_FIRST.into_iter().find(|&d| is_safe(a, d) && is_safe(b, d)).unwrap_or(Complex128)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dtype::*;

    #[test]
    fn promotion_and_casting_rules_are_numpys() {
        let dtype = |name: &str| Dtype::parse(name.as_bytes()).unwrap().0;
        let mut pairs = 0;
        for line in include_str!("../../../tests/golden/promotion.txt").lines().filter(|l| !l.starts_with('#')) {
            let words: Vec<&str> = line.split(' ').collect();
            let (a, b) = (dtype(words[0]), dtype(words[1]));
            assert_eq!(result_type(a, b), dtype(words[2]), "{line}");
            assert_eq!(can_cast(a, b, Casting::Safe), words[3] == "1", "{line}");
            assert_eq!(can_cast(a, b, Casting::SameKind), words[4] == "1", "{line}");
            assert!(can_cast(a, b, Casting::Unsafe));
            pairs += 1;
        }
        assert_eq!(pairs, 14 * 14);
    }

    #[test]
    fn bfloat16_stands_beside_float16() {
        for (other, meets) in [
            (Bool, BFloat16),
            (Int8, BFloat16),
            (UInt8, BFloat16),
            (Int16, Float32),
            (UInt16, Float32),
            (Int32, Float64),
            (UInt64, Float64),
            (Float16, Float32),
            (BFloat16, BFloat16),
            (Float32, Float32),
            (Float64, Float64),
            (Complex64, Complex64),
            (Complex128, Complex128),
        ] {
            assert_eq!(result_type(BFloat16, other), meets, "{other}");
            assert_eq!(result_type(other, BFloat16), meets, "{other}");
        }
        for (from, to) in [(BFloat16, Float16), (Float16, BFloat16), (Float32, BFloat16), (Int16, BFloat16)] {
            assert!(!can_cast(from, to, Casting::Safe) && can_cast(from, to, Casting::SameKind), "{from} {to}");
        }
        assert!(!can_cast(BFloat16, Int64, Casting::SameKind));
        assert_eq!(
            check_cast(Float64, Int64, Casting::SameKind).unwrap_err().to_string(),
            "DTYPE cannot cast float64 to int64 under the rule 'same_kind'"
        );
        assert_eq!(Casting::parse(b"Same_Kind"), Ok(Casting::SameKind));
        assert!(Casting::parse(b"equiv").is_err());
    }
}
