//! Arrays above 512 MB, the longest string there can be: made by ND.CREATE, filled by ND.SETSLICE, saved, loaded,
//! rewritten and replicated.
//!
//! Ignored by default: each copy takes 600 MB, and a replica and a child that saves have copies of their own. `make test-long`
//! runs it.
#![cfg(feature = "module")]

mod common;

use common::arrays::noise;
use common::{Client, Server};

const ROWS: usize = 600;
const ROW: usize = 1 << 20;

fn digest(client: &mut Client) -> String {
    assert!(cmd!(client, "ND.VERIFY", "large").is_ok());
    cmd!(client, "ND.DIGEST", "large").text()
}

fn stored_bytes(client: &mut Client) -> i64 {
    cmd!(client, "ND.INFO", "large").field("stored_bytes").int()
}

#[test]
#[ignore = "takes some gigabytes of memory and disk and about a minute: `make test-long`"]
fn an_array_above_512_mb_is_filled_saved_loaded_rewritten_and_replicated() {
    let server = Server::with().append_only("yes").config("maxmemory", "0").listen().start();
    let mut client = server.client();
    let columns = (ROW / 8).to_string();
    client.ok(&["ND.CREATE", "large", "float64", &format!("{ROWS},{columns}")]);
    assert_eq!(stored_bytes(&mut client), 0);
    let elements = noise("float64", 4 * ROW, 7);
    for first in (0..ROWS).step_by(4) {
        let index = format!("{first}:{}", first + 4);
        let written = cmd!(client, "ND.SETSLICE", "large", index, "float64", format!("4,{columns}"), "BLOB", elements);
        assert_eq!(written.int(), 4 * ROW as i64 / 8);
        // So that no two rows are alike.
        cmd!(client, "ND.SETSLICE", "large", format!("{first}:{},0", first + 4), "SCALAR", first.to_string());
    }
    assert_eq!(stored_bytes(&mut client), (ROWS * ROW) as i64);
    let used = |client: &mut Client| -> usize {
        client.info("memory", "used_memory_peak").expect("used_memory_peak").parse().expect("a number")
    };
    let before = used(&mut client);
    assert_eq!(cmd!(client, "ND.UPDATE", "large", "...", "MUL", "SCALAR", "0.5").int(), (ROWS * ROW / 8) as i64);
    assert_eq!(cmd!(client, "ND.SETSLICE", "large", "::2,1", "SCALAR", "3").int(), ROWS as i64 / 2);
    assert!(used(&mut client) < before + (8 << 20), "raw elements that nobody shares are changed where they lie");
    let whole = digest(&mut client);

    server.debug_reload();
    assert_eq!(digest(&mut client), whole, "saved and loaded");
    let replica = Server::with().append_only("no").replica_of(&server).start();
    replica.wait_for_primary();
    cmd!(client, "ND.UPDATE", "large", "-1", "ADD", "SCALAR", "1");
    server.wait_for_replica(&replica);
    let whole = digest(&mut client);
    assert_eq!(digest(&mut replica.client()), whole, "on a replica");
    drop(replica);
    server.rewrite_aof();
    cmd!(client, "ND.SETSLICE", "large", "0", "KEY", "large");
    drop(client);
    let server = server.restart(false);
    assert_eq!(digest(&mut server.client()), whole, "from the append-only file");
}
