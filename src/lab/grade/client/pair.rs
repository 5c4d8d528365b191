//! Every client that can be run here against every server: `connme-lab grade --client COMMAND --pair NAME=HOST:PORT`.
//!
//! Each pair plays one short conversation in `text`. What the client says is compared and passed on to the server, and
//! what that replies to the client: so the table says whose the first byte is that is not as it must be.

use std::env;
use std::path::Path;

use super::drive::Client;
use super::{Driven, Options, Room, words_of};
use crate::client::connection::reach;
use crate::dialect::Dialect;
use crate::lab::grade::conversation::Check;
use crate::lab::grade::seen::{Fail, quoted, same};
use crate::lab::lecture::local::{TemporaryFolder, this_program};
use crate::lab::lecture::trace::Side;
use crate::lang::{Msg, msg};

/// How many bytes its file has.
const SIZE: usize = 12 * 256;

/// The conversation. Its file has more bytes than one read brings, and each value of a byte. What a client asks for
/// besides, such as the size before it removes a file, is answered as a right server would.
const SESSION: &str = "file {name}.bin = {times 12 {every}}
serve {name}.bin = {bytes}
$ connme
$ upload {name}.bin
$ ls
$ size {name}.bin
$ download {name}.bin
$ rm {name}.bin
> connme
< ok connected
> upload {name}.bin
< ok ready
> {size}
>| {bytes}
< ok received {size} {name}.bin
> ls
< ok {number}
repeat {number}
< {line}
again
< total {line}
> size {name}.bin
< ok {size} bytes ({MB} MB)
> download {name}.bin
< ok {size}
<| {bytes}
> rm {name}.bin
< ok removed {name}.bin";

/// The widest name in the table.
const NAME: usize = 16;

/// Runs each client against each server. Returns the table, and whether all pairs went well.
///
/// # Errors
/// What has to be said if a server is not named as `NAME=HOST:PORT`, or in another dialect than `text`.
pub fn run(options: &Options, driven: &Driven) -> Result<(String, bool), Msg> {
    if options.dialect != Dialect::Text {
        return Err(msg!("--pair speaks text alone", "--pair hanya memakai dialek text"));
    }
    let servers = driven.pair.iter().map(|server| named(server)).collect::<Result<Vec<_>, _>>()?;
    let folder = TemporaryFolder::new().map_err(|failure| failure.why())?;
    let mut table = format!("{:NAME$}", "");
    for (name, _) in &servers {
        table += &format!("  {name:NAME$.NAME$}");
    }
    table.truncate(table.trim_end().len());
    let mut notes = Vec::new();
    for command in &clients(driven) {
        let label = label(command);
        table += &format!("\n{label:NAME$.NAME$}");
        for (server, address) in &servers {
            let pair = Pair { options, driven, command, folder: &folder.0, address };
            let cell = match pair.run() {
                Ok(()) => "ok".to_owned(),
                Err((side, note)) => {
                    let number = notes.len() + 1;
                    notes.push(format!("{number}  {label}, {server}: {}", note.say(options.lang)));
                    let side = if side == Side::Client { "client" } else { "server" };
                    format!("{number}: {side}")
                }
            };
            table += &format!("  {cell:NAME$}");
        }
        table.truncate(table.trim_end().len());
    }
    table += "\n";
    for note in &notes {
        table += &format!("\n{note}\n");
    }
    Ok((table, notes.is_empty()))
}

/// A server: `NAME=HOST:PORT`.
fn named(server: &str) -> Result<(String, String), Msg> {
    let parts = server.split_once('=').filter(|(name, at)| !name.is_empty() && at.contains(':'));
    let (name, address) = parts.ok_or_else(|| {
        msg!(
            "--pair takes NAME=HOST:PORT, not '{server}'",
            "--pair berisi NAMA=HOST:PORT, bukan '{server}'"
        )
    })?;
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
    let words = words_of(command).unwrap_or_default();
    let is_script = |word: &&String| word.contains('.') && !word.contains('{');
    let name = words.iter().rev().find(is_script).or(words.first());
    let name = name.and_then(|word| Path::new(word).file_name()?.to_str());
    name.unwrap_or(command).to_owned()
}

/// One client and one server.
struct Pair<'p> {
    options: &'p Options,
    driven: &'p Driven,
    command: &'p str,
    folder: &'p Path,
    address: &'p str,
}

impl Pair<'_> {
    /// Says why it does not work, if so, and whose fault that is.
    fn run(&self) -> Result<(), (Side, Msg)> {
        reach(self.address, self.options.time).map_err(|error| {
            (Side::Server, msg!("cannot connect: {error}", "tidak bisa tersambung: {error}"))
        })?;
        let of_client = |note| (Side::Client, note);
        let words = words_of(self.command).unwrap_or_default();
        let client = Client::new(words, self.driven.map().map_err(of_client)?);
        let mut room = Room::new(self.options.clone(), client, self.folder);
        room.dry_run(self.driven).map_err(of_client)?;
        room.server = Some(self.address.to_owned());
        let name = format!("pair-{:08x}", crate::store::random() >> 32);
        let ran = room.perform(&Check::of_lines(SESSION), &name);
        let (examiner, seen) = ran.map_err(|error| of_client(same(error.to_string())))?;
        if let Err(failure) = seen.judge(&examiner) {
            let side = if failure.is_of_other { Side::Server } else { Side::Client };
            let after = examiner.acts().heard.last().map(|line| quoted(line)).unwrap_or_default();
            return Err((side, note(&failure, &after, seen.last_lines.last())));
        }
        // It may have another name, where the client replaces nothing.
        let is_it =
            |bytes: &[u8]| bytes.iter().copied().eq((0..=u8::MAX).cycle().take(bytes.len()));
        if seen.new_files().any(|(_, bytes)| bytes.len() == SIZE && is_it(bytes)) {
            return Ok(());
        }
        Err(of_client(msg!(
            "the file came whole, and the client has not saved it so",
            "file datang utuh, dan client tidak menyimpannya begitu"
        )))
    }
}

/// What is said of a failure: from which byte of a message on it is one, after which request.
fn note(failure: &Fail, after: &str, printed: Option<&String>) -> Msg {
    let at = failure.bytes.as_ref().map_or(0, |(expected, came)| {
        expected.iter().zip(came).take_while(|(expected, came)| expected == came).count()
    });
    let expected = failure.expected.first().cloned().unwrap_or_default();
    let got = failure.got.clone();
    let printed = printed.map(|line| crate::lang::printable(line.as_bytes()));
    let printed = printed.unwrap_or_default();
    msg!(
        "at byte {at}, after {after}\n   expected: {expected}\n   got:      {got}\n   client printed: {printed}",
        "di byte {at}, setelah {after}\n   harapan:  {expected}\n   hasil:    {got}\n   client mencetak: {printed}";
        expected, got
    )
}
