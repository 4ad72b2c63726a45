//! Counters of work done since the process started, for tests and for people who watch a server.

use std::sync::atomic::AtomicU64;

/// Chunks that were decoded to be read.
pub static CHUNKS_DECODED: AtomicU64 = AtomicU64::new(0);
/// Chunks that were read and found decoded already.
pub static CHUNKS_FOUND_DECODED: AtomicU64 = AtomicU64::new(0);
/// Chunks that were encoded when written.
pub static CHUNKS_ENCODED: AtomicU64 = AtomicU64::new(0);
/// Chunks that were written raw.
pub static CHUNKS_STORED_RAW: AtomicU64 = AtomicU64::new(0);
/// Blocks of elements that reductions have read.
pub static BLOCKS_REDUCED: AtomicU64 = AtomicU64::new(0);
/// Threads that were started to help with chunks.
pub static HELPERS_STARTED: AtomicU64 = AtomicU64::new(0);
