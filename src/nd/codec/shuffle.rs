//! The byte shuffle: bytes of equal significance of all elements stand together.
//!
//! ```text
//! elements  a0 a1 a2 a3 | b0 b1 b2 b3 | c0 c1 c2 c3
//! shuffled  a0 b0 c0 | a1 b1 c1 | a2 b2 c2 | a3 b3 c3
//! ```
//!
//! Numbers that lie near one another agree in their high bytes; side by side, those make long repeats for a byte-wise
//! codec. Without it LZ4 saves nothing on float64. The idea is HDF5's shuffle filter.
//!
//! Elements are taken apart and put together by [`planes`](super::planes).

use multiversion::multiversion;

use super::planes::{differences_4, differences_8, join, split, sums_4, sums_8};
use crate::nd::bytes::byte_sum;

/// Writes `source` shuffled to `out`; both hold the same whole number of `size`-byte elements.
pub fn shuffle(source: &[u8], size: usize, out: &mut [u8]) {
    match size {
        2 => shuffle_2(source, out),
        4 => shuffle_4(source, out),
        8 => shuffle_8(source, out),
        16 => shuffle_16(source, out),
        _ => out.copy_from_slice(source),
    }
}

/// Writes the elements of a shuffled `source` to `out`.
pub fn unshuffle(source: &[u8], size: usize, out: &mut [u8]) {
    unshuffle_part(source, size, 0, out);
}

/// Writes the elements of a shuffled `source` from `first` on to `out`, as many as it has room for.
pub fn unshuffle_part(source: &[u8], size: usize, first: usize, out: &mut [u8]) {
    match size {
        2 => unshuffle_2(source, first, out),
        4 => unshuffle_4(source, first, out),
        8 => unshuffle_8(source, first, out),
        16 => unshuffle_16(source, first, out),
        _ => out.copy_from_slice(&source[first * size..][..out.len()]),
    }
}

/// What the first `count` elements of a shuffled `source` add up to, wrapping; of elements of 16 bytes, each half by itself.
/// Bytes of equal significance are added, and no element is put together.
pub fn sums(source: &[u8], size: usize, count: usize) -> [u64; 2] {
    let mut sums = [0u64; 2];
    for (j, plane) in source.chunks_exact((source.len() / size).max(1)).enumerate() {
        let sum = plane_sum(&plane[..count]) << (8 * (j % 8)); // what is shifted out, no element has room for
        sums[j / 8] = sums[j / 8].wrapping_add(sum);
    }
    sums
}

#[multiversion(targets("x86_64+avx2"))]
fn plane_sum(plane: &[u8]) -> u64 {
    byte_sum(plane, 0)
}

/// [`shuffle`] of the differences of neighbours (see [`delta`](super::delta)) in one go, which spares a walk over all bytes;
/// false, and nothing done, for elements that are summed faster on their own.
pub fn shuffle_differences(source: &[u8], size: usize, out: &mut [u8]) -> bool {
    match size {
        4 => shuffle_differences_4(source, out),
        8 => shuffle_differences_8(source, out),
        _ => return false,
    }
    true
}

/// Undoes [`shuffle_differences`]; false, and nothing done, where that does nothing.
pub fn unshuffle_sums(source: &[u8], size: usize, out: &mut [u8]) -> bool {
    match size {
        4 => unshuffle_sums_4(source, out),
        8 => unshuffle_sums_8(source, out),
        _ => return false,
    }
    true
}

/// The bytes of `count` elements from `first` on, plane by plane.
#[inline(always)]
fn planes<const S: usize>(source: &[u8], first: usize, count: usize) -> [&[u8]; S] {
    let len = source.len() / S;
    std::array::from_fn(|j| &source[j * len + first..][..count])
}

/// Planes to write `count` elements to.
#[inline(always)]
fn planes_mut<const S: usize>(out: &mut [u8], count: usize) -> [&mut [u8]; S] {
    let mut rest = out;
    [(); S].map(|()| {
        let (plane, after) = std::mem::take(&mut rest).split_at_mut(count);
        rest = after;
        plane
    })
}

macro_rules! differences {
    ($($shuffle:ident $unshuffle:ident $differences:ident $sums:ident;)*) => {$(
        #[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
        fn $shuffle(source: &[u8], out: &mut [u8]) {
            let items = source.as_chunks().0;
            $differences(items, planes_mut(out, items.len()));
        }

        #[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
        fn $unshuffle(source: &[u8], out: &mut [u8]) {
            let items = out.as_chunks_mut().0;
            $sums(planes(source, 0, items.len()), items);
        }
    )*};
}

differences! {
    shuffle_differences_4 unshuffle_sums_4 differences_4 sums_4;
    shuffle_differences_8 unshuffle_sums_8 differences_8 sums_8;
}

macro_rules! shuffles {
    ($($shuffle:ident $unshuffle:ident $size:literal;)*) => {$(
        #[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
        fn $shuffle(source: &[u8], out: &mut [u8]) {
            let items = source.as_chunks::<$size>().0;
            split(items, planes_mut(out, items.len()));
        }

        #[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
        fn $unshuffle(source: &[u8], first: usize, out: &mut [u8]) {
            let items = out.as_chunks_mut::<$size>().0;
            join(planes(source, first, items.len()), items);
        }
    )*};
}

shuffles! {
    shuffle_2 unshuffle_2 2;
    shuffle_4 unshuffle_4 4;
    shuffle_8 unshuffle_8 8;
    shuffle_16 unshuffle_16 16;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_stand_together_and_come_back() {
        let mut out = vec![0; 48];
        shuffle(&(0..48).collect::<Vec<u8>>(), 4, &mut out);
        assert_eq!(&out[..12], &[0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44]);
        for size in [1, 2, 4, 8, 16] {
            for items in [0, 1, 3, 511, 512, 513, 2000] {
                let source: Vec<u8> = (0..items * size).map(|i| (i * 31 % 251) as u8).collect();
                let (mut out, mut back) = (vec![0; source.len()], vec![0; source.len()]);
                shuffle(&source, size, &mut out);
                unshuffle(&out, size, &mut back);
                assert_eq!(back, source, "{items} items of {size}");
                let (mut differences, mut at_once) = (vec![0; source.len()], vec![0; source.len()]);
                super::super::delta::apply(&source, size, &mut differences);
                if shuffle_differences(&source, size, &mut at_once) {
                    let mut apart = vec![0; source.len()];
                    shuffle(&differences, size, &mut apart);
                    assert_eq!(at_once, apart, "{items} items of {size}");
                    assert!(unshuffle_sums(&apart, size, &mut back));
                    assert_eq!(back, source, "{items} items of {size}");
                }
                for (i, byte) in out.iter().enumerate() {
                    assert_eq!(*byte, source[i % items * size + i / items]);
                }
            }
        }
    }
}
