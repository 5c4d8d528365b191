//! How many connections there are, and how many there may be: in all, and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
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
    by_address: HashMap<IpAddr, usize>,
}

/// A place, free again when it is dropped.
pub(super) struct Place {
    address: IpAddr,
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
        let here = taken.by_address.entry(address).or_default();
        if *here >= self.most_per_address {
            return Err("your address has all the connections that it may have");
        }
        *here = here.saturating_add(1);
        taken.all = taken.all.saturating_add(1);
        Ok(Place { address, places: self.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all = taken.all.saturating_sub(1);
        if let Some(here) = taken.by_address.get_mut(&self.address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                taken.by_address.remove(&self.address);
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
        assert!(places.taken().by_address.is_empty() && places.taken().all == 0);
    }
}
