//! How a client is told what to do.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::lab::grade::Options;
use crate::lab::process::Process;

/// The word of an order, and the file.
pub(super) fn parts(order: &str) -> (&str, &str) {
    order.split_once(' ').unwrap_or((order, ""))
}

/// An order to remove a file, with No as the answer. It is for clients that ask.
const NOT_REMOVED: &str = "rm-no";

/// What a person types at a client's prompt for a command, or for one with a file, if not just that. A map of each manner:
/// that of the assignment, where the file has a line of its own; one where only `rm` asks; and one where nothing does.
pub(super) const MANNERS: [&[(&str, &str)]; 3] = [
    &[(FILE, "{word}\n{name}"), ("rm", "rm\n{name}\nY"), (NOT_REMOVED, "rm\n{name}\nN")],
    &[("rm", "rm {name}\nY"), (NOT_REMOVED, "rm {name}\nN")],
    &[(NOT_REMOVED, "")],
];

/// Any command with a file.
const FILE: &str = "";

/// The word of a client's command in whose place the words of an order come: then each order has a process of its own.
/// With `{port}` alone, what is typed comes on standard input; without both, in a variable of the environment.
pub(super) const COMMAND: &str = "{command}";

/// A client, and what all of its checks have.
#[derive(Clone)]
pub(super) struct Client<'f> {
    pub(super) options: Options,
    /// Its checks have folders in this one.
    pub(super) folder: &'f Path,
    pub(super) words: Vec<String>,
    /// What is typed for some commands.
    pub(super) map: BTreeMap<String, String>,
    /// It ends when its input ends, as it should.
    pub(super) ends_with_input: bool,
    /// Where it saves, below the folder that it runs in.
    pub(super) downloads: String,
}

/// What is typed for some commands in this manner, where the user has said nothing else.
pub(super) fn map_of(
    manner: &[(&str, &str)],
    own: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let usual = manner.iter().map(|(word, text)| ((*word).to_owned(), (*text).to_owned()));
    usual.chain(own.clone()).collect()
}

/// This with the parts of an order in it.
fn filled(text: &str, order: &str) -> String {
    let (word, name) = parts(order);
    text.replace("{word}", word).replace("{path}", name).replace("{name}", name)
}

/// What is typed for an order.
pub(super) fn typed(map: &BTreeMap<String, String>, order: &str) -> String {
    let (word, name) = parts(order);
    let with_file = map.get(FILE).filter(|_| !name.is_empty());
    let text = map.get(word).or(with_file).map_or(order, String::as_str);
    if text.is_empty() { String::new() } else { filled(text, order) + "\n" }
}

impl Client<'_> {
    /// Whether its command has this place.
    pub(super) fn takes(&self, place: &str) -> bool {
        self.words.iter().any(|word| word.contains(place))
    }

    /// The parts of the orders that one process takes each.
    pub(super) fn turns<'o>(&self, orders: &'o [String]) -> Vec<&'o [String]> {
        let is_answered = |it: &&[String]| it.iter().all(|it| parts(it).0 != NOT_REMOVED);
        match self.takes(COMMAND) {
            true => orders.chunks(1).filter(is_answered).collect(),
            false => vec![orders],
        }
    }

    /// Starts a process for these orders in this folder, against the server at this port.
    pub(super) fn start(&self, orders: &[String], folder: &Path, port: u16) -> io::Result<Process> {
        let port = port.to_string();
        let mut words = Vec::new();
        for word in &self.words {
            if word != COMMAND {
                words.push(word.replace("{host}", "127.0.0.1").replace("{port}", &port));
                continue;
            }
            for order in orders {
                let text = self.map.get(parts(order).0).map_or("{word} {name}", String::as_str);
                let typed = text.split_whitespace().map(|word| filled(word, order));
                words.extend(typed.filter(|word| !word.is_empty()));
            }
        }
        let typed: String = orders.iter().map(|order| typed(&self.map, order)).collect();
        let home = folder.display().to_string();
        let variables = [
            ("HOME", home.as_str()),
            ("PYTHONIOENCODING", "utf-8"),
            ("CONNME_HOST", "127.0.0.1"),
            ("CONNME_PORT", &port),
            ("CONNME_COMMANDS", &typed),
            ("CONNME_DOWNLOADS", &self.downloads),
        ];
        let mut process = Process::start(&words, folder, &variables)?;
        let is_rm = orders.iter().any(|order| parts(order).0 == "rm");
        process.say(match self.takes(COMMAND) {
            true if is_rm => "Y\n",
            false if self.takes("{port}") => &typed,
            _ => "",
        });
        Ok(process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_typed_as_the_client_takes_it() {
        let map = [("upload".to_owned(), "put {path}\n\n1".to_owned())].into();
        for (order, line) in [
            ("rm a b", ["rm\na b\nY\n", "rm a b\nY\n", "rm a b\n"]),
            ("size a b", ["size\na b\n", "size a b\n", "size a b\n"]),
            ("rm-no a", ["rm\na\nN\n", "rm a\nN\n", ""]),
            ("ls", ["ls\n"; 3]),
            ("upload a", ["put a\n\n1\n"; 3]),
        ] {
            assert_eq!(MANNERS.map(|manner| typed(&map_of(manner, &map), order)), line);
        }
    }
}
