//! `ND.SLICE key index [format]`

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::db::Db;
use crate::module::error::Result;
use crate::module::input::check_bytes;
use crate::module::output::{Body, Content, Format};
use crate::module::register::Command;
use crate::module::spec::{key, string, Access, Keys, Spec, FORMAT};
use crate::nd::array::Array;
use crate::nd::index::Index;

/// See the module comment.
pub struct Slice;

/// A parsed call.
pub struct Call<'a> {
    key: Key<'a>,
    index: Index,
    format: Format,
}

/// The elements that `index` selects: a run of the array itself, or a copy of what lies scattered.
///
/// # Errors
/// `INDEX` where it does not fit the shape; `LIMIT` above `ndarray.max-result-bytes`; `CORRUPT`, `OOM`.
pub fn select<'a>(array: &'a Array, index: &Index) -> Result<Content<'a>> {
    let shape = array.shape();
    let selection = index.resolve(&shape)?;
    let out_shape = selection.out_shape().clone();
    let (_, nbytes) = out_shape.size_and_bytes(array.dtype())?;
    check_bytes("the selection", nbytes, config::MAX_RESULT_BYTES.get())?;
    if let Some((start, _)) = selection.as_contiguous_run(&shape) {
        return Ok(Content { dtype: array.dtype(), shape: out_shape, body: Body::Run(array, start) });
    }
    Ok(Content { dtype: array.dtype(), shape: out_shape, body: Body::Own(array.read(&selection)?) })
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
        db.answer(call.key, |array| select(array, &call.index)?.reply(call.format, db.reply()))
    }
}
