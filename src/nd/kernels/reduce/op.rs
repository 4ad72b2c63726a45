//! The operations, and what NumPy lets each of them take.

use super::kernel::{Erased, Typed};
use super::{argument, extrema, norm, product, spread, sum, truth};
use crate::nd::dtype::{dispatch, Dtype, Kind};
use crate::nd::error::{Error, Result};

/// Which reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The sum: integers wrap at 64 bits, the sum of nothing is 0.
    Sum,
    /// The product: integers wrap at 64 bits, the product of nothing is 1.
    Prod,
    /// The arithmetic mean: float64 for integers; the mean of nothing is NaN.
    Mean,
    /// The variance, real: float64 for integers.
    Var,
    /// The standard deviation: the root of the variance.
    Std,
    /// The least element; complex numbers are compared by their real parts, then by their imaginary ones.
    Min,
    /// The greatest element.
    Max,
    /// The greatest element less the least one.
    Ptp,
    /// Where the first of the least elements stands, or the first NaN.
    ArgMin,
    /// Where the first of the greatest elements stands, or the first NaN.
    ArgMax,
    /// Whether any element is not 0; NaN is not 0.
    Any,
    /// Whether no element is 0.
    All,
    /// How many elements are not 0.
    Count,
    /// The root of the sum of the squares of the absolute values.
    Norm,
}

impl Op {
    /// Every operation.
    pub const ALL: &'static [Op] = &[
        Op::Sum,
        Op::Prod,
        Op::Mean,
        Op::Var,
        Op::Std,
        Op::Min,
        Op::Max,
        Op::Ptp,
        Op::ArgMin,
        Op::ArgMax,
        Op::Any,
        Op::All,
        Op::Count,
        Op::Norm,
    ];

    /// Its name, as errors say it.
    pub fn name(self) -> &'static str {
        match self {
            Op::Sum => "SUM",
            Op::Prod => "PROD",
            Op::Mean => "MEAN",
            Op::Var => "VAR",
            Op::Std => "STD",
            Op::Min => "MIN",
            Op::Max => "MAX",
            Op::Ptp => "PTP",
            Op::ArgMin => "ARGMIN",
            Op::ArgMax => "ARGMAX",
            Op::Any => "ANY",
            Op::All => "ALL",
            Op::Count => "COUNT",
            Op::Norm => "NORM",
        }
    }

    /// Whether there is no answer without elements.
    pub(super) fn needs_elements(self) -> bool {
        matches!(self, Op::Min | Op::Max | Op::Ptp | Op::ArgMin | Op::ArgMax)
    }

    /// The operation and the dtype that it is done in, where the result's dtype may have been asked for.
    pub(super) fn settle(self, dtype: Dtype, asked: Option<Dtype>) -> Result<(Op, Dtype)> {
        let Some(asked) = asked else { return Ok((self, dtype)) };
        let refuse = |hint| Err(Error::UnsupportedDtype { dtype: asked, by: self.name(), hint });
        match (self, asked.kind()) {
            // As in NumPy, where truth values are added by "or" and multiplied by "and".
            (Op::Sum, Kind::Bool) => Ok((Op::Any, dtype)),
            (Op::Prod, Kind::Bool) => Ok((Op::All, dtype)),
            (Op::Sum | Op::Prod, _) | (Op::Mean, Kind::Float | Kind::Complex) => Ok((self, asked)),
            (Op::Mean, _) => refuse("ask for a float dtype: a mean in integers loses its fraction"),
            (Op::Var | Op::Std, Kind::Float) if dtype.kind() != Kind::Complex => Ok((self, asked)),
            (Op::Var | Op::Std, _) => refuse("its DTYPE is a float dtype, of an array that is not complex"),
            _ => refuse("DTYPE belongs to SUM, PROD, MEAN, VAR and STD"),
        }
    }
}

/// The table of operations.
pub(super) fn kernel_of(op: Op, dtype: Dtype) -> Result<&'static dyn Erased> {
    if op == Op::Ptp && dtype == Dtype::Bool {
        return Err(Error::UnsupportedDtype {
            dtype,
            by: "PTP",
            hint: "truth values have no difference; use MIN and MAX",
        });
    }
    Ok(dispatch!(dtype, T => match op {
        Op::Sum => &Typed::<sum::Sum<T>>::NEW,
        Op::Prod => &Typed::<product::Prod<T>>::NEW,
        Op::Mean => &Typed::<sum::Mean<T>>::NEW,
        Op::Var => &Typed::<spread::Var<T>>::NEW,
        Op::Std => &Typed::<spread::Std<T>>::NEW,
        Op::Min => &Typed::<extrema::Min<T>>::NEW,
        Op::Max => &Typed::<extrema::Max<T>>::NEW,
        Op::Ptp => &Typed::<extrema::Ptp<T>>::NEW,
        Op::ArgMin => &Typed::<argument::ArgMin<T>>::NEW,
        Op::ArgMax => &Typed::<argument::ArgMax<T>>::NEW,
        Op::Any => &Typed::<truth::Any<T>>::NEW,
        Op::All => &Typed::<truth::All<T>>::NEW,
        Op::Count => &Typed::<truth::Count<T>>::NEW,
        Op::Norm => &Typed::<norm::Norm<T>>::NEW,
    }))
}
