//! The arrays that are stored: seeded, so that every run measures the same bytes.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// One array as a client holds it.
#[derive(Clone)]
pub struct Value {
    /// The dtype's name.
    pub dtype: &'static str,
    /// The shape, as an argument.
    pub shape: String,
    /// C-order little-endian elements.
    pub bytes: Vec<u8>,
}

impl Value {
    /// A vector of `size` bytes of float32 of random bits, which no codec makes smaller. (Of numbers that are uniform between
    /// two bounds, exponents repeat: differences and a bit shuffle save a fifth.)
    pub fn noise(size: usize, seed: u64) -> Value {
        let mut rng = SmallRng::seed_from_u64(seed);
        let bytes = (0..size / 4).flat_map(|_| rng.random::<u32>().to_le_bytes()).collect();
        Value { dtype: "float32", shape: (size / 4).to_string(), bytes }
    }

    /// A vector of `size` bytes of int64 that count up from `start`: smooth, and small once compressed.
    pub fn counters(size: usize, start: i64) -> Value {
        let bytes = (start..).take(size / 8).flat_map(i64::to_le_bytes).collect();
        Value { dtype: "int64", shape: (size / 8).to_string(), bytes }
    }

    /// A float64 matrix of that shape, of noise.
    pub fn noise_matrix(rows: usize, cols: usize) -> Value {
        let mut rng = SmallRng::seed_from_u64(7);
        let bytes = (0..rows * cols).flat_map(|_| rng.random_range(-1.0f64..1.0).to_le_bytes()).collect();
        Value { dtype: "float64", shape: format!("{rows},{cols}"), bytes }
    }

    /// A float64 matrix of that shape, of quarters that count up.
    pub fn smooth_matrix(rows: usize, cols: usize) -> Value {
        let bytes = (0..rows * cols).flat_map(|i| (i as f64 * 0.25).to_le_bytes()).collect();
        Value { dtype: "float64", shape: format!("{rows},{cols}"), bytes }
    }
}

/// The mean of little-endian float32 bytes, in eight lanes of f64: what a fast client would do.
pub fn mean_f32(bytes: &[u8]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let blocks = bytes.chunks_exact(32);
    let tail = blocks.remainder();
    for block in blocks {
        for (lane, element) in lanes.iter_mut().zip(block.chunks_exact(4)) {
            *lane += f64::from(element.try_into().map(f32::from_le_bytes).unwrap_or(0.0));
        }
    }
    let rest: f64 = tail.chunks_exact(4).map(|e| f64::from(e.try_into().map(f32::from_le_bytes).unwrap_or(0.0))).sum();
    (lanes.iter().sum::<f64>() + rest) / (bytes.len() / 4).max(1) as f64
}

/// The mean of little-endian int64 bytes, in eight lanes of f64, as `numpy.mean` would have it.
pub fn mean_i64(bytes: &[u8]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let blocks = bytes.chunks_exact(64);
    let tail = blocks.remainder();
    let number = |e: &[u8]| e.try_into().map(i64::from_le_bytes).unwrap_or(0) as f64; // rounded, as NumPy rounds
    for block in blocks {
        for (lane, element) in lanes.iter_mut().zip(block.chunks_exact(8)) {
            *lane += number(element);
        }
    }
    let rest: f64 = tail.chunks_exact(8).map(number).sum();
    (lanes.iter().sum::<f64>() + rest) / (bytes.len() / 8).max(1) as f64
}

/// A size as it is said: `512 B`, `64 KiB`, `8 MiB`.
pub fn size_name(size: usize) -> String {
    match size {
        s if s >= 1 << 20 => format!("{} MiB", s >> 20),
        s if s >= 1 << 10 => format!("{} KiB", s >> 10),
        s => format!("{s} B"),
    }
}
