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
            "{requests} downloads of {size} bytes, shared by 1, 16 or 256 clients at the same time\n\
             +: one more client came first, and sends a byte a second for three seconds\n\
             reply: the longest time from a client's connect to its first reply\n\
             medians of {runs} runs",
        ),
        format!(
            "{requests} download sebesar {size} byte, dibagi oleh 1, 16 atau 256 client sekaligus\n\
             +: satu client lagi datang lebih dulu, dan mengirim satu byte per detik selama tiga detik\n\
             balasan: waktu terlama dari connect sebuah client sampai balasan pertamanya\n\
             median dari {runs} putaran",
        ),
    )
}

/// Downloads in a second.
pub(super) fn rate() -> Msg {
    Msg::said("downloads/s", "download/detik")
}

/// The longest time that a client waited for its first reply.
pub(super) fn wait() -> Msg {
    Msg::said("reply, ms", "balasan, ms")
}

/// The head of the table's first column.
pub(super) fn shape() -> Msg {
    Msg::said("shape", "bentuk")
}
