//! The same elements in another shape: where chunks allow, only what is written on them changes.
//!
//! Chunks that are runs of C-order elements, all of one length but the last, are such runs in the new shape too, if it has
//! axes that such a run fills. Otherwise elements go into new chunks; of a sparse array only those that are stored.

use super::memo::Memo;
use super::packed::PackedShape;
use super::{Array, Body, Chunks, Storage, StoreOptions};
use crate::nd::attributes::Attributes;
use crate::nd::chunk::Chunk;
use crate::nd::codec::Chooser;
use crate::nd::dtype::Dtype;
use crate::nd::error::{Error, Result};
use crate::nd::grid::{auto_chunk_shape, c_steps, Grid};
use crate::nd::shape::Shape;

impl Array {
    /// Gives the array another shape of the same size. Where chunks must be made anew they are as `options` say, and
    /// `limit` is the most bytes of elements to go through.
    ///
    /// # Errors
    /// `SHAPE` where the sizes differ; `LIMIT`, `CORRUPT` where a chunk does not decode, `OOM`; then nothing was changed.
    pub fn reshape(&mut self, shape: &Shape, options: &StoreOptions, limit: usize) -> Result<()> {
        let (size, _) = shape.size_and_bytes(self.dtype)?;
        if size != self.size() {
            return Err(Error::Reshape { size: self.size(), shape: shape.clone() });
        }
        if self.has_shape(shape) {
            return Ok(());
        }
        if let Some(chunks) = self.chunks() {
            let grid = self.grid_of(chunks);
            match same_runs(&grid, shape).filter(|chunk| Grid::new(shape, chunk, self.dtype).is_ok()) {
                Some(chunk_shape) => {
                    if let Some(chunks) = self.chunks_mut() {
                        chunks.chunk_shape = chunk_shape;
                    }
                }
                None => {
                    let chunks = self.other_runs(&grid, chunks, shape, options, limit)?;
                    if let Some(own) = self.chunks_mut() {
                        *own = chunks;
                    }
                }
            }
        }
        if let Body::Rich(rich) = &mut self.body {
            rich.memo = Memo::default();
        }
        self.shape = PackedShape::new(shape);
        Ok(())
    }

    /// The same elements in chunks for another shape.
    fn other_runs(
        &self,
        old: &Grid,
        chunks: &Chunks,
        shape: &Shape,
        options: &StoreOptions,
        limit: usize,
    ) -> Result<Chunks> {
        let itemsize = self.dtype.itemsize();
        let new = Grid::new(shape, &auto_chunk_shape(shape, self.dtype, options.chunk_bytes), self.dtype)?;
        let mut made = Chunks::new(&new, chunks.policy, chunks.fill);
        if new.is_empty() {
            return Ok(made);
        }
        // New chunks are runs; those that hold elements of stored ones, in order.
        let run = new.chunk(new.base()).size();
        let mut wanted: Vec<(u64, u64)> = Vec::new();
        if old.is_contiguous() {
            let steps = c_steps(&self.shape());
            for number in chunks.map.keys() {
                let place = old.seen(old.chunk(*number));
                let first: usize = place.offset.iter().zip(&steps).map(|(o, s)| o * *s as usize).sum();
                let last = first + place.size().max(1) - 1;
                let number_of = |flat: usize| new.chunk_of_run(flat).0.number;
                let (from, to) = (number_of(first), number_of(last));
                match wanted.last_mut() {
                    Some((_, end)) if from <= *end => *end = to.max(*end),
                    _ => wanted.push((from, to)),
                }
            }
        } else if !chunks.map.is_empty() {
            wanted.push((0, new.len() - 1));
        }
        let count: u128 = wanted.iter().map(|(from, to)| u128::from(to - from) + 1).sum();
        let worked = count.saturating_mul((run * itemsize) as u128);
        if worked > limit as u128 {
            let (what, unit) = ("the chunks to be made anew", "bytes");
            return Err(Error::Limit { what, given: worked, limit: limit as u128, unit });
        }
        let chooser = Chooser::unsampled(chunks.policy, self.dtype);
        let mut list = Vec::new();
        let mut elements = Vec::new();
        let steps = c_steps(shape);
        for number in wanted.into_iter().flat_map(|(from, to)| from..=to) {
            let place = new.chunk(number);
            let first = place.offset.iter().zip(&steps).map(|(o, s)| o * *s as usize).sum();
            let bytes = place.size() * itemsize;
            elements.clear();
            elements.try_reserve_exact(bytes).map_err(|_| Error::OutOfMemory { bytes })?;
            self.read_run(first, place.size(), &mut elements)?;
            // What holds the fill value everywhere takes nothing, whatever the codec.
            let fill = &chunks.fill[..itemsize];
            if elements.chunks_exact(itemsize).any(|element| element != fill) {
                list.push((number, Chunk::encode(&elements, &chooser)?));
            }
        }
        made.set_all(list);
        Ok(made)
    }

    /// An array of chunks with another's attributes.
    pub(super) fn of_chunks(dtype: Dtype, shape: &Shape, chunks: Chunks, like: &Array) -> Array {
        let mut array = Array::rich(dtype, shape, Storage::Chunked(chunks), Attributes::default());
        array.take_attributes_of(like);
        array
    }
}

/// The chunk shape with which the chunks of `grid` are those of an array of this shape, of the same size, in the same order.
fn same_runs(grid: &Grid, shape: &Shape) -> Option<Shape> {
    if grid.lead() > 0 || !grid.is_contiguous() {
        return None;
    }
    let mut chunk_shape = shape.clone();
    chunk_shape.dims_mut().iter_mut().for_each(|d| *d = (*d).max(1));
    if grid.len() <= 1 {
        return Some(chunk_shape);
    }
    let (own, cut) = (grid.stored_shape(), grid.chunk_shape());
    // Runs are of one length where nothing outside the axis that is cut repeats its ragged end.
    let axis = cut.iter().position(|c| *c != 1).unwrap_or(0);
    let outer: usize = own[..axis].iter().product();
    if outer != 1 && !own[axis].is_multiple_of(cut[axis]) {
        return None;
    }
    let mut run: usize = cut.iter().product();
    for axis in (0..shape.ndim()).rev() {
        let d = chunk_shape[axis];
        if run.is_multiple_of(d) {
            run /= d;
            continue;
        }
        // This axis is cut: the runs must come out even, unless nothing is outside.
        let outer: usize = shape[..axis].iter().product();
        if run > d || (outer != 1 && !d.is_multiple_of(run)) {
            return None;
        }
        chunk_shape.dims_mut()[axis] = run;
        run = 1;
    }
    (run == 1).then_some(chunk_shape)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nd::array::tests::{all, check_whole};
    use crate::nd::codec::Policy;
    use crate::nd::scalar::Scalar;
    use crate::nd::source::SliceSource;

    fn array(shape: &[usize], chunk: Option<&[usize]>, policy: Policy) -> Array {
        let shape = Shape::new(shape).unwrap();
        let bytes: Vec<u8> = (0..shape.checked_size().unwrap() as u32).flat_map(u32::to_le_bytes).collect();
        let chunk_shape = chunk.map(|c| Shape::new(c).unwrap());
        let options = StoreOptions { policy, chunk_shape, ..StoreOptions::default() };
        Array::from_source(Dtype::UInt32, &shape, &mut SliceSource::new(&bytes), &options).unwrap()
    }

    #[test]
    fn chunks_that_stay_runs_are_not_touched() {
        for (shape, chunk, to, want) in [
            (&[1000, 64][..], &[256, 64][..], &[64_000][..], Some(&[16_384][..])),
            (&[1000, 64], &[256, 64], &[500, 2, 64], Some(&[128, 2, 64])),
            (&[1000, 64], &[256, 64], &[1, 1000, 8, 8], Some(&[1, 256, 8, 8])),
            (&[1000, 64], &[256, 64], &[2, 500, 64], None), // 500 rows are not full chunks of 256
            (&[1024, 64], &[256, 64], &[2, 512, 64], Some(&[1, 256, 64])),
            (&[1000, 64], &[256, 64], &[64, 1000], None),
            (&[6, 1000], &[1, 500], &[6000], Some(&[500])),
            (&[6, 1000], &[1, 300], &[6000], None), // a ragged end in every row
            (&[6, 1000], &[6, 300], &[6000], None), // no runs
            (&[6, 1000], &[6, 1000], &[3, 2000], Some(&[3, 2000])),
        ] {
            let mut a = array(shape, Some(chunk), Policy::Raw);
            let before: Vec<u64> = a.chunks().unwrap().stored().map(|(_, c)| c.checksum()).collect();
            let bytes = all(&a);
            a.reshape(&Shape::new(to).unwrap(), &StoreOptions::default(), 1 << 20).unwrap();
            assert_eq!(all(&a), bytes, "{shape:?} to {to:?}");
            check_whole(&a);
            if let Some(want) = want {
                assert_eq!(&a.chunks().unwrap().chunk_shape()[..], want, "{shape:?} to {to:?}");
                assert_eq!(a.chunks().unwrap().stored().map(|(_, c)| c.checksum()).collect::<Vec<_>>(), before);
            }
        }
    }

    #[test]
    fn a_sparse_array_stays_sparse() {
        let wide = Shape::from([1 << 30, 1 << 10]);
        let options = StoreOptions::default();
        for policy in [Policy::default(), Policy::Raw] {
            let store = StoreOptions { policy, codec_given: true, ..options.clone() };
            let mut a = Array::filled(&wide, Scalar::of(2.5f32), &store).unwrap();
            let at = crate::nd::index::Index::parse(b"123456789,77").unwrap().resolve(&wide).unwrap();
            a.write(&at, &7f32.to_le_bytes(), &Shape::scalar(), 1 << 20).unwrap();
            a.reshape(&Shape::from([1 << 10, 3, (1 << 30) / 3 + 1]), &options, 1 << 20).unwrap_err();
            a.reshape(&Shape::from([1 << 13, 1 << 27]), &options, 1 << 20).unwrap();
            a.reshape(&Shape::from([1 << 38, 4]), &options, 1 << 20).unwrap();
            let flat = (123_456_789usize << 10) + 77;
            assert_eq!(a.element(flat).unwrap().number(), Scalar::of(7f32).number());
            assert_eq!(a.element(flat + 1).unwrap().number(), Scalar::of(2.5f32).number());
            assert!(a.chunks().unwrap().stored().len() <= 2);
        }
    }

    proptest! {
        #[test]
        fn elements_keep_their_order(
            dims in proptest::collection::vec(1usize..7, 1..4),
            chunk in proptest::collection::vec(1usize..7, 3),
            swap in 0usize..6,
            policy in prop::sample::select(Policy::KINDS),
        ) {
            let total: usize = dims.iter().product();
            let scale = 256; // no tiny chunks
            let shape: Vec<usize> = dims.iter().copied().chain([scale]).collect();
            let mut cut: Vec<usize> = chunk[..dims.len()].to_vec();
            cut.push(scale);
            let mut a = array(&shape, Some(&cut), policy);
            let bytes = all(&a);
            let to = match swap {
                0 => vec![total * scale],
                1 => vec![scale, total],
                2 => vec![total * 4, 8, 8],
                3 => shape.iter().rev().copied().collect(),
                4 => vec![1, total * 2, 1, scale / 2],
                _ => vec![total * 16, 16],
            };
            let small = StoreOptions { chunk_bytes: 4096, ..StoreOptions::default() };
            a.reshape(&Shape::new(&to).unwrap(), &small, 1 << 20).unwrap();
            prop_assert_eq!(all(&a), bytes);
            check_whole(&a);
        }
    }
}
