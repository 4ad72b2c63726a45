//! Strings of the server's that hold an array's elements: an argument of some size is kept, not copied.
//!
//! The server counts references to a string without a lock, so they come and go on the main thread alone. An array may be freed
//! on another one (a worker that held the last snapshot, the server's own thread for FLUSHALL ASYNC): its strings then wait
//! for the main thread, which is woken for them. It frees a millisecond's worth at a time, with a pause for others between.
//!
//! What the server frees key by key, in the background or not (UNLINK, eviction), it frees on the main thread where an array's
//! elements are in strings: those cost no effort ([`Array::free_effort`](crate::nd::array::Array::free_effort)), as strings
//! themselves have none. So memory is back at once, and eviction sees what it has gained.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr::{null_mut, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis_module::raw;

use super::ffi::{api, bytes_of, guard};
use super::{config, spacers};
use crate::nd::lent::{Keeper, Lender, Lent};
use crate::nd::memory;

/// Shorter arguments are copied: the server has copied them as well, out of what it reads many of them into. What tests run
/// keeps short ones too, so that all of them meet elements at odd addresses.
const LEAST: usize = if cfg!(debug_assertions) { 64 } else { 32 << 10 };

/// How long one sweep may hold the main thread up.
const A_WHILE: Duration = Duration::from_millis(1);

/// Milliseconds between one sweep and the next, where one was not enough.
const PAUSE: i64 = 1;

thread_local! {
    static IS_MAIN: Cell<bool> = const { Cell::new(false) };
    /// What a sweep left for the next one.
    static LEFT: RefCell<Vec<Dropped>> = const { RefCell::new(Vec::new()) };
    /// Whether the next one has been asked for.
    static HAS_TIMER: Cell<bool> = const { Cell::new(false) };
}

/// A context for timers.
static CONTEXT: AtomicPtr<raw::RedisModuleCtx> = AtomicPtr::new(null_mut());

/// Says that this is the server's main thread. Called when the module is loaded.
pub fn begin(ctx: *mut raw::RedisModuleCtx) {
    IS_MAIN.set(true);
    // SAFETY: reading a pointer that is written once; during load. The context is kept for good.
    let context = unsafe { raw::RedisModule_GetDetachedThreadSafeContext.map(|detached| detached(ctx)) };
    CONTEXT.store(context.unwrap_or(null_mut()), Ordering::Relaxed);
}

/// Strings that arrays keep at this moment, those among them that wait to be freed.
pub static HELD: AtomicUsize = AtomicUsize::new(0);

/// A reference to a string, which nobody changes while there is one.
#[derive(Debug)]
struct Held {
    string: NonNull<raw::RedisModuleString>,
    start: NonNull<u8>,
    len: usize,
    memory: usize,
}

// SAFETY: the bytes do not change while the string is held, and the reference itself is given back on the main thread.
unsafe impl Send for Held {}
// SAFETY: as above; there is nothing to be changed through a shared `Held`.
unsafe impl Sync for Held {}

impl Keeper for Held {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the string lives as long as its `Held`, and strings that several hold are not changed.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    fn memory(&self) -> usize {
        self.memory
    }
}

/// A string that was let go elsewhere than on the main thread.
struct Dropped(NonNull<raw::RedisModuleString>);

// SAFETY: only the main thread does anything with it.
unsafe impl Send for Dropped {}

static DROPPED: Mutex<Vec<Dropped>> = Mutex::new(Vec::new());
/// Whether the main thread has been woken since it last came by.
static IS_CALLED: AtomicBool = AtomicBool::new(false);

impl Drop for Held {
    fn drop(&mut self) {
        if IS_MAIN.get() {
            return free(self.string);
        }
        DROPPED.lock().unwrap_or_else(PoisonError::into_inner).push(Dropped(self.string));
        if IS_CALLED.swap(true, Ordering::AcqRel) {
            return;
        }
        // SAFETY: reading a pointer that is written once; any thread may call it. A server that is too old for it has ticks.
        unsafe {
            if let Some(call) = raw::RedisModule_EventLoopAddOneShot {
                call(Some(called), null_mut());
            }
        }
    }
}

fn free(string: NonNull<raw::RedisModuleString>) {
    HELD.fetch_sub(1, Ordering::Relaxed);
    // SAFETY: on the main thread; the reference is ours, and given back once.
    unsafe { api!(RedisModule_FreeString(null_mut(), string.as_ptr())) };
}

unsafe extern "C" fn called(_data: *mut c_void) {
    guard("freeing strings", || (), sweep);
}

unsafe extern "C" fn paused(_ctx: *mut raw::RedisModuleCtx, _data: *mut c_void) {
    HAS_TIMER.set(false);
    guard("freeing strings", || (), sweep);
}

/// Frees what other threads let go of, for as long as [`A_WHILE`], and comes back for the rest: a database that was flushed may have
/// kept thousands. On the main thread.
pub fn sweep() {
    // Before the look: whoever drops a string after it calls again.
    IS_CALLED.store(false, Ordering::Release);
    LEFT.with_borrow_mut(|left| {
        // Where another thread is about to add one, it calls after that; nobody waits for a thread of low priority.
        if let Ok(mut dropped) = DROPPED.try_lock() {
            left.append(&mut dropped);
        }
        let start = Instant::now();
        while let Some(Dropped(string)) = left.pop() {
            free(string);
            if start.elapsed() > A_WHILE {
                break;
            }
        }
        let context = CONTEXT.load(Ordering::Relaxed);
        if !left.is_empty() && !HAS_TIMER.get() && !context.is_null() {
            // SAFETY: on the main thread; the context is kept for good.
            unsafe { api!(RedisModule_CreateTimer(context, PAUSE, Some(paused), null_mut())) };
            HAS_TIMER.set(true);
        }
    });
}

/// The arguments of a call, of which arrays may keep some.
#[derive(Debug)]
pub struct Strings<'a> {
    argv: &'a [NonNull<raw::RedisModuleString>],
    /// The argument that was asked for last, and whether it is kept: most questions are about the same one, or the next.
    last: RefCell<Option<(usize, Option<Arc<Held>>)>>,
}

// SAFETY: what can be changed is looked at on the main thread alone; elsewhere nothing is lent.
unsafe impl Sync for Strings<'_> {}

impl<'a> Strings<'a> {
    /// Those of a call, the command's name among them, which live until it returns.
    pub fn new(argv: &'a [NonNull<raw::RedisModuleString>]) -> Strings<'a> {
        Strings { argv, last: RefCell::new(None) }
    }

    /// Says that an array was read from these pieces. Some of them are kept for a moment longer than the array or the call
    /// needs them, where that has the server's allocator keep the memory of the others (see [`spacers`]).
    pub fn space_out(&self, pieces: &[&[u8]]) {
        let total: usize = pieces.iter().map(|piece| piece.len()).sum();
        if total < spacers::GIVEN_BACK || !IS_MAIN.get() || config::is_memory_short() {
            return;
        }
        let mut from = 0;
        for piece in pieces.iter().filter(|piece| spacers::is_border(piece)) {
            if let Some(at) = self.find(piece, from) {
                spacers::keep(self.argv[at], piece.len());
                from = at + 1;
            }
        }
    }

    /// Where the argument stands that these bytes are part of.
    fn find(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let inner = bytes.as_ptr_range();
        let holds = |i: &usize| {
            // SAFETY: an argument of a call that has not returned (ffi invariant 3).
            let outer = unsafe { bytes_of(self.argv[*i].as_ptr()) }.as_ptr_range();
            outer.start <= inner.start && inner.end <= outer.end
        };
        (from..self.argv.len()).chain(0..from).find(holds)
    }
}

impl Lender for Strings<'_> {
    fn lend(&self, bytes: &[u8]) -> Option<Lent> {
        if !IS_MAIN.get() {
            return None;
        }
        let mut last = self.last.borrow_mut();
        let at = self.find(bytes, last.as_ref().map_or(0, |(i, _)| *i))?;
        let held = match &*last {
            Some((i, held)) if *i == at => held.clone(),
            _ => {
                let held = hold(self.argv[at]).map(Arc::new);
                *last = Some((at, held.clone()));
                held
            }
        }?;
        let start = bytes.as_ptr().addr().checked_sub(held.start.as_ptr().addr())?;
        Lent::new(held, start, bytes.len())
    }
}

/// Keeps an argument, if it is worth it: not a short one, nor one that takes much more memory than its bytes do.
fn hold(string: NonNull<raw::RedisModuleString>) -> Option<Held> {
    // SAFETY: an argument of a call that has not returned (ffi invariant 3).
    let bytes = unsafe { bytes_of(string.as_ptr()) };
    let len = bytes.len();
    // SAFETY: reading pointers that are written once; the string lives.
    let (size, hold) = unsafe { (raw::RedisModule_MallocSizeString, raw::RedisModule_HoldString?) };
    // Two bytes of a line's end, a head and a zero byte, and the string itself.
    let least = memory::size_class(len + 12) + 16;
    let memory = size.map_or(least, |size| unsafe { size(string.as_ptr()) });
    if len < LEAST || memory > least + len / 8 {
        return None;
    }
    let start = NonNull::new(bytes.as_ptr().cast_mut())?;
    // SAFETY: on the main thread; without a context the reference is ours until it is freed.
    let held = NonNull::new(unsafe { hold(null_mut(), string.as_ptr()) })?;
    HELD.fetch_add(1, Ordering::Relaxed);
    let memory = memory + memory::size_class(size_of::<Held>() + 16);
    let held = Held { string: held, start, len, memory };
    // A server that made a copy would have put the bytes elsewhere; then they are not kept.
    (held.string == string).then_some(held)
}
