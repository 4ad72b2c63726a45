//! A Redis client that costs as little as a client can.
//!
//! Requests are bytes prepared before the clock starts; replies are read into one buffer that is reused, counted,
//! checked for errors, nils and length, and dropped. A benchmark that needs the contents asks for them with
//! [`Client::keep`]: then they are read straight into a second buffer that is reused as well, so that the client
//! takes no page faults the server would be blamed for.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The read buffer: large enough for few system calls, small enough to stay in a core's own cache.
const READ_BUFFER: usize = 256 << 10;

/// Bulk strings shorter than this are names (dtypes, fields), and never kept: what is kept is values alone.
const NAME: usize = 16;

/// A server that has not answered for this long is taken for hung.
const PATIENCE: Duration = Duration::from_secs(120);

/// A socket of either kind.
pub trait Socket: Read + Write + Send {
    /// Whether reads and writes that cannot go on answer at once.
    fn set_nonblocking(&self, yes: bool) -> io::Result<()>;
}

impl Socket for TcpStream {
    fn set_nonblocking(&self, yes: bool) -> io::Result<()> {
        TcpStream::set_nonblocking(self, yes)
    }
}

impl Socket for UnixStream {
    fn set_nonblocking(&self, yes: bool) -> io::Result<()> {
        UnixStream::set_nonblocking(self, yes)
    }
}

/// Calls `attempt` until it can go on, spinning: a client that sleeps on another core must be woken, and the server pays
/// for that, in a deep pipeline of 512 B more than for the command itself.
fn spin<R>(mut attempt: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    let mut since = None;
    loop {
        match attempt() {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
        if since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // About a microsecond between looks, so that the socket's lock is free for the server.
        (0..32).for_each(|_| std::hint::spin_loop());
    }
}

/// Prepared requests: bytes, cut into parts that are each sent whole.
///
/// Without pipelining a part is one command, and its reply is read before the next is sent. A pipeline is cut into
/// several parts, all of them under way at any time, so that the server never waits. (Sending 512 SETs of 512 B and then
/// reading 512 replies left it idle for half the time; in two parts of 140 KB, TCP's window did. A shallow pipeline is
/// one of large values, for which two parts are enough and more cost the client twice the time.)
#[derive(Default)]
pub struct Traffic {
    bytes: Vec<u8>,
    /// Where a part stands in `bytes`, and how many commands it holds.
    cuts: Vec<(Range<usize>, usize)>,
    /// Commands since the last cut.
    pending: usize,
    /// Parts that are sent before the first part's replies are read, beyond that part.
    ahead: usize,
}

impl Traffic {
    /// No requests yet.
    pub fn new() -> Traffic {
        Traffic::default()
    }

    /// Adds one command to the part being filled.
    pub fn add(&mut self, args: &[&[u8]]) {
        // Writing into a Vec cannot fail.
        let _ = write!(self.bytes, "*{}\r\n", args.len());
        for arg in args {
            let _ = write!(self.bytes, "${}\r\n", arg.len());
            self.bytes.extend_from_slice(arg);
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.pending += 1;
    }

    /// Ends the part being filled: it is sent whole, then its replies are read.
    pub fn cut(&mut self) {
        if self.pending > 0 {
            let start = self.cuts.last().map_or(0, |(range, _)| range.end);
            self.cuts.push((start..self.bytes.len(), self.pending));
            self.pending = 0;
        }
    }

    /// One command, alone.
    pub fn one(args: &[&[u8]]) -> Traffic {
        let mut traffic = Traffic::new();
        traffic.add(args);
        traffic.cut();
        traffic
    }

    /// `n` commands, the i-th made by `make`, with at most `depth` under way.
    pub fn pipelined(n: usize, depth: usize, mut make: impl FnMut(usize, &mut Traffic)) -> Traffic {
        let parts = match depth {
            0 | 1 => 1,
            2..64 => 2,
            _ => 8,
        };
        let mut traffic = Traffic { ahead: parts - 1, ..Traffic::new() };
        for i in 0..n {
            make(i, &mut traffic);
            if traffic.pending >= (depth / parts).max(1) {
                traffic.cut();
            }
        }
        traffic.cut();
        traffic
    }
}

/// What the replies to some requests came to.
#[derive(Debug, Default)]
pub struct Tally {
    /// Bytes in bulk strings.
    pub bytes: usize,
    /// Nils.
    pub nils: usize,
    /// The first error reply.
    pub error: Option<String>,
}

/// One connection.
pub struct Client {
    socket: Box<dyn Socket>,
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    keeping: bool,
    kept: Vec<u8>,
    kept_len: usize,
}

impl Client {
    /// Connects over TCP.
    pub fn tcp(port: u16) -> io::Result<Client> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Client::over(Box::new(socket)))
    }

    /// Connects over a unix socket.
    pub fn unix(path: &std::path::Path) -> io::Result<Client> {
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Client::over(Box::new(socket)))
    }

    fn over(socket: Box<dyn Socket>) -> Client {
        Client {
            socket,
            buffer: vec![0; READ_BUFFER].into_boxed_slice(),
            at: 0,
            end: 0,
            keeping: false,
            kept: Vec::new(),
            kept_len: 0,
        }
    }

    /// From now on the contents of bulk strings of 16 bytes and more are kept (or dropped).
    pub fn keep(&mut self, yes: bool) {
        self.keeping = yes;
    }

    /// The bulk strings of the last part's replies, one after the other, if they were kept.
    pub fn kept(&self) -> &[u8] {
        &self.kept[..self.kept_len]
    }

    /// Sends everything that many times and reads the replies; `each` runs after every part, if contents are kept.
    pub fn run(&mut self, traffic: &Traffic, times: usize, each: impl FnMut(&[u8])) -> io::Result<Tally> {
        self.socket.set_nonblocking(traffic.ahead > 1)?;
        let outcome = self.exchange(traffic, times, each);
        self.socket.set_nonblocking(false)?;
        outcome
    }

    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let sent = spin(|| self.socket.write(bytes))?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    fn exchange(&mut self, traffic: &Traffic, times: usize, mut each: impl FnMut(&[u8])) -> io::Result<Tally> {
        let mut tally = Tally::default();
        let mut unsent = (0..times).flat_map(|_| &traffic.cuts);
        for (range, _) in unsent.by_ref().take(traffic.ahead) {
            self.send(&traffic.bytes[range.clone()])?;
        }
        for (_, replies) in (0..times).flat_map(|_| &traffic.cuts) {
            if let Some((range, _)) = unsent.next() {
                self.send(&traffic.bytes[range.clone()])?;
            }
            self.kept_len = 0;
            for _ in 0..*replies {
                self.reply(&mut tally)?;
            }
            if self.keeping {
                each(&self.kept[..self.kept_len]);
            }
        }
        Ok(tally)
    }

    /// Runs one command and answers its bulk strings as text.
    ///
    /// # Errors
    /// What the connection says, or the server's own error.
    pub fn text(&mut self, args: &[&str]) -> io::Result<String> {
        let args: Vec<&[u8]> = args.iter().map(|a| a.as_bytes()).collect();
        let was = std::mem::replace(&mut self.keeping, true);
        let done = self.run(&Traffic::one(&args), 1, |_| {});
        self.keeping = was;
        match done?.error {
            Some(error) => Err(io::Error::other(error)),
            None => Ok(String::from_utf8_lossy(self.kept()).into_owned()),
        }
    }

    /// Reads one reply, nested ones included.
    fn reply(&mut self, tally: &mut Tally) -> io::Result<()> {
        let line = self.line()?;
        let (kind, rest) = match self.buffer[line.clone()].split_first() {
            Some((kind, rest)) => (*kind, rest),
            None => return Err(protocol("an empty line")),
        };
        match kind {
            b'+' | b':' | b',' | b'#' | b'(' => {}
            b'_' => tally.nils += 1,
            b'-' => {
                if tally.error.is_none() {
                    tally.error = Some(printable(rest));
                }
            }
            b'$' | b'=' => match length(rest)? {
                None => tally.nils += 1,
                Some(len) => {
                    tally.bytes += len;
                    self.bulk(len)?;
                }
            },
            b'*' | b'~' | b'%' | b'>' => match length(rest)? {
                None => tally.nils += 1,
                Some(len) => {
                    for _ in 0..if kind == b'%' { len * 2 } else { len } {
                        self.reply(tally)?;
                    }
                }
            },
            other => return Err(protocol(&format!("a reply of the unknown kind '{}'", char::from(other)))),
        }
        Ok(())
    }

    /// Where the next line stands in the buffer, without its end.
    fn line(&mut self) -> io::Result<Range<usize>> {
        let mut seen = self.at;
        loop {
            if let Some(n) = self.buffer[seen..self.end].iter().position(|&c| c == b'\n') {
                let start = self.at;
                self.at = seen + n + 1;
                return Ok(start..(seen + n).saturating_sub(1).max(start));
            }
            seen = self.end - self.at; // moved with the bytes to the front
            self.fill()?;
        }
    }

    /// Passes over one bulk string and its end, keeping it if asked to.
    fn bulk(&mut self, len: usize) -> io::Result<()> {
        let mut left = len;
        if self.keeping && len >= NAME {
            let here = left.min(self.end - self.at);
            if self.kept.len() < self.kept_len + len {
                self.kept.resize(self.kept_len + len, 0);
            }
            let room = &mut self.kept[self.kept_len..self.kept_len + len];
            room[..here].copy_from_slice(&self.buffer[self.at..self.at + here]);
            let mut rest = &mut room[here..];
            while !rest.is_empty() {
                let n = spin(|| self.socket.read(rest))?;
                if n == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                rest = &mut rest[n..];
            }
            self.kept_len += len;
            self.at += here;
            left = 0;
        }
        left += 2; // the end of line
        loop {
            let here = left.min(self.end - self.at);
            self.at += here;
            left -= here;
            if left == 0 {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Reads more, after moving what is unread to the front.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.at..self.end, 0);
        self.end -= self.at;
        self.at = 0;
        if self.end == self.buffer.len() {
            return Err(protocol("a line longer than the read buffer"));
        }
        match spin(|| self.socket.read(&mut self.buffer[self.end..]))? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")),
            n => {
                self.end += n;
                Ok(())
            }
        }
    }
}

/// The length in a reply's head; `None` for -1, a nil.
fn length(digits: &[u8]) -> io::Result<Option<usize>> {
    if digits == b"-1" {
        return Ok(None);
    }
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or_else(|| protocol("a length that is no number"))
}

/// An error reply as it is shown: one line without the arguments' bytes, and not too long.
fn printable(error: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(error).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn protocol(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server's reply has {what}"))
}
