//! Storing an array anew: the same elements under another codec, in other chunks.

use std::collections::BTreeSet;

use super::memo::Memo;
use super::summaries::Summaries;
use super::{encode, Array, Body, Chunks, Rich, Storage, StoreOptions};
use crate::nd::chunk::Chunk;
use crate::nd::codec::{Chooser, Encoding};
use crate::nd::error::{Error, Result};
use crate::nd::grid::Grid;
use crate::nd::index::{AxisRange, Basic, Selection};
use crate::nd::interrupt;
use crate::nd::memory;
use crate::nd::parallel;
use crate::nd::shape::Shape;

/// What a chunk costs beside its elements, where only its number is looked at.
const CHUNK_WORK: usize = 256;

impl Array {
    /// The same elements and attributes, stored as `options` say; chunk by chunk, and only those that are stored.
    ///
    /// Where `options` name no chunk shape, chunks that have the automatic shape of the array's codec get that of the new
    /// one, and all others keep theirs. Decoding and encoding more than `limit` bytes of elements is refused.
    ///
    /// # Errors
    /// `SHAPE` or `LIMIT` for a chunk shape that does not fit, `LIMIT` for too much work, `CORRUPT` where a chunk does not
    /// decode, `OOM`.
    pub fn recoded(&self, options: &StoreOptions, limit: usize) -> Result<Array> {
        let (shape, dtype) = (self.shape(), self.dtype);
        let options = &StoreOptions { chunk_shape: self.kept_chunk_shape(options, &shape), ..options.clone() };
        let storage = if options.keeps_plain(self.nbytes()) {
            check_work(self.nbytes(), limit)?;
            let mut bytes = memory::bytes_with_capacity(self.nbytes())?;
            self.read_run(0, self.size(), &mut bytes)?;
            Storage::Plain(memory::buffer_from(&bytes)?)
        } else {
            let chooser = Chooser::new(options.policy, dtype, self.nbytes(), |start, len| self.sample(start, len));
            let mut grid = options.grid(dtype, &shape)?;
            if options.chunk_shape.is_none() && chooser.keeps_raw() {
                grid = options.raw_grid(dtype, &shape, grid)?;
            }
            Storage::Chunked(self.rechunked(&grid, &chooser, options, limit)?)
        };
        let rich = Rich {
            storage,
            attributes: self.attributes().clone(),
            memo: Memo::of_digest(self.known_digest()),
            summaries: Summaries::default(),
            parts_missing: 0,
        };
        Ok(Array { shape: self.shape.clone(), dtype, body: Body::Rich(Box::new(rich)) })
    }

    /// The chunk shape that is asked for, or else the array's own unless it is an automatic one.
    fn kept_chunk_shape(&self, options: &StoreOptions, shape: &Shape) -> Option<Shape> {
        if options.chunk_shape.is_some() || options.chunk_auto {
            return options.chunk_shape.clone();
        }
        let chunks = self.chunks()?;
        let before = StoreOptions { policy: chunks.policy, ..options.clone() };
        let small = before.grid(self.dtype, shape).ok()?;
        let long = before.raw_grid(self.dtype, shape, small.clone()).ok()?;
        let automatic = [small, long].iter().any(|grid| *grid.chunk_shape() == chunks.chunk_shape);
        (!automatic).then(|| chunks.chunk_shape.clone())
    }

    /// Bytes of the array, for the chooser to look at. What does not decode is no sample.
    fn sample(&self, start: usize, len: usize) -> Option<Vec<u8>> {
        let itemsize = self.dtype.itemsize();
        let mut bytes = Vec::new();
        self.read_run(start / itemsize, len / itemsize, &mut bytes).ok()?;
        Some(bytes)
    }

    fn rechunked(&self, grid: &Grid, chooser: &Chooser, options: &StoreOptions, limit: usize) -> Result<Chunks> {
        let itemsize = self.dtype.itemsize();
        let fill = self.chunks().map_or([0; 16], |c| c.fill);
        let mut new = Chunks::new(grid, options.policy, fill);
        let touched = self.touched(grid, limit)?;
        let chunk_bytes = grid.chunk_shape().len_or_max().saturating_mul(itemsize);
        let work = if chooser.keeps_raw() { 0 } else { touched.len().saturating_mul(chunk_bytes) };
        let helpers = parallel::helpers(work.min(self.nbytes()), encode::SHARE);
        let make = |i: usize| {
            interrupt::check()?;
            let number = touched[i];
            if self.is_one_element(grid, number) {
                let element = self.chunks().and_then(|c| c.map.get(&number)).map(Chunk::stored_bytes);
                return Ok((number, Chunk::constant(element.unwrap_or(&fill[..itemsize]))?));
            }
            let place = grid.chunk(number);
            let nbytes = place.size() * itemsize;
            let axes = place.offset.iter().zip(&place.shape);
            let axes = axes.map(|(&start, &len)| AxisRange { start, step: 1, len }).collect();
            let all = Selection::Basic(Basic { axes, out_shape: Shape::new(&place.shape)? });
            let mut elements = memory::buffer_zeroed(nbytes)?;
            let bytes = memory::bytes_mut(&mut elements, nbytes);
            self.read_into(&all, bytes)?;
            Ok((number, Chunk::encode(bytes, chooser)?))
        };
        let mut list = Vec::with_capacity(touched.len());
        parallel::in_order(touched.len(), helpers.count(), make, |chunk| {
            list.push(chunk);
            Ok(())
        })?;
        new.set_all(list);
        Ok(new)
    }

    /// Whether a chunk has the same place in both grids and holds one element.
    fn is_one_element(&self, grid: &Grid, number: u64) -> bool {
        self.chunks().is_some_and(|c| {
            c.has_grid(grid) && c.map.get(&number).is_some_and(|chunk| chunk.encoding() == Encoding::Fill)
        })
    }

    /// The chunks of another grid that lie over stored elements, in order.
    fn touched(&self, grid: &Grid, limit: usize) -> Result<Vec<u64>> {
        let itemsize = self.dtype.itemsize();
        let Some(chunks) = self.chunks() else {
            check_work(self.nbytes(), limit)?;
            return Ok(if grid.is_empty() { Vec::new() } else { (0..grid.len()).collect() });
        };
        let mut work = 0usize;
        let mut add = |number: u64, encoded: bool| {
            let bytes = if encoded { grid.chunk(number).size() * itemsize } else { 0 };
            work = work.saturating_add(bytes.max(CHUNK_WORK));
            check_work(work, limit)
        };
        if chunks.has_grid(grid) {
            for (number, chunk) in &chunks.map {
                add(*number, chunk.encoding() != Encoding::Fill)?;
            }
            return Ok(chunks.map.keys().copied().collect());
        }
        let old = self.grid_of(chunks);
        let mut touched = BTreeSet::new();
        for number in chunks.map.keys() {
            let place = old.seen(old.chunk(*number));
            let axes: Vec<AxisRange> =
                place.offset.iter().zip(&place.shape).map(|(&start, &len)| AxisRange { start, step: 1, len }).collect();
            grid.parts(&axes, |part| {
                if touched.insert(part.chunk.number) {
                    add(part.chunk.number, true)?;
                }
                Ok(())
            })?;
        }
        Ok(touched.into_iter().collect())
    }
}

/// Refuses more work than the limit.
fn check_work(work: usize, limit: usize) -> Result<()> {
    if work > limit {
        let (what, unit) = ("storing the array anew", "bytes");
        return Err(Error::Limit { what, given: work as u128, limit: limit as u128, unit });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nd::codec::{Compression, Policy};
    use crate::nd::dtype::Dtype;
    use crate::nd::scalar::Scalar;
    use crate::nd::source::SliceSource;

    fn array(dtype: Dtype, shape: &[usize], options: &StoreOptions) -> Array {
        let shape = Shape::new(shape).unwrap();
        let (_, nbytes) = shape.size_and_bytes(dtype).unwrap();
        let mut bytes: Vec<u8> = (0..nbytes).map(|i| (i / 7 % 11) as u8).collect();
        if dtype == Dtype::Bool {
            bytes.iter_mut().for_each(|b| *b &= 1);
        }
        let mut array = Array::from_source(dtype, &shape, &mut SliceSource::new(&bytes), options).unwrap();
        array.attributes_mut().set(vec![(b"unit", "\"m\"".to_owned())]).unwrap();
        array
    }

    fn same(a: &Array, b: &Array) {
        assert_eq!((a.dtype(), a.shape(), a.attributes()), (b.dtype(), b.shape(), b.attributes()));
        assert_eq!(a.digest(), b.digest());
        let chunks = b.chunks();
        assert_eq!(
            b.stored_bytes(),
            chunks.map_or(b.nbytes(), |c| c.stored().map(|(_, c)| c.stored_bytes().len()).sum())
        );
        b.verify().unwrap();
    }

    #[test]
    fn every_codec_and_chunk_shape_keeps_the_elements() {
        for dtype in Dtype::ALL {
            for shape in [&[][..], &[0, 3], &[5], &[40, 33], &[9, 10, 11]] {
                let small = StoreOptions { chunk_bytes: 4096, inline_bytes: 64, ..StoreOptions::default() };
                let from = array(*dtype, shape, &small);
                for policy in Policy::KINDS {
                    let boxes = Shape::new(&shape.iter().map(|d| d / 2 + 1).collect::<Vec<_>>()).unwrap();
                    for chunk_shape in [None, Some(boxes)] {
                        let options = StoreOptions { policy: *policy, chunk_shape, codec_given: true, ..small.clone() };
                        let to = from.recoded(&options, 1 << 20).unwrap();
                        same(&from, &to);
                        let back = to.recoded(&small, 1 << 20).unwrap();
                        same(&from, &back);
                    }
                }
            }
        }
    }

    #[test]
    fn automatic_chunks_stay_automatic_and_others_stay() {
        let options = StoreOptions::default();
        let size = StoreOptions { policy: Policy::Auto(Compression::Size), ..options.clone() };
        let small = array(Dtype::Int32, &[600, 1000], &options);
        let chunk = |array: &Array| array.chunks().unwrap().chunk_shape().clone();
        let large = small.recoded(&size, 1 << 30).unwrap();
        assert!(chunk(&large)[0] > chunk(&small)[0]);
        assert_eq!(chunk(&large.recoded(&options, 1 << 30).unwrap()), chunk(&small));
        let own = StoreOptions { chunk_shape: Some(Shape::from([100, 100])), ..options.clone() };
        let own = array(Dtype::Int32, &[600, 1000], &own).recoded(&size, 1 << 30).unwrap();
        assert_eq!(chunk(&own), Shape::from([100, 100]));
    }

    #[test]
    fn what_stores_nothing_takes_no_work() {
        let options = StoreOptions { chunk_shape: Some(Shape::from([1024, 1024])), ..StoreOptions::default() };
        let shape = Shape::from([1_000_000, 1_000_000]);
        let mut huge = Array::filled(&shape, Scalar::of(2.0f64), &options).unwrap();
        let one = Selection::Basic(Basic {
            axes: [AxisRange { start: 5000, step: 1, len: 1 }; 2].into_iter().collect(),
            out_shape: Shape::from([1, 1]),
        });
        huge.write(&one, &3.0f64.to_le_bytes(), &Shape::scalar(), 1 << 30).unwrap();
        let other = StoreOptions { chunk_shape: Some(Shape::from([500, 300])), ..options.clone() };
        let to = huge.recoded(&other, 32 << 20).unwrap();
        assert_eq!(to.chunks().unwrap().stored().len(), 1, "the others hold the fill value");
        assert_eq!(to.element(5000 * 1_000_000 + 5000).unwrap().number(), Scalar::of(3.0f64).number());
        assert_eq!(to.element(7).unwrap().number(), Scalar::of(2.0f64).number());
        let refused = huge.recoded(&other, 1 << 20).unwrap_err().to_string();
        assert!(refused.starts_with("LIMIT storing the array anew"), "{refused}");
    }
}
