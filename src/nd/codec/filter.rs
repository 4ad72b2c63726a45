//! Filters: reorderings of a chunk's bytes after which a byte-wise codec finds more repeats. They keep the length.
//!
//! A filter is at most two steps: differences of neighbours ([`delta`]), then a shuffle of bytes ([`shuffle`]) or bits
//! ([`bitshuffle`]). All steps treat elements as unsigned integers of the item size, whatever their dtype, so that what
//! comes back is the same bits.

use std::cell::RefCell;

use super::{bitshuffle, delta, shuffle};
use crate::nd::error::Result;

/// Which parts of elements are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Shuffle {
    /// Bytes of equal significance; nothing for elements of one byte.
    Bytes = 0,
    /// None: elements stay together.
    Nothing = 1,
    /// Bits of equal significance.
    Bits = 2,
}

/// What is done to elements before a codec sees them, and undone after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Filter {
    /// Whether each element is replaced by its difference from the one before.
    pub delta: bool,
    /// What happens to the bytes then.
    pub shuffle: Shuffle,
}

impl Filter {
    /// The byte shuffle alone: what every chunk had before there was a choice.
    pub const BYTES: Filter = Filter { delta: false, shuffle: Shuffle::Bytes };

    /// Every filter.
    pub const ALL: &'static [Filter] = &[
        Filter::BYTES,
        Filter { delta: false, shuffle: Shuffle::Nothing },
        Filter { delta: false, shuffle: Shuffle::Bits },
        Filter { delta: true, shuffle: Shuffle::Bytes },
        Filter { delta: true, shuffle: Shuffle::Nothing },
        Filter { delta: true, shuffle: Shuffle::Bits },
    ];

    /// The stored number, four bits: the shuffle, plus 4 where there are differences.
    pub fn code(self) -> u8 {
        self.shuffle as u8 | u8::from(self.delta) << 2
    }

    /// Whether elements of this size come through unchanged.
    pub fn is_nothing(self, itemsize: usize) -> bool {
        !self.delta && self.shuffle.is_nothing(itemsize)
    }

    /// The filter of a stored number.
    pub fn from_code(code: u8) -> Option<Filter> {
        Filter::ALL.iter().copied().find(|f| f.code() == code)
    }

    /// What stands behind the codec's name in `ND.INFO`, each part after a `+`.
    pub fn suffix(self, itemsize: usize) -> &'static str {
        match (self.delta, self.shuffle) {
            (false, Shuffle::Bytes) if itemsize > 1 => "+shuffle",
            (true, Shuffle::Bytes) if itemsize > 1 => "+delta+shuffle",
            (false, Shuffle::Bits) => "+bitshuffle",
            (true, Shuffle::Bits) => "+delta+bitshuffle",
            (true, _) => "+delta",
            (false, _) => "",
        }
    }

    /// Calls `f` with the filtered form of `source`, a whole number of elements.
    pub fn with_applied<R>(self, source: &[u8], itemsize: usize, f: impl FnOnce(&[u8]) -> R) -> R {
        if self.is_nothing(itemsize) {
            return f(source);
        }
        BUFFERS.with_borrow_mut(|[differences, filtered]| {
            let filtered = room(filtered, source.len());
            match (self.delta, self.shuffle.is_nothing(itemsize)) {
                (false, _) => self.shuffle.apply(source, itemsize, filtered),
                (true, true) => delta::apply(source, itemsize, filtered),
                (true, false)
                    if self.shuffle == Shuffle::Bytes && shuffle::shuffle_differences(source, itemsize, filtered) => {}
                (true, false) => {
                    let differences = room(differences, source.len());
                    delta::apply(source, itemsize, differences);
                    self.shuffle.apply(differences, itemsize, filtered);
                }
            }
            f(filtered)
        })
    }

    /// Lets `decode` write the filtered form, of the length of `out`, and turns it into elements in `out`.
    ///
    /// # Errors
    /// Whatever `decode` answers.
    pub fn undo_from<E>(
        self,
        itemsize: usize,
        out: &mut [u8],
        decode: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut is_summed = !self.delta;
        if self.shuffle.is_nothing(itemsize) {
            decode(out)?;
        } else {
            BUFFERS.with_borrow_mut(|[_, filtered]| {
                let filtered = room(filtered, out.len());
                decode(filtered)?;
                if !is_summed && self.shuffle == Shuffle::Bytes {
                    is_summed = shuffle::unshuffle_sums(filtered, itemsize, out);
                    if is_summed {
                        return Ok(());
                    }
                }
                self.shuffle.undo(filtered, itemsize, out);
                Ok(())
            })?;
        }
        if !is_summed {
            delta::undo(itemsize, out);
        }
        Ok(())
    }
}

thread_local! {
    /// Differences, and the filtered form, of the chunk at hand: each grows to the largest chunk seen.
    static BUFFERS: RefCell<[Vec<u8>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// See [`super::release_scratch`].
pub fn release_scratch() {
    BUFFERS.take();
}

/// The first `len` bytes of a buffer that grows where it must.
fn room(buffer: &mut Vec<u8>, len: usize) -> &mut [u8] {
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
    &mut buffer[..len]
}

/// Fewer elements than this are put together byte by byte.
const FEW: usize = 96;

impl Shuffle {
    /// Whether elements of this size come through unchanged.
    pub(super) fn is_nothing(self, itemsize: usize) -> bool {
        self == Shuffle::Nothing || self == Shuffle::Bytes && itemsize == 1
    }

    fn apply(self, source: &[u8], itemsize: usize, out: &mut [u8]) {
        match self {
            Shuffle::Bytes => shuffle::shuffle(source, itemsize, out),
            Shuffle::Nothing => out.copy_from_slice(source),
            Shuffle::Bits => bitshuffle::bitshuffle(source, itemsize, out),
        }
    }

    fn undo(self, source: &[u8], itemsize: usize, out: &mut [u8]) {
        match self {
            Shuffle::Bytes => shuffle::unshuffle(source, itemsize, out),
            Shuffle::Nothing => out.copy_from_slice(source),
            Shuffle::Bits => bitshuffle::unshuffle(source, itemsize, out),
        }
    }

    /// [`Shuffle::undo`] of some neighbours alone: those from element `first` on that `out` has room for.
    pub(super) fn undo_part(self, source: &[u8], itemsize: usize, first: usize, out: &mut [u8]) {
        let (items, count) = (source.len() / itemsize, out.len() / itemsize);
        match self {
            _ if self.is_nothing(itemsize) => out.copy_from_slice(&source[first * itemsize..][..out.len()]),
            Shuffle::Bytes if count < FEW => {
                for (j, plane) in source.chunks_exact(items.max(1)).enumerate() {
                    let bytes = &plane[first..first + count];
                    out.iter_mut().skip(j).step_by(itemsize).zip(bytes).for_each(|(to, from)| *to = *from);
                }
            }
            Shuffle::Bytes => shuffle::unshuffle_part(source, itemsize, first, out),
            _ => {
                // Bits of eight neighbours are one byte: from one byte's edge to another's, or to the end.
                let (from, end) = (first / 8 * 8, (first + count).next_multiple_of(8).min(items));
                if (from, end) == (first, first + count) {
                    return bitshuffle::unshuffle_part(source, itemsize, first, out);
                }
                BUFFERS.with_borrow_mut(|[spare, _]| {
                    let wider = room(spare, (end - from) * itemsize);
                    bitshuffle::unshuffle_part(source, itemsize, from, wider);
                    out.copy_from_slice(&wider[(first - from) * itemsize..][..out.len()]);
                });
            }
        }
    }
}
