//! The cells of a reduction: one for each element of the result, of whatever type the kernel keeps.

use super::kernel::Erased;
use crate::nd::error::{Error, Result};

/// How many elements went into a cell, where options leave some out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Elements that the mask selects.
    pub chosen: u64,
    /// Those of them that are counted: no NaN, where NaN is skipped.
    pub taken: u64,
}

/// Cells of any kernel, as bytes aligned to 16, and their tallies where there are any.
#[derive(Default)]
pub(super) struct Cells {
    words: Vec<u128>,
    len: usize,
    pub cell_size: usize,
    pub tallies: Vec<Tally>,
}

impl Cells {
    /// Makes these `count` empty cells.
    pub fn reset(&mut self, kernel: &dyn Erased, count: usize, is_filtered: bool) -> Result<()> {
        self.cell_size = kernel.cell_size();
        let bytes = count.saturating_mul(self.cell_size);
        let words = bytes.div_ceil(16);
        let refused = |_| Error::OutOfMemory { bytes };
        self.words.clear();
        self.words.try_reserve(words).map_err(refused)?;
        self.words.resize(words, 0);
        self.len = bytes;
        self.tallies.clear();
        if is_filtered {
            self.tallies.try_reserve(count).map_err(refused)?;
            self.tallies.resize(count, Tally::default());
        }
        kernel.clear(self.bytes_mut());
        Ok(())
    }

    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.len]
    }

    /// The bytes of the cells, and their tallies.
    pub fn parts_mut(&mut self) -> (&mut [u8], &mut [Tally]) {
        (&mut bytemuck::cast_slice_mut(&mut self.words)[..self.len], &mut self.tallies)
    }
}
