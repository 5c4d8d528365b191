//! Permits for connections: a limited number in all, and from one address.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use crate::error::{Code, Error, Result, lock};

/// How many connections a server takes.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// In all.
    pub all: usize,
    /// From one address.
    pub per_address: usize,
}

/// The permits of one server.
pub(super) struct Permits {
    limits: ConnectionLimits,
    /// The network of each open connection. `None` is one whose address is not known: all of these are alike.
    networks: Mutex<Vec<Option<u128>>>,
}

/// The permission for one connection. Dropping it allows another one.
pub(super) struct Permit {
    /// How many connections there were when it was taken, with this one.
    pub(super) connected: usize,
    /// Where the connection is counted, once its client's address is known: at an IPv4 address, or at the first 64
    /// bits of an IPv6 address.
    pub(super) network: Option<u128>,
    permits: Arc<Permits>,
}

impl Permits {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Permits> {
        Arc::new(Permits { limits, networks: Mutex::default() })
    }

    /// Returns a permit for a connection from this address, if it is known already.
    ///
    /// # Errors
    /// All connections are taken, or all from this address.
    pub(super) fn take(self: &Arc<Permits>, address: Option<IpAddr>) -> Result<Permit> {
        let mut open = lock(&self.networks);
        if open.len() >= self.limits.all {
            return Err(busy("all connections are taken"));
        }
        let network = self.limits.network_with_room(address, &open)?;
        open.push(network);
        Ok(Permit { connected: open.len(), network, permits: Arc::clone(self) })
    }
}

impl ConnectionLimits {
    /// The network that a connection from this address counts for. `None` if the address is not known.
    ///
    /// A machine with IPv6 can choose any address in its /64, the network of one home or one site. So a /64 counts as one
    /// address. It may also be a whole classroom, so it may have four times as many connections, but at most half of
    /// all, or as many as an IPv4 address if that is more.
    ///
    /// # Errors
    /// The network has as many connections as it may have.
    fn network_with_room(
        self,
        address: Option<IpAddr>,
        open: &[Option<u128>],
    ) -> Result<Option<u128>> {
        let Some(address) = address else { return Ok(None) };
        let (network, most) = match address.to_canonical() {
            IpAddr::V4(address) => (address.to_ipv6_mapped().to_bits(), self.per_address),
            IpAddr::V6(address) => (
                address.to_bits() >> 64 << 64,
                self.per_address.saturating_mul(4).min(self.all / 2).max(self.per_address),
            ),
        };
        if open.iter().filter(|it| **it == Some(network)).count() >= most {
            return Err(busy("too many connections from your address"));
        }
        Ok(Some(network))
    }
}

impl Permit {
    /// Counts the connection among those from this address. This is done once.
    ///
    /// # Errors
    /// All connections from this address are taken.
    pub(super) fn count_at(&mut self, address: IpAddr) -> Result<()> {
        let mut open = lock(&self.permits.networks);
        self.network = self.permits.limits.network_with_room(Some(address), &open)?;
        if let Some(own) = open.iter_mut().find(|it| it.is_none()) {
            *own = self.network;
        }
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = lock(&self.permits.networks);
        // Equal ones are alike: any of them will do.
        if let Some(at) = open.iter().position(|it| *it == self.network) {
            open.swap_remove(at);
        }
    }
}

/// The error for a connection that cannot be served now.
pub(super) fn busy(why: &str) -> Error {
    Error::new(Code::Busy, format!("{why}: try again in a moment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_permit_is_free() {
        let [one, other, third]: [IpAddr; 3] =
            ["192.0.2.1", "192.0.2.2", "::1"].map(|text| text.parse().unwrap());
        let permits = Permits::new(ConnectionLimits { all: 3, per_address: 2 });
        let first = permits.take(Some(one));
        let second = permits.take(Some(one));
        assert!(first.is_ok() && second.is_ok());
        assert!(permits.take(Some(one)).is_err_and(|why| why.sentence().starts_with("too many")));
        let fourth = permits.take(Some(other));
        assert!(fourth.is_ok());
        assert!(
            permits
                .take(Some(third))
                .is_err_and(|why| why.sentence().starts_with("all connections"))
        );
        drop(first);
        assert!(permits.take(Some(one)).is_ok());
        drop((second, fourth));
        assert!(lock(&permits.networks).is_empty());
    }

    /// A single machine could take all connections, from an address of its own for each.
    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let address = |text: &str| -> IpAddr { text.parse().unwrap() };
        let permits = Permits::new(ConnectionLimits { all: 100, per_address: 2 });
        let in_one: Vec<_> = (0..8)
            .map(|n| permits.take(Some(address(&format!("2001:db8::{n}:1")))).ok().unwrap())
            .collect();
        assert!(permits.take(Some(address("2001:db8::ffff"))).is_err());
        assert!(permits.take(Some(address("2001:db8:0:1::1"))).is_ok());
        // An IPv4 address that a socket for both shows as IPv6 is one address, with the plain cap.
        let _two = ["192.0.2.1", "::ffff:192.0.2.1"]
            .map(|text| permits.take(Some(address(text))).ok().unwrap());
        assert!(permits.take(Some(address("::ffff:192.0.2.1"))).is_err());
        assert!(permits.take(Some(address("::ffff:192.0.2.2"))).is_ok());
        drop(in_one);
        assert!(permits.take(Some(address("2001:db8::ffff"))).is_ok());
        // With the defaults, 256 connections of one /64 were all that there are.
        let most = |all, per_address| {
            let permits = Permits::new(ConnectionLimits { all, per_address });
            let mut taken = Vec::new();
            while let Ok(permit) = permits.take(Some(address("2001:db8::1"))) {
                taken.push(permit);
            }
            taken.len()
        };
        assert_eq!([most(256, 64), most(1000, 64), most(100, 64)], [128, 256, 64]);
    }
}
