//! The lines that a user types at a terminal, and Ctrl-C.
//!
//! The standard library catches no signals. So `stty` makes Ctrl-C an ordinary key that ends a line: the thread that
//! reads the terminal gets it at once, with what was typed before it, and line editing stays that of the terminal.
//! The settings are restored on every way out but a kill. Without `stty`, Ctrl-C ends the program.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::terminal::stty;
use crate::error::lock;

/// The key that `stty` makes an end of a line.
const CTRL_C: u8 = 3;

/// A second Ctrl-C within this time ends the program.
const TWICE: Duration = Duration::from_secs(1);

/// No person presses Enter this soon after Ctrl-C.
const WITH_NEWLINE: Duration = Duration::from_millis(50);

/// What a user has typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// A line, without its end.
    Line(String),
    /// Ctrl-C, and whether anything was typed before it.
    Cancelled { is_empty: bool },
    /// The end of the input.
    End,
}

/// Ends what waits for a connection.
pub(super) type Wake = Box<dyn FnOnce() + Send>;

/// A terminal that is read by a thread of its own.
pub(super) struct Keyboard {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The settings before, as `stty` prints them.
    settings: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    typed: VecDeque<Typed>,
    /// The program waits for a line, and is not at work.
    is_awaited: bool,
    /// Ctrl-C came while the program was at work.
    is_interrupted: bool,
    /// Wakes up a command that waits for its connection.
    wake: Option<Wake>,
    /// When the last Ctrl-C came.
    last: Option<Instant>,
}

impl Keyboard {
    /// Changes the settings of the terminal on standard input, and reads it from now on. `None` if that cannot be
    /// done.
    pub(super) fn of_terminal() -> Option<Keyboard> {
        let settings = stty(&["-g"], Stdio::inherit())?.trim().to_owned();
        stty(&["intr", "undef", "eol", "^C"], Stdio::inherit())?;
        let keyboard = Keyboard { shared: Arc::new(Shared { settings, ..Shared::default() }) };
        let shared = Arc::clone(&keyboard.shared);
        thread::Builder::new().spawn(move || shared.read(io::stdin().lock())).ok()?;
        Some(keyboard)
    }

    /// Takes note that a line is expected from now on: before the user is asked for it.
    pub(super) fn expect(&self) {
        lock(&self.shared.state).is_awaited = true;
    }

    /// Waits for what the user types next.
    pub(super) fn next(&self) -> Typed {
        let state = lock(&self.shared.state);
        let waited = self.shared.changed.wait_while(state, |state| state.typed.is_empty());
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_awaited = false;
        self.shared.changed.notify_all();
        state.typed.pop_front().unwrap_or(Typed::End)
    }

    /// What tells whether the user has interrupted the command that runs.
    pub(super) fn interrupt(&self) -> Interrupt {
        Interrupt(Arc::clone(&self.shared))
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.shared.restore();
    }
}

/// Whether the user has interrupted the command that runs.
#[derive(Clone, Default)]
pub(super) struct Interrupt(Arc<Shared>);

impl Interrupt {
    /// Begins a command.
    pub(super) fn clear(&self) {
        lock(&self.0.state).is_interrupted = false;
    }

    /// Whether Ctrl-C came during this command.
    pub(super) fn has_come(&self) -> bool {
        lock(&self.0.state).is_interrupted
    }

    /// Sets what Ctrl-C does to the connection.
    pub(super) fn wake_by(&self, wake: Option<Wake>) {
        lock(&self.0.state).wake = wake;
    }

    /// Waits for this time, or until Ctrl-C comes.
    pub(super) fn pause(&self, time: Duration) {
        let state = lock(&self.0.state);
        drop(self.0.changed.wait_timeout_while(state, time, |state| !state.is_interrupted));
    }
}

impl Shared {
    fn read(&self, mut input: impl Read) {
        let (mut buffer, mut line) = ([0; 4096], Vec::new());
        loop {
            let n = match input.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.unwrap_or(0),
            };
            for byte in buffer.get(..n).unwrap_or_default() {
                match *byte {
                    // With rlwrap the key comes with a newline.
                    b'\n' if line.is_empty() && self.was_cancelled_now() => {}
                    b'\n' => {
                        self.add(Typed::Line(String::from_utf8_lossy(&line).into_owned()));
                        line.clear();
                    }
                    CTRL_C => {
                        // What is printed next begins a line.
                        let _ = io::stderr().write_all(b"\n");
                        if self.cancel(line.is_empty(), Instant::now()) {
                            self.restore();
                            std::process::exit(130);
                        }
                        line.clear();
                    }
                    byte => line.push(byte),
                }
            }
            if n == 0 {
                self.add(Typed::End);
                // A terminal that is gone has ended for ever.
                let state = lock(&self.state);
                drop(self.changed.wait_while(state, |state| !state.typed.is_empty()));
            }
        }
    }

    fn add(&self, typed: Typed) {
        lock(&self.state).typed.push_back(typed);
        self.changed.notify_all();
    }

    /// Takes note of a Ctrl-C. Returns whether it is the second one within a short time.
    fn cancel(&self, is_empty: bool, now: Instant) -> bool {
        let mut state = lock(&self.state);
        let last = state.last.replace(now);
        // What was typed ahead was for another moment.
        state.typed.clear();
        if state.is_awaited {
            state.typed.push_back(Typed::Cancelled { is_empty });
        } else {
            state.is_interrupted = true;
            if let Some(wake) = state.wake.take() {
                wake();
            }
        }
        self.changed.notify_all();
        last.is_some_and(|last| now.duration_since(last) < TWICE)
    }

    fn was_cancelled_now(&self) -> bool {
        lock(&self.state).last.is_some_and(|last| last.elapsed() < WITH_NEWLINE)
    }

    fn restore(&self) {
        stty(&[&self.settings], Stdio::inherit());
    }
}

#[cfg(test)]
mod tests {
    use std::io::IsTerminal;
    use std::mem::ManuallyDrop;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::client::patience::{Patience, Patient};
    use crate::client::tests::scripted;
    use crate::error::Failure;
    use crate::wire::script::{Script, Step};

    #[test]
    fn only_a_terminal_has_settings() {
        assert!(io::stdin().is_terminal() || stty(&["-g"], Stdio::inherit()).is_none());
    }

    #[test]
    fn a_key_cancels_a_line_or_a_command() {
        let shared = Shared::default();
        let (line, start) = (|text: &str| Typed::Line(text.into()), Instant::now());
        let later = |ms| start + Duration::from_millis(ms);
        shared.add(line("ls"));
        // At work: the command is interrupted, and what was typed ahead is dropped.
        assert!(!shared.cancel(true, start));
        assert!(lock(&shared.state).is_interrupted && lock(&shared.state).typed.is_empty());
        lock(&shared.state).is_awaited = true;
        assert!(!shared.cancel(false, later(1000)));
        assert_eq!(lock(&shared.state).typed, [Typed::Cancelled { is_empty: false }]);
        assert!(shared.cancel(true, later(1999)));
    }

    /// A keyboard whose settings are not restored at its end.
    fn of_no_terminal() -> ManuallyDrop<Keyboard> {
        ManuallyDrop::new(Keyboard { shared: Arc::default() })
    }

    /// What a terminal brings, piece by piece.
    struct Pieces(Receiver<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.0.recv().unwrap_or_default() {
                b"<signal>" => Err(io::ErrorKind::Interrupted.into()),
                b"<error>" => Err(io::ErrorKind::Other.into()),
                mut piece => piece.read(into),
            }
        }
    }

    #[test]
    fn lines_and_keys_come_one_by_one_and_the_end_comes_for_ever() {
        let (type_it, typed) = channel();
        let keyboard = of_no_terminal();
        let shared = Arc::clone(&keyboard.shared);
        thread::spawn(move || shared.read(Pieces(typed)));
        let line = |text: &str| Typed::Line(text.to_owned());
        for piece in [&b"l"[..], b"<signal>", b"s\nsize b\n\n"] {
            type_it.send(piece).unwrap();
        }
        for expected in ["ls", "size b", ""] {
            assert_eq!(keyboard.next(), line(expected));
        }
        // Ctrl-C drops what was typed before it, and does not become a part of the next line.
        keyboard.expect();
        type_it.send(b"rm a\x03").unwrap();
        assert_eq!(keyboard.next(), Typed::Cancelled { is_empty: false });
        type_it.send(b"help\n").unwrap();
        assert_eq!(keyboard.next(), line("help"));
        drop(type_it);
        assert_eq!([keyboard.next(), keyboard.next()], [Typed::End, Typed::End]);
        assert!(lock(&keyboard.shared.state).typed.len() < 2);
    }

    /// Such as that of a terminal that has gone.
    #[test]
    fn an_input_that_fails_has_ended() {
        let (keyboard, (type_it, typed)) = (of_no_terminal(), channel());
        for piece in [b"ls\n".as_slice(), b"<error>", b"rm a\n"] {
            type_it.send(piece).unwrap();
        }
        drop(type_it);
        let shared = Arc::clone(&keyboard.shared);
        thread::spawn(move || shared.read(Pieces(typed)));
        assert_eq!([keyboard.next(), keyboard.next()], [Typed::Line("ls".to_owned()), Typed::End]);
    }

    /// Where rlwrap sends a newline with the key. A key of the future is one of this moment, however slow the machine.
    #[test]
    fn a_newline_that_comes_with_the_key_is_no_line() {
        let hour = Duration::from_secs(3600);
        for (last, first) in
            [(Instant::now().checked_add(hour), "ls"), (Instant::now().checked_sub(hour), "")]
        {
            let (keyboard, (type_it, typed)) = (of_no_terminal(), channel());
            lock(&keyboard.shared.state).last = last;
            let shared = Arc::clone(&keyboard.shared);
            thread::spawn(move || shared.read(Pieces(typed)));
            type_it.send(b"\nls\n").unwrap();
            assert_eq!(keyboard.next(), Typed::Line(first.to_owned()));
        }
    }

    #[test]
    fn an_interrupted_command_is_woken_and_the_next_one_is_not() {
        let keyboard = of_no_terminal();
        let (interrupt, (wake, woken)) = (keyboard.interrupt(), channel());
        assert!(!interrupt.has_come());
        let (begun, short) = (Instant::now(), Duration::from_millis(20));
        interrupt.pause(short);
        assert!(begun.elapsed() >= short);
        let mut patience = Patience::default();
        patience.interrupt = keyboard.interrupt();
        let mut stream = Patient::new(Box::new(Script::whole("ok").0), patience);
        interrupt.wake_by(Some(Box::new(move || wake.send(()).unwrap())));
        keyboard.shared.cancel(true, Instant::now());
        woken.try_recv().unwrap();
        assert!(stream.read(&mut [0]).is_err() && stream.write(b"ls").is_err());
        // It waits no longer.
        interrupt.pause(Duration::from_secs(3600));
        assert!(interrupt.has_come());
        interrupt.clear();
        assert!(!interrupt.has_come() && stream.read(&mut [0]).is_ok());
    }

    #[test]
    fn a_busy_server_is_not_asked_again_after_the_key() {
        let steps = [Step::Pause, Step::Bytes(b"error busy no\n".into()), Step::Pause];
        let (mut client, written, _folder) = scripted(steps.into());
        let keyboard = of_no_terminal();
        client.patience.interrupt = keyboard.interrupt();
        keyboard.shared.cancel(true, Instant::now());
        assert_eq!(client.get_size("a"), Err(Failure::Interrupted));
        assert_eq!(written.text(), "size a\n");
    }
}
