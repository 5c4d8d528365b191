//! The programs as a person uses them, at a command line and at the prompt: the sessions in `tests/sessions`. They are
//! played with the real programs here, and with the client alone by the tests inside the crate.
//!
//! ```text
//! only unix sh                  the file is for this system, and for those who have these programs
//! server --max-file-size 10     the flags of the server, which is new for each file
//! file NAME TEXT                a file where the client runs; `size 5000000` for some bytes, `folder NAME`
//! there NAME TEXT               the same in the server's folder
//! peer 'ok 1\n' | 'ok 2\n'      a peer in the place of the server: it answers each read with the next word, and closes
//!                               after the last, or at `|`; `\xNN` is a byte; `peer` alone: the server again
//! cut 2000 99                   the next connections end after 2000 and 99 bytes from the server, or from the peer
//! $ connme-client upload a      a command; `--server` is added to a client's. `HOST:PORT` is where the server is
//! < Y                           a line that is typed; `\e` is an escape, here and in what comes, `<long>` 400,000 bytes
//!   a uploaded: 5 bytes ...     a line of standard output; `...` is any text, and alone any lines
//! ! connme-client: ...          a line of standard error
//! = 2                           the exit status, if it is not 0, or 1 where a program complains
//! heard 'connme\n'              all that the peer was told
//! names a b_1                   what the server has now; `downloads a` is the same for the client, or `downloads none`
//! same a                        the downloaded file is that on the server
//! ```

use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A server, and the programs.
pub(crate) struct Stage {
    pub(crate) root: PathBuf,
    /// Where it speaks a dialect.
    pub(crate) address_of: Box<dyn Fn(&str) -> SocketAddr>,
    /// The program of these words, if it is to be had, and what its standard output begins with.
    pub(crate) program: fn(&[String]) -> Option<(Command, &'static str)>,
}

/// A command of a session, what is typed, and what has to come of it.
#[derive(Default)]
struct Run {
    at: String,
    words: Vec<String>,
    typed: String,
    out: Vec<String>,
    err: Vec<String>,
    status: Option<i32>,
}

/// The words of a line; quotation marks keep one together.
pub(crate) fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    let mut words = vec![];
    for (n, part) in parts {
        match n % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// The bytes of a word: `\n`, `\r`, and `\xNN`.
pub(crate) fn bytes(word: &str) -> Vec<u8> {
    let word = word.replace("\\n", "\n").replace("\\r", "\r");
    let mut parts = word.split("\\x");
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        bytes.extend(rest.bytes());
    }
    bytes
}

/// Whether a line is as expected, where `...` stands for any text.
fn is_like(line: &str, expected: &str) -> bool {
    let Some((before, after)) = expected.split_once("...") else { return line == expected };
    line.strip_prefix(before).is_some_and(|rest| {
        (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| is_like(rest, after)))
    })
}

/// The same for several lines. An expected line `...` stands for any number of lines.
fn are_like(lines: &[String], expected: &[String]) -> bool {
    match expected {
        [first, rest @ ..] if first == "..." => {
            (0..=lines.len()).any(|at| are_like(&lines[at..], rest))
        }
        [first, rest @ ..] => match lines {
            [line, lines @ ..] => is_like(line, first) && are_like(lines, rest),
            [] => false,
        },
        [] => lines.is_empty(),
    }
}

impl Run {
    fn check(&self, stage: &Stage, other: Option<SocketAddr>, folder: &Path) {
        let mut words = self.words.clone();
        let is_client = words[0] == "connme-client";
        let dialect = words.iter().skip_while(|word| *word != "--dialect").nth(1);
        let dialect = dialect.filter(|_| is_client).map_or("text", String::as_str);
        let address = other.unwrap_or((stage.address_of)(dialect)).to_string();
        if is_client {
            words.splice(1..1, ["--server".to_owned(), address.clone()]);
        }
        words.iter_mut().for_each(|word| *word = word.replace("HOST:PORT", &address));
        let Some((command, before)) = (stage.program)(&words) else { return };
        let mut command = assert_cmd::Command::from_std(command);
        command
            .current_dir(folder)
            .timeout(Duration::from_secs(60))
            .env("LANG", "C")
            .env_remove("LC_ALL")
            .env_remove("COLUMNS")
            .env("HOME", folder)
            .env("USERPROFILE", folder);
        // The last line need not have an end.
        let typed = self.typed.strip_suffix('\n').unwrap_or_default();
        let output = command.write_stdin(typed).output().unwrap();
        let lines = |bytes: Vec<u8>| -> Vec<String> {
            let text = String::from_utf8(bytes).unwrap().replace(&address, "HOST:PORT");
            let text = text.strip_prefix(before).unwrap_or(&text);
            text.lines().map(str::to_owned).collect()
        };
        let (out, err) = (lines(output.stdout), lines(output.stderr));
        assert!(
            are_like(&out, &self.out) && are_like(&err, &self.err),
            "{}: {:?}\nstandard output: {out:#?}\nstandard error: {err:#?}",
            self.at,
            self.words
        );
        let complains = self.err.iter().any(|line| line.starts_with("connme-"));
        let status = self.status.unwrap_or(i32::from(complains));
        assert_eq!(output.status.code(), Some(status), "{}: {:?}", self.at, self.words);
    }
}

/// Makes what a line names.
fn provide(folder: &Path, what: &str) {
    match words(what).as_slice() {
        [kind, name] if kind == "folder" => fs::create_dir_all(folder.join(name)).unwrap(),
        [name, size, bytes] if size == "size" => {
            let byte = |n: usize| u8::try_from((n * 31 + n / 251) % 256).unwrap();
            let bytes: Vec<_> = (0..bytes.parse().unwrap()).map(byte).collect();
            fs::write(folder.join(name), bytes).unwrap();
        }
        [name, text @ ..] => fs::write(folder.join(name), bytes(&text.join(" "))).unwrap(),
        [] => panic!("a name is missing"),
    }
}

/// A server that follows a script, and all that it was told.
struct Peer {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Peer {
    fn saying(words: &[String]) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let all = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&all);
        let connections = words.split(|word| word == "|");
        let mut replies: VecDeque<Vec<_>> =
            connections.map(|words| words.iter().map(|word| bytes(word)).collect()).collect();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                // Held to the end of the connection, so that `heard` sees all of it.
                let mut heard = heard.lock().unwrap();
                let mut buffer = vec![0; 64 << 10];
                let mut stays_open = true;
                for reply in &replies[0] {
                    let n = stream.read(&mut buffer).unwrap_or(0);
                    heard.extend(&buffer[..n]);
                    stays_open = n > 0 && stream.write_all(reply).is_ok();
                    if !stays_open {
                        break;
                    }
                }
                if stays_open {
                    let _ = stream.shutdown(Shutdown::Write);
                    let _ = stream.read_to_end(&mut heard);
                }
                // The last connection's words are for all that come after it too.
                if replies.len() > 1 {
                    replies.pop_front();
                }
            }
        });
        Peer { address, heard: all }
    }
}

/// A relay to a server. It cuts each connection when the client has got as many bytes as the list says, and
/// passes on all after the end of the list.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
}

impl Relay {
    pub(crate) fn to(server: SocketAddr, cuts: impl IntoIterator<Item = u64>) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut cuts: VecDeque<_> = cuts.into_iter().collect();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(server) else { continue };
                let most = cuts.pop_front().unwrap_or(u64::MAX);
                let (from, into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || pass(from, into, u64::MAX));
                thread::spawn(move || pass(server, client, most));
            }
        });
        Relay { address }
    }
}

/// Passes on at most this many bytes. At the end of the stream only this direction ends; a cut ends both.
pub(crate) fn pass(mut from: TcpStream, mut into: TcpStream, most: u64) {
    let passed = std::io::copy(&mut (&mut from).take(most), &mut into);
    if passed.is_ok_and(|n| n < most) {
        let _ = into.shutdown(Shutdown::Write);
        return;
    }
    let _ = (from.shutdown(Shutdown::Both), into.shutdown(Shutdown::Both));
}

fn visible(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return vec!["none".to_owned()] };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

fn play(name: &str, text: &str, start: impl Fn(&[String]) -> Stage) {
    let folder = tempfile::tempdir().unwrap();
    let flags = text.lines().find_map(|line| line.strip_prefix("server ")).map(words);
    let stage = start(&flags.unwrap_or_default());
    let only = text.lines().find_map(|line| line.strip_prefix("only ")).map(words);
    if let Some([system, programs @ ..]) = only.as_deref() {
        let is_here = [std::env::consts::OS, std::env::consts::FAMILY].contains(&system.as_str());
        let has = |program: &String| (stage.program)(std::slice::from_ref(program)).is_some();
        if !is_here || !programs.iter().all(has) {
            return;
        }
    }
    let (mut run, mut peer, mut relay) = (None::<Run>, None::<Peer>, None::<Relay>);
    let downloads = folder.path().join("downloads");
    for (n, line) in text.lines().chain([""]).enumerate() {
        let at = format!("{name}:{}", n + 1);
        let line = &line.replace("\\e", "\u{1b}").replace("<long>", &"x ".repeat(200_000));
        let is_part = ["< ", "  ", "! ", "= "].iter().any(|mark| line.starts_with(mark));
        if let Some(run) = run.take_if(|_| !is_part) {
            let peer = peer.as_ref().map(|peer| peer.address);
            let other = relay.as_ref().map(|relay| relay.address).or(peer);
            run.check(&stage, other, folder.path());
        }
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        let is_now = |names: Vec<String>| assert_eq!(names, words(rest), "{at}");
        match (mark, &mut run) {
            ("$", _) => run = Some(Run { at, words: words(rest), ..Run::default() }),
            ("<", Some(run)) => run.typed += &format!("{rest}\n"),
            ("!", Some(run)) => run.err.push(rest.to_owned()),
            ("=", Some(run)) => run.status = Some(rest.parse().unwrap()),
            ("", Some(run)) => run.out.extend(rest.strip_prefix(' ').map(str::to_owned)),
            ("file", _) => provide(folder.path(), rest),
            ("there", _) => provide(&stage.root, rest),
            ("peer", _) => {
                peer = (!rest.is_empty()).then(|| Peer::saying(&words(rest)));
                relay = None;
            }
            ("cut", _) => {
                let to = peer.as_ref().map_or((stage.address_of)("text"), |peer| peer.address);
                relay = Some(Relay::to(to, rest.split(' ').map(|n| n.parse().unwrap())));
            }
            ("heard", _) => {
                let heard = peer.as_ref().unwrap().heard.lock().unwrap();
                assert_eq!(heard.escape_ascii().to_string(), words(rest).concat(), "{at}");
            }
            ("names", _) => is_now(visible(&stage.root)),
            ("downloads", _) => is_now(visible(&downloads)),
            ("same", _) => {
                let (came, is) = (fs::read(downloads.join(rest)), fs::read(stage.root.join(rest)));
                assert!(came.unwrap() == is.unwrap(), "{at}");
            }
            ("" | "#" | "server" | "only", _) => {}
            _ => panic!("{at}: {line:?} is no line of a session"),
        }
    }
}

/// Plays all sessions, each in a thread of its own.
pub(crate) fn play_all(start: impl Fn(&[String]) -> Stage + Sync) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sessions");
    let names = visible(&folder);
    assert!(names.len() > 5, "{names:?}");
    thread::scope(|scope| {
        for name in &names {
            let (text, start) = (fs::read_to_string(folder.join(name)).unwrap(), &start);
            // What is skipped goes by the name of the thread.
            let thread = thread::Builder::new().name(name.clone());
            thread.spawn_scoped(scope, move || play(name, &text, start)).unwrap();
        }
    });
}
