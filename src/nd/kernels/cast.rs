//! Casts between all dtypes, with the results of NumPy's `astype(casting='unsafe')`.
//!
//! ```text
//! integer -> integer    keeps the low bits (wraps)
//! float   -> integer    drops the fraction; out of range gives the nearest end, NaN gives 0 (undefined in NumPy)
//! any     -> float      the nearest value, ties to even, rounded once
//! any     -> bool       != 0: NaN is true, -0.0 is false, complex looks at both parts
//! complex -> real       drops the imaginary part
//! real    -> complex    imaginary part 0
//! ```
//!
//! A source hands itself over as one of six wide types that hold it exactly, and a target takes each of the six, so 15
//! and 15 short implementations make the 225 loops.

use half::{bf16, f16};
use num_complex::{Complex32, Complex64};

use super::{elements, elements_mut, Unaligned};
use crate::nd::dtype::{dispatch, Bool8, Dtype, Element};
use crate::nd::memory;
use crate::nd::rounding::{
    bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16, f64_to_bf16, f64_to_f16, i64_to_bf16, u64_to_bf16,
};

/// Casts the elements of `src`, which may lie at any address, into `dst`, aligned to its elements; as many of one as of the
/// other.
///
/// # Panics
/// Where alignment or lengths are wrong: a bug in the caller.
pub fn cast(from: Dtype, src: &[u8], to: Dtype, dst: &mut [u8]) {
    if from == to {
        dst.copy_from_slice(src);
        return;
    }
    dispatch!(from, S => dispatch!(to, D => convert::<S, D>(elements(src), elements_mut(dst))));
}

/// Casts elements that come in slices of any alignment, cut anywhere, into `dst`, which has the room for all of them.
///
/// # Panics
/// Where `dst` is not aligned, or not of the length of the whole: a bug in the caller.
pub fn cast_slices<'s>(from: Dtype, slices: impl Iterator<Item = &'s [u8]>, to: Dtype, dst: &mut [u8]) {
    let mut words = [0u64; 1024];
    let room = memory::bytes_mut(&mut words, 8192); // whole elements of every dtype
    let (mut held, mut done) = (0, 0);
    let mut empty = |room: &[u8]| {
        let n = room.len() / from.itemsize() * to.itemsize();
        cast(from, room, to, &mut dst[done..done + n]);
        done += n;
    };
    for mut slice in slices {
        while !slice.is_empty() {
            let (part, rest) = slice.split_at(slice.len().min(room.len() - held));
            room[held..held + part.len()].copy_from_slice(part);
            (held, slice) = (held + part.len(), rest);
            if held == room.len() {
                empty(room);
                held = 0;
            }
        }
    }
    empty(&room[..held]);
    assert_eq!(done, dst.len(), "a cast keeps the number of elements");
}

fn convert<S: Source, D: Target>(src: &[Unaligned<S>], dst: &mut [D]) {
    assert_eq!(src.len(), dst.len(), "a cast keeps the number of elements");
    for (d, s) in dst.iter_mut().zip(src) {
        *d = s.get().cast();
    }
}

/// An element that can be cast to any other.
pub trait Source: Element {
    /// The element as a `D`, with NumPy's unsafe casting.
    fn cast<D: Target>(self) -> D;
}

/// An element that any other can be cast to: it takes every wide type that a [`Source`] may hand over.
pub trait Target: Element {
    /// From a signed integer.
    fn from_i64(i: i64) -> Self;
    /// From an unsigned integer or a truth value.
    fn from_u64(i: u64) -> Self;
    /// From float32 and narrower.
    fn from_f32(x: f32) -> Self;
    /// From float64.
    fn from_f64(x: f64) -> Self;
    /// From complex64.
    #[inline(always)]
    fn from_c64(c: Complex32) -> Self {
        Self::from_f32(c.re)
    }
    /// From complex128.
    #[inline(always)]
    fn from_c128(c: Complex64) -> Self {
        Self::from_f64(c.re)
    }
}

macro_rules! sources {
    ($($t:ty, $from:ident, $widen:expr;)*) => {$(
        impl Source for $t {
            #[inline(always)]
            fn cast<D: Target>(self) -> D {
                D::$from($widen(self))
            }
        }
    )*};
}
sources! {
    Bool8, from_u64, |b: Bool8| u64::from(b.get());
    i8, from_i64, i64::from;
    i16, from_i64, i64::from;
    i32, from_i64, i64::from;
    i64, from_i64, |i| i;
    u8, from_u64, u64::from;
    u16, from_u64, u64::from;
    u32, from_u64, u64::from;
    u64, from_u64, |i| i;
    f16, from_f32, f16_to_f32;
    bf16, from_f32, bf16_to_f32;
    f32, from_f32, |x| x;
    f64, from_f64, |x| x;
    Complex32, from_c64, |c| c;
    Complex64, from_c128, |c| c;
}

// `as` is the cast that is asked for here: wrapping between integers, saturating from floats, nearest to floats.
macro_rules! primitive_targets {
    ($($t:ty)*) => {$(
        impl Target for $t {
            #[inline(always)]
            fn from_i64(i: i64) -> $t {
                i as $t
            }
            #[inline(always)]
            fn from_u64(i: u64) -> $t {
                i as $t
            }
            #[inline(always)]
            fn from_f32(x: f32) -> $t {
                x as $t
            }
            #[inline(always)]
            fn from_f64(x: f64) -> $t {
                x as $t
            }
        }
    )*};
}
primitive_targets!(i8 i16 i32 i64 u8 u16 u32 u64 f32 f64);

macro_rules! targets {
    ($($t:ty { $i64:expr, $u64:expr, $f32:expr, $f64:expr $(, $c64:expr, $c128:expr)? })*) => {$(
        impl Target for $t {
            #[inline(always)]
            fn from_i64(i: i64) -> $t {
                $i64(i)
            }
            #[inline(always)]
            fn from_u64(i: u64) -> $t {
                $u64(i)
            }
            #[inline(always)]
            fn from_f32(x: f32) -> $t {
                $f32(x)
            }
            #[inline(always)]
            fn from_f64(x: f64) -> $t {
                $f64(x)
            }
            $(
                #[inline(always)]
                fn from_c64(c: Complex32) -> $t {
                    $c64(c)
                }
                #[inline(always)]
                fn from_c128(c: Complex64) -> $t {
                    $c128(c)
                }
            )?
        }
    )*};
}
targets! {
    Bool8 {
        |i| Bool8::from(i != 0), |i| Bool8::from(i != 0), |x| Bool8::from(x != 0.0), |x| Bool8::from(x != 0.0),
        |c: Complex32| Bool8::from(c.re != 0.0 || c.im != 0.0),
        |c: Complex64| Bool8::from(c.re != 0.0 || c.im != 0.0)
    }
    // An integer that float32 does not hold exactly is above 2^24, where float16 is infinite anyway.
    f16 { |i| f32_to_f16(i as f32), |i| f32_to_f16(i as f32), f32_to_f16, f64_to_f16 }
    bf16 { i64_to_bf16, u64_to_bf16, f32_to_bf16, f64_to_bf16 }
    Complex32 {
        |i| Complex32::new(i as f32, 0.0), |i| Complex32::new(i as f32, 0.0),
        |x| Complex32::new(x, 0.0), |x| Complex32::new(x as f32, 0.0),
        |c| c, |c: Complex64| Complex32::new(c.re as f32, c.im as f32)
    }
    Complex64 {
        |i| Complex64::new(i as f64, 0.0), |i| Complex64::new(i as f64, 0.0),
        |x| Complex64::new(f64::from(x), 0.0), |x| Complex64::new(x, 0.0),
        |c: Complex32| Complex64::new(f64::from(c.re), f64::from(c.im)), |c| c
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nd::kernels::aligned::{from_hex, Aligned};
    use crate::nd::scalar::{Number, Scalar};
    use proptest::prelude::*;

    fn cast_to_vec(from: Dtype, src: &[u8], to: Dtype) -> Vec<u8> {
        let src = Aligned::new(src);
        let mut dst = Aligned::zeroed(src.len() / from.itemsize() * to.itemsize());
        cast(from, &src, to, &mut dst);
        dst.to_vec()
    }

    /// Whether both are the same element; every NaN is as good as another.
    fn same(dtype: Dtype, a: &[u8], b: &[u8]) -> bool {
        let parts = a.chunks(dtype.number_size()).zip(b.chunks(dtype.number_size()));
        let part = match dtype {
            Dtype::Complex64 => Dtype::Float32,
            Dtype::Complex128 => Dtype::Float64,
            real => real,
        };
        let is_nan = |n: &[u8]| matches!(Scalar::from_le_bytes(part, n).number(), Number::Float(x) if x.is_nan());
        a.len() == b.len() && parts.into_iter().all(|(x, y)| x == y || (is_nan(x) && is_nan(y)))
    }

    #[test]
    fn every_pair_casts_as_numpy_casts() {
        let mut from = None;
        let mut checked = 0;
        for line in include_str!("../../../tests/golden/casts.txt").lines().filter(|l| !l.starts_with('#')) {
            let mut words = line.split(' ');
            let first = words.next().unwrap();
            if first == "from" {
                let dtype = Dtype::parse(words.next().unwrap().as_bytes()).unwrap().0;
                from = Some((dtype, words.map(from_hex).collect::<Vec<_>>()));
                continue;
            }
            let (from, values) = from.as_ref().unwrap();
            let to = Dtype::parse(first.as_bytes()).unwrap().0;
            let got = cast_to_vec(*from, &values.concat(), to);
            let want: Vec<&str> = words.collect();
            assert_eq!(want.len(), values.len());
            for ((want, got), value) in want.iter().zip(got.chunks(to.itemsize())).zip(values) {
                if *want != "-" {
                    let want = from_hex(want);
                    assert!(same(to, got, &want), "{value:x?} of {from} to {to}: {got:x?}, NumPy has {want:x?}");
                    checked += 1;
                }
            }
        }
        assert!(checked > 8_000, "{checked}");
    }

    #[test]
    fn floats_out_of_range_saturate_and_nan_is_zero() {
        let x = [1e30, -1e30, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 300.7, -300.7];
        let got = cast_to_vec(Dtype::Float64, bytemuck::cast_slice(&x), Dtype::Int8);
        assert_eq!(bytemuck::cast_slice::<u8, i8>(&got), [127, -128, 127, -128, 0, 127, -128]);
        let got = cast_to_vec(Dtype::Float64, bytemuck::cast_slice(&x), Dtype::UInt64);
        let got: Vec<u64> = got.chunks(8).map(|b| u64::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(got, [u64::MAX, 0, u64::MAX, 0, 0, 300, 0]);
    }

    #[test]
    fn empty_slices_cast_whatever_their_address() {
        for &from in Dtype::ALL {
            for &to in Dtype::ALL {
                cast(from, &[], to, &mut []);
            }
        }
    }

    proptest! {
        #[test]
        fn slices_cut_anywhere_cast_as_one(count in 0usize..5000, cuts in prop::collection::vec(0usize..10_000, 0..6)) {
            let bytes: Vec<u8> = (0..count * 2).map(|i| (i * 31 % 251) as u8).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c % (bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut out = Aligned::zeroed(count * 8);
            let slices = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]);
            cast_slices(Dtype::Int16, slices, Dtype::Float64, &mut out);
            prop_assert_eq!(&out[..], &cast_to_vec(Dtype::Int16, &bytes, Dtype::Float64)[..]);
        }

        /// One element at a time through `Number`, which is exact, gives the same: for targets that hold the value.
        #[test]
        fn casts_agree_with_single_values(bytes in prop::collection::vec(any::<u8>(), 16..320)) {
            for &from in Dtype::ALL {
                let mut src = bytes[..bytes.len() / 16 * 16].to_vec();
                if from == Dtype::Bool {
                    src.iter_mut().for_each(|b| *b &= 1);
                }
                for &to in Dtype::ALL {
                    let got = cast_to_vec(from, &src, to);
                    for (s, g) in src.chunks(from.itemsize()).zip(got.chunks(to.itemsize())) {
                        let number = Scalar::from_le_bytes(from, s).number();
                        if let Ok(want) = Scalar::new(number, to) {
                            let want = want.to_le_bytes();
                            prop_assert!(same(to, g, &want[..to.itemsize()]), "{number:?} of {from} to {to}: {g:x?}");
                        }
                    }
                }
            }
        }
    }
}
