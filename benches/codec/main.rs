//! The codec benchmark: ratio and speed of the chunk codecs against blosc2, lz4 and zlib, on arrays that stand for real use.
//!
//! `datasets.py` makes the same bytes for all from one seed, `compare.py` runs the other libraries, this program ours.
//! Sides take turns, one thread each; the best pass of each counts, so that other work on the machine spoils little.

mod others;
mod page;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use redis_ndarray::nd::chunk::Chunk;
use redis_ndarray::nd::codec::{Chooser, Compression, Policy};
use redis_ndarray::nd::dtype::Dtype;

use others::Others;

const HELP: &str = "\
Compares the chunk codecs with blosc2, lz4 and zlib on generated arrays.

  --only TEXT     only data sets whose name holds TEXT
  --chunk N       bytes of a chunk (default 131072)
  --mib N         MiB of each data set (default 8)
  --rounds N      passes of each side, of which the best counts (default 5)
  --quick         one pass over 1 MiB each: to see that everything runs
  --alone         only our codecs: needs no Python packages but numpy and ml_dtypes
  --write         write docs/CODECS.md
  --python FILE   the Python to use (default .venv/bin/python)";

/// One array of the benchmark.
pub struct Set {
    name: String,
    dtype: Dtype,
    what: String,
}

/// What one pass over one set took.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    stored: usize,
    encode: f64,
    decode: f64,
}

/// One side: a way to encode chunks.
pub enum Side {
    Ours(&'static str, Policy),
    Theirs(&'static str, &'static str),
}

impl Side {
    fn name(&self) -> &'static str {
        match self {
            Side::Ours(name, _) | Side::Theirs(name, _) => name,
        }
    }
}

/// What is compared; the first of theirs is what all others are measured by.
const SIDES: &[Side] = &[
    Side::Ours("`auto`, `speed`", Policy::Auto(Compression::Speed)),
    Side::Ours("`auto`, `balanced`", Policy::Auto(Compression::Balanced)),
    Side::Ours("`auto`, `size`", Policy::Auto(Compression::Size)),
    Side::Ours("`lz4`", Policy::Lz4),
    Side::Ours("`zstd:1`", Policy::Zstd(1)),
    Side::Ours("`zstd`", Policy::Zstd(3)),
    Side::Ours("`pco`", Policy::Pco(8)),
    Side::Theirs("blosc2: zstd 5, shuffle", "blosc2"),
    Side::Theirs("blosc2: zstd 5, bitshuffle", "blosc2-bits"),
    Side::Theirs("lz4 alone", "lz4"),
    Side::Theirs("zlib alone", "zlib"),
];

struct Options {
    only: Vec<String>,
    chunk: usize,
    mib: usize,
    rounds: usize,
    alone: bool,
    write: bool,
    python: PathBuf,
}

fn main() -> ExitCode {
    let outcome = parse(std::env::args().skip(1)).and_then(|options| options.map_or(Ok(()), |o| run(&o)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut options = Options {
        only: Vec::new(),
        chunk: 128 << 10,
        mib: 8,
        rounds: 5,
        alone: false,
        write: false,
        python: root.join(".venv/bin/python"),
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value (see --help)"));
        let number = |text: String| text.parse().map_err(|_| format!("'{text}' is no number"));
        match arg.as_str() {
            "--help" => {
                println!("{HELP}");
                return Ok(None);
            }
            "--only" => options.only.push(value()?),
            "--chunk" => options.chunk = number(value()?)?,
            "--mib" => options.mib = number(value()?)?,
            "--rounds" => options.rounds = number(value()?)?,
            "--quick" => (options.mib, options.rounds) = (1, 1),
            "--alone" => options.alone = true,
            "--write" => options.write = true,
            "--python" => options.python = value()?.into(),
            "--bench" => {} // cargo's own
            other => return Err(format!("unknown argument '{other}' (see --help)")),
        }
    }
    Ok(Some(options))
}

fn run(options: &Options) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|e| format!("a folder for the data sets: {e}"))?;
    let sets = make_sets(options, folder.path())?;
    let mut others =
        if options.alone { None } else { Some(Others::start(&options.python, folder.path(), options.chunk)?) };
    let mut rows = Vec::new();
    for set in sets.iter().filter(|s| options.only.is_empty() || options.only.iter().any(|o| s.name.contains(o))) {
        let path = folder.path().join(format!("{}.bin", set.name));
        let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let mut best: Vec<Option<Pass>> = SIDES.iter().map(|_| None).collect();
        for _ in 0..options.rounds {
            for (side, best) in SIDES.iter().zip(&mut best) {
                let pass = match (side, &mut others) {
                    (Side::Ours(_, policy), _) => ours(*policy, set.dtype, &bytes, policy.chunk_bytes(options.chunk))?,
                    (Side::Theirs(_, name), Some(others)) => others.pass(name, set)?,
                    (Side::Theirs(..), None) => continue,
                };
                let before = best.unwrap_or(pass);
                *best = Some(Pass {
                    stored: pass.stored,
                    encode: pass.encode.min(before.encode),
                    decode: pass.decode.min(before.decode),
                });
            }
        }
        eprintln!("{}", page::line(set, &best, bytes.len()));
        rows.push((set, bytes.len(), best));
    }
    let versions = others.as_mut().map_or(Ok(String::new()), Others::versions)?;
    let text = page::page(&rows, options.chunk, options.mib, &versions);
    if options.write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CODECS.md");
        std::fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    } else {
        println!("{text}");
    }
    Ok(())
}

/// Runs `datasets.py`, and reads its index.
fn make_sets(options: &Options, folder: &Path) -> Result<Vec<Set>, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/codec/datasets.py");
    let done = Command::new(&options.python)
        .args([script.as_os_str(), folder.as_os_str()])
        .arg(options.mib.to_string())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .status()
        .map_err(|e| format!("{}: {e} (`make bench-codec` installs it)", options.python.display()))?;
    if !done.success() {
        return Err("datasets.py failed".into());
    }
    let index = std::fs::read_to_string(folder.join("index.tsv")).map_err(|e| format!("index.tsv: {e}"))?;
    let set = |line: &str| {
        let mut fields = line.split('\t').map(str::to_owned);
        let (name, dtype, what) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Set { name, dtype: Dtype::parse(dtype.as_bytes()).ok()?.0, what })
    };
    index.lines().map(|line| set(line).ok_or_else(|| format!("index.tsv: '{line}'"))).collect()
}

/// Our codecs as a new array runs through them: sampled as a whole, each chunk encoded, stored and checksummed; then each
/// chunk decoded into one buffer.
fn ours(policy: Policy, dtype: Dtype, bytes: &[u8], chunk_bytes: usize) -> Result<Pass, String> {
    let start = Instant::now();
    let chooser = Chooser::new(policy, dtype, bytes.len(), |at, len| bytes.get(at..at + len));
    let chunks: Result<Vec<Chunk>, _> = bytes.chunks(chunk_bytes).map(|c| Chunk::encode(c, &chooser)).collect();
    let chunks = chunks.map_err(|e| e.to_string())?;
    let encode = start.elapsed().as_secs_f64();
    let mut out = vec![0; chunk_bytes];
    let start = Instant::now();
    for (chunk, elements) in chunks.iter().zip(bytes.chunks(chunk_bytes)) {
        chunk.decode_into(0, dtype.itemsize(), &mut out[..elements.len()]).map_err(|e| e.to_string())?;
    }
    let decode = start.elapsed().as_secs_f64();
    for (chunk, elements) in chunks.iter().zip(bytes.chunks(chunk_bytes)) {
        chunk.decode_into(0, dtype.itemsize(), &mut out[..elements.len()]).map_err(|e| e.to_string())?;
        if out[..elements.len()] != *elements {
            return Err(format!("{policy:?} does not give back what it was given"));
        }
    }
    Ok(Pass { stored: chunks.iter().map(|c| c.stored_bytes().len()).sum(), encode, decode })
}
