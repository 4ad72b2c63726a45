//! The *array argument*: every way to hand an array to a command.

use super::args::Args;
use super::config::{self, Whole};
use super::error::{Refusal, Result};
use super::held::Strings;
use crate::nd::array::{Array, StoreOptions};
use crate::nd::dtype::{ByteOrder, Dtype};
use crate::nd::error::{quoted, Error};
use crate::nd::format::{arrow, json, npy, values, Dense, Elements};
use crate::nd::shape::Shape;
use crate::nd::source::{PiecesSource, SliceSource, Source};

/// Reads one array argument; elements are borrowed from the argument wherever they have the right layout already.
///
/// # Errors
/// What is wrong with it; `LIMIT` above `ndarray.max-array-bytes`.
pub fn array<'a>(args: &mut Args<'a>) -> Result<Dense<'a>> {
    let first = args.bytes("an array (dtype and shape, NPY, ARROW or JSON)")?;
    let dense = match Dtype::from_name(first) {
        Some(dtype) => of_dtype(dtype, ByteOrder::Little, args)?, // what most calls begin with
        None => of_word(first, args)?,
    };
    check_bytes("the array", dense.elements.len(), &config::MAX_ARRAY_BYTES)?;
    Ok(dense)
}

/// The forms that begin with anything but a dtype as we write it.
fn of_word<'a>(first: &'a [u8], args: &mut Args<'a>) -> Result<Dense<'a>> {
    if first.eq_ignore_ascii_case(b"NPY") {
        return Ok(npy::read(args.bytes("the NPY file")?)?);
    }
    if first.eq_ignore_ascii_case(b"ARROW") {
        return Ok(arrow::read(args.bytes("the ARROW message")?)?);
    }
    if first.eq_ignore_ascii_case(b"JSON") {
        let text = args.bytes("the JSON text")?;
        let dtype = if args.word("DTYPE") { Some(args.dtype()?.0) } else { None };
        return Ok(json::read(text, dtype)?);
    }
    typed(first, args)
}

/// The forms that begin with dtype and shape.
fn typed<'a>(dtype: &'a [u8], args: &mut Args<'a>) -> Result<Dense<'a>> {
    if [&b"BLOB"[..], b"PIECES", b"VALUES"].iter().any(|form| dtype.eq_ignore_ascii_case(form)) {
        let what = format!("dtype and shape are missing before {}", quoted(dtype));
        return Err(Error::syntax(what).into());
    }
    let (dtype, order) = Dtype::parse(dtype).map_err(|refusal| or_words(refusal.into(), &["NPY", "ARROW", "JSON"]))?;
    of_dtype(dtype, order, args)
}

/// Has the refusal of a dtype name the words that may stand in its place.
pub fn or_words(refusal: Refusal, words: &'static [&'static str]) -> Refusal {
    match refusal {
        Refusal::Library(Error::UnknownDtype { given, .. }) => Error::UnknownDtype { given, or: words }.into(),
        other => other,
    }
}

/// What follows the dtype.
#[inline]
fn of_dtype<'a>(dtype: Dtype, order: ByteOrder, args: &mut Args<'a>) -> Result<Dense<'a>> {
    let shape = args.shape()?;
    let form = args.bytes("BLOB, PIECES or VALUES")?;
    if form == b"BLOB" || form.eq_ignore_ascii_case(b"BLOB") {
        let bytes = args.bytes("the elements' bytes")?;
        return Ok(Dense::from_blob(dtype, order, shape, bytes)?);
    }
    of_form(form, dtype, order, shape, args)
}

/// What follows the word for any form but `BLOB`.
fn of_form<'a>(form: &[u8], dtype: Dtype, order: ByteOrder, shape: Shape, args: &mut Args<'a>) -> Result<Dense<'a>> {
    if form.eq_ignore_ascii_case(b"PIECES") {
        let n = args.count("the number of pieces")?;
        let pieces = (0..n).map(|_| args.bytes("a piece")).collect::<Result<Vec<_>>>()?;
        return Ok(Dense::from_pieces(dtype, order, shape, pieces)?);
    }
    if form.eq_ignore_ascii_case(b"VALUES") {
        let (size, _) = shape.size_and_bytes(dtype)?;
        if size > args.left() {
            return Err(Error::ElementCount { shape, given: args.left() }.into());
        }
        let list = (0..size).map(|_| args.bytes("a value")).collect::<Result<Vec<_>>>()?;
        return Ok(values::read(dtype, &shape, &mut list.into_iter())?);
    }
    Err(Error::syntax(format!(
        "'{}' is not a form of array argument (use BLOB, PIECES or VALUES after the shape)",
        quoted(form)
    ))
    .into())
}

/// Reads positions on an axis: `n i [i ...]`, `BLOB` and their int64 bytes, or `PIECES n` and the same bytes cut anywhere.
///
/// # Errors
/// `SYNTAX` where something is missing, `VALUE` for what is no integer and for bytes that are not whole int64s; `OOM`.
pub fn positions(args: &mut Args<'_>) -> Result<Vec<i64>> {
    if args.word("BLOB") {
        return int64s(&[args.bytes("the positions' bytes")?]);
    }
    if args.word("PIECES") {
        let n = args.count("the number of pieces")?;
        let pieces = (0..n).map(|_| args.bytes("a piece")).collect::<Result<Vec<_>>>()?;
        return int64s(&pieces);
    }
    let n = usize::try_from(args.integer("the number of positions", 0)?).unwrap_or(usize::MAX);
    if n > args.left() {
        return Err(Error::syntax(format!("the number of positions is {n}, {} follow", args.left())).into());
    }
    (0..n).map(|_| args.integer("a position", i64::MIN)).collect()
}

/// Little-endian int64s from bytes that are cut anywhere.
fn int64s(pieces: &[&[u8]]) -> Result<Vec<i64>> {
    let bytes = pieces.iter().fold(0usize, |n, p| n.saturating_add(p.len()));
    if !bytes.is_multiple_of(8) {
        return Err(Error::value(format!("positions are int64s of 8 bytes each, {bytes} bytes are given")).into());
    }
    let mut list = Vec::new();
    list.try_reserve_exact(bytes / 8).map_err(|_| Error::OutOfMemory { bytes })?;
    // The int64 that a cut goes through, and how much of it is there.
    let (mut cut, mut filled) = ([0u8; 8], 0);
    for mut piece in pieces.iter().copied() {
        if filled > 0 {
            let (rest, after) = piece.split_at(piece.len().min(8 - filled));
            cut[filled..filled + rest.len()].copy_from_slice(rest);
            (filled, piece) = (filled + rest.len(), after);
            if filled == 8 {
                list.push(i64::from_le_bytes(cut));
                filled = 0;
            }
        }
        let (whole, rest) = piece.as_chunks::<8>();
        list.extend(whole.iter().map(|b| i64::from_le_bytes(*b)));
        if !rest.is_empty() {
            cut[..rest.len()].copy_from_slice(rest);
            filled = rest.len();
        }
    }
    Ok(list)
}

/// Refuses an array that is larger than `ndarray.max-array-bytes`.
///
/// # Errors
/// `LIMIT`.
pub fn check_size(dtype: Dtype, shape: &Shape) -> Result<()> {
    let (_, nbytes) = shape.size_and_bytes(dtype)?;
    check_bytes("the array", nbytes, &config::MAX_ARRAY_BYTES)
}

/// Refuses a size above a limit that is set.
///
/// # Errors
/// `LIMIT`.
#[inline]
pub fn check_bytes(what: &'static str, given: usize, limit: &'static Whole) -> Result<()> {
    if given > limit.get() {
        return Err(Error::AboveSetting { what, given, limit: limit.get(), setting: limit.name() }.into());
    }
    Ok(())
}

/// Calls `f` with the elements as a [`Source`], which may leave them in the call's `strings`.
pub fn with_source<R>(elements: &Elements<'_>, strings: &Strings<'_>, f: impl FnOnce(&mut dyn Source) -> R) -> R {
    match elements {
        Elements::Borrowed(bytes) => f(&mut SliceSource::lent(bytes, strings)),
        Elements::Owned(bytes) => f(&mut SliceSource::new(bytes)),
        Elements::Pieces(pieces) => f(&mut PiecesSource::lent(pieces, strings)),
    }
}

/// [`Strings::space_out`] of elements that came in pieces and are stored.
pub fn space_out(elements: &Elements<'_>, strings: &Strings<'_>) {
    if let Elements::Pieces(pieces) = elements {
        strings.space_out(pieces);
    }
}

/// Stores a parsed array.
///
/// # Errors
/// `SHAPE` or `LIMIT` for a chunk shape that does not fit; `OOM`.
pub fn build(dense: &Dense<'_>, strings: &Strings<'_>, options: &StoreOptions) -> Result<Array> {
    let store = |source: &mut dyn Source| Array::from_source(dense.dtype, &dense.shape, source, options);
    let array = with_source(&dense.elements, strings, store)?;
    space_out(&dense.elements, strings);
    Ok(array)
}
