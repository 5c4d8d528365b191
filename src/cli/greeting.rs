//! What a server says when it begins, or why it cannot.

use std::fmt::Display;
use std::io;

use crate::lang::{Msg, msg};

/// It listens at this address.
#[must_use]
pub fn listening(address: impl Display, dialect: &str) -> Msg {
    msg!("listening on {address} ({dialect})", "Server FTP berjalan di {address} ({dialect})")
}

/// What users of other machines type. If this machine's address is not known, it contains HOST.
#[must_use]
pub fn type_elsewhere(command: &str, host_is_known: bool) -> Msg {
    let host = match host_is_known {
        true => Msg::default(),
        false => msg!(
            "\n(HOST is this machine's address: see 'ip addr' or 'ipconfig')",
            "\n(HOST adalah alamat komputer ini: lihat 'ip addr' atau 'ipconfig')"
        ),
    };
    msg!(
        "on other machines, type: {command}{host}",
        "di komputer lain, ketik: {command}{host}";
        host
    )
}

/// What lets other machines reach these ports of a Windows machine.
#[must_use]
pub fn open_firewall(ports: &str) -> Msg {
    let command = format!(
        "netsh advfirewall firewall add rule name=connme dir=in action=allow protocol=TCP localport={ports}"
    );
    msg!(
        "if they cannot connect, an administrator of this machine types:\n{command}",
        "jika tidak bisa tersambung, administrator komputer ini mengetik:\n{command}"
    )
}

/// Where the files are, and that it waits for clients.
#[must_use]
pub fn waiting(root: impl Display, is_new: bool) -> Msg {
    let created = match is_new {
        false => Msg::default(),
        true => msg!(" (created)", " (folder baru dibuat)"),
    };
    msg!(
        "files are in {root}{created}\nwaiting for clients...",
        "file disimpan di {root}{created}\nMenunggu koneksi dari client...";
        created
    )
}

/// It cannot listen at this address.
#[must_use]
pub fn cannot_listen(address: &str, error: &io::Error) -> Msg {
    match error.kind() {
        io::ErrorKind::AddrInUse => msg!(
            "cannot listen on {address}: that port is taken, perhaps by another connme-server; stop \
             that one, or choose another port with --listen",
            "tidak bisa berjalan di {address}: port itu sudah dipakai, mungkin oleh connme-server lain; \
             hentikan yang itu, atau pilih port lain dengan --listen"
        ),
        _ => msg!(
            "cannot listen on {address}: {error}; choose another with --listen",
            "tidak bisa berjalan di {address}: {error}; pilih yang lain dengan --listen"
        ),
    }
}

/// Its folder cannot be used.
#[must_use]
pub fn cannot_use_root(why: &str) -> Msg {
    msg!(
        "cannot {why}; choose another folder with --root",
        "folder tidak bisa dipakai: {why}; pilih folder lain dengan --root"
    )
}

/// Its log cannot be written.
#[must_use]
pub fn cannot_use_log(why: &str) -> Msg {
    msg!(
        "cannot {why}; choose another file with --log",
        "log tidak bisa ditulis: {why}; pilih file lain dengan --log"
    )
}
