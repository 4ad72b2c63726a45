//! A filter, then one LZ4 block: compatible with any LZ4 block decoder that undoes the filter.
//!
//! The crate's size-prepended form is not used: its prefix would let four bytes ask for 4 GiB. The length comes from
//! the array's shape, and the decoder writes into a slice of exactly that length.

mod decode;

use std::cell::RefCell;

use lz4_flex::block::{compress_into_with_table, get_maximum_output_size, CompressTable};

use super::{Codec, Filter};
use crate::nd::error::Result;

/// See the module comment.
pub struct Lz4 {
    /// What is done before.
    pub filter: Filter,
}

/// From this length on the compressor wants positions of 32 bits.
const LARGE: usize = u16::MAX as usize;

thread_local! {
    /// Where the compressor remembers positions: for short inputs, and for others. 8 and 16 KiB.
    static TABLES: RefCell<(CompressTable, CompressTable)> =
        RefCell::new((CompressTable::small(), CompressTable::large()));
    /// Where it writes. As long as it ever had to be: zeroing so much each time would take longer than copying what it becomes.
    static BLOCK: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// See [`super::release_scratch`].
pub fn release_scratch() {
    BLOCK.take();
}

impl Codec for Lz4 {
    fn encode(&self, source: &[u8], itemsize: usize, _level: u8, out: &mut Vec<u8>) {
        self.filter.with_applied(source, itemsize, |filtered| {
            BLOCK.with_borrow_mut(|block| {
                let most = get_maximum_output_size(filtered.len());
                if block.len() < most {
                    block.resize(most, 0);
                }
                let written = TABLES.with_borrow_mut(|(small, large)| {
                    let table = if filtered.len() < LARGE { small } else { large };
                    compress_into_with_table(filtered, block, table)
                });
                out.extend_from_slice(&block[..written.expect("the output has the size the compressor asks for")]);
            });
        });
    }

    fn decode(&self, source: &[u8], itemsize: usize, out: &mut [u8]) -> Result<(), &'static str> {
        self.filter.undo_from(itemsize, out, |filtered| decode::decode(source, filtered))
    }
}
