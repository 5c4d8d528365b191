//! A program that the lab starts: started without a shell, in a folder and a process group of its own. What it prints is
//! read all the time, so that it never waits for us, and the end of it is kept. When this is dropped, its group ends.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::names;
use crate::error::lock;

/// How much of what a program prints is kept.
const KEPT: usize = 64 << 10;

/// How many of its last lines a report shows.
const LINES: usize = 10;

/// How often it is looked whether something is so: the standard library cannot wait for a program with a deadline.
const LOOK: Duration = Duration::from_millis(5);

/// How long it is waited for the end of a group that was killed, and for the end of what it has printed.
const GONE: Duration = Duration::from_secs(2);

/// A program that runs, or has ended.
pub(super) struct Process {
    child: Child,
    printed: Arc<Mutex<Vec<u8>>>,
    reader: Option<thread::JoinHandle<()>>,
}

/// What the processes of a group take together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Memory in KiB.
    pub(super) memory: u64,
    /// The most that each has taken up to now.
    pub(super) peak: u64,
    /// Open files.
    pub(super) files: usize,
    /// Threads.
    pub(super) threads: usize,
}

impl Process {
    /// Starts the program that these words name, in this folder, with these variables beside those that there are.
    pub(super) fn start(
        words: &[String],
        folder: &Path,
        variables: &[(&str, &str)],
    ) -> io::Result<Process> {
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).env("PYTHONUNBUFFERED", "1");
        // The last lines that it prints are shown: they are to be what went wrong, and not where it was called from.
        command.env("RUST_BACKTRACE", "0");
        command.envs(variables.iter().copied());
        let (output, writer) = io::pipe()?;
        command.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn()?;
        // The command holds the pipe too, and the reader ends when nothing does.
        drop(command);
        let printed = Arc::default();
        let kept = Arc::clone(&printed);
        let reader = Some(thread::spawn(move || keep(output, &kept)));
        Ok(Process { child, printed, reader })
    }

    /// Writes this to its standard input, and closes that. It is no error here if the program does not read it.
    pub(super) fn say(&mut self, text: &str) {
        if let Some(mut input) = self.child.stdin.take() {
            let _ = input.write_all(text.as_bytes());
        }
    }

    /// How it has ended, if it has. All that it has printed is known then.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten();
        if status.is_some() {
            self.read_to_the_end();
        }
        status
    }

    /// Waits until what it has printed was read, but not for ever: a program that it has started can outlive it, and
    /// keep its output open.
    fn read_to_the_end(&mut self) {
        let _ = soon(GONE, || self.reader.as_ref().is_none_or(thread::JoinHandle::is_finished));
        self.reader = None;
    }

    /// Waits until it ends, at most this long.
    pub(super) fn wait(&mut self, time: Duration) -> Option<ExitStatus> {
        let mut ended = None;
        let _ = soon(time, || {
            ended = self.ended();
            ended.is_some()
        });
        ended
    }

    /// What it has printed last, as text.
    pub(super) fn printed(&self) -> String {
        String::from_utf8_lossy(&lock(&self.printed)).into_owned()
    }

    /// Forgets what it has printed up to now.
    pub(super) fn forget(&self) {
        lock(&self.printed).clear();
    }

    /// What its group takes now. `None` where the system does not tell: it is read from `/proc`.
    pub(super) fn usage(&self) -> Option<Usage> {
        let mut all = Usage::default();
        for process in std::fs::read_dir("/proc").ok()?.flatten() {
            let path = process.path();
            if group_of(&path) != Some(self.child.id()) {
                continue;
            }
            let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
            let figure = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
            };
            all.memory += figure("VmRSS:");
            all.peak += figure("VmHWM:");
            all.threads += usize::try_from(figure("Threads:")).unwrap_or(0);
            all.files += std::fs::read_dir(path.join("fd")).map_or(0, Iterator::count);
        }
        (all.threads > 0).then_some(all)
    }

    /// Ends the program and all that it has started, and waits for what they have printed.
    pub(super) fn kill(&mut self) {
        // To start another program that ends its group takes longer than to know that nothing of it is left.
        let has_ended = self.child.try_wait().is_ok_and(|status| status.is_some());
        let can_tell = Path::new("/proc/self/stat").exists();
        if !has_ended || !can_tell || self.usage().is_some() {
            self.kill_group();
        }
        self.read_to_the_end();
    }

    fn kill_group(&mut self) {
        let id = self.child.id().to_string();
        let group = format!("-{id}");
        let (program, arguments) = match cfg!(windows) {
            true => ("taskkill", vec!["/T", "/F", "/PID", &id]),
            false => ("kill", vec!["-KILL", "--", &group]),
        };
        let _ = Command::new(program).args(arguments).output();
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A signal takes a moment to end those that the program has started.
        let _ = soon(GONE, || self.usage().is_none());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether this is so within that time.
pub(super) fn soon(time: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + time;
    loop {
        match is_so() {
            true => return true,
            false if Instant::now() >= until => return false,
            false => thread::sleep(LOOK),
        }
    }
}

/// The last lines of what a program has printed, which a report shows.
pub(super) fn last_lines(printed: &str) -> Vec<String> {
    let from = printed.lines().count().saturating_sub(LINES);
    printed.lines().skip(from).map(str::to_owned).collect()
}

/// The words of a command that runs in another folder: what they name here is found there too. `None`: there are none.
pub(super) fn command_words(command: &str) -> Option<Vec<String>> {
    let here = std::env::current_dir().unwrap_or_default();
    let absolute = |word: String| match here.join(&word) {
        path if !word.is_empty() && path.exists() => path.display().to_string(),
        _ => word,
    };
    let words = names::words(command, names::ESCAPES).filter(|words| !words.is_empty())?;
    Some(words.into_iter().map(absolute).collect())
}

/// The number of the process group that a process in `/proc` is in. `None` for one that has ended and only waits to be
/// noticed.
fn group_of(process: &Path) -> Option<u32> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    // The name of the program is in brackets, and may have any characters.
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let (state, _, group) = (fields.next()?, fields.next()?, fields.next()?);
    group.parse().ok().filter(|_| state != "Z")
}

fn keep(mut output: impl Read, printed: &Mutex<Vec<u8>>) {
    let mut buffer = vec![0; 8 << 10];
    while let Ok(n @ 1..) = output.read(&mut buffer) {
        let mut printed = lock(printed);
        printed.extend(buffer.iter().take(n));
        let more = printed.len().saturating_sub(KEPT);
        printed.drain(..more);
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, folder: &Path) -> io::Result<Process> {
        let words = ["sh", "-c", script].map(str::to_owned);
        Process::start(&words, folder, &[("WORD", "said")])
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_program_is_heard_and_its_end_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let mut process =
            sh("read line; echo $WORD $line; pwd >&2; exit 3", folder.path()).unwrap();
        process.say("hello\n");
        assert_eq!(process.wait(LONG).and_then(|status| status.code()), Some(3));
        let printed = process.printed();
        assert!(printed.contains("said hello\n"), "{printed}");
        assert!(printed.contains(folder.path().file_name().unwrap().to_str().unwrap()));
        let missing = Process::start(&["no-such-program".to_owned()], folder.path(), &[]);
        assert!(missing.is_err() && Process::start(&[], folder.path(), &[]).is_err());
    }

    #[test]
    fn a_program_that_prints_without_end_is_read_and_little_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut process =
            sh("yes line | head -n 200000; echo last; exec cat", folder.path()).unwrap();
        while !process.printed().ends_with("last\n") {
            thread::yield_now();
        }
        assert!(process.printed().len() <= KEPT);
        let lines = last_lines(&process.printed());
        assert_eq!((lines.len(), &*lines[8], &*lines[9]), (LINES, "line", "last"));
        assert!(process.ended().is_none());
        process.say("");
        assert!(process.wait(LONG).is_some());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_program_has_started_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        // The second one ends before what it has started.
        for (last, threads) in [("; wait", 3), ("", 2)] {
            let script = format!("sleep 1000 & sleep 1000 & echo started{last}");
            let mut process = sh(&script, folder.path()).unwrap();
            let is_so = |process: &Process| process.usage().is_some_and(|it| it.threads == threads);
            while !process.printed().contains("started") || !is_so(&process) {
                thread::yield_now();
            }
            let usage = process.usage().unwrap();
            assert!(usage.memory > 0 && usage.files >= 3 * threads, "{usage:?}");
            assert_eq!(process.ended().is_some(), last.is_empty());
            let group = process.child.id();
            drop(process);
            let all = std::fs::read_dir("/proc").unwrap().flatten();
            let of_it = all.filter(|it| group_of(&it.path()) == Some(group));
            assert_eq!(of_it.count(), 0);
        }
    }
}
