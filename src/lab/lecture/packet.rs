//! TCP segments as IP packets, with the headers that Linux would have given them.

use std::net::{IpAddr, SocketAddr};

/// The most bytes in one segment: what Ethernet leaves for them under IPv4.
pub(super) const SEGMENT: usize = 1460;

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;

/// The options of a SYN, as Linux has them: the largest segment, and windows that are counted in 128 bytes.
const SYN_OPTIONS: [u8; 8] = [2, 4, 5, 0xb4, 1, 3, 3, 7];

/// The windows that Linux announces: in a SYN, where it is counted in bytes, and later.
const WINDOWS: [u16; 2] = [64_240, 502];

/// The headers of IP and TCP for a segment with these bytes.
pub(super) fn headers(
    [source, target]: [SocketAddr; 2],
    sequence: u32,
    acknowledged: u32,
    flags: u8,
    bytes: &[u8],
) -> Vec<u8> {
    let is_syn = flags & SYN != 0;
    let options: &[u8] = if is_syn { &SYN_OPTIONS } else { &[] };
    let [first, later] = WINDOWS;
    let mut tcp = Vec::with_capacity(28);
    tcp.extend(source.port().to_be_bytes());
    tcp.extend(target.port().to_be_bytes());
    tcp.extend(sequence.to_be_bytes());
    tcp.extend(acknowledged.to_be_bytes());
    // The header's length in words of four bytes.
    tcp.extend([if is_syn { 7 << 4 } else { 5 << 4 }, flags]);
    tcp.extend(if is_syn { first } else { later }.to_be_bytes());
    // The checksum, and no urgent bytes.
    tcp.extend([0; 4]);
    tcp.extend(options);
    // At most a segment and two headers.
    let length = u16::try_from(tcp.len() + bytes.len()).unwrap_or(u16::MAX);
    let mut ip = Vec::with_capacity(40);
    let addresses = match (source.ip(), target.ip()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            ip.extend([0x45, 0]);
            ip.extend(length.saturating_add(20).to_be_bytes());
            // No number, because the packet is not to be split, 64 hops, TCP, the checksum.
            ip.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
            ip.extend(source.octets());
            ip.extend(target.octets());
            set_checksum(&mut ip, 10, 0, &[]);
            12..20
        }
        (source, target) => {
            ip.extend([0x60, 0, 0, 0]);
            ip.extend(length.to_be_bytes());
            // TCP, 64 hops.
            ip.extend([6, 64]);
            ip.extend(v6(source));
            ip.extend(v6(target));
            8..40
        }
    };
    let addresses = sum(ip.get(addresses).unwrap_or_default());
    set_checksum(&mut tcp, 16, addresses + 6 + u64::from(length), bytes);
    [ip, tcp].concat()
}

/// The addresses in one version of IP. A socket for both versions tells IPv4 addresses as IPv6 ones, and a load
/// balancer may pass on a client of the other version.
pub(super) fn of_one_version(ends: [SocketAddr; 2]) -> [SocketAddr; 2] {
    let ends = ends.map(|at| SocketAddr::new(at.ip().to_canonical(), at.port()));
    if ends.iter().all(SocketAddr::is_ipv4) {
        return ends;
    }
    ends.map(|at| SocketAddr::new(v6(at.ip()).into(), at.port()))
}

/// An address as IPv6 has it.
fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// Puts the checksum of this header and what follows it into the header, where there are two zeros. `more` is
/// the sum of what else it is for.
fn set_checksum(header: &mut [u8], at: usize, more: u64, bytes: &[u8]) {
    let mut sum = more + sum(header) + sum(bytes);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    let checksum = !u16::try_from(sum).unwrap_or(0);
    if let Some(place) = header.get_mut(at..at + 2) {
        place.copy_from_slice(&checksum.to_be_bytes());
    }
}

/// The sum of the numbers of two bytes each. A last byte alone is the higher half of one.
fn sum(bytes: &[u8]) -> u64 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let pairs: u64 = pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum();
    pairs + rest.first().map_or(0, |last| u64::from(*last) << 8)
}
