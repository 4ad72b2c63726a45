//! Worker threads for what would hold the main thread up: a bounded queue, and as many workers as `ndarray.threads`.
//!
//! A job owns all that it needs: snapshots of arrays (`Arc`s) and copies of options. It runs on a worker while its client is
//! blocked, and touches nothing of the server but that client's reply (ffi invariant 5). Where the client must not be
//! blocked, or the queue is full, it runs at once instead, on the main thread: the answer is the same.
//!
//! Workers give way to the main thread where there are not cores enough for both: else it would wait for its turn as they
//! do, a scheduler's slice at a time, for a command of microseconds.
//!
//! The server forks to save and to rewrite its append-only file. The child has the main thread only, and takes no lock that
//! a worker may have held: it reads arrays, which workers share but never change, and allocates, which the allocator
//! provides for.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crossbeam_channel::{bounded, Receiver, RecvTimeoutError, Sender};
use redis_module::raw;

use super::blocked::BlockedClient;
use super::config::{self, MemoryInUse, THREADS};
use super::error::Result;
use super::ffi::log;
use super::output;
use super::priority::{self, Priority};
use super::reply::Reply;
use super::spacers;
use crate::nd::parallel;

/// Jobs that wait at most; each client has at most one.
pub const QUEUE: usize = 256;

/// After so long without work a worker gives back the memory that it keeps from job to job.
const IDLE: Duration = Duration::from_secs(1);

/// So often until then it looks whether memory is in use that it should not keep longer.
const LOOK: Duration = Duration::from_millis(100);

/// Work that ends in a reply, and owns what it needs.
type Job = dyn FnOnce(&Reply) -> Result<()> + Send;

/// What a worker is handed.
struct Task {
    client: BlockedClient,
    job: Box<Job>,
}

static POOL: OnceLock<Option<Sender<Task>>> = OnceLock::new();

/// Counts of jobs since the process started; shown by `INFO ndarray`.
pub struct Jobs {
    /// At work now.
    pub running: AtomicUsize,
    /// Done on a worker.
    pub done: AtomicUsize,
    /// Long enough for a worker, and done on the main thread all the same.
    pub inline: AtomicUsize,
    /// Given up, or never begun, because the client had gone.
    pub cancelled: AtomicUsize,
}

/// See [`Jobs`].
pub static JOBS: Jobs = Jobs {
    running: AtomicUsize::new(0),
    done: AtomicUsize::new(0),
    inline: AtomicUsize::new(0),
    cancelled: AtomicUsize::new(0),
};

/// Tells the library how many threads may help with what is done chunk by chunk: as many as there are workers, but no more
/// than cores are left beside the main thread. A worker that does a job is one of them.
pub fn prepare() {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    parallel::set_budget(THREADS.get().min(cores - 1));
}

/// How many jobs wait for a worker.
pub fn queued() -> usize {
    POOL.get().and_then(Option::as_ref).map_or(0, Sender::len)
}

/// Does a long job: on a worker if that may be, else here. Its reply goes to the client of the call either way.
///
/// # Errors
/// What the job answers where it was done here; what it answers on a worker goes to the client.
#[cold]
pub fn run(
    ctx: *mut raw::RedisModuleCtx,
    reply: &Reply,
    job: impl FnOnce(&Reply) -> Result<()> + Send + 'static,
) -> Result<()> {
    // Only the main thread sends, so the room that is there now will still be there below.
    let queue = POOL.get_or_init(start).as_ref().filter(|queue| !queue.is_full());
    if let Some((queue, client)) = queue.zip(queue.and_then(|_| BlockedClient::block(ctx, reply.is_resp3()))) {
        if let Err(refused) = queue.try_send(Task { client, job: Box::new(job) }) {
            work(refused.into_inner()); // cannot be; but then the client is blocked and must be answered
        }
        return Ok(());
    }
    JOBS.inline.fetch_add(1, Ordering::Relaxed);
    job(reply)
}

/// Starts the workers; nothing where there are to be none, or the system gives none.
fn start() -> Option<Sender<Task>> {
    let (sender, receiver) = bounded(QUEUE);
    let mut started = 0;
    for i in 0..THREADS.get() {
        let receiver: Receiver<Task> = receiver.clone();
        match std::thread::Builder::new().name(format!("ndarray-{i}")).spawn(move || serve(&receiver)) {
            Ok(_) => started += 1,
            Err(e) => {
                log(std::ptr::null_mut(), c"warning", &format!("only {started} of {} workers: {e}", THREADS.get()));
                break;
            }
        }
    }
    (started > 0).then_some(sender)
}

/// A worker's life.
fn serve(tasks: &Receiver<Task>) {
    priority::lower(Priority::Worker);
    spacers::begin();
    loop {
        let idle_since = Instant::now();
        let task = loop {
            match tasks.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout)
                    if idle_since.elapsed() >= IDLE || config::memory_in_use() > MemoryInUse::Little =>
                {
                    output::release_scratch();
                    break tasks.recv().ok();
                }
                Err(RecvTimeoutError::Timeout) => {}
                received => break received.ok(),
            }
        };
        match task {
            Some(task) => work(task),
            None => return, // the sender lives as long as the process
        }
    }
}

/// Does one job. The counts change before the client has its answer, and so does what the job held.
fn work(task: Task) {
    let Task { mut client, job } = task;
    JOBS.running.fetch_add(1, Ordering::Relaxed);
    let one_of_us = parallel::claim(1);
    let was_wanted = client.answer(job);
    drop(one_of_us);
    JOBS.running.fetch_sub(1, Ordering::Relaxed);
    let count = if was_wanted { &JOBS.done } else { &JOBS.cancelled };
    count.fetch_add(1, Ordering::Relaxed);
    drop(client);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::blocked::tests::{stand_in, Told};
    use crate::module::error::Refusal;

    fn task(job: impl FnOnce(&Reply) -> Result<()> + Send + 'static) -> (Task, Told) {
        let (client, told) = stand_in();
        (Task { client, job: Box::new(job) }, told)
    }

    #[test]
    fn every_end_of_a_job_unblocks_its_client_once_with_one_answer() {
        let (done, told) = task(|reply| {
            reply.null();
            Ok(())
        });
        work(done);
        assert_eq!(told.all(), ["nil", "free", "unblock"]);

        let (refused, told) = task(|_| Err(Refusal::WrongType));
        work(refused);
        assert_eq!(
            told.all(),
            ["WRONGTYPE Operation against a key holding the wrong kind of value", "free", "unblock"]
        );

        let (panicking, told) = task(|_| panic!("on purpose"));
        work(panicking);
        assert_eq!(told.all(), ["ERR internal error", "free", "unblock"]);

        let (forgotten, told) = task(|_| Ok(()));
        drop(forgotten);
        assert_eq!(told.all(), ["ERR internal error", "free", "unblock"]);
    }

    #[test]
    fn a_job_whose_client_has_gone_is_not_begun() {
        let (task, told) = task(|reply| {
            reply.null();
            Ok(())
        });
        let cancelled = JOBS.cancelled.load(Ordering::Relaxed);
        told.leave();
        work(task);
        // What is said to somebody who has gone goes nowhere; but the server takes its client back.
        assert_eq!(told.all(), ["ERR internal error", "free", "unblock"]);
        assert_eq!(JOBS.cancelled.load(Ordering::Relaxed), cancelled + 1);
    }
}
