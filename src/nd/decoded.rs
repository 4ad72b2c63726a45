//! Decoded chunks that are kept for a while: arrays have parts that are read again and again.
//!
//! A short read of an encoded chunk costs a whole chunk to decode, some ten times what a copy of its rows does. So the second
//! such read within a while leaves the decoded elements here, and those after it find them. Which of them go when there
//! are too many, a cache decides that is not spoilt by one long scan (S3-FIFO: Yang et al. 2023). Chunks do not change:
//! what is found here under the stamp of a chunk are its elements.
//!
//! Whoever asks never waits: a process that was forked off while another thread held the lock must not hang.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::LazyLock;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use triomphe::Arc;

use super::memory::{self, Buffer};

/// The elements of a chunk, and how many bytes they are.
#[derive(Clone, Debug)]
pub struct Decoded(Arc<Buffer>, usize);

impl Decoded {
    /// The elements.
    pub fn bytes(&self) -> &[u8] {
        memory::bytes(&self.0, self.1)
    }
}

/// What a decoded chunk takes in memory.
#[derive(Clone)]
struct Memory;

impl Weighter<u64, Decoded> for Memory {
    fn weight(&self, _: &u64, decoded: &Decoded) -> u64 {
        memory::size_class(decoded.0.len() * 8) as u64 + OVERHEAD
    }
}

/// About what the cache takes beside the elements, for each chunk.
const OVERHEAD: u64 = 128;

/// The longest part of all there is room for that one chunk may take.
const SHARE: usize = 4;

/// Most bytes that are kept; none until somebody says so.
static ROOM: AtomicUsize = AtomicUsize::new(0);

static CACHE: LazyLock<Cache<u64, Decoded, Memory>> = LazyLock::new(|| {
    let mut options = OptionsBuilder::new();
    options.shards(1).estimated_items_capacity(256).weight_capacity(0);
    let options = options.build().expect("all that is needed was said");
    Cache::with_options(options, Memory, DefaultHashBuilder::default(), DefaultLifecycle::default())
});

/// Chunks that were decoded for a short read not long ago: each place remembers the last of many.
static SEEN: [AtomicU64; 1024] = [const { AtomicU64::new(u64::MAX) }; 1024];

/// Whether there is no room for one more chunk like the last.
static IS_FULL: AtomicBool = AtomicBool::new(false);

/// Of the chunks that are wanted when there is no room, one of so many is kept: each of them costs as much as several reads, and
/// where more are read than can be kept, most would go before they are found.
const SELDOM: u64 = 16;

/// Says how many bytes may be kept, and lets go of what is beyond that.
pub fn set_room(bytes: usize) {
    if ROOM.swap(bytes, Ordering::Relaxed) != bytes {
        CACHE.set_capacity(bytes as u64);
        IS_FULL.store(false, Ordering::Relaxed);
    }
}

/// What is kept takes so much memory.
pub fn memory() -> u64 {
    match ROOM.load(Ordering::Relaxed) {
        0 => 0,
        _ => CACHE.weight(),
    }
}

/// What a chunk decodes to, if it is here.
pub fn find(stamp: u64) -> Option<Decoded> {
    match ROOM.load(Ordering::Relaxed) {
        0 => None,
        _ => CACHE.try_get(&stamp).ok().flatten(),
    }
}

/// Whether chunks of so many bytes together may all be here, beside others.
pub fn may_hold(nbytes: usize) -> bool {
    nbytes <= ROOM.load(Ordering::Relaxed) / 2
}

/// Whether a read of so many bytes is short enough to ask here for its chunks.
pub fn is_short(nbytes: usize) -> bool {
    nbytes <= ROOM.load(Ordering::Relaxed) / (2 * SHARE)
}

/// Whether the chunk, which is not here, is worth to be: it was asked for before, and there is room.
pub fn is_wanted(stamp: u64, nbytes: usize) -> bool {
    let room = ROOM.load(Ordering::Relaxed);
    if nbytes > room / SHARE {
        return false;
    }
    let place = &SEEN[(stamp % SEEN.len() as u64) as usize];
    let was_seen = place.swap(stamp, Ordering::Relaxed) == stamp;
    was_seen && (!IS_FULL.load(Ordering::Relaxed) || is_ones_turn())
}

/// True for one of [`SELDOM`] calls.
fn is_ones_turn() -> bool {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed).is_multiple_of(SELDOM)
}

/// Keeps the elements of a chunk, `nbytes` of them, if that can be done at once, and answers them.
pub fn keep(stamp: u64, elements: Buffer, nbytes: usize) -> Decoded {
    let decoded = Decoded(Arc::new(elements), nbytes);
    let more = Memory.weight(&stamp, &decoded);
    if CACHE.try_insert(stamp, decoded.clone()).is_ok() {
        let is_full = CACHE.weight() + more > ROOM.load(Ordering::Relaxed) as u64;
        IS_FULL.store(is_full, Ordering::Relaxed);
    }
    decoded
}

/// Lets go of what a chunk decodes to: it is not needed any more.
pub fn forget(stamp: u64) {
    if CACHE.try_remove(&stamp).is_ok_and(|found| found.is_some()) {
        IS_FULL.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The only test that keeps anything: what there is room for belongs to the process.
    #[test]
    fn what_is_asked_for_twice_is_kept_as_long_as_there_is_room() {
        let chunk = 64 << 10;
        let stamps = |n: u64| (0..n).map(|i| (1 << 60) + i);
        let ask = |stamp: u64| {
            let found = find(stamp);
            if let Some(found) = &found {
                assert!(found.bytes().len() == chunk && found.bytes().iter().all(|b| u64::from(*b) == stamp % 251));
            } else if is_wanted(stamp, chunk) {
                let mut elements = memory::buffer_zeroed(chunk).unwrap();
                memory::bytes_mut(&mut elements, chunk).fill((stamp % 251) as u8);
                assert_eq!(keep(stamp, elements, chunk).bytes().len(), chunk);
            }
            found.is_some()
        };
        assert!(!stamps(3).any(ask) && !stamps(3).any(ask) && memory() == 0, "no room");
        set_room(1 << 20);
        assert_eq!(memory(), 0);
        assert!(!is_wanted(1 << 61, 512 << 10) && !is_wanted(1 << 61, 512 << 10), "half of all there is");
        assert_eq!((0..4).map(|_| stamps(3).filter(|s| ask(*s)).count()).collect::<Vec<_>>(), [0, 0, 3, 3]);
        let three = memory();
        assert!(three >= 3 * chunk as u64 && three < 3 * chunk as u64 + 2000, "{three}");
        forget(1 << 60);
        assert!(find(1 << 60).is_none() && find((1 << 60) + 1).is_some() && memory() < three);
        // More than there is room for, over and over.
        let found: usize = (0..50).map(|_| stamps(100).filter(|s| ask(*s)).count()).sum();
        assert!(memory() <= 1 << 20 && (100..2000).contains(&found), "{found} of 5000");
        set_room(0);
        assert!(!stamps(100).any(ask) && memory() == 0);
    }
}
