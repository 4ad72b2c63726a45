//! Damaged input over the wire: nothing is stored, or what is stored answers every read; memory stays bounded; the
//! server lives.
//!
//! At least 100,000 payloads go through RESTORE in a run; `DAMAGE=n` takes `n` times as many random edits.
#![cfg(feature = "module")]

mod common;

use common::arrays::{noise, steps, Random};
use common::{dump, resp, Client, Server, Value};
use redis_ndarray::nd::checksum::xxh3_64;

/// What became of damaged payloads.
struct Tally {
    sent: usize,
    stored: usize,
    /// What was there before the damage.
    originals: Vec<Vec<u8>>,
}

/// What the process may take at most while it is fed with payloads of a few kilobytes.
const MEMORY: u64 = 400 << 20;

fn memory_peak(client: &mut Client) -> u64 {
    client.info("memory", "used_memory_peak").expect("used_memory_peak").parse().expect("a number")
}

/// The most the process ever held in memory, as the system saw it.
fn resident_peak(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("the process's status");
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

/// Reads `key` in every way there is; whatever is answered, it is answered.
fn read_all(client: &mut Client, key: &str) {
    for command in [
        "ND.INFO",
        "ND.SHAPE",
        "ND.DTYPE",
        "ND.VERIFY",
        "ND.ATTRGET",
        "ND.SHOW",
        "ND.DIGEST",
        "ND.SUM",
        "ND.MEAN",
        "ND.GET",
    ] {
        client.call(&[command, key]);
    }
    for format in ["BLOB", "PIECES", "NPY", "ARROW", "VALUES", "JSON", "TEXT"] {
        client.call(&["ND.GET", key, format]);
    }
    for command in
        [&["ND.SLICE", key, "..."][..], &["MEMORY", "USAGE", key], &["DEBUG", "DIGEST-VALUE", key], &["DUMP", key]]
    {
        client.call(command);
    }
    assert!(client.ping());
}

/// Sends payloads through RESTORE. What is stored must be what was there before the damage, and then goes.
fn restore_all(client: &mut Client, payloads: &[Vec<u8>], tally: &mut Tally) {
    for batch in payloads.chunks(500) {
        let replies = client.restore_many("damaged", batch.iter().map(Vec::as_slice));
        tally.sent += batch.len();
        if replies.iter().all(|r| r.error().is_some()) {
            continue;
        }
        for (payload, reply) in batch.iter().zip(&replies) {
            if reply.error().is_none() {
                tally.stored += 1;
                assert!(cmd!(client, "RESTORE", "damaged", "0", payload, "REPLACE").is_ok());
                // LZF can name the same bytes in two ways: an edit may find the other, and then nothing is damaged.
                let stored = cmd!(client, "DUMP", "damaged");
                assert!(
                    tally.originals.iter().any(|o| o == stored.bytes()),
                    "{} was stored, as {}",
                    resp::quote(payload),
                    cmd!(client, "ND.GET", "damaged").show()
                );
                read_all(client, "damaged");
            }
        }
        client.ok(&["DEL", "damaged"]);
    }
    assert_eq!(client.ok(&["EXISTS", "damaged"]).int(), 0);
}

/// A server with payloads of small arrays, one of each kind of storage.
fn payloads(client: &mut Client) -> Vec<(&'static str, Vec<u8>)> {
    let commands = [
        ("plain", words!["ND.SET", "plain", "float32", "2,3", "BLOB", noise("float32", 24, 1)]),
        ("bool", words!["ND.SET", "bool", "bool", "5", "BLOB", [1, 0, 1, 1, 0]]),
        ("scalar", words!["ND.SET", "scalar", "complex128", "()", "BLOB", noise("complex128", 16, 2)]),
        ("rank", words!["ND.SET", "rank", "int16", "1,1,1,1,1,2", "BLOB", [1; 4]]),
        ("raw", words!["ND.SET", "raw", "uint8", "40,4", "BLOB", noise("uint8", 160, 3), "CHUNK", "12,3"]),
        ("lz4", words!["ND.SET", "lz4", "int32", "60", "BLOB", steps("int32", 4, 60), "CHUNK", "25", "CODEC", "lz4"]),
        ("fill", words!["ND.SET", "fill", "float64", "64", "BLOB", vec![7; 512], "CHUNK", "20"]),
        ("empty", words!["ND.SET", "empty", "float64", "0,7", "BLOB", "", "CHUNK", "1,7"]),
    ];
    for (_, command) in &commands {
        client.ok(command);
    }
    client.ok(&["ND.ATTRSET", "plain", "unit", "\"m\"", "n", "[1]"]);
    client.ok(&["ND.ATTRSET", "lz4", "a", "{\"b\":1}"]);
    commands.iter().map(|(name, _)| (*name, client.dump(name))).collect()
}

fn assert_alive(server: &Server, client: &mut Client, before: u64) {
    assert!(client.ping());
    let peak = memory_peak(client);
    assert!(peak < before + MEMORY, "used_memory rose to {peak}");
    let resident = resident_peak(server);
    assert!(resident < before + MEMORY, "the process rose to {resident}");
    assert_eq!(client.info("ndarray", "ndarray_internal_errors").as_deref(), Some("0"), "{}", server.log_tail());
}

#[test]
fn restore_refuses_every_truncation_and_every_flipped_bit() {
    for compression in ["yes", "no"] {
        every_truncation_and_flipped_bit(compression);
    }
}

fn every_truncation_and_flipped_bit(compression: &str) {
    let server = Server::with().config("loglevel", "warning").config("rdbcompression", compression).start();
    let mut client = server.client();
    let mut tally = Tally { sent: 0, stored: 0, originals: vec![] };
    let peak = memory_peak(&mut client);
    for (name, payload) in payloads(&mut client) {
        tally.originals = vec![payload.clone()];
        let digest = cmd!(client, "DEBUG", "DIGEST-VALUE", name);
        let whole = dump::value(&payload);
        // A module value: type byte, module id, opcodes and strings. The id is tried too: it is then some other type.
        let cuts: Vec<_> = (0..whole.len()).map(|n| dump::with_value(&whole[..n], &payload)).collect();
        restore_all(&mut client, &cuts, &mut tally);
        assert_eq!(tally.stored, 0, "{name}: a truncation was stored");
        let flips: Vec<_> = (8..whole.len() * 8) // the first byte says what type of value it is: not for us to judge
            .map(|bit| {
                let mut value = whole.to_vec();
                value[bit / 8] ^= 1 << (bit % 8);
                dump::with_value(&value, &payload)
            })
            .collect();
        restore_all(&mut client, &flips, &mut tally);
        assert!(tally.stored == 0 || compression == "yes", "{name}: a flipped bit was stored");
        tally.stored = 0;
        assert_eq!(cmd!(client, "DEBUG", "DIGEST-VALUE", name), digest);
    }
    println!("{} payloads", tally.sent);
    assert!(tally.sent > 5000, "{}", tally.sent);
    assert_alive(&server, &mut client, peak);
}

#[test]
fn restore_refuses_random_edits_of_larger_arrays() {
    let server = Server::with().config("loglevel", "warning").start();
    let mut client = server.client();
    let peak = memory_peak(&mut client);
    client.ok(&words!["ND.SET", "a", "float32", "500", "BLOB", noise("float32", 2000, 1)]);
    client.ok(&words!["ND.SET", "b", "int64", "16,40", "BLOB", steps("int64", 8, 640), "CHUNK", "6,9", "CODEC", "lz4"]);
    client.ok(&words!["ND.SET", "c", "uint8", "60,60", "BLOB", noise("uint8", 3600, 2), "CHUNK", "11,13"]);
    client.ok(&["ND.ATTRSET", "c", "name", "{\"a\": [1, 2, 3]}"]);
    let mut originals: Vec<_> = ["a", "b", "c"].iter().map(|key| client.dump(key)).collect();
    client.ok(&["CONFIG", "SET", "rdbcompression", "no"]); // the server's LZF is in the way of half the edits
    originals.extend(["a", "b", "c"].iter().map(|key| client.dump(key)));
    let mut tally = Tally { sent: 0, stored: 0, originals: originals.clone() };
    let times = std::env::var("DAMAGE").ok().and_then(|n| n.parse().ok()).unwrap_or(1usize);
    let mut random = Random(11);
    for _ in 0..300 * times {
        let edited: Vec<_> = (0..500)
            .map(|_| {
                let payload = &originals[random.below(originals.len())];
                let mut value = dump::value(payload).to_vec();
                // Edits fall on heads and tables more often than on elements.
                let reach = if random.below(2) == 0 { value.len() } else { value.len().min(200) };
                for _ in 0..1 + random.below(4) {
                    edit(&mut value, reach, &mut random);
                }
                dump::with_value(&value, payload)
            })
            // Some edits cancel each other.
            .filter(|edited| !originals.contains(edited) && edited[0] == originals[0][0])
            .collect();
        restore_all(&mut client, &edited, &mut tally);
    }
    println!("{} payloads, {} stored", tally.sent, tally.stored);
    assert!(tally.sent >= 145_000 * times, "{}", tally.sent);
    assert!(tally.stored < tally.sent / 100, "{} edits changed nothing", tally.stored);
    assert_alive(&server, &mut client, peak);
}

/// One edit within the first `reach` bytes.
fn edit(value: &mut Vec<u8>, reach: usize, random: &mut Random) {
    let at = 1 + random.below(reach.min(value.len()) - 1);
    match random.below(6) {
        0 => value[at] = random.next() as u8, // the low byte
        1 => value[at] ^= 1 << random.below(8),
        2 => {
            let n = random.below(9).min(value.len() - at);
            let byte = [0, 0xff, 0x7f, 0x80][random.below(4)];
            value[at..at + n].fill(byte);
        }
        3 => {
            let n = (1 + random.below(16)).min(value.len() - at);
            value.drain(at..at + n);
            value.resize(value.len().max(2), 0);
        }
        4 => {
            let n = 1 + random.below(16);
            let bytes = random.bytes(n);
            value.splice(at..at, bytes);
        }
        _ => {
            let (n, from) = (8.min(value.len() - at), random.below(value.len() - 8));
            let bytes = value[from..from + n].to_vec();
            value[at..at + n].copy_from_slice(&bytes);
        }
    }
}

// The stored form, written by hand: docs/FORMAT.md. What is wrong in it is wrong under right checksums.

/// A header, without its checksum.
struct Header {
    kind: u8,
    dtype: u8,
    ndim: u8,
    flags: u8,
    shape: Vec<u64>,
    chunk: Vec<u64>,
    /// Hidden rows, where the flag says that there are some.
    hidden: Option<u64>,
    policy: u8,
    fill: Vec<u8>,
    stored: u64,
    parts: u32,
    later: u32,
    count: u32,
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
    elements: Vec<u8>,
}

const UINT8: u8 = 5;
const FLOAT64: u8 = 12;

impl Header {
    fn plain(dtype: u8, shape: &[u64], elements: &[u8]) -> Header {
        Header {
            kind: 0,
            dtype,
            ndim: shape.len() as u8, // a few
            flags: 0,
            shape: shape.to_vec(),
            chunk: vec![],
            hidden: None,
            policy: 0,
            fill: vec![],
            stored: 0,
            parts: 0,
            later: 0,
            count: 0,
            attributes: vec![],
            elements: elements.to_vec(),
        }
    }

    fn chunked(dtype: u8, shape: &[u64], chunk: &[u64], fill: &[u8], stored: u64, parts: u32) -> Header {
        let plain = Header::plain(dtype, shape, &[]);
        Header { kind: 1, chunk: chunk.to_vec(), fill: fill.to_vec(), stored, parts, ..plain }
    }

    fn hiding(self, rows: u64) -> Header {
        Header { flags: 1, hidden: Some(rows), ..self }
    }

    fn with(mut self, name: &[u8], text: &[u8]) -> Header {
        self.attributes.push((name.to_vec(), text.to_vec()));
        self.count += 1;
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = vec![self.kind, self.dtype, self.ndim, self.flags];
        self.shape.iter().for_each(|d| out.extend(d.to_le_bytes()));
        if self.kind == 1 {
            self.chunk.iter().for_each(|d| out.extend(d.to_le_bytes()));
            self.hidden.iter().for_each(|rows| out.extend(rows.to_le_bytes()));
            out.push(self.policy);
            out.extend(&self.fill);
            out.extend(self.stored.to_le_bytes());
            out.extend(self.parts.to_le_bytes());
            out.extend(self.later.to_le_bytes());
        }
        out.extend(self.count.to_le_bytes());
        for (name, text) in &self.attributes {
            out.extend((name.len() as u32).to_le_bytes());
            out.extend(name);
            out.extend((text.len() as u32).to_le_bytes());
            out.extend(text);
        }
        out.extend(&self.elements);
        sealed(out)
    }
}

/// With the checksum of all before it.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = xxh3_64(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// A part of chunks: number, encoding, bytes.
fn part(chunks: &[(u64, u8, &[u8])]) -> Vec<u8> {
    let mut table = (chunks.len() as u32).to_le_bytes().to_vec();
    for (number, encoding, bytes) in chunks {
        table.extend(number.to_le_bytes());
        table.push(*encoding);
        table.extend((bytes.len() as u32).to_le_bytes());
        table.extend(xxh3_64(bytes).to_le_bytes());
    }
    let mut part = sealed(table);
    chunks.iter().for_each(|(_, _, bytes)| part.extend_from_slice(bytes));
    part
}

/// A payload of these strings: the type byte and module id of `like`, each string behind its opcode, the end.
fn payload(strings: &[Vec<u8>], like: &[u8]) -> Vec<u8> {
    let mut value = like[..10].to_vec(); // type, then the id as a length of nine bytes
    for string in strings {
        value.push(5); // a string follows
        value.push(0x80); // its length as 32 bits, most significant first
        value.extend((string.len() as u32).to_be_bytes());
        value.extend(string);
    }
    value.push(0);
    dump::with_value(&value, like)
}

const RAW: u8 = 0;
const FILL: u8 = 1;
const LZ4: u8 = 2;

/// Strings that no honest writer writes, and whether they may be stored (a huge array of one value is legal).
fn lies() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let one = [0u8; 8];
    let plain = |shape: &[u64], elements: &[u8]| Header::plain(UINT8, shape, elements);
    let grid = |stored, parts| Header::chunked(UINT8, &[100], &[10], &[0], stored, parts);
    let block: &[u8] = &[3; 10];
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let table = |count: u32| sealed(count.to_le_bytes().to_vec());
    let mut lies: Vec<(&'static str, Vec<Vec<u8>>)> = vec![
        ("no strings", vec![]),
        ("an empty header", vec![vec![]]),
        ("only a checksum", vec![sealed(vec![])]),
        ("an unknown kind", vec![Header { kind: 2, ..plain(&[4], &[0; 4]) }.bytes()]),
        ("an unknown dtype", vec![Header { dtype: 15, ..plain(&[4], &[0; 4]) }.bytes()]),
        ("dtype 255", vec![Header { dtype: 255, ..plain(&[4], &[0; 4]) }.bytes()]),
        ("flags", vec![Header { flags: 1, ..plain(&[4], &[0; 4]) }.bytes()]),
        ("65 dimensions", vec![plain(&[1; 65], &[0]).bytes()]),
        ("255 dimensions", vec![plain(&[1; 255], &[0]).bytes()]),
        ("more dimensions than lengths", vec![Header { ndim: 9, ..plain(&[4], &[0; 4]) }.bytes()]),
        ("too few elements", vec![plain(&[5], &[0; 4]).bytes()]),
        ("too many elements", vec![plain(&[3], &[0; 4]).bytes()]),
        ("a shape beyond memory", vec![plain(&[1 << 62], &[0; 4]).bytes()]),
        ("a shape that wraps to what is there", vec![plain(&[1 << 32, 1 << 32, 4], &[]).bytes()]),
        ("a shape that wraps to nothing", vec![Header::plain(FLOAT64, &[1 << 61], &[]).bytes()]),
        ("a shape of 2^64 - 1", vec![plain(&[u64::MAX], &[]).bytes()]),
        ("lengths that wrap behind an empty axis", vec![plain(&[0, 1 << 40, 1 << 40], &[]).bytes()]),
        ("a bool that is neither", vec![Header::plain(0, &[3], &[0, 1, 2]).bytes()]),
        ("a fill that is no bool", vec![Header::chunked(0, &[100], &[10], &[2], 0, 0).bytes()]),
        ("a fill of one byte for eight", vec![Header::chunked(FLOAT64, &[100], &[10], &[0], 0, 0).bytes()]),
        ("a fill of eight bytes for one", vec![Header::chunked(UINT8, &[100], &[10], &one, 0, 0).bytes()]),
        ("an unknown policy", vec![Header { policy: 99, ..grid(0, 0) }.bytes()]),
        ("a chunk length of nothing", vec![Header::chunked(UINT8, &[100], &[0], &[0], 0, 0).bytes()]),
        ("chunks of another rank", vec![Header::chunked(UINT8, &[100], &[10, 10], &[0], 0, 0).bytes()]),
        ("chunks beyond the largest", vec![Header::chunked(UINT8, &[1 << 40], &[1 << 40], &[0], 0, 0).bytes()]),
        ("2^60 chunks", vec![Header::chunked(UINT8, &[1 << 60], &[1], &[0], 0, 0).bytes()]),
        ("more stored chunks than chunks", vec![grid(11, 1).bytes(), part(&[(0, RAW, block)])]),
        ("fewer stored chunks than parts", vec![grid(0, 1).bytes(), part(&[(0, RAW, block)])]),
        ("4 billion parts", vec![grid(10, u32::MAX).bytes()]),
        ("parts that overflow", vec![Header { later: u32::MAX, ..grid(1, 1) }.bytes()]),
        ("fewer parts than said", vec![grid(2, 2).bytes(), part(&[(0, RAW, block)])]),
        ("a part without chunks", vec![grid(1, 1).bytes(), part(&[])]),
        ("4 billion chunks in a part", vec![grid(1, 1).bytes(), table(u32::MAX)]),
        ("a part that ends in its table", vec![grid(3, 1).bytes(), table(3)]),
        ("a part of nothing", vec![grid(1, 1).bytes(), vec![]]),
        ("a chunk outside", vec![grid(1, 1).bytes(), part(&[(10, RAW, block)])]),
        ("chunk 2^64 - 1", vec![grid(1, 1).bytes(), part(&[(u64::MAX, RAW, block)])]),
        ("a chunk twice", vec![grid(2, 1).bytes(), part(&[(1, RAW, block), (1, RAW, block)])]),
        ("chunks out of order", vec![grid(2, 1).bytes(), part(&[(2, RAW, block), (1, RAW, block)])]),
        (
            "chunks out of order over parts",
            vec![grid(2, 2).bytes(), part(&[(2, RAW, block)]), part(&[(1, RAW, block)])],
        ),
        ("an unknown encoding", vec![grid(1, 1).bytes(), part(&[(0, 9, block)])]),
        ("a raw chunk too short", vec![grid(1, 1).bytes(), part(&[(0, RAW, &block[..9])])]),
        ("a raw chunk too long", vec![grid(1, 1).bytes(), part(&[(0, RAW, &[3; 11])])]),
        ("a fill chunk of two bytes", vec![grid(1, 1).bytes(), part(&[(0, FILL, &[1, 2])])]),
        ("a fill chunk of nothing", vec![grid(1, 1).bytes(), part(&[(0, FILL, &[])])]),
        ("an encoded chunk longer than its elements", vec![grid(1, 1).bytes(), part(&[(0, LZ4, &[0; 4000])])]),
        ("bytes behind a part", vec![grid(1, 1).bytes(), [part(&[(0, RAW, block)]), vec![0]].concat()]),
        (
            "a bool chunk that is neither",
            vec![Header::chunked(0, &[100], &[10], &[0], 1, 1).bytes(), part(&[(0, RAW, &[7; 10])])],
        ),
        (
            "a bool fill chunk that is neither",
            vec![Header::chunked(0, &[100], &[10], &[0], 1, 1).bytes(), part(&[(0, FILL, &[7])])],
        ),
        (
            "a chunk of an array without any",
            vec![Header::chunked(UINT8, &[0], &[10], &[0], 1, 1).bytes(), part(&[(0, RAW, block)])],
        ),
        ("another flag", vec![Header { flags: 2, ..grid(0, 0) }.bytes()]),
        ("a flag without its number", vec![Header { flags: 1, ..grid(0, 0) }.bytes()]),
        ("no hidden rows", vec![grid(0, 0).hiding(0).bytes()]),
        ("a chunk of hidden rows", vec![grid(0, 0).hiding(10).bytes()]),
        ("2^64 - 1 hidden rows", vec![grid(0, 0).hiding(u64::MAX).bytes()]),
        ("hidden rows of nothing", vec![Header::chunked(UINT8, &[0], &[10], &[0], 0, 0).hiding(1).bytes()]),
        ("hidden rows of a scalar", vec![Header::chunked(UINT8, &[], &[], &[0], 0, 0).hiding(1).bytes()]),
        (
            "hidden rows beyond what can be addressed",
            vec![Header::chunked(UINT8, &[i64::MAX as u64], &[16 << 20], &[0], 0, 0).hiding(1).bytes()],
        ),
        ("a last chunk without the hidden rows", vec![grid(1, 1).hiding(3).bytes(), part(&[(10, RAW, &[3; 2])])]),
        ("an attribute twice", vec![plain(&[1], &[0]).with(b"a", b"1").with(b"a", b"2").bytes()]),
        ("an attribute that is no JSON", vec![plain(&[1], &[0]).with(b"a", b"{").bytes()]),
        ("an attribute that is not UTF-8", vec![plain(&[1], &[0]).with(b"a", b"\"\xff\"").bytes()]),
        ("deep JSON", vec![plain(&[1], &[0]).with(b"a", &deep).bytes()]),
        (
            "2 MB of attributes",
            vec![plain(&[1], &[0]).with(b"a", &[b"\"", &[b'x'; 2_000_000][..], b"\""].concat()).bytes()],
        ),
        ("4 billion attributes", vec![Header { count: u32::MAX, ..plain(&[1], &[0]).with(b"a", b"1") }.bytes()]),
        ("fewer attributes than there are", vec![Header { count: 0, ..plain(&[1], &[0]).with(b"a", b"1") }.bytes()]),
    ];
    let long_name = {
        let mut header = plain(&[1], &[0]).bytes();
        header.truncate(header.len() - 8 - 5);
        header.extend(1u32.to_le_bytes());
        header.extend(u32::MAX.to_le_bytes());
        sealed([header, vec![b'a'; 10]].concat())
    };
    lies.push(("an attribute name of 4 GB", vec![long_name]));
    lies
}

#[test]
fn lies_under_right_checksums_are_refused() {
    let server = Server::start();
    let mut client = server.client();
    cmd!(client, "ND.SET", "k", "uint8", "100", "BLOB", noise("uint8", 100, 1), "CHUNK", "10");
    let like = client.dump("k");
    let peak = memory_peak(&mut client);
    // What is written by hand as the module would is taken: the lies are refused for what is wrong in them.
    let block: &[u8] = &[3; 10];
    let honest =
        [Header::chunked(UINT8, &[100], &[10], &[0], 2, 2).bytes(), part(&[(0, RAW, block)]), part(&[(9, FILL, &[7])])];
    assert!(cmd!(client, "RESTORE", "honest", "0", payload(&honest, &like)).is_ok(), "{}", server.log_tail());
    assert_eq!(cmd!(client, "ND.SUM", "honest").int(), 100);
    assert!(cmd!(
        client,
        "RESTORE",
        "plain",
        "0",
        payload(&[Header::plain(UINT8, &[2], &[1, 2]).with(b"a", b"1").bytes()], &like)
    )
    .is_ok());
    let mut accepted = Vec::new();
    for (lie, strings) in lies() {
        let reply = cmd!(client, "RESTORE", "lie", "0", payload(&strings, &like));
        assert!(client.ping());
        if reply.error().is_none() {
            accepted.push(lie);
        }
        assert_eq!(client.ok(&["DEL", "lie"]).int(), i64::from(reply.error().is_none()), "{lie}");
        // And by commands, as an append-only file would bring them.
        let mut refused = false;
        for (i, string) in strings.iter().enumerate() {
            let kind = if i == 0 { "HEADER" } else { "CHUNKS" };
            refused |= cmd!(client, "ND.RESTOREPART", "lie", kind, string).error().is_some();
        }
        let whole = cmd!(client, "ND.SHAPE", "lie");
        let is_whole = whole.error().is_none() && whole != Value::Nil;
        assert!(refused || !is_whole, "{lie}: by ND.RESTOREPART");
        read_all(&mut client, "lie");
        client.ok(&["DEL", "lie"]);
    }
    assert_eq!(accepted, Vec::<&str>::new());
    assert_alive(&server, &mut client, peak);
}

#[test]
fn what_decodes_to_nothing_answers_errors_and_never_wrong_elements() {
    // Encoded bytes are decoded when they are read: garbage under a right checksum is stored, and says so then.
    let server = Server::with().config("loglevel", "warning").start();
    let mut client = server.client();
    cmd!(client, "ND.SET", "k", "uint8", "100", "BLOB", noise("uint8", 100, 1), "CHUNK", "10");
    let like = client.dump("k");
    let peak = memory_peak(&mut client);
    let mut random = Random(3);
    let mut corrupt = 0;
    for dtype in [0, UINT8, FLOAT64] {
        for i in 0..700 {
            let size = if dtype == FLOAT64 { 8 } else { 1 };
            let header = Header::chunked(dtype, &[4000], &[2000], &vec![0; size], 1, 1).bytes();
            let count = 1 + random.below(300);
            let garbage = random.bytes(count);
            let strings = [header, part(&[(i % 2, LZ4, &garbage)])];
            if cmd!(client, "RESTORE", "k", "0", payload(&strings, &like), "REPLACE").error().is_some() {
                continue;
            }
            let answer = cmd!(client, "ND.GET", "k", "BLOB");
            match answer.error() {
                Some(e) => {
                    assert!(e.starts_with("CORRUPT chunk"), "{e}");
                    corrupt += 1;
                    assert!(cmd!(client, "ND.VERIFY", "k").error().is_some_and(|e| e.starts_with("CORRUPT")));
                }
                None if dtype == 0 => assert!(answer.bytes().iter().all(|b| *b < 2), "a bool that is neither"),
                None => {}
            }
            read_all(&mut client, "k");
        }
    }
    assert!(corrupt > 1000, "{corrupt}");
    assert_alive(&server, &mut client, peak);
}

/// Sends commands that must be refused or leave a readable array.
fn send_all(client: &mut Client, key: &str, commands: &[Vec<Vec<u8>>]) -> usize {
    let mut stored = 0;
    for batch in commands.chunks(1000) {
        let replies = client.pipeline(batch);
        stored += replies.iter().filter(|r| r.error().is_none()).count();
        read_all(client, key);
        client.ok(&["DEL", key]);
    }
    stored
}

/// Every truncation and every flipped bit of `sample`, as the last argument behind `head`.
fn damaged(head: &[&str], sample: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let call = |bytes: Vec<u8>| [head.iter().map(|w| w.as_bytes().to_vec()).collect(), vec![bytes]].concat();
    let cuts = (0..sample.len()).map(|n| call(sample[..n].to_vec()));
    let flips = (0..sample.len() * 8).map(|bit| {
        let mut bytes = sample.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        call(bytes)
    });
    cuts.chain(flips).collect()
}

#[test]
fn set_lives_through_every_truncation_and_flipped_bit_of_every_format() {
    let server = Server::with().config("loglevel", "warning").start();
    let mut client = server.client();
    let peak = memory_peak(&mut client);
    let mut sent = 0;
    for (dtype, size) in [("float32", 4), ("int8", 1), ("complex128", 16), ("bool", 1)] {
        cmd!(client, "ND.SET", "sample", dtype, "2,3", "BLOB", vec![1; 6 * size]);
        for format in ["NPY", "ARROW", "JSON"] {
            let reply = cmd!(client, "ND.GET", "sample", format);
            let Value::Bulk(sample) = reply else { continue }; // what it cannot carry
            let commands = damaged(&["ND.SET", "k", format], &sample);
            sent += commands.len();
            send_all(&mut client, "k", &commands);
            let cuts = &commands[..sample.len()];
            // An Arrow message ends in padding that may be missing.
            let padding = if format == "ARROW" { (6 * size).next_multiple_of(64) - 6 * size } else { 0 };
            if format != "JSON" {
                let without_padding = &cuts[..sample.len() - padding];
                assert_eq!(send_all(&mut client, "k", without_padding), 0, "{dtype} {format}: a truncation was stored");
            }
        }
    }
    println!("{sent} commands");
    assert_alive(&server, &mut client, peak);
    assert_eq!(client.ok(&["DBSIZE"]).int(), 1);
}

#[test]
fn restorepart_lives_through_every_truncation_and_flipped_bit() {
    let server = Server::with().config("loglevel", "warning").append_only("no").start();
    let mut client = server.client();
    let peak = memory_peak(&mut client);
    cmd!(client, "ND.SET", "k", "int32", "90", "BLOB", noise("int32", 360, 1), "CHUNK", "40");
    cmd!(client, "ND.ATTRSET", "k", "unit", "\"m\"");
    server.rewrite_aof();
    let dir = std::fs::read_dir(server.dir().join("appendonlydir")).expect("the append-only directory");
    let base = dir.map(|f| f.expect("a file").path()).find(|p| p.to_string_lossy().contains(".base.")).expect("a base");
    let file = std::fs::read(base).expect("the base file");
    let mut reader = std::io::BufReader::new(&file[..]);
    let mut parts = Vec::new();
    while let Ok(command) = resp::decode(&mut reader) {
        if command.array()[0].text() == "ND.RESTOREPART" {
            parts.push(command.array()[3].bytes().to_vec());
        }
    }
    assert_eq!(parts.len(), 2);
    let digest = cmd!(client, "ND.DIGEST", "k");
    for command in damaged(&["ND.RESTOREPART", "k", "HEADER"], &parts[0]) {
        assert!(client.call(&command).error().is_some());
    }
    assert_eq!(cmd!(client, "ND.DIGEST", "k"), digest);
    assert!(cmd!(client, "ND.RESTOREPART", "new", "HEADER", &parts[0]).is_ok());
    for command in damaged(&["ND.RESTOREPART", "new", "CHUNKS"], &parts[1]) {
        assert!(client.call(&command).error().is_some_and(|e| e.starts_with("CORRUPT")));
    }
    assert!(cmd!(client, "ND.GET", "new").error().is_some_and(|e| e.starts_with("CORRUPT the array is incomplete")));
    assert!(cmd!(client, "ND.RESTOREPART", "new", "CHUNKS", &parts[1]).is_ok());
    assert_eq!(cmd!(client, "ND.DIGEST", "new"), digest);
    assert_alive(&server, &mut client, peak);
}

#[test]
fn a_damaged_rdb_file_is_refused_at_start_and_says_why() {
    let server = Server::start();
    let mut client = server.client();
    cmd!(client, "ND.SET", "k", "uint8", "100000", "BLOB", noise("uint8", 100_000, 1), "CODEC", "raw");
    client.ok(&["SAVE"]);
    let path = server.dir().join("dump.rdb");
    let mut file = std::fs::read(&path).expect("dump.rdb");
    let middle = file.len() / 2;
    file[middle] ^= 1;
    std::fs::write(&path, &file).expect("write dump.rdb");
    let log = Server::with().config("rdbchecksum", "no").file("dump.rdb", &path).try_start().err().expect("refused");
    assert!(log.contains("an array was not loaded: CORRUPT chunk"), "{log}");
}
