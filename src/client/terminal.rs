//! What can be known of the terminal: whether there is one, how wide it is, and a line on it that is
//! drawn again and again.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::progress;
use crate::client::screen;

/// A transfer that is over before this shows no bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often a bar is drawn.
const TICK: Duration = Duration::from_millis(100);

/// What the terminal can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terminal {
    /// Standard output is one.
    pub(super) out: bool,
    /// Standard output is one, and `NO_COLOR` is not set.
    pub(super) colour: bool,
    /// The same, and standard error is a terminal too: there the bar is drawn.
    pub(super) bar: bool,
    /// How wide it is.
    pub(super) columns: usize,
}

impl Terminal {
    /// Asks the system.
    #[must_use]
    pub(super) fn look() -> Terminal {
        let out = io::stdout().is_terminal();
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = out && !unwanted;
        let bar = colour && io::stderr().is_terminal();
        Terminal { out, colour, bar, columns: screen::of_output() }
    }
}

/// A progress bar: drawn when a transfer takes its time, gone when this is dropped.
pub(super) struct Bar {
    terminal: Terminal,
    start: Instant,
    drawn: Option<Instant>,
}

impl Bar {
    /// A bar that begins now.
    #[must_use]
    pub(super) fn new(terminal: Terminal) -> Bar {
        Bar { terminal, start: Instant::now(), drawn: None }
    }

    /// So much is done, of so much if that is known.
    pub(super) fn show(&mut self, done: u64, total: Option<u64>) {
        let waited = match self.drawn {
            Some(drawn) => drawn.elapsed() >= TICK,
            None => self.start.elapsed() >= PATIENCE,
        };
        if !self.terminal.bar || !waited {
            return;
        }
        self.drawn = Some(Instant::now());
        // The last column stays free: a terminal that breaks a full line would not be on it any more.
        let columns = self.terminal.columns.saturating_sub(1);
        let line = progress::line(done, total, self.start.elapsed(), columns);
        let _ = io::stderr().write_all(format!("\r\x1b[K{line}").as_bytes());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
    }
}
