//! Codecs: how the bytes of one chunk are kept, and the one list of them.
//!
//! A codec turns the C-order little-endian elements of a chunk into fewer bytes and back. It sees bytes and an item
//! size, never shapes or arrays. The numbers in [`Encoding`] are part of the stored format (docs/FORMAT.md): a new
//! codec takes a new number, and an old number is read for ever.
//!
//! `auto` decides in two steps before any real work is done: a few sampled blocks of the array, then one block of each
//! chunk. What does not become at least [`PAYS`] times smaller is kept raw.

mod lz4;
mod shuffle;

use super::error::{quoted, Error, Result};

pub use shuffle::{shuffle, unshuffle};

/// A chunk is kept encoded only where that is this many times smaller: below, decoding costs more than it saves.
pub const PAYS: f64 = 1.25;

/// Bytes of one sampled block: large enough to find repeats, small enough to cost about a microsecond.
const SAMPLE: usize = 4096;

/// Below this size the array as a whole is not sampled: its few chunks are.
const FEW_CHUNKS: usize = 512 << 10;

/// How one chunk's bytes are kept. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Encoding {
    /// The elements as they are.
    Raw = 0,
    /// One element that stands for all of them.
    Fill = 1,
    /// Bytes shuffled by significance, then an LZ4 block.
    Lz4 = 2,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: &'static [Encoding] = &[Encoding::Raw, Encoding::Fill, Encoding::Lz4];

    /// The encoding of a stored number.
    pub fn from_code(code: u8) -> Option<Encoding> {
        Encoding::ALL.iter().copied().find(|e| *e as u8 == code)
    }

    /// The name `ND.INFO` shows.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Raw => "raw",
            Encoding::Fill => "fill",
            Encoding::Lz4 => "lz4",
        }
    }

    /// The codec that reads and writes this encoding; `None` for the two that need none.
    pub fn codec(self) -> Option<&'static dyn Codec> {
        match self {
            Encoding::Raw | Encoding::Fill => None,
            Encoding::Lz4 => Some(&lz4::ShuffledLz4),
        }
    }
}

/// One way to make a chunk's bytes fewer. Laws, tested over all of [`Encoding::ALL`]: decoding what was encoded gives
/// the same bytes; decoding anything else gives an error or some bytes, and never reads or writes outside its slices.
pub trait Codec: Sync {
    /// Appends the encoded form of `source` to `out`.
    fn encode(&self, source: &[u8], itemsize: usize, out: &mut Vec<u8>);

    /// Decodes `source` into all of `out`, whose length comes from the shape, never from `source`.
    ///
    /// # Errors
    /// A phrase that says what does not hold.
    fn decode(&self, source: &[u8], itemsize: usize, out: &mut [u8]) -> Result<(), &'static str>;
}

/// What the user asked for with `CODEC`: kept with the array, obeyed by later writes. The numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Policy {
    /// The codec that suits, where it pays; raw elsewhere.
    #[default]
    Auto = 0,
    /// Never encode.
    Raw = 1,
    /// LZ4 after a byte shuffle, wherever it is smaller at all.
    Lz4 = 2,
}

impl Policy {
    /// Every policy.
    pub const ALL: &'static [Policy] = &[Policy::Auto, Policy::Raw, Policy::Lz4];

    /// The name as `CODEC` and `ndarray.codec` take it.
    pub fn name(self) -> &'static str {
        match self {
            Policy::Auto => "auto",
            Policy::Raw => "raw",
            Policy::Lz4 => "lz4",
        }
    }

    /// Reads a name, any case.
    ///
    /// # Errors
    /// `SYNTAX` with the list of names.
    pub fn parse(text: &[u8]) -> Result<Policy> {
        Policy::ALL
            .iter()
            .copied()
            .find(|p| text.eq_ignore_ascii_case(p.name().as_bytes()))
            .ok_or_else(|| Error::syntax(format!("unknown codec '{}' (use one of: auto, raw, lz4)", quoted(text))))
    }

    /// The policy of a stored number.
    pub fn from_code(code: u8) -> Option<Policy> {
        Policy::ALL.iter().copied().find(|p| *p as u8 == code)
    }
}

/// Chooses the encoding of each chunk of one array.
#[derive(Clone, Copy, Debug)]
pub struct Chooser {
    policy: Policy,
    itemsize: usize,
}

impl Chooser {
    /// Looks at a few blocks of the whole array, where `auto` was asked for, and settles what its chunks may become.
    ///
    /// `sample(start, length)` answers bytes of the array, or nothing where they are not at hand; then every chunk is
    /// judged by itself.
    pub fn new<'a>(
        policy: Policy,
        itemsize: usize,
        nbytes: usize,
        mut sample: impl FnMut(usize, usize) -> Option<&'a [u8]>,
    ) -> Chooser {
        if policy != Policy::Auto || nbytes < FEW_CHUNKS {
            return Chooser { policy, itemsize }; // every chunk is judged by itself anyway
        }
        let blocks = (nbytes >> 20).clamp(4, 16);
        let stride = nbytes / blocks / itemsize * itemsize;
        let pays = (0..blocks).any(|i| {
            let start = (i * stride + (stride.saturating_sub(SAMPLE) / 2) / itemsize * itemsize).min(nbytes - SAMPLE);
            sample(start, SAMPLE).is_none_or(|block| block_pays(block, itemsize))
        });
        Chooser { policy: if pays { Policy::Auto } else { Policy::Raw }, itemsize }
    }

    /// The chooser that keeps every chunk raw.
    pub fn raw(itemsize: usize) -> Chooser {
        Chooser { policy: Policy::Raw, itemsize }
    }

    /// Whether an array of `nbytes` was judged as a whole; else each of its few chunks is.
    pub fn is_settled(&self, nbytes: usize) -> bool {
        self.policy == Policy::Raw || nbytes >= FEW_CHUNKS
    }

    /// Whether `auto` would keep this chunk raw without trying to encode it.
    pub fn stays_raw(&self, chunk: &[u8]) -> bool {
        self.policy == Policy::Auto && !is_constant(chunk, self.itemsize) && !self.sample_pays(chunk)
    }

    /// Whether the block in the middle of a chunk pays.
    fn sample_pays(&self, chunk: &[u8]) -> bool {
        let middle = chunk.len().saturating_sub(SAMPLE) / 2 / self.itemsize * self.itemsize;
        block_pays(&chunk[middle..chunk.len().min(middle + SAMPLE)], self.itemsize)
    }

    /// Whether it is settled that every chunk stays raw.
    pub fn keeps_raw(&self) -> bool {
        self.policy == Policy::Raw
    }

    /// Encodes one chunk into `out` (cleared first), or leaves `out` empty where the chunk is to be kept raw.
    pub fn encode(&self, chunk: &[u8], out: &mut Vec<u8>) -> Encoding {
        out.clear();
        if self.policy == Policy::Raw || chunk.is_empty() {
            return Encoding::Raw;
        }
        if is_constant(chunk, self.itemsize) {
            out.extend_from_slice(&chunk[..self.itemsize]);
            return Encoding::Fill;
        }
        let required = match self.policy {
            Policy::Auto => {
                if !self.sample_pays(chunk) {
                    return Encoding::Raw;
                }
                PAYS
            }
            _ => 1.0,
        };
        lz4::ShuffledLz4.encode(chunk, self.itemsize, out);
        if out.len() as f64 * required < chunk.len() as f64 {
            return Encoding::Lz4;
        }
        out.clear();
        Encoding::Raw
    }
}

/// Whether all elements of a chunk are the same bytes.
fn is_constant(chunk: &[u8], itemsize: usize) -> bool {
    chunk.len() > itemsize && chunk[..chunk.len() - itemsize] == chunk[itemsize..]
}

/// Whether one block becomes [`PAYS`] times smaller.
fn block_pays(block: &[u8], itemsize: usize) -> bool {
    if is_constant(block, itemsize) {
        return true;
    }
    let mut out = Vec::with_capacity(block.len() + block.len() / 128 + 64);
    lz4::ShuffledLz4.encode(block, itemsize, &mut out);
    out.len() as f64 * PAYS <= block.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_codec_gives_back_what_it_was_given(
            items in proptest::collection::vec(0u8..8, 0..300),
            size in prop::sample::select(vec![1usize, 2, 4, 8, 16]),
        ) {
            let mut bytes = items.repeat(size);
            bytes.truncate(bytes.len() / size * size);
            for codec in Encoding::ALL.iter().filter_map(|e| e.codec()) {
                let mut out = Vec::new();
                codec.encode(&bytes, size, &mut out);
                let mut back = vec![0xAA; bytes.len()];
                codec.decode(&out, size, &mut back).unwrap();
                prop_assert_eq!(&back, &bytes);
                // A wrong length is an error, never a short or a long answer.
                let mut longer = vec![0; bytes.len() + size];
                prop_assert!(codec.decode(&out, size, &mut longer).is_err());
            }
        }

        #[test]
        fn every_codec_survives_any_bytes(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            size in prop::sample::select(vec![1usize, 2, 4, 8, 16]),
            items in 0usize..100,
        ) {
            for codec in Encoding::ALL.iter().filter_map(|e| e.codec()) {
                let _ = codec.decode(&bytes, size, &mut vec![0; size * items]);
            }
        }
    }

    #[test]
    fn auto_keeps_noise_raw_and_encodes_counters() {
        let mut x = 1u64;
        let noise: Vec<u8> = (0..8192)
            .flat_map(|_| {
                x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                ((x >> 11) as f64 / (1u64 << 53) as f64).to_le_bytes()
            })
            .collect();
        let counters: Vec<u8> = (0..8192i64).flat_map(i64::to_le_bytes).collect();
        let zeros = vec![0u8; 65536];
        let mut out = Vec::new();
        for (bytes, want) in [(&noise, Encoding::Raw), (&counters, Encoding::Lz4), (&zeros, Encoding::Fill)] {
            let chooser = Chooser::new(Policy::Auto, 8, bytes.len(), |s, n| Some(&bytes[s..s + n]));
            assert_eq!(chooser.encode(bytes, &mut out), want);
        }
        assert_eq!(out, [0; 8]);
    }
}
