//! The rules of this repository that a program can check.

use std::fs;
use std::path::{Path, PathBuf};

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The sources, by path, without the tests inside them.
fn sources() -> Vec<(String, String)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![top.join("src")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let sources: Vec<_> = files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter(|path| !["tests.rs", "fuzz.rs"].iter().any(|test| path.ends_with(test)))
        .map(|path| {
            let name =
                path.strip_prefix(top.join("src")).unwrap().to_str().unwrap().replace('\\', "/");
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
            (name, code)
        })
        .collect();
    assert!(sources.len() > 20);
    sources
}

/// No line of these files' code (comments aside) has any of these words.
fn absent(files: impl Fn(&str) -> bool, words: &[&str], rule: &str) {
    let mut seen = 0;
    for (name, code) in sources() {
        if !files(&name) {
            continue;
        }
        seen += 1;
        for (n, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap();
            for word in words {
                assert!(!line.contains(word), "{rule}\nsrc/{name}:{}: {line}", n + 1);
            }
        }
    }
    assert!(seen > 0, "{rule}: no file is looked at");
}

#[test]
fn rooms_do_not_look_into_each_other() {
    let is = |name: &'static str| {
        move |file: &str| {
            file == name || file.starts_with(&format!("{}/", name.trim_end_matches(".rs")))
        }
    };
    absent(
        is("wire.rs"),
        &["crate::dialect", "crate::store", "std::net", "std::fs"],
        "wire knows no dialect",
    );
    absent(is("store.rs"), &["crate::wire", "crate::dialect", "std::net"], "store knows no wire");
    absent(
        is("dialect.rs"),
        &["std::net", "std::fs", "std::thread", "std::io", "stdout", "stderr", "TcpStream"],
        "a dialect knows no socket, no file system, no terminal",
    );
    absent(is("lang.rs"), &["use crate::"], "lang knows nothing");
    absent(is("client/progress.rs"), &["std::io", "Instant"], "the face is pure");
    absent(is("client/table.rs"), &["std::io"], "the face is pure");
    absent(
        is("args.rs"),
        &["std::fs", "std::net"],
        "a command line is read without touching the system",
    );
    absent(
        is("server.rs"),
        &["std::fs", "\"ls\"", "\"upload\""],
        "the server knows no dialect and no file",
    );
}

#[test]
fn files_and_sockets_are_touched_in_few_places() {
    let listed = |list: &'static [&str]| {
        let is = |file: &str, entry: &str| {
            file == entry || (entry.ends_with('/') && file.starts_with(entry))
        };
        move |file: &str| !list.iter().any(|entry| is(file, entry))
    };
    absent(
        listed(&[
            "store.rs",
            "store/",
            "client.rs",
            "client/places.rs",
            "client/prompt.rs",
            "client/terminal.rs",
            "client/compare.rs",
            "log.rs",
            "screen.rs",
        ]),
        &["std::fs", "fs::"],
        "only these touch files",
    );
    absent(
        listed(&[
            "server.rs",
            "server/",
            "client.rs",
            "client/compare.rs",
            "bin/",
            "stream.rs",
            "lens.rs",
            "trace.rs",
            "log.rs",
        ]),
        &["std::net", "TcpStream", "TcpListener"],
        "only these touch sockets",
    );
    absent(
        listed(&[
            "bin/",
            "client/prompt.rs",
            "client/terminal.rs",
            "trace.rs",
            "log.rs",
            "screen.rs",
        ]),
        &["stdout()", "stderr()", "println!", "eprintln!", "print!("],
        "only these speak",
    );
}

#[test]
fn there_is_no_dependency_and_no_unsafe() {
    let manifest = read("Cargo.toml");
    assert!(!manifest.lines().any(|line| line.trim().starts_with("[dependencies")));
    let dev = manifest.split("[dev-dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    let names: Vec<_> =
        dev.lines().filter_map(|line| line.split_once(" =")).map(|(name, _)| name).collect();
    assert_eq!(names, ["assert_cmd", "tempfile"]);
    assert!(manifest.contains("unsafe_code = \"forbid\""));
}

#[test]
fn the_top_level_is_as_its_owner_fixed_it() {
    let allowed = ["Cargo.toml", "Cargo.lock", "src", "tests", "Makefile", "LICENSE", "README.md"];
    for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let made = ["target", "uploads", "downloads"].contains(&name.as_str());
        assert!(name.starts_with('.') || made || allowed.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn modules_say_what_they_are_for_and_dialects_stay_short() {
    for (name, code) in sources() {
        assert!(code.starts_with("//! "), "src/{name} does not say what it is for");
        let lines = code.lines().count();
        let most = match name.as_str() {
            name if name.starts_with("bin/") => 120,
            name if name.starts_with("dialect/") => 500,
            _ => 650,
        };
        assert!(lines <= most, "src/{name} has {lines} lines");
    }
}

#[test]
fn the_makefile_and_the_readme_agree() {
    let (makefile, readme) = (read("Makefile"), read("README.md"));
    let targets: Vec<_> = makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '.', '#']))
        .filter_map(|line| line.split_once(':'))
        .filter(|(target, rest)| !rest.starts_with('=') && !target.contains([' ', '$', '%']))
        .map(|(target, _)| target)
        .collect();
    assert!(targets.len() >= 7, "{targets:?}");
    for target in targets {
        assert!(readme.contains(&format!("make {target}")), "make {target} is not in the README");
    }
}

#[test]
fn the_readme_shows_the_conversation_that_the_tests_replay() {
    let (readme, tour) = (read("README.md"), read("tests/transcripts/tour.txt"));
    assert!(readme.contains(&tour), "README.md does not show tests/transcripts/tour.txt as it is");
}

#[test]
fn the_map_of_the_code_is_whole() {
    let (readme, lib) = (read("README.md"), read("src/lib.rs"));
    for (name, _) in sources() {
        assert!(readme.contains(name.as_str()), "src/{name} is not in the README's map");
        if !name.contains('/') && name != "lib.rs" {
            let module = name.trim_end_matches(".rs");
            assert!(lib.contains(&format!("`{module}`")), "{module} is not in the map of lib.rs");
        }
    }
}
