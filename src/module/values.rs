//! What a command that changes elements takes them from: an array argument, another key, or one number.

use std::borrow::Cow;

use super::args::{Args, Key};
use super::config;
use super::db::Db;
use super::error::{Refusal, Result};
use super::input::{self, check_bytes};
use crate::nd::array::Array;
use crate::nd::dtype::{Dtype, Kind};
use crate::nd::error::{quoted, Error};
use crate::nd::format::{Dense, Elements};
use crate::nd::index::{Basic, Index, Selection};
use crate::nd::kernels::cast::cast_slices;
use crate::nd::kernels::promote::Casting;
use crate::nd::memory::{self, Buffer};
use crate::nd::scalar::{Number, Scalar};
use crate::nd::shape::Shape;

/// Values as a call gives them.
pub enum Given<'a> {
    /// An array argument.
    Dense(Dense<'a>),
    /// `KEY key`: what the key holds, as it is before the command.
    Key(Key<'a>),
    /// `SCALAR v`: a number with no dtype of its own, as a literal in Python.
    Scalar(Number),
}

/// Values at hand: elements in C order.
pub struct Loaded<'g> {
    /// Their dtype.
    pub dtype: Dtype,
    /// Their shape.
    pub shape: Shape,
    bytes: Bytes<'g>,
}

enum Bytes<'g> {
    /// Maybe not aligned.
    Slice(Cow<'g, [u8]>),
    /// Aligned, and so long.
    Buffer(Buffer, usize),
}

impl<'a> Given<'a> {
    /// Reads an array argument that may be `KEY key`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn array_or_key(args: &mut Args<'a>) -> Result<Given<'a>> {
        if args.word("KEY") {
            return Ok(Given::Key(args.next("the source's key")?));
        }
        let dense = input::array(args);
        Ok(Given::Dense(dense.map_err(|refusal| input::or_words(refusal, &["KEY", "NPY", "ARROW", "JSON"]))?))
    }

    /// Reads an array argument that may be `KEY key` or `SCALAR v`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn any(args: &mut Args<'a>) -> Result<Given<'a>> {
        if args.word("SCALAR") {
            return Ok(Given::Scalar(Number::parse(args.bytes("the number")?)?));
        }
        Given::array_or_key(args)
            .map_err(|refusal| input::or_words(refusal, &["SCALAR", "KEY", "NPY", "ARROW", "JSON"]))
    }

    /// The values, for elements of dtype `to`; a number takes that dtype. `check` is asked about their dtype
    /// and shape before elements are read.
    ///
    /// # Errors
    /// `DTYPE` for a number that is of a later kind than `to`, `VALUE` for an integer that `to` cannot hold; `NOKEY` and
    /// `WRONGTYPE` of the source; `LIMIT` for a source above `ndarray.max-array-bytes`; `CORRUPT`, `OOM`; what `check` says.
    pub fn load(
        self,
        db: &Db<'_>,
        to: Dtype,
        check: impl FnOnce(Dtype, &Shape) -> crate::nd::error::Result<()>,
    ) -> Result<Loaded<'a>> {
        match self {
            Given::Scalar(number) => {
                let shape = Shape::scalar();
                let scalar = weak(number, to)?;
                check(to, &shape)?;
                let bytes = Bytes::Slice(Cow::Owned(scalar.to_le_bytes()[..to.itemsize()].to_vec()));
                Ok(Loaded { dtype: to, shape, bytes })
            }
            Given::Dense(dense) => {
                check(dense.dtype, &dense.shape)?;
                let bytes = match dense.elements {
                    Elements::Borrowed(bytes) => Cow::Borrowed(bytes),
                    other => Cow::Owned(other.into_vec()?),
                };
                Ok(Loaded { dtype: dense.dtype, shape: dense.shape, bytes: Bytes::Slice(bytes) })
            }
            Given::Key(key) => {
                let array = db.read(key)?.ok_or_else(|| Refusal::NoKey { key: quoted(key.bytes()) })?;
                let shape = array.shape();
                check(array.dtype(), &shape)?;
                check_bytes("reading the array", array.nbytes(), &config::MAX_ARRAY_BYTES)?;
                let elements = array.read(&Selection::Basic(Basic::whole(&shape)))?;
                Ok(Loaded { dtype: array.dtype(), shape, bytes: Bytes::Buffer(elements, array.nbytes()) })
            }
        }
    }
}

impl<'g> Loaded<'g> {
    /// The elements; not always aligned.
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Slice(bytes) => bytes,
            Bytes::Buffer(buffer, len) => memory::bytes(buffer, *len),
        }
    }

    /// The same elements as another dtype, whatever is lost.
    ///
    /// # Errors
    /// `LIMIT`, `OOM`.
    pub fn cast(self, to: Dtype) -> Result<Loaded<'g>> {
        if self.dtype == to {
            return Ok(self);
        }
        let (_, nbytes) = self.shape.size_and_bytes(to)?;
        check_bytes("the array", nbytes, &config::MAX_ARRAY_BYTES)?;
        let mut buffer = memory::buffer_zeroed(nbytes)?;
        cast_slices(self.dtype, std::iter::once(self.bytes()), to, memory::bytes_mut(&mut buffer, nbytes));
        Ok(Loaded { dtype: to, shape: self.shape, bytes: Bytes::Buffer(buffer, nbytes) })
    }
}

/// Where a write goes: an index, and how much text it was.
pub struct Target {
    index: Index,
    text: usize,
}

impl Target {
    /// Points that lists may always make, however small the array.
    const FEW: usize = 1 << 16;
    /// Elements that may always be written, however small the array: rows, each in one go.
    const MANY: usize = 1 << 26;

    /// Reads the index of a write. No text selects everything where something is read; a write must say so by `...`, since an
    /// empty text may be a variable that somebody forgot to set.
    ///
    /// # Errors
    /// `INDEX` for an empty text, and what is wrong with another.
    pub fn parse(args: &mut Args<'_>) -> Result<Target> {
        let text = args.bytes("an index")?;
        let empty = || Error::IndexSyntax {
            column: 1,
            what: "no index says where to write (use ... for the whole array)".into(),
        };
        if text.trim_ascii().is_empty() {
            return Err(empty().into());
        }
        Ok(Target { index: Index::parse(text)?, text: text.len() })
    }

    /// What it selects of an array. Lists that broadcast can name a few elements over and over: a write, which holds up every
    /// other client, takes no more points than the array has elements or the text has bytes.
    ///
    /// # Errors
    /// `LIMIT`, and those of [`Index::resolve`].
    pub fn resolve(&self, array: &Array) -> Result<Selection> {
        let selection = self.index.resolve(&array.shape())?;
        if let Selection::Advanced(advanced) = &selection {
            let most_points = array.size().max(self.text).max(Target::FEW);
            check("the points to write to", advanced.point_count(), most_points, "points")?;
            let most = array.size().max(Target::MANY);
            check("the elements to write to", advanced.out_shape().len_or_max(), most, "elements")?;
        }
        Ok(selection)
    }
}

fn check(what: &'static str, given: usize, limit: usize, unit: &'static str) -> Result<()> {
    if given > limit {
        let (given, limit) = (given as u128, limit as u128); // widening
        return Err(Error::Limit { what, given, limit, unit }.into());
    }
    Ok(())
}

/// A literal beside elements of dtype `to`: it takes that dtype, where it is of its kind or an earlier one.
fn weak(number: Number, to: Dtype) -> Result<Scalar> {
    let (own, kind) = match number {
        Number::Bool(_) => (Dtype::Bool, Kind::Bool),
        Number::Int(_) => (Dtype::Int64, Kind::Unsigned), // a literal has no sign to lose: what fits, fits
        Number::Float(_) => (Dtype::Float64, Kind::Float),
        Number::Complex(_) => (Dtype::Complex128, Kind::Complex),
    };
    if kind > to.kind() {
        return Err(Error::Cast { from: own, to, rule: Casting::SameKind.name() }.into());
    }
    Ok(Scalar::new(number, to)?)
}
