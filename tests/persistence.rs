//! Arrays survive: RDB, DEBUG RELOAD, the append-only file in every form, DUMP, MIGRATE, COPY, RENAME, MOVE, SWAPDB.
//!
//! `LONG=1` also rewrites an append-only file with an array of more than 512 MB.
#![cfg(feature = "module")]

mod common;

use std::fs;
use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};

use common::arrays::{assert_same, contents, fill, keys, look, noise, steps, Random};
use common::{resp, Client, Server, Value};

/// The commands of an append-only file, or of its beginning.
fn commands_of(bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let mut reader = BufReader::new(Cursor::new(bytes));
    let mut commands = Vec::new();
    while let Ok(command) = resp::decode(&mut reader) {
        commands.push(command.array().iter().map(|a| a.bytes().to_vec()).collect());
    }
    commands
}

/// The only file of the append-only directory with this middle name: `base` or `incr`.
fn aof_file(dir: &Path, kind: &str) -> PathBuf {
    let files = fs::read_dir(dir.join("appendonlydir")).expect("the append-only directory");
    let mut paths: Vec<PathBuf> = files.map(|f| f.expect("a file").path()).collect();
    paths.retain(|p| p.to_string_lossy().contains(&format!(".{kind}.")));
    assert_eq!(paths.len(), 1, "{kind}: {paths:?}");
    paths.remove(0)
}

#[test]
fn every_array_survives_save_and_restart() {
    let server = Server::start();
    fill(&mut server.client());
    let before = contents(&mut server.client());
    let digest = server.debug_digest();
    let server = server.restart(true);
    assert_same(&contents(&mut server.client()), &before, "after a restart");
    assert_eq!(server.debug_digest(), digest);
}

#[test]
fn every_array_survives_debug_reload_twice() {
    let server = Server::start();
    fill(&mut server.client());
    let before = contents(&mut server.client());
    for _ in 0..2 {
        server.debug_reload();
        assert_same(&contents(&mut server.client()), &before, "after DEBUG RELOAD");
    }
}

#[test]
fn every_array_survives_a_rewritten_append_only_file_in_both_forms() {
    for preamble in ["yes", "no"] {
        let server = Server::with().append_only(preamble).start();
        fill(&mut server.client());
        let before = contents(&mut server.client());
        server.rewrite_aof();
        let base = fs::read(aof_file(server.dir(), "base")).expect("the base file");
        assert_eq!(base.starts_with(b"REDIS"), preamble == "yes");
        assert_eq!(fs::metadata(aof_file(server.dir(), "incr")).expect("the increment").len(), 0);
        let server = server.restart(false);
        assert_same(&contents(&mut server.client()), &before, &format!("aof-use-rdb-preamble {preamble}, rewritten"));
        // and once more, from what was loaded
        server.rewrite_aof();
        let server = server.crash_and_restart();
        assert_same(&contents(&mut server.client()), &before, &format!("aof-use-rdb-preamble {preamble}, crashed"));
    }
}

#[test]
fn an_append_only_file_without_rewrite_replays_relative_expiries_as_moments() {
    let server = Server::with().append_only("no").start();
    let mut client = server.client();
    fill(&mut client);
    for command in [
        words!["ND.MSET", "2", "m1", "m2", "int8", "1", "VALUES", "1", "int8", "1", "VALUES", "2", "EX", "900"],
        words!["ND.MSET", "1", "m3", "int8", "1", "VALUES", "1", "NX", "PX", "900000"],
        words!["ND.SET", "at", "int8", "1", "VALUES", "1", "EXAT", "99999999999"],
        words!["ND.SET", "kept", "int8", "1", "VALUES", "1", "px", "400000"],
        words!["ND.SET", "kept", "int8", "2", "VALUES", "1", "2", "KEEPTTL"],
    ] {
        client.ok(&command);
    }
    let before = contents(&mut client);
    let log = fs::read(aof_file(server.dir(), "incr")).expect("the increment");
    for command in commands_of(&log) {
        let relative = command.iter().any(|word| word.eq_ignore_ascii_case(b"EX") || word.eq_ignore_ascii_case(b"PX"));
        assert!(!relative, "{:?}", String::from_utf8_lossy(&command[1]));
    }
    let server = server.restart(false);
    assert_same(&contents(&mut server.client()), &before, "replayed");
    let server = server.crash_and_restart();
    assert_same(&contents(&mut server.client()), &before, "replayed after a crash");
    server.debug_load_aof();
    assert_same(&contents(&mut server.client()), &before, "DEBUG LOADAOF");
}

#[test]
fn dump_and_restore_keep_every_array_here_and_elsewhere() {
    let (server, other) = (Server::start(), Server::start());
    let (mut client, mut there) = (server.client(), other.client());
    fill(&mut client);
    for key in keys(&mut client) {
        let payload = cmd!(client, "DUMP", &key).bytes().to_vec();
        let ttl = cmd!(client, "PEXPIRETIME", &key).int().max(0).to_string();
        assert!(cmd!(there, "RESTORE", &key, &ttl, &payload, "ABSTTL").is_ok());
        assert_eq!(cmd!(there, "DUMP", &key).bytes(), payload, "{:?}", String::from_utf8_lossy(&key));
        assert!(cmd!(client, "RESTORE", "again", "0", &payload, "REPLACE").is_ok());
        assert_eq!(cmd!(client, "DUMP", "again").bytes(), payload);
    }
    client.ok(&["DEL", "again"]);
    assert_same(&contents(&mut there), &contents(&mut client), "restored elsewhere");
}

#[test]
fn migrate_moves_every_array_with_its_expiry() {
    let (from, to) = (Server::with().listen().start(), Server::with().listen().start());
    let mut client = from.client();
    fill(&mut client);
    let before = contents(&mut client);
    let port = to.port().expect("a port").to_string();
    let names = keys(&mut client);
    let head = words!["MIGRATE", "127.0.0.1", port, "", "0", "60000", "KEYS"];
    client.ok(&[head, names].concat());
    assert_eq!(client.ok(&["DBSIZE"]).int(), 0);
    // MIGRATE sends what is left of an expiry, so that the moment shifts by the time it takes.
    let mut there = to.client();
    for key in ["ttl", "ttl-ms", "eye"] {
        let moment = |seen: &[String]| -> i64 {
            let line = seen.iter().find_map(|s| s.strip_prefix("PEXPIRETIME: (integer) ")).expect("a moment");
            line.parse().expect("a number")
        };
        let (was, is) = (moment(&before[key.as_bytes()]), moment(&look(&mut there, key.as_bytes())));
        assert!((was..was + 10_000).contains(&is), "{key}: {was}, then {is}");
        cmd!(there, "PEXPIREAT", key, was.to_string());
    }
    assert_same(&contents(&mut there), &before, "migrated");
}

/// Checks that of an array and its copy each can be changed without the other.
fn copies_are_apart(client: &mut Client, key: &str, change: &[&[u8]]) {
    for (changed, other) in [("copy", key), (key, "copy")] {
        assert_eq!(cmd!(client, "COPY", key, "copy", "REPLACE").int(), 1);
        let before = look(client, key.as_bytes());
        assert_eq!(look(client, b"copy"), before, "{key}");
        let command: Vec<&[u8]> = [&[b"ND.SET".as_slice(), changed.as_bytes()][..], change].concat();
        client.ok(&command);
        assert_eq!(look(client, other.as_bytes()), before, "{key}: {changed} was written");
        assert_ne!(cmd!(client, "ND.DIGEST", changed), cmd!(client, "ND.DIGEST", other), "{key}");
        assert_eq!(cmd!(client, "COPY", other, changed, "REPLACE").int(), 1);
        client.ok(&["ND.ATTRSET", changed, "mark", "1"]);
        assert_eq!(look(client, other.as_bytes()), before, "{key}: {changed} was given an attribute");
        client.ok(&["ND.ATTRDEL", changed, "mark"]);
        assert_eq!(look(client, changed.as_bytes()), before);
        client.ok(&["DEL", changed]);
        assert_eq!(look(client, other.as_bytes()), before, "{key}: {changed} was deleted");
        client.ok(&["COPY", other, changed]);
    }
}

#[test]
fn a_copy_and_its_original_change_apart() {
    let server = Server::start();
    let mut client = server.client();
    let (small, large) = (noise("float32", 512, 1), noise("float32", 400_000, 2));
    cmd!(client, "ND.SET", "small", "float32", "128", "BLOB", noise("float32", 512, 3));
    cmd!(client, "ND.SET", "large", "float32", "1000,100", "BLOB", noise("float32", 400_000, 4), "CODEC", "raw");
    cmd!(client, "ND.SET", "grid", "float32", "1000,100", "BLOB", noise("float32", 400_000, 5), "CHUNK", "90,40");
    copies_are_apart(&mut client, "small", &[b"float32", b"128", b"BLOB", &small]);
    copies_are_apart(&mut client, "large", &[b"float32", b"1000,100", b"BLOB", &large, b"CODEC", b"raw"]);
    copies_are_apart(&mut client, "grid", &[b"float32", b"1000,100", b"BLOB", &large, b"CHUNK", b"90,40"]);
    // Across databases, and with an expiry of the copy's own.
    cmd!(client, "PEXPIRE", "small", "500000");
    cmd!(client, "COPY", "small", "small", "DB", "3");
    let here = look(&mut client, b"small");
    client.ok(&["SELECT", "3"]);
    assert_eq!(look(&mut client, b"small"), here);
}

#[test]
fn rename_move_and_swapdb_carry_arrays_as_they_are() {
    let server = Server::start();
    let mut client = server.client();
    fill(&mut client);
    for key in keys(&mut client) {
        let before = look(&mut client, &key);
        assert!(cmd!(client, "RENAME", &key, "renamed").is_ok());
        assert_eq!(look(&mut client, b"renamed"), before);
        assert_eq!(cmd!(client, "RENAMENX", "renamed", &key).int(), 1);
        assert_eq!(look(&mut client, &key), before);
        assert_eq!(cmd!(client, "MOVE", &key, "1").int(), 1);
        assert_eq!(cmd!(client, "ND.GET", &key), Value::Nil);
        client.ok(&["SELECT", "1"]);
        assert_eq!(look(&mut client, &key), before);
        assert_eq!(cmd!(client, "MOVE", &key, "0").int(), 1);
        client.ok(&["SELECT", "0"]);
    }
    let before = contents(&mut client);
    client.ok(&["SWAPDB", "0", "5"]);
    assert_eq!(client.ok(&["DBSIZE"]).int(), 0);
    client.ok(&["SELECT", "5"]);
    assert_same(&contents(&mut client), &before, "SWAPDB");
}

/// An append-only file with one array in parts, and its commands.
fn array_in_parts() -> (Vec<u8>, Vec<String>) {
    let server = Server::with().append_only("no").start();
    let mut client = server.client();
    let elements = noise("float64", 3 << 20, 1);
    cmd!(client, "ND.SET", "k", "float64", "384,1024", "BLOB", &elements, "CODEC", "raw");
    cmd!(client, "ND.ATTRSET", "k", "unit", "1");
    cmd!(client, "PEXPIRE", "k", "5000000");
    let whole = look(&mut client, b"k");
    server.rewrite_aof();
    (fs::read(aof_file(server.dir(), "base")).expect("the base file"), whole)
}

/// What reads of `k` answer: all of them `CORRUPT`, as an array that is not whole must.
fn assert_incomplete(client: &mut Client, when: &str) {
    for command in [
        words!["ND.GET", "k"],
        words!["ND.SLICE", "k", "0"],
        words!["ND.SUM", "k"],
        words!["ND.MEAN", "k"],
        words!["ND.SHAPE", "k"],
        words!["ND.DTYPE", "k"],
        words!["ND.INFO", "k"],
        words!["ND.DIGEST", "k"],
        words!["ND.VERIFY", "k"],
        words!["ND.ATTRGET", "k"],
        words!["ND.MGET", "1", "k"],
    ] {
        let reply = client.call(&command);
        let name = String::from_utf8_lossy(&command[0]).into_owned();
        assert!(
            reply.error().is_some_and(|e| e.starts_with("CORRUPT the array is incomplete")),
            "{when}: {name}: {reply:?}"
        );
    }
}

#[test]
fn a_file_that_ends_between_or_within_parts_never_yields_a_whole_looking_array() {
    let (file, whole) = array_in_parts();
    let commands = commands_of(&file);
    let parts = commands.iter().filter(|c| c[0] == b"ND.RESTOREPART").count();
    assert!(parts >= 4, "{parts} parts");
    // Where each command ends.
    let mut ends = vec![0];
    for command in &commands {
        let mut bytes = Vec::new();
        resp::encode(command, &mut bytes);
        ends.push(ends[ends.len() - 1] + bytes.len());
    }
    assert_eq!(ends[ends.len() - 1], file.len());
    let first = commands.iter().position(|c| c[0] == b"ND.RESTOREPART").expect("a part");
    let last = first + parts; // the part that makes it whole ends at ends[last]
    let mut cuts: Vec<usize> = ends[first..].to_vec();
    cuts.extend([ends[first] + 40, ends[first + 1] + 1000, ends[last] - 1, ends[last] - 500_000]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    for cut in cuts {
        let path = dir.path().join("cut.aof");
        fs::write(&path, &file[..cut]).expect("write the file");
        let server = Server::with().append_only("no").file("appendonly.aof", &path).start();
        let mut client = server.client();
        let when = format!("cut at {cut} of {}", file.len());
        if cut < ends[first + 1] {
            assert_eq!(client.ok(&["EXISTS", "k"]).int(), 0, "{when}");
        } else if cut < ends[last] {
            assert_incomplete(&mut client, &when);
            // Nor after a save, a rewrite or a copy.
            server.debug_reload();
            assert_incomplete(&mut client, &when);
            server.rewrite_aof();
            let server = server.restart(false);
            let mut client = server.client();
            assert_incomplete(&mut client, &when);
            // The key can be replaced and deleted.
            assert_eq!(client.ok(&["DEL", "k"]).int(), 1);
        } else if cut == file.len() {
            assert_eq!(look(&mut client, b"k"), whole, "{when}");
        }
    }
}

#[test]
fn parts_in_the_wrong_order_or_twice_are_refused_and_change_nothing() {
    let (file, whole) = array_in_parts();
    let mut parts = commands_of(&file);
    parts.retain(|c| c[0] == b"ND.RESTOREPART");
    let server = Server::start();
    let mut client = server.client();
    let refused = |reply: Value| assert!(reply.error().is_some_and(|e| e.starts_with("CORRUPT")), "{reply:?}");
    // Without a header.
    assert!(client.call(&parts[1]).error().is_some());
    assert_eq!(client.ok(&["EXISTS", "k"]).int(), 0);
    client.ok(&parts[0]);
    client.ok(&parts[2]);
    refused(client.call(&parts[1]));
    refused(client.call(&parts[2]));
    assert_incomplete(&mut client, "a part was left out");
    for part in &parts {
        client.ok(part);
    }
    refused(client.call(&parts[3]));
    assert_eq!(look(&mut client, b"k")[..4], whole[..4]);
}

#[test]
fn a_digest_asked_for_between_parts_is_not_the_digest_of_the_whole() {
    let (file, whole) = array_in_parts();
    let mut parts = commands_of(&file);
    parts.retain(|c| c[0] == b"ND.RESTOREPART");
    let server = Server::start();
    let mut client = server.client();
    for part in &parts {
        client.ok(part);
        cmd!(client, "DEBUG", "DIGEST-VALUE", "k");
        let none = "0123456789abcdef";
        cmd!(client, "ND.SET", "k", "int8", "1", "VALUES", "1", "IFDEQ", none);
    }
    assert_eq!(look(&mut client, b"k")[..4], whole[..4]);
}

/// Rewrites a file with an array of `nbytes` and answers the longest argument in it.
fn longest_argument(nbytes: usize) -> usize {
    let server = Server::with().append_only("no").config("proto-max-bulk-len", "2gb").start();
    let mut client = server.client();
    let mut random = Random(7);
    let piece = random.bytes(256 << 10);
    let count = nbytes / piece.len();
    let head = words!["ND.SET", "large", "uint8", (count * piece.len()).to_string(), "PIECES", count.to_string()];
    let mut command = Vec::new();
    resp::encode(&[head, vec![piece; count], words!["CODEC", "raw"]].concat(), &mut command);
    client.send_raw(&command);
    drop(command);
    assert!(client.read().is_ok());
    let digest = cmd!(client, "ND.DIGEST", "large").text();
    server.rewrite_aof();
    let path = aof_file(server.dir(), "base");
    let mut reader = BufReader::new(fs::File::open(path).expect("the base file"));
    let mut longest = 0;
    while let Ok(command) = resp::decode(&mut reader) {
        longest = command.array().iter().map(|a| a.bytes().len()).max().unwrap_or(0).max(longest);
    }
    let server = server.restart(false);
    let mut client = server.client();
    assert_eq!(cmd!(client, "ND.DIGEST", "large").text(), digest);
    assert!(cmd!(client, "ND.VERIFY", "large").is_ok());
    longest
}

#[test]
fn a_rewrite_writes_a_large_array_in_arguments_of_about_a_mebibyte() {
    let longest = longest_argument(24 << 20);
    assert!((900_000..=2 << 20).contains(&longest), "{longest}");
    if std::env::var_os("LONG").is_some() {
        let longest = longest_argument(600 << 20);
        assert!((900_000..=2 << 20).contains(&longest), "{longest}");
    }
}

#[test]
fn a_chunk_of_the_largest_size_is_one_argument_below_the_limit() {
    let server = Server::with().append_only("no").config("ndarray.chunk-bytes", "16mb").start();
    let mut client = server.client();
    cmd!(client, "ND.SET", "k", "uint8", "20971520", "BLOB", noise("uint8", 20 << 20, 1), "CODEC", "raw");
    cmd!(client, "ND.SET", "l", "int64", "2097152", "BLOB", steps("int64", 8, 2 << 20), "CODEC", "lz4");
    let before = contents(&mut client);
    server.rewrite_aof();
    let server = server.restart(false);
    assert_same(&contents(&mut server.client()), &before, "chunks of 16 MiB");
    server.debug_reload();
    assert_same(&contents(&mut server.client()), &before, "chunks of 16 MiB, RDB");
}
