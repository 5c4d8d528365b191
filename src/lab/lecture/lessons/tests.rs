//! The pages of the lessons, and how their commands are read.

use super::*;

#[test]
fn a_line_of_commands_is_split_as_a_shell_does_it() {
    assert_eq!(split("a; b 'c;d' & e", ';'), ["a", "b 'c;d' & e"]);
    assert_eq!(split("b 'c&d' & e", '&'), ["b 'c&d'", "e"]);
}

#[test]
fn both_languages_run_the_same_commands_on_the_same_servers() {
    let work = |lang| {
        page(lang).split("\n## ").skip(1).map(|lesson| {
            let step = |step: Step<'_>| {
                let run = |part: Part<'_>| match part {
                    Part::Run(line, ..) => Some(line.to_owned()),
                    _ => None,
                };
                let runs = step.parts.into_iter().filter_map(run);
                step.server.map(str::to_owned).into_iter().chain(runs).collect::<Vec<_>>()
            };
            steps(lesson).1.into_iter().flat_map(step).collect::<Vec<_>>()
        })
    };
    let lessons: Vec<_> = work(Lang::En).collect();
    assert!(lessons.len() >= 18, "{}", lessons.len());
    assert!(lessons.iter().all(|lesson| !lesson.is_empty()));
    let starters = |lesson: &&Vec<String>| lesson.iter().any(|line| line.contains("starter"));
    assert!(lessons.iter().filter(starters).count() >= 6);
    let named = lessons.iter().flatten().filter_map(|line| line.strip_prefix(EXPERIMENT));
    assert!(named.eq(super::super::tcp::ALL.iter().map(|(name, _)| *name)));
    assert_eq!(lessons, work(Lang::Id).collect::<Vec<_>>());
}

#[test]
fn a_lesson_has_a_screen_for_each_step() {
    let lesson = "7. Title\n\nServer: `one`\n\n**Predict.** What?\n\n```sh\na; b\n```\n```text\nA\n\
                  ```\n\nServer: `two`\n\n```sh\na\n```\n```text\nB\n```\n\n**Explain.** So.\n";
    let (title, steps) = steps(lesson);
    assert_eq!(title, "7. Title");
    let [question, first, second, last] = steps.as_slice() else { panic!("{}", steps.len()) };
    assert_eq!((first.server, second.server), (Some("one"), Some("two")));
    assert_eq!(first.parts, [Part::Run("a; b", "A\n", None)]);
    assert_eq!(second.parts, [Part::Server("two"), Part::Run("a", "B\n", None)]);
    assert_eq!(last.parts, [Part::Text("**Explain.** So.")]);
    // The command is on the screen with the question, which runs nothing.
    question.clone().run(Lang::En, 60, &mut |_| ()).unwrap();
    let expected = "Predict. What?\n\nServer: one\n\n$ a\n$ b";
    assert_eq!(question.screen(Lang::En, 60), expected);
    assert_eq!(height(&question.screen(Lang::En, 60), 60), 6);
    // Two blocks on one server are one step, and both are asked about.
    let (_, both) = super::steps("8. T\n\nWhat?\n\n```sh\na\n```\n\n```sh\nb\n```\n");
    assert_eq!(both[0].screen(Lang::En, 60), "What?\n\n$ a\n$ b");
    assert_eq!(both[1].parts, [Part::Run("a", "", None), Part::Run("b", "", None)]);
}

/// How many lines of a terminal these take. A trace is as wide as the terminal, whatever that is.
fn height(screen: &str, columns: usize) -> usize {
    let high = |line: &str| match line.strip_prefix('#') {
        Some(_) => 1,
        None => line.chars().count().div_ceil(columns).max(1),
    };
    screen.lines().map(high).sum()
}

/// A projector shows few lines, and large letters. What a page shows is what is printed, or what was recorded.
#[test]
fn each_step_fits_on_a_small_terminal() {
    let mut seen = 0;
    for lang in [Lang::En, Lang::Id] {
        for lesson in page(lang).split("\n## ").skip(1) {
            let (title, steps) = steps(lesson);
            for (mut step, columns) in steps.into_iter().flat_map(|it| [(it.clone(), 60), (it, 80)])
            {
                for part in &mut step.parts {
                    if let Part::Run(line, text, came) = part {
                        let can_fail = line.starts_with(EXPERIMENT);
                        // A line of an experiment is not cut, so it must not be wrapped either.
                        let is_wide = |line: &str| can_fail && line.chars().count() > 60;
                        assert_eq!(text.lines().find(|line| is_wide(line)), None, "{title}");
                        *came = (!can_fail).then(|| (*text).to_owned());
                    }
                }
                let screen = step.screen(lang, columns);
                // The title and an empty line are above it.
                let height = 2 + height(&screen, columns);
                assert!(height <= 18, "{title}: {height} lines at {columns}: {screen}");
                seen += 1;
            }
        }
    }
    assert!(seen > 300, "{seen}");
}

#[test]
fn a_command_is_broken_between_its_words() {
    let lines = broken("say 'a b' 'c d'; lls", 15);
    assert_eq!(lines, "$ say 'a b' \\\n    'c d'; \\\n    lls");
}

#[test]
fn numbers_of_an_experiment_keep_their_size() {
    let [one, two] = ["  65.665 k server out 4083200 in 0: ok", "1.2 k server out 65536 in 7: ok"];
    assert_eq!(without_numbers(one), "N k server out N in n: ok");
    assert_eq!(without_numbers(one), without_numbers(two));
    for other in ["1.2 k server out 0 in 7: ok", "1.2 k server out 10 in 10: ok"] {
        assert_ne!(without_numbers(one), without_numbers(other));
    }
    assert_eq!(without_numbers("write 5: EPIPE, 9 ms -"), "write n: EPIPE, n ms -");
}

#[test]
fn a_paragraph_fits() {
    assert_eq!(wrapped(&plain("**Predict.** one two\nthree"), 12), "Predict. one\ntwo three");
    assert_eq!(wrapped("a  b", 12), "a  b");
}
