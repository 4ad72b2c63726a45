//! Writing elements over a selection: `a[index] = value`.

use super::edit::Edit;
use super::layout::{Layout, Patch};
use super::Array;
use crate::nd::error::Result;
use crate::nd::grid::copy_region;
use crate::nd::index::Selection;
use crate::nd::shape::Shape;

/// Refuses a value that does not broadcast to a selection, as NumPy's assignment would.
///
/// # Errors
/// `SHAPE`.
pub fn check_broadcast(value: &Shape, selection: &Selection) -> Result<()> {
    Layout::new(value, selection.out_shape()).map(drop)
}

impl Array {
    /// Writes `elements` (C order, of this array's dtype, aligned or not) of the shape `shape` over a selection that was
    /// resolved for this array. They broadcast as in NumPy's assignment; of repeated positions the last wins. Answers how
    /// many elements were written.
    ///
    /// What lies raw and unshared is changed in place. `limit` is the most bytes of elements of other chunks that it
    /// touches, each counted whole.
    ///
    /// # Errors
    /// `SHAPE` where they do not broadcast, `LIMIT`, `CORRUPT` where a chunk does not decode, `OOM`; then nothing was changed.
    ///
    /// # Panics
    /// Where the bytes are not those of the shape: a bug in the caller.
    pub fn write(&mut self, selection: &Selection, elements: &[u8], shape: &Shape, limit: usize) -> Result<usize> {
        let itemsize = self.dtype.itemsize();
        assert_eq!(elements.len(), shape.len_or_max().saturating_mul(itemsize), "the bytes of the shape");
        let layout = Layout::new(shape, selection.out_shape())?;
        self.edit(selection, &layout, &Assign { elements, itemsize }, limit)?;
        Ok(selection.out_shape().len_or_max())
    }
}

/// Copies the value's elements.
struct Assign<'v> {
    elements: &'v [u8],
    itemsize: usize,
}

impl Edit for Assign<'_> {
    fn reads(&self) -> bool {
        false
    }

    fn block(&self, elements: &mut [u8], p: &Patch) {
        let from = self.elements;
        copy_region(from, p.value_start, &p.value_steps, elements, p.start, &p.steps, &p.counts, self.itemsize);
    }

    fn points(&self, elements: &mut [u8], points: &[(usize, usize)]) {
        fn each<const N: usize>(from: &[u8], to: &mut [u8], points: &[(usize, usize)]) {
            let (from, to) = (from.as_chunks::<N>().0, to.as_chunks_mut::<N>().0);
            for (at, value) in points {
                to[*at] = from[*value];
            }
        }
        match self.itemsize {
            1 => each::<1>(self.elements, elements, points),
            2 => each::<2>(self.elements, elements, points),
            4 => each::<4>(self.elements, elements, points),
            8 => each::<8>(self.elements, elements, points),
            _ => each::<16>(self.elements, elements, points),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::nd::array::{Array, StoreOptions};
    use crate::nd::codec::{Encoding, Filter, Policy};
    use crate::nd::dtype::Dtype;
    use crate::nd::index::Index;
    use crate::nd::memory;
    use crate::nd::scalar::Scalar;
    use crate::nd::shape::Shape;
    use crate::nd::source::SliceSource;

    fn options(chunk: Option<[usize; 3]>, policy: Policy, codec_given: bool) -> StoreOptions {
        StoreOptions { chunk_shape: chunk.map(Shape::from), policy, codec_given, ..StoreOptions::default() }
    }

    fn all(array: &Array) -> Vec<u8> {
        let mut out = Vec::with_capacity(array.nbytes());
        array.read_run(0, array.size(), &mut out).unwrap();
        out
    }

    /// What the map's chunks add up to, against what is kept up to date.
    fn check_accounts(array: &Array) {
        let Some(chunks) = array.chunks() else { return };
        assert_eq!(chunks.stored_bytes, chunks.map.values().map(|c| c.stored_bytes().len()).sum::<usize>());
        assert_eq!(chunks.memory, chunks.map.values().map(|c| c.memory()).sum::<usize>());
        assert!(chunks.map.values().all(|c| !chunks.is_fill(c)));
        array.verify().unwrap();
    }

    fn select(index: &str, shape: &Shape) -> crate::nd::index::Selection {
        Index::parse(index.as_bytes()).unwrap().resolve(shape).unwrap()
    }

    const INDEXES: &[&str] = &[
        "...",
        "1",
        "::-1",
        "-1,...,2",
        "::2,1:4,::-3",
        "None,2:5,None",
        ":,3,:",
        "2,1,5",
        "0:0",
        "[0,6,3,3]",
        ":,[4,0]",
        "[1,2],:,[5,0]",
        "::2,[[0],[4]],[1,2,3]",
        "[6,-7],::-2",
        "-1,[0,1],:",
        "...,[5,5]",
        "[[0,1],[1,0]]",
        "[]",
        "[True,False,False,True,False,False,True]",
        "1,[0,1],None,::2",
        "True",
        "[6,5,4,3,2,1,0]",
    ];

    #[test]
    fn a_write_is_numpys_through_any_chunks() {
        let shape = Shape::from([7, 5, 6]);
        let zero: Vec<u8> = (0..210u16).flat_map(u16::to_le_bytes).collect();
        for index in INDEXES {
            let selection = select(index, &shape);
            let out = selection.out_shape().clone();
            let last = out.last().copied().unwrap_or(1);
            for value_shape in [out.clone(), Shape::scalar(), Shape::from([1, 1, 1, 1, last])] {
                let count = value_shape.checked_size().unwrap();
                let value: Vec<u16> = (0..count as u16).map(|i| 1000 + i).collect();
                let mut want: Vec<u16> = (0..210).collect();
                for (k, p) in selection.positions(&shape).enumerate() {
                    want[p] = value[if value_shape == out { k } else { k % count }];
                }
                let bytes: &[u8] = bytemuck::cast_slice(&value);
                for chunk in [None, Some([7, 5, 6]), Some([2, 2, 4]), Some([1, 5, 6]), Some([3, 5, 1])] {
                    for policy in [Policy::Raw, Policy::Lz4, Policy::default()] {
                        for shared in [false, true] {
                            let options = options(chunk, policy, true);
                            let mut array =
                                Array::from_source(Dtype::UInt16, &shape, &mut SliceSource::new(&zero), &options)
                                    .unwrap();
                            let digest = array.digest().unwrap();
                            let snapshot = shared.then(|| array.clone());
                            let written = array.write(&selection, bytes, &value_shape, 1 << 20).unwrap();
                            assert_eq!(written, out.checked_size().unwrap());
                            assert_eq!(
                                bytemuck::cast_slice::<u16, u8>(&want),
                                &all(&array)[..],
                                "{index} {value_shape} {chunk:?} {policy:?}"
                            );
                            check_accounts(&array);
                            if let Some(snapshot) = snapshot {
                                assert_eq!((all(&snapshot), snapshot.verify()), (zero.clone(), Ok(())));
                                assert_eq!(snapshot.digest().unwrap(), digest);
                            }
                            let fresh = Array::plain(Dtype::UInt16, &shape, memory::buffer_from(&all(&array)).unwrap());
                            assert_eq!(array.digest().unwrap(), fresh.digest().unwrap());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn chunks_become_constants_and_cease_to_be() {
        let shape = Shape::from([8, 4, 64]);
        let options = options(Some([2, 4, 64]), Policy::default(), false);
        let mut array = Array::filled(&shape, Scalar::of(3.0f64), &options).unwrap();
        let mut write = |index: &str, value: &[f64], shape_of: &[usize]| {
            let selection = select(index, &shape);
            let bytes: Vec<u8> = value.iter().flat_map(|x| x.to_le_bytes()).collect();
            array.write(&selection, &bytes, &Shape::new(shape_of).unwrap(), 1 << 20).unwrap();
            check_accounts(&array);
            let encodings: Vec<Encoding> = array.chunks().unwrap().stored().map(|(_, c)| c.encoding()).collect();
            encodings
        };
        let noise: Vec<f64> = (0..512).map(|i| (f64::from(i) * 1.37).sin()).collect();
        assert_eq!(write("0:2", &noise, &[2, 4, 64]), [Encoding::Raw]);
        assert_eq!(write("0:2", &noise, &[2, 4, 64]), [Encoding::Raw], "in place");
        assert_eq!(write("1:4", &[7.0], &[]), [Encoding::Raw, Encoding::Fill], "half of one, all of another");
        assert_eq!(write("[1,0]", &[7.0], &[1]), [Encoding::Raw, Encoding::Fill], "by lists, row by row, in place");
        assert_eq!(write("::-1", &[5.0], &[]), [Encoding::Fill; 4], "one constant over all");
        assert_eq!(write("...", &[3.0], &[]), [], "the fill value");
        assert_eq!(write("7,3,63", &[3.0], &[]), [], "the fill value over the fill value");
        assert!(matches!(write("7,3,63", &[4.0], &[])[..], [Encoding::Lz4(_)]), "one other element");
        assert_eq!(write("7,3,63", &[3.0], &[]), [], "and back");
        assert_eq!(array.stored_bytes(), 0);
    }

    #[test]
    fn a_snapshot_shares_what_was_not_touched() {
        let shape = Shape::from([4, 16, 16]);
        let bytes: Vec<u8> = (0..8192u32).map(|i| (i.wrapping_mul(2654435761) >> 13) as u8).collect();
        let options = options(Some([1, 16, 16]), Policy::Raw, true);
        let mut array = Array::from_source(Dtype::UInt64, &shape, &mut SliceSource::new(&bytes), &options).unwrap();
        let snapshot = array.clone();
        array.write(&select("2,3,4", &shape), &[1; 8], &Shape::scalar(), 1 << 20).unwrap();
        let at = |array: &Array| -> Vec<usize> {
            array.chunks().unwrap().stored().map(|(_, c)| c.stored_bytes().as_ptr() as usize).collect()
        };
        let (now, before) = (at(&array), at(&snapshot));
        let same: Vec<bool> = now.iter().zip(&before).map(|(a, b)| a == b).collect();
        assert_eq!(same, [true, true, false, true]);
        drop(snapshot);
        array.write(&select("...", &shape), &bytes, &shape, 0).unwrap(); // no limit on what lies raw and unshared
        assert_eq!(at(&array), now, "in place");
        assert_eq!(all(&array), bytes);
    }

    #[test]
    fn err_a_refused_write_changes_nothing() {
        let shape = Shape::from([64, 4, 16]);
        let bytes: Vec<u8> = (0..32768u32).map(|i| (i / 64) as u8).collect();
        let options = options(Some([8, 4, 16]), Policy::Lz4, true);
        let mut array = Array::from_source(Dtype::UInt64, &shape, &mut SliceSource::new(&bytes), &options).unwrap();
        let selection = select("1:,0", &shape);
        let refused = array.write(&selection, &[9; 8], &Shape::scalar(), 20_000).unwrap_err().to_string();
        assert_eq!(refused, "LIMIT the chunks to be made anew would take 32768 bytes, the limit is 20000");
        let refused = array.write(&selection, &[9; 40], &Shape::from([5]), 1 << 20).unwrap_err().to_string();
        assert_eq!(refused, "SHAPE a value of shape (5,) does not broadcast to the selection's shape (63, 16)");
        assert_eq!(all(&array), bytes);
        // A chunk that does not decode, after one that does.
        let chunks = array.chunks_mut().unwrap();
        let bad = crate::nd::chunk::Chunk::from_stored(
            3,
            Encoding::Lz4(Filter::BYTES),
            &[0xf0],
            crate::nd::checksum::xxh3_64(&[0xf0]),
            4096,
            8,
        );
        chunks.insert(3, bad.unwrap());
        let before: Vec<u64> = array.chunks().unwrap().stored().map(|(_, c)| c.checksum()).collect();
        let refused = array.write(&selection, &[9; 8], &Shape::scalar(), 1 << 20).unwrap_err();
        assert_eq!(refused.code(), "CORRUPT");
        assert_eq!(array.chunks().unwrap().stored().map(|(_, c)| c.checksum()).collect::<Vec<_>>(), before);
        // Written over whole, it need not decode.
        array.write(&select("24:32", &shape), &bytes[..4096], &Shape::from([8, 4, 16]), 1 << 20).unwrap();
        array.verify().unwrap();
    }

    proptest! {
        /// Many writes one after the other are those on one buffer, whatever the storage.
        #[test]
        fn a_run_of_writes_is_the_same_in_any_storage(
            picks in proptest::collection::vec((0..INDEXES.len(), any::<u8>(), any::<bool>()), 1..12),
        ) {
            let shape = Shape::from([7, 5, 6]);
            let storages = [
                options(None, Policy::default(), false),
                options(Some([2, 3, 6]), Policy::default(), false),
                options(Some([4, 2, 5]), Policy::Lz4, true),
                options(Some([3, 5, 6]), Policy::Raw, true),
            ];
            let mut arrays: Vec<Array> =
                storages.iter().map(|o| Array::filled(&shape, Scalar::of(1i32), o).unwrap()).collect();
            let mut want = vec![1i32; 210];
            let mut snapshots = Vec::new();
            for (pick, seed, keep) in picks {
                let selection = select(INDEXES[pick], &shape);
                let out = selection.out_shape().clone();
                let value: Vec<i32> = match seed % 3 {
                    0 => vec![i32::from(seed / 64)],
                    _ => (0..out.checked_size().unwrap() as i32).map(|i| i / (1 + i32::from(seed % 7))).collect(),
                };
                let value_shape = if seed % 3 == 0 { Shape::scalar() } else { out };
                for (k, p) in selection.positions(&shape).enumerate() {
                    want[p] = value[k % value.len()];
                }
                for array in &mut arrays {
                    array.write(&selection, bytemuck::cast_slice(&value), &value_shape, 1 << 20).unwrap();
                    prop_assert_eq!(bytemuck::cast_slice::<i32, u8>(&want), &all(array)[..]);
                    check_accounts(array);
                }
                if keep {
                    snapshots.push((arrays.clone(), want.clone()));
                }
            }
            for (arrays, want) in &snapshots {
                for array in arrays {
                    prop_assert_eq!(bytemuck::cast_slice::<i32, u8>(want), &all(array)[..]);
                    array.verify().unwrap();
                }
            }
        }
    }
}
