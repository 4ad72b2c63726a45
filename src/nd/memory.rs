//! Buffers of elements, and what they cost.
//!
//! A [`Buffer`] is a box of 64-bit words, so that every element type can be viewed in place. Its size is exact: no
//! header and no slack, so that 512 bytes of elements take the allocator's 512-byte class.

use std::cell::Cell;

use bytemuck::cast_slice;
use multiversion::multiversion;

use super::error::{Error, Result};

/// An owned run of bytes, aligned to eight, with a length that the owner knows.
pub type Buffer = Box<[u64]>;

/// Words that hold `bytes` bytes.
pub fn words_for(bytes: usize) -> usize {
    bytes.div_ceil(8)
}

/// Copies bytes, aligned or not, into a new buffer; the last word is padded with zeros.
///
/// # Errors
/// `OOM` where the allocator says no.
pub fn buffer_from(bytes: &[u8]) -> Result<Buffer> {
    let mut words = with_capacity(bytes.len())?;
    let (whole, rest) = bytes.as_chunks::<8>();
    match whole.len() {
        0..LONG => extend(&mut words, whole),
        _ => extend_long(&mut words, whole),
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        words.push(u64::from_ne_bytes(last));
    }
    Ok(words.into_boxed_slice())
}

/// Words from which on it pays to ask what vectors the processor has: 20 GB/s without, near 30 with AVX2.
const LONG: usize = 512;

#[inline(always)]
fn extend(words: &mut Vec<u64>, whole: &[[u8; 8]]) {
    words.extend(whole.iter().map(|w| u64::from_ne_bytes(*w)));
}

#[multiversion(targets("x86_64+avx2"))]
fn extend_long(words: &mut Vec<u64>, whole: &[[u8; 8]]) {
    extend(words, whole);
}

/// A buffer of zeros that holds `bytes` bytes.
///
/// # Errors
/// `OOM` where the allocator says no.
pub fn buffer_zeroed(bytes: usize) -> Result<Buffer> {
    let mut words = with_capacity(bytes)?;
    words.resize(words_for(bytes), 0);
    Ok(words.into_boxed_slice())
}

fn with_capacity(bytes: usize) -> Result<Vec<u64>> {
    let mut words = Vec::new();
    words.try_reserve_exact(words_for(bytes)).map_err(|_| Error::OutOfMemory { bytes })?;
    Ok(words)
}

/// An empty byte vector with room for `bytes`.
///
/// # Errors
/// `OOM` where the allocator says no.
pub fn bytes_with_capacity(bytes: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    out.try_reserve_exact(bytes).map_err(|_| Error::OutOfMemory { bytes })?;
    Ok(out)
}

/// The buffer's first `len` bytes.
#[inline]
pub fn bytes(buffer: &[u64], len: usize) -> &[u8] {
    &cast_slice(buffer)[..len]
}

/// The buffer's first `len` bytes, for writing.
#[inline]
pub fn bytes_mut(buffer: &mut [u64], len: usize) -> &mut [u8] {
    &mut bytemuck::cast_slice_mut(buffer)[..len]
}

/// What became of the memory that a thread keeps from call to call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scratch {
    Released,
    /// In use since the last look.
    Used,
    /// Not used since.
    Idle,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = const { Cell::new(Scratch::Released) };
}

/// Says that this thread uses memory that it keeps for the next time.
#[inline]
pub fn use_scratch() {
    SCRATCH.set(Scratch::Used);
}

/// Whether such memory should be given back now: asked every so often, it answers so once what was used lay idle from one
/// question to the next.
pub fn is_scratch_idle() -> bool {
    let (next, is_idle) = match SCRATCH.get() {
        Scratch::Used => (Scratch::Idle, false),
        Scratch::Idle => (Scratch::Released, true),
        Scratch::Released => (Scratch::Released, false),
    };
    SCRATCH.set(next);
    is_idle
}

/// What an allocation of `bytes` takes from jemalloc, Redis's allocator: the size class that holds it.
///
/// Classes are multiples of 16 up to 128 and then four to each doubling; from 16 KiB on the same, in whole pages.
/// Computed rather than asked for, so that `MEMORY USAGE` is one addition per chunk written and none when asked.
pub fn size_class(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        1..=8 => 8,
        9..=128 => bytes.next_multiple_of(16),
        _ => {
            let doubling = usize::BITS - 1 - (bytes - 1).leading_zeros(); // 2^doubling < bytes <= 2^(doubling + 1)
            bytes.next_multiple_of(1 << (doubling - 2))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_are_jemallocs() {
        for (bytes, class) in [
            (1, 8),
            (48, 48),
            (49, 64),
            (128, 128),
            (129, 160),
            (512, 512),
            (513, 640),
            (640, 640),
            (4096, 4096),
            (65536, 65536),
            (65537, 81920),
            (1 << 20, 1 << 20),
        ] {
            assert_eq!(size_class(bytes), class, "{bytes}");
        }
    }

    #[test]
    fn buffers_hold_what_they_were_given() {
        for n in 0..40 {
            let source: Vec<u8> = (0..n as u8).collect();
            let buffer = buffer_from(&source).unwrap();
            assert_eq!(bytes(&buffer, n), &source[..]);
            assert_eq!(buffer.len(), n.div_ceil(8));
            assert_eq!(buffer_zeroed(n).unwrap().len(), n.div_ceil(8));
        }
    }
}
