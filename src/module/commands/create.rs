//! `ND.CREATE key <dtype> <shape> [FILL v | ARANGE start step | LINSPACE start stop | EYE k | RANDOM ...] [ND.SET's options]`

use crate::module::args::{Args, Key};
use crate::module::db::Db;
use crate::module::error::Result;
use crate::module::input;
use crate::module::options::SetOptions;
use crate::module::register::Command;
use crate::module::spec::{
    block, double, integer, key, one_of, string, Access, ArgSpec, Keys, Spec, CHUNK, CODEC, DIGEST_CONDITION,
    EXISTENCE, EXPIRY,
};
use crate::nd::array::{Array, StoreOptions};
use crate::nd::dtype::Dtype;
use crate::nd::error::{quoted, Error};
use crate::nd::kernels::generate::{Generator, Recipe};
use crate::nd::memory::{self, Buffer};
use crate::nd::scalar::{Number, Scalar};
use crate::nd::shape::Shape;
use crate::nd::source::Source;

/// See the module comment.
pub struct Create;

/// A parsed call.
pub struct Call<'a> {
    key: Key<'a>,
    dtype: Dtype,
    shape: Shape,
    content: Content,
    options: SetOptions,
}

/// What the elements are to be.
enum Content {
    /// One value everywhere.
    Fill(Scalar),
    /// Made by a generator.
    Made(Recipe),
    /// Random, with a seed still to be drawn: the recipe for a seed, and where `SEED` would stand in the call.
    Unseeded(fn(Number, Number, u64) -> Recipe, Number, Number, usize),
}

const CONTENT: ArgSpec = one_of(
    "content",
    &[
        string("value").after("FILL"),
        block("range", &[double("start").after("ARANGE"), double("step")]),
        block("span", &[double("start").after("LINSPACE"), double("stop")]),
        integer("diagonal").after("EYE"),
        block(
            "random",
            &[
                one_of(
                    "distribution",
                    &[
                        block("uniform", &[double("low").after("UNIFORM"), double("high")]),
                        block("normal", &[double("mean").after("NORMAL"), double("sd")]),
                        block("integers", &[integer("low").after("INTEGERS"), integer("high")]),
                    ],
                ),
                integer("seed").after("SEED").optional(),
            ],
        )
        .after("RANDOM"),
    ],
)
.optional();

impl Command for Create {
    const SPEC: Spec = Spec {
        name: "ND.CREATE",
        flags: "write deny-oom",
        since: "0.1.0",
        summary: "Sets a key to an array that the server makes: one value, a range, an identity matrix, random numbers.",
        complexity: "O(N) where N is the number of elements; O(1) with FILL above `ndarray.inline-bytes`",
        keys: Keys::One(Access::Overwrite),
        args: &[
            key("key"),
            string("dtype"),
            string("shape"),
            CONTENT,
            EXISTENCE,
            EXPIRY,
            CODEC,
            CHUNK,
            DIGEST_CONDITION,
        ],
        reply: "`OK`; nil when a condition did not hold.",
        notes: &[
            "`FILL` (default 0) stores no elements until they are written. The others are NumPy's `arange`, `linspace` (over \
             all elements, both ends included), `eye`, and `numpy.random.default_rng(seed)`'s `uniform`, `normal` and \
             `integers` (`high` excluded), bit for bit.",
            "Without `SEED` one is drawn, and replicated with the call: a replica makes the same numbers.",
        ],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        let key = args.next("a key")?;
        let (dtype, _) = args.dtype()?;
        let shape = args.shape()?;
        let mut found = None;
        let options = SetOptions::parse_with(args, super::set::OPTIONS, CONTENTS, |args| {
            if found.is_none() {
                found = content(args, dtype)?;
                return Ok(found.is_some());
            }
            Ok(false)
        })?;
        let content = found.unwrap_or_else(|| Content::Fill(Scalar::zero(dtype)));
        Ok(Call { key, dtype, shape, content, options })
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        let Call { key, dtype, shape, content, options } = call;
        let mut slot = db.write(key);
        if !options.allows(&slot)? {
            db.reply().null();
            return Ok(());
        }
        let store = options.store();
        let mut drawn = None;
        let array = match content {
            Content::Fill(value) => Array::filled(&shape, value, &store)?,
            Content::Made(recipe) => make(&recipe, dtype, &shape, &store)?,
            Content::Unseeded(recipe, a, b, at) => {
                let seed = db.random();
                drawn = Some((seed, at));
                make(&recipe(a, b, seed), dtype, &shape, &store)?
            }
        };
        let expiry = options.expiry(db);
        slot.set(array, expiry);
        drop(slot);
        options.commit_with_seed(db, expiry, c"ND.CREATE", c"nd.create", &[key], drawn);
        db.reply().ok();
        Ok(())
    }
}

fn number(args: &mut Args<'_>, what: &str) -> Result<Number> {
    Ok(Number::parse(args.bytes(what)?)?)
}

/// The words that [`content`] reads.
const CONTENTS: &str = "FILL, ARANGE, LINSPACE, EYE, RANDOM";

/// Reads what the elements are to be, if that comes next.
fn content(args: &mut Args<'_>, dtype: Dtype) -> Result<Option<Content>> {
    if args.word("FILL") {
        return Ok(Some(Content::Fill(Scalar::parse(args.bytes("the value")?, dtype)?)));
    }
    if args.word("ARANGE") {
        let (start, step) = (number(args, "start")?, number(args, "step")?);
        return Ok(Some(Content::Made(Recipe::Arange { start, step })));
    }
    if args.word("LINSPACE") {
        let (start, stop) = (number(args, "start")?, number(args, "stop")?);
        return Ok(Some(Content::Made(Recipe::Linspace { start, stop })));
    }
    if args.word("EYE") {
        return Ok(Some(Content::Made(Recipe::Eye { k: number(args, "the diagonal")? })));
    }
    if !args.word("RANDOM") {
        return Ok(None);
    }
    let recipe: fn(Number, Number, u64) -> Recipe = match args.bytes("a distribution")? {
        w if w.eq_ignore_ascii_case(b"UNIFORM") => |low, high, seed| Recipe::Uniform { low, high, seed },
        w if w.eq_ignore_ascii_case(b"NORMAL") => |mean, sd, seed| Recipe::Normal { mean, sd, seed },
        w if w.eq_ignore_ascii_case(b"INTEGERS") => |low, high, seed| Recipe::Integers { low, high, seed },
        other => {
            let what = format!("unknown distribution '{}' (use UNIFORM, NORMAL or INTEGERS)", quoted(other));
            return Err(Error::syntax(what).into());
        }
    };
    let (a, b) = (number(args, "the distribution's first number")?, number(args, "the distribution's second number")?);
    let at = args.position();
    if !args.word("SEED") {
        return Ok(Some(Content::Unseeded(recipe, a, b, at)));
    }
    let text = args.bytes("the seed")?;
    let seed = std::str::from_utf8(text)
        .ok()
        .and_then(|s| s.parse().ok())
        .ok_or_else(|| Error::value(format!("SEED '{}' is not an integer from 0 to {}", quoted(text), u64::MAX)))?;
    Ok(Some(Content::Made(recipe(a, b, seed))))
}

fn make(recipe: &Recipe, dtype: Dtype, shape: &Shape, store: &StoreOptions) -> Result<Array> {
    let generator = Generator::new(recipe, dtype, shape)?;
    input::check_size(dtype, shape)?;
    let mut source = Generated { generator, itemsize: dtype.itemsize(), made: 0, run: Buffer::default() };
    Ok(Array::from_source(dtype, shape, &mut source, store)?)
}

/// A generator's elements, a run at a time.
struct Generated {
    generator: Generator,
    itemsize: usize,
    made: usize,
    run: Buffer,
}

impl Source for Generated {
    fn next(&mut self, len: usize) -> crate::nd::error::Result<&[u8]> {
        if self.run.len() < memory::words_for(len) {
            self.run = memory::buffer_zeroed(len)?;
        }
        let run = memory::bytes_mut(&mut self.run, len);
        self.generator.fill(self.made, run);
        self.made += len / self.itemsize;
        Ok(run)
    }

    fn peek(&self, _start: usize, _len: usize) -> Option<&[u8]> {
        None
    }

    fn make_infallible(&mut self, _len: usize) -> bool {
        false
    }
}
