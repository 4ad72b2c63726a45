//! Numbers as numbers: the pco format ("quantile compression", <https://github.com/pcodec/pcodec>), which bins values,
//! differences and common multiples, where byte-wise codecs see bytes.
//!
//! A chunk is one header, one chunk and one page of pco's wrapped format; their count of numbers comes from the array's
//! shape. What integers and floats of 8 to 64 bits are read as is part of the encoding: bfloat16 as unsigned integers, bool
//! as bytes, complex numbers as all their real parts and then all their imaginary parts.
//!
//! Stored bytes may be hostile. The crate answers errors for what does not hold, but reserves what a header asks for:
//! dictionaries (which its encoder does not write by itself) and windows larger than its encoder's are refused here before it
//! does. Should it panic all the same, that is an error too.

use std::cell::RefCell;
use std::panic::{catch_unwind, AssertUnwindSafe};

use bytemuck::Pod;
use half::f16;
use pco::data_types::Number;
use pco::metadata::{DeltaEncoding, Mode};
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DecompressorScratch, PagingSpec};

use super::Codec;
use crate::nd::dtype::Dtype;
use crate::nd::error::Result;

/// What the elements of a chunk are read as; their size is the item size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Numbers {
    /// Unsigned integers of 1, 2, 4 or 8 bytes.
    Unsigned = 0,
    /// Signed ones.
    Signed = 1,
    /// Floats of 2, 4 or 8 bytes.
    Float = 2,
    /// Pairs of floats of 4 or 8 bytes.
    Pairs = 3,
}

impl Numbers {
    /// Every one.
    pub const ALL: &'static [Numbers] = &[Numbers::Unsigned, Numbers::Signed, Numbers::Float, Numbers::Pairs];

    /// What suits a dtype.
    pub fn of(dtype: Dtype) -> Numbers {
        match dtype {
            Dtype::Int8 | Dtype::Int16 | Dtype::Int32 | Dtype::Int64 => Numbers::Signed,
            Dtype::Float16 | Dtype::Float32 | Dtype::Float64 => Numbers::Float,
            Dtype::Complex64 | Dtype::Complex128 => Numbers::Pairs,
            _ => Numbers::Unsigned,
        }
    }

    /// Whether there are such numbers of this size.
    pub fn suit(self, itemsize: usize) -> bool {
        match self {
            Numbers::Unsigned | Numbers::Signed => matches!(itemsize, 1 | 2 | 4 | 8),
            Numbers::Float => matches!(itemsize, 2 | 4 | 8),
            Numbers::Pairs => matches!(itemsize, 8 | 16),
        }
    }
}

/// See the module comment.
pub struct Pco {
    /// What the elements are.
    pub numbers: Numbers,
}

/// The level where none is given: the library's own.
pub const DEFAULT_LEVEL: u8 = 8;
/// The highest level.
pub const MAX_LEVEL: u8 = 12;

/// The largest window of past numbers that the encoder uses, as a power of two.
const MAX_WINDOW_LOG: u32 = 15;

/// Calls a function of one type of number with arguments.
macro_rules! with_numbers {
    ($numbers:expr, $itemsize:expr, $function:ident($($arg:expr),*)) => {
        match ($numbers, $itemsize) {
            (Numbers::Unsigned, 1) => $function::<u8>($($arg),*),
            (Numbers::Unsigned, 2) => $function::<u16>($($arg),*),
            (Numbers::Unsigned, 4) => $function::<u32>($($arg),*),
            (Numbers::Unsigned, 8) => $function::<u64>($($arg),*),
            (Numbers::Signed, 1) => $function::<i8>($($arg),*),
            (Numbers::Signed, 2) => $function::<i16>($($arg),*),
            (Numbers::Signed, 4) => $function::<i32>($($arg),*),
            (Numbers::Signed, 8) => $function::<i64>($($arg),*),
            (Numbers::Float, 2) => $function::<f16>($($arg),*),
            (Numbers::Float, 4) | (Numbers::Pairs, 8) => $function::<f32>($($arg),*),
            (Numbers::Float, 8) | (Numbers::Pairs, 16) => $function::<f64>($($arg),*),
            _ => Err("there are no numbers of this kind and size"),
        }
    };
}

thread_local! {
    /// The chunk at hand, aligned for any number.
    static ALIGNED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    /// The decoder's own room.
    static SCRATCH: RefCell<DecompressorScratch> = RefCell::new(DecompressorScratch::default());
}

/// See [`super::release_scratch`].
pub fn release_scratch() {
    ALIGNED.take();
    SCRATCH.take();
}

/// Calls `f` with `len` bytes of a buffer that the thread keeps. Taken out rather than borrowed: what panics in `f` loses
/// the buffer and nothing else.
fn with_aligned<R>(len: usize, f: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut words = ALIGNED.take();
    words.resize(len.div_ceil(8).max(words.len()), 0);
    let answer = f(&mut bytemuck::cast_slice_mut(&mut words)[..len]);
    ALIGNED.set(words);
    answer
}

impl Codec for Pco {
    fn encode(&self, source: &[u8], itemsize: usize, level: u8, out: &mut Vec<u8>) {
        let start = out.len();
        let done = with_aligned(source.len(), |aligned| {
            if self.numbers == Numbers::Pairs {
                part(source, itemsize / 2, aligned);
            } else {
                aligned.copy_from_slice(source);
            }
            catch_unwind(AssertUnwindSafe(|| {
                with_numbers!(self.numbers, itemsize, encode_as(aligned, level, &mut *out))
            }))
        });
        if !matches!(done, Ok(Ok(()))) {
            // Nothing smaller than the elements came of it, so that they stay raw.
            out.truncate(start);
            out.extend_from_slice(source);
        }
    }

    fn decode(&self, source: &[u8], itemsize: usize, out: &mut [u8]) -> Result<(), &'static str> {
        if out.is_empty() {
            return Err("a pco chunk holds at least one number");
        }
        let decode = |out: &mut [u8]| {
            catch_unwind(AssertUnwindSafe(|| with_numbers!(self.numbers, itemsize, decode_as(source, out))))
                .unwrap_or(Err("the pco chunk does not hold what it says"))
        };
        let aligned = out.as_ptr().align_offset(8) == 0;
        if self.numbers != Numbers::Pairs && aligned {
            return decode(out);
        }
        with_aligned(out.len(), |buffer| {
            decode(buffer)?;
            if self.numbers == Numbers::Pairs {
                pair(buffer, itemsize / 2, out);
            } else {
                out.copy_from_slice(buffer);
            }
            Ok(())
        })
    }

    fn may_take(&self, stored: usize, nbytes: usize, itemsize: usize) -> bool {
        stored < nbytes && self.numbers.suit(itemsize)
    }
}

/// Writes the first halves of all pairs, then the second ones.
fn part(pairs: &[u8], half: usize, out: &mut [u8]) {
    let (first, second) = out.split_at_mut(pairs.len() / 2);
    for ((pair, a), b) in
        pairs.chunks_exact(2 * half).zip(first.chunks_exact_mut(half)).zip(second.chunks_exact_mut(half))
    {
        a.copy_from_slice(&pair[..half]);
        b.copy_from_slice(&pair[half..]);
    }
}

/// The inverse of [`part`].
fn pair(parts: &[u8], half: usize, out: &mut [u8]) {
    let (first, second) = parts.split_at(parts.len() / 2);
    for ((pair, a), b) in out.chunks_exact_mut(2 * half).zip(first.chunks_exact(half)).zip(second.chunks_exact(half)) {
        pair[..half].copy_from_slice(a);
        pair[half..].copy_from_slice(b);
    }
}

fn encode_as<T: Number + Pod>(aligned: &[u8], level: u8, out: &mut Vec<u8>) -> Result<(), &'static str> {
    const FAILED: &str = "pco did not encode";
    let numbers: &[T] = bytemuck::try_cast_slice(aligned).map_err(|_| FAILED)?;
    let config = ChunkConfig::default()
        .with_compression_level(usize::from(level))
        .with_enable_8_bit(true)
        .with_paging_spec(PagingSpec::Exact(vec![numbers.len()]));
    let file = FileCompressor::default();
    let mut chunk = file.chunk_compressor(numbers, &config).map_err(|_| FAILED)?;
    file.write_header(&mut *out).map_err(|_| FAILED)?;
    chunk.write_meta(&mut *out).map_err(|_| FAILED)?;
    chunk.write_page(0, &mut *out).map_err(|_| FAILED)?;
    Ok(())
}

fn decode_as<T: Number + Pod>(source: &[u8], out: &mut [u8]) -> Result<(), &'static str> {
    const DAMAGED: &str = "the pco chunk does not decode to the numbers that the shape asks for";
    const DICTIONARY: u8 = 4;
    let out: &mut [T] = bytemuck::try_cast_slice_mut(out).map_err(|_| "the buffer is not aligned")?;
    let (file, rest) = FileDecompressor::new(source).map_err(|_| DAMAGED)?;
    // The four lowest bits say how numbers became integers. A dictionary's length would be believed.
    if file.format_version().major != 4 || rest.first().is_none_or(|b| b & 15 == DICTIONARY) {
        return Err(DAMAGED);
    }
    let (chunk, rest) = file.chunk_decompressor::<T, _>(rest).map_err(|_| DAMAGED)?;
    let too_wide = match &chunk.meta().delta_encoding {
        DeltaEncoding::Lookback { config, .. } => config.window_n_log > MAX_WINDOW_LOG,
        _ => false,
    };
    if too_wide || matches!(chunk.meta().mode, Mode::Dict(_)) {
        return Err(DAMAGED);
    }
    let mut scratch = SCRATCH.take();
    let mut page = chunk.page_decompressor_with_scratch(rest, out.len(), &mut scratch).map_err(|_| DAMAGED)?;
    let progress = page.read(out).map_err(|_| DAMAGED)?;
    let whole = progress.finished && progress.n_processed == out.len() && page.into_src().is_empty();
    SCRATCH.set(scratch);
    if whole {
        Ok(())
    } else {
        Err(DAMAGED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(numbers: Numbers, itemsize: usize, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Pco { numbers }.encode(bytes, itemsize, 8, &mut out);
        out
    }

    /// Every mutation of every byte either decodes to something or is refused.
    #[test]
    fn damaged_chunks_never_panic_or_hang() {
        let prices: Vec<u8> = (0..600i64).flat_map(|i| ((i * 37 % 101) as f64 * 0.01).to_le_bytes()).collect();
        let steps: Vec<u8> = (0..600u32).flat_map(|i| (i * i % 977 * 3).to_le_bytes()).collect();
        let words: Vec<u8> = (0..2000u16).flat_map(|i| (i % 7 * 11).to_le_bytes()).collect();
        for (numbers, itemsize, bytes) in [
            (Numbers::Float, 8, &prices),
            (Numbers::Unsigned, 4, &steps),
            (Numbers::Signed, 2, &words),
            (Numbers::Pairs, 8, &prices),
        ] {
            let good = encoded(numbers, itemsize, bytes);
            assert!(good.len() < bytes.len() / 2);
            let mut back = vec![0; bytes.len()];
            Pco { numbers }.decode(&good, itemsize, &mut back).unwrap();
            assert_eq!(&back, bytes);
            for at in 0..good.len() {
                let values = (0..8).map(|bit| good[at] ^ 1 << bit).chain([0, 255]);
                for value in values {
                    let mut bad = good.clone();
                    bad[at] = value;
                    let _ = Pco { numbers }.decode(&bad, itemsize, &mut back);
                }
                assert!(Pco { numbers }.decode(&good[..at], itemsize, &mut back).is_err());
            }
            let longer = [good.as_slice(), &[0]].concat();
            assert!(Pco { numbers }.decode(&longer, itemsize, &mut back).is_err());
        }
    }

    #[test]
    fn what_would_reserve_much_is_refused_before() {
        // A dictionary of 2^25 - 1 values, and nothing behind it.
        let mut back = [0; 64];
        let refused = Pco { numbers: Numbers::Unsigned }.decode(&[4, 1, 0xf4, 0xff, 0xff, 0x1f, 0, 0, 0], 8, &mut back);
        assert!(refused.is_err());
    }

    #[test]
    fn every_bit_comes_back() {
        let odd = [
            f64::NAN.to_bits(),
            (-f64::NAN).to_bits() | 5,
            (-0.0f64).to_bits(),
            0,
            f64::INFINITY.to_bits(),
            1,
            u64::MAX,
        ];
        let bytes: Vec<u8> = odd.iter().cycle().take(3000).flat_map(|b| b.to_le_bytes()).collect();
        for numbers in Numbers::ALL {
            let stored = encoded(*numbers, 8, &bytes);
            let mut back = vec![0; bytes.len()];
            if stored.len() < bytes.len() {
                Pco { numbers: *numbers }.decode(&stored, 8, &mut back).unwrap();
                assert_eq!(back, bytes);
            }
        }
    }
}
