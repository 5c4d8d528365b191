//! How many connections there are, and how many there may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The places of one server.
pub(super) struct Places {
    most: usize,
    taken: Arc<AtomicUsize>,
}

/// One of them, free again when it is dropped.
pub(super) struct Place(Arc<AtomicUsize>);

impl Places {
    pub(super) fn new(most: usize) -> Places {
        Places { most, taken: Arc::default() }
    }

    /// A place, if one is free.
    pub(super) fn take(&self) -> Option<Place> {
        if self.taken.fetch_add(1, Ordering::AcqRel) < self.most {
            return Some(Place(Arc::clone(&self.taken)));
        }
        self.taken.fetch_sub(1, Ordering::AcqRel);
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_owner_goes() {
        let places = Places::new(2);
        let first = places.take();
        let second = places.take();
        assert!(first.is_some() && second.is_some() && places.take().is_none());
        drop(first);
        assert!(places.take().is_some());
        drop(second);
    }
}
