//! Every fixed limit, time and size of the two programs: one constant, one reason.
//!
//! The first four have the names and the values that they have in the Python assignment; they are
//! the defaults of flags.

use std::time::Duration;

/// The address that the server listens on and the client connects to, if no other is said.
pub const TCP_IP: &str = "127.0.0.1";

/// The port of the `text` dialect, if no other is said.
pub const TCP_PORT: u16 = 1234;

/// The ports of the sibling assignments.
pub const STRUCT_PORT: u16 = 1235;
/// See [`STRUCT_PORT`].
pub const FILESAVER_PORT: u16 = 5050;
/// See [`STRUCT_PORT`].
pub const JSON_PORT: u16 = 31000;
/// See [`STRUCT_PORT`].
pub const COUNT_PORT: u16 = 12345;

/// How many bytes one read asks for where a message is awaited, if `--buffer` does not say.
pub const BUFFER_SIZE: usize = 1024;

/// The folder that the server keeps its files in, if `--root` does not say.
pub const UPLOAD_FOLDER: &str = "uploads";

/// The folder that the client puts received files in, if `--downloads` does not say.
pub const DOWNLOAD_FOLDER: &str = "downloads";

/// The largest `--buffer`: beyond it a read brings no more, and memory is only held.
pub const MAX_BUFFER: u64 = 16 << 20;

/// How many bytes of a payload one read or write moves at most. Larger is slower: the buffer then
/// no longer fits the processor's cache. It is held for the time of one transfer only.
pub const PAYLOAD_BUFFER: usize = 512 << 10;

/// The same for a client, which has only one transfer at a time and the cache for itself.
pub const LONE_BUFFER: usize = 1 << 20;

/// Replies up to this size wait for the next flush, so that a header and a small file, or the
/// replies to several commands that came in one segment, leave in one write.
pub const SMALL_REPLY: usize = 16 << 10;

/// What one read asks for where a message is awaited, once a peer has filled the buffer: requests and
/// small files that were sent together then come together.
pub const SMALL_FILE: usize = 4 << 10;

/// The longest request line, without its end mark. A path on any common system fits.
pub const LINE: usize = 4096;

/// The longest request of the `json` dialect, and the longest message of `count`.
pub const MESSAGE: usize = 64 << 10;

/// The silence that ends a word where nothing else does. Much longer than a network holds a packet
/// back, and shorter than a person waits.
pub const WORD_PAUSE: Duration = Duration::from_millis(100);

/// How long `struct` waits between a receipt and the seconds behind it, so that a client that takes
/// one read for one message finds them in two.
pub const RECEIPT_PAUSE: Duration = Duration::from_millis(20);

/// How long `filesaver` and `json` wait between a file's head and its bytes, for the same reason.
pub const HEAD_PAUSE: Duration = Duration::from_millis(50);

/// The longest line that a client believes from a server: a reply with a long name in it.
pub const REPLY_LINE: usize = 16 << 10;

/// What a list from a server may take of a client's memory: its names and identities, and 64 bytes for
/// each entry. That is room for half a million names of 30 bytes. While a block of memory grows it can
/// exist twice, so a client that is sent a list without end stays under 100 MB.
pub const LIST_MEMORY: usize = 47_000_000;

/// How much longer a list may take for each entry that has come: a round trip around the earth, because
/// `struct` has one for each entry.
pub const ENTRY_TIME: Duration = Duration::from_millis(300);

/// How long a request waits for a lock that another process holds on a file in `.connme`. Ours hold one for
/// some milliseconds.
pub const LOCK_WAIT: Duration = Duration::from_secs(2);

/// How long a start waits for another server's start, which clears what dead servers left.
pub const START_WAIT: Duration = Duration::from_secs(30);

/// How often such a lock is tried: the standard library has no lock with a deadline.
pub const LOCK_POLL: Duration = Duration::from_millis(2);

/// The longest part of a file name in bytes: what the common file systems can store.
pub const NAME_PART: usize = 255;

/// How many digits a size header may have: 19 nines are the most that 64 bits surely hold.
pub const SIZE_DIGITS: usize = 19;

/// How much of a refused payload is read and thrown away to stay in step. Up to this much it is
/// cheaper than a new connection; beyond it the connection is closed instead.
pub const DRAIN: u64 = 1 << 20;

/// How much is still read, after the last reply, from a peer that goes on sending. A close with
/// unread bytes is a reset on the wire, and a reset can overtake the reply.
pub const FAREWELL_BYTES: u64 = 64 << 20;

/// How long that goes on at most.
pub const FAREWELL_TIME: Duration = Duration::from_secs(2);

/// A message that has begun must be complete within this time, however many reads it takes.
pub const MESSAGE_TIME: Duration = Duration::from_secs(30);

/// A payload that comes must keep [`PAYLOAD_RATE`] on average over any stretch of this length.
pub const PAYLOAD_WINDOW: Duration = Duration::from_secs(30);

/// The slowest payload that is waited for, in bytes a second: a bad telephone line, not a tease.
pub const PAYLOAD_RATE: u64 = 1024;

/// What a peer that reads has to take, or all that is left, in any [`READER_WINDOW`]: the step in which a
/// system takes more into its buffer, so that a reader of 2 KiB a second is never cut.
pub const READER_STEP: u64 = 64 << 10;

/// See [`READER_STEP`].
pub const READER_WINDOW: Duration = Duration::from_secs(90);

/// How long one write may wait for the peer to read. After each such wait the pace is looked at.
pub const WRITE_WAIT: Duration = Duration::from_secs(5);

/// Silence between commands that ends a connection, if `--idle-timeout` does not say, in seconds.
pub const IDLE_TIMEOUT: u64 = 300;

/// How long a client waits for the first byte of a reply: a large upload may have to reach a slow
/// disk first.
pub const REPLY_TIME: Duration = Duration::from_secs(60);

/// How long a client waits for a reply before it says, once and to a terminal only, what has come so
/// far. A person who sees nothing for longer thinks that the program hangs.
pub const NOTICE_TIME: Duration = Duration::from_secs(3);

/// How long a client of `struct` waits at least for `received` before it asks whether the upload was refused.
/// To this it adds twice the time that sending took, and the time of [`RECEIPT_RATE`].
pub const RECEIPT_TIME: Duration = Duration::from_secs(2);

/// How many bytes a second a server of `struct` reads at least. A client has sent a payload when its system
/// has taken it, and a slow server, or one behind a slow line, then still has to read it.
pub const RECEIPT_RATE: u64 = 64 << 10;

/// How much of a payload can be on its way when all of it has been written: systems buffer less. The client
/// allows time for no more than this, so that a refused file of 2 GiB is known after minutes, not hours.
pub const RECEIPT_BUFFERED: u64 = 16 << 20;

/// How long a client waits for a connection to be accepted.
pub const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Connections served at once, if `--max-connections` does not say: a class with room to spare.
pub const MAX_CONNECTIONS: usize = 256;

/// Connections from one address, if `--max-per-address` does not say: a whole room behind one router.
pub const MAX_PER_ADDRESS: usize = 64;

/// How long a server that is asked to end waits for what is in flight.
pub const ENDING_TIME: Duration = Duration::from_secs(10);

/// What all lists together may hold in memory while they are sent. A list that is alone may be larger.
pub const LISTS_HELD: usize = 32 << 20;

/// How long a list waits for room among them.
pub const LIST_WAIT: Duration = Duration::from_secs(15);

/// While lists wait, one that is being sent has to move so many KiB, or nods, in every [`WRITE_WAIT`], or
/// gives way.
pub const LIST_STEPS: usize = 64;

/// Connections that were turned away and are still being told so; when one more comes, the oldest is
/// closed. Each holds a descriptor that those who were let in may need.
pub const MAX_FAREWELLS: usize = 128;

/// The stack of a connection's thread. Only pages that are touched cost memory, and a thousand idle
/// connections touched three each, so the rest is safety and not weight: room for every path through
/// the store in an unoptimised build, and for a JSON value nested as deep as it may be.
pub const STACK: usize = 256 << 10;

/// Threads that wait for the next connection after their own has ended. Each holds a stack of which two
/// or three pages are in use.
pub const MAX_WAITING: usize = 16;

/// How long they wait for it.
pub const WAITING_TIME: Duration = Duration::from_secs(10);

/// How long the accept loop rests after a failed accept, so that a full descriptor table does not
/// turn into a busy loop.
pub const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Log lines that wait to be written, in bytes: a second's lines under full load. What comes while they are
/// not read is dropped.
pub const LOG_QUEUE: usize = 1 << 20;

/// How long the thread that writes log lines rests after a write: lines that come fast are written together.
pub const LOG_REST: Duration = Duration::from_millis(1);

/// How often it looks whether the file of `--log` has been moved away.
pub const LOG_LOOK: Duration = Duration::from_millis(500);

/// How long the end of the program waits for its last lines to be written.
pub const LAST_LINES: Duration = Duration::from_secs(1);

/// At most one log line in this time about a condition that lasts.
pub const LASTING: Duration = Duration::from_secs(5);

/// How much of a peer's text a log line or an error message shows.
pub const SHOWN: usize = 300;
