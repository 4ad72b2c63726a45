//! Elements that are left out: NaN under `SKIPNAN`, and what a `WHERE` mask does not select.
//!
//! A filter is one byte for each element of a block, 0 where it is left out. Where it leaves out nothing, the block takes
//! the loops of an unfiltered one.

use super::cells::Tally;
use super::walk::{each_position, Inner, Walk};
use crate::nd::dtype::{dispatch, Dtype};
use crate::nd::kernels::{elements, Unaligned};

/// Whether any element is NaN (a complex one with either part).
pub(super) fn has_nan(dtype: Dtype, block: &[u8]) -> bool {
    #[allow(clippy::eq_op)] // NaN alone differs from itself
    let found = dtype.is_inexact()
        && dispatch!(dtype, T => {
            elements::<Unaligned<T>>(block).chunks(1024).any(|few| few.iter().fold(false, |nan, x| nan | (x.get() != x.get())))
        });
    found
}

/// Clears the bytes of `keep` whose elements are NaN.
pub(super) fn drop_nan(dtype: Dtype, block: &[u8], keep: &mut [u8]) {
    #[allow(clippy::eq_op)]
    if dtype.is_inexact() {
        dispatch!(dtype, T => {
            keep.iter_mut().zip(elements::<Unaligned<T>>(block)).for_each(|(keep, x)| *keep &= u8::from(x.get() == x.get()));
        });
    }
}

/// Calls `count` with each cell's tally and how many of its elements are kept.
pub(super) fn tally(walk: &Walk, keep: &[u8], tallies: &mut [Tally], mut count: impl FnMut(&mut Tally, u64)) {
    let mut at = 0;
    match walk.inner() {
        (Inner::Run(len), outer) => each_position(outer, 0, &mut |cell| {
            let kept = keep[at..at + len].iter().filter(|&&k| k != 0).count();
            count(&mut tallies[cell], kept as u64);
            at += len;
        }),
        (Inner::Rows { rows, len }, outer) => each_position(outer, 0, &mut |cell| {
            for row in keep[at..at + rows * len].chunks_exact(len) {
                tallies[cell..][..len].iter_mut().zip(row).for_each(|(t, &k)| count(t, u64::from(k != 0)));
            }
            at += rows * len;
        }),
    }
}
