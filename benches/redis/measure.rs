//! How a row is measured: two sides in turn, round by round, and ratios of neighbours.
//!
//! Absolute rates drift with everything else the machine does, so they are never compared across time. Each round runs
//! both sides one after the other (the order changes from round to round) and gives one ratio; the row's result is the
//! median of those, with its quartiles. The server's CPU time per pass is compared in the same way: it does not count
//! the waiting, so it stays calm where wall times spread.
//!
//! Each side has a fresh server of its own, on the same core and with the same module. On one server, whoever was set
//! up first had the deeper hash chains and the more scattered heap, and lost 4% against itself.

use std::io;
use std::time::{Duration, Instant};

use crate::client::{Tally, Traffic};
use crate::server::{Server, Settings};
use crate::system::CpuClock;

/// What the client does with a part's replies, as part of the measured time.
pub type Work = Box<dyn Fn(&[u8])>;

/// One of the two things compared.
pub struct Side {
    /// What is run, as a reader knows it: `ND.GET key BLOB`.
    pub name: String,
    /// Run once, before everything.
    pub setup: Traffic,
    /// Run before each round, unmeasured. A side that has one is measured for a single pass per round.
    pub reset: Option<Traffic>,
    /// One pass.
    pub pass: Traffic,
    /// The client's own part of a pass.
    pub work: Option<Work>,
    /// Operations in a pass.
    pub ops: usize,
    /// Bytes of values moved in a pass.
    pub bytes: usize,
    /// Bytes that the replies to a pass hold at least.
    pub answer: usize,
}

impl Side {
    /// A side that needs no set-up; `bytes` and `answer` are 0.
    pub fn new(name: impl Into<String>, ops: usize, pass: Traffic) -> Side {
        Side { name: name.into(), setup: Traffic::new(), reset: None, pass, work: None, ops, bytes: 0, answer: 0 }
    }

    /// The same side, moving this many bytes into the server per pass.
    pub fn sends(self, bytes: usize) -> Side {
        Side { bytes, ..self }
    }

    /// The same side, whose passes are answered by at least this many bytes.
    pub fn answers(self, bytes: usize) -> Side {
        Side { bytes, answer: bytes, ..self }
    }

    /// The same side after some commands.
    pub fn after(self, setup: Traffic) -> Side {
        Side { setup, ..self }
    }

    /// The same side with commands before each round.
    pub fn fresh(self, reset: Traffic) -> Side {
        Side { reset: Some(reset), ..self }
    }

    /// The same side with the client's own work on the replies.
    pub fn then(self, work: Work) -> Side {
        Side { work: Some(work), ..self }
    }
}

/// Two sides of a row.
pub struct Pair {
    /// The module's.
    pub ours: Side,
    /// The alternative's.
    pub theirs: Side,
    /// Whether a pass must be answered by the same bytes of values (dtypes and shapes aside).
    pub same: bool,
}

impl Pair {
    /// Two sides.
    pub fn new(ours: Side, theirs: Side) -> Pair {
        Pair { ours, theirs, same: false }
    }

    /// The same pair, whose answers must agree.
    pub fn same(self) -> Pair {
        Pair { same: true, ..self }
    }
}

/// How much to measure.
pub struct Effort {
    /// Rounds, each with one run of both sides.
    pub rounds: usize,
    /// A round's least duration for one side.
    pub round: Duration,
}

/// Median, quartiles and extremes.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The lower quartile and the upper.
    pub quartiles: (f64, f64),
    /// The least and the greatest.
    pub range: (f64, f64),
}

impl Spread {
    /// Of some numbers, none of which is NaN; of none at all, zeros.
    pub fn of(mut numbers: Vec<f64>) -> Spread {
        numbers.sort_by(f64::total_cmp);
        let at = |q: f64| {
            let Some(last) = numbers.len().checked_sub(1) else { return 0.0 };
            let place = q * last as f64;
            let (low, part) = (place.floor(), place.fract());
            let low = low as usize; // between 0 and `last`
            numbers[low] * (1.0 - part) + numbers[(low + 1).min(last)] * part
        };
        Spread { median: at(0.5), quartiles: (at(0.25), at(0.75)), range: (at(0.0), at(1.0)) }
    }
}

/// What a row came to.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Seconds per pass, ours and the alternative's (medians).
    pub seconds: (f64, f64),
    /// Our rate to the alternative's, in operations per second.
    pub ratio: Spread,
    /// Our rate to the alternative's, in operations per second of server CPU.
    pub cpu: Spread,
    /// The client's CPU time to the server's, ours and the alternative's (medians).
    pub client: (f64, f64),
    /// The share of the time that the server's CPU was busy, ours and the alternative's (medians).
    pub busy: (f64, f64),
}

/// One run of one side, per pass, in seconds.
struct Sample {
    wall: f64,
    server: f64,
    client: f64,
}

/// Measures a pair on fresh servers.
///
/// # Errors
/// A text that says which side failed, and how: the server's own error, a nil, a short answer, or a crash.
pub fn measure(pair: &mut Pair, settings: &Settings, effort: &Effort) -> Result<Measured, String> {
    let mut server_a = Server::start(settings).map_err(|e| e.to_string())?;
    let mut server_b = Server::start(settings).map_err(|e| e.to_string())?;
    let reps_ours = prepare(&mut server_a, &mut pair.ours, effort)?;
    let reps_theirs = prepare(&mut server_b, &mut pair.theirs, effort)?;
    if pair.same {
        let ours = answer(&mut server_a, &pair.ours)?;
        let theirs = answer(&mut server_b, &pair.theirs)?;
        if ours != theirs {
            let (a, b) = (&pair.ours.name, &pair.theirs.name);
            return Err(format!("{a} and {b} answer different bytes ({} and {} of them)", ours.len(), theirs.len()));
        }
    }
    let mut samples = Vec::with_capacity(effort.rounds);
    for round in 0..effort.rounds {
        // Two plain calls in either order: the sides are told apart by place, not by time.
        let mut ours = None;
        if round % 2 == 0 {
            ours = Some(sample(&mut server_a, &pair.ours, reps_ours)?);
        }
        let theirs = sample(&mut server_b, &pair.theirs, reps_theirs)?;
        let ours = match ours {
            Some(sample) => sample,
            None => sample(&mut server_a, &pair.ours, reps_ours)?,
        };
        samples.push((ours, theirs));
    }
    let (a, b) = (pair.ours.ops as f64, pair.theirs.ops as f64);
    let spread = |f: &dyn Fn(&(Sample, Sample)) -> f64| Spread::of(samples.iter().map(f).collect());
    Ok(Measured {
        seconds: (spread(&|(ours, _)| ours.wall).median, spread(&|(_, theirs)| theirs.wall).median),
        ratio: spread(&|(ours, theirs)| (a / ours.wall) / (b / theirs.wall)),
        cpu: spread(&|(ours, theirs)| (a / ours.server) / (b / theirs.server)),
        client: (
            spread(&|(ours, _)| ours.client / ours.server).median,
            spread(&|(_, theirs)| theirs.client / theirs.server).median,
        ),
        busy: (
            spread(&|(ours, _)| ours.server / ours.wall).median,
            spread(&|(_, theirs)| theirs.server / theirs.wall).median,
        ),
    })
}

/// Sets a side up, warms it, and answers how many passes fill a round.
fn prepare(server: &mut Server, side: &mut Side, effort: &Effort) -> Result<usize, String> {
    let setup = std::mem::take(&mut side.setup); // sent once, and large rows are better measured without it
    prelude(server, side, &setup, "setting up")?;
    reset(server, side)?;
    passes(server, side, 1)?;
    if side.reset.is_some() {
        return Ok(1);
    }
    let start = Instant::now();
    passes(server, side, 1)?;
    let once = start.elapsed().as_secs_f64().max(1e-6);
    Ok(((effort.round.as_secs_f64() / once).ceil() as usize).clamp(1, 1_000_000))
    // a small positive number
}

fn reset(server: &mut Server, side: &Side) -> Result<(), String> {
    match &side.reset {
        Some(reset) => prelude(server, side, reset, "resetting"),
        None => Ok(()),
    }
}

fn sample(server: &mut Server, side: &Side, reps: usize) -> Result<Sample, String> {
    reset(server, side)?;
    let clocks =
        |server: &Server| -> io::Result<(Duration, Duration)> { Ok((server.clock.now()?, CpuClock::own().now()?)) };
    let before = clocks(server).map_err(|e| e.to_string())?;
    let start = Instant::now();
    passes(server, side, reps)?;
    let wall = start.elapsed();
    let after = clocks(server).map_err(|e| e.to_string())?;
    // A pass always costs something; the floor keeps a clock that did not move from dividing by zero.
    let per_pass = |time: Duration| time.as_secs_f64().max(1e-9) / reps as f64;
    Ok(Sample {
        wall: per_pass(wall),
        server: per_pass(after.0.saturating_sub(before.0)),
        client: per_pass(after.1.saturating_sub(before.1)),
    })
}

/// What a pass answers, kept.
fn answer(server: &mut Server, side: &Side) -> Result<Vec<u8>, String> {
    reset(server, side)?;
    server.client.keep(true);
    let mut all = Vec::new();
    let done = server.client.run(&side.pass, 1, |part| all.extend_from_slice(part));
    server.client.keep(false);
    told(server, side, "running", done).map(|_| all)
}

/// Some passes, with the client's own work and the checks.
fn passes(server: &mut Server, side: &Side, times: usize) -> Result<(), String> {
    let done = match &side.work {
        Some(work) => {
            server.client.keep(true);
            let done = server.client.run(&side.pass, times, work);
            server.client.keep(false);
            done
        }
        None => server.client.run(&side.pass, times, |_| {}),
    };
    let tally = told(server, side, "running", done)?;
    if tally.nils > 0 {
        return Err(format!("{}: {} nil replies, none expected", side.name, tally.nils));
    }
    if tally.bytes < side.answer * times {
        let least = side.answer * times;
        return Err(format!("{}: {} bytes answered, at least {least} expected", side.name, tally.bytes));
    }
    Ok(())
}

/// Commands around the measurement, which need only succeed.
fn prelude(server: &mut Server, side: &Side, traffic: &Traffic, doing: &str) -> Result<(), String> {
    let done = server.client.run(traffic, 1, |_| {});
    told(server, side, doing, done).map(|_| ())
}

/// A tally without errors, or the error with where it came from.
fn told(server: &mut Server, side: &Side, doing: &str, done: io::Result<Tally>) -> Result<Tally, String> {
    let tally = done.map_err(|error| format!("{doing} {}: {}", side.name, server.explain(error)))?;
    match tally.error {
        Some(error) => Err(format!("{doing} {}: {error}", side.name)),
        None => Ok(tally),
    }
}
