//! The order of elements: NumPy's, with complex numbers by their real parts and then by their imaginary ones.

use half::{bf16, f16};
use num_complex::{Complex, Complex32, Complex64};

use super::versions::versions;
use crate::nd::dtype::{Bool8, Element};
use crate::nd::rounding::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};

/// Elements worked on before a cell is touched.
pub(super) const BLOCK: usize = 4096;
/// Columns of rows that are worked on at a time.
pub(super) const STRIP: usize = 256;
/// Lanes of a run.
const LANES: usize = 64;

/// An element with an order.
pub(super) trait Ordered: Element {
    /// What is compared: `<` is the order of the elements, NaN apart.
    type Key: Copy + PartialOrd + Default + 'static;
    /// What no key is above.
    const TOP: Self::Key;
    /// What no key is below.
    const BOTTOM: Self::Key;
    /// Words that hold an element, and one more.
    type Slot: Copy + bytemuck::Pod + Send + Sync + AsRef<[u64]> + AsMut<[u64]>;
    /// As wide as the key, so that registers hold as many: all bits set where an element is NaN.
    type Flag: Copy + Default + PartialEq + std::ops::BitOrAssign + 'static;
    fn key(self) -> Self::Key;
    fn nan_flag(self) -> Self::Flag;
    fn of_key(key: Self::Key) -> Self;
    fn is_nan(self) -> bool;
    /// The difference, as NumPy takes it: integers wrap.
    fn less(self, other: Self) -> Self;
    /// The least key, and whether there is a NaN.
    fn least(run: &[Self]) -> (Self::Key, bool);
    /// The greatest key, and whether there is a NaN.
    fn greatest(run: &[Self]) -> (Self::Key, bool);
    /// Takes rows, from a column on, into the least keys so far; `nan` is set where one is met.
    fn least_rows(keys: &mut [Self::Key], nan: &mut [Self::Flag], rows: &[Self], len: usize, at: usize);
    /// As [`Ordered::least_rows`], for the greatest.
    fn greatest_rows(keys: &mut [Self::Key], nan: &mut [Self::Flag], rows: &[Self], len: usize, at: usize);
    /// As [`Ordered::least_rows`], and the number of the row, `first` and on, where a key first became the least.
    fn first_least(keys: &mut [Self::Key], found: &mut [u64], rows: &[Self], len: usize, at: usize, first: u64);
    /// As [`Ordered::first_least`], for the greatest.
    fn first_greatest(keys: &mut [Self::Key], found: &mut [u64], rows: &[Self], len: usize, at: usize, first: u64);
}

#[inline(always)]
fn better<K: PartialOrd, const GREATEST: bool>(a: K, b: K) -> bool {
    if GREATEST {
        b < a
    } else {
        a < b
    }
}

#[inline(always)]
fn extreme_run<T: Ordered, const GREATEST: bool>(run: &[T]) -> (T::Key, bool) {
    let start = if GREATEST { T::BOTTOM } else { T::TOP };
    let mut lanes = [start; LANES];
    let mut nan = [T::Flag::default(); LANES];
    let (whole, rest) = run.as_chunks::<LANES>();
    for elements in whole {
        for ((lane, nan), x) in lanes.iter_mut().zip(&mut nan).zip(elements) {
            *lane = if better::<_, GREATEST>(x.key(), *lane) { x.key() } else { *lane };
            *nan |= x.nan_flag();
        }
    }
    for ((lane, nan), x) in lanes.iter_mut().zip(&mut nan).zip(rest) {
        *lane = if better::<_, GREATEST>(x.key(), *lane) { x.key() } else { *lane };
        *nan |= x.nan_flag();
    }
    let best = lanes.into_iter().fold(start, |best, key| if better::<_, GREATEST>(key, best) { key } else { best });
    (best, nan.into_iter().any(|n| n != T::Flag::default()))
}

#[inline(always)]
fn extreme_rows<T: Ordered, const GREATEST: bool>(
    keys: &mut [T::Key],
    nan: &mut [T::Flag],
    rows: &[T],
    len: usize,
    at: usize,
) {
    let width = keys.len();
    let nan = &mut nan[..width];
    for row in rows.chunks_exact(len) {
        let row = &row[at..][..width];
        for i in 0..width {
            let key = row[i].key();
            keys[i] = if better::<_, GREATEST>(key, keys[i]) { key } else { keys[i] };
            nan[i] |= row[i].nan_flag();
        }
    }
}

/// Positions are kept as numbers of the key's own width would be; a NaN is better than any number, and the first one stays.
#[inline(always)]
fn extreme_firsts<T: Ordered, const GREATEST: bool>(
    keys: &mut [T::Key],
    found: &mut [u64],
    rows: &[T],
    len: usize,
    at: usize,
    first: u64,
) {
    let width = keys.len();
    let found = &mut found[..width];
    for (row, number) in rows.chunks_exact(len).zip(first..) {
        let row = &row[at..][..width];
        for i in 0..width {
            let key = row[i].key();
            // A key that is NaN is below and above nothing: it stays, and `rows` were searched for NaN before.
            let is_better = better::<_, GREATEST>(key, keys[i]);
            keys[i] = if is_better { key } else { keys[i] };
            found[i] = if is_better { number } else { found[i] };
        }
    }
}

macro_rules! ordered {
    ($($t:ty as $key:ty, $flag:ty, $bottom:expr, $top:expr, $to:expr, $of:expr, $is_nan:expr, $less:expr,
        $least:ident $greatest:ident $least_rows:ident $greatest_rows:ident $firsts:ident $lasts:ident;)*) => {$(
        versions! {
            fn $least(run: &[$t]) -> ($key, bool) = extreme_run::<$t, false>(run);
            fn $greatest(run: &[$t]) -> ($key, bool) = extreme_run::<$t, true>(run);
            fn $least_rows(keys: &mut [$key], nan: &mut [$flag], rows: &[$t], len: usize, at: usize) =
                extreme_rows::<$t, false>(keys, nan, rows, len, at);
            fn $greatest_rows(keys: &mut [$key], nan: &mut [$flag], rows: &[$t], len: usize, at: usize) =
                extreme_rows::<$t, true>(keys, nan, rows, len, at);
            fn $firsts(keys: &mut [$key], found: &mut [u64], rows: &[$t], len: usize, at: usize, first: u64) =
                extreme_firsts::<$t, false>(keys, found, rows, len, at, first);
            fn $lasts(keys: &mut [$key], found: &mut [u64], rows: &[$t], len: usize, at: usize, first: u64) =
                extreme_firsts::<$t, true>(keys, found, rows, len, at, first);
        }
        impl Ordered for $t {
            type Key = $key;
            type Flag = $flag;
            type Slot = [u64; std::mem::size_of::<$t>().div_ceil(8) + 1];
            const TOP: $key = $top;
            const BOTTOM: $key = $bottom;
            #[inline(always)]
            fn key(self) -> $key {
                $to(self)
            }
            #[inline(always)]
            fn nan_flag(self) -> $flag {
                if $is_nan(self) {
                    <$flag>::MAX
                } else {
                    0
                }
            }
            #[inline(always)]
            fn of_key(key: $key) -> $t {
                $of(key)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                $is_nan(self)
            }
            fn less(self, other: $t) -> $t {
                $less(self, other)
            }
            fn least(run: &[$t]) -> ($key, bool) {
                $least(run)
            }
            fn greatest(run: &[$t]) -> ($key, bool) {
                $greatest(run)
            }
            fn least_rows(keys: &mut [$key], nan: &mut [$flag], rows: &[$t], len: usize, at: usize) {
                $least_rows(keys, nan, rows, len, at);
            }
            fn greatest_rows(keys: &mut [$key], nan: &mut [$flag], rows: &[$t], len: usize, at: usize) {
                $greatest_rows(keys, nan, rows, len, at);
            }
            fn first_least(keys: &mut [$key], found: &mut [u64], rows: &[$t], len: usize, at: usize, first: u64) {
                $firsts(keys, found, rows, len, at, first);
            }
            fn first_greatest(keys: &mut [$key], found: &mut [u64], rows: &[$t], len: usize, at: usize, first: u64) {
                $lasts(keys, found, rows, len, at, first);
            }
        }
    )*};
}

macro_rules! ordered_integers {
    ($($t:ty: $($name:ident)*;)*) => {
        ordered! {$(
            $t as $t, u8, <$t>::MIN, <$t>::MAX, |x| x, |x| x, |_| false, |a: $t, b: $t| a.wrapping_sub(b), $($name)*;
        )*}
    };
}
ordered_integers! {
    i8: least_i8 greatest_i8 least_rows_i8 greatest_rows_i8 firsts_i8 lasts_i8;
    i16: least_i16 greatest_i16 least_rows_i16 greatest_rows_i16 firsts_i16 lasts_i16;
    i32: least_i32 greatest_i32 least_rows_i32 greatest_rows_i32 firsts_i32 lasts_i32;
    i64: least_i64 greatest_i64 least_rows_i64 greatest_rows_i64 firsts_i64 lasts_i64;
    u8: least_u8 greatest_u8 least_rows_u8 greatest_rows_u8 firsts_u8 lasts_u8;
    u16: least_u16 greatest_u16 least_rows_u16 greatest_rows_u16 firsts_u16 lasts_u16;
    u32: least_u32 greatest_u32 least_rows_u32 greatest_rows_u32 firsts_u32 lasts_u32;
    u64: least_u64 greatest_u64 least_rows_u64 greatest_rows_u64 firsts_u64 lasts_u64;
}

ordered! {
    Bool8 as u8, u8, 0, u8::MAX, |b: Bool8| b.0, Bool8, |_| false, |a: Bool8, _| a,
        least_bool greatest_bool least_rows_bool greatest_rows_bool firsts_bool lasts_bool;
    f16 as f32, u32, f32::NEG_INFINITY, f32::INFINITY, f16_to_f32, f32_to_f16,
        |h: f16| h.to_bits() & 0x7fff > 0x7c00, |a, b| f32_to_f16(f16_to_f32(a) - f16_to_f32(b)),
        least_f16 greatest_f16 least_rows_f16 greatest_rows_f16 firsts_f16 lasts_f16;
    bf16 as f32, u32, f32::NEG_INFINITY, f32::INFINITY, bf16_to_f32, f32_to_bf16,
        |h: bf16| h.to_bits() & 0x7fff > 0x7f80, |a, b| f32_to_bf16(bf16_to_f32(a) - bf16_to_f32(b)),
        least_bf16 greatest_bf16 least_rows_bf16 greatest_rows_bf16 firsts_bf16 lasts_bf16;
    f32 as f32, u32, f32::NEG_INFINITY, f32::INFINITY, |x| x, |x| x, |x: f32| x.is_nan(), |a: f32, b: f32| a - b,
        least_f32 greatest_f32 least_rows_f32 greatest_rows_f32 firsts_f32 lasts_f32;
    f64 as f64, u64, f64::NEG_INFINITY, f64::INFINITY, |x| x, |x| x, |x: f64| x.is_nan(), |a: f64, b: f64| a - b,
        least_f64 greatest_f64 least_rows_f64 greatest_rows_f64 firsts_f64 lasts_f64;
    Complex32 as Parts<f32>, u64, Parts(f32::NEG_INFINITY, f32::NEG_INFINITY), Parts(f32::INFINITY, f32::INFINITY),
        |c: Complex32| Parts(c.re, c.im), |p: Parts<f32>| Complex::new(p.0, p.1),
        |c: Complex32| c.re.is_nan() || c.im.is_nan(), |a: Complex32, b: Complex32| a - b,
        least_c64 greatest_c64 least_rows_c64 greatest_rows_c64 firsts_c64 lasts_c64;
    Complex64 as Parts<f64>, u64, Parts(f64::NEG_INFINITY, f64::NEG_INFINITY), Parts(f64::INFINITY, f64::INFINITY),
        |c: Complex64| Parts(c.re, c.im), |p: Parts<f64>| Complex::new(p.0, p.1),
        |c: Complex64| c.re.is_nan() || c.im.is_nan(), |a: Complex64, b: Complex64| a - b,
        least_c128 greatest_c128 least_rows_c128 greatest_rows_c128 firsts_c128 lasts_c128;
}

/// Real and imaginary part. Compared in this order; where either is NaN, nothing is below or above.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Parts<F>(F, F);

impl<F: PartialOrd> PartialOrd for Parts<F> {
    #[inline]
    fn partial_cmp(&self, other: &Parts<F>) -> Option<std::cmp::Ordering> {
        let re = self.0.partial_cmp(&other.0)?;
        let im = self.1.partial_cmp(&other.1)?;
        Some(re.then(im))
    }
}
