//! `ND.STATS key [AXIS a[,b...]] [format]`

use super::reduce::{look, parse, Ask, Call, AXIS, NO_MORE};
use crate::module::args::Args;
use crate::module::config;
use crate::module::cost::{Cost, Work};
use crate::module::db::Db;
use crate::module::error::Result;
use crate::module::input::check_bytes;
use crate::module::output::{Content, Format};
use crate::module::register::Command;
use crate::module::reply::Reply;
use crate::module::spec::{key, Access, Keys, Spec, FORMAT};
use crate::nd::array::View;
use crate::nd::dtype::Dtype;
use crate::nd::error::Error;
use crate::nd::kernels::axes::AxisSet;
use crate::nd::kernels::reduce::{KeepDims, Op, Options, Reduction, State};
use crate::nd::scalar::Scalar;
use crate::nd::shape::Shape;

/// See the module comment.
pub struct Stats;

/// One line of the map: its name, and a result or nothing.
type Figure = (&'static str, Option<(Dtype, Shape, Vec<u8>)>);

impl Command for Stats {
    const SPEC: Spec = Spec {
        name: "ND.STATS",
        flags: "readonly",
        since: "0.1.0",
        summary: "Returns count, least, greatest, sum, mean, standard deviation and variance of an array.",
        complexity: "O(N) where N is the number of elements",
        keys: Keys::One(Access::Read),
        args: &[key("key"), AXIS, FORMAT],
        reply: "A map: `count`, `nan`, `min`, `max`, `sum`, `mean`, `std`, `var`. Scalars over all elements, with `AXIS` or a \
                format arrays. Nil where the key is missing.",
        notes: &["NaN is left out of all figures: `count` elements were taken, `nan` were not. `min` and `max` of nothing are nil."],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        parse(args, NO_MORE)
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        if !call.is_plain() {
            return Err(Error::syntax("KEEPDIMS, SKIPNAN, SLICE and WHERE do not belong to ND.STATS").into());
        }
        let Some(array) = db.read(call.key())? else { return db.nil() };
        let view = look(array, None, None)?;
        let ask = call.ask;
        let effort = view.effort();
        let cost = Cost::LEAST.reading(effort).and(Work::Reduce, effort.bytes.saturating_mul(6));
        db.finish(cost, move |reply| answer(&ask, &view, reply))
    }
}

fn answer(ask: &Ask, view: &View, reply: &Reply) -> Result<()> {
    let axes = ask.axes(view.shape().ndim())?;
    let figures = figures(view, &axes)?;
    if !ask.is_of_array() {
        reply.map(figures.len());
        for (name, figure) in figures {
            reply.bulk(name.as_bytes());
            match figure {
                Some((dtype, _, bytes)) => reply.scalar(&Scalar::from_le_bytes(dtype, &bytes)),
                None => reply.null(),
            }
        }
        return Ok(());
    }
    let format = ask.format.unwrap_or(Format::Triple);
    let mut contents = Vec::new();
    for (name, figure) in figures {
        let content = figure.map(|(dtype, shape, bytes)| Content::own(dtype, shape, &bytes)).transpose()?;
        if let Some(content) = &content {
            content.check(format)?;
        }
        contents.push((name, content));
    }
    reply.map(contents.len());
    for (name, content) in contents {
        reply.bulk(name.as_bytes());
        match content {
            Some(content) => {
                if let Err(refusal) = content.reply(format, reply) {
                    reply.error(&refusal); // the head is out: said in its place
                }
            }
            None => reply.null(),
        }
    }
    Ok(())
}

/// All figures, in one pass.
///
/// # Errors
/// `LIMIT`, `CORRUPT`, `OOM`.
pub fn figures(view: &View, axes: &AxisSet) -> Result<Vec<Figure>> {
    let options = Options { keepdims: KeepDims::No, skip_nan: true, ..Options::default() };
    let mut states: Vec<State> = Vec::new();
    let mut kinds: Vec<Op> = Vec::new();
    let mut total = 0usize;
    for op in [Op::Sum, Op::Mean, Op::Var, Op::Min, Op::Max] {
        match Reduction::with(op, view.dtype(), view.shape(), axes, &options) {
            Ok(plan) => {
                total = total.saturating_add(plan.state_bytes());
                check_bytes("the result", total, config::MAX_RESULT_BYTES.get())?;
                states.push(plan.start()?);
                kinds.push(op);
            }
            Err(Error::Empty { .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
    view.add_to(&mut states)?;
    let counts = |of: &dyn Fn(usize) -> u64| {
        let shape = states[0].out_shape();
        let counts: Vec<u64> = (0..shape.len_or_max()).map(of).collect();
        (Dtype::Int64, shape.clone(), bytemuck::cast_slice(&counts).to_vec())
    };
    let state = |op: Op| kinds.iter().position(|k| *k == op).map(|i| &states[i]);
    let finish = |op: Op| state(op).map(State::finish).transpose();
    let std = state(Op::Var).map(|s| s.finish_as(Op::Std)).transpose()?;
    // Without a single element there is nothing least, which is said of the array as a whole.
    let nothing = |op: Op| match finish(op) {
        Err(Error::Empty { .. }) => Ok(None),
        other => other,
    };
    Ok(vec![
        ("count", Some(counts(&|cell| states[0].taken(cell)))),
        ("nan", Some(counts(&|cell| states[0].chosen(cell) - states[0].taken(cell)))),
        ("min", nothing(Op::Min)?),
        ("max", nothing(Op::Max)?),
        ("sum", finish(Op::Sum)?),
        ("mean", finish(Op::Mean)?),
        ("std", std),
        ("var", finish(Op::Var)?),
    ])
}
