//! Runs what README.md shows.
//!
//! - Blocks marked `redis-cli`: each line `127.0.0.1:6379> command` goes to the real `redis-cli`, and what it prints must
//!   be what stands below. A line `$ command` goes to `sh` in the repository's root, where `redis-cli` reaches the test
//!   server. All blocks share one server, in order. `BLESS=1 cargo test --test readme` writes the output into README.md.
//! - Blocks marked `python`: one script on a fresh server, run by .venv/bin/python with redis-py and numpy; a bare
//!   `redis.Redis(...)` reaches the test server. A block marked `text` right behind one is what it must print.
//! - examples/session.sh, which `make run` shows, must end without an error.
#![cfg(feature = "module")]

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{program, repository, Server};

const PROMPT: &str = "127.0.0.1:6379> ";

/// Sends every bare `redis.Redis()` to the socket of the test server, and leaves no name behind: README.md must import
/// what it uses.
const PYTHON_PRELUDE: &str = "\
def _prelude():
    import os, redis
    def connect(self, *args, init=redis.Redis.__init__, **options):
        for name in ('host', 'port'):
            options.pop(name, None)
        init(self, unix_socket_path=os.environ['REDIS_SOCKET'], **options)
    redis.Redis.__init__ = connect
_prelude()
del _prelude
";

/// A fenced block: its language, the number of its first line inside (from 0) and its lines.
struct Block {
    language: String,
    start: usize,
    lines: Vec<String>,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    for (i, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some(Block { language: language.trim().to_owned(), start: i + 1, lines: Vec::new() });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(block), None) => block.lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    found
}

fn readme() -> (PathBuf, String) {
    let path = repository().join("README.md");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (path, text)
}

/// A command that finds a `redis-cli` in front of `PATH` which reaches `server` and formats as on a terminal.
fn shell(server: &Server, line: &str) -> Command {
    let bin = server.dir().join("bin");
    let wrapper = bin.join("redis-cli");
    if !wrapper.exists() {
        fs::create_dir_all(&bin).expect("create bin");
        let words = program("REDIS_CLI", "redis-cli");
        let real = if words[0].contains('/') { words[0].clone() } else { find(&words[0]) };
        let rest = words[1..].join(" ");
        let text = format!("#!/bin/sh\nexec {real} {rest} -s {} --no-raw \"$@\"\n", server.socket().display());
        fs::write(&wrapper, text).expect("write the wrapper");
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("make it executable");
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(["-c", line]).env("PATH", path).current_dir(repository());
    command
}

fn find(name: &str) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.exists());
    found.expect("program() has found it").display().to_string()
}

/// What a command line of a `redis-cli` block prints, as lines.
fn output(server: &Server, line: &str) -> Vec<String> {
    let (mut command, input) = match line.strip_prefix("$ ") {
        Some(shell_line) => (shell(server, shell_line), String::new()),
        None => (shell(server, "redis-cli"), format!("{}\n", line.strip_prefix(PROMPT).expect("a prompt"))),
    };
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
    let mut child = spawned.expect("start sh");
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("write the command");
    let done = child.wait_with_output().expect("its output");
    assert!(done.status.success(), "{line}: {}", done.status);
    String::from_utf8_lossy(&done.stdout).trim_end().lines().map(|l| l.trim_end().to_owned()).collect()
}

#[test]
fn the_redis_cli_session_prints_what_it_shows() {
    let (path, text) = readme();
    let mut new: Vec<String> = text.lines().map(str::to_owned).collect();
    let server = Server::start();
    let mut differences = String::new();
    let session: Vec<Block> = blocks(&text).into_iter().filter(|b| b.language == "redis-cli").collect();
    assert!(!session.is_empty(), "README.md has no block marked redis-cli");
    let mut replacements = Vec::new();
    for block in session {
        let mut lines = block.lines.iter().enumerate().peekable();
        let mut answered = Vec::new();
        while let Some((i, line)) = lines.next() {
            answered.push(line.clone());
            if !is_command(line) {
                continue; // a blank line or a comment in front of the first command
            }
            let mut want = Vec::new();
            while let Some((_, l)) = lines.next_if(|(_, l)| !is_command(l) && !l.is_empty()) {
                want.push(l.trim_end().to_owned());
            }
            let got = output(&server, line);
            if got != want {
                let at = block.start + i + 1;
                differences += &format!("README.md:{at}: {line}\n- {}\n+ {}\n", want.join("\n- "), got.join("\n+ "));
            }
            answered.extend(got);
        }
        replacements.push((block.start..block.start + block.lines.len(), answered));
    }
    if std::env::var_os("BLESS").is_some() {
        for (range, lines) in replacements.into_iter().rev() {
            new.splice(range, lines);
        }
        fs::write(path, new.join("\n") + "\n").expect("write README.md");
        return;
    }
    assert!(differences.is_empty(), "\n{differences}(`BLESS=1 cargo test --test readme` writes what redis-cli prints)");
}

#[test]
fn the_example_session_ends_without_an_error() {
    let server = Server::start();
    let done = shell(&server, "examples/session.sh").output().expect("start the session");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
}

fn is_command(line: &str) -> bool {
    line.starts_with(PROMPT) || line.starts_with("$ ")
}

#[test]
fn the_python_session_runs() {
    let (_, text) = readme();
    let server = Server::start();
    let mut script = PYTHON_PRELUDE.to_owned();
    let mut want = String::new();
    let mut previous = None;
    for block in blocks(&text) {
        if block.language == "python" {
            script += &format!("# README.md, line {}\n{}\n", block.start, block.lines.join("\n"));
        } else if block.language == "text" && previous.as_deref() == Some("python") {
            want += &(block.lines.join("\n") + "\n");
        }
        previous = Some(block.language);
    }
    assert!(script.len() > PYTHON_PRELUDE.len(), "README.md has no block marked python");
    let file = server.dir().join("readme.py");
    fs::write(&file, script).expect("write the script");
    let printed = python(&file, &server);
    assert_eq!(printed, want, "the Python session prints something else than README.md shows");
}

fn python(file: &Path, server: &Server) -> String {
    let done = Command::new(common::python())
        .arg(file)
        .env("REDIS_SOCKET", server.socket())
        .current_dir(repository())
        .stderr(Stdio::inherit())
        .output()
        .expect("start Python");
    assert!(done.status.success(), "{} ended with {}", file.display(), done.status);
    String::from_utf8_lossy(&done.stdout).into_owned()
}
