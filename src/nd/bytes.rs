//! Sums of bytes, for kernels and filters alike.

/// The sum of bytes, each with the bits of `flip` turned: they are added as words of 16 bits, the even and the odd ones apart,
/// because widening them costs more than a mask and a shift.
///
/// Loops are plain, and inlined where they are called: so they are compiled for the processor that the caller is compiled for.
#[inline(always)]
pub(super) fn byte_sum(run: &[u8], flip: u8) -> u64 {
    const WORDS: usize = 64;
    let flips = u16::from_le_bytes([flip; 2]);
    let mut total = 0;
    for block in run.chunks(256 * 2 * WORDS) {
        let (mut even, mut odd) = ([0u16; WORDS], [0u16; WORDS]);
        let (parts, rest) = block.as_chunks::<{ 2 * WORDS }>();
        for bytes in parts {
            let pairs = bytes.as_chunks::<2>().0;
            for ((even, odd), pair) in even.iter_mut().zip(&mut odd).zip(pairs) {
                let word = u16::from_le_bytes(*pair) ^ flips;
                *even += word & 0xff;
                *odd += word >> 8;
            }
        }
        for (even, odd) in even.iter().zip(&odd) {
            total += u64::from(*even) + u64::from(*odd);
        }
        for byte in rest {
            total += u64::from(byte ^ flip);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts_once_with_its_bits_turned() {
        for len in [0, 1, 127, 128, 129, 5000, 40_000] {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 37 % 256) as u8 | (u8::from(len > 5000) * 0xf0)).collect();
            for flip in [0, 0x80, 0xff] {
                let want: u64 = bytes.iter().map(|b| u64::from(b ^ flip)).sum();
                assert_eq!(byte_sum(&bytes, flip), want, "{len} {flip}");
            }
        }
    }
}
