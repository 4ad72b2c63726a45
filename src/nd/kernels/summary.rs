//! What `ND.SHOW` tells of an array's elements: least, mean and greatest in one pass, a small histogram in a second.
//!
//! NaN is counted and otherwise left out. Both states are made block by block and merge in any grouping: counts and
//! extrema are exact, the mean is that of the `MEAN` kernel over blocks (float64 for every dtype). Complex numbers have no
//! order: there is no summary of them.

use super::cast::{cast, Source};
use super::elements;
use super::reduce::compensated::Compensated;
use crate::nd::dtype::{dispatch, Dtype, Kind};
use crate::nd::error::{Error, Result};
use crate::nd::scalar::{Scalar, ScalarElement};

/// Elements that are cast to float64 at a time.
const FEW: usize = 512;

/// Least, greatest and mean of the elements seen so far.
#[derive(Clone, Debug)]
pub struct Summary {
    dtype: Dtype,
    count: u64,
    nan: u64,
    extrema: Option<(Scalar, Scalar)>,
    sum: Compensated,
}

impl Summary {
    /// A summary of no elements; `None` for complex dtypes.
    pub fn new(dtype: Dtype) -> Option<Summary> {
        (dtype.kind() != Kind::Complex).then_some(Summary {
            dtype,
            count: 0,
            nan: 0,
            extrema: None,
            sum: Compensated::default(),
        })
    }

    /// Adds a block of elements, aligned to their size.
    pub fn add_block(&mut self, block: &[u8]) {
        dispatch!(self.dtype, T => if let Some((least, greatest, nan)) = extrema::<T>(elements(block)) {
            self.nan += nan;
            self.widen(least, greatest);
        } else {
            self.nan += (block.len() / self.dtype.itemsize()) as u64; // all of them are NaN, or there are none
        });
        self.count += (block.len() / self.dtype.itemsize()) as u64;
        each_f64(self.dtype, block, &mut |few| {
            few.iter_mut().filter(|x| x.is_nan()).for_each(|x| *x = 0.0);
            self.sum.add_numbers(few);
        });
    }

    /// Adds `count` elements that are all `value`.
    pub fn add_fill(&mut self, value: &Scalar, count: u64) {
        let x = value.number().as_f64().unwrap_or(f64::NAN);
        self.count += count;
        if x.is_nan() {
            self.nan += count;
        } else if count > 0 {
            self.widen(*value, *value);
            self.sum.add_number(x * count as f64); // one rounding
        }
    }

    /// Adds what another summary of the same dtype saw.
    pub fn merge(&mut self, other: &Summary) {
        self.count += other.count;
        self.nan += other.nan;
        if let Some((least, greatest)) = other.extrema {
            self.widen(least, greatest);
        }
        self.sum.merge(&other.sum);
    }

    fn widen(&mut self, least: Scalar, greatest: Scalar) {
        let (mut low, mut high) = self.extrema.unwrap_or((least, greatest));
        dispatch!(self.dtype, T => {
            let of = |s: &Scalar| T::from_number(s.number()).expect("a scalar holds a number of its dtype");
            if is_less(of(&least), of(&low)) { low = least }
            if is_less(of(&high), of(&greatest)) { high = greatest }
        });
        self.extrema = Some((low, high));
    }

    /// How many elements were seen, NaN included.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many of them were NaN.
    pub fn nan(&self) -> u64 {
        self.nan
    }

    /// The least element that is not NaN.
    pub fn min(&self) -> Option<Scalar> {
        self.extrema.map(|e| e.0)
    }

    /// The greatest element that is not NaN.
    pub fn max(&self) -> Option<Scalar> {
        self.extrema.map(|e| e.1)
    }

    /// The mean of the elements that are not NaN.
    pub fn mean(&self) -> Option<f64> {
        (self.count > self.nan).then(|| self.sum.value() / (self.count - self.nan) as f64)
    }
}

/// How many elements fall into each of some equal parts of a range, as `numpy.histogram` counts: a bin holds its lower edge,
/// the last one both. Elements outside the range, and NaN, are in no bin.
#[derive(Clone, Debug)]
pub struct Histogram {
    dtype: Dtype,
    low: f64,
    high: f64,
    counts: Vec<u64>,
}

/// The most bins a histogram for a person has.
const MAX_BINS: usize = 64;

impl Histogram {
    /// An empty histogram of 1 to 64 bins from `low` to `high`.
    ///
    /// # Errors
    /// `VALUE` for a range that is not finite or does not ascend, or another number of bins; `DTYPE` for complex.
    pub fn new(dtype: Dtype, low: f64, high: f64, bins: usize) -> Result<Histogram> {
        if dtype.kind() == Kind::Complex {
            return Err(Error::UnsupportedDtype { dtype, by: "a histogram", hint: "complex numbers have no order" });
        }
        if !(1..=MAX_BINS).contains(&bins) || high <= low || !(high - low).is_finite() {
            return Err(Error::value(format!(
                "a histogram of {bins} bins from {low} to {high}: use 1 to {MAX_BINS} bins and a finite range that ascends"
            )));
        }
        Ok(Histogram { dtype, low, high, counts: vec![0; bins] })
    }

    /// Adds a block of elements, aligned to their size.
    pub fn add_block(&mut self, block: &[u8]) {
        each_f64(self.dtype, block, &mut |few| few.iter().for_each(|&x| self.add(x, 1)));
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
    pub fn edge(&self, bin: usize) -> f64 {
        let bins = self.counts.len();
        if bin >= bins {
            return self.high;
        }
        self.low + bin as f64 * ((self.high - self.low) / bins as f64)
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

/// Calls `visit` with the elements as float64, a few at a time.
fn each_f64(dtype: Dtype, block: &[u8], visit: &mut dyn FnMut(&mut [f64])) {
    let mut few = [0.0f64; FEW];
    for part in block.chunks(FEW * dtype.itemsize()) {
        let few = &mut few[..part.len() / dtype.itemsize()];
        cast(dtype, part, Dtype::Float64, bytemuck::cast_slice_mut(few));
        visit(few);
    }
}

/// The least and the greatest element, and how many are NaN; `None` where there is nothing but NaN.
fn extrema<T: ScalarElement + Source>(block: &[T]) -> Option<(Scalar, Scalar, u64)> {
    #[allow(clippy::eq_op)] // NaN alone differs from itself
    let is_nan = |x: &T| x != x;
    let first = *block.iter().find(|x| !is_nan(x))?;
    let (mut least, mut greatest, mut nan) = (first, first, 0);
    for &x in block {
        nan += u64::from(is_nan(&x));
        least = if is_less(x, least) { x } else { least };
        greatest = if is_less(greatest, x) { x } else { greatest };
    }
    Some((Scalar::of(least), Scalar::of(greatest), nan))
}

/// Whether `a` is below `b`: by the integers where both are, by float64 otherwise. False where one is NaN.
#[inline(always)]
fn is_less<T: Source>(a: T, b: T) -> bool {
    match T::DTYPE.kind() {
        Kind::Signed => a.cast::<i64>() < b.cast::<i64>(),
        Kind::Unsigned | Kind::Bool => a.cast::<u64>() < b.cast::<u64>(),
        Kind::Float | Kind::Complex => a.cast::<f64>() < b.cast::<f64>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nd::kernels::aligned::Aligned;
    use crate::nd::scalar::Number;
    use proptest::prelude::*;

    fn block<T: bytemuck::Pod>(x: &[T]) -> Aligned {
        Aligned::new(bytemuck::cast_slice(x))
    }

    #[test]
    fn nan_is_counted_and_left_out() {
        let mut s = Summary::new(Dtype::Float32).unwrap();
        s.add_block(&block(&[f32::NAN, f32::NAN]));
        assert_eq!((s.count(), s.nan(), s.min(), s.mean()), (2, 2, None, None));
        s.add_block(&block(&[f32::NAN, 3.0, -1.0, f32::NAN, 0.5, -0.5]));
        s.add_fill(&Scalar::of(8.0f32), 2);
        s.add_fill(&Scalar::of(f32::NAN), 5);
        assert_eq!((s.count(), s.nan()), (15, 9));
        assert_eq!((s.min(), s.max()), (Some(Scalar::of(-1.0f32)), Some(Scalar::of(8.0f32))));
        assert_eq!(s.mean(), Some(18.0 / 6.0));
        assert!(Summary::new(Dtype::Complex64).is_none());
    }

    #[test]
    fn extrema_of_64_bit_integers_are_exact() {
        let mut s = Summary::new(Dtype::Int64).unwrap();
        s.add_block(&block(&[i64::MAX - 1, i64::MIN + 1]));
        s.add_block(&block(&[i64::MAX, i64::MIN]));
        assert_eq!(s.max().unwrap().number(), Number::Int(i64::MAX.into()));
        assert_eq!(s.min().unwrap().number(), Number::Int(i64::MIN.into()));
        let mut s = Summary::new(Dtype::UInt64).unwrap();
        s.add_block(&block(&[u64::MAX - 1, u64::MAX, 0]));
        assert_eq!(s.max().unwrap().number(), Number::Int(u64::MAX.into()));
    }

    #[test]
    fn bins_hold_their_lower_edge_and_the_last_one_both() {
        let mut h = Histogram::new(Dtype::Float64, 0.0, 1.0, 10).unwrap();
        // as numpy.histogram counts: edges 3, 6 and 7 lie just above 0.3, 0.6 and 0.7
        h.add_block(&block(&[0.0, 0.1, 0.3, 0.6, 0.7, 1.0, -0.1, 1.1, f64::NAN, f64::INFINITY]));
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
        fn summaries_equal_the_obvious_loop(x in prop::collection::vec(-1000i32..1000, 1..2000), cut in 1usize..700) {
            for &dtype in Dtype::ALL {
                let Some(mut s) = Summary::new(dtype) else { continue };
                let mut h = Histogram::new(dtype, -128.0, 128.0, 12).unwrap();
                let mut all = Aligned::zeroed(x.len() * dtype.itemsize());
                cast(Dtype::Int32, &block(&x), dtype, &mut all);
                let mut other = s.clone();
                for (i, part) in all.chunks(cut * dtype.itemsize()).enumerate() {
                    if i % 2 == 0 { s.add_block(&Aligned::new(part)) } else { other.add_block(&Aligned::new(part)) }
                    h.add_block(&Aligned::new(part));
                }
                s.merge(&other);
                let seen: Vec<f64> = all.chunks(dtype.itemsize())
                    .map(|b| Scalar::from_le_bytes(dtype, b).number().as_f64().unwrap()).collect();
                let least = seen.iter().copied().fold(f64::INFINITY, f64::min);
                let greatest = seen.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                prop_assert_eq!(s.min().unwrap().number().as_f64(), Some(least));
                prop_assert_eq!(s.max().unwrap().number().as_f64(), Some(greatest));
                let mean = seen.iter().sum::<f64>() / seen.len() as f64;
                prop_assert!((s.mean().unwrap() - mean).abs() <= 1e-12 * (1.0 + greatest.abs().max(least.abs())));
                for (bin, count) in h.counts().iter().enumerate() {
                    let holds = |v: &&f64| **v >= h.edge(bin) && (**v < h.edge(bin + 1) || (bin == 11 && **v == 128.0));
                    prop_assert_eq!(*count, seen.iter().filter(holds).count() as u64);
                }
            }
        }
    }
}
