//! Bahasa Indonesia, in the words of the assignment's programs where those have words for it.

use super::{Hint, Msg, Wanted, escape, few, megabytes, readable};
use crate::error::{Awaited, Doing, Expected, Failure, Partial, Trouble, Unsendable};

/// The commands, for both help texts and the completions.
const COMMANDS: &str = include_str!("help/commands.id.txt");

pub(super) fn say(msg: &Msg) -> String {
    match msg {
        Msg::ServerUsage => include_str!("help/server.id.txt").to_owned(),
        Msg::ClientUsage => include_str!("help/client.id.txt").replace("COMMANDS\n", COMMANDS),
        Msg::UnknownFlag { flag } => format!("argumen '{flag}' tidak dikenali"),
        Msg::FlagNeedsValue { flag } => format!("{flag} harus diikuti nilai"),
        Msg::FlagTakesNoValue { flag } => format!("{flag} tidak menerima nilai"),
        Msg::FlagValue { flag, value, wanted } => {
            format!("{flag} menerima {}, bukan '{value}'", wants(*wanted))
        }
        Msg::FlagIsFor { flag, users } => {
            format!("{flag} hanya untuk {}", users.replace(' ', " atau "))
        }
        Msg::FlagIsNotFor { flag, command } => format!("{flag} tidak berguna untuk {command}"),
        Msg::SameFile { flag, other } => format!("{flag} dan {other} perlu dua file yang berbeda"),
        Msg::Said { id, .. } => id.clone(),
        Msg::IsOfTheLab { command, line } => {
            format!("{command} adalah perintah connme-lab: connme-lab {line}")
        }
        Msg::UnexpectedWord { word } => format!("argumen '{word}' tidak dikenali"),
        Msg::TryHelp => "lihat --help".to_owned(),
        Msg::Listening { address, dialect } => {
            format!("Server FTP berjalan di {address} ({dialect})")
        }
        Msg::TypeElsewhere { command, host_is_known: true } => {
            format!("di komputer lain, ketik: {command}")
        }
        Msg::TypeElsewhere { command, host_is_known: false } => {
            format!(
                "di komputer lain, ketik: {command}\n(HOST adalah alamat komputer ini: lihat 'ip addr' atau 'ipconfig')"
            )
        }
        Msg::Root { path, is_new: false } => format!("file disimpan di {path}"),
        Msg::Root { path, is_new: true } => format!("file disimpan di {path} (folder baru dibuat)"),
        Msg::Waiting => "Menunggu koneksi dari client...".to_owned(),
        Msg::PeerCame { peer } => format!("Terhubung dengan {peer}"),
        Msg::Connections { count } => format!("{count} terhubung"),
        Msg::PeerWent { peer } => format!("Koneksi dengan {peer} ditutup"),
        Msg::CannotListen { address, why } => {
            format!("tidak bisa berjalan di {address}: {why}; pilih yang lain dengan --listen")
        }
        Msg::PortTaken { address } => format!(
            "tidak bisa berjalan di {address}: port itu sudah dipakai, mungkin oleh \
             connme-server lain; hentikan yang itu, atau pilih port lain dengan --listen"
        ),
        Msg::CannotUseRoot { why } => {
            format!("folder tidak bisa dipakai: {why}; pilih folder lain dengan --root")
        }
        Msg::CannotUseLog { why } => {
            format!("log tidak bisa ditulis: {why}; pilih file lain dengan --log")
        }
        Msg::Prompt { server, is_narrow } => {
            let server = server.as_deref().unwrap_or("belum terhubung");
            let gap = if *is_narrow { '\n' } else { ' ' };
            format!("[{server}]{gap}Pilih perintah (upload/ls/download/rm/size/connme/byebye): ")
        }
        Msg::Ask { command } => match *command {
            "upload" => "Masukkan path file yang ingin diunggah: ".to_owned(),
            "download" => "Masukkan nama file yang ingin diunduh: ".to_owned(),
            "rm" => "Masukkan nama file yang ingin dihapus: ".to_owned(),
            "size" => "Masukkan nama file yang ingin diketahui ukurannya: ".to_owned(),
            "sum" => "Masukkan nama file yang ingin diketahui SHA-256-nya: ".to_owned(),
            "count" => "Masukkan teks yang ingin dihitung: ".to_owned(),
            command => format!("Masukkan argumen untuk {command}: "),
        },
        Msg::AskSure { names } => match names.as_slice() {
            [name] => format!("Apakah Anda yakin ingin menghapus {name}? (Y/N): "),
            names => format!(
                "{}\nApakah Anda yakin ingin menghapus {} file ini? (Y/N): ",
                names.join("\n"),
                names.len()
            ),
        },
        Msg::RmCancelled { names } => match names.as_slice() {
            [name] => format!("Penghapusan file {name} dibatalkan"),
            _ => "Penghapusan dibatalkan, tidak ada file yang dihapus".to_owned(),
        },
        Msg::NoMatch { pattern } => format!("tidak ada file yang cocok dengan {pattern}"),
        Msg::Unanswered { names } => format!(
            "rm {} gagal: tidak ada yang bisa ditanya (input sudah berakhir); pakai --yes \
             untuk menghapus tanpa bertanya",
            few(names)
        ),
        Msg::AsNeedsOne => {
            "'as NAMA' hanya untuk satu file; pakai tanda kutip untuk nama dengan spasi".to_owned()
        }
        Msg::KeysIgnored { is_used } => {
            let line = if *is_used { "" } else { ", jadi baris ini tidak dijalankan" };
            format!(
                "tombol panah tidak berfungsi di sini{line}; \
                 dengan 'rlwrap connme-client' bisa, juga riwayat perintah"
            )
        }
        Msg::Removed { name } => format!("File {name} berhasil dihapus dari server"),
        Msg::Connected { server } => {
            format!("Terhubung ke server {server}\nKoneksi berhasil ditambahkan")
        }
        Msg::StillConnected { server } => {
            format!("Sudah terhubung ke server {server}, dan server menjawab")
        }
        Msg::Closed => "Menutup koneksi".to_owned(),
        Msg::Uploaded { name, stored, bytes, seconds, rate } => {
            let renamed = if name == stored { String::new() } else { format!(" sebagai {stored}") };
            format!(
                "File {name} berhasil diunggah dalam {seconds} detik{renamed} ({bytes} bytes, {rate})"
            )
        }
        Msg::Sent { name, bytes, seconds, rate } => format!(
            "File {name} dikirim dalam {seconds} detik ({bytes} bytes, {rate}); \
             dialek ini tidak mengirim konfirmasi"
        ),
        Msg::Downloaded { name, stored, bytes, last, seconds, rate } => {
            let last = last.map(|last| format!("{last} terakhir: ")).unwrap_or_default();
            format!(
                "File {name} berhasil diunduh ke {stored} ({bytes} bytes, {last}{rate})\n\
                 Waktu unduh: {seconds} detik"
            )
        }
        Msg::Together { files, bytes, seconds, rate } => {
            format!("{files} file: {bytes} bytes dalam {seconds} detik ({rate})")
        }
        Msg::Continuing { done, total } => format!("melanjutkan dari {done} dari {total}"),
        Msg::TryingAgain { name, failure, seconds, number, of } => format!(
            "{name}: {}; mencoba lagi dalam {seconds} detik ({number} dari {of})",
            because(failure)
        ),
        Msg::Kept { name, done, total } => {
            format!("{done} dari {total} disimpan: unduhan {name} berikutnya melanjutkan dari situ")
        }
        Msg::Verified { name } => {
            format!("{name} sudah diperiksa: SHA-256 di kedua sisi sama")
        }
        Msg::Sum { name, sum } => format!("{sum}  {name}"),
        Msg::NoFolderThere { folder } => format!(
            "server tidak punya folder {folder}, dan protokol ini tidak bisa membuatnya; buat dulu di \
             folder server, atau unggah file tanpa -r"
        ),
        Msg::TooDeep { folder, most } => format!(
            "folder {folder} lebih dalam dari {most} folder, dan tidak ada yang diterima; unduh folder di \
             dalamnya"
        ),
        Msg::LeftOut { count } => format!(
            "dilewatkan dari folder-folder ini: {count} (file tersembunyi, tautan ke folder, dan yang tidak \
             bisa dibaca atau namanya ditolak server)"
        ),
        Msg::AwaitingReceipt { bytes, seconds } => {
            format!("{bytes} sudah diserahkan ke sistem; menunggu konfirmasi server, {seconds} s")
        }
        Msg::FilesDone { files, of } => format!("{files} dari {of} file"),
        Msg::BytesDone { done, total: Some(total) } => format!("{done} dari {total}"),
        Msg::BytesDone { done, total: None } => done.clone(),
        Msg::TimeLeft { seconds } => format!("sisa {seconds} s"),
        Msg::Grew { name, bytes } => {
            format!("{name} bertambah panjang saat dikirim: {bytes} bytes pertama tersimpan")
        }
        Msg::Size { name, size } => {
            format!("Ukuran file {name}: {size} bytes ({})", megabytes(*size))
        }
        Msg::Files { count } => format!("Daftar file ({count}):"),
        Msg::Total { bytes } => format!("Total ukuran direktori: {bytes} bytes"),
        Msg::Characters { count } => format!("{count} karakter"),
        Msg::UnknownCommand { word, nearest: Some(nearest) } => {
            format!("Perintah tidak dikenali: '{word}'; apakah maksud Anda {nearest}?")
        }
        Msg::UnknownCommand { word, nearest: None } => {
            format!("Perintah tidak dikenali: '{word}'; help menunjukkan semua perintah")
        }
        Msg::ArgumentMissing { command: command @ ("count" | "say") } => {
            format!("{command} harus diikuti teks")
        }
        Msg::ArgumentMissing { command } => format!("{command} harus diikuti nama file"),
        Msg::TakesNothing { command } => format!("{command} tidak menerima argumen"),
        Msg::OneFolder => {
            "ls menerima satu folder; nama dengan spasi memerlukan tanda kutip".to_owned()
        }
        Msg::OpenQuote => "tanda kutip dibuka tetapi tidak ditutup".to_owned(),
        Msg::PromptHelp => {
            format!("{COMMANDS}{}", include_str!("help/prompt.id.txt").trim_end())
        }
        Msg::CannotWrite { why } => format!("hasil tidak bisa ditulis: {why}"),
        Msg::Failed { failure, .. } if **failure == Failure::NotConnected => because(failure),
        Msg::Failed { command, name, failure, hint } => {
            let tried = match &**failure {
                Failure::Unreachable { server, .. } => {
                    format!("tidak bisa terhubung ke {server}: ")
                }
                Failure::Local { .. } => "gagal ".to_owned(),
                _ if name.is_empty() => format!("{command} gagal: "),
                _ => format!("{command} {name} gagal: "),
            };
            let hint = hint.map(|hint| format!("; {}", advise(hint))).unwrap_or_default();
            format!("{tried}{}{hint}", because(failure))
        }
        Msg::StillWaiting { waited } => {
            format!("{}; masih menunggu {}", so_far(waited), awaited(waited))
        }
        Msg::Lacks { dialect, command } => {
            format!("dialek {dialect} tidak punya {command}; tidak ada yang dikirim")
        }
    }
}

fn because(failure: &Failure) -> String {
    match failure {
        Failure::NotConnected => "belum terhubung: connme membuka koneksi".to_owned(),
        Failure::Unreachable { cause, .. } => cause.clone(),
        Failure::Lacks(command) => format!("dialek ini tidak punya {command}"),
        Failure::Unsendable(what) => unsendable(*what),
        Failure::Local { doing, path, why } => local(doing, &readable(path.as_bytes()), why),
        Failure::Refused { word, sentence } => refused(word, sentence),
        Failure::LastWords { word, sentence } => {
            format!("server menutup koneksi dengan alasan: {}", said(sentence, word))
        }
        Failure::NotFound => "File tidak ditemukan di server (not-found)".to_owned(),
        Failure::NotTaken => {
            "server tidak menerima file itu, dan dialek ini tidak punya kata untuk alasannya"
                .to_owned()
        }
        Failure::Unexpected { expected, got } if got.is_empty() => {
            format!("seharusnya {}, tetapi tidak ada yang diterima", wanted_reply(expected))
        }
        Failure::Unexpected { expected, got } => {
            format!("seharusnya {}, tetapi yang diterima {}", wanted_reply(expected), quoted(got))
        }
        Failure::Unasked(got) => format!("server mengirim {} tanpa diminta", quoted(got)),
        Failure::ListTooLong(names) => {
            format!("daftar terlalu panjang untuk disimpan: sudah {names} nama")
        }
        Failure::ListTooSlow(names) => format!("daftar datang terlalu lambat: baru {names} nama"),
        Failure::NoReply => "server menutup koneksi tanpa jawaban".to_owned(),
        Failure::Gone { waited, .. } => match waited.as_ref().filter(|waited| waited.has_come()) {
            Some(waited) => format!("koneksi terputus; {}", so_far(waited)),
            None => "koneksi terputus".to_owned(),
        },
        Failure::Silent(waited) if waited.has_come() => {
            format!("{}; berhenti menunggu {}", so_far(waited), awaited(waited))
        }
        Failure::Silent(waited) => {
            format!("server diam terlalu lama; yang ditunggu: {}", awaited(waited))
        }
        Failure::SumsDiffer { is_stored: true } => {
            "file sudah dikirim, tetapi SHA-256-nya di server berbeda".to_owned()
        }
        Failure::SumsDiffer { is_stored: false } => {
            "SHA-256 yang diterima berbeda dari file di server".to_owned()
        }
        Failure::NoSum { is_stored: true } => {
            "file sudah tersimpan, tetapi belum diperiksa: server tidak punya 'sum'".to_owned()
        }
        Failure::NoSum { is_stored: false } => {
            "file tidak bisa diperiksa dan tidak disimpan: server tidak punya 'sum'; coba tanpa --verify"
                .to_owned()
        }
        Failure::Stalled => {
            "server menerima terlalu sedikit selama 90 detik: jaringan mungkin terputus".to_owned()
        }
        Failure::Unsure => "server sudah mengonfirmasi file itu, tetapi mungkin 'connme' ikut \
                            tersimpan di akhirnya; periksa ukurannya"
            .to_owned(),
    }
}

/// What the server says is English, and is quoted as such.
fn said(sentence: &str, word: &str) -> String {
    let word = escape(word.as_bytes());
    if sentence.is_empty() {
        word.into_owned()
    } else {
        format!("{} ({word})", quoted(sentence.as_bytes()))
    }
}

fn refused(word: &str, sentence: &str) -> String {
    let known = match word {
        "not-found" if sentence.contains("folder") => "Folder tidak ditemukan di server",
        "not-found" => "File tidak ditemukan di server",
        "unknown-command" => "Perintah tidak dikenali",
        "is-folder" => "itu folder, bukan file",
        "read-only" => "server ini hanya bisa dibaca",
        "busy" => "server sedang sibuk",
        "bad-name" => return format!("nama ini ditolak: {}", said(sentence, word)),
        "too-large" => return format!("file terlalu besar: {}", said(sentence, word)),
        "no-space" => return format!("ruang server penuh: {}", said(sentence, word)),
        _ => return format!("jawaban server: {}", said(sentence, word)),
    };
    format!("{known} ({word})")
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", escape(bytes))
}

fn unsendable(what: Unsendable) -> String {
    match what {
        Unsendable::ControlCharacter => "nama tidak boleh berisi karakter kontrol".to_owned(),
        Unsendable::SpaceAtEnd => {
            "di dialek ini nama tidak boleh diawali atau diakhiri spasi".to_owned()
        }
        Unsendable::LongName(most) => format!("di dialek ini nama paling panjang {most} byte"),
        Unsendable::LargeFile(most) => format!("di dialek ini file paling besar {most} byte"),
        Unsendable::Separator => "di dialek ini nama tidak boleh berisi <SEPARATOR>".to_owned(),
        Unsendable::LineBreak => "di dialek ini teks berakhir di newline pertama".to_owned(),
    }
}

fn local(doing: &Doing, path: &str, why: &Trouble) -> String {
    let tried = match doing {
        Doing::Open => format!("membuka {path}"),
        Doing::Send => format!("mengirim {path}"),
        Doing::Read => format!("membaca {path}"),
        Doing::Keep(folder) => format!("menyimpan {path} di {folder}"),
        Doing::List => format!("membaca daftar {path}"),
        Doing::Create => format!("membuat {path}"),
        Doing::StartServer => "menjalankan server".to_owned(),
        Doing::Run => format!("menjalankan {path}"),
        Doing::Compare => format!("membandingkan {path}"),
    };
    let why = match why {
        Trouble::IsFolder => "itu folder",
        Trouble::NotPlain => "itu bukan file biasa",
        Trouble::NotUtf8 => "namanya bukan UTF-8",
        Trouble::SizeUnknown => "ada isinya, tetapi ukurannya tercatat 0; kirim salinannya",
        Trouble::BecameShorter => "menjadi lebih pendek saat dikirim",
        Trouble::Different => "yang kembali berbeda dari yang dikirim",
        Trouble::Name(cause) | Trouble::System(cause) => cause,
    };
    format!("{tried}: {why}")
}

fn wanted_reply(expected: &Expected) -> String {
    match expected {
        Expected::Words(words) => format!("'{}'", escape(words.as_bytes())),
        Expected::OkOrError => "baris yang diawali ok atau error".to_owned(),
        Expected::Utf8Line => "satu baris UTF-8".to_owned(),
        Expected::ShorterLine => "baris yang lebih pendek".to_owned(),
        Expected::Number => "sebuah bilangan".to_owned(),
        Expected::FileCount(number) => format!("banyaknya file, bukan {number}"),
        Expected::NameLength(number) => format!("panjang sebuah nama, bukan {number}"),
        Expected::FileSize(number) => format!("ukuran sebuah file, bukan {number}"),
        Expected::Utf8Name => "nama UTF-8".to_owned(),
        Expected::SizeOrNone => "sebuah ukuran, atau -1".to_owned(),
        Expected::Total(total) => format!("{total} sebagai total ukuran"),
        Expected::List => "sebuah daftar".to_owned(),
        Expected::EndOfList => "akhir daftar".to_owned(),
        Expected::Record => "sebuah record".to_owned(),
        Expected::ShorterRecord => "record yang lebih pendek".to_owned(),
        Expected::File => "sebuah file".to_owned(),
        Expected::RecordOf(name, None) => format!("'OK' dan record {name}"),
        Expected::RecordOf(name, Some(size)) => format!("'OK' dan record {name}, {size} byte"),
    }
}

fn so_far(waited: &Partial) -> String {
    match waited.wanted {
        Awaited::Payload { came, size: Some(size) } => format!("{came} dari {size} byte diterima"),
        Awaited::Payload { came, size: None } => format!("{came} byte diterima"),
        _ if waited.got.is_empty() => "belum ada yang diterima".to_owned(),
        Awaited::Line => format!("sejauh ini diterima {} tanpa newline", quoted(&waited.got)),
        _ => format!("sejauh ini diterima {}", quoted(&waited.got)),
    }
}

fn awaited(waited: &Partial) -> String {
    match waited.wanted {
        Awaited::Line if waited.has_come() => "newline".to_owned(),
        Awaited::Line => "satu baris".to_owned(),
        Awaited::Words(words) => format!("\"{}\"", words.join("\" atau \"")),
        Awaited::Bytes(count) => format!("{count} byte"),
        Awaited::Close => "server menutup koneksi".to_owned(),
        _ if waited.has_come() => "sisanya".to_owned(),
        _ => "jawaban".to_owned(),
    }
}

fn wants(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Listen => "[DIALEK=][HOST:]PORT",
        Wanted::Host => "nama host atau alamat, tanpa port",
        Wanted::Server => "HOST[:PORT]",
        Wanted::Dialect => "text, struct, filesaver, json atau count",
        Wanted::Count => "bilangan mulai dari 1",
        Wanted::Retries => "bilangan mulai dari 0",
        Wanted::Size => "banyaknya byte, atau seperti 10k, 5M, 2G",
        Wanted::Buffer => "ukuran dari 1 sampai 16M",
        Wanted::Seconds => "detik, dari 1 sampai 31536000",
        Wanted::Faults => "gangguan seperti slice=1,delay=20",
        Wanted::Language => "en atau id",
        Wanted::Shell => "bash, zsh atau fish",
        Wanted::Theme => "light atau dark",
        Wanted::Said(_, id) => id,
    }
}

fn advise(hint: Hint) -> String {
    let advice = match hint {
        Hint::OtherDialect { dialect } => {
            return format!("dialek yang dicoba: {dialect}; coba yang lain dengan --dialect NAMA");
        }
        Hint::LeaveForOtherDialect { dialect } => {
            return format!(
                "dialek yang dicoba: {dialect}; untuk mencoba yang lain, keluar dan mulai lagi \
                 dengan --dialect NAMA"
            );
        }
        Hint::NoPatterns { dialect } => {
            return format!("dialek {dialect} tidak punya daftar, jadi * adalah bagian nama");
        }
        Hint::IsServerRunning => "apakah server berjalan? tentukan alamat dengan --server",
        Hint::SeeLs => "ls menunjukkan apa yang ada",
        Hint::WithFolders => "-r mengirim semua isinya",
        Hint::SeeLls => "lls menunjukkan apa yang bisa dikirim",
        Hint::OtherName => "tambahkan 'as NAMA' untuk memilih nama lain",
        Hint::TryAgain => "coba lagi sebentar lagi",
        Hint::RunAgain => "jalankan perintah itu lagi",
        Hint::Reconnect => "connme membuka koneksi baru",
        Hint::WrongServer => "apakah itu server connme?",
    };
    advice.to_owned()
}
