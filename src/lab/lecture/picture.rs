//! The picture of a session: `--ladder`. It keeps the tapes of all connections until they are drawn.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::record::Tape;
use super::sequence::draw;
use super::trace::{Connection, Event, Observer};
use crate::cli;
use crate::error::{Answer, CREATE, Failure, lock};
use crate::lang::Lang;

/// The sides of connections that are kept.
const MOST_TAPES: usize = 40;

/// How long a picture waits for the other thread's side to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// The file of `--ladder`, and what is recorded for it, by one clock.
pub struct Picture {
    path: PathBuf,
    lang: Lang,
    is_dark: bool,
    start: Instant,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    tapes: Vec<Tape>,
    /// The parts of the session with a picture of their own: when each begins, the word of its command, and what the
    /// user typed.
    scenes: Vec<(Duration, &'static str, String)>,
    running: usize,
    left_out: u64,
}

impl Picture {
    /// The picture that the user wants, if any. The file is made now, so that a path that cannot be written
    /// to is reported before anything else is done. The clock begins now.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn begin(ladder: &cli::Picture, lang: Lang) -> Answer<Option<Arc<Picture>>> {
        let Some(path) = ladder.file.clone() else { return Ok(None) };
        save(&path, "")?;
        let (is_dark, start, state) = (ladder.is_dark, Instant::now(), Mutex::default());
        Ok(Some(Arc::new(Picture { path, lang, is_dark, start, state, ended: Condvar::new() })))
    }

    /// The observer of one side of a new connection, which may break off after a number of bytes.
    pub(super) fn observe(self: &Arc<Picture>, connection: Connection, cut: Option<u64>) -> Track {
        let mut state = lock(&self.state);
        state.running += 1;
        let number = state.tapes.len();
        if number < MOST_TAPES {
            state.tapes.push(Tape::new(connection, self.start.elapsed(), cut));
        } else {
            state.left_out += 1;
        }
        Track { picture: Arc::clone(self), number }
    }

    /// Begins a part of the session with a picture of its own.
    pub(super) fn begin_scene(&self, word: &'static str, typed: &str) {
        lock(&self.state).scenes.push((self.start.elapsed(), word, typed.to_owned()));
    }

    /// All tapes, after those that still run have had a moment to end, and the number of sides of connections
    /// that were left out.
    pub(super) fn tapes(&self) -> (Vec<Tape>, u64) {
        let state = lock(&self.state);
        let waited = self.ended.wait_timeout_while(state, PATIENCE, |state| state.running > 0);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (state.tapes.clone(), state.left_out)
    }

    /// Draws what was recorded, and each scene of it in a file of its own: `a.svg` and `a-1-connme.svg`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self) -> Answer<()> {
        let (tapes, left_out) = self.tapes();
        save(&self.path, &draw(&tapes, left_out, None, self.lang, self.is_dark))?;
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let scenes = lock(&self.state).scenes.clone();
        for (n, (began, word, typed)) in scenes.iter().enumerate() {
            let end = scenes.get(n + 1).map_or(Duration::MAX, |(next, ..)| *next);
            let tapes: Vec<_> = tapes.iter().filter_map(|tape| tape.between(*began, end)).collect();
            let path = self.path.with_file_name(format!("{stem}-{}-{word}.svg", n + 1));
            save(&path, &draw(&tapes, 0, Some(typed), self.lang, self.is_dark))?;
        }
        Ok(())
    }
}

/// Records one side of a connection.
pub(super) struct Track {
    picture: Arc<Picture>,
    number: usize,
}

impl Observer for Track {
    fn see(&mut self, event: Event<&[u8]>, took: Duration) {
        let at = self.picture.start.elapsed();
        if let Some(tape) = lock(&self.picture.state).tapes.get_mut(self.number) {
            tape.add(event, at, took);
        }
    }
}

impl Drop for Track {
    fn drop(&mut self) {
        lock(&self.picture.state).running -= 1;
        self.picture.ended.notify_all();
    }
}

/// Writes a text into a file.
///
/// # Errors
/// The file cannot be written.
pub(super) fn save(path: &Path, text: &str) -> Answer<()> {
    let failed = |error| Failure::local(CREATE, path.display(), error);
    fs::write(path, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::lecture::trace::Side;

    #[test]
    fn a_picture_is_bounded_and_waits_for_the_other_side() {
        let folder = tempfile::tempdir().unwrap();
        let file = Some(folder.path().join("a.svg"));
        let ladder = cli::Picture { file, is_dark: false };
        let picture = Picture::begin(&ladder, Lang::En).unwrap().unwrap();
        let [client, server] = ["127.0.0.1:1", "127.0.0.1:2"].map(|at| at.parse().unwrap());
        let connection = Connection { side: Side::Client, dialect: "text", client, server };
        let begin = || picture.observe(connection, None);
        (0..MOST_TAPES).for_each(|_| drop(begin()));
        begin().see(Event::Reset, Duration::ZERO);
        let last = begin();
        let thread = std::thread::spawn(move || drop(last));
        let (tapes, left_out) = picture.tapes();
        thread.join().unwrap();
        assert_eq!((tapes.len(), left_out), (MOST_TAPES, 2));
        assert_eq!(lock(&picture.state).running, 0);
    }
}
