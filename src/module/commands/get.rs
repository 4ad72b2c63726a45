//! `ND.GET key [DTYPE dt] [IFDNE digest] [format]`

use triomphe::Arc;

use crate::module::args::{Args, Key};
use crate::module::cost::{Cost, Work};
use crate::module::db::Db;
use crate::module::error::Result;
use crate::module::options;
use crate::module::output::{self, Content, Format};
use crate::module::register::Command;
use crate::module::spec::{key, string, Access, Keys, Spec, FORMAT};
use crate::nd::dtype::Dtype;

/// See the module comment.
pub struct Get;

/// A parsed call.
pub struct Call<'a> {
    key: Key<'a>,
    dtype: Option<Dtype>,
    known: Option<u64>,
    format: Format,
}

impl Command for Get {
    const SPEC: Spec = Spec {
        name: "ND.GET",
        flags: "readonly",
        since: "0.1.0",
        summary: "Returns an array.",
        complexity: "O(N) where N is the number of bytes",
        keys: Keys::One(Access::Read),
        args: &[key("key"), string("dtype").after("DTYPE").optional(), string("digest").after("IFDNE").optional(), FORMAT],
        reply: "The array in the format asked for; nil where the key is missing; `NOTMODIFIED` where its digest is the one given.",
        notes: &[
            "`DTYPE` casts as NumPy's `astype` does: floats to integers truncate, integers wrap, complex numbers lose their \
             imaginary part. See docs/NUMPY.md for casts that NumPy leaves undefined.",
        ],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        let key = args.next("a key")?;
        let (mut dtype, mut known) = (None, None);
        loop {
            if let Some(format) = Format::take(args) {
                return Ok(Call { key, dtype, known, format });
            } else if dtype.is_none() && args.word("DTYPE") {
                dtype = Some(args.dtype()?.0);
            } else if known.is_none() && args.word("IFDNE") {
                known = Some(options::digest(args)?);
            } else {
                return Ok(Call { key, dtype, known, format: Format::Triple });
            }
        }
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        let Call { key, dtype, known, format } = call;
        let as_it_is = dtype.is_none() && known.is_none();
        let array = db.look(key, |array| {
            let Some(array) = array else {
                db.reply().null();
                return Ok(None);
            };
            let answered = as_it_is && output::reply_small(array, format, db.reply());
            Ok((!answered).then(|| Arc::clone(array)))
        })?;
        let Some(array) = array else { return Ok(()) };
        let effort = array.effort();
        let mut cost = format.cost(Cost::LEAST, effort, array.dtype().itemsize());
        if known.is_some() && array.known_digest().is_none() {
            cost = cost.reading(effort).and(Work::Hash, effort.bytes);
        }
        if dtype.is_some() {
            cost = cost.reading(effort).and(Work::Compute, effort.bytes);
        }
        db.finish(cost, move |reply| {
            if let Some(known) = known {
                if options::digest_of(&array)? == known {
                    reply.simple(c"NOTMODIFIED");
                    return Ok(());
                }
            }
            match dtype {
                None => output::reply_array(&array, format, reply),
                Some(dtype) => Content::whole(&array).cast(dtype)?.reply(format, reply),
            }
        })
    }
}
