//! The *array argument*: every way to hand an array to a command.

use super::args::Args;
use super::config;
use super::error::Result;
use crate::nd::array::{Array, StoreOptions};
use crate::nd::dtype::Dtype;
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
    let dense = if first.eq_ignore_ascii_case(b"NPY") {
        npy::read(args.bytes("the NPY file")?)?
    } else if first.eq_ignore_ascii_case(b"ARROW") {
        arrow::read(args.bytes("the ARROW message")?)?
    } else if first.eq_ignore_ascii_case(b"JSON") {
        let text = args.bytes("the JSON text")?;
        let dtype = if args.word("DTYPE") { Some(args.dtype()?.0) } else { None };
        json::read(text, dtype)?
    } else {
        typed(first, args)?
    };
    check_size(dense.dtype, &dense.shape)?;
    Ok(dense)
}

/// The forms that begin with dtype and shape.
fn typed<'a>(dtype: &'a [u8], args: &mut Args<'a>) -> Result<Dense<'a>> {
    if [&b"BLOB"[..], b"PIECES", b"VALUES"].iter().any(|form| dtype.eq_ignore_ascii_case(form)) {
        let what = format!("dtype and shape are missing before {}", quoted(dtype));
        return Err(Error::syntax(what).into());
    }
    let (dtype, order) = Dtype::parse(dtype)?;
    let shape = args.shape()?;
    let form = args.bytes("BLOB, PIECES or VALUES")?;
    if form.eq_ignore_ascii_case(b"BLOB") {
        let bytes = args.bytes("the elements' bytes")?;
        return Ok(Dense::from_blob(dtype, order, shape, bytes)?);
    }
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

/// Refuses an array that is larger than `ndarray.max-array-bytes`.
///
/// # Errors
/// `LIMIT`.
pub fn check_size(dtype: Dtype, shape: &Shape) -> Result<()> {
    let (_, nbytes) = shape.size_and_bytes(dtype)?;
    check_bytes("the array", nbytes, config::MAX_ARRAY_BYTES.get())
}

/// Refuses a size above a limit.
///
/// # Errors
/// `LIMIT`.
pub fn check_bytes(what: &'static str, given: usize, limit: usize) -> Result<()> {
    if given > limit {
        return Err(Error::Limit { what, given: given as u128, limit: limit as u128, unit: "bytes" }.into());
    }
    Ok(())
}

/// Calls `f` with the elements as a [`Source`].
pub fn with_source<R>(elements: &Elements<'_>, f: impl FnOnce(&mut dyn Source) -> R) -> R {
    match elements {
        Elements::Borrowed(bytes) => f(&mut SliceSource::new(bytes)),
        Elements::Owned(bytes) => f(&mut SliceSource::new(bytes)),
        Elements::Pieces(pieces) => f(&mut PiecesSource::new(pieces)),
    }
}

/// Stores a parsed array.
///
/// # Errors
/// `SHAPE` or `LIMIT` for a chunk shape that does not fit; `OOM`.
pub fn build(dense: &Dense<'_>, options: &StoreOptions) -> Result<Array> {
    Ok(with_source(&dense.elements, |source| Array::from_source(dense.dtype, &dense.shape, source, options))?)
}
