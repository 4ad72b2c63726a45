//! `ND.SUM key [AXIS a[,b...]] [KEEPDIMS] [SKIPNAN] [DDOF n] [DTYPE dt] [SLICE index] [WHERE maskkey] [format]` and the rest
//! of its family: `PROD MEAN VAR STD MIN MAX PTP ARGMIN ARGMAX ANY ALL COUNT NORM`.

use triomphe::Arc;

use crate::module::args::{Args, Key};
use crate::module::config;
use crate::module::cost::{Cost, Work};
use crate::module::db::Db;
use crate::module::error::{Refusal, Result};
use crate::module::input::check_bytes;
use crate::module::output::{Content, Format};
use crate::module::register::Command;
use crate::module::reply::Reply;
use crate::module::spec::{double, key, string, word, Access, ArgSpec, Keys, Spec, FORMAT};
use crate::nd::array::{Array, View};
use crate::nd::dtype::Dtype;
use crate::nd::error::{quoted, Error};
use crate::nd::index::{parse_axes, Index};
use crate::nd::kernels::axes::AxisSet;
use crate::nd::kernels::reduce::{KeepDims, Op, Options, Reduction};
use crate::nd::scalar::Scalar;
use crate::nd::shape::Shape;

/// A parsed call of any reduction.
pub struct Call<'a> {
    key: Key<'a>,
    mask: Option<Key<'a>>,
    index: Option<Index>,
    /// What is asked, whatever the keys.
    pub ask: Ask,
}

/// What is asked of the elements.
pub struct Ask {
    axes: Option<Vec<i64>>,
    /// All but the axes.
    pub options: Options,
    /// How arrays are answered.
    pub format: Option<Format>,
}

/// Which options a command knows besides those that all have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Takes {
    dtype: bool,
    ddof: bool,
}

/// `DTYPE` and `DDOF`.
const BOTH: Takes = Takes { dtype: true, ddof: true };
/// `DTYPE`.
const ONLY_DTYPE: Takes = Takes { dtype: true, ddof: false };
/// Neither.
pub const NO_MORE: Takes = Takes { dtype: false, ddof: false };

/// `AXIS`.
pub const AXIS: ArgSpec = string("axes").after("AXIS").optional();
/// `KEEPDIMS`.
pub const KEEPDIMS: ArgSpec = word("keepdims", "KEEPDIMS").optional();
/// `SKIPNAN`.
pub const SKIPNAN: ArgSpec = word("skipnan", "SKIPNAN").optional();
/// `SLICE`.
pub const SLICE: ArgSpec = string("index").after("SLICE").optional();
/// `WHERE`.
pub const WHERE: ArgSpec = key("mask").after("WHERE").optional();
const DDOF: ArgSpec = double("ddof").after("DDOF").optional();
const DTYPE: ArgSpec = string("dtype").after("DTYPE").optional();

const ARGS: &[ArgSpec] = &[key("key"), AXIS, KEEPDIMS, SKIPNAN, SLICE, WHERE, FORMAT];
const ARGS_DTYPE: &[ArgSpec] = &[key("key"), AXIS, KEEPDIMS, SKIPNAN, DTYPE, SLICE, WHERE, FORMAT];
const ARGS_BOTH: &[ArgSpec] = &[key("key"), AXIS, KEEPDIMS, SKIPNAN, DDOF, DTYPE, SLICE, WHERE, FORMAT];

/// What every reduction answers.
pub const REPLY: &str =
    "Over all elements a scalar, with `AXIS`, `KEEPDIMS` or a format an array; nil where the key is missing.";

/// Reads the key and the options, in any order, and the format at the end.
///
/// # Errors
/// What is wrong with them.
pub fn parse<'a>(args: &mut Args<'a>, takes: Takes) -> Result<Call<'a>> {
    let key = args.next("a key")?;
    options(key, args, takes)
}

/// Reads the options after the key.
///
/// # Errors
/// What is wrong with them.
pub fn options<'a>(key: Key<'a>, args: &mut Args<'a>, takes: Takes) -> Result<Call<'a>> {
    options_beside(key, args, takes, |_| Ok(false))
}

/// [`options`] among which a command's own may stand: `own` takes one, if it comes next, and says whether it did.
///
/// # Errors
/// What is wrong with them.
pub fn options_beside<'a>(
    key: Key<'a>,
    args: &mut Args<'a>,
    takes: Takes,
    mut own: impl FnMut(&mut Args<'a>) -> Result<bool>,
) -> Result<Call<'a>> {
    let mut call =
        Call { key, mask: None, index: None, ask: Ask { axes: None, options: Options::default(), format: None } };
    let mut ddof = None;
    loop {
        let Ask { axes, options, .. } = &mut call.ask;
        if axes.is_none() && args.word("AXIS") {
            *axes = Some(parse_axes(args.bytes("the axes")?)?);
        } else if options.keepdims == KeepDims::No && args.word("KEEPDIMS") {
            options.keepdims = KeepDims::Yes;
        } else if !options.skip_nan && args.word("SKIPNAN") {
            options.skip_nan = true;
        } else if takes.ddof && ddof.is_none() && args.word("DDOF") {
            ddof = Some(number(args.bytes("DDOF")?)?);
        } else if takes.dtype && options.dtype.is_none() && args.word("DTYPE") {
            options.dtype = Some(args.dtype()?.0);
        } else if call.index.is_none() && args.word("SLICE") {
            call.index = Some(Index::parse(args.bytes("an index")?)?);
        } else if call.mask.is_none() && args.word("WHERE") {
            call.mask = Some(args.next("the mask's key")?);
        } else if own(args)? {
        } else {
            options.ddof = ddof.unwrap_or(0.0);
            options.is_masked = call.mask.is_some();
            call.ask.format = Format::take(args);
            return Ok(call);
        }
    }
}

fn number(text: &[u8]) -> Result<f64> {
    let number = std::str::from_utf8(text).ok().and_then(|s| s.parse::<f64>().ok()).filter(|x| x.is_finite());
    Ok(number.ok_or_else(|| Error::value(format!("DDOF '{}' is not a finite number", quoted(text))))?)
}

impl<'a> Call<'a> {
    /// The array's key.
    pub fn key(&self) -> Key<'a> {
        self.key
    }

    /// Whether nothing but `AXIS` and a format was given.
    pub fn is_plain(&self) -> bool {
        let Options { keepdims, skip_nan, .. } = self.ask.options;
        keepdims == KeepDims::No && !skip_nan && self.index.is_none() && self.mask.is_none()
    }

    /// What the call looks at; nothing where the key is missing.
    ///
    /// # Errors
    /// `NOKEY` for a mask that is missing, `LIMIT`, and those of [`View::new`].
    pub fn view(&self, db: &Db<'_>) -> Result<Option<View>> {
        let Some(array) = db.read(self.key)? else { return Ok(None) };
        let mask = match self.mask {
            Some(key) => {
                let missing = || Refusal::NoKey { key: quoted(key.bytes()) };
                Some(db.read(key)?.ok_or_else(missing)?)
            }
            None => None,
        };
        look(array, self.index.as_ref(), mask).map(Some)
    }
}

/// A view that is not too large to be read.
///
/// # Errors
/// `LIMIT`, and those of [`View::new`].
pub fn look(array: Arc<Array>, index: Option<&Index>, mask: Option<Arc<Array>>) -> Result<View> {
    let view = View::new(array, index, mask)?;
    check_bytes("reading the array", view.nbytes(), &config::MAX_ARRAY_BYTES)?;
    check_bytes("the selection", view.copied_bytes(), &config::MAX_RESULT_BYTES)?;
    Ok(view)
}

impl Ask {
    /// The axes of an array of `ndim` dimensions.
    ///
    /// # Errors
    /// `INDEX`.
    pub fn axes(&self, ndim: usize) -> Result<AxisSet> {
        Ok(match &self.axes {
            Some(axes) => AxisSet::new(axes, ndim)?,
            None => AxisSet::all(ndim),
        })
    }

    /// Whether `AXIS`, `KEEPDIMS` or `SKIPNAN` was given.
    pub fn is_of_axes(&self) -> bool {
        self.axes.is_some() || self.options.keepdims == KeepDims::Yes || self.options.skip_nan
    }

    /// Whether an array is answered and no scalar.
    pub fn is_of_array(&self) -> bool {
        self.axes.is_some() || self.options.keepdims == KeepDims::Yes || self.format.is_some()
    }

    /// Answers a result as it was asked for.
    ///
    /// # Errors
    /// As [`Content::reply`].
    pub fn reply(&self, dtype: Dtype, shape: Shape, bytes: &[u8], reply: &Reply) -> Result<()> {
        if self.is_of_array() || shape.ndim() > 0 {
            return Content::own(dtype, shape, bytes)?.reply(self.format.unwrap_or(Format::Triple), reply);
        }
        reply.scalar(&Scalar::from_le_bytes(dtype, bytes));
        Ok(())
    }
}

/// What reducing a view costs.
pub fn cost(view: &View, options: &Options) -> Cost {
    let effort = view.effort();
    // Elements that may be left out are looked at one by one.
    let is_simple = !view.is_masked() && !options.skip_nan && options.dtype.is_none();
    Cost::LEAST.reading(effort).and(if is_simple { Work::Reduce } else { Work::Compute }, effort.bytes)
}

fn run(op: Op, call: Call<'_>, db: &Db<'_>) -> Result<()> {
    let Some(view) = call.view(db)? else { return db.nil() };
    let ask = call.ask;
    let axes = ask.axes(view.shape().ndim())?;
    let is_known = axes.is_all(view.shape().ndim()) && view.figure(op, &ask.options).is_some();
    let cost = if is_known { Cost::LEAST } else { cost(&view, &ask.options) };
    db.finish(cost, move |reply| answer(op, &ask, &axes, &view, reply))
}

/// Reduces a view and answers.
fn answer(op: Op, ask: &Ask, axes: &AxisSet, view: &View, reply: &Reply) -> Result<()> {
    let reduction = Reduction::with(op, view.dtype(), view.shape(), axes, &ask.options)?;
    let is_of_all = axes.is_all(view.shape().ndim());
    if let Some(figure) = view.figure(op, &ask.options).filter(|_| is_of_all) {
        let bytes = &figure.bytes[..figure.dtype.itemsize()];
        return ask.reply(figure.dtype, reduction.out_shape().clone(), bytes, reply);
    }
    check_bytes("the result", reduction.state_bytes(), &config::MAX_RESULT_BYTES)?;
    let mut state = [reduction.start()?];
    view.add_to(&mut state)?;
    let (dtype, shape, bytes) = state[0].finish()?;
    if is_of_all {
        view.remember(op, &ask.options, dtype, &bytes, state[0].taken(0));
    }
    ask.reply(dtype, shape, &bytes, reply)
}

macro_rules! reductions {
    ($($(#[$doc:meta])* $type:ident, $op:ident, $name:literal, $args:ident, $takes:ident, $summary:literal, $notes:expr;)*) => {$(
        $(#[$doc])*
        pub struct $type;

        impl Command for $type {
            const SPEC: Spec = Spec {
                name: $name,
                flags: "readonly",
                since: "0.1.0",
                summary: $summary,
                complexity: "O(N) where N is the number of elements that are read",
                keys: Keys::OneAndMask(Access::Read),
                args: $args,
                reply: REPLY,
                notes: $notes,
            };

            type Call<'a> = Call<'a>;

            fn parse<'a>(args: &mut Args<'a>) -> Result<Call<'a>> {
                parse(args, $takes)
            }

            fn run(call: Call<'_>, db: &Db<'_>) -> Result<()> {
                run(Op::$op, call, db)
            }
        }
    )*};
}

reductions! {
    /// `ND.SUM`
    Sum, Sum, "ND.SUM", ARGS_DTYPE, ONLY_DTYPE, "Returns the sum of an array, over all elements or along axes.", &[
        "Result dtypes are NumPy's: bool and signed integers sum as int64, unsigned as uint64 (both wrap), floats and \
         complex numbers as themselves, accumulated in float64 or better. The sum of nothing is 0.",
        "The same array gives the same bits on every machine and with every codec. Another chunk shape may change the last \
         bit of a float result, and so may a codec where `ndarray.chunk-bytes` is below 65536.",
    ];
    /// `ND.PROD`
    Prod, Prod, "ND.PROD", ARGS_DTYPE, ONLY_DTYPE, "Returns the product of an array, over all elements or along axes.", &[
        "Result dtypes are those of `ND.SUM`. A product of floats overflows or vanishes only where the exact one does. The \
         product of nothing is 1.",
    ];
    /// `ND.MEAN`
    Mean, Mean, "ND.MEAN", ARGS_DTYPE, ONLY_DTYPE, "Returns the arithmetic mean of an array, over all elements or along axes.", &[
        "Result dtypes are NumPy's: float64 for bool and integers, else the array's own. The mean of nothing is NaN.",
    ];
    /// `ND.STD`
    Std, Std, "ND.STD", ARGS_BOTH, BOTH, "Returns the standard deviation of an array, over all elements or along axes.", &[
        "The root of what `ND.VAR` answers.",
    ];
    /// `ND.VAR`
    Var, Var, "ND.VAR", ARGS_BOTH, BOTH, "Returns the variance of an array, over all elements or along axes.", &[
        "The sum of squared differences from the mean, divided by the number of elements less `DDOF` (0 where it is not \
         given). Real for complex numbers too; float64 for bool and integers. The variance of nothing is NaN.",
    ];
    /// `ND.MIN`
    Min, Min, "ND.MIN", ARGS, NO_MORE, "Returns the least element of an array, over all elements or along axes.", &[
        "NaN where there is one, unless `SKIPNAN` is given. Complex numbers are compared by their real parts, then by their \
         imaginary ones. There is no minimum of nothing.",
    ];
    /// `ND.MAX`
    Max, Max, "ND.MAX", ARGS, NO_MORE, "Returns the greatest element of an array, over all elements or along axes.", &[
        "NaN where there is one, unless `SKIPNAN` is given. Complex numbers are compared by their real parts, then by their \
         imaginary ones. There is no maximum of nothing.",
    ];
    /// `ND.PTP`
    Ptp, Ptp, "ND.PTP", ARGS, NO_MORE, "Returns the greatest element less the least, over all elements or along axes.", &[
        "In the array's own dtype, in which integers wrap, as in NumPy. Bool is refused.",
    ];
    /// `ND.ARGMIN`
    ArgMin, ArgMin, "ND.ARGMIN", ARGS, NO_MORE, "Returns where the least element of an array stands.", &[
        "The first of several, and the first NaN where there is one. Without `AXIS`, positions count all elements in C order; \
         `AXIS` takes one axis. `SLICE` counts within the selection.",
    ];
    /// `ND.ARGMAX`
    ArgMax, ArgMax, "ND.ARGMAX", ARGS, NO_MORE, "Returns where the greatest element of an array stands.", &[
        "The first of several, and the first NaN where there is one. Without `AXIS`, positions count all elements in C order; \
         `AXIS` takes one axis. `SLICE` counts within the selection.",
    ];
    /// `ND.ANY`
    Any, Any, "ND.ANY", ARGS, NO_MORE, "Returns whether any element of an array is not 0.", &[
        "NaN is not 0. Nothing has no such element.",
    ];
    /// `ND.ALL`
    All, All, "ND.ALL", ARGS, NO_MORE, "Returns whether no element of an array is 0.", &[
        "NaN is not 0. Nothing has no such element, so that the answer is true.",
    ];
    /// `ND.COUNT`
    Count, Count, "ND.COUNT", ARGS, NO_MORE, "Returns how many elements of an array are not 0.", &[
        "As `numpy.count_nonzero`. NaN is not 0; with `SKIPNAN` it is not counted.",
    ];
    /// `ND.NORM`
    Norm, Norm, "ND.NORM", ARGS, NO_MORE, "Returns the 2-norm of an array's elements, over all elements or along axes.", &[
        "The root of the sum of squared absolute values: the elements are taken as one vector, whatever the axes. Result dtypes \
         are those of `numpy.linalg.norm`: float64 for bool and integers, real for complex numbers.",
    ];
}
