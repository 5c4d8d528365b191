//! Lessons for a course: predict, run one command, see, explain. `connme-lab lesson` takes a reader through
//! them, with a server of its own for each.
//!
//! The pages are the lessons: the command reads its questions, its commands and what must come out from them. The
//! same in Bahasa Indonesia: `src/lab/lecture/lessons/indonesian.md`.
//!
#![doc = include_str!("lessons/english.md")]

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::TcpListener;
use std::path::MAIN_SEPARATOR;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::local::{Listeners, LocalServer, TemporaryFolder};
use crate::client::outcome::{Outcome, Stop};
use crate::client::ui::Ui;
use crate::dialect::Dialect;
use crate::error::{Answer, CREATE, Failure, READ};
use crate::lab::cli::CommandLine;
use crate::lab::{starter, words as sentences};
use crate::lang::Lang;
use crate::limits::{self, TCP_IP};

/// How often a lesson is given with `--all` before it counts as different from its page.
const TRIES: usize = 4;

/// How much later a command starts than the one that it runs beside.
const MOMENT: Duration = Duration::from_millis(200);

/// What a lesson consists of, in this order.
enum Part<'p> {
    /// Something to read.
    Text(&'p str),
    /// From here on, this server: its command line.
    Server(&'p str),
    /// Commands, and what they print.
    Step { commands: &'p str, printed: &'p str },
}

/// Takes the reader through the lesson of this number, and offers the next. Without a number, begins with the
/// first one. With `--all`, runs all from there on without a pause, and fails if one prints something else.
pub(in crate::lab) fn run(ui: &mut Ui, line: &CommandLine) -> Outcome {
    let page = page(ui.config().lang);
    let lessons: Vec<&str> = page.split("\n## ").skip(1).collect();
    let most = lessons.len();
    let first = match line.argument.text().trim() {
        "" => 1,
        text => text.parse().unwrap_or(0),
    };
    let chosen = lessons.get(usize::wrapping_sub(first, 1)..).filter(|rest| !rest.is_empty());
    let Some(chosen) = chosen else { return Err(Stop::Wrong(sentences::no_such_lesson(most))) };
    if line.all {
        for lesson in chosen {
            // On a busy machine, a pause between two writes can be too short.
            let mut tries = 1;
            while let Err(stop) = give(ui, lesson, false, true) {
                if !matches!(stop, Stop::Refused(_)) || tries == TRIES {
                    return Err(stop);
                }
                tries += 1;
            }
        }
        return ui.tell(&sentences::lessons_are_true(chosen.len()));
    }
    for (lesson, number) in chosen.iter().zip(first + 1..) {
        let goes_on = give(ui, lesson, ui.asks, false)? && ui.asks && number <= most;
        if !goes_on {
            break;
        }
        match ui.ask(&sentences::ask_next_lesson(number, most))?.line() {
            Some(answer) if answer.trim().is_empty() => {}
            _ => break,
        }
    }
    Ok(())
}

fn page(lang: Lang) -> &'static str {
    match lang {
        Lang::En => include_str!("lessons/english.md"),
        Lang::Id => include_str!("lessons/indonesian.md"),
    }
}

/// Gives one lesson. With `waits`, the reader has to press Enter before the first command. With `compares`, it
/// fails if something else is printed than the page says. Returns whether the reader stays.
fn give(ui: &mut Ui, lesson: &str, waits: bool, compares: bool) -> Result<bool, Stop> {
    let (title, rest) = lesson.split_once('\n').unwrap_or((lesson, ""));
    let columns = ui.terminal.columns;
    ui.print(&format!("{title}\n{}\n\n", "=".repeat(title.chars().count())))?;
    let mut place = None;
    let mut waits = waits;
    for part in parts(rest) {
        match part {
            Part::Text(text) => ui.print(&format!("{}\n\n", wrapped(text, columns)))?,
            Part::Server(line) => {
                ui.print(&format!("$ {line}\n\n"))?;
                place = Some(Place::new(line)?);
            }
            Part::Step { commands, printed } => {
                let place = match &mut place {
                    Some(place) => place,
                    none => none.insert(Place::new("connme-server --all")?),
                };
                let mut came = String::new();
                for command in split(commands, ';') {
                    // What runs at the same time is on lines of its own.
                    ui.print(&format!("$ {}\n", split(command, '&').join(" &\n  ")))?;
                    if waits
                        && ui
                            .ask(&sentences::ask_enter())?
                            .line()
                            .is_none_or(|answer| answer.trim() == "q")
                    {
                        return Ok(false);
                    }
                    waits = false;
                    let printed = place.run(command, ui.config().lang)?;
                    ui.print(&printed)?;
                    came += &printed;
                }
                ui.print("\n")?;
                if compares && blanked_all(&place.as_on_the_page(&came)) != blanked_all(printed) {
                    return Err(Stop::Refused(sentences::lesson_differs(title, printed)));
                }
            }
        }
    }
    Ok(true)
}

/// The parts of a lesson. A paragraph that names a command line of a server starts that one.
fn parts(lesson: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = lesson;
    while let Some((texts, after)) = rest.split_once("```sh\n") {
        parts.extend(texts_and_servers(texts));
        let (commands, after) = after.split_once("\n```").unwrap_or((after, ""));
        let printed = after.strip_prefix("\n```text\n").and_then(|after| after.split_once("```"));
        let (printed, after) = printed.unwrap_or(("", after));
        parts.push(Part::Step { commands, printed });
        rest = after;
    }
    parts.extend(texts_and_servers(rest));
    parts
}

fn texts_and_servers(texts: &str) -> impl Iterator<Item = Part<'_>> {
    // The page ends with the targets of its links.
    let is_shown =
        |text: &&str| !(text.is_empty() || text.starts_with('[') && text.contains("]: "));
    texts.split("\n\n").map(str::trim).filter(is_shown).map(|text| {
        match text.strip_prefix("Server: `").and_then(|line| line.strip_suffix('`')) {
            Some(line) => Part::Server(line),
            None => Part::Text(text),
        }
    })
}

/// A paragraph without its marks, in lines of this width.
fn wrapped(text: &str, columns: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.replace("**", "").split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > columns.min(100) {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines.join("\n")
}

/// A server and an empty folder for the commands of a lesson.
struct Place {
    /// Dropped before the folder that the server uses.
    _server: Listeners,
    folder: TemporaryFolder,
    ports: Vec<(Dialect, u16)>,
}

impl Place {
    /// Starts the server of this command line: one of ours, or the starter.
    fn new(line: &str) -> Answer<Place> {
        let folder = TemporaryFolder::new()?;
        let root = folder.0.join("root");
        let creating = |error| Failure::local(CREATE, root.display(), error);
        let here = folder.0.join("here");
        fs::create_dir(&here).map_err(creating)?;
        let (server, ports) = match line.strip_prefix("connme-server ") {
            Some(flags) => {
                let LocalServer { listeners, ports } = LocalServer::start_with(&root, flags)?;
                (listeners, ports)
            }
            None => {
                let failed = |error| Failure::local(super::local::START, line, error);
                let listener = TcpListener::bind((TCP_IP, 0)).map_err(failed)?;
                let port = listener.local_addr().map_err(failed)?.port();
                let serve = move |listeners: Vec<TcpListener>| {
                    listeners.iter().for_each(|listener| starter::serve(listener, &root));
                };
                let server = Listeners::start(vec![listener], serve).map_err(failed)?;
                (server, vec![(Dialect::Text, port)])
            }
        };
        Ok(Place { _server: server, folder, ports })
    }

    /// Runs a command, and returns what it prints. Commands with `&` between them run at the same time, each a
    /// moment later than the one before it.
    fn run(&self, line: &str, lang: Lang) -> Answer<String> {
        let mut running = Vec::new();
        for (number, command) in split(line, '&').into_iter().enumerate() {
            if number > 0 {
                thread::sleep(MOMENT);
            }
            running.extend(self.start(command, lang)?);
        }
        let mut printed = String::new();
        for (mut child, mut output) in running {
            let failed = |error| Failure::local(READ, line, error);
            output.read_to_string(&mut printed).map_err(failed)?;
            child.wait().map_err(failed)?;
        }
        Ok(printed)
    }

    /// Starts a command, or does what it would do. The commands are those of the lessons: this program, `printf`,
    /// and `head` of zeros.
    fn start(&self, command: &str, lang: Lang) -> Answer<Option<(Child, io::PipeReader)>> {
        let failed = |error: io::Error| Failure::local(("run", "menjalankan"), command, error);
        let here = self.folder.0.join("here");
        let (command, file) =
            command.split_once(" > ").map_or((command, None), |(c, f)| (c, Some(f)));
        let words = words(command);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let write = |bytes: &[u8]| match file {
            Some(file) => fs::write(here.join(file), bytes).map_err(failed),
            None => Ok(()),
        };
        match words.as_slice() {
            ["printf", text] => write(text.replace("\\n", "\n").as_bytes()).map(|()| None),
            ["head", "-c", count, "/dev/zero"] => {
                write(&vec![0; count.parse().unwrap_or(0)]).map(|()| None)
            }
            ["connme-client", words @ ..] => {
                let (output, input) = io::pipe().map_err(failed)?;
                let beside = std::env::current_exe().map_err(failed)?;
                let name = format!("connme-client{}", std::env::consts::EXE_SUFFIX);
                let mut client = Command::new(beside.with_file_name(name));
                client.args(["--lang", if lang == Lang::Id { "id" } else { "en" }]);
                client
                    .args(["--server", &format!("{TCP_IP}:{}", self.port_for(words))])
                    .args(words);
                client.current_dir(&here).stdin(Stdio::null());
                client.stderr(input.try_clone().map_err(failed)?);
                match file {
                    Some(file) => client.stdout(File::create(here.join(file)).map_err(failed)?),
                    None => client.stdout(input),
                };
                Ok(Some((client.spawn().map_err(failed)?, output)))
            }
            _ => Err(failed(io::ErrorKind::Unsupported.into())),
        }
    }

    fn port_for(&self, words: &[&str]) -> u16 {
        let named = words.iter().skip_while(|word| **word != "--dialect").nth(1);
        let dialect = named.and_then(|name| Dialect::named(name)).unwrap_or(Dialect::Text);
        let port = self.ports.iter().find(|(known, _)| *known == dialect).map(|(_, port)| *port);
        port.unwrap_or(limits::TCP_PORT)
    }

    /// What was printed, with the ports and the slashes of the pages.
    fn as_on_the_page(&self, printed: &str) -> String {
        let printed = printed.replace(&format!("downloads{MAIN_SEPARATOR}"), "downloads/");
        self.ports.iter().fold(printed, |text, (dialect, port)| {
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

/// The words of a command. Quotes are taken off.
fn words(command: &str) -> Vec<String> {
    let words = split(command, ' ').into_iter().filter(|word| !word.is_empty());
    words.map(|word| word.replace('\'', "")).collect()
}

/// The lines without what differs from run to run: times, rates, and the addresses at a ladder's head.
#[must_use]
pub fn blanked_all(text: &str) -> Vec<String> {
    text.lines().map(blanked).collect()
}

/// See [`blanked_all`].
#[must_use]
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
mod tests {
    use super::*;

    #[test]
    fn a_line_of_commands_is_split_as_a_shell_does_it() {
        assert_eq!(split("a; b 'c;d' & e", ';'), ["a", "b 'c;d' & e"]);
        assert_eq!(split("b 'c&d' & e", '&'), ["b 'c&d'", "e"]);
        assert_eq!(words("say  'a b\\n' x'y z'"), ["say", "a b\\n", "xy z"]);
    }

    #[test]
    fn both_languages_run_the_same_commands_on_the_same_servers() {
        let work = |lang| {
            let lessons = page(lang).split("\n## ").skip(1);
            lessons.map(|lesson| {
                let parts = parts(lesson).into_iter().filter_map(|part| match part {
                    Part::Server(line) => Some(line.to_owned()),
                    Part::Step { commands, .. } => Some(commands.to_owned()),
                    Part::Text(_) => None,
                });
                parts.collect::<Vec<_>>()
            })
        };
        let lessons: Vec<_> = work(Lang::En).collect();
        assert!(lessons.len() >= 18, "{}", lessons.len());
        assert!(lessons.iter().all(|lesson| !lesson.is_empty()));
        let starters = |lesson: &&Vec<String>| lesson.iter().any(|line| line.contains("starter"));
        assert!(lessons.iter().filter(starters).count() >= 6);
        assert_eq!(lessons, work(Lang::Id).collect::<Vec<_>>());
    }

    #[test]
    fn a_paragraph_fits() {
        assert_eq!(wrapped("**Predict.** one two\nthree", 12), "Predict. one\ntwo three");
    }
}
