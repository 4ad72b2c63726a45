//! `ND.MSET n key [key ...] <array argument> [<array argument> ...] [NX] [EX s|PX ms|EXAT ts|PXAT ts]`

use crate::module::args::{Args, Key};
use crate::module::db::Db;
use crate::module::error::Result;
use crate::module::input;
use crate::module::options::SetOptions;
use crate::module::register::Command;
use crate::module::spec::{integer, key, one_of, unix_time, word, Access, ArgSpec, Keys, Spec, ARRAY};
use crate::nd::format::Dense;

/// See the module comment.
pub struct Mset;

/// A parsed call.
pub struct Call<'a> {
    keys: Vec<Key<'a>>,
    arrays: Vec<Dense<'a>>,
    options: SetOptions,
}

/// No `KEEPTTL`: the keys may differ in what there is to keep. `PXAT` is how `EX` and `PX` are replicated.
const EXPIRATION: ArgSpec = one_of(
    "expiration",
    &[
        integer("seconds").after("EX"),
        integer("milliseconds").after("PX"),
        unix_time("unix-time-seconds").after("EXAT"),
        unix_time("unix-time-milliseconds").after("PXAT"),
    ],
)
.optional();

impl Command for Mset {
    const SPEC: Spec = Spec {
        name: "ND.MSET",
        flags: "write deny-oom",
        since: "0.1.0",
        summary: "Sets several keys to arrays, all or none.",
        complexity: "O(N) where N is the number of bytes of all arrays",
        keys: Keys::Counted(Access::Overwrite),
        args: &[
            integer("numkeys"),
            key("key").multiple(),
            ARRAY.multiple(),
            word("nx", "NX").optional(),
            EXPIRATION,
        ],
        reply: "`OK`; nil where `NX` was given and one of the keys exists.",
        notes: &[
            "The keys come first, then as many arrays. Where a key is named twice, its last array stays, as with `MSET`.",
            "`EX` and `PX` are replicated as `PXAT`.",
        ],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        let n = args.count("the number of keys")?;
        let keys = args.keys(n)?;
        let mut arrays = Vec::with_capacity(n); // no more than there are arguments
        for key in &keys {
            arrays.push(input::array(args).map_err(|refusal| refusal.of_array(key.bytes()))?);
        }
        Ok(Call { keys, arrays, options: SetOptions::parse(args, &["NX", "EX", "PX", "EXAT", "PXAT"])? })
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        let Call { keys, arrays, options } = call;
        if options.has_condition() {
            for key in &keys {
                if !options.allows(&db.write(*key))? {
                    db.reply().null();
                    return Ok(());
                }
            }
        }
        let store = options.store();
        let strings = db.strings();
        let expiry = options.expiry(db);
        // Small values go over the old ones where they fit; what needs much memory, and so can fail, is made before any key
        // is set.
        let is_small = |dense: &Dense<'_>| dense.elements.len() <= store.inline_bytes;
        let mut large = Vec::new();
        for dense in arrays.iter().filter(|d| !is_small(d)) {
            large.push(input::build(dense, &strings, &store)?);
        }
        let mut large = large.into_iter();
        for (key, dense) in keys.iter().zip(&arrays) {
            let mut slot = db.write(*key);
            match if is_small(dense) { None } else { large.next() } {
                Some(array) => slot.set(array, expiry),
                None => super::set::put(&mut slot, dense, &strings, &store, expiry)?,
            }
        }
        options.commit(db, expiry, c"ND.MSET", c"nd.set", &keys);
        db.reply().ok();
        Ok(())
    }
}
