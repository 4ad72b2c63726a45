//! `SUM` and `MEAN`.
//!
//! How floats are added is said in `sum_floats.rs`, and how integers are in `sum_integers.rs`.

use std::marker::PhantomData;

use bytemuck::Pod;
use half::{bf16, f16};
use num_complex::{Complex32, Complex64};

use super::compensated::Compensated;
use super::kernel::{Kernel, Seen};
use super::sum_floats::Pair;
use super::sum_integers::Wrapped;
use crate::nd::dtype::{Bool8, Element};
use crate::nd::kernels::cast::Target;
use crate::nd::kernels::Unaligned;

/// The sum kernel of an element type.
pub struct Sum<T>(PhantomData<fn() -> T>);

/// The mean kernel of an element type.
pub struct Mean<T>(PhantomData<fn() -> T>);

/// A running total of elements of type `T`.
pub(super) trait Total<T>: Pod + Send + Sync {
    /// As [`Kernel::ONE_BLOCK`].
    const ONE_BLOCK: usize = 0;
    fn add_run(&mut self, run: &[Unaligned<T>]);
    /// As [`Kernel::runs_onto`].
    fn add_runs(totals: &mut [Self], runs: &[Unaligned<T>], len: usize);
    fn add_rows(totals: &mut [Self], rows: &[Unaligned<T>]);
    /// As [`Kernel::blocks_of_rows`].
    fn add_blocks(totals: &mut [Self], rows: &[Unaligned<T>], block: usize) {
        let len = totals.len();
        rows.chunks(block * len).for_each(|rows| Self::add_rows(totals, rows));
    }
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
            const ONE_BLOCK: usize = <$total as Total<$t>>::ONE_BLOCK;
            fn run(cell: &mut $total, run: &[Unaligned<$t>]) {
                cell.add_run(run);
            }
            fn rows(cells: &mut [$total], rows: &[Unaligned<$t>]) {
                <$total as Total<$t>>::add_rows(cells, rows);
            }
            fn blocks_of_rows(cells: &mut [$total], rows: &[Unaligned<$t>], block: usize) {
                <$total as Total<$t>>::add_blocks(cells, rows, block);
            }
            fn runs_onto(cells: &mut [$total], runs: &[Unaligned<$t>], len: usize) {
                <$total as Total<$t>>::add_runs(cells, runs, len);
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
    Bool8: Wrapped => i64 = |w: Wrapped, _| w.bits() as i64, i128 => f64 = |i, n| i as f64 / n;
    i8: Wrapped => i64 = |w: Wrapped, _| w.bits() as i64, i128 => f64 = |i, n| i as f64 / n;
    i16: Wrapped => i64 = |w: Wrapped, _| w.bits() as i64, i128 => f64 = |i, n| i as f64 / n;
    i32: Wrapped => i64 = |w: Wrapped, _| w.bits() as i64, i128 => f64 = |i, n| i as f64 / n;
    i64: Wrapped => i64 = |w: Wrapped, _| w.bits() as i64, i128 => f64 = |i, n| i as f64 / n;
    u8: Wrapped => u64 = |w: Wrapped, _| w.bits(), i128 => f64 = |i, n| i as f64 / n;
    u16: Wrapped => u64 = |w: Wrapped, _| w.bits(), i128 => f64 = |i, n| i as f64 / n;
    u32: Wrapped => u64 = |w: Wrapped, _| w.bits(), i128 => f64 = |i, n| i as f64 / n;
    u64: Wrapped => u64 = |w: Wrapped, _| w.bits(), i128 => f64 = |i, n| i as f64 / n;
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

/// A multiple of every block of the loops, in elements and in rows.
pub(super) const PIECE: usize = 1 << 14;
