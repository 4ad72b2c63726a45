//! Rows here and there: a batch of random rows of a large matrix, as a replay buffer is read, and one column.
//!
//! On a plain string a batch is a pipeline of GETRANGE, one for each row, or a Lua script that loops over them. The
//! positions are the same on both sides, and so must be the bytes that come back.
//!
//! One batch at a time is what one client without threads sees. It waits for the network most of the time: on loopback a
//! PING, one at a time, is as fast as two pipelines of 256 GETRANGE, so that no command whatever could be five times as fast
//! as one. Rows that end in `/to-ping` say how near to a PING a batch comes. With several batches under way, on both
//! sides, it is the server's work that is compared: those rows have the targets.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{key, Kind, Row, Scale, Target, Unit};
use crate::client::Traffic;
use crate::measure::{Pair, Side};
use crate::values::Value;

const COLS: usize = 64;
const ROW: usize = COLS * 4;
/// Rows of a batch, batches of a pass, and how many are under way in a deep row.
const BATCH: usize = 256;
const BATCHES: usize = 16;
const DEEP: usize = 8;

/// The loop that clients send: positions in the arguments, rows as one string.
const LUA: &[u8] = b"local out = {} \
    for i = 2, #ARGV do local at = ARGV[i] * ARGV[1] \
    out[i - 1] = redis.call('GETRANGE', KEYS[1], at, at + ARGV[1] - 1) end \
    return table.concat(out)";

pub fn rows(scale: Scale) -> Vec<Row> {
    let mut out = Vec::new();
    let mut add = |section, id: String, target, pair: Box<dyn Fn() -> Pair>| {
        out.push(Row { section, id, target, unit: Unit::Operations, kind: Kind::Timed(pair) });
    };
    let n = scale.pick(1_000_000, 20_000);
    let section = "ND.TAKE of 256 random rows of a float32 matrix of 1,000,000 by 64 (operations are batches)";
    for (name, make, storage, target) in [
        ("raw", noise as fn(usize) -> Value, &["CODEC", "raw"][..], Target::AtLeast(5.0)),
        ("compressed", smooth, &["CODEC", "lz4"], Target::None),
        ("compressed-in-16-rows", smooth, &["CODEC", "lz4", "CHUNK", "16,64"], Target::None),
    ] {
        for (other, side) in [("getranges", getranges as fn(&Value, usize, usize) -> Side), ("lua", lua)] {
            for (suffix, depth) in [("", 1), ("/deep", DEEP)] {
                add(
                    section,
                    format!("take/{name}/to-{other}{suffix}"),
                    if depth == 1 { Target::None } else { target },
                    Box::new(move || {
                        let value = make(n);
                        Pair::new(nd_take(&value, n, name, storage, depth), side(&value, n, depth)).same()
                    }),
                );
            }
        }
    }
    add(
        section,
        "take/raw/to-ping".to_string(),
        Target::None,
        Box::new(move || Pair::new(nd_take(&noise(n), n, "raw", &["CODEC", "raw"], 1), pings())),
    );
    let rows = scale.pick(8192, 1024); // 8 MiB of float64, or 1
    let section = "One column of a float64 matrix of 8 MiB";
    for (suffix, depth, of_get, of_getranges) in
        [("", 1, Target::None, Target::None), ("/deep", DEEP, Target::AtLeast(55.0), Target::AtLeast(45.0))]
    {
        add(
            section,
            format!("column/get{suffix}"),
            of_get,
            Box::new(move || {
                let value = Value::noise_matrix(rows, 128);
                Pair::new(nd_column(&value, rows, depth), get_and_column(&value, rows, depth))
            }),
        );
        add(
            section,
            format!("column/getranges{suffix}"),
            of_getranges,
            Box::new(move || {
                let value = Value::noise_matrix(rows, 128);
                Pair::new(nd_column(&value, rows, depth), column_of_getranges(&value, rows))
            }),
        );
    }
    add(
        section,
        "column/to-ping".to_string(),
        Target::None,
        Box::new(move || Pair::new(nd_column(&Value::noise_matrix(rows, 128), rows, 1), pings())),
    );
    out
}

/// What is run, and how many are under way.
fn named(what: impl std::fmt::Display, depth: usize) -> String {
    match depth {
        1 => format!("{what}, one at a time"),
        deep => format!("{what}, {deep} deep"),
    }
}

/// The least a client can wait for.
fn pings() -> Side {
    Side::new("PING, one at a time", 16, Traffic::pipelined(16, 1, |_, traffic| traffic.add(&[b"PING"])))
}

fn noise(n: usize) -> Value {
    Value { shape: format!("{n},{COLS}"), ..Value::noise(n * ROW, 5) }
}

/// Small whole numbers that change slowly: a quarter of the bytes says it all.
fn smooth(n: usize) -> Value {
    let bytes = (0..n * COLS).flat_map(|i| ((i / COLS % 1000) as f32).to_le_bytes()).collect();
    Value { dtype: "float32", shape: format!("{n},{COLS}"), bytes }
}

/// The positions of every batch.
fn positions(n: usize) -> Vec<Vec<usize>> {
    let mut rng = SmallRng::seed_from_u64(11);
    (0..BATCHES).map(|_| (0..BATCH).map(|_| rng.random_range(0..n)).collect()).collect()
}

fn nd_take(value: &Value, n: usize, name: &str, storage: &[&str], depth: usize) -> Side {
    let (dtype, shape) = (value.dtype.as_bytes(), value.shape.as_bytes());
    let key = key('a', 0);
    let mut set: Vec<&[u8]> = vec![b"ND.SET", &key, dtype, shape, b"BLOB", &value.bytes];
    set.extend(storage.iter().map(|word| word.as_bytes()));
    let pass = Traffic::pipelined(BATCHES, depth, |i, traffic| {
        let list: Vec<u8> = positions(n)[i].iter().flat_map(|p| (*p as u64).to_le_bytes()).collect();
        traffic.add(&[b"ND.TAKE", &key, b"0", b"BLOB", &list, b"BLOB"]);
    });
    Side::new(named(format!("ND.TAKE BLOB, {name}"), depth), BATCHES, pass)
        .after(Traffic::one(&set))
        .answers(BATCHES * BATCH * ROW)
}

fn stored(value: &Value) -> Traffic {
    Traffic::one(&[b"SET", &key('s', 0), &value.bytes])
}

fn getranges(value: &Value, n: usize, depth: usize) -> Side {
    let positions = positions(n).concat();
    let pass = Traffic::pipelined(BATCHES * BATCH, BATCH * depth, |i, traffic| {
        let (first, last) = ((positions[i] * ROW).to_string(), (positions[i] * ROW + ROW - 1).to_string());
        traffic.add(&[b"GETRANGE", &key('s', 0), first.as_bytes(), last.as_bytes()]);
    });
    Side::new(named("a pipeline of 256 GETRANGE", depth), BATCHES, pass)
        .after(stored(value))
        .answers(BATCHES * BATCH * ROW)
}

fn lua(value: &Value, n: usize, depth: usize) -> Side {
    let row = ROW.to_string();
    let pass = Traffic::pipelined(BATCHES, depth, |i, traffic| {
        let texts: Vec<String> = positions(n)[i].iter().map(usize::to_string).collect();
        let key = key('s', 0);
        let mut args: Vec<&[u8]> = vec![b"EVAL", LUA, b"1", &key, row.as_bytes()];
        args.extend(texts.iter().map(String::as_bytes));
        traffic.add(&args);
    });
    Side::new(named("a Lua script that loops over GETRANGE", depth), BATCHES, pass)
        .after(stored(value))
        .answers(BATCHES * BATCH * ROW)
}

fn nd_column(value: &Value, rows: usize, depth: usize) -> Side {
    let (dtype, shape) = (value.dtype.as_bytes(), value.shape.as_bytes());
    let pass = Traffic::pipelined(16, depth, |_, traffic| traffic.add(&[b"ND.SLICE", &key('a', 0), b":,77", b"BLOB"]));
    Side::new(named("ND.SLICE :,77 BLOB", depth), 16, pass)
        .after(Traffic::one(&[b"ND.SET", &key('a', 0), dtype, shape, b"BLOB", &value.bytes]))
        .answers(16 * rows * 8)
}

fn get_and_column(value: &Value, rows: usize, depth: usize) -> Side {
    // Two values are enough for the server never to wait; more would be in each other's way in the client's caches.
    let (ops, depth) = if depth == 1 { (1, 1) } else { (4, 2) };
    let pass = Traffic::pipelined(ops, depth, |_, traffic| traffic.add(&[b"GET", &key('s', 0)]));
    Side::new(named("GET, then the column in the client", depth), ops, pass)
        .after(stored(value))
        .answers(ops * rows * 128 * 8)
        .then(Box::new(move |all| {
            let column: Vec<u8> = all.chunks_exact(128 * 8).flat_map(|row| &row[77 * 8..78 * 8]).copied().collect();
            std::hint::black_box(column);
        }))
}

fn column_of_getranges(value: &Value, rows: usize) -> Side {
    // Sixteen columns, as on the other side; with so many under way the server never waits.
    let pass = Traffic::pipelined(16 * rows, 512, |i, traffic| {
        let first = ((i % rows) * 128 + 77) * 8;
        traffic.add(&[b"GETRANGE", &key('s', 0), first.to_string().as_bytes(), (first + 7).to_string().as_bytes()]);
    });
    Side::new("a pipeline of GETRANGE, one for each row", 16, pass).after(stored(value)).answers(16 * rows * 8)
}
