//! The other end of the wire: a client that does the same to each server and looks at nothing but
//! whether it was done.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::subject::failed;

/// How much one read takes at most.
const BUFFER: usize = 1 << 20;

/// How long a server may be silent, or deaf.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server understands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// The lines of the bare loops.
    Bare,
    /// The `text` dialect.
    Text,
}

/// One connection.
pub struct Peer {
    stream: TcpStream,
    speaks: Speaks,
    /// Made with the first reply, so that ten thousand idle ones cost nothing.
    buffer: Vec<u8>,
    held: usize,
}

impl Peer {
    /// Connects.
    pub fn connect(address: SocketAddr, speaks: Speaks) -> io::Result<Peer> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Peer { stream, speaks, buffer: Vec::new(), held: 0 })
    }

    /// Says hello.
    pub fn hello(&mut self) -> io::Result<()> {
        match self.speaks {
            Speaks::Bare => self.ask("h\n", b""),
            Speaks::Text => self.ask("connme\n", b"ok connected"),
        }
    }

    /// Asks for a file's size; the bare loops have no such command, and say hello.
    pub fn size(&mut self, name: &str) -> io::Result<()> {
        match self.speaks {
            Speaks::Bare => self.hello(),
            Speaks::Text => self.ask(&format!("size {name}\n"), b"ok "),
        }
    }

    /// Removes a file.
    pub fn remove(&mut self, name: &str) -> io::Result<()> {
        match self.speaks {
            Speaks::Bare => self.ask(&format!("r {name}\n"), b""),
            Speaks::Text => self.ask(&format!("rm {name}\n"), b"ok removed "),
        }
    }

    /// Sends a small file: the whole request in one write, as `printf … | nc` would.
    pub fn upload(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let size = bytes.len();
        let head = match self.speaks {
            Speaks::Bare => format!("u {name} {size}\n"),
            Speaks::Text => format!("upload {name}\n{size}\n"),
        };
        self.stream.write_all(&[head.as_bytes(), bytes].concat())?;
        match self.speaks {
            Speaks::Bare => self.byte(),
            Speaks::Text => {
                self.line(b"ok ready")?;
                self.line(b"ok received ").map(drop)
            }
        }
    }

    /// Sends a file of this size: once it is bidden to, `send` writes what must stand in front of the
    /// bytes, and them.
    pub fn upload_by(
        &mut self,
        name: &str,
        size: u64,
        send: &mut dyn FnMut(&mut TcpStream, &str) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.speaks {
            Speaks::Bare => {
                self.ask(&format!("u {name} {size}\n"), b"")?;
                send(&mut self.stream, "")?;
                self.byte()
            }
            Speaks::Text => {
                self.ask(&format!("upload {name}\n"), b"ok ready")?;
                send(&mut self.stream, &format!("{size}\n"))?;
                self.line(b"ok received ").map(drop)
            }
        }
    }

    /// Gives back the memory that replies were read into.
    pub fn rest(&mut self) {
        self.buffer = Vec::new();
        self.held = 0;
    }

    /// Fetches a file of this size, and hands it to `sink` piece by piece.
    pub fn download(
        &mut self,
        name: &str,
        size: u64,
        sink: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.speaks {
            Speaks::Bare => self.stream.write_all(format!("d {name} {size}\n").as_bytes())?,
            Speaks::Text => {
                self.stream.write_all(format!("download {name}\n").as_bytes())?;
                self.line(format!("ok {size}").as_bytes())?;
            }
        }
        let mut left = size;
        while left > 0 {
            if self.held == 0 {
                self.more()?;
            }
            let n = usize::try_from(left).unwrap_or(usize::MAX).min(self.held);
            sink(&self.buffer[..n])?;
            self.drop_front(n);
            left -= n as u64;
        }
        Ok(())
    }

    /// Lists a folder, and counts what is in it.
    pub fn list(&mut self, folder: &str) -> io::Result<usize> {
        match self.speaks {
            Speaks::Bare => {
                self.stream.write_all(format!("l {folder}\n").as_bytes())?;
                let mut lines = 0;
                loop {
                    self.more()?;
                    let held = &self.buffer[..self.held];
                    let over = held.ends_with(b"\n.\n") || held == b".\n";
                    // The last byte stays, for a mark that comes in two pieces.
                    let keep = if over { 0 } else { self.held.min(3) };
                    let gone = self.held - keep;
                    lines += newlines(&held[..gone]);
                    self.drop_front(gone);
                    if over {
                        return Ok(lines - 1);
                    }
                }
            }
            Speaks::Text => {
                let space = if folder.is_empty() { "" } else { " " };
                self.stream.write_all(format!("ls{space}{folder}\n").as_bytes())?;
                let count = self.line(b"ok ")?;
                let count = count.parse().map_err(io::Error::other)?;
                let mut left = count + 1;
                loop {
                    left -= newlines(&self.buffer[..self.held]).min(left);
                    self.held = 0;
                    if left == 0 {
                        return Ok(count);
                    }
                    self.more()?;
                }
            }
        }
    }

    /// A request whose reply is a line or a byte.
    fn ask(&mut self, request: &str, reply: &[u8]) -> io::Result<()> {
        self.stream.write_all(request.as_bytes())?;
        match self.speaks {
            Speaks::Bare => self.byte(),
            Speaks::Text => self.line(reply).map(drop),
        }
    }

    fn byte(&mut self) -> io::Result<()> {
        if self.held == 0 {
            self.more()?;
        }
        self.drop_front(1);
        Ok(())
    }

    /// The next line, which must begin like this; gives what stands behind.
    fn line(&mut self, begin: &[u8]) -> io::Result<String> {
        loop {
            let held = &self.buffer[..self.held];
            if let Some(end) = held.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&held[..end]).into_owned();
                self.drop_front(end + 1);
                let begin = String::from_utf8_lossy(begin);
                return match line.strip_prefix(&*begin) {
                    Some(rest) => Ok(rest.to_owned()),
                    None => Err(failed(format!("the reply is {line:?} and not {begin:?}"))),
                };
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            self.buffer = vec![0; BUFFER];
        }
        if self.held == self.buffer.len() {
            return Err(failed("a line without an end"));
        }
        let n = self.stream.read(&mut self.buffer[self.held..])?;
        self.held += n;
        if n == 0 { Err(failed("the server closed the connection")) } else { Ok(()) }
    }

    fn drop_front(&mut self, n: usize) {
        self.buffer.copy_within(n..self.held, 0);
        self.held -= n;
    }
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}
