//! Elements that somebody else keeps: a string that came in with a call, say, which need not be copied to be stored.
//!
//! Whoever keeps them promises that they do not change. An array that is written to moves what it borrowed into memory of
//! its own, so the copy that storing saved is made at most once, later, and only where it is needed.

use std::fmt::Debug;
use std::sync::Arc;

/// Keeps bytes in place and unchanged for as long as it lives.
pub trait Keeper: Debug + Send + Sync {
    /// The bytes: the same ones, at the same place, at every call.
    fn bytes(&self) -> &[u8];

    /// What it takes in memory.
    fn memory(&self) -> usize;
}

/// Knows who keeps bytes.
pub trait Lender: Sync {
    /// The keeper of these bytes, which lie where they were handed out, for as long as one likes; nothing where they must be
    /// copied.
    fn lend(&self, bytes: &[u8]) -> Option<Lent>;
}

/// A part of what a keeper has.
#[derive(Clone, Debug)]
pub struct Lent {
    keeper: Arc<dyn Keeper>,
    start: usize,
    len: usize,
}

impl Lent {
    /// The keeper's bytes from `start` on, `len` of them; nothing where it has no such bytes.
    pub fn new(keeper: Arc<dyn Keeper>, start: usize, len: usize) -> Option<Lent> {
        keeper.bytes().get(start..)?.get(..len)?;
        Some(Lent { keeper, start, len })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.keeper.bytes()[self.start..][..self.len]
    }

    /// Its share of what the keeper takes in memory: as large as its share of the bytes.
    pub fn memory(&self) -> usize {
        self.memory_of(self.len)
    }

    /// What so many of the keeper's bytes take of its memory.
    pub fn memory_of(&self, len: usize) -> usize {
        let all = self.keeper.bytes().len().max(1);
        (self.keeper.memory() as u128 * len as u128).div_ceil(all as u128) as usize
        // at most the keeper's memory
    }

    /// Who keeps it.
    pub fn keeper(&self) -> &dyn Keeper {
        &*self.keeper
    }

    /// Whether both are parts of what one keeper has.
    pub fn has_keeper_of(&self, other: &Lent) -> bool {
        Arc::ptr_eq(&self.keeper, &other.keeper)
    }

    /// Whether it is all that the keeper has, give or take a head.
    pub fn is_most(&self) -> bool {
        self.len * 2 > self.keeper.bytes().len()
    }

    /// Whether another part begins where this one ends.
    pub fn is_followed_by(&self, next: &Lent) -> bool {
        self.has_keeper_of(next) && self.start + self.len == next.start
    }

    /// The keeper's bytes from the `first` of this part on, `len` of them, beyond its end if need be.
    pub fn onward(&self, first: usize, len: usize) -> Option<&[u8]> {
        self.keeper.bytes().get(self.start + first..)?.get(..len)
    }
}
