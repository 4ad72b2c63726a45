//! Bytes at an address that any element may stand at, for tests.

use std::ops::{Deref, DerefMut};

/// A buffer aligned to 16 bytes.
#[derive(Clone, Debug)]
pub struct Aligned {
    words: Vec<u128>,
    len: usize,
}

impl Aligned {
    /// `len` zero bytes.
    pub fn zeroed(len: usize) -> Aligned {
        Aligned { words: vec![0; len.div_ceil(16)], len }
    }

    /// A copy of `bytes`.
    pub fn new(bytes: &[u8]) -> Aligned {
        let mut buffer = Aligned::zeroed(bytes.len());
        buffer.copy_from_slice(bytes);
        buffer
    }
}

impl Deref for Aligned {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.len]
    }
}

/// The bytes that hex digits stand for.
pub fn from_hex(digits: &str) -> Vec<u8> {
    (0..digits.len() / 2).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).expect("hex digits")).collect()
}
