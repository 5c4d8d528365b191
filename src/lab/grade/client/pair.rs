//! Every client that can be run here against every server: `connme-lab grade --client COMMAND --pair NAME=HOST:PORT`.
//!
//! Each pair has one short session in `text` through a relay, which notes what each side sends. A referee reads both
//! directions after it, message by message, and stops at the first byte that breaks a rule: so the table says whose
//! it was. Then the file that came back is compared with the one that was sent.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use super::drive::{Client, Order};
use super::judge::{files, join};
use super::{Driven, LOOK, Options, Room, UNDER_WAY, WORK, words_of};
use crate::dialect::{Dialect, digits};
use crate::error::lock;
use crate::lab::grade::reach;
use crate::lab::grade::seen::{quoted, same};
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

/// A rule that was broken: who did it, at which byte of what he sent, and after which request.
struct Broken {
    side: Side,
    at: usize,
    after: String,
    expected: String,
    got: Vec<u8>,
}

impl From<Broken> for Fault {
    fn from(Broken { side, at, after, expected, got }: Broken) -> Fault {
        let got = match got.as_slice() {
            [] => msg!("nothing", "tidak ada"),
            got => same(quoted(got)),
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

/// What both sides of a connection sent.
#[derive(Default)]
struct Sent {
    client: Vec<u8>,
    server: Vec<u8>,
}

impl Pair<'_> {
    fn run(&self, number: usize) -> Result<(), Fault> {
        reach(self.address, self.options.time).map_err(|error| {
            of_server(msg!("cannot connect: {error}", "tidak bisa tersambung: {error}"))
        })?;
        let words = words_of(self.command).unwrap_or_default();
        let client = Client::new(words, self.driven.map().map_err(of_client)?);
        let mut room = Room { options: self.options.clone(), client, folder: self.folder };
        room.dry_run(self.driven).map_err(of_client)?;
        let folder = self.folder.join(format!("pair-{number}"));
        let downloads = join(WORK, &room.client.downloads);
        let name = format!("pair-{:08x}.bin", crate::store::random() >> 32);
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(SIZE).collect();
        let prepared = fs::create_dir_all(folder.join(&downloads))
            .and_then(|()| fs::write(folder.join(WORK).join(&name), &bytes));
        prepared.map_err(|error| failed(&error))?;
        let words = ["connme", "upload", "ls", "size", "download", "rm", "byebye"];
        let orders = words.map(|word| match word {
            "connme" | "ls" | "byebye" => Order::of(word),
            word => Order::of(&format!("{word} {name}")),
        });
        let mut sent = self.record(&room.client, &orders, &folder.join(WORK))?;
        let mut seen = Seen::default();
        for Sent { client, server } in &mut sent {
            Referee { client, server, at: [0, 0], after: String::new() }.judge(&mut seen)?;
        }
        let is_missing = |word: &&&str| !seen.words.iter().any(|asked| asked == **word);
        let needed = ["upload", "ls", "size", "download", "rm"];
        if let Some(word) = needed.iter().find(is_missing) {
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
        let saved = files(&folder);
        let local = join(WORK, &name);
        // It may have a number, where the client replaces nothing.
        let stem = name.trim_end_matches(".bin");
        let is_it = |path: &str| path.rsplit('/').next().is_some_and(|it| it.starts_with(stem));
        let saved = saved.iter().find(|(path, _)| **path != local && is_it(path));
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

    /// Runs the client through a relay to the server, and returns what both sent over each connection.
    fn record(&self, client: &Client, orders: &[Order], work: &Path) -> Result<Vec<Sent>, Fault> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| failed(&error))?;
        let port = listener.local_addr().map_err(|error| failed(&error))?.port();
        listener.set_nonblocking(true).map_err(|error| failed(&error))?;
        let connections = Mutex::new(Vec::new());
        let is_over = Mutex::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !*lock(&is_over) {
                    let Ok((near, _)) = listener.accept() else {
                        thread::sleep(Duration::from_millis(3));
                        continue;
                    };
                    let _ = near.set_nonblocking(false);
                    let far = reach(self.address, self.options.time);
                    let Ok(far) = far else { continue };
                    let sent = Arc::new(Mutex::new(Sent::default()));
                    lock(&connections).push(Arc::clone(&sent));
                    relay(near, far, &sent);
                }
            });
            let mut started = Ok(());
            for orders in client.turns(orders) {
                match client.start(orders, work, port) {
                    Ok(mut process) => {
                        let _ = process.wait(Instant::now() + self.options.time * 4);
                        process.kill();
                        *lock(&self.printed) = process.last_lines(1).pop();
                    }
                    Err(error) => started = Err(failed(&error)),
                }
            }
            // What the server sent last may be still under way.
            let until = Instant::now() + UNDER_WAY;
            let is_moving = || lock(&connections).iter().any(|it| Arc::strong_count(it) > 1);
            while is_moving() && Instant::now() < until {
                thread::sleep(LOOK);
            }
            *lock(&is_over) = true;
            started
        })?;
        let connections = lock(&connections);
        let taken = connections.iter().map(|sent| std::mem::take(&mut *lock(sent)));
        Ok(taken.collect())
    }
}

/// Something of this machine's does not work.
fn failed(error: &std::io::Error) -> Fault {
    of_client(same(error.to_string()))
}

/// Passes bytes on in both directions until both have ended.
fn relay(near: TcpStream, far: TcpStream, sent: &Arc<Mutex<Sent>>) {
    let pass = |mut from: TcpStream, mut to: TcpStream, side: Side, sent: Arc<Mutex<Sent>>| {
        let _ = to.set_nodelay(true);
        let mut piece = vec![0; 16 << 10];
        while let Ok(n @ 1..) = from.read(&mut piece) {
            let bytes = piece.get(..n).unwrap_or_default();
            {
                let mut sent = lock(&sent);
                let kept = if side == Side::Client { &mut sent.client } else { &mut sent.server };
                kept.extend(bytes.iter().take(MOST.saturating_sub(kept.len())));
            }
            if to.write_all(bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    };
    let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else { return };
    let (one, other) = (Arc::clone(sent), Arc::clone(sent));
    thread::spawn(move || pass(near, far, Side::Client, one));
    thread::spawn(move || pass(far_too, near_too, Side::Server, other));
}

/// What a session has shown.
#[derive(Default)]
struct Seen {
    words: Vec<String>,
    uploaded: Vec<u8>,
    downloaded: Vec<u8>,
}

/// Reads both directions of a connection.
struct Referee<'s> {
    client: &'s [u8],
    server: &'s [u8],
    /// How far the client and the server have been read.
    at: [usize; 2],
    /// The last request.
    after: String,
}

impl Referee<'_> {
    fn judge(mut self, seen: &mut Seen) -> Result<(), Broken> {
        loop {
            let rest = self.rest(Side::Client);
            if rest.iter().all(u8::is_ascii_whitespace) {
                // What ends in the middle of the session is the server's last word.
                return match self.rest(Side::Server) {
                    [] => Ok(()),
                    more if more.starts_with(b"error timeout ") => Ok(()),
                    _ => Err(self.broken(Side::Server, "nothing, because nothing was asked")),
                };
            }
            let line = self.line(Side::Client, "a request: a word, perhaps a name, and LF")?;
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            self.after = format!("'{line}'");
            let (word, name) = line.split_once(' ').unwrap_or((line, ""));
            let word = word.to_ascii_lowercase();
            seen.words.push(word.clone());
            self.reply(&word, name.trim(), seen)?;
        }
    }

    /// Reads what answers a request, and what belongs to it.
    fn reply(&mut self, word: &str, name: &str, seen: &mut Seen) -> Result<(), Broken> {
        let (form, is_ok): (&str, fn(&str, &str) -> bool) = match word {
            "connme" | "conme" => ("ok connected", |it, _| it == "ok connected"),
            "byebye" => ("ok byebye", |it, _| it == "ok byebye"),
            "rm" => ("ok removed NAME", |it, name| it.strip_prefix("ok removed ") == Some(name)),
            "upload" => ("ok ready", |it, _| it == "ok ready"),
            "size" => ("ok SIZE bytes (M.MMMMMM MB)", |it, _| {
                let size = it.strip_prefix("ok ").and_then(|it| it.split_once(" bytes ("));
                size.is_some_and(|(size, _)| digits(size.as_bytes()).is_some())
            }),
            "sum" => ("ok SHA-256", |it, _| it.len() == 67 && it.starts_with("ok ")),
            "ls" | "help" | "count" | "download" | "resume" => {
                ("ok NUMBER", |it, _| number(it).is_some())
            }
            _ => return Err(self.broken_line("a command of the protocol")),
        };
        let form = format!("{form}, or error CODE MESSAGE");
        let start = self.at;
        let line = self.line(Side::Server, &form)?;
        if line.starts_with("error ") {
            return Ok(());
        }
        if !is_ok(&line, name) {
            self.at = start;
            return Err(self.broken(Side::Server, &form));
        }
        match word {
            "ls" => self.list(number(&line).unwrap_or_default())?,
            "help" => {
                for _ in 0..number(&line).unwrap_or_default() {
                    self.line(Side::Server, "a line of the help")?;
                }
            }
            "download" => {
                seen.downloaded = self.payload(Side::Server, number(&line).unwrap_or_default())?;
            }
            "resume" => drop(self.payload(Side::Server, number(&line).unwrap_or_default())?),
            "upload" => {
                let start = self.at;
                let header = self.line(Side::Client, "the size of the file in digits, and LF")?;
                let Some(size) = digits(header.as_bytes()) else {
                    self.at = start;
                    return Err(self.broken(Side::Client, "the size of the file in digits, and LF"));
                };
                seen.uploaded = self.payload(Side::Client, size)?;
                let form = format!("ok received {size} NAME, or error CODE MESSAGE");
                let start = self.at;
                let line = self.line(Side::Server, &form)?;
                let begin = format!("ok received {size} ");
                if !line.starts_with(&begin) && !line.starts_with("error ") {
                    self.at = start;
                    return Err(self.broken(Side::Server, &form));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn list(&mut self, count: u64) -> Result<(), Broken> {
        let mut total: u128 = 0;
        for _ in 0..count {
            let start = self.at;
            let line = self.line(Side::Server, "file SIZE NAME, or dir - NAME")?;
            let size = line.strip_prefix("file ").and_then(|it| it.split_once(' '));
            match size.and_then(|(size, _)| digits(size.as_bytes())) {
                Some(size) => total += u128::from(size),
                None if line.starts_with("dir - ") => {}
                None => {
                    self.at = start;
                    return Err(self.broken(Side::Server, "file SIZE NAME, or dir - NAME"));
                }
            }
        }
        let (start, form) = (self.at, format!("total {total}"));
        if self.line(Side::Server, &form)? == form {
            return Ok(());
        }
        self.at = start;
        Err(self.broken(Side::Server, &form))
    }

    fn place(&mut self, side: Side) -> &mut usize {
        let [client, server] = &mut self.at;
        if side == Side::Client { client } else { server }
    }

    fn rest(&self, side: Side) -> &[u8] {
        let ([client, server], from) = (self.at, [self.client, self.server]);
        let [of_client, of_server] = from;
        let rest =
            if side == Side::Client { of_client.get(client..) } else { of_server.get(server..) };
        rest.unwrap_or_default()
    }

    /// The next line of this side, without its end.
    fn line(&mut self, side: Side, expected: &str) -> Result<String, Broken> {
        let rest = self.rest(side);
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err(self.broken(side, expected));
        };
        let line = rest.get(..end).unwrap_or_default().to_vec();
        let Ok(line) = String::from_utf8(line) else { return Err(self.broken(side, expected)) };
        *self.place(side) += end + 1;
        // A client may end its lines with CR LF.
        let without = line.strip_suffix('\r').filter(|_| side == Side::Client);
        Ok(without.unwrap_or(&line).to_owned())
    }

    fn payload(&mut self, side: Side, size: u64) -> Result<Vec<u8>, Broken> {
        let rest = self.rest(side);
        let payload = usize::try_from(size).ok().and_then(|size| rest.get(..size));
        let Some(payload) = payload.map(<[u8]>::to_vec) else {
            let came = rest.len();
            *self.place(side) += came;
            return Err(self.broken(side, &format!("{size} bytes of a file; {came} came")));
        };
        *self.place(side) += payload.len();
        Ok(payload)
    }

    fn broken(&self, side: Side, expected: &str) -> Broken {
        let [client, server] = self.at;
        let at = if side == Side::Client { client } else { server };
        let got = self.rest(side);
        let end = got.iter().position(|byte| *byte == b'\n').map_or(got.len(), |end| end + 1);
        let got = got.get(..end.min(60)).unwrap_or_default().to_vec();
        let after =
            if self.after.is_empty() { "the beginning".to_owned() } else { self.after.clone() };
        Broken { side, at, after, expected: expected.to_owned(), got }
    }

    /// The request that was just read breaks a rule.
    fn broken_line(&self, expected: &str) -> Broken {
        let got = self.after.trim_matches('\'').as_bytes().to_vec();
        let [client, _] = self.at;
        let at = client.saturating_sub(got.len() + 1);
        let after = "the request before".to_owned();
        Broken { side: Side::Client, at, after, expected: expected.to_owned(), got }
    }
}

/// The number after `ok`.
fn number(line: &str) -> Option<u64> {
    digits(line.strip_prefix("ok ")?.as_bytes())
}

/// Where two files begin to differ.
fn difference(one: &[u8], other: &[u8]) -> Option<usize> {
    let differ = one.iter().zip(other).position(|(one, other)| one != other);
    differ.or_else(|| (one.len() != other.len()).then_some(one.len().min(other.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(client: &[u8], server: &[u8]) -> Option<(bool, usize, String)> {
        let referee = Referee { client, server, at: [0, 0], after: String::new() };
        let broken = referee.judge(&mut Seen::default()).err()?;
        Some((broken.side == Side::Client, broken.at, broken.expected))
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
            (b"connme", b"", true, 0, "a request: a word, perhaps a name, and LF"),
            (b"connme\ndance\n", b"ok connected\n", true, 7, "a command of the protocol"),
            (b"upload a\n2 hi", b"ok ready\n", true, 9, "the size of the file in digits, and LF"),
            (b"upload a\n3\nhi", b"ok ready\n", true, 13, "3 bytes of a file; 2 came"),
            (b"ls\n", b"ok 1\nfile 2 a\ntotal 3\n", false, 14, "total 2"),
            (b"ls\n", b"ok 1\na 2\ntotal 2\n", false, 5, "file SIZE NAME, or dir - NAME"),
            (b"download a\n", b"ok 5\nhel", false, 8, "5 bytes of a file; 3 came"),
            (b"ls\n", b"ok 0\ntotal 0\nmore", false, 13, "nothing, because nothing was asked"),
        ] {
            let found = judged(client, server);
            assert_eq!(found, Some((is_clients, at, expected.to_owned())), "{client:?} {server:?}");
        }
    }
}
