//! Why something failed, and what to do about it, in both languages.
//!
//! What a server says is English, and is quoted as such.

use super::{Hint, Lang, escape, printable, readable};
use crate::error::{Awaited, Doing, Expected, Failure, Partial, Trouble, Unsendable};

pub(super) fn because(failure: &Failure, lang: Lang) -> String {
    match failure {
        Failure::NotConnected => say!(
            lang,
            "not connected: type connme to connect",
            "belum terhubung: ketik connme untuk terhubung"
        ),
        Failure::Unreachable { cause, .. } => cause.clone(),
        Failure::Lacks(command) => {
            say!(lang, "this dialect has no {command}", "dialek ini tidak punya {command}")
        }
        Failure::Unsendable(what) => unsendable(*what, lang),
        Failure::Local { doing, path, why } => local(doing, &readable(path.as_bytes()), why, lang),
        Failure::Refused { word, sentence } => refused(word, sentence, lang),
        Failure::NotTaken => say!(
            lang,
            "the server did not take it, and this dialect has no words for why",
            "server tidak menerima file itu, dan dialek ini tidak punya kata untuk alasannya"
        ),
        Failure::Unexpected { expected, got } if got.is_empty() => {
            let expected = wanted_reply(expected, lang);
            say!(
                lang,
                "expected {expected}, got nothing",
                "seharusnya {expected}, tetapi tidak ada yang diterima"
            )
        }
        Failure::Unexpected { expected, got } => {
            let (expected, got) = (wanted_reply(expected, lang), quoted(got));
            say!(
                lang,
                "expected {expected}, got {got}",
                "seharusnya {expected}, tetapi yang diterima {got}"
            )
        }
        Failure::Unasked(got) => say!(
            lang,
            "the server sent {} without being asked",
            "server mengirim {} tanpa diminta",
            quoted(got)
        ),
        Failure::ListTooLong(names) => say!(
            lang,
            "the list is too long to be kept: {names} names so far",
            "daftar terlalu panjang untuk disimpan: sudah {names} nama"
        ),
        Failure::ListTooSlow(names) => say!(
            lang,
            "the list came too slowly: {names} names so far",
            "daftar datang terlalu lambat: baru {names} nama"
        ),
        Failure::NoReply => say!(
            lang,
            "the server closed the connection without a reply",
            "server menutup koneksi tanpa jawaban"
        ),
        Failure::Gone { cause, partial } => {
            let gone = match (cause, partial) {
                (Some(cause), _) => {
                    let cause = escape(cause.as_bytes());
                    say!(lang, "the connection broke ({cause})", "koneksi terputus ({cause})")
                }
                (None, Some(_)) => say!(
                    lang,
                    "the connection ended in the middle of a message",
                    "koneksi berakhir di tengah sebuah pesan"
                ),
                (None, None) => {
                    say!(lang, "the server closed the connection", "server menutup koneksi")
                }
            };
            match partial.as_ref().filter(|partial| partial.has_come()) {
                Some(partial) => format!("{gone}; {}", so_far(partial, lang)),
                None => gone,
            }
        }
        Failure::Silent(partial) if partial.has_come() => say!(
            lang,
            "{}; gave up waiting for {}",
            "{}; berhenti menunggu {}",
            so_far(partial, lang),
            expected(partial, lang)
        ),
        Failure::Silent(partial) => say!(
            lang,
            "the server was silent for too long; waited for {}",
            "server diam terlalu lama; yang ditunggu: {}",
            expected(partial, lang)
        ),
        Failure::SumsDiffer { is_stored: true } => say!(
            lang,
            "it was sent, but the file on the server has another SHA-256",
            "file sudah dikirim, tetapi SHA-256-nya di server berbeda"
        ),
        Failure::SumsDiffer { is_stored: false } => say!(
            lang,
            "what came does not have the SHA-256 of the file on the server",
            "SHA-256 yang diterima berbeda dari file di server"
        ),
        Failure::NoSum { is_stored: true } => say!(
            lang,
            "it is stored, but not verified: the server has no 'sum'",
            "file sudah tersimpan, tetapi belum diperiksa: server tidak punya 'sum'"
        ),
        Failure::NoSum { is_stored: false } => say!(
            lang,
            "it cannot be verified and is not kept: the server has no 'sum'; try without --verify",
            "file tidak bisa diperiksa dan tidak disimpan: server tidak punya 'sum'; coba tanpa --verify"
        ),
        Failure::Interrupted => say!(lang, "interrupted", "dihentikan"),
        Failure::Stalled => say!(
            lang,
            "the server took too little in the last 90 s: the line may be down",
            "server menerima terlalu sedikit selama 90 detik: jaringan mungkin terputus"
        ),
        Failure::Unsure => say!(
            lang,
            "the server confirmed the file, but may have stored 'connme' at its \
                            end; check its size",
            "server sudah mengonfirmasi file itu, tetapi mungkin 'connme' ikut \
                            tersimpan di akhirnya; periksa ukurannya"
        ),
    }
}

fn unsendable(what: Unsendable, lang: Lang) -> String {
    match what {
        Unsendable::ControlCharacter => say!(
            lang,
            "a name may not have control characters",
            "nama tidak boleh berisi karakter kontrol"
        ),
        Unsendable::SpaceAtEnd => say!(
            lang,
            "in this dialect a name may not begin or end with a space",
            "di dialek ini nama tidak boleh diawali atau diakhiri spasi"
        ),
        Unsendable::LongName(most) => say!(
            lang,
            "in this dialect a name may be at most {most} bytes",
            "di dialek ini nama paling panjang {most} byte"
        ),
        Unsendable::LargeFile(most) => say!(
            lang,
            "in this dialect a file may be at most {most} bytes",
            "di dialek ini file paling besar {most} byte"
        ),
        Unsendable::Separator => say!(
            lang,
            "in this dialect a name may not contain <SEPARATOR>",
            "di dialek ini nama tidak boleh berisi <SEPARATOR>"
        ),
        Unsendable::LineBreak => say!(
            lang,
            "in this dialect a text ends at the first line break",
            "di dialek ini teks berakhir di newline pertama"
        ),
    }
}

fn wanted_reply(expected: &Expected, lang: Lang) -> String {
    match expected {
        Expected::Words(words) => {
            let words: Vec<_> = words.iter().map(|word| escape(word.as_bytes())).collect();
            format!("'{}'", words.join(lang.choose("' or '", "' atau '")))
        }
        Expected::OkOrError => {
            say!(lang, "a line starting with ok or error", "baris yang diawali ok atau error")
        }
        Expected::Utf8Line => say!(lang, "a line in UTF-8", "satu baris UTF-8"),
        Expected::ShorterLine => say!(lang, "a shorter line", "baris yang lebih pendek"),
        Expected::Number => say!(lang, "a number", "sebuah bilangan"),
        Expected::FileCount(number) => {
            say!(lang, "a number of files, not {number}", "banyaknya file, bukan {number}")
        }
        Expected::NameLength(number) => {
            say!(lang, "the length of a name, not {number}", "panjang sebuah nama, bukan {number}")
        }
        Expected::FileSize(number) => {
            say!(lang, "the size of a file, not {number}", "ukuran sebuah file, bukan {number}")
        }
        Expected::Utf8Name => say!(lang, "a name in UTF-8", "nama UTF-8"),
        Expected::SizeOrNone => say!(lang, "a size, or -1", "sebuah ukuran, atau -1"),
        Expected::Total(total) => {
            say!(lang, "{total} as the total of the sizes", "{total} sebagai total ukuran")
        }
        Expected::List => say!(lang, "a list", "sebuah daftar"),
        Expected::EndOfList => say!(lang, "the end of the list", "akhir daftar"),
        Expected::Record => say!(lang, "a record", "sebuah record"),
        Expected::ShorterRecord => say!(lang, "a shorter record", "record yang lebih pendek"),
        Expected::File => say!(lang, "a file", "sebuah file"),
        Expected::RecordOf(name, None) => {
            say!(lang, "'OK' and the record of {name}", "'OK' dan record {name}")
        }
        Expected::RecordOf(name, Some(size)) => say!(
            lang,
            "'OK' and the record of {name} with {size} bytes",
            "'OK' dan record {name}, {size} byte"
        ),
    }
}

pub(super) fn so_far(partial: &Partial, lang: Lang) -> String {
    match partial.expected {
        Awaited::Payload { came, size: Some(size) } => {
            say!(lang, "{came} of {size} bytes came", "{came} dari {size} byte diterima")
        }
        Awaited::Payload { came, size: None } => {
            say!(lang, "{came} bytes came", "{came} byte diterima")
        }
        _ if partial.got.is_empty() => {
            say!(lang, "nothing has come so far", "belum ada yang diterima")
        }
        Awaited::Line => say!(
            lang,
            "so far came {} with no newline",
            "sejauh ini diterima {} tanpa newline",
            quoted(&partial.got)
        ),
        _ => say!(lang, "so far came {}", "sejauh ini diterima {}", quoted(&partial.got)),
    }
}

pub(super) fn expected(partial: &Partial, lang: Lang) -> String {
    match partial.expected {
        Awaited::Line if partial.has_come() => say!(lang, "the newline", "newline"),
        Awaited::Line => say!(lang, "a line", "satu baris"),
        Awaited::Words(words) => {
            let words = words.join(lang.choose("\" or \"", "\" atau \""));
            format!("\"{words}\"")
        }
        Awaited::Bytes(count) => say!(lang, "{count} bytes", "{count} byte"),
        Awaited::Close => {
            say!(lang, "the server to close the connection", "server menutup koneksi")
        }
        _ if partial.has_come() => say!(lang, "the rest", "sisanya"),
        _ => say!(lang, "a reply", "jawaban"),
    }
}

/// What failed, up to the reason.
pub(super) fn tried(command: &str, name: &str, failure: &Failure, lang: Lang) -> String {
    match failure {
        Failure::Unreachable { server, .. } => {
            say!(lang, "cannot connect to {server}: ", "tidak bisa terhubung ke {server}: ")
        }
        Failure::Local { .. } => say!(lang, "cannot ", "gagal "),
        _ => {
            let en = match command {
                "connme" => "connect".to_owned(),
                "size" => format!("get the size of {name}"),
                "sum" => format!("get the SHA-256 of {name}"),
                command => format!("{command} {name}").trim_end().to_owned(),
            };
            let typed = format!("{command} {name}");
            let id = typed.trim_end();
            say!(lang, "cannot {en}: ", "{id} gagal: ")
        }
    }
}

fn refused(word: &str, sentence: &str, lang: Lang) -> String {
    let said = said(word, sentence, lang);
    if lang == Lang::En {
        return said;
    }
    let known = match word {
        "not-found" if sentence.contains("folder") => "Folder tidak ditemukan di server",
        "not-found" => "File tidak ditemukan di server",
        "unknown-command" => "Perintah tidak dikenali",
        "is-folder" => "itu folder, bukan file",
        "read-only" => "server ini hanya bisa dibaca",
        "busy" => "server sedang sibuk",
        "bad-name" => return format!("nama ini ditolak: {said}"),
        "too-large" => return format!("file terlalu besar: {said}"),
        "no-space" => return format!("ruang server penuh: {said}"),
        _ => return format!("jawaban server: {said}"),
    };
    format!("{known} ({word})")
}

/// What a server says: English, and between other words quoted as such.
fn said(word: &str, sentence: &str, lang: Lang) -> String {
    let printed = printable(word.as_bytes());
    match (sentence, lang) {
        ("", _) => printed,
        (sentence, Lang::En) => format!("{} ({printed})", printable(sentence.as_bytes())),
        (sentence, Lang::Id) => format!("{} ({printed})", quoted(sentence.as_bytes())),
    }
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", escape(bytes))
}

fn local(doing: &Doing, path: &str, why: &Trouble, lang: Lang) -> String {
    let tried = match doing {
        Doing::Open => say!(lang, "open {path}", "membuka {path}"),
        Doing::Send => say!(lang, "send {path}", "mengirim {path}"),
        Doing::Read => say!(lang, "read {path}", "membaca {path}"),
        Doing::Keep(folder) => {
            say!(lang, "keep {path} in {folder}", "menyimpan {path} di {folder}")
        }
        Doing::List => say!(lang, "list {path}", "membaca daftar {path}"),
        Doing::Create => say!(lang, "create {path}", "membuat {path}"),
        Doing::StartServer => say!(lang, "start a server", "menjalankan server"),
        Doing::Run => say!(lang, "run {path}", "menjalankan {path}"),
        Doing::Compare => say!(lang, "compare {path}", "membandingkan {path}"),
    };
    format!("{tried}: {}", trouble(why, lang))
}

/// Why something on this machine failed.
pub(super) fn trouble(why: &Trouble, lang: Lang) -> String {
    let why = match why {
        Trouble::IsFolder => lang.choose("it is a folder", "itu folder"),
        Trouble::IsLink => lang.choose("it is a link", "itu tautan"),
        Trouble::NotPlain => lang.choose("it is not a plain file", "itu bukan file biasa"),
        Trouble::NotUtf8 => lang.choose("its name is not UTF-8", "namanya bukan UTF-8"),
        Trouble::SizeUnknown => lang.choose(
            "it has content but its size is given as 0; send a copy of it",
            "ada isinya, tetapi ukurannya tercatat 0; kirim salinannya",
        ),
        Trouble::BecameShorter => {
            lang.choose("it became shorter while it was sent", "menjadi lebih pendek saat dikirim")
        }
        Trouble::Different => lang.choose(
            "what came back is not what was sent",
            "yang kembali berbeda dari yang dikirim",
        ),
        Trouble::NoSpace(cause) => {
            return say!(
                lang,
                "{cause}; what had come of it was removed",
                "{cause}; yang sudah diterima dihapus"
            );
        }
        Trouble::Name(cause) | Trouble::System(cause) => cause,
    };
    why.to_owned()
}

pub(super) fn advise(hint: Hint, lang: Lang) -> String {
    let (en, id) = match hint {
        Hint::OtherDialect { dialect } => {
            return say!(
                lang,
                "tried the {dialect} dialect; try another with --dialect NAME",
                "dialek yang dicoba: {dialect}; coba yang lain dengan --dialect NAMA"
            );
        }
        Hint::LeaveForOtherDialect { dialect } => {
            return say!(
                lang,
                "tried the {dialect} dialect; to try another, leave, and start again with --dialect NAME",
                "dialek yang dicoba: {dialect}; untuk mencoba yang lain, keluar dan mulai lagi dengan \
                 --dialect NAMA"
            );
        }
        Hint::NoPatterns { dialect } => {
            return say!(
                lang,
                "the {dialect} dialect has no list, so * is part of the name",
                "dialek {dialect} tidak punya daftar, jadi * adalah bagian nama"
            );
        }
        Hint::IsServerRunning => (
            "is the server running? choose another with --server",
            "apakah server berjalan? tentukan alamat dengan --server",
        ),
        Hint::SeeLs => ("ls shows what is there", "ls menunjukkan apa yang ada"),
        Hint::WithFolders => (
            "with -r all that is in it goes into the folder of that name on the server, if there is \
             one; or name the files in it",
            "dengan -r semua isinya masuk ke folder dengan nama itu di server, jika ada; atau sebutkan \
             file di dalamnya",
        ),
        Hint::WithFoldersThere => ("-r downloads all that is in it", "-r mengunduh semua isinya"),
        Hint::SeeLls => ("lls shows what could be sent", "lls menunjukkan apa yang bisa dikirim"),
        Hint::OtherName => {
            ("add 'as NAME' to choose another name", "tambahkan 'as NAMA' untuk memilih nama lain")
        }
        Hint::TryAgain => ("try again in a moment", "coba lagi sebentar lagi"),
        Hint::RunAgain => ("run the command again", "jalankan perintah itu lagi"),
        Hint::Reconnect => {
            ("the next command connects again", "perintah berikutnya akan terhubung kembali")
        }
        Hint::MayBeDone { has_list: true } => (
            "it may have been done: ls shows whether",
            "mungkin sudah dilakukan: periksa dengan ls",
        ),
        Hint::MayBeDone { has_list: false } => ("it may have been done", "mungkin sudah dilakukan"),
        Hint::WrongServer => ("is that a connme server?", "apakah itu server connme?"),
    };
    lang.choose(en, id).to_owned()
}
