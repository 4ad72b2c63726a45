//! Reading: blocks for kernels, runs for replies, selections.
//!
//! Raw chunks are read in place, encoded ones are decoded into a buffer that the thread reuses, and only chunks that a
//! read touches are looked at.

use smallvec::SmallVec;

use super::{Array, Chunks};
use crate::nd::codec::{fill_with, Encoding};
use crate::nd::dtype::Dtype;
use crate::nd::error::{Error, Result};
use crate::nd::grid::{auto_chunk_shape, c_steps, copy_region, ChunkBox, Grid, PerAxis};
use crate::nd::index::{AxisRange, Basic, Selection};
use crate::nd::interrupt;
use crate::nd::memory::{self, Buffer};
use crate::nd::scalar::Scalar;
use crate::nd::shape::Shape;

/// A block of an array as kernels see it.
#[derive(Debug)]
pub enum Block<'a> {
    /// Its elements, C order, aligned to eight.
    Elements(&'a [u8]),
    /// One element that stands for all of them.
    Fill(&'a [u8]),
}

/// Longer runs of elements are handed to kernels in blocks of the shape that encoded chunks of the default size have: so the
/// grouping of a sum, and with it the last bit, does not depend on how chunks are kept.
pub(super) const BLOCK_BYTES: usize = 64 << 10;

impl Array {
    /// Calls `f` with each block's place and elements, in order: a chunk, or a part of a longer one.
    ///
    /// # Errors
    /// `CORRUPT` where a chunk does not decode; whatever `f` answers, at once.
    pub fn blocks(&self, mut f: impl FnMut(&ChunkBox, Block<'_>) -> Result<()>) -> Result<()> {
        let itemsize = self.dtype.itemsize();
        let shape = self.shape();
        let Some(chunks) = self.chunks() else {
            let cuts = Cuts::new(&shape, self.dtype, 0);
            let whole = ChunkBox {
                number: 0,
                offset: SmallVec::from_elem(0, shape.ndim()),
                shape: SmallVec::from_slice(&shape),
            };
            let bytes = self.plain_bytes().unwrap_or_default();
            return if bytes.is_empty() { Ok(()) } else { cuts.elements(&whole, bytes, itemsize, &mut f) };
        };
        let grid = self.grid_of(chunks);
        let cuts = Cuts::new(&shape, self.dtype, grid.lead());
        for place in grid.chunks() {
            interrupt::check()?;
            let (number, nbytes) = (place.number, place.size() * itemsize);
            let hidden = grid.hidden(&place) * itemsize;
            let place = grid.seen(place);
            let mut fill = |element: &[u8]| match grid.is_contiguous() {
                true => cuts.each(&place, |part, _| f(part, Block::Fill(element))),
                false => f(&place, Block::Fill(element)),
            };
            match chunks.map.get(&number) {
                None => fill(&chunks.fill[..itemsize])?,
                Some(c) if c.encoding() == Encoding::Fill => fill(c.stored_bytes())?,
                Some(c) => {
                    c.with_elements(number, nbytes, itemsize, |e| match grid.is_contiguous() {
                        true => cuts.elements(&place, &e[hidden..], itemsize, &mut f),
                        false => f(&place, Block::Elements(&e[hidden..])),
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Appends the elements from `start`, `len` of them, in C order, to `out`, which must have the room.
    ///
    /// # Errors
    /// `CORRUPT` where a chunk does not decode.
    pub fn read_run(&self, start: usize, len: usize, out: &mut Vec<u8>) -> Result<()> {
        let itemsize = self.dtype.itemsize();
        if let Some(bytes) = self.plain_bytes() {
            out.extend_from_slice(&bytes[start * itemsize..(start + len) * itemsize]);
            return Ok(());
        }
        self.visit_run(start, len, |bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        })
    }

    /// Calls `f` with the elements from `start`, `len` of them, in C order, piece by piece. Raw chunks are not copied.
    ///
    /// # Errors
    /// `CORRUPT` where a chunk does not decode; whatever `f` answers, at once.
    pub fn visit_run(&self, start: usize, len: usize, mut f: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let itemsize = self.dtype.itemsize();
        if len == 0 {
            return Ok(());
        }
        let Some(chunks) = self.chunks() else {
            let bytes = self.plain_bytes().unwrap_or_default();
            return f(&bytes[start * itemsize..(start + len) * itemsize]);
        };
        let grid = self.grid_of(chunks);
        if !grid.is_contiguous() {
            return self.visit_bands(&grid, chunks, start, len, f);
        }
        let start = start + grid.lead() * self.shape().iter().skip(1).product::<usize>();
        let end = start + len;
        let (mut place, mut first) = grid.chunk_of_run(start);
        loop {
            interrupt::check()?;
            let size = place.size();
            let part = start.max(first) - first..end.min(first + size) - first;
            let bytes = part.start * itemsize..part.end * itemsize;
            match chunks.map.get(&place.number) {
                Some(c) => c.with_elements(place.number, size * itemsize, itemsize, |e| f(&e[bytes]))?,
                None => with_fill(&chunks.fill[..itemsize], bytes.len(), &mut f)?,
            }
            first += size;
            if first >= end {
                return Ok(());
            }
            place = grid.chunk(place.number + 1);
        }
    }

    /// [`Array::visit_run`] for chunks that are no runs: one [`band`] at a time.
    fn visit_bands(
        &self,
        grid: &Grid,
        chunks: &Chunks,
        start: usize,
        len: usize,
        mut f: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let itemsize = self.dtype.itemsize();
        let shape = self.shape();
        let end = start + len;
        let mut elements = Vec::new();
        let mut at = start;
        while at < end {
            let (axes, size) = band(grid, &shape, at, end);
            let bytes = size * itemsize;
            elements.clear();
            elements.try_reserve_exact(bytes).map_err(|_| Error::OutOfMemory { bytes })?;
            elements.resize(bytes, 0);
            self.read_parts(grid, chunks, &axes, &mut elements, 0)?;
            f(&elements)?;
            at += size;
        }
        Ok(())
    }

    /// The selected elements in C order of the selection; only chunks that it touches are read.
    ///
    /// The selection was resolved against this array's shape.
    ///
    /// # Errors
    /// `CORRUPT` where a chunk does not decode; `OOM`.
    pub fn read(&self, selection: &Selection) -> Result<Buffer> {
        let (_, nbytes) = selection.out_shape().size_and_bytes(self.dtype)?;
        let mut out = memory::buffer_zeroed(nbytes)?;
        self.read_into(selection, memory::bytes_mut(&mut out, nbytes))?;
        Ok(out)
    }

    /// [`Array::read`] into exactly as many bytes; all of them are written.
    ///
    /// # Errors
    /// `CORRUPT` where a chunk does not decode; `LIMIT` for more work than one command may make; `OOM`.
    pub fn read_into(&self, selection: &Selection, out: &mut [u8]) -> Result<()> {
        match selection {
            Selection::Basic(basic) => self.read_basic(basic, out),
            Selection::Advanced(advanced) => self.read_advanced(advanced, out),
        }
    }

    /// [`Array::read`] of one range per axis, into exactly as many bytes.
    fn read_basic(&self, selection: &Basic, out: &mut [u8]) -> Result<()> {
        let itemsize = self.dtype.itemsize();
        if let Some(chunks) = self.chunks() {
            return self.read_parts(&self.grid_of(chunks), chunks, &selection.axes, out, 0);
        }
        let steps = c_steps(&self.shape());
        let start = selection.axes.iter().zip(&steps).map(|(a, s)| a.start * *s as usize).sum();
        let strides: SmallVec<[isize; 4]> = selection.axes.iter().zip(&steps).map(|(a, s)| a.step * s).collect();
        let counts: SmallVec<[usize; 4]> = selection.axes.iter().map(|a| a.len).collect();
        let bytes = self.plain_bytes().unwrap_or_default();
        copy_region(bytes, start, &strides, out, 0, &c_steps(&counts), &counts, itemsize);
        Ok(())
    }

    /// Reads one range per axis into `out` from element `out_start` on, as a C-order block.
    pub(super) fn read_parts(
        &self,
        grid: &Grid,
        chunks: &Chunks,
        axes: &[AxisRange],
        out: &mut [u8],
        out_start: usize,
    ) -> Result<()> {
        let itemsize = self.dtype.itemsize();
        let counts: SmallVec<[usize; 4]> = axes.iter().map(|a| a.len).collect();
        let out_steps = c_steps(&counts);
        grid.parts(axes, |part| {
            interrupt::check()?;
            let mut copy = |elements: &[u8], strides: &[isize], start: usize| {
                copy_region(
                    elements,
                    start,
                    strides,
                    out,
                    out_start + part.out_start,
                    &out_steps,
                    &part.counts,
                    itemsize,
                );
            };
            let number = part.chunk.number;
            match chunks.map.get(&number) {
                Some(c) if c.encoding() != Encoding::Fill => {
                    c.with_elements(number, part.chunk.size() * itemsize, itemsize, |e| {
                        copy(e, &part.chunk_strides, part.chunk_start);
                        Ok(())
                    })
                }
                constant => {
                    let element = constant.map_or(&chunks.fill[..itemsize], |c| c.stored_bytes());
                    let still: SmallVec<[isize; 4]> = SmallVec::from_elem(0, part.counts.len());
                    copy(element, &still, 0);
                    Ok(())
                }
            }
        })
    }

    /// The element at `flat`, in C order; `flat` is below the size.
    ///
    /// # Errors
    /// `CORRUPT` where its chunk does not decode.
    pub fn element(&self, flat: usize) -> Result<Scalar> {
        let mut element = None;
        self.visit_run(flat, 1, |bytes| {
            element = Some(Scalar::from_le_bytes(self.dtype, bytes));
            Ok(())
        })?;
        Ok(element.expect("a run of one element is visited once"))
    }
}

/// How long runs of elements are cut into blocks for kernels.
pub(super) struct Cuts {
    /// The largest block: the shape of a chunk of [`BLOCK_BYTES`].
    block: Shape,
    /// Rows of the array's first block that are hidden with rows of its first chunk: so far is the next border nearer.
    lead: usize,
}

impl Cuts {
    /// Those of an array with `lead` hidden rows.
    pub(super) fn new(shape: &Shape, dtype: Dtype, lead: usize) -> Cuts {
        let block = auto_chunk_shape(shape, dtype, BLOCK_BYTES);
        let lead = block.first().map_or(0, |rows| lead % rows);
        Cuts { block, lead }
    }

    /// Where the block ends that begins at `at` within a run that begins at `offset`, along an axis.
    fn end(&self, axis: usize, offset: usize, at: usize) -> usize {
        // Runs begin at borders, but for the first of an array with hidden rows.
        let before = if axis == 0 && offset == 0 { self.lead } else { 0 };
        let length = self.block[axis];
        ((at + before) / length + 1) * length - before
    }

    /// Calls `f` with the blocks that one run of elements falls into, in order, and the first element of each.
    pub(super) fn each(&self, run: &ChunkBox, mut f: impl FnMut(&ChunkBox, usize) -> Result<()>) -> Result<()> {
        let end = |axis: usize, at: usize| self.end(axis, run.offset[axis], at).min(run.shape[axis]);
        if (0..run.shape.len()).all(|axis| end(axis, 0) == run.shape[axis]) {
            return f(run, 0);
        }
        let mut part = run.clone();
        let mut at: PerAxis<usize> = SmallVec::from_elem(0, run.shape.len());
        let mut first = 0;
        loop {
            for (axis, start) in at.iter().enumerate() {
                part.offset[axis] = run.offset[axis] + start;
                part.shape[axis] = end(axis, *start) - start;
            }
            f(&part, first)?;
            first += part.size();
            // The next place, innermost axis first, as the digits of a counter.
            let next = (0..at.len()).rev().find(|&axis| {
                at[axis] = end(axis, at[axis]);
                let carry = at[axis] == run.shape[axis];
                at[axis] *= usize::from(!carry);
                !carry
            });
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// [`Cuts::each`] with the elements of each block.
    pub(super) fn elements(
        &self,
        run: &ChunkBox,
        elements: &[u8],
        itemsize: usize,
        f: &mut impl FnMut(&ChunkBox, Block<'_>) -> Result<()>,
    ) -> Result<()> {
        self.each(run, |part, first| f(part, Block::Elements(&elements[first * itemsize..][..part.size() * itemsize])))
    }
}

/// A piece of a run is at most this many elements, unless one row along its axis is more.
const BAND_ELEMENTS: usize = 32 << 20;

/// The next piece of the run from `at` to `end` where chunks are no runs: the largest box of elements that follow each
/// other in C order, starts at `at`, and stays within one row of chunks along its outermost axis. Its size comes second.
///
/// So a short run of an array with long rows takes the memory of the run, not of the rows.
fn band(grid: &Grid, shape: &Shape, at: usize, end: usize) -> (PerAxis<AxisRange>, usize) {
    let strides = shape.c_strides();
    // The innermost stride is 1, so there is always one.
    let outermost = strides.iter().position(|s| at.is_multiple_of(*s) && *s <= end - at).unwrap_or(0);
    let mut axes = Basic::whole(shape).axes;
    let (mut rest, mut size) = (at, 0);
    for (axis, (range, stride)) in axes.iter_mut().zip(&strides).enumerate().take(outermost + 1) {
        let position = rest / stride;
        rest %= stride;
        let height = grid.chunk_shape()[axis];
        let most = (((position / height + 1) * height).min(range.len) - position).min((BAND_ELEMENTS / stride).max(1));
        let len = if axis == outermost { most.min((end - at) / stride) } else { 1 };
        *range = AxisRange { start: position, step: 1, len };
        size = len * stride;
    }
    (axes, size)
}

/// Repeated elements are handed out in pieces of at most this many bytes.
const FILL_PIECE: usize = 64 << 10;

/// Calls `f` with `len` bytes of repeated `element`, in pieces of at most [`FILL_PIECE`].
fn with_fill(element: &[u8], len: usize, f: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut piece = vec![0; len.min(FILL_PIECE)];
    fill_with(element, &mut piece);
    let mut left = len;
    while left > 0 {
        let n = left.min(FILL_PIECE);
        f(&piece[..n])?;
        left -= n;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nd::array::StoreOptions;
    use crate::nd::codec::Policy;
    use crate::nd::source::SliceSource;

    #[test]
    fn a_short_run_of_an_array_with_long_rows_takes_little_memory() {
        let wide = 1usize << 60;
        let chunk_shape = Some(Shape::from([2, 512]));
        let options = StoreOptions { chunk_shape, ..StoreOptions::default() };
        let array = Array::filled(&Shape::from([2, wide]), Scalar::of(7u8), &options).unwrap();
        assert!(!array.grid().unwrap().is_contiguous());
        assert_eq!(array.element(wide + 5).unwrap().number(), Scalar::of(7u8).number());
        let mut read = Vec::new();
        array
            .visit_run(wide - 3, 7, |piece| {
                read.push(piece.to_vec());
                Ok(())
            })
            .unwrap();
        assert_eq!(read, [vec![7; 3], vec![7; 4]]);
    }

    #[test]
    fn blocks_are_the_same_for_every_codec_when_rows_were_dropped_in_front() {
        let shape = Shape::from([3000, 64]);
        let noise: Vec<u8> = (0..shape.len_or_max() as u64)
            .flat_map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes())
            .collect();
        for most in [2900, 2873, 2800, 1025, 1, 0] {
            let places = |policy| {
                let options = StoreOptions { policy, ..StoreOptions::default() };
                let mut array =
                    Array::from_source(Dtype::UInt64, &shape, &mut SliceSource::new(&noise), &options).unwrap();
                let none = Shape::from([0, 64]);
                array.append(0, &[], &none, Some(most), &options, usize::MAX).unwrap();
                let (mut places, mut bytes) = (Vec::new(), Vec::new());
                array
                    .blocks(|place, block| {
                        let Block::Elements(elements) = block else { panic!("no constants here") };
                        places.push((place.offset.clone(), place.shape.clone()));
                        bytes.extend_from_slice(elements);
                        Ok(())
                    })
                    .unwrap();
                assert_eq!(bytes, noise[noise.len() - most * 512..]);
                places
            };
            assert_eq!(places(Policy::Raw), places(Policy::Lz4), "{most}");
        }
    }

    /// The blocks that kernels see, and with them the bits of a sum, do not tell how the elements are kept.
    #[test]
    fn blocks_are_the_same_for_every_codec() {
        for shape in [&[300_000][..], &[3000, 8, 8], &[40, 9000], &[3, 40_000], &[2, 300, 500]] {
            let shape = Shape::new(shape).unwrap();
            let noise: Vec<u8> = (0..shape.len_or_max() as u64)
                .flat_map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes())
                .collect();
            let blocks = |policy| {
                let options = StoreOptions { policy, ..StoreOptions::default() };
                let source = &mut SliceSource::new(&noise);
                let array = Array::from_source(Dtype::UInt64, &shape, source, &options).unwrap();
                let (mut places, mut bytes) = (Vec::new(), Vec::new());
                array
                    .blocks(|place, block| {
                        let Block::Elements(elements) = block else { panic!("no constants here") };
                        assert_eq!(elements.len(), place.size() * 8);
                        places.push((place.offset.clone(), place.shape.clone()));
                        bytes.extend_from_slice(elements);
                        Ok(())
                    })
                    .unwrap();
                assert_eq!(bytes, noise);
                let chunks = array.chunks().unwrap().stored().len();
                (places, chunks)
            };
            let (raw, few) = blocks(Policy::Raw);
            let (encoded, many) = blocks(Policy::Lz4);
            assert_eq!(raw, encoded, "{shape}");
            assert_eq!(encoded.len(), many);
            assert!(few * 8 <= many, "{few} and {many} chunks");
        }
    }
}
