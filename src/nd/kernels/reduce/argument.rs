//! `ARGMIN` and `ARGMAX`: where the first of the best elements stands. The first NaN, where there is one; both zeros are
//! equal.
//!
//! A cell counts the elements that it sees, so that it knows the position of each; blocks count from 0, and their
//! positions are made the array's when the block is done.

use std::marker::PhantomData;

use bytemuck::{Pod, Zeroable};

use super::kernel::{Kernel, Seen};
use super::order::{Ordered, STRIP};

/// The kernel of the least element's position.
pub struct ArgMin<T>(PhantomData<fn() -> T>);

/// The kernel of the greatest element's position.
pub struct ArgMax<T>(PhantomData<fn() -> T>);

/// The best element so far, and where it stands.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub struct First {
    /// The element's bytes, the rest 0.
    bits: [u64; 2],
    /// See the constants.
    state: u64,
    /// Where it stands.
    position: u64,
    /// Elements that were seen or skipped.
    seen: u64,
}

/// No element yet; all bytes are 0.
const NOTHING: u64 = 0;
const NUMBER: u64 = 1;
const NAN: u64 = 2;

/// Elements that make one block: the best block is looked through once more.
const BLOCK: usize = 1024;

/// Where the first element stands that `is_it`. A look at 64 of them is one without branches.
#[inline(always)]
fn find<T: Copy>(block: &[T], is_it: impl Fn(T) -> bool) -> Option<usize> {
    let group = block.chunks(64).position(|few| few.iter().fold(false, |any, &x| any | is_it(x)))?;
    let i = block[group * 64..].iter().position(|&x| is_it(x))?;
    Some(group * 64 + i)
}

impl First {
    const EMPTY: First = First { bits: [0; 2], state: NOTHING, position: 0, seen: 0 };

    fn element<T: Ordered>(&self) -> T {
        bytemuck::pod_read_unaligned(&bytemuck::bytes_of(&self.bits)[..std::mem::size_of::<T>()])
    }

    fn set<T: Ordered>(&mut self, element: T, state: u64, position: u64) {
        bytemuck::bytes_of_mut(&mut self.bits)[..std::mem::size_of::<T>()]
            .copy_from_slice(bytemuck::bytes_of(&element));
        (self.state, self.position) = (state, position);
    }

    /// Whether a number would be better than what is there.
    fn yields_to<T: Ordered, const GREATEST: bool>(&self, key: T::Key) -> bool {
        let own = self.element::<T>().key();
        match self.state {
            NOTHING => true,
            NUMBER if GREATEST => own < key,
            NUMBER => key < own,
            _ => false,
        }
    }

    fn add_run<T: Ordered, const GREATEST: bool>(&mut self, run: &[T]) {
        let at = self.seen;
        self.seen += run.len() as u64;
        if self.state == NAN {
            return;
        }
        // The best block, and within it, once, the element.
        let mut best: Option<(usize, T::Key)> = None;
        for (number, block) in run.chunks(BLOCK).enumerate() {
            let (key, has_nan) = if GREATEST { T::greatest(block) } else { T::least(block) };
            if has_nan {
                if let Some(i) = find(block, |x| x.is_nan()) {
                    return self.set(block[i], NAN, at + (number * BLOCK + i) as u64);
                }
            }
            let is_better = match best {
                None => self.yields_to::<T, GREATEST>(key),
                Some((_, own)) if GREATEST => own < key,
                Some((_, own)) => key < own,
            };
            if is_better {
                best = Some((number, key));
            }
        }
        if let Some((number, key)) = best {
            let block = &run[number * BLOCK..];
            if let Some(i) = find(&block[..block.len().min(BLOCK)], |x| x.key() == key) {
                self.set(block[i], NUMBER, at + (number * BLOCK + i) as u64);
            }
        }
    }

    fn add_rows<T: Ordered, const GREATEST: bool>(cells: &mut [First], rows: &[T]) {
        let len = cells.len();
        let count = (rows.len() / len) as u64;
        let has_nan = rows.chunks(BLOCK).any(|few| few.iter().fold(false, |nan, x| nan | x.is_nan()));
        if has_nan {
            // Column by column: NaN is rare.
            for (i, cell) in cells.iter_mut().enumerate() {
                rows.chunks_exact(len).for_each(|row| cell.add_run::<T, GREATEST>(&row[i..=i]));
            }
            return;
        }
        for (strip, cells) in cells.chunks_mut(STRIP).enumerate() {
            let first = cells[0].seen; // the same in all: rows go into all cells
            let start = if GREATEST { T::BOTTOM } else { T::TOP };
            let (mut keys, mut found) = ([start; STRIP], [first; STRIP]);
            let keys = &mut keys[..cells.len()];
            for (key, cell) in keys.iter_mut().zip(&*cells).filter(|(_, cell)| cell.state == NUMBER) {
                *key = cell.element::<T>().key();
            }
            let found = &mut found[..keys.len()];
            found.iter_mut().zip(&*cells).filter(|(_, c)| c.state != NOTHING).for_each(|(at, c)| *at = c.position);
            if GREATEST {
                T::first_greatest(keys, found, rows, len, strip * STRIP, first);
            } else {
                T::first_least(keys, found, rows, len, strip * STRIP, first);
            }
            for ((cell, key), at) in cells.iter_mut().zip(keys).zip(found) {
                cell.seen += count;
                if cell.state != NAN {
                    cell.set(T::of_key(*key), NUMBER, *at);
                }
            }
        }
    }

    /// What is at the lower position wins where both are equal.
    fn merge<T: Ordered, const GREATEST: bool>(&mut self, other: &First) {
        let other_key = other.element::<T>().key();
        let takes = match (self.state, other.state) {
            (_, NOTHING) => false,
            (NOTHING, _) | (NUMBER, NAN) => true,
            (NAN, NAN) => other.position < self.position,
            (NUMBER, NUMBER) => {
                self.yields_to::<T, GREATEST>(other_key)
                    || (self.element::<T>().key() == other_key && other.position < self.position)
            }
            _ => false,
        };
        if takes {
            *self = First { seen: self.seen, ..*other };
        }
    }
}

macro_rules! kernel {
    ($kernel:ident, $greatest:expr) => {
        impl<T: Ordered> Kernel for $kernel<T> {
            type Elem = T;
            type Cell = First;
            type Out = i64;
            const EMPTY: First = First::EMPTY;
            const PIECE: usize = BLOCK;
            const HOLDS_POSITIONS: bool = true;
            fn run(cell: &mut First, run: &[T]) {
                cell.add_run::<T, $greatest>(run);
            }
            fn rows(cells: &mut [First], rows: &[T]) {
                First::add_rows::<T, $greatest>(cells, rows);
            }
            fn merge(cell: &mut First, other: &First) {
                cell.merge::<T, $greatest>(other);
            }
            fn finish(cell: &First, _: &Seen) -> i64 {
                cell.position as i64 // below the size of an array
            }
            fn skip(cell: &mut First) {
                cell.seen += 1;
            }
            fn place(cell: &mut First, to_array: &dyn Fn(u64) -> u64) {
                cell.position = to_array(cell.position);
            }
        }
    };
}
kernel!(ArgMin, false);
kernel!(ArgMax, true);
