//! What the server says while it works: one line an event, one write a line, nothing raw.
//!
//! ```text
//! 2026-01-31T09:00:00.125Z 127.0.0.1:50312 text open
//! 2026-01-31T09:00:00.131Z 127.0.0.1:50312 text upload "a.txt" stored "a_1.txt" 33 bytes 0.002 s ok
//! 2026-01-31T09:00:00.140Z 127.0.0.1:50312 text size "b.txt" 0 bytes 0.000 s not-found: no such file
//! 2026-01-31T09:00:02.007Z 127.0.0.1:50312 text close
//! ```

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Code, Error, Result};
use crate::lang::{Lang, Msg};
use crate::limits;

/// Where log lines go: standard error, and a file if there is one; or nowhere. A copy is the same log.
#[derive(Clone, Default)]
pub struct Log(Option<Arc<Sink>>);

#[derive(Default)]
struct Sink {
    /// Standard error without the lock that the standard library puts around each write to it: a line is
    /// one write, and no connection has to wait for another's.
    stderr: Option<File>,
    file: Option<File>,
    lang: Lang,
    /// What has been said of late about conditions that last, and when.
    lasting: Mutex<HashMap<String, Instant>>,
}

impl Log {
    /// A log on standard error and, where `file` is said, at the end of that file.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn open(file: Option<&Path>, lang: Lang) -> Result<Log> {
        let open = |path: &Path| OpenOptions::new().append(true).create(true).open(path);
        let file = file.map(|path| {
            open(path)
                .map_err(|error| Error::io(format!("open the log {}", path.display()), &error))
        });
        let (stderr, file) = (unlocked_stderr(), file.transpose()?);
        Ok(Log(Some(Arc::new(Sink { stderr, file, lang, lasting: Mutex::default() }))))
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

    /// The same with what `fill` puts behind the time.
    #[allow(clippy::print_stderr, reason = "this is the one place where the server speaks")]
    fn write(&self, fill: impl FnOnce(&mut String)) {
        let Some(sink) = &self.0 else { return };
        let mut line = String::with_capacity(USUAL_LINE);
        line.push_str(&utc(SystemTime::now()));
        line.push(' ');
        fill(&mut line);
        line.push('\n');
        if let Some(mut file) = sink.file.as_ref() {
            let _ = file.write_all(line.as_bytes());
        }
        let _ = match sink.stderr.as_ref() {
            Some(mut stderr) => stderr.write_all(line.as_bytes()),
            None => std::io::stderr().write_all(line.as_bytes()),
        };
    }

    /// Writes a line about something that will go on for a while, and then not again too soon.
    pub fn lasting(&self, what: impl fmt::Display) {
        let Some(sink) = &self.0 else { return };
        let what = what.to_string();
        {
            let mut lasting = sink.lasting.lock().unwrap_or_else(PoisonError::into_inner);
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

/// Elsewhere than on Unix a console may not take our bytes as they are: the standard library knows.
fn unlocked_stderr() -> Option<File> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        std::io::stderr().as_fd().try_clone_to_owned().ok().map(File::from)
    }
    #[cfg(not(unix))]
    {
        None
    }
}

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

impl Done {
    /// A command that moved so many bytes of a file.
    #[must_use]
    pub fn bytes(bytes: u64) -> Done {
        Done { bytes, stored: None }
    }
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
        msg.say(self.log.0.as_ref().map(|sink| sink.lang).unwrap_or_default())
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
                Err(error) if error.code() == Code::Gone => line.push_str("gone: cut short"),
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

/// A peer's bytes made fit to print: what is not printable is spelled out, and what is long is cut.
/// A name can hold commands for a terminal, and direction marks that make it read as another name.
#[must_use]
pub fn escape(bytes: &[u8]) -> Cow<'_, str> {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if bytes.len() < limits::SHOWN && bytes.iter().all(plain) {
        // What nearly every name is.
        return String::from_utf8_lossy(bytes);
    }
    spell_out(bytes, limits::SHOWN, true).into()
}

/// The same for somebody who reads a whole conversation: nothing is cut, and quotation marks and
/// backslashes stay as they are.
#[must_use]
pub fn readable(bytes: &[u8]) -> String {
    spell_out(bytes, usize::MAX, false)
}

fn spell_out(bytes: &[u8], most: usize, quoted: bool) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if text.len() >= most {
                text.push('…');
                return text;
            }
            match c {
                '\'' => text.push(c),
                '"' | '\\' if !quoted => text.push(c),
                // A combining mark is escaped only where it has nothing to stand on.
                _ if !text.is_empty() && combines(c) => text.push(c),
                _ => text.extend(c.escape_debug()),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
        if text.len() >= most {
            text.push('…');
            return text;
        }
    }
    text
}

/// Whether `c` joins the letter before it: the standard library escapes such a character only at
/// the beginning of a text.
fn combines(c: char) -> bool {
    c.escape_debug().len() > 1 && format!("a{c}").escape_debug().count() == 2
}

/// A moment as `2026-01-31T09:00:00.125Z`. Digit by digit, because every line has one: the general way
/// to format seven padded numbers takes as long as the rest of the line.
fn utc(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let millisecond = u64::from(since.subsec_millis());
    let mut text = *b"0000-00-00T00:00:00.000Z";
    // Where each number ends; it begins behind the mark before it.
    for (end, mut number) in [
        (4, year),
        (7, month),
        (10, day),
        (13, second / 3600),
        (16, second / 60 % 60),
        (19, second % 60),
        (23, millisecond),
    ] {
        let places = text.iter_mut().take(end).rev();
        for place in places.take_while(|place| **place == b'0') {
            *place += (number % 10) as u8;
            number /= 10;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
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

    #[test]
    fn what_a_peer_sent_is_printable() {
        let table: [(&[u8], &str); 9] = [
            (b"plain name.txt", "plain name.txt"),
            ("é CJK 漢字 e\u{301}".as_bytes(), "é CJK 漢字 e\u{301}"),
            (b"it's \"so\" \\", "it's \\\"so\\\" \\\\"),
            (b"\x1b[31mred\x07", "\\u{1b}[31mred\\u{7}"),
            (b"a\r\nb\0", "a\\r\\nb\\0"),
            ("a\u{202e}txt.exe\u{200b}".as_bytes(), "a\\u{202e}txt.exe\\u{200b}"),
            (b"\xff\xc0\x80", "\\xff\\xc0\\x80"),
            ("\u{85}\u{2028}".as_bytes(), "\\u{85}\\u{2028}"),
            ("\u{301}a".as_bytes(), "\\u{301}a"),
        ];
        for (bytes, shown) in table {
            assert_eq!(escape(bytes), shown);
        }
    }

    #[test]
    fn a_conversation_is_readable_and_whole() {
        assert_eq!(readable(b"{\"a\":\"\\u00e9\"}\x1b[31m\r"), "{\"a\":\"\\u00e9\"}\\u{1b}[31m\\r");
        assert_eq!(readable(&[b'a'; 5000]).len(), 5000);
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(escape(&[b'a'; 5000]).chars().count(), limits::SHOWN + 1);
        assert!(escape(&[b'\n'; 5000]).len() < limits::SHOWN + 8);
        assert!(escape(&[0xff; 5000]).len() < limits::SHOWN + 8);
    }

    #[test]
    fn days_become_dates() {
        let table = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ];
        for (second, shown) in table {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(second)), shown);
        }
    }
}
