//! Two operands, element by element: what `a op= b` does to elements of one dtype.
//!
//! - [`Operator`]: the operators, the dtype they compute in, and what they refuse
//! - ops.rs: each operator for each element type
//! - power.rs: powers, of a library that gives the same bits everywhere
//!
//! A NaN that comes out is always the same one, positive and quiet: which NaN a processor makes differs, and what is
//! replicated must not.

mod ops;
mod power;

use multiversion::multiversion;

use super::promote::{check_cast, result_type, Casting};
use super::{elements, elements_mut};
use crate::nd::dtype::{dispatch, Dtype, Kind};
use crate::nd::error::{Error, Result};
use crate::nd::scalar::Scalar;

use ops::Arithmetic;

/// An operator of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`; for bool, or
    Add,
    /// `-`
    Sub,
    /// `*`; for bool, and
    Mul,
    /// `/`, of floats and complex numbers
    Div,
    /// `**`
    Pow,
    /// `numpy.minimum`: NaN where either is; complex by real, then by imaginary part
    Min,
    /// `numpy.maximum`
    Max,
    /// `&`, of integers and bool
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
}

/// Runs `$body` with `$f` standing for the operator's function of two `$T`.
macro_rules! with_operator {
    ($operator:expr, $T:ty, $f:ident => $body:expr) => {
        match $operator {
            Operator::Add => {
                let $f = <$T as Arithmetic>::add;
                $body
            }
            Operator::Sub => {
                let $f = <$T as Arithmetic>::sub;
                $body
            }
            Operator::Mul => {
                let $f = <$T as Arithmetic>::mul;
                $body
            }
            Operator::Div => {
                let $f = <$T as Arithmetic>::div;
                $body
            }
            Operator::Pow => {
                let $f = <$T as Arithmetic>::pow;
                $body
            }
            Operator::Min => {
                let $f = <$T as Arithmetic>::min;
                $body
            }
            Operator::Max => {
                let $f = <$T as Arithmetic>::max;
                $body
            }
            Operator::And => {
                let $f = <$T as Arithmetic>::and;
                $body
            }
            Operator::Or => {
                let $f = <$T as Arithmetic>::or;
                $body
            }
            Operator::Xor => {
                let $f = <$T as Arithmetic>::xor;
                $body
            }
        }
    };
}

/// The second operand of a run of elements.
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a> {
    /// As many elements as the run has.
    Each(&'a [u8]),
    /// One element for all.
    One(&'a [u8]),
}

impl Operator {
    /// Every operator that has a name.
    pub const ALL: &'static [Operator] = &[
        Operator::Add,
        Operator::Sub,
        Operator::Mul,
        Operator::Div,
        Operator::Pow,
        Operator::Min,
        Operator::Max,
        Operator::And,
        Operator::Or,
        Operator::Xor,
    ];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Operator::Add => "ADD",
            Operator::Sub => "SUB",
            Operator::Mul => "MUL",
            Operator::Div => "DIV",
            Operator::Pow => "POW",
            Operator::Min => "MIN",
            Operator::Max => "MAX",
            Operator::And => "AND",
            Operator::Or => "OR",
            Operator::Xor => "XOR",
        }
    }

    /// Reads its word, any case.
    pub fn parse(word: &[u8]) -> Option<Operator> {
        Operator::ALL.iter().copied().find(|o| word.eq_ignore_ascii_case(o.name().as_bytes()))
    }

    /// The dtype in which `target op= value` is computed: both are cast to it, and the result is cast back.
    ///
    /// # Errors
    /// `DTYPE` where NumPy has no such operation, or its result cannot be cast to `target` as `same_kind`.
    pub fn compute_dtype(self, target: Dtype, value: Dtype) -> Result<Dtype> {
        let meet = result_type(target, value);
        let refuse = |hint| Err(Error::Operation { operator: self.name(), dtype: meet, hint });
        let result = match (self, meet.kind()) {
            (Operator::Sub, Kind::Bool) => return refuse("use XOR"),
            (Operator::And | Operator::Or | Operator::Xor, Kind::Float | Kind::Complex) => {
                return refuse("use integers or bool");
            }
            (Operator::Div, Kind::Bool | Kind::Unsigned | Kind::Signed) => Dtype::Float64,
            (Operator::Pow, Kind::Bool) => Dtype::Int8,
            _ => meet,
        };
        check_cast(result, target, Casting::SameKind).map_err(|_| Error::Outcome {
            operator: self.name(),
            made: result,
            target,
        })?;
        Ok(meet)
    }

    /// Refuses second operands for which there is no answer. `values` are of `dtype`, aligned or not.
    ///
    /// # Errors
    /// `VALUE` for a negative exponent of integers.
    pub fn check_values(self, dtype: Dtype, values: &[u8]) -> Result<()> {
        if self != Operator::Pow || dtype.kind() != Kind::Signed {
            return Ok(());
        }
        // Little-endian: the sign is in the last byte.
        match values.chunks_exact(dtype.itemsize()).find(|v| v[v.len() - 1] & 0x80 != 0) {
            None => Ok(()),
            Some(negative) => Err(Error::value(format!(
                "integers to the negative integer power {} have no integer answer (use a float array)",
                Scalar::from_le_bytes(dtype, negative).short()
            ))),
        }
    }

    /// `a = a op b` for each element of `target`. All are of `dtype` and aligned.
    ///
    /// # Panics
    /// Where alignment or lengths are wrong: a bug in the caller.
    pub fn apply(self, dtype: Dtype, target: &mut [u8], value: Operand<'_>) {
        dispatch!(dtype, T => with_operator!(self, T, f => run::<T>(elements_mut(target), value, f)))
    }

    /// `a = a op b`, one after the other, for pairs of an element of `target` and one of `values`. Both are of `dtype`,
    /// `target` aligned.
    ///
    /// # Panics
    /// Where alignment is wrong, or a place outside: a bug in the caller.
    pub fn apply_at(self, dtype: Dtype, target: &mut [u8], values: &[u8], pairs: &[(usize, usize)]) {
        dispatch!(dtype, T => with_operator!(self, T, f => at::<T>(elements_mut(target), values, pairs, f)))
    }
}

/// Elements that are computed before a look whether one of them became a NaN.
const BLOCK: usize = 1024;

#[inline(always)]
fn run<T: Arithmetic>(target: &mut [T], value: Operand<'_>, f: impl Fn(T, T) -> T) {
    match value {
        Operand::One(one) => with_one(target, elements::<T>(one)[0], f),
        Operand::Each(values) => {
            let values = elements::<T>(values);
            assert_eq!(target.len(), values.len(), "an operand for each element");
            with_each(target, values, f);
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn with_one<T: Arithmetic, F: Fn(T, T) -> T>(target: &mut [T], b: T, f: F) {
    for block in target.chunks_mut(BLOCK) {
        let mut any = false;
        for a in block.iter_mut() {
            *a = f(*a, b);
            any |= a.is_nan();
        }
        if any {
            one_nan(block);
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn with_each<T: Arithmetic, F: Fn(T, T) -> T>(target: &mut [T], values: &[T], f: F) {
    for (block, values) in target.chunks_mut(BLOCK).zip(values.chunks(BLOCK)) {
        let mut any = false;
        for (a, b) in block.iter_mut().zip(values) {
            *a = f(*a, *b);
            any |= a.is_nan();
        }
        if any {
            one_nan(block);
        }
    }
}

/// Makes every NaN the same.
#[cold]
fn one_nan<T: Arithmetic>(block: &mut [T]) {
    block.iter_mut().for_each(|a| *a = a.one_nan());
}

#[inline(always)]
fn at<T: Arithmetic>(target: &mut [T], values: &[u8], pairs: &[(usize, usize)], f: impl Fn(T, T) -> T) {
    let size = std::mem::size_of::<T>();
    for (a, b) in pairs {
        let b = bytemuck::pod_read_unaligned(&values[b * size..(b + 1) * size]);
        target[*a] = f(target[*a], b).one_nan();
    }
}

#[cfg(test)]
mod tests;
