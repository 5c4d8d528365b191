//! The threads that serve connections.
//!
//! There is one thread for each connection. A thread whose connection has ended waits a while for the
//! next one, because starting a thread costs about as much as all that a short connection does.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::error::lock;
use crate::limits;

/// How long they wait for it.
const IDLE_THREAD_TIME: Duration = Duration::from_secs(10);

/// Idle threads, and the work that waits for them.
pub(super) struct Threads<W> {
    state: Mutex<State<W>>,
    queued: Condvar,
}

struct State<W> {
    idle: usize,
    queue: VecDeque<W>,
}

impl<W> Threads<W> {
    pub(super) fn new() -> Threads<W> {
        let state = State { idle: 0, queue: VecDeque::new() };
        Threads { state: Mutex::new(state), queued: Condvar::new() }
    }

    /// Queues work. If no thread is idle, starts one that runs `worker`, which takes work with
    /// [`Threads::next`].
    ///
    /// # Errors
    /// No thread is idle and none can be started: returns the work.
    pub(super) fn run(&self, work: W, worker: impl FnOnce() + Send + 'static) -> Result<(), W> {
        self.run_with(work, || {
            thread::Builder::new().stack_size(limits::STACK).spawn(worker).map(drop)
        })
    }

    fn run_with(&self, work: W, start: impl FnOnce() -> io::Result<()>) -> Result<(), W> {
        if self.queue(work) {
            self.queued.notify_one();
            return Ok(());
        }
        if start().is_ok() {
            return Ok(());
        }
        let mut state = lock(&self.state);
        // A thread that has become idle meanwhile takes it.
        let is_stuck = state.queue.len() > state.idle;
        let stuck = if is_stuck { state.queue.pop_back() } else { None };
        stuck.map_or(Ok(()), Err)
    }

    /// Returns whether an idle thread will take it.
    fn queue(&self, work: W) -> bool {
        let mut state = lock(&self.state);
        state.queue.push_back(work);
        state.queue.len() <= state.idle
    }

    /// Returns the next work. Waits for it, unless enough threads wait already; `None` ends the thread.
    pub(super) fn next(&self) -> Option<W> {
        let mut state = lock(&self.state);
        if state.queue.is_empty() && state.idle < limits::MAX_IDLE_THREADS {
            state.idle += 1;
            let nothing = |state: &mut State<W>| state.queue.is_empty();
            let waited = self.queued.wait_timeout_while(state, IDLE_THREAD_TIME, nothing);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
        state.queue.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    fn no_thread() -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    #[test]
    fn idle_threads_take_the_work_and_without_one_it_comes_back() {
        let threads = Arc::new(Threads::new());
        assert_eq!(threads.run_with(1, no_thread), Err(1));
        let (done, did) = channel();
        let idle: Vec<_> = (0..2)
            .map(|_| {
                let (threads, done) = (Arc::clone(&threads), done.clone());
                thread::spawn(move || done.send(threads.next().unwrap()).unwrap())
            })
            .collect();
        while lock(&threads.state).idle < 2 {
            thread::yield_now();
        }
        // Two are idle, so two are taken at once, however slowly they wake.
        let given = [threads.run_with(1, no_thread), threads.run_with(2, no_thread)];
        assert_eq!(given, [Ok(()), Ok(())]);
        let mut all: Vec<i32> = did.iter().take(2).collect();
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
        for thread in idle {
            thread.join().unwrap();
        }
        assert_eq!(threads.run_with(3, no_thread), Err(3));
        assert!(lock(&threads.state).queue.is_empty());
    }

    #[test]
    fn work_that_another_thread_has_taken_does_not_come_back() {
        let threads = Threads::new();
        let taken = threads.run_with(1, || {
            assert_eq!(threads.next(), Some(1));
            no_thread()
        });
        assert_eq!(taken, Ok(()));
    }

    #[test]
    fn no_more_threads_wait_than_are_needed() {
        let threads = Threads::<()>::new();
        lock(&threads.state).idle = limits::MAX_IDLE_THREADS;
        assert_eq!(threads.next(), None);
    }
}
