//! What the user asked for with `CODEC`: kept with the array, obeyed by later writes.

use super::{pco, zstd};
use crate::nd::error::{quoted, Error, Result};

/// What `auto` strives for: `ndarray.compression`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compression {
    /// To be hardly slower than no compression: LZ4.
    #[default]
    Speed,
    /// Smaller, at the cost of encoding slower: Zstandard at its fastest.
    Balanced,
    /// As small as can be, for what is written once.
    Size,
}

impl Compression {
    /// Every one.
    pub const ALL: &'static [Compression] = &[Compression::Speed, Compression::Balanced, Compression::Size];

    /// The name as `ndarray.compression` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Compression::Speed => "speed",
            Compression::Balanced => "balanced",
            Compression::Size => "size",
        }
    }
}

/// What `CODEC` says. Numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The codec and filter that suit, where they pay; raw elsewhere.
    Auto(Compression),
    /// Never encode.
    Raw,
    /// LZ4 with the filter that suits, wherever it is smaller at all.
    Lz4,
    /// Zstandard of this level, likewise.
    Zstd(u8),
    /// pco of this level, likewise.
    Pco(u8),
}

impl Default for Policy {
    fn default() -> Policy {
        Policy::Auto(Compression::Speed)
    }
}

/// The stored number of Zstandard at level 0, if there were one.
const ZSTD: u8 = 32;
/// The stored number of pco at level 0.
const PCO: u8 = 64;

/// The names that [`Policy::parse`] takes.
pub const NAMES: &str = "auto, raw, lz4, zstd[:1-19], pco[:0-12]";

impl Policy {
    /// One of each kind, levels at their default.
    pub const KINDS: &'static [Policy] = &[
        Policy::Auto(Compression::Speed),
        Policy::Auto(Compression::Balanced),
        Policy::Auto(Compression::Size),
        Policy::Raw,
        Policy::Lz4,
        Policy::Zstd(zstd::DEFAULT_LEVEL),
        Policy::Pco(pco::DEFAULT_LEVEL),
    ];

    /// Every word that `ndarray.codec` takes, and what it means; those without a level first.
    pub fn words() -> Vec<(String, Policy)> {
        let plain = Policy::KINDS.iter().filter(|p| !matches!(p, Policy::Auto(c) if *c != Compression::default()));
        let plain = plain.map(|p| (p.name().split(':').next().unwrap_or_default().to_owned(), *p));
        let levels = (1..=zstd::MAX_LEVEL).map(Policy::Zstd).chain((0..=pco::MAX_LEVEL).map(Policy::Pco));
        plain.chain(levels.map(|p| (p.name(), p))).collect()
    }

    /// The name as `CODEC` takes it, with the level where there is one.
    pub fn name(self) -> String {
        match self {
            Policy::Auto(_) => "auto".into(),
            Policy::Raw => "raw".into(),
            Policy::Lz4 => "lz4".into(),
            Policy::Zstd(level) => format!("zstd:{level}"),
            Policy::Pco(level) => format!("pco:{level}"),
        }
    }

    /// Reads a name, any case. `auto` strives for `compression`.
    ///
    /// # Errors
    /// `SYNTAX` with the list of names, `VALUE` for a level out of range.
    pub fn parse(text: &[u8], compression: Compression) -> Result<Policy> {
        let lower = text.to_ascii_lowercase();
        let name = std::str::from_utf8(&lower).unwrap_or_default();
        let (name, level) = name.split_once(':').map_or((name, None), |(name, level)| (name, Some(level)));
        let level_of = |default: u8, least: u8, most: u8| match level {
            None => Ok(default),
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|n| (least..=most).contains(n) && digits.bytes().all(|b| b.is_ascii_digit()))
                .ok_or_else(|| {
                    let digits = quoted(digits.as_bytes());
                    Error::value(format!("'{digits}' is no level of {name} (use {least} to {most})"))
                }),
        };
        match name {
            "auto" if level.is_none() => Ok(Policy::Auto(compression)),
            "raw" if level.is_none() => Ok(Policy::Raw),
            "lz4" if level.is_none() => Ok(Policy::Lz4),
            "zstd" => Ok(Policy::Zstd(level_of(zstd::DEFAULT_LEVEL, 1, zstd::MAX_LEVEL)?)),
            "pco" => Ok(Policy::Pco(level_of(pco::DEFAULT_LEVEL, 0, pco::MAX_LEVEL)?)),
            _ => Err(Error::syntax(format!("unknown codec '{}' (use one of: {NAMES})", quoted(text)))),
        }
    }

    /// How large chunks are made where chunks of `target` bytes are wanted and no `CHUNK` is given.
    ///
    /// Where size is all that counts they are larger: pco learns more from more numbers.
    pub fn chunk_bytes(self, target: usize) -> usize {
        match self {
            Policy::Auto(Compression::Size) => target.saturating_mul(16).min(1 << 20).max(target),
            _ => target,
        }
    }

    /// The stored number.
    pub fn code(self) -> u8 {
        match self {
            Policy::Auto(Compression::Speed) => 0,
            Policy::Raw => 1,
            Policy::Lz4 => 2,
            Policy::Auto(Compression::Balanced) => 3,
            Policy::Auto(Compression::Size) => 4,
            Policy::Zstd(level) => ZSTD + level,
            Policy::Pco(level) => PCO + level,
        }
    }

    /// The policy of a stored number.
    pub fn from_code(code: u8) -> Option<Policy> {
        match code {
            0 => Some(Policy::Auto(Compression::Speed)),
            1 => Some(Policy::Raw),
            2 => Some(Policy::Lz4),
            3 => Some(Policy::Auto(Compression::Balanced)),
            4 => Some(Policy::Auto(Compression::Size)),
            n => {
                let level = |first: u8| n.checked_sub(first);
                let zstd = level(ZSTD).filter(|l| (1..=zstd::MAX_LEVEL).contains(l)).map(Policy::Zstd);
                zstd.or_else(|| level(PCO).filter(|l| *l <= pco::MAX_LEVEL).map(Policy::Pco))
            }
        }
    }
}
