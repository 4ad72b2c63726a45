//! The bit shuffle: bits of equal significance of all elements stand together.
//!
//! ```text
//! elements  8 of one byte     a7..a0 b7..b0 ... h7..h0
//! shuffled  8 planes, a byte  h0..b0a0 h1..b1a1 ... h7..b7a7
//! ```
//!
//! Plane `p` holds bit `p` of every element, eight elements to a byte, the first in the lowest bit; what is left over of a
//! number of elements that eight does not divide follows unchanged. Numbers that use few of their bits become long runs
//! of equal planes, which the byte shuffle alone does not see. The idea is Masui's (doi 10.1016/j.ascom.2015.07.002).
//!
//! Two steps over blocks that stay in the first cache: bytes of equal significance together, then the bits of those.

use multiversion::multiversion;
use multiversion::target::match_target;

use super::planes::{self, join, split};

/// Elements of one block: at most 8 KiB of them, so that a block and its planes stay in the first cache.
const BLOCK: usize = 512;

/// Bytes that one block has in one plane.
const ROW: usize = BLOCK / 8;

/// Writes `source` bit-shuffled to `out`; both hold the same whole number of `size`-byte elements.
pub fn bitshuffle(source: &[u8], size: usize, out: &mut [u8]) {
    match size {
        1 => shuffle_1(source, out),
        2 => shuffle_2(source, out),
        4 => shuffle_4(source, out),
        8 => shuffle_8(source, out),
        16 => shuffle_16(source, out),
        _ => out.copy_from_slice(source),
    }
}

/// Writes the elements of a bit-shuffled `source` to `out`.
pub fn unshuffle(source: &[u8], size: usize, out: &mut [u8]) {
    unshuffle_part(source, size, 0, out);
}

/// Writes the elements of a bit-shuffled `source` from `first` on to `out`, as many as it has room for. Both ends are multiples of
/// eight, or the end of all.
pub fn unshuffle_part(source: &[u8], size: usize, first: usize, out: &mut [u8]) {
    match size {
        1 => unshuffle_1(source, first, out),
        2 => unshuffle_2(source, first, out),
        4 => unshuffle_4(source, first, out),
        8 => unshuffle_8(source, first, out),
        16 => unshuffle_16(source, first, out),
        _ => out.copy_from_slice(&source[first * size..][..out.len()]),
    }
}

macro_rules! shuffles {
    ($($shuffle:ident $unshuffle:ident $size:literal;)*) => {$(
        #[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
        fn $shuffle(source: &[u8], out: &mut [u8]) {
            let items = source.as_chunks::<$size>().0;
            let (whole, rest) = items.split_at(items.len() / 8 * 8);
            let plane_len = whole.len() / 8;
            let mut planes = [[0; BLOCK]; $size];
            for (b, block) in whole.chunks(BLOCK).enumerate() {
                split(block, planes.each_mut().map(|plane| &mut plane[..block.len()]));
                let len = block.len() / 8;
                for (plane, out) in planes.iter().zip(out.chunks_exact_mut(8 * plane_len)) {
                    let mut rows: [&mut [u8]; 8] = [(); 8].map(|()| Default::default());
                    for (row, out) in rows.iter_mut().zip(out.chunks_exact_mut(plane_len)) {
                        *row = &mut out[b * ROW..][..len];
                    }
                    let bytes = &plane.as_chunks().0[..len];
                    match_target! {
                        "x86_64+avx2" => planes::to_bits_avx2(bytes, rows),
                        _ => planes::to_bits(bytes, rows),
                    }
                }
            }
            let end = out.len() - rest.as_flattened().len();
            out[end..].copy_from_slice(rest.as_flattened());
        }

        #[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
        fn $unshuffle(source: &[u8], first: usize, out: &mut [u8]) {
            let items = out.as_chunks_mut::<$size>().0;
            let (whole, rest) = items.split_at_mut(items.len() / 8 * 8);
            let plane_len = source.len() / $size / 8;
            let mut planes = [[0; BLOCK]; $size];
            for (b, block) in whole.chunks_mut(BLOCK).enumerate() {
                let len = block.len() / 8;
                for (j, plane) in planes.iter_mut().enumerate() {
                    let mut rows = [&[][..]; 8];
                    for (k, row) in rows.iter_mut().enumerate() {
                        *row = &source[(8 * j + k) * plane_len + first / 8 + b * ROW..][..len];
                    }
                    let bytes = &mut plane.as_chunks_mut().0[..len];
                    match_target! {
                        "x86_64+avx2" => planes::from_bits_avx2(rows, bytes),
                        _ => planes::from_bits(rows, bytes),
                    }
                }
                join(planes.each_ref().map(|plane| &plane[..block.len()]), block);
            }
            let rest = rest.as_flattened_mut();
            rest.copy_from_slice(&source[source.len() - rest.len()..]);
        }
    )*};
}

shuffles! {
    shuffle_1 unshuffle_1 1;
    shuffle_2 unshuffle_2 2;
    shuffle_4 unshuffle_4 4;
    shuffle_8 unshuffle_8 8;
    shuffle_16 unshuffle_16 16;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_of_bits_stand_together_and_come_back() {
        for size in [1, 2, 4, 8, 16] {
            for items in [0, 1, 7, 8, 9, 511, 512, 513, 520, 2003] {
                let source: Vec<u8> = (0..items * size).map(|i| (i * i * 31 % 251) as u8).collect();
                let (mut out, mut back) = (vec![0; source.len()], vec![0; source.len()]);
                bitshuffle(&source, size, &mut out);
                unshuffle(&out, size, &mut back);
                assert_eq!(back, source, "{items} items of {size}");
                let whole = items / 8 * 8;
                for plane in 0..8 * size {
                    for i in 0..whole {
                        let bit = source[i * size + plane / 8] >> (plane % 8) & 1;
                        assert_eq!(out[plane * whole / 8 + i / 8] >> (i % 8) & 1, bit, "bit {plane} of item {i}");
                    }
                }
                assert_eq!(out[whole * size..], source[whole * size..]);
            }
        }
    }
}
