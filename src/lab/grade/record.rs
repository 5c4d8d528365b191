//! What the connections of a check share: how long they may wait, and the steps that are noted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::seen::{Rung, What};
use crate::error::lock;

/// How much of a client's payload a step shows.
const SHOWN: usize = 8 << 10;

/// How long it is read what a client has sent before it ended.
const REST: Duration = Duration::from_secs(1);

/// What all connections of a check share.
pub(super) struct Record {
    pub(super) start: Instant,
    pub(super) deadline: Instant,
    /// The other side is a client.
    pub(super) is_server: bool,
    /// How many bytes have come in the run, where that is limited.
    pub(super) came: Arc<AtomicU64>,
    /// When something happened last.
    active: Mutex<Instant>,
    rungs: Mutex<Vec<Rung>>,
    /// How many MiB of a large file were sent.
    pub(super) flooded: AtomicU64,
    connections: AtomicU64,
    /// When the check ended. Since then only what has been sent before is read.
    ended: Mutex<Option<Instant>>,
}

impl Record {
    pub(super) fn new(came: &Arc<AtomicU64>, deadline: Instant, is_server: bool) -> Arc<Record> {
        let (start, came) = (Instant::now(), Arc::clone(came));
        Arc::new(Record {
            start,
            deadline,
            is_server,
            came,
            active: Mutex::new(start),
            rungs: Mutex::default(),
            flooded: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            ended: Mutex::default(),
        })
    }

    pub(super) fn note(&self, connection: u64, what: What) {
        self.touch();
        let mut rungs = lock(&self.rungs);
        // What a client sends in pieces of a payload is one step: it may be a lot.
        if self.is_server
            && let (What::Got(more), Some(Rung { connection: last, what: What::Got(got), .. })) =
                (&what, rungs.last_mut())
            && *last == connection
            && !got.ends_with(b"\n")
        {
            if got.len() < SHOWN {
                got.extend_from_slice(more);
            }
            return;
        }
        rungs.push(Rung { at: self.start.elapsed(), connection, what });
    }

    pub(super) fn left(&self) -> Duration {
        let deadline = lock(&self.ended).map_or(self.deadline, |ended| ended + REST);
        deadline.saturating_duration_since(Instant::now())
    }

    /// How long nothing has happened.
    pub(super) fn idle(&self) -> Duration {
        lock(&self.active).elapsed()
    }

    /// Something has happened.
    pub(super) fn touch(&self) {
        *lock(&self.active) = Instant::now();
    }

    pub(super) fn end(&self) {
        *lock(&self.ended) = Some(Instant::now());
    }

    pub(super) fn is_over(&self) -> bool {
        lock(&self.ended).is_some()
    }

    /// How many connections there were.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }

    /// The number of a new one.
    pub(super) fn opened(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The steps.
    pub(super) fn take_rungs(&self) -> Vec<Rung> {
        std::mem::take(&mut lock(&self.rungs))
    }
}
