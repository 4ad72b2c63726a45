//! The Redis module: everything that knows of a server, and all of the FFI.
//!
//! Order of the files, each using only those before it: `spec`, `args`, `reply`, `cost`; `spacers`, `held`, `input`, `output`; `blocked`,
//! `pool`; `db`, `datatype`; `compactor`; `clock`; `options`; `register`; `commands`.

mod alloc;
mod args;
mod blocked;
mod clock;
pub mod commands;
mod compactor;
mod config;
mod cost;
mod datatype;
mod db;
mod error;
mod ffi;
mod held;
mod info;
mod input;
mod options;
mod output;
mod pages;
mod pool;
mod priority;
mod register;
mod reply;
mod spacers;
pub mod spec;
mod values;

use std::ffi::{c_int, CStr};
use std::ptr::NonNull;

use redis_module::raw;

use ffi::{api, bytes_of, guard, log, ERR, OK};

#[global_allocator]
static ALLOCATOR: alloc::ServerAlloc = alloc::ServerAlloc;

/// The module's name: settings are `ndarray.*`, and `INFO ndarray` its section.
const NAME: &CStr = c"ndarray";

/// The version as the server keeps it: major * 10000 + minor * 100 + patch.
const VERSION: c_int = 100;

/// Called by the server to load the module.
///
/// # Safety
/// Called by a Redis server, once, with a context and the load arguments.
#[no_mangle]
#[allow(non_snake_case)]
pub unsafe extern "C" fn RedisModule_OnLoad(
    ctx: *mut raw::RedisModuleCtx,
    argv: *mut *mut raw::RedisModuleString,
    argc: c_int,
) -> c_int {
    // Before this call there is no allocator but the system's; nothing may be allocated.
    if raw::Export_RedisModule_Init(ctx, NAME.as_ptr(), VERSION, raw::REDISMODULE_APIVER_1 as c_int) == ERR {
        return ERR;
    }
    guard(
        "loading",
        || ERR,
        || match load(ctx, argv, argc) {
            Ok(()) => OK,
            Err(why) => {
                log(ctx, c"warning", &format!("ndarray was not loaded: {why}"));
                ERR
            }
        },
    )
}

/// Everything that can be refused, in order; the first refusal ends it.
fn load(ctx: *mut raw::RedisModuleCtx, argv: *mut *mut raw::RedisModuleString, argc: c_int) -> Result<(), String> {
    let strings: Vec<&[u8]> = (0..usize::try_from(argc).unwrap_or(0))
        // SAFETY: `argc` live strings (ffi invariant 3); null is never among them.
        .map(|i| unsafe { bytes_of(*argv.add(i)) })
        .collect();
    held::begin(ctx);
    config::take_load_arguments(&strings)?;
    if !datatype::register(ctx) {
        return Err("the server refused the data type".into());
    }
    // All flags in one call: each call replaces the last. Implicit signals are off so that a refused write leaves `WATCH`
    // alone (see `db`).
    let options = raw::REDISMODULE_OPTIONS_HANDLE_IO_ERRORS
        | raw::REDISMODULE_OPTION_NO_IMPLICIT_SIGNAL_MODIFIED
        | raw::REDISMODULE_OPTIONS_HANDLE_REPL_ASYNC_LOAD;
    // SAFETY: during load.
    unsafe { api!(RedisModule_SetModuleOptions(ctx, options as c_int)) };
    config::register(ctx)?;
    config::share_out_memory();
    pool::prepare();
    let with_category = register::register_category(ctx);
    commands::register_all(ctx, with_category)?;
    info::register(ctx);
    clock::register(ctx);
    debug_assert!(NonNull::new(ctx).is_some());
    Ok(())
}
