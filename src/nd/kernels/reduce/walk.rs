//! How a block is walked, and where its cells belong among those of the result. Geometry only.

use smallvec::SmallVec;

use super::cells::Cells;
use super::kernel::Erased;
use crate::nd::kernels::axes::AxisSet;

/// Neighbouring axes of a block that are all reduced or all kept, as one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) len: usize,
    pub(super) is_reduced: bool,
    /// Cells between neighbours; 0 where reduced.
    pub(super) stride: usize,
}

/// A block's axes brought down to groups that are reduced and kept in turn, without axes of length 1.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) groups: SmallVec<[Group; 4]>,
    pub(super) elements: usize,
    pub(super) cells: usize,
}

impl Walk {
    pub(super) fn new(block_shape: &[usize], axes: AxisSet) -> Walk {
        let mut groups: SmallVec<[Group; 4]> = SmallVec::new();
        for (axis, &len) in block_shape.iter().enumerate().filter(|(_, &len)| len != 1) {
            match groups.last_mut() {
                Some(last) if last.is_reduced == axes.contains(axis) => last.len *= len,
                _ => groups.push(Group { len, is_reduced: axes.contains(axis), stride: 0 }),
            }
        }
        let mut cells = 1;
        for group in groups.iter_mut().rev().filter(|g| !g.is_reduced) {
            group.stride = cells;
            cells *= group.len;
        }
        let elements = groups.iter().map(|g| g.len).product();
        Walk { groups, elements, cells }
    }

    /// The loop of the innermost groups, and the groups around it.
    pub(super) fn inner(&self) -> (Inner, &[Group]) {
        match self.groups.as_slice() {
            [] => (Inner::Run(1), &[]),
            [outer @ .., run] if run.is_reduced => (Inner::Run(run.len), outer),
            [outer @ .., rows, row] => (Inner::Rows { rows: rows.len, len: row.len }, outer),
            [row] => (Inner::Rows { rows: 1, len: row.len }, &[]),
        }
    }
}

/// The innermost loop of a walk.
pub(super) enum Inner {
    Run(usize),
    Rows { rows: usize, len: usize },
}

/// Calls `visit` with the cell at each position of `groups`, in C order.
pub(super) fn each_position(groups: &[Group], cell: usize, visit: &mut impl FnMut(usize)) {
    match groups {
        [] => visit(cell),
        [group, rest @ ..] => (0..group.len).for_each(|i| each_position(rest, cell + i * group.stride, visit)),
    }
}

/// As [`each_position`], and which of the reduced positions it is, counted in C order.
pub(super) fn each_reduced(groups: &[Group], cell: usize, number: usize, visit: &mut impl FnMut(usize, usize)) {
    match groups {
        [] => visit(cell, number),
        [group, rest @ ..] => (0..group.len).for_each(|i| {
            let number = if group.is_reduced { number * group.len + i } else { number };
            each_reduced(rest, cell + i * group.stride, number, visit);
        }),
    }
}

/// Where the cells of a block lie among those of the result.
pub(super) struct Place {
    /// The result's cell of the block's first.
    first: usize,
    /// Cells that lie next to one another in both.
    run: usize,
    /// The axes around such a run.
    outer: SmallVec<[Group; 4]>,
}

impl Place {
    pub(super) fn new(block_shape: &[usize], offset: &[usize], strides: &[usize]) -> Place {
        let first = offset.iter().zip(strides).map(|(at, stride)| at * stride).sum();
        let mut run = 1;
        let mut outer: SmallVec<[Group; 4]> = SmallVec::new();
        for (&len, &stride) in block_shape.iter().zip(strides).rev().filter(|(&len, &s)| s != 0 && len != 1) {
            if outer.is_empty() && stride == run {
                run *= len;
            } else {
                outer.push(Group { len, is_reduced: false, stride });
            }
        }
        outer.reverse();
        Place { first, run, outer }
    }

    /// The place of the one cell of a result that has no other.
    pub(super) fn only() -> Place {
        Place { first: 0, run: 1, outer: SmallVec::new() }
    }

    /// The first of the result's cells, where the block's cells are one run of them.
    pub(super) fn as_run(&self) -> Option<usize> {
        self.outer.is_empty().then_some(self.first)
    }

    /// Calls `visit` with the first of each run of the result's cells, and the run's length.
    pub(super) fn each_run(&self, visit: &mut impl FnMut(usize, usize)) {
        each_position(&self.outer, self.first, &mut |at| visit(at, self.run));
    }

    /// Adds a block's cells and tallies to those of the result.
    pub(super) fn merge(&self, kernel: &dyn Erased, cells: &mut Cells, block: &Cells) {
        let size = block.cell_size;
        let mut runs = block.bytes().chunks_exact((self.run * size).max(1));
        let mut tallies = block.tallies.chunks_exact(self.run.max(1));
        each_position(&self.outer, self.first, &mut |at| {
            if let Some(run) = runs.next() {
                kernel.merge(&mut cells.bytes_mut()[at * size..][..run.len()], run);
            }
            if let Some(run) = tallies.next() {
                for (tally, more) in cells.tallies[at..].iter_mut().zip(run) {
                    tally.chosen += more.chosen;
                    tally.taken += more.taken;
                }
            }
        });
    }
}
