//! Every message, once: its two languages are beside each other.
//!
//! The Indonesian has the words of the assignment's programs where those have words for it. Numbers have the
//! decimal mark of the language.

use super::failures::{advise, because, expected, so_far, tried, trouble};
use super::{Hint, Lang, Msg, Wanted};
use crate::error::Failure;

/// A help text, with the commands in it.
fn help(lang: Lang, en: &str, id: &str) -> String {
    let (text, commands) = match lang {
        Lang::En => (en, include_str!("help/commands.en.txt")),
        Lang::Id => (id, include_str!("help/commands.id.txt")),
    };
    text.replace("COMMANDS\n", commands)
}

/// What a command does, with an example.
fn topic(command: &str, lang: Lang) -> &'static str {
    let topics =
        lang.choose(include_str!("help/topics.en.txt"), include_str!("help/topics.id.txt"));
    let mut topics = topics.split("== ").filter_map(|topic| topic.split_once('\n'));
    topics.find(|(word, _)| *word == command).map_or("", |(_, text)| text)
}

/// The sentence of a message.
pub(super) fn say(msg: &Msg, lang: Lang) -> String {
    let bytes =
        |count: &u64| if *count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") };
    let number = |text: &str| decimal(text, lang);
    // A transfer of some milliseconds has no rate.
    let put = |before: &str, rate: &String, after: &str| match rate.is_empty() {
        true => String::new(),
        false => format!("{before}{}{after}", decimal(rate, lang)),
    };
    match msg {
        Msg::ServerUsage => {
            help(lang, include_str!("help/server.en.txt"), include_str!("help/server.id.txt"))
        }
        Msg::ClientUsage => {
            help(lang, include_str!("help/client.en.txt"), include_str!("help/client.id.txt"))
        }
        Msg::ClientHelp => {
            help(lang, include_str!("help/short.en.txt"), include_str!("help/short.id.txt"))
        }
        Msg::HelpOn { command } => topic(command, lang).trim_end().to_owned(),
        Msg::PromptHelp => {
            let text =
                help(lang, include_str!("help/prompt.en.txt"), include_str!("help/prompt.id.txt"));
            text.trim_end().to_owned()
        }
        Msg::Said { en, id } => lang.choose(en, id).clone(),
        Msg::UnknownFlag { flag, meant: Some(meant) } => say!(
            lang,
            "unexpected argument '{flag}'; did you mean {meant}?",
            "argumen '{flag}' tidak dikenali; apakah maksud Anda {meant}?"
        ),
        Msg::UnknownFlag { flag, meant: None } => {
            say!(lang, "unexpected argument '{flag}'", "argumen '{flag}' tidak dikenali")
        }
        Msg::FlagNeedsValue { flag } => {
            say!(lang, "{flag} needs a value", "{flag} harus diikuti nilai")
        }
        Msg::FlagTakesNoValue { flag } => {
            say!(lang, "{flag} takes no value", "{flag} tidak menerima nilai")
        }
        Msg::FlagValue { flag, value, wanted } => say!(
            lang,
            "{flag} takes {}, not '{value}'",
            "{flag} menerima {}, bukan '{value}'",
            wants(*wanted, lang)
        ),
        Msg::FlagIsFor { flag, users } => {
            let users = users.replace(' ', lang.choose(" or ", " atau "));
            say!(lang, "{flag} is for {users}", "{flag} hanya untuk {users}")
        }
        Msg::FlagIsNotFor { flag, command } => {
            say!(lang, "{flag} does nothing for {command}", "{flag} tidak berguna untuk {command}")
        }
        Msg::SameFile { flag, other } => say!(
            lang,
            "{flag} and {other} need two different files",
            "{flag} dan {other} perlu dua file yang berbeda"
        ),
        Msg::IsOfTheLab { command, line } => say!(
            lang,
            "{command} is a command of connme-lab: connme-lab {line}",
            "{command} adalah perintah connme-lab: connme-lab {line}"
        ),
        Msg::UnexpectedWord { word } => {
            say!(lang, "unexpected argument '{word}'", "argumen '{word}' tidak dikenali")
        }
        Msg::TryHelp => say!(lang, "see --help", "lihat --help"),
        Msg::Listening { address, dialect } => say!(
            lang,
            "listening on {address} ({dialect})",
            "Server FTP berjalan di {address} ({dialect})"
        ),
        Msg::TypeElsewhere { command, host_is_known: true } => {
            say!(lang, "on other machines, type: {command}", "di komputer lain, ketik: {command}")
        }
        Msg::TypeElsewhere { command, host_is_known: false } => say!(
            lang,
            "on other machines, type: {command}\n(HOST is this machine's address: see 'ip addr' or 'ipconfig')",
            "di komputer lain, ketik: {command}\n(HOST adalah alamat komputer ini: lihat 'ip addr' atau 'ipconfig')"
        ),
        Msg::Root { path, is_new: false } => {
            say!(lang, "files are in {path}", "file disimpan di {path}")
        }
        Msg::Root { path, is_new: true } => say!(
            lang,
            "files are in {path} (created)",
            "file disimpan di {path} (folder baru dibuat)"
        ),
        Msg::Waiting => say!(lang, "waiting for clients...", "Menunggu koneksi dari client..."),
        Msg::CannotListen { address, why } => say!(
            lang,
            "cannot listen on {address}: {why}; choose another with --listen",
            "tidak bisa berjalan di {address}: {why}; pilih yang lain dengan --listen"
        ),
        Msg::PortTaken { address } => say!(
            lang,
            "cannot listen on {address}: that port is taken, perhaps by another connme-server; \
             stop that one, or choose another port with --listen",
            "tidak bisa berjalan di {address}: port itu sudah dipakai, mungkin oleh \
             connme-server lain; hentikan yang itu, atau pilih port lain dengan --listen"
        ),
        Msg::CannotUseRoot { why } => say!(
            lang,
            "cannot {why}; choose another folder with --root",
            "folder tidak bisa dipakai: {why}; pilih folder lain dengan --root"
        ),
        Msg::CannotUseLog { why } => say!(
            lang,
            "cannot {why}; choose another file with --log",
            "log tidak bisa ditulis: {why}; pilih file lain dengan --log"
        ),
        Msg::Prompt { server, is_narrow } => {
            let gap = if *is_narrow { '\n' } else { ' ' };
            match (lang, server) {
                (Lang::En, None) => "connme (not connected)> ".to_owned(),
                (Lang::En, Some(server)) => format!("connme {server}> "),
                (Lang::Id, server) => format!(
                    "[{}]{gap}Pilih perintah (upload/ls/download/rm/size/connme/byebye): ",
                    server.as_deref().unwrap_or("belum terhubung")
                ),
            }
        }
        Msg::Ask { command } => match *command {
            "upload" => say!(
                lang,
                "Path of the file to upload: ",
                "Masukkan path file yang ingin diunggah: "
            ),
            "download" => say!(
                lang,
                "Name of the file to download: ",
                "Masukkan nama file yang ingin diunduh: "
            ),
            "rm" => say!(
                lang,
                "Name of the file to remove: ",
                "Masukkan nama file yang ingin dihapus: "
            ),
            "size" => say!(
                lang,
                "Name of the file whose size you want: ",
                "Masukkan nama file yang ingin diketahui ukurannya: "
            ),
            "sum" => say!(
                lang,
                "Name of the file whose SHA-256 you want: ",
                "Masukkan nama file yang ingin diketahui SHA-256-nya: "
            ),
            "count" => say!(lang, "Text to count: ", "Masukkan teks yang ingin dihitung: "),
            command => say!(lang, "What to {command}: ", "Masukkan argumen untuk {command}: "),
        },
        Msg::AskSure { names } => match names.as_slice() {
            [name] => say!(
                lang,
                "Remove {name} from the server? (Y/N): ",
                "Apakah Anda yakin ingin menghapus {name}? (Y/N): "
            ),
            names => {
                let (list, count) = (names.join("\n"), names.len());
                say!(
                    lang,
                    "{list}\nRemove these {count} files from the server? (Y/N): ",
                    "{list}\nApakah Anda yakin ingin menghapus {count} file ini? (Y/N): "
                )
            }
        },
        Msg::RmCancelled { names } => match names.as_slice() {
            [name] => say!(lang, "{name} stays where it is", "Penghapusan file {name} dibatalkan"),
            _ => say!(
                lang,
                "nothing was removed",
                "Penghapusan dibatalkan, tidak ada file yang dihapus"
            ),
        },
        Msg::NoMatch { pattern } => {
            say!(lang, "no file matches {pattern}", "tidak ada file yang cocok dengan {pattern}")
        }
        Msg::Unanswered { names } => say!(
            lang,
            "cannot rm {}: cannot ask (end of input); use --yes to remove without \
             asking",
            "rm {} gagal: tidak ada yang bisa ditanya (input sudah berakhir); pakai --yes \
             untuk menghapus tanpa bertanya",
            few(names)
        ),
        Msg::AsNeedsOne => say!(
            lang,
            "'as NAME' needs exactly one file before it; put quotes around a name with spaces",
            "'as NAMA' hanya untuk satu file; pakai tanda kutip untuk nama dengan spasi"
        ),
        Msg::KeysIgnored { is_used } => {
            let line = match (*is_used, lang) {
                (true, _) => "",
                (false, Lang::En) => ", so this line was not run",
                (false, Lang::Id) => ", jadi baris ini tidak dijalankan",
            };
            say!(
                lang,
                "arrow keys do not work here{line}; 'rlwrap connme-client' gives them, and a history",
                "tombol panah tidak berfungsi di sini{line}; dengan 'rlwrap connme-client' bisa, juga \
                 riwayat perintah"
            )
        }
        Msg::Removed { name } => {
            say!(lang, "{name} removed from the server", "File {name} berhasil dihapus dari server")
        }
        Msg::Connected { server } => say!(
            lang,
            "connected to {server}",
            "Terhubung ke server {server}\nKoneksi berhasil ditambahkan"
        ),
        Msg::ConnectedAgain { server } => {
            say!(lang, "connected again to {server}", "Terhubung kembali ke server {server}")
        }
        Msg::StillConnected { server } => say!(
            lang,
            "already connected to {server}, and it answers",
            "Sudah terhubung ke server {server}, dan server menjawab"
        ),
        Msg::Closed => say!(lang, "connection closed", "Menutup koneksi"),
        Msg::Uploaded { name, stored, bytes: count, seconds, rate } => {
            let renamed = match name == stored {
                true => String::new(),
                false => say!(lang, " as {stored}", " sebagai {stored}"),
            };
            let (size, seconds) = (bytes(count), number(seconds));
            let (en, id) = (put(" (", rate, ")"), put(", ", rate, ""));
            match lang {
                Lang::En => format!("{name} uploaded{renamed}: {size} in {seconds} s{en}"),
                Lang::Id => format!(
                    "File {name} berhasil diunggah dalam {seconds} detik{renamed} ({size}{id})"
                ),
            }
        }
        Msg::Sent { name, bytes: count, seconds, rate } => {
            let (size, seconds) = (bytes(count), number(seconds));
            let (en, id) = (put(" (", rate, ")"), put(", ", rate, ""));
            match lang {
                Lang::En => format!(
                    "{name} sent: {size} in {seconds} s{en}; this dialect sends no confirmation"
                ),
                Lang::Id => format!(
                    "File {name} dikirim dalam {seconds} detik ({size}{id}); dialek ini tidak mengirim \
                     konfirmasi"
                ),
            }
        }
        Msg::Downloaded { name, stored, bytes: count, last, seconds, rate } => {
            let last = match last {
                Some(last) => say!(lang, ", the last {last}", ", {last} terakhir"),
                None => String::new(),
            };
            let (size, seconds) = (bytes(count), number(seconds));
            let (en, id) = (put(" (", rate, ")"), put(", ", rate, ""));
            match lang {
                Lang::En => {
                    format!("{name} downloaded to {stored}: {size}{last} in {seconds} s{en}")
                }
                Lang::Id => format!(
                    "File {name} berhasil diunduh ke {stored} ({size}{last}{id})\nWaktu unduh: {seconds} detik"
                ),
            }
        }
        Msg::Together { files, failed, bytes: count, seconds, rate } => {
            let failed = match failed {
                0 => String::new(),
                failed => say!(lang, "; {failed} failed", "; {failed} gagal"),
            };
            let (size, seconds, rate) = (bytes(count), number(seconds), put(" (", rate, ")"));
            say!(
                lang,
                "{files} files: {size} in {seconds} s{rate}{failed}",
                "{files} file: {size} dalam {seconds} detik{rate}{failed}"
            )
        }
        Msg::SentTwice { count } => say!(
            lang,
            "files sent again after the connection was lost: {count}; where the first copy came late, \
             the server has two",
            "file yang dikirim lagi setelah koneksi terputus: {count}; jika kiriman pertama terlambat tiba, \
             server punya dua salinan"
        ),
        Msg::NotTried { count: 1 } => say!(
            lang,
            "1 more file was not tried, for the same reason",
            "1 file lagi tidak dicoba, dengan alasan yang sama"
        ),
        Msg::NotTried { count } => say!(
            lang,
            "{count} more files were not tried, for the same reason",
            "{count} file lagi tidak dicoba, dengan alasan yang sama"
        ),
        Msg::Checking { done } => {
            let done = number(done);
            say!(
                lang,
                "checking {done} that are here against the server",
                "memeriksa {done} yang ada di sini dengan server"
            )
        }
        Msg::Continuing { done, total } => {
            let (done, total) = (number(done), number(total));
            say!(lang, "continuing at {done} of {total}", "melanjutkan dari {done} dari {total}")
        }
        Msg::TryingAgain { name, failure, seconds, number, of } => say!(
            lang,
            "{name}: {}; trying again in {seconds} s ({number} of {of})",
            "{name}: {}; mencoba lagi dalam {seconds} detik ({number} dari {of})",
            because(failure, lang)
        ),
        Msg::Kept { name, done, total } => {
            let (done, total) = (number(done), number(total));
            say!(
                lang,
                "{done} of {total} are kept: the next download of {name} continues there",
                "{done} dari {total} disimpan: unduhan {name} berikutnya melanjutkan dari situ"
            )
        }
        Msg::Interrupted { name, may_be_stored: false } => say!(
            lang,
            "{name}: interrupted, and nothing was stored",
            "{name}: dihentikan, tidak ada yang disimpan"
        ),
        Msg::Interrupted { name, may_be_stored: true } => say!(
            lang,
            "{name}: interrupted, but it may be stored",
            "{name}: dihentikan, tetapi mungkin sudah disimpan"
        ),
        Msg::LineTooLong { most } => say!(
            lang,
            "a line may have at most {most} KiB; this one was not run",
            "satu baris paling panjang {most} KiB; baris ini tidak dijalankan"
        ),
        Msg::Verified { name } => say!(
            lang,
            "{name} verified: both ends have the same SHA-256",
            "{name} sudah diperiksa: SHA-256 di kedua sisi sama"
        ),
        Msg::Sum { name, sum } => say!(lang, "{sum}  {name}", "{sum}  {name}"),
        Msg::NoFolderThere { folder } => say!(
            lang,
            "the server has no folder {folder}, and the protocol cannot make one; create it in the \
             server's folder first, or upload the files without -r",
            "server tidak punya folder {folder}, dan protokol ini tidak bisa membuatnya; buat dulu di \
             folder server, atau unggah file tanpa -r"
        ),
        Msg::TooDeep { folder, most } => say!(
            lang,
            "the folder {folder} is more than {most} folders deep, and nothing was received; download \
             a folder in it",
            "folder {folder} lebih dalam dari {most} folder, dan tidak ada yang diterima; unduh folder di \
             dalamnya"
        ),
        Msg::Skipped { name, why } => {
            let why = trouble(why, lang);
            say!(lang, "{name} is left out: {why}", "{name} dilewatkan: {why}")
        }
        Msg::MoreSkipped { count } => {
            say!(lang, "and {count} more", "dan {count} lagi")
        }
        Msg::LeftOut { count } => say!(
            lang,
            "left out of these folders: {count} (hidden files, links to folders, and what cannot be read \
             or has a name that a server refuses)",
            "dilewatkan dari folder-folder ini: {count} (file tersembunyi, tautan ke folder, dan yang tidak \
             bisa dibaca atau namanya ditolak server)"
        ),
        Msg::AwaitingReceipt { bytes: size, seconds } => {
            let size = number(size);
            say!(
                lang,
                "{size} handed to the system; waiting for the receipt, {seconds} s",
                "{size} sudah diserahkan ke sistem; menunggu konfirmasi server, {seconds} s"
            )
        }
        Msg::FilesDone { files, of } => {
            say!(lang, "{files} of {of} files", "{files} dari {of} file")
        }
        Msg::FilesFailed { count } => say!(lang, "{count} failed", "{count} gagal"),
        Msg::BytesDone { done, total: Some(total) } => {
            let (done, total) = (number(done), number(total));
            say!(lang, "{done} of {total}", "{done} dari {total}")
        }
        Msg::BytesDone { done, total: None } => number(done),
        Msg::TimeLeft { seconds } => say!(lang, "{seconds} s left", "sisa {seconds} s"),
        Msg::Grew { name, bytes: count } => {
            let size = bytes(count);
            say!(
                lang,
                "{name} became longer while it was sent: its first {size} are stored",
                "{name} bertambah panjang saat dikirim: {size} pertama tersimpan"
            )
        }
        Msg::Size { name, size } => {
            let megabytes = format!("{}.{:06} MB", size / 1_000_000, size % 1_000_000);
            let (size, megabytes) = (bytes(size), number(&megabytes));
            say!(lang, "{name}: {size} ({megabytes})", "Ukuran file {name}: {size} ({megabytes})")
        }
        Msg::NamesSpelled { count } => say!(
            lang,
            "names with control characters, which are spelled out: {count}",
            "nama dengan karakter kontrol, yang ditulis sebagai kode: {count}"
        ),
        Msg::Files { count } => say!(lang, "files ({count}):", "Daftar file ({count}):"),
        Msg::Total { bytes: count } => {
            let size = bytes(count);
            say!(lang, "total {size}", "Total ukuran direktori: {size}")
        }
        Msg::Characters { count: 1 } => say!(lang, "1 character", "1 karakter"),
        Msg::Characters { count } => say!(lang, "{count} characters", "{count} karakter"),
        Msg::UnknownCommand { word, nearest: Some(nearest) } => say!(
            lang,
            "there is no command '{word}'; did you mean {nearest}?",
            "Perintah tidak dikenali: '{word}'; apakah maksud Anda {nearest}?"
        ),
        Msg::UnknownCommand { word, nearest: None } => say!(
            lang,
            "there is no command '{word}'; help shows all commands",
            "Perintah tidak dikenali: '{word}'; help menunjukkan semua perintah"
        ),
        Msg::ArgumentMissing { command: command @ ("count" | "say") } => {
            say!(lang, "{command} needs a text", "{command} harus diikuti teks")
        }
        Msg::ArgumentMissing { command } => {
            say!(lang, "{command} needs a file name", "{command} harus diikuti nama file")
        }
        Msg::TakesNothing { command } => {
            say!(lang, "{command} takes no argument", "{command} tidak menerima argumen")
        }
        Msg::OneFolder => say!(
            lang,
            "ls takes one folder; a name with spaces needs quotes",
            "ls menerima satu folder; nama dengan spasi memerlukan tanda kutip"
        ),
        Msg::NoNewline => say!(
            lang,
            "the text does not end with a newline: type \\n at its end",
            "teks itu tidak diakhiri newline: ketik \\n di akhirnya"
        ),
        Msg::NotAtThePrompt => say!(
            lang,
            "- is for a single command, because the prompt has the terminal; a file of that name is ./-",
            "- hanya untuk satu perintah, karena prompt memakai terminal; file dengan nama itu adalah ./-"
        ),
        Msg::TakesNoFlags { command } => {
            say!(lang, "{command} takes no flags", "{command} tidak menerima opsi")
        }
        Msg::OpenQuote => say!(
            lang,
            "a quotation mark is opened and not closed",
            "tanda kutip dibuka tetapi tidak ditutup"
        ),
        Msg::CannotWrite { why } => {
            say!(lang, "cannot write the results: {why}", "hasil tidak bisa ditulis: {why}")
        }
        Msg::Failed { failure, .. } if **failure == Failure::NotConnected => because(failure, lang),
        Msg::Failed { command, name, failure, hint } => {
            let hint = match (&**failure, hint) {
                // A busy server gives this advice itself, in English.
                (Failure::Refused { sentence, .. }, Some(Hint::TryAgain))
                    if lang == Lang::En && sentence.contains("again") =>
                {
                    String::new()
                }
                (_, Some(hint)) => format!("; {}", advise(*hint, lang)),
                (_, None) => String::new(),
            };
            format!("{}{}{hint}", tried(command, name, failure, lang), because(failure, lang))
        }
        Msg::StillWaiting { partial, looks_like } => {
            let guess = match looks_like {
                Some(dialect) => {
                    say!(lang, "; this looks like {dialect}", "; ini mirip {dialect}")
                }
                None => String::new(),
            };
            say!(
                lang,
                "{}; still waiting for {}{guess}",
                "{}; masih menunggu {}{guess}",
                so_far(partial, lang),
                expected(partial, lang)
            )
        }
        Msg::Lacks { dialect, command } => say!(
            lang,
            "the {dialect} dialect has no {command}; nothing was sent",
            "dialek {dialect} tidak punya {command}; tidak ada yang dikirim"
        ),
    }
}

fn wants(wanted: Wanted, lang: Lang) -> &'static str {
    let (en, id) = match wanted {
        Wanted::Listen => ("[DIALECT=][HOST:]PORT", "[DIALEK=][HOST:]PORT"),
        Wanted::Host => {
            ("a host name or an address, without a port", "nama host atau alamat, tanpa port")
        }
        Wanted::Server => ("HOST[:PORT]", "HOST[:PORT]"),
        Wanted::Dialect => {
            ("text, struct, filesaver, json or count", "text, struct, filesaver, json atau count")
        }
        Wanted::Count => ("a number from 1 on", "bilangan mulai dari 1"),
        Wanted::Retries => ("a number from 0 on", "bilangan mulai dari 0"),
        Wanted::Size => (
            "a number of bytes, or one like 10k, 5M, 2G",
            "banyaknya byte, atau seperti 10k, 5M, 2G",
        ),
        Wanted::Buffer => ("a size from 1 to 16M", "ukuran dari 1 sampai 16M"),
        Wanted::Seconds => ("seconds, from 1 to 31536000", "detik, dari 1 sampai 31536000"),
        Wanted::Faults => ("faults like slice=1,delay=20", "gangguan seperti slice=1,delay=20"),
        Wanted::Language => ("en or id", "en atau id"),
        Wanted::Shell => ("bash, zsh or fish", "bash, zsh atau fish"),
        Wanted::Theme => ("light or dark", "light atau dark"),
        Wanted::Said(en, id) => (en, id),
    };
    lang.choose(en, id)
}

/// The first few of these names.
fn few(names: &[String]) -> String {
    let more = if names.len() > 3 { " ..." } else { "" };
    names.iter().take(3).cloned().collect::<Vec<_>>().join(" ") + more
}

/// A number with the decimal mark of the language.
pub(crate) fn decimal(number: &str, lang: Lang) -> String {
    number.replace('.', lang.choose(".", ","))
}
