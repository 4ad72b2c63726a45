//! `ND.TAKE key axis n i [i ...] [format]`, or the positions as `BLOB int64-bytes` or `PIECES n bytes [bytes ...]`

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::cost::Cost;
use crate::module::db::Db;
use crate::module::error::Result;
use crate::module::input::{self, check_bytes};
use crate::module::output::{Body, Content, Format, Scratch};
use crate::module::register::Command;
use crate::module::spec::{integer, key, Access, Keys, Spec, FORMAT, POSITIONS};
use crate::nd::array::{Array, Positions};

/// See the module comment.
pub struct Take;

/// A parsed call.
pub struct Call<'a> {
    key: Key<'a>,
    axis: i64,
    positions: Vec<i64>,
    format: Format,
}

/// Calls `f` with the rows at these positions. They lie in a buffer that is used again.
///
/// # Errors
/// `LIMIT` above `ndarray.max-result-bytes`; `CORRUPT`, `OOM`; whatever `f` answers.
pub fn with_rows(array: &Array, positions: &Positions, f: impl FnOnce(Content<'_>) -> Result<()>) -> Result<()> {
    let shape = positions.out_shape().clone();
    let (_, nbytes) = shape.size_and_bytes(array.dtype())?;
    check_bytes("the selection", nbytes, &config::MAX_RESULT_BYTES)?;
    let mut scratch = Scratch::take();
    let rows = scratch.bytes(nbytes)?;
    array.take_into(positions, rows)?;
    f(Content { dtype: array.dtype(), shape, body: Body::Lent(rows) })
}

impl Command for Take {
    const SPEC: Spec = Spec {
        name: "ND.TAKE",
        flags: "readonly",
        since: "0.1.0",
        summary: "Returns the rows at given positions of an axis.",
        complexity: "O(N) where N is the number of bytes taken, plus the bytes of encoded chunks that they lie in",
        keys: Keys::One(Access::Read),
        args: &[key("key"), integer("axis"), POSITIONS, FORMAT],
        reply: "What `numpy.take(a, positions, axis)` gives: the array with as many rows along the axis as there are positions, in \
                their order; nil where the key is missing.",
        notes: &[
            "`BLOB` is the positions as little-endian int64, in one argument; `PIECES` the same bytes cut anywhere. Negative \
             positions, and a negative axis, count from the end. Positions may repeat, and there may be none.",
            "One position outside the axis refuses the whole call, and is named with its place in the list. Each chunk is \
             decoded once, however the positions jump about; a row of a raw chunk is one copy.",
        ],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        let key = args.next("a key")?;
        let axis = args.integer("the axis", i64::MIN)?;
        let positions = input::positions(args)?;
        Ok(Call { key, axis, positions, format: Format::at_end(args) })
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        let Call { key, axis, positions, format } = call;
        let Some(array) = db.read(key)? else { return db.nil() };
        let cost = format.cost(Cost::LEAST, array.effort_of_axis(axis, positions.len())?, array.dtype().itemsize());
        db.finish(cost, move |reply| {
            let positions = Positions::new(&array.shape(), axis, &positions)?;
            with_rows(&array, &positions, |rows| rows.reply(format, reply))
        })
    }
}
