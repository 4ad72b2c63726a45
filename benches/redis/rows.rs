//! The table of contents: every row, in the order it is measured and shown.

mod batches;
mod crowd;
pub mod floor;
mod grown;
mod large;
mod parts;
mod small;
mod stored;
mod taken;
mod writes;

use crate::client::Traffic;
use crate::latency::Crowd;
use crate::measure::Pair;

/// What a row must reach.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// Nothing: it is there to be known.
    None,
    /// A rate at least this many times the alternative's.
    AtLeast(f64),
    /// A size at most this many times the alternative's.
    AtMost(f64),
}

/// What the two absolute columns count.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    /// Thousands of operations a second.
    Operations,
    /// Gigabytes (10^9) of values a second.
    Bytes,
    /// Bytes of server memory per key.
    PerKey,
    /// How long a command takes.
    Wait,
}

/// How large the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// As the targets ask for.
    Full,
    /// Small, to see that everything runs.
    Quick,
}

impl Scale {
    /// The full number, or the quick one.
    pub fn pick(self, full: usize, quick: usize) -> usize {
        match self {
            Scale::Full => full,
            Scale::Quick => quick,
        }
    }
}

/// Commands that fill a server, and with what; for rows of memory.
pub struct Filling {
    /// What is stored, as a reader knows it.
    pub name: String,
    /// The commands.
    pub traffic: Traffic,
}

/// How a row is measured; what it sends is made only when it is its turn.
pub enum Kind {
    /// Two sides in turn.
    Timed(Box<dyn Fn() -> Pair>),
    /// The memory of this many keys, ours and the alternative's.
    Memory(usize, Box<dyn Fn() -> (Filling, Filling)>),
    /// How long small commands wait for large ones, with workers and without.
    Crowd(Box<dyn Fn() -> Crowd>),
}

/// One line of the results.
pub struct Row {
    /// The heading it stands under.
    pub section: &'static str,
    /// What `--only` looks in: `set/512B/existing/deep`.
    pub id: String,
    /// What must be reached.
    pub target: Target,
    /// What the absolute columns count.
    pub unit: Unit,
    /// How it is measured.
    pub kind: Kind,
}

/// What the module's commands begin with.
const ND: &str = "ND";

/// Every row.
pub fn all(scale: Scale) -> Vec<Row> {
    let mut rows = small::rows(scale);
    rows.extend(large::rows(scale));
    rows.extend(parts::rows(scale));
    rows.extend(writes::rows(scale));
    rows.extend(taken::rows(scale));
    rows.extend(grown::rows(scale));
    rows.extend(batches::rows(scale));
    rows.extend(stored::rows(scale));
    rows.extend(crowd::rows(scale));
    rows.extend(floor::rows(scale));
    let mut sections = Vec::new();
    for row in &rows {
        if !sections.contains(&row.section) {
            sections.push(row.section);
        }
    }
    rows.sort_by_key(|row| sections.iter().position(|section| *section == row.section)); // stable: one heading each
    rows
}

/// The n-th key of a kind. Both sides' keys have the same length.
fn key(kind: char, n: usize) -> Vec<u8> {
    format!("{kind}:{n:06}").into_bytes()
}
