//! Arrays whose elements stay where they came in.
//!
//! Elements that are kept raw need not be copied out of the string that a client sent, if that string can be kept: the
//! chunks then are parts of it. Nobody else is to see those bytes change, so the first write to a chunk moves it into memory of its
//! own. A string stays as long as one chunk needs it: once a chunk has left a string that others share, every
//! write takes some more of them along, until the string is free. A string of which an array needs but a part is not kept
//! to begin with, nor any longer when the array is made shorter.

use super::{encode, Chunks, StoreOptions};
use crate::nd::chunk::{self, Chunk};
use crate::nd::dtype::Dtype;
use crate::nd::error::Result;
use crate::nd::grid::{raw_chunk_shape, Grid};
use crate::nd::lent::Lent;
use crate::nd::shape::Shape;
use crate::nd::source::Source;

/// Bytes of chunks that a write takes out of a shared string, besides those that it changes: some hundred microseconds.
const ALONG: usize = 4 << 20;

impl Chunks {
    /// Whether the elements of an array that is to be stored may stay where they are.
    pub(super) fn are_lent(source: &dyn Source, itemsize: usize) -> bool {
        source.lend(0, itemsize).is_some()
    }

    /// What each string has of these chunks, which are in order: one of its parts, and how many bytes all of them are.
    fn loans<'c>(chunks: impl Iterator<Item = &'c Chunk>) -> Vec<(&'c Lent, usize)> {
        let mut loans: Vec<(&Lent, usize)> = Vec::new();
        for lent in chunks.filter_map(Chunk::keeper) {
            match loans.last_mut().filter(|(first, _)| first.has_keeper_of(lent)) {
                Some((_, bytes)) => *bytes += lent.bytes().len(),
                None => loans.push((lent, lent.bytes().len())),
            }
        }
        loans
    }

    /// Counts what strings take of which these chunks are parts, besides those parts. To be called when a chunk may have left one.
    pub(super) fn count_idle(&mut self) {
        let idle = |(lent, bytes): (&Lent, usize)| lent.keeper().memory().saturating_sub(lent.memory_of(bytes));
        self.idle = match self.has_lent {
            true => Chunks::loans(self.map.values()).into_iter().map(idle).sum(),
            false => 0,
        };
    }

    /// Whether a chunk has left a string in which others still are.
    pub(super) fn is_parted(&self) -> bool {
        let is_parted = |(lent, bytes): &(&Lent, usize)| *bytes < lent.keeper().bytes().len() / 8 * 7;
        self.borrows && Chunks::loans(self.map.values()).iter().any(is_parted)
    }

    /// To be called when chunks were left out: takes the others out of strings of which they are at most half. Where memory is
    /// short they stay.
    pub(super) fn repay(&mut self) {
        if !self.borrows {
            return;
        }
        let loans = Chunks::loans(self.map.values());
        let small: Vec<Lent> = loans
            .iter()
            .filter(|(lent, bytes)| bytes * 2 <= lent.keeper().bytes().len())
            .map(|(lent, _)| (*lent).clone())
            .collect();
        for chunk in self.map.values_mut() {
            if chunk.keeper().is_some_and(|lent| small.iter().any(|other| other.has_keeper_of(lent))) {
                let Ok(own) = chunk.copy() else { break };
                self.memory = self.memory + own.memory() - chunk.memory();
                *chunk = own;
            }
        }
        self.count_idle();
    }

    /// The chunks of elements that stay raw and where they are; nothing where they have to be copied. `small` is the grid of
    /// those that may be encoded.
    pub(super) fn lent(
        dtype: Dtype,
        shape: &Shape,
        source: &dyn Source,
        options: &StoreOptions,
        small: &Grid,
    ) -> Result<Option<Chunks>> {
        let itemsize = dtype.itemsize();
        if small.is_empty() || !Chunks::are_lent(source, itemsize) {
            return Ok(None);
        }
        let mut grid = options.raw_grid(dtype, shape, small.clone())?;
        let chunk_bytes = |grid: &Grid| grid.chunk_shape().len_or_max().saturating_mul(itemsize);
        // Chunks as long as the pieces that came in lie in one each.
        if let Some(length) = source.piece_len().filter(|n| *n < chunk_bytes(&grid) || *n % chunk_bytes(&grid) != 0) {
            let target = length.min(chunk::MAX_CHUNK_BYTES);
            grid = Grid::new(shape, &raw_chunk_shape(shape, dtype, small.chunk_shape().clone(), target), dtype)?;
        }
        let Some(list) = encode::lent(&grid, itemsize, shape.len_or_max().saturating_mul(itemsize), source)? else {
            return Ok(None);
        };
        // A third may be the allocator's slack, and what stands before and after the elements.
        let loans = Chunks::loans(list.iter().map(|(_, chunk)| chunk));
        let taken = loans.iter().map(|(lent, _)| lent.keeper().memory()).fold(0, usize::saturating_add);
        let needed = loans.iter().map(|(_, bytes)| bytes).sum::<usize>();
        if taken > needed.saturating_add(needed / 2).saturating_add(256) {
            return Ok(None);
        }
        let mut chunks = Chunks::new(&grid, options.policy, [0; 16]);
        chunks.set_all(list);
        Ok(Some(chunks))
    }

    /// To be called after a write: takes some chunks out of a string that they share with others. Where memory is short
    /// they stay.
    pub(super) fn come_home(&mut self) {
        if !self.borrows && self.idle == 0 {
            return;
        }
        let mut done = 0;
        self.borrows = false;
        for chunk in self.map.values_mut().filter(|chunk| chunk.keeper().is_some_and(|lent| !lent.is_most())) {
            let Some(own) = (done < ALONG).then(|| chunk.copy().ok()).flatten() else {
                self.borrows = true;
                break;
            };
            done += own.stored_bytes().len();
            self.memory = self.memory + own.memory() - chunk.memory();
            *chunk = own;
        }
        self.count_idle();
    }

    /// `len` bytes from byte `first` of chunk `number` on, where the chunks that hold them lie side by side in one string.
    pub(super) fn run_of_keeper(&self, number: u64, first: usize, len: usize) -> Option<&[u8]> {
        let head = self.map.get(&number)?.keeper()?;
        let mut end: &Lent = head;
        let mut have = head.bytes().len().checked_sub(first)?;
        for next in number + 1.. {
            if have >= len {
                break;
            }
            let lent = self.map.get(&next).and_then(Chunk::keeper)?;
            if !end.is_followed_by(lent) {
                return None;
            }
            have += lent.bytes().len();
            end = lent;
        }
        head.onward(first, len)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::nd::array::tests::{all, check_whole};
    use crate::nd::array::Array;
    use crate::nd::codec::{Encoding, Policy};
    use crate::nd::index::Index;
    use crate::nd::kernels::elementwise::Operator;
    use crate::nd::lent::{Keeper, Lender};
    use crate::nd::memory;
    use crate::nd::scalar::Scalar;
    use crate::nd::source::{PiecesSource, SliceSource};

    /// A string as a server has it: a head of some bytes, which puts what follows at any address.
    #[derive(Debug)]
    struct Text {
        words: Vec<u64>,
        head: usize,
        len: usize,
    }

    impl Keeper for Text {
        fn bytes(&self) -> &[u8] {
            &memory::bytes(&self.words, self.head + self.len)[self.head..]
        }

        fn memory(&self) -> usize {
            self.len + self.len / 4
        }
    }

    struct Texts(Vec<Arc<Text>>);

    impl Texts {
        fn new<'a>(pieces: impl Iterator<Item = &'a [u8]>, head: usize) -> Texts {
            let text = |piece: &[u8]| {
                let bytes = [&vec![0xaa; head][..], piece].concat();
                Arc::new(Text { words: memory::buffer_from(&bytes).unwrap().into_vec(), head, len: piece.len() })
            };
            Texts(pieces.map(text).collect())
        }

        /// How many parts of arrays are still in the texts.
        fn parts(&self) -> usize {
            self.0.iter().map(|text| Arc::strong_count(text) - 1).sum()
        }
    }

    impl Lender for Texts {
        fn lend(&self, bytes: &[u8]) -> Option<Lent> {
            let inner = bytes.as_ptr_range();
            let holds = |text: &&Arc<Text>| {
                let outer = text.bytes().as_ptr_range();
                outer.start <= inner.start && inner.end <= outer.end
            };
            let text = self.0.iter().find(holds)?;
            Lent::new(text.clone(), inner.start.addr() - text.bytes().as_ptr().addr(), bytes.len())
        }
    }

    fn noise(n: usize) -> Vec<u8> {
        let mut x = 0x9e37_79b9_7f4a_7c15u64;
        (0..n)
            .map(|_| {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                (x >> 32) as u8 & 0x7f // no NaN, no huge number among those of two bytes and more
            })
            .collect()
    }

    fn raw() -> StoreOptions {
        StoreOptions { policy: Policy::Raw, ..StoreOptions::default() }
    }

    /// One array that stays in a text, and the text.
    fn lent(dtype: Dtype, shape: &Shape, elements: &[u8], head: usize, options: &StoreOptions) -> (Array, Texts) {
        let texts = Texts::new([elements].into_iter(), head);
        let array = {
            let bytes = texts.0[0].bytes();
            Array::from_source(dtype, shape, &mut SliceSource::lent(bytes, &texts), options).unwrap()
        };
        (array, texts)
    }

    #[test]
    fn an_array_left_in_a_string_is_like_any_other() {
        for (dtype, columns) in [(Dtype::Float64, 64), (Dtype::Complex128, 30), (Dtype::Int16, 300), (Dtype::Bool, 512)]
        {
            let rows = 3_000_000 / columns / dtype.itemsize();
            let shape = Shape::from([rows, columns]);
            let mut elements = noise(rows * columns * dtype.itemsize());
            if dtype == Dtype::Bool {
                elements.iter_mut().for_each(|b| *b &= 1);
            }
            let own = Array::from_source(dtype, &shape, &mut SliceSource::new(&elements), &raw()).unwrap();
            for head in [0, 1, 3, 8, 9] {
                let (array, texts) = lent(dtype, &shape, &elements, head, &raw());
                assert_eq!(texts.parts(), 3, "three chunks, and nothing else");
                check_whole(&array);
                assert_eq!((array.encodings().to_vec(), array.shape()), (vec![Encoding::Raw], shape.clone()));
                assert!(all(&array) == elements);
                assert_eq!(array.digest().unwrap(), own.digest().unwrap());
                assert!(array.run_in_place(0, array.size()).is_some_and(|run| run == elements), "one run for a reply");
                for (start, len) in [(5, 7), (columns * 2000, columns * (rows - 2001)), (array.size() - 1, 1)] {
                    let bytes = start * dtype.itemsize()..(start + len) * dtype.itemsize();
                    assert!(array.run_in_place(start, len).is_some_and(|run| *run == elements[bytes]));
                }
                for index in ["-1", "::-7,3", "[5,2000,5],::2", "...,None"] {
                    let selection = Index::parse(index.as_bytes()).unwrap().resolve(&shape).unwrap();
                    assert_eq!(array.read(&selection).unwrap(), own.read(&selection).unwrap(), "{index}");
                }
                let options = StoreOptions::default();
                let cast = |array: &Array| all(&array.astype(Dtype::Float32, &options, usize::MAX).unwrap());
                if dtype != Dtype::Complex128 {
                    assert!(cast(&array) == cast(&own));
                }
            }
        }
    }

    #[test]
    fn a_write_takes_chunks_along_until_the_string_is_free() {
        let (rows, shape) = (100_000, Shape::from([100_000, 16]));
        let elements = noise(rows * 128);
        let (mut array, texts) = lent(Dtype::Int64, &shape, &elements, 5, &raw());
        assert_eq!(texts.parts(), 13);
        let before = array.memory();
        assert!(before > elements.len() * 5 / 4 && before < elements.len() * 5 / 4 + 10_000, "with the string's slack");
        let snapshot = array.clone();
        let mut want: Vec<i64> = elements.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect();
        let mut left = vec![texts.parts() - 13];
        for (i, row) in [50_000, 3, 99_999, 50_001, 4].into_iter().enumerate() {
            let index = Index::parse(row.to_string().as_bytes()).unwrap().resolve(&shape).unwrap();
            array
                .update(&index, Operator::Add, Dtype::Int64, &7i64.to_le_bytes(), &Shape::scalar(), usize::MAX)
                .unwrap();
            want[row * 16..][..16].iter_mut().for_each(|x| *x = x.wrapping_add(7));
            check_whole(&array);
            assert!(all(&array) == bytemuck::cast_slice::<i64, u8>(&want), "write {i}");
            left.push(array.chunks().unwrap().stored().filter(|(_, c)| c.keeper().is_some()).count());
        }
        assert!(left[1] < 13 - 4 && left[2] < left[1] && left[5] == 0, "{left:?}");
        assert!(texts.0[0].bytes() == elements && all(&snapshot) == elements, "nobody else saw a change");
        assert_eq!(texts.parts(), 13, "the snapshot's");
        drop(snapshot);
        assert_eq!(texts.parts(), 0);
        assert!(array.memory() < elements.len() + 20_000);
    }

    /// Numbers that the codec for speed leaves alone, and the one for size does not; from the last MiB on, noise.
    fn half_small(n: usize) -> Vec<u8> {
        // The finisher of splitmix64.
        let mixed = |i: u64| {
            let z = (i ^ (i >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z >> 34
        };
        let mut bytes: Vec<u8> =
            (1..=n as u64 / 8).flat_map(|i| (mixed(i << 32 | i) * 8_589_934_583).to_le_bytes()).collect();
        let end = noise(1 << 20);
        bytes[n - (1 << 20)..].copy_from_slice(&end);
        bytes
    }

    #[test]
    fn compaction_leaves_no_string_behind() {
        let elements = half_small(4 << 20);
        let shape = Shape::from([elements.len() / 8]);
        let (mut array, texts) = lent(Dtype::Int64, &shape, &elements, 3, &StoreOptions::default());
        assert_eq!((texts.parts(), array.encodings().to_vec()), (4, vec![Encoding::Raw]));
        // The noise first, so that it is left alone before anything has got smaller: it comes along in the second round.
        for from in [3, 0, 0] {
            let mut next = Some(from);
            while let Some(from) = next {
                let mut stretch = array.stretch(from, 1, usize::MAX);
                stretch.make_smaller().unwrap();
                array.put_smaller(&mut stretch);
                next = stretch.next;
            }
        }
        assert!(!array.is_parted() && texts.parts() == 0);
        check_whole(&array);
        assert!(array.memory() < elements.len() * 3 / 4 && all(&array) == elements);
    }

    #[test]
    fn memory_counts_all_of_a_string_that_is_kept() {
        let (shape, elements) = (Shape::from([2048, 512]), noise(4 << 20));
        let (string, rest) = ((4 << 20) + (1 << 20), 64 << 10);
        let zero = Scalar::of(0f32);
        for rows in [2048, 2047, 1600] {
            let (array, texts) = lent(Dtype::Float32, &shape, &elements, 0, &raw());
            assert!((string..string + rest).contains(&array.memory()), "{}", array.memory());
            let options = StoreOptions::default();
            let mut shorter = array.resized(&Shape::from([rows, 512]), zero, &options, usize::MAX).unwrap();
            drop(array);
            assert!(texts.parts() > 1, "{rows}");
            let made_anew = if rows % 512 == 0 { 0 } else { rows % 512 * 2048 };
            let held = string + made_anew;
            assert!((held..held + held / 8 + rest).contains(&shorter.memory()), "{rows}: {}", shorter.memory());
            let row = Index::parse(b"3").unwrap().resolve(&shorter.shape()).unwrap();
            shorter.write(&row, &[0; 2048], &Shape::from([512]), usize::MAX).unwrap();
            assert_eq!(texts.parts(), 0, "a write takes so few along at once");
            let own = rows * 2048;
            assert!((own..own + own / 4 + rest).contains(&shorter.memory()), "{rows}: {}", shorter.memory());
        }
    }

    #[test]
    fn what_an_array_needs_little_of_is_not_kept() {
        let elements = noise(2 << 20);
        let (array, texts) = lent(Dtype::Float32, &Shape::from([1024, 512]), &elements, 7, &raw());
        assert_eq!(texts.parts(), 2);
        let options = StoreOptions::default();
        let shorter = array.resized(&Shape::from([900, 512]), Scalar::of(0f32), &options, usize::MAX).unwrap();
        assert_eq!(texts.parts(), 2, "the same chunks");
        let short = array.resized(&Shape::from([512, 512]), Scalar::of(0f32), &options, usize::MAX).unwrap();
        drop((array, shorter));
        assert_eq!(texts.parts(), 0, "half of it");
        let shortest = short.resized(&Shape::from([100, 512]), Scalar::of(0f32), &options, usize::MAX).unwrap();
        drop(short);
        assert_eq!(texts.parts(), 0);
        assert!(all(&shortest) == elements[..100 * 2048] && shortest.free_effort() > 0);
    }

    #[test]
    fn chunks_are_as_long_as_the_pieces_or_part_of_one() {
        let shape = Shape::from([4096, 256]);
        let elements = noise(4096 * 1024);
        for (piece, chunks) in [
            (256 << 10, Some(16)),
            (1 << 20, Some(4)),
            (2 << 20, Some(4)),
            (3 << 20, Some(4)),
            (3 << 19, Some(3)),
            (100_000, None),
        ] {
            let texts = Texts::new(elements.chunks(piece), 9);
            let pieces: Vec<&[u8]> = texts.0.iter().map(|text| text.bytes()).collect();
            let array =
                Array::from_source(Dtype::Float32, &shape, &mut PiecesSource::lent(&pieces, &texts), &raw()).unwrap();
            check_whole(&array);
            assert!(all(&array) == elements);
            assert_eq!(texts.parts(), chunks.unwrap_or(0), "{piece}");
        }
    }

    #[test]
    fn what_gets_smaller_is_not_left_where_it_is() {
        let elements: Vec<u8> = (0..200_000i64).flat_map(i64::to_le_bytes).collect();
        let (array, texts) = lent(Dtype::Int64, &Shape::from([200_000]), &elements, 9, &StoreOptions::default());
        assert_eq!(texts.parts(), 0);
        assert!(array.stored_bytes() < elements.len() / 4);
        let given = StoreOptions { chunk_shape: Some(Shape::from([100, 7])), ..raw() };
        let (array, texts) = lent(Dtype::Int64, &Shape::from([400, 500]), &elements, 9, &given);
        assert_eq!(texts.parts(), 0, "chunks that are no runs");
        assert!(all(&array) == elements[..]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn writes_give_what_they_give_elsewhere(
            head in 0usize..16,
            rows in 500usize..9000,
            steps in proptest::collection::vec((0usize..9000, 0usize..5), 1..8),
        ) {
            let shape = Shape::from([rows, 100]);
            let elements = noise(rows * 400);
            let options = raw();
            let mut own = Array::from_source(Dtype::Int32, &shape, &mut SliceSource::new(&elements), &options).unwrap();
            let (mut array, texts) = lent(Dtype::Int32, &shape, &elements, head, &options);
            for (at, what) in steps {
                for array in [&mut own, &mut array] {
                    let height = array.shape()[0];
                    let row = at % height.max(1);
                    match what {
                        0 | 1 if height > 0 => {
                            let index = format!("{row}:{},::3", row + 1 + at % 700);
                            let selection = Index::parse(index.as_bytes()).unwrap().resolve(&array.shape()).unwrap();
                            let value = 9i32.to_le_bytes();
                            array.update(&selection, Operator::Mul, Dtype::Int32, &value, &Shape::scalar(), usize::MAX).unwrap();
                        }
                        2 => {
                            let most = (height > 400).then_some(height - 100);
                            array.append(0, &noise(400 * 30), &Shape::from([30, 100]), most, &options, usize::MAX).unwrap();
                        }
                        _ => {
                            *array = array
                                .resized(&Shape::from([height + at % 50, 100]), Scalar::of(0i32), &options, usize::MAX)
                                .unwrap();
                        }
                    }
                }
                prop_assert!(all(&array) == all(&own));
                check_whole(&array);
            }
            prop_assert!(texts.0[0].bytes() == elements);
        }
    }
}
