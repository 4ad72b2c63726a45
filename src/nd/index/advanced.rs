//! Selections with lists: points between two products of ranges.
//!
//! However an index mixes lists and slices, its output in C order is three nested loops:
//! ```text
//! for o in outer ranges        the slices before the lists, where the lists' axes stand in place
//!     for p in points          0 .. point_count(): one coordinate for every axis that a list or an integer uses up
//!         for i in inner ranges
//!             source element (o, p, i)
//! ```
//! Every source axis belongs to exactly one of the three. The lists are kept as written and broadcast while reading:
//! `[[0],[1],[2]], [0,1,2,3]` holds seven positions and makes twelve points. To work chunk by chunk, take the points by
//! the chunks that their coordinates fall in, and cut the ranges at the chunks' edges; output element `(o, p, i)` is
//! number `(o * point_count + p) * inner_count + i`.

use smallvec::SmallVec;

use super::super::shape::Shape;
use super::{product_position, AxisRange};

/// What an index with at least one list or boolean selects.
#[derive(Clone, Debug, PartialEq)]
pub struct Advanced {
    pub(super) outer: SmallVec<[(usize, AxisRange); 4]>,
    /// Empty where there are no points.
    pub(super) terms: SmallVec<[Term; 2]>,
    pub(super) points: Shape,
    pub(super) inner: SmallVec<[(usize, AxisRange); 4]>,
    pub(super) out_shape: Shape,
}

/// One list or integer, and the axes it uses up: one, or for nested booleans several that follow each other.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Term {
    first_axis: usize,
    dims: SmallVec<[usize; 2]>,
    /// Positions within these axes, flat in C order.
    positions: Vec<usize>,
    /// For each axis of the points: from one point to the next in `positions`, 0 where the list repeats.
    strides: SmallVec<[usize; 2]>,
}

impl Term {
    /// A list of the shape `own`, which broadcasts to `points`.
    pub(super) fn new(first_axis: usize, dims: &[usize], positions: Vec<usize>, own: &Shape, points: &Shape) -> Term {
        let mut strides = SmallVec::from_elem(0, points.ndim());
        let own_strides = own.c_strides();
        for ((s, &own_stride), &len) in strides.iter_mut().rev().zip(own_strides.iter().rev()).zip(own.iter().rev()) {
            *s = if len == 1 { 0 } else { own_stride };
        }
        Term { first_axis, dims: SmallVec::from_slice(dims), positions, strides }
    }

    /// Its position for point `p` of the shape `points`.
    fn at(&self, mut p: usize, points: &Shape) -> usize {
        let mut at = 0;
        for (&len, &stride) in points.iter().zip(&self.strides).rev() {
            at += p % len * stride;
            p /= len;
        }
        self.positions[at]
    }
}

impl Advanced {
    /// The selection that one flat list of positions on `axis`, all within it, makes of an array of this shape: what
    /// `numpy.take` does. `out_shape` is the shape with the list's length in the place of the axis's.
    pub fn take(shape: &Shape, axis: usize, positions: Vec<usize>, out_shape: Shape) -> Advanced {
        let ranges = |axes: std::ops::Range<usize>| axes.map(|a| (a, AxisRange::whole(shape[a]))).collect();
        let points = Shape::from([positions.len()]);
        let terms = match positions.is_empty() {
            true => SmallVec::new(),
            false => SmallVec::from_iter([Term::new(axis, &shape[axis..=axis], positions, &points, &points)]),
        };
        Advanced { outer: ranges(0..axis), terms, points, inner: ranges(axis + 1..shape.ndim()), out_shape }
    }

    /// The shape of the result.
    pub fn out_shape(&self) -> &Shape {
        &self.out_shape
    }

    /// Axes and ranges that vary slowest, in axis order.
    pub fn outer(&self) -> &[(usize, AxisRange)] {
        &self.outer
    }

    /// Axes and ranges that vary fastest, in axis order.
    pub fn inner(&self) -> &[(usize, AxisRange)] {
        &self.inner
    }

    /// How many points the lists broadcast to.
    pub fn point_count(&self) -> usize {
        self.points.len_or_max()
    }

    /// Writes the coordinates of point `p` to their places in `coordinates`, which has one for every source axis; those
    /// of the outer and inner axes are left alone.
    ///
    /// # Panics
    /// Where `p` is not below [`Advanced::point_count`]: a bug in the caller.
    pub fn point(&self, p: usize, coordinates: &mut [usize]) {
        for term in &self.terms {
            let mut position = term.at(p, &self.points);
            for (coordinate, &dim) in coordinates[term.first_axis..].iter_mut().zip(&term.dims).rev() {
                *coordinate = position % dim;
                position /= dim;
            }
        }
    }

    /// The axis and the positions on it where the index is one list of integers (or one flat list of booleans) and
    /// whole or sliced axes: what `numpy.take` does. The list's own shape does not matter to the order of elements. `None` where
    /// there are no points.
    pub fn as_take(&self) -> Option<(usize, &[usize])> {
        match &self.terms[..] {
            [term] if term.dims.len() == 1 && term.positions.len() == self.point_count() => {
                Some((term.first_axis, &term.positions))
            }
            _ => None,
        }
    }

    /// The source position in C order of output element `k`.
    pub(super) fn position(&self, k: usize, strides: &[usize]) -> usize {
        let with_strides = |ranges: &'_ [(usize, AxisRange)]| -> SmallVec<[(AxisRange, usize); 4]> {
            ranges.iter().map(|(axis, range)| (*range, strides[*axis])).collect()
        };
        let inner_count: usize = self.inner.iter().map(|(_, range)| range.len).product();
        let (point, inner) = (k / inner_count, k % inner_count);
        let (outer, point) = (point / self.point_count(), point % self.point_count());
        let mut coordinates = SmallVec::<[usize; 4]>::from_elem(0, strides.len());
        self.point(point, &mut coordinates);
        let of_point: usize = coordinates.iter().zip(strides).map(|(c, stride)| c * stride).sum();
        of_point
            + product_position(with_strides(&self.outer).iter().map(|(r, s)| (r, *s)), outer)
            + product_position(with_strides(&self.inner).iter().map(|(r, s)| (r, *s)), inner)
    }
}
