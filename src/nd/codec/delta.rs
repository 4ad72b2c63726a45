//! Differences of neighbours, wrapping, on unsigned integers of the item size; and their sums.
//!
//! ```text
//! elements     a0   a1      a2      a3
//! differences  a0   a1-a0   a2-a1   a3-a2
//! ```
//!
//! Counters, sorted values and smooth images become small numbers. Elements of 16 bytes are taken as two integers of
//! eight, each with the one two places before: the parts of a complex128.

use multiversion::multiversion;

/// Writes the differences of `source` to `out`; both hold the same whole number of elements.
pub fn apply(source: &[u8], itemsize: usize, out: &mut [u8]) {
    match itemsize {
        2 => apply_2(source, out),
        4 => apply_4(source, out),
        8 => apply_8(source, out),
        16 => apply_16(source, out),
        _ => apply_1(source, out),
    }
}

/// Turns differences back into elements, in place.
pub fn undo(itemsize: usize, elements: &mut [u8]) {
    match itemsize {
        2 => undo_2(elements),
        4 => undo_4(elements),
        8 => undo_8(elements),
        16 => undo_16(elements),
        _ => undo_1(elements),
    }
}

/// Adds to the first element's difference what those before it add up to, so that [`undo`] can begin there: of elements of 16
/// bytes, the sum of each half.
pub fn begin(itemsize: usize, sums: [u64; 2], elements: &mut [u8]) {
    let width = itemsize.min(8);
    for (word, sum) in elements[..itemsize].chunks_exact_mut(width).zip(sums) {
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(word);
        let sum = u64::from_le_bytes(bytes).wrapping_add(sum).to_le_bytes();
        word.copy_from_slice(&sum[..width]);
    }
}

macro_rules! differences {
    ($($apply:ident $undo:ident $word:ty, $back:literal;)*) => {$(
        #[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"))]
        fn $apply(source: &[u8], out: &mut [u8]) {
            const SIZE: usize = std::mem::size_of::<$word>();
            let (items, out) = (source.as_chunks::<SIZE>().0, out.as_chunks_mut::<SIZE>().0);
            let first = items.len().min($back);
            out[..first].copy_from_slice(&items[..first]);
            let (before, after) = (&items[..items.len() - first], &items[first..]);
            for ((d, b), a) in out[first..].iter_mut().zip(before).zip(after) {
                *d = <$word>::from_le_bytes(*a).wrapping_sub(<$word>::from_le_bytes(*b)).to_le_bytes();
            }
        }

        fn $undo(elements: &mut [u8]) {
            const SIZE: usize = std::mem::size_of::<$word>();
            let mut sums = [0 as $word; $back];
            for items in elements.as_chunks_mut::<SIZE>().0.chunks_mut($back) {
                for (item, sum) in items.iter_mut().zip(&mut sums) {
                    *sum = sum.wrapping_add(<$word>::from_le_bytes(*item));
                    *item = sum.to_le_bytes();
                }
            }
        }
    )*};
}

differences! {
    apply_1 one_by_one_1 u8, 1;
    apply_2 one_by_one_2 u16, 1;
    apply_4 one_by_one_4 u32, 1;
    apply_8 undo_8 u64, 1;
    apply_16 undo_16 u64, 2;
}

/// Sums of narrow elements, so that only one short addition depends on those before.
#[cfg(target_arch = "x86_64")]
use blocks::{undo_1, undo_2, undo_4};
#[cfg(not(target_arch = "x86_64"))]
use {one_by_one_4 as undo_4, words::undo_1, words::undo_2};

/// Sixteen bytes at a time, with what every x86-64 processor has. Shifted by one element, by two, by four and added each time, a
/// block holds its own sums. (Loops over arrays of so few numbers are compiled to one addition after the other.)
#[cfg(target_arch = "x86_64")]
mod blocks {
    use safe_arch::{
        add_i16_m128i, add_i32_m128i, add_i8_m128i, byte_shl_imm_u128_m128i, m128i, shuffle_ai_f32_all_m128i,
        shuffle_ai_i16_h64all_m128i, unpack_high_i64_m128i, unpack_high_i8_m128i, zeroed_m128i,
    };

    use super::{one_by_one_1, one_by_one_2, one_by_one_4};

    macro_rules! sums {
        ($($undo:ident $rest:ident $size:literal $add:ident [$($shift:literal)*] $last:ident;)*) => {$(
            pub fn $undo(elements: &mut [u8]) {
                let (blocks, rest) = elements.as_chunks_mut::<16>();
                let mut before = zeroed_m128i();
                for block in blocks {
                    let mut sums: m128i = bytemuck::cast(*block);
                    $(sums = $add(sums, byte_shl_imm_u128_m128i::<$shift>(sums));)*
                    *block = bytemuck::cast($add(sums, before));
                    before = $add(before, $last(sums));
                }
                if let Some(first) = rest.first_chunk_mut::<$size>() {
                    let mut block = [0; 16];
                    block[..$size].copy_from_slice(first);
                    let block: [u8; 16] = bytemuck::cast($add(bytemuck::cast(block), before));
                    first.copy_from_slice(&block[..$size]);
                }
                $rest(rest);
            }
        )*};
    }

    sums! {
        undo_1 one_by_one_1 1 add_i8_m128i [1 2 4 8] last_1;
        undo_2 one_by_one_2 2 add_i16_m128i [2 4 8] last_2;
        undo_4 one_by_one_4 4 add_i32_m128i [4 8] last_4;
    }

    /// The last element in every place.
    fn last_1(block: m128i) -> m128i {
        last_2(unpack_high_i8_m128i(block, block))
    }

    fn last_2(block: m128i) -> m128i {
        let upper = shuffle_ai_i16_h64all_m128i::<0xff>(block);
        unpack_high_i64_m128i(upper, upper)
    }

    fn last_4(block: m128i) -> m128i {
        shuffle_ai_f32_all_m128i::<0xff>(block)
    }
}

/// A word at a time: the even and the odd elements of a word stand in lanes of twice their size, where their sums and a carry
/// have room; a multiplication by ones adds every lane to all above it.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod words {
    use super::{one_by_one_1, one_by_one_2};

    macro_rules! sums {
        ($($undo:ident $rest:ident $lanes:literal $low:literal $bits:literal;)*) => {$(
            pub fn $undo(elements: &mut [u8]) {
                let (words, rest) = elements.as_chunks_mut::<8>();
                let mut carry = 0u64;
                for word in words {
                    let x = u64::from_le_bytes(*word);
                    let odd = (x >> $bits) & $low;
                    let sums = ((x & $low) + odd).wrapping_mul($lanes); // the top lane, too, holds its sum
                    let upto = sums + carry * $lanes;
                    carry = (carry + (sums >> (64 - 2 * $bits))) & ((1 << $bits) - 1);
                    *word = ((upto - odd) & $low | (upto & $low) << $bits).to_le_bytes();
                }
                let first = $bits / 8;
                if rest.len() >= first {
                    let mut bytes = [0; 8];
                    bytes[..first].copy_from_slice(&rest[..first]);
                    let sum = u64::from_le_bytes(bytes).wrapping_add(carry).to_le_bytes();
                    rest[..first].copy_from_slice(&sum[..first]);
                    $rest(rest);
                }
            }
        )*};
    }

    sums! {
        undo_1 one_by_one_1 0x0001_0001_0001_0001 0x00ff_00ff_00ff_00ff 8;
        undo_2 one_by_one_2 0x0000_0001_0000_0001 0x0000_ffff_0000_ffff 16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_differences_are_the_elements() {
        let mut x = 9u32;
        for itemsize in [1, 2, 4, 8, 16] {
            for items in (0..40).chain([1000]) {
                let source: Vec<u8> = (0..items * itemsize)
                    .map(|_| {
                        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        (x >> 24) as u8
                    })
                    .collect();
                let mut out = vec![0; source.len()];
                apply(&source, itemsize, &mut out);
                if itemsize == 1 {
                    for i in 1..source.len() {
                        assert_eq!(out[i], source[i].wrapping_sub(source[i - 1]));
                    }
                }
                let differences = out.clone();
                undo(itemsize, &mut out);
                assert_eq!(out, source, "{items} items of {itemsize}");
                let portable: fn(&mut [u8]) = match itemsize {
                    1 => words::undo_1,
                    2 => words::undo_2,
                    4 => one_by_one_4,
                    _ => continue,
                };
                out.copy_from_slice(&differences);
                portable(&mut out);
                assert_eq!(out, source, "{items} items of {itemsize}, a word at a time");
            }
        }
        let mut out = vec![0; 32];
        apply(&[5u64, 7, 6, 7].map(u64::to_le_bytes).concat(), 16, &mut out);
        assert_eq!(out, [5u64, 7, 1, 0].map(u64::to_le_bytes).concat());
    }
}
