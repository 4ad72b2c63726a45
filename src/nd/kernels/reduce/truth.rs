//! `ANY`, `ALL` and `COUNT`: elements that are not 0. NaN is not 0, -0.0 is; a complex number is 0 where both parts are.

use std::marker::PhantomData;

use half::{bf16, f16};
use num_complex::{Complex32, Complex64};

use super::kernel::{depth, Kernel, Seen};
use super::versions::versions;
use crate::nd::dtype::{Bool8, Element};
use crate::nd::kernels::Unaligned;

/// The kernel that asks for one element that is not 0.
pub struct Any<T>(PhantomData<fn() -> T>);

/// The kernel that asks for one element that is 0.
pub struct All<T>(PhantomData<fn() -> T>);

/// The kernel that counts what is not 0.
pub struct Count<T>(PhantomData<fn() -> T>);

/// Elements that are looked at before one that decides may end the search.
const LOOK: usize = 4096;

/// An element that may be 0.
pub(super) trait Truth: Element {
    /// Elements that a lane of the element's own width counts without overflow, more than a group of rows has.
    const FIT: usize;
    fn is_true(self) -> bool;
    fn count(run: &[Unaligned<Self>]) -> u64;
    fn count_rows(cells: &mut [u64], rows: &[Unaligned<Self>]);
}

/// A lane that counts, as wide as the element, so that as many fit a register.
trait Lane: Copy + Default + std::ops::AddAssign + From<bool> + Into<u64> {}
impl<L: Copy + Default + std::ops::AddAssign + From<bool> + Into<u64>> Lane for L {}

#[inline(always)]
fn count<T: Truth, L: Lane>(run: &[Unaligned<T>]) -> u64 {
    const LANES: usize = 64;
    let mut total = 0;
    for block in run.chunks(T::FIT * LANES) {
        let mut lanes = [L::default(); LANES];
        let (whole, rest) = block.as_chunks::<LANES>();
        for elements in whole {
            for (lane, x) in lanes.iter_mut().zip(elements) {
                *lane += L::from(x.get().is_true());
            }
        }
        total +=
            lanes.into_iter().map(Into::into).sum::<u64>() + rest.iter().filter(|x| x.get().is_true()).count() as u64;
    }
    total
}

/// Goes down rows, `N` columns at a time as long as there are so many, and answers which comes next.
#[inline(always)]
fn count_columns<T: Truth, L: Lane, const N: usize>(cells: &mut [u64], rows: &[Unaligned<T>], from: usize) -> usize {
    let len = cells.len();
    let mut at = from;
    for cells in cells[from..].as_chunks_mut::<N>().0 {
        let mut lanes = [L::default(); N];
        for row in rows.chunks_exact(len) {
            let row: &[Unaligned<T>; N] = &row[at..].as_chunks().0[0];
            for (lane, x) in lanes.iter_mut().zip(row) {
                *lane += L::from(x.get().is_true());
            }
        }
        for (cell, lane) in cells.iter_mut().zip(lanes) {
            *cell += lane.into();
        }
        at += N;
    }
    at
}

/// Columns are counted as many at a time as fit four registers, then few, then one.
#[inline(always)]
fn count_rows<T: Truth, L: Lane, const MANY: usize, const FEW: usize>(cells: &mut [u64], rows: &[Unaligned<T>]) {
    let len = cells.len();
    for rows in rows.chunks(depth::<T>(len) * len) {
        let at = count_columns::<T, L, MANY>(cells, rows, 0);
        let at = count_columns::<T, L, FEW>(cells, rows, at);
        count_columns::<T, L, 1>(cells, rows, at);
    }
}

macro_rules! truths {
    ($($t:ty, $lane:ty, $many:literal, $fit:expr, $is_true:expr, $count:ident $rows:ident;)*) => {$(
        versions! {
            fn $count(run: &[Unaligned<$t>]) -> u64 = count::<$t, $lane>(run);
            fn $rows(cells: &mut [u64], rows: &[Unaligned<$t>]) = count_rows::<$t, $lane, $many, { $many / 8 }>(cells, rows);
        }
        impl Truth for $t {
            const FIT: usize = $fit;
            #[inline(always)]
            fn is_true(self) -> bool {
                $is_true(self)
            }
            fn count(run: &[Unaligned<$t>]) -> u64 {
                $count(run)
            }
            fn count_rows(cells: &mut [u64], rows: &[Unaligned<$t>]) {
                $rows(cells, rows);
            }
        }
    )*};
}
truths! {
    Bool8, u8, 64, 255, |b: Bool8| b.0 != 0, count_bool rows_bool;
    i8, u8, 64, 255, |x| x != 0, count_i8 rows_i8;
    u8, u8, 64, 255, |x| x != 0, count_u8 rows_u8;
    i16, u16, 64, 4096, |x| x != 0, count_i16 rows_i16;
    u16, u16, 64, 4096, |x| x != 0, count_u16 rows_u16;
    f16, u16, 64, 4096, |x: f16| x.to_bits() & 0x7fff != 0, count_f16 rows_f16;
    bf16, u16, 64, 4096, |x: bf16| x.to_bits() & 0x7fff != 0, count_bf16 rows_bf16;
    i32, u32, 32, 4096, |x| x != 0, count_i32 rows_i32;
    u32, u32, 32, 4096, |x| x != 0, count_u32 rows_u32;
    f32, u32, 32, 4096, |x| x != 0.0, count_f32 rows_f32;
    i64, u64, 16, 4096, |x| x != 0, count_i64 rows_i64;
    u64, u64, 16, 4096, |x| x != 0, count_u64 rows_u64;
    f64, u64, 16, 4096, |x| x != 0.0, count_f64 rows_f64;
    Complex32, u64, 16, 4096, |c: Complex32| (c.re != 0.0) | (c.im != 0.0), count_c64 rows_c64;
    Complex64, u64, 16, 4096, |c: Complex64| (c.re != 0.0) | (c.im != 0.0), count_c128 rows_c128;
}

impl<T: Truth> Kernel for Count<T> {
    type Elem = T;
    type Cell = u64;
    type Out = i64;
    const EMPTY: u64 = 0;
    const PIECE: usize = LOOK;
    const IS_EXACT: bool = true;
    fn run(cell: &mut u64, run: &[Unaligned<T>]) {
        *cell += T::count(run);
    }
    fn rows(cells: &mut [u64], rows: &[Unaligned<T>]) {
        T::count_rows(cells, rows);
    }
    fn merge(cell: &mut u64, other: &u64) {
        *cell += other;
    }
    fn finish(cell: &u64, _: &Seen) -> i64 {
        *cell as i64 // at most the size of an array
    }
}

/// Cells of `ANY` and `ALL`: whether an element was met that decides.
macro_rules! deciding {
    ($kernel:ident, $decides:expr, $finish:expr) => {
        impl<T: Truth> Kernel for $kernel<T> {
            type Elem = T;
            type Cell = u8;
            type Out = Bool8;
            const EMPTY: u8 = 0;
            const PIECE: usize = LOOK;
            const IS_EXACT: bool = true;
            fn run(cell: &mut u8, run: &[Unaligned<T>]) {
                for few in run.chunks(LOOK) {
                    if *cell != 0 {
                        return;
                    }
                    *cell = u8::from($decides(T::count(few), few.len() as u64));
                }
            }
            fn is_spent(cell: &u8, other: &u8) -> bool {
                *cell != 0 || *other == 0
            }
            fn is_beaten(_: &u8, best: &u8) -> bool {
                *best != 0
            }
            fn rows(cells: &mut [u8], rows: &[Unaligned<T>]) {
                let mut counts = vec![0; cells.len()];
                T::count_rows(&mut counts, rows);
                let each = (rows.len() / cells.len().max(1)) as u64;
                cells.iter_mut().zip(counts).for_each(|(cell, n)| *cell |= u8::from($decides(n, each)));
            }
            fn merge(cell: &mut u8, other: &u8) {
                *cell |= other;
            }
            fn finish(cell: &u8, _: &Seen) -> Bool8 {
                Bool8::from($finish(*cell != 0))
            }
        }
    };
}
deciding!(Any, |trues: u64, _: u64| trues > 0, |met: bool| met);
deciding!(All, |trues: u64, all: u64| trues < all, |met: bool| !met);
