//! Changing the elements that a selection touches, whole or not at all.
//!
//! An edit goes in two steps. First every touched chunk that cannot be changed where it lies (one that is encoded, absent,
//! shared with a snapshot, or about to become one constant) is made anew beside the old: that takes memory, and may meet a
//! chunk that does not decode. Then nothing can fail any more: raw chunks that nobody shares are changed in place, and the
//! new ones are put in. So a large array of raw chunks is written over without a second copy of it, and a snapshot keeps
//! its bits at the price of the touched chunks alone.

use std::collections::BTreeMap;

use super::layout::{Layout, Patch};
use super::memo::Memo;
use super::scatter::{visit, Patches};
use super::{Array, Body, Chunks, Storage};
use crate::nd::chunk::Chunk;
use crate::nd::codec::{fill_with, Chooser, Encoding};
use crate::nd::dtype::Dtype;
use crate::nd::error::{Error, Result};
use crate::nd::grid::{ChunkBox, Grid, PerAxis};
use crate::nd::index::Selection;
use crate::nd::memory;
use crate::nd::shape::Shape;

/// What a chunk that becomes one constant counts for, in bytes of elements worked through.
const CONSTANT: usize = 4096;

/// The chunk map is built anew when one in so many of its entries came or went by itself.
const LOOSE: usize = 256;

/// What is done to elements. It cannot fail: what can is checked before.
pub(super) trait Edit {
    /// Whether the elements that are there matter.
    fn reads(&self) -> bool;

    /// Changes one block of a chunk's elements.
    fn block(&self, elements: &mut [u8], patch: &Patch);

    /// Changes single elements, one after the other: of the chunk, by those of the value.
    fn points(&self, elements: &mut [u8], points: &[(usize, usize)]);
}

/// Does all that happens to one chunk.
fn apply(edit: &dyn Edit, elements: &mut [u8], patches: Patches<'_>) {
    match patches {
        Patches::Blocks(blocks) => blocks.iter().for_each(|patch| edit.block(elements, patch)),
        Patches::Points(points) => edit.points(elements, points),
    }
}

impl Array {
    /// Changes the selected elements. `layout` is the value's over the selection, which was resolved for this array.
    ///
    /// `limit` is the most bytes of elements of chunks that are made anew.
    ///
    /// # Errors
    /// `LIMIT`, `CORRUPT` where a chunk does not decode, `OOM`; then nothing was changed.
    pub(super) fn edit(&mut self, selection: &Selection, layout: &Layout, edit: &dyn Edit, limit: usize) -> Result<()> {
        if selection.out_shape().contains(&0) {
            return Ok(());
        }
        let (shape, dtype, nbytes) = (self.shape(), self.dtype, self.nbytes());
        let rich = match &mut self.body {
            Body::Plain(buffer) => {
                return edit_plain(memory::bytes_mut(buffer, nbytes), selection, layout, edit, &shape, dtype)
            }
            Body::Rich(rich) => rich,
        };
        match &mut rich.storage {
            Storage::Plain(buffer) => {
                edit_plain(memory::bytes_mut(buffer, nbytes), selection, layout, edit, &shape, dtype)?;
            }
            Storage::Chunked(chunks) => {
                let grid = chunks.grid(&shape, dtype);
                let mut stage = Stage::new(chunks, edit, dtype, limit);
                if nbytes > limit {
                    // What is too much is refused before the first chunk is made.
                    let mut work = 0usize;
                    visit(selection, layout, &shape, &grid, |place, patches| {
                        work = work.saturating_add(stage.weigh(place, patches));
                        Ok(())
                    })?;
                    stage.check(work)?;
                }
                let mut any_in_place = false;
                visit(selection, layout, &shape, &grid, |place, patches| {
                    let staged = stage.take(place, patches)?;
                    any_in_place |= !staged;
                    Ok(())
                })?;
                let new = stage.done;
                if any_in_place {
                    visit(selection, layout, &shape, &grid, |place, patches| {
                        if !new.contains_key(&place.number) {
                            let chunk = chunks.map.get_mut(&place.number);
                            let edited = chunk.is_some_and(|c| c.edit(|elements| apply(edit, elements, patches)));
                            debug_assert!(edited, "raw and unshared, or it would have been made anew");
                        }
                        Ok(())
                    })?;
                }
                chunks.put(new);
                chunks.come_home();
            }
        }
        rich.memo = Memo::default();
        Ok(())
    }
}

/// A plain array is one chunk, the whole of it. It is changed where it lies: the selection is listed before.
fn edit_plain(
    elements: &mut [u8],
    selection: &Selection,
    layout: &Layout,
    edit: &dyn Edit,
    shape: &Shape,
    dtype: Dtype,
) -> Result<()> {
    let whole = Shape::new(&shape.iter().map(|len| (*len).max(1)).collect::<PerAxis<usize>>())?;
    let grid = Grid::new(shape, &whole, dtype)?;
    visit(selection, layout, shape, &grid, |_, patches| {
        apply(edit, elements, patches);
        Ok(())
    })
}

/// The chunks that are made anew, beside those of the array.
struct Stage<'a> {
    chunks: &'a Chunks,
    edit: &'a dyn Edit,
    chooser: Chooser,
    itemsize: usize,
    /// Bytes of elements worked through so far, and at most.
    worked: usize,
    limit: usize,
    /// The elements of the chunk at hand.
    elements: Vec<u64>,
    /// New chunks by number; nothing where the chunk is to hold the array's fill value.
    done: BTreeMap<u64, Option<Chunk>>,
}

/// What a chunk that is made anew holds so far.
enum Draft {
    /// As it is stored.
    Untouched,
    /// One element everywhere.
    Constant([u8; 16]),
    /// The elements that [`Stage::elements`] holds.
    Elements,
}

impl<'a> Stage<'a> {
    fn new(chunks: &'a Chunks, edit: &'a dyn Edit, dtype: Dtype, limit: usize) -> Stage<'a> {
        // No sample of the whole array: every chunk is judged by itself.
        let chooser = Chooser::unsampled(chunks.policy, dtype);
        let itemsize = dtype.itemsize();
        Stage { chunks, edit, chooser, itemsize, worked: 0, limit, elements: Vec::new(), done: BTreeMap::new() }
    }

    /// Bytes of elements that making a chunk anew would work through; for the most part, exactly.
    fn weigh(&self, place: &ChunkBox, patches: Patches<'_>) -> usize {
        let stored = self.chunks.map.get(&place.number);
        let stays_constant = match patches {
            Patches::Blocks([patch]) => patch.repeats_one() && patch.size() == place.size(),
            _ => false,
        };
        let is_constant = stored.is_none_or(|c| c.encoding() == Encoding::Fill);
        if stays_constant && (is_constant || !self.edit.reads()) {
            return CONSTANT;
        }
        match stored.is_some_and(Chunk::is_editable) {
            true => 0,
            false => place.size() * self.itemsize,
        }
    }

    /// Refuses more work than the limit.
    fn check(&self, work: usize) -> Result<()> {
        if work > self.limit {
            let (what, unit) = ("the chunks to be made anew", "bytes");
            return Err(Error::Limit { what, given: work as u128, limit: self.limit as u128, unit });
        }
        Ok(())
    }

    /// Makes a chunk anew, unless it can be changed where it lies: then false.
    fn take(&mut self, place: &ChunkBox, patches: Patches<'_>) -> Result<bool> {
        let number = place.number;
        let keeps_raw = !self.becomes_constant(place, patches);
        // One that another batch of patches has made already.
        if let Some(Some(chunk)) = self.done.get_mut(&number).filter(|_| keeps_raw) {
            if chunk.edit(|elements| apply(self.edit, elements, patches)) {
                return Ok(true);
            }
        }
        let stored = match self.done.get(&number) {
            Some(staged) => staged.as_ref(),
            None => self.chunks.map.get(&number),
        };
        let new = match stored {
            Some(chunk) if chunk.is_editable() && keeps_raw => return Ok(false),
            // What was raw stays raw, as it would in place.
            Some(chunk) if chunk.encoding() == Encoding::Raw && keeps_raw => {
                let chunk = chunk.clone();
                self.work(place.size() * self.itemsize)?;
                let mut copy = chunk.copy()?;
                copy.edit(|elements| apply(self.edit, elements, patches));
                Some(copy)
            }
            stored => {
                let stored = stored.cloned();
                self.make(place, stored, patches)?
            }
        };
        self.done.insert(number, new);
        Ok(true)
    }

    /// Counts bytes of elements worked through.
    fn work(&mut self, nbytes: usize) -> Result<()> {
        self.worked = self.worked.saturating_add(nbytes);
        self.check(self.worked)
    }

    /// Whether a patch lays one element over the whole chunk, whatever was there.
    fn becomes_constant(&self, place: &ChunkBox, patches: Patches<'_>) -> bool {
        let Patches::Blocks(blocks) = patches else { return false };
        !self.edit.reads() && blocks.iter().any(|patch| patch.repeats_one() && patch.size() == place.size())
    }

    /// What is stored, changed; nothing where it is the array's fill value.
    fn make(&mut self, place: &ChunkBox, stored: Option<Chunk>, patches: Patches<'_>) -> Result<Option<Chunk>> {
        let mut draft = match &stored {
            None => Draft::Constant(self.chunks.fill),
            Some(c) if c.encoding() == Encoding::Fill => Draft::Constant(one_element(c.stored_bytes())),
            Some(_) => Draft::Untouched,
        };
        let nbytes = place.size() * self.itemsize;
        if let Patches::Blocks(blocks) = patches {
            for patch in blocks {
                let covers = patch.size() == place.size();
                match &mut draft {
                    Draft::Constant(element) if covers && patch.repeats_one() => self.edit_one(element, patch),
                    draft if covers && patch.repeats_one() && !self.edit.reads() => {
                        let mut element = [0; 16];
                        self.edit_one(&mut element, patch);
                        *draft = Draft::Constant(element);
                    }
                    draft => {
                        let lost = covers && !self.edit.reads();
                        self.write_out(draft, place.number, stored.as_ref(), nbytes, lost)?;
                        self.edit.block(memory::bytes_mut(&mut self.elements, nbytes), patch);
                    }
                }
            }
        } else {
            self.write_out(&mut draft, place.number, stored.as_ref(), nbytes, false)?;
            apply(self.edit, memory::bytes_mut(&mut self.elements, nbytes), patches);
        }
        let new = match draft {
            Draft::Untouched => return Ok(stored), // no patch at all
            Draft::Constant(element) => Chunk::constant(&element[..self.itemsize])?,
            Draft::Elements => {
                let before = stored.as_ref().map_or(Encoding::Fill, Chunk::encoding);
                Chunk::encode_again(memory::bytes(&self.elements, nbytes), &self.chooser, before)?
            }
        };
        Ok(if self.chunks.is_fill(&new) { None } else { Some(new) })
    }

    /// The edit of a chunk of one element.
    fn edit_one(&self, element: &mut [u8; 16], patch: &Patch) {
        let one = Patch::new(0, &[], patch.value_start, &[], &[]);
        // Kernels see aligned elements.
        let mut aligned = [0u64; 2];
        let bytes = memory::bytes_mut(&mut aligned, 16);
        bytes.copy_from_slice(element);
        self.edit.block(&mut bytes[..self.itemsize], &one);
        element.copy_from_slice(bytes);
    }

    /// Sees to it that `elements` holds the chunk's elements; any, where they are all `lost` to what comes next.
    fn write_out(
        &mut self,
        draft: &mut Draft,
        number: u64,
        stored: Option<&Chunk>,
        nbytes: usize,
        lost: bool,
    ) -> Result<()> {
        if matches!(draft, Draft::Elements) {
            return Ok(());
        }
        self.work(nbytes)?;
        let words = memory::words_for(nbytes);
        if self.elements.len() < words {
            let more = words - self.elements.len();
            self.elements.try_reserve_exact(more).map_err(|_| Error::OutOfMemory { bytes: nbytes })?;
            self.elements.resize(words, 0);
        }
        let elements = memory::bytes_mut(&mut self.elements, nbytes);
        if !lost {
            match (&*draft, stored) {
                (Draft::Constant(element), _) => fill_with(&element[..self.itemsize], elements),
                (_, Some(stored)) => stored.decode_into(number, self.itemsize, elements)?,
                (_, None) => {} // what is not stored is a constant
            }
        }
        *draft = Draft::Elements;
        Ok(())
    }
}

/// A stored element in the room for the largest.
fn one_element(bytes: &[u8]) -> [u8; 16] {
    let mut element = [0; 16];
    element[..bytes.len()].copy_from_slice(bytes);
    element
}

impl Chunks {
    /// Puts new chunks in; nothing stands for the fill value.
    pub(super) fn put(&mut self, new: BTreeMap<u64, Option<Chunk>>) {
        for (number, chunk) in new {
            let before = self.map.len();
            match chunk {
                Some(chunk) => self.insert(number, chunk),
                None => self.remove(number),
            }
            self.loose += self.map.len().abs_diff(before);
        }
        // A map that is built at once has full nodes, as `map_memory` counts them; one that grew here and there may take
        // half as much again. Built anew after one change in so many, it costs little and is never far from full.
        if self.loose * LOOSE > self.map.len() {
            self.map = std::mem::take(&mut self.map).into_iter().collect();
            self.loose = 0;
        }
    }
}
