//! What work costs, estimated before it is begun: the one place that decides what is too long for the main thread.
//!
//! The rates are those of one ordinary core on data that lies in memory. They need only be right within a factor of two:
//! a job on a worker costs the server about 10 microseconds more than the same work done at once, and what is just below
//! the limit may hold other clients up for twice as long as the setting says.

use super::config::OFFLOAD_US;
use crate::nd::array::Effort;

/// A kind of work on bytes of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// One pass of a simple kernel: sums, extrema, counts.
    Reduce,
    /// Hashes and checksums.
    Hash,
    /// Moving them: into a reply, or from where they lie scattered.
    Copy,
    /// Decoding chunks.
    Decode,
    /// Another dtype; figures and histograms; anything of some operations per element.
    Compute,
    /// Encoding chunks.
    Encode,
    /// Numbers as text, or each as an element of a list.
    Text,
}

impl Work {
    /// Bytes of elements in 256 nanoseconds.
    #[inline]
    const fn rate(self) -> u64 {
        match self {
            Work::Reduce => 20_480, // 80 GB/s: 16 MiB in 200 microseconds
            Work::Hash => 5_120,    // 20 GB/s
            Work::Copy | Work::Decode => 2_560,
            Work::Compute => 512,
            Work::Encode => 512, // 2 GB/s: 400 KiB in 200 microseconds
            Work::Text => 32,    // 64 nanoseconds for eight bytes
        }
    }
}

/// What copying one separate run of elements takes, in nanoseconds.
const RUN: u64 = 5;

/// An estimate, in nanoseconds; never 0, so that the setting 0 sends everything to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(u64);

impl Cost {
    /// Next to nothing.
    pub const LEAST: Cost = Cost(1);

    /// And getting at the elements, before anything is done with them: decoding, and picking them up.
    #[inline]
    #[must_use]
    pub fn reading(self, effort: Effort) -> Cost {
        self.and(Work::Decode, effort.decoded).plus((effort.runs as u64).saturating_mul(RUN))
    }

    /// And this work on so many bytes.
    #[inline]
    #[must_use]
    pub fn and(self, work: Work, bytes: usize) -> Cost {
        // The bytes come first off: below 2^56 of them, and beyond it does not matter.
        self.plus((bytes as u64).saturating_mul(256) / work.rate())
    }

    #[inline]
    fn plus(self, nanoseconds: u64) -> Cost {
        Cost(self.0.saturating_add(nanoseconds))
    }

    /// Whether it would hold other clients up for longer than `ndarray.offload-us`.
    #[inline]
    pub fn is_long(self) -> bool {
        self.0 > (OFFLOAD_US.get() as u64).saturating_mul(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_limit_lies_where_the_documentation_says() {
        let edge = |work, bytes: usize| {
            assert!(Cost::LEAST.and(work, bytes * 11 / 10).is_long(), "{work:?}");
            assert!(!Cost::LEAST.and(work, bytes * 9 / 10).is_long(), "{work:?}");
        };
        edge(Work::Reduce, 16_000_000);
        edge(Work::Hash, 4_000_000);
        edge(Work::Copy, 2_000_000);
        edge(Work::Decode, 2_000_000);
        edge(Work::Encode, 400_000);
        edge(Work::Text, 25_000);
    }

    #[test]
    fn costs_add_up_and_do_not_overflow() {
        let effort = Effort { bytes: 1_500_000, decoded: 1_500_000, runs: 1 };
        assert!(!Cost::LEAST.reading(effort).is_long());
        assert!(Cost::LEAST.reading(effort).and(Work::Copy, 1_500_000).is_long());
        let most = Effort { bytes: usize::MAX, decoded: usize::MAX, runs: usize::MAX };
        assert!(Cost::LEAST.reading(most).and(Work::Text, usize::MAX).is_long());
        assert!(Cost::LEAST > Cost(0));
    }
}
