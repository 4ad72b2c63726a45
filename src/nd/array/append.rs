//! Appending rows, and dropping rows in front: what a growing log, a window or a replay buffer does with an array.
//!
//! Rows are the outermost axis of every chunk, so new ones go to the end of the last chunks' bytes, and nothing else is
//! looked at: neither the chunks before nor the array's digest. The last chunks are kept raw, with room to grow, until they are full; then they are
//! encoded once. Rows that are dropped in front are hidden at first (see grid.rs); a chunk whose rows are all hidden
//! goes, and numbers never change. All that can fail is done before anything is changed.

use std::borrow::Cow;

use super::memo::Memo;
use super::packed::PackedShape;
use super::{Array, Body, Chunks, Storage, StoreOptions};
use crate::nd::chunk::Chunk;
use crate::nd::codec::{fill_with, Chooser, Policy};
use crate::nd::dtype::Dtype;
use crate::nd::error::{Error, Result};
use crate::nd::grid::{auto_chunk_shape, c_steps, copy_region, ChunkBox, Grid};
use crate::nd::index::{normalize_axes, AxisRange, Basic, Selection};
use crate::nd::memory;
use crate::nd::shape::Shape;
use crate::nd::source::{PiecesSource, SliceSource, Source};

/// An array's shape after appending along an axis, and the axis from the front.
///
/// # Errors
/// `INDEX` for an axis that is not there; `SHAPE` where another axis differs, or the sum is no length.
pub fn appended_shape(shape: &Shape, value: &Shape, axis: i64) -> Result<(Shape, usize)> {
    let at = normalize_axes(&[axis], shape.ndim())?[0];
    let fits = value.ndim() == shape.ndim()
        && shape.iter().zip(value.iter()).enumerate().all(|(i, (own, given))| i == at || own == given);
    if !fits {
        return Err(Error::AppendShape { value: value.clone(), to: shape.clone(), axis: at });
    }
    let mut sum = shape.clone();
    sum.dims_mut()[at] = shape[at].saturating_add(value[at]);
    Ok((sum, at))
}

/// What becomes of one chunk.
enum Staged<'v> {
    /// It is put in, or in the place of the old one.
    New(Chunk),
    /// These elements go to the end of a chunk that has the room.
    More(Cow<'v, [u8]>),
}

impl Array {
    /// Appends `value`, C-order elements of this dtype and of the shape `value_shape`, along `axis`, and drops elements in
    /// front so that the axis is at most `most` long. Storage grows as `options` say; the codec stays.
    ///
    /// Along axis 0 the cost is that of the value and of the last chunks, along others that of the whole array: `limit`
    /// is the most bytes that it may be.
    ///
    /// # Errors
    /// As [`appended_shape`]; `LIMIT`, `CORRUPT` where a chunk does not decode, `OOM`; then nothing was changed.
    pub fn append(
        &mut self,
        axis: i64,
        value: &[u8],
        value_shape: &Shape,
        most: Option<usize>,
        options: &StoreOptions,
        limit: usize,
    ) -> Result<()> {
        let shape = self.shape();
        let (mut sum, axis) = appended_shape(&shape, value_shape, axis)?;
        sum.size_and_bytes(self.dtype)?;
        // Of both, what stays: the last `most` positions.
        let new = value_shape[axis].min(most.unwrap_or(usize::MAX));
        let old = shape[axis].min(most.map_or(usize::MAX, |most| most - new));
        sum.dims_mut()[axis] = old + new;
        let (_, nbytes) = sum.size_and_bytes(self.dtype)?;
        if axis == 0 {
            let row = shape[1..].iter().product::<usize>() * self.dtype.itemsize();
            let value = &value[value.len() - new * row..];
            if self.chunks().is_some() {
                return self.append_chunks(value, old, new, &sum, options);
            }
            let bytes = self.plain_bytes().unwrap_or_default();
            let pieces = [&bytes[bytes.len() - old * row..], value];
            *self = self.rebuilt(&sum, &mut PiecesSource::new(&pieces), options, true)?;
            return Ok(());
        }
        let worked = nbytes.max(self.nbytes());
        if worked > limit {
            let (what, unit) = ("the array to be made anew", "bytes");
            return Err(Error::Limit { what, given: worked as u128, limit: limit as u128, unit });
        }
        let (itemsize, steps) = (self.dtype.itemsize(), c_steps(&sum));
        let mut whole = memory::buffer_zeroed(nbytes)?;
        let out = memory::bytes_mut(&mut whole, nbytes);
        let mut kept = Basic::whole(&shape);
        kept.axes[axis] = AxisRange { start: if old > 0 { shape[axis] - old } else { 0 }, step: 1, len: old };
        kept.out_shape.dims_mut()[axis] = old;
        let counts = kept.out_shape.clone();
        let (_, kept_bytes) = counts.size_and_bytes(self.dtype)?;
        let own = self.read(&Selection::Basic(kept))?;
        copy_region(memory::bytes(&own, kept_bytes), 0, &c_steps(&counts), out, 0, &steps, &counts, itemsize);
        let mut counts = value_shape.clone();
        counts.dims_mut()[axis] = new;
        let value_steps = c_steps(value_shape);
        // Offsets within the value and within the sum.
        let start = (value_shape[axis] - new) * value_steps[axis] as usize;
        copy_region(value, start, &value_steps, out, old * steps[axis] as usize, &steps, &counts, itemsize);
        *self = self.rebuilt(&sum, &mut SliceSource::new(out), options, false)?;
        Ok(())
    }

    /// An array of other elements that is stored as this one is, as far as its shape allows, with its attributes. Where it
    /// is `growing`, chunks are as high as they are to be, however few rows there are.
    pub(super) fn rebuilt(
        &self,
        shape: &Shape,
        source: &mut dyn Source,
        options: &StoreOptions,
        growing: bool,
    ) -> Result<Array> {
        let mut store = self.store_options(options);
        let (_, nbytes) = shape.size_and_bytes(self.dtype)?;
        if growing && !store.keeps_plain(nbytes) {
            store.chunk_shape =
                Some(rows_chunk_shape(shape, self.dtype, store.policy.chunk_bytes(options.chunk_bytes)));
        }
        let mut array = Array::from_source(self.dtype, shape, source, &store)?;
        array.take_attributes_of(self);
        Ok(array)
    }

    /// How an array in the place of this one is stored: with its codec.
    pub(super) fn store_options(&self, options: &StoreOptions) -> StoreOptions {
        let mut store = StoreOptions { chunk_shape: None, codec_given: false, ..options.clone() };
        if let Some(chunks) = self.chunks() {
            store.policy = chunks.policy;
            store.codec_given = !matches!(chunks.policy, Policy::Auto(_));
        }
        store
    }

    /// Takes over another array's attributes.
    pub(super) fn take_attributes_of(&mut self, other: &Array) {
        if !other.attributes().is_empty() {
            *self.attributes_mut() = other.attributes().clone();
        }
    }

    /// [`Array::append`] along axis 0 of an array of chunks: the last `new` rows behind the last `old` of its own.
    fn append_chunks(
        &mut self,
        value: &[u8],
        old: usize,
        new: usize,
        sum: &Shape,
        options: &StoreOptions,
    ) -> Result<()> {
        let (shape, dtype) = (self.shape(), self.dtype);
        let Body::Rich(rich) = &mut self.body else { return Ok(()) };
        let Storage::Chunked(chunks) = &mut rich.storage else { return Ok(()) };
        let before = chunks.grid(&shape, dtype);
        // Nothing of it stays: the numbers go on, as if all its chunks had been full.
        let (lead, base) = match old {
            0 => (0, chunks.base + before.len()),
            _ => (chunks.lead + shape[0] - old, chunks.base),
        };
        let mut chunk_shape = before.chunk_shape().clone();
        if old == 0 || before.counts()[0] <= 1 {
            // One row of chunks may still become higher: its numbers are the same, and its elements stand in front.
            let row: usize = chunk_shape[1..].iter().product::<usize>() * dtype.itemsize();
            let height = (chunks.policy.chunk_bytes(options.chunk_bytes) / row.max(1)).max(1);
            chunk_shape.dims_mut()[0] = chunk_shape[0].max(height);
        } else {
            chunk_shape.dims_mut()[0] = chunks.chunk_shape[0];
        }
        let height = chunk_shape[0];
        let per_row: u64 = before.counts()[1..].iter().map(|n| *n as u64).product();
        let gone = base + (lead / height) as u64 * per_row;
        let hidden = if old + new == 0 { 0 } else { lead % height };
        let after = match Grid::begun(sum, &chunk_shape, dtype, hidden, gone) {
            Ok(after) => after,
            // Many chunks that are too small: larger ones, once.
            Err(Error::ChunkShape { .. }) => {
                let bytes = self.tail_bytes(old)?;
                let pieces = [&bytes[..], value];
                *self = self.rebuilt(sum, &mut PiecesSource::new(&pieces), options, true)?;
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        // `gone` chunks do not count in the grid, so rows are counted from the first chunk that stays.
        let start = if old == 0 { 0 } else { hidden + old };
        let stage = Stage { chunks: &*chunks, height, dtype, itemsize: dtype.itemsize(), start, value, sum };
        let mut staged = Vec::new();
        if new > 0 && !after.is_empty() {
            let (first, end) = ((start / height) as u64, (start + new).div_ceil(height) as u64); // rows of chunks
            for number in gone + first * per_row..gone + end * per_row {
                staged.push((number, stage.take(&after.chunk(number))?));
            }
        }
        // Room in the chunks that grow where they are: nothing is to be seen if a later one gets none.
        for (number, staged) in &staged {
            if let (Staged::More(bytes), Some(chunk)) = (staged, chunks.map.get_mut(number)) {
                let row = after.chunk(*number).shape[1..].iter().product::<usize>() * dtype.itemsize();
                let full = row * height;
                let was = chunk.memory();
                let got = chunk.reserve(bytes.len(), full);
                chunks.memory = chunks.memory - was + chunk.memory();
                got?;
            }
        }
        // From here on nothing can fail.
        for (number, staged) in staged {
            match staged {
                Staged::New(chunk) => chunks.insert(number, chunk),
                Staged::More(bytes) => {
                    let grown = chunks.map.get_mut(&number).is_some_and(|chunk| chunk.extend(&bytes));
                    debug_assert!(grown, "raw, unshared, and with room, by the tests above");
                    chunks.stored_bytes += bytes.len();
                }
            }
        }
        while chunks.map.first_key_value().is_some_and(|(number, _)| *number < gone) {
            if let Some((_, chunk)) = chunks.map.pop_first() {
                chunks.stored_bytes -= chunk.stored_bytes().len();
                chunks.memory -= chunk.memory();
            }
        }
        (chunks.lead, chunks.base, chunks.chunk_shape) = (hidden, gone, chunk_shape);
        chunks.come_home();
        rich.memo = Memo::default();
        self.shape = PackedShape::new(sum);
        Ok(())
    }

    /// The last `rows` rows' elements.
    fn tail_bytes(&self, rows: usize) -> Result<Vec<u8>> {
        let row = self.shape().iter().skip(1).product::<usize>();
        let bytes = rows * row * self.dtype.itemsize();
        let mut out = memory::bytes_with_capacity(bytes)?;
        self.read_run(self.size() - rows * row, rows * row, &mut out)?;
        Ok(out)
    }
}

/// The chunk shape of an array that grows along axis 0: as if it were long already.
fn rows_chunk_shape(shape: &Shape, dtype: Dtype, target: usize) -> Shape {
    const LONG: usize = 1 << 40;
    let mut long = shape.clone();
    if let Some(rows) = long.dims_mut().first_mut() {
        *rows = LONG;
    }
    auto_chunk_shape(&long, dtype, target)
}

/// New rows on their way into the chunks.
struct Stage<'a, 'v> {
    chunks: &'a Chunks,
    /// How many rows a full chunk has.
    height: usize,
    dtype: Dtype,
    itemsize: usize,
    /// The row of the grid where the first new one goes.
    start: usize,
    value: &'v [u8],
    sum: &'a Shape,
}

impl<'v> Stage<'_, 'v> {
    /// How many rows of a chunk are there already.
    fn present(&self, place: &ChunkBox) -> usize {
        self.start.saturating_sub(place.offset[0])
    }

    /// The new elements of one chunk: a part of the value where its rows are whole.
    fn block(&self, place: &ChunkBox) -> Result<Cow<'v, [u8]>> {
        let first = (place.offset[0] + self.present(place)) - self.start;
        let mut counts = place.shape.clone();
        counts[0] -= self.present(place);
        let steps = c_steps(self.sum);
        if place.shape[1..] == self.sum[1..] {
            let row = steps[0] as usize * self.itemsize;
            return Ok(Cow::Borrowed(&self.value[first * row..][..counts[0] * row]));
        }
        let offsets = place.offset[1..].iter().zip(&steps[1..]).map(|(o, s)| o * *s as usize);
        let from = first * steps[0] as usize + offsets.sum::<usize>();
        let bytes = counts.iter().product::<usize>() * self.itemsize;
        let mut out = memory::bytes_with_capacity(bytes)?;
        out.resize(bytes, 0);
        copy_region(self.value, from, &steps, &mut out, 0, &c_steps(&counts), &counts, self.itemsize);
        Ok(Cow::Owned(out))
    }

    /// What becomes of a chunk that new rows go to.
    fn take(&self, place: &ChunkBox) -> Result<Staged<'v>> {
        let present = self.present(place);
        let is_full = place.shape[0] == self.height;
        let stored = self.chunks.map.get(&place.number).filter(|_| present > 0);
        let block = self.block(place)?;
        if !is_full && stored.is_some_and(Chunk::is_editable) {
            return Ok(Staged::More(block));
        }
        let row = place.shape[1..].iter().product::<usize>() * self.itemsize;
        let mut joined;
        let mut elements = &block[..];
        if present > 0 {
            let bytes = place.size() * self.itemsize;
            joined = memory::bytes_with_capacity(bytes)?;
            joined.resize(bytes, 0);
            let (own, rest) = joined.split_at_mut(present * row);
            match stored {
                None => fill_with(&self.chunks.fill[..self.itemsize], own),
                Some(chunk) => chunk.decode_into(place.number, self.itemsize, own)?,
            }
            rest.copy_from_slice(&block);
            elements = &joined;
        }
        if !is_full {
            return Chunk::raw(elements).map(Staged::New);
        }
        let chooser = Chooser::unsampled(self.chunks.policy, self.dtype);
        Chunk::encode(elements, &chooser).map(Staged::New)
    }
}

#[cfg(test)]
mod tests;
