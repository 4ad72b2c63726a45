//! One element that stands for all of them.

use super::Codec;
use crate::nd::error::Result;

/// See the module comment.
pub struct Fill;

impl Codec for Fill {
    /// `source` must hold one value everywhere.
    fn encode(&self, source: &[u8], itemsize: usize, _level: u8, out: &mut Vec<u8>) {
        out.extend_from_slice(&source[..itemsize]);
    }

    fn decode(&self, source: &[u8], itemsize: usize, out: &mut [u8]) -> Result<(), &'static str> {
        if source.len() != itemsize {
            return Err("the stored length is not the length of one element");
        }
        fill_with(source, out);
        Ok(())
    }

    fn may_take(&self, stored: usize, _nbytes: usize, itemsize: usize) -> bool {
        stored == itemsize
    }
}

/// Whether all elements of a chunk are the same bytes.
pub fn is_constant(chunk: &[u8], itemsize: usize) -> bool {
    chunk.len() > itemsize && chunk[..chunk.len() - itemsize] == chunk[itemsize..]
}

/// Repeats one element over all of `out`.
pub fn fill_with(element: &[u8], out: &mut [u8]) {
    if element.iter().all(|b| *b == element[0]) {
        return out.fill(element[0]);
    }
    let n = element.len().min(out.len());
    out[..n].copy_from_slice(&element[..n]);
    let mut done = n;
    while done < out.len() && done > 0 {
        let (written, rest) = out.split_at_mut(done);
        let more = done.min(rest.len());
        rest[..more].copy_from_slice(&written[..more]);
        done += more;
    }
}
