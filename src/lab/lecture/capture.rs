//! What a program reads and writes, as a file for Wireshark, tshark and tcpdump: `--capture`.
//!
//! For each connection, one more [`Observer`] is directly above the socket. It writes TCP segments that could have
//! carried what the calls moved: a handshake, segments of at most 1,460 bytes, an acknowledgement after each call,
//! and the end. So this needs no right to capture. But the packets are the program's calls, and not what crossed
//! the cable. What the peer sent has the time at which it was read.
//!
//! The format is the classic one of libpcap: a header for the file, then for each packet a header and its
//! bytes. These begin with the IP header, because there is no link below.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use super::trace::{Event, Observer, Side};
use crate::cli::InstrumentFlags;
use crate::error::lock;
use crate::lab::words;
use crate::lang::Msg;

/// The most bytes in one segment: what Ethernet leaves for them under IPv4.
const SEGMENT: usize = 1460;

/// What the longest IP and TCP headers take here, in a packet with a payload.
const HEADERS: u32 = 60;

/// The longest packet of an IP header without extensions.
const LONGEST: u32 = 65_535;

/// Packets begin with the IP header, of either version: LINKTYPE_RAW.
const RAW_IP: u32 = 101;

/// The bytes before the first packet, and those before each.
const FILE_HEADER: u64 = 24;
const PACKET_HEADER: u64 = 16;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// The options of a SYN: the largest segment, and a window that is counted in 16 KiB, so that no write fills it.
const SYN_OPTIONS: [u8; 8] = [2, 4, 5, 0xb4, 1, 3, 3, 14];

/// The capture of this program. It has at most one, like it has one standard output.
static OF_PROGRAM: OnceLock<Capture> = OnceLock::new();

/// A file that packets are written to, from any number of connections.
#[derive(Clone)]
pub struct Capture(Arc<Shared>);

/// What is written to, and how long it is up to the last packet that was written whole.
struct Whole {
    writer: BufWriter<Box<dyn Write + Send>>,
    length: u64,
}

struct Shared {
    /// `None` after a failure.
    file: Mutex<Option<Whole>>,
    /// The same file, to cut off what is not whole. Standard output is not cut.
    cut: Option<File>,
    /// How many bytes of each payload are kept.
    kept: usize,
    began: (SystemTime, Instant),
    stopped: Box<dyn Fn(&io::Error) + Send + Sync>,
}

impl Capture {
    /// Creates the file that the user wants, and makes it the capture of this program. `tell` is called once if
    /// it cannot be written any more: the connections go on without it.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn start(
        flags: &InstrumentFlags,
        tell: impl Fn(Msg) + Send + Sync + 'static,
    ) -> Result<Option<Capture>, Msg> {
        let Some(file) = &flags.capture else { return Ok(None) };
        let failed = |error: io::Error| words::cannot_capture(file, &error.to_string());
        let (to, cut): (Box<dyn Write + Send>, _) = match flags.capture_takes_output() {
            true => (Box::new(io::stdout()), None),
            false => {
                let file = File::create(file).map_err(failed)?;
                let cut = file.try_clone().ok();
                (Box::new(file), cut)
            }
        };
        let stopped = move |error: &io::Error| tell(words::capture_stopped(&error.to_string()));
        let capture =
            Capture::new(to, cut, flags.capture_bytes, Box::new(stopped)).map_err(failed)?;
        Ok(Some(OF_PROGRAM.get_or_init(|| capture).clone()))
    }

    /// The capture of this program, if it has one.
    #[must_use]
    pub fn of_program() -> Option<Capture> {
        OF_PROGRAM.get().cloned()
    }

    fn new(
        to: Box<dyn Write + Send>,
        cut: Option<File>,
        bytes: Option<u32>,
        stopped: Box<dyn Fn(&io::Error) + Send + Sync>,
    ) -> io::Result<Capture> {
        let longest = bytes.map_or(LONGEST, |bytes| bytes.saturating_add(HEADERS).min(LONGEST));
        let mut file = BufWriter::with_capacity(64 << 10, to);
        // The magic number of a file with nanoseconds, its version 2.4, and the time zone, which is UTC.
        for number in [0xa1b2_3c4d_u32, 2 | 4 << 16, 0, 0, longest, RAW_IP] {
            file.write_all(&number.to_le_bytes())?;
        }
        file.flush()?;
        Ok(Capture(Arc::new(Shared {
            file: Mutex::new(Some(Whole { writer: file, length: FILE_HEADER })),
            cut,
            kept: bytes.map_or(SEGMENT, |bytes| usize::try_from(bytes).unwrap_or(SEGMENT)),
            began: (SystemTime::now(), Instant::now()),
            stopped,
        })))
    }

    /// A connection that has just been made.
    pub(super) fn begin(&self, side: Side, own: SocketAddr, peer: SocketAddr) -> Conversation {
        static CONNECTIONS: AtomicU32 = AtomicU32::new(1);
        // Different numbers, so that a port that is used again is not a segment that is sent again.
        let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b1);
        let ends = Ends {
            addresses: of_one_version(own, peer),
            next: [number, number.rotate_left(16)],
            ended: [false; 2],
            is_over: false,
        };
        let conversation = Conversation { capture: self.clone(), ends: Mutex::new(ends) };
        let [client, server] = if side == Side::Client { [OWN, PEER] } else { [PEER, OWN] };
        conversation.write(|ends, out| {
            out.segment(ends, client, SYN, &[])?;
            out.segment(ends, server, SYN | ACK, &[])?;
            out.segment(ends, client, ACK, &[])
        });
        conversation
    }

    /// Writes the packets of one event, which have the same time, and no other packet between them.
    fn write(&self, packets: impl FnOnce(&mut Packets<'_>) -> io::Result<()>) {
        let mut file = lock(&self.0.file);
        let Some(Whole { writer, length }) = file.as_mut() else { return };
        let (date, start) = self.0.began;
        let time = date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let time = time.saturating_add(start.elapsed());
        let mut out = Packets { file: writer, time, kept: self.0.kept, written: 0 };
        let written = packets(&mut out).map(|()| out.written);
        match written.and_then(|written| writer.flush().map(|()| written)) {
            Ok(written) => *length = length.saturating_add(written),
            Err(error) => {
                // A reader takes half a packet for a broken file.
                let length = *length;
                if let Some(Whole { writer, .. }) = file.take() {
                    // Not dropped: it would try to write the rest.
                    drop(writer.into_parts());
                }
                if let Some(cut) = &self.0.cut {
                    let _ = cut.set_len(length);
                }
                (self.0.stopped)(&error);
            }
        }
    }
}

/// The two ends of a connection, as indices.
const OWN: usize = 0;
const PEER: usize = 1;

/// What is known of both ends: this program's is the first.
struct Ends {
    addresses: [SocketAddr; 2],
    /// The sequence number of the next byte.
    next: [u32; 2],
    /// Which directions have ended.
    ended: [bool; 2],
    /// Both have ended, or the connection was reset.
    is_over: bool,
}

/// A connection in a capture.
pub(super) struct Conversation {
    capture: Capture,
    ends: Mutex<Ends>,
}

impl Conversation {
    fn write(&self, packets: impl FnOnce(&mut Ends, &mut Packets<'_>) -> io::Result<()>) {
        let mut ends = lock(&self.ends);
        self.capture.write(|out| packets(&mut ends, out));
    }

    /// Bytes that went from this end to the other, and the acknowledgement.
    fn moved(&self, from: usize, bytes: &[u8]) {
        self.write(|ends, out| {
            if ends.is_over || bytes.is_empty() {
                return Ok(());
            }
            let mut segments = bytes.chunks(SEGMENT).peekable();
            while let Some(segment) = segments.next() {
                let is_last = segments.peek().is_none();
                out.segment(ends, from, if is_last { PSH | ACK } else { ACK }, segment)?;
            }
            out.segment(ends, 1 - from, ACK, &[])
        });
    }

    fn ended(&self, from: usize) {
        self.write(|ends, out| {
            let has_ended = ends.ended.get_mut(from).is_none_or(|it| std::mem::replace(it, true));
            if ends.is_over || has_ended {
                return Ok(());
            }
            ends.is_over = ends.ended == [true; 2];
            out.segment(ends, from, FIN | ACK, &[])?;
            out.segment(ends, 1 - from, ACK, &[])
        });
    }

    fn reset(&self, by: usize) {
        self.write(|ends, out| {
            if std::mem::replace(&mut ends.is_over, true) {
                return Ok(());
            }
            out.segment(ends, by, RST | ACK, &[])
        });
    }
}

impl Observer for Conversation {
    fn see(&self, event: Event<'_>, _: Duration, _: Duration) {
        match event {
            Event::Read(bytes) => self.moved(PEER, bytes),
            Event::Wrote(bytes) => self.moved(OWN, bytes),
            Event::End => self.ended(PEER),
            Event::Ended => self.ended(OWN),
            Event::Reset => self.reset(PEER),
            Event::OurReset => self.reset(OWN),
            Event::Silence | Event::Message(..) => {}
        }
    }
}

/// A connection that is dropped is closed.
impl Drop for Conversation {
    fn drop(&mut self) {
        self.ended(OWN);
    }
}

/// Writes the packets of one event.
struct Packets<'f> {
    file: &'f mut BufWriter<Box<dyn Write + Send>>,
    /// Since 1970.
    time: Duration,
    kept: usize,
    /// How many bytes so far.
    written: u64,
}

impl Packets<'_> {
    /// Writes one segment from this end, and counts what takes a sequence number.
    fn segment(&mut self, ends: &mut Ends, from: usize, flags: u8, bytes: &[u8]) -> io::Result<()> {
        let Ends { addresses: [own, peer], next: [ours, theirs], .. } = ends;
        let (source, target, sequence, expected) =
            if from == OWN { (own, peer, ours, theirs) } else { (peer, own, theirs, ours) };
        let options: &[u8] = if flags & SYN == 0 { &[] } else { &SYN_OPTIONS };
        let acknowledged = if flags & ACK == 0 { 0 } else { *expected };
        let mut tcp = Vec::with_capacity(28);
        tcp.extend(source.port().to_be_bytes());
        tcp.extend(target.port().to_be_bytes());
        tcp.extend(sequence.to_be_bytes());
        tcp.extend(acknowledged.to_be_bytes());
        // The header's length in words of four bytes.
        tcp.extend([if options.is_empty() { 5 << 4 } else { 7 << 4 }, flags]);
        // The window, the checksum, and no urgent bytes.
        tcp.extend([0xff, 0xff, 0, 0, 0, 0]);
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
        let kept = bytes.get(..self.kept).unwrap_or(bytes);
        let headers = ip.len() + tcp.len();
        let size = |payload: &[u8]| u32::try_from(headers + payload.len()).unwrap_or(u32::MAX);
        // The format ends in 2106.
        let seconds = u32::try_from(self.time.as_secs()).unwrap_or(u32::MAX);
        for number in [seconds, self.time.subsec_nanos(), size(kept), size(bytes)] {
            self.file.write_all(&number.to_le_bytes())?;
        }
        self.file.write_all(&ip)?;
        self.file.write_all(&tcp)?;
        self.written += PACKET_HEADER + u64::from(size(kept));
        let taken = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let taken = taken.wrapping_add(u32::from(flags & (SYN | FIN) != 0));
        *sequence = sequence.wrapping_add(taken);
        self.file.write_all(kept)
    }
}

/// The addresses in one version of IP. A socket for both versions tells IPv4 addresses as IPv6 ones, and a load
/// balancer may pass on a client of the other version.
fn of_one_version(own: SocketAddr, peer: SocketAddr) -> [SocketAddr; 2] {
    let plain = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
    let [own, peer] = [plain(own), plain(peer)];
    let wide = |at: SocketAddr| SocketAddr::new(v6(at.ip()).into(), at.port());
    if own.is_ipv4() == peer.is_ipv4() { [own, peer] } else { [wide(own), wide(peer)] }
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
