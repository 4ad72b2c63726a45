//! `ND.INFO key`, `ND.SHAPE key`, `ND.DTYPE key`

use crate::module::args::{Args, Key};
use crate::module::db::Db;
use crate::module::error::Result;
use crate::module::register::Command;
use crate::module::spec::{key, Access, Keys, Spec};
use crate::nd::scalar::Scalar;

/// `ND.INFO`
pub struct Info;

impl Command for Info {
    const SPEC: Spec = Spec {
        name: "ND.INFO",
        flags: "readonly",
        since: "0.1.0",
        summary: "Returns what is known about an array: dtype, shape, sizes, storage.",
        complexity: "O(C) where C is the number of chunks",
        keys: Keys::One(Access::ReadMeta),
        args: &[key("key")],
        reply: "A map: dtype, shape, ndim, size (elements), itemsize, nbytes (of the elements), stored_bytes (as kept), ratio \
                (nbytes to stored_bytes), codec (the encodings in use, joined by commas), chunks (how many), chunk_shape, \
                attributes (how many). Nil where the key is missing.",
        notes: &["`ratio` is a float; it is `inf` where elements take no bytes, as after `ND.CREATE ... FILL`, and 1 for an empty array."],
    };

    type Call<'a> = Key<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Key<'a>> {
        args.next("a key")
    }

    fn run(key: Key<'_>, db: &Db<'_>) -> Result<()> {
        let reply = db.reply();
        let Some(array) = db.read(key)? else {
            reply.null();
            return Ok(());
        };
        let shape = array.shape();
        let grid = array.grid();
        let ratio = match (array.nbytes(), array.stored_bytes()) {
            (0, _) => 1.0,
            (nbytes, stored) => nbytes as f64 / stored as f64,
        };
        let codecs = array.codec_names();
        let name = |name: &str| reply.bulk(name.as_bytes());
        reply.map(12);
        name("dtype");
        reply.bulk(array.dtype().name().as_bytes());
        name("shape");
        reply.shape(&shape);
        name("ndim");
        reply.size(shape.ndim());
        name("size");
        reply.size(array.size());
        name("itemsize");
        reply.size(array.dtype().itemsize());
        name("nbytes");
        reply.size(array.nbytes());
        name("stored_bytes");
        reply.size(array.stored_bytes());
        name("ratio");
        reply.scalar(&Scalar::of((ratio * 1000.0).round() / 1000.0));
        name("codec");
        reply.bulk(codecs.join(",").as_bytes());
        name("chunks");
        match &grid {
            Some(grid) => {
                reply.integer(i64::try_from(if grid.is_empty() { 0 } else { grid.len() }).unwrap_or(i64::MAX))
            }
            None => reply.integer(1),
        }
        name("chunk_shape");
        reply.shape(grid.as_ref().map_or(&shape, |g| g.chunk_shape()));
        name("attributes");
        reply.size(array.attributes().len());
        Ok(())
    }
}

/// `ND.SHAPE`
pub struct Shape;

impl Command for Shape {
    const SPEC: Spec = Spec {
        name: "ND.SHAPE",
        flags: "readonly fast",
        since: "0.1.0",
        summary: "Returns the shape of an array.",
        complexity: "O(1)",
        keys: Keys::One(Access::ReadMeta),
        args: &[key("key")],
        reply: "A list of integers, empty for a scalar; nil where the key is missing.",
        notes: &[],
    };

    type Call<'a> = Key<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Key<'a>> {
        args.next("a key")
    }

    fn run(key: Key<'_>, db: &Db<'_>) -> Result<()> {
        db.answer(key, |array| {
            db.reply().shape(&array.shape());
            Ok(())
        })
    }
}

/// `ND.DTYPE`
pub struct Dtype;

impl Command for Dtype {
    const SPEC: Spec = Spec {
        name: "ND.DTYPE",
        flags: "readonly fast",
        since: "0.1.0",
        summary: "Returns the dtype of an array.",
        complexity: "O(1)",
        keys: Keys::One(Access::ReadMeta),
        args: &[key("key")],
        reply: "The dtype's name; nil where the key is missing.",
        notes: &[],
    };

    type Call<'a> = Key<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Key<'a>> {
        args.next("a key")
    }

    fn run(key: Key<'_>, db: &Db<'_>) -> Result<()> {
        db.answer(key, |array| {
            db.reply().bulk(array.dtype().name().as_bytes());
            Ok(())
        })
    }
}
