//! Chunks one after the other, decoded: where many are encoded, helpers decode those that come next while this thread works
//! on the one at hand.

use std::ops::Range;

use super::{Array, Block, Chunks};
use crate::nd::codec::Encoding;
use crate::nd::error::Result;
use crate::nd::grid::{ChunkBox, Grid};
use crate::nd::interrupt;
use crate::nd::memory::{self, Buffer};
use crate::nd::parallel::{self, Claim};

/// Bytes of encoded chunks that are worth a helper: decoding them takes 100 microseconds or more.
const SHARE: usize = 1 << 20;

/// What is done with a chunk's place and its elements.
type Visit<'f> = &'f mut dyn FnMut(&ChunkBox, Block<'_>) -> Result<()>;

/// A chunk's elements, made by a helper or never encoded.
enum Ready<'a> {
    Elements(&'a [u8]),
    Decoded(Buffer),
    Fill(&'a [u8]),
}

impl Array {
    /// Calls `f` with each of these chunks, in order. Their elements may lie at any address.
    ///
    /// # Errors
    /// `CORRUPT` where a chunk does not decode; whatever `f` answers, at once.
    pub(super) fn each_chunk(&self, grid: &Grid, chunks: &Chunks, numbers: Range<u64>, f: Visit<'_>) -> Result<()> {
        let of_range = (numbers.end - numbers.start).saturating_mul(self.chunk_bytes(chunks) as u64);
        let helpers = if of_range < 2 * SHARE as u64 {
            None
        } else {
            let encoded = self.encoded_bytes(chunks).min(usize::try_from(of_range).unwrap_or(usize::MAX));
            Some(parallel::helpers(encoded, SHARE))
        };
        self.each_chunk_with(grid, chunks, numbers, helpers.as_ref().map_or(0, Claim::count), f)
    }

    fn each_chunk_with(
        &self,
        grid: &Grid,
        chunks: &Chunks,
        numbers: Range<u64>,
        helpers: usize,
        f: Visit<'_>,
    ) -> Result<()> {
        let itemsize = self.dtype.itemsize();
        if helpers > 0 {
            let make = |i| {
                interrupt::check()?;
                let place = grid.chunk(numbers.start + i as u64);
                let ready = match chunks.map.get(&place.number) {
                    None => Ready::Fill(&chunks.fill[..itemsize]),
                    Some(c) if c.encoding() == Encoding::Fill => Ready::Fill(c.stored_bytes()),
                    Some(c) if c.encoding() == Encoding::Raw => Ready::Elements(c.stored_bytes()),
                    Some(c) => {
                        let nbytes = place.size() * itemsize;
                        let mut buffer = memory::buffer_zeroed(nbytes)?;
                        c.decode_counted(place.number, itemsize, memory::bytes_mut(&mut buffer, nbytes))?;
                        Ready::Decoded(buffer)
                    }
                };
                Ok((place, ready))
            };
            let count = usize::try_from(numbers.end - numbers.start).unwrap_or(usize::MAX);
            return parallel::in_order(count, helpers, make, |(place, ready)| match &ready {
                Ready::Elements(bytes) => f(&place, Block::Elements(bytes)),
                Ready::Decoded(buffer) => f(&place, Block::Elements(memory::bytes(buffer, place.size() * itemsize))),
                Ready::Fill(element) => f(&place, Block::Fill(element)),
            });
        }
        for number in numbers {
            interrupt::check()?;
            let place = grid.chunk(number);
            match chunks.map.get(&number) {
                None => f(&place, Block::Fill(&chunks.fill[..itemsize]))?,
                Some(c) if c.encoding() == Encoding::Fill => f(&place, Block::Fill(c.stored_bytes()))?,
                Some(c) if c.encoding() == Encoding::Raw => f(&place, Block::Elements(c.stored_bytes()))?,
                Some(c) => {
                    c.with_elements(number, place.size() * itemsize, itemsize, |e| f(&place, Block::Elements(e)))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nd::array::StoreOptions;
    use crate::nd::codec::Policy;
    use crate::nd::dtype::Dtype;
    use crate::nd::shape::Shape;
    use crate::nd::source::SliceSource;

    #[test]
    fn helpers_hand_on_the_same_chunks_in_the_same_order() {
        let shape = Shape::from([64, 4096]);
        // Counters, noise, and one value over a few chunks: encoded, raw and fill.
        let element = |i: u32| match i >> 14 {
            3..=5 => 7,
            k if k % 4 == 0 => i.wrapping_mul(2_654_435_761).rotate_left(i % 31),
            _ => i,
        };
        let bytes: Vec<u8> = (0..64 * 4096).flat_map(|i| element(i).to_le_bytes()).collect();
        for chunk in [None, Some(Shape::from([10, 1000]))] {
            let options = StoreOptions { policy: Policy::Lz4, chunk_shape: chunk, ..StoreOptions::default() };
            let array = Array::from_source(Dtype::UInt32, &shape, &mut SliceSource::new(&bytes), &options).unwrap();
            let (chunks, grid) = (array.chunks().unwrap(), array.grid().unwrap());
            let seen = |helpers, numbers: Range<u64>| {
                let mut seen = Vec::new();
                let mut note = |place: &ChunkBox, block: Block<'_>| {
                    seen.push((place.clone(), format!("{block:?}")));
                    Ok(())
                };
                array.each_chunk_with(&grid, chunks, numbers, helpers, &mut note).unwrap();
                seen
            };
            let alone = seen(0, 0..grid.len());
            assert_eq!(alone.len() as u64, grid.len());
            for helpers in [1, 3, 50] {
                assert!(seen(helpers, 0..grid.len()) == alone);
                assert!(seen(helpers, 3..9) == alone[3..9]);
            }
        }
    }
}
