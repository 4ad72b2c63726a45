//! No encoding: the elements as they are.

use super::Codec;
use crate::nd::error::Result;

/// See the module comment.
pub struct Raw;

impl Codec for Raw {
    fn encode(&self, source: &[u8], _itemsize: usize, _level: u8, out: &mut Vec<u8>) {
        out.extend_from_slice(source);
    }

    fn decode(&self, source: &[u8], _itemsize: usize, out: &mut [u8]) -> Result<(), &'static str> {
        if source.len() != out.len() {
            return Err("the stored length is not the length of its elements");
        }
        out.copy_from_slice(source);
        Ok(())
    }

    fn may_take(&self, stored: usize, nbytes: usize, _itemsize: usize) -> bool {
        stored == nbytes
    }
}
