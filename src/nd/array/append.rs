//! Appending rows, and dropping rows in front: what a growing log, a window or a replay buffer does with an array.
//!
//! Rows are the outermost axis of every chunk, so new ones go to the end of the last chunks' bytes, and nothing else is
//! looked at: neither the chunks before nor the array's digest. The last chunks are kept raw, with room to grow, until they are full; then they are
//! encoded once. Rows that are dropped in front are hidden at first (see grid.rs); a chunk whose rows are all hidden
//! goes, and numbers never change. All that can fail is done before anything is changed.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::packed::PackedShape;
use super::{Array, Body, Chunks, Storage, StoreOptions};
use crate::nd::chunk::{fill_with, Chunk};
use crate::nd::codec::{Chooser, Policy};
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
            store.chunk_shape = Some(rows_chunk_shape(shape, self.dtype, options.chunk_bytes));
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
            store.codec_given = chunks.policy != Policy::Auto;
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
            let height = (options.chunk_bytes / row.max(1)).max(1);
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
        let stage = Stage { chunks: &*chunks, height, itemsize: dtype.itemsize(), start, value, sum };
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
        rich.digest = OnceLock::new();
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
        let chooser = Chooser::new(self.chunks.policy, self.itemsize, 0, |_, _| None);
        Chunk::encode(elements, &chooser).map(Staged::New)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nd::array::tests::{all, check_whole};
    use crate::nd::array::Positions;
    use crate::nd::codec::Encoding;
    use crate::nd::index::Index;
    use crate::nd::scalar::Scalar;

    const LIMIT: usize = 64 << 20;

    fn options(chunk_bytes: usize, policy: Policy) -> StoreOptions {
        StoreOptions { chunk_bytes, policy, inline_bytes: 1024, ..StoreOptions::default() }
    }

    /// Every way to read sees the rows that the model has.
    fn check_rows(array: &Array, rows: &[Vec<u16>], inner: &[usize]) {
        let want: Vec<u8> = rows.iter().flatten().flat_map(|x| x.to_le_bytes()).collect();
        let mut shape = Shape::from([rows.len()]);
        inner.iter().for_each(|d| shape.push(*d).unwrap());
        assert_eq!(array.shape(), shape);
        assert_eq!(all(array), want);
        check_whole(array);
        if rows.is_empty() {
            return;
        }
        let n = rows.len();
        let list: Vec<i64> = (0..9).map(|i| (i * 7 % n) as i64 - if i % 2 == 0 { 0 } else { n as i64 }).collect();
        for (text, positions) in [
            (format!("::-2"), None),
            (format!("{}", n / 2), None),
            (format!("{}:,...,-1", n / 3), None),
            (format!("{list:?}"), Some(list.clone())),
            (format!("{list:?},...,[0]"), None),
            (format!("...,[0,0]"), None),
        ] {
            let selection = Index::parse(text.as_bytes()).unwrap().resolve(&shape).unwrap();
            let size = selection.out_shape().checked_size().unwrap();
            let want: Vec<u8> = selection.positions(&shape).flat_map(|p| [want[2 * p], want[2 * p + 1]]).collect();
            let got = array.read(&selection).unwrap();
            assert_eq!(memory::bytes(&got, 2 * size), &want[..], "{text} of {shape}");
            if let Some(list) = positions {
                let mut out = vec![0; want.len()];
                array.take_into(&Positions::new(&shape, 0, &list).unwrap(), &mut out).unwrap();
                assert_eq!(out, want);
            }
        }
    }

    proptest! {
        /// Rows appended and dropped one after the other are those of a list, however they are stored, and whatever else
        /// happens between.
        #[test]
        fn appending_and_dropping_is_a_window_over_a_list(
            steps in proptest::collection::vec((0usize..90, any::<u8>(), 0u8..10), 1..25),
            wide in any::<bool>(),
            chunk in proptest::option::of((1usize..40, 1usize..40)),
            policy in prop::sample::select(Policy::ALL),
            most in proptest::option::of(0usize..120),
            start in 0usize..50,
        ) {
            let inner: Vec<usize> = if wide { vec![3, 32] } else { vec![64] };
            let row: usize = inner.iter().product();
            let options = options(4096, policy);
            let mut count = 0u16;
            let mut make = |n: usize, kind: u8| -> Vec<Vec<u16>> {
                (0..n).map(|_| {
                    count = count.wrapping_add(1);
                    (0..row).map(|i| if kind % 3 == 0 { 0 } else { count.wrapping_mul(257).wrapping_add((i / 4) as u16) }).collect()
                }).collect()
            };
            let mut rows = make(start, 1);
            let mut shape = Shape::from([start]);
            inner.iter().for_each(|d| shape.push(*d).unwrap());
            let chunk_shape = chunk.map(|(height, width)| {
                let mut cut = shape.clone();
                cut.dims_mut()[0] = height;
                let last = cut.ndim() - 1;
                cut.dims_mut()[last] = width.max(inner[inner.len() - 1] / 2);
                cut
            }).filter(|c| Grid::new(&shape, c, Dtype::UInt16).is_ok());
            let store = StoreOptions { chunk_shape, ..options.clone() };
            let bytes: Vec<u8> = rows.iter().flatten().flat_map(|x| x.to_le_bytes()).collect();
            let mut array =
                Array::from_source(Dtype::UInt16, &shape, &mut SliceSource::new(&bytes), &store).unwrap();
            let mut snapshots = Vec::new();
            for (n, kind, what) in steps {
                let n = if kind % 4 == 0 { n } else { n % 5 };
                let new = make(n, kind);
                let bytes: Vec<u8> = new.iter().flatten().flat_map(|x| x.to_le_bytes()).collect();
                shape.dims_mut()[0] = n;
                if what == 0 {
                    snapshots.push((array.clone(), rows.clone()));
                }
                if what == 1 && !rows.is_empty() {
                    let at = kind as usize % rows.len();
                    let selection = Index::parse(format!("{at}").as_bytes()).unwrap().resolve(&array.shape()).unwrap();
                    array.write(&selection, &5u16.to_le_bytes(), &Shape::scalar(), LIMIT).unwrap();
                    rows[at] = vec![5; row];
                }
                if what == 2 && !rows.is_empty() {
                    let selection = Index::parse(b"[0,-1],...,[0,3]").unwrap();
                    if let Ok(selection) = selection.resolve(&array.shape()) {
                        if inner.len() == 1 {
                            array.write(&selection, &6u16.to_le_bytes(), &Shape::scalar(), LIMIT).unwrap();
                            rows[0][0] = 6;
                            rows.last_mut().unwrap()[3] = 6;
                        }
                    }
                }
                array.append(0, &bytes, &shape, most, &options, LIMIT).unwrap();
                rows.extend(new);
                if let Some(most) = most {
                    rows.drain(..rows.len().saturating_sub(most));
                }
                check_rows(&array, &rows, &inner);
            }
            for (array, rows) in &snapshots {
                check_rows(array, rows, &inner);
            }
        }

        #[test]
        fn other_axes_are_numpys_concatenate(
            dims in proptest::collection::vec(0usize..6, 1..4),
            axis in 0usize..3,
            more in 0usize..6,
            most in proptest::option::of(0usize..8),
            policy in prop::sample::select(Policy::ALL),
        ) {
            let axis = axis % dims.len();
            let mut other = dims.clone();
            other[axis] = more;
            let (a, b): (usize, usize) = (dims.iter().product(), other.iter().product());
            let (first, second): (Vec<u16>, Vec<u16>) = ((0..a as u16).collect(), (1000..1000 + b as u16).collect());
            let options = StoreOptions { inline_bytes: 16, ..options(4096, policy) };
            let mut array = Array::from_source(
                Dtype::UInt16,
                &Shape::new(&dims).unwrap(),
                &mut SliceSource::new(bytemuck::cast_slice(&first)),
                &options,
            ).unwrap();
            let value = Shape::new(&other).unwrap();
            let back = axis as i64 - dims.len() as i64;
            array.append(back, bytemuck::cast_slice(&second), &value, most, &options, LIMIT).unwrap();
            let outer: usize = dims[..axis].iter().product();
            let (left, right) = (a / outer.max(1), b / outer.max(1));
            let inner: usize = dims[axis + 1..].iter().product();
            let mut want = Vec::new();
            for i in 0..outer {
                let line: Vec<u16> =
                    first[i * left..(i + 1) * left].iter().chain(&second[i * right..(i + 1) * right]).copied().collect();
                let keep = most.map_or(line.len(), |m| (m * inner).min(line.len()));
                want.extend_from_slice(&line[line.len() - keep..]);
            }
            prop_assert_eq!(&all(&array)[..], bytemuck::cast_slice::<u16, u8>(&want));
            prop_assert_eq!(array.shape()[axis], (dims[axis] + more).min(most.unwrap_or(usize::MAX)));
            check_whole(&array);
        }
    }

    #[test]
    fn only_the_last_chunks_are_touched_and_whole_ones_go() {
        let options = options(4096, Policy::Lz4);
        let mut array = Array::filled(&Shape::from([0, 256]), Scalar::of(0f32), &options).unwrap();
        let one = Shape::from([1, 256]);
        for i in 0..41 {
            let row: Vec<u8> = (0..256).flat_map(|_| (i as f32).to_le_bytes()).collect();
            array.append(0, &row, &one, None, &options, LIMIT).unwrap();
        }
        let encodings =
            |array: &Array| -> Vec<Encoding> { array.chunks().unwrap().stored().map(|(_, c)| c.encoding()).collect() };
        assert_eq!(&array.chunks().unwrap().chunk_shape()[..], [4, 256]);
        let mut want = vec![Encoding::Lz4; 10];
        want.push(Encoding::Raw);
        assert_eq!(encodings(&array), want, "full ones are encoded, the last is open");
        let at = |array: &Array| -> Vec<(u64, *const u8)> {
            array.chunks().unwrap().stored().map(|(n, c)| (n, c.stored_bytes().as_ptr())).collect()
        };
        let before = at(&array);
        let row = [0; 1024];
        array.append(0, &row, &one, Some(20), &options, LIMIT).unwrap();
        // 42 rows came, 20 are left: 22 are gone, five chunks of four and two hidden ones.
        assert_eq!((array.shape()[0], array.chunks().unwrap().front()), (20, (2, 5)));
        assert_eq!(at(&array)[..5], before[5..10]);
        array.append(0, &row, &one, Some(20), &options, LIMIT).unwrap();
        assert_eq!(array.chunks().unwrap().front(), (3, 5));
        array.append(0, &row, &one, Some(20), &options, LIMIT).unwrap();
        assert_eq!((array.chunks().unwrap().front(), at(&array)[0]), ((0, 6), before[6]));
        check_whole(&array);
    }

    #[test]
    fn a_long_array_grows_as_cheaply_as_a_short_one() {
        // No clock: nothing but the last chunk is looked at, so it does not matter that the array is a pebibyte.
        let options = options(65536, Policy::Raw);
        let mut array = Array::filled(&Shape::from([1 << 40, 256]), Scalar::of(0f32), &options).unwrap();
        for _ in 0..1000 {
            array.append(0, &[1; 1024], &Shape::from([1, 256]), Some(1 << 40), &options, LIMIT).unwrap();
        }
        assert_eq!((array.shape()[0], array.stored_bytes()), (1 << 40, 1000 * 1024));
        assert_eq!(array.element((1 << 48) - 1).unwrap().to_le_bytes()[..4], [1; 4]);
    }

    #[test]
    fn err_values_that_do_not_fit() {
        let options = StoreOptions::default();
        let mut array = Array::filled(&Shape::from([2, 3]), Scalar::of(0u8), &options).unwrap();
        let mut refused = |axis, value: &[usize]| {
            let shape = Shape::new(value).unwrap();
            let bytes = vec![0; shape.checked_size().unwrap()];
            array.append(axis, &bytes, &shape, None, &options, LIMIT).unwrap_err().to_string()
        };
        let text = "(it must have as many axes, and the same lengths but for that one)";
        assert_eq!(
            refused(0, &[1, 4]),
            format!("SHAPE a value of shape (1, 4) cannot be appended to an array of shape (2, 3) along axis 0 {text}")
        );
        assert_eq!(
            refused(-1, &[3]),
            format!("SHAPE a value of shape (3,) cannot be appended to an array of shape (2, 3) along axis 1 {text}")
        );
        assert_eq!(refused(2, &[1, 3]), "INDEX axis 2 is out of bounds for an array of 2 dimensions (use -2 to 1)");
        let mut scalar = Array::filled(&Shape::scalar(), Scalar::of(0u8), &options).unwrap();
        let error = scalar.append(0, &[1], &Shape::scalar(), None, &options, LIMIT).unwrap_err().to_string();
        assert_eq!(error, "INDEX axis 0 is out of bounds for an array of 0 dimensions");
    }
}
