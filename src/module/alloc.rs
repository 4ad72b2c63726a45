//! The global allocator: Redis's own, so that `used_memory`, `maxmemory` and `MEMORY USAGE` see every byte.
//!
//! Outside a server (unit tests, documentation tools) the API pointers are not set and the system's allocator serves.
//! Both are never mixed: inside a server nothing is allocated before the pointers are set.

use std::alloc::{GlobalAlloc, Layout, System};

use redis_module::raw;

/// Allocates through the module API, or the system where there is no server.
pub struct ServerAlloc;

/// What the server's allocator aligns to on its own.
const SERVER_ALIGN: usize = 16;

// SAFETY: every path returns memory of the asked size and alignment, or null. An allocation is freed by the allocator it
// came from: the API pointers are set once, before the first allocation, and a stricter alignment than the server gives
// always goes to the system, which is decided by the layout alone.
unsafe impl GlobalAlloc for ServerAlloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > SERVER_ALIGN {
            return System.alloc(layout);
        }
        // `TryAlloc` answers null where `Alloc` would end the process.
        match (raw::RedisModule_TryAlloc, raw::RedisModule_Alloc) {
            (Some(try_alloc), _) => try_alloc(layout.size()).cast(),
            (None, Some(alloc)) => alloc(layout.size()).cast(),
            (None, None) => System.alloc(layout),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() > SERVER_ALIGN {
            return System.alloc_zeroed(layout);
        }
        match (raw::RedisModule_TryCalloc, raw::RedisModule_Calloc) {
            (Some(try_calloc), _) => try_calloc(1, layout.size()).cast(),
            (None, Some(calloc)) => calloc(1, layout.size()).cast(),
            (None, None) => System.alloc_zeroed(layout),
        }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.align() > SERVER_ALIGN {
            return System.realloc(ptr, layout, new_size);
        }
        match (raw::RedisModule_TryRealloc, raw::RedisModule_Realloc) {
            (Some(try_realloc), _) => try_realloc(ptr.cast(), new_size).cast(),
            (None, Some(realloc)) => realloc(ptr.cast(), new_size).cast(),
            (None, None) => System.realloc(ptr, layout, new_size),
        }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        match raw::RedisModule_Free {
            Some(free) if layout.align() <= SERVER_ALIGN => free(ptr.cast()),
            _ => System.dealloc(ptr, layout),
        }
    }
}
