//! What is known of the terminal: whether there is one, its width, and a progress bar on it.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::progress;

/// A transfer that ends before this shows no bar.
const BAR_AFTER: Duration = Duration::from_millis(500);

/// How often a bar is drawn.
const TICK: Duration = Duration::from_millis(100);

/// The width of what is not a terminal, and of a terminal that does not tell its own.
pub const COLUMNS: usize = 80;

/// The width of standard output or standard error.
#[must_use]
pub fn columns(output: &impl IsTerminal) -> usize {
    static FOUND: OnceLock<usize> = OnceLock::new();
    if !output.is_terminal() {
        return COLUMNS;
    }
    // The standard library cannot ask the terminal. `stty` can, and is asked once.
    *FOUND.get_or_init(|| choose(std::env::var("COLUMNS").ok().as_deref(), measured))
}

/// Returns the first of the two widths that a line can be drawn in. A terminal of unknown size has 0.
fn choose(variable: Option<&str>, measured: impl FnOnce() -> Option<usize>) -> usize {
    let is_usable = |columns: &usize| (1..=1000).contains(columns);
    let variable = variable.and_then(|columns| columns.parse().ok()).filter(is_usable);
    variable.or_else(|| measured().filter(is_usable)).unwrap_or(COLUMNS)
}

#[cfg(unix)]
fn measured() -> Option<usize> {
    use std::process::{Command, Stdio};
    let terminal = std::fs::File::open("/dev/tty").ok()?;
    let output = Command::new("stty").arg("size").stdin(terminal).stderr(Stdio::null()).output();
    let size = String::from_utf8(output.ok()?.stdout).ok()?;
    size.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(not(unix))]
fn measured() -> Option<usize> {
    None
}

/// What the terminal can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terminal {
    /// Standard output is a terminal.
    pub(super) out: bool,
    /// The same, and `NO_COLOR` is not set.
    pub(super) colour: bool,
    /// The same, and standard error is a terminal too: a bar is drawn there.
    pub(super) bar: bool,
    /// The width of standard output.
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
        Terminal { out, colour, bar, columns: columns(&io::stdout()) }
    }
}

/// A progress bar. It is drawn if a transfer takes long, and removed when this is dropped.
pub(super) struct Bar {
    is_shown: bool,
    columns: usize,
    start: Instant,
    drawn: Option<Instant>,
}

impl Bar {
    /// A bar that begins now. If it is not to be shown, nothing is ever drawn.
    #[must_use]
    pub(super) fn new(is_shown: bool, columns: usize) -> Bar {
        Bar { is_shown, columns, start: Instant::now(), drawn: None }
    }

    /// This much is done, of this much if that is known.
    pub(super) fn show(&mut self, done: u64, total: Option<u64>) {
        let is_due = match self.drawn {
            Some(drawn) => drawn.elapsed() >= TICK,
            None => self.start.elapsed() >= BAR_AFTER,
        };
        if !self.is_shown || !is_due {
            return;
        }
        self.drawn = Some(Instant::now());
        // The last column stays free: a terminal that breaks a full line would go on to the next.
        let line = progress::line(done, total, self.start.elapsed(), self.columns - 1);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_of_nothing_is_not_one() {
        for (told, measured, columns) in [
            (Some("120"), Some(90), 120),
            (Some("0"), Some(90), 90),
            (Some("x"), Some(90), 90),
            (None, Some(90), 90),
            (Some("0"), Some(0), COLUMNS),
            (None, None, COLUMNS),
        ] {
            assert_eq!(choose(told, || measured), columns, "{told:?} {measured:?}");
        }
    }
}
