//! How much memory all lists together may take.
//!
//! A peer that asks for a long list and does not read it must not be able to fill the memory, not even with
//! many connections. So a list allocates what it needs from a budget while it is built, and gives it back when
//! it has been sent.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::error::{Code, Error, Result, lock};
use crate::limits;

/// What all lists together may hold in memory.
#[derive(Default)]
pub(super) struct Budget {
    state: Mutex<State>,
    freed: Condvar,
    /// How many lists wait for memory.
    waiting: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    held: usize,
    /// The tickets of the lists that wait. The lowest has waited longest, and is served first.
    queue: BTreeSet<u64>,
    next_ticket: u64,
}

/// A part of the budget, given back when it is dropped.
pub(super) struct Allocation {
    budget: Arc<Budget>,
    taken: usize,
    /// How much the list needs so far.
    used: usize,
    has_waited: bool,
    is_full: bool,
}

/// How much an allocation grows by at least, so that a list does not lock the budget for every name.
const STEP: usize = 64 << 10;

/// A list, and the part of the budget that it holds as long as it exists.
pub struct Budgeted<L> {
    list: L,
    allocation: Allocation,
}

impl<L> std::ops::Deref for Budgeted<L> {
    type Target = L;

    fn deref(&self) -> &L {
        &self.list
    }
}

impl<L> Budgeted<L> {
    /// How many lists wait for memory. While there are any, a list that its peer does not read is dropped.
    #[must_use]
    pub fn lists_waiting(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.allocation.budget.waiting)
    }
}

impl Budget {
    /// Builds a list, which allocates as it grows. Where the budget is used up, drops the list, waits for as much
    /// as it needs, and builds it again: two lists never wait for each other. A list that began at this moment
    /// waits for a limited time.
    pub(super) fn build<L>(
        self: &Arc<Budget>,
        began: Instant,
        list: impl Fn(&mut Allocation) -> Result<L>,
    ) -> Result<Budgeted<L>> {
        let until = began + limits::LIST_WAIT;
        let mut allocation = self.allocation(0, false);
        loop {
            let list = list(&mut allocation)?;
            if !allocation.is_full {
                return Ok(Budgeted { list, allocation });
            }
            // The folder may have more files by then.
            let needed = allocation.used + STEP;
            drop((list, allocation));
            allocation = self.wait_for(needed, until).ok_or_else(|| {
                let sentence = "the server is sending too many long lists: try again in a moment";
                Error::new(Code::Busy, sentence)
            })?;
        }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        lock(&self.state).held
    }

    fn allocation(self: &Arc<Budget>, taken: usize, has_waited: bool) -> Allocation {
        Allocation { budget: Arc::clone(self), taken, used: 0, has_waited, is_full: false }
    }

    /// Allocates this much as soon as it is free and no other list has waited longer.
    fn wait_for(self: &Arc<Budget>, needed: usize, until: Instant) -> Option<Allocation> {
        let mut state = lock(&self.state);
        state.next_ticket += 1;
        let ticket = state.next_ticket;
        state.queue.insert(ticket);
        self.waiting.store(state.queue.len(), Ordering::Release);
        let left = until.saturating_duration_since(Instant::now());
        let is_due =
            |state: &State| state.queue.first() == Some(&ticket) && is_free(state.held, 0, needed);
        let waited = self.freed.wait_timeout_while(state, left, |state| !is_due(state));
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let is_due = is_due(&state);
        state.queue.remove(&ticket);
        self.waiting.store(state.queue.len(), Ordering::Release);
        if is_due {
            state.held += needed;
        }
        drop(state);
        // The next list may be due as well.
        self.freed.notify_all();
        is_due.then(|| self.allocation(needed, true))
    }
}

impl Allocation {
    /// Takes more, and returns whether it was free. If not, the list is of no use: what is still taken only
    /// counts how much it needs.
    #[must_use]
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        self.used += bytes;
        if self.used > self.taken && !self.is_full {
            let more = (self.used - self.taken).max(STEP);
            let mut state = lock(&self.budget.state);
            // A list that is longer than a step does not overtake those that wait.
            let overtakes = self.taken > 0 && !self.has_waited && !state.queue.is_empty();
            self.is_full = overtakes || !is_free(state.held, self.taken, more);
            if !self.is_full {
                state.held += more;
                self.taken += more;
            }
        }
        !self.is_full
    }
}

/// Whether a list that has `own` of all that is held may take more. A list that is alone may be larger than
/// the budget.
fn is_free(held: usize, own: usize, more: usize) -> bool {
    held == own || held + more <= limits::LISTS_HELD
}

impl Drop for Allocation {
    fn drop(&mut self) {
        lock(&self.budget.state).held -= self.taken;
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_list_may_be_long_and_many_together_may_not() {
        let budget: Arc<Budget> = Arc::default();
        let mut first = budget.allocation(0, false);
        assert!(first.take(limits::LISTS_HELD));
        assert!(first.take(limits::LISTS_HELD));
        let mut second = budget.allocation(0, false);
        assert!(!second.take(1));
        drop((first, second));
        assert!(budget.allocation(0, false).take(1));
        assert_eq!(budget.held(), 0);
    }

    /// A list that had taken half of the budget took the other half beside a list that had a little.
    #[test]
    fn a_list_that_grows_beside_another_keeps_within_the_budget() {
        let budget: Arc<Budget> = Arc::default();
        let (mut growing, mut other) = (budget.allocation(0, false), budget.allocation(0, false));
        assert!(growing.take(limits::LISTS_HELD / 2));
        assert!(other.take(limits::LISTS_HELD / 4));
        assert!(!growing.take(limits::LISTS_HELD / 2));
        assert!(other.take(limits::LISTS_HELD / 4));
    }

    #[test]
    fn a_list_waits_for_what_another_gives_back() {
        let budget: Arc<Budget> = Arc::default();
        let mut first = budget.allocation(0, false);
        assert!(first.take(limits::LISTS_HELD));
        std::thread::scope(|scope| {
            let second =
                scope.spawn(|| budget.build(Instant::now(), |list| Ok(list.take(STEP))).map(drop));
            while budget.waiting.load(Ordering::Acquire) == 0 {
                std::thread::yield_now();
            }
            drop(first);
            assert!(second.join().unwrap().is_ok());
        });
    }

    #[test]
    fn the_list_that_has_waited_longest_is_served_first() {
        let budget: Arc<Budget> = Arc::default();
        let mut first = budget.allocation(0, false);
        assert!(first.take(limits::LISTS_HELD));
        std::thread::scope(|scope| {
            let (served, order) = std::sync::mpsc::channel();
            for n in 0..4 {
                let (budget, served) = (&budget, served.clone());
                scope.spawn(move || {
                    let list = budget
                        .build(Instant::now(), |list| Ok(list.take(limits::LISTS_HELD)))
                        .unwrap();
                    served.send(n).unwrap();
                    drop(list);
                });
                while budget.waiting.load(Ordering::Acquire) <= n {
                    std::thread::yield_now();
                }
            }
            // A newcomer with a long list does not overtake, a short one may.
            drop(first);
            assert_eq!(order.iter().take(4).collect::<Vec<_>>(), [0, 1, 2, 3]);
        });
        let _waiting = lock(&budget.state).queue.insert(9);
        let mut newcomer = budget.allocation(0, false);
        assert!(newcomer.take(STEP) && !newcomer.take(STEP));
    }
}
