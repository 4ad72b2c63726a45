//! A run of elements in one buffer: what a reply in one string needs.
//!
//! Encoded chunks are decoded where they belong in the buffer, several at a time where there are helpers. Decoded on the
//! side and then copied, an array of a megabyte of counters took a fifth longer to answer.

use std::sync::{Mutex, PoisonError};

use super::{Array, Chunks};
use crate::nd::codec::{fill_with, Encoding};
use crate::nd::decoded;
use crate::nd::error::Result;
use crate::nd::grid::Grid;
use crate::nd::interrupt;
use crate::nd::parallel::{self, Claim};

/// Bytes of encoded chunks that are worth a helper: decoding them takes 100 microseconds or more.
const SHARE: usize = 1 << 20;

/// A chunk's number and elements, the first of them that is wanted, and where they go.
struct Part<'o> {
    number: u64,
    size: usize,
    first: usize,
    out: Mutex<&'o mut [u8]>,
}

impl Array {
    /// Whether runs of elements must be decoded, but from one chunk after the other.
    pub fn is_encoded_run(&self) -> bool {
        self.chunks().is_some_and(|chunks| self.encoded_bytes(chunks) > 0 && self.grid_of(chunks).is_contiguous())
    }

    /// The element after the last of the chunk that holds this one; of an array whose chunks are runs.
    pub fn chunk_end(&self, element: usize) -> usize {
        let Some(chunks) = self.chunks() else { return self.size() };
        let grid = self.grid_of(chunks);
        let hidden = grid.lead() * self.shape().iter().skip(1).product::<usize>();
        let (place, first) = grid.chunk_of_run(element + hidden);
        first + place.size() - hidden
    }

    /// Copies the elements from `start`, as many as `out` holds, in C order, to `out`.
    ///
    /// # Errors
    /// `CORRUPT` where a chunk does not decode; `OOM`.
    pub fn join_run(&self, start: usize, out: &mut [u8]) -> Result<()> {
        let itemsize = self.dtype.itemsize();
        let chunks = self.chunks().map(|chunks| (chunks, self.grid_of(chunks)));
        match chunks {
            Some((chunks, grid)) if grid.is_contiguous() && !out.is_empty() => {
                let encoded = self.encoded_bytes(chunks).min(out.len());
                let helpers = (encoded >= 2 * SHARE).then(|| parallel::helpers(encoded, SHARE));
                self.join_chunks(&grid, chunks, start, out, helpers.as_ref().map_or(0, Claim::count))
            }
            _ => {
                let mut done = 0;
                self.visit_run(start, out.len() / itemsize, |piece| {
                    out[done..done + piece.len()].copy_from_slice(piece);
                    done += piece.len();
                    Ok(())
                })
            }
        }
    }

    fn join_chunks(&self, grid: &Grid, chunks: &Chunks, start: usize, out: &mut [u8], helpers: usize) -> Result<()> {
        let itemsize = self.dtype.itemsize();
        let start = start + grid.lead() * self.shape().iter().skip(1).product::<usize>();
        let (place, first) = grid.chunk_of_run(start);
        let mut next = Some((place.number, place.size(), start - first));
        let is_short = decoded::is_short(out.len());
        let mut rest = out;
        let parts = std::iter::from_fn(|| {
            let (number, size, first) = next?;
            let len = ((size - first) * itemsize).min(rest.len());
            let (out, after) = std::mem::take(&mut rest).split_at_mut(len);
            rest = after;
            next = (!rest.is_empty()).then(|| (number + 1, grid.chunk(number + 1).size(), 0));
            Some(Part { number, size, first, out: Mutex::new(out) })
        });
        let fill_in = |part: &Part<'_>| {
            interrupt::check()?;
            // Nobody else has it; and what a panic left is written over.
            let out = &mut **part.out.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(chunk) = chunks.map.get(&part.number) else {
                fill_with(&chunks.fill[..itemsize], out);
                return Ok(());
            };
            match chunk.encoding() {
                Encoding::Fill => fill_with(chunk.stored_bytes(), out),
                Encoding::Raw => out.copy_from_slice(&chunk.stored_bytes()[part.first * itemsize..][..out.len()]),
                _ if is_short
                    && chunk.copy_kept(part.number, part.size * itemsize, itemsize, part.first * itemsize, out)? => {}
                _ if out.len() == part.size * itemsize => chunk.decode_counted(part.number, itemsize, out)?,
                _ => chunk.with_elements(part.number, part.size * itemsize, itemsize, |elements| {
                    out.copy_from_slice(&elements[part.first * itemsize..][..out.len()]);
                    Ok(())
                })?,
            }
            Ok(())
        };
        if helpers == 0 {
            return { parts }.try_for_each(|part| fill_in(&part));
        }
        let parts: Vec<Part<'_>> = parts.collect();
        parallel::in_order(parts.len(), helpers, |i| fill_in(&parts[i]), |()| Ok(()))
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
    fn a_joined_run_is_the_visited_one() {
        let shape = Shape::from([64, 4096]);
        // Counters, noise, and one value over a few chunks: encoded, raw and fill; and a few that are absent.
        let element = |i: u32| match i >> 14 {
            3..=5 => 7,
            6 => 0,
            k if k % 4 == 0 => i.wrapping_mul(2_654_435_761).rotate_left(i % 31),
            _ => i,
        };
        let bytes: Vec<u8> = (0..64 * 4096).flat_map(|i| element(i).to_le_bytes()).collect();
        for (policy, chunk) in [
            (Policy::Lz4, None),
            (Policy::Raw, None),
            (Policy::Lz4, Some(Shape::from([3, 4096]))),
            (Policy::Lz4, Some(Shape::from([10, 1000]))),
        ] {
            let options = StoreOptions { policy, chunk_shape: chunk, ..StoreOptions::default() };
            let mut array = Array::from_source(Dtype::UInt32, &shape, &mut SliceSource::new(&bytes), &options).unwrap();
            for dropped in [0, 1, 20] {
                let most = 64 - dropped;
                array.append(0, &[], &Shape::from([0, 4096]), Some(most), &options, usize::MAX).unwrap();
                let bytes = &bytes[dropped * 4096 * 4..];
                for (start, end) in [(0, most * 4096), (0, 0), (0, 1), (5, 20_000), (16_384, 32_768), (9, most * 4096)]
                {
                    let want = &bytes[start * 4..end * 4];
                    let mut out = vec![0xa5; want.len()];
                    array.join_run(start, &mut out).unwrap();
                    assert!(out == want, "{policy:?}, {start}..{end} without {dropped} rows");
                    assert!(array.run_in_place(start, end - start).is_none_or(|run| run == want));
                    if let (Some(grid), false) = (array.grid().filter(Grid::is_contiguous), want.is_empty()) {
                        let ends = (start..end)
                            .step_by(997)
                            .map(|e| array.chunk_end(e))
                            .collect::<std::collections::BTreeSet<_>>();
                        assert!(ends
                            .range(..end)
                            .all(|e| (e + dropped * 4096).is_multiple_of(grid.chunk_shape().len_or_max())));
                        assert!(ends.iter().all(|e| *e > start && *e <= most * 4096), "{ends:?}");
                    }
                    let (Some(grid), false) = (array.grid().filter(Grid::is_contiguous), want.is_empty()) else {
                        continue;
                    };
                    for helpers in [1, 4] {
                        out.fill(0xa5);
                        array.join_chunks(&grid, array.chunks().unwrap(), start, &mut out, helpers).unwrap();
                        assert!(out == want, "{policy:?}, {start}..{end} without {dropped} rows, {helpers} helpers");
                    }
                }
            }
        }
    }
}
