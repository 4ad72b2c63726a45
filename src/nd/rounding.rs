//! Conversions between the 16-bit floats and wider numbers, rounded once to the nearest value, ties to even.
//!
//! Written out in integer arithmetic without branches, for two reasons. A float64 that goes to float16 by way of
//! float32 rounds twice and can end one step off, so here float32 is only passed through *rounded to odd*: the lowest
//! bit of an inexact value is set, which keeps it off every tie of the narrower type (Boldo and Melquiond, 2008). And the
//! result does not depend on which instructions a machine has.

use half::{bf16, f16};

/// A float16 as float32; exact.
#[inline(always)]
pub fn f16_to_f32(h: f16) -> f32 {
    let bits = u32::from(h.to_bits());
    // Exponent and fraction moved into place make a number 2^112 too small; subnormals come out right as well.
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    // Infinity and NaN keep their fraction, below an exponent of all ones.
    let special = ((bits & 0x7fff) << 13) | 0x7f80_0000;
    let magnitude = if bits & 0x7c00 == 0x7c00 { special } else { magnitude.to_bits() };
    f32::from_bits(magnitude | ((bits & 0x8000) << 16))
}

/// A float32 as the nearest float16.
#[inline(always)]
pub fn f32_to_f16(x: f32) -> f16 {
    let bits = x.to_bits();
    let sign = (bits >> 16) & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    // Normal results: move the exponent's bias from 127 to 15 and round the 13 bits that go.
    let normal = magnitude.wrapping_sub(112 << 23).wrapping_add(0xfff + ((magnitude >> 13) & 1)) >> 13;
    // Subnormal results: one unit in the last place of 0.5 is 2^-24, the smallest float16, so the addition rounds.
    let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
    let nan = 0x7e00 | ((magnitude >> 13) & 0x3ff);
    let half = if magnitude < 113 << 23 { subnormal } else { normal };
    let half = if magnitude >= 143 << 23 { 0x7c00 } else { half }; // 65536 and above; 65520 and above carry into it
    let half = if magnitude > 0x7f80_0000 { nan } else { half };
    f16::from_bits((half | sign) as u16) // 16 bits are set at most
}

/// A bfloat16 as float32; exact.
#[inline(always)]
pub fn bf16_to_f32(b: bf16) -> f32 {
    f32::from_bits(u32::from(b.to_bits()) << 16)
}

/// A float32 as the nearest bfloat16.
#[inline(always)]
pub fn f32_to_bf16(x: f32) -> bf16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1));
    let nan = bits | 0x0040_0000;
    let bits = if bits & 0x7fff_ffff > 0x7f80_0000 { nan } else { rounded };
    bf16::from_bits((bits >> 16) as u16) // 16 bits are left
}

/// A float64 as float32, rounded to odd: exact, or the neighbour towards zero or away from it whose last bit is set.
#[inline(always)]
fn f64_to_odd_f32(x: f64) -> f32 {
    let near = x as f32;
    let back = f64::from(near);
    let bits = near.to_bits();
    let truncated = if back.abs() > x.abs() { bits.wrapping_sub(1) } else { bits };
    let exact = back == x || x.is_nan();
    f32::from_bits(if exact { bits } else { truncated | 1 })
}

/// A float64 as the nearest float16, rounded once.
#[inline(always)]
pub fn f64_to_f16(x: f64) -> f16 {
    f32_to_f16(f64_to_odd_f32(x))
}

/// A float64 as the nearest bfloat16, rounded once.
#[inline(always)]
pub fn f64_to_bf16(x: f64) -> bf16 {
    f32_to_bf16(f64_to_odd_f32(x))
}

/// An integer as float64, rounded to odd at some bit below the 42nd: further rounding to 40 bits or fewer is then right.
#[inline(always)]
fn u64_to_odd_f64(magnitude: u64) -> f64 {
    let kept = (magnitude >> 11) | u64::from(magnitude & 0x7ff != 0);
    if magnitude >> 53 == 0 {
        magnitude as f64 // exact below 2^53
    } else {
        kept as f64 * 2048.0 // 53 bits, exact
    }
}

/// An integer as the nearest bfloat16, rounded once.
#[inline(always)]
pub fn i64_to_bf16(i: i64) -> bf16 {
    let magnitude = u64_to_odd_f64(i.unsigned_abs());
    f64_to_bf16(if i < 0 { -magnitude } else { magnitude })
}

/// An integer as the nearest bfloat16, rounded once.
#[inline(always)]
pub fn u64_to_bf16(i: u64) -> bf16 {
    f64_to_bf16(u64_to_odd_f64(i))
}

/// An integer of any size as the nearest bfloat16, rounded once.
pub fn i128_to_bf16(i: i128) -> bf16 {
    let magnitude = i.unsigned_abs();
    let shift = (128 - magnitude.leading_zeros()).saturating_sub(64);
    let lost = magnitude & ((1 << shift) - 1) != 0;
    let top = (magnitude >> shift) as u64 | u64::from(lost); // the shift leaves 64 bits
    let magnitude = u64_to_odd_f64(top) * 2f64.powi(shift as i32); // a power of two below 2^65: exact
    f64_to_bf16(if i < 0 { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The nearest value by looking at all of them: slow and obvious.
    fn nearest(x: f64, value: impl Fn(u16) -> f64, infinity: u16, beyond: f64) -> u16 {
        let sign = u16::from(x.is_sign_negative()) << 15;
        let x = x.abs();
        let at = |bits: u16| if bits == infinity { beyond } else { value(bits) };
        // values grow with their bits: the last one that is not above x
        let below = (0..=infinity).collect::<Vec<_>>().partition_point(|&b| at(b) <= x).saturating_sub(1) as u16;
        if below >= infinity {
            return infinity | sign;
        }
        // differences of neighbours are exact in float64, and so are these
        let (down, up) = (x - at(below), at(below + 1) - x);
        let bits = if down < up || (down == up && below.is_multiple_of(2)) { below } else { below + 1 };
        bits | sign
    }

    fn samples() -> Vec<f64> {
        let mut v =
            vec![0.0, 5e-324, f64::MIN_POSITIVE, f64::MAX, f64::INFINITY, 65_519.999_999_999_99, 65520.0, 1e300];
        for bits in (0..0x7c00u16).step_by(37) {
            let a = f64::from(f16::from_bits(bits));
            let b = f64::from(f16::from_bits(bits + 1));
            let tie = (a + b) / 2.0;
            v.extend([a, tie, f64::from_bits(tie.to_bits() + 1), f64::from_bits(tie.to_bits().saturating_sub(1))]);
        }
        for bits in (0..0x7f80u16).step_by(41) {
            let a = f64::from(bf16::from_bits(bits));
            let b = f64::from(bf16::from_bits(bits + 1));
            let tie = a / 2.0 + b / 2.0;
            v.extend([a, tie, f64::from_bits(tie.to_bits() + 1), f64::from_bits(tie.to_bits().saturating_sub(1))]);
        }
        v.retain(|x| !x.is_nan());
        let negative: Vec<f64> = v.iter().map(|x| -x).collect();
        v.extend(negative);
        v
    }

    #[test]
    fn float64_goes_to_16_bits_in_one_rounding() {
        for x in samples() {
            let want = nearest(x, |b| f64::from(f16::from_bits(b)), 0x7c00, 65536.0);
            assert_eq!(f64_to_f16(x).to_bits(), want, "{x:e} to float16");
            let want = nearest(x, |b| f64::from(bf16::from_bits(b)), 0x7f80, 2f64.powi(128));
            assert_eq!(f64_to_bf16(x).to_bits(), want, "{x:e} to bfloat16");
            if f64::from(x as f32) == x {
                assert_eq!(f32_to_f16(x as f32), f64_to_f16(x));
                assert_eq!(f32_to_bf16(x as f32), f64_to_bf16(x));
            }
        }
    }

    #[test]
    fn every_16_bit_float_survives_the_way_through_float32() {
        for bits in 0..=u16::MAX {
            let (h, b) = (f16::from_bits(bits), bf16::from_bits(bits));
            if h.is_nan() {
                assert!(f16_to_f32(h).is_nan() && f32_to_f16(f16_to_f32(h)).is_nan());
            } else {
                assert_eq!(f32_to_f16(f16_to_f32(h)).to_bits(), bits);
                assert_eq!(f64::from(f16_to_f32(h)), f64::from(h));
            }
            if b.is_nan() {
                assert!(bf16_to_f32(b).is_nan() && f32_to_bf16(bf16_to_f32(b)).is_nan());
            } else {
                assert_eq!(f32_to_bf16(bf16_to_f32(b)).to_bits(), bits);
            }
        }
        assert!(f64_to_f16(f64::NAN).is_nan() && f64_to_bf16(f64::NAN).is_nan());
    }

    #[test]
    fn integers_go_to_bfloat16_in_one_rounding() {
        for shift in 0..56 {
            for (low, up) in [(0i64, false), (1, true), (-1, false)] {
                // 0x101 is a tie between 0x100 and 0x102; one more or less in the last place decides
                let i = (0x101i64 << shift) + if shift == 0 { 0 } else { low };
                let want = if up && shift > 0 { 258.0 } else { 256.0 } * 2f64.powi(shift);
                if shift < 54 {
                    assert_eq!(f64::from(i64_to_bf16(i)), want, "{i}");
                    assert_eq!(f64::from(i64_to_bf16(-i)), -want, "-{i}");
                    assert_eq!(f64::from(u64_to_bf16(i as u64)), want, "{i}");
                }
            }
        }
        assert_eq!(f64::from(i128_to_bf16((0x101 << 90) + 1)), 258.0 * 2f64.powi(90));
        assert_eq!(f64::from(i128_to_bf16(0x101 << 90)), 256.0 * 2f64.powi(90));
        assert_eq!(f64::from(i64_to_bf16(i64::MIN)), -(2f64.powi(63)));
        assert_eq!(f64::from(u64_to_bf16(u64::MAX)), 2f64.powi(64));
    }
}
