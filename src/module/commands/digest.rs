//! `ND.DIGEST key` and `ND.VERIFY key`

use crate::module::args::{Args, Key};
use crate::module::cost::{Cost, Work};
use crate::module::db::Db;
use crate::module::error::Result;
use crate::module::options::digest_of;
use crate::module::register::Command;
use crate::module::spec::{key, Access, Keys, Spec};

/// `ND.DIGEST`
pub struct Digest;

impl Command for Digest {
    const SPEC: Spec = Spec {
        name: "ND.DIGEST",
        flags: "readonly",
        since: "0.1.0",
        summary: "Returns a digest of an array's dtype, shape and elements.",
        complexity: "O(N) where N is the number of bytes; O(1) for an array above `ndarray.inline-bytes` until its next write",
        keys: Keys::One(Access::Read),
        args: &[key("key")],
        reply: "16 hex digits; nil where the key is missing.",
        notes: &[
            "XXH3-64 over the dtype's name, a zero byte, the rank as one byte, each length as eight little-endian bytes, and \
             the little-endian elements in C order: the same whatever the codec or the chunks. Attributes do not count.",
        ],
    };

    type Call<'a> = Key<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Key<'a>> {
        args.next("a key")
    }

    fn run(key: Key<'_>, db: &Db<'_>) -> Result<()> {
        let Some(array) = db.read(key)? else { return db.nil() };
        let cost = match array.known_digest() {
            Some(_) => Cost::LEAST,
            None => Cost::LEAST.reading(array.effort()).and(Work::Hash, array.nbytes()),
        };
        db.finish(cost, move |reply| {
            reply.bulk(format!("{:016x}", digest_of(&array)?).as_bytes());
            Ok(())
        })
    }
}

/// `ND.VERIFY`
pub struct Verify;

impl Command for Verify {
    const SPEC: Spec = Spec {
        name: "ND.VERIFY",
        flags: "readonly",
        since: "0.1.0",
        summary: "Recomputes the checksum of every chunk of an array.",
        complexity: "O(N) where N is the number of stored bytes",
        keys: Keys::One(Access::Read),
        args: &[key("key")],
        reply: "`OK`; a `CORRUPT` error naming the chunk; nil where the key is missing.",
        notes: &["Encoded chunks are decoded too. Small arrays have no chunks and no checksum: they are always `OK`. A raw chunk \
                  that was set or changed is given its checksum when it is next saved or verified."],
    };

    type Call<'a> = Key<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Key<'a>> {
        args.next("a key")
    }

    fn run(key: Key<'_>, db: &Db<'_>) -> Result<()> {
        let Some(array) = db.read(key)? else { return db.nil() };
        let cost = Cost::LEAST.reading(array.effort()).and(Work::Hash, array.stored_bytes());
        db.finish(cost, move |reply| {
            array.verify()?;
            reply.ok();
            Ok(())
        })
    }
}
