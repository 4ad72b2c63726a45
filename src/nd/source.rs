//! Where a new array's elements come from: one slice, several pieces, or a generator.

use std::borrow::Cow;

use super::error::{Error, Result};
use super::lent::{Lender, Lent};

/// C-order little-endian elements, handed out in order. Where they are at hand, other threads may look at them too.
pub trait Source: Sync {
    /// The next `len` bytes, valid until the next call. Callers ask for no more than there is.
    ///
    /// # Errors
    /// `OOM`, or what a generator answers.
    fn next(&mut self, len: usize) -> Result<&[u8]>;

    /// Bytes from anywhere, where they are at hand without work: `len` of them from `start`, or from a little earlier by a
    /// multiple of sixteen bytes. For a look at what there is, not for taking.
    fn peek(&self, start: usize, len: usize) -> Option<&[u8]>;

    /// Whether all bytes are there already, for [`Source::get`].
    fn is_at_hand(&self) -> bool {
        false
    }

    /// These bytes, wherever [`Source::next`] has come to; copied only where they lie apart. Only where they are at hand.
    ///
    /// # Errors
    /// `OOM`.
    fn get(&self, start: usize, len: usize) -> Result<Cow<'_, [u8]>> {
        let _ = (start, len);
        Ok(Cow::Borrowed(&[]))
    }

    /// Who keeps these bytes, where they lie side by side and need not be copied.
    fn lend(&self, start: usize, len: usize) -> Option<Lent> {
        let _ = (start, len);
        None
    }

    /// How long the pieces are that the bytes come in, where all but the last are equally long.
    fn piece_len(&self) -> Option<usize> {
        None
    }

    /// Makes ready for calls of [`Source::next`] of at most `len` bytes that cannot answer an error; false where that
    /// cannot be promised.
    fn make_infallible(&mut self, len: usize) -> bool;
}

/// Elements in one slice.
pub struct SliceSource<'a> {
    bytes: &'a [u8],
    at: usize,
    lender: Option<&'a dyn Lender>,
}

impl<'a> SliceSource<'a> {
    /// Hands out `bytes`.
    pub fn new(bytes: &'a [u8]) -> SliceSource<'a> {
        SliceSource { bytes, at: 0, lender: None }
    }

    /// Hands out `bytes`, which `lender` may know a keeper of.
    pub fn lent(bytes: &'a [u8], lender: &'a dyn Lender) -> SliceSource<'a> {
        SliceSource { bytes, at: 0, lender: Some(lender) }
    }
}

impl Source for SliceSource<'_> {
    fn next(&mut self, len: usize) -> Result<&[u8]> {
        let part = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(part)
    }

    fn peek(&self, start: usize, len: usize) -> Option<&[u8]> {
        self.bytes.get(start..start + len)
    }

    fn is_at_hand(&self) -> bool {
        true
    }

    fn get(&self, start: usize, len: usize) -> Result<Cow<'_, [u8]>> {
        Ok(Cow::Borrowed(&self.bytes[start..start + len]))
    }

    fn lend(&self, start: usize, len: usize) -> Option<Lent> {
        self.lender?.lend(&self.bytes[start..start + len])
    }

    fn make_infallible(&mut self, _len: usize) -> bool {
        true
    }
}

/// Elements in more pieces than this are handed out in order only.
const MOST_PIECES: usize = 4096;

/// Elements cut anywhere into pieces. Runs that lie within one piece are not copied.
pub struct PiecesSource<'a> {
    pieces: &'a [&'a [u8]],
    piece: usize,
    at: usize,
    joined: Vec<u8>,
    lender: Option<&'a dyn Lender>,
    /// The length of all but the last, which is no longer, where there is a lender.
    length: Option<usize>,
}

impl<'a> PiecesSource<'a> {
    /// Hands out `pieces` one after the other.
    pub fn new(pieces: &'a [&'a [u8]]) -> PiecesSource<'a> {
        PiecesSource { pieces, piece: 0, at: 0, joined: Vec::new(), lender: None, length: None }
    }

    /// Hands out `pieces`, which `lender` may know keepers of.
    pub fn lent(pieces: &'a [&'a [u8]], lender: &'a dyn Lender) -> PiecesSource<'a> {
        let length = pieces.split_last().and_then(|(last, others)| {
            let length = others.first().map_or(last.len(), |first| first.len());
            let are_alike = others.iter().all(|piece| piece.len() == length) && (1..=length).contains(&last.len());
            are_alike.then_some(length)
        });
        PiecesSource { lender: Some(lender), length, ..PiecesSource::new(pieces) }
    }
}

impl Source for PiecesSource<'_> {
    fn next(&mut self, len: usize) -> Result<&[u8]> {
        while self.piece < self.pieces.len() && self.at == self.pieces[self.piece].len() {
            self.piece += 1;
            self.at = 0;
        }
        if len == 0 {
            return Ok(&[]);
        }
        let pieces = self.pieces;
        let piece = pieces[self.piece];
        if piece.len() - self.at >= len {
            let part = &piece[self.at..self.at + len];
            self.at += len;
            return Ok(part);
        }
        self.joined.clear();
        self.joined.try_reserve_exact(len).map_err(|_| Error::OutOfMemory { bytes: len })?;
        while self.joined.len() < len {
            let piece = pieces[self.piece];
            let n = (len - self.joined.len()).min(piece.len() - self.at);
            self.joined.extend_from_slice(&piece[self.at..self.at + n]);
            self.at += n;
            if self.at == piece.len() && self.joined.len() < len {
                self.piece += 1;
                self.at = 0;
            }
        }
        Ok(&self.joined)
    }

    fn peek(&self, mut start: usize, len: usize) -> Option<&[u8]> {
        for piece in self.pieces {
            if start < piece.len() {
                // Across a cut, a little earlier: by whole elements, whatever their size.
                let over = (start + len).saturating_sub(piece.len()).next_multiple_of(16);
                let start = start.checked_sub(over)?;
                return piece.get(start..start + len);
            }
            start -= piece.len();
        }
        None
    }

    fn is_at_hand(&self) -> bool {
        self.pieces.len() <= MOST_PIECES // `get` looks for the first by going through them
    }

    fn get(&self, mut start: usize, len: usize) -> Result<Cow<'_, [u8]>> {
        let mut joined = Vec::new();
        for piece in self.pieces {
            if start >= piece.len() {
                start -= piece.len();
                continue;
            }
            let part = &piece[start..piece.len().min(start + len - joined.len())];
            if part.len() == len {
                return Ok(Cow::Borrowed(part));
            }
            joined.try_reserve_exact(len - joined.len()).map_err(|_| Error::OutOfMemory { bytes: len })?;
            joined.extend_from_slice(part);
            if joined.len() == len {
                break;
            }
            start = 0;
        }
        Ok(Cow::Owned(joined))
    }

    fn lend(&self, start: usize, len: usize) -> Option<Lent> {
        let lender = self.lender?;
        let length = self.length?; // so there is no looking for the piece
        let piece = self.pieces.get(start / length)?;
        lender.lend(piece.get(start % length..)?.get(..len)?)
    }

    fn piece_len(&self) -> Option<usize> {
        self.length
    }

    fn make_infallible(&mut self, len: usize) -> bool {
        self.joined.clear();
        self.joined.try_reserve_exact(len).is_ok() // joining is all that takes memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_cut_anywhere_read_as_one(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..8),
            cuts in proptest::collection::vec(0usize..10, 0..20),
        ) {
            let whole: Vec<u8> = pieces.concat();
            let slices: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let mut source = PiecesSource::new(&slices);
            let mut at = 0;
            for cut in cuts {
                let n = cut.min(whole.len() - at);
                prop_assert_eq!(source.next(n).unwrap(), &whole[at..at + n]);
                prop_assert_eq!(&*source.get(at, n).unwrap(), &whole[at..at + n]);
                at += n;
            }
        }
    }
}
