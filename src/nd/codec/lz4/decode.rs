//! An LZ4 block decoder for shuffled numbers.
//!
//! ```text
//! block     sequence ... last
//! sequence  token · [length bytes] · literals · offset u16 · [length bytes]
//! last      token · [length bytes] · literals
//! token     literal count (high 4 bits) · match length - 4 (low 4 bits); 15 goes on in length bytes: 255 ... < 255
//! ```
//!
//! Why one of our own beside `lz4_flex`, which encodes: a shuffled plane of like bytes is one match of offset 1 and of
//! thousands of bytes, which the crate copies byte by byte. Here a match that overlaps itself is copied by doubling, so that
//! a long run costs what filling memory costs. Short pieces are copied in words of 16 bytes, more than is wanted where
//! there is room for more: what follows writes over the rest, and nothing is called to copy five bytes. Every read and
//! write is checked; a test decodes what the crate encodes, and damaged blocks, with both, and wants the same.

/// Bytes that are copied at once.
const WORD: usize = 16;

/// A match of at most this many bytes is copied in words.
const SHORT: usize = 4 * WORD;

/// Decodes all of `source` into all of `out`.
///
/// # Errors
/// A phrase that says what does not hold.
pub fn decode(source: &[u8], out: &mut [u8]) -> Result<(), &'static str> {
    const ENDS: &str = "the LZ4 block ends early";
    const FULL: &str = "the LZ4 block holds more bytes than the shape asks for";
    let mut at = 0;
    let mut done = 0usize;
    loop {
        let token = *source.get(at).ok_or(ENDS)?;
        at += 1;
        let literals = length(source, &mut at, token >> 4).ok_or(ENDS)?;
        match (word_at(source, at), out.get_mut(done..).and_then(|rest| rest.first_chunk_mut())) {
            (Some(from), Some(to)) if literals <= WORD => *to = from,
            _ => {
                let from = source.get(at..at.checked_add(literals).ok_or(ENDS)?).ok_or(ENDS)?;
                let to = done.checked_add(literals).and_then(|end| out.get_mut(done..end)).ok_or(FULL)?;
                to.copy_from_slice(from);
            }
        }
        at += literals;
        done += literals;
        if at == source.len() {
            return if done == out.len() {
                Ok(())
            } else {
                Err("the LZ4 block holds fewer bytes than the shape asks for")
            };
        }
        let offset = match source.get(at..at + 2) {
            Some(&[low, high]) => usize::from(u16::from_le_bytes([low, high])),
            _ => return Err(ENDS),
        };
        at += 2;
        let len = length(source, &mut at, token & 15).and_then(|n| n.checked_add(4)).ok_or(ENDS)?;
        if offset == 0 || offset > done {
            return Err("an LZ4 match points before the first byte");
        }
        if out.len() - done < len {
            return Err(FULL);
        }
        copy_match(out, done, offset, len);
        done += len;
    }
}

/// A count from a token's four bits and the length bytes that follow it.
fn length(source: &[u8], at: &mut usize, nibble: u8) -> Option<usize> {
    let mut n = usize::from(nibble);
    if nibble == 15 {
        loop {
            let byte = *source.get(*at)?;
            *at += 1;
            n = n.checked_add(usize::from(byte))?;
            if byte != 255 {
                break;
            }
        }
    }
    Some(n)
}

/// The word that begins at a place.
fn word_at(bytes: &[u8], at: usize) -> Option<[u8; WORD]> {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied()
}

/// Copies `len` bytes from `offset` before `done` to `done`; where they overlap, what was copied repeats.
fn copy_match(out: &mut [u8], done: usize, offset: usize, len: usize) {
    let start = done - offset;
    let room = out.len() - done >= SHORT;
    if offset == 1 {
        let byte = out[start];
        if len <= SHORT && room {
            let words = out[done..done + SHORT].as_chunks_mut::<WORD>().0;
            words.iter_mut().take(len.div_ceil(WORD)).for_each(|word| *word = [byte; WORD]);
            return;
        }
        out[done..done + len].fill(byte);
        return;
    }
    if offset >= WORD && len <= SHORT && room {
        // No word reaches into what it writes.
        let (before, after) = out[start..].split_at_mut(offset);
        if offset >= SHORT {
            let (from, to) = (before.as_chunks::<WORD>().0, after[..SHORT].as_chunks_mut::<WORD>().0);
            to.iter_mut().zip(from).take(len.div_ceil(WORD)).for_each(|(to, from)| *to = *from);
            return;
        }
        for word in 0..len.div_ceil(WORD) {
            if let Some(bytes) = word_at(&out[start..], word * WORD) {
                out[done + word * WORD..][..WORD].copy_from_slice(&bytes);
            }
        }
        return;
    }
    // From `start` on, the first `offset + copied` bytes are right: copy as many of them as are still wanted.
    let mut copied = 0;
    while copied < len {
        let n = (offset + copied).min(len - copied);
        out.copy_within(start..start + n, done + copied);
        copied += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both(block: &[u8], len: usize) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let (mut ours, mut theirs) = (vec![0; len], vec![0; len]);
        let ours = decode(block, &mut ours).is_ok().then_some(ours);
        let theirs = lz4_flex::block::decompress_into(block, &mut theirs).is_ok_and(|n| n == len).then_some(theirs);
        (ours, theirs)
    }

    proptest! {
        #[test]
        fn what_the_crate_encodes_decodes_alike(
            pieces in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 1..9), 1usize..300), 0..40),
        ) {
            let bytes: Vec<u8> = pieces.iter().flat_map(|(p, n)| p.iter().copied().cycle().take(*n)).collect();
            let block = lz4_flex::block::compress(&bytes);
            prop_assert_eq!(both(&block, bytes.len()), (Some(bytes.clone()), Some(bytes)));
        }

        #[test]
        fn damaged_blocks_decode_to_the_same_or_are_refused(
            bytes in proptest::collection::vec(0u8..4, 0..400),
            edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            len in 0usize..500,
        ) {
            let mut block = lz4_flex::block::compress(&bytes);
            for (at, byte) in edits {
                let at = at.index(block.len());
                block[at] = byte;
            }
            for len in [bytes.len(), len] {
                let (ours, theirs) = both(&block, len);
                // What both read they read alike; one may be stricter about how a block ends.
                if let (Some(ours), Some(theirs)) = (ours, theirs) {
                    prop_assert_eq!(ours, theirs);
                }
            }
        }
    }

    #[test]
    fn err_what_is_no_block() {
        let refused = |block: &[u8], len| decode(block, &mut vec![0; len]).unwrap_err();
        assert_eq!(refused(b"", 0), "the LZ4 block ends early");
        assert_eq!(refused(b"\xf0\xff", 300), "the LZ4 block ends early");
        assert_eq!(refused(b"\x10a\x00\x00\x00", 9), "an LZ4 match points before the first byte");
        assert_eq!(refused(b"\x10a\x02\x00\x00", 9), "an LZ4 match points before the first byte");
        assert_eq!(refused(b"\x20ab", 1), "the LZ4 block holds more bytes than the shape asks for");
        assert_eq!(refused(b"\x20ab", 3), "the LZ4 block holds fewer bytes than the shape asks for");
        assert_eq!(refused(b"\x1fa\x01\x00\x00\x00", 5), "the LZ4 block holds more bytes than the shape asks for");
    }
}
