//! The byte shuffle: bytes of equal significance of all elements stand together.
//!
//! ```text
//! elements  a0 a1 a2 a3 | b0 b1 b2 b3 | c0 c1 c2 c3
//! shuffled  a0 b0 c0 | a1 b1 c1 | a2 b2 c2 | a3 b3 c3
//! ```
//!
//! Numbers that lie near one another agree in their high bytes; side by side, those make long repeats for a byte-wise
//! codec. Without it LZ4 saves nothing on float64. The idea is HDF5's shuffle filter.

/// Writes `source` shuffled to `out`; both hold the same whole number of `size`-byte elements.
pub fn shuffle(source: &[u8], size: usize, out: &mut [u8]) {
    match size {
        2 => shuffle_n::<2>(source, out),
        4 => shuffle_n::<4>(source, out),
        8 => shuffle_n::<8>(source, out),
        16 => shuffle_n::<16>(source, out),
        _ => out.copy_from_slice(source),
    }
}

/// Writes the elements of a shuffled `source` to `out`.
pub fn unshuffle(source: &[u8], size: usize, out: &mut [u8]) {
    match size {
        2 => unshuffle_n::<2>(source, out),
        4 => unshuffle_n::<4>(source, out),
        8 => unshuffle_n::<8>(source, out),
        16 => unshuffle_n::<16>(source, out),
        _ => out.copy_from_slice(source),
    }
}

fn shuffle_n<const N: usize>(source: &[u8], out: &mut [u8]) {
    let items = source.as_chunks::<N>().0;
    for (j, plane) in out.chunks_exact_mut(items.len().max(1)).take(N).enumerate() {
        for (byte, item) in plane.iter_mut().zip(items) {
            *byte = item[j];
        }
    }
}

fn unshuffle_n<const N: usize>(source: &[u8], out: &mut [u8]) {
    let items = out.as_chunks_mut::<N>().0;
    let n = items.len();
    if n == 0 {
        return;
    }
    let mut planes: [&[u8]; N] = [&[]; N];
    for (j, plane) in planes.iter_mut().enumerate() {
        *plane = &source[j * n..(j + 1) * n];
    }
    for (i, item) in items.iter_mut().enumerate() {
        for j in 0..N {
            item[j] = planes[j][i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_stand_together_and_come_back() {
        let source: Vec<u8> = (0..48).collect();
        let mut out = vec![0; 48];
        shuffle(&source, 4, &mut out);
        assert_eq!(&out[..12], &[0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44]);
        for size in [1, 2, 4, 8, 16] {
            let mut back = vec![0; 48];
            shuffle(&source, size, &mut out);
            unshuffle(&out, size, &mut back);
            assert_eq!(back, source);
        }
    }
}
