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

/// Gives the calling thread this priority; it may be that it cannot be raised again.
///
/// A nice value alone says who gets how much, not who gets it now: on a busy core Linux lets the thread that runs finish its
/// slice, up to 4 milliseconds, before it looks at one that wakes. One that asks for longer slices than others is
/// interrupted by them (since 6.12; kernels before that do so by the nice value), and a batch thread that wakes interrupts nobody.
#[cfg(target_os = "linux")]
pub fn lower(to: Priority) {
    /// `struct sched_attr` of the kernel, in its first version.
    #[repr(C)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        /// Nanoseconds of a slice; 0 for the default.
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    const LONGEST_SLICE: u64 = 100_000_000;
    let (policy, nice, runtime) = match to {
        Priority::Worker => (libc::SCHED_BATCH, 10, LONGEST_SLICE),
        Priority::Idle => (libc::SCHED_IDLE, 19, 0),
    };
    let attributes = Attributes {
        size: std::mem::size_of::<Attributes>() as u32, // 48
        policy: policy.unsigned_abs(),                  // a small positive number
        flags: 0,
        nice,
        priority: 0,
        runtime,
        deadline: 0,
        period: 0,
    };
    // SAFETY: calls of the system that concern the calling thread alone, as 0 says; the struct is the kernel's, and lives until
    // they return. Where both are refused, the thread runs as others do.
    unsafe {
        if libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) != 0 {
            libc::setpriority(libc::PRIO_PROCESS, 0, nice);
        }
    }
}

/// Elsewhere this would concern the whole process, or nothing at all.
#[cfg(not(target_os = "linux"))]
pub fn lower(_to: Priority) {}
