//! Reductions: an array's elements, block by block, into one element per position of the axes that stay.
//!
//! ```text
//! Reduction   what is reduced: operation, dtype, shape, axes -> the result's dtype and shape
//!   State     one cell per element of the result; begins empty
//!   Partial   the cells of one block alone: block (or constant block) -> Partial
//! State.add_block(block)  is  State.merge(Partial of the block), and so
//! any number of threads may make the partials: merged in chunk order, they give the bits of one thread.
//! ```
//!
//! What a block contributes depends on its elements, its shape and the operation, never on the codec it was stored with,
//! or on being a constant ([`State::add_fill`] gives the bits of the same elements written out). Another chunk grid may
//! change the last bit of a floating-point result; the bound is given with the operation.
//!
//! An operation is a `Kernel`: one file beside this one, and one line in `kernel_of`. A kernel sees two shapes of
//! loop only, to which every rank and every set of axes comes down: a contiguous run into one cell (the innermost axis
//! goes), and rows of as many elements as there are cells (the innermost axis stays).

pub(crate) mod compensated;
mod sum;

use bytemuck::Pod;
use half::{bf16, f16};
use smallvec::SmallVec;

use super::axes::AxisSet;
use super::elements;
use crate::nd::dtype::{dispatch, Dtype, Element};
use crate::nd::error::{Error, Result};
use crate::nd::scalar::Scalar;
use crate::nd::shape::Shape;

/// Which reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The sum: integers wrap at 64 bits, the sum of nothing is 0.
    Sum,
    /// The arithmetic mean: float64 for integers; the mean of nothing is NaN.
    Mean,
}

/// Whether reduced axes stay in the result's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepDims {
    /// They go.
    No,
    /// They stay with length 1.
    Yes,
}

/// One operation on one element type.
trait Kernel: 'static {
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
    /// Adds a contiguous run of elements to one cell.
    fn run(cell: &mut Self::Cell, run: &[Self::Elem]);
    /// Adds rows of `cells.len()` elements each, element by element.
    fn rows(cells: &mut [Self::Cell], rows: &[Self::Elem]);
    /// Adds what `other` saw after what this cell saw.
    fn merge(cell: &mut Self::Cell, other: &Self::Cell);
    /// The result of a cell that saw `count` elements.
    fn finish(cell: &Self::Cell, count: usize) -> Self::Out;
}

/// A kernel with its types forgotten. Cells are bytes, aligned to 16.
trait Erased: Send + Sync {
    fn cell_size(&self) -> usize;
    fn out_dtype(&self) -> Dtype;
    /// Makes cells of zero bytes empty ones.
    fn clear(&self, cells: &mut [u8]);
    fn block(&self, walk: &Walk, block: &[u8], cells: &mut [u8]);
    fn fill(&self, walk: &Walk, value: &Scalar, cells: &mut [u8]);
    fn merge(&self, cells: &mut [u8], others: &[u8]);
    fn finish(&self, cells: &[u8], count: usize, out: &mut Vec<u8>);
}

/// The table of operations.
fn kernel_of(op: Op, dtype: Dtype) -> &'static dyn Erased {
    dispatch!(dtype, T => match op {
        Op::Sum => &Typed::<sum::Sum<T>>::NEW,
        Op::Mean => &Typed::<sum::Mean<T>>::NEW,
    })
}

/// A reduction of an array of known dtype and shape.
#[derive(Clone)]
pub struct Reduction {
    kernel: &'static dyn Erased,
    dtype: Dtype,
    shape: Shape,
    axes: AxisSet,
    out_shape: Shape,
    /// Cells between neighbours along each axis of the array; 0 for reduced axes.
    strides: SmallVec<[usize; 4]>,
    cells: usize,
    /// Elements that go into each cell.
    count: usize,
}

impl Reduction {
    /// Plans a reduction of an array over `axes`.
    ///
    /// Nothing is allocated: see [`Reduction::state_bytes`] first, then [`Reduction::start`].
    ///
    /// # Errors
    /// `LIMIT` where the array or the result is larger than can be addressed.
    pub fn new(op: Op, dtype: Dtype, shape: &Shape, axes: &AxisSet, keepdims: KeepDims) -> Result<Reduction> {
        shape.size_and_bytes(dtype)?;
        let kernel = kernel_of(op, dtype);
        let mut kept = Shape::scalar();
        let mut out_shape = Shape::scalar();
        let mut count = 1usize;
        for (axis, &len) in shape.iter().enumerate() {
            if axes.contains(axis) {
                count = count.saturating_mul(len); // does not saturate: the product over all axes was checked
                if keepdims == KeepDims::Yes {
                    out_shape.push(1)?;
                }
            } else {
                kept.push(len)?;
                out_shape.push(len)?;
            }
        }
        let (cells, _) = out_shape.size_and_bytes(kernel.out_dtype())?;
        let mut of_kept = kept.c_strides().into_iter();
        let strides =
            (0..shape.ndim()).map(|a| if axes.contains(a) { 0 } else { of_kept.next().unwrap_or(0) }).collect();
        Ok(Reduction { kernel, dtype, shape: shape.clone(), axes: *axes, out_shape, strides, cells, count })
    }

    /// The result's shape.
    pub fn out_shape(&self) -> &Shape {
        &self.out_shape
    }

    /// The result's dtype.
    pub fn out_dtype(&self) -> Dtype {
        self.kernel.out_dtype()
    }

    /// Bytes that a [`State`] and its result take; a block takes as much again for the part that it covers.
    pub fn state_bytes(&self) -> usize {
        self.cells.saturating_mul(self.kernel.cell_size() + self.out_dtype().itemsize())
    }

    /// The state that has seen nothing.
    ///
    /// # Errors
    /// `OOM` where its memory is not given.
    pub fn start(&self) -> Result<State> {
        let mut cells = Cells::default();
        cells.reset(self.kernel, self.cells)?;
        Ok(State { plan: self.clone(), cells, scratch: Cells::default() })
    }

    /// What the block of elements at `offset` contributes.
    ///
    /// `block` holds the elements in C order, aligned to their size (8 bytes are always enough).
    ///
    /// # Errors
    /// `OOM` where memory for the block's cells is not given.
    ///
    /// # Panics
    /// Where the block lies outside the array or its bytes are not those of its shape: a bug in the caller.
    pub fn partial(&self, block: &[u8], block_shape: &[usize], offset: &[usize]) -> Result<Partial> {
        let mut cells = Cells::default();
        let place = self.block(block, block_shape, offset, &mut cells)?;
        Ok(Partial { cells, place })
    }

    /// What a block whose elements are all `value` contributes: the same bits as the elements written out.
    ///
    /// # Errors
    /// As [`Reduction::partial`].
    ///
    /// # Panics
    /// As [`Reduction::partial`]; and where `value` is of another dtype.
    pub fn partial_fill(&self, value: &Scalar, block_shape: &[usize], offset: &[usize]) -> Result<Partial> {
        let mut cells = Cells::default();
        let place = self.fill(value, block_shape, offset, &mut cells)?;
        Ok(Partial { cells, place })
    }

    fn block(&self, block: &[u8], block_shape: &[usize], offset: &[usize], cells: &mut Cells) -> Result<Place> {
        let (walk, place) = self.locate(block_shape, offset);
        assert_eq!(block.len(), walk.elements * self.dtype.itemsize(), "a block holds the elements of its shape");
        cells.reset(self.kernel, walk.cells)?;
        if walk.elements > 0 {
            self.kernel.block(&walk, block, cells.bytes_mut());
        }
        Ok(place)
    }

    fn fill(&self, value: &Scalar, block_shape: &[usize], offset: &[usize], cells: &mut Cells) -> Result<Place> {
        let (walk, place) = self.locate(block_shape, offset);
        assert_eq!(value.dtype(), self.dtype, "a fill value is of the array's dtype");
        cells.reset(self.kernel, walk.cells)?;
        if walk.elements > 0 {
            self.kernel.fill(&walk, value, cells.bytes_mut());
        }
        Ok(place)
    }

    /// How to walk a block, and where its cells belong.
    fn locate(&self, block_shape: &[usize], offset: &[usize]) -> (Walk, Place) {
        assert!(
            block_shape.len() == self.shape.ndim() && offset.len() == self.shape.ndim(),
            "a block has the array's rank"
        );
        let inside =
            |(&len, (&at, &dim)): (&usize, (&usize, &usize))| at.checked_add(len).is_some_and(|end| end <= dim);
        assert!(block_shape.iter().zip(offset.iter().zip(self.shape.iter())).all(inside), "a block lies in the array");
        (Walk::new(block_shape, self.axes), Place::new(block_shape, offset, &self.strides))
    }
}

/// A reduction under way.
pub struct State {
    plan: Reduction,
    cells: Cells,
    scratch: Cells,
}

/// What one block contributes to a reduction.
pub struct Partial {
    cells: Cells,
    place: Place,
}

impl State {
    /// Adds the block of elements at `offset`. Blocks come in chunk order; arguments as [`Reduction::partial`].
    ///
    /// # Errors
    /// As [`Reduction::partial`].
    ///
    /// # Panics
    /// As [`Reduction::partial`].
    pub fn add_block(&mut self, block: &[u8], block_shape: &[usize], offset: &[usize]) -> Result<()> {
        let place = self.plan.block(block, block_shape, offset, &mut self.scratch)?;
        place.merge(self.plan.kernel, &mut self.cells, &self.scratch);
        Ok(())
    }

    /// Adds a block whose elements are all `value`. Arguments as [`Reduction::partial_fill`].
    ///
    /// # Errors
    /// As [`Reduction::partial_fill`].
    ///
    /// # Panics
    /// As [`Reduction::partial_fill`].
    pub fn add_fill(&mut self, value: &Scalar, block_shape: &[usize], offset: &[usize]) -> Result<()> {
        let place = self.plan.fill(value, block_shape, offset, &mut self.scratch)?;
        place.merge(self.plan.kernel, &mut self.cells, &self.scratch);
        Ok(())
    }

    /// Adds what another thread made of a block, with the plan of this state.
    pub fn merge(&mut self, partial: &Partial) {
        partial.place.merge(self.plan.kernel, &mut self.cells, &partial.cells);
    }

    /// The result: its dtype, its shape, and its elements in C order.
    ///
    /// # Errors
    /// `OOM` where memory for the result is not given.
    pub fn finish(&self) -> Result<(Dtype, Shape, Vec<u8>)> {
        let plan = &self.plan;
        let bytes = plan.cells * plan.out_dtype().itemsize(); // checked in `Reduction::new`
        let mut out = Vec::new();
        out.try_reserve_exact(bytes).map_err(|_| Error::OutOfMemory { bytes })?;
        plan.kernel.finish(self.cells.bytes(), plan.count, &mut out);
        one_nan(plan.out_dtype(), &mut out);
        Ok((plan.out_dtype(), plan.out_shape.clone(), out))
    }
}

/// Writes every NaN as the same bits: which ones an operation gives (`inf - inf`, `0 / 0`) differs between processors.
fn one_nan(dtype: Dtype, elements: &mut [u8]) {
    fn each<const N: usize>(elements: &mut [u8], is_nan: impl Fn([u8; N]) -> bool, nan: [u8; N]) {
        elements.as_chunks_mut::<N>().0.iter_mut().filter(|e| is_nan(**e)).for_each(|e| *e = nan);
    }
    match (dtype.is_inexact(), dtype, dtype.number_size()) {
        (false, ..) => {}
        (_, Dtype::BFloat16, _) => each(elements, |e| bf16::from_le_bytes(e).is_nan(), 0x7fc0u16.to_le_bytes()),
        (_, _, 2) => each(elements, |e| f16::from_le_bytes(e).is_nan(), 0x7e00u16.to_le_bytes()),
        (_, _, 4) => each(elements, |e| f32::from_le_bytes(e).is_nan(), 0x7fc0_0000u32.to_le_bytes()),
        _ => each(elements, |e| f64::from_le_bytes(e).is_nan(), 0x7ff8_0000_0000_0000u64.to_le_bytes()),
    }
}

/// Cells of any kernel, as bytes aligned to 16.
#[derive(Default)]
struct Cells {
    words: Vec<u128>,
    len: usize,
    cell_size: usize,
}

impl Cells {
    /// Makes these `count` empty cells.
    fn reset(&mut self, kernel: &dyn Erased, count: usize) -> Result<()> {
        self.cell_size = kernel.cell_size();
        let bytes = count.saturating_mul(self.cell_size);
        let words = bytes.div_ceil(16);
        self.words.clear();
        self.words.try_reserve(words).map_err(|_| Error::OutOfMemory { bytes })?;
        self.words.resize(words, 0);
        self.len = bytes;
        kernel.clear(self.bytes_mut());
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.len]
    }
}

/// Neighbouring axes of a block that are all reduced or all kept, as one.
#[derive(Clone, Copy, Debug)]
struct Group {
    len: usize,
    is_reduced: bool,
    /// Cells between neighbours; 0 where reduced.
    stride: usize,
}

/// A block's axes brought down to groups that are reduced and kept in turn, without axes of length 1.
#[derive(Debug)]
struct Walk {
    groups: SmallVec<[Group; 4]>,
    elements: usize,
    cells: usize,
}

impl Walk {
    fn new(block_shape: &[usize], axes: AxisSet) -> Walk {
        let mut groups: SmallVec<[Group; 4]> = SmallVec::new();
        for (axis, &len) in block_shape.iter().enumerate().filter(|(_, &len)| len != 1) {
            match groups.last_mut() {
                Some(last) if last.is_reduced == axes.contains(axis) => last.len *= len,
                _ => groups.push(Group { len, is_reduced: axes.contains(axis), stride: 0 }),
            }
        }
        let mut cells = 1;
        for group in groups.iter_mut().rev().filter(|g| !g.is_reduced) {
            group.stride = cells;
            cells *= group.len;
        }
        let elements = groups.iter().map(|g| g.len).product();
        Walk { groups, elements, cells }
    }

    /// The loop of the innermost groups, and the groups around it.
    fn inner(&self) -> (Inner, &[Group]) {
        match self.groups.as_slice() {
            [] => (Inner::Run(1), &[]),
            [outer @ .., run] if run.is_reduced => (Inner::Run(run.len), outer),
            [outer @ .., rows, row] => (Inner::Rows { rows: rows.len, len: row.len }, outer),
            [row] => (Inner::Rows { rows: 1, len: row.len }, &[]),
        }
    }
}

enum Inner {
    Run(usize),
    Rows { rows: usize, len: usize },
}

/// Calls `visit` with the cell at each position of `groups`, in C order.
fn each_position(groups: &[Group], cell: usize, visit: &mut impl FnMut(usize)) {
    match groups {
        [] => visit(cell),
        [group, rest @ ..] => (0..group.len).for_each(|i| each_position(rest, cell + i * group.stride, visit)),
    }
}

/// Where the cells of a block lie among those of the result.
struct Place {
    /// The result's cell of the block's first.
    first: usize,
    /// Cells that lie next to one another in both.
    run: usize,
    /// The axes around such a run.
    outer: SmallVec<[Group; 4]>,
}

impl Place {
    fn new(block_shape: &[usize], offset: &[usize], strides: &[usize]) -> Place {
        let first = offset.iter().zip(strides).map(|(at, stride)| at * stride).sum();
        let mut run = 1;
        let mut outer: SmallVec<[Group; 4]> = SmallVec::new();
        for (&len, &stride) in block_shape.iter().zip(strides).rev().filter(|(&len, &s)| s != 0 && len != 1) {
            if outer.is_empty() && stride == run {
                run *= len;
            } else {
                outer.push(Group { len, is_reduced: false, stride });
            }
        }
        outer.reverse();
        Place { first, run, outer }
    }

    fn merge(&self, kernel: &dyn Erased, cells: &mut Cells, block: &Cells) {
        let size = block.cell_size;
        let mut runs = block.bytes().chunks_exact((self.run * size).max(1));
        each_position(&self.outer, self.first, &mut |at| {
            if let Some(run) = runs.next() {
                kernel.merge(&mut cells.bytes_mut()[at * size..][..run.len()], run);
            }
        });
    }
}

struct Typed<K>(std::marker::PhantomData<fn() -> K>);

impl<K> Typed<K> {
    const NEW: Typed<K> = Typed(std::marker::PhantomData);
}

impl<K: Kernel> Erased for Typed<K> {
    fn cell_size(&self) -> usize {
        std::mem::size_of::<K::Cell>()
    }

    fn out_dtype(&self) -> Dtype {
        K::Out::DTYPE
    }

    fn clear(&self, cells: &mut [u8]) {
        if bytemuck::bytes_of(&K::EMPTY).iter().any(|&b| b != 0) {
            super::elements_mut::<K::Cell>(cells).fill(K::EMPTY);
        }
    }

    fn block(&self, walk: &Walk, block: &[u8], cells: &mut [u8]) {
        let block: &[K::Elem] = elements(block);
        let cells: &mut [K::Cell] = super::elements_mut(cells);
        match walk.inner() {
            (Inner::Run(len), []) => K::run(&mut cells[0], &block[..len]),
            (Inner::Run(len), outer) => {
                let mut runs = block.chunks_exact(len);
                each_position(outer, 0, &mut |cell| K::run(&mut cells[cell], runs.next().unwrap_or(&[])));
            }
            (Inner::Rows { rows, len }, outer) => {
                let mut parts = block.chunks_exact(rows * len);
                each_position(outer, 0, &mut |cell| K::rows(&mut cells[cell..][..len], parts.next().unwrap_or(&[])));
            }
        }
    }

    /// Every cell sees the same elements in the same order: one is computed, through the loops that a block would take.
    fn fill(&self, walk: &Walk, value: &Scalar, cells: &mut [u8]) {
        let value = bytemuck::pod_read_unaligned(&value.to_le_bytes()[..std::mem::size_of::<K::Elem>()]);
        let (inner, outer) = walk.inner();
        let times: usize = outer.iter().filter(|g| g.is_reduced).map(|g| g.len).product();
        let len = match inner {
            Inner::Run(len) => len,
            Inner::Rows { rows, .. } => rows,
        };
        let piece = vec![value; len.min(K::PIECE)];
        let mut cell = [K::EMPTY];
        for _ in 0..times {
            let mut left = len;
            while left > 0 {
                let part = &piece[..left.min(K::PIECE)];
                match inner {
                    Inner::Run(_) => K::run(&mut cell[0], part),
                    Inner::Rows { .. } => K::rows(&mut cell, part),
                }
                left -= part.len();
            }
        }
        super::elements_mut(cells).fill(cell[0]);
    }

    fn merge(&self, cells: &mut [u8], others: &[u8]) {
        for (cell, other) in super::elements_mut(cells).iter_mut().zip(elements(others)) {
            K::merge(cell, other);
        }
    }

    fn finish(&self, cells: &[u8], count: usize, out: &mut Vec<u8>) {
        for cell in elements(cells) {
            out.extend_from_slice(bytemuck::bytes_of(&K::finish(cell, count)));
        }
    }
}

#[cfg(test)]
mod tests;
