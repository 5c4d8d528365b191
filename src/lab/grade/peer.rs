//! One connection to a server, or of a client, in raw bytes. Every wait has a deadline, and every step is recorded.
//!
//! It does not use `wire`, whose client accepts more than the protocol: here bytes are compared with bytes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::conversation::number_in;
use super::seen::{Fail, Record, a_line, came, expected, fail, quoted, same};
use crate::lab::lecture::trace::Event;
use crate::lang::{Lang, Msg, msg};
use crate::wire::stream::is_silence;

/// The longest line, and the most that is kept of what comes up to the end of a connection.
const MOST: usize = 4 << 20;

/// How often a wait looks whether the check is over.
const LOOK: Duration = Duration::from_millis(50);

/// Of a large file, a server that takes nothing for this long takes no more.
const STALL: Duration = Duration::from_secs(3);

/// The words of a conversation that are about one connection alone.
pub(super) const WORDS: &str = "half-close quiet seconds any drain flood end ends";

/// What a step of a check returns.
pub(super) type Done<T = ()> = Result<T, Box<Fail>>;

/// How the other side's direction ends, in the words of the sentences.
const CLOSE: &str = "close";
const RESET: &str = "reset";

/// One connection of a check.
pub(super) struct Peer {
    stream: TcpStream,
    connection: u64,
    /// What came and was not expected yet.
    pub(super) held: Vec<u8>,
    /// What came and was right, since something was last sent.
    right: Vec<u8>,
    /// The last byte of that is still in the system: a close with an unread byte is a reset.
    owes: bool,
    /// How the other side's direction has ended.
    pub(super) end: Option<&'static str>,
    /// Our direction has ended.
    left: bool,
    /// A write has found that the connection is broken.
    is_broken: bool,
    record: Arc<Record>,
}

impl Peer {
    /// A connection that is there.
    pub(super) fn new(stream: TcpStream, record: &Arc<Record>) -> Peer {
        let _ = stream.set_nodelay(true);
        record.touch();
        Peer {
            stream,
            connection: record.opened(),
            held: Vec::new(),
            right: Vec::new(),
            owes: false,
            end: None,
            left: false,
            is_broken: false,
            record: Arc::clone(record),
        }
    }

    /// Sends these bytes, in one write or in pieces that stay apart, as far as the system takes them. If the other
    /// side does not take them, what it says instead is found by the next step.
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Peer {
        self.send_in(bytes, None)
    }

    /// The same, with at most this many bytes in each write.
    pub(super) fn send_in(&mut self, bytes: impl AsRef<[u8]>, slice: Option<usize>) -> &mut Peer {
        self.right.clear();
        for (n, piece) in bytes.as_ref().chunks(slice.unwrap_or(usize::MAX).max(1)).enumerate() {
            if !self.write(piece) {
                break;
            }
            self.pause(match n {
                _ if slice.is_none() => 0,
                // A client that is slow is to read the first ones apart, too. Long replies would take too long if each
                // piece had its pause. Without any, the system runs out of room.
                0..4 if self.record.is_server => 40,
                60.. if self.record.is_server && n % 8 > 0 => 0,
                _ => 2,
            });
        }
        self
    }

    /// Obeys one of [`WORDS`].
    pub(super) fn obey(&mut self, word: &str, argument: &[u8]) -> Done {
        let number = number_in(argument);
        match word {
            "half-close" => self.half_close(),
            "quiet" => self.is_quiet(number_in(argument).unwrap_or(0))?,
            "any" => {
                self.take(number.unwrap_or(1))?;
                if number.is_none() {
                    self.held.clear();
                }
            }
            "seconds" => {
                let bytes = self.take(4)?;
                let seconds = bytes.as_slice().try_into().map_or(f32::NAN, f32::from_le_bytes);
                if !(0.0..3600.0).contains(&seconds) {
                    self.unread(&bytes);
                    return Err(self.failure(expected("seconds", &[])));
                }
            }
            "drain" => drop(self.drain()),
            "flood" => self.flood(number.unwrap_or(0)),
            "end" | "ends" => self.closes(word == "ends")?,
            _ => {}
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> bool {
        if self.is_broken {
            return false;
        }
        let written = self.write_within(bytes, Duration::MAX);
        self.note(Event::Wrote(bytes.to_vec()));
        if let Err(error) = &written {
            self.is_broken |= !is_silence(error);
            self.note(if is_silence(error) { Event::Silence } else { Event::Reset });
        }
        written.is_ok()
    }

    fn time_left(&self) -> Duration {
        self.record.left().max(Duration::from_millis(1))
    }

    /// Writes all of this: no part of it may take longer than that, and all of it no longer than the check has time.
    fn write_within(&self, bytes: &[u8], longest: Duration) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            // A write that takes only a part returns when its time is over, and the next one has less.
            self.stream.set_write_timeout(Some(self.time_left().min(longest)))?;
            let written = match (&self.stream).write(rest) {
                // With a timeout, a write ends so when this program was stopped and goes on.
                Err(error) if error.kind() == ErrorKind::Interrupted => 0,
                written => written?,
            };
            rest = rest.get(written..).unwrap_or_default();
            if !rest.is_empty() && self.record.left().is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    /// Sends this many MiB, as far as they are taken in time.
    pub(super) fn flood(&mut self, megabytes: usize) {
        let zeros = vec![0; 1 << 20];
        let is_sent = |_: &usize| {
            self.record.touch();
            self.write_within(&zeros, STALL).is_ok()
        };
        let sent = (0..megabytes).take_while(is_sent).count();
        self.record.state().flooded += sent as u64;
        if sent > 0 {
            self.note(Event::Wrote(zeros));
        }
    }

    /// Waits this long. That is something that happens.
    pub(super) fn pause(&mut self, milliseconds: u64) {
        let until = Instant::now() + Duration::from_millis(milliseconds);
        while Instant::now() < until && !self.record.is_over() {
            self.record.touch();
            thread::sleep(LOOK.min(until.saturating_duration_since(Instant::now())));
        }
        self.record.touch();
    }

    /// Ends our direction; the other stays open.
    pub(super) fn half_close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        self.left = true;
        self.note(Event::Ended);
    }

    /// Closes the connection with a reset, if something is there that was not read: without that, the standard library
    /// can only close.
    pub(super) fn reset(mut self) {
        if !std::mem::take(&mut self.owes) {
            let _ = self.stream.set_read_timeout(Some(self.time_left()));
            let _ = self.stream.peek(&mut [0]);
        }
        self.left = true;
        self.note(Event::OurReset);
    }

    /// The next bytes are exactly these.
    pub(super) fn expect(&mut self, bytes: impl AsRef<[u8]>) -> Done {
        let bytes = bytes.as_ref();
        if !self.begins(bytes) {
            // A failure shows the right replies before it too: else it looks as if nothing was answered.
            let right = std::mem::take(&mut self.right);
            self.unread(&right);
            let expected = [&right, bytes].concat();
            let mut failure = self.failure(same(quoted(&expected)));
            failure.bytes = Some((expected, self.held.clone()));
            return Err(failure);
        }
        self.right.extend(self.held.drain(..bytes.len()));
        Ok(())
    }

    /// Whether what comes next begins like this. It stays there for the next step.
    pub(super) fn begins(&mut self, start: &[u8]) -> bool {
        self.fill(|held| held.len() >= start.len() || !start.starts_with(held));
        self.held.starts_with(start)
    }

    /// The next line with its LF. `form` is what it looks like.
    pub(super) fn line(&mut self, form: &str) -> Done<Vec<u8>> {
        self.fill(|held| held.contains(&b'\n') || held.len() > MOST);
        match self.held.iter().position(|byte| *byte == b'\n') {
            Some(end) => Ok(self.taken(end + 1)),
            None => Err(self.failure(a_line(form))),
        }
    }

    /// A line for which `read`, which is given it without its LF, finds a value. `form` is what it looks like.
    pub(super) fn line_as<T>(
        &mut self,
        form: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Done<T> {
        let line = self.line(form)?;
        match std::str::from_utf8(&line).ok().and_then(|line| read(line.strip_suffix('\n')?)) {
            Some(value) => Ok(value),
            None => {
                self.unread(&line);
                Err(self.failure(a_line(form)))
            }
        }
    }

    /// Exactly that many bytes.
    pub(super) fn take(&mut self, count: usize) -> Done<Vec<u8>> {
        self.fill(|held| held.len() >= count);
        if self.held.len() < count {
            return Err(self.failure(expected("bytes", &[&count])));
        }
        Ok(self.taken(count))
    }

    /// All that comes up to the end or the end of the time, whatever it is. Returns the beginning of that.
    pub(super) fn drain(&mut self) -> Vec<u8> {
        while self.read() {
            self.held.truncate(MOST);
        }
        std::mem::take(&mut self.held)
    }

    /// The server sends nothing more and closes, perhaps with a reset.
    pub(super) fn closes(&mut self, may_reset: bool) -> Done {
        self.fill(|held| !held.is_empty());
        let is_right = self.end == Some(CLOSE) || may_reset && self.end.is_some();
        if is_right && self.held.is_empty() {
            return Ok(());
        }
        let name = if may_reset { "close-or-reset" } else { CLOSE };
        Err(self.failure(expected(name, &[])))
    }

    /// Nothing comes within this time.
    pub(super) fn is_quiet(&mut self, milliseconds: u64) -> Done {
        let (start, time) = (Instant::now(), Duration::from_millis(milliseconds));
        let was_quiet = self.held.is_empty() && self.end.is_none();
        let is_quiet = was_quiet && !self.read_for(time) && self.end.is_none();
        // On a busy machine what has come later is there already when it is looked.
        match is_quiet || was_quiet && start.elapsed() >= time {
            true => Ok(()),
            false => Err(self.failure(came("nothing", &[]))),
        }
    }

    /// Puts back what was read, so that a failure shows it.
    pub(super) fn unread(&mut self, bytes: &[u8]) {
        self.held.splice(..0, bytes.iter().copied());
    }

    /// Takes bytes off that, as many as were seen in it.
    pub(super) fn taken(&mut self, count: usize) -> Vec<u8> {
        self.right.clear();
        self.held.drain(..count.min(self.held.len())).collect()
    }

    fn note(&self, event: Event<Vec<u8>>) {
        self.record.note(self.connection, event);
    }

    /// Reads until this is enough, or nothing more comes.
    fn fill(&mut self, is_enough: impl Fn(&[u8]) -> bool) {
        while !is_enough(&self.held) && self.read() {}
    }

    /// Reads once. False if the stream has ended, the time is over, or the server has sent too much.
    pub(super) fn read(&mut self) -> bool {
        let is_too_much = self.record.state().came > super::MOST;
        self.end.is_none() && !is_too_much && self.read_for(self.record.left())
    }

    /// The same, within this time.
    pub(super) fn read_for(&mut self, time: Duration) -> bool {
        if time.is_zero() {
            self.note(Event::Silence);
            return false;
        }
        let until = Instant::now() + time;
        let mut buffer = [0; 16_384];
        self.pay();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let time = left.min(LOOK).max(Duration::from_millis(1));
            let _ = self.stream.set_read_timeout(Some(time));
            let is_over = left.is_zero() || self.record.is_over();
            let (end, event) = match self.receive(&mut buffer) {
                // A reset is told once, and the write was told it.
                Ok(0) => (Some(if self.is_broken { RESET } else { CLOSE }), Event::End),
                Ok(count) => {
                    if !self.record.is_server {
                        self.record.state().came += count as u64;
                    }
                    let came = buffer.get(..count).unwrap_or_default();
                    self.held.extend_from_slice(came);
                    self.note(Event::Read(came.to_vec()));
                    return true;
                }
                Err(error) if is_silence(&error) && is_over => (None, Event::Silence),
                Err(error) if is_silence(&error) || error.kind() == ErrorKind::Interrupted => {
                    continue;
                }
                Err(_) => (Some(RESET), Event::Reset),
            };
            self.end = end;
            self.note(event);
            return false;
        }
    }

    /// Whether something has come that was not read, or the end.
    pub(super) fn has_come(&mut self) -> bool {
        self.pay();
        let _ = self.stream.set_read_timeout(Some(Duration::from_millis(1)));
        !self.held.is_empty() || !self.stream.peek(&mut [0]).is_err_and(|error| is_silence(&error))
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.record.is_server {
            return self.stream.read(buffer);
        }
        // One byte is left, for a reset.
        let count = self.stream.peek(buffer)?;
        self.stream.read_exact(buffer.get_mut(..count.saturating_sub(1)).unwrap_or_default())?;
        self.owes = count > 0;
        Ok(count)
    }

    fn pay(&mut self) {
        if std::mem::take(&mut self.owes) {
            let _ = self.stream.read_exact(&mut [0]);
        }
    }

    /// A failure: this was expected, and what came is what is held.
    pub(super) fn failure(&mut self, expected: Msg) -> Box<Fail> {
        // It shows what else has come.
        if self.end.is_none() && self.held.len() < 200 && !self.record.left().is_zero() {
            self.read_for(Duration::from_millis(30));
        }
        let end = self.end.or(self.record.left().is_zero().then_some("silence"));
        let end = end.map(|it| came(it, &[]));
        let held = quoted(&self.held);
        let got = match (self.held.is_empty(), end) {
            (true, end) => end.unwrap_or_else(|| came("nothing", &[])),
            (false, None) => same(held),
            (false, Some(end)) => msg!("{held}, {end}", "{held}, {end}"; end),
        };
        let is_error =
            |line: &[u8]| line.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"err"));
        let was_due = expected.say(Lang::En);
        let mut failure = fail(expected, got, self.connection);
        failure.gave_nothing = self.held.is_empty()
            || ["\"ok", "\"connected"].iter().any(|start| was_due.starts_with(start))
            || self.held.split(|byte| *byte == b'\n').any(is_error);
        failure
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.pay();
        if !self.left && self.end.is_none() {
            self.note(Event::Ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    /// A program, and the grader's end of its connection.
    fn graded(is_client: bool) -> (TcpStream, Peer) {
        graded_for(20, is_client)
    }

    fn graded_for(seconds: u64, is_client: bool) -> (TcpStream, Peer) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let program = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let record = Record::new(0, deadline, is_client);
        (program, Peer::new(listener.accept().unwrap().0, &record))
    }

    /// A client whose line was read.
    fn connected() -> (TcpStream, Peer) {
        let (mut client, mut peer) = graded(true);
        client.write_all(b"size a\n").unwrap();
        assert_eq!(peer.line("").unwrap(), b"size a\n");
        (client, peer)
    }

    #[test]
    fn a_reset_is_one_and_a_close_is_none() {
        let (mut client, peer) = connected();
        peer.reset();
        assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        let (mut client, peer) = connected();
        drop(peer);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn what_came_is_not_lost_between_two_ways_to_read() {
        let (mut client, mut peer) = connected();
        client.write_all(b"3\nabcupload b\n").unwrap();
        assert_eq!(peer.line_as("N", |line| line.parse::<u8>().ok()).unwrap(), 3);
        assert_eq!(peer.take(3).unwrap(), b"abc");
        assert!(peer.begins(b"upload") && !peer.begins(b"upload c"));
        assert!(peer.expect("upload c\n").is_err());
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(peer.drain(), b"upload b\n");
        assert!(peer.closes(false).is_ok());
    }

    /// As long as each write took a part, there was no end of them.
    #[test]
    fn a_server_that_reads_all_the_time_is_sent_no_more_when_the_time_is_over() {
        let (mut server, mut peer) = graded_for(1, false);
        thread::spawn(move || io::copy(&mut server, &mut io::sink()));
        let start = Instant::now();
        peer.flood(100_000);
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    }

    /// All of it was kept.
    #[test]
    fn a_server_that_sends_without_end_is_read_no_further() {
        let (mut server, mut peer) = graded(false);
        server.write_all(b"ok").unwrap();
        assert!(peer.read() && peer.record.state().came > 0);
        peer.record.state().came = super::super::MOST + 1;
        server.write_all(b"more").unwrap();
        assert!(!peer.read());
    }
}
