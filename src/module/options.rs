//! The options that `ND.SET` and its siblings share: existence, expiry, storage, digest conditions.

use std::ffi::CStr;

use super::args::{Args, Key};
use super::config;
use super::db::{Db, Expiry, Slot};
use super::error::Result;
use super::input::check_bytes;
use crate::nd::array::{Array, StoreOptions};
use crate::nd::codec::Policy;
use crate::nd::error::{quoted, Error};
use crate::nd::shape::Shape;

/// `NX` or `XX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence {
    /// Only where there is no key.
    Missing,
    /// Only where there is one.
    Present,
}

/// When the key should go, as the call says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ttl {
    In(i64),
    At(i64),
    Keep,
}

/// A condition on the digest of what the key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestCondition {
    /// `IFDEQ`: it is this one.
    Equal(u64),
    /// `IFDNE`: it is not, or there is no key.
    Different(u64),
}

/// What follows the array argument of `ND.SET`.
#[derive(Clone, Debug, Default)]
pub struct SetOptions {
    existence: Option<Existence>,
    ttl: Option<Ttl>,
    /// Where the word of a relative expiry stands in the call.
    ttl_at: usize,
    policy: Option<Policy>,
    chunk_shape: Option<Shape>,
    /// `CHUNK AUTO`: as without, but said.
    chunk_auto: bool,
    digest: Option<DigestCondition>,
}

impl SetOptions {
    /// Reads every option that `allowed` names, in any order, each at most once, up to the end of the call.
    ///
    /// # Errors
    /// `SYNTAX` for unknown or repeated options, and what is wrong with a value.
    pub fn parse(args: &mut Args<'_>, allowed: &[&str]) -> Result<SetOptions> {
        SetOptions::parse_with(args, allowed, "", |_| Ok(false))
    }

    /// [`SetOptions::parse`] for commands with words of their own, `own`, anywhere among the others. `take` takes one of them, with
    /// what belongs to it, if it comes next, and says whether it did.
    ///
    /// # Errors
    /// The same, and those of `take`.
    pub fn parse_with<'a>(
        args: &mut Args<'a>,
        allowed: &[&str],
        own: &str,
        mut take: impl FnMut(&mut Args<'a>) -> Result<bool>,
    ) -> Result<SetOptions> {
        let mut options = SetOptions::default();
        while let Some(word) = args.peek() {
            if take(args)? {
                continue;
            }
            let found = allowed.iter().find(|a| word.eq_ignore_ascii_case(a.as_bytes()));
            let Some(name) = found else {
                let names = allowed.iter().copied().chain((!own.is_empty()).then_some(own));
                return Err(args.unexpected(word, &names.collect::<Vec<_>>().join(", ")));
            };
            let at = args.position();
            args.next("an option")?;
            options.take(name, at, args)?;
        }
        Ok(options)
    }

    fn take(&mut self, name: &str, at: usize, args: &mut Args<'_>) -> Result<()> {
        let free = match name {
            "NX" | "XX" => self.existence.is_none(),
            "CODEC" => self.policy.is_none(),
            "CHUNK" => self.chunk_shape.is_none() && !self.chunk_auto,
            "IFDEQ" | "IFDNE" => self.digest.is_none(),
            _ => self.ttl.is_none(),
        };
        if !free {
            return Err(Error::syntax(format!("{name} is given beside an option that it repeats or excludes")).into());
        }
        match name {
            "NX" => self.existence = Some(Existence::Missing),
            "XX" => self.existence = Some(Existence::Present),
            "CODEC" => self.policy = Some(Policy::parse(args.bytes("a codec")?, config::compression())?),
            "CHUNK" if args.word("AUTO") => self.chunk_auto = true,
            "CHUNK" => self.chunk_shape = Some(args.shape()?),
            "IFDEQ" => self.digest = Some(DigestCondition::Equal(digest(args)?)),
            "IFDNE" => self.digest = Some(DigestCondition::Different(digest(args)?)),
            "KEEPTTL" => self.ttl = Some(Ttl::Keep),
            time => {
                let n = args.integer(&format!("the value of {time}"), 1)?;
                let unit = if time.starts_with('E') { 1000 } else { 1 };
                // Half the range, so that adding the time of day cannot overflow.
                let ms = n.checked_mul(unit).filter(|ms| *ms <= i64::MAX / 2).ok_or_else(|| {
                    Error::value(format!("{time} {n} is too far in the future (at most {} milliseconds)", i64::MAX / 2))
                })?;
                self.ttl = Some(if time.ends_with("AT") { Ttl::At(ms) } else { Ttl::In(ms) });
                self.ttl_at = at;
            }
        }
        Ok(())
    }

    /// How the array is to be stored.
    pub fn store(&self) -> StoreOptions {
        let mut store = config::store_options();
        if let Some(policy) = self.policy {
            store.policy = policy;
            store.codec_given = !matches!(policy, Policy::Auto(_));
        }
        store.chunk_shape = self.chunk_shape.clone();
        store.chunk_auto = self.chunk_auto;
        store
    }

    /// Whether the key's state matters at all.
    pub fn has_condition(&self) -> bool {
        self.existence.is_some() || self.digest.is_some()
    }

    /// Whether the key's state lets the write go ahead.
    ///
    /// # Errors
    /// `WRONGTYPE` where a digest is asked of another type.
    pub fn allows(&self, slot: &Slot<'_>) -> Result<bool> {
        let exists = match self.existence {
            None => true,
            Some(Existence::Missing) => slot.is_empty(),
            Some(Existence::Present) => !slot.is_empty(),
        };
        if !exists {
            return Ok(false);
        }
        let Some(condition) = self.digest else { return Ok(true) };
        let digest = match slot.array()? {
            Some(array) => Some(digest_of(array)?),
            None => None,
        };
        Ok(match condition {
            DigestCondition::Equal(d) => digest == Some(d),
            DigestCondition::Different(d) => digest != Some(d),
        })
    }

    /// When the key goes, in the server's terms.
    pub fn expiry(&self, db: &Db<'_>) -> Expiry {
        match self.ttl {
            None => Expiry::Never,
            Some(Ttl::Keep) => Expiry::Keep,
            Some(Ttl::At(ms)) => Expiry::At(ms),
            Some(Ttl::In(ms)) => Expiry::At(db.now() + ms),
        }
    }

    /// Ends the write, with the event `expire` beside the command's own where the key got an expiry, as `SET` has it. A relative expiry is replicated as the moment it means, so that a replica, or an append-only file
    /// read tomorrow, does not count from anew.
    pub fn commit(&self, db: &Db<'_>, expiry: Expiry, command: &CStr, event: &CStr, keys: &[Key<'_>]) {
        self.commit_with_seed(db, expiry, command, event, keys, None);
    }

    /// [`SetOptions::commit`] of a call that drew a seed: `SEED` and the seed go out too, at this place of the call.
    pub fn commit_with_seed(
        &self,
        db: &Db<'_>,
        expiry: Expiry,
        command: &CStr,
        event: &CStr,
        keys: &[Key<'_>],
        seed: Option<(u64, usize)>,
    ) {
        let deadline = match (self.ttl, expiry) {
            (Some(Ttl::In(_)), Expiry::At(ms)) => Some(ms),
            _ => None,
        };
        if deadline.is_none() && seed.is_none() {
            db.commit(event, keys);
            return tell_of_expiry(db, expiry, keys);
        }
        // Places count the command's name, which is not in this list.
        let mut argv = db.argv();
        let mut strings = Vec::new();
        if let Some(ms) = deadline {
            strings.push(db.string(b"PXAT"));
            argv[self.ttl_at - 1] = strings[0].as_ptr();
            strings.push(db.string(ms.to_string().as_bytes()));
            argv[self.ttl_at] = strings[1].as_ptr();
        }
        if let Some((seed, at)) = seed {
            let word = db.string(b"SEED");
            let number = db.string(seed.to_string().as_bytes());
            argv.splice(at - 1..at - 1, [word.as_ptr(), number.as_ptr()]);
            strings.extend([word, number]);
        }
        db.commit_as(command, &mut argv, event, keys);
        tell_of_expiry(db, expiry, keys);
    }
}

fn tell_of_expiry(db: &Db<'_>, expiry: Expiry, keys: &[Key<'_>]) {
    if let Expiry::At(_) = expiry {
        db.publish_expire(keys);
    }
}

/// `IFDEQ digest` at the end of a command that changes an array: the write goes ahead only where the array has this digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IfDigest(Option<u64>);

impl IfDigest {
    /// Takes the option, if it comes next.
    ///
    /// # Errors
    /// `SYNTAX` where the digest is missing, `VALUE` where it is none.
    pub fn take(args: &mut Args<'_>) -> Result<IfDigest> {
        Ok(IfDigest(if args.word("IFDEQ") { Some(digest(args)?) } else { None }))
    }

    /// [`IfDigest::take`] where other options may stand before or behind it: `other` takes one, if it comes next, and says whether
    /// it did.
    ///
    /// # Errors
    /// The same, and those of `other`.
    pub fn take_beside<'a>(
        args: &mut Args<'a>,
        mut other: impl FnMut(&mut Args<'a>) -> Result<bool>,
    ) -> Result<IfDigest> {
        let mut condition = IfDigest::default();
        loop {
            if condition.0.is_none() {
                condition = IfDigest::take(args)?;
                if condition.0.is_some() {
                    continue;
                }
            }
            if !other(args)? {
                return Ok(condition);
            }
        }
    }

    /// Whether the array lets the write go ahead; if not, the command answers nil. No array equals no digest.
    ///
    /// # Errors
    /// As [`digest_of`].
    pub fn holds(self, array: Option<&Array>) -> Result<bool> {
        match (self.0, array) {
            (None, _) => Ok(true),
            (Some(_), None) => Ok(false),
            (Some(digest), Some(array)) => Ok(digest_of(array)? == digest),
        }
    }
}

/// The digest of an array whose elements one command may read through.
///
/// # Errors
/// `LIMIT` above `ndarray.max-array-bytes` (an array of one value can be larger than any machine); `CORRUPT`.
pub fn digest_of(array: &Array) -> Result<u64> {
    check_bytes("reading the array", array.nbytes(), &config::MAX_ARRAY_BYTES)?;
    Ok(array.digest()?)
}

/// A digest as `ND.DIGEST` answers it: sixteen hex digits.
///
/// # Errors
/// `SYNTAX` where it is missing, `VALUE` where it is none.
pub fn digest(args: &mut Args<'_>) -> Result<u64> {
    let text = args.bytes("a digest")?;
    let digits = std::str::from_utf8(text).ok().filter(|s| s.len() == 16 && s.bytes().all(|b| b.is_ascii_hexdigit()));
    let parsed = digits.and_then(|s| u64::from_str_radix(s, 16).ok());
    Ok(parsed.ok_or_else(|| {
        Error::value(format!("'{}' is not a digest (use the 16 hex digits that ND.DIGEST answers)", quoted(text)))
    })?)
}
