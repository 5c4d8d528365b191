//! What changes files goes through [`op`], and what an answer to a peer rests on.
//!
//! In the programs it only makes the call. In tests it can let the k-th operation fail, or all from the k-th on:
//! that is what the disk sees of a process that ends there.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

use crate::error::{Code, Error};

/// Makes the call, unless a test wants it to fail.
pub(crate) fn op<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    #[cfg(test)]
    fault::tick()?;
    call()
}

/// What is at this path, if anything is. Links are not followed.
pub(crate) fn look(path: &Path) -> io::Result<Option<Metadata>> {
    match op(|| fs::symlink_metadata(path)) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A disk error while something was kept here. If something is not found, it is not the peer's file.
pub(super) fn not_stored(what: &str, error: &io::Error) -> Error {
    let failed = Error::io(format!("store {what}"), error);
    if failed.is(Code::NotFound) {
        let sentence = "something is wrong with the server's folder; its log says why";
        return Error::new(Code::Internal, sentence).because(failed.cause());
    }
    failed
}

/// Faults for tests. They concern the thread that sets them.
#[cfg(test)]
pub(crate) mod fault {
    use std::cell::Cell;
    use std::io;

    /// What happens at the k-th operation.
    #[derive(Clone, Copy, PartialEq)]
    pub(crate) enum Fault {
        /// It fails, and those after it do not.
        Fails,
        /// The same, because the disk is full.
        Full,
        /// The process is gone: nothing happens any more.
        Ends,
    }

    thread_local! {
        #[allow(clippy::missing_const_for_thread_local, reason = "it is; not seen on Windows")]
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
                Err(match fault {
                    Fault::Full => io::ErrorKind::StorageFull.into(),
                    _ => io::Error::other("a fault of the test's"),
                })
            }
            Some((k @ 2.., fault)) => {
                PLAN.set(Some((k.saturating_sub(1), fault)));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_in_the_store_is_not_the_file_of_the_peer() {
        assert_eq!(not_stored("a", &io::ErrorKind::NotFound.into()).code(), Code::Internal);
        assert_eq!(not_stored("a", &io::ErrorKind::StorageFull.into()).code(), Code::NoSpace);
    }
}
