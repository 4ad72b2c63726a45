//! The array library: values, storage, kernels and formats, with nothing of Redis in it.
//!
//! Order of the layers, each using only those before it: [`error`], [`dtype`] and [`shape`], [`scalar`], [`index`] and
//! [`codec`], [`grid`], [`mod@array`], [`kernels`] and [`mod@format`].

pub mod array;
pub mod attributes;
mod bytes;
pub mod checksum;
pub mod chunk;
pub mod codec;
pub mod decoded;
pub mod digits;
pub mod dtype;
pub mod error;
pub mod format;
pub mod grid;
pub mod index;
pub mod interrupt;
pub mod kernels;
pub mod lent;
pub mod memory;
pub mod parallel;
pub mod rounding;
pub mod scalar;
pub mod shape;
pub mod source;
pub mod stats;
