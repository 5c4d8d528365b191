//! `connme-lab grade`: from the command line to the exit status.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

use super::formats::render;
use super::report::{Look, PLAIN, SERVER, bar, duty, screen, subject};
use super::suite::{checks, of_file};
use super::{Check, Graded, Options, TIME, client, run};
use crate::client::terminal::Terminal;
use crate::client::ui::say;
use crate::lab::line::CommandLine;
use crate::lab::text::said;
use crate::lang::Msg;

/// Runs the checks and prints the report. The status is 0 if every `must` passed, 1 if one failed, and 2 if
/// nothing could be run.
///
/// # Errors
/// Why nothing could be run.
pub(in crate::lab) fn main(line: &CommandLine) -> Result<ExitCode, Msg> {
    let CommandLine { config, flags, .. } = line;
    let output = &flags.output;
    let is_short =
        ["", "table"].contains(&flags.format) && flags.only.is_empty() && output.is_none();
    let is_short = is_short && !line.flags.all;
    let own = flags.conversation.as_ref();
    let own = own.map(|path| of_file(path, config.dialect, flags.client.is_some()));
    let options = Options {
        host: config.host.clone(),
        port: config.port,
        dialect: config.dialect,
        flags: flags.clone(),
        seed: flags.seed.unwrap_or_else(|| crate::store::random() % 1_000_000),
        time: flags.time.map_or(TIME, Duration::from_secs_f64),
        stops: is_short,
        own: own.transpose()?,
        program: env::args().next().unwrap_or_default(),
        lang: config.lang,
    };
    if let Some(driven) = options.flags.client.as_ref().filter(|driven| !driven.pair.is_empty()) {
        let (table, all_well) = client::pair::run(&options, driven)?;
        return Ok(print(&table, ExitCode::from(u8::from(!all_well))));
    }
    let wanted = options.wanted();
    if wanted.is_empty() {
        let only = flags.only.join(" ");
        return Err(said("cannot choose", &[&only]));
    }
    if flags.list {
        let line = |check: &&Check| {
            let id = options.full_id(check.id);
            let duty = duty(check, config.lang);
            format!("{id}\t{}\t{duty}\t{}\n", check.points, check.about(config.lang))
        };
        return Ok(print(&wanted.iter().map(line).collect::<String>(), ExitCode::SUCCESS));
    }
    if flags.run.as_ref().is_some_and(|command| !command.contains("{port}")) {
        let port = config.dialect.port();
        say(&said("before port", &[&port]), config.lang);
    }
    if !config.quiet {
        // A program that is started here has a folder of its own.
        let (flag, subject) = subject(&options);
        let name = if flag == SERVER { "run-elsewhere" } else { "run" };
        let s = if wanted.len() == 1 { "" } else { "s" };
        say(&said(&format!("before {name}"), &[&subject, &wanted.len(), &s]), config.lang);
    }
    let Terminal { out, colour, columns, .. } = Terminal::look();
    let is_seen = output.is_none() && out;
    let look = if is_seen { Look { columns, colour } } else { PLAIN };
    let tell = |of: &[Graded]| {
        if is_short {
            print(&bar(of, config.lang, look), ExitCode::SUCCESS);
        }
    };
    let report = run(options, tell)?;
    let text = if is_short { screen(&report, look) } else { render(&report, flags.format, look) };
    let status = ExitCode::from(if report.has_run() { u8::from(!report.is_right()) } else { 2 });
    let Some(path) = output else { return Ok(print(&text, status)) };
    fs::write(path, text)
        .map(|()| status)
        .map_err(|error| said("cannot write", &[&path.display(), &error]))
}

fn print(text: &str, status: ExitCode) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(2),
        _ => status,
    }
}

impl Options {
    /// An id with the dialect and the side, such as `text/first/ls` or `text.client/first/ls`.
    pub(super) fn full_id(&self, id: &str) -> String {
        let side = if self.flags.client.is_some() { ".client" } else { "" };
        format!("{}{side}/{id}", self.dialect.name())
    }

    /// The checks that are to be run.
    pub(super) fn suite(&self) -> &'static [Check] {
        let ours = || checks(self.dialect, self.flags.client.is_some());
        self.own.as_ref().map_or_else(ours, |(_, own)| own)
    }

    /// The checks that these options choose: those with one of these names, and those below one of these groups, with
    /// the dialect or without it.
    pub fn wanted(&self) -> Vec<&'static Check> {
        let is_chosen = |check: &&Check| {
            let id = format!("{}/", check.id);
            let names = [self.full_id(&id), format!("{}/{id}", self.dialect.name()), id];
            let is_below = |path: &String| {
                let path = format!("{}/", path.trim_end_matches('/'));
                names.iter().any(|name| name.starts_with(&path))
            };
            self.flags.only.is_empty() || self.flags.only.iter().any(is_below)
        };
        self.suite().iter().filter(is_chosen).collect()
    }
}
