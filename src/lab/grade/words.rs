//! The sentences of the grader. Those about rules are in `rules.*.txt`, those about checks beside each.

use crate::lang::Lang;

const ENGLISH: &str = include_str!("rules.en.txt");
const INDONESIAN: &str = include_str!("rules.id.txt");

/// What the rule of this name says (`rule`), or what usually breaks it (`mistake`).
#[must_use]
pub(super) fn about_rule(lang: Lang, kind: &str, name: &str) -> &'static str {
    let value =
        |line: &'static str| line.strip_prefix(kind)?.strip_prefix(name)?.strip_prefix(" = ");
    lang.choose(ENGLISH, INDONESIAN).lines().find_map(value).unwrap_or_default()
}

/// A sentence or a word of a report.
#[allow(missing_docs, reason = "a field is a word of the sentence")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Say {
    // What a check expects.
    /// A connection.
    Connection,
    /// A line of this form.
    Line {
        form: String,
    },
    /// That many bytes.
    Bytes {
        count: usize,
    },
    /// The server closes.
    Close,
    /// The connection is reset.
    Reset,
    /// The end of what the server sends.
    End,
    /// Nothing.
    Quiet,
    /// An answer after the check.
    Alive,
    /// A time in seconds.
    Seconds,
    /// This line before that.
    Order {
        first: String,
        second: String,
    },
    /// A list with this file.
    Listed {
        name: String,
        size: u64,
    },
    /// A list without this file.
    NotListed {
        name: String,
    },
    /// A reply in this time.
    ReplyWithin {
        most: u128,
    },
    /// A file in the server's folder.
    FileInRoot {
        name: String,
    },
    /// No file outside the server's folder.
    NothingOutside,
    /// No file that was not there before.
    NoNewFile,
    /// Two ids.
    TwoIds,

    // What came.
    /// The connection was refused.
    NotOpened {
        why: String,
    },
    /// A pause in what comes.
    Paused,
    /// Nobody has accepted the connection in time.
    NotAccepted,
    /// The server sends without end.
    TooMuch {
        bytes: u64,
    },
    /// Nothing, and the close.
    ThenClose,
    /// Nothing, and a reset.
    ThenReset,
    /// Nothing until the time was over.
    ThenSilence,
    /// Nothing.
    Nothing,
    /// Replies took this long.
    ReplyTook {
        took: u128,
    },
    /// The file is not in the folder, or is another.
    NotInRoot,
    /// A file outside the folder.
    Outside {
        name: String,
    },
    /// A file that was not there before.
    NewFile {
        name: String,
    },
    /// It is not in the list.
    NotThere,

    // The report.
    /// Before the run.
    Announce {
        server: String,
        checks: usize,
        stays: bool,
    },
    /// There is no server.
    NoServer {
        server: String,
        why: String,
    },
    /// No check has this word in its id.
    NoSuchCheck {
        only: String,
    },
    /// A file with conversations that is wrong.
    NoConversation {
        why: String,
    },
    /// What `--root` names cannot be read as a folder.
    NoFolder {
        path: String,
        why: String,
    },
    /// The report cannot be written.
    CannotWrite {
        path: String,
        why: String,
    },
    Failed,
    /// Verdicts about a client.
    Hangs,
    Crashed,
    NotSupported,
    /// Before what a client was told.
    Typed,
    Passed,
    Must,
    Should,
    Points {
        points: u64,
    },
    Rule,
    Steps {
        hidden: usize,
    },
    Expected,
    Or,
    Came,
    Mistake,
    Again,
    ByHand,
    TooLongByHand,
    Skipped {
        needs: String,
    },
    NeedsRoot,
    NeedsRun,
    NoTime,
    /// A group, or a check, that was not run because one before it failed.
    NotRun,
    /// What can be said of a failure from what came.
    Seen,
    UnknownCommand {
        command: String,
    },
    /// Failures with what was seen in each.
    FailForIt {
        failures: usize,
    },
    OtherErrors,
    CrLf,
    NoLf,
    OtherCase,
    OneRead {
        bytes: usize,
    },
    HeaderInFile,
    Closed,
    /// Before the other checks that lost points.
    AlsoLost,
    Next,
    /// What the server has printed.
    Printed,
    HasEnded,
    /// It accepts no connections any more.
    Refused,
    /// A check of what the server's processes take.
    TakesLittle,
    TakesMore {
        files: usize,
        threads: usize,
        memory: u64,
    },
    /// Nothing was run.
    NotStarted {
        command: String,
        printed: String,
    },
    WrongRoot {
        path: String,
    },
    UsualPort {
        port: u16,
    },
    PortIsTaken {
        port: u16,
    },
    Stopped {
        by: String,
    },
    /// The last line.
    Total {
        score: u64,
        most: u64,
        rest: u64,
        seconds: String,
        connections: u64,
        seed: u64,
    },
    /// The line before it.
    Counts {
        passed: usize,
        failed: usize,
        skipped: usize,
    },
    /// Whether the protocol is kept.
    Verdict {
        is_right: bool,
        is_all: bool,
    },
    /// The points have a limit.
    IsOpen {
        limit: u64,
        most: u64,
    },
    /// No check was run.
    NothingRun,
    /// Files that were not removed.
    Left {
        files: usize,
    },
}

impl Say {
    /// The sentence.
    #[must_use]
    pub(super) fn say(&self, lang: Lang) -> String {
        let (en, id) = self.both();
        if lang == Lang::En { en } else { id }
    }

    fn both(&self) -> (String, String) {
        let same = |text: String| (text.clone(), text);
        let (en, id) = match self {
            Say::Line { form } => return same(format!("\"{form}\\n\"")),
            Say::Order { first, second } => {
                return (format!("{first} before {second}"), format!("{first} sebelum {second}"));
            }
            Say::Bytes { count } => return (format!("{count} bytes"), format!("{count} byte")),
            Say::Listed { name, size } => {
                return (
                    format!("a list with {name} and {size} bytes"),
                    format!("daftar berisi {name} dengan {size} byte"),
                );
            }
            Say::NotListed { name } => {
                return (format!("a list without {name}"), format!("daftar tanpa {name}"));
            }
            Say::ReplyWithin { most } => {
                return (
                    format!("most replies within {most} ms"),
                    format!("kebanyakan jawaban dalam {most} ms"),
                );
            }
            Say::ReplyTook { took } => {
                return (
                    format!("most took longer than {took} ms"),
                    format!("kebanyakan lebih dari {took} ms"),
                );
            }
            Say::FileInRoot { name } => {
                return (
                    format!("the same bytes in the file {name} in the folder"),
                    format!("byte yang sama di file {name} di folder itu"),
                );
            }
            Say::Outside { name } => {
                return (
                    format!("the file {name} beside the folder"),
                    format!("file {name} di luar folder itu"),
                );
            }
            Say::NewFile { name } => {
                return (
                    format!("the file {name} in the folder"),
                    format!("file {name} di folder itu"),
                );
            }
            Say::NotOpened { why } => {
                return (format!("no connection: {why}"), format!("tidak ada koneksi: {why}"));
            }
            Say::TooMuch { bytes } => {
                return (
                    format!("more than {bytes} bytes in this run"),
                    format!("lebih dari {bytes} byte dalam pengujian ini"),
                );
            }
            Say::Announce { server, checks, stays } => {
                let s = if *checks == 1 { "" } else { "s" };
                let (mut en, mut id) = (
                    format!(
                        "grading {server}: {checks} check{s}. They upload and remove files of their \
                         own, named grade-..."
                    ),
                    format!(
                        "menilai {server}: {checks} pemeriksaan. Semuanya mengunggah dan menghapus \
                         file sendiri, bernama grade-..."
                    ),
                );
                if *stays {
                    en += "\nThis dialect cannot remove files: they stay, unless --root names the \
                           server's folder";
                    id += "\nDialek ini tidak bisa menghapus file: file-file itu tertinggal, kecuali \
                           --root menyebut folder server";
                }
                return (en, id);
            }
            Say::NoServer { server, why } => {
                return (
                    format!("cannot grade {server}: {why}; is the server running?"),
                    format!("tidak bisa menilai {server}: {why}; apakah server berjalan?"),
                );
            }
            Say::NoSuchCheck { only } => {
                return (
                    format!("no check's name begins with '{only}'; see grade --list"),
                    format!(
                        "tidak ada pemeriksaan yang namanya diawali '{only}'; lihat grade --list"
                    ),
                );
            }
            Say::UnknownCommand { command } => {
                return (
                    format!("your server does not know `{command}`"),
                    format!("server Anda tidak mengenal `{command}`"),
                );
            }
            Say::OneRead { bytes } => {
                return (
                    format!("only the first {bytes} bytes: probably what one `recv` brought"),
                    format!("hanya {bytes} byte pertama: mungkin hasil satu `recv`"),
                );
            }
            Say::FailForIt { failures } => {
                return (
                    format!("{failures} checks fail for it"),
                    format!("{failures} pemeriksaan gagal karenanya"),
                );
            }
            Say::IsOpen { limit, most } => {
                return (
                    format!(
                        "at most {limit} of {most} points (60 %): a client can reach what is outside \
                         the folder"
                    ),
                    format!(
                        "paling banyak {limit} dari {most} poin (60 %): client bisa mencapai yang di \
                         luar folder"
                    ),
                );
            }
            Say::TakesMore { files, threads, memory } => {
                return (
                    format!("{files} open files, {threads} threads and {memory} MB more"),
                    format!("{files} file terbuka, {threads} thread, dan {memory} MB lebih banyak"),
                );
            }
            Say::NotStarted { command, printed } => {
                return (
                    format!(
                        "cannot grade: '{command}' does not accept connections; it said:\n{printed}"
                    ),
                    format!(
                        "tidak bisa menilai: '{command}' tidak menerima koneksi; katanya:\n{printed}"
                    ),
                );
            }
            Say::WrongRoot { path } => {
                return (
                    format!(
                        "--root {path} is not the folder of this server: a file that it has stored \
                         is not in it"
                    ),
                    format!(
                        "--root {path} bukan folder server ini: file yang disimpannya tidak ada di \
                         sana"
                    ),
                );
            }
            Say::PortIsTaken { port } => {
                return (
                    format!(
                        "the command has no {{port}}, and something else listens on port {port}: stop that, or \
                         write {{port}} where the command takes the port"
                    ),
                    format!(
                        "perintah tanpa {{port}}, dan program lain memakai port {port}: hentikan itu, atau tulis \
                         {{port}} di tempat perintah menerima port"
                    ),
                );
            }
            Say::UsualPort { port } => {
                return (
                    format!("the command has no {{port}}: the server must use {port}"),
                    format!("perintah tanpa {{port}}: server harus memakai {port}"),
                );
            }
            Say::NoConversation { why } => return same(why.clone()),
            Say::NoFolder { path, why } => {
                return (
                    format!("--root {path} is not a folder that can be read: {why}"),
                    format!("--root {path} bukan folder yang bisa dibaca: {why}"),
                );
            }
            Say::CannotWrite { path, why } => {
                return (
                    format!("cannot write {path}: {why}"),
                    format!("tidak bisa menulis {path}: {why}"),
                );
            }
            Say::Points { points } => {
                let s = if *points == 1 { "" } else { "s" };
                return (format!("{points} point{s}"), format!("{points} poin"));
            }
            Say::Steps { hidden } => {
                return (format!("... {hidden} steps ..."), format!("... {hidden} langkah ..."));
            }
            Say::Skipped { needs } => {
                return (format!("skipped: needs {needs}"), format!("dilewati: perlu {needs}"));
            }
            Say::Stopped { by } => {
                return (
                    format!("not run: the server does not answer since {by}"),
                    format!("tidak dijalankan: server tidak menjawab sejak {by}"),
                );
            }
            Say::Total { score, most, rest, seconds, connections, seed } => {
                let more = match rest {
                    0 => (String::new(), String::new()),
                    rest => (
                        format!("; {rest} more were not run"),
                        format!("; {rest} lagi belum diuji"),
                    ),
                };
                return (
                    format!(
                        "{score} of {most} points in {seconds} s, {connections} connections, seed \
                         {seed}{}",
                        more.0
                    ),
                    format!(
                        "{score} dari {most} poin dalam {seconds} s, {connections} koneksi, seed \
                         {seed}{}",
                        more.1
                    ),
                );
            }
            Say::Counts { passed, failed, skipped } => {
                return (
                    format!("{passed} passed, {failed} failed, {skipped} skipped or not run"),
                    format!("{passed} lulus, {failed} gagal, {skipped} dilewati"),
                );
            }
            Say::Left { files } => {
                return (
                    format!(
                        "files of the grader that may remain on the server: {files}; their names \
                         begin with grade-"
                    ),
                    format!(
                        "file penilai yang mungkin tertinggal di server: {files}; namanya diawali \
                         grade-"
                    ),
                );
            }
            Say::Connection => ("a connection", "koneksi"),
            Say::Paused => {
                ("a pause before the bytes that follow", "jeda sebelum byte yang berikutnya")
            }
            Say::NotAccepted => (
                "no connection in time: the server does not accept, or its queue (`listen`) is full",
                "tidak ada koneksi: server tidak melakukan accept, atau antreannya (`listen`) penuh",
            ),
            Say::Close => ("the server closes", "server menutup koneksi"),
            Say::Reset => ("the connection is reset", "koneksi diputus (reset)"),
            Say::End => ("the end of the stream", "akhir stream"),
            Say::Quiet => ("nothing", "tidak ada apa-apa"),
            Say::Alive => (
                "an answer to an ordinary request on a new connection afterwards",
                "jawaban untuk permintaan biasa di koneksi baru sesudahnya",
            ),
            Say::Seconds => ("a time in seconds, as 4 bytes", "waktu dalam detik, 4 byte"),
            Say::NothingOutside => ("no file outside the folder", "tidak ada file di luar folder"),
            Say::NoNewFile => ("no new file in the folder", "tidak ada file baru di folder"),
            Say::TwoIds => ("two different ids", "dua id yang berbeda"),
            Say::ThenClose => ("the close", "koneksi ditutup"),
            Say::ThenReset => ("a reset", "reset"),
            Say::ThenSilence => ("nothing more in time", "tidak ada lagi sampai waktu habis"),
            Say::Nothing => ("nothing", "tidak ada apa-apa"),
            Say::NotInRoot => ("no such file, or another", "tidak ada, atau isinya lain"),
            Say::NotThere => ("a list without it", "daftar tanpa file itu"),
            Say::Failed => ("FAILED", "GAGAL"),
            Say::Hangs => ("HANGS", "MACET"),
            Say::Crashed => ("CRASHED", "BERHENTI KARENA GALAT"),
            Say::NotSupported => ("NOT SUPPORTED", "TIDAK DIDUKUNG"),
            Say::Typed => ("typed:    ", "diketik:  "),
            Say::Passed => ("passed", "lulus"),
            Say::Must => ("must", "wajib"),
            Say::Should => ("should", "sebaiknya"),
            Say::Rule => ("rule: ", "aturan: "),
            Say::Expected => ("expected: ", "harapan:  "),
            Say::Or => ("      or: ", "    atau: "),
            Say::Came => ("came:     ", "diterima: "),
            Say::Mistake => ("usual mistake: ", "kesalahan yang biasa: "),
            Say::Again => ("again:   ", "ulangi:  "),
            Say::ByHand => ("by hand: ", "manual:  "),
            Say::TooLongByHand => {
                ("too long for a command line", "terlalu panjang untuk baris perintah")
            }
            Say::NeedsRoot => ("not run: needs --root", "tidak dijalankan: perlu --root"),
            Say::NotRun => ("not run", "tidak dijalankan"),
            Say::Seen => ("seen:     ", "terlihat: "),
            Say::OtherErrors => (
                "errors have another form than `error CODE MESSAGE`",
                "bentuk error bukan `error CODE PESAN`",
            ),
            Say::CrLf => (
                "the same with CR LF; a line ends in LF alone",
                "sama, tetapi dengan CR LF; baris diakhiri LF saja",
            ),
            Say::NoLf => {
                ("the same without the LF at its end", "sama, tetapi tanpa LF di akhirnya")
            }
            Say::OtherCase => {
                ("the same in other letter case", "sama, tetapi huruf besar dan kecilnya berbeda")
            }
            Say::HeaderInFile => {
                ("the line with the size is in the file", "baris berisi ukuran ada di dalam file")
            }
            Say::Closed => (
                "the connection ended: the thread that served it has probably died of an error",
                "koneksi berakhir: thread yang melayaninya mungkin mati karena error",
            ),
            Say::AlsoLost => ("also lost: ", "juga hilang: "),
            Say::Next => ("next:    ", "lanjut:  "),
            Say::NeedsRun => ("not run: needs --run", "tidak dijalankan: perlu --run"),
            Say::Printed => ("printed:  ", "dicetak:  "),
            Say::Refused => (
                "your server accepts no connections any more: it, or its loop over `accept`, has ended",
                "server Anda tidak lagi menerima koneksi: program atau loop `accept`-nya berakhir",
            ),
            Say::HasEnded => ("your server ended in this check", "server Anda berakhir di sini"),
            Say::TakesLittle => (
                "little more memory, few more files and threads than before",
                "memori, file, dan thread tidak jauh lebih banyak daripada sebelumnya",
            ),
            Say::NoTime => ("not run: no time left", "tidak dijalankan: waktu habis"),
            Say::Verdict { is_right: true, is_all: true } => (
                "every required rule that is checked is kept",
                "semua aturan wajib yang diperiksa dipatuhi",
            ),
            Say::Verdict { is_right: false, is_all: true } => (
                "not every required rule that is checked is kept",
                "belum semua aturan wajib yang diperiksa dipatuhi",
            ),
            Say::Verdict { is_right: true, is_all: false } => (
                "every required rule of these checks is kept; the other rules were not checked",
                "semua aturan wajib pemeriksaan ini dipatuhi; aturan lain tidak diperiksa",
            ),
            Say::Verdict { is_right: false, is_all: false } => (
                "not every required rule of these checks is kept; other rules were not checked",
                "belum semua aturan wajib pemeriksaan ini dipatuhi; aturan lain tidak diperiksa",
            ),
            Say::NothingRun => (
                "none of these checks could be run, so nothing is known about the server",
                "tidak ada pemeriksaan yang bisa dijalankan, jadi server belum dinilai",
            ),
        };
        (en.to_owned(), id.to_owned())
    }
}
