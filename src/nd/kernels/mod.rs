//! Loops over the elements of one chunk.
//!
//! A kernel sees slices of elements and never a key, a codec or a reply. The run-time dtype is turned into a
//! type once per call, outside the loop. What a kernel answers depends on its input alone: lanes and block sizes are
//! written in the source, nothing is fused or reordered, so every machine gives the same bits.
//!
//! - [`cast`]: elements of one dtype as another
//! - [`promote`]: which casts are allowed, and the dtype two arrays meet in
//! - [`elementwise`]: two operands, element by element
//! - [`generate`]: ranges, identity matrices, random numbers
//! - [`axes`], [`reduce`]: sums and means, over all elements or along axes
//! - [`histogram`]: how many elements fall into each part of a range

use bytemuck::{Pod, Zeroable};

#[cfg(test)]
mod aligned;
pub mod axes;
pub mod cast;
pub mod elementwise;
pub mod generate;
pub mod histogram;
pub mod promote;
pub mod reduce;

/// An element at any address. What comes in a string of the server stays there, where it begins one byte after a multiple of
/// eight; a copy that is aligned would take as long as a sum, and wide registers are read from anywhere.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, packed)]
pub(crate) struct Unaligned<T>(T);

impl<T: Copy> Unaligned<T> {
    pub const fn new(element: T) -> Unaligned<T> {
        Unaligned(element)
    }

    #[inline(always)]
    pub fn get(self) -> T {
        self.0
    }
}

/// Bytes of a chunk as elements.
///
/// # Panics
/// Where the bytes are not aligned or do not make up whole elements: a bug in the caller.
pub(crate) fn elements<T: Pod>(bytes: &[u8]) -> &[T] {
    if bytes.is_empty() {
        return &[]; // an empty slice may point anywhere
    }
    bytemuck::cast_slice(bytes)
}

/// As [`elements`], for writing.
pub(crate) fn elements_mut<T: Pod>(bytes: &mut [u8]) -> &mut [T] {
    if bytes.is_empty() {
        return &mut [];
    }
    bytemuck::cast_slice_mut(bytes)
}
