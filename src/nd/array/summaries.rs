//! What reductions of all elements made of each block, kept beside the chunks until the chunk changes.
//!
//! One table for each kind of cell that was asked for, one row for each block. A row is sealed with the chunk's [seal](Chunk::seal), which
//! every change changes, and the block's place: nothing has to be told that a chunk was written, and after a write to one chunk the others are
//! not read again. Merged in order, rows give the bits of the blocks themselves, because they are what was merged
//! the first time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use smallvec::SmallVec;

use super::blocks::Cuts;
use super::{Array, Block, Body, Storage};
use crate::nd::chunk::Chunk;
use crate::nd::codec::Encoding;
use crate::nd::error::Result;
use crate::nd::grid::{ChunkBox, Grid};
use crate::nd::interrupt;
use crate::nd::kernels::reduce::{State, SummaryKind};
use crate::nd::memory;
use crate::nd::scalar::Scalar;
use crate::nd::stats;

/// Arrays of fewer bytes are read sooner than looked up.
pub(super) const LEAST_BYTES: usize = 32 << 10;

/// The tables of one array, once there are any. A copy of the array has copies: their seals hold for its chunks too.
#[derive(Debug, Default)]
pub(super) struct Summaries(OnceLock<Box<Tables>>);

impl Clone for Summaries {
    fn clone(&self) -> Summaries {
        let copy = Summaries::default();
        if let Some(list) = self.0.get().and_then(|tables| tables.list.lock().ok()) {
            let tables = copy.0.get_or_init(Box::default);
            list.iter().for_each(|(kind, table)| tables.put(*kind, table.clone()));
        }
        copy
    }
}

#[derive(Debug, Default)]
struct Tables {
    list: Mutex<Vec<(SummaryKind, Table)>>,
    /// What list and rows take.
    memory: AtomicUsize,
}

/// Rows of a seal and a cell, in the order of the blocks.
#[derive(Clone, Debug)]
struct Table {
    /// Words of a row, the seal first.
    width: usize,
    rows: Vec<u64>,
}

impl Table {
    fn row(&self, number: usize) -> Option<&[u64]> {
        self.rows.get(number * self.width..(number + 1) * self.width)
    }

    fn is_of(&self, number: usize, seal: u64) -> bool {
        self.row(number).is_some_and(|row| row[0] == seal)
    }

    /// Writes a row; where its memory is not given, nothing.
    fn put(&mut self, number: usize, seal: u64, state: &State) {
        let end = (number + 1) * self.width;
        if self.rows.len() < end {
            if self.rows.try_reserve(end - self.rows.len()).is_err() {
                return;
            }
            self.rows.resize(end, 0);
        }
        let row = &mut self.rows[number * self.width..end];
        row[0] = seal;
        state.summary(&mut row[1..]);
    }
}

impl Summaries {
    /// What the tables take in memory.
    pub fn memory(&self) -> usize {
        let own = memory::size_class(std::mem::size_of::<Tables>());
        self.0.get().map_or(0, |tables| own + tables.memory.load(Ordering::Relaxed))
    }
}

impl Tables {
    /// Takes a table out, to be put back; a new one where there is none of this kind.
    fn take(&self, kind: SummaryKind) -> Option<Table> {
        let mut tables = self.list.lock().ok()?;
        let at = tables.iter().position(|(k, _)| *k == kind);
        let found = at.map(|at| tables.swap_remove(at).1);
        self.measure(&tables);
        Some(found.unwrap_or(Table { width: 1 + kind.words, rows: Vec::new() }))
    }

    /// Takes a table out where there is one.
    fn take_known(&self, kind: SummaryKind) -> Option<Table> {
        let has = self.list.lock().ok()?.iter().any(|(k, _)| *k == kind);
        has.then(|| self.take(kind)).flatten()
    }

    fn put(&self, kind: SummaryKind, table: Table) {
        let Ok(mut tables) = self.list.lock() else { return };
        tables.retain(|(k, _)| *k != kind);
        tables.push((kind, table));
        self.measure(&tables);
    }

    fn measure(&self, tables: &Vec<(SummaryKind, Table)>) {
        let list = memory::size_class(tables.capacity() * std::mem::size_of::<(SummaryKind, Table)>());
        let rows: usize = tables.iter().map(|(_, t)| memory::size_class(t.rows.capacity() * 8)).sum();
        self.memory.store(list + rows, Ordering::Relaxed);
    }
}

/// What no other elements of a block have; never 0.
fn seal(chunk: &Chunk, hidden: usize, part: usize, size: usize) -> u64 {
    let place = [u64::from(chunk.encoding().code()), hidden as u64, part as u64, size as u64];
    let mixed =
        place.into_iter().fold(0u64, |mixed, n| (mixed ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29));
    (chunk.seal() ^ mixed).max(1)
}

/// Tables that hold what some states keep, taken out for as long as this lives.
pub(super) struct Known<'a> {
    of: &'a Tables,
    tables: Vec<(SummaryKind, Table)>,
}

impl Known<'_> {
    /// Whether every state's part of a block is there.
    pub fn has(&self, row: usize, seal: u64) -> bool {
        self.tables.iter().all(|(_, table)| table.is_of(row, seal))
    }

    /// What the states keep of a block, in their order.
    pub fn words(&self, row: usize) -> impl Iterator<Item = &[u64]> {
        self.tables.iter().filter_map(move |(_, table)| table.row(row)).map(|row| &row[1..])
    }
}

impl Drop for Known<'_> {
    fn drop(&mut self) {
        self.tables.drain(..).for_each(|(kind, table)| self.of.put(kind, table));
    }
}

/// Where what is kept of a block stands, and what seals it.
pub(super) fn row_of(
    grid: &Grid,
    chunk: &ChunkBox,
    stored: &Chunk,
    blocks: Option<(&Grid, &ChunkBox)>,
) -> (usize, u64) {
    let hidden = grid.hidden(chunk);
    let Some((blocks, block)) = blocks else {
        let row = chunk.number - grid.base();
        return (row as usize, seal(stored, hidden, 0, chunk.size() - hidden)); // below the number of chunks in memory
    };
    // Both grids have the same rows, but for hidden ones: the first block of the chunk is where its first element is.
    let steps = grid.stored_shape().c_strides();
    let first: usize = chunk.offset.iter().zip(&steps).map(|(at, step)| at * step).sum();
    let more = (grid.lead() - blocks.lead()) * steps.first().copied().unwrap_or(0);
    let (first, _) = blocks.chunk_of_run((first + hidden).saturating_sub(more));
    let size = block.size() - blocks.hidden(block);
    (block.number as usize, seal(stored, hidden, (block.number - first.number) as usize, size))
}

impl Array {
    /// What is kept for all of the states, where there are tables.
    pub(super) fn known(&self, states: &[State]) -> Option<Known<'_>> {
        let Body::Rich(rich) = &self.body else { return None };
        let of = &**rich.summaries.0.get()?;
        let mut known = Known { of, tables: Vec::with_capacity(states.len()) };
        for state in states {
            let kind = state.summary_kind()?;
            let same = known.tables.iter().find(|(k, _)| *k == kind).map(|(_, table)| table.clone());
            let table = same.or_else(|| of.take_known(kind))?;
            known.tables.push((kind, table));
        }
        Some(known)
    }

    #[cfg(test)]
    fn summary_tables(&self) -> usize {
        match &self.body {
            Body::Rich(rich) => rich.summaries.0.get().map_or(0, |t| t.list.lock().map_or(0, |l| l.len())),
            Body::Plain(_) => 0,
        }
    }

    /// Adds all elements to the states, from summaries where there are any, and leaves summaries of what it read. False,
    /// and nothing done, where the array or a state keeps none. Chunks that have to be read are decoded ahead by helpers.
    ///
    /// # Errors
    /// `CORRUPT` where a chunk does not decode; `OOM`.
    pub(super) fn add_summarised(&self, states: &mut [State]) -> Result<bool> {
        let Body::Rich(rich) = &self.body else { return Ok(false) };
        let Storage::Chunked(chunks) = &rich.storage else { return Ok(false) };
        let grid = self.grid_of(chunks);
        // Rows for chunks that are absent would be a waste.
        if self.nbytes() < LEAST_BYTES || grid.len() / 2 > chunks.map.len() as u64 {
            return Ok(false);
        }
        let kinds: Option<Vec<SummaryKind>> = states.iter().map(State::summary_kind).collect();
        let Some(kinds) = kinds else { return Ok(false) };
        let kept = rich.summaries.0.get_or_init(Box::default);
        let mut tables: Vec<Table> = Vec::with_capacity(kinds.len());
        for (i, kind) in kinds.iter().enumerate() {
            // Sums and means keep the same cells, and may be asked for together.
            let same = kinds[..i].iter().position(|k| k == kind).map(|at| tables[at].clone());
            let Some(table) = same.or_else(|| kept.take(*kind)) else { return Ok(false) };
            tables.push(table);
        }
        let itemsize = self.dtype.itemsize();
        // As `Array::blocks` cuts them.
        let cuts = Cuts::of_chunks(&grid, &self.shape(), self.dtype);
        let seals_of = |chunk: &Chunk, hidden: usize, place: &ChunkBox| -> Result<SmallVec<[u64; 16]>> {
            let mut seals: SmallVec<[u64; 16]> = SmallVec::new();
            cuts.each(place, |part, _| {
                seals.push(seal(chunk, hidden, seals.len(), part.size()));
                Ok(())
            })?;
            Ok(seals)
        };
        // Of each chunk: its first row, and how many rows it has where all of them are known.
        let mut firsts: Vec<(usize, Option<usize>)> = Vec::new();
        let mut rows = 0;
        for place in grid.chunks() {
            let (chunk, hidden) = (chunks.map.get(&place.number), grid.hidden(&place));
            let place = grid.seen(place);
            let first = rows;
            let known = match chunk.filter(|c| c.encoding() != Encoding::Fill) {
                Some(chunk) => {
                    let seals = seals_of(chunk, hidden, &place)?;
                    rows += seals.len();
                    let is_known = |(i, seal): (usize, &u64)| tables.iter().all(|t| t.is_of(first + i, *seal));
                    seals.iter().enumerate().all(is_known).then_some(seals.len())
                }
                None => {
                    cuts.each(&place, |_, _| {
                        rows += 1;
                        Ok(())
                    })?;
                    None
                }
            };
            firsts.push((first, known));
        }
        let mut at = 0;
        while at < firsts.len() {
            interrupt::check()?;
            if let (first, Some(count)) = firsts[at] {
                for row in first..first + count {
                    for (state, table) in states.iter_mut().zip(&tables) {
                        table.row(row).into_iter().for_each(|row| state.merge_summary(&row[1..]));
                    }
                }
                at += 1;
                continue;
            }
            // All chunks up to the next one that is known, so that helpers may decode those that come next.
            let end = firsts[at..].iter().position(|(_, known)| known.is_some()).map_or(firsts.len(), |n| at + n);
            let numbers = grid.base() + at as u64..grid.base() + end as u64;
            self.each_chunk(&grid, chunks, numbers, &mut |place, block| {
                let (mut row, _) = firsts[(place.number - grid.base()) as usize]; // an index of a chunk
                let hidden = grid.hidden(place);
                let seen = grid.seen(place.clone());
                let elements = match block {
                    Block::Elements(elements) => elements,
                    Block::Fill(element) => {
                        let value = Scalar::from_le_bytes(self.dtype, element);
                        return cuts.each(&seen, |part, _| {
                            states.iter_mut().try_for_each(|s| s.add_fill(&value, None, &part.shape, &part.offset))
                        });
                    }
                };
                let Some(chunk) = chunks.map.get(&place.number) else { return Ok(()) };
                let seals = seals_of(chunk, hidden, &seen)?;
                let mut seals = seals.iter();
                cuts.each(&seen, |part, first| {
                    let Some(seal) = seals.next() else { return Ok(()) };
                    let elements = &elements[(hidden + first) * itemsize..][..part.size() * itemsize];
                    stats::BLOCKS_REDUCED.fetch_add(1, Ordering::Relaxed);
                    for (state, table) in states.iter_mut().zip(&mut tables) {
                        state.add_block(elements, None, &part.shape, &part.offset)?;
                        table.put(row, *seal, state);
                    }
                    row += 1;
                    Ok(())
                })
            })?;
            at = end;
        }
        kinds.into_iter().zip(tables).for_each(|(kind, mut table)| {
            table.rows.truncate(rows * table.width);
            table.rows.shrink_to_fit();
            kept.put(kind, table);
        });
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use triomphe::Arc;

    use super::*;
    use crate::nd::array::{StoreOptions, View};
    use crate::nd::codec::Policy;
    use crate::nd::dtype::Dtype;
    use crate::nd::kernels::axes::AxisSet;
    use crate::nd::kernels::reduce::{Op, Options, Reduction};
    use crate::nd::shape::Shape;
    use crate::nd::source::SliceSource;

    fn reduced(array: &Arc<Array>, op: Op, skip_nan: bool) -> Vec<u8> {
        let view = View::new(Arc::clone(array), None, None).unwrap();
        let options = Options { skip_nan, ..Options::default() };
        let plan =
            Reduction::with(op, array.dtype(), view.shape(), &AxisSet::all(view.shape().ndim()), &options).unwrap();
        let mut state = [plan.start().unwrap()];
        view.add_to(&mut state).unwrap();
        state[0].finish().unwrap().2
    }

    #[test]
    fn summaries_give_the_bits_of_the_elements_until_a_chunk_changes() {
        let elements: Vec<f64> =
            (0..40_000).map(|i| if i == 77 { f64::NAN } else { f64::from(i % 997) / 7.0 }).collect();
        for (policy, chunk) in [(Policy::Raw, [100, 50]), (Policy::Lz4, [64, 200])] {
            let options = StoreOptions {
                policy,
                chunk_shape: Some(Shape::from(chunk)),
                codec_given: true,
                ..StoreOptions::default()
            };
            let shape = Shape::from([200, 200]);
            let store = |elements: &[f64]| {
                let mut source = SliceSource::new(bytemuck::cast_slice(elements));
                Arc::new(Array::from_source(Dtype::Float64, &shape, &mut source, &options).unwrap())
            };
            let mut array = store(&elements);
            let before = array.memory();
            let mut changed = elements.clone();
            changed[5] = 1e6;
            for op in Op::ALL {
                for skip_nan in [false, true] {
                    let first = reduced(&array, *op, skip_nan);
                    assert_eq!(reduced(&array, *op, skip_nan), first, "{op:?}");
                    assert_eq!(reduced(&store(&elements), *op, skip_nan), first, "{op:?}");
                }
            }
            assert!(array.memory() > before);
            // One chunk is another one now; the rest are as they were.
            let other = store(&changed);
            let Body::Rich(new) = &other.body else { unreachable!() };
            let Storage::Chunked(new) = &new.storage else { unreachable!() };
            let chunk = new.map[&0].clone();
            let own = Arc::get_mut(&mut array).unwrap();
            own.chunks_mut().unwrap().insert(0, chunk);
            for op in Op::ALL {
                assert_eq!(reduced(&array, *op, true), reduced(&other, *op, true), "{op:?}");
                assert_eq!(reduced(&array, *op, false), reduced(&other, *op, false), "{op:?}");
            }
            assert_eq!(Array::clone(&array).summary_tables(), array.summary_tables(), "a copy has its own");
        }
    }

    /// What is remembered of blocks changes no bit of what is answered of a slice: not the sign of a zero, not a NaN.
    #[test]
    fn slices_answer_the_same_with_summaries_and_without() {
        let shape = Shape::from([300, 200]);
        let element = |i: u32| match i {
            30_011 | 51_000 => f64::NAN,
            0..10_000 if i.is_multiple_of(3) => -0.0,
            0..10_000 => 0.0,
            _ => f64::from(i % 9973) - f64::from(i >> 12),
        };
        let floats: Vec<f64> = (0..60_000).map(element).collect();
        let indices =
            ["10:-3", "5:150", ":,3:7", "::-1", "40:41", "::2", "7:250,20:180", "60:", "160:255", "1:2,1:3", "9:9"];
        // Cells of several sizes and alignments.
        for dtype in [Dtype::Float64, Dtype::Float32, Dtype::Int32, Dtype::UInt8, Dtype::Complex64] {
            let mut elements = vec![0u64; floats.len() * dtype.itemsize() / 8];
            crate::nd::kernels::cast::cast(
                Dtype::Float64,
                bytemuck::cast_slice(&floats),
                dtype,
                bytemuck::cast_slice_mut(&mut elements),
            );
            for (policy, chunk) in
                [(Policy::Raw, None), (Policy::Lz4, None), (Policy::Lz4, Some(Shape::from([64, 50])))]
            {
                for dropped in [0, 33] {
                    let options = StoreOptions { policy, chunk_shape: chunk.clone(), ..StoreOptions::default() };
                    let store = || {
                        let mut source = SliceSource::new(bytemuck::cast_slice(&elements));
                        let mut array = Array::from_source(dtype, &shape, &mut source, &options).unwrap();
                        let (none, most) = (Shape::from([0, 200]), Some(300 - dropped));
                        array.append(0, &[], &none, most, &options, usize::MAX).unwrap();
                        Arc::new(array)
                    };
                    for op in Op::ALL {
                        let (with, without) = (store(), store());
                        if Reduction::with(*op, dtype, &shape, &AxisSet::all(2), &Options::default()).is_err() {
                            continue; // no such reduction of this dtype
                        }
                        reduced(&with, *op, false);
                        for index in indices {
                            let of = |array: &Arc<Array>| {
                                let index = crate::nd::index::Index::parse(index.as_bytes()).unwrap();
                                let view = View::new(Arc::clone(array), Some(&index), None).unwrap();
                                let axes = AxisSet::all(view.shape().ndim());
                                let plan = Reduction::with(*op, dtype, view.shape(), &axes, &Options::default())?;
                                let mut state = [plan.start()?];
                                view.add_to(&mut state)?;
                                state[0].finish()
                            };
                            assert_eq!(of(&with), of(&without), "{op:?} of {dtype} {index}, {policy:?}, {dropped}");
                        }
                    }
                }
            }
        }
    }

    /// However long the chunks that a codec gets, a reduction groups the elements in one way; also of a slice, and also
    /// where rows were dropped in front.
    #[test]
    fn every_codec_gives_the_same_bits() {
        let shape = Shape::from([2000, 3, 100]);
        let mut x = 7u64;
        let elements: Vec<f64> = (0..600_000)
            .map(|_| {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (x >> 11) as f64 / 1e10 - 3e5
            })
            .collect();
        let results = |policy| {
            let options = StoreOptions { policy, ..StoreOptions::default() };
            let mut source = SliceSource::new(bytemuck::cast_slice(&elements));
            let mut array = Array::from_source(Dtype::Float64, &shape, &mut source, &options).unwrap();
            let mut results = Vec::new();
            for most in [2000, 1990, 1700, 301] {
                array.append(0, &[], &Shape::from([0, 3, 100]), Some(most), &options, usize::MAX).unwrap();
                let shared = Arc::new(array.clone());
                for op in [Op::Sum, Op::Var, Op::Norm, Op::Prod, Op::Max] {
                    for _ in 0..2 {
                        results.push(reduced(&shared, op, false));
                    }
                    for index in ["3:-5", "::2", "::-1,1", "7:,:,3:90:2", "[5,1,9]"] {
                        let index = crate::nd::index::Index::parse(index.as_bytes()).unwrap();
                        let view = View::new(Arc::clone(&shared), Some(&index), None).unwrap();
                        for axes in
                            [AxisSet::all(view.shape().ndim()), AxisSet::new(&[0], view.shape().ndim()).unwrap()]
                        {
                            let plan =
                                Reduction::with(op, Dtype::Float64, view.shape(), &axes, &Options::default()).unwrap();
                            let mut state = [plan.start().unwrap()];
                            view.add_to(&mut state).unwrap();
                            results.push(state[0].finish().unwrap().2);
                        }
                    }
                }
            }
            let chunks = array.chunks().unwrap().stored().len();
            (results, chunks)
        };
        let (raw, few) = results(Policy::Raw);
        let (encoded, many) = results(Policy::Lz4);
        assert!(few < many);
        for (i, (raw, encoded)) in raw.iter().zip(&encoded).enumerate() {
            assert_eq!(raw, encoded, "result {i}");
        }
    }
}
