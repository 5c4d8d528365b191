//! How many connections there are, and how many there may be: in all, and from one address.
//!
//! A machine with IPv6 has as many addresses as it likes in its /64, so a /64 counts as one address. It may be
//! a whole classroom too, and has four times the cap.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The places of one server.
#[derive(Clone)]
pub(super) struct Places {
    most: usize,
    most_per_address: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_network: HashMap<Network, usize>,
}

/// The addresses that count as one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    V4(Ipv4Addr),
    /// The first 64 bits.
    V6([u16; 4]),
}

impl Network {
    fn of(address: IpAddr) -> Network {
        match address.to_canonical() {
            IpAddr::V4(address) => Network::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Network::V6([a, b, c, d])
            }
        }
    }

    /// How many connections it may have, where an IPv4 address may have so many.
    fn most(self, per_address: usize) -> usize {
        match self {
            Network::V4(_) => per_address,
            Network::V6(_) => per_address.saturating_mul(4),
        }
    }
}

/// A place, free again when it is dropped.
pub(super) struct Place {
    network: Network,
    places: Places,
}

impl Places {
    pub(super) fn new(most: usize, most_per_address: usize) -> Places {
        Places { most, most_per_address, taken: Arc::default() }
    }

    /// A place for somebody from this address; or why there is none.
    pub(super) fn take(&self, address: IpAddr) -> Result<Place, &'static str> {
        let mut taken = self.taken();
        if taken.all >= self.most {
            return Err("all connections are taken");
        }
        let network = Network::of(address);
        let here = taken.by_network.entry(network).or_default();
        if *here >= network.most(self.most_per_address) {
            return Err("your address has all the connections that it may have");
        }
        *here = here.saturating_add(1);
        taken.all = taken.all.saturating_add(1);
        Ok(Place { network, places: self.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all = taken.all.saturating_sub(1);
        if let Some(here) = taken.by_network.get_mut(&self.network) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                taken.by_network.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_owner_goes() {
        let [one, other, third]: [IpAddr; 3] =
            ["192.0.2.1", "192.0.2.2", "::1"].map(|text| text.parse().unwrap());
        let places = Places::new(3, 2);
        let first = places.take(one);
        let second = places.take(one);
        assert!(first.is_ok() && second.is_ok());
        assert!(places.take(one).is_err_and(|why| why.starts_with("your address")));
        let fourth = places.take(other);
        assert!(fourth.is_ok());
        assert!(places.take(third).is_err_and(|why| why.starts_with("all connections")));
        drop(first);
        assert!(places.take(one).is_ok());
        drop((second, fourth));
        assert!(places.taken().by_network.is_empty() && places.taken().all == 0);
    }

    /// A single machine could take all connections, from an address of its own for each.
    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let address = |text: &str| -> IpAddr { text.parse().unwrap() };
        let places = Places::new(100, 2);
        let in_one: Vec<_> = (0..8)
            .map(|n| places.take(address(&format!("2001:db8::{n}:1"))).ok().unwrap())
            .collect();
        assert!(places.take(address("2001:db8::ffff")).is_err());
        assert!(places.take(address("2001:db8:0:1::1")).is_ok());
        // An IPv4 address that a socket for both shows as IPv6 is one address, with the plain cap.
        let _two =
            ["192.0.2.1", "::ffff:192.0.2.1"].map(|text| places.take(address(text)).ok().unwrap());
        assert!(places.take(address("::ffff:192.0.2.1")).is_err());
        assert!(places.take(address("::ffff:192.0.2.2")).is_ok());
        drop(in_one);
        assert!(places.take(address("2001:db8::ffff")).is_ok());
    }
}
