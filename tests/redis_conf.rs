//! redis.conf says what the module does: every setting, with the default it really has.
#![cfg(feature = "module")]

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{repository, Server};

/// The lines `# ndarray.name value` of redis.conf.
fn documented() -> BTreeMap<String, String> {
    let text = fs::read_to_string(repository().join("redis.conf")).expect("read redis.conf");
    let settings = text.lines().filter_map(|line| line.strip_prefix("# ")?.split_once(' '));
    settings
        .filter(|(name, value)| name.starts_with("ndarray.") && !value.contains(' '))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn settings(server: &Server) -> BTreeMap<String, String> {
    let reply = server.client().ok(&["CONFIG", "GET", "ndarray.*"]);
    reply.array().chunks_exact(2).map(|pair| (pair[0].text(), pair[1].text())).collect()
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let mut documented = documented();
    // Documented in words: it depends on the machine.
    let cores = std::thread::available_parallelism().expect("a number of cores").get();
    documented.insert("ndarray.threads".to_owned(), (cores - 1).max(1).to_string());
    assert_eq!(settings(&Server::start()), documented);
}

#[test]
fn every_documented_line_is_one_that_the_server_takes() {
    let lines = documented();
    let options = lines.iter().fold(Server::with(), |options, (name, value)| options.config(name, value));
    assert_eq!(settings(&options.start()), lines);
}
