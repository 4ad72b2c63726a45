//! Private Redis servers for tests.
//!
//! Each [`Server`] is a `redis-server` of its own in a temporary directory, listening on a unix socket only, with the
//! module that `cargo test` has just built. It is gone when the value is dropped; its log is printed when the test
//! fails. Nothing waits for a fixed time: [`wait_until`] waits for a condition, with a deadline.
//!
//! ```ignore
//! let server = Server::start();
//! let mut client = server.client();
//! assert!(cmd!(client, "ND.SET", "k", "float32", "2", "BLOB", [0u8; 8]).is_ok());
//!
//! let primary = Server::with().listen().config("maxmemory", "100mb").start();
//! let replica = Server::with().replica_of(&primary).start();
//! ```
//!
//! Environment: `REDIS_SERVER`, `REDIS_CLI` (a program and its first arguments; default: `redis-server` and `redis-cli`
//! from `PATH`) and `NDARRAY_MODULE` (another build of the module to test).
#![allow(dead_code)]

pub mod arrays;
mod client;
pub mod dump;
pub mod resp;
pub mod transcript;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use client::Client;
#[allow(unused_imports)] // each test binary uses what it needs
pub use resp::Value;

/// How long a server may take to start, to stop and to replicate.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Lines of the server's log that are shown.
const TAIL: usize = 60;

/// The directory of Cargo.toml.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Asks `condition` until it holds.
///
/// # Panics
/// When it does not hold within `deadline`; `what` is named.
#[track_caller]
pub fn wait_until(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    while !condition() {
        assert!(start.elapsed() < deadline, "waited {deadline:?} in vain: {what}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// The program and first arguments that `variable` names, or `default` from `PATH`.
///
/// # Panics
/// When there is no such program.
pub fn program(variable: &str, default: &str) -> Vec<String> {
    let words: Vec<String> = match std::env::var(variable) {
        Ok(text) => text.split_whitespace().map(str::to_owned).collect(),
        Err(_) => vec![default.to_owned()],
    };
    let name = words.first().unwrap_or_else(|| panic!("{variable} is set but empty: unset it or name a {default}"));
    let found = if name.contains('/') {
        Path::new(name).exists()
    } else {
        std::env::var_os("PATH").is_some_and(|p| std::env::split_paths(&p).any(|dir| dir.join(name).exists()))
    };
    assert!(found, "no '{name}' here: run `make setup` to install {default}, or name one in the variable {variable}");
    words
}

/// The Python of .venv, with what tests/requirements.txt names.
///
/// # Panics
/// When it is not there.
pub fn python() -> PathBuf {
    let path = repository().join(".venv/bin/python");
    assert!(
        path.exists(),
        "no {}: run `make venv`, which installs the packages of tests/requirements.txt",
        path.display()
    );
    path
}

/// The module that this run of `cargo test` has built.
///
/// # Panics
/// When there is none.
pub fn module_path() -> PathBuf {
    if let Some(path) = std::env::var_os("NDARRAY_MODULE") {
        return PathBuf::from(path);
    }
    let exe = std::env::current_exe().expect("the path of the test binary");
    let path = exe.with_file_name("libredis_ndarray.so");
    assert!(path.exists(), "no module at {}: run the tests by `cargo test`, which builds it", path.display());
    path
}

fn temporary_directory() -> TempDir {
    tempfile::Builder::new().prefix("nd-").tempdir().expect("a temporary directory")
}

/// The last lines of a log, for a failing test.
pub fn log_tail(path: &Path) -> String {
    let text = fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(TAIL)..];
    format!("--- the server's log, last {} of {} lines ---\n{}\n---", tail.len(), lines.len(), tail.join("\n"))
}

/// What a server is started with; made by [`Server::with`].
#[derive(Clone)]
pub struct Options {
    dir: Option<Arc<TempDir>>,
    module: Option<PathBuf>,
    module_args: Vec<String>,
    config: Vec<(String, String)>,
    args: Vec<String>,
    listen: bool,
}

impl Options {
    /// A line of redis.conf; `ndarray.*` settings too.
    pub fn config(mut self, name: &str, value: impl ToString) -> Options {
        self.config.push((name.to_owned(), value.to_string()));
        self
    }

    /// An argument of `redis-server`, as it is.
    pub fn arg(mut self, arg: impl ToString) -> Options {
        self.args.push(arg.to_string());
        self
    }

    /// An argument of the module.
    pub fn module_arg(mut self, arg: impl ToString) -> Options {
        self.module_args.push(arg.to_string());
        self
    }

    /// Another file as the module.
    pub fn module(mut self, path: impl Into<PathBuf>) -> Options {
        self.module = Some(path.into());
        self
    }

    /// A plain server.
    pub fn no_module(mut self) -> Options {
        self.module = None;
        self
    }

    /// Starts with a copy of `file` as `name` in its directory, such as an old RDB file as `dump.rdb`.
    ///
    /// # Panics
    /// When it cannot be copied.
    pub fn file(mut self, name: &str, file: &Path) -> Options {
        let dir = self.dir.get_or_insert_with(|| Arc::new(temporary_directory()));
        fs::copy(file, dir.path().join(name)).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        self
    }

    /// Everything through the append-only file; `preamble` says whether rewrites begin with an RDB.
    pub fn append_only(self, preamble: &str) -> Options {
        self.config("appendonly", "yes").config("appendfsync", "no").config("aof-use-rdb-preamble", preamble)
    }

    /// Also listens on a free TCP port of the loopback interface, as a primary must ([`Server::port`]).
    pub fn listen(mut self) -> Options {
        self.listen = true;
        self
    }

    /// Follows `primary`, which must [`Options::listen`]. [`Server::wait_for_primary`] waits for the first copy.
    pub fn replica_of(self, primary: &Server) -> Options {
        let port = primary.port.expect("a primary must be started with `listen()`");
        self.config("replicaof", format!("127.0.0.1 {port}"))
    }

    /// Works in the directory of another server, once that has stopped.
    pub fn in_directory_of(mut self, other: &Server) -> Options {
        self.dir = Some(other.dir.clone());
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    /// When it does not start; with its log.
    pub fn start(self) -> Server {
        self.try_start().unwrap_or_else(|e| panic!("{e}"))
    }

    /// Starts the server; the error is its log when it does not start.
    pub fn try_start(self) -> Result<Server, String> {
        let dir = self.dir.clone().unwrap_or_else(|| Arc::new(temporary_directory()));
        // Another process may take the port between the question and its use: ask again.
        for _ in 0..5 {
            match self.launch(&dir) {
                Err(log) if self.listen && log.contains("Address already in use") => continue,
                done => return done,
            }
        }
        Err("no free TCP port in five attempts".to_owned())
    }

    fn launch(&self, dir: &Arc<TempDir>) -> Result<Server, String> {
        let path = |name: &str| dir.path().join(name);
        let (socket, log) = (path("redis.sock"), path("redis.log"));
        let _ = fs::remove_file(&socket);
        let _ = fs::remove_file(&log);
        let port = self.listen.then(|| {
            let probe = TcpListener::bind("127.0.0.1:0").expect("a free port");
            probe.local_addr().expect("its number").port()
        });
        fs::write(path("redis.conf"), self.config_file(dir.path(), port)).expect("write redis.conf");

        let words = program("REDIS_SERVER", "redis-server");
        let out = fs::File::create(path("stdout.log")).expect("create stdout.log");
        let child = Command::new(&words[0])
            .args(&words[1..])
            .arg(path("redis.conf"))
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a second handle"))
            .stderr(out)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {}: {e}", words[0]));
        let mut server = Server { child, dir: dir.clone(), options: self.clone(), socket, log, port };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn config_file(&self, dir: &Path, port: Option<u16>) -> String {
        let mut lines = vec![
            format!("port {}", port.unwrap_or(0)),
            "bind 127.0.0.1".to_owned(),
            format!("unixsocket {}", dir.join("redis.sock").display()),
            format!("logfile {}", dir.join("redis.log").display()),
            format!("dir {}", dir.display()),
            "daemonize no".to_owned(),
            "save \"\"".to_owned(),
            "enable-debug-command yes".to_owned(),
            // Children that save and rewrite are noticed once per tick.
            "hz 500".to_owned(),
            "dynamic-hz no".to_owned(),
            "repl-diskless-sync-delay 0".to_owned(),
        ];
        if let Some(module) = &self.module {
            let args: String = self.module_args.iter().map(|a| format!(" {a}")).collect();
            lines.push(format!("loadmodule {}{args}", module.display()));
        }
        lines.extend(self.config.iter().map(|(name, value)| format!("{name} {value}")));
        lines.join("\n") + "\n"
    }
}

/// A running server; stopped and removed on drop.
pub struct Server {
    child: Child,
    dir: Arc<TempDir>,
    options: Options,
    socket: PathBuf,
    log: PathBuf,
    port: Option<u16>,
}

impl Server {
    /// A server with the module and nothing else.
    ///
    /// # Panics
    /// When it does not start; with its log.
    pub fn start() -> Server {
        Server::with().start()
    }

    /// The options of a server that is not yet started.
    pub fn with() -> Options {
        Options {
            dir: None,
            module: Some(module_path()),
            module_args: Vec::new(),
            config: Vec::new(),
            args: Vec::new(),
            listen: false,
        }
    }

    /// A new connection, speaking RESP2.
    ///
    /// # Panics
    /// When the server does not answer; with its log.
    pub fn client(&self) -> Client {
        Client::connect(&self.socket, &self.log)
            .unwrap_or_else(|e| panic!("cannot connect to the server: {e}\n{}", self.log_tail()))
    }

    /// A new connection, speaking RESP3.
    pub fn client3(&self) -> Client {
        let mut client = self.client();
        client.hello(3);
        client
    }

    /// The unix socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The directory of its files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The TCP port, when it was started with [`Options::listen`].
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The whole log so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    /// The last lines of the log and of what the process wrote besides.
    pub fn log_tail(&self) -> String {
        let out = fs::read_to_string(self.dir.path().join("stdout.log")).unwrap_or_default();
        format!("{}{}{out}", log_tail(&self.log), if out.is_empty() { "" } else { "\n" })
    }

    /// Whether the process is still there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Saves everything to RDB, empties the server and loads it again. Needs a database that is not loading.
    pub fn debug_reload(&self) {
        self.client().ok(&["DEBUG", "RELOAD"]);
    }

    /// Empties the server and loads the append-only file again: every write is replayed as it was propagated.
    pub fn debug_load_aof(&self) {
        self.client().ok(&["DEBUG", "LOADAOF"]);
    }

    /// Rewrites the append-only file and waits for the end.
    ///
    /// # Panics
    /// When the rewrite fails; with the log.
    pub fn rewrite_aof(&self) {
        let mut client = self.client();
        let persistence = |client: &mut Client, field: &str| client.info("persistence", field).unwrap_or_default();
        // The first rewrite may still run; while it does, a second is only scheduled.
        let idle = |client: &mut Client| {
            persistence(client, "aof_rewrite_in_progress") == "0" && persistence(client, "aof_rewrite_scheduled") == "0"
        };
        wait_until(DEADLINE, "an earlier rewrite ends", || idle(&mut client));
        client.ok(&["BGREWRITEAOF"]);
        wait_until(DEADLINE, "the rewrite ends", || idle(&mut client));
        let status = persistence(&mut client, "aof_last_bgrewrite_status");
        assert_eq!(status, "ok", "the rewrite failed\n{}", self.log_tail());
    }

    /// A digest of every key, type and value.
    pub fn debug_digest(&self) -> String {
        self.client().ok(&["DEBUG", "DIGEST"]).text()
    }

    /// Waits until this replica is connected and has the primary's data.
    pub fn wait_for_primary(&self) {
        let mut client = self.client();
        wait_until(DEADLINE, "the replica is in step", || {
            client.info("replication", "master_link_status").as_deref() == Some("up")
        });
    }

    /// Waits until `replica` has applied everything this primary has written.
    pub fn wait_for_replica(&self, replica: &Server) {
        let mut here = self.client();
        let mut there = replica.client();
        wait_until(DEADLINE, "the replica has applied all writes", || {
            let offset = here.info("replication", "master_repl_offset");
            let applied = there.info("replication", "slave_repl_offset");
            there.info("replication", "master_link_status").as_deref() == Some("up") && offset == applied
        });
    }

    /// Stops by SHUTDOWN (saving when `save`) and starts again in the same directory with the same options.
    pub fn restart(self, save: bool) -> Server {
        let options = self.options.clone().in_directory_of(&self);
        self.shutdown(save);
        options.start()
    }

    /// Stops by SIGKILL, as a crash would, and starts again in the same directory with the same options.
    pub fn crash_and_restart(mut self) -> Server {
        let options = self.options.clone().in_directory_of(&self);
        self.kill();
        drop(self);
        options.start()
    }

    /// Stops by SHUTDOWN and waits for the process to end.
    pub fn shutdown(mut self, save: bool) {
        self.client().try_call(&["SHUTDOWN", if save { "SAVE" } else { "NOSAVE" }]);
        wait_until(DEADLINE, "the server ends", || !self.is_running());
    }

    /// Kills the process.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("redis-server ended at its start ({status})\n{}", self.log_tail()));
            }
            let answer = Client::connect(&self.socket, &self.log).ok().and_then(|mut c| c.try_call(&["PING"]));
            match answer {
                Some(Value::Simple(_)) => return Ok(()),
                Some(Value::Error(e)) if !e.starts_with("LOADING") => return Err(e),
                _ => {}
            }
            if start.elapsed() > DEADLINE {
                return Err(format!("redis-server did not answer within {DEADLINE:?}\n{}", self.log_tail()));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail());
        }
        self.kill();
    }
}
