//! Many files in one command. Where the server knows how, the next requests are sent before the replies to
//! earlier ones have come: over a slow line, a round trip for each file would be most of the time.
//!
//! The replies come in the order of the requests, so the files that are under way are a queue. What is under
//! way is small enough for the buffers of every system: see [`AHEAD`].

use std::collections::VecDeque;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::transfer::{Closed, LocalFile, Sending};
use super::{Client, Receipt, Watch};
use crate::dialect::{Download, Requests, SumOf, Upload};
use crate::error::{Answer, Code, Failure};
use crate::limits;

/// A larger file is not sent before the server accepts it, and takes part of it to be refused in step.
const AHEAD_FILE: u64 = 64 << 10;

/// How many bytes of requests for downloads, or of replies to uploads, a client has under way that it sends
/// ahead. The buffers of every system take that much, so that its writes never wait for a server whose
/// replies wait for the client. The standard library can neither ask for their size nor set it.
pub(super) const AHEAD: usize = 16 << 10;

/// How many bytes of files a client has under way that the server has not accepted yet: all of it is lost if the
/// first one is refused.
const AHEAD_PAYLOAD: u64 = 1 << 20;

/// The files of one command, and how far it has come.
pub(super) trait Batch {
    /// Moves the next file. Returns its number, and what came of it.
    fn next(
        &mut self,
        client: &mut Client,
        watch: &mut Watch<'_>,
    ) -> Option<(usize, Answer<Receipt>)>;

    /// Makes the file that failed last the next one again, if it can be moved twice without harm.
    fn again(&mut self, failure: &Failure) -> bool;

    /// How many files were left out, because the server would refuse them like an earlier one.
    fn left_out(&self) -> usize {
        0
    }

    /// How many files were sent again, though the first time may have stored them.
    fn sent_twice(&self) -> usize {
        0
    }
}

/// The files that are under way, and the number of the next one.
struct Queue<S> {
    /// The requests, if they are sent ahead. `None`: one file at a time.
    ahead: Option<&'static Requests>,
    under_way: VecDeque<S>,
    next: usize,
    /// When the last file was done.
    since: Instant,
}

impl<S> Queue<S> {
    fn new(client: &mut Client, files: usize) -> Queue<S> {
        let ahead = client.sends_ahead(files).then(|| client.requests());
        let under_way = VecDeque::new();
        Queue { ahead, under_way, next: 0, since: Instant::now() }
    }

    /// The number of the first file that is under way.
    fn first(&self) -> usize {
        self.next - self.under_way.len()
    }

    fn push(&mut self, sent: S) {
        self.under_way.push_back(sent);
        self.next += 1;
    }

    /// Takes note that this file is done. What was sent over a lost connection is sent again.
    fn done(&mut self, number: usize, client: &Client) {
        self.since = Instant::now();
        if !client.has_connection() {
            self.under_way.clear();
            self.next = number + 1;
        }
    }

    fn again(&mut self) -> bool {
        let can = self.under_way.is_empty() && self.next > 0;
        self.next -= usize::from(can);
        can
    }
}

/// How many bytes the replies to an upload have at most, beside the name: `ok ready`, and `ok received` with a
/// size and a counter in the name. An error comes in their place, and ends what was sent ahead.
const RECEIPT: usize = "ok ready\nok received \n".len() + 2 * (limits::SIZE_DIGITS + 1);

/// Files to send.
pub(super) struct Uploads {
    files: Vec<(PathBuf, Option<String>)>,
    queue: Queue<Sent>,
    /// Those before this number may be stored: their receipts were lost with the connection.
    unsure: usize,
    /// Those of them that are.
    confirmed: Vec<usize>,
    /// A file was refused: the next one is sent only after the server has accepted it, until one is stored.
    in_step: bool,
    /// Files of this size and more are refused like an earlier one, and not sent.
    refused_from: u64,
    left_out: usize,
    /// How many were sent again, because the server did not have them yet when it was asked.
    sent_twice: usize,
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

    /// How many bytes of it were sent before the server has accepted it.
    fn payload(&self) -> u64 {
        match self {
            Sent::Whole(file) => file.size,
            _ => 0,
        }
    }
}

impl Uploads {
    pub(super) fn new(client: &mut Client, files: Vec<(PathBuf, Option<String>)>) -> Uploads {
        let queue = Queue::new(client, files.len());
        let refused_from = u64::MAX;
        let (unsure, confirmed, in_step) = (0, Vec::new(), false);
        let (left_out, sent_twice) = (0, 0);
        Uploads { files, queue, unsure, confirmed, in_step, refused_from, left_out, sent_twice }
    }

    /// Whether the server would refuse this file for the same reason as an earlier one.
    fn would_be_refused(&self, path: &Path) -> bool {
        self.refused_from < u64::MAX
            && fs::metadata(path).is_ok_and(|found| found.len() >= self.refused_from)
    }

    /// Learns from what came of a file.
    fn learn(&mut self, number: usize, moved: &Answer<Receipt>) {
        let Err(failure) = moved else {
            self.in_step = false;
            return;
        };
        let Some(code) = failure.code() else { return };
        self.in_step = true;
        match code {
            Code::ReadOnly => self.refused_from = 0,
            // A smaller file may fit.
            Code::NoSpace => {
                let path = self.files.get(number).map(|(path, _)| fs::metadata(path));
                let size = path.and_then(Result::ok).map_or(u64::MAX, |found| found.len());
                self.refused_from = self.refused_from.min(size);
            }
            _ => {}
        }
    }

    fn move_first(
        &mut self,
        client: &mut Client,
        upload: Upload,
        sum: SumOf,
        watch: &mut Watch<'_>,
    ) -> Answer<Receipt> {
        client.open()?;
        if self.queue.under_way.is_empty() {
            client.must_be_quiet()?;
            if self.queue.next < self.unsure {
                self.check(client, sum)?;
            }
        }
        self.fill(client, upload);
        self.take(client, upload, watch)
    }

    /// Asks for the sums of the files whose receipts were lost.
    fn check(&mut self, client: &mut Client, request: SumOf) -> Answer<()> {
        let mut asked = Vec::new();
        for number in self.queue.next..self.unsure {
            if let Some((path, name)) = self.files.get(number)
                && let Ok(mut file) = LocalFile::open(path, name.as_deref())
                && let Ok(sum) = file.sum()
            {
                // If the connection broke, taking the sums says so.
                if client.send(|wire| (request.ask)(wire, &file.name)).is_ok() {
                    asked.push((number, sum));
                }
            }
        }
        for (number, sum) in asked {
            match client.step(request.take) {
                Ok(stored) if stored == sum => self.confirmed.push(number),
                Err(failure) if failure.is_lost() => return Err(failure),
                _ => self.sent_twice += 1,
            }
        }
        self.unsure = 0;
        Ok(())
    }

    /// Sends the next files, as many as may be under way.
    fn fill(&mut self, client: &mut Client, upload: Upload) {
        let mut under_way: usize = self.queue.under_way.iter().map(Sent::cost).sum();
        let mut payload: u64 = self.queue.under_way.iter().map(Sent::payload).sum();
        let is_enough = under_way > AHEAD / 2;
        while let Some((path, name)) = self.files.get(self.queue.next).filter(|_| !is_enough)
            && under_way < AHEAD - RECEIPT - limits::LINE
            && payload <= AHEAD_PAYLOAD - AHEAD_FILE
            && !matches!(self.queue.under_way.back(), Some(Sent::Asked(_)))
            && (self.queue.under_way.is_empty() || !self.in_step)
            && (self.queue.under_way.is_empty() || !self.would_be_refused(path))
            && client.can_send()
        {
            let sent = match LocalFile::open(path, name.as_deref()) {
                Err(failure) => Sent::Failed(failure),
                Ok(file) if self.confirmed.contains(&self.queue.next) => {
                    Sent::Confirmed(file.close())
                }
                Ok(file) => send(client, upload, file, self.in_step),
            };
            under_way += sent.cost();
            payload += sent.payload();
            self.queue.push(sent);
        }
    }

    /// Takes what comes of the first file under way.
    fn take(
        &mut self,
        client: &mut Client,
        upload: Upload,
        watch: &mut Watch<'_>,
    ) -> Answer<Receipt> {
        let mut first = self.queue.under_way.pop_front().ok_or(Failure::NoReply)?;
        match &first {
            Sent::Whole(_) => {
                client.step(upload.take_ready).inspect_err(|_| client.drop_connection())?;
            }
            Sent::Asked(_) => client.step(upload.take_ready)?,
            _ => {}
        }
        if let Sent::Asked(file) = first {
            let (name, size) = (file.name.clone(), file.size);
            let mut sending = Sending::new(file, client.requests(), false, watch);
            client.step(|wire| upload.send_or_reason(wire, &name, size, &mut sending))?;
            first = Sent::Accepted(sending.file.close());
            // The next requests need not wait for this receipt.
            self.queue.under_way.push_front(first);
            self.fill(client, upload);
            first = self.queue.under_way.pop_front().ok_or(Failure::NoReply)?;
        }
        let (file, stored) = match first {
            Sent::Failed(failure) => return Err(failure),
            Sent::Confirmed(file) => (file, None),
            // Sent above.
            Sent::Asked(_) => return Err(Failure::NoReply),
            Sent::Whole(file) | Sent::Accepted(file) => {
                let (name, size) = (&file.name, file.size);
                let take = |wire: &mut _| (upload.take_receipt)(wire, name, size, Duration::ZERO);
                let stored = client.step(take)?;
                (file, stored)
            }
        };
        let (bytes, time, grew) = (file.size, self.queue.since.elapsed(), file.grew);
        Ok(Receipt { stored, bytes, kept: 0, time, grew, confirmed: true })
    }
}

/// Sends the request for a file, and the file if it is small and need not be accepted before.
fn send(client: &mut Client, upload: Upload, mut file: LocalFile, in_step: bool) -> Sent {
    let is_small = file.size <= AHEAD_FILE && !in_step;
    let bytes = match if is_small { file.read_whole() } else { Ok(Vec::new()) } {
        Ok(bytes) => bytes,
        Err(failure) => return Sent::Failed(failure),
    };
    let asked = client.send(|wire| {
        (upload.ask)(wire, &file.name, file.size)?;
        let mut left = bytes.as_slice();
        let mut source = |into: &mut [u8]| Ok(left.read(into).unwrap_or_default());
        if is_small { (upload.send)(wire, file.size, &mut source) } else { Ok(()) }
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
        while self.queue.under_way.is_empty()
            && let Some((path, _)) = self.files.get(self.queue.next)
            && self.would_be_refused(path)
        {
            self.queue.next += 1;
            self.left_out += 1;
        }
        let first = self.queue.first();
        let (path, name) = self.files.get(first)?;
        let Some(Requests { upload: Some(upload), sum: Some(sum), .. }) = self.queue.ahead else {
            self.queue.next += 1;
            let moved = client.upload(path, name.as_deref(), watch);
            self.learn(first, &moved);
            return Some((first, moved));
        };
        let moved = self.move_first(client, *upload, *sum, watch);
        self.learn(first, &moved);
        // A server that has refused a file has closed the connection, and taken none after it.
        let is_unsure = |failure: &Failure| failure.is_lost() || failure.code().is_none();
        if !client.has_connection() && moved.as_ref().is_err_and(is_unsure) {
            self.unsure = self.unsure.max(self.queue.next);
        }
        self.queue.done(first, client);
        Some((first, moved))
    }

    fn again(&mut self, failure: &Failure) -> bool {
        // Nothing of a file has left if the server could not be reached or took no connection.
        let was_not_sent =
            matches!(failure, Failure::Unreachable(_)) || failure.code() == Some(Code::Busy);
        (self.queue.ahead.is_some() || was_not_sent) && self.queue.again()
    }

    fn left_out(&self) -> usize {
        self.left_out
    }

    fn sent_twice(&self) -> usize {
        self.sent_twice
    }
}

/// Files to receive.
pub(super) struct Downloads {
    files: Vec<(String, Option<String>)>,
    /// Whether those that are under way could be asked for.
    queue: Queue<Answer<()>>,
}

impl Downloads {
    pub(super) fn new(client: &mut Client, files: Vec<(String, Option<String>)>) -> Downloads {
        let queue = Queue::new(client, files.len());
        Downloads { files, queue }
    }

    fn cost(&self, number: usize) -> usize {
        self.files.get(number).map_or(0, |(name, _)| "download \n".len() + name.len())
    }

    /// Asks for the next files, as many as may be under way. What is kept of one is not asked for as a whole.
    fn fill(&mut self, client: &mut Client, download: Download) {
        let mut under_way: usize =
            (self.queue.first()..self.queue.next).map(|n| self.cost(n)).sum();
        let is_enough = under_way > AHEAD / 2;
        while let Some((name, local)) = self.files.get(self.queue.next).filter(|_| !is_enough)
            && under_way < AHEAD - limits::LINE
            && !client.has_kept(name)
            && client.can_send()
        {
            // What cannot be kept here is not asked for.
            let asked = client.local_name(name, local.as_deref()).and_then(|_| {
                match client.send(|wire| (download.ask)(wire, name)) {
                    Err(failure @ Failure::Unsendable(_)) => Err(failure),
                    // If the connection broke, taking the file says so.
                    _ => Ok(()),
                }
            });
            under_way += self.cost(self.queue.next);
            self.queue.push(asked);
        }
    }

    fn move_first(
        &mut self,
        client: &mut Client,
        download: Download,
        watch: &mut Watch<'_>,
    ) -> Answer<Receipt> {
        client.open()?;
        if self.queue.under_way.is_empty() {
            client.must_be_quiet()?;
        }
        self.fill(client, download);
        let Some((name, local)) = self.files.get(self.queue.first()) else {
            return Err(Failure::NoReply);
        };
        let Some(asked) = self.queue.under_way.pop_front() else {
            self.queue.next += 1;
            return client.download(name, local.as_deref(), watch);
        };
        asked?;
        client.receive(name, local.as_deref(), watch, self.queue.since, |client, file| {
            client.step(|wire| (download.take)(wire, name, file)).map(drop)
        })
    }
}

impl Batch for Downloads {
    fn next(
        &mut self,
        client: &mut Client,
        watch: &mut Watch<'_>,
    ) -> Option<(usize, Answer<Receipt>)> {
        let first = self.queue.first();
        let (name, local) = self.files.get(first)?;
        let Some(Requests { download: Some(download), .. }) = self.queue.ahead else {
            self.queue.next += 1;
            return Some((first, client.download(name, local.as_deref(), watch)));
        };
        let moved = self.move_first(client, *download, watch);
        self.queue.done(first, client);
        Some((first, moved))
    }

    fn again(&mut self, _: &Failure) -> bool {
        self.queue.again()
    }
}
