//! `NORM`: the root of the sum of squares, as `numpy.linalg.norm` of the elements as one vector.
//!
//! Elements are squared in float64, complex ones as both parts, and added as `SUM` adds floats (sum_floats.rs). All terms are positive,
//! so the error is 26 roundings at most, relative to the result. Squares of float64 beyond 1e154 overflow and those below 1e-162
//! vanish, as in NumPy; narrower floats have room.

use std::marker::PhantomData;

use bytemuck::{Pod, Zeroable};
use half::{bf16, f16};
use num_complex::{Complex32, Complex64};

use super::compensated::Compensated;
use super::kernel::{Kernel, Seen};
use super::sum::{Total, PIECE};
use super::sum_floats::{blocks, float_rows, float_totals, short_runs, spans, Float, Loops, ROWS};
use super::versions::versions;
use crate::nd::dtype::{Bool8, Element};
use crate::nd::kernels::cast::{Source, Target};
use crate::nd::kernels::Unaligned;

/// The norm kernel of an element type.
pub struct Norm<T>(PhantomData<fn() -> T>);

/// An element with an absolute value.
pub(super) trait Squared: Element {
    type Out: Element + Target;
    fn squared(self) -> f64;
}

/// An element, as its square.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub struct Square<T>(T);

impl<T: Squared> Float for Square<T> {
    #[inline(always)]
    fn widen(self) -> f64 {
        self.0.squared()
    }
}

macro_rules! squares {
    ($($t:ty => $out:ty, $squared:expr;)*) => {$(
        impl Squared for $t {
            type Out = $out;
            #[inline(always)]
            fn squared(self) -> f64 {
                $squared(self)
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
    Bool8 => f64, square;
    i8 => f64, square;
    i16 => f64, square;
    i32 => f64, square;
    i64 => f64, square;
    u8 => f64, square;
    u16 => f64, square;
    u32 => f64, square;
    u64 => f64, square;
    f16 => f16, square;
    bf16 => bf16, square;
    f32 => f32, square;
    f64 => f64, square;
    Complex32 => f32, |c: Complex32| square(c.re) + square(c.im);
    Complex64 => f64, |c: Complex64| square(c.re) + square(c.im);
}

float_totals! {
    Square<Bool8>: BOOL spans_bool blocks_bool short_bool rows_bool;
    Square<i8>: I8 spans_i8 blocks_i8 short_i8 rows_i8;
    Square<i16>: I16 spans_i16 blocks_i16 short_i16 rows_i16;
    Square<i32>: I32 spans_i32 blocks_i32 short_i32 rows_i32;
    Square<i64>: I64 spans_i64 blocks_i64 short_i64 rows_i64;
    Square<u8>: U8 spans_u8 blocks_u8 short_u8 rows_u8;
    Square<u16>: U16 spans_u16 blocks_u16 short_u16 rows_u16;
    Square<u32>: U32 spans_u32 blocks_u32 short_u32 rows_u32;
    Square<u64>: U64 spans_u64 blocks_u64 short_u64 rows_u64;
    Square<f16>: F16 spans_f16 blocks_f16 short_f16 rows_f16;
    Square<bf16>: BF16 spans_bf16 blocks_bf16 short_bf16 rows_bf16;
    Square<f32>: F32 spans_f32 blocks_f32 short_f32 rows_f32;
    Square<f64>: F64 spans_f64 blocks_f64 short_f64 rows_f64;
    Square<Complex32>: C64 spans_c64 blocks_c64 short_c64 rows_c64;
    Square<Complex64>: C128 spans_c128 blocks_c128 short_c128 rows_c128;
}

impl<T: Squared> Kernel for Norm<T>
where
    Compensated: Total<Square<T>>,
{
    type Elem = T;
    type Cell = Compensated;
    type Out = T::Out;
    const EMPTY: Compensated = bytemuck::zeroed();
    const PIECE: usize = PIECE;
    const ONE_BLOCK: usize = <Compensated as Total<Square<T>>>::ONE_BLOCK;
    fn run(cell: &mut Compensated, run: &[Unaligned<T>]) {
        Total::<Square<T>>::add_run(cell, bytemuck::cast_slice(run));
    }
    fn rows(cells: &mut [Compensated], rows: &[Unaligned<T>]) {
        Total::<Square<T>>::add_rows(cells, bytemuck::cast_slice(rows));
    }
    fn blocks_of_rows(cells: &mut [Compensated], rows: &[Unaligned<T>], block: usize) {
        Total::<Square<T>>::add_blocks(cells, bytemuck::cast_slice(rows), block);
    }
    fn runs_onto(cells: &mut [Compensated], runs: &[Unaligned<T>], len: usize) {
        Total::<Square<T>>::add_runs(cells, bytemuck::cast_slice(runs), len);
    }
    fn merge(cell: &mut Compensated, other: &Compensated) {
        cell.merge(other);
    }
    fn finish(cell: &Compensated, _: &Seen) -> T::Out {
        Target::from_f64(cell.value().sqrt())
    }
}
