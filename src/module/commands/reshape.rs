//! What changes the whole of an array in its place: `ND.RESHAPE`, `ND.RESIZE`, `ND.ASTYPE`.

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::db::Db;
use crate::module::error::{Refusal, Result};
use crate::module::options::IfDigest;
use crate::module::register::Command;
use crate::module::spec::{key, one_of, string, word, Access, Keys, Spec, IF_DIGEST};
use crate::nd::array::{Array, StoreOptions};
use crate::nd::dtype::Dtype;
use crate::nd::error::{quoted, Error};
use crate::nd::kernels::promote::{check_cast, Casting};
use crate::nd::scalar::Scalar;
use crate::nd::shape::{OpenShape, Shape};

/// Changes the array at `key` where the condition holds and `wanted` says that there is something to do.
///
/// # Errors
/// `NOKEY`; whatever `wanted` and `change` answer; then nothing was changed.
fn change<W>(
    db: &Db<'_>,
    key: Key<'_>,
    condition: IfDigest,
    event: &'static std::ffi::CStr,
    wanted: impl FnOnce(&Array) -> Result<Option<W>>,
    change: impl FnOnce(&mut Array, W, &StoreOptions, usize) -> crate::nd::error::Result<()>,
    reply: impl FnOnce(&Array),
) -> Result<()> {
    let mut slot = db.write(key);
    let array = slot.array()?.ok_or_else(|| Refusal::NoKey { key: quoted(key.bytes()) })?;
    if !condition.holds(Some(array))? {
        db.reply().null();
        return Ok(());
    }
    let wanted = wanted(array)?;
    let changed = wanted.is_some();
    if let Some(wanted) = wanted {
        let (options, limit) = (config::store_options(), config::MAX_ARRAY_BYTES.get());
        let done = slot.try_change(|array| change(array, wanted, &options, limit)).unwrap_or(Ok(()));
        done.map_err(|error| config::MAX_ARRAY_BYTES.named(error))?;
    }
    if changed {
        db.commit(event, &[key]);
    }
    if let Some(array) = slot.array()? {
        reply(array);
    }
    Ok(())
}

/// `ND.RESHAPE`
pub struct Reshape;

/// A parsed call of `ND.RESHAPE`.
pub struct ReshapeCall<'a> {
    key: Key<'a>,
    shape: OpenShape,
    condition: IfDigest,
}

impl Command for Reshape {
    const SPEC: Spec = Spec {
        name: "ND.RESHAPE",
        flags: "write deny-oom",
        since: "0.1.0",
        summary: "Gives an array another shape; the elements keep their C order.",
        complexity: "O(1) where the chunks suit the new shape, else O(N) where N is the number of bytes stored",
        keys: Keys::One(Access::Update),
        args: &[key("key"), string("shape"), IF_DIGEST],
        reply: "The new shape as a list of integers; nil when the digest was another. A missing key is an error.",
        notes: &["One length may be -1: it is what the others leave. As in NumPy, that needs the others not to be 0. Chunks \
                  that are runs of elements stay as they are where the new shape has rows that they fill; others are made anew, \
                  of about `ndarray.chunk-bytes`. Attributes stay."],
    };

    type Call<'a> = ReshapeCall<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<ReshapeCall<'a>> {
        let key = args.next("a key")?;
        let shape = OpenShape::parse(args.bytes("shape")?)?;
        Ok(ReshapeCall { key, shape, condition: IfDigest::take(args)? })
    }

    fn run(call: ReshapeCall<'_>, db: &Db<'_>) -> Result<()> {
        let wanted = |array: &Array| {
            let shape = call.shape.of_size(array.size())?;
            Ok((!array.has_shape(&shape)).then_some(shape))
        };
        let reshape =
            |array: &mut Array, shape: Shape, options: &StoreOptions, limit| array.reshape(&shape, options, limit);
        change(db, call.key, call.condition, c"nd.reshape", wanted, reshape, |a| db.reply().shape(&a.shape()))
    }
}

/// `ND.RESIZE`
pub struct Resize;

/// A parsed call of `ND.RESIZE`.
pub struct ResizeCall<'a> {
    key: Key<'a>,
    shape: Shape,
    fill: Option<&'a [u8]>,
    condition: IfDigest,
}

impl Command for Resize {
    const SPEC: Spec = Spec {
        name: "ND.RESIZE",
        flags: "write deny-oom",
        since: "0.1.0",
        summary: "Makes the axes of an array longer or shorter; elements keep their positions.",
        complexity: "O(C) where C is the number of chunks stored, plus the bytes of chunks at the edges; O(N) where rows change \
                     their length and N is the number of bytes",
        keys: Keys::One(Access::Update),
        args: &[key("key"), string("shape"), string("value").after("FILL").optional(), IF_DIGEST],
        reply: "The new shape as a list of integers; nil when the digest was another. A missing key is an error.",
        notes: &[
            "Each axis is cut off or extended at its end, as `resize` of h5py and Zarr does: element `i,j` stays element `i,j`. \
             (`numpy.resize` repeats the elements in another order; `ND.RESHAPE` keeps their C order.) The number of axes stays.",
            "New elements hold `FILL` (default 0). Where that is the value that absent chunks hold, they take no bytes, and an array may \
             become as large as can be addressed at once. Attributes stay.",
        ],
    };

    type Call<'a> = ResizeCall<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<ResizeCall<'a>> {
        let key = args.next("a key")?;
        let shape = args.shape()?;
        let mut fill = None;
        let condition = IfDigest::take_beside(args, |args| {
            let given = fill.is_none() && args.word("FILL");
            if given {
                fill = Some(args.bytes("the value")?);
            }
            Ok(given)
        })?;
        Ok(ResizeCall { key, shape, fill, condition })
    }

    fn run(call: ResizeCall<'_>, db: &Db<'_>) -> Result<()> {
        let wanted = |array: &Array| {
            let dtype = array.dtype();
            let fill = call.fill.map_or(Ok(Scalar::zero(dtype)), |text| Scalar::parse(text, dtype))?;
            Ok((!array.has_shape(&call.shape)).then_some(fill))
        };
        let resize = |array: &mut Array, fill, options: &StoreOptions, limit| {
            *array = array.resized(&call.shape, fill, options, limit)?;
            Ok(())
        };
        change(db, call.key, call.condition, c"nd.resize", wanted, resize, |a| db.reply().shape(&a.shape()))
    }
}

/// `ND.ASTYPE`
pub struct Astype;

/// A parsed call of `ND.ASTYPE`.
pub struct AstypeCall<'a> {
    key: Key<'a>,
    dtype: Dtype,
    casting: Casting,
    condition: IfDigest,
}

impl Command for Astype {
    const SPEC: Spec = Spec {
        name: "ND.ASTYPE",
        flags: "write deny-oom",
        since: "0.1.0",
        summary: "Casts every element of an array to another dtype, in its place.",
        complexity: "O(N) where N is the number of bytes stored",
        keys: Keys::One(Access::Update),
        args: &[
            key("key"),
            string("dtype"),
            one_of("casting", &[word("safe", "safe"), word("same-kind", "same_kind"), word("unsafe", "unsafe")])
                .after("CASTING")
                .optional(),
            IF_DIGEST,
        ],
        reply: "`OK`; nil when the digest was another. A missing key is an error.",
        notes: &["`CASTING` says what a cast may lose, and is `unsafe` by default, as in `ndarray.astype`: everything. A cast that it \
                  forbids is a `DTYPE` error. Shape, attributes and codec stay; absent chunks stay absent."],
    };

    type Call<'a> = AstypeCall<'a>;

    fn parse<'a>(args: &mut Args<'a>) -> Result<AstypeCall<'a>> {
        let key = args.next("a key")?;
        let (dtype, _) = args.dtype()?;
        let mut casting = None;
        let condition = IfDigest::take_beside(args, |args| {
            let given = casting.is_none() && args.word("CASTING");
            if given {
                casting = Some(Casting::parse(args.bytes("a casting rule")?)?);
            }
            Ok(given)
        })?;
        Ok(AstypeCall { key, dtype, casting: casting.unwrap_or(Casting::Unsafe), condition })
    }

    fn run(call: AstypeCall<'_>, db: &Db<'_>) -> Result<()> {
        let wanted = |array: &Array| {
            check_cast(array.dtype(), call.dtype, call.casting)?;
            Ok((array.dtype() != call.dtype).then_some(()))
        };
        let astype = |array: &mut Array, (), options: &StoreOptions, limit| -> Result<(), Error> {
            *array = array.astype(call.dtype, options, limit)?;
            Ok(())
        };
        change(db, call.key, call.condition, c"nd.astype", wanted, astype, |_| db.reply().ok())
    }
}
