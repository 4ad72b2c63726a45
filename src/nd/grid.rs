//! The chunk grid: which chunks an array is cut into, which of them a selection touches, and where each part goes.
//!
//! Pure geometry over shapes; no bytes but in [`copy_region`]. Chunks are numbered in C order of the grid. Chunks at the
//! far edges are cut off ("ragged"), as in Zarr and HDF5:
//!
//! ```text
//! shape (5, 7), chunk shape (2, 3)      number   offset   shape
//!   0 | 1 | 2                             0      (0, 0)   (2, 3)
//!   3 | 4 | 5                             5      (2, 6)   (2, 1)
//!   6 | 7 | 8                             8      (4, 6)   (1, 1)
//! ```
//!
//! An array whose first rows were dropped may begin inside its first chunks: `lead` rows of them are hidden, and the number
//! of the first chunk, `base`, need not be 0. Positions given to a grid are the array's own; a [`ChunkBox`] is a chunk as
//! it is stored, hidden rows included, and so are its offsets.
//!
//! ```text
//! shape (6, 7), chunk shape (2, 3), lead 1, base 6
//!   6 | 7 | 8     row 0 is hidden; the array's row 0 is row 1 of chunks 6 to 8
//!   9 |10 |11     rows 1 and 2
//!  12 |13 |14     rows 3 and 4
//!  15 |16 |17     row 5
//! ```
//!
//! Without `CHUNK`, [`auto_chunk_shape`] keeps whole trailing axes together, so that every chunk is one run of C-order
//! elements, and chunks in order are the array in order.

use smallvec::SmallVec;

use super::chunk::MAX_CHUNK_BYTES;
use super::dtype::Dtype;
use super::error::{Error, Result};
use super::index::AxisRange;
use super::shape::Shape;

/// One number per axis.
pub type PerAxis<T> = SmallVec<[T; 4]>;

/// Chunks smaller than this cost more in bookkeeping than they hold; refused where there would be many.
const SMALL_CHUNK: usize = 1024;

/// The least target of [`auto_chunk_shape`] whose chunks, more than a quarter of it each, are never too small.
pub const LEAST_TARGET: usize = 4 * SMALL_CHUNK;

/// How an array of one shape is cut into chunks of one shape.
#[derive(Clone, Debug)]
pub struct Grid {
    /// What the chunks cover: the array's shape, and the hidden rows.
    shape: Shape,
    chunk: Shape,
    counts: PerAxis<usize>,
    contiguous: bool,
    /// Rows of the first chunks that are hidden.
    lead: usize,
    /// The number of the first chunk.
    base: u64,
}

/// One chunk's place: its number, the position of its first element, and its lengths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkBox {
    /// Number in C order of the grid, from the grid's first number on.
    pub number: u64,
    /// Position of its first element along each axis, counted from the first chunk's.
    pub offset: PerAxis<usize>,
    /// Its lengths, cut off at the array's edges.
    pub shape: PerAxis<usize>,
}

impl ChunkBox {
    /// How many elements.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Along one axis, the part of a selection that falls into one row of chunks.
#[derive(Clone, Copy, Debug)]
pub(super) struct AxisPart {
    /// The chunk's place along the axis.
    pub chunk: usize,
    /// The first selected position, counted from the chunk's start.
    pub first: usize,
    /// How many positions.
    pub count: usize,
    /// Where the first lands along the output's axis.
    pub out: usize,
}

/// The part of a selection that falls into one chunk: strided in the chunk, strided in the output.
#[derive(Debug)]
pub struct Part {
    /// The chunk.
    pub chunk: ChunkBox,
    /// Element of the chunk (C order) that comes first.
    pub chunk_start: usize,
    /// Steps within the chunk, in elements.
    pub chunk_strides: PerAxis<isize>,
    /// Element of the output (C order) where it goes.
    pub out_start: usize,
    /// Where that is along each axis of the output.
    pub outs: PerAxis<usize>,
    /// How many elements along each axis.
    pub counts: PerAxis<usize>,
}

impl Grid {
    /// The grid of an array of `shape` cut into chunks of `chunk`; lengths of `chunk` beyond the axis are cut to it.
    ///
    /// # Errors
    /// `SHAPE` where the ranks differ, a length is 0, or many tiny chunks would come out; `LIMIT` for chunks above 16
    /// MiB or more chunks than can be numbered.
    pub fn new(shape: &Shape, chunk: &Shape, dtype: Dtype) -> Result<Grid> {
        let refuse = |why| Error::ChunkShape { chunk: chunk.clone(), shape: shape.clone(), why };
        if chunk.ndim() != shape.ndim() {
            return Err(refuse("it must have as many axes as the array"));
        }
        if chunk.contains(&0) {
            return Err(refuse("every length must be at least 1"));
        }
        let mut cut = chunk.clone();
        for (c, d) in cut.dims_mut().iter_mut().zip(shape.iter()) {
            *c = (*c).min((*d).max(1));
        }
        let (_, chunk_bytes) = cut.size_and_bytes(dtype)?;
        if chunk_bytes > MAX_CHUNK_BYTES {
            return Err(Error::Limit {
                what: "a chunk",
                given: chunk_bytes as u128,
                limit: MAX_CHUNK_BYTES as u128,
                unit: "bytes",
            });
        }
        let counts: PerAxis<usize> = shape.iter().zip(cut.iter()).map(|(d, c)| d.div_ceil(*c)).collect();
        // At most the number of elements, which was checked to fit.
        let total: u128 = counts.iter().map(|n| *n as u128).product();
        if total > 64 && chunk_bytes < SMALL_CHUNK {
            return Err(refuse("more than 64 chunks, of less than 1024 bytes each, cost more than they hold"));
        }
        // A chunk is one run where, outside some axis, it has length 1 and, inside that axis, it is whole.
        let first_long = cut.iter().position(|c| *c != 1).unwrap_or(cut.ndim());
        let contiguous = cut.iter().zip(shape.iter()).skip(first_long + 1).all(|(c, d)| c == d || *d == 0);
        Ok(Grid { shape: shape.clone(), chunk: cut, counts, contiguous, lead: 0, base: 0 })
    }

    /// [`Grid::new`] of an array that begins `lead` rows inside its first chunks, the first of which has the number `base`.
    ///
    /// # Errors
    /// As [`Grid::new`]; `SHAPE` for a lead that is not within the first chunks; `LIMIT`.
    pub fn begun(shape: &Shape, chunk: &Shape, dtype: Dtype, lead: usize, base: u64) -> Result<Grid> {
        if lead == 0 {
            return Ok(Grid { base, ..Grid::new(shape, chunk, dtype)? });
        }
        let refuse = |why| Error::ChunkShape { chunk: chunk.clone(), shape: shape.clone(), why };
        let (Some(length), Some(rows)) = (shape.first(), chunk.first()) else {
            return Err(refuse("a scalar has no rows to hide"));
        };
        if lead >= *rows || *length == 0 {
            return Err(refuse("more rows are hidden than the first chunk has"));
        }
        let mut stored = shape.clone();
        stored.dims_mut()[0] =
            length.checked_add(lead).ok_or_else(|| Error::TooManyElements { shape: shape.clone(), dtype })?;
        stored.size_and_bytes(dtype)?;
        Ok(Grid { lead, base, ..Grid::new(&stored, chunk, dtype)? })
    }

    /// Rows of the first chunks that are hidden.
    pub fn lead(&self) -> usize {
        self.lead
    }

    /// The number of the first chunk.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// What the chunks cover: the array's shape, and the hidden rows.
    pub(super) fn stored_shape(&self) -> &Shape {
        &self.shape
    }

    /// A range of the array's positions on an axis, as positions in the grid.
    pub(super) fn shifted(&self, axis: usize, range: &AxisRange) -> AxisRange {
        let lead = if axis == 0 && range.len > 0 { self.lead } else { 0 };
        AxisRange { start: range.start + lead, ..*range }
    }

    /// The part of a chunk that the array shows: without hidden rows, and counted from the array's first row. Rows are the
    /// outermost axis, so its elements are the last of the chunk's.
    pub(super) fn seen(&self, mut chunk: ChunkBox) -> ChunkBox {
        if let (Some(offset), Some(rows)) = (chunk.offset.first_mut(), chunk.shape.first_mut()) {
            match *offset {
                0 => *rows -= self.lead,
                _ => *offset -= self.lead,
            }
        }
        chunk
    }

    /// Elements of a chunk, from its first on, that are hidden.
    pub(super) fn hidden(&self, chunk: &ChunkBox) -> usize {
        match chunk.offset.first() {
            Some(0) => self.lead * chunk.shape[1..].iter().product::<usize>(),
            _ => 0,
        }
    }

    /// The lengths of a whole chunk.
    pub fn chunk_shape(&self) -> &Shape {
        &self.chunk
    }

    /// The lengths of a whole chunk, one for each axis.
    pub(super) fn chunk_lengths(&self) -> &[usize] {
        &self.chunk
    }

    /// How many chunks there are along each axis.
    pub(super) fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// How many chunks the array is cut into, stored or not.
    pub fn len(&self) -> u64 {
        self.counts.iter().map(|n| *n as u64).product()
    }

    /// Whether there is no chunk at all: an axis is empty.
    pub fn is_empty(&self) -> bool {
        self.counts.contains(&0)
    }

    /// Whether every chunk is one run of C-order elements, so that chunks in order are the array in order.
    pub fn is_contiguous(&self) -> bool {
        self.contiguous
    }

    /// How many rows along `axis` a chunk holds, where rows are never cut: chunks in order are then rows in order. Only for
    /// an axis outside which every length is 1.
    pub(super) fn rows_per_chunk(&self, axis: usize) -> Option<usize> {
        let is_whole = self.chunk.iter().zip(self.shape.iter()).skip(axis + 1).all(|(c, d)| c == d);
        is_whole.then(|| self.chunk[axis])
    }

    /// The place of chunk `number`, which must be one of the [`Grid::len`] from [`Grid::base`] on.
    pub fn chunk(&self, number: u64) -> ChunkBox {
        let mut rest = number - self.base;
        let mut place: PerAxis<usize> = SmallVec::from_elem(0, self.counts.len());
        for (p, n) in place.iter_mut().zip(&self.counts).rev() {
            *p = (rest % *n as u64) as usize; // below a usize
            rest /= *n as u64;
        }
        self.at(number, &place)
    }

    /// The number of the chunk at a place.
    pub(super) fn number(&self, place: &[usize]) -> u64 {
        self.base + place.iter().zip(&self.counts).fold(0u64, |n, (p, count)| n * *count as u64 + *p as u64)
    }

    fn at(&self, number: u64, place: &[usize]) -> ChunkBox {
        let offset: PerAxis<usize> = place.iter().zip(self.chunk.iter()).map(|(p, c)| p * c).collect();
        let shape =
            offset.iter().zip(self.chunk.iter()).zip(self.shape.iter()).map(|((o, c), d)| (*c).min(d - o)).collect();
        ChunkBox { number, offset, shape }
    }

    /// All chunks, in order.
    pub fn chunks(&self) -> impl Iterator<Item = ChunkBox> + '_ {
        (0..if self.is_empty() { 0 } else { self.len() }).map(|n| self.chunk(self.base + n))
    }

    /// The chunk that holds the element at `flat` (C order) of a contiguous grid, hidden ones counted, and where it starts.
    pub fn chunk_of_run(&self, flat: usize) -> (ChunkBox, usize) {
        let strides = self.shape.c_strides();
        let mut rest = flat;
        let place: PerAxis<usize> = strides
            .iter()
            .zip(self.chunk.iter())
            .map(|(s, c)| {
                let position = rest / s;
                rest %= s;
                position / c
            })
            .collect();
        let chunk = self.at(self.number(&place), &place);
        let start = chunk.offset.iter().zip(&strides).map(|(o, s)| o * s).sum();
        (chunk, start)
    }

    /// Calls `f` with each chunk that the ranges touch, in order, and the part of it that they select.
    ///
    /// `axes` has one range per axis, all positions in bounds. The output is the ranges' product in C order.
    ///
    /// # Errors
    /// Whatever `f` answers, at once.
    pub fn parts(&self, axes: &[AxisRange], mut f: impl FnMut(&Part) -> Result<()>) -> Result<()> {
        if axes.iter().any(|a| a.len == 0) {
            return Ok(());
        }
        let mut out_strides: PerAxis<usize> = SmallVec::from_elem(1, axes.len());
        for i in (1..axes.len()).rev() {
            out_strides[i - 1] = out_strides[i] * axes[i].len;
        }
        check_parts(axes, &self.chunk)?;
        let shifted: PerAxis<AxisRange> =
            axes.iter().enumerate().map(|(axis, range)| self.shifted(axis, range)).collect();
        let axes = &shifted[..];
        let part = |axis: usize, done: usize| axis_part(&axes[axis], self.chunk[axis], done);
        let mut parts: PerAxis<AxisPart> = (0..axes.len()).map(|axis| part(axis, 0)).collect();
        loop {
            let place: PerAxis<usize> = parts.iter().map(|p| p.chunk).collect();
            let chunk = self.at(self.number(&place), &place);
            let mut piece = Part {
                chunk_start: 0,
                chunk_strides: SmallVec::new(),
                out_start: parts.iter().zip(&out_strides).map(|(p, s)| p.out * s).sum(),
                outs: parts.iter().map(|p| p.out).collect(),
                counts: parts.iter().map(|p| p.count).collect(),
                chunk,
            };
            let mut stride = 1usize;
            for i in (0..axes.len()).rev() {
                piece.chunk_start += parts[i].first * stride;
                piece.chunk_strides.push(axes[i].step.saturating_mul(stride as isize));
                stride *= piece.chunk.shape[i];
            }
            piece.chunk_strides.reverse();
            f(&piece)?;
            // The next combination, last axis fastest.
            let ends = |axis: &usize| parts[*axis].out + parts[*axis].count == axes[*axis].len;
            let Some(axis) = (0..parts.len()).rev().find(|axis| !ends(axis)) else { return Ok(()) };
            parts[axis] = part(axis, parts[axis].out + parts[axis].count);
            (axis + 1..parts.len()).for_each(|inner| parts[inner] = part(inner, 0));
        }
    }
}

/// A selection touches at most this many chunks: about a second of work before an element is copied.
pub const MAX_PARTS: u128 = 8 << 20;

/// How many parts chunk borders cut a range into, at most.
pub(super) fn count_parts(range: &AxisRange, chunk: usize) -> u128 {
    let span = range.len as u128 * range.step.unsigned_abs() as u128;
    (range.len as u128).min(span / chunk as u128 + 2)
}

fn check_parts(axes: &[AxisRange], chunk: &Shape) -> Result<()> {
    let parts = axes.iter().zip(chunk.iter()).fold(1u128, |n, (a, c)| n.saturating_mul(count_parts(a, *c)));
    if parts > MAX_PARTS {
        return Err(Error::Limit { what: "the selection", given: parts, limit: MAX_PARTS, unit: "chunks" });
    }
    Ok(())
}

/// The part of a range that begins with its position number `done` and ends at a chunk's border.
fn axis_part(range: &AxisRange, chunk: usize, done: usize) -> AxisPart {
    // In bounds by the resolver's promise, so neither product nor sum leaves the axis.
    let position = range.start.wrapping_add_signed(range.step.wrapping_mul(done as isize));
    let place = position / chunk;
    let left = range.len - done;
    let count = match range.step {
        0 => left,
        step if step > 0 => ((place + 1) * chunk - position).div_ceil(step as usize).min(left),
        step => ((position - place * chunk) / step.unsigned_abs() + 1).min(left),
    };
    AxisPart { chunk: place, first: position - place * chunk, count, out: done }
}

/// Cuts one axis's range at chunk borders, in output order. Only for ranges of few parts, see [`count_parts`].
pub(super) fn axis_parts(range: &AxisRange, chunk: usize) -> Vec<AxisPart> {
    let mut parts = Vec::new();
    let mut done = 0;
    while done < range.len {
        let part = axis_part(range, chunk, done);
        done += part.count;
        parts.push(part);
    }
    parts
}

/// The chunk shape where none was asked for: whole trailing axes, about `target` bytes, one run of elements each.
pub fn auto_chunk_shape(shape: &Shape, dtype: Dtype, target: usize) -> Shape {
    let mut chunk = shape.clone();
    let mut inner = dtype.itemsize();
    let mut full = false;
    for (c, d) in chunk.dims_mut().iter_mut().zip(shape.iter()).rev() {
        let d = (*d).max(1);
        if full {
            *c = 1;
        } else if inner.saturating_mul(d) <= target {
            *c = d;
            inner *= d;
        } else {
            let most = (target / inner).max(1);
            // The outermost axis has one ragged end; within an inner axis every row has one, so even pieces are better.
            let pieces = d.div_ceil(most);
            *c = if chunk_is_outermost(shape, d) { most } else { d.div_ceil(pieces) };
            full = true;
        }
    }
    chunk
}

/// The chunk shape for elements that stay raw: as many neighbouring chunks of the shape `chunk`, which
/// [`auto_chunk_shape`] made, as fit in `target` bytes, taken together as one run of elements.
///
/// Nothing has to be decoded to read a part of them, and one long run is read, and answered, without joining.
pub fn raw_chunk_shape(shape: &Shape, dtype: Dtype, mut chunk: Shape, target: usize) -> Shape {
    let mut fits = target / chunk.len_or_max().saturating_mul(dtype.itemsize()).max(1);
    for (c, d) in chunk.dims_mut().iter_mut().zip(shape.iter()).rev().filter(|(c, d)| **c < **d) {
        if fits.saturating_mul(*c) < *d {
            *c *= fits.max(1);
            break;
        }
        fits /= d.div_ceil(*c);
        *c = *d;
    }
    chunk
}

/// Whether an axis of length `d` is the only long one in front: nothing outside it repeats its ragged end.
fn chunk_is_outermost(shape: &Shape, d: usize) -> bool {
    shape.iter().find(|n| **n != 1) == Some(&d)
}

/// Copies a block of elements between two strided places: `counts` elements along each axis, from `source` at element
/// `source_start` by `source_strides`, to `out` at `out_start` by `out_strides` (all in elements of `itemsize` bytes).
///
/// Runs that are contiguous on both sides are copied whole. Every access is inside the slices or it panics.
#[allow(clippy::too_many_arguments)] // two places of three numbers each; a struct would only rename them
pub fn copy_region(
    source: &[u8],
    source_start: usize,
    source_strides: &[isize],
    out: &mut [u8],
    out_start: usize,
    out_strides: &[isize],
    counts: &[usize],
    itemsize: usize,
) {
    if counts.contains(&0) {
        return;
    }
    // Innermost axes that are one run on both sides melt into `run`.
    let mut outer = counts.len();
    let mut run = 1usize;
    while outer > 0 {
        let axis = outer - 1;
        let fits = counts[axis] == 1 || (source_strides[axis] == run as isize && out_strides[axis] == run as isize);
        if !fits {
            break;
        }
        run *= counts[axis];
        outer -= 1;
    }
    if run == 1 && outer > 0 {
        outer -= 1; // the innermost axis is walked by the strided loop
    }
    let mut at: PerAxis<usize> = SmallVec::from_elem(0, outer);
    let mut from = source_start as isize;
    let mut to = out_start as isize;
    loop {
        if run > 1 || counts.len() == outer {
            let (f, t) = (from as usize * itemsize, to as usize * itemsize);
            out[t..t + run * itemsize].copy_from_slice(&source[f..f + run * itemsize]);
        } else {
            copy_strided(source, from, source_strides[outer], out, to, out_strides[outer], counts[outer], itemsize);
        }
        let mut axis = outer;
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            at[axis] += 1;
            from += source_strides[axis];
            to += out_strides[axis];
            if at[axis] < counts[axis] {
                break;
            }
            from -= source_strides[axis] * counts[axis] as isize;
            to -= out_strides[axis] * counts[axis] as isize;
            at[axis] = 0;
        }
    }
}

/// Whether a block of elements is one run on both sides.
pub(super) fn is_run(a: &[isize], b: &[isize], counts: &[usize]) -> bool {
    let mut run = 1;
    counts.iter().zip(a.iter().zip(b)).rev().all(|(count, (a, b))| {
        let fits = *count == 1 || (*a == run && *b == run);
        run *= *count as isize; // at most the size of the chunk
        fits
    })
}

/// One strided line, the item size fixed for the compiler.
#[allow(clippy::too_many_arguments)]
fn copy_strided(
    source: &[u8],
    from: isize,
    source_step: isize,
    out: &mut [u8],
    to: isize,
    out_step: isize,
    count: usize,
    itemsize: usize,
) {
    fn line<const N: usize>(
        source: &[u8],
        mut from: isize,
        source_step: isize,
        out: &mut [u8],
        mut to: isize,
        out_step: isize,
        count: usize,
    ) {
        let source = source.as_chunks::<N>().0;
        let out = out.as_chunks_mut::<N>().0;
        if source_step == 0 && out_step == 1 {
            return out[to as usize..to as usize + count].fill(source[from as usize]);
        }
        for _ in 0..count {
            out[to as usize] = source[from as usize];
            from += source_step;
            to += out_step;
        }
    }
    match itemsize {
        1 => line::<1>(source, from, source_step, out, to, out_step, count),
        2 => line::<2>(source, from, source_step, out, to, out_step, count),
        4 => line::<4>(source, from, source_step, out, to, out_step, count),
        8 => line::<8>(source, from, source_step, out, to, out_step, count),
        _ => line::<16>(source, from, source_step, out, to, out_step, count),
    }
}

/// C-order steps of a block, in elements, as signed numbers.
pub fn c_steps(shape: &[usize]) -> PerAxis<isize> {
    let mut steps: PerAxis<isize> = SmallVec::from_elem(1, shape.len());
    for i in (1..shape.len()).rev() {
        steps[i - 1] = steps[i] * shape[i] as isize;
    }
    steps
}

#[cfg(test)]
mod tests;
