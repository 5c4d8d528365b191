//! The stage of a conversation with a client: it comes and asks when it wants to. What it asks for besides is answered
//! rightly by our own server. Its own words are those of `client` that are about the wire.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::drive::parts;
use crate::dialect::json_value::Value;
use crate::dialect::{Dialect, digits};
use crate::error::{Expected, lock};
use crate::lab::grade::conversation::{Check, Then, Word};
use crate::lab::grade::peer::{Done, Peer};
use crate::lab::grade::places::{Places, is_in};
use crate::lab::grade::player::{Player, Stage, shown};
use crate::lab::grade::seen::{Fail, Record};
use crate::lab::lecture::trace::Side;
use crate::log::Log;
use crate::store::Store;
use crate::wire::stream::Stream;
use crate::wire::{Wire, WireConfig};

/// How often it is looked whether a client has come or asked.
const LOOK: Duration = Duration::from_millis(3);

/// The server of a check.
pub(super) struct Examiner {
    pub(super) dialect: Dialect,
    pub(super) record: Arc<Record>,
    pub(super) acts: Acts,
    /// A request that failed in the conversation fails again.
    pub(super) fails_again: bool,
    pub(super) listener: TcpListener,
    pub(super) store: Store,
    /// The connections that are not the conversation's at present.
    pub(super) waiting: Vec<Peer>,
}

/// What has happened on the wire up to now.
#[derive(Clone, Default)]
pub(super) struct Acts {
    /// What was wrong.
    pub(super) failure: Option<Box<Fail>>,
    /// The request that the conversation waits for.
    pub(super) waits_for: Option<Vec<u8>>,
    /// The requests that it has had.
    pub(super) heard: Vec<Vec<u8>>,
    /// What was asked for besides.
    pub(super) others: Vec<Request>,
}

impl Acts {
    /// Whether the conversation had this request already: a client may try again.
    pub(super) fn has_heard(&self, request: &Request) -> bool {
        self.heard.iter().any(|line| request.is(line))
    }
}

impl Examiner {
    /// Plays the conversation, and serves until the check is over. Returns what has happened.
    pub(super) fn serve(mut self, check: &Check, mut places: Places, server: Option<Peer>) -> Acts {
        let _ = self.listener.set_nonblocking(true);
        let mut player = Player::new(Side::Server, server);
        let outcome = player.play(&mut self, check, &mut places);
        if outcome.is_ok() {
            self.waiting.extend(std::mem::take(&mut player.peers).into_values());
        }
        self.record.state().played = Some((Instant::now(), outcome.is_ok()));
        self.acts.failure = outcome.err();
        self.wait_for(None);
        self.acts
    }

    /// Answers what the client asks for, until it asks for this. Returns the connection on which it does. `None`: the
    /// check is over.
    fn wait_for(&mut self, line: Option<&[u8]>) -> Option<Peer> {
        while !self.record.is_over() {
            self.accept();
            let Some(at) = self.waiting.iter_mut().position(Peer::has_come) else {
                thread::sleep(LOOK);
                continue;
            };
            let mut peer = self.waiting.remove(at);
            let Some(request) = Request::read(self.dialect, &mut peer) else { continue };
            if line.is_some_and(|line| request.is(line)) {
                return Some(peer);
            }
            let goes_on = self.answer(&request, peer);
            self.waiting.extend(goes_on);
        }
        None
    }

    /// Whether the client asks for this before the check is over. The conversation goes on where it does.
    fn comes(&mut self, player: &mut Player, line: Vec<u8>) -> bool {
        self.waiting.extend(player.peers.remove(&player.on));
        let Some(peer) = self.wait_for(Some(&line)) else { return false };
        player.peers.insert(player.on.clone(), peer);
        player.pass_on(&line);
        self.acts.waits_for = None;
        self.acts.heard.push(line);
        true
    }

    fn accept(&mut self) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        let _ = stream.set_nonblocking(false);
        self.waiting.push(Peer::new(stream, &self.record));
    }

    /// Returns the connection if it goes on.
    fn answer(&mut self, request: &Request, mut peer: Peer) -> Option<Peer> {
        self.acts.others.push(request.clone());
        let is_again = self.acts.has_heard(request);
        if self.fails_again && self.dialect == Dialect::Text && is_again {
            peer.send("error internal this has failed before\n");
            return Some(peer);
        }
        let (mut peer, goes_on) = request.answer(self.dialect, peer, &self.store)?;
        if goes_on {
            return Some(peer);
        }
        // Nothing may follow what ends a connection.
        peer.half_close();
        let rest = peer.drain();
        let more = rest.split_inclusive(|byte| *byte == b'\n').map(|it| Request(it.to_vec()));
        self.acts.others.extend(more);
        None
    }
}

impl Stage for Examiner {
    fn open(&mut self) -> Done<Option<Peer>> {
        while self.waiting.is_empty() && !self.record.is_over() {
            self.accept();
            thread::sleep(LOOK);
        }
        Ok(self.waiting.pop())
    }

    fn hear(&mut self, player: &mut Player, line: Vec<u8>) -> Done<Then> {
        player.send(self)?;
        // A size may have any form that means this one.
        if self.dialect == Dialect::Text && size_in(&line).is_some() {
            let is_it = |came: &str| (size_in(came.as_bytes()) == size_in(&line)).then_some(());
            player.with(self, |p| p.line_as(shown(&line).trim_end(), is_it))?;
            player.pass_on(&line);
            return Ok(Then::GoOn);
        }
        self.acts.waits_for = Some(line.clone());
        Ok(if self.comes(player, line) { Then::GoOn } else { Then::Stop })
    }

    fn word(&mut self, player: &mut Player, _: &mut Places, of: Word<'_>) -> Done<Then> {
        // The others put something in place, or look at it afterwards.
        let is_missed = of.0 == "may" && !self.comes(player, [of.1, b"\n"].concat());
        Ok(if is_missed { Then::LeaveOut } else { Then::GoOn })
    }
}

/// The commands of `struct`. No two begin with the same letter: what has come of one is not waited for as another.
const COMMANDS: [&str; 7] = ["connme", "ls", "size", "rm", "download", "upload", "byebye"];

/// What a client has asked for: a line, or a command of `struct`.
#[derive(Clone, Debug)]
pub(super) struct Request(pub(super) Vec<u8>);

impl Request {
    /// The next request. `None` at the end, or if what comes is none.
    fn read(dialect: Dialect, peer: &mut Peer) -> Option<Request> {
        if dialect != Dialect::Struct {
            return peer.line("REQUEST").ok().map(Request);
        }
        while [b" ", b"\r", b"\n"].iter().any(|blank| peer.begins(*blank)) {
            peer.taken(1);
        }
        let word = COMMANDS.iter().find(|word| peer.begins(word.as_bytes()))?;
        Some(Request(peer.taken(word.len())))
    }

    /// Whether it asks for what this line of a conversation says.
    fn is(&self, line: &[u8]) -> bool {
        match (Value::parse(line), Value::parse(&self.0)) {
            (Some(Value::Object(wanted)), Some(ours)) => {
                wanted.iter().all(|(name, value)| ours.get(name) == Some(value))
            }
            _ => words(&self.0) == words(line),
        }
    }

    /// It as text.
    pub(super) fn said(&self) -> String {
        String::from_utf8_lossy(self.0.trim_ascii()).into_owned()
    }

    /// The word of `text` for it.
    pub(super) fn action(&self) -> String {
        let aksi = Value::parse(&self.0).and_then(|it| Some(it.get("aksi")?.as_text()?.to_owned()));
        let word = match aksi.as_deref() {
            Some("transfer") => "upload",
            Some("get") => "download",
            Some("hapus") => "rm",
            Some("list") => "ls",
            Some(other) => other,
            None => return words(&self.0).0,
        };
        word.to_owned()
    }

    /// Whether a client may send it without being told to: it changes nothing on the server.
    pub(super) fn is_harmless(&self) -> bool {
        is_in("connme help byebye ls size sum count resume", &self.action())
    }

    /// Whether a client sends it that was told this.
    pub(super) fn obeys(&self, dialect: Dialect, order: &str) -> bool {
        let (word, name) = parts(order);
        match dialect {
            Dialect::Struct => self.action() == word,
            Dialect::Json if is_in("upload download rm", word) => self.action() == word,
            Dialect::Json => self.action() == "ls",
            _ => words(&self.0) == (word.to_owned(), name.to_owned()),
        }
    }

    /// Has our server answer it. Returns the connection, and whether it goes on.
    fn answer(&self, dialect: Dialect, mut peer: Peer, store: &Store) -> Option<(Peer, bool)> {
        peer.unread(&self.0);
        let answer = Answer {
            peer,
            request: self.0.len(),
            is_ready: false,
            expected: Expected::Close,
            time: Duration::ZERO,
            is_next: false,
        };
        let answer = Arc::new(Mutex::new(answer));
        let shared = Box::new(Shared(Arc::clone(&answer)));
        let mut wire = Wire::new(shared, WireConfig::default());
        let log = Log::default();
        let log = log.for_connection(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), dialect.name());
        let _ = dialect.handle_client(&mut wire, store, &log);
        drop(wire);
        let Answer { peer, is_next, .. } = Arc::into_inner(answer)?.into_inner().ok()?;
        Some((peer, is_next))
    }
}

/// The command in small letters, and what follows it.
fn words(line: &[u8]) -> (String, String) {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
    let line = line.trim_matches(' ');
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let word = word.to_ascii_lowercase();
    (if word == "conme" { "connme".to_owned() } else { word }, rest.trim_matches(' ').to_owned())
}

/// The size in a line of digits, and nothing else.
fn size_in(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    digits(line.strip_suffix(b"\r").unwrap_or(line))
}

/// A client's connection as our server sees it: it ends after one request.
struct Answer {
    peer: Peer,
    /// How many bytes of the request the server has not read.
    request: usize,
    /// The server's last words were that it is ready for a file.
    is_ready: bool,
    /// What it waits for, and how long.
    expected: Expected,
    time: Duration,
    /// It waits for the next request.
    is_next: bool,
}

struct Shared(Arc<Mutex<Answer>>);

impl Read for Shared {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut answer = lock(&self.0);
        let is_request = match answer.expected {
            Expected::Line => !answer.is_ready,
            Expected::Words(_) => true,
            _ => false,
        };
        if is_request && answer.request == 0 {
            answer.is_next = true;
            return Ok(0);
        }
        let time = answer.time;
        if answer.peer.held.is_empty() && !answer.peer.read_for(time) {
            return match answer.peer.end {
                Some(_) => Ok(0),
                None => Err(ErrorKind::WouldBlock.into()),
            };
        }
        let most = match answer.expected {
            _ if answer.request > 0 => answer.request.min(into.len()),
            // No more is asked for than is left of it.
            Expected::Payload { .. } | Expected::Close => into.len(),
            // A message byte by byte: what follows it may be the conversation's.
            _ => 1,
        };
        answer.request = answer.request.saturating_sub(most);
        answer.peer.taken(most).as_slice().read(into)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut answer = lock(&self.0);
        answer.is_ready = bytes.ends_with(b"ok ready\n");
        answer.peer.send(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Shared {
    fn limit_wait(&mut self, longest: Duration) -> io::Result<()> {
        lock(&self.0).time = longest;
        Ok(())
    }

    fn pause(&mut self, time: Duration) {
        lock(&self.0).peer.pause(time.as_millis().try_into().unwrap_or(u64::MAX));
    }

    fn end_writing(&mut self) -> io::Result<()> {
        lock(&self.0).peer.half_close();
        Ok(())
    }

    fn note_wait(&mut self, _: &[u8], expected: Expected) {
        lock(&self.0).expected = expected;
    }
}
