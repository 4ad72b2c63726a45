//! `ND.SET key <array argument> [NX|XX] [EX s|PX ms|EXAT ts|PXAT ts|KEEPTTL] [CODEC c] [CHUNK shape] [IFDEQ d|IFDNE d]`

use crate::module::args::{Args, Key};
use crate::module::db::{Db, Expiry, Slot};
use crate::module::error::Result;
use crate::module::held::Strings;
use crate::module::input;
use crate::module::options::SetOptions;
use crate::module::register::Command;
use crate::module::spec::{key, Access, Keys, Spec, ARRAY, CHUNK, CODEC, DIGEST_CONDITION, EXISTENCE, EXPIRY};
use crate::nd::array::StoreOptions;
use crate::nd::format::Dense;

/// See the module comment.
pub struct Set;

/// A parsed call.
pub struct Call<'a> {
    key: Key<'a>,
    dense: Dense<'a>,
    options: SetOptions,
}

/// Every option of `ND.SET`.
pub const OPTIONS: &[&str] = &["NX", "XX", "EX", "PX", "EXAT", "PXAT", "KEEPTTL", "CODEC", "CHUNK", "IFDEQ", "IFDNE"];

impl Command for Set {
    const SPEC: Spec = Spec {
        name: "ND.SET",
        flags: "write deny-oom",
        since: "0.1.0",
        summary: "Sets a key to an array, whatever it held before.",
        complexity: "O(N) where N is the number of bytes",
        keys: Keys::One(Access::Overwrite),
        args: &[key("key"), ARRAY, EXISTENCE, EXPIRY, CODEC, CHUNK, DIGEST_CONDITION],
        reply: "`OK`; nil when a condition did not hold.",
        notes: &[
            "As with `SET`, a value of any other type is replaced, and an expiry goes unless `KEEPTTL` is given. \
             Attributes of an array that was there go too.",
            "`NX` and `XX` ask whether the key exists, whatever its type; `IFDEQ` and `IFDNE` compare the digest of the \
             array that is there. A missing key equals no digest and differs from every one.",
            "`CODEC` takes levels: `zstd:1` to `zstd:19` (`zstd` is 3), `pco:0` to `pco:12` (`pco` is 8). Codecs other than `raw` \
             and `auto` encode a chunk wherever it gets smaller at all, with the filter that suits; `auto` follows \
             `ndarray.compression`. docs/CODECS.md has the numbers.",
            "Arrays of at most `ndarray.inline-bytes` are kept as one plain buffer, unless `CHUNK` or a `CODEC` other than \
             `auto` is given. `EX` and `PX` are replicated as `PXAT`.",
        ],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        let key = args.next("a key")?;
        let dense = input::array(args)?;
        Ok(Call { key, dense, options: SetOptions::parse(args, OPTIONS)? })
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        let Call { key, dense, options } = call;
        let mut slot = db.write(key);
        if !options.allows(&slot)? {
            db.reply().null();
            return Ok(());
        }
        let store = options.store();
        let expiry = options.expiry(db);
        put(&mut slot, &dense, &db.strings(), &store, expiry)?;
        drop(slot);
        options.commit(db, expiry, c"ND.SET", c"nd.set", &[key]);
        db.reply().ok();
        Ok(())
    }
}

/// Puts an array into a key: over the old one where it fits and nobody shares it, else as a new value.
///
/// # Errors
/// `SHAPE` or `LIMIT` for a chunk shape that does not fit, `OOM`; then the key is as it was.
pub fn put(
    slot: &mut Slot<'_>,
    dense: &Dense<'_>,
    strings: &Strings<'_>,
    store: &StoreOptions,
    expiry: Expiry,
) -> Result<()> {
    let reused = slot.in_place(|array| {
        input::with_source(&dense.elements, strings, |source| array.overwrite(dense.dtype, &dense.shape, source, store))
    });
    match reused {
        Some(true) => {
            input::space_out(&dense.elements, strings);
            slot.expire(expiry);
        }
        _ => slot.set(input::build(dense, strings, store)?, expiry),
    }
    Ok(())
}
