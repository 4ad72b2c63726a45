//! Reading: runs for replies, and selections.
//!
//! Raw chunks are read in place, encoded ones are decoded into a buffer that the thread reuses, and only chunks that a
//! read touches are looked at.

use smallvec::SmallVec;

use super::{Array, Block, Chunks};
use crate::nd::codec::{fill_with, Encoding};
use crate::nd::error::{Error, Result};
use crate::nd::grid::{c_steps, copy_region, is_run, Grid, PerAxis};
use crate::nd::index::{AxisRange, Basic, Selection};
use crate::nd::interrupt;
use crate::nd::memory::{self, Buffer};
use crate::nd::scalar::Scalar;
use crate::nd::shape::Shape;

impl Array {
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

    /// The elements from `start`, `len` of them, in C order, where they lie side by side in memory: in a plain array, in one
    /// raw chunk, or in several that one string holds. They may lie at any address.
    pub fn run_in_place(&self, start: usize, len: usize) -> Option<&[u8]> {
        let itemsize = self.dtype.itemsize();
        if len == 0 {
            return Some(&[]);
        }
        let Some(chunks) = self.chunks() else {
            return self.plain_bytes().map(|bytes| &bytes[start * itemsize..(start + len) * itemsize]);
        };
        let shape = self.shape();
        let (number, first) = match (chunks.chunk_shape.split_first(), shape.split_first()) {
            // Most arrays: chunks of whole rows. A short read has no time for a grid.
            (Some((height, inner)), Some((_, whole))) if inner == whole => {
                let row = inner.iter().product::<usize>();
                let at = start + chunks.lead * row;
                (chunks.base + (at / (height * row)) as u64, at % (height * row))
                // below the number of chunks
            }
            _ => {
                let grid = self.grid_of(chunks);
                if !grid.is_contiguous() {
                    return None;
                }
                let at = start + self.hidden_elements(&grid);
                let (place, chunk_start) = grid.chunk_of_run(at);
                (place.number, at - chunk_start)
            }
        };
        let chunk = chunks.map.get(&number).filter(|c| c.encoding() == Encoding::Raw)?;
        match chunk.stored_bytes().get(first * itemsize..(first + len) * itemsize) {
            None => chunks.run_of_keeper(number, first * itemsize, len * itemsize),
            run => run,
        }
    }

    /// How many elements of the first chunks are hidden, where chunks are runs.
    fn hidden_elements(&self, grid: &Grid) -> usize {
        match grid.lead() {
            0 => 0,
            lead => lead * self.shape().iter().skip(1).product::<usize>(),
        }
    }

    /// Calls `f` with the elements from `start`, `len` of them, in C order, piece by piece, at any address. Raw chunks are
    /// not copied.
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
        let start = start + self.hidden_elements(&grid);
        let end = start + len;
        let (place, mut first) = grid.chunk_of_run(start);
        // A short read: the chunk may be kept decoded.
        if let (true, Some(chunk)) = (end <= first + place.size(), chunks.map.get(&place.number)) {
            if chunk.encoding().is_encoded() {
                let (number, nbytes) = (place.number, place.size() * itemsize);
                let part = (start - first) * itemsize..(end - first) * itemsize;
                return chunk.with_some_elements(number, nbytes, itemsize, true, |bytes| f(&bytes[part]));
            }
        }
        let last = if end <= first + place.size() { place.number } else { grid.chunk_of_run(end - 1).0.number };
        self.each_chunk(&grid, chunks, place.number..last + 1, &mut |place, block| {
            let size = place.size();
            let part = (start.max(first) - first) * itemsize..(end.min(first + size) - first) * itemsize;
            first += size;
            match block {
                Block::Elements(bytes) => f(&bytes[part]),
                Block::Fill(element) => with_fill(element, part.len(), &mut f),
            }
        })
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
            let copy = |elements: &[u8], strides: &[isize], start: usize, out: &mut [u8]| {
                let to = out_start + part.out_start;
                copy_region(elements, start, strides, out, to, &out_steps, &part.counts, itemsize);
            };
            let number = part.chunk.number;
            match chunks.map.get(&number) {
                // Neighbours that stay neighbours: decoded, if they must be, straight to where they go.
                Some(c) if c.encoding() != Encoding::Fill && is_run(&part.chunk_strides, &out_steps, &part.counts) => {
                    let nbytes = part.counts.iter().product::<usize>() * itemsize;
                    let to = &mut out[(out_start + part.out_start) * itemsize..][..nbytes];
                    c.with_parts(number, part.chunk.size() * itemsize, itemsize, true, |opened| {
                        opened.part(itemsize, part.chunk_start, to);
                    })
                }
                Some(c) if c.encoding() != Encoding::Fill => {
                    c.with_some_elements(number, part.chunk.size() * itemsize, itemsize, true, |e| {
                        copy(e, &part.chunk_strides, part.chunk_start, out);
                        Ok(())
                    })
                }
                constant => {
                    let element = constant.map_or(&chunks.fill[..itemsize], |c| c.stored_bytes());
                    let still: SmallVec<[isize; 4]> = SmallVec::from_elem(0, part.counts.len());
                    copy(element, &still, 0, out);
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
    use crate::nd::dtype::Dtype;
    use crate::nd::source::SliceSource;

    #[test]
    fn a_run_in_one_raw_chunk_is_where_it_is() {
        let shape = Shape::from([20, 3, 50]);
        let bytes: Vec<u8> = (0..3000u16).map(|i| i.wrapping_mul(40_503) >> 3).flat_map(u16::to_le_bytes).collect();
        for chunk in [None, Some([4, 3, 50]), Some([1, 2, 50]), Some([20, 3, 50]), Some([4, 3, 25])] {
            let options = StoreOptions {
                chunk_shape: chunk.map(Shape::from),
                policy: Policy::Raw,
                codec_given: true,
                ..StoreOptions::default()
            };
            let mut array = Array::from_source(Dtype::UInt16, &shape, &mut SliceSource::new(&bytes), &options).unwrap();
            for dropped in [0, 1, 6] {
                let nothing = Shape::from([0, 3, 50]);
                array.append(0, &[], &nothing, Some(20 - dropped), &options, usize::MAX).unwrap();
                let mut found = 0;
                for (start, len) in [(0, 0), (0, 1), (7, 300), (149, 2), (150, 150), (599, 2), (1900, 199)] {
                    let all = &bytes[dropped * 300..][2 * start..2 * (start + len)];
                    let run = array.run_in_place(start, len);
                    found += usize::from(run.is_some());
                    assert!(run.is_none_or(|run| run == all), "{start}, {len} of {chunk:?} without {dropped} rows");
                }
                assert!(found >= if chunk == Some([4, 3, 25]) { 1 } else { 2 }, "{chunk:?}, {dropped}: {found}");
            }
        }
    }

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
}
