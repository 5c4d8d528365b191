//! The tests from outside: the real programs, on free ports, over temporary folders.
//!
//! - [`text`]: the text dialect in bytes; its rules, its transcripts, its two halves in step.
//! - [`strukt`], [`filesaver`], [`json`], [`count`]: the same for each sibling dialect.
//! - [`siblings`]: what they have in common: one store, one client, Python peers.
//! - [`hostile`]: names that no client should send, through every command.
//! - [`store`]: many at once, kills, leftovers; what the store promises.
//! - [`sturdy`]: load, faults of the system, attack.
//! - [`absent`]: peers that send or read almost nothing.
//! - [`proxy`]: the line of a load balancer, and the real balancers of the guide.
//! - [`address`]: a file of connme-server's own, which has its tests in it.
//! - [`cli`]: both programs as a user meets them: flags, results, failures, exit statuses.
//! - [`sessions`]: the same as transcripts, which the tests inside the crate play too.
//! - [`architectures`]: one server in five shapes, and what a slow client does to each.
//! - [`capture`]: what is written for Wireshark, and what explains it there.
//! - [`lecture`]: the trace, the adversary, the comparison, the lessons.
//! - [`grade`], [`grade_server`]: the grader against a server with every flaw, and what makes the flaws.
//! - [`grade_client`], [`flawed_client`], [`flawed_siblings`]: the grader against clients, right ones and others.
//! - [`liar`]: the client against servers that say too much.
//! - [`tidy`]: the rules of this repository that a program can check.
//! - [`random`]: numbers that are the same in each run.
//! - [`support`]: a server that ends with its test, a peer that speaks in bytes.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stderr,
    reason = "a test that cannot go on should say so at once"
)]

mod absent;
#[path = "../../src/bin/address.rs"]
mod address;
mod architectures;
mod capture;
mod cli;
mod count;
mod filesaver;
mod flawed_client;
mod flawed_siblings;
mod grade;
mod grade_client;
mod grade_server;
mod hostile;
mod json;
mod lecture;
mod liar;
mod lines;
#[cfg(target_os = "linux")]
mod prompt;
mod proxy;
mod random;
mod sessions;
mod siblings;
mod store;
mod strukt;
mod sturdy;
mod support;
mod text;
mod tidy;
