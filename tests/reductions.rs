//! Reductions on a server: what is remembered, what is read again, and what it costs.
#![cfg(feature = "module")]

mod common;

use common::{Client, Server, Value};

/// Blocks of elements that reductions have read so far.
fn read(client: &mut Client) -> u64 {
    client.info("ndarray", "ndarray_blocks_reduced").expect("the counter").parse().expect("a number")
}

const OPERATIONS: &[&str] = &[
    "ND.SUM",
    "ND.MEAN",
    "ND.PROD",
    "ND.VAR",
    "ND.STD",
    "ND.MIN",
    "ND.MAX",
    "ND.PTP",
    "ND.ANY",
    "ND.ALL",
    "ND.COUNT",
    "ND.NORM",
    "ND.STATS",
    "ND.ARGMIN",
    "ND.ARGMAX",
];

#[test]
fn a_reduction_that_is_asked_again_reads_nothing_and_answers_the_same_bits() {
    let server = Server::start();
    let mut client = server.client();
    for codec in ["raw", "lz4"] {
        cmd!(
            client,
            "ND.CREATE",
            "a",
            "float64",
            "400,1000",
            "RANDOM",
            "NORMAL",
            "3",
            "2",
            "SEED",
            "1",
            "CODEC",
            codec
        );
        for operation in OPERATIONS {
            let first = cmd!(client, operation, "a").show();
            let before = read(&mut client);
            assert_eq!(cmd!(client, operation, "a").show(), first, "{operation}");
            let kept = client.call(&[operation, "a", "KEEPDIMS", "BLOB"]);
            assert_eq!(kept.error().is_some(), *operation == "ND.STATS", "{operation}");
            assert_eq!(read(&mut client), before, "{operation} of {codec} chunks reads again");
        }
    }
}

/// 123 blocks of 8,192 elements, 0 and up.
#[test]
fn of_a_slice_only_blocks_that_matter_are_read() {
    let server = Server::start();
    let mut client = server.client();
    for codec in ["raw", "zstd"] {
        for key in ["a", "fresh"] {
            cmd!(client, "ND.CREATE", key, "float64", "1000000", "ARANGE", "0", "1", "CODEC", codec);
        }
        for operation in ["ND.MIN", "ND.MAX", "ND.ANY", "ND.SUM", "ND.VAR"] {
            cmd!(client, operation, "a");
        }
        let mut check = |operation: &str, most: u64| {
            let before = read(&mut client);
            let answer = cmd!(client, operation, "a", "SLICE", "100:900000").show();
            let blocks = read(&mut client) - before;
            assert_eq!(answer, cmd!(client, operation, "fresh", "SLICE", "100:900000").show(), "{operation}");
            assert_eq!(blocks, most, "{operation} of {codec} chunks");
        };
        // The last block that is touched cannot hold the least, nor the first one the greatest.
        check("ND.MIN", 1);
        check("ND.MAX", 1);
        check("ND.ANY", 0);
        check("ND.SUM", 2);
        check("ND.VAR", 2);
        // A NaN that is not selected: its block is looked at.
        cmd!(client, "ND.SETSLICE", "a", "3", "SCALAR", "nan");
        cmd!(client, "ND.MIN", "a");
        let before = read(&mut client);
        assert_eq!(cmd!(client, "ND.MIN", "a", "SLICE", "100:900000").show(), "\"100\"");
        assert_eq!(read(&mut client) - before, 1);
        // One that is: nothing else matters.
        cmd!(client, "ND.SETSLICE", "a", "500000", "SCALAR", "nan");
        cmd!(client, "ND.MIN", "a");
        let before = read(&mut client);
        assert_eq!(cmd!(client, "ND.MIN", "a", "SLICE", "9000:900000").show(), "\"nan\"");
        assert_eq!(read(&mut client), before);
    }
}

#[test]
fn after_a_write_only_the_chunk_that_changed_is_read_again() {
    let server = Server::start();
    let mut client = server.client();
    for key in ["a", "fresh"] {
        cmd!(
            client,
            "ND.CREATE",
            key,
            "float64",
            "400,1000",
            "RANDOM",
            "NORMAL",
            "3",
            "2",
            "SEED",
            "1",
            "CODEC",
            "raw"
        );
    }
    for operation in OPERATIONS.iter().filter(|o| !o.starts_with("ND.ARG")) {
        cmd!(client, operation, "a");
    }
    cmd!(client, "ND.SETSLICE", "a", "7,7", "SCALAR", "1e3");
    cmd!(client, "ND.SETSLICE", "fresh", "7,7", "SCALAR", "1e3");
    for operation in OPERATIONS.iter().filter(|o| !o.starts_with("ND.ARG")) {
        let before = read(&mut client);
        let after_write = cmd!(client, operation, "a").show();
        assert!(read(&mut client) <= before + 16, "{operation} read {} blocks", read(&mut client) - before);
        assert_eq!(after_write, cmd!(client, operation, "fresh").show(), "{operation}");
    }
    // A copy that is written to later has its own.
    cmd!(client, "COPY", "a", "copy");
    cmd!(client, "ND.SETSLICE", "copy", "399,0", "SCALAR", "7");
    let before = read(&mut client);
    cmd!(client, "ND.SUM", "copy");
    assert!(read(&mut client) <= before + 16, "the blocks of one chunk");
    // Another array under the same key remembers nothing of the first.
    cmd!(client, "ND.CREATE", "a", "float64", "400,1000", "FILL", "2");
    assert_eq!(cmd!(client, "ND.MEAN", "a").text(), "2");
    cmd!(client, "ND.SET", "a", "int32", "3", "VALUES", "1", "2", "3");
    assert_eq!(cmd!(client, "ND.SUM", "a").int(), 6);
}

#[test]
fn what_is_remembered_counts_in_memory_usage_and_goes_with_the_value() {
    let server = Server::start();
    let mut client = server.client();
    cmd!(client, "ND.CREATE", "a", "float32", "1000,1000", "RANDOM", "UNIFORM", "0", "1", "SEED", "1", "CODEC", "raw");
    let before = cmd!(client, "MEMORY", "USAGE", "a").int();
    for operation in OPERATIONS {
        cmd!(client, operation, "a");
    }
    let after = cmd!(client, "MEMORY", "USAGE", "a").int();
    assert!(after > before, "{after} is not more than {before}");
    assert!(after < before + before / 100, "{} bytes remembered of {before}", after - before);
    cmd!(client, "COPY", "a", "b");
    cmd!(client, "ND.SETSLICE", "b", "0,0", "SCALAR", "0.5");
    let copied = cmd!(client, "MEMORY", "USAGE", "b").int();
    assert!((copied - after).abs() < 2048, "a changed copy takes {copied}, the array takes {after}");
}

#[test]
fn a_mask_is_a_key_of_the_call() {
    let server = Server::start();
    let mut client = server.client();
    cmd!(client, "ND.SET", "a", "int32", "3", "VALUES", "1", "2", "3");
    cmd!(client, "ND.SET", "m", "bool", "3", "VALUES", "1", "0", "1");
    for call in [
        words!["ND.SUM", "a", "WHERE", "m"],
        words!["ND.MEAN", "a", "where", "m", "AXIS", "0", "JSON"],
        words!["ND.QUANTILE", "a", "0.5", "SKIPNAN", "WHERE", "m"],
    ] {
        let keys = client.ok(&[words!["COMMAND", "GETKEYS"], call.clone()].concat());
        let keys: Vec<String> = keys.array().iter().map(Value::text).collect();
        assert_eq!(keys, ["a", "m"]);
    }
    client.ok(&["ACL", "SETUSER", "half", "on", "nopass", "+@all", "%R~a"]);
    client.ok(&["AUTH", "half", "x"]);
    assert_eq!(cmd!(client, "ND.SUM", "a").int(), 6);
    let refused = client.call(&["ND.SUM", "a", "WHERE", "m"]);
    assert!(refused.error().is_some_and(|e| e.starts_with("NOPERM")), "{}", refused.show());
}
