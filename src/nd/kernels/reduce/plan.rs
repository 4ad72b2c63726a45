//! The plan of a reduction: what is reduced, how, and into which dtype and shape.

use smallvec::SmallVec;

use super::cells::{Cells, Tally};
use super::filter;
use super::kernel::Erased;
use super::state::{Partial, State};
use super::walk::{Inner, Place, Walk};
use super::{kernel_of, KeepDims, Op};
use crate::nd::dtype::{Dtype, Kind};
use crate::nd::error::{Error, Result};
use crate::nd::kernels::axes::AxisSet;
use crate::nd::kernels::cast::cast;
use crate::nd::scalar::Scalar;
use crate::nd::shape::Shape;

/// What may be asked of a reduction besides its axes.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether reduced axes stay in the result's shape.
    pub keepdims: KeepDims,
    /// Leaves out NaN, as NumPy's `nansum` and its like.
    pub skip_nan: bool,
    /// Whether blocks come with a mask.
    pub is_masked: bool,
    /// What a variance's divisor is less than the count.
    pub ddof: f64,
    /// The dtype that elements are cast to first, and that the result has.
    pub dtype: Option<Dtype>,
}

impl Default for Options {
    fn default() -> Options {
        Options { keepdims: KeepDims::No, skip_nan: false, is_masked: false, ddof: 0.0, dtype: None }
    }
}

/// A reduction of an array of known dtype and shape.
#[derive(Clone)]
pub struct Reduction {
    pub(super) kernel: &'static dyn Erased,
    pub(super) op: Op,
    /// What blocks hold, and what the kernel takes.
    pub(super) dtype: Dtype,
    pub(super) work: Dtype,
    shape: Shape,
    pub(super) axes: AxisSet,
    pub(super) out_shape: Shape,
    /// Cells between neighbours along each axis of the array; 0 for reduced axes.
    strides: SmallVec<[usize; 4]>,
    pub(super) cells: usize,
    /// Elements that go into each cell.
    pub(super) count: usize,
    pub(super) options: Options,
}

/// A block's elements.
#[derive(Clone, Copy)]
pub(super) enum Elements<'a> {
    /// In C order, aligned.
    All(&'a [u8]),
    /// All the same.
    Fill(&'a Scalar),
}

impl Reduction {
    /// Plans a reduction of an array over `axes`, without further options. As [`Reduction::with`].
    ///
    /// # Errors
    /// As [`Reduction::with`].
    pub fn new(op: Op, dtype: Dtype, shape: &Shape, axes: &AxisSet, keepdims: KeepDims) -> Result<Reduction> {
        Reduction::with(op, dtype, shape, axes, &Options { keepdims, ..Options::default() })
    }

    /// Plans a reduction of an array over `axes`.
    ///
    /// Nothing is allocated: see [`Reduction::state_bytes`] first, then [`Reduction::start`].
    ///
    /// # Errors
    /// `LIMIT` where the array or the result is larger than can be addressed; `DTYPE` for a dtype that the operation does
    /// not take; `VALUE` for a minimum and its like of no elements, and of a position along several axes.
    pub fn with(op: Op, dtype: Dtype, shape: &Shape, axes: &AxisSet, options: &Options) -> Result<Reduction> {
        shape.size_and_bytes(dtype)?;
        let (op, work) = op.settle(dtype, options.dtype)?;
        let kernel = kernel_of(op, work)?;
        let mut kept = Shape::scalar();
        let mut out_shape = Shape::scalar();
        let mut count = 1usize;
        for (axis, &len) in shape.iter().enumerate() {
            if axes.contains(axis) {
                count = count.saturating_mul(len); // does not saturate: the product over all axes was checked
                if options.keepdims == KeepDims::Yes {
                    out_shape.push(1)?;
                }
            } else {
                kept.push(len)?;
                out_shape.push(len)?;
            }
        }
        if count == 0 && op.needs_elements() {
            return Err(Error::Empty { what: op.name() });
        }
        if kernel.holds_positions() && !axes.is_one_or_all(shape.ndim()) {
            return Err(Error::value(format!("{} takes one axis, or none for all elements", op.name())));
        }
        let (cells, _) = out_shape.size_and_bytes(kernel.out_dtype())?;
        let mut of_kept = kept.c_strides().into_iter();
        let strides =
            (0..shape.ndim()).map(|a| if axes.contains(a) { 0 } else { of_kept.next().unwrap_or(0) }).collect();
        let options = Options { skip_nan: options.skip_nan && dtype.is_inexact(), ..*options };
        let (shape, axes) = (shape.clone(), *axes);
        Ok(Reduction { kernel, op, dtype, work, shape, axes, out_shape, strides, cells, count, options })
    }

    /// The result's shape.
    pub fn out_shape(&self) -> &Shape {
        &self.out_shape
    }

    /// The result's dtype.
    pub fn out_dtype(&self) -> Dtype {
        self.options.dtype.filter(|_| self.is_narrowed()).unwrap_or(self.kernel.out_dtype())
    }

    /// Whether the result is the low bits of the kernel's: an integer dtype that was asked for.
    pub(super) fn is_narrowed(&self) -> bool {
        matches!(self.work.kind(), Kind::Signed | Kind::Unsigned) && matches!(self.op, Op::Sum | Op::Prod)
    }

    /// Bytes that a [`State`] and its result take; a block takes as much again for the part that it covers.
    pub fn state_bytes(&self) -> usize {
        let tally = if self.is_filtered() { std::mem::size_of::<Tally>() } else { 0 };
        self.cells.saturating_mul(self.kernel.cell_size() + tally + self.kernel.out_dtype().itemsize())
    }

    /// Whether all elements go into one cell.
    pub(super) fn is_of_all(&self) -> bool {
        self.axes.is_all(self.shape.ndim())
    }

    /// Whether each block is one run for the kernel, wherever it lies.
    pub(super) fn takes_runs(&self) -> bool {
        self.is_of_all() && !self.is_filtered() && self.work == self.dtype && !self.kernel.holds_positions()
    }

    /// Whether elements may be left out.
    pub(super) fn is_filtered(&self) -> bool {
        self.options.skip_nan || self.options.is_masked
    }

    /// The state that has seen nothing.
    ///
    /// # Errors
    /// `OOM` where its memory is not given.
    pub fn start(&self) -> Result<State> {
        State::new(self.clone())
    }

    /// What the block of elements at `offset` contributes.
    ///
    /// `block` holds the elements in C order, at any address. `mask` has one byte for
    /// each element, 0 where it is left out; none is all of them.
    ///
    /// # Errors
    /// `OOM` where memory for the block's cells is not given.
    ///
    /// # Panics
    /// Where the block lies outside the array or its bytes are not those of its shape: a bug in the caller.
    pub fn partial(&self, block: &[u8], mask: Option<&[u8]>, lens: &[usize], offset: &[usize]) -> Result<Partial> {
        let mut cells = Cells::default();
        let place = self.add(Elements::All(block), mask, lens, offset, &mut cells)?;
        Ok(Partial { cells, place })
    }

    /// What a block whose elements are all `value` contributes: the same bits as the elements written out.
    ///
    /// # Errors
    /// As [`Reduction::partial`].
    ///
    /// # Panics
    /// As [`Reduction::partial`]; and where `value` is of another dtype.
    pub fn partial_fill(
        &self,
        value: &Scalar,
        mask: Option<&[u8]>,
        lens: &[usize],
        offset: &[usize],
    ) -> Result<Partial> {
        let mut cells = Cells::default();
        let place = self.add(Elements::Fill(value), mask, lens, offset, &mut cells)?;
        Ok(Partial { cells, place })
    }

    /// Makes `cells` those of one block.
    pub(super) fn add(
        &self,
        block: Elements<'_>,
        mask: Option<&[u8]>,
        lens: &[usize],
        offset: &[usize],
        cells: &mut Cells,
    ) -> Result<Place> {
        let (walk, place) = self.locate(lens, offset);
        cells.reset(self.kernel, walk.cells, self.is_filtered())?;
        if walk.elements == 0 {
            return Ok(place);
        }
        match block {
            Elements::All(bytes) => {
                assert_eq!(bytes.len(), walk.elements * self.dtype.itemsize(), "a block holds its shape's elements");
                self.add_elements(bytes, mask, &walk, cells)?;
            }
            Elements::Fill(value) => {
                assert_eq!(value.dtype(), self.dtype, "a fill value is of the array's dtype");
                self.add_fill(value, mask, &walk, cells)?;
            }
        }
        if self.kernel.holds_positions() {
            self.place_positions(lens, offset, cells.bytes_mut());
        }
        Ok(place)
    }

    fn add_elements(&self, block: &[u8], mask: Option<&[u8]>, walk: &Walk, cells: &mut Cells) -> Result<()> {
        let is_bad = self.options.skip_nan && filter::has_nan(self.dtype, block);
        let keep = match (mask, is_bad) {
            (mask, true) => {
                let mut keep = match mask {
                    Some(mask) => mask.iter().map(|&m| u8::from(m != 0)).collect(),
                    None => vec![1; walk.elements],
                };
                filter::drop_nan(self.dtype, block, &mut keep);
                Some(std::borrow::Cow::Owned(keep))
            }
            (mask, false) => mask.map(std::borrow::Cow::Borrowed),
        };
        let cast_block;
        let block = if self.work == self.dtype {
            block
        } else {
            cast_block = self.cast(block, walk.elements)?;
            &bytemuck::cast_slice(&cast_block)[..walk.elements * self.work.itemsize()]
        };
        let per_cell = (walk.elements / walk.cells) as u64;
        let (bytes, tallies) = cells.parts_mut();
        match &keep {
            None => {
                self.kernel.block(walk, block, bytes, 0);
                tallies.fill(Tally { chosen: per_cell, taken: per_cell });
            }
            Some(keep) => {
                self.kernel.chosen(walk, block, keep, bytes);
                filter::tally(walk, keep, tallies, |t, n| t.taken += n);
                match mask {
                    Some(mask) => filter::tally(walk, mask, tallies, |t, n| t.chosen += n),
                    None => tallies.iter_mut().for_each(|t| t.chosen = per_cell),
                }
            }
        }
        Ok(())
    }

    fn add_fill(&self, value: &Scalar, mask: Option<&[u8]>, walk: &Walk, cells: &mut Cells) -> Result<()> {
        let itemsize = self.dtype.itemsize();
        let element = value.to_le_bytes();
        let is_nan = self.options.skip_nan && value.number().is_nan();
        if mask.is_some() {
            // Written out: which of them count differs from cell to cell.
            let bytes = walk.elements * itemsize;
            let mut block = crate::nd::memory::buffer_zeroed(bytes)?;
            let block = crate::nd::memory::bytes_mut(&mut block, bytes);
            crate::nd::codec::fill_with(&element[..itemsize], block);
            return self.add_elements(block, mask, walk, cells);
        }
        let per_cell = (walk.elements / walk.cells) as u64;
        let (bytes, tallies) = cells.parts_mut();
        tallies.fill(Tally { chosen: per_cell, taken: if is_nan { 0 } else { per_cell } });
        if !is_nan {
            let one: [u64; 2] = bytemuck::cast(element);
            let worked = self.cast(&bytemuck::cast_slice(&one)[..itemsize], 1)?;
            let value = Scalar::from_le_bytes(self.work, bytemuck::cast_slice(&worked));
            self.kernel.fill(walk, &value, bytes);
        }
        Ok(())
    }

    /// Elements in the dtype that the kernel takes.
    fn cast(&self, block: &[u8], count: usize) -> Result<Vec<u128>> {
        let bytes = count * self.work.itemsize();
        let words = bytes.div_ceil(16);
        let mut out = Vec::new();
        out.try_reserve_exact(words).map_err(|_| Error::OutOfMemory { bytes })?;
        out.resize(words, 0u128);
        cast(self.dtype, block, self.work, &mut bytemuck::cast_slice_mut(&mut out)[..bytes]);
        Ok(out)
    }

    /// Adds a block to the cells of the result themselves, where that gives the bits of merging; else does nothing.
    ///
    /// Blocks of a few rows have nearly as many cells as elements: this saves going over them three times more.
    pub(super) fn add_in_place(&self, block: &[u8], lens: &[usize], offset: &[usize], cells: &mut Cells) -> bool {
        // What a block of all elements gives is kept, unless it is a position (`State::summary_kind`).
        let is_kept = self.is_of_all() && !self.kernel.holds_positions();
        if self.is_filtered() || self.work != self.dtype || is_kept {
            return false;
        }
        let (walk, place) = self.locate(lens, offset);
        let at = if self.kernel.holds_positions() { self.shift_of(lens, offset) } else { Some(0) };
        let (Some(first), Some(at)) = (place.as_run(), at) else { return false };
        assert_eq!(block.len(), walk.elements * self.dtype.itemsize(), "a block holds its shape's elements");
        if walk.elements == 0 {
            return true;
        }
        let size = cells.cell_size;
        let own = &mut cells.bytes_mut()[first * size..][..walk.cells * size];
        if !self.kernel.is_exact() {
            return self.kernel.block_onto(&walk, block, own);
        }
        self.kernel.block(&walk, block, own, at);
        true
    }

    /// [`Reduction::add_in_place`] of blocks of so many rows each.
    pub(super) fn add_all_in_place(
        &self,
        run: &[u8],
        lens: &[usize],
        offset: &[usize],
        rows: usize,
        cells: &mut Cells,
    ) -> bool {
        if self.is_of_all() {
            return false;
        }
        // Exact ones take a block of any size, and where rows stay, each has cells of its own.
        if self.kernel.is_exact() || !self.axes.contains(0) {
            return self.add_in_place(run, lens, offset, cells);
        }
        if self.is_filtered() || self.work != self.dtype {
            return false;
        }
        let (walk, place) = self.locate(lens, offset);
        let (Some(first), (Inner::Rows { len, .. }, [])) = (place.as_run(), walk.inner()) else { return false };
        if walk.elements == 0 {
            return true;
        }
        assert_eq!(run.len(), walk.elements * self.dtype.itemsize(), "a block holds its shape's elements");
        let size = cells.cell_size;
        let own = &mut cells.bytes_mut()[first * size..][..len * size];
        let block = rows * (walk.elements / lens[0] / len);
        self.kernel.blocks_onto(run, block, own)
    }

    /// By how much a block's positions are less than the array's, where that is the same for all of them: where only the
    /// outermost of the reduced axes is cut.
    fn shift_of(&self, lens: &[usize], offset: &[usize]) -> Option<u64> {
        let mut reduced = (0..lens.len()).filter(|&axis| self.axes.contains(axis));
        let outermost = reduced.next()?;
        let mut stride = 1u64;
        for axis in reduced {
            if lens[axis] != self.shape[axis] {
                return None;
            }
            stride *= self.shape[axis] as u64;
        }
        Some(offset[outermost] as u64 * stride)
    }

    /// A block's positions are counted among its own elements; in the array they are others.
    fn place_positions(&self, lens: &[usize], offset: &[usize], cells: &mut [u8]) {
        if let Some(by) = self.shift_of(lens, offset) {
            return self.kernel.shift(cells, by);
        }
        let reduced = (0..lens.len()).filter(|&axis| self.axes.contains(axis));
        // From the last axis: its length in the block, in the array, and where the block begins.
        let axes: SmallVec<[[u64; 3]; 4]> =
            reduced.rev().map(|a| [lens[a], self.shape[a], offset[a]].map(|n| n as u64)).collect();
        self.kernel.place(cells, &|mut position| {
            let (mut stride, mut to) = (1, 0);
            for [len, whole, first] in &axes {
                to += (position % len + first) * stride;
                position /= len;
                stride *= whole;
            }
            to
        });
    }

    /// How to walk a block, and where its cells belong.
    pub(super) fn locate(&self, lens: &[usize], offset: &[usize]) -> (Walk, Place) {
        assert!(lens.len() == self.shape.ndim() && offset.len() == self.shape.ndim(), "a block has the array's rank");
        let inside =
            |(&len, (&at, &dim)): (&usize, (&usize, &usize))| at.checked_add(len).is_some_and(|end| end <= dim);
        assert!(lens.iter().zip(offset.iter().zip(self.shape.iter())).all(inside), "a block lies in the array");
        (Walk::new(lens, self.axes), Place::new(lens, offset, &self.strides))
    }
}
