//! The sentences about the five shapes, each in both languages.

use std::net::SocketAddr;

use super::SHAPES;
use crate::lang::Msg;

fn names() -> String {
    SHAPES.map(|shape| shape.name).join(", ")
}

/// What `shape` takes.
pub(super) fn shape_takes() -> Msg {
    Msg::said(
        format!("shape needs the name of a shape, and perhaps a port: {}; see --help", names()),
        format!(
            "shape harus diikuti nama sebuah bentuk, boleh juga port: {}; lihat --help",
            names()
        ),
    )
}

/// What `bench` takes.
pub(super) fn bench_takes() -> Msg {
    Msg::said(
        format!("bench takes the names of shapes: {}; see --help", names()),
        format!("bench menerima nama bentuk server: {}; lihat --help", names()),
    )
}

/// The first line of a server.
pub(super) fn listening(address: SocketAddr, shape: &str) -> Msg {
    Msg::said(format!("{shape} listening on {address}"), format!("{shape} menunggu di {address}"))
}

/// What the table is about.
pub(super) fn bench_title(requests: usize, size: usize, runs: usize) -> Msg {
    Msg::said(
        format!(
            "{requests} downloads of {size} bytes, shared by 1, 16 or 256 clients at the same \
             time.\nMedians of {runs} runs; +slow: one more client came first, and sends a byte a \
             second.",
        ),
        format!(
            "{requests} download sebesar {size} byte, dibagi oleh 1, 16 atau 256 client sekaligus.\n\
             Median dari {runs} putaran; +lambat: satu client lagi datang lebih dulu, dan mengirim \
             satu byte per detik.",
        ),
    )
}

/// Downloads in a second.
pub(super) fn rate() -> Msg {
    Msg::said("downloads/s", "download/detik")
}

/// The longest time that a client waited for its first reply.
pub(super) fn wait() -> Msg {
    Msg::said("first reply, ms", "balasan pertama, ms")
}

/// The head of the table's first column.
pub(super) fn shape() -> Msg {
    Msg::said("shape", "bentuk")
}

/// A load of so many clients.
pub(super) fn load(clients: usize, has_slow: bool) -> Msg {
    let [en, id] = if has_slow { ["+slow", "+lambat"] } else { [""; 2] };
    Msg::said(format!("{clients}{en}"), format!("{clients}{id}"))
}

/// What the figures mean.
pub(super) fn bench_explained() -> Msg {
    Msg::said(
        "first reply: the longest time that a client waited for it, with the handshake",
        "balasan pertama: waktu terlama yang ditunggu satu client, termasuk handshake",
    )
}
