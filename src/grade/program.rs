//! `connme-client grade`: from the command line to the exit status.

use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use super::formats::{Format, render};
use super::report::Look;
use super::{Options, TIME, checks, run};
use crate::cli::client::GradeFlags;
use crate::client::Config;
use crate::client::terminal::{COLUMNS, Terminal};
use crate::dialect::Dialect;
use crate::lang::address;
use crate::lang::grade::{Say, about};

/// Runs the checks and prints the report. The status is 0 if every `must` passed, 1 if one failed, and 2 if
/// nothing could be run.
#[must_use]
pub fn main(config: &Config, flags: &GradeFlags) -> ExitCode {
    let complain = |say: Say| {
        let line = format!("connme-client: {}\n", say.say(config.lang));
        let _ = io::stderr().write_all(line.as_bytes());
        ExitCode::from(2)
    };
    let options = Options {
        host: config.host.clone(),
        port: config.port,
        dialect: config.dialect,
        only: flags.only.clone(),
        seed: flags.seed.unwrap_or_else(|| crate::store::random() % 1_000_000),
        time: flags.time.map_or(TIME, Duration::from_secs_f64),
        root: flags.root.clone(),
        lang: config.lang,
    };
    let wanted = options.wanted();
    if wanted.is_empty() {
        return complain(Say::NoSuchCheck { only: flags.only.join(" ") });
    }
    if flags.list {
        let line = |check: &&super::Check| {
            let id = format!("{}/{}", config.dialect.name(), check.id);
            let duty = if check.must { Say::Must } else { Say::Should }.say(config.lang);
            format!("{id}\t{}\t{duty}\t{}\n", check.points, about(config.lang, &id))
        };
        return print(&wanted.iter().map(line).collect::<String>(), ExitCode::SUCCESS);
    }
    if let Some((root, Err(why))) = flags.root.as_ref().map(|root| (root, fs::read_dir(root))) {
        let path = root.display().to_string();
        return complain(Say::NoFolder { path, why: why.to_string() });
    }
    let server = address(&config.host, config.port);
    if !config.quiet {
        let stays = config.dialect == Dialect::Filesaver;
        let (server, checks) = (server.clone(), wanted.len());
        let line = Say::Announce { server, checks, stays }.say(config.lang) + "\n";
        let _ = io::stderr().write_all(line.as_bytes());
    }
    let report = match run(options) {
        Ok(report) => report,
        Err(error) => return complain(Say::NoServer { server, why: error.to_string() }),
    };
    let Terminal { out, colour, columns, .. } = Terminal::look();
    let plain = config.output.is_some() || !out;
    let columns = if plain { COLUMNS } else { columns };
    let look = Look { columns, colour: !plain && colour, verbose: flags.verbose };
    let format = flags.format.as_deref().and_then(Format::named).unwrap_or_default();
    let text = render(&report, format, look);
    let status = match report.has_run() {
        true => ExitCode::from(u8::from(!report.is_right())),
        false => ExitCode::from(2),
    };
    match &config.output {
        None => print(&text, status),
        Some(path) => match fs::write(path, text) {
            Ok(()) => status,
            Err(error) => {
                let path = path.display().to_string();
                complain(Say::CannotWrite { path, why: error.to_string() })
            }
        },
    }
}

fn print(text: &str, status: ExitCode) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(2),
        _ => status,
    }
}

impl Options {
    /// The checks that these options choose: that of exactly this id, or all with this word in the id.
    #[must_use]
    pub fn wanted(&self) -> Vec<&'static super::Check> {
        let all = checks(self.dialect);
        let id = |check: &super::Check| format!("{}/{}", self.dialect.name(), check.id);
        let is_exact = |word: &String| all.iter().any(|check| id(check) == *word);
        let has = |check: &super::Check, word: &String| {
            id(check) == *word || (!is_exact(word) && id(check).contains(word.as_str()))
        };
        let chosen = |check: &&&super::Check| {
            self.only.is_empty() || self.only.iter().any(|word| has(check, word))
        };
        all.iter().filter(chosen).copied().collect()
    }
}
