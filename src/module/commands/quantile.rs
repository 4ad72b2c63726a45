//! `ND.MEDIAN key [options]` and `ND.QUANTILE key q[,q...] [METHOD m] [options]`

use super::reduce::{options_beside, Ask, Call, AXIS, KEEPDIMS, NO_MORE, SKIPNAN, SLICE, WHERE};
use crate::module::args::Args;
use crate::module::config;
use crate::module::cost::{Cost, Work};
use crate::module::db::Db;
use crate::module::error::Result;
use crate::module::input::check_bytes;
use crate::module::register::Command;
use crate::module::reply::Reply;
use crate::module::spec::{key, one_of, string, word, Access, ArgSpec, Keys, Spec, FORMAT};
use crate::nd::array::View;
use crate::nd::error::{quoted, Error};
use crate::nd::kernels::reduce::quantile::{Method, Rank, Ranking};

/// `ND.MEDIAN`
pub struct Median;

/// `ND.QUANTILE`
pub struct Quantile;

const METHODS: &[(&str, Method)] = &[
    ("linear", Method::Linear),
    ("lower", Method::Lower),
    ("higher", Method::Higher),
    ("midpoint", Method::Midpoint),
    ("nearest", Method::Nearest),
];

const METHOD: ArgSpec = one_of(
    "method",
    &[
        word("linear", "linear"),
        word("lower", "lower"),
        word("higher", "higher"),
        word("midpoint", "midpoint"),
        word("nearest", "nearest"),
    ],
)
.after("METHOD")
.optional();

const NOTES: &str = "At most 16 MiB of elements are kept at a time: of more, some results are worked on at a time, and where one \
                     result has more, the elements are read two or more times. What lists of `SLICE` select is collected: as many \
                     bytes must fit `ndarray.max-result-bytes`. NaN where there is one, unless `SKIPNAN` is given.";

fn run(rank: Rank, call: Call<'_>, db: &Db<'_>) -> Result<()> {
    let Some(view) = call.view(db)? else { return db.nil() };
    let ask = call.ask;
    let effort = view.effort();
    let cost = Cost::LEAST.reading(effort).and(Work::Compute, effort.bytes);
    db.finish(cost, move |reply| answer(rank, &ask, &view, reply))
}

fn answer(rank: Rank, ask: &Ask, view: &View, reply: &Reply) -> Result<()> {
    let axes = ask.axes(view.shape().ndim())?;
    let ranking = Ranking::new(rank, view.dtype(), view.shape(), &axes, &ask.options)?;
    let limit = &config::MAX_RESULT_BYTES;
    check_bytes("the elements to be put in order", view.ranked_bytes(&ranking), limit)?;
    check_bytes("the result", ranking.result_bytes(), limit)?;
    let (dtype, shape, bytes) = view.ranked(ranking)?;
    ask.reply(dtype, shape, &bytes, reply)
}

impl Command for Median {
    const SPEC: Spec = Spec {
        name: "ND.MEDIAN",
        flags: "readonly",
        since: "0.1.0",
        summary: "Returns the median of an array, over all elements or along axes.",
        complexity: "O(N) where N is the number of elements that are read",
        keys: Keys::OneAndMask(Access::Read),
        args: &[key("key"), AXIS, KEEPDIMS, SKIPNAN, SLICE, WHERE, FORMAT],
        reply: super::reduce::REPLY,
        notes: &["The middle element, or the mean of the two middle ones; float64 for bool and integers. The median of nothing is NaN.", NOTES],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        super::reduce::parse(args, NO_MORE)
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        run(Rank::Median, call, db)
    }
}

impl Command for Quantile {
    const SPEC: Spec = Spec {
        name: "ND.QUANTILE",
        flags: "readonly",
        since: "0.1.0",
        summary: "Returns quantiles of an array, over all elements or along axes.",
        complexity: "O(N*Q) where N is the number of elements that are read and Q the number of quantiles",
        keys: Keys::OneAndMask(Access::Read),
        args: &[key("key"), string("quantiles"), METHOD, AXIS, KEEPDIMS, SKIPNAN, SLICE, WHERE, FORMAT],
        reply: "One quantile as other reductions are answered; several as an array whose first axis they are. Nil where the \
                key is missing.",
        notes: &[
            "Quantiles are numbers from 0 to 1: `0.5`, or `0.25,0.5,0.75`. One between two elements is found on the line \
             between them (`linear`, the default), half way (`midpoint`), or is one of them: the `lower`, the `higher` or the \
             `nearest`.",
            "Floats keep their dtype; integers answer float64 with `linear` and `midpoint`, and otherwise their own. There is no \
             quantile of nothing.",
            NOTES,
        ],
    };

    type Call<'a> = (Rank, Call<'a>);

    fn parse<'a>(args: &mut Args<'a>) -> Result<Self::Call<'a>> {
        let key = args.next("a key")?;
        let text = args.bytes("the quantiles")?;
        let mut method = None;
        let call = options_beside(key, args, NO_MORE, |args| {
            if method.is_some() || !args.word("METHOD") {
                return Ok(false);
            }
            let given = args.bytes("the method")?;
            let known = METHODS.iter().find(|(name, _)| given.eq_ignore_ascii_case(name.as_bytes()));
            let names = "linear, lower, higher, midpoint or nearest";
            let unknown = || Error::syntax(format!("'{}' is not a method (use {names})", quoted(given)));
            method = Some(known.ok_or_else(unknown)?.1);
            Ok(true)
        })?;
        Ok((Rank::quantiles(text, method.unwrap_or(Method::Linear))?, call))
    }

    fn run((rank, call): Self::Call<'_>, db: &Db<'_>) -> Result<()> {
        run(rank, call, db)
    }
}
