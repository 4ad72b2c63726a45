//! What reductions of all elements made of each chunk, kept beside the chunks until the chunk changes.
//!
//! One table for each kind of cell that was asked for, one row for each chunk. A row is sealed with the chunk's checksum, which
//! every change changes: nothing has to be told that a chunk was written, and after a write to one chunk the others are
//! not read again. Merged in chunk order, rows give the bits of the chunks themselves, because they are what was merged
//! the first time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use super::{Array, Body, Storage};
use crate::nd::chunk::Chunk;
use crate::nd::codec::Encoding;
use crate::nd::error::Result;
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

/// Rows of a seal and a cell.
#[derive(Clone, Debug)]
struct Table {
    /// Words of a row, the seal first; 0 where there is no row.
    width: usize,
    rows: Box<[u64]>,
}

impl Table {
    /// A table without rows; none where its memory is not given.
    fn new(width: usize, chunks: usize) -> Option<Table> {
        let words = width.checked_mul(chunks)?;
        let mut rows = Vec::new();
        rows.try_reserve_exact(words).ok()?;
        rows.resize(words, 0);
        Some(Table { width, rows: rows.into_boxed_slice() })
    }

    fn row(&self, number: usize) -> &[u64] {
        &self.rows[number * self.width..][..self.width]
    }

    fn is_of(&self, number: usize, seal: u64) -> bool {
        self.row(number)[0] == seal
    }

    fn put(&mut self, number: usize, seal: u64, state: &State) {
        let row = &mut self.rows[number * self.width..][..self.width];
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
    /// Takes a table out, to be put back; a new one where there is none of this kind and size.
    fn take(&self, kind: SummaryKind, chunks: usize) -> Option<Table> {
        let width = 1 + kind.words;
        let mut tables = self.list.lock().ok()?;
        let at = tables.iter().position(|(k, t)| *k == kind && t.rows.len() == width * chunks);
        let found = at.map(|at| tables.swap_remove(at).1);
        self.measure(&tables);
        found.or_else(|| Table::new(width, chunks))
    }

    fn put(&self, kind: SummaryKind, table: Table) {
        let Ok(mut tables) = self.list.lock() else { return };
        tables.retain(|(k, _)| *k != kind);
        tables.push((kind, table));
        self.measure(&tables);
    }

    fn measure(&self, tables: &Vec<(SummaryKind, Table)>) {
        let list = memory::size_class(tables.capacity() * std::mem::size_of::<(SummaryKind, Table)>());
        let rows: usize = tables.iter().map(|(_, t)| memory::size_class(t.rows.len() * 8)).sum();
        self.memory.store(list + rows, Ordering::Relaxed);
    }
}

/// What no other contents of a chunk have; never 0.
fn seal(chunk: &Chunk) -> u64 {
    let encoding = (chunk.encoding() as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (chunk.checksum() ^ encoding).max(1)
}

impl Array {
    #[cfg(test)]
    fn summary_tables(&self) -> usize {
        match &self.body {
            Body::Rich(rich) => rich.summaries.0.get().map_or(0, |t| t.list.lock().map_or(0, |l| l.len())),
            Body::Plain(_) => 0,
        }
    }

    /// Adds all elements to the states, from summaries where there are any, and leaves summaries of what it read. False,
    /// and nothing done, where the array or a state keeps none.
    ///
    /// # Errors
    /// `CORRUPT` where a chunk does not decode; `OOM`.
    pub(super) fn add_summarised(&self, states: &mut [State]) -> Result<bool> {
        let Body::Rich(rich) = &self.body else { return Ok(false) };
        let Storage::Chunked(chunks) = &rich.storage else { return Ok(false) };
        let grid = self.grid_of(chunks);
        let count = usize::try_from(grid.len()).unwrap_or(usize::MAX);
        // Rows for chunks that are absent would be a waste.
        if self.nbytes() < LEAST_BYTES || count / 2 > chunks.map.len() {
            return Ok(false);
        }
        let kinds: Option<Vec<SummaryKind>> = states.iter().map(State::summary_kind).collect();
        let Some(kinds) = kinds else { return Ok(false) };
        let kept = rich.summaries.0.get_or_init(Box::default);
        let tables: Option<Vec<Table>> = kinds.iter().map(|kind| kept.take(*kind, count)).collect();
        let Some(mut tables) = tables else { return Ok(false) };
        let itemsize = self.dtype.itemsize();
        for place in grid.chunks() {
            interrupt::check()?;
            let number = place.number as usize; // below `count`
            let Some(chunk) = chunks.map.get(&place.number).filter(|c| c.encoding() != Encoding::Fill) else {
                let constant = chunks.map.get(&place.number).map_or(&chunks.fill[..itemsize], |c| c.stored_bytes());
                let value = Scalar::from_le_bytes(self.dtype, constant);
                for state in states.iter_mut() {
                    state.add_fill(&value, None, &place.shape, &place.offset)?;
                }
                continue;
            };
            let seal = seal(chunk);
            if tables.iter().all(|t| t.is_of(number, seal)) {
                states.iter_mut().zip(&tables).for_each(|(s, t)| s.merge_summary(&t.row(number)[1..]));
                continue;
            }
            chunk.with_elements(place.number, place.size() * itemsize, itemsize, |elements| {
                stats::BLOCKS_REDUCED.fetch_add(1, Ordering::Relaxed);
                for (state, table) in states.iter_mut().zip(&mut tables) {
                    state.add_block(elements, None, &place.shape, &place.offset)?;
                    table.put(number, seal, state);
                }
                Ok(())
            })?;
        }
        kinds.into_iter().zip(tables).for_each(|(kind, table)| kept.put(kind, table));
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
}
