//! The works: what each server is made to do, and how long it takes.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::peer::{Peer, Speaks};
use crate::report::Spread;
use crate::subject::{Subject, failed};

/// How much work is done: all of it, a part for those in a hurry, or hardly any, for a test.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Full,
    Quick,
    Smoke,
}

impl Scale {
    /// One of three numbers.
    pub fn of<T>(self, full: T, quick: T, smoke: T) -> T {
        match self {
            Scale::Full => full,
            Scale::Quick => quick,
            Scale::Smoke => smoke,
        }
    }
}

/// What a figure counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// MiB a second: more is better.
    Rate,
    /// Times a second: more is better.
    Often,
    /// Microseconds: less is better.
    Micros,
    /// KiB: less is better.
    Kib,
    /// How many times as long, or as much: less is better.
    Times,
}

impl Unit {
    pub fn word(self) -> &'static str {
        match self {
            Unit::Rate => "MiB/s",
            Unit::Often => "/s",
            Unit::Micros => "us",
            Unit::Kib => "KiB",
            Unit::Times => "times",
        }
    }

    pub fn more_is_better(self) -> bool {
        matches!(self, Unit::Rate | Unit::Often)
    }
}

/// What one turn needs beside the server whose turn it is.
pub struct Setting<'s> {
    /// Our server, which the works of the client go to whoever plays the client.
    pub ours: &'s Subject,
    /// A folder for what a client receives.
    pub scratch: &'s Path,
    /// Sixteen MiB to send, over and over.
    pub piece: &'s [u8],
}

type Turn = Box<dyn Fn(&Setting<'_>, &Subject) -> io::Result<Option<f64>>>;

/// One row of the table.
pub struct Work {
    /// The head of the row.
    pub name: String,
    /// What its figures count.
    pub unit: Unit,
    /// How often each server has its turn.
    pub turns: usize,
    /// One turn of one server. `None` where that means nothing, or the system does not tell.
    pub turn: Turn,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// All of them, in the order of the table.
pub fn works(scale: Scale) -> Vec<Work> {
    let work = |name: &str, unit, turns, turn| Work { name: name.to_owned(), unit, turns, turn };
    let turns = |full| scale.of(full, 3, 1);
    let mut works = Vec::new();

    let large = scale.of(256, 128, 1) * MIB;
    let huge = scale.of(1024, 128, 2) * MIB;
    works.push(work(&format!("download {}", megabytes(large)), Unit::Rate, turns(9), {
        Box::new(move |_, subject| downloads(subject, 1, large).map(Some))
    }));
    works.push(work(&format!("download {}, 4 at once", megabytes(large)), Unit::Rate, turns(7), {
        Box::new(move |_, subject| downloads(subject, 4, large).map(Some))
    }));
    works.push(work("upload 16 MiB", Unit::Rate, turns(9), {
        Box::new(move |setting, subject| {
            uploads(setting, subject, 16 * MIB, scale.of(8, 4, 1)).map(Some)
        })
    }));
    works.push(work(&format!("upload {}", megabytes(huge)), Unit::Rate, turns(5), {
        Box::new(move |setting, subject| uploads(setting, subject, huge, 1).map(Some))
    }));

    let terminal = has_terminals();
    let bar = if terminal { "with its bar" } else { "without a terminal" };
    for (direction, up) in [("down", false), ("up", true)] {
        let name = format!("the client, {} {direction}, {bar}", megabytes(huge));
        works.push(work(&name, Unit::Rate, turns(9), {
            Box::new(move |setting, subject| client(setting, subject, huge, up, terminal))
        }));
    }

    for clients in [1, 32, 256] {
        // One connection is as fast as the scheduler places its two threads: many short turns.
        let turns = if clients == 1 { turns(15) } else { turns(5) };
        let each = scale.of(4000, 1024, 256) / clients;
        works.push(work(&format!("1 KiB up, down, rm, by {clients}"), Unit::Often, turns, {
            Box::new(move |_, subject| {
                let name = |client| format!("small-{client}");
                crowd(subject, clients, each, &|peer, client| {
                    peer.upload(&name(client), &[7; KIB as usize])?;
                    peer.download(&name(client), KIB, &mut |_| Ok(()))?;
                    peer.remove(&name(client))
                })
                .map(Some)
            })
        }));
    }
    for clients in [1, 32, 256] {
        let turns = if clients == 1 { turns(15) } else { turns(5) };
        let each = scale.of(16000, 6000, 256) / clients;
        works.push(work(&format!("1 KiB down, by {clients}"), Unit::Often, turns, {
            Box::new(move |_, subject| {
                present(subject, "one-kib", KIB)?;
                crowd(subject, clients, each, &|peer, _| {
                    peer.download("one-kib", KIB, &mut |_| Ok(()))
                })
                .map(Some)
            })
        }));
    }
    for clients in [1, 16] {
        let each = scale.of(4000, 1500, 32) / clients;
        works.push(work(&format!("connect, hello, close, by {clients}"), Unit::Often, turns(7), {
            Box::new(move |_, subject| visits(subject, clients, each).map(Some))
        }));
    }

    for (files, times) in [(10_000, 8), (100_000, 1)] {
        let (files, times) = (scale.of(files, files / 5, 20), scale.of(times, times, 1));
        works.push(work(&format!("list {files} files"), Unit::Micros, turns(7), {
            Box::new(move |_, subject| {
                let folder = format!("list-{files}");
                filled(&subject.root.join(&folder), files)?;
                let mut peer = subject.connect()?;
                peer.hello()?;
                let start = Instant::now();
                for _ in 0..times {
                    let listed = peer.list(&folder)?;
                    if listed != files {
                        return Err(failed(format!("{listed} files are listed of {files}")));
                    }
                }
                Ok(Some(micros(start.elapsed()) / f64::from(times)))
            })
        }));
    }

    let held = scale.of(10_000, 2_000, 20);
    works.push(work(&format!("memory of one idle of {held}"), Unit::Kib, 1, {
        Box::new(move |_, subject| {
            subject.calm();
            let before = subject.held();
            let idle = idle(subject, held)?;
            let (Some(before), Some(after)) = (before, subject.held()) else { return Ok(None) };
            Ok(Some((after - before) / idle.len() as f64))
        })
    }));
    works.push(work(&format!("cpu of ls beside {held} idle / 100"), Unit::Times, turns(5), {
        Box::new(move |_, subject| beside(subject, held, scale.of(2000, 500, 10)))
    }));

    let taken = scale.of(20_000, 2_000, 40);
    works.push(work(
        &format!("upload, name taken {taken} times / free"),
        Unit::Times,
        1,
        Box::new(move |_, subject| namesakes(subject, taken, taken / 10)),
    ));

    type Small = fn(&mut Peer) -> io::Result<f64>;
    let small: [(&str, Small); 6] = [
        ("connme", |peer| timed(|| peer.hello())),
        ("ls of 10", |peer| timed(|| peer.list("ten").map(drop))),
        ("size", |peer| timed(|| peer.size("one-kib"))),
        ("download 1 KiB", |peer| timed(|| peer.download("one-kib", KIB, &mut |_| Ok(())))),
        ("upload 1 KiB, bidden", |peer| {
            let bytes = [7; KIB as usize];
            let mut send = |stream: &mut TcpStream, head: &str| {
                stream.write_all(&[head.as_bytes(), &bytes].concat())
            };
            let time = timed(|| peer.upload_by("slow", KIB, &mut send))?;
            peer.remove("slow").map(|()| time)
        }),
        ("rm", |peer| {
            peer.upload("slow", b"x")?;
            timed(|| peer.remove("slow"))
        }),
    ];
    for (name, command) in small {
        let turn: Turn = Box::new(move |_, subject| {
            present(subject, "one-kib", KIB)?;
            filled(&subject.root.join("ten"), 10)?;
            let mut peer = subject.connect()?;
            peer.hello()?;
            let times = (0..scale.of(1000, 300, 10)).map(|_| command(&mut peer));
            times.collect::<io::Result<Vec<_>>>().map(|times| Some(median(&times)))
        });
        works.push(work(&format!("one {name}"), Unit::Micros, turns(7), turn));
    }
    works
}

fn megabytes(bytes: u64) -> String {
    if bytes >= 1024 * MIB {
        format!("{} GiB", bytes >> 30)
    } else {
        format!("{} MiB", bytes >> 20)
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Makes sure that a file of this size is there.
pub fn present(subject: &Subject, name: &str, size: u64) -> io::Result<()> {
    let path = subject.root.join(name);
    if fs::metadata(&path).is_ok_and(|found| found.len() == size) {
        return Ok(());
    }
    write_of(&mut File::create(path)?, size, &vec![7; MIB as usize])
}

/// Writes so many bytes, all of them out of this piece.
fn write_of(to: &mut impl Write, size: u64, piece: &[u8]) -> io::Result<()> {
    let mut left = usize::try_from(size).map_err(io::Error::other)?;
    while left > 0 {
        let n = left.min(piece.len());
        to.write_all(&piece[..n])?;
        left -= n;
    }
    Ok(())
}

/// Makes sure that a folder with so many small files is there.
fn filled(folder: &Path, files: usize) -> io::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    fs::create_dir(folder)?;
    (0..files).try_for_each(|n| fs::write(folder.join(format!("file-{n:06}.txt")), b"x"))
}

/// Does something on each of these threads at once, and says how long all of them took together. What
/// `begin` does is not counted.
pub fn at_once<T>(
    threads: usize,
    begin: &(impl Fn(usize) -> io::Result<T> + Sync),
    work: &(impl Fn(T, usize) -> io::Result<()> + Sync),
) -> io::Result<Duration> {
    let gate = RwLock::new(());
    let (ready, all_ready) = mpsc::channel();
    thread::scope(|scope| {
        let shut = gate.write();
        let mut started = Vec::new();
        for n in 0..threads {
            let (gate, ready) = (&gate, ready.clone());
            let thread = thread::Builder::new().stack_size(128 << 10);
            started.push(thread.spawn_scoped(scope, move || {
                let begun = begin(n);
                let _ = ready.send(());
                drop(ready);
                drop(gate.read());
                begun.and_then(|begun| work(begun, n))
            })?);
        }
        // Who panics lets go of it too: nobody waits for more than come.
        drop(ready);
        for _ in all_ready.iter().take(threads) {}
        let start = Instant::now();
        drop(shut);
        let mut outcome = Ok(());
        for thread in started {
            let ended = thread.join().unwrap_or_else(|_| Err(failed("a client panicked")));
            outcome = outcome.and(ended);
        }
        outcome.map(|()| start.elapsed())
    })
}

/// Many clients, each with a connection that is there already; how often a second they did it.
fn crowd(
    subject: &Subject,
    clients: usize,
    each: usize,
    what: &(dyn Fn(&mut Peer, usize) -> io::Result<()> + Sync),
) -> io::Result<f64> {
    let begin = |client| {
        let mut peer = subject.connect()?;
        // Once uncounted: a name that is new costs some file systems a new block.
        what(&mut peer, client)?;
        Ok(peer)
    };
    let time = at_once(clients, &begin, &|mut peer, client| {
        (0..each).try_for_each(|_| what(&mut peer, client))
    })?;
    Ok((clients * each) as f64 / time.as_secs_f64())
}

/// Connections that are each there for one command.
fn visits(subject: &Subject, clients: usize, each: usize) -> io::Result<f64> {
    let time = at_once(clients, &|_| Ok(()), &|(), _| {
        (0..each).try_for_each(|_| subject.connect()?.hello())
    })?;
    Ok((clients * each) as f64 / time.as_secs_f64())
}

fn downloads(subject: &Subject, clients: usize, size: u64) -> io::Result<f64> {
    let name = format!("large-{size}");
    present(subject, &name, size)?;
    let begin = |_| {
        let mut peer = subject.connect()?;
        peer.hello()?;
        Ok(peer)
    };
    let time =
        at_once(clients, &begin, &|mut peer: Peer, _| peer.download(&name, size, &mut |_| Ok(())))?;
    Ok((clients as u64 * size / MIB) as f64 / time.as_secs_f64())
}

/// Uploads one after the other; each is removed before the next, uncounted.
fn uploads(setting: &Setting<'_>, subject: &Subject, size: u64, times: u32) -> io::Result<f64> {
    let mut peer = subject.connect()?;
    peer.hello()?;
    let mut time = Duration::ZERO;
    for _ in 0..times {
        let start = Instant::now();
        peer.upload_by("big", size, &mut |stream, head| send(stream, head, size, setting.piece))?;
        time += start.elapsed();
        peer.remove("big")?;
    }
    Ok((u64::from(times) * size / MIB) as f64 / time.as_secs_f64())
}

/// Sends what stands in front of them, and so many bytes, all of them out of this piece.
pub fn send(stream: &mut TcpStream, head: &str, size: u64, piece: &[u8]) -> io::Result<()> {
    stream.write_all(head.as_bytes())?;
    write_of(stream, size, piece)
}

/// How long it took, in microseconds.
fn timed(what: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
    let start = Instant::now();
    what()?;
    Ok(micros(start.elapsed()))
}

fn median(values: &[f64]) -> f64 {
    Spread::of(values).map_or(f64::NAN, |spread| spread.median)
}

/// Connections that have said hello and then say nothing.
fn idle(subject: &Subject, count: usize) -> io::Result<Vec<Peer>> {
    let connect = |n| {
        let mut peer = subject.connect().map_err(|error| {
            failed(format!(
                "connection {n} of {count}: {error} (more files may have to be allowed)"
            ))
        })?;
        peer.hello()?;
        peer.rest();
        Ok(peer)
    };
    (0..count).map(connect).collect()
}

/// How much more of the processor's time an `ls` takes beside so many idle connections than beside a
/// hundred. The time that passes would tell how the scheduler places the threads, and no more.
fn beside(subject: &Subject, held: usize, times: usize) -> io::Result<Option<f64>> {
    filled(&subject.root.join("ten"), 10)?;
    let ls = || {
        let before = subject.processor();
        for _ in 0..10 {
            let mut peer = subject.connect()?;
            (0..times).try_for_each(|_| peer.list("ten").map(drop))?;
        }
        Ok::<_, io::Error>(subject.processor().zip(before).map(|(after, before)| after - before))
    };
    let mut idlers = idle(subject, held.min(100))?;
    let few = ls()?;
    idlers.extend(idle(subject, held - idlers.len())?);
    Ok(ls()?.zip(few).map(|(many, few)| many / few))
}

/// How much longer an upload takes under a name that is taken so often already than under a free one.
/// The bare loops replace what is there, so for them this means nothing.
fn namesakes(subject: &Subject, taken: usize, times: usize) -> io::Result<Option<f64>> {
    if subject.speaks == Speaks::Bare {
        return Ok(None);
    }
    let mut peer = subject.connect()?;
    (0..taken).try_for_each(|_| peer.upload("same", b"x"))?;
    let (mut free, mut same) = (Vec::new(), Vec::new());
    for n in 0..times {
        free.push(timed(|| peer.upload(&format!("free-{n}"), b"x"))?);
        same.push(timed(|| peer.upload("same", b"x"))?);
    }
    for entry in fs::read_dir(&subject.root)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("same") || name.starts_with("free-") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(Some(median(&same) / median(&free)))
}

/// Our client against our server, from its start to its end. In the place of the bare server plays a bare
/// client: a loop between the socket and the file.
fn client(
    setting: &Setting<'_>,
    subject: &Subject,
    size: u64,
    up: bool,
    terminal: bool,
) -> io::Result<Option<f64>> {
    let (name, server) = (format!("large-{size}"), setting.ours);
    let here = setting.scratch.join(&name);
    if up {
        if !here.exists() {
            present(server, &name, size)?;
            fs::copy(server.root.join(&name), &here)?;
        }
        let _ = fs::remove_file(server.root.join(&name));
    } else {
        present(server, &name, size)?;
        let _ = fs::remove_file(&here);
    }
    let start = Instant::now();
    match subject.speaks {
        Speaks::Bare => {
            let mut peer = server.connect()?;
            if up {
                let mut file = File::open(&here)?;
                peer.upload_by(&name, size, &mut |stream, head| {
                    stream.write_all(head.as_bytes())?;
                    let mut buffer = vec![0; MIB as usize];
                    loop {
                        match file.read(&mut buffer)? {
                            0 => return Ok(()),
                            n => stream.write_all(&buffer[..n])?,
                        }
                    }
                })?;
            } else {
                let mut file = File::create(&here)?;
                peer.download(&name, size, &mut |piece| file.write_all(piece))?;
            }
        }
        Speaks::Text if std::ptr::eq(subject, setting.ours) => {
            let (what, file) = if up {
                ("upload", here.to_string_lossy())
            } else {
                ("download", name.as_str().into())
            };
            let (address, downloads) =
                (server.address.to_string(), setting.scratch.to_string_lossy());
            let words = ["--server", &address, "--downloads", &downloads, what, &file];
            let done = command(env!("CARGO_BIN_EXE_connme-client"), &words, terminal).output()?;
            if !done.status.success() {
                let said = String::from_utf8_lossy(&done.stderr);
                return Err(failed(format!("the client: {what} {file}: {said}")));
            }
        }
        Speaks::Text => return Ok(None),
    }
    let time = start.elapsed();
    let arrived = if up { server.root.join(&name) } else { here };
    if fs::metadata(&arrived)?.len() != size {
        return Err(failed(format!("{} is not whole", arrived.display())));
    }
    Ok(Some((size / MIB) as f64 / time.as_secs_f64()))
}

/// A program in a terminal of its own, where there is a `script` that can make one; else without.
fn command(program: &str, words: &[&str], terminal: bool) -> Command {
    let mut command = Command::new(if terminal { "script" } else { program });
    if terminal {
        let words: Vec<_> = [program].iter().chain(words).map(|word| format!("'{word}'")).collect();
        command.args(["--quiet", "--return", "--command", &words.join(" "), "/dev/null"]);
    } else {
        command.args(words);
    }
    command.stdin(Stdio::null());
    command
}

fn has_terminals() -> bool {
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", "true", "/dev/null"]);
    script.stdin(Stdio::null()).output().is_ok_and(|done| done.status.success())
}
