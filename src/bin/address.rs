//! Where a server can be reached: this machine's own address, as another machine in the same network
//! sees it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The address under which other machines reach a listener at this one, as a command line has it.
/// `None`: there is none, or this machine is in no network that leads anywhere.
pub(crate) fn for_others(listening: IpAddr) -> Option<String> {
    // Addresses for documentation, which no machine has.
    let v4 = || source_towards(Ipv4Addr::new(192, 0, 2, 1).into());
    let v6 = || source_towards(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into());
    let own = match listening {
        own if own.is_loopback() => None,
        own if !own.is_unspecified() => Some(own),
        IpAddr::V4(_) => v4(),
        // A Windows socket for IPv6 takes no IPv4 connections.
        IpAddr::V6(_) if cfg!(windows) => v6(),
        IpAddr::V6(_) => v6().or_else(v4),
    };
    own.map(|own| if own.is_ipv6() { format!("[{own}]") } else { own.to_string() })
}

/// The address from which this machine would send there. To connect a UDP socket sends nothing: the
/// system only chooses the route, and with it the address.
fn source_towards(there: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match there {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(SocketAddr::new(there, 9)).ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_address_is_for_this_machine_only() {
        for own in ["127.0.0.1", "127.5.6.7", "::1"] {
            assert_eq!(for_others(own.parse().unwrap()), None, "{own}");
        }
        for (own, typed) in [("192.168.1.20", "192.168.1.20"), ("2001:db8::20", "[2001:db8::20]")] {
            assert_eq!(for_others(own.parse().unwrap()), Some(typed.to_owned()));
        }
        for any in ["0.0.0.0", "::"] {
            let found = for_others(any.parse().unwrap());
            let found = found.map(|own| own.trim_matches(['[', ']']).parse::<IpAddr>().unwrap());
            assert!(found.is_none_or(|own| !own.is_loopback() && !own.is_unspecified()));
        }
    }
}
