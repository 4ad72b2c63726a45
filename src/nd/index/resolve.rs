//! A parsed index and a shape to a selection.

use smallvec::SmallVec;

use super::super::error::{Error, Result};
use super::super::shape::{Shape, MAX_BYTES, MAX_NDIM};
use super::advanced::{Advanced, Term};
use super::{AxisRange, Basic, Index, Item, List, Slice, Values};

/// An index without lists; its items use up no more axes than there are.
pub(super) fn basic(index: &Index, shape: &Shape) -> Result<Basic> {
    let rest = shape.ndim() - index.used;
    check_rank(index.made + rest)?;
    let mut axes = SmallVec::new();
    let mut out_shape = Shape::scalar();
    let whole = |axes: &mut SmallVec<[AxisRange; 4]>, out_shape: &mut Shape| -> Result<()> {
        for &len in shape.iter().skip(axes.len()).take(rest) {
            axes.push(AxisRange::whole(len));
            out_shape.push(len)?;
        }
        Ok(())
    };
    for item in &index.items {
        let axis = axes.len();
        match item {
            Item::Integer(i) => axes.push(AxisRange { start: position(*i, axis, shape[axis])?, step: 1, len: 1 }),
            Item::Slice(s) => {
                let range = s.range(shape[axis]);
                out_shape.push(range.len)?;
                axes.push(range);
            }
            Item::Ellipsis => whole(&mut axes, &mut out_shape)?,
            Item::NewAxis => out_shape.push(1)?,
            Item::Boolean(_) | Item::List(_) => {} // not in a basic index
        }
    }
    if !index.has_ellipsis {
        whole(&mut axes, &mut out_shape)?;
    }
    Ok(Basic { axes, out_shape })
}

/// An index with lists; its items use up no more axes than there are.
pub(super) fn advanced(index: &Index, shape: &Shape) -> Result<Advanced> {
    let rest = shape.ndim() - index.used;
    let points = points_shape(index, shape)?;
    let is_empty = points.contains(&0);
    check_rank(index.made + rest + points.ndim())?;

    let mut terms = SmallVec::new();
    let mut ranges: SmallVec<[(usize, AxisRange); 4]> = SmallVec::new();
    let mut plain = Shape::scalar(); // the axes of the result that are not the lists'
                                     // Where the first list stands.
    let mut stretch = Stretch::Before;
    let (mut axes_before, mut ranges_before) = (0, 0);
    // Without `...`, the axes that nothing uses up follow the items.
    let last = (!index.has_ellipsis).then_some((index.used, &Item::Ellipsis));
    for (axis, item) in with_axes(index, shape).chain(last) {
        match (stretch, item.makes_points()) {
            (Stretch::Before, true) => {
                (axes_before, ranges_before) = (plain.ndim(), ranges.len());
                stretch = Stretch::Within;
            }
            (Stretch::Within, false) => stretch = Stretch::After,
            (Stretch::After, true) => (axes_before, ranges_before) = (0, 0),
            _ => {}
        }
        match item {
            Item::Integer(i) if !is_empty => {
                let positions = vec![position(*i, axis, shape[axis])?];
                terms.push(Term::new(axis, &shape[axis..=axis], positions, &Shape::scalar(), &points));
            }
            Item::List(list) if !is_empty => {
                let positions = list.positions(axis, shape[axis])?;
                let dims = &shape[axis..axis + list.axes()];
                terms.push(Term::new(axis, dims, positions, &list.points_shape(), &points));
            }
            Item::Integer(_) | Item::List(_) | Item::Boolean(_) => {}
            Item::Slice(s) => {
                let range = s.range(shape[axis]);
                plain.push(range.len)?;
                ranges.push((axis, range));
            }
            Item::Ellipsis => {
                for (axis, &len) in shape.iter().enumerate().skip(axis).take(rest) {
                    plain.push(len)?;
                    ranges.push((axis, AxisRange::whole(len)));
                }
            }
            Item::NewAxis => plain.push(1)?,
        }
    }

    let mut out_shape = Shape::new(&plain[..axes_before])?;
    for &len in points.iter().chain(&plain[axes_before..]) {
        out_shape.push(len)?;
    }
    if out_shape.checked_size().is_none_or(|size| size > MAX_BYTES) {
        let given = out_shape.iter().fold(1u128, |n, &len| n.saturating_mul(len as u128)); // widening
        return Err(Error::Limit { what: "the selection", given, limit: MAX_BYTES as u128, unit: "elements" });
    }
    let inner = ranges.drain(ranges_before..).collect();
    Ok(Advanced { outer: ranges, terms, points, inner, out_shape })
}

/// Where an item stands, seen from the lists.
#[derive(Clone, Copy)]
enum Stretch {
    Before,
    Within,
    After,
}

/// The shape that the lists broadcast to. Before that, in NumPy's order, the boolean lists are checked against their axes,
/// and the integers, which unlike lists must be within their axis even where the lists broadcast to nothing.
fn points_shape(index: &Index, shape: &Shape) -> Result<Shape> {
    for (axis, item) in with_axes(index, shape) {
        if let Item::List(list) = item {
            if let Values::Booleans(_) = list.values {
                for (axis, (&given, &len)) in (axis..).zip(list.shape.iter().zip(&shape[axis..])) {
                    if given != len {
                        return Err(Error::BooleanLength { axis, given, len });
                    }
                }
            }
        }
    }
    for (axis, item) in with_axes(index, shape) {
        if let Item::Integer(i) = item {
            position(*i, axis, shape[axis])?;
        }
    }
    let mut points = Shape::scalar();
    for item in &index.items {
        match item {
            Item::Boolean(b) => points = broadcast(&points, &Shape::from([usize::from(*b)]))?,
            Item::List(list) => points = broadcast(&points, &list.points_shape())?,
            _ => {}
        }
    }
    Ok(points)
}

/// The items, each with the axis it starts at.
fn with_axes<'a>(index: &'a Index, shape: &Shape) -> impl Iterator<Item = (usize, &'a Item)> {
    let rest = shape.ndim() - index.used;
    index.items.iter().scan(0, move |next, item| {
        let axis = *next;
        *next += match item {
            Item::Integer(_) | Item::Slice(_) => 1,
            Item::Ellipsis => rest,
            Item::NewAxis | Item::Boolean(_) => 0,
            Item::List(list) => list.axes(),
        };
        Some((axis, item))
    })
}

/// Two shapes aligned at their last axes; lengths are equal, or one of them is 1.
fn broadcast(a: &Shape, b: &Shape) -> Result<Shape> {
    let (mut wide, narrow) = if a.ndim() >= b.ndim() { (a.clone(), b) } else { (b.clone(), a) };
    let skip = wide.ndim() - narrow.ndim();
    for (w, &n) in wide.dims_mut()[skip..].iter_mut().zip(narrow.iter()) {
        if *w == 1 {
            *w = n;
        } else if n != 1 && n != *w {
            return Err(Error::ListBroadcast { before: a.clone(), given: b.clone() });
        }
    }
    Ok(wide)
}

impl Item {
    /// Whether it counts as a list once an index holds one.
    fn makes_points(&self) -> bool {
        matches!(self, Item::Integer(_) | Item::Boolean(_) | Item::List(_))
    }
}

impl List {
    /// How many axes of the array it uses up.
    fn axes(&self) -> usize {
        match self.values {
            Values::Integers(_) => 1,
            Values::Booleans(_) => self.shape.ndim(),
        }
    }

    /// The shape it broadcasts with.
    fn points_shape(&self) -> Shape {
        match &self.values {
            Values::Integers(_) => self.shape.clone(),
            Values::Booleans(b) => Shape::from([b.iter().filter(|&&is_set| is_set).count()]),
        }
    }

    /// Positions within its axes, flat in C order where there are several; `len` is the length of the first.
    fn positions(&self, axis: usize, len: usize) -> Result<Vec<usize>> {
        match &self.values {
            Values::Integers(i) => i.iter().map(|&i| position(i, axis, len)).collect(),
            Values::Booleans(b) => Ok(b.iter().enumerate().filter_map(|(at, &is_set)| is_set.then_some(at)).collect()),
        }
    }
}

impl Slice {
    /// The positions on an axis of this length, by Python's rules (`slice.indices`).
    fn range(&self, axis_len: usize) -> AxisRange {
        // No axis is longer: larger lengths are refused when an array is made.
        let len = i64::try_from(axis_len).unwrap_or(i64::MAX);
        let (lowest, highest) = if self.step > 0 { (0, len) } else { (-1, len - 1) };
        // `i + len` cannot overflow: i is negative and len is not.
        let clamp = |i: i64| if i < 0 { (i + len).max(lowest) } else { i.min(highest) };
        let (first, last) = if self.step > 0 { (lowest, highest) } else { (highest, lowest) };
        let start = self.start.map_or(first, clamp);
        let stop = self.stop.map_or(last, clamp);
        let span = if self.step > 0 { stop - start } else { start - stop };
        if span <= 0 {
            return AxisRange { start: 0, step: 1, len: 0 };
        }
        let count = (span - 1) / self.step.abs() + 1;
        // A range with a position starts within the axis, and both numbers are at most its length.
        let (start, count) = (start as usize, count as usize);
        AxisRange { start, step: if count == 1 { 1 } else { self.step as isize }, len: count }
    }
}

/// An integer as a position from the front of its axis.
fn position(index: i64, axis: usize, len: usize) -> Result<usize> {
    let found = match index < 0 {
        true => usize::try_from(index.unsigned_abs()).ok().and_then(|back| len.checked_sub(back)),
        false => usize::try_from(index).ok().filter(|&i| i < len),
    };
    found.ok_or(Error::OutOfBounds { axis, index, len })
}

fn check_rank(ndim: usize) -> Result<()> {
    if ndim > MAX_NDIM {
        return Err(Error::Rank { ndim });
    }
    Ok(())
}
