//! The client's connection: opened when it is needed, and dropped when the two sides are out of step.

use std::io;
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::Client;
use super::keyboard::Wake;
use super::patience::Patient;
use crate::dialect;
use crate::error::{Answer, Code, Failure};
use crate::limits;
use crate::wire::stream::set_options;
use crate::wire::{Wire, WireConfig};

/// The longest pause before another try.
const RETRY_PAUSE: Duration = Duration::from_secs(60);

/// How long a client waits before this try, counted from 1.
pub(super) fn pause_before(tries: u32) -> Duration {
    Duration::from_secs(1 << tries.saturating_sub(1).min(16)).min(RETRY_PAUSE)
}

impl Client {
    /// Closes the connection if there is one. The user does not want another one.
    pub(super) fn leave(&mut self) {
        self.is_wanted = false;
        self.drop_connection();
    }

    /// Closes the connection if there is one. The next request opens another one.
    pub(super) fn drop_connection(&mut self) {
        if let Some(wire) = self.wire.take() {
            wire.close();
        }
    }

    /// Begins a conversation: makes sure that there is a connection, and that nothing has come over it that no request
    /// has asked for.
    pub(super) fn begin(&mut self) -> Answer<()> {
        if !self.can_ask() {
            return Err(super::not_connected());
        }
        let was_used = self.was_used();
        if self.wire.is_some() {
            match self.must_be_quiet() {
                Err(failure @ Failure::Strange(_)) => return Err(failure),
                // The server has closed it, perhaps long ago.
                Err(_) if was_used && self.wire.is_none() => {}
                quiet => quiet?,
            }
        }
        if self.wire.is_none() {
            self.wire = Some(self.connect()?);
            if std::mem::take(&mut self.is_lost)
                && self.is_wanted
                && let Some(again) = &self.again
            {
                again();
            }
            self.is_wanted = true;
            self.must_be_quiet()?;
        }
        Ok(())
    }

    /// Ends a conversation: closes the connection, in a dialect that has one for each.
    pub(super) fn end(&mut self) {
        if self.requests().one_a_connection
            && let Some(mut wire) = self.wire.take()
        {
            wire.close_and_wait();
        }
    }

    /// Sends a request over the connection, or over one of its own, and takes the reply.
    pub(super) fn ask<T>(&mut self, request: impl FnOnce(&mut Wire) -> Answer<T>) -> Answer<T> {
        self.begin()?;
        let answer = self.step(request);
        self.end();
        answer
    }

    /// Asks, and asks again what a busy server has refused, after a pause: as often as `--retry` says. What changes
    /// nothing is also repeated if the connection is lost with it: then the user of a prompt gets the answer over
    /// another one.
    pub(super) fn ask_again<T>(
        &mut self,
        changes_nothing: bool,
        mut request: impl FnMut(&mut Wire) -> Answer<T>,
    ) -> Answer<T> {
        let mut may_repeat = changes_nothing && self.was_used() && self.again.is_some();
        let mut tries = 0;
        loop {
            self.busy_keeps_connection = true;
            let answer = self.ask(&mut request);
            self.busy_keeps_connection = false;
            let Err(failure) = &answer else { return answer };
            let is_busy = failure.code() == Some(Code::Busy) && self.wire.is_some();
            // Where all connections were taken, the server has closed.
            let has_closed = tries > 0 && matches!(failure, Failure::NoReply);
            if tries < self.config.retry && (is_busy || has_closed) {
                tries += 1;
                self.patience.interrupt.pause(pause_before(tries));
                if self.patience.is_interrupted() {
                    return Err(Failure::Interrupted);
                }
            } else if matches!(failure, Failure::NoReply | Failure::Gone { .. })
                && std::mem::take(&mut may_repeat)
            {
                tries = 0;
            } else {
                return answer;
            }
        }
    }

    /// Whether there is a connection over which the server has said something.
    fn was_used(&self) -> bool {
        self.wire.as_ref().is_some_and(|wire| wire.messages().0 > 0)
    }

    /// Takes a step in a conversation. Drops a connection that has broken or is out of step.
    pub(super) fn step<T>(&mut self, step: impl FnOnce(&mut Wire) -> Answer<T>) -> Answer<T> {
        let Some(mut wire) = self.wire.take() else { return Err(Failure::NoReply) };
        self.patience.begin();
        let (before, _) = wire.messages();
        let answer = step(&mut wire).map_err(|failure| self.patience.or_interrupted(failure));
        let answer = answer.map_err(|failure| match (wire.messages(), failure) {
            // It did not end in the middle of a message, because none of the reply has come.
            ((count, false), Failure::Gone { broke: false, .. }) if count == before => {
                Failure::NoReply
            }
            (_, failure) => failure,
        });
        if answer.is_ok() && wire.messages().0 > before {
            wire.dialect_is_confirmed = true;
        }
        self.dialect_is_confirmed |= wire.dialect_is_confirmed;
        if self.requests().one_a_connection && answer.is_err() {
            wire.close_and_wait();
            return answer;
        }
        // A busy server refuses an expensive request only, and any other one with its connection.
        let is_busy =
            |failure: &Failure| self.busy_keeps_connection && failure.code() == Some(Code::Busy);
        let in_step = match &answer {
            Ok(_) => true,
            Err(failure) if is_busy(failure) => true,
            // The server still sends the rest of a payload that was not wanted.
            Err(failure) => !failure.closes() && wire.drop_owed_payload().unwrap_or(false),
        };
        // Not where this machine or a refusal is the reason.
        self.is_lost = answer.as_ref().is_err_and(|failure| {
            failure.is_lost() || !matches!(failure, Failure::Local(_) | Failure::Refused { .. })
        });
        self.wire = in_step.then_some(wire);
        answer
    }

    /// Makes sure that nothing has come that no request has asked for.
    pub(super) fn must_be_quiet(&mut self) -> Answer<()> {
        let requests = self.requests();
        self.step(|wire| {
            wire.allow(Duration::ZERO);
            dialect::must_be_quiet(requests, wire, false)
        })
    }

    /// Sends a request and takes no reply yet. If the connection breaks, what has come can still be read.
    pub(super) fn send(&mut self, request: impl FnOnce(&mut Wire) -> Answer<()>) -> Answer<()> {
        self.wire.as_mut().map_or(Err(Failure::NoReply), request)
    }

    /// Whether there is a connection that can be written to.
    pub(super) fn can_send(&self) -> bool {
        self.wire.as_ref().is_some_and(Wire::can_write)
    }

    /// Whether requests for this many files are sent before the replies to earlier ones have come.
    pub(super) fn sends_ahead(&mut self, files: usize) -> bool {
        let Some(ask) = self.requests().supports_pipelining else { return false };
        if files < 2 || self.config.in_step || self.config.verify {
            return false;
        }
        if self.supports_pipelining.is_none() {
            self.supports_pipelining = match self.ask(ask) {
                // Another connection may tell.
                Err(failure) if failure.is_lost() => None,
                answer => Some(answer.unwrap_or(false)),
            };
        }
        self.supports_pipelining == Some(true)
    }

    pub(super) fn connect(&mut self) -> Answer<Wire> {
        if self.patience.is_interrupted() {
            return Err(Failure::Interrupted);
        }
        let socket = reach((self.config.host.as_str(), self.config.port), limits::CONNECT_TIME)
            .map_err(|error| Failure::Unreachable(error.to_string()))?;
        self.connections += 1;
        let wake = socket
            .try_clone()
            .ok()
            .map(|socket| -> Wake { Box::new(move || drop(socket.shutdown(Shutdown::Both))) });
        self.patience.interrupt.wake_by(wake);
        let config = WireConfig {
            idle: limits::REPLY_TIME,
            message_time: limits::REPLY_TIME,
            ..WireConfig::default()
        };
        let stream = (self.prepare)(socket, None, self.config.dialect.name());
        let stream = Box::new(Patient::new(stream, self.patience.clone()));
        Ok(Wire::new(stream, config.with_buffer(self.config.buffer)))
    }
}

/// Connects to the first of these addresses that answers, each within this time.
///
/// # Errors
/// Why the last one did not.
pub(crate) fn reach(host: impl ToSocketAddrs, time: Duration) -> io::Result<TcpStream> {
    let mut failed = io::Error::other("the name has no address");
    for address in host.to_socket_addrs()? {
        let connected = TcpStream::connect_timeout(&address, time)
            .and_then(|socket| set_options(&socket).map(|()| socket));
        match connected {
            Ok(socket) => return Ok(socket),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::client::Config;
    use crate::client::tests::scripted;
    use crate::dialect::Dialect;
    use crate::error::lock;
    use crate::lang::{Lang, Msg};
    use crate::wire::script::{Script, Step, Written};
    use crate::wire::stream::Prepare;

    fn steps(parts: &[&str]) -> Vec<Step> {
        // An empty part is silence.
        let step =
            |part: &&str| if part.is_empty() { Step::Pause } else { Step::Bytes((*part).into()) };
        parts.iter().map(step).collect()
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let seconds = [1, 2, 3, 6, 7, 8, 17, 40, u32::MAX].map(|n| pause_before(n).as_secs());
        assert_eq!(seconds, [1, 2, 4, 32, 60, 60, 60, 60, 60]);
    }

    /// A connection on which the two sides could disagree is not used again.
    #[test]
    fn a_reply_decides_whether_the_connection_is_kept() {
        let size = |client: &mut Client| client.get_size("a").map(drop);
        let remove = |client: &mut Client| client.delete("a");
        type Request = fn(&mut Client) -> Answer<()>;
        // What is asked, the reply, and whether the connection is kept, is lost, and speaks the dialect.
        let table: [(Request, &str, [bool; 3]); 11] = [
            (size, "ok 5 bytes\n", [true, false, true]),
            (size, "error not-found no\n", [true, false, true]),
            (size, "error odd no\n", [true, false, true]),
            (size, "error busy no\n", [true, true, true]),
            (remove, "error busy no\n", [false, true, true]),
            (size, "error timeout no\n", [false, true, true]),
            (size, "ok five bytes\n", [false, true, true]),
            (remove, "ok removed b\n", [false, true, true]),
            (remove, "hello\n", [false, true, false]),
            (remove, "ok", [false, true, false]),
            (remove, "", [false, true, false]),
        ];
        for (request, reply, expected) in table {
            let (mut client, written, _folder) = scripted(steps(&["", reply]));
            // Only what a busy server has refused is asked again.
            client.config.retry = u32::from(!reply.contains("busy"));
            let answer = request(&mut client);
            assert_eq!(answer.is_ok(), reply == "ok 5 bytes\n", "{reply}: {answer:?}");
            let is = [client.wire.is_some(), client.is_lost, client.dialect_is_confirmed];
            assert_eq!(is, expected, "{reply}: {answer:?}");
            assert_eq!(written.text().lines().count(), 1, "{reply}");
        }
    }

    #[test]
    fn a_connection_that_ends_before_a_reply_is_told_from_one_that_ends_in_it() {
        for (parts, failure) in [
            (vec![""], Failure::NoReply),
            (vec!["", "ok"], Failure::Gone { why: Msg::default(), broke: false }),
            (vec!["", "ok 1\n"], Failure::Gone { why: Msg::default(), broke: false }),
        ] {
            let (mut client, ..) = scripted(steps(&parts));
            let failed = client.list_files(None).unwrap_err();
            let kind = std::mem::discriminant;
            assert_eq!(kind(&failed), kind(&failure), "{parts:?}: {failed:?}");
        }
    }

    #[test]
    fn requests_are_sent_ahead_if_the_server_knows_how_and_the_user_lets_it() {
        let (many, none) = ("ok 2\nls\nresume OFFSET\n", "ok 1\nls\n");
        for (reply, files, in_step, verify, expected) in [
            (many, 2, false, false, (true, Some(true))),
            (many, 1, false, false, (false, None)),
            (many, 2, true, false, (false, None)),
            (many, 2, false, true, (false, None)),
            (none, 2, false, false, (false, Some(false))),
            ("error unknown-command what?\n", 2, false, false, (false, Some(false))),
            // Another connection may tell.
            ("error busy no\n", 2, false, false, (false, None)),
            ("ok 2\nls\n", 2, false, false, (false, None)),
        ] {
            let (mut client, written, _folder) = scripted(steps(&["", reply]));
            (client.config.in_step, client.config.verify) = (in_step, verify);
            client.supports_pipelining = None;
            let sends = client.sends_ahead(files);
            assert_eq!((sends, client.supports_pipelining), expected, "{reply} {files}");
            // It is asked once.
            assert_eq!(client.sends_ahead(files), sends);
            let asked = files > 1 && !in_step && !verify;
            assert_eq!(written.text(), if asked { "help\n" } else { "" }, "{reply}");
        }
    }

    #[test]
    fn what_came_unasked_is_no_answer() {
        for (came, is_quiet) in [("ok removed a\n", false), ("error busy no\n", false), ("", true)]
        {
            let (mut client, written, _folder) = scripted(steps(&[came, "ok removed a\n"]));
            let answer = client.delete("a");
            assert_eq!((answer.is_ok(), client.wire.is_some()), (is_quiet, is_quiet));
            assert_eq!(written.text().is_empty(), !is_quiet, "{came}");
        }
    }

    /// A server that closes at once would do so again.
    #[test]
    fn another_connection_takes_the_place_of_one_that_was_used() {
        let (mut unused, ..) = scripted(vec![]);
        assert_eq!(unused.delete("a"), Err(Failure::NoReply));
        let (mut used, ..) = scripted(steps(&["", "ok removed a\n"]));
        used.delete("a").unwrap();
        // It is tried, and cannot be had here.
        assert!(matches!(used.delete("a"), Err(Failure::Unreachable(_))));
    }

    #[test]
    fn without_a_connection_nothing_is_asked() {
        let (mut client, ..) = scripted(vec![]);
        client.leave();
        assert!(!client.is_connected() && !client.can_ask() && !client.can_send());
        assert_eq!(client.get_size("a"), Err(crate::client::not_connected()));
        for dialect in [Dialect::Text, Dialect::Filesaver] {
            client.config.dialect = dialect;
            assert_eq!(client.byebye(), Err(crate::client::not_connected()), "{dialect:?}");
        }
        assert_eq!(client.connections(), 0);
        client.connect_on_demand();
        assert!(client.can_ask() && !client.is_connected());
    }

    #[test]
    fn a_goodbye_without_a_connection_is_said_once() {
        let (mut client, ..) = scripted(vec![]);
        client.drop_connection();
        assert_eq!(client.byebye(), Ok(()));
        client.connect_on_demand();
        // The scripted connection has no server that a new one could reach.
        assert!(matches!(client.byebye(), Err(Failure::Unreachable(_))));
        client.connections = 1;
        assert_eq!(client.byebye(), Err(crate::client::not_connected()));
        client.config.dialect = Dialect::Filesaver;
        assert!(!client.is_connected());
        assert_eq!(client.byebye(), Err(client.lacks("byebye")));
    }

    /// A client that connects to a server which does these things.
    fn connecting(parts: &[&str]) -> (Client, Written, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (script, written) = Script::new(steps(parts));
        let script = Mutex::new(Some(script));
        let prepare: Prepare = Arc::new(move |_, _, _| Box::new(lock(&script).take().unwrap()));
        let config = Config { port, retry: 0, ..Config::new(Lang::En) };
        let mut client = Client::new(config, prepare);
        client.connect_on_demand();
        (client, written, listener)
    }

    #[test]
    fn a_reply_may_take_a_minute_and_a_half() {
        for parts in [&[""; 2][..], &["", "o", ""]] {
            let (mut client, written, _listener) = connecting(parts);
            assert!(matches!(client.get_size("a"), Err(Failure::Silent(_))));
            assert_eq!(client.connections(), 1);
            let last = *written.waits().last().unwrap();
            let rest = limits::REPLY_TIME.checked_sub(last).unwrap();
            assert!(rest < Duration::from_secs(10), "{last:?}");
        }
    }

    /// What was not sent may be sent again.
    #[test]
    fn a_server_that_is_busy_at_once_is_sent_nothing() {
        let (mut client, written, _listener) = connecting(&["error busy no\n"]);
        assert_eq!(client.delete("a"), Err(Failure::refused("busy", "no")));
        assert_eq!((written.text().as_str(), client.wire.is_some()), ("", false));
    }

    #[test]
    fn there_are_pauses_between_the_texts_that_are_said() {
        let (mut client, written, _listener) = connecting(&["ok\n"]);
        assert_eq!(client.say(&[b"a".to_vec(), b"b".to_vec()]).unwrap(), "ok\n");
        let text = written.text();
        assert!(text.starts_with("a<pause>") && text.ends_with("<pause>b<end>"), "{text}");
    }

    #[test]
    fn what_is_heard_without_end_is_shown_as_far_as_it_may_go() {
        let piece = "x".repeat(20_000);
        let (mut client, written, _listener) = connecting(&[piece.as_str(); 100]);
        let shown = client.say(&[b"hi\n".to_vec()]).unwrap().len();
        assert!((limits::MESSAGE..limits::MESSAGE + 2 * piece.len()).contains(&shown), "{shown}");
        assert_eq!(written.text(), "hi\n<end>");
        // Most of it is not read.
        assert!(written.reads().len() < 50);
        // One that neither goes on nor ends is a failure.
        let (mut client, _, _listener) = connecting(&["ok\n", "", "", ""]);
        let cut = client.say(&[]);
        assert!(matches!(cut, Err(Failure::Silent(_))), "{cut:?}");
    }
}
