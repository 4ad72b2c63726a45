//! How `SUM` and `MEAN` add floats.
//!
//! **Floats** are added in float64. A run is cut into spans of 4 x 4096 numbers, what is left over into spans of 4 x 2048, then of
//! 4 x 512, and then into blocks of 512.
//!
//! ```text
//! span           |.......512.......|.......512.......|.......512.......|.......512.......|
//!                         ^                 ^                 ^                 ^
//! 2048 numbers            +-----------------+-----------------+-----------------+   32 lanes step through all four
//!  512 numbers   |                                                             |   32 lanes step through it
//! ```
//! The four quarters of a span are read side by side, 512 numbers of each at a time, because a processor fetches four streams
//! from memory sooner than one: 1.2 times from its last cache, 1.3 from memory. They have to be some pages apart, or it takes them
//! for one. At each step a lane adds one number of each quarter, every 32nd, and it begins anew after four steps. Halving adds
//! the lanes, so that a number takes part in at most 15 + 3 + 5 roundings. Runs of less than 64 numbers use 8 lanes. Of rows,
//! 16 are added one after the other, and then the sums of up to four such groups: at most 15 + 3 roundings. What comes out is
//! added to the cell by TwoSum, which keeps the rounding error beside the sum (Knuth 1969;
//! Ogita, Rump and Oishi 2005): the number of blocks adds no error of first order. A float64 sum is within
//! `25 u * sum(|x|)` of the exact one, u = 2^-53, whatever the length; NumPy's pairwise sum is within
//! `(18 + log2(n / 128)) u`, and down columns within `n u`. A change of the chunk grid moves a sum by at most twice that
//! bound. Narrower floats round once more, at the end.
//!
//! **Complex** numbers are two floats side by side, each part on its own (NumPy's mean of an infinite part makes the other
//! one NaN, ours does not).

use std::hint::black_box;

use bytemuck::Pod;
use half::{bf16, f16};
use num_complex::{Complex32, Complex64};

use super::compensated::Compensated;
use super::kernel::Columns;
use super::sum::Total;
use super::versions::versions;
use crate::nd::kernels::Unaligned;
use crate::nd::rounding::{bf16_to_f32, f16_to_f32};

/// Of a complex number, both parts.
pub(super) type Pair = [Compensated; 2];

/// Numbers of a run that are added in lanes before the cell is touched.
const BLOCK: usize = 512;
/// Rows that are added one after the other, and those that are added before the cells are touched.
const GROUP: usize = 16;
pub(super) const ROWS: usize = 4 * GROUP;
/// Columns of rows that are gone down at a time: their sums fill four registers.
const COLUMNS: usize = 16;
/// Columns of which many blocks are added before the next columns are: their cells stay in the nearest cache.
const STRIP: usize = 1024;

/// What is added as float64.
pub(super) trait Float: Pod {
    fn widen(self) -> f64;
}

macro_rules! floats {
    ($($t:ty: $widen:expr;)*) => {$(
        impl Float for $t {
            #[inline(always)]
            fn widen(self) -> f64 {
                $widen(self)
            }
        }
    )*};
}
floats! {
    f16: |h| f64::from(f16_to_f32(h));
    bf16: |b| f64::from(bf16_to_f32(b));
    f32: f64::from;
    f64: |x| x;
}

// The loops below are plain ones, without closures that a standard function would call: such a function is compiled apart, for
// what every machine has, and it took the time of the whole sum. Lanes are added by `zip`, which becomes wide registers.

/// Lanes of a run.
const LANES: usize = 32;
/// Runs of less numbers have fewer lanes: more would cost more than they save.
const SHORT: usize = 2 * LANES;
/// Quarters of a span, the numbers of one that are added before the cell is touched, and the lengths of spans.
const STREAMS: usize = 4;
const STREAM: usize = 512;
const QUARTERS: [usize; 3] = [4096, 2048, 512];
/// Steps through all parts after which the lanes begin anew: 16 numbers for each.
const STEPS: usize = 4;

/// Adds numbers to lanes, one to each.
#[inline(always)]
fn add_lanes<T: Float>(lanes: &mut [f64], numbers: &[Unaligned<T>]) {
    for (lane, x) in lanes.iter_mut().zip(numbers) {
        *lane += x.get().widen();
    }
}

/// Adds halves until `PARTS` sums are left, which take the numbers in turn, and adds those to the cells.
#[inline(always)]
fn add_halved<const N: usize, const PARTS: usize>(cells: &mut [Compensated; PARTS], mut lanes: [f64; N]) {
    let mut width = N;
    while width > PARTS {
        width /= 2;
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    for (cell, sum) in cells.iter_mut().zip(lanes) {
        cell.add_number(sum);
    }
}

/// The lanes of a part of each quarter of a span, from one number on.
#[inline(always)]
fn quarters<T: Float>(span: &[Unaligned<T>], quarter: usize, from: usize) -> [f64; LANES] {
    let (a, rest) = span.split_at(quarter);
    let (b, rest) = rest.split_at(quarter);
    let (c, d) = rest.split_at(quarter);
    let a = a[from..][..STREAM].as_chunks::<LANES>().0;
    let b = b[from..][..STREAM].as_chunks::<LANES>().0;
    let c = c[from..][..STREAM].as_chunks::<LANES>().0;
    let d = d[from..][..STREAM].as_chunks::<LANES>().0;
    let mut totals = [0.0; LANES];
    for first in (0..STREAM / LANES).step_by(STEPS) {
        let mut lanes = [0.0; LANES];
        for at in first..first + STEPS {
            add_lanes(&mut lanes, &a[at]);
            add_lanes(&mut lanes, &b[at]);
            add_lanes(&mut lanes, &c[at]);
            add_lanes(&mut lanes, &d[at]);
        }
        for (total, lane) in totals.iter_mut().zip(&lanes) {
            *total += *lane;
        }
    }
    totals
}

/// The lanes of fewer numbers.
#[inline(always)]
fn few<T: Float, const N: usize>(numbers: &[Unaligned<T>]) -> [f64; N] {
    let mut lanes = [0.0; N];
    let (whole, rest) = numbers.as_chunks::<N>();
    for numbers in whole {
        add_lanes(&mut lanes, numbers);
    }
    // The compiler may not look through memory here: seeing that few are left over, it would take all lanes one by one.
    let mut lanes = black_box(lanes);
    let (fours, last) = rest.as_chunks::<4>();
    for (lanes, numbers) in lanes.as_chunks_mut::<4>().0.iter_mut().zip(fours) {
        add_lanes(lanes, numbers);
    }
    add_lanes(&mut lanes[4 * fours.len()..], last);
    lanes
}

/// Adds the spans of a run of numbers that belong to `PARTS` cells in turn (2 for complex), and answers how many numbers they are.
#[inline(always)]
pub(super) fn spans<T: Float, const PARTS: usize>(cells: &mut [Compensated; PARTS], run: &[Unaligned<T>]) -> usize {
    let mut rest = run;
    for quarter in QUARTERS {
        while let Some((span, after)) = rest.split_at_checked(STREAMS * quarter) {
            for from in (0..quarter).step_by(STREAM) {
                add_halved(cells, quarters(span, quarter, from));
            }
            rest = after;
        }
    }
    run.len() - rest.len()
}

/// Adds what is left over.
#[inline(always)]
pub(super) fn blocks<T: Float, const PARTS: usize>(cells: &mut [Compensated; PARTS], rest: &[Unaligned<T>]) {
    for block in rest.chunks(BLOCK) {
        add_halved(cells, few::<T, LANES>(block));
    }
}

/// Merges into each cell what its run of `len` numbers, less than [`SHORT`], gives an empty one.
#[inline(always)]
pub(super) fn short_runs<T: Float, const PARTS: usize>(
    cells: &mut [[Compensated; PARTS]],
    runs: &[Unaligned<T>],
    len: usize,
) {
    for (cells, run) in cells.iter_mut().zip(runs.chunks_exact(len)) {
        let mut own = [Compensated::default(); PARTS];
        add_halved(&mut own, few::<T, 8>(run));
        merge(cells, &own);
    }
}

/// A loop over runs of so many numbers, into a set of cells each.
type ManyRuns<T, const PARTS: usize> = fn(&mut [[Compensated; PARTS]], &[Unaligned<T>], usize);

/// The loops over runs, each compiled by itself: together they are more than the compiler keeps in wide registers.
pub(super) struct Loops<T, const PARTS: usize> {
    pub spans: fn(&mut [Compensated; PARTS], &[Unaligned<T>]) -> usize,
    pub blocks: fn(&mut [Compensated; PARTS], &[Unaligned<T>]),
    pub short_runs: ManyRuns<T, PARTS>,
}

impl<T, const PARTS: usize> Loops<T, PARTS> {
    pub fn add_run(&self, cells: &mut [Compensated; PARTS], run: &[Unaligned<T>]) {
        if run.len() < SHORT {
            if !run.is_empty() {
                (self.short_runs)(std::slice::from_mut(cells), run, run.len());
            }
            return;
        }
        let done = if run.len() < STREAMS * STREAM { 0 } else { (self.spans)(cells, run) };
        if done < run.len() {
            (self.blocks)(cells, &run[done..]);
        }
    }

    /// Merges into each cell what its run of `len` numbers gives an empty one.
    pub fn add_runs(&self, cells: &mut [[Compensated; PARTS]], runs: &[Unaligned<T>], len: usize) {
        if len < SHORT {
            return (self.short_runs)(cells, runs, len);
        }
        for (cells, run) in cells.iter_mut().zip(runs.chunks_exact(len)) {
            let mut own = [Compensated::default(); PARTS];
            self.add_run(&mut own, run);
            merge(cells, &own);
        }
    }
}

#[inline(always)]
fn merge<const PARTS: usize>(cells: &mut [Compensated; PARTS], others: &[Compensated; PARTS]) {
    for (cell, other) in cells.iter_mut().zip(others) {
        cell.merge(other);
    }
}

/// Adds blocks of so many rows each, at most [`ROWS`], to cells.
#[inline(always)]
pub(super) fn float_rows<T: Float>(
    cells: &mut [Compensated],
    rows: &[Unaligned<T>],
    block: usize,
    add: impl Fn(&mut [Compensated; COLUMNS], &[f64; COLUMNS]),
) {
    let len = cells.len();
    for (strip, cells) in cells.chunks_mut(STRIP).enumerate() {
        // Not `chunks`, here and below: it divides, which takes as long as a few rows.
        let mut rest = rows;
        while !rest.is_empty() {
            let (rows, after) = rest.split_at(rest.len().min(block * len));
            let columns = Columns { rows, len, first: strip * STRIP };
            let from = columns.add::<COLUMNS>(cells, 0, &add);
            let from = columns.add::<4>(cells, from, add_each);
            columns.add::<1>(cells, from, add_each);
            rest = after;
        }
    }
}

impl<T: Float> Columns<'_, T> {
    /// Goes down rows, `N` columns at a time as long as there are cells for so many, and answers which cell comes next.
    #[inline(always)]
    fn add<const N: usize>(
        &self,
        cells: &mut [Compensated],
        from: usize,
        add: impl Fn(&mut [Compensated; N], &[f64; N]),
    ) -> usize {
        let len = self.len;
        let mut at = from;
        for cells in cells[from..].as_chunks_mut::<N>().0 {
            let mut totals = [0.0; N];
            let mut rest = self.rows;
            while !rest.is_empty() {
                let (mut group, after) = rest.split_at(rest.len().min(GROUP * len));
                let mut sums = [0.0; N];
                while let Some((row, after)) = group.split_at_checked(len) {
                    let numbers: &[Unaligned<T>; N] = &row[self.first + at..].as_chunks().0[0];
                    add_lanes(&mut sums, numbers);
                    group = after;
                }
                for (total, sum) in totals.iter_mut().zip(&sums) {
                    *total += *sum;
                }
                rest = after;
            }
            add(cells, &totals);
            at += N;
        }
        at
    }
}

/// Adds a number to each cell.
#[inline(always)]
pub(super) fn add_each<const N: usize>(cells: &mut [Compensated; N], numbers: &[f64; N]) {
    for (cell, x) in cells.iter_mut().zip(numbers) {
        cell.add_number(*x);
    }
}

/// [`add_each`], four cells at a time: the compiler would take sums and losses apart in twice as many steps. In the loop down
/// the rows, it is done while the next rows are on their way from memory.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn add_each_avx2(cells: &mut [Compensated; COLUMNS], numbers: &[f64; COLUMNS]) {
    use std::arch::x86_64::{
        __m256d, _mm256_add_pd, _mm256_permute4x64_pd, _mm256_sub_pd, _mm256_unpackhi_pd, _mm256_unpacklo_pd,
    };
    for (cells, numbers) in cells.as_chunks_mut::<4>().0.iter_mut().zip(numbers.as_chunks::<4>().0) {
        let [first, second]: [__m256d; 2] = bytemuck::cast(*cells);
        // The cells 0, 2, 1, 3.
        let (sum, lost) = (_mm256_unpacklo_pd(first, second), _mm256_unpackhi_pd(first, second));
        let x = _mm256_permute4x64_pd::<0b11_01_10_00>(bytemuck::cast(*numbers));
        // As `two_sum`.
        let total = _mm256_add_pd(sum, x);
        let of_x = _mm256_sub_pd(total, sum);
        let of_sum = _mm256_sub_pd(total, of_x);
        let rounded = _mm256_add_pd(_mm256_sub_pd(sum, of_sum), _mm256_sub_pd(x, of_x));
        let lost = _mm256_add_pd(lost, rounded);
        *cells = bytemuck::cast([_mm256_unpacklo_pd(total, lost), _mm256_unpackhi_pd(total, lost)]);
    }
}

/// The totals of types that are added as one float64 each.
macro_rules! float_totals {
    ($($t:ty: $loops:ident $spans:ident $blocks:ident $short:ident $rows:ident;)*) => {$(
        versions! {
            fn $spans(cells: &mut [Compensated; 1], run: &[Unaligned<$t>]) -> usize = spans(cells, run);
            fn $blocks(cells: &mut [Compensated; 1], rest: &[Unaligned<$t>]) = blocks(cells, rest);
            fn $short(cells: &mut [[Compensated; 1]], runs: &[Unaligned<$t>], len: usize) = short_runs(cells, runs, len);
            fn $rows(cells: &mut [Compensated], rows: &[Unaligned<$t>], block: usize) =
                float_rows(cells, rows, block, add_each),
                avx2 = float_rows(cells, rows, block, |cells, numbers| add_each_avx2(cells, numbers));
        }
        const $loops: Loops<$t, 1> = Loops { spans: $spans, blocks: $blocks, short_runs: $short };
        impl Total<$t> for Compensated {
            const ONE_BLOCK: usize = ROWS;
            fn add_run(&mut self, run: &[Unaligned<$t>]) {
                $loops.add_run(std::array::from_mut(self), run);
            }
            fn add_runs(totals: &mut [Compensated], runs: &[Unaligned<$t>], len: usize) {
                $loops.add_runs(bytemuck::cast_slice_mut(totals), runs, len);
            }
            fn add_rows(totals: &mut [Compensated], rows: &[Unaligned<$t>]) {
                $rows(totals, rows, ROWS);
            }
            fn add_blocks(totals: &mut [Compensated], rows: &[Unaligned<$t>], block: usize) {
                $rows(totals, rows, block);
            }
            fn add_total(&mut self, other: &Compensated) {
                self.merge(other);
            }
        }
    )*};
}
pub(super) use float_totals;
float_totals! {
    f16: F16 spans_f16 blocks_f16 short_f16 rows_f16;
    bf16: BF16 spans_bf16 blocks_bf16 short_bf16 rows_bf16;
    f32: F32 spans_f32 blocks_f32 short_f32 rows_f32;
    f64: F64 spans_f64 blocks_f64 short_f64 rows_f64;
}

macro_rules! complex_totals {
    ($($t:ty, $part:ty: $loops:ident $spans:ident $blocks:ident $short:ident $rows:ident;)*) => {$(
        versions! {
            fn $spans(cells: &mut Pair, run: &[Unaligned<$part>]) -> usize = spans(cells, run);
            fn $blocks(cells: &mut Pair, rest: &[Unaligned<$part>]) = blocks(cells, rest);
            fn $short(cells: &mut [Pair], runs: &[Unaligned<$part>], len: usize) = short_runs(cells, runs, len);
        }
        const $loops: Loops<$part, 2> = Loops { spans: $spans, blocks: $blocks, short_runs: $short };
        impl Total<$t> for Pair {
            const ONE_BLOCK: usize = ROWS;
            fn add_run(&mut self, run: &[Unaligned<$t>]) {
                $loops.add_run(self, bytemuck::cast_slice(run));
            }
            fn add_runs(totals: &mut [Pair], runs: &[Unaligned<$t>], len: usize) {
                $loops.add_runs(totals, bytemuck::cast_slice(runs), 2 * len);
            }
            fn add_rows(totals: &mut [Pair], rows: &[Unaligned<$t>]) {
                $rows(totals.as_flattened_mut(), bytemuck::cast_slice(rows), ROWS);
            }
            fn add_blocks(totals: &mut [Pair], rows: &[Unaligned<$t>], block: usize) {
                $rows(totals.as_flattened_mut(), bytemuck::cast_slice(rows), block);
            }
            fn add_total(&mut self, other: &Pair) {
                self[0].merge(&other[0]);
                self[1].merge(&other[1]);
            }
        }
    )*};
}
complex_totals! {
    Complex32, f32: C64 spans_c64 blocks_c64 short_c64 rows_f32;
    Complex64, f64: C128 spans_c128 blocks_c128 short_c128 rows_f64;
}
