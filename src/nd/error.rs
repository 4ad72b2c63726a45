//! Every error of the library: its code, its data and its sentence.
//!
//! A client branches on the first word (the code) and a person reads the rest: what was wrong, where, with the
//! offending value, and what would be right. Variants carry data; `Display` is the one place that makes text.

use std::borrow::Cow;
use std::fmt;

use super::dtype::Dtype;
use super::shape::Shape;

/// What every fallible function of the library answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Text of at most this many bytes from outside is repeated in an error; the rest is cut.
const QUOTED: usize = 64;

/// One refusal. `Display` gives the code, a space, and the sentence.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    // DTYPE
    /// A dtype name outside the list.
    UnknownDtype {
        /// What was given, cut for display.
        given: String,
        /// Words that may stand in the place of a dtype.
        or: &'static [&'static str],
    },
    /// A dtype that a format or an operation does not take.
    UnsupportedDtype {
        /// The dtype.
        dtype: Dtype,
        /// Who refuses it: `ARROW`, `NPY`, …
        by: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// A descriptor (`O`, a structured dtype, …) of a file that names no dtype of ours.
    UnknownDescriptor {
        /// The format the descriptor stands in.
        format: &'static str,
        /// The descriptor, cut for display.
        given: String,
    },
    /// A cast the requested casting rule forbids.
    Cast {
        /// The dtype of the elements.
        from: Dtype,
        /// The dtype asked for.
        to: Dtype,
        /// The rule: `safe`, `same_kind`.
        rule: &'static str,
    },
    /// An array of another dtype than the first of those that it is to be stacked with.
    StackDtype {
        /// Which array, from 0.
        place: usize,
        /// Its dtype.
        given: Dtype,
        /// Which array decided.
        first: usize,
        /// That one's dtype.
        dtype: Dtype,
    },
    /// The result of an operator, which the array it is to be written to cannot take.
    Outcome {
        /// The operator's word.
        operator: &'static str,
        /// The dtype it makes.
        made: Dtype,
        /// The array's dtype.
        target: Dtype,
    },
    /// An operator that a dtype has no meaning for.
    Operation {
        /// The operator's word.
        operator: &'static str,
        /// The dtype in which it would be computed.
        dtype: Dtype,
        /// What to do instead.
        hint: &'static str,
    },
    // SHAPE
    /// Text that is no shape.
    ShapeSyntax {
        /// What was given, cut for display.
        given: String,
        /// Whether one length may be open.
        may_be_open: bool,
    },
    /// More dimensions than an array may have.
    Rank {
        /// How many were given.
        ndim: usize,
    },
    /// A product of lengths (times the item size) beyond what can be addressed.
    TooManyElements {
        /// The shape.
        shape: Shape,
        /// The dtype.
        dtype: Dtype,
    },
    /// A byte string whose length is not the one that dtype and shape ask for.
    ByteLength {
        /// The dtype.
        dtype: Dtype,
        /// The shape.
        shape: Shape,
        /// Bytes that dtype and shape ask for.
        need: usize,
        /// Bytes given.
        given: usize,
    },
    /// A number of values that is not the one the shape holds.
    ElementCount {
        /// The shape.
        shape: Shape,
        /// Values given.
        given: usize,
    },
    /// Nested lists of unequal lengths or depths.
    Ragged {
        /// Byte offset in the text, from 0.
        at: usize,
        /// What was found and what was expected.
        what: String,
    },
    /// An array of another shape than the first of those that it is to be stacked with.
    StackShape {
        /// Which array, from 0.
        place: usize,
        /// Its shape.
        given: Shape,
        /// Which array decided.
        first: usize,
        /// That one's shape.
        expected: Shape,
    },
    /// A chunk shape that does not fit the array.
    ChunkShape {
        /// The chunk shape.
        chunk: Shape,
        /// The array's shape.
        shape: Shape,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A shape that does not hold as many elements as there are.
    Reshape {
        /// How many there are.
        size: usize,
        /// The shape asked for.
        shape: Shape,
    },
    /// A shape with an open length that nothing, or everything, fits.
    OpenShape {
        /// How many elements there are.
        size: usize,
        /// The product of the other lengths.
        others: usize,
    },
    /// A shape of another rank.
    Resize {
        /// The array's shape.
        from: Shape,
        /// The shape asked for.
        to: Shape,
    },
    /// A value that cannot be appended along an axis.
    AppendShape {
        /// The value's shape.
        value: Shape,
        /// The array's shape.
        to: Shape,
        /// The axis, from 0.
        axis: usize,
    },
    /// A mask that does not broadcast to what it masks.
    MaskShape {
        /// The mask's shape.
        mask: Shape,
        /// The shape of what is masked.
        shape: Shape,
    },
    /// A value whose shape does not broadcast to a selection's.
    Broadcast {
        /// The value's shape.
        value: Shape,
        /// The selection's shape.
        to: Shape,
    },
    // INDEX
    /// A position outside an axis.
    OutOfBounds {
        /// The axis, from 0.
        axis: usize,
        /// The position given.
        index: i64,
        /// The axis's length.
        len: usize,
    },
    /// A position in a list of positions, outside its axis.
    Position {
        /// Where it stands in the list, from 0.
        place: usize,
        /// The axis, from 0.
        axis: usize,
        /// The position given.
        index: i64,
        /// The axis's length.
        len: usize,
    },
    /// More subscripts than axes.
    TooManyIndices {
        /// Subscripts that use up an axis.
        given: usize,
        /// The array's rank.
        ndim: usize,
    },
    /// A list of booleans of another length than its axis.
    BooleanLength {
        /// The axis, from 0.
        axis: usize,
        /// The list's length.
        given: usize,
        /// The axis's length.
        len: usize,
    },
    /// Lists of one index that do not broadcast together.
    ListBroadcast {
        /// What the lists before it broadcast to.
        before: Shape,
        /// The list's shape; of a boolean list, how many are true.
        given: Shape,
    },
    /// A selection of none or several elements where one is wanted.
    NotOneElement {
        /// The selection's shape.
        shape: Shape,
    },
    /// Subscript text that does not parse.
    IndexSyntax {
        /// Column in the text, from 1.
        column: usize,
        /// What is wrong there.
        what: Cow<'static, str>,
    },
    /// An axis number outside the array's rank.
    Axis {
        /// The axis given.
        axis: i64,
        /// The array's rank.
        ndim: usize,
    },
    /// An axis named twice.
    RepeatedAxis {
        /// The axis, from 0.
        axis: usize,
    },
    // VALUE
    /// Text that is no number.
    NotANumber {
        /// What was given, cut for display.
        given: String,
    },
    /// A number the dtype cannot hold.
    OutOfRange {
        /// The number, cut for display.
        given: String,
        /// The dtype.
        dtype: Dtype,
    },
    /// An operation that has no answer for an empty input.
    Empty {
        /// The operation.
        what: &'static str,
    },
    /// Any other argument value that is wrong; the text names it, and what is allowed.
    Value(Cow<'static, str>),
    // SYNTAX
    /// Words in the wrong place, missing or unknown.
    Syntax(Cow<'static, str>),
    // LIMIT
    /// A size above a limit.
    Limit {
        /// What was measured.
        what: &'static str,
        /// The size, in `unit`.
        given: u128,
        /// The limit, in `unit`.
        limit: u128,
        /// `bytes`, `elements`, `chunks`, …
        unit: &'static str,
    },
    /// A size above one that the server's configuration allows.
    AboveSetting {
        /// What was measured.
        what: &'static str,
        /// The size, in bytes.
        given: usize,
        /// What the setting allows.
        limit: usize,
        /// The setting.
        setting: &'static str,
    },
    /// A text that is too long for a person.
    TooLongToShow {
        /// Its bytes.
        given: u128,
        /// The most that are shown.
        most: usize,
    },
    // CORRUPT
    /// A file, message or payload that does not hold.
    Corrupt {
        /// The format: `NPY`, `ARROW`, `chunk`, `RDB`, …
        format: &'static str,
        /// Where, in bytes from the start (for a chunk: its number).
        at: usize,
        /// What is wrong there.
        what: Cow<'static, str>,
    },
    // OOM
    /// Memory was asked for and not given.
    OutOfMemory {
        /// Bytes asked for.
        bytes: usize,
    },
    // ERR
    /// Nobody waits for the answer any more.
    Interrupted,
}

impl Error {
    /// The code: the first word of the reply, upper case.
    pub fn code(&self) -> &'static str {
        use Error::*;
        match self {
            UnknownDtype { .. }
            | UnsupportedDtype { .. }
            | UnknownDescriptor { .. }
            | Cast { .. }
            | Outcome { .. }
            | Operation { .. }
            | StackDtype { .. } => "DTYPE",
            ShapeSyntax { .. }
            | Rank { .. }
            | ByteLength { .. }
            | ElementCount { .. }
            | Ragged { .. }
            | StackShape { .. }
            | ChunkShape { .. }
            | Reshape { .. }
            | OpenShape { .. }
            | Resize { .. }
            | AppendShape { .. }
            | MaskShape { .. }
            | Broadcast { .. } => "SHAPE",
            OutOfBounds { .. }
            | Position { .. }
            | TooManyIndices { .. }
            | BooleanLength { .. }
            | ListBroadcast { .. }
            | NotOneElement { .. }
            | IndexSyntax { .. }
            | Axis { .. }
            | RepeatedAxis { .. } => "INDEX",
            NotANumber { .. } | OutOfRange { .. } | Empty { .. } | Value(_) => "VALUE",
            Syntax(_) => "SYNTAX",
            TooManyElements { .. } | Limit { .. } | AboveSetting { .. } | TooLongToShow { .. } => "LIMIT",
            Corrupt { .. } => "CORRUPT",
            OutOfMemory { .. } => "OOM",
            Interrupted => "ERR",
        }
    }

    /// A [`Error::Corrupt`] of `format` at byte `at`.
    pub fn corrupt(format: &'static str, at: usize, what: impl Into<Cow<'static, str>>) -> Error {
        Error::Corrupt { format, at, what: what.into() }
    }

    /// A [`Error::Syntax`].
    pub fn syntax(what: impl Into<Cow<'static, str>>) -> Error {
        Error::Syntax(what.into())
    }

    /// A [`Error::Value`].
    pub fn value(what: impl Into<Cow<'static, str>>) -> Error {
        Error::Value(what.into())
    }
}

/// Bytes from outside as text that is safe to repeat: printable, at most 64 bytes of it, `…` where it was cut.
pub fn quoted(given: &[u8]) -> String {
    let cut = &given[..given.len().min(QUOTED)];
    let mut text: String =
        String::from_utf8_lossy(cut).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if given.len() > QUOTED {
        text.push('…');
    }
    text
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Error::*;
        f.write_str(self.code())?;
        f.write_str(" ")?;
        match self {
            UnknownDtype { given, or } => {
                write!(f, "unknown dtype '{given}' (use one of:")?;
                let names = Dtype::ALL.iter().map(|d| d.name()).chain(or.iter().copied());
                for (i, name) in names.enumerate() {
                    let before = match i {
                        0 => "",
                        i if i == Dtype::ALL.len() => "; or",
                        _ => ",",
                    };
                    write!(f, "{before} {name}")?;
                }
                f.write_str(")")
            }
            UnsupportedDtype { dtype, by, hint } => write!(f, "{by} takes no {dtype} ({hint})"),
            UnknownDescriptor { format, given } => {
                write!(
                    f,
                    "{format} descriptor '{given}' names no dtype that is stored here (only plain numbers and bool)"
                )
            }
            Cast { from, to, rule } => write!(f, "cannot cast {from} to {to} under the rule '{rule}'"),
            Outcome { operator, made, target } => write!(
                f,
                "{operator} makes {made}, which {target} cannot take under the rule 'same_kind' (ND.ASTYPE changes the array's dtype)"
            ),
            Operation { operator, dtype, hint } => write!(f, "{operator} has no meaning for {dtype} ({hint})"),
            ShapeSyntax { given, may_be_open } => {
                let open = if *may_be_open { ", -1 for one that follows from the others" } else { "" };
                write!(f, "'{given}' is not a shape (write lengths as 3,4 or 5{open}, and () for a scalar)")
            }
            Rank { ndim } => write!(f, "{ndim} dimensions given, at most {} are allowed", super::shape::MAX_NDIM),
            TooManyElements { shape, dtype } => {
                write!(f, "shape {shape} of {dtype} is larger than the largest possible array ({} bytes)", i64::MAX)
            }
            ByteLength { dtype, shape, need, given } => {
                write!(f, "{dtype} of shape {shape} takes {need} bytes, {given} given")
            }
            ElementCount { shape, given } => {
                write!(f, "shape {shape} holds {} elements, {given} given", shape.len_or_max())
            }
            Ragged { at, what } => write!(f, "ragged nested lists at byte {at}: {what}"),
            StackDtype { place, given, first, dtype } => write!(
                f,
                "row {place} is {given}, row {first} is {dtype} (use DTYPE to say what they are to become)"
            ),
            StackShape { place, given, first, expected } => {
                write!(
                    f,
                    "row {place} has the shape {given}, row {first} has {expected} (all rows must have one shape)"
                )
            }
            ChunkShape { chunk, shape, why } => write!(f, "chunk shape {chunk} for an array of shape {shape}: {why}"),
            Reshape { size, shape } => write!(
                f,
                "{size} elements cannot be an array of shape {shape}, which holds {}",
                shape.len_or_max()
            ),
            OpenShape { size, others: 0 } => {
                write!(f, "-1 stands for nothing where another axis is empty ({size} elements are there)")
            }
            OpenShape { size, others } => {
                write!(f, "{size} elements do not divide by {others}, the product of the lengths beside -1")
            }
            Resize { from, to } => {
                write!(f, "an array of shape {from} cannot become {to} (it keeps its {} axes)", from.ndim())
            }
            AppendShape { value, to, axis } => write!(
                f,
                "a value of shape {value} cannot be appended to an array of shape {to} along axis {axis} (it must have as many \
                 axes, and the same lengths but for that one)"
            ),
            MaskShape { mask, shape } => {
                write!(f, "a mask of shape {mask} does not broadcast to {shape}, the shape of what is reduced")
            }
            Broadcast { value, to } => {
                write!(f, "a value of shape {value} does not broadcast to the selection's shape {to}")
            }
            OutOfBounds { axis, index, len: 0 } => {
                write!(f, "axis {axis}: index {index} is out of bounds for length 0 (the axis is empty)")
            }
            OutOfBounds { axis, index, len } => write!(
                f,
                "axis {axis}: index {index} is out of bounds for length {len} (use -{len} to {})",
                len.saturating_sub(1)
            ),
            Position { place, axis, index, len } => {
                write!(f, "position {place} of the list: {index} is out of bounds for axis {axis} of length {len} ")?;
                match len {
                    0 => f.write_str("(the axis is empty)"),
                    _ => write!(f, "(use -{len} to {})", len.saturating_sub(1)),
                }
            }
            TooManyIndices { given, ndim } => {
                write!(f, "{given} indices for an array of {ndim} dimensions (use at most {ndim})")
            }
            BooleanLength { axis, given, len } => {
                write!(f, "axis {axis}: boolean list of length {given} for length {len}")
            }
            ListBroadcast { before, given } => {
                write!(f, "lists of shapes {before} and {given} do not broadcast together (use equal lengths, or 1)")
            }
            NotOneElement { shape } => {
                write!(f, "the selection has the shape {shape}, one element is wanted (use an integer for every axis)")
            }
            IndexSyntax { column, what } => write!(f, "column {column}: {what}"),
            Axis { axis, ndim: 0 } => write!(f, "axis {axis} is out of bounds for an array of 0 dimensions"),
            Axis { axis, ndim } => write!(
                f,
                "axis {axis} is out of bounds for an array of {ndim} dimensions (use -{ndim} to {})",
                ndim.saturating_sub(1)
            ),
            RepeatedAxis { axis } => write!(f, "axis {axis} is named twice"),
            NotANumber { given } => {
                write!(f, "'{given}' is not a number (use digits, nan, inf, -inf, true, false, or 1+2j for complex)")
            }
            OutOfRange { given, dtype } => match dtype.integer_range() {
                Some((lo, hi)) => write!(f, "{given} cannot be held by {dtype} (use an integer from {lo} to {hi})"),
                None if *dtype == Dtype::Bool => write!(f, "{given} cannot be held by bool (use true, false, 1 or 0)"),
                None => write!(f, "{given} cannot be held by {dtype} (use a real number)"),
            },
            Empty { what } => write!(f, "{what} of an empty array has no answer"),
            Value(what) | Syntax(what) => f.write_str(what),
            Limit { what, given, limit, unit } => {
                write!(f, "{what} would take {given} {unit}, the limit is {limit}")
            }
            AboveSetting { what, given, limit, setting } => {
                write!(f, "{what} would take {given} bytes, the limit is {limit} (ndarray.{setting})")
            }
            TooLongToShow { given, most } => {
                write!(f, "the text would take {given} bytes, at most {most} are shown (name an index, or use ND.GET with TEXT)")
            }
            Corrupt { format: format @ "chunk", at, what } => write!(f, "{format} {at}: {what}"),
            Corrupt { format, at, what } => write!(f, "{format} at byte {at}: {what}"),
            OutOfMemory { bytes } => write!(f, "{bytes} bytes of memory were asked for and not given"),
            Interrupted => f.write_str("the work was given up: nobody waits for it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_where_and_what_would_be_right() {
        let text = |e: Error| e.to_string();
        assert_eq!(
            text(Error::OutOfBounds { axis: 1, index: 12, len: 10 }),
            "INDEX axis 1: index 12 is out of bounds for length 10 (use -10 to 9)"
        );
        assert_eq!(
            text(Error::UnknownDtype { given: "int33".into(), or: &[] }),
            "DTYPE unknown dtype 'int33' (use one of: bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, \
             float16, bfloat16, float32, float64, complex64, complex128)"
        );
        assert_eq!(
            text(Error::ElementCount { shape: Shape::from([2, 3]), given: 5 }),
            "SHAPE shape (2, 3) holds 6 elements, 5 given"
        );
        assert_eq!(
            text(Error::ByteLength { dtype: Dtype::Float32, shape: Shape::from([3]), need: 12, given: 7 }),
            "SHAPE float32 of shape (3,) takes 12 bytes, 7 given"
        );
        assert_eq!(
            text(Error::OutOfRange { given: "300".into(), dtype: Dtype::UInt8 }),
            "VALUE 300 cannot be held by uint8 (use an integer from 0 to 255)"
        );
        assert_eq!(text(Error::Rank { ndim: 65 }), "SHAPE 65 dimensions given, at most 64 are allowed");
    }

    #[test]
    fn quoted_text_is_printable_and_short() {
        assert_eq!(quoted(b"a\r\nb"), "a\u{fffd}\u{fffd}b");
        assert_eq!(quoted(&[b'x'; 100]), format!("{}…", "x".repeat(64)));
    }
}
