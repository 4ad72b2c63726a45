//! What the server leaves to any module: the same rows by one that parses and checks nothing (benches/floor.rs), and large values
//! in pieces as the server's own commands take and answer them.
//!
//! A row above that misses its target, and does not fall short of its floor by much, has little left to win.

use super::{batches, large, small, stored, Kind, Row, Scale, Target, Unit};
use crate::measure::Pair;

/// What the names of these rows begin with.
pub const ID: &str = "floor/";

/// What the commands of benches/floor.rs begin with.
pub const FLOOR: &str = "FLOOR";

/// A row's name and what is measured.
pub type Floor = (&'static str, Box<dyn Fn() -> Pair>);

pub fn rows(scale: Scale) -> Vec<Row> {
    let row = |section, unit| {
        move |(id, pair): Floor| Row {
            section,
            id: format!("{ID}{id}"),
            target: Target::None,
            unit,
            kind: Kind::Timed(pair),
        }
    };
    let module = "The floor: a module that parses and checks nothing (`FLOOR.*`, benches/floor.rs; 512 B)";
    let server = "The floor: large values in pieces, by commands of the server's own";
    let small = [small::floor(scale), batches::floor(scale), stored::floor(scale)].into_iter().flatten();
    let large = large::floor(scale).into_iter();
    small.map(row(module, Unit::Operations)).chain(large.map(row(server, Unit::Bytes))).collect()
}
