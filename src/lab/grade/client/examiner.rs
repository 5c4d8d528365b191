//! The server that a client under examination talks to: it plays the server's side of a conversation, and lets the
//! reference answer what the conversation does not say.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::connection::{Connection, Record};
use super::reference::{Files, Request, size_in};
use crate::dialect::Dialect;
use crate::error::lock;
use crate::lab::grade::conversation::{Step, number_in};
use crate::lab::grade::seen::{Fail, fail, quoted, same};
use crate::lang::{Msg, msg};

/// What is sent at once when a lot is sent.
const PIECE: usize = 1 << 20;

/// The server of one check.
pub(super) struct Examiner {
    pub(super) dialect: Dialect,
    pub(super) record: Arc<Record>,
    /// A request that failed in the conversation fails again.
    pub(super) fails_again: bool,
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
    connections: u64,
}

/// Whether a connection goes on.
type GoesOn = Option<Connection>;

impl Examiner {
    pub(super) fn new(
        dialect: Dialect,
        steps: Vec<Step>,
        files: Files,
        orders: Vec<String>,
    ) -> Examiner {
        let acts = Acts { steps, ..Acts::default() };
        let (files, acts) = (Mutex::new(files), Mutex::new(acts));
        Examiner {
            dialect,
            record: Arc::new(Record::new()),
            fails_again: false,
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
                let number = {
                    let mut acts = lock(&self.acts);
                    acts.connections += 1;
                    acts.connections
                };
                let connection = Connection::new(stream, number, Arc::clone(&self.record));
                scope.spawn(move || self.play(connection));
            }
        });
    }

    fn play(&self, mut connection: Connection) {
        let speaks_first = {
            let acts = lock(&self.acts);
            let speaks = |step: &&Step| !matches!(step, Step::Word(..));
            let next = acts.steps.iter().skip(acts.at).find(speaks);
            acts.at == 0 && matches!(next, Some(Step::Server(_)))
        };
        if speaks_first {
            let Some(goes_on) = self.act(connection) else { return };
            connection = goes_on;
        }
        while !self.record.is_over() {
            let Some(request) = Request::read(self.dialect, &mut connection) else { return };
            if self.is_next(&request, &mut connection) {
                let Some(goes_on) = self.act(connection) else { return };
                connection = goes_on;
                continue;
            }
            lock(&self.acts).others.push(request.clone());
            if self.fails_again && self.dialect == Dialect::Text && self.has_played(&request) {
                connection.send(b"error internal this has failed before\n");
                continue;
            }
            let goes_on = request.answer(self.dialect, &mut connection, &mut lock(&self.files));
            if !goes_on {
                // Nothing may follow what ends a connection.
                let rest = connection.close_gently();
                let more =
                    rest.split_inclusive(|byte| *byte == b'\n').map(|it| Request(it.to_vec()));
                lock(&self.acts).others.extend(more);
                return;
            }
        }
    }

    /// Whether the conversation goes on with this request. The words before it are obeyed.
    fn is_next(&self, request: &Request, connection: &mut Connection) -> bool {
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
                set(connection, word, argument);
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

    /// Plays up to the next request.
    fn act(&self, mut connection: Connection) -> GoesOn {
        while let Some(step) = self.next() {
            match step {
                Step::Server(bytes) | Step::ServerBytes(bytes) => connection.send(&bytes),
                Step::Open(..) => {}
                Step::ClientLine(size) => {
                    let line = connection.line();
                    let came = line.as_deref().and_then(size_in);
                    if came.is_none() || came != size_in(&size) {
                        let line = line.unwrap_or_else(|| connection.peek().unwrap_or_default());
                        self.differs(&connection, &[size, b"\n".to_vec()].concat(), &line);
                        return None;
                    }
                }
                Step::ClientBytes(bytes) => {
                    let came = connection.take(bytes.len());
                    if came != bytes {
                        self.differs(&connection, &bytes, &came);
                        return None;
                    }
                }
                Step::Word("close", _) => {
                    connection.close();
                    return None;
                }
                Step::Word("reset", _) => {
                    connection.reset();
                    return None;
                }
                Step::Word("half-close", _) => {
                    let _ = connection.close_gently();
                    return None;
                }
                Step::Word("quiet", time) => {
                    let has_asked = lock(&self.acts).others.iter().any(|it| it.said() == "help");
                    let time = Duration::from_millis(number_in(&time).unwrap_or(100));
                    if !connection.is_quiet(time) && !has_asked {
                        let came = connection.peek().unwrap_or_default();
                        let expected =
                            msg!("nothing before the reply", "tidak ada apa-apa sebelum balasan");
                        self.fail(&connection, expected, same(quoted(&came)));
                        return None;
                    }
                }
                Step::Word("any", count) => {
                    let count = number_in(&count).unwrap_or(1);
                    if connection.take(count).len() < count {
                        let expected =
                            msg!("{count} byte of any value", "{count} byte dengan nilai apa pun");
                        let got = msg!("nothing", "tidak ada apa-apa");
                        self.fail(&connection, expected, got);
                        return None;
                    }
                }
                Step::Word("drain", count) => {
                    for turn in 0..number_in::<u64>(&count).unwrap_or(0) {
                        let come = connection.take(PIECE).len();
                        if come < PIECE {
                            let all = number_in::<u64>(&count).unwrap_or(0);
                            let expected = msg!("{all} MiB", "{all} MiB");
                            let got =
                                msg!("{turn} MiB and {come} bytes", "{turn} MiB dan {come} byte");
                            self.fail(&connection, expected, got);
                            return None;
                        }
                    }
                }
                Step::Word("flood", count) => {
                    let zeros = vec![0; PIECE];
                    for _ in 0..number_in::<u64>(&count).unwrap_or(0) {
                        connection.send(&zeros);
                    }
                }
                Step::Word(word, argument) => set(&mut connection, word, &argument),
            }
        }
        lock(&self.acts).failure.is_none().then_some(connection)
    }

    fn differs(&self, connection: &Connection, expected: &[u8], came: &[u8]) {
        let got = match came {
            [] => msg!("nothing", "tidak ada apa-apa"),
            came => same(quoted(came)),
        };
        self.fail(connection, same(quoted(expected)), got);
        if let Some(failure) = &mut lock(&self.acts).failure {
            failure.bytes = Some((expected.to_vec(), came.to_vec()));
        }
    }

    fn fail(&self, connection: &Connection, expected: Msg, got: Msg) {
        let failure = fail(vec![expected], got, connection.number());
        lock(&self.acts).failure.get_or_insert(failure);
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
        acts.steps.iter().take(acts.at).any(|step| match step {
            Step::ClientLine(line) => request.is(self.dialect, line),
            _ => false,
        })
    }

    /// Whether the client was told to ask this, or the conversation has it: a client may try again.
    pub(super) fn knows(&self, request: &Request) -> bool {
        let is_told = self.orders.iter().any(|order| request.obeys(self.dialect, order));
        is_told
            || lock(&self.acts).steps.iter().any(|step| match step {
                Step::ClientLine(line) => request.is(self.dialect, line),
                _ => false,
            })
    }

    /// How many connections were opened.
    pub(super) fn connections(&self) -> u64 {
        lock(&self.acts).connections
    }
}

/// Obeys a word that is about one connection.
fn set(connection: &mut Connection, word: &str, argument: &[u8]) {
    match word {
        "slice" => connection.cut.each = number_in(argument),
        "cut" => connection.cut.first = number_in(argument),
        "slowly" => connection.slow = number_in(argument).unwrap_or(0),
        "sleep" => connection.pause(Duration::from_millis(number_in(argument).unwrap_or(0))),
        _ => {}
    }
}
