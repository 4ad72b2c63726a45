//! `.npy` files: versions 1, 2 and 3 in, version 1 out.
//!
//! ```text
//! 0   93 'N' 'U' 'M' 'P' 'Y'
//! 6   major minor
//! 8   header length, u16 little-endian (u32 from version 2 on)
//! 10  header: {'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }  spaces  \n
//! ..  elements
//! ```
//!
//! The header is a Python dict literal. It is parsed, never evaluated: three keys, each once, in any order; either quote;
//! any white space; a trailing comma; the `L` that Python 2 wrote behind integers. Bytes behind the last element, which
//! `numpy.load` leaves unread, are refused, because in a value they can only be a mistake.

use std::borrow::Cow;

use super::{reserve, strided, Dense};
use crate::nd::dtype::{ByteOrder, Dtype};
use crate::nd::error::{quoted, Error, Result};
use crate::nd::shape::Shape;

const FORMAT: &str = "NPY";
const MAGIC: &[u8] = b"\x93NUMPY";

/// The longest header that is read. NumPy's own limit is 10,000 bytes.
pub(super) const MAX_HEADER: usize = 64 << 10;

/// Magic, version and the longest header length field.
pub(super) const MAX_PREAMBLE: usize = MAGIC.len() + 2 + 4;

/// Decimal digits that `numpy.save` leaves room for, so that the first axis can grow in place.
const GROWTH_DIGITS: usize = 21;

/// What the header of a `.npy` file says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    pub dtype: Dtype,
    pub order: ByteOrder,
    pub fortran: bool,
    pub shape: Shape,
    /// Where the elements begin.
    pub end: usize,
}

/// Reads a `.npy` file; borrows the elements where they are little-endian and in C order.
///
/// # Errors
/// `DTYPE` for object, structured, string, date and extended dtypes, by name; `CORRUPT` with the byte; `LIMIT`.
pub fn read(file: &[u8]) -> Result<Dense<'_>> {
    let header = Header::read(file)?;
    let elements = file.get(header.end..).unwrap_or_default();
    header.dense(Cow::Borrowed(elements))
}

impl Header {
    /// Reads everything before the elements. `file` may end anywhere behind the header.
    pub fn read(file: &[u8]) -> Result<Header> {
        let (start, end) = Header::span(file)?;
        let text = file.get(start..end).ok_or_else(|| {
            Error::corrupt(
                FORMAT,
                file.len(),
                format!("the header takes {} bytes, {} are left", end - start, file.len() - start),
            )
        })?;
        Dict { text, at: 0, base: start }.header(end)
    }

    /// First and last-plus-one byte of the header text, from the fields before it.
    pub fn span(file: &[u8]) -> Result<(usize, usize)> {
        let short = || Error::corrupt(FORMAT, file.len(), "the file ends before its header");
        if !file.starts_with(MAGIC) {
            return Err(Error::corrupt(FORMAT, 0, "the file does not begin with \\x93NUMPY"));
        }
        let (len, start) = match file.get(6..).ok_or_else(short)? {
            [1, 0, a, b, ..] => (u32::from(u16::from_le_bytes([*a, *b])), 10),
            [2 | 3, 0, a, b, c, d, ..] => (u32::from_le_bytes([*a, *b, *c, *d]), 12),
            [1..=3, 0, ..] | [1..=3] | [] => return Err(short()),
            [major, rest @ ..] => {
                let minor = rest.first().copied().unwrap_or(0);
                let what = format!("version {major}.{minor} is not known (use 1.0, 2.0 or 3.0)");
                return Err(Error::corrupt(FORMAT, 6, what));
            }
        };
        match usize::try_from(len) {
            Ok(len) if len <= MAX_HEADER => Ok((start, start + len)),
            _ => Err(Error::Limit {
                what: "the NPY header",
                given: u128::from(len),
                limit: MAX_HEADER as u128,
                unit: "bytes",
            }),
        }
    }

    /// The array whose elements, as the header describes them, are `bytes`.
    pub fn dense(self, bytes: Cow<'_, [u8]>) -> Result<Dense<'_>> {
        let Header { dtype, order, fortran, shape, end } = self;
        let (_, need) = shape.size_and_bytes(dtype)?;
        if bytes.len() != need {
            let oversized = if bytes.len() > need { "oversized: " } else { "" };
            let what =
                format!("{oversized}{dtype} of shape {shape} takes {need} bytes, {} follow the header", bytes.len());
            return Err(Error::corrupt(FORMAT, end, what));
        }
        if !fortran || shape.iter().filter(|&&d| d != 1).count() < 2 {
            return Dense::from_bytes(dtype, order, shape, bytes);
        }
        let mut step = dtype.itemsize();
        let mut strides = Vec::with_capacity(shape.ndim());
        for &d in shape.iter() {
            strides.push(step);
            step = step.saturating_mul(d); // within the size checked above, or of an empty array
        }
        let reordered = strided::gather(&bytes, dtype, &shape, &strides)?;
        Dense::from_bytes(dtype, order, shape, Cow::Owned(reordered))
    }
}

/// A cursor over the dict literal; `base` is where it begins in the file.
struct Dict<'a> {
    text: &'a [u8],
    at: usize,
    base: usize,
}

impl<'a> Dict<'a> {
    fn header(mut self, end: usize) -> Result<Header> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while !self.take(b'}') {
            let at = self.at;
            let key = self.string()?;
            self.expect(b':')?;
            let repeated = match key {
                b"descr" => descr.replace(self.descr()?).is_some(),
                b"fortran_order" => fortran.replace(self.boolean()?).is_some(),
                b"shape" => shape.replace(self.tuple()?).is_some(),
                _ => return Err(self.error_at(at, format!("unknown key '{}' in the header", quoted(key)))),
            };
            if repeated {
                return Err(self.error_at(at, format!("key '{}' stands twice in the header", quoted(key))));
            }
            if !self.take(b',') {
                self.expect(b'}')?;
                break;
            }
        }
        if self.peek().is_some() {
            return Err(self.error("text behind the header's closing brace"));
        }
        let missing = |key| Error::corrupt(FORMAT, end, format!("the header has no '{key}'"));
        let (dtype, order) = descr.ok_or_else(|| missing("descr"))?;
        let fortran = fortran.ok_or_else(|| missing("fortran_order"))?;
        let shape = shape.ok_or_else(|| missing("shape"))?;
        Ok(Header { dtype, order, fortran, shape, end })
    }

    fn error(&self, what: impl Into<Cow<'static, str>>) -> Error {
        self.error_at(self.at, what)
    }

    fn error_at(&self, at: usize, what: impl Into<Cow<'static, str>>) -> Error {
        Error::corrupt(FORMAT, self.base + at, what)
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0c) = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        match self.take(byte) {
            true => Ok(()),
            false => Err(self.error(format!("'{}' expected in the header", char::from(byte)))),
        }
    }

    fn word(&mut self, word: &[u8]) -> bool {
        self.peek();
        let found = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn boolean(&mut self) -> Result<bool> {
        match (self.word(b"True"), self.word(b"False")) {
            (true, _) => Ok(true),
            (_, true) => Ok(false),
            _ => Err(self.error("True or False expected in the header")),
        }
    }

    fn string(&mut self) -> Result<&'a [u8]> {
        let quote = match self.peek() {
            Some(q @ (b'\'' | b'"')) => q,
            _ => return Err(self.error("a quoted string expected in the header")),
        };
        let start = self.at + 1;
        let rest: &'a [u8] = self.text.get(start..).unwrap_or_default();
        match rest.iter().position(|&c| c == quote || c == b'\\' || c == b'\n') {
            Some(len) if rest[len] == quote => {
                self.at = start + len + 1;
                Ok(&rest[..len])
            }
            _ => Err(self.error("a string without its closing quote in the header")),
        }
    }

    /// A typestring; a list or tuple here is a structured dtype.
    fn descr(&mut self) -> Result<(Dtype, ByteOrder)> {
        let unknown = |given: &[u8]| Error::UnknownDescriptor { format: FORMAT, given: quoted(given) };
        if matches!(self.peek(), Some(b'[' | b'(')) {
            return Err(unknown(self.text.get(self.at..).unwrap_or_default().trim_ascii_end()));
        }
        let descr = self.string()?;
        parse_descr(descr).ok_or_else(|| unknown(descr))
    }

    fn tuple(&mut self) -> Result<Shape> {
        self.expect(b'(')?;
        let start = self.at;
        let mut shape = Shape::scalar();
        while !self.take(b')') {
            let len = self.length()?;
            shape.push(len)?;
            if !self.take(b',') {
                self.expect(b')')?;
                if shape.ndim() == 1 {
                    return Err(self.error_at(start, "a shape of one axis is written (n,) in the header"));
                }
                break;
            }
        }
        Ok(shape)
    }

    fn length(&mut self) -> Result<usize> {
        self.peek();
        let digits = self.text.get(self.at..).unwrap_or_default();
        let digits = &digits[..digits.iter().take_while(|c| c.is_ascii_digit()).count()];
        if digits.is_empty() {
            return Err(self.error("a length, or ')', expected in the header's shape"));
        }
        let len = std::str::from_utf8(digits).ok().and_then(|d| d.parse::<usize>().ok());
        let len = len.filter(|&n| n <= crate::nd::shape::MAX_BYTES);
        let len = len.ok_or_else(|| self.error(format!("length {} is beyond any array", quoted(digits))))?;
        self.at += digits.len();
        if self.text.get(self.at) == Some(&b'L') {
            self.at += 1;
        }
        Ok(len)
    }
}

/// NumPy's typestring of one of our dtypes, where case matters; or, as other writers than `numpy.save` put it and
/// `numpy.load` reads it, a name without byte order (`float64`, `int`, `?`).
fn parse_descr(descr: &[u8]) -> Option<(Dtype, ByteOrder)> {
    let (order, name) = match descr.split_first()? {
        (b'<' | b'|' | b'=', name) => (ByteOrder::Little, name),
        (b'>', name) => (ByteOrder::Big, name),
        _ => (ByteOrder::Little, descr),
    };
    let is_named = |d: &&Dtype| d.typestring().and_then(|t| t.as_bytes().get(1..)) == Some(name);
    if let Some(&dtype) = Dtype::ALL.iter().find(is_named) {
        return Some((dtype, order));
    }
    let is_name = name.len() == descr.len() && (name.len() == 1 || !name.iter().any(u8::is_ascii_uppercase));
    let (dtype, _) = if is_name { Dtype::parse(name).ok()? } else { return None };
    dtype.typestring().is_some().then_some((dtype, ByteOrder::Little)) // NumPy does not know bfloat16
}

/// Everything before the elements of a `.npy` file in C order, byte for byte as `numpy.save` writes it.
///
/// # Errors
/// `DTYPE` for bfloat16, which `.npy` cannot name.
pub fn header(dtype: Dtype, shape: &Shape) -> Result<Vec<u8>> {
    let descr = dtype.typestring().ok_or(Error::UnsupportedDtype {
        dtype,
        by: FORMAT,
        hint: "BLOB carries it; ND.GET casts with DTYPE float32",
    })?;
    let mut dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    if let Some(first) = shape.first() {
        let digits = first.checked_ilog10().unwrap_or(0) as usize + 1; // 1 to 20
        dict.extend(std::iter::repeat_n(' ', GROWTH_DIGITS - digits));
    }
    // 64 axes of 20 digits take less than 1,500 bytes: version 1 can always say the length.
    let unpadded = MAGIC.len() + 4 + dict.len() + 1;
    let padding = 64 - unpadded % 64; // NumPy adds 64 bytes where none are needed
    let len = u16::try_from(dict.len() + padding + 1).map_err(|_| Error::Rank { ndim: shape.ndim() })?;
    let mut out = reserve(unpadded + padding)?;
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[1, 0]);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(dict.as_bytes());
    out.resize(out.len() + padding, b' ');
    out.push(b'\n');
    Ok(out)
}
