//! `ND.SAMPLE key n [AXIS a] [REPLACE] [SEED s] [WITHINDEX] [format]`

use super::take::with_rows;
use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::cost::{Cost, Work};
use crate::module::db::Db;
use crate::module::error::Result;
use crate::module::input::check_bytes;
use crate::module::output::{reply_all, Content, Format};
use crate::module::register::Command;
use crate::module::spec::{integer, key, word, Access, Keys, Spec, FORMAT};
use crate::nd::array::{axis_length, Positions};
use crate::nd::dtype::Dtype;
use crate::nd::error::{quoted, Error};
use crate::nd::kernels::generate::choice;
use crate::nd::shape::Shape;

/// See the module comment.
pub struct Sample;

/// A parsed call.
#[derive(Debug)]
pub struct Call<'a> {
    key: Key<'a>,
    n: usize,
    axis: i64,
    replace: bool,
    seed: Option<u64>,
    with_index: bool,
    format: Format,
}

impl Command for Sample {
    const SPEC: Spec = Spec {
        name: "ND.SAMPLE",
        flags: "readonly",
        since: "0.1.0",
        summary: "Returns random rows.",
        complexity: "O(N) where N is the number of bytes of the rows, plus the bytes of encoded chunks that they lie in",
        keys: Keys::One(Access::Read),
        args: &[
            key("key"),
            integer("n"),
            integer("axis").after("AXIS").optional(),
            word("replace", "REPLACE").optional(),
            integer("seed").after("SEED").optional(),
            word("withindex", "WITHINDEX").optional(),
            FORMAT,
        ],
        reply: "An array of n rows, in random order. With `WITHINDEX` two elements: the rows, and their positions as an int64 array. Nil \
                where the key is missing.",
        notes: &[
            "All rows are equally likely. Without `REPLACE` no row is taken twice, and asking for more than there are is a `VALUE` \
             error. `AXIS` says what a row is (default 0).",
            "With `SEED s` the positions are those of `numpy.random.default_rng(s).choice(len, n, replace=...)`, in the same order; \
             without it, every call is another draw. At most 16,777,216 rows.",
        ],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        let key = args.next("a key")?;
        let n = usize::try_from(args.integer("the number of rows", 0)?).unwrap_or(usize::MAX);
        let mut call = Call { key, n, axis: 0, replace: false, seed: None, with_index: false, format: Format::Triple };
        let (mut has_axis, repeated) = (false, |word| Error::syntax(format!("{word} is given twice")));
        loop {
            if args.word("AXIS") {
                if std::mem::replace(&mut has_axis, true) {
                    return Err(repeated("AXIS").into());
                }
                call.axis = args.integer("the axis", i64::MIN)?;
            } else if args.word("REPLACE") {
                call.replace = true;
            } else if args.word("WITHINDEX") {
                call.with_index = true;
            } else if args.word("SEED") {
                let text = args.bytes("a seed")?;
                let seed = std::str::from_utf8(text).ok().and_then(|s| s.parse().ok());
                let seed = seed.ok_or_else(|| {
                    Error::value(format!("SEED '{}' is not an integer from 0 to 2^64-1", quoted(text)))
                })?;
                if call.seed.replace(seed).is_some() {
                    return Err(repeated("SEED").into());
                }
            } else {
                break;
            }
        }
        call.format = Format::at_end(args);
        Ok(call)
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        let Call { key, n, axis, replace, seed, with_index, format } = call;
        let Some(array) = db.read(key)? else { return db.nil() };
        let shape = array.shape();
        let length = axis_length(&shape, axis)?;
        // Before the draw: the list of positions is as long as the rows are many.
        let row = shape.size_and_bytes(array.dtype())?.1 / length.max(1);
        let index = if with_index { 8 } else { 0 };
        check_bytes("the reply", n.saturating_mul(row.saturating_add(index)), &config::MAX_RESULT_BYTES)?;
        let seed = seed.unwrap_or_else(|| db.random());
        let drawn = Cost::LEAST.and(Work::Compute, n.saturating_mul(8));
        let cost = format.cost(drawn, array.effort_of_axis(axis, n)?, array.dtype().itemsize());
        db.finish(cost, move |reply| {
            let positions = Positions::known(&array.shape(), axis, choice(length, n, replace, seed)?)?;
            with_rows(&array, &positions, |rows| {
                if !with_index {
                    return rows.reply(format, reply);
                }
                let list: Vec<u8> = positions.list().iter().flat_map(|p| (*p as i64).to_le_bytes()).collect(); // within an axis
                let index = Content::own(Dtype::Int64, Shape::from([n]), &list)?;
                reply_all(&[rows, index], format, reply)
            })
        })
    }
}
