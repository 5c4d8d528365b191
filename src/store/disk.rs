//! The one gate that every file operation of the store goes through.
//!
//! In a build it is nothing. In tests it can be told to let the k-th operation fail, or to let none
//! happen from the k-th on: that is what the disk sees of a process that ends there.

use std::io;

/// Does it, unless a test wants it to fail.
pub(crate) fn op<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    #[cfg(test)]
    fault::tick()?;
    call()
}

/// The switch for tests: it concerns the thread that sets it.
#[cfg(test)]
pub(crate) mod fault {
    use std::cell::Cell;
    use std::io;

    /// What happens at the k-th operation.
    #[derive(Clone, Copy, PartialEq)]
    pub(crate) enum Fault {
        /// It fails, and those behind it do not.
        Fails,
        /// The process is gone: nothing happens any more.
        Ends,
    }

    thread_local! {
        static PLAN: Cell<Option<(u32, Fault)>> = const { Cell::new(None) };
    }

    /// Runs something with a fault at the k-th operation, counted from 1; says whether it came to it.
    pub(crate) fn during<T>(k: u32, fault: Fault, what: impl FnOnce() -> T) -> (T, bool) {
        PLAN.set(Some((k, fault)));
        let done = what();
        let came = PLAN.take().is_none_or(|(left, _)| left == 0);
        (done, came)
    }

    pub(super) fn tick() -> io::Result<()> {
        match PLAN.get() {
            Some((0, Fault::Ends)) => Err(io::Error::other("the process is gone")),
            Some((1, fault)) => {
                PLAN.set(Some((0, fault)));
                Err(io::Error::other("a fault of the test's"))
            }
            Some((k @ 2.., fault)) => {
                PLAN.set(Some((k.saturating_sub(1), fault)));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
