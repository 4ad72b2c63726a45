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
    /// The library's reason, about one of several keys.
    OfKey {
        /// The key, cut for display.
        key: String,
        /// The reason.
        why: Box<nd::error::Error>,
        /// What else may be wrong.
        note: &'static str,
    },
    /// The key holds another type.
    WrongType,
    /// A write needs a key that is missing.
    NoKey {
        /// The key, cut for display.
        key: String,
    },
    /// A row of a batch is missing, and nothing was said to stand for it.
    NoRow {
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

impl Refusal {
    /// Says which of several keys the library's reason is about.
    pub fn of_key(self, key: &[u8]) -> Refusal {
        match self {
            Refusal::Library(why) => Refusal::OfKey { key: nd::error::quoted(key), why: Box::new(why), note: "" },
            other => other,
        }
    }

    /// [`Refusal::of_key`] of an array among several: where it begins with no dtype, another argument may be the wrong one.
    pub fn of_array(self, key: &[u8]) -> Refusal {
        match self.of_key(key) {
            Refusal::OfKey { key, why, .. } if matches!(*why, nd::error::Error::UnknownDtype { .. }) => {
                let note = "; its array would begin there, if numkeys is right and the array before it has as many elements as it says";
                Refusal::OfKey { key, why, note }
            }
            other => other,
        }
    }
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
            Refusal::OfKey { key, why, note } => {
                let text = why.to_string();
                let (code, sentence) = text.split_once(' ').unwrap_or((&text, ""));
                write!(f, "{code} key '{key}': {sentence}{note}")
            }
            Refusal::WrongType => f.write_str("WRONGTYPE Operation against a key holding the wrong kind of value"),
            Refusal::NoKey { key } => write!(f, "NOKEY key '{key}' does not exist"),
            Refusal::NoRow { key } => {
                write!(f, "NOKEY key '{key}' does not exist (FILL says what is to stand for such rows)")
            }
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
