//! The order of elements: NumPy's, with complex numbers by their real parts and then by their imaginary ones.

use std::hint::black_box;

use half::{bf16, f16};
use num_complex::{Complex, Complex32, Complex64};

use super::kernel::depth;
use super::versions::versions;
use crate::nd::dtype::{Bool8, Element};
use crate::nd::kernels::Unaligned;
use crate::nd::rounding::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};

/// Steps of all lanes, of 256 bytes mostly, from which on it pays to read them in quarters: a processor fetches four streams from
/// memory sooner than one, if they are some pages apart.
const QUARTERED: usize = 256;
/// Steps, or rows, that a flag can count, one less than its values.
pub(super) const COUNTED: usize = 255;

/// An element with an order.
pub(super) trait Ordered: Element {
    /// What is compared: `<` is the order of the elements, NaN apart.
    type Key: Copy + PartialOrd + Default + 'static;
    /// What no element is above.
    const TOP: Self;
    /// What no element is below.
    const BOTTOM: Self;
    /// Words that hold an element, and one more.
    type Slot: Copy + bytemuck::Pod + Send + Sync + AsRef<[u64]> + AsMut<[u64]>;
    /// As wide as the key, so that registers hold as many: all bits set, or none; or a number, up to [`COUNTED`].
    type Flag: Copy + Default + PartialOrd + std::ops::BitOrAssign + 'static;
    const SET: Self::Flag;
    fn key(self) -> Self::Key;
    fn flag(is_set: bool) -> Self::Flag;
    fn number(number: usize) -> Self::Flag;
    fn count(number: Self::Flag) -> usize;
    fn of_key(key: Self::Key) -> Self;
    fn is_nan(self) -> bool;
    /// The difference, as NumPy takes it: integers wrap.
    fn less(self, other: Self) -> Self;
    /// The least key, and whether there is a NaN.
    fn least(run: &[Unaligned<Self>]) -> (Self::Key, bool);
    /// The greatest key, and whether there is a NaN.
    fn greatest(run: &[Unaligned<Self>]) -> (Self::Key, bool);
    /// Where the first element with this key stands.
    fn find(run: &[Unaligned<Self>], key: Self::Key) -> usize;
    /// Where the first of the least elements stands; the first NaN, and `true`, where there is one.
    fn find_least(run: &[Unaligned<Self>]) -> (usize, bool);
    /// As [`Ordered::find_least`], for the greatest.
    fn find_greatest(run: &[Unaligned<Self>]) -> (usize, bool);
    /// Takes rows of as many elements into the least ones so far, and answers whether there is a NaN. Those of the rows are
    /// passed over, those among the least stay.
    fn least_rows(least: &mut [Self], rows: &[Unaligned<Self>]) -> bool;
    /// As [`Ordered::least_rows`], for the greatest.
    fn greatest_rows(greatest: &mut [Self], rows: &[Unaligned<Self>]) -> bool;
    /// Takes at most [`COUNTED`] rows of `len` elements, from the column `at` on, into the least keys so far. `found` is which row
    /// first gave the key, and stays where none did. Answers whether there is a NaN: it is passed over.
    fn first_least(
        keys: &mut [Self::Key],
        found: &mut [Self::Flag],
        rows: &[Unaligned<Self>],
        len: usize,
        at: usize,
    ) -> bool;
    /// As [`Ordered::first_least`], for the greatest.
    fn first_greatest(
        keys: &mut [Self::Key],
        found: &mut [Self::Flag],
        rows: &[Unaligned<Self>],
        len: usize,
        at: usize,
    ) -> bool;
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

/// The best of each lane, and in which of them NaN were. Lanes fill eight registers of 256 bits, and flags, each for several
/// lanes, two to four: all of them stay in registers.
struct Lanes<T: Ordered, const LANES: usize, const FLAGS: usize> {
    best: [T::Key; LANES],
    nan: [T::Flag; FLAGS],
}

impl<T: Ordered, const LANES: usize, const FLAGS: usize> Lanes<T, LANES, FLAGS> {
    #[inline(always)]
    fn new<const GREATEST: bool>() -> Self {
        Lanes { best: [worst::<T, GREATEST>(); LANES], nan: [T::Flag::default(); FLAGS] }
    }

    /// Takes an element into each lane.
    #[inline(always)]
    fn step<const GREATEST: bool>(
        best: &mut [T::Key; LANES],
        nan: &mut [T::Flag; FLAGS],
        elements: &[Unaligned<T>; LANES],
    ) {
        for (best, x) in best.iter_mut().zip(elements) {
            *best = best_of::<_, GREATEST>(*best, x.get().key());
        }
        for part in elements.as_chunks::<FLAGS>().0 {
            for (nan, x) in nan.iter_mut().zip(part) {
                *nan |= T::flag(x.get().is_nan());
            }
        }
    }

    /// Takes an element into each lane, several times.
    #[inline(always)]
    fn add<const GREATEST: bool>(&mut self, steps: &[[Unaligned<T>; LANES]]) {
        let (mut best, mut nan) = (self.best, self.nan);
        let quarter = if steps.len() < QUARTERED { 0 } else { steps.len() / 4 };
        for i in 0..4 * quarter {
            Self::step::<GREATEST>(&mut best, &mut nan, &steps[i % 4 * quarter + i / 4]);
        }
        for elements in &steps[4 * quarter..] {
            Self::step::<GREATEST>(&mut best, &mut nan, elements);
        }
        // The compiler may not look through memory here: seeing how lanes are halved, it would take them two by two.
        (self.best, self.nan) = black_box((best, nan));
    }

    #[inline(always)]
    fn has_nan(&self) -> bool {
        has_any::<T>(&self.nan)
    }

    #[inline(always)]
    fn best<const GREATEST: bool>(&self) -> T::Key {
        halved::<_, LANES, GREATEST>(self.best)
    }
}

/// The best of all lanes.
#[inline(always)]
fn halved<K: PartialOrd + Copy, const N: usize, const GREATEST: bool>(mut lanes: [K; N]) -> K {
    let mut width = N;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            lanes[i] = best_of::<_, GREATEST>(lanes[i], lanes[i + width]);
        }
    }
    lanes[0]
}

/// What every key is at least as good as.
#[inline(always)]
fn worst<T: Ordered, const GREATEST: bool>() -> T::Key {
    if GREATEST {
        T::BOTTOM.key()
    } else {
        T::TOP.key()
    }
}

/// Whether any flag is set.
#[inline(always)]
fn has_any<T: Ordered>(flags: &[T::Flag]) -> bool {
    let mut has_any = false;
    for flag in flags {
        has_any |= *flag != T::Flag::default();
    }
    has_any
}

#[inline(always)]
fn extreme_run<T: Ordered, const LANES: usize, const FLAGS: usize, const GREATEST: bool>(
    run: &[Unaligned<T>],
) -> (T::Key, bool) {
    let (whole, rest) = run.as_chunks::<LANES>();
    // What is left over is looked at with some that were looked at before.
    if let Some(last) = run.last_chunk::<LANES>() {
        let mut lanes = Lanes::<T, LANES, FLAGS>::new::<GREATEST>();
        lanes.add::<GREATEST>(whole);
        lanes.add::<GREATEST>(if rest.is_empty() { &[] } else { std::slice::from_ref(last) });
        return (lanes.best::<GREATEST>(), lanes.has_nan());
    }
    let (mut best, mut has_nan) = (worst::<T, GREATEST>(), false);
    for x in rest {
        best = best_of::<_, GREATEST>(best, x.get().key());
        has_nan |= x.get().is_nan();
    }
    (best, has_nan)
}

/// Lanes of a short run, each of which keeps three things; none where so many are narrower than 32 bits, as the compiler would take
/// them one by one.
const fn few(lanes: usize) -> usize {
    if lanes > 64 {
        0
    } else {
        lanes / 4
    }
}

/// Each lane keeps the number of the step that gave its best element: nothing is looked at twice. For no more steps than can be
/// counted.
#[inline(always)]
fn find_in_short<T: Ordered, const LANES: usize, const GREATEST: bool>(run: &[Unaligned<T>]) -> (usize, bool) {
    let (whole, rest) = run.as_chunks::<LANES>();
    let mut best = [worst::<T, GREATEST>(); LANES];
    let (mut found, mut nan) = ([T::Flag::default(); LANES], [T::Flag::default(); LANES]);
    for (number, elements) in whole.iter().enumerate() {
        let number = T::number(number);
        for i in 0..LANES {
            let key = elements[i].get().key();
            let is_better = better::<_, GREATEST>(key, best[i]);
            best[i] = if is_better { key } else { best[i] };
            found[i] = if is_better { number } else { found[i] };
        }
        // One comparison for two elements.
        for i in 0..LANES / 2 {
            nan[i] |= T::flag(elements[i].get().is_nan() | elements[i + LANES / 2].get().is_nan());
        }
    }
    let (best, found, nan) = black_box((best, found, nan));
    let mut has_nan = has_any::<T>(&nan);
    let mut key = halved::<_, LANES, GREATEST>(best);
    // The first step, and the first lane of those with that step.
    let mut steps = [T::SET; LANES];
    for i in 0..LANES {
        steps[i] = if best[i] == key { found[i] } else { T::SET };
    }
    let step = halved::<_, LANES, false>(steps);
    let mut lanes = [T::SET; LANES];
    for i in 0..LANES {
        lanes[i] = if steps[i] == step { T::number(i) } else { T::SET };
    }
    let mut at = T::count(step) * LANES + T::count(halved::<_, LANES, false>(lanes));
    for (i, x) in rest.iter().enumerate() {
        let x = x.get();
        let is_better = better::<_, GREATEST>(x.key(), key);
        key = if is_better { x.key() } else { key };
        at = if is_better { whole.len() * LANES + i } else { at };
        has_nan |= x.is_nan();
    }
    match has_nan {
        true => (find_where::<T, LANES, LANES>(run, |x| x.is_nan()), true),
        false => (at, false),
    }
}

/// What the best element is, and then where it stands: the second look finds the elements in the cache, and ends early.
#[inline(always)]
fn find_extreme<T: Ordered, const LANES: usize, const FLAGS: usize, const FEW: usize, const GREATEST: bool>(
    run: &[Unaligned<T>],
) -> (usize, bool) {
    if run.len() <= COUNTED * FEW {
        return find_in_short::<T, FEW, GREATEST>(run);
    }
    let (best, has_nan) = extreme_run::<T, LANES, FLAGS, GREATEST>(run);
    match has_nan {
        true => (find_where::<T, LANES, FLAGS>(run, |x| x.is_nan()), true),
        false => (find_where::<T, LANES, FLAGS>(run, |x| x.key() == best), false),
    }
}

/// Where the first element stands that `is_it`. A look at as many as there are lanes is one without branches.
#[inline(always)]
fn find_where<T: Ordered, const LANES: usize, const FLAGS: usize>(
    run: &[Unaligned<T>],
    is_it: impl Fn(T) -> bool,
) -> usize {
    let mut at = 0;
    for elements in run.as_chunks::<LANES>().0 {
        let mut flags = [T::Flag::default(); FLAGS];
        for part in elements.as_chunks::<FLAGS>().0 {
            for (flag, x) in flags.iter_mut().zip(part) {
                *flag |= T::flag(is_it(x.get()));
            }
        }
        if has_any::<T>(&black_box(flags)) {
            break;
        }
        at += LANES;
    }
    for x in &run[at..] {
        if is_it(x.get()) {
            break;
        }
        at += 1;
    }
    at
}

/// Goes down rows, from a column on, `COLUMNS` of them at a time as long as there are so many, and answers which column
/// comes next and whether there is a NaN.
#[inline(always)]
fn extreme_columns<T: Ordered, const COLUMNS: usize, const GREATEST: bool>(
    cells: &mut [T],
    rows: &[Unaligned<T>],
    from: usize,
) -> (usize, bool) {
    let len = cells.len();
    let mut nan = [T::Flag::default(); COLUMNS];
    let mut at = from;
    for cells in cells[from..].as_chunks_mut::<COLUMNS>().0 {
        let mut best = [worst::<T, GREATEST>(); COLUMNS];
        for (best, x) in best.iter_mut().zip(&*cells) {
            *best = x.key();
        }
        for row in rows.chunks_exact(len) {
            let row: &[Unaligned<T>; COLUMNS] = columns(row, at);
            for (best, x) in best.iter_mut().zip(row) {
                *best = best_of::<_, GREATEST>(*best, x.get().key());
            }
            for (nan, x) in nan.iter_mut().zip(row) {
                *nan |= T::flag(x.get().is_nan());
            }
        }
        for (cell, best) in cells.iter_mut().zip(best) {
            *cell = T::of_key(best);
        }
        at += COLUMNS;
    }
    (at, has_any::<T>(&black_box(nan)))
}

/// Columns are taken as many at a time as fit four registers, then few, then one: what is best so far stays in registers.
#[inline(always)]
fn extreme_rows<T: Ordered, const MANY: usize, const FEW: usize, const GREATEST: bool>(
    cells: &mut [T],
    rows: &[Unaligned<T>],
) -> bool {
    let mut has_nan = false;
    for rows in rows.chunks(depth::<T>(cells.len()) * cells.len()) {
        let (at, of_many) = extreme_columns::<T, MANY, GREATEST>(cells, rows, 0);
        let (at, of_few) = extreme_columns::<T, FEW, GREATEST>(cells, rows, at);
        let (_, of_one) = extreme_columns::<T, 1, GREATEST>(cells, rows, at);
        has_nan |= of_many | of_few | of_one;
    }
    has_nan
}

/// The elements of a row from one on.
#[inline(always)]
fn columns<T, const N: usize>(rows: &[T], from: usize) -> &[T; N] {
    &rows[from..].as_chunks().0[0]
}

/// Goes down rows, from a column on, `G` times `N` columns at a time as long as there are so many, and answers which comes next and
/// whether there is a NaN.
///
/// `N` is as many as the compiler keeps three things of in registers; with `G`, narrow elements are taken by half a cache line.
#[inline(always)]
fn first_columns<T: Ordered, const N: usize, const G: usize, const GREATEST: bool>(
    keys: &mut [T::Key],
    found: &mut [T::Flag],
    rows: &Rows<'_, T>,
    from: usize,
) -> (usize, bool) {
    let mut has_nan = false;
    let mut next = from;
    let keys = keys[from..].as_chunks_mut::<N>().0.as_chunks_mut::<G>().0;
    let found = found[from..].as_chunks_mut::<N>().0.as_chunks_mut::<G>().0;
    for (keys, found) in keys.iter_mut().zip(found) {
        let (mut best, mut first, mut nan) = (*keys, *found, [T::Flag::default(); N]);
        for (number, row) in (rows.first..).zip(rows.elements.chunks_exact(rows.len)) {
            let number = T::number(number);
            let row: &[[Unaligned<T>; N]; G] = &row[rows.at + next..].as_chunks().0.as_chunks().0[0];
            for group in 0..G {
                mark::<T, N, GREATEST>(&mut best[group], &mut first[group], &mut nan, &row[group], number);
            }
        }
        // The compiler may not look through memory here, so that it keeps all three in registers.
        let (best, first, nan) = black_box((best, first, nan));
        (*keys, *found) = (best, first);
        has_nan |= has_any::<T>(&nan);
        next += G * N;
    }
    (next, has_nan)
}

/// Takes an element into each key, and marks with the row's number those that it is better than.
#[inline(always)]
fn mark<T: Ordered, const N: usize, const GREATEST: bool>(
    best: &mut [T::Key; N],
    first: &mut [T::Flag; N],
    nan: &mut [T::Flag; N],
    row: &[Unaligned<T>; N],
    number: T::Flag,
) {
    for i in 0..N {
        let key = row[i].get().key();
        // A key that is NaN is below and above nothing.
        let is_better = better::<_, GREATEST>(key, best[i]);
        best[i] = if is_better { key } else { best[i] };
        first[i] = if is_better { number } else { first[i] };
        nan[i] |= T::flag(row[i].get().is_nan());
    }
}

/// Some rows of `len` elements, from the column `at` on, and the number of the first of them.
struct Rows<'r, T> {
    elements: &'r [Unaligned<T>],
    len: usize,
    at: usize,
    first: usize,
}

/// Columns are taken many at a time, then few, then one.
#[inline(always)]
fn first_rows<T: Ordered, const N: usize, const G: usize, const GREATEST: bool>(
    keys: &mut [T::Key],
    found: &mut [T::Flag],
    rows: &[Unaligned<T>],
    len: usize,
    at: usize,
) -> bool {
    let mut has_nan = false;
    let depth = depth::<T>(len);
    for (elements, first) in rows.chunks(depth * len).zip((0..).step_by(depth)) {
        let rows = Rows { elements, len, at, first };
        let (next, of_many) = first_columns::<T, N, G, GREATEST>(keys, found, &rows, 0);
        let (next, of_few) = first_columns::<T, 4, 1, GREATEST>(keys, found, &rows, next);
        let (_, of_one) = first_columns::<T, 1, 1, GREATEST>(keys, found, &rows, next);
        has_nan |= of_many | of_few | of_one;
    }
    has_nan
}

macro_rules! ordered {
    ($($t:ty as $key:ty, $flag:ty, $lanes:literal, $marked:literal x $groups:literal, $bottom:expr, $top:expr, $to:expr, $of:expr, $is_nan:expr, $less:expr,
        $least:ident $greatest:ident $find:ident $find_least:ident $find_greatest:ident $least_rows:ident $greatest_rows:ident
        $first_least:ident $first_greatest:ident;)*) => {$(
        versions! {
            fn $least(run: &[Unaligned<$t>]) -> ($key, bool) = extreme_run::<$t, $lanes, { $lanes / 4 }, false>(run);
            fn $greatest(run: &[Unaligned<$t>]) -> ($key, bool) = extreme_run::<$t, $lanes, { $lanes / 4 }, true>(run);
            fn $find(run: &[Unaligned<$t>], key: $key) -> usize =
                find_where::<$t, $lanes, { $lanes / 4 }>(run, |x| x.key() == key);
            fn $find_least(run: &[Unaligned<$t>]) -> (usize, bool) =
                find_extreme::<$t, $lanes, { $lanes / 4 }, { few($lanes) }, false>(run);
            fn $find_greatest(run: &[Unaligned<$t>]) -> (usize, bool) =
                find_extreme::<$t, $lanes, { $lanes / 4 }, { few($lanes) }, true>(run);
            fn $least_rows(least: &mut [$t], rows: &[Unaligned<$t>]) -> bool =
                extreme_rows::<$t, { $lanes / 2 }, { $lanes / 16 }, false>(least, rows);
            fn $greatest_rows(greatest: &mut [$t], rows: &[Unaligned<$t>]) -> bool =
                extreme_rows::<$t, { $lanes / 2 }, { $lanes / 16 }, true>(greatest, rows);
            fn $first_least(keys: &mut [$key], found: &mut [$flag], rows: &[Unaligned<$t>], len: usize, at: usize) -> bool =
                first_rows::<$t, $marked, $groups, false>(keys, found, rows, len, at);
            fn $first_greatest(keys: &mut [$key], found: &mut [$flag], rows: &[Unaligned<$t>], len: usize, at: usize) -> bool =
                first_rows::<$t, $marked, $groups, true>(keys, found, rows, len, at);
        }
        impl Ordered for $t {
            type Key = $key;
            type Flag = $flag;
            const SET: $flag = <$flag>::MAX;
            type Slot = [u64; std::mem::size_of::<$t>().div_ceil(8) + 1];
            const TOP: $t = $top;
            const BOTTOM: $t = $bottom;
            #[inline(always)]
            fn key(self) -> $key {
                $to(self)
            }
            #[inline(always)]
            fn flag(is_set: bool) -> $flag {
                if is_set {
                    <$flag>::MAX
                } else {
                    0
                }
            }
            #[inline(always)]
            fn number(number: usize) -> $flag {
                number as $flag // at most `COUNTED`
            }
            #[inline(always)]
            fn count(number: $flag) -> usize {
                number as usize
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
            fn least(run: &[Unaligned<$t>]) -> ($key, bool) {
                $least(run)
            }
            fn greatest(run: &[Unaligned<$t>]) -> ($key, bool) {
                $greatest(run)
            }
            fn find(run: &[Unaligned<$t>], key: $key) -> usize {
                $find(run, key)
            }
            fn find_least(run: &[Unaligned<$t>]) -> (usize, bool) {
                $find_least(run)
            }
            fn find_greatest(run: &[Unaligned<$t>]) -> (usize, bool) {
                $find_greatest(run)
            }
            fn least_rows(least: &mut [$t], rows: &[Unaligned<$t>]) -> bool {
                $least_rows(least, rows)
            }
            fn greatest_rows(greatest: &mut [$t], rows: &[Unaligned<$t>]) -> bool {
                $greatest_rows(greatest, rows)
            }
            fn first_least(
                keys: &mut [$key],
                found: &mut [$flag],
                rows: &[Unaligned<$t>],
                len: usize,
                at: usize,
            ) -> bool {
                $first_least(keys, found, rows, len, at)
            }
            fn first_greatest(
                keys: &mut [$key],
                found: &mut [$flag],
                rows: &[Unaligned<$t>],
                len: usize,
                at: usize,
            ) -> bool {
                $first_greatest(keys, found, rows, len, at)
            }
        }
    )*};
}

macro_rules! ordered_integers {
    ($($t:ty, $flag:ty, $lanes:literal, $groups:literal: $($name:ident)*;)*) => {
        ordered! {$(
            $t as $t, $flag, $lanes, 16 x $groups, <$t>::MIN, <$t>::MAX, |x| x, |x| x, |_| false, |a: $t, b: $t| a.wrapping_sub(b), $($name)*;
        )*}
    };
}
ordered_integers! {
    i8, u8, 256, 2: least_i8 greatest_i8 find_i8 find_least_i8 find_greatest_i8 least_rows_i8 greatest_rows_i8 first_least_i8 first_greatest_i8;
    i16, u16, 128, 2: least_i16 greatest_i16 find_i16 find_least_i16 find_greatest_i16 least_rows_i16 greatest_rows_i16 first_least_i16 first_greatest_i16;
    i32, u32, 64, 1: least_i32 greatest_i32 find_i32 find_least_i32 find_greatest_i32 least_rows_i32 greatest_rows_i32 first_least_i32 first_greatest_i32;
    i64, u64, 32, 1: least_i64 greatest_i64 find_i64 find_least_i64 find_greatest_i64 least_rows_i64 greatest_rows_i64 first_least_i64 first_greatest_i64;
    u8, u8, 256, 2: least_u8 greatest_u8 find_u8 find_least_u8 find_greatest_u8 least_rows_u8 greatest_rows_u8 first_least_u8 first_greatest_u8;
    u16, u16, 128, 2: least_u16 greatest_u16 find_u16 find_least_u16 find_greatest_u16 least_rows_u16 greatest_rows_u16 first_least_u16 first_greatest_u16;
    u32, u32, 64, 1: least_u32 greatest_u32 find_u32 find_least_u32 find_greatest_u32 least_rows_u32 greatest_rows_u32 first_least_u32 first_greatest_u32;
    u64, u64, 32, 1: least_u64 greatest_u64 find_u64 find_least_u64 find_greatest_u64 least_rows_u64 greatest_rows_u64 first_least_u64 first_greatest_u64;
}

ordered! {
    Bool8 as u8, u8, 256, 16 x 2, Bool8(0), Bool8(u8::MAX), |b: Bool8| b.0, Bool8, |_| false, |a: Bool8, _| a,
        least_bool greatest_bool find_bool find_least_bool find_greatest_bool least_rows_bool greatest_rows_bool first_least_bool first_greatest_bool;
    f16 as f32, u32, 64, 8 x 1, f16::NEG_INFINITY, f16::INFINITY, f16_to_f32, f32_to_f16,
        |h: f16| h.to_bits() & 0x7fff > 0x7c00, |a, b| f32_to_f16(f16_to_f32(a) - f16_to_f32(b)),
        least_f16 greatest_f16 find_f16 find_least_f16 find_greatest_f16 least_rows_f16 greatest_rows_f16 first_least_f16 first_greatest_f16;
    bf16 as f32, u32, 64, 8 x 1, bf16::NEG_INFINITY, bf16::INFINITY, bf16_to_f32, f32_to_bf16,
        |h: bf16| h.to_bits() & 0x7fff > 0x7f80, |a, b| f32_to_bf16(bf16_to_f32(a) - bf16_to_f32(b)),
        least_bf16 greatest_bf16 find_bf16 find_least_bf16 find_greatest_bf16 least_rows_bf16 greatest_rows_bf16 first_least_bf16 first_greatest_bf16;
    f32 as f32, u32, 64, 16 x 1, f32::NEG_INFINITY, f32::INFINITY, |x| x, |x| x, |x: f32| x.is_nan(), |a: f32, b: f32| a - b,
        least_f32 greatest_f32 find_f32 find_least_f32 find_greatest_f32 least_rows_f32 greatest_rows_f32 first_least_f32 first_greatest_f32;
    f64 as f64, u64, 32, 16 x 1, f64::NEG_INFINITY, f64::INFINITY, |x| x, |x| x, |x: f64| x.is_nan(), |a: f64, b: f64| a - b,
        least_f64 greatest_f64 find_f64 find_least_f64 find_greatest_f64 least_rows_f64 greatest_rows_f64 first_least_f64 first_greatest_f64;
    Complex32 as Parts<f32>, u64, 16, 8 x 1, Complex::new(f32::NEG_INFINITY, f32::NEG_INFINITY), Complex::new(f32::INFINITY, f32::INFINITY),
        |c: Complex32| Parts(c.re, c.im), |p: Parts<f32>| Complex::new(p.0, p.1),
        |c: Complex32| c.re.is_nan() || c.im.is_nan(), |a: Complex32, b: Complex32| a - b,
        least_c64 greatest_c64 find_c64 find_least_c64 find_greatest_c64 least_rows_c64 greatest_rows_c64 first_least_c64 first_greatest_c64;
    Complex64 as Parts<f64>, u64, 16, 8 x 1, Complex::new(f64::NEG_INFINITY, f64::NEG_INFINITY), Complex::new(f64::INFINITY, f64::INFINITY),
        |c: Complex64| Parts(c.re, c.im), |p: Parts<f64>| Complex::new(p.0, p.1),
        |c: Complex64| c.re.is_nan() || c.im.is_nan(), |a: Complex64, b: Complex64| a - b,
        least_c128 greatest_c128 find_c128 find_least_c128 find_greatest_c128 least_rows_c128 greatest_rows_c128 first_least_c128 first_greatest_c128;
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

    /// Without branches.
    #[inline(always)]
    fn lt(&self, other: &Parts<F>) -> bool {
        let ordered = self.1.partial_cmp(&self.1).is_some() & other.1.partial_cmp(&other.1).is_some();
        ((self.0 < other.0) & ordered) | ((self.0 == other.0) & (self.1 < other.1))
    }
}
