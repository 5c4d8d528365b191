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

/// How many bytes one read asks for where a message is awaited; the default of `--buffer`.
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

/// How many bytes of a payload one read or write moves at most. Larger is slower: the buffer then no
/// longer fits into the processor's cache. It exists for the time of one transfer only.
pub const PAYLOAD_BUFFER: usize = 512 << 10;

/// What one read or write of a client moves at most: it has one transfer at a time, and the cache for
/// itself.
pub const CLIENT_PAYLOAD_BUFFER: usize = 1 << 20;

/// What the first write of a payload moves at most. The writes grow as long as the line takes them at once.
/// So a slow line shows progress often.
pub const FIRST_WRITE: usize = 64 << 10;

/// A write that takes longer than this is not followed by a larger one.
pub const QUICK_WRITE: Duration = Duration::from_millis(50);

/// Replies up to this size wait for the next flush, so that a header and a small file, or the replies to
/// several commands that came in one segment, leave in one write.
pub const SMALL_REPLY: usize = 16 << 10;

/// What one read asks for where a message is awaited, once a peer has filled the buffer: requests and
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

/// A payload that comes must keep [`PAYLOAD_RATE`] on average over any period of this length. After a line
/// was interrupted, TCP tries again after 1, 2, 4 seconds and so on: with 30 seconds, an interruption of 20
/// ended a transfer whose next try came after 32.
pub const PAYLOAD_WINDOW: Duration = Duration::from_secs(90);

/// The slowest payload that is accepted, in bytes a second: slower than a bad telephone line.
pub const PAYLOAD_RATE: u64 = 1024;

/// How much a peer that reads has to take, or all that is left, in any [`READER_WINDOW`]. A system takes
/// more into its buffer in steps of this size, so a reader of 2 KiB a second is never disconnected.
pub const READER_STEP: u64 = 64 << 10;

/// See [`READER_STEP`].
pub const READER_WINDOW: Duration = Duration::from_secs(90);

/// How long one write may wait for the peer to read. After each such wait the pace is checked. On Windows it is
/// not known what a write has sent that waited in vain. So none is repeated there, and each has the time that
/// a step has.
pub const WRITE_WAIT: Duration = if cfg!(windows) { READER_WINDOW } else { Duration::from_secs(5) };

/// What one write moves at most where it is not repeated: what a reader has to take in the time that it has.
pub const SINGLE_WRITE: usize = 64 << 10;

/// The silence between commands that ends a connection, in seconds; the default of `--idle-timeout`.
pub const IDLE_TIMEOUT: u64 = 300;

/// The longest line of commands that a client reads, where no terminal has a limit of its own.
pub const TYPED_LINE: u64 = 256 << 10;

/// How long a client waits for a connection to be accepted.
pub const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How long a client waits for the first byte of a reply: for the same reason as [`PAYLOAD_WINDOW`].
pub const REPLY_TIME: Duration = Duration::from_secs(90);

/// How long a client waits for a sum, and for a download to continue: the server may have to read a large
/// file first, and others before it.
pub const SUM_TIME: Duration = Duration::from_secs(600);

/// After an upload, the client waits for the receipt longer by twice the time that its last bytes took to
/// write, this many. They can all be on their way when the last one has been written.
pub const RECEIPT_TAIL: u64 = 8 << 20;

/// How long a client waits for a reply before it reports, once and to a terminal only, what has come so
/// far. A person who sees nothing for longer thinks that the program hangs.
pub const NOTICE_TIME: Duration = Duration::from_secs(3);

/// The longest line that a client accepts from a server: a reply with a long name in it.
pub const REPLY_LINE: usize = 16 << 10;

/// How often a client tries a download again that was cut or refused as busy: the default of `--retry`. It
/// waits 1, 2, 4 seconds and so on before a try.
pub const RETRIES: u32 = 3;

/// The longest of these pauses.
pub const RETRY_PAUSE: Duration = Duration::from_secs(60);

/// How deep a client follows the folders of a server with `-r`: a server could make them without an end.
pub const DEPTH: usize = 32;

/// How long a client keeps what has come of a download that was cut.
pub const KEPT_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// More than this is not compared with the server without a word: it takes a second on a slow machine.
pub const SILENT_CHECK: u64 = 50_000_000;

/// Less is not kept: to receive it again takes hardly longer than to ask for the rest.
pub const KEPT_SIZE: u64 = 64 << 10;

/// How many lines of a server's help a client reads.
pub const HELP_LINES: u64 = 1000;

/// How many bytes of requests for downloads, or of replies to uploads, a client has under way that it sends
/// ahead. The buffers of every system take that much, so that its writes never wait for a server whose
/// replies wait for the client. The standard library can neither ask for their size nor set it.
pub const AHEAD: usize = 16 << 10;

/// A larger file is not sent before the server accepts it, and takes part of it to be refused in step.
pub const AHEAD_FILE: u64 = 64 << 10;

/// How many bytes of files a client has under way that the server has not accepted yet: all of it is lost if the
/// first one is refused.
pub const AHEAD_PAYLOAD: u64 = 1 << 20;

/// How much of a client's memory a list from a server may take: its names and identities, and 64 bytes
/// for each entry. That is enough for half a million names of 30 bytes. While a block of memory grows it
/// can exist twice, so a client that is sent an endless list stays under 100 MB.
pub const LIST_MEMORY: usize = 47_000_000;

/// How much longer a list may take for each entry that has come: a round trip around the earth, because
/// `struct` has one for each entry.
pub const ENTRY_TIME: Duration = Duration::from_millis(300);

/// How long a client of `struct` waits at least for `received` before it asks whether the upload was
/// refused. It adds twice the time that sending took, and the time of [`RECEIPT_RATE`].
pub const RECEIPT_TIME: Duration = Duration::from_secs(2);

/// How many bytes a second a server of `struct` reads at least. A client has sent a payload when its
/// system has taken it, and a slow server, or one on a slow line, then still has to read it.
pub const RECEIPT_RATE: u64 = 64 << 10;

/// How much of a payload can be on its way when all of it has been written: systems buffer less. The
/// client allows time for no more than this, so that a refused file of 2 GiB is known after minutes, not
/// hours.
pub const RECEIPT_BUFFERED: u64 = 16 << 20;

/// The default of `--max-connections`: more than a class needs.
pub const MAX_CONNECTIONS: usize = 256;

/// The default of `--max-per-address`: a whole classroom behind one router.
pub const MAX_PER_ADDRESS: usize = 64;

/// The longest line of the PROXY protocol, with its end mark.
pub const PROXY_LINE: usize = 107;

/// How long a connection may take to bring that line. A balancer sends it first, in one segment, and resends
/// it after one and three seconds if it is lost.
pub const PROXY_TIME: Duration = Duration::from_secs(5);

/// The memory that all lists together may take while they are sent. A list that is alone may be larger.
pub const LISTS_HELD: usize = 32 << 20;

/// How long a list waits until there is memory for it.
pub const LIST_WAIT: Duration = Duration::from_secs(15);

/// While other lists wait, one that is being sent has to move this many KiB, or nods, in every
/// [`LIST_TIME`], or its peer is disconnected.
pub const LIST_STEPS: usize = 64;

/// See [`LIST_STEPS`]. On Windows, where a write can wait for longer, a peer that reads nothing is disconnected
/// when that ends.
pub const LIST_TIME: Duration = Duration::from_secs(5);

/// How many sums of files a server computes at once. Each takes a processor and a disk, and a request that
/// waits for its turn is not timed out.
pub const SUMS: usize = 2;

/// Refused connections that stay open so that the peer can read why; when one more comes, the oldest is
/// closed. Each holds a descriptor that accepted connections may need.
pub const MAX_REFUSALS: usize = 128;

/// The stack of a connection's thread. Only pages that are used take memory, and each of a thousand idle
/// connections used three. The rest is for safety: enough for every path through the store in an
/// unoptimised build, and for a JSON value nested as deep as it may be.
pub const STACK: usize = 256 << 10;

/// Threads that wait for the next connection after their own has ended. Each holds a stack of which two
/// or three pages are used.
pub const MAX_IDLE_THREADS: usize = 16;

/// How long they wait for it.
pub const IDLE_THREAD_TIME: Duration = Duration::from_secs(10);

/// How long the accept loop pauses after a failed accept, so that a full descriptor table does not cause
/// a busy loop.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a request waits for a lock that another process holds on a file in `.connme`. Our servers
/// hold one for some milliseconds.
pub const LOCK_WAIT: Duration = Duration::from_secs(2);

/// How long a start waits for the start of another server, which removes what dead servers left.
pub const START_WAIT: Duration = Duration::from_secs(30);

/// How often such a lock is tried: the standard library has no lock with a deadline.
pub const LOCK_POLL: Duration = Duration::from_millis(2);

/// Log lines that wait to be written, in bytes: those of a second under full load. Lines that do not fit
/// are dropped.
pub const LOG_QUEUE: usize = 1 << 20;

/// How long the thread that writes log lines pauses after a write, so that lines that come fast are
/// written together.
pub const LOG_PAUSE: Duration = Duration::from_millis(1);

/// How often it checks whether the file of `--log` has been moved away.
pub const LOG_LOOK: Duration = Duration::from_millis(500);

/// How long the end of the program waits for its last lines to be written.
pub const LAST_LINES: Duration = Duration::from_secs(1);

/// At most one log line in this time about a condition that lasts.
pub const LASTING: Duration = Duration::from_secs(5);

/// How much of a peer's text a log line or an error message shows.
pub const SHOWN: usize = 300;
