//! One call's arguments, read from front to back. Nothing is copied: slices point into the server's strings.
//!
//! The next argument is asked of the server once, when the one before it is taken: what it may be is often asked several
//! times (a word? another one?), and each question to the server is a call through a pointer.

use std::ptr::NonNull;

use redis_module::raw;

use super::error::Result;
use super::ffi::bytes_of;
use crate::nd::dtype::{ByteOrder, Dtype};
use crate::nd::error::{quoted, Error};
use crate::nd::shape::Shape;

/// One argument: the server's string, and its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Arg<'a> {
    string: NonNull<raw::RedisModuleString>,
    bytes: &'a [u8],
}

/// A key's name.
pub type Key<'a> = Arg<'a>;

impl<'a> Arg<'a> {
    /// The bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The server's string, for the API.
    pub fn as_ptr(&self) -> *mut raw::RedisModuleString {
        self.string.as_ptr()
    }
}

/// The arguments after the command's name.
#[derive(Debug)]
pub struct Args<'a> {
    argv: &'a [NonNull<raw::RedisModuleString>],
    /// Where the next argument stands, and the argument.
    at: usize,
    next: Option<Arg<'a>>,
}

impl<'a> Args<'a> {
    /// The arguments of one call, the command's name among them.
    ///
    /// # Safety
    /// `argv` holds strings of the server that live, unchanged, for `'a`.
    pub unsafe fn new(argv: &'a [NonNull<raw::RedisModuleString>]) -> Args<'a> {
        let mut args = Args { argv, at: 0, next: None };
        args.advance();
        args
    }

    #[inline]
    fn advance(&mut self) {
        self.at += 1;
        self.next = self.get(self.at);
    }

    #[inline]
    fn get(&self, i: usize) -> Option<Arg<'a>> {
        let string = *self.argv.get(i)?;
        // SAFETY: a live string (ffi invariant 3).
        Some(Arg { string, bytes: unsafe { bytes_of(string.as_ptr()) } })
    }

    /// How many arguments are left.
    pub fn left(&self) -> usize {
        self.argv.len().saturating_sub(self.at)
    }

    /// Where the next argument stands in the call, the command's name being 0.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next argument, which must be there.
    ///
    /// # Errors
    /// `SYNTAX` naming what is missing.
    #[inline]
    pub fn next(&mut self, what: &str) -> Result<Arg<'a>> {
        let Some(arg) = self.next else { return Err(missing(what)) };
        self.advance();
        Ok(arg)
    }

    /// The next argument's bytes, which must be there.
    ///
    /// # Errors
    /// `SYNTAX` naming what is missing.
    #[inline]
    pub fn bytes(&mut self, what: &str) -> Result<&'a [u8]> {
        self.next(what).map(|a| a.bytes)
    }

    /// The next argument, if any, without taking it.
    #[inline]
    pub fn peek(&self) -> Option<&'a [u8]> {
        self.next.map(|arg| arg.bytes)
    }

    /// Whether an argument of the call (the command's name being 0) is the given word, in any case.
    pub fn is_word_at(&self, position: usize, word: &str) -> bool {
        self.get(position).is_some_and(|a| a.bytes.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Takes the next argument where it is the given word, in any case.
    #[inline]
    pub fn word(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|b| b.eq_ignore_ascii_case(word.as_bytes()));
        if found {
            self.advance();
        }
        found
    }

    /// Where the first argument behind the key stands that is the given word, the command's name being 0, if another one
    /// follows it.
    pub fn position_of(&self, word: &str) -> Option<usize> {
        (2..self.argv.len().saturating_sub(1))
            .find(|&i| self.get(i).is_some_and(|a| a.bytes.eq_ignore_ascii_case(word.as_bytes())))
    }

    /// The next argument as an integer of at least `least`.
    ///
    /// # Errors
    /// `SYNTAX` where it is missing, `VALUE` where it is no such integer.
    pub fn integer(&mut self, what: &str, least: i64) -> Result<i64> {
        let bytes = self.bytes(what)?;
        let number = std::str::from_utf8(bytes).ok().and_then(|s| s.parse::<i64>().ok()).filter(|n| *n >= least);
        Ok(number.ok_or_else(|| {
            let allowed = if least == i64::MIN { "of 64 bits".to_string() } else { format!("of at least {least}") };
            Error::value(format!("{what} '{}' is not an integer {allowed}", quoted(bytes)))
        })?)
    }

    /// A count of arguments that follow: at least 1, at most what is left after it.
    ///
    /// # Errors
    /// `VALUE` or `SYNTAX` with the numbers.
    pub fn count(&mut self, what: &str) -> Result<usize> {
        let n = usize::try_from(self.integer(what, 1)?).unwrap_or(usize::MAX);
        if n > self.left() {
            return Err(Error::syntax(format!("{what} is {n}, {} follow", self.left())).into());
        }
        Ok(n)
    }

    /// `n` keys.
    ///
    /// # Errors
    /// `SYNTAX` where fewer are left.
    pub fn keys(&mut self, n: usize) -> Result<Vec<Key<'a>>> {
        let mut keys = Vec::with_capacity(n.min(self.left()));
        for _ in 0..n {
            keys.push(self.next("a key")?);
        }
        Ok(keys)
    }

    /// A dtype.
    ///
    /// # Errors
    /// `SYNTAX` where it is missing, `DTYPE` where it is none.
    pub fn dtype(&mut self) -> Result<(Dtype, ByteOrder)> {
        Ok(Dtype::parse(self.bytes("dtype")?)?)
    }

    /// A shape.
    ///
    /// # Errors
    /// `SYNTAX` where it is missing, `SHAPE` where it is none.
    #[inline]
    pub fn shape(&mut self) -> Result<Shape> {
        Ok(Shape::parse(self.bytes("shape")?)?)
    }

    /// Refuses arguments that nothing has taken; `usage` says what a call looks like.
    ///
    /// # Errors
    /// `SYNTAX` naming the first.
    pub fn finish(&self, usage: impl FnOnce() -> String) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(extra) => Err(self.unexpected(extra, &usage())),
        }
    }

    /// A `SYNTAX` error for a word that has no place here.
    pub fn unexpected(&self, word: &[u8], allowed: &str) -> super::error::Refusal {
        Error::syntax(format!("'{}' is not expected as argument {} (use {allowed})", quoted(word), self.at)).into()
    }
}

#[cold]
fn missing(what: &str) -> super::error::Refusal {
    Error::syntax(format!("missing at the end: {what}")).into()
}
