//! Rows by their positions on one axis, as `numpy.take`: what a batch of random rows is made of.
//!
//! Where every chunk holds whole rows, a row of a raw chunk is one copy, and nothing is planned ahead. Rows of encoded
//! chunks wait until all others are there, and are then taken chunk by chunk, so that each is decoded once. Everything
//! else is a selection by one list, see gather.rs.

use super::{Array, Chunks, Effort};
use crate::nd::chunk::Chunk;
use crate::nd::codec::{fill_with, Encoding};
use crate::nd::decoded;
use crate::nd::error::{Error, Result};
use crate::nd::grid::Grid;
use crate::nd::index::{normalize_axes, Advanced, Selection};
use crate::nd::interrupt;
use crate::nd::memory;
use crate::nd::parallel::{self, Claim};
use crate::nd::shape::Shape;

/// Positions on an axis of an array, each counted from its front.
#[derive(Debug, Clone, PartialEq)]
pub struct Positions {
    axis: usize,
    at: Vec<usize>,
    out_shape: Shape,
}

/// A row of an encoded chunk.
struct Waiting {
    chunk: u64,
    /// Which row of the chunk.
    row: usize,
    /// Which row of the output.
    out: usize,
}

/// Rows that are looked up before the first of them is copied.
const BLOCK: usize = 64;

/// Bytes of encoded chunks that are worth a helper.
const SHARE: usize = 1 << 20;

/// So many rows of an encoded chunk are undone one by one; where there are more, all of the chunk is undone once.
const FEW: usize = 4;

/// Where rows are: all of a chunk's, or one.
#[derive(Clone, Copy)]
enum Found<'a> {
    /// Their bytes.
    Rows(&'a [u8]),
    /// One element that stands for all of them.
    Constant(&'a [u8]),
    /// In an encoded chunk.
    Waiting,
}

impl<'a> Found<'a> {
    /// A chunk's rows.
    fn of(chunk: &'a Chunk) -> Found<'a> {
        match chunk.encoding() {
            Encoding::Raw => Found::Rows(chunk.stored_bytes()),
            Encoding::Fill => Found::Constant(chunk.stored_bytes()),
            _ => Found::Waiting,
        }
    }
}

/// Reads one byte of every cache line of the rows' beginnings. Random rows are far from the processor, and nothing here
/// waits for anything else, so that many are fetched at once; copying them one by one would wait for each.
fn touch(found: &[Found<'_>]) {
    let mut all = 0;
    for found in found {
        if let Found::Rows(bytes) = found {
            for line in bytes.chunks(64).take(8) {
                all ^= line[0];
            }
        }
    }
    std::hint::black_box(all);
}

/// Copies the rows that are there, one after the other. The lengths of most rows are fixed for the compiler: a call of
/// the C library for each takes longer than copying a short row.
fn copy(found: &[Found<'_>], row: usize, out: &mut [u8]) {
    fn each<const N: usize>(found: &[Found<'_>], out: &mut [u8]) {
        for (out, found) in out.as_chunks_mut::<N>().0.iter_mut().zip(found) {
            match found {
                Found::Rows(bytes) => {
                    if let Some(bytes) = bytes.first_chunk::<N>() {
                        *out = *bytes;
                    }
                }
                Found::Constant(element) => fill_with(element, out),
                Found::Waiting => {}
            }
        }
    }
    match row {
        8 => each::<8>(found, out),
        16 => each::<16>(found, out),
        32 => each::<32>(found, out),
        64 => each::<64>(found, out),
        128 => each::<128>(found, out),
        256 => each::<256>(found, out),
        _ => {
            for (out, found) in out.chunks_exact_mut(row).zip(found) {
                match found {
                    Found::Rows(bytes) => out.copy_from_slice(&bytes[..row]),
                    Found::Constant(element) => fill_with(element, out),
                    Found::Waiting => {}
                }
            }
        }
    }
}

/// An axis of an array, from the front; the one axis that NumPy lends a scalar here.
fn axis_of(shape: &Shape, axis: i64) -> Result<usize> {
    if shape.ndim() == 0 && (axis == 0 || axis == -1) {
        return Ok(0);
    }
    Ok(normalize_axes(&[axis], shape.ndim())?[0])
}

/// The length of an axis that [`axis_of`] found.
fn length_of(shape: &Shape, axis: usize) -> usize {
    shape.get(axis).copied().unwrap_or(1)
}

/// The length of an axis, counted from the end where negative: how many rows there are to choose from.
///
/// # Errors
/// `INDEX` for an axis that is not there. A scalar has the axis 0, of length 1, as in `numpy.take`.
pub fn axis_length(shape: &Shape, axis: i64) -> Result<usize> {
    axis_of(shape, axis).map(|axis| length_of(shape, axis))
}

/// Takes a row's place in the output, and what writes it there.
type Put<'a> = dyn FnMut(usize, &dyn Fn(&mut [u8])) + 'a;

impl Array {
    /// What reading `n` rows along an axis takes.
    ///
    /// # Errors
    /// As [`axis_length`].
    pub fn effort_of_axis(&self, axis: i64, n: usize) -> Result<Effort> {
        Ok(self.effort_of_rows(axis_of(&self.shape(), axis)?, n))
    }
}

impl Positions {
    /// Resolves positions on `axis` of an array of this shape, both counted from the end where negative.
    ///
    /// # Errors
    /// `INDEX` for an axis that is not there, and naming the first position outside it; `SHAPE`, `LIMIT` for a result
    /// that no array can be.
    pub fn new(shape: &Shape, axis: i64, list: &[i64]) -> Result<Positions> {
        let axis = axis_of(shape, axis)?;
        let len = length_of(shape, axis);
        // No axis is longer than a signed number.
        let end = i64::try_from(len).unwrap_or(i64::MAX);
        let mut at = Vec::new();
        at.try_reserve_exact(list.len()).map_err(|_| Error::OutOfMemory { bytes: 8 * list.len() })?;
        for (place, &index) in list.iter().enumerate() {
            let position = if index < 0 { index.saturating_add(end) } else { index };
            if position < 0 || position >= end {
                return Err(Error::Position { place, axis, index, len });
            }
            at.push(position as usize); // between 0 and the length
        }
        Positions::from_front(shape, axis, at)
    }

    /// Positions that are counted from the front and known to be within the axis.
    ///
    /// # Errors
    /// `INDEX` for an axis that is not there; `SHAPE`, `LIMIT` for a result that no array can be.
    pub fn known(shape: &Shape, axis: i64, at: Vec<usize>) -> Result<Positions> {
        let axis = axis_of(shape, axis)?;
        let len = length_of(shape, axis);
        debug_assert!(at.iter().all(|p| *p < len));
        Positions::from_front(shape, axis, at)
    }

    fn from_front(shape: &Shape, axis: usize, at: Vec<usize>) -> Result<Positions> {
        let mut out_shape = shape.clone();
        match out_shape.dims_mut().get_mut(axis) {
            Some(length) => *length = at.len(),
            None => out_shape.push(at.len())?,
        }
        Ok(Positions { axis, at, out_shape })
    }

    /// The shape of the rows together.
    pub fn out_shape(&self) -> &Shape {
        &self.out_shape
    }

    /// The positions, from the front.
    pub fn list(&self) -> &[usize] {
        &self.at
    }
}

impl Array {
    /// The rows at these positions into exactly as many bytes; all of them are written.
    ///
    /// # Errors
    /// `LIMIT` for more work than one command may make; `CORRUPT` where a chunk does not decode; `OOM`.
    pub fn take_into(&self, positions: &Positions, out: &mut [u8]) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        let (shape, axis) = (self.shape(), positions.axis);
        if self.take_rows(axis, &positions.at, out)? {
            return Ok(());
        }
        if shape.ndim() > 0 {
            let list = positions.at.clone();
            let selection = Advanced::take(&shape, axis, list, positions.out_shape.clone());
            return self.read_into(&Selection::Advanced(Box::new(selection)), out);
        }
        // A scalar in a chunk, as often as it is asked for.
        let (first, rest) = out.split_at_mut(self.dtype.itemsize());
        self.visit_run(0, 1, |element| {
            first.copy_from_slice(element);
            Ok(())
        })?;
        rest.chunks_exact_mut(first.len()).for_each(|out| out.copy_from_slice(first));
        Ok(())
    }

    /// The rows at these positions of an axis into exactly as many bytes, where each of them lies in one place; false, and nothing
    /// done, where they do not. There is a position, and a row has an element.
    ///
    /// # Errors
    /// As [`Array::take_into`].
    pub(super) fn take_rows(&self, axis: usize, positions: &[usize], out: &mut [u8]) -> Result<bool> {
        let shape = self.shape();
        let row = shape.iter().skip(axis + 1).product::<usize>() * self.dtype.itemsize();
        // Outside the axis every length is 1.
        let is_first = shape.iter().take(axis).all(|d| *d == 1);
        if let (Some(bytes), true) = (self.plain_bytes(), is_first) {
            for (out, at) in out.chunks_exact_mut(row).zip(positions) {
                out.copy_from_slice(&bytes[at * row..][..row]);
            }
            return Ok(true);
        }
        let Some(chunks) = self.chunks().filter(|_| shape.ndim() > 0) else { return Ok(false) };
        let grid = self.grid_of(chunks);
        // Rows hidden in front matter only where the rows are of the first axis.
        let is_first = is_first && (axis == 0 || grid.lead() == 0);
        let Some(height) = grid.rows_per_chunk(axis).filter(|_| is_first) else { return Ok(false) };
        let (lead, base) = (grid.lead(), grid.base());
        let itemsize = self.dtype.itemsize();
        let nothing = Found::Constant(&chunks.fill[..itemsize]);
        // Where there are no more chunks than positions, each is looked at once; else each position looks its chunk up.
        let count = usize::try_from(grid.len()).unwrap_or(usize::MAX);
        let mut table = Vec::new();
        if count <= positions.len() {
            table.resize(count, nothing);
            for (number, chunk) in &chunks.map {
                table[(number - base) as usize] = Found::of(chunk); // one of the grid's
            }
        }
        let lookup = |place: usize| match table.is_empty() {
            true => chunks.map.get(&(base + place as u64)).map_or(nothing, Found::of), // below the number of chunks
            false => table[place],
        };
        let mut waiting: Vec<Waiting> = Vec::new();
        for (block, (out, list)) in out.chunks_mut(row * BLOCK).zip(positions.chunks(BLOCK)).enumerate() {
            if block.is_multiple_of(4096 / BLOCK) {
                interrupt::check()?;
            }
            // Step by step for the whole block: each step waits for memory, but none of its rows for another.
            let mut places = [(0, 0); BLOCK];
            places.iter_mut().zip(list).for_each(|(p, at)| *p = ((at + lead) / height, (at + lead) % height));
            let mut found = [nothing; BLOCK];
            found.iter_mut().zip(&places[..list.len()]).for_each(|(found, (place, _))| *found = lookup(*place));
            for (i, (found, (place, at))) in found.iter_mut().zip(&places[..list.len()]).enumerate() {
                match found {
                    Found::Rows(bytes) => *bytes = &bytes[at * row..][..row],
                    Found::Constant(_) => {}
                    Found::Waiting => {
                        if waiting.is_empty() {
                            let most = positions.len() - block * BLOCK;
                            let bytes = most * std::mem::size_of::<Waiting>();
                            waiting.try_reserve_exact(most).map_err(|_| Error::OutOfMemory { bytes })?;
                        }
                        waiting.push(Waiting { chunk: base + *place as u64, row: *at, out: block * BLOCK + i });
                    }
                }
            }
            let found = &found[..list.len()];
            touch(found);
            copy(found, row, out);
        }
        waiting.sort_unstable_by_key(|w| w.chunk);
        let groups: Vec<&[Waiting]> = waiting.chunk_by(|a, b| a.chunk == b.chunk).collect();
        let work = groups.len().saturating_mul(self.chunk_bytes(chunks));
        let helpers = (work >= 2 * SHARE).then(|| parallel::helpers(work, SHARE));
        self.take_encoded(&grid, chunks, &groups, row, helpers.as_ref().map_or(0, Claim::count), out)?;
        Ok(true)
    }

    /// The rows of encoded chunks, a group for each: it is decoded once, by whichever thread is free, and undone as far as its
    /// rows go.
    fn take_encoded(
        &self,
        grid: &Grid,
        chunks: &Chunks,
        groups: &[&[Waiting]],
        row: usize,
        helpers: usize,
        out: &mut [u8],
    ) -> Result<()> {
        let itemsize = self.dtype.itemsize();
        let may_keep = decoded::may_hold(groups.len().saturating_mul(self.chunk_bytes(chunks)));
        // Calls `put` with each row's place in the output, and what writes it.
        let each = |group: &[Waiting], put: &mut Put<'_>| {
            interrupt::check()?;
            let number = group[0].chunk;
            let Some(chunk) = chunks.map.get(&number) else { return Ok(()) }; // it was there before
            let nbytes = grid.chunk(number).size() * itemsize;
            if group.len() > FEW || group.len() * row > nbytes / 4 {
                return chunk.with_some_elements(number, nbytes, itemsize, may_keep, |elements| {
                    group.iter().for_each(|w| {
                        put(w.out, &|out: &mut [u8]| out.copy_from_slice(&elements[w.row * row..][..row]));
                    });
                    Ok(())
                });
            }
            chunk.with_parts(number, nbytes, itemsize, may_keep, |opened| {
                group
                    .iter()
                    .for_each(|w| put(w.out, &|out: &mut [u8]| opened.part(itemsize, w.row * row / itemsize, out)));
            })
        };
        if helpers == 0 {
            let mut put = |at: usize, write: &dyn Fn(&mut [u8])| write(&mut out[at * row..][..row]);
            return groups.iter().try_for_each(|group| each(group, &mut put));
        }
        let make = |i: usize| {
            let group = groups[i];
            let mut rows = memory::bytes_with_capacity(group.len() * row)?;
            rows.resize(group.len() * row, 0);
            let mut next = rows.chunks_exact_mut(row);
            each(group, &mut |_, write| next.next().into_iter().for_each(write))?;
            Ok((group, rows))
        };
        parallel::in_order(groups.len(), helpers, make, |(group, rows)| {
            for (w, bytes) in group.iter().zip(rows.chunks_exact(row)) {
                out[w.out * row..][..row].copy_from_slice(bytes);
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nd::array::StoreOptions;
    use crate::nd::codec::Policy;
    use crate::nd::dtype::Dtype;
    use crate::nd::index::Index;
    use crate::nd::memory;
    use crate::nd::scalar::Scalar;
    use crate::nd::source::SliceSource;
    use crate::nd::stats;

    fn taken(array: &Array, axis: i64, list: &[i64]) -> Result<(Shape, Vec<u8>)> {
        let positions = Positions::new(&array.shape(), axis, list)?;
        let (_, nbytes) = positions.out_shape().size_and_bytes(array.dtype())?;
        let mut out = vec![0xAA; nbytes];
        array.take_into(&positions, &mut out)?;
        Ok((positions.out_shape().clone(), out))
    }

    proptest! {
        #[test]
        fn rows_are_what_a_list_selects(
            dims in proptest::collection::vec(1usize..5, 1..4),
            axis in 0usize..4,
            list in proptest::collection::vec(any::<i64>(), 0..9),
            cut in proptest::collection::vec(1usize..4, 4),
            policy in prop::sample::select(Policy::KINDS),
        ) {
            let shape = Shape::new(&dims).unwrap();
            let axis = axis % dims.len();
            let len = dims[axis] as i64;
            let list: Vec<i64> = list.iter().map(|i| i.rem_euclid(2 * len) - len).collect();
            let bytes: Vec<u8> = (0..dims.iter().product::<usize>() as u16).flat_map(|i| (i / 3).to_le_bytes()).collect();
            let chunks = [None, Some(Shape::new(&cut[..dims.len()]).unwrap()), Some(shape.clone())];
            for chunk_shape in chunks.into_iter().chain([Some(auto(&shape))]) {
                let options = StoreOptions { chunk_shape, policy, ..StoreOptions::default() };
                let array =
                    Array::from_source(Dtype::UInt16, &shape, &mut SliceSource::new(&bytes), &options).unwrap();
                let text = format!("{}{list:?}", ":,".repeat(axis));
                let selection = Index::parse(text.as_bytes()).unwrap().resolve(&shape).unwrap();
                let (out_shape, got) = taken(&array, axis as i64 - dims.len() as i64, &list).unwrap();
                prop_assert_eq!(&out_shape, selection.out_shape());
                let want: Vec<u8> =
                    selection.positions(&shape).flat_map(|p| bytes[2 * p..2 * p + 2].iter().copied()).collect();
                prop_assert_eq!(&got, &want, "{} of {}", text, shape);
                let read = array.read(&selection).unwrap();
                prop_assert_eq!(memory::bytes(&read, want.len()), &want[..], "{} of {}, read", text, shape);
            }
        }
    }

    /// A chunk shape of runs: two rows each.
    fn auto(shape: &Shape) -> Shape {
        let mut chunk = shape.clone();
        chunk.dims_mut()[0] = 2;
        chunk
    }

    #[test]
    fn each_encoded_chunk_is_decoded_once() {
        let shape = Shape::from([4096, 64]);
        let bytes: Vec<u8> = (0..4096u32 * 64).flat_map(|i| (i / 64).to_le_bytes()).collect();
        let options = StoreOptions { policy: Policy::Lz4, ..StoreOptions::default() };
        let array = Array::from_source(Dtype::UInt32, &shape, &mut SliceSource::new(&bytes), &options).unwrap();
        let list: Vec<i64> = (0..4096).map(|i| i * 1021 % 4096).collect();
        let before = stats::CHUNKS_DECODED.load(std::sync::atomic::Ordering::Relaxed);
        let (_, got) = taken(&array, 0, &list).unwrap();
        let decoded = stats::CHUNKS_DECODED.load(std::sync::atomic::Ordering::Relaxed) - before;
        // Other tests decode at the same time; one by one it would be 4,096.
        assert!((16..2048).contains(&decoded), "{decoded} chunks decoded");
        for (row, at) in got.chunks_exact(256).zip(&list) {
            assert_eq!(row, (*at as u32).to_le_bytes().repeat(64));
        }
    }

    #[test]
    fn rows_of_every_length_come_from_raw_constant_and_encoded_chunks_with_any_help() {
        for cols in [1usize, 2, 4, 8, 9, 16, 32, 64, 100, 512] {
            let shape = Shape::from([2000, cols]);
            // Chunks of 100 rows: counters, one value, noise, and nothing at all.
            let element = |i: usize| match i / cols / 100 % 4 {
                0 => (i / 3) as u32,
                1 => 7,
                2 => (i as u32).wrapping_mul(2_654_435_761).rotate_left(i as u32 % 31),
                _ => 0,
            };
            let bytes: Vec<u8> = (0..2000 * cols).flat_map(|i| element(i).to_le_bytes()).collect();
            let options = StoreOptions {
                policy: Policy::Lz4,
                chunk_shape: Some(Shape::from([100usize.max(256 / cols), cols])),
                inline_bytes: 0,
                ..StoreOptions::default()
            };
            let array = Array::from_source(Dtype::UInt32, &shape, &mut SliceSource::new(&bytes), &options).unwrap();
            for count in [3, 70, 1500] {
                let list: Vec<usize> = (0..count).map(|i| i * 1013 % 2000).collect();
                let want: Vec<u8> = list.iter().flat_map(|at| bytes[at * cols * 4..][..cols * 4].to_vec()).collect();
                let mut got = vec![0xAA; want.len()];
                assert!(array.take_rows(0, &list, &mut got).unwrap());
                assert!(got == want, "{count} rows of {cols}");
                let (chunks, grid) = (array.chunks().unwrap(), array.grid().unwrap());
                let height = grid.chunk_shape()[0];
                let mut waiting: Vec<Waiting> = list
                    .iter()
                    .enumerate()
                    .map(|(out, at)| Waiting { chunk: (at / height) as u64, row: at % height, out })
                    .filter(|w| chunks.map.contains_key(&w.chunk))
                    .collect();
                waiting.sort_by_key(|w| w.chunk);
                let groups: Vec<&[Waiting]> = waiting.chunk_by(|a, b| a.chunk == b.chunk).collect();
                for helpers in [0, 1, 3] {
                    let mut got = vec![0; want.len()];
                    array.take_encoded(&grid, chunks, &groups, cols * 4, helpers, &mut got).unwrap();
                    assert!(got == want, "{count} rows of {cols}, {helpers} helpers");
                }
            }
        }
    }

    #[test]
    fn a_scalar_is_taken_as_numpy_takes_it() {
        let seven = Scalar::of(7i16);
        for options in [StoreOptions::default(), StoreOptions { codec_given: true, ..StoreOptions::default() }] {
            let scalar = Array::filled(&Shape::scalar(), seven, &options).unwrap();
            assert_eq!(taken(&scalar, -1, &[0, -1]).unwrap(), (Shape::from([2]), vec![7, 0, 7, 0]));
            assert_eq!(taken(&scalar, 0, &[]).unwrap().0, Shape::from([0]));
            assert!(taken(&scalar, 1, &[0]).is_err());
        }
    }

    #[test]
    fn err_positions_outside_the_axis() {
        let array = Array::filled(&Shape::from([2, 10]), Scalar::of(0u8), &StoreOptions::default()).unwrap();
        for (index, text) in [
            (10, "INDEX position 1 of the list: 10 is out of bounds for axis 1 of length 10 (use -10 to 9)"),
            (-11, "INDEX position 1 of the list: -11 is out of bounds for axis 1 of length 10 (use -10 to 9)"),
            (
                i64::MIN,
                "INDEX position 1 of the list: -9223372036854775808 is out of bounds for axis 1 of length 10 (use -10 to 9)",
            ),
        ] {
            assert_eq!(taken(&array, 1, &[0, index]).unwrap_err().to_string(), text);
        }
        let empty = Array::filled(&Shape::from([0, 3]), Scalar::of(0u8), &StoreOptions::default()).unwrap();
        assert_eq!(
            taken(&empty, 0, &[0]).unwrap_err().to_string(),
            "INDEX position 0 of the list: 0 is out of bounds for axis 0 of length 0 (the axis is empty)"
        );
        assert_eq!(taken(&empty, 1, &[2, 2]).unwrap().0, Shape::from([0, 2]));
    }
}
