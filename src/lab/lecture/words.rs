//! The words in the pictures of a lecture.

use crate::lang::Lang;

/// The words of one language. `{}` is replaced.
#[allow(missing_docs, reason = "a field is the English word")]
pub(super) struct Words {
    pub session: &'static str,
    pub session_about: &'static str,
    pub connection: &'static str,
    pub client: &'static str,
    pub server: &'static str,
    pub command: &'static str,
    pub header: &'static str,
    pub payload: &'static str,
    pub reply: &'static str,
    pub byte: &'static str,
    pub bytes: &'static str,
    pub incomplete: &'static str,
    pub more_messages: &'static str,
    pub end: &'static str,
    pub reset: &'static str,
    pub cut: &'static str,
    pub not_read: &'static str,
    pub silence: &'static str,
    pub skipped: &'static str,
    pub both_sides: &'static str,
    pub one_side: &'static str,
    pub gaps: &'static str,
    pub kernel: &'static str,
    pub more_calls: &'static str,
    pub more_connections: &'static str,
    pub none: &'static str,
    pub comparison: &'static str,
    pub comparison_about: &'static str,
    pub seconds: &'static str,
    pub waited: &'static str,
    pub trips: &'static str,
}

impl Words {
    /// Those of this language.
    #[must_use]
    pub(super) fn of(lang: Lang) -> &'static Words {
        if lang == Lang::En { &ENGLISH } else { &INDONESIAN }
    }
}

static ENGLISH: Words = Words {
    session: "What crossed the sockets, in time",
    session_about: "A time-sequence diagram: the client's lifeline is on the left, the server's on the \
                    right, and time runs down. Each arrow is the bytes of one call. A bracket joins the \
                    arrows of one message. Connections: {}.",
    connection: "Connection",
    client: "client",
    server: "server",
    command: "command",
    header: "header",
    payload: "payload",
    reply: "reply",
    byte: "byte",
    bytes: "bytes",
    incomplete: "incomplete",
    more_messages: "and {} more messages",
    end: "end",
    reset: "reset",
    cut: "cut",
    not_read: "not read",
    silence: "{} ms without a byte",
    skipped: "{} ms skipped",
    both_sides: "Both sides were recorded by one clock: an arrow begins when the write begins, and ends \
                 when the read returns.",
    one_side: "Only the client was recorded: when the server read or wrote is not known, so the arrows \
               are level.",
    gaps: "Times are in milliseconds. Short gaps are drawn wider than they are, and long gaps are folded.",
    kernel: "The band beside a lifeline is the state of the socket. out: written and not acknowledged; \
             in: come and not read; then the timer.",
    more_calls: "{} more events of this connection are left out.",
    more_connections: "{} more connections are left out.",
    none: "No connection was made.",
    comparison: "A file through four framings: {}",
    comparison_about: "Three bar charts: the seconds of the whole job, the seconds spent waiting for \
                       pauses, and the round trips. {}.",
    seconds: "Seconds for the whole job",
    waited: "Seconds of waiting for pauses",
    trips: "Round trips",
};

static INDONESIAN: Words = Words {
    session: "Yang lewat di socket, menurut waktu",
    session_about: "Diagram urutan waktu: garis client di kiri, garis server di kanan, waktu berjalan ke \
                    bawah. Setiap panah adalah byte dari satu panggilan. Kurung menggabungkan panah-panah \
                    dari satu pesan. Koneksi: {}.",
    connection: "Koneksi",
    client: "client",
    server: "server",
    command: "perintah",
    header: "header",
    payload: "isi",
    reply: "jawaban",
    byte: "byte",
    bytes: "byte",
    incomplete: "tidak lengkap",
    more_messages: "dan {} pesan lagi",
    end: "akhir",
    reset: "reset",
    cut: "terputus",
    not_read: "tidak dibaca",
    silence: "{} ms tanpa byte",
    skipped: "{} ms dilewati",
    both_sides: "Kedua sisi dicatat dengan satu jam: panah mulai saat write mulai, dan berakhir saat read \
                 selesai.",
    one_side: "Hanya client yang dicatat: kapan server membaca atau menulis tidak diketahui, jadi panahnya \
               datar.",
    gaps: "Waktu dalam milidetik. Jeda pendek digambar lebih lebar, dan jeda panjang dilipat.",
    kernel: "Pita di samping garis adalah keadaan socket. out: sudah ditulis, belum di-acknowledge; \
             in: sudah datang, belum dibaca; lalu timer.",
    more_calls: "{} kejadian lagi dari koneksi ini tidak digambar.",
    more_connections: "{} koneksi lagi tidak digambar.",
    none: "Tidak ada koneksi.",
    comparison: "Satu file dengan empat framing: {}",
    comparison_about: "Tiga diagram batang: detik untuk seluruh pekerjaan, detik menunggu jeda, dan jumlah \
                       bolak-balik. {}.",
    seconds: "Detik untuk seluruh pekerjaan",
    waited: "Detik menunggu jeda",
    trips: "Bolak-balik",
};
