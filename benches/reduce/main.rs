//! The reductions against NumPy in process: the same elements in memory, one thread each, no server.
//!
//! ```text
//! cargo bench --no-default-features --bench reduce -- [--quick] [--only TEXT] [--mib 0.5,8,512] [--rounds 7] [--write]
//! ```
//! `--write` puts the table into docs/REDUCTIONS.md.
//!
//! Rounds alternate between both sides, and the ratio is that of the best times: above 1 is faster than NumPy. Chunks are raw.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use redis_ndarray::nd::array::{Array, Block, StoreOptions, View};
use redis_ndarray::nd::codec::Policy;
use redis_ndarray::nd::dtype::Dtype;
use redis_ndarray::nd::kernels::axes::AxisSet;
use redis_ndarray::nd::kernels::reduce::quantile::{Method, Rank, Ranking};
use redis_ndarray::nd::kernels::reduce::{Op, Options, Reduction};
use redis_ndarray::nd::shape::Shape;
use redis_ndarray::nd::source::SliceSource;
use triomphe::Arc;

/// dtype, shape (0 stands for what fills the size), operation, axis.
const ROWS: &[(&str, &[usize], &str, Option<i64>)] = &[
    ("float64", &[0], "sum", None),
    ("float32", &[0], "sum", None),
    ("uint8", &[0], "sum", None),
    ("int64", &[0], "sum", None),
    ("float64", &[0], "mean", None),
    ("float32", &[0], "mean", None),
    ("float64", &[0], "var", None),
    ("float32", &[0], "var", None),
    ("float64", &[0], "std", None),
    ("float32", &[0], "std", None),
    ("uint8", &[0], "var", None),
    ("float64", &[0], "min", None),
    ("float64", &[0], "max", None),
    ("float32", &[0], "min", None),
    ("uint8", &[0], "max", None),
    ("int64", &[0], "max", None),
    ("float64", &[0], "ptp", None),
    ("float64", &[0], "argmax", None),
    ("float32", &[0], "argmin", None),
    ("uint8", &[0], "argmax", None),
    ("float64", &[0], "any", None),
    ("float64", &[0], "all", None),
    ("float64", &[0], "count", None),
    ("uint8", &[0], "count", None),
    ("float64", &[0], "prod", None),
    ("float64", &[0], "norm", None),
    ("float32", &[0, 784], "mean", Some(0)),
    ("float64", &[0, 784], "mean", Some(0)),
    ("float64", &[0, 784], "mean", Some(1)),
    ("float32", &[0, 784], "mean", Some(1)),
    ("float64", &[0, 784], "argmax", Some(0)),
    ("float32", &[0, 784], "argmax", Some(0)),
    ("float64", &[0, 784], "argmax", Some(1)),
    ("float64", &[0, 784], "min", Some(0)),
    ("float64", &[0, 784], "var", Some(0)),
    ("float64", &[0, 784], "var", Some(1)),
    ("uint8", &[0, 784], "mean", Some(0)),
    ("uint8", &[0, 784], "mean", Some(1)),
    ("float32", &[0, 784], "argmax", Some(1)),
    ("float32", &[0, 784], "min", Some(1)),
    ("uint8", &[0, 784], "argmax", Some(1)),
    ("float64", &[0, 784], "prod", Some(0)),
    ("float32", &[0, 784], "var", Some(0)),
    ("float64", &[0, 784], "norm", Some(0)),
    ("float64", &[0, 4096], "mean", Some(0)),
    ("float32", &[0, 4096], "var", Some(0)),
    ("float32", &[0, 4096], "argmax", Some(0)),
    ("int64", &[0, 784], "mean", Some(0)),
    ("float64", &[0], "median", None),
    ("float64", &[0], "quantile", None),
    ("float64", &[0, 784], "median", Some(0)),
    ("float64", &[0, 784], "median", Some(1)),
];

/// The other side, a Python that answers times.
struct NumPy {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl NumPy {
    fn start() -> NumPy {
        let root = env!("CARGO_MANIFEST_DIR");
        let python = format!("{root}/.venv/bin/python");
        let mut child = Command::new(python)
            .arg(format!("{root}/benches/reduce/numpy_side.py"))
            .envs([("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start Python: `make venv` makes it");
        let (to, from) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        NumPy { child, to, from: BufReader::new(from) }
    }

    fn time(&mut self, line: &str) -> f64 {
        writeln!(self.to, "{line}").expect("Python reads");
        let mut answer = String::new();
        self.from.read_line(&mut answer).expect("Python answers");
        answer.trim().parse().expect("a number of seconds")
    }
}

impl Drop for NumPy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Elements of moderate size without a pattern.
fn elements(dtype: Dtype, count: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state >> 33
    };
    match dtype {
        Dtype::Float64 => (0..count).flat_map(|_| (1.0 + next() as f64 / 2f64.powi(31)).to_le_bytes()).collect(),
        Dtype::Float32 => (0..count).flat_map(|_| (1.0 + next() as f32 / 2f32.powi(31)).to_le_bytes()).collect(),
        Dtype::Int64 => (0..count).flat_map(|_| (next() as i64 - (1 << 30)).to_le_bytes()).collect(),
        _ => (0..count).map(|_| next() as u8).collect(),
    }
}

fn reduce(view: &View, name: &str, axis: Option<i64>) -> Vec<u8> {
    let ndim = view.shape().ndim();
    let axes = axis.map_or(AxisSet::all(ndim), |a| AxisSet::new(&[a], ndim).expect("an axis"));
    let rank = match name {
        "median" => Some(Rank::Median),
        "quantile" => Some(Rank::Quantiles(vec![0.9], Method::Linear)),
        _ => None,
    };
    if let Some(rank) = rank {
        let ranking = Ranking::new(rank, view.dtype(), view.shape(), &axes, &Options::default());
        return ranking.and_then(|ranking| view.ranked(ranking)).expect("elements").2;
    }
    let op = *Op::ALL.iter().find(|op| op.name().eq_ignore_ascii_case(name)).expect("an operation");
    let plan = Reduction::with(op, view.dtype(), view.shape(), &axes, &Options::default()).expect("a plan");
    let mut state = plan.start().expect("memory");
    if axis.is_some() {
        view.add_to(std::slice::from_mut(&mut state)).expect("raw chunks");
        return state.finish().expect("elements").2;
    }
    // Block by block, and not by `View::add_to`, which keeps what it made of each block for the next call.
    view.blocks(&mut |block| match block.elements {
        Block::Elements(bytes) => state.add_block(bytes, block.mask, block.lens, block.offset),
        Block::Fill(_) => Ok(()),
    })
    .expect("raw chunks");
    state.finish().expect("elements").2
}

/// The best of as many calls as fit 20 milliseconds: what else the machine does only adds.
fn time(view: &View, name: &str, axis: Option<i64>) -> f64 {
    let (start, mut best) = (Instant::now(), f64::MAX);
    while start.elapsed().as_secs_f64() < 0.02 {
        let before = Instant::now();
        std::hint::black_box(reduce(view, name, axis));
        best = best.min(before.elapsed().as_secs_f64());
    }
    best
}

/// The least ratio to NumPy's speed that the row is to reach, where one was set.
fn target(dtype: Dtype, name: &str, axis: Option<i64>, mib: f64) -> Option<f64> {
    let is_small = mib < 100.0;
    match (name, axis) {
        _ if mib < 8.0 => None,
        ("sum" | "mean", None) => match dtype {
            Dtype::Float64 => Some(if is_small { 1.8 } else { 1.6 }),
            Dtype::Float32 => Some(if is_small { 3.0 } else { 1.9 }),
            Dtype::UInt8 => Some(if is_small { 20.0 } else { 10.0 }),
            _ => Some(0.95),
        },
        ("mean", Some(0)) => Some(1.3),
        ("mean", _) => Some(1.4),
        ("var" | "std", _) => Some(4.0),
        ("min" | "max", _) => Some(0.95),
        ("argmax" | "argmin", Some(0)) => Some(3.0),
        ("argmax" | "argmin", _) => Some(0.9),
        ("median", None) if !is_small => Some(1.0),
        _ => None,
    }
}

/// What stands above the table in docs/REDUCTIONS.md.
const PAGE: &str = "# Reductions against NumPy

Written by `make bench-reduce ARGS=--write`; do not edit by hand.

Each row reduces the same elements, in memory, with our kernels and with NumPy 2, one thread each and without a server. Rounds
alternate between both, and the ratio is that of the best times: above 1 we are faster. Elements are raw, and nothing is
remembered between calls. Memory sets the limit of the largest size: a loop that only reads went at 10 to 17 GB/s where this was
measured, NumPy's sum at 10 to 12. Only ratios are meant to be carried to other machines.

| MiB | dtype | shape | operation | axis | ours, GB/s | ratio | target | |
|--:|---|---|---|--:|--:|--:|--:|---|
";

fn least(x: Vec<f64>) -> f64 {
    x.into_iter().fold(f64::MAX, f64::min)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|i| args.get(i + 1)).cloned();
    let quick = args.iter().any(|a| a == "--quick");
    let only = value("--only").unwrap_or_default();
    let sizes = value("--mib").unwrap_or_else(|| if quick { "0.5".into() } else { "0.5,8,512".into() });
    let rounds: usize = value("--rounds").map_or(if quick { 1 } else { 7 }, |n| n.parse().expect("a number"));
    let file = std::env::temp_dir().join(format!("reduce-bench-{}", std::process::id()));
    let mut numpy = NumPy::start();
    let mut page = PAGE.to_owned();
    println!(
        "{:>7} {:8} {:14} {:7} {:>4} {:>10} {:>10} {:>7} {:>6}",
        "MiB", "dtype", "shape", "op", "axis", "ours us", "numpy us", "GB/s", "ratio"
    );
    for mib in sizes.split(',').map(|m| m.parse::<f64>().expect("a number of MiB")) {
        let mut written: Option<(Dtype, Vec<usize>, Arc<Array>)> = None;
        for (dtype, shape, name, axis) in ROWS {
            let label = format!("{name}/{dtype}/{}", axis.map_or("all".to_owned(), |a| a.to_string()));
            if !label.contains(&only) {
                continue;
            }
            let dtype = Dtype::parse(dtype.as_bytes()).expect("a dtype").0;
            let bytes = (mib * f64::from(1 << 20)) as usize;
            let is_ranked = matches!(*name, "median" | "quantile");
            let bytes = if is_ranked && mib > 100.0 { 80_000_000 } else { bytes };
            let inner: usize = shape.iter().filter(|n| **n > 0).product();
            let outer = bytes / dtype.itemsize() / inner;
            let shape: Vec<usize> = shape.iter().map(|n| if *n == 0 { outer } else { *n }).collect();
            if written.as_ref().is_none_or(|(d, s, _)| *d != dtype || *s != shape) {
                drop(written.take());
                let raw = elements(dtype, shape.iter().product());
                std::fs::write(&file, &raw).expect("room for a file");
                let options = StoreOptions { policy: Policy::Raw, codec_given: true, ..StoreOptions::default() };
                let whole = Shape::new(&shape).expect("a shape");
                let array = Array::from_source(dtype, &whole, &mut SliceSource::new(&raw), &options).expect("memory");
                written = Some((dtype, shape.clone(), Arc::new(array)));
            }
            let Some((_, _, array)) = &written else { continue };
            let view = View::new(Arc::clone(array), None, None).expect("a view");
            let text = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
            let word = axis.map_or("-".to_owned(), |a| a.to_string());
            let line = format!("{} {dtype} {text} {name} {word}", file.display());
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                ours.push(time(&view, name, *axis));
                theirs.push(numpy.time(&line));
            }
            let (ours, theirs) = (least(ours), least(theirs));
            println!(
                "{mib:>7} {:8} {text:14} {name:7} {word:>4} {:>10.1} {:>10.1} {:>7.1} {:>6.2}",
                dtype.name(),
                ours * 1e6,
                theirs * 1e6,
                view.nbytes() as f64 / ours / 1e9,
                theirs / ours
            );
            let ratio = theirs / ours;
            let target = target(dtype, name, *axis, mib);
            let verdict =
                target.map_or("", |t| if (ratio * 100.0).round() / 100.0 >= t { "reached" } else { "missed" });
            page.push_str(&format!(
                "| {mib} | {} | {text} | {name} | {word} | {:.1} | **{ratio:.2}** | {} | {verdict} |\n",
                dtype.name(),
                view.nbytes() as f64 / ours / 1e9,
                target.map_or(String::new(), |t| format!("≥ {t}")),
            ));
        }
    }
    let _ = std::fs::remove_file(&file);
    if args.iter().any(|a| a == "--write") {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/REDUCTIONS.md");
        std::fs::write(path, page).expect("docs can be written");
    }
}
