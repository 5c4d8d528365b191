//! Long work takes turns, so that no client can keep the server from the others.
//!
//! Expensive requests are sums, resumes while their beginning is summed, and long lists while they are sent. Each has
//! a place as long as it lasts. A network of clients has few places, and all together have a limited number: one
//! more is refused, and its connection goes on. Sums run in turns, first come, first served, so that a short one
//! does not wait until a long one has ended.

use std::collections::{HashMap, VecDeque};
use std::ops::Deref;
use std::sync::{Condvar, Mutex, PoisonError};

use super::Store;
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
    /// The number of places that are taken, in all and by each network.
    all: usize,
    by_network: HashMap<u128, usize>,
    /// The sums that wait for their turn. The first ones run.
    queue: VecDeque<u64>,
    next: u64,
}

/// The store as one client may use it.
pub struct Access<'s> {
    store: &'s Store,
    network: Option<u128>,
}

impl Deref for Access<'_> {
    type Target = Store;

    fn deref(&self) -> &Store {
        self.store
    }
}

impl<'s> Access<'s> {
    /// Takes a place for an expensive request.
    ///
    /// # Errors
    /// All are taken, or all of this client's network.
    pub fn take_place(&self) -> Result<Place<'s>> {
        self.store.turns.take_place(self.network)
    }
}

impl Store {
    /// Access for a client of this network: an IPv4 address, or 64 bits of an IPv6 address. `None` is not known, and
    /// counts among all alone.
    #[must_use]
    pub fn access(&self, network: Option<u128>) -> Access<'_> {
        Access { store: self, network }
    }
}

/// The permission for one expensive request. Dropping it allows another one.
pub struct Place<'t> {
    turns: &'t Turns,
    network: Option<u128>,
    number: u64,
}

impl Turns {
    pub(super) fn take_place(&self, network: Option<u128>) -> Result<Place<'_>> {
        let state = &mut *lock(&self.state);
        let own = network.map_or(0, |it| state.by_network.get(&it).copied().unwrap_or(0));
        if own >= PLACES_PER_NETWORK || state.all >= PLACES {
            let sentence = "too many long lists and sums are under way: try again in a moment";
            return Err(Error::new(Code::Busy, sentence));
        }
        state.all += 1;
        if let Some(network) = network {
            state.by_network.insert(network, own + 1);
        }
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
        state.all -= 1;
        state.queue.retain(|n| *n != self.number);
        if let Some(network) = self.network
            && let Some(own) = state.by_network.get_mut(&network)
        {
            *own -= 1;
            state.by_network.retain(|_, own| *own > 0);
        }
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
        let busy = |network| turns.take_place(network).is_err_and(|e| e.is(Code::Busy));
        let places = (0..28).map(|n| turns.take_place(Some(n / 4)).unwrap());
        let mut places: Vec<_> = places.collect();
        assert!((0..7).all(|network| busy(Some(network))));
        // Clients whose address is not known count among all alone.
        places.extend((0..4).map(|_| turns.take_place(None).unwrap()));
        assert!(busy(None) && busy(Some(9)));
        places.remove(0);
        assert!(busy(Some(1)));
        places.push(turns.take_place(Some(0)).unwrap());
        places.clear();
        let state = lock(&turns.state);
        assert!(state.all == 0 && state.by_network.is_empty() && state.queue.is_empty());
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
