//! Longer or shorter axes: elements keep their positions, as in HDF5 and Zarr; what is cut off goes, and what is new
//! holds one value.
//!
//! Chunks that lie the same in both shapes are taken over as they are, and new ones are not stored at all where the value
//! is the array's fill value: an array that becomes huge costs nothing. Only chunks at the edges are made anew.

use super::{Array, Chunks, StoreOptions};
use crate::nd::array::Block;
use crate::nd::chunk::Chunk;
use crate::nd::codec::{fill_with, Chooser, Encoding};
use crate::nd::error::{Error, Result};
use crate::nd::grid::{c_steps, copy_region, ChunkBox, Grid, PerAxis};
use crate::nd::index::{AxisRange, Basic, Selection};
use crate::nd::memory;
use crate::nd::scalar::Scalar;
use crate::nd::shape::Shape;

/// Absent chunks that may become stored ones, because the new value is another than the array's fill value.
const MAX_CONSTANTS: usize = 1 << 20;

impl Array {
    /// This array with axes of other lengths; `fill` is what new elements hold. Where chunks must be made anew they are as
    /// `options` say, and `limit` is the most bytes of elements to go through.
    ///
    /// # Errors
    /// `SHAPE` for another rank; `LIMIT`, `CORRUPT` where a chunk does not decode, `OOM`.
    pub fn resized(&self, shape: &Shape, fill: Scalar, options: &StoreOptions, limit: usize) -> Result<Array> {
        let own = self.shape();
        if own.ndim() != shape.ndim() {
            return Err(Error::Resize { from: own, to: shape.clone() });
        }
        let (_, nbytes) = shape.size_and_bytes(self.dtype)?;
        let Some(chunks) = self.chunks() else { return self.copied_into(shape, fill, options) };
        let grid = self.grid_of(chunks);
        // One chunk says nothing about how large chunks are to be. Runs across rows of another length would be no runs.
        let changes_rows = own.iter().zip(shape.iter()).skip(1).any(|(a, b)| a != b);
        let is_small = nbytes.max(self.nbytes()) <= limit;
        if grid.len() <= 1 || (grid.is_contiguous() && changes_rows && is_small) {
            return self.copied_into(shape, fill, options);
        }
        let lead = if shape[0] == 0 { 0 } else { chunks.lead };
        match Grid::begun(shape, &chunks.chunk_shape, self.dtype, lead, 0) {
            Ok(new) => self.in_same_chunks(chunks, &grid, &new, shape, fill, limit),
            Err(Error::ChunkShape { .. }) if is_small => self.copied_into(shape, fill, options),
            Err(e) => Err(e),
        }
    }

    /// A new array with this one's elements written into it, block by block.
    fn copied_into(&self, shape: &Shape, fill: Scalar, options: &StoreOptions) -> Result<Array> {
        let mut array = Array::filled(shape, fill, &self.store_options(options))?;
        array.take_attributes_of(self);
        let (itemsize, element) = (self.dtype.itemsize(), fill.to_le_bytes());
        let mut cut = Vec::new();
        self.blocks(|place, block| {
            let counts: PerAxis<usize> = place
                .shape
                .iter()
                .zip(place.offset.iter().zip(shape.iter()))
                .map(|(len, (offset, d))| (*len).min(d.saturating_sub(*offset)))
                .collect();
            if counts.contains(&0) {
                return Ok(());
            }
            let counts = Shape::new(&counts)?;
            let range = |(start, len): (&usize, &usize)| AxisRange { start: *start, step: 1, len: *len };
            let axes = place.offset.iter().zip(counts.iter()).map(range).collect();
            let selection = Selection::Basic(Basic { axes, out_shape: counts.clone() });
            match block {
                Block::Fill(same) if *same == element[..itemsize] => Ok(()),
                Block::Fill(other) => array.write(&selection, other, &Shape::scalar(), usize::MAX).map(drop),
                Block::Elements(elements) => {
                    let bytes = counts.iter().product::<usize>() * itemsize;
                    let mut part = elements;
                    if bytes < elements.len() {
                        cut.resize(bytes, 0);
                        let steps = c_steps(&place.shape);
                        copy_region(elements, 0, &steps, &mut cut, 0, &c_steps(&counts), &counts, itemsize);
                        part = &cut;
                    }
                    array.write(&selection, part, &counts, usize::MAX).map(drop)
                }
            }
        })?;
        Ok(array)
    }

    /// The chunks of `new`, which has chunks of the same shape at the same places.
    fn in_same_chunks(
        &self,
        chunks: &Chunks,
        old: &Grid,
        new: &Grid,
        shape: &Shape,
        fill: Scalar,
        limit: usize,
    ) -> Result<Array> {
        let itemsize = self.dtype.itemsize();
        let element = fill.to_le_bytes();
        let grows = self.shape().iter().zip(shape.iter()).any(|(a, b)| b > a);
        let same_fill = !grows || chunks.fill[..itemsize] == element[..itemsize];
        let mut made = Chunks::new(new, chunks.policy, if same_fill { chunks.fill } else { element });
        made.chunk_shape = chunks.chunk_shape.clone();
        made.lead = new.lead();
        let chooser = Chooser::unsampled(chunks.policy, self.dtype);
        let new_fill = &element[..itemsize];
        let mut worked = 0usize;
        // A chunk of the old grid as one of the new: nothing where it is cut off, or holds what absent ones do.
        let mut carry = |from: &ChunkBox, stored: Option<&Chunk>| -> Result<Option<(u64, Chunk)>> {
            let counts = new.counts();
            let place: PerAxis<usize> =
                from.offset.iter().zip(old.chunk_lengths()).map(|(offset, length)| offset / length.max(&1)).collect();
            if place.iter().zip(counts).any(|(p, n)| p >= n) {
                return Ok(None);
            }
            let to = new.chunk(new.number(&place));
            if to.shape == from.shape {
                return match stored {
                    Some(chunk) => Ok(Some((to.number, chunk.clone()))),
                    None if same_fill => Ok(None),
                    None => Ok(Some((to.number, Chunk::constant(&chunks.fill[..itemsize])?))),
                };
            }
            if stored.is_none() && same_fill {
                return Ok(None);
            }
            let bytes = to.size() * itemsize;
            worked = worked.saturating_add(bytes);
            if worked > limit {
                let (what, unit) = ("the chunks to be made anew", "bytes");
                return Err(Error::Limit { what, given: worked as u128, limit: limit as u128, unit });
            }
            let mut buffer = memory::buffer_zeroed(bytes)?;
            let elements = memory::bytes_mut(&mut buffer, bytes);
            fill_with(new_fill, elements);
            let both: PerAxis<usize> = from.shape.iter().zip(&to.shape).map(|(a, b)| *a.min(b)).collect();
            let (from_steps, to_steps) = (c_steps(&from.shape), c_steps(&to.shape));
            match stored {
                Some(chunk) if chunk.encoding() != Encoding::Fill => {
                    chunk.with_elements(from.number, from.size() * itemsize, itemsize, |own| {
                        copy_region(own, 0, &from_steps, elements, 0, &to_steps, &both, itemsize);
                        Ok(())
                    })?;
                }
                constant => {
                    let one = constant.map_or(&chunks.fill[..itemsize], |c| c.stored_bytes());
                    let still: PerAxis<isize> = from_steps.iter().map(|_| 0).collect();
                    copy_region(one, 0, &still, elements, 0, &to_steps, &both, itemsize);
                }
            }
            Ok(Some((to.number, Chunk::encode(elements, &chooser)?)))
        };
        let mut list = Vec::new();
        if same_fill {
            for (number, chunk) in &chunks.map {
                list.extend(carry(&old.chunk(*number), Some(chunk))?);
            }
        } else {
            // Absent chunks hold the old fill value: they become constants.
            let kept = old.counts().iter().zip(new.counts()).map(|(a, b)| *a.min(b) as u128).product::<u128>();
            if kept > (chunks.map.len() + MAX_CONSTANTS) as u128 {
                return Err(Error::Limit {
                    what: "keeping the array's own fill value",
                    given: kept,
                    limit: MAX_CONSTANTS as u128,
                    unit: "chunks",
                });
            }
            for place in old.chunks() {
                list.extend(carry(&place, chunks.map.get(&place.number))?);
            }
        }
        made.set_all(list);
        made.repay();
        Ok(Array::of_chunks(self.dtype, shape, made, self))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nd::array::tests::{all, check_whole};
    use crate::nd::codec::Policy;
    use crate::nd::dtype::Dtype;
    use crate::nd::source::SliceSource;

    /// What it must be, element by element.
    fn model(from: &[usize], bytes: &[u16], to: &[usize], fill: u16) -> Vec<u16> {
        let (from_steps, to_steps) = (c_steps(from), c_steps(to));
        (0..to.iter().product::<usize>())
            .map(|flat| {
                let at: Vec<usize> = to_steps.iter().zip(to).map(|(s, d)| flat / *s as usize % d).collect();
                match at.iter().zip(from).all(|(i, d)| i < d) {
                    true => bytes[at.iter().zip(&from_steps).map(|(i, s)| i * *s as usize).sum::<usize>()],
                    false => fill,
                }
            })
            .collect()
    }

    proptest! {
        #[test]
        fn elements_keep_their_positions(
            from in proptest::collection::vec(0usize..9, 1..4),
            to in proptest::collection::vec(0usize..9, 3),
            chunk in proptest::collection::vec(1usize..9, 3),
            chunked in any::<bool>(),
            fill in 0u16..2,
            drop_rows in 0usize..4,
            policy in prop::sample::select(Policy::KINDS),
        ) {
            let scale = 512; // no tiny chunks
            let mut from = from;
            let mut cut = chunk[..from.len()].to_vec();
            let mut to = to[..from.len()].to_vec();
            from.push(scale);
            cut.push(scale);
            to.push(if fill == 0 { scale } else { scale - 7 });
            let size: usize = from.iter().product();
            let mut bytes: Vec<u16> = (0..size).map(|i| if i / scale % 3 == 0 { 0 } else { i as u16 }).collect();
            let chunk_shape = chunked.then(|| Shape::new(&cut).unwrap());
            let options = StoreOptions { policy, chunk_shape, ..StoreOptions::default() };
            let mut array = Array::from_source(
                Dtype::UInt16,
                &Shape::new(&from).unwrap(),
                &mut SliceSource::new(bytemuck::cast_slice(&bytes)),
                &options,
            ).unwrap();
            // Begun inside its first chunks.
            let keep = from[0] - drop_rows.min(from[0]);
            let mut none = from.clone();
            none[0] = 0;
            array.append(0, &[], &Shape::new(&none).unwrap(), Some(keep), &StoreOptions::default(), 1 << 20).unwrap();
            bytes.drain(..(from[0] - keep) * (size / from[0].max(1)));
            from[0] = keep;
            let small = StoreOptions { chunk_bytes: 4096, ..StoreOptions::default() };
            let fill = fill * 3;
            let resized =
                array.resized(&Shape::new(&to).unwrap(), Scalar::of(fill), &small, 1 << 20).unwrap();
            let want = model(&from, &bytes, &to, fill);
            prop_assert_eq!(&all(&resized)[..], bytemuck::cast_slice::<u16, u8>(&want));
            check_whole(&resized);
            check_whole(&array);
        }
    }

    #[test]
    fn an_array_that_becomes_huge_costs_nothing() {
        let options = StoreOptions::default();
        let array = Array::filled(&Shape::from([1000, 1000]), Scalar::of(0f64), &options).unwrap();
        let huge = array.resized(&Shape::from([1 << 40, 1000]), Scalar::of(0f64), &options, 1 << 20).unwrap();
        assert_eq!((huge.stored_bytes(), huge.size()), (0, 1000 << 40));
        let wide = huge.resized(&Shape::from([1 << 40, 1 << 18]), Scalar::of(0f64), &options, 1 << 20).unwrap();
        assert_eq!(wide.stored_bytes(), 0);
        let error = huge.resized(&Shape::from([1 << 41, 1000]), Scalar::of(1f64), &options, 1 << 20).unwrap_err();
        assert_eq!(error.code(), "LIMIT");
        let back = wide.resized(&Shape::from([1, 2]), Scalar::of(0f64), &options, 1 << 20).unwrap();
        assert_eq!(all(&back), [0; 16]);
        let plain = Array::filled(&Shape::from([2]), Scalar::of(7u8), &options).unwrap();
        let long = plain.resized(&Shape::from([1 << 50]), Scalar::of(9u8), &options, 1 << 20).unwrap();
        assert_eq!(long.element(1).unwrap().number(), Scalar::of(7u8).number());
        assert_eq!(long.element(1 << 49).unwrap().number(), Scalar::of(9u8).number());
    }
}
