//! `ND.SLICE key index [format]`

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::cost::Cost;
use crate::module::db::Db;
use crate::module::error::Result;
use crate::module::input::check_bytes;
use crate::module::output::{Body, Content, Format, Scratch};
use crate::module::register::Command;
use crate::module::spec::{key, string, Access, Keys, Spec, FORMAT};
use crate::nd::array::Array;
use crate::nd::index::{Index, Selection};

/// See the module comment.
pub struct Slice;

/// A parsed call.
pub struct Call<'a> {
    key: Key<'a>,
    index: Index,
    format: Format,
}

/// What `index` selects of an array.
///
/// # Errors
/// `INDEX` where it does not fit the shape; `LIMIT` above `ndarray.max-result-bytes`.
pub fn resolve(array: &Array, index: &Index) -> Result<Selection> {
    let selection = index.resolve(&array.shape())?;
    let (_, nbytes) = selection.out_shape().size_and_bytes(array.dtype())?;
    check_bytes("the selection", nbytes, &config::MAX_RESULT_BYTES)?;
    Ok(selection)
}

/// The selected elements: a run of the array itself, or a copy of what lies scattered.
///
/// # Errors
/// `CORRUPT`, `OOM`.
pub fn read<'a>(array: &'a Array, selection: &Selection) -> Result<Content<'a>> {
    let (dtype, shape) = (array.dtype(), selection.out_shape().clone());
    let body = match selection.as_contiguous_run(&array.shape()) {
        Some((start, _)) => Body::Run(array, start),
        None => Body::Own(array.read(selection)?),
    };
    Ok(Content { dtype, shape, body })
}

/// Encoded chunks of up to so many bytes of elements are joined in a buffer that the thread keeps, each decoded straight to
/// its place there. Longer runs are decoded chunk by chunk, several at a time.
const JOINED: usize = 1 << 20;

/// Calls `f` with the selected elements: where they are, if they lie side by side, else in a buffer that is used again.
///
/// # Errors
/// `CORRUPT`, `OOM`; whatever `f` answers.
fn with_selected(array: &Array, selection: &Selection, f: impl FnOnce(&Content<'_>) -> Result<()>) -> Result<()> {
    let (dtype, shape) = (array.dtype(), selection.out_shape().clone());
    let (size, nbytes) = shape.size_and_bytes(dtype)?;
    if let Some((start, _)) = selection.as_contiguous_run(&array.shape()) {
        if let Some(bytes) = array.run_in_place(start, size) {
            return f(&Content { dtype, shape, body: Body::Lent(bytes) });
        }
        if nbytes > JOINED {
            return f(&Content { dtype, shape, body: Body::Run(array, start) });
        }
    }
    let mut scratch = Scratch::take();
    let bytes = scratch.bytes(nbytes)?;
    array.read_into(selection, bytes)?;
    f(&Content { dtype, shape, body: Body::Lent(bytes) })
}

impl Command for Slice {
    const SPEC: Spec = Spec {
        name: "ND.SLICE",
        flags: "readonly",
        since: "0.1.0",
        summary: "Returns the part of an array that a NumPy subscript selects.",
        complexity: "O(N) where N is the number of bytes selected, plus the bytes of encoded chunks that it touches",
        keys: Keys::One(Access::Read),
        args: &[key("key"), string("index"), FORMAT],
        reply: "The selected array (0-d stays an array); nil where the key is missing.",
        notes: &["Only chunks that the selection touches are read; raw chunks are read in place."],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        let key = args.next("a key")?;
        let index = Index::parse(args.bytes("an index")?)?;
        Ok(Call { key, index, format: Format::at_end(args) })
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        let Some(array) = db.read(call.key)? else { return db.nil() };
        let selection = resolve(&array, &call.index)?;
        let effort = array.effort_of(&selection);
        let cost = call.format.cost(Cost::LEAST, effort, array.dtype().itemsize());
        db.finish(cost, move |reply| with_selected(&array, &selection, |content| content.reply(call.format, reply)))
    }
}
