//! Spacers: what lies between blocks that come and go together, so that the server's allocator keeps their memory.
//!
//! The blocks of a large reply, or the arguments of a large array, are free all at once. The allocator (jemalloc) joins
//! neighbours, and a stretch that has grown to 8 MiB (`opt.oversize_threshold`) it gives back to the system on the spot; from
//! one of more than 64 times the size that is asked for (`opt.lg_extent_max_active_fit`) it would not take either. The pages of
//! the next reply then come from the system one by one, at up to 5 microseconds for 4 KiB: three quarters of what a `GET` or an
//! `MGET` of 64 MiB takes. Where something stays every few MiB, stretches are shorter, and are used again. What nobody uses goes
//! back all the same, some seconds later, as the allocator does with all that is free.
//!
//! - *Replies* are built by workers. Their blocks are the server's, but an allocation of the same length lies where the next block
//!   would, and shrinks to a few pages in place. A worker keeps those until it has been idle for a while.
//! - *Arguments* are there when we are called. Some of them are kept, as strings of the server, for a second or two.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ptr::{null_mut, NonNull};
use std::time::{Duration, Instant};

use redis_module::raw;

use super::ffi::api;

/// Free stretches of this length are given back.
pub const GIVEN_BACK: usize = 8 << 20;

/// Bytes of a reply from one look to the next.
const STEP: usize = 2 << 20;

/// The length of the blocks of a reply in pieces.
const BLOCK: usize = 256 << 10;

/// What is left of an allocation in between: more than what a thread has a cache for, so that it lies where blocks do.
const SPACER: usize = 20 << 10;

/// No two spacers are closer. With a step and a block on top this is well below [`GIVEN_BACK`].
const APART: usize = 3 << 20;

/// One worker's spacers: enough for 1.5 GiB, in 10 MiB.
const MOST_SPACERS: usize = 512;

/// Arguments across a multiple of this are borders: the stretches between them are short enough.
const BORDERS: usize = 7 << 20;

/// Longer arguments are not kept: between those, each is long enough for itself.
const LONGEST: usize = 1 << 20;

/// Bytes of arguments that are kept.
const MOST_KEPT: usize = 32 << 20;

/// Arguments are kept for so long at least, and twice as long at most.
const TURN: Duration = Duration::from_secs(1);

thread_local! {
    static SPACERS: RefCell<Option<Spacers>> = const { RefCell::new(None) };
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { strings: VecDeque::new(), bytes: 0, old: 0, turned: None }) };
}

/// A worker's spacers.
#[derive(Default)]
struct Spacers {
    by_address: BTreeMap<usize, Vec<u8>>,
    /// Bytes of replies since the last look.
    written: usize,
}

impl Spacers {
    /// Leaves a spacer where the next block would be, unless there is one nearby.
    fn place(&mut self) {
        let mut spacer: Vec<u8> = Vec::new();
        if self.by_address.len() >= MOST_SPACERS || spacer.try_reserve_exact(BLOCK).is_err() {
            return;
        }
        let at = spacer.as_ptr().addr();
        let nearby = at.saturating_sub(APART)..at.saturating_add(APART);
        if self.by_address.range(nearby).next().is_none() {
            spacer.shrink_to(SPACER);
            self.by_address.insert(spacer.as_ptr().addr(), spacer);
        }
    }
}

/// Has this thread place spacers in what it replies.
pub fn begin() {
    SPACERS.set(Some(Spacers::default()));
}

/// Says that a block of so many bytes was added to a reply.
pub fn block_written(bytes: usize) {
    SPACERS.with_borrow_mut(|spacers| {
        let Some(spacers) = spacers else { return };
        spacers.written += bytes;
        if spacers.written >= STEP {
            spacers.written = 0;
            spacers.place();
        }
    });
}

/// Gives back this thread's spacers.
pub fn release() {
    SPACERS.with_borrow_mut(|spacers| {
        if let Some(spacers) = spacers {
            *spacers = Spacers::default();
        }
    });
}

/// Arguments that are kept in between, the oldest first.
struct Kept {
    strings: VecDeque<(NonNull<raw::RedisModuleString>, usize)>,
    bytes: usize,
    /// How many of them were there at the last turn.
    old: usize,
    turned: Option<Instant>,
}

impl Kept {
    fn drop_oldest(&mut self) {
        let Some((string, bytes)) = self.strings.pop_front() else { return };
        self.bytes -= bytes;
        self.old = self.old.saturating_sub(1);
        // SAFETY: on the main thread, as only there strings are kept; the reference is ours, and given back once.
        unsafe { api!(RedisModule_FreeString(null_mut(), string.as_ptr())) };
    }
}

/// Whether an argument is worth keeping.
pub fn is_border(bytes: &[u8]) -> bool {
    let range = bytes.as_ptr_range();
    bytes.len() <= LONGEST && range.start.addr() / BORDERS != range.end.addr() / BORDERS
}

/// Keeps an argument of so many bytes for a moment. On the main thread, during the call.
pub fn keep(string: NonNull<raw::RedisModuleString>, bytes: usize) {
    // SAFETY: reading a pointer that is written once; an argument of a call that has not returned. Without a context the
    // reference is ours until it is freed.
    let held = unsafe { raw::RedisModule_HoldString.map(|hold| hold(null_mut(), string.as_ptr())) };
    let Some(held) = held.and_then(NonNull::new) else { return };
    KEPT.with_borrow_mut(|kept| {
        kept.strings.push_back((held, bytes));
        kept.bytes += bytes;
        while kept.bytes > MOST_KEPT {
            kept.drop_oldest();
        }
    });
}

/// Lets go the arguments that have been kept long enough. Called on the main thread, at every tick of the server's clock.
pub fn tick() {
    KEPT.with_borrow_mut(|kept| {
        if kept.strings.is_empty() || kept.turned.is_some_and(|turned| turned.elapsed() < TURN) {
            return;
        }
        (0..kept.old).for_each(|_| kept.drop_oldest());
        kept.old = kept.strings.len();
        kept.turned = Some(Instant::now());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spacers_lie_apart_and_are_few_and_go() {
        begin();
        (0..4 * MOST_SPACERS).for_each(|_| block_written(STEP));
        SPACERS.with_borrow(|spacers| {
            let at: Vec<usize> = spacers.as_ref().expect("begun").by_address.keys().copied().collect();
            assert!(!at.is_empty() && at.len() <= MOST_SPACERS);
            assert!(at.windows(2).all(|two| two[1] - two[0] >= APART), "{at:x?}");
        });
        release();
        SPACERS.with_borrow(|spacers| assert!(spacers.as_ref().expect("still on").by_address.is_empty()));
    }

    #[test]
    fn a_thread_that_places_none_has_none() {
        block_written(usize::MAX);
        SPACERS.with_borrow(|spacers| assert!(spacers.is_none()));
    }

    #[test]
    fn every_stretch_between_borders_is_short() {
        let memory = vec![0u8; 3 * GIVEN_BACK];
        const { assert!(BORDERS < GIVEN_BACK) };
        let borders: Vec<usize> =
            memory.chunks(300 << 10).enumerate().filter(|(_, piece)| is_border(piece)).map(|(i, _)| i).collect();
        assert!(borders.windows(2).all(|two| (two[1] - two[0] - 1) * (300 << 10) < BORDERS), "{borders:?}");
        assert!(borders.len() >= 3 * GIVEN_BACK / BORDERS - 1 && borders.len() <= 3 * GIVEN_BACK / BORDERS + 1);
        assert!(!is_border(&memory[..LONGEST + 1]));
    }
}
