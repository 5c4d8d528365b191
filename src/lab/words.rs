//! The sentences of `connme-lab`, each in both languages. Those of the grader are beside it.

use std::path::Path;

use crate::lang::{Lang, Msg, readable};

/// How to call the program.
pub(super) fn usage() -> Msg {
    Msg::said(include_str!("help.en.txt"), include_str!("help.id.txt"))
}

/// No command was typed.
pub(super) fn command_missing() -> Msg {
    Msg::said(
        "expected a command: demo, compare, lesson, tcp, grade, dissector, questions, pack, shape or \
         bench; see --help",
        "tulis sebuah perintah: demo, compare, lesson, tcp, grade, dissector, questions, pack, shape atau \
         bench; lihat --help",
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

/// Several clients are only for `--pair`.
pub(super) fn one_client() -> Msg {
    Msg::said(
        "several clients need --pair NAME=HOST:PORT",
        "beberapa client harus disertai --pair NAMA=HOST:PORT",
    )
}

/// What `pack` takes.
pub(super) fn pack_takes() -> Msg {
    Msg::said(
        "pack needs gradescope or classroom, and a folder; see --help",
        "pack harus diikuti gradescope atau classroom, dan sebuah folder; lihat --help",
    )
}

/// The files of a pack cannot be written.
pub(super) fn cannot_pack(folder: &Path, why: &str) -> Msg {
    let folder = readable(folder.to_string_lossy().as_bytes());
    Msg::said(
        format!("cannot write the pack to {folder}: {why}"),
        format!("pack tidak bisa ditulis ke {folder}: {why}"),
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

/// A capture whose ports do not tell the dialects: how to read it.
pub(super) fn decode_as(file: &Path, ports: &[(&str, u16)]) -> Msg {
    let mut command = "  tshark -X lua_script:connme.lua".to_owned();
    for (dialect, port) in ports {
        command += &format!(" \\\n    -d tcp.port=={port},connme_{dialect}");
    }
    command += &format!(" \\\n    -r {}", readable(file.to_string_lossy().as_bytes()));
    Msg::said(
        format!("the usual ports were taken; to read the capture:\n{command}"),
        format!("port yang biasa sudah dipakai; untuk membaca capture:\n{command}"),
    )
}

/// The heads of the columns of a comparison.
pub(super) fn compare_heads() -> Msg {
    Msg::said(
        "dialect conns trips reads writes payload framing share waited seconds rate ends-by",
        "dialek koneksi bolak-balik baca tulis isi overhead bagian tunggu detik laju akhir",
    )
}

/// The heading of a comparison.
pub(super) fn compare_title() -> Msg {
    Msg::said(
        "The same job in each dialect: send the file, fetch it again.",
        "Pekerjaan yang sama di setiap dialek: kirim file, ambil lagi.",
    )
}

/// What the columns of a comparison mean, and which commands a dialect lacks.
pub(super) fn compare_explained(lacks: &[(&str, Vec<&str>)]) -> Msg {
    let list = |no: &str| {
        let one = |(dialect, words): &(&str, Vec<&str>)| format!("{dialect}: {}", words.join(" "));
        format!("\n{no}\n  {}", lacks.iter().map(one).collect::<Vec<_>>().join("\n  "))
    };
    Msg::said(
        "trips: times that the client had to wait for an answer\n\
         framing: all bytes that are not the file's\n\
         waited: reads of 15 ms and more, such as pauses"
            .to_owned()
            + &list("commands that a dialect lacks:"),
        "bolak-balik: berapa kali client harus menunggu jawaban\n\
         overhead: semua byte yang bukan isi file\n\
         tunggu: read selama 15 ms atau lebih, misalnya jeda"
            .to_owned()
            + &list("perintah yang tidak ada di sebuah dialek:"),
    )
}

/// What the marks of a ladder mean.
pub(super) fn ladder_legend() -> Msg {
    Msg::said(
        "w: one write, r: one read, with its number of bytes\n\
         =: a complete message, its length, and what ended it\n\
         The client is on the left, the time in milliseconds.",
        "w: satu write, r: satu read, dengan banyaknya byte\n\
         =: pesan lengkap, panjangnya, dan apa yang mengakhirinya\n\
         Client di kiri, waktu dalam milidetik.",
    )
}

/// What the third mark of a ladder means.
pub(super) fn kernel_legend() -> Msg {
    Msg::said("k: what the kernel says of a socket", "k: keadaan sebuah socket menurut kernel")
}

/// Before the next step of the demo.
pub(super) fn ask_enter() -> Msg {
    Msg::said("(Enter) ", "(Enter) ")
}

/// Before the next step of a lesson.
pub(super) fn ask_step(lesson: usize, lessons: usize, step: usize, steps: usize) -> Msg {
    Msg::said(
        format!("lesson {lesson} of {lessons}, step {step} of {steps}: Enter, b, q or ? "),
        format!("pelajaran {lesson}/{lessons}, langkah {step}/{steps}: Enter, b, q atau ? "),
    )
}

/// What the keys do in a lesson, and what the marks of a trace mean.
pub(super) fn lesson_help() -> Msg {
    let keys = Msg::said(
        "Each lesson asks what will happen, shows and explains it.\n\n\
         Enter, Space or Page Down   the next step\n\
         b or Page Up                back\n\
         14 and Enter                lesson 14\n\
         q                           leave\n\
         ?                           this page\n\nIn a trace:\n",
        "Setiap pelajaran bertanya apa yang akan terjadi,\n\
         lalu menunjukkan dan menjelaskannya.\n\n\
         Enter, Spasi, Page Down     langkah berikutnya\n\
         b atau Page Up              kembali\n\
         14 lalu Enter               pelajaran 14\n\
         q                           keluar\n\
         ?                           halaman ini\n\nDi dalam trace:\n",
    );
    let both = |lang| {
        format!("{}{}\n{}\n", keys.say(lang), ladder_legend().say(lang), kernel_legend().say(lang))
    };
    Msg::said(both(Lang::En), both(Lang::Id))
}

/// When the reader leaves the lessons: how many were seen to their end, and which were not.
pub(super) fn last_word(seen: usize, left: &[usize]) -> Msg {
    if left.is_empty() {
        return Msg::said(
            "That was the last lesson, and you have seen all of them.\n\
             Now write a server of your own: connme-lab grade checks it.",
            "Itu pelajaran terakhir, dan semuanya sudah Anda lihat.\n\
             Sekarang tulislah server sendiri: connme-lab grade memeriksanya.",
        );
    }
    let ranges = left.chunk_by(|one, next| one + 1 == *next).map(|range| match range {
        [first, .., last] => format!("{first}-{last}"),
        all => all.iter().map(usize::to_string).collect(),
    });
    let list = ranges.collect::<Vec<_>>().join(", ");
    Msg::said(
        format!("lessons seen: {seen}; not yet: {list}"),
        format!("pelajaran selesai: {seen}; belum: {list}"),
    )
}

/// There are only these experiments.
pub(super) fn no_such_experiment(names: &[&str]) -> Msg {
    let (last, others) = names.split_last().unwrap_or((&"", &[]));
    let others = others.join(", ");
    Msg::said(
        format!("tcp takes one of these: {others} or {last}"),
        format!("tcp harus diikuti salah satu dari: {others} atau {last}"),
    )
}

/// An experiment needs what this system does not have.
pub(super) fn cannot_experiment() -> Msg {
    Msg::said(
        "this needs Linux with a fast /proc (vanished: also unshare and ip; address-in-use: python3)",
        "ini perlu Linux dengan /proc yang cepat (vanished: juga unshare dan ip; address-in-use: python3)",
    )
}

/// Before what an experiment has printed elsewhere.
pub(super) fn recorded() -> Msg {
    Msg::said(
        "Recorded on Linux, because it cannot run here:",
        "Rekaman dari Linux, karena tidak bisa berjalan di sini:",
    )
}

/// Before the answers to the questions.
pub(super) fn answers() -> Msg {
    Msg::said("Answers", "Kunci jawaban")
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

/// A step of a lesson does not fit on a small terminal.
pub(super) fn step_too_high(title: &str, lines: usize, columns: usize) -> Msg {
    Msg::said(
        format!("lesson {title}: a step has {lines} lines at {columns} columns"),
        format!("pelajaran {title}: satu langkah {lines} baris pada {columns} kolom"),
    )
}

/// A lesson prints something else.
pub(super) fn lesson_differs(title: &str, expected: &str) -> Msg {
    Msg::said(
        format!("lesson {title}: something else was printed than the page says:\n{expected}"),
        format!("pelajaran {title}: yang tercetak berbeda dari halamannya:\n{expected}"),
    )
}
