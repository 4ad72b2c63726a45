//! A replica holds what its primary holds: after every kind of full synchronisation, and after a stream of commands.
#![cfg(feature = "module")]

mod common;

use common::arrays::{assert_same, contents, fill, keys, look, noise, steps, Random, DTYPES};
use common::{wait_until, Client, Options, Server, Value, DEADLINE};

/// Settings of a primary and of a replica.
type Way = (&'static str, &'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)]);

const WAYS: [Way; 4] = [
    ("by disk", &[("repl-diskless-sync", "no")], &[]),
    ("without the primary's disk", &[("repl-diskless-sync", "yes")], &[("repl-diskless-load", "disabled")]),
    ("without any disk", &[("repl-diskless-sync", "yes")], &[("repl-diskless-load", "on-empty-db")]),
    ("into a second database", &[("repl-diskless-sync", "yes")], &[("repl-diskless-load", "swapdb")]),
];

fn with(settings: &[(&str, &str)]) -> Options {
    settings.iter().fold(Server::with(), |options, (name, value)| options.config(name, value))
}

/// Waits until no key is left that goes within the next minutes.
fn wait_for_short_lives(client: &mut Client) {
    let now = client.ok(&["TIME"]).array()[0].text().parse::<i64>().expect("seconds");
    wait_until(DEADLINE, "short-lived keys are gone", || {
        keys(client).iter().all(|key| {
            let at = cmd!(client, "PEXPIRETIME", key).int();
            at == -1 || at > (now + 500) * 1000
        })
    });
}

/// A command of any kind, sensible or not, over a few keys.
fn any_command(random: &mut Random) -> Vec<Vec<u8>> {
    let key = |random: &mut Random| format!("k{}", random.below(12));
    let mut command = match random.below(24) {
        17..=22 => any_change(random),
        16 => {
            let shape = ["3,4", "200,100", "0"][random.below(3)];
            let content = match random.below(4) {
                0 => words!["FILL", "3"],
                1 => words!["RANDOM", "INTEGERS", "0", "100"],
                2 => words!["RANDOM", "UNIFORM", "0", "100", "SEED", random.below(100).to_string()],
                _ => words!["ARANGE", "0", "0.5"],
            };
            let dtype = ["float32", "float64", "int64", "uint8"][random.below(4)];
            [words!["ND.CREATE", key(random), dtype, shape], content].concat()
        }
        0..=5 => [words!["ND.SET", key(random)], any_array(random)].concat(),
        6 | 7 => {
            let n = 1 + random.below(3);
            let names: Vec<_> = (0..n).flat_map(|_| words![key(random)]).collect();
            let arrays: Vec<_> = (0..n).flat_map(|_| any_array(random)).collect();
            [words!["ND.MSET", n.to_string()], names, arrays].concat()
        }
        8 | 9 => words!["ND.ATTRSET", key(random), format!("a{}", random.below(3)), random.below(100).to_string()],
        10 => words!["ND.ATTRDEL", key(random), format!("a{}", random.below(3)), "a0"],
        11 => words!["PEXPIRE", key(random), any_time(random)],
        12 => words!["PERSIST", key(random)],
        13 => words!["COPY", key(random), key(random), "REPLACE"],
        14 => words!["RENAME", key(random), key(random)],
        _ => match random.below(3) {
            0 => words!["SET", key(random), "a string"],
            1 => words!["DEL", key(random)],
            _ => words!["ND.SET", key(random), "float32", "3", "BLOB", "too short"],
        },
    };
    let is_set = command[0] == b"ND.SET" || command[0] == b"ND.CREATE";
    if is_set || command[0] == b"ND.MSET" {
        for option in 0..random.below(3) {
            let many = if is_set { 8 } else { 3 };
            match random.below(many) {
                0 => command.extend(words![["PX", "px"][option % 2], any_time(random)]),
                1 => command.extend(words!["EX", (1000 + random.below(1000)).to_string()]),
                2 => command.extend(words!["NX"]),
                3 => command.extend(words!["XX"]),
                4 => command.extend(words!["KEEPTTL"]),
                5 => command.extend(words!["PXAT", (4_000_000_000_000 + random.below(1000)).to_string()]),
                6 => command.extend(words![["IFDNE", "IFDEQ"][random.below(2)], "0123456789abcdef"]),
                _ => command.extend(words!["CODEC", ["raw", "lz4", "auto", "zstd", "pco"][random.below(5)]]),
            }
        }
    }
    command
}

/// A command that changes an array, where one that it suits is there.
fn any_change(random: &mut Random) -> Vec<Vec<u8>> {
    let key = words![format!("k{}", random.below(12))];
    let digits = |n: usize, max: usize| (0..n).map(|i| (i * 7 % max).to_string().into_bytes()).collect::<Vec<_>>();
    let most = || vec![b"MAXLEN".to_vec(), b"3000".to_vec()];
    match random.below(9) {
        0 => [words!["ND.APPEND"], key, words!["uint8", "5", "VALUES"], digits(5, 200), most()].concat(),
        1 => [words!["ND.APPEND"], key, words!["bool", "1,100", "BLOB", vec![1; 100], "MAXLEN", "250"]].concat(),
        2 => [words!["ND.APPEND"], key, words!["uint8", "3,4", "VALUES"], digits(12, 99)].concat(),
        3 => {
            let source = format!("k{}", random.below(12));
            [words!["ND.APPEND"], key, words!["KEY", source], most()].concat()
        }
        4 => [words!["ND.RESHAPE"], key, words![["-1", "1,-1", "4,-1", "100,-1"][random.below(4)]]].concat(),
        5 => {
            [words!["ND.RESIZE"], key, words![["5000", "100,100", "77", "3,4"][random.below(4)], "FILL", "1"]].concat()
        }
        6 => [words!["ND.ASTYPE"], key, words![DTYPES[random.below(DTYPES.len())].0]].concat(),
        7 => [words!["ND.SETSLICE"], key, words![["::3", "-1", "[0,2,-1]"][random.below(3)], "SCALAR", "1"]].concat(),
        _ => [words!["ND.UPDATE"], key, words!["...", "ADD", "SCALAR", "1"]].concat(),
    }
}

/// Milliseconds: a few, or a thousand seconds.
fn any_time(random: &mut Random) -> String {
    if random.below(3) == 0 { 1 + random.below(20) } else { 1_000_000 + random.below(9000) }.to_string()
}

fn any_array(random: &mut Random) -> Vec<Vec<u8>> {
    let (dtype, size) = DTYPES[random.below(DTYPES.len())];
    let count = [1, 7, 128, 128, 3000, 40_000][random.below(6)];
    let elements =
        if random.below(2) == 0 { noise(dtype, count * size, random.next()) } else { steps(dtype, size, count) };
    words![dtype, count.to_string(), "BLOB", elements]
}

/// Sends commands plainly, in transactions and in scripts. Answers how many were done, not refused.
fn stream(client: &mut Client, commands: usize, seed: u64) -> usize {
    let mut random = Random(seed);
    let mut done = 0;
    let mut sent = 0;
    while sent < commands {
        let replies = match random.below(3) {
            0 => {
                sent += 1;
                vec![client.call(&any_command(&mut random))]
            }
            1 => {
                client.ok(&["MULTI"]);
                let n = 1 + random.below(6);
                sent += n;
                for _ in 0..n {
                    client.call(&any_command(&mut random)); // some are refused when queued
                }
                match client.call(&["EXEC"]) {
                    Value::Array(replies) => replies,
                    refused => vec![refused],
                }
            }
            _ => {
                sent += 2;
                let (first, second) = (any_command(&mut random), any_command(&mut random));
                let script = "local a, b, n = {}, {}, tonumber(ARGV[1]) \
                     for i = 2, #ARGV do table.insert(i <= n + 1 and a or b, ARGV[i]) end \
                     local x = redis.pcall(unpack(a)) local y = redis.pcall(unpack(b)) return {x, y}";
                let head = words!["EVAL", script, "0", first.len().to_string()];
                match client.ok(&[head, first, second].concat()) {
                    Value::Array(replies) => replies,
                    other => vec![other],
                }
            }
        };
        done += replies.iter().filter(|r| r.error().is_none() && **r != Value::Nil).count();
    }
    done
}

#[test]
fn every_array_reaches_a_replica_by_every_kind_of_synchronisation() {
    for (way, primary, replica) in WAYS {
        let primary = with(primary).listen().start();
        fill(&mut primary.client());
        let before = contents(&mut primary.client());
        let replica = with(replica).replica_of(&primary).start();
        replica.wait_for_primary();
        assert_same(&contents(&mut replica.client()), &before, way);
        assert_eq!(replica.debug_digest(), primary.debug_digest(), "{way}");
    }
}

#[test]
fn a_stream_of_commands_leaves_primary_replica_and_append_only_file_equal() {
    for (i, (way, primary, replica)) in WAYS.into_iter().enumerate() {
        let primary = with(primary).append_only("no").listen().start();
        let mut client = primary.client();
        stream(&mut client, 200, 100 + i as u64); // so that the first copy is not empty
        let replica = with(replica).replica_of(&primary).start();
        let done = stream(&mut client, 1500, 200 + i as u64); // while the first copy is made
        assert!(done > 500, "{way}: only {done} commands did something");
        replica.wait_for_primary();
        stream(&mut client, 1500, 300 + i as u64);
        wait_for_short_lives(&mut client);
        primary.wait_for_replica(&replica);
        let here = contents(&mut client);
        assert_same(&contents(&mut replica.client()), &here, way);
        let log = replica.log();
        assert!(!log.contains("This is a Replica. But") && !log.contains("== CRITICAL =="), "{}", replica.log_tail());
        drop(replica);
        let primary = primary.restart(false);
        assert_same(&contents(&mut primary.client()), &here, &format!("{way}: the append-only file"));
    }
}

#[test]
fn what_is_replicated_is_never_refused_by_the_replica() {
    let primary = Server::with().listen().start();
    let replica = Server::with().replica_of(&primary).start();
    replica.wait_for_primary();
    replica.client().ok(&["CONFIG", "RESETSTAT"]);
    stream(&mut primary.client(), 2000, 4);
    primary.wait_for_replica(&replica);
    let mut client = replica.client();
    assert_eq!(client.info("stats", "unexpected_error_replies").as_deref(), Some("0"));
    for line in client.ok(&["INFO", "errorstats"]).text().lines() {
        assert!(!line.starts_with("errorstat_"), "the replica refused what was replicated: {line}");
    }
}

#[test]
fn an_expiry_is_the_same_moment_on_the_replica() {
    let primary = Server::with().listen().start();
    let replica = Server::with().replica_of(&primary).start();
    replica.wait_for_primary();
    let (mut here, mut there) = (primary.client(), replica.client());
    let one = words!["int8", "1", "VALUES", "1"];
    for (key, options) in [
        ("ex", words!["EX", "1000"]),
        ("px", words!["PX", "1000000"]),
        ("exat", words!["EXAT", "5000000000"]),
        ("pxat", words!["PXAT", "5000000000123"]),
        ("never", vec![]),
    ] {
        here.ok(&[words!["ND.SET", key], one.clone(), options].concat());
    }
    here.ok(&words!["ND.MSET", "2", "m1", "m2", "int8", "1", "VALUES", "1", "int8", "1", "VALUES", "2", "EX", "1000"]);
    here.ok(&words!["ND.MSET", "1", "m3", "int8", "1", "VALUES", "1", "PX", "1000000", "NX"]);
    here.ok(&words!["EVAL", "return redis.call('ND.SET', 'lua', 'int8', '1', 'VALUES', '1', 'PX', '777777')", "0"]);
    primary.wait_for_replica(&replica);
    for key in ["ex", "px", "exat", "pxat", "never", "m1", "m2", "m3", "lua"] {
        let at = cmd!(here, "PEXPIRETIME", key).int();
        assert_eq!(at == -1, key == "never", "{key}");
        assert_eq!(cmd!(there, "PEXPIRETIME", key).int(), at, "{key}");
    }
    // An overwritten value loses its expiry in both places, a kept one keeps it.
    here.ok(&[words!["ND.SET", "ex"], one.clone()].concat());
    here.ok(&[words!["ND.SET", "px"], one.clone(), words!["KEEPTTL"]].concat());
    primary.wait_for_replica(&replica);
    assert_eq!(cmd!(there, "PEXPIRETIME", "ex").int(), -1);
    assert_eq!(cmd!(there, "PEXPIRETIME", "px"), cmd!(here, "PEXPIRETIME", "px"));
    // And what goes, goes in both.
    here.ok(&[words!["ND.SET", "px"], one, words!["PX", "1"]].concat());
    wait_until(DEADLINE, "the key expires", || cmd!(here, "EXISTS", "px").int() == 0);
    wait_until(DEADLINE, "the replica drops the key", || there.ok(&["DBSIZE"]) == here.ok(&["DBSIZE"]));
}

#[test]
fn a_replica_answers_reads_from_its_old_data_while_it_loads_the_new() {
    // A replica that has lost too much of the stream of the primary it knows loads a second database beside the first.
    let primary = with(&[("repl-diskless-sync", "yes"), ("repl-backlog-size", "16kb")]).listen().start();
    let often = ("loading-process-events-interval-bytes", "1024"); // answers while it loads
    let replica = with(&[("repl-diskless-load", "swapdb"), often]).replica_of(&primary).start();
    let mut here = primary.client();
    cmd!(here, "ND.SET", "k", "int8", "3", "VALUES", "1", "2", "3");
    fill(&mut here);
    replica.wait_for_primary();
    primary.wait_for_replica(&replica);
    let mut there = replica.client();
    let old = look(&mut there, b"k");
    assert_eq!(old, look(&mut here, b"k"));

    here.ok(&["CONFIG", "SET", "rdb-key-save-delay", "10000"]); // microseconds a key: about two seconds in all
    let elements = noise("uint8", 2 << 20, 1);
    // At once, so that the replica comes back when it is too late for the rest of the stream.
    let lost = [
        words!["MULTI"],
        words!["CLIENT", "KILL", "TYPE", "replica"],
        words!["ND.SET", "k", "int8", "3", "VALUES", "4", "5", "6"],
        words!["ND.SET", "large", "uint8", elements.len().to_string(), "BLOB", elements],
        words!["ND.SET", "large", "uint8", elements.len().to_string(), "BLOB", elements],
        words!["EXEC"],
    ];
    here.pipeline(&lost);
    wait_until(DEADLINE, "the replica loads beside its data", || {
        there.info("persistence", "async_loading").as_deref() == Some("1")
    });
    let during = look(&mut there, b"k");
    let still = there.info("persistence", "async_loading");
    assert_eq!(still.as_deref(), Some("1"), "it ended before it was looked at");
    assert_eq!(during, old, "while it loads");
    here.ok(&["CONFIG", "SET", "rdb-key-save-delay", "0"]);
    primary.wait_for_replica(&replica);
    assert_same(&contents(&mut there), &contents(&mut here), "loaded beside");
    assert_ne!(look(&mut there, b"k"), old);
}
