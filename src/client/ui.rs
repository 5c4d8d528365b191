//! What a user sees of the client: results, messages, questions.
//!
//! Results go to standard output, notes and failures to standard error: [`Ui::tell`], [`Ui::note`], [`Ui::fail`].
//! A reader that closes standard output ends the program quietly.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use super::explain::{explain, looks_like};
use super::keyboard::{Keyboard, Typed};
use super::outcome::{Outcome, Stop};
use super::terminal::Terminal;
use super::{Client, Config};
use crate::dialect::Dialect;
use crate::error::{Answer, Failure, Partial};
use crate::lang::{Lang, Msg, escaped, text};

/// The longest line of commands that a client reads, where no terminal has a limit of its own.
const TYPED_LINE: u64 = 256 << 10;

/// What arrow keys send begins with it, where no line editor has handled them.
const ESC: char = '\x1b';

/// The user's side of the client.
pub struct Ui {
    /// The name of the program, for its messages.
    program: &'static str,
    pub(super) client: Client,
    pub(crate) terminal: Terminal,
    /// Standard input is a terminal: the user is asked there.
    pub(crate) asks: bool,
    /// That terminal, where Ctrl-C does not end the program.
    pub(super) keyboard: Option<Keyboard>,
    /// One command from the command line, and no prompt.
    pub(super) is_single: bool,
    /// The user has left the prompt.
    pub(super) is_over: bool,
    /// The exit status so far.
    status: u8,
    /// The word of the command that runs.
    command: &'static str,
}

impl Ui {
    /// For one command, which opens the connection that it needs.
    pub(crate) fn single(program: &'static str, mut client: Client) -> Ui {
        client.connect_on_demand();
        Ui { is_single: true, ..Ui::new(program, client) }
    }

    pub(super) fn new(program: &'static str, mut client: Client) -> Ui {
        let (asks, terminal) = (io::stdin().is_terminal(), Terminal::look());
        if io::stderr().is_terminal() && !client.config().quiet {
            let lang = client.config().lang;
            // A bar may have been drawn on this line.
            let begin = if terminal.colour { "\r\x1b[K" } else { "" };
            let dialect = client.config().dialect;
            client.patience.notice = Some(Arc::new(move |partial: &Partial| {
                let line = still_waiting(partial, dialect.guess(&partial.got)).say(lang);
                let _ = io::stderr().write_all(format!("{begin}{line}\n").as_bytes());
            }));
        }
        let (is_single, is_over) = (false, false);
        let (keyboard, status, command) = (None, 0, "");
        Ui { program, client, terminal, asks, keyboard, is_single, is_over, status, command }
    }

    /// The exit status, after the last command was `done`.
    pub(crate) fn leave(&self, done: io::Result<()>) -> ExitCode {
        match done {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                self.complain(&text!("results-not-written", error));
                ExitCode::FAILURE
            }
            _ => ExitCode::from(self.status),
        }
    }

    /// Does what a command does on these names, and tells the user if it fails.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub(crate) fn perform(
        &mut self,
        command: &'static str,
        names: &str,
        what: impl FnOnce(&mut Ui) -> Outcome,
    ) -> io::Result<()> {
        let outer = std::mem::replace(&mut self.command, command);
        match what(self) {
            Ok(()) => {}
            Err(Stop::Output(error)) => return Err(error),
            Err(Stop::Wrong(wrong)) => self.fail_use(&wrong),
            Err(Stop::Refused(reason)) => self.fail(&reason),
            Err(Stop::Failed(failure)) => self.fail_on(names, &failure),
        }
        self.command = outer;
        Ok(())
    }

    /// Prints the question if standard input is a terminal, and reads a line.
    pub(crate) fn ask(&mut self, question: &Msg) -> io::Result<Typed> {
        if let Some(keyboard) = &self.keyboard {
            keyboard.expect();
        }
        if self.asks {
            self.print(&self.words(question))?;
        }
        let typed = match &self.keyboard {
            Some(keyboard) => keyboard.next(),
            None => self.read_line()?,
        };
        if self.asks && typed == Typed::End {
            self.print("\n")?;
        }
        let Typed::Line(line) = typed else { return Ok(typed) };
        let line = line.trim_end_matches(['\n', '\r']);
        if !line.contains(ESC) {
            return Ok(Typed::Line(line.to_owned()));
        }
        // The keys should have changed the line, and have not.
        self.fail(&text!("arrow-keys"));
        Ok(Typed::Line(String::new()))
    }

    /// Reads a line of standard input. One that is too long is refused, and is then empty.
    fn read_line(&mut self) -> io::Result<Typed> {
        let mut input = io::stdin().lock();
        let mut line = Vec::new();
        if (&mut input).take(TYPED_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(Typed::End);
        }
        if line.len() as u64 == TYPED_LINE && !line.ends_with(b"\n") {
            input.skip_until(b'\n')?;
            line.clear();
            let most = TYPED_LINE >> 10;
            self.fail(&text!("line-too-long", most));
        }
        Ok(Typed::Line(String::from_utf8_lossy(&line).into_owned()))
    }

    /// Fails if this command needs a connection and there is none, or if the dialect lacks it.
    pub(super) fn must_have(&self, command: &str) -> Answer<()> {
        match self.client.requests().has(command) {
            Some(false) => Err(self.client.lacks(command)),
            Some(true) if !self.client.can_ask() => Err(super::not_connected()),
            _ => Ok(()),
        }
    }

    /// Does something with another client in the place of this one.
    pub(crate) fn with_client<T>(&mut self, client: Client, what: impl FnOnce(&mut Ui) -> T) -> T {
        let own = std::mem::replace(&mut self.client, client);
        let done = what(self);
        self.client = own;
        done
    }

    /// What the user asked for when the program was started.
    pub(crate) fn config(&self) -> &Config {
        self.client.config()
    }

    /// The terminal for a progress bar, if one may be drawn: not over a trace.
    pub(super) fn bar_terminal(&self) -> Option<Terminal> {
        let is_wanted = self.terminal.bar && !self.config().quiet && !self.config().trace;
        is_wanted.then_some(self.terminal)
    }

    /// Prints a result.
    pub(crate) fn tell(&self, result: &Msg) -> Outcome {
        Ok(self.print(&format!("{}\n", self.words(result)))?)
    }

    /// Prints a file as it comes.
    pub(super) fn print_file(&mut self, name: &str) -> Outcome {
        self.client.download_to(name, &mut io::stdout().lock())
    }

    /// Prints to standard output.
    pub(crate) fn print(&self, text: &str) -> io::Result<()> {
        if self.config().to_errors {
            return io::stderr().write_all(text.as_bytes());
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// A message in the user's language.
    pub(crate) fn words(&self, msg: &Msg) -> String {
        msg.say(self.config().lang)
    }

    /// Prints a note, which is not a result, unless the user wants it quiet.
    pub(super) fn note(&self, note: &Msg) {
        if !self.config().quiet {
            say(note, self.config().lang);
        }
    }

    /// Prints why something failed or was not done.
    pub(super) fn fail(&mut self, reason: &Msg) {
        self.status = self.status.max(1);
        self.complain(reason);
    }

    /// Prints why the command failed, on this name.
    pub(crate) fn fail_on(&mut self, name: &str, failure: &Failure) {
        let reason = explain(self.command, &escaped(name), failure, &self.client, self.is_single);
        self.fail(&reason);
    }

    /// Prints what is wrong with a command.
    pub(super) fn fail_use(&mut self, wrong: &Msg) {
        self.fail(wrong);
        if self.is_single {
            self.status = 2;
        }
    }

    fn complain(&self, reason: &Msg) {
        let text = format!("{}: {}\n", self.program, self.words(reason));
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// Prints a note.
pub(crate) fn say(note: &Msg, lang: Lang) {
    let _ = io::stderr().write_all(format!("{}\n", note.say(lang)).as_bytes());
}

/// A reply takes long. Perhaps the server has another dialect than this client.
fn still_waiting(partial: &Partial, dialect: Option<Dialect>) -> Msg {
    let (so_far, expected, guess) = (partial.so_far(), partial.expected(), looks_like(dialect));
    text!("still-waiting", so_far, expected, guess)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Expected;
    use crate::wire::stream;

    #[test]
    fn a_bar_is_drawn_unless_the_user_wants_it_quiet_or_a_trace() {
        for (bar, quiet, trace, is_drawn) in [
            (true, false, false, true),
            (false, false, false, false),
            (true, true, false, false),
            (true, false, true, false),
        ] {
            let config = Config { quiet, trace, ..Config::new(Lang::En) };
            let mut ui = Ui::single("connme-client", Client::new(config, stream::plain()));
            ui.terminal.bar = bar;
            assert_eq!(ui.bar_terminal().is_some(), is_drawn, "{bar} {quiet} {trace}");
        }
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_failure() {
        let ui = Ui::single("connme-client", Client::new(Config::new(Lang::En), stream::plain()));
        for (error, status) in [
            (io::ErrorKind::BrokenPipe, ExitCode::SUCCESS),
            (io::ErrorKind::StorageFull, ExitCode::FAILURE),
        ] {
            assert_eq!(ui.leave(Err(error.into())), status, "{error}");
        }
    }

    #[test]
    fn before_there_is_a_connection_only_what_needs_none_is_done() {
        let mut ui = Ui::new("connme-client", Client::new(Config::new(Lang::En), stream::plain()));
        assert_eq!(ui.must_have("upload"), Err(crate::client::not_connected()));
        assert_eq!(ui.must_have("lls"), Ok(()));
        ui.client.connect_on_demand();
        assert_eq!(ui.must_have("upload"), Ok(()));
    }

    #[test]
    fn a_long_wait_is_told_with_what_has_come_and_what_it_looks_like() {
        let partial = Partial { got: b"ok con".to_vec(), expected: Expected::Line };
        let said = still_waiting(&partial, Some(Dialect::Text)).say(Lang::En);
        assert!(said.contains("\"ok con\""), "{said}");
        assert!(said.contains("; still waiting for ") && said.ends_with("; this looks like text"));
        assert!(!still_waiting(&partial, None).say(Lang::En).contains("looks like"));
    }
}
