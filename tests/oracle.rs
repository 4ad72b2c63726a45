//! NumPy, live, as the oracle: tests/oracle/oracle.py against a server of its own.
//!
//! `ORACLE_SEED` and `ORACLE_SCALE` change the cases and their number; `ORACLE_ARGS` adds arguments, such as
//! `--only every_format_reads_back --case 17` to run one again.
#![cfg(feature = "module")]

mod common;

use std::process::Command;

use common::{python, repository, Server};

#[test]
fn numpy_agrees() {
    let server = Server::start();
    let variable = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let extra = variable("ORACLE_ARGS", "");
    let done = Command::new(python())
        .arg(repository().join("tests/oracle/oracle.py"))
        .arg("--socket")
        .arg(server.socket())
        .args(["--seed", &variable("ORACLE_SEED", "1"), "--scale", &variable("ORACLE_SCALE", "1")])
        .args(extra.split_whitespace())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("start Python");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    println!("{}{}", text(&done.stdout), text(&done.stderr));
    assert!(done.status.success(), "NumPy says otherwise (ORACLE_ARGS=\"--only … --case …\" runs one case again)");
}
