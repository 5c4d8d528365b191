"""A client of the filesaver wire in the manner of the assignment's: no word has an end mark."""
import os
import socket

SEPARATOR = "<SEPARATOR>"


def connect():
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.connect(("127.0.0.1", int(os.environ["FILESAVER_PORT"])))
    s.settimeout(15)
    return s


def send(name, data):
    s = connect()
    s.send(b"SEND")
    assert s.recv(1024) == b"OK"
    s.send(name.encode())
    s.send(f"{name}{SEPARATOR}{len(data)}".encode())
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
    assert s.recv(1024) == b""


def receive(name):
    s = connect()
    s.send(b"RECEIVE")
    assert s.recv(1024) == b"OK"
    s.send(name.encode())
    head = s.recv(4096).decode()  # Whatever the one read brings.
    if head.startswith("ERROR"):
        return None
    got, size = head.split(SEPARATOR)
    assert got == name
    data = b""
    while piece := s.recv(4096):
        data += piece
    assert len(data) == int(size)
    return data


for data in [b"", b"hello", b"12345", b"\n5", bytes(range(256)) * 400]:
    for name in ["a.txt", "aa", "é.bin"]:
        send(name, data)
assert receive("a.txt") == b"" and receive("a_1.txt") == b"hello" and receive("a_2.txt") == b"12345"
assert receive("aa_3") == b"\n5" and receive("é_4.bin") == bytes(range(256)) * 400
assert receive("nope") is None and receive("../a.txt") is None
print("passed")
