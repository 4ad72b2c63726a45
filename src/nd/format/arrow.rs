//! Arrow IPC Tensor messages: any strides in, C order out.
//!
//! ```text
//! 0    ff ff ff ff                     continuation marker; missing before Arrow 0.15
//! 4    metadata length, i32            so that the body begins at a multiple of 8 (here: of 64)
//! 8    flatbuffer: Message { version, header: Tensor { type, shape, strides, data }, bodyLength }
//! ..   body
//! ```
//!
//! The flatbuffer is read in place by accessors that check every offset against its end, so no separate verifier is
//! needed and none can be forgotten: a table access outside the metadata is `CORRUPT`. Nothing in it recurses, and the one
//! list that is read, the shape, is at most 64 long. A generated reader would bring unsafe code, or six more crates.
//!
//! Strides are in bytes. Zero (a broadcast axis) is allowed up to [`MAX_BROADCAST`]; negative strides, and elements that
//! lie over each other otherwise, are refused. What Arrow's tensor cannot say (bool, bfloat16, complex) is not relabelled.

use std::borrow::Cow;

use super::{reserve, strided, Dense};
use crate::nd::dtype::{ByteOrder, Dtype};
use crate::nd::error::{Error, Result};
use crate::nd::shape::{Shape, MAX_NDIM};

const FORMAT: &str = "ARROW";
const CONTINUATION: [u8; 4] = [0xff; 4];

/// The largest array, in bytes, that broadcast strides may make of a smaller body.
pub const MAX_BROADCAST: usize = 64 << 20;

/// Bodies and prefixes are padded to a multiple of this.
const ALIGNMENT: usize = 64;

/// `MessageHeader.Tensor`, and the two members of `Type` that a tensor of numbers has.
const HEADER_TENSOR: u8 = 4;
const TYPE_INT: u8 = 2;
const TYPE_FLOAT: u8 = 3;

/// Reads a Tensor message; borrows the body where it is in C order.
///
/// # Errors
/// `CORRUPT` with the byte; `DTYPE` for element types other than numbers; `LIMIT` above [`MAX_BROADCAST`]; `SHAPE`.
pub fn read(message: &[u8]) -> Result<Dense<'_>> {
    let (base, metadata, body_at) = frame(message)?;
    let buffer = Buffer { bytes: metadata, base };
    let root = buffer.root()?;
    let header_type = root.u8(1)?.unwrap_or(0);
    if header_type != HEADER_TENSOR {
        let what = format!("message header {header_type} is no Tensor ({HEADER_TENSOR})");
        return Err(Error::corrupt(FORMAT, base, what));
    }
    let missing = |what: &str| Error::corrupt(FORMAT, base, format!("the message has no {what}"));
    let tensor = root.table(2)?.ok_or_else(|| missing("tensor"))?;
    let dtype = element_type(&tensor, base)?;
    let shape = shape(&tensor)?;
    let (_, bytes) = shape.size_and_bytes(dtype)?;
    let strides = strides(&tensor, &shape, dtype, base)?;
    let data = tensor.field(4)?.ok_or_else(|| missing("data"))?;
    let (offset, length) = (buffer.i64(data)?, buffer.i64(data + 8)?);
    let body_length = root.i64(3)?.unwrap_or(0);
    let body = message.get(body_at..).unwrap_or_default();
    let padded = body.len().checked_next_multiple_of(ALIGNMENT).unwrap_or(body.len());
    let within = |n: i64, of: usize| usize::try_from(n).ok().filter(|&n| n <= of);
    // Writers may count the padding behind the last element in, and not write it.
    let body_length = within(body_length, padded).ok_or_else(|| {
        Error::corrupt(FORMAT, body_at, format!("the body takes {body_length} bytes, {} are left", body.len()))
    })?;
    if body.len() > body_length.checked_next_multiple_of(ALIGNMENT).unwrap_or(body_length) {
        let what = format!("oversized: the body takes {body_length} bytes, {} follow the metadata", body.len());
        return Err(Error::corrupt(FORMAT, body_at, what));
    }
    let elements = within(offset, body.len())
        .and_then(|o| within(length, body.len() - o).and_then(|n| body.get(o..o + n)))
        .ok_or_else(|| {
            let what = format!("data at {offset}, {length} bytes long, lies outside the body of {} bytes", body.len());
            Error::corrupt(FORMAT, body_at, what)
        })?;
    let extent = strided::extent(&shape, &strides, dtype.itemsize()).filter(|&n| n <= elements.len());
    let extent = extent.ok_or_else(|| {
        let what =
            format!("{dtype} of shape {shape} at these strides reaches beyond the {} bytes of data", elements.len());
        Error::corrupt(FORMAT, body_at, what)
    })?;
    let elements = elements.get(..extent).unwrap_or_default();
    if bytes == 0 || is_c_order(&shape, &strides, dtype) {
        return Dense::from_blob(dtype, ByteOrder::Little, shape, elements.get(..bytes).unwrap_or_default());
    }
    check_overlap(&shape, &strides, dtype, body_at)?;
    if bytes > elements.len().max(MAX_BROADCAST) {
        return Err(Error::Limit {
            what: "the broadcast array",
            given: bytes as u128,
            limit: MAX_BROADCAST as u128,
            unit: "bytes",
        });
    }
    let gathered = strided::gather(elements, dtype, &shape, &strides)?;
    Dense::from_bytes(dtype, ByteOrder::Little, shape, Cow::Owned(gathered))
}

/// Where the metadata begins, the metadata, and where the body begins.
fn frame(message: &[u8]) -> Result<(usize, &[u8], usize)> {
    let word = |at: usize| message.get(at..).and_then(|b| b.first_chunk::<4>()).copied();
    let short = || Error::corrupt(FORMAT, message.len(), "the message ends before its metadata");
    let first = word(0).ok_or_else(short)?;
    let (len, base) = if first == CONTINUATION { (word(4).ok_or_else(short)?, 8) } else { (first, 4) };
    let len = i32::from_le_bytes(len);
    let rest = message.get(base..).unwrap_or_default();
    let end = usize::try_from(len).ok().filter(|&n| n > 0 && n <= rest.len());
    let end = end.ok_or_else(|| {
        Error::corrupt(FORMAT, base - 4, format!("the metadata takes {len} bytes, {} are left", rest.len()))
    })?;
    Ok((base, &rest[..end], base + end))
}

fn element_type(tensor: &Table<'_>, base: usize) -> Result<Dtype> {
    let tag = tensor.u8(0)?.unwrap_or(0);
    let kind = tensor.table(1)?.ok_or_else(|| Error::corrupt(FORMAT, base, "the tensor has no type"))?;
    let unknown = |given: String| Err(Error::UnknownDescriptor { format: FORMAT, given });
    match tag {
        TYPE_INT => {
            let (bits, signed) = (kind.i32(0)?.unwrap_or(0), kind.u8(1)?.unwrap_or(0) != 0);
            match (bits, signed) {
                (8, true) => Ok(Dtype::Int8),
                (16, true) => Ok(Dtype::Int16),
                (32, true) => Ok(Dtype::Int32),
                (64, true) => Ok(Dtype::Int64),
                (8, false) => Ok(Dtype::UInt8),
                (16, false) => Ok(Dtype::UInt16),
                (32, false) => Ok(Dtype::UInt32),
                (64, false) => Ok(Dtype::UInt64),
                _ => unknown(format!("{}Int of {bits} bits", if signed { "" } else { "U" })),
            }
        }
        TYPE_FLOAT => match kind.i16(0)?.unwrap_or(0) {
            0 => Ok(Dtype::Float16),
            1 => Ok(Dtype::Float32),
            2 => Ok(Dtype::Float64),
            other => unknown(format!("FloatingPoint of precision {other}")),
        },
        other => unknown(format!("type {other}")),
    }
}

fn shape(tensor: &Table<'_>) -> Result<Shape> {
    let Some(list) = tensor.vector(2, 4)? else { return Ok(Shape::scalar()) };
    if list.len > MAX_NDIM {
        return Err(Error::Rank { ndim: list.len });
    }
    let mut shape = Shape::scalar();
    for i in 0..list.len {
        let at = list.start + 4 * i;
        let size = tensor.buffer.table_at(at)?.i64(0)?.unwrap_or(0);
        let what = || Error::corrupt(FORMAT, tensor.buffer.base + at, format!("axis {i} has the length {size}"));
        shape.push(usize::try_from(size).map_err(|_| what())?)?;
    }
    Ok(shape)
}

/// The strides given, or those of C order.
fn strides(tensor: &Table<'_>, shape: &Shape, dtype: Dtype, base: usize) -> Result<Vec<usize>> {
    let list = tensor.vector(3, 8)?.filter(|list| list.len > 0);
    let Some(list) = list else { return Ok(c_strides(shape, dtype)) };
    let at = base + list.start;
    if list.len != shape.ndim() {
        let what = format!("{} strides for a shape of {} dimensions", list.len, shape.ndim());
        return Err(Error::corrupt(FORMAT, at, what));
    }
    (0..list.len)
        .map(|i| {
            let stride = tensor.buffer.i64(list.start + 8 * i)?;
            let what = || Error::corrupt(FORMAT, at, format!("axis {i} has the stride {stride} (write 0 or more)"));
            usize::try_from(stride).map_err(|_| what())
        })
        .collect()
}

/// Only for a shape whose bytes were checked.
fn c_strides(shape: &Shape, dtype: Dtype) -> Vec<usize> {
    shape.c_strides().iter().map(|s| s.saturating_mul(dtype.itemsize())).collect()
}

fn is_c_order(shape: &Shape, strides: &[usize], dtype: Dtype) -> bool {
    shape.iter().zip(strides).zip(c_strides(shape, dtype)).all(|((&d, &s), c)| d == 1 || s == c)
}

/// Refuses elements that lie over each other, except along axes of stride 0.
fn check_overlap(shape: &Shape, strides: &[usize], dtype: Dtype, at: usize) -> Result<()> {
    let mut axes: Vec<(usize, usize)> = strides.iter().copied().zip(shape.iter().copied()).collect();
    axes.retain(|&(stride, len)| stride != 0 && len > 1);
    axes.sort_unstable();
    let mut end = dtype.itemsize(); // bytes that the axes so far span; within the extent checked
    for (stride, len) in axes {
        if stride < end {
            return Err(Error::corrupt(
                FORMAT,
                at,
                format!("a stride of {stride} bytes lays elements over each other"),
            ));
        }
        end = end.saturating_add((len - 1).saturating_mul(stride));
    }
    Ok(())
}

/// A flatbuffer; positions are from its start, and `base` is where that lies in the message.
#[derive(Clone, Copy)]
struct Buffer<'a> {
    bytes: &'a [u8],
    base: usize,
}

/// One table: where it begins, and its vtable of 16-bit offsets, one per field.
struct Table<'a> {
    buffer: Buffer<'a>,
    at: usize,
    vtable: &'a [u8],
    len: usize,
}

struct Vector {
    start: usize,
    len: usize,
}

impl<'a> Buffer<'a> {
    fn error(&self, at: usize) -> Error {
        let what = format!("an offset leads out of the metadata of {} bytes", self.bytes.len());
        Error::corrupt(FORMAT, self.base.saturating_add(at), what)
    }

    fn word<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        self.bytes.get(at..).and_then(|b| b.first_chunk()).copied().ok_or_else(|| self.error(at))
    }

    fn i64(&self, at: usize) -> Result<i64> {
        self.word(at).map(i64::from_le_bytes)
    }

    /// The position that the unsigned offset at `at` leads to.
    fn follow(&self, at: usize) -> Result<usize> {
        let offset = u32::from_le_bytes(self.word(at)?);
        let to = usize::try_from(offset).ok().and_then(|o| at.checked_add(o));
        to.filter(|&to| to < self.bytes.len()).ok_or_else(|| self.error(at))
    }

    fn root(&self) -> Result<Table<'a>> {
        self.table_at(0)
    }

    /// The table that the offset at `at` leads to.
    fn table_at(&self, at: usize) -> Result<Table<'a>> {
        let at = self.follow(at)?;
        let back = i64::from(i32::from_le_bytes(self.word(at)?));
        let vtable = i64::try_from(at).ok().map(|at| at - back).and_then(|v| usize::try_from(v).ok());
        let vtable = vtable.ok_or_else(|| self.error(at))?;
        let len = usize::from(u16::from_le_bytes(self.word(vtable)?));
        let table_len = usize::from(u16::from_le_bytes(self.word(vtable + 2)?));
        let fields = vtable.checked_add(len).and_then(|end| self.bytes.get(vtable + 4..end));
        let whole = at.checked_add(table_len).is_some_and(|end| end <= self.bytes.len());
        match fields {
            Some(vtable) if whole => Ok(Table { buffer: *self, at, vtable, len: table_len }),
            _ => Err(self.error(at)),
        }
    }
}

impl<'a> Table<'a> {
    /// Where field `i` lies; `None` where the table leaves it out.
    fn field(&self, i: usize) -> Result<Option<usize>> {
        let Some(offset) = self.vtable.get(2 * i..).and_then(|v| v.first_chunk::<2>()) else { return Ok(None) };
        match usize::from(u16::from_le_bytes(*offset)) {
            0 => Ok(None),
            offset if offset < self.len => Ok(Some(self.at + offset)),
            _ => Err(self.buffer.error(self.at)),
        }
    }

    fn scalar<const N: usize>(&self, i: usize) -> Result<Option<[u8; N]>> {
        self.field(i)?.map(|at| self.buffer.word(at)).transpose()
    }

    fn u8(&self, i: usize) -> Result<Option<u8>> {
        Ok(self.scalar::<1>(i)?.map(|[b]| b))
    }

    fn i16(&self, i: usize) -> Result<Option<i16>> {
        Ok(self.scalar(i)?.map(i16::from_le_bytes))
    }

    fn i32(&self, i: usize) -> Result<Option<i32>> {
        Ok(self.scalar(i)?.map(i32::from_le_bytes))
    }

    fn i64(&self, i: usize) -> Result<Option<i64>> {
        Ok(self.scalar(i)?.map(i64::from_le_bytes))
    }

    fn table(&self, i: usize) -> Result<Option<Table<'a>>> {
        self.field(i)?.map(|at| self.buffer.table_at(at)).transpose()
    }

    /// A vector whose elements take `size` bytes each, all within the metadata.
    fn vector(&self, i: usize, size: usize) -> Result<Option<Vector>> {
        let Some(at) = self.field(i)? else { return Ok(None) };
        let at = self.buffer.follow(at)?;
        let len = u32::from_le_bytes(self.buffer.word(at)?);
        let len = usize::try_from(len).map_err(|_| self.buffer.error(at))?;
        let start = at + 4;
        let end = len.checked_mul(size).and_then(|n| start.checked_add(n));
        match end {
            Some(end) if end <= self.buffer.bytes.len() => Ok(Some(Vector { start, len })),
            _ => Err(self.buffer.error(at)),
        }
    }
}

/// Everything before the body: the C-order little-endian elements, then [`padding`].
///
/// # Errors
/// `DTYPE` for bool, bfloat16 and complex, which Arrow's tensor cannot say; `LIMIT`.
pub fn prefix(dtype: Dtype, shape: &Shape) -> Result<Vec<u8>> {
    let (tag, kind) = type_table(dtype)?;
    let (_, bytes) = shape.size_and_bytes(dtype)?;
    let body_length = (bytes as u64).saturating_add(padding(bytes) as u64);
    let mut fb = Writer { bytes: reserve(ALIGNMENT * 8)? };

    // Offsets point forward only, so each table is written before what it points to, and the gap is filled in later.
    let root = fb.offset();
    // Message: bodyLength at 8, header at 16, version at 20, header_type at 22
    let message = fb.table(&[20, 22, 16, 8], 24, 8);
    fb.point(root, message);
    fb.set(message + 8, &body_length.to_le_bytes());
    fb.set(message + 20, &4i16.to_le_bytes()); // metadata version 5, the first without padding of old unions
    fb.set(message + 22, &[HEADER_TENSOR]);
    // Tensor: data (offset 0, length) at 8, type at 24, shape at 28, strides at 32, type_type at 36
    let tensor = fb.table(&[36, 24, 28, 32, 8], 40, 8);
    fb.point(message + 16, tensor);
    fb.set(tensor + 16, &(bytes as u64).to_le_bytes());
    fb.set(tensor + 36, &[tag]);
    let kind_at = match kind {
        // Int: bitWidth at 4, is_signed at 8
        TypeTable::Int { bits, signed } => {
            let at = fb.table(&[4, 8], 12, 4);
            fb.set(at + 4, &bits.to_le_bytes());
            fb.set(at + 8, &[u8::from(signed)]);
            at
        }
        // FloatingPoint: precision at 4
        TypeTable::Float { precision } => {
            let at = fb.table(&[4], 8, 4);
            fb.set(at + 4, &precision.to_le_bytes());
            at
        }
    };
    fb.point(tensor + 24, kind_at);
    let list = fb.vector(shape.ndim(), 4);
    fb.point(tensor + 28, list);
    for (i, &len) in shape.iter().enumerate() {
        // TensorDim: size at 8
        let dim = fb.table(&[8], 16, 8);
        fb.point(list + 4 + 4 * i, dim);
        fb.set(dim + 8, &(len as u64).to_le_bytes());
    }
    let list = fb.vector(shape.ndim(), 8);
    fb.point(tensor + 32, list);
    for (i, stride) in c_strides(shape, dtype).into_iter().enumerate() {
        fb.set(list + 4 + 8 * i, &(stride as u64).to_le_bytes());
    }

    let metadata = (fb.bytes.len() + 8).next_multiple_of(ALIGNMENT) - 8;
    let mut out = reserve(metadata + 8)?;
    out.extend_from_slice(&CONTINUATION);
    out.extend_from_slice(&u32::try_from(metadata).unwrap_or(0).to_le_bytes()); // a few KiB at most
    out.extend_from_slice(&fb.bytes);
    out.resize(metadata + 8, 0);
    Ok(out)
}

/// Zero bytes that follow a body of `len` bytes.
pub fn padding(len: usize) -> usize {
    len.wrapping_neg() % ALIGNMENT
}

enum TypeTable {
    Int { bits: i32, signed: bool },
    Float { precision: i16 },
}

fn type_table(dtype: Dtype) -> Result<(u8, TypeTable)> {
    let int = |bits, signed| Ok((TYPE_INT, TypeTable::Int { bits, signed }));
    let float = |precision| Ok((TYPE_FLOAT, TypeTable::Float { precision }));
    let refused = |hint| Err(Error::UnsupportedDtype { dtype, by: FORMAT, hint });
    match dtype {
        Dtype::Int8 => int(8, true),
        Dtype::Int16 => int(16, true),
        Dtype::Int32 => int(32, true),
        Dtype::Int64 => int(64, true),
        Dtype::UInt8 => int(8, false),
        Dtype::UInt16 => int(16, false),
        Dtype::UInt32 => int(32, false),
        Dtype::UInt64 => int(64, false),
        Dtype::Float16 => float(0),
        Dtype::Float32 => float(1),
        Dtype::Float64 => float(2),
        Dtype::Bool => refused("BLOB carries it; ND.GET casts with DTYPE uint8"),
        Dtype::BFloat16 => refused("BLOB carries it; ND.GET casts with DTYPE float32"),
        Dtype::Complex64 | Dtype::Complex128 => refused("ask for NPY or BLOB"),
    }
}

/// A flatbuffer written front to back.
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Room for an offset that [`Writer::point`] fills in.
    fn offset(&mut self) -> usize {
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.len() - 4
    }

    /// A vtable with these field offsets, and its table of `len` zero bytes at a multiple of `align`.
    fn table(&mut self, fields: &[u16], len: u16, align: usize) -> usize {
        let vtable_len = 4 + 2 * fields.len();
        while !(self.bytes.len() + vtable_len).is_multiple_of(align) {
            self.bytes.push(0);
        }
        let vtable_len = vtable_len as u16; // at most five fields
        self.bytes.extend_from_slice(&vtable_len.to_le_bytes());
        self.bytes.extend_from_slice(&len.to_le_bytes());
        fields.iter().for_each(|f| self.bytes.extend_from_slice(&f.to_le_bytes()));
        let at = self.bytes.len();
        self.bytes.resize(at + usize::from(len), 0);
        self.set(at, &i32::from(vtable_len).to_le_bytes());
        at
    }

    /// A vector of zeros whose elements lie at multiples of `size`, 4 or 8; answers where its length stands.
    fn vector(&mut self, len: usize, size: usize) -> usize {
        while !(self.bytes.len() + 4).is_multiple_of(size) {
            self.bytes.push(0);
        }
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&(len as u32).to_le_bytes()); // at most 64
        self.bytes.resize(at + 4 + len * size, 0);
        at
    }

    fn set(&mut self, at: usize, value: &[u8]) {
        self.bytes[at..at + value.len()].copy_from_slice(value);
    }

    fn point(&mut self, at: usize, to: usize) {
        self.set(at, &((to - at) as u32).to_le_bytes()); // within a few KiB
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of float64 (2, 3) over 48 bytes whose first length and whose strides are replaced.
    fn with_strides(len: u64, strides: [i64; 2]) -> Vec<u8> {
        let mut message = prefix(Dtype::Float64, &Shape::from([2, 3])).unwrap();
        let mut replace = |old: Vec<u8>, new: Vec<u8>| {
            let at = message.windows(old.len()).position(|w| w == old).unwrap();
            message[at..at + new.len()].copy_from_slice(&new);
        };
        let bytes = |words: [i64; 2]| words.map(i64::to_le_bytes).concat();
        replace(bytes([24, 8]), bytes(strides));
        replace(2u64.to_le_bytes().to_vec(), len.to_le_bytes().to_vec());
        message.extend((0..48).map(|i| if i % 8 == 0 { i } else { 0 }));
        message
    }

    /// The low byte of each element, or the refusal.
    fn read_strides(len: u64, strides: [i64; 2]) -> Result<Vec<u8>, String> {
        let message = with_strides(len, strides);
        let elements = read(&message).and_then(|dense| dense.elements.into_vec()).map_err(|e| e.to_string())?;
        Ok(elements.iter().step_by(8).copied().collect())
    }

    #[test]
    fn strides_within_the_body_are_followed() {
        assert_eq!(read_strides(2, [24, 8]), Ok(vec![0, 8, 16, 24, 32, 40]));
        assert_eq!(read_strides(2, [8, 16]), Ok(vec![0, 16, 32, 8, 24, 40]));
        assert_eq!(read_strides(2, [0, 8]), Ok(vec![0, 8, 16, 0, 8, 16]));
        assert_eq!(read_strides(3, [8, 0]), Ok(vec![0, 0, 0, 8, 8, 8, 16, 16, 16]));
        assert_eq!(read_strides(1, [i64::MAX, 8]), Ok(vec![0, 8, 16]));
        assert_eq!(read_strides(0, [24, 8]), Ok(vec![]));
    }

    #[test]
    fn err_strides_that_lead_elsewhere() {
        let refused = |len, strides| read_strides(len, strides).unwrap_err();
        for strides in [[4, 8], [8, 8], [16, 8], [8, 12]] {
            assert!(refused(2, strides).ends_with("lays elements over each other"), "{strides:?}");
        }
        assert!(refused(2, [-24, 8]).ends_with("axis 0 has the stride -24 (write 0 or more)"));
        assert!(refused(2, [32, 8]).ends_with("reaches beyond the 48 bytes of data"));
        assert!(refused(2, [i64::MAX, i64::MAX]).ends_with("reaches beyond the 48 bytes of data"));
        assert!(refused(u64::MAX, [24, 8]).ends_with("axis 0 has the length -1"));
        assert_eq!(
            refused(1 << 30, [0, 8]),
            "LIMIT the broadcast array would take 25769803776 bytes, the limit is 67108864"
        );
        assert!(refused(1 << 60, [0, 8]).starts_with("LIMIT"));
    }

    #[test]
    fn bytes_behind_the_body_are_refused() {
        let mut message = with_strides(2, [24, 8]);
        message.resize(message.len() + padding(48), 0);
        assert!(read(&message).is_ok());
        message.push(0);
        assert!(read(&message).unwrap_err().to_string().contains("oversized"));
    }

    #[test]
    fn an_offset_of_a_table_to_itself_ends() {
        for fill in [0u8, 1, 4, 8, 0xff] {
            let mut message = CONTINUATION.to_vec();
            message.extend_from_slice(&256i32.to_le_bytes());
            message.resize(8 + 256, fill);
            assert_eq!(read(&message).unwrap_err().code(), "CORRUPT");
        }
    }
}
