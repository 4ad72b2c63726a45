//! JSON: nested lists of numbers, in and out.
//!
//! ```text
//! text   = value                        a bare number is an array of rank 0
//! value  = "[" [ value { "," value } ] "]" | number | '"' complex '"'
//! number = what a VALUES argument may be: 3  -2.5e3  NaN  inf  -Infinity  true  1+2j  (1-2j); but no 007
//! ```
//!
//! - Lists nest at most 64 deep, the rank limit. Lists of one level have one length; anything else is ragged and refused
//!   at its byte.
//! - `null` is refused: NumPy makes an object of it, and whether it means NaN or zero is not ours to guess.
//! - A quoted string is read only where it holds a complex number, because that is how complex elements are written:
//!   `["1+2j","0-1j"]` is JSON to every reader, and reads back here. Unquoted complex numbers are read too.
//! - Without a dtype, it is inferred as `numpy.array` infers it: bool < int64 < float64 < complex128, where integers from
//!   2^63 on are uint64; uint64 beside int64 makes float64; an integer beyond uint64 is refused. A list of no elements is
//!   float64.
//!
//! Two passes without recursion: the first finds shape, count and dtype, so that the second can fill one exact buffer.

use std::io::Write;

use super::{reserve, values, Dense, Elements};
use crate::nd::digits::Digits;
use crate::nd::dtype::{dispatch, Bool8, Dtype, Element, Kind};
use crate::nd::error::{quoted, Error, Result};
use crate::nd::scalar::{natural_dtype, Number, Scalar};
use crate::nd::shape::{Shape, MAX_NDIM};

/// Reads nested lists as an array of `dtype`, or of the dtype that NumPy would infer.
///
/// # Errors
/// `SYNTAX` with the byte for text that is no nested list of numbers, `SHAPE` with the byte for ragged lists and for
/// more than 64 levels, `VALUE` with the element for numbers that are none or do not fit.
pub fn read(text: &[u8], dtype: Option<Dtype>) -> Result<Dense<'static>> {
    let (shape, inferred) = survey(text, dtype.is_none())?;
    let dtype = dtype.unwrap_or(inferred);
    let (_, bytes) = shape.size_and_bytes(dtype)?;
    let mut out = reserve(bytes)?;
    let mut tokens = Tokens { text, at: 0 };
    while let Some((at, token)) = tokens.next()? {
        if let Token::Number(number) = token {
            values::push(dtype, number, &mut out).map_err(|e| located(at, &e))?;
        }
    }
    Ok(Dense { dtype, shape, elements: Elements::Owned(out) })
}

fn located(at: usize, e: &Error) -> Error {
    let text = e.to_string();
    let sentence = text.strip_prefix("VALUE ").unwrap_or(&text);
    Error::value(format!("JSON at byte {at}: {sentence}"))
}

fn syntax(at: usize, what: &str) -> Error {
    Error::syntax(format!("JSON at byte {at}: {what}"))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    Open,
    Close,
    Comma,
    Number(&'a [u8]),
}

struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    /// The next token and where it begins.
    fn next(&mut self) -> Result<Option<(usize, Token<'a>)>> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let blanks = rest.iter().take_while(|c| matches!(c, b' ' | b'\t' | b'\n' | b'\r')).count();
        let at = self.at + blanks;
        let rest = &rest[blanks..];
        let Some(&first) = rest.first() else { return Ok(None) };
        let (token, len) = match first {
            b'[' => (Token::Open, 1),
            b']' => (Token::Close, 1),
            b',' => (Token::Comma, 1),
            b'"' => {
                let inside = &rest[1..];
                let len =
                    inside.iter().position(|&c| c == b'"').ok_or_else(|| syntax(at, "a string without its end"))?;
                (Token::Number(complex_string(at, &inside[..len])?), len + 2)
            }
            _ => {
                let ends = |c: &u8| matches!(c, b'[' | b']' | b',' | b'"' | b' ' | b'\t' | b'\n' | b'\r');
                let len = rest.iter().position(ends).unwrap_or(rest.len());
                (Token::Number(bare(at, &rest[..len])?), len)
            }
        };
        self.at = at + len;
        Ok(Some((at, token)))
    }
}

fn complex_string(at: usize, inside: &[u8]) -> Result<&[u8]> {
    match Number::parse(inside) {
        Ok(Number::Complex(_)) => Ok(inside),
        _ => Err(syntax(at, &format!("the string '{}' (only complex numbers stand in quotes)", quoted(inside)))),
    }
}

fn bare(at: usize, word: &[u8]) -> Result<&[u8]> {
    match word {
        b"null" => Err(syntax(at, "null is no number (write NaN for a missing float)")),
        [b'{', ..] => Err(syntax(at, "an object, where nested lists of numbers are read")),
        _ if has_leading_zero(word) => Err(syntax(at, &format!("'{}', which begins with a needless 0", quoted(word)))),
        _ => Ok(word),
    }
}

/// Whether a number has digits behind a first 0, as in `007`: JSON forbids it, and somebody may have meant octal digits.
fn has_leading_zero(word: &[u8]) -> bool {
    let digits = word.strip_prefix(b"-").or_else(|| word.strip_prefix(b"+")).unwrap_or(word);
    matches!(digits, [b'0', b'0'..=b'9', ..])
}

/// Checks the structure; answers the shape and, where `infer`, the dtype.
fn survey(text: &[u8], infer: bool) -> Result<(Shape, Dtype)> {
    // Per level: the length that its first list had, once that is closed. Per open list: elements so far.
    let mut lengths: Vec<Option<usize>> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    // The level at which numbers stand (or at which the innermost empty lists are), once known.
    let mut depth: Option<usize> = None;
    let mut kinds = Kinds::default();
    let mut tokens = Tokens { text, at: 0 };
    let mut value_expected = true;
    let mut just_opened = false;
    loop {
        let Some((at, token)) = tokens.next()? else {
            return Err(syntax(text.len(), if open.is_empty() { "no value" } else { "the text ends inside a list" }));
        };
        match token {
            Token::Open if value_expected => {
                if depth.is_some_and(|d| open.len() >= d) {
                    return Err(ragged(at, "a list where its neighbours are numbers or empty"));
                }
                if open.len() == MAX_NDIM {
                    return Err(Error::Rank { ndim: MAX_NDIM + 1 });
                }
                if open.len() == lengths.len() {
                    lengths.push(None);
                }
                count_one(&mut open);
                open.push(0);
                just_opened = true;
                continue;
            }
            Token::Number(number) if value_expected => {
                if depth.is_some_and(|d| open.len() != d) || open.len() < lengths.len() {
                    return Err(ragged(at, "a number where its neighbours are lists"));
                }
                depth = Some(open.len());
                count_one(&mut open);
                if infer {
                    kinds.add(number).map_err(|e| located(at, &e))?;
                }
                value_expected = false;
            }
            Token::Close if just_opened || !value_expected => {
                let Some(given) = open.pop() else { return Err(syntax(at, "']' without its '['")) };
                let level = open.len();
                match lengths.get_mut(level) {
                    Some(Some(want)) if *want != given => {
                        return Err(ragged(at, &format!("a list of {given} where its neighbours have {want}")));
                    }
                    Some(slot) => *slot = Some(given),
                    None => return Err(syntax(at, "']' without its '['")),
                }
                if given == 0 {
                    if depth.is_some_and(|d| d != level + 1) {
                        return Err(ragged(at, "an empty list where its neighbours have lists"));
                    }
                    depth = Some(level + 1);
                }
                value_expected = false;
            }
            Token::Comma if !value_expected => value_expected = true,
            _ if value_expected => return Err(syntax(at, "a number or a list expected")),
            _ => return Err(syntax(at, "',' or ']' expected")),
        }
        just_opened = false;
        if open.is_empty() {
            break;
        }
    }
    if let Some((at, _)) = tokens.next()? {
        return Err(syntax(at, "text behind the value"));
    }
    let lengths: Vec<usize> = lengths.into_iter().map(Option::unwrap_or_default).collect();
    Ok((Shape::new(&lengths)?, kinds.dtype()))
}

fn count_one(open: &mut [usize]) {
    if let Some(elements) = open.last_mut() {
        *elements += 1; // at most as many as the text has bytes
    }
}

fn ragged(at: usize, what: &str) -> Error {
    Error::Ragged { at, what: what.to_owned() }
}

/// Which dtypes the numbers suggest, one by one.
#[derive(Default)]
struct Kinds {
    seen: u16,
}

impl Kinds {
    fn add(&mut self, number: &[u8]) -> Result<()> {
        let digits = number.strip_prefix(b"-").unwrap_or(number);
        let dtype = if digits.len() < 19 && !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
            Dtype::Int64
        } else {
            let out_of_range = || Error::OutOfRange { given: quoted(number), dtype: Dtype::UInt64 };
            let parsed = Number::parse(number)?;
            // An integer too long for Number is read as a float; here it is still an integer.
            let whole = digits.strip_prefix(b"+").unwrap_or(digits).iter().all(u8::is_ascii_digit);
            match natural_dtype(parsed) {
                Some(Dtype::Float64) if whole => return Err(out_of_range()),
                Some(dtype) => dtype,
                None => return Err(out_of_range()),
            }
        };
        self.seen |= 1 << dtype as u16;
        Ok(())
    }

    fn dtype(&self) -> Dtype {
        let has = |d: Dtype| self.seen & (1 << d as u16) != 0;
        let (signed, unsigned) = (has(Dtype::Int64), has(Dtype::UInt64));
        match () {
            _ if has(Dtype::Complex128) => Dtype::Complex128,
            _ if has(Dtype::Float64) || (signed && unsigned) || self.seen == 0 => Dtype::Float64,
            _ if unsigned => Dtype::UInt64,
            _ if signed => Dtype::Int64,
            _ => Dtype::Bool,
        }
    }
}

/// Writes C-order little-endian `bytes` as nested lists behind `out`: `[[1.0,2.5],[NaN,-Infinity]]`, complex elements as
/// strings `"1+2j"`. Floats have the shortest digits of their dtype in the layout of Python's `repr`.
///
/// # Errors
/// `SHAPE` where `bytes` are not as many as dtype and shape ask for.
pub fn write(dtype: Dtype, shape: &Shape, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    super::check_length(dtype, shape, bytes.len())?;
    dispatch!(dtype, T => {
        let elements = bytes.chunks_exact(dtype.itemsize()).map(bytemuck::pod_read_unaligned::<T>);
        write_lists(shape, elements, out)
    })
}

/// Brackets and commas: an odometer over the axes.
fn write_lists<T: JsonElement>(shape: &Shape, mut elements: impl Iterator<Item = T>, out: &mut Vec<u8>) -> Result<()> {
    let Some((&row, outer)) = shape.split_last() else {
        elements.for_each(|e| e.push_json(out));
        return Ok(());
    };
    let mut index = vec![0usize; outer.len()];
    // Axes behind the first empty one are never entered: `[[],[]]` for (2, 0, 3).
    let entered = outer.iter().position(|&d| d == 0).unwrap_or(outer.len());
    let (outer, row) = if entered < outer.len() { (&outer[..entered], 0) } else { (outer, row) };
    if shape.contains(&0) && !empty_is_small(outer) {
        return Err(Error::Limit {
            what: "the JSON text",
            given: outer.iter().fold(2u128, |n, &d| n.saturating_mul(d as u128)),
            limit: MAX_EMPTY as u128,
            unit: "bytes",
        });
    }
    let mut opened = outer.len();
    loop {
        out.extend(std::iter::repeat_n(b'[', opened));
        out.push(b'[');
        for (i, element) in elements.by_ref().take(row).enumerate() {
            if i > 0 {
                out.push(b',');
            }
            element.push_json(out);
        }
        out.push(b']');
        opened = 0;
        for (i, &len) in index[..outer.len()].iter_mut().zip(outer).rev() {
            *i += 1;
            if *i < len {
                break;
            }
            *i = 0;
            opened += 1;
            out.push(b']');
        }
        if opened == outer.len() {
            return Ok(());
        }
        out.push(b',');
    }
}

/// Empty lists are written only up to this many bytes: shape (1000000000, 0) has no elements, but a long text.
const MAX_EMPTY: usize = 1 << 20;

fn empty_is_small(outer: &[usize]) -> bool {
    outer.iter().try_fold(2usize, |n, &d| n.checked_mul(d)).is_some_and(|n| n <= MAX_EMPTY)
}

/// One element as JSON, quickly.
trait JsonElement: Element {
    fn push_json(self, out: &mut Vec<u8>);
}

macro_rules! integers {
    ($($t:ty)*) => {$(
        impl JsonElement for $t {
            fn push_json(self, out: &mut Vec<u8>) {
                // Writing into a Vec cannot fail.
                let _ = write!(out, "{self}");
            }
        }
    )*};
}
integers!(i8 i16 i32 i64 u8 u16 u32 u64);

macro_rules! floats {
    ($($t:ty)*) => {$(
        impl JsonElement for $t {
            fn push_json(self, out: &mut Vec<u8>) {
                push_float(f64::from(self), <$t>::DTYPE, out);
            }
        }
    )*};
}
floats!(half::f16 half::bf16 f32 f64);

fn push_float(x: f64, dtype: Dtype, out: &mut Vec<u8>) {
    if x.is_finite() {
        Digits::shortest(x, dtype).push_repr(out, b".0");
    } else {
        out.extend_from_slice(if x.is_nan() {
            b"NaN"
        } else if x > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        });
    }
}

impl JsonElement for Bool8 {
    fn push_json(self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.get() { b"true" } else { b"false" });
    }
}

macro_rules! complexes {
    ($($t:ty)*) => {$(
        impl JsonElement for $t {
            fn push_json(self, out: &mut Vec<u8>) {
                debug_assert_eq!(Self::DTYPE.kind(), Kind::Complex);
                // Writing into a Vec cannot fail.
                let _ = write!(out, "\"{}\"", Scalar::of(self).json());
            }
        }
    )*};
}
complexes!(num_complex::Complex32 num_complex::Complex64);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nd::dtype::ByteOrder;
    use proptest::prelude::*;

    fn ok(text: &str, dtype: Option<Dtype>) -> (Dtype, Vec<usize>, String) {
        let dense = read(text.as_bytes(), dtype).unwrap_or_else(|e| panic!("{text}: {e}"));
        let (dtype, shape) = (dense.dtype, dense.shape.clone());
        let mut out = Vec::new();
        write(dtype, &shape, &dense.elements.into_vec().unwrap(), &mut out).unwrap();
        (dtype, shape.to_vec(), String::from_utf8(out).unwrap())
    }

    fn err(text: &str) -> String {
        read(text.as_bytes(), None).expect_err(text).to_string()
    }

    #[test]
    fn dtypes_are_inferred_as_numpy_infers_them() {
        for (text, dtype, shape, back) in [
            ("3", Dtype::Int64, &[][..], "3"),
            (" [ 1 , 2 ] ", Dtype::Int64, &[2], "[1,2]"),
            ("[true, False]", Dtype::Bool, &[2], "[true,false]"),
            ("[true, 2]", Dtype::Int64, &[2], "[1,2]"),
            ("[true, 0.5]", Dtype::Float64, &[2], "[1.0,0.5]"),
            ("[9223372036854775807]", Dtype::Int64, &[1], "[9223372036854775807]"),
            ("[9223372036854775808]", Dtype::UInt64, &[1], "[9223372036854775808]"),
            ("[true, 18446744073709551615]", Dtype::UInt64, &[2], "[1,18446744073709551615]"),
            ("[1, 9223372036854775808]", Dtype::Float64, &[2], "[1.0,9.223372036854776e+18]"),
            ("[[1, nan], [-inf, Infinity]]", Dtype::Float64, &[2, 2], "[[1.0,NaN],[-Infinity,Infinity]]"),
            ("[1, 2j]", Dtype::Complex128, &[2], "[\"1+0j\",\"0+2j\"]"),
            ("[\"1-2.5j\"]", Dtype::Complex128, &[1], "[\"1-2.5j\"]"),
            ("[]", Dtype::Float64, &[0], "[]"),
            ("[[],[]]", Dtype::Float64, &[2, 0], "[[],[]]"),
            ("[[[]]]", Dtype::Float64, &[1, 1, 0], "[[[]]]"),
            ("-0.0", Dtype::Float64, &[], "-0.0"),
        ] {
            assert_eq!(ok(text, None), (dtype, shape.to_vec(), back.to_owned()), "{text}");
        }
        assert_eq!(ok("[1, 2]", Some(Dtype::Float32)).2, "[1.0,2.0]");
        assert_eq!(ok("[1.0, true]", Some(Dtype::Int8)).2, "[1,1]");
        assert_eq!(ok("[0.1]", Some(Dtype::Float16)).2, "[0.1]");
    }

    #[test]
    fn err_says_which_byte() {
        for (text, want) in [
            ("", "SYNTAX JSON at byte 0: no value"),
            ("[1,2", "SYNTAX JSON at byte 4: the text ends inside a list"),
            ("[1,2]]", "SYNTAX JSON at byte 5: text behind the value"),
            ("1 2", "SYNTAX JSON at byte 2: text behind the value"),
            ("[1,]", "SYNTAX JSON at byte 3: a number or a list expected"),
            ("[,1]", "SYNTAX JSON at byte 1: a number or a list expected"),
            ("[1,007]", "SYNTAX JSON at byte 3: '007', which begins with a needless 0"),
            ("-00.5", "SYNTAX JSON at byte 0: '-00.5', which begins with a needless 0"),
            ("]", "SYNTAX JSON at byte 0: a number or a list expected"),
            ("[1 2]", "SYNTAX JSON at byte 3: ',' or ']' expected"),
            ("[null]", "SYNTAX JSON at byte 1: null is no number (write NaN for a missing float)"),
            ("{}", "SYNTAX JSON at byte 0: an object, where nested lists of numbers are read"),
            ("[\"a\"]", "SYNTAX JSON at byte 1: the string 'a' (only complex numbers stand in quotes)"),
            ("[\"1\"]", "SYNTAX JSON at byte 1: the string '1' (only complex numbers stand in quotes)"),
            ("[\"1", "SYNTAX JSON at byte 1: a string without its end"),
            ("[[1,2],[3]]", "SHAPE ragged nested lists at byte 9: a list of 1 where its neighbours have 2"),
            ("[[1],2]", "SHAPE ragged nested lists at byte 5: a number where its neighbours are lists"),
            ("[1,[2]]", "SHAPE ragged nested lists at byte 3: a list where its neighbours are numbers or empty"),
            ("[[],1]", "SHAPE ragged nested lists at byte 4: a number where its neighbours are lists"),
            ("[[],[1]]", "SHAPE ragged nested lists at byte 6: a list of 1 where its neighbours have 0"),
            ("[[[]],[]]", "SHAPE ragged nested lists at byte 7: a list of 0 where its neighbours have 1"),
            ("[[[1]],[]]", "SHAPE ragged nested lists at byte 8: a list of 0 where its neighbours have 1"),
        ] {
            assert_eq!(err(text), want, "{text}");
        }
        assert!(err("[1, x]").starts_with("VALUE JSON at byte 4: 'x' is not a number"));
        assert!(err("[18446744073709551616]")
            .starts_with("VALUE JSON at byte 1: 18446744073709551616 cannot be held by uint64"));
        assert!(err(&"9".repeat(60)).contains("cannot be held by uint64"));
        assert_eq!(err(&"[".repeat(1000)), "SHAPE 65 dimensions given, at most 64 are allowed");
        let deepest = "[".repeat(64) + &"]".repeat(64);
        assert_eq!(read(deepest.as_bytes(), None).unwrap().shape.ndim(), 64);
        let int = read(b"[1, 300]", Some(Dtype::UInt8)).unwrap_err().to_string();
        assert_eq!(int, "VALUE JSON at byte 4: 300 cannot be held by uint8 (use an integer from 0 to 255)");
    }

    #[test]
    fn empty_lists_that_would_take_long_to_write_are_refused() {
        let mut out = Vec::new();
        write(Dtype::Int8, &Shape::from([2, 0, 3]), &[], &mut out).unwrap();
        assert_eq!(out, b"[[],[]]");
        let err = write(Dtype::Int8, &Shape::from([1 << 40, 0]), &[], &mut Vec::new()).unwrap_err();
        assert_eq!(err.code(), "LIMIT");
        write(Dtype::Int8, &Shape::from([0, 1 << 40]), &[], &mut Vec::new()).unwrap();
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            dtype in prop::sample::select(Dtype::ALL),
            dims in proptest::collection::vec(1usize..4, 0..4),
            seed in proptest::collection::vec(any::<u8>(), 27 * 16),
        ) {
            let shape = Shape::new(&dims).unwrap();
            let (_, bytes) = shape.size_and_bytes(dtype).unwrap();
            let dense = Dense::from_blob(dtype, ByteOrder::Little, shape.clone(), &seed[..bytes]).unwrap();
            let elements = dense.elements.into_vec().unwrap();
            let mut text = Vec::new();
            write(dtype, &shape, &elements, &mut text).unwrap();
            let back = read(&text, Some(dtype)).unwrap();
            let mut again = Vec::new();
            write(dtype, &back.shape, &back.elements.into_vec().unwrap(), &mut again).unwrap();
            prop_assert_eq!(&text, &again);
            prop_assert_eq!(back.shape, shape);
        }

        #[test]
        fn no_text_panics(text in "[\\[\\],0-9.eEjnaifNtrue\" +-]{0,40}") {
            if let Ok(dense) = read(text.as_bytes(), None) {
                let (_, bytes) = dense.shape.size_and_bytes(dense.dtype).unwrap();
                prop_assert_eq!(dense.elements.len(), bytes);
            }
        }
    }
}
