//! A second implementation of all dialects, in plain threads, with a switch for each flaw that a student's server
//! could have. Without a flaw it is right, and so it is with those that begin with `permitted-`. The grader's own
//! tests grade it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::Duration;

use connme::dialect::json_value::Value;
use connme::store::Sha256;

/// What all connections share.
#[derive(Default)]
struct Server {
    flaw: &'static str,
    root: PathBuf,
    is_dead: AtomicBool,
    served: AtomicUsize,
    open: AtomicUsize,
    has_been_looked_at: AtomicBool,
    uploading: Mutex<()>,
    /// What it remembers of a name: its id, its size, or how often it came.
    ids: Mutex<BTreeMap<String, String>>,
}

type Outcome<T = ()> = io::Result<T>;

/// Serves a dialect with a flaw, or with none. Returns the port.
pub fn start(dialect: &'static str, flaw: &'static str, root: &Path) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Arc::new(Server { flaw, root: root.to_owned(), ..Server::default() });
    thread::spawn(move || {
        let mut leaked = Vec::new();
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            let count = server.served.fetch_add(1, Ordering::SeqCst);
            if server.is_dead.load(Ordering::SeqCst) {
                return;
            }
            if server.is("leak") && count > 60 {
                leaked.push(stream);
                continue;
            }
            if server.is("ten-at-once") && server.open.load(Ordering::SeqCst) > 16 {
                continue;
            }
            let open = server.open.fetch_add(1, Ordering::SeqCst);
            let own = Arc::clone(&server);
            let serve = move || {
                if own.is("permitted-slow") {
                    sleep(Duration::from_millis(20));
                }
                // As it looks to a client that has to ask again, because the queue was full.
                if own.is("permitted-backlog") && open > 5 {
                    sleep(Duration::from_secs(1));
                }
                own.serve(stream, dialect, own.is("permitted-busy") && open > 10);
                own.open.fetch_sub(1, Ordering::SeqCst);
            };
            // So it is dead before the next connection is accepted.
            let is_alone = server.is("one-client-at-a-time") || server.is("dies-of-broken-writes");
            if is_alone { serve() } else { drop(thread::spawn(serve)) }
        }
    });
    port
}

/// One connection and what has been read of it.
struct Conn<'s> {
    stream: TcpStream,
    held: Vec<u8>,
    server: &'s Server,
    said: u64,
    /// A payload is being read.
    in_payload: bool,
    /// A write has failed.
    in_write: bool,
}

impl Server {
    fn is(&self, flaw: &str) -> bool {
        self.flaw == flaw
    }

    fn serve(&self, stream: TcpStream, dialect: &str, is_full: bool) {
        let _ = stream.set_nodelay(!self.is("two-writes"));
        let mut c = Conn {
            stream,
            held: Vec::new(),
            server: self,
            said: 0,
            in_payload: false,
            in_write: false,
        };
        let is_late = self.is("greeting") && matches!(c.fill_soon(40), Ok(None));
        if is_late || self.is("greets") {
            let _ = c.say("welcome\n");
        }
        let outcome = match dialect {
            "text" if is_full => c.say("error busy no connection is free\n"),
            "json" if is_full => c.say("ERROR busy no connection is free\r\n"),
            "text" => text(&mut c, self),
            "struct" => strukt(&mut c, self),
            "filesaver" => filesaver(&mut c, self),
            "json" => json(&mut c, self),
            _ => count(&mut c, self),
        };
        let is_closed = |error: &io::Error| error.kind() == ErrorKind::Other;
        let outcome = outcome.or_else(|error| if is_closed(&error) { Ok(()) } else { Err(error) });
        let kind = outcome.as_ref().err().map(io::Error::kind);
        let dies = match kind {
            Some(ErrorKind::UnexpectedEof) if c.in_payload => self.is("dies-when-cut"),
            Some(ErrorKind::UnexpectedEof) => self.is("dies-of-a-cut-header"),
            Some(ErrorKind::InvalidData) => {
                self.is("dies-of-bad-bytes") || self.is("dies-in-an-upload-header")
            }
            Some(_) if c.in_write => self.is("dies-of-broken-writes"),
            Some(_) => self.is("dies-of-reset"),
            // The grader's first connection only looks whether there is a server.
            None if c.said == 0 && self.is("dies-of-silence") => {
                self.has_been_looked_at.swap(true, Ordering::SeqCst)
            }
            None => false,
        };
        if dies {
            self.is_dead.store(true, Ordering::SeqCst);
        }
        if self.is("never-closes") {
            sleep(Duration::from_secs(60));
        }
        // Reads what still comes for a moment, so that no reply is lost to a reset.
        if !self.is("resets-after-errors") && outcome.is_ok() {
            let _ = c.stream.shutdown(Shutdown::Write);
            let _ = c.stream.set_read_timeout(Some(Duration::from_millis(300)));
            let late = io::copy(&mut (&c.stream).take(4 << 20), &mut io::sink());
            let is_reset = late.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset);
            if is_reset && self.is("dies-of-late-reset") {
                self.is_dead.store(true, Ordering::SeqCst);
            }
        }
    }

    /// Where a name leads, or the code of the error.
    fn path(&self, name: &[u8]) -> Result<PathBuf, &'static str> {
        let Ok(name) = std::str::from_utf8(name) else {
            return Err(if self.is("dies-of-bad-bytes") { "!" } else { "bad-name" });
        };
        let mut path = self.root.clone();
        for part in name.split('/') {
            let wrong = (part == ".." && !self.is("dot-dot"))
                || (part.is_empty() && !(self.is("absolute") && name.starts_with('/')))
                || (part.len() > 200 && self.is("short-names"))
                || (self.length(part) > 255 && !self.is("any-length"))
                || (part.trim_matches(' ') != part && !self.is("spaces-in-a-path"))
                || (part.starts_with('.') && part != ".." && !self.is("hidden"))
                || (part.contains('\\') && !self.is("backslash"))
                || (part.contains(char::is_control) && !self.is("control"))
                || (part.contains('\u{202e}') && !self.is("direction"));
            if wrong || part == "." {
                return Err("bad-name");
            }
            path.push(part);
            let is_link = fs::symlink_metadata(&path).is_ok_and(|it| it.is_symlink());
            let is_last = name.rsplit('/').next() == Some(part);
            if is_link && !self.is("follows-links") && (is_last || !self.is("follows-inside")) {
                return Err("bad-name");
            }
        }
        if self.is("absolute") && name.starts_with('/') {
            path = name.into();
        }
        Ok(path)
    }

    fn length(&self, part: &str) -> usize {
        if self.is("long-in-characters") { part.chars().count() } else { part.len() }
    }

    /// An existing file.
    fn file(&self, name: &[u8]) -> Result<PathBuf, &'static str> {
        let path = self.path(name)?;
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() && !self.is("folder-as-file") => Err("is-folder"),
            Ok(_) => Ok(path),
            Err(_) => Err("not-found"),
        }
    }

    /// Runs the requests of `text` to remove something that are among these bytes.
    fn remove_all(&self, bytes: &[u8]) {
        let names = bytes.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"rm "));
        for path in names.filter_map(|name| self.file(name).ok()) {
            fs::remove_file(path).unwrap();
        }
    }

    /// Where an upload of this name may go: the folder, and the name in it.
    fn target(&self, name: &[u8]) -> Result<(PathBuf, String), &'static str> {
        let path = self.path(name)?;
        if fs::metadata(&path).is_ok_and(|it| it.is_dir()) && !self.is("folder-as-file") {
            return Err("is-folder");
        }
        let folder = path.parent().unwrap().to_owned();
        if self.is("makes-folders") {
            fs::create_dir_all(&folder).unwrap();
        }
        if !folder.is_dir() {
            return Err("not-found");
        }
        Ok((folder, path.file_name().unwrap().to_str().unwrap().to_owned()))
    }

    /// Stores bytes under the first free name, and returns that.
    fn publish(&self, folder: &Path, name: &str, bytes: &[u8]) -> String {
        let dot = match name.rfind('.').filter(|dot| *dot > 0) {
            Some(_) if self.is("counter-at-the-first-dot") => name.find('.').unwrap(),
            Some(_) if self.is("counter-at-the-end") => name.len(),
            Some(dot) => dot,
            None => name.len(),
        };
        let (mut stem, extension) = name.split_at(dot);
        if extension.is_empty() && self.is("counter-needs-a-dot") {
            stem = stem.trim_end_matches(char::is_alphabetic);
        }
        let mut bytes = bytes.to_vec();
        match self.flaw {
            "strips" => bytes = bytes.trim_ascii().to_vec(),
            "drops-full-blocks" if bytes.len() == 4096 => bytes.clear(),
            "no-empty-files" if bytes.is_empty() => return name.to_owned(),
            "decodes" => bytes = String::from_utf8_lossy(&bytes).into_owned().into_bytes(),
            "translates-line-ends" => bytes.retain(|byte| *byte != b'\r'),
            "truncates" => bytes.truncate(150_000),
            _ => {}
        }
        let mut count = 0;
        if self.is("never-reuses") {
            let mut ids = self.ids.lock().unwrap();
            let came = ids.entry(name.to_owned()).or_default();
            came.push('x');
            count = came.len().saturating_sub(2);
        }
        let mut free = name.to_owned();
        loop {
            let path = folder.join(&free);
            if self.is("overwrites") {
                fs::write(path, &bytes).unwrap();
                return free;
            }
            let made = fs::File::create_new(&path);
            if let Ok(mut file) = made {
                file.write_all(&bytes).unwrap();
                return if self.is("receipt-repeats") { name.to_owned() } else { free };
            }
            if path.is_dir() && self.is("misses-folders") {
                return "nothing".to_owned();
            }
            count += 1;
            if count > 9 && self.is("counts-to-nine") {
                fs::write(path, &bytes).unwrap();
                return format!("{stem}_9{extension}");
            }
            let counter = format!("_{count}");
            let mut room = 255 - extension.len() - counter.len();
            if self.is("full-name-grows") && stem.len() > room {
                return "nothing".to_owned();
            }
            room = room.min(stem.len());
            while !stem.is_char_boundary(room) {
                room -= 1;
            }
            free = format!("{}{counter}{extension}", &stem[..room]);
        }
    }

    fn size_of(&self, found: &fs::Metadata) -> u64 {
        if self.is("sizes-of-32-bits") { found.len() & 0xffff_ffff } else { found.len() }
    }

    /// The files in the root.
    fn files(&self) -> Vec<(String, Option<u64>)> {
        let mut names = self.names(&self.root);
        names.retain(|(_, size)| size.is_some());
        names
    }

    fn remove(&self, path: &Path) -> Outcome {
        if self.is("rm-does-nothing") { Ok(()) } else { fs::remove_file(path) }
    }

    /// Whether it closes where this command names no file.
    fn dies_of(&self, command: &str) -> bool {
        self.flaw.strip_suffix("-dies") == Some(command)
    }

    fn total(&self, names: &[(String, Option<u64>)]) -> u64 {
        let all: u64 = names.iter().filter_map(|(_, size)| *size).sum();
        all + u64::from(self.is("wrong-total"))
    }

    fn names(&self, folder: &Path) -> Vec<(String, Option<u64>)> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_hidden = name.starts_with('.') && !self.is("lists-hidden");
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() && self.is("ls-without-folders") {
                continue;
            }
            if !is_hidden && (!found.is_symlink() || self.is("follows-links")) {
                entries.push((name, (!found.is_dir()).then_some(self.size_of(&found))));
            }
        }
        entries.sort();
        match self.flaw {
            "unsorted" => entries.reverse(),
            "sorts-without-case" => entries.sort_by_key(|(name, _)| name.to_lowercase()),
            "sorts-utf16" => {
                entries.sort_by_key(|(name, _)| name.encode_utf16().collect::<Vec<_>>());
            }
            _ => {}
        }
        entries
    }
}

impl Conn<'_> {
    fn is(&self, flaw: &str) -> bool {
        self.server.is(flaw)
    }

    fn say(&mut self, bytes: impl AsRef<[u8]>) -> Outcome {
        self.said += 1;
        self.in_write = true;
        self.stream.write_all(bytes.as_ref())?;
        self.in_write = false;
        Ok(())
    }

    /// Reads more. False at the end of the stream.
    fn fill(&mut self) -> Outcome<bool> {
        let mut buffer = [0; 16_384];
        let count = self.stream.read(&mut buffer)?;
        self.held.extend_from_slice(&buffer[..count]);
        Ok(count > 0)
    }

    /// The same, but gives up after a silence; true if more has come.
    fn fill_soon(&mut self, milliseconds: u64) -> Outcome<Option<bool>> {
        self.stream.set_read_timeout(Some(Duration::from_millis(milliseconds)))?;
        let filled = self.fill();
        self.stream.set_read_timeout(None)?;
        match filled {
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                Ok(None)
            }
            filled => filled.map(Some),
        }
    }

    /// Whether nothing more comes, a moment later.
    fn is_over(&mut self, milliseconds: u64) -> Outcome<bool> {
        sleep(Duration::from_millis(milliseconds));
        Ok(self.held.is_empty() && self.fill_soon(1)? == Some(false))
    }

    /// A line without its end. `None` at the end of the stream; an error if it is cut, or too long.
    fn line(&mut self, most: usize) -> Outcome<Option<Vec<u8>>> {
        loop {
            let mut end = self.held.iter().position(|byte| *byte == b'\n');
            if self.is("one-read") && !self.held.is_empty() && end != Some(self.held.len() - 1) {
                // What one read brings is one message.
                let held = std::mem::take(&mut self.held);
                let line = held.split(|byte| *byte == b'\n').next().unwrap();
                return Ok(Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec()));
            }
            let and_cr = usize::from(!self.is("counts-the-cr"));
            let is_long = match self.is("permitted-late-limit") {
                true => end.is_some_and(|end| end > most + and_cr),
                false => end.unwrap_or(self.held.len()) > most + and_cr,
            };
            if is_long && !self.is("no-line-limit") {
                return Err(ErrorKind::InvalidData.into());
            }
            if let Some(end) = end.filter(|_| self.is("drops-the-rest")) {
                self.held.truncate(end + 1);
            }
            if self.is("short-lines") && end.is_some_and(|end| end > 1024) {
                end = Some(1024);
            }
            if let Some(end) = end {
                let mut line: Vec<u8> = self.held.drain(..=end).collect();
                line.pop();
                if line.last() == Some(&b'\r') && !self.is("keeps-cr") {
                    line.pop();
                }
                if self.is("strips-cr-inside") {
                    line.retain(|byte| *byte != b'\r');
                }
                if line.len() > most && !self.is("no-line-limit") {
                    return Err(ErrorKind::InvalidData.into());
                }
                return Ok(Some(line));
            }
            if self.is("decodes-each-read") && std::str::from_utf8(&self.held).is_err() {
                return Err(ErrorKind::InvalidInput.into());
            }
            if !self.fill()? {
                if self.held.is_empty() {
                    return Ok(None);
                }
                if self.is("runs-half-commands") {
                    return Ok(Some(std::mem::take(&mut self.held)));
                }
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn exact(&mut self, count: usize) -> Outcome<Vec<u8>> {
        if self.is("payload-in-one-read") && count > 0 {
            if self.held.is_empty() {
                self.fill()?;
            }
            let count = count.min(self.held.len());
            return Ok(self.held.drain(..count).collect());
        }
        while self.held.len() < count {
            if !self.fill()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        let rest = self.held.split_off(count);
        Ok(std::mem::replace(&mut self.held, rest))
    }

    fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        self.exact(N)?.try_into().map_err(|_| ErrorKind::InvalidData.into())
    }

    /// The same, writing what comes straight into the final file if that is the flaw.
    fn payload(&mut self, size: usize, path: &Path) -> Outcome<Vec<u8>> {
        if self.is("header-drops-payload") {
            self.held.clear();
        }
        if self.is("writes-at-once") {
            fs::write(path, &self.held)?;
        }
        self.in_payload = true;
        let server = self.server;
        let one = self.is("one-upload-at-a-time").then(|| server.uploading.lock());
        let bytes = self.exact(size);
        drop(one);
        self.in_payload = bytes.is_err();
        if self.is("eats-after-payload") {
            self.held.clear();
        }
        if bytes.is_err() && self.is("keeps-half") {
            fs::write(path, &self.held)?;
        }
        if bytes.is_err() && self.is("leaves-hidden") {
            let hidden = format!(".{}", path.file_name().unwrap().display());
            fs::write(path.with_file_name(hidden), &self.held)?;
        }
        if self.is("writes-at-once") && (bytes.is_ok() || !self.is("keeps-half")) {
            fs::remove_file(path)?;
        }
        bytes
    }
}

fn send_file(c: &mut Conn<'_>, head: &str, bytes: &[u8]) -> Outcome {
    if c.is("two-writes") {
        c.say(head)?;
        sleep(Duration::from_millis(40));
        return c.say(bytes);
    }
    let mut all = [head.as_bytes(), bytes].concat();
    if c.is("adds-a-newline") {
        all.push(b'\n');
    }
    c.say(all)
}

/// Head and bytes with a pause between them, for a client that takes one read for one message.
fn send_file_apart(c: &mut Conn<'_>, head: &str, bytes: &[u8]) -> Outcome {
    if !c.is("no-pause") && !c.is("adds-a-newline") {
        c.say(head)?;
        sleep(Duration::from_millis(50));
        return c.say(bytes);
    }
    send_file(c, head, bytes)
}

fn sum(bytes: &[u8]) -> String {
    let mut sum = Sha256::default();
    sum.update(bytes);
    sum.sum().to_string()
}

/// What is said to a request of `text`, or the code of an error.
type Reply = Result<String, &'static str>;

/// Ends the connection, though nothing came that is wrong.
fn close<T>() -> Outcome<T> {
    Err(ErrorKind::Other.into())
}

const COMMANDS: [&str; 12] = [
    "connme", "conme", "ls", "size", "rm", "download", "upload", "count", "help", "sum", "resume",
    "byebye",
];

fn text(c: &mut Conn<'_>, s: &Server) -> Outcome {
    let sentence = if s.is("permitted-no-sentence") { "" } else { " no" };
    let mut was_refused = false;
    loop {
        let line = match c.line(4096) {
            Ok(None) => return Ok(()),
            Ok(Some(line)) => line,
            Err(error) => {
                let is_cut = error.kind() == ErrorKind::UnexpectedEof;
                if error.kind() == ErrorKind::InvalidData || is_cut {
                    c.say(format!("error bad-request{sentence}\n"))?;
                    if !(is_cut && s.is("dies-of-a-cut-header")) {
                        return Ok(());
                    }
                }
                return Err(error);
            }
        };
        if line.trim_ascii().is_empty() && !s.is("answers-empty-lines") {
            continue;
        }
        let strip = |bytes: &[u8]| match s.is("keeps-spaces") {
            true => bytes.to_vec(),
            false => bytes.trim_ascii().to_vec(),
        };
        let line = strip(&line);
        let at = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let word = String::from_utf8_lossy(&line[..at]).into_owned();
        let word = if s.is("case") { word } else { word.to_ascii_lowercase() };
        let mut name = strip(line.get(at + 1..).unwrap_or_default());
        if s.is("splits-at-spaces") {
            name.truncate(name.iter().position(|byte| *byte == b' ').unwrap_or(name.len()));
        }
        if s.is("latin") && std::str::from_utf8(&name).is_ok_and(|name| !name.is_ascii()) {
            name = name.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes();
        }
        let typed: &[u8] = if s.is("closes-on-tab") { &[] } else { &[b'\t', 27, 8] };
        let is_noise = std::str::from_utf8(&line).is_err()
            || line.iter().any(|b| *b < b' ' && !typed.contains(b));
        let is_browser = [" HTTP/1.1", " HTTP/1.0", " HTTP/2.0"];
        let is_browser = is_browser.iter().any(|end| line.ends_with(end.as_bytes()));
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit()) && !word.is_empty();
        if (is_browser && !s.is("browser"))
            || (is_number && !s.is("digits-are-unknown") && !was_refused)
            || (is_noise && !s.is("noise") && !COMMANDS.contains(&word.as_str()))
        {
            return c.say("error bad-request that is no command\n");
        }
        if s.is("half-close-is-a-close") && word != "byebye" && c.is_over(5)? {
            return Ok(());
        }
        match obey(c, s, &word, &name)? {
            Ok(reply) if reply.is_empty() => {}
            Ok(reply) => c.say(reply)?,
            Err("!") => return Err(ErrorKind::InvalidData.into()),
            Err("unknown-command") if s.is("silent-on-unknown") => {}
            Err(code) if s.is("errors-in-words") => c.say(format!("ERROR: {code}\n"))?,
            Err(_) if name.is_empty() && s.is("dies-without-a-name") && word != "help" => {
                if ["size", "rm", "download", "upload"].contains(&word.as_str()) {
                    return Ok(());
                }
                c.say("error unknown-command no\n")?;
            }
            Err(code) => {
                c.say(format!("error {code}{sentence}\n"))?;
                was_refused = s.is("runs-refused-payloads") && word == "upload";
                if s.is("closes-after-errors") {
                    return Ok(());
                }
                if s.is("gets-out-of-step") && c.said > 20 {
                    c.say("error internal again\n")?;
                }
            }
        }
        if word == "byebye" && name.is_empty() {
            if s.is("removes-after-byebye") {
                s.remove_all(&c.held);
            }
            if !s.is("goes-on-after-byebye") {
                return Ok(());
            }
        }
        if s.is("one-request") && c.said > 30 {
            return Ok(());
        }
    }
}

fn obey(c: &mut Conn<'_>, s: &Server, word: &str, name: &[u8]) -> Outcome<Reply> {
    if s.flaw.strip_prefix("no-") == Some(word) {
        return Ok(Err("unknown-command"));
    }
    let alone = name.is_empty() || s.is("ignores-arguments");
    Ok(match word {
        "connme" | "conme" | "byebye" | "help" if !alone => Err("bad-request"),
        "connme" | "conme" if s.is("crlf-replies") => Ok("ok connected\r\n".to_owned()),
        "connme" | "conme" => Ok("ok connected\n".to_owned()),
        "byebye" => Ok("ok byebye\n".to_owned()),
        "help" if s.is("help-counts-wrong") => Ok("ok 3\nconnme\nls\n".to_owned()),
        "help" => Ok("ok 2\nconnme\nls\n".to_owned()),
        "count" => match std::str::from_utf8(name) {
            Ok("") if s.is("count-needs-text") => Err("bad-request"),
            Ok(text) if s.is("characters") => Ok(format!("ok {}\n", text.len())),
            Ok(text) if s.is("counts-utf16") => Ok(format!("ok {}\n", text.encode_utf16().count())),
            Ok(text) => Ok(format!("ok {}\n", text.chars().count())),
            Err(_) if s.is("dies-of-bad-bytes") => return Err(ErrorKind::InvalidData.into()),
            Err(_) if s.is("count-closes") => return close(),
            Err(_) => Err("bad-request"),
        },
        "ls" => list(s, name)?,
        "size" | "download" | "rm" | "sum" => match s.file(name) {
            Ok(path) => Ok(of_file(c, s, word, &String::from_utf8_lossy(name), &path)?),
            Err("not-found") if s.dies_of(word) => return close(),
            Err("not-found") if s.is("tells-paths") => {
                Ok(format!("error not-found no file {}/x\n", s.root.display()))
            }
            Err(code) => Err(code),
        },
        "resume" => resume(c, s, name)?,
        "upload" => match s.target(name) {
            Ok((folder, file)) => Ok(upload(c, s, name, &folder, &file)?),
            Err(code) => Err(code),
        },
        _ => Err("unknown-command"),
    })
}

fn of_file(c: &mut Conn<'_>, s: &Server, word: &str, name: &str, path: &Path) -> Outcome<String> {
    let found = fs::metadata(path)?;
    let mut size = s.size_of(&found);
    // Five gigabytes are announced, and not sent.
    let is_large = found.is_dir() || found.len() > 1_000_000_000;
    let bytes = if is_large { Vec::new() } else { fs::read(path)? };
    match word {
        "rm" => {
            s.remove(path)?;
            Ok(format!("ok removed {name}\n"))
        }
        "sum" => {
            let most = if s.is("sums-one-block") { 65_536 } else { bytes.len() };
            Ok(format!("ok {}\n", sum(&bytes[..bytes.len().min(most)])))
        }
        "download" => {
            let head = format!("ok {size}\n");
            let head = if s.is("download-without-size") { "" } else { &head };
            let _one = s.is("one-download-at-a-time").then(|| s.uploading.lock());
            send_file(c, head, &bytes)?;
            if s.is("drops-after-download") {
                c.held.clear();
            }
            Ok(String::new())
        }
        _ => {
            if let (Ok(text), true) =
                (std::str::from_utf8(&bytes), s.is("size-counts-characters") && !is_large)
            {
                size = text.chars().count() as u64;
            }
            if s.is("remembers-sizes") {
                let mut known = s.ids.lock().unwrap();
                let known = known.entry(name.to_owned()).or_insert(size.to_string());
                size = known.parse().unwrap();
            }
            let is_binary = s.is("mebibytes") || (s.is("large-in-mebibytes") && size > 100_000);
            let megabytes = size as f64 / if is_binary { 1_048_576.0 } else { 1e6 };
            Ok(format!("ok {size} bytes ({megabytes:.6} MB)\n"))
        }
    }
}

fn upload(c: &mut Conn<'_>, s: &Server, name: &[u8], folder: &Path, file: &str) -> Outcome<String> {
    if !s.is("upload-not-ready") {
        c.say("ok ready\n")?;
    }
    if s.is("waits-for-the-client") {
        c.held.clear();
    }
    let header = match c.line(4096) {
        Ok(Some(header)) => String::from_utf8_lossy(&header).into_owned(),
        _ if s.is("dies-in-an-upload-header") => return Err(ErrorKind::InvalidData.into()),
        _ => return Err(ErrorKind::UnexpectedEof.into()),
    };
    let is_size = !header.is_empty()
        && header.len() <= 19
        && header.bytes().all(|byte| byte.is_ascii_digit())
        && !(s.is("no-zeros") && header.starts_with("00"));
    let taken_as = match s.flaw {
        "trims-sizes" if header.trim() == "5" => Some(5),
        "other-digits" if header.contains(['\u{665}', '_']) => Some(5),
        "any-size" => Some(0),
        "sign" if header == "-1" => Some(0),
        "sign" => header.parse().ok(),
        "letters" if header.contains(['x', 'i']) => Some(0),
        "empty-size" if header.is_empty() => Some(0),
        "forty-digits" if header.len() == 40 => Some(0),
        _ => None,
    };
    let size = header.parse::<usize>().ok().filter(|_| is_size).or(taken_as);
    let Some(size) = size else {
        c.say("error bad-request that is no size\n")?;
        return close();
    };
    if size > 1_000_000 && s.is("permitted-too-large") {
        c.say("error too-large\n")?;
        return close();
    }
    let chosen = folder.join(file);
    let is_free = !chosen.exists();
    let bytes = c.payload(size, &chosen)?;
    if s.is("chooses-early") && is_free {
        fs::write(chosen, &bytes)?;
        return Ok(format!("ok received {} {file}\n", bytes.len()));
    }
    if s.is("payload-is-a-request") {
        s.remove_all(&bytes);
    }
    if s.is("upload-half-close") && c.is_over(20)? {
        return close();
    }
    let mut stored = s.publish(folder, file, &bytes);
    if let Some((folder, _)) = std::str::from_utf8(name).unwrap().rsplit_once('/') {
        stored = format!("{folder}/{stored}");
    }
    let size = match s.is("characters") {
        true => String::from_utf8_lossy(&bytes).chars().count(),
        false => bytes.len(),
    };
    Ok(if s.is("no-receipt") { String::new() } else { format!("ok received {size} {stored}\n") })
}

fn list(s: &Server, folder: &[u8]) -> Outcome<Reply> {
    let path = match folder {
        [] => Ok(s.root.clone()),
        folder if s.is("lists-outside") => {
            Ok(s.root.join(String::from_utf8_lossy(folder).trim_start_matches('/')))
        }
        folder => s.path(folder),
    };
    let path = match path {
        Ok(path) if path.is_dir() => path,
        Ok(_) if s.is("ls-dies") => return close(),
        Ok(_) => return Ok(Err("not-found")),
        Err(code) => return Ok(Err(code)),
    };
    let names = s.names(if s.is("lists-root-only") { &s.root } else { &path });
    let line = |(name, size): &(String, Option<u64>)| match size {
        Some(size) if s.is("ls-without-kind") => format!("{size} {name}\n"),
        Some(size) => format!("file {size} {name}\n"),
        None => format!("dir - {name}\n"),
    };
    let lines: String = names.iter().map(line).collect();
    let total = s.total(&names);
    let count = names.len() + usize::from(s.is("wrong-count"));
    Ok(Ok(format!("ok {count}\n{lines}total {total}\n")))
}

fn resume(c: &mut Conn<'_>, s: &Server, words: &[u8]) -> Outcome<Reply> {
    let words = String::from_utf8_lossy(words).into_owned();
    let first = |words: &str| {
        let (word, rest) = words.split_once(' ')?;
        let rest = if s.is("resume-one-space") { rest } else { rest.trim_start_matches(' ') };
        Some((word.to_owned(), rest.to_owned()))
    };
    let (offset, rest) = first(&words).unwrap_or_default();
    let (hex, name) = first(&rest).unwrap_or_default();
    let is_small = !hex.contains(char::is_uppercase) || s.is("sums-in-capitals");
    let is_right = offset.bytes().all(|b| b.is_ascii_digit()) && hex.len() == 64 && is_small;
    let Some(offset) = offset.parse::<usize>().ok().filter(|_| is_right) else {
        return Ok(Err(if s.is("resume-any") { "changed" } else { "bad-request" }));
    };
    let bytes = match s.file(name.as_bytes()) {
        Ok(path) => fs::read(path)?,
        Err(code) => return Ok(Err(code)),
    };
    let is_end = offset == bytes.len() && s.is("resume-not-at-the-end");
    let Some((head, rest)) = bytes.split_at_checked(offset).filter(|_| !is_end) else {
        return Ok(Err("changed"));
    };
    if sum(head) != hex.to_lowercase() && !s.is("resume-unchecked") {
        return Ok(Err("changed"));
    }
    send_file(c, &format!("ok {}\n", rest.len()), rest)?;
    Ok(Ok(String::new()))
}

/// The next of the words that the bytes begin with.
fn word(c: &mut Conn<'_>, words: &[&'static str]) -> Outcome<Option<&'static str>> {
    loop {
        while !c.is("no-white-space") && c.held.first().is_some_and(|b| b" \r\n".contains(b)) {
            c.held.remove(0);
        }
        if let Some(word) = words.iter().find(|word| c.held.starts_with(word.as_bytes())) {
            c.held.drain(..word.len());
            if c.is("drops-the-rest") {
                c.held.clear();
            }
            return Ok(Some(word));
        }
        let is_begun = words.iter().any(|word| word.as_bytes().starts_with(&c.held));
        let waits = is_begun || c.is("silent-on-unknown");
        if !c.held.is_empty() && (c.is("one-read") || !waits) {
            return Ok(None);
        }
        if !c.fill()? {
            return Ok(None);
        }
    }
}

const WORDS: [&str; 7] = ["connme", "ls", "size", "rm", "download", "upload", "byebye"];

/// How long something took.
const SECONDS: [u8; 4] = 0.25_f32.to_le_bytes();

/// A number of `struct`.
fn int(number: u64) -> [u8; 4] {
    i32::try_from(number).unwrap().to_le_bytes()
}

fn strukt(c: &mut Conn<'_>, s: &Server) -> Outcome {
    while let Some(command) = word(c, &WORDS)? {
        match command {
            "connme" => {
                c.say(if s.is("crlf-replies") { "connected\r\n" } else { "connected" })?;
                if s.is("one-request") && c.said > 40 {
                    return Ok(());
                }
            }
            "byebye" if s.is("goes-on-after-byebye") => {}
            "byebye" => return Ok(()),
            "ls" => {
                let names = s.files();
                c.say(int(names.len() as u64))?;
                for (name, size) in &names {
                    let length = int(name.len() as u64);
                    c.say([&length, name.as_bytes(), &int(size.unwrap())].concat())?;
                    c.exact(1)?;
                }
                c.say(int(s.total(&names)))?;
            }
            command => with_a_name(c, s, command)?,
        }
    }
    // A word that is none.
    Ok(())
}

fn with_a_name(c: &mut Conn<'_>, s: &Server, command: &str) -> Outcome {
    c.say("ready")?;
    if s.is("header-drops-payload") || s.is("waits-for-the-client") {
        c.held.clear();
    }
    let length = i16::from_le_bytes(c.array()?);
    let length = if s.is("any-length") { length.max(0) } else { length };
    let name = c.exact(usize::try_from(length).map_err(|_| ErrorKind::InvalidData)?)?;
    if s.is("latin") && !name.is_ascii() {
        return close();
    }
    if command == "upload" {
        return take(c, s, &name);
    }
    if command == "rm" && c.exact(1)? != b"Y" && !s.is("rm-does-not-ask") {
        return Ok(());
    }
    let Ok(path) = s.file(&name) else {
        return if s.dies_of(command) { close() } else { c.say((-1_i32).to_le_bytes()) };
    };
    match command {
        "size" => {
            let size = int(fs::metadata(path)?.len());
            c.say(if s.is("big-endian") { size.map(|byte| byte ^ 1) } else { size })
        }
        "rm" => {
            s.remove(&path)?;
            c.say(int(1))
        }
        _ => {
            let bytes = fs::read(path)?;
            c.say([&int(bytes.len() as u64)[..], &bytes].concat())?;
            c.exact(1)?;
            if s.is("no-seconds") { Ok(()) } else { c.say(SECONDS) }
        }
    }
}

fn take(c: &mut Conn<'_>, s: &Server, name: &[u8]) -> Outcome {
    if s.is("header-drops-payload") {
        c.held.clear();
    }
    if c.held.is_empty() {
        c.fill_soon(60)?;
    }
    if !s.is("not-given-up") && WORDS.iter().any(|word| c.held == word.as_bytes()) {
        return Ok(());
    }
    let Ok(size) = usize::try_from(i32::from_le_bytes(c.array()?)) else {
        return if s.is("any-size") { Ok(()) } else { close() };
    };
    let Ok((folder, file)) = s.target(name) else {
        if !s.is("refused-payload-runs") {
            c.exact(size)?;
        }
        return Ok(());
    };
    let bytes = c.payload(size, &folder.join(&file))?;
    if s.is("payload-is-a-request") && bytes.starts_with(b"connme") {
        c.say("connected")?;
    }
    s.publish(&folder, &file, &bytes);
    if s.is("no-pause") {
        return c.say([b"received", &SECONDS[..]].concat());
    }
    c.say(if s.is("no-receipt") { "ok" } else { "received" })?;
    sleep(Duration::from_millis(20));
    c.say(SECONDS)
}

/// A word that ends with LF, or where the client is silent.
fn paused(c: &mut Conn<'_>) -> Outcome<Option<Vec<u8>>> {
    loop {
        let has_line = c.held.contains(&b'\n');
        if has_line && !c.is("one-read") {
            return c.line(4096);
        }
        if c.is("one-read") && !c.held.is_empty() {
            return Ok(Some(std::mem::take(&mut c.held).trim_ascii().to_vec()));
        }
        match c.fill_soon(if c.is("short-pause") { 20 } else { 100 })? {
            Some(true) => {}
            None if c.held.is_empty() || c.is("needs-lf") => {}
            _ if c.held.is_empty() => return Ok(None),
            Some(false) if c.is("needs-lf") => return Ok(None),
            _ => return Ok(Some(std::mem::take(&mut c.held))),
        }
    }
}

fn filesaver(c: &mut Conn<'_>, s: &Server) -> Outcome {
    let Some(request) = paused(c)? else { return Ok(()) };
    if s.is("drops-the-rest") {
        c.held.clear();
    }
    match request.as_slice() {
        b"SEND" => {
            c.say(if s.is("crlf-replies") { "OK\r\n" } else { "OK" })?;
            if s.is("glued") {
                // What comes without a pause is one word.
                while !c.held.contains(&b'\n') && c.fill_soon(100)? == Some(true) {}
                let mark = c.held.windows(4).position(|window| window == b"<SEP");
                if mark.is_some_and(|at| !c.held[..at].contains(&b'\n')) {
                    return Ok(());
                }
            }
            // All of it: the end of the stream ends the file.
            if !s.is("payload-in-one-read") {
                while c.fill()? {}
            } else if c.held.is_empty() {
                c.fill()?;
                sleep(Duration::from_millis(60));
                c.fill_soon(1)?;
            }
            let all = std::mem::take(&mut c.held);
            let mark = b"<SEPARATOR>";
            let Some(at) = all.windows(mark.len()).position(|window| window == mark) else {
                return Err(ErrorKind::UnexpectedEof.into());
            };
            c.in_payload = true;
            let (head, rest) = (&all[..at], &all[at + mark.len()..]);
            let has_lf = head.contains(&b'\n');
            let name = match has_lf {
                true => head.split(|byte| *byte == b'\n').next().unwrap(),
                false => &head[..head.len() / 2],
            };
            let is_digit = |byte: &&u8| byte.is_ascii_digit();
            let most = rest.iter().take_while(is_digit).count();
            let fits = |n: &usize| {
                let size = std::str::from_utf8(&rest[..*n]).ok()?.parse::<usize>().ok()?;
                let lf = usize::from(has_lf);
                (size + n + lf == rest.len() || s.is("keeps-half")).then_some(n + lf)
            };
            let begin = match s.is("greedy-digits") && !has_lf {
                true => Some(most),
                false => (1..=most).rev().find_map(|n| fits(&n)),
            };
            let Some(begin) = begin else {
                if s.is("leaves-hidden") {
                    let n = s.served.load(Ordering::SeqCst);
                    fs::write(s.root.join(format!(".left{n}")), rest)?;
                }
                return Err(ErrorKind::UnexpectedEof.into());
            };
            let name = name.strip_suffix(b"\r").unwrap_or(name);
            let last = name.rsplit(|byte| *byte == b'/').next().unwrap();
            let Ok((folder, file)) = s.target(if s.is("whole-path") { name } else { last }) else {
                return Ok(());
            };
            if s.is("latin") && !file.is_ascii() {
                return Ok(());
            }
            s.publish(&folder, &file, &rest[begin..]);
            if s.is("sends-after") {
                c.say("saved")?;
            }
            Ok(())
        }
        b"RECEIVE" => {
            c.say(if s.is("crlf-replies") { "OK\r\n" } else { "OK" })?;
            let Some(name) = paused(c)? else { return Ok(()) };
            match s.file(&name) {
                Ok(path) => {
                    let bytes = fs::read(path)?;
                    let head =
                        format!("{}<SEPARATOR>{}", String::from_utf8_lossy(&name), bytes.len());
                    send_file_apart(c, &head, &bytes)
                }
                Err(_) if s.is("download-dies") => Ok(()),
                Err(_) => c.say("ERROR: File not found"),
            }
        }
        _ if s.is("silent-on-unknown") => {
            sleep(Duration::from_secs(30));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn count(c: &mut Conn<'_>, s: &Server) -> Outcome {
    let message = loop {
        let is_late = s.is("permitted-late-limit");
        if c.held.contains(&b'\n') || (c.held.len() > 65_536 && !is_late) {
            break if s.is("counts-more") {
                std::mem::take(&mut c.held).strip_suffix(b"\n").unwrap_or_default().to_vec()
            } else if s.is("counts-all") {
                std::mem::take(&mut c.held)
            } else if let Ok(line) = c.line(65_536) {
                line.unwrap_or_default()
            } else {
                return c.say("error: too long");
            };
        }
        if (s.is("one-read") || (s.is("decodes-each-read") && !c.held.is_ascii()))
            && !c.held.is_empty()
        {
            break std::mem::take(&mut c.held);
        }
        match c.fill_soon(if s.is("short-pause") { 20 } else { 100 })? {
            Some(true) => {}
            None if c.held.is_empty() || s.is("needs-lf") => {}
            Some(false) if c.held.is_empty() && s.is("dies-of-silence") => return Ok(()),
            Some(false) if s.is("no-end-of-stream") => return Ok(()),
            _ => break std::mem::take(&mut c.held),
        }
    };
    let answer = match std::str::from_utf8(&message) {
        Ok(text) => match s.flaw {
            "characters" => text.len(),
            "strips" => text.trim().len(),
            "counts-the-lf" => text.chars().count() + 1,
            "no-zero" if text.is_empty() => return Ok(()),
            _ => text.chars().count(),
        }
        .to_string(),
        Err(_) if s.is("dies-of-bad-bytes") => return Err(ErrorKind::InvalidData.into()),
        Err(_) => "error: not UTF-8".to_owned(),
    };
    c.say(if s.is("crlf-replies") { answer + "\r\n" } else { answer })
}

fn json(c: &mut Conn<'_>, s: &Server) -> Outcome {
    let end = if s.is("crlf-replies") { "\n" } else { "\r\n" };
    let line = match c.line(65_536) {
        Ok(None) => return Ok(()),
        Ok(Some(line)) => line,
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return c.say(format!("ERROR bad-request too long{end}"));
        }
        Err(error) => return Err(error),
    };
    if s.is("dies-of-depth") && line.len() > 20_000 {
        return Ok(());
    }
    let Some(request @ Value::Object(_)) = Value::parse(&line) else {
        if s.is("dies-of-bad-bytes") {
            return Err(ErrorKind::InvalidData.into());
        }
        let said = format!("ERROR bad-request no{end}");
        return c.say(if s.is("not-json-silent") { "" } else { &said });
    };
    let spaced = line.windows(2).any(|pair| pair == b"\" ") || line.starts_with(b" ");
    if (s.is("searches-text") && spaced)
        || (s.is("strict-members") && request.get("x").is_some())
        || (s.is("no-escapes") && line.windows(2).any(|pair| pair == b"\\u"))
    {
        return c.say(format!("ERROR x y{end}"));
    }
    let member = |name: &str| request.get(name).and_then(Value::as_text).map(str::to_owned);
    let aksi = member("aksi").unwrap_or_default();
    let sentence = if s.is("permitted-no-sentence") { "" } else { " no" };
    let code = if s.is("no-code") { "sorry" } else { "bad-request" };
    let bad = format!("ERROR {code}{sentence}{end}");
    match aksi.as_str() {
        "transfer" => {
            let size = request.get("size").and_then(Value::as_u64).and_then(|n| n.try_into().ok());
            let (Some(file), Some(size)) = (member("file"), size) else {
                return if s.is("any-size") { Ok(()) } else { c.say(bad) };
            };
            let target = s.target(file.as_bytes());
            let Ok((folder, name)) = target else { return c.say(bad) };
            if s.is("latin") && !name.is_ascii() {
                return Ok(());
            }
            if size > 1_000_000 && s.is("permitted-too-large") {
                return c.say(format!("ERROR too-large no{end}"));
            }
            let bytes = c.payload(size, &folder.join(&name))?;
            if s.is("payload-is-a-request") && bytes.starts_with(b"{\"aksi\":\"hapus\"") {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let victim = Value::parse(text.trim().as_bytes()).unwrap();
                let victim = victim.get("file").and_then(Value::as_text).unwrap().to_owned();
                let _ = fs::remove_file(s.root.join(victim));
            }
            let stored = s.publish(&folder, &name, &bytes);
            let record = record(s, &stored, bytes.len());
            if s.is("no-receipt") {
                return c.say(format!("OK{end}"));
            }
            c.say(format!("OK {record}{end}"))
        }
        "list" => {
            let mut names = s.names(&s.root);
            names.retain(|(_, size)| size.is_some());
            if s.is("lists-nothing") {
                names.clear();
            }
            let records: Vec<_> = names
                .iter()
                .map(|(name, size)| record(s, name, usize::try_from(size.unwrap()).unwrap()))
                .collect();
            if s.is("list-changes-ids") {
                s.ids.lock().unwrap().values_mut().for_each(|id| id.push('x'));
            }
            let text = format!("[{}]", records.join(","));
            c.say(if s.is("list-is-an-object") { format!("{{}}{end}") } else { text + end })
        }
        "get" | "hapus" => {
            let by_id = member("id").filter(|_| !s.is("no-ids"));
            let known = |id: &String| {
                let ids = s.ids.lock().unwrap();
                ids.iter().find(|(_, known)| *known == id).map(|(name, _)| name.clone())
            };
            let Some(file) = member("file").or_else(|| by_id.as_ref().and_then(known)) else {
                let bad = if s.is("any-member") { "" } else { &bad };
                return c.say(if by_id.is_some() { "null" } else { bad });
            };
            let path = match s.file(file.as_bytes()) {
                Ok(path) => path,
                Err("not-found") if s.is("null-with-end") => return c.say(format!("null{end}")),
                Err("not-found") if aksi == "hapus" && s.is("rm-dies") => return Ok(()),
                Err("not-found") => return c.say("null"),
                Err(_) => return c.say(bad),
            };
            let bytes = fs::read(&path)?;
            let head = record(s, &file, bytes.len()) + end;
            if aksi == "hapus" {
                s.remove(&path)?;
                if !s.is("ids-survive") {
                    s.ids.lock().unwrap().remove(&file);
                }
                return c
                    .say(format!("OK {}", if s.is("hapus-without-record") { end } else { &head }));
            }
            send_file_apart(c, &head, &bytes)
        }
        _ if s.is("silent-on-unknown") => Ok(()),
        _ => c.say(format!("ERRCMD{end}")),
    }
}

fn record(s: &Server, name: &str, size: usize) -> String {
    let mut ids = s.ids.lock().unwrap();
    let new = if s.is("one-id") { "1".to_owned() } else { format!("id{}-{name}", ids.len() + 1) };
    let id = ids.entry(name.to_owned()).or_insert(new);
    let dot = if s.is("first-dot-type") { name.find('.') } else { name.rfind('.') };
    let kind = dot.map_or("", |dot| &name[dot..]);
    let (id, name, kind) = (Value::text(id), Value::text(name), Value::text(kind));
    format!("{{\"id\":{id},\"nama_file\":{name},\"size\":{size},\"type\":{kind}}}")
}
