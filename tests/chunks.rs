//! Chunks: what is touched is what a selection needs, and what is duplicated is what a write changes. By the server's own counts.
#![cfg(feature = "module")]

mod common;

use common::arrays::noise;
use common::resp::encode;
use common::{wait_until, Client, Server, Value, DEADLINE};

fn count(client: &mut Client, field: &str) -> u64 {
    let field = format!("ndarray_{field}");
    client.info("ndarray", &field).unwrap_or_else(|| panic!("INFO has no {field}")).parse().expect("a number")
}

fn used_memory(client: &mut Client) -> u64 {
    client.info("memory", "used_memory").expect("it").parse().expect("a number")
}

fn field(client: &mut Client, key: &str, name: &str) -> Value {
    let reply = client.ok(&["ND.INFO", key]);
    let pairs = reply.array().chunks_exact(2);
    pairs.filter(|pair| pair[0].text() == name).map(|pair| pair[1].clone()).next().expect("a field of ND.INFO")
}

/// 1024 x 1024 float64 in 64 square chunks, all of them encoded.
fn squares(client: &mut Client) {
    let create = "ND.CREATE m float64 1024,1024 ARANGE 0 1 CHUNK 128,128 CODEC lz4";
    client.ok(&create.split(' ').collect::<Vec<_>>());
    assert_eq!(field(client, "m", "chunks").int(), 64);
}

#[test]
fn a_column_of_square_chunks_touches_its_own_chunks_only() {
    let server = Server::with().config("ndarray.decoded-bytes", 0).start();
    let mut client = server.client();
    squares(&mut client);
    for (command, chunks) in [
        ("ND.SLICE m :,5 BLOB", 8),
        ("ND.SLICE m 5 BLOB", 8),
        ("ND.SLICE m 5:100,5:100 BLOB", 1),
        ("ND.SLICE m 100:200,100:200 BLOB", 4),
        ("ND.SLICE m ::128,127 BLOB", 8),
        ("ND.ITEM m 1023,1023", 1),
        ("ND.TAKE m 1 2 5 7 BLOB", 8),
        ("ND.SUM m SLICE :,5", 8),
        ("ND.MEAN m SLICE 0:128,128:256", 1),
        ("ND.SETSLICE m 5,5 SCALAR 1", 0), // what is written over is decoded too, but not to be read
    ] {
        let before = count(&mut client, "chunks_decoded");
        client.ok(&command.split(' ').collect::<Vec<_>>());
        assert_eq!(count(&mut client, "chunks_decoded") - before, chunks, "{command}");
    }
}

#[test]
fn parts_that_are_read_again_and_again_are_decoded_twice() {
    let server = Server::start();
    let mut client = server.client();
    squares(&mut client);
    let bytes = |client: &mut Client| count(client, "decoded_bytes");
    for command in [
        "ND.SLICE m :,5 BLOB",
        "ND.SLICE m 5:100,5:100 BLOB",
        "ND.TAKE m 1 2 5 7 BLOB",
        "ND.ITEM m 1023,1023",
        "ND.SLICE m [5,900],[7,8] BLOB",
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        client.ok(&["CONFIG", "SET", "ndarray.decoded-bytes", "0"]);
        assert_eq!(bytes(&mut client), 0);
        let want = client.ok(&words);
        client.ok(&["CONFIG", "SET", "ndarray.decoded-bytes", "16mb"]);
        let mut decoded = Vec::new();
        for _ in 0..5 {
            let before = count(&mut client, "chunks_decoded");
            assert_eq!(client.ok(&words), want, "{command}");
            decoded.push(count(&mut client, "chunks_decoded") - before);
        }
        let chunks = decoded[0];
        assert!(chunks > 0 && decoded[1] <= chunks && decoded[2..] == [0; 3], "{command}: {decoded:?}");
        assert!(bytes(&mut client) >= chunks * (128 << 10), "{command}");
    }
    // What is written is read.
    for i in 0..5 {
        client.ok(&["ND.SETSLICE", "m", "5,5", "SCALAR", &i.to_string()]);
        assert_eq!(client.ok(&["ND.ITEM", "m", "5,5"]).text(), i.to_string());
        assert_eq!(client.ok(&["ND.SLICE", "m", "5,5:7", "JSON"]).text(), format!("[{i}.0,5126.0]"));
    }
    // What is kept goes with the chunks, and where memory is short.
    client.ok(&["DEL", "m"]);
    wait_until(DEADLINE, "the chunks are freed", || bytes(&mut client) == 0);
    squares(&mut client);
    for _ in 0..3 {
        client.ok(&["ND.SLICE", "m", ":,5", "BLOB"]);
    }
    assert!(bytes(&mut client) >= 8 * (128 << 10));
    wait_until(DEADLINE, "the server's tick", || {
        // Other memory that was kept for later goes as well, and may be enough.
        let used = used_memory(&mut client);
        client.ok(&["CONFIG", "SET", "maxmemory", &(used + used / 20).to_string()]);
        bytes(&mut client) == 0
    });
    client.ok(&["CONFIG", "SET", "maxmemory", "0"]);
    // A setting that is too small for a chunk keeps none.
    client.ok(&["CONFIG", "SET", "ndarray.decoded-bytes", "200kb"]);
    for _ in 0..4 {
        client.ok(&["ND.SLICE", "m", ":,5", "BLOB"]);
    }
    assert_eq!(bytes(&mut client), 0);
}

#[test]
fn a_constant_over_a_whole_chunk_stores_nothing() {
    let server = Server::start();
    let mut client = server.client();
    squares(&mut client);
    let memory = |client: &mut Client| client.ok(&["MEMORY", "USAGE", "m"]).int();
    let (before, stored) = (memory(&mut client), field(&mut client, "m", "stored_bytes").int());
    client.ok(&["ND.SETSLICE", "m", "128:256,256:384", "SCALAR", "7"]);
    let (one, stored_one) = (memory(&mut client), field(&mut client, "m", "stored_bytes").int());
    assert!(one < before && stored_one < stored, "{one} of {before}, {stored_one} of {stored}");
    let decoded = count(&mut client, "chunks_decoded");
    assert_eq!(client.ok(&["ND.SUM", "m", "SLICE", "128:256,256:384"]).show(), "\"114688\"");
    assert_eq!(count(&mut client, "chunks_decoded"), decoded, "there is nothing to decode");
    // Everywhere, and with the array's own fill value: no chunk is left.
    client.ok(&["ND.SETSLICE", "m", "...", "SCALAR", "0"]);
    assert_eq!((field(&mut client, "m", "stored_bytes").int(), memory(&mut client) < 1024), (0, true));
    let huge = "ND.CREATE huge float64 1000000,1000000 FILL 0";
    client.ok(&huge.split(' ').collect::<Vec<_>>());
    assert!(client.ok(&["MEMORY", "USAGE", "huge"]).int() < 1024);
}

#[test]
fn while_a_reader_has_a_snapshot_a_write_duplicates_the_touched_chunks_alone() {
    const CHUNK: u64 = 128 << 10;
    // One worker, at a sum that it never comes to the end of; whoever asks after that waits, and has its snapshot.
    let server = Server::with()
        .module_arg("threads")
        .module_arg("1")
        .config("ndarray.max-array-bytes", i64::MAX)
        .config("ndarray.offload-us", 0)
        .start();
    let mut client = server.client();
    // A connection's reply buffer would become smaller some time, and be counted as memory. Servers without the word keep it.
    client.call(&["DEBUG", "REPLYBUFFER", "RESIZING", "0"]);
    let create = "ND.CREATE m float64 1024,1024 RANDOM UNIFORM 0 1 SEED 1 CHUNK 128,128 CODEC raw";
    client.ok(&create.split(' ').collect::<Vec<_>>());
    client.ok(&["ND.CREATE", "endless", "uint8", &(1u64 << 50).to_string(), "FILL", "1"]);
    let want = client.ok(&["ND.GET", "m", "BLOB"]);
    let ask = |args: &[&str]| {
        let mut other = server.client();
        let id = other.ok(&["CLIENT", "ID"]).int().to_string();
        let mut out = Vec::new();
        encode(args, &mut out);
        other.send_raw(&out);
        (other, id)
    };
    let (_busy, id) = ask(&["ND.SUM", "endless"]);
    wait_until(DEADLINE, "the job runs", || count(&mut client, "jobs_running") == 1);
    let (mut reader, _) = ask(&["ND.GET", "m", "BLOB"]);
    wait_until(DEADLINE, "the other waits", || count(&mut client, "jobs_queued") == 1);
    let before = used_memory(&mut client);
    let grown = |client: &mut Client| used_memory(client).saturating_sub(before);
    client.ok(&["ND.SETSLICE", "m", "5,5", "SCALAR", "1"]);
    let one = grown(&mut client);
    assert!((CHUNK..2 * CHUNK).contains(&one), "one chunk, and the map: {one}");
    client.ok(&["ND.SETSLICE", "m", "6,7", "SCALAR", "1"]);
    let two = grown(&mut client);
    assert!(two.abs_diff(one) < CHUNK / 2, "it is the array's own by now: {two} after {one}");
    client.ok(&["ND.SETSLICE", "m", ":,200", "SCALAR", "1"]);
    let nine = grown(&mut client);
    assert!((9 * CHUNK..10 * CHUNK).contains(&nine), "eight more: {nine}");
    assert_eq!(client.ok(&["CLIENT", "KILL", "ID", &id]), Value::Int(1));
    assert!(reader.read() == want, "as it was when it was asked for");
    wait_until(DEADLINE, "what was duplicated is free", || grown(&mut client) < CHUNK);
}

/// `name` set to float64 noise of so many rows of 1 KiB.
fn set_noise(client: &mut Client, name: &str, rows: usize, seed: u64) -> Vec<u8> {
    let elements = noise("float64", rows << 10, seed);
    let shape = format!("{rows},128");
    client.ok(&[b"ND.SET", name.as_bytes(), b"float64", shape.as_bytes(), b"BLOB", &elements]);
    elements
}

#[test]
fn a_string_that_an_array_keeps_is_freed_with_the_array_wherever_that_is() {
    let server = Server::start();
    let mut client = server.client();
    let held = |client: &mut Client| count(client, "strings_held");
    for (i, free) in
        ["DEL a", "UNLINK a", "FLUSHALL ASYNC", "FLUSHALL SYNC", "SET a b", "ND.CREATE a i4 3"].iter().enumerate()
    {
        let start = used_memory(&mut client);
        // By a client that leaves, and takes along the buffer for another such argument.
        let elements = set_noise(&mut server.client(), "a", 8 << 10, i as u64);
        assert_eq!(held(&mut client), 1, "{free}");
        let usage = client.ok(&["MEMORY", "USAGE", "a"]).int();
        wait_until(DEADLINE, "that is what used_memory grew by", || {
            let grown = used_memory(&mut client).saturating_sub(start) as i64;
            (usage - grown).abs() * 50 < grown
        });
        assert!(client.ok(&["ND.GET", "a", "BLOB"]).bytes() == elements);
        // Two share it, and a reduction looks at it.
        client.ok(&["COPY", "a", "b"]);
        client.ok(&["ND.SUM", "a", "AXIS", "0"]);
        client.ok(&["DEL", "b"]);
        client.ok(&free.split(' ').collect::<Vec<_>>());
        wait_until(DEADLINE, "the string is free", || held(&mut client) == 0);
        client.ok(&["DEL", "a"]);
        wait_until(DEADLINE, "its memory is back", || used_memory(&mut client) < start + (1 << 20));
    }
    // Not one in a piece that a worker still looks at.
    let elements = set_noise(&mut client, "a", 8 << 10, 77);
    client.ok(&["CONFIG", "SET", "ndarray.offload-us", "1"]);
    let mut reader = server.client();
    let mut out = Vec::new();
    (0..20).for_each(|_| encode(&["ND.GET", "a", "BLOB"], &mut out));
    reader.send_raw(&out);
    wait_until(DEADLINE, "the first is under way", || count(&mut client, "jobs_done") > 0);
    client.ok(&["UNLINK", "a"]);
    for _ in 0..20 {
        match reader.read() {
            Value::Nil => {}
            got => assert!(got.bytes() == elements),
        }
    }
    wait_until(DEADLINE, "the string is free", || held(&mut client) == 0);
}

#[test]
fn eviction_in_the_background_sees_what_it_gains() {
    let server = Server::start();
    let mut client = server.client();
    for i in 0..60 {
        set_noise(&mut client, &format!("a{i}"), 1 << 10, i);
    }
    assert_eq!(count(&mut client, "strings_held"), 60);
    client.ok(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    client.ok(&["CONFIG", "SET", "lazyfree-lazy-eviction", "yes"]);
    let limit = used_memory(&mut client) + (2 << 20);
    client.ok(&["CONFIG", "SET", "maxmemory", &limit.to_string()]);
    for i in 0..6 {
        set_noise(&mut client, &format!("b{i}"), 1 << 10, i);
    }
    let left = client.ok(&["DBSIZE"]).int();
    assert!(left >= 55, "{left} of 66 keys are left, where seven or so had to go");
}

#[test]
fn what_a_flush_lets_go_of_is_back_soon() {
    let server = Server::start();
    let mut client = server.client();
    let before = used_memory(&mut client);
    for i in 0..200 {
        set_noise(&mut client, &format!("a{i}"), 256, i);
    }
    client.ok(&["FLUSHALL", "ASYNC"]);
    wait_until(DEADLINE, "all strings are free", || count(&mut client, "strings_held") == 0);
    wait_until(DEADLINE, "their memory is back", || used_memory(&mut client) < before + (2 << 20));
}

#[test]
fn no_array_keeps_a_string_of_which_it_needs_a_small_part() {
    let server = Server::start();
    let mut client = server.client();
    // A file whose head is longer than its elements.
    let elements = noise("float64", 40 << 10, 3);
    let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({},), }}", elements.len() / 8);
    let head = format!("{text:<65523}\n");
    let mut file = b"\x93NUMPY\x02\x00".to_vec();
    file.extend((head.len() as u32).to_le_bytes());
    file.extend(head.as_bytes());
    file.extend(&elements);
    let set: [&[u8]; 4] = [b"ND.SET", b"file", b"NPY", &file];
    client.ok(&set);
    assert!(client.ok(&["ND.GET", "file", "BLOB"]).bytes() == elements);
    assert_eq!(count(&mut client, "strings_held"), 0);
    // An array that was made shorter.
    let elements = set_noise(&mut client, "long", 16 << 10, 4);
    assert_eq!(count(&mut client, "strings_held"), 1);
    client.ok(&["ND.RESIZE", "long", "1024,128"]);
    assert_eq!(count(&mut client, "strings_held"), 0);
    assert!(client.ok(&["ND.GET", "long", "BLOB"]).bytes() == &elements[..1 << 20]);
}

#[test]
fn pieces_are_kept_but_for_the_odd_one() {
    let server = Server::start();
    let mut client = server.client();
    let elements = noise("uint8", (3 << 20) + 2, 9);
    for piece in [128 << 10, 256 << 10, 1 << 20] {
        let mut call: Vec<Vec<u8>> =
            ["ND.SET", "a", "uint8", &elements.len().to_string(), "PIECES"].map(|w| w.as_bytes().to_vec()).into();
        let pieces = elements.chunks(piece);
        call.push(pieces.len().to_string().into_bytes());
        let whole = pieces.len() as u64 - 1;
        call.extend(pieces.map(<[u8]>::to_vec));
        client.ok(&call);
        let held = count(&mut client, "strings_held");
        assert!(held == whole || held == whole + 1, "{held} of {whole} pieces of {piece} bytes and a short one");
        assert!(client.ok(&["ND.GET", "a", "BLOB"]).bytes() == elements);
    }
}

#[test]
fn what_lies_between_the_pieces_of_a_large_array_goes_soon_after_it() {
    let server = Server::start();
    let mut client = server.client();
    let before = used_memory(&mut client);
    let elements = noise("uint8", 24 << 20, 3);
    for codec in ["raw", "lz4"] {
        let mut call: Vec<Vec<u8>> =
            ["ND.SET", "a", "uint8", &elements.len().to_string(), "PIECES", "96"].map(|w| w.as_bytes().to_vec()).into();
        call.extend(elements.chunks(256 << 10).map(<[u8]>::to_vec));
        call.extend(["CODEC", codec].map(|w| w.as_bytes().to_vec()));
        client.ok(&call);
        let Value::Array(reply) = client.ok(&["ND.GET", "a", "PIECES"]) else { panic!("no list") };
        let Value::Array(pieces) = &reply[2] else { panic!("no list") };
        assert!(pieces.iter().flat_map(Value::bytes).eq(&elements));
    }
    client.ok(&["DEL", "a"]);
    wait_until(DEADLINE, "its memory is back", || used_memory(&mut client) < before + (1 << 20));
    assert_eq!(count(&mut client, "strings_held"), 0);
}

#[test]
fn memory_for_large_chunks_is_given_back_when_nobody_works_on_them() {
    let server = Server::start();
    let mut client = server.client();
    let before = used_memory(&mut client);
    client.ok(&["CONFIG", "SET", "ndarray.offload-us", "3600000000"]); // all on the main thread
    let elements: Vec<u8> = (0..1u64 << 19).flat_map(|i| (i * i % 1001).to_le_bytes()).collect();
    for codec in ["lz4", "zstd:9", "pco"] {
        let words: [&[u8]; 10] =
            [b"ND.SET", b"a", b"int64", b"524288", b"BLOB", &elements, b"CODEC", codec.as_bytes(), b"CHUNK", b"524288"];
        client.ok(&words);
        client.ok(&["ND.SETSLICE", "a", "3", "SCALAR", "1"]);
        client.ok(&["ND.GET", "a", "BLOB"]);
    }
    client.ok(&["DEL", "a"]);
    assert!(used_memory(&mut client) > before + (8 << 20), "the chunk was worked on elsewhere");
    wait_until(DEADLINE, "the memory is back", || used_memory(&mut client) < before + (2 << 20));
    // A chunk that is read and not written.
    client.ok(&["CONFIG", "SET", "ndarray.decoded-bytes", "0"]);
    let words: [&[u8]; 10] =
        [b"ND.SET", b"a", b"int64", b"524288", b"BLOB", &elements, b"CODEC", b"lz4", b"CHUNK", b"524288"];
    client.ok(&words);
    let Value::Int(stored) = field(&mut client, "a", "stored_bytes") else { panic!("no number") };
    let most = before + stored.unsigned_abs() + (2 << 20);
    wait_until(DEADLINE, "what writing took is back", || used_memory(&mut client) < most);
    client.ok(&["ND.SUM", "a", "SLICE", "::3"]);
    wait_until(DEADLINE, "what reading took is back", || used_memory(&mut client) < most);
}

#[test]
fn a_write_never_shows_in_the_string_that_came_in() {
    let primary = Server::with().listen().start();
    let replica = Server::with().replica_of(&primary).start();
    replica.wait_for_primary();
    let mut client = primary.client();
    let elements = noise("float64", 3 << 20, 5);
    let set: [&[u8]; 6] = [b"ND.SET", b"a", b"float64", b"3072,128", b"BLOB", &elements];
    // The call is replicated after the writes that follow it.
    client.ok(&["MULTI"]);
    client.call(&set);
    for row in ["0", "1500", "-1"] {
        client.call(&["ND.UPDATE", "a", row, "MUL", "SCALAR", "-1"]);
        client.call(&["ND.SETSLICE", "a", row, "SCALAR", "7"]);
    }
    client.call(&["ND.APPEND", "a", "float64", "0,128", "BLOB", ""]);
    client.ok(&["EXEC"]);
    let script = "redis.call('ND.SET', KEYS[1], 'float64', '3072,128', 'BLOB', ARGV[1]); \
                  redis.call('ND.SETSLICE', KEYS[1], '5', 'SCALAR', '1'); return redis.sha1hex(ARGV[1])";
    let eval: [&[u8]; 5] = [b"EVAL", script.as_bytes(), b"1", b"b", &elements];
    let first = client.ok(&eval);
    assert_eq!(client.ok(&eval), first, "what the script was given is as it was");
    primary.wait_for_replica(&replica);
    let mut other = replica.client();
    for key in ["a", "b"] {
        assert_eq!(client.ok(&["ND.DIGEST", key]), other.ok(&["ND.DIGEST", key]), "{key}");
    }
    let b = client.ok(&["ND.GET", "b", "BLOB"]);
    assert!(b.bytes()[..5 << 10] == elements[..5 << 10] && b.bytes()[6 << 10..] == elements[6 << 10..]);
}
