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
        let cost = match known(&view) {
            Some(_) => Cost::LEAST,
            None => Cost::LEAST.reading(effort).and(Work::Reduce, effort.bytes.saturating_mul(6)),
        };
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

/// The operations that make the figures; the standard deviation comes from the variance.
const OPS: [Op; 5] = [Op::Sum, Op::Mean, Op::Var, Op::Min, Op::Max];
const OPTIONS: Options = Options { keepdims: KeepDims::No, skip_nan: true, is_masked: false, ddof: 0.0, dtype: None };

/// The figures of a whole array, where all of them are remembered.
fn known(view: &View) -> Option<Vec<Figure>> {
    let count = |n: u64| Some((Dtype::Int64, Shape::scalar(), n.to_le_bytes().to_vec()));
    let figure = |op| view.figure(op, &OPTIONS);
    let result = |op| figure(op).map(|f| (f.dtype, Shape::scalar(), f.bytes[..f.dtype.itemsize()].to_vec()));
    let taken = figure(Op::Sum)?.taken;
    let figures = [Op::Min, Op::Max, Op::Sum, Op::Mean, Op::Std, Op::Var].map(result);
    if figures.iter().any(Option::is_none) {
        return None;
    }
    let [min, max, sum, mean, std, var] = figures;
    Some(vec![
        ("count", count(taken)),
        ("nan", count(view.size() as u64 - taken)),
        ("min", min),
        ("max", max),
        ("sum", sum),
        ("mean", mean),
        ("std", std),
        ("var", var),
    ])
}

/// All figures, in one pass.
fn figures(view: &View, axes: &AxisSet) -> Result<Vec<Figure>> {
    let is_of_all = axes.is_all(view.shape().ndim());
    if let Some(figures) = is_of_all.then(|| known(view)).flatten() {
        return Ok(figures);
    }
    let mut states: Vec<(Op, State)> = Vec::new();
    let mut total = 0usize;
    for op in OPS {
        match Reduction::with(op, view.dtype(), view.shape(), axes, &OPTIONS) {
            Ok(plan) => {
                total = total.saturating_add(plan.state_bytes());
                check_bytes("the result", total, &config::MAX_RESULT_BYTES)?;
                states.push((op, plan.start()?));
            }
            Err(Error::Empty { .. }) => {} // no minimum of nothing
            Err(e) => return Err(e.into()),
        }
    }
    let (ops, mut states): (Vec<Op>, Vec<State>) = states.into_iter().unzip();
    view.add_to(&mut states)?;
    let first = &states[0];
    let counts = |of: &dyn Fn(usize) -> u64| {
        let counts: Vec<u64> = (0..first.out_shape().len_or_max()).map(of).collect();
        Some((Dtype::Int64, first.out_shape().clone(), bytemuck::cast_slice(&counts).to_vec()))
    };
    let finish = |op: Op| -> Result<Option<(Dtype, Shape, Vec<u8>)>> {
        let of = if op == Op::Std { Op::Var } else { op };
        let Some(state) = ops.iter().position(|o| *o == of).map(|i| &states[i]) else { return Ok(None) };
        let result = if op == Op::Std { state.finish_as(op)? } else { state.finish()? };
        if is_of_all {
            view.remember(op, &OPTIONS, result.0, &result.2, state.taken(0));
        }
        Ok(Some(result))
    };
    Ok(vec![
        ("count", counts(&|cell| first.taken(cell))),
        ("nan", counts(&|cell| first.chosen(cell) - first.taken(cell))),
        ("min", finish(Op::Min)?),
        ("max", finish(Op::Max)?),
        ("sum", finish(Op::Sum)?),
        ("mean", finish(Op::Mean)?),
        ("std", finish(Op::Std)?),
        ("var", finish(Op::Var)?),
    ])
}
