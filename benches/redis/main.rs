//! The benchmark suite: the module's commands against what one would do on plain Redis keys, on a real server.
//!
//! ```text
//! cargo bench --bench redis -- [--only TEXT]... [--list] [--quick] [--write | --write-to FILE] [--module FILE |
//!     --no-module] [--floor FILE] [--server FILE] [--unix] [--dir FOLDER] [--rounds N] [--round-ms N]
//! ```
//!
//! `rows` is the table of contents, `measure` says how two sides are compared, `report` what is shown.

mod client;
mod latency;
mod measure;
mod memory;
mod report;
mod rows;
mod server;
mod system;
mod values;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use measure::{measure, Effort};
use report::{Conditions, Numbers, Outcome};
use rows::{Kind, Row, Scale, Target, Unit};
use server::{Server, Settings};
use system::Others;

const LIBRARY: &str = "libredis_ndarray.so";

/// The module that does nothing, of benches/floor.rs.
const FLOOR: &str = "libfloor.so";

/// Cores' worth of other work that still counts as a quiet machine.
const QUIET: f64 = 0.1;

const HELP: &str = "\
Compares the module's commands with what one would do on plain Redis keys, on private servers.

  --only TEXT       only rows whose name holds TEXT (may be repeated: any of them)
  --list            the rows' names, and nothing else
  --quick           two short rounds of small sizes: to see that everything runs, not to measure
  --rounds N        rounds per row (default 11)
  --round-ms N      the least milliseconds a side runs in a round (default 50)
  --write           write docs/BENCHMARKS.md (all rows only)
  --write-to FILE   write the same page elsewhere (any rows)
  --module FILE     the module (default: the one built with this program)
  --no-module       load no module; rows that need it fail
  --floor FILE      the module of benches/floor.rs (default: the one built with this program)
  --server FILE     the server's binary (default: $REDIS_SERVER, or redis-server in the PATH)
  --unix            connect over a unix socket (default: loopback TCP)
  --dir FOLDER      where the servers keep their files (default: the folder for temporary files)

Ends with 1 if a row failed; a missed target is no failure.";

/// The command line.
struct Options {
    only: Vec<String>,
    list: bool,
    scale: Scale,
    rounds: Option<usize>,
    round_ms: Option<u64>,
    write: Option<PathBuf>,
    settings: Settings,
    plain: bool,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why} (see --help)");
            return ExitCode::from(2);
        }
    };
    match run(options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// The options; `None` if the help was all that was asked for.
fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options {
        only: Vec::new(),
        list: false,
        scale: Scale::Full,
        rounds: None,
        round_ms: None,
        write: None,
        settings: Settings {
            binary: std::env::var_os("REDIS_SERVER").map_or_else(|| "redis-server".into(), PathBuf::from),
            module: None,
            floor: None,
            unix: false,
            dir: std::env::temp_dir(),
            cores: None,
        },
        plain: false,
    };
    let mut whole_page = false;
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match arg.as_str() {
            "--only" => options.only.push(value()?),
            "--list" => options.list = true,
            "--quick" => options.scale = Scale::Quick,
            "--rounds" => options.rounds = Some(number(&arg, &value()?)?),
            "--round-ms" => options.round_ms = Some(number(&arg, &value()?)?),
            "--write" => {
                whole_page = true;
                options.write = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/BENCHMARKS.md"));
            }
            "--write-to" => options.write = Some(value()?.into()),
            "--module" => options.settings.module = Some(value()?.into()),
            "--no-module" => options.plain = true,
            "--floor" => options.settings.floor = Some(value()?.into()),
            "--server" => options.settings.binary = value()?.into(),
            "--unix" => options.settings.unix = true,
            "--dir" => options.settings.dir = value()?.into(),
            "--help" => {
                println!("{HELP}");
                return Ok(None);
            }
            "--bench" => {} // cargo's own
            other => return Err(format!("unknown option '{other}'")),
        }
    }
    if whole_page && (!options.only.is_empty() || options.scale == Scale::Quick) {
        return Err("--write is for all rows at full size; use --write-to for others".to_string());
    }
    Ok(Some(options))
}

fn number<T: std::str::FromStr>(option: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{option} needs a whole number, not '{text}'"))
}

/// Measures and shows the rows that were asked for; answers how many failed.
fn run(options: Options) -> Result<usize, String> {
    let Options { only, list, scale, rounds, round_ms, write, mut settings, plain } = options;
    let mut rows = rows::all(scale);
    rows.retain(|row| only.is_empty() || only.iter().any(|text| row.id.contains(text.as_str())));
    if list {
        rows.iter().for_each(|row| println!("{}", row.id));
        return Ok(0);
    }
    if rows.is_empty() {
        return Err("no row has that in its name (see --list)".to_string());
    }
    settings.module = match (plain, settings.module) {
        (true, _) => None,
        (false, Some(module)) => Some(module.canonicalize().map_err(|e| format!("{}: {e}", module.display()))?),
        (false, None) => Some(built(LIBRARY).ok_or_else(|| not_built(LIBRARY, "--module"))?),
    };
    let needs_floor = rows.iter().any(|row| row.id.starts_with(rows::floor::ID));
    settings.floor = match settings.floor {
        Some(floor) => Some(floor.canonicalize().map_err(|e| format!("{}: {e}", floor.display()))?),
        None if needs_floor => Some(built(FLOOR).ok_or_else(|| not_built(FLOOR, "--floor"))?),
        None => None,
    };
    let cores = system::cores().map_err(|e| e.to_string())?;
    if let [first, .., last] = cores[..] {
        settings.cores = Some((first, last));
        system::pin(first).map_err(|e| format!("cannot keep to core {first}: {e}"))?;
    }
    let (default_rounds, default_ms) = if scale == Scale::Full { (11, 50) } else { (2, 2) };
    let effort = Effort {
        rounds: rounds.unwrap_or(default_rounds).max(1),
        round: Duration::from_millis(round_ms.unwrap_or(default_ms)),
    };
    let mut conditions = conditions(&settings, &effort, cores.len())?;
    let Conditions { server, module, cores, transport, rounds, .. } = &conditions;
    println!("{server}; {module}; {cores}; {transport}; {rounds}\n\n{}", report::head());
    let others = Others::watch().map_err(|e| e.to_string())?;
    let mut outcomes = Vec::with_capacity(rows.len());
    for mut row in rows {
        if scale == Scale::Quick {
            row.target = Target::None; // the targets are for full sizes and enough rounds
        }
        let outcome = measure_row(row, &settings, &effort);
        println!("{}", report::line(&outcome));
        outcomes.push(outcome);
    }
    let others = others.cores().map_err(|e| e.to_string())?;
    conditions.others = format!("{others:.2} cores' worth of time on average");
    println!("\n{}\nother processes took {}", report::summary(&outcomes), conditions.others);
    if others > QUIET {
        println!("WARNING: the machine was not quiet; believe the cpu column before the ratio, and measure again");
    }
    if let Some(path) = write {
        std::fs::write(&path, report::markdown(&outcomes, &conditions))
            .map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(outcomes.iter().filter(|outcome| outcome.numbers.is_err()).count())
}

fn measure_row(row: Row, settings: &Settings, effort: &Effort) -> Outcome {
    let Row { section, id, target, unit, kind } = row;
    let (names, numbers) = match kind {
        Kind::Timed(make) => {
            let mut pair = make();
            let measured = measure(&mut pair, settings, effort);
            let of = |ops: usize, bytes: usize| match unit {
                Unit::Bytes => bytes as f64,
                Unit::Operations | Unit::PerKey | Unit::Wait => ops as f64,
            };
            let (ours, theirs) = (of(pair.ours.ops, pair.ours.bytes), of(pair.theirs.ops, pair.theirs.bytes));
            ((pair.ours.name, pair.theirs.name), measured.map(|measured| Numbers::timed(measured, ours, theirs)))
        }
        Kind::Memory(keys, make) => {
            let (ours, theirs) = make();
            let measured = memory::per_key(&ours, keys, settings)
                .and_then(|a| Ok(Numbers::once(a, memory::per_key(&theirs, keys, settings)?)));
            ((ours.name, theirs.name), measured)
        }
        Kind::Crowd(make) => {
            let crowd = make();
            let measured = latency::measure(&crowd, settings).map(|(with, without)| Numbers::once(with, without));
            ((crowd.name.to_string(), "the same without workers".to_string()), measured)
        }
    };
    Outcome { section, id, target, unit, names, numbers }
}

/// A library that cargo built beside this program (which stands in `deps`), one folder up, or among the examples there.
fn built(library: &str) -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let folders = program.ancestors().skip(1).take(2);
    folders.flat_map(|folder| [folder.join(library), folder.join("examples").join(library)]).find(|path| path.exists())
}

fn not_built(library: &str, option: &str) -> String {
    format!("no {library} beside this program: build it (`make bench` does), or name it with {option}")
}

/// Starts a server once, to see that it can be and what it calls itself.
fn conditions(settings: &Settings, effort: &Effort, cores: usize) -> Result<Conditions, String> {
    let mut server = Server::start(settings).map_err(|e| e.to_string())?;
    // Valkey keeps redis_version for old clients and tells its own name and version in fields of its own.
    let name = match (server.info("server", "server_name"), server.info("server", "valkey_version")) {
        (Ok(_), Ok(version)) => format!("Valkey {version}"),
        _ => format!("Redis {}", server.info("server", "redis_version").map_err(|e| e.to_string())?),
    };
    let loaded = server.client.text(&["INFO", "modules"]).map_err(|e| e.to_string())?;
    let module = loaded.lines().find_map(|line| line.strip_prefix("module:name=")).map_or_else(
        || "no module".to_string(),
        |line| {
            let mut fields = line.split(',');
            let name = fields.next().unwrap_or_default();
            let version = fields.find_map(|field| field.strip_prefix("ver=")).unwrap_or("?");
            format!("{name} {} (version {version} to the server)", env!("CARGO_PKG_VERSION"))
        },
    );
    let cores = match settings.cores {
        Some(_) => format!("{cores} cores, client and server each pinned to one of their own"),
        None => "one core for client and server: round trips and ratios are not comparable".to_string(),
    };
    let transport = if settings.unix { "a unix socket" } else { "loopback TCP" }.to_string();
    let rounds = format!(
        "{} per row, alternating, at least {} ms a side (rows that need a reset before each pass: one pass a round)",
        effort.rounds,
        effort.round.as_millis()
    );
    Ok(Conditions { server: name, module, cores, transport, rounds, others: String::new() })
}
