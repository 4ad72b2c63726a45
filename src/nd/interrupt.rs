//! Work that nobody waits for any more: a flag that long loops look at between chunks.
//!
//! The flag belongs to the thread, so that no loop has to be handed one. Without it, [`check`] is always content.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use super::error::{Error, Result};

thread_local! {
    static FLAG: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// Puts the thread's flag back, also when the work panics.
struct Restore(Option<Arc<AtomicBool>>);

impl Drop for Restore {
    fn drop(&mut self) {
        FLAG.set(self.0.take());
    }
}

/// Calls `work`, which ends with an error soon after `flag` is raised.
pub fn while_wanted<R>(flag: &Arc<AtomicBool>, work: impl FnOnce() -> R) -> R {
    with(Some(flag), work)
}

/// The thread's flag, for another thread that does a part of its work.
pub fn current() -> Option<Arc<AtomicBool>> {
    FLAG.with_borrow(Option::clone)
}

/// Calls `work` with the flag of the thread that it is a part of.
pub fn with<R>(flag: Option<&Arc<AtomicBool>>, work: impl FnOnce() -> R) -> R {
    let _restore = Restore(FLAG.replace(flag.map(Arc::clone)));
    work()
}

/// Whether the thread's work is still wanted; asked between chunks.
///
/// # Errors
/// [`Error::Interrupted`] where it is not.
pub fn check() -> Result<()> {
    FLAG.with_borrow(|flag| match flag {
        Some(flag) if flag.load(Ordering::Relaxed) => Err(Error::Interrupted),
        _ => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nd::array::{Array, StoreOptions};
    use crate::nd::index::Index;
    use crate::nd::scalar::Scalar;
    use crate::nd::shape::Shape;

    #[test]
    fn a_raised_flag_ends_every_way_of_reading_between_chunks() {
        let options = StoreOptions { chunk_shape: Some(Shape::from([2, 2048])), ..StoreOptions::default() };
        let array = Array::filled(&Shape::from([8, 4096]), Scalar::of(7u8), &options).unwrap();
        let flag = Arc::new(AtomicBool::new(false));
        while_wanted(&flag, || {
            let mut blocks = 0;
            let ended = array.blocks(|_, _| {
                blocks += 1;
                flag.store(blocks == 3, Ordering::Relaxed);
                Ok(())
            });
            assert_eq!((blocks, ended), (3, Err(Error::Interrupted)));
            let select = |index: &str| Index::parse(index.as_bytes()).unwrap().resolve(&array.shape()).unwrap();
            assert_eq!(array.read(&select("::2, ::3")).unwrap_err(), Error::Interrupted);
            assert_eq!(array.read(&select("[7,0]")).unwrap_err(), Error::Interrupted);
            assert_eq!(array.visit_run(5, 9000, |_| Ok(())).unwrap_err(), Error::Interrupted);
            assert_eq!(array.digest().unwrap_err(), Error::Interrupted);
            flag.store(false, Ordering::Relaxed);
            assert!(array.read(&select("::2, ::3")).is_ok());
            flag.store(true, Ordering::Relaxed);
        });
        assert!(array.digest().is_ok(), "the flag goes with the work");
    }

    #[test]
    fn the_flag_goes_when_the_work_panics() {
        let flag = Arc::new(AtomicBool::new(true));
        let panicked = std::panic::catch_unwind(|| while_wanted(&flag, || panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(check(), Ok(()));
    }
}
