//! Runs the commands of a user: one from the command line, or those that are typed at the prompt.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use super::Client;
use super::argument::{Argument, split_line};
use super::command::{self, Command, Takes, not_a_command};
use super::keyboard::{Keyboard, Typed};
use super::ui::{Ui, say};
use crate::lang::Msg;

/// A terminal with fewer columns has no room for a long prompt and a command on one line.
const ROOM_TO_TYPE: usize = 110;

/// Runs one command from the command line.
#[must_use]
pub fn single(client: Client) -> ExitCode {
    let mut ui = Ui::single("connme-client", client);
    let mut words = ui.config().command.clone().into_iter();
    let word = words.next().unwrap_or_default();
    let done = ui.run(&word.to_string_lossy(), &Argument::Words(words.collect()));
    ui.client.close();
    ui.leave(done)
}

/// Runs the prompt until its input ends, or the user leaves.
#[must_use]
pub fn interactive(client: Client) -> ExitCode {
    let mut ui = Ui::new("connme-client", client);
    if !ui.asks {
        // A script is not asked to connect.
        ui.client.connect_on_demand();
    }
    if ui.asks {
        ui.keyboard = Keyboard::of_terminal();
    }
    if let Some(keyboard) = &ui.keyboard {
        ui.client.interrupt_by(keyboard.interrupt());
    }
    let (server, lang) = (ui.client.server(), ui.config().lang);
    ui.client.connect_again(Arc::new(move || {
        say(&Msg::ConnectedAgain { server: server.clone() }, lang);
    }));
    let done = ui.read_commands();
    if ui.client.is_connected() {
        let _ = ui.client.byebye();
    }
    ui.leave(done)
}

impl Ui {
    fn read_commands(&mut self) -> io::Result<()> {
        while !self.is_over {
            let server = self.client.is_connected().then(|| self.client.server());
            let is_narrow = self.terminal.columns < ROOM_TO_TYPE;
            let line = match self.hear(&Msg::Prompt { server, is_narrow })? {
                Typed::Line(line) => line,
                Typed::Cancelled { is_empty: false } => continue,
                Typed::Cancelled { is_empty: true } | Typed::End => break,
            };
            let (word, mut argument) = split_line(&line);
            if word.is_empty() {
                continue;
            }
            if let Ok(Command { word: command, takes: Takes::Argument, .. }) =
                Ui::find(word, &argument)
                && argument.is_empty()
            {
                match self.hear(&Msg::Ask { command })? {
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
        if let Some(keyboard) = &self.keyboard {
            keyboard.interrupt().clear();
        }
        match Ui::find(word, argument) {
            Ok(command) => self.perform(command.word, &argument.text(), |ui| {
                command.check(argument)?;
                (command.run)(ui, argument)
            }),
            Err(wrong) => {
                self.refuse_use(&wrong);
                Ok(())
            }
        }
    }

    fn find(word: &str, argument: &Argument) -> Result<&'static Command, Msg> {
        command::find(word).ok_or_else(|| {
            let typed = format!("{word} {}", argument.text());
            not_a_command(word, typed.trim_end())
        })
    }
}
