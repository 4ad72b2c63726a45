//! Chunks of an array at rest, stored anew where that is smaller: taken out, made on another thread, put in one by one.
//!
//! The grid stays as it is, and so do elements, digest and what is remembered of them: kernels see the blocks that they saw
//! before, whatever a chunk is kept as. So nobody can tell but by the memory, and by the time that reads take.
//!
//! Whoever does this takes a [`Stretch`] of the array: some of its chunks, which it shares, but not the array. A write
//! meanwhile changes the array in place, copies only those of its chunks that are in the stretch, and wins: a chunk is put
//! in only where the array still holds the very one that it was made from.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Array, Body, Chunks};
use crate::nd::chunk::Chunk;
use crate::nd::codec::{Chooser, Compression, Encoding, Policy};
use crate::nd::dtype::Dtype;
use crate::nd::error::{Error, Result};

/// Since when an array is known to be at rest. Cleared with everything else that a write makes forget.
#[derive(Debug, Default)]
pub(super) struct Rest(AtomicU32);

/// Not seen since the last write.
const UNSEEN: u32 = 0;
/// Gone through since the last write: there is no more to save.
const SETTLED: u32 = u32::MAX;

impl Clone for Rest {
    fn clone(&self) -> Rest {
        Rest(AtomicU32::new(self.0.load(Ordering::Relaxed)))
    }
}

/// Some chunks of one array, in order, and what was made of them.
#[derive(Debug)]
pub struct Stretch {
    dtype: Dtype,
    pieces: Vec<Piece>,
    /// The number from which the next stretch is to be taken; nothing where this is the last.
    pub next: Option<u64>,
    /// Whether chunks have left a string in which others of the array are: those are to leave it as well.
    is_parted: bool,
}

#[derive(Debug)]
struct Piece {
    number: u64,
    /// Bytes of its elements.
    nbytes: usize,
    chunk: Chunk,
    /// The same elements in less memory, or in memory of their own.
    smaller: Option<Chunk>,
}

/// What came of putting chunks in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// How many chunks.
    pub chunks: usize,
    /// Bytes of memory.
    pub bytes: usize,
}

impl Array {
    fn rest(&self) -> Option<&Rest> {
        match &self.body {
            Body::Rich(rich) => Some(&rich.memo.rest),
            Body::Plain(_) => None,
        }
    }

    /// Whether its chunks may be stored anew at all: it is whole, and `auto` chose their codec for something else than size.
    pub fn is_compactable(&self) -> bool {
        let fast = |policy| matches!(policy, Policy::Auto(Compression::Speed | Compression::Balanced));
        self.parts_missing() == 0 && self.chunks().is_some_and(|c| fast(c.policy) && !c.map.is_empty())
    }

    /// Since when nobody has written to it, as far as was seen: the `now` of the first call after the last write, a number
    /// that grows with time, from 1. Nothing where [`Array::settle`] was called since.
    pub fn at_rest_since(&self, now: u32) -> Option<u32> {
        let Rest(seen) = self.rest()?;
        match seen.compare_exchange(UNSEEN, now, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Some(now),
            Err(SETTLED) => None,
            Err(since) => Some(since),
        }
    }

    /// Whether [`Array::at_rest_since`] would still answer this.
    pub fn is_at_rest_since(&self, since: u32) -> bool {
        self.rest().is_some_and(|Rest(seen)| seen.load(Ordering::Relaxed) == since)
    }

    /// Remembers until the next write that there is no more to save.
    pub fn settle(&self) {
        if let Some(Rest(seen)) = self.rest() {
            seen.store(SETTLED, Ordering::Relaxed);
        }
    }

    /// The chunks from number `from` on that may become smaller: of `bytes` bytes of elements, but at least one, if there
    /// is any, of at most `most` that are looked at. Left out are constants, what pco keeps already (`auto` never takes
    /// it to be fast), and what another array shares, because it would be there twice.
    pub fn stretch(&self, from: u64, bytes: usize, most: usize) -> Stretch {
        let mut stretch = Stretch { dtype: self.dtype, pieces: Vec::new(), next: None, is_parted: false };
        let Some(chunks) = self.chunks() else { return stretch };
        stretch.is_parted = chunks.is_parted();
        let grid = self.grid_of(chunks);
        let mut left = bytes;
        for (looked_at, (number, chunk)) in chunks.map.range(from..).enumerate() {
            if looked_at == most || left == 0 {
                stretch.next = Some(*number);
                break;
            }
            if matches!(chunk.encoding(), Encoding::Fill | Encoding::Pco(_)) || chunk.is_shared() {
                continue;
            }
            let nbytes = grid.chunk(*number).size() * self.dtype.itemsize();
            if nbytes > left && !stretch.pieces.is_empty() {
                stretch.next = Some(*number);
                break;
            }
            left = left.saturating_sub(nbytes);
            stretch.pieces.push(Piece { number: *number, nbytes, chunk: chunk.clone(), smaller: None });
        }
        stretch
    }

    /// Puts in what was made of a stretch, where the array still holds what it was made from.
    pub fn put_smaller(&mut self, stretch: &mut Stretch) -> Saved {
        let mut saved = Saved::default();
        let Some(chunks) = self.chunks_mut() else { return saved };
        let mut new = BTreeMap::new();
        for piece in &mut stretch.pieces {
            let Some(smaller) = piece.smaller.take() else { continue };
            if chunks.map.get(&piece.number).is_some_and(|held| held.is(&piece.chunk)) {
                saved.chunks += usize::from(smaller.encoding() != Encoding::Raw);
                saved.bytes += piece.chunk.memory().saturating_sub(smaller.memory());
                new.insert(piece.number, Some(smaller));
            }
        }
        chunks.put(new);
        chunks.count_idle();
        saved
    }

    /// Whether chunks that were made smaller have left a string in which others still are. Those leave it too in the stretches of
    /// another round.
    pub fn is_parted(&self) -> bool {
        self.chunks().is_some_and(Chunks::is_parted)
    }
}

impl Stretch {
    /// Whether there is nothing to be done.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes of its elements.
    pub fn nbytes(&self) -> usize {
        self.pieces.iter().map(|p| p.nbytes).sum()
    }

    /// Makes of each chunk what is as small as can be, and keeps it where it takes at least a tenth less memory.
    ///
    /// A chunk whose checksum does not hold stays as it is, and so does one that would not give the same elements: what was
    /// at rest is not to be spoiled, nor sealed anew.
    ///
    /// # Errors
    /// The first thing that went wrong with a chunk, after all others were made: `CORRUPT`, `OOM`.
    pub fn make_smaller(&mut self) -> Result<()> {
        let itemsize = self.dtype.itemsize();
        let policy = Policy::Auto(Compression::Size);
        let chooser = Chooser::new(policy, self.dtype, self.nbytes(), |start, len| self.sample(start, len));
        let mut outcome = Ok(());
        if chooser.keeps_raw() {
            return self.take_home(outcome);
        }
        for piece in &mut self.pieces {
            match piece.chunk.smaller(piece.number, piece.nbytes, itemsize, &chooser) {
                Ok(smaller) => piece.smaller = smaller,
                Err(e) => outcome = outcome.and(Err(e)),
            }
        }
        self.take_home(outcome)
    }

    /// Copies the chunks that stay as they are out of a string that others leave.
    fn take_home(&mut self, outcome: Result<()>) -> Result<()> {
        if !self.is_parted && self.pieces.iter().all(|piece| piece.smaller.is_none()) {
            return outcome;
        }
        for piece in self.pieces.iter_mut().filter(|p| p.smaller.is_none() && p.chunk.keeper().is_some()) {
            piece.smaller = Some(piece.chunk.copy()?);
        }
        outcome
    }

    /// Bytes of the elements of all chunks, one after the other, for the chooser. What does not decode is no sample.
    fn sample(&self, start: usize, len: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        let mut before = 0;
        for piece in &self.pieces {
            let from = (start + bytes.len()).saturating_sub(before);
            before += piece.nbytes;
            if from < piece.nbytes {
                let take = |elements: &[u8]| {
                    let end = (from + len - bytes.len()).min(elements.len());
                    bytes.extend_from_slice(&elements[from..end]);
                    Ok::<(), Error>(())
                };
                piece.chunk.peek(piece.number, piece.nbytes, self.dtype.itemsize(), take).ok()?;
                if bytes.len() == len {
                    return Some(bytes);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nd::array::StoreOptions;
    use crate::nd::index::Index;
    use crate::nd::kernels::reduce::Op;
    use crate::nd::shape::Shape;
    use crate::nd::source::SliceSource;

    /// Numbers without order (the finisher of splitmix64).
    fn mixed(i: u64) -> u64 {
        let z = (i ^ (i >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Prices: whole hundredths as float64. LZ4 finds little in them, pco much.
    fn prices(count: usize) -> Vec<u8> {
        (1..=count as u64).flat_map(|i| ((mixed(i) % 90_000) as f64 / 100.0).to_le_bytes()).collect()
    }

    fn noise(count: usize) -> Vec<u8> {
        (1..=count as u64).flat_map(|i| mixed(i << 32 | i).to_le_bytes()).collect()
    }

    fn array(bytes: &[u8], shape: &[usize], chunk: Option<&[usize]>) -> Array {
        let chunk_shape = chunk.map(|c| Shape::new(c).unwrap());
        let options = StoreOptions { chunk_shape, ..StoreOptions::default() };
        let mut source = SliceSource::new(bytes);
        Array::from_source(Dtype::Float64, &Shape::new(shape).unwrap(), &mut source, &options).unwrap()
    }

    /// Goes through the whole array, a stretch of at most `bytes` at a time.
    fn compact(array: &mut Array, bytes: usize, most: usize) -> Saved {
        let mut saved = Saved::default();
        let mut next = Some(0);
        while let Some(from) = next {
            let mut stretch = array.stretch(from, bytes, most);
            stretch.make_smaller().unwrap();
            let some = array.put_smaller(&mut stretch);
            saved = Saved { chunks: saved.chunks + some.chunks, bytes: saved.bytes + some.bytes };
            next = stretch.next;
        }
        saved
    }

    fn elements(array: &Array) -> Vec<u8> {
        let mut out = Vec::new();
        array.read_run(0, array.size(), &mut out).unwrap();
        out
    }

    /// What kernels see: the places and elements of the blocks.
    fn blocks(array: &Array) -> Vec<(Vec<usize>, Vec<usize>)> {
        let mut places = Vec::new();
        array
            .blocks(|place, _| {
                places.push((place.offset.to_vec(), place.shape.to_vec()));
                Ok(())
            })
            .unwrap();
        places
    }

    #[test]
    fn nothing_changes_but_the_memory() {
        const COUNT: usize = 300 * 1000;
        for chunk in [None, Some(&[100, 70][..])] {
            for (bytes, most) in [(usize::MAX, usize::MAX), (1, usize::MAX), (1 << 20, usize::MAX), (1 << 20, 1)] {
                let mut array = array(&prices(COUNT), &[300, 1000], chunk);
                array.attributes_mut().set(vec![(b"unit", "\"m\"".to_owned())]).unwrap();
                array.remember(Op::Sum, false, Dtype::Float64, &1f64.to_le_bytes(), COUNT as u64);
                let (digest, memory) = (array.digest(), array.memory());
                let (bytes_before, blocks_before) = (elements(&array), blocks(&array)); // no clone: it would share the chunks
                let saved = compact(&mut array, bytes, most);
                assert!(saved.chunks > 0 && saved.bytes * 10 > memory, "{saved:?} of {memory}");
                assert_eq!(array.memory(), memory - saved.bytes);
                let stored: usize = array.chunks().unwrap().stored().map(|(_, c)| c.stored_bytes().len()).sum();
                assert_eq!(array.stored_bytes(), stored);
                assert_eq!(array.known_digest(), digest.ok(), "still remembered");
                assert!(array.figure(Op::Sum, false).is_some());
                assert!(elements(&array) == bytes_before);
                assert_eq!(blocks(&array), blocks_before);
                assert_eq!(array.attributes().iter().collect::<Vec<_>>(), [(&b"unit"[..], "\"m\"")]);
                array.verify().unwrap();
                assert_eq!(compact(&mut array, bytes, most), Saved::default(), "once is enough");
            }
        }
    }

    #[test]
    fn what_does_not_pay_stays_as_it_is() {
        let mut noisy = array(&noise(200_000), &[200_000], None);
        let memory = noisy.memory();
        assert_eq!(compact(&mut noisy, 4 << 20, 100), Saved::default());
        assert_eq!(noisy.memory(), memory);
    }

    #[test]
    fn a_write_meanwhile_wins_and_the_other_chunks_are_put_in() {
        let shape = Shape::from([300_000]);
        let mut array = array(&prices(300_000), &shape, Some(&[1000]));
        let mut stretch = array.stretch(0, usize::MAX, usize::MAX);
        let chunks = array.chunks().unwrap().stored().len();
        let written = Index::parse(b"1500").unwrap().resolve(&shape).unwrap();
        array.write(&written, &7f64.to_le_bytes(), &Shape::scalar(), usize::MAX).unwrap();
        let want = elements(&array);
        stretch.make_smaller().unwrap();
        let saved = array.put_smaller(&mut stretch);
        assert_eq!(saved.chunks, chunks - 1);
        assert!(elements(&array) == want);
        array.verify().unwrap();
    }

    #[test]
    fn what_is_shared_explicit_small_already_or_damaged_is_left_alone() {
        let bytes = prices(100_000);
        let one = array(&bytes, &[100_000], Some(&[1000]));
        let copy = one.clone();
        assert!(one.stretch(0, usize::MAX, usize::MAX).is_empty(), "each chunk would be there twice");
        drop(copy);
        assert!(!one.stretch(0, usize::MAX, usize::MAX).is_empty());
        for policy in Policy::KINDS {
            let options = StoreOptions { policy: *policy, ..StoreOptions::default() };
            let shape = Shape::from([100_000]);
            let array = Array::from_source(Dtype::Float64, &shape, &mut SliceSource::new(&bytes), &options).unwrap();
            let fast = [Policy::Auto(Compression::Speed), Policy::Auto(Compression::Balanced)];
            assert_eq!(array.is_compactable(), fast.contains(policy));
        }
        let small = array(&bytes[..800], &[100], None);
        assert!(!small.is_compactable() && small.at_rest_since(1).is_none());
    }

    #[test]
    fn rest_is_counted_from_the_first_look_after_a_write() {
        let shape = Shape::from([100_000]);
        let mut array = array(&prices(100_000), &shape, None);
        assert_eq!((array.at_rest_since(5), array.at_rest_since(9)), (Some(5), Some(5)));
        assert!(array.is_at_rest_since(5) && !array.is_at_rest_since(9));
        array.attributes_mut().set(vec![(b"unit", "\"m\"".to_owned())]).unwrap();
        assert!(array.clone().is_at_rest_since(5), "elements are what counts");
        let one = Index::parse(b"1").unwrap().resolve(&shape).unwrap();
        let write = |array: &mut Array| array.write(&one, &7f64.to_le_bytes(), &Shape::scalar(), usize::MAX).unwrap();
        write(&mut array);
        assert!(!array.is_at_rest_since(5));
        assert_eq!(array.at_rest_since(11), Some(11));
        array.settle();
        assert_eq!((array.at_rest_since(12), array.is_at_rest_since(11)), (None, false));
        write(&mut array);
        assert_eq!(array.at_rest_since(13), Some(13));
    }
}
