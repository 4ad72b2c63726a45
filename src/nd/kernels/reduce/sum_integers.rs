//! How `SUM` and `MEAN` add integers: exactly, modulo 2^64 for a sum, in 128 bits for a mean, which is then divided once.

use bytemuck::{Pod, Zeroable};

use super::kernel::depth;
use super::sum::Total;
use super::versions::versions;
use crate::nd::bytes::byte_sum;
use crate::nd::dtype::Bool8;
use crate::nd::kernels::Unaligned;

/// Lanes of a run.
const LANES: usize = 32;
/// Bytes from which on a run is read in quarters.
const QUARTERED: usize = 64 << 10;
/// Columns of rows that are worked on at a time.
const STRIP: usize = 256;

/// A sum modulo 2^64.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(transparent)]
pub struct Wrapped(u64);

impl Wrapped {
    /// The 64 bits of the sum.
    pub(super) fn bits(self) -> u64 {
        self.0
    }
}

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
fn integer_run<T: Integer, W: Whole>(whole: &mut W, run: &[Unaligned<T>]) {
    if run.len() < LANES {
        return flush_one_by_one(whole, run);
    }
    for block in run.chunks(T::FIT.saturating_mul(LANES)) {
        let mut lanes = [T::Lane::default(); LANES];
        let (parts, rest) = block.as_chunks::<LANES>();
        // Quarters side by side: a processor fetches four streams from memory sooner than one, if they are some pages apart.
        let quarter = if std::mem::size_of_val(block) < QUARTERED { 0 } else { parts.len() / 4 };
        for at in 0..parts.len() {
            let at = if at < 4 * quarter { at % 4 * quarter + at / 4 } else { at };
            for (lane, i) in lanes.iter_mut().zip(&parts[at]) {
                *lane = i.get().add_to(*lane);
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
fn flush_one_by_one<T: Integer, W: Whole>(whole: &mut W, run: &[Unaligned<T>]) {
    let mut lane = T::Lane::default();
    for i in run {
        lane = i.get().add_to(lane);
    }
    T::flush(lane, whole);
}

#[inline(always)]
fn integer_rows<T: Integer, W: Whole>(cells: &mut [W], rows: &[Unaligned<T>]) {
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
                    lanes[i] = d[i].get().add_to(c[i].get().add_to(b[i].get().add_to(a[i].get().add_to(lanes[i]))));
                }
            }
            for row in groups.remainder().chunks_exact(len) {
                for (lane, i) in lanes.iter_mut().zip(&row[strip * STRIP..][..width]) {
                    *lane = i.get().add_to(*lane);
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
fn each_run<T, W>(totals: &mut [W], runs: &[Unaligned<T>], len: usize, add: impl Fn(&mut W, &[Unaligned<T>])) {
    for (total, run) in totals.iter_mut().zip(runs.chunks_exact(len)) {
        add(total, run);
    }
}

macro_rules! integer_totals {
    ($($t:ty, $total:ty: $add:expr, $run:ident $runs:ident $rows:ident;)*) => {$(
        versions! {
            fn $run(cell: &mut $total, run: &[Unaligned<$t>]) = $add(cell, run);
            fn $runs(cells: &mut [$total], runs: &[Unaligned<$t>], len: usize) =
                each_run(cells, runs, len, |cell, run| $add(cell, run));
            fn $rows(cells: &mut [$total], rows: &[Unaligned<$t>]) = integer_rows(cells, rows);
        }
        impl Total<$t> for $total {
            fn add_run(&mut self, run: &[Unaligned<$t>]) {
                $run(self, run);
            }
            fn add_runs(totals: &mut [$total], runs: &[Unaligned<$t>], len: usize) {
                $runs(totals, runs, len);
            }
            fn add_rows(totals: &mut [$total], rows: &[Unaligned<$t>]) {
                $rows(totals, rows);
            }
            fn add_total(&mut self, other: &$total) {
                self.add_whole(other);
            }
        }
    )*};
}

#[inline(always)]
fn unsigned_bytes<T: Pod, W: Whole>(whole: &mut W, run: &[Unaligned<T>]) {
    whole.add_u64(byte_sum(bytemuck::cast_slice(run), 0));
}

/// With the sign turned, a byte is 128 more than its number.
#[inline(always)]
fn signed_bytes<W: Whole>(whole: &mut W, run: &[Unaligned<i8>]) {
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

/// Columns of rows of 64-bit integers that are added at a time.
const COLUMNS: usize = 8;

/// Adds a column of numbers of 64 bits to each total. A lane cannot hold two of them: low and high halves are added apart. `flip` turns
/// the sign of signed ones, which makes each 2^63 more than it is.
#[inline(always)]
fn exact_rows(totals: &mut [i128], rows: &[Unaligned<u64>], flip: u64) {
    let len = totals.len();
    for rows in rows.chunks(depth::<u64>(len) * len) {
        let from = exact_columns::<COLUMNS>(totals, rows, flip, 0);
        exact_columns::<1>(totals, rows, flip, from);
    }
}

/// Goes down rows, `N` columns at a time as long as there are so many, and answers which comes next.
#[inline(always)]
fn exact_columns<const N: usize>(totals: &mut [i128], rows: &[Unaligned<u64>], flip: u64, from: usize) -> usize {
    let len = totals.len();
    let more = i128::from(flip) * (rows.len() / len) as i128;
    let mut at = from;
    for totals in totals[from..].as_chunks_mut::<N>().0 {
        let (mut low, mut high) = ([0u64; N], [0u64; N]);
        for row in rows.chunks_exact(len) {
            let row: &[Unaligned<u64>; N] = &row[at..].as_chunks().0[0];
            for i in 0..N {
                let number = row[i].get() ^ flip;
                low[i] += number & 0xffff_ffff;
                high[i] += number >> 32;
            }
        }
        for (i, total) in totals.iter_mut().enumerate() {
            *total += (i128::from(high[i]) << 32) + i128::from(low[i]) - more;
        }
        at += N;
    }
    at
}

macro_rules! exact_64 {
    ($($t:ty, $high:ty, $flip:expr => $run:ident $rows:ident;)*) => {$(
        versions! {
            fn $run(cell: &mut i128, run: &[Unaligned<$t>]) = {
                for block in run.chunks(1 << 31) {
                    let (mut low, mut high) = (0u64, <$high>::default());
                    for i in block {
                        low += (i.get() as u64) & 0xffff_ffff;
                        high += <$high>::from(i.get() >> 32);
                    }
                    *cell += (i128::from(high) << 32) + i128::from(low);
                }
            };
            fn $rows(totals: &mut [i128], rows: &[Unaligned<u64>]) = exact_rows(totals, rows, $flip);
        }
        impl Total<$t> for i128 {
            fn add_run(&mut self, run: &[Unaligned<$t>]) {
                $run(self, run);
            }
            fn add_runs(totals: &mut [i128], runs: &[Unaligned<$t>], len: usize) {
                each_run(totals, runs, len, $run);
            }
            fn add_rows(totals: &mut [i128], rows: &[Unaligned<$t>]) {
                $rows(totals, bytemuck::cast_slice(rows));
            }
            fn add_total(&mut self, other: &i128) {
                *self += other;
            }
        }
    )*};
}
exact_64! {
    i64, i64, 1 << 63 => run_exact_i64 rows_exact_i64;
    u64, u64, 0 => run_exact_u64 rows_exact_u64;
}
