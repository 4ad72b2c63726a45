//! Reductions: an array's elements, block by block, into one element per position of the axes that stay.
//!
//! ```text
//! Reduction   what is reduced: operation, dtype, shape, axes -> the result's dtype and shape
//!   State     one cell per element of the result; begins empty
//!   Partial   the cells of one block alone: block (or constant block) -> Partial
//! State.add_block(block)  is  State.merge(Partial of the block), and so
//! any number of threads may make the partials: merged in chunk order, they give the bits of one thread.
//! ```
//!
//! What a block contributes depends on its elements, its shape and the operation, never on the codec it was stored with,
//! or on being a constant ([`State::add_fill`] gives the bits of the same elements written out). Another chunk grid may
//! change the last bit of a floating-point result; the bound is given with the operation.
//!
//! An operation is a `Kernel`: one file beside this one, and one line in `kernel_of`. A kernel sees two shapes of
//! loop only, to which every rank and every set of axes comes down: a contiguous run into one cell (the innermost axis
//! goes), and rows of as many elements as there are cells (the innermost axis stays).

mod argument;
mod cells;
mod compensated;
mod extrema;
mod filter;
mod kernel;
pub mod narrow;
mod norm;
mod op;
mod order;
mod plan;
mod product;
pub mod quantile;
mod spread;
mod state;
mod sum;
mod sum_floats;
mod sum_integers;
mod truth;
mod versions;
mod walk;

use op::kernel_of;
pub use op::Op;
pub use plan::{Options, Reduction};
pub use state::{Partial, State, SummaryKind};

/// Whether reduced axes stay in the result's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepDims {
    /// They go.
    No,
    /// They stay with length 1.
    Yes,
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
