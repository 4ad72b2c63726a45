//! What an operation has to bring, and how it is run over blocks with its types forgotten.

use bytemuck::Pod;

use super::cells::Tally;
use super::walk::{each_reduced, Inner, Walk};
use crate::nd::dtype::{Dtype, Element};
use crate::nd::kernels::{elements, elements_mut, Unaligned};
use crate::nd::scalar::Scalar;

/// One operation on one element type.
pub(super) trait Kernel: 'static {
    /// What blocks hold.
    type Elem: Element;
    /// What is kept for one element of the result.
    type Cell: Pod + Send + Sync;
    /// The result's element.
    type Out: Element;
    /// The cell of no elements.
    const EMPTY: Self::Cell;
    /// Both loops keep this promise: so many elements (or rows) and then more are the same as all at once.
    const PIECE: usize;
    /// Whether cells hold positions, counted in the reduced elements of a block.
    const HOLDS_POSITIONS: bool = false;
    /// Whether adding to a cell gives the bits of merging into it what was added to an empty one.
    const IS_EXACT: bool = false;
    /// Adds a contiguous run of elements to one cell.
    fn run(cell: &mut Self::Cell, run: &[Unaligned<Self::Elem>]);
    /// Adds rows of `cells.len()` elements each, element by element.
    fn rows(cells: &mut [Self::Cell], rows: &[Unaligned<Self::Elem>]);
    /// [`Kernel::run`], the first element at this position.
    fn run_at(cell: &mut Self::Cell, run: &[Unaligned<Self::Elem>], _at: u64) {
        Self::run(cell, run);
    }
    /// [`Kernel::rows`], the first row at this position.
    fn rows_at(cells: &mut [Self::Cell], rows: &[Unaligned<Self::Elem>], _at: u64) {
        Self::rows(cells, rows);
    }
    /// Whether nothing of what `other` saw changes the cell.
    fn is_spent(_cell: &Self::Cell, _other: &Self::Cell) -> bool {
        false
    }
    /// Whether nothing of what `other` saw is in the result of what `best` saw as well.
    fn is_beaten(_other: &Self::Cell, _best: &Self::Cell) -> bool {
        false
    }
    /// So many rows are one block of [`Kernel::rows`]: what they give an empty cell is what is merged into any other.
    const ONE_BLOCK: usize = 0;
    /// [`Kernel::rows`] of each block of so many rows, at most [`Kernel::ONE_BLOCK`], one after the other.
    fn blocks_of_rows(cells: &mut [Self::Cell], rows: &[Unaligned<Self::Elem>], block: usize) {
        let len = cells.len();
        rows.chunks(block * len).for_each(|rows| Self::rows(cells, rows));
    }
    /// Merges into each cell what its run gives an empty one; runs are of `len` elements, one after the other.
    fn runs_onto(cells: &mut [Self::Cell], runs: &[Unaligned<Self::Elem>], len: usize) {
        for (cell, run) in cells.iter_mut().zip(runs.chunks_exact(len)) {
            let mut own = Self::EMPTY;
            Self::run(&mut own, run);
            Self::merge(cell, &own);
        }
    }
    /// Adds what `other` saw after what this cell saw.
    fn merge(cell: &mut Self::Cell, other: &Self::Cell);
    /// [`Kernel::merge`] for many cells.
    fn merge_all(cells: &mut [Self::Cell], others: &[Self::Cell]) {
        cells.iter_mut().zip(others).for_each(|(cell, other)| Self::merge(cell, other));
    }
    /// The result of a cell.
    fn finish(cell: &Self::Cell, seen: &Seen) -> Self::Out;
    /// Makes a block's positions those of the array.
    fn place(_cell: &mut Self::Cell, _to_array: &dyn Fn(u64) -> u64) {}
    /// Moves a block's positions on.
    fn shift(_cells: &mut [Self::Cell], _by: u64) {}
}

/// What a cell saw, and how it is to be finished.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Elements that went into the cell.
    pub count: u64,
    /// `DDOF`: what a variance's divisor is less than the count.
    pub ddof: f64,
    /// Whether NaN was left out.
    pub skips_nan: bool,
}

/// Rows of `len` elements, from a column on: one block, for kernels that go down some columns at a time.
pub(super) struct Columns<'r, T> {
    pub rows: &'r [Unaligned<T>],
    pub len: usize,
    pub first: usize,
}

/// Rows of `len` elements that are gone down before the next columns are: few enough to stay in a near cache, where columns that share
/// its lines find them.
pub(super) fn depth<T>(len: usize) -> usize {
    ((64 << 10) / (len * std::mem::size_of::<T>()).max(1)).clamp(4, 8)
}

/// A kernel with its types forgotten. Cells are bytes, aligned to 16; elements are at any address.
pub(super) trait Erased: Send + Sync {
    fn cell_size(&self) -> usize;
    fn out_dtype(&self) -> Dtype;
    fn holds_positions(&self) -> bool;
    fn is_exact(&self) -> bool;
    /// Makes cells of zero bytes empty ones.
    fn clear(&self, cells: &mut [u8]);
    /// Adds a run of elements to the first cell; of a kernel without positions.
    fn run(&self, run: &[u8], cells: &mut [u8]);
    /// Adds a block, its first reduced element at this position.
    fn block(&self, walk: &Walk, block: &[u8], cells: &mut [u8], at: u64);
    /// Merges into cells what a block gives empty ones, without a second set of cells. False, and nothing done, where a
    /// cell is met more than once, or the kernel cannot.
    fn block_onto(&self, walk: &Walk, block: &[u8], cells: &mut [u8]) -> bool;
    /// [`Erased::block_onto`] of blocks of so many rows each, one after the other: a walk down rows. False, and nothing done,
    /// where a block has too many rows.
    fn blocks_onto(&self, rows: &[u8], block: usize, cells: &mut [u8]) -> bool;
    /// Adds those elements of a block whose byte in `keep` is not 0.
    fn chosen(&self, walk: &Walk, block: &[u8], keep: &[u8], cells: &mut [u8]);
    fn fill(&self, walk: &Walk, value: &Scalar, cells: &mut [u8]);
    /// [`Kernel::is_spent`] of the first cells.
    fn is_spent(&self, cells: &[u8], others: &[u8]) -> bool;
    /// [`Kernel::is_beaten`] of the first cells.
    fn is_beaten(&self, others: &[u8], best: &[u8]) -> bool;
    fn place(&self, cells: &mut [u8], to_array: &dyn Fn(u64) -> u64);
    fn shift(&self, cells: &mut [u8], by: u64);
    fn merge(&self, cells: &mut [u8], others: &[u8]);
    /// Appends the results of cells; `tallies` has one entry for each of them, or none where `seen` holds for all.
    fn finish(&self, cells: &[u8], tallies: &[Tally], seen: Seen, out: &mut Vec<u8>);
}

/// A kernel as an [`Erased`] one.
pub(super) struct Typed<K>(std::marker::PhantomData<fn() -> K>);

impl<K> Typed<K> {
    pub const NEW: Typed<K> = Typed(std::marker::PhantomData);
}

impl<K: Kernel> Typed<K> {
    /// Adds the kept elements of a run that begins at a position, closed up, in pieces.
    fn closed_up(
        cell: &mut K::Cell,
        run: impl Iterator<Item = (Unaligned<K::Elem>, bool)>,
        at: u64,
        scratch: &mut Vec<Unaligned<K::Elem>>,
    ) {
        scratch.clear();
        for ((element, is_kept), at) in run.zip(at..) {
            if !is_kept {
                continue;
            }
            if K::HOLDS_POSITIONS {
                K::run_at(cell, &[element], at);
                continue;
            }
            scratch.push(element);
            if scratch.len() == K::PIECE {
                K::run(cell, scratch);
                scratch.clear();
            }
        }
        if !scratch.is_empty() {
            K::run(cell, scratch);
        }
    }
}

impl<K: Kernel> Erased for Typed<K> {
    fn cell_size(&self) -> usize {
        std::mem::size_of::<K::Cell>()
    }

    fn out_dtype(&self) -> Dtype {
        K::Out::DTYPE
    }

    fn holds_positions(&self) -> bool {
        K::HOLDS_POSITIONS
    }

    fn is_exact(&self) -> bool {
        K::IS_EXACT
    }

    fn clear(&self, cells: &mut [u8]) {
        if bytemuck::bytes_of(&K::EMPTY).iter().any(|&b| b != 0) {
            elements_mut::<K::Cell>(cells).fill(K::EMPTY);
        }
    }

    fn run(&self, run: &[u8], cells: &mut [u8]) {
        K::run(&mut elements_mut(cells)[0], elements(run));
    }

    fn block(&self, walk: &Walk, block: &[u8], cells: &mut [u8], at: u64) {
        let block: &[Unaligned<K::Elem>] = elements(block);
        let cells: &mut [K::Cell] = elements_mut(cells);
        match walk.inner() {
            (Inner::Run(len), []) => K::run_at(&mut cells[0], &block[..len], at),
            // Exact ones give the same bits, and may look at many short runs in one call.
            (Inner::Run(len), [outer]) if !outer.is_reduced && K::IS_EXACT && !K::HOLDS_POSITIONS => {
                K::runs_onto(cells, block, len);
            }
            (Inner::Run(len), outer) => {
                let mut runs = block.chunks_exact(len);
                each_reduced(outer, 0, 0, &mut |cell, number| {
                    K::run_at(&mut cells[cell], runs.next().unwrap_or(&[]), at + (number * len) as u64);
                });
            }
            (Inner::Rows { rows, len }, outer) => {
                let mut parts = block.chunks_exact(rows * len);
                each_reduced(outer, 0, 0, &mut |cell, number| {
                    let part = parts.next().unwrap_or(&[]);
                    K::rows_at(&mut cells[cell..][..len], part, at + (number * rows) as u64);
                });
            }
        }
    }

    fn block_onto(&self, walk: &Walk, block: &[u8], cells: &mut [u8]) -> bool {
        let (inner, outer) = walk.inner();
        if K::HOLDS_POSITIONS || outer.iter().any(|g| g.is_reduced) {
            return false;
        }
        let block: &[Unaligned<K::Elem>] = elements(block);
        let cells: &mut [K::Cell] = elements_mut(cells);
        match inner {
            Inner::Run(len) => K::runs_onto(cells, block, len),
            Inner::Rows { rows, len } if rows <= K::ONE_BLOCK => {
                let parts = block.chunks_exact(rows * len);
                cells.chunks_exact_mut(len).zip(parts).for_each(|(cells, part)| K::rows(cells, part));
            }
            Inner::Rows { .. } => return false,
        }
        true
    }

    fn blocks_onto(&self, rows: &[u8], block: usize, cells: &mut [u8]) -> bool {
        let fits = block <= K::ONE_BLOCK;
        if fits {
            K::blocks_of_rows(elements_mut(cells), elements(rows), block);
        }
        fits
    }

    fn chosen(&self, walk: &Walk, block: &[u8], keep: &[u8], cells: &mut [u8]) {
        let block: &[Unaligned<K::Elem>] = elements(block);
        let cells: &mut [K::Cell] = elements_mut(cells);
        let mut scratch = Vec::with_capacity(K::PIECE.min(block.len()));
        let pairs = |at: usize| (block[at], keep[at] != 0);
        let mut at = 0;
        match walk.inner() {
            (Inner::Run(len), outer) => each_reduced(outer, 0, 0, &mut |cell, number| {
                let run = (at..at + len).map(pairs);
                Self::closed_up(&mut cells[cell], run, (number * len) as u64, &mut scratch);
                at += len;
            }),
            (Inner::Rows { rows, len }, outer) => each_reduced(outer, 0, 0, &mut |cell, number| {
                for (column, cell) in cells[cell..][..len].iter_mut().enumerate() {
                    let run = (0..rows).map(|row| pairs(at + row * len + column));
                    Self::closed_up(cell, run, (number * rows) as u64, &mut scratch);
                }
                at += rows * len;
            }),
        }
    }

    /// Every cell sees the same elements in the same order: one is computed, through the loops that a block would take.
    fn fill(&self, walk: &Walk, value: &Scalar, cells: &mut [u8]) {
        let value: K::Elem = bytemuck::pod_read_unaligned(&value.to_le_bytes()[..std::mem::size_of::<K::Elem>()]);
        let (inner, outer) = walk.inner();
        let times: usize = outer.iter().filter(|g| g.is_reduced).map(|g| g.len).product();
        let len = match inner {
            Inner::Run(len) => len,
            Inner::Rows { rows, .. } => rows,
        };
        let piece = vec![Unaligned::new(value); len.min(K::PIECE)];
        let mut cell = [K::EMPTY];
        for time in 0..times {
            let mut done = 0;
            while done < len {
                let part = &piece[..(len - done).min(K::PIECE)];
                let at = (time * len + done) as u64;
                match inner {
                    Inner::Run(_) => K::run_at(&mut cell[0], part, at),
                    Inner::Rows { .. } => K::rows_at(&mut cell, part, at),
                }
                done += part.len();
            }
        }
        elements_mut(cells).fill(cell[0]);
    }

    fn is_spent(&self, cells: &[u8], others: &[u8]) -> bool {
        K::is_spent(&elements(cells)[0], &elements(others)[0])
    }

    fn is_beaten(&self, others: &[u8], best: &[u8]) -> bool {
        K::is_beaten(&elements(others)[0], &elements(best)[0])
    }

    fn place(&self, cells: &mut [u8], to_array: &dyn Fn(u64) -> u64) {
        elements_mut(cells).iter_mut().for_each(|cell| K::place(cell, to_array));
    }

    fn shift(&self, cells: &mut [u8], by: u64) {
        K::shift(elements_mut(cells), by);
    }

    fn merge(&self, cells: &mut [u8], others: &[u8]) {
        K::merge_all(elements_mut(cells), elements(others));
    }

    fn finish(&self, cells: &[u8], tallies: &[Tally], seen: Seen, out: &mut Vec<u8>) {
        let cells: &[K::Cell] = elements(cells);
        let mut one = |cell, seen: &Seen| out.extend_from_slice(bytemuck::bytes_of(&K::finish(cell, seen)));
        if tallies.is_empty() {
            cells.iter().for_each(|cell| one(cell, &seen));
        } else {
            cells.iter().zip(tallies).for_each(|(cell, tally)| one(cell, &Seen { count: tally.taken, ..seen }));
        }
    }
}
