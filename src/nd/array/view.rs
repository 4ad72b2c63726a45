//! What a reduction looks at: an array or a part of it, behind a mask, block by block.
//!
//! A whole array is read chunk by chunk, and so is what slices and integers select, without a copy of the selection: of each
//! chunk, the part that is selected. Only what lists select is copied together first. A mask is read alongside.

use std::ops::Range;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;
use triomphe::Arc;

use super::summaries::{row_of, Known};
use super::{Array, Block, Effort, Figure};
use crate::nd::chunk::Chunk;
use crate::nd::codec::{fill_with, Encoding};
use crate::nd::dtype::Dtype;
use crate::nd::error::{Error, Result};
use crate::nd::grid::{c_steps, copy_region, Grid, Part, PerAxis};
use crate::nd::index::{AxisRange, Basic, Index, Selection};
use crate::nd::interrupt;
use crate::nd::kernels::reduce::{Op, Options, State};
use crate::nd::memory;
use crate::nd::scalar::Scalar;
use crate::nd::shape::Shape;
use crate::nd::stats;

/// A part of an array, and which of its elements count. It holds what it looks at, and can go to another thread.
#[derive(Clone, Debug)]
pub struct View {
    array: Arc<Array>,
    selection: Option<Selection>,
    mask: Option<Arc<Array>>,
    shape: Shape,
    /// Where its first element stands in what the mask covers; empty is at the first.
    at: PerAxis<usize>,
}

/// A block of a view.
#[derive(Debug)]
pub struct ViewBlock<'b> {
    /// Its lengths, one for each axis of the view.
    pub lens: &'b [usize],
    /// Where it stands in the view.
    pub offset: &'b [usize],
    /// Its elements.
    pub elements: Block<'b>,
    /// One byte for each element, 0 where it does not count; none where all do.
    pub mask: Option<&'b [u8]>,
}

impl View {
    /// What `index` selects of an array, or all of it.
    ///
    /// # Errors
    /// `INDEX` and the others of [`Index::resolve`]; for a mask, `DTYPE` where it is not bool and `SHAPE` where it does not
    /// broadcast to the view.
    pub fn new(array: Arc<Array>, index: Option<&Index>, mask: Option<Arc<Array>>) -> Result<View> {
        let selection = index.map(|index| index.resolve(&array.shape())).transpose()?;
        let mut view = View::of(array, selection)?;
        let shape = &view.shape;
        if let Some(mask) = &mask {
            if mask.dtype != Dtype::Bool {
                let hint = "a mask is an array of bool";
                return Err(Error::UnsupportedDtype { dtype: mask.dtype, by: "WHERE", hint });
            }
            let given = mask.shape();
            let fits = given.ndim() <= shape.ndim()
                && given.iter().rev().zip(shape.iter().rev()).all(|(&m, &n)| m == n || m == 1);
            if !fits {
                return Err(Error::MaskShape { mask: given, shape: shape.clone() });
            }
        }
        view.mask = mask;
        Ok(view)
    }

    /// What a selection that was resolved for the array selects of it, or all of it.
    ///
    /// # Errors
    /// `LIMIT` where it is larger than can be addressed.
    pub fn of(array: Arc<Array>, selection: Option<Selection>) -> Result<View> {
        let shape = selection.as_ref().map_or_else(|| array.shape(), |s| s.out_shape().clone());
        shape.size_and_bytes(array.dtype)?;
        Ok(View { array, selection, mask: None, shape, at: PerAxis::new() })
    }

    /// What reading it takes.
    pub fn effort(&self) -> Effort {
        self.selection.as_ref().map_or_else(|| self.array.effort(), |s| self.array.effort_of(s))
    }

    /// The array that is looked at.
    pub fn array(&self) -> &Array {
        &self.array
    }

    /// The element type.
    pub fn dtype(&self) -> Dtype {
        self.array.dtype
    }

    /// The view's shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// How many elements the view has, whatever the mask.
    pub fn size(&self) -> usize {
        self.shape.len_or_max()
    }

    /// Bytes of elements that are read.
    pub fn nbytes(&self) -> usize {
        self.size().saturating_mul(self.array.dtype.itemsize())
    }

    /// Bytes that are copied together before anything is read.
    pub fn copied_bytes(&self) -> usize {
        match self.selection {
            Some(Selection::Advanced(_)) => self.nbytes(),
            _ => 0,
        }
    }

    /// Whether it is the whole of an array, without a mask.
    pub fn is_whole(&self) -> bool {
        self.selection.is_none() && self.mask.is_none()
    }

    /// Whether there is a mask.
    pub fn is_masked(&self) -> bool {
        self.mask.is_some()
    }

    /// Whether [`View::part`] has parts of it.
    pub(super) fn has_parts(&self) -> bool {
        !matches!(self.selection, Some(Selection::Advanced(_)))
    }

    /// The positions of a range along an axis that is longer than 1.
    ///
    /// # Errors
    /// As [`View::of`].
    ///
    /// # Panics
    /// Of what lists select, and outside the axis: a bug in the caller.
    pub(super) fn part(&self, axis: usize, range: Range<usize>) -> Result<View> {
        let mut lens: PerAxis<usize> = SmallVec::from_slice(&self.shape);
        assert!(lens[axis] != 1 && range.end <= lens[axis], "a range of an axis");
        let mut axes = match &self.selection {
            None => lens.iter().map(|&len| AxisRange::whole(len)).collect(),
            Some(Selection::Basic(basic)) => basic.axes.clone(),
            Some(Selection::Advanced(_)) => panic!("lists have no parts"),
        };
        // Both have the same axes in the same order, apart from those of length 1.
        let before = lens[..axis].iter().filter(|&&len| len != 1).count();
        if let Some(own) = axes.iter_mut().filter(|own| own.len != 1).nth(before) {
            own.start = own.start.saturating_add_signed(own.step * range.start as isize); // within the axis
            own.len = range.len();
        }
        lens[axis] = range.len();
        let mut at = self.at.clone();
        at.resize(lens.len(), 0);
        at[axis] += range.start;
        let shape = Shape::new(&lens)?;
        let selection = Some(Selection::Basic(Basic { axes, out_shape: shape.clone() }));
        Ok(View { array: Arc::clone(&self.array), selection, mask: self.mask.clone(), shape, at })
    }

    /// What `op` gave of the whole array, where that is asked and remembered.
    pub fn figure(&self, op: Op, options: &Options) -> Option<Figure> {
        let is_plain = self.is_whole() && options.dtype.is_none() && options.ddof == 0.0;
        is_plain.then(|| self.array.figure(op, options.skip_nan)).flatten()
    }

    /// Remembers what a reduction of the whole array gave, where it was one.
    pub fn remember(&self, op: Op, options: &Options, dtype: Dtype, bytes: &[u8], taken: u64) {
        if self.is_whole() && options.dtype.is_none() && options.ddof == 0.0 {
            self.array.remember(op, options.skip_nan, dtype, bytes, taken);
        }
    }

    /// Adds every block to a state.
    ///
    /// # Errors
    /// As [`View::blocks`].
    pub fn add_to(&self, states: &mut [State]) -> Result<()> {
        if self.is_whole() && self.array.add_summarised(states)? {
            return Ok(());
        }
        if let (Some(Selection::Basic(basic)), None) = (&self.selection, &self.mask) {
            if let Some(known) = self.array.known(states) {
                return self.add_known(basic, &known, states);
            }
        }
        match states {
            [state] if self.is_whole() => self.add_runs(state),
            _ => self.blocks(&mut |block| self.add_block(block, states)),
        }
    }

    /// Adds all blocks, those of a chunk at once where they are one below the other.
    fn add_runs(&self, state: &mut State) -> Result<()> {
        self.array.runs(|run, elements, cuts| {
            let (Block::Elements(bytes), Some((first, rows))) = (&elements, cuts.rows(run)) else {
                let states = std::slice::from_mut(state);
                return cuts.blocks(run, elements, self.dtype().itemsize(), |place, elements| {
                    let block = ViewBlock { lens: &place.shape, offset: &place.offset, elements, mask: None };
                    self.add_block(&block, states)
                });
            };
            let all = run.shape[0];
            stats::BLOCKS_REDUCED.fetch_add(1 + (all - first).div_ceil(rows) as u64, Ordering::Relaxed);
            // Of an array with hidden rows, the first block may have less rows than the others.
            let short = if first == rows { 0 } else { first };
            let (above, below) = bytes.split_at(bytes.len() / all * short);
            let (mut lens, mut offset) = (run.shape.clone(), run.offset.clone());
            if short > 0 {
                lens[0] = short;
                state.add_block(above, None, &lens, &offset)?;
            }
            lens[0] = all - short;
            offset[0] += short;
            state.add_blocks(below, &lens, &offset, rows)
        })
    }

    fn add_block(&self, block: &ViewBlock<'_>, states: &mut [State]) -> Result<()> {
        stats::BLOCKS_REDUCED.fetch_add(1, Ordering::Relaxed);
        for state in states.iter_mut() {
            match block.elements {
                Block::Elements(bytes) => state.add_block(bytes, block.mask, block.lens, block.offset)?,
                Block::Fill(element) => {
                    let value = Scalar::from_le_bytes(self.dtype(), element);
                    state.add_fill(&value, block.mask, block.lens, block.offset)?;
                }
            }
        }
        Ok(())
    }

    /// Adds a selection of which some blocks are summarised. What is selected whole is merged; what is selected in part is
    /// not read where the summary shows that it cannot matter: the least of it is not below that of a block that is selected
    /// whole, or of what came before. The bits are those of reading everything.
    fn add_known(&self, basic: &Basic, known: &Known<'_>, states: &mut [State]) -> Result<()> {
        let mut whole = match states {
            [state] => Some(state.begun_anew()?),
            _ => None,
        };
        if let Some(whole) = &mut whole {
            let mut look = |_: &mut [State], row: usize, seal: u64, is_whole: bool| {
                if is_whole && known.has(row, seal) {
                    known.words(row).for_each(|words| whole.merge_summary(words));
                }
                true
            };
            self.basic_blocks(basic, states, &mut look, &mut |_, _| Ok(()))?;
        }
        let mut settle = |states: &mut [State], row: usize, seal: u64, is_whole: bool| {
            if !known.has(row, seal) {
                return false;
            }
            if is_whole {
                states.iter_mut().zip(known.words(row)).for_each(|(state, words)| state.merge_summary(words));
                return true;
            }
            match (&whole, &*states) {
                (Some(whole), [state]) => known.words(row).all(|words| state.is_spared(words, whole)),
                _ => false,
            }
        };
        self.basic_blocks(basic, states, &mut settle, &mut |states, block| self.add_block(block, states))
    }

    /// Calls `f` with every block, in chunk order.
    ///
    /// # Errors
    /// `CORRUPT` where a chunk does not decode; `OOM`; whatever `f` answers, at once.
    pub fn blocks(&self, f: &mut dyn FnMut(&ViewBlock<'_>) -> Result<()>) -> Result<()> {
        match &self.selection {
            None => self.array.blocks(|place, elements| self.masked(elements, &place.shape, &place.offset, f)),
            Some(Selection::Basic(basic)) => {
                self.basic_blocks(basic, &mut (), &mut |_, _, _, _| false, &mut |_, block| f(block))
            }
            Some(selection @ Selection::Advanced(_)) => {
                let copied = self.array.read(selection)?;
                let bytes = memory::bytes(&copied, self.nbytes());
                let zero: PerAxis<usize> = SmallVec::from_elem(0, self.shape.ndim());
                match bytes.is_empty() {
                    true => Ok(()),
                    false => self.masked(Block::Elements(bytes), &self.shape, &zero, f),
                }
            }
        }
    }

    /// The blocks of a selection by slices and integers. `is_done` is asked first of those that are stored: with the row of the
    /// block among summaries, its seal, and whether all of it is selected, in order.
    fn basic_blocks<S: ?Sized>(
        &self,
        basic: &Basic,
        with: &mut S,
        is_done: &mut dyn FnMut(&mut S, usize, u64, bool) -> bool,
        f: &mut dyn FnMut(&mut S, &ViewBlock<'_>) -> Result<()>,
    ) -> Result<()> {
        let array = &*self.array;
        let itemsize = array.dtype.itemsize();
        let source_shape = array.shape();
        let whole;
        let (grid, chunks) = match array.chunks() {
            Some(chunks) => (array.grid_of(chunks), Some(chunks)),
            None => {
                whole = Shape::new(&source_shape.iter().map(|d| (*d).max(1)).collect::<PerAxis<usize>>())?;
                (Grid::new(&source_shape, &whole, array.dtype)?, None)
            }
        };
        // Long chunks are looked at block by block, so that a sum is grouped in one way whatever the codec.
        let blocks = array.block_grid(&grid);
        let strides = grid.stored_shape().c_strides();
        let mut copied: Vec<u64> = Vec::new();
        let mut decoded = Decoded::default();
        blocks.as_ref().map_or(&grid, |(blocks, _)| blocks).parts(&basic.axes, |part| {
            interrupt::check()?;
            let (lens, offset) = place(&basic.axes, part, &self.shape);
            // The chunk that the part lies in, and the first element of the part's block in it.
            let (chunk, first) = match &blocks {
                None => (part.chunk.clone(), 0),
                Some((_, more)) => {
                    let rows = std::iter::once(*more).chain(std::iter::repeat(0));
                    let places = part.chunk.offset.iter().zip(rows).map(|(at, more)| at + more);
                    let flat = places.zip(&strides).map(|(at, stride)| at * stride).sum();
                    let (chunk, start) = grid.chunk_of_run(flat);
                    (chunk, flat - start)
                }
            };
            let stored =
                chunks.and_then(|chunks| chunks.map.get(&chunk.number)).filter(|c| c.encoding() != Encoding::Fill);
            if let Some(stored) = stored {
                let blocks = blocks.as_ref().map(|(blocks, _)| (blocks, &part.chunk));
                let hidden = blocks.map_or_else(|| grid.hidden(&chunk), |(blocks, block)| blocks.hidden(block));
                let selected = part.counts.iter().product::<usize>();
                let is_whole = selected == part.chunk.size() - hidden && is_run(part);
                let (row, seal) = row_of(&grid, &chunk, stored, blocks);
                if is_done(with, row, seal, is_whole) {
                    return Ok(());
                }
            } else if let Some(chunks) = chunks {
                let constant = chunks.map.get(&chunk.number);
                let element = constant.map_or(&chunks.fill[..itemsize], |c| c.stored_bytes());
                return self.masked(Block::Fill(element), &lens, &offset, &mut |block| f(with, block));
            }
            let mut f = |block: &ViewBlock<'_>| f(with, block);
            let mut hand = |elements: &[u8]| {
                let bytes = part.counts.iter().product::<usize>() * itemsize;
                if is_run(part) {
                    let first = part.chunk_start * itemsize;
                    let run = &elements[first..first + bytes];
                    return self.masked(Block::Elements(run), &lens, &offset, &mut f);
                }
                let words = memory::words_for(bytes);
                copied.try_reserve(words.saturating_sub(copied.len())).map_err(|_| Error::OutOfMemory { bytes })?;
                copied.resize(words.max(copied.len()), 0);
                let out = memory::bytes_mut(&mut copied, bytes);
                let (steps, counts) = (c_steps(&part.counts), &part.counts);
                copy_region(elements, part.chunk_start, &part.chunk_strides, out, 0, &steps, counts, itemsize);
                self.masked(Block::Elements(out), &lens, &offset, &mut f)
            };
            let block = first * itemsize..(first + part.chunk.size()) * itemsize;
            let Some(stored) = stored else { return hand(&array.plain_bytes().unwrap_or_default()[block]) };
            if stored.encoding() == Encoding::Raw {
                return hand(&stored.stored_bytes()[block]);
            }
            let nbytes = chunk.size() * itemsize;
            match part.chunk.size() == chunk.size() {
                true => stored.with_elements(chunk.number, nbytes, itemsize, hand),
                false => hand(&decoded.elements(stored, chunk.number, nbytes, itemsize)?[block]),
            }
        })
    }

    /// Calls `f` with a block and its part of the mask.
    fn masked(
        &self,
        elements: Block<'_>,
        lens: &[usize],
        offset: &[usize],
        f: &mut dyn FnMut(&ViewBlock<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(mask) = &self.mask else { return f(&ViewBlock { lens, offset, elements, mask: None }) };
        let mask = match self.at.is_empty() {
            true => mask_block(mask, lens, offset)?,
            false => {
                let offset: PerAxis<usize> = offset.iter().zip(&self.at).map(|(offset, at)| offset + at).collect();
                mask_block(mask, lens, &offset)?
            }
        };
        f(&ViewBlock { lens, offset, elements, mask: Some(&mask) })
    }
}

/// The chunk that was decoded last: its blocks come one after the other.
#[derive(Default)]
struct Decoded {
    number: Option<u64>,
    words: Vec<u64>,
}

impl Decoded {
    fn elements(&mut self, chunk: &Chunk, number: u64, nbytes: usize, itemsize: usize) -> Result<&[u8]> {
        if self.number != Some(number) {
            self.number = None;
            let more = memory::words_for(nbytes).saturating_sub(self.words.len());
            self.words.try_reserve(more).map_err(|_| Error::OutOfMemory { bytes: nbytes })?;
            self.words.resize(self.words.len() + more, 0);
            chunk.decode_into(number, itemsize, memory::bytes_mut(&mut self.words, nbytes))?;
            self.number = Some(number);
        }
        Ok(memory::bytes(&self.words, nbytes))
    }
}

/// Where a part of a selection stands in the result. Both have the same axes in the same order, apart from those of length
/// 1: integers drop them, newaxis adds them.
fn place(axes: &[AxisRange], part: &Part, shape: &Shape) -> (PerAxis<usize>, PerAxis<usize>) {
    let mut outs: PerAxis<usize> = SmallVec::from_elem(0, axes.len());
    let mut rest = part.out_start;
    for (out, axis) in outs.iter_mut().zip(axes).rev() {
        *out = rest % axis.len;
        rest /= axis.len;
    }
    let mut long = axes.iter().zip(&part.counts).zip(&outs).filter(|((axis, _), _)| axis.len != 1);
    let (mut lens, mut offset): (PerAxis<usize>, PerAxis<usize>) = Default::default();
    for &dim in shape.iter() {
        let (len, at) = match dim {
            1 => (1, 0),
            _ => long.next().map_or((1, 0), |((_, count), out)| (*count, *out)),
        };
        lens.push(len);
        offset.push(at);
    }
    (lens, offset)
}

/// Whether a part is one run of its chunk's elements.
fn is_run(part: &Part) -> bool {
    let mut run = 1isize;
    for (&count, &stride) in part.counts.iter().zip(&part.chunk_strides).rev() {
        if count != 1 && stride != run {
            return false;
        }
        run *= count as isize; // at most a chunk's size
    }
    true
}

/// The mask of a block, one byte for each of its elements.
fn mask_block(mask: &Array, lens: &[usize], offset: &[usize]) -> Result<Vec<u8>> {
    let shape = mask.shape();
    let lead = lens.len() - shape.ndim();
    let axes: SmallVec<[AxisRange; 4]> = shape
        .iter()
        .zip(lens[lead..].iter().zip(&offset[lead..]))
        .map(|(&dim, (&len, &at))| if dim == 1 { AxisRange::whole(1) } else { AxisRange { start: at, step: 1, len } })
        .collect();
    let counts: PerAxis<usize> = axes.iter().map(|a| a.len).collect();
    let (own, total): (usize, usize) = (counts.iter().product(), lens.iter().product());
    let out_shape = Shape::new(&counts)?;
    let read = mask.read(&Selection::Basic(Basic { axes, out_shape }))?;
    let read = memory::bytes(&read, own);
    let mut out = memory::bytes_with_capacity(total)?;
    if own == total {
        out.extend_from_slice(read);
        return Ok(out);
    }
    out.resize(total, 0);
    if own == 1 {
        fill_with(read, &mut out);
        return Ok(out);
    }
    // Broadcast: an axis of length 1 stands still.
    let own_steps = c_steps(&counts);
    let strides: PerAxis<isize> = std::iter::repeat_n(0, lead)
        .chain(shape.iter().zip(&own_steps).map(|(&dim, &step)| if dim == 1 { 0 } else { step }))
        .collect();
    copy_region(read, 0, &strides, &mut out, 0, &c_steps(lens), lens, 1);
    Ok(out)
}

#[cfg(test)]
mod tests;
