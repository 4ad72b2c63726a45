//! What is remembered of an array until its next write: its digest, what reductions of all its elements gave, and since when
//! it is at rest.
//!
//! Only large arrays remember: a small one is read sooner than it is looked up. A reduction that is remembered reads no
//! element, and answers the bits of the first time, because they are those bits.

use std::sync::OnceLock;

use super::compact::Rest;
use super::summaries::LEAST_BYTES;
use super::{Array, Body};
use crate::nd::dtype::Dtype;
use crate::nd::kernels::reduce::Op;
use crate::nd::memory;

/// Cleared by every write: set to the default.
#[derive(Clone, Debug, Default)]
pub(super) struct Memo {
    /// XXH3-64, as [`Array::digest`] gives it.
    pub digest: OnceLock<u64>,
    pub(super) figures: OnceLock<Box<Figures>>,
    /// How long there was no write.
    pub(super) rest: Rest,
}

/// A result without axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The result's dtype.
    pub dtype: Dtype,
    /// Its bytes, little-endian; the first `itemsize` of them count.
    pub bytes: [u8; 16],
    /// How many elements went into it.
    pub taken: u64,
}

/// The results of every operation, with NaN and without.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    all: [OnceLock<Figure>; Op::ALL.len()],
    without_nan: [OnceLock<Figure>; Op::ALL.len()],
}

impl Figures {
    fn slot(&self, op: Op, skip_nan: bool) -> &OnceLock<Figure> {
        let slots = if skip_nan { &self.without_nan } else { &self.all };
        &slots[op as usize]
    }
}

impl Memo {
    /// What is left to remember where elements are the same, but kept otherwise.
    pub fn of_digest(digest: Option<u64>) -> Memo {
        Memo { digest: digest.map_or_else(OnceLock::new, OnceLock::from), ..Memo::default() }
    }

    /// What it takes in memory, besides itself.
    pub fn memory(&self) -> usize {
        self.figures.get().map_or(0, |_| memory::size_class(std::mem::size_of::<Figures>()))
    }
}

impl Array {
    fn memo(&self) -> Option<&Memo> {
        match &self.body {
            Body::Plain(_) => None,
            Body::Rich(rich) => self.chunks().map(|_| &rich.memo),
        }
    }

    /// What `op` gave of all elements, where that is remembered.
    pub fn figure(&self, op: Op, skip_nan: bool) -> Option<Figure> {
        self.memo()?.figures.get()?.slot(op, skip_nan && self.dtype.is_inexact()).get().copied()
    }

    /// Remembers what `op` gave of all elements.
    pub fn remember(&self, op: Op, skip_nan: bool, dtype: Dtype, bytes: &[u8], taken: u64) {
        if self.nbytes() < LEAST_BYTES {
            return;
        }
        let Some(memo) = self.memo() else { return };
        let mut figure = Figure { dtype, bytes: [0; 16], taken };
        figure.bytes[..bytes.len()].copy_from_slice(bytes);
        let slot = memo.figures.get_or_init(Box::default).slot(op, skip_nan && self.dtype.is_inexact());
        let _ = slot.set(figure); // another reader may have been first, with the same answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nd::array::StoreOptions;
    use crate::nd::shape::Shape;
    use crate::nd::source::SliceSource;

    fn array(elements: &[f64], inline_bytes: usize) -> Array {
        let options = StoreOptions { inline_bytes, ..StoreOptions::default() };
        let mut source = SliceSource::new(bytemuck::cast_slice(elements));
        Array::from_source(Dtype::Float64, &Shape::from([elements.len()]), &mut source, &options).unwrap()
    }

    #[test]
    fn figures_are_remembered_until_the_next_write_and_counted() {
        let mut chunked = array(&[1.0; 5000], 0);
        let before = chunked.memory();
        assert_eq!(chunked.figure(Op::Sum, false), None);
        chunked.remember(Op::Sum, false, Dtype::Float64, &5000f64.to_le_bytes(), 5000);
        let figure = chunked.figure(Op::Sum, false).unwrap();
        assert_eq!(
            (figure.dtype, &figure.bytes[..8], figure.taken),
            (Dtype::Float64, &5000f64.to_le_bytes()[..], 5000)
        );
        assert_eq!((chunked.figure(Op::Sum, true), chunked.figure(Op::Mean, false)), (None, None));
        assert!(chunked.memory() > before);
        let other = [2.0f64; 5000];
        let mut source = SliceSource::new(bytemuck::cast_slice(&other));
        let options = StoreOptions { inline_bytes: 0, ..StoreOptions::default() };
        let shape = Shape::from([5000]);
        if chunked.overwrite(Dtype::Float64, &shape, &mut source, &options) {
            assert_eq!((chunked.figure(Op::Sum, false), chunked.memory()), (None, before));
        }
        let plain = array(&[1.0; 10], 4096);
        plain.remember(Op::Sum, false, Dtype::Float64, &10f64.to_le_bytes(), 10);
        assert_eq!(plain.figure(Op::Sum, false), None);
    }
}
