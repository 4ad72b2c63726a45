//! The compactor: arrays that nobody has written to for `ndarray.compact-after` seconds are stored again, as small as can be.
//!
//! Writes compress fast, so that they are fast; what then lies there for long is worth more effort. Nobody but the memory
//! notices: elements, digests and the bits of every reduction stay, nothing is replicated, signalled or published, and each
//! server does it by itself, replicas too.
//!
//! ```text
//! main thread   cron: look through the keys, a little at a time ─▶ arrays at rest ─▶ a round: some of their chunks
//! own thread    encode each as `compression size` would, keep what takes a tenth less memory        │
//! main thread   timer: put each in where the array still holds the very chunk it was made from ◀────┘ the next round
//! ```
//!
//! There is no list of arrays to be kept up to date, and no field in those that are no concern of it: the keys are scanned, which
//! any `RENAME`, `SWAPDB` or `FLUSHALL` leaves right. How long an array is at rest is noted in the array when it is first
//! seen, beside what else is remembered until the next write; so is that it was gone through, gain or not.
//!
//! The thread is not one of the workers, which somebody waits for: it has the lowest priority there is, and what it does may
//! take as long as it likes. It holds chunks but no array (see `nd::array::compact`), so a write does not wait for it
//! and copies no more than the chunks that it changes.
//!
//! Nothing is put in while a child of the server saves: each chunk that is replaced would be there twice.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{c_int, c_void};
use std::ptr::{null_mut, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc as Shared, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{unbounded, Receiver, Sender};
use redis_module::raw;
use triomphe::Arc;

use super::config::COMPACT_AFTER;
use super::db;
use super::ffi::{api, bytes_of, guard, log};
use super::priority::{self, Priority};
use crate::nd::array::{Saved, Stretch};
use crate::nd::chunk;

/// How long one look through the keys may hold the main thread up: cron runs ten times a second.
const LOOK: Duration = Duration::from_micros(300);
/// Two passes over all keys begin at least this far apart.
const PASS: Duration = Duration::from_secs(1);
/// Arrays that are found at most before they are worked on.
const FOUND: usize = 256;
/// Bytes of elements in one round, chunks of one array that are looked at for it, and arrays in it.
const ROUND_BYTES: usize = 4 << 20;
const ROUND_CHUNKS: usize = 512;
const ROUND_ARRAYS: usize = 32;
/// How often it is asked whether a round is done, in milliseconds.
const POLL: i64 = 5;
/// How often an array that somebody reads is tried again before it is left for the next pass.
const TRIES: u32 = 100;

/// Counts since the process started; shown by `INFO ndarray`.
pub struct Compacted {
    /// Arrays gone through to the end, with gain or without.
    pub examined: AtomicUsize,
    /// Those that became smaller.
    pub arrays: AtomicUsize,
    /// Chunks replaced.
    pub chunks: AtomicUsize,
    /// Bytes of memory that the chunks took before and do not take now.
    pub bytes: AtomicUsize,
}

/// See [`Compacted`].
pub static COMPACTED: Compacted = Compacted {
    examined: AtomicUsize::new(0),
    arrays: AtomicUsize::new(0),
    chunks: AtomicUsize::new(0),
    bytes: AtomicUsize::new(0),
};

/// An array that was found at rest.
struct Found {
    db: c_int,
    key: Box<[u8]>,
    since: u32,
    /// The chunk that comes next.
    next: u64,
    /// What was saved so far.
    saved: Saved,
    /// Whether it is gone through once more, for chunks that are alone in a string by now.
    is_again: bool,
}

/// Chunks of several arrays on their way to the thread and back.
struct Round {
    parts: Vec<Part>,
    tries: u32,
}

struct Part {
    array: Found,
    stretch: Stretch,
}

/// What the thread is handed.
enum Task {
    Make(Round),
    /// Chunks that are no more used: freeing them takes time too.
    Drop(Round),
}

/// The other end of the thread.
struct Thread {
    tasks: Sender<Task>,
    done: Done,
    handle: JoinHandle<()>,
}

/// Where the thread lays a round that is done. The main thread never waits for the lock: one of the lowest priority may hold
/// it for long.
#[derive(Clone, Default)]
struct Done(Shared<Mutex<Option<Round>>>);

impl Done {
    fn put(&self, round: Round) {
        if let Ok(mut place) = self.0.lock() {
            *place = Some(round);
        }
    }

    fn take(&self) -> Option<Round> {
        self.0.try_lock().ok()?.take()
    }
}

/// Where a pass over the keys is.
struct Pass {
    db: c_int,
    cursor: Option<NonNull<raw::RedisModuleScanCursor>>,
}

/// All that the main thread keeps; nobody else sees it.
struct Compactor {
    /// Seconds are counted from here.
    begin: Instant,
    pass: Option<Pass>,
    next_pass: Option<Instant>,
    found: VecDeque<Found>,
    thread: Option<Thread>,
    /// Whether the thread has a round, and one that came back and could not be put in yet.
    is_under_way: bool,
    made: Option<Round>,
    has_timer: bool,
    /// Set where the system gave no thread: it is not asked again.
    is_hopeless: bool,
}

thread_local! {
    static COMPACTOR: RefCell<Compactor> = RefCell::new(Compactor {
        begin: Instant::now(),
        pass: None,
        next_pass: None,
        found: VecDeque::new(),
        thread: None,
        is_under_way: false,
        made: None,
        has_timer: false,
        is_hopeless: false,
    });
}

/// Looks for work for a moment. Called on the main thread, at every tick of the server's clock.
pub fn tick(ctx: *mut raw::RedisModuleCtx) {
    COMPACTOR.with_borrow_mut(|compactor| compactor.step(ctx));
}

unsafe extern "C" fn timer(ctx: *mut raw::RedisModuleCtx, _data: *mut c_void) {
    guard(
        "the compactor",
        || (),
        || {
            COMPACTOR.with_borrow_mut(|c| {
                c.has_timer = false;
                c.step(ctx);
            });
        },
    );
}

impl Compactor {
    /// Does a little of what there is to do; called on the main thread, between commands.
    fn step(&mut self, ctx: *mut raw::RedisModuleCtx) {
        const NOT_NOW: u32 = raw::REDISMODULE_CTX_FLAGS_LOADING
            | raw::REDISMODULE_CTX_FLAGS_ASYNC_LOADING
            | raw::REDISMODULE_CTX_FLAGS_ACTIVE_CHILD;
        let after = COMPACT_AFTER.get();
        if after == 0 && self.is_at_rest() {
            return;
        }
        if self.is_under_way {
            self.made = self.thread.as_ref().and_then(|thread| thread.done.take());
            if self.made.is_none() {
                if self.thread.as_ref().is_some_and(|thread| !thread.handle.is_finished()) {
                    return self.poll(ctx);
                }
                self.thread = None; // it has panicked; what it had in hand is as it was
                self.is_hopeless = true;
            }
            self.is_under_way = false;
        }
        if after == 0 || self.is_hopeless {
            return self.give_up();
        }
        // SAFETY: on the main thread, with a context that lives (ffi invariant 1). Bits, reinterpreted.
        if unsafe { api!(RedisModule_GetContextFlags(ctx)) } as u32 & NOT_NOW != 0 {
            return;
        }
        if let Some(round) = self.made.take() {
            self.finish(ctx, round);
        }
        if self.made.is_none() {
            if self.found.is_empty() {
                self.look(ctx, after);
            }
            self.send(ctx);
        }
        // SAFETY: every call finds the database it selects itself; the next module's should find the first.
        unsafe { api!(RedisModule_SelectDb(ctx, 0)) };
    }

    fn is_at_rest(&self) -> bool {
        !self.is_under_way && self.made.is_none() && self.found.is_empty() && self.pass.is_none()
    }

    /// Forgets what was found, and what was made of it.
    fn give_up(&mut self) {
        self.found.clear();
        self.end_pass();
        self.next_pass = None;
        if let Some(round) = self.made.take() {
            self.discard(round);
        }
    }

    /// Seconds since the start, from 1.
    fn now(&self) -> u32 {
        u32::try_from(self.begin.elapsed().as_secs()).unwrap_or(u32::MAX).clamp(1, u32::MAX - 1)
    }

    /// Looks through some keys.
    fn look(&mut self, ctx: *mut raw::RedisModuleCtx, after: usize) {
        let now = Instant::now();
        if self.pass.is_none() {
            if self.next_pass.is_some_and(|at| at > now) {
                return;
            }
            // A tenth of what is waited for is early enough.
            self.next_pass = Some(now + PASS.max(Duration::from_secs(after as u64) / 10));
            self.pass = Some(Pass { db: 0, cursor: None });
        }
        let seconds = self.now();
        let Some(pass) = &mut self.pass else { return };
        let mut look = Look { now: seconds, after, db: 0, found: &mut self.found };
        while look.found.len() < FOUND && now.elapsed() < LOOK {
            // SAFETY: on the main thread, with a context that lives; the cursor is ours until it is destroyed. What is looked
            // at lives until `seen` returns.
            unsafe {
                if api!(RedisModule_SelectDb(ctx, pass.db)) != super::ffi::OK {
                    return self.end_pass();
                }
                if pass.cursor.is_none() && api!(RedisModule_DbSize(ctx)) == 0 {
                    pass.db += 1;
                    continue;
                }
                let cursor = *pass.cursor.get_or_insert_with(|| {
                    NonNull::new(api!(RedisModule_ScanCursorCreate())).expect("the server allocates or ends")
                });
                look.db = pass.db;
                let data = std::ptr::from_mut(&mut look).cast();
                if api!(RedisModule_Scan(ctx, cursor.as_ptr(), Some(seen), data)) == 0 {
                    api!(RedisModule_ScanCursorDestroy(cursor.as_ptr()));
                    *pass = Pass { db: pass.db + 1, cursor: None };
                }
            }
        }
    }

    fn end_pass(&mut self) {
        if let Some(cursor) = self.pass.take().and_then(|pass| pass.cursor) {
            // SAFETY: created by us, destroyed once.
            unsafe { api!(RedisModule_ScanCursorDestroy(cursor.as_ptr())) };
        }
    }

    /// Hands the thread what was found, as much as makes a round.
    fn send(&mut self, ctx: *mut raw::RedisModuleCtx) {
        let mut round = Round { parts: Vec::new(), tries: 0 };
        let mut left = ROUND_BYTES;
        while left > 0 && round.parts.len() < ROUND_ARRAYS {
            let Some(mut array) = self.found.pop_front() else { break };
            let visited = db::visit_quietly(ctx, array.db, &array.key, |held| {
                let ours = held.is_compactable() && held.is_at_rest_since(array.since);
                ours.then(|| held.stretch(array.next, left, ROUND_CHUNKS))
            });
            // Where it is gone, or another is there, or it was written to, it is no more to be found.
            let Some(Some(stretch)) = visited else { continue };
            if stretch.is_empty() {
                match stretch.next {
                    Some(next) => {
                        array.next = next;
                        self.found.push_front(array);
                        break; // enough chunks were looked at for now
                    }
                    None if settle(ctx, &mut array) => {}
                    None => self.found.push_front(array),
                }
                continue;
            }
            left = left.saturating_sub(stretch.nbytes());
            round.parts.push(Part { array, stretch });
        }
        if round.parts.is_empty() {
            if !self.found.is_empty() {
                self.poll(ctx);
            }
            return;
        }
        if self.thread.is_none() {
            self.thread = start();
        }
        let sent = self.thread.as_ref().is_some_and(|thread| thread.tasks.send(Task::Make(round)).is_ok());
        if sent {
            self.is_under_way = true;
            self.poll(ctx);
        } else {
            self.is_hopeless = true;
            self.give_up();
        }
    }

    /// Puts in what was made. What somebody reads at this moment waits for the next time.
    fn finish(&mut self, ctx: *mut raw::RedisModuleCtx, mut round: Round) {
        let (mut waiting, mut done) = (Vec::new(), Vec::new());
        for mut part in round.parts {
            let Part { array, stretch } = &mut part;
            let outcome = db::visit_quietly(ctx, array.db, &array.key, |held| {
                if !held.is_at_rest_since(array.since) {
                    return Outcome::Gone;
                }
                match Arc::get_mut(held) {
                    None => Outcome::Busy,
                    Some(held) => Outcome::Saved(held.put_smaller(stretch)),
                }
            });
            match outcome {
                Some(Outcome::Busy) if round.tries < TRIES => {
                    waiting.push(part);
                    continue;
                }
                None | Some(Outcome::Busy | Outcome::Gone) => {}
                Some(Outcome::Saved(saved)) => {
                    COMPACTED.chunks.fetch_add(saved.chunks, Ordering::Relaxed);
                    COMPACTED.bytes.fetch_add(saved.bytes, Ordering::Relaxed);
                    array.saved.chunks += saved.chunks;
                    array.saved.bytes += saved.bytes;
                    let is_done = match stretch.next {
                        Some(next) => {
                            array.next = next;
                            false
                        }
                        None => settle(ctx, array),
                    };
                    if !is_done {
                        let rest = Found { key: std::mem::take(&mut array.key), ..*array };
                        self.found.push_front(rest);
                    }
                }
            }
            done.push(part);
        }
        round.parts = done;
        self.discard(Round { parts: round.parts, tries: 0 });
        if !waiting.is_empty() {
            self.made = Some(Round { parts: waiting, tries: round.tries + 1 });
            self.poll(ctx);
        }
    }

    /// Has chunks freed that are no more used.
    fn discard(&self, round: Round) {
        if let Some(thread) = &self.thread {
            let _ = thread.tasks.send(Task::Drop(round)); // where it has gone, they are freed here
        }
    }

    /// Asks to be called again soon.
    fn poll(&mut self, ctx: *mut raw::RedisModuleCtx) {
        if !self.has_timer {
            // SAFETY: on the main thread, with a context that lives.
            unsafe { api!(RedisModule_CreateTimer(ctx, POLL, Some(timer), null_mut())) };
            self.has_timer = true;
        }
    }
}

/// What came of one array's chunks.
enum Outcome {
    /// Written to since, or another array by now.
    Gone,
    /// Read at this moment, or shared with another key.
    Busy,
    Saved(Saved),
}

/// All chunks of an array were gone through. False, and it is to be gone through once more, where some are alone in a string.
fn settle(ctx: *mut raw::RedisModuleCtx, array: &mut Found) -> bool {
    let is_done = db::visit_quietly(ctx, array.db, &array.key, |held| {
        if !held.is_at_rest_since(array.since) {
            return true;
        }
        if !array.is_again && held.is_parted() {
            return false;
        }
        held.settle();
        COMPACTED.examined.fetch_add(1, Ordering::Relaxed);
        COMPACTED.arrays.fetch_add(usize::from(array.saved.chunks > 0), Ordering::Relaxed);
        true
    });
    if is_done == Some(false) {
        (array.next, array.is_again) = (0, true);
    }
    is_done != Some(false)
}

/// What a look through the keys takes with it.
struct Look<'f> {
    now: u32,
    after: usize,
    db: c_int,
    found: &'f mut VecDeque<Found>,
}

/// Called by the server for each key of a part of a database.
unsafe extern "C" fn seen(
    _ctx: *mut raw::RedisModuleCtx,
    name: *mut raw::RedisModuleString,
    key: *mut raw::RedisModuleKey,
    look: *mut c_void,
) {
    guard(
        "the compactor",
        || (),
        || {
            // SAFETY: the server's name and key live until this returns; `look` is what `Compactor::look` handed in.
            let (look, array) = (&mut *look.cast::<Look<'_>>(), db::array_of(key));
            let Some(array) = array.filter(|array| array.is_compactable()) else { return };
            let at_rest = |since: &u32| (look.now - since.min(&look.now)) as usize >= look.after;
            if let Some(since) = array.at_rest_since(look.now).filter(at_rest) {
                let key = bytes_of(name).into();
                look.found.push_back(Found {
                    db: look.db,
                    key,
                    since,
                    next: 0,
                    saved: Saved::default(),
                    is_again: false,
                });
            }
        },
    );
}

/// Starts the thread; nothing where the system gives none.
fn start() -> Option<Thread> {
    let (tasks, theirs) = unbounded(); // a round at a time, and what is left of the last
    let done = Done::default();
    let place = done.clone();
    let spawned = std::thread::Builder::new().name("ndarray-compact".into()).spawn(move || serve(&theirs, &place));
    match spawned {
        Ok(handle) => Some(Thread { tasks, done, handle }),
        Err(e) => {
            log(null_mut(), c"warning", &format!("no thread for ndarray.compact-after: {e}"));
            None
        }
    }
}

/// The thread's life.
fn serve(tasks: &Receiver<Task>, done: &Done) {
    priority::lower(Priority::Idle);
    while let Ok(task) = tasks.recv() {
        match task {
            Task::Drop(round) => {
                drop(round);
                if tasks.is_empty() {
                    chunk::release_scratch();
                }
            }
            Task::Make(mut round) => {
                for Part { array, stretch } in &mut round.parts {
                    let outcome = guard("the compactor", || Ok(()), || stretch.make_smaller());
                    if let Err(e) = outcome {
                        let key = String::from_utf8_lossy(&array.key);
                        log(null_mut(), c"warning", &format!("a chunk of {key} was left as it is: {e}"));
                    }
                }
                done.put(round);
            }
        }
    }
}
