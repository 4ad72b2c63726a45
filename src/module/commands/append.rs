//! `ND.APPEND key (<array argument> | KEY key) [AXIS a] [MAXLEN n] [IFDEQ digest]`

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::db::{Db, Expiry};
use crate::module::error::Result;
use crate::module::options::IfDigest;
use crate::module::register::Command;
use crate::module::spec::{integer, key, Access, Keys, Spec, ARRAY_OR_KEY, IF_DIGEST};
use crate::module::values::Given;
use crate::nd::array::{appended_shape, axis_length, Array};
use crate::nd::dtype::Dtype;
use crate::nd::error::Error;
use crate::nd::kernels::promote::{check_cast, Casting};
use crate::nd::shape::Shape;
use crate::nd::source::SliceSource;

/// See the module comment.
pub struct Append;

/// A parsed call.
pub struct Call<'a> {
    key: Key<'a>,
    given: Given<'a>,
    axis: i64,
    most: Option<usize>,
    condition: IfDigest,
}

impl Command for Append {
    const SPEC: Spec = Spec {
        name: "ND.APPEND",
        flags: "write deny-oom",
        since: "0.1.0",
        summary: "Appends an array to the end of another, and drops from its front what is too much.",
        complexity: "Along axis 0 O(N) where N is the number of bytes appended, however long the array is; along others O(M) where M \
                     is the number of bytes of the array",
        keys: Keys::OneAndSource { access: Access::Update, at: 2 },
        args: &[
            key("key"),
            ARRAY_OR_KEY,
            integer("axis").after("AXIS").optional(),
            integer("maxlen").after("MAXLEN").optional(),
            IF_DIGEST,
        ],
        reply: "The new shape as a list of integers; nil when the digest was another. A missing key is created.",
        notes: &[
            "As `numpy.concatenate`: the value must have as many axes as the array, and the same lengths but for `AXIS` (default 0): one \
             row of a matrix has the shape `1,n`. It is cast to the array's dtype (`same_kind`).",
            "`MAXLEN n` keeps the last n positions of the axis. Chunks whose rows are all gone go; rows that are gone from the first chunk \
             that stays are only hidden, so that nothing else is touched.",
            "Appending one row costs the same to a large array as to a small one: only the last chunk is worked on. It is kept \
             raw until it is full, and then encoded as the array's codec says. An array that one chunk holds gets chunks of \
             about `ndarray.chunk-bytes` as it grows.",
        ],
    };

    type Call<'a> = Call<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
        let key = args.next("a key")?;
        let given = Given::array_or_key(args)?;
        let (mut axis, mut most) = (None, None);
        let condition = IfDigest::take_beside(args, |args| {
            if axis.is_none() && args.word("AXIS") {
                axis = Some(args.integer("the axis", i64::MIN)?);
            } else if most.is_none() && args.word("MAXLEN") {
                most = Some(usize::try_from(args.integer("MAXLEN", 0)?).unwrap_or(usize::MAX));
            } else {
                return Ok(false);
            }
            Ok(true)
        })?;
        Ok(Call { key, given, axis: axis.unwrap_or(0), most, condition })
    }

    fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
        let Call { key, given, axis, most, condition } = call;
        let (options, limit) = (config::store_options(), config::MAX_ARRAY_BYTES.get());
        let mut slot = db.write(key);
        let array = slot.array()?;
        if !condition.holds(array)? {
            db.reply().null();
            return Ok(());
        }
        let (shape, changed) = match array {
            Some(array) => {
                let (own, dtype) = (array.shape(), array.dtype());
                let check = |given: Dtype, value: &Shape| {
                    check_cast(given, dtype, Casting::SameKind)?;
                    appended_shape(&own, value, axis).map(drop)
                };
                let values = given.load(db, dtype, check)?.cast(dtype)?;
                let done = slot.try_change(|array| {
                    array.append(axis, values.bytes(), &values.shape, most, &options, limit)?;
                    Ok::<_, Error>(array.shape())
                });
                let done = done.unwrap_or_else(|| Ok(own.clone()));
                let shape = done.map_err(|error| config::MAX_ARRAY_BYTES.named(error))?;
                let changed = shape != own || !values.bytes().is_empty();
                (shape, changed)
            }
            None => {
                let check = |_: Dtype, value: &Shape| appended_shape(value, value, axis).map(drop);
                let values = given.load(db, Dtype::Float64, check)?; // a number is not among what may be given
                let mut array =
                    Array::from_source(values.dtype, &values.shape, &mut SliceSource::new(values.bytes()), &options)?;
                let length = axis_length(&values.shape, axis)?;
                if most.is_some_and(|most| most < length) {
                    let mut none = values.shape.clone();
                    let at = if axis < 0 { axis + none.ndim() as i64 } else { axis }; // within the rank, as checked
                    none.dims_mut()[at as usize] = 0;
                    array.append(axis, &[], &none, most, &options, limit)?;
                }
                let shape = array.shape();
                slot.set(array, Expiry::Never);
                (shape, true)
            }
        };
        drop(slot);
        if changed {
            db.commit(c"nd.append", &[key]);
        }
        db.reply().shape(&shape);
        Ok(())
    }
}
