//! Many files in one command. Where the server knows how, the next requests are sent before the replies to
//! earlier ones have come: over a slow line, a round trip for each file would be most of the time.
//!
//! The replies come in the order of the requests, so the files that are under way are a queue. What is under
//! way is small enough for the buffers of every system: see [`limits::AHEAD`].

use std::collections::VecDeque;
use std::io::Read;
use std::path::PathBuf;
use std::time::Instant;

use super::transfer::{Closed, LocalFile, Sending};
use super::{Client, Receipt, Watch};
use crate::dialect::Parts;
use crate::error::{Answer, Failure};
use crate::limits;

/// The files of one command, and how far it has come.
pub(super) trait Batch {
    /// Moves the next file. Returns its number, and what came of it.
    fn next(
        &mut self,
        client: &mut Client,
        watch: &mut Watch<'_>,
    ) -> Option<(usize, Answer<Receipt>)>;

    /// Makes the file that failed last the next one again, if it can be moved twice without harm.
    fn again(&mut self) -> bool;
}

/// How many bytes the replies to an upload have at most, beside the name: `ok ready`, and `ok received` with a
/// size and a counter in the name. An error comes in their place, and ends what was sent ahead.
const RECEIPT: usize = "ok ready\nok received \n".len() + 2 * (limits::SIZE_DIGITS + 1);

/// Files to send.
pub(super) struct Uploads {
    files: Vec<(PathBuf, Option<String>)>,
    parts: Option<Parts>,
    /// Those that are under way, and the number of the next one.
    queue: VecDeque<Sent>,
    next: usize,
    /// Those before this number may be stored: their receipts were lost with the connection.
    unsure: usize,
    /// Those of them that are.
    confirmed: Vec<usize>,
    /// When the last file was done.
    since: Instant,
}

/// An upload that is under way.
enum Sent {
    /// Its request and the file.
    Whole(Closed),
    /// Its request alone: a large file is sent after the server has accepted it.
    Asked(LocalFile),
    /// Its request, and the file after the server has accepted it.
    Accepted(Closed),
    /// Nothing: the server has it already.
    Confirmed(Closed),
    /// Nothing, for this reason.
    Failed(Failure),
}

impl Sent {
    /// How many bytes of replies are to come for it.
    fn cost(&self) -> usize {
        match self {
            Sent::Whole(file) | Sent::Accepted(file) => RECEIPT + file.name.len(),
            Sent::Asked(file) => RECEIPT + file.name.len(),
            Sent::Confirmed(_) | Sent::Failed(_) => 0,
        }
    }
}

impl Uploads {
    pub(super) fn new(client: &mut Client, files: Vec<(PathBuf, Option<String>)>) -> Uploads {
        let parts = client.parts(files.len());
        let (queue, confirmed, since) = (VecDeque::new(), Vec::new(), Instant::now());
        Uploads { files, parts, queue, next: 0, unsure: 0, confirmed, since }
    }

    fn first(&self) -> usize {
        self.next - self.queue.len()
    }

    fn move_first(
        &mut self,
        client: &mut Client,
        parts: &Parts,
        watch: &mut Watch<'_>,
    ) -> Answer<Receipt> {
        client.open()?;
        if self.queue.is_empty() && self.next < self.unsure {
            self.check(client, parts)?;
        }
        self.fill(client, parts);
        self.take(client, parts, watch)
    }

    /// Asks for the sums of the files whose receipts were lost.
    fn check(&mut self, client: &mut Client, parts: &Parts) -> Answer<()> {
        let mut asked = Vec::new();
        for number in self.next..self.unsure {
            if let Some((path, name)) = self.files.get(number)
                && let Ok(mut file) = LocalFile::open(path, name.as_deref())
                && let Ok(sum) = file.sum()
            {
                // If the connection broke, taking the sums says so.
                if client.send(|wire| (parts.ask_sum)(wire, &file.name)).is_ok() {
                    asked.push((number, sum));
                }
            }
        }
        for (number, sum) in asked {
            match client.step(parts.take_sum) {
                Ok(stored) if stored == sum => self.confirmed.push(number),
                Err(failure) if failure.is_lost() => return Err(failure),
                _ => {}
            }
        }
        self.unsure = 0;
        Ok(())
    }

    /// Sends the next files, as many as may be under way.
    fn fill(&mut self, client: &mut Client, parts: &Parts) {
        let mut under_way: usize = self.queue.iter().map(Sent::cost).sum();
        let is_enough = under_way > limits::AHEAD / 2;
        while let Some((path, name)) = self.files.get(self.next).filter(|_| !is_enough)
            && under_way < limits::AHEAD - RECEIPT - limits::LINE
            && !matches!(self.queue.back(), Some(Sent::Asked(_)))
            && client.can_send()
        {
            let sent = match LocalFile::open(path, name.as_deref()) {
                Err(failure) => Sent::Failed(failure),
                Ok(file) if self.confirmed.contains(&self.next) => Sent::Confirmed(file.close()),
                Ok(file) => send(client, parts, file),
            };
            under_way += sent.cost();
            self.queue.push_back(sent);
            self.next += 1;
        }
    }

    /// Takes what comes of the first file under way.
    fn take(
        &mut self,
        client: &mut Client,
        parts: &Parts,
        watch: &mut Watch<'_>,
    ) -> Answer<Receipt> {
        let mut first = self.queue.pop_front().ok_or(Failure::NoReply)?;
        match &first {
            Sent::Whole(_) => client.step(parts.take_ready).inspect_err(|_| client.leave())?,
            Sent::Asked(_) => client.step(parts.take_ready)?,
            _ => {}
        }
        if let Sent::Asked(file) = first {
            let size = file.size;
            let mut sending = Sending { file, done: 0, sha: None, watch };
            client.step(|wire| {
                let sent = (parts.send_payload)(wire, size, &mut sending);
                sent.map_err(|broken| (parts.reason)(wire, broken))
            })?;
            first = Sent::Accepted(sending.file.close());
            // The next requests need not wait for this receipt.
            self.queue.push_front(first);
            self.fill(client, parts);
            first = self.queue.pop_front().ok_or(Failure::NoReply)?;
        }
        let (file, stored) = match first {
            Sent::Failed(failure) => return Err(failure),
            Sent::Confirmed(file) => (file, None),
            // Sent above.
            Sent::Asked(_) => return Err(Failure::NoReply),
            Sent::Whole(file) | Sent::Accepted(file) => {
                let take = |wire: &mut _| (parts.take_receipt)(wire, &file.name, file.size);
                let stored = client.step(take)?;
                (file, Some(stored))
            }
        };
        let (bytes, time, grew) = (file.size, self.since.elapsed(), file.grew);
        Ok(Receipt { stored, bytes, kept: 0, time, grew, confirmed: true })
    }
}

/// Sends the request for a file, and the file if it is small.
fn send(client: &mut Client, parts: &Parts, mut file: LocalFile) -> Sent {
    let is_small = file.size <= limits::AHEAD_FILE;
    let bytes = match if is_small { file.read_whole() } else { Ok(Vec::new()) } {
        Ok(bytes) => bytes,
        Err(failure) => return Sent::Failed(failure),
    };
    let asked = client.send(|wire| {
        (parts.ask_upload)(wire, &file.name)?;
        let mut left = bytes.as_slice();
        let mut source = |into: &mut [u8]| Ok(left.read(into).unwrap_or_default());
        if is_small { (parts.send_payload)(wire, file.size, &mut source) } else { Ok(()) }
    });
    match asked {
        Err(failure @ Failure::Unsendable(_)) => Sent::Failed(failure),
        // If the connection broke, taking the replies says so.
        _ if is_small => Sent::Whole(file.close()),
        _ => Sent::Asked(file),
    }
}

impl Batch for Uploads {
    fn next(
        &mut self,
        client: &mut Client,
        watch: &mut Watch<'_>,
    ) -> Option<(usize, Answer<Receipt>)> {
        let first = self.first();
        let (path, name) = self.files.get(first)?;
        let Some(parts) = self.parts else {
            self.next += 1;
            return Some((first, client.upload(path, name.as_deref(), watch)));
        };
        let moved = self.move_first(client, &parts, watch);
        self.since = Instant::now();
        if !client.has_connection() {
            // A server that has refused a file has closed the connection, and taken none after it.
            if moved.as_ref().is_err_and(|failure| failure.is_lost() || failure.code().is_none()) {
                self.unsure = self.unsure.max(self.next);
            }
            self.queue.clear();
            self.next = first + 1;
        }
        Some((first, moved))
    }

    fn again(&mut self) -> bool {
        let can = self.parts.is_some() && self.queue.is_empty() && self.next > 0;
        self.next -= usize::from(can);
        can
    }
}

/// Files to receive.
pub(super) struct Downloads {
    files: Vec<(String, Option<String>)>,
    parts: Option<Parts>,
    /// Whether those that are under way could be asked for, and the number of the next one.
    queue: VecDeque<Answer<()>>,
    next: usize,
    since: Instant,
}

impl Downloads {
    pub(super) fn new(client: &mut Client, files: Vec<(String, Option<String>)>) -> Downloads {
        let parts = client.parts(files.len());
        Downloads { files, parts, queue: VecDeque::new(), next: 0, since: Instant::now() }
    }

    fn first(&self) -> usize {
        self.next - self.queue.len()
    }

    fn cost(&self, number: usize) -> usize {
        self.files.get(number).map_or(0, |(name, _)| "download \n".len() + name.len())
    }

    /// Asks for the next files, as many as may be under way. What is kept of one is not asked for as a whole.
    fn fill(&mut self, client: &mut Client, parts: &Parts) {
        let mut under_way: usize = (self.first()..self.next).map(|n| self.cost(n)).sum();
        let is_enough = under_way > limits::AHEAD / 2;
        while let Some((name, _)) = self.files.get(self.next).filter(|_| !is_enough)
            && under_way < limits::AHEAD - limits::LINE
            && !client.has_kept(name)
            && client.can_send()
        {
            let asked = match client.send(|wire| (parts.ask_download)(wire, name)) {
                Err(failure @ Failure::Unsendable(_)) => Err(failure),
                // If the connection broke, taking the file says so.
                _ => Ok(()),
            };
            under_way += self.cost(self.next);
            self.queue.push_back(asked);
            self.next += 1;
        }
    }

    fn move_first(
        &mut self,
        client: &mut Client,
        parts: &Parts,
        watch: &mut Watch<'_>,
    ) -> Answer<Receipt> {
        client.open()?;
        self.fill(client, parts);
        let Some((name, local)) = self.files.get(self.first()) else {
            return Err(Failure::NoReply);
        };
        let Some(asked) = self.queue.pop_front() else {
            self.next += 1;
            return client.download(name, local.as_deref(), watch);
        };
        asked?;
        let take = parts.take_download;
        client.receive(name, local.as_deref(), watch, self.since, |client, file| {
            client.step(|wire| take(wire, file)).map(drop)
        })
    }
}

impl Batch for Downloads {
    fn next(
        &mut self,
        client: &mut Client,
        watch: &mut Watch<'_>,
    ) -> Option<(usize, Answer<Receipt>)> {
        let first = self.first();
        let (name, local) = self.files.get(first)?;
        let Some(parts) = self.parts else {
            self.next += 1;
            return Some((first, client.download(name, local.as_deref(), watch)));
        };
        let moved = self.move_first(client, &parts, watch);
        self.since = Instant::now();
        if !client.has_connection() {
            // What was asked for and has not come is asked for again.
            self.queue.clear();
            self.next = first + 1;
        }
        Some((first, moved))
    }

    fn again(&mut self) -> bool {
        let can = self.queue.is_empty() && self.next > 0;
        self.next -= usize::from(can);
        can
    }
}
