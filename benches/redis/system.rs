//! What the operating system is asked: which cores there are, which one to run on, how much time a process used, and
//! how much everything else did.
//!
//! CPU time comes from the process's own clock, in nanoseconds; `/proc/<pid>/stat` counts in hundredths of a second,
//! which is too coarse for rounds of some tens of milliseconds.

use std::io;
use std::mem::{size_of, zeroed};
use std::time::{Duration, Instant};

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
    pin_to(core..=core)
}

/// Keeps this thread, and what it starts from now on, on these cores.
pub fn pin_to(cores: std::ops::RangeInclusive<usize>) -> io::Result<()> {
    // SAFETY: as in `cores`; the numbers came from there.
    unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        cores.for_each(|core| libc::CPU_SET(core, &mut set));
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

/// CPU time used so far by this process and by every child that has ended.
fn ours() -> io::Result<Duration> {
    // SAFETY: rusage is plain integers; the call writes one.
    let children = unsafe {
        let mut usage: libc::rusage = zeroed();
        if libc::getrusage(libc::RUSAGE_CHILDREN, &mut usage) != 0 {
            return Err(io::Error::last_os_error());
        }
        usage
    };
    let time = |t: libc::timeval| Ok(Duration::new(u64::try_from(t.tv_sec)?, u32::try_from(t.tv_usec)? * 1000));
    let children: Result<Duration, std::num::TryFromIntError> =
        time(children.ru_utime).and_then(|user| Ok(user + time(children.ru_stime)?));
    Ok(CpuClock::own().now()? + children.map_err(io::Error::other)?)
}

/// CPU time that everything on the machine has used so far: the user, nice and system columns of /proc/stat.
fn everything() -> io::Result<Duration> {
    // SAFETY: sysconf takes any name and answers a number.
    let ticks_per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    let stat = std::fs::read_to_string("/proc/stat")?;
    let columns = stat.lines().next().unwrap_or_default().split_ascii_whitespace().skip(1).take(3);
    let ticks: f64 = columns.filter_map(|column| column.parse::<f64>().ok()).sum();
    Ok(Duration::from_secs_f64(ticks / ticks_per_second.max(1) as f64))
}

/// Watches what other processes take while we measure.
pub struct Others {
    start: Instant,
    ours: Duration,
    everything: Duration,
}

impl Others {
    /// From now on.
    pub fn watch() -> io::Result<Others> {
        Ok(Others { start: Instant::now(), ours: ours()?, everything: everything()? })
    }

    /// How many cores' worth of time they took on average, once all children have ended.
    pub fn cores(&self) -> io::Result<f64> {
        let everything = everything()?.saturating_sub(self.everything).as_secs_f64();
        let ours = ours()?.saturating_sub(self.ours).as_secs_f64();
        Ok((everything - ours).max(0.0) / self.start.elapsed().as_secs_f64().max(1e-3))
    }
}
