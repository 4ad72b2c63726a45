//! File formats and texts: bytes in, bytes out, nothing of Redis.
//!
//! What comes in is hostile until proven otherwise: every reader checks lengths before it believes them, asks for no
//! more memory than the input justifies (a small multiple of its own length, or a named limit) and answers
//! `CORRUPT`, `DTYPE`, `SHAPE`, `VALUE` or `LIMIT` instead of panicking. All readers answer a [`Dense`]: little-endian
//! elements in C order, borrowed from the input wherever it already has that layout.
//!
//! | module | in | out |
//! |---|---|---|
//! | [`npy`] | `.npy` files, versions 1 to 3 | version 1 |
//! | [`npz`] | one member of a `.npz` file | a `.npz` file, stored |
//! | [`arrow`] | Arrow IPC Tensor messages, any strides | C order |
//! | [`json`] | nested lists | nested lists |
//! | [`values`] | a flat list of numbers | |
//! | [`text`] | | what `numpy.array2string` shows |

use std::borrow::Cow;

use super::dtype::{swap_bytes, ByteOrder, Dtype};
use super::error::{Error, Result};
use super::shape::Shape;

pub mod arrow;
pub mod json;
pub mod npy;
pub mod npz;
pub mod rdb;
mod strided;
pub mod text;
pub mod values;

/// An array as it came in: dtype, shape and its C-order little-endian elements, not yet stored.
///
/// The bytes of `elements` are exactly as many as dtype and shape ask for, and those of a bool array are 0 or 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense<'a> {
    /// The dtype.
    pub dtype: Dtype,
    /// The shape.
    pub shape: Shape,
    /// The elements' bytes.
    pub elements: Elements<'a>,
}

/// The bytes of an array's elements: borrowed whole, borrowed in pieces that may be cut inside an element, or owned.
#[derive(Debug, Clone, PartialEq)]
pub enum Elements<'a> {
    /// One slice of the input.
    Borrowed(&'a [u8]),
    /// Slices of the input, to be joined.
    Pieces(Vec<&'a [u8]>),
    /// Bytes that had to be made: swapped, reordered, parsed.
    Owned(Vec<u8>),
}

impl<'a> Elements<'a> {
    /// Bytes in all.
    pub fn len(&self) -> usize {
        match self {
            Elements::Borrowed(bytes) => bytes.len(),
            Elements::Owned(bytes) => bytes.len(),
            Elements::Pieces(pieces) => pieces.iter().map(|piece| piece.len()).sum(),
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes as slices, in order; one slice unless they came in pieces.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let (one, many): (Option<&[u8]>, &[&[u8]]) = match self {
            Elements::Borrowed(bytes) => (Some(bytes), &[]),
            Elements::Pieces(pieces) => (None, pieces),
            Elements::Owned(bytes) => (Some(bytes), &[]),
        };
        one.into_iter().chain(many.iter().copied())
    }

    /// The bytes in one buffer; copies unless they are owned already.
    ///
    /// # Errors
    /// `OOM` where the buffer cannot be had.
    pub fn into_vec(self) -> Result<Vec<u8>> {
        if let Elements::Owned(bytes) = self {
            return Ok(bytes);
        }
        let mut out = reserve(self.len())?;
        self.slices().for_each(|piece| out.extend_from_slice(piece));
        Ok(out)
    }
}

impl<'a> Dense<'a> {
    /// An array over `bytes` in C order: borrowed when they are little-endian (and, for bool, all 0 or 1).
    ///
    /// # Errors
    /// `SHAPE` where the length is not the one that dtype and shape ask for; `LIMIT`, `OOM`.
    #[inline]
    pub fn from_blob(dtype: Dtype, order: ByteOrder, shape: Shape, bytes: &'a [u8]) -> Result<Dense<'a>> {
        check_length(dtype, &shape, bytes.len())?;
        finish(dtype, order, shape, Elements::Borrowed(bytes))
    }

    /// [`Dense::from_blob`] of bytes that may be owned.
    fn from_bytes(dtype: Dtype, order: ByteOrder, shape: Shape, bytes: Cow<'a, [u8]>) -> Result<Dense<'a>> {
        check_length(dtype, &shape, bytes.len())?;
        let elements = match bytes {
            Cow::Borrowed(bytes) => Elements::Borrowed(bytes),
            Cow::Owned(bytes) => Elements::Owned(bytes),
        };
        finish(dtype, order, shape, elements)
    }

    /// An array over `pieces`, the C-order bytes cut anywhere, even inside an element.
    ///
    /// # Errors
    /// `SHAPE` where the lengths do not add up to the one that dtype and shape ask for; `LIMIT`, `OOM`.
    pub fn from_pieces(dtype: Dtype, order: ByteOrder, shape: Shape, pieces: Vec<&'a [u8]>) -> Result<Dense<'a>> {
        let given = pieces.iter().fold(0usize, |n, p| n.saturating_add(p.len()));
        check_length(dtype, &shape, given)?;
        finish(dtype, order, shape, Elements::Pieces(pieces))
    }
}

#[inline]
fn check_length(dtype: Dtype, shape: &Shape, given: usize) -> Result<()> {
    let (_, need) = shape.size_and_bytes(dtype)?;
    if given != need {
        return Err(Error::ByteLength { dtype, shape: shape.clone(), need, given });
    }
    Ok(())
}

/// Swaps big-endian elements and makes every bool 0 or 1; the bytes are copied only where something must change.
#[inline]
fn finish(dtype: Dtype, order: ByteOrder, shape: Shape, elements: Elements<'_>) -> Result<Dense<'_>> {
    let elements = match order == ByteOrder::Little && dtype != Dtype::Bool {
        true => elements,
        false => normalised(dtype, order, elements)?,
    };
    Ok(Dense { dtype, shape, elements })
}

/// The elements as they are kept.
fn normalised(dtype: Dtype, order: ByteOrder, elements: Elements<'_>) -> Result<Elements<'_>> {
    let swap = order == ByteOrder::Big && dtype.number_size() > 1;
    let normalise = dtype == Dtype::Bool && !elements.slices().all(is_bools);
    if !swap && !normalise {
        return Ok(elements);
    }
    let mut bytes = elements.into_vec()?;
    if swap {
        swap_bytes(&mut bytes, dtype.number_size());
    }
    if normalise {
        bytes.iter_mut().for_each(|b| *b = u8::from(*b != 0));
    }
    Ok(Elements::Owned(bytes))
}

/// Whether every byte is 0 or 1, sixty-four bytes at a time.
fn is_bools(bytes: &[u8]) -> bool {
    let (blocks, rest) = bytes.as_chunks::<64>();
    blocks.iter().all(|block| {
        let (words, _) = block.as_chunks::<8>();
        words.iter().fold(0, |bits, w| bits | u64::from_ne_bytes(*w)) & 0xfefe_fefe_fefe_fefe == 0
    }) && rest.iter().all(|&b| b <= 1)
}

/// An empty buffer with room for `bytes`.
fn reserve(bytes: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    out.try_reserve_exact(bytes).map_err(|_| Error::OutOfMemory { bytes })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_endian_bytes_are_borrowed_and_big_endian_bytes_swapped() {
        let bytes = [1, 0, 2, 0];
        let little = Dense::from_blob(Dtype::Int16, ByteOrder::Little, Shape::from([2]), &bytes).unwrap();
        assert_eq!(little.elements, Elements::Borrowed(&bytes));
        let big = Dense::from_blob(Dtype::Int16, ByteOrder::Big, Shape::from([2]), &bytes).unwrap();
        assert_eq!(big.elements, Elements::Owned(vec![0, 1, 0, 2]));
        let complex = [0u8, 0, 128, 63, 0, 0, 0, 64];
        let mut swapped = complex;
        swap_bytes(&mut swapped, 4);
        let big = Dense::from_blob(Dtype::Complex64, ByteOrder::Big, Shape::scalar(), &swapped).unwrap();
        assert_eq!(big.elements, Elements::Owned(complex.to_vec()));
    }

    #[test]
    fn pieces_may_be_cut_inside_an_element() {
        let pieces: Vec<&[u8]> = vec![&[1], &[], &[0, 2], &[0]];
        let little = Dense::from_pieces(Dtype::Int16, ByteOrder::Little, Shape::from([2]), pieces.clone()).unwrap();
        assert_eq!((little.elements.len(), little.elements.into_vec().unwrap()), (4, vec![1, 0, 2, 0]));
        let big = Dense::from_pieces(Dtype::Int16, ByteOrder::Big, Shape::from([2]), pieces).unwrap();
        assert_eq!(big.elements.into_vec().unwrap(), [0, 1, 0, 2]);
    }

    #[test]
    fn bool_bytes_above_one_are_truth_values() {
        for at in [0, 7, 63, 64, 130, 199] {
            let mut bytes = vec![1u8; 200];
            let whole = Dense::from_blob(Dtype::Bool, ByteOrder::Little, Shape::from([200]), &bytes).unwrap();
            assert!(matches!(whole.elements, Elements::Borrowed(_)));
            bytes[at] = 0x80;
            let dense = Dense::from_blob(Dtype::Bool, ByteOrder::Little, Shape::from([200]), &bytes).unwrap();
            assert_eq!(dense.elements, Elements::Owned(vec![1; 200]));
            let pieces = vec![&bytes[..at], &bytes[at..]];
            let dense = Dense::from_pieces(Dtype::Bool, ByteOrder::Big, Shape::from([200]), pieces).unwrap();
            assert_eq!(dense.elements, Elements::Owned(vec![1; 200]));
        }
    }

    #[test]
    fn err_lengths_that_do_not_match() {
        let err = Dense::from_blob(Dtype::Float32, ByteOrder::Little, Shape::from([3]), &[0; 7]).unwrap_err();
        assert_eq!(err.to_string(), "SHAPE float32 of shape (3,) takes 12 bytes, 7 given");
        let err = Dense::from_pieces(Dtype::Float32, ByteOrder::Little, Shape::from([3]), vec![&[0; 7], &[0; 7]]);
        assert_eq!(err.unwrap_err().to_string(), "SHAPE float32 of shape (3,) takes 12 bytes, 14 given");
    }
}
