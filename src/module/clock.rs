//! The server's clock: what the module does at every tick, ten times a second unless `hz` says otherwise. On the main thread,
//! between commands; each part is short, and ends by itself.

use std::ffi::c_void;

use redis_module::raw;

use super::ffi::{api, guard};
use super::{compactor, config, held, output, spacers};

/// Asks the server for its ticks.
pub fn register(ctx: *mut raw::RedisModuleCtx) {
    let event = raw::RedisModuleEvent { id: raw::REDISMODULE_EVENT_CRON_LOOP, dataver: 1 };
    // SAFETY: during load.
    unsafe { api!(RedisModule_SubscribeToServerEvent(ctx, event, Some(tick))) };
}

unsafe extern "C" fn tick(ctx: *mut raw::RedisModuleCtx, _event: raw::RedisModuleEvent, _sub: u64, _data: *mut c_void) {
    guard("freeing strings", || (), held::sweep);
    guard("letting strings go", || (), spacers::tick);
    guard("giving memory back", || (), output::tick);
    guard("sharing memory out", || (), config::share_out_memory);
    guard("the compactor", || (), || compactor::tick(ctx));
}
