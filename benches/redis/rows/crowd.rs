//! What other clients feel: small commands while somebody reads a large array over and over, by sums and whole.

use super::{key, Kind, Row, Scale, Target, Unit};
use crate::client::Traffic;
use crate::latency::Crowd;
use crate::values::Value;

const SECTION: &str =
    "Waiting while another client sums and reads an array of 1 GiB, back to back (with workers, and without)";

pub fn rows(scale: Scale) -> Vec<Row> {
    let doubles = scale.pick(1 << 27, 1 << 17).to_string();
    let samples = scale.pick(10_000, 100);
    let mut rows = Vec::new();
    let mut add = |id: &str, name, percentile, light: fn() -> Traffic| {
        let doubles = doubles.clone();
        let crowd = move || Crowd { name, setup: setup(&doubles), heavy: heavy(), light: light(), percentile, samples };
        rows.push(Row {
            section: SECTION,
            id: format!("crowd/{id}"),
            target: Target::None,
            unit: Unit::Wait,
            kind: Kind::Crowd(Box::new(crowd)),
        });
    };
    add("ping/p50", "PING, the median", 0.5, || Traffic::one(&[b"PING"]));
    add("ping/p99.9", "PING, 99.9% of them", 0.999, || Traffic::one(&[b"PING"]));
    add("get/p99", "ND.GET of 512 B, 99% of them", 0.99, || Traffic::one(&[b"ND.GET", &key('a', 0)]));
    rows
}

fn setup(doubles: &str) -> Traffic {
    let small = Value::noise(512, 1);
    let mut setup = Traffic::new();
    let large: [&[u8]; 10] =
        [b"ND.CREATE", b"large", b"float64", doubles.as_bytes(), b"RANDOM", b"UNIFORM", b"0", b"1", b"SEED", b"1"];
    setup.add(&large);
    setup.add(&[b"ND.SET", &key('a', 0), small.dtype.as_bytes(), small.shape.as_bytes(), b"BLOB", &small.bytes]);
    setup.cut();
    setup
}

fn heavy() -> Traffic {
    let commands: [&[&[u8]]; 4] = [
        &[b"ND.SUM", b"large"],
        &[b"ND.GET", b"large", b"PIECES"],
        &[b"ND.MEAN", b"large"],
        &[b"ND.SUM", b"large", b"SLICE", b"::3"],
    ];
    Traffic::pipelined(commands.len(), 1, |i, traffic| traffic.add(commands[i]))
}
