//! Arrays of every dtype and every kind of storage, and all that a client can see of them.
//!
//! [`fill`] puts them into a server, [`contents`] asks a server for everything it knows of them: what goes through a
//! file, a socket or a copy is right when the two answers are equal.

use std::collections::BTreeMap;

use super::{Client, Value};
use crate::cmd;

/// The dtypes and their item sizes.
pub const DTYPES: [(&str, usize); 15] = [
    ("bool", 1),
    ("int8", 1),
    ("int16", 2),
    ("int32", 4),
    ("int64", 8),
    ("uint8", 1),
    ("uint16", 2),
    ("uint32", 4),
    ("uint64", 8),
    ("float16", 2),
    ("bfloat16", 2),
    ("float32", 4),
    ("float64", 8),
    ("complex64", 8),
    ("complex128", 16),
];

/// Numbers that look random and are the same in every run (SplitMix64, Steele and others 2014).
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize // below a usize
    }

    /// `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..n.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(n);
        bytes
    }
}

/// Elements that no codec makes smaller; bools are 0 and 1.
pub fn noise(dtype: &str, nbytes: usize, seed: u64) -> Vec<u8> {
    let mut bytes = Random(seed).bytes(nbytes);
    if dtype == "bool" {
        bytes.iter_mut().for_each(|b| *b &= 1);
    }
    bytes
}

/// Elements that a codec makes much smaller, though no two chunks are alike; bools are 0 and 1.
pub fn steps(dtype: &str, itemsize: usize, count: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|i| {
            let mut item = [0; 16];
            match dtype {
                "bool" => item[0] = u8::from(i % 64 == 3),
                "int8" | "uint8" => item[0] = (i / 64 % 100) as u8, // below 100
                _ => item[..2].copy_from_slice(&((i / 16 % 30_000) as u16).to_le_bytes()),
            }
            item[..itemsize].to_vec()
        })
        .collect()
}

/// One command, its arguments of any kind.
#[macro_export]
macro_rules! words {
    ($($arg:expr),+ $(,)?) => {
        ::std::vec::Vec::from([$(::std::convert::AsRef::<[u8]>::as_ref(&$arg).to_vec()),+])
    };
}

/// The commands that make arrays of every dtype and storage.
pub fn commands() -> Vec<Vec<Vec<u8>>> {
    let mut list = Vec::new();
    for (i, (dtype, size)) in DTYPES.iter().enumerate() {
        let seed = i as u64;
        let key = |kind: &str| format!("{dtype}:{kind}");
        list.push(words!["ND.SET", key("plain"), dtype, "3,4", "BLOB", noise(dtype, 12 * size, seed)]);
        list.push(words!["ND.SET", key("scalar"), dtype, "()", "BLOB", noise(dtype, *size, seed)]);
        list.push(words!["ND.SET", key("empty"), dtype, "3,0,2", "BLOB", ""]);
        let raw = noise(dtype, 20_000 * size, seed);
        list.push(words!["ND.SET", key("raw"), dtype, "200,100", "BLOB", raw, "CODEC", "raw"]);
        let easy = steps(dtype, *size, 70_000);
        list.push(words!["ND.SET", key("lz4"), dtype, "70000", "BLOB", easy, "CODEC", "lz4"]);
        // noise, runs and zeros: each chunk as it likes best
        let mixed = [noise(dtype, 24_000 * size, seed), vec![0; 96_000 * size], steps(dtype, *size, 60_000)].concat();
        list.push(words!["ND.SET", key("auto"), dtype, "180,1000", "BLOB", mixed]);
        let grid = noise(dtype, 110 * 130 * size, seed + 1);
        list.push(words!["ND.SET", key("grid"), dtype, "110,130", "BLOB", grid, "CHUNK", "40,33"]);
        let block = steps(dtype, *size, 30 * 31 * 32);
        list.push(words!["ND.SET", key("cube"), dtype, "30,31,32", "BLOB", block, "CHUNK", "16,16,16", "CODEC", "lz4"]);
        list.push(words!["ND.SET", key("same"), dtype, "300,1000", "BLOB", vec![1; 300_000 * size]]);
    }
    list.push(words!["ND.SET", "rank64", "int16", vec!["1"; 63].join(",") + ",3", "VALUES", "1", "2", "3"]);
    list.push(words!["ND.SET", "empty-grid", "float32", "0,50", "BLOB", "", "CHUNK", "1,10"]);
    list.push(words!["ND.SET", "ttl", "float32", "2", "VALUES", "1.5", "nan", "EX", "5000"]);
    list.push(words!["ND.SET", "ttl-ms", "int64", "2000", "BLOB", steps("int64", 8, 2000), "PX", "7000123"]);
    list.push(words!["ND.SET", "attributes", "float64", "2", "VALUES", "1", "2"]);
    list.push(words!["ND.ATTRSET", "attributes", "unit", "\"m\"", "by", "{\"a\": [1, 2, null]}", "\u{fc}", "1e30"]);
    list.push(words!["ND.ATTRSET", "float32:lz4", "big", format!("\"{}\"", "x".repeat(9000))]);
    list.push(words!["ND.ATTRSET", "bool:empty", "why", "true"]);
    list.push(words!["ND.CREATE", "created", "float64", "500,300", "FILL", "2.5"]);
    list.push(words!["ND.CREATE", "huge", "float64", "2000000,3000000", "FILL", "-1"]);
    list.push(words!["ND.CREATE", "random", "float32", "90,1000", "RANDOM", "NORMAL", "0", "1", "CHUNK", "40,70"]);
    list.push(words!["ND.CREATE", "eye", "int8", "300,400", "EYE", "1", "PX", "8000000"]);
    list.push(words!["ND.SET", "", "uint8", "1", "VALUES", "7"]);
    list.push(words!["ND.SET", [0u8, 255, b'\n'], "uint8", "1", "VALUES", "8"]);
    list
}

/// Runs [`commands`].
///
/// # Panics
/// When one is refused.
pub fn fill(client: &mut Client) {
    let commands = commands();
    for (command, reply) in commands.iter().zip(client.pipeline(&commands)) {
        assert!(reply.error().is_none(), "{} answers {}", String::from_utf8_lossy(&command[1]), reply.show());
    }
}

/// All that a client can see of one key.
pub fn look(client: &mut Client, key: &[u8]) -> Vec<String> {
    let mut seen = Vec::new();
    for command in ["ND.INFO", "ND.DIGEST", "ND.VERIFY", "ND.ATTRGET", "PEXPIRETIME"] {
        seen.push(format!("{command}: {}", cmd!(client, command, key).show()));
    }
    seen.push(format!("DIGEST-VALUE: {}", cmd!(client, "DEBUG", "DIGEST-VALUE", key).show()));
    seen.push(format!("elements: {:016x}", fingerprint(&cmd!(client, "ND.GET", key, "BLOB"))));
    seen
}

/// A number that differs where replies do: elements need not be kept to be compared.
fn fingerprint(reply: &Value) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    match reply {
        Value::Bulk(bytes) => bytes.hash(&mut hasher),
        other => other.show().hash(&mut hasher),
    }
    hasher.finish()
}

/// The names of all keys, sorted.
pub fn keys(client: &mut Client) -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = client.ok(&["KEYS", "*"]).array().iter().map(|k| k.bytes().to_vec()).collect();
    keys.sort();
    keys
}

/// All that a client can see of every key.
pub fn contents(client: &mut Client) -> BTreeMap<Vec<u8>, Vec<String>> {
    keys(client).into_iter().map(|key| (key.clone(), look(client, &key))).collect()
}

/// Panics naming the first difference, when there is one.
#[track_caller]
pub fn assert_same(found: &BTreeMap<Vec<u8>, Vec<String>>, want: &BTreeMap<Vec<u8>, Vec<String>>, when: &str) {
    assert!(!want.is_empty(), "{when}: nothing to compare");
    assert_eq!(found.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "{when}: the keys");
    for (key, seen) in want {
        for (have, want) in found[key].iter().zip(seen) {
            assert_eq!(have, want, "{when}: key {:?}", String::from_utf8_lossy(key));
        }
    }
}
