//! The stage of a conversation with a client: it comes and asks when it wants to. What it asks for besides is answered
//! rightly by our own server. Its own words are those of `client` that are about the wire.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::request::{Request, size_in};
use crate::dialect::Dialect;
use crate::lab::grade::conversation::{Check, Then};
use crate::lab::grade::peer::{Done, Peer};
use crate::lab::grade::places::Places;
use crate::lab::grade::player::{Player, Stage, shown};
use crate::lab::grade::seen::{Fail, Record};
use crate::lab::lecture::trace::Side;
use crate::store::Store;

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

    fn word(
        &mut self,
        player: &mut Player,
        _: &mut Places,
        word: &str,
        argument: &[u8],
    ) -> Done<Then> {
        // The others put something in place, or look at it afterwards.
        let is_missed = word == "may" && !self.comes(player, [argument, b"\n"].concat());
        Ok(if is_missed { Then::LeaveOut } else { Then::GoOn })
    }
}
