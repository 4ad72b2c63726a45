//! RESP2 and RESP3: requests out, replies in, and replies as text.
//!
//! A strict reader of our own rather than a client library, because the tests judge the protocol itself: a client
//! folds the kinds of null into one, reads `,1.50` and `,1.5` as the same number and forgives what this one refuses.
//!
//! Replies are shown like `redis-cli` shows them, but exactly, so that two replies are equal when their texts are:
//!
//! ```text
//! OK                         simple string            (nil)              null, in RESP2 or RESP3
//! "a\x00b"                   bulk string              (double) 1.5       RESP3 double, as it was written
//! | two                      bulk string of several   (true)  (false)    RESP3 booleans
//! | lines                    printable lines          (big number) 123   RESP3 big number
//! (integer) 1                integer                  (verbatim txt) "…" RESP3 verbatim string
//! (error) DTYPE …            error
//! 1) …  2) …                 array                    (empty array)
//! 1# key => value            map                      (empty map)
//! 1~ …                       set                      (empty set)
//! ```

use std::fmt::Write as _;
use std::io::{self, BufRead, Error, ErrorKind, Read};

/// One reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `+OK`
    Simple(String),
    /// `-ERR …`, without the minus: code, space, sentence.
    Error(String),
    /// `:1`
    Int(i64),
    /// `$3`, and RESP3's blob errors never: the server sends none.
    Bulk(Vec<u8>),
    /// `$-1`, `*-1` or `_`
    Nil,
    /// `*2`
    Array(Vec<Value>),
    /// `%2`
    Map(Vec<(Value, Value)>),
    /// `~2`
    Set(Vec<Value>),
    /// `,1.5`: the number as it was written
    Double(String),
    /// `#t`, `#f`
    Bool(bool),
    /// `(123`: the digits as they were written
    BigNumber(String),
    /// `=7\r\ntxt:abc`: format and text
    Verbatim(String, Vec<u8>),
    /// `>2`
    Push(Vec<Value>),
}

/// Adds one command to `out`, in the form of an array of bulk strings.
pub fn encode<A: AsRef<[u8]>>(args: &[A], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// Reads one reply.
///
/// # Errors
/// Whatever reading answers; `InvalidData` where the bytes are not RESP.
pub fn decode(from: &mut impl BufRead) -> io::Result<Value> {
    let line = read_line(from)?;
    let Some((&kind, rest)) = line.split_first() else { return Err(invalid("an empty line", &line)) };
    let text = || String::from_utf8_lossy(rest).into_owned();
    let number = || text().parse::<i64>().map_err(|_| invalid("no integer", &line));
    Ok(match kind {
        b'+' => Value::Simple(text()),
        b'-' => Value::Error(text()),
        b':' => Value::Int(number()?),
        b'$' | b'*' if rest == b"-1" => Value::Nil,
        b'_' if rest.is_empty() => Value::Nil,
        b'$' => Value::Bulk(read_blob(from, number()?)?),
        b'=' => {
            let mut blob = read_blob(from, number()?)?;
            if blob.get(3) != Some(&b':') {
                return Err(invalid("a verbatim string without its format", &blob));
            }
            let body = blob.split_off(4);
            Value::Verbatim(String::from_utf8_lossy(&blob[..3]).into_owned(), body)
        }
        b'*' => Value::Array(read_many(from, number()?)?),
        b'~' => Value::Set(read_many(from, number()?)?),
        b'>' => Value::Push(read_many(from, number()?)?),
        b'%' => {
            let pairs = number()?;
            Value::Map((0..pairs).map(|_| Ok((decode(from)?, decode(from)?))).collect::<io::Result<_>>()?)
        }
        b'|' => {
            // attributes belong to the reply behind them; nothing here asks for them
            for _ in 0..number()? {
                decode(from)?;
                decode(from)?;
            }
            decode(from)?
        }
        b',' if is_double(rest) => Value::Double(text()),
        b'#' if rest == b"t" => Value::Bool(true),
        b'#' if rest == b"f" => Value::Bool(false),
        b'(' if is_integer(rest) => Value::BigNumber(text()),
        _ => return Err(invalid("no RESP reply", &line)),
    })
}

fn is_integer(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// What the RESP3 specification allows, and `nan`, which later editions added.
fn is_double(text: &[u8]) -> bool {
    matches!(text, b"inf" | b"-inf" | b"nan")
        || text.first().is_some_and(|c| c.is_ascii_digit() || *c == b'-')
            && text.iter().all(|c| c.is_ascii_digit() || b"+-.eE".contains(c))
            && std::str::from_utf8(text).is_ok_and(|t| t.parse::<f64>().is_ok())
}

fn read_line(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
    }
    if !line.ends_with(b"\r\n") {
        return Err(invalid("a line that does not end in CR LF", &line));
    }
    line.truncate(line.len() - 2);
    Ok(line)
}

fn read_blob(from: &mut impl BufRead, len: i64) -> io::Result<Vec<u8>> {
    let len = u64::try_from(len).map_err(|_| invalid("a negative length", len.to_string().as_bytes()))?;
    let mut blob = Vec::with_capacity(usize::try_from(len).unwrap_or(0).min(1 << 30));
    from.take(len).read_to_end(&mut blob)?;
    let mut end = [0; 2];
    from.read_exact(&mut end)?;
    if blob.len() as u64 != len || &end != b"\r\n" {
        return Err(invalid("a string that does not end where it said", &end));
    }
    Ok(blob)
}

fn read_many(from: &mut impl BufRead, count: i64) -> io::Result<Vec<Value>> {
    (0..count).map(|_| decode(from)).collect()
}

fn invalid(what: &str, found: &[u8]) -> Error {
    let found = quote(&found[..found.len().min(80)]);
    Error::new(ErrorKind::InvalidData, format!("the reply is not RESP: {what}: {found}"))
}

impl Value {
    /// Whether the reply is `OK`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Value::Simple(s) if s == "OK")
    }

    /// The sentence of an error, or `None`.
    pub fn error(&self) -> Option<&str> {
        match self {
            Value::Error(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of a simple, bulk or verbatim string.
    ///
    /// # Panics
    /// When the reply is something else.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Value::Bulk(b) | Value::Verbatim(_, b) => b,
            Value::Simple(s) => s.as_bytes(),
            other => panic!("expected a string, got {}", other.show()),
        }
    }

    /// The bytes as text.
    ///
    /// # Panics
    /// When the reply is no string.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The integer.
    ///
    /// # Panics
    /// When the reply is something else.
    pub fn int(&self) -> i64 {
        match self {
            Value::Int(i) => *i,
            other => panic!("expected an integer, got {}", other.show()),
        }
    }

    /// The elements of an array or set.
    ///
    /// # Panics
    /// When the reply is something else.
    pub fn array(&self) -> &[Value] {
        match self {
            Value::Array(a) | Value::Set(a) | Value::Push(a) => a,
            other => panic!("expected an array, got {}", other.show()),
        }
    }

    /// The value of `name` in a map, or in RESP2's flat list of pairs.
    ///
    /// # Panics
    /// When the reply is no map or has no such name.
    pub fn field(&self, name: &str) -> &Value {
        let found = match self {
            Value::Map(pairs) => pairs.iter().find(|(k, _)| k.text() == name).map(|(_, v)| v),
            Value::Array(flat) => flat.chunks_exact(2).find(|pair| pair[0].text() == name).map(|pair| &pair[1]),
            other => panic!("expected a map, got {}", other.show()),
        };
        found.unwrap_or_else(|| panic!("no '{name}' in {}", self.show()))
    }

    /// The reply as text, in the notation at the top of this file; lines without a newline at the end.
    pub fn show(&self) -> String {
        let mut out = String::new();
        self.write(0, &mut out);
        out.truncate(out.trim_end_matches('\n').len());
        out
    }

    /// Writes the reply; the first line starts where the text ends, later ones are indented by `indent`.
    fn write(&self, indent: usize, out: &mut String) {
        match self {
            Value::Simple(s) => line(out, s),
            Value::Error(s) => line(out, &format!("(error) {s}")),
            Value::Int(i) => line(out, &format!("(integer) {i}")),
            Value::Nil => line(out, "(nil)"),
            Value::Double(d) => line(out, &format!("(double) {d}")),
            Value::Bool(b) => line(out, &format!("({b})")),
            Value::BigNumber(n) => line(out, &format!("(big number) {n}")),
            Value::Bulk(b) => write_string("", b, indent, out),
            Value::Verbatim(format, b) => write_string(&format!("(verbatim {format}) "), b, indent, out),
            Value::Array(a) => write_items("array", ")", a, indent, out),
            Value::Set(a) => write_items("set", "~", a, indent, out),
            Value::Push(a) => write_items("push", ">", a, indent, out),
            Value::Map(pairs) if pairs.is_empty() => line(out, "(empty map)"),
            Value::Map(pairs) => {
                for (i, (key, value)) in pairs.iter().enumerate() {
                    start(i, indent, out);
                    let head = format!("{}# {} => ", i + 1, key.show());
                    out.push_str(&head);
                    value.write(indent + head.chars().count(), out);
                }
            }
        }
    }
}

/// Printable text of several lines is shown as lines; all other strings are quoted.
fn write_string(head: &str, bytes: &[u8], indent: usize, out: &mut String) {
    out.push_str(head);
    match std::str::from_utf8(bytes) {
        Ok(text) if text.contains('\n') && text.chars().all(|c| c == '\n' || !c.is_control()) => {
            for (i, l) in text.split('\n').enumerate() {
                start(i, indent + head.len(), out);
                line(out, &if l.is_empty() { "|".to_owned() } else { format!("| {l}") });
            }
        }
        _ => line(out, &quote(bytes)),
    }
}

fn write_items(what: &str, mark: &str, items: &[Value], indent: usize, out: &mut String) {
    if items.is_empty() {
        line(out, &format!("(empty {what})"));
    }
    let width = items.len().to_string().len();
    for (i, item) in items.iter().enumerate() {
        start(i, indent, out);
        let _ = write!(out, "{:>width$}{mark} ", i + 1);
        item.write(indent + width + mark.len() + 1, out);
    }
}

fn start(i: usize, indent: usize, out: &mut String) {
    if i > 0 {
        out.push_str(&" ".repeat(indent));
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// Bytes in double quotes, with the escapes of `redis-cli`.
pub fn quote(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for &b in bytes {
        match b {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(b));
            }
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(b)),
            _ => {
                let _ = write!(out, "\\x{b:02x}");
            }
        }
    }
    out.push('"');
    out
}
