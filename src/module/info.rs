//! `INFO ndarray`.

use std::ffi::{c_int, CStr};
use std::sync::atomic::{AtomicUsize, Ordering};

use redis_module::raw;

use super::compactor::COMPACTED;
use super::ffi::{api, c_text, guard, PANICS};
use super::held;
use super::pool::{self, JOBS};
use crate::nd::{decoded, stats};

/// Registers the section.
pub fn register(ctx: *mut raw::RedisModuleCtx) {
    // SAFETY: during load.
    unsafe { api!(RedisModule_RegisterInfoFunc(ctx, Some(info))) };
}

unsafe extern "C" fn info(ctx: *mut raw::RedisModuleInfoCtx, _for_crash_report: c_int) {
    guard(
        "INFO",
        || (),
        || {
            // SAFETY: the context lives until this returns; names are C strings that the server copies.
            let number = |name: &CStr, n: u64| {
                api!(RedisModule_InfoAddFieldULongLong(ctx, name.as_ptr(), n));
            };
            // An empty name gives the section the module's own name.
            if api!(RedisModule_InfoAddSection(ctx, std::ptr::null())) != raw::REDISMODULE_OK as c_int {
                return; // not asked for
            }
            let version = c_text(env!("CARGO_PKG_VERSION"));
            api!(RedisModule_InfoAddFieldCString(ctx, c"version".as_ptr(), version.as_ptr()));
            number(c"chunks_decoded", stats::CHUNKS_DECODED.load(Ordering::Relaxed));
            number(c"chunks_found_decoded", stats::CHUNKS_FOUND_DECODED.load(Ordering::Relaxed));
            number(c"decoded_bytes", decoded::memory());
            number(c"chunks_encoded", stats::CHUNKS_ENCODED.load(Ordering::Relaxed));
            number(c"chunks_stored_raw", stats::CHUNKS_STORED_RAW.load(Ordering::Relaxed));
            number(c"blocks_reduced", stats::BLOCKS_REDUCED.load(Ordering::Relaxed));
            number(c"helpers_started", stats::HELPERS_STARTED.load(Ordering::Relaxed));
            let count = |name: &CStr, n: &AtomicUsize| number(name, n.load(Ordering::Relaxed) as u64);
            count(c"strings_held", &held::HELD);
            number(c"jobs_queued", pool::queued() as u64);
            count(c"jobs_running", &JOBS.running);
            count(c"jobs_done", &JOBS.done);
            count(c"jobs_inline", &JOBS.inline);
            count(c"jobs_cancelled", &JOBS.cancelled);
            count(c"arrays_examined", &COMPACTED.examined);
            count(c"arrays_compacted", &COMPACTED.arrays);
            count(c"chunks_compacted", &COMPACTED.chunks);
            count(c"compaction_bytes_saved", &COMPACTED.bytes);
            number(c"internal_errors", PANICS.load(Ordering::Relaxed));
        },
    );
}
