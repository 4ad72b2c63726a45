//! The memory of a key: what `used_memory` gains when a fresh server is filled.
//!
//! Connections' buffers are taken out of the count, and it is read only once it stands still, because the server goes
//! on moving its hash table for a while after the last write.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::rows::Filling;
use crate::server::{Server, Settings};

/// Readings in a row that must agree.
const STILL: usize = 5;

/// A server that has not come to rest by then is reported as such.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes per key after the filling's commands.
///
/// # Errors
/// The server's own error, or a count that does not come to rest.
pub fn per_key(filling: &Filling, keys: usize, settings: &Settings) -> Result<f64, String> {
    let mut server = Server::start(settings).map_err(|e| e.to_string())?;
    let before = used(&mut server)?;
    let tally = match server.client.run(&filling.traffic, 1, |_| {}) {
        Ok(tally) => tally,
        Err(error) => return Err(format!("{}: {}", filling.name, server.explain(error))),
    };
    if let Some(error) = tally.error {
        return Err(format!("{}: {error}", filling.name));
    }
    let after = used(&mut server)?;
    Ok((after - before) as f64 / keys as f64)
}

/// `used_memory` without the connections' buffers, once it stands still.
fn used(server: &mut Server) -> Result<i64, String> {
    let deadline = Instant::now() + PATIENCE;
    let (mut last, mut same) = (0, 0);
    while same < STILL {
        if Instant::now() > deadline {
            return Err(format!("used_memory did not come to rest within {} s", PATIENCE.as_secs()));
        }
        sleep(Duration::from_millis(20));
        let mut field = |name| -> Result<i64, String> {
            server.info("memory", name).map_err(|e| e.to_string())?.parse().map_err(|_| format!("{name} is no number"))
        };
        let now = field("used_memory")? - field("mem_clients_normal")?;
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    Ok(last)
}
