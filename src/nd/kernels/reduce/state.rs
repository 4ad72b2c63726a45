//! A reduction under way: blocks are added, other threads' partial results merged, and the result taken.

use half::{bf16, f16};
use smallvec::SmallVec;

use super::cells::{Cells, Tally};
use super::kernel::{Erased, Seen};
use super::plan::{Elements, Reduction};
use super::walk::Place;
use super::{kernel_of, Op};
use crate::nd::dtype::Dtype;
use crate::nd::error::{Error, Result};
use crate::nd::scalar::Scalar;
use crate::nd::shape::Shape;

/// A reduction under way.
pub struct State {
    plan: Reduction,
    cells: Cells,
    scratch: Cells,
}

/// What one block contributes to a reduction.
pub struct Partial {
    pub(super) cells: Cells,
    pub(super) place: Place,
}

/// What a summary of one block holds: which cell, and how many words it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SummaryKind {
    op: Op,
    dtype: Dtype,
    skip_nan: bool,
    /// Words of the cell, and of its tally.
    pub words: usize,
}

impl State {
    /// What a block's part in the state can be kept as: of reductions of all elements, without positions, masks or casts.
    pub fn summary_kind(&self) -> Option<SummaryKind> {
        let plan = &self.plan;
        let is_plain = plan.is_of_all() && plan.work == plan.dtype && !plan.options.is_masked;
        // Sums and means of floats keep the same cells, and so do variances and their roots.
        let op = match plan.op {
            Op::Mean if plan.dtype.is_inexact() => Op::Sum,
            Op::Std => Op::Var,
            op => op,
        };
        let words = plan.kernel.cell_size().div_ceil(8) + if plan.is_filtered() { 2 } else { 0 };
        let kind = SummaryKind { op, dtype: plan.dtype, skip_nan: plan.options.skip_nan, words };
        (is_plain && !plan.kernel.holds_positions()).then_some(kind)
    }

    /// Writes what the last block gave, as many words as [`State::summary_kind`] says.
    pub fn summary(&self, words: &mut [u64]) {
        let size = self.scratch.bytes().len();
        bytemuck::cast_slice_mut(words)[..size].copy_from_slice(self.scratch.bytes());
        if let ([tally], Some(at)) = (&self.scratch.tallies[..], words.len().checked_sub(2)) {
            words[at..].copy_from_slice(&[tally.chosen, tally.taken]);
        }
    }

    /// Adds what a block gave, as [`State::summary`] wrote it: the bits of the block itself.
    pub fn merge_summary(&mut self, words: &[u64]) {
        let (bytes, tallies) = self.scratch.parts_mut();
        let size = bytes.len();
        bytes.copy_from_slice(&bytemuck::cast_slice(words)[..size]);
        if let ([tally], [.., chosen, taken]) = (tallies, words) {
            *tally = Tally { chosen: *chosen, taken: *taken };
        }
        Place::only().merge(self.plan.kernel, &mut self.cells, &self.scratch);
    }

    /// The state of the same reduction that has seen nothing.
    ///
    /// # Errors
    /// `OOM`.
    pub fn begun_anew(&self) -> Result<State> {
        State::new(self.plan.clone())
    }

    /// Whether no part of a block can change the result, as what the block gave shows ([`State::summary`]): not after what this
    /// state saw, or not beside what `others` saw. False where it is not known.
    pub fn is_spared(&self, words: &[u64], others: &State) -> bool {
        if self.plan.is_filtered() {
            return false; // how many elements were left out is counted
        }
        // Cells may be aligned to sixteen bytes, words are to eight.
        let pair = |words: &[u64]| bytemuck::cast::<[u64; 2], u128>([words[0], words.get(1).copied().unwrap_or(0)]);
        let aligned: SmallVec<[u128; 8]> = words.chunks(2).map(pair).collect();
        let block = &bytemuck::cast_slice(&aligned)[..self.cells.cell_size];
        let kernel = self.plan.kernel;
        kernel.is_spent(self.cells.bytes(), block) || kernel.is_beaten(block, others.cells.bytes())
    }

    pub(super) fn new(plan: Reduction) -> Result<State> {
        let mut cells = Cells::default();
        cells.reset(plan.kernel, plan.cells, plan.is_filtered())?;
        let mut scratch = Cells::default();
        if plan.is_of_all() {
            scratch.reset(plan.kernel, 1, plan.is_filtered())?;
        }
        Ok(State { plan, cells, scratch })
    }

    /// Adds the block of elements at `offset`, which may lie at any address. Blocks come in chunk order; arguments as
    /// [`Reduction::partial`].
    ///
    /// # Errors
    /// As [`Reduction::partial`].
    ///
    /// # Panics
    /// As [`Reduction::partial`].
    pub fn add_block(&mut self, block: &[u8], mask: Option<&[u8]>, lens: &[usize], offset: &[usize]) -> Result<()> {
        if !self.plan.takes_runs() || mask.is_some() || block.is_empty() {
            return self.add(Elements::All(block), mask, lens, offset);
        }
        // All elements go into one cell, whose place need not be looked for: that takes a sixth of the time of a sum.
        let kernel = self.plan.kernel;
        let size = lens.iter().product::<usize>() * self.plan.dtype.itemsize();
        assert_eq!(block.len(), size, "a block holds its shape's elements");
        self.scratch.reset(kernel, 1, false)?;
        kernel.run(block, self.scratch.bytes_mut());
        kernel.merge(self.cells.bytes_mut(), self.scratch.bytes());
        Ok(())
    }

    /// Adds the blocks that a run of elements at `offset` falls into along its first axis, of `rows` rows each.
    ///
    /// The bits are those of [`State::add_block`] for one after the other. Where each has few rows for its columns, what is kept of
    /// a column is read and written once for all of them, which would take longer than the elements.
    ///
    /// # Errors
    /// As [`Reduction::partial`].
    ///
    /// # Panics
    /// As [`Reduction::partial`].
    pub fn add_blocks(&mut self, run: &[u8], lens: &[usize], offset: &[usize], rows: usize) -> Result<()> {
        if self.plan.add_all_in_place(run, lens, offset, rows, &mut self.cells) {
            return Ok(());
        }
        let (mut lens, mut offset): (SmallVec<[usize; 4]>, SmallVec<[usize; 4]>) = (lens.into(), offset.into());
        let left = std::mem::replace(&mut lens[0], rows);
        let row = run.len() / left.max(1);
        for block in run.chunks((rows * row).max(1)) {
            lens[0] = block.len() / row;
            self.add_block(block, None, &lens, &offset)?;
            offset[0] += lens[0];
        }
        Ok(())
    }

    /// Adds a block whose elements are all `value`. Arguments as [`Reduction::partial_fill`].
    ///
    /// # Errors
    /// As [`Reduction::partial_fill`].
    ///
    /// # Panics
    /// As [`Reduction::partial_fill`].
    pub fn add_fill(&mut self, value: &Scalar, mask: Option<&[u8]>, lens: &[usize], offset: &[usize]) -> Result<()> {
        self.add(Elements::Fill(value), mask, lens, offset)
    }

    fn add(&mut self, block: Elements<'_>, mask: Option<&[u8]>, lens: &[usize], offset: &[usize]) -> Result<()> {
        if let (Elements::All(bytes), None) = (block, mask) {
            if self.plan.add_in_place(bytes, lens, offset, &mut self.cells) {
                return Ok(());
            }
        }
        let place = self.plan.add(block, mask, lens, offset, &mut self.scratch)?;
        place.merge(self.plan.kernel, &mut self.cells, &self.scratch);
        Ok(())
    }

    /// Adds what another thread made of a block, with the plan of this state.
    pub fn merge(&mut self, partial: &Partial) {
        partial.place.merge(self.plan.kernel, &mut self.cells, &partial.cells);
    }

    /// The result's shape.
    pub fn out_shape(&self) -> &Shape {
        &self.plan.out_shape
    }

    /// How many elements a cell of the result was given, NaN that was skipped among them.
    pub fn chosen(&self, cell: usize) -> u64 {
        self.cells.tallies.get(cell).map_or(self.plan.count as u64, |t| t.chosen)
    }

    /// How many of them went into it.
    pub fn taken(&self, cell: usize) -> u64 {
        self.cells.tallies.get(cell).map_or(self.plan.count as u64, |t| t.taken)
    }

    /// What `op` makes of the same cells: the standard deviation, in the state of a variance.
    ///
    /// # Errors
    /// As [`State::finish`].
    pub fn finish_as(&self, op: Op) -> Result<(Dtype, Shape, Vec<u8>)> {
        assert!(self.plan.op == Op::Var && op == Op::Std, "no other cells are the same");
        let kernel = kernel_of(op, self.plan.work)?;
        self.finish_by(kernel)
    }

    /// The result: its dtype, its shape, and its elements in C order.
    ///
    /// # Errors
    /// `VALUE` where options left no element for a minimum and its like; `OOM` where memory for the result is not given.
    pub fn finish(&self) -> Result<(Dtype, Shape, Vec<u8>)> {
        self.finish_by(self.plan.kernel)
    }

    fn finish_by(&self, kernel: &'static dyn Erased) -> Result<(Dtype, Shape, Vec<u8>)> {
        let plan = &self.plan;
        let tallies = &self.cells.tallies;
        let holds_positions = kernel.holds_positions();
        if plan.op.needs_elements() {
            if tallies.iter().any(|t| t.chosen == 0) {
                return Err(Error::Empty { what: plan.op.name() });
            }
            if holds_positions && tallies.iter().any(|t| t.taken == 0) {
                return Err(Error::value(format!("{} of elements that are all NaN has no answer", plan.op.name())));
            }
        }
        let made = kernel.out_dtype();
        let bytes = plan.cells * made.itemsize(); // checked in `Reduction::new`
        let mut out = Vec::new();
        out.try_reserve_exact(bytes).map_err(|_| Error::OutOfMemory { bytes })?;
        let seen = Seen { count: plan.count as u64, ddof: plan.options.ddof, skips_nan: plan.options.skip_nan };
        kernel.finish(self.cells.bytes(), tallies, seen, &mut out);
        if plan.op.needs_elements() {
            for (tally, element) in tallies.iter().zip(out.chunks_exact_mut(made.itemsize())) {
                if tally.taken == 0 {
                    write_nan(made, element);
                }
            }
        }
        one_nan(made, &mut out);
        let dtype = plan.out_dtype();
        if dtype.itemsize() < made.itemsize() {
            // An integer's low bits come first.
            let wide = std::mem::take(&mut out);
            wide.chunks_exact(made.itemsize()).for_each(|e| out.extend_from_slice(&e[..dtype.itemsize()]));
        }
        Ok((dtype, plan.out_shape.clone(), out))
    }
}

/// The NaN that results hold, little-endian; of a complex dtype, of either part.
fn nan_bits(dtype: Dtype) -> &'static [u8] {
    match (dtype, dtype.number_size()) {
        (Dtype::BFloat16, _) => &[0xc0, 0x7f],
        (_, 2) => &[0, 0x7e],
        (_, 4) => &[0, 0, 0xc0, 0x7f],
        _ => &[0, 0, 0, 0, 0, 0, 0xf8, 0x7f],
    }
}

/// Makes an inexact element NaN.
fn write_nan(dtype: Dtype, element: &mut [u8]) {
    let nan = nan_bits(dtype);
    if dtype.is_inexact() {
        element.fill(0);
        element[..nan.len()].copy_from_slice(nan);
    }
}

/// Writes every NaN as the same bits: which ones an operation gives (`inf - inf`, `0 / 0`) differs between processors.
fn one_nan(dtype: Dtype, elements: &mut [u8]) {
    fn each<const N: usize>(dtype: Dtype, elements: &mut [u8], is_nan: impl Fn([u8; N]) -> bool) {
        let nan = nan_bits(dtype);
        elements.as_chunks_mut::<N>().0.iter_mut().filter(|e| is_nan(**e)).for_each(|e| e.copy_from_slice(nan));
    }
    match (dtype.is_inexact(), dtype, dtype.number_size()) {
        (false, ..) => {}
        (_, Dtype::BFloat16, _) => each(dtype, elements, |e| bf16::from_le_bytes(e).is_nan()),
        (_, _, 2) => each(dtype, elements, |e| f16::from_le_bytes(e).is_nan()),
        (_, _, 4) => each(dtype, elements, |e| f32::from_le_bytes(e).is_nan()),
        _ => each(dtype, elements, |e| f64::from_le_bytes(e).is_nan()),
    }
}
