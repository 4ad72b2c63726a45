//! `ND.SETSLICE key index (<array argument> | SCALAR v) [IFDEQ digest]`

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::db::Db;
use crate::module::error::{Refusal, Result};
use crate::module::options::IfDigest;
use crate::module::register::Command;
use crate::module::spec::{key, string, Access, Keys, Spec, ARRAY_OR_SCALAR, IF_DIGEST};
use crate::module::values::{Given, Target};
use crate::nd::array::check_broadcast;
use crate::nd::dtype::Dtype;
use crate::nd::error::quoted;
use crate::nd::kernels::promote::{check_cast, Casting};
use crate::nd::shape::Shape;

/// See the module comment.
pub struct SetSlice;

/// A parsed call.
pub struct Call<'a> {
    key: Key<'a>,
    index: Target,
    given: Given<'a>,
    condition: IfDigest,
}

impl Command for SetSlice {
    const SPEC: Spec = Spec {
        name: "ND.SETSLICE",
        flags: "write deny-oom",
        since: "0.1.0",
        summary: "Writes elements over the part of an array that a NumPy subscript selects.",
        complexity: "O(N) where N is the number of bytes of the chunks that the selection touches",
        keys: Keys::OneAndSource { access: Access::Update, at: 3 },
        args: &[key("key"), string("index"), ARRAY_OR_SCALAR, IF_DIGEST],
        reply: "The number of elements written; nil when the digest was another. A missing key is an error.",
        notes: &[
            "As `a[index] = value` in NumPy: the value broadcasts, and of repeated positions the last wins. Casts are those of \
             `same_kind`: float64 to float32 is done, float64 to int64 refused.",
            "`SCALAR` is a number as Python writes it. It takes the array's dtype; an integer that does not fit is refused. \
             `KEY` copies what another key holds, or the key itself as it was before (`ND.SETSLICE a ::-1 KEY a` turns it round).",
            "Only chunks that the selection touches are worked on. Raw ones are changed where they lie, encoded ones are encoded \
             anew, and one constant over a whole chunk takes no bytes. A snapshot that a save or a reader holds keeps its bits.",
        ],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        let key = args.next("a key")?;
        let index = Target::parse(args)?;
        Ok(Call { key, index, given: Given::any(args)?, condition: IfDigest::take(args)? })
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        let mut slot = db.write(call.key);
        let array = slot.array()?.ok_or_else(|| Refusal::NoKey { key: quoted(call.key.bytes()) })?;
        if !call.condition.holds(Some(array))? {
            db.reply().null();
            return Ok(());
        }
        let (dtype, selection) = (array.dtype(), call.index.resolve(array)?);
        let check = |dense: Dtype, shape: &Shape| {
            check_cast(dense, dtype, Casting::SameKind)?;
            check_broadcast(shape, &selection)
        };
        let values = call.given.load(db, dtype, check)?.cast(dtype)?;
        let limit = config::MAX_ARRAY_BYTES.get();
        let written = slot.try_change(|array| array.write(&selection, values.bytes(), &values.shape, limit));
        let written = written.map(|done| done.map_err(|error| config::MAX_ARRAY_BYTES.named(error)));
        let written = written.unwrap_or(Ok(0))?;
        drop(slot);
        if written > 0 {
            db.commit(c"nd.setslice", &[call.key]);
        }
        db.reply().size(written);
        Ok(())
    }
}
