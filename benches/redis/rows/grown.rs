//! Rows that come one after the other: a log or a replay buffer, against a Redis list and a string that grows.

use super::{key, Kind, Row, Scale, Target, Unit};
use crate::client::Traffic;
use crate::measure::{Pair, Side};
use crate::values::Value;

/// A row of 256 float32.
const ROW: usize = 1024;
const SHAPE: &[u8] = b"1,256";
/// Rows of a pass, and how many are under way.
const ROWS: usize = 2048;
const DEPTH: usize = 256;

pub fn rows(scale: Scale) -> Vec<Row> {
    let section = "ND.APPEND of a row of 1 KiB (256 deep)";
    let n = scale.pick(1 << 20, 1 << 12); // 1 GiB, or 4 MiB
    let row = |id: &str, target, pair: Box<dyn Fn() -> Pair>| Row {
        section,
        id: format!("append/{id}"),
        target,
        unit: Unit::Operations,
        kind: Kind::Timed(pair),
    };
    let window = scale.pick(16_384, 1024);
    vec![
        row(
            "to-append",
            Target::None,
            Box::new(|| Pair::new(nd_append(&[]).fresh(start()), append().fresh(delete('s')))),
        ),
        row(
            "to-rpush",
            Target::None,
            Box::new(|| Pair::new(nd_append(&[]).fresh(start()), rpush().fresh(delete('s')))),
        ),
        row(
            "window/to-rpush-and-ltrim",
            Target::None,
            Box::new(move || {
                let most = window.to_string();
                Pair::new(nd_append(&[b"MAXLEN", most.as_bytes()]).after(start()), rpush_and_trim(window))
            }),
        ),
        row(
            "large-to-small",
            Target::AtLeast(0.8),
            Box::new(move || {
                let rows = n.to_string();
                let shape = format!("{n},256");
                // Noise made on the server: a gibibyte takes long to send.
                let large = Traffic::one(&[
                    b"ND.CREATE",
                    &key('a', 0),
                    b"float32",
                    shape.as_bytes(),
                    b"RANDOM",
                    b"UNIFORM",
                    b"0",
                    b"1",
                    b"SEED",
                    b"1",
                ]);
                let of = |most: &[u8], name: &str| Side { name: name.to_string(), ..nd_append(&[b"MAXLEN", most]) };
                Pair::new(
                    of(rows.as_bytes(), &format!("ND.APPEND to {n} rows")).after(large),
                    of(b"4096", "ND.APPEND to 4,096 rows").after(start()),
                )
            }),
        ),
    ]
}

/// One row, from which all others follow.
fn start() -> Traffic {
    let mut traffic = Traffic::new();
    let value = Value::noise(ROW, 1);
    traffic.add(&[b"DEL", &key('a', 0)]);
    traffic.add(&[b"ND.APPEND", &key('a', 0), b"float32", SHAPE, b"BLOB", &value.bytes]);
    traffic.cut();
    traffic
}

fn delete(kind: char) -> Traffic {
    Traffic::one(&[b"DEL", &key(kind, 0)])
}

fn nd_append(options: &[&[u8]]) -> Side {
    let pass = Traffic::pipelined(ROWS, DEPTH, |i, traffic| {
        let (value, key) = (Value::noise(ROW, i as u64), key('a', 0));
        let mut args: Vec<&[u8]> = vec![b"ND.APPEND", &key, b"float32", SHAPE, b"BLOB", &value.bytes];
        args.extend(options);
        traffic.add(&args);
    });
    let words: String = options.iter().map(|word| format!(" {}", String::from_utf8_lossy(word))).collect();
    Side::new(format!("ND.APPEND{words}"), ROWS, pass).sends(ROWS * ROW)
}

fn append() -> Side {
    let pass = Traffic::pipelined(ROWS, DEPTH, |i, traffic| {
        traffic.add(&[b"APPEND", &key('s', 0), &Value::noise(ROW, i as u64).bytes]);
    });
    Side::new("APPEND to a string", ROWS, pass).sends(ROWS * ROW)
}

fn rpush() -> Side {
    let pass = Traffic::pipelined(ROWS, DEPTH, |i, traffic| {
        traffic.add(&[b"RPUSH", &key('s', 0), &Value::noise(ROW, i as u64).bytes]);
    });
    Side::new("RPUSH", ROWS, pass).sends(ROWS * ROW)
}

fn rpush_and_trim(window: usize) -> Side {
    let first = format!("-{window}");
    let pass = Traffic::pipelined(ROWS, DEPTH, |i, traffic| {
        traffic.add(&[b"RPUSH", &key('s', 0), &Value::noise(ROW, i as u64).bytes]);
        traffic.add(&[b"LTRIM", &key('s', 0), first.as_bytes(), b"-1"]);
    });
    Side::new("RPUSH and LTRIM", ROWS, pass).sends(ROWS * ROW)
}
