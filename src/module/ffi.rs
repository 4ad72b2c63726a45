//! The edge to C: calling the module API, and being called by it.
//!
//! Invariants that `SAFETY` comments cite:
//!
//! 1. *Main thread.* Redis calls commands and key callbacks on its main thread with a context that lives until they
//!    return; `free` alone may run on a background thread.
//! 2. *API pointers.* The `RedisModule_*` pointers are written once, by `RedisModule_Init`, before anything else runs.
//! 3. *Arguments.* `argv` holds `argc` strings that live, unchanged, until the command returns.
//! 4. *Values.* A module value of our type is a pointer that came from `Arc::into_raw` of an `Array`, and the key owns
//!    one reference.
//! 5. *Workers.* A thread of our own touches nothing of the server but: one blocked client that it was handed, its
//!    context (made on the main thread, used for replies alone, freed before the client is unblocked, once), the
//!    allocator, the log, and the clock that measures a blocked client. No key, no argument, no other context. What else
//!    it works on is Rust's: `Arc`s of arrays, which nobody changes while they are shared. Helpers (`nd::parallel`)
//!    touch nothing but the allocator and what their caller lends them until they end.
//!    A string that an array kept is put aside for the main thread to free (see `held`).
//!    The compactor's thread touches nothing but the allocator, the log and chunks that it shares.
//! 6. *Children.* A child that the server forks has the main thread only. What runs there (saving, rewriting) takes no
//!    lock that a worker may hold at that moment, and waits for no worker.
//!
//! Nothing may unwind into C: every entry goes through [`guard`].

use std::ffi::{c_char, c_int, CString};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};

use redis_module::raw;

/// Calls a function of the module API that every supported server has.
///
/// Reading the pointer is safe by invariant 2; what the call itself needs stands at each use.
macro_rules! api {
    ($name:ident($($arg:expr),* $(,)?)) => {
        (redis_module::raw::$name.expect(concat!(stringify!($name), " is missing from this server")))($($arg),*)
    };
}
pub(crate) use api;

/// How often a handler panicked; shown by `INFO ndarray`.
pub static PANICS: AtomicU64 = AtomicU64::new(0);

/// Runs `body`; a panic is counted, logged and answered with `fallback`, and the server lives.
pub fn guard<R>(what: &str, fallback: impl FnOnce() -> R, body: impl FnOnce() -> R) -> R {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(r) => r,
        Err(cause) => {
            PANICS.fetch_add(1, Ordering::Relaxed);
            let text = cause
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| cause.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            log(std::ptr::null_mut(), c"warning", &format!("bug: {what} panicked: {text}"));
            fallback()
        }
    }
}

/// Writes a line to the server's log; `level` is one of debug, verbose, notice, warning.
pub fn log(ctx: *mut raw::RedisModuleCtx, level: &std::ffi::CStr, line: &str) {
    let line = c_text(line);
    // SAFETY: the format is fixed and takes one string; a null context is allowed.
    unsafe {
        if let Some(log) = raw::RedisModule_Log {
            log(ctx, level.as_ptr(), c"%s".as_ptr(), line.as_ptr());
        }
    }
}

/// The bytes of a string of the server's.
///
/// # Safety
/// The string lives, and does not change, for `'a`.
#[inline]
pub unsafe fn bytes_of<'a>(string: *const raw::RedisModuleString) -> &'a [u8] {
    let mut len = 0;
    let start = api!(RedisModule_StringPtrLen(string, &mut len));
    std::slice::from_raw_parts(start.cast::<u8>(), len)
}

/// Text for C: bytes that would end a line or a string become `?`.
pub fn c_text(text: &str) -> CString {
    let clean: Vec<u8> = text.bytes().map(|b| if matches!(b, 0 | b'\r' | b'\n') { b'?' } else { b }).collect();
    CString::new(clean).expect("no NUL is left")
}

/// A C string that lives as long as the process: for tables that the server may keep.
pub fn leak(text: &str) -> *const c_char {
    c_text(text).into_raw()
}

/// `REDISMODULE_OK` and `REDISMODULE_ERR` as callbacks answer them.
pub const OK: c_int = raw::REDISMODULE_OK as c_int;
/// See [`OK`].
pub const ERR: c_int = raw::REDISMODULE_ERR as c_int;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_counted_and_answered_and_does_not_unwind_further() {
        let before = PANICS.load(Ordering::Relaxed);
        assert_eq!(guard("a test", || 7, || panic!("on purpose: {}", 1)), 7);
        assert_eq!(guard("a test", || 7, || 8), 8);
        assert!(PANICS.load(Ordering::Relaxed) > before);
    }

    #[test]
    fn text_for_c_has_no_line_ends_and_no_nul() {
        assert_eq!(c_text("a\r\nb\0c").to_bytes(), b"a??b?c");
    }
}
