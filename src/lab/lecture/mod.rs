//! What a lecture shows: every read and write, what they would be as packets, and what the framings cost.
//!
//! [`Instruments`] are between a wire and its socket. `demo`, `compare`, `lesson`, `tcp` and `questions` are commands of
//! `connme-lab`, and so is `dissector`, which prints the [`DISSECTOR`] for Wireshark.

mod canvas;
pub mod capture;
pub(super) mod compare;
pub(super) mod demo;
pub mod faults;
mod flights;
mod instrumented;
pub mod kernel;
mod keys;
pub mod lessons;
mod local;
mod packet;
pub mod picture;
pub mod questions;
mod record;
mod sequence;
pub(super) mod tcp;
#[cfg(test)]
mod tests;
pub mod trace;

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use super::line::CommandLine;
use crate::cli::{InstrumentFlags, args};
use crate::client::outcome::Outcome;
use crate::client::ui::Ui;
use crate::lang::Msg;
use crate::wire::stream::{self, Prepare, Stream};
use capture::Capture;
use faults::Faults;
use instrumented::Instrumented;
use kernel::Watch;
use picture::{Picture, save};
use trace::{Connection, Ladder, Observer, Output, Side};

/// Makes an observer.
pub type MakeObserver = Arc<dyn Fn() -> Box<dyn Observer> + Send + Sync>;

/// What is between a wire and its socket.
#[derive(Clone, Default)]
pub struct Instruments {
    /// Where every read and write becomes a packet.
    pub capture: Option<Arc<Capture>>,
    /// Where every read and write is printed.
    pub trace: Option<Output>,
    /// After each call all observers are told what the kernel says of the socket.
    pub kernel: bool,
    /// What goes wrong with what is sent.
    pub faults: Option<Faults>,
    /// Makes what receives every read and write of a new connection.
    pub observer: Option<MakeObserver>,
    /// Where every connection is recorded.
    pub picture: Option<Arc<Picture>>,
}

impl Instruments {
    /// Puts these between the wires of this side and their sockets. Without any there is the plain socket.
    pub fn prepare(self, side: Side) -> Prepare {
        let Instruments { capture, trace, faults, observer, picture, .. } = &self;
        let is_watched = capture.is_some() || trace.is_some() || observer.is_some();
        if !is_watched && faults.is_none() && picture.is_none() {
            return stream::plain();
        }
        Arc::new(move |socket, peer, dialect| self.over(socket, peer, side, dialect))
    }

    fn over(
        &self,
        socket: TcpStream,
        peer: Option<SocketAddr>,
        side: Side,
        dialect: &'static str,
    ) -> Box<dyn Stream> {
        let watch = self.kernel.then(|| Watch::new(&socket)).flatten();
        let peer = peer.map_or_else(|| socket.peer_addr(), Ok);
        let addresses = socket.local_addr().and_then(|own| Ok((own, peer?)));
        let mut observers: Vec<_> = self.observer.iter().map(|make| make()).collect();
        if let Ok((own, peer)) = addresses {
            let (client, server) = if side == Side::Client { (own, peer) } else { (peer, own) };
            let connection = Connection { side, dialect, client, server };
            if let Some(capture) = &self.capture {
                observers.push(Box::new(capture.begin(connection)));
            }
            if let Some(picture) = &self.picture {
                let cut = self.faults.as_ref().and_then(|faults| faults.cut);
                observers.push(Box::new(picture.observe(connection, cut)));
            }
            if let Some(output) = &self.trace {
                observers.push(Box::new(Ladder::begin(connection, output.clone())));
            }
        }
        if observers.is_empty() && self.faults.is_none() {
            return Box::new(socket);
        }
        let faults = self.faults.clone().unwrap_or_default();
        Box::new(Instrumented::new(Box::new(socket), observers, watch, faults))
    }
}

/// The faults that these flags ask for.
///
/// # Errors
/// They are none, or a flag asks for what this system does not have.
pub fn faults(flags: &InstrumentFlags) -> Result<Option<Faults>, Msg> {
    kernel::check(flags.kernel)?;
    let Some(value) = &flags.stammer else { return Ok(None) };
    let wanted = ("faults like slice=1,delay=20", "gangguan seperti slice=1,delay=20");
    let wrong = || args::wrong_value("--stammer", value, wanted);
    Faults::parse(value).map(Some).ok_or_else(wrong)
}

/// What explains the five dialects to Wireshark and tshark, from version 3.6 on.
pub static DISSECTOR: &str = include_str!("dissector.lua");

/// Prints a text, or writes it into the file that the user chose.
pub(super) fn deliver(ui: &Ui, line: &CommandLine, text: &str) -> Outcome {
    match &line.flags.output {
        Some(path) => Ok(save(path, text)?),
        None => Ok(ui.print(text)?),
    }
}
