//! What is known of the terminal: whether there is one, its width, and a progress bar on it.

use std::io::{self, IsTerminal, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Progress;
use super::progress::{self, Transfer};
use crate::error::lock;
use crate::lang::{Lang, printable};

/// A transfer that ends before this shows no bar.
const BAR_AFTER: Duration = Duration::from_millis(500);

/// How often a bar is drawn.
const TICK: Duration = Duration::from_millis(100);

/// The width is measured again after this many of them.
const MEASURED_EVERY: u32 = 20;

/// How often it is printed as a line of its own, where a line cannot be drawn over.
const LINE_TICK: Duration = Duration::from_secs(1);

/// The width of what is not a terminal, and of a terminal that does not tell its own.
pub const COLUMNS: usize = 80;

/// The width of standard output or standard error, as it is now.
pub fn columns(output: &impl IsTerminal) -> usize {
    if output.is_terminal() {
        choose(std::env::var("COLUMNS").ok().as_deref(), measured)
    } else {
        COLUMNS
    }
}

/// Returns the first of the two widths that a line can be drawn in. A terminal of unknown size has 0.
fn choose(variable: Option<&str>, measured: impl FnOnce() -> Option<usize>) -> usize {
    let is_usable = |columns: &usize| (1..=1000).contains(columns);
    let variable = variable.and_then(|columns| columns.parse().ok()).filter(is_usable);
    variable.or_else(|| measured().filter(is_usable)).unwrap_or(COLUMNS)
}

/// The width by `stty`, because the standard library cannot ask the terminal. On Windows there is neither this program
/// nor `/dev/tty`.
fn measured() -> Option<usize> {
    let terminal = std::fs::File::open("/dev/tty").ok()?;
    stty(&["size"], terminal.into())?.split_whitespace().nth(1)?.parse().ok()
}

/// What `stty` prints for this terminal. `None` if there is none, or if it fails.
pub(crate) fn stty(arguments: &[&str], terminal: Stdio) -> Option<String> {
    if cfg!(not(unix)) {
        return None;
    }
    let output =
        Command::new("stty").args(arguments).stdin(terminal).stderr(Stdio::null()).output();
    let output = output.ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// What the terminal can do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    /// Standard output is a terminal.
    pub(crate) out: bool,
    /// The same, it obeys escape sequences, and `NO_COLOR` is not set.
    pub(crate) colour: bool,
    /// Standard error is a terminal too, and `NO_COLOR` is not set: a bar is drawn there.
    pub(super) bar: bool,
    /// The width of standard output.
    pub(crate) columns: usize,
}

impl Terminal {
    /// Asks the system.
    pub(crate) fn look() -> Terminal {
        let out = io::stdout().is_terminal();
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let is_plain = !out || variable("NO_COLOR").is_some();
        let colour = !is_plain && obeys(cfg!(windows), variable);
        let bar = !is_plain && io::stderr().is_terminal();
        Terminal { out, colour, bar, columns: columns(&io::stdout()) }
    }
}

/// Whether a terminal obeys escape sequences. A console of Windows does so only for a program that asks it to, which
/// the standard library cannot. The consoles that do in any case set one of these variables.
fn obeys(windows: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    let is_set = |name| variable(name).is_some();
    !windows
        || is_set("WT_SESSION")
        || is_set("TERM")
        || variable("ConEmuANSI").as_deref() == Some("ON")
}

/// A progress bar. A thread draws it, also while the transfer waits for the network. It is drawn if a command
/// takes long, and removed when this is dropped.
pub(super) struct Bar {
    state: Arc<Mutex<State>>,
    /// The thread that draws it, where there is a terminal, and what ends that when it is dropped.
    drawn: Option<(Sender<()>, JoinHandle<()>)>,
}

struct State {
    transfer: Transfer,
    /// How much the files before this one had.
    before: u64,
    start: Instant,
    /// When all bytes of an upload had been sent.
    sent: Option<Instant>,
    is_drawn: bool,
    /// Something else was printed, and nothing has moved since.
    is_hidden: bool,
}

impl Bar {
    /// A bar that begins now, for this many files. If there is no terminal for it, nothing is ever drawn.
    pub(super) fn new(
        terminal: Option<Terminal>,
        lang: Lang,
        of: usize,
        total: Option<u64>,
    ) -> Bar {
        let state = State {
            transfer: Transfer { of, total, ..Transfer::default() },
            before: 0,
            start: Instant::now(),
            sent: None,
            is_drawn: false,
            is_hidden: true,
        };
        let state = Arc::new(Mutex::new(state));
        let drawn = terminal.and_then(|terminal| {
            let (end, ended) = channel();
            let state = Arc::clone(&state);
            let draw = move || draw(&state, &ended, terminal, lang);
            Some((end, thread::Builder::new().spawn(draw).ok()?))
        });
        Bar { state, drawn }
    }

    /// Takes note of the file that moves now.
    pub(super) fn begin(&mut self, name: &str) {
        self.change(|state| {
            state.transfer.name = printable(name.as_bytes());
            (state.transfer.done, state.sent) = (state.before, None);
        });
    }

    /// Takes note of how far the file has come.
    pub(super) fn show(&mut self, progress: Progress) {
        self.change(|state| {
            state.is_hidden = false;
            let (done, total) = match progress {
                Progress::Moved(done, total) => (done, total),
                Progress::Continuing(done, total) => {
                    state.transfer.partial += done;
                    if state.transfer.of == 1 {
                        // The rate and the time are those of the rest.
                        state.start = Instant::now();
                    }
                    (done, total)
                }
                Progress::Kept(..) => return,
                Progress::Checking(_) | Progress::Comparing => return state.is_hidden = true,
                Progress::Sent => return state.sent = Some(Instant::now()),
            };
            state.transfer.done = state.before + done;
            if state.transfer.of == 1 {
                state.transfer.total = total;
            }
        });
    }

    /// Takes note that the file, of this size, is done. `None`: it has failed.
    pub(super) fn done(&mut self, bytes: Option<u64>) {
        self.change(|state| {
            state.transfer.files += 1;
            state.transfer.failed += usize::from(bytes.is_none());
            state.before += bytes.unwrap_or_default();
        });
    }

    /// Removes the bar, so that something else can be printed. It is drawn again when something moves.
    pub(super) fn hide(&mut self) {
        self.change(State::hide);
    }

    fn change(&mut self, change: impl FnOnce(&mut State)) {
        change(&mut lock(&self.state));
    }
}

impl State {
    fn hide(&mut self) {
        if self.is_drawn {
            let _ = io::stderr().write_all(b"\r\x1b[K");
        }
        (self.is_drawn, self.is_hidden) = (false, true);
    }
}

/// Draws the bar until it has ended.
fn draw(state: &Mutex<State>, ended: &Receiver<()>, terminal: Terminal, lang: Lang) {
    let Terminal { colour: obeys, mut columns, .. } = terminal;
    for tick in 1.. {
        // The window may have another width now.
        if obeys && tick % MEASURED_EVERY == 0 {
            columns = self::columns(&io::stdout());
        }
        let mut state = lock(state);
        let elapsed = state.start.elapsed();
        if elapsed >= BAR_AFTER && !state.is_hidden {
            let waiting = state.sent.map(|sent| sent.elapsed());
            // The last column stays free: a terminal that breaks a full line would go on to the next.
            let line = progress::line(&state.transfer, elapsed, waiting, columns - 1, lang);
            let _ = io::stderr().write_all(frame(&line, obeys).as_bytes());
            state.is_drawn = obeys;
        }
        drop(state);
        let tick = if obeys { TICK } else { LINE_TICK };
        if ended.recv_timeout(tick) != Err(RecvTimeoutError::Timeout) {
            break;
        }
    }
    lock(state).hide();
}

/// What shows a line of the bar: it is drawn over the one before, or follows it.
fn frame(line: &str, obeys: bool) -> String {
    if obeys { format!("\r\x1b[K{line}") } else { format!("{line}\n") }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.drawn.take() {
            drop(end);
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_are_for_terminals_that_obey_them() {
        let obeys = |windows, set: &str, value: &str| {
            obeys(windows, |name| (name == set).then(|| value.to_owned()))
        };
        for (windows, set, value, expected) in [
            (false, "", "", true),
            (true, "", "", false),
            (true, "COLORTERM", "truecolor", false),
            (true, "WT_SESSION", "1", true),
            (true, "TERM", "xterm-256color", true),
            (true, "ConEmuANSI", "ON", true),
            (true, "ConEmuANSI", "OFF", false),
        ] {
            assert_eq!(obeys(windows, set, value), expected, "{windows} {set} {value}");
        }
        assert_eq!(frame(" 25%", true), "\r\x1b[K 25%");
        assert_eq!(frame(" 25%", false), " 25%\n");
    }

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

    #[test]
    fn what_is_no_terminal_has_a_width_and_no_colour() {
        let file = std::fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
        assert_eq!(columns(&file), COLUMNS);
        assert!(std::fs::File::open("/dev/tty").is_ok() || measured().is_none());
        let Terminal { out, colour, bar, .. } = Terminal::look();
        assert!(out || !colour && !bar);
    }

    #[test]
    fn the_rate_of_one_file_that_continues_is_that_of_its_rest() {
        for (files, is_new) in [(1, true), (2, false)] {
            let mut bar = Bar::new(None, Lang::En, files, None);
            let before = lock(&bar.state).start;
            while Instant::now() == before {}
            bar.show(Progress::Continuing(5, Some(9)));
            assert_eq!(lock(&bar.state).start > before, is_new, "{files}");
        }
    }

    #[test]
    fn a_bar_is_drawn_when_something_moves_and_removed_at_the_end() {
        let terminal = Terminal { out: true, colour: true, bar: true, columns: COLUMNS };
        let mut bar = Bar::new(Some(terminal), Lang::En, 1, None);
        let state = Arc::clone(&bar.state);
        lock(&state).start = Instant::now().checked_sub(BAR_AFTER).unwrap();
        bar.show(Progress::Moved(1, Some(2)));
        let end = Instant::now() + Duration::from_secs(20);
        while !lock(&state).is_drawn {
            assert!(Instant::now() < end);
            thread::yield_now();
        }
        bar.hide();
        assert!(!lock(&state).is_drawn && lock(&state).is_hidden);
        drop(bar);
        // Its thread has ended.
        assert_eq!(Arc::strong_count(&state), 1);
    }

    /// What a bar is told while files move, and the line that it would draw.
    #[test]
    fn a_bar_adds_up_what_moves() {
        let bar = |of| Bar::new(None, Lang::En, of, Some(3000));
        let line = |bar: &Bar| {
            let state = lock(&bar.state);
            let waiting = state.sent.map(|_| Duration::from_secs(4));
            let line =
                progress::line(&state.transfer, Duration::from_secs(1), waiting, 80, Lang::En);
            (line, state.is_hidden)
        };
        let drawn = |text: &str| (text.to_owned(), false);
        let mut many = bar(3);
        assert_eq!(
            line(&many),
            ("0 of 3 files    0%  0 B/s  --:--  0 B of 3.0 kB".to_owned(), true)
        );
        many.begin("a");
        many.show(Progress::Moved(500, Some(1000)));
        assert_eq!(line(&many), drawn("0 of 3 files   16%  500 B/s  00:05  500 B of 3.0 kB  a"));
        many.show(Progress::Moved(1000, Some(1000)));
        many.done(Some(1000));
        many.hide();
        assert!(line(&many).1);
        many.begin("b\n");
        many.show(Progress::Moved(500, Some(1000)));
        assert_eq!(
            line(&many),
            drawn("1 of 3 files   50%  1.5 kB/s  00:01  1.5 kB of 3.0 kB  b\\n")
        );
        // What has failed counts as a file, and not its bytes.
        many.done(None);
        many.begin("c");
        let failed = "2 of 3 files  1 failed   33%  1.0 kB/s  00:02  1.0 kB of 3.0 kB  c";
        assert_eq!(line(&many).0, failed);

        let mut one = bar(1);
        one.begin("a");
        one.show(Progress::Moved(100, Some(400)));
        assert_eq!(line(&one).0.split("]  ").nth(1), Some(" 25%  100 B/s  00:03  100 B of 400 B"));
        one.show(Progress::Comparing);
        assert!(line(&one).1);
        // The rate is that of the rest.
        one.show(Progress::Continuing(400, Some(1000)));
        one.show(Progress::Moved(500, Some(1000)));
        assert_eq!(line(&one).0.split("]  ").nth(1), Some(" 50%  100 B/s  00:05  500 B of 1.0 kB"));
        one.show(Progress::Sent);
        assert_eq!(line(&one), drawn("500 B handed to the system; waiting for the receipt, 4 s"));
        one.begin("b");
        assert!(!line(&one).0.contains("receipt"));
    }
}
