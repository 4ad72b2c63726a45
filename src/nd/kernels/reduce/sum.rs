//! `SUM` and `MEAN`.
//!
//! **Floats** are added in float64. A run is cut into blocks of 2048 numbers, and what is left over into blocks of 512.
//!
//! ```text
//! 2048 numbers   |      512      |      512      |      512      |      512      |   32 lanes step through all four
//!  512 numbers   |                                                               |   32 lanes step through it
//! ```
//! The four parts of a long block are read side by side, because a processor fetches four streams from memory sooner than one
//! (1.1 times from its last cache, 1.4 from memory). At each step a lane adds one number of each part, every 32nd, and it begins
//! anew after four steps. Halving adds the lanes, so that a number takes part in at most 15 + 3 + 5 roundings. Runs of less
//! than 64 numbers use 8 lanes. Rows are added eight at a time by halving, and what is left over four, two and one at a time.
//! What comes out is added to the cell by TwoSum, which keeps the rounding error beside the sum (Knuth 1969;
//! Ogita, Rump and Oishi 2005): the number of blocks adds no error of first order. A float64 sum is within
//! `25 u * sum(|x|)` of the exact one, u = 2^-53, whatever the length; NumPy's pairwise sum is within
//! `(18 + log2(n / 128)) u`, and down columns within `n u`. A change of the chunk grid moves a sum by at most twice that
//! bound. Narrower floats round once more, at the end.
//!
//! **Complex** numbers are two floats side by side, each part on its own (NumPy's mean of an infinite part makes the other
//! one NaN, ours does not).
//!
//! **Integers** are added exactly: modulo 2^64 for a sum, in 128 bits for a mean, which is then divided once.

use std::marker::PhantomData;

use bytemuck::{Pod, Zeroable};
use half::{bf16, f16};
use num_complex::{Complex32, Complex64};

use super::compensated::{two_sum, Compensated};
use super::kernel::{Kernel, Seen};
use super::versions::versions;
use crate::nd::dtype::{Bool8, Element};
use crate::nd::kernels::cast::Target;
use crate::nd::rounding::{bf16_to_f32, f16_to_f32};

/// The sum kernel of an element type.
pub struct Sum<T>(PhantomData<fn() -> T>);

/// The mean kernel of an element type.
pub struct Mean<T>(PhantomData<fn() -> T>);

/// A running total of elements of type `T`.
pub(super) trait Total<T>: Pod + Send + Sync {
    const TAKES_ROWS_ONTO: bool = false;
    fn add_run(&mut self, run: &[T]);
    /// As [`Kernel::runs_onto`].
    fn add_runs(totals: &mut [Self], runs: &[T], len: usize);
    fn add_rows(totals: &mut [Self], rows: &[T]);
    /// As [`Kernel::rows_onto`].
    fn rows_onto(_totals: &mut [Self], _rows: &[T]) {}
    fn add_total(&mut self, other: &Self);
}

macro_rules! kernels {
    ($($t:ty: $sum_total:ty => $sum:ty = $finish_sum:expr, $mean_total:ty => $mean:ty = $finish_mean:expr;)*) => {$(
        kernels!(@ Sum, $t, $sum_total, $sum, $finish_sum);
        kernels!(@ Mean, $t, $mean_total, $mean, $finish_mean);
    )*};
    (@ $kernel:ident, $t:ty, $total:ty, $out:ty, $finish:expr) => {
        impl Kernel for $kernel<$t> {
            type Elem = $t;
            type Cell = $total;
            type Out = $out;
            const EMPTY: $total = bytemuck::zeroed();
            const PIECE: usize = PIECE;
            const IS_EXACT: bool = !<$t as Element>::DTYPE.is_inexact();
            const TAKES_ROWS_ONTO: bool = <$total as Total<$t>>::TAKES_ROWS_ONTO;
            fn run(cell: &mut $total, run: &[$t]) {
                cell.add_run(run);
            }
            fn rows(cells: &mut [$total], rows: &[$t]) {
                <$total as Total<$t>>::add_rows(cells, rows);
            }
            fn runs_onto(cells: &mut [$total], runs: &[$t], len: usize) {
                <$total as Total<$t>>::add_runs(cells, runs, len);
            }
            fn rows_onto(cells: &mut [$total], rows: &[$t]) {
                <$total as Total<$t>>::rows_onto(cells, rows);
            }
            fn merge(cell: &mut $total, other: &$total) {
                <$total as Total<$t>>::add_total(cell, other);
            }
            fn finish(cell: &$total, seen: &Seen) -> $out {
                $finish(*cell, seen.count as f64) // exact below 2^53 elements, nearest above
            }
        }
    };
}

// The bits of a wrapped sum are those of the signed and of the unsigned result.
kernels! {
    Bool8: Wrapped => i64 = |w: Wrapped, _| w.0 as i64, i128 => f64 = |i, n| i as f64 / n;
    i8: Wrapped => i64 = |w: Wrapped, _| w.0 as i64, i128 => f64 = |i, n| i as f64 / n;
    i16: Wrapped => i64 = |w: Wrapped, _| w.0 as i64, i128 => f64 = |i, n| i as f64 / n;
    i32: Wrapped => i64 = |w: Wrapped, _| w.0 as i64, i128 => f64 = |i, n| i as f64 / n;
    i64: Wrapped => i64 = |w: Wrapped, _| w.0 as i64, i128 => f64 = |i, n| i as f64 / n;
    u8: Wrapped => u64 = |w: Wrapped, _| w.0, i128 => f64 = |i, n| i as f64 / n;
    u16: Wrapped => u64 = |w: Wrapped, _| w.0, i128 => f64 = |i, n| i as f64 / n;
    u32: Wrapped => u64 = |w: Wrapped, _| w.0, i128 => f64 = |i, n| i as f64 / n;
    u64: Wrapped => u64 = |w: Wrapped, _| w.0, i128 => f64 = |i, n| i as f64 / n;
    f16: Compensated => f16 = |c: Compensated, _| <f16 as Target>::from_f64(c.value()),
        Compensated => f16 = |c: Compensated, n| <f16 as Target>::from_f64(c.value() / n);
    bf16: Compensated => bf16 = |c: Compensated, _| <bf16 as Target>::from_f64(c.value()),
        Compensated => bf16 = |c: Compensated, n| <bf16 as Target>::from_f64(c.value() / n);
    f32: Compensated => f32 = |c: Compensated, _| f32::from_f64(c.value()),
        Compensated => f32 = |c: Compensated, n| f32::from_f64(c.value() / n);
    f64: Compensated => f64 = |c: Compensated, _| c.value(), Compensated => f64 = |c: Compensated, n| c.value() / n;
    Complex32: Pair => Complex32 = |c: Pair, _| Complex32::new(f32::from_f64(c[0].value()), f32::from_f64(c[1].value())),
        Pair => Complex32 =
            |c: Pair, n| Complex32::new(f32::from_f64(c[0].value() / n), f32::from_f64(c[1].value() / n));
    Complex64: Pair => Complex64 = |c: Pair, _| Complex64::new(c[0].value(), c[1].value()),
        Pair => Complex64 = |c: Pair, n| Complex64::new(c[0].value() / n, c[1].value() / n);
}

/// A multiple of every block below, in elements and in rows.
const PIECE: usize = 4096;
/// Numbers of a run that are added in lanes before the cell is touched.
const BLOCK: usize = 512;
/// Rows that are added by halving before the cells are touched.
const ROWS: usize = 8;
/// Columns of rows that are worked on at a time.
const STRIP: usize = 256;

type Pair = [Compensated; 2];

/// A float that is added as float64.
trait Float: Pod {
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
/// Parts of a long block that are read side by side, and the numbers of each.
const STREAMS: usize = 4;
const STREAM: usize = 512;
/// Steps through all parts after which the lanes begin anew: 16 numbers for each.
const STEPS: usize = 4;

/// Adds numbers to lanes, one to each.
#[inline(always)]
fn add_lanes<T: Float, const N: usize>(lanes: &mut [f64; N], numbers: &[T]) {
    for (lane, x) in lanes.iter_mut().zip(numbers) {
        *lane += x.widen();
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

/// The lanes of a long block.
#[inline(always)]
fn long_block<T: Float>(block: &[T; STREAMS * STREAM]) -> [f64; LANES] {
    let (a, rest) = block.split_at(STREAM);
    let (b, rest) = rest.split_at(STREAM);
    let (c, d) = rest.split_at(STREAM);
    let (a, b) = (a.as_chunks::<LANES>().0, b.as_chunks::<LANES>().0);
    let (c, d) = (c.as_chunks::<LANES>().0, d.as_chunks::<LANES>().0);
    let mut totals = [0.0; LANES];
    for first in (0..STREAM / LANES).step_by(STEPS) {
        let mut lanes = [0.0; LANES];
        for at in first..first + STEPS {
            add_lanes(&mut lanes, &a[at]);
            add_lanes(&mut lanes, &b[at]);
            add_lanes(&mut lanes, &c[at]);
            add_lanes(&mut lanes, &d[at]);
        }
        add_lanes(&mut totals, &lanes);
    }
    totals
}

/// The lanes of fewer numbers.
#[inline(always)]
fn few<T: Float, const N: usize>(numbers: &[T]) -> [f64; N] {
    let mut lanes = [0.0; N];
    let (whole, rest) = numbers.as_chunks::<N>();
    for numbers in whole {
        add_lanes(&mut lanes, numbers);
    }
    add_lanes(&mut lanes, rest);
    lanes
}

/// Adds a run of numbers that belong to `PARTS` cells in turn (2 for complex).
#[inline(always)]
fn float_run<T: Float, const PARTS: usize>(cells: &mut [Compensated; PARTS], run: &[T]) {
    if run.len() < 2 * LANES {
        // 32 lanes would cost more than they save.
        return add_halved(cells, few::<T, 8>(run));
    }
    let (long, rest) = run.as_chunks::<{ STREAMS * STREAM }>();
    for block in long {
        add_halved(cells, long_block(block));
    }
    for block in rest.chunks(BLOCK) {
        add_halved(cells, few::<T, LANES>(block));
    }
}

/// Merges into each cell what its run of `len` numbers gives an empty one.
#[inline(always)]
fn float_runs<T: Float, const PARTS: usize>(cells: &mut [[Compensated; PARTS]], runs: &[T], len: usize) {
    for (cells, run) in cells.iter_mut().zip(runs.chunks_exact(len)) {
        let mut own = [Compensated::default(); PARTS];
        float_run(&mut own, run);
        for (cell, own) in cells.iter_mut().zip(&own) {
            cell.merge(own);
        }
    }
}

/// Adds rows to cells; `ONTO`: merges into the cells what the rows give empty ones.
#[inline(always)]
fn float_rows<T: Float, const ONTO: bool>(cells: &mut [Compensated], rows: &[T]) {
    let len = cells.len();
    for (strip, cells) in cells.chunks_mut(STRIP).enumerate() {
        let width = cells.len();
        let (mut sums, mut losts) = ([0.0; STRIP], [0.0; STRIP]);
        let (sums, losts) = (&mut sums[..width], &mut losts[..width]);
        if !ONTO {
            for (i, cell) in cells.iter().enumerate() {
                (sums[i], losts[i]) = (cell.sum, cell.lost);
            }
        }
        let at = strip * STRIP;
        let mut groups = rows.chunks_exact(ROWS * len);
        for group in &mut groups {
            add_group::<T, ROWS>(sums, losts, group, len, at);
        }
        let mut rest = groups.remainder();
        if rest.len() >= 4 * len {
            add_group::<T, 4>(sums, losts, rest, len, at);
            rest = &rest[4 * len..];
        }
        if rest.len() >= 2 * len {
            add_group::<T, 2>(sums, losts, rest, len, at);
            rest = &rest[2 * len..];
        }
        if !rest.is_empty() {
            add_group::<T, 1>(sums, losts, rest, len, at);
        }
        for (i, cell) in cells.iter_mut().enumerate() {
            let own = Compensated { sum: sums[i], lost: losts[i] };
            if ONTO {
                cell.merge(&own);
            } else {
                *cell = own;
            }
        }
    }
}

/// Adds `N` rows of `len` numbers by halving, from column `at` on.
#[inline(always)]
fn add_group<T: Float, const N: usize>(sums: &mut [f64], losts: &mut [f64], rows: &[T], len: usize, at: usize) {
    let width = sums.len();
    let losts = &mut losts[..width];
    let mut parts: [&[T]; N] = [&[]; N];
    for (row, part) in parts.iter_mut().enumerate() {
        *part = &rows[row * len + at..][..width];
    }
    for i in 0..width {
        let mut x = [0.0; N];
        for (x, part) in x.iter_mut().zip(&parts) {
            *x = part[i].widen();
        }
        let mut half = N;
        while half > 1 {
            half /= 2;
            for row in 0..half {
                x[row] += x[row + half];
            }
        }
        (sums[i], losts[i]) = two_sum(sums[i], losts[i], x[0]);
    }
}

macro_rules! float_totals {
    ($($t:ty: $run:ident $runs:ident $rows:ident $rows_onto:ident;)*) => {$(
        versions! {
            fn $run(cells: &mut [Compensated; 1], run: &[$t]) = float_run(cells, run);
            fn $runs(cells: &mut [[Compensated; 1]], runs: &[$t], len: usize) = float_runs(cells, runs, len);
            fn $rows(cells: &mut [Compensated], rows: &[$t]) = float_rows::<$t, false>(cells, rows);
            fn $rows_onto(cells: &mut [Compensated], rows: &[$t]) = float_rows::<$t, true>(cells, rows);
        }
        impl Total<$t> for Compensated {
            const TAKES_ROWS_ONTO: bool = true;
            fn add_run(&mut self, run: &[$t]) {
                $run(std::array::from_mut(self), run);
            }
            fn add_runs(totals: &mut [Compensated], runs: &[$t], len: usize) {
                $runs(bytemuck::cast_slice_mut(totals), runs, len);
            }
            fn add_rows(totals: &mut [Compensated], rows: &[$t]) {
                $rows(totals, rows);
            }
            fn rows_onto(totals: &mut [Compensated], rows: &[$t]) {
                $rows_onto(totals, rows);
            }
            fn add_total(&mut self, other: &Compensated) {
                self.merge(other);
            }
        }
    )*};
}
float_totals! {
    f16: run_f16 runs_f16 rows_f16 rows_onto_f16;
    bf16: run_bf16 runs_bf16 rows_bf16 rows_onto_bf16;
    f32: run_f32 runs_f32 rows_f32 rows_onto_f32;
    f64: run_f64 runs_f64 rows_f64 rows_onto_f64;
}

macro_rules! complex_totals {
    ($($t:ty, $part:ty: $run:ident $runs:ident $rows:ident $rows_onto:ident;)*) => {$(
        versions! {
            fn $run(cells: &mut Pair, run: &[$part]) = float_run(cells, run);
            fn $runs(cells: &mut [Pair], runs: &[$part], len: usize) = float_runs(cells, runs, len);
        }
        impl Total<$t> for Pair {
            const TAKES_ROWS_ONTO: bool = true;
            fn add_run(&mut self, run: &[$t]) {
                $run(self, bytemuck::cast_slice(run));
            }
            fn add_runs(totals: &mut [Pair], runs: &[$t], len: usize) {
                $runs(totals, bytemuck::cast_slice(runs), 2 * len);
            }
            fn add_rows(totals: &mut [Pair], rows: &[$t]) {
                $rows(totals.as_flattened_mut(), bytemuck::cast_slice(rows));
            }
            fn rows_onto(totals: &mut [Pair], rows: &[$t]) {
                $rows_onto(totals.as_flattened_mut(), bytemuck::cast_slice(rows));
            }
            fn add_total(&mut self, other: &Pair) {
                self[0].merge(&other[0]);
                self[1].merge(&other[1]);
            }
        }
    )*};
}
complex_totals! {
    Complex32, f32: run_c64 runs_c64 rows_f32 rows_onto_f32;
    Complex64, f64: run_c128 runs_c128 rows_f64 rows_onto_f64;
}

/// A sum modulo 2^64.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(transparent)]
pub struct Wrapped(u64);

/// What an exact partial sum of integers is added to.
trait Whole: Pod {
    /// Adds an integer that fits 64 bits, sign-extended where it is signed.
    fn add_i64(&mut self, i: i64);
    fn add_u64(&mut self, i: u64);
    fn add_whole(&mut self, other: &Self);
}

impl Whole for Wrapped {
    #[inline(always)]
    fn add_i64(&mut self, i: i64) {
        self.0 = self.0.wrapping_add(i as u64); // the same bits
    }
    #[inline(always)]
    fn add_u64(&mut self, i: u64) {
        self.0 = self.0.wrapping_add(i);
    }
    #[inline(always)]
    fn add_whole(&mut self, other: &Wrapped) {
        self.add_u64(other.0);
    }
}

impl Whole for i128 {
    // 2^64 numbers of 64 bits cannot be stored, so 128 bits never overflow.
    #[inline(always)]
    fn add_i64(&mut self, i: i64) {
        *self += i128::from(i);
    }
    #[inline(always)]
    fn add_u64(&mut self, i: u64) {
        *self += i128::from(i);
    }
    #[inline(always)]
    fn add_whole(&mut self, other: &i128) {
        *self += other;
    }
}

/// An integer, and the lane in which so many of it can be added without overflow.
trait Integer: Pod {
    type Lane: Copy + Default;
    const FIT: usize;
    fn add_to(self, lane: Self::Lane) -> Self::Lane;
    fn flush<W: Whole>(lane: Self::Lane, whole: &mut W);
}

macro_rules! integers {
    ($($t:ty, $lane:ty, $fit:expr, $flush:ident, $widen:expr;)*) => {$(
        impl Integer for $t {
            type Lane = $lane;
            const FIT: usize = $fit;
            #[inline(always)]
            fn add_to(self, lane: $lane) -> $lane {
                lane.wrapping_add($widen(self)) // wraps for the sums of 64-bit integers only
            }
            #[inline(always)]
            fn flush<W: Whole>(lane: $lane, whole: &mut W) {
                whole.$flush(lane.into());
            }
        }
    )*};
}
integers! {
    Bool8, u16, 256, add_u64, |b: Bool8| u16::from(b.0);
    u8, u16, 256, add_u64, u16::from;
    u16, u32, 1 << 16, add_u64, u32::from;
    u32, u64, 1 << 32, add_u64, u64::from;
    u64, u64, usize::MAX, add_u64, |i| i;
    i8, i16, 256, add_i64, i16::from;
    i16, i32, 1 << 16, add_i64, i32::from;
    i32, i64, 1 << 32, add_i64, i64::from;
    i64, i64, usize::MAX, add_i64, |i| i;
}

/// Lanes each add as many numbers as fit them, and are then emptied.
#[inline(always)]
fn integer_run<T: Integer, W: Whole>(whole: &mut W, run: &[T]) {
    if run.len() < LANES {
        return flush_one_by_one(whole, run);
    }
    for block in run.chunks(T::FIT.saturating_mul(LANES)) {
        let mut lanes = [T::Lane::default(); LANES];
        let (parts, rest) = block.as_chunks::<LANES>();
        for numbers in parts {
            for (lane, i) in lanes.iter_mut().zip(numbers) {
                *lane = i.add_to(*lane);
            }
        }
        flush_one_by_one(whole, rest);
        for lane in lanes {
            T::flush(lane, whole);
        }
    }
}

/// Adds fewer numbers than a lane fits.
#[inline(always)]
fn flush_one_by_one<T: Integer, W: Whole>(whole: &mut W, run: &[T]) {
    let mut lane = T::Lane::default();
    for i in run {
        lane = i.add_to(lane);
    }
    T::flush(lane, whole);
}

/// The sum of bytes, each with the bits of `flip` turned: they are added as words of 16 bits, the even and the odd ones apart,
/// because widening them costs more than a mask and a shift.
#[inline(always)]
fn byte_sum(run: &[u8], flip: u8) -> u64 {
    const WORDS: usize = 64;
    let flips = u16::from_le_bytes([flip; 2]);
    let mut total = 0;
    for block in run.chunks(256 * 2 * WORDS) {
        let (mut even, mut odd) = ([0u16; WORDS], [0u16; WORDS]);
        let (parts, rest) = block.as_chunks::<{ 2 * WORDS }>();
        for bytes in parts {
            let pairs = bytes.as_chunks::<2>().0;
            for ((even, odd), pair) in even.iter_mut().zip(&mut odd).zip(pairs) {
                let word = u16::from_le_bytes(*pair) ^ flips;
                *even += word & 0xff;
                *odd += word >> 8;
            }
        }
        for (even, odd) in even.iter().zip(&odd) {
            total += u64::from(*even) + u64::from(*odd);
        }
        for byte in rest {
            total += u64::from(byte ^ flip);
        }
    }
    total
}

#[inline(always)]
fn integer_rows<T: Integer, W: Whole>(cells: &mut [W], rows: &[T]) {
    let len = cells.len();
    for (strip, cells) in cells.chunks_mut(STRIP).enumerate() {
        let width = cells.len();
        for rows in rows.chunks(len.saturating_mul(T::FIT)) {
            let mut lanes = [T::Lane::default(); STRIP];
            let lanes = &mut lanes[..width];
            let mut groups = rows.chunks_exact(4 * len);
            for group in &mut groups {
                let row = |i: usize| &group[i * len + strip * STRIP..][..width];
                let (a, b, c, d) = (row(0), row(1), row(2), row(3));
                for i in 0..width {
                    lanes[i] = d[i].add_to(c[i].add_to(b[i].add_to(a[i].add_to(lanes[i]))));
                }
            }
            for row in groups.remainder().chunks_exact(len) {
                for (lane, i) in lanes.iter_mut().zip(&row[strip * STRIP..][..width]) {
                    *lane = i.add_to(*lane);
                }
            }
            for (cell, lane) in cells.iter_mut().zip(lanes) {
                T::flush(*lane, cell);
            }
        }
    }
}

/// Adds each run of `len` numbers to its total.
#[inline(always)]
fn each_run<T, W>(totals: &mut [W], runs: &[T], len: usize, add: impl Fn(&mut W, &[T])) {
    for (total, run) in totals.iter_mut().zip(runs.chunks_exact(len)) {
        add(total, run);
    }
}

macro_rules! integer_totals {
    ($($t:ty, $total:ty: $add:expr, $run:ident $runs:ident $rows:ident;)*) => {$(
        versions! {
            fn $run(cell: &mut $total, run: &[$t]) = $add(cell, run);
            fn $runs(cells: &mut [$total], runs: &[$t], len: usize) = each_run(cells, runs, len, |cell, run| $add(cell, run));
            fn $rows(cells: &mut [$total], rows: &[$t]) = integer_rows(cells, rows);
        }
        impl Total<$t> for $total {
            fn add_run(&mut self, run: &[$t]) {
                $run(self, run);
            }
            fn add_runs(totals: &mut [$total], runs: &[$t], len: usize) {
                $runs(totals, runs, len);
            }
            fn add_rows(totals: &mut [$total], rows: &[$t]) {
                $rows(totals, rows);
            }
            fn add_total(&mut self, other: &$total) {
                self.add_whole(other);
            }
        }
    )*};
}

#[inline(always)]
fn unsigned_bytes<T: bytemuck::NoUninit, W: Whole>(whole: &mut W, run: &[T]) {
    whole.add_u64(byte_sum(bytemuck::cast_slice(run), 0));
}

/// With the sign turned, a byte is 128 more than its number.
#[inline(always)]
fn signed_bytes<W: Whole>(whole: &mut W, run: &[i8]) {
    let sum = byte_sum(bytemuck::cast_slice(run), 0x80) as i64; // an array has less than 2^55 elements
    whole.add_i64(sum - (run.len() as i64) * 128);
}

integer_totals! {
    Bool8, Wrapped: unsigned_bytes, run_bool runs_bool rows_bool;
    i8, Wrapped: signed_bytes, run_i8 runs_i8 rows_i8;
    i16, Wrapped: integer_run, run_i16 runs_i16 rows_i16;
    i32, Wrapped: integer_run, run_i32 runs_i32 rows_i32;
    i64, Wrapped: integer_run, run_i64 runs_i64 rows_i64;
    u8, Wrapped: unsigned_bytes, run_u8 runs_u8 rows_u8;
    u16, Wrapped: integer_run, run_u16 runs_u16 rows_u16;
    u32, Wrapped: integer_run, run_u32 runs_u32 rows_u32;
    u64, Wrapped: integer_run, run_u64 runs_u64 rows_u64;
    Bool8, i128: unsigned_bytes, run_exact_bool runs_exact_bool rows_exact_bool;
    i8, i128: signed_bytes, run_exact_i8 runs_exact_i8 rows_exact_i8;
    i16, i128: integer_run, run_exact_i16 runs_exact_i16 rows_exact_i16;
    i32, i128: integer_run, run_exact_i32 runs_exact_i32 rows_exact_i32;
    u8, i128: unsigned_bytes, run_exact_u8 runs_exact_u8 rows_exact_u8;
    u16, i128: integer_run, run_exact_u16 runs_exact_u16 rows_exact_u16;
    u32, i128: integer_run, run_exact_u32 runs_exact_u32 rows_exact_u32;
}

// A lane of 64 bits cannot hold two numbers of 64 bits: the exact sum adds low and high halves apart.
macro_rules! exact_64 {
    ($($t:ty, $high:ty: $run:ident;)*) => {$(
        versions! {
            fn $run(cell: &mut i128, run: &[$t]) = {
            for block in run.chunks(1 << 31) {
                let (mut low, mut high) = (0u64, <$high>::default());
                for &i in block {
                    low += (i as u64) & 0xffff_ffff;
                    high += <$high>::from(i >> 32);
                }
                *cell += (i128::from(high) << 32) + i128::from(low);
            }
        };
        }
        impl Total<$t> for i128 {
            fn add_run(&mut self, run: &[$t]) {
                $run(self, run);
            }
            fn add_runs(totals: &mut [i128], runs: &[$t], len: usize) {
                each_run(totals, runs, len, $run);
            }
            fn add_rows(totals: &mut [i128], rows: &[$t]) {
                for row in rows.chunks_exact(totals.len()) {
                    for (total, &i) in totals.iter_mut().zip(row) {
                        *total += i128::from(i);
                    }
                }
            }
            fn add_total(&mut self, other: &i128) {
                *self += other;
            }
        }
    )*};
}
exact_64! {
    i64, i64: run_exact_i64;
    u64, u64: run_exact_u64;
}
