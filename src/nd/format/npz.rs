//! `.npz` files: ZIP archives of `.npy` members, written stored, read stored or deflated.
//!
//! ```text
//! local header  "PK\3\4" … name, extra    then the member's bytes      once per member
//! central entry "PK\1\2" … name, extra    sizes, checksum, offset      once per member
//! [ZIP64 end "PK\6\6", its locator "PK\6\7"]  end "PK\5\6"
//! ```
//!
//! **Names.** `numpy.load` drops the `.npy` of a member's name and shows the rest as text. A key is any bytes, so a name is
//! the key with these bytes written `%XX`: control characters, `%`, `\`, bytes that are no UTF-8, a leading `/`, and the
//! dots of a path step that is `.` or `..` (so that unpacking never leaves its folder). Python's
//! `urllib.parse.unquote_to_bytes(name)` is always the key. The empty key is the name `.npy`. A key given twice is written
//! once: the file maps each name to one array.
//!
//! **Reading** follows the central directory, where the last of two equal names counts, as in Python. It allocates
//! nothing for the directory itself, reads one member, believes no size before it has seen the bytes, and stops inflating as
//! soon as there is more than the member's own `.npy` header promises. Members that overlap or hold other archives are
//! therefore harmless. Encrypted members, methods other than 0 and 8, and multi-disk archives are refused. General ZIP
//! readers make a table of everything the directory claims first; an archive of claims would get its memory there.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Read;

use flate2::read::DeflateDecoder;
use flate2::Crc;

use super::{npy, reserve};
use crate::nd::dtype::Dtype;
use crate::nd::error::{quoted, Error, Result};
use crate::nd::shape::Shape;

const FORMAT: &str = "NPZ";
const LOCAL: [u8; 4] = *b"PK\x03\x04";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
const END64: [u8; 4] = *b"PK\x06\x06";
const LOCATOR64: [u8; 4] = *b"PK\x06\x07";

const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const FLAG_ENCRYPTED: u16 = 1;
const FLAG_UTF8: u16 = 1 << 11;
/// 1980-01-01, the first day a ZIP can say: the same arrays make the same bytes.
const DATE: u16 = 0x21;
/// The field says: see the ZIP64 extra field (for sizes and offsets), or the ZIP64 end record (for counts).
const IN_ZIP64: u32 = u32::MAX;
const EXTRA_ZIP64: u16 = 1;

/// Deflate makes at most 1,032 bytes of one.
const DEFLATE_RATIO: usize = 1032;

/// Writes a `.npz` file into memory, member by member.
pub struct Writer {
    out: Vec<u8>,
    central: Vec<u8>,
    names: HashSet<String>,
    /// Sizes and offsets from here on go into ZIP64 fields; lowered in tests.
    zip64_from: u64,
}

impl Writer {
    /// An empty archive with room for `bytes`.
    ///
    /// # Errors
    /// `OOM` where the room cannot be had.
    pub fn with_capacity(bytes: usize) -> Result<Writer> {
        let out = reserve(bytes)?;
        Ok(Writer { out, central: Vec::new(), names: HashSet::new(), zip64_from: u64::from(IN_ZIP64) })
    }

    /// Adds the array of key `name`: what [`npy::header`] made, then its C-order bytes in any number of pieces.
    ///
    /// Answers false, and writes nothing, where the key has a member already.
    ///
    /// # Errors
    /// `SHAPE` where the pieces are not as many bytes as the header says (the archive is then of no use); `LIMIT` for a
    /// name above 65,535 bytes; `OOM`.
    pub fn member(&mut self, name: &[u8], npy_header: &[u8], data: &mut dyn Iterator<Item = &[u8]>) -> Result<bool> {
        let name = member_name(name);
        let name_len = u16::try_from(name.len()).map_err(|_| Error::Limit {
            what: "the NPZ member name",
            given: name.len() as u128,
            limit: u128::from(u16::MAX),
            unit: "bytes",
        })?;
        if !self.names.insert(name.clone()) {
            return Ok(false);
        }
        let header = npy::Header::read(npy_header)?;
        let (_, need) = header.shape.size_and_bytes(header.dtype)?;
        let size = (npy_header.len() as u64).saturating_add(need as u64);
        let room = name.len() * 2 + npy_header.len() + 128;
        let room = need.saturating_add(room);
        self.out.try_reserve(room).map_err(|_| Error::OutOfMemory { bytes: room })?;

        let offset = self.out.len() as u64;
        let large = size >= self.zip64_from;
        let size32 = if large { IN_ZIP64 } else { size as u32 }; // below u32::MAX where not large
        let version = if large || offset >= self.zip64_from { 45 } else { 20 };
        let mut extra = Vec::new();
        if large {
            extra.extend_from_slice(&size.to_le_bytes());
            extra.extend_from_slice(&size.to_le_bytes());
        }
        let local_extra = zip64_extra(&extra);
        self.out.extend_from_slice(&LOCAL);
        push_all(&mut self.out, &[version, FLAG_UTF8, STORED, 0, DATE]);
        let crc_at = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        self.out.extend_from_slice(&size32.to_le_bytes());
        self.out.extend_from_slice(&size32.to_le_bytes());
        push_all(&mut self.out, &[name_len, local_extra.len() as u16]); // at most 28
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(&local_extra);

        let mut crc = Crc::new();
        crc.update(npy_header);
        self.out.extend_from_slice(npy_header);
        let mut given = 0usize;
        for piece in data {
            given = given.saturating_add(piece.len());
            if given > need {
                break;
            }
            crc.update(piece);
            self.out.extend_from_slice(piece);
        }
        if given != need {
            return Err(Error::ByteLength { dtype: header.dtype, shape: header.shape, need, given });
        }
        self.out[crc_at..crc_at + 4].copy_from_slice(&crc.sum().to_le_bytes());

        let offset32 = if offset >= self.zip64_from { IN_ZIP64 } else { offset as u32 }; // below u32::MAX
        if offset32 == IN_ZIP64 {
            extra.extend_from_slice(&offset.to_le_bytes());
        }
        let extra = zip64_extra(&extra);
        let central = &mut self.central;
        central.extend_from_slice(&CENTRAL);
        // Made by: version 4.5 on Unix, so that the mode below counts.
        push_all(central, &[3 << 8 | 45, version, FLAG_UTF8, STORED, 0, DATE]);
        central.extend_from_slice(&crc.sum().to_le_bytes());
        central.extend_from_slice(&size32.to_le_bytes());
        central.extend_from_slice(&size32.to_le_bytes());
        push_all(central, &[name_len, extra.len() as u16, 0, 0, 0]); // at most 28
        central.extend_from_slice(&(0o100_644u32 << 16).to_le_bytes());
        central.extend_from_slice(&offset32.to_le_bytes());
        central.extend_from_slice(name.as_bytes());
        central.extend_from_slice(&extra);
        Ok(true)
    }

    /// The whole file.
    pub fn finish(mut self) -> Vec<u8> {
        let (offset, size, count) = (self.out.len() as u64, self.central.len() as u64, self.names.len() as u64);
        self.out.append(&mut self.central);
        let large = offset >= self.zip64_from || size >= self.zip64_from || count >= u64::from(u16::MAX);
        if large {
            let end64 = self.out.len() as u64;
            self.out.extend_from_slice(&END64);
            self.out.extend_from_slice(&44u64.to_le_bytes()); // bytes of this record from here on
            push_all(&mut self.out, &[3 << 8 | 45, 45]);
            self.out.extend_from_slice(&[0; 8]);
            for n in [count, count, size, offset] {
                self.out.extend_from_slice(&n.to_le_bytes());
            }
            self.out.extend_from_slice(&LOCATOR64);
            self.out.extend_from_slice(&[0; 4]);
            self.out.extend_from_slice(&end64.to_le_bytes());
            self.out.extend_from_slice(&1u32.to_le_bytes());
        }
        // below the limits of their fields where not large
        let count = if large { u16::MAX } else { count as u16 };
        let (size, offset) = if large { (IN_ZIP64, IN_ZIP64) } else { (size as u32, offset as u32) };
        self.out.extend_from_slice(&END);
        push_all(&mut self.out, &[0, 0, count, count]);
        self.out.extend_from_slice(&size.to_le_bytes());
        self.out.extend_from_slice(&offset.to_le_bytes());
        self.out.extend_from_slice(&[0; 2]);
        self.out
    }
}

fn push_all(out: &mut Vec<u8>, fields: &[u16]) {
    fields.iter().for_each(|f| out.extend_from_slice(&f.to_le_bytes()));
}

fn zip64_extra(fields: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    if !fields.is_empty() {
        push_all(&mut out, &[EXTRA_ZIP64, fields.len() as u16]); // at most 24
        out.extend_from_slice(fields);
    }
    out
}

/// The member's name of a key, `.npy` included; see the module's comment.
fn member_name(key: &[u8]) -> String {
    let mut out = String::with_capacity(key.len() + 4);
    let escape = |out: &mut String, byte: u8| out.push_str(&format!("%{byte:02X}"));
    for (step, part) in key.split(|&c| c == b'/').enumerate() {
        match step {
            0 => {}
            1 if key.starts_with(b"/") => out.push_str("%2F"),
            _ => out.push('/'),
        }
        if part == b"." || part == b".." {
            part.iter().for_each(|&c| escape(&mut out, c));
            continue;
        }
        for chunk in part.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '%' | '\\' | '\0'..='\x1f' | '\x7f' => escape(&mut out, c as u8), // ASCII
                    c => out.push(c),
                }
            }
            chunk.invalid().iter().for_each(|&c| escape(&mut out, c));
        }
    }
    out.push_str(".npy");
    out
}

/// The names of an archive's arrays as `numpy.load` shows them: without `.npy`, in the directory's order.
///
/// # Errors
/// `CORRUPT` with the byte.
pub fn names(file: &[u8]) -> Result<Vec<Vec<u8>>> {
    let directory = Directory::find(file)?;
    let mut out = Vec::new();
    for entry in directory.entries() {
        let entry = entry?;
        out.push(entry.name.strip_suffix(b".npy").unwrap_or(entry.name).to_vec());
    }
    Ok(out)
}

/// Reads the array called `name` (with or without `.npy`) of at most `max_bytes`.
///
/// # Errors
/// `VALUE` where there is no such member; `LIMIT` above `max_bytes`; `CORRUPT` with the byte; what [`npy::read`] refuses.
pub fn read_member(file: &[u8], name: &[u8], max_bytes: usize) -> Result<(Dtype, Shape, Vec<u8>)> {
    let directory = Directory::find(file)?;
    let (mut exact, mut with_suffix) = (None, None);
    for entry in directory.entries() {
        let entry = entry?;
        if entry.name == name {
            exact = Some(entry);
        } else if entry.name.strip_suffix(b".npy") == Some(name) {
            with_suffix = Some(entry);
        }
    }
    let missing =
        || Error::value(format!("the NPZ file has no member '{}' (it has {})", quoted(name), listing(&directory)));
    let entry = exact.or(with_suffix).ok_or_else(missing)?;
    let bytes = entry.bytes(file, &directory)?;
    match entry.method {
        STORED => read_npy(bytes, bytes.len(), &entry, max_bytes),
        DEFLATED => read_npy(DeflateDecoder::new(bytes), bytes.len().saturating_mul(DEFLATE_RATIO), &entry, max_bytes),
        other => Err(Error::corrupt(
            FORMAT,
            entry.at,
            format!("member '{}' has compression method {other} (0 and 8 are read)", quoted(entry.name)),
        )),
    }
}

/// A few names, for a message.
fn listing(directory: &Directory<'_>) -> String {
    let mut names: Vec<String> = directory.entries().take(4).flatten().map(|e| quoted(e.name)).collect();
    if names.len() == 4 {
        names[3] = "…".to_owned();
    }
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// Reads one `.npy` file of which at most `most` bytes can come.
fn read_npy(mut from: impl Read, most: usize, entry: &Entry<'_>, max_bytes: usize) -> Result<(Dtype, Shape, Vec<u8>)> {
    let mut crc = Crc::new();
    let mut read = |limit: usize, out: &mut Vec<u8>| {
        let start = out.len();
        let result = from.by_ref().take(limit as u64).read_to_end(out);
        crc.update(out.get(start..).unwrap_or_default());
        result.map_err(|e| Error::corrupt(FORMAT, entry.at, format!("member '{}': {e}", quoted(entry.name))))
    };
    let mut head = Vec::new();
    read(npy::MAX_PREAMBLE, &mut head)?;
    let (_, end) = npy::Header::span(&head)?;
    read(end.saturating_sub(head.len()), &mut head)?;
    let header = npy::Header::read(&head)?;
    let (_, need) = header.shape.size_and_bytes(header.dtype)?;
    if need > max_bytes {
        return Err(Error::Limit {
            what: "the NPZ member",
            given: need as u128,
            limit: max_bytes as u128,
            unit: "bytes",
        });
    }
    // A header of 64 bytes may end inside the bytes read for the longest fields before it.
    let mut data = reserve(need.min(most))?;
    data.extend_from_slice(head.get(end..).unwrap_or_default());
    read(need.saturating_sub(data.len()).saturating_add(1), &mut data)?;
    if data.len() <= need && crc.sum() != entry.crc {
        let what = format!("member '{}': checksum {:08x}, {:08x} expected", quoted(entry.name), crc.sum(), entry.crc);
        return Err(Error::corrupt(FORMAT, entry.at, what));
    }
    let (dtype, shape) = (header.dtype, header.shape.clone());
    let elements = header.dense(Cow::Owned(data))?.elements.into_vec()?;
    Ok((dtype, shape, elements))
}

/// The central directory's bytes and where they begin.
struct Directory<'a> {
    bytes: &'a [u8],
    start: usize,
}

/// One entry of the central directory.
#[derive(Clone, Copy)]
struct Entry<'a> {
    /// Where the entry stands in the file.
    at: usize,
    name: &'a [u8],
    flags: u16,
    method: u16,
    crc: u32,
    compressed: u64,
    local: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_le_bytes(*b))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b))
}

impl<'a> Directory<'a> {
    fn find(file: &'a [u8]) -> Result<Directory<'a>> {
        const END_LEN: usize = 22;
        let none = || {
            Error::corrupt(FORMAT, file.len(), "no end of central directory: this is no .npz file, or not all of it")
        };
        let last = file.len().checked_sub(END_LEN).ok_or_else(none)?;
        let first = last.saturating_sub(usize::from(u16::MAX));
        let ends_here = |&at: &usize| {
            file.get(at..).is_some_and(|rest| rest.starts_with(&END))
                && u16_at(file, at + 20).is_some_and(|comment| at + END_LEN + usize::from(comment) == file.len())
        };
        let end = (first..=last).rev().find(ends_here).ok_or_else(none)?;
        let fields = || Some((u16_at(file, end + 10)?, u32_at(file, end + 12)?, u32_at(file, end + 16)?));
        let (count, size, offset) = fields().ok_or_else(none)?;
        let (mut size, mut offset, mut behind) = (u64::from(size), u64::from(offset), end);
        let is_zip64 = count == u16::MAX || size == u64::from(IN_ZIP64) || offset == u64::from(IN_ZIP64);
        let locator = end.checked_sub(20).filter(|&at| is_zip64 && file[at..].starts_with(&LOCATOR64));
        if let Some(locator) = locator {
            let end64 = u64_at(file, locator + 8).and_then(|at| usize::try_from(at).ok()).filter(|&at| at < locator);
            let end64 = end64.filter(|&at| file[at..].starts_with(&END64));
            let fields = end64.and_then(|at| Some((at, u64_at(file, at + 40)?, u64_at(file, at + 48)?)));
            (behind, size, offset) = fields
                .ok_or_else(|| Error::corrupt(FORMAT, locator, "the ZIP64 locator leads to no ZIP64 end record"))?;
        }
        let range = usize::try_from(offset).ok().zip(usize::try_from(size).ok());
        let bytes = range.and_then(|(start, len)| {
            let stop = start.checked_add(len).filter(|&stop| stop <= behind)?;
            Some(Directory { bytes: file.get(start..stop)?, start })
        });
        bytes.ok_or_else(|| {
            let what = format!("a central directory at {offset}, {size} bytes long, lies outside the file");
            Error::corrupt(FORMAT, end, what)
        })
    }

    fn entries(&self) -> impl Iterator<Item = Result<Entry<'a>>> + use<'a> {
        let (bytes, start) = (self.bytes, self.start);
        let mut at = 0;
        std::iter::from_fn(move || {
            let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
            match Entry::read(rest, start + at) {
                Some((entry, len)) => {
                    at += len;
                    Some(Ok(entry))
                }
                None => {
                    let e = Error::corrupt(FORMAT, start + at, "the central directory does not hold an entry here");
                    at = bytes.len();
                    Some(Err(e))
                }
            }
        })
    }
}

impl<'a> Entry<'a> {
    /// The entry at the start of `bytes`, and its length.
    fn read(bytes: &'a [u8], at: usize) -> Option<(Entry<'a>, usize)> {
        const FIXED: usize = 46;
        if !bytes.starts_with(&CENTRAL) {
            return None;
        }
        let name_end = FIXED + usize::from(u16_at(bytes, 28)?);
        let extra_end = name_end + usize::from(u16_at(bytes, 30)?);
        let end = extra_end + usize::from(u16_at(bytes, 32)?);
        let (compressed, size, local) = (u32_at(bytes, 20)?, u32_at(bytes, 24)?, u32_at(bytes, 42)?);
        let mut wide = zip64_fields(bytes.get(name_end..extra_end)?);
        let mut widen = |n: u32| match n {
            IN_ZIP64 => {
                let value = u64_at(wide, 0);
                wide = wide.get(8..).unwrap_or_default();
                value.unwrap_or(u64::from(n))
            }
            n => u64::from(n),
        };
        // The uncompressed size is not believed, but its field is passed over.
        let _ = widen(size);
        let entry = Entry {
            at,
            name: bytes.get(FIXED..name_end)?,
            flags: u16_at(bytes, 8)?,
            method: u16_at(bytes, 10)?,
            crc: u32_at(bytes, 16)?,
            compressed: widen(compressed),
            local: widen(local),
        };
        bytes.get(..end).map(|_| (entry, end))
    }

    /// The member's bytes as they stand in the file.
    fn bytes(&self, file: &'a [u8], directory: &Directory<'a>) -> Result<&'a [u8]> {
        let name = quoted(self.name);
        if self.flags & FLAG_ENCRYPTED != 0 {
            return Err(Error::corrupt(FORMAT, self.at, format!("member '{name}' is encrypted")));
        }
        let range = || {
            let local = usize::try_from(self.local).ok()?;
            let header = file.get(local..directory.start)?;
            if !header.starts_with(&LOCAL) {
                return None;
            }
            let start = 30 + usize::from(u16_at(header, 26)?) + usize::from(u16_at(header, 28)?);
            let end = start.checked_add(usize::try_from(self.compressed).ok()?)?;
            header.get(start..end)
        };
        range().ok_or_else(|| {
            let what =
                format!("member '{name}' at {}, {} bytes long, lies outside the file", self.local, self.compressed);
            Error::corrupt(FORMAT, self.at, what)
        })
    }
}

/// What the ZIP64 extra field holds: sizes and an offset, eight bytes each.
fn zip64_fields(mut extra: &[u8]) -> &[u8] {
    while let (Some(id), Some(len)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let end = 4 + usize::from(len);
        let field = extra.get(4..end).unwrap_or_default();
        if id == EXTRA_ZIP64 {
            return field;
        }
        extra = extra.get(end..).unwrap_or_default();
    }
    &[]
}

#[cfg(test)]
mod tests;
