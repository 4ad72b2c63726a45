//! Formats: bytes in, bytes out.

pub mod rdb;
