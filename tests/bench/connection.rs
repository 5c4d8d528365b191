//! The client that drives all servers alike, in the `text` dialect. It checks that each command
//! succeeded, and nothing else.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use crate::bare::copy;
use crate::failed;

/// How many bytes one read takes at most.
const BUFFER: usize = 1 << 20;

/// A server that does not read or answer for this long has failed.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How many bytes of an upload share a write with the size header.
const FIRST_PIECE: usize = 8 << 10;

/// What uploads send, again and again. Most processors have smaller caches, so that it comes from
/// memory, as a file does.
pub static PAYLOAD: LazyLock<Vec<u8>> = LazyLock::new(|| vec![7; 16 << 20]);

/// One connection to a server.
pub struct Connection {
    pub stream: BufReader<TcpStream>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Connection { stream: BufReader::with_capacity(BUFFER, stream) })
    }

    /// Sends a command and reads the line that answers it.
    pub fn ask(&mut self, command: &str, reply: &str) -> io::Result<()> {
        self.write(format!("{command}\n").as_bytes())?;
        self.expect(reply)
    }

    /// Reads a line, which must begin with `start`.
    pub fn expect(&mut self, start: &str) -> io::Result<()> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let error = || Err(failed(format!("expected {start:?}, got {line:?}")));
        if line.starts_with(start) { Ok(()) } else { error() }
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Waits for `ok ready`, then sends a file of this size.
    pub fn upload(&mut self, name: &str, size: usize) -> io::Result<()> {
        self.ask(&format!("upload {name}"), "ok ready")?;
        let mut first = format!("{size}\n").into_bytes();
        first.extend(&PAYLOAD[..size.min(FIRST_PIECE)]);
        self.write(&first)?;
        let mut left = size.saturating_sub(FIRST_PIECE);
        while left > 0 {
            let n = left.min(PAYLOAD.len());
            self.write(&PAYLOAD[..n])?;
            left -= n;
        }
        self.expect("ok received ")
    }

    /// Sends a small file without waiting for `ok ready`: the whole request in one write, as
    /// `printf … | nc` does.
    pub fn upload_small(&mut self, name: &str, size: usize) -> io::Result<()> {
        let mut request = format!("upload {name}\n{size}\n").into_bytes();
        request.extend(&PAYLOAD[..size]);
        self.write(&request)?;
        self.expect("ok ready")?;
        self.expect("ok received ")
    }

    /// Fetches a file of this size into `file`.
    pub fn download(&mut self, name: &str, size: usize, file: &mut impl Write) -> io::Result<()> {
        self.ask(&format!("download {name}"), &format!("ok {size}\n"))?;
        copy(&mut self.stream, file, size)
    }

    pub fn remove(&mut self, name: &str) -> io::Result<()> {
        self.ask(&format!("rm {name}"), "ok removed ")
    }

    /// Lists a folder with this number of files.
    pub fn list(&mut self, folder: &str, files: usize) -> io::Result<()> {
        self.ask(&format!("ls {folder}"), &format!("ok {files}\n"))?;
        // One line for each file, and one for the total.
        for _ in 0..=files {
            if self.stream.skip_until(b'\n')? == 0 {
                return Err(failed("the list is not complete"));
            }
        }
        Ok(())
    }
}
