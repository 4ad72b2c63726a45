//! Blocks: an array's elements as kernels see them, in order.
//!
//! A block is a chunk, or a part of a long one. Where long runs are cut depends on dtype and shape alone, never on how chunks
//! are kept: so the grouping of a sum, and with it the last bit, is the same for every codec.

use smallvec::SmallVec;

use super::Array;
use crate::nd::dtype::Dtype;
use crate::nd::error::Result;
use crate::nd::grid::{auto_chunk_shape, ChunkBox, Grid, PerAxis};
use crate::nd::shape::Shape;

/// A block of an array as kernels see it.
#[derive(Debug)]
pub enum Block<'a> {
    /// Its elements, C order, at any address.
    Elements(&'a [u8]),
    /// One element that stands for all of them.
    Fill(&'a [u8]),
}

/// Longer runs of elements are handed to kernels in blocks of the shape that encoded chunks of the default size have: so the
/// grouping of a sum, and with it the last bit, does not depend on how chunks are kept.
const BLOCK_BYTES: usize = 64 << 10;

impl Array {
    /// Calls `f` with each block's place and elements, in order: a chunk, or a part of a longer one.
    ///
    /// # Errors
    /// `CORRUPT` where a chunk does not decode; whatever `f` answers, at once.
    pub fn blocks(&self, mut f: impl FnMut(&ChunkBox, Block<'_>) -> Result<()>) -> Result<()> {
        self.runs(|place, run, cuts| cuts.blocks(place, run, self.dtype.itemsize(), &mut f))
    }

    /// Calls `f` with the place and elements of each run of blocks, in order, and how it is cut into them: a chunk.
    ///
    /// # Errors
    /// As [`Array::blocks`].
    pub(super) fn runs(&self, mut f: impl FnMut(&ChunkBox, Block<'_>, &Cuts) -> Result<()>) -> Result<()> {
        let itemsize = self.dtype.itemsize();
        let shape = self.shape();
        let Some(chunks) = self.chunks() else {
            let cuts = Cuts::of_run(&shape, self.dtype);
            let whole = ChunkBox {
                number: 0,
                offset: SmallVec::from_elem(0, shape.ndim()),
                shape: SmallVec::from_slice(&shape),
            };
            let bytes = self.plain_bytes().unwrap_or_default();
            return if bytes.is_empty() { Ok(()) } else { f(&whole, Block::Elements(bytes), &cuts) };
        };
        let grid = self.grid_of(chunks);
        let cuts = Cuts::of_chunks(&grid, &shape, self.dtype);
        let count = if grid.is_empty() { 0 } else { grid.len() };
        self.each_chunk(&grid, chunks, grid.base()..grid.base() + count, &mut |place, block| {
            let hidden = grid.hidden(place) * itemsize;
            let place = grid.seen(place.clone());
            match block {
                Block::Fill(element) => f(&place, Block::Fill(element), &cuts),
                Block::Elements(bytes) => f(&place, Block::Elements(&bytes[hidden..]), &cuts),
            }
        })
    }

    /// The grid of blocks of an array whose chunks are those of `grid`, and how many hidden rows `grid` has more; nothing where
    /// every chunk is one block, or blocks do not fit in chunks.
    pub(super) fn block_grid(&self, grid: &Grid) -> Option<(Grid, usize)> {
        let shape = self.shape();
        let block = auto_chunk_shape(&shape, self.dtype, BLOCK_BYTES);
        let lengths = grid.chunk_lengths().iter().zip(block.iter()).zip(grid.stored_shape().iter());
        let fits =
            grid.is_contiguous() && lengths.clone().all(|((chunk, block), all)| chunk % block == 0 || chunk == all);
        if !fits || lengths.clone().all(|((chunk, block), _)| chunk <= block) {
            return None;
        }
        let lead = block.first().map_or(0, |rows| grid.lead() % rows);
        let blocks = Grid::begun(&shape, &block, self.dtype, lead, 0).ok()?;
        Some((blocks, grid.lead() - lead))
    }
}

/// How long runs of elements are cut into blocks for kernels.
pub(super) struct Cuts {
    /// The largest block: the shape of a chunk of [`BLOCK_BYTES`], or of any that is no run.
    block: Shape,
    /// Rows of the array's first block that are hidden with rows of its first chunk: so far is the next border nearer.
    lead: usize,
}

impl Cuts {
    /// Those of elements in one run.
    fn of_run(shape: &Shape, dtype: Dtype) -> Cuts {
        Cuts { block: auto_chunk_shape(shape, dtype, BLOCK_BYTES), lead: 0 }
    }

    /// Those of an array of this shape in the chunks of a grid.
    pub fn of_chunks(grid: &Grid, shape: &Shape, dtype: Dtype) -> Cuts {
        let block = match grid.is_contiguous() {
            true => auto_chunk_shape(shape, dtype, BLOCK_BYTES),
            false => grid.chunk_shape().clone(),
        };
        let lead = block.first().map_or(0, |rows| grid.lead() % rows);
        Cuts { block, lead }
    }

    /// Where the block ends that begins at `at` within a run that begins at `offset`, along an axis.
    fn end(&self, axis: usize, offset: usize, at: usize) -> usize {
        // Runs begin at borders, but for the first of an array with hidden rows.
        let before = if axis == 0 && offset == 0 { self.lead } else { 0 };
        let length = self.block[axis];
        ((at + before) / length + 1) * length - before
    }

    /// How many rows the first block of a run has, and how many each of the others, where only the first axis is cut.
    pub fn rows(&self, run: &ChunkBox) -> Option<(usize, usize)> {
        let is_whole = |axis: usize| self.end(axis, run.offset[axis], 0) >= run.shape[axis];
        let is_cut = !run.shape.is_empty() && (1..run.shape.len()).all(is_whole) && !is_whole(0);
        is_cut.then(|| (self.end(0, run.offset[0], 0), self.block[0]))
    }

    /// Calls `f` with the blocks that one run of elements falls into, in order, and the first element of each.
    pub fn each(&self, run: &ChunkBox, mut f: impl FnMut(&ChunkBox, usize) -> Result<()>) -> Result<()> {
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
    pub fn blocks(
        &self,
        place: &ChunkBox,
        run: Block<'_>,
        itemsize: usize,
        mut f: impl FnMut(&ChunkBox, Block<'_>) -> Result<()>,
    ) -> Result<()> {
        match run {
            Block::Fill(element) => self.each(place, |part, _| f(part, Block::Fill(element))),
            Block::Elements(bytes) => self.each(place, |part, first| {
                f(part, Block::Elements(&bytes[first * itemsize..][..part.size() * itemsize]))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nd::array::StoreOptions;
    use crate::nd::codec::Policy;
    use crate::nd::source::SliceSource;

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
