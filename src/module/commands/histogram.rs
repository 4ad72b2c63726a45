//! `ND.HISTOGRAM key bins [RANGE lo hi] [SLICE index] [WHERE maskkey] [format]`

use super::reduce::{options_beside, Call, NO_MORE, SLICE, WHERE};
use crate::module::args::Args;
use crate::module::cost::{Cost, Work};
use crate::module::db::Db;
use crate::module::error::Result;
use crate::module::output::{reply_all, Content, Format};
use crate::module::register::Command;
use crate::module::reply::Reply;
use crate::module::spec::{block, double, integer, key, Access, Keys, Spec, FORMAT};
use crate::nd::array::{Block, View};
use crate::nd::dtype::{Dtype, Kind};
use crate::nd::error::{quoted, Error};
use crate::nd::kernels::axes::AxisSet;
use crate::nd::kernels::histogram::Histogram as Counts;
use crate::nd::kernels::reduce::{Op, Options, Reduction};
use crate::nd::scalar::Scalar;
use crate::nd::shape::Shape;

/// See the module comment.
pub struct Histogram;

/// What is asked of the elements.
pub struct Ask {
    bins: usize,
    range: Option<(f64, f64)>,
}

impl Command for Histogram {
    const SPEC: Spec = Spec {
        name: "ND.HISTOGRAM",
        flags: "readonly",
        since: "0.1.0",
        summary: "Counts the elements of an array that fall into equal parts of a range.",
        complexity: "O(N) where N is the number of elements that are read",
        keys: Keys::OneAndMask(Access::Read),
        args: &[
            key("key"),
            integer("bins"),
            block("range", &[double("low"), double("high")]).after("RANGE").optional(),
            SLICE,
            WHERE,
            FORMAT,
        ],
        reply: "Two arrays: the counts, int64, and the edges between the bins, float64 and one more. Nil where the key is missing.",
        notes: &[
            "As `numpy.histogram`: a bin holds its lower edge, the last one both. The range goes from the least element to the \
             greatest where none is given; elements outside it, and NaN, are not counted. A range of one number is made 1 wide \
             around it, and that of nothing is 0 to 1.",
            "At most 1,048,576 bins. Without a range, an array with NaN or an infinity is refused, as in NumPy.",
        ],
    };

    type Call<'a> = (Ask, Call<'a>);

    fn parse<'a>(args: &mut Args<'a>) -> Result<Self::Call<'a>> {
        let key = args.next("a key")?;
        let bins = usize::try_from(args.integer("the number of bins", 1)?).unwrap_or(usize::MAX);
        let mut range = None;
        let call = options_beside(key, args, NO_MORE, |args| {
            let given = range.is_none() && args.word("RANGE");
            if given {
                range = Some((bound(args)?, bound(args)?));
            }
            Ok(given)
        })?;
        Ok((Ask { bins, range }, call))
    }

    fn run((ask, call): Self::Call<'_>, db: &Db<'_>) -> Result<()> {
        if call.ask.is_of_axes() {
            return Err(Error::syntax("AXIS, KEEPDIMS and SKIPNAN do not belong to ND.HISTOGRAM").into());
        }
        let Some(view) = call.view(db)? else { return db.nil() };
        let format = call.ask.format.unwrap_or(Format::Triple);
        let effort = view.effort();
        let cost = Cost::LEAST.reading(effort).and(Work::Compute, effort.bytes);
        db.finish(cost, move |reply| answer(&ask, format, &view, reply))
    }
}

fn bound(args: &mut Args<'_>) -> Result<f64> {
    let text = args.bytes("an end of the range")?;
    let number = std::str::from_utf8(text).ok().and_then(|s| s.parse::<f64>().ok()).filter(|x| x.is_finite());
    Ok(number.ok_or_else(|| Error::value(format!("'{}' is no end of a range (use a finite number)", quoted(text))))?)
}

fn answer(ask: &Ask, format: Format, view: &View, reply: &Reply) -> Result<()> {
    let range = match ask.range {
        Some((low, high)) if low > high => {
            return Err(Error::value(format!("RANGE {low} {high} does not ascend")).into());
        }
        Some(range) => Some(range),
        None => extent(view)?,
    };
    let (low, high) = Counts::widened(range);
    let mut counts = Counts::new(view.dtype(), low, high, ask.bins)?;
    let edges: Vec<f64> = (0..=ask.bins).map(|bin| counts.edge(bin)).collect();
    if edges.windows(2).any(|pair| pair[0] >= pair[1]) {
        let what =
            format!("{} bins are too many for the range from {low:?} to {high:?}: some would hold nothing", ask.bins);
        return Err(Error::value(what).into());
    }
    let dtype = view.dtype();
    view.blocks(&mut |block| {
        match (&block.elements, block.mask) {
            (Block::Elements(bytes), mask) => counts.add_block(bytes, mask),
            (Block::Fill(element), mask) => {
                let n = match mask {
                    Some(mask) => mask.iter().filter(|m| **m != 0).count(),
                    None => block.lens.iter().product(),
                };
                counts.add_fill(&Scalar::from_le_bytes(dtype, element), n as u64);
            }
        }
        Ok(())
    })?;
    let contents = [
        Content::own(Dtype::Int64, Shape::from([ask.bins]), bytemuck::cast_slice(counts.counts()))?,
        Content::own(Dtype::Float64, Shape::from([ask.bins + 1]), bytemuck::cast_slice(&edges))?,
    ];
    reply_all(&contents, format, reply)
}

/// The least and the greatest element; nothing where there is no element.
///
/// # Errors
/// `VALUE` where either is not finite; `DTYPE` for complex.
pub fn extent(view: &View) -> Result<Option<(f64, f64)>> {
    if view.dtype().kind() == Kind::Complex {
        let hint = "complex numbers have no order";
        return Err(Error::UnsupportedDtype { dtype: view.dtype(), by: "a histogram", hint }.into());
    }
    if view.size() == 0 {
        return Ok(None);
    }
    let axes = AxisSet::all(view.shape().ndim());
    let options = Options { is_masked: view.is_masked(), ..Options::default() };
    let plan = |op| Reduction::with(op, view.dtype(), view.shape(), &axes, &options)?.start();
    let mut states = [plan(Op::Min)?, plan(Op::Max)?];
    view.add_to(&mut states)?;
    if states[0].taken(0) == 0 {
        return Ok(None);
    }
    let mut ends = [0.0; 2];
    for (end, state) in ends.iter_mut().zip(&states) {
        let (dtype, _, bytes) = state.finish()?;
        *end = Scalar::from_le_bytes(dtype, &bytes).number().as_f64().unwrap_or(f64::NAN);
    }
    let [low, high] = ends;
    if !(low.is_finite() && high.is_finite()) {
        let what = match low.is_nan() || high.is_nan() {
            true => "there is NaN among the elements: a histogram of the others needs a RANGE".to_owned(),
            false => {
                format!("the elements go from {low} to {high}, which is no range of a histogram (give one by RANGE)")
            }
        };
        return Err(Error::value(what).into());
    }
    Ok(Some((low, high)))
}
