//! LZ4 block format after a byte shuffle, compatible with any LZ4 block decoder that undoes the shuffle.
//!
//! The crate's size-prepended form is not used: its prefix would let four bytes ask for 4 GiB. The length comes from
//! the array's shape, and the decoder writes into a slice of exactly that length.

mod decode;

use std::cell::RefCell;

use super::{shuffle, unshuffle, Codec};
use crate::nd::error::Result;

/// Byte shuffle, then one LZ4 block.
pub struct ShuffledLz4;

thread_local! {
    /// The shuffled form of the chunk at hand, reused: a chunk is at most a few MiB.
    static SHUFFLED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Codec for ShuffledLz4 {
    fn encode(&self, source: &[u8], itemsize: usize, out: &mut Vec<u8>) {
        SHUFFLED.with_borrow_mut(|shuffled| {
            let plain = if itemsize == 1 {
                source
            } else {
                shuffled.resize(source.len().max(shuffled.len()), 0);
                let shuffled = &mut shuffled[..source.len()];
                shuffle(source, itemsize, shuffled);
                shuffled
            };
            let start = out.len();
            out.resize(start + lz4_flex::block::get_maximum_output_size(plain.len()), 0);
            let written = lz4_flex::block::compress_into(plain, &mut out[start..])
                .expect("the output has the size the compressor asks for");
            out.truncate(start + written);
        });
    }

    fn decode(&self, source: &[u8], itemsize: usize, out: &mut [u8]) -> Result<(), &'static str> {
        if itemsize == 1 {
            return decode::decode(source, out);
        }
        SHUFFLED.with_borrow_mut(|shuffled| {
            shuffled.resize(out.len().max(shuffled.len()), 0);
            let shuffled = &mut shuffled[..out.len()];
            decode::decode(source, shuffled)?;
            unshuffle(shuffled, itemsize, out);
            Ok(())
        })
    }
}
