//! Chunks: what is touched is what a selection needs, and what is duplicated is what a write changes. By the server's own counts.
#![cfg(feature = "module")]

mod common;

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
    let server = Server::start();
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
    assert!(grown(&mut client).abs_diff(one) < CHUNK / 8, "it is the array's own by now");
    client.ok(&["ND.SETSLICE", "m", ":,200", "SCALAR", "1"]);
    let nine = grown(&mut client);
    assert!((9 * CHUNK..10 * CHUNK).contains(&nine), "eight more: {nine}");
    assert_eq!(client.ok(&["CLIENT", "KILL", "ID", &id]), Value::Int(1));
    assert!(reader.read() == want, "as it was when it was asked for");
    wait_until(DEADLINE, "what was duplicated is free", || grown(&mut client) < CHUNK);
}
