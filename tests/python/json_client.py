"""Clients of the json wire in the manner of the assignments': one read is the record."""
import json
import os
import socket


def connect():
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.connect(("127.0.0.1", int(os.environ["JSON_PORT"])))
    s.settimeout(15)
    return s


def transfer(name, data):
    s = connect()
    kind = os.path.splitext(name)[1]
    s.sendall((json.dumps({"aksi": "transfer", "file": name, "size": len(data), "type": kind}) + "\n").encode())
    s.sendall(data)
    reply = s.recv(4096)
    assert reply.startswith(b"OK ") and reply.endswith(b"\r\n")
    return json.loads(reply[3:])


def listing():
    s = connect()
    s.sendall(b'{"aksi": "list"}\n')
    text = b""
    while True:
        piece = s.recv(16)
        text += piece
        if piece.endswith(b"\r\n"):
            return json.loads(text)
        assert piece, "the end was not seen"


def get_as_the_original_does(name):
    s = connect()
    s.sendall((json.dumps({"aksi": "get", "file": name}) + "\n").encode())
    reply = s.recv(1024).decode()
    if reply != "null":  # Compared as it came: one byte more would be a record.
        return json.loads(reply)["nama_file"]
    return "tidak ada"


def get(**which):
    s = connect()
    s.sendall((json.dumps({"aksi": "get", **which}) + "\n").encode())
    record = json.loads(s.recv(4096))
    data = b""
    while piece := s.recv(4096):
        data += piece
    return record, data


def hapus(**which):
    s = connect()
    s.sendall((json.dumps({"aksi": "hapus", **which}) + "\n").encode())
    return s.recv(4096)


big = bytes(range(256)) * 400
a = transfer("a.png", b"hello")
assert (a["nama_file"], a["size"], a["type"]) == ("a.png", 5, ".png")
e = transfer("é \"quoted\".bin", big)
assert listing() == sorted([a, e], key=lambda record: record["nama_file"])
assert get(file="a.png") == (a, b"hello") and get(id=e["id"]) == (e, big)
assert get(file="nope") == (None, b"")
assert get_as_the_original_does("nope") == "tidak ada" and get_as_the_original_does("a.png") == "a.png"
assert hapus(id=e["id"]).startswith(b"OK {") and hapus(id=e["id"]) == b"null"
for n in range(20):
    transfer("x" * (n + 1), b"")
    assert len(listing()) == n + 2
s = connect()
s.sendall(b'{"aksi": "nothing"}\n')
assert s.recv(100) == b"ERRCMD\r\n"
print("passed")
