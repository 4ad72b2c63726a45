//! Runs tests/transcripts/*.txt, each on a fresh server, in six modes:
//!
//! | mode | before every command on keys |
//! |---|---|
//! | plain | nothing |
//! | reload | `DEBUG RELOAD`: everything through RDB |
//! | aof | the append-only file is rewritten (without RDB preamble) and loaded |
//! | replay | the append-only file is loaded as it grew: every write as it was propagated |
//! | replica | nothing; every read is sent to a replica too, and must get the same reply |
//! | workers | nothing; every read that may go to a worker goes there, however little it is |
//!
//! In the three after the first, `DEBUG DIGEST` must not change. Between `WATCH` or `MULTI` and the end of the transaction
//! nothing is put in. The language is described in tests/common/transcript.rs. `BLESS=1 cargo test --test transcripts`
//! writes the replies of the plain mode into the files: read the difference before you commit it.
#![cfg(feature = "module")]

mod common;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;

use common::transcript::{matches, split, Step, Transcript};
use common::{repository, Client, Server, Value};

/// Mismatches reported per file.
const REPORTED: usize = 10;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Plain,
    Reload,
    Aof,
    Replay,
    Replica,
    Workers,
}

impl Mode {
    const ALL: [Mode; 6] = [Mode::Plain, Mode::Reload, Mode::Aof, Mode::Replay, Mode::Replica, Mode::Workers];

    fn name(self) -> &'static str {
        match self {
            Mode::Plain => "plain",
            Mode::Reload => "reload",
            Mode::Aof => "aof",
            Mode::Replay => "replay",
            Mode::Replica => "replica",
            Mode::Workers => "workers",
        }
    }
}

#[test]
fn replies_are_as_written() {
    run_all(Mode::Plain);
}

#[test]
fn replies_are_the_same_after_reload() {
    run_all(Mode::Reload);
}

#[test]
fn replies_are_the_same_after_a_rewrite_of_the_append_only_file() {
    run_all(Mode::Aof);
}

#[test]
fn replies_are_the_same_after_a_replay_of_the_append_only_file() {
    run_all(Mode::Replay);
}

#[test]
fn replies_are_the_same_on_a_replica() {
    run_all(Mode::Replica);
}

#[test]
fn replies_are_the_same_from_workers() {
    run_all(Mode::Workers);
}

#[test]
fn every_command_of_the_module_has_a_transcript() {
    let server = Server::start();
    let names = server.client().ok(&["COMMAND", "LIST", "FILTERBY", "MODULE", "ndarray"]);
    let mut used = HashSet::new();
    for path in Transcript::all() {
        for block in Transcript::read(&path).blocks {
            if let Step::Command(line) = block.step {
                used.insert(line.split_whitespace().next().unwrap_or_default().to_uppercase());
            }
        }
    }
    let missing: Vec<String> =
        names.array().iter().map(|n| n.text().to_uppercase()).filter(|n| !used.contains(n)).collect();
    assert!(missing.is_empty(), "no transcript uses {}", missing.join(", "));
}

/// Runs every file in one mode, a file per thread; panics with all mismatches.
fn run_all(mode: Mode) {
    let bless = std::env::var_os("BLESS").is_some();
    if bless && mode != Mode::Plain {
        return; // the files are being rewritten
    }
    let paths = Transcript::all();
    assert!(!paths.is_empty(), "no transcripts");
    let next = AtomicUsize::new(0);
    let reports = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = catch_unwind(|| run_file(path, mode, bless));
                    let report = outcome.unwrap_or_else(|panic| format!("{}: {}\n", shown(path), message(&*panic)));
                    reports.lock().expect("no thread panics holding it").push(report);
                }
            });
        }
    });
    let mut reports = reports.into_inner().expect("no thread panics holding it");
    reports.sort();
    let text = reports.concat();
    assert!(text.is_empty(), "\n{text}(`BLESS=1 cargo test --test transcripts` accepts what the server answers)");
}

/// Runs one file; answers a report of what differed, empty when nothing did.
fn run_file(path: &Path, mode: Mode, bless: bool) -> String {
    let mut transcript = Transcript::read(path);
    let named = |words: &[String]| {
        let known = words.iter().all(|w| Mode::ALL.iter().any(|m| m.name() == w));
        assert!(known, "unknown mode in {words:?} (use plain, reload, aof, replay, replica, workers)");
        words.iter().any(|w| w == mode.name())
    };
    if transcript.directives("skip-file").any(named) {
        return String::new();
    }
    let mut session = Session::start(&transcript, mode);
    let mut report = String::new();
    let mut mismatches = 0;
    for block in &mut transcript.blocks {
        let done = catch_unwind(AssertUnwindSafe(|| match &block.step {
            Step::Command(line) => Some(session.command(line)),
            Step::Directive(name, words) if name == "skip-mode" => {
                session.skip = named(words);
                None
            }
            Step::Directive(name, words) => {
                session.directive(name, words);
                None
            }
            Step::End => {
                session.finish();
                None
            }
        }));
        let outcome = match done {
            Ok(None) => continue,
            Ok(Some(outcome)) => outcome,
            Err(panic) => {
                let (line, what) = (block.line, message(&*panic));
                let _ = writeln!(report, "{}:{line} [{}]\n  {}\n{what}", shown(path), mode.name(), block.text);
                break;
            }
        };
        let Outcome { reply, judged, elsewhere } = outcome;
        let actual: Vec<String> = reply.show().split('\n').map(str::to_owned).collect();
        let mut differs = |what: &str, want: &[String], got: &[String]| {
            mismatches += 1;
            if mismatches <= REPORTED {
                let _ = writeln!(report, "{}:{} [{}]{what}\n  {}", shown(path), block.line, mode.name(), block.text);
                write_difference(want, got, &mut report);
            }
        };
        if judged && !matches(&block.expected, &actual) {
            if bless {
                block.expected.clone_from(&actual);
            } else {
                differs("", &block.expected, &actual);
            }
        }
        if let Some(there) = elsewhere.filter(|_| judged) {
            let there: Vec<String> = there.show().split('\n').map(str::to_owned).collect();
            if !matches(&block.expected, &there) {
                differs(" on the replica", &block.expected, &there);
            }
        }
    }
    if mismatches > REPORTED {
        let _ = writeln!(report, "{}: and {} more", shown(path), mismatches - REPORTED);
    }
    if bless {
        std::fs::write(path, transcript.text()).expect("write the transcript");
    }
    report
}

/// What one command answered.
struct Outcome {
    reply: Value,
    /// Whether the reply counts in this mode.
    judged: bool,
    /// What the replica answered to the same command, where it was asked.
    elsewhere: Option<Value>,
}

/// A connection, and its twin on the replica.
struct Connection {
    client: Client,
    twin: Option<Client>,
}

/// The servers of one file, and the state that lines leave behind.
struct Session {
    mode: Mode,
    server: Server,
    replica: Option<Server>,
    connections: HashMap<String, Connection>,
    current: String,
    kept: HashMap<String, Vec<u8>>,
    keep_as: Option<String>,
    skip: bool,
    transaction: bool,
    readonly: HashSet<String>,
    write: HashSet<String>,
}

impl Session {
    fn start(transcript: &Transcript, mode: Mode) -> Session {
        let options = || {
            let mut options = Server::with();
            for words in transcript.directives("server") {
                options = options.config(&words[0], words[1..].join(" "));
            }
            for word in transcript.directives("module").flatten() {
                options = options.module_arg(word);
            }
            options
        };
        let server = match mode {
            Mode::Aof | Mode::Replay => options().append_only("no").start(),
            Mode::Replica => options().listen().start(),
            Mode::Workers => options().config("ndarray.offload-us", 0).start(),
            Mode::Plain | Mode::Reload => options().start(),
        };
        let replica = (mode == Mode::Replica).then(|| {
            let replica = options().replica_of(&server).start();
            replica.wait_for_primary();
            replica
        });
        let mut session = Session {
            mode,
            server,
            replica,
            connections: HashMap::new(),
            current: String::new(),
            kept: HashMap::new(),
            keep_as: None,
            skip: false,
            transaction: false,
            readonly: HashSet::new(),
            write: HashSet::new(),
        };
        for command in session.server.client().ok(&["COMMAND"]).array() {
            let fields = command.array();
            let flags: Vec<String> = fields[2].array().iter().map(Value::text).collect();
            let name = fields[0].text().to_uppercase();
            if flags.iter().any(|f| f == "readonly") {
                session.readonly.insert(name);
            } else if flags.iter().any(|f| f == "write") {
                session.write.insert(name);
            }
        }
        session.switch_to("main");
        session
    }

    fn switch_to(&mut self, name: &str) {
        let twin = self.replica.as_ref();
        self.connections
            .entry(name.to_owned())
            .or_insert_with(|| Connection { client: self.server.client(), twin: twin.map(Server::client) });
        name.clone_into(&mut self.current);
    }

    fn connection(&mut self) -> &mut Connection {
        self.connections.get_mut(&self.current).expect("switch_to made it")
    }

    fn directive(&mut self, name: &str, words: &[String]) {
        match (name, words) {
            ("server" | "module" | "skip-file", _) => {}
            ("client", [name]) => self.switch_to(name),
            ("reload", []) => self.server.debug_reload(),
            ("let", [name]) => self.keep_as = Some(name.clone()),
            ("config", [name, value @ ..]) => {
                for server in std::iter::once(&self.server).chain(&self.replica) {
                    server.client().ok(&["CONFIG", "SET", name, &value.join(" ")]);
                }
            }
            ("resp2" | "resp3", []) => {
                let version = if name == "resp2" { 2 } else { 3 };
                let connection = self.connection();
                connection.client.hello(version);
                if let Some(twin) = &mut connection.twin {
                    twin.hello(version);
                }
            }
            _ => panic!("unknown directive (see tests/common/transcript.rs)"),
        }
    }

    fn command(&mut self, line: &str) -> Outcome {
        let args = split(line, &self.kept).unwrap_or_else(|e| panic!("{e}"));
        let name = String::from_utf8_lossy(args.first().expect("a command")).to_uppercase();
        let judged = !std::mem::take(&mut self.skip);
        let on_keys = self.readonly.contains(&name) || self.write.contains(&name);
        match name.as_str() {
            "WATCH" | "MULTI" => self.transaction = true,
            _ if on_keys && judged && !self.transaction => self.interpose(),
            _ => {}
        }
        let reply = self.connection().client.call(&args);
        if let Some(name) = self.keep_as.take() {
            self.kept.insert(name, reply.bytes().to_vec());
        }
        let repeat = !self.transaction && self.readonly.contains(&name);
        let elsewhere = if repeat { self.read_on_replica(&args) } else { None };
        match name.as_str() {
            "EXEC" | "DISCARD" | "UNWATCH" => self.transaction = false,
            "SELECT" | "HELLO" => {
                if let Some(twin) = &mut self.connection().twin {
                    twin.call(&args);
                }
            }
            _ => {}
        }
        Outcome { reply, judged, elsewhere }
    }

    /// What this mode does to the keys between two commands.
    fn interpose(&mut self) {
        let change: fn(&Server) = match self.mode {
            Mode::Plain | Mode::Replica | Mode::Workers => return,
            Mode::Reload => Server::debug_reload,
            Mode::Aof => |server| {
                server.rewrite_aof();
                server.debug_load_aof();
            },
            Mode::Replay => Server::debug_load_aof,
        };
        let before = self.server.debug_digest();
        change(&self.server);
        assert_eq!(self.server.debug_digest(), before, "DEBUG DIGEST has changed");
    }

    fn read_on_replica(&mut self, args: &[Vec<u8>]) -> Option<Value> {
        self.server.wait_for_replica(self.replica.as_ref()?);
        Some(self.connection().twin.as_mut()?.call(args))
    }

    fn finish(&mut self) {
        assert!(self.server.client().ping());
        if let Some(replica) = &self.replica {
            self.server.wait_for_replica(replica);
            assert_eq!(replica.debug_digest(), self.server.debug_digest(), "DEBUG DIGEST differs on the replica");
        }
    }
}

/// Lines only expected (`-`), only answered (`+`), and common to both at the start and the end.
fn write_difference(want: &[String], got: &[String], out: &mut String) {
    let same = |pairs: usize| pairs.min(want.len()).min(got.len());
    let front = want.iter().zip(got).take_while(|(w, g)| w == g).count();
    let back =
        want.iter().rev().zip(got.iter().rev()).take_while(|(w, g)| w == g).count().min(same(usize::MAX) - front);
    let lines = want[..front].iter().map(|l| (' ', l));
    let lines = lines.chain(want[front..want.len() - back].iter().map(|l| ('-', l)));
    let lines = lines.chain(got[front..got.len() - back].iter().map(|l| ('+', l)));
    for (mark, line) in lines.chain(want[want.len() - back..].iter().map(|l| (' ', l))) {
        let _ = writeln!(out, "  {mark} {line}");
    }
}

fn shown(path: &Path) -> String {
    path.strip_prefix(repository()).unwrap_or(path).display().to_string()
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

/// A file of its own for each case below.
fn scratch(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("case.txt");
    std::fs::write(&path, text).expect("write the case");
    (dir, path)
}

#[test]
fn a_wrong_reply_is_reported_with_its_line_and_difference() {
    let (_dir, path) = scratch("> RPUSH k a b\n(integer) 2\n> LRANGE k 0 -1\n1) \"a\"\n2) \"c\"\n");
    let report = run_file(&path, Mode::Plain, false);
    assert!(
        report.contains("case.txt:3 [plain]\n  > LRANGE k 0 -1\n    1) \"a\"\n  - 2) \"c\"\n  + 2) \"b\"\n"),
        "{report}"
    );
}

#[test]
fn blessing_writes_the_replies_and_keeps_the_rest() {
    let (_dir, path) = scratch("# one\n@resp3\n\n> SET k \"a\\nb\"\n> GET k\n(error) wrong\n# two\n> TIME\n(any)\n");
    assert_eq!(run_file(&path, Mode::Plain, true), "");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "# one\n@resp3\n\n> SET k \"a\\nb\"\nOK\n> GET k\n| a\n| b\n# two\n> TIME\n(any)\n");
    assert_eq!(run_file(&path, Mode::Plain, false), "");
}

#[test]
fn a_value_that_a_mode_loses_is_reported() {
    // What is written while the append-only file is closed is not in it.
    let text = "> SET k 1\nOK\n> CONFIG SET appendonly no\nOK\n> SET k 2\nOK\n> GET k\n\"2\"\n";
    let (_dir, path) = scratch(text);
    assert_eq!(run_file(&path, Mode::Plain, false), "");
    let report = run_file(&path, Mode::Replay, false);
    assert!(report.contains("case.txt:") && report.contains("[replay]"), "{report}");
}
