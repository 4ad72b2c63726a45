//! A part of an array, or a number out of it, where plain strings make the client fetch bytes and count.
//!
//! GETRANGE is the best a plain string can do for contiguous rows, for a client that knows the layout by heart. GET and
//! then indexing, or GET and then a loop, is what clients do. Their part is a copy of the rows, or a vectorised sum over
//! a buffer that is reused: kinder to the alternative than any real client would be.

use std::hint::black_box;

use super::{key, Kind, Row, Scale, Target, Unit};
use crate::client::Traffic;
use crate::measure::{Pair, Side};
use crate::values::{mean_f32, mean_i64, size_name, Value};

const COLS: usize = 128;
const ROW: usize = COLS * 8;

pub fn rows(scale: Scale) -> Vec<Row> {
    let mut out = Vec::new();
    let mut add = |section, id: String, target, pair: Box<dyn Fn() -> Pair>| {
        out.push(Row { section, id, target, unit: Unit::Operations, kind: Kind::Timed(pair) });
    };
    let rows = scale.pick(8192, 1024); // 8 MiB, or 1
    let slices = "ND.SLICE of 1% of the rows of a float64 matrix of 8 MiB";
    for (name, make, ratio) in
        [("raw", Value::noise_matrix as fn(usize, usize) -> Value, 0.97), ("compressible", Value::smooth_matrix, 0.85)]
    {
        for depth in [16, 1] {
            add(
                slices,
                format!("slice/getrange/{name}/{}", if depth == 1 { "single" } else { "deep" }),
                Target::AtLeast(ratio),
                Box::new(move || {
                    let value = make(rows, COLS);
                    Pair::new(nd_slice(&value, name, rows, depth), getrange(&value, rows, depth)).same()
                }),
            );
        }
        let target = if name == "raw" { Target::AtLeast(45.0) } else { Target::None };
        add(
            slices,
            format!("slice/get/{name}/single"),
            target,
            Box::new(move || {
                let value = make(rows, COLS);
                Pair::new(nd_slice(&value, name, rows, 1), get_and_index(&value, rows))
            }),
        );
    }
    let means = "ND.MEAN of all elements (float32)";
    for size in [scale.pick(8 << 20, 1 << 20), scale.pick(32 << 20, 2 << 20)] {
        let name = size_name(size).replace(' ', "");
        add(
            means,
            format!("mean/{name}/written"),
            Target::None,
            Box::new(move || Pair::new(nd_mean_written(Value::noise(size, 3)), get_and_mean(size))),
        );
        add(
            means,
            format!("mean/{name}/again"),
            Target::None,
            Box::new(move || Pair::new(nd_mean(size), get_and_mean(size))),
        );
    }
    let size = scale.pick(8 << 20, 1 << 20);
    add(
        "ND.MEAN of all elements, compressible (int64)",
        format!("mean/{}/compressible/written", size_name(size).replace(' ', "")),
        Target::AtLeast(7.0),
        Box::new(move || {
            let value = Value::counters(size, 1_000_000);
            let theirs = Side::new(
                format!("GET, then the mean in the client, {}", size_name(size)),
                1,
                Traffic::one(&[b"GET", &key('s', 0)]),
            );
            let theirs = theirs.after(Traffic::one(&[b"SET", &key('s', 0), &value.bytes])).answers(size);
            let theirs = theirs.then(Box::new(|all| {
                black_box(mean_i64(all));
            }));
            Pair::new(nd_mean_written(value), theirs)
        }),
    );
    out
}

/// Where the rows that are asked for begin: sixteen places, none of them on a chunk's edge.
fn starts(rows: usize) -> impl Iterator<Item = usize> {
    (0..16).map(move |i| 3 + i * (rows / 17))
}

/// 1% of the rows.
fn wanted(rows: usize) -> usize {
    (rows + 50) / 100
}

fn nd_store(n: usize, value: &Value) -> Traffic {
    let (dtype, shape) = (value.dtype.as_bytes(), value.shape.as_bytes());
    Traffic::one(&[b"ND.SET", &key('a', n), dtype, shape, b"BLOB", &value.bytes])
}

fn named(what: String, depth: usize) -> String {
    match depth {
        1 => format!("{what}, one at a time"),
        deep => format!("{what}, {deep} deep"),
    }
}

fn nd_slice(value: &Value, name: &str, rows: usize, depth: usize) -> Side {
    let starts: Vec<usize> = starts(rows).collect();
    let pass = Traffic::pipelined(starts.len(), depth, |i, traffic| {
        let index = format!("{}:{}", starts[i], starts[i] + wanted(rows));
        traffic.add(&[b"ND.SLICE", &key('a', 0), index.as_bytes(), b"BLOB"]);
    });
    Side::new(named(format!("ND.SLICE BLOB, {} rows, {name}", wanted(rows)), depth), starts.len(), pass)
        .after(nd_store(0, value))
        .answers(starts.len() * wanted(rows) * ROW)
}

fn getrange(value: &Value, rows: usize, depth: usize) -> Side {
    let starts: Vec<usize> = starts(rows).collect();
    let pass = Traffic::pipelined(starts.len(), depth, |i, traffic| {
        let first = (starts[i] * ROW).to_string();
        let last = ((starts[i] + wanted(rows)) * ROW - 1).to_string();
        traffic.add(&[b"GETRANGE", &key('s', 0), first.as_bytes(), last.as_bytes()]);
    });
    Side::new(named("GETRANGE".to_string(), depth), starts.len(), pass)
        .after(Traffic::one(&[b"SET", &key('s', 0), &value.bytes]))
        .answers(starts.len() * wanted(rows) * ROW)
}

fn get_and_index(value: &Value, rows: usize) -> Side {
    let bytes = value.bytes.len();
    let places = starts(rows).nth(8).map_or(0..0, |start| start * ROW..(start + wanted(rows)) * ROW);
    Side::new("GET, then the rows in the client", 1, Traffic::one(&[b"GET", &key('s', 0)]))
        .after(Traffic::one(&[b"SET", &key('s', 0), &value.bytes]))
        .answers(bytes)
        .then(Box::new(move |all| {
            black_box(all.get(places.clone()).map(<[u8]>::to_vec));
        }))
}

/// The mean of arrays that were just written: each round writes sixteen, and then asks each for its mean once.
fn nd_mean_written(value: Value) -> Side {
    let size = value.bytes.len();
    let keys = ((128 << 20) / size).clamp(1, 16);
    let reset = Traffic::pipelined(keys, 1, |i, traffic| {
        let (dtype, shape) = (value.dtype.as_bytes(), value.shape.as_bytes());
        traffic.add(&[b"ND.SET", &key('a', i), dtype, shape, b"BLOB", &value.bytes]);
    });
    let pass = Traffic::pipelined(keys, 1, |i, traffic| traffic.add(&[b"ND.MEAN", &key('a', i)]));
    Side { bytes: keys * size, ..Side::new(format!("ND.MEAN just after a write, {}", size_name(size)), keys, pass) }
        .fresh(reset)
}

fn nd_mean(size: usize) -> Side {
    let pass = Traffic::pipelined(16, 1, |_, traffic| traffic.add(&[b"ND.MEAN", &key('a', 0)]));
    Side::new(format!("ND.MEAN again, {}", size_name(size)), 16, pass).after(nd_store(0, &Value::noise(size, 3)))
}

fn get_and_mean(size: usize) -> Side {
    Side::new(
        format!("GET, then the mean in the client, {}", size_name(size)),
        1,
        Traffic::one(&[b"GET", &key('s', 0)]),
    )
    .after(Traffic::one(&[b"SET", &key('s', 0), &Value::noise(size, 3).bytes]))
    .answers(size)
    .then(Box::new(|all| {
        black_box(mean_f32(all));
    }))
}
