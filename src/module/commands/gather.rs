//! `ND.GATHER n key [key ...] [SLICE index] [FILL v] [DTYPE dt] [format]`

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::cost::{Cost, Work};
use crate::module::db::Db;
use crate::module::error::{Refusal, Result};
use crate::module::input::check_bytes;
use crate::module::output::{reply_all, Body, Content, Format, Scratch};
use crate::module::register::Command;
use crate::module::reply::Reply;
use crate::module::spec::{integer, key, string, Access, Keys, Spec, FORMAT};
use crate::nd::array::Array;
use crate::nd::codec::fill_with;
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
    fill: Option<&'a [u8]>,
    plan: Plan,
}

/// What is taken of each array, and what becomes of it.
struct Plan {
    /// How many keys.
    n: usize,
    index: Option<Index>,
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
        let keys = args.keys(n)?;
        let (mut fill, mut plan) = (None, Plan { n, index: None, dtype: None, format: Format::Triple });
        loop {
            let again = if args.word("SLICE") {
                plan.index.replace(Index::parse(args.bytes("an index")?)?).map(|_| "SLICE")
            } else if args.word("FILL") {
                fill.replace(args.bytes("the value")?).map(|_| "FILL")
            } else if args.word("DTYPE") {
                plan.dtype.replace(args.dtype()?.0).map(|_| "DTYPE")
            } else {
                break;
            };
            if let Some(word) = again {
                return Err(Error::syntax(format!("{word} is given twice")).into());
            }
        }
        plan.format = Format::at_end(args);
        Ok(Call { keys, fill, plan })
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        let mut stack = Stack::new(&call.plan);
        for (i, key) in call.keys.iter().enumerate() {
            let is_long = db.look(*key, |array| {
                let Some(array) = array else { return call.missing(key).map(|()| false) };
                // All rows are alike: the first tells what they take together.
                if stack.row.is_none() && call.plan.cost(array).is_long() {
                    return Ok(true);
                }
                stack.add(array, key.bytes(), i).map(|()| false)
            })?;
            if is_long {
                drop(stack);
                return long(call, db);
            }
        }
        stack.reply(call.fill, db.reply())
    }
}

impl Call<'_> {
    /// A key without an array: refused where nothing is to stand for it.
    fn missing(&self, key: &Key<'_>) -> Result<()> {
        match self.fill {
            Some(_) => Ok(()),
            None => Err(Refusal::NoRow { key: quoted(key.bytes()) }),
        }
    }
}

/// The same for rows that take long to copy: the arrays are looked at here, and copied by a worker.
fn long(call: Call<'_>, db: &Db<'_>) -> Result<()> {
    let mut arrays = Vec::with_capacity(call.keys.len());
    let (mut row, mut cost) = (None, Cost::LEAST);
    for (i, key) in call.keys.iter().enumerate() {
        let array = db.read(*key)?;
        match &array {
            None => call.missing(key)?,
            Some(array) => {
                Row::fit(&mut row, array, &call.plan, key.bytes(), i)?;
                cost = cost.max(call.plan.cost(array));
            }
        }
        arrays.push((key.bytes().to_vec(), array));
    }
    let (plan, fill) = (call.plan, call.fill.map(<[u8]>::to_vec));
    db.finish(cost, move |reply| {
        let mut stack = Stack::new(&plan);
        for (i, (key, array)) in arrays.iter().enumerate() {
            array.as_ref().map_or(Ok(()), |array| stack.add(array, key, i))?;
        }
        stack.reply(fill.as_deref(), reply)
    })
}

impl Plan {
    /// What it takes where all arrays are like this one.
    fn cost(&self, array: &Array) -> Cost {
        let effort = match self.index.as_ref().map(|index| index.resolve(&array.shape())) {
            None => array.effort(),
            Some(Ok(selection)) => array.effort_of(&selection),
            Some(Err(_)) => return Cost::LEAST, // soon refused
        };
        let all = effort.times(self.n);
        let cast = if self.dtype.is_some_and(|to| to != array.dtype()) { all.bytes } else { 0 };
        self.format.cost(Cost::LEAST.and(Work::Compute, cast), all, array.dtype().itemsize())
    }
}

/// The rows so far.
struct Stack<'p> {
    plan: &'p Plan,
    row: Option<Row>,
    rows: Scratch,
    there: Vec<u8>,
}

impl<'p> Stack<'p> {
    fn new(plan: &'p Plan) -> Stack<'p> {
        Stack { plan, row: None, rows: Scratch::take(), there: vec![0; plan.n] }
    }

    /// Copies the row of the array at this place.
    fn add(&mut self, array: &Array, key: &[u8], place: usize) -> Result<()> {
        let row = Row::fit(&mut self.row, array, self.plan, key, place)?;
        row.copy(array, self.rows.bytes(self.plan.n * row.nbytes)?, place)?;
        self.there[place] = 1;
        Ok(())
    }

    /// Fills the rows that are missing, and answers.
    fn reply(mut self, fill: Option<&[u8]>, reply: &Reply) -> Result<()> {
        let n = self.plan.n;
        let Some(row) = self.row else { return Err(Refusal::NoneOfKeys { keys: n }) };
        let rows = self.rows.bytes(n * row.nbytes)?;
        if let (Some(text), true) = (fill, row.nbytes > 0) {
            let fill = Scalar::parse(text, row.dtype)?.to_le_bytes();
            let missing = rows.chunks_exact_mut(row.nbytes).zip(&self.there).filter(|(_, is_there)| **is_there == 0);
            missing.for_each(|(out, _)| fill_with(&fill[..row.dtype.itemsize()], out));
        }
        let rows = Content { dtype: row.dtype, shape: row.stacked, body: Body::Lent(rows) };
        let there = Content::own(Dtype::Bool, Shape::from([n]), &self.there)?;
        reply_all(&[rows, there], self.plan.format, reply)
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
    /// The row of another array, or of the first.
    fn fit<'r>(row: &'r mut Option<Row>, array: &Array, plan: &Plan, key: &[u8], place: usize) -> Result<&'r Row> {
        let of_key = |refusal: Refusal| refusal.of_key(key);
        match row {
            Some(row) => {
                row.check(array, plan, place).map_err(of_key)?;
                Ok(row)
            }
            none => {
                let first = Row::of(array, plan, place).map_err(of_key)?;
                check_bytes("the reply", plan.n * first.nbytes, &config::MAX_RESULT_BYTES)?;
                Ok(none.insert(first))
            }
        }
    }

    /// The first row.
    fn of(array: &Array, plan: &Plan, place: usize) -> Result<Row> {
        let source = array.shape();
        let selection = plan.index.as_ref().map(|index| index.resolve(&source)).transpose()?;
        let shape = selection.as_ref().map_or(&source, |s| s.out_shape()).clone();
        let from = array.dtype();
        let dtype = plan.dtype.unwrap_or(from);
        check_cast(from, dtype, Casting::SameKind)?;
        let mut stacked = Shape::from([plan.n]);
        for length in shape.iter() {
            stacked.push(*length)?;
        }
        let (_, nbytes) = stacked.size_and_bytes(dtype)?;
        Ok(Row { source, selection, shape, from, dtype, nbytes: nbytes / plan.n, stacked, place })
    }

    /// Whether another array fits beside it; its own shape and dtype are what counts from now on.
    fn check(&mut self, array: &Array, plan: &Plan, place: usize) -> Result<()> {
        if array.dtype() != self.from {
            match plan.dtype {
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
        let selection = plan.index.as_ref().map(|index| index.resolve(&source)).transpose()?;
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
