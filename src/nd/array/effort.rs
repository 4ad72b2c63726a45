//! What reading an array takes, told from its shape and its chunks' number: nothing is read to tell it.

use super::{Array, Chunks};
use crate::nd::index::{AxisRange, Selection};

/// Roughly how much there is to do. For deciding where and when, not for refusing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Bytes of elements that are read.
    pub bytes: usize,
    /// Bytes of chunks that have to be decoded for them.
    pub decoded: usize,
    /// How many runs of neighbouring elements they are copied from.
    pub runs: usize,
}

impl Effort {
    /// The same for `n` of them.
    #[must_use]
    pub fn times(self, n: usize) -> Effort {
        let Effort { bytes, decoded, runs } = self;
        Effort { bytes: bytes.saturating_mul(n), decoded: decoded.saturating_mul(n), runs: runs.saturating_mul(n) }
    }
}

impl Array {
    /// What reading all elements takes.
    pub fn effort(&self) -> Effort {
        let bytes = self.nbytes();
        match self.chunks() {
            None => Effort { bytes, decoded: 0, runs: 1 },
            Some(chunks) => {
                let grid = self.grid_of(chunks);
                let rows = if grid.is_contiguous() { 1 } else { chunks.chunk_shape.last().map_or(1, |n| *n) };
                let runs = if rows > 1 { self.size() / rows } else { chunks.map.len() };
                Effort { bytes, decoded: self.encoded_bytes(chunks), runs }
            }
        }
    }

    /// What reading the selected elements takes. The selection was resolved against this array's shape.
    pub fn effort_of(&self, selection: &Selection) -> Effort {
        let size = selection.out_shape().len_or_max();
        let bytes = size.saturating_mul(self.dtype.itemsize());
        let run = match selection {
            Selection::Basic(basic) => innermost_run(basic.axes.last()),
            Selection::Advanced(advanced) => innermost_run(advanced.inner().last().map(|(_, range)| range)),
        };
        let runs = size / run.max(1);
        let Some(chunks) = self.chunks() else { return Effort { bytes, decoded: 0, runs } };
        let encoded = self.encoded_bytes(chunks);
        if encoded == 0 {
            return Effort { bytes, decoded: 0, runs };
        }
        let touched = match selection {
            Selection::Basic(basic) => basic
                .axes
                .iter()
                .zip(chunks.chunk_shape.iter())
                .map(|(range, length)| rows_of_chunks(range, *length))
                .fold(1, usize::saturating_mul),
            Selection::Advanced(_) => runs,
        };
        Effort { bytes, decoded: touched.saturating_mul(self.chunk_bytes(chunks)).min(encoded), runs }
    }

    /// What reading `n` rows along an axis takes, wherever they lie; `axis` is one of the array's, or 0.
    pub fn effort_of_rows(&self, axis: usize, n: usize) -> Effort {
        let shape = self.shape();
        let before: usize = shape.iter().take(axis).product(); // a part of the size, or 0
        let row: usize = shape.iter().skip(axis + 1).product();
        let bytes = before.saturating_mul(row).saturating_mul(self.dtype.itemsize()).saturating_mul(n);
        let runs = before.saturating_mul(n);
        let Some(chunks) = self.chunks() else { return Effort { bytes, decoded: 0, runs } };
        let touched = runs.saturating_mul(self.chunk_bytes(chunks)).max(bytes);
        Effort { bytes, decoded: touched.min(self.encoded_bytes(chunks)), runs }
    }

    pub(super) fn chunk_bytes(&self, chunks: &Chunks) -> usize {
        chunks.chunk_shape.len_or_max().saturating_mul(self.dtype.itemsize())
    }

    /// Bytes of elements in chunks that are kept encoded: all that are kept where any seem to be.
    pub(super) fn encoded_bytes(&self, chunks: &Chunks) -> usize {
        let kept = chunks.map.len().saturating_mul(self.chunk_bytes(chunks)).min(self.nbytes());
        if chunks.stored_bytes < kept {
            kept
        } else {
            0
        }
    }
}

/// How many neighbours along the innermost axis are copied as one.
fn innermost_run(range: Option<&AxisRange>) -> usize {
    range.filter(|r| r.step == 1).map_or(1, |r| r.len)
}

/// How many chunks of this length a range touches along its axis.
fn rows_of_chunks(range: &AxisRange, length: usize) -> usize {
    let span = range.len.saturating_sub(1).saturating_mul(range.step.unsigned_abs());
    range.len.min(span / length.max(1) + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nd::array::StoreOptions;
    use crate::nd::codec::Policy;
    use crate::nd::dtype::Dtype;
    use crate::nd::index::Index;
    use crate::nd::scalar::Scalar;
    use crate::nd::shape::Shape;
    use crate::nd::source::SliceSource;

    const SIDE: usize = 512;

    fn counters(policy: Policy, chunk: Option<[usize; 2]>) -> Array {
        let bytes: Vec<u8> = (0..(SIDE * SIDE) as u32).flat_map(u32::to_le_bytes).collect();
        let options = StoreOptions { policy, chunk_shape: chunk.map(Shape::from), ..StoreOptions::default() };
        Array::from_source(Dtype::UInt32, &Shape::from([SIDE, SIDE]), &mut SliceSource::new(&bytes), &options).unwrap()
    }

    fn of(array: &Array, index: &str) -> Effort {
        array.effort_of(&Index::parse(index.as_bytes()).unwrap().resolve(&array.shape()).unwrap())
    }

    #[test]
    fn only_encoded_chunks_are_decoded() {
        let all = SIDE * SIDE * 4;
        assert_eq!(counters(Policy::Raw, None).effort(), Effort { bytes: all, decoded: 0, runs: 1 });
        assert_eq!(counters(Policy::Lz4, None).effort(), Effort { bytes: all, decoded: all, runs: 16 });
        // Chunks cut off at the edge are less than whole ones.
        assert_eq!(counters(Policy::Raw, Some([100, 100])).effort().decoded, 0);
        let zeros = Array::filled(&Shape::from([1 << 30]), Scalar::of(0.0f64), &StoreOptions::default()).unwrap();
        assert_eq!(zeros.effort(), Effort { bytes: 8 << 30, decoded: 0, runs: 0 });
    }

    #[test]
    fn a_part_takes_the_chunks_that_it_touches() {
        let tiles = counters(Policy::Lz4, Some([64, 64]));
        let tile = 64 * 64 * 4;
        assert_eq!(of(&tiles, "5,5"), Effort { bytes: 4, decoded: tile, runs: 1 });
        // A column: eight tiles, and one more for where it may begin.
        assert_eq!(of(&tiles, ":,5"), Effort { bytes: SIDE * 4, decoded: 9 * tile, runs: SIDE });
        assert_eq!(of(&tiles, "[1,500],3"), Effort { bytes: 8, decoded: 2 * tile, runs: 2 });
        assert_eq!(of(&tiles, "::2").runs, SIDE / 2);
        assert_eq!(of(&counters(Policy::Raw, None), ":,5"), Effort { bytes: SIDE * 4, decoded: 0, runs: SIDE });
    }

    #[test]
    fn rows_take_their_chunks_once() {
        let (raw, lz4) = (counters(Policy::Raw, None), counters(Policy::Lz4, None));
        let (all, chunk) = (SIDE * SIDE * 4, 64 << 10);
        assert_eq!(raw.effort_of_rows(0, 10), Effort { bytes: 10 * SIDE * 4, decoded: 0, runs: 10 });
        assert_eq!(lz4.effort_of_rows(0, 10), Effort { bytes: 10 * SIDE * 4, decoded: 10 * chunk, runs: 10 });
        assert_eq!(lz4.effort_of_rows(0, 9000).decoded, all);
        assert_eq!(lz4.effort_of_rows(1, 2), Effort { bytes: 2 * SIDE * 4, decoded: all, runs: 2 * SIDE });
    }

    #[test]
    fn nothing_overflows() {
        let wide = Shape::from([1 << 20, 1 << 40]);
        let array = Array::filled(&wide, Scalar::of(7u8), &StoreOptions::default()).unwrap();
        assert_eq!(array.effort().bytes, 1 << 60);
        assert_eq!(of(&array, "::3").bytes, ((1usize << 20).div_ceil(3)) << 40);
        assert_eq!(of(&array, "0:0").bytes, 0);
        assert_eq!(array.effort_of_rows(1, usize::MAX).bytes, usize::MAX);
    }
}
