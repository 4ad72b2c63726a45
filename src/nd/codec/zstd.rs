//! A filter, then one Zstandard frame: any decoder of Zstandard that undoes the filter reads it.
//!
//! The frame says how long it becomes, but nobody asks it: the decoder writes into a slice whose length comes from the
//! array's shape, and takes no window of its own. Contexts are kept per thread.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use super::{Codec, Filter};
use crate::nd::error::Result;

/// See the module comment.
pub struct Zstd {
    /// What is done before.
    pub filter: Filter,
}

/// The level where none is given: the library's own.
pub const DEFAULT_LEVEL: u8 = 3;
/// The highest level: above, the library wants much memory.
pub const MAX_LEVEL: u8 = 19;

thread_local! {
    static COMPRESSOR: RefCell<(Compressor<'static>, u8)> = RefCell::new((Compressor::default(), 0));
    static DECOMPRESSOR: RefCell<Decompressor<'static>> = RefCell::new(Decompressor::default());
}

/// See [`super::release_scratch`].
pub fn release_scratch() {
    COMPRESSOR.take();
    DECOMPRESSOR.take();
}

impl Codec for Zstd {
    fn encode(&self, source: &[u8], itemsize: usize, level: u8, out: &mut Vec<u8>) {
        self.filter.with_applied(source, itemsize, |filtered| {
            let start = out.len();
            let most = zstd::zstd_safe::compress_bound(filtered.len());
            out.resize(start + most, 0);
            let written = COMPRESSOR.with_borrow_mut(|(compressor, set)| {
                if *set != level {
                    compressor.set_compression_level(i32::from(level))?;
                    *set = level;
                }
                compressor.compress_to_buffer(filtered, &mut out[start..])
            });
            // Out of memory: nothing smaller than the elements came of it, so that they stay raw.
            out.truncate(start + written.unwrap_or(most));
        });
    }

    fn decode(&self, source: &[u8], itemsize: usize, out: &mut [u8]) -> Result<(), &'static str> {
        self.filter.undo_from(itemsize, out, |filtered| {
            match DECOMPRESSOR.with_borrow_mut(|d| d.decompress_to_buffer(source, filtered)) {
                Ok(written) if written == filtered.len() => Ok(()),
                Ok(_) => Err("the Zstandard frame holds fewer bytes than the shape asks for"),
                Err(_) => Err("the Zstandard frame does not decode to the bytes that the shape asks for"),
            }
        })
    }
}
