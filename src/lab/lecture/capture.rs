//! What a program reads and writes, as a file for Wireshark, tshark and tcpdump: `--capture`.
//!
//! For each connection, an [`Observer`] writes TCP segments that could have carried what the calls moved: a handshake,
//! segments of at most 1,460 bytes, acknowledgements as a system sends them, and the end. So this needs no right to
//! capture. But the packets are the program's calls, and not what crossed the cable. What the peer sent has the time at
//! which it was read.
//!
//! An acknowledgement goes with the next segment of its side. If none comes, it is sent alone: at once after two full
//! segments or where both directions have ended, else after 40 ms.
//!
//! The format is pcapng: each packet has a comment that says which call it was, or that it is made up. A file whose
//! name ends in `.pcap` has the older format of libpcap, without comments. Packets begin with the IP header, because
//! there is no link below.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::packet::{ACK, FIN, PSH, RST, SEGMENT, SYN, headers, of_one_version};
use super::trace::{Connection, Event, Observer, Side};
use crate::cli::InstrumentFlags;
use crate::error::lock;
use crate::lab::text::said;
use crate::lang::{Msg, readable};

/// What the longest IP and TCP headers take here, in a packet with a payload.
const HEADERS: u32 = 60;

/// The longest packet of an IP header without extensions.
const LONGEST: u32 = 65_535;

/// Packets begin with the IP header, of either version: LINKTYPE_RAW.
const RAW_IP: u32 = 101;

/// How long an acknowledgement waits for a segment of its side: as on Linux.
const DELAY: Duration = Duration::from_millis(40);

/// How many full segments are acknowledged at once: RFC 9293, 3.8.6.3.
const FULL: usize = 2;

/// Packets that wait to be written, in bytes: those of some milliseconds at full speed.
const QUEUE: usize = 4 << 20;

/// How long connections wait for a full queue, so that a slow disk gets all packets. Whatever has not moved by
/// then has perhaps stopped for ever, and they do not wait again before the queue was empty.
const PATIENCE: Duration = Duration::from_secs(1);

/// The capture of this program. It has at most one, like it has one standard output.
static OF_PROGRAM: OnceLock<Arc<Capture>> = OnceLock::new();

/// A file that packets are written to, from any number of connections.
pub struct Capture {
    queue: Mutex<Queue>,
    changed: Condvar,
    began: (SystemTime, Instant),
    tell: Box<dyn Fn(Msg) + Send + Sync>,
}

/// What waits for the thread that writes. A reader of the file that stops must not stop the connections.
#[derive(Default)]
struct Queue {
    /// How many bytes of each payload are kept.
    kept: usize,
    has_comments: bool,
    /// Since 1970.
    time: Duration,
    /// The acknowledgements that are delayed: those that are due first come first.
    owed: VecDeque<Owed>,
    /// The packets of the event that is being added.
    packets: Vec<u8>,
    /// Those of the events before it.
    events: VecDeque<Vec<u8>>,
    /// How many bytes are not written yet: those of the events, and those that are being written.
    unwritten: usize,
    /// How many events were not kept, if it was full for [`PATIENCE`] and has not been empty since, or if the file cannot
    /// be written any more.
    stuck: Option<u64>,
}

/// An acknowledgement that waits for a segment that can carry it.
struct Owed {
    due: Duration,
    /// The number of the connection, and the end that owes it.
    by: (u32, Side),
    packet: Vec<u8>,
}

impl Queue {
    fn is_full(&self) -> bool {
        self.unwritten >= QUEUE
    }

    /// Adds what is written at once: a program may be ended between two writes.
    fn add(&mut self, packets: Vec<u8>) {
        if !packets.is_empty() {
            self.unwritten += packets.len();
            self.events.push_back(packets);
        }
    }
}

impl Capture {
    /// Creates the file that the user wants, and makes it the capture of this program. `tell` is called if it
    /// cannot be written any more, or not fast enough: the connections go on without it.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn start(
        flags: &InstrumentFlags,
        tell: impl Fn(Msg) + Send + Sync + 'static,
    ) -> Result<Option<Arc<Capture>>, Msg> {
        let Some(path) = &flags.capture else { return Ok(None) };
        let failed = |error: io::Error| {
            let file = readable(path.to_string_lossy().as_bytes());
            said("capture-uncreated", &[&file, &error])
        };
        let to: Option<To> = if flags.capture_takes_output() {
            Some((Box::new(io::stdout()), None))
        } else if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            // To open a pipe waits for its reader.
            None
        } else {
            Some(create(path).map_err(failed)?)
        };
        let is_classic = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("pcap"));
        let bytes = flags.capture_bytes;
        let longest = bytes.map_or(LONGEST, |bytes| bytes.saturating_add(HEADERS).min(LONGEST));
        let kept = bytes.map_or(SEGMENT, |bytes| usize::try_from(bytes).unwrap_or(SEGMENT));
        let mut queue = Queue { kept, has_comments: !is_classic, ..Queue::default() };
        queue.add(header(!is_classic, longest));
        let (queue, changed) = (Mutex::new(queue), Condvar::new());
        let (began, tell) = ((SystemTime::now(), Instant::now()), Box::new(tell));
        let capture = Arc::new(Capture { queue, changed, began, tell });
        let writer = thread::Builder::new().name("capture".to_owned());
        let (written, pipe) = (Arc::clone(&capture), path.clone());
        let open = move || to.map_or_else(|| create(&pipe), Ok);
        writer.spawn(move || written.write_all(open())).map_err(failed)?;
        Ok(Some(OF_PROGRAM.get_or_init(|| capture).clone()))
    }

    /// The capture of this program, if it has one.
    pub fn of_program() -> Option<Arc<Capture>> {
        OF_PROGRAM.get().cloned()
    }

    /// Waits until what has happened is written, as long as that goes on: for the end of a program.
    pub fn finish(&self) {
        let mut queue = lock(&self.queue);
        while queue.unwritten > 0 {
            let before = queue.unwritten;
            let rests = |queue: &mut Queue| queue.unwritten == before;
            let waited = self.changed.wait_timeout_while(queue, PATIENCE, rests);
            let (after, time) = waited.unwrap_or_else(PoisonError::into_inner);
            if time.timed_out() {
                return;
            }
            queue = after;
        }
    }

    /// The queue, after a wait for room in it.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        let mut queue = lock(&self.queue);
        if queue.is_full() && queue.stuck.is_none() {
            let full = |queue: &mut Queue| queue.is_full();
            let waited = self.changed.wait_timeout_while(queue, PATIENCE, full);
            (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
            queue.stuck = queue.is_full().then_some(0);
        }
        queue
    }

    /// A connection that has just been made.
    pub(super) fn begin(
        self: &Arc<Capture>,
        Connection { side, client, server, .. }: Connection,
    ) -> Conversation {
        static CONNECTIONS: AtomicU32 = AtomicU32::new(1);
        // Different numbers, so that a port that is used again is not a segment that is sent again.
        let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b1);
        let [client, server] = of_one_version([client, server]);
        let end = |address, next| End { address, next, full: 0, calls: 0, has_ended: false };
        let ends = [end(client, number), end(server, number.rotate_left(16))];
        let mut new =
            Conversation { capture: Arc::clone(self), side, number, ends, is_over: false };
        let (client, server) = (Side::Client, Side::Server);
        self.write(|queue| {
            for (from, flags) in [(client, SYN), (server, SYN | ACK), (client, ACK)] {
                new.segment(queue, from, flags, &[], "made up: the handshake");
            }
        });
        new
    }

    /// Adds the packets of one event, which have the same time, and no other packet between them. Acknowledgements
    /// that were due before come first.
    fn write(&self, packets: impl FnOnce(&mut Queue)) {
        let mut queue = self.queue();
        // The time within the lock, so that it goes on from packet to packet.
        let (date, start) = self.began;
        let time = date.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        queue.time = time.saturating_add(start.elapsed());
        queue.write_due();
        packets(&mut queue);
        let packets = std::mem::take(&mut queue.packets);
        queue.add(packets);
        queue.stuck = queue.stuck.map(|dropped| dropped + 1);
        self.changed.notify_all();
    }

    /// Writes what is added, until the program ends or the file cannot be written any more.
    fn write_all(&self, to: io::Result<To>) {
        let written = to.and_then(|(mut to, cut)| {
            let mut whole = 0;
            loop {
                let packets = self.next();
                let written = to.write_all(&packets).and_then(|()| to.flush());
                if written.is_err() {
                    // A reader takes half a packet for a broken file.
                    cut.map(|file| file.set_len(whole));
                    return written;
                }
                whole += packets.len() as u64;
                self.wrote(packets.len());
            }
        });
        let mut queue = lock(&self.queue);
        *queue = Queue { stuck: Some(0), ..Queue::default() };
        self.changed.notify_all();
        drop(queue);
        if let Err(error) = written {
            (self.tell)(said("capture-ends", &[&error]));
        }
    }

    fn next(&self) -> Vec<u8> {
        let waited = self.changed.wait_while(lock(&self.queue), |queue| queue.events.is_empty());
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
        queue.events.pop_front().unwrap_or_default()
    }

    fn wrote(&self, bytes: usize) {
        let mut queue = lock(&self.queue);
        queue.unwritten -= bytes;
        let dropped = if queue.unwritten == 0 { queue.stuck.take() } else { None };
        self.changed.notify_all();
        drop(queue);
        if let Some(dropped @ 1..) = dropped {
            (self.tell)(said("capture-lacks", &[&dropped]));
        }
    }
}

/// What a file begins with. No packet in it is longer than this.
fn header(has_comments: bool, longest: u32) -> Vec<u8> {
    if !has_comments {
        // The magic number of a file with nanoseconds, its version 2.4, and the time zone, which is UTC.
        return words_of(&[0xa1b2_3c4d, 2 | 4 << 16, 0, 0, longest, RAW_IP]);
    }
    // The section: byte order, version 1.0, unknown length. The interface: its time is in nanoseconds.
    let section = [0x1a2b_3c4d_u32, 1, u32::MAX, u32::MAX];
    let interface = [RAW_IP, longest, 9 | 1 << 16, 9, 0];
    [block(0x0a0d_0d0a, &words_of(&section)), block(1, &words_of(&interface))].concat()
}

/// What is written to, and the same file, to cut off what is not whole. Standard output is not cut.
type To = (Box<dyn Write + Send>, Option<File>);

fn create(path: &Path) -> io::Result<To> {
    let file = File::create(path)?;
    let cut = file.try_clone().ok();
    Ok((Box::new(file), cut))
}

/// What is known of one end of a connection.
struct End {
    address: SocketAddr,
    /// The sequence number of the next byte.
    next: u32,
    /// How many full segments have come to it since it last acknowledged.
    full: usize,
    /// How many calls have moved what it sends, or brought its end.
    calls: u64,
    has_ended: bool,
}

/// A connection in a capture.
pub(super) struct Conversation {
    capture: Arc<Capture>,
    /// This program's.
    side: Side,
    number: u32,
    /// The client's is the first.
    ends: [End; 2],
    /// Both have ended, or the connection was reset.
    is_over: bool,
}

impl Conversation {
    /// This end, and the other one.
    fn ends(&mut self, own: Side) -> (&mut End, &mut End) {
        let [client, server] = &mut self.ends;
        if own == Side::Client { (client, server) } else { (server, client) }
    }

    /// What this program did.
    fn did(&self, what: &str) -> String {
        format!("{}: {what}", if self.side == Side::Client { "client" } else { "server" })
    }

    /// Counts a call for what `from` sends, and says which it was.
    fn call(&mut self, from: Side) -> String {
        let call = if from == self.side { "write" } else { "read" };
        let (sender, _) = self.ends(from);
        sender.calls += 1;
        let count = sender.calls;
        self.did(&format!("{call} {count}"))
    }

    /// Bytes that went from this end to the other.
    fn moved(&mut self, queue: &mut Queue, from: Side, bytes: &[u8]) {
        if self.is_over || bytes.is_empty() {
            return;
        }
        let call = self.call(from);
        let count = bytes.len().div_ceil(SEGMENT);
        for (n, segment) in bytes.chunks(SEGMENT).enumerate() {
            let is_last = n + 1 == count;
            let part = format!("{call}, segment {} of {count}", n + 1);
            let comment = if count == 1 { &call } else { &part };
            self.segment(queue, from, if is_last { PSH | ACK } else { ACK }, segment, comment);
            let (_, receiver) = self.ends(from);
            receiver.full += usize::from(segment.len() == SEGMENT);
            if receiver.full == FULL {
                let comment = "made up: acknowledges the second full segment";
                self.segment(queue, from.other(), ACK, &[], comment);
            } else {
                self.owe(queue, from.other());
            }
        }
    }

    fn ended(&mut self, queue: &mut Queue, from: Side) {
        let (own, other) = self.ends(from);
        let is_last = other.has_ended;
        if std::mem::replace(&mut own.has_ended, true) || self.is_over {
            return;
        }
        let call = match from == self.side {
            true => self.did("ends its direction"),
            false => self.call(from) + ", the end",
        };
        self.segment(queue, from, FIN | ACK, &[], &call);
        if is_last {
            self.is_over = true;
            // The other end has nothing left to send that could carry it.
            self.segment(queue, from.other(), ACK, &[], "made up: acknowledges the last FIN");
        } else {
            self.owe(queue, from.other());
        }
    }

    fn reset(&mut self, queue: &mut Queue, by: Side) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let what = if by == self.side { "resets the connection" } else { "learns of the reset" };
        self.segment(queue, by, RST | ACK, &[], &self.did(what));
        queue.forget(self.number, by.other());
    }

    /// The headers of a segment from this end.
    fn headers(&mut self, from: Side, flags: u8, bytes: &[u8]) -> Vec<u8> {
        let (own, other) = self.ends(from);
        let acknowledged = if flags & ACK == 0 { 0 } else { other.next };
        headers([own.address, other.address], own.next, acknowledged, flags, bytes)
    }

    /// Writes one segment from this end, which acknowledges what has come to it.
    fn segment(&mut self, queue: &mut Queue, from: Side, flags: u8, bytes: &[u8], comment: &str) {
        queue.forget(self.number, from);
        let headers = self.headers(from, flags, bytes);
        let kept = bytes.get(..queue.kept).unwrap_or(bytes);
        let cut = bytes.len() - kept.len();
        queue.write(queue.time, &[&headers, kept].concat(), cut, comment);
        let taken = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let taken = taken.wrapping_add(u32::from(flags & (SYN | FIN) != 0));
        let (own, _) = self.ends(from);
        own.full = 0;
        own.next = own.next.wrapping_add(taken);
    }

    /// Takes note that this end owes an acknowledgement of all that has come to it.
    fn owe(&mut self, queue: &mut Queue, end: Side) {
        let packet = self.headers(end, ACK, &[]);
        let by = (self.number, end);
        match queue.owed.iter_mut().find(|owed| owed.by == by) {
            Some(owed) => owed.packet = packet,
            None => queue.owed.push_back(Owed { due: queue.time + DELAY, by, packet }),
        }
    }
}

impl Observer for Conversation {
    fn see(&mut self, event: Event<&[u8]>, _: Duration) {
        if matches!(event, Event::Silence | Event::Message(..) | Event::Kernel(_)) {
            return;
        }
        let (capture, own, peer) = (self.capture.clone(), self.side, self.side.other());
        capture.write(|queue| match event {
            Event::Read(bytes) => self.moved(queue, peer, bytes),
            Event::Wrote(bytes) => self.moved(queue, own, bytes),
            Event::End => self.ended(queue, peer),
            Event::Ended => self.ended(queue, own),
            Event::Reset => self.reset(queue, peer),
            _ => self.reset(queue, own),
        });
    }
}

/// A connection that is dropped is closed.
impl Drop for Conversation {
    fn drop(&mut self) {
        self.see(Event::Ended, Duration::ZERO);
    }
}

impl Queue {
    /// Forgets what this end owes.
    fn forget(&mut self, number: u32, end: Side) {
        self.owed.retain(|owed| owed.by != (number, end));
    }

    /// Writes the acknowledgements that were due by now.
    fn write_due(&mut self) {
        while self.owed.front().is_some_and(|owed| owed.due <= self.time) {
            let Some(Owed { due, packet, .. }) = self.owed.pop_front() else { return };
            let comment = "made up: delayed, because no segment carried it";
            self.write(due, &packet, 0, comment);
        }
    }

    /// Adds a packet, from whose payload this many bytes were cut, unless the queue is stuck.
    fn write(&mut self, time: Duration, packet: &[u8], cut: usize, comment: &str) {
        if self.stuck.is_some() {
            return;
        }
        let size = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let (kept, length) = (size(packet.len()), size(packet.len() + cut));
        if self.has_comments {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            let (high, low) = (nanos >> 32, nanos & 0xffff_ffff);
            let [high, low] = [high, low].map(|half| u32::try_from(half).unwrap_or(u32::MAX));
            let mut body = words_of(&[0, high, low, kept, length]);
            body.extend(padded(packet));
            // The comment is the option 1, with its length. The option 0 is the last.
            body.extend(words_of(&[1 | size(comment.len()) << 16]));
            body.extend(padded(comment.as_bytes()));
            body.extend([0; 4]);
            self.packets.extend(block(6, &body));
            return;
        }
        // The format ends in 2106.
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        self.packets.extend(words_of(&[seconds, time.subsec_nanos(), kept, length]));
        self.packets.extend(packet);
    }
}

/// Numbers as the formats have them.
fn words_of(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// A block of pcapng: its type, its length, its body, and its length again.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 12).unwrap_or(u32::MAX);
    [&words_of(&[kind, length]), body, &words_of(&[length])].concat()
}

/// Bytes with zeros up to a multiple of four.
fn padded(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let zeros = bytes.len().next_multiple_of(4) - bytes.len();
    bytes.iter().copied().chain(std::iter::repeat_n(0, zeros))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is full after some writes, each of which it keeps.
    struct Disk(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut writes = lock(&self.0);
            if writes.len() == 4 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            writes.push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A client that was ended by Ctrl-C left half a packet at the end of its capture.
    #[test]
    fn each_write_has_whole_packets() {
        let queue = Mutex::new(Queue { kept: SEGMENT, ..Queue::default() });
        let (began, tell) = ((SystemTime::now(), Instant::now()), Box::new(|_| {}));
        let capture = Arc::new(Capture { queue, changed: Condvar::new(), began, tell });
        let [client, server] = ["127.0.0.1:50000", "127.0.0.1:1234"].map(|at| at.parse().unwrap());
        let (side, dialect) = (Side::Client, "text");
        let mut talk = capture.begin(Connection { side, dialect, client, server });
        (0..4).for_each(|_| talk.see(Event::Read(&[0; 100_000]), Duration::ZERO));
        let writes = Arc::default();
        capture.write_all(Ok((Box::new(Disk(Arc::clone(&writes))), None)));
        assert_eq!(lock(&writes).len(), 4);
        for write in lock(&writes).iter() {
            let mut rest = write.as_slice();
            while let Some((header, packet)) = rest.split_first_chunk::<16>() {
                // After two numbers for the time.
                let kept = u32::from_le_bytes(header[8..12].try_into().unwrap());
                rest = packet.get(kept as usize..).expect("a whole packet");
            }
            assert!(rest.is_empty());
        }
    }
}
