//! `MIN`, `MAX` and `PTP`. A NaN makes the result NaN; of complex NaN, the first in the order of the elements of a block.
//!
//! A cell is the best element so far, or a NaN. It begins as the worst one there is, which is the result of no other elements
//! than itself. Which of two zeros of different signs is the least depends on the blocks; they are equal.

use std::marker::PhantomData;

use super::kernel::{Kernel, Seen};
use super::order::Ordered;
use crate::nd::kernels::Unaligned;

/// The minimum kernel of an element type.
pub struct Min<T>(PhantomData<fn() -> T>);

/// The maximum kernel of an element type.
pub struct Max<T>(PhantomData<fn() -> T>);

/// The kernel of the difference between both.
pub struct Ptp<T>(PhantomData<fn() -> T>);

/// Elements worked on before a cell is touched.
const BLOCK: usize = 1 << 16;
/// Elements of which both the least and the greatest are looked for, before the next ones are: the second look finds them in the
/// cache.
const PTP_BLOCK: usize = 2048;

/// The greatest or the least of elements.
struct Best<T, const GREATEST: bool>(PhantomData<T>);

impl<T: Ordered, const GREATEST: bool> Best<T, GREATEST> {
    const EMPTY: T = if GREATEST { T::BOTTOM } else { T::TOP };

    /// Whether an element, a number, is better than another one.
    #[inline(always)]
    fn is_better(element: T, than: T) -> bool {
        if GREATEST {
            than.key() < element.key()
        } else {
            element.key() < than.key()
        }
    }

    #[inline(always)]
    fn add(cell: &mut T, other: T) {
        if !Self::is_spent(*cell, other) {
            *cell = other;
        }
    }

    /// Whether what another cell stands for changes nothing in this one: not its best, and so none of it.
    #[inline(always)]
    fn is_spent(cell: T, other: T) -> bool {
        cell.is_nan() || !(other.is_nan() || Self::is_better(other, cell))
    }

    /// Whether all that a cell stands for is a number, and worse than the best of something else, or that is NaN.
    fn is_beaten(other: T, best: T) -> bool {
        !other.is_nan() && (best.is_nan() || Self::is_better(best, other))
    }

    fn add_run(cell: &mut T, run: &[Unaligned<T>]) {
        for block in run.chunks(BLOCK) {
            let (key, has_nan) = if GREATEST { T::greatest(block) } else { T::least(block) };
            // NaN is rare: without one, nothing is looked at twice.
            let nan = if has_nan { block.iter().map(|x| x.get()).find(|x| x.is_nan()) } else { None };
            Self::add(cell, nan.unwrap_or(T::of_key(key)));
        }
    }

    fn add_rows(cells: &mut [T], rows: &[Unaligned<T>]) {
        let has_nan = if GREATEST { T::greatest_rows(cells, rows) } else { T::least_rows(cells, rows) };
        if !has_nan {
            return;
        }
        for row in rows.chunks_exact(cells.len()) {
            for (cell, x) in cells.iter_mut().zip(row) {
                if x.get().is_nan() && !cell.is_nan() {
                    *cell = x.get();
                }
            }
        }
    }
}

macro_rules! kernel {
    ($kernel:ident, $greatest:expr) => {
        impl<T: Ordered> Kernel for $kernel<T> {
            type Elem = T;
            type Cell = T;
            type Out = T;
            const EMPTY: T = Best::<T, $greatest>::EMPTY;
            const PIECE: usize = BLOCK;
            const IS_EXACT: bool = true;
            fn run(cell: &mut T, run: &[Unaligned<T>]) {
                Best::<T, $greatest>::add_run(cell, run);
            }
            fn rows(cells: &mut [T], rows: &[Unaligned<T>]) {
                Best::<T, $greatest>::add_rows(cells, rows);
            }
            fn is_spent(cell: &T, other: &T) -> bool {
                Best::<T, $greatest>::is_spent(*cell, *other)
            }
            fn is_beaten(other: &T, best: &T) -> bool {
                Best::<T, $greatest>::is_beaten(*other, *best)
            }
            fn merge(cell: &mut T, other: &T) {
                Best::<T, $greatest>::add(cell, *other);
            }
            fn merge_all(cells: &mut [T], others: &[T]) {
                Best::<T, $greatest>::add_rows(cells, bytemuck::cast_slice(others));
            }
            fn finish(cell: &T, _: &Seen) -> T {
                *cell
            }
        }
    };
}
kernel!(Min, false);
kernel!(Max, true);

impl<T: Ordered> Kernel for Ptp<T> {
    type Elem = T;
    /// The least and the greatest.
    type Cell = [T; 2];
    type Out = T;
    const EMPTY: [T; 2] = [Best::<T, false>::EMPTY, Best::<T, true>::EMPTY];
    const PIECE: usize = PTP_BLOCK;
    const IS_EXACT: bool = true;
    fn run([least, greatest]: &mut [T; 2], run: &[Unaligned<T>]) {
        for block in run.chunks(PTP_BLOCK) {
            Best::<T, false>::add_run(least, block);
            Best::<T, true>::add_run(greatest, block);
        }
    }
    fn rows(cells: &mut [[T; 2]], rows: &[Unaligned<T>]) {
        let (mut least, mut greatest): (Vec<T>, Vec<T>) = cells.iter().map(|c| (c[0], c[1])).unzip();
        Best::<T, false>::add_rows(&mut least, rows);
        Best::<T, true>::add_rows(&mut greatest, rows);
        cells.iter_mut().zip(least.into_iter().zip(greatest)).for_each(|(cell, (a, b))| *cell = [a, b]);
    }
    fn is_spent(cell: &[T; 2], other: &[T; 2]) -> bool {
        Best::<T, false>::is_spent(cell[0], other[0]) && Best::<T, true>::is_spent(cell[1], other[1])
    }
    fn is_beaten(other: &[T; 2], best: &[T; 2]) -> bool {
        Best::<T, false>::is_beaten(other[0], best[0]) && Best::<T, true>::is_beaten(other[1], best[1])
    }
    fn merge(cell: &mut [T; 2], other: &[T; 2]) {
        Best::<T, false>::add(&mut cell[0], other[0]);
        Best::<T, true>::add(&mut cell[1], other[1]);
    }
    fn finish([least, greatest]: &[T; 2], _: &Seen) -> T {
        greatest.less(*least)
    }
}
