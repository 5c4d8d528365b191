//! How files travel over TCP: a small file server and its client, to teach with.
//!
//! The path of an upload, from the socket to the disk. Begin with the page [`guide::assignment`], which is
//! `src/guide/assignment.md`: it puts each function of a first server in Python beside ours, from `accept` on. For an upload,
//! leave out what it says about `ls`, `size`, `rm` and `download`: the rest takes some 20 minutes. Then read the functions
//! with a `*`, and the types above them, in about an hour. The types that they name besides are `Done` and `ConnectionLog` in
//! `log.rs`, `Error` in `error/mod.rs`, `Pace` in `wire/pace.rs` and `Input` in `wire/input.rs`. If the first rows seem far
//! from the file, begin with `handle_upload`.
//!
//! ```text
//! * Server::accept           server/mod.rs        a connection comes
//! *   hand_over              server/mod.rs        gets a permit and a thread for it, or refuses the client
//!       Permits::take        server/permits.rs    a permit
//!       give_thread          server/threads.rs    a thread
//! *   serve, converse        server/mod.rs        in that thread: its conversation, and how that ends
//! *     text::handle_client  dialect/text.rs      one command after the other
//!         Wire::read_line    wire/message.rs      the command
//!           read_once        wire/mod.rs          sends the replies that wait, then reads once
//! *       handle_upload      dialect/text.rs
//! *         FileName::parse, broken_rule  store/name.rs  the name is checked
//! *         Store::begin     store/incoming.rs    what has that name on the disk is checked too
//! *           path_of, walk  store/mod.rs         the way to it leads through real folders
//! *           draft          store/mod.rs         a hidden file is made in the server's own folder
//!               new_draft    store/workspace.rs   the file is created
//! *         read_size        dialect/text.rs      the size
//! *         expect_payload   wire/payload.rs      that many bytes are owed from now on
//!           must_have_room   store/incoming.rs    do the limits allow that many?
//! *         read_payload     wire/payload.rs      they come piece by piece
//! *           read_piece     wire/payload.rs      one read; an end before the last byte is an error
//! *           Incoming::write  store/incoming.rs  are the limits kept?
//! *             Draft::write  store/workspace.rs  the piece goes into the hidden file
//! *         publish          store/incoming.rs    the whole file gets its name
//! *           finish         store/workspace.rs   it is flushed to the disk, with `--fsync` alone, and closed
//! *           take_first_free  store/numbers.rs  a.txt, or a_1.txt and so on
//! *             publish_as   store/workspace.rs   a hard link, which fails if the name is taken
//! *           Draft::drop    store/workspace.rs   the hidden name goes
//! *       refuse             dialect/text.rs      or, after an error, an error line goes out
//! *         drop_owed_payload  wire/mod.rs        before that, what still comes of the file is thrown away
//! *       Wire::end_reply    wire/mod.rs          the reply is sent, if no further request has come
//!         ConnectionLog::command  log.rs          the log has its line
//!       close_and_wait       wire/mod.rs          the last reply has time to arrive before the connection ends
//! ```
//!
//! With all that they call, some 110 functions run. To know:
//! - In `wire/input.rs`, `held` is what was read and not yet taken, and `skip` drops it. For `read_line`, `find` looks in it,
//!   and `fill` reads once.
//! - In `store/numbers.rs`, `next` gives 1, 2, 3, 4, and then uses a hint, which `change_folder` keeps valid.
//! - Without `--max-total-size`, `share` is `None`. `Wire::network` is for lists and sums.
//! - What `ConnectionLog::command` hands to `line`, another thread writes.
//! - `note_wait`, `note_message` and `Ending` are for a trace.
//!
//! Words that have one meaning here:
//! - A *message* is one thing that a side says: a line, a number, a word. A *payload* is the bytes of a file; a trace shows
//!   it as a message too.
//! - A payload that was announced is *owed*: nothing else is read before it has come. Two sides are *in step* while both
//!   know what comes next.
//! - An [`error::Error`] may *close* the connection (`and_close`), or say that the peer is *gone*: then it gets no reply.
//!   With `with_partial` it keeps what was expected, and how much of that had come, for the log.
//! - A *workspace* is a server's own folder for drafts. A *draft* is a file under its hidden name, a *share* is its part of
//!   the room for all files.
//! - A *pace* is how much has to move in a time, a *permit* is the right to be connected, a *place* the right to ask for
//!   long work.
//! - `lock(&m)` is `m.lock()`, but ignores an earlier panic. `op(f)` is `f()`, which a test can make fail.
//!
//! The rest of this page can wait. The modules:
//!
//! | module | what it is for | calls |
//! |---|---|---|
//! | `bin` | the three programs: read the flags, open ports and folders, put instruments in between, run | everything |
//! | [`server`] | accepts, limits, a thread for each connection | `dialect` `wire` `store` `log` `error` `limits` |
//! | [`dialect`] | the five conversations, a file each, both halves; begin with [`dialect::text`] | `wire` `store` `sha256` `log` `error` `lang` `limits` |
//! | [`wire`] | bytes to messages and back | `error` `limits` |
//! | [`store`] | the folder of files, and every promise about it | `sha256` `log` `error` `limits` |
//! | [`client`] | what a user can do, and what a user sees of it | `dialect` `wire` `store` `sha256` `log` `lang` `error` `limits` |
//! | [`log`] | the server's log lines | `lang` `error` `limits` |
//! | [`error`] | what was tried, on what, why it failed, and the code for the peer | `lang` `limits` |
//! | [`sha256`] | the sum of some bytes, as other programs compute it too | nothing |
//! | [`lang`] | a sentence in two languages, and a peer's bytes made fit to print | `limits` |
//! | [`limits`] | the limits that a user or a peer can meet, with their reasons | nothing |
//! | [`cli`] | the command lines of server and client | `client` `dialect` `store` `lang` `limits` |
//! | [`lab`] | what a lecture adds: instruments, demo, comparison, lessons, the grader, a starter, five shapes of a server | `cli` `server` `client` `dialect` `wire` `store` `sha256` `log` `lang` `error` `limits` |
//! | [`guide`] | the pages beside the README, for rustdoc and for the code host | nothing |
//!
//! What is deliberately absent, and stays so because a test or a lint looks for it:
//! - `wire` knows no dialect, `store` knows no wire, and a dialect knows no socket, no file system and
//!   no terminal. No module and no file calls one that calls it, but for a folder's `mod.rs` and its files.
//! - Only the programs in `bin` name the lab. A reader of server and client meets the hooks for it alone:
//!   [`wire::stream::Prepare`], what a [`wire::stream::Stream`] may note or wait for, [`log::Log::trace`], and the end of
//!   `accept` in a demo.
//! - Files are opened by `store`, `client`, `lab` and the log alone; connections are made by `server`, `client`,
//!   `lab` and the programs alone.
//! - Standard output belongs to the prompt, the programs and the lab; standard error to these and the log.
//! - No `unsafe`, no dependency, and nothing that a peer, a file name or a full disk can make panic.

pub mod cli;
pub mod client;
pub mod dialect;
pub mod error;
pub mod guide;
pub mod lab;
pub mod lang;
pub mod limits;
pub mod log;
pub mod server;
pub mod sha256;
pub mod store;
pub mod wire;

#[cfg(test)]
#[path = "../tests/it/random.rs"]
mod random;
