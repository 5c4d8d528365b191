//! The help texts, which are files.

use super::{Lang, Msg};

/// A help text, with the commands in it.
fn help(en: &str, id: &str) -> Msg {
    Msg::said(
        en.replace("COMMANDS\n", include_str!("help/commands.en.txt")),
        id.replace("COMMANDS\n", include_str!("help/commands.id.txt")),
    )
}

/// How to call the server.
pub(crate) fn server_usage() -> Msg {
    help(include_str!("help/server.en.txt"), include_str!("help/server.id.txt"))
}

/// How to call the client.
pub(crate) fn client_usage() -> Msg {
    help(include_str!("help/client.en.txt"), include_str!("help/client.id.txt"))
}

/// The same on one screen.
pub(crate) fn client_help() -> Msg {
    help(include_str!("help/short.en.txt"), include_str!("help/short.id.txt"))
}

/// The help of the prompt.
pub(crate) fn prompt_help() -> Msg {
    help(include_str!("help/prompt.en.txt"), include_str!("help/prompt.id.txt"))
}

/// What this command of the client does, with an example.
pub(crate) fn help_on(command: &str) -> Msg {
    let topics = [include_str!("help/topics.en.txt"), include_str!("help/topics.id.txt")];
    Msg::of(|lang: Lang| {
        let [en, id] = topics;
        let mut topics =
            lang.choose(en, id).split("== ").filter_map(|topic| topic.split_once('\n'));
        topics.find(|(word, _)| *word == command).map_or("", |(_, text)| text).to_owned()
    })
}
