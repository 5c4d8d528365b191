//! Many files in one command. Where the server knows how, the next requests are sent before the replies to
//! earlier ones have come: over a slow line, a round trip for each file would be most of the time.
//!
//! The replies come in the order of the requests, so the files that are under way are a queue. What is under
//! way is small enough for the buffers of every system: see [`AHEAD`]. A file goes this way:
//!
//! ```text
//!            ask          "ok ready", send         receipt
//!   waiting ─────▶ asked ──────────────────▶ sent ─────────▶ done
//!      │  ask and send, if it is small        ▲ │
//!      ├──────────────────────────────────────┘ │
//!      └──◀──── asked or sent, when the connection is lost
//! ```
//!
//! Before a file that was sent over a lost connection is sent again, the server is asked whether it has it.
//! A download is done when it was asked for and has come.

use std::collections::VecDeque;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::names::Files;
use super::transfer::LocalFile;
use super::{Client, Progress, Receipt, Watch};
use crate::dialect::{SumOf, Upload, must_be_quiet};
use crate::error::{Answer, Code, Failure};
use crate::limits;
use crate::wire::Wire;

/// How many bytes of requests for downloads, or of replies to uploads, a client has under way that it sends
/// ahead. The buffers of every system take that much, so that its writes never wait for a server whose
/// replies wait for the client. The standard library can neither ask for their size nor set it.
const AHEAD: usize = 16 << 10;

/// A larger file is not sent before the server accepts it, and takes part of it to be refused in step.
const AHEAD_FILE: u64 = 64 << 10;

/// How many bytes of files a client has under way that the server has not accepted yet: all of it is lost if the
/// first one is refused.
const AHEAD_PAYLOAD: u64 = 1 << 20;

/// How many bytes the replies to an upload have at most, beside the name: `ok ready`, and `ok received` with a
/// size and a counter in the name. An error comes in their place, and ends what was sent ahead.
const RECEIPT: usize = "ok ready\nok received \n".len() + 2 * (limits::SIZE_DIGITS + 1);

/// The number of a file, and what came of it.
pub(super) type Moved = (usize, Answer<Receipt>);

/// The files of one command, and how far it has come.
pub(super) trait Batch {
    /// Moves the next file.
    fn next(&mut self, client: &mut Client, watch: &mut Watch<'_>) -> Option<Moved>;

    /// Makes the file that failed last the next one again, if it can be moved twice without harm.
    fn again(&mut self, failure: &Failure) -> bool;

    /// How many files were sent again, though the first time may have stored them.
    fn sent_twice(&self) -> usize {
        0
    }
}

/// The files that are under way, and the number of the next one.
struct Queue<S> {
    /// Requests are sent ahead. Else one file at a time.
    ahead: bool,
    under_way: VecDeque<S>,
    next: usize,
    /// When the last file was done.
    since: Instant,
}

impl<S> Queue<S> {
    fn new(client: &mut Client, files: usize) -> Queue<S> {
        let (ahead, under_way) = (client.sends_ahead(files), VecDeque::new());
        Queue { ahead, under_way, next: 0, since: Instant::now() }
    }

    /// The number of the first file that is under way.
    fn first(&self) -> usize {
        self.next - self.under_way.len()
    }

    /// Takes note that this file is done. What is under way over a lost connection is waiting again.
    fn done(&mut self, number: usize, client: &Client) {
        self.since = Instant::now();
        if client.wire.is_none() {
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

impl Client {
    /// Sends a file, under its own name if no other is given.
    ///
    /// # Errors
    /// The file's, the server's, or the connection's.
    pub fn upload(
        &mut self,
        path: &Path,
        name: Option<&str>,
        watch: &mut Watch<'_>,
    ) -> Answer<Receipt> {
        let files = vec![(path.to_owned(), name.map(str::to_owned))];
        let mut batch = Uploads::new(self, files);
        batch.next(self, watch).map_or(Err(Failure::NoReply), |(_, moved)| moved)
    }
}

/// An upload that is under way.
enum State {
    /// Its request was sent.
    Asked(LocalFile),
    /// The file too, of this name and size, in this time.
    Sent { name: String, size: u64, time: Duration, is_accepted: bool },
}

impl State {
    /// How many bytes of replies are to come for it, and how many of its own were sent unaccepted.
    fn load(&self) -> (usize, u64) {
        match self {
            State::Sent { name, size, is_accepted, .. } => {
                (RECEIPT + name.len(), if *is_accepted { 0 } else { *size })
            }
            // While the last one is only asked for, no more are asked for in any case.
            State::Asked(_) => (0, 0),
        }
    }

    /// If a large file is refused at its end, it is not known whether the server closes or reads what comes after it.
    fn is_large(&self) -> bool {
        matches!(self, State::Sent { size, .. } if *size > limits::DRAIN)
    }
}

/// Files to send.
pub(super) struct Uploads {
    files: Files<PathBuf>,
    queue: Queue<State>,
    /// Those before this number may be stored: their receipts were lost with the connection.
    unsure: usize,
    /// Those of them that are.
    confirmed: Vec<usize>,
    /// A file was refused: the next one is sent only after the server has accepted it, until one is stored.
    in_step: bool,
    /// Files of this size and more are refused like an earlier one, and not sent.
    refused_from: u64,
    /// How many were sent again, because the server did not have them yet when it was asked.
    sent_twice: usize,
}

impl Uploads {
    pub(super) fn new(client: &mut Client, files: Files<PathBuf>) -> Uploads {
        Uploads {
            queue: Queue::new(client, files.len()),
            files,
            unsure: 0,
            confirmed: Vec::new(),
            in_step: false,
            refused_from: u64::MAX,
            sent_twice: 0,
        }
    }

    fn open(&self, number: usize) -> Answer<LocalFile> {
        let (path, name) = self.files.get(number).ok_or(Failure::NoReply)?;
        LocalFile::open(path, name.as_deref())
    }

    fn size(&self, number: usize) -> Option<u64> {
        let (path, _) = self.files.get(number)?;
        Some(fs::metadata(path).ok()?.len())
    }

    /// Whether the server would refuse this file for the same reason as an earlier one.
    fn would_be_refused(&self, number: usize) -> bool {
        self.refused_from < u64::MAX
            && self.size(number).is_some_and(|size| size >= self.refused_from)
    }

    /// Learns from what came of a file.
    fn learn(&mut self, number: usize, moved: &Answer<Receipt>, is_connected: bool) {
        let Err(failure) = moved else {
            self.in_step = false;
            return;
        };
        let code = failure.code();
        self.in_step |= code.is_some();
        let refused_from = match code {
            Some(Code::ReadOnly) => Some(0),
            // A smaller file may fit.
            Some(Code::NoSpace) => self.size(number),
            _ => None,
        };
        self.refused_from = self.refused_from.min(refused_from.unwrap_or(u64::MAX));
        // A server that has refused a file has closed the connection, and taken none after it.
        if self.queue.ahead && !is_connected && (failure.is_lost() || code.is_none()) {
            self.unsure = self.unsure.max(self.queue.next);
        }
    }

    /// Asks for the sums of the files whose receipts were lost.
    fn check(&mut self, client: &mut Client, request: SumOf, first: usize) -> Answer<()> {
        let mut asked = Vec::new();
        for number in first..self.unsure {
            if let Ok(mut file) = self.open(number)
                && let Ok(sum) = file.sum()
                // If the connection broke, taking the sums says so.
                && client.send(|wire| (request.ask)(wire, &file.name)).is_ok()
            {
                asked.push((number, sum));
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

    /// Whether the next file may be asked for while these are under way.
    fn may_ask(&self, client: &Client) -> bool {
        let loads = self.queue.under_way.iter().map(State::load);
        let (replies, payload) = loads.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
        replies < AHEAD - RECEIPT - limits::LINE
            && payload <= AHEAD_PAYLOAD - AHEAD_FILE
            && self.queue.next < self.files.len()
            && !matches!(self.queue.under_way.back(), Some(State::Asked(_)))
            && !self.in_step
            && !self.would_be_refused(self.queue.next)
            && !self.confirmed.contains(&self.queue.next)
            && client.can_send()
    }

    /// Asks for the next files, as many as may be under way, after half of those are done.
    fn fill(&mut self, client: &mut Client, upload: Upload) {
        let replies: usize = self.queue.under_way.iter().map(|state| state.load().0).sum();
        while self.queue.ahead && replies <= AHEAD / 2 && self.may_ask(client) {
            let asked = self.open(self.queue.next).and_then(|file| self.ask(client, upload, file));
            // What cannot be sent is told when it is its turn.
            let Ok(state) = asked else { break };
            self.queue.under_way.push_back(state);
            self.queue.next += 1;
        }
    }

    /// Sends the request for a file, and the file if it is small and need not be accepted before.
    fn ask(&self, client: &mut Client, upload: Upload, mut file: LocalFile) -> Answer<State> {
        if !self.queue.ahead {
            client.step(|wire| (upload.ask)(wire, &file.name, file.size))?;
            return Ok(State::Asked(file));
        }
        let is_after_large = self.queue.under_way.iter().any(State::is_large);
        let is_small = file.size <= AHEAD_FILE && !self.in_step && !is_after_large;
        let bytes = if is_small { file.read_whole()? } else { Vec::new() };
        let asked = client.send(|wire| {
            (upload.ask)(wire, &file.name, file.size)?;
            let mut left = bytes.as_slice();
            let mut source = |into: &mut [u8]| Ok(left.read(into).unwrap_or_default());
            if is_small { (upload.send)(wire, file.size, &mut source) } else { Ok(()) }
        });
        match asked {
            Err(failure @ Failure::Unsendable(_)) => Err(failure),
            // If the connection broke, taking the replies says so.
            _ if is_small => {
                let (name, size, time) = (file.name, file.size, Duration::ZERO);
                Ok(State::Sent { name, size, time, is_accepted: false })
            }
            _ => Ok(State::Asked(file)),
        }
    }

    /// Takes the first file that is under way to its end.
    fn finish(&mut self, client: &mut Client, watch: &mut Watch<'_>) -> Answer<Receipt> {
        let requests = client.requests();
        let upload = requests.upload.ok_or_else(|| client.lacks("upload"))?;
        let first = self.queue.first();
        if self.queue.under_way.is_empty() {
            (self.queue.next, self.queue.since) = (first + 1, Instant::now());
            client.must_verify_if_asked()?;
            // A file that cannot be opened needs no connection.
            let file = self.open(first)?;
            client.begin()?;
            if let Some(sum) = requests.sum.filter(|_| self.queue.ahead) {
                self.check(client, sum, first)?;
            }
            if self.confirmed.contains(&first) {
                let time = self.queue.since.elapsed();
                return Ok(Receipt { stored: None, bytes: file.size, partial: 0, time });
            }
            let state = self.ask(client, upload, file)?;
            self.queue.under_way.push_back(state);
        }
        loop {
            self.fill(client, upload);
            match self.queue.under_way.pop_front() {
                None => return Err(Failure::NoReply),
                Some(State::Asked(mut file)) => {
                    client.step(upload.take_ready)?;
                    let (name, size) = (file.name.clone(), file.size);
                    let mut done = 0;
                    let mut sending = |into: &mut [u8]| {
                        watch(Progress::Moved(done, Some(size)));
                        file.read(into).inspect(|n| done += *n as u64)
                    };
                    let time = client.step(|wire| {
                        must_be_quiet(requests, wire, true)?;
                        upload.send_or_reason(wire, &name, size, &mut sending)
                    })?;
                    let sent = State::Sent { name, size, time, is_accepted: true };
                    // The next requests need not wait for this receipt.
                    self.queue.under_way.push_front(sent);
                }
                Some(State::Sent { name, size, time, is_accepted }) => {
                    watch(Progress::Sent);
                    if !is_accepted {
                        let ready = client.step(upload.take_ready);
                        ready.inspect_err(|_| client.drop_connection())?;
                    }
                    let take = |wire: &mut _| (upload.take_receipt)(wire, &name, size, time);
                    let stored = client.step(take)?;
                    let time = self.queue.since.elapsed();
                    client.end();
                    if client.config().verify {
                        let mut sent = self.open(first)?;
                        sent.size = size;
                        client.verify(stored.as_deref().unwrap_or(&name), sent.sum()?, true)?;
                    }
                    return Ok(Receipt { stored, bytes: size, partial: 0, time });
                }
            }
        }
    }
}

impl Batch for Uploads {
    fn next(&mut self, client: &mut Client, watch: &mut Watch<'_>) -> Option<Moved> {
        while self.queue.under_way.is_empty() && self.would_be_refused(self.queue.next) {
            self.queue.next += 1;
        }
        let first = self.queue.first();
        self.files.get(first)?;
        let moved = self.finish(client, watch);
        self.learn(first, &moved, client.wire.is_some());
        self.queue.done(first, client);
        Some((first, moved))
    }

    fn again(&mut self, failure: &Failure) -> bool {
        // Nothing of a file has left if the server could not be reached or took no connection.
        let was_not_sent =
            matches!(failure, Failure::Unreachable(_)) || failure.code() == Some(Code::Busy);
        (self.queue.ahead || was_not_sent) && self.queue.again()
    }

    fn sent_twice(&self) -> usize {
        self.sent_twice
    }
}

/// Files to receive.
pub(super) struct Downloads {
    files: Files<String>,
    queue: Queue<()>,
}

impl Downloads {
    pub(super) fn new(client: &mut Client, files: Files<String>) -> Downloads {
        let queue = Queue::new(client, files.len());
        Downloads { files, queue }
    }

    /// Asks for the next files, as many as may be under way, after half of those are done. One that has come in
    /// part is not asked for as a whole.
    fn fill(&mut self, client: &mut Client, ask: fn(&mut Wire, &str) -> Answer<()>) {
        let cost = |name: &str| "download \n".len() + name.len();
        let under_way = self.files.get(self.queue.first()..self.queue.next).unwrap_or_default();
        let mut requests: usize = under_way.iter().map(|(name, _)| cost(name)).sum();
        let is_enough = requests > AHEAD / 2;
        while let Some((name, local)) = self.files.get(self.queue.next).filter(|_| !is_enough)
            && requests < AHEAD - limits::LINE
            && !client.has_partial(name)
            && client.can_send()
        {
            // What cannot be kept here or asked for is told when it is its turn. If the connection broke, taking the
            // file says so.
            if client.local_name(name, local.as_deref()).is_err()
                || matches!(client.send(|wire| ask(wire, name)), Err(Failure::Unsendable(_)))
            {
                break;
            }
            requests += cost(name);
            self.queue.under_way.push_back(());
            self.queue.next += 1;
        }
    }

    /// Receives the first file that is under way, or one alone.
    fn finish(&mut self, client: &mut Client, watch: &mut Watch<'_>) -> Answer<Receipt> {
        let first = self.queue.first();
        if let Some(download) = client.requests().download.filter(|_| self.queue.ahead) {
            if self.queue.under_way.is_empty() {
                client.begin()?;
            }
            self.fill(client, download.ask);
        }
        let (name, local) = self.files.get(first).ok_or(Failure::NoReply)?;
        let asked = self.queue.under_way.pop_front().map(|()| self.queue.since);
        self.queue.next += usize::from(asked.is_none());
        client.receive(name, local.as_deref(), watch, asked)
    }
}

impl Batch for Downloads {
    fn next(&mut self, client: &mut Client, watch: &mut Watch<'_>) -> Option<Moved> {
        let first = self.queue.first();
        self.files.get(first)?;
        let moved = self.finish(client, watch);
        self.queue.done(first, client);
        Some((first, moved))
    }

    fn again(&mut self, _: &Failure) -> bool {
        self.queue.again()
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::client::tests::scripted;
    use crate::wire::script::Step;

    /// Nothing has come before the first request, and then a reply for each file.
    fn replies(each: impl Fn(usize) -> String, files: usize) -> Vec<Step> {
        let replies = (0..files).map(|n| Step::Bytes(each(n).into()));
        std::iter::once(Step::Pause).chain(replies).collect()
    }

    /// Moves the files, and looks at how much is under way when more is asked for. `sent` tells how much was asked for
    /// so far, of which `each` belongs to one file; more is asked for when at most so much is left.
    fn move_all(
        client: &mut Client,
        mut batch: impl Batch,
        files: usize,
        sent: impl Fn() -> usize,
        each: usize,
        (left_most, bounds): (usize, Range<usize>),
    ) {
        let (mut before, mut fillings) = (0, 0);
        for moved in 0..files {
            let (number, came) = batch.next(client, &mut |_| {}).unwrap();
            assert_eq!((number, came.is_ok()), (moved, true), "{came:?}");
            if sent() > before {
                fillings += 1;
                let (left, now) = (before.saturating_sub(moved * each), sent() - moved * each);
                let is_due = before == 0 || (left <= left_most && left + each > left_most);
                assert!(is_due, "{left} were left after {moved} files");
                let is_last = sent() == files * each;
                assert!(bounds.contains(&now) || is_last, "{now} after {moved} files");
            }
            before = sent();
        }
        assert!(
            fillings > 1 && before == files * each && batch.next(client, &mut |_| {}).is_none()
        );
    }

    #[test]
    fn requests_for_downloads_fill_the_buffers_of_every_system_and_no_more() {
        const FILES: usize = 700;
        let (mut client, written, _folder) = scripted(replies(|_| "ok 1\nx".to_owned(), FILES));
        let name = |n: usize| (format!("file-number-{n:04}"), None);
        let batch = Downloads::new(&mut client, (0..FILES).map(name).collect());
        let (request, sent) = ("download file-number-0000\n".len(), || written.bytes().len());
        let bounds = (AHEAD / 2, AHEAD - limits::LINE..AHEAD);
        move_all(&mut client, batch, FILES, sent, request, bounds);
        let begin = "download file-number-0000\ndownload file-number-0001\n";
        assert!(written.text().starts_with(begin));
    }

    #[test]
    fn no_replies_to_an_upload_are_longer_than_is_thought() {
        let longest = format!("ok ready\nok received {0} a_{0}\n", i64::MAX);
        assert_eq!(longest.len(), RECEIPT + "a".len());
    }

    #[test]
    fn a_file_that_grows_while_it_is_sent_is_sent_as_it_was() {
        let [ready, received] = ["ok ready\n", "ok received 5 a\n"].map(|r| Step::Bytes(r.into()));
        let (mut client, written, folder) =
            scripted(vec![Step::Pause, ready, Step::Pause, received]);
        let path = folder.path().join("a");
        fs::write(&path, "hello").unwrap();
        let mut grow = |_| fs::write(&path, "hello and more").unwrap();
        assert_eq!(client.upload(&path, None, &mut grow).unwrap().bytes, 5);
        assert_eq!(written.text(), "upload a\n5\nhello");
    }

    /// For small files the replies are the bound, with room for one of the longest name, and for larger ones the files.
    #[test]
    fn uploads_are_sent_ahead_of_no_more_replies_and_bytes_than_that() {
        let payload = usize::try_from(AHEAD_PAYLOAD).unwrap();
        let full = AHEAD - limits::LINE;
        for (size, files, width, reply, bounds) in [
            (1, 400, 99, RECEIPT + 99, (AHEAD / 2, full - RECEIPT..full + 99)),
            (60_000, 50, 3, 0, (payload - 60_000, payload - 60_000..payload)),
        ] {
            let receipt = |n| format!("ok ready\nok received {size} {n:0width$}\n");
            let (mut client, written, folder) = scripted(replies(receipt, files));
            let put = |n: usize| {
                let path = folder.path().join(format!("{n:0width$}"));
                fs::write(&path, vec![0; size]).unwrap();
                (path, None)
            };
            let batch = Uploads::new(&mut client, (0..files).map(put).collect());
            let one = format!("upload {:0width$}\n{size}\n", 0).len() + size;
            let each = if reply > 0 { reply } else { size };
            let sent = || written.bytes().len() / one * each;
            move_all(&mut client, batch, files, sent, each, bounds);
        }
    }
}
