//! The results as a table: plain on the terminal, Markdown in docs/BENCHMARKS.md.

use std::fmt::Write;

use crate::measure::{Measured, Spread};
use crate::rows::{Target, Unit};

/// What was measured, in the units it is shown in.
pub struct Numbers {
    /// Ours, absolute.
    pub ours: f64,
    /// The alternative's, absolute.
    pub theirs: f64,
    /// Ours to the alternative's.
    pub ratio: Spread,
    /// For timed rows, the rest of what was measured.
    pub timed: Option<Measured>,
}

/// One line.
pub struct Outcome {
    /// The heading it stands under.
    pub section: &'static str,
    /// The row's id.
    pub id: String,
    /// What must be reached.
    pub target: Target,
    /// What the absolute columns count.
    pub unit: Unit,
    /// What was run, ours and the alternative's.
    pub names: (String, String),
    /// The numbers, or why there are none.
    pub numbers: Result<Numbers, String>,
}

/// Under what conditions everything was measured.
pub struct Conditions {
    /// Name and version of the server.
    pub server: String,
    /// Name and version of the module.
    pub module: String,
    /// How the cores were used.
    pub cores: String,
    /// How the client was connected.
    pub transport: String,
    /// Rounds, and how long a side runs in each.
    pub rounds: String,
    /// What other processes took meanwhile; known at the end.
    pub others: String,
}

impl Outcome {
    fn absolute(&self, number: f64) -> String {
        let digits = |number: f64| match number {
            n if n >= 100.0 => format!("{n:.0}"),
            n if n >= 10.0 => format!("{n:.1}"),
            n => format!("{n:.2}"),
        };
        match self.unit {
            Unit::Operations => format!("{} k/s", digits(number / 1e3)),
            Unit::Bytes => format!("{} GB/s", digits(number / 1e9)),
            Unit::PerKey => format!("{number:.0} B"),
            Unit::Wait if number < 1e-3 => format!("{} µs", digits(number * 1e6)),
            Unit::Wait => format!("{} ms", digits(number * 1e3)),
        }
    }

    fn target(&self) -> String {
        match self.target {
            Target::None => String::new(),
            Target::AtLeast(ratio) => format!("≥ {ratio:.2}"),
            Target::AtMost(ratio) => format!("≤ {ratio:.2}"),
        }
    }

    /// `reached` or `missed`; nothing where there is no target.
    fn verdict(&self) -> &'static str {
        let Ok(numbers) = &self.numbers else { return "failed" };
        let median = (numbers.ratio.median * 100.0).round() / 100.0; // as it is shown
        match self.target {
            Target::None => "",
            Target::AtLeast(ratio) if median >= ratio => "reached",
            Target::AtMost(ratio) if median <= ratio => "reached",
            Target::AtLeast(_) | Target::AtMost(_) => "missed",
        }
    }
}

fn quartiles(numbers: &Numbers) -> String {
    match numbers.timed {
        Some(_) => format!("{:.2}–{:.2}", numbers.ratio.quartiles.0, numbers.ratio.quartiles.1),
        None => String::new(),
    }
}

fn range(numbers: &Numbers) -> String {
    match numbers.timed {
        Some(_) => format!("{:.2}–{:.2}", numbers.ratio.range.0, numbers.ratio.range.1),
        None => String::new(),
    }
}

fn cpu(numbers: &Numbers) -> String {
    numbers.timed.map_or(String::new(), |timed| format!("{:.2}", timed.cpu.median))
}

/// The larger of the two sides' client shares: below 1, the client was not what was measured.
fn client(numbers: &Numbers) -> String {
    numbers.timed.map_or(String::new(), |timed| format!("{:.2}", timed.client.0.max(timed.client.1)))
}

/// The smaller of the two sides' shares of time in which the server was busy.
fn busy(numbers: &Numbers) -> String {
    numbers.timed.map_or(String::new(), |timed| format!("{:.2}", timed.busy.0.min(timed.busy.1)))
}

/// The terminal table's head.
pub fn head() -> String {
    format!(
        "{:<34} {:>11} {:>11} {:>7} {:>13} {:>13} {:>6} {:>6} {:>6} {:>7} verdict",
        "row", "ours", "other", "ratio", "quartiles", "min–max", "cpu", "busy", "client", "target"
    )
}

/// The terminal table's line.
pub fn line(outcome: &Outcome) -> String {
    match &outcome.numbers {
        Ok(numbers) => format!(
            "{:<34} {:>11} {:>11} {:>7.2} {:>13} {:>13} {:>6} {:>6} {:>6} {:>7} {}",
            outcome.id,
            outcome.absolute(numbers.ours),
            outcome.absolute(numbers.theirs),
            numbers.ratio.median,
            quartiles(numbers),
            range(numbers),
            cpu(numbers),
            busy(numbers),
            client(numbers),
            outcome.target(),
            outcome.verdict()
        ),
        Err(why) => format!("{:<34} FAILED: {why}", outcome.id),
    }
}

/// Rows counted by verdict: `31 reached, 2 missed, 40 without a target, 0 failed`.
pub fn summary(outcomes: &[Outcome]) -> String {
    let count = |verdict| outcomes.iter().filter(|outcome| outcome.verdict() == verdict).count();
    format!(
        "{} targets reached, {} missed; {} rows without a target; {} failed",
        count("reached"),
        count("missed"),
        count(""),
        count("failed")
    )
}

/// The whole of docs/BENCHMARKS.md.
pub fn markdown(outcomes: &[Outcome], conditions: &Conditions) -> String {
    let mut page = String::from(INTRODUCTION);
    let Conditions { server, module, cores, transport, rounds, others } = conditions;
    // Writing into a String cannot fail.
    let _ = write!(
        page,
        "## Conditions\n\n- Server: {server}, no persistence, a fresh one for each side of each row.\n\
         - Module: {module}.\n- Cores: {cores}.\n- Connection: one client over {transport}.\n- Rounds: {rounds}.\n\
         - Other processes: {others}.\n\n\
         ## Results\n\n{}.\n",
        summary(outcomes)
    );
    let mut section = "";
    for outcome in outcomes {
        if outcome.section != section {
            section = outcome.section;
            let _ = write!(
                page,
                "\n### {section}\n\n| ours | alternative | ours | alternative | ratio | quartiles | range | CPU | busy | client | \
                 target | |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n"
            );
        }
        let (ours, theirs) = &outcome.names;
        let _ = match &outcome.numbers {
            Ok(numbers) => writeln!(
                page,
                "| {ours} | {theirs} | {} | {} | **{:.2}** | {} | {} | {} | {} | {} | {} | {} |",
                outcome.absolute(numbers.ours),
                outcome.absolute(numbers.theirs),
                numbers.ratio.median,
                quartiles(numbers),
                range(numbers),
                cpu(numbers),
                busy(numbers),
                client(numbers),
                outcome.target(),
                outcome.verdict()
            ),
            Err(why) => {
                let why = why.replace('|', "\\|");
                writeln!(page, "| {} | | | | | | | | | | {} | failed: {why} |", outcome.id, outcome.target())
            }
        };
    }
    page
}

impl Numbers {
    /// Of a timed row: rates in operations or bytes a second.
    pub fn timed(measured: Measured, ours: f64, theirs: f64) -> Numbers {
        let (a, b) = measured.seconds;
        Numbers { ours: ours / a, theirs: theirs / b, ratio: measured.ratio, timed: Some(measured) }
    }

    /// Of a row that is measured once: bytes per key, or seconds of waiting.
    pub fn once(ours: f64, theirs: f64) -> Numbers {
        Numbers { ours, theirs, ratio: Spread::of(vec![ours / theirs]), timed: None }
    }
}

const INTRODUCTION: &str = "\
# Benchmarks

Written by `make bench`; do not edit by hand.

Each row compares one of our commands with what one would do on plain Redis keys. Only ratios are meant to be carried to
other machines: the two sides run in turn, in rounds of some tens of milliseconds, and each round gives one ratio, so
whatever else slows the machine down slows both.

## Columns

- **ours**, **alternative** (names): what was run. *512 deep*: that many commands are under way; the client sends
  the next ones while the server works. *One at a time*: each command waits for its reply, which is mostly the round trip.
- **ours**, **alternative** (numbers): thousands of operations a second (k/s), gigabytes (10^9 bytes) of values a second
  (GB/s), bytes of server memory per key (B), or how long a command took (µs, ms).
- **ratio**: ours to the alternative's, the median of all rounds. More is better, except for memory and waiting.
- **quartiles**, **range**: the middle half of the rounds' ratios, and all of them. Rows named noise compare a command
  with itself: their spread is what a difference must exceed to mean anything.
- **CPU**: the same ratio, by the server's CPU time in place of the wall clock (all of the process's threads, user and
  system). It stays calm where wall times spread, which they do most between 32 KiB and 7 MiB.
- **busy**: the share of the time in which the server's CPU was busy, for the side where it is smaller. Far below 1, as
  with one command at a time, the row measures mostly the round trip.
- **client**: the client's CPU time divided by the server's, for the side where it is larger. Below 1, it is the server
  that was measured. Above 1, as when large values are sent (the kernel's copy into the socket is all that the client
  does, and the server reads without one more), the wall clock shows less than the whole difference; the CPU column
  shows it.
- **target**: what the row must reach; `reached` and `missed` go by the median of the wall-clock ratio.
- **The floor** (the last two tables): how near a module can come at all. `FLOOR.*` are the commands of a module that
  parses nothing and checks nothing; `MSET` and `MGET` take and answer the pieces of a large value as strings of the
  server's own. Where a floor is below a target, the target was out of reach on that machine.

The client sends bytes prepared before the clock starts and reads replies into one buffer, counting and checking them.
Where a row's alternative computes in the client (the rows of a matrix, a mean), the client reads into a buffer it
reuses and computes in a vectorised loop: real clients are slower. Before it is measured, a row whose two sides answer
the same bytes is checked to do so.

## Running

```
make bench                                     # everything, and this page
cargo bench --bench redis -- --only slice      # rows whose name has `slice` in it, on the terminal
cargo bench --bench redis -- --list            # the names
cargo bench --bench redis -- --quick           # two short rounds of small sizes: does everything run?
cargo bench --bench redis -- --help            # the other options
```

`REDIS_SERVER` names the server's binary. The RDB rows write to the folder for temporary files (`--dir` names another).

";
