//! The server's log: one line for each event, with everything that a peer sent escaped.
//!
//! ```text
//! 2026-01-31T09:00:00.125Z 127.0.0.1:50312 text open, 12 connected
//! 2026-01-31T09:00:00.131Z 127.0.0.1:50312 text upload "a.txt" stored "a_1.txt" 33 bytes 0.002 s ok
//! 2026-01-31T09:00:00.140Z 127.0.0.1:50312 text size "b.txt" not-found: no such file (look at uploads/b.txt: …)
//! 2026-01-31T09:00:02.007Z 127.0.0.1:50312 text close
//! ```

use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result, lock};
use crate::lang::{Lang, escape};
use crate::limits;

/// How long the end of the program waits for its last lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How long the thread that writes log lines pauses before a write, so that lines that come fast are
/// written together.
const LOG_PAUSE: Duration = Duration::from_millis(5);

/// How many lines a connection writes in a second, not counting those about files that were stored or removed.
const LINES_PER_SECOND: u64 = 100;

/// Log lines that wait to be written, in bytes: those of a second under full load. Lines that do not fit
/// are dropped.
const LOG_QUEUE: usize = 1 << 20;

/// Where log lines go: to standard error, and to a file if there is one. The default is nowhere, for a client's own folder
/// and for tests. A clone is the same log.
#[derive(Clone, Default)]
pub struct Log(Arc<Outputs>);

#[derive(Default)]
struct Outputs {
    /// Standard error, and the file.
    queues: Vec<Queue>,
    lang: Lang,
}

/// The lines on their way to one output. A connection adds its line and goes on; one thread writes them. If
/// the output is not read, only that thread waits, and lines that do not fit in the queue are dropped.
struct Queue {
    lines: Arc<Mutex<Lines>>,
    /// Wakes the thread.
    wake: Sender<()>,
}

#[derive(Default)]
struct Lines {
    /// All of them in one text: a string for each would stay in the memory of the thread that made it.
    text: String,
    /// How many bytes are not written yet: those of the text, and those that are being written.
    unwritten: usize,
    /// The number of lines that were dropped since the last that was added.
    dropped: u64,
}

impl Log {
    /// A log on standard error and, if `file` is given, at the end of that file.
    ///
    /// # Errors
    /// The file cannot be opened for appending, or no thread can be started.
    pub fn open(file: Option<&Path>, lang: Lang) -> Result<Log> {
        let mut queues = vec![Queue::start(|text| drop(io::stderr().write_all(text)))?];
        if let Some(path) = file.map(Path::to_owned) {
            let opening = |error| Error::io(format!("open the log {}", path.display()), &error);
            let mut file = append_to(&path).map_err(opening)?;
            let mut has_failed = false;
            queues.push(Queue::start(move |text| {
                let written = append(text, &mut file, &path);
                if let Some(error) = written.as_ref().err().filter(|_| !has_failed) {
                    let what = format!("log: cannot write {}: {error}\n", path.display());
                    let _ = io::stderr().write_all(what.as_bytes());
                }
                has_failed = written.is_err();
            })?);
        }
        Ok(Log(Arc::new(Outputs { queues, lang })))
    }

    /// Writes one line, with the time in front. A log that cannot be written stops no server.
    pub fn line(&self, what: impl fmt::Display) {
        let line = format!("{} {what}\n", utc(SystemTime::now()));
        for queue in &self.0.queues {
            queue.push(&line);
        }
    }

    /// Shows a line of a trace on standard error, after the log lines before it.
    pub fn trace(&self, line: &str) {
        if let Some(stderr) = self.0.queues.first() {
            stderr.push(line);
        }
    }

    /// Waits until all lines are written, for a limited time: for the end of the program.
    pub fn flush(&self) {
        let until = Instant::now() + LAST_LINES;
        for queue in &self.0.queues {
            while lock(&queue.lines).unwritten > 0 && Instant::now() < until {
                thread::sleep(LOG_PAUSE);
            }
        }
    }

    /// The part of the log that belongs to one connection.
    pub fn for_connection(&self, peer: SocketAddr, dialect: &'static str) -> ConnectionLog<'_> {
        ConnectionLog {
            log: self,
            peer,
            name: format!("{peer} {dialect}"),
            this_second: Cell::new((Instant::now(), 0)),
        }
    }
}

impl Queue {
    /// A queue, and the thread that passes its lines to `write`, many at a time if they come fast.
    fn start(mut write: impl FnMut(&[u8]) + Send + 'static) -> Result<Queue> {
        let (wake, woken) = channel();
        let lines = Arc::new(Mutex::new(Lines::default()));
        let waiting = Arc::clone(&lines);
        let writer = thread::Builder::new().name("log".to_owned()).stack_size(limits::STACK);
        let started = writer.spawn(move || {
            // Two texts take turns: a new one each time would grow in the memory of the threads that add lines.
            let mut text = String::new();
            while woken.recv().is_ok() {
                thread::sleep(LOG_PAUSE);
                std::mem::swap(&mut text, &mut lock(&waiting).text);
                write(text.as_bytes());
                lock(&waiting).unwritten -= text.len();
                text.clear();
            }
        });
        started.map_err(|error| Error::io("start a thread for the log", &error))?;
        Ok(Queue { lines, wake })
    }

    /// Adds a line, or drops it if the queue is full. Never waits for the output.
    fn push(&self, line: &str) {
        let Lines { text, unwritten, dropped } = &mut *lock(&self.lines);
        if *unwritten + line.len() > LOG_QUEUE {
            *dropped += 1;
            return;
        }
        if text.is_empty() {
            let _ = self.wake.send(());
        }
        if *dropped > 0 {
            let time = utc(SystemTime::now());
            let notice = format!("{time} log: {dropped} lines were dropped, not read in time\n");
            text.push_str(&notice);
            (*unwritten, *dropped) = (*unwritten + notice.len(), 0);
        }
        text.push_str(line);
        *unwritten += line.len();
    }
}

/// Whether this path still leads to this open file.
fn leads_to(path: &Path, file: &File) -> bool {
    match (fs::metadata(path), file.metadata()) {
        #[cfg(unix)]
        (Ok(there), Ok(open)) => {
            use std::os::unix::fs::MetadataExt;
            (there.dev(), there.ino()) == (open.dev(), open.ino())
        }
        (there, _) => there.is_ok(),
    }
}

fn append(text: &[u8], file: &mut File, path: &Path) -> io::Result<()> {
    // Programs that archive logs move the file away.
    if !leads_to(path, file) {
        *file = append_to(path)?;
    }
    file.write_all(text)
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// One connection's lines.
pub struct ConnectionLog<'l> {
    log: &'l Log,
    peer: SocketAddr,
    name: String,
    /// When it began, and how many lines it has had.
    this_second: Cell<(Instant, u64)>,
}

/// What a command did, beside its outcome.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// The number of payload bytes that were moved.
    pub bytes: u64,
    /// The name that a received file was stored under.
    pub stored: Option<String>,
    /// A file was removed.
    pub removed: bool,
}

impl ConnectionLog<'_> {
    /// The connection begins. This many are open now.
    pub fn open(&self, count: usize) {
        let connected = match self.log.0.lang {
            Lang::En => format!("open, {count} connected"),
            Lang::Id => format!("Terhubung dengan {}, {count} terhubung", self.peer),
        };
        self.log.line(format_args!("{} {connected}", self.name));
    }

    /// The connection has ended: normally, or with an error. Errors are in English in both languages.
    pub fn close(&self, why: &Result<()>) {
        self.begin_second();
        let closed = match (why, self.log.0.lang) {
            (Ok(()), Lang::En) => "close".to_owned(),
            (Ok(()), Lang::Id) => format!("Koneksi dengan {} ditutup", self.peer),
            (Err(error), _) => format!("close {}", shown(error)),
        };
        self.log.line(format_args!("{} {closed}", self.name));
    }

    /// Says how many lines the second before had that were not written.
    fn begin_second(&self) {
        let (_, count) = self.this_second.replace((Instant::now(), 0));
        if let Some(dropped @ 1..) = count.checked_sub(LINES_PER_SECOND) {
            let name = &self.name;
            self.log.line(format_args!("{name} {dropped} more lines in a second were not written"));
        }
    }

    /// Counts a line, and returns whether it may be written.
    fn may_write(&self) -> bool {
        if self.this_second.get().0.elapsed() >= Duration::from_secs(1) {
            self.begin_second();
        }
        let (begun, count) = self.this_second.get();
        self.this_second.set((begun, count + 1));
        count < LINES_PER_SECOND
    }

    /// Writes the line of a command. Beyond 100 in a second, only if a file was stored or removed.
    pub fn command(&self, word: &[u8], argument: &[u8], since: Instant, outcome: &Result<Done>) {
        let (bytes, stored, removed) = match outcome {
            Ok(done) => (done.bytes, done.stored.as_deref(), done.removed),
            Err(error) => (error.payload_came(), None, false),
        };
        if stored.is_none() && !removed && !self.may_write() {
            return;
        }
        let mut line = format!("{} {}", self.name, escape(word));
        if !argument.is_empty() {
            let _ = write!(line, " \"{}\"", escape(argument));
        }
        if let Some(stored) = stored {
            let _ = write!(line, " stored \"{}\"", escape(stored.as_bytes()));
        }
        let seconds = since.elapsed().as_secs_f64();
        // Writing into a `String` cannot fail. A quick command without a payload has no time.
        let _ = match bytes {
            0 if seconds < 0.001 => Ok(()),
            0 => write!(line, " {seconds:.3} s"),
            bytes => write!(line, " {bytes} bytes {seconds:.3} s"),
        };
        match outcome {
            Ok(_) => line += " ok",
            Err(error) if error.is_gone() => line += " gone: cut short",
            Err(error) => line += &format!(" {}", shown(error)),
        }
        self.log.line(line);
    }
}

/// An error as a log shows it: a path in it may have a name that a peer chose.
fn shown(error: &Error) -> String {
    escape(error.to_string().as_bytes()).into_owned()
}

/// A time as `2026-01-31T09:00:00.125Z`, with the formulas of E. G. Richards for the calendar: years begin on the first
/// of March, so that the day of a leap year is the last of its year.
fn utc(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (second, millisecond) = (since.as_secs(), since.subsec_millis());
    // The days of the Julian calendar, whose 4 years always have 1461 days: 400 of our years have 3 fewer.
    let day = second / 86_400 + 2_440_588;
    let quarters = 4 * (day + (4 * day + 274_277) / 146_097 * 3 / 4 + 1363) + 3;
    let day = 5 * (quarters % 1461 / 4) + 2;
    let (day, month) = (day % 153 / 5 + 1, (day / 153 + 2) % 12 + 1);
    let year = quarters / 1461 - 4716 + (14 - month) / 12;
    let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full pipe at standard error stopped every connection.
    #[test]
    fn lines_that_are_not_read_are_dropped_and_counted() {
        let (written, read) = std::sync::mpsc::sync_channel::<Vec<u8>>(0);
        let queue = Queue::start(move |text| drop(written.send(text.to_vec())));
        let queue = queue.unwrap();
        let line = "x".repeat(99) + "\n";
        let all = 4 * LOG_QUEUE / line.len();
        for _ in 0..all {
            queue.push(&line);
        }
        assert!(lock(&queue.lines).unwritten <= LOG_QUEUE);
        // The next line that is added says how many there were.
        let (mut came, mut dropped) = (0, 0);
        while came + dropped < all {
            let Ok(text) = read.recv_timeout(LOG_PAUSE * 2) else {
                if lock(&queue.lines).unwritten < LOG_QUEUE / 2 {
                    queue.push("after\n");
                }
                continue;
            };
            let text = String::from_utf8(text).unwrap();
            came += text.matches(&line).count();
            for notice in text.lines().filter(|line| line.contains(" lines were dropped")) {
                dropped += notice.split(' ').nth(2).unwrap().parse::<usize>().unwrap();
            }
        }
        assert_eq!(came + dropped, all);
        assert!(dropped > all / 4, "{dropped}");
    }

    /// `x` and a newline without end wrote 67 to 128 MB a second.
    #[test]
    fn a_connection_has_some_lines_a_second_and_all_about_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = Log::open(Some(&path), Lang::En).unwrap();
        let session = log.for_connection(([127, 0, 0, 1], 1).into(), "text");
        let removed = || Ok(Done { removed: true, ..Done::default() });
        let stored = || Ok(Done { stored: Some("a".to_owned()), ..Done::default() });
        let now = Instant::now();
        for _ in 0..250 {
            session.command(b"x", b"", now, &Ok(Done::default()));
            session.command(b"rm", b"a", now, &removed());
            session.command(b"upload", b"a", now, &stored());
        }
        let (_, count) = session.this_second.get();
        session.this_second.set((now.checked_sub(Duration::from_secs(1)).unwrap(), count));
        session.command(b"y", b"", now, &Ok(Done::default()));
        session.close(&Ok(()));
        log.flush();
        let text = fs::read_to_string(path).unwrap();
        let count = |what: &str| text.lines().filter(|line| line.contains(what)).count();
        assert_eq!([" rm ", " upload ", " y ", " close"].map(count), [250, 250, 1, 1]);
        let few = (100..200).contains(&count(" x "));
        assert!(few && count(" more lines in a second were not written") >= 1, "{}", count(" x "));
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
            (253_402_300_799, "9999-12-31T23:59:59"),
        ];
        for (second, shown) in table {
            let time = UNIX_EPOCH + Duration::from_secs(second);
            assert_eq!(utc(time), format!("{shown}.000Z"));
            assert_eq!(utc(time + Duration::from_millis(7)), format!("{shown}.007Z"));
        }
    }
}
