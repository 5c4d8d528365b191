//! A failure in words.

use super::Client;
use crate::error::{Code, Failure, Trouble};
use crate::lang::{Hint, Msg};

/// The message for a failed command: what was tried, on what, why it failed, and what to do.
pub(super) fn explain(
    command: &'static str,
    name: String,
    failure: Failure,
    client: &Client,
    is_single: bool,
) -> Msg {
    let dialect = client.config().dialect.name();
    // A single command has no connection to open again.
    let again = if is_single { Hint::RunAgain } else { Hint::Reconnect };
    let has_list = client.requests().list_files.is_some();
    let hint = match &failure {
        Failure::Lacks(command) => return Msg::Lacks { dialect, command },
        Failure::Unreachable { .. } => Some(Hint::IsServerRunning),
        Failure::Local { why: Trouble::SizeUnknown, .. } => None,
        Failure::Local { why: Trouble::Name(_), .. } => Some(Hint::OtherName),
        Failure::Local { why: Trouble::IsFolder, .. } if command == "upload" => {
            Some(Hint::WithFolders)
        }
        Failure::Local { .. } if command == "upload" => Some(Hint::SeeLls),
        Failure::Unsendable(_) if command == "upload" => Some(Hint::OtherName),
        Failure::NoReply | Failure::Gone { .. } | Failure::Silent(_) | Failure::Interrupted
            if matches!(command, "upload" | "rm") =>
        {
            Some(Hint::MayBeDone { has_list })
        }
        Failure::NoReply
        | Failure::Gone { .. }
        | Failure::Silent(_)
        | Failure::Stalled
        | Failure::ListTooSlow(_) => Some(again),
        Failure::Unexpected { .. } | Failure::Unasked(_) => Some(Hint::WrongServer),
        failure => match failure.code() {
            Some(Code::IsFolder) if command == "download" => Some(Hint::WithFoldersThere),
            Some(Code::NotFound | Code::IsFolder) if has_list => Some(Hint::SeeLs),
            Some(Code::NotFound) if name.contains(['*', '?']) => Some(Hint::NoPatterns { dialect }),
            // Only the name of an upload is for the user to choose.
            Some(Code::BadName) if command == "upload" => Some(Hint::OtherName),
            Some(Code::Busy | Code::Internal) => Some(Hint::TryAgain),
            Some(Code::Timeout) => Some(again),
            _ => None,
        },
    };
    let is_strange = matches!(
        failure,
        Failure::Unexpected { .. }
            | Failure::Unasked(_)
            | Failure::NoReply
            | Failure::Gone { .. }
            | Failure::Silent(_)
            | Failure::ListTooLong(_)
    );
    let hint = match (is_strange && !client.dialect_is_confirmed, is_single) {
        (false, _) => hint,
        // The server may speak another dialect.
        (true, true) => Some(Hint::OtherDialect { dialect }),
        (true, false) => Some(Hint::LeaveForOtherDialect { dialect }),
    };
    Msg::Failed { command, name, failure: Box::new(failure), hint }
}
