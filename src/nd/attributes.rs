//! Attributes: names to JSON texts, kept with an array and in the order they were first set.

use serde_json::Value;

use super::error::{quoted, Error, Result};
use super::memory;

/// All names and texts of one array together are at most this many bytes.
pub const MAX_ATTRIBUTE_BYTES: usize = 1 << 20;

/// Names to JSON texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes {
    entries: Vec<(Box<[u8]>, Box<str>)>,
}

static NONE: Attributes = Attributes { entries: Vec::new() };

impl Attributes {
    /// The empty list, shared.
    pub fn none() -> &'static Attributes {
        &NONE
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Names and texts, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &str)> {
        self.entries.iter().map(|(n, t)| (&**n, &**t))
    }

    /// The text of one name.
    pub fn get(&self, name: &[u8]) -> Option<&str> {
        self.entries.iter().find(|(n, _)| **n == *name).map(|(_, t)| &**t)
    }

    /// Checks one text and writes it without needless white space.
    ///
    /// # Errors
    /// `VALUE` where it is no JSON (line and column named) or the name is empty.
    pub fn check(name: &[u8], text: &[u8]) -> Result<String> {
        if name.is_empty() {
            return Err(Error::value("an attribute's name is empty (use at least one byte)"));
        }
        let parsed: Value = serde_json::from_slice(text).map_err(|e| {
            Error::value(format!("attribute '{}' is not JSON: {e} in '{}'", quoted(name), quoted(text)))
        })?;
        Ok(parsed.to_string())
    }

    /// Sets checked texts; answers how many names are new.
    ///
    /// # Errors
    /// `LIMIT` where all attributes together would take more than 1 MiB; then nothing is changed.
    pub fn set(&mut self, new: Vec<(&[u8], String)>) -> Result<usize> {
        let mut changed = self.clone();
        for (name, text) in new {
            match changed.entries.iter_mut().find(|(n, _)| **n == *name) {
                Some((_, old)) => *old = text.into(),
                None => changed.entries.push((name.into(), text.into())),
            }
        }
        let bytes = changed.bytes();
        if bytes > MAX_ATTRIBUTE_BYTES {
            return Err(Error::Limit {
                what: "the attributes",
                given: bytes as u128,
                limit: MAX_ATTRIBUTE_BYTES as u128,
                unit: "bytes",
            });
        }
        let added = changed.len() - self.len();
        changed.entries.shrink_to_fit();
        *self = changed;
        Ok(added)
    }

    /// Removes names; answers how many there were.
    pub fn remove(&mut self, names: &[&[u8]]) -> usize {
        let before = self.len();
        self.entries.retain(|(n, _)| !names.contains(&&**n));
        self.entries.shrink_to_fit();
        before - self.len()
    }

    /// Bytes of all names and texts.
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|(n, t)| n.len() + t.len()).sum()
    }

    /// What they take in memory.
    pub fn memory(&self) -> usize {
        let list = memory::size_class(self.entries.len() * std::mem::size_of::<(Box<[u8]>, Box<str>)>());
        self.entries.iter().map(|(n, t)| memory::size_class(n.len()) + memory::size_class(t.len())).sum::<usize>()
            + list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_order_and_texts_are_checked() {
        let mut a = Attributes::default();
        let set = |a: &mut Attributes, n: &str, t: &str| {
            let text = Attributes::check(n.as_bytes(), t.as_bytes())?;
            a.set(vec![(n.as_bytes(), text)])
        };
        assert_eq!(set(&mut a, "unit", r#" "m/s" "#), Ok(1));
        assert_eq!(set(&mut a, "scale", "{\"b\": 1, \"a\": [1.5, null]}"), Ok(1));
        assert_eq!(set(&mut a, "unit", "null"), Ok(0));
        assert_eq!(a.get(b"scale"), Some(r#"{"b":1,"a":[1.5,null]}"#));
        assert_eq!(a.iter().map(|(n, _)| n).collect::<Vec<_>>(), [b"unit".as_slice(), b"scale"]);
        assert_eq!(
            set(&mut a, "x", "{").unwrap_err().to_string(),
            "VALUE attribute 'x' is not JSON: EOF while parsing an object at line 1 column 1 in '{'"
        );
        assert!(matches!(set(&mut a, "x", &format!("\"{}\"", "y".repeat(1 << 20))), Err(Error::Limit { .. })));
        assert_eq!(a.remove(&[b"unit", b"gone"]), 1);
        assert_eq!(a.len(), 1);
    }
}
