//! `MEDIAN` and `QUANTILE`, by selection: elements are collected cell by cell, and no more of them are put in order than
//! the ranks that are asked for need. Where they would take more memory than [`SCRATCH`], [`View::ranked`] takes some cells at
//! a time, and what is too much for one cell is narrowed down first ([`super::narrow`]): the same answers, to the bit.
//!
//! [`View::ranked`]: crate::nd::array::View::ranked
//!
//! Where NumPy interpolates between neighbours it does so in the elements' dtype, and integers may wrap; here it is done in
//! float64 and rounded once. Neighbours that are equal are the answer, infinite or not.

use half::{bf16, f16};
use num_complex::{Complex, Complex32, Complex64};
use smallvec::SmallVec;

use super::plan::Reduction;
use super::walk::{each_position, Inner};
use super::{Op, Options};
use crate::nd::dtype::{dispatch, Bool8, Dtype, Element, Kind};
use crate::nd::error::{Error, Result};
use crate::nd::kernels::axes::AxisSet;
use crate::nd::kernels::cast::{Source, Target};
use crate::nd::kernels::{elements, elements_mut, Unaligned};
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

/// Bytes of elements that are collected at a time.
pub const SCRATCH: usize = 16 << 20;

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

    /// Puts the ranks that the answers need among `count` elements, in ascending order, each once.
    pub(super) fn wanted(&self, count: usize, wanted: &mut Vec<usize>) {
        wanted.clear();
        match self {
            Rank::Median => {
                wanted.extend(count.is_multiple_of(2).then(|| count / 2 - 1).into_iter().chain([count / 2]))
            }
            Rank::Quantiles(list, method) => {
                let both = |&q: &f64| {
                    let (low, high, _) = ranks(count, q, *method);
                    [low, high]
                };
                wanted.extend(list.iter().flat_map(both));
                wanted.sort_unstable();
                wanted.dedup();
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        match self {
            Rank::Median => 1,
            Rank::Quantiles(list, _) => list.len(),
        }
    }
}

/// An unsigned integer, whose leading bits say roughly where in the order it stands.
pub(super) trait Key: Ord + Copy + bytemuck::Pod {
    const BITS: u32;
    /// The key without its last bits.
    fn leading(self, bits_off: u32) -> Self;
    /// The last bits that are left of a key without its last ones.
    fn digit(self, bits_off: u32, bits: u32) -> usize;
    /// The key with more bits behind its last one.
    fn followed_by(self, digit: usize, bits: u32) -> Self;
}

macro_rules! keys {
    ($($t:ty)*) => {$(
        impl Key for $t {
            const BITS: u32 = <$t>::BITS;
            #[inline(always)]
            fn leading(self, bits_off: u32) -> $t {
                self.checked_shr(bits_off).unwrap_or(0)
            }
            #[inline(always)]
            fn digit(self, bits_off: u32, bits: u32) -> usize {
                self.leading(bits_off) as usize & ((1 << bits) - 1) // at most 20 bits
            }
            #[inline(always)]
            fn followed_by(self, digit: usize, bits: u32) -> $t {
                self.checked_shl(bits).unwrap_or(0) | digit as $t // a digit has so many bits
            }
        }
    )*};
}
keys! { u8 u16 u32 u64 u128 }

/// An element that has a place in an order.
pub(super) trait Sortable: Element {
    /// An unsigned integer of the same order.
    type Key: Key;
    fn key(self) -> Self::Key;
    fn of_key(key: Self::Key) -> Self;
    /// The element in float64, and its imaginary part.
    fn parts(self) -> [f64; 2];
    /// The number of the result's dtype, which is the element's or float64.
    fn write(dtype: Dtype, parts: [f64; 2], out: &mut SmallVec<[u8; 16]>);
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
            fn write(dtype: Dtype, parts: [f64; 2], out: &mut SmallVec<[u8; 16]>) {
                if dtype == Dtype::Float64 {
                    out.extend_from_slice(&parts[0].to_le_bytes());
                } else {
                    out.extend_from_slice(bytemuck::bytes_of(&<$t as Target>::from_f64(parts[0])));
                }
            }
        }
    )*};
}

/// Turns the bits of a float into an unsigned integer of the same order: of a negative one all of them, else the sign.
macro_rules! ordered {
    ($bits:expr, $unsigned:ty, $signed:ty) => {{
        let bits: $unsigned = $bits;
        bits ^ (((bits as $signed >> (<$signed>::BITS - 1)) as $unsigned) | <$signed>::MIN as $unsigned)
    }};
}

/// The other way.
macro_rules! restored {
    ($key:expr, $unsigned:ty, $signed:ty) => {{
        let key: $unsigned = $key;
        key ^ (((!key as $signed >> (<$signed>::BITS - 1)) as $unsigned) | <$signed>::MIN as $unsigned)
    }};
}

/// The same bits, with the sign turned.
macro_rules! shifted {
    ($x:expr, $to:ty, $of_signed:ty) => {
        $x as $to ^ <$of_signed>::MIN as $to
    };
}

sortable! {
    Bool8 as u8, |b: Bool8| b.0, Bool8;
    i8 as u8, |x: i8| shifted!(x, u8, i8), |k: u8| shifted!(k, i8, i8);
    i16 as u16, |x: i16| shifted!(x, u16, i16), |k: u16| shifted!(k, i16, i16);
    i32 as u32, |x: i32| shifted!(x, u32, i32), |k: u32| shifted!(k, i32, i32);
    i64 as u64, |x: i64| shifted!(x, u64, i64), |k: u64| shifted!(k, i64, i64);
    u8 as u8, |x| x, |x| x;
    u16 as u16, |x| x, |x| x;
    u32 as u32, |x| x, |x| x;
    u64 as u64, |x| x, |x| x;
    f16 as u16, |h: f16| ordered!(h.to_bits(), u16, i16), |k| f16::from_bits(restored!(k, u16, i16));
    bf16 as u16, |h: bf16| ordered!(h.to_bits(), u16, i16), |k| bf16::from_bits(restored!(k, u16, i16));
    f32 as u32, |x: f32| ordered!(x.to_bits(), u32, i32), |k| f32::from_bits(restored!(k, u32, i32));
    f64 as u64, |x: f64| ordered!(x.to_bits(), u64, i64), |k| f64::from_bits(restored!(k, u64, i64));
}

macro_rules! sortable_complex {
    ($($t:ty, $part:ty as $key:ty, $of:ty;)*) => {$(
        impl Sortable for $t {
            type Key = $key;
            fn key(self) -> $key {
                // Zeros of both signs are equal, so that imaginary parts decide.
                <$key>::from(Sortable::key(self.re + 0.0)) << <$of>::BITS | <$key>::from(Sortable::key(self.im))
            }
            fn of_key(key: $key) -> $t {
                // The halves of the key.
                Complex::new(Sortable::of_key((key >> <$of>::BITS) as $of), Sortable::of_key(key as $of))
            }
            fn parts(self) -> [f64; 2] {
                [f64::from(self.re), f64::from(self.im)]
            }
            fn write(_: Dtype, parts: [f64; 2], out: &mut SmallVec<[u8; 16]>) {
                parts.iter().for_each(|&x| out.extend_from_slice(&(x as $part).to_le_bytes()));
            }
        }
    )*};
}
sortable_complex! { Complex32, f32 as u64, u32; Complex64, f64 as u128, u64; }

/// The elements of each cell, collected block by block.
pub struct Ranked {
    plan: Reduction,
    rank: Rank,
    skips_nan: bool,
    out_dtype: Dtype,
    out_shape: Shape,
    /// Room for as many keys as a cell can have, one cell after the other.
    keys: Vec<u128>,
    /// Of each cell: how many keys there are, and how many NaN were met.
    filled: Vec<(usize, u64)>,
}

/// Plans what is asked of an array's ordered elements over `axes`.
#[derive(Clone)]
pub struct Ranking {
    pub(super) plan: Reduction,
    pub(super) rank: Rank,
    /// Whether that was asked, also of elements that cannot be NaN: a quantile of nothing then is NaN.
    pub(super) skips_nan: bool,
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
        Ok(Ranking { plan, rank, skips_nan: options.skip_nan, out_dtype, out_shape })
    }

    /// Bytes of memory that the work takes, besides the result.
    pub fn scratch_bytes(&self) -> usize {
        let keys = self.plan.cells.saturating_mul(self.plan.count).saturating_mul(self.plan.dtype.itemsize());
        keys.saturating_add(self.plan.cells.saturating_mul(std::mem::size_of::<(usize, u64)>()))
    }

    /// Of how many elements each answer is made, and how many there are of each quantile.
    pub fn cells(&self) -> (usize, usize) {
        (self.plan.count, self.plan.cells)
    }

    /// How many quantiles there are of each cell.
    pub fn quantiles(&self) -> usize {
        self.rank.count()
    }

    /// Whether an axis goes.
    pub fn is_reduced(&self, axis: usize) -> bool {
        self.plan.axes.contains(axis)
    }

    /// The same, of a part of the array.
    ///
    /// # Errors
    /// As [`Ranking::new`].
    pub fn of_part(&self, shape: &Shape) -> Result<Ranking> {
        let plan = &self.plan;
        let options = Options { skip_nan: self.skips_nan, ..plan.options };
        Ranking::new(self.rank.clone(), plan.dtype, shape, &plan.axes, &options)
    }

    /// The result's dtype and shape.
    pub fn result(&self) -> (Dtype, &Shape) {
        (self.out_dtype, &self.out_shape)
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
        let Ranking { plan, rank, skips_nan, out_dtype, out_shape } = self;
        let bytes = plan.cells.saturating_mul(plan.count).saturating_mul(plan.dtype.itemsize());
        let refused = |_| Error::OutOfMemory { bytes };
        let (mut keys, mut filled) = (Vec::new(), Vec::new());
        keys.try_reserve_exact(bytes.div_ceil(16)).map_err(refused)?;
        keys.resize(bytes.div_ceil(16), 0u128);
        filled.try_reserve_exact(plan.cells).map_err(refused)?;
        filled.resize(plan.cells, (0, 0));
        Ok(Ranked { plan, rank, skips_nan, out_dtype, out_shape, keys, filled })
    }
}

impl Ranked {
    /// Adds a block, as [`super::State::add_block`].
    ///
    /// # Errors
    /// None.
    pub fn add_block(&mut self, block: &[u8], mask: Option<&[u8]>, lens: &[usize], offset: &[usize]) -> Result<()> {
        dispatch!(self.plan.dtype, T => self.collect::<T>(&|i| elements::<Unaligned<T>>(block)[i].get(), mask, lens, offset));
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
        let (capacity, cells) = (self.plan.count, self.plan.cells);
        let keys: &mut [T::Key] = elements_mut(bytemuck::cast_slice_mut(&mut self.keys));
        let answers = Answers { rank: &self.rank, dtype: self.out_dtype, skips_nan: self.skips_nan, cells };
        let (mut wanted, mut found) = (Vec::new(), Vec::new());
        for (cell, &(count, nan)) in self.filled.iter().enumerate() {
            if answers.write_nan::<T>(cell, count, nan, out)? {
                continue;
            }
            self.rank.wanted(count, &mut wanted);
            found.clear();
            select(&mut keys[cell * capacity..][..count], wanted.iter().copied(), |key| found.push(T::of_key(key)));
            answers.write::<T>(cell, count, &wanted, &found, out);
        }
        Ok(())
    }
}

/// Calls `f` with the keys of ascending ranks. What is below a rank that was found is not looked at again.
pub(super) fn select<K: Key>(keys: &mut [K], ranks: impl Iterator<Item = usize>, mut f: impl FnMut(K)) {
    let mut done = 0;
    for rank in ranks {
        f(*keys[done..].select_nth_unstable(rank - done).1);
        done = rank;
    }
}

/// How the answers are written among the results of all cells.
pub(super) struct Answers<'a> {
    pub rank: &'a Rank,
    pub dtype: Dtype,
    pub skips_nan: bool,
    pub cells: usize,
}

impl Answers<'_> {
    /// Answers NaN for a cell that has no other answer; false where it has one.
    pub fn write_nan<T: Sortable>(&self, cell: usize, count: usize, nan: u64, out: &mut [u8]) -> Result<bool> {
        let is_nan = count == 0 || (nan > 0 && !self.skips_nan);
        if is_nan && *self.rank != Rank::Median && (!self.dtype.is_inexact() || (nan == 0 && !self.skips_nan)) {
            return Err(Error::Empty { what: self.rank.name() });
        }
        if is_nan {
            (0..self.rank.count()).for_each(|q| self.put::<T>(cell, q, [f64::NAN; 2], None, out));
        }
        Ok(is_nan)
    }

    /// Writes the answers of a cell of `count` elements, of which those at the `wanted` ranks were `found`.
    pub fn write<T: Sortable>(&self, cell: usize, count: usize, wanted: &[usize], found: &[T], out: &mut [u8]) {
        let element = |rank: usize| found[wanted.partition_point(|&r| r < rank)];
        match self.rank {
            Rank::Median => {
                let middle = element(count / 2);
                if count.is_multiple_of(2) {
                    self.put::<T>(cell, 0, between(element(count / 2 - 1), middle, mean), None, out);
                } else {
                    self.put(cell, 0, middle.parts(), Some(middle), out);
                }
            }
            Rank::Quantiles(list, method) => {
                for (q, &at) in list.iter().enumerate() {
                    let (low, high, t) = ranks(count, at, *method);
                    let (a, b) = (element(low), element(high));
                    match t {
                        Some(t) if a != b => self.put::<T>(cell, q, between(a, b, |a, b| lerp(a, b, t)), None, out),
                        _ => self.put(cell, q, a.parts(), Some(a), out),
                    }
                }
            }
        }
    }

    /// Writes one answer: an element as it is where the result has its dtype.
    fn put<T: Sortable>(&self, cell: usize, q: usize, parts: [f64; 2], exact: Option<T>, out: &mut [u8]) {
        let itemsize = self.dtype.itemsize();
        let mut element = SmallVec::<[u8; 16]>::new();
        match exact {
            Some(x) if self.dtype == T::DTYPE => element.extend_from_slice(bytemuck::bytes_of(&x)),
            _ => T::write(self.dtype, parts, &mut element),
        }
        out[(q * self.cells + cell) * itemsize..][..itemsize].copy_from_slice(&element);
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
