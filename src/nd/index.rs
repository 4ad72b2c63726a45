//! NumPy subscripts: text such as `0:10, ::2, ..., -1` becomes a [`Selection`] of one array's elements.
//!
//! ```text
//! index    = [ "(" ] [ item { "," item } [ "," ] ] [ ")" ]      nothing, or (), is the whole array
//! item     = integer | slice | "..." | newaxis | boolean | list
//! slice    = [ bound ] ":" [ bound ] [ ":" [ bound ] ]          any step but 0; bounds clamp to the axis
//! bound    = integer | "None"
//! list     = "[" [ element { "," element } [ "," ] ] "]"        nested to one depth, equal lengths
//! element  = integer | boolean | list                           integers or booleans, not both
//! integer  = [ "+" | "-" ] digit { digit }                      from the end where negative
//! newaxis  = "None" | "newaxis" | "np.newaxis" | "numpy.newaxis"
//! boolean  = "True" | "False"
//! ```
//! Spaces may stand between any two of these, and words are read in any case (`Ellipsis` is `...`). A bracket is always
//! a list: `a[0:3]` in NumPy is the index `0:3`, and the index `[0,5]` is `a[[0, 5]]`.
//!
//! The meaning is NumPy's:
//! - Integers drop their axis, newaxis adds one of length 1, missing axes are taken whole where `...` stands or at the end.
//! - A list makes the index *advanced*. Lists, and then the integers too, broadcast together, and their axes stand where
//!   the first of them stood, or in front where a slice, `...` or newaxis separates them.
//! - A list of booleans uses up as many axes as it is deep, and is the lists of positions where it is true. A lone
//!   boolean is such a list of depth 0: it uses up no axis, and adds one of length 1 or 0.
//! - Positions in lists are not checked where the lists broadcast to nothing.
//!
//! Two deliberate differences: a list of integers and booleans together is refused (NumPy reads `True` as 1 there), and
//! an integer beyond 64 bits is out of bounds, shown as the nearest 64-bit number.
//!
//! Text comes from outside: it is at most [`MAX_TEXT`] bytes and [`MAX_ITEMS`] items, lists nest at most [`MAX_DEPTH`]
//! deep, and what is kept grows with the text alone, never with the selection. Lists are not expanded when they
//! broadcast. An index without lists, of at most four items and an array of at most four axes, allocates nothing.

use smallvec::SmallVec;

use super::error::{Error, Result};
use super::shape::Shape;

mod advanced;
mod axes;
mod parse;
mod resolve;

pub use advanced::Advanced;
pub use axes::{normalize_axes, parse_axes};

/// The longest index text, in bytes.
pub const MAX_TEXT: usize = 1 << 20;

/// How deep lists nest at most: as many dimensions as an array may have.
pub const MAX_DEPTH: usize = super::shape::MAX_NDIM;

/// How many parts between commas an index has at most, as in NumPy.
pub const MAX_ITEMS: usize = 2 * super::shape::MAX_NDIM;

/// A parsed index, of no array yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    items: SmallVec<[Item; 4]>,
    /// Axes that the items use up.
    used: usize,
    /// Axes of the result that slices and newaxis make.
    made: usize,
    has_ellipsis: bool,
    is_advanced: bool,
}

/// One comma-separated part of an index.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    Integer(i64),
    Slice(Slice),
    Ellipsis,
    NewAxis,
    Boolean(bool),
    List(Box<List>),
}

/// `start:stop:step`; the step is neither 0 nor `i64::MIN`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Slice {
    start: Option<i64>,
    stop: Option<i64>,
    step: i64,
}

/// A nested list, flat in C order.
#[derive(Clone, Debug, PartialEq)]
struct List {
    shape: Shape,
    values: Values,
}

#[derive(Clone, Debug, PartialEq)]
enum Values {
    Integers(Vec<i64>),
    Booleans(Vec<bool>),
}

/// Which elements of one array an index selects, and the shape of the result.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// Integers, slices, `...` and newaxis only.
    Basic(Basic),
    /// With at least one list or boolean.
    Advanced(Box<Advanced>),
}

/// One range per source axis. The output elements in C order are the ranges' product in axis order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basic {
    /// As many as the array has axes.
    pub axes: SmallVec<[AxisRange; 4]>,
    /// The shape of the result: without the axes of integers, with those of newaxis.
    pub out_shape: Shape,
}

/// Positions `start + i * step` for `i` below `len`, all within the axis.
///
/// There is one way to write each: an empty range starts at 0, and a range of fewer than two positions has step 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxisRange {
    /// The first position.
    pub start: usize,
    /// From one position to the next; negative backwards, never 0.
    pub step: isize,
    /// How many positions.
    pub len: usize,
}

impl Index {
    /// Reads index text.
    ///
    /// # Errors
    /// `INDEX` with the column where the text breaks the grammar, for a step of 0, a second `...`, and lists that are
    /// ragged, mixed or too deep, and for too many items; `LIMIT` above [`MAX_TEXT`] bytes.
    pub fn parse(text: &[u8]) -> Result<Index> {
        parse::index(text)
    }

    /// What the index selects of an array of this shape.
    ///
    /// # Errors
    /// `INDEX` for more items than axes, a position outside its axis, a boolean list of another length than its axis,
    /// and lists that do not broadcast; `SHAPE` for a result of more than 64 dimensions; `LIMIT` for a result of more
    /// elements than can be counted.
    pub fn resolve(&self, shape: &Shape) -> Result<Selection> {
        if self.used > shape.ndim() {
            return Err(Error::TooManyIndices { given: self.used, ndim: shape.ndim() });
        }
        if self.is_advanced {
            resolve::advanced(self, shape).map(|a| Selection::Advanced(Box::new(a)))
        } else {
            resolve::basic(self, shape).map(Selection::Basic)
        }
    }
}

impl Selection {
    /// The shape of the result.
    pub fn out_shape(&self) -> &Shape {
        match self {
            Selection::Basic(b) => &b.out_shape,
            Selection::Advanced(a) => a.out_shape(),
        }
    }

    /// The source positions in C order, one per output element in output order: the slow reference that everything
    /// faster is checked against. `shape` is the one the index was resolved for.
    pub fn positions<'a>(&'a self, shape: &Shape) -> impl Iterator<Item = usize> + 'a {
        let strides = shape.c_strides();
        let size = self.out_shape().len_or_max();
        (0..size).map(move |k| match self {
            Selection::Basic(b) => b.position(k, &strides),
            Selection::Advanced(a) => a.position(k, &strides),
        })
    }
}

impl Selection {
    /// The run of C-order elements (start, length) that the selection is, where it is one.
    pub fn as_contiguous_run(&self, shape: &Shape) -> Option<(usize, usize)> {
        match self {
            Selection::Basic(basic) => basic.is_contiguous_run(shape),
            Selection::Advanced(_) => None,
        }
    }
}

impl Basic {
    /// Every element of an array.
    pub fn whole(shape: &Shape) -> Basic {
        Basic { axes: shape.iter().map(|&len| AxisRange::whole(len)).collect(), out_shape: shape.clone() }
    }

    /// First position and length where the selected elements are one ascending run of the source's C-order elements;
    /// `(0, 0)` where nothing is selected. `shape` is the one the index was resolved for.
    pub fn is_contiguous_run(&self, shape: &Shape) -> Option<(usize, usize)> {
        if self.out_shape.contains(&0) {
            return Some((0, 0));
        }
        // From the innermost axis: whole axes, then one stretch, then single positions.
        let (mut start, mut len, mut stride, mut is_whole) = (0, 1, 1, true);
        for (range, &dim) in self.axes.iter().zip(shape.iter()).rev() {
            if range.len != 1 {
                if range.step != 1 || !is_whole {
                    return None;
                }
                len *= range.len; // at most the size of the source
            }
            is_whole &= range.len == dim;
            start += range.start * stride; // below the size of the source
            stride *= dim;
        }
        Some((start, len))
    }

    fn position(&self, k: usize, strides: &[usize]) -> usize {
        product_position(self.axes.iter().zip(strides.iter().copied()), k)
    }
}

/// The source position of element `k` of the ranges' product in C order.
fn product_position<'a>(axes: impl DoubleEndedIterator<Item = (&'a AxisRange, usize)>, mut k: usize) -> usize {
    let mut position = 0;
    for (range, stride) in axes.rev() {
        position += range.at(k % range.len) * stride;
        k /= range.len;
    }
    position
}

impl AxisRange {
    /// All of an axis.
    pub fn whole(len: usize) -> AxisRange {
        AxisRange { start: 0, step: 1, len }
    }

    /// Position `i` of the range.
    pub fn at(&self, i: usize) -> usize {
        // Wrapping, because a step backwards is added as a number modulo 2^64; the sum itself is within the axis.
        self.start.wrapping_add(i.wrapping_mul(self.step as usize))
    }
}

#[cfg(test)]
mod tests;
