//! The native type: what the server calls to save, load, copy, free, measure and move a value.

use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use redis_module::raw;
use triomphe::Arc;

use super::config;
use super::ffi::{api, guard, log, OK};
use super::pages;
use crate::nd::array::Array;
use crate::nd::error::Error;
use crate::nd::format::rdb::{self, OwnString as _};
use crate::nd::memory::{self, Buffer};

/// Nine characters, for ever: they stand in every RDB file.
const NAME: &std::ffi::CStr = c"NDARRAY--";

static TYPE: AtomicPtr<raw::RedisModuleType> = AtomicPtr::new(null_mut());

/// The server's handle of the type.
pub fn raw_type() -> *mut raw::RedisModuleType {
    TYPE.load(Ordering::Relaxed)
}

/// Registers the type; false where the server refuses it.
pub fn register(ctx: *mut raw::RedisModuleCtx) -> bool {
    // SAFETY: a plain C struct, for which all zeros are valid.
    let mut methods: raw::RedisModuleTypeMethods = unsafe { std::mem::zeroed() };
    methods.version = 4; // what Redis 7.0 knows; nothing newer is used
    methods.rdb_load = Some(rdb_load);
    methods.rdb_save = Some(rdb_save);
    methods.aof_rewrite = Some(aof_rewrite);
    methods.mem_usage = Some(mem_usage);
    methods.digest = Some(digest);
    methods.free = Some(free);
    methods.free_effort = Some(free_effort);
    methods.copy = Some(copy);
    methods.defrag = Some(defrag);
    // SAFETY: during load; the server copies the table.
    let created = unsafe { api!(RedisModule_CreateDataType(ctx, NAME.as_ptr(), rdb::ENCVER, &mut methods)) };
    TYPE.store(created, Ordering::Relaxed);
    measure_overhead();
    !created.is_null()
}

/// Borrows a value.
///
/// # Safety
/// `value` is a value of our type, and its key keeps it until the callback returns (ffi invariant 4).
unsafe fn borrow<'a>(value: *const c_void) -> &'a Array {
    &*value.cast::<Array>()
}

/// A string that the server read for us.
struct Loaded {
    start: *mut std::ffi::c_char,
    len: usize,
}

impl Loaded {
    fn next(io: *mut raw::RedisModuleIO) -> Result<Loaded, Error> {
        let mut len = 0;
        // SAFETY: the server's reader; null after an I/O error.
        let start = unsafe { api!(RedisModule_LoadStringBuffer(io, &mut len)) };
        if start.is_null() {
            return Err(Error::corrupt("stored array", 0, "the file or payload ends early"));
        }
        Ok(Loaded { start, len })
    }
}

impl rdb::OwnString for Loaded {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the server filled `len` bytes; they are ours until freed.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.len) }
    }

    fn into_buffer(self, part: Range<usize>) -> Buffer {
        let string = ManuallyDrop::new(self);
        let words = memory::words_for(part.len());
        assert!(words > 0 && words * 8 <= string.len, "a part of a string with a head");
        // SAFETY: as in `bytes`, and nobody else has them. The memory is the server's allocator's, aligned to 16, and so is what
        // our global allocator hands out and takes back (alloc.rs); all of its first `words` words are filled, and the rest is
        // given back before a box of that size owns it.
        unsafe {
            std::slice::from_raw_parts_mut(string.start.cast::<u8>(), string.len).copy_within(part, 0);
            let start = api!(RedisModule_Realloc(string.start.cast(), words * 8));
            Box::from_raw(std::ptr::slice_from_raw_parts_mut(start.cast::<u64>(), words))
        }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: handed over by the server to be freed once.
        unsafe { api!(RedisModule_Free(self.start.cast())) };
    }
}

/// Whether a file or a replication stream is read, as against one payload.
fn is_loading(io: *mut raw::RedisModuleIO) -> bool {
    let loading = raw::REDISMODULE_CTX_FLAGS_LOADING | raw::REDISMODULE_CTX_FLAGS_ASYNC_LOADING;
    // SAFETY: the server's reader has a context for as long as it lives.
    let flags = unsafe { api!(RedisModule_GetContextFlags(api!(RedisModule_GetContextFromIO(io)))) };
    flags as u32 & loading != 0 // bits, reinterpreted
}

fn load(io: *mut raw::RedisModuleIO, encver: c_int) -> Result<Array, Error> {
    if encver != rdb::ENCVER {
        return Err(Error::corrupt(
            "stored array",
            0,
            format!("encoding version {encver} is newer than {}, which this module reads", rdb::ENCVER),
        ));
    }
    let rdb::Header { mut array, parts, stored } = rdb::read_header(Loaded::next(io)?.bytes())?;
    // How long the last part was whose memory is a chunk's now: the next is likely as long, and takes memory anew.
    static KEPT: AtomicUsize = AtomicUsize::new(0);
    for _ in 0..parts {
        pages::make_ready(KEPT.load(Ordering::Relaxed));
        let part = Loaded::next(io)?;
        let len = part.len;
        let kept = rdb::read_own_part(&mut array, part)?;
        KEPT.store(if kept { len } else { 0 }, Ordering::Relaxed);
    }
    let missing = array.parts_missing();
    // A file may have been saved while an append-only file was being read; a payload of `RESTORE` is whole or wrong.
    if missing > 0 && !is_loading(io) {
        return Err(Error::corrupt("stored array", 0, format!("{missing} parts are missing")));
    }
    let held = array.chunks().map_or(0, |c| c.stored().len() as u64);
    if missing == 0 && held != stored {
        return Err(Error::corrupt("stored array", 0, format!("{held} chunks came, {stored} were announced")));
    }
    Ok(array)
}

unsafe extern "C" fn rdb_load(io: *mut raw::RedisModuleIO, encver: c_int) -> *mut c_void {
    guard("rdb_load", null_mut, || match load(io, encver) {
        Ok(array) => Arc::into_raw(Arc::new(array)).cast_mut().cast(),
        Err(e) => {
            log(null_mut(), c"warning", &format!("an array was not loaded: {e}"));
            null_mut()
        }
    })
}

unsafe extern "C" fn rdb_save(io: *mut raw::RedisModuleIO, value: *mut c_void) {
    guard(
        "rdb_save",
        || (),
        || {
            // SAFETY: see `borrow`; the server copies each string before it returns.
            let outcome: Result<(), std::convert::Infallible> = rdb::save(borrow(value), &mut |string| {
                api!(RedisModule_SaveStringBuffer(io, string.as_ptr().cast(), string.len()));
                Ok(())
            });
            let Ok(()) = outcome;
        },
    );
}

/// Small arrays become a plain `ND.SET`; what has chunks or attributes is written string by string as it is saved.
unsafe extern "C" fn aof_rewrite(aof: *mut raw::RedisModuleIO, key: *mut raw::RedisModuleString, value: *mut c_void) {
    guard(
        "aof_rewrite",
        || (),
        || {
            // SAFETY: see `borrow`. Each format names its arguments: `s` a string of the server, `b` bytes and length, `c` text.
            let array = borrow(value);
            if let (Some(bytes), true) = (array.plain_bytes(), array.attributes().is_empty()) {
                let dtype = super::ffi::c_text(array.dtype().name());
                let shape = super::ffi::c_text(&array.shape().to_string());
                api!(RedisModule_EmitAOF(
                    aof,
                    c"ND.SET".as_ptr(),
                    c"scccb".as_ptr(),
                    key,
                    dtype.as_ptr(),
                    shape.as_ptr(),
                    c"BLOB".as_ptr(),
                    bytes.as_ptr(),
                    bytes.len()
                ));
                return;
            }
            let mut kind = c"HEADER";
            let outcome: Result<(), std::convert::Infallible> = rdb::save(array, &mut |string| {
                api!(RedisModule_EmitAOF(
                    aof,
                    c"ND.RESTOREPART".as_ptr(),
                    c"scb".as_ptr(),
                    key,
                    kind.as_ptr(),
                    string.as_ptr(),
                    string.len()
                ));
                kind = c"CHUNKS";
                Ok(())
            });
            let Ok(()) = outcome;
        },
    );
}

/// What the server's own object and the pointer pair behind it take; `MEMORY USAGE` does not count them for modules.
const OBJECT: usize = 32;

/// What the server counts for the entry of a key in its table: the bytes it asks for, not those it is given.
const ENTRY: usize = 24;

/// [`OBJECT`], and what the allocator adds to an [`ENTRY`]: 8 bytes or none, as it was built. Asked once, at load.
static OVERHEAD: AtomicUsize = AtomicUsize::new(OBJECT);

fn measure_overhead() {
    // SAFETY: at load; the block is ours, and freed once.
    unsafe {
        let Some(size_of) = raw::RedisModule_MallocSize else { return };
        let entry = api!(RedisModule_Alloc(ENTRY));
        OVERHEAD.store(OBJECT + size_of(entry).saturating_sub(ENTRY), Ordering::Relaxed);
        api!(RedisModule_Free(entry));
    }
}

unsafe extern "C" fn mem_usage(value: *const c_void) -> usize {
    guard("mem_usage", || 0, || borrow(value).memory() + OVERHEAD.load(Ordering::Relaxed))
}

unsafe extern "C" fn digest(md: *mut raw::RedisModuleDigest, value: *mut c_void) {
    guard(
        "digest",
        || (),
        || {
            // SAFETY: see `borrow`; the server hashes the bytes before it returns.
            let array = borrow(value);
            if array.nbytes() > config::MAX_ARRAY_BYTES.get() {
                // Larger than any machine, and mostly one value: what is stored stands for the elements.
                let outcome: Result<(), std::convert::Infallible> = rdb::save(array, &mut |string| {
                    api!(RedisModule_DigestAddStringBuffer(md, string.as_ptr().cast(), string.len()));
                    Ok(())
                });
                let Ok(()) = outcome;
                api!(RedisModule_DigestEndSequence(md));
                return;
            }
            match array.digest() {
                Ok(d) => api!(RedisModule_DigestAddStringBuffer(md, d.to_le_bytes().as_ptr().cast(), 8)),
                Err(e) => {
                    log(null_mut(), c"warning", &format!("no digest: {e}"));
                    return;
                }
            }
            for (name, text) in array.attributes().iter() {
                api!(RedisModule_DigestAddStringBuffer(md, name.as_ptr().cast(), name.len()));
                api!(RedisModule_DigestAddStringBuffer(md, text.as_ptr().cast(), text.len()));
            }
            api!(RedisModule_DigestEndSequence(md));
        },
    );
}

/// May run on a background thread: touches nothing but the value, and allocates nothing.
unsafe extern "C" fn free(value: *mut c_void) {
    // SAFETY: the key's reference, handed over (ffi invariant 4).
    guard("free", || (), || drop(Arc::from_raw(value.cast::<Array>().cast_const())));
}

unsafe extern "C" fn free_effort(_key: *mut raw::RedisModuleString, value: *const c_void) -> usize {
    guard("free_effort", || 1, || borrow(value).free_effort())
}

/// `COPY` shares the array: the first write to either copies what it changes.
unsafe extern "C" fn copy(
    _from: *mut raw::RedisModuleString,
    _to: *mut raw::RedisModuleString,
    value: *const c_void,
) -> *mut c_void {
    guard("copy", null_mut, || {
        // SAFETY: ffi invariant 4; the key keeps its reference, the copy gets one of its own.
        let array = ManuallyDrop::new(Arc::from_raw(value.cast::<Array>()));
        Arc::into_raw(Arc::clone(&array)).cast_mut().cast()
    })
}

/// Moves the buffers, as many as the server has time for; 1 asks to be called again.
unsafe extern "C" fn defrag(
    ctx: *mut raw::RedisModuleDefragCtx,
    _key: *mut raw::RedisModuleString,
    value: *mut *mut c_void,
) -> c_int {
    guard(
        "defrag",
        || 0,
        || {
            // SAFETY: ffi invariant 4; the key keeps its reference. Shared arrays stay where they are.
            let mut array = ManuallyDrop::new(Arc::from_raw((*value).cast::<Array>().cast_const()));
            let Some(array) = Arc::get_mut(&mut array) else { return 0 };
            let mut cursor = 0;
            if api!(RedisModule_DefragCursorGet(ctx, &mut cursor)) != OK {
                cursor = 0;
            }
            let (mut number, mut stopped) = (0, false);
            array.buffers_mut(&mut |buffer| {
                if !stopped && number >= cursor && !buffer.is_empty() {
                    let len = buffer.len();
                    let old = Box::into_raw(std::mem::take(buffer)).cast::<u64>();
                    let moved = api!(RedisModule_DefragAlloc(ctx, old.cast()));
                    let start = if moved.is_null() { old } else { moved.cast() };
                    // SAFETY: the old allocation, or one of the same size with the same contents that replaced it.
                    *buffer = Box::from_raw(std::ptr::slice_from_raw_parts_mut(start, len));
                    stopped = number % 16 == 15 && api!(RedisModule_DefragShouldStop(ctx)) != 0;
                    if stopped {
                        api!(RedisModule_DefragCursorSet(ctx, number + 1));
                    }
                }
                number += 1;
            });
            c_int::from(stopped)
        },
    )
}
