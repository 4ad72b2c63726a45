//! The same elements as another dtype: chunk by chunk, each in its place.

use super::{Array, Chunks, StoreOptions};
use crate::nd::chunk::Chunk;
use crate::nd::codec::{Chooser, Encoding};
use crate::nd::dtype::Dtype;
use crate::nd::error::{Error, Result};
use crate::nd::grid::{auto_chunk_shape, Grid, LEAST_TARGET};
use crate::nd::kernels::cast::cast;
use crate::nd::memory;
use crate::nd::source::SliceSource;

impl Array {
    /// This array with every element cast, whatever is lost; the shape, attributes and codec stay, and the chunks where
    /// they suit the dtype. `limit` is the most bytes of elements of chunks to go through.
    ///
    /// # Errors
    /// `LIMIT`, `CORRUPT` where a chunk does not decode, `OOM`.
    pub fn astype(&self, dtype: Dtype, options: &StoreOptions, limit: usize) -> Result<Array> {
        let shape = self.shape();
        let (_, nbytes) = shape.size_and_bytes(dtype)?;
        let refuse = |given: u128| {
            let (what, unit) = ("the elements to be cast", "bytes");
            Err(Error::Limit { what, given, limit: limit as u128, unit })
        };
        let Some(chunks) = self.chunks() else {
            if nbytes > limit {
                return refuse(nbytes as u128);
            }
            let mut buffer = memory::buffer_zeroed(nbytes)?;
            let out = memory::bytes_mut(&mut buffer, nbytes);
            cast(self.dtype, self.plain_bytes().unwrap_or_default(), dtype, out);
            let mut array =
                Array::from_source(dtype, &shape, &mut SliceSource::new(out), &self.store_options(options))?;
            array.take_attributes_of(self);
            return Ok(array);
        };
        let old = self.grid_of(chunks);
        let grid = match Grid::begun(&shape, &chunks.chunk_shape, dtype, chunks.lead, chunks.base) {
            Ok(grid) => grid,
            // Chunks that would be too large or too small: first others, then the cast.
            Err(Error::ChunkShape { .. } | Error::Limit { .. }) => {
                if self.nbytes().max(nbytes) > limit {
                    return refuse(self.nbytes().max(nbytes) as u128);
                }
                // Of bytes enough for the longer elements that they are not too few of the shorter ones.
                let (from, to) = (self.dtype.itemsize(), dtype.itemsize());
                let longer = if to > from { dtype } else { self.dtype };
                let least = LEAST_TARGET * longer.itemsize() / from.min(to);
                let target = chunks.policy.chunk_bytes(options.chunk_bytes).max(least);
                let chunk = auto_chunk_shape(&shape, longer, target);
                return self.cast_into(&Grid::new(&shape, &chunk, dtype)?, chunks, dtype);
            }
            Err(e) => return Err(e),
        };
        let (from, to) = (self.dtype.itemsize(), dtype.itemsize());
        let worked = chunks.map.iter().filter(|(_, c)| c.encoding() != Encoding::Fill);
        let worked = worked.map(|(n, _)| (old.chunk(*n).size() * from.max(to)) as u128).sum::<u128>();
        if worked > limit as u128 {
            return refuse(worked);
        }
        let mut made = Chunks::new(&grid, chunks.policy, cast_fill(self.dtype, &chunks.fill, dtype));
        (made.chunk_shape, made.lead, made.base) = (chunks.chunk_shape.clone(), chunks.lead, chunks.base);
        let chooser = Chooser::unsampled(chunks.policy, dtype);
        let mut list = Vec::with_capacity(chunks.map.len());
        let mut out = Vec::new();
        for (number, chunk) in &chunks.map {
            if chunk.encoding() == Encoding::Fill {
                let mut element = [0; 16];
                element[..from].copy_from_slice(chunk.stored_bytes());
                list.push((*number, Chunk::constant(&cast_fill(self.dtype, &element, dtype)[..to])?));
                continue;
            }
            let size = grid.chunk(*number).size();
            let cast_chunk = chunk.with_elements(*number, size * from, from, |elements| {
                cast_elements(self.dtype, elements, dtype, &mut out)?;
                Chunk::encode(memory::bytes(&out, size * to), &chooser)
            })?;
            list.push((*number, cast_chunk));
        }
        made.set_all(list);
        Ok(Array::of_chunks(dtype, &shape, made, self))
    }

    /// [`Array::astype`] into the chunks of another grid, which are runs.
    fn cast_into(&self, grid: &Grid, chunks: &Chunks, dtype: Dtype) -> Result<Array> {
        let (shape, from, to) = (self.shape(), self.dtype.itemsize(), dtype.itemsize());
        let fill = cast_fill(self.dtype, &chunks.fill, dtype);
        let mut made = Chunks::new(grid, chunks.policy, fill);
        let chooser = Chooser::unsampled(chunks.policy, dtype);
        let (mut list, mut out, mut aligned, mut run, mut first) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), 0);
        for place in grid.chunks() {
            let size = place.size();
            run.clear();
            run.try_reserve_exact(size * from).map_err(|_| Error::OutOfMemory { bytes: size * from })?;
            self.read_run(first, size, &mut run)?;
            first += size;
            aligned.resize(memory::words_for(run.len()).max(aligned.len()), 0);
            memory::bytes_mut(&mut aligned, run.len()).copy_from_slice(&run);
            cast_elements(self.dtype, memory::bytes(&aligned, run.len()), dtype, &mut out)?;
            let elements = memory::bytes(&out, size * to);
            if elements.chunks_exact(to).any(|element| *element != fill[..to]) {
                list.push((place.number, Chunk::encode(elements, &chooser)?));
            }
        }
        made.set_all(list);
        Ok(Array::of_chunks(dtype, &shape, made, self))
    }
}

/// Casts aligned elements into a buffer that grows to what they need.
fn cast_elements(from: Dtype, elements: &[u8], to: Dtype, out: &mut Vec<u64>) -> Result<()> {
    let bytes = elements.len() / from.itemsize() * to.itemsize();
    let words = memory::words_for(bytes);
    if words > out.len() {
        out.try_reserve_exact(words - out.len()).map_err(|_| Error::OutOfMemory { bytes })?;
        out.resize(words, 0);
    }
    cast(from, elements, to, memory::bytes_mut(out, bytes));
    Ok(())
}

/// One element cast.
fn cast_fill(from: Dtype, fill: &[u8; 16], to: Dtype) -> [u8; 16] {
    let (mut source, mut target) = ([0u64; 2], [0u64; 2]);
    memory::bytes_mut(&mut source, 16).copy_from_slice(fill);
    cast(from, memory::bytes(&source, from.itemsize()), to, memory::bytes_mut(&mut target, to.itemsize()));
    let mut out = [0; 16];
    out.copy_from_slice(memory::bytes(&target, 16));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nd::array::tests::{all, check_whole};
    use crate::nd::codec::Policy;
    use crate::nd::scalar::Scalar;
    use crate::nd::shape::Shape;

    #[test]
    fn every_pair_of_dtypes_in_any_storage() {
        let shape = Shape::from([40, 3, 16]);
        let chunks = [None, Some(Shape::from([7, 3, 16])), Some(Shape::from([7, 2, 9])), Some(shape.clone())];
        for from in Dtype::ALL.iter().copied() {
            let bytes: Vec<u8> = (0..40 * 3 * 16usize)
                .flat_map(|i| {
                    let n = crate::nd::scalar::Number::Int(if i < 500 { 1 } else { (i % 2) as i128 });
                    Scalar::new(n, from).unwrap().to_le_bytes()[..from.itemsize()].to_vec()
                })
                .collect();
            for chunk_shape in &chunks {
                let policy = if chunk_shape.is_some() { Policy::default() } else { Policy::Raw };
                let options = StoreOptions { chunk_shape: chunk_shape.clone(), policy, ..StoreOptions::default() };
                let array = Array::from_source(from, &shape, &mut SliceSource::new(&bytes), &options).unwrap();
                for to in Dtype::ALL.iter().copied() {
                    let got = array.astype(to, &StoreOptions::default(), 1 << 20).unwrap();
                    let n = shape.checked_size().unwrap();
                    let mut source = memory::buffer_from(&bytes).unwrap();
                    let mut want = memory::buffer_zeroed(n * to.itemsize()).unwrap();
                    let source = memory::bytes_mut(&mut source, bytes.len());
                    cast(from, source, to, memory::bytes_mut(&mut want, n * to.itemsize()));
                    assert_eq!(all(&got), memory::bytes(&want, n * to.itemsize()), "{from} to {to}, {chunk_shape:?}");
                    check_whole(&got);
                }
            }
        }
    }

    #[test]
    fn small_chunks_never_refuse_a_cast() {
        let options = StoreOptions { chunk_bytes: LEAST_TARGET, ..StoreOptions::default() };
        for shape in [&[18, 7, 27, 26][..], &[43, 1583], &[100, 360], &[1 << 16], &[3000, 17, 2]] {
            let shape = Shape::new(shape).unwrap();
            for from in Dtype::ALL.iter().copied() {
                let one = Scalar::new(crate::nd::scalar::Number::Int(1), from).unwrap();
                let array = Array::filled(&shape, one, &options).unwrap();
                for to in Dtype::ALL.iter().copied() {
                    let got = array.astype(to, &options, 1 << 30).unwrap();
                    assert_eq!((got.dtype(), got.shape()), (to, shape.clone()), "{from} to {to}");
                    got.verify().unwrap();
                }
            }
        }
    }

    #[test]
    fn a_sparse_array_stays_sparse_and_chunks_change_where_they_must() {
        let options = StoreOptions::default();
        let sparse = Array::filled(&Shape::from([1 << 40]), Scalar::of(2.5f64), &options).unwrap();
        let cast = sparse.astype(Dtype::Int8, &options, 1 << 20).unwrap();
        assert_eq!(cast.element(1 << 39).unwrap().number(), Scalar::of(2i8).number());
        assert_eq!(cast.stored_bytes(), 0);
        let huge = Array::filled(&Shape::from([1 << 60]), Scalar::of(2u8), &options).unwrap();
        assert_eq!(huge.astype(Dtype::Float64, &options, 1 << 20).unwrap_err().code(), "LIMIT");
        // A hundred chunks of 1,024 bytes, and one of 16 MiB.
        for (shape, chunk, from, to) in [
            (&[100, 256][..], &[1, 256][..], Scalar::of(1f32), Dtype::Bool),
            (&[2, 1 << 24], &[1, 1 << 24], Scalar::of(1u8), Dtype::Float64),
        ] {
            let store = StoreOptions { chunk_shape: Some(Shape::new(chunk).unwrap()), ..options.clone() };
            let array = Array::filled(&Shape::new(shape).unwrap(), from, &store).unwrap();
            let got = array.astype(to, &options, 1 << 30).unwrap();
            assert_eq!((got.dtype(), got.shape(), got.stored_bytes()), (to, array.shape(), 0));
            got.verify().unwrap();
        }
    }
}
