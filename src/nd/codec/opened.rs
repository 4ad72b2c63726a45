//! A decoded chunk of which parts are wanted: its filter is undone for those parts alone, straight to where they go.
//!
//! A byte-wise codec gives all of its bytes or none, but of a shuffled chunk the bytes of some neighbours are one short
//! stretch in each plane. So a few rows cost the codec, and nothing for the rows beside them; and what is undone is not
//! copied again.
//!
//! Differences are sums from the front. What stands before the part need not be put together for that: the bytes of each
//! plane are added, and the sums of the planes, each in its place, are the sum of the elements.
//!
//! ```text
//! planes      a0 b0 c0 | a1 b1 c1 | ...      elements before the part: a, b
//! a + b       (a0 + b0) + (a1 + b1) << 8 + ...
//! ```

use super::filter::{Filter, Shuffle};
use super::{delta, shuffle, Encoding};
use crate::nd::error::Result;

/// A chunk's bytes after the codec, before or after the filter.
#[derive(Debug)]
pub enum Opened<'a> {
    /// Its elements.
    Elements(&'a [u8]),
    /// Its elements behind a filter that shuffles them.
    Filtered(Filter, &'a [u8]),
}

impl Opened<'_> {
    /// Writes the elements of `itemsize` bytes from `first` on to all of `out`, a whole number of them.
    ///
    /// # Panics
    /// Where the chunk has no such elements: a bug in the caller.
    pub fn part(&self, itemsize: usize, first: usize, out: &mut [u8]) {
        match self {
            _ if out.is_empty() => {}
            Opened::Elements(bytes) => out.copy_from_slice(&bytes[first * itemsize..][..out.len()]),
            // All of them: both filters in one go.
            Opened::Filtered(filter, bytes)
                if filter.delta && out.len() == bytes.len() && shuffle::unshuffle_sums(bytes, itemsize, out) => {}
            Opened::Filtered(filter, bytes) => {
                filter.shuffle.undo_part(bytes, itemsize, first, out);
                if filter.delta {
                    delta::begin(itemsize, shuffle::sums(bytes, itemsize, first), out);
                    delta::undo(itemsize, out);
                }
            }
        }
    }
}

impl Encoding {
    /// Calls `f` with the decoded `source`, which is as long as `room`, in `room` or where it is.
    ///
    /// # Errors
    /// A phrase that says what does not hold.
    pub fn open<R>(
        self,
        source: &[u8],
        itemsize: usize,
        room: &mut [u8],
        f: impl FnOnce(&Opened<'_>) -> R,
    ) -> Result<R, &'static str> {
        // Differences of bits stand in no bytes that could be added.
        let has_parts = |filter: Filter| {
            !filter.shuffle.is_nothing(itemsize) && (!filter.delta || filter.shuffle == Shuffle::Bytes)
        };
        const BARE: Filter = Filter { delta: false, shuffle: Shuffle::Nothing };
        let (bare, filter) = match self {
            Encoding::Raw if source.len() == room.len() => return Ok(f(&Opened::Elements(source))),
            Encoding::Lz4(filter) if has_parts(filter) => (Encoding::Lz4(BARE), filter),
            Encoding::Zstd(filter) if has_parts(filter) => (Encoding::Zstd(BARE), filter),
            _ => {
                self.decode(source, itemsize, room)?;
                return Ok(f(&Opened::Elements(room)));
            }
        };
        bare.decode(source, itemsize, room)?;
        Ok(f(&Opened::Filtered(filter, room)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_part_is_that_part_of_all(
            encoding in prop::sample::select(Encoding::ALL),
            itemsize in prop::sample::select(vec![1usize, 2, 4, 8, 16]),
            items in 1usize..1500,
            salt in prop::sample::select(vec![1usize, 77, 0x9e37_79b9]),
            ranges in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6),
        ) {
            prop_assume!(encoding.suits(itemsize) && encoding != Encoding::Fill);
            let elements: Vec<u8> = (0..items * itemsize)
                .map(|i| ((i / itemsize).wrapping_mul(salt) >> (i % itemsize * 3 % 32)) as u8)
                .collect();
            let mut stored = Vec::new();
            encoding.encode(&elements, itemsize, 1, &mut stored);
            let mut room = vec![0; elements.len()];
            encoding
                .open(&stored, itemsize, &mut room, |opened| {
                    for (first, end) in &ranges {
                        let first = first.index(items);
                        let end = first + end.index(items + 1 - first);
                        let mut out = vec![0xAA; (end - first) * itemsize];
                        opened.part(itemsize, first, &mut out);
                        assert_eq!(out, &elements[first * itemsize..end * itemsize], "{first}..{end} of {items}");
                    }
                })
                .unwrap();
        }
    }
}
