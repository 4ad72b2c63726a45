//! One connection to a test server.

use std::io::{BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::resp::{decode, encode, Value};

/// The longest a reply may take; far above any honest one, so that a hanging server fails a test and not the run.
const PATIENCE: Duration = Duration::from_secs(120);

/// Commands sent before the first reply of a batch is read.
const BATCH: usize = 1000;

/// A connection. Every reply is a [`Value`], errors too; a connection that breaks panics with the server's log.
pub struct Client {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    log: PathBuf,
}

/// Sends one command and answers its reply: `cmd!(client, "SET", key, &bytes)`. Arguments are anything that is
/// `AsRef<[u8]>`, of different types in one call.
#[macro_export]
macro_rules! cmd {
    ($client:expr, $($arg:expr),+ $(,)?) => {
        $client.call(&[$(::std::convert::AsRef::<[u8]>::as_ref(&$arg)),+])
    };
}

impl Client {
    /// Connects over the unix socket `path`; `log` is shown should the connection break.
    pub(super) fn connect(path: &Path, log: &Path) -> std::io::Result<Client> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let reader = BufReader::with_capacity(1 << 16, stream.try_clone()?);
        Ok(Client { stream, reader, log: log.to_owned() })
    }

    /// Sends one command and answers its reply.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        let mut out = Vec::new();
        encode(args, &mut out);
        self.send_raw(&out);
        self.read()
    }

    /// Sends one command and answers its reply; panics when that is an error.
    pub fn ok<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        let reply = self.call(args);
        if let Some(error) = reply.error() {
            let shown: Vec<_> =
                args.iter().map(|a| super::resp::quote(&a.as_ref()[..a.as_ref().len().min(60)])).collect();
            panic!("{} answered {error}", shown.join(" "));
        }
        reply
    }

    /// Sends commands in batches without waiting for each reply, and answers all replies in order.
    pub fn pipeline<A: AsRef<[u8]>>(&mut self, commands: &[Vec<A>]) -> Vec<Value> {
        let mut replies = Vec::with_capacity(commands.len());
        let mut out = Vec::new();
        for batch in commands.chunks(BATCH) {
            out.clear();
            for command in batch {
                encode(command, &mut out);
            }
            self.send_raw(&out);
            replies.extend(batch.iter().map(|_| self.read()));
        }
        replies
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        if let Err(e) = self.stream.write_all(bytes) {
            self.broken(&e);
        }
    }

    /// Reads one reply; for replies to [`Client::send_raw`] and for pushed messages.
    pub fn read(&mut self) -> Value {
        decode(&mut self.reader).unwrap_or_else(|e| self.broken(&e))
    }

    /// Answers the reply of one command, or `None` where the connection breaks: for commands that end the server.
    pub fn try_call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Option<Value> {
        let mut out = Vec::new();
        encode(args, &mut out);
        self.stream.write_all(&out).ok()?;
        decode(&mut self.reader).ok()
    }

    /// Whether the server answers PING; false when the connection is broken.
    pub fn ping(&mut self) -> bool {
        self.try_call(&["PING"]).is_some_and(|v| v == Value::Simple("PONG".into()))
    }

    /// Switches the connection to RESP2 or RESP3.
    pub fn hello(&mut self, version: u8) {
        self.ok(&["HELLO", &version.to_string()]);
    }

    /// The value bytes, RDB version and checksum of a key, as RESTORE takes them.
    pub fn dump(&mut self, key: &str) -> Vec<u8> {
        self.ok(&["DUMP", key]).bytes().to_vec()
    }

    /// One field of INFO.
    pub fn info(&mut self, section: &str, field: &str) -> Option<String> {
        let text = self.ok(&["INFO", section]).text();
        text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':').map(str::to_owned))
    }

    /// Sends `RESTORE key 0 payload REPLACE` for every payload, pipelined, and answers the replies in order. After each
    /// batch the server must still answer PING.
    pub fn restore_many<'a>(&mut self, key: &str, payloads: impl IntoIterator<Item = &'a [u8]>) -> Vec<Value> {
        let mut replies = Vec::new();
        let mut payloads = payloads.into_iter().peekable();
        while payloads.peek().is_some() {
            let mut out = Vec::new();
            let mut sent = 0;
            for payload in payloads.by_ref().take(BATCH) {
                encode(&[b"RESTORE", key.as_bytes(), b"0", payload, b"REPLACE"], &mut out);
                sent += 1;
            }
            self.send_raw(&out);
            replies.extend((0..sent).map(|_| self.read()));
            assert!(self.ping(), "the server no longer answers PING\n{}", super::log_tail(&self.log));
        }
        replies
    }

    fn broken(&self, why: &std::io::Error) -> ! {
        let _ = self.stream.shutdown(Shutdown::Both);
        panic!("the connection broke: {why}\n{}", super::log_tail(&self.log));
    }
}
