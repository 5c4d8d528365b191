//! Long work takes turns, so that no client can keep the server from the others.
//!
//! Expensive requests are sums, resumes while their beginning is summed, and long lists while they are sent. Each has
//! a place as long as it lasts. A network of clients has few places, and all together have a limited number: one
//! more is refused, and its connection goes on. Sums run in turns, first come, first served, so that a short one
//! does not wait until a long one has ended.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::error::{Code, Error, Result, lock};

/// How many expensive requests there may be at once.
const PLACES: usize = 32;

/// How many of them may come from one IPv4 address, or from one /64 of IPv6.
const PLACES_PER_NETWORK: usize = 4;

/// How many sums run at once: each takes a processor and a disk.
const RUNNING: usize = 2;

/// The expensive requests of one server.
#[derive(Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Default)]
struct State {
    /// The network of each place that is taken.
    places: Vec<Option<u128>>,
    /// The sums that wait for their turn. The first ones run.
    queue: VecDeque<u64>,
    next: u64,
}

/// The permission for one expensive request. Dropping it allows another one.
pub struct Place<'t> {
    turns: &'t Turns,
    network: Option<u128>,
    number: u64,
}

impl Turns {
    /// Takes a place for an expensive request of a client in this network. `None` is not known, and counts among
    /// all alone.
    ///
    /// # Errors
    /// All are taken, or all of this network.
    pub(super) fn take_place(&self, network: Option<u128>) -> Result<Place<'_>> {
        let state = &mut *lock(&self.state);
        let own = state.places.iter().filter(|it| network.is_some() && **it == network).count();
        if own >= PLACES_PER_NETWORK || state.places.len() >= PLACES {
            let sentence = "too many long lists and sums are under way: try again in a moment";
            return Err(Error::new(Code::Busy, sentence));
        }
        state.places.push(network);
        state.next += 1;
        Ok(Place { turns: self, network, number: state.next })
    }
}

impl Place<'_> {
    /// Does a piece of the work when it is its turn.
    pub(super) fn turn<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut state = lock(&self.turns.state);
        state.queue.push_back(self.number);
        let waits =
            |state: &mut State| !state.queue.iter().take(RUNNING).any(|n| *n == self.number);
        drop(self.turns.moved.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner));
        let done = work();
        lock(&self.turns.state).queue.retain(|n| *n != self.number);
        self.turns.moved.notify_all();
        done
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let state = &mut *lock(&self.turns.state);
        if let Some(at) = state.places.iter().position(|it| *it == self.network) {
            state.places.swap_remove(at);
        }
        state.queue.retain(|n| *n != self.number);
        self.turns.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_network_has_its_places_and_all_have_theirs() {
        let turns = Turns::default();
        let take = |network| turns.take_place(network);
        let busy = |network| take(network).is_err_and(|error| error.is(Code::Busy));
        let mut places: Vec<_> = (0..28).map(|n| take(Some(n / 4)).unwrap()).collect();
        assert!((0..7).all(|network| busy(Some(network))));
        // Clients whose address is not known count among all alone.
        places.extend((0..4).map(|_| take(None).unwrap()));
        assert!(busy(None) && busy(Some(9)));
        places.remove(0);
        assert!(busy(Some(1)));
        places.push(take(Some(0)).unwrap());
        places.clear();
        let state = lock(&turns.state);
        assert!(state.places.is_empty() && state.queue.is_empty());
    }

    #[test]
    fn a_turn_that_panics_has_ended_with_its_place() {
        let turns = Turns::default();
        let [place, other] = [(); 2].map(|()| turns.take_place(None).unwrap());
        assert_ne!(place.number, other.number);
        let turn =
            std::panic::AssertUnwindSafe(|| place.turn(|| std::panic::resume_unwind(Box::new(1))));
        assert!(std::panic::catch_unwind(turn).is_err());
        drop(place);
        assert!(lock(&turns.state).queue.is_empty());
        assert_eq!(other.turn(|| 2), 2);
    }

    /// A sum of two bytes waited until two sums of three gigabytes had ended.
    #[test]
    fn a_short_sum_waits_for_a_turn_and_not_for_the_end_of_long_ones() {
        let turns = Turns::default();
        let places: Vec<_> = (0..3).map(|_| turns.take_place(None).unwrap()).collect();
        let (ended, end) = channel();
        std::thread::scope(|scope| {
            let (first, second) = (channel::<()>(), channel::<()>());
            let long = |place: usize, (_, go): (_, std::sync::mpsc::Receiver<()>)| {
                let (places, ended) = (&places, ended.clone());
                move || {
                    for _ in 0..2 {
                        places[place].turn(|| go.recv().unwrap());
                    }
                    ended.send("long").unwrap();
                }
            };
            let go = [first.0.clone(), second.0.clone()];
            scope.spawn(long(0, (first.0, first.1)));
            scope.spawn(long(1, (second.0, second.1)));
            let queued = |n: usize| {
                while lock(&turns.state).queue.len() < n {
                    std::thread::yield_now();
                }
            };
            queued(2);
            let (places, short) = (&places, ended.clone());
            scope.spawn(move || places[2].turn(|| short.send("short").unwrap()));
            queued(3);
            go[0].send(()).unwrap();
            assert_eq!(end.recv().unwrap(), "short");
            (0..2).for_each(|n| go[n].send(()).unwrap());
            go[1].send(()).unwrap();
            assert_eq!([end.recv().unwrap(), end.recv().unwrap()], ["long", "long"]);
        });
    }
}
