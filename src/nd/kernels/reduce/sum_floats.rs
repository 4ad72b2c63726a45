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
use smallvec::SmallVec;

use super::compensated::{two_sum, Compensated};
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
/// Columns that are added at a time: their sums fill four registers.
const COLUMNS: usize = 16;
/// Columns of which many blocks are added before the next columns are: their cells stay in the nearest cache.
const STRIP: usize = 1024;
/// Rows that are read side by side.
const DEEP: usize = GROUP;

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
pub(super) fn float_rows<T: Float>(cells: &mut [Compensated], rows: &[Unaligned<T>], block: usize) {
    let len = cells.len();
    let mut columns = Columns { rows, len, first: 0 };
    let (whole, tail) = cells.split_at_mut(len / COLUMNS * COLUMNS);
    // Made in place: moving it would take longer than a block of short rows.
    let mut figures: SmallVec<[f64; Strip::FIGURES * STRIP]> = SmallVec::new();
    figures.resize(Strip::FIGURES * whole.len().min(STRIP), 0.0);
    for cells in whole.chunks_mut(STRIP) {
        let mut strip = Strip::of(cells, &mut figures);
        strip.add_blocks(&columns, block);
        strip.put(cells);
        columns.first += cells.len();
    }
    // Not `chunks`, here and below: it divides, which takes as long as a few rows.
    let mut rest = if tail.is_empty() { &[] } else { rows };
    while !rest.is_empty() {
        let (rows, after) = rest.split_at(rest.len().min(block * len));
        let columns = Columns { rows, ..columns };
        let from = columns.add::<4>(tail, 0);
        match tail.len() - from {
            3 => columns.add::<3>(tail, from),
            2 => columns.add::<2>(tail, from),
            _ => columns.add::<1>(tail, from),
        };
        rest = after;
    }
}

impl<T: Float> Columns<'_, T> {
    /// Goes down the rows of a block, `N` columns at a time as long as there are cells for so many, and answers which cell comes next.
    #[inline(always)]
    fn add<const N: usize>(&self, cells: &mut [Compensated], from: usize) -> usize {
        let len = self.len;
        let mut at = from;
        for cells in cells[from..].as_chunks_mut::<N>().0 {
            let mut totals = [0.0; N];
            let mut rest = self.rows;
            while !rest.is_empty() {
                let (rows, after) = rest.split_at(rest.len().min(GROUP * len));
                add_sums(&mut totals, &Columns { rows, len, first: self.first + at }.down([0.0; N]));
                rest = after;
            }
            for (cell, x) in cells.iter_mut().zip(totals) {
                cell.add_number(x);
            }
            at += N;
        }
        at
    }

    /// Adds the first `N` columns to sums, one row after the other.
    #[inline(always)]
    fn down<const N: usize>(&self, sums: [f64; N]) -> [f64; N] {
        let mut sums = sums;
        let mut rest = self.rows;
        while let Some((row, after)) = rest.split_at_checked(self.len) {
            let numbers: &[Unaligned<T>; N] = &row[self.first..].as_chunks().0[0];
            add_lanes(&mut sums, numbers);
            rest = after;
        }
        sums
    }
}

#[inline(always)]
fn add_sums<const N: usize>(totals: &mut [f64; N], sums: &[f64; N]) {
    for (total, sum) in totals.iter_mut().zip(sums) {
        *total += *sum;
    }
}

/// The cells of some columns, a multiple of [`COLUMNS`], each figure by itself for wide registers.
struct Strip<'f> {
    sums: &'f mut [f64],
    lost: &'f mut [f64],
    /// What the rows of a block come to: those of its complete groups, and those of the group that is not.
    groups: &'f mut [f64],
    group: &'f mut [f64],
}

/// Where in its block a run of rows lies.
#[derive(Clone, Copy)]
struct Stage {
    follows_groups: bool,
    continues_group: bool,
    ends: Ends,
}

/// What is complete after a run of rows.
#[derive(Clone, Copy)]
enum Ends {
    Nothing,
    Group,
    Block,
}

impl<'f> Strip<'f> {
    /// Figures of a column.
    const FIGURES: usize = 4;

    #[inline(always)]
    fn of(cells: &[Compensated], figures: &'f mut [f64]) -> Strip<'f> {
        let width = cells.len();
        let (sums, rest) = figures.split_at_mut(width);
        let (lost, rest) = rest.split_at_mut(width);
        let (groups, rest) = rest.split_at_mut(width);
        for (cell, (sum, lost)) in cells.iter().zip(sums.iter_mut().zip(&mut *lost)) {
            (*sum, *lost) = (cell.sum, cell.lost);
        }
        Strip { sums, lost, groups, group: &mut rest[..width] }
    }

    #[inline(always)]
    fn put(&self, cells: &mut [Compensated]) {
        for (cell, (sum, lost)) in cells.iter_mut().zip(self.sums.iter().zip(&*self.lost)) {
            *cell = Compensated { sum: *sum, lost: *lost };
        }
    }

    /// Adds blocks of so many rows each.
    ///
    /// Some rows are read side by side, from end to end: a processor fetches such streams sooner than a piece of each of many rows.
    #[inline(always)]
    fn add_blocks<T: Float>(&mut self, columns: &Columns<'_, T>, block: usize) {
        let Columns { rows: mut rest, len, .. } = *columns;
        // Rows a power of 2 apart push one another out of the nearest cache.
        let most = if (len * size_of::<T>()).is_multiple_of(512) { DEEP / 2 } else { DEEP };
        let mut left = rest.len() / len;
        // The next row of the block.
        let mut at = 0;
        while left > 0 {
            let height = block.min(at + left);
            // Of few rows, so many blocks at once that cells are read and written once for all of them.
            let few = (most / block * block).min(left);
            let deep = if block <= most / 2 { few } else { most.min(GROUP - at % GROUP).min(height - at) };
            let end = at + deep;
            let ends = match end {
                _ if end >= height => Ends::Block,
                _ if end.is_multiple_of(GROUP) => Ends::Group,
                _ => Ends::Nothing,
            };
            let (rows, after) = rest.split_at(deep * len);
            let stage = Stage { follows_groups: at >= GROUP, continues_group: !at.is_multiple_of(GROUP), ends };
            self.add(&Columns { rows, ..*columns }, block, stage);
            at = if matches!(ends, Ends::Block) { 0 } else { end };
            left -= deep;
            rest = after;
        }
    }

    /// Adds rows of one block, or of blocks of so many rows each.
    #[inline(always)]
    fn add<T: Float>(&mut self, columns: &Columns<'_, T>, block: usize, stage: Stage) {
        let Columns { rows, len, first } = *columns;
        let cells = self.sums.as_chunks_mut::<COLUMNS>().0.iter_mut().zip(self.lost.as_chunks_mut::<COLUMNS>().0);
        let parts = self.groups.as_chunks_mut::<COLUMNS>().0.iter_mut().zip(self.group.as_chunks_mut::<COLUMNS>().0);
        let places = (first..).step_by(COLUMNS);
        for (((sums, lost), (groups, group)), first) in cells.zip(parts).zip(places) {
            let begin = if stage.continues_group { *group } else { [0.0; COLUMNS] };
            match stage.ends {
                Ends::Nothing => *group = Columns { rows, len, first }.down(begin),
                Ends::Group if !stage.follows_groups => *groups = Columns { rows, len, first }.down(begin),
                Ends::Group => add_sums(groups, &Columns { rows, len, first }.down(begin)),
                Ends::Block => {
                    // Copies, which the compiler keeps in registers.
                    let (mut own_sums, mut own_lost) = (*sums, *lost);
                    let mut rest = rows;
                    while !rest.is_empty() {
                        let (rows, after) = rest.split_at(rest.len().min(block * len));
                        let mut total = Columns { rows, len, first }.down(begin);
                        if stage.follows_groups {
                            add_sums(&mut total, groups);
                        }
                        for i in 0..COLUMNS {
                            (own_sums[i], own_lost[i]) = two_sum(own_sums[i], own_lost[i], total[i]);
                        }
                        rest = after;
                    }
                    (*sums, *lost) = (own_sums, own_lost);
                }
            }
        }
    }
}

/// The totals of types that are added as one float64 each.
macro_rules! float_totals {
    ($($t:ty: $loops:ident $spans:ident $blocks:ident $short:ident $rows:ident;)*) => {$(
        versions! {
            fn $spans(cells: &mut [Compensated; 1], run: &[Unaligned<$t>]) -> usize = spans(cells, run);
            fn $blocks(cells: &mut [Compensated; 1], rest: &[Unaligned<$t>]) = blocks(cells, rest);
            fn $short(cells: &mut [[Compensated; 1]], runs: &[Unaligned<$t>], len: usize) = short_runs(cells, runs, len);
            fn $rows(cells: &mut [Compensated], rows: &[Unaligned<$t>], block: usize) = float_rows(cells, rows, block);
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
