//! Chooses the encoding of each chunk of one array, before any real work is done.
//!
//! A few sampled blocks of the array are encoded in each way that the policy allows; the array's chunks get the way that
//! made them smallest. Under `auto`, what does not become smaller by a fifth is kept raw: an array whose samples all say so
//! as a whole, otherwise each chunk by itself. (`size` is content with a twentieth.)
//!
//! | `auto` for | first | instead |
//! |---|---|---|
//! | speed | LZ4, every filter | Zstandard 1 behind a shuffle, where that is at least [`WORTH_ZSTD`] times smaller |
//! | balanced | Zstandard 1, every filter | pco, where that is at least [`WORTH_PCO`] times smaller |
//! | size | Zstandard 9, every filter, and pco | the smallest of the three that were best, chunk by chunk |

use smallvec::SmallVec;

use super::fill::is_constant;
use super::policy::{Compression, Policy};
use super::{Encoding, Filter, Numbers, Shuffle};
use crate::nd::dtype::Dtype;

/// `auto` keeps a chunk encoded only where that is this many times smaller: below, decoding costs more than it saves.
pub const PAYS: f64 = 1.25;
/// The same for `auto` where size is all that counts.
const PAYS_SIZE: f64 = 1.05;

/// How many times smaller than LZ4's Zstandard must make the samples for `speed` to take it.
const WORTH_ZSTD: f64 = 1.12;

/// Elements of which LZ4 makes less than this are hardly worth a second look.
const HOPELESS: f64 = 1.12;

/// How many times smaller than Zstandard's pco must make the samples for `balanced` to take it: it encodes slowly.
const WORTH_PCO: f64 = 1.4;

/// Zstandard's level where size is all that counts.
const SIZE_LEVEL: u8 = 9;

/// New elements may take so many times what those took whose place they take, before all ways are looked at anew.
pub const ALIKE: f64 = 1.125;

/// Bytes of a chunk that is tried before it is encoded as a whole.
const BLOCK: usize = 4096;

/// Bytes of a block without which a look says too little.
const LEAST_GLANCE: usize = 512;

/// Below this size an array is sampled less, and `auto` judges each chunk too where the samples do not pay.
const FEW_CHUNKS: usize = 512 << 10;

/// Up to this size one block speaks for the array.
const ONE_CHUNK: usize = 64 << 10;

/// One way to encode, and with how much effort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    encoding: Encoding,
    level: u8,
}

/// Ways to encode, the best first.
type Ways = SmallVec<[Way; 8]>;

/// What the samples become in one way: bytes in all, and how many blocks pay.
#[derive(Clone, Copy, Debug)]
struct Score {
    total: usize,
    paying: usize,
    way: Way,
}

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
    pub fn new<B: AsRef<[u8]>>(
        policy: Policy,
        dtype: Dtype,
        nbytes: usize,
        mut sample: impl FnMut(usize, usize) -> Option<B>,
    ) -> Chooser {
        let mut chooser = Chooser::unsampled(policy, dtype);
        if policy != Policy::Raw && nbytes > 0 {
            let blocks: Option<SmallVec<[B; 8]>> =
                places(policy, nbytes, dtype.itemsize()).map(|(start, len)| sample(start, len)).collect();
            if let Some(blocks) = blocks {
                let blocks: SmallVec<[&[u8]; 8]> = blocks.iter().map(B::as_ref).collect();
                let many = nbytes >= FEW_CHUNKS;
                chooser.settle(&blocks, many || nbytes <= ONE_CHUNK, many);
            }
        }
        chooser
    }

    /// The chooser for elements that take the place of others, which were all kept as `before` and took a `share` of their
    /// bytes so: what suited those suits these, if a block of them becomes about as small. Nothing where it does not.
    pub fn again<B: AsRef<[u8]>>(
        policy: Policy,
        dtype: Dtype,
        before: Encoding,
        share: f64,
        nbytes: usize,
        sample: impl FnOnce(usize, usize) -> Option<B>,
    ) -> Option<Chooser> {
        let unsampled = Chooser::unsampled(policy, dtype);
        // Whoever wants the smallest must look at all ways.
        if !unsampled.allows(before) || policy == Policy::Auto(Compression::Size) {
            return None;
        }
        let itemsize = dtype.itemsize();
        let len = BLOCK.min(nbytes) / itemsize * itemsize;
        let block = sample((nbytes - len) / 2 / itemsize * itemsize, len)?;
        let way = unsampled.way_again(before);
        let mut out = Vec::new();
        way.encoding.encode(block.as_ref(), itemsize, way.level, &mut out);
        // A short block has fewer repeats, and a head of its own.
        let is_alike = out.len() as f64 <= share * ALIKE * len as f64 + 256.0;
        is_alike.then(|| Chooser { ways: Ways::from_slice(&[way]), verdict: Verdict::Encode, ..unsampled })
    }

    /// Whether elements that take the place of raw ones are to stay raw as well: one short look says so, where a look at all ways
    /// would take as long as to store 64 KiB. False where it does not.
    pub fn still_raw<B: AsRef<[u8]>>(
        policy: Policy,
        dtype: Dtype,
        nbytes: usize,
        sample: impl FnOnce(usize, usize) -> Option<B>,
    ) -> bool {
        if policy == Policy::Raw {
            return true;
        }
        if !matches!(policy, Policy::Auto(Compression::Speed | Compression::Balanced)) || nbytes < BLOCK {
            return false;
        }
        let itemsize = dtype.itemsize();
        let Some(block) = sample((nbytes - LEAST_GLANCE) / 2 / 16 * 16, LEAST_GLANCE) else { return false };
        // Hardly anything compresses that shows nothing in the bytes of highest significance; of single bytes a slow change
        // shows in the bits of their differences.
        let telling = |f: &mut Filter| match itemsize {
            1 => f.shuffle == Shuffle::Bits && (f.delta || dtype == Dtype::Bool),
            _ => f.shuffle == Shuffle::Bytes && !f.delta,
        };
        let mut filters = filters(dtype);
        filters.retain(telling);
        let scores = Chooser::unsampled(policy, dtype).scores(ways_of(filters, Encoding::Lz4, 0), &[block.as_ref()]);
        let len = block.as_ref().len() / itemsize * itemsize;
        scores.first().is_some_and(|best| best.paying == 0 && best.total as f64 * HOPELESS > len as f64)
    }

    /// The chooser that samples every chunk by itself.
    pub fn unsampled(policy: Policy, dtype: Dtype) -> Chooser {
        let verdict = if policy == Policy::Raw { Verdict::Raw } else { Verdict::Judge };
        Chooser { policy, dtype, ways: Ways::new(), verdict }
    }

    /// The chooser that keeps every chunk raw.
    pub fn raw(dtype: Dtype) -> Chooser {
        Chooser { policy: Policy::Raw, dtype, ways: Ways::new(), verdict: Verdict::Raw }
    }

    fn is_auto(&self) -> bool {
        matches!(self.policy, Policy::Auto(_))
    }

    /// Ranks the ways by what they make of `blocks`. `whole` says that the blocks speak for every chunk, `many` that the
    /// array is large enough to look at more ways.
    fn settle(&mut self, blocks: &[&[u8]], whole: bool, many: bool) {
        let sampled: usize = blocks.iter().map(|b| b.len()).sum();
        let is_glanced = matches!(self.policy, Policy::Auto(Compression::Speed | Compression::Balanced));
        if let Some(way) = self.glance(blocks).filter(|_| is_glanced) {
            self.ways = Ways::from_slice(&[way]);
            self.verdict = if whole { Verdict::Raw } else { Verdict::Judge };
            return;
        }
        let mut scores = self.scores(ways(self.policy, self.dtype), blocks);
        let Some(best) = scores.first().copied() else { return };
        match self.policy {
            Policy::Auto(Compression::Speed) if best.paying > 0 && many => {
                // Behind differences of bytes Zstandard is slow: they are all literals.
                let mut filters = filters(self.dtype);
                filters.retain(|f| !f.delta || f.shuffle == Shuffle::Bytes && self.dtype.itemsize() > 1);
                let other = self.scores(ways_of(filters, Encoding::Zstd, 1), blocks);
                let worth = other.first().filter(|zstd| {
                    zstd.total + sampled / 64 < best.total && (zstd.total as f64) * WORTH_ZSTD < best.total as f64
                });
                scores = SmallVec::from_slice(&[*worth.unwrap_or(&best)]);
            }
            Policy::Auto(Compression::Balanced) if best.paying > 0 && many => {
                // One block is enough to see that much.
                let one = &blocks[blocks.len() / 2..][..1];
                let theirs = self.scores(Ways::from_slice(&[pco(self.dtype)]), one);
                let ours = self.scores(Ways::from_slice(&[best.way]), one);
                let worth =
                    theirs.iter().zip(&ours).find(|(pco, zstd)| (pco.total as f64) * WORTH_PCO < zstd.total as f64);
                let worth = worth.map(|(pco, _)| Score { way: pco.way, ..best });
                scores = SmallVec::from_slice(&[worth.unwrap_or(best)]);
            }
            Policy::Auto(Compression::Size) => {
                // Short samples are unjust to pco, whose tables they must carry.
                let place = scores.iter().position(|s| matches!(s.way.encoding, Encoding::Pco(_)));
                if let Some(pco) = place {
                    scores[..=pco].rotate_right(1);
                }
                scores.truncate(3);
            }
            _ => scores.truncate(1),
        }
        self.ways = scores.iter().map(|s| s.way).collect();
        let paying = scores.iter().map(|s| s.paying).max().unwrap_or(0);
        let all_pay = paying == blocks.len() || scores.iter().any(|s| self.pays(s.total, sampled));
        self.verdict = match () {
            () if !self.is_auto() || all_pay => Verdict::Encode,
            () if paying == 0 && whole => Verdict::Raw,
            () => Verdict::Judge,
        };
    }

    /// A look at half of each block, a quarter of short ones, by LZ4 alone: the way that was best, where none saves enough for
    /// a second look. (Storing 64 KiB takes 15 microseconds in all.)
    fn glance(&self, blocks: &[&[u8]]) -> Option<Way> {
        let itemsize = self.dtype.itemsize();
        let part = |b: &[u8]| match b.len() {
            short @ ..=BLOCK => (short / 4).max(LEAST_GLANCE).min(short / 2) / itemsize * itemsize,
            long => long / 2 / itemsize * itemsize,
        };
        let halves: SmallVec<[&[u8]; 8]> = blocks.iter().map(|b| &b[..part(b)]).collect();
        let seen: usize = halves.iter().map(|b| b.len()).sum();
        let best = self.scores(ways_of(filters(self.dtype), Encoding::Lz4, 0), &halves).into_iter().next()?;
        let encoding = match (self.policy, best.way.encoding) {
            (Policy::Auto(Compression::Balanced), Encoding::Lz4(filter)) => Encoding::Zstd(filter),
            (_, other) => other,
        };
        let hopeless = best.paying == 0 && best.total as f64 * HOPELESS > seen as f64;
        hopeless.then_some(Way { encoding, level: 1 })
    }

    /// What each way makes of `blocks`, the smallest first.
    fn scores(&self, ways: Ways, blocks: &[&[u8]]) -> SmallVec<[Score; 8]> {
        let itemsize = self.dtype.itemsize();
        let mut out = Vec::new();
        let score = |way: Way| {
            let mut score = Score { total: 0, paying: 0, way };
            for block in blocks {
                let len = if is_constant(block, itemsize) {
                    itemsize
                } else {
                    out.clear();
                    way.encoding.encode(block, itemsize, way.level, &mut out);
                    out.len()
                };
                score.total += len.min(block.len());
                score.paying += usize::from(self.pays(len, block.len()));
            }
            score
        };
        let mut scores: SmallVec<[Score; 8]> = ways.into_iter().map(score).collect();
        scores.sort_by_key(|s| s.total); // stable: the first of equals wins
        scores
    }

    /// Whether so few bytes are worth decoding.
    fn pays(&self, encoded: usize, nbytes: usize) -> bool {
        let times = if self.policy == Policy::Auto(Compression::Size) { PAYS_SIZE } else { PAYS };
        encoded as f64 * times <= nbytes as f64
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
        let itemsize = self.dtype.itemsize();
        let middle = chunk.len().saturating_sub(BLOCK) / 2 / itemsize * itemsize;
        let block = &chunk[middle..chunk.len().min(middle + BLOCK)];
        let mut out = Vec::with_capacity(2 * BLOCK);
        is_constant(block, itemsize)
            || self.ways.iter().any(|way| {
                out.clear();
                way.encoding.encode(block, itemsize, way.level, &mut out);
                self.pays(out.len(), block.len())
            })
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
            let blocks: SmallVec<[&[u8]; 8]> =
                places(self.policy, chunk.len(), itemsize).map(|(start, len)| &chunk[start..start + len]).collect();
            own.settle(&blocks, true, false);
            return own.encode(chunk, out);
        }
        if self.verdict == Verdict::Judge && !self.sample_pays(chunk) {
            return Encoding::Raw;
        }
        self.encode_in(&self.ways, chunk, out)
    }

    /// [`Chooser::encode`] of a chunk whose elements were changed a little: as it was kept `before`, where that still pays, so
    /// that nothing must be sampled.
    pub fn encode_again(&self, before: Encoding, chunk: &[u8], out: &mut Vec<u8>) -> Encoding {
        out.clear();
        let allowed = self.allows(before);
        if allowed && !chunk.is_empty() && !is_constant(chunk, self.dtype.itemsize()) {
            let kept = self.encode_in(&[self.way_again(before)], chunk, out);
            if kept != Encoding::Raw {
                return kept;
            }
        }
        self.encode(chunk, out)
    }

    /// Whether the policy lets chunks be encoded so.
    fn allows(&self, encoding: Encoding) -> bool {
        match self.policy {
            Policy::Raw => false,
            Policy::Lz4 => matches!(encoding, Encoding::Lz4(_)),
            Policy::Zstd(_) => matches!(encoding, Encoding::Zstd(_)),
            Policy::Pco(_) => matches!(encoding, Encoding::Pco(_)),
            // pco, which encodes slowly, is what a compactor has made of a chunk at rest.
            Policy::Auto(Compression::Speed) => matches!(encoding, Encoding::Lz4(_) | Encoding::Zstd(_)),
            Policy::Auto(_) => encoding.is_encoded(),
        }
    }

    /// The way in which the policy takes an encoding that it took before.
    fn way_again(&self, encoding: Encoding) -> Way {
        let level = match (self.policy, encoding) {
            (Policy::Zstd(level) | Policy::Pco(level), _) => level,
            (Policy::Auto(Compression::Size), Encoding::Zstd(_)) => SIZE_LEVEL,
            (_, Encoding::Pco(_)) => super::pco::DEFAULT_LEVEL,
            _ => 1,
        };
        Way { encoding, level }
    }

    /// Encodes a chunk in each of these ways, and keeps the smallest; raw where even that does not pay.
    fn encode_in(&self, ways: &[Way], chunk: &[u8], out: &mut Vec<u8>) -> Encoding {
        let itemsize = self.dtype.itemsize();
        let Some((first, others)) = ways.split_first() else { return Encoding::Raw };
        let mut chosen = first.encoding;
        chosen.encode(chunk, itemsize, first.level, out);
        let mut another = Vec::new();
        for way in others {
            another.clear();
            way.encoding.encode(chunk, itemsize, way.level, &mut another);
            if another.len() < out.len() {
                std::mem::swap(&mut another, out);
                chosen = way.encoding;
            }
        }
        let small = if self.is_auto() { self.pays(out.len(), chunk.len()) } else { out.len() < chunk.len() };
        if !small {
            out.clear();
            return Encoding::Raw;
        }
        chosen
    }
}

/// Where blocks are taken from `nbytes` bytes: the middles of equal parts, at whole elements. About a sixtieth of all.
fn places(policy: Policy, nbytes: usize, itemsize: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = if nbytes < FEW_CHUNKS { (nbytes >> 17).max(1) } else { (nbytes >> 23).clamp(4, 8) };
    let most = match policy {
        Policy::Lz4 | Policy::Raw | Policy::Auto(Compression::Speed) => 2 * BLOCK,
        _ => 4 * BLOCK,
    };
    let len = (nbytes / 64 / count).clamp(BLOCK / 2, most).min(nbytes) / itemsize * itemsize;
    let part = nbytes / count;
    (0..count).map(move |i| ((i * part + (part - len) / 2) / itemsize * itemsize, len))
}

/// pco for elements of a dtype, with its default effort.
fn pco(dtype: Dtype) -> Way {
    Way { encoding: Encoding::Pco(Numbers::of(dtype)), level: super::pco::DEFAULT_LEVEL }
}

/// The filters in front of byte-wise codecs that are worth a try, the one to take where others are not better first.
fn filters(dtype: Dtype) -> SmallVec<[Filter; 8]> {
    let all = [(false, Shuffle::Bytes), (false, Shuffle::Bits), (true, Shuffle::Bytes), (true, Shuffle::Bits)];
    let all = all.into_iter().map(|(delta, shuffle)| Filter { delta, shuffle });
    all.filter(|f| !f.delta || dtype != Dtype::Bool).collect()
}

/// A codec behind each of these filters.
fn ways_of(filters: SmallVec<[Filter; 8]>, codec: fn(Filter) -> Encoding, level: u8) -> Ways {
    filters.into_iter().map(|f| Way { encoding: codec(f), level }).collect()
}

/// The ways that a policy tries first.
fn ways(policy: Policy, dtype: Dtype) -> Ways {
    let zstd = |level| {
        let mut filters = filters(dtype);
        filters.extend((dtype.itemsize() > 1).then_some(Filter { delta: true, shuffle: Shuffle::Nothing }));
        ways_of(filters, Encoding::Zstd, level)
    };
    match policy {
        Policy::Raw => Ways::new(),
        Policy::Lz4 | Policy::Auto(Compression::Speed) => ways_of(filters(dtype), Encoding::Lz4, 0),
        Policy::Zstd(level) => zstd(level),
        Policy::Auto(Compression::Balanced) => zstd(1),
        Policy::Auto(Compression::Size) => {
            let mut ways = zstd(SIZE_LEVEL);
            ways.push(pco(dtype));
            ways
        }
        Policy::Pco(level) => Ways::from_slice(&[Way { level, ..pco(dtype) }]),
    }
}
