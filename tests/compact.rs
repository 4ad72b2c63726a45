//! The compactor: arrays at rest take less memory, and nobody can tell by anything else.
//!
//! It works by itself, and says in `INFO ndarray` what it has done: tests wait for that.
#![cfg(feature = "module")]

mod common;

use common::{wait_until, Client, Server, Value, DEADLINE};

/// Elements of the arrays: four chunks of 64 KiB.
const COUNT: usize = 32 << 10;

/// Numbers without order (the finisher of splitmix64).
fn mixed(i: u64) -> u64 {
    let z = (i ^ (i >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Whole hundredths: LZ4 finds little in them, pco much. Another `seed` gives others.
fn prices(seed: u64) -> Vec<u8> {
    let from = 1 + (seed << 32);
    (from..from + COUNT as u64).flat_map(|i| ((mixed(i) % 90_000) as f64 / 100.0).to_le_bytes()).collect()
}

/// Bits that nothing can make fewer.
fn noise() -> Vec<u8> {
    (1..=COUNT as u64).flat_map(|i| mixed(i << 32 | i).to_le_bytes()).collect()
}

fn on() -> Server {
    Server::with().config("ndarray.compact-after", 1).start()
}

fn set(client: &mut Client, key: &str, bytes: &[u8]) {
    client.ok(&[&b"ND.SET"[..], key.as_bytes(), b"float64", COUNT.to_string().as_bytes(), b"BLOB", bytes]);
}

fn count(client: &mut Client, field: &str) -> u64 {
    let field = format!("ndarray_{field}");
    client.info("ndarray", &field).unwrap_or_else(|| panic!("INFO has no {field}")).parse().expect("a number")
}

fn wait_for(client: &mut Client, field: &str, least: u64) {
    wait_until(DEADLINE, &format!("{field} is {least}"), || count(client, field) >= least);
}

/// Waits until the server is so many seconds older: it has looked through its keys, if it does.
fn wait_for_uptime(client: &mut Client, more: u64) {
    let mut uptime = || client.info("server", "uptime_in_seconds").expect("it").parse::<u64>().expect("a number");
    let end = uptime() + more;
    wait_until(DEADLINE, "time passes", || uptime() >= end);
}

fn memory(client: &mut Client, key: &str) -> i64 {
    client.ok(&["MEMORY", "USAGE", key]).int()
}

/// All that is asked of an array, but how it is kept.
fn answers(client: &mut Client, key: &str) -> Vec<String> {
    let commands =
        "DIGEST|VERIFY|SUM|MEAN|STD|MIN|ARGMAX|SUM SLICE 5:-7|MEDIAN|NORM|SHAPE|DTYPE|ATTRGET|SLICE 100:120 VALUES";
    let ask = |command: &str| {
        let mut words = command.split(' ');
        let name = format!("ND.{}", words.next().unwrap_or_default());
        let args: Vec<&str> = [name.as_str(), key].into_iter().chain(words).collect();
        client.ok(&args).show()
    };
    commands.split('|').map(ask).collect()
}

#[test]
fn an_array_at_rest_takes_less_memory_and_answers_the_same() {
    let server = on();
    let mut client = server.client();
    set(&mut client, "k", &prices(0));
    client.ok(&["ND.ATTRSET", "k", "unit", "\"cent\""]);
    client.ok(&["SELECT", "3"]);
    set(&mut client, "other", &prices(1));
    client.ok(&["EXPIRE", "other", "3600"]);
    client.ok(&["SELECT", "0"]);
    let before = answers(&mut client, "k");
    let (memory_before, used) = (memory(&mut client, "k"), used_memory(&mut client));
    wait_for(&mut client, "arrays_compacted", 2);
    let saved = count(&mut client, "compaction_bytes_saved") as i64;
    let less = memory_before - memory(&mut client, "k");
    assert!(less * 10 > memory_before && less < saved, "{less} of {memory_before}, {saved} in all");
    wait_until(DEADLINE, "the memory is free", || used_memory(&mut client) < used - saved / 2);
    assert_eq!(answers(&mut client, "k"), before);
    assert!(client.ok(&["ND.GET", "k", "BLOB"]).bytes() == prices(0));
    let names = client.ok(&["ND.INFO", "k"]).show();
    assert!(names.contains("pco"), "{names}");

    // It is kept so, whichever way it goes.
    let compacted = memory(&mut client, "k");
    let digest = server.debug_digest();
    server.debug_reload();
    assert!(memory(&mut client, "k") <= compacted, "what is remembered of it does not come back");
    assert_eq!((answers(&mut client, "k"), server.debug_digest()), (before.clone(), digest));
    client.ok(&["COPY", "k", "copy"]);
    let dumped = client.dump("k");
    client.ok(&[&b"RESTORE"[..], b"restored", b"0", &dumped]);
    for key in ["copy", "restored"] {
        assert_eq!(answers(&mut client, key)[..11], before[..11], "{key}");
    }
    client.ok(&["SELECT", "3"]);
    assert!(client.ok(&["ND.GET", "other", "BLOB"]).bytes() == prices(1));
    assert!(client.ok(&["TTL", "other"]).int() > 3000);
    assert_eq!(count(&mut client, "internal_errors"), 0);
}

fn used_memory(client: &mut Client) -> i64 {
    client.info("memory", "used_memory").expect("it").parse().expect("a number")
}

#[test]
fn it_is_off_by_default_and_can_be_set_at_any_time() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(client.ok(&["CONFIG", "GET", "ndarray.compact-after"]).array()[1].text(), "0");
    set(&mut client, "k", &prices(0));
    let before = memory(&mut client, "k");
    wait_for_uptime(&mut client, 2);
    assert_eq!((count(&mut client, "arrays_examined"), memory(&mut client, "k")), (0, before));
    client.ok(&["CONFIG", "SET", "ndarray.compact-after", "1"]);
    wait_for(&mut client, "arrays_compacted", 1);
    assert!(memory(&mut client, "k") < before);
    client.ok(&["CONFIG", "SET", "ndarray.compact-after", "0"]);
    set(&mut client, "k", &prices(0));
    wait_for_uptime(&mut client, 3);
    assert_eq!((count(&mut client, "arrays_examined"), memory(&mut client, "k")), (1, before));
    let refused = client.call(&["CONFIG", "SET", "ndarray.compact-after", "-1"]);
    assert!(refused.error().is_some(), "{refused:?}");
}

#[test]
fn nobody_is_told() {
    let primary = Server::with().listen().start();
    let replica = Server::with().replica_of(&primary).config("ndarray.compact-after", 1).start();
    replica.wait_for_primary();
    let (mut here, mut there) = (primary.client(), replica.client());
    here.ok(&["CONFIG", "SET", "notify-keyspace-events", "KEAmn"]);
    set(&mut here, "k", &prices(0));
    let before = answers(&mut here, "k");
    // One that waits for a change, one that caches, one that listens.
    let (mut watching, mut caching, mut listening) = (primary.client(), primary.client3(), primary.client());
    watching.ok(&["WATCH", "k"]);
    caching.ok(&["CLIENT", "TRACKING", "ON"]);
    caching.ok(&["ND.SHAPE", "k"]);
    listening.ok(&["PSUBSCRIBE", "__key*"]);
    primary.wait_for_replica(&replica);
    let dirty = here.info("persistence", "rdb_changes_since_last_save");
    let lookups = |client: &mut Client| {
        ["keyspace_hits", "keyspace_misses", "expired_keys"].map(|field| client.info("stats", field).expect("it"))
    };
    let idle = here.ok(&["OBJECT", "IDLETIME", "k"]).int(); // counts as a hit, but does not touch
    let stats = lookups(&mut here);

    here.ok(&["CONFIG", "SET", "ndarray.compact-after", "1"]);
    wait_for(&mut here, "arrays_compacted", 1);
    wait_for(&mut there, "arrays_compacted", 1); // a replica does it by itself
    assert_eq!(lookups(&mut here), stats);
    assert!(here.ok(&["OBJECT", "IDLETIME", "k"]).int() > idle, "not touched");
    assert_eq!(here.info("persistence", "rdb_changes_since_last_save"), dirty);
    watching.ok(&["MULTI"]);
    watching.ok(&["PING"]);
    assert_eq!(watching.ok(&["EXEC"]).array().len(), 1, "the watch holds");
    // What would have been sent before comes before the answer.
    assert_eq!(caching.ok(&["PING"]), Value::Simple("PONG".into()));
    here.ok(&["SET", "last", "1"]);
    let told = listening.read().show();
    assert!(told.contains("last"), "the first event is that of another key: {told}");
    // The stream had nothing but that.
    primary.wait_for_replica(&replica);
    assert_eq!(answers(&mut there, "k"), before);
    assert_eq!(answers(&mut here, "k"), before);
    assert_eq!(primary.debug_digest(), replica.debug_digest());
}

#[test]
fn the_replication_offset_does_not_move() {
    let primary = Server::with().listen().config("repl-ping-replica-period", 3600).start();
    let replica = Server::with().replica_of(&primary).start();
    replica.wait_for_primary();
    let mut client = primary.client();
    set(&mut client, "k", &prices(0));
    primary.wait_for_replica(&replica);
    let offset = |client: &mut Client| client.info("replication", "master_repl_offset").expect("it");
    let before = offset(&mut client);
    client.ok(&["CONFIG", "SET", "ndarray.compact-after", "1"]);
    wait_for(&mut client, "arrays_compacted", 1);
    assert_eq!(offset(&mut client), before);
}

#[test]
fn what_brings_nothing_is_tried_once_until_it_is_written_to() {
    let server = on();
    let mut client = server.client();
    set(&mut client, "noise", &noise());
    let before = memory(&mut client, "noise");
    wait_for(&mut client, "arrays_examined", 1);
    set(&mut client, "mark", &prices(0));
    wait_for(&mut client, "arrays_examined", 2);
    // Two passes later at least.
    set(&mut client, "mark", &prices(1));
    wait_for(&mut client, "arrays_examined", 3);
    assert_eq!((count(&mut client, "arrays_examined"), memory(&mut client, "noise")), (3, before));
    assert_eq!(count(&mut client, "arrays_compacted"), 2);
    client.ok(&["ND.SETSLICE", "noise", "5", "SCALAR", "1"]);
    wait_for(&mut client, "arrays_examined", 4);
    assert_eq!(count(&mut client, "arrays_compacted"), 2);
}

#[test]
fn a_codec_that_was_asked_for_and_plain_arrays_are_left_alone() {
    let server = on();
    let mut client = server.client();
    for (key, codec) in [("raw", "raw"), ("lz4", "lz4"), ("zstd", "zstd:1")] {
        let (bytes, size) = (prices(0), COUNT.to_string());
        let args = [&b"ND.SET"[..], key.as_bytes(), b"float64", size.as_bytes(), b"BLOB", &bytes, b"CODEC"];
        client.ok(&[&args[..], &[codec.as_bytes()]].concat());
    }
    client.ok(&["ND.CREATE", "plain", "float64", "100", "FILL", "1"]);
    client.ok(&["ND.CREATE", "constant", "float64", "1000000", "FILL", "1"]);
    client.ok(&["SET", "string", "1"]);
    let keys = ["raw", "lz4", "zstd", "plain", "constant"];
    let before = keys.map(|key| memory(&mut client, key));
    set(&mut client, "last", &prices(0));
    wait_for(&mut client, "arrays_examined", 1);
    assert_eq!(keys.map(|key| memory(&mut client, key)), before);
    assert_eq!((count(&mut client, "arrays_examined"), count(&mut client, "arrays_compacted")), (1, 1));
}

#[test]
fn writes_deletions_and_children_meanwhile_win() {
    let server = on();
    let mut client = server.client();
    // Arrays come, change and go all the time, while others rest; a child saves again and again.
    let keys: Vec<String> = (0..12).map(|i| format!("k{i}")).collect();
    let mut want: Vec<Vec<u8>> = (0..12).map(prices).collect();
    for (key, bytes) in keys.iter().zip(&want) {
        set(&mut client, key, bytes);
    }
    let mut round = 0u64;
    wait_until(DEADLINE, "much was compacted meanwhile", || {
        round += 1;
        let which = (round % 4) as usize;
        let at = (round as usize * 7919) % COUNT;
        client.ok(&["ND.SETSLICE", &keys[which], &at.to_string(), "SCALAR", "0.25"]);
        want[which][at * 8..at * 8 + 8].copy_from_slice(&0.25f64.to_le_bytes());
        match round % 50 {
            10 => drop(client.ok(&["BGSAVE", "SCHEDULE"])),
            20 => drop(client.ok(&["DEL", &keys[4]])),
            21 => set(&mut client, &keys[4], &want[4]),
            30 => drop(client.ok(&["RENAME", &keys[5], "renamed"])),
            31 => drop(client.ok(&["RENAME", "renamed", &keys[5]])),
            40 => drop(client.ok(&["COPY", &keys[6], &keys[7], "REPLACE"])),
            41 => set(&mut client, &keys[7], &want[7]),
            _ => {}
        }
        count(&mut client, "arrays_compacted") >= 6 // those that nobody writes to
    });
    wait_for(&mut client, "arrays_compacted", 12);
    for (key, bytes) in keys.iter().zip(&want) {
        assert!(client.ok(&["ND.GET", key, "BLOB"]).bytes() == *bytes, "{key}");
        assert_eq!(client.ok(&["ND.VERIFY", key]), Value::Simple("OK".into()));
    }
    client.ok(&["FLUSHALL"]);
    assert_eq!(count(&mut client, "internal_errors"), 0);
    let server = server.restart(true);
    assert!(server.client().ping());
}

#[test]
fn nothing_is_put_in_while_a_child_saves() {
    let server = Server::with().config("ndarray.compact-after", 1).config("rdb-key-save-delay", 300_000).start();
    let mut client = server.client();
    for i in 0..8 {
        set(&mut client, &format!("k{i}"), &prices(i));
    }
    client.ok(&["BGSAVE"]);
    let in_progress =
        |client: &mut Client| client.info("persistence", "rdb_bgsave_in_progress").as_deref() == Some("1");
    let mut seen = 0;
    wait_until(DEADLINE, "the child ends", || {
        let chunks = count(&mut client, "chunks_compacted");
        let still = in_progress(&mut client);
        if still {
            assert_eq!(chunks, 0, "a child is there");
            seen += 1;
        }
        !still
    });
    assert!(seen > 1, "the child was there for long enough");
    wait_for(&mut client, "arrays_compacted", 8);
    assert_eq!(client.info("persistence", "rdb_last_bgsave_status").as_deref(), Some("ok"));
}

#[test]
fn it_works_where_there_are_many_keys_and_arrays_that_grow() {
    let server = on();
    let mut client = server.client();
    let strings: Vec<Vec<String>> = (0..20_000).map(|i| ["SET".into(), format!("s{i}"), "x".into()].to_vec()).collect();
    client.pipeline(&strings);
    for i in 0..40u64 {
        let size = (COUNT / 8).to_string();
        let bytes = &prices(i)[..COUNT];
        let key = format!("k{i}");
        client.ok(&[&b"ND.SET"[..], key.as_bytes(), b"float64", size.as_bytes(), b"BLOB", bytes]);
    }
    let rows = prices(3);
    for part in rows.chunks(8 * 1000) {
        let shape = (part.len() / 8).to_string();
        client.ok(&[&b"ND.APPEND"[..], b"rows", b"float64", shape.as_bytes(), b"BLOB", part]);
    }
    wait_for(&mut client, "arrays_compacted", 41);
    for i in 0..40u64 {
        assert!(client.ok(&["ND.GET", &format!("k{i}"), "BLOB"]).bytes() == &prices(i)[..COUNT]);
    }
    client.ok(&["ND.APPEND", "rows", "float64", "1", "VALUES", "2.5", "MAXLEN", "20000"]);
    let want = [&rows[rows.len() - 19_999 * 8..], &2.5f64.to_le_bytes()].concat();
    assert!(client.ok(&["ND.GET", "rows", "BLOB"]).bytes() == want);
    assert_eq!(client.ok(&["ND.VERIFY", "rows"]), Value::Simple("OK".into()));
    assert_eq!(count(&mut client, "internal_errors"), 0);
}
