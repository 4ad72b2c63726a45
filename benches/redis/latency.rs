//! How long one client's small commands take while another's large ones run, back to back: with the module's workers, and
//! with everything on the main thread.
//!
//! Averages say nothing here: what counts is how long the unlucky wait. So every command is timed, and what is shown is a
//! high percentile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::client::{Client, Traffic};
use crate::server::{Server, Settings};
use crate::system;

/// Long enough for any job: nothing goes to a worker.
const NEVER: &str = "3600000000";

/// From one small command to the next.
const INTERVAL: Duration = Duration::from_micros(500);

/// What sleeping may take longer than asked.
const AWAKE: Duration = Duration::from_micros(100);

/// What is compared.
pub struct Crowd {
    /// The small command, as a reader knows it.
    pub name: &'static str,
    /// Commands before anything is timed.
    pub setup: Traffic,
    /// What the other client runs back to back.
    pub heavy: Traffic,
    /// The small command.
    pub light: Traffic,
    /// The share of commands that took at most what is shown.
    pub percentile: f64,
    /// How many commands are timed.
    pub samples: usize,
}

/// Seconds at the percentile: with workers, and without.
///
/// # Errors
/// The server's own error, or what the connection says.
pub fn measure(crowd: &Crowd, settings: &Settings) -> Result<(f64, f64), String> {
    // On all cores: what is measured is whether the server's threads get in each other's way.
    if let Some((client, server)) = settings.cores {
        system::pin_to(client..=server).map_err(|e| e.to_string())?;
    }
    let free = Settings { cores: None, ..settings.clone() };
    let side = |workers: bool| {
        let mut server = Server::start(&free).map_err(|e| e.to_string())?;
        wait_under_load(&mut server, crowd, workers).map_err(|e| format!("{}: {e}", crowd.name))
    };
    let both = side(true).and_then(|with| Ok((with, side(false)?)));
    if let Some((client, _)) = settings.cores {
        system::pin(client).map_err(|e| e.to_string())?;
    }
    both
}

fn wait_under_load(server: &mut Server, crowd: &Crowd, workers: bool) -> std::io::Result<f64> {
    if !workers {
        server.client.text(&["CONFIG", "SET", "ndarray.offload-us", NEVER])?;
    }
    run(&mut server.client, &crowd.setup)?;
    let mut other = server.connect()?;
    let (started, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let waits = std::thread::scope(|scope| {
        let heavy = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                started.store(true, Ordering::Relaxed);
                run(&mut other, &crowd.heavy)?;
            }
            Ok(())
        });
        while !started.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        let waits = time_each(&mut server.client, crowd);
        stop.store(true, Ordering::Relaxed);
        let ended = heavy.join().unwrap_or_else(|_| Err(std::io::Error::other("the other client panicked")));
        ended.and(waits)
    })?;
    Ok(percentile(waits, crowd.percentile))
}

/// Commands are due at fixed moments, and waits are counted from there: one that could not be sent in time, because the
/// server was still busy with the last, has waited too.
fn time_each(client: &mut Client, crowd: &Crowd) -> std::io::Result<Vec<f64>> {
    let begin = Instant::now();
    let mut waits = Vec::with_capacity(crowd.samples);
    for n in 0..crowd.samples as u32 {
        let due = begin + INTERVAL * n;
        // Asleep for most of the time, so that a core is free for the server; awake in time.
        std::thread::sleep(due.saturating_duration_since(Instant::now() + AWAKE));
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        run(client, &crowd.light)?;
        waits.push(due.elapsed().as_secs_f64());
    }
    Ok(waits)
}

/// Runs it once; the server's errors are errors.
fn run(client: &mut Client, traffic: &Traffic) -> std::io::Result<()> {
    match client.run(traffic, 1, |_| {})?.error {
        Some(error) => Err(std::io::Error::other(error)),
        None => Ok(()),
    }
}

/// The least of these that this share of them does not exceed.
fn percentile(mut numbers: Vec<f64>, share: f64) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let place = (share * numbers.len() as f64).ceil() as usize; // a count
    numbers.get(place.clamp(1, numbers.len().max(1)) - 1).copied().unwrap_or(0.0)
}
