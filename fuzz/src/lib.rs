//! The laws that the fuzz targets check. One place for both users: `tests/fuzz_laws.rs` includes the same file.

pub mod laws;
