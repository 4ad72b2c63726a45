//! Why a command is refused: what the library says, and what only a server can say.

use std::fmt;

use crate::nd;

/// What every command answers.
pub type Result<T, E = Refusal> = std::result::Result<T, E>;

/// One refusal, as the client will read it.
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    /// The library's reason.
    Library(nd::error::Error),
    /// The key holds another type.
    WrongType,
    /// A write, or a batch, needs a key that is missing.
    NoKey {
        /// The key, cut for display.
        key: String,
    },
    /// None of a batch's keys is there to say what its rows look like.
    NoneOfKeys {
        /// How many keys were named.
        keys: usize,
    },
    /// The key is an array whose parts have not all arrived.
    Incomplete {
        /// How many parts are missing.
        missing: u32,
    },
}

impl From<nd::error::Error> for Refusal {
    fn from(e: nd::error::Error) -> Refusal {
        Refusal::Library(e)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Library(e) => e.fmt(f),
            Refusal::WrongType => f.write_str("WRONGTYPE Operation against a key holding the wrong kind of value"),
            Refusal::NoKey { key } => write!(f, "NOKEY key '{key}' does not exist"),
            Refusal::NoneOfKeys { keys } => {
                write!(f, "NOKEY none of the {keys} keys exists, so the shape of a row is not known")
            }
            Refusal::Incomplete { missing } => {
                write!(
                    f,
                    "CORRUPT the array is incomplete: {missing} of its parts have not arrived (delete or reload it)"
                )
            }
        }
    }
}
