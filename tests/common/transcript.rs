//! Transcripts: commands and the replies they must get, as text that people read and review.
//!
//! ```text
//! # a comment
//! @resp3
//! > ND.CREATE k float32 2,2 FILL 1.5
//! OK
//! > ND.SHAPE k
//! 1) (integer) 2
//! 2) (integer) 2
//! ```
//!
//! A line `> …` is a command, quoted as in `redis-cli`: `"a\x00\n"`, `'as it is'`. Behind it stands the reply in the
//! notation of [`super::resp`], up to the next blank line, comment, directive or command. `(any)` in a reply stands for
//! any text of one line; alone, for any reply. An argument can also be written
//!
//! | argument | is |
//! |---|---|
//! | `"ab"*3` | `"ababab"` |
//! | `<examples/digits.npy>` | the bytes of that file, from the repository's root |
//! | `$name` | the string that `@let name` has kept |
//!
//! and these directives stand on lines of their own:
//!
//! | directive | does |
//! |---|---|
//! | `@server name value` | adds a line to redis.conf (before the first command) |
//! | `@module word …` | adds arguments of the module (before the first command) |
//! | `@config name value` | `CONFIG SET`, on the replica too |
//! | `@resp2`, `@resp3` | switches the connection's protocol |
//! | `@client name` | goes on over another connection, the first is `main` |
//! | `@reload` | `DEBUG RELOAD` |
//! | `@let name` | keeps the next command's reply, a string |
//! | `@skip-mode mode …` | the next command is sent but not judged in these modes, and nothing happens before it |
//! | `@skip-file mode …` | the file is not run in these modes |

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::repository;

/// One transcript.
pub struct Transcript {
    /// Where it stands.
    pub path: PathBuf,
    /// Its parts in order.
    pub blocks: Vec<Block>,
}

/// A directive or a command; the comments and blank lines in front belong to it.
pub struct Block {
    /// Lines in front, as they are.
    pub head: Vec<String>,
    /// The line's number, from 1.
    pub line: usize,
    /// The line as it is; empty for comments at the end of the file.
    pub text: String,
    /// What it means.
    pub step: Step,
    /// The reply's lines.
    pub expected: Vec<String>,
}

/// What a line asks for.
pub enum Step {
    /// `> …`: the words as they stand, to be read by [`split`].
    Command(String),
    /// `@name …`: the name and its words.
    Directive(String, Vec<String>),
    /// The end of the file.
    End,
}

impl Transcript {
    /// Reads a transcript.
    ///
    /// # Panics
    /// When it cannot be read or a reply stands without a command.
    pub fn read(path: &Path) -> Transcript {
        let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut blocks: Vec<Block> = Vec::new();
        let mut head = Vec::new();
        let mut open = false; // whether reply lines may follow
        for (i, line) in text.lines().enumerate() {
            let step = if let Some(command) = line.strip_prefix("> ") {
                Step::Command(command.to_owned())
            } else if let Some(directive) = line.strip_prefix('@') {
                let mut words = directive.split_whitespace().map(str::to_owned);
                Step::Directive(words.next().unwrap_or_default(), words.collect())
            } else if line.trim().is_empty() || line.starts_with('#') {
                open = false;
                head.push(line.to_owned());
                continue;
            } else {
                let block = blocks.last_mut().filter(|_| open);
                let block = block.unwrap_or_else(|| panic!("{}:{}: a reply without a command", path.display(), i + 1));
                block.expected.push(line.to_owned());
                continue;
            };
            open = matches!(step, Step::Command(_));
            blocks.push(Block {
                head: std::mem::take(&mut head),
                line: i + 1,
                text: line.to_owned(),
                step,
                expected: vec![],
            });
        }
        blocks.push(Block { head, line: 0, text: String::new(), step: Step::End, expected: vec![] });
        Transcript { path: path.to_owned(), blocks }
    }

    /// All transcripts, in the order of their names.
    pub fn all() -> Vec<PathBuf> {
        let dir = repository().join("tests/transcripts");
        let entries = fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("a directory entry").path()).collect();
        paths.retain(|p| p.extension().is_some_and(|e| e == "txt"));
        paths.sort();
        paths
    }

    /// The words of every directive `name`.
    pub fn directives<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [String]> {
        self.blocks.iter().filter_map(move |b| match &b.step {
            Step::Directive(n, words) if n == name => Some(words.as_slice()),
            _ => None,
        })
    }

    /// The file's text, with the replies as they stand in `blocks`.
    pub fn text(&self) -> String {
        let mut lines: Vec<&str> = Vec::new();
        for block in &self.blocks {
            lines.extend(block.head.iter().map(String::as_str));
            if !matches!(block.step, Step::End) {
                lines.push(&block.text);
            }
            lines.extend(block.expected.iter().map(String::as_str));
        }
        lines.join("\n") + "\n"
    }
}

/// Whether a reply is the one expected, `(any)` standing for any text within a line, or alone for any reply.
pub fn matches(expected: &[String], actual: &[String]) -> bool {
    if let [any] = expected {
        if any == "(any)" {
            return true;
        }
    }
    expected.len() == actual.len() && expected.iter().zip(actual).all(|(e, a)| line_matches(e, a))
}

fn line_matches(expected: &str, actual: &str) -> bool {
    let Some((before, after)) = expected.split_once("(any)") else { return expected == actual };
    let Some(mut rest) = actual.strip_prefix(before) else { return false };
    let mut parts: Vec<&str> = after.split("(any)").collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The arguments of a command line, quoted as in `redis-cli`, with the three extensions at the top of this file.
///
/// # Errors
/// A sentence, when a quote is not closed, a name is not known or a file is not there.
pub fn split(line: &str, kept: &HashMap<String, Vec<u8>>) -> Result<Vec<Vec<u8>>, String> {
    let mut args = Vec::new();
    let mut rest = line.trim_start().as_bytes();
    while !rest.is_empty() {
        let (arg, after) = match rest[0] {
            quote @ (b'"' | b'\'') => quoted(rest, quote)?,
            _ => {
                let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
                (bare(&rest[..end], kept)?, &rest[end..])
            }
        };
        args.push(arg);
        if after.first().is_some_and(|c| !c.is_ascii_whitespace()) {
            return Err(format!("no space behind a closing quote: {line}"));
        }
        rest = after.trim_ascii_start();
    }
    Ok(args)
}

fn bare(word: &[u8], kept: &HashMap<String, Vec<u8>>) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(word).map_err(|e| e.to_string())?;
    if let Some(path) = text.strip_prefix('<').and_then(|t| t.strip_suffix('>')) {
        return fs::read(repository().join(path)).map_err(|e| format!("{path}: {e}"));
    }
    Ok(text.strip_prefix('$').and_then(|name| kept.get(name)).cloned().unwrap_or_else(|| word.to_vec()))
}

/// A quoted string at the start of `text`, and what stands behind it.
fn quoted(text: &[u8], quote: u8) -> Result<(Vec<u8>, &[u8]), String> {
    let mut out = Vec::new();
    let mut i = 1;
    while let Some(&c) = text.get(i) {
        i += 1;
        if c == quote {
            let (times, used) = repetition(&text[i..])?;
            return Ok((out.repeat(times), &text[i + used..]));
        }
        if c != b'\\' || (quote == b'\'' && text.get(i) != Some(&b'\'')) {
            out.push(c);
            continue;
        }
        let Some(&escape) = text.get(i) else { break };
        i += 1;
        let hex = || std::str::from_utf8(text.get(i..i + 2)?).ok().and_then(|h| u8::from_str_radix(h, 16).ok());
        out.push(match escape {
            b'x' => match hex() {
                Some(byte) => {
                    i += 2;
                    byte
                }
                None => b'x',
            },
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'a' => 0x07,
            b'b' => 0x08,
            other => other,
        });
    }
    Err(format!("a quote is not closed: {}", String::from_utf8_lossy(text)))
}

/// The number in `*123`, and how many bytes it takes; 1 where there is none.
fn repetition(text: &[u8]) -> Result<(usize, usize), String> {
    let Some(rest) = text.strip_prefix(b"*") else { return Ok((1, 0)) };
    let digits = rest.iter().take_while(|c| c.is_ascii_digit()).count();
    let number = std::str::from_utf8(&rest[..digits]).ok().and_then(|n| n.parse().ok());
    number.map(|n| (n, digits + 1)).ok_or_else(|| "no number behind *".to_owned())
}
