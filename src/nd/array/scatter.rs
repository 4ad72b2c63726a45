//! Which patches a write makes in which chunk: the geometry of writing, for subscripts with and without lists.
//!
//! The patches of one chunk come in the order of the selection, so that the last of repeated positions wins, and repeated
//! sums add up.

use super::gather::{each_entry, entry_size, part_count, Cursor, Pick, Plan};
use super::layout::{Layout, Patch};
use crate::nd::error::{Error, Result};
use crate::nd::grid::{c_steps, ChunkBox, Grid, Part, PerAxis};
use crate::nd::index::{Advanced, AxisRange, Selection};
use crate::nd::shape::Shape;

/// Picks of one batch where each is one element: more than a read has, because a chunk that two batches meet is encoded twice.
const BATCH: usize = 512 << 10;

/// Picks of one batch where each is a block, which takes a [`Patch`].
const BATCH_OF_BLOCKS: usize = 64 << 10;

/// What happens to one chunk.
#[derive(Clone, Copy)]
pub(super) enum Patches<'p> {
    /// Blocks, one after the other.
    Blocks(&'p [Patch]),
    /// Single elements, one after the other: of the chunk, and of the value.
    Points(&'p [(usize, usize)]),
}

/// Calls `f` with each chunk that a selection touches and what happens there. A chunk may come several times, with what
/// happens first coming first.
///
/// The selection has an element; it was resolved for `shape`, and `layout` is the value's over it.
///
/// # Errors
/// `LIMIT` for more chunks or picks than one command makes; `OOM`; whatever `f` answers, at once.
pub(super) fn visit(
    selection: &Selection,
    layout: &Layout,
    shape: &Shape,
    grid: &Grid,
    mut f: impl FnMut(&ChunkBox, Patches<'_>) -> Result<()>,
) -> Result<()> {
    match selection {
        Selection::Basic(basic) => {
            let steps = layout.basic(&basic.axes);
            visit_ranges(grid, &basic.axes, &steps, 0, &mut f)
        }
        Selection::Advanced(lists) if part_count(lists, grid) > BATCH_OF_BLOCKS as u128 => {
            // Each entry has more parts than a batch: entry by entry.
            let (first_of, inner) = (layout.entries(lists), layout.inner(lists));
            let mut steps: PerAxis<isize> = PerAxis::from_elem(0, shape.ndim());
            lists.inner().iter().zip(&inner).for_each(|((axis, _), step)| steps[*axis] = *step);
            each_entry(lists, grid, |entry, axes| visit_ranges(grid, axes, &steps, first_of(entry), &mut f))
        }
        Selection::Advanced(lists) => visit_lists(lists, layout, shape, grid, &mut f),
    }
}

/// One range per axis; `steps` are the value's along each, from its element `first` on.
fn visit_ranges(
    grid: &Grid,
    axes: &[AxisRange],
    steps: &[isize],
    first: usize,
    f: &mut impl FnMut(&ChunkBox, Patches<'_>) -> Result<()>,
) -> Result<()> {
    grid.parts(axes, |part: &Part| {
        let along = part.outs.iter().zip(steps).map(|(out, step)| out * *step as usize); // never negative
        let value_start = first + along.sum::<usize>();
        let patch = Patch::new(part.chunk_start, &part.chunk_strides, value_start, steps, &part.counts);
        f(&part.chunk, Patches::Blocks(&[patch]))
    })
}

/// Lists, batch by batch, each put in the order of chunks.
fn visit_lists(
    lists: &Advanced,
    layout: &Layout,
    shape: &Shape,
    grid: &Grid,
    f: &mut impl FnMut(&ChunkBox, Patches<'_>) -> Result<()>,
) -> Result<()> {
    let plan = Plan::new(lists, shape, grid)?;
    let (first_of, inner) = (layout.entries(lists), layout.inner(lists));
    let size = entry_size(lists);
    let value_of_part: Vec<usize> =
        plan.parts.iter().map(|p| p.axes.iter().zip(&inner).map(|(a, s)| a.out * *s as usize).sum()).collect();
    let value_start = |pick: &Pick| first_of(pick.out / size) + value_of_part[pick.part as usize];

    let most = if plan.is_single() { BATCH } else { BATCH_OF_BLOCKS };
    let batch = most.min(plan.entries.saturating_mul(plan.parts.len()));
    let mut picks: Vec<Pick> = Vec::new();
    let out_of_memory = |_| Error::OutOfMemory { bytes: batch * std::mem::size_of::<Pick>() };
    picks.try_reserve_exact(batch).map_err(out_of_memory)?;
    let (mut points, mut patches) = (Vec::new(), Vec::new());
    let mut cursor = Cursor::new(&plan);
    while cursor.fill(&mut picks, most) {
        if !picks.is_sorted_by_key(|p| p.chunk) {
            picks.sort_unstable_by_key(|p| (p.chunk, p.out)); // one entry has one part in a chunk
        }
        for group in picks.chunk_by(|a, b| a.chunk == b.chunk) {
            let place = grid.chunk(group[0].chunk);
            if plan.is_single() {
                points.clear();
                points.extend(group.iter().map(|pick| (pick.start, value_start(pick))));
                f(&place, Patches::Points(&points))?;
                continue;
            }
            let chunk_steps = c_steps(&place.shape);
            let steps: PerAxis<isize> = lists.inner().iter().map(|(axis, r)| r.step * chunk_steps[*axis]).collect();
            patches.clear();
            patches.extend(group.iter().map(|pick| {
                let counts = &plan.parts[pick.part as usize].counts;
                Patch::new(pick.start, &steps, value_start(pick), &inner, counts)
            }));
            f(&place, Patches::Blocks(&patches))?;
        }
    }
    Ok(())
}
