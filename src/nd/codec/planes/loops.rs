//! Planes by plain loops, for any processor, and for what registers leave over.

use super::turned;

/// Writes byte `j` of each element to plane `j`; each plane is as long as `items`.
#[inline(always)]
pub fn split<const S: usize>(items: &[[u8; S]], planes: [&mut [u8]; S]) {
    for (j, plane) in planes.into_iter().enumerate() {
        for (byte, item) in plane.iter_mut().zip(items) {
            *byte = item[j];
        }
    }
}

/// Writes the elements whose bytes stand in the planes, each of which is as long as `items`.
#[inline(always)]
pub fn join<const S: usize>(planes: [&[u8]; S], items: &mut [[u8; S]]) {
    let planes = planes.map(|plane| &plane[..items.len()]);
    for (i, item) in items.iter_mut().enumerate() {
        *item = planes.map(|plane| plane[i]);
    }
}

macro_rules! differences {
    ($($word:ty, $size:literal: $differences:ident $differences_from:ident $sums:ident $sums_from:ident;)*) => {$(
        /// [`split`] of the differences of neighbours, wrapping; the first element is its own.
        #[cfg(any(test, not(target_arch = "x86_64")))]
        #[inline(always)]
        pub fn $differences(items: &[[u8; $size]], planes: [&mut [u8]; $size]) {
            $differences_from(0, items, planes);
        }

        /// The same, where this element comes before the first.
        #[inline(always)]
        pub fn $differences_from(mut before: $word, items: &[[u8; $size]], mut planes: [&mut [u8]; $size]) {
            for (i, item) in items.iter().enumerate() {
                let word = <$word>::from_le_bytes(*item);
                let difference = word.wrapping_sub(before).to_le_bytes();
                planes.iter_mut().zip(difference).for_each(|(plane, byte)| plane[i] = byte);
                before = word;
            }
        }

        /// Undoes what the differences did: [`join`], and adds to each element all before it, wrapping.
        #[cfg(any(test, not(target_arch = "x86_64")))]
        #[inline(always)]
        pub fn $sums(planes: [&[u8]; $size], items: &mut [[u8; $size]]) {
            $sums_from(0, planes, items);
        }

        /// The same, where all before the first are this.
        #[inline(always)]
        pub fn $sums_from(mut sum: $word, planes: [&[u8]; $size], items: &mut [[u8; $size]]) {
            join(planes, items);
            for item in items {
                sum = sum.wrapping_add(<$word>::from_le_bytes(*item));
                *item = sum.to_le_bytes();
            }
        }
    )*};
}

differences! {
    u32, 4: differences_4 differences_4_from sums_4 sums_4_from;
    u64, 8: differences_8 differences_8_from sums_8 sums_8_from;
}

/// Writes bit `k` of each byte to row `k`, the first of eight bytes to the lowest bit; each row is as long as `bytes`.
#[inline(always)]
pub fn to_bits(bytes: &[[u8; 8]], mut rows: [&mut [u8]; 8]) {
    for (i, square) in bytes.iter().enumerate() {
        let bits = turned(u64::from_le_bytes(*square)).to_le_bytes();
        rows.iter_mut().zip(bits).for_each(|(row, byte)| row[i] = byte);
    }
}

/// Writes the bytes whose bits stand in the rows, each of which is as long as `bytes`.
#[inline(always)]
pub fn from_bits(rows: [&[u8]; 8], bytes: &mut [[u8; 8]]) {
    for (i, square) in bytes.iter_mut().enumerate() {
        *square = turned(u64::from_le_bytes(rows.map(|row| row[i]))).to_le_bytes();
    }
}
