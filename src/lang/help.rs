//! The help texts, which are files.

use super::Msg;

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
    section(topics, command).unwrap_or_default()
}

/// Asks for the argument that this command of the client needs.
pub(crate) fn question(command: &str) -> Msg {
    let questions = [include_str!("help/questions.en.txt"), include_str!("help/questions.id.txt")];
    section(questions, command).unwrap_or_default().map(|text| text.trim_end().to_owned()).asked()
}

/// What to say of a word of another program, in small letters.
pub(crate) fn foreign(word: &str) -> Option<Msg> {
    let words = [include_str!("help/words.en.txt"), include_str!("help/words.id.txt")];
    Some(section(words, word)?.map(|text| text.trim_end().replace("{word}", word)))
}

/// The text after the line `== WORD...` that has this word.
fn section(files: [&str; 2], word: &str) -> Option<Msg> {
    let [en, id] = files.map(|file| {
        let mut sections = file.split("== ").filter_map(|section| section.split_once('\n'));
        sections.find(|(words, _)| words.split(' ').any(|it| it == word)).map(|(_, text)| text)
    });
    Some(Msg::said(en?, id?))
}
