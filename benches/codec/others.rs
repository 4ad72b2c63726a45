//! The other libraries: a Python process that is asked for one pass at a time.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::{Pass, Set};

/// `compare.py`, running.
pub struct Others {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Others {
    /// Starts it over the data sets in `folder`.
    pub fn start(python: &Path, folder: &Path, chunk_bytes: usize) -> Result<Others, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/codec/compare.py");
        let mut child = Command::new(python)
            .args([script.as_os_str(), folder.as_os_str()])
            .arg(chunk_bytes.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{}: {e}", python.display()))?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("compare.py has no pipes".into());
        };
        Ok(Others { child, to, from: BufReader::new(from) })
    }

    fn ask(&mut self, line: &str) -> Result<String, String> {
        let mut answer = String::new();
        writeln!(self.to, "{line}")
            .and_then(|()| self.to.flush())
            .and_then(|()| self.from.read_line(&mut answer))
            .map_err(|e| format!("compare.py: {e}"))?;
        match answer.trim() {
            "" => Err("compare.py ended; its words are above (`make bench-codec` installs what it needs)".into()),
            text => Ok(text.to_owned()),
        }
    }

    /// One pass of `side` over a set.
    pub fn pass(&mut self, side: &str, set: &Set) -> Result<Pass, String> {
        let answer = self.ask(&format!("{side} {} {}", set.name, set.dtype.itemsize()))?;
        let numbers: Vec<f64> = answer.split(' ').filter_map(|n| n.parse().ok()).collect();
        match numbers[..] {
            [stored, encode, decode] => Ok(Pass { stored: stored as usize, encode, decode }),
            _ => Err(format!("compare.py answered '{answer}'")),
        }
    }

    /// The libraries and their versions.
    pub fn versions(&mut self) -> Result<String, String> {
        self.ask("versions")
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
