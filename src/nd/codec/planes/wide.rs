//! Planes of bits at twice the width, where the processor has AVX2. In functions that are compiled for it, its intrinsics are safe.

use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_slli_epi64, _mm256_srli_epi64,
    _mm256_unpackhi_epi8, _mm256_unpacklo_epi8, _mm256_xor_si256,
};

/// Bytes of a register.
const WIDE: usize = 32;

/// Bytes of half of one: in the middle, nothing is interleaved.
const HALF: usize = 16;

/// Turns squares of 8 x 8 bits over, thirty-two of them.
#[target_feature(enable = "avx2")]
#[inline]
fn turn(mut rows: [__m256i; 8]) -> [__m256i; 8] {
    #[target_feature(enable = "avx2")]
    #[inline]
    fn swap<const SHIFT: i32>(rows: &mut [__m256i; 8], a: usize, b: usize, mask: u64) {
        let mask = _mm256_set1_epi64x(mask.cast_signed());
        let t = _mm256_and_si256(_mm256_xor_si256(_mm256_srli_epi64::<SHIFT>(rows[a]), rows[b]), mask);
        rows[b] = _mm256_xor_si256(rows[b], t);
        rows[a] = _mm256_xor_si256(rows[a], _mm256_slli_epi64::<SHIFT>(t));
    }
    super::turn!(&mut rows, swap);
    rows
}

#[target_feature(enable = "avx2")]
#[inline]
fn rounds(mut registers: [__m256i; 8], count: u32) -> [__m256i; 8] {
    for _ in 0..count {
        let mut next = registers;
        for i in 0..4 {
            next[2 * i] = _mm256_unpacklo_epi8(registers[i], registers[i + 4]);
            next[2 * i + 1] = _mm256_unpackhi_epi8(registers[i], registers[i + 4]);
        }
        registers = next;
    }
    registers
}

/// [`super::to_bits`].
#[target_feature(enable = "avx2")]
#[inline]
pub fn to_bits_avx2(bytes: &[[u8; 8]], mut rows: [&mut [u8]; 8]) {
    let (groups, rest) = bytes.as_chunks::<WIDE>();
    for (g, group) in groups.iter().enumerate() {
        let (first, second) = group.as_flattened().as_chunks::<HALF>().0.split_at(8);
        let mut registers = [_mm256_setzero_si256(); 8];
        for (register, halves) in registers.iter_mut().zip(first.iter().zip(second)) {
            *register = bytemuck::cast([*halves.0, *halves.1]);
        }
        for (row, bits) in rows.iter_mut().zip(turn(rounds(registers, HALF.trailing_zeros()))) {
            row[g * WIDE..][..WIDE].copy_from_slice(&bytemuck::cast::<_, [u8; WIDE]>(bits));
        }
    }
    if !rest.is_empty() {
        super::to_bits(rest, rows.map(|row| &mut row[groups.len() * WIDE..]));
    }
}

/// [`super::from_bits`].
#[target_feature(enable = "avx2")]
#[inline]
pub fn from_bits_avx2(rows: [&[u8]; 8], bytes: &mut [[u8; 8]]) {
    let (groups, rest) = bytes.as_chunks_mut::<WIDE>();
    let mut whole = 0;
    for group in groups {
        let mut registers = [_mm256_setzero_si256(); 8];
        for (register, row) in registers.iter_mut().zip(&rows) {
            let bits: [u8; WIDE] = row[whole..].as_chunks().0[0];
            *register = bytemuck::cast(bits);
        }
        let (first, second) = group.as_flattened_mut().as_chunks_mut::<HALF>().0.split_at_mut(8);
        for (register, to) in rounds(turn(registers), 3).into_iter().zip(first.iter_mut().zip(second)) {
            [*to.0, *to.1] = bytemuck::cast(register);
        }
        whole += WIDE;
    }
    if !rest.is_empty() {
        super::from_bits(rows.map(|row| &row[whole..]), rest);
    }
}
