//! Lessons for a course: predict, run one command, see, explain. `connme-lab lesson` takes a reader through
//! them, with a server of its own for each.
//!
//! The pages are the lessons: the command reads its questions, its commands and what must come out from them. The
//! same in Bahasa Indonesia: `src/lab/lecture/lessons/indonesian.md`.
//!
//! [starter]: crate::guide::write_your_own
//!
#![doc = include_str!("lessons/english.md")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::MAIN_SEPARATOR;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::Instruments;
use super::keys::{self, Wish};
use super::local::LocalServer;
use super::trace::{Output, Side, legend};
use crate::client::names;
use crate::client::outcome::{Outcome, Stop};
use crate::client::terminal;
use crate::client::ui::Ui;
use crate::dialect::Dialect;
use crate::error::{Answer, CREATE, Failure, lock};
use crate::lab::architectures::named;
use crate::lab::line::CommandLine;
use crate::lab::scratch::{TemporaryFolder, this_program};
use crate::lab::starter;
use crate::lab::text::{filled, said, wrapped};
use crate::lang::{Lang, Msg};
use crate::limits::TCP_IP;

/// How often a lesson is given with `--all` before it counts as different from its page.
const TRIES: usize = 4;

/// How much later a command starts than the one that it runs beside.
const MOMENT: Duration = Duration::from_millis(200);

/// How long a server's trace may take to show the end of its connections.
const TRACE_ENDS: Duration = Duration::from_secs(2);

/// The server of a lesson that names none.
const USUAL: &str = "connme-server --all";

/// What runs here, with connections of its own, on a screen of its own.
const EXPERIMENT: &str = "connme-lab tcp ";

/// A step of a lesson: what is on the screen at once.
#[derive(Clone, Default)]
struct Step<'p> {
    server: Option<&'p str>,
    parts: Vec<Part<'p>>,
    has_run: bool,
}

/// A part of a screen.
#[derive(Clone, Debug, PartialEq)]
enum Part<'p> {
    Text(&'p str),
    /// A server that is new to the reader.
    Server(&'p str),
    /// Commands that are asked about, but do not run yet.
    Asked(String),
    /// Commands, what they print, and what they have printed, if they can run here.
    Run(&'p str, &'p str, Option<String>),
}

/// Takes the reader through the lessons, from the one of this number on. With `--all`, runs all from there on
/// without a pause, and fails if one prints something else than its page.
pub(in crate::lab) fn run(ui: &mut Ui, line: &CommandLine) -> Outcome {
    let page = page(ui.config().lang);
    let lessons: Vec<&str> = page.split("\n## ").skip(1).collect();
    let most = lessons.len();
    let first = match line.argument.text().trim() {
        "" => 1,
        text => text.parse().unwrap_or(0),
    };
    let chosen = lessons.get(usize::wrapping_sub(first, 1)..).filter(|rest| !rest.is_empty());
    let Some(chosen) = chosen else {
        return Err(Stop::Wrong(said("lesson-numbers", &[&most])));
    };
    if line.flags.all {
        for lesson in chosen {
            // On a busy machine, a pause between two writes can be too short.
            let mut tries = 1;
            while let Err(stop) = show_all(ui, lesson, true) {
                if !matches!(stop, Stop::Refused(_)) || tries == TRIES {
                    return Err(stop);
                }
                tries += 1;
            }
        }
        let count = chosen.len();
        let name = if count == 1 { "lesson-given" } else { "lessons-given" };
        return ui.tell(&said(name, &[&count]));
    }
    match chosen.first() {
        Some(lesson) if !ui.asks => show_all(ui, lesson, false),
        _ => give(ui, &lessons, first),
    }
}

/// Gives the lessons to a reader at a terminal, who chooses the next one and may go back.
fn give(ui: &mut Ui, lessons: &[&str], first: usize) -> Outcome {
    let (lang, all) = (ui.config().lang, lessons.len());
    let mut fresh = Vec::new();
    for (number, lesson) in (1..).zip(lessons) {
        let (title, steps) = steps(lesson);
        let most = steps.len();
        fresh.extend((1..).zip(steps).map(|(n, step)| (number, title, n, most, step)));
    }
    let mut screens = fresh.clone();
    let first_of = |chosen: usize| fresh.iter().position(|(number, ..)| *number == chosen);
    let mut at = first_of(first).unwrap_or(0);
    let mut seen = BTreeSet::new();
    let mut wish = Wish::Help;
    while wish != Wish::Leave {
        clear(ui)?;
        let Some((number, title, n, most, step)) = screens.get_mut(at) else { break };
        // A lecturer may change it.
        let columns = terminal::Terminal::look().columns;
        if wish == Wish::Help {
            let (english, indonesian) =
                (include_str!("lessons/keys.en.txt"), include_str!("lessons/keys.id.txt"));
            ui.print(lang.choose(english, indonesian))?;
            ui.print(&format!("{}\n\n", ui.words(&legend(true))))?;
            if !seen.is_empty() {
                ui.tell(&last_word(&seen, all))?;
            }
        } else {
            if !step.has_run {
                ui.print(&format!("{title}\n\n"))?;
                step.run(lang, columns, &mut |line| drop(ui.print(line)))?;
                clear(ui)?;
            }
            ui.print(&format!("{title}\n\n{}\n", step.screen(lang, columns)))?;
        }
        let last = wish;
        wish = keys::ask(ui, &said("lesson-where", &[number, &all, n, most]))?;
        match wish {
            // After the page of help, the step that was left.
            Wish::Next | Wish::Back if last == Wish::Help => {}
            Wish::Next => {
                if n == most {
                    seen.insert(*number);
                }
                at += 1;
            }
            Wish::Back => at = at.saturating_sub(1),
            Wish::Lesson(chosen) => {
                if let Some(first) = first_of(chosen) {
                    at = first;
                    screens.clone_from(&fresh);
                }
            }
            Wish::Help | Wish::Leave => {}
        }
    }
    ui.tell(&last_word(&seen, all))
}

/// What the reader has seen, and what not.
fn last_word(seen: &BTreeSet<usize>, lessons: usize) -> Msg {
    let left: Vec<_> = (1..=lessons).filter(|number| !seen.contains(number)).collect();
    if left.is_empty() {
        return said("lessons-all-seen", &[]);
    }
    let ranges = left.chunk_by(|one, next| one + 1 == *next).map(|range| match range {
        [first, .., last] => format!("{first}-{last}"),
        all => all.iter().map(usize::to_string).collect(),
    });
    let (seen, list) = (seen.len(), ranges.collect::<Vec<_>>().join(", "));
    said("lessons-seen", &[&seen, &list])
}

/// Shows all steps of a lesson. With `compares`, it fails if something else is printed than the page says.
fn show_all(ui: &mut Ui, lesson: &str, compares: bool) -> Outcome {
    let (title, steps) = steps(lesson);
    ui.print(&format!("{title}\n{}\n\n", "=".repeat(title.chars().count())))?;
    for mut step in steps {
        let (lang, columns) = (ui.config().lang, terminal::Terminal::look().columns);
        step.run(lang, columns, &mut |_| ())?;
        ui.print(&format!("{}\n\n", step.screen(lang, columns)))?;
        for part in &step.parts {
            let Part::Run(command, expected, came) = part else { continue };
            // Windows may throw away what came before a reset.
            let is_certain = compares && !(cfg!(windows) && expected.contains("[reset]"));
            let comparable =
                if command.starts_with(EXPERIMENT) { without_numbers } else { blanked };
            let lines = |text: &str| text.lines().map(comparable).collect::<Vec<_>>();
            let differs = |came: &String| lines(came) != lines(expected);
            if is_certain && came.as_ref().is_some_and(differs) {
                return Err(Stop::Refused(said("lesson-differs", &[&title, &expected])));
            }
        }
    }
    Ok(())
}

/// Clears the terminal, if it can be.
pub(super) fn clear(ui: &Ui) -> io::Result<()> {
    let can = terminal::Terminal::look().colour;
    ui.print(if can { "\x1b[H\x1b[2J" } else { "\n" })
}

/// Commands as they are on a screen, each on lines of its own.
fn commands(line: &str, columns: usize) -> String {
    let at_once = |commands: &str| {
        let broken = split(commands, '&').into_iter().map(|command| broken(command, columns));
        broken.collect::<Vec<_>>().join(" &\n")
    };
    split(line, ';').into_iter().map(at_once).collect::<Vec<_>>().join("\n")
}

/// A command as a shell takes it, in lines of this width.
fn broken(command: &str, columns: usize) -> String {
    format!("$ {}", filled(split(command, ' '), columns - 6).join(" \\\n    "))
}

impl Step<'_> {
    /// Runs the commands. `live` gets what an experiment prints before it ends.
    fn run(&mut self, lang: Lang, columns: usize, live: &mut dyn FnMut(&str)) -> Answer<()> {
        let mut place = None;
        for part in &mut self.parts {
            let Part::Run(line, _, came) = part else { continue };
            let place = match &place {
                Some(place) => place,
                None => place.insert(Place::new(self.server.unwrap_or(USUAL), lang, columns)?),
            };
            let failed = |error| Failure::local(("run", "menjalankan"), *line, error);
            *came = place.run(line, live).map_err(failed)?;
        }
        self.has_run = true;
        Ok(())
    }

    /// The screen. What was printed is as it was.
    fn screen(&self, lang: Lang, columns: usize) -> String {
        let paragraph = |text: &str| wrapped(&plain(text), columns.min(100));
        let screen = |part: &Part<'_>| match part {
            Part::Text(text) => paragraph(text),
            Part::Server(line) => paragraph(&format!("Server: {line}")),
            Part::Asked(line) => commands(line, columns),
            Part::Run(line, recorded, came) => {
                let note = said("recorded", &[]).say(lang);
                let printed = came.clone().unwrap_or_else(|| paragraph(&note) + "\n\n" + recorded);
                format!("{}\n{}", commands(line, columns), printed.trim_end_matches('\n'))
            }
        };
        self.parts.iter().map(screen).collect::<Vec<_>>().join("\n\n")
    }
}

/// The title of a lesson, and its steps: the question with its commands, what they print, the same with the second
/// server, and the explanation. A paragraph that names the command line of a server starts that one.
fn steps(lesson: &str) -> (&str, Vec<Step<'_>>) {
    let (title, rest) = lesson.split_once('\n').unwrap_or((lesson, ""));
    let (mut question, mut explanation) = (Step::default(), Step::default());
    let mut runs: Vec<Step<'_>> = Vec::new();
    let mut server = None;
    for (n, section) in rest.split("```sh\n").enumerate() {
        let mut texts = section;
        if n > 0 {
            let (commands, after) = section.split_once("\n```").unwrap_or((section, ""));
            let printed =
                after.strip_prefix("\n```text\n").and_then(|after| after.split_once("```"));
            let (printed, after) = printed.unwrap_or(("", after));
            let is_alone = commands.starts_with(EXPERIMENT);
            if is_alone || runs.last().is_none_or(|step| step.server != server) {
                let parts = server.filter(|_| !runs.is_empty()).map(Part::Server);
                runs.push(Step { server, parts: parts.into_iter().collect(), has_run: false });
            }
            if runs.len() == 1 {
                if let Some(Part::Asked(asked)) = question.parts.last_mut() {
                    *asked += &format!("; {commands}");
                } else {
                    question.parts.extend(server.map(Part::Server));
                    question.parts.push(Part::Asked(commands.to_owned()));
                }
            }
            if let Some(step) = runs.last_mut() {
                step.parts.push(Part::Run(commands, printed, None));
            }
            texts = after;
        }
        for text in texts.split("\n\n").map(str::trim) {
            match text.strip_prefix("Server: `").and_then(|line| line.strip_suffix('`')) {
                Some(line) => server = Some(line),
                // The page ends with the targets of its links.
                None if text.is_empty() || text.starts_with('[') && text.contains("]: ") => {}
                None if runs.is_empty() => question.parts.push(Part::Text(text)),
                None => explanation.parts.push(Part::Text(text)),
            }
        }
    }
    (title, [question].into_iter().chain(runs).chain([explanation]).collect())
}

fn page(lang: Lang) -> &'static str {
    lang.choose(include_str!("lessons/english.md"), include_str!("lessons/indonesian.md"))
}

/// A paragraph without its marks.
fn plain(text: &str) -> String {
    text.replace("**", "").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A server and an empty folder for the commands of a lesson.
struct Place {
    /// Dropped before the folder that it uses.
    server: LocalServer,
    folder: TemporaryFolder,
    /// What the server has traced.
    traced: Arc<Mutex<String>>,
    lang: Lang,
    columns: usize,
}

impl Place {
    /// Starts the server of this command line: one of ours, one of the shapes, or the starter.
    fn new(line: &str, lang: Lang, columns: usize) -> Answer<Place> {
        let folder = TemporaryFolder::new()?;
        let root = folder.0.join("root");
        let here = folder.0.join("here");
        fs::create_dir(&here).map_err(|error| Failure::local(CREATE, here.display(), error))?;
        let traced = Arc::<Mutex<String>>::default();
        let server = if let Some(flags) = line.strip_prefix("connme-server ") {
            let lines = Arc::clone(&traced);
            let print = Arc::new(move |line: &str| lock(&lines).push_str(line));
            let trace = flags.contains("--trace").then_some(Output { columns, print, zero: None });
            let instruments = Instruments { trace, ..Instruments::default() };
            LocalServer::prepared(&root, flags, instruments.prepare(Side::Server))?
        } else if let Some(shape) = line.strip_prefix("connme-lab shape ").and_then(named) {
            let store = shape.open(&root)?;
            LocalServer::of_text(line, move |listener| (shape.serve)(listener, &store))?
        } else {
            let flags: Vec<_> = line.split(' ').map(str::to_owned).collect();
            LocalServer::of_text(line, move |listener| starter::serve(listener, &root, &flags))?
        };
        Ok(Place { server, folder, traced, lang, columns })
    }

    /// Runs commands one after the other, and returns what they print, each followed by what the server has traced. Commands
    /// with `&` between them run at the same time, each a moment later than the one before it. Nothing if one cannot run
    /// here.
    fn run(&self, line: &str, live: &mut dyn FnMut(&str)) -> io::Result<Option<String>> {
        let impossible = said("tcp-impossible", &[]).say(self.lang);
        let mut printed = String::new();
        for commands in split(line, ';') {
            let is_experiment = commands.starts_with(EXPERIMENT);
            if is_experiment {
                live(&format!("{}\n", broken(commands, self.columns)));
            }
            let mut running = Vec::new();
            for (number, command) in split(commands, '&').into_iter().enumerate() {
                if number > 0 {
                    thread::sleep(MOMENT);
                }
                running.extend(self.start(command)?);
            }
            for (mut child, output) in running {
                for line in BufReader::new(output).lines() {
                    let line = line? + "\n";
                    if is_experiment && !line.contains(&impossible) {
                        live(&line);
                    }
                    printed += &line;
                }
                // The other commands may fail: some lessons are about that.
                let has_failed = !child.wait()?.success() && is_experiment;
                if has_failed && !printed.contains(&impossible) {
                    let why = printed.lines().last().unwrap_or_default();
                    return Err(io::Error::other(why.to_owned()));
                }
            }
            printed += &self.traced();
        }
        Ok(Some(self.as_on_the_page(&printed)).filter(|printed| !printed.contains(&impossible)))
    }

    /// What the server has traced since it was last asked, with the ends of its connections.
    fn traced(&self) -> String {
        let count = |text: &str, what: &str| text.matches(what).count();
        let end = Instant::now() + TRACE_ENDS;
        loop {
            let mut traced = lock(&self.traced);
            let ends = count(&traced, "-- [end] ->") + count(&traced, "[reset]");
            if ends >= count(&traced, "|client ") || Instant::now() > end {
                return std::mem::take(&mut traced);
            }
            drop(traced);
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Starts a command, or does what it would do. The commands are those of the lessons: this program, `printf`,
    /// and `head` of zeros.
    fn start(&self, command: &str) -> io::Result<Option<(Child, io::PipeReader)>> {
        let here = self.folder.0.join("here");
        let (command, file) = match command.split_once(" > ") {
            Some((command, file)) => (command, Some(here.join(file))),
            None => (command, None),
        };
        let words = names::words(command, false).unwrap_or_default();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let write = |bytes: &[u8]| file.as_ref().map_or(Ok(()), |file| fs::write(file, bytes));
        match words.as_slice() {
            ["printf", text] => write(text.replace("\\n", "\n").as_bytes())?,
            ["head", "-c", count, "/dev/zero"] => write(&vec![0; count.parse().unwrap_or(0)])?,
            [name @ ("connme-client" | "connme-lab"), words @ ..] => {
                let (output, input) = io::pipe()?;
                let mut program = this_program()?;
                if *name == "connme-client" {
                    program.set_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
                }
                let mut program = Command::new(program);
                program.args(["--lang", self.lang.choose("en", "id")]);
                if *name == "connme-client" {
                    let dialect = words.iter().skip_while(|word| **word != "--dialect").nth(1);
                    let dialect = dialect.and_then(|name| Dialect::named(name));
                    let port = self.server.port(dialect.unwrap_or(Dialect::Text));
                    program.args(["--server", &format!("{TCP_IP}:{port}")]);
                }
                program.args(words).env("COLUMNS", self.columns.to_string());
                // Nothing to read, without the device for that, which a bare container lacks.
                let (nothing, _) = io::pipe()?;
                program.current_dir(&here).stdin(nothing).stderr(input.try_clone()?);
                match file {
                    Some(file) => program.stdout(File::create(file)?),
                    None => program.stdout(input),
                };
                return Ok(Some((program.spawn()?, output)));
            }
            _ => return Err(io::ErrorKind::Unsupported.into()),
        }
        Ok(None)
    }

    /// What was printed, with the ports and the slashes of the pages.
    fn as_on_the_page(&self, printed: &str) -> String {
        let printed = printed.replace(&format!("downloads{MAIN_SEPARATOR}"), "downloads/");
        self.server.ports.iter().fold(printed, |text, (dialect, port)| {
            let [own, other] = [*port, dialect.port()].map(|port| format!("{TCP_IP}:{port}"));
            text.replace(&own, &other)
        })
    }
}

/// Splits a line at a mark that is not quoted.
fn split(line: &str, mark: char) -> Vec<&str> {
    let mut is_quoted = false;
    let parts = line.split(|c| {
        is_quoted ^= c == '\'';
        c == mark && !is_quoted
    });
    parts.map(str::trim).collect()
}

/// A line without what differs from run to run: times, rates, and the addresses at a ladder's head.
pub fn blanked(line: &str) -> String {
    if let Some((left, right)) = line.split_once('|').filter(|_| line.starts_with('#')) {
        let call = left.trim_end().chars().last().filter(char::is_ascii_lowercase);
        let between = if right.starts_with("client ") { "head" } else { right };
        return format!("# {} |{between}", call.unwrap_or(' '));
    }
    let text = without_rate(line);
    let word = |word: &str| {
        let is_time = word.contains(['.', ',']) && word.replace(',', ".").parse::<f64>().is_ok();
        if is_time { "T".into() } else { word.to_owned() }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// A line of an experiment with a letter for each number: it differs on another machine. Whether it has one digit, and
/// so is nothing or little, still shows.
fn without_numbers(line: &str) -> String {
    let number = |word: &str| {
        let plain = word.trim_end_matches([',', ':']);
        let is_number =
            plain.contains(|c: char| c.is_ascii_digit()) && plain.parse::<f64>().is_ok();
        match (is_number, plain.len()) {
            (true, 1) => word.replace(plain, "n"),
            (true, _) => word.replace(plain, "N"),
            _ => word.to_owned(),
        }
    };
    line.split_whitespace().map(number).collect::<Vec<_>>().join(" ")
}

/// A line without a rate in parentheses, alone or after a comma. A short transfer has none.
fn without_rate(line: &str) -> String {
    let Some((text, after)) = line.split_once("/s)") else { return line.to_owned() };
    let Some((before, inside)) = text.rsplit_once(" (") else { return line.to_owned() };
    match inside.rsplit_once(", ") {
        Some((other, _)) => format!("{before} ({other}){after}"),
        None => format!("{before}{after}"),
    }
}

#[cfg(test)]
mod tests;
