//! What stands between a wire and its socket: nothing, or a tracer, or an adversary above it.

use std::net::TcpStream;
use std::sync::Arc;

use crate::stammer::{Faults, Stammering};
use crate::stream::Stream;
use crate::trace::{Ladder, Output, Side, Traced, Watcher};

/// How sockets are dressed.
#[derive(Clone, Default)]
pub struct Lens {
    /// Every read and write is printed there.
    pub trace: Option<Output>,
    /// What is said goes wrong.
    pub faults: Option<Faults>,
    /// Somebody else who is told of every read and write.
    pub watcher: Option<Arc<dyn Watcher>>,
}

impl Lens {
    /// A connected socket as the wire will see it.
    #[must_use]
    pub fn over(&self, socket: TcpStream, side: Side, dialect: &str) -> Box<dyn Stream> {
        let ladder = self.trace.clone().map(|to| match (socket.local_addr(), socket.peer_addr()) {
            (Ok(ours), Ok(theirs)) if side == Side::Client => {
                Some(Ladder::begin(side, dialect, ours, theirs, to))
            }
            (Ok(ours), Ok(theirs)) => Some(Ladder::begin(side, dialect, theirs, ours, to)),
            _ => None,
        });
        let mut stream: Box<dyn Stream> = Box::new(socket);
        if let Some(watcher) = &self.watcher {
            stream = Box::new(Traced::new(stream, Arc::clone(watcher)));
        }
        if let Some(Some(ladder)) = ladder {
            stream = Box::new(Traced::new(stream, Arc::new(ladder)));
        }
        if let Some(faults) = &self.faults {
            stream = Box::new(Stammering::new(stream, faults.clone()));
        }
        stream
    }
}
