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

use super::compensated::{two_sum, Compensated};
use super::kernel::{Kernel, Seen};
use super::versions::versions;
use crate::nd::dtype::{Bool8, Element};
use crate::nd::kernels::cast::{Source, Target};

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

/// Count, mean and sum of squared differences from it.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Moments {
    count: f64,
    /// The mean is the sum of both.
    mean: f64,
    mean_rest: f64,
    m2: Compensated,
}

impl Moments {
    /// A block of `count` elements, from the sums of their differences from `pivot` and of the squares of those.
    #[inline(always)]
    fn new(count: f64, pivot: f64, sum: f64, squares: f64) -> Moments {
        let mean_rest = sum / count;
        let m2 = about_mean(sum, mean_rest, squares);
        Moments { count, mean: pivot, mean_rest, m2: Compensated { sum: m2, lost: 0.0 } }
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
        // Near one another, the first difference is exact.
        let delta = (other.mean - self.mean) + (other.mean_rest - self.mean_rest);
        let rest = self.mean_rest + delta * share;
        let mean = self.mean + rest;
        if mean.is_finite() {
            self.mean_rest = rest - (mean - self.mean);
            self.mean = mean;
        } else {
            (self.mean, self.mean_rest) = (mean, 0.0);
        }
        self.m2.merge(&other.m2);
        self.m2.add_number(delta * delta * self.count * share);
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

/// Blocks of `N` columns, all of as many elements.
struct Columns<const N: usize> {
    count: f64,
    means: [f64; N],
    rests: [f64; N],
    m2s: [f64; N],
}

impl<const N: usize> Columns<N> {
    /// [`Moments::new`] of each column.
    #[inline(always)]
    fn new(count: f64, pivots: [f64; N], sums: [f64; N], squares: [f64; N]) -> Columns<N> {
        let (mut rests, mut m2s) = ([0.0; N], [0.0; N]);
        for i in 0..N {
            rests[i] = sums[i] / count;
            m2s[i] = about_mean(sums[i], rests[i], squares[i]);
        }
        Columns { count, means: pivots, rests, m2s }
    }

    /// [`Moments::merge`] of each column; without branches where the cells have seen as much as one another, as they mostly have.
    #[inline(always)]
    fn merge_into(&self, cells: &mut [Moments; N]) {
        let before = cells[0].count;
        let mut are_alike = before > 0.0;
        for cell in &*cells {
            are_alike &= cell.count == before;
        }
        if !are_alike {
            for (i, cell) in cells.iter_mut().enumerate() {
                let m2 = Compensated { sum: self.m2s[i], lost: 0.0 };
                cell.merge(&Moments { count: self.count, mean: self.means[i], mean_rest: self.rests[i], m2 });
            }
            return;
        }
        let (mut means, mut rests, mut sums, mut losts) = ([0.0; N], [0.0; N], [0.0; N], [0.0; N]);
        for (i, cell) in cells.iter().enumerate() {
            (means[i], rests[i]) = (cell.mean, cell.mean_rest);
            (sums[i], losts[i]) = (cell.m2.sum, cell.m2.lost);
        }
        let share = self.count / (before + self.count);
        for i in 0..N {
            // As `merge_share`.
            let delta = (self.means[i] - means[i]) + (self.rests[i] - rests[i]);
            let rest = rests[i] + delta * share;
            let mean = means[i] + rest;
            let left = rest - (mean - means[i]);
            rests[i] = if mean.abs() < f64::INFINITY { left } else { 0.0 };
            means[i] = mean;
            (sums[i], losts[i]) = two_sum(sums[i], losts[i], self.m2s[i]);
            (sums[i], losts[i]) = two_sum(sums[i], losts[i], delta * delta * before * share);
        }
        for (i, cell) in cells.iter_mut().enumerate() {
            let m2 = Compensated { sum: sums[i], lost: losts[i] };
            *cell = Moments { count: before + self.count, mean: means[i], mean_rest: rests[i], m2 };
        }
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
    fn add_run(cell: &mut Self::Cell, run: &[Self]);
    fn add_rows(cells: &mut [Self::Cell], rows: &[Self]);
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
fn add_lanes<T: Source>(lanes: &mut [f64; LANES], numbers: &[T]) {
    for (lane, x) in lanes.iter_mut().zip(numbers) {
        *lane += x.cast::<f64>();
    }
}

/// Adds the differences of numbers from pivots, one to each lane, and their squares.
#[inline(always)]
fn add_differences<T: Source>(
    sums: &mut [f64; AT_ONCE],
    squares: &mut [f64; AT_ONCE],
    pivots: &[f64; AT_ONCE],
    numbers: &[T],
) {
    for (((sum, square), pivot), x) in sums.iter_mut().zip(squares).zip(pivots).zip(numbers) {
        let d = x.cast::<f64>() - *pivot;
        *sum += d;
        *square += d * d;
    }
}

/// Adds a run of numbers that belong to `PARTS` cells in turn (2 for complex).
///
/// Plain loops: a closure would be compiled apart, for what every machine has.
#[inline(always)]
fn run<T: Source, const PARTS: usize>(cells: &mut [Moments; PARTS], run: &[T]) {
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
                *pivot = block[part].cast(); // the sum may overflow where the elements do not
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
                let numbers: &[T; AT_ONCE] = &numbers.as_chunks().0[part];
                add_differences(&mut own_sums, &mut own_squares, &pivot_lanes, numbers);
            }
            let rest = rest.get(part * AT_ONCE..).unwrap_or(&[]);
            add_differences(&mut own_sums, &mut own_squares, &pivot_lanes, rest);
            (*sums, *squares) = (own_sums, own_squares);
        }
        let (sums, squares): ([f64; PARTS], [f64; PARTS]) = (halved(sums), halved(squares));
        for part in 0..PARTS {
            cells[part].merge(&Moments::new(count, pivots[part], sums[part], squares[part]));
        }
    }
}

#[inline(always)]
fn rows<T: Source>(cells: &mut [Moments], rows: &[T]) {
    let len = cells.len();
    let mut scratch = [0.0; ROWS * AT_ONCE];
    for rows in rows.chunks(ROWS * len) {
        let from = columns::<T, AT_ONCE>(cells, rows, 0, &mut scratch);
        let from = columns::<T, 4>(cells, rows, from, &mut scratch);
        columns::<T, 1>(cells, rows, from, &mut scratch);
    }
}

/// Adds the rows of a block, `N` columns at a time as long as there are so many, and answers which column comes next. The second look
/// is at a copy: rows whose length is a power of 2 would push one another out of the cache.
#[inline(always)]
fn columns<T: Source, const N: usize>(
    cells: &mut [Moments],
    rows: &[T],
    from: usize,
    scratch: &mut [f64; ROWS * AT_ONCE],
) -> usize {
    let len = cells.len();
    let count = (rows.len() / len) as f64;
    let kept = &mut scratch.as_chunks_mut::<N>().0[..rows.len() / len];
    let mut at = from;
    for cells in cells[from..].as_chunks_mut::<N>().0 {
        let mut pivots = [0.0; N];
        for (row, kept) in rows.chunks_exact(len).zip(&mut *kept) {
            let numbers: &[T; N] = &row[at..].as_chunks().0[0];
            for i in 0..N {
                kept[i] = numbers[i].cast();
                pivots[i] += kept[i];
            }
        }
        for (i, pivot) in pivots.iter_mut().enumerate() {
            *pivot /= count;
            if !pivot.is_finite() {
                *pivot = kept[0][i]; // the sum may overflow where the elements do not
            }
        }
        let (mut sums, mut squares) = ([0.0; N], [0.0; N]);
        for group in kept.chunks(GROUP) {
            let (mut own_sums, mut own_squares) = ([0.0; N], [0.0; N]);
            for numbers in group {
                for i in 0..N {
                    let d = numbers[i] - pivots[i];
                    own_sums[i] += d;
                    own_squares[i] += d * d;
                }
            }
            for i in 0..N {
                sums[i] += own_sums[i];
                squares[i] += own_squares[i];
            }
        }
        Columns::new(count, pivots, sums, squares).merge_into(cells);
        at += N;
    }
    at
}

macro_rules! spreads {
    ($($t:ty => $out:ty, $run:ident $rows:ident;)*) => {$(
        versions! {
            fn $run(cell: &mut [Moments; 1], elements: &[$t]) = run(cell, elements);
            fn $rows(cells: &mut [Moments], elements: &[$t]) = rows(cells, elements);
        }
        impl Spread for $t {
            type Cell = Moments;
            type Out = $out;
            fn add_run(cell: &mut Moments, run: &[$t]) {
                $run(std::array::from_mut(cell), run);
            }
            fn add_rows(cells: &mut [Moments], rows: &[$t]) {
                $rows(cells, rows);
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
            fn $run(cells: &mut [Moments; 2], parts: &[$part]) = run(cells, parts);
        }
        impl Spread for $t {
            type Cell = [Moments; 2];
            type Out = $part;
            fn add_run(cells: &mut [Moments; 2], run: &[$t]) {
                $run(cells, bytemuck::cast_slice(run));
            }
            fn add_rows(cells: &mut [[Moments; 2]], rows: &[$t]) {
                $rows(cells.as_flattened_mut(), bytemuck::cast_slice(rows));
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
            fn run(cell: &mut T::Cell, run: &[T]) {
                T::add_run(cell, run);
            }
            fn rows(cells: &mut [T::Cell], rows: &[T]) {
                T::add_rows(cells, rows);
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
