//! Messages that are read in parts, so that a list that is one long line is never in memory as a whole.

use super::waiting::Wait;
use super::{Brought, Wire, length, too_long};
use crate::error::{Awaited, Result};
use crate::limits;

impl Wire {
    /// Reads a part of a message, up to and with the byte at which `ends` says so; it is shown every
    /// byte once. The rest of the message is read as a line.
    ///
    /// # Errors
    /// The end does not come within `most` bytes, or not in time, or the stream ends before.
    pub fn read_part(&mut self, most: usize, ends: &mut dyn FnMut(u8) -> bool) -> Result<Vec<u8>> {
        self.must_owe_nothing()?;
        let mut searched = 0;
        let mut wait = Wait::new(Awaited::Value);
        loop {
            let fresh = self.buffered().get(searched..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|byte| ends(*byte)) {
                let part = self.take(searched.saturating_add(at).saturating_add(1));
                // Enough of it to be shown when the message is complete.
                let room = limits::SHOWN.saturating_sub(self.part.0.len());
                self.part.0.extend(part.iter().take(room));
                self.part.1 = self.part.1.saturating_add(length(&part));
                self.awaiting_since = None;
                self.has_reply = true;
                return Ok(part);
            }
            searched = self.buffered().len();
            if searched > most {
                return Err(too_long(most));
            }
            match self.fill(&mut wait)? {
                Brought::Bytes => {}
                Brought::Silence => return Err(self.silent(&wait)),
                Brought::End => return Err(self.cut_short(&wait)),
            }
        }
    }
}
