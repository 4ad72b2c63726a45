//! The chunks of a new array: cut from its source and encoded, several at a time where there is much to encode.
//!
//! The command that stores an array waits for its chunks, whoever makes them: what is stored, and in which order of commands,
//! is the same as with one thread.

use crate::nd::chunk::Chunk;
use crate::nd::codec::Chooser;
use crate::nd::error::Result;
use crate::nd::grid::{c_steps, copy_region, ChunkBox, Grid};
use crate::nd::parallel;
use crate::nd::shape::Shape;
use crate::nd::source::Source;

/// Bytes that are worth a helper: encoding them takes 200 microseconds or more.
pub const SHARE: usize = 512 << 10;

/// Every chunk of the grid, in order of their numbers.
///
/// # Errors
/// `OOM`; whatever the source answers.
pub(super) fn chunks(
    grid: &Grid,
    shape: &Shape,
    itemsize: usize,
    source: &mut dyn Source,
    chooser: &Chooser,
    helpers: usize,
) -> Result<Vec<(u64, Chunk)>> {
    let count = if grid.is_empty() { 0 } else { usize::try_from(grid.len()).unwrap_or(usize::MAX) };
    let mut list = Vec::with_capacity(count.min(1 << 20));
    let mut keep = |chunk| {
        list.push(chunk);
        Ok(())
    };
    let steps = c_steps(shape);
    let first = |place: &ChunkBox| place.offset.iter().zip(&steps).map(|(o, s)| o * *s as usize).sum::<usize>();
    if !grid.is_contiguous() {
        let whole = source.next(shape.len_or_max().saturating_mul(itemsize))?;
        let make = |i| {
            let place = grid.chunk(i as u64);
            let mut block = vec![0; place.size() * itemsize];
            let to = c_steps(&place.shape);
            copy_region(whole, first(&place), &steps, &mut block, 0, &to, &place.shape, itemsize);
            Ok((place.number, Chunk::encode(&block, chooser)?))
        };
        parallel::in_order(count, helpers, make, keep)?;
    } else if helpers > 0 && source.is_at_hand() {
        let source: &dyn Source = source;
        let make = |i| {
            let place = grid.chunk(i as u64);
            let elements = source.get(first(&place) * itemsize, place.size() * itemsize)?;
            Ok((place.number, Chunk::encode(&elements, chooser)?))
        };
        parallel::in_order(count, helpers, make, keep)?;
    } else {
        for place in grid.chunks() {
            let elements = source.next(place.size() * itemsize)?;
            keep((place.number, Chunk::encode(elements, chooser)?))?;
        }
    }
    Ok(list)
}

/// Every chunk of a grid of runs, left where its elements are, or copied where that cannot be: the last piece of many may have too
/// much memory for its bytes. Nothing where that is so of more than a quarter.
///
/// # Errors
/// `OOM`.
pub(super) fn lent(
    grid: &Grid,
    itemsize: usize,
    nbytes: usize,
    source: &dyn Source,
) -> Result<Option<Vec<(u64, Chunk)>>> {
    if !grid.is_contiguous() {
        return Ok(None);
    }
    let mut list = Vec::new();
    let (mut start, mut copied) = (0, 0);
    for place in grid.chunks() {
        let len = place.size() * itemsize;
        let chunk = match source.lend(start, len) {
            Some(lent) => Chunk::lent(lent)?,
            None => {
                copied += len;
                if copied > nbytes / 4 || !source.is_at_hand() {
                    return Ok(None);
                }
                Chunk::raw(&source.get(start, len)?)?
            }
        };
        list.push((place.number, chunk));
        start += len;
    }
    Ok(Some(list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nd::codec::Policy;
    use crate::nd::dtype::Dtype;
    use crate::nd::grid::auto_chunk_shape;
    use crate::nd::source::{PiecesSource, SliceSource};

    #[test]
    fn helpers_change_nothing_that_is_stored() {
        let shape = Shape::from([70, 3000]);
        let (dtype, itemsize) = (Dtype::UInt16, 2);
        let bytes: Vec<u8> = (0..70 * 3000u32).flat_map(|i| ((i / 7) as u16).to_le_bytes()).collect();
        let pieces: Vec<&[u8]> = bytes.chunks(10_001).collect();
        for chunk in [auto_chunk_shape(&shape, dtype, 8192), Shape::from([16, 512]), Shape::from([70, 3000])] {
            let grid = Grid::new(&shape, &chunk, dtype).unwrap();
            for &policy in Policy::KINDS {
                let stored = |source: &mut dyn Source, helpers| {
                    let chooser = Chooser::new(policy, dtype, bytes.len(), |start, len| source.peek(start, len));
                    let list = chunks(&grid, &shape, itemsize, source, &chooser, helpers).unwrap();
                    let each = list.iter().map(|(n, c)| (*n, c.encoding(), c.checksum(), c.stored_bytes().to_vec()));
                    each.collect::<Vec<_>>()
                };
                let alone = stored(&mut SliceSource::new(&bytes), 0);
                assert_eq!(alone.len() as u64, grid.len());
                for helpers in [1, 2, 5] {
                    assert!(
                        stored(&mut SliceSource::new(&bytes), helpers) == alone,
                        "a slice, {chunk}, {helpers} helpers"
                    );
                    assert!(
                        stored(&mut PiecesSource::new(&pieces), helpers) == alone,
                        "pieces, {chunk}, {helpers} helpers"
                    );
                }
            }
        }
    }
}
