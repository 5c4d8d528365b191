//! The line with which a load balancer says whose connection it passes on: the PROXY protocol of HAProxy,
//! version 1.
//!
//! ```text
//! PROXY TCP4 192.0.2.7 198.51.100.1 50312 1234\r\n
//! PROXY TCP6 2001:db8::7 2001:db8::1 50312 1234\r\n
//! PROXY UNKNOWN\r\n
//! ```
//!
//! The client's address is first, then the one that it has connected to, then both ports.

use std::io::{ErrorKind as Kind, Read};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Instant;

use super::Connection;
use crate::error::{Code, Error, Result};
use crate::limits;
use crate::wire::stream::is_silence;

/// Reads the line that a connection begins with, puts the client's address in the place of the balancer's, and counts
/// the connection there. If the balancer does not know the address, it counts for none.
///
/// # Errors
/// Something else came, or the line is not complete in time, or the client has too many connections.
pub(super) fn find_client(connection: &mut Connection) -> Result<()> {
    let Some(client) = read_line(&connection.stream)? else { return Ok(()) };
    connection.peer = client;
    connection.permit.count_at(client.ip())
}

/// Reads the line and leaves what follows it in the socket. Returns the client's address; `None` if the balancer
/// does not know it.
fn read_line(stream: &TcpStream) -> Result<Option<SocketAddr>> {
    let end = Instant::now() + limits::PROXY_TIME;
    let mut line = Vec::with_capacity(limits::PROXY_LINE);
    while line.len() < limits::PROXY_LINE && !line.ends_with(b"\n") {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(unexpected(Code::Timeout, "no PROXY line came in time", &line));
        }
        stream.set_read_timeout(Some(left)).map_err(|error| Error::connection(&error))?;
        // A look first, so that no byte after the line is taken.
        let mut ahead = [0; limits::PROXY_LINE];
        let come = match stream.peek(&mut ahead) {
            Ok(0) => return Err(Error::gone("the connection ended before the PROXY line did")),
            Ok(come) => come.min(limits::PROXY_LINE - line.len()),
            Err(error) if error.kind() == Kind::Interrupted || is_silence(&error) => continue,
            Err(error) => return Err(Error::connection(&error)),
        };
        let lf = ahead.iter().take(come).position(|byte| *byte == b'\n');
        let length = lf.map_or(come, |lf| lf + 1) as u64;
        let read = stream.take(length).read_to_end(&mut line);
        read.map_err(|error| Error::connection(&error))?;
    }
    parse(&line).ok_or_else(|| unexpected(Code::BadRequest, "expected a PROXY line", &line))
}

/// For the log only: the peer gets no reply.
fn unexpected(code: Code, sentence: &str, got: &[u8]) -> Error {
    Error::new(code, sentence).because(format!("got '{}'", String::from_utf8_lossy(got)))
}

/// The client's address in a line, or that it is not known. `None`: this is not such a line.
#[expect(clippy::option_option, reason = "no address is not the same as no line")]
fn parse(line: &[u8]) -> Option<Option<SocketAddr>> {
    let line = line.strip_suffix(b"\r\n")?;
    // What follows this word has no meaning.
    if let Some(b"" | [b' ', ..]) = line.strip_prefix(b"PROXY UNKNOWN") {
        return Some(None);
    }
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let is_ipv4 = match (words.next()?, words.next()?) {
        ("PROXY", "TCP4") => true,
        ("PROXY", "TCP6") => false,
        _ => return None,
    };
    let ip = |text: &str| text.parse().ok().filter(|ip: &IpAddr| ip.is_ipv4() == is_ipv4);
    let (client, _) = (ip(words.next()?)?, ip(words.next()?)?);
    let (port, _) = (port(words.next()?)?, port(words.next()?)?);
    words.next().is_none().then(|| Some(SocketAddr::new(client, port)))
}

/// A port, written as a program writes it: no sign and no zeros in front.
fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port: &u16| port.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_exactly_or_not_at_all() {
        let good = [
            ("TCP4 192.0.2.7 198.51.100.1 50312 1234", Some("192.0.2.7:50312")),
            ("TCP4 255.255.255.255 0.0.0.0 65535 0", Some("255.255.255.255:65535")),
            ("TCP6 2001:db8::7 ::1 1 2", Some("[2001:db8::7]:1")),
            ("TCP6 2001:DB8:0:0:0:0:0:7 ::ffff:192.0.2.1 1 2", Some("[2001:db8::7]:1")),
            ("UNKNOWN", None),
            ("UNKNOWN ", None),
            ("UNKNOWN ffff::1 what \u{e9}ver 1 2", None),
        ];
        for (line, client) in good {
            let client = client.map(|text| text.parse::<SocketAddr>().unwrap());
            assert_eq!(parse(format!("PROXY {line}\r\n").as_bytes()), Some(client), "{line}");
            for end in ["", "\n", "\r", "\r\r\n\n", "\n\r"] {
                assert_eq!(parse(format!("PROXY {line}{end}").as_bytes()), None, "{line}{end:?}");
            }
            for start in ["", "proxy ", " PROXY ", "PROXY", "PROXY  ", "PROXY\t", "\nPROXY "] {
                assert_eq!(parse(format!("{start}{line}\r\n").as_bytes()), None, "{start}{line}");
            }
        }
        let bad = [
            "",
            "TCP4",
            "TCP5 192.0.2.7 198.51.100.1 1 2",
            "tcp4 192.0.2.7 198.51.100.1 1 2",
            "UDP4 192.0.2.7 198.51.100.1 1 2",
            "UNKNOWNS",
            "TCP4 192.0.2.7 198.51.100.1 1",
            "TCP4 192.0.2.7 198.51.100.1 1 ",
            "TCP4 192.0.2.7 198.51.100.1 1 2 ",
            "TCP4 192.0.2.7 198.51.100.1 1 2 3",
            "TCP4 192.0.2.7  198.51.100.1 1 2",
            "TCP4 192.0.2.7 198.51.100.1 01 2",
            "TCP4 192.0.2.7 198.51.100.1 1 00",
            "TCP4 192.0.2.7 198.51.100.1 +1 2",
            "TCP4 192.0.2.7 198.51.100.1 -1 2",
            "TCP4 192.0.2.7 198.51.100.1 65536 2",
            "TCP4 192.0.2.7 198.51.100.1 1 65536",
            "TCP4 192.0.2.7 198.51.100.1 0x1 2",
            "TCP4 192.0.2.07 198.51.100.1 1 2",
            "TCP4 192.0.2.256 198.51.100.1 1 2",
            "TCP4 192.0.2.7 198.51.100 1 2",
            "TCP4 2001:db8::7 ::1 1 2",
            "TCP4 192.0.2.7 ::1 1 2",
            "TCP6 192.0.2.7 198.51.100.1 1 2",
            "TCP6 [2001:db8::7] ::1 1 2",
            "TCP6 fe80::1%eth0 ::1 1 2",
            "TCP4 192.0.2.7\u{a0}198.51.100.1 1 2",
            "TCP4 192.0.2.7 198.51.100.1 1 \u{661}",
        ];
        for line in bad {
            assert_eq!(parse(format!("PROXY {line}\r\n").as_bytes()), None, "{line}");
        }
        assert_eq!(parse(b"PROXY TCP4 192.0.2.7 198.51.100.1 1 \xff\r\n"), None);
        // Version 2 begins like this.
        assert_eq!(parse(b"\r\n\r\n\0\r\nQUIT\n"), None);
    }
}
