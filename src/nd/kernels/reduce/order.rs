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
/// Rows, and columns of them, that are taken at once.
const ROWS: usize = 8;
const COLUMNS: usize = 16;

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
    /// Whether there is a NaN.
    fn any_nan(elements: &[Self]) -> bool;
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
fn best_of<K: PartialOrd + Copy, const GREATEST: bool>(a: K, b: K) -> K {
    if better::<_, GREATEST>(b, a) {
        b
    } else {
        a
    }
}

/// Lanes fill eight registers of 256 bits, and flags, each for several lanes, two to four: all of them stay in registers.
#[inline(always)]
fn extreme_run<T: Ordered, const LANES: usize, const FLAGS: usize, const GREATEST: bool>(run: &[T]) -> (T::Key, bool) {
    let start = if GREATEST { T::BOTTOM } else { T::TOP };
    let mut lanes = [start; LANES];
    let mut nan = [T::Flag::default(); FLAGS];
    let (whole, rest) = run.as_chunks::<LANES>();
    for elements in whole {
        for (lane, x) in lanes.iter_mut().zip(elements) {
            *lane = best_of::<_, GREATEST>(*lane, x.key());
        }
        for part in elements.as_chunks::<FLAGS>().0 {
            for (nan, x) in nan.iter_mut().zip(part) {
                *nan |= x.nan_flag();
            }
        }
    }
    let (mut best, mut has_nan) = (start, false);
    for flag in nan {
        has_nan |= flag != T::Flag::default();
    }
    if !whole.is_empty() {
        let mut width = LANES;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                lanes[i] = best_of::<_, GREATEST>(lanes[i], lanes[i + width]);
            }
        }
        best = lanes[0];
    }
    for x in rest {
        best = best_of::<_, GREATEST>(best, x.key());
        has_nan |= x.is_nan();
    }
    (best, has_nan)
}

/// Takes columns of `N` rows into the best keys so far.
#[inline(always)]
fn extreme_columns<T: Ordered, const N: usize, const GREATEST: bool>(
    keys: &mut [T::Key; COLUMNS],
    nan: &mut [T::Flag; COLUMNS],
    rows: [&[T; COLUMNS]; N],
) {
    let (mut best, mut flags) = (*keys, *nan);
    for row in rows {
        for i in 0..COLUMNS {
            let key = row[i].key();
            best[i] = if better::<_, GREATEST>(key, best[i]) { key } else { best[i] };
            flags[i] |= row[i].nan_flag();
        }
    }
    (*keys, *nan) = (best, flags);
}

/// Rows are taken eight at a time, and of those a few columns: what is best so far is not fetched and put back for each row.
#[inline(always)]
fn extreme_rows<T: Ordered, const GREATEST: bool>(
    keys: &mut [T::Key],
    nan: &mut [T::Flag],
    rows: &[T],
    len: usize,
    at: usize,
) {
    let width = keys.len();
    let whole = width / COLUMNS * COLUMNS;
    for group in rows.chunks(ROWS * len) {
        let keys_of = keys.as_chunks_mut::<COLUMNS>().0;
        let parts = keys_of.iter_mut().zip(nan.as_chunks_mut::<COLUMNS>().0).zip((at..).step_by(COLUMNS));
        if group.len() == ROWS * len {
            for ((keys, nan), at) in parts {
                let rows: [&[T; COLUMNS]; ROWS] = std::array::from_fn(|row| columns(group, row * len + at));
                extreme_columns::<T, ROWS, GREATEST>(keys, nan, rows);
            }
        } else {
            for ((keys, nan), at) in parts {
                for row in 0..group.len() / len {
                    extreme_columns::<T, 1, GREATEST>(keys, nan, [columns(group, row * len + at)]);
                }
            }
        }
        for row in group.chunks_exact(len) {
            for i in whole..width {
                let key = row[at + i].key();
                keys[i] = if better::<_, GREATEST>(key, keys[i]) { key } else { keys[i] };
                nan[i] |= row[at + i].nan_flag();
            }
        }
    }
}

/// The elements of a row from one on.
#[inline(always)]
fn columns<T>(rows: &[T], from: usize) -> &[T; COLUMNS] {
    &rows[from..].as_chunks().0[0]
}

/// As [`extreme_columns`], and in which row, `number` and on, the best key first came.
#[inline(always)]
fn first_columns<T: Ordered, const N: usize, const GREATEST: bool>(
    keys: &mut [T::Key; COLUMNS],
    found: &mut [u64; COLUMNS],
    rows: [&[T; COLUMNS]; N],
    number: u64,
) {
    let (mut best, mut first) = (*keys, *found);
    for (row, number) in rows.into_iter().zip(number..) {
        for i in 0..COLUMNS {
            let key = row[i].key();
            // A key that is NaN is below and above nothing: it stays, and `rows` were searched for NaN before.
            let is_better = better::<_, GREATEST>(key, best[i]);
            best[i] = if is_better { key } else { best[i] };
            first[i] = if is_better { number } else { first[i] };
        }
    }
    (*keys, *found) = (best, first);
}

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
    let whole = width / COLUMNS * COLUMNS;
    for (group, number) in rows.chunks(ROWS * len).zip((first..).step_by(ROWS)) {
        let keys_of = keys.as_chunks_mut::<COLUMNS>().0;
        let parts = keys_of.iter_mut().zip(found.as_chunks_mut::<COLUMNS>().0).zip((at..).step_by(COLUMNS));
        if group.len() == ROWS * len {
            for ((keys, found), at) in parts {
                let rows: [&[T; COLUMNS]; ROWS] = std::array::from_fn(|row| columns(group, row * len + at));
                first_columns::<T, ROWS, GREATEST>(keys, found, rows, number);
            }
        } else {
            for ((keys, found), at) in parts {
                for (row, number) in (0..group.len() / len).zip(number..) {
                    first_columns::<T, 1, GREATEST>(keys, found, [columns(group, row * len + at)], number);
                }
            }
        }
        for (row, number) in group.chunks_exact(len).zip(number..) {
            for i in whole..width {
                let key = row[at + i].key();
                let is_better = better::<_, GREATEST>(key, keys[i]);
                keys[i] = if is_better { key } else { keys[i] };
                found[i] = if is_better { number } else { found[i] };
            }
        }
    }
}

/// Whether any element is NaN.
#[inline(always)]
fn any_nan<T: Ordered>(elements: &[T]) -> bool {
    const FEW: usize = 64;
    let (whole, rest) = elements.as_chunks::<FEW>();
    let mut flags = [T::Flag::default(); 16];
    for few in whole {
        for part in few.as_chunks::<16>().0 {
            for (flag, x) in flags.iter_mut().zip(part) {
                *flag |= x.nan_flag();
            }
        }
    }
    let mut has_nan = false;
    for flag in flags {
        has_nan |= flag != T::Flag::default();
    }
    for x in rest {
        has_nan |= x.is_nan();
    }
    has_nan
}

macro_rules! ordered {
    ($($t:ty as $key:ty, $flag:ty, $lanes:literal, $bottom:expr, $top:expr, $to:expr, $of:expr, $is_nan:expr, $less:expr,
        $nan:ident $least:ident $greatest:ident $least_rows:ident $greatest_rows:ident $firsts:ident $lasts:ident;)*) => {$(
        versions! {
            fn $nan(elements: &[$t]) -> bool = any_nan(elements);
            fn $least(run: &[$t]) -> ($key, bool) = extreme_run::<$t, $lanes, { $lanes / 4 }, false>(run);
            fn $greatest(run: &[$t]) -> ($key, bool) = extreme_run::<$t, $lanes, { $lanes / 4 }, true>(run);
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
            fn any_nan(elements: &[$t]) -> bool {
                <$t>::DTYPE.is_inexact() && $nan(elements)
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
    ($($t:ty, $lanes:literal: $($name:ident)*;)*) => {
        ordered! {$(
            $t as $t, u8, $lanes, <$t>::MIN, <$t>::MAX, |x| x, |x| x, |_| false, |a: $t, b: $t| a.wrapping_sub(b), $($name)*;
        )*}
    };
}
ordered_integers! {
    i8, 256: nan_i8 least_i8 greatest_i8 least_rows_i8 greatest_rows_i8 firsts_i8 lasts_i8;
    i16, 128: nan_i16 least_i16 greatest_i16 least_rows_i16 greatest_rows_i16 firsts_i16 lasts_i16;
    i32, 64: nan_i32 least_i32 greatest_i32 least_rows_i32 greatest_rows_i32 firsts_i32 lasts_i32;
    i64, 32: nan_i64 least_i64 greatest_i64 least_rows_i64 greatest_rows_i64 firsts_i64 lasts_i64;
    u8, 256: nan_u8 least_u8 greatest_u8 least_rows_u8 greatest_rows_u8 firsts_u8 lasts_u8;
    u16, 128: nan_u16 least_u16 greatest_u16 least_rows_u16 greatest_rows_u16 firsts_u16 lasts_u16;
    u32, 64: nan_u32 least_u32 greatest_u32 least_rows_u32 greatest_rows_u32 firsts_u32 lasts_u32;
    u64, 32: nan_u64 least_u64 greatest_u64 least_rows_u64 greatest_rows_u64 firsts_u64 lasts_u64;
}

ordered! {
    Bool8 as u8, u8, 256, 0, u8::MAX, |b: Bool8| b.0, Bool8, |_| false, |a: Bool8, _| a,
        nan_bool least_bool greatest_bool least_rows_bool greatest_rows_bool firsts_bool lasts_bool;
    f16 as f32, u32, 64, f32::NEG_INFINITY, f32::INFINITY, f16_to_f32, f32_to_f16,
        |h: f16| h.to_bits() & 0x7fff > 0x7c00, |a, b| f32_to_f16(f16_to_f32(a) - f16_to_f32(b)),
        nan_f16 least_f16 greatest_f16 least_rows_f16 greatest_rows_f16 firsts_f16 lasts_f16;
    bf16 as f32, u32, 64, f32::NEG_INFINITY, f32::INFINITY, bf16_to_f32, f32_to_bf16,
        |h: bf16| h.to_bits() & 0x7fff > 0x7f80, |a, b| f32_to_bf16(bf16_to_f32(a) - bf16_to_f32(b)),
        nan_bf16 least_bf16 greatest_bf16 least_rows_bf16 greatest_rows_bf16 firsts_bf16 lasts_bf16;
    f32 as f32, u32, 64, f32::NEG_INFINITY, f32::INFINITY, |x| x, |x| x, |x: f32| x.is_nan(), |a: f32, b: f32| a - b,
        nan_f32 least_f32 greatest_f32 least_rows_f32 greatest_rows_f32 firsts_f32 lasts_f32;
    f64 as f64, u64, 32, f64::NEG_INFINITY, f64::INFINITY, |x| x, |x| x, |x: f64| x.is_nan(), |a: f64, b: f64| a - b,
        nan_f64 least_f64 greatest_f64 least_rows_f64 greatest_rows_f64 firsts_f64 lasts_f64;
    Complex32 as Parts<f32>, u64, 16, Parts(f32::NEG_INFINITY, f32::NEG_INFINITY), Parts(f32::INFINITY, f32::INFINITY),
        |c: Complex32| Parts(c.re, c.im), |p: Parts<f32>| Complex::new(p.0, p.1),
        |c: Complex32| c.re.is_nan() || c.im.is_nan(), |a: Complex32, b: Complex32| a - b,
        nan_c64 least_c64 greatest_c64 least_rows_c64 greatest_rows_c64 firsts_c64 lasts_c64;
    Complex64 as Parts<f64>, u64, 16, Parts(f64::NEG_INFINITY, f64::NEG_INFINITY), Parts(f64::INFINITY, f64::INFINITY),
        |c: Complex64| Parts(c.re, c.im), |p: Parts<f64>| Complex::new(p.0, p.1),
        |c: Complex64| c.re.is_nan() || c.im.is_nan(), |a: Complex64, b: Complex64| a - b,
        nan_c128 least_c128 greatest_c128 least_rows_c128 greatest_rows_c128 firsts_c128 lasts_c128;
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
