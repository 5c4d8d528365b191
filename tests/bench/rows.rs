//! The rows of the first table: what each server has to do in one turn, and how that is measured.

use std::fs::{self, File};
use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{LazyLock, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::bare::copy;
use crate::connection::Connection;
use crate::failed;
use crate::report::Spread;
use crate::server::Server;

/// How much work the rows do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// What the guide shows.
    Full,
    /// Less of everything, for a first impression.
    Quick,
    /// As little as possible, as a test.
    Smoke,
}

impl Scale {
    /// Chooses one of three values.
    pub fn of<T>(self, full: T, quick: T, smoke: T) -> T {
        match self {
            Scale::Full => full,
            Scale::Quick => quick,
            Scale::Smoke => smoke,
        }
    }
}

/// One row of the table.
pub struct Row<'s> {
    pub name: String,
    /// What the figures count. More is better where it ends in `/s`, else less is better.
    pub unit: &'static str,
    /// How many turns each server has.
    pub turns: usize,
    pub turn: Turn<'s>,
}

/// One turn of one server. NaN if the row does not apply to it, or the system does not tell.
type Turn<'s> = Box<dyn Fn(&Server) -> io::Result<f64> + 's>;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// All rows, in the order of the table. The rows of the client use connme-server and this folder.
pub fn all<'s>(scale: Scale, connme: &'s Server, folder: &'s Path) -> Vec<Row<'s>> {
    let turns = |full| scale.of(full, 3, 1);
    let (large, huge) = (scale.of(256, 128, 1) * MIB, scale.of(1024, 128, 2) * MIB);
    let (small, downloads) = (scale.of(4000, 1024, 256), scale.of(16_000, 6000, 256));
    let connections = scale.of(4000, 1500, 32);
    let idle = scale.of(10_000, 2000, 20);
    // The speed of one connection depends on where the scheduler puts its two threads. So rows with
    // small files and a single client have many short turns.
    let mut rows = vec![
        download(1, large, turns(9)),
        download(4, large, turns(7)),
        upload(16 * MIB, scale.of(8, 4, 1), turns(9)),
        upload(huge, 1, turns(5)),
        client(connme, folder, false, huge, turns(9)),
        client(connme, folder, true, huge, turns(9)),
        repeat("1 KiB up, down, rm", up_down_rm, 1, small, turns(15)),
        repeat("1 KiB up, down, rm", up_down_rm, 32, small, turns(5)),
        repeat("1 KiB up, down, rm", up_down_rm, 256, small, turns(5)),
        repeat("1 KiB down", down, 1, downloads, turns(15)),
        repeat("1 KiB down", down, 32, downloads, turns(5)),
        repeat("1 KiB down", down, 256, downloads, turns(5)),
        repeat("connect, hello, close", connect, 1, connections, turns(7)),
        repeat("connect, hello, close", connect, 16, connections, turns(7)),
        list(scale.of(10_000, 2000, 20), scale.of(8, 8, 1), turns(7)),
        list(scale.of(100_000, 20_000, 20), 1, turns(7)),
        idle_memory(idle),
        idle_cpu(idle, scale.of(2000, 500, 10), turns(5)),
        name_taken(scale.of(20_000, 2000, 40)),
    ];
    let times = scale.of(1000, 300, 10);
    rows.extend(COMMANDS.map(|(name, command)| one_command(name, command, times, turns(7))));
    rows
}

fn row<'s>(
    name: String,
    unit: &'static str,
    turns: usize,
    turn: impl Fn(&Server) -> io::Result<f64> + 's,
) -> Row<'s> {
    Row { name, unit, turns, turn: Box::new(turn) }
}

/// Each client downloads a large file once.
fn download(clients: usize, size: usize, turns: usize) -> Row<'static> {
    let several = if clients > 1 { format!(", {clients} at once") } else { String::new() };
    row(format!("download {}{several}", binary_size(size)), "MiB/s", turns, move |server| {
        provide_file(&server.path("large"), size)?;
        let (time, _) = at_once(server.greet_all(clients)?, |client, _| {
            client.download("large", size, &mut io::sink())
        })?;
        Ok(mib_per_second(clients * size, time))
    })
}

/// One client uploads a file a number of times. Removing it again is not counted.
fn upload(size: usize, times: u32, turns: usize) -> Row<'static> {
    row(format!("upload {}", binary_size(size)), "MiB/s", turns, move |server| {
        let mut client = server.greet()?;
        let mut time = Duration::ZERO;
        for _ in 0..times {
            time += timed(|| client.upload("uploaded", size))?;
            client.remove("uploaded")?;
        }
        Ok(mib_per_second(size, time / times))
    })
}

/// Compares clients: connme-client, from the start of its process to its end, and a bare loop
/// between a socket and a file. The bare loop has the turns of the bare server, but talks to
/// connme-server. `here` is the folder of both clients.
fn client<'s>(connme: &'s Server, here: &'s Path, up: bool, size: usize, turns: usize) -> Row<'s> {
    let bar = if *HAS_TERMINALS { "with its bar" } else { "without a terminal" };
    let name =
        format!("the client, {} {}, {bar}", binary_size(size), if up { "up" } else { "down" });
    row(name, "MiB/s", turns, move |turn_of| {
        let server = if turn_of.is_bare { connme } else { turn_of };
        let (local, remote) = (here.join("file"), server.path("file"));
        let (from, to) = if up { (&local, &remote) } else { (&remote, &local) };
        provide_file(from, size)?;
        let _ = fs::remove_file(to);
        let time = timed(|| match (turn_of.is_bare, up) {
            (true, true) => bare_upload(server, from, size),
            (true, false) => bare_download(server, to, size),
            (false, true) => connme_client(server, here, ["upload", &from.to_string_lossy()]),
            (false, false) => connme_client(server, here, ["download", "file"]),
        })?;
        if fs::metadata(to)?.len() != size as u64 {
            return Err(failed(format!("{} is not complete", to.display())));
        }
        Ok(mib_per_second(size, time))
    })
}

/// Several clients do the same thing again and again, each with a connection of its own.
fn repeat(what: &str, once: Once, clients: usize, times: usize, turns: usize) -> Row<'static> {
    let each = times / clients;
    row(format!("{what}, by {clients}"), "/s", turns, move |server| {
        provide_file(&server.path("one-kib"), KIB)?;
        let mut connections = server.greet_all(clients)?;
        // Once without counting: a new name costs some file systems a new block.
        connections.iter_mut().enumerate().try_for_each(|(n, client)| once(server, client, n))?;
        let (time, _) =
            at_once(connections, |client, n| (0..each).try_for_each(|_| once(server, client, n)))?;
        Ok((clients * each) as f64 / time.as_secs_f64())
    })
}

/// What client `n` of [`repeat`] does.
type Once = fn(server: &Server, client: &mut Connection, n: usize) -> io::Result<()>;

fn up_down_rm(_: &Server, client: &mut Connection, n: usize) -> io::Result<()> {
    let name = format!("small-{n}");
    client.upload_small(&name, KIB)?;
    client.download(&name, KIB, &mut io::sink())?;
    client.remove(&name)
}

fn down(_: &Server, client: &mut Connection, _: usize) -> io::Result<()> {
    client.download("one-kib", KIB, &mut io::sink())
}

fn connect(server: &Server, _: &mut Connection, _: usize) -> io::Result<()> {
    server.greet().map(drop)
}

/// One client lists a folder.
fn list(files: usize, times: u32, turns: usize) -> Row<'static> {
    row(format!("list {files} files"), "us", turns, move |server| {
        let folder = format!("list-{files}");
        provide_folder(&server.path(&folder), files)?;
        let mut client = server.greet()?;
        let time = timed(|| (0..times).try_for_each(|_| client.list(&folder, files)))?;
        Ok(micros(time / times))
    })
}

/// How much more memory the server has for each connection that waits for its next command.
fn idle_memory(count: usize) -> Row<'static> {
    row(format!("memory of one idle of {count}"), "KiB", 1, move |server| {
        let before = server.memory_kib();
        let _idle = open_idle(server, count)?;
        Ok((server.memory_kib() - before) / count as f64)
    })
}

/// The processor time of `ls` beside many idle connections, divided by that beside a hundred. The
/// time that passes would only show on which processors the scheduler puts the threads.
fn idle_cpu(count: usize, times: usize, turns: usize) -> Row<'static> {
    row(format!("cpu of ls beside {count} idle / 100"), "times", turns, move |server| {
        provide_folder(&server.path("ten"), 10)?;
        let cpu_of_ls = || {
            let before = server.cpu_seconds();
            for mut client in server.greet_all(10)? {
                (0..times).try_for_each(|_| client.list("ten", 10))?;
            }
            io::Result::Ok(server.cpu_seconds() - before)
        };
        let few = count.min(100);
        let _few = open_idle(server, few)?;
        let beside_few = cpu_of_ls()?;
        let _more = open_idle(server, count - few)?;
        Ok(cpu_of_ls()? / beside_few)
    })
}

/// The time of an upload under a name that many files have had before, divided by that under a free
/// name. The bare loops replace the file, so the row does not apply to them.
fn name_taken(taken: usize) -> Row<'static> {
    row(format!("upload, name taken {taken} times / free"), "times", 1, move |server| {
        if server.is_bare {
            return Ok(f64::NAN);
        }
        let mut client = server.greet()?;
        (0..taken).try_for_each(|_| client.upload_small("taken", 1))?;
        let (mut free_times, mut taken_times) = (Vec::new(), Vec::new());
        for n in 0..taken / 10 {
            let free = format!("free-{n}");
            free_times.push(micros(timed(|| client.upload_small(&free, 1))?));
            taken_times.push(micros(timed(|| client.upload_small("taken", 1))?));
        }
        // The rows that follow find a small folder again.
        let entries = fs::read_dir(&server.root)?.flatten();
        for file in entries.map(|entry| entry.path()).filter(|path| path.is_file()) {
            fs::remove_file(file)?;
        }
        Ok(Spread::of(&taken_times).median / Spread::of(&free_times).median)
    })
}

type OneCommand = fn(&mut Connection) -> io::Result<Duration>;

/// Single commands of a single connection, each with the part that is timed.
const COMMANDS: [(&str, OneCommand); 6] = [
    ("connme", |client| timed(|| client.ask("connme", "ok connected"))),
    ("ls of 10", |client| timed(|| client.list("ten", 10))),
    ("size", |client| timed(|| client.ask("size one-kib", "ok 1024"))),
    ("download 1 KiB", |client| timed(|| client.download("one-kib", KIB, &mut io::sink()))),
    ("upload 1 KiB, bidden", |client| {
        let time = timed(|| client.upload("one", KIB))?;
        client.remove("one").map(|()| time)
    }),
    ("rm", |client| {
        client.upload_small("one", 1)?;
        timed(|| client.remove("one"))
    }),
];

/// The median time of one command.
fn one_command(name: &str, command: OneCommand, times: usize, turns: usize) -> Row<'static> {
    row(format!("one {name}"), "us", turns, move |server| {
        provide_file(&server.path("one-kib"), KIB)?;
        provide_folder(&server.path("ten"), 10)?;
        let mut client = server.greet()?;
        let times = (0..times).map(|_| command(&mut client).map(micros));
        Ok(Spread::of(&times.collect::<io::Result<Vec<_>>>()?).median)
    })
}

// What several rows use.

/// Does `work` for each client in a thread of its own, all at the same time. Returns the time from
/// the common start until the last one has finished, and all results. `work` also gets the number
/// of the client.
pub fn at_once<T: Send, R: Send>(
    clients: Vec<T>,
    work: impl Fn(&mut T, usize) -> io::Result<R> + Sync,
) -> io::Result<(Duration, Vec<R>)> {
    let (start_lock, work) = (&RwLock::new(()), &work);
    thread::scope(|scope| {
        // Each thread waits for this lock. A barrier would wait forever if a thread cannot be
        // started.
        let not_yet = start_lock.write();
        let mut threads = Vec::new();
        for (n, mut client) in clients.into_iter().enumerate() {
            threads.push(scope.spawn(move || {
                drop(start_lock.read());
                work(&mut client, n)
            }));
        }
        let start = Instant::now();
        drop(not_yet);
        let mut results = Vec::new();
        for thread in threads {
            results.push(thread.join().map_err(|_| failed("a client panicked"))??);
        }
        Ok((start.elapsed(), results))
    })
}

fn timed<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<Duration> {
    let start = Instant::now();
    work().map(|_| start.elapsed())
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn mib_per_second(bytes: usize, time: Duration) -> f64 {
    (bytes / MIB) as f64 / time.as_secs_f64()
}

fn binary_size(bytes: usize) -> String {
    let mib = bytes / MIB;
    if mib >= 1024 { format!("{} GiB", mib / 1024) } else { format!("{mib} MiB") }
}

/// Makes sure that a file of this size exists.
pub fn provide_file(path: &Path, size: usize) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|found| found.len() == size as u64) {
        return Ok(());
    }
    copy(&mut io::repeat(7), &mut File::create(path)?, size)
}

/// Makes sure that a folder with that many small files exists.
fn provide_folder(folder: &Path, files: usize) -> io::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    fs::create_dir(folder)?;
    (0..files).try_for_each(|n| fs::write(folder.join(format!("file-{n:06}.txt")), b"x"))
}

/// Connections that have sent one command and then send nothing.
fn open_idle(server: &Server, count: usize) -> io::Result<Vec<TcpStream>> {
    (0..count).map(|_| server.greet().map(|client| client.stream.into_inner())).collect()
}

fn bare_download(server: &Server, to: &Path, size: usize) -> io::Result<()> {
    Connection::open(server.address)?.download("file", size, &mut File::create(to)?)
}

fn bare_upload(server: &Server, from: &Path, size: usize) -> io::Result<()> {
    let mut client = Connection::open(server.address)?;
    client.ask("upload file", "ok ready")?;
    client.write(format!("{size}\n").as_bytes())?;
    copy(&mut File::open(from)?, client.stream.get_mut(), size)?;
    client.expect("ok received ")
}

/// Runs connme-client, in a terminal if possible, so that it draws its progress bar.
fn connme_client(server: &Server, folder: &Path, action: [&str; 2]) -> io::Result<()> {
    let program = env!("CARGO_BIN_EXE_connme-client");
    let (address, folder) = (server.address.to_string(), folder.to_string_lossy());
    let words = [program, "--server", &address, "--downloads", &folder, action[0], action[1]];
    if *HAS_TERMINALS { run_in_terminal(&format!("'{}'", words.join("' '"))) } else { run(&words) }
}

static HAS_TERMINALS: LazyLock<bool> = LazyLock::new(|| run_in_terminal("true").is_ok());

fn run_in_terminal(command_line: &str) -> io::Result<()> {
    run(&["script", "--quiet", "--return", "--command", command_line, "/dev/null"])
}

fn run(words: &[&str]) -> io::Result<()> {
    let done = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output()?;
    let why = || failed(format!("{words:?}: {}", String::from_utf8_lossy(&done.stderr)));
    if done.status.success() { Ok(()) } else { Err(why()) }
}
