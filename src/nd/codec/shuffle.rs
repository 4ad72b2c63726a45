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
//! Elements are taken as whole integers and their bytes by shifts, in blocks that stay in the first cache: a form that
//! compilers turn into vector code, at the width of the processor at hand.

use multiversion::multiversion;

/// Elements of one block: 16 bytes each at most, so 8 KiB.
const BLOCK: usize = 512;

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
    match size {
        2 => unshuffle_2(source, out),
        4 => unshuffle_4(source, out),
        8 => unshuffle_8(source, out),
        16 => unshuffle_16(source, out),
        _ => out.copy_from_slice(source),
    }
}

macro_rules! shuffles {
    ($($shuffle:ident $unshuffle:ident $word:ty;)*) => {$(
        #[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
        fn $shuffle(source: &[u8], out: &mut [u8]) {
            const SIZE: usize = std::mem::size_of::<$word>();
            let items = source.as_chunks::<SIZE>().0;
            for (b, block) in items.chunks(BLOCK).enumerate() {
                for j in 0..SIZE {
                    let start = j * items.len() + b * BLOCK;
                    for (byte, item) in out[start..start + block.len()].iter_mut().zip(block) {
                        *byte = (<$word>::from_le_bytes(*item) >> (8 * j)) as u8; // the low byte is what is wanted
                    }
                }
            }
        }

        #[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
        fn $unshuffle(source: &[u8], out: &mut [u8]) {
            const SIZE: usize = std::mem::size_of::<$word>();
            let items = out.as_chunks_mut::<SIZE>().0;
            let n = items.len();
            for (b, block) in items.chunks_mut(BLOCK).enumerate() {
                let mut words = [0 as $word; BLOCK];
                for j in 0..SIZE {
                    let start = j * n + b * BLOCK;
                    for (word, byte) in words.iter_mut().zip(&source[start..start + block.len()]) {
                        *word |= <$word>::from(*byte) << (8 * j);
                    }
                }
                for (item, word) in block.iter_mut().zip(words) {
                    *item = word.to_le_bytes();
                }
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
                for (i, byte) in out.iter().enumerate() {
                    assert_eq!(*byte, source[i % items * size + i / items]);
                }
            }
        }
    }
}
