//! Threads whose connection has ended, and who wait a while for the next.
//!
//! It is still a thread a connection. But to start one costs about as much as all that a short
//! connection does, so those that are there already are asked first.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::limits;

/// The threads that wait for this kind of work.
pub(super) struct Crew<W> {
    state: Mutex<State<W>>,
    given: Condvar,
}

struct State<W> {
    waiting: usize,
    /// Never more than there are threads that wait.
    work: VecDeque<W>,
}

impl<W> Crew<W> {
    pub(super) fn new() -> Crew<W> {
        Crew {
            state: Mutex::new(State { waiting: 0, work: VecDeque::new() }),
            given: Condvar::new(),
        }
    }

    /// Gives work to a thread that waits; gives it back if none does.
    pub(super) fn give(&self, work: W) -> Result<(), W> {
        let mut state = self.state();
        if state.waiting <= state.work.len() {
            return Err(work);
        }
        state.work.push_back(work);
        drop(state);
        self.given.notify_one();
        Ok(())
    }

    /// The next work for a thread that has done its own; `None` if none comes for a while, or if enough
    /// threads wait already.
    pub(super) fn next(&self) -> Option<W> {
        let mut state = self.state();
        if state.waiting >= limits::MAX_WAITING {
            return None;
        }
        state.waiting = state.waiting.saturating_add(1);
        let none = |state: &mut State<W>| state.work.is_empty();
        let waited = self.given.wait_timeout_while(state, limits::WAITING_TIME, none);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting = state.waiting.saturating_sub(1);
        state.work.pop_front()
    }

    fn state(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;

    #[test]
    fn work_goes_to_those_who_wait_and_to_nobody_else() {
        let crew = Arc::new(Crew::new());
        assert_eq!(crew.give(1), Err(1));
        let (done, did) = channel();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (crew, done) = (Arc::clone(&crew), done.clone());
                thread::spawn(move || done.send(crew.next().unwrap()).unwrap())
            })
            .collect();
        while crew.state().waiting < 2 {
            thread::yield_now();
        }
        // Two wait, so two are taken at once, however slowly they wake.
        assert_eq!([crew.give(1), crew.give(2)], [Ok(()), Ok(())]);
        let mut all: Vec<i32> = did.iter().take(2).collect();
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(crew.give(3), Err(3));
    }

    #[test]
    fn no_more_wait_than_are_needed() {
        let crew = Crew::<()>::new();
        crew.state().waiting = limits::MAX_WAITING;
        assert_eq!(crew.next(), None);
    }
}
