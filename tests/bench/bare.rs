//! The bare loops: a server of the `text` dialect with the fewest system calls and nothing else.
//!
//! Clients send it the same bytes as connme-server, and it sends the same kind of replies. It
//! checks no names and has no limits, no timeouts and no log. It replaces a file that exists, and
//! a file that is still arriving can already be seen. The comparison shows what these things cost.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

/// How many bytes one read or write of a large file moves at most.
const LARGE_BUFFER: usize = 1 << 20;

/// Enough for a request with a small file. An idle connection has no other buffer.
const REQUEST_BUFFER: usize = 8 << 10;

/// The stack of a connection's thread, as large as connme-server's.
const STACK: usize = 256 << 10;

/// Serves the folder `root`, with one thread per connection, until the process is killed.
pub fn serve(root: &Path) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let (stream, root) = (stream?, root.to_owned());
        // An error ends its connection and is not reported.
        thread::Builder::new().stack_size(STACK).spawn(move || handle_client(stream, &root))?;
    }
    Ok(())
}

fn handle_client(stream: TcpStream, root: &Path) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut client = BufReader::with_capacity(REQUEST_BUFFER, stream);
    loop {
        let mut line = String::new();
        if client.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let (command, name) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        let path = root.join(name);
        let reply = match command {
            "upload" => upload(&mut client, &path, name)?,
            "download" => download(client.get_mut(), &path).map(|()| String::new())?,
            "ls" => list(&path)?,
            "size" => format!("ok {} bytes\n", fs::metadata(&path)?.len()),
            "rm" => fs::remove_file(&path).map(|()| format!("ok removed {name}\n"))?,
            _ => String::from("ok connected\n"),
        };
        client.get_mut().write_all(reply.as_bytes())?;
    }
}

/// Returns the reply that is still to be sent. A client that has sent its file already gets both
/// replies in one write.
fn upload(client: &mut BufReader<TcpStream>, path: &Path, name: &str) -> io::Result<String> {
    let mut ready = "ok ready\n";
    if client.buffer().is_empty() {
        client.get_mut().write_all(ready.as_bytes())?;
        ready = "";
    }
    let mut size = String::new();
    client.read_line(&mut size)?;
    let size = size.trim_end().parse().map_err(io::Error::other)?;
    copy(client, &mut File::create(path)?, size)?;
    Ok(format!("{ready}ok received {size} {name}\n"))
}

/// Copies exactly `size` bytes. A [`BufReader`] whose buffer is empty reads directly into this one.
pub fn copy(from: &mut impl Read, to: &mut impl Write, size: usize) -> io::Result<()> {
    let mut buffer = vec![0; size.min(LARGE_BUFFER)];
    let mut left = size;
    while left > 0 {
        let wanted = left.min(buffer.len());
        let n = from.read(&mut buffer[..wanted])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_all(&buffer[..n])?;
        left -= n;
    }
    Ok(())
}

fn download(stream: &mut TcpStream, path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len() as usize;
    // The header and the first piece of the file go out in one write.
    let mut first = format!("ok {size}\n").into_bytes();
    let header = first.len();
    let piece = size.min(LARGE_BUFFER);
    first.resize(header + piece, 0);
    file.read_exact(&mut first[header..])?;
    stream.write_all(&first)?;
    copy(&mut file, stream, size - piece)
}

fn list(folder: &Path) -> io::Result<String> {
    let (mut count, mut total, mut lines) = (0, 0, String::new());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let size = entry.metadata()?.len();
        lines += &format!("file {size} {}\n", entry.file_name().to_string_lossy());
        count += 1;
        total += size;
    }
    Ok(format!("ok {count}\n{lines}total {total}\n"))
}
