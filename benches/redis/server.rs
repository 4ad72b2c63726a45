//! A private server for one side of one row: started in a folder of its own, on the servers' core, and gone with the row.
//!
//! A fresh server keeps one row's heap from telling in the next, and lets the suite go on after a crash.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::Client;
use crate::system::{self, CpuClock};

/// A server that is not up by then will not come up.
const START: Duration = Duration::from_secs(10);

/// What a server is started with.
#[derive(Clone)]
pub struct Settings {
    /// The server's binary.
    pub binary: PathBuf,
    /// The module, unless the rows need none.
    pub module: Option<PathBuf>,
    /// The module of benches/floor.rs, where rows need it.
    pub floor: Option<PathBuf>,
    /// Whether to connect over a unix socket, not over loopback TCP.
    pub unix: bool,
    /// The folder for the servers' folders.
    pub dir: PathBuf,
    /// The client's core and the server's, if there are two.
    pub cores: Option<(usize, usize)>,
}

/// A running server and its one connection.
pub struct Server {
    child: Child,
    dir: TempDir,
    port: u16,
    /// The connection.
    pub client: Client,
    /// The server's CPU clock.
    pub clock: CpuClock,
}

impl Server {
    /// Starts a server and connects to it.
    ///
    /// # Errors
    /// What the system says, or the last lines of the server's log if it did not come up.
    pub fn start(settings: &Settings) -> io::Result<Server> {
        let dir = tempfile::Builder::new().prefix("nd-bench-").tempdir_in(&settings.dir)?;
        let port = if settings.unix { 0 } else { TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port() };
        let mut child = spawn(settings, dir.path(), port)?;
        let connected = connect(&mut child, dir.path(), port);
        match connected.and_then(|client| Ok((client, CpuClock::of(child.id())?))) {
            Ok((client, clock)) => Ok(Server { child, dir, port, client, clock }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(io::Error::other(format!("redis-server did not come up: {error}{}", log_tail(dir.path()))))
            }
        }
    }

    /// Another connection.
    pub fn connect(&self) -> io::Result<Client> {
        open(self.dir.path(), self.port)
    }

    /// An error of the connection, with the server's last words if it is the server that went.
    pub fn explain(&mut self, error: io::Error) -> String {
        sleep(Duration::from_millis(50)); // a process that closed its socket may still be ending
        match self.child.try_wait() {
            Ok(Some(status)) => format!("the server ended ({status}): {error}{}", log_tail(self.dir.path())),
            _ => error.to_string(),
        }
    }

    /// One field of `INFO section`.
    pub fn info(&mut self, section: &str, field: &str) -> io::Result<String> {
        let text = self.client.text(&["INFO", section])?;
        text.lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .map(|value| value.trim().to_string())
            .ok_or_else(|| io::Error::other(format!("INFO {section} has no {field}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the process on the server's core: a child inherits the core of the thread that starts it.
fn spawn(settings: &Settings, dir: &Path, port: u16) -> io::Result<Child> {
    let mut command = Command::new(&settings.binary);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(["--daemonize", "no", "--loglevel", "warning", "--enable-debug-command", "yes"]);
    command.arg("--dir").arg(dir).arg("--logfile").arg(dir.join("log"));
    if port == 0 {
        command.arg("--unixsocket").arg(dir.join("socket"));
    }
    for module in [&settings.module, &settings.floor].into_iter().flatten() {
        command.arg("--loadmodule").arg(module);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Some((client, server)) = settings.cores else { return command.spawn() };
    system::pin(server)?;
    let child = command.spawn();
    system::pin(client)?;
    child
}

fn open(dir: &Path, port: u16) -> io::Result<Client> {
    match port {
        0 => Client::unix(&dir.join("socket")),
        port => Client::tcp(port),
    }
}

fn connect(child: &mut Child, dir: &Path, port: u16) -> io::Result<Client> {
    let deadline = Instant::now() + START;
    loop {
        let error = match open(dir, port).and_then(|mut client| client.text(&["PING"]).map(|_| client)) {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        if let Some(status) = child.try_wait()? {
            return Err(io::Error::other(format!("it ended ({status})")));
        }
        if Instant::now() > deadline {
            return Err(error);
        }
        sleep(Duration::from_millis(5));
    }
}

/// The last lines of a server's log, one after the other.
fn log_tail(dir: &Path) -> String {
    let log = std::fs::read(dir.join("log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].iter().map(|line| format!("; {line}")).collect()
}
