//! `NORM`: the root of the sum of squares, as `numpy.linalg.norm` of the elements as one vector.
//!
//! Elements are squared in float64 and added as `SUM` adds what is short: 32 lanes over blocks of 512 numbers, then TwoSum. All terms
//! are positive, so the error is 22 roundings at most, relative to the result. Squares of float64 beyond 1e154 overflow
//! and those below 1e-162 vanish, as in NumPy; narrower floats have room. Complex numbers are two floats.

use std::marker::PhantomData;

use half::{bf16, f16};
use num_complex::{Complex32, Complex64};

use super::compensated::Compensated;
use super::kernel::{Kernel, Seen};
use super::versions::versions;
use crate::nd::dtype::{Bool8, Element};
use crate::nd::kernels::cast::{Source, Target};
use crate::nd::kernels::Unaligned;

/// The norm kernel of an element type.
pub struct Norm<T>(PhantomData<fn() -> T>);

/// Numbers that are added in lanes before the cell is touched.
const BLOCK: usize = 512;
/// Rows that are added before the cells are touched.
const ROWS: usize = 8;
/// Columns of rows that are worked on at a time.
const STRIP: usize = 256;

/// An element with an absolute value.
pub(super) trait Squared: Element {
    type Out: Element + Target;
    fn squared(self) -> f64;
    fn add_run(cell: &mut Compensated, run: &[Unaligned<Self>]);
    fn add_rows(cells: &mut [Compensated], rows: &[Unaligned<Self>]);
}

#[inline(always)]
fn add_run<T: Squared>(cell: &mut Compensated, run: &[Unaligned<T>]) {
    for block in run.chunks(BLOCK) {
        let mut lanes = [0.0; 32];
        let (whole, rest) = block.as_chunks::<32>();
        for elements in whole {
            lanes.iter_mut().zip(elements).for_each(|(lane, x)| *lane += x.get().squared());
        }
        lanes.iter_mut().zip(rest).for_each(|(lane, x)| *lane += x.get().squared());
        let mut width = 32;
        while width > 1 {
            width /= 2;
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
        }
        cell.add_number(lanes[0]);
    }
}

#[inline(always)]
fn add_rows<T: Squared>(cells: &mut [Compensated], rows: &[Unaligned<T>]) {
    let len = cells.len();
    for (strip, cells) in cells.chunks_mut(STRIP).enumerate() {
        for group in rows.chunks(ROWS * len) {
            let mut sums = [0.0; STRIP];
            for row in group.chunks_exact(len) {
                sums.iter_mut()
                    .zip(&row[strip * STRIP..][..cells.len()])
                    .for_each(|(sum, x)| *sum += x.get().squared());
            }
            cells.iter_mut().zip(sums).for_each(|(cell, sum)| cell.add_number(sum));
        }
    }
}

macro_rules! squares {
    ($($t:ty => $out:ty, $squared:expr, $run:ident $rows:ident;)*) => {$(
        versions! {
            fn $run(cell: &mut Compensated, run: &[Unaligned<$t>]) = add_run(cell, run);
            fn $rows(cells: &mut [Compensated], rows: &[Unaligned<$t>]) = add_rows(cells, rows);
        }
        impl Squared for $t {
            type Out = $out;
            #[inline(always)]
            fn squared(self) -> f64 {
                $squared(self)
            }
            fn add_run(cell: &mut Compensated, run: &[Unaligned<$t>]) {
                $run(cell, run);
            }
            fn add_rows(cells: &mut [Compensated], rows: &[Unaligned<$t>]) {
                $rows(cells, rows);
            }
        }
    )*};
}

#[inline(always)]
fn square<T: Source>(x: T) -> f64 {
    let x: f64 = x.cast();
    x * x
}

squares! {
    Bool8 => f64, square, run_bool rows_bool;
    i8 => f64, square, run_i8 rows_i8;
    i16 => f64, square, run_i16 rows_i16;
    i32 => f64, square, run_i32 rows_i32;
    i64 => f64, square, run_i64 rows_i64;
    u8 => f64, square, run_u8 rows_u8;
    u16 => f64, square, run_u16 rows_u16;
    u32 => f64, square, run_u32 rows_u32;
    u64 => f64, square, run_u64 rows_u64;
    f16 => f16, square, run_f16 rows_f16;
    bf16 => bf16, square, run_bf16 rows_bf16;
    f32 => f32, square, run_f32 rows_f32;
    f64 => f64, square, run_f64 rows_f64;
    Complex32 => f32, |c: Complex32| square(c.re) + square(c.im), run_c64 rows_c64;
    Complex64 => f64, |c: Complex64| square(c.re) + square(c.im), run_c128 rows_c128;
}

impl<T: Squared> Kernel for Norm<T> {
    type Elem = T;
    type Cell = Compensated;
    type Out = T::Out;
    const EMPTY: Compensated = bytemuck::zeroed();
    const PIECE: usize = BLOCK * ROWS;
    fn run(cell: &mut Compensated, run: &[Unaligned<T>]) {
        T::add_run(cell, run);
    }
    fn rows(cells: &mut [Compensated], rows: &[Unaligned<T>]) {
        T::add_rows(cells, rows);
    }
    fn merge(cell: &mut Compensated, other: &Compensated) {
        cell.merge(other);
    }
    fn finish(cell: &Compensated, _: &Seen) -> T::Out {
        Target::from_f64(cell.value().sqrt())
    }
}
