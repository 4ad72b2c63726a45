//! Attributes: names to JSON texts, kept with an array and in the order they were first set.
//!
//! A text is kept as it came but for white space between its words: `1.10` stays `1.10`, and a number of thirty digits
//! keeps all of them. Calls that name many attributes look names up in a table, never one list along another.

use std::collections::{HashMap, HashSet};

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

    /// The text of each name, nothing where there is none.
    pub fn get_all<'a>(&'a self, names: &'a [&'a [u8]]) -> impl Iterator<Item = (&'a [u8], Option<&'a str>)> {
        let texts: HashMap<&[u8], &str> = self.iter().collect();
        names.iter().map(move |name| (*name, texts.get(name).copied()))
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
        // Not the parsed value: it would round long numbers and drop repeated names.
        drop(parsed);
        Ok(compact(&String::from_utf8_lossy(text)))
    }

    /// Sets checked texts; answers how many names are new.
    ///
    /// # Errors
    /// `LIMIT` where all attributes together would take more than 1 MiB; then nothing is changed.
    pub fn set(&mut self, new: Vec<(&[u8], String)>) -> Result<usize> {
        let mut changed = self.clone();
        let mut places: HashMap<Box<[u8]>, usize> = HashMap::with_capacity(self.len());
        places.extend(self.entries.iter().enumerate().map(|(i, (n, _))| (n.clone(), i)));
        for (name, text) in new {
            match places.get(name) {
                Some(&place) => changed.entries[place].1 = text.into(),
                None => {
                    places.insert(name.into(), changed.len());
                    changed.entries.push((name.into(), text.into()));
                }
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
        let names: HashSet<&[u8]> = names.iter().copied().collect();
        self.entries.retain(|(n, _)| !names.contains(&**n));
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

/// A valid JSON text without the white space outside its strings.
fn compact(text: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let kept = |c: &char| {
        let keep = in_string || !matches!(c, ' ' | '\t' | '\n' | '\r');
        match c {
            '"' if !escaped => in_string = !in_string,
            _ => {}
        }
        escaped = in_string && *c == '\\' && !escaped;
        keep
    };
    text.chars().filter(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_keep_every_digit_escape_and_repeated_name() {
        let check = |text: &str| Attributes::check(b"a", text.as_bytes()).unwrap();
        for (text, kept) in [
            (" 123456789012345678901234567890 ", "123456789012345678901234567890"),
            ("[ 1.10 ,\t1E2,\r\n-0.0 ]", "[1.10,1E2,-0.0]"),
            (r#"{ "a b" : "\\" , "a b" : " \" \u00e9 " }"#, r#"{"a b":"\\","a b":" \" \u00e9 "}"#),
            ("\"\u{e9} \u{1f600}\"", "\"\u{e9} \u{1f600}\""),
        ] {
            assert_eq!(check(text), kept);
        }
    }

    #[test]
    fn many_names_take_no_quadratic_time() {
        // A list searched along a list of as many would take minutes.
        let names: Vec<String> = (0..150_000u32).map(|i| format!("{i:x}")).collect();
        let new = names.iter().map(|n| (n.as_bytes(), "1".to_owned())).collect();
        let mut a = Attributes::default();
        assert_eq!(a.set(new), Ok(names.len()));
        let names: Vec<&[u8]> = names.iter().map(|n| n.as_bytes()).collect();
        assert!(a.get_all(&names).all(|(_, text)| text == Some("1")));
        assert_eq!(a.remove(&names), names.len());
    }

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
        let scale = a.get_all(&[b"scale", b"x"]).map(|(_, t)| t).collect::<Vec<_>>();
        assert_eq!(scale, [Some(r#"{"b":1,"a":[1.5,null]}"#), None]);
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
