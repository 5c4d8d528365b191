//! The limits, times and sizes that a user or a peer can meet: one constant, one reason. What only tunes
//! one module is in that module.
//!
//! The first four have the names and the values that they have in the Python assignment; they are the
//! defaults of flags.

use std::time::Duration;

/// The default address: the server listens on it and the client connects to it.
pub const TCP_IP: &str = "127.0.0.1";

/// The default port of the `text` dialect.
pub const TCP_PORT: u16 = 1234;

/// How many bytes one read asks for where a message is expected; the default of `--buffer`.
pub const BUFFER_SIZE: usize = 1024;

/// The folder that the server keeps its files in; the default of `--root`.
pub const UPLOAD_FOLDER: &str = "uploads";

/// The ports of the other four dialects.
pub const STRUCT_PORT: u16 = 1235;
/// See [`STRUCT_PORT`].
pub const FILESAVER_PORT: u16 = 5050;
/// See [`STRUCT_PORT`].
pub const JSON_PORT: u16 = 31000;
/// See [`STRUCT_PORT`].
pub const COUNT_PORT: u16 = 12345;

/// The folder that the client puts received files in; the default of `--downloads`.
pub const DOWNLOAD_FOLDER: &str = "downloads";

/// The largest `--buffer`, `16M`: a larger read brings no more, and only holds memory.
pub const MAX_BUFFER: u64 = 16_000_000;

/// How many bytes of a payload one read asks for at first. A slow peer needs no more.
pub const PAYLOAD_READ: usize = 256 << 10;

/// The same at most, for a peer that fills what it is given: with more, it is not faster. The buffer exists for the
/// time of one transfer only.
pub const PAYLOAD_BUFFER: usize = 1 << 20;

/// Replies up to this size wait for the next flush, so that a header and a small file, or the replies to
/// several commands that came in one segment, leave in one write.
pub const SMALL_REPLY: usize = 16 << 10;

/// What one read asks for where a message is expected, once a peer has filled the buffer: requests and
/// small files that were sent together then come together.
pub const FULL_READ: usize = 4 << 10;

/// The longest request line, without its end mark. A path on any common system fits.
pub const LINE: usize = 4096;

/// The longest request of the `json` dialect, and the longest message of `count`.
pub const MESSAGE: usize = 64 << 10;

/// How deeply JSON values may be nested: the reader calls itself, and its stack has an end.
pub const JSON_DEPTH: usize = 32;

/// The longest part of a file name in bytes: what the common file systems can store.
pub const NAME_PART: usize = 255;

/// How many digits a size header may have: any number of 19 digits fits into 64 bits.
pub const SIZE_DIGITS: usize = 19;

/// The silence that ends a word where nothing else does. Much longer than a network delays a packet, and
/// shorter than a person waits. Windows takes every shorter timeout of a socket for half a second.
pub const WORD_PAUSE: Duration = Duration::from_millis(if cfg!(windows) { 500 } else { 100 });

/// How long `struct` waits between `received` and the seconds after it, so that a client that takes one
/// read for one message gets them in two.
pub const RECEIPT_PAUSE: Duration = Duration::from_millis(20);

/// How long `filesaver` and `json` wait between a file's head and its bytes, for the same reason.
pub const HEAD_PAUSE: Duration = Duration::from_millis(50);

/// How much of a refused payload is read and dropped to stay in step. Up to this size it is cheaper than
/// a new connection; a larger payload closes the connection.
pub const DRAIN: u64 = 1 << 20;

/// How much is still read, after the last reply, from a peer that goes on sending. A close with unread
/// bytes is a reset, and a reset can overtake the reply.
pub const CLOSE_BYTES: u64 = 64 << 20;

/// How long that goes on at most.
pub const CLOSE_TIME: Duration = Duration::from_secs(2);

/// A message that has begun must be complete within this time, however many reads it takes.
pub const MESSAGE_TIME: Duration = Duration::from_secs(30);

/// A payload that comes is in time if the peer is waited for no longer than this for each [`PAYLOAD_STEP`] of it.
/// After an interruption of the network TCP tries again after 1, 2, 4 seconds and so on: with 30 seconds here, an
/// interruption of 20 ended a transfer whose next try came after 32.
pub const PAYLOAD_WINDOW: Duration = Duration::from_secs(90);

/// The slowest payload that is accepted, in bytes a second: slower than a bad telephone line.
pub const PAYLOAD_RATE: u64 = 1024;

/// What that rate brings in a [`PAYLOAD_WINDOW`].
pub const PAYLOAD_STEP: u64 = PAYLOAD_RATE * PAYLOAD_WINDOW.as_secs();

/// How much a peer that reads has to take, or all that is left, in any [`READER_WINDOW`]. A system takes
/// more into its buffer in steps of this size, so a reader of 2 KiB a second is never disconnected.
pub const READER_STEP: u64 = 64 << 10;

/// See [`READER_STEP`].
pub const READER_WINDOW: Duration = Duration::from_secs(90);

/// How long one write may wait for the peer to read. After each such wait the pace is checked. On Windows it is
/// not known what a write has sent that waited in vain. So none is repeated there, and each has the time that
/// a step has.
pub const WRITE_WAIT: Duration = if cfg!(windows) { READER_WINDOW } else { Duration::from_secs(5) };

/// The silence between commands that ends a connection, in seconds; the default of `--idle-timeout`.
pub const IDLE_TIMEOUT: u64 = 300;

/// How long a client waits for a connection to be accepted.
pub const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How long a client waits for the first byte of a reply: for the same reason as [`PAYLOAD_WINDOW`].
pub const REPLY_TIME: Duration = Duration::from_secs(90);

/// How long a client waits for a sum, and for a download to continue: the server may have to read a large
/// file first, and others before it.
pub const SUM_TIME: Duration = Duration::from_secs(600);

/// The longest line that a client accepts from a server: a reply with a long name in it.
pub const REPLY_LINE: usize = 16 << 10;

/// How often a client tries a download again that was cut or refused as busy: the default of `--retry`. It
/// waits 1, 2, 4 seconds and so on before a try.
pub const RETRIES: u32 = 3;

/// How much of a client's memory a list from a server may take: its names and identities, and 64 bytes
/// for each entry. That is enough for half a million names of 30 bytes. While a block of memory grows it
/// can exist twice, so a client that is sent an endless list stays under 100 MB.
pub const LIST_MEMORY: usize = 47_000_000;

/// How much longer a list may take for each entry that has come: a round trip around the earth, because
/// `struct` has one for each entry.
pub const ENTRY_TIME: Duration = Duration::from_millis(300);

/// The default of `--max-connections`: more than a class needs.
pub const MAX_CONNECTIONS: usize = 256;

/// The default of `--max-per-address`: a whole classroom behind one router.
pub const MAX_PER_ADDRESS: usize = 64;

/// The longest line of the PROXY protocol, with its end mark.
pub const PROXY_LINE: usize = 107;

/// How long a connection may take to bring that line. A balancer sends it first, in one segment, and resends
/// it after one and three seconds if it is lost.
pub const PROXY_TIME: Duration = Duration::from_secs(5);

/// A list has to move [`READER_STEP`], or that many acknowledgements of 1 KiB each, or all that is left, in any
/// period of this length: it takes memory, and one of few places. 64 acknowledgements take 20 seconds on the way
/// around the earth, and after an outage of 20 seconds TCP has tried again. On Windows, where a write can wait for
/// longer, a peer that reads nothing is disconnected when that ends.
pub const LIST_WINDOW: Duration = Duration::from_secs(45);

/// Refused connections that stay open so that the peer can read why. One more is told, and closed at once. Each holds
/// a descriptor and a thread that accepted connections may need.
pub const MAX_REFUSALS: usize = 64;

/// The stack of a connection's thread. Only pages that are used take memory, and each of a thousand idle
/// connections used three. The rest is for safety: enough for every path through the store in an
/// unoptimised build, and for a JSON value nested as deep as it may be.
pub const STACK: usize = 256 << 10;

/// Threads that wait for the next connection after their own has ended. Each holds a stack of which two
/// or three pages are used.
pub const MAX_IDLE_THREADS: usize = 16;

/// How long a request waits for a lock that another process holds on a file in `.connme`. Our servers
/// hold one for some milliseconds.
pub const LOCK_WAIT: Duration = Duration::from_secs(2);

/// How much of a peer's text a log line or an error message shows.
pub const SHOWN: usize = 300;
