//! Writes what a teacher uploads to a course system: `connme-lab pack gradescope|classroom DIR`.
//!
//! A pack holds this program, and the files with which the course system runs it on a student's server. Those are in
//! `src/lab/pack`; a word like `@RUN@` in them is replaced.

use std::path::Path;
use std::{fs, io};

use super::grade::checks;
use super::line::CommandLine;
use super::scratch::this_program;
use super::text::said;
use crate::client::argument::Argument;
use crate::client::outcome::{Outcome, Stop};
use crate::dialect::json_value::Value;
use crate::lang::readable;

/// The command that starts a student's server, if the teacher has named no other.
const RUN: &str = "python3 server.py {port} {root}";

/// Writes the files of the pack.
///
/// # Errors
/// The command was typed wrongly, or the files cannot be written.
pub(super) fn write(line: &CommandLine) -> Outcome {
    let wrong_use = || Stop::Wrong(said("pack-use", &[]).see_help());
    let Argument::Words(typed) = &line.argument else { return Err(wrong_use()) };
    let [system, folder] = typed.as_slice() else { return Err(wrong_use()) };
    let folder = Path::new(folder);
    let run = line.flags.run.as_deref().unwrap_or(RUN);
    let dialect = line.config.dialect;
    let written = match system.to_str().unwrap_or_default() {
        "gradescope" => gradescope(folder, run, dialect.name()),
        "classroom" => {
            let mut groups: Vec<&str> =
                checks(dialect, false).iter().map(|it| it.group()).collect();
            groups.dedup();
            classroom(folder, run, dialect.name(), &groups)
        }
        _ => return Err(wrong_use()),
    };
    written.map_err(|error| {
        let folder = readable(folder.to_string_lossy().as_bytes());
        Stop::Refused(said("pack-unwritten", &[&folder, &error]))
    })
}

fn gradescope(folder: &Path, run: &str, dialect: &str) -> io::Result<()> {
    let script = include_str!("pack/run_autograder").replace("@DIALECT@", dialect);
    let script = script.replace("@RUN@", &run.replace('\'', "'\\''"));
    fs::create_dir_all(folder)?;
    program(&folder.join("setup.sh"), include_str!("pack/setup.sh"))?;
    program(&folder.join("run_autograder"), &script)?;
    this_file(folder)
}

/// A runner for each group: its points, and a line of its own on the page of a student.
fn classroom(folder: &Path, run: &str, dialect: &str, groups: &[&str]) -> io::Result<()> {
    let step = include_str!("pack/step.yml").replace("@DIALECT@", dialect);
    let step = |group: &&str| step.replace("@GROUP@", group);
    let result = |group: &&str| {
        let name = group.to_uppercase();
        format!("          {name}_RESULTS: \"${{{{ steps.{group}.outputs.result }}}}\"\n")
    };
    let workflow = include_str!("pack/classroom.yml")
        .replace("@STEPS@\n", &groups.iter().map(step).collect::<String>())
        .replace("@RESULTS@\n", &groups.iter().map(result).collect::<String>())
        .replace("@RUNNERS@", &groups.join(","))
        .replace("@RUN@", &Value::text(run).to_string());
    let github = folder.join(".github");
    fs::create_dir_all(github.join("workflows"))?;
    fs::write(github.join("workflows").join("classroom.yml"), workflow)?;
    this_file(&github)
}

/// A copy of this program, which runs on the systems that this one runs on.
fn this_file(folder: &Path) -> io::Result<()> {
    fs::copy(this_program()?, folder.join("connme-lab")).map(drop)
}

/// A file that can be executed, where files have that right.
fn program(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)?;
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(())
}
