//! A server as one writes it first: the assignment, translated plainly. To be improved with the help of
//! `connme-lab grade`; the guide's page `write_your_own` says how to go on.
//!
//! Run it with `cargo run --example starter -- PORT`. The same in Python is `server.py`, beside this file, and
//! `client.py` is a client like that.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "it is to be improved by its readers"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

const BUFFER_SIZE: usize = 1024;

/// Serves the files in a folder, each connection in a thread. A lesson passes a flag: `--max-file-size N` refuses
/// larger files.
pub fn serve(listener: &TcpListener, folder: &Path, flags: &[String]) {
    let most = flags.iter().skip_while(|flag| *flag != "--max-file-size").nth(1);
    let most = most.map_or(usize::MAX, |most| most.parse().unwrap());
    fs::create_dir_all(folder).unwrap();
    while let Ok((stream, _)) = listener.accept() {
        let folder = folder.to_owned();
        thread::spawn(move || handle_client(stream, &folder, most));
    }
}

fn handle_client(mut stream: TcpStream, folder: &Path, most: usize) {
    loop {
        let request = String::from_utf8(receive(&mut stream)).unwrap();
        let mut words = request.split_whitespace();
        let command = words.next().unwrap_or_default();
        let name = words.next().unwrap_or_default();
        match command {
            "connme" => send(&mut stream, "ok connected\n"),
            "ls" => list_files(&mut stream, folder),
            "size" => get_size(&mut stream, &folder.join(name)),
            "rm" => delete(&mut stream, &folder.join(name), name),
            "download" => download(&mut stream, &folder.join(name)),
            "upload" => {
                if !upload(&mut stream, folder, name, most) {
                    break;
                }
            }
            "byebye" => {
                send(&mut stream, "ok byebye\n");
                break;
            }
            "" => break,
            _ => send(&mut stream, "error unknown-command no such command\n"),
        }
    }
}

fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut buffer = [0; BUFFER_SIZE];
    let count = stream.read(&mut buffer).unwrap();
    buffer[..count].to_vec()
}

fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
}

fn list_files(stream: &mut TcpStream, folder: &Path) {
    let mut lines = String::new();
    let (mut count, mut total) = (0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let size = entry.metadata().unwrap().len();
        lines += &format!("file {size} {}\n", entry.file_name().display());
        count += 1;
        total += size;
    }
    send(stream, &format!("ok {count}\n{lines}total {total}\n"));
}

fn get_size(stream: &mut TcpStream, path: &Path) {
    let size = fs::metadata(path).unwrap().len();
    let megabytes = size as f64 / 1_000_000.0;
    send(stream, &format!("ok {size} bytes ({megabytes:.6} MB)\n"));
}

fn delete(stream: &mut TcpStream, path: &Path, name: &str) {
    fs::remove_file(path).unwrap();
    send(stream, &format!("ok removed {name}\n"));
}

fn download(stream: &mut TcpStream, path: &Path) {
    let bytes = fs::read(path).unwrap();
    send(stream, &format!("ok {}\n", bytes.len()));
    stream.write_all(&bytes).unwrap();
}

/// Returns whether the file was small enough.
fn upload(stream: &mut TcpStream, folder: &Path, name: &str, most: usize) -> bool {
    send(stream, "ok ready\n");
    let mut header = receive(stream);
    let end = header.iter().position(|byte| *byte == b'\n').unwrap();
    let mut payload = header.split_off(end + 1);
    let size: usize = String::from_utf8(header).unwrap().trim().parse().unwrap();
    if size > most {
        send(stream, &format!("error too-large files may be at most {most} bytes\n"));
        return false;
    }
    let path = free_path(folder, name);
    if payload.len() < size {
        let mut buffer = vec![0; size - payload.len()];
        let count = stream.read(&mut buffer).unwrap();
        payload.extend(&buffer[..count]);
    }
    let count = payload.len();
    fs::write(&path, payload).unwrap();
    let stored = path.file_name().unwrap().display();
    send(stream, &format!("ok received {count} {stored}\n"));
    true
}

fn free_path(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) => (stem, format!(".{extension}")),
        None => (name, String::new()),
    };
    let mut count = 0;
    let mut free = path;
    while free.exists() {
        count += 1;
        free = folder.join(format!("{stem}_{count}{extension}"));
    }
    free
}
