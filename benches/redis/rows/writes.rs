//! Changing a part in place, where plain strings make the client fetch the value, change it and send it back.
//!
//! SETRANGE is the best a plain string can do for contiguous rows that need not be read first. GET, a change, and SET is what
//! clients do (and another client's change in between is lost). The change is a copy or a vectorised loop over a buffer that is
//! reused, and what is sent back is ready before: kinder to the alternative than any real client would be.

use std::cell::RefCell;
use std::hint::black_box;

use super::{key, Kind, Row, Scale, Target, Unit};
use crate::client::Traffic;
use crate::measure::{Pair, Side};
use crate::values::{size_name, Value};

const COLS: usize = 128;
const ROW: usize = COLS * 8;

pub fn rows(scale: Scale) -> Vec<Row> {
    let mut out = Vec::new();
    let mut add = |section, id: String, target, pair: Box<dyn Fn() -> Pair>| {
        out.push(Row { section, id, target, unit: Unit::Operations, kind: Kind::Timed(pair) });
    };
    let rows = scale.pick(8192, 1024); // 8 MiB, or 1
    let slices = "ND.SETSLICE of 1% of the rows of a float64 matrix of 8 MiB";
    for depth in [16, 1] {
        let id = format!("setslice/setrange/{}", if depth == 1 { "single" } else { "deep" });
        add(slices, id, Target::None, Box::new(move || Pair::new(nd_setslice(rows, depth), setrange(rows, depth))));
    }
    add(
        slices,
        "setslice/set/single".to_string(),
        Target::AtLeast(60.0),
        Box::new(move || Pair::new(nd_setslice(rows, 1), get_and_set(rows * ROW, "rows", Box::new(copy_rows(rows))))),
    );
    let updates = "ND.UPDATE ADD of a number to every element (float64)";
    let size = scale.pick(64 << 20, 1 << 20);
    add(
        updates,
        format!("update/{}/set", size_name(size).replace(' ', "")),
        Target::AtLeast(3.0),
        Box::new(move || Pair::new(nd_update(size), get_and_set(size, "sums", Box::new(add_to(size, false))))),
    );
    // What NumPy's `a += x` does in the client's own memory, with no server: a bound that no command can pass.
    add(
        updates,
        format!("update/{}/process", size_name(size).replace(' ', "")),
        Target::AtLeast(0.5),
        Box::new(move || {
            let ping = Traffic::one(&[b"PING"]);
            let theirs = Side::new(format!("a += x in the client, {}", size_name(size)), 1, ping);
            Pair::new(nd_update(size), theirs.then(Box::new(add_to(size, true))))
        }),
    );
    let row = "ND.UPDATE ADD of a number to one row of 1 KiB";
    add(
        row,
        "update/row/single".to_string(),
        Target::None,
        Box::new(move || Pair::new(nd_update_row(rows), range_and_set(rows))),
    );
    out
}

fn matrix(rows: usize) -> Value {
    Value::noise_matrix(rows, COLS)
}

fn nd_store(value: &Value) -> Traffic {
    let (dtype, shape) = (value.dtype.as_bytes(), value.shape.as_bytes());
    Traffic::one(&[b"ND.SET", &key('a', 0), dtype, shape, b"BLOB", &value.bytes])
}

fn store(value: &Value) -> Traffic {
    Traffic::one(&[b"SET", &key('s', 0), &value.bytes])
}

/// Where the rows that are written begin.
fn starts(rows: usize) -> Vec<usize> {
    (0..16).map(|i| 3 + i * (rows / 17)).collect()
}

/// 1% of the rows.
fn wanted(rows: usize) -> usize {
    (rows + 50) / 100
}

fn named(what: &str, depth: usize) -> String {
    match depth {
        1 => format!("{what}, one at a time"),
        deep => format!("{what}, {deep} deep"),
    }
}

fn nd_setslice(rows: usize, depth: usize) -> Side {
    let (value, starts, n) = (matrix(rows), starts(rows), wanted(rows));
    let shape = format!("{n},{COLS}");
    let pass = Traffic::pipelined(starts.len(), depth, |i, traffic| {
        let index = format!("{}:{}", starts[i], starts[i] + n);
        let bytes = &value.bytes[..n * ROW];
        traffic.add(&[b"ND.SETSLICE", &key('a', 0), index.as_bytes(), b"float64", shape.as_bytes(), b"BLOB", bytes]);
    });
    Side::new(named(&format!("ND.SETSLICE BLOB, {n} rows"), depth), starts.len(), pass)
        .after(nd_store(&value))
        .sends(starts.len() * n * ROW)
}

fn setrange(rows: usize, depth: usize) -> Side {
    let (value, starts, n) = (matrix(rows), starts(rows), wanted(rows));
    let pass = Traffic::pipelined(starts.len(), depth, |i, traffic| {
        let first = (starts[i] * ROW).to_string();
        traffic.add(&[b"SETRANGE", &key('s', 0), first.as_bytes(), &value.bytes[..n * ROW]]);
    });
    Side::new(named("SETRANGE", depth), starts.len(), pass).after(store(&value)).sends(starts.len() * n * ROW)
}

/// GET, the client's work on the value, and SET of as many bytes.
fn get_and_set(size: usize, what: &str, work: crate::measure::Work) -> Side {
    let value = matrix(size / ROW);
    let mut pass = Traffic::one(&[b"GET", &key('s', 0)]);
    pass.add(&[b"SET", &key('s', 0), &value.bytes]);
    pass.cut();
    Side::new(format!("GET, {what} in the client, SET, {}", size_name(size)), 1, pass)
        .after(store(&value))
        .answers(size)
        .then(work)
}

fn copy_rows(rows: usize) -> impl Fn(&[u8]) {
    let buffer = RefCell::new(vec![0u8; wanted(rows) * ROW]);
    move |reply| {
        let mut buffer = buffer.borrow_mut();
        if let Some(part) = reply.get(..buffer.len()) {
            buffer.copy_from_slice(part);
            black_box(&*buffer);
        }
    }
}

/// Adds a number to each element of a buffer: after every reply, or after those that hold as much.
fn add_to(size: usize, always: bool) -> impl Fn(&[u8]) {
    let buffer = RefCell::new(vec![0.0f64; size / 8]);
    move |reply| {
        if always || reply.len() >= size {
            let mut buffer = buffer.borrow_mut();
            buffer.iter_mut().for_each(|x| *x += 1.0);
            black_box(&*buffer);
        }
    }
}

fn nd_update(size: usize) -> Side {
    let pass = Traffic::one(&[b"ND.UPDATE", &key('a', 0), b"...", b"ADD", b"SCALAR", b"1"]);
    Side::new(format!("ND.UPDATE ADD SCALAR, {}", size_name(size)), 1, pass)
        .after(nd_store(&matrix(size / ROW)))
        .sends(size)
}

fn nd_update_row(rows: usize) -> Side {
    let starts = starts(rows);
    let pass = Traffic::pipelined(starts.len(), 1, |i, traffic| {
        let index = starts[i].to_string();
        traffic.add(&[b"ND.UPDATE", &key('a', 0), index.as_bytes(), b"ADD", b"SCALAR", b"1"]);
    });
    Side::new("ND.UPDATE ADD SCALAR of one row", starts.len(), pass).after(nd_store(&matrix(rows)))
}

/// The row alone, changed, and back: by hand, and not atomic.
fn range_and_set(rows: usize) -> Side {
    let (value, starts) = (matrix(rows), starts(rows));
    let mut pass = Traffic::new();
    for start in &starts {
        let (first, last) = ((start * ROW).to_string(), ((start + 1) * ROW - 1).to_string());
        pass.add(&[b"GETRANGE", &key('s', 0), first.as_bytes(), last.as_bytes()]);
        pass.cut();
        pass.add(&[b"SETRANGE", &key('s', 0), first.as_bytes(), &value.bytes[..ROW]]);
        pass.cut();
    }
    Side::new("GETRANGE, the sums in the client, SETRANGE", starts.len(), pass)
        .after(store(&value))
        .then(Box::new(add_to(ROW, false)))
}
