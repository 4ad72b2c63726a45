//! `ARGMIN` and `ARGMAX`: where the first of the best elements stands. The first NaN, where there is one; both zeros are
//! equal.
//!
//! Blocks count positions from 0; those of a block are made the array's when it is done.

use std::marker::PhantomData;

use super::kernel::{Kernel, Seen};
use super::order::{Ordered, COUNTED};
use crate::nd::kernels::Unaligned;

/// The kernel of the least element's position.
pub struct ArgMin<T>(PhantomData<fn() -> T>);

/// The kernel of the greatest element's position.
pub struct ArgMax<T>(PhantomData<fn() -> T>);

/// States of a cell, beside its position in the last word; no element yet is 0.
const NOTHING: u64 = 0;
const NUMBER: u64 = 1;
const NAN: u64 = 2;

/// Runs of which it pays to ask first whether they hold anything better.
const LONG: usize = 4096;

/// Columns whose keys are kept beside one another.
const STRIP: usize = 256;

/// Elements that are closed up at a time where some are left out.
const PIECE: usize = 1024;

/// The best element so far, and where it stands.
struct First<T>(PhantomData<T>);

impl<T: Ordered> First<T> {
    #[inline(always)]
    fn element(cell: &T::Slot) -> T {
        bytemuck::pod_read_unaligned(&bytemuck::bytes_of(cell)[..std::mem::size_of::<T>()])
    }

    #[inline(always)]
    fn tag(cell: &T::Slot) -> u64 {
        cell.as_ref().last().copied().unwrap_or(NOTHING)
    }

    #[inline(always)]
    fn state(cell: &T::Slot) -> u64 {
        Self::tag(cell) & 3
    }

    #[inline(always)]
    fn position(cell: &T::Slot) -> u64 {
        Self::tag(cell) >> 2
    }

    #[inline(always)]
    fn set(cell: &mut T::Slot, element: T, state: u64, position: u64) {
        bytemuck::bytes_of_mut(cell)[..std::mem::size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&element));
        if let Some(tag) = cell.as_mut().last_mut() {
            *tag = position << 2 | state; // a position is below 2^62
        }
    }

    /// Whether a number would be better than what is there.
    #[inline(always)]
    fn yields_to<const GREATEST: bool>(cell: &T::Slot, key: T::Key) -> bool {
        let own = Self::element(cell).key();
        match Self::state(cell) {
            NOTHING => true,
            NUMBER if GREATEST => own < key,
            NUMBER => key < own,
            _ => false,
        }
    }

    fn add_run<const GREATEST: bool>(cell: &mut T::Slot, run: &[Unaligned<T>], at: u64) {
        if Self::state(cell) == NAN {
            return;
        }
        // Of many blocks, few hold something better than all before them; that they do not is found out sooner than where it is.
        if run.len() >= LONG {
            let (key, has_nan) = if GREATEST { T::greatest(run) } else { T::least(run) };
            if !has_nan {
                if Self::yields_to::<GREATEST>(cell, key) {
                    let i = T::find(run, key);
                    Self::set(cell, run[i].get(), NUMBER, at + i as u64);
                }
                return;
            }
        }
        let (i, is_nan) = if GREATEST { T::find_greatest(run) } else { T::find_least(run) };
        let Some(element) = run.get(i).map(|x| x.get()) else { return };
        if is_nan {
            Self::set(cell, element, NAN, at + i as u64);
        } else if Self::yields_to::<GREATEST>(cell, element.key()) {
            Self::set(cell, element, NUMBER, at + i as u64);
        }
    }

    fn add_rows<const GREATEST: bool>(cells: &mut [T::Slot], rows: &[Unaligned<T>], at: u64) {
        let len = cells.len();
        let worst = if GREATEST { T::BOTTOM } else { T::TOP };
        let first = if GREATEST { T::first_greatest } else { T::first_least };
        for (strip, cells) in cells.chunks_mut(STRIP).enumerate() {
            let column = strip * STRIP;
            for (rows, at) in rows.chunks(COUNTED * len).zip((at..).step_by(COUNTED)) {
                let (mut keys, mut found) = ([worst.key(); STRIP], [T::SET; STRIP]);
                let (keys, found) = (&mut keys[..cells.len()], &mut found[..cells.len()]);
                for (key, cell) in keys.iter_mut().zip(&*cells) {
                    *key = if Self::state(cell) == NOTHING { *key } else { Self::element(cell).key() };
                }
                if first(keys, found, rows, len, column) {
                    // Column by column: NaN is rare.
                    for (i, cell) in cells.iter_mut().enumerate() {
                        let rows = rows.chunks_exact(len).zip(at..);
                        rows.for_each(|(row, at)| Self::add_run::<GREATEST>(cell, &row[column + i..][..1], at));
                    }
                    continue;
                }
                for ((cell, key), found) in cells.iter_mut().zip(&*keys).zip(&*found) {
                    if *found != T::SET {
                        Self::set(cell, T::of_key(*key), NUMBER, at + T::count(*found) as u64);
                    } else if Self::state(cell) == NOTHING {
                        Self::set(cell, worst, NUMBER, at); // all are the worst there is
                    }
                }
            }
        }
    }

    /// What is at the lower position wins where both are equal.
    #[inline(always)]
    fn merge<const GREATEST: bool>(cell: &mut T::Slot, other: &T::Slot) {
        let key = Self::element(other).key();
        let is_before = || Self::position(other) < Self::position(cell);
        let takes = match (Self::state(cell), Self::state(other)) {
            (_, NOTHING) => false,
            (NOTHING, _) | (NUMBER, NAN) => true,
            (NAN, NAN) => is_before(),
            (NUMBER, NUMBER) => {
                Self::yields_to::<GREATEST>(cell, key) || (Self::element(cell).key() == key && is_before())
            }
            _ => false,
        };
        if takes {
            *cell = *other;
        }
    }
}

macro_rules! kernel {
    ($kernel:ident, $greatest:expr) => {
        impl<T: Ordered> Kernel for $kernel<T> {
            type Elem = T;
            type Cell = T::Slot;
            type Out = i64;
            const EMPTY: T::Slot = bytemuck::zeroed();
            const PIECE: usize = PIECE;
            const HOLDS_POSITIONS: bool = true;
            const IS_EXACT: bool = true;
            fn run(cell: &mut T::Slot, run: &[Unaligned<T>]) {
                First::<T>::add_run::<$greatest>(cell, run, 0);
            }
            fn rows(cells: &mut [T::Slot], rows: &[Unaligned<T>]) {
                First::<T>::add_rows::<$greatest>(cells, rows, 0);
            }
            fn run_at(cell: &mut T::Slot, run: &[Unaligned<T>], at: u64) {
                First::<T>::add_run::<$greatest>(cell, run, at);
            }
            fn rows_at(cells: &mut [T::Slot], rows: &[Unaligned<T>], at: u64) {
                First::<T>::add_rows::<$greatest>(cells, rows, at);
            }
            fn merge(cell: &mut T::Slot, other: &T::Slot) {
                First::<T>::merge::<$greatest>(cell, other);
            }
            fn finish(cell: &T::Slot, _: &Seen) -> i64 {
                First::<T>::position(cell) as i64 // below the size of an array
            }
            fn place(cell: &mut T::Slot, to_array: &dyn Fn(u64) -> u64) {
                if let Some(tag) = cell.as_mut().last_mut().filter(|tag| **tag != NOTHING) {
                    *tag = to_array(*tag >> 2) << 2 | *tag & 3;
                }
            }
            fn shift(cells: &mut [T::Slot], by: u64) {
                for cell in cells {
                    if let Some(tag) = cell.as_mut().last_mut() {
                        *tag += if *tag == NOTHING { 0 } else { by << 2 };
                    }
                }
            }
        }
    };
}
kernel!(ArgMin, false);
kernel!(ArgMax, true);
