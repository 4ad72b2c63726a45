//! Chooses the encoding of each chunk of one array, before any real work is done.
//!
//! A few sampled blocks of the array are encoded in each way that the policy allows; the array's chunks get the way that
//! made them smallest. Under `auto`, what does not become at least [`PAYS`] times smaller is kept raw: an array whose
//! samples all say so as a whole, otherwise each chunk by itself.

use smallvec::SmallVec;

use super::fill::is_constant;
use super::policy::{Compression, Policy};
use super::{Encoding, Filter, Shuffle};
use crate::nd::dtype::Dtype;

/// A chunk is kept encoded under `auto` only where that is this many times smaller: below, decoding costs more than it
/// saves.
pub const PAYS: f64 = 1.25;

/// Bytes of one sampled block: large enough to find repeats, small enough to cost about a microsecond.
const SAMPLE: usize = 4096;

/// Below this size `auto` judges each chunk too where the samples of the array do not pay.
const FEW_CHUNKS: usize = 512 << 10;

/// Ways to encode, the best first.
type Ways = SmallVec<[Encoding; 8]>;

/// See the module comment.
#[derive(Clone, Debug)]
pub struct Chooser {
    policy: Policy,
    dtype: Dtype,
    /// What each chunk may become: the smallest of these is kept. Empty where there were no samples.
    ways: Ways,
    /// What the samples said.
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Every chunk stays raw.
    Raw,
    /// A block of each chunk is tried first.
    Judge,
    /// Every chunk is encoded.
    Encode,
}

impl Chooser {
    /// Looks at a few blocks of the whole array, and settles what its chunks may become.
    ///
    /// `sample(start, length)` answers bytes of the array, or nothing where they are not at hand; then every chunk is
    /// sampled by itself.
    pub fn new<'a>(
        policy: Policy,
        dtype: Dtype,
        nbytes: usize,
        mut sample: impl FnMut(usize, usize) -> Option<&'a [u8]>,
    ) -> Chooser {
        let verdict = if policy == Policy::Raw { Verdict::Raw } else { Verdict::Judge };
        let mut chooser = Chooser { policy, dtype, ways: Ways::new(), verdict };
        if policy != Policy::Raw && nbytes > 0 {
            let blocks: Option<SmallVec<[&[u8]; 16]>> =
                places(nbytes, dtype.itemsize()).map(|(start, len)| sample(start, len)).collect();
            if let Some(blocks) = blocks {
                chooser.settle(&blocks, nbytes >= FEW_CHUNKS);
            }
        }
        chooser
    }

    fn is_auto(&self) -> bool {
        matches!(self.policy, Policy::Auto(_))
    }

    /// Ranks the ways by what they make of `blocks`. `whole` says that the blocks speak for every chunk.
    fn settle(&mut self, blocks: &[&[u8]], whole: bool) {
        let itemsize = self.dtype.itemsize();
        let level = self.level();
        let mut out = Vec::with_capacity(2 * SAMPLE);
        let mut ranked: SmallVec<[(usize, usize, Encoding); 8]> = SmallVec::new();
        for way in ways(self.policy, self.dtype) {
            let (mut total, mut paying) = (0, 0);
            for block in blocks {
                if is_constant(block, itemsize) {
                    total += itemsize;
                    paying += 1;
                    continue;
                }
                out.clear();
                way.encode(block, itemsize, level, &mut out);
                total += out.len().min(block.len());
                paying += usize::from(pays(out.len(), block.len()));
            }
            ranked.push((total, paying, way));
        }
        ranked.sort_by_key(|(total, ..)| *total); // stable: the first of equals wins
        let paying = ranked.first().map_or(0, |(_, paying, _)| *paying);
        let tried = if self.policy == Policy::Auto(Compression::Size) { 3 } else { 1 };
        self.ways = ranked.iter().take(tried).map(|(.., way)| *way).collect();
        self.verdict = match () {
            () if !self.is_auto() || paying == blocks.len() => Verdict::Encode,
            () if paying == 0 && whole => Verdict::Raw,
            () => Verdict::Judge,
        };
    }

    /// The effort of the policy's codec.
    fn level(&self) -> u8 {
        match self.policy {
            Policy::Raw | Policy::Lz4 | Policy::Auto(Compression::Speed) => 0,
            Policy::Auto(Compression::Balanced) => 1,
            Policy::Auto(Compression::Size) => 7,
            Policy::Zstd(level) => level,
        }
    }

    /// Whether the samples settled it for every chunk.
    pub fn is_settled(&self) -> bool {
        self.verdict != Verdict::Judge
    }

    /// Whether `auto` would keep this chunk raw without trying to encode it.
    pub fn stays_raw(&self, chunk: &[u8]) -> bool {
        self.is_auto() && !is_constant(chunk, self.dtype.itemsize()) && !self.sample_pays(chunk)
    }

    /// Whether the block in the middle of a chunk pays.
    fn sample_pays(&self, chunk: &[u8]) -> bool {
        let Some(way) = self.ways.first() else { return false };
        let itemsize = self.dtype.itemsize();
        let middle = chunk.len().saturating_sub(SAMPLE) / 2 / itemsize * itemsize;
        let block = &chunk[middle..chunk.len().min(middle + SAMPLE)];
        if is_constant(block, itemsize) {
            return true;
        }
        let mut out = Vec::with_capacity(2 * SAMPLE);
        way.encode(block, itemsize, self.level(), &mut out);
        pays(out.len(), block.len())
    }

    /// Whether it is settled that every chunk stays raw.
    pub fn keeps_raw(&self) -> bool {
        self.verdict == Verdict::Raw
    }

    /// Encodes one chunk into `out` (cleared first), or leaves `out` empty where the chunk is to be kept raw.
    pub fn encode(&self, chunk: &[u8], out: &mut Vec<u8>) -> Encoding {
        out.clear();
        let itemsize = self.dtype.itemsize();
        if self.verdict == Verdict::Raw || chunk.is_empty() {
            return Encoding::Raw;
        }
        if is_constant(chunk, itemsize) {
            Encoding::Fill.encode(chunk, itemsize, 0, out);
            return Encoding::Fill;
        }
        if self.ways.is_empty() {
            let mut own = Chooser { ways: Ways::new(), ..*self };
            let blocks: SmallVec<[&[u8]; 16]> =
                places(chunk.len(), itemsize).map(|(start, len)| &chunk[start..start + len]).collect();
            own.settle(&blocks, true);
            return own.encode(chunk, out);
        }
        if self.verdict == Verdict::Judge && !self.sample_pays(chunk) {
            return Encoding::Raw;
        }
        let (first, others) = self.ways.split_first().unwrap_or((&Encoding::Raw, &[]));
        let mut chosen = *first;
        chosen.encode(chunk, itemsize, self.level(), out);
        let mut another = Vec::new();
        for way in others {
            another.clear();
            way.encode(chunk, itemsize, self.level(), &mut another);
            if another.len() < out.len() {
                std::mem::swap(&mut another, out);
                chosen = *way;
            }
        }
        let small = if self.is_auto() { pays(out.len(), chunk.len()) } else { out.len() < chunk.len() };
        if !small {
            out.clear();
            return Encoding::Raw;
        }
        chosen
    }
}

/// Whether so few bytes are worth decoding.
fn pays(encoded: usize, nbytes: usize) -> bool {
    encoded as f64 * PAYS <= nbytes as f64
}

/// Where blocks are taken from `nbytes` bytes: the middles of equal parts, at whole elements.
fn places(nbytes: usize, itemsize: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = if nbytes < FEW_CHUNKS { (nbytes >> 17).max(1) } else { (nbytes >> 22).clamp(4, 16) };
    let len = (nbytes / 8).clamp(1024, SAMPLE).min(nbytes);
    let part = nbytes / count;
    (0..count).map(move |i| ((i * part + (part - len) / 2) / itemsize * itemsize, len))
}

/// The ways that a policy allows, the one to take where others are not better first.
fn ways(policy: Policy, dtype: Dtype) -> Ways {
    let filter = |delta, shuffle| Filter { delta, shuffle };
    let mut filters: SmallVec<[Filter; 8]> = SmallVec::from_slice(&[Filter::BYTES, filter(false, Shuffle::Bits)]);
    if dtype != Dtype::Bool {
        filters.extend([filter(true, Shuffle::Bytes), filter(true, Shuffle::Bits)]);
    }
    let wide = dtype.itemsize() > 1;
    match policy {
        Policy::Raw => Ways::new(),
        Policy::Lz4 | Policy::Auto(Compression::Speed) => filters.into_iter().map(Encoding::Lz4).collect(),
        Policy::Zstd(_) | Policy::Auto(_) => {
            filters.extend(wide.then_some(filter(true, Shuffle::Nothing)));
            filters.into_iter().map(Encoding::Zstd).collect()
        }
    }
}
