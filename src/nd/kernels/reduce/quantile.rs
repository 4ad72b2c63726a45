//! `MEDIAN` and `QUANTILE`, by selection: elements are collected cell by cell, and no more of them are put in order than
//! the ranks that are asked for need.
//!
//! Where NumPy interpolates between neighbours it does so in the elements' dtype, and integers may wrap; here it is done in
//! float64 and rounded once. Neighbours that are equal are the answer, infinite or not.

use half::{bf16, f16};
use num_complex::{Complex, Complex32, Complex64};

use super::plan::Reduction;
use super::walk::{each_position, Inner};
use super::{Op, Options};
use crate::nd::dtype::{dispatch, Bool8, Dtype, Element, Kind};
use crate::nd::error::{Error, Result};
use crate::nd::kernels::axes::AxisSet;
use crate::nd::kernels::cast::{Source, Target};
use crate::nd::kernels::{elements, elements_mut};
use crate::nd::scalar::Scalar;
use crate::nd::shape::Shape;

/// How a quantile that falls between two elements is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// On the line between both.
    Linear,
    /// The lower one.
    Lower,
    /// The higher one.
    Higher,
    /// Half way.
    Midpoint,
    /// The nearer one; half way, the one at an even rank.
    Nearest,
}

/// What is asked of the ordered elements.
#[derive(Clone, Debug, PartialEq)]
pub enum Rank {
    /// The middle one, or the mean of the two middle ones.
    Median,
    /// Quantiles from 0 to 1, the result's first axis where there is more than one.
    Quantiles(Vec<f64>, Method),
}

/// The most quantiles of one call.
pub const MAX_QUANTILES: usize = 4096;

impl Rank {
    /// Reads `0.5` or `0.25,0.5,0.75`.
    ///
    /// # Errors
    /// `VALUE` for what is no number from 0 to 1, and for too many of them.
    pub fn quantiles(text: &[u8], method: Method) -> Result<Rank> {
        let mut list = Vec::new();
        for part in text.split(|&b| b == b',') {
            let q = std::str::from_utf8(part).ok().and_then(|s| s.trim().parse::<f64>().ok());
            match q.filter(|q| (0.0..=1.0).contains(q)) {
                Some(q) if list.len() < MAX_QUANTILES => list.push(q),
                Some(_) => return Err(Error::value(format!("at most {MAX_QUANTILES} quantiles are allowed"))),
                None => {
                    let given = crate::nd::error::quoted(part);
                    return Err(Error::value(format!(
                        "'{given}' is no quantile (use numbers from 0 to 1, as in 0.5 or 0.25,0.75)"
                    )));
                }
            }
        }
        Ok(Rank::Quantiles(list, method))
    }

    fn name(&self) -> &'static str {
        match self {
            Rank::Median => "MEDIAN",
            Rank::Quantiles(..) => "QUANTILE",
        }
    }

    /// The result's dtype.
    fn out_dtype(&self, dtype: Dtype) -> Result<Dtype> {
        let refuse = |hint| Err(Error::UnsupportedDtype { dtype, by: self.name(), hint });
        match (self, dtype.kind()) {
            (_, Kind::Float) | (Rank::Median, Kind::Complex) => Ok(dtype),
            (Rank::Quantiles(..), Kind::Complex) => refuse("complex numbers have no quantiles"),
            (Rank::Quantiles(_, Method::Lower | Method::Higher | Method::Nearest), _) => Ok(dtype),
            (Rank::Quantiles(..), Kind::Bool) => refuse("nothing lies between truth values; use METHOD nearest"),
            _ => Ok(Dtype::Float64),
        }
    }

    fn count(&self) -> usize {
        match self {
            Rank::Median => 1,
            Rank::Quantiles(list, _) => list.len(),
        }
    }
}

/// An element that has a place in an order.
trait Sortable: Element {
    /// An integer, or two, of the same order.
    type Key: Ord + Copy + bytemuck::Pod;
    fn key(self) -> Self::Key;
    fn of_key(key: Self::Key) -> Self;
    /// The element in float64, and its imaginary part.
    fn parts(self) -> [f64; 2];
    /// The number of the result's dtype, which is the element's or float64.
    fn write(dtype: Dtype, parts: [f64; 2], out: &mut Vec<u8>);
}

macro_rules! sortable {
    ($($t:ty as $key:ty, $to:expr, $of:expr;)*) => {$(
        impl Sortable for $t {
            type Key = $key;
            #[inline(always)]
            fn key(self) -> $key {
                $to(self)
            }
            #[inline(always)]
            fn of_key(key: $key) -> $t {
                $of(key)
            }
            fn parts(self) -> [f64; 2] {
                [self.cast(), 0.0]
            }
            fn write(dtype: Dtype, parts: [f64; 2], out: &mut Vec<u8>) {
                if dtype == Dtype::Float64 {
                    out.extend_from_slice(&parts[0].to_le_bytes());
                } else {
                    out.extend_from_slice(bytemuck::bytes_of(&<$t as Target>::from_f64(parts[0])));
                }
            }
        }
    )*};
}

/// Turns the bits of a float, as a signed integer, into an integer of the same order, and back.
macro_rules! turned {
    ($bits:expr, $signed:ty) => {{
        let bits: $signed = $bits;
        bits ^ ((bits >> (<$signed>::BITS - 1)) & <$signed>::MAX)
    }};
}

sortable! {
    Bool8 as u8, |b: Bool8| b.0, Bool8;
    i8 as i8, |x| x, |x| x;
    i16 as i16, |x| x, |x| x;
    i32 as i32, |x| x, |x| x;
    i64 as i64, |x| x, |x| x;
    u8 as u8, |x| x, |x| x;
    u16 as u16, |x| x, |x| x;
    u32 as u32, |x| x, |x| x;
    u64 as u64, |x| x, |x| x;
    f16 as i16, |h: f16| turned!(h.to_bits() as i16, i16), |k| f16::from_bits(turned!(k, i16) as u16);
    bf16 as i16, |h: bf16| turned!(h.to_bits() as i16, i16), |k| bf16::from_bits(turned!(k, i16) as u16);
    f32 as i32, |x: f32| turned!(x.to_bits() as i32, i32), |k| f32::from_bits(turned!(k, i32) as u32);
    f64 as i64, |x: f64| turned!(x.to_bits() as i64, i64), |k| f64::from_bits(turned!(k, i64) as u64);
}

macro_rules! sortable_complex {
    ($($t:ty, $part:ty;)*) => {$(
        impl Sortable for $t {
            type Key = [<$part as Sortable>::Key; 2];
            fn key(self) -> Self::Key {
                // Zeros of both signs are equal, so that imaginary parts decide.
                [Sortable::key(self.re + 0.0), Sortable::key(self.im)]
            }
            fn of_key(key: Self::Key) -> $t {
                Complex::new(Sortable::of_key(key[0]), Sortable::of_key(key[1]))
            }
            fn parts(self) -> [f64; 2] {
                [f64::from(self.re), f64::from(self.im)]
            }
            fn write(_: Dtype, parts: [f64; 2], out: &mut Vec<u8>) {
                parts.iter().for_each(|&x| out.extend_from_slice(&(x as $part).to_le_bytes()));
            }
        }
    )*};
}
sortable_complex! { Complex32, f32; Complex64, f64; }

/// The elements of each cell, collected block by block.
pub struct Ranked {
    plan: Reduction,
    rank: Rank,
    out_dtype: Dtype,
    out_shape: Shape,
    /// Room for as many keys as a cell can have, one cell after the other.
    keys: Vec<u128>,
    /// Of each cell: how many keys there are, and how many NaN were met.
    filled: Vec<(usize, u64)>,
}

/// Plans what is asked of an array's ordered elements over `axes`.
pub struct Ranking {
    plan: Reduction,
    rank: Rank,
    out_dtype: Dtype,
    out_shape: Shape,
}

impl Ranking {
    /// Plans it; nothing is allocated.
    ///
    /// # Errors
    /// `DTYPE` for a dtype without such an order; `LIMIT`; `VALUE` for a quantile of nothing.
    pub fn new(rank: Rank, dtype: Dtype, shape: &Shape, axes: &AxisSet, options: &Options) -> Result<Ranking> {
        let out_dtype = rank.out_dtype(dtype)?;
        let plan = Reduction::with(Op::Count, dtype, shape, axes, &Options { is_masked: false, ..*options })?;
        let mut out_shape = Shape::scalar();
        if rank.count() > 1 {
            out_shape.push(rank.count())?;
        }
        for &len in plan.out_shape().iter() {
            out_shape.push(len)?;
        }
        out_shape.size_and_bytes(out_dtype)?;
        if plan.count == 0 && rank != Rank::Median && !options.skip_nan {
            return Err(Error::Empty { what: rank.name() });
        }
        Ok(Ranking { plan, rank, out_dtype, out_shape })
    }

    /// Bytes of memory that the work takes, besides the result.
    pub fn scratch_bytes(&self) -> usize {
        let keys = self.plan.cells.saturating_mul(self.plan.count).saturating_mul(self.plan.dtype.itemsize());
        keys.saturating_add(self.plan.cells.saturating_mul(std::mem::size_of::<(usize, u64)>()))
    }

    /// Bytes of the result.
    pub fn result_bytes(&self) -> usize {
        self.out_shape.len_or_max().saturating_mul(self.out_dtype.itemsize())
    }

    /// Makes room for the elements.
    ///
    /// # Errors
    /// `OOM`.
    pub fn start(self) -> Result<Ranked> {
        let Ranking { plan, rank, out_dtype, out_shape } = self;
        let bytes = plan.cells.saturating_mul(plan.count).saturating_mul(plan.dtype.itemsize());
        let refused = |_| Error::OutOfMemory { bytes };
        let (mut keys, mut filled) = (Vec::new(), Vec::new());
        keys.try_reserve_exact(bytes.div_ceil(16)).map_err(refused)?;
        keys.resize(bytes.div_ceil(16), 0u128);
        filled.try_reserve_exact(plan.cells).map_err(refused)?;
        filled.resize(plan.cells, (0, 0));
        Ok(Ranked { plan, rank, out_dtype, out_shape, keys, filled })
    }
}

impl Ranked {
    /// Adds a block, as [`super::State::add_block`].
    ///
    /// # Errors
    /// None.
    pub fn add_block(&mut self, block: &[u8], mask: Option<&[u8]>, lens: &[usize], offset: &[usize]) -> Result<()> {
        dispatch!(self.plan.dtype, T => self.collect::<T>(&|i| elements::<T>(block)[i], mask, lens, offset));
        Ok(())
    }

    /// Adds a block whose elements are all `value`.
    ///
    /// # Errors
    /// None.
    pub fn add_fill(&mut self, value: &Scalar, mask: Option<&[u8]>, lens: &[usize], offset: &[usize]) -> Result<()> {
        let bytes = value.to_le_bytes();
        dispatch!(self.plan.dtype, T => {
            let value: T = bytemuck::pod_read_unaligned(&bytes[..std::mem::size_of::<T>()]);
            self.collect::<T>(&|_| value, mask, lens, offset);
        });
        Ok(())
    }

    fn collect<T: Sortable>(
        &mut self,
        element: &dyn Fn(usize) -> T,
        mask: Option<&[u8]>,
        lens: &[usize],
        offset: &[usize],
    ) {
        let (walk, place) = self.plan.locate(lens, offset);
        if walk.elements == 0 {
            return;
        }
        let capacity = self.plan.count;
        let keys: &mut [T::Key] = bytemuck::cast_slice_mut(&mut self.keys);
        let filled = &mut self.filled;
        #[allow(clippy::eq_op)] // NaN alone differs from itself
        let mut add = |cell: usize, i: usize| {
            let x = element(i);
            let (count, nan) = &mut filled[cell];
            if mask.is_some_and(|m| m[i] == 0) {
            } else if x != x {
                *nan += 1;
            } else {
                keys[cell * capacity + *count] = x.key();
                *count += 1;
            }
        };
        // The result's cell of each of the block's.
        let mut cells = Vec::with_capacity(walk.cells);
        place.each_run(&mut |first, run| cells.extend(first..first + run));
        let (inner, outer) = walk.inner();
        let mut at = 0;
        each_position(outer, 0, &mut |cell| match inner {
            Inner::Run(len) => {
                (at..at + len).for_each(|i| add(cells[cell], i));
                at += len;
            }
            Inner::Rows { rows, len } => {
                for _ in 0..rows {
                    (0..len).for_each(|column| add(cells[cell + column], at + column));
                    at += len;
                }
            }
        });
    }

    /// The result: its dtype, its shape, and its elements in C order.
    ///
    /// # Errors
    /// `VALUE` for a quantile of no elements; `OOM`.
    pub fn finish(mut self) -> Result<(Dtype, Shape, Vec<u8>)> {
        let bytes = self.out_shape.len_or_max().saturating_mul(self.out_dtype.itemsize());
        let mut out = crate::nd::memory::bytes_with_capacity(bytes)?;
        out.resize(bytes, 0);
        dispatch!(self.plan.dtype, T => self.finish_as::<T>(&mut out))?;
        Ok((self.out_dtype, self.out_shape, out))
    }

    fn finish_as<T: Sortable>(&mut self, out: &mut [u8]) -> Result<()> {
        let (capacity, cells, itemsize) = (self.plan.count, self.plan.cells, self.out_dtype.itemsize());
        let skips_nan = self.plan.options.skip_nan;
        let keys: &mut [T::Key] = elements_mut(bytemuck::cast_slice_mut(&mut self.keys));
        let mut element = Vec::new();
        for (cell, &(count, nan)) in self.filled.iter().enumerate() {
            let keys = &mut keys[cell * capacity..][..count];
            let is_nan = count == 0 || (nan > 0 && !skips_nan);
            if is_nan && self.rank != Rank::Median && (!self.out_dtype.is_inexact() || (nan == 0 && !skips_nan)) {
                return Err(Error::Empty { what: self.rank.name() });
            }
            let mut put = |q: usize, parts: [f64; 2], exact: Option<T>| {
                element.clear();
                match exact {
                    Some(x) if self.out_dtype == T::DTYPE => element.extend_from_slice(bytemuck::bytes_of(&x)),
                    _ => T::write(self.out_dtype, parts, &mut element),
                }
                out[(q * cells + cell) * itemsize..][..itemsize].copy_from_slice(&element);
            };
            if is_nan {
                (0..self.rank.count()).for_each(|q| put(q, [f64::NAN; 2], None));
                continue;
            }
            match &self.rank {
                Rank::Median => {
                    let half = count / 2;
                    let (below, middle, _) = keys.select_nth_unstable(half);
                    let middle = T::of_key(*middle);
                    match below.iter().max() {
                        Some(lower) if count % 2 == 0 => put(0, between(T::of_key(*lower), middle, mean), None),
                        _ => put(0, middle.parts(), Some(middle)),
                    }
                }
                Rank::Quantiles(list, method) => {
                    let mut order: Vec<usize> = (0..list.len()).collect();
                    order.sort_by(|a, b| list[*a].total_cmp(&list[*b]));
                    // What is below `done` is smaller than what is not.
                    let mut done = 0;
                    for q in order {
                        let (low, high, t) = ranks(count, list[q], *method);
                        let (_, a, above) = keys[done..].select_nth_unstable(low - done);
                        let a = T::of_key(*a);
                        let b = if high == low { a } else { above.iter().min().map_or(a, |k| T::of_key(*k)) };
                        done = low;
                        match t {
                            _ if a == b => put(q, a.parts(), Some(a)),
                            Some(t) => put(q, between(a, b, |a, b| lerp(a, b, t)), None),
                            None => put(q, a.parts(), Some(a)),
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Both parts of what lies between two elements.
fn between<T: Sortable>(a: T, b: T, f: impl Fn(f64, f64) -> f64) -> [f64; 2] {
    let (a, b) = (a.parts(), b.parts());
    [f(a[0], b[0]), f(a[1], b[1])]
}

fn mean(a: f64, b: f64) -> f64 {
    let sum = a + b;
    if sum.is_infinite() && a.is_finite() && b.is_finite() {
        a / 2.0 + b / 2.0
    } else {
        sum / 2.0
    }
}

/// As NumPy: from the nearer end, so that both ends are met exactly.
fn lerp(a: f64, b: f64, t: f64) -> f64 {
    let d = b - a;
    if t == 0.0 || a == b {
        a
    } else if d.is_infinite() && a.is_finite() && b.is_finite() {
        a * (1.0 - t) + b * t
    } else if t >= 0.5 {
        b - d * (1.0 - t)
    } else {
        a + d * t
    }
}

/// The two ranks that a quantile of `count` elements lies between, and how far; `None` for the first itself.
fn ranks(count: usize, q: f64, method: Method) -> (usize, usize, Option<f64>) {
    let last = count - 1;
    let at = last as f64 * q;
    let rank = |x: f64| (x as usize).min(last); // from 0 on
    let (low, high) = (rank(at.floor()), rank(at.ceil()));
    match method {
        Method::Linear => (low, (low + 1).min(last), Some(at - at.floor())),
        Method::Midpoint if low == high => (low, low, None),
        Method::Midpoint => (low, high, Some(0.5)),
        Method::Lower => (low, low, None),
        Method::Higher => (high, high, None),
        Method::Nearest => (rank(at.round_ties_even()), rank(at.round_ties_even()), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_numbers_from_0_to_1() {
        let read = |text: &str| Rank::quantiles(text.as_bytes(), Method::Linear);
        assert_eq!(read("0.5").unwrap(), Rank::Quantiles(vec![0.5], Method::Linear));
        assert_eq!(read("1, 0,.25").unwrap(), Rank::Quantiles(vec![1.0, 0.0, 0.25], Method::Linear));
        for bad in ["", ",", "0.5,", "1.1", "-0.1", "nan", "inf", "x", "50%"] {
            assert!(matches!(read(bad), Err(Error::Value(_))), "{bad}");
        }
        assert!(read(&vec!["0"; MAX_QUANTILES].join(",")).is_ok());
        assert!(read(&vec!["0"; MAX_QUANTILES + 1].join(",")).is_err());
    }

    #[test]
    fn scratch_is_measured_before_it_is_asked_for() {
        let shape = Shape::from([1 << 40, 3]);
        let axes = AxisSet::new(&[0], 2).unwrap();
        let plan = Ranking::new(Rank::Median, Dtype::Float64, &shape, &axes, &Options::default()).unwrap();
        assert_eq!(plan.scratch_bytes(), (3 << 43) + 3 * 16);
        assert_eq!(plan.result_bytes(), 24);
        assert!(matches!(plan.start(), Err(Error::OutOfMemory { .. })));
    }

    #[test]
    fn what_lies_between_infinities_is_not_nan() {
        assert_eq!(lerp(f64::INFINITY, f64::INFINITY, 0.3), f64::INFINITY);
        assert_eq!(lerp(1.0, f64::INFINITY, 0.0), 1.0);
        assert!((lerp(-1e308, 1.5e308, 0.5) / 2.5e307 - 1.0).abs() < 1e-15);
        assert!((mean(1e308, 1.5e308) / 1.25e308 - 1.0).abs() < 1e-15);
        assert_eq!(ranks(4, 0.5, Method::Nearest), (2, 2, None));
        assert_eq!(ranks(6, 0.5, Method::Nearest), (2, 2, None));
        assert_eq!(ranks(5, 0.5, Method::Midpoint), (2, 2, None));
    }
}
