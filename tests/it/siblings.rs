//! What the dialects have in common: one store, one client, peers in Python.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Command;

use crate::support::{self, DIALECTS, PATIENCE, TestServer, noise};

/// The client over one dialect.
fn run(
    server: &TestServer,
    folder: &std::path::Path,
    dialect: &str,
    args: &[&str],
) -> (i32, String, String) {
    let mut client = support::client(args);
    client.current_dir(folder).args(["--yes", "--dialect", dialect]);
    client.args(["--server", &server.address_of(dialect).to_string()]);
    let output = client.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_one_dialect_stores_every_other_has() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let carries = ["text", "struct", "filesaver", "json"];
    for (n, from) in carries.iter().enumerate() {
        let bytes = noise(n as u64, 300_000);
        fs::write(folder.path().join("é file.bin"), &bytes).unwrap();
        let (status, out, err) = run(&server, folder.path(), from, &["upload", "é file.bin"]);
        let said = if *from == "filesaver" { "sent" } else { "uploaded" };
        assert!(
            status == 0 && out.starts_with(&format!("é file.bin {said}: 300000 bytes in ")),
            "{from} {out} {err}"
        );
        for to in carries {
            let (status, out, err) = run(&server, folder.path(), to, &["download", "é file.bin"]);
            assert_eq!((status, err.as_str()), (0, ""), "{from} to {to}: {out}");
            let got = folder.path().join("downloads/é file.bin");
            assert!(fs::read(&got).unwrap() == bytes, "{from} to {to}");
            fs::remove_file(got).unwrap();
            if to == "filesaver" {
                continue;
            }
            let (_, out, _) = run(&server, folder.path(), to, &["ls"]);
            let columns: Vec<_> = out.trim_end().split('\t').collect();
            assert_eq!(columns.get(..3), Some(["file", "300000", "é file.bin"].as_slice()));
            // Only one dialect tells who is who.
            assert_eq!(columns.len(), if to == "json" { 5 } else { 3 }, "{out}");
            let (_, out, _) = run(&server, folder.path(), to, &["size", "é file.bin"]);
            assert_eq!(out, "é file.bin: 300000 bytes (0.300000 MB)\n");
        }
        let remover = if *from == "filesaver" { "json" } else { from };
        let (status, out, _) = run(&server, folder.path(), remover, &["rm", "é file.bin"]);
        assert_eq!((status, out.as_str()), (0, "é file.bin removed from the server\n"));
        assert_eq!(server.names(), [""; 0]);
    }
    for dialect in ["text", "count"] {
        let (_, out, _) = run(&server, folder.path(), dialect, &["count", "halo é"]);
        assert_eq!(out, "6 characters\n");
    }
}

#[test]
fn the_prompt_is_the_same_in_every_dialect() {
    let server = TestServer::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "hello").unwrap();
    for dialect in ["text", "struct", "json"] {
        let mut client = support::client(&["--dialect", dialect, "--yes"]);
        client
            .current_dir(folder.path())
            .args(["--server", &server.address_of(dialect).to_string()]);
        let lines =
            "ls\nconnme\nupload a\nupload nope\nls\nsize a\nrm a\nls\nbyebye\nls\nconnme\nls\n";
        let output = client.write_stdin(lines).output().unwrap();
        let (out, err) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(out.lines().count(), 6, "{dialect}: {out}{err}");
        assert_eq!(err.lines().count(), 2, "{dialect}: {err}");
        assert!(err.ends_with("connection closed\n"), "{dialect}: {err}");
    }
}

/// Where Python can be had; elsewhere the same exchanges run as raw bytes in the other modules.
fn run_python(mut python: Command, server: &TestServer, folder: &std::path::Path) -> String {
    for dialect in DIALECTS {
        let address = server.address_of(dialect);
        python.env(format!("{}_PORT", dialect.to_uppercase()), address.port().to_string());
    }
    let mut command = assert_cmd::Command::from_std(python);
    let output = command.current_dir(folder).timeout(PATIENCE * 3).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    assert!(
        output.status.success(),
        "{}{}\n{}",
        text(output.stdout),
        text(output.stderr),
        server.log()
    );
    text(output.stdout)
}

/// Clients written as those of the assignments are: one read is one message, no end marks.
#[test]
fn clients_like_those_of_the_assignments_are_served() {
    let scripts = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    for script in ["struct_client.py", "filesaver_client.py", "json_client.py", "count_client.py"] {
        let Some(mut python) = support::python().map(Command::new) else { return };
        let server = TestServer::start(&[]);
        let folder = tempfile::tempdir().unwrap();
        python.arg(scripts.join(script));
        let said = run_python(python, &server, folder.path());
        assert!(said.ends_with("passed\n"), "{script}: {said}");
    }
}

/// A server that the test did not end itself ends with it.
struct Ending(std::process::Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Our client against a server that is written as the assignment's is: single commands, one after the
/// other, each of which has to leave the server able to answer the next.
#[test]
fn a_server_like_that_of_the_assignment_is_spoken_to() {
    let Some(mut python) = support::python().map(Command::new) else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/struct_server.py");
    python.arg(script).current_dir(&folder).stdout(std::process::Stdio::piped());
    let mut server = Ending(python.spawn().unwrap());
    let mut port = String::new();
    let stdout = server.0.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut port).unwrap();
    let run = |args: &[&str]| {
        let mut client = support::client(args);
        client.current_dir(&folder).args(["--dialect", "struct"]);
        let output = client.args(["--server", &format!("127.0.0.1:{}", port.trim())]).output();
        let output = output.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let bytes = noise(8, 100_000);
    for (name, bytes) in [("é.txt", &b"hello"[..]), ("a.bin", &bytes), ("empty", b"")] {
        fs::write(folder.path().join(name), bytes).unwrap();
        let (status, out, err) = run(&["upload", name]);
        assert!(status == Some(0) && out.contains(" uploaded: "), "{name}: {out}{err}");
        let stored = fs::read(folder.path().join("stored").join(name)).unwrap();
        assert!(stored == bytes, "{name} has {} bytes", stored.len());
    }
    let list = "file\t100000\ta.bin\nfile\t0\tempty\nfile\t5\té.txt\n".to_owned();
    assert_eq!(run(&["ls"]), (Some(0), list, String::new()));
    assert!(run(&["size", "a.bin"]).1.starts_with("a.bin: 100000 bytes"));
    assert_eq!(run(&["download", "a.bin"]).0, Some(0));
    assert!(fs::read(folder.path().join("downloads/a.bin")).unwrap() == bytes);
    assert!(run(&["size", "nope"]).2.contains("no such file"));
    assert_eq!(run(&["connme"]).0, Some(0));
    assert!(server.0.try_wait().unwrap().is_none(), "the server has given up");
}

/// The snippets in the guide do what the guide says.
#[test]
fn the_guides_python_works() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/dialects.md");
    let page = fs::read_to_string(path).unwrap();
    let snippets: Vec<_> = page.split("```python\n").skip(1).collect();
    assert_eq!(snippets.len(), DIALECTS.len());
    let server = TestServer::start(&[]);
    for (snippet, dialect) in snippets.iter().zip(DIALECTS) {
        let Some(mut python) = support::python().map(Command::new) else { return };
        let (code, rest) = snippet.split_once("```").unwrap();
        let (_, rest) = rest.split_once("```text\n").unwrap();
        let expected = rest.split("```\n").next().unwrap();
        let ports = [
            ("text", "1234"),
            ("struct", "1235"),
            ("filesaver", "5050"),
            ("json", "31000"),
            ("count", "12345"),
        ];
        let port = ports.iter().find(|(name, _)| *name == dialect).unwrap().1;
        assert!(code.contains(port), "{dialect}");
        let code = code.replace(port, &server.address_of(dialect).port().to_string());
        python.arg("-c").arg(code);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(run_python(python, &server, folder.path()), expected, "{dialect}");
    }
}
