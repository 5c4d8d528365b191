//! Every client that can be run here against every server: `connme-lab grade --client COMMAND --pair NAME=HOST:PORT`.
//!
//! Each pair plays one short conversation in `text`. What the client says is compared and passed on to the server, and
//! what that replies to the client: so the table says whose the first byte is that is not as it must be.

use std::env;
use std::path::Path;

use super::drive::Client;
use super::{Driven, Options};
use crate::client::connection::reach;
use crate::dialect::Dialect;
use crate::lab::grade::conversation::Check;
use crate::lab::grade::player::OTHER;
use crate::lab::grade::seen::{Fail, first_difference, quoted, same};
use crate::lab::process::command_words;
use crate::lab::scratch::{TemporaryFolder, this_program};
use crate::lab::text::said;
use crate::lang::Msg;

/// The conversation. Its file has more bytes than one read brings, and each value of a byte. What a client asks for
/// besides, such as the size before it removes a file, is answered as a right server would.
const SESSION: &str = include_str!("../conversations/pair.txt");

/// The widest name in the table.
const NAME: usize = 16;

/// Runs each client against each server. Returns the table, and whether all pairs went well.
///
/// # Errors
/// What has to be said if a server is not named as `NAME=HOST:PORT`, or in another dialect than `text`.
pub fn run(options: &Options, driven: &Driven) -> Result<(String, bool), Msg> {
    if options.dialect != Dialect::Text {
        return Err(said("cannot pair-dialect", &[]));
    }
    driven.map()?;
    let servers = driven.pair.iter().map(|server| named(server)).collect::<Result<Vec<_>, _>>()?;
    let folder = TemporaryFolder::new().map_err(|failure| failure.why())?;
    let cell = |text: &str| format!("{text:NAME$.NAME$}  ");
    let (mut table, mut notes) = (cell(""), Vec::new());
    table.extend(servers.iter().map(|(name, _)| cell(name)));
    for command in &clients(driven) {
        let name = label(command);
        table += &format!("\n{}", cell(&name));
        let client = Client::new(options, command, &folder.0).map_err(|note| ("client", note));
        for (server, address) in &servers {
            table += &match client.clone().and_then(|client| session(client, address)) {
                Ok(()) => cell("ok"),
                Err((side, note)) => {
                    let (number, note) = (notes.len() + 1, note.say(options.lang));
                    notes.push(format!("\n{number}  {name}, {server}: {note}\n"));
                    cell(&format!("{number}: {side}"))
                }
            };
        }
    }
    Ok((format!("{table}\n{}", notes.concat()), notes.is_empty()))
}

/// A server: `NAME=HOST:PORT`.
fn named(server: &str) -> Result<(String, String), Msg> {
    let parts = server.split_once('=').filter(|(name, at)| !name.is_empty() && at.contains(':'));
    let (name, address) = parts.ok_or_else(|| said("cannot pair", &[&server]))?;
    Ok((name.to_owned(), address.to_owned()))
}

/// The clients that are given, and the one beside this program.
fn clients(driven: &Driven) -> Vec<String> {
    let mut clients: Vec<_> = driven.more.iter().chain([&driven.command]).cloned().collect();
    clients.retain(|command| !command.is_empty());
    let program = format!("connme-client{}", env::consts::EXE_SUFFIX);
    let own = this_program().ok().map(|lab| lab.with_file_name(program));
    if let Some(own) = own.filter(|own| own.exists()) {
        let own = own.display();
        clients.push(format!("'{own}' --retry 0 --server {{host}}:{{port}}"));
    }
    clients
}

/// What a client is called in the table: its script or its program.
fn label(command: &str) -> String {
    let words = command_words(command).unwrap_or_default();
    let is_script = |word: &&String| word.contains('.') && !word.contains('{');
    let name = words.iter().rev().find(is_script).or(words.first());
    let name = name.and_then(|word| Path::new(word).file_name()?.to_str());
    name.unwrap_or(command).to_owned()
}

/// Tries a client with a server. Says whose fault it is if that does not work, and why.
fn session(mut client: Client<'_>, address: &str) -> Result<(), (&'static str, Msg)> {
    let server = reach(address, client.options.time)
        .map_err(|error| ("server", said("cannot connect", &[&error])))?;
    let mut check = Check::default().of_lines(SESSION);
    check.id = "pair";
    // What an earlier one has left there has another name.
    client.options.seed = crate::store::random();
    let ran = client.perform(&check, Some(server));
    let seen = ran.map_err(|error| ("client", same(error.to_string())))?;
    seen.judge(Dialect::Text).map_err(|failure| {
        let side = if failure.verdict == OTHER { "server" } else { "client" };
        let after =
            seen.acts.heard.last().map(|line| quoted(line.trim_ascii_end())).unwrap_or_default();
        (side, note(&failure, &after, seen.printed.lines().last()))
    })
}

/// What is said of a failure: from which byte of a message on it is one, after which request.
fn note(failure: &Fail, after: &str, printed: Option<&str>) -> Msg {
    let at = failure.bytes.as_ref().map_or(0, |(expected, came)| first_difference(expected, came));
    let printed = printed.map(|line| crate::lang::printable(line.as_bytes()));
    let printed = printed.unwrap_or_default();
    Msg::of(|lang| {
        let (expected, got) = (failure.expected.say(lang), failure.got.say(lang));
        said("came pair", &[&at, &after, &expected, &got, &printed]).say(lang)
    })
}
