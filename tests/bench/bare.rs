//! The bare loops: the same work as the server's, with the fewest system calls and no product around
//! them. What they leave out is what a real server is made of: they check no name, keep no limit and
//! no deadline, replace what is there, show half a file while it grows, and say nothing.
//!
//! A request is one line, `OP NAME SIZE`; a reply is one byte, or the bytes that were asked for. The
//! two sides take turns as in the `text` dialect: before an upload the client waits to be bidden, or
//! sends a small file along.
//!
//! ```text
//! h                           -> k
//! u NAME SIZE -> k, the bytes -> k
//! u NAME SIZE, the bytes      -> k
//! d NAME SIZE                 -> the bytes
//! r NAME                      -> k
//! l FOLDER                    -> lines "SIZE NAME", and at last "."
//! ```

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

/// How much one read or write of a file moves at most.
const BUFFER: usize = 1 << 20;

/// What is enough for a request and a small file. A connection that moves nothing large has no more.
const SMALL: usize = 8 << 10;

/// The stack of a connection's thread: as much as the server's.
const STACK: usize = 256 << 10;

/// Serves `root` until standard input ends, as a process of its own.
pub fn serve(root: &Path) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("listening on {}", listener.local_addr()?);
    let root = root.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let root = root.clone();
            let started = thread::Builder::new().stack_size(STACK).spawn(move || {
                // An error is the end of the connection, and nothing else.
                let _ = connection(stream, &root);
            });
            drop(started);
        }
    });
    io::copy(&mut io::stdin().lock(), &mut io::sink()).map(drop)
}

fn connection(mut stream: TcpStream, root: &Path) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; SMALL];
    loop {
        let held = stream.read(&mut buffer[..SMALL])?;
        if held == 0 {
            return Ok(());
        }
        // One read is taken for one request: the peer here sends nothing ahead.
        let end = buffer[..held].iter().position(|byte| *byte == b'\n').unwrap_or(held);
        let line = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_default();
        let (op, name) = (word(), word());
        let size = word().parse().unwrap_or(0);
        let path = root.join(name);
        if size > SMALL && buffer.len() == SMALL {
            buffer.resize(BUFFER, 0);
        }
        match op {
            "u" => upload(&mut stream, &path, size, &mut buffer, end + 1..held)?,
            "d" => download(&mut stream, &path, size, &mut buffer)?,
            "r" => fs::remove_file(&path)?,
            "l" => list(&mut stream, &path)?,
            _ => {}
        }
        if matches!(op, "h" | "u" | "r") {
            stream.write_all(b"k")?;
        }
    }
}

fn upload(
    stream: &mut TcpStream,
    path: &Path,
    size: usize,
    buffer: &mut [u8],
    along: std::ops::Range<usize>,
) -> io::Result<()> {
    let mut file = File::create(path)?;
    let left = size.saturating_sub(along.len());
    if along.is_empty() {
        stream.write_all(b"k")?;
    } else {
        file.write_all(&buffer[along])?;
    }
    carry(stream, &mut file, left, buffer)
}

fn download(stream: &mut TcpStream, path: &Path, size: usize, buffer: &mut [u8]) -> io::Result<()> {
    carry(&mut File::open(path)?, stream, size, buffer)
}

/// The loop: a read and a write, until all is there.
fn carry(
    from: &mut impl Read,
    to: &mut impl Write,
    mut left: usize,
    buffer: &mut [u8],
) -> io::Result<()> {
    while left > 0 {
        let want = left.min(buffer.len());
        let n = from.read(&mut buffer[..want])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_all(&buffer[..n])?;
        left -= n;
    }
    Ok(())
}

fn list(stream: &mut TcpStream, path: &Path) -> io::Result<()> {
    let mut text = String::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let size = entry.metadata()?.len();
        let _ = writeln!(text, "{size} {}", entry.file_name().to_string_lossy());
    }
    text.push_str(".\n");
    stream.write_all(text.as_bytes())
}
