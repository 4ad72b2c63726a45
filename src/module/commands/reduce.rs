//! `ND.SUM` and `ND.MEAN key [AXIS a[,b...]] [KEEPDIMS] [SLICE index] [format]`

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::db::Db;
use crate::module::error::Result;
use crate::module::input::check_bytes;
use crate::module::output::{Body, Content, Format};
use crate::module::register::Command;
use crate::module::spec::{key, string, word, Access, ArgSpec, Keys, Spec, FORMAT};
use crate::nd::array::{Array, Block};
use crate::nd::index::{parse_axes, Index};
use crate::nd::kernels::axes::AxisSet;
use crate::nd::kernels::reduce::{KeepDims, Op, Reduction, State};
use crate::nd::memory;
use crate::nd::scalar::Scalar;

/// A parsed call of any reduction.
pub struct Call<'a> {
    key: Key<'a>,
    axes: Option<Vec<i64>>,
    keepdims: KeepDims,
    index: Option<Index>,
    format: Option<Format>,
}

const ARGS: &[ArgSpec] = &[
    key("key"),
    string("axes").after("AXIS").optional(),
    word("keepdims", "KEEPDIMS").optional(),
    string("index").after("SLICE").optional(),
    FORMAT,
];

const REPLY: &str =
    "Over all elements a scalar, with `AXIS`, `KEEPDIMS` or a format an array; nil where the key is missing.";

fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
    let key = args.next("a key")?;
    let mut call = Call { key, axes: None, keepdims: KeepDims::No, index: None, format: None };
    loop {
        if call.axes.is_none() && args.word("AXIS") {
            call.axes = Some(parse_axes(args.bytes("the axes")?)?);
        } else if call.keepdims == KeepDims::No && args.word("KEEPDIMS") {
            call.keepdims = KeepDims::Yes;
        } else if call.index.is_none() && args.word("SLICE") {
            call.index = Some(Index::parse(args.bytes("an index")?)?);
        } else {
            call.format = Format::take(args);
            return Ok(call);
        }
    }
}

fn run(op: Op, call: &Call<'_>, db: &Db<'_>) -> Result<()> {
    let Some(array) = db.read(call.key)? else {
        db.reply().null();
        return Ok(());
    };
    let part = match &call.index {
        Some(index) => super::slice::select(&array, index)?,
        None => Content::whole(&array),
    };
    check_bytes("reading the array", part.nbytes(), config::MAX_ARRAY_BYTES.get())?;
    let axes = match &call.axes {
        Some(axes) => AxisSet::new(axes, part.shape.ndim())?,
        None => AxisSet::all(part.shape.ndim()),
    };
    let reduction = Reduction::new(op, part.dtype, &part.shape, &axes, call.keepdims)?;
    check_bytes("the result", reduction.state_bytes(), config::MAX_RESULT_BYTES.get())?;
    let mut state = reduction.start()?;
    add(&mut state, &part, &array)?;
    let (dtype, shape, bytes) = state.finish()?;
    let as_array = call.axes.is_some() || call.keepdims == KeepDims::Yes || call.format.is_some();
    if as_array {
        return Content::own(dtype, shape, &bytes)?.reply(call.format.unwrap_or(Format::Triple), db.reply());
    }
    db.reply().scalar(&Scalar::from_le_bytes(dtype, &bytes));
    Ok(())
}

/// Adds every element of `part`: chunk by chunk where it is a whole array, else as one block.
fn add(state: &mut State, part: &Content<'_>, array: &Array) -> Result<()> {
    let zero = vec![0; part.shape.ndim()];
    match &part.body {
        Body::Run(_, _) if part.shape == array.shape() => array.blocks(|place, block| match block {
            Block::Elements(bytes) => state.add_block(bytes, &place.shape, &place.offset),
            Block::Fill(element) => {
                state.add_fill(&Scalar::from_le_bytes(part.dtype, element), &place.shape, &place.offset)
            }
        })?,
        Body::Run(_, _) => {
            let bytes = part.with_bytes(&[], &[], memory::buffer_from)??;
            state.add_block(memory::bytes(&bytes, part.nbytes()), &part.shape, &zero)?;
        }
        Body::Own(bytes) => state.add_block(memory::bytes(bytes, part.nbytes()), &part.shape, &zero)?,
        Body::Lent(bytes) => state.add_block(bytes, &part.shape, &zero)?,
    }
    Ok(())
}

/// `ND.SUM`
pub struct Sum;

impl Command for Sum {
    const SPEC: Spec = Spec {
        name: "ND.SUM",
        flags: "readonly",
        since: "0.1.0",
        summary: "Returns the sum of an array, over all elements or along axes.",
        complexity: "O(N) where N is the number of elements",
        keys: Keys::One(Access::Read),
        args: ARGS,
        reply: REPLY,
        notes: &[
            "Result dtypes are NumPy's: bool and signed integers sum as int64, unsigned as uint64 (both wrap), floats and \
             complex numbers as themselves, accumulated in float64 or better. The sum of nothing is 0.",
            "The same array gives the same bits on every machine and with every codec. Another chunk shape may change the last \
             bit of a float result.",
        ],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        parse(args)
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        run(Op::Sum, &call, db)
    }
}

/// `ND.MEAN`
pub struct Mean;

impl Command for Mean {
    const SPEC: Spec = Spec {
        name: "ND.MEAN",
        flags: "readonly",
        since: "0.1.0",
        summary: "Returns the arithmetic mean of an array, over all elements or along axes.",
        complexity: "O(N) where N is the number of elements",
        keys: Keys::One(Access::Read),
        args: ARGS,
        reply: REPLY,
        notes: &["Result dtypes are NumPy's: float64 for bool and integers, else the array's own. The mean of nothing is NaN."],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        parse(args)
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        run(Op::Mean, &call, db)
    }
}
