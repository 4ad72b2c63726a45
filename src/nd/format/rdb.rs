//! The stored form, `encver` 1: one header string, then the chunks in strings of about 1 MiB, as they are kept.
//!
//! One encoder and one decoder serve RDB files, `DUMP`/`RESTORE` and the append-only file. docs/FORMAT.md draws every byte;
//! in short, all numbers little-endian:
//!
//! ```text
//! header   kind u8 (0 plain, 1 chunked) · dtype u8 · ndim u8 · flags u8 · ndim × length u64
//!          chunked: ndim × chunk length u64 · with flag 1: hidden rows u64 · policy u8 · fill (itemsize bytes) · stored chunks u64
//!          parts that follow u32 · parts that come later, by command u32
//!          attributes u32 · each: name length u32, name, text length u32, text
//!          plain: the elements
//!          XXH3-64 of all before it u64
//! part     chunks u32 · each: number u64, encoding u8, length u32, XXH3-64 of its bytes u64
//!          XXH3-64 of all before it u64 · the chunks' bytes, one after the other
//! ```
//!
//! The decoder trusts nothing. Every length is checked against the bytes that are there before memory is asked for, every
//! byte is covered by a checksum, and chunk numbers must ascend.

use crate::nd::checksum::xxh3_64;
use std::cell::RefCell;
use std::ops::Range;

use byteorder::{ByteOrder, LittleEndian as LE};

use crate::nd::array::{Array, Chunks};
use crate::nd::attributes::{Attributes, MAX_ATTRIBUTE_BYTES};
use crate::nd::chunk::Chunk;
use crate::nd::codec::{Encoding, Policy};
use crate::nd::dtype::Dtype;
use crate::nd::error::{Error, Result};
use crate::nd::memory::{self, Buffer};
use crate::nd::shape::Shape;

/// The version this module writes. Every earlier one is read for ever.
pub const ENCVER: i32 = 1;

/// A part is closed once it holds this many bytes of chunks.
const PART_BYTES: usize = (1 << 20) - (64 << 10);

/// Raw chunks of so many bytes keep the memory of the string that they came in.
const ADOPTED: usize = 256 << 10;

const PLAIN: u8 = 0;
const CHUNKED: u8 = 1;
/// The flag of an array that begins inside its first chunks.
const LEAD: u8 = 1;
/// Number, encoding, length, checksum.
const RECORD: usize = 8 + 1 + 4 + 8;
const NAME: &str = "stored array";

/// Which chunks go into each part, by their sizes; the same for every save of the same array.
fn parts(chunks: &Chunks) -> Vec<Vec<(u64, &Chunk)>> {
    let mut parts = Vec::new();
    let mut part: Vec<(u64, &Chunk)> = Vec::new();
    let mut bytes = 0;
    let (_, base) = chunks.front();
    for (number, chunk) in chunks.stored() {
        part.push((number - base, chunk)); // numbers in a file begin with the first chunk
        bytes += chunk.stored_bytes().len() + RECORD;
        if bytes >= PART_BYTES {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

/// Hands the stored form to `put`, string by string: the header first, then the parts.
///
/// # Errors
/// Whatever `put` answers, at once.
pub fn save<E>(array: &Array, put: &mut dyn FnMut(&[u8]) -> std::result::Result<(), E>) -> std::result::Result<(), E> {
    let parts = array.chunks().map(parts).unwrap_or_default();
    // Taken out rather than borrowed, so that `put` may do what it likes.
    let mut out = STRING.take();
    out.clear();
    write_header(array, parts.len(), &mut out);
    let mut outcome = put(&out);
    for part in parts {
        if outcome.is_err() {
            break;
        }
        out.clear();
        write_part(&part, &mut out);
        outcome = put(&out);
    }
    STRING.set(out);
    outcome
}

thread_local! {
    /// The string being written, reused from array to array: a part is at most a few MiB.
    static STRING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn write_header(array: &Array, parts: usize, out: &mut Vec<u8>) {
    let shape = array.shape();
    out.reserve(64 + 16 * shape.ndim() + array.attributes().bytes() + array.plain_bytes().map_or(0, <[u8]>::len));
    let kind = if array.chunks().is_some() { CHUNKED } else { PLAIN };
    let (lead, _) = array.chunks().map_or((0, 0), Chunks::front);
    let flags = if lead > 0 { LEAD } else { 0 };
    out.extend_from_slice(&[kind, array.dtype() as u8, shape.ndim() as u8, flags]); // at most 64 dimensions
    shape.iter().for_each(|d| put_u64(out, *d as u64));
    if let Some(chunks) = array.chunks() {
        chunks.chunk_shape().iter().for_each(|d| put_u64(out, *d as u64));
        if lead > 0 {
            put_u64(out, lead as u64);
        }
        out.push(chunks.policy().code());
        out.extend_from_slice(&chunks.fill()[..array.dtype().itemsize()]);
        put_u64(out, chunks.stored().len() as u64);
        put_u32(out, parts);
        put_u32(out, array.parts_missing() as usize);
    }
    put_u32(out, array.attributes().len());
    for (name, text) in array.attributes().iter() {
        put_u32(out, name.len());
        out.extend_from_slice(name);
        put_u32(out, text.len());
        out.extend_from_slice(text.as_bytes());
    }
    if let Some(bytes) = array.plain_bytes() {
        out.extend_from_slice(bytes);
    }
    let sum = xxh3_64(out);
    put_u64(out, sum);
}

fn write_part(part: &[(u64, &Chunk)], out: &mut Vec<u8>) {
    put_u32(out, part.len());
    for (number, chunk) in part {
        put_u64(out, *number);
        out.push(chunk.encoding().code());
        put_u32(out, chunk.stored_bytes().len());
        put_u64(out, chunk.checksum());
    }
    let sum = xxh3_64(out);
    put_u64(out, sum);
    part.iter().for_each(|(_, chunk)| out.extend_from_slice(chunk.stored_bytes()));
}

fn put_u64(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(&n.to_le_bytes());
}

/// Writes a length that is known to fit: ranks, parts, and attribute texts of at most 1 MiB.
fn put_u32(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
}

/// Reads numbers and slices off the front of a string, never past its end.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let part = rest
            .get(..n)
            .ok_or_else(|| Error::corrupt(NAME, self.at, format!("{n} bytes are needed, {} are there", rest.len())))?;
        self.at += n;
        Ok(part)
    }

    fn u8(&mut self) -> Result<u8> {
        self.take(1).map(|b| b[0])
    }

    fn u32(&mut self) -> Result<u32> {
        self.take(4).map(LE::read_u32)
    }

    fn u64(&mut self) -> Result<u64> {
        self.take(8).map(LE::read_u64)
    }

    fn length(&mut self) -> Result<usize> {
        let at = self.at;
        usize::try_from(self.u64()?).map_err(|_| Error::corrupt(NAME, at, "a length does not fit"))
    }

    fn shape(&mut self, ndim: usize) -> Result<Shape> {
        let mut shape = Shape::scalar();
        for _ in 0..ndim {
            shape.push(self.length()?)?;
        }
        Ok(shape)
    }

    fn corrupt(&self, what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::corrupt(NAME, self.at, what)
    }
}

/// Splits a string whose last eight bytes are the checksum of the others, and checks it.
fn checked(string: &[u8]) -> Result<&[u8]> {
    let (body, sum) = string
        .split_last_chunk::<8>()
        .ok_or_else(|| Error::corrupt(NAME, 0, format!("{} bytes cannot hold a checksum", string.len())))?;
    if xxh3_64(body) != u64::from_le_bytes(*sum) {
        return Err(Error::corrupt(NAME, body.len(), "the checksum does not hold"));
    }
    Ok(body)
}

/// What a header string says.
#[derive(Debug)]
pub struct Header {
    /// The array, its chunks still to come.
    pub array: Array,
    /// How many part strings follow.
    pub parts: u32,
    /// How many chunks there are in all of them.
    pub stored: u64,
}

/// Reads a header string. The array is whole when [`read_part`] has taken them
/// and [`Array::parts_missing`] is 0.
///
/// # Errors
/// `CORRUPT` where anything does not hold, `SHAPE`/`LIMIT` for shapes no array has, `OOM`.
pub fn read_header(string: &[u8]) -> Result<Header> {
    let mut r = Reader { bytes: checked(string)?, at: 0 };
    let kind = r.u8()?;
    let code = r.u8()?;
    let dtype = Dtype::from_code(code).ok_or_else(|| r.corrupt(format!("dtype {code} is not known")))?;
    let ndim = r.u8()? as usize;
    let flags = r.u8()?;
    if flags != 0 && (flags, kind) != (LEAD, CHUNKED) {
        return Err(r.corrupt(format!("flags {flags:#x} are not known")));
    }
    let shape = r.shape(ndim)?;
    let (_, nbytes) = shape.size_and_bytes(dtype)?;
    match kind {
        PLAIN => {
            let attributes = read_attributes(&mut r)?;
            let elements = r.take(nbytes)?;
            check_bools(dtype, elements, &r)?;
            let mut array = Array::plain(dtype, &shape, memory::buffer_from(elements)?);
            finish(r, &mut array, attributes)?;
            Ok(Header { array, parts: 0, stored: 0 })
        }
        CHUNKED => {
            let chunk_shape = r.shape(ndim)?;
            let lead = if flags == LEAD { r.length()? } else { 0 };
            if flags == LEAD && lead == 0 {
                return Err(r.corrupt("no rows are hidden, but the flag says so"));
            }
            let code = r.u8()?;
            let policy =
                Policy::from_code(code).ok_or_else(|| r.corrupt(format!("codec policy {code} is not known")))?;
            let mut fill = [0; 16];
            let element = r.take(dtype.itemsize())?;
            check_bools(dtype, element, &r)?;
            fill[..element.len()].copy_from_slice(element);
            let stored = r.u64()?;
            let parts = r.u32()?;
            let later = r.u32()?;
            let missing = parts.checked_add(later).ok_or_else(|| r.corrupt("too many parts"))?;
            let attributes = read_attributes(&mut r)?;
            let mut array = Array::awaiting_chunks(dtype, &shape, &chunk_shape, policy, fill, lead, missing)?;
            if stored > array.grid().map_or(0, |g| if g.is_empty() { 0 } else { g.len() }) || stored < u64::from(parts)
            {
                return Err(r.corrupt(format!("{stored} chunks in {parts} parts do not fit the shape")));
            }
            finish(r, &mut array, attributes)?;
            Ok(Header { array, parts, stored })
        }
        kind => Err(r.corrupt(format!("kind {kind} is not known"))),
    }
}

/// Refuses bytes other than 0 and 1 in an array of bool: kernels count on it.
fn check_bools(dtype: Dtype, elements: &[u8], r: &Reader<'_>) -> Result<()> {
    if dtype == Dtype::Bool && elements.iter().any(|b| *b > 1) {
        return Err(r.corrupt("a bool is neither 0 nor 1"));
    }
    Ok(())
}

fn read_attributes(r: &mut Reader<'_>) -> Result<Attributes> {
    let count = r.u32()? as usize;
    if count == 0 {
        return Ok(Attributes::default()); // nearly always
    }
    let mut list = Vec::new();
    let mut bytes = 0usize;
    for _ in 0..count {
        let length = r.u32()? as usize;
        let name = r.take(length)?;
        let length = r.u32()? as usize;
        let text = r.take(length)?;
        bytes += name.len() + text.len();
        if bytes > MAX_ATTRIBUTE_BYTES {
            return Err(r.corrupt(format!("attributes take more than {MAX_ATTRIBUTE_BYTES} bytes")));
        }
        list.push((name, Attributes::check(name, text)?));
    }
    let mut attributes = Attributes::default();
    if attributes.set(list)? != count {
        return Err(r.corrupt("an attribute is named twice"));
    }
    Ok(attributes)
}

fn finish(r: Reader<'_>, array: &mut Array, attributes: Attributes) -> Result<()> {
    if r.at != r.bytes.len() {
        return Err(r.corrupt(format!("{} bytes are left over", r.bytes.len() - r.at)));
    }
    if !attributes.is_empty() {
        *array.attributes_mut() = attributes;
    }
    Ok(())
}

/// What a part's table says of one chunk.
struct Record {
    number: u64,
    encoding: Encoding,
    /// Where its bytes are in the string.
    bytes: Range<usize>,
    checksum: u64,
    /// Bytes of its elements.
    nbytes: usize,
}

/// Reads the next part of an array that [`read_header`] began. The array is changed only where the whole part holds.
///
/// # Errors
/// `CORRUPT` where anything does not hold; `OOM`.
pub fn read_part(array: &mut Array, string: &[u8]) -> Result<()> {
    let records = read_table(array, string)?;
    take_chunks(array, string, records)
}

/// A part's string whose memory is the reader's own, and may become a chunk's.
pub trait OwnString {
    /// The string.
    fn bytes(&self) -> &[u8];

    /// A part of it, at least a word shorter than the string, moved to the front of the same memory; the rest is given back.
    fn into_buffer(self, part: Range<usize>) -> Buffer;
}

/// [`read_part`] of a string that need not be copied: a raw chunk of a mebibyte is a part of its own, and then its buffer.
/// Answers whether it is.
///
/// # Errors
/// As [`read_part`].
pub fn read_own_part(array: &mut Array, string: impl OwnString) -> Result<bool> {
    let records = read_table(array, string.bytes())?;
    let [Record { number, encoding: Encoding::Raw, ref bytes, checksum, nbytes }] = records[..] else {
        return take_chunks(array, string.bytes(), records).map(|()| false);
    };
    // Shorter ones lie in smaller size classes than the string, and are copied as fast as they are moved.
    if array.dtype() == Dtype::Bool || bytes.len() != nbytes || nbytes < ADOPTED {
        return take_chunks(array, string.bytes(), records).map(|()| false);
    }
    let buffer = string.into_buffer(bytes.clone());
    let chunk = Chunk::from_raw(number, buffer, nbytes, checksum)?;
    array.add_part(vec![(number, chunk)]);
    Ok(true)
}

/// Reads the table at the beginning of a part, and checks all of it but the chunks' checksums.
fn read_table(array: &Array, string: &[u8]) -> Result<Vec<Record>> {
    let mut r = Reader { bytes: string, at: 0 };
    if array.parts_missing() == 0 {
        return Err(r.corrupt("a part more than the header says"));
    }
    let count = r.u32()? as usize;
    let table_bytes = count.checked_mul(RECORD).ok_or_else(|| r.corrupt("too many chunks"))?;
    let table = r.take(table_bytes)?;
    let sum = xxh3_64(&string[..r.at]);
    if r.u64()? != sum {
        return Err(r.corrupt("the checksum of the chunk table does not hold"));
    }
    let itemsize = array.dtype().itemsize();
    let (Some(grid), Some(chunks)) = (array.grid(), array.chunks()) else {
        return Err(r.corrupt("a part of an array without chunks"));
    };
    let mut least = chunks.stored().next_back().map_or(0, |(n, _)| n + 1);
    let mut records = Vec::with_capacity(count); // no more than the table, which is there
    for record in table.chunks_exact(RECORD) {
        let (number, encoding) = (LE::read_u64(record), record[8]);
        let (length, checksum) = (LE::read_u32(&record[9..]) as usize, LE::read_u64(&record[13..]));
        if number < least || number >= grid.len() {
            return Err(r.corrupt(format!("chunk {number} is out of order or outside the array")));
        }
        least = number + 1;
        let encoding =
            Encoding::from_code(encoding).ok_or_else(|| r.corrupt(format!("encoding {encoding:#04x} is not known")))?;
        let start = r.at;
        r.take(length)?;
        let nbytes = grid.chunk(number).size() * itemsize;
        records.push(Record { number, encoding, bytes: start..r.at, checksum, nbytes });
    }
    if r.at != string.len() || records.is_empty() {
        return Err(r.corrupt(format!("{} bytes are left over after {count} chunks", string.len() - r.at)));
    }
    Ok(records)
}

/// Copies the chunks of a part's table out of its string.
fn take_chunks(array: &mut Array, string: &[u8], records: Vec<Record>) -> Result<()> {
    let itemsize = array.dtype().itemsize();
    let is_bool = array.dtype() == Dtype::Bool;
    let mut list = Vec::with_capacity(records.len());
    for Record { number, encoding, bytes, checksum, nbytes } in records {
        let r = Reader { bytes: string, at: bytes.start };
        let bytes = &string[bytes];
        let encoded = encoding.is_encoded();
        if is_bool && !encoded {
            check_bools(Dtype::Bool, bytes, &r)?;
        }
        let chunk = Chunk::from_stored(number, encoding, bytes, checksum, nbytes, itemsize)?;
        if is_bool && encoded {
            chunk.with_elements(number, nbytes, itemsize, |elements| check_bools(Dtype::Bool, elements, &r))?;
        }
        list.push((number, chunk));
    }
    array.add_part(list);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nd::array::StoreOptions;
    use crate::nd::scalar::Scalar;
    use crate::nd::source::SliceSource;

    fn saved(array: &Array) -> Vec<Vec<u8>> {
        let mut strings = Vec::new();
        save::<()>(array, &mut |s| {
            strings.push(s.to_vec());
            Ok(())
        })
        .unwrap();
        strings
    }

    fn loaded(strings: &[Vec<u8>]) -> Result<Array> {
        let Header { mut array, parts, .. } = read_header(&strings[0])?;
        assert!(strings.len() - 1 <= parts as usize || parts == 0);
        for part in &strings[1..] {
            read_part(&mut array, part)?;
        }
        match array.parts_missing() {
            0 => Ok(array),
            n => Err(Error::corrupt(NAME, 0, format!("{n} parts are missing"))),
        }
    }

    struct Own(Vec<u8>);

    impl OwnString for Own {
        fn bytes(&self) -> &[u8] {
            &self.0
        }

        fn into_buffer(self, part: Range<usize>) -> Buffer {
            memory::buffer_from(&self.0[part]).unwrap()
        }
    }

    #[test]
    fn a_part_that_gives_its_memory_is_read_like_any_other() {
        let noise = |i: u32| i.wrapping_mul(0x9e37_79b9).rotate_left(i % 31) as u8;
        for (policy, nbytes) in
            [(Policy::Raw, 2_500_001), (Policy::Raw, 400_003), (Policy::Lz4, 2_500_001), (Policy::Raw, 70_000)]
        {
            let bytes: Vec<u8> = (0..nbytes).map(noise).collect();
            let options = StoreOptions { policy, ..Default::default() };
            let shape = Shape::from([bytes.len()]);
            let array = Array::from_source(Dtype::UInt8, &shape, &mut SliceSource::new(&bytes), &options).unwrap();
            let strings = saved(&array);
            let load = |strings: &[Vec<u8>]| -> Result<Array> {
                let mut array = read_header(&strings[0])?.array;
                for part in &strings[1..] {
                    let kept = read_own_part(&mut array, Own(part.clone()))?;
                    assert_eq!(kept, policy == Policy::Raw && part.len() > ADOPTED, "{policy:?}, {nbytes}");
                }
                Ok(array)
            };
            let whole = load(&strings).unwrap();
            crate::nd::array::tests::check_whole(&whole);
            assert!(crate::nd::array::tests::all(&whole) == bytes, "{policy:?}, {nbytes}");
            assert_eq!(whole.memory(), loaded(&strings).unwrap().memory());
            for at in [0, 4, 12, 13, 25, 33, strings[1].len() / 2, strings[1].len() - 1] {
                let mut damaged = strings.clone();
                damaged[1][at] ^= 1;
                assert_eq!(
                    load(&damaged).unwrap_err(),
                    loaded(&damaged).unwrap_err(),
                    "{policy:?}, {nbytes}, byte {at}"
                );
                damaged[1].truncate(at);
                assert_eq!(
                    load(&damaged).unwrap_err(),
                    loaded(&damaged).unwrap_err(),
                    "{policy:?}, {nbytes}, cut at {at}"
                );
            }
        }
    }

    fn samples() -> Vec<Array> {
        let small = StoreOptions { chunk_bytes: 64, inline_bytes: 32, ..Default::default() };
        let mut samples = Vec::new();
        for dtype in [Dtype::UInt8, Dtype::Float32, Dtype::Complex128, Dtype::Bool] {
            for shape in [&[][..], &[3], &[0, 4], &[11, 5], &[2, 3, 4]] {
                let shape = Shape::new(shape).unwrap();
                let (_, nbytes) = shape.size_and_bytes(dtype).unwrap();
                let bytes: Vec<u8> = (0..nbytes)
                    .map(|i| if dtype == Dtype::Bool { (i % 2) as u8 } else { (i * i % 251) as u8 })
                    .collect();
                samples.push(Array::from_source(dtype, &shape, &mut SliceSource::new(&bytes), &small).unwrap());
            }
        }
        let text = Attributes::check(b"unit", b"\"m\"").unwrap();
        samples[3].attributes_mut().set(vec![(b"unit", text)]).unwrap();
        // One that begins inside its first chunks.
        let (shape, bytes) = (Shape::from([11, 5]), [7; 55 * 4]);
        let mut window = Array::from_source(Dtype::Float32, &shape, &mut SliceSource::new(&bytes), &small).unwrap();
        window.append(0, &[9; 20], &Shape::from([1, 5]), Some(4), &small, 1 << 20).unwrap();
        assert_eq!(window.chunks().map(Chunks::front), Some((2, 2)));
        samples.push(window);
        let zeros = Scalar::zero(Dtype::Float64);
        samples.push(Array::filled(&Shape::from([1_000_000, 1_000_000]), zeros, &StoreOptions::default()).unwrap());
        samples
    }

    #[test]
    fn every_array_comes_back_as_it_was_saved() {
        for array in samples() {
            let back = loaded(&saved(&array)).unwrap();
            assert_eq!((back.dtype(), back.shape()), (array.dtype(), array.shape()));
            assert_eq!(back.attributes(), array.attributes());
            assert_eq!(back.stored_bytes(), array.stored_bytes());
            assert_eq!(back.memory(), array.memory());
            if array.size() < 1000 {
                assert_eq!(back.digest(), array.digest());
            }
            assert_eq!(saved(&back), saved(&array));
        }
    }

    /// The example of docs/FORMAT.md, as the first version wrote it.
    #[test]
    fn what_the_first_version_wrote_is_read() {
        let header = [
            &[1, 3, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0][..],
            &[1, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0],
            &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xe5, 0xb1, 0x2d, 0xdd, 0x85, 0x77, 0x5f, 0x3b],
        ]
        .concat();
        let block: Vec<u8> = [0xff, 2].into_iter().chain(0..16).chain([0, 1, 0, 22, 0x60, 0, 0, 0, 0, 0, 0]).collect();
        let part = [
            &[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0x4c, 0xc1, 0x28, 0x16, 0x81, 0x44, 0xae, 0x57][..],
            &[1, 0, 0, 0, 0, 0, 0, 0, 2, 29, 0, 0, 0, 0x82, 0x7c, 0xb6, 0x70, 0xaf, 0x6e, 0x49, 0x48],
            &[0xeb, 0x5e, 0xc0, 0x96, 2, 0xce, 0xe1, 0xa8, 7, 0, 0, 0],
            &block,
        ]
        .concat();
        let array = loaded(&[header.clone(), part.clone()]).unwrap();
        let mut elements = Vec::new();
        array.read_run(0, 48, &mut elements).unwrap();
        let want: Vec<u8> = (0..48).flat_map(|i: i32| [7, i - 16, 0][i as usize / 16].to_le_bytes()).collect();
        assert_eq!((array.shape(), elements), (Shape::from([3, 16]), want));
        assert_eq!(saved(&array), [header, part], "and is written as it was");
    }

    #[test]
    fn a_large_array_is_saved_in_parts_of_about_a_mebibyte() {
        let bytes: Vec<u8> = (0..5 << 20).map(|i: u32| (i.wrapping_mul(2654435761) >> 24) as u8).collect();
        let shape = Shape::from([5 << 20]);
        let options = StoreOptions { policy: Policy::Raw, ..Default::default() };
        let array = Array::from_source(Dtype::UInt8, &shape, &mut SliceSource::new(&bytes), &options).unwrap();
        let strings = saved(&array);
        assert_eq!(strings.len(), 1 + 5);
        assert!(strings.iter().all(|s| s.len() <= (1 << 20) + 64));
        assert_eq!(loaded(&strings).unwrap().digest(), array.digest());
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_refused() {
        for array in samples() {
            let strings = saved(&array);
            for s in 0..strings.len() {
                for cut in 0..strings[s].len() {
                    let mut damaged = strings.clone();
                    damaged[s].truncate(cut);
                    assert!(loaded(&damaged).is_err(), "string {s} cut at {cut}");
                }
                for bit in 0..strings[s].len() * 8 {
                    let mut damaged = strings.clone();
                    damaged[s][bit / 8] ^= 1 << (bit % 8);
                    assert!(loaded(&damaged).is_err(), "string {s}, bit {bit}");
                }
            }
            if strings.len() > 1 {
                assert!(loaded(&strings[..strings.len() - 1]).is_err());
            }
        }
    }

    #[test]
    fn lies_under_a_right_checksum_are_refused() {
        let array = &samples()[3];
        for (at, value) in [(0, 7), (1, 15), (2, 65), (3, 1), (11, 0x7f), (11, 0xff)] {
            let mut header = saved(array)[0].clone();
            header[at] = value;
            let body = header.len() - 8;
            let sum = xxh3_64(&header[..body]);
            header[body..].copy_from_slice(&sum.to_le_bytes());
            assert!(read_header(&header).is_err(), "byte {at} = {value}");
        }
    }
}
