//! The array library: values, storage, kernels and formats, with nothing of Redis in it.
//!
//! Order of the layers, each using only those before it: [`error`], [`dtype`] and [`shape`], [`scalar`], [`index`] and
//! [`codec`], [`grid`], [`array`], [`kernels`] and [`format`].

mod digits;
pub mod dtype;
pub mod error;
pub mod format;
pub mod scalar;
pub mod shape;
