//! What the kernel says of a connection: its row in `/proc/net/tcp` or `tcp6`, which only Linux has.
//!
//! A row has the state, the bytes in both queues and the timer that runs. It has no window, and no count of all that
//! was sent again: [`Row::timeouts`] are those since the last acknowledgement. For each
//! look the kernel goes through its whole table of sockets. That takes some 5 ms where the table is large, and 20 ms with
//! ten thousand sockets in it: enough for a trace, but the calls are slower than without it.
//!
//! ```text
//!   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt
//!    4: 0100007F:1F90 0100007F:C1B6 01 0000000A:00000000 01:00000014 00000002
//! ```

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpStream};

use crate::lab::text::said;
use crate::lang::Msg;

pub(super) const IPV4: &str = "/proc/net/tcp";
const IPV6: &str = "/proc/net/tcp6";

/// The states, in the kernel's order, which begins with 1.
const STATES: &str = "ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT \
                      LAST_ACK LISTEN CLOSING SYN_RECV";

pub(super) const LISTEN: &str = "LISTEN";
pub(super) const TIME_WAIT: &str = "TIME_WAIT";

/// What RFC 9293 calls the state of a socket that the kernel does not have any more.
pub(super) const CLOSED: Row =
    Row { state: "CLOSED", sent: 0, unread: 0, timer: None, timeouts: 0 };

/// What the kernel says of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The state, as RFC 9293 calls it.
    pub state: &'static str,
    /// Bytes that were written and are not acknowledged. A FIN counts as one.
    pub sent: u64,
    /// Bytes that have come and are not read. Of a listener: connections that are not accepted.
    pub unread: u64,
    /// The timer that runs.
    pub timer: Option<&'static str>,
    /// How often the retransmission timer has ended since the last acknowledgement.
    pub timeouts: u64,
}

impl fmt::Display for Row {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state {
            LISTEN => return write!(to, "{LISTEN} {}", self.unread),
            state if state == TIME_WAIT || *self == CLOSED => return write!(to, "{state}"),
            state => write!(to, "{state} out {} in {}", self.sent, self.unread)?,
        }
        if let Some(timer) = self.timer {
            write!(to, " timer {timer}")?;
        }
        if self.timeouts > 0 {
            write!(to, " timeouts {}", self.timeouts)?;
        }
        Ok(())
    }
}

/// A socket's own address, its peer's, and what the kernel says of it.
type Entry = (SocketAddr, SocketAddr, Row);

/// A line of a table: both addresses, and what the kernel says. The first line, which names the columns, is none.
fn parse(line: &str) -> Option<Entry> {
    let mut words = line.split_whitespace().skip(1);
    let own = address(words.next()?)?;
    let peer = address(words.next()?)?;
    let code = hex(words.next()?)?;
    let (sent, unread) = words.next()?.split_once(':')?;
    let (timer, _) = words.next()?.split_once(':')?;
    let timeouts = hex(words.next()?)?;
    let state = STATES.split(' ').nth(usize::try_from(code.checked_sub(1)?).ok()?)?;
    let timer = match hex(timer)? {
        1 => Some("retransmit"),
        // Without the option SO_KEEPALIVE too: a socket has one timer for several uses.
        2 => Some("keepalive"),
        4 => Some("probe"),
        // Of TIME_WAIT, which says so itself.
        _ => None,
    };
    Some((own, peer, Row { state, sent: hex(sent)?, unread: hex(unread)?, timer, timeouts }))
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// `0100007F:1F90`: words of four bytes as this machine keeps them in memory, and the port. An IPv4 address in `tcp6`
/// becomes what it is.
fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let mut bytes = Vec::new();
    for start in (0..words.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(words.get(start..start + 8)?, 16).ok()?.to_ne_bytes());
    }
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(four) => IpAddr::from(four),
        Err(_) => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical(),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// The rows of a table in which this port is.
pub(super) fn rows(table: &str, port: u16) -> Vec<Entry> {
    let port = format!(":{port:04X} ");
    let text = fs::read_to_string(table).unwrap_or_default();
    text.lines().filter(|line| line.contains(&port)).filter_map(parse).collect()
}

/// The row of the socket with these addresses. On one machine the other end has them the other way round.
fn find(rows: &[Entry], own: SocketAddr, peer: SocketAddr) -> Option<Row> {
    rows.iter().find(|(from, to, _)| (*from, *to) == (own, peer)).map(|(_, _, row)| *row)
}

/// The row of the listener that takes connections to this address.
pub(super) fn listener(rows: &[Entry], at: SocketAddr) -> Option<Row> {
    let is_it = |own: &SocketAddr| {
        own.port() == at.port() && (own.ip() == at.ip() || own.ip().is_unspecified())
    };
    rows.iter().find(|(own, _, row)| row.state == LISTEN && is_it(own)).map(|(_, _, row)| *row)
}

/// Whether the kernel can be asked at all.
///
/// # Errors
/// It cannot.
pub(in crate::lab) fn check(is_wanted: bool) -> Result<(), Msg> {
    if !is_wanted || (cfg!(target_os = "linux") && fs::File::open(IPV4).is_ok()) {
        return Ok(());
    }
    Err(said("no-kernel", &[]))
}

/// Asks the kernel about one socket, again and again.
pub(super) struct Watch {
    own: SocketAddr,
    peer: SocketAddr,
    /// The socket's row and its listener's, as they were last time.
    last: [Option<Row>; 2],
}

impl Watch {
    pub(super) fn new(socket: &TcpStream) -> Option<Watch> {
        let plain = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
        Some(Watch::between(plain(socket.local_addr().ok()?), plain(socket.peer_addr().ok()?)))
    }

    /// Asks about the socket with these addresses.
    pub(super) fn between(own: SocketAddr, peer: SocketAddr) -> Watch {
        Watch { own, peer, last: [None; 2] }
    }

    /// The rows that have changed since last time. A listener with nothing in its backlog is not worth a line.
    pub(super) fn look(&mut self) -> impl Iterator<Item = Row> + use<> {
        let [own, listener] = self.ask();
        let [had, _] = self.last;
        let now = [own.or(had.map(|_| CLOSED)), listener];
        let last = std::mem::replace(&mut self.last, now);
        now.into_iter().zip(last).filter(|(now, last)| now != last).filter_map(|(now, _)| now)
    }

    /// The row, and that of its listener. A server that listens on IPv6 has its IPv4 connections in that table.
    fn ask(&self) -> [Option<Row>; 2] {
        let tables = if self.own.is_ipv4() { &[IPV4, IPV6][..] } else { &[IPV6] };
        for table in tables {
            let rows = rows(table, self.own.port());
            if let Some(row) = find(&rows, self.own, self.peer) {
                return [Some(row), listener(&rows, self.own).filter(|row| row.unread > 0)];
            }
        }
        [None, None]
    }

    /// What the kernel says now.
    pub(super) fn row(&self) -> Row {
        let [row, _] = self.ask();
        row.unwrap_or(CLOSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// As a little-endian machine prints them.
    #[test]
    #[cfg(target_endian = "little")]
    fn recorded_rows_are_understood() {
        let of = |line: &str| parse(line).map(|(own, peer, row)| (own, peer, row.to_string()));
        let rest = "     0        0 1454 1 0000000088ffd86e 100 0 0 10 0";
        for (line, own, peer, says) in [
            (
                "   0: 00000000:07E8 00000000:0000 0A 00000000:00000003 00:00000000 00000000",
                "0.0.0.0:2024",
                "0.0.0.0:0",
                "LISTEN 3",
            ),
            (
                "   1: 0100007F:C1B6 0100007F:8F21 06 00000000:00000000 03:000010EE 00000000",
                "127.0.0.1:49590",
                "127.0.0.1:36641",
                "TIME_WAIT",
            ),
            (
                "  12: 0100007F:81B6 0100007F:D4D3 01 00000001:00000000 01:000000C6 00000004",
                "127.0.0.1:33206",
                "127.0.0.1:54483",
                "ESTABLISHED out 1 in 0 timer retransmit timeouts 4",
            ),
            (
                "   2: 0100007F:81B6 0100007F:D4D3 01 0027AC40:00000000 04:00000014 00000000",
                "127.0.0.1:33206",
                "127.0.0.1:54483",
                "ESTABLISHED out 2600000 in 0 timer probe",
            ),
            (
                "   3: 0000000000000000FFFF00000100007F:04D2 \
                 0000000000000000FFFF00000200007F:D4D3 08 00000000:0000000A 02:0000AFC8 00000000",
                "127.0.0.1:1234",
                "127.0.0.2:54483",
                "CLOSE_WAIT out 0 in 10 timer keepalive",
            ),
            (
                "   4: B80D01201111222244443333FE000000:04D2 \
                 00000000000000000000000001000000:D4D3 02 00000001:00000000 01:00000064 00000000",
                "[2001:db8:2222:1111:3333:4444:0:fe]:1234",
                "[::1]:54483",
                "SYN_SENT out 1 in 0 timer retransmit",
            ),
        ] {
            let found = of(&format!("{line}{rest}"));
            assert_eq!(found, Some((at(own), at(peer), says.to_owned())), "{line}");
        }
        for wrong in
            ["", "  sl  local_address rem_address   st tx_queue", "1: 01:1 01:1 01 0:0 0:0 0"]
        {
            assert_eq!(of(wrong), None);
        }
        assert_eq!(of("1: 0100007F:1 0100007F:1 FF 0:0 0:0 0"), None);
    }

    #[test]
    fn a_row_is_its_own_and_not_the_other_ends() {
        let row = |state, unread| Row { state, sent: 0, unread, timer: None, timeouts: 0 };
        let (client, server) = (at("127.0.0.1:5000"), at("127.0.0.1:1234"));
        let rows = [
            (client, server, row("ESTABLISHED", 1)),
            (server, client, row("CLOSE_WAIT", 2)),
            (at("[::]:1234"), at("[::]:0"), row(LISTEN, 3)),
            (at("127.0.0.2:1234"), at("0.0.0.0:0"), row(LISTEN, 4)),
        ];
        let unread = |row: Option<Row>| row.map(|row| row.unread);
        assert_eq!(unread(find(&rows, client, server)), Some(1));
        assert_eq!(unread(find(&rows, server, client)), Some(2));
        assert_eq!(unread(find(&rows, client, client)), None);
        assert_eq!(unread(listener(&rows, server)), Some(3));
        assert_eq!(unread(listener(&rows, client)), None);
    }

    /// What was written and what is not read, seen from both ends, over IPv4, IPv6 and IPv4 in IPv6.
    #[test]
    #[cfg(target_os = "linux")]
    fn both_ends_are_found_by_every_address() {
        use std::io::Write;
        use std::net::TcpListener;
        use std::time::{Duration, Instant};
        for (bound, reached) in
            [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("[::]:0", "127.0.0.1")]
        {
            // A machine may have no IPv6.
            let Ok(listening) = TcpListener::bind(bound) else { continue };
            let port = listening.local_addr().unwrap().port();
            let mut client = TcpStream::connect((reached, port)).unwrap();
            let table = if bound == "127.0.0.1:0" { IPV4 } else { IPV6 };
            let at = client.peer_addr().unwrap();
            let backlog = listener(&rows(table, port), at).unwrap();
            assert_eq!(backlog.unread, 1, "{bound}");
            let (server, _) = listening.accept().unwrap();
            let mut own = Watch::new(&client).unwrap();
            let mut other = Watch::new(&server).unwrap();
            client.write_all(b"hello").unwrap();
            let seen: Vec<_> = own.look().map(|row| row.state).collect();
            assert_eq!(seen, ["ESTABLISHED"], "{bound}");
            let seen: Vec<_> = other.look().map(|row| row.to_string()).collect();
            assert_eq!(seen, ["ESTABLISHED out 0 in 5"], "{bound}");
            assert_eq!(other.look().count(), 0, "nothing has changed");
            // The server has its unread bytes, so this resets the connection, and both rows go, soon on a busy machine.
            drop(server);
            let (mut seen, begun) = (Vec::new(), Instant::now());
            while seen.len() < 2 && begun.elapsed() < Duration::from_secs(10) {
                seen.extend(own.look().chain(other.look()).map(|row| row.to_string()));
            }
            assert_eq!(seen, ["CLOSED", "CLOSED"]);
            assert_eq!(other.look().count(), 0);
        }
    }
}
