//! `MIN`, `MAX` and `PTP`. A NaN makes the result NaN; of complex NaN, the first in the order of the elements of a block.
//!
//! Which of two zeros of different signs is the least depends on the blocks; they are equal.

use std::marker::PhantomData;

use bytemuck::{Pod, Zeroable};

use super::kernel::{Kernel, Seen};
use super::order::{Ordered, BLOCK, STRIP};

/// The minimum kernel of an element type.
pub struct Min<T>(PhantomData<fn() -> T>);

/// The maximum kernel of an element type.
pub struct Max<T>(PhantomData<fn() -> T>);

/// The kernel of the difference between both.
pub struct Ptp<T>(PhantomData<fn() -> T>);

/// The best element so far.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct Best {
    /// The element's bytes, the rest 0.
    bits: [u64; 2],
    /// See the constants.
    state: u64,
}

/// No element yet; all bytes are 0.
const NOTHING: u64 = 0;
const NUMBER: u64 = 1;
const NAN: u64 = 2;

impl Best {
    const EMPTY: Best = Best { bits: [0; 2], state: NOTHING };

    fn new<T: Ordered>(element: T, state: u64) -> Best {
        let mut bits = [0; 2];
        bytemuck::bytes_of_mut(&mut bits)[..std::mem::size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&element));
        Best { bits, state }
    }

    fn element<T: Ordered>(&self) -> T {
        bytemuck::pod_read_unaligned(&bytemuck::bytes_of(&self.bits)[..std::mem::size_of::<T>()])
    }

    /// Whether the element, a number, is better than another one.
    #[inline]
    fn is_better<T: Ordered, const GREATEST: bool>(&self, than: &Best) -> bool {
        let (a, b) = (self.element::<T>().key(), than.element::<T>().key());
        if GREATEST {
            b < a
        } else {
            a < b
        }
    }

    #[inline]
    fn add<T: Ordered, const GREATEST: bool>(&mut self, other: &Best) {
        if !self.is_spent::<T, GREATEST>(other) {
            *self = *other;
        }
    }

    /// Whether what another one stands for changes nothing here: not its best, and so none of it.
    #[inline]
    fn is_spent<T: Ordered, const GREATEST: bool>(&self, other: &Best) -> bool {
        match (self.state, other.state) {
            (NOTHING, _) | (NUMBER, NAN) => false,
            (NUMBER, NUMBER) => !other.is_better::<T, GREATEST>(self),
            _ => true,
        }
    }

    /// Whether all that this stands for is a number, and worse than the best of something else, or that is NaN.
    fn is_beaten<T: Ordered, const GREATEST: bool>(&self, best: &Best) -> bool {
        match (self.state, best.state) {
            (NUMBER, NUMBER) => best.is_better::<T, GREATEST>(self),
            (NUMBER, NAN) => true,
            _ => false,
        }
    }

    fn add_run<T: Ordered, const GREATEST: bool>(&mut self, run: &[T]) {
        for block in run.chunks(BLOCK) {
            let (key, has_nan) = if GREATEST { T::greatest(block) } else { T::least(block) };
            let best = match block.iter().find(|x| has_nan && x.is_nan()) {
                Some(nan) => Best::new(*nan, NAN),
                None => Best::new(T::of_key(key), NUMBER),
            };
            self.add::<T, GREATEST>(&best);
        }
    }

    fn add_rows<T: Ordered, const GREATEST: bool>(cells: &mut [Best], rows: &[T]) {
        let len = cells.len();
        for (strip, cells) in cells.chunks_mut(STRIP).enumerate() {
            let at = strip * STRIP;
            let start = if GREATEST { T::BOTTOM } else { T::TOP };
            let (mut keys, mut nan) = ([start; STRIP], [T::Flag::default(); STRIP]);
            let keys = &mut keys[..cells.len()];
            if GREATEST {
                T::greatest_rows(keys, &mut nan, rows, len, at);
            } else {
                T::least_rows(keys, &mut nan, rows, len, at);
            }
            for (i, cell) in cells.iter_mut().enumerate() {
                let best = if nan[i] == T::Flag::default() {
                    Best::new(T::of_key(keys[i]), NUMBER)
                } else {
                    let mut column = rows.chunks_exact(len).map(|row| row[at + i]);
                    Best::new(column.find(|x| x.is_nan()).unwrap_or(T::of_key(start)), NAN)
                };
                cell.add::<T, GREATEST>(&best);
            }
        }
    }
}

macro_rules! kernel {
    ($kernel:ident, $greatest:expr) => {
        impl<T: Ordered> Kernel for $kernel<T> {
            type Elem = T;
            type Cell = Best;
            type Out = T;
            const EMPTY: Best = Best::EMPTY;
            const PIECE: usize = BLOCK;
            const IS_EXACT: bool = true;
            fn run(cell: &mut Best, run: &[T]) {
                cell.add_run::<T, $greatest>(run);
            }
            fn is_spent(cell: &Best, other: &Best) -> bool {
                cell.state != NOTHING && cell.is_spent::<T, $greatest>(other)
            }
            fn is_beaten(other: &Best, best: &Best) -> bool {
                other.is_beaten::<T, $greatest>(best)
            }
            fn rows(cells: &mut [Best], rows: &[T]) {
                Best::add_rows::<T, $greatest>(cells, rows);
            }
            fn merge(cell: &mut Best, other: &Best) {
                cell.add::<T, $greatest>(other);
            }
            fn finish(cell: &Best, _: &Seen) -> T {
                cell.element()
            }
        }
    };
}
kernel!(Min, false);
kernel!(Max, true);

impl<T: Ordered> Kernel for Ptp<T> {
    type Elem = T;
    type Cell = [Best; 2];
    type Out = T;
    const EMPTY: [Best; 2] = [Best::EMPTY; 2];
    const PIECE: usize = BLOCK;
    const IS_EXACT: bool = true;
    fn run([least, greatest]: &mut [Best; 2], run: &[T]) {
        // Block by block, so that the second look finds the elements in the cache.
        for block in run.chunks(BLOCK) {
            least.add_run::<T, false>(block);
            greatest.add_run::<T, true>(block);
        }
    }
    fn is_spent(cell: &[Best; 2], other: &[Best; 2]) -> bool {
        cell[0].is_spent::<T, false>(&other[0]) && cell[1].is_spent::<T, true>(&other[1])
    }
    fn is_beaten(other: &[Best; 2], best: &[Best; 2]) -> bool {
        other[0].is_beaten::<T, false>(&best[0]) && other[1].is_beaten::<T, true>(&best[1])
    }
    fn rows(cells: &mut [[Best; 2]], rows: &[T]) {
        let (mut least, mut greatest): (Vec<Best>, Vec<Best>) = cells.iter().map(|c| (c[0], c[1])).unzip();
        Best::add_rows::<T, false>(&mut least, rows);
        Best::add_rows::<T, true>(&mut greatest, rows);
        cells.iter_mut().zip(least.into_iter().zip(greatest)).for_each(|(cell, (a, b))| *cell = [a, b]);
    }
    fn merge(cell: &mut [Best; 2], other: &[Best; 2]) {
        cell[0].add::<T, false>(&other[0]);
        cell[1].add::<T, true>(&other[1]);
    }
    fn finish([least, greatest]: &[Best; 2], _: &Seen) -> T {
        greatest.element::<T>().less(least.element())
    }
}
