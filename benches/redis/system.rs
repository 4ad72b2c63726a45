//! What the operating system is asked: which cores there are, which one to run on, and how much time a process used.
//!
//! CPU time comes from the process's own clock, in nanoseconds; `/proc/<pid>/stat` counts in hundredths of a second,
//! which is too coarse for rounds of some tens of milliseconds.

use std::io;
use std::mem::{size_of, zeroed};
use std::time::Duration;

/// The cores this process may run on.
pub fn cores() -> io::Result<Vec<usize>> {
    // SAFETY: cpu_set_t is plain bits, for which all zeros is a value; the call writes at most the size it is given.
    let set = unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) != 0 {
            return Err(io::Error::last_os_error());
        }
        set
    };
    let most = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    // SAFETY: `core` is below CPU_SETSIZE, which is how many bits the set has.
    Ok((0..most).filter(|&core| unsafe { libc::CPU_ISSET(core, &set) }).collect())
}

/// Keeps this thread, and what it starts from now on, on one core.
pub fn pin(core: usize) -> io::Result<()> {
    // SAFETY: as in `cores`; `core` came from there.
    unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        libc::CPU_SET(core, &mut set);
        match libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// A process's CPU clock: user and system time of all its threads.
#[derive(Clone, Copy)]
pub struct CpuClock(libc::clockid_t);

impl CpuClock {
    /// The clock of this process.
    pub fn own() -> CpuClock {
        CpuClock(libc::CLOCK_PROCESS_CPUTIME_ID)
    }

    /// The clock of another process.
    pub fn of(pid: u32) -> io::Result<CpuClock> {
        let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
        let mut id: libc::clockid_t = 0;
        // SAFETY: `id` is a valid place for one clock id.
        match unsafe { libc::clock_getcpuclockid(pid, &mut id) } {
            0 => Ok(CpuClock(id)),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }

    /// Time used so far.
    pub fn now(self) -> io::Result<Duration> {
        // SAFETY: timespec is two integers; the call writes one.
        let time = unsafe {
            let mut time: libc::timespec = zeroed();
            if libc::clock_gettime(self.0, &mut time) != 0 {
                return Err(io::Error::last_os_error());
            }
            time
        };
        let seconds = u64::try_from(time.tv_sec).map_err(io::Error::other)?;
        let nanos = u32::try_from(time.tv_nsec).map_err(io::Error::other)?;
        Ok(Duration::new(seconds, nanos))
    }
}
