//! Elements taken apart into planes, and put together again: what both shuffles are made of.
//!
//! ```text
//! items   a0 a1 a2 a3 | b0 b1 b2 b3 | ...        byte plane j: byte j of every element
//! bytes   a b c d e f g h | i j k l ...          bit plane k: bit k of every byte, eight bytes to one of the plane
//! ```
//! On x86-64 this is done sixteen elements at a time, in registers that every such processor has, bits in twice as wide ones where
//! there are; elsewhere by plain loops. Callers are compiled once for each width of vectors, with everything here inlined.

#[cfg(target_arch = "x86_64")]
mod interleaved;
mod loops;
#[cfg(target_arch = "x86_64")]
mod wide;

#[cfg(target_arch = "x86_64")]
pub use interleaved::{differences_4, differences_8, from_bits, join, split, sums_4, sums_8, to_bits};
#[cfg(not(target_arch = "x86_64"))]
pub use loops::{differences_4, differences_8, from_bits, join, split, sums_4, sums_8, to_bits};
#[cfg(target_arch = "x86_64")]
pub use wide::{from_bits_avx2, to_bits_avx2};

/// Turns the squares of 8 x 8 bits in eight rows over, all that stand side by side; twice is nothing. `swap::<n>(rows, a, b, mask)` swaps
/// the bits of row `b` under the mask with those `n` higher in row `a`.
#[cfg(target_arch = "x86_64")]
macro_rules! turn {
    ($rows:expr, $swap:ident) => {{
        for (a, b) in [(0, 4), (1, 5), (2, 6), (3, 7)] {
            $swap::<4>($rows, a, b, 0x0f0f_0f0f_0f0f_0f0f);
        }
        for (a, b) in [(0, 2), (1, 3), (4, 6), (5, 7)] {
            $swap::<2>($rows, a, b, 0x3333_3333_3333_3333);
        }
        for (a, b) in [(0, 1), (2, 3), (4, 5), (6, 7)] {
            $swap::<1>($rows, a, b, 0x5555_5555_5555_5555);
        }
    }};
}
#[cfg(target_arch = "x86_64")]
use turn;

/// A square of 8 x 8 bits turned over: bit `k` of byte `i` becomes bit `i` of byte `k` (Warren, Hacker's Delight, 7-3).
#[inline(always)]
fn turned(square: u64) -> u64 {
    let mut x = square;
    for (shift, mask) in [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0)] {
        let t = (x ^ (x >> shift)) & mask;
        x ^= t ^ (t << shift);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: [usize; 16] = [0, 1, 15, 16, 17, 31, 32, 33, 255, 256, 257, 511, 512, 513, 1000, 2048];

    fn items<const S: usize>(count: usize) -> Vec<[u8; S]> {
        (0..count).map(|i| std::array::from_fn(|j| (i * i * 31 + i * 7 + j * 101) as u8)).collect()
    }

    fn made<const S: usize>(count: usize, fill: impl FnOnce([&mut [u8]; S])) -> [Vec<u8>; S] {
        let mut planes: [Vec<u8>; S] = std::array::from_fn(|_| vec![0x55; count]);
        fill(planes.each_mut().map(|plane| &mut plane[..]));
        planes
    }

    fn check<const S: usize>() {
        for count in COUNTS {
            let items = items::<S>(count);
            let wanted: [Vec<u8>; S] = std::array::from_fn(|j| items.iter().map(|item| item[j]).collect());
            assert_eq!(made(count, |planes| split(&items, planes)), wanted, "{count} of {S}");
            assert_eq!(made(count, |planes| loops::split(&items, planes)), wanted, "{count} of {S}, by loops");
            for join in [join, loops::join] {
                let mut back = vec![[7; S]; count];
                join(wanted.each_ref().map(|plane| &plane[..]), &mut back);
                assert_eq!(back, items, "{count} of {S}");
            }
        }
    }

    #[test]
    fn planes_of_bytes_stand_together_and_come_back() {
        check::<1>();
        check::<2>();
        check::<4>();
        check::<8>();
        check::<16>();
    }

    macro_rules! check_differences {
        ($($word:ty, $size:literal: $differences:ident $sums:ident;)*) => {$(
            for count in COUNTS {
                let items = items::<$size>(count);
                let mut before: $word = 0;
                let step = |item: &[u8; $size]| {
                    let word = <$word>::from_le_bytes(*item);
                    word.wrapping_sub(std::mem::replace(&mut before, word)).to_le_bytes()
                };
                let steps: Vec<[u8; $size]> = items.iter().map(step).collect();
                let wanted = made(count, |planes| split(&steps, planes));
                assert_eq!(made(count, |planes| $differences(&items, planes)), wanted, "{count}");
                assert_eq!(made(count, |planes| loops::$differences(&items, planes)), wanted, "{count}, by loops");
                for sums in [$sums, loops::$sums] {
                    let mut back = vec![[7; $size]; count];
                    sums(wanted.each_ref().map(|plane| &plane[..]), &mut back);
                    assert_eq!(back, items, "{count}");
                }
            }
        )*};
    }

    #[test]
    fn sums_of_differences_are_the_elements() {
        check_differences! {
            u32, 4: differences_4 sums_4;
            u64, 8: differences_8 sums_8;
        }
    }

    #[multiversion::multiversion(targets("x86_64+avx2"))]
    fn to_bits_at_best(bytes: &[[u8; 8]], rows: [&mut [u8]; 8]) {
        multiversion::target::match_target! {
            "x86_64+avx2" => to_bits_avx2(bytes, rows),
            _ => to_bits(bytes, rows),
        }
    }

    #[multiversion::multiversion(targets("x86_64+avx2"))]
    fn from_bits_at_best(rows: [&[u8]; 8], bytes: &mut [[u8; 8]]) {
        multiversion::target::match_target! {
            "x86_64+avx2" => from_bits_avx2(rows, bytes),
            _ => from_bits(rows, bytes),
        }
    }

    #[test]
    fn planes_of_bits_stand_together_and_come_back() {
        for count in COUNTS {
            let bytes = items::<8>(count);
            let bit = |k: usize, w: usize| (0..8).map(|i| (bytes[w][i] >> k & 1) << i).sum();
            let wanted: [Vec<u8>; 8] = std::array::from_fn(|k| (0..count).map(|w| bit(k, w)).collect());
            assert_eq!(made(count, |rows| to_bits(&bytes, rows)), wanted, "{count}");
            assert_eq!(made(count, |rows| loops::to_bits(&bytes, rows)), wanted, "{count}, by loops");
            assert_eq!(made(count, |rows| to_bits_at_best(&bytes, rows)), wanted, "{count}, at best");
            for from_bits in [from_bits, loops::from_bits, from_bits_at_best] {
                let mut back = vec![[7; 8]; count];
                from_bits(wanted.each_ref().map(|row| &row[..]), &mut back);
                assert_eq!(back, bytes, "{count}");
            }
        }
    }
}
