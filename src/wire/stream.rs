//! What a [`Wire`](crate::wire::Wire) needs of the stream below it: a socket, or a script in a test.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Expected;
use crate::limits;

/// Makes the stream for a wire out of a connected socket: the socket itself, or with instruments above
/// it. The address is the peer's, if it may differ from the socket's. The text is the name of the dialect.
pub type Prepare =
    Arc<dyn Fn(TcpStream, Option<SocketAddr>, &'static str) -> Box<dyn Stream> + Send + Sync>;

/// The socket itself.
pub fn plain() -> Prepare {
    Arc::new(|socket, _, _| Box::new(socket))
}

/// Sets the options that every socket of ours has.
///
/// # Errors
/// As the system says.
pub fn set_options(socket: &TcpStream) -> io::Result<()> {
    // Nagle's algorithm would hold a small reply back until the one before is acknowledged.
    socket.set_nodelay(true)?;
    socket.set_write_timeout(Some(limits::WRITE_WAIT))
}

/// A connection to a peer: bytes both ways, a bound on every wait, and a half-close.
pub trait Stream: Read + Write + Send {
    /// Sets how long the next reads may wait for a byte. A read that waited in vain fails with
    /// `WouldBlock` or `TimedOut`.
    ///
    /// # Errors
    /// As the system says.
    fn limit_wait(&mut self, longest: Duration) -> io::Result<()>;

    /// Reads what has arrived already. Where nothing has, it does not wait but fails with `WouldBlock`.
    ///
    /// # Errors
    /// As the system says.
    fn read_now(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.read(into)
    }

    /// Sends nothing for a while. Some old programs know a message by such a pause alone.
    fn pause(&mut self, time: Duration);

    /// Ends our direction: the peer reads an end, and may still speak.
    ///
    /// # Errors
    /// As the system says.
    fn end_writing(&mut self) -> io::Result<()>;

    /// Makes the next close a reset if it can. Returns whether it will be one.
    fn force_reset(&mut self) -> bool {
        false
    }

    /// Whether the end of the conversation has to be waited for: it is recorded, or something is held back.
    fn waits_for_end(&self) -> bool {
        false
    }

    /// Notes that the next read waits: what has come of a message, and what is expected. A socket has no
    /// use for it; a client tells its user.
    fn note_wait(&mut self, _got: &[u8], _expected: Expected) {}

    /// Notes that a message of this length is complete, or a part of one. It began with these bytes, and ended
    /// like this. A socket has no use for it; a trace shows it.
    fn note_message(&mut self, _bytes: &[u8], _length: u64, _end: Ending) {}
}

/// How a receiver knew where a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// At its LF.
    Lf,
    /// After the bytes that this kind of number always has, or that were announced for a name.
    Width,
    /// After as many bytes as a size announced.
    Size,
    /// Where its bytes alone said so.
    Word,
    /// At a mark after it.
    Mark,
    /// Where the peer fell silent.
    Pause,
    /// With the stream.
    Stream,
    /// It has not ended: this was a part of it.
    Part,
}

impl Stream for TcpStream {
    fn limit_wait(&mut self, longest: Duration) -> io::Result<()> {
        // Zero is refused with an error.
        self.set_read_timeout(Some(longest.max(Duration::from_millis(1))))
    }

    fn read_now(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.set_nonblocking(true)?;
        let brought = self.read(into);
        self.set_nonblocking(false)?;
        brought
    }

    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn end_writing(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    /// A socket that is closed while something in it is unread resets the connection. So this waits for
    /// the peer to send something, and leaves it unread.
    fn force_reset(&mut self) -> bool {
        let _ = self.set_read_timeout(Some(Duration::from_secs(1)));
        self.peek(&mut [0]).is_ok_and(|n| n > 0)
    }
}

/// Whether a read or a write has waited in vain.
pub(crate) fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
