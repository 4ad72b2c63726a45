//! Several chunks at a time: this thread and helpers make things, and this thread takes them in order.
//!
//! What comes out does not depend on how many helpers there are: each thing is made from its number alone, and they are
//! taken in the order of their numbers. Helpers live as long as the call, so they may borrow what the caller has; starting
//! one takes some tens of microseconds, which is why callers ask only where there is a millisecond of work.
//!
//! How many there may be at a time, in the whole process, is a budget that the embedder sets. Nobody waits for it: whoever
//! finds it spent works alone.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::error::{Error, Result};
use super::{interrupt, stats};

/// For each thread so many things may be begun and not yet taken.
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

/// Whether there is anything in the budget now.
pub fn may_help() -> bool {
    BUDGET.0.load(Ordering::Relaxed) > 0
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
/// Whoever is free makes the next thing that nobody has begun, so a helper that the system does not let run holds up
/// nothing but what it has in hand. At most `AHEAD` things for each thread wait to be taken.
///
/// # Errors
/// The first that `make` or `take` answers, in order; nothing is taken after it.
pub fn in_order<T: Send>(
    n: usize,
    helpers: usize,
    make: impl Fn(usize) -> Result<T> + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let helpers = helpers.min(n.saturating_sub(1));
    if helpers == 0 {
        return (0..n).try_for_each(|i| take(make(i)?));
    }
    let bench = Bench::new(n, (helpers + 1) * AHEAD);
    let flag = interrupt::current();
    thread::scope(|scope| {
        let (bench, make, flag) = (&bench, &make, &flag);
        for _ in 0..helpers {
            let help = move || {
                let _leave = Leave { bench, is_helper: true };
                interrupt::with(flag.as_ref(), || {
                    while let Some(i) = bench.begin_next() {
                        bench.put(i, make(i));
                    }
                });
            };
            // Where the system gives no thread, there are fewer.
            if thread::Builder::new().name("ndarray-helper".into()).spawn_scoped(scope, help).is_ok() {
                stats::HELPERS_STARTED.fetch_add(1, Ordering::Relaxed);
            }
        }
        let _leave = Leave { bench, is_helper: false };
        for _ in 0..n {
            let thing = loop {
                match bench.take_or_begin() {
                    Step::Take(thing) => break thing?,
                    Step::Make(i) => bench.put(i, make(i)),
                    Step::Failed => return Err(Error::Interrupted), // a helper has panicked, and so will the scope
                }
            };
            take(thing)?;
        }
        Ok(())
    })
}

/// Where things lie from when they are begun until they are taken.
struct Bench<T> {
    state: Mutex<State<T>>,
    n: usize,
    window: usize,
    /// For the taker: the next thing may be there.
    made: Condvar,
    /// For helpers: there may be something to begin, or an end to it.
    room: Condvar,
}

struct State<T> {
    /// How many have been taken.
    taken: usize,
    /// Those that have been begun since, in order; nothing where one is still being made.
    begun: VecDeque<Option<Result<T>>>,
    is_closed: bool,
    has_failed: bool,
}

/// What the taker does next.
enum Step<T> {
    Take(Result<T>),
    Make(usize),
    Failed,
}

impl<T> Bench<T> {
    fn new(n: usize, window: usize) -> Bench<T> {
        let state = State { taken: 0, begun: VecDeque::with_capacity(window), is_closed: false, has_failed: false };
        Bench { state: Mutex::new(state), n, window, made: Condvar::new(), room: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next thing that nobody has begun, if it may be begun now.
    fn begin(&self, state: &mut State<T>) -> Option<usize> {
        let next = state.taken + state.begun.len();
        (next < self.n && state.begun.len() < self.window).then(|| {
            state.begun.push_back(None);
            next
        })
    }

    /// For helpers: waits for something to begin; nothing where there is no more.
    fn begin_next(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.is_closed || state.taken + state.begun.len() == self.n {
                return None;
            }
            match self.begin(&mut state) {
                Some(i) => return Some(i),
                None => state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn put(&self, i: usize, thing: Result<T>) {
        let mut state = self.lock();
        let place = i - state.taken; // what is being made has not been taken
        state.begun[place] = Some(thing);
        if place == 0 {
            self.made.notify_one();
        }
    }

    /// For the taker: the next thing where it is there, else another to make, else waits.
    fn take_or_begin(&self) -> Step<T> {
        let mut state = self.lock();
        loop {
            if state.has_failed {
                return Step::Failed;
            }
            if let Some(Some(_)) = state.begun.front() {
                if let Some(thing) = state.begun.pop_front().flatten() {
                    state.taken += 1;
                    self.room.notify_one();
                    return Step::Take(thing);
                }
            }
            match self.begin(&mut state) {
                Some(i) => return Step::Make(i),
                None => state = self.made.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// Nobody waits for one who has left, in whichever way.
struct Leave<'b, T> {
    bench: &'b Bench<T>,
    is_helper: bool,
}

impl<T> Drop for Leave<'_, T> {
    fn drop(&mut self) {
        if self.is_helper && !thread::panicking() {
            return;
        }
        let mut state = self.bench.lock();
        state.is_closed = true;
        state.has_failed |= self.is_helper;
        self.bench.made.notify_all();
        self.bench.room.notify_all();
    }
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
