//! Index text to items: the grammar of the module above, read left to right.

use smallvec::SmallVec;

use super::super::error::{quoted, Error, Result};
use super::super::shape::Shape;
use super::{Index, Item, List, Slice, Values, MAX_DEPTH, MAX_ITEMS, MAX_TEXT};

/// Reads a whole index.
pub(super) fn index(text: &[u8]) -> Result<Index> {
    let mut p = Parser::new(text)?;
    let mut index = Index { items: SmallVec::new(), used: 0, made: 0, has_ellipsis: false, is_advanced: false };
    p.sequence("an index", |p| {
        let column = p.column();
        if index.items.len() == MAX_ITEMS {
            return Err(p.wrong_at(column, format!("an index has at most {MAX_ITEMS} parts")));
        }
        let item = p.item()?;
        match &item {
            Item::Integer(_) => index.used += 1,
            Item::Slice(_) => {
                index.used += 1;
                index.made += 1;
            }
            Item::Ellipsis if index.has_ellipsis => {
                return Err(p.wrong_at(column, "a second '...' (an index has at most one)"));
            }
            Item::Ellipsis => index.has_ellipsis = true,
            Item::NewAxis => index.made += 1,
            Item::Boolean(_) => index.is_advanced = true,
            Item::List(list) => {
                index.is_advanced = true;
                index.used += match list.values {
                    Values::Integers(_) => 1,
                    Values::Booleans(_) => list.shape.ndim(),
                };
            }
        }
        index.items.push(item);
        Ok(())
    })?;
    Ok(index)
}

/// A place in the text.
pub(super) struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

/// A list being read: its shape as far as it is known, outermost first.
#[derive(Default)]
struct Building {
    /// Length of each level, `None` until the first list of that level is closed.
    lengths: SmallVec<[Option<usize>; 4]>,
    /// How deep the elements stand, once one was met.
    depth: Option<usize>,
    integers: Vec<i64>,
    booleans: Vec<bool>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a [u8]) -> Result<Parser<'a>> {
        if text.len() > MAX_TEXT {
            let (given, limit) = (text.len() as u128, MAX_TEXT as u128); // widening
            return Err(Error::Limit { what: "an index", given, limit, unit: "bytes" });
        }
        Ok(Parser { text, at: 0 })
    }

    /// `part`s between commas, perhaps in parentheses, to the end of the text. `what` names a part.
    pub(super) fn sequence(&mut self, what: &'static str, mut part: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        let has_parenthesis = self.eat(b'(');
        while !matches!(self.peek(), None | Some(b')')) {
            if self.peek() == Some(b',') {
                return Err(self.wrong(format!("{what} is missing before ','")));
            }
            part(self)?;
            if !self.eat(b',') {
                break;
            }
        }
        if has_parenthesis && !self.eat(b')') {
            return Err(match self.peek() {
                None => self.wrong("the text ends before ')'"),
                Some(_) => self.unexpected("',' or ')'"),
            });
        }
        match self.peek() {
            None => Ok(()),
            Some(_) if has_parenthesis => Err(self.unexpected("the end of the text")),
            Some(_) => Err(self.unexpected("','")),
        }
    }

    fn item(&mut self) -> Result<Item> {
        let start = match self.peek() {
            Some(b'[') => return self.list().map(|list| Item::List(Box::new(list))),
            Some(b'.') if self.text[self.at..].starts_with(b"...") => {
                self.at += 3;
                return Ok(Item::Ellipsis);
            }
            Some(b':') => None,
            Some(c) if c.is_ascii_alphabetic() => {
                match self.word()? {
                    Item::NewAxis if self.peek() == Some(b':') => None, // None as the bound of a slice
                    item => return Ok(item),
                }
            }
            _ => Some(self.integer()?),
        };
        if !self.eat(b':') {
            // Only a number can get here: every other start is followed by a colon.
            return start.map(Item::Integer).ok_or_else(|| self.unexpected("':'"));
        }
        let stop = self.bound()?;
        let mut step = None;
        if self.eat(b':') {
            self.peek();
            let column = self.column();
            step = self.bound()?;
            if step == Some(0) {
                return Err(self.wrong_at(column, "a slice step of 0 (use 1 or more, or -1 or less)"));
            }
        }
        Ok(Item::Slice(Slice { start, stop, step: step.unwrap_or(1).max(-i64::MAX) }))
    }

    /// What may stand between the colons of a slice.
    fn bound(&mut self) -> Result<Option<i64>> {
        match self.peek() {
            None | Some(b':' | b',' | b')') => Ok(None),
            Some(c) if c.is_ascii_alphabetic() => {
                let column = self.column();
                match self.word()? {
                    Item::NewAxis => Ok(None),
                    _ => Err(self.wrong_at(column, "a slice is made of integers (as in 0:10:2)")),
                }
            }
            Some(_) => self.integer().map(Some),
        }
    }

    fn word(&mut self) -> Result<Item> {
        let rest = &self.text[self.at..];
        let len = rest.iter().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.')).count();
        let word = &rest[..len];
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let item = if is("true") {
            Item::Boolean(true)
        } else if is("false") {
            Item::Boolean(false)
        } else if is("none") || is("newaxis") || is("np.newaxis") || is("numpy.newaxis") {
            Item::NewAxis
        } else if is("ellipsis") {
            Item::Ellipsis
        } else {
            let what =
                format!("'{}' is not an index (use integers, slices, lists, ..., None, True, False)", quoted(word));
            return Err(self.wrong(what));
        };
        self.at += len;
        Ok(item)
    }

    /// A whole number; beyond 64 bits, the nearest one that fits.
    pub(super) fn integer(&mut self) -> Result<i64> {
        let start = match self.peek() {
            Some(_) => self.at,
            None => return Err(self.wrong("the text ends where an integer should stand")),
        };
        let is_negative = self.text[start] == b'-';
        if is_negative || self.text[start] == b'+' {
            self.at += 1;
            self.peek();
        }
        let digits = self.at;
        let mut value = 0i64;
        while let Some(c) = self.text.get(self.at).filter(|c| c.is_ascii_digit()) {
            let digit = i64::from(c - b'0');
            let tens = value.saturating_mul(10);
            value = if is_negative { tens.saturating_sub(digit) } else { tens.saturating_add(digit) };
            self.at += 1;
        }
        let goes_on = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_');
        if self.text.get(self.at).is_some_and(goes_on) {
            let len = self.text[digits..].iter().take_while(|&c| goes_on(c)).count();
            let what = format!("'{}' is not an integer", quoted(&self.text[start..digits + len]));
            return Err(self.wrong_at(start + 1, what));
        }
        if self.at == digits {
            return Err(self.unexpected("an integer"));
        }
        Ok(value)
    }

    fn list(&mut self) -> Result<List> {
        let mut list = Building::default();
        self.level(&mut list, 1)?;
        let Building { lengths, integers, booleans, .. } = list;
        let lengths: SmallVec<[usize; 4]> = lengths.into_iter().map(|n| n.unwrap_or(0)).collect();
        let values = if booleans.is_empty() { Values::Integers(integers) } else { Values::Booleans(booleans) };
        Ok(List { shape: Shape::new(&lengths)?, values })
    }

    /// One bracketed list, `depth` brackets deep counting its own.
    fn level(&mut self, list: &mut Building, depth: usize) -> Result<()> {
        let open = self.at;
        if depth > MAX_DEPTH {
            return Err(self.wrong(format!("lists nest more than {MAX_DEPTH} deep")));
        }
        if list.depth.is_some_and(|d| depth > d) {
            return Err(self.wrong("a ragged list: a list where the others hold an element"));
        }
        if list.lengths.len() < depth {
            list.lengths.push(None);
        }
        self.at += 1; // the bracket
        let mut len = 0usize;
        loop {
            match self.peek() {
                None => return Err(self.wrong("the text ends before ']'")),
                Some(b']') => break,
                Some(b',') => return Err(self.wrong("an element is missing before ','")),
                Some(b'[') => self.level(list, depth + 1)?,
                Some(_) => self.element(list, depth)?,
            }
            len += 1;
            if !self.eat(b',') && self.peek() != Some(b']') {
                return Err(match self.peek() {
                    None => self.wrong("the text ends before ']'"),
                    Some(_) => self.unexpected("',' or ']'"),
                });
            }
        }
        if len == 0 && *list.depth.get_or_insert(depth) != depth {
            return Err(self.wrong_at(open + 1, "a ragged list: an empty list where the others hold lists"));
        }
        let known = *list.lengths[depth - 1].get_or_insert(len);
        if known != len {
            let what = format!("a ragged list: length {len} where the lists before it have length {known}");
            return Err(self.wrong_at(open + 1, what));
        }
        self.at += 1; // the closing bracket
        Ok(())
    }

    fn element(&mut self, list: &mut Building, depth: usize) -> Result<()> {
        let column = self.column();
        if *list.depth.get_or_insert(depth) != depth {
            return Err(self.wrong("a ragged list: an element where the others hold a list"));
        }
        if !self.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
            list.integers.push(self.integer()?);
        } else if let Item::Boolean(b) = self.word()? {
            list.booleans.push(b);
        } else {
            return Err(self.wrong_at(column, "a list holds integers, booleans or lists of them"));
        }
        if !list.integers.is_empty() && !list.booleans.is_empty() {
            return Err(self.wrong_at(column, "a list holds integers or booleans, not both"));
        }
        Ok(())
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(c) = self.text.get(self.at) {
            if !c.is_ascii_whitespace() {
                return Some(*c);
            }
            self.at += 1;
        }
        None
    }

    fn eat(&mut self, c: u8) -> bool {
        let is_next = self.peek() == Some(c);
        self.at += usize::from(is_next);
        is_next
    }

    fn column(&mut self) -> usize {
        self.peek();
        self.at + 1
    }

    fn unexpected(&mut self, wanted: &'static str) -> Error {
        let c = self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        match c {
            None => self.wrong(format!("the text ends where {wanted} should stand")),
            Some(_) => {
                let text = quoted(rest);
                let shown = text.chars().next().unwrap_or('\u{fffd}');
                self.wrong(format!("'{shown}' where {wanted} should stand"))
            }
        }
    }

    fn wrong(&mut self, what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        let column = self.column();
        self.wrong_at(column, what)
    }

    fn wrong_at(&self, column: usize, what: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::IndexSyntax { column, what: what.into() }
    }
}
