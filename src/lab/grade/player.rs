//! Plays one side of a conversation: that of a client with a server, or that of a server with a client. What it says is
//! sent, what the other side says is compared. Whom it plays with is a [`Stage`]: `server`, or `client::examiner`.
//! The words that both have:
//!
//! | word | what it means |
//! |---|---|
//! | `open`, `open N` | another connection in place of this one; one that is called N |
//! | `on N` | the connection that is called N; the first is `1` |
//! | `close`, `reset`, `half-close` | the connection is left, broken, ended in our direction |
//! | `slice N`, `slice off` | what is sent has pieces of N bytes from here on |
//! | `sleep N` | waits N ms |
//! | `silence` | waits as long as ends a word |
//! | `quiet N` | nothing comes for N ms |
//! | `any N`, `any`, `drain` | N bytes, whatever they are; what has come, one at least; all there is up to the end |
//! | `seconds` | a time in seconds, 4 bytes |
//! | `flood N` | N MiB are sent |
//! | `end`, `ends` | nothing more comes and the other side closes; it may also reset |
//! | `if TEXT`, `unless TEXT` | what follows up to `done` is for one that sends this now; something else |
//! | `silent N` | what follows up to `done` is for one that sends nothing for N ms |
//! | `stop` | the check is passed |

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use super::conversation::{Check, Step, Then, Word, number_in};
use super::peer::{self, Done, Peer};
use super::places::{Places, is_in};
use super::seen::{Fail, fail};
use crate::lab::lecture::trace::Side;
use crate::lang::Msg;

/// Whether this is one of these words, or one that every conversation has. What is put in place, and taken away again, is
/// in a folder of the check or has a name of the grader's own, also in a file of the user's: it is never one of the user's.
pub(super) fn is_known(words: &str, word: &str, argument: &str) -> bool {
    let name = argument.split(" = ").next().unwrap_or_default();
    let is_safe = match word {
        "made" | "clean" => argument.contains("{name") && !argument.contains(['/', '\\']),
        "file" | "local" | "sparse" | "serve" => !name.contains(['/', '\\', ':', '{']),
        _ => true,
    };
    is_safe && [words, WORDS, peer::WORDS].iter().any(|words| is_in(words, word))
}

/// Those of every conversation, and those of the table above that are not about one connection alone.
const WORDS: &str = "> >| < <| let repeat again send done open on close reset slice sleep silence if unless silent stop";

/// The verdict if it is not whom the conversation is played with that is wrong, but the other program.
pub(super) const OTHER: &str = "other";

/// Longer than the silence that ends a word.
const SILENCE: Duration = Duration::from_millis(if cfg!(windows) { 800 } else { 160 });

/// Whom a conversation is played with.
pub(super) trait Stage {
    /// A new connection. `None`: there will be none.
    fn open(&mut self) -> Done<Option<Peer>>;

    /// A client is to send this line. Where the client's side is played, no client hears it.
    fn hear(&mut self, _: &mut Player, _: Vec<u8>) -> Done<Then> {
        Ok(Then::GoOn)
    }

    /// A word that is not one of those above.
    fn word(&mut self, player: &mut Player, places: &mut Places, word: Word<'_>) -> Done<Then>;
}

/// How far a conversation is.
pub(super) struct Player {
    /// The side that is played.
    side: Side,
    /// Between two programs this is the other one: what is said is what that says, and it is told what is heard.
    other: Option<Peer>,
    /// The connections, by what they are called.
    pub(super) peers: BTreeMap<Vec<u8>, Peer>,
    pub(super) on: Vec<u8>,
    /// How many bytes are sent at once.
    slice: Option<usize>,
    /// What is to be sent in one write.
    said: Vec<u8>,
}

pub(super) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Player {
    pub(super) fn new(side: Side, other: Option<Peer>) -> Player {
        let (on, slice, said) = (b"1".to_vec(), None, Vec::new());
        Player { side, other, peers: BTreeMap::new(), on, slice, said }
    }

    /// Plays a whole conversation.
    pub(super) fn play(
        &mut self,
        stage: &mut dyn Stage,
        check: &Check,
        places: &mut Places,
    ) -> Done {
        let mut outcome = Ok(());
        let walked = check.walk(places, &mut |places, step| {
            self.step(stage, places, step).unwrap_or_else(|failure| {
                outcome = Err(failure);
                Then::Stop
            })
        });
        outcome?;
        walked.map_err(|(_, what)| fail(Msg::default(), what, 0))?;
        self.send(stage)
    }

    fn step(&mut self, stage: &mut dyn Stage, places: &mut Places, step: Step) -> Done<Then> {
        match step {
            Step::Line(line) if self.side == Side::Client => self.said.extend(line),
            Step::Line(line) => return stage.hear(self, line),
            Step::Bytes(side, bytes) if side == self.side => {
                if let Some(other) = &mut self.other {
                    other.expect(&bytes).map_err(of_other)?;
                }
                self.said.extend(bytes);
            }
            Step::Bytes(_, bytes) => {
                self.send(stage)?;
                self.with(stage, |p| p.expect(&bytes))?;
                self.pass_on(&bytes);
            }
            Step::Open(before, hole, after) => {
                self.send(stage)?;
                if self.side == Side::Client {
                    self.with(stage, |p| open(p, places, &before, &hole, &after))?;
                } else if let Some(other) = &mut self.other {
                    let said = open(other, places, &before, &hole, &after);
                    self.said.extend(said.map_err(of_other)?);
                }
            }
            Step::Word(word, argument) => {
                self.send(stage)?;
                return self.word(stage, places, (word, &argument));
            }
        }
        Ok(Then::GoOn)
    }

    /// The other program is told what was said.
    pub(super) fn pass_on(&mut self, bytes: &[u8]) {
        if let Some(other) = &mut self.other {
            other.send(bytes);
        }
    }

    /// Sends what waits for that.
    pub(super) fn send(&mut self, stage: &mut dyn Stage) -> Done {
        let said = std::mem::take(&mut self.said);
        if said.is_empty() {
            return Ok(());
        }
        let slice = self.slice;
        self.with(stage, |p| {
            p.send_in(said, slice);
            Ok(())
        })
    }

    /// Does something on the connection, if there is one.
    pub(super) fn with<T: Default>(
        &mut self,
        stage: &mut dyn Stage,
        what: impl FnOnce(&mut Peer) -> Done<T>,
    ) -> Done<T> {
        if !self.peers.contains_key(&self.on)
            && let Some(peer) = stage.open()?
        {
            self.peers.insert(self.on.clone(), peer);
        }
        self.peers.get_mut(&self.on).map_or_else(|| Ok(T::default()), what)
    }

    fn word(&mut self, stage: &mut dyn Stage, places: &mut Places, of: Word<'_>) -> Done<Then> {
        let (word, argument) = of;
        let number = number_in(argument);
        let time = number.unwrap_or(0) as u64;
        match word {
            "open" => {
                if !argument.is_empty() {
                    self.on = argument.to_vec();
                }
                self.peers.remove(&self.on);
                self.with(stage, |_| Ok(()))?;
            }
            "on" => self.on = argument.to_vec(),
            "close" => drop(self.peers.remove(&self.on)),
            "reset" => self.peers.remove(&self.on).into_iter().for_each(Peer::reset),
            "slice" => self.slice = number,
            "sleep" => match self.peers.get_mut(&self.on) {
                Some(peer) => peer.pause(time),
                None => sleep(Duration::from_millis(time)),
            },
            "silence" => sleep(SILENCE),
            "if" | "unless" | "silent" => {
                let is_so = self.with(stage, |p| match word {
                    "silent" => Ok(p.is_quiet(time).is_ok()),
                    _ => Ok(p.begins(argument)),
                })?;
                return Ok(if is_so == (word != "unless") { Then::GoOn } else { Then::LeaveOut });
            }
            "send" => {}
            "stop" => return Ok(Then::Stop),
            word if is_in(peer::WORDS, word) => self.with(stage, |p| p.obey(word, argument))?,
            _ => return stage.word(self, places, of),
        }
        Ok(Then::GoOn)
    }
}

fn of_other(mut failure: Box<Fail>) -> Box<Fail> {
    failure.verdict = OTHER;
    failure
}

/// A line of which a part may be anything of a kind.
fn open(
    p: &mut Peer,
    places: &mut Places,
    before: &[u8],
    hole: &str,
    after: &[u8],
) -> Done<Vec<u8>> {
    let (before, after) = (shown(before), shown(after));
    let end = after.strip_suffix('\n').unwrap_or(&after);
    let form = format!("{before}{}{}", places.form(hole), end.replace('\r', " CR"));
    p.line_as(&form, |line| {
        places.note(hole, line.strip_prefix(&before)?.strip_suffix(end)?)?;
        Some(format!("{line}\n").into_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of a teacher's could overwrite one of the teacher's own.
    #[test]
    fn what_is_made_in_a_folder_has_a_name_of_the_graders_own() {
        let is_safe = |argument: &str| is_known("made clean", "made", argument);
        assert!(is_safe("file {name}.txt"));
        for other in
            ["file a.txt", "file ../{name}", "file {name} = x/../a.txt", "file {name}\\..\\a"]
        {
            assert!(!is_safe(other), "{other}");
        }
    }
}
