//! New elements for the whole of an array of the same dtype and shape: most writes of a large array are that.
//!
//! Raw chunks that nobody shares are written over where they lie, which saves the allocator a round trip and the server the
//! page faults of fresh memory. Encoded ones are encoded in the way that suited the elements before, if it suits these as
//! well: to look at all ways anew takes as long as to encode 64 KiB.

use super::{encode, stays_raw, Array, Body, Chunks, Storage, StoreOptions};
use crate::nd::attributes::Attributes;
use crate::nd::codec::{Chooser, Encoding, ALIKE};
use crate::nd::dtype::Dtype;
use crate::nd::grid::Grid;
use crate::nd::memory;
use crate::nd::parallel;
use crate::nd::shape::Shape;
use crate::nd::source::Source;

use super::memo::Memo;

impl Array {
    /// Writes new elements over the old ones; false, and nothing changed, where that cannot be, or where the elements had better be
    /// looked at anew. What was taken from the source is then lost.
    ///
    /// It can be where dtype and shape are the same and the elements are plain; or all chunks are raw, shared by nobody,
    /// and will stay raw; or all are encoded in one way, and that suits the new elements about as well. Attributes go, as they do
    /// when a value is set anew.
    pub fn overwrite(&mut self, dtype: Dtype, shape: &Shape, source: &mut dyn Source, options: &StoreOptions) -> bool {
        if self.dtype != dtype || !self.shape.is(shape) || options.chunk_shape.is_some() {
            return false;
        }
        let nbytes = self.nbytes();
        let plain = options.keeps_plain(nbytes);
        match &mut self.body {
            Body::Plain(buffer) if plain => match source.next(nbytes) {
                Ok(elements) => {
                    memory::bytes_mut(buffer, nbytes).copy_from_slice(elements);
                    true
                }
                Err(_) => false,
            },
            Body::Rich(rich) if !plain => {
                let Storage::Chunked(chunks) = &mut rich.storage else { return false };
                if rich.parts_missing > 0 || chunks.lead > 0 || chunks.policy != options.policy {
                    return false;
                }
                let (Ok(small), grid) = (options.grid(dtype, shape), chunks.grid(shape, dtype)) else {
                    return false;
                };
                let all = New { dtype, shape, options, small };
                let is_written = match chunks.one_encoding(&grid) {
                    Some(Encoding::Raw) => all.write_raw(&grid, chunks, source),
                    Some(before) if before.is_encoded() => all.encode_again(&grid, chunks, before, source),
                    _ => false,
                };
                if is_written {
                    rich.attributes = Attributes::default();
                    rich.memo = Memo::default();
                }
                is_written
            }
            _ => false,
        }
    }
}

impl Chunks {
    /// The encoding of all chunks, where it is one and none is absent.
    fn one_encoding(&self, grid: &Grid) -> Option<Encoding> {
        let first = self.map.values().next().filter(|_| self.map.len() as u64 == grid.len())?.encoding();
        self.map.values().all(|c| c.encoding() == first).then_some(first)
    }
}

/// What the new elements are, and how they are to be stored; `small` is the grid of chunks that may be encoded.
struct New<'a> {
    dtype: Dtype,
    shape: &'a Shape,
    options: &'a StoreOptions,
    small: Grid,
}

impl New<'_> {
    fn write_raw(self, grid: &Grid, chunks: &mut Chunks, source: &mut dyn Source) -> bool {
        let New { dtype, shape, options, small } = self;
        let itemsize = dtype.itemsize();
        let nbytes = shape.len_or_max().saturating_mul(itemsize);
        if Chunks::are_lent(source, itemsize) {
            // What need not be copied is not copied.
            let sample = |start, len| source.peek(start, len);
            let stays_raw = Chooser::still_raw(options.policy, dtype, nbytes, sample);
            let lent = if stays_raw { Chunks::lent(dtype, shape, source, options, &small) } else { Ok(None) };
            return match lent {
                Ok(Some(lent)) => {
                    *chunks = lent;
                    true
                }
                _ => false,
            };
        }
        if !chunks.map.values_mut().all(|c| c.buffer_mut().is_some()) {
            return false;
        }
        let chunk_bytes = chunks.chunk_shape.len_or_max().saturating_mul(itemsize);
        let chooser = Chooser::new(options.policy, dtype, nbytes, |start, len| source.peek(start, len));
        if !stays_raw(&chooser, &small, itemsize, &*source)
            || options.raw_grid(dtype, shape, small).is_ok_and(|g| *g.chunk_shape() != chunks.chunk_shape)
            || !source.make_infallible(chunk_bytes)
        {
            return false;
        }
        for (place, chunk) in grid.chunks().zip(chunks.map.values_mut()) {
            let elements = source.next(place.size() * itemsize).expect("the source cannot fail");
            let written = chunk.overwrite(elements);
            debug_assert!(written, "raw and unshared, by the test above");
        }
        true
    }

    fn encode_again(self, grid: &Grid, chunks: &mut Chunks, before: Encoding, source: &mut dyn Source) -> bool {
        let New { dtype, shape, options, small } = self;
        let itemsize = dtype.itemsize();
        let nbytes = shape.len_or_max().saturating_mul(itemsize);
        if *small.chunk_shape() != chunks.chunk_shape {
            return false;
        }
        let share = chunks.stored_bytes as f64 / nbytes as f64;
        let sample = |start, len| source.peek(start, len);
        let Some(chooser) = Chooser::again(options.policy, dtype, before, share, nbytes, sample) else { return false };
        let helpers = parallel::helpers(nbytes, encode::SHARE);
        let Ok(list) = encode::chunks(grid, shape, itemsize, source, &chooser, helpers.count()) else {
            return false;
        };
        let stored: usize = list.iter().map(|(_, chunk)| chunk.stored_bytes().len()).sum();
        if stored as f64 > chunks.stored_bytes as f64 * ALIKE {
            return false;
        }
        chunks.set_all(list);
        chunks.loose = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nd::array::tests::{all, check_whole};
    use crate::nd::codec::{Compression, Policy};
    use crate::nd::source::{PiecesSource, SliceSource};

    const SHAPE: [usize; 2] = [100, 3000];

    fn counters(step: i64) -> Vec<u8> {
        (0..300_000).flat_map(|i| (i * step).to_le_bytes()).collect()
    }

    fn noise() -> Vec<u8> {
        (0..300_000u64)
            .flat_map(|i| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left((i % 61) as u32).to_le_bytes())
            .collect()
    }

    fn set(bytes: &[u8], options: &StoreOptions) -> Array {
        Array::from_source(Dtype::Int64, &Shape::from(SHAPE), &mut SliceSource::new(bytes), options).unwrap()
    }

    #[test]
    fn what_is_like_the_elements_before_is_encoded_as_they_were() {
        for policy in Policy::KINDS.iter().filter(|p| !matches!(p, Policy::Raw | Policy::Auto(Compression::Size))) {
            let options = StoreOptions { policy: *policy, ..StoreOptions::default() };
            let mut array = set(&counters(1), &options);
            let before = array.encodings();
            assert!(before[0].is_encoded(), "{policy:?}");
            let new = counters(-1);
            for _ in 0..2 {
                let pieces: Vec<&[u8]> = new.chunks(70_001).collect();
                let written =
                    array.overwrite(Dtype::Int64, &Shape::from(SHAPE), &mut PiecesSource::new(&pieces), &options);
                assert!(written, "{policy:?}");
                assert_eq!((all(&array) == new, array.encodings()), (true, before.clone()), "{policy:?}");
                check_whole(&array);
            }
        }
    }

    #[test]
    fn what_is_not_is_looked_at_anew() {
        let options = StoreOptions::default();
        let mut array = set(&counters(1), &options);
        let before = array.stored_bytes();
        let shape = Shape::from(SHAPE);
        assert!(!array.overwrite(Dtype::Int64, &shape, &mut SliceSource::new(&noise()), &options));
        // Like it in the middle, where one looks, and nowhere else.
        let mut mostly = noise();
        mostly[1_190_000..1_210_000].copy_from_slice(&counters(1)[1_190_000..1_210_000]);
        assert!(!array.overwrite(Dtype::Int64, &shape, &mut SliceSource::new(&mostly), &options));
        assert_eq!((all(&array) == counters(1), array.stored_bytes()), (true, before));
        check_whole(&array);
        let mut raw = set(&noise(), &options);
        assert!(!raw.overwrite(Dtype::Int64, &shape, &mut SliceSource::new(&counters(1)), &options));
        assert!(all(&raw) == noise());
    }
}
