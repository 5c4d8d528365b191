//! Runs the commands of a user: one from the command line, or those that are typed at the prompt.

use std::io;
use std::process::ExitCode;

use super::Client;
use super::argument::{Argument, split_line};
use super::command::{self, Command, Takes, not_a_command};
use super::keyboard::{Keyboard, Typed};
use super::ui::{Ui, say};
use crate::lang::{Msg, msg, question, text};

/// A terminal with fewer columns has no room for a long prompt and a command on one line.
const ROOM_TO_TYPE: usize = 110;

/// Runs one command from the command line.
pub fn single(client: Client) -> ExitCode {
    let mut ui = Ui::single("connme-client", client);
    let mut words = ui.config().command.clone().into_iter();
    let word = words.next().unwrap_or_default();
    let done = ui.run(&word.to_string_lossy(), &Argument::Words(words.collect()));
    ui.client.close();
    ui.leave(done)
}

/// Runs the prompt until its input ends, or the user leaves.
pub fn interactive(client: Client) -> ExitCode {
    let mut ui = Ui::new("connme-client", client);
    // A script is not asked to connect.
    ui.client.on_demand = !ui.asks;
    ui.keyboard = if ui.asks { Keyboard::of_terminal() } else { None };
    if let Some(keyboard) = &ui.keyboard {
        ui.client.patience.interrupt = keyboard.interrupt();
    }
    let (server, lang) = (ui.client.server(), ui.config().lang);
    ui.client.again =
        Some(Box::new(move || say(&text!("connected-again", server = &server), lang)));
    let done = ui.read_commands();
    if ui.client.is_connected() {
        let _ = ui.client.byebye();
    }
    ui.leave(done)
}

/// The prompt, and the server that it is connected to. `is_narrow`: the line must leave room to type in 80 columns.
pub(crate) fn prompt(server: Option<&str>, is_narrow: bool) -> Msg {
    let gap = if is_narrow { '\n' } else { ' ' };
    let en = server.unwrap_or("(not connected)");
    let id = server.unwrap_or("belum terhubung");
    msg!("connme {en}> ", "[{id}]{gap}Pilih perintah (upload/ls/download/rm/size/connme/byebye): ")
}

impl Ui {
    fn read_commands(&mut self) -> io::Result<()> {
        while !self.is_over {
            let server = self.client.is_connected().then(|| self.client.server());
            let is_narrow = self.terminal.columns < ROOM_TO_TYPE;
            let line = match self.ask(&prompt(server.as_deref(), is_narrow))? {
                Typed::Line(line) => line,
                Typed::Cancelled { is_empty: false } => continue,
                Typed::Cancelled { is_empty: true } | Typed::End => break,
            };
            let (word, mut argument) = split_line(&line);
            if word.is_empty() {
                continue;
            }
            if let Some(Command { word: command, takes: Takes::Argument, .. }) = command::find(word)
                && argument.is_empty()
            {
                match self.ask(&question(command))? {
                    Typed::Line(answer) => argument = Argument::typed(&answer),
                    Typed::Cancelled { .. } => continue,
                    Typed::End => break,
                }
            }
            self.run(word, &argument)?;
        }
        Ok(())
    }

    /// Runs a command, and tells the user if it fails.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub(crate) fn run(&mut self, word: &str, argument: &Argument) -> io::Result<()> {
        self.client.patience.interrupt.clear();
        let Some(command) = command::find(word) else {
            self.fail_use(&not_a_command(word));
            return Ok(());
        };
        self.perform(command.word, &argument.text(), |ui| {
            command.check(argument)?;
            ui.must_have(command.word)?;
            (command.run)(ui, argument)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::command::COMMANDS;
    use crate::lang::Lang;

    #[test]
    fn each_command_that_needs_something_has_a_question_of_its_own() {
        for lang in [Lang::En, Lang::Id] {
            let needs = COMMANDS.iter().filter(|command| command.takes == Takes::Argument);
            let mut asked: Vec<_> = needs.map(|command| question(command.word).say(lang)).collect();
            assert!(asked.iter().all(|text| text.ends_with(": ")), "{asked:?}");
            let all = asked.len();
            asked.sort();
            asked.dedup();
            assert_eq!((asked.len(), all), (7, 7));
        }
    }

    #[test]
    fn a_prompt_names_the_server_and_leaves_room_to_type() {
        for (server, is_narrow, en, id) in [
            (Some("h:1"), false, "connme h:1> ", "[h:1] Pilih perintah ("),
            (Some("h:1"), true, "connme h:1> ", "[h:1]\nPilih perintah ("),
            (None, false, "connme (not connected)> ", "[belum terhubung] Pilih perintah ("),
        ] {
            let msg = prompt(server, is_narrow);
            assert_eq!(msg.say(Lang::En), en);
            assert!(msg.say(Lang::Id).starts_with(id), "{}", msg.say(Lang::Id));
        }
    }
}
