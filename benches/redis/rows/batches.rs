//! Many vectors in one command: 1,000 of 128 float32, against MGET, MSET and what people do with hashes.

use super::floor::{Floor, FLOOR};
use super::{key, Kind, Row, Scale, Target, Unit, ND};
use crate::client::Traffic;
use crate::measure::{Pair, Side};
use crate::values::Value;

const SECTION: &str = "Batches of 1,000 vectors of 128 float32";
const DIM: usize = 128;
const SIZE: usize = DIM * 4;
const SHAPE: &[u8] = b"128";

pub fn rows(scale: Scale) -> Vec<Row> {
    let n = scale.pick(1000, 100);
    let row = |id: &str, target, pair: Box<dyn Fn() -> Pair>| Row {
        section: SECTION,
        id: id.to_string(),
        target,
        unit: Unit::Operations,
        kind: Kind::Timed(pair),
    };
    vec![
        row(
            "mget/blob/to-mget",
            Target::AtLeast(1.0),
            Box::new(move || Pair::new(nd_mget(ND, n, &["BLOB"]), mget(n)).same()),
        ),
        row("mget/default/to-mget", Target::None, Box::new(move || Pair::new(nd_mget(ND, n, &[]), mget(n)))),
        row("mget/default/to-hgetall", Target::None, Box::new(move || Pair::new(nd_mget(ND, n, &[]), hgetalls(n)))),
        row("gather/to-mget", Target::AtLeast(1.35), Box::new(move || Pair::new(nd_gather(ND, n), mget(n)))),
        row("gather/to-hgetall", Target::None, Box::new(move || Pair::new(nd_gather(ND, n), hgetalls(n)))),
        row("mset/existing", Target::AtLeast(0.70), Box::new(move || Pair::new(nd_mset(ND, n), mset(n)))),
        row(
            "mset/new",
            Target::None,
            Box::new(move || {
                let flush = || Traffic::one(&[b"FLUSHALL", b"SYNC"]);
                let (ours, theirs) =
                    (many(n, |traffic, first, values| nd_msets(ND, traffic, first, values)), many(n, msets));
                let new = |name: &str, pass| Side::new(format!("{name} of new keys"), 16 * n, pass).fresh(flush());
                Pair::new(new("ND.MSET", ours), new("MSET", theirs))
            }),
        ),
    ]
}

/// The same of the module that does nothing.
pub fn floor(scale: Scale) -> Vec<Floor> {
    let n = scale.pick(1000, 100);
    vec![
        ("mget", Box::new(move || Pair::new(nd_mget(FLOOR, n, &["BLOB"]), mget(n)).same())),
        ("gather", Box::new(move || Pair::new(nd_gather(FLOOR, n), mget(n)))),
        ("mset", Box::new(move || Pair::new(nd_mset(FLOOR, n), mset(n)))),
    ]
}

/// Sixteen batches, each of keys of its own, so that a round of new keys is long enough to be timed.
fn many(n: usize, add: impl Fn(&mut Traffic, usize, &[Value])) -> Traffic {
    let values = values(n);
    Traffic::pipelined(16, 1, |i, traffic| add(traffic, i * n, &values))
}

fn values(n: usize) -> Vec<Value> {
    (0..n).map(|i| Value::noise(SIZE, i as u64)).collect()
}

/// One ND.MSET: the keys first, then the arrays.
fn nd_msets(module: &str, traffic: &mut Traffic, first: usize, values: &[Value]) {
    let mset = format!("{module}.MSET");
    let count = values.len().to_string();
    let keys: Vec<Vec<u8>> = (0..values.len()).map(|i| key('a', first + i)).collect();
    let mut args: Vec<&[u8]> = vec![mset.as_bytes(), count.as_bytes()];
    args.extend(keys.iter().map(Vec::as_slice));
    for value in values {
        args.extend([value.dtype.as_bytes(), SHAPE, b"BLOB", &value.bytes[..]]);
    }
    traffic.add(&args);
}

/// One MSET.
fn msets(traffic: &mut Traffic, first: usize, values: &[Value]) {
    let keys: Vec<Vec<u8>> = (0..values.len()).map(|i| key('s', first + i)).collect();
    let mut args: Vec<&[u8]> = vec![b"MSET"];
    for (key, value) in keys.iter().zip(values) {
        args.extend([&key[..], &value.bytes[..]]);
    }
    traffic.add(&args);
}

fn alone(n: usize, add: impl Fn(&mut Traffic, usize, &[Value])) -> Traffic {
    Traffic::pipelined(1, 1, |_, traffic| add(traffic, 0, &values(n)))
}

fn nd_mset(module: &str, n: usize) -> Side {
    let pass = alone(n, |traffic, first, values| nd_msets(module, traffic, first, values));
    Side::new(format!("{module}.MSET over existing keys"), n, pass).sends(n * SIZE)
}

fn mset(n: usize) -> Side {
    Side::new("MSET", n, alone(n, msets)).sends(n * SIZE)
}

/// One ND.GATHER: the vectors as one array.
fn nd_gather(module: &str, n: usize) -> Side {
    let mget = nd_mget(module, n, &["BLOB"]);
    let gather = format!("{module}.GATHER");
    let (count, keys): (_, Vec<Vec<u8>>) = (n.to_string(), (0..n).map(|i| key('a', i)).collect());
    let mut args: Vec<&[u8]> = vec![gather.as_bytes(), count.as_bytes()];
    args.extend(keys.iter().map(Vec::as_slice));
    args.push(b"BLOB");
    Side { name: format!("{gather} BLOB"), pass: Traffic::one(&args), ..mget }
}

fn nd_mget(module: &str, n: usize, format: &[&str]) -> Side {
    let (mget, set) = (format!("{module}.MGET"), format!("{module}.SET"));
    let (count, keys): (_, Vec<Vec<u8>>) = (n.to_string(), (0..n).map(|i| key('a', i)).collect());
    let mut args: Vec<&[u8]> = vec![mget.as_bytes(), count.as_bytes()];
    args.extend(keys.iter().map(Vec::as_slice));
    args.extend(format.iter().map(|word| word.as_bytes()));
    let what = if format.is_empty() { mget.clone() } else { format!("{mget} {}", format.join(" ")) };
    let setup = Traffic::pipelined(n, n, |i, traffic| {
        let value = Value::noise(SIZE, i as u64);
        traffic.add(&[set.as_bytes(), &key('a', i), value.dtype.as_bytes(), SHAPE, b"BLOB", &value.bytes]);
    });
    Side::new(what, n, Traffic::one(&args)).after(setup).answers(n * SIZE)
}

fn mget(n: usize) -> Side {
    let keys: Vec<Vec<u8>> = (0..n).map(|i| key('s', i)).collect();
    let mut args: Vec<&[u8]> = vec![b"MGET"];
    args.extend(keys.iter().map(Vec::as_slice));
    Side::new("MGET", n, Traffic::one(&args)).after(alone(n, msets)).answers(n * SIZE)
}

fn hgetalls(n: usize) -> Side {
    let setup = Traffic::pipelined(n, n, |i, traffic| {
        let value = Value::noise(SIZE, i as u64);
        let (dtype, data) = (value.dtype.as_bytes(), &value.bytes[..]);
        traffic.add(&[b"HSET", &key('h', i), b"dtype", dtype, b"shape", SHAPE, b"data", data]);
    });
    let pass = Traffic::pipelined(n, n, |i, traffic| traffic.add(&[b"HGETALL", &key('h', i)]));
    Side::new("a pipeline of HGETALL", n, pass).after(setup).answers(n * SIZE)
}
