//! The elements that `ND.CREATE` makes up: ranges, identity matrices and random numbers, equal to NumPy's.
//!
//! ```text
//! ARANGE start step          start + i * step; integers exactly, floats as numpy.arange: start + i * (next - start)
//! LINSPACE start stop        as numpy.linspace over all elements in C order; the last one is stop itself
//! EYE k                      ones where column - row = k; two dimensions
//! RANDOM UNIFORM lo hi       numpy.random.default_rng(seed).uniform(lo, hi, shape)
//! RANDOM NORMAL mean sd      .normal(mean, sd, shape)
//! RANDOM INTEGERS lo hi      .integers(lo, hi, shape, dtype); hi is excluded
//! ```
//!
//! Random floats are float64 numbers cast to the dtype (so a float32 `UNIFORM 0 1` may round up to 1); random integers of a
//! float dtype are int64 numbers cast to it. A generator is filled in consecutive ranges of the flat C order, since random
//! numbers come one after the other.

mod choice;
mod normal;
mod random;
mod widths;

use bytemuck::Pod;
use half::{bf16, f16};
use num_complex::{Complex32, Complex64};

use super::cast::{cast, Target};
use super::elements_mut;
use crate::nd::dtype::{dispatch, Dtype, Element, Kind};
use crate::nd::error::{Error, Result};
use crate::nd::rounding::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
use crate::nd::scalar::{Number, Scalar, ScalarElement};
use crate::nd::shape::Shape;
use random::{Bounded, Pcg64};

pub use choice::choice;

/// What to generate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Recipe {
    /// Evenly spaced by `step`, from `start`.
    Arange {
        /// The first element.
        start: Number,
        /// What each element is above the one before.
        step: Number,
    },
    /// Evenly spaced from `start` to `stop`, both included.
    Linspace {
        /// The first element.
        start: Number,
        /// The last element.
        stop: Number,
    },
    /// Ones on the diagonal `k` (above the main one where positive), zeros elsewhere.
    Eye {
        /// Which diagonal.
        k: Number,
    },
    /// Uniform random floats from `low` up to `high`.
    Uniform {
        /// The least value.
        low: Number,
        /// The end of the range.
        high: Number,
        /// The seed.
        seed: u64,
    },
    /// Normally distributed random floats.
    Normal {
        /// The mean.
        mean: Number,
        /// The standard deviation.
        sd: Number,
        /// The seed.
        seed: u64,
    },
    /// Uniform random integers from `low` to below `high`.
    Integers {
        /// The least value.
        low: Number,
        /// One more than the greatest value.
        high: Number,
        /// The seed.
        seed: u64,
    },
}

/// Makes the elements of one array, front to back.
pub struct Generator {
    dtype: Dtype,
    len: usize,
    /// Flat C-order index of the next element.
    next: usize,
    source: Source,
}

enum Source {
    /// `start + i * step`, within the dtype's range for every element.
    Integers {
        start: i128,
        step: i128,
    },
    Floats(Arange),
    Linspace {
        start: Complex64,
        stop: Complex64,
        last: Scalar,
        is_complex: bool,
    },
    Eye {
        columns: usize,
        k: i128,
    },
    Uniform {
        low: f64,
        range: f64,
        random: Pcg64,
    },
    Normal {
        mean: f64,
        sd: f64,
        random: Pcg64,
    },
    Bounded {
        made_as: Dtype,
        bounded: Bounded,
    },
}

/// The first two elements, already rounded to the dtype: all others follow from them.
struct Arange {
    start: Scalar,
    next: Scalar,
}

impl Generator {
    /// Checks a recipe against the dtype and shape that it is for.
    ///
    /// # Errors
    /// `VALUE` for numbers that the recipe or the dtype has no use for, `SHAPE` or `DTYPE` where it cannot make such an
    /// array, `LIMIT` where the array is too large to address.
    pub fn new(recipe: &Recipe, dtype: Dtype, shape: &Shape) -> Result<Generator> {
        let (len, _) = shape.size_and_bytes(dtype)?;
        let source = match *recipe {
            Recipe::Arange { start, step } => arange(start, step, dtype, len)?,
            Recipe::Linspace { start, stop } => linspace(start, stop, dtype)?,
            Recipe::Eye { k } => eye(k, shape)?,
            Recipe::Uniform { low, high, seed } => {
                only_floats(dtype, "RANDOM UNIFORM")?;
                let (low, high) = (real(low, "lo")?, real(high, "hi")?);
                let range = high - low;
                if !(range >= 0.0 && range.is_finite() && low.is_finite()) {
                    return Err(Error::value(format!(
                        "RANDOM UNIFORM {low:?} {high:?}: use finite numbers, lo at most hi, and hi - lo within float64"
                    )));
                }
                Source::Uniform { low, range, random: Pcg64::seeded(seed) }
            }
            Recipe::Normal { mean, sd, seed } => {
                only_floats(dtype, "RANDOM NORMAL")?;
                let (mean, sd) = (real(mean, "mean")?, real(sd, "sd")?);
                if sd.is_sign_negative() && !sd.is_nan() {
                    return Err(Error::value(format!(
                        "RANDOM NORMAL {mean} {sd}: use a standard deviation of 0 or more"
                    )));
                }
                Source::Normal { mean, sd, random: Pcg64::seeded(seed) }
            }
            Recipe::Integers { low, high, seed } => integers(low, high, seed, dtype)?,
        };
        Ok(Generator { dtype, len, next: 0, source })
    }

    /// Makes the elements from flat C-order index `first` on, as many as `out` holds, aligned to their size.
    ///
    /// # Panics
    /// Where the ranges do not follow one another, or reach past the end: a bug in the caller.
    pub fn fill(&mut self, first: usize, out: &mut [u8]) {
        let count = out.len() / self.dtype.itemsize();
        assert!(first == self.next && count <= self.len - first, "generated front to back, within the array");
        self.next += count;
        match &mut self.source {
            Source::Integers { start, step } => {
                // within the dtype, as the first and the last element are
                let at = |i: usize| *start + i as i128 * *step;
                dispatch!(self.dtype, T => each::<T>(first, out, |i| from_exact(at(i))));
            }
            Source::Floats(arange) => arange.fill(first, out),
            Source::Linspace { start, stop, last, is_complex } => {
                let (start, stop) = (*start, *stop);
                let is_whole = matches!(self.dtype.kind(), Kind::Signed | Kind::Unsigned);
                if *is_complex {
                    let at = |i: usize| complex_between(start, stop, self.len, i);
                    dispatch!(self.dtype, T => each::<T>(first, out, |i| T::from_c128(at(i))));
                } else {
                    let at = |i: usize| between(start.re, stop.re, self.len, i);
                    let at = |i: usize| if is_whole { at(i).floor() } else { at(i) };
                    dispatch!(self.dtype, T => each::<T>(first, out, |i| T::from_f64(at(i))));
                }
                if count > 0 && self.next == self.len && self.len > 1 {
                    let size = self.dtype.itemsize();
                    let end = out.len() - size;
                    out[end..].copy_from_slice(&last.to_le_bytes()[..size]);
                }
            }
            Source::Eye { columns, k } => {
                // divisors are not 0: an array without columns has no elements
                let is_one = |i: usize| (i % *columns) as i128 - (i / *columns) as i128 == *k;
                dispatch!(self.dtype, T => each::<T>(first, out, |i| T::from_u64(u64::from(is_one(i)))));
            }
            Source::Uniform { low, range, random } => {
                through(Dtype::Float64, self.dtype, out, || *low + *range * random.next_f64());
            }
            Source::Normal { mean, sd, random } => {
                through(Dtype::Float64, self.dtype, out, || *mean + *sd * normal::standard(random));
            }
            Source::Bounded { made_as, bounded } if *made_as == self.dtype => {
                // the offset wraps around as unsigned numbers do, and back
                dispatch!(self.dtype, T => each::<T>(first, out, |_| T::from_u64(bounded.next())));
            }
            Source::Bounded { made_as, bounded } => {
                through(*made_as, self.dtype, out, || bounded.next() as i64); // the bits of an int64
            }
        }
    }
}

fn each<T: Pod>(first: usize, out: &mut [u8], mut element: impl FnMut(usize) -> T) {
    for (i, x) in elements_mut(out).iter_mut().enumerate() {
        *x = element(first + i);
    }
}

/// Fills `out` with numbers of one dtype cast to another, a few at a time.
fn through<T: Pod>(made_as: Dtype, dtype: Dtype, out: &mut [u8], mut element: impl FnMut() -> T) {
    const FEW: usize = 256;
    let mut few = [T::zeroed(); FEW];
    for part in out.chunks_mut(FEW * dtype.itemsize()) {
        let few = &mut few[..part.len() / dtype.itemsize()];
        few.iter_mut().for_each(|x| *x = element());
        cast(made_as, bytemuck::cast_slice(few), dtype, part);
    }
}

fn real(n: Number, name: &str) -> Result<f64> {
    n.as_f64().ok_or_else(|| Error::value(format!("{name} is complex (use a real number)")))
}

fn only_floats(dtype: Dtype, by: &'static str) -> Result<()> {
    if dtype.kind() == Kind::Float {
        return Ok(());
    }
    Err(Error::UnsupportedDtype {
        dtype,
        by,
        hint: "use float16, bfloat16, float32 or float64; RANDOM INTEGERS for integers",
    })
}

/// A number as a whole one; floats that are whole count.
fn whole(n: Number) -> Option<i128> {
    match n {
        Number::Bool(b) => Some(i128::from(b)),
        Number::Int(i) => Some(i),
        // `as` is exact for whole numbers of this size
        Number::Float(x) if x.fract() == 0.0 && x.abs() < 1e30 => Some(x as i128),
        Number::Float(_) | Number::Complex(_) => None,
    }
}

/// An integer that the type is known to hold.
fn from_exact<T: Target>(i: i128) -> T {
    // within 64 bits, signed or unsigned
    if i < 0 {
        T::from_i64(i as i64)
    } else {
        T::from_u64(i as u64)
    }
}

fn arange(start: Number, step: Number, dtype: Dtype, len: usize) -> Result<Source> {
    if dtype.is_inexact() {
        let next = match (whole_kind(start), whole_kind(step)) {
            (Some(a), Some(b)) => a.checked_add(b).map(Number::Int),
            _ => None,
        };
        let next = next.unwrap_or_else(|| {
            let sum = to_complex(start) + to_complex(step);
            let is_complex = matches!((start, step), (Number::Complex(_), _) | (_, Number::Complex(_)));
            if is_complex {
                Number::Complex(sum)
            } else {
                Number::Float(sum.re)
            }
        });
        return Ok(Source::Floats(Arange { start: Scalar::new(start, dtype)?, next: Scalar::new(next, dtype)? }));
    }
    let fraction = |n: Number| Error::value(format!("ARANGE of {dtype} needs whole numbers, {} given", shown(n)));
    let start = whole(start).ok_or_else(|| fraction(start))?;
    let step = whole(step).ok_or_else(|| fraction(step))?;
    if len > 0 {
        Scalar::new(Number::Int(start), dtype)?;
        let last = step.checked_mul(len as i128 - 1).and_then(|rise| start.checked_add(rise));
        let last = last.ok_or_else(|| Error::OutOfRange { given: format!("{start} + {} * {step}", len - 1), dtype })?;
        Scalar::new(Number::Int(last), dtype)?;
    }
    // within the dtype's range at both ends, so that nothing between overflows; one element needs no step
    Ok(Source::Integers { start, step: if len > 1 { step } else { 0 } })
}

fn whole_kind(n: Number) -> Option<i128> {
    match n {
        Number::Bool(_) | Number::Int(_) => whole(n),
        _ => None,
    }
}

fn to_complex(n: Number) -> Complex64 {
    match n {
        Number::Complex(c) => c,
        other => Complex64::new(other.as_f64().unwrap_or(f64::NAN), 0.0),
    }
}

fn shown(n: Number) -> String {
    match n {
        Number::Float(x) => x.to_string(),
        Number::Int(i) => i.to_string(),
        Number::Bool(b) => b.to_string(),
        Number::Complex(c) => c.to_string(),
    }
}

/// A float type with the arithmetic in which NumPy fills a range of it.
trait Ranged: Element {
    /// The element `i` of a range that begins with `start` and `next`.
    fn at(i: usize, start: Self, next: Self) -> Self;
}

macro_rules! ranged {
    ($($t:ty, $work:ty, $to:expr, $from:expr;)*) => {$(
        impl Ranged for $t {
            #[inline(always)]
            fn at(i: usize, start: $t, next: $t) -> $t {
                let first: $work = $to(start);
                let delta = $to(next) - first;
                $from(first + i as $work * delta) // `i` rounds to the type, as in NumPy
            }
        }
    )*};
}
ranged! {
    f16, f32, f16_to_f32, f32_to_f16;
    bf16, f32, bf16_to_f32, f32_to_bf16;
    f32, f32, |x| x, |x| x;
    f64, f64, |x| x, |x| x;
}

impl Ranged for Complex32 {
    fn at(i: usize, start: Complex32, next: Complex32) -> Complex32 {
        Complex32::new(f32::at(i, start.re, next.re), f32::at(i, start.im, next.im))
    }
}

impl Ranged for Complex64 {
    fn at(i: usize, start: Complex64, next: Complex64) -> Complex64 {
        Complex64::new(f64::at(i, start.re, next.re), f64::at(i, start.im, next.im))
    }
}

impl Arange {
    fn fill(&self, first: usize, out: &mut [u8]) {
        fn range<T: Ranged + ScalarElement>(arange: &Arange, first: usize, out: &mut [u8]) {
            let held = "a scalar holds a number of its dtype";
            let start = T::from_number(arange.start.number()).expect(held);
            let next = T::from_number(arange.next.number()).expect(held);
            each::<T>(first, out, |i| match i {
                0 => start,
                1 => next,
                _ => T::at(i, start, next),
            });
        }
        match self.start.dtype() {
            Dtype::Float16 => range::<f16>(self, first, out),
            Dtype::BFloat16 => range::<bf16>(self, first, out),
            Dtype::Float32 => range::<f32>(self, first, out),
            Dtype::Complex64 => range::<Complex32>(self, first, out),
            Dtype::Complex128 => range::<Complex64>(self, first, out),
            _ => range::<f64>(self, first, out),
        }
    }
}

fn linspace(start: Number, stop: Number, dtype: Dtype) -> Result<Source> {
    let is_complex = matches!((start, stop), (Number::Complex(_), _) | (_, Number::Complex(_)));
    if is_complex && dtype.kind() != Kind::Complex {
        return Err(Error::value(format!("LINSPACE of {dtype} needs real numbers")));
    }
    let end = |n: Number| match (dtype.kind(), n) {
        (Kind::Signed | Kind::Unsigned, Number::Float(x)) => Scalar::new(Number::Float(x.floor()), dtype),
        // as a cast to bool
        (Kind::Bool, n) => Scalar::new(Number::Bool(n.as_f64() != Some(0.0)), dtype),
        _ => Scalar::new(n, dtype),
    };
    end(start)?;
    let last = end(stop)?;
    Ok(Source::Linspace { start: to_complex(start), stop: to_complex(stop), last, is_complex })
}

/// Element `i` of `n` from `start` to `stop`, in NumPy's order of operations.
#[inline(always)]
fn between(start: f64, stop: f64, n: usize, i: usize) -> f64 {
    let (delta, i) = (stop - start, i as f64);
    let step = delta / (n as f64 - 1.0);
    if n == 1 {
        i * delta + start
    } else if step == 0.0 {
        i / (n as f64 - 1.0) * delta + start
    } else {
        i * step + start
    }
}

fn complex_between(start: Complex64, stop: Complex64, n: usize, i: usize) -> Complex64 {
    let (delta, i) = (stop - start, Complex64::new(i as f64, 0.0));
    // NumPy divides a complex number by a real one through its reciprocal
    let over = |c: Complex64| {
        let scale = 1.0 / (n as f64 - 1.0);
        Complex64::new((c.re + c.im * 0.0) * scale, (c.im - c.re * 0.0) * scale)
    };
    let step = over(delta);
    if n == 1 {
        i * delta + start
    } else if step == Complex64::new(0.0, 0.0) {
        over(i) * delta + start
    } else {
        i * step + start
    }
}

fn eye(k: Number, shape: &Shape) -> Result<Source> {
    let &[_, columns] = &shape[..] else {
        return Err(Error::value(format!("EYE makes arrays of 2 dimensions, {} given", shape.ndim())));
    };
    let k = whole(k).ok_or_else(|| Error::value(format!("EYE needs a whole number, {} given", shown(k))))?;
    Ok(Source::Eye { columns, k })
}

fn integers(low: Number, high: Number, seed: u64, dtype: Dtype) -> Result<Source> {
    let made_as = match dtype.kind() {
        Kind::Float => Dtype::Int64,
        Kind::Complex => {
            let hint = "use an integer or a float dtype";
            return Err(Error::UnsupportedDtype { dtype, by: "RANDOM INTEGERS", hint });
        }
        _ => dtype,
    };
    let fraction = |n: Number| Error::value(format!("RANDOM INTEGERS needs whole numbers, {} given", shown(n)));
    let low = whole(low).ok_or_else(|| fraction(low))?;
    let high = whole(high).ok_or_else(|| fraction(high))?;
    let (least, greatest) = made_as.integer_range().unwrap_or((0, 1));
    if low >= high || low < least || high - 1 > greatest {
        return Err(Error::value(format!(
            "RANDOM INTEGERS {low} {high} of {made_as}: use lo below hi, from {least} to {}",
            greatest + 1
        )));
    }
    Ok(Source::Bounded { made_as, bounded: Bounded::new(seed, made_as, low, high - 1) })
}

#[cfg(test)]
mod tests;
