//! Every client that can be run here against every server: `connme-lab grade --client COMMAND --pair NAME=HOST:PORT`.
//!
//! Each pair has one short session in `text` through a relay, which notes what each side sends. After it both directions
//! are read, message by message, up to the first byte that breaks a rule: so the table says whose it was. Then the file
//! that came back is compared with the one that was sent.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use std::{env, thread};

use super::drive::Client;
use super::{Driven, LOOK, Options, Room, UNDER_WAY, words_of};
use crate::dialect::{Dialect, digits};
use crate::error::lock;
use crate::lab::grade::conversation::{Step, is_in};
use crate::lab::grade::seen::{quoted, same};
use crate::lab::grade::{lists, reach};
use crate::lab::lecture::local::{TemporaryFolder, this_program};
use crate::lang::{Msg, msg};

/// How many bytes the file of a session has: more than one read brings, and each value of a byte.
const SIZE: usize = 3000;

/// How much of each direction is kept.
const MOST: usize = 1 << 20;

/// The widest name in the table.
const NAME: usize = 16;

/// Runs each client against each server. Returns the table, and whether all pairs went well.
///
/// # Errors
/// What has to be said if a server is not named as `NAME=HOST:PORT`, or in another dialect than `text`.
pub fn run(options: &Options, driven: &Driven) -> Result<(String, bool), Msg> {
    if options.dialect != Dialect::Text {
        return Err(msg!("--pair speaks text alone", "--pair hanya memakai dialek text"));
    }
    let servers = driven.pair.iter().map(|server| named(server)).collect::<Result<Vec<_>, _>>()?;
    let folder = TemporaryFolder::new().map_err(|failure| failure.why())?;
    let mut table = format!("{:NAME$}", "");
    for (name, _) in &servers {
        table += &format!("  {name:NAME$.NAME$}");
    }
    table.truncate(table.trim_end().len());
    let mut notes = Vec::new();
    let clients = clients(driven);
    for (n, command) in clients.iter().enumerate() {
        let label = label(command);
        let before = clients.iter().take(n).filter(|it| self::label(it) == label).count();
        let label = if before > 0 { format!("{label} {}", before + 1) } else { label };
        table += &format!("\n{label:NAME$.NAME$}");
        for (server, address) in &servers {
            let (printed, folder) = (Mutex::default(), &folder.0);
            let pair = Pair { options, driven, command, folder, address, printed };
            let cell = match pair.run(notes.len()) {
                Ok(()) => "ok".to_owned(),
                Err(Fault { side, note }) => {
                    let number = notes.len() + 1;
                    let mut note =
                        format!("{number}  {label}, {server}: {}", note.say(options.lang));
                    if let Some(line) = lock(&pair.printed).take() {
                        let line = crate::lang::printable(line.as_bytes());
                        let label = msg!("client printed: {line}", "client mencetak: {line}");
                        note += &format!("\n   {}", label.say(options.lang));
                    }
                    notes.push(note);
                    format!("{number}: {}", side.name().say(options.lang))
                }
            };
            table += &format!("  {cell:NAME$}");
        }
        table.truncate(table.trim_end().len());
    }
    table += "\n";
    for note in &notes {
        table += &format!("\n{note}\n");
    }
    Ok((table, notes.is_empty()))
}

/// A server: `NAME=HOST:PORT`.
fn named(server: &str) -> Result<(String, String), Msg> {
    let parts = server.split_once('=').filter(|(name, at)| !name.is_empty() && at.contains(':'));
    let (name, address) = parts.ok_or_else(|| {
        msg!(
            "--pair takes NAME=HOST:PORT, not '{server}'",
            "--pair berisi NAMA=HOST:PORT, bukan '{server}'"
        )
    })?;
    Ok((name.to_owned(), address.to_owned()))
}

/// The clients that are given, and the one beside this program.
fn clients(driven: &Driven) -> Vec<String> {
    let mut clients: Vec<_> = driven.more.iter().chain([&driven.command]).cloned().collect();
    clients.retain(|command| !command.is_empty());
    let program = format!("connme-client{}", env::consts::EXE_SUFFIX);
    let own = this_program().ok().map(|lab| lab.with_file_name(program));
    if let Some(own) = own.filter(|own| own.exists()) {
        let own = own.display();
        clients.push(format!("'{own}' --retry 0 --server {{host}}:{{port}}"));
    }
    clients
}

/// What a client is called in the table: its script or its program.
fn label(command: &str) -> String {
    let words = words_of(command).unwrap_or_default();
    let is_script = |word: &&String| word.contains('.') && !word.contains('{');
    let name = words.iter().rev().find(is_script).or(words.first());
    let name = name.and_then(|word| Path::new(word).file_name()?.to_str());
    name.unwrap_or(command).to_owned()
}

/// Why a pair does not work, and whose it is.
struct Fault {
    side: Side,
    note: Msg,
}

fn of_client(note: Msg) -> Fault {
    Fault { side: Side::Client, note }
}

fn of_server(note: Msg) -> Fault {
    Fault { side: Side::Server, note }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

impl Side {
    fn name(self) -> Msg {
        match self {
            Side::Client => msg!("client", "client"),
            Side::Server => msg!("server", "server"),
        }
    }
}

/// One client and one server.
struct Pair<'p> {
    options: &'p Options,
    driven: &'p Driven,
    command: &'p str,
    folder: &'p Path,
    address: &'p str,
    /// The last line that the client printed.
    printed: Mutex<Option<String>>,
}

impl Pair<'_> {
    fn run(&self, number: usize) -> Result<(), Fault> {
        reach(self.address, self.options.time).map_err(|error| {
            of_server(msg!("cannot connect: {error}", "tidak bisa tersambung: {error}"))
        })?;
        let words = words_of(self.command).unwrap_or_default();
        let client = Client::new(words, self.driven.map().map_err(of_client)?);
        let mut room = Room::new(self.options.clone(), client, self.folder);
        room.dry_run(self.driven).map_err(of_client)?;
        let name = format!("pair-{:08x}.bin", crate::store::random() >> 32);
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(SIZE).collect();
        let mut steps = vec![
            Step::Word("file", [name.as_bytes(), b" = ", &bytes].concat()),
            Step::Word("patience", b"4".to_vec()),
        ];
        for word in NEEDED {
            let order = if word == "ls" { word.to_owned() } else { format!("{word} {name}") };
            steps.push(Step::Word("$", order.into_bytes()));
        }
        let sessions = Arc::new(Mutex::new(Vec::new()));
        let (opened, address) = (Arc::clone(&sessions), self.address.to_owned());
        let time = self.options.time;
        room.relay = Some(Arc::new(move |near| {
            if let Ok(far) = reach(&address, time) {
                let session = Arc::default();
                relay(near, far, &session);
                lock(&opened).push(session);
            }
        }));
        let ran = room.perform(steps, &format!("pair-{number}"));
        let (_, client) = ran.map_err(|error| of_client(same(error.to_string())))?;
        // What the server sent last may be still under way.
        let until = Instant::now() + UNDER_WAY;
        let is_moving = || lock(&sessions).iter().any(|it| Arc::strong_count(it) > 1);
        while is_moving() && Instant::now() < until {
            thread::sleep(LOOK);
        }
        *lock(&self.printed) = client.last_lines.last().cloned();
        let mut seen = Seen::default();
        for session in &*lock(&sessions) {
            std::mem::take(&mut *lock(session)).judge(&mut seen)?;
        }
        let is_missing = |word: &&&str| !seen.words.iter().any(|asked| asked == **word);
        if let Some(word) = NEEDED.iter().find(is_missing) {
            return Err(of_client(msg!(
                "the client never asked for '{word}'",
                "client tidak pernah meminta '{word}'"
            )));
        }
        if let Some(at) = difference(&seen.uploaded, &seen.downloaded) {
            return Err(of_server(msg!(
                "what the server sends of a file differs from what it got at byte {at}",
                "isi file yang dikirim server berbeda dari yang diterimanya di byte {at}"
            )));
        }
        // It may have a number, where the client replaces nothing.
        let stem = name.trim_end_matches(".bin");
        let is_it = |path: &str| path.rsplit('/').next().is_some_and(|it| it.starts_with(stem));
        let saved = client.new_files().find(|(path, _)| is_it(path));
        let (_, saved) = saved.ok_or_else(|| {
            of_client(msg!(
                "the file came whole, and the client did not save it",
                "file datang utuh, dan client tidak menyimpannya"
            ))
        })?;
        let Some(at) = difference(&bytes, saved) else { return Ok(()) };
        Err(of_client(msg!(
            "the file came whole; what the client saved differs at byte {at}",
            "file datang utuh; yang disimpan client berbeda di byte {at}"
        )))
    }
}

/// What a session consists of, between `connme` and `byebye`.
const NEEDED: [&str; 5] = ["upload", "ls", "size", "download", "rm"];

/// Passes bytes on in both directions until both have ended.
fn relay(near: TcpStream, far: TcpStream, session: &Arc<Mutex<Session>>) {
    let pass = |mut from: TcpStream, mut to: TcpStream, side: Side| {
        let session = Arc::clone(session);
        thread::spawn(move || {
            let _ = to.set_nodelay(true);
            let mut piece = vec![0; 16 << 10];
            while let Ok(n @ 1..) = from.read(&mut piece) {
                let bytes = piece.get(..n).unwrap_or_default();
                lock(&session).of(side).keep(bytes);
                if to.write_all(bytes).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Write);
        })
    };
    if let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) {
        pass(near, far, Side::Client);
        pass(far_too, near_too, Side::Server);
    }
}

/// What the sessions of a pair have shown.
#[derive(Default)]
struct Seen {
    words: Vec<String>,
    uploaded: Vec<u8>,
    downloaded: Vec<u8>,
}

/// What both sides of a connection sent.
#[derive(Default)]
struct Session {
    client: Said,
    server: Said,
    /// The last request.
    after: String,
}

/// What one side sent, and how far it has been read.
#[derive(Default)]
struct Said {
    bytes: Vec<u8>,
    at: usize,
}

impl Said {
    fn keep(&mut self, bytes: &[u8]) {
        let room = MOST.saturating_sub(self.bytes.len());
        self.bytes.extend(bytes.iter().take(room));
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

impl Session {
    fn of(&mut self, side: Side) -> &mut Said {
        if side == Side::Client { &mut self.client } else { &mut self.server }
    }

    fn judge(mut self, seen: &mut Seen) -> Result<(), Fault> {
        loop {
            if self.client.rest().iter().all(u8::is_ascii_whitespace) {
                // What ends in the middle of the session is the server's last word.
                return match self.server.rest() {
                    [] => Ok(()),
                    more if more.starts_with(b"error timeout ") => Ok(()),
                    _ => Err(self.broken(Side::Server, "nothing, because nothing was asked")),
                };
            }
            let form = "a request: a command of the protocol, perhaps a name, and LF";
            let (word, name) = self.line_as(Side::Client, form, |line| {
                let (word, name) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
                let word = word.to_ascii_lowercase();
                is_in(COMMANDS, &word).then(|| (word, name.trim().to_owned()))
            })?;
            if !word.is_empty() {
                self.after = format!("'{}'", format!("{word} {name}").trim_end());
                seen.words.push(word.clone());
                self.reply(&word, &name, seen)?;
            }
        }
    }

    /// Reads what answers a request, and what belongs to it.
    fn reply(&mut self, word: &str, name: &str, seen: &mut Seen) -> Result<(), Fault> {
        let form = match word {
            "connme" | "conme" => "ok connected",
            "byebye" => "ok byebye",
            "rm" => &format!("ok removed {name}"),
            "upload" => "ok ready",
            "size" => "ok SIZE bytes (M.MMMMMM MB)",
            "sum" => "ok SHA-256",
            _ => "ok NUMBER",
        };
        let number = |line: &str| digits(line.strip_prefix("ok ")?.as_bytes());
        let is_ok = |line: &str| match word {
            "size" => line.split_once(" bytes (").is_some_and(|(start, _)| number(start).is_some()),
            "sum" => line.len() == 67 && line.starts_with("ok "),
            _ => line == form || (form == "ok NUMBER" && number(line).is_some()),
        };
        let expected = format!("{form}, or error CODE MESSAGE");
        let line = self.line_as(Side::Server, &expected, |line| {
            (line.starts_with("error ") || is_ok(line)).then(|| line.to_owned())
        })?;
        if line.starts_with("error ") {
            return Ok(());
        }
        let count = number(&line).unwrap_or_default();
        match word {
            "ls" => self.list(count)?,
            "help" => {
                for _ in 0..count {
                    self.line_as(Side::Server, "a line of the help", |_| Some(()))?;
                }
            }
            "download" => seen.downloaded = self.payload(Side::Server, count)?,
            "resume" => drop(self.payload(Side::Server, count)?),
            "upload" => {
                let form = "the size of the file in digits, and LF";
                let size = self.line_as(Side::Client, form, |line| digits(line.as_bytes()))?;
                seen.uploaded = self.payload(Side::Client, size)?;
                let start = format!("ok received {size} ");
                let form = format!("{start}NAME, or error CODE MESSAGE");
                let is_it = |line: &str| line.starts_with(&start) || line.starts_with("error ");
                self.line_as(Side::Server, &form, |line| is_it(line).then_some(()))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn list(&mut self, count: u64) -> Result<(), Fault> {
        let mut total: u128 = 0;
        for _ in 0..count {
            let (_, size) =
                self.line_as(Side::Server, "file SIZE NAME, or dir - NAME", lists::entry)?;
            total += u128::from(size.unwrap_or(0));
        }
        let form = format!("total {total}");
        self.line_as(Side::Server, &form, |line| (line == form).then_some(()))
    }

    /// A line of this side's for which `read`, which is given it without its end, finds a value.
    fn line_as<T>(
        &mut self,
        side: Side,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Fault> {
        let said = self.of(side);
        let end = said.rest().iter().position(|byte| *byte == b'\n').unwrap_or(usize::MAX);
        let line = said.rest().get(..end).and_then(|line| std::str::from_utf8(line).ok());
        // A client may end its lines with CR LF.
        let without = |line| if side == Side::Client { without_cr(line) } else { line };
        let Some(value) = line.map(without).and_then(read) else {
            return Err(self.broken(side, expected));
        };
        said.at += end + 1;
        Ok(value)
    }

    fn payload(&mut self, side: Side, size: u64) -> Result<Vec<u8>, Fault> {
        let said = self.of(side);
        let came = said.rest().len();
        let length = usize::try_from(size).unwrap_or(usize::MAX);
        let payload = said.rest().get(..length).map(<[u8]>::to_vec);
        said.at += length.min(came);
        payload.ok_or_else(|| self.broken(side, &format!("{size} bytes of a file; {came} came")))
    }

    /// A rule that was broken: which side did it, at which byte of what it sent, and after which request.
    fn broken(&mut self, side: Side, expected: &str) -> Fault {
        let Said { bytes, at } = self.of(side);
        let (at, bytes) = (*at, bytes.get(*at..).unwrap_or_default());
        let line = bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        let got = match line.get(..60).unwrap_or(line) {
            [] => msg!("nothing", "tidak ada"),
            got => same(quoted(got)),
        };
        let after = match self.after.as_str() {
            "" => "the beginning",
            request => request,
        };
        let name = side.name();
        let note = msg!(
            "byte {at} from the {name}, after {after}\n   expected: {expected}\n   got:      {got}",
            "byte {at} dari {name}, setelah {after}\n   harapan:  {expected}\n   hasil:    {got}";
            name, got
        );
        Fault { side, note }
    }
}

/// The commands of the protocol. An empty line is none, and allowed.
const COMMANDS: &str = " connme conme byebye rm upload size sum ls help count download resume";

fn without_cr(line: &str) -> &str {
    line.strip_suffix('\r').unwrap_or(line)
}

/// Where two files begin to differ.
fn difference(one: &[u8], other: &[u8]) -> Option<usize> {
    let differ = one.iter().zip(other).position(|(one, other)| one != other);
    differ.or_else(|| (one.len() != other.len()).then_some(one.len().min(other.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::Lang;

    fn judged(client: &[u8], server: &[u8]) -> Option<String> {
        let [client, server] = [client, server].map(|it| Said { bytes: it.to_vec(), at: 0 });
        let session = Session { client, server, after: String::new() };
        Some(session.judge(&mut Seen::default()).err()?.note.say(Lang::En))
    }

    #[test]
    fn the_first_byte_that_breaks_a_rule_is_found_and_whose_it_is() {
        let right: (&[u8], &[u8]) = (
            b"connme\nupload a\n2\nhils\r\ndownload a\nsize b\nbyebye\n",
            b"ok connected\nok ready\nok received 2 a\nok 1\nfile 2 a\ntotal 2\nok 2\nhierror not-found no\nok byebye\n",
        );
        assert_eq!(judged(right.0, right.1), None);
        for (client, server, is_clients, at, expected) in [
            (
                &b"connme\n"[..],
                &b"ok connectd\n"[..],
                false,
                0,
                "ok connected, or error CODE MESSAGE",
            ),
            (b"connme\n", b"ok connected\r\n", false, 0, "ok connected, or error CODE MESSAGE"),
            (
                b"connme",
                b"",
                true,
                0,
                "a request: a command of the protocol, perhaps a name, and LF",
            ),
            (
                b"connme\ndance\n",
                b"ok connected\n",
                true,
                7,
                "a request: a command of the protocol, perhaps a name, and LF",
            ),
            (b"upload a\n2 hi", b"ok ready\n", true, 9, "the size of the file in digits, and LF"),
            (b"upload a\n3\nhi", b"ok ready\n", true, 13, "3 bytes of a file; 2 came"),
            (b"ls\n", b"ok 1\nfile 2 a\ntotal 3\n", false, 14, "total 2"),
            (b"ls\n", b"ok 1\na 2\ntotal 2\n", false, 5, "file SIZE NAME, or dir - NAME"),
            (b"download a\n", b"ok 5\nhel", false, 8, "5 bytes of a file; 3 came"),
            (b"ls\n", b"ok 0\ntotal 0\nmore", false, 13, "nothing, because nothing was asked"),
        ] {
            let found = judged(client, server).unwrap_or_default();
            let side = if is_clients { "client" } else { "server" };
            assert!(found.starts_with(&format!("byte {at} from the {side}, after ")), "{found}");
            assert!(found.contains(&format!("\n   expected: {expected}\n")), "{found}");
        }
    }
}
