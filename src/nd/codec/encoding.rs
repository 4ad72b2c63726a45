//! What a chunk is kept as: a codec and a filter, as one number of the stored format.
//!
//! ```text
//! bit   7   6   5   4   3   2   1   0
//!       0   filter ·····  codec ·····    filter: shuffle (2 bits: 0 bytes, 1 nothing, 2 bits), then 1 bit of differences
//! ```
//!
//! pco has no filter: the same place says what numbers the elements are.

use std::borrow::Cow;

use super::fill::Fill;
use super::lz4::Lz4;
use super::pco::{Numbers, Pco};
use super::raw::Raw;
use super::zstd::Zstd;
use super::{Codec, Filter};
use crate::nd::error::Result;
use crate::nd::memory;

/// How one chunk's bytes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// The elements as they are.
    Raw,
    /// One element that stands for all of them.
    Fill,
    /// A filter, then an LZ4 block.
    Lz4(Filter),
    /// A filter, then a Zstandard frame.
    Zstd(Filter),
    /// A pco chunk of such numbers.
    Pco(Numbers),
}

impl Encoding {
    /// Every encoding.
    pub const ALL: &'static [Encoding] = &{
        let mut all = [Encoding::Raw; 2 + 2 * Filter::ALL.len() + Numbers::ALL.len()];
        all[1] = Encoding::Fill;
        let mut i = 0;
        while i < Filter::ALL.len() {
            all[2 + 2 * i] = Encoding::Lz4(Filter::ALL[i]);
            all[3 + 2 * i] = Encoding::Zstd(Filter::ALL[i]);
            i += 1;
        }
        let mut j = 0;
        while j < Numbers::ALL.len() {
            all[2 + 2 * i + j] = Encoding::Pco(Numbers::ALL[j]);
            j += 1;
        }
        all
    };

    /// Whether elements of this size can be kept so at all.
    pub fn suits(self, itemsize: usize) -> bool {
        !matches!(self, Encoding::Pco(numbers) if !numbers.suit(itemsize))
    }

    /// Whether elements must be decoded: they are not there as they are.
    pub fn is_encoded(self) -> bool {
        !matches!(self, Encoding::Raw | Encoding::Fill)
    }

    /// The stored number.
    pub fn code(self) -> u8 {
        match self {
            Encoding::Raw => 0,
            Encoding::Fill => 1,
            Encoding::Lz4(filter) => 2 | filter.code() << 4,
            Encoding::Zstd(filter) => 3 | filter.code() << 4,
            Encoding::Pco(numbers) => 4 | (numbers as u8) << 4,
        }
    }

    /// The encoding of a stored number.
    pub fn from_code(code: u8) -> Option<Encoding> {
        Encoding::ALL.iter().copied().find(|e| e.code() == code)
    }

    /// The name `ND.INFO` shows, for elements of this size: the codec, then the parts of the filter.
    pub fn name(self, itemsize: usize) -> Cow<'static, str> {
        match self {
            Encoding::Raw => "raw".into(),
            Encoding::Fill => "fill".into(),
            Encoding::Lz4(filter) => format!("lz4{}", filter.suffix(itemsize)).into(),
            Encoding::Zstd(filter) => format!("zstd{}", filter.suffix(itemsize)).into(),
            Encoding::Pco(_) => "pco".into(),
        }
    }

    /// Calls `f` with the codec that reads and writes this encoding.
    fn with_codec<R>(self, f: impl FnOnce(&dyn Codec) -> R) -> R {
        match self {
            Encoding::Raw => f(&Raw),
            Encoding::Fill => f(&Fill),
            Encoding::Lz4(filter) => f(&Lz4 { filter }),
            Encoding::Zstd(filter) => f(&Zstd { filter }),
            Encoding::Pco(numbers) => f(&Pco { numbers }),
        }
    }

    /// [`Codec::encode`].
    pub fn encode(self, source: &[u8], itemsize: usize, level: u8, out: &mut Vec<u8>) {
        self.use_scratch();
        self.with_codec(|codec| codec.encode(source, itemsize, level, out));
    }

    /// [`Codec::decode`].
    ///
    /// # Errors
    /// A phrase that says what does not hold.
    pub fn decode(self, source: &[u8], itemsize: usize, out: &mut [u8]) -> Result<(), &'static str> {
        self.use_scratch();
        self.with_codec(|codec| codec.decode(source, itemsize, out))
    }

    /// Says that the codec works in buffers that the thread keeps, as its callers then do.
    fn use_scratch(self) {
        if self.is_encoded() {
            memory::use_scratch();
        }
    }

    /// [`Codec::may_take`].
    pub fn may_take(self, stored: usize, nbytes: usize, itemsize: usize) -> bool {
        self.with_codec(|codec| codec.may_take(stored, nbytes, itemsize))
    }
}
