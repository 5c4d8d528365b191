//! A failure in words: what was tried, why it failed, and what to do.

use super::Client;
use crate::dialect::Dialect;
use crate::error::{Code, Failure};
use crate::lang::{Msg, msg, text};

/// The message for a command that failed on this name.
pub(super) fn explain(
    command: &str,
    name: &str,
    failure: &Failure,
    client: &Client,
    is_single: bool,
) -> Msg {
    let dialect = client.config().dialect.name();
    let has_list = client.requests().list_files.is_some();
    // A server of another dialect can be the reason for these.
    let is_strange = failure.closes()
        && !matches!(failure, Failure::Interrupted | Failure::Stalled | Failure::Refused { .. });
    let is_upload = command == "upload";
    let has_no_reply =
        matches!(failure, Failure::NoReply | Failure::Gone { .. } | Failure::Silent(_));
    let is_lost =
        has_no_reply || *failure == Failure::Stalled || failure.code() == Some(Code::Timeout);
    let may_be_done =
        (has_no_reply || *failure == Failure::Interrupted) && (is_upload || command == "rm");
    let is_missing = failure.code() == Some(Code::NotFound);
    let hint = match (failure, failure.code()) {
        _ if is_strange && !client.dialect_is_confirmed => other_dialect(client, is_single),
        (Failure::Unreachable(_), _) => text!("is-server-running"),
        (Failure::Unsendable(_), _) | (_, Some(Code::BadName)) if is_upload => text!("choose-name"),
        _ if may_be_done && has_list => text!("may-be-done-ls"),
        _ if may_be_done => text!("may-be-done"),
        _ if is_lost && is_single => text!("run-again"),
        _ if is_lost => text!("connects-again"),
        (Failure::Strange(_), _) => text!("is-that-connme"),
        (_, Some(Code::IsFolder)) if command == "download" => text!("r-downloads-all"),
        (_, Some(Code::NotFound | Code::IsFolder)) if has_list => text!("ls-shows"),
        _ if is_missing && name.contains(['*', '?']) => text!("star-is-a-letter", dialect),
        // A busy server gives this advice itself, in English.
        (Failure::Refused { sentence, .. }, Some(Code::Busy | Code::Internal)) => {
            let en = if sentence.contains("again") { "" } else { "; try again in a moment" };
            Msg::said(en, "; coba lagi sebentar lagi")
        }
        _ => Msg::default(),
    };
    let (tried, why) = (tried(command, name, failure, client), failure.why());
    msg!("{tried}{why}{hint}", "{tried}{why}{hint}"; tried, why, hint)
}

/// What was tried.
fn tried(command: &str, name: &str, failure: &Failure, client: &Client) -> Msg {
    let typed = format!("{command} {name}");
    let typed = typed.trim_end();
    let what = match command {
        "connme" => "connect".to_owned(),
        "ls" if name.is_empty() => "list the files".to_owned(),
        "ls" => format!("list {name}"),
        "rm" => format!("remove {name}"),
        "size" => format!("get the size of {name}"),
        "sum" => format!("get the SHA-256 of {name}"),
        _ => typed.to_owned(),
    };
    match failure {
        Failure::NotSent(_) => Msg::default(),
        Failure::Local(_) => msg!("cannot ", "gagal "),
        Failure::Unreachable(_) => {
            let server = client.server();
            msg!("cannot connect to {server}: ", "tidak bisa terhubung ke {server}: ")
        }
        _ => msg!("cannot {what}: ", "{typed} gagal: "),
    }
}

/// The server may speak another dialect.
fn other_dialect(client: &Client, is_single: bool) -> Msg {
    let dialect = client.config().dialect;
    let (tried, guess) = (dialect.name(), looks_like(client.patience.looks_like(dialect)));
    match is_single {
        true => text!("tried-dialect", tried, guess),
        false => text!("tried-dialect-here", tried, guess),
    }
}

/// What the server seems to speak.
pub(super) fn looks_like(dialect: Option<Dialect>) -> Msg {
    let guess =
        dialect.map(|dialect| msg!("; this looks like {}", "; ini mirip {}", dialect.name()));
    guess.unwrap_or_default()
}
