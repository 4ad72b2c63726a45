//! `ND.SHOW key [index]`

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::cost::{Cost, Work};
use crate::module::db::Db;
use crate::module::error::Result;
use crate::module::output::{Body, Content};
use crate::module::register::Command;
use crate::module::spec::{key, string, Access, Keys, Spec};
use crate::nd::array::{Array, Block};
use crate::nd::dtype::Dtype;
use crate::nd::index::Index;
use crate::nd::kernels::summary::{Histogram, Summary};
use crate::nd::memory;
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
        notes: &["`redis-cli -3` and `redis-cli --raw` show the lines as they are. NaN is left out of the figures and counted."],
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
            text.push_str(&part.text(MOST_TEXT)?);
            // What no command reads through is still shown, without figures.
            let readable = part.nbytes() <= config::MAX_ARRAY_BYTES.get();
            if let Some(figures) = if readable { figures(&part, &array)? } else { None } {
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

/// Calls `f` with every block of the part.
fn visit(part: &Content<'_>, array: &Array, mut f: impl FnMut(Block<'_>, usize)) -> Result<()> {
    match &part.body {
        Body::Run(_, _) if part.shape == array.shape() => array.blocks(|place, block| {
            f(block, place.size());
            Ok(())
        })?,
        Body::Run(_, _) => {
            let bytes = part.with_bytes(&[], &[], memory::buffer_from)??;
            f(Block::Elements(memory::bytes(&bytes, part.nbytes())), 0);
        }
        Body::Own(bytes) => f(Block::Elements(memory::bytes(bytes, part.nbytes())), 0),
        Body::Lent(bytes) => f(Block::Elements(bytes), 0),
    }
    Ok(())
}

/// The line of figures and the histogram; nothing for complex numbers, empty arrays and single elements.
fn figures(part: &Content<'_>, array: &Array) -> Result<Option<String>> {
    let Some(mut summary) = Summary::new(part.dtype) else { return Ok(None) };
    if part.nbytes() <= part.dtype.itemsize() {
        return Ok(None);
    }
    visit(part, array, |block, size| match block {
        Block::Elements(bytes) => summary.add_block(bytes),
        Block::Fill(element) => summary.add_fill(&Scalar::from_le_bytes(part.dtype, element), size as u64),
    })?;
    let mut line = String::new();
    let (Some(min), Some(max), Some(mean)) = (summary.min(), summary.max(), summary.mean()) else {
        return Ok(Some("every value is nan".into()));
    };
    let shown = |s: Scalar| if part.dtype == Dtype::Bool { s.python().to_string() } else { s.short().to_string() };
    line.push_str(&format!("min {}  mean {}  max {}", shown(min), rounded(mean), shown(max)));
    if summary.nan() > 0 {
        line.push_str(&format!("  nan {}", grouped(usize::try_from(summary.nan()).unwrap_or(usize::MAX))));
    }
    let (Some(low), Some(high)) = (min.number().as_f64(), max.number().as_f64()) else { return Ok(Some(line)) };
    if !(low < high && (high - low).is_finite()) {
        return Ok(Some(line));
    }
    let mut histogram = Histogram::new(part.dtype, low, high, BINS)?;
    visit(part, array, |block, size| match block {
        Block::Elements(bytes) => histogram.add_block(bytes),
        Block::Fill(element) => histogram.add_fill(&Scalar::from_le_bytes(part.dtype, element), size as u64),
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
