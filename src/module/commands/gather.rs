//! `ND.GATHER n key [key ...] [SLICE index] [FILL v] [DTYPE dt] [format]`

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::db::Db;
use crate::module::error::{Refusal, Result};
use crate::module::input::check_bytes;
use crate::module::output::{reply_all, Body, Content, Format, Scratch};
use crate::module::register::Command;
use crate::module::spec::{integer, key, string, Access, Keys, Spec, FORMAT};
use crate::nd::array::Array;
use crate::nd::chunk::fill_with;
use crate::nd::dtype::Dtype;
use crate::nd::error::{quoted, Error};
use crate::nd::index::{Index, Selection};
use crate::nd::kernels::cast::cast;
use crate::nd::kernels::promote::{check_cast, Casting};
use crate::nd::memory;
use crate::nd::scalar::Scalar;
use crate::nd::shape::Shape;

/// See the module comment.
pub struct Gather;

/// A parsed call.
pub struct Call<'a> {
    keys: Vec<Key<'a>>,
    index: Option<Index>,
    fill: Option<&'a [u8]>,
    dtype: Option<Dtype>,
    format: Format,
}

impl Command for Gather {
    const SPEC: Spec = Spec {
        name: "ND.GATHER",
        flags: "readonly",
        since: "0.1.0",
        summary: "Stacks the arrays of several keys, or the same part of each, into one array.",
        complexity: "O(N) where N is the number of bytes of the rows",
        keys: Keys::Counted(Access::Read),
        args: &[
            integer("numkeys"),
            key("key").multiple(),
            string("index").after("SLICE").optional(),
            string("value").after("FILL").optional(),
            string("dtype").after("DTYPE").optional(),
            FORMAT,
        ],
        reply: "Two elements: the rows as one array of shape `(numkeys, ...)`, and a bool array that says which keys were there. Both \
                are answered in the format.",
        notes: &[
            "As `numpy.stack` of the arrays, or of `a[index]` of each: all rows must have the same shape, else `SHAPE`. All must have the \
             same dtype, or `DTYPE` must be given: then each is cast to it (`same_kind`).",
            "A missing key is a `NOKEY` error; with `FILL` its row holds that value everywhere. Where no key is there at all, the shape of a \
             row is not known, and the call is refused with `NOKEY` too. A key of another type is always refused. \
             The same key may stand in several places.",
        ],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        let n = args.count("the number of keys")?;
        let mut call = Call { keys: args.keys(n)?, index: None, fill: None, dtype: None, format: Format::Triple };
        loop {
            let again = if args.word("SLICE") {
                call.index.replace(Index::parse(args.bytes("an index")?)?).map(|_| "SLICE")
            } else if args.word("FILL") {
                call.fill.replace(args.bytes("the value")?).map(|_| "FILL")
            } else if args.word("DTYPE") {
                call.dtype.replace(args.dtype()?.0).map(|_| "DTYPE")
            } else {
                break;
            };
            if let Some(word) = again {
                return Err(Error::syntax(format!("{word} is given twice")).into());
            }
        }
        call.format = Format::at_end(args);
        Ok(call)
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        let n = call.keys.len();
        let mut scratch = Scratch::take();
        let mut there = vec![0u8; n];
        let mut first: Option<Row> = None;
        for (i, key) in call.keys.iter().enumerate() {
            there[i] = db.look(*key, |array| {
                let Some(array) = array else {
                    return match call.fill {
                        Some(_) => Ok(0),
                        None => Err(Refusal::NoKey { key: quoted(key.bytes()) }),
                    };
                };
                let row = match &mut first {
                    Some(row) => {
                        row.check(array, &call, i)?;
                        row
                    }
                    none => none.insert(Row::of(array, &call, i)?),
                };
                row.copy(array, scratch.bytes(n * row.nbytes)?, i)?;
                Ok(1)
            })?;
        }
        let Some(row) = first else { return Err(Refusal::NoneOfKeys { keys: n }) };
        let rows = scratch.bytes(n * row.nbytes)?;
        if let (Some(text), true) = (call.fill, row.nbytes > 0) {
            let fill = Scalar::parse(text, row.dtype)?.to_le_bytes();
            let missing = rows.chunks_exact_mut(row.nbytes).zip(&there).filter(|(_, is_there)| **is_there == 0);
            missing.for_each(|(out, _)| fill_with(&fill[..row.dtype.itemsize()], out));
        }
        let rows = Content { dtype: row.dtype, shape: row.stacked, body: Body::Lent(rows) };
        let there = Content::own(Dtype::Bool, Shape::from([n]), &there)?;
        reply_all(&[rows, there], call.format, db.reply())
    }
}

/// What a row is: decided by the first array, asked of every other.
struct Row {
    /// The array's shape, and what the index selects of it; the same for all keys most of the time.
    source: Shape,
    selection: Option<Selection>,
    /// The row's own shape.
    shape: Shape,
    /// Where it comes from, and what it is to be.
    from: Dtype,
    dtype: Dtype,
    /// Bytes of a row in the output.
    nbytes: usize,
    /// All rows together.
    stacked: Shape,
    /// The key that decided it.
    place: usize,
}

impl Row {
    /// The first row.
    fn of(array: &Array, call: &Call<'_>, place: usize) -> Result<Row> {
        let source = array.shape();
        let selection = call.index.as_ref().map(|index| index.resolve(&source)).transpose()?;
        let shape = selection.as_ref().map_or(&source, |s| s.out_shape()).clone();
        let from = array.dtype();
        let dtype = call.dtype.unwrap_or(from);
        check_cast(from, dtype, Casting::SameKind)?;
        let mut stacked = Shape::from([call.keys.len()]);
        for length in shape.iter() {
            stacked.push(*length)?;
        }
        let (_, nbytes) = stacked.size_and_bytes(dtype)?;
        check_bytes("the reply", nbytes, config::MAX_RESULT_BYTES.get())?;
        Ok(Row { source, selection, shape, from, dtype, nbytes: nbytes / call.keys.len(), stacked, place })
    }

    /// Whether another array fits beside it; its own shape and dtype are what counts from now on.
    fn check(&mut self, array: &Array, call: &Call<'_>, place: usize) -> Result<()> {
        if array.dtype() != self.from {
            match call.dtype {
                Some(dtype) => check_cast(array.dtype(), dtype, Casting::SameKind)?,
                None => {
                    return Err(
                        Error::StackDtype { place, given: array.dtype(), first: self.place, dtype: self.dtype }.into()
                    )
                }
            }
            self.from = array.dtype();
        }
        if array.has_shape(&self.source) {
            return Ok(());
        }
        let source = array.shape();
        let selection = call.index.as_ref().map(|index| index.resolve(&source)).transpose()?;
        let shape = selection.as_ref().map_or(&source, |s| s.out_shape());
        if *shape != self.shape {
            let (given, expected) = (shape.clone(), self.shape.clone());
            return Err(Error::StackShape { place, given, first: self.place, expected }.into());
        }
        (self.source, self.selection) = (source, selection);
        Ok(())
    }

    /// Copies an array's row to its place.
    fn copy(&self, array: &Array, rows: &mut [u8], place: usize) -> Result<()> {
        let out = &mut rows[place * self.nbytes..][..self.nbytes];
        if self.from == self.dtype {
            return match (&self.selection, array.plain_bytes()) {
                (None, Some(bytes)) => {
                    out.copy_from_slice(bytes);
                    Ok(())
                }
                (None, None) => {
                    let mut done = 0;
                    Ok(array.visit_run(0, array.size(), |bytes| {
                        out[done..done + bytes.len()].copy_from_slice(bytes);
                        done += bytes.len();
                        Ok(())
                    })?)
                }
                (Some(selection), _) => Ok(array.read_into(selection, out)?),
            };
        }
        let nbytes = self.nbytes / self.dtype.itemsize() * self.from.itemsize();
        match (&self.selection, array.plain_bytes()) {
            (None, Some(bytes)) => cast(self.from, bytes, self.dtype, out),
            (None, None) => {
                let mut done = 0;
                array.visit_run(0, array.size(), |bytes| {
                    let n = bytes.len() / self.from.itemsize() * self.dtype.itemsize();
                    cast(self.from, bytes, self.dtype, &mut out[done..done + n]);
                    done += n;
                    Ok(())
                })?;
            }
            (Some(selection), _) => {
                let part = array.read(selection)?;
                cast(self.from, memory::bytes(&part, nbytes), self.dtype, out);
            }
        }
        Ok(())
    }
}
