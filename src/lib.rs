//! redis-ndarray: the N-dimensional array as a native Redis data type.
//!
//! Two layers, and arrows that only point down:
//!
//! - [`nd`] is the library: dtypes, shapes, chunked storage, kernels and file formats. It knows nothing of Redis and
//!   builds without it (`--no-default-features`).
//! - `module` is the Redis module: every command, callback and setting, and all of the FFI.

#![warn(missing_docs)]

#[cfg(feature = "module")]
pub mod module;
pub mod nd;
