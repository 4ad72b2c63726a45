//! The array is a Redis type like any other: transactions, events, permissions, memory, caching, settings, cluster.
#![cfg(feature = "module")]

mod common;

use std::net::TcpListener;

use common::arrays::{keys, noise, steps};
use common::{module_path, wait_until, Client, Server, Value, DEADLINE};
use redis_ndarray::module::commands::SPECS;
use redis_ndarray::module::spec::{Keys, Spec};

/// A small array argument.
const ONE: [&str; 4] = ["int8", "1", "VALUES", "1"];

fn set(client: &mut Client, key: &str) {
    client.ok(&[&["ND.SET", key], &ONE[..]].concat());
}

/// A keyspace in which `array`, `other` and `string` exist; every write of it, and the events it makes.
fn writes() -> Vec<(Vec<Vec<u8>>, Vec<&'static str>)> {
    vec![
        (words!["ND.SET", "array", "int8", "1", "VALUES", "2"], vec!["nd.set array"]),
        (words!["ND.SET", "array", "int8", "2", "VALUES", "2", "3"], vec!["nd.set array"]),
        (words!["ND.SET", "array", "int8", "9000", "BLOB", vec![1; 9000], "KEEPTTL"], vec!["nd.set array"]),
        (words!["ND.SET", "array", "int8", "1", "VALUES", "2", "XX"], vec!["nd.set array"]),
        (words!["ND.SET", "array", "int8", "1", "VALUES", "2", "EX", "1000"], vec!["nd.set array", "expire array"]),
        (
            words!["ND.MSET", "2", "array", "other", "int8", "1", "VALUES", "1", "int8", "1", "VALUES", "2"],
            vec!["nd.set array", "nd.set other"],
        ),
        (words!["ND.CREATE", "other", "int8", "3", "FILL", "2"], vec!["nd.create other"]),
        (words!["ND.CREATE", "string", "int8", "9000", "RANDOM", "INTEGERS", "0", "9"], vec!["nd.create string"]),
        (words!["ND.ATTRSET", "array", "a", "1", "b", "2"], vec!["nd.attrset array"]),
        (words!["ND.ATTRDEL", "array", "a"], vec!["nd.attrdel array"]),
        (words!["ND.SETSLICE", "array", "0", "SCALAR", "5"], vec!["nd.setslice array"]),
        (words!["ND.SETSLICE", "other", "::-1", "KEY", "other"], vec!["nd.setslice other"]),
        (words!["ND.UPDATE", "array", "...", "ADD", "SCALAR", "5"], vec!["nd.update array"]),
        (words!["ND.UPDATE", "other", "[0,0]", "MUL", "KEY", "array"], vec!["nd.update other"]),
        (words!["ND.APPEND", "array", "int8", "1", "VALUES", "7"], vec!["nd.append array"]),
        (words!["ND.APPEND", "other", "KEY", "array", "MAXLEN", "1"], vec!["nd.append other"]),
        (words!["ND.RESHAPE", "array", "2,-1"], vec!["nd.reshape array"]),
        (words!["ND.RESIZE", "array", "3,4", "FILL", "1"], vec!["nd.resize array"]),
        (words!["ND.ASTYPE", "array", "float64"], vec!["nd.astype array"]),
        (words!["DEL", "array"], vec!["del array"]),
        (words!["ND.SET", "array", "int8", "1", "VALUES", "2", "NX"], vec!["nd.set array"]),
        (words!["COPY", "array", "other", "REPLACE"], vec!["copy_to other"]),
        (words!["DEL", "string"], vec!["del string"]),
        (words!["SET", "string", "text"], vec!["set string"]),
        (words!["ND.SET", "string", "int8", "1", "VALUES", "2"], vec!["nd.set string"]),
    ]
}

/// In the same keyspace, calls that must not be noticed by anyone: refusals, conditions that do not hold, reads.
fn no_writes() -> Vec<Vec<Vec<u8>>> {
    let none = "0123456789abcdef";
    vec![
        words!["ND.SET", "array", "int8", "2", "VALUES", "1"],
        words!["ND.SET", "array", "int8", "1", "VALUES", "300"],
        words!["ND.SET", "array", "int8", "100000", "BLOB", "short"],
        words!["ND.SET", "array", "int8", "1", "VALUES", "2", "NX"],
        words!["ND.SET", "missing", "int8", "1", "VALUES", "2", "XX"],
        words!["ND.SET", "missing", "int8", "1", "VALUES", "2", "XX", "EX", "10"],
        words!["ND.SET", "array", "int8", "1", "VALUES", "2", "IFDEQ", none],
        words!["ND.SET", "string", "int8", "1", "VALUES", "2", "IFDEQ", none],
        words!["ND.SET", "array", "int8", "1", "VALUES", "2", "CODEC", "nosuch"],
        words!["ND.SET", "array", "float64", "1000,1000", "BLOB", vec![0; 8_000_000], "CHUNK", "1,1"],
        words!["ND.MSET", "2", "missing", "array", "int8", "1", "VALUES", "1", "int8", "1", "VALUES", "1", "NX"],
        words!["ND.MSET", "2", "missing", "array", "int8", "1", "VALUES", "1", "int8", "1", "VALUES", "x"],
        words!["ND.CREATE", "array", "int8", "3", "NX"],
        words!["ND.CREATE", "array", "int8", "3", "FILL", "300"],
        words!["ND.CREATE", "array", "int8", "3", "FILL", "1", "IFDEQ", none],
        words!["ND.ATTRSET", "array", "a", "{"],
        words!["ND.ATTRSET", "missing", "a", "1"],
        words!["ND.ATTRSET", "string", "a", "1"],
        words!["ND.ATTRDEL", "array", "no such name"],
        words!["ND.ATTRDEL", "missing", "a"],
        words!["ND.SETSLICE", "array", "0", "SCALAR", "300"],
        words!["ND.SETSLICE", "array", "0", "SCALAR", "3", "IFDEQ", none],
        words!["ND.SETSLICE", "array", "5:", "SCALAR", "3"],
        words!["ND.SETSLICE", "array", "0", "int8", "2", "VALUES", "1", "2"],
        words!["ND.SETSLICE", "array", "0", "KEY", "missing"],
        words!["ND.SETSLICE", "missing", "0", "SCALAR", "3"],
        words!["ND.SETSLICE", "string", "0", "SCALAR", "3"],
        words!["ND.UPDATE", "array", "0", "DIV", "SCALAR", "2"],
        words!["ND.UPDATE", "array", "0", "POW", "SCALAR", "-2"],
        words!["ND.UPDATE", "array", "0", "ADD", "SCALAR", "2", "IFDEQ", none],
        words!["ND.UPDATE", "array", "9:", "ADD", "SCALAR", "2"],
        words!["ND.UPDATE", "missing", "0", "ADD", "SCALAR", "2"],
        words!["ND.UPDATE", "string", "0", "ADD", "SCALAR", "2"],
        words!["ND.ITEM", "array", "0"],
        words!["ND.RESTOREPART", "array", "HEADER", "damaged"],
        words!["ND.RESTOREPART", "array", "CHUNKS", "damaged"],
        words!["ND.RESTOREPART", "missing", "CHUNKS", "damaged"],
        words!["ND.GET", "array"],
        words!["ND.GET", "string"],
        words!["ND.MGET", "2", "array", "missing"],
        words!["ND.DIGEST", "array"],
        words!["ND.VERIFY", "array"],
        words!["ND.SLICE", "array", "0"],
        words!["ND.SUM", "array"],
    ]
}

fn keyspace(client: &mut Client) {
    client.ok(&["FLUSHALL"]);
    set(client, "array");
    set(client, "other");
    client.ok(&["SET", "string", "text"]);
}

#[test]
fn watch_breaks_on_every_write_and_on_no_refusal() {
    let server = Server::start();
    let (mut watcher, mut writer) = (server.client(), server.client());
    keyspace(&mut writer);
    let mut run = |command: &[Vec<u8>], writer: &mut Client| {
        watcher.ok(&["WATCH", "array", "other", "string", "missing"]);
        let reply = writer.call(command);
        watcher.ok(&["MULTI"]);
        watcher.ok(&["PING"]);
        (watcher.ok(&["EXEC"]) == Value::Nil, reply)
    };
    for command in no_writes() {
        let (broken, reply) = run(&command, &mut writer);
        assert!(!broken, "{:?} {}", String::from_utf8_lossy(&command[1]), reply.show());
    }
    for (command, _) in writes() {
        let (broken, reply) = run(&command, &mut writer);
        assert!(broken && reply.error().is_none(), "{} {}", String::from_utf8_lossy(&command[0]), reply.show());
    }
}

/// Runs commands and answers the events they made, as `event key`.
fn events(server: &Server, commands: &[Vec<Vec<u8>>]) -> Vec<String> {
    let (mut listener, mut writer) = (server.client(), server.client());
    listener.ok(&["PSUBSCRIBE", "__keyevent@*__:*", "end"]);
    listener.read(); // the second pattern's confirmation
    for command in commands {
        writer.call(command);
    }
    writer.ok(&["PUBLISH", "end", "end"]);
    let mut found = Vec::new();
    loop {
        let message = listener.read();
        let parts: Vec<String> = message.array().iter().map(Value::text).collect();
        if parts[2] == "end" {
            return found;
        }
        let event = parts[2].split_once(':').expect("an event").1;
        found.push(format!("{event} {}", parts[3]));
    }
}

#[test]
fn every_write_is_one_event_a_key_and_a_refusal_is_none() {
    let server = Server::with().config("notify-keyspace-events", "KEA").start();
    keyspace(&mut server.client());
    let (commands, expected): (Vec<_>, Vec<_>) = writes().into_iter().unzip();
    keyspace(&mut server.client());
    assert_eq!(events(&server, &no_writes()), Vec::<String>::new());
    assert_eq!(events(&server, &commands), expected.concat());
    let expiring = words!["ND.SET", "short", "int8", "1", "VALUES", "1", "PX", "1"];
    let mut found = events(&server, &[expiring]);
    let mut client = server.client();
    wait_until(DEADLINE, "the key expires", || client.ok(&["EXISTS", "short"]).int() == 0);
    found.retain(|e| e != "expired short"); // sooner or later
    assert_eq!(found, ["nd.set short", "expire short"]);
}

#[test]
fn writes_that_need_memory_are_refused_above_maxmemory_and_change_nothing() {
    let server = Server::with().config("maxmemory-policy", "noeviction").start();
    let mut client = server.client();
    keyspace(&mut client);
    client.ok(&["ND.ATTRSET", "array", "a", "1"]);
    let digest = server.debug_digest();
    client.ok(&["CONFIG", "SET", "maxmemory", "100kb"]);
    for command in [
        "ND.SET array int8 1 VALUES 2",
        "ND.MSET 1 array int8 1 VALUES 2",
        "ND.ATTRSET array b 1",
        "ND.SETSLICE array 0 SCALAR 2",
        "ND.UPDATE array 0 ADD SCALAR 2",
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let reply = client.call(&words);
        assert!(reply.error().is_some_and(|e| e.starts_with("OOM ")), "{command}: {reply:?}");
        let script = [&["EVAL", "return redis.call(unpack(ARGV))", "0"], &words[..]].concat();
        assert!(client.call(&script).error().is_some_and(|e| e.starts_with("OOM ")), "{command} in a script");
    }
    assert_eq!(server.debug_digest(), digest);
    for command in ["ND.GET array", "ND.DIGEST array", "ND.SUM array", "ND.MGET 2 array other", "ND.ATTRDEL array a"] {
        client.ok(&command.split(' ').collect::<Vec<_>>());
    }
    client.ok(&["CONFIG", "SET", "maxmemory", "0"]);
    set(&mut client, "array");
}

#[test]
fn eviction_removes_arrays_and_keeps_memory_below_the_limit() {
    let server = Server::with().config("maxmemory", "20mb").config("maxmemory-policy", "allkeys-lru").start();
    let mut client = server.client();
    let elements = noise("float32", 400_000, 1);
    for i in 0..200 {
        client.ok(&words!["ND.SET", format!("k{i}"), "float32", "100000", "BLOB", elements]);
    }
    let left = client.ok(&["DBSIZE"]).int();
    assert!((20..=50).contains(&left), "{left} of 200 arrays of 400 kB are left under 20 MB");
    let used: i64 = client.info("memory", "used_memory").expect("used_memory").parse().expect("a number");
    assert!(used < 21 << 20, "{used}");
}

fn assert_noperm(client: &mut Client, user: &str, command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    let reply = client.call(&words);
    assert!(reply.error().is_some_and(|e| e.starts_with("NOPERM")), "{user}: {command}: {reply:?}");
}

fn assert_permitted(client: &mut Client, user: &str, command: &str) {
    let reply = client.call(&command.split(' ').collect::<Vec<_>>());
    assert!(reply.error().is_none(), "{user}: {command}: {reply:?}");
}

/// A call with these first arguments and as many more as its arity asks for.
fn filled(spec: &Spec, first: &[&str]) -> String {
    let least = spec.arity().unsigned_abs() as usize;
    let mut words = [&[spec.name], first].concat();
    words.resize(words.len().max(least), "x");
    words.join(" ")
}

#[test]
fn permissions_see_every_key_and_every_access() {
    let server = Server::start();
    let mut admin = server.client();
    set(&mut admin, "a:1");
    set(&mut admin, "b:1");
    let user = |rules: &[&str]| {
        let mut admin = server.client();
        admin.ok(&[&["ACL", "SETUSER", "u", "reset", "on", "nopass"], rules].concat());
        let mut client = server.client();
        client.ok(&["AUTH", "u", "any"]);
        client
    };
    let mut client = user(&["~a:*", "+@all"]);
    for command in ["ND.GET a:1", "ND.SET a:2 int8 1 VALUES 1", "ND.MGET 2 a:1 a:2", "ND.ATTRSET a:1 x 1"] {
        assert_permitted(&mut client, "~a:*", command);
    }
    for spec in SPECS {
        // A call with the key of another: permissions are looked at before the arguments are.
        let call = if matches!(spec.keys, Keys::Counted(_)) {
            filled(spec, &["2", "a:1", "b:1"])
        } else {
            filled(spec, &["b:1"])
        };
        assert_noperm(&mut client, "~a:*", &call);
    }
    assert_permitted(&mut client, "~a:*", "ND.SETSLICE a:1 0 KEY a:2");
    assert_noperm(&mut client, "~a:*", "ND.SETSLICE a:1 0 KEY b:1");
    let mut client = user(&["%W~a:*", "%R~b:*", "+@all"]);
    assert_permitted(&mut client, "%W~a:* %R~b:*", "ND.SETSLICE a:1 0 KEY b:1");
    assert_noperm(&mut client, "%W~a:* %R~b:*", "ND.SETSLICE a:1 0 KEY a:1");
    assert_noperm(&mut client, "%W~a:* %R~b:*", "ND.SETSLICE b:1 0 KEY b:1");
    let mut client = user(&["%R~a:*", "+@all"]);
    for command in ["ND.GET a:1", "ND.MGET 1 a:1", "ND.SLICE a:1 0", "ND.SHAPE a:1"] {
        assert_permitted(&mut client, "%R~a:*", command);
    }
    for command in
        ["ND.SET a:1 int8 1 VALUES 1", "ND.MSET 1 a:1 int8 1 VALUES 1", "ND.ATTRSET a:1 x 1", "ND.ATTRDEL a:1 x"]
    {
        assert_noperm(&mut client, "%R~a:*", command);
    }
    let mut client = user(&["%W~a:*", "+@all"]);
    assert_permitted(&mut client, "%W~a:*", "ND.SET a:1 int8 1 VALUES 1");
    assert_permitted(&mut client, "%W~a:*", "ND.MSET 1 a:1 int8 1 VALUES 1");
    for command in ["ND.GET a:1", "ND.MGET 1 a:1", "ND.SUM a:1", "ND.SLICE a:1 0", "ND.ATTRGET a:1", "ND.DIGEST a:1"] {
        assert_noperm(&mut client, "%W~a:*", command);
    }
    let mut client = user(&["~*", "-@all", "+nd.get"]);
    assert_permitted(&mut client, "+nd.get", "ND.GET a:1");
    assert_noperm(&mut client, "+nd.get", "ND.SET a:1 int8 1 VALUES 1");
}

#[test]
fn commands_are_in_the_categories_that_their_flags_say() {
    let server = Server::start();
    let mut client = server.client();
    let has_own = client.ok(&["ACL", "CAT"]).array().iter().any(|c| c.text() == "ndarray");
    let version = client.info("server", "redis_version").expect("a version");
    if version.starts_with("7.0.") {
        return; // modules cannot put commands into categories before Redis 7.2
    }
    let mut lists: Vec<(&str, Vec<String>)> = Vec::new();
    for category in ["read", "write", "ndarray"] {
        if category == "ndarray" && !has_own {
            continue; // before Redis 7.4
        }
        let list = client.ok(&["ACL", "CAT", category]);
        lists.push((category, list.array().iter().map(Value::text).collect()));
    }
    for spec in SPECS {
        for (category, list) in &lists {
            let want = match *category {
                "read" => !spec.is_write(),
                "write" => spec.is_write(),
                _ => true,
            };
            assert_eq!(list.contains(&spec.lower_name()), want, "{} in @{category}", spec.name);
        }
    }
}

#[test]
fn getkeys_finds_every_key_of_every_command() {
    let server = Server::start();
    let mut client = server.client();
    let mut check = |command: &str, want: &[&str]| {
        let words: Vec<&str> = ["COMMAND", "GETKEYS"].into_iter().chain(command.split(' ')).collect();
        let found: Vec<String> = client.ok(&words).array().iter().map(Value::text).collect();
        assert_eq!(found, want, "{command}");
    };
    for spec in SPECS {
        match spec.keys {
            Keys::One(_) => check(&filled(spec, &["k"]), &["k"]),
            Keys::Counted(_) => {
                check(&filled(spec, &["1", "k1"]), &["k1"]);
                check(&filled(spec, &["3", "k1", "k2", "k3"]), &["k1", "k2", "k3"]);
            }
            Keys::OneAndMask(_) => {
                check(&filled(spec, &["k", "0.5", "AXIS", "0"]), &["k"]);
                check(&filled(spec, &["k", "0.5", "AXIS", "0", "Where", "mask", "JSON"]), &["k", "mask"]);
                check(&filled(spec, &["k", "0.5", "WHERE"]), &["k"]); // the call itself will refuse it
            }
            Keys::OneAndSource { at, .. } => {
                let mut words: Vec<&str> = vec!["k", "x", "x", "x", "x", "x"];
                check(&filled(spec, &words), &["k"]);
                words[at - 1] = "Key";
                words[at] = "source";
                check(&filled(spec, &words), &["k", "source"]);
                words[at - 1] = "x";
                words[at] = "KEY"; // bytes that happen to read so
                check(&filled(spec, &words), &["k"]);
            }
        }
    }
    check("ND.MSET 2 a b int8 1 VALUES 1 int8 1 VALUES 2 NX EX 5", &["a", "b"]);
    check("ND.MGET 2 a b SLICE 0 NPZ", &["a", "b"]);
    // A count that lies is an error, not a crash or a wrong list.
    for command in ["ND.MGET 3 a b", "ND.MGET 0 a", "ND.MGET -1 a", "ND.MGET x a", "ND.MGET 99999999999999 a"] {
        let words: Vec<&str> = ["COMMAND", "GETKEYS"].into_iter().chain(command.split(' ')).collect();
        assert!(client.call(&words).error().is_some(), "{command}");
        assert!(client.call(&words[2..]).error().is_some(), "{command}");
    }
    assert!(client.ping());
}

#[test]
fn the_server_describes_every_command() {
    let server = Server::start();
    let mut client = server.client();
    for spec in SPECS {
        let info = client.ok(&["COMMAND", "INFO", spec.name]).array()[0].clone();
        assert!(info.array()[0].text().eq_ignore_ascii_case(spec.name));
        assert_eq!(info.array()[1].int(), i64::from(spec.arity()), "{}", spec.name);
        let flags: Vec<String> = info.array()[2].array().iter().map(Value::text).collect();
        for flag in spec.flags.split(' ') {
            let shown = if flag == "deny-oom" { "denyoom" } else { flag };
            assert!(flags.iter().any(|f| f == shown), "{}: {flag} in {flags:?}", spec.name);
        }
        let docs = client.ok(&["COMMAND", "DOCS", spec.name]).array()[1].clone();
        assert_eq!(docs.field("summary").text(), spec.summary);
        assert_eq!(docs.field("since").text(), spec.since);
        assert_eq!(docs.field("complexity").text(), spec.complexity);
        let arguments = docs.field("arguments");
        assert_eq!(arguments.array().len(), spec.args.len(), "{}", spec.name);
        for (shown, arg) in arguments.array().iter().zip(spec.args) {
            assert_eq!(shown.field("name").text(), arg.name, "{}", spec.name);
        }
        // One argument fewer than the arity is refused by the server.
        let few = vec![spec.name; spec.arity().unsigned_abs() as usize - 1];
        let reply = client.call(&few);
        assert!(reply.error().is_some_and(|e| e.contains("wrong number of arguments")), "{}: {reply:?}", spec.name);
    }
}

/// `used_memory` once the other connections are gone and the number stands still.
fn used_memory(client: &mut Client) -> i64 {
    wait_until(DEADLINE, "one client is left", || client.info("clients", "connected_clients").as_deref() == Some("1"));
    let read = |client: &mut Client| -> i64 {
        client.info("memory", "used_memory").expect("used_memory").parse().expect("a number")
    };
    let mut last = read(client);
    let mut same = 0;
    wait_until(DEADLINE, "used_memory stands still", || {
        let now = read(client);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        same == 5
    });
    last
}

/// Checks that MEMORY USAGE of the keys that `commands` make is within 2% of what `used_memory` gains.
fn measure(what: &str, commands: &[Vec<Vec<u8>>]) {
    // With a table of 4,096 places that 1,000 keys more do not double, and no threads of the server's in between.
    let server = Server::with().config("hz", "10").start();
    let mut client = server.client();
    // The reply buffer of this connection would become 14,848 bytes smaller some time. Servers without the word keep it.
    client.call(&["DEBUG", "REPLYBUFFER", "RESIZING", "0"]);
    client.ok(&["DEBUG", "POPULATE", "3000"]);
    let populated = keys(&mut client);
    // Once for all that is made at the first use and kept, then for good.
    let run = |commands: &[Vec<Vec<u8>>]| {
        let mut writer = server.client();
        for reply in writer.pipeline(commands) {
            assert!(reply.error().is_none(), "{what}: {}", reply.show());
        }
    };
    run(commands);
    // What the server itself takes or gives back meanwhile comes and goes; what keys take is the same each time.
    let mut off = f64::INFINITY;
    for round in 0..3 {
        for key in keys(&mut client) {
            if populated.binary_search(&key).is_err() {
                client.ok(&[b"DEL".to_vec(), key]);
            }
        }
        let before = used_memory(&mut client);
        run(commands);
        let gained = used_memory(&mut client) - before;
        let mut claimed = 0;
        for key in keys(&mut client) {
            if populated.binary_search(&key).is_err() {
                claimed += cmd!(client, "MEMORY", "USAGE", &key).int();
            }
        }
        off = (claimed as f64 / gained as f64 - 1.0) * 100.0;
        println!("{what}, round {round}: MEMORY USAGE {claimed}, gained {gained}, {off:+.2}%");
        if off.abs() <= 2.0 {
            return;
        }
    }
    panic!("{what}: MEMORY USAGE is {off:+.2}% off what used_memory gained, three times");
}

#[test]
fn memory_usage_of_small_arrays_is_what_they_cost() {
    let many = |make: &dyn Fn(usize) -> Vec<Vec<u8>>| -> Vec<Vec<Vec<u8>>> {
        (0..1000).map(|i| [words!["ND.SET", format!("key:{i:05}")], make(i)].concat()).collect()
    };
    measure("128-d float32", &many(&|i| words!["float32", "128", "BLOB", noise("float32", 512, i as u64)]));
    measure("scalars", &many(&|_| words!["float64", "()", "VALUES", "1"]));
    measure("empty", &many(&|_| words!["float64", "0", "BLOB", ""]));
    measure("rank 3", &many(&|_| words!["int16", "3,4,5", "BLOB", [1; 120]]));
    measure("rank 12", &many(&|_| words!["int16", "1,1,1,1,1,1,1,1,1,1,2,3", "BLOB", [1; 12]]));
    measure("4 KiB", &many(&|i| words!["uint8", "4096", "BLOB", noise("uint8", 4096, i as u64)]));
    measure("one chunk", &many(&|i| words!["uint8", "6000", "BLOB", noise("uint8", 6000, i as u64)]));
    measure("one encoded chunk", &many(&|_| words!["int64", "1000", "BLOB", steps("int64", 8, 1000)]));
    let attributes = (0..1000).flat_map(|i| {
        let key = format!("key:{i:05}");
        let set = words!["ND.SET", key, "float32", "128", "BLOB", [1; 512]];
        [set, words!["ND.ATTRSET", key, "unit", "\"metre\"", "source", "[1,2,3]"]]
    });
    measure("attributes", &attributes.collect::<Vec<_>>());
}

#[test]
fn memory_usage_of_large_arrays_is_what_they_cost() {
    let one = |what: &str, args: Vec<Vec<u8>>| measure(what, &[[words!["ND.SET", "key"], args].concat()]);
    let raw = noise("uint8", 8 << 20, 1);
    one("8 MiB raw", words!["float32", "2048,1024", "BLOB", raw, "CODEC", "raw"]);
    one("8 MiB lz4", words!["int64", "1048576", "BLOB", steps("int64", 8, 1 << 20), "CODEC", "lz4"]);
    one("8 MiB auto", words!["float64", "1048576", "BLOB", [&raw[..4 << 20], &vec![0; 4 << 20]].concat()]);
    one("8 MiB of one value", words!["float64", "1048576", "BLOB", vec![1; 8 << 20]]);
    one("8 MiB in blocks", words!["float32", "2048,1024", "BLOB", raw, "CHUNK", "100,100"]);
    one("8 MiB in small blocks", words!["float32", "2048,1024", "BLOB", raw, "CHUNK", "17,17"]);
    let window = |most: &str| -> Vec<Vec<Vec<u8>>> {
        let row = |i| words!["ND.APPEND", "key", "float32", "1,256", "BLOB", noise("float32", 1024, i), "MAXLEN", most];
        (0..8000).map(row).collect()
    };
    measure("8 MiB row by row", &window("8000"));
    measure("a window of 1 MiB", &window("1000"));
    let create = words!["ND.CREATE", "key", "float32", "2048,1024"];
    let rows = (0..2048).map(|i| {
        let row = i * 37 % 2048; // not in order
        words!["ND.SETSLICE", "key", row.to_string(), "float32", "1024", "BLOB", raw[row * 4096..][..4096]]
    });
    measure("8 MiB written row by row", &[vec![create.clone()], rows.collect()].concat());
    let constants =
        (0..2048).map(|i| words!["ND.SETSLICE", "key", (i * 37 % 2048).to_string(), "SCALAR", i.to_string()]);
    let blocks = [create, words!["CHUNK", "1,1024"]].concat();
    measure("2,048 constants in any order", &[vec![blocks], constants.collect()].concat());
    let json = format!("\"{}\"", "x".repeat(900_000));
    let set = words!["ND.SET", "key", "uint8", "1", "VALUES", "1"];
    measure("900 kB of attributes", &[set, words!["ND.ATTRSET", "key", "a", json]]);
}

#[test]
fn object_scan_and_type_know_arrays() {
    let server = Server::with().config("maxmemory-policy", "allkeys-lfu").start();
    let mut client = server.client();
    keyspace(&mut client);
    assert_eq!(client.ok(&["TYPE", "array"]).text(), "NDARRAY--");
    assert_eq!(client.ok(&["OBJECT", "ENCODING", "array"]).text(), "raw");
    assert_eq!(client.ok(&["OBJECT", "REFCOUNT", "array"]).int(), 1);
    let frequency = client.ok(&["OBJECT", "FREQ", "array"]).int();
    for _ in 0..2000 {
        client.ok(&["ND.SHAPE", "array"]);
    }
    assert!(client.ok(&["OBJECT", "FREQ", "array"]).int() > frequency);
    let reply = client.ok(&["SCAN", "0", "COUNT", "1000", "TYPE", "NDARRAY--"]);
    let mut found: Vec<String> = reply.array()[1].array().iter().map(Value::text).collect();
    found.sort();
    assert_eq!(found, ["array", "other"]);
    assert!(client.call(&["GET", "array"]).error().is_some_and(|e| e.starts_with("WRONGTYPE")));
    let listed = client.ok(&["MODULE", "LIST"]);
    assert_eq!(listed.array().len(), 1);
    assert_eq!(listed.array()[0].field("name").text(), "ndarray");
    assert_eq!(listed.array()[0].field("path").text(), module_path().display().to_string());
}

#[test]
fn large_arrays_are_freed_in_the_background() {
    let server = Server::start();
    let mut client = server.client();
    let freed = |client: &mut Client| -> i64 {
        client.info("memory", "lazyfreed_objects").expect("a counter").parse().expect("a number")
    };
    let used = |client: &mut Client| -> i64 {
        client.info("memory", "used_memory").expect("used_memory").parse().expect("a number")
    };
    let large =
        words!["ND.CREATE", "large", "float64", "2097152", "RANDOM", "UNIFORM", "0", "1", "SEED", "1", "CODEC", "raw"];
    client.ok(&large);
    client.ok(&["DEL", "large"]);
    client.ok(&["CONFIG", "RESETSTAT"]);
    let empty = used(&mut client);
    client.ok(&large);
    assert!(used(&mut client) > empty + (16 << 20));
    client.ok(&["UNLINK", "large"]);
    wait_until(DEADLINE, "UNLINK frees in the background", || freed(&mut client) == 1);
    set(&mut client, "small");
    client.ok(&["UNLINK", "small"]);
    client.ok(&large);
    client.ok(&["COPY", "large", "copy"]);
    client.ok(&["FLUSHALL", "ASYNC"]);
    wait_until(DEADLINE, "FLUSHALL ASYNC frees in the background", || freed(&mut client) == 3);
    wait_until(DEADLINE, "the memory is back", || used(&mut client) < empty + (1 << 20));
    // What is in a string is freed at once, as strings are.
    let elements = noise("uint8", 16 << 20, 1);
    client.ok(&words!["ND.SET", "string", "uint8", elements.len().to_string(), "BLOB", elements]);
    client.ok(&["UNLINK", "string"]);
    assert_eq!((freed(&mut client), client.info("ndarray", "ndarray_strings_held")), (3, Some("0".into())));
}

#[test]
fn client_side_caches_are_told_of_writes_and_of_nothing_else() {
    let server = Server::start();
    let (mut reader, mut writer) = (server.client3(), server.client());
    keyspace(&mut writer);
    reader.ok(&["CLIENT", "TRACKING", "ON"]);
    let mut told = |command: &[Vec<u8>], writer: &mut Client| {
        for key in ["array", "other", "string", "missing"] {
            reader.send_raw(format!("ND.GET {key}\r\n").as_bytes());
            while matches!(reader.read(), Value::Push(_)) {}
        }
        let reply = writer.call(command);
        let mut names = Vec::new();
        reader.send_raw(b"PING\r\n");
        loop {
            match reader.read() {
                Value::Push(message) => {
                    assert_eq!(message[0].text(), "invalidate");
                    names.extend(message[1].array().iter().map(Value::text));
                }
                _ => return (names, reply),
            }
        }
    };
    for command in no_writes() {
        let (names, reply) = told(&command, &mut writer);
        assert!(names.is_empty(), "{names:?} after {}", reply.show());
    }
    for (command, events) in writes() {
        let mut want: Vec<&str> = events.iter().map(|e| e.split_once(' ').expect("a key").1).collect();
        let (mut names, reply) = told(&command, &mut writer);
        names.sort();
        want.sort();
        want.dedup(); // an expiry is an event of its own, told with the write
        assert_eq!(names, want, "{} {}", String::from_utf8_lossy(&command[0]), reply.show());
    }
}

#[test]
fn replies_have_the_types_of_their_protocol() {
    let server = Server::start();
    let (mut two, mut three) = (server.client(), server.client3());
    two.ok(&["ND.SET", "f", "float32", "2", "VALUES", "0.1", "nan"]);
    two.ok(&["ND.SET", "u", "uint64", "1", "VALUES", "18446744073709551615"]);
    two.ok(&["ND.SET", "b", "bool", "2", "VALUES", "1", "0"]);
    two.ok(&["ND.SET", "c", "complex64", "1", "VALUES", "1+2j"]);
    two.ok(&["ND.SET", "i", "int8", "2", "VALUES", "1", "-2"]);
    two.ok(&["ND.ATTRSET", "f", "a", "1"]);
    for (command, in_two, in_three) in [
        ("ND.GET f VALUES", "1) \"0.1\"\n2) \"nan\"", "1) (double) 0.1\n2) (double) nan"),
        ("ND.GET u VALUES", "1) \"18446744073709551615\"", "1) (big number) 18446744073709551615"),
        ("ND.GET b VALUES", "1) (integer) 1\n2) (integer) 0", "1) (true)\n2) (false)"),
        ("ND.GET c VALUES", "1) 1) \"1\"\n   2) \"2\"", "1) 1) (double) 1\n   2) (double) 2"),
        ("ND.SUM i", "(integer) -1", "(integer) -1"),
        ("ND.MEAN i", "\"-0.5\"", "(double) -0.5"),
        ("ND.ATTRGET f", "1) \"a\"\n2) \"1\"", "1# \"a\" => \"1\""),
        ("ND.GET none", "(nil)", "(nil)"),
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let three = three.ok(&words).show();
        // A float32 goes out as the double it is, or as the shortest text that reads back.
        assert!(three == in_three || command == "ND.GET f VALUES" && three.starts_with("1) (double) 0.1"), "{three}");
        assert_eq!(two.ok(&words).show(), in_two, "{command}");
    }
    assert!(matches!(three.ok(&["ND.INFO", "f"]), Value::Map(pairs) if pairs.len() == 12));
    assert_eq!(two.ok(&["ND.INFO", "f"]).array().len(), 24);
}

#[test]
fn settings_are_read_changed_refused_and_written_back() {
    let server = Server::start();
    let mut client = server.client();
    let get = |client: &mut Client, name: &str| client.ok(&["CONFIG", "GET", name]).array()[1].text();
    for (name, good, shown) in [
        ("ndarray.chunk-bytes", "128kb", "131072"),
        ("ndarray.inline-bytes", "0", "0"),
        ("ndarray.max-array-bytes", "1gb", "1073741824"),
        ("ndarray.max-result-bytes", "1048576", "1048576"),
        ("ndarray.codec", "zstd:19", "zstd:19"),
        ("ndarray.codec", "PCO", "pco"),
        ("ndarray.codec", "LZ4", "lz4"),
        ("ndarray.compression", "Size", "size"),
        ("ndarray.compression", "speed", "speed"),
    ] {
        client.ok(&["CONFIG", "SET", name, good]);
        assert_eq!(get(&mut client, name), shown, "{name}");
        for bad in ["-1", "nosuch", "99999999999999999999", "1.5"] {
            assert!(client.call(&["CONFIG", "SET", name, bad]).error().is_some(), "{name} {bad}");
            assert_eq!(get(&mut client, name), shown, "{name} after {bad}");
        }
    }
    assert!(client.call(&["CONFIG", "SET", "ndarray.chunk-bytes", "17mb"]).error().is_some());
    assert!(client.call(&["CONFIG", "SET", "ndarray.chunk-bytes", "4095"]).error().is_some());
    assert!(client.call(&["CONFIG", "SET", "ndarray.nosuch", "1"]).error().is_some());
    // They work at once.
    client.ok(&words!["ND.SET", "k", "int64", "100000", "BLOB", steps("int64", 8, 100_000)]);
    let info = client.ok(&["ND.INFO", "k"]);
    assert_eq!((info.field("codec").text().as_str(), info.field("chunks").int()), ("lz4+delta+shuffle", 7));
    let blob = noise("uint8", (1 << 20) + 1, 1);
    client.ok(&words!["ND.SET", "k", "uint8", blob.len().to_string(), "BLOB", blob]);
    assert!(client.call(&["ND.GET", "k"]).error().is_some_and(|e| e.starts_with("LIMIT")));
    client.ok(&["CONFIG", "SET", "ndarray.max-array-bytes", "1mb"]);
    let reply = client.call(&words!["ND.SET", "k", "uint8", blob.len().to_string(), "BLOB", blob]);
    assert!(reply.error().is_some_and(|e| e.starts_with("LIMIT")), "{reply:?}");
    client.ok(&["CONFIG", "REWRITE"]);
    let file = std::fs::read_to_string(server.dir().join("redis.conf")).expect("redis.conf");
    assert!(file.contains("ndarray.codec lz4") && file.contains("ndarray.chunk-bytes 128kb"), "{file}");
}

#[test]
fn load_arguments_are_taken_or_refused_with_a_reason() {
    let server = Server::with()
        .module_arg("chunk-bytes 128kb")
        .module_arg("ndarray.CODEC lz4")
        .module_arg("inline-bytes 100")
        .start();
    let mut client = server.client();
    for (name, want) in [("chunk-bytes", "131072"), ("codec", "lz4"), ("inline-bytes", "100")] {
        assert_eq!(client.ok(&["CONFIG", "GET", &format!("ndarray.{name}")]).array()[1].text(), want, "{name}");
    }
    drop(client);
    for (args, why) in [
        ("nosuch 1", "unknown load argument 'nosuch' (use one of: chunk-bytes, inline-bytes"),
        ("chunk-bytes 100", "load argument chunk-bytes: '100' is not a size from 4096 to 16777216"),
        ("chunk-bytes many", "'many' is not a size"),
        ("chunk-bytes -1", "'-1' is not a size"),
        ("inline-bytes 99999999999999999999gb", "is not a size"),
        ("codec zip", "zip"),
        ("codec lz4 chunk-bytes", "the load argument 'chunk-bytes' has no value"),
        ("chunk-bytes", "the load argument 'chunk-bytes' has no value"),
    ] {
        let log = Server::with().module_arg(args).try_start().err().unwrap_or_else(|| panic!("{args}: it started"));
        assert!(log.contains("ndarray was not loaded: ") && log.contains(why), "{args}: {log}");
    }
    let log = Server::with().config("ndarray.chunk-bytes", "1").try_start().err().expect("refused");
    assert!(log.contains("ndarray.chunk-bytes") || log.contains("chunk-bytes"), "{log}");
}

#[test]
fn info_counts_what_the_module_does() {
    let server = Server::start();
    let mut client = server.client();
    let field = |client: &mut Client, name: &str| client.info("ndarray", &format!("ndarray_{name}")).expect("a field");
    assert_eq!(field(&mut client, "version"), env!("CARGO_PKG_VERSION"));
    for name in ["chunks_decoded", "chunks_encoded", "chunks_stored_raw", "internal_errors"] {
        assert_eq!(field(&mut client, name), "0", "{name}");
    }
    client.ok(&words!["ND.SET", "raw", "uint8", "131072", "BLOB", noise("uint8", 131_072, 1), "CODEC", "raw"]);
    assert_eq!(field(&mut client, "chunks_stored_raw"), "1", "one run: nothing of it has to be decoded");
    client.ok(&words!["ND.SET", "lz4", "int64", "16384", "BLOB", steps("int64", 8, 16_384), "CODEC", "lz4"]);
    assert_eq!(field(&mut client, "chunks_encoded"), "2");
    client.ok(&["ND.SUM", "lz4"]);
    assert_eq!(field(&mut client, "chunks_decoded"), "2");
    assert_eq!(field(&mut client, "internal_errors"), "0");
    assert!(client.ok(&["INFO", "modules"]).text().contains("module:name=ndarray,"));
}

#[test]
fn no_command_hangs_on_an_array_of_one_value_that_no_machine_could_hold() {
    let server = Server::start();
    let mut client = server.client();
    client.ok(&["ND.CREATE", "huge", "float64", "4000000,4000000", "FILL", "0.5"]);
    client.ok(&["ND.CREATE", "mask", "bool", "100000000000"]);
    client.ok(&["COPY", "huge", "copy"]);
    let start = std::time::Instant::now();
    for key in ["huge", "mask"] {
        for command in ["INFO", "SHAPE", "DTYPE", "SHOW", "GET", "DIGEST", "VERIFY", "SUM", "MEAN", "ATTRGET"] {
            client.call(&[&format!("ND.{command}"), key]);
        }
        for format in ["BLOB", "PIECES", "NPY", "ARROW", "VALUES", "JSON", "TEXT"] {
            client.call(&["ND.GET", key, format]);
            client.call(&["ND.SLICE", key, "1:", format]);
            client.call(&["ND.MGET", "2", key, key, format]);
        }
        client.call(&["ND.GET", key, "IFDNE", "0123456789abcdef"]);
        client.call(&["ND.GET", key, "DTYPE", "float32"]);
        client.call(&["ND.SLICE", key, "..."]);
        client.call(&["ND.SLICE", key, "::-1"]);
        client.call(&["ND.SUM", key, "AXIS", "0"]);
        client.call(&["ND.MEAN", key, "AXIS", "0"]);
        for index in ["...", "0", "::-1", "::3", "...,0", "...,::4001", "[0,0]", "[0,-1],...,None"] {
            for value in ["SCALAR true", "bool 1 VALUES 1", "KEY mask", "KEY huge"] {
                let set = format!("ND.SETSLICE {key} {index} {value} IFDEQ 0123456789abcdef");
                let update = format!("ND.UPDATE copy {index} OR {value}");
                let tail = format!("ND.UPDATE copy {index} MIN {value}");
                for command in [set, update, tail] {
                    client.call(&command.split(' ').collect::<Vec<_>>());
                }
            }
        }
        client.call(&["ND.SETSLICE", key, "...,0", "SCALAR", "true"]);
        client.call(&["ND.UPDATE", key, "...,0", "MAX", "SCALAR", "true"]);
        client.call(&["ND.MGET", "1", key, "NPZ"]);
        for condition in ["IFDEQ", "IFDNE"] {
            client.call(&["ND.SET", key, "int8", "1", "VALUES", "1", "XX", condition, "0123456789abcdef"]);
            client.call(&["ND.CREATE", key, "int8", "1", "XX", condition, "0123456789abcdef"]);
        }
        client.ok(&["MEMORY", "USAGE", key]);
        client.ok(&["DEBUG", "DIGEST-VALUE", key]);
        client.ok(&["COPY", key, "copy", "REPLACE"]);
        client.ok(&["DUMP", key]);
    }
    server.debug_digest();
    server.debug_reload();
    let took = start.elapsed();
    assert!(took.as_secs() < 20, "{took:?}");
    assert_eq!(client.ok(&["DBSIZE"]).int(), 3);
    assert!(client.info("ndarray", "ndarray_internal_errors").as_deref() == Some("0"));
}

/// A server in cluster mode, and the port of its bus.
fn node() -> (Server, u16) {
    for _ in 0..5 {
        let bus = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its number").port();
        let options = Server::with().listen().config("cluster-enabled", "yes").config("cluster-port", bus);
        if let Ok(server) = options.try_start() {
            return (server, bus);
        }
    }
    panic!("no cluster node in five attempts");
}

fn wait_for_cluster(client: &mut Client, nodes: &str) {
    wait_until(DEADLINE, "the cluster is there", || {
        let info = client.ok(&["CLUSTER", "INFO"]).text();
        info.contains("cluster_state:ok") && info.contains(&format!("cluster_known_nodes:{nodes}\r"))
    });
}

fn assert_redirected(reply: &Value, code: &str) {
    assert!(reply.error().is_some_and(|e| e.starts_with(code)), "{code}: {reply:?}");
}

#[test]
fn a_cluster_routes_by_every_key_and_migrates_slots_with_arrays() {
    let ((a, _), (b, b_bus)) = (node(), node());
    let (mut here, mut there) = (a.client(), b.client());
    here.ok(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    wait_for_cluster(&mut here, "1");
    // One node: several keys must share a slot.
    for command in ["ND.MSET 2 a b int8 1 VALUES 1 int8 1 VALUES 2", "ND.MGET 2 a b", "ND.MGET 3 {x}a {x}b b"] {
        assert_redirected(&here.call(&command.split(' ').collect::<Vec<_>>()), "CROSSSLOT");
    }
    assert_redirected(&cmd!(here, "ND.SETSLICE", "a", "0", "KEY", "b"), "CROSSSLOT");
    assert_eq!(
        cmd!(here, "ND.SETSLICE", "a", "0", "uint8", "3", "BLOB", "KEY").error(),
        Some("NOKEY key 'a' does not exist")
    );
    here.ok(&"ND.MSET 2 {x}a {x}b int8 1 VALUES 1 int8 1 VALUES 2".split(' ').collect::<Vec<_>>());
    here.ok(&["ND.MGET", "2", "{x}a", "{x}b", "NPZ"]);
    // Two nodes: the slot moves, array by array.
    let port = b.port().expect("a port").to_string();
    here.ok(&["CLUSTER", "MEET", "127.0.0.1", &port, &b_bus.to_string()]);
    wait_for_cluster(&mut here, "2");
    wait_for_cluster(&mut there, "2");
    let elements = noise("float32", 400_000, 1);
    here.ok(&words!["ND.SET", "{x}b", "float32", "100,1000", "BLOB", elements, "EX", "5000"]);
    let want = cmd!(here, "ND.DIGEST", "{x}b");
    let slot = here.ok(&["CLUSTER", "KEYSLOT", "{x}a"]).int().to_string();
    let (id_a, id_b) = (here.ok(&["CLUSTER", "MYID"]).text(), there.ok(&["CLUSTER", "MYID"]).text());
    there.ok(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id_a]);
    here.ok(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id_b]);
    here.ok(&["MIGRATE", "127.0.0.1", &port, "{x}b", "0", "60000"]);
    here.ok(&["ND.GET", "{x}a"]);
    assert_redirected(&here.call(&["ND.GET", "{x}b"]), "ASK");
    assert_redirected(&here.call(&["ND.MGET", "2", "{x}a", "{x}b"]), "TRYAGAIN");
    assert_redirected(&there.call(&["ND.GET", "{x}b"]), "MOVED");
    there.ok(&["ASKING"]);
    assert_eq!(cmd!(there, "ND.DIGEST", "{x}b"), want);
    here.ok(&["MIGRATE", "127.0.0.1", &port, "{x}a", "0", "60000"]);
    there.ok(&["CLUSTER", "SETSLOT", &slot, "NODE", &id_b]);
    here.ok(&["CLUSTER", "SETSLOT", &slot, "NODE", &id_b]);
    assert_redirected(&here.call(&["ND.GET", "{x}b"]), "MOVED");
    assert_eq!(there.ok(&["ND.MGET", "2", "{x}a", "{x}b"]).array().len(), 2);
    assert!(cmd!(there, "ND.VERIFY", "{x}b").is_ok());
    assert!(cmd!(there, "PTTL", "{x}b").int() > 0);
}

#[test]
fn a_short_index_cannot_write_a_million_times() {
    let server = Server::start();
    let mut client = server.client();
    client.ok(&["ND.SET", "small", "int8", "2,2", "VALUES", "0", "1", "2", "3"]);
    let before = client.dump("small");
    let index = format!("[{}],[{}]", "[0],".repeat(1000), "1,".repeat(1000));
    for command in
        [vec!["ND.SETSLICE", "small", &index, "SCALAR", "1"], vec!["ND.UPDATE", "small", &index, "ADD", "SCALAR", "1"]]
    {
        let reply = client.call(&command);
        let reply = reply.error().expect("a refusal");
        assert!(
            reply.contains("LIMIT the points to write to would take 1000000 points, the limit is 65536"),
            "{reply}"
        );
    }
    assert_eq!(client.dump("small"), before);
    // A list that is as long as its text says has no such limit.
    let long = format!("[{}]", "1,".repeat(100_000));
    assert_eq!(client.ok(&["ND.UPDATE", "small", &long, "ADD", "SCALAR", "1"]).int(), 200_000);
}
