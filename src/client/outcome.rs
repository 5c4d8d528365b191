//! What became of a command.

use std::io;

use crate::error::Failure;
use crate::lang::Msg;

/// What a command returns, and what it calls.
pub type Outcome<T = ()> = Result<T, Stop>;

/// Why a command ended early.
#[derive(Debug)]
pub enum Stop {
    /// Standard output cannot be written to.
    Output(io::Error),
    /// The command was typed wrongly.
    Wrong(Msg),
    /// Nothing was done, for this reason.
    Refused(Msg),
    /// A request failed, or something on this machine.
    Failed(Failure),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Output(error)
    }
}

impl From<Msg> for Stop {
    fn from(wrong: Msg) -> Stop {
        Stop::Wrong(wrong)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failed(failure)
    }
}
