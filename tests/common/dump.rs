//! DUMP payloads that were changed on purpose.
//!
//! A payload is the value's bytes, the RDB version (2 bytes, little-endian) and a CRC-64 over both (8 bytes,
//! little-endian; Jones's polynomial, reflected, starting at 0). RESTORE refuses a wrong checksum before the module sees
//! a byte, so a mutated payload is sealed again to reach the module's loader.
//!
//! ```text
//! +--------------+-----------------+-------------+------------+
//! | type (1)     | value bytes ... | version (2) | CRC-64 (8) |
//! +--------------+-----------------+-------------+------------+
//! ```

use crc::{Crc, Table, CRC_64_REDIS};

/// Bytes behind the value: the RDB version and the checksum.
pub const FOOTER: usize = 10;

static CRC: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// Makes the checksum of a payload right again.
///
/// # Panics
/// When the payload is too short to have one.
pub fn reseal(payload: &mut [u8]) {
    let at = payload.len().checked_sub(8).expect("a payload has at least the 8 bytes of its checksum");
    let sum = CRC.checksum(&payload[..at]);
    payload[at..].copy_from_slice(&sum.to_le_bytes());
}

/// The value bytes of a payload, type byte included.
pub fn value(payload: &[u8]) -> &[u8] {
    &payload[..payload.len() - FOOTER]
}

/// A payload of other value bytes, with the version of `like` and a right checksum.
pub fn with_value(value: &[u8], like: &[u8]) -> Vec<u8> {
    let version = &like[like.len() - FOOTER..like.len() - 8];
    let mut payload = [value, version, &[0; 8]].concat();
    reseal(&mut payload);
    payload
}
