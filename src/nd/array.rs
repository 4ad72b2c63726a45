//! The array: dtype, shape, elements and attributes, as one value that snapshots share.
//!
//! Two kinds of storage. Up to `inline-bytes` (and where neither `CHUNK` nor `CODEC` asks otherwise) the elements are
//! one plain buffer of exactly their size: [`Array`] and its reference count take 48 bytes, so that a 128-d float32 key
//! costs less than a plain string. Larger arrays are a grid of chunks; a chunk that is absent from the map holds
//! the fill value and no bytes.
//!
//! A reader clones the `Arc` and sees a snapshot for as long as it likes. A writer changes an array in place only where
//! nobody shares it.

mod ahead;
mod append;
mod astype;
mod blocks;
mod compact;
mod edit;
mod effort;
mod encode;
mod gather;
mod join;
mod layout;
mod lent;
mod memo;
mod overwrite;
mod packed;
mod ranked;
mod read;
mod recode;
mod reshape;
mod resize;
mod scatter;
mod summaries;
mod take;
mod update;
mod view;
mod write;

#[cfg(test)]
pub(crate) mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::checksum::Xxh3;
use smallvec::SmallVec;

use super::attributes::Attributes;
use super::chunk::{self, Chunk};
use super::codec::{fill_with, Chooser, Encoding, Policy};
use super::dtype::Dtype;
use super::error::Result;
use super::grid::{auto_chunk_shape, raw_chunk_shape, Grid};
use super::interrupt;
use super::memory::{self, Buffer};
use super::parallel::{self, Claim};
use super::scalar::Scalar;
use super::shape::Shape;
use super::source::Source;

use memo::Memo;
use packed::PackedShape;
use summaries::Summaries;

pub use append::appended_shape;
pub use blocks::Block;
pub use compact::{Saved, Stretch};
pub use effort::Effort;
pub use memo::Figure;
pub use take::{axis_length, Positions};
pub use update::check_operand;
pub use view::{View, ViewBlock};
pub use write::check_broadcast;

/// An N-dimensional array. Forty bytes; see the module comment.
#[derive(Clone, Debug)]
pub struct Array {
    shape: PackedShape,
    dtype: Dtype,
    body: Body,
}

/// Sixteen bytes as well: most small arrays have no attributes.
#[derive(Clone, Debug)]
enum Body {
    Plain(Buffer),
    Rich(Box<Rich>),
}

#[derive(Clone, Debug)]
struct Rich {
    storage: Storage,
    attributes: Attributes,
    /// Cleared by every write.
    memo: Memo,
    /// Sealed against every write.
    summaries: Summaries,
    /// Parts still to come while an append-only file is read; 0 for every whole array.
    parts_missing: u32,
}

#[derive(Clone, Debug)]
enum Storage {
    Plain(Buffer),
    Chunked(Chunks),
}

/// The chunks of a large array.
#[derive(Clone, Debug)]
pub struct Chunks {
    chunk_shape: Shape,
    policy: Policy,
    fill: [u8; 16],
    map: BTreeMap<u64, Chunk>,
    /// Rows of the first chunks that are hidden, and the number of the first chunk: not 0 where rows were dropped in front.
    lead: usize,
    base: u64,
    /// Bytes as stored, and what the chunks take in memory, without the map: kept up to date by every change.
    stored_bytes: usize,
    memory: usize,
    /// Entries of the map that came or went one by one since it was built.
    loose: usize,
    /// Whether some chunks may lie in a string that several of them share; see `lent`.
    borrows: bool,
    /// Whether some may lie in any string.
    has_lent: bool,
    /// What strings take of which the array has parts, besides those parts.
    idle: usize,
}

/// How a new array is to be stored.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `CODEC`, or the server's setting.
    pub policy: Policy,
    /// `CHUNK`.
    pub chunk_shape: Option<Shape>,
    /// `CHUNK AUTO`: a shape that was given before does not count.
    pub chunk_auto: bool,
    /// Bytes of a chunk where no `CHUNK` is given.
    pub chunk_bytes: usize,
    /// Arrays of at most this many bytes are one plain buffer, unless `CHUNK` or `CODEC` was given.
    pub inline_bytes: usize,
    /// Whether `CODEC` was given.
    pub codec_given: bool,
}

/// A chunk of elements that stay raw is as long as this many that may be encoded.
const RAW_RUN: usize = 16;

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions {
            policy: Policy::default(),
            chunk_shape: None,
            chunk_auto: false,
            chunk_bytes: 64 << 10,
            inline_bytes: 4 << 10,
            codec_given: false,
        }
    }
}

/// What the chunk map takes with `len` entries that came in order: leaves of eleven entries, and above every twelve nodes
/// one more, which holds eleven entries of its own.
fn map_memory(len: usize) -> usize {
    const LEAF: usize = (11 * (8 + std::mem::size_of::<Chunk>()) + 12).next_multiple_of(8);
    const INNER: usize = LEAF + 12 * 8;
    let mut nodes = len.div_ceil(12);
    let mut bytes = nodes * memory::size_class(LEAF);
    while nodes > 1 {
        nodes = nodes.div_ceil(12);
        bytes += nodes * memory::size_class(INNER);
    }
    bytes
}

impl Chunks {
    fn new(grid: &Grid, policy: Policy, fill: [u8; 16]) -> Chunks {
        Chunks {
            chunk_shape: grid.chunk_shape().clone(),
            policy,
            fill,
            map: BTreeMap::new(),
            lead: 0,
            base: 0,
            stored_bytes: 0,
            memory: 0,
            loose: 0,
            borrows: false,
            has_lent: false,
            idle: 0,
        }
    }

    /// The grid of the array of this shape whose chunks they are.
    fn grid(&self, shape: &Shape, dtype: Dtype) -> Grid {
        Grid::begun(shape, &self.chunk_shape, dtype, self.lead, self.base).expect("checked when the array was made")
    }

    /// Whether the chunks of this grid have the numbers and places that these have.
    fn has_grid(&self, grid: &Grid) -> bool {
        self.chunk_shape == *grid.chunk_shape() && self.front() == (grid.lead(), grid.base())
    }

    fn is_fill(&self, chunk: &Chunk) -> bool {
        chunk.encoding() == Encoding::Fill && self.fill.starts_with(chunk.stored_bytes())
    }

    /// Takes chunks in ascending order of their numbers; those that equal the fill value are not kept.
    fn set_all(&mut self, chunks: Vec<(u64, Chunk)>) {
        self.map = chunks.into_iter().filter(|(_, c)| !self.is_fill(c)).collect();
        self.stored_bytes = self.map.values().map(|c| c.stored_bytes().len()).sum();
        self.memory = self.map.values().map(Chunk::memory).sum();
        let is_borrowed = |chunk: &Chunk| chunk.keeper().is_some_and(|lent| !lent.is_most());
        self.borrows = self.map.values().any(is_borrowed);
        self.has_lent = self.map.values().any(|chunk| chunk.keeper().is_some());
        self.count_idle();
    }

    fn insert(&mut self, number: u64, chunk: Chunk) {
        let (bytes, cost) = (chunk.stored_bytes().len(), chunk.memory());
        let old = if self.is_fill(&chunk) { self.map.remove(&number) } else { self.map.insert(number, chunk) };
        let kept = self.map.contains_key(&number);
        self.stored_bytes += if kept { bytes } else { 0 };
        self.memory += if kept { cost } else { 0 };
        if let Some(old) = old {
            self.stored_bytes -= old.stored_bytes().len();
            self.memory -= old.memory();
        }
    }

    fn remove(&mut self, number: u64) {
        if let Some(old) = self.map.remove(&number) {
            self.stored_bytes -= old.stored_bytes().len();
            self.memory -= old.memory();
        }
    }

    /// Rows of the first chunks that are hidden, and the number of the first chunk.
    pub fn front(&self) -> (usize, u64) {
        (self.lead, self.base)
    }

    /// The chunk shape.
    pub fn chunk_shape(&self) -> &Shape {
        &self.chunk_shape
    }

    /// What `CODEC` asked for.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The element that absent chunks hold; the first `itemsize` bytes count.
    pub fn fill(&self) -> &[u8; 16] {
        &self.fill
    }

    /// The chunks that are stored, in order.
    pub fn stored(&self) -> impl ExactSizeIterator<Item = (u64, &Chunk)> + DoubleEndedIterator {
        self.map.iter().map(|(n, c)| (*n, c))
    }
}

impl Array {
    /// Stores elements as `options` say.
    ///
    /// # Errors
    /// `SHAPE` or `LIMIT` for a chunk shape that does not fit; `OOM`; whatever the source answers.
    pub fn from_source(dtype: Dtype, shape: &Shape, source: &mut dyn Source, options: &StoreOptions) -> Result<Array> {
        let (_, nbytes) = shape.size_and_bytes(dtype)?;
        if options.keeps_plain(nbytes) {
            return Ok(Array::plain(dtype, shape, memory::buffer_from(source.next(nbytes)?)?));
        }
        let itemsize = dtype.itemsize();
        let mut chooser = Chooser::new(options.policy, dtype, nbytes, |start, len| source.peek(start, len));
        let mut grid = options.grid(dtype, shape)?;
        if options.chunk_shape.is_none() && stays_raw(&chooser, &grid, itemsize, &*source) {
            if let Some(chunks) = Chunks::lent(dtype, shape, source, options, &grid)? {
                return Ok(Array::rich(dtype, shape, Storage::Chunked(chunks), Attributes::default()));
            }
            chooser = Chooser::raw(dtype);
            grid = options.raw_grid(dtype, shape, grid)?;
        }
        let mut chunks = Chunks::new(&grid, options.policy, [0; 16]);
        let helpers = if chooser.keeps_raw() { None } else { Some(parallel::helpers(nbytes, encode::SHARE)) };
        let helpers = helpers.as_ref().map_or(0, Claim::count);
        let list = encode::chunks(&grid, shape, itemsize, source, &chooser, helpers)?;
        chunks.set_all(list);
        Ok(Array::rich(dtype, shape, Storage::Chunked(chunks), Attributes::default()))
    }

    /// An array that holds one value everywhere; large ones store no elements.
    ///
    /// # Errors
    /// `SHAPE` or `LIMIT` for a chunk shape that does not fit; `OOM`.
    pub fn filled(shape: &Shape, fill: Scalar, options: &StoreOptions) -> Result<Array> {
        let dtype = fill.dtype();
        let (_, nbytes) = shape.size_and_bytes(dtype)?;
        let element = fill.to_le_bytes();
        if options.keeps_plain(nbytes) {
            let mut buffer = memory::buffer_zeroed(nbytes)?;
            fill_with(&element[..dtype.itemsize()], memory::bytes_mut(&mut buffer, nbytes));
            return Ok(Array::plain(dtype, shape, buffer));
        }
        let grid = options.grid(dtype, shape)?;
        let chunks = Chunks::new(&grid, options.policy, element);
        Ok(Array::rich(dtype, shape, Storage::Chunked(chunks), Attributes::default()))
    }

    /// An array over one plain buffer of exactly its bytes.
    pub(crate) fn plain(dtype: Dtype, shape: &Shape, buffer: Buffer) -> Array {
        Array { shape: PackedShape::new(shape), dtype, body: Body::Plain(buffer) }
    }

    fn rich(dtype: Dtype, shape: &Shape, storage: Storage, attributes: Attributes) -> Array {
        let rich =
            Rich { storage, attributes, memo: Memo::default(), summaries: Summaries::default(), parts_missing: 0 };
        Array { shape: PackedShape::new(shape), dtype, body: Body::Rich(Box::new(rich)) }
    }

    /// An array whose chunks are still to come, as a file's header describes it; `lead` rows of the first are hidden.
    ///
    /// # Errors
    /// `SHAPE` or `LIMIT` for a chunk shape that does not fit.
    pub(crate) fn awaiting_chunks(
        dtype: Dtype,
        shape: &Shape,
        chunk_shape: &Shape,
        policy: Policy,
        fill: [u8; 16],
        lead: usize,
        parts_missing: u32,
    ) -> Result<Array> {
        shape.size_and_bytes(dtype)?;
        let grid = Grid::begun(shape, chunk_shape, dtype, lead, 0)?;
        let chunks = Chunks { lead, ..Chunks::new(&grid, policy, fill) };
        let mut array = Array::rich(dtype, shape, Storage::Chunked(chunks), Attributes::default());
        if let Body::Rich(rich) = &mut array.body {
            rich.parts_missing = parts_missing;
        }
        Ok(array)
    }

    /// The element type.
    #[inline]
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The shape.
    pub fn shape(&self) -> Shape {
        self.shape.to_shape()
    }

    /// Calls `f` with the lengths of the axes, one after the other, and their number first.
    #[inline]
    pub fn with_lengths(&self, ndim: impl FnOnce(usize), mut each: impl FnMut(usize)) {
        match &self.shape {
            PackedShape::Short { ndim: n, dims } => {
                ndim(*n as usize);
                dims[..*n as usize].iter().for_each(|d| each(*d as usize));
            }
            PackedShape::Long(shape) => {
                ndim(shape.ndim());
                shape.iter().for_each(|d| each(*d));
            }
        }
    }

    /// Whether it has this shape.
    #[inline]
    pub fn has_shape(&self, shape: &[usize]) -> bool {
        self.shape.is(shape)
    }

    /// How many elements.
    #[inline]
    pub fn size(&self) -> usize {
        self.shape.size()
    }

    /// How many bytes its elements take, uncompressed.
    #[inline]
    pub fn nbytes(&self) -> usize {
        self.size() * self.dtype.itemsize()
    }

    /// The elements, where they are one plain buffer.
    #[inline]
    pub fn plain_bytes(&self) -> Option<&[u8]> {
        self.plain_buffer().map(|b| memory::bytes(b, self.nbytes()))
    }

    #[inline]
    fn plain_buffer(&self) -> Option<&Buffer> {
        match &self.body {
            Body::Plain(buffer) => Some(buffer),
            Body::Rich(rich) => match &rich.storage {
                Storage::Plain(buffer) => Some(buffer),
                Storage::Chunked(_) => None,
            },
        }
    }

    /// The chunks, where there are any.
    pub fn chunks(&self) -> Option<&Chunks> {
        match &self.body {
            Body::Rich(rich) => match &rich.storage {
                Storage::Chunked(chunks) => Some(chunks),
                Storage::Plain(_) => None,
            },
            Body::Plain(_) => None,
        }
    }

    fn chunks_mut(&mut self) -> Option<&mut Chunks> {
        match &mut self.body {
            Body::Rich(rich) => match &mut rich.storage {
                Storage::Chunked(chunks) => Some(chunks),
                Storage::Plain(_) => None,
            },
            Body::Plain(_) => None,
        }
    }

    fn grid_of(&self, chunks: &Chunks) -> Grid {
        chunks.grid(&self.shape(), self.dtype)
    }

    /// The grid, where the array is chunked.
    pub fn grid(&self) -> Option<Grid> {
        self.chunks().map(|c| self.grid_of(c))
    }

    /// Bytes of elements as stored, encoded or not.
    pub fn stored_bytes(&self) -> usize {
        self.chunks().map_or_else(|| self.nbytes(), |c| c.stored_bytes)
    }

    /// What the array takes in memory, allocator's rounding included; the same cost however large it is.
    pub fn memory(&self) -> usize {
        let rich = match &self.body {
            Body::Plain(_) => 0,
            Body::Rich(rich) => {
                memory::size_class(std::mem::size_of::<Rich>())
                    + rich.attributes.memory()
                    + rich.memo.memory()
                    + rich.summaries.memory()
            }
        };
        let elements = match self.chunks() {
            Some(chunks) => chunks.memory + chunks.idle + map_memory(chunks.map.len()),
            None => self.plain_buffer().map_or(0, |b| memory::size_class(b.len() * 8)),
        };
        memory::size_class(std::mem::size_of::<Array>() + 8) + self.shape.memory() + rich + elements
    }

    /// What freeing the array costs: one for each allocation, and one for every 64 KiB, whose pages go back to the system. Elements
    /// that somebody else keeps cost nothing.
    pub fn free_effort(&self) -> usize {
        let Some(chunks) = self.chunks() else { return 1 };
        let is_own = |chunk: &&Chunk| chunk.keeper().is_none();
        let (count, memory) = match chunks.has_lent {
            false => (chunks.map.len(), chunks.memory),
            true => chunks.map.values().filter(is_own).fold((0, 0), |(n, sum), c| (n + 1, sum + c.memory())),
        };
        count.max(memory >> 16).max(1)
    }

    /// The attributes: names and JSON texts.
    pub fn attributes(&self) -> &Attributes {
        match &self.body {
            Body::Plain(_) => Attributes::none(),
            Body::Rich(rich) => &rich.attributes,
        }
    }

    /// The attributes, for changing.
    pub fn attributes_mut(&mut self) -> &mut Attributes {
        if let Body::Plain(buffer) = &mut self.body {
            let storage = Storage::Plain(std::mem::take(buffer));
            let rich = Rich {
                storage,
                attributes: Attributes::default(),
                memo: Memo::default(),
                summaries: Summaries::default(),
                parts_missing: 0,
            };
            self.body = Body::Rich(Box::new(rich));
        }
        match &mut self.body {
            Body::Rich(rich) => &mut rich.attributes,
            Body::Plain(_) => unreachable!("made rich above"),
        }
    }

    /// How many parts of an append-only file are still to come; 0 for every array that may be read.
    #[inline]
    pub fn parts_missing(&self) -> u32 {
        match &self.body {
            Body::Plain(_) => 0,
            Body::Rich(rich) => rich.parts_missing,
        }
    }

    /// Takes the next part's chunks. The part counter goes down by one.
    pub(crate) fn add_part(&mut self, chunks: Vec<(u64, Chunk)>) {
        if let Body::Rich(rich) = &mut self.body {
            rich.parts_missing = rich.parts_missing.saturating_sub(1);
            rich.memo = Memo::default(); // one may have been taken of what was there
        }
        if let Some(own) = self.chunks_mut() {
            if own.map.is_empty() {
                own.set_all(chunks); // in order, so the map is built full
            } else {
                for (number, chunk) in chunks {
                    own.insert(number, chunk);
                }
            }
        }
    }

    /// The digest, where it is remembered.
    pub fn known_digest(&self) -> Option<u64> {
        match &self.body {
            Body::Plain(_) => None,
            Body::Rich(rich) => rich.memo.digest.get().copied(),
        }
    }

    /// XXH3-64 over dtype, shape and little-endian elements: the same whatever the codec or the chunks.
    ///
    /// The bytes hashed: the dtype's name, a zero byte, the rank as one byte, each length as eight, then the elements in
    /// C order. Large arrays remember it until the next write.
    ///
    /// # Errors
    /// `CORRUPT` where a chunk does not decode.
    pub fn digest(&self) -> Result<u64> {
        if let Some(digest) = self.known_digest() {
            return Ok(digest);
        }
        let mut hash = Xxh3::new();
        let shape = self.shape();
        hash.update(self.dtype.name().as_bytes());
        hash.update(&[0, shape.ndim() as u8]); // at most 64
        for d in shape.iter() {
            hash.update(&(*d as u64).to_le_bytes());
        }
        self.visit_run(0, self.size(), |bytes| {
            hash.update(bytes);
            Ok(())
        })?;
        let digest = hash.digest();
        if let Body::Rich(rich) = &self.body {
            let _ = rich.memo.digest.set(digest); // another reader may have been first, with the same answer
        }
        Ok(digest)
    }

    /// Recomputes every stored chunk's checksum, and decodes what is encoded.
    ///
    /// # Errors
    /// `CORRUPT` naming the first chunk that does not hold.
    pub fn verify(&self) -> Result<()> {
        let Some(chunks) = self.chunks() else { return Ok(()) };
        let grid = self.grid_of(chunks);
        let itemsize = self.dtype.itemsize();
        for (number, chunk) in &chunks.map {
            interrupt::check()?;
            chunk.verify(*number)?;
            chunk.with_elements(*number, grid.chunk(*number).size() * itemsize, itemsize, |_| Ok(()))?;
        }
        Ok(())
    }

    /// The encodings in use, each once, in a fixed order; `fill` where chunks are absent.
    pub fn encodings(&self) -> SmallVec<[Encoding; 4]> {
        let Some(chunks) = self.chunks() else { return SmallVec::from_slice(&[Encoding::Raw]) };
        let mut used: SmallVec<[Encoding; 4]> = SmallVec::new();
        if self.grid_of(chunks).len() > chunks.map.len() as u64 {
            used.push(Encoding::Fill);
        }
        for chunk in chunks.map.values() {
            if !used.contains(&chunk.encoding()) {
                used.push(chunk.encoding());
            }
        }
        if used.is_empty() {
            used.push(Encoding::Raw); // no element, no chunk
        }
        used.sort_unstable();
        used
    }

    /// The names of [`Array::encodings`], as `ND.INFO` shows them.
    pub fn codec_names(&self) -> Vec<Cow<'static, str>> {
        self.encodings().iter().map(|e| e.name(self.dtype.itemsize())).collect()
    }

    /// Calls `f` with every buffer that nobody shares, for a defragmenter to move.
    pub fn buffers_mut(&mut self, f: &mut dyn FnMut(&mut Buffer)) {
        match &mut self.body {
            Body::Plain(buffer) => f(buffer),
            Body::Rich(rich) => match &mut rich.storage {
                Storage::Plain(buffer) => f(buffer),
                Storage::Chunked(chunks) => chunks.map.values_mut().filter_map(Chunk::buffer_mut).for_each(f),
            },
        }
    }
}

/// Whether every chunk of a contiguous grid would be kept raw, as far as can be told without taking elements.
fn stays_raw(chooser: &Chooser, grid: &Grid, itemsize: usize, source: &dyn Source) -> bool {
    if chooser.is_settled() {
        return chooser.keeps_raw();
    }
    let mut start = 0;
    grid.chunks().all(|place| {
        let len = place.size() * itemsize;
        start += len;
        source.peek(start - len, len).is_some_and(|chunk| chooser.stays_raw(chunk))
    })
}

impl StoreOptions {
    fn keeps_plain(&self, nbytes: usize) -> bool {
        nbytes <= self.inline_bytes && self.chunk_shape.is_none() && !self.codec_given
    }

    fn grid(&self, dtype: Dtype, shape: &Shape) -> Result<Grid> {
        match &self.chunk_shape {
            Some(chunk) => Grid::new(shape, chunk, dtype),
            None => Grid::new(shape, &self.auto_chunk_shape(shape, dtype), dtype),
        }
    }

    /// The chunk shape where no `CHUNK` is given.
    fn auto_chunk_shape(&self, shape: &Shape, dtype: Dtype) -> Shape {
        auto_chunk_shape(shape, dtype, self.policy.chunk_bytes(self.chunk_bytes))
    }

    /// The grid of elements that stay raw, where no `CHUNK` was given; `grid` is the one of those that may not.
    fn raw_grid(&self, dtype: Dtype, shape: &Shape, grid: Grid) -> Result<Grid> {
        let target = self.chunk_bytes.saturating_mul(RAW_RUN).min(chunk::MAX_CHUNK_BYTES);
        Grid::new(shape, &raw_chunk_shape(shape, dtype, grid.chunk_shape().clone(), target), dtype)
    }
}

/// A plain array of more than one field would cost every small key: 40 bytes, and 8 for the reference count.
const _: () = assert!(std::mem::size_of::<Array>() == 40);
