//! Several chunks at a time: this thread and helpers make things, and this thread takes them in order.
//!
//! What comes out does not depend on how many helpers there are: each thing is made from its number alone, and they are
//! taken in the order of their numbers. Helpers live as long as the call, so they may borrow what the caller has; starting
//! one takes some tens of microseconds, which is why callers ask only where there is a millisecond of work.
//!
//! How many there may be at a time, in the whole process, is a budget that the embedder sets. Nobody waits for it: whoever
//! finds it spent works alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{sync_channel, Receiver};
use std::thread;

use super::error::{Error, Result};
use super::{interrupt, stats};

/// A helper makes at most so many things ahead.
const AHEAD: usize = 4;

/// Threads that may still be taken.
struct Budget(AtomicUsize);

static BUDGET: Budget = Budget(AtomicUsize::new(0));

/// Sets how many threads besides the callers' may be at work. To be called once, before any work.
pub fn set_budget(threads: usize) {
    BUDGET.0.store(threads, Ordering::Relaxed);
}

/// Threads taken from the budget; given back on drop.
pub struct Claim {
    from: &'static Budget,
    count: usize,
}

impl Budget {
    fn claim(&'static self, most: usize) -> Claim {
        let take = |spare: usize| spare.checked_sub(most.min(spare));
        let (Ok(spare) | Err(spare)) = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        Claim { from: self, count: most.min(spare) }
    }
}

impl Claim {
    /// How many it is.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.from.0.fetch_add(self.count, Ordering::Relaxed);
    }
}

/// Takes at most `most` from the budget: what is there, which may be none.
pub fn claim(most: usize) -> Claim {
    BUDGET.claim(most)
}

/// Helpers for `bytes` of work of which each should have at least `share`; none where that is all one share.
pub fn helpers(bytes: usize, share: usize) -> Claim {
    claim((bytes / share.max(1)).saturating_sub(1))
}

/// Makes the things `0..n` on this thread and as many helpers, and takes each on this thread, in order.
///
/// Things are dealt out in turn, so neighbours are made at the same time, and few wait to be taken.
///
/// # Errors
/// The first that `make` or `take` answers, in order; nothing is taken after it.
pub fn in_order<T: Send>(
    n: usize,
    helpers: usize,
    make: impl Fn(usize) -> Result<T> + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let lanes = helpers.min(n.saturating_sub(1)) + 1;
    if lanes == 1 {
        return (0..n).try_for_each(|i| take(make(i)?));
    }
    let flag = interrupt::current();
    thread::scope(|scope| {
        let (make, flag) = (&make, &flag);
        // A lane whose helper the system does not give is this thread's.
        let made: Vec<Option<Receiver<Result<T>>>> = (1..lanes)
            .map(|lane| {
                let (sender, receiver) = sync_channel(AHEAD);
                let work = move || {
                    for i in (lane..n).step_by(lanes) {
                        let thing = interrupt::with(flag.as_ref(), || make(i));
                        let is_last = thing.is_err();
                        // Nobody listens any more after an error elsewhere.
                        if sender.send(thing).is_err() || is_last {
                            return;
                        }
                    }
                };
                thread::Builder::new().name("ndarray-helper".into()).spawn_scoped(scope, work).ok()?;
                stats::HELPERS_STARTED.fetch_add(1, Ordering::Relaxed);
                Some(receiver)
            })
            .collect();
        for i in 0..n {
            let lane = (i % lanes).checked_sub(1).and_then(|lane| made[lane].as_ref());
            let thing = match lane {
                None => make(i),
                // A helper that ends before its time has panicked, and so will the scope.
                Some(receiver) => receiver.recv().unwrap_or(Err(Error::Interrupted)),
            };
            take(thing?)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::sync::Arc;

    fn squares(n: usize, helpers: usize) -> Vec<usize> {
        let mut out = Vec::new();
        in_order(
            n,
            helpers,
            |i| Ok(i * i),
            |x| {
                out.push(x);
                Ok(())
            },
        )
        .unwrap();
        out
    }

    #[test]
    fn what_comes_out_is_in_order_however_many_help() {
        for n in [0, 1, 2, 3, 10, 1000] {
            let want: Vec<usize> = (0..n).map(|i| i * i).collect();
            for helpers in [0, 1, 2, 3, 7, 40] {
                assert_eq!(squares(n, helpers), want, "{n} things, {helpers} helpers");
            }
        }
    }

    #[test]
    fn the_first_error_in_order_ends_it() {
        for helpers in [0, 1, 3] {
            let mut taken = 0;
            let fails = |i: usize| if i % 10 == 7 { Err(Error::value(format!("thing {i}"))) } else { Ok(i) };
            let outcome = in_order(100, helpers, fails, |i| {
                assert_eq!(i, taken);
                taken += 1;
                Ok(())
            });
            assert_eq!((outcome, taken), (Err(Error::value("thing 7")), 7));
            let refused = in_order(100, helpers, Ok, |i| if i == 5 { Err(Error::value("enough")) } else { Ok(()) });
            assert_eq!(refused, Err(Error::value("enough")));
        }
    }

    #[test]
    fn helpers_stop_when_nobody_waits_for_the_work() {
        let flag = Arc::new(AtomicBool::new(false));
        let outcome = interrupt::while_wanted(&flag, || {
            let make = |i| {
                flag.fetch_or(i == 20, Ordering::Relaxed);
                interrupt::check().map(|()| i)
            };
            in_order(1_000_000, 3, make, |_| Ok(()))
        });
        assert_eq!(outcome, Err(Error::Interrupted));
    }

    #[test]
    fn a_helper_that_panics_panics_the_caller() {
        let outcome = std::panic::catch_unwind(|| {
            in_order(10, 2, |i| if i == 4 { panic!("on purpose") } else { Ok(i) }, |_| Ok(()))
        });
        assert!(outcome.is_err());
    }

    #[test]
    fn the_budget_is_never_exceeded_and_comes_back() {
        static BUDGET: Budget = Budget(AtomicUsize::new(5));
        let (a, b, c) = (BUDGET.claim(3), BUDGET.claim(3), BUDGET.claim(3));
        assert_eq!((a.count(), b.count(), c.count()), (3, 2, 0));
        drop((a, c));
        assert_eq!(BUDGET.claim(9).count(), 3);
        drop(b);
        assert_eq!(BUDGET.claim(9).count(), 5);
    }
}
