//! The rules of this repository that a program can check.

use std::collections::{BTreeMap, BTreeSet};
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

/// The modules that each top-level module names in its code, comments aside.
fn calls() -> BTreeMap<String, BTreeSet<String>> {
    let mut calls: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, code) in sources() {
        let module = name.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        let called = calls.entry(module.clone()).or_default();
        let code: Vec<_> = code.lines().map(|line| line.split("//").next().unwrap()).collect();
        for rest in code.join("\n").split("crate::").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            called.insert(rest[..end.unwrap()].to_owned());
        }
        called.remove(&module);
    }
    calls
}

/// An arrow that is added has to be drawn, and one that leads back is an error.
#[test]
fn the_map_of_the_code_is_true() {
    let lib = read("src/lib.rs");
    let words = |cell: &str| -> BTreeSet<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let row = |line: &str| {
        let cells: Vec<_> = line.strip_prefix("//! |")?.split('|').collect();
        Some((words(cells.first()?).pop_first()?, words(cells.get(2)?)))
    };
    let drawn: BTreeMap<_, _> = lib.lines().filter_map(row).collect();
    let calls = calls();
    for (module, called) in &calls {
        let all_may = ["lib", "bin"].contains(&module.as_str());
        assert!(all_may || drawn.get(module) == Some(called), "{module} calls {called:?}");
    }
    let circle = circle(&calls);
    assert!(circle.is_empty(), "these call each other in a circle: {circle:?}");
}

/// Adds the file that a path leads to. The path may end in several names in braces.
fn follow(files: &BTreeSet<String>, from: &str, path: &str, found: &mut BTreeSet<String>) {
    if let Some(list) = path.strip_prefix('{') {
        for path in list.split('}').next().unwrap().split(',') {
            follow(files, from, path.trim_start(), found);
        }
        return;
    }
    let end = path.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(path.len());
    let (name, rest) = path.split_at(end);
    let next = if from.is_empty() { name.to_owned() } else { format!("{from}/{name}") };
    match rest.strip_prefix("::") {
        Some(rest) if files.contains(&next) => follow(files, &next, rest, found),
        _ if files.contains(&next) => drop(found.insert(next)),
        _ => drop(found.insert(from.to_owned())),
    }
}

/// The files that each file names in its code. A `mod.rs` has the name of its folder: it is its face, which the files
/// below may call and which may call them, so that no arrow is drawn between these.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let own = |name: &str| name.trim_end_matches(".rs").trim_end_matches("/mod").to_owned();
    let sources = sources();
    let files: BTreeSet<String> = sources.iter().map(|(name, _)| own(name)).collect();
    let mut arrows = BTreeMap::new();
    for (name, code) in &sources {
        let (own, mut found) = (own(name), BTreeSet::new());
        let lines: Vec<_> = code.lines().map(|line| line.split("//").next().unwrap()).collect();
        let code = lines.join("\n");
        for path in code.split("crate::").skip(1) {
            follow(&files, "", path, &mut found);
        }
        let mut from = own.as_str();
        for path in code.split("super::").skip(1) {
            from = from.rsplit_once('/').map_or("", |(folder, _)| folder);
            // Another `super::` follows at once.
            if !path.is_empty() {
                follow(&files, from, path, &mut found);
                from = own.as_str();
            }
        }
        let is_below = |one: &str, other: &str| one.starts_with(&format!("{other}/"));
        found.retain(|it| it != &own && !is_below(it, &own) && !is_below(&own, it));
        found.remove("");
        arrows.insert(own, found);
    }
    arrows
}

/// Takes away what calls nothing that is left, until nothing is left or the rest is a circle.
fn circle(calls: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut left: BTreeSet<_> = calls.keys().cloned().collect();
    loop {
        let before = left.len();
        let lowest: Vec<_> =
            left.iter().filter(|file| calls[*file].is_disjoint(&left)).cloned().collect();
        left.retain(|file| !lowest.contains(file));
        if left.len() == before {
            return left;
        }
    }
}

#[test]
fn no_files_call_each_other_in_a_circle() {
    let arrows = arrows();
    let seen: usize = arrows.values().map(BTreeSet::len).sum();
    assert!(seen > 500, "{seen}");
    for (from, to) in [
        ("lab/lecture/compare", "lab/lecture/trace"),
        ("lab/grade/client/drive", "lab/process"),
        ("store/catalog", "store/workspace"),
    ] {
        assert!(arrows[from].contains(to), "{from}: {:?}", arrows[from]);
    }
    let circle = circle(&arrows);
    let between = arrows.iter().filter(|(file, _)| circle.contains(*file));
    let between = between.map(|(file, called)| (file, called.intersection(&circle).collect()));
    let between: BTreeMap<_, Vec<_>> = between.collect();
    assert!(circle.is_empty(), "{between:#?}");
    let two = |a: &str, b: &str| (a.to_owned(), BTreeSet::from([b.to_owned()]));
    let known = BTreeMap::from([two("a", "b"), two("b", "c"), two("c", "b")]);
    assert_eq!(self::circle(&known).len(), 3);
}

/// One arrow leads to the lab, and it begins in the programs.
#[test]
fn only_the_programs_name_the_lab() {
    absent(
        |file| !["bin/", "lab/", "lib.rs", "guide/"].iter().any(|entry| file.starts_with(entry)),
        &["crate::lab", "lab::", "lecture::"],
        "only lib.rs and bin name the lab",
    );
}

#[test]
fn modules_do_not_do_the_work_of_others() {
    let is = |name: &'static str| move |file: &str| file.starts_with(name);
    absent(
        |file| file.starts_with("wire/") && file != "wire/stream.rs",
        &["std::net", "std::fs"],
        "only the stream of a wire knows the socket",
    );
    absent(is("store/"), &["std::net"], "store knows no socket");
    absent(
        is("dialect/"),
        &["std::net", "std::fs", "std::thread", "std::io", "stdout", "stderr", "TcpStream"],
        "a dialect knows no socket, no file system, no terminal",
    );
    absent(is("client/progress.rs"), &["std::io", "Instant"], "what is shown is made of values");
    absent(is("client/table.rs"), &["std::io"], "what is shown is made of values");
    absent(
        is("cli/"),
        &["std::fs", "std::net"],
        "a command line is read without touching the system",
    );
    absent(
        is("server/"),
        &["std::fs", "\"ls\"", "\"upload\""],
        "the server knows no dialect and no file",
    );
}

#[test]
fn files_and_sockets_are_touched_in_few_places() {
    let listed =
        |list: &'static [&str]| move |file: &str| !list.iter().any(|entry| file.starts_with(entry));
    absent(
        listed(&["store/", "client/", "lab/", "log.rs"]),
        &["std::fs", "fs::"],
        "only these touch files",
    );
    absent(
        listed(&["server/", "client/connection.rs", "lab/", "bin/", "wire/stream.rs", "log.rs"]),
        &["std::net", "TcpStream", "TcpListener"],
        "only these touch sockets",
    );
    absent(
        listed(&[
            "bin/",
            "client/keyboard.rs",
            "client/terminal.rs",
            "client/ui.rs",
            "lab/mod.rs",
            "lab/lecture/capture.rs",
            "lab/lecture/trace.rs",
            "lab/grade/program.rs",
            "lab/starter/main.rs",
            "log.rs",
        ]),
        &["stdout()", "stderr()", "println!", "eprintln!", "print!("],
        "only these print",
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
            // The dialect of the assignment says most, and is read as one conversation.
            "dialect/text.rs" => 550,
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

/// The README and the pages of the guide, by path.
fn pages() -> Vec<(String, String)> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide");
    let names = fs::read_dir(guide).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names
        .map(|name| format!("src/guide/{}", name.to_str().unwrap()))
        .filter(|name| name.ends_with(".md"))
        .collect();
    names.sort();
    assert!(names.len() >= 7, "{names:?}");
    names.push("README.md".to_owned());
    names.into_iter().map(|name| (name.clone(), read(&name))).collect()
}

#[test]
fn the_readme_is_two_screens_and_links_to_every_page() {
    // Its session uploads this file.
    let uploaded = format!("Cargo.toml uploaded: {} bytes in ", read("Cargo.toml").len());
    assert!(read("README.md").contains(&uploaded), "not in the README: {uploaded}");
    let readme = read("README.md");
    assert!(readme.len() <= 9600, "README.md has {} bytes", readme.len());
    let book = read("src/guide/mod.rs");
    for (name, _) in pages().iter().filter(|(name, _)| name != "README.md") {
        assert!(readme.contains(&format!("]({name})")), "README.md has no link to {name}");
        let file = name.trim_start_matches("src/guide/");
        assert!(book.contains(&format!("\"{file}\"")), "{name} is not in src/guide/mod.rs");
    }
}

/// What a student reads first, in a folder that `make dist` has packed.
#[test]
fn the_first_steps_are_one_screen() {
    for language in ["en", "id"] {
        let page = read(format!("src/guide/first_steps.{language}.txt"));
        assert!(page.lines().count() <= 24, "{language}: {}", page.lines().count());
        let wide = page.lines().find(|line| line.chars().count() > 80);
        assert_eq!(wide, None, "{language}");
    }
}

#[test]
fn the_pages_show_the_conversations_that_the_tests_replay() {
    let shown = [
        ("README.md", "tour"),
        ("src/guide/protocol.md", "tour"),
        ("src/guide/protocol.md", "names"),
        ("src/guide/protokol.md", "tour"),
        ("src/guide/protokol.md", "names"),
    ];
    for (name, transcript) in shown {
        let transcript = format!("tests/transcripts/{transcript}.txt");
        assert!(read(name).contains(&read(&transcript)), "{name} does not show {transcript}");
    }
}

/// What a lesson calls a rule is in the protocol, word for word.
#[test]
fn the_lessons_quote_the_protocol() {
    let on_one_line = |path: &str| read(path).split_whitespace().collect::<Vec<_>>().join(" ");
    let protocol = on_one_line("src/guide/protocol.md");
    let lessons = on_one_line("src/lab/lecture/lessons/english.md");
    let quotes: Vec<_> = lessons
        .split("**The rule.**")
        .skip(1)
        .filter_map(|rest| rest.split(" ## ").next().unwrap().split('"').nth(1))
        .collect();
    assert!(quotes.len() >= 8, "{quotes:?}");
    for quote in quotes {
        assert!(protocol.contains(quote.trim_end_matches('.')), "{quote}");
    }
}

/// The lines of a page outside code blocks. Code in a line is left out too: what is in it is no link.
fn prose(page: &str) -> Vec<String> {
    let mut in_code = false;
    let lines = page.lines().filter(|line| {
        let is_fence = line.starts_with("```");
        in_code ^= is_fence;
        !is_fence && !in_code
    });
    lines.map(|line| line.split('`').step_by(2).collect()).collect()
}

/// Where the links of a page lead: `[text](target)`, also over a line break, and `[label]: target`.
fn links(page: &str) -> Vec<String> {
    let lines = prose(page);
    let mut links: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with('['))
        .filter_map(|line| line.split_once("]: "))
        .map(|(_, target)| target.to_owned())
        .collect();
    let text = lines.join("\n");
    links.extend(text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned()));
    links
}

/// The anchors of a page's headings, as code hosts and rustdoc make them.
fn anchors(page: &str) -> Vec<String> {
    let mut in_code = false;
    let headings = page.lines().filter(|line| {
        in_code ^= line.starts_with("```");
        !in_code && line.starts_with('#')
    });
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    let anchor = |line: &str| -> String {
        let text = line.trim_start_matches('#').trim().to_lowercase();
        text.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_in_the_pages_leads_somewhere() {
    let mut seen = 0;
    for (name, page) in pages() {
        let folder = Path::new(&name).parent().unwrap();
        for link in links(&page).iter().filter(|link| !link.starts_with("https://")) {
            seen += 1;
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = if target.is_empty() { PathBuf::from(&name) } else { folder.join(target) };
            let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
            assert!(whole.is_file(), "{name}: {link} leads to no file");
            if !anchor.is_empty() {
                let anchors = anchors(&read(&path));
                assert!(anchors.iter().any(|a| a == anchor), "{name}: {link}: {anchors:?}");
            }
        }
        // In the book of `cargo doc` a page is no file beside another: links go by labels, which the book defines anew.
        let text = prose(&page).join("\n");
        for target in text.split("](").skip(1).filter(|_| name != "README.md") {
            let is_anywhere = target.starts_with("https://") || target.starts_with('#');
            assert!(
                is_anywhere,
                "{name}: use a label for {}",
                target.lines().next().unwrap_or_default()
            );
        }
        // A label that no line defines is shown as it is typed, and leads nowhere.
        for label in text.split("][").skip(1).map(|rest| rest.split(']').next().unwrap()) {
            assert!(text.contains(&format!("\n[{label}]: ")), "{name}: [{label}] is not defined");
        }
    }
    assert!(seen >= 25, "{seen}");
}

/// rustdoc takes a block without a language for a test in Rust.
#[test]
fn every_code_block_in_the_pages_names_its_language() {
    for (name, page) in pages() {
        let fences: Vec<_> = page.lines().filter(|line| line.starts_with("```")).collect();
        for block in fences.chunks(2) {
            let known = ["```text", "```sh", "```python", "```rust,ignore"].contains(&block[0]);
            assert!(known && block.get(1) == Some(&"```"), "{name}: {block:?}");
        }
        let is_indented = |line: &&str| line.starts_with("    ") && !line.trim().is_empty();
        let outside = prose(&page).join("\n");
        assert_eq!(outside.lines().find(is_indented), None, "{name}");
    }
}

/// Whether the file has the lines of this excerpt, in this order. A line `...` is any number of lines between, in the
/// same function if none begins after it.
fn has_excerpt(file: &str, excerpt: &str) -> bool {
    let is_head = |line: &&str| line.trim_start().starts_with("def ") || line.contains("fn ");
    let lines: Vec<_> = file.lines().collect();
    let excerpt: Vec<_> = excerpt.lines().collect();
    let mut rest = lines.as_slice();
    let parts = excerpt.split(|line| line.trim() == "...").filter(|part| !part.is_empty());
    parts.enumerate().all(|(n, part)| {
        let found = rest.windows(part.len()).position(|lines| lines == part);
        let skipped = &rest[..found.unwrap_or(0)];
        rest = found.map_or(&[], |start| &rest[start + part.len()..]);
        found.is_some() && (n == 0 || is_head(&part[0]) || !skipped.iter().any(is_head))
    })
}

#[test]
fn the_page_about_the_assignment_shows_the_code_as_it_is() {
    let page = read("src/guide/assignment.md");
    let mut python = String::new();
    // Text and excerpts by turns.
    for pair in page.split("```").collect::<Vec<_>>().chunks_exact(2) {
        let introduction = pair[0].trim_end().lines().last().unwrap();
        let (language, excerpt) = pair[1].split_once('\n').unwrap();
        let file = introduction.split('`').find(|word| word.starts_with("src/"));
        let file = file.unwrap_or_else(|| panic!("no file is named: {introduction}"));
        let is_python = language.trim_end() == "python";
        assert_eq!(is_python, file.ends_with(".py"), "{introduction}");
        assert!(has_excerpt(&read(file), excerpt), "{file} has other lines than\n{excerpt}");
        if is_python {
            python.push_str(excerpt);
        }
    }
    for line in read("src/lab/starter/server.py").lines().filter(|line| line.starts_with("def ")) {
        assert!(python.contains(line), "not on the page: {line}");
    }
}

/// Each difference between systems is shown by a test.
#[test]
fn the_page_about_platforms_names_tests_that_exist() {
    let inside =
        ["store/name", "store/catalog", "store/plain", "store/workspace", "client/terminal"];
    let inside = inside.iter().chain(&["client/names", "wire/tests"]);
    let outside = ["absent", "capture", "filesaver", "sturdy"];
    let files = inside.map(|file| format!("src/{file}.rs"));
    let files = files.chain(outside.iter().map(|file| format!("tests/it/{file}.rs")));
    let code: String = files.map(read).collect();
    let page = read("src/guide/platforms.md");
    let (_, table) = page.split_once("| test |\n").unwrap();
    let rows: Vec<_> = table.lines().skip(1).take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 9, "{rows:?}");
    for row in rows {
        let test = row.trim_end_matches(" |").rsplit("| ").next().unwrap().trim_matches('`');
        assert!(code.contains(&format!("fn {test}() {{")), "{row}");
    }
}

/// A wait for a time is too short on a busy machine, and too long on every other. The server with flaws in it is slow
/// where that is the flaw.
#[test]
fn tests_wait_for_signs() {
    let mut waits = Vec::new();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files = ["it", "bench"].map(|folder| fs::read_dir(tests.join(folder)).unwrap());
    for entry in files.into_iter().flatten() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        if ["sleep", "park_timeout"].iter().any(|wait| text.contains(&format!("{wait}("))) {
            waits.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    waits.sort();
    assert_eq!(waits, ["grade_server.rs", "support.rs"]);
}
