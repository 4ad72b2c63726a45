//! What values cost while nobody asks for them: memory per key, and the way into an RDB file and back.
//!
//! The servers of an RDB row hold nothing else, 256 MiB of it where values are large. *Save* is `SAVE`; *load* is
//! `DEBUG RELOAD NOSAVE NOFLUSH` after a `FLUSHALL` that is not measured. *Compressed* is what the module makes of integers that
//! count up, under `rdbcompression no`: else the server would compress the plain strings, which is slower still.

use super::floor::{Floor, FLOOR};
use super::{key, Filling, Kind, Row, Scale, Target, Unit, ND};
use crate::client::Traffic;
use crate::measure::{Pair, Side};
use crate::values::Value;

const MIB: usize = 1 << 20;
/// A vector of 128 float32.
const SMALL: usize = 512;

/// What a database of an RDB row holds.
#[derive(Clone, Copy)]
struct Contents {
    keys: usize,
    size: usize,
    holds: Holds,
}

/// What is in a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Noise,
    Counters,
}

pub fn rows(scale: Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    let keys = scale.pick(100_000, 10_000);
    let mut memory = |id: &str, target, theirs: fn(usize) -> Filling| {
        rows.push(Row {
            section: "Memory of a key with 128 float32 (used_memory)",
            id: format!("memory/{id}"),
            target,
            unit: Unit::PerKey,
            kind: Kind::Memory(keys, Box::new(move || (arrays(keys), theirs(keys)))),
        });
    };
    memory("string", Target::AtMost(0.92), strings);
    memory("hash", Target::None, hashes);

    let large = Contents { keys: scale.pick(32, 4), size: scale.pick(8, 1) * MIB, holds: Holds::Noise };
    let cut = Contents { keys: large.keys * large.size / MIB, size: MIB, ..large };
    let counters = Contents { holds: Holds::Counters, ..large };
    let small = Contents { keys, size: SMALL, ..large };
    for (id, ours, theirs, target, unit) in [
        ("8MiB", large, large, Target::AtLeast(1.0), Unit::Bytes),
        ("8MiB-as-1MiB-strings", large, cut, Target::None, Unit::Bytes),
        ("8MiB-compressed", counters, counters, Target::AtLeast(2.0), Unit::Bytes),
        ("512B", small, small, Target::AtLeast(0.9), Unit::Operations),
    ] {
        for (way, side) in [("save", save as fn(Contents, Stored) -> Side), ("load", load)] {
            rows.push(Row {
                section: "RDB",
                id: format!("rdb/{way}/{id}"),
                target,
                unit,
                kind: Kind::Timed(Box::new(move || {
                    let mut theirs = side(theirs, Stored::String);
                    theirs.ops = ours.keys; // the same contents, in however many strings
                    Pair::new(side(ours, Stored::Array), theirs)
                })),
            });
        }
    }
    rows
}

/// Small values of the module that does nothing.
pub fn floor(scale: Scale) -> Vec<Floor> {
    let small = Contents { keys: scale.pick(100_000, 10_000), size: SMALL, holds: Holds::Noise };
    vec![
        ("save", Box::new(move || Pair::new(save(small, Stored::Floor), save(small, Stored::String)))),
        ("load", Box::new(move || Pair::new(load(small, Stored::Floor), load(small, Stored::String)))),
    ]
}

/// As what the values are stored.
#[derive(Clone, Copy)]
enum Stored {
    Array,
    Floor,
    String,
}

/// The commands that fill a database.
fn fill(contents: Contents, stored: Stored) -> Traffic {
    let value = |i: usize| match contents.holds {
        Holds::Noise => Value::noise(contents.size, i as u64),
        Holds::Counters => Value::counters(contents.size, i as i64),
    };
    let values: Vec<Value> = (0..contents.keys.min(8)).map(value).collect();
    let depth = (MIB / contents.size).clamp(1, 512);
    let mut fill = Traffic::pipelined(contents.keys, depth, |i, traffic| {
        let value = &values[i % values.len()];
        let (dtype, shape) = (value.dtype.as_bytes(), value.shape.as_bytes());
        match stored {
            Stored::Array | Stored::Floor => {
                let module = if let Stored::Floor = stored { FLOOR } else { ND };
                let set = format!("{module}.SET");
                traffic.add(&[set.as_bytes(), &key('a', i), dtype, shape, b"BLOB", &value.bytes]);
            }
            Stored::String => traffic.add(&[b"SET", &key('s', i), &value.bytes]),
        }
    });
    if contents.holds == Holds::Counters {
        fill.add(&[b"CONFIG", b"SET", b"rdbcompression", b"no"]);
        fill.cut();
    }
    fill
}

fn named(what: &str, contents: Contents, stored: Stored) -> String {
    let kind = match stored {
        Stored::Array => "arrays",
        Stored::Floor => "values of FLOOR.SET",
        Stored::String => "strings",
    };
    let compressed = if contents.holds == Holds::Counters { ", rdbcompression no" } else { "" };
    format!("{what}, {} {kind} of {}{compressed}", contents.keys, crate::values::size_name(contents.size))
}

fn save(contents: Contents, stored: Stored) -> Side {
    let side = Side::new(named("SAVE", contents, stored), contents.keys, Traffic::one(&[b"SAVE"]));
    side.after(fill(contents, stored)).sends(contents.keys * contents.size)
}

fn load(contents: Contents, stored: Stored) -> Side {
    let mut setup = fill(contents, stored);
    setup.add(&[b"SAVE"]);
    setup.cut();
    let pass = Traffic::one(&[b"DEBUG", b"RELOAD", b"NOSAVE", b"NOFLUSH"]);
    Side::new(named("load", contents, stored), contents.keys, pass)
        .after(setup)
        .fresh(Traffic::one(&[b"FLUSHALL", b"SYNC"]))
        .sends(contents.keys * contents.size)
}

fn arrays(keys: usize) -> Filling {
    Filling { name: "ND.SET".into(), traffic: fill(Contents { keys, size: SMALL, holds: Holds::Noise }, Stored::Array) }
}

fn strings(keys: usize) -> Filling {
    Filling { name: "SET".into(), traffic: fill(Contents { keys, size: SMALL, holds: Holds::Noise }, Stored::String) }
}

fn hashes(keys: usize) -> Filling {
    let value = Value::noise(SMALL, 0);
    let (dtype, shape) = (value.dtype.as_bytes(), value.shape.as_bytes());
    let traffic = Traffic::pipelined(keys, 512, |i, traffic| {
        traffic.add(&[b"HSET", &key('h', i), b"dtype", dtype, b"shape", shape, b"data", &value.bytes]);
    });
    Filling { name: "HSET dtype, shape, data".into(), traffic }
}
