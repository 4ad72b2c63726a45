//! `VAR` and `STD`.
//!
//! A block's elements are taken as differences from a pivot near their mean, which is the mean rounded: in them, the sum of
//! squares and the sum lose nothing to cancellation, and `M2 = sum(d^2) - sum(d)^2 / n` is the sum of squares about the
//! exact mean (the corrected two-pass method: Chan, Golub and LeVeque 1983). Blocks are merged by Chan's formula, with the
//! mean kept in two float64 and M2 as a compensated sum, so that many blocks cost no more digits than one.
//!
//! All is done in float64, whatever the dtype; complex numbers are two floats, and their variances are added. What is
//! constant has a variance of 0.

use std::hint::black_box;
use std::marker::PhantomData;

use bytemuck::{Pod, Zeroable};
use half::{bf16, f16};
use num_complex::{Complex32, Complex64};
use smallvec::SmallVec;

use super::compensated::Compensated;
use super::kernel::{Columns, Kernel, Seen};
use super::versions::versions;
use crate::nd::dtype::{Bool8, Element};
use crate::nd::kernels::cast::{Source, Target};
use crate::nd::kernels::Unaligned;

/// The variance kernel of an element type.
pub struct Var<T>(PhantomData<fn() -> T>);

/// The kernel of its root.
pub struct Std<T>(PhantomData<fn() -> T>);

/// Elements of a run that make one block: a second look finds them in the cache.
const BLOCK: usize = 2048;
/// Lanes of a run, an even number.
const LANES: usize = 32;
/// Lanes whose sums and sums of squares fit the registers together, an even number.
const AT_ONCE: usize = 16;
/// Rows that make one block, and those whose differences are added one after the other.
const ROWS: usize = 128;
const GROUP: usize = 32;
/// Columns of which many blocks are merged before the next columns are: a block's rows are read from end to end, so that they
/// come soon from memory, and are near when they are gone down.
const STRIP: usize = 1024;
/// Rows that are read side by side.
const DEEP: usize = 16;

/// Count, mean and sum of squared differences from it.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Moments {
    count: f64,
    mean: Mean,
    m2: Compensated,
}

/// A mean, as the sum of two float64.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
struct Mean {
    near: f64,
    rest: f64,
}

impl Mean {
    /// Merges a mean and a sum of squares into these, of `count` elements; `share` is the others' part of all elements.
    #[inline(always)]
    fn merge(&mut self, m2: &mut Compensated, other: &Mean, other_m2: &Compensated, count: f64, share: f64) {
        // Near one another, the first difference is exact.
        let delta = (other.near - self.near) + (other.rest - self.rest);
        let rest = self.rest + delta * share;
        let mean = self.near + rest;
        let left = rest - (mean - self.near);
        *self = Mean { near: mean, rest: if mean.abs() < f64::INFINITY { left } else { 0.0 } };
        m2.merge(other_m2);
        m2.add_number(delta * delta * count * share);
    }
}

impl Moments {
    /// A block of `count` numbers, from the sums of their differences from `pivot` and of the squares of those.
    #[inline(always)]
    fn new(count: f64, pivot: f64, sum: f64, squares: f64, numbers: impl Iterator<Item = f64>) -> Moments {
        let mean = Mean { near: pivot, rest: sum / count };
        let mut m2 = about_mean(sum, mean.rest, squares);
        if m2 == f64::INFINITY {
            m2 = about_mean_of_large(count, pivot, numbers);
        }
        Moments { count, mean, m2: Compensated { sum: m2, lost: 0.0 } }
    }

    #[inline(always)]
    fn merge(&mut self, other: &Moments) {
        self.merge_share(other, other.count / (self.count + other.count));
    }

    /// [`Moments::merge`], where the other's share of all elements is known: a division is dear.
    #[inline(always)]
    fn merge_share(&mut self, other: &Moments, share: f64) {
        if self.count == 0.0 || other.count == 0.0 {
            *self = if self.count == 0.0 { *other } else { *self };
            return;
        }
        self.mean.merge(&mut self.m2, &other.mean, &other.m2, self.count, share);
        self.count += other.count;
    }

    /// Merges cell by cell; neighbours mostly have the same counts.
    fn merge_all(cells: &mut [Moments], others: &[Moments]) {
        let (mut counts, mut share) = ((0.0, 0.0), 0.0);
        for (cell, other) in cells.iter_mut().zip(others) {
            if counts != (cell.count, other.count) {
                counts = (cell.count, other.count);
                share = other.count / (cell.count + other.count);
            }
            cell.merge_share(other, share);
        }
    }
}

/// The sum of squared differences from the mean, from the sum of differences from a pivot near it, the mean of them, and the sum of
/// their squares.
#[inline(always)]
fn about_mean(sum: f64, mean: f64, squares: f64) -> f64 {
    let m2 = squares - sum * mean;
    // Rounding may leave a little below 0; NaN stays. Where only the squares overflow, as the variance then does, the elements are
    // finite.
    let m2 = if m2 < 0.0 { 0.0 } else { m2 };
    if squares == f64::INFINITY && sum.abs() < f64::INFINITY {
        f64::INFINITY
    } else {
        m2
    }
}

/// The same for numbers so large that squares of differences overflow. Those of the largest constants do, as a pivot is rounded.
#[cold]
fn about_mean_of_large(count: f64, pivot: f64, numbers: impl Iterator<Item = f64>) -> f64 {
    // A power of two: what is exact stays exact.
    let scale = f64::from_bits((1023 - 512) << 52);
    let (mut sum, mut squares) = (0.0, 0.0);
    for x in numbers {
        let d = x * scale - pivot * scale;
        sum += d;
        squares += d * d;
    }
    about_mean(sum, sum / count, squares) / scale / scale
}

/// The moments of some columns that have seen as many elements as one another, each figure by itself for wide registers.
struct Strip<'f> {
    count: f64,
    means: &'f mut [f64],
    rests: &'f mut [f64],
    sums: &'f mut [f64],
    lost: &'f mut [f64],
    /// The pivots of the block at hand.
    pivots: &'f mut [f64],
}

impl<'f> Strip<'f> {
    /// Figures of a column.
    const FIGURES: usize = 5;

    /// Those of the first cells that are alike.
    #[inline(always)]
    fn of(cells: &[Moments], figures: &'f mut [f64]) -> Strip<'f> {
        let count = cells[0].count;
        let width = cells.iter().take(STRIP).take_while(|cell| cell.count == count).count();
        let (means, rest) = figures.split_at_mut(width);
        let (rests, rest) = rest.split_at_mut(width);
        let (sums, rest) = rest.split_at_mut(width);
        let (lost, rest) = rest.split_at_mut(width);
        for (i, cell) in cells[..width].iter().enumerate() {
            (means[i], rests[i]) = (cell.mean.near, cell.mean.rest);
            (sums[i], lost[i]) = (cell.m2.sum, cell.m2.lost);
        }
        Strip { count, means, rests, sums, lost, pivots: &mut rest[..width] }
    }

    #[inline(always)]
    fn put(&self, cells: &mut [Moments]) {
        for (i, cell) in cells.iter_mut().enumerate() {
            let mean = Mean { near: self.means[i], rest: self.rests[i] };
            let m2 = Compensated { sum: self.sums[i], lost: self.lost[i] };
            *cell = Moments { count: self.count, mean, m2 };
        }
    }

    /// [`Moments::merge`] of `N` columns and a block's `count` elements of each, with what [`Moments::new`] makes of them; their count
    /// is to be added after the last of them.
    #[inline(always)]
    fn merge<const N: usize>(&mut self, at: usize, count: f64, pivots: &[f64; N], rests: &[f64; N], m2s: &[f64; N]) {
        let own_means: &mut [f64; N] = &mut self.means[at..].as_chunks_mut().0[0];
        let own_rests: &mut [f64; N] = &mut self.rests[at..].as_chunks_mut().0[0];
        let own_sums: &mut [f64; N] = &mut self.sums[at..].as_chunks_mut().0[0];
        let own_lost: &mut [f64; N] = &mut self.lost[at..].as_chunks_mut().0[0];
        let is_first = self.count == 0.0;
        let share = count / (self.count + count);
        if is_first {
            (*own_means, *own_rests, *own_sums, *own_lost) = (*pivots, *rests, *m2s, [0.0; N]);
            return;
        }
        // Copies, which the compiler keeps in registers.
        let (mut means, mut own, mut sums, mut lost) = (*own_means, *own_rests, *own_sums, *own_lost);
        for i in 0..N {
            let mut mean = Mean { near: means[i], rest: own[i] };
            let mut m2 = Compensated { sum: sums[i], lost: lost[i] };
            let other = Mean { near: pivots[i], rest: rests[i] };
            mean.merge(&mut m2, &other, &Compensated { sum: m2s[i], lost: 0.0 }, self.count, share);
            (means[i], own[i]) = (mean.near, mean.rest);
            (sums[i], lost[i]) = (m2.sum, m2.lost);
        }
        (*own_means, *own_rests, *own_sums, *own_lost) = (means, own, sums, lost);
    }
}

/// The variance of a sum of squared differences.
fn variance(m2: f64, seen: &Seen) -> f64 {
    let freedom = seen.count as f64 - seen.ddof; // exact below 2^53
                                                 // As NumPy: `var` divides by 0 where nothing is left, `nanvar` answers NaN.
    if seen.count == 0 || (freedom <= 0.0 && seen.skips_nan) {
        return f64::NAN;
    }
    m2 / freedom.max(0.0)
}

/// An element that variances are taken of.
pub(super) trait Spread: Element {
    type Cell: Pod + Send + Sync;
    type Out: Element + Target;
    fn add_run(cell: &mut Self::Cell, run: &[Unaligned<Self>]);
    /// Adds blocks of so many rows each.
    fn add_rows(cells: &mut [Self::Cell], rows: &[Unaligned<Self>], block: usize);
    fn merge(cells: &mut [Self::Cell], others: &[Self::Cell]);
    /// The sum of squared differences from the mean.
    fn m2(cell: &Self::Cell) -> f64;
}

/// Halves lanes down to `PARTS` sums.
#[inline(always)]
fn halved<const PARTS: usize>(lanes: [f64; LANES]) -> [f64; PARTS] {
    // The compiler may not look through memory here: seeing how lanes are halved, it would add them two by two.
    let mut lanes = black_box(lanes);
    let mut width = LANES;
    while width > PARTS {
        width /= 2;
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    std::array::from_fn(|part| lanes[part])
}

/// Adds numbers to lanes, one to each.
#[inline(always)]
fn add_lanes<T: Source>(lanes: &mut [f64; LANES], numbers: &[Unaligned<T>]) {
    for (lane, x) in lanes.iter_mut().zip(numbers) {
        *lane += x.get().cast::<f64>();
    }
}

/// Adds the differences of numbers from pivots, one to each lane, and their squares.
#[inline(always)]
fn add_differences<T: Source>(
    sums: &mut [f64; AT_ONCE],
    squares: &mut [f64; AT_ONCE],
    pivots: &[f64; AT_ONCE],
    numbers: &[Unaligned<T>],
) {
    for (((sum, square), pivot), x) in sums.iter_mut().zip(squares).zip(pivots).zip(numbers) {
        let d = x.get().cast::<f64>() - *pivot;
        *sum += d;
        *square += d * d;
    }
}

/// Adds a run of numbers that belong to `PARTS` cells in turn (2 for complex).
///
/// Plain loops: a closure would be compiled apart, for what every machine has.
#[inline(always)]
fn run<T: Source, const PARTS: usize>(cells: &mut [Moments; PARTS], run: &[Unaligned<T>]) {
    for block in run.chunks(BLOCK) {
        let (whole, rest) = block.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for numbers in whole {
            add_lanes(&mut lanes, numbers);
        }
        add_lanes(&mut lanes, rest);
        let count = (block.len() / PARTS) as f64;
        let mut pivots: [f64; PARTS] = halved(lanes);
        for (part, pivot) in pivots.iter_mut().enumerate() {
            *pivot /= count;
            if !pivot.is_finite() {
                *pivot = block[part].get().cast(); // the sum may overflow where the elements do not
            }
        }
        let mut pivot_lanes = [0.0; AT_ONCE];
        for (i, pivot) in pivot_lanes.iter_mut().enumerate() {
            *pivot = pivots[i % PARTS];
        }
        let (mut sums, mut squares) = ([0.0; LANES], [0.0; LANES]);
        let parts = sums.as_chunks_mut().0.iter_mut().zip(squares.as_chunks_mut().0);
        for (part, (sums, squares)) in parts.enumerate() {
            let (mut own_sums, mut own_squares) = ([0.0; AT_ONCE], [0.0; AT_ONCE]);
            for numbers in whole {
                let numbers: &[Unaligned<T>; AT_ONCE] = &numbers.as_chunks().0[part];
                add_differences(&mut own_sums, &mut own_squares, &pivot_lanes, numbers);
            }
            let rest = rest.get(part * AT_ONCE..).unwrap_or(&[]);
            add_differences(&mut own_sums, &mut own_squares, &pivot_lanes, rest);
            (*sums, *squares) = (own_sums, own_squares);
        }
        let (sums, squares): ([f64; PARTS], [f64; PARTS]) = (halved(sums), halved(squares));
        for part in 0..PARTS {
            let numbers = block.iter().skip(part).step_by(PARTS).map(|x| x.get().cast());
            cells[part].merge(&Moments::new(count, pivots[part], sums[part], squares[part], numbers));
        }
    }
}

/// Adds blocks of so many rows each, at most [`ROWS`].
#[inline(always)]
fn rows<T: Source>(cells: &mut [Moments], rows: &[Unaligned<T>], block: usize) {
    let len = cells.len();
    // Made in place: moving it would take longer than a block of short rows.
    let mut figures: SmallVec<[f64; Strip::FIGURES * STRIP]> = SmallVec::new();
    figures.resize(Strip::FIGURES * len.min(STRIP), 0.0);
    let mut first = 0;
    while first < len {
        let mut strip = Strip::of(&cells[first..], &mut figures);
        let width = strip.means.len();
        for rows in rows.chunks(block * len) {
            let columns = Columns { rows, len, first };
            columns.pivots(strip.pivots);
            let from = columns.merge::<AT_ONCE>(&mut strip, 0);
            let from = columns.merge::<4>(&mut strip, from);
            columns.merge::<1>(&mut strip, from);
            strip.count += columns.count();
        }
        strip.put(&mut cells[first..][..width]);
        first += width;
    }
}

impl<T: Source> Columns<'_, T> {
    fn count(&self) -> f64 {
        (self.rows.len() / self.len) as f64
    }

    /// A number near the mean of each column. Goes along the rows, some side by side.
    #[inline(always)]
    fn pivots(&self, pivots: &mut [f64]) {
        pivots.fill(0.0);
        for rows in self.rows.chunks(DEEP * self.len) {
            let columns = Columns { rows, ..*self };
            let from = columns.add_to::<AT_ONCE>(pivots, 0);
            let from = columns.add_to::<4>(pivots, from);
            columns.add_to::<1>(pivots, from);
        }
        let count = self.count();
        for (pivot, number) in pivots.iter_mut().zip(&self.rows[self.first..]) {
            let mean = *pivot / count;
            // The sum may overflow where the elements do not.
            *pivot = if mean.abs() < f64::INFINITY { mean } else { number.get().cast() };
        }
    }

    /// Adds rows to sums, `N` columns at a time as long as there are so many, and answers which comes next.
    #[inline(always)]
    fn add_to<const N: usize>(&self, sums: &mut [f64], from: usize) -> usize {
        let mut at = from;
        for sums in sums[from..].as_chunks_mut::<N>().0 {
            let mut own = *sums;
            let mut rest = self.rows;
            while let Some((row, after)) = rest.split_at_checked(self.len) {
                let numbers: &[Unaligned<T>; N] = &row[self.first + at..].as_chunks().0[0];
                for i in 0..N {
                    own[i] += numbers[i].get().cast::<f64>();
                }
                rest = after;
            }
            *sums = own;
            at += N;
        }
        at
    }

    /// Merges columns into a strip, `N` at a time as long as there are so many, and answers which comes next.
    #[inline(always)]
    fn merge<const N: usize>(&self, strip: &mut Strip, from: usize) -> usize {
        let count = self.count();
        let mut at = from;
        while at + N <= strip.means.len() {
            let pivots: [f64; N] = strip.pivots[at..].as_chunks().0[0];
            let (mut sums, mut squares) = ([0.0; N], [0.0; N]);
            let mut rest = self.rows;
            while !rest.is_empty() {
                let (mut group, after) = rest.split_at(rest.len().min(GROUP * self.len));
                let (mut own_sums, mut own_squares) = ([0.0; N], [0.0; N]);
                while let Some((row, after)) = group.split_at_checked(self.len) {
                    let numbers: &[Unaligned<T>; N] = &row[self.first + at..].as_chunks().0[0];
                    for i in 0..N {
                        let d = numbers[i].get().cast::<f64>() - pivots[i];
                        own_sums[i] += d;
                        own_squares[i] += d * d;
                    }
                    group = after;
                }
                for i in 0..N {
                    sums[i] += own_sums[i];
                    squares[i] += own_squares[i];
                }
                rest = after;
            }
            let (mut rests, mut m2s) = ([0.0; N], [0.0; N]);
            let mut is_large = false;
            for i in 0..N {
                rests[i] = sums[i] / count;
                m2s[i] = about_mean(sums[i], rests[i], squares[i]);
                is_large |= m2s[i] == f64::INFINITY;
            }
            if is_large {
                for (i, m2) in m2s.iter_mut().enumerate().filter(|(_, m2)| **m2 == f64::INFINITY) {
                    let numbers = self.rows.chunks_exact(self.len).map(|row| row[self.first + at + i].get().cast());
                    *m2 = about_mean_of_large(count, pivots[i], numbers);
                }
            }
            strip.merge(at, count, &pivots, &rests, &m2s);
            at += N;
        }
        at
    }
}

macro_rules! spreads {
    ($($t:ty => $out:ty, $run:ident $rows:ident;)*) => {$(
        versions! {
            fn $run(cell: &mut [Moments; 1], elements: &[Unaligned<$t>]) = run(cell, elements);
            fn $rows(cells: &mut [Moments], elements: &[Unaligned<$t>], block: usize) = rows(cells, elements, block);
        }
        impl Spread for $t {
            type Cell = Moments;
            type Out = $out;
            fn add_run(cell: &mut Moments, run: &[Unaligned<$t>]) {
                $run(std::array::from_mut(cell), run);
            }
            fn add_rows(cells: &mut [Moments], rows: &[Unaligned<$t>], block: usize) {
                $rows(cells, rows, block);
            }
            fn merge(cells: &mut [Moments], others: &[Moments]) {
                Moments::merge_all(cells, others);
            }
            fn m2(cell: &Moments) -> f64 {
                cell.m2.value()
            }
        }
    )*};
}
spreads! {
    Bool8 => f64, run_bool rows_bool;
    i8 => f64, run_i8 rows_i8;
    i16 => f64, run_i16 rows_i16;
    i32 => f64, run_i32 rows_i32;
    i64 => f64, run_i64 rows_i64;
    u8 => f64, run_u8 rows_u8;
    u16 => f64, run_u16 rows_u16;
    u32 => f64, run_u32 rows_u32;
    u64 => f64, run_u64 rows_u64;
    f16 => f16, run_f16 rows_f16;
    bf16 => bf16, run_bf16 rows_bf16;
    f32 => f32, run_f32 rows_f32;
    f64 => f64, run_f64 rows_f64;
}

macro_rules! complex_spreads {
    ($($t:ty, $part:ty, $run:ident $rows:ident;)*) => {$(
        versions! {
            fn $run(cells: &mut [Moments; 2], parts: &[Unaligned<$part>]) = run(cells, parts);
        }
        impl Spread for $t {
            type Cell = [Moments; 2];
            type Out = $part;
            fn add_run(cells: &mut [Moments; 2], run: &[Unaligned<$t>]) {
                $run(cells, bytemuck::cast_slice(run));
            }
            fn add_rows(cells: &mut [[Moments; 2]], rows: &[Unaligned<$t>], block: usize) {
                $rows(cells.as_flattened_mut(), bytemuck::cast_slice(rows), block);
            }
            fn merge(cells: &mut [[Moments; 2]], others: &[[Moments; 2]]) {
                Moments::merge_all(cells.as_flattened_mut(), others.as_flattened());
            }
            fn m2(cells: &[Moments; 2]) -> f64 {
                cells[0].m2.value() + cells[1].m2.value()
            }
        }
    )*};
}
complex_spreads! {
    Complex32, f32, run_c64 rows_f32;
    Complex64, f64, run_c128 rows_f64;
}

macro_rules! kernel {
    ($kernel:ident, $finish:expr) => {
        impl<T: Spread> Kernel for $kernel<T> {
            type Elem = T;
            type Cell = T::Cell;
            type Out = T::Out;
            const EMPTY: T::Cell = bytemuck::zeroed();
            const PIECE: usize = BLOCK * ROWS;
            const ONE_BLOCK: usize = ROWS;
            fn run(cell: &mut T::Cell, run: &[Unaligned<T>]) {
                T::add_run(cell, run);
            }
            fn rows(cells: &mut [T::Cell], rows: &[Unaligned<T>]) {
                T::add_rows(cells, rows, ROWS);
            }
            fn blocks_of_rows(cells: &mut [T::Cell], rows: &[Unaligned<T>], block: usize) {
                T::add_rows(cells, rows, block);
            }
            fn merge(cell: &mut T::Cell, other: &T::Cell) {
                T::merge(std::slice::from_mut(cell), std::slice::from_ref(other));
            }
            fn merge_all(cells: &mut [T::Cell], others: &[T::Cell]) {
                T::merge(cells, others);
            }
            fn finish(cell: &T::Cell, seen: &Seen) -> T::Out {
                Target::from_f64($finish(variance(T::m2(cell), seen)))
            }
        }
    };
}
kernel!(Var, |variance| variance);
kernel!(Std, f64::sqrt);
