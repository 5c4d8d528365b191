//! The server that a client under examination talks to: it plays the server's side of a conversation, and lets the
//! reference answer what the conversation does not say.

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::reference::{Files, Request, size_in};
use crate::dialect::Dialect;
use crate::error::lock;
use crate::lab::grade::conversation::{Step, number_in};
use crate::lab::grade::peer::{Done, Peer};
use crate::lab::grade::record::{Record, Totals};
use crate::lab::grade::seen::{Fail, quoted, same};
use crate::lang::{Msg, msg};

/// How much is read at once when a lot is read.
const PIECE: usize = 1 << 20;

/// No check takes longer.
const LONGEST: Duration = Duration::from_secs(600);

/// What takes over a connection of the client's.
pub(super) type Relay = Arc<dyn Fn(TcpStream) + Send + Sync>;

/// The server of one check.
pub(super) struct Examiner {
    pub(super) dialect: Dialect,
    pub(super) record: Arc<Record>,
    /// A request that failed in the conversation fails again.
    pub(super) fails_again: bool,
    pub(super) relay: Option<Relay>,
    /// What the client is told to do, as requests.
    pub(super) orders: Vec<String>,
    files: Mutex<Files>,
    acts: Mutex<Acts>,
}

/// How far the conversation is.
#[derive(Default)]
struct Acts {
    steps: Vec<Step>,
    at: usize,
    failure: Option<Box<Fail>>,
    /// What was asked for besides.
    others: Vec<Request>,
}

impl Examiner {
    pub(super) fn new(
        dialect: Dialect,
        totals: &Arc<Totals>,
        steps: Vec<Step>,
        files: Files,
        orders: Vec<String>,
    ) -> Examiner {
        let acts = Acts { steps, ..Acts::default() };
        let (files, acts) = (Mutex::new(files), Mutex::new(acts));
        Examiner {
            dialect,
            record: Record::new(totals, Instant::now() + LONGEST, true),
            fails_again: false,
            relay: None,
            orders,
            files,
            acts,
        }
    }

    /// Serves until the check is over.
    pub(super) fn serve(&self, listener: &TcpListener) {
        let _ = listener.set_nonblocking(true);
        thread::scope(|scope| {
            while !self.record.is_over() {
                let Ok((stream, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(3));
                    continue;
                };
                let _ = stream.set_nonblocking(false);
                match &self.relay {
                    Some(relay) => relay(stream),
                    None => {
                        scope.spawn(|| self.play(Peer::of_client(stream, &self.record)));
                    }
                }
            }
        });
    }

    fn play(&self, mut peer: Peer) {
        let speaks_first = {
            let acts = lock(&self.acts);
            let speaks = |step: &&Step| !matches!(step, Step::Word(..));
            let next = acts.steps.iter().skip(acts.at).find(speaks);
            acts.at == 0 && matches!(next, Some(Step::Server(_)))
        };
        if speaks_first {
            let Some(goes_on) = self.act(peer) else { return };
            peer = goes_on;
        }
        while let Some(request) = Request::read(self.dialect, &mut peer) {
            if self.is_next(&request, &mut peer) {
                let Some(goes_on) = self.act(peer) else { return };
                peer = goes_on;
                continue;
            }
            lock(&self.acts).others.push(request.clone());
            if self.fails_again && self.dialect == Dialect::Text && self.has_played(&request) {
                peer.send("error internal this has failed before\n");
                continue;
            }
            if !request.answer(self.dialect, &mut peer, &mut lock(&self.files)) {
                // Nothing may follow what ends a connection.
                peer.half_close();
                let rest = peer.drain().unwrap_or_default();
                let more =
                    rest.split_inclusive(|byte| *byte == b'\n').map(|it| Request(it.to_vec()));
                lock(&self.acts).others.extend(more);
                return;
            }
        }
    }

    /// Whether the conversation goes on with this request. The words before it are obeyed.
    fn is_next(&self, request: &Request, peer: &mut Peer) -> bool {
        let mut acts = lock(&self.acts);
        let from = acts.at;
        let rest = acts.steps.iter().enumerate().skip(from);
        let mut rest = rest.skip_while(|(_, step)| matches!(step, Step::Word(..)));
        let Some((at, Step::ClientLine(line))) = rest.next() else { return false };
        if !request.is(self.dialect, line) {
            return false;
        }
        for step in acts.steps.get(from..at).unwrap_or_default() {
            if let Step::Word(word, argument) = step {
                let _ = peer.obey(word, argument);
            }
        }
        acts.at = at + 1;
        true
    }

    fn next(&self) -> Option<Step> {
        let mut acts = lock(&self.acts);
        let step = acts.steps.get(acts.at).cloned()?;
        let is_request = matches!(&step, Step::ClientLine(line) if self.dialect != Dialect::Text || size_in(line).is_none());
        if is_request || acts.failure.is_some() {
            return None;
        }
        acts.at += 1;
        Some(step)
    }

    /// Plays up to the next request. Returns the connection if it goes on.
    fn act(&self, mut peer: Peer) -> Option<Peer> {
        while let Some(step) = self.next() {
            let done = match step {
                Step::Word("close", _) => return None,
                Step::Word("reset", _) => {
                    peer.reset();
                    return None;
                }
                Step::Word("half-close", _) => {
                    peer.half_close();
                    let _ = peer.drain();
                    return None;
                }
                step => self.step(&mut peer, step),
            };
            if let Err(failure) = done {
                lock(&self.acts).failure.get_or_insert(failure);
                return None;
            }
        }
        lock(&self.acts).failure.is_none().then_some(peer)
    }

    fn step(&self, peer: &mut Peer, step: Step) -> Done {
        match step {
            Step::Server(bytes) | Step::ServerBytes(bytes) => drop(peer.send(&bytes)),
            Step::Open(..) => {}
            Step::ClientLine(size) => {
                let line = peer.line("SIZE").unwrap_or_default();
                let came = size_in(&line);
                if came.is_none() || came != size_in(&size) {
                    peer.unread(&line);
                    return peer.differs(&[size, b"\n".to_vec()].concat());
                }
            }
            Step::ClientBytes(bytes) => peer.expect(&bytes)?,
            Step::Word("quiet", time) => {
                let has_asked = lock(&self.acts).others.iter().any(|it| it.said() == "help");
                let quiet = peer.obey("quiet", &time);
                if !has_asked && let Err(mut failure) = quiet {
                    let expected =
                        msg!("nothing before the reply", "tidak ada apa-apa sebelum balasan");
                    failure.expected = vec![expected];
                    return Err(failure);
                }
            }
            Step::Word("drain", count) => {
                let all = number_in::<u64>(&count).unwrap_or(0);
                for turn in 0..all {
                    if let Err(mut failure) = peer.take(PIECE) {
                        let come = peer.held().len();
                        failure.expected = vec![msg!("{all} MiB", "{all} MiB")];
                        failure.got =
                            msg!("{turn} MiB and {come} bytes", "{turn} MiB dan {come} byte");
                        return Err(failure);
                    }
                }
            }
            Step::Word(word, argument) => peer.obey(word, &argument)?,
        }
        Ok(())
    }

    /// What was wrong on the wire up to now.
    pub(super) fn failure(&self) -> Option<Box<Fail>> {
        lock(&self.acts).failure.clone()
    }

    /// What the conversation still waits for.
    pub(super) fn waits_for(&self) -> Option<Msg> {
        let acts = lock(&self.acts);
        acts.steps.iter().skip(acts.at).find_map(|step| match step {
            Step::ClientLine(line) => Some(same(quoted(&[line, b"\n".as_slice()].concat()))),
            Step::ClientBytes(bytes) => Some(same(quoted(bytes))),
            Step::Word("any", _) => Some(msg!("any byte", "sebuah byte")),
            _ => None,
        })
    }

    /// The word of the first order, if nothing of the conversation was asked for.
    pub(super) fn unasked(&self) -> Option<String> {
        let is_idle = |it: &Request| ["connme", "help", "byebye"].contains(&&*it.said());
        let acts = lock(&self.acts);
        let is_asked = |step: &Step| matches!(step, Step::ClientLine(_));
        if acts.steps.iter().take(acts.at).any(is_asked) || !acts.others.iter().all(is_idle) {
            return None;
        }
        let words = self.orders.iter().filter_map(|order| order.split(' ').next());
        words.map(str::to_owned).find(|word| word != "connme")
    }

    /// All that was asked for besides.
    pub(super) fn others(&self) -> Vec<Request> {
        lock(&self.acts).others.clone()
    }

    /// Whether the conversation had this request already.
    fn has_played(&self, request: &Request) -> bool {
        let acts = lock(&self.acts);
        acts.steps.iter().take(acts.at).any(|step| self.is_for(step, request))
    }

    /// Whether the client was told to ask this, or the conversation has it: a client may try again.
    pub(super) fn knows(&self, request: &Request) -> bool {
        let is_told = self.orders.iter().any(|order| request.obeys(self.dialect, order));
        is_told || lock(&self.acts).steps.iter().any(|step| self.is_for(step, request))
    }

    fn is_for(&self, step: &Step, request: &Request) -> bool {
        matches!(step, Step::ClientLine(line) if request.is(self.dialect, line))
    }
}
