//! `ND.SHOW key [index]`

use triomphe::Arc;

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::cost::{Cost, Work};
use crate::module::db::Db;
use crate::module::error::Result;
use crate::module::output::Content;
use crate::module::register::Command;
use crate::module::spec::{key, string, Access, Keys, Spec};
use crate::nd::array::{Array, Block, View};
use crate::nd::dtype::{Dtype, Kind};
use crate::nd::error::Error;
use crate::nd::index::Index;
use crate::nd::kernels::axes::AxisSet;
use crate::nd::kernels::histogram::Histogram;
use crate::nd::kernels::reduce::{Op, Options, Reduction, State};
use crate::nd::scalar::Scalar;

/// See the module comment.
pub struct Show;

/// Columns of the histogram.
const BINS: usize = 10;
/// Bars from empty to full.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// No text for a person is longer.
const MOST_TEXT: usize = 1 << 20;

impl Command for Show {
    const SPEC: Spec = Spec {
        name: "ND.SHOW",
        flags: "readonly",
        since: "0.1.0",
        summary: "Returns text that shows an array to a person.",
        complexity: "O(N) where N is the number of elements",
        keys: Keys::One(Access::Read),
        args: &[key("key"), string("index").optional()],
        reply: "Text: a line with dtype, shape and storage; the values as NumPy prints them, summarised past 1,000; minimum, \
                mean, maximum and a small histogram. A verbatim string in RESP3. Nil where the key is missing.",
        notes: &["`redis-cli -3` and `redis-cli --raw` show the lines as they are. NaN is left out of the figures and counted. More than 1 MiB \
                  of text, which only arrays of many axes have, is refused: an index shows a part."],
    };

    type Call<'a> = (Key<'a>, Option<Index>);

    fn parse<'a>(args: &mut Args<'a>) -> Result<Self::Call<'a>> {
        let key = args.next("a key")?;
        let index = if args.left() > 0 { Some(Index::parse(args.bytes("an index")?)?) } else { None };
        Ok((key, index))
    }

    fn run((key, index): Self::Call<'_>, db: &Db<'_>) -> Result<()> {
        let Some(array) = db.read(key)? else { return db.nil() };
        let selection = index.as_ref().map(|index| super::slice::resolve(&array, index)).transpose()?;
        let effort = selection.as_ref().map_or_else(|| array.effort(), |s| array.effort_of(s));
        // Twice: for the figures, and for the histogram between them.
        let cost = Cost::LEAST.reading(effort).reading(effort).and(Work::Compute, effort.bytes.saturating_mul(2));
        db.finish(cost, move |reply| {
            let part = match &selection {
                Some(selection) => super::slice::read(&array, selection)?,
                None => Content::whole(&array),
            };
            let mut text = header(&array, &part, selection.is_some());
            text.push('\n');
            let values = part.text(MOST_TEXT).map_err(|error| match error {
                Error::Limit { given, .. } => Error::TooLongToShow { given, most: MOST_TEXT },
                other => other,
            });
            text.push_str(&values?);
            // What no command reads through is still shown, without figures.
            let readable = part.nbytes() <= config::MAX_ARRAY_BYTES.get();
            let view = View::of(Arc::clone(&array), selection.clone())?;
            if let Some(figures) = if readable { figures(&view)? } else { None } {
                text.push('\n');
                text.push_str(&figures);
            }
            reply.verbatim(&text);
            Ok(())
        })
    }
}

/// `float64 (1000, 64), 512,000 bytes stored as 87,112 (lz4) in 8 chunks of (128, 64)`
fn header(array: &Array, part: &Content<'_>, is_part: bool) -> String {
    let mut line = format!("{} {}", part.dtype, part.shape);
    if is_part {
        line.push_str(&format!(" of {}", array.shape()));
    }
    if is_part {
        line.push_str(&format!(", {} bytes of {}", grouped(part.nbytes()), grouped(array.nbytes())));
    } else {
        line.push_str(&format!(", {} bytes", grouped(array.nbytes())));
    }
    if let Some(grid) = array.grid() {
        let codecs = array.codec_names();
        let count = if grid.is_empty() { 0 } else { grid.len() };
        let chunks = if count == 1 { "chunk" } else { "chunks" };
        line.push_str(&format!(
            " stored as {} ({}) in {} {chunks} of {}",
            grouped(array.stored_bytes()),
            codecs.join(", "),
            grouped(usize::try_from(count).unwrap_or(usize::MAX)),
            grid.chunk_shape()
        ));
    }
    if !array.attributes().is_empty() {
        let names: Vec<String> = array.attributes().iter().map(|(n, _)| crate::nd::error::quoted(n)).collect();
        line.push_str(&format!(", attributes {}", names.join(", ")));
    }
    line
}

/// Digits in groups of three.
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// The line of figures and the histogram; nothing for complex numbers, empty arrays and single elements.
fn figures(view: &View) -> Result<Option<String>> {
    if view.dtype().kind() == Kind::Complex || view.size() < 2 {
        return Ok(None);
    }
    let axes = AxisSet::all(view.shape().ndim());
    let options = Options { skip_nan: true, ..Options::default() };
    let plan = |op, options| Reduction::with(op, view.dtype(), view.shape(), &axes, options)?.start();
    // The mean has more digits than a short float would leave it.
    let wide = Options { dtype: view.dtype().is_inexact().then_some(Dtype::Float64), ..options };
    let mut states = [plan(Op::Min, &options)?, plan(Op::Max, &options)?, plan(Op::Mean, &wide)?];
    view.add_to(&mut states)?;
    let (nan, taken) = (states[0].chosen(0) - states[0].taken(0), states[0].taken(0));
    if taken == 0 {
        return Ok(Some("every value is nan".into()));
    }
    let scalar = |state: &State| state.finish().map(|(dtype, _, bytes)| Scalar::from_le_bytes(dtype, &bytes));
    let (min, max, mean) = (scalar(&states[0])?, scalar(&states[1])?, scalar(&states[2])?);
    let shown = |s: Scalar| if view.dtype() == Dtype::Bool { s.python().to_string() } else { s.short().to_string() };
    let mean = mean.number().as_f64().unwrap_or(f64::NAN);
    let mut line = format!("min {}  mean {}  max {}", shown(min), rounded(mean), shown(max));
    if nan > 0 {
        line.push_str(&format!("  nan {}", grouped(usize::try_from(nan).unwrap_or(usize::MAX))));
    }
    let (Some(low), Some(high)) = (min.number().as_f64(), max.number().as_f64()) else { return Ok(Some(line)) };
    if !(low < high && (high - low).is_finite()) {
        return Ok(Some(line));
    }
    let mut histogram = Histogram::new(view.dtype(), low, high, BINS)?;
    view.blocks(&mut |block| {
        match block.elements {
            Block::Elements(bytes) => histogram.add_block(bytes, None),
            Block::Fill(element) => {
                let count = block.lens.iter().product::<usize>() as u64;
                histogram.add_fill(&Scalar::from_le_bytes(view.dtype(), element), count);
            }
        }
        Ok(())
    })?;
    let counts = histogram.counts();
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    // A bin that holds anything shows at least the lowest bar.
    let bar = |n: u64| BARS[(n * 8).div_ceil(most).min(8) as usize];
    line.push_str(&format!("\n{} ", rounded(low)));
    counts.iter().for_each(|n| line.push(bar(*n)));
    line.push_str(&format!(" {}", rounded(high)));
    Ok(Some(line))
}

/// Six significant digits are enough for a glance.
fn rounded(x: f64) -> String {
    format!("{x:.5e}").parse::<f64>().map_or_else(|_| x.to_string(), |y| Scalar::of(y).short().to_string())
}
