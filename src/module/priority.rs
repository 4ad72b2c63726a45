//! How threads of ours stand back behind the server's own.
//!
//! What a thread starts inherits its standing: helpers of a worker give way as the worker does, helpers of the main thread
//! do not. Where the system knows no such thing, all stay equal.

/// Who comes first when there are more threads than cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Behind the main thread, but with a tenth of the time where that never rests: somebody waits for the answer.
    Worker,
    /// Behind everything: nobody waits.
    Idle,
}

/// Gives the calling thread this priority; it cannot be raised again.
#[cfg(target_os = "linux")]
pub fn lower(to: Priority) {
    let nice = match to {
        Priority::Worker => 10,
        Priority::Idle => 19,
    };
    // SAFETY: plain calls of the system that concern the calling thread alone, as 0 says; `param` lives until they return.
    // Where one is refused, the thread runs as others do.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, nice);
        if to == Priority::Idle {
            let param: libc::sched_param = std::mem::zeroed(); // a plain C struct
            libc::sched_setscheduler(0, libc::SCHED_IDLE, &param);
        }
    }
}

/// Elsewhere this would concern the whole process, or nothing at all.
#[cfg(not(target_os = "linux"))]
pub fn lower(_to: Priority) {}
