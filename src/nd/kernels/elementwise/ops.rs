//! Each operator for each element type, as NumPy computes it: integers wrap, 16-bit floats are computed in float32 and rounded.

use half::{bf16, f16};
use num_complex::{Complex, Complex32, Complex64};

use super::power;
use crate::nd::dtype::{Bool8, Element};
use crate::nd::rounding::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};

/// The operators of one element type. Those that a type refuses ([`super::Operator::compute_dtype`]) answer the first operand.
pub(super) trait Arithmetic: Element {
    fn add(self, b: Self) -> Self;
    fn sub(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    fn div(self, _b: Self) -> Self {
        self
    }
    fn pow(self, b: Self) -> Self;
    fn min(self, b: Self) -> Self;
    fn max(self, b: Self) -> Self;
    fn and(self, _b: Self) -> Self {
        self
    }
    fn or(self, _b: Self) -> Self {
        self
    }
    fn xor(self, _b: Self) -> Self {
        self
    }
    /// Whether it, or a part of it, is NaN.
    #[inline(always)]
    fn is_nan(self) -> bool {
        false
    }
    /// Itself, any NaN of it replaced by the one that is stored.
    #[inline(always)]
    fn one_nan(self) -> Self {
        self
    }
}

macro_rules! integers {
    ($($t:ty)*) => {$(
        impl Arithmetic for $t {
            #[inline(always)]
            fn add(self, b: $t) -> $t {
                self.wrapping_add(b)
            }
            #[inline(always)]
            fn sub(self, b: $t) -> $t {
                self.wrapping_sub(b)
            }
            #[inline(always)]
            fn mul(self, b: $t) -> $t {
                self.wrapping_mul(b)
            }
            /// By squaring; the exponent is not negative.
            #[inline(always)]
            fn pow(self, b: $t) -> $t {
                let (mut base, mut left, mut result) = (self, b, 1 as $t);
                while left > 0 {
                    if left & 1 == 1 {
                        result = result.wrapping_mul(base);
                    }
                    base = base.wrapping_mul(base);
                    left >>= 1;
                }
                result
            }
            #[inline(always)]
            fn min(self, b: $t) -> $t {
                Ord::min(self, b)
            }
            #[inline(always)]
            fn max(self, b: $t) -> $t {
                Ord::max(self, b)
            }
            #[inline(always)]
            fn and(self, b: $t) -> $t {
                self & b
            }
            #[inline(always)]
            fn or(self, b: $t) -> $t {
                self | b
            }
            #[inline(always)]
            fn xor(self, b: $t) -> $t {
                self ^ b
            }
        }
    )*};
}
integers!(i8 i16 i32 i64 u8 u16 u32 u64);

// A bool is 0 or 1, so that bits are truth values.
impl Arithmetic for Bool8 {
    #[inline(always)]
    fn add(self, b: Bool8) -> Bool8 {
        Bool8(self.0 | b.0)
    }
    fn sub(self, _b: Bool8) -> Bool8 {
        self
    }
    #[inline(always)]
    fn mul(self, b: Bool8) -> Bool8 {
        Bool8(self.0 & b.0)
    }
    fn pow(self, _b: Bool8) -> Bool8 {
        self
    }
    #[inline(always)]
    fn min(self, b: Bool8) -> Bool8 {
        Bool8(self.0 & b.0)
    }
    #[inline(always)]
    fn max(self, b: Bool8) -> Bool8 {
        Bool8(self.0 | b.0)
    }
    #[inline(always)]
    fn and(self, b: Bool8) -> Bool8 {
        Bool8(self.0 & b.0)
    }
    #[inline(always)]
    fn or(self, b: Bool8) -> Bool8 {
        Bool8(self.0 | b.0)
    }
    #[inline(always)]
    fn xor(self, b: Bool8) -> Bool8 {
        Bool8(self.0 ^ b.0)
    }
}

macro_rules! floats {
    ($($t:ty, $pow:path;)*) => {$(
        impl Arithmetic for $t {
            #[inline(always)]
            fn add(self, b: $t) -> $t {
                self + b
            }
            #[inline(always)]
            fn sub(self, b: $t) -> $t {
                self - b
            }
            #[inline(always)]
            fn mul(self, b: $t) -> $t {
                self * b
            }
            #[inline(always)]
            fn div(self, b: $t) -> $t {
                self / b
            }
            #[inline(always)]
            fn pow(self, b: $t) -> $t {
                $pow(self, b)
            }
            /// Of two zeros, and of equal numbers, the first.
            #[inline(always)]
            fn min(self, b: $t) -> $t {
                if b < self || b.is_nan() { b } else { self }
            }
            #[inline(always)]
            fn max(self, b: $t) -> $t {
                if b > self || b.is_nan() { b } else { self }
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                <$t>::is_nan(self)
            }
            #[inline(always)]
            fn one_nan(self) -> $t {
                if <$t>::is_nan(self) { <$t>::NAN } else { self }
            }
        }
    )*};
}
floats! { f32, power::f32; f64, power::f64; }

macro_rules! halves {
    ($($t:ty, $widen:path, $narrow:path;)*) => {$(
        impl Arithmetic for $t {
            #[inline(always)]
            fn add(self, b: $t) -> $t {
                $narrow(Arithmetic::add($widen(self), $widen(b)))
            }
            #[inline(always)]
            fn sub(self, b: $t) -> $t {
                $narrow(Arithmetic::sub($widen(self), $widen(b)))
            }
            #[inline(always)]
            fn mul(self, b: $t) -> $t {
                $narrow(Arithmetic::mul($widen(self), $widen(b)))
            }
            #[inline(always)]
            fn div(self, b: $t) -> $t {
                $narrow(Arithmetic::div($widen(self), $widen(b)))
            }
            #[inline(always)]
            fn pow(self, b: $t) -> $t {
                $narrow(Arithmetic::pow($widen(self), $widen(b)))
            }
            #[inline(always)]
            fn min(self, b: $t) -> $t {
                $narrow(Arithmetic::min($widen(self), $widen(b)))
            }
            #[inline(always)]
            fn max(self, b: $t) -> $t {
                $narrow(Arithmetic::max($widen(self), $widen(b)))
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self.to_bits() & 0x7fff > <$t>::INFINITY.to_bits()
            }
            #[inline(always)]
            fn one_nan(self) -> $t {
                if Arithmetic::is_nan(self) { <$t>::NAN } else { self }
            }
        }
    )*};
}
halves! { f16, f16_to_f32, f32_to_f16; bf16, bf16_to_f32, f32_to_bf16; }

macro_rules! complexes {
    ($($t:ty, $part:ty;)*) => {$(
        impl Arithmetic for $t {
            #[inline(always)]
            fn add(self, b: $t) -> $t {
                parts(self.re + b.re, self.im + b.im)
            }
            #[inline(always)]
            fn sub(self, b: $t) -> $t {
                parts(self.re - b.re, self.im - b.im)
            }
            #[inline(always)]
            fn mul(self, b: $t) -> $t {
                parts(self.re * b.re - self.im * b.im, self.re * b.im + self.im * b.re)
            }
            /// By the larger part of the divisor first (Smith, 1962), as NumPy divides.
            #[inline(always)]
            fn div(self, b: $t) -> $t {
                let (re, im) = (b.re.abs(), b.im.abs());
                if re >= im {
                    if re == 0.0 && im == 0.0 {
                        return parts(self.re / re, self.im / re);
                    }
                    let ratio = b.im / b.re;
                    let scale = 1.0 / (b.re + b.im * ratio);
                    parts((self.re + self.im * ratio) * scale, (self.im - self.re * ratio) * scale)
                } else {
                    let ratio = b.re / b.im;
                    let scale = 1.0 / (b.im + b.re * ratio);
                    parts((self.re * ratio + self.im) * scale, (self.im * ratio - self.re) * scale)
                }
            }
            fn pow(self, b: $t) -> $t {
                let wide = |c: $t| Complex64::new(f64::from(c.re), f64::from(c.im));
                let c = power::complex(wide(self), wide(b));
                parts(c.re as $part, c.im as $part)
            }
            #[inline(always)]
            fn min(self, b: $t) -> $t {
                let first = has_nan(self.re, self.im) || before(self.re, self.im, b.re, b.im);
                if first { self } else { b }
            }
            #[inline(always)]
            fn max(self, b: $t) -> $t {
                let first = has_nan(self.re, self.im) || before(b.re, b.im, self.re, self.im);
                if first { self } else { b }
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                has_nan(&self.re, &self.im)
            }
            #[inline(always)]
            fn one_nan(self) -> $t {
                parts(self.re.one_nan(), self.im.one_nan())
            }
        }
    )*};
}
complexes! { Complex32, f32; Complex64, f64; }

#[inline(always)]
fn parts<T>(re: T, im: T) -> Complex<T> {
    Complex { re, im }
}

#[inline(always)]
fn has_nan<T: PartialEq>(re: T, im: T) -> bool {
    #[allow(clippy::eq_op)] // what a NaN is
    {
        re != re || im != im
    }
}

/// `a <= b`, by real, then by imaginary part; false where either has a NaN.
#[inline(always)]
fn before<T: PartialOrd>(a_re: T, a_im: T, b_re: T, b_im: T) -> bool {
    (a_re < b_re && !has_nan(&a_im, &b_im)) || (a_re == b_re && a_im <= b_im)
}
