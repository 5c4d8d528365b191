//! The sentences of `connme-lab`, each in both languages. Those of the grader are beside it.

use std::path::Path;

use crate::lang::{Msg, readable};

/// How to call the program.
pub(super) fn usage() -> Msg {
    Msg::said(include_str!("help.en.txt"), include_str!("help.id.txt"))
}

/// No command was typed.
pub(super) fn command_missing() -> Msg {
    Msg::said(
        "expected a command: demo, compare, lesson, grade or dissector; see --help",
        "tulis sebuah perintah: demo, compare, lesson, grade atau dissector; lihat --help",
    )
}

/// There is no such command.
pub(super) fn no_such_command(word: &str) -> Msg {
    Msg::said(
        format!("there is no command '{word}'; see --help"),
        format!("Perintah tidak dikenali: '{word}'; lihat --help"),
    )
}

/// This is a command of the client.
pub(super) fn is_of_the_client(word: &str) -> Msg {
    Msg::said(
        format!("{word} is a command of connme-client"),
        format!("{word} adalah perintah connme-client"),
    )
}

/// The file for a capture cannot be created.
pub(super) fn cannot_capture(file: &Path, why: &str) -> Msg {
    let file = readable(file.to_string_lossy().as_bytes());
    Msg::said(
        format!("cannot create the capture {file}: {why}"),
        format!("file capture {file} tidak bisa dibuat: {why}"),
    )
}

/// A capture cannot be written any more.
pub(super) fn capture_stopped(why: &str) -> Msg {
    Msg::said(
        format!("the capture ends here, because it cannot be written: {why}"),
        format!("capture berhenti di sini karena tidak bisa ditulis: {why}"),
    )
}

/// A capture was not written fast enough.
pub(super) fn capture_dropped(count: u64) -> Msg {
    Msg::said(
        format!("the capture lacks {count} reads and writes: it could not be written fast enough"),
        format!("capture kehilangan {count} read dan write karena tidak cukup cepat ditulis"),
    )
}

/// A port of a server that is asked over all dialects.
pub(super) fn compare_takes_no_port() -> Msg {
    Msg::said(
        "compare uses the default port of each dialect; use --server HOST without a port",
        "compare memakai port bawaan setiap dialek; pakai --server HOST tanpa port",
    )
}

/// A comparison of several files.
pub(super) fn one_file() -> Msg {
    Msg::said(
        "compare takes one file; put quotes around a name with spaces",
        "compare menerima satu file; pakai tanda kutip untuk nama dengan spasi",
    )
}

/// The heads of the columns of a comparison.
pub(super) fn compare_heads() -> Msg {
    Msg::said(
        "dialect conns trips reads writes payload framing share waited seconds rate ends-by",
        "dialek koneksi bolak-balik baca tulis isi overhead bagian tunggu detik laju akhir",
    )
}

/// What the marks of a ladder mean.
pub(super) fn ladder_legend() -> Msg {
    Msg::said(
        "w: one write, r: one read, with its number of bytes; time in milliseconds\n\
         =: a complete message, its length, and what ended it",
        "w: satu write, r: satu read, dengan banyaknya byte; waktu dalam milidetik\n\
         =: pesan yang lengkap, panjangnya, dan apa yang mengakhirinya",
    )
}

/// Before the first command of a lesson, or a step of the demo.
pub(super) fn ask_enter() -> Msg {
    Msg::said("(Enter) ", "(Enter) ")
}

/// After a lesson.
pub(super) fn ask_next_lesson(number: usize, most: usize) -> Msg {
    Msg::said(
        format!("Enter for lesson {number} of {most}, q to leave: "),
        format!("Enter untuk pelajaran {number} dari {most}, q untuk keluar: "),
    )
}

/// There are only this many lessons.
pub(super) fn no_such_lesson(most: usize) -> Msg {
    Msg::said(
        format!("the lessons have the numbers 1 to {most}"),
        format!("nomor pelajaran dari 1 sampai {most}"),
    )
}

/// All lessons print what their page says.
pub(super) fn lessons_are_true(count: usize) -> Msg {
    let lessons = if count == 1 { "lesson" } else { "lessons" };
    Msg::said(
        format!("{count} {lessons}: each printed what its page says"),
        format!("{count} pelajaran: semuanya mencetak apa yang tertulis di halamannya"),
    )
}

/// A lesson prints something else.
pub(super) fn lesson_differs(title: &str, expected: &str) -> Msg {
    Msg::said(
        format!("lesson {title}: something else was printed than the page says:\n{expected}"),
        format!("pelajaran {title}: yang tercetak berbeda dari halamannya:\n{expected}"),
    )
}
