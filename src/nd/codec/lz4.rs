//! LZ4 block format after a byte shuffle, compatible with any LZ4 block decoder that undoes the shuffle.
//!
//! The crate's size-prepended form is not used: its prefix would let four bytes ask for 4 GiB. The length comes from
//! the array's shape, and the decoder writes into a slice of exactly that length.

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
        let decode_into = |out: &mut [u8]| match lz4_flex::block::decompress_into(source, out) {
            Ok(n) if n == out.len() => Ok(()),
            Ok(_) => Err("the LZ4 block holds fewer bytes than the shape asks for"),
            Err(_) => Err("the LZ4 block does not decode to the bytes the shape asks for"),
        };
        if itemsize == 1 {
            return decode_into(out);
        }
        SHUFFLED.with_borrow_mut(|shuffled| {
            shuffled.resize(out.len().max(shuffled.len()), 0);
            let shuffled = &mut shuffled[..out.len()];
            decode_into(shuffled)?;
            unshuffle(shuffled, itemsize, out);
            Ok(())
        })
    }
}
