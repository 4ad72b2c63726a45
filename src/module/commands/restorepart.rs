//! `ND.RESTOREPART key HEADER|CHUNKS bytes`: an array from an append-only file, string by string.
//!
//! The rewrite of an append-only file writes large arrays in the strings of their stored form, so that none comes near
//! the server's limit for one argument and nothing is encoded anew. The header says how many parts follow: until the
//! last has arrived, the key answers every read with an error, so a file that ends in the middle cannot pass for whole.

use crate::module::args::{Args, Key};
use crate::module::db::{Db, Expiry};
use crate::module::error::{Refusal, Result};
use crate::module::register::Command;
use crate::module::spec::{key, one_of, string, word, Access, Keys, Spec};
use crate::nd::error::{quoted, Error};
use crate::nd::format::rdb;

/// See the module comment.
pub struct RestorePart;

/// A parsed call.
pub struct Call<'a> {
    key: Key<'a>,
    is_header: bool,
    bytes: &'a [u8],
}

impl Command for RestorePart {
    const SPEC: Spec = Spec {
        name: "ND.RESTOREPART",
        flags: "write deny-oom",
        since: "0.1.0",
        summary: "Restores one part of an array; written by the server into append-only files.",
        complexity: "O(N) where N is the number of bytes",
        keys: Keys::One(Access::Update),
        args: &[key("key"), one_of("part", &[word("header", "HEADER"), word("chunks", "CHUNKS")]), string("bytes")],
        reply: "`OK`.",
        notes: &[
            "Not meant for clients. `HEADER` replaces the key; each `CHUNKS` adds the next chunks. Until the last part has \
             arrived, reads of the key answer `CORRUPT`. docs/FORMAT.md describes the bytes.",
        ],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        let key = args.next("a key")?;
        let is_header = match args.bytes("HEADER or CHUNKS")? {
            w if w.eq_ignore_ascii_case(b"HEADER") => true,
            w if w.eq_ignore_ascii_case(b"CHUNKS") => false,
            other => return Err(Error::syntax(format!("'{}' is no part (use HEADER or CHUNKS)", quoted(other))).into()),
        };
        Ok(Call { key, is_header, bytes: args.bytes("the part's bytes")? })
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        let mut slot = db.write(call.key);
        if call.is_header {
            slot.set(rdb::read_header(call.bytes)?.array, Expiry::Never);
        } else {
            slot.unfinished()?.ok_or_else(|| Refusal::NoKey { key: quoted(call.key.bytes()) })?;
            slot.change(|array| rdb::read_part(array, call.bytes)).transpose()?;
        }
        drop(slot);
        db.commit(c"nd.restorepart", &[call.key]);
        db.reply().ok();
        Ok(())
    }
}
