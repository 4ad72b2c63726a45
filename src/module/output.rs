//! Formats: how an array is answered.
//!
//! Elements go from chunks to the server's reply buffer with as few copies as the protocol allows: one where they are
//! one run in memory, two where chunks must first be joined into one string or piece. What can fail (a chunk
//! that does not decode, a format that cannot carry the dtype) is done before the first word of the reply.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use super::args::Args;
use super::config::{self, MemoryInUse};
use super::cost::{Cost, Work};
use super::error::Result;
use super::input::check_bytes;
use super::reply::Reply;
use super::spacers;
use crate::nd::array::{Array, Effort};
use crate::nd::chunk;
use crate::nd::dtype::{Dtype, Kind};
use crate::nd::error::{self, Error};
use crate::nd::format::{arrow, json, npy, text};
use crate::nd::kernels::cast::cast;
use crate::nd::memory::{self, Buffer};
use crate::nd::parallel;
use crate::nd::scalar::Scalar;
use crate::nd::shape::Shape;

/// How an array is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// dtype, shape, bytes.
    Triple,
    /// The bytes alone.
    Blob,
    /// dtype, shape, and the bytes in pieces.
    Pieces,
    /// A `.npy` file.
    Npy,
    /// An Arrow IPC Tensor message.
    Arrow,
    /// A flat list of scalars.
    Values,
    /// Nested lists as text.
    Json,
    /// What `numpy.array2string` shows.
    Text,
}

/// Bytes of a piece: as many as the contract lets be. Longer ones would cost the server fresh pages for each, and with
/// shorter ones a reply of some MiB falls into so many blocks that its allocator gives them back to the kernel.
const PIECE: usize = 256 << 10;

/// Pieces that are decoded at a time where others may help: each then has some chunks to decode.
const PIECES_AHEAD: usize = 16;

/// The joining buffer is kept up to this size between calls: fresh memory would cost a page fault for every 4 KiB.
const KEPT: usize = 64 << 20;

/// A buffer of more bytes is kept only while less than half of `maxmemory` is in use.
const LARGE: usize = 8 << 20;
/// One of at most so many is kept whatever is in use.
const SMALL: usize = 256 << 10;

/// After so long without use the main thread gives back the memory that it keeps, and at the latest after twice as long.
const A_WHILE: Duration = Duration::from_secs(1);

thread_local! {
    /// Its length is what was ever written, so that nothing is zeroed twice.
    static JOINED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static SCRATCH: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Makes a buffer at least so long; what it holds from its old end on is anything.
fn grow(buffer: &mut Vec<u8>, len: usize) -> Result<()> {
    memory::use_scratch();
    if buffer.len() < len {
        buffer.try_reserve_exact(len - buffer.len()).map_err(|_| Error::OutOfMemory { bytes: len })?;
        buffer.resize(len, 0);
    }
    Ok(())
}

/// A buffer for a reply's elements that the thread keeps from call to call; what it holds at first is anything.
pub struct Scratch(Vec<u64>);

impl Scratch {
    /// The thread's buffer; an empty one where it is in use.
    pub fn take() -> Scratch {
        Scratch(SCRATCH.take())
    }

    /// The first `len` bytes, aligned to eight. What was written stays while `len` does.
    ///
    /// # Errors
    /// `OOM`.
    pub fn bytes(&mut self, len: usize) -> Result<&mut [u8]> {
        memory::use_scratch();
        let words = memory::words_for(len);
        if words > self.0.len() {
            self.0.try_reserve_exact(words - self.0.len()).map_err(|_| Error::OutOfMemory { bytes: len })?;
            self.0.resize(words, 0);
        }
        Ok(memory::bytes_mut(&mut self.0, len))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        SCRATCH.set(kept(std::mem::take(&mut self.0)));
    }
}

/// What a thread keeps of a buffer from reply to reply: not more than [`KEPT`] bytes, and not what the server might soon refuse writes
/// or drop keys for.
fn kept<T>(mut buffer: Vec<T>) -> Vec<T> {
    let most = KEPT / std::mem::size_of::<T>();
    let bytes = buffer.len() * std::mem::size_of::<T>();
    if bytes <= SMALL {
        return buffer;
    }
    let is_too_much = match config::memory_in_use() {
        MemoryInUse::Little => false,
        MemoryInUse::Half => bytes > LARGE,
        MemoryInUse::Most => true,
    };
    if is_too_much {
        return Vec::new();
    }
    buffer.truncate(most);
    buffer.shrink_to(most);
    buffer
}

fn bulk_piece(reply: &Reply, piece: &[u8]) {
    reply.bulk(piece);
    spacers::block_written(piece.len());
}

/// Gives back the memory that the thread keeps from reply to reply.
pub fn release_scratch() {
    JOINED.take();
    SCRATCH.take();
    chunk::release_scratch();
    spacers::release();
}

/// [`release_scratch`], where it has not been used for a while or memory is short. Called on the main thread, at every tick of the server's clock.
pub fn tick() {
    thread_local! {
        static LAST_LOOK: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    if LAST_LOOK.get().is_none_or(|last| last.elapsed() >= A_WHILE) {
        LAST_LOOK.set(Some(Instant::now()));
        if memory::is_scratch_idle() {
            return release_scratch();
        }
    }
    if config::memory_in_use() == MemoryInUse::Most {
        release_scratch();
    }
}

impl Format {
    /// Takes a format's word, if the next argument is one.
    #[inline]
    pub fn take(args: &mut Args<'_>) -> Option<Format> {
        let format = Format::of_word(args.peek()?)?;
        args.bytes("a format").ok()?;
        Some(format)
    }

    #[inline]
    fn of_word(word: &[u8]) -> Option<Format> {
        match word {
            b"BLOB" => Some(Format::Blob), // what most calls ask for, as they write it
            _ => Format::of_word_in_any_case(word),
        }
    }

    fn of_word_in_any_case(word: &[u8]) -> Option<Format> {
        let mut upper = [0; 6];
        let upper = upper.get_mut(..word.len())?;
        upper.copy_from_slice(word);
        upper.make_ascii_uppercase();
        match &*upper {
            b"BLOB" => Some(Format::Blob),
            b"PIECES" => Some(Format::Pieces),
            b"NPY" => Some(Format::Npy),
            b"ARROW" => Some(Format::Arrow),
            b"VALUES" => Some(Format::Values),
            b"JSON" => Some(Format::Json),
            b"TEXT" => Some(Format::Text),
            _ => None,
        }
    }

    /// Whether it carries every dtype, as bytes.
    pub fn is_bytes(self) -> bool {
        matches!(self, Format::Triple | Format::Blob | Format::Pieces)
    }

    /// What `nbytes` bytes of elements of this dtype take in a reply, about: numbers as text or as elements of a list take
    /// more than they do as bytes.
    pub fn reply_bytes(self, nbytes: usize, dtype: Dtype) -> usize {
        let elements = nbytes / dtype.itemsize();
        match self {
            Format::Values => elements.saturating_mul(element_bytes(dtype)),
            Format::Json => elements.saturating_mul(2), // at least; the text is measured once it is made
            Format::Text => 0,                          // summarised
            _ => nbytes,
        }
    }

    /// `before`, and what it takes to read these elements of `itemsize` bytes and to write them into a reply.
    pub fn cost(self, before: Cost, effort: Effort, itemsize: usize) -> Cost {
        match self {
            Format::Values | Format::Json => {
                before.reading(effort).and(Work::Text, (effort.bytes / itemsize.max(1)).saturating_mul(8))
            }
            Format::Text => before, // shows, and reads, a few elements
            _ => before.reading(effort).and(Work::Copy, effort.bytes),
        }
    }

    /// The format at the end of a call; the triple where there is none.
    pub fn at_end(args: &mut Args<'_>) -> Format {
        Format::take(args).unwrap_or(Format::Triple)
    }
}

/// Bytes of one element of a list, about as many as there can be: its head, all digits that its dtype may need, line ends.
fn element_bytes(dtype: Dtype) -> usize {
    match dtype.kind() {
        Kind::Bool => 4,
        Kind::Signed | Kind::Unsigned => 4 + 5 * dtype.itemsize() / 2,
        Kind::Float => 13 + 5 * dtype.itemsize() / 2,
        Kind::Complex => 4 + 2 * (13 + 5 * dtype.number_size() / 2),
    }
}

/// Answers a small array by the shortest way, in the formats that are its bytes; false, and nothing written, for any other
/// array or format, and where it would take long.
#[inline]
pub fn reply_small(array: &Array, format: Format, reply: &Reply) -> bool {
    let Some(bytes) = array.plain_bytes() else { return false };
    let fits = bytes.len() <= config::MAX_RESULT_BYTES.get() && !Cost::LEAST.and(Work::Copy, bytes.len()).is_long();
    match format {
        Format::Blob if fits => reply.bulk(bytes),
        Format::Triple if fits => {
            reply.array(3);
            reply.bulk(array.dtype().name().as_bytes());
            array.with_lengths(|ndim| reply.array(ndim), |len| reply.size(len));
            reply.bulk(bytes);
        }
        _ => return false,
    }
    true
}

/// Answers a whole array.
///
/// # Errors
/// As [`Content::reply`].
pub fn reply_array(array: &Array, format: Format, reply: &Reply) -> Result<()> {
    match reply_small(array, format, reply) {
        true => Ok(()),
        false => Content::whole(array).reply(format, reply),
    }
}

/// Answers a list of arrays, each in `format`. What each needs is checked before the head of the list goes out.
///
/// # Errors
/// What the format cannot carry, `LIMIT`; then nothing was written.
pub fn reply_all(contents: &[Content<'_>], format: Format, reply: &Reply) -> Result<()> {
    let mut least = 0usize;
    for content in contents {
        content.check(format)?;
        least = least.saturating_add(format.reply_bytes(content.nbytes(), content.dtype));
    }
    check_bytes("the reply", least, &config::MAX_RESULT_BYTES)?;
    reply.array(contents.len());
    for content in contents {
        if let Err(refusal) = content.reply(format, reply) {
            reply.error(&refusal); // the head is out: said in the array's place
        }
    }
    Ok(())
}

/// An array to be answered: a run of a stored one, or elements made for the occasion.
#[derive(Debug)]
pub struct Content<'a> {
    /// The element type.
    pub dtype: Dtype,
    /// The shape.
    pub shape: Shape,
    /// The elements.
    pub body: Body<'a>,
}

/// Where the elements are.
#[derive(Debug)]
pub enum Body<'a> {
    /// As many elements as the shape holds, in C order, from this one on.
    Run(&'a Array, usize),
    /// Elements of our own, aligned.
    Own(Buffer),
    /// Elements of a buffer that the caller keeps: exactly those of dtype and shape, aligned.
    Lent(&'a [u8]),
}

impl<'a> Content<'a> {
    /// A whole array.
    pub fn whole(array: &'a Array) -> Content<'a> {
        Content { dtype: array.dtype(), shape: array.shape(), body: Body::Run(array, 0) }
    }

    /// Elements made for the occasion; `bytes` are exactly those of dtype and shape.
    ///
    /// # Errors
    /// `OOM`.
    pub fn own(dtype: Dtype, shape: Shape, bytes: &[u8]) -> Result<Content<'a>> {
        Ok(Content { dtype, shape, body: Body::Own(memory::buffer_from(bytes)?) })
    }

    fn size(&self) -> usize {
        self.shape.len_or_max()
    }

    /// Bytes of its elements.
    pub fn nbytes(&self) -> usize {
        self.size().saturating_mul(self.dtype.itemsize())
    }

    /// Calls `f` with the elements piece by piece.
    fn visit(&self, f: impl FnMut(&[u8]) -> crate::nd::error::Result<()>) -> Result<()> {
        self.visit_from(0, f)
    }

    /// [`Content::visit`] without the first `done` bytes.
    fn visit_from(&self, done: usize, mut f: impl FnMut(&[u8]) -> crate::nd::error::Result<()>) -> Result<()> {
        let first = done / self.dtype.itemsize();
        match &self.body {
            Body::Run(array, start) => Ok(array.visit_run(start + first, self.size() - first, f)?),
            Body::Own(buffer) => Ok(f(&memory::bytes(buffer, self.nbytes())[done..])?),
            Body::Lent(bytes) => Ok(f(&bytes[done..])?),
        }
    }

    /// Calls `f` with all elements in one slice: where they are, if they are one run in memory, else joined. `head` and
    /// `tail` stand around them; with either, they are always joined.
    ///
    /// # Errors
    /// `CORRUPT`, `OOM`.
    pub fn with_bytes<R>(&self, head: &[u8], tail: &[u8], f: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let total = self.nbytes();
        let bare = head.is_empty() && tail.is_empty();
        match &self.body {
            Body::Own(buffer) if bare => return Ok(f(memory::bytes(buffer, total))),
            Body::Lent(bytes) if bare => return Ok(f(bytes)),
            Body::Run(array, start) if bare => {
                if let Some(bytes) = array.run_in_place(*start, self.size()) {
                    return Ok(f(bytes));
                }
            }
            _ => {}
        }
        let need = total + head.len() + tail.len();
        let mut joined = JOINED.take();
        if joined.len() < need {
            joined.clear(); // nothing to be moved
        }
        let filled = grow(&mut joined, need).and_then(|()| {
            let (before, rest) = joined[..need].split_at_mut(head.len());
            let (elements, after) = rest.split_at_mut(total);
            before.copy_from_slice(head);
            after.copy_from_slice(tail);
            match &self.body {
                Body::Run(array, start) => array.join_run(*start, elements)?,
                Body::Own(buffer) => elements.copy_from_slice(memory::bytes(buffer, total)),
                Body::Lent(bytes) => elements.copy_from_slice(bytes),
            }
            Ok(())
        });
        let outcome = filled.map(|()| f(&joined[..need]));
        JOINED.set(kept(joined));
        outcome
    }

    /// The same elements in another dtype, as `astype` gives them.
    ///
    /// # Errors
    /// `CORRUPT`, `OOM`, `LIMIT`.
    pub fn cast(self, dtype: Dtype) -> Result<Content<'a>> {
        if dtype == self.dtype {
            return Ok(self);
        }
        let (_, nbytes) = self.shape.size_and_bytes(dtype)?;
        check_bytes("the reply", nbytes, &config::MAX_RESULT_BYTES)?;
        let mut out = memory::buffer_zeroed(nbytes)?;
        let target = memory::bytes_mut(&mut out, nbytes);
        let mut done = 0;
        self.visit(|piece| {
            let n = piece.len() / self.dtype.itemsize() * dtype.itemsize();
            cast(self.dtype, piece, dtype, &mut target[done..done + n]);
            done += n;
            Ok(())
        })?;
        Ok(Content { dtype, shape: self.shape, body: Body::Own(out) })
    }

    /// Whether `format` can carry the array, asked before the head of a list goes out.
    ///
    /// # Errors
    /// `DTYPE` where it cannot, `LIMIT`.
    pub fn check(&self, format: Format) -> Result<()> {
        match format {
            Format::Npy => npy::header(self.dtype, &self.shape).map(drop)?,
            Format::Arrow => arrow::prefix(self.dtype, &self.shape).map(drop)?,
            _ => {}
        }
        Ok(())
    }

    /// Answers in `format`.
    ///
    /// # Errors
    /// What the format cannot carry, `LIMIT`, `CORRUPT`, `OOM`; then nothing was written.
    pub fn reply(&self, format: Format, reply: &Reply) -> Result<()> {
        let limit = &config::MAX_RESULT_BYTES;
        if format != Format::Text {
            check_bytes("the reply", self.nbytes(), limit)?; // a text shows, and reads, a few elements
        }
        match format {
            Format::Triple => self.with_bytes(&[], &[], |bytes| {
                self.head(reply);
                reply.bulk(bytes);
            }),
            Format::Blob => self.with_bytes(&[], &[], |bytes| reply.bulk(bytes)),
            Format::Pieces => self.reply_pieces(reply),
            Format::Npy => {
                let head = npy::header(self.dtype, &self.shape)?;
                self.with_bytes(&head, &[], |bytes| reply.bulk(bytes))
            }
            Format::Arrow => {
                let head = arrow::prefix(self.dtype, &self.shape)?;
                let tail = [0; 64];
                let padding = arrow::padding(self.nbytes()).min(tail.len());
                self.with_bytes(&head, &tail[..padding], |bytes| reply.bulk(bytes))
            }
            Format::Values => {
                check_bytes("the reply", format.reply_bytes(self.nbytes(), self.dtype), limit)?;
                self.with_bytes(&[], &[], |bytes| {
                    reply.array(self.size());
                    bytes
                        .chunks_exact(self.dtype.itemsize())
                        .for_each(|element| reply.scalar(&Scalar::from_le_bytes(self.dtype, element)));
                })
            }
            Format::Json => {
                check_bytes("the reply", format.reply_bytes(self.nbytes(), self.dtype), limit)?;
                let mut out = Vec::new();
                self.with_bytes(&[], &[], |bytes| json::write(self.dtype, &self.shape, bytes, &mut out))??;
                check_bytes("the reply", out.len(), limit)?;
                reply.bulk(&out);
                Ok(())
            }
            Format::Text => {
                let text = self.text(limit.get()).map_err(|error| limit.named(error))?;
                reply.bulk(text.as_bytes());
                Ok(())
            }
        }
    }

    /// What `numpy.array2string` shows; reads only the elements that are shown.
    ///
    /// # Errors
    /// `LIMIT` where the text would be longer than `limit`; `CORRUPT`.
    pub fn text(&self, limit: usize) -> error::Result<String> {
        let itemsize = self.dtype.itemsize();
        let mut element = |i: usize| match &self.body {
            Body::Run(array, start) => array.element(start + i),
            Body::Own(buffer) => {
                Ok(Scalar::from_le_bytes(self.dtype, &memory::bytes(buffer, self.nbytes())[i * itemsize..]))
            }
            Body::Lent(bytes) => Ok(Scalar::from_le_bytes(self.dtype, &bytes[i * itemsize..])),
        };
        text::array2string(self.dtype, &self.shape, &mut element, limit)
    }

    fn head(&self, reply: &Reply) {
        reply.array(3);
        reply.bulk(self.dtype.name().as_bytes());
        reply.shape(&self.shape);
    }

    /// Pieces of encoded chunks, each chunk decoded where it is sent from: as many at a time as stay in the cache, or keep
    /// helpers busy. Answers how many pieces were sent, and how many bytes were decoded: fewer than all where a chunk does not
    /// decode. What is left of them for the next piece is then all that `joined` holds.
    fn reply_decoded(&self, array: &Array, start: usize, joined: &mut Vec<u8>, reply: &Reply) -> (usize, usize) {
        let (total, itemsize) = (self.nbytes(), self.dtype.itemsize());
        let step = if parallel::may_help() { PIECES_AHEAD * PIECE } else { PIECE };
        let (mut sent, mut done, mut waiting) = (0, 0, 0);
        while done < total {
            let last = start + total.min(done + step) / itemsize - 1;
            let more = ((array.chunk_end(last) - start) * itemsize).min(total) - done;
            let have = waiting + more;
            let is_decoded = grow(joined, have)
                .and_then(|()| Ok(array.join_run(start + done / itemsize, &mut joined[waiting..have])?));
            if is_decoded.is_err() {
                joined.truncate(waiting);
                break;
            }
            done += more;
            let whole = if done == total { have } else { have / PIECE * PIECE };
            joined[..whole].chunks(PIECE).for_each(|piece| bulk_piece(reply, piece));
            sent += whole.div_ceil(PIECE);
            joined.copy_within(whole..have, 0);
            waiting = have - whole;
        }
        (sent, done)
    }

    /// Pieces of [`PIECE`] bytes and one that holds the rest. Their number stands in front of them; should a chunk then
    /// fail to decode, the error takes its piece's place and the rest is nil.
    fn reply_pieces(&self, reply: &Reply) -> Result<()> {
        let total = self.nbytes();
        let pieces = total.div_ceil(PIECE);
        self.head(reply);
        reply.array(pieces);
        memory::use_scratch();
        let mut joined = JOINED.take();
        let (mut sent, mut done) = (0, 0);
        match &self.body {
            Body::Run(array, start) if array.is_encoded_run() => {
                (sent, done) = self.reply_decoded(array, *start, &mut joined, reply);
            }
            _ => joined.clear(),
        }
        let outcome = self.visit_from(done, |mut bytes| {
            while !bytes.is_empty() {
                let wanted = PIECE.min(total - sent * PIECE) - joined.len();
                let (part, rest) = bytes.split_at(wanted.min(bytes.len()));
                bytes = rest;
                if part.len() < wanted {
                    joined.extend_from_slice(part);
                    continue;
                }
                if joined.is_empty() {
                    bulk_piece(reply, part); // one run in memory: not joined first
                } else {
                    joined.extend_from_slice(part);
                    bulk_piece(reply, &joined);
                    joined.clear();
                }
                sent += 1;
            }
            Ok(())
        });
        JOINED.set(joined);
        // The head is out: what is missing is said in its place.
        if let Err(refusal) = outcome {
            if sent < pieces {
                reply.error(&refusal);
                (sent + 1..pieces).for_each(|_| reply.null());
            }
        }
        Ok(())
    }
}
