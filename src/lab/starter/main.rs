//! Starts the starter server: `cargo run --example starter -- PORT [FLAGS]`. Without cargo, `rustc main.rs`
//! makes a program of this file and the one beside it.
#![allow(clippy::print_stdout, reason = "its first line says where it listens")]

use std::net::TcpListener;
use std::path::Path;

#[path = "mod.rs"]
mod starter;

fn main() -> std::io::Result<()> {
    let mut words = std::env::args().skip(1);
    let port = words.next().unwrap_or("1234".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    println!("listening on {}", listener.local_addr()?);
    starter::serve(&listener, Path::new("uploads"), &words.collect::<Vec<_>>());
    Ok(())
}
