//! Failures in words: what was tried, on what, why it failed and what to do.

use super::Client;
use crate::dialect::{LAST_WORDS, UNASKED};
use crate::error::{Awaited, Code, Error, Waited};
use crate::lang::escape;
use crate::lang::{self, Hint, Msg, Why};

/// A failure in words: what was tried, on what, why it failed and what to do.
pub(super) fn explain(tried: String, error: &Error, client: &Client, is_single: bool) -> Msg {
    let server = client.server();
    let dialect = client.config().dialect.name();
    // A single command has no connection to open again.
    let again = if is_single { Hint::RunAgain } else { Hint::Reconnect };
    let sentence = escape(error.sentence().as_bytes()).into_owned();
    let cause = error.cause().map(str::to_owned);
    let and_cause = |sentence: String| match error.cause() {
        Some(cause) => format!("{sentence} ({cause})"),
        None => sentence,
    };
    let waited = error.waited().map(so_far);
    let (why, hint) = match error.code() {
        Code::Lacks => return Msg::Lacks { dialect, command: sentence },
        Code::Unreachable => match cause {
            None => (Why::NotConnected, None),
            Some(cause) => {
                let server =
                    error.sentence().strip_prefix("connect to ").unwrap_or(&server).to_owned();
                (Why::Unreachable { server, cause }, Some(Hint::IsServerRunning))
            }
        },
        Code::Local => {
            let has_own_advice = error.cause().is_some_and(|cause| cause.contains("; "));
            let hint = (tried.starts_with("upload") && !has_own_advice).then_some(Hint::SeeLls);
            let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
            (Why::Local { what: format!("{sentence}{cause}") }, hint)
        }
        Code::Unsure => (Why::Unsure, None),
        Code::Gone if error.waited().is_some_and(|waited| waited.wanted == Awaited::Reply) => {
            (Why::NoReply, Some(again))
        }
        Code::Gone => (Why::Gone { cause: and_cause(sentence), waited }, Some(again)),
        // Our own timeout. One that the server reports is a refusal, and no wait comes with it.
        Code::Timeout if waited.is_some() => {
            (Why::Silent { waited: waited.unwrap_or_default() }, Some(again))
        }
        Code::Nonsense if error.sentence() == UNASKED => {
            (Why::Unasked { got: cause.unwrap_or_default() }, Some(Hint::WrongServer))
        }
        Code::Nonsense => {
            let cause = cause.map(|cause| format!(", {cause}")).unwrap_or_default();
            (Why::Nonsense { what: format!("{sentence}{cause}") }, Some(Hint::WrongServer))
        }
        code => {
            let is_pattern = tried.contains(['*', '?']);
            let hint = match code {
                _ if error.their_word().is_some() => None,
                Code::NotFound | Code::IsFolder if client.speaks("ls") => Some(Hint::SeeLs),
                Code::NotFound if is_pattern => Some(Hint::NoPatterns { dialect }),
                // Only the name of an upload is for the user to choose.
                Code::BadName if tried.starts_with("upload ") => Some(Hint::OtherName),
                Code::Busy | Code::Internal => Some(Hint::TryAgain),
                Code::Timeout => Some(again),
                _ => None,
            };
            let word = error.their_word().unwrap_or(code.word());
            let word = escape(word.as_bytes()).into_owned();
            match sentence.strip_prefix(LAST_WORDS) {
                Some(last) => (Why::LastWords { sentence: last.to_owned(), word }, hint),
                None => (Why::Refused { sentence, word }, hint),
            }
        }
    };
    let hint = match (error.is_first(), is_single) {
        (false, _) => hint,
        (true, true) => Some(Hint::OtherDialect { dialect }),
        (true, false) => Some(Hint::LeaveForOtherDialect { dialect }),
    };
    Msg::Failed { tried, why, hint }
}

/// A message that is not complete, fit to be shown.
pub(super) fn so_far(waited: &Waited) -> lang::Waited {
    let wanted = match waited.wanted {
        Awaited::Line => lang::Awaited::Line,
        Awaited::Words(words) => lang::Awaited::Words { words: words.to_vec() },
        Awaited::Bytes(count) => lang::Awaited::Bytes { count },
        Awaited::Word | Awaited::Mark | Awaited::Value | Awaited::Reply => lang::Awaited::Rest,
        Awaited::Close => lang::Awaited::Close,
        Awaited::Payload { came, size: Some(size) } => lang::Awaited::File { came, size },
        Awaited::Payload { came, size: None } => lang::Awaited::Stream { came },
    };
    lang::Waited { got: escape(&waited.got).into_owned(), wanted }
}
