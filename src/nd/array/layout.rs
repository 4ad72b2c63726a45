//! Where the elements of a value lie over a selection: NumPy's broadcasting, as one step per axis.

use smallvec::SmallVec;

use crate::nd::error::{Error, Result};
use crate::nd::grid::{c_steps, PerAxis};
use crate::nd::index::{Advanced, AxisRange};
use crate::nd::shape::Shape;

/// The axes of a selection's result that are not of length 1, and the value's step along each: 0 where it repeats.
///
/// Axes of length 1 need no step, and without them the axes of the result are those of the array (or of lists) in order,
/// whatever integers dropped and newaxis added.
#[derive(Debug)]
pub(super) struct Layout {
    lens: PerAxis<usize>,
    steps: PerAxis<isize>,
}

impl Layout {
    /// A value of one shape over a selection of another, as NumPy's assignment has it: axes of length 1 repeat, missing
    /// ones in front too, and those of length 1 in front that are too many fall away.
    ///
    /// # Errors
    /// `SHAPE` where they do not broadcast.
    pub(super) fn new(value: &Shape, to: &Shape) -> Result<Layout> {
        let refuse = || Error::Broadcast { value: value.clone(), to: to.clone() };
        let extra = value.ndim().saturating_sub(to.ndim());
        if value[..extra].iter().any(|len| *len != 1) {
            return Err(refuse());
        }
        let own = &value[extra..];
        let (own_steps, missing) = (c_steps(own), to.ndim() - own.len());
        let mut layout = Layout { lens: PerAxis::new(), steps: PerAxis::new() };
        for (axis, &len) in to.iter().enumerate() {
            let step = match axis.checked_sub(missing) {
                None => 0,
                Some(at) if own[at] == len => own_steps[at],
                Some(at) if own[at] == 1 => 0,
                Some(_) => return Err(refuse()),
            };
            if len != 1 {
                layout.lens.push(len);
                layout.steps.push(step);
            }
        }
        Ok(layout)
    }

    /// The value's step along each of these ranges; they are the last axes of the result but for `after`.
    fn along<'r>(&self, first: usize, ranges: impl Iterator<Item = &'r AxisRange>) -> PerAxis<isize> {
        let mut steps = self.steps[first..].iter();
        ranges.map(|range| if range.len == 1 { 0 } else { steps.next().copied().unwrap_or(0) }).collect()
    }

    /// The value's step along each axis of the array.
    pub(super) fn basic(&self, axes: &[AxisRange]) -> PerAxis<isize> {
        self.along(0, axes.iter())
    }

    /// The value's step along each inner axis of a selection by lists.
    pub(super) fn inner(&self, selection: &Advanced) -> PerAxis<isize> {
        self.along(self.entry_axes(selection), selection.inner().iter().map(|(_, range)| range))
    }

    /// How many axes the entries have: all but the inner ones.
    fn entry_axes(&self, selection: &Advanced) -> usize {
        self.lens.len() - selection.inner().iter().filter(|(_, range)| range.len != 1).count()
    }

    /// A function from the number of an entry (a turn of outer ranges and points) to the value's element where it begins.
    pub(super) fn entries(&self, selection: &Advanced) -> impl Fn(usize) -> usize + use<'_> {
        let axes = self.entry_axes(selection);
        let (lens, steps) = (&self.lens[..axes], &self.steps[..axes]);
        // Most values fill the selection, or are one element.
        let dense = c_steps(lens);
        let scale = steps.last().copied().unwrap_or(0);
        let even = dense.iter().zip(steps).all(|(d, s)| d * scale == *s);
        move |entry| {
            if even {
                return entry * scale as usize;
            }
            let (mut rest, mut at) = (entry, 0);
            for (len, step) in lens.iter().zip(steps).rev() {
                at += rest % len * *step as usize; // steps of a value are never negative
                rest /= len;
            }
            at
        }
    }
}

/// A block of one chunk's elements and the values that go there: `counts` along each axis, from `start` by `steps` in the
/// chunk and from `value_start` by `value_steps` in the value, all in elements.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The first element of the chunk.
    pub start: usize,
    /// Steps in the chunk; negative backwards.
    pub steps: PerAxis<isize>,
    /// The first element of the value.
    pub value_start: usize,
    /// Steps in the value; 0 where it repeats.
    pub value_steps: PerAxis<isize>,
    /// How many along each axis, none of them 0.
    pub counts: PerAxis<usize>,
}

impl Patch {
    /// A patch with as few axes as can be: neighbours that are walked like one axis are one.
    pub(super) fn new(
        start: usize,
        steps: &[isize],
        value_start: usize,
        value_steps: &[isize],
        counts: &[usize],
    ) -> Patch {
        let mut patch =
            Patch { start, steps: SmallVec::new(), value_start, value_steps: SmallVec::new(), counts: SmallVec::new() };
        for ((&count, &step), &value_step) in counts.iter().zip(steps).zip(value_steps) {
            if count == 1 {
                continue;
            }
            let last = patch.counts.len().wrapping_sub(1);
            let melts = patch.counts.last().is_some_and(|_| {
                patch.steps[last] == step * count as isize && patch.value_steps[last] == value_step * count as isize
            });
            if melts {
                patch.counts[last] *= count;
                (patch.steps[last], patch.value_steps[last]) = (step, value_step);
            } else {
                patch.counts.push(count);
                patch.steps.push(step);
                patch.value_steps.push(value_step);
            }
        }
        patch
    }

    /// How many elements.
    pub(super) fn size(&self) -> usize {
        self.counts.iter().product()
    }

    /// Whether one element of the value goes everywhere.
    pub(super) fn repeats_one(&self) -> bool {
        self.value_steps.iter().all(|step| *step == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_broadcast_as_numpy_assigns() {
        for (value, to, lens, steps) in [
            (&[][..], &[3, 4][..], &[3, 4][..], &[0, 0][..]),
            (&[4], &[3, 4], &[3, 4], &[0, 1]),
            (&[3, 1], &[3, 4], &[3, 4], &[1, 0]),
            (&[1, 1, 3, 4], &[3, 4], &[3, 4], &[4, 1]),
            (&[1, 1], &[], &[], &[]),
            (&[3, 1, 4], &[3, 1, 4], &[3, 4], &[4, 1]),
            (&[0], &[5, 0], &[5, 0], &[0, 1]),
            (&[1], &[0], &[0], &[0]),
        ] {
            let layout = Layout::new(&Shape::new(value).unwrap(), &Shape::new(to).unwrap()).unwrap();
            assert_eq!((&layout.lens[..], &layout.steps[..]), (lens, steps), "{value:?} to {to:?}");
        }
        for (value, to) in [
            (&[3][..], &[4][..]),
            (&[2, 4], &[4]),
            (&[5], &[0]),
            (&[0], &[1]),
            (&[4, 1], &[3, 4]),
            (&[3, 4], &[3, 1, 4]),
        ] {
            let (value, to) = (Shape::new(value).unwrap(), Shape::new(to).unwrap());
            let error = Layout::new(&value, &to).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("SHAPE a value of shape {value} does not broadcast to the selection's shape {to}")
            );
        }
    }

    #[test]
    fn axes_that_are_walked_like_one_melt() {
        let melted = Patch::new(5, &[12, 4, 1], 0, &[0, 0, 0], &[2, 3, 4]);
        assert_eq!((&melted.counts[..], &melted.steps[..], &melted.value_steps[..]), (&[24][..], &[1][..], &[0][..]));
        let apart = Patch::new(0, &[12, 4, 1], 0, &[4, 0, 1], &[2, 3, 4]);
        assert_eq!(&apart.counts[..], &[2, 3, 4]);
        let backwards = Patch::new(11, &[-4, 9, -1], 0, &[4, 7, 1], &[3, 1, 4]);
        assert_eq!((&backwards.counts[..], &backwards.steps[..]), (&[12][..], &[-1][..]));
        assert_eq!(backwards.size(), 12);
    }
}
