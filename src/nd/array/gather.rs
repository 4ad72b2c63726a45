//! Reading by lists: each chunk is decoded once for a batch of picks, however the lists jump about.
//!
//! A selection by lists is three nested loops (see [`Advanced`]): outer ranges, points, inner ranges. Each turn of the
//! outer two is an *entry*; it selects one block of the inner ranges, which chunk borders cut into *parts*. A *pick* is one
//! part of one entry: it lies in one chunk. Picks are listed in batches, put in the order of their chunks where some must
//! be decoded, and copied chunk by chunk.

use smallvec::SmallVec;

use super::{Array, Chunks};
use crate::nd::chunk::Chunk;
use crate::nd::codec::Encoding;
use crate::nd::error::{Error, Result};
use crate::nd::grid::{axis_parts, c_steps, copy_region, count_parts, AxisPart, Grid, PerAxis};
use crate::nd::index::{Advanced, AxisRange};
use crate::nd::interrupt;
use crate::nd::shape::Shape;

/// A selection makes at most this many picks: about a second or two of work.
const MAX_PICKS: u128 = 64 << 20;

/// Picks of one batch: 24 bytes each.
pub(super) const BATCH: usize = 64 << 10;

/// One part of one entry.
#[derive(Clone, Copy)]
pub(super) struct Pick {
    pub(super) chunk: u64,
    /// Element of the chunk that comes first.
    pub(super) start: usize,
    /// Element of the output where its entry begins.
    pub(super) out: usize,
    pub(super) part: u32,
}

/// How a part lies along the inner axes.
pub(super) struct InnerPart {
    /// One for each inner axis, in the order of [`Advanced::inner`].
    pub(super) axes: PerAxis<AxisPart>,
    pub(super) counts: PerAxis<usize>,
    /// Element of the inner block where it goes.
    out: usize,
}

impl Array {
    /// The elements that lists select, into exactly as many bytes.
    ///
    /// # Errors
    /// `LIMIT` for more picks than one command makes; `CORRUPT` where a chunk does not decode; `OOM`.
    pub(super) fn read_advanced(&self, selection: &Advanced, out: &mut [u8]) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        let shape = self.shape();
        // One list and nothing else: rows, as ND.TAKE has them.
        let is_whole = |(axis, range): &(usize, AxisRange)| *range == AxisRange::whole(shape[*axis]);
        if let Some((axis, list)) = selection.as_take() {
            if selection.outer().iter().chain(selection.inner()).all(is_whole) && self.take_rows(axis, list, out)? {
                return Ok(());
            }
        }
        // A plain array is one chunk, the whole of it.
        let whole;
        let (grid, chunks) = match self.chunks() {
            Some(chunks) => (self.grid_of(chunks), Some(chunks)),
            None => {
                whole = Shape::new(&shape.iter().map(|d| (*d).max(1)).collect::<PerAxis<usize>>())?;
                (Grid::new(&shape, &whole, self.dtype)?, None)
            }
        };
        if let (Some(chunks), true) = (chunks, part_count(selection, &grid) > BATCH as u128) {
            return self.read_entries(&grid, chunks, selection, out);
        }
        let plan = Plan::new(selection, &shape, &grid)?;
        // Whichever are fewer are asked: an array may have a million chunks, and a call one pick.
        let is_encoded = |c: &Chunk| c.encoding().is_encoded();
        let must_sort = |picks: &[Pick]| match chunks {
            Some(c) if c.map.len() <= picks.len() => c.map.values().any(is_encoded),
            Some(c) => picks.iter().any(|p| c.map.get(&p.chunk).is_some_and(is_encoded)),
            None => false,
        };
        let mut picks: Vec<Pick> = Vec::new();
        let batch = BATCH.min(plan.entries * plan.parts.len());
        picks
            .try_reserve_exact(batch)
            .map_err(|_| Error::OutOfMemory { bytes: batch * std::mem::size_of::<Pick>() })?;
        let mut cursor = Cursor::new(&plan);
        while cursor.fill(&mut picks, BATCH) {
            if !picks.is_sorted_by_key(|p| p.chunk) && must_sort(&picks) {
                picks.sort_unstable_by_key(|p| (p.chunk, p.out));
            }
            for group in picks.chunk_by(|a, b| a.chunk == b.chunk) {
                interrupt::check()?;
                self.copy_picks(&plan, chunks, group, out)?;
            }
        }
        Ok(())
    }

    /// [`Array::read_advanced`] where each entry has more parts than a batch: entry by entry, no part kept.
    fn read_entries(&self, grid: &Grid, chunks: &Chunks, selection: &Advanced, out: &mut [u8]) -> Result<()> {
        let size = entry_size(selection);
        each_entry(selection, grid, |entry, axes| self.read_parts(grid, chunks, axes, out, entry * size))
    }

    /// Copies the picks of one chunk.
    fn copy_picks(&self, plan: &Plan<'_>, chunks: Option<&Chunks>, picks: &[Pick], out: &mut [u8]) -> Result<()> {
        let itemsize = self.dtype.itemsize();
        let number = picks[0].chunk;
        let place = plan.grid.chunk(number);
        let steps = c_steps(&place.shape);
        let mut copy = |elements: &[u8], moves: bool| {
            if plan.is_single() {
                return copy_single(elements, moves, picks, out, itemsize);
            }
            let strides: PerAxis<isize> =
                plan.selection.inner().iter().map(|(a, r)| if moves { r.step * steps[*a] } else { 0 }).collect();
            for pick in picks {
                let part = &plan.parts[pick.part as usize];
                let start = if moves { pick.start } else { 0 };
                let to = pick.out + part.out;
                copy_region(elements, start, &strides, out, to, &plan.inner_steps, &part.counts, itemsize);
            }
        };
        let Some(chunks) = chunks else {
            copy(self.plain_bytes().unwrap_or_default(), true);
            return Ok(());
        };
        match chunks.map.get(&number) {
            Some(c) if c.encoding() != Encoding::Fill => {
                c.with_some_elements(number, place.size() * itemsize, itemsize, true, |elements| {
                    copy(elements, true);
                    Ok(())
                })
            }
            constant => {
                copy(constant.map_or(&chunks.fill[..itemsize], |c| c.stored_bytes()), false);
                Ok(())
            }
        }
    }
}

/// Picks of one element each, the item size fixed for the compiler.
fn copy_single(elements: &[u8], moves: bool, picks: &[Pick], out: &mut [u8], itemsize: usize) {
    fn each<const N: usize>(elements: &[u8], moves: bool, picks: &[Pick], out: &mut [u8]) {
        let (elements, out) = (elements.as_chunks::<N>().0, out.as_chunks_mut::<N>().0);
        for pick in picks {
            out[pick.out] = elements[if moves { pick.start } else { 0 }];
        }
    }
    match itemsize {
        1 => each::<1>(elements, moves, picks, out),
        2 => each::<2>(elements, moves, picks, out),
        4 => each::<4>(elements, moves, picks, out),
        8 => each::<8>(elements, moves, picks, out),
        _ => each::<16>(elements, moves, picks, out),
    }
}

/// Elements of one entry.
pub(super) fn entry_size(selection: &Advanced) -> usize {
    selection.inner().iter().map(|(_, r)| r.len).product()
}

/// Calls `f` with the number of each entry and the ranges that it selects, in order.
///
/// # Errors
/// `LIMIT` for too many picks; whatever `f` answers, at once.
pub(super) fn each_entry(
    selection: &Advanced,
    grid: &Grid,
    mut f: impl FnMut(usize, &[AxisRange]) -> Result<()>,
) -> Result<()> {
    check_picks(selection, grid)?;
    let mut axes: PerAxis<AxisRange> =
        SmallVec::from_elem(AxisRange { start: 0, step: 1, len: 1 }, grid.chunk_shape().ndim());
    for (axis, range) in selection.inner() {
        axes[*axis] = *range;
    }
    let outer: usize = selection.outer().iter().map(|(_, r)| r.len).product();
    let mut coordinates: PerAxis<usize> = axes.iter().map(|a| a.start).collect();
    for entry in 0..outer * selection.point_count() {
        let (mut outer, point) = (entry / selection.point_count(), entry % selection.point_count());
        for (axis, range) in selection.outer().iter().rev() {
            coordinates[*axis] = range.at(outer % range.len);
            outer /= range.len;
        }
        selection.point(point, &mut coordinates);
        // Those of the inner axes stay the starts of their ranges.
        axes.iter_mut().zip(&coordinates).for_each(|(axis, c)| axis.start = *c);
        f(entry, &axes)?;
    }
    Ok(())
}

/// How many parts chunk borders cut the inner block into, at most.
pub(super) fn part_count(selection: &Advanced, grid: &Grid) -> u128 {
    let along = selection.inner().iter().map(|(axis, range)| count_parts(range, grid.chunk_shape()[*axis]));
    along.fold(1, u128::saturating_mul)
}

/// Refuses a selection of too many picks before anything is listed.
pub(super) fn check_picks(selection: &Advanced, grid: &Grid) -> Result<()> {
    let outer = selection.outer().iter().map(|(_, r)| r.len as u128);
    let entries = outer.fold(selection.point_count() as u128, u128::saturating_mul);
    let picks = entries.saturating_mul(part_count(selection, grid));
    if picks > MAX_PICKS {
        let (what, unit) = ("the selection by lists", "picks");
        return Err(Error::Limit { what, given: picks, limit: MAX_PICKS, unit });
    }
    Ok(())
}

/// What stays the same for all entries of one selection.
pub(super) struct Plan<'a> {
    selection: &'a Advanced,
    shape: &'a Shape,
    grid: &'a Grid,
    pub(super) parts: Vec<InnerPart>,
    inner_steps: PerAxis<isize>,
    /// Elements of one entry.
    pub(super) inner_size: usize,
    /// How many entries.
    pub(super) entries: usize,
}

impl<'a> Plan<'a> {
    /// Counts the picks before it lists anything.
    pub(super) fn new(selection: &'a Advanced, shape: &'a Shape, grid: &'a Grid) -> Result<Plan<'a>> {
        check_picks(selection, grid)?;
        let lens: PerAxis<usize> = selection.inner().iter().map(|(_, r)| r.len).collect();
        let inner_steps = c_steps(&lens);
        let mut parts = vec![InnerPart { axes: PerAxis::new(), counts: PerAxis::new(), out: 0 }];
        for (i, (axis, range)) in selection.inner().iter().enumerate() {
            let along = axis_parts(&grid.shifted(*axis, range), grid.chunk_shape()[*axis]);
            parts = parts
                .iter()
                .flat_map(|part| {
                    along.iter().map(|a| {
                        let mut next = InnerPart {
                            axes: part.axes.clone(),
                            counts: part.counts.clone(),
                            out: part.out + a.out * inner_steps[i] as usize,
                        };
                        next.axes.push(*a);
                        next.counts.push(a.count);
                        next
                    })
                })
                .collect();
        }
        let entries = selection.outer().iter().map(|(_, r)| r.len).product::<usize>() * selection.point_count();
        Ok(Plan { selection, shape, grid, parts, inner_steps, inner_size: lens.iter().product(), entries })
    }

    /// Whether every pick is one element.
    pub(super) fn is_single(&self) -> bool {
        self.inner_size == 1
    }
}

/// Where the listing of picks has come to.
pub(super) struct Cursor<'p> {
    plan: &'p Plan<'p>,
    /// Position in each outer range.
    outer: PerAxis<usize>,
    /// The next point.
    point: usize,
    /// Entries listed so far.
    entry: usize,
    /// Of every axis that is not inner, the position of the entry at hand.
    coordinates: PerAxis<usize>,
}

impl<'p> Cursor<'p> {
    pub(super) fn new(plan: &'p Plan<'p>) -> Cursor<'p> {
        let mut coordinates: PerAxis<usize> = SmallVec::from_elem(0, plan.shape.ndim());
        for (axis, range) in plan.selection.outer() {
            coordinates[*axis] = range.at(0);
        }
        Cursor { plan, outer: SmallVec::from_elem(0, plan.selection.outer().len()), point: 0, entry: 0, coordinates }
    }

    /// Lists the next picks, at least one entry's, else at most `batch`; false where there are no more.
    pub(super) fn fill(&mut self, picks: &mut Vec<Pick>, batch: usize) -> bool {
        picks.clear();
        while self.entry < self.plan.entries && (picks.is_empty() || picks.len() + self.plan.parts.len() <= batch) {
            self.plan.selection.point(self.point, &mut self.coordinates);
            for part in 0..self.plan.parts.len() {
                picks.push(self.pick(part));
            }
            self.entry += 1;
            self.advance();
        }
        !picks.is_empty()
    }

    /// The pick of one part of the entry at hand.
    fn pick(&self, part: usize) -> Pick {
        let plan = self.plan;
        let inner = &plan.parts[part];
        let (mut chunk, mut start, mut stride) = (plan.grid.base(), 0usize, 1usize);
        let mut count_stride = 1u64;
        let mut next_inner = plan.selection.inner().len();
        for axis in (0..plan.shape.ndim()).rev() {
            let length = plan.grid.chunk_shape()[axis];
            let is_inner = next_inner > 0 && plan.selection.inner()[next_inner - 1].0 == axis;
            let (place, first) = if is_inner {
                next_inner -= 1;
                (inner.axes[next_inner].chunk, inner.axes[next_inner].first)
            } else {
                let position = self.coordinates[axis] + if axis == 0 { plan.grid.lead() } else { 0 };
                (position / length, position % length)
            };
            chunk += place as u64 * count_stride;
            count_stride *= plan.grid.counts()[axis] as u64;
            start += first * stride;
            stride *= length.min(plan.grid.stored_shape()[axis] - place * length);
            // chunks at the far edge are cut off
        }
        Pick { chunk, start, out: self.entry * plan.inner_size, part: part as u32 }
        // below the limit on picks
    }

    /// On to the next point, or the first point of the next outer position.
    fn advance(&mut self) {
        self.point += 1;
        if self.point < self.plan.selection.point_count() {
            return;
        }
        self.point = 0;
        let ranges = self.plan.selection.outer();
        for i in (0..ranges.len()).rev() {
            let (axis, range) = ranges[i];
            self.outer[i] += 1;
            if self.outer[i] == range.len {
                self.outer[i] = 0;
            }
            self.coordinates[axis] = range.at(self.outer[i]);
            if self.outer[i] != 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::nd::array::{Array, StoreOptions};
    use crate::nd::dtype::Dtype;
    use crate::nd::index::Index;
    use crate::nd::memory;
    use crate::nd::shape::Shape;
    use crate::nd::source::SliceSource;

    #[test]
    fn lists_read_the_same_through_any_chunks() {
        let shape = Shape::from([7, 5, 6]);
        let bytes: Vec<u8> = (0..210u16).flat_map(u16::to_le_bytes).collect();
        let plain = StoreOptions::default();
        for index in
            ["[0,6,3,3]", ":,[4,0]", "[1,2],:,[5,0]", "::2,[[0],[4]],[1,2,3]", "[6,-7],::-2", "-1,[0,1],:", "...,[5,5]"]
        {
            let selection = Index::parse(index.as_bytes()).unwrap().resolve(&shape).unwrap();
            let want: Vec<u8> = selection.positions(&shape).flat_map(|p| (p as u16).to_le_bytes()).collect();
            for chunk in [None, Some([7, 5, 6]), Some([2, 2, 4]), Some([1, 5, 6]), Some([3, 5, 1])] {
                for codec_given in [false, true] {
                    let options = StoreOptions {
                        chunk_shape: chunk.map(Shape::from),
                        policy: if codec_given { crate::nd::codec::Policy::Lz4 } else { crate::nd::codec::Policy::Raw },
                        codec_given,
                        ..plain.clone()
                    };
                    let array =
                        Array::from_source(Dtype::UInt16, &shape, &mut SliceSource::new(&bytes), &options).unwrap();
                    let got = array.read(&selection).unwrap();
                    assert_eq!(memory::bytes(&got, want.len()), &want[..], "{index} in chunks {chunk:?}");
                }
            }
        }
    }

    #[test]
    fn a_long_inner_block_keeps_no_parts() {
        // Every row is cut into 2^17 parts, more than a batch holds.
        let shape = Shape::from([3, 1 << 17, 1024]);
        let chunk_shape = Some(Shape::from([1, 1, 1024]));
        let options = StoreOptions { chunk_shape, ..StoreOptions::default() };
        let nine = crate::nd::scalar::Scalar::of(9u8);
        let array = Array::filled(&shape, nine, &options).unwrap();
        for (index, count) in [("[2,0],:,5", 2 << 17), ("::-2,[[7]]", 2 << 10), ("...,[3,4]", 6 << 17)] {
            let selection = Index::parse(index.as_bytes()).unwrap().resolve(&shape).unwrap();
            let read = array.read(&selection).unwrap();
            assert_eq!(memory::bytes(&read, count), vec![9; count], "{index}");
        }
    }

    #[test]
    fn too_many_picks_are_refused_before_any_work() {
        let shape = Shape::from([1000, 1000]);
        let zeros = crate::nd::scalar::Scalar::zero(Dtype::UInt8);
        let array = Array::filled(&shape, zeros, &StoreOptions::default()).unwrap();
        let column = format!("[{}]", vec!["[0]"; 10_000].join(","));
        let row = format!("[{}]", vec!["0"; 10_000].join(","));
        let selection = Index::parse(format!("{column},{row}").as_bytes()).unwrap().resolve(&shape).unwrap();
        assert_eq!(
            array.read(&selection).unwrap_err().to_string(),
            "LIMIT the selection by lists would take 100000000 picks, the limit is 67108864"
        );
    }
}
