//! A second client of the text dialect, with a switch for each flaw that a student's client could have. Without a flaw
//! it is right. The test program starts itself to be this client: see [`command`].

#![allow(clippy::print_stdout, reason = "a client prints")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

/// The command that starts it with this flaw.
pub fn command(flaw: &str) -> String {
    let own = std::env::current_exe().unwrap();
    format!(
        "'{}' --exact flawed_client::client --ignored --nocapture {flaw} {{port}}",
        own.display()
    )
}

struct Client {
    flaw: String,
    stream: BufReader<TcpStream>,
}

fn wrong(text: impl Into<String>) -> Error {
    Error::other(text.into())
}

fn show(flaw: &str, text: &str) {
    let quoted: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    println!("{}", if flaw == "shows-controls" { text } else { &quoted });
}

impl Client {
    fn is(&self, flaw: &str) -> bool {
        self.flaw == flaw
    }

    fn send(&mut self, text: &str) -> Result<()> {
        self.stream.get_mut().write_all(text.as_bytes())
    }

    fn line(&mut self) -> Result<String> {
        if self.is("one-read-is-a-line") {
            let mut buffer = [0; 4096];
            let count = self.stream.get_mut().read(&mut buffer)?;
            return Ok(String::from_utf8_lossy(&buffer[..count]).trim_end().to_owned());
        }
        let mut line = Vec::new();
        (&mut self.stream).take(1 << 16).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') && !self.is("believes-anything") {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        line.pop();
        String::from_utf8(line).map_err(|_| wrong("not UTF-8"))
    }

    fn reply(&mut self) -> Result<String> {
        let line = self.line()?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("ok", rest) => Ok(rest.to_owned()),
            (_, rest) if self.is("believes-anything") => Ok(rest.to_owned()),
            (_, rest) if self.is("no-look-at-errors") => Ok(rest.to_owned()),
            ("error", _) if self.is("hides-reasons") => Err(wrong("it failed")),
            ("error", _) => Err(wrong(line)),
            _ => Err(ErrorKind::InvalidData.into()),
        }
    }

    fn number(&self, text: &str) -> Result<u64> {
        match text.parse() {
            Ok(0) if self.is("refuses-empty-files") => Err(wrong("an empty file")),
            Err(_) if self.is("believes-anything") => Ok(0),
            number => number.map_err(|_| wrong("expected a number")),
        }
    }

    fn download(&mut self, name: &str) -> Result<()> {
        self.send(&format!("download {name}\n"))?;
        let last = Path::new(name).file_name().unwrap();
        let target = if self.is("uses-names-as-paths") { Path::new(name) } else { Path::new(last) };
        if self.is("opens-too-early") {
            File::create(target)?;
        }
        let reply = self.reply()?;
        let size = self.number(&reply)?;
        if self.is("loses-what-came-with-the-size") {
            let held = self.stream.buffer().len();
            self.stream.consume(held);
        }
        let part = target.with_file_name(format!(".{}.part", last.display()));
        let part = if self.is("keeps-half-files") { target.to_owned() } else { part };
        if target.exists() && !self.is("replaces-files") && !self.is("opens-too-early") {
            return Err(wrong("there is a file of this name"));
        }
        let taken = self.copy(size, &part);
        if taken.is_err() && !self.is("keeps-half-files") {
            let _ = fs::remove_file(&part);
        }
        taken?;
        fs::rename(part, target)
    }

    fn copy(&mut self, size: u64, to: &Path) -> Result<()> {
        let mut file = File::create(to)?;
        let mut left = if self.is("reads-to-the-end") { u64::MAX } else { size };
        let mut all = Vec::new();
        while left > 0 {
            let most = usize::try_from(left.min(1 << 16)).unwrap();
            let mut buffer = vec![0; most];
            let count = self.stream.read(&mut buffer)?;
            if count == 0 && (self.is("end-is-no-failure") || self.is("reads-to-the-end")) {
                return Ok(());
            }
            if count == 0 && self.is("loops-at-the-end") {
                continue;
            }
            if count == 0 && self.is("waits-at-the-end") {
                std::thread::park();
            }
            if count == 0 {
                return Err(wrong("the connection ended too early"));
            }
            buffer.truncate(count);
            left -= count as u64;
            if self.is("text-mode-down") {
                buffer = String::from_utf8_lossy(&buffer).replace("\r\n", "\n").into_bytes();
            }
            match self.is("keeps-all-in-memory") {
                true => all.extend(buffer),
                false => file.write_all(&buffer)?,
            }
            if self.is("one-read-is-a-file") {
                break;
            }
        }
        file.write_all(&all)
    }

    fn upload(&mut self, name: &str) -> Result<()> {
        if self.is("asks-before-it-looks") {
            self.send(&format!("upload {name}\n"))?;
            self.reply()?;
        }
        let mut file = File::open(name)?;
        let mut size = file.metadata()?.len();
        if self.is("counts-characters") {
            size = fs::read_to_string(name).map_or(size, |text| text.chars().count() as u64);
        }
        if size == 0 && self.is("refuses-empty-files") {
            return Err(wrong("an empty file"));
        }
        if !self.is("asks-before-it-looks") {
            self.send(&format!("upload {name}\n"))?;
        }
        let header = format!("{}{size}\n", if self.is("sends-a-sign") { "+" } else { "" });
        if self.is("does-not-wait-for-ready") {
            self.send(&header)?;
        }
        if !self.is("asks-before-it-looks") {
            self.reply()?;
        }
        if !self.is("does-not-wait-for-ready") {
            self.send(&header)?;
        }
        let mut bytes = Vec::new();
        if self.is("keeps-all-in-memory") {
            file.read_to_end(&mut bytes)?;
            self.stream.get_mut().write_all(&bytes)?;
        } else if self.is("text-mode-up") {
            file.read_to_end(&mut bytes)?;
            bytes = String::from_utf8_lossy(&bytes).replace("\r\n", "\n").into_bytes();
            self.stream.get_mut().write_all(&bytes)?;
        } else {
            let most = if self.is("sends-one-piece") { 1 << 16 } else { u64::MAX };
            std::io::copy(&mut file.take(most), self.stream.get_mut())?;
        }
        if self.is("ignores-receipts") {
            let _ = self.line();
            return Ok(());
        }
        let reply = self.reply()?;
        let mut words = reply.splitn(3, ' ').skip(1);
        let told = self.number(words.next().unwrap_or_default())?;
        let stored = words.next().unwrap_or_default();
        let stem = Path::new(name).file_stem().unwrap().to_str().unwrap();
        if told != size || !stored.starts_with(stem) {
            return Err(wrong("the receipt is wrong"));
        }
        show(&self.flaw, stored);
        Ok(())
    }

    fn list(&mut self) -> Result<()> {
        self.send("ls\n")?;
        let reply = self.reply()?;
        let count = self.number(&reply)?;
        if count == 0 && self.is("empty-list-has-no-total") {
            return Ok(());
        }
        for _ in 0..=count {
            let line = self.line()?;
            match self.is("splits-names") {
                true => show(&self.flaw, line.split(' ').nth(2).unwrap_or_default()),
                false => show(&self.flaw, &line),
            }
        }
        Ok(())
    }

    /// Whether it goes on.
    fn obey(&mut self, word: &str, name: &str, answer: &str) -> Result<bool> {
        match word {
            word if self.flaw.strip_prefix("knows-no-") == Some(word) => {
                return Err(wrong("unknown command"));
            }
            "connme" | "byebye" => {
                self.send(&format!("{word}\n"))?;
                if word == "byebye" && self.is("says-byebye-twice") {
                    self.send("byebye\n")?;
                }
                let reply = self.reply()?;
                show(&self.flaw, &reply);
            }
            "size" => {
                let name =
                    if self.is("small-letters") { name.to_lowercase() } else { name.to_owned() };
                self.send(&format!("size {name}\n"))?;
                if self.is("sends-the-nul") {
                    self.send("\0")?;
                }
                let reply = self.reply()?;
                show(&self.flaw, &reply);
            }
            "ls" => self.list()?,
            "rm" if answer == "Y" || self.is("removes-always") => {
                self.send(&format!("rm {name}\n"))?;
                if !self.is("ignores-the-reply-to-rm") {
                    self.reply()?;
                }
            }
            "rm" => {}
            "download" => self.download(name)?,
            "upload" => self.upload(name)?,
            _ => return Err(wrong("unknown command")),
        }
        Ok(word != "byebye")
    }
}

#[test]
#[ignore = "it is a client, and no test"]
fn client() {
    let Some(port) = std::env::var("CONNME_PORT").ok().and_then(|port| port.parse::<u16>().ok())
    else {
        return;
    };
    let flaw = std::env::args().rev().nth(1).unwrap();
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        let is_hasty = flaw == "one-second-is-enough";
        stream.set_read_timeout(is_hasty.then_some(Duration::from_secs(1)))?;
        Ok(Client { flaw: flaw.clone(), stream: BufReader::new(stream) })
    };
    let mut client: Option<Client> = None;
    let mut is_over = false;
    let mut lines = std::io::stdin().lines().map_while(Result::ok);
    let mut status = i32::from(flaw == "exits-with-1");
    while let Some(line) = lines.next() {
        let (word, name) = line.split_once(' ').unwrap_or((&line, ""));
        let name = match flaw.as_str() {
            "splits-what-is-typed" => name.split(' ').next().unwrap().to_owned(),
            "knows-only-ascii" => name.replace(|c: char| !c.is_ascii(), "?"),
            _ => name.to_owned(),
        };
        let answer = if word == "rm" { lines.next().unwrap_or_default() } else { String::new() };
        let done = client.take().map_or_else(connect, Ok).and_then(|mut own| {
            let done = own.obey(word, &name, &answer);
            client = Some(own);
            done
        });
        match done {
            Ok(true) => {}
            Ok(false) => {
                is_over = true;
                break;
            }
            Err(error) => {
                let is_reply = error.to_string().starts_with("error ");
                let panics = ["panics", "one-second-is-enough"].contains(&flaw.as_str());
                assert!(!panics || is_reply, "{error}");
                show(&flaw, &format!("error: {error}"));
                if flaw == "stops-at-an-error" {
                    break;
                }
                status = i32::from(flaw != "exits-with-0");
                // What is no reply of the server's leaves nothing to go on with.
                if !is_reply && word != "upload" {
                    client = None;
                }
            }
        }
    }
    assert!(flaw != "panics-at-the-end" || is_over, "the input has ended");
    std::process::exit(status);
}
