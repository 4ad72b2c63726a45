//! A client that waits for a worker: blocked on the main thread, answered on the worker's, exactly once.
//!
//! The server keeps a blocked client until it is unblocked, whether or not somebody is still at the other end, and hangs
//! one that is forgotten. So a [`BlockedClient`] unblocks when it is dropped, and answers an error where nothing was
//! answered before. When the connection goes, the flag of its job is raised; nothing else is told to the worker.

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis_module::raw;

use super::error::{Refusal, Result};
use super::ffi::{api, guard};
use super::reply::Reply;
use crate::nd::error::Error;
use crate::nd::interrupt;

/// The flags of the jobs that clients wait for, by the address of the blocked client: all that the server hands us when a
/// connection goes. Taken for moments, by workers too; never by a child of the server.
static WAITING: Mutex<BTreeMap<usize, Arc<AtomicBool>>> = Mutex::new(BTreeMap::new());

fn waiting() -> MutexGuard<'static, BTreeMap<usize, Arc<AtomicBool>>> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One blocked client; see the module comment.
pub struct BlockedClient {
    client: NonNull<raw::RedisModuleBlockedClient>,
    /// Writes into the client's own pending reply; made on the main thread.
    ctx: *mut raw::RedisModuleCtx,
    is_resp3: bool,
    is_answered: bool,
    is_gone: Arc<AtomicBool>,
}

// SAFETY: a blocked client and its context are used by one thread at a time, as the API allows (ffi invariant 5); `Reply`s
// of it do not outlive `answer`.
unsafe impl Send for BlockedClient {}

impl BlockedClient {
    /// Blocks the client of this call, if it may be: its reply must be all that is left of the call.
    ///
    /// Not within a transaction, a script or a function, nor for calls of other modules; not while data is loaded, nor for
    /// what a primary sends. Nor for a client that caches what it reads: it is told of a write at once, and would
    /// then keep the older value that is answered later.
    pub fn block(ctx: *mut raw::RedisModuleCtx, is_resp3: bool) -> Option<BlockedClient> {
        const NEVER: u32 = raw::REDISMODULE_CTX_FLAGS_MULTI
            | raw::REDISMODULE_CTX_FLAGS_LUA
            | raw::REDISMODULE_CTX_FLAGS_DENY_BLOCKING
            | raw::REDISMODULE_CTX_FLAGS_REPLICATED
            | raw::REDISMODULE_CTX_FLAGS_LOADING
            | raw::REDISMODULE_CTX_FLAGS_ASYNC_LOADING
            | raw::REDISMODULE_CTX_FLAGS_IS_CHILD;
        // SAFETY: on the main thread, with a context that lives (ffi invariant 1). The context for the reply is asked for
        // here, because asking looks at the client, which only the main thread may.
        unsafe {
            // Bits, reinterpreted.
            if api!(RedisModule_GetContextFlags(ctx)) as u32 & NEVER != 0 || caches_reads(ctx) {
                return None;
            }
            let client = NonNull::new(api!(RedisModule_BlockClient(ctx, None, None, None, 0)))?;
            api!(RedisModule_SetDisconnectCallback(client.as_ptr(), Some(gone)));
            let is_gone = Arc::new(AtomicBool::new(false));
            waiting().insert(client.as_ptr() as usize, Arc::clone(&is_gone));
            let ctx = api!(RedisModule_GetThreadSafeContext(client.as_ptr()));
            Some(BlockedClient { client, ctx, is_resp3, is_answered: false, is_gone })
        }
    }

    /// Does the job and answers it; false where nobody waits any more. A panic is answered as an internal error. The client
    /// has its answer once this is dropped.
    pub fn answer(&mut self, job: impl FnOnce(&Reply) -> Result<()>) -> bool {
        if self.is_gone.load(Ordering::Relaxed) {
            return false;
        }
        // SAFETY: ours until it is unblocked (ffi invariant 5); reading pointers that are written once. The time between
        // the two counts for the slow log and the command's statistics.
        unsafe {
            if let Some(start) = raw::RedisModule_BlockedClientMeasureTimeStart {
                start(self.client.as_ptr());
            }
        }
        let outcome = guard("a job", || None, || Some(interrupt::while_wanted(&self.is_gone, || job(&self.reply()))));
        match outcome {
            None => self.internal_error(),
            Some(Err(refusal)) if refusal != Refusal::Library(Error::Interrupted) => self.reply().error(&refusal),
            Some(_) => {}
        }
        self.is_answered = true;
        // SAFETY: as above.
        unsafe {
            if let Some(end) = raw::RedisModule_BlockedClientMeasureTimeEnd {
                end(self.client.as_ptr());
            }
        }
        !self.is_gone.load(Ordering::Relaxed)
    }

    fn reply(&self) -> Reply {
        Reply::of_blocked(self.ctx, self.is_resp3)
    }

    fn internal_error(&self) {
        // SAFETY: the context is ours until it is freed (ffi invariant 5).
        unsafe { api!(RedisModule_ReplyWithError(self.ctx, c"ERR internal error".as_ptr())) };
    }
}

impl Drop for BlockedClient {
    fn drop(&mut self) {
        if !self.is_answered {
            self.internal_error(); // goes nowhere where the client is gone
        }
        // Before it is unblocked: from then on the server may free it, and give its address to another.
        waiting().remove(&(self.client.as_ptr() as usize));
        // SAFETY: made by `block`, given back once, the context first.
        unsafe {
            api!(RedisModule_FreeThreadSafeContext(self.ctx));
            api!(RedisModule_UnblockClient(self.client.as_ptr(), std::ptr::null_mut()));
        }
    }
}

/// Called by the server, on its main thread, when a blocked client's connection goes.
unsafe extern "C" fn gone(_ctx: *mut raw::RedisModuleCtx, client: *mut raw::RedisModuleBlockedClient) {
    guard(
        "a disconnection",
        || (),
        || {
            if let Some(flag) = waiting().get(&(client as usize)) {
                flag.store(true, Ordering::Relaxed);
            }
        },
    );
}

/// Whether the client of this call has asked for client-side caching.
///
/// # Safety
/// On the main thread, with a context that lives.
unsafe fn caches_reads(ctx: *mut raw::RedisModuleCtx) -> bool {
    let mut info: raw::RedisModuleClientInfo = std::mem::zeroed(); // a plain C struct
    info.version = 1;
    let id = api!(RedisModule_GetClientId(ctx));
    let found = api!(RedisModule_GetClientInfoById(std::ptr::from_mut(&mut info).cast(), id)) == super::ffi::OK;
    // A client that the server does not list is no connection: somebody else's call.
    !found || info.flags & u64::from(raw::REDISMODULE_CLIENTINFO_FLAG_TRACKING) != 0
}

#[cfg(test)]
pub(super) mod tests {
    //! A stand-in for the server: a blocked client is a list of what was done to it.

    use std::ffi::{c_char, c_int, c_void, CStr};
    use std::sync::Once;

    use super::*;

    /// What the server was told about one client, which the tests own, as long as they live.
    #[derive(Clone, Copy)]
    pub struct Told(&'static Mutex<Vec<String>>);

    impl Told {
        /// In order.
        pub fn all(self) -> Vec<String> {
            self.0.lock().expect("no test panics holding it").clone()
        }

        /// The connection goes.
        pub fn leave(self) {
            // SAFETY: only the address is looked at.
            unsafe { gone(std::ptr::null_mut(), std::ptr::from_ref(self.0).cast_mut().cast()) };
        }
    }

    /// SAFETY of all below: what they are handed is the list behind a [`Told`].
    unsafe fn tell(list: *mut c_void, what: &str) -> c_int {
        (*list.cast::<Mutex<Vec<String>>>()).lock().expect("no test panics holding it").push(what.to_owned());
        super::super::ffi::OK
    }

    unsafe extern "C" fn error(ctx: *mut raw::RedisModuleCtx, text: *const c_char) -> c_int {
        tell(ctx.cast(), &CStr::from_ptr(text).to_string_lossy())
    }

    unsafe extern "C" fn null(ctx: *mut raw::RedisModuleCtx) -> c_int {
        tell(ctx.cast(), "nil")
    }

    unsafe extern "C" fn free(ctx: *mut raw::RedisModuleCtx) {
        tell(ctx.cast(), "free");
    }

    unsafe extern "C" fn unblock(client: *mut raw::RedisModuleBlockedClient, _data: *mut c_void) -> c_int {
        tell(client.cast(), "unblock")
    }

    /// A blocked client of the stand-in.
    pub fn stand_in() -> (BlockedClient, Told) {
        static API: Once = Once::new();
        // SAFETY: before any use of these pointers, by this function alone.
        API.call_once(|| unsafe {
            raw::RedisModule_ReplyWithError = Some(error);
            raw::RedisModule_ReplyWithNull = Some(null);
            raw::RedisModule_FreeThreadSafeContext = Some(free);
            raw::RedisModule_UnblockClient = Some(unblock);
        });
        let list: &'static Mutex<Vec<String>> = Box::leak(Box::default());
        let address = NonNull::from(list).cast::<raw::RedisModuleBlockedClient>();
        let is_gone = Arc::new(AtomicBool::new(false));
        waiting().insert(address.as_ptr() as usize, Arc::clone(&is_gone));
        let ctx = address.as_ptr().cast();
        (BlockedClient { client: address, ctx, is_resp3: false, is_answered: false, is_gone }, Told(list))
    }

    #[test]
    fn a_client_that_leaves_is_known_until_it_is_unblocked() {
        let (client, told) = stand_in();
        let (other, _) = stand_in();
        told.leave();
        assert!(client.is_gone.load(Ordering::Relaxed) && !other.is_gone.load(Ordering::Relaxed));
        let flag = Arc::clone(&client.is_gone);
        drop(client);
        flag.store(false, Ordering::Relaxed);
        told.leave();
        assert!(!flag.load(Ordering::Relaxed), "its address may be another's by now");
    }

    #[test]
    fn the_work_of_a_client_that_leaves_meanwhile_ends_without_a_word() {
        let (mut client, told) = stand_in();
        let wanted = client.answer(|_| {
            interrupt::check()?;
            told.leave();
            interrupt::check()?;
            unreachable!("the flag is raised")
        });
        drop(client);
        assert!(!wanted);
        assert_eq!(told.all(), ["free", "unblock"]);
    }
}
