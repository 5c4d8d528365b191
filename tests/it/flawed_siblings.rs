//! Clients of `struct` and `json`, with a switch for each flaw that a student's client could have. Without a flaw they
//! are right. The test program starts itself to be one of them, as for [`flawed_client`].
//!
//! [`flawed_client`]: crate::flawed_client

#![allow(clippy::print_stdout, reason = "a client prints")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::path::Path;

use connme::dialect::json_value::Value;

/// The command that starts the client of this dialect with this flaw.
pub fn command(dialect: &str, flaw: &str) -> String {
    let own = std::env::current_exe().unwrap();
    let own = own.display();
    format!(
        "'{own}' --exact flawed_siblings::{dialect}_client --ignored --nocapture {flaw} {{port}}"
    )
}

fn wrong(text: &str) -> Error {
    Error::other(text.to_owned())
}

fn not_found() -> Error {
    wrong("no such file")
}

/// A connection and its flaw.
struct Client {
    flaw: String,
    stream: BufReader<TcpStream>,
}

impl Client {
    fn is(&self, flaw: &str) -> bool {
        self.flaw == flaw
    }

    fn show(&self, text: &str) {
        let quoted: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        println!("{}", if self.is("shows-controls") { text } else { &quoted });
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Reads this many bytes; with the flaw, as many as one read brings.
    fn exact(&mut self, count: usize, flaw: &str) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        if self.is(flaw) {
            let come = self.stream.get_mut().read(&mut bytes)?;
            bytes.truncate(come.max(1));
        } else {
            self.stream.read_exact(&mut bytes)?;
        }
        Ok(bytes)
    }

    /// Where a file is saved.
    fn target(&self, name: &str) -> Result<String> {
        let last = Path::new(name).file_name().and_then(|it| it.to_str());
        let target = if self.is("uses-names-as-paths") { Some(name) } else { last };
        let target = target.ok_or_else(|| wrong("that is no name"))?;
        match Path::new(target).exists() && !self.is("replaces-files") {
            true => Err(wrong("there is a file of this name")),
            false => Ok(target.to_owned()),
        }
    }

    /// Takes a payload of this size into a file.
    fn take(&mut self, size: u64, target: &str) -> Result<()> {
        self.is_welcome(size)?;
        let part = format!(".{}.part", target.replace('/', "_"));
        let part = if self.is("keeps-half-files") { target.to_owned() } else { part };
        let taken = self.copy(size, &part);
        if taken.is_err() && !self.is("keeps-half-files") {
            let _ = fs::remove_file(&part);
        }
        taken?;
        fs::rename(part, target)
    }

    fn is_welcome(&self, size: u64) -> Result<()> {
        if size == 0 && self.is("refuses-empty-files") {
            Err(wrong("an empty file"))
        } else {
            Ok(())
        }
    }

    fn copy(&mut self, size: u64, part: &str) -> Result<()> {
        let (mut file, mut left) = (File::create(part)?, size);
        while left > 0 {
            let mut bytes = vec![0; usize::try_from(left.min(1 << 16)).unwrap()];
            let count = self.stream.read(&mut bytes)?;
            match count {
                0 if self.is("end-is-no-failure") => break,
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                _ => bytes.truncate(count),
            }
            left -= count as u64;
            if self.is("text-mode-down") {
                bytes = String::from_utf8_lossy(&bytes).replace("\r\n", "\n").into_bytes();
            }
            file.write_all(&bytes)?;
            if self.is("one-read-is-a-file") {
                break;
            }
        }
        Ok(())
    }

    /// The size of a file as it is told, and what is sent of it.
    fn content(&self, name: &str) -> Result<(u64, Vec<u8>)> {
        let bytes = fs::read(name)?;
        self.is_welcome(bytes.len() as u64)?;
        let text = String::from_utf8_lossy(&bytes);
        match self.flaw.as_str() {
            "text-mode-up" => Ok((bytes.len() as u64, text.replace("\r\n", "\n").into_bytes())),
            "counts-characters" => Ok((text.chars().count() as u64, bytes)),
            _ => Ok((bytes.len() as u64, bytes)),
        }
    }
}

/// `struct`.
impl Client {
    fn integer(&mut self) -> Result<i32> {
        let mut bytes = self.exact(4, "one-read-is-an-integer")?;
        bytes.resize(4, 0);
        let bytes = bytes.try_into().unwrap();
        Ok(if self.is("big-endian") {
            i32::from_be_bytes(bytes)
        } else {
            i32::from_le_bytes(bytes)
        })
    }

    /// A size, of a file that there is.
    fn found(&mut self) -> Result<u64> {
        match self.integer()? {
            -1 if !self.is("takes-minus-one") => Err(not_found()),
            size => Ok(u64::try_from(size).unwrap_or(0)),
        }
    }

    fn word(&mut self, word: &str) -> Result<()> {
        match self.exact(word.len(), "")? == word.as_bytes() {
            true => Ok(()),
            false => Err(wrong("another word came")),
        }
    }

    fn ask(&mut self, command: &str, name: &str) -> Result<()> {
        self.send(command)?;
        self.word("ready")?;
        let length = match self.is("counts-letters") {
            true => name.chars().count(),
            false => name.len(),
        };
        let length = i16::try_from(length).unwrap().to_le_bytes();
        self.send([&length[..], name.as_bytes()].concat())
    }

    fn obey_struct(&mut self, word: &str, name: &str, answer: &str) -> Result<()> {
        match word {
            "connme" => {
                self.send("connme")?;
                self.word("connected")?;
                self.show("connected");
            }
            "ls" => {
                self.send("ls")?;
                for _ in 0..self.integer()? {
                    let length =
                        usize::try_from(self.integer()?).map_err(|_| wrong("no length"))?;
                    let name = self.exact(length, "one-read-is-a-name")?;
                    let size = self.integer()?;
                    if !self.is("no-acknowledgement") {
                        self.send("1")?;
                    }
                    self.show(&format!("{} {size}", String::from_utf8_lossy(&name)));
                }
                let total = self.integer()?;
                self.show(&format!("total {total}"));
            }
            "size" => {
                self.ask("size", name)?;
                let size = self.found()?;
                self.show(&size.to_string());
            }
            "rm" if answer == "Y" => {
                self.ask("rm", name)?;
                self.send("Y")?;
                if self.integer()? != 1 && !self.is("ignores-the-reply-to-rm") {
                    return Err(not_found());
                }
            }
            "rm" => {}
            "download" => {
                if self.is("opens-too-early") {
                    File::create(name)?;
                }
                self.ask("download", name)?;
                let size = self.found()?;
                if self.is("loses-what-came-with-the-size") {
                    let held = self.stream.buffer().len();
                    self.stream.consume(held);
                }
                let target =
                    if self.is("opens-too-early") { name.to_owned() } else { self.target(name)? };
                self.take(size, &target)?;
                self.send("1")?;
                self.exact(4, "")?;
            }
            "upload" => {
                let (size, bytes) = self.content(name)?;
                self.ask("upload", name)?;
                self.send(i32::try_from(size).unwrap().to_le_bytes())?;
                self.send(bytes)?;
                if self.is("ignores-receipts") {
                    let _ = self.exact(12, "");
                    return Ok(());
                }
                if self.is("one-read-is-the-receipt") {
                    self.stream.get_mut().read_exact(&mut [0; 1])?;
                    let _ = self.stream.get_mut().read(&mut [0; 1024])?;
                } else {
                    self.word("received")?;
                }
                self.exact(4, "")?;
            }
            "byebye" => self.send("byebye")?,
            _ => return Err(wrong("unknown command")),
        }
        Ok(())
    }
}

/// `json`.
impl Client {
    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        if self.is("one-read-is-a-line") {
            line = self.stream.fill_buf()?.to_vec();
            let end = line.iter().position(|byte| *byte == b'\n').map_or(line.len(), |end| end + 1);
            line.truncate(end);
            self.stream.consume(end);
        } else {
            (&mut self.stream).take(1 << 20).read_until(b'\n', &mut line)?;
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn request(&mut self, aksi: &str, more: &[(&str, Value)]) -> Result<()> {
        let mut request = format!("{{\"aksi\":\"{aksi}\"");
        for (name, value) in more {
            let value = match value.as_text().filter(|_| self.is("no-escapes")) {
                Some(text) => format!("\"{text}\""),
                None => value.to_string(),
            };
            request += &format!(",\"{name}\":{value}");
        }
        self.send(request + "}\n")
    }

    /// A reply that is no refusal, without the `OK` before a record.
    fn reply(&mut self) -> Result<Value> {
        let line = self.line()?;
        let text = line.strip_prefix("OK ").unwrap_or(&line);
        if line == "null" && !self.is("takes-null") {
            return Err(not_found());
        }
        if line.starts_with("ERR") {
            return Err(wrong(if self.is("hides-reasons") { "it failed" } else { &line }));
        }
        if self.is("believes-anything") {
            return Ok(Value::parse(text.as_bytes()).unwrap_or(Value::Array(Vec::new())));
        }
        Value::parse(text.as_bytes()).ok_or_else(|| wrong("that is no record"))
    }

    fn list(&mut self) -> Result<Vec<(String, u64)>> {
        self.request("list", &[])?;
        let Value::Array(records) = self.reply()? else { return Err(wrong("that is no list")) };
        let entry = |record: &Value| {
            let name = record.get("nama_file").and_then(Value::as_text)?.to_owned();
            Some((name, record.get("size").and_then(Value::as_u64)?))
        };
        Ok(records.iter().filter_map(entry).collect())
    }

    fn obey_json(&mut self, word: &str, name: &str, answer: &str) -> Result<()> {
        match word {
            "connme" | "byebye" => {}
            "ls" => {
                for (name, size) in self.list()? {
                    self.show(&format!("{name} {size}"));
                }
            }
            "size" => {
                let list = self.list()?;
                let found = list.iter().find(|(known, _)| known == name).ok_or_else(not_found)?;
                self.show(&found.1.to_string());
            }
            "rm" if answer == "Y" => {
                self.request("hapus", &[("file", Value::text(name))])?;
                self.reply()?;
            }
            "rm" => {}
            "download" => {
                if self.is("opens-too-early") {
                    File::create(name)?;
                }
                self.request("get", &[("file", Value::text(name))])?;
                let record = self.reply()?;
                let size = record.get("size").and_then(Value::as_u64);
                let size = size.or(self.is("takes-null").then_some(0));
                let size = size.ok_or_else(|| wrong("there is no size"))?;
                if self.is("loses-what-came-with-the-record") {
                    let held = self.stream.buffer().len();
                    self.stream.consume(held);
                }
                let target =
                    if self.is("opens-too-early") { name.to_owned() } else { self.target(name)? };
                self.take(size, &target)?;
            }
            "upload" => {
                let (size, bytes) = self.content(name)?;
                let kind =
                    name.rsplit_once('.').map_or(String::new(), |(_, kind)| format!(".{kind}"));
                let members = [
                    ("file", Value::text(name)),
                    ("size", Value::number(size)),
                    ("type", Value::text(&kind)),
                ];
                self.request("transfer", &members)?;
                self.send(bytes)?;
                if self.is("ignores-receipts") {
                    self.line()?;
                    return Ok(());
                }
                let stored = self.reply()?;
                let stored = stored.get("nama_file").and_then(Value::as_text).unwrap_or_default();
                self.show(stored);
            }
            _ => return Err(wrong("unknown command")),
        }
        Ok(())
    }
}

/// Does what is typed, and returns the exit status.
fn run(is_json: bool) -> Option<i32> {
    let port = std::env::var("CONNME_PORT").ok()?.parse::<u16>().ok()?;
    let flaw = std::env::args().rev().nth(1)?;
    let mut client: Option<Client> = None;
    let mut lines = std::io::stdin().lines().map_while(Result::ok);
    let mut status = 0;
    while let Some(line) = lines.next() {
        let (word, name) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = if word == "rm" { lines.next().unwrap_or_default() } else { String::new() };
        let connect = || -> Result<Client> {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            Ok(Client { flaw: flaw.clone(), stream: BufReader::new(stream) })
        };
        // One request a connection in json.
        let own = client.take().filter(|_| !is_json).map_or_else(connect, Ok);
        let done = own.and_then(|mut own| {
            match is_json {
                _ if flaw.strip_prefix("knows-no-") == Some(word) => Err(wrong("unknown command")),
                true => own.obey_json(word, name, &answer),
                false => own.obey_struct(word, name, &answer),
            }?;
            client = Some(own);
            Ok(())
        });
        if let Err(error) = done {
            assert!(flaw != "panics", "{error}");
            println!("error: {error}");
            status = 1;
        }
        if word == "byebye" {
            break;
        }
    }
    Some(status)
}

#[test]
#[ignore = "it is a client, and no test"]
fn struct_client() {
    if let Some(status) = run(false) {
        std::process::exit(status);
    }
}

#[test]
#[ignore = "it is a client, and no test"]
fn json_client() {
    if let Some(status) = run(true) {
        std::process::exit(status);
    }
}
