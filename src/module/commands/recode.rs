//! `ND.RECODE key [CODEC c] [CHUNK shape] [DRYRUN]`

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::cost::{Cost, Work};
use crate::module::db::{Db, Expiry};
use crate::module::error::{Refusal, Result};
use crate::module::options::SetOptions;
use crate::module::register::Command;
use crate::module::reply::Reply;
use crate::module::spec::{key, word, Access, Keys, Spec, CHUNK, CODEC};
use crate::nd::array::Array;
use crate::nd::error::quoted;
use crate::nd::scalar::Scalar;

/// See the module comment.
pub struct Recode;

/// A parsed call.
pub struct Call<'a> {
    key: Key<'a>,
    options: SetOptions,
    dry: bool,
}

impl Command for Recode {
    const SPEC: Spec = Spec {
        name: "ND.RECODE",
        flags: "write deny-oom",
        since: "0.1.0",
        summary: "Stores an array anew, under another codec or in other chunks, or says what that would save.",
        complexity: "O(N) where N is the number of bytes of the stored elements",
        keys: Keys::One(Access::Update),
        args: &[key("key"), CODEC, CHUNK, word("dryrun", "DRYRUN").optional()],
        reply: "A map: stored_bytes (as it was), recoded_bytes (as it is then), ratio (nbytes to recoded_bytes), codec and \
                chunk_shape (as they are then). A missing key is an error.",
        notes: &[
            "Elements, digest, attributes and expiry stay. `DRYRUN` does the work and throws it away. Without `CODEC` the \
             server's settings hold, as for `ND.SET`; without `CHUNK` chunks keep their shape, unless it is the one that the server \
             chose: then it chooses again. Raw chunks as long as the `PIECES` that the array came in keep theirs; `CHUNK AUTO` has the \
             server choose.",
            "Chunks that hold only the fill value are not looked at. Replicated as it came: a replica whose settings differ may \
             store the same elements otherwise.",
        ],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        let key = args.next("a key")?;
        let mut dry = false;
        let options = SetOptions::parse_with(args, &["CODEC", "CHUNK"], "DRYRUN", |args| {
            let given = !dry && args.word("DRYRUN");
            dry |= given;
            Ok(given)
        })?;
        Ok(Call { key, options, dry })
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        let Call { key, options, dry } = call;
        let (store, limit) = (options.store(), config::MAX_ARRAY_BYTES.get());
        let named = |error| config::MAX_ARRAY_BYTES.named(error);
        let missing = || Refusal::NoKey { key: quoted(key.bytes()) };
        if dry {
            let array = db.read(key)?.ok_or_else(missing)?;
            let cost = Cost::LEAST.reading(array.effort()).and(Work::Encode, array.nbytes());
            return db.finish(cost, move |reply| {
                report(&array, &array.recoded(&store, limit).map_err(named)?, reply);
                Ok(())
            });
        }
        let mut slot = db.write(key);
        let array = slot.array()?.ok_or_else(missing)?;
        let new = array.recoded(&store, limit).map_err(named)?;
        report(array, &new, db.reply());
        slot.set(new, Expiry::Keep);
        drop(slot);
        db.commit(c"nd.recode", &[key]);
        Ok(())
    }
}

/// What storing the array anew saves.
fn report(old: &Array, new: &Array, reply: &Reply) {
    let (after, nbytes) = (new.stored_bytes(), new.nbytes());
    let name = |name: &str| reply.bulk(name.as_bytes());
    reply.map(5);
    name("stored_bytes");
    reply.size(old.stored_bytes());
    name("recoded_bytes");
    reply.size(after);
    name("ratio");
    let ratio = if nbytes == 0 { 1.0 } else { nbytes as f64 / after as f64 };
    reply.scalar(&Scalar::of((ratio * 1000.0).round() / 1000.0));
    name("codec");
    reply.bulk(new.codec_names().join(",").as_bytes());
    name("chunk_shape");
    reply.shape(&new.grid().map_or_else(|| new.shape(), |g| g.chunk_shape().clone()));
}
