//! `ND.UPDATE key index ADD|SUB|MUL|DIV|POW|MIN|MAX|AND|OR|XOR (<array argument> | SCALAR v) [IFDEQ digest]`

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::db::Db;
use crate::module::error::{Refusal, Result};
use crate::module::options::IfDigest;
use crate::module::register::Command;
use crate::module::spec::{key, one_of, string, word, Access, ArgSpec, Keys, Spec, ARRAY_OR_SCALAR, IF_DIGEST};
use crate::module::values::{Given, Target};
use crate::nd::array::check_operand;
use crate::nd::dtype::Dtype;
use crate::nd::error::{quoted, Error};
use crate::nd::kernels::elementwise::Operator;
use crate::nd::shape::Shape;

/// See the module comment.
pub struct Update;

/// A parsed call.
pub struct Call<'a> {
    key: Key<'a>,
    index: Target,
    operator: Operator,
    given: Given<'a>,
    condition: IfDigest,
}

const OPERATORS: ArgSpec = one_of(
    "operator",
    &[
        word("add", "ADD"),
        word("sub", "SUB"),
        word("mul", "MUL"),
        word("div", "DIV"),
        word("pow", "POW"),
        word("min", "MIN"),
        word("max", "MAX"),
        word("and", "AND"),
        word("or", "OR"),
        word("xor", "XOR"),
    ],
);

impl Command for Update {
    const SPEC: Spec = Spec {
        name: "ND.UPDATE",
        flags: "write deny-oom",
        since: "0.1.0",
        summary: "Computes with the part of an array that a NumPy subscript selects, in place.",
        complexity: "O(N) where N is the number of bytes of the chunks that the selection touches",
        keys: Keys::OneAndSource { access: Access::Update, at: 4 },
        args: &[key("key"), string("index"), OPERATORS, ARRAY_OR_SCALAR, IF_DIGEST],
        reply: "The number of elements written; nil when the digest was another. A missing key is an error.",
        notes: &[
            "As `a[index] op= value` in NumPy, atomically. The two are cast to the dtype in which they meet, and the result is cast \
             back as `same_kind` allows: so `DIV` of integers is refused, and adding floats to integers. Positions that a list \
             repeats add up, as by `numpy.add.at`.",
            "Integers wrap. `MIN` and `MAX` are `numpy.minimum` and `numpy.maximum`: NaN wins. `AND`, `OR` and `XOR` work on the bits of \
             integers and on bools. `SCALAR` is a literal without a dtype of its own; an integer that the array's dtype \
             cannot hold is refused.",
            "Raw chunks are changed where they lie; a chunk of one constant stays one where all of it is changed alike.",
        ],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        let key = args.next("a key")?;
        let index = Target::parse(args)?;
        let name = args.bytes("an operator")?;
        let operator = Operator::parse(name).ok_or_else(|| {
            let names: Vec<&str> = Operator::ALL.iter().map(|o| o.name()).collect();
            Error::syntax(format!("unknown operator '{}' (use one of: {})", quoted(name), names.join(", ")))
        })?;
        Ok(Call { key, index, operator, given: Given::any(args)?, condition: IfDigest::take(args)? })
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        let mut slot = db.write(call.key);
        let array = slot.array()?.ok_or_else(|| Refusal::NoKey { key: quoted(call.key.bytes()) })?;
        if !call.condition.holds(Some(array))? {
            db.reply().null();
            return Ok(());
        }
        let (target, selection) = (array.dtype(), call.index.resolve(array)?);
        let check = |value: Dtype, shape: &Shape| {
            call.operator.compute_dtype(target, value)?;
            check_operand(shape, &selection)
        };
        let values = call.given.load(db, target, check)?;
        let dtype = call.operator.compute_dtype(target, values.dtype)?;
        let values = values.cast(dtype)?;
        let limit = config::MAX_ARRAY_BYTES.get();
        let written = slot
            .try_change(|array| array.update(&selection, call.operator, dtype, values.bytes(), &values.shape, limit));
        let written = written.unwrap_or(Ok(0)).map_err(|error| config::MAX_ARRAY_BYTES.named(error))?;
        drop(slot);
        if written > 0 {
            db.commit(c"nd.update", &[call.key]);
        }
        db.reply().size(written);
        Ok(())
    }
}
