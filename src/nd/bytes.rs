//! Sums of bytes, for kernels and filters alike.

/// Bytes that are added to 16 bits before those may overflow, times the bytes of a step.
const BLOCK: usize = 256 * STEP;
const STEP: usize = 128;
/// A quarter of a span. The four of them are read side by side: a processor fetches four streams from memory sooner than one, if
/// they are some pages apart.
const QUARTER: usize = 16 << 10;

/// The sum of bytes, each with the bits of `flip` turned: they are added as words of 16 bits, the even and the odd ones apart,
/// because widening them costs more than a mask and a shift.
///
/// Loops are plain, and inlined where they are called: so they are compiled for the processor that the caller is compiled for.
#[inline(always)]
pub(super) fn byte_sum(run: &[u8], flip: u8) -> u64 {
    let mut total = 0;
    let (spans, rest) = run.as_chunks::<{ 4 * QUARTER }>();
    for span in spans {
        for from in (0..QUARTER).step_by(BLOCK / 4) {
            total += block_sum(span, BLOCK / STEP, flip, |i| from + i % 4 * QUARTER + i / 4 * STEP);
        }
    }
    for block in rest.chunks(BLOCK) {
        total += block_sum(block, block.len() / STEP, flip, |i| i * STEP);
        for byte in block.as_chunks::<STEP>().1 {
            total += u64::from(byte ^ flip);
        }
    }
    total
}

/// The sum of as many steps, each of which begins where `start` says.
#[inline(always)]
fn block_sum(run: &[u8], steps: usize, flip: u8, start: impl Fn(usize) -> usize) -> u64 {
    let flips = u16::from_le_bytes([flip; 2]);
    let (mut even, mut odd) = ([0u16; STEP / 2], [0u16; STEP / 2]);
    for i in 0..steps {
        let pairs = run[start(i)..][..STEP].as_chunks::<2>().0;
        for ((even, odd), pair) in even.iter_mut().zip(&mut odd).zip(pairs) {
            let word = u16::from_le_bytes(*pair) ^ flips;
            *even += word & 0xff;
            *odd += word >> 8;
        }
    }
    let mut total = 0;
    for (even, odd) in even.iter().zip(&odd) {
        total += u64::from(*even) + u64::from(*odd);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts_once_with_its_bits_turned() {
        for len in [0, 1, 127, 128, 129, 5000, 40_000, 131_072, 300_000] {
            let bytes: Vec<u8> = (0..len).map(|i| (i * 37 % 256) as u8 | (u8::from(len > 5000) * 0xf0)).collect();
            for flip in [0, 0x80, 0xff] {
                let want: u64 = bytes.iter().map(|b| u64::from(b ^ flip)).sum();
                assert_eq!(byte_sum(&bytes, flip), want, "{len} {flip}");
            }
        }
    }
}
