//! The only place that opens keys: types, nil, storing, expiry, replication, events.
//!
//! Reads clone the value's `Arc`: what they hold is a snapshot. A write computes all that can fail first, and ends in
//! one of [`Slot`]'s consuming methods followed by [`Db::commit`]; only then is the key signalled as modified, so that a
//! refused write does not break a `WATCH`.

use std::convert::Infallible;
use std::ffi::{c_int, c_void, CStr};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use redis_module::raw;
use triomphe::Arc;

use super::args::Key;
use super::cost::Cost;
use super::datatype;
use super::error::{Refusal, Result};
use super::ffi::{api, OK};
use super::held::Strings;
use super::pool;
use super::reply::Reply;
use crate::nd::array::Array;

/// One call's view of the database.
pub struct Db<'c> {
    ctx: *mut raw::RedisModuleCtx,
    argv: &'c [NonNull<raw::RedisModuleString>],
    reply: Reply,
}

/// When a key goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Expiry {
    /// Not by itself; an expiry that was set is dropped.
    #[default]
    Never,
    /// As before.
    Keep,
    /// At this many milliseconds of Unix time.
    At(i64),
}

impl<'c> Db<'c> {
    /// The database as the call with this context and these arguments sees it.
    pub(super) fn new(ctx: *mut raw::RedisModuleCtx, argv: &'c [NonNull<raw::RedisModuleString>]) -> Db<'c> {
        Db { ctx, argv, reply: Reply::new(ctx) }
    }

    /// Whether the call repeats what was done before: it comes from a primary, or from a file that is loaded.
    pub(super) fn is_replayed(&self) -> bool {
        let repeated = raw::REDISMODULE_CTX_FLAGS_REPLICATED
            | raw::REDISMODULE_CTX_FLAGS_LOADING
            | raw::REDISMODULE_CTX_FLAGS_ASYNC_LOADING;
        // SAFETY: the context lives (ffi invariant 1). Bits, reinterpreted.
        unsafe { api!(RedisModule_GetContextFlags(self.ctx)) as u32 & repeated != 0 }
    }

    /// Where the reply goes.
    pub fn reply(&self) -> &Reply {
        &self.reply
    }

    /// The array at `key`, or nothing where there is no key.
    ///
    /// # Errors
    /// `WRONGTYPE`; `CORRUPT` for an array whose parts have not all arrived.
    #[inline]
    pub fn read(&self, key: Key<'_>) -> Result<Option<Arc<Array>>> {
        self.look(key, |array| Ok(array.cloned()))
    }

    /// Calls `f` with the array at `key` while the key is open, or with nothing where there is none: a read that counts no
    /// reference unless `f` does. `f` must not write to the key.
    ///
    /// # Errors
    /// `WRONGTYPE`; `CORRUPT` for an array whose parts have not all arrived; what `f` answers.
    #[inline]
    pub fn look<R>(&self, key: Key<'_>, f: impl FnOnce(Option<&Arc<Array>>) -> Result<R>) -> Result<R> {
        // SAFETY: context and key name live (ffi invariants 1 and 3); a null key is a missing one.
        let opened = unsafe { api!(RedisModule_OpenKey(self.ctx, key.as_ptr(), raw::REDISMODULE_READ as c_int)) };
        let Some(opened) = NonNull::new(opened.cast::<raw::RedisModuleKey>()) else { return f(None) };
        let opened = OpenKey(opened);
        match opened.holds() {
            Holds::Nothing => f(None),
            Holds::Other => Err(Refusal::WrongType),
            Holds::Array(value) => {
                // SAFETY: a value of our type is an `Arc` turned raw (ffi invariant 4); the key keeps its reference, and has
                // it for as long as it is open.
                let array = ManuallyDrop::new(unsafe { Arc::from_raw(value.as_ptr()) });
                match array.parts_missing() {
                    0 => f(Some(&array)),
                    missing => Err(Refusal::Incomplete { missing }),
                }
            }
        }
    }

    /// Answers a read of one key: nil where there is none, else what `f` writes.
    ///
    /// # Errors
    /// What [`Db::read`] and `f` answer.
    pub fn answer(&self, key: Key<'_>, f: impl FnOnce(&Array) -> Result<()>) -> Result<()> {
        match self.read(key)? {
            None => self.nil(),
            Some(array) => f(&array),
        }
    }

    /// Ends a read of a key that is missing.
    ///
    /// # Errors
    /// None.
    pub fn nil(&self) -> Result<()> {
        self.reply.null();
        Ok(())
    }

    /// Ends a read by `job`, which writes the reply: here where that is soon done, on a worker where `cost` says that it
    /// would hold other clients up (see `pool`). The job owns what it needs, and keeps the rules of `Command::run`: all that
    /// can fail comes before the first word of the reply.
    ///
    /// # Errors
    /// What the job answers.
    pub fn finish(&self, cost: Cost, job: impl FnOnce(&Reply) -> Result<()> + Send + 'static) -> Result<()> {
        if cost.is_long() {
            pool::run(self.ctx, &self.reply, job)
        } else {
            job(&self.reply)
        }
    }

    /// Opens `key` for writing.
    pub fn write<'d>(&'d self, key: Key<'d>) -> Slot<'d> {
        let mode = (raw::REDISMODULE_READ | raw::REDISMODULE_WRITE) as c_int;
        // SAFETY: context and key name live; opened for writing, a key is never null.
        let opened = unsafe { api!(RedisModule_OpenKey(self.ctx, key.as_ptr(), mode)) };
        let opened = NonNull::new(opened.cast::<raw::RedisModuleKey>()).expect("a key opened for writing");
        Slot { opened: OpenKey(opened), lives: std::marker::PhantomData }
    }

    /// Ends a write: the keys' watchers and subscribers are told, and the call is replicated as it came.
    pub fn commit(&self, event: &CStr, keys: &[Key<'_>]) {
        // SAFETY: the context lives.
        unsafe { api!(RedisModule_ReplicateVerbatim(self.ctx)) };
        self.announce(event, keys);
    }

    /// Ends a write that must not be replicated as it came: `argv` (without the command's name) goes out instead.
    pub fn commit_as(&self, command: &CStr, argv: &mut [*mut raw::RedisModuleString], event: &CStr, keys: &[Key<'_>]) {
        // SAFETY: format `v` takes a vector of live strings and its length.
        unsafe {
            api!(RedisModule_Replicate(self.ctx, command.as_ptr(), c"v".as_ptr(), argv.as_mut_ptr(), argv.len()))
        };
        self.announce(event, keys);
    }

    fn announce(&self, event: &CStr, keys: &[Key<'_>]) {
        for key in keys {
            // SAFETY: context, event and key name live.
            unsafe {
                api!(RedisModule_SignalModifiedKey(self.ctx, key.as_ptr()));
                let class = raw::REDISMODULE_NOTIFY_MODULE as c_int;
                api!(RedisModule_NotifyKeyspaceEvent(self.ctx, class, event.as_ptr(), key.as_ptr()));
            }
        }
    }

    /// Publishes that these keys got an expiry, as the server's own commands do.
    pub fn publish_expire(&self, keys: &[Key<'_>]) {
        for key in keys {
            let class = raw::REDISMODULE_NOTIFY_GENERIC as c_int;
            // SAFETY: context, event and key name live.
            unsafe { api!(RedisModule_NotifyKeyspaceEvent(self.ctx, class, c"expire".as_ptr(), key.as_ptr())) };
        }
    }

    /// The call's arguments, for arrays to keep.
    pub fn strings(&self) -> Strings<'c> {
        Strings::new(self.argv)
    }

    /// The call's arguments after the command's name, as the API takes them.
    pub fn argv(&self) -> Vec<*mut raw::RedisModuleString> {
        self.argv[1..].iter().map(|s| s.as_ptr()).collect()
    }

    /// A new string of the server's, freed when the call ends.
    pub fn string(&self, text: &[u8]) -> OwnedString<'_> {
        // SAFETY: the server copies the bytes; the string is freed once, by its owner.
        let string = unsafe { api!(RedisModule_CreateString(self.ctx, text.as_ptr().cast(), text.len())) };
        OwnedString { ctx: self.ctx, string, lives: std::marker::PhantomData }
    }

    /// A random number, for a seed that nobody chose.
    pub fn random(&self) -> u64 {
        let mut bytes = [0u8; 8];
        // SAFETY: the server writes as many bytes as it is told.
        unsafe { api!(RedisModule_GetRandomBytes(bytes.as_mut_ptr(), bytes.len())) };
        u64::from_le_bytes(bytes)
    }

    /// Milliseconds of Unix time.
    pub fn now(&self) -> i64 {
        // SAFETY: takes nothing.
        unsafe { api!(RedisModule_Milliseconds()) }
    }
}

/// Calls `f` with the array at a key of a database, if there is one; it may change how the array is kept, but nothing that a
/// client could see. Nobody notices: not the access time, nor statistics, watchers or subscribers. The database stays selected.
///
/// On the main thread, between commands, with a context that lives.
pub(super) fn visit_quietly<R>(
    ctx: *mut raw::RedisModuleCtx,
    db: c_int,
    key: &[u8],
    f: impl FnOnce(&mut Arc<Array>) -> R,
) -> Option<R> {
    // Opened for writing, a key that is missing is no miss, and one that is there no hit. What older servers do not know
    // of these they leave alone.
    let mode = raw::REDISMODULE_READ
        | raw::REDISMODULE_WRITE
        | raw::REDISMODULE_OPEN_KEY_NOTOUCH
        | raw::REDISMODULE_OPEN_KEY_NONOTIFY
        | raw::REDISMODULE_OPEN_KEY_NOSTATS
        | raw::REDISMODULE_OPEN_KEY_NOEXPIRE;
    // SAFETY: on the main thread (ffi invariant 1); the name is a string of the server's until it is freed below.
    unsafe {
        if api!(RedisModule_SelectDb(ctx, db)) != OK {
            return None;
        }
        let name = api!(RedisModule_CreateString(ctx, key.as_ptr().cast(), key.len()));
        let name = OwnedString { ctx, string: name, lives: std::marker::PhantomData };
        let opened = api!(RedisModule_OpenKey(ctx, name.as_ptr(), mode as c_int));
        let opened = OpenKey(NonNull::new(opened.cast::<raw::RedisModuleKey>())?);
        let Holds::Array(value) = opened.holds() else { return None };
        // SAFETY: ffi invariant 4; the reference stays the key's.
        let mut array = ManuallyDrop::new(Arc::from_raw(value.as_ptr()));
        Some(f(&mut array))
    }
}

/// The array in a key that the server has opened, if it holds one.
///
/// # Safety
/// The key stays open, and nothing writes to it, for as long as what is answered is used.
pub(super) unsafe fn array_of<'k>(key: *mut raw::RedisModuleKey) -> Option<&'k Array> {
    let opened = ManuallyDrop::new(OpenKey(NonNull::new(key)?));
    match opened.holds() {
        // SAFETY: ffi invariant 4.
        Holds::Array(value) => Some(&*value.as_ptr()),
        Holds::Nothing | Holds::Other => None,
    }
}

/// A string of the server's that is ours to free.
pub struct OwnedString<'d> {
    ctx: *mut raw::RedisModuleCtx,
    string: *mut raw::RedisModuleString,
    lives: std::marker::PhantomData<&'d ()>,
}

impl OwnedString<'_> {
    /// For the API, while this lives.
    pub fn as_ptr(&self) -> *mut raw::RedisModuleString {
        self.string
    }
}

impl Drop for OwnedString<'_> {
    fn drop(&mut self) {
        // SAFETY: created by us, freed once; the server keeps its own reference where it needs one.
        unsafe { api!(RedisModule_FreeString(self.ctx, self.string)) };
    }
}

/// A key that is open, closed on drop.
struct OpenKey(NonNull<raw::RedisModuleKey>);

enum Holds {
    Nothing,
    Array(NonNull<Array>),
    Other,
}

impl OpenKey {
    #[inline]
    fn holds(&self) -> Holds {
        // SAFETY: an open key.
        unsafe {
            let key = self.0.as_ptr();
            // The type first: null for no value and for what is no module's. Most keys hold what the command wants.
            if api!(RedisModule_ModuleTypeGetType(key)) == datatype::raw_type() {
                let value = api!(RedisModule_ModuleTypeGetValue(key)).cast();
                return NonNull::new(value).map_or(Holds::Other, Holds::Array);
            }
            // Asked by number, not by enum: newer servers have types that older bindings do not know.
            match api!(RedisModule_KeyType(key)) as isize {
                raw::REDISMODULE_KEYTYPE_EMPTY => Holds::Nothing,
                _ => Holds::Other,
            }
        }
    }
}

impl Drop for OpenKey {
    fn drop(&mut self) {
        // SAFETY: open, and closed once.
        unsafe { api!(RedisModule_CloseKey(self.0.as_ptr())) };
    }
}

/// A key open for writing, and what it holds.
pub struct Slot<'d> {
    opened: OpenKey,
    lives: std::marker::PhantomData<&'d ()>,
}

impl Slot<'_> {
    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        matches!(self.opened.holds(), Holds::Nothing)
    }

    /// The array, to look at; nothing where there is no key.
    ///
    /// # Errors
    /// `WRONGTYPE`; `CORRUPT` for an array whose parts have not all arrived.
    pub fn array(&self) -> Result<Option<&Array>> {
        match self.unfinished()? {
            Some(array) if array.parts_missing() > 0 => Err(Refusal::Incomplete { missing: array.parts_missing() }),
            other => Ok(other),
        }
    }

    /// The array, even one whose parts have not all arrived: for the command that brings them.
    ///
    /// # Errors
    /// `WRONGTYPE`.
    pub fn unfinished(&self) -> Result<Option<&Array>> {
        match self.opened.holds() {
            Holds::Nothing => Ok(None),
            Holds::Other => Err(Refusal::WrongType),
            // SAFETY: the key owns the value for as long as it is open, and only `self` can change it.
            Holds::Array(value) => Ok(Some(unsafe { &*value.as_ptr() })),
        }
    }

    /// Calls `change` with the array where there is one that no snapshot shares.
    pub fn in_place<R>(&mut self, change: impl FnOnce(&mut Array) -> R) -> Option<R> {
        let Holds::Array(value) = self.opened.holds() else { return None };
        // SAFETY: ffi invariant 4; the reference stays the key's.
        let mut array = ManuallyDrop::new(unsafe { Arc::from_raw(value.as_ptr()) });
        Arc::get_mut(&mut array).map(change)
    }

    /// Changes the array, copying it first where a snapshot shares it (chunks stay shared). Nothing without an array.
    pub fn change<R>(&mut self, change: impl FnOnce(&mut Array) -> R) -> Option<R> {
        self.try_change(|array| Ok::<R, Infallible>(change(array))).map(|Ok(outcome)| outcome)
    }

    /// [`Slot::change`] by what may be refused. Then it has changed nothing, and the key keeps the array it has.
    pub fn try_change<R, E>(&mut self, change: impl FnOnce(&mut Array) -> Result<R, E>) -> Option<Result<R, E>> {
        let Holds::Array(value) = self.opened.holds() else { return None };
        // SAFETY: ffi invariant 4.
        let mut array = ManuallyDrop::new(unsafe { Arc::from_raw(value.as_ptr()) });
        if let Some(own) = Arc::get_mut(&mut array) {
            return Some(change(own));
        }
        let mut copy = (**array).clone();
        let outcome = change(&mut copy);
        if outcome.is_ok() {
            self.replace(copy);
        }
        Some(outcome)
    }

    /// Puts a new array in place of the old one; the expiry stays. Only where the key holds an array.
    fn replace(&mut self, array: Array) {
        let new = Arc::into_raw(Arc::new(array)).cast_mut().cast::<c_void>();
        let mut old = std::ptr::null_mut();
        // SAFETY: the key is open for writing and holds our type; the old value comes back to us.
        unsafe {
            let done =
                api!(RedisModule_ModuleTypeReplaceValue(self.opened.0.as_ptr(), datatype::raw_type(), new, &mut old));
            assert_eq!(done, OK, "a key that holds an array takes another");
            drop(Arc::from_raw(old.cast::<Array>()));
        }
    }

    /// Stores an array whatever the key held before.
    pub fn set(&mut self, array: Array, expiry: Expiry) {
        if expiry == Expiry::Keep && matches!(self.opened.holds(), Holds::Array(_)) {
            return self.replace(array);
        }
        let key = self.opened.0.as_ptr();
        // SAFETY: an open key; `SetValue` frees what was there, and its expiry goes with it.
        unsafe {
            let kept = match expiry {
                Expiry::Keep => api!(RedisModule_GetAbsExpire(key)),
                Expiry::At(at) => at,
                Expiry::Never => raw::REDISMODULE_NO_EXPIRE as i64,
            };
            let value = Arc::into_raw(Arc::new(array)).cast_mut().cast::<c_void>();
            let done = api!(RedisModule_ModuleTypeSetValue(key, datatype::raw_type(), value));
            assert_eq!(done, OK, "a key open for writing takes a value");
            if kept != raw::REDISMODULE_NO_EXPIRE as i64 {
                api!(RedisModule_SetAbsExpire(key, kept));
            }
        }
    }

    /// Sets or drops the expiry of a key that exists.
    pub fn expire(&mut self, expiry: Expiry) {
        let never = raw::REDISMODULE_NO_EXPIRE as i64;
        let key = self.opened.0.as_ptr();
        // SAFETY: an open key.
        unsafe {
            match expiry {
                Expiry::Keep => {}
                Expiry::At(at) => {
                    api!(RedisModule_SetAbsExpire(key, at));
                }
                Expiry::Never => {
                    if api!(RedisModule_GetAbsExpire(key)) != never {
                        api!(RedisModule_SetAbsExpire(key, never));
                    }
                }
            }
        }
    }
}
