//! Codecs: how the bytes of one chunk are kept, and the one list of them.
//!
//! A codec turns the C-order little-endian elements of a chunk into fewer bytes and back. It sees bytes and an item
//! size, never shapes or arrays. What a chunk is kept as is its [`Encoding`], a number of the stored format
//! (docs/FORMAT.md): a new codec takes a new number, and an old number is read for ever. Which encoding a chunk gets is
//! the [`Chooser`]'s to say, within the [`Policy`] that the user asked for.

mod bitshuffle;
mod chooser;
mod delta;
mod encoding;
mod fill;
mod filter;
mod lz4;
mod opened;
mod pco;
mod planes;
mod policy;
mod raw;
mod shuffle;
#[cfg(test)]
mod tests;
mod zstd;

use super::error::Result;

pub use chooser::{Chooser, ALIKE, PAYS};
pub use encoding::Encoding;
pub use fill::fill_with;
pub use filter::{Filter, Shuffle};
pub use opened::Opened;
pub use pco::Numbers;
pub use policy::{Compression, Policy};

/// Gives back the memory that the thread keeps from chunk to chunk.
pub fn release_scratch() {
    filter::release_scratch();
    lz4::release_scratch();
    pco::release_scratch();
    zstd::release_scratch();
}

/// One way to make a chunk's bytes fewer. Laws, tested over all of [`Encoding::ALL`]: decoding what was encoded gives
/// the same bytes; decoding anything else gives an error or some bytes, never reads or writes outside its slices, and takes
/// no more memory than a small multiple of the length of `out`.
pub trait Codec {
    /// Appends the encoded form of `source`, at least one element, to `out`. `level` is the codec's own measure of effort,
    /// 0 for those that have none.
    fn encode(&self, source: &[u8], itemsize: usize, level: u8, out: &mut Vec<u8>);

    /// Decodes `source` into all of `out`, whose length comes from the shape, never from `source`.
    ///
    /// # Errors
    /// A phrase that says what does not hold.
    fn decode(&self, source: &[u8], itemsize: usize, out: &mut [u8]) -> Result<(), &'static str>;

    /// Whether a chunk of `nbytes` may be kept in so many bytes.
    fn may_take(&self, stored: usize, nbytes: usize, _itemsize: usize) -> bool {
        stored < nbytes.max(2)
    }
}
