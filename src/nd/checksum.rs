//! XXH3-64, the one checksum: of chunks, of stored forms, of whole arrays.
//!
//! From a crate that chooses the widest vectors of the processor at run time; the answer is the same everywhere.

use std::hash::Hasher;

use twox_hash::XxHash3_64;

/// XXH3-64 of `bytes`, seed 0.
pub fn xxh3_64(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

/// XXH3-64 of bytes that come piece by piece.
#[derive(Default)]
pub struct Xxh3(XxHash3_64);

impl Xxh3 {
    /// The state that has seen nothing.
    pub fn new() -> Xxh3 {
        Xxh3::default()
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    /// The checksum of all bytes so far.
    pub fn digest(&self) -> u64 {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_the_specification() {
        assert_eq!(xxh3_64(b""), 0x2d06_8005_38d3_94c2);
        let mut pieces = Xxh3::new();
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i * 7 % 251) as u8).collect();
        bytes.chunks(777).for_each(|p| pieces.update(p));
        assert_eq!(pieces.digest(), xxh3_64(&bytes));
    }
}
