//! How many elements fall into each of some equal parts of a range, as `numpy.histogram` counts.
//!
//! A bin holds its lower edge, the last one both. Elements outside the range, and NaN, are in no bin. Edges are float64,
//! whatever the dtype.

use super::cast::cast;
use crate::nd::dtype::{Dtype, Kind};
use crate::nd::error::{Error, Result};
use crate::nd::scalar::Scalar;

/// Elements that are cast to float64 at a time.
const FEW: usize = 512;

/// The most bins of a histogram.
pub const MAX_BINS: usize = 1 << 20;

/// Counts of elements in equal parts of a range.
#[derive(Clone, Debug)]
pub struct Histogram {
    dtype: Dtype,
    low: f64,
    high: f64,
    step: f64,
    counts: Vec<u64>,
}

impl Histogram {
    /// An empty histogram of bins from `low` to `high`.
    ///
    /// # Errors
    /// `VALUE` for a range that is not finite or does not ascend, or a number of bins that is not from 1 to [`MAX_BINS`];
    /// `DTYPE` for complex.
    pub fn new(dtype: Dtype, low: f64, high: f64, bins: usize) -> Result<Histogram> {
        if dtype.kind() == Kind::Complex {
            return Err(Error::UnsupportedDtype { dtype, by: "a histogram", hint: "complex numbers have no order" });
        }
        if !(1..=MAX_BINS).contains(&bins) || high <= low || !(high - low).is_finite() {
            return Err(Error::value(format!(
                "a histogram of {bins} bins from {low} to {high}: use 1 to {MAX_BINS} bins and a finite range that ascends"
            )));
        }
        Ok(Histogram { dtype, low, high, step: (high - low) / bins as f64, counts: vec![0; bins] })
    }

    /// The range that NumPy takes for one that holds a single number, and for none at all.
    pub fn widened(range: Option<(f64, f64)>) -> (f64, f64) {
        match range {
            None => (0.0, 1.0),
            Some((low, high)) if low == high => (low - 0.5, high + 0.5),
            Some(range) => range,
        }
    }

    /// Adds a block of elements, at any address; those whose byte in `mask` is 0 are left out.
    pub fn add_block(&mut self, block: &[u8], mask: Option<&[u8]>) {
        let itemsize = self.dtype.itemsize();
        let mut few = [0.0f64; FEW];
        for (i, part) in block.chunks(FEW * itemsize).enumerate() {
            let few = &mut few[..part.len() / itemsize];
            cast(self.dtype, part, Dtype::Float64, bytemuck::cast_slice_mut(few));
            match mask {
                None => few.iter().for_each(|&x| self.add(x, 1)),
                Some(mask) => {
                    let chosen = few.iter().zip(&mask[i * FEW..]).filter(|(_, m)| **m != 0);
                    chosen.for_each(|(&x, _)| self.add(x, 1));
                }
            }
        }
    }

    /// Adds `count` elements that are all `value`.
    pub fn add_fill(&mut self, value: &Scalar, count: u64) {
        self.add(value.number().as_f64().unwrap_or(f64::NAN), count);
    }

    /// Adds what another histogram with the same bins counted.
    pub fn merge(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
    }

    /// The number of elements in each bin.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The lower edge of a bin; of the one after the last, the end of the range.
    #[inline]
    pub fn edge(&self, bin: usize) -> f64 {
        if bin >= self.counts.len() {
            return self.high;
        }
        self.low + bin as f64 * self.step
    }

    #[inline]
    fn add(&mut self, x: f64, count: u64) {
        if !(self.low..=self.high).contains(&x) {
            return;
        }
        let last = self.counts.len() - 1;
        // at most `bins`, as x lies in the range; rounding may be one bin off, which the edges put right
        let mut bin = (((x - self.low) / (self.high - self.low) * self.counts.len() as f64) as usize).min(last);
        if x < self.edge(bin) {
            bin -= 1; // the first bin's edge is `low`, which x is not below
        } else if bin < last && x >= self.edge(bin + 1) {
            bin += 1;
        }
        self.counts[bin] += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nd::kernels::aligned::Aligned;
    use proptest::prelude::*;

    fn block<T: bytemuck::Pod>(x: &[T]) -> Aligned {
        Aligned::new(bytemuck::cast_slice(x))
    }

    #[test]
    fn bins_hold_their_lower_edge_and_the_last_one_both() {
        let mut h = Histogram::new(Dtype::Float64, 0.0, 1.0, 10).unwrap();
        // as numpy.histogram counts: edges 3, 6 and 7 lie just above 0.3, 0.6 and 0.7
        h.add_block(&block(&[0.0, 0.1, 0.3, 0.6, 0.7, 1.0, -0.1, 1.1, f64::NAN, f64::INFINITY]), None);
        h.add_fill(&Scalar::of(0.5), 7);
        assert_eq!(h.counts(), [1, 1, 1, 0, 0, 8, 1, 0, 0, 1]);
        assert_eq!((h.edge(0), h.edge(10)), (0.0, 1.0));
        for (low, high, bins) in
            [(0.0, 0.0, 8), (1.0, 0.0, 8), (0.0, f64::INFINITY, 8), (f64::NAN, 1.0, 8), (0.0, 1.0, 0)]
        {
            assert!(Histogram::new(Dtype::Float64, low, high, bins).is_err());
        }
        assert!(Histogram::new(Dtype::Float64, -1e308, 1e308, 8).is_err());
        assert!(Histogram::new(Dtype::Complex64, 0.0, 1.0, 8).is_err());
        assert!(Histogram::new(Dtype::Float64, 0.0, 1.0, usize::MAX).is_err());
    }

    proptest! {
        /// Against a look at every element, whatever the blocks.
        #[test]
        fn counts_are_those_of_the_obvious_loop(x in prop::collection::vec(-1000i32..1000, 1..2000), cut in 1usize..700) {
            for &dtype in Dtype::ALL.iter().filter(|d| d.kind() != Kind::Complex) {
                let mut h = Histogram::new(dtype, -128.0, 128.0, 12).unwrap();
                let mut all = Aligned::zeroed(x.len() * dtype.itemsize());
                cast(Dtype::Int32, &block(&x), dtype, &mut all);
                for part in all.chunks(cut * dtype.itemsize()) {
                    h.add_block(&Aligned::new(part), None);
                }
                let seen: Vec<f64> = all.chunks(dtype.itemsize())
                    .map(|b| Scalar::from_le_bytes(dtype, b).number().as_f64().unwrap()).collect();
                for (bin, count) in h.counts().iter().enumerate() {
                    let holds = |v: &&f64| **v >= h.edge(bin) && (**v < h.edge(bin + 1) || (bin == 11 && **v == 128.0));
                    prop_assert_eq!(*count, seen.iter().filter(holds).count() as u64);
                }
            }
        }
    }
}
