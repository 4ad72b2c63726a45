//! One chunk: its stored bytes, how they are encoded, and their checksum. Immutable once made, and shared by snapshots.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::checksum::xxh3_64;
use triomphe::Arc;

use super::codec::{self, Chooser, Encoding, Opened};
use super::decoded::{self, Decoded};
use super::error::{Error, Result};
use super::lent::Lent;
use super::memory::{self, Buffer};
use super::stats;

/// A stored chunk. Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct Chunk(Arc<Stored>);

/// Where the bytes are. No larger than a buffer alone.
#[derive(Debug)]
enum Home {
    Own(Buffer),
    /// Raw elements, at any address. Never changed where they lie.
    Lent(Box<Lent>),
}

const _: () = assert!(std::mem::size_of::<Home>() == std::mem::size_of::<Buffer>());

#[derive(Debug)]
struct Stored {
    home: Home,
    len: u32,
    encoding: Encoding,
    /// Whether its decoded elements may be in [`decoded`].
    is_kept: AtomicBool,
    /// [`UNKNOWN`] from the moment raw elements come in until somebody asks.
    checksum: AtomicU64,
    /// What no other elements have had in this process; see [`Chunk::seal`].
    stamp: u64,
}

const _: () = assert!(std::mem::size_of::<Stored>() == 40);

impl Drop for Stored {
    fn drop(&mut self) {
        if *self.is_kept.get_mut() {
            decoded::forget(self.stamp);
        }
    }
}

/// Stands for a checksum that has not been taken since raw elements came in. One that happens to be this number is taken
/// anew each time it is asked for.
const UNKNOWN: u64 = 0;

/// A number that no chunk has had before.
fn new_stamp() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// A chunk holds at most this many bytes of elements, whatever was asked for.
pub const MAX_CHUNK_BYTES: usize = 16 << 20;

thread_local! {
    /// Where the chunk at hand is decoded to; grows to the largest chunk seen, at most [`MAX_CHUNK_BYTES`].
    static DECODED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    /// Where a chunk is encoded to before it is known how long it becomes.
    static ENCODED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with room for the elements of a chunk. Taken out rather than borrowed, so that `f` may read another chunk.
fn with_room<R>(nbytes: usize, f: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut words = DECODED.take();
    words.resize(memory::words_for(nbytes).max(words.len()), 0);
    let outcome = f(memory::bytes_mut(&mut words, nbytes));
    DECODED.set(words);
    outcome
}

/// Gives back the memory that the thread keeps from chunk to chunk.
pub fn release_scratch() {
    DECODED.take();
    ENCODED.take();
    codec::release_scratch();
}

impl Stored {
    /// The buffer of raw elements that may be changed where they lie.
    fn raw_mut(&mut self) -> Option<&mut Buffer> {
        match &mut self.home {
            Home::Own(buffer) if self.encoding == Encoding::Raw => Some(buffer),
            _ => None,
        }
    }

    /// To be called after raw elements were written.
    fn has_changed(&mut self) {
        *self.checksum.get_mut() = UNKNOWN;
        self.stamp = new_stamp();
    }
}

impl Chunk {
    fn new(home: Home, len: u32, encoding: Encoding, checksum: u64, stamp: u64) -> Chunk {
        let (is_kept, checksum) = (AtomicBool::new(false), AtomicU64::new(checksum));
        Chunk(Arc::new(Stored { home, len, encoding, is_kept, checksum, stamp }))
    }

    /// Encodes elements as `chooser` decides; one copy of the bytes when they stay raw.
    ///
    /// # Errors
    /// `OOM` where the allocator says no.
    pub fn encode(elements: &[u8], chooser: &Chooser) -> Result<Chunk> {
        Chunk::encode_by(elements, |out| chooser.encode(elements, out))
    }

    /// [`Chunk::encode`] of elements that were kept as `before` until some of them changed.
    ///
    /// # Errors
    /// `OOM` where the allocator says no.
    pub fn encode_again(elements: &[u8], chooser: &Chooser, before: Encoding) -> Result<Chunk> {
        Chunk::encode_by(elements, |out| chooser.encode_again(before, elements, out))
    }

    fn encode_by(elements: &[u8], encode: impl FnOnce(&mut Vec<u8>) -> Encoding) -> Result<Chunk> {
        ENCODED.with_borrow_mut(|out| match encode(out) {
            Encoding::Raw => {
                stats::CHUNKS_STORED_RAW.fetch_add(1, Ordering::Relaxed);
                Chunk::stored(Encoding::Raw, elements)
            }
            encoding => {
                stats::CHUNKS_ENCODED.fetch_add(1, Ordering::Relaxed);
                Chunk::stored(encoding, out)
            }
        })
    }

    /// A chunk whose every element is this one.
    ///
    /// # Errors
    /// `OOM` where the allocator says no.
    pub fn constant(element: &[u8]) -> Result<Chunk> {
        Chunk::stored(Encoding::Fill, element)
    }

    /// A chunk that is kept raw whatever its elements, because more are to come.
    ///
    /// # Errors
    /// `OOM` where the allocator says no.
    pub fn raw(elements: &[u8]) -> Result<Chunk> {
        stats::CHUNKS_STORED_RAW.fetch_add(1, Ordering::Relaxed);
        Chunk::stored(Encoding::Raw, elements)
    }

    /// Makes room for `more` bytes of elements in a raw chunk that nobody shares: the double, so that a chunk that grows
    /// row by row is copied seldom, but no more than `full` bytes in all. Otherwise nothing happens.
    ///
    /// # Errors
    /// `OOM` where the allocator says no; the chunk is as it was.
    pub fn reserve(&mut self, more: usize, full: usize) -> Result<()> {
        let Some(stored) = Arc::get_mut(&mut self.0) else { return Ok(()) };
        let need = stored.len as usize + more;
        let Some(buffer) = stored.raw_mut() else { return Ok(()) };
        if memory::words_for(need) > buffer.len() {
            let room = need.saturating_mul(2).min(full).max(need);
            let mut larger = memory::buffer_zeroed(room)?;
            larger[..buffer.len()].copy_from_slice(buffer);
            *buffer = larger;
        }
        Ok(())
    }

    /// Appends elements to a raw chunk that nobody shares and that has the room; false where that is not so.
    pub fn extend(&mut self, elements: &[u8]) -> bool {
        let Some(stored) = Arc::get_mut(&mut self.0) else { return false };
        let (len, sum) = (stored.len as usize, stored.len as usize + elements.len());
        let Ok(new) = u32::try_from(sum) else { return false };
        match stored.raw_mut() {
            Some(buffer) if memory::words_for(sum) <= buffer.len() => {
                memory::bytes_mut(buffer, sum)[len..].copy_from_slice(elements);
            }
            _ => return false,
        }
        stored.len = new;
        stored.has_changed();
        true
    }

    /// Copies bytes that are encoded already. Raw elements get no checksum yet: another look at all of them is a tenth of
    /// what it takes to receive and store them.
    fn stored(encoding: Encoding, source: &[u8]) -> Result<Chunk> {
        let bytes = memory::buffer_from(source)?;
        let len = u32::try_from(source.len()).map_err(|_| Error::OutOfMemory { bytes: source.len() })?;
        let checksum = match encoding {
            Encoding::Raw => UNKNOWN,
            _ => xxh3_64(memory::bytes(&bytes, source.len())),
        };
        Ok(Chunk::new(Home::Own(bytes), len, encoding, checksum, new_stamp()))
    }

    /// A chunk read from outside: the bytes must have the checksum, and a length that the encoding allows.
    ///
    /// `number` names the chunk in errors; `nbytes` is what its elements take, `itemsize` what one takes.
    ///
    /// # Errors
    /// `CORRUPT` naming the chunk; `OOM`.
    pub fn from_stored(
        number: u64,
        encoding: Encoding,
        source: &[u8],
        checksum: u64,
        nbytes: usize,
        itemsize: usize,
    ) -> Result<Chunk> {
        let corrupt = |what: String| Error::corrupt("chunk", number as usize, what);
        if !encoding.may_take(source.len(), nbytes, itemsize) {
            return Err(corrupt(format!(
                "{} stored bytes cannot be {} for {nbytes} bytes of elements",
                source.len(),
                encoding.name(itemsize)
            )));
        }
        let chunk = Chunk::stored(encoding, source)?;
        chunk.must_have(number, checksum)?;
        Ok(chunk)
    }

    /// A raw chunk read from outside, in the buffer that it was read into: `nbytes` bytes, which must have the checksum.
    ///
    /// # Errors
    /// `CORRUPT` naming the chunk; `OOM` for more bytes than a chunk holds.
    pub fn from_raw(number: u64, bytes: Buffer, nbytes: usize, checksum: u64) -> Result<Chunk> {
        let len = u32::try_from(nbytes).map_err(|_| Error::OutOfMemory { bytes: nbytes })?;
        let chunk = Chunk::new(Home::Own(bytes), len, Encoding::Raw, UNKNOWN, new_stamp());
        chunk.must_have(number, checksum)?;
        Ok(chunk)
    }

    /// A raw chunk whose elements stay where they are.
    ///
    /// # Errors
    /// `OOM` for more bytes than a chunk holds.
    pub fn lent(lent: Lent) -> Result<Chunk> {
        let nbytes = lent.bytes().len();
        let len = u32::try_from(nbytes).map_err(|_| Error::OutOfMemory { bytes: nbytes })?;
        stats::CHUNKS_STORED_RAW.fetch_add(1, Ordering::Relaxed);
        Ok(Chunk::new(Home::Lent(Box::new(lent)), len, Encoding::Raw, UNKNOWN, new_stamp()))
    }

    /// Where the elements are, if somebody else keeps them.
    pub fn keeper(&self) -> Option<&Lent> {
        match &self.0.home {
            Home::Lent(lent) => Some(lent),
            Home::Own(_) => None,
        }
    }

    fn must_have(&self, number: u64, checksum: u64) -> Result<()> {
        if self.checksum() != checksum {
            let what = format!("checksum is {:016x}, {checksum:016x} was stored", self.checksum());
            return Err(Error::corrupt("chunk", number as usize, what));
        }
        Ok(())
    }

    /// Calls `f` with the chunk's elements, `nbytes` of them: the stored bytes where they are raw, which may lie at any address,
    /// else decoded into a buffer that the thread reuses.
    ///
    /// # Errors
    /// `CORRUPT` naming chunk `number` where the bytes do not decode; whatever `f` answers.
    pub fn with_elements<R>(
        &self,
        number: u64,
        nbytes: usize,
        itemsize: usize,
        f: impl FnOnce(&[u8]) -> Result<R>,
    ) -> Result<R> {
        if self.0.encoding == Encoding::Raw {
            return f(self.stored_bytes());
        }
        stats::CHUNKS_DECODED.fetch_add(1, Ordering::Relaxed);
        self.peek(number, nbytes, itemsize, f)
    }

    /// [`Chunk::with_elements`] that does not count as a read.
    ///
    /// # Errors
    /// `CORRUPT` naming chunk `number` where the bytes do not decode; whatever `f` answers.
    pub fn peek<R>(
        &self,
        number: u64,
        nbytes: usize,
        itemsize: usize,
        f: impl FnOnce(&[u8]) -> Result<R>,
    ) -> Result<R> {
        if self.0.encoding == Encoding::Raw {
            return f(self.stored_bytes());
        }
        with_room(nbytes, |elements| {
            self.decode_into(number, itemsize, elements)?;
            f(elements)
        })
    }

    /// [`Chunk::with_elements`] for a short read: if there are many, the elements are kept decoded for a while, where they may
    /// be.
    ///
    /// # Errors
    /// As [`Chunk::with_elements`].
    pub fn with_some_elements<R>(
        &self,
        number: u64,
        nbytes: usize,
        itemsize: usize,
        may_keep: bool,
        f: impl FnOnce(&[u8]) -> Result<R>,
    ) -> Result<R> {
        match self.kept_if(may_keep, number, nbytes, itemsize)? {
            Some(kept) => f(kept.bytes()),
            None => self.with_elements(number, nbytes, itemsize, f),
        }
    }

    /// Calls `f` with the chunk opened: [`Chunk::with_some_elements`] whose caller knows where its elements are to go.
    ///
    /// # Errors
    /// As [`Chunk::with_elements`].
    pub fn with_parts<R>(
        &self,
        number: u64,
        nbytes: usize,
        itemsize: usize,
        may_keep: bool,
        f: impl FnOnce(&Opened<'_>) -> R,
    ) -> Result<R> {
        if self.0.encoding == Encoding::Raw {
            return Ok(f(&Opened::Elements(self.stored_bytes())));
        }
        if let Some(kept) = self.kept_if(may_keep, number, nbytes, itemsize)? {
            return Ok(f(&Opened::Elements(kept.bytes())));
        }
        stats::CHUNKS_DECODED.fetch_add(1, Ordering::Relaxed);
        let outcome = with_room(nbytes, |room| self.0.encoding.open(self.stored_bytes(), itemsize, room, f));
        outcome.map_err(|what| Error::corrupt("chunk", number as usize, what))
    }

    /// Copies the elements from byte `from` on to all of `out`, if they are kept decoded, or shall be from now on; else answers
    /// false.
    ///
    /// # Errors
    /// As [`Chunk::with_elements`].
    pub fn copy_kept(&self, number: u64, nbytes: usize, itemsize: usize, from: usize, out: &mut [u8]) -> Result<bool> {
        let kept = self.kept(number, nbytes, itemsize)?;
        if let Some(kept) = &kept {
            out.copy_from_slice(&kept.bytes()[from..][..out.len()]);
        }
        Ok(kept.is_some())
    }

    fn kept_if(&self, may_keep: bool, number: u64, nbytes: usize, itemsize: usize) -> Result<Option<Decoded>> {
        match may_keep {
            true => self.kept(number, nbytes, itemsize),
            false => Ok(None),
        }
    }

    /// The elements, if they are kept decoded, or shall be from now on.
    fn kept(&self, number: u64, nbytes: usize, itemsize: usize) -> Result<Option<Decoded>> {
        if !self.0.encoding.is_encoded() {
            return Ok(None);
        }
        // The same chunk is always as long.
        if let Some(found) = decoded::find(self.0.stamp).filter(|found| found.bytes().len() == nbytes) {
            stats::CHUNKS_FOUND_DECODED.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(found));
        }
        if !decoded::is_wanted(self.0.stamp, nbytes) {
            return Ok(None);
        }
        // Without memory to spare nothing is kept.
        let Ok(mut elements) = memory::buffer_zeroed(nbytes) else { return Ok(None) };
        self.decode_counted(number, itemsize, memory::bytes_mut(&mut elements, nbytes))?;
        self.0.is_kept.store(true, Ordering::Relaxed);
        Ok(Some(decoded::keep(self.0.stamp, elements, nbytes)))
    }

    /// The same elements as `chooser` would have them, where that takes at least a tenth less memory. A chunk whose checksum
    /// does not hold is not touched, and what was made is read back.
    ///
    /// # Errors
    /// `CORRUPT` naming chunk `number`; `OOM` where the allocator says no.
    pub fn smaller(&self, number: u64, nbytes: usize, itemsize: usize, chooser: &Chooser) -> Result<Option<Chunk>> {
        self.verify(number)?;
        self.peek(number, nbytes, itemsize, |elements| {
            let made = ENCODED.with_borrow_mut(|out| match chooser.encode(elements, out) {
                Encoding::Raw => Ok(None),
                encoding => Chunk::stored(encoding, out).map(Some),
            })?;
            let Some(made) = made.filter(|made| made.memory() * 10 <= self.memory() * 9) else { return Ok(None) };
            let same = made.peek(number, nbytes, itemsize, |read| Ok(read == elements))?;
            if !same {
                return Err(Error::corrupt("chunk", number as usize, "what was encoded does not decode to the same"));
            }
            Ok(Some(made))
        })
    }

    /// [`Chunk::decode_into`], to read them.
    ///
    /// # Errors
    /// `CORRUPT` naming chunk `number`.
    pub fn decode_counted(&self, number: u64, itemsize: usize, out: &mut [u8]) -> Result<()> {
        stats::CHUNKS_DECODED.fetch_add(1, Ordering::Relaxed);
        self.decode_into(number, itemsize, out)
    }

    /// Decodes all elements into `out`.
    ///
    /// # Errors
    /// `CORRUPT` naming chunk `number`.
    pub fn decode_into(&self, number: u64, itemsize: usize, out: &mut [u8]) -> Result<()> {
        let decoded = self.0.encoding.decode(self.stored_bytes(), itemsize, out);
        decoded.map_err(|what| Error::corrupt("chunk", number as usize, what))
    }

    /// How the bytes are kept.
    pub fn encoding(&self) -> Encoding {
        self.0.encoding
    }

    /// The bytes as kept.
    pub fn stored_bytes(&self) -> &[u8] {
        match &self.0.home {
            Home::Own(buffer) => memory::bytes(buffer, self.0.len as usize),
            Home::Lent(lent) => lent.bytes(),
        }
    }

    /// XXH3-64 of the bytes as kept: of encoded ones taken when the chunk was made, of raw ones when it is first asked for.
    pub fn checksum(&self) -> u64 {
        match self.0.checksum.load(Ordering::Relaxed) {
            UNKNOWN => {
                let checksum = xxh3_64(self.stored_bytes());
                // Another thread may do the same; the bytes cannot change while the chunk is shared.
                self.0.checksum.store(checksum, Ordering::Relaxed);
                checksum
            }
            known => known,
        }
    }

    /// Recomputes the checksum. Raw elements that nobody asked for theirs since they came in have none to compare with: they
    /// get it here.
    ///
    /// # Errors
    /// `CORRUPT` naming chunk `number`.
    pub fn verify(&self, number: u64) -> Result<()> {
        let now = xxh3_64(self.stored_bytes());
        let known = self.checksum();
        if now == known {
            return Ok(());
        }
        let what = format!("checksum is {now:016x}, {known:016x} was stored");
        Err(Error::corrupt("chunk", number as usize, what))
    }

    /// What these elements share with no others of this process: of encoded ones the checksum, of raw ones a number that is
    /// new with every change. It does not change while they stay.
    pub fn seal(&self) -> u64 {
        match self.0.encoding {
            Encoding::Raw => self.0.stamp,
            _ => self.checksum(),
        }
    }

    /// Writes new raw elements over a raw chunk of the same length that nobody shares; false where that is not so.
    ///
    /// Saves the allocator a round trip, and the server the page faults of fresh memory.
    pub fn overwrite(&mut self, elements: &[u8]) -> bool {
        let len = self.0.len as usize;
        len == elements.len() && self.edit(|bytes| bytes.copy_from_slice(elements))
    }

    /// The same chunk again, shared by nobody. Its checksum goes with it, not taken anew.
    ///
    /// # Errors
    /// `OOM` where the allocator says no.
    pub fn copy(&self) -> Result<Chunk> {
        let bytes = memory::buffer_from(self.stored_bytes())?;
        let Stored { len, encoding, stamp, .. } = *self.0;
        let checksum = self.0.checksum.load(Ordering::Relaxed);
        Ok(Chunk::new(Home::Own(bytes), len, encoding, checksum, stamp))
    }

    /// Whether [`Chunk::edit`] would change it: raw, in memory of its own, and shared by nobody.
    pub fn is_editable(&self) -> bool {
        self.0.encoding == Encoding::Raw && self.keeper().is_none() && Arc::is_unique(&self.0)
    }

    /// Changes the elements of a raw chunk that nobody shares where they lie; false where that is not so. Its checksum is
    /// taken when somebody asks for it: a row is written at the price of a row, however long the chunk.
    pub fn edit(&mut self, change: impl FnOnce(&mut [u8])) -> bool {
        let Some(stored) = Arc::get_mut(&mut self.0) else { return false };
        let len = stored.len as usize;
        let Some(buffer) = stored.raw_mut() else { return false };
        change(memory::bytes_mut(buffer, len));
        stored.has_changed();
        true
    }

    /// What the chunk takes in memory.
    pub fn memory(&self) -> usize {
        let bytes = match &self.0.home {
            Home::Own(buffer) => memory::size_class(buffer.len() * 8),
            Home::Lent(lent) => memory::size_class(std::mem::size_of::<Lent>()) + lent.memory(),
        };
        memory::size_class(std::mem::size_of::<Stored>() + 8) + bytes
    }

    /// Whether they are one and the same chunk.
    pub fn is(&self, other: &Chunk) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether anybody else holds it.
    pub fn is_shared(&self) -> bool {
        !Arc::is_unique(&self.0)
    }

    /// The buffer, for a defragmenter to move; `None` while a snapshot shares it, and where it is not the chunk's own.
    pub fn buffer_mut(&mut self) -> Option<&mut Buffer> {
        match &mut Arc::get_mut(&mut self.0)?.home {
            Home::Own(buffer) => Some(buffer),
            Home::Lent(_) => None,
        }
    }
}
