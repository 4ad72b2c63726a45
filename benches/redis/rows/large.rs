//! Large arrays, where moving the bytes is everything: in one string, and in pieces (of 1 MiB on the way in, 256 KiB on the way out).
//!
//! *raw* is noise that is kept as it is; *compressible* counts up, so the server compresses it on the way in and
//! decompresses it on the way out, which SET and GET do not do: it buys memory and disk, not speed.

use super::floor::Floor;
use super::{key, Kind, Row, Scale, Target, Unit};
use crate::client::Traffic;
use crate::measure::{Pair, Side};
use crate::values::{size_name, Value};

const PIECE: usize = MIB;
const MIB: usize = 1 << 20;

/// What an array holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Raw,
    Compressible,
}

/// How its bytes travel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Travel {
    Blob,
    Default,
    Pieces,
}

pub fn rows(scale: Scale) -> Vec<Row> {
    let mut rows = Vec::new();
    let sizes = [64 << 10, MIB, 8 * MIB, 64 * MIB];
    let sizes = &sizes[..scale.pick(4, 2)];
    let mut add = |section, id: String, target, pair: Box<dyn Fn() -> Pair>| {
        rows.push(Row { section, id, target, unit: Unit::Bytes, kind: Kind::Timed(pair) });
    };
    for &size in sizes {
        let id = |what: &str| format!("noise/{what}/{}", size_name(size).replace(' ', ""));
        let noise = "Noise: a command against itself";
        let raw = Content::Raw;
        add(noise, id("set"), Target::None, Box::new(move || Pair::new(set(size, 's', raw), set(size, 't', raw))));
        add(noise, id("get"), Target::None, Box::new(move || Pair::new(get(size, 's', raw), get(size, 't', raw))));
    }
    for content in [Content::Raw, Content::Compressible] {
        // What the server compresses need not be as fast; what is asked for is asked at 8 MiB.
        let target = |size: usize, raw, compressible| match content {
            Content::Raw => Target::AtLeast(raw),
            Content::Compressible if size == 8 * MIB => Target::AtLeast(compressible),
            Content::Compressible => Target::None,
        };
        let (section, name, pieces) = match content {
            Content::Raw => ("Large arrays, raw (float32)", "raw", "Large arrays in PIECES, raw (float32)"),
            Content::Compressible => {
                ("Large arrays, compressible (int64)", "compressible", "Large arrays in PIECES, compressible (int64)")
            }
        };
        for &size in sizes {
            let id = |way: &str, travel: &str| format!("{way}/{}/{name}/{travel}", size_name(size).replace(' ', ""));
            add(
                section,
                id("set", "blob"),
                target(size, 0.95, 0.6),
                Box::new(move || Pair::new(nd_set(size, content, Travel::Blob), set(size, 's', content))),
            );
            add(
                section,
                id("get", "blob"),
                target(size, 0.95, 0.8),
                Box::new(move || Pair::new(nd_get(size, content, Travel::Blob), get(size, 's', content)).same()),
            );
            add(
                section,
                id("get", "default"),
                target(size, 0.95, 0.8),
                Box::new(move || Pair::new(nd_get(size, content, Travel::Default), get(size, 's', content)).same()),
            );
        }
        // In a quick run the largest size there is stands in for those that are asked for.
        for &size in sizes.iter().filter(|&&size| size >= scale.pick(8 * MIB, MIB)) {
            let id = |way: &str, travel: &str| format!("{way}/{}/{name}/{travel}", size_name(size).replace(' ', ""));
            add(
                pieces,
                id("set", "pieces"),
                target(size, 2.5, 1.2),
                Box::new(move || Pair::new(nd_set(size, content, Travel::Pieces), set(size, 's', content))),
            );
            add(
                pieces,
                id("get", "pieces"),
                target(size, 2.5, 2.3),
                Box::new(move || Pair::new(nd_get(size, content, Travel::Pieces), get(size, 's', content)).same()),
            );
        }
    }
    let glance = "What it costs auto to see that nothing can be saved (float32, random bits)";
    for &size in sizes {
        let id = format!("auto/{}/raw", size_name(size).replace(' ', ""));
        let pair = move || Pair::new(nd_set_as("auto", size, 'a'), nd_set_as("raw", size, 'b'));
        rows.push(Row {
            section: glance,
            id,
            target: Target::AtLeast(0.95),
            unit: Unit::Bytes,
            kind: Kind::Timed(Box::new(pair)),
        });
    }
    rows
}

/// The pieces as strings of the server's own, all in one command.
pub fn floor(scale: Scale) -> Vec<Floor> {
    // From 4 MiB on a pass is one value.
    let [large, huge] = [scale.pick(8, 4) * MIB, scale.pick(64, 8) * MIB];
    let mset = |size| Pair::new(mset(size), set(size, 's', Content::Raw));
    let mget = |size| Pair::new(mget(size), get(size, 's', Content::Raw)).same();
    vec![
        ("mset/8MiB", Box::new(move || mset(large))),
        ("mget/8MiB", Box::new(move || mget(large))),
        ("mset/64MiB", Box::new(move || mset(huge))),
        ("mget/64MiB", Box::new(move || mget(huge))),
    ]
}

/// One command with the names of all pieces, and the pieces where they are to be sent.
fn of_pieces(command: &[u8], size: usize, piece: usize, has_values: bool) -> Traffic {
    let value = value(size, Content::Raw);
    let names: Vec<Vec<u8>> = (0..size.div_ceil(piece)).map(|i| key('p', i)).collect();
    let mut args = vec![command];
    for (name, piece) in names.iter().zip(value.bytes.chunks(piece)) {
        args.push(name);
        args.extend(has_values.then_some(piece));
    }
    Traffic::one(&args)
}

fn mset(size: usize) -> Side {
    let pieces = size / PIECE;
    let name = format!("MSET of {pieces} strings of {}", size_name(PIECE));
    Side::new(name, 1, of_pieces(b"MSET", size, PIECE, true)).sends(size)
}

/// Of strings as long as the pieces of a reply are.
fn mget(size: usize) -> Side {
    const PIECE: usize = 256 << 10;
    let name = format!("MGET of {} strings of {}", size / PIECE, size_name(PIECE));
    let pass = of_pieces(b"MGET", size, PIECE, false);
    Side::new(name, 1, pass).after(of_pieces(b"MSET", size, PIECE, true)).answers(size)
}

/// ND.SET of noise under a codec that is named.
fn nd_set_as(codec: &'static str, size: usize, kind: char) -> Side {
    let value = value(size, Content::Raw);
    let (dtype, shape) = (value.dtype.as_bytes(), value.shape.as_bytes());
    let pass = traffic(size, |i, traffic| {
        traffic.add(&[b"ND.SET", &key(kind, i), dtype, shape, b"BLOB", &value.bytes, b"CODEC", codec.as_bytes()]);
    });
    Side::new(named(&format!("ND.SET CODEC {codec}"), size), keys(size), pass).sends(keys(size) * size)
}

fn value(size: usize, content: Content) -> Value {
    match content {
        Content::Raw => Value::noise(size, 1),
        Content::Compressible => Value::counters(size, 1_000_000),
    }
}

/// Keys that a pass goes through: 4 MiB of them, at least one.
fn keys(size: usize) -> usize {
    (4 * MIB / size).max(1)
}

/// Commands under way. Below 1 MiB a round trip would be most of a single command's time.
fn depth(size: usize) -> usize {
    (MIB / size).max(1)
}

fn traffic(size: usize, make: impl FnMut(usize, &mut Traffic)) -> Traffic {
    Traffic::pipelined(keys(size), depth(size), make)
}

fn named(what: &str, size: usize) -> String {
    match depth(size) {
        1 => format!("{what}, {}", size_name(size)),
        deep => format!("{what}, {}, {deep} deep", size_name(size)),
    }
}

fn nd_sets(size: usize, content: Content, travel: Travel) -> Traffic {
    let value = value(size, content);
    let pieces: Vec<&[u8]> = value.bytes.chunks(PIECE).collect();
    let count = pieces.len().to_string();
    traffic(size, |i, traffic| {
        let key = key('a', i);
        let mut args: Vec<&[u8]> = vec![b"ND.SET", &key, value.dtype.as_bytes(), value.shape.as_bytes()];
        match travel {
            Travel::Pieces => {
                args.extend([b"PIECES", count.as_bytes()]);
                args.extend(&pieces);
            }
            Travel::Blob | Travel::Default => args.extend([b"BLOB", &value.bytes[..]]),
        }
        traffic.add(&args);
    })
}

fn sets(size: usize, kind: char, content: Content) -> Traffic {
    let value = value(size, content);
    traffic(size, |i, traffic| traffic.add(&[b"SET", &key(kind, i), &value.bytes]))
}

fn nd_set(size: usize, content: Content, travel: Travel) -> Side {
    let what = if travel == Travel::Pieces { "ND.SET PIECES" } else { "ND.SET BLOB" };
    Side::new(named(what, size), keys(size), nd_sets(size, content, travel)).sends(keys(size) * size)
}

fn set(size: usize, kind: char, content: Content) -> Side {
    Side::new(named("SET", size), keys(size), sets(size, kind, content)).sends(keys(size) * size)
}

fn nd_get(size: usize, content: Content, travel: Travel) -> Side {
    let (what, format): (_, &[&[u8]]) = match travel {
        Travel::Blob => ("ND.GET BLOB", &[b"BLOB"]),
        Travel::Default => ("ND.GET", &[]),
        Travel::Pieces => ("ND.GET PIECES", &[b"PIECES"]),
    };
    let pass = traffic(size, |i, traffic| {
        let key = key('a', i);
        let mut args: Vec<&[u8]> = vec![b"ND.GET", &key];
        args.extend(format);
        traffic.add(&args);
    });
    Side::new(named(what, size), keys(size), pass).after(nd_sets(size, content, travel)).answers(keys(size) * size)
}

fn get(size: usize, kind: char, content: Content) -> Side {
    let pass = traffic(size, |i, traffic| traffic.add(&[b"GET", &key(kind, i)]));
    Side::new(named("GET", size), keys(size), pass).after(sets(size, kind, content)).answers(keys(size) * size)
}
