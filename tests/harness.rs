//! The test harness itself, on plain Redis commands: a check is trusted after it has been seen to work.
#![cfg(feature = "module")]

mod common;

use common::{dump, repository, wait_until, Server, Value, DEADLINE};

#[test]
fn the_module_is_loaded_and_the_server_listens_on_a_socket_only() {
    let server = Server::start();
    let mut client = server.client();
    let modules = client.ok(&["MODULE", "LIST"]).show();
    assert!(modules.contains("ndarray"), "{modules}");
    assert_eq!(client.ok(&["CONFIG", "GET", "port"]).array()[1].text(), "0");
    assert!(server.socket().starts_with(server.dir()));
}

#[test]
fn a_server_that_does_not_start_answers_its_log() {
    let why = Server::with().config("no-such-setting", 1).try_start().err().unwrap();
    assert!(why.contains("no-such-setting"), "{why}");
    let why = Server::with().module(repository().join("Cargo.toml")).try_start().err().unwrap();
    assert!(why.contains("Cargo.toml"), "{why}");
}

#[test]
fn nothing_is_left_of_a_dropped_server() {
    let server = Server::start();
    let (dir, pid) = (server.dir().to_owned(), server.pid());
    drop(server);
    assert!(!dir.exists());
    wait_until(DEADLINE, "the process is gone", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn every_kind_of_reply_reads_and_shows() {
    let server = Server::start();
    let mut client = server.client3();
    let mut shown = |what: &str| client.call(&["DEBUG", "PROTOCOL", what]).show();
    assert_eq!(shown("string"), "\"Hello World\"");
    assert_eq!(shown("integer"), "(integer) 12345");
    assert_eq!(shown("double"), "(double) 3.141");
    assert_eq!(shown("null"), "(nil)");
    assert_eq!(shown("array"), "1) (integer) 0\n2) (integer) 1\n3) (integer) 2");
    assert_eq!(shown("set"), "1~ (integer) 0\n2~ (integer) 1\n3~ (integer) 2");
    assert_eq!(shown("map"), "1# (integer) 0 => (false)\n2# (integer) 1 => (true)\n3# (integer) 2 => (false)");
    assert_eq!(shown("attrib"), "\"Some real reply following the attribute\"");
    assert_eq!(shown("bignum"), "(big number) 1234567999999999999999999999999999999");
    assert_eq!(shown("true"), "(true)");
    assert_eq!(shown("false"), "(false)");
    assert_eq!(shown("verbatim"), "(verbatim txt) | This is a verbatim\n               | string");
    assert_eq!(client.call(&["NOSUCH"]).error().map(|e| e.starts_with("ERR unknown command")), Some(true));
}

#[test]
fn bytes_go_and_come_as_they_are_and_pipelines_keep_their_order() {
    let server = Server::start();
    let mut client = server.client();
    let bytes: Vec<u8> = (0..=255).collect();
    assert!(cmd!(client, "SET", "k", &bytes).is_ok());
    assert_eq!(client.ok(&["GET", "k"]).bytes(), bytes);
    let commands: Vec<Vec<String>> = (0..2500).map(|i| vec!["ECHO".into(), i.to_string()]).collect();
    for (i, reply) in client.pipeline(&commands).iter().enumerate() {
        assert_eq!(reply.text(), i.to_string());
    }
}

#[test]
fn nested_replies_are_indented() {
    let value = Value::Array(vec![
        Value::Bulk(b"a".to_vec()),
        Value::Array(vec![Value::Int(1), Value::Array(vec![]), Value::Bulk(b"x\ny".to_vec())]),
        Value::Map(vec![(Value::Bulk(b"k".to_vec()), Value::Array(vec![Value::Int(1), Value::Int(2)]))]),
    ]);
    let want = "1) \"a\"\n2) 1) (integer) 1\n   2) (empty array)\n   3) | x\n      | y\n3) 1# \"k\" => 1) (integer) 1\n             2) (integer) 2";
    assert_eq!(value.show(), want);
}

#[test]
fn a_resealed_payload_is_the_one_the_server_made() {
    let server = Server::start();
    let mut client = server.client();
    client.ok(&["SET", "k", "hello"]);
    let payload = client.dump("k");
    let mut sealed = payload.clone();
    let end = sealed.len();
    sealed[end - 8..].fill(0);
    dump::reseal(&mut sealed);
    assert_eq!(sealed, payload);
    assert_eq!(dump::with_value(dump::value(&payload), &payload), payload);
}

#[test]
fn damaged_payloads_reach_the_loader_by_the_thousand() {
    let server = Server::start();
    let mut client = server.client();
    client.ok(&["SET", "k", "hello world"]);
    let payload = client.dump("k");
    let last = dump::value(&payload).len() - 1;
    let mutants: Vec<Vec<u8>> = (0..=255u8)
        .map(|byte| {
            let mut mutant = payload.clone();
            mutant[last] = byte;
            dump::reseal(&mut mutant);
            mutant
        })
        .collect();
    let replies = client.restore_many("k", mutants.iter().cycle().take(5000).map(Vec::as_slice));
    assert_eq!(replies.len(), 5000);
    assert!(replies.iter().all(Value::is_ok));
    let mut unsealed = payload.clone();
    unsealed[last] ^= 1;
    let reply = &client.restore_many("k", [unsealed.as_slice()])[0];
    assert_eq!(reply.error(), Some("ERR DUMP payload version or checksum are wrong"));
}

#[test]
fn values_outlive_reload_restart_and_crash() {
    let server = Server::with().append_only("no").start();
    server.client().ok(&["SET", "k", "1"]);
    server.debug_reload();
    server.rewrite_aof();
    server.debug_load_aof();
    let server = server.restart(false);
    server.client().ok(&["INCR", "k"]);
    let server = server.crash_and_restart();
    assert_eq!(server.client().ok(&["GET", "k"]).text(), "2");
}

#[test]
fn a_saved_file_is_loaded_at_the_start() {
    let server = Server::start();
    server.client().ok(&["SET", "k", "kept"]);
    server.client().ok(&["SAVE"]);
    let other = Server::with().file("dump.rdb", &server.dir().join("dump.rdb")).start();
    assert_eq!(other.client().ok(&["GET", "k"]).text(), "kept");
}

#[test]
fn a_replica_follows_its_primary() {
    let primary = Server::with().listen().start();
    primary.client().ok(&["SET", "before", "1"]);
    let replica = Server::with().replica_of(&primary).start();
    replica.wait_for_primary();
    primary.client().ok(&["SET", "after", "2"]);
    primary.wait_for_replica(&replica);
    assert_eq!(replica.client().ok(&["MGET", "before", "after"]).show(), "1) \"1\"\n2) \"2\"");
    assert_eq!(primary.debug_digest(), replica.debug_digest());
}
