//! Small vectors, where the cost of a command is everything: ND.SET and ND.GET against SET and GET.
//!
//! *Deep*: 512 commands are under way, so the connection's share is small. *Single*: each command waits for its reply. The first rows compare SET and GET with themselves: what they show is the noise.

use super::floor::{Floor, FLOOR};
use super::{key, Kind, Row, Scale, Target, Unit, ND};
use crate::client::Traffic;
use crate::measure::{Pair, Side};
use crate::values::{size_name, Value};

const SECTION: &str = "Small vectors (float32)";

/// Keys that a pass goes through, and commands under way in a deep row.
const KEYS: usize = 512;

pub fn rows(scale: Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |section, id: String, target, pair: Box<dyn Fn() -> Pair>| {
        rows.push(Row { section, id, target, unit: Unit::Operations, kind: Kind::Timed(pair) });
    };
    for depth in [KEYS, 1] {
        let id = |what| format!("noise/{what}/512B/{}", depth_name(depth));
        let noise = "Noise: a command against itself";
        add(noise, id("set"), Target::None, Box::new(move || Pair::new(set(512, 's', depth), set(512, 't', depth))));
        add(noise, id("get"), Target::None, Box::new(move || Pair::new(get(512, 's', depth), get(512, 't', depth))));
    }
    for size in [64, 512, 4096] {
        // The targets are for 512 B; the other sizes show how the ratio moves.
        let target = |ratio| if size == 512 { Target::AtLeast(ratio) } else { Target::None };
        let id = |what: &str, depth| format!("{}/{what}/{}", size_name(size).replace(' ', ""), depth_name(depth));
        for depth in [KEYS, 1] {
            let (write, read, whole) = if depth == 1 { (0.97, 0.97, 0.97) } else { (0.80, 0.80, 0.65) };
            let id = |what: &str| id(what, depth);
            add(
                SECTION,
                format!("set/{}", id("existing")),
                target(write),
                Box::new(move || Pair::new(nd_set(ND, size, depth), set(size, 's', depth))),
            );
            add(
                SECTION,
                format!("get/{}", id("blob")),
                target(read),
                Box::new(move || Pair::new(nd_get(ND, size, depth, &["BLOB"]), get(size, 's', depth)).same()),
            );
            add(
                SECTION,
                format!("get/{}", id("default")),
                target(whole),
                Box::new(move || Pair::new(nd_get(ND, size, depth, &[]), get(size, 's', depth))),
            );
        }
        let keys = scale.pick((32 << 20) / size, 2048).min(50_000);
        add(
            SECTION,
            format!("set/{}", id("new", KEYS)),
            target(0.70),
            Box::new(move || Pair::new(nd_set_new(ND, size, keys), set_new(size, keys))),
        );
    }
    rows
}

/// The same of the module that does nothing: 512 B, deep.
pub fn floor(scale: Scale) -> Vec<Floor> {
    let keys = scale.pick(50_000, 2048);
    vec![
        ("set/existing", Box::new(|| Pair::new(nd_set(FLOOR, 512, KEYS), set(512, 's', KEYS)))),
        ("set/new", Box::new(move || Pair::new(nd_set_new(FLOOR, 512, keys), set_new(512, keys)))),
        ("get/blob", Box::new(|| Pair::new(nd_get(FLOOR, 512, KEYS, &["BLOB"]), get(512, 's', KEYS)).same())),
    ]
}

fn depth_name(depth: usize) -> &'static str {
    if depth == 1 {
        "single"
    } else {
        "deep"
    }
}

/// `what`, with the size and the depth.
fn named(what: &str, size: usize, depth: usize) -> String {
    let depth = if depth == 1 { "one at a time".to_string() } else { format!("{depth} deep") };
    format!("{what}, {}, {depth}", size_name(size))
}

fn values(size: usize, n: usize) -> Vec<Value> {
    (0..n).map(|i| Value::noise(size, i as u64)).collect()
}

fn nd_sets(module: &str, size: usize, n: usize, depth: usize) -> Traffic {
    let (set, values) = (format!("{module}.SET"), values(size, KEYS.min(n)));
    Traffic::pipelined(n, depth, |i, traffic| {
        let value = &values[i % values.len()];
        let (dtype, shape) = (value.dtype.as_bytes(), value.shape.as_bytes());
        traffic.add(&[set.as_bytes(), &key('a', i), dtype, shape, b"BLOB", &value.bytes]);
    })
}

fn sets(size: usize, kind: char, n: usize, depth: usize) -> Traffic {
    let values = values(size, KEYS.min(n));
    Traffic::pipelined(n, depth, |i, traffic| traffic.add(&[b"SET", &key(kind, i), &values[i % values.len()].bytes]))
}

fn nd_set(module: &str, size: usize, depth: usize) -> Side {
    let what = format!("{module}.SET over an existing key");
    Side::new(named(&what, size, depth), KEYS, nd_sets(module, size, KEYS, depth)).sends(KEYS * size)
}

fn set(size: usize, kind: char, depth: usize) -> Side {
    Side::new(named("SET", size, depth), KEYS, sets(size, kind, KEYS, depth)).sends(KEYS * size)
}

fn nd_set_new(module: &str, size: usize, keys: usize) -> Side {
    let what = format!("{module}.SET of new keys");
    Side::new(named(&what, size, KEYS), keys, nd_sets(module, size, keys, KEYS))
        .sends(keys * size)
        .fresh(Traffic::one(&[b"FLUSHALL", b"SYNC"]))
}

fn set_new(size: usize, keys: usize) -> Side {
    Side::new(named("SET of new keys", size, KEYS), keys, sets(size, 's', keys, KEYS))
        .sends(keys * size)
        .fresh(Traffic::one(&[b"FLUSHALL", b"SYNC"]))
}

fn nd_get(module: &str, size: usize, depth: usize, format: &[&str]) -> Side {
    let get = format!("{module}.GET");
    let pass = Traffic::pipelined(KEYS, depth, |i, traffic| {
        let key = key('a', i);
        let mut args: Vec<&[u8]> = vec![get.as_bytes(), &key];
        args.extend(format.iter().map(|word| word.as_bytes()));
        traffic.add(&args);
    });
    let what = if format.is_empty() { get.clone() } else { format!("{get} {}", format.join(" ")) };
    Side::new(named(&what, size, depth), KEYS, pass).after(nd_sets(module, size, KEYS, KEYS)).answers(KEYS * size)
}

fn get(size: usize, kind: char, depth: usize) -> Side {
    let pass = Traffic::pipelined(KEYS, depth, |i, traffic| traffic.add(&[b"GET", &key(kind, i)]));
    Side::new(named("GET", size, depth), KEYS, pass).after(sets(size, kind, KEYS, KEYS)).answers(KEYS * size)
}
