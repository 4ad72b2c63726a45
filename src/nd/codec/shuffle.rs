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
//! Blocks of elements are taken apart and put together by [`planes`](super::planes), at the width of vectors of the
//! processor at hand.

use multiversion::multiversion;

use super::planes::{load, store, Word, BLOCK};
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
        4 => differences_4(source, out),
        8 => differences_8(source, out),
        _ => return false,
    }
    true
}

/// Undoes [`shuffle_differences`]; false, and nothing done, where that does nothing.
pub fn unshuffle_sums(source: &[u8], size: usize, out: &mut [u8]) -> bool {
    match size {
        4 => sums_4(source, out),
        8 => sums_8(source, out),
        _ => return false,
    }
    true
}

macro_rules! differences {
    ($($shuffle:ident $unshuffle:ident $word:ty;)*) => {$(
        #[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
        fn $shuffle(source: &[u8], out: &mut [u8]) {
            const SIZE: usize = std::mem::size_of::<$word>();
            let items = source.as_chunks::<SIZE>().0;
            let mut before = 0;
            for (b, block) in items.chunks(BLOCK).enumerate() {
                let mut words = [0; BLOCK];
                words[0] = <$word>::from_le_bytes(block[0]).wrapping_sub(before);
                for ((word, after), before) in words[1..].iter_mut().zip(&block[1..]).zip(block) {
                    *word = <$word>::from_le_bytes(*after).wrapping_sub(<$word>::from_le_bytes(*before));
                }
                before = <$word>::from_le_bytes(block[block.len() - 1]);
                for j in 0..SIZE {
                    let start = j * items.len() + b * BLOCK;
                    for (byte, word) in out[start..start + block.len()].iter_mut().zip(&words) {
                        *byte = (word >> (8 * j)) as u8; // the low byte is what is wanted
                    }
                }
            }
        }

        #[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
        fn $unshuffle(source: &[u8], out: &mut [u8]) {
            const SIZE: usize = std::mem::size_of::<$word>();
            let items = out.as_chunks_mut::<SIZE>().0;
            let n = items.len();
            let mut sum: $word = 0;
            for (b, block) in items.chunks_mut(BLOCK).enumerate() {
                let mut planes = [[0; BLOCK]; SIZE];
                for (j, plane) in planes.iter_mut().enumerate() {
                    let start = j * n + b * BLOCK;
                    plane[..block.len()].copy_from_slice(&source[start..start + block.len()]);
                }
                let mut words = [0; BLOCK];
                <$word>::join(&planes, &mut words);
                for word in &mut words {
                    sum = sum.wrapping_add(*word); // what is beyond the last element is 0
                    *word = sum;
                }
                store(&words, block);
            }
        }
    )*};
}

differences! {
    differences_4 sums_4 u32;
    differences_8 sums_8 u64;
}

macro_rules! shuffles {
    ($($shuffle:ident $unshuffle:ident $word:ty;)*) => {$(
        #[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
        fn $shuffle(source: &[u8], out: &mut [u8]) {
            const SIZE: usize = std::mem::size_of::<$word>();
            let items = source.as_chunks::<SIZE>().0;
            for (b, block) in items.chunks(BLOCK).enumerate() {
                if SIZE <= 8 {
                    // Straight from where they are: fewer copies than by planes.
                    for j in 0..SIZE {
                        let start = j * items.len() + b * BLOCK;
                        for (byte, item) in out[start..start + block.len()].iter_mut().zip(block) {
                            *byte = (<$word>::from_le_bytes(*item) >> (8 * j)) as u8; // the low byte is what is wanted
                        }
                    }
                    continue;
                }
                let mut planes = [[0; BLOCK]; SIZE];
                <$word>::split(&load(block), &mut planes);
                for (j, plane) in planes.iter().enumerate() {
                    let start = j * items.len() + b * BLOCK;
                    out[start..start + block.len()].copy_from_slice(&plane[..block.len()]);
                }
            }
        }

        #[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
        fn $unshuffle(source: &[u8], first: usize, out: &mut [u8]) {
            const SIZE: usize = std::mem::size_of::<$word>();
            let items = out.as_chunks_mut::<SIZE>().0;
            let n = source.len() / SIZE;
            for (b, block) in items.chunks_mut(BLOCK).enumerate() {
                let mut planes = [[0; BLOCK]; SIZE];
                for (j, plane) in planes.iter_mut().enumerate() {
                    let start = j * n + first + b * BLOCK;
                    plane[..block.len()].copy_from_slice(&source[start..start + block.len()]);
                }
                let mut words = [0; BLOCK];
                <$word>::join(&planes, &mut words);
                store(&words, block);
            }
        }
    )*};
}

shuffles! {
    shuffle_2 unshuffle_2 u16;
    shuffle_4 unshuffle_4 u32;
    shuffle_8 unshuffle_8 u64;
    shuffle_16 unshuffle_16 u128;
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
