//! Pages of memory before they are written to.
//!
//! Memory that is new to the process comes page by page, each at the first write to it: an interruption of 0.5 to 5 microseconds
//! for 4 KiB, more than the write itself. Asked for in one call, the same pages take a fifth to a half less. The server allocates
//! for itself what it reads from a file; but what this thread gives back now, it gets again when it asks for as much.

use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shorter allocations come out of memory that has been in use.
const LEAST: usize = 256 << 10;

/// Has the pages of the next allocation of so many bytes ready, if they are new to the process. The next of this thread, and the
/// server's or ours alike; where the system knows no such call (Linux below 5.14), nothing happens.
pub fn make_ready(bytes: usize) {
    static IS_UNKNOWN: AtomicBool = AtomicBool::new(false);
    let mut room: Vec<u8> = Vec::new();
    if bytes < LEAST || IS_UNKNOWN.load(Ordering::Relaxed) || room.try_reserve_exact(bytes).is_err() {
        return;
    }
    if let Err(refusal) = populate(room.spare_capacity_mut()) {
        // A want of memory may pass.
        let is_final =
            [libc::EINVAL, libc::ENOSYS, libc::EPERM].into_iter().any(|code| refusal.raw_os_error() == Some(code));
        IS_UNKNOWN.store(is_final, Ordering::Relaxed);
    }
}

/// Has the system provide every page that lies within `room`.
#[cfg(target_os = "linux")]
fn populate(room: &mut [MaybeUninit<u8>]) -> io::Result<()> {
    // SAFETY: asks for a constant of the system.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let before = room.as_ptr().align_offset(page);
    let Some(whole) = room.get_mut(before..) else { return Ok(()) };
    let len = whole.len() / page * page;
    // SAFETY: memory of ours that nobody reads; the call fills pages that are not there and leaves the others as they are.
    match unsafe { libc::madvise(whole.as_mut_ptr().cast(), len, libc::MADV_POPULATE_WRITE) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Elsewhere there is no such call.
#[cfg(not(target_os = "linux"))]
fn populate(_room: &mut [MaybeUninit<u8>]) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_and_place_will_do() {
        let mut memory: Vec<u8> = Vec::with_capacity(3 << 20);
        let room = memory.spare_capacity_mut();
        for (start, len) in [(0, 0), (1, 1), (1, 4096), (5, 8191), (4095, 8193), (77, 2 << 20)] {
            let _ = populate(&mut room[start..start + len]); // an old kernel cannot
        }
        room.iter_mut().for_each(|byte| _ = byte.write(7));
        let _ = populate(room);
        // SAFETY: all of it was written above.
        unsafe { memory.set_len(3 << 20) };
        assert!(memory.iter().all(|byte| *byte == 7), "what is there stays");
        [0, LEAST - 1, LEAST, 3 << 20, usize::MAX].into_iter().for_each(make_ready);
    }
}
