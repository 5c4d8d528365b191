//! How files travel over TCP: a small file server and its client, to teach with.
//!
//! The modules in reading order, each with those that it may call:
//!
//! | module | what it is for | calls |
//! |---|---|---|
//! | [`limits`] | every cap, time and size, with its reason | nothing |
//! | [`error`] | what was tried, on what, why it failed, and the wire's word for it | nothing |
//! | [`stream`] | what a wire needs of a socket, and a script that plays one in tests | nothing |
//! | [`screen`] | how wide the terminal is | nothing |
//! | [`trace`] | every read and write on a socket, as a ladder | `stream`, `screen` |
//! | [`stammer`] | an adversary between a program and its socket | `stream` |
//! | [`lens`] | which of the two stand over a socket | `trace`, `stammer` |
//! | [`wire`] | bytes to messages and back | `stream` |
//! | [`dialect`] | the conversations, a file each, both halves | `wire`, `store`, `log` |
//! | [`store`] | the folder of files, and every promise about it | `disk`, `log` |
//! | `fuzz` | random peers against everything, in tests only | everything |
//! | `disk` | the gate of every file operation, where tests put faults | nothing |
//! | [`server`] | accepts, limits, a thread a connection | `dialect`, `wire`, `store`, `log`, `lens` |
//! | [`client`] | what a user can do, and what a user sees of it | `dialect`, `wire`, `store`, `lens`, `lang` |
//! | [`log`] | the server's lines, and what makes a peer's bytes printable | nothing |
//! | [`args`] | command lines to configurations | `lang` |
//! | [`lessons`] | eleven exercises, run by the tests | nothing |
//! | [`lang`] | every sentence that a person reads | nothing |
//!
//! Everything may use `limits` and `error`. The two programs in `src/bin` join the ends.
//!
//! What is deliberately absent, and stays so because a test or a lint looks for it:
//! - `wire` knows no dialect, `store` knows no wire, a dialect knows no socket, no file system and no
//!   terminal.
//! - Files are touched by `store`, `client` and the log alone (`screen` opens the terminal);
//!   connections are made by `server`, `client` and the programs alone.
//! - Standard output belongs to the prompt and the programs, standard error to the log, the trace and
//!   to them.
//! - No `unsafe`, no dependency, and nothing that a peer, a file name or a full disk can make panic.

pub mod args;
pub mod client;
pub mod dialect;
mod disk;
pub mod error;
#[cfg(test)]
mod fuzz;
pub mod lang;
pub mod lens;
pub mod lessons;
pub mod limits;
pub mod log;
pub mod screen;
pub mod server;
pub mod stammer;
pub mod store;
pub mod stream;
pub mod trace;
pub mod wire;
