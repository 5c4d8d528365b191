//! What the server says while it works: one line an event, one write a line, nothing raw.
//!
//! ```text
//! 2026-01-31T09:00:00.125Z 127.0.0.1:50312 text open
//! 2026-01-31T09:00:00.131Z 127.0.0.1:50312 text upload "a.txt" stored "a_1.txt" 33 bytes 0.002 s ok
//! 2026-01-31T09:00:00.140Z 127.0.0.1:50312 text size "b.txt" 0 bytes 0.000 s not-found: no such file
//! 2026-01-31T09:00:02.007Z 127.0.0.1:50312 text close
//! ```

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};
use crate::lang::{Lang, Msg, escape};
use crate::limits;

/// Where log lines go: standard error, and a file if there is one; or nowhere. A copy is the same log.
#[derive(Clone, Default)]
pub struct Log(Option<Arc<Outputs>>);

struct Outputs {
    stderr: Arc<Queue>,
    file: Option<Arc<Queue>>,
    lang: Lang,
    /// What has been said of late about conditions that last, and when.
    lasting: Mutex<HashMap<String, Instant>>,
}

/// The lines on their way to one output. A connection leaves its line here and goes on; one thread writes
/// them. If nobody reads what it writes, it alone waits, and lines that find no room are dropped.
#[derive(Default)]
struct Queue {
    lines: Mutex<Lines>,
    filled: Condvar,
}

#[derive(Default)]
struct Lines {
    text: String,
    /// Lines that found no room since the last that did.
    dropped: u64,
    /// The thread that writes has nothing to do.
    is_idle: bool,
    /// The second of the last line, and how it is written: most lines share it.
    second: (u64, String),
}

impl Log {
    /// A log on standard error and, where `file` is given, at the end of that file.
    ///
    /// # Errors
    /// The file cannot be opened for appending, or no thread can be started.
    pub fn open(file: Option<&Path>, lang: Lang) -> Result<Log> {
        let file = file.map(LogFile::open).transpose()?;
        let mut stderr = stderr();
        let stderr = Queue::start(move |text| stderr.write_all(text))?;
        let file = file.map(|mut file| Queue::start(move |text| file.write(text))).transpose()?;
        Ok(Log(Some(Arc::new(Outputs { stderr, file, lang, lasting: Mutex::default() }))))
    }

    /// A log that says nothing: for a client's own folder, and for tests.
    #[must_use]
    pub fn silent() -> Log {
        Log(None)
    }

    /// Writes one line, with the time in front. A log that cannot be written stops no server.
    pub fn line(&self, what: impl fmt::Display) {
        self.write(|line| {
            let _ = write!(line, "{what}");
        });
    }

    /// The same with what `fill` puts after the time.
    fn write(&self, fill: impl FnOnce(&mut String)) {
        let Some(outputs) = &self.0 else { return };
        let mut line = String::with_capacity(USUAL_LINE);
        fill(&mut line);
        line.push('\n');
        let now = SystemTime::now();
        for queue in [outputs.file.as_ref(), Some(&outputs.stderr)].into_iter().flatten() {
            queue.push(Some(now), &line);
        }
    }

    /// Shows a line of a trace on standard error, in its turn among the others.
    pub fn trace(&self, line: &str) {
        if let Some(outputs) = &self.0 {
            outputs.stderr.push(None, line);
        }
    }

    /// Waits until all lines are written, within a bound: for the end of the program.
    pub fn flush(&self) {
        let until = Instant::now() + limits::LAST_LINES;
        let Some(outputs) = &self.0 else { return };
        for queue in [Some(&outputs.stderr), outputs.file.as_ref()].into_iter().flatten() {
            while !queue.is_written() && Instant::now() < until {
                thread::sleep(limits::LOG_REST);
            }
        }
    }

    /// Writes a line about something that will go on for a while, and then not again too soon.
    pub fn lasting(&self, what: impl fmt::Display) {
        let Some(outputs) = &self.0 else { return };
        let what = what.to_string();
        {
            let mut lasting = outputs.lasting.lock().unwrap_or_else(PoisonError::into_inner);
            lasting.retain(|_, said| said.elapsed() < limits::LASTING);
            if lasting.contains_key(&what) {
                return;
            }
            lasting.insert(what.clone(), Instant::now());
        }
        self.line(what);
    }

    /// The part of the log that belongs to one connection.
    #[must_use]
    pub fn session(&self, peer: SocketAddr, dialect: &'static str) -> Session<'_> {
        Session { log: self, peer, name: format!("{peer} {dialect}") }
    }
}

impl Queue {
    /// A queue, and the thread that hands what is in it to `write`, many lines at a time where they come
    /// fast.
    fn start(
        mut write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
    ) -> Result<Arc<Queue>> {
        let queue = Arc::new(Queue::default());
        let lines = Arc::clone(&queue);
        let writer = thread::Builder::new().name("log".to_owned()).stack_size(limits::STACK);
        let started = writer.spawn(move || {
            let mut text = String::new();
            loop {
                lines.take(&mut text);
                let _ = write(text.as_bytes());
            }
        });
        started.map_err(|error| Error::io("start a thread for the log", &error))?;
        Ok(queue)
    }

    /// Leaves a line, with this time in front, or drops it where there is no room. Never waits.
    fn push(&self, time: Option<SystemTime>, line: &str) {
        let mut lines = self.lines();
        if lines.text.len().saturating_add(line.len()) > limits::LOG_QUEUE {
            lines.dropped = lines.dropped.saturating_add(1);
            return;
        }
        if let dropped @ 1.. = std::mem::take(&mut lines.dropped) {
            lines.push_time(SystemTime::now());
            let _ = writeln!(lines.text, "log: {dropped} lines were dropped, not read in time");
        }
        if let Some(time) = time {
            lines.push_time(time);
        }
        lines.text.push_str(line);
        if std::mem::take(&mut lines.is_idle) {
            drop(lines);
            self.filled.notify_one();
        }
    }

    /// Takes all lines that are there, and waits for some if there are none.
    fn take(&self, text: &mut String) {
        text.clear();
        text.shrink_to(KEPT);
        // Lines that come while we rest are written together.
        thread::sleep(limits::LOG_REST);
        let mut lines = self.lines();
        while lines.text.is_empty() {
            lines.is_idle = true;
            lines = self.filled.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut lines.text, text);
    }

    fn is_written(&self) -> bool {
        let lines = self.lines();
        lines.is_idle && lines.text.is_empty()
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn push_time(&mut self, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.second.1.is_empty() || self.second.0 != since.as_secs() {
            self.second = (since.as_secs(), utc(since.as_secs()));
        }
        let _ = write!(self.text, "{}.{:03}Z ", self.second.1, since.subsec_millis());
    }
}

/// The file that `--log` names.
struct LogFile {
    path: PathBuf,
    file: File,
    looked: Instant,
}

impl LogFile {
    fn open(path: &Path) -> Result<LogFile> {
        let opening = |error| Error::io(format!("open the log {}", path.display()), &error);
        let file = append_to(path).map_err(opening)?;
        Ok(LogFile { path: path.to_owned(), file, looked: Instant::now() })
    }

    /// A file that was moved away, to keep its lines or to save room, is opened anew.
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if self.looked.elapsed() >= limits::LOG_LOOK {
            self.looked = Instant::now();
            if !self.is_at_its_path() {
                self.file = append_to(&self.path)?;
            }
        }
        self.file.write_all(text)
    }

    fn is_at_its_path(&self) -> bool {
        match (fs::metadata(&self.path), self.file.metadata()) {
            #[cfg(unix)]
            (Ok(there), Ok(open)) => {
                use std::os::unix::fs::MetadataExt;
                (there.dev(), there.ino()) == (open.dev(), open.ino())
            }
            (there, _) => there.is_ok(),
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Standard error without the lock that the standard library puts around it: a line that somebody else
/// writes there, and nobody reads, must not keep ours. Elsewhere than on Unix a console may not take our
/// bytes as they are: the standard library knows.
fn stderr() -> Box<dyn Write + Send> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        if let Ok(stderr) = io::stderr().as_fd().try_clone_to_owned() {
            return Box::new(File::from(stderr));
        }
    }
    Box::new(io::stderr())
}

/// How much room a queue keeps for the next lines.
const KEPT: usize = 64 << 10;

/// Room for most lines, so that they do not grow bit by bit.
const USUAL_LINE: usize = 256;

/// One connection's lines.
pub struct Session<'l> {
    log: &'l Log,
    peer: SocketAddr,
    name: String,
}

/// What a command did, beside its outcome.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Payload bytes that were moved.
    pub bytes: u64,
    /// The name a received file was stored under.
    pub stored: Option<String>,
}

impl Session<'_> {
    /// The connection begins.
    pub fn open(&self) {
        let came = self.say(&Msg::PeerCame { peer: self.peer.to_string() });
        self.log.line(format_args!("{} {came}", self.name));
    }

    /// The connection has ended: quietly, or for a reason.
    pub fn close(&self, why: &Result<()>) {
        let went = self.say(&Msg::PeerWent { peer: self.peer.to_string() });
        match why {
            Ok(()) => self.log.line(format_args!("{} {went}", self.name)),
            Err(error) => self.log.line(format_args!("{} {went} {}", self.name, shown(error))),
        }
    }

    fn say(&self, msg: &Msg) -> String {
        msg.say(self.log.0.as_ref().map(|outputs| outputs.lang).unwrap_or_default())
    }

    /// A command has been carried out or refused.
    pub fn command(&self, word: &[u8], argument: &[u8], since: Instant, outcome: &Result<Done>) {
        self.log.write(|line| {
            // Every command has such a line: pieces that are text already are put together as they are.
            for piece in [&self.name, " ", &escape(word)] {
                line.push_str(piece);
            }
            if !argument.is_empty() {
                quote(line, " ", argument);
            }
            if let Ok(Done { stored: Some(stored), .. }) = outcome {
                quote(line, " stored ", stored.as_bytes());
            }
            let bytes = outcome.as_ref().map_or(0, |done| done.bytes);
            let took = since.elapsed();
            let (seconds, milliseconds) = (took.as_secs(), took.subsec_millis());
            let _ = write!(line, " {bytes} bytes {seconds}.{milliseconds:03} s ");
            match outcome {
                Ok(_) => line.push_str("ok"),
                Err(error) if error.is_gone() => line.push_str("gone: cut short"),
                Err(error) => line.push_str(&shown(error)),
            }
        });
    }
}

fn quote(line: &mut String, before: &str, bytes: &[u8]) {
    for piece in [before, "\"", &escape(bytes), "\""] {
        line.push_str(piece);
    }
}

/// An error as a log shows it: a path in it may hold a name that a peer made up.
fn shown(error: &Error) -> String {
    escape(error.to_string().as_bytes()).into_owned()
}

/// A second as `2026-01-31T09:00:00`.
fn utc(second: u64) -> String {
    let (year, month, day) = date(second / 86_400);
    let (hour, minute) = (second / 3600 % 24, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}", second % 60)
}

/// The Gregorian date `days` after 1970-01-01. The year is counted from March, so that the leap day
/// is its last, and in eras of 400 years, which all have the same number of days.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A full pipe behind standard error stopped every connection.
    #[test]
    fn lines_that_nobody_reads_are_dropped_and_counted() {
        let (written, read) = std::sync::mpsc::sync_channel::<Vec<u8>>(0);
        let queue = Queue::start(move |text| {
            written.send(text.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe.into())
        });
        let queue = queue.unwrap();
        let line = "x".repeat(99) + "\n";
        let all = 4 * limits::LOG_QUEUE / line.len();
        for _ in 0..all {
            queue.push(None, &line);
        }
        assert!(queue.lines().text.len() <= limits::LOG_QUEUE);
        // The next line that finds room says how many there were.
        let (mut came, mut dropped) = (0, 0);
        while came + dropped < all {
            let text = String::from_utf8(read.recv().unwrap()).unwrap();
            came += text.matches(&line).count();
            for notice in text.lines().filter(|line| line.contains(" lines were dropped")) {
                dropped += notice.split(' ').nth(2).unwrap().parse::<usize>().unwrap();
            }
            if queue.lines().text.is_empty() {
                queue.push(None, "after\n");
            }
        }
        assert_eq!(came + dropped, all);
        assert!(dropped > all / 4, "{dropped}");
    }

    #[test]
    fn days_become_dates() {
        let table = [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ];
        for (second, shown) in table {
            let mut lines = Lines::default();
            for millis in [0, 7] {
                lines.push_time(
                    UNIX_EPOCH + Duration::from_secs(second) + Duration::from_millis(millis),
                );
            }
            assert_eq!(lines.text, format!("{shown}.000Z {shown}.007Z "));
        }
    }
}
