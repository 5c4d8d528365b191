"""A client of the struct wire in the manner of the assignment's: one recv is taken as one message."""
import os
import socket
import struct

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.connect(("127.0.0.1", int(os.environ["STRUCT_PORT"])))
s.settimeout(15)
BUFFER_SIZE = 1024
receipts_alone = 0


def connme():
    s.send(b"connme")
    assert s.recv(BUFFER_SIZE) == b"connected"


def upload(name, data):
    s.send(b"upload")
    assert s.recv(BUFFER_SIZE) == b"ready"
    encoded = name.encode()
    s.send(struct.pack("h", len(encoded)))
    s.send(encoded)
    if data is None:  # No such file here: noticed only now, and the next command follows.
        return
    s.send(struct.pack("i", len(data)))
    for at in range(0, len(data), BUFFER_SIZE):
        s.send(data[at:at + BUFFER_SIZE])
    receipt = s.recv(BUFFER_SIZE)
    global receipts_alone
    receipts_alone += receipt == b"received"
    # The server pauses after it. On a busy machine this program can read later than that.
    assert receipt[:8] == b"received"
    assert 0 <= struct.unpack("f", receipt[8:] or s.recv(4))[0] < 60


def list_files():
    s.send(b"ls")
    files = []
    for _ in range(struct.unpack("i", s.recv(4))[0]):
        length = struct.unpack("i", s.recv(4))[0]
        name = s.recv(length).decode()
        files.append((name, struct.unpack("i", s.recv(4))[0]))
        s.send(b"1")
    return files, struct.unpack("i", s.recv(4))[0]


def named(command, name):
    s.send(command)
    assert s.recv(BUFFER_SIZE) == b"ready"
    s.send(struct.pack("h", len(name.encode())))
    s.send(name.encode())


def get_size(name):
    named(b"size", name)
    return struct.unpack("i", s.recv(4))[0]


def download(name):
    named(b"download", name)
    size = struct.unpack("i", s.recv(4))[0]
    if size == -1:
        return None
    data = b""
    while len(data) < size:
        data += s.recv(min(BUFFER_SIZE, size - len(data)))
    s.send(b"1")
    struct.unpack("f", s.recv(4))
    return data


def delete(name, answer):
    named(b"rm", name)
    s.send(answer)
    return struct.unpack("i", s.recv(4))[0] if answer == b"Y" else None


connme()
big = bytes(range(256)) * 400
upload("a.txt", b"hello")
upload("a.txt", b"")
upload("é.bin", big)
assert list_files() == ([("a.txt", 5), ("a_1.txt", 0), ("é.bin", len(big))], 5 + len(big))
assert get_size("a.txt") == 5 and get_size("nope") == -1
assert download("é.bin") == big and download("a_1.txt") == b"" and download("nope") is None
assert delete("a.txt", b"N") is None
assert len(list_files()[0]) == 3
assert delete("a.txt", b"Y") == 1
assert delete("a.txt", b"Y") == -1
assert len(list_files()[0]) == 2
upload("nope", None)
connme()
upload("nope", None)
assert len(list_files()[0]) == 2
for n in range(50):
    upload("many", b"x" * n)
assert receipts_alone > 0
s.send(b"byebye")
assert s.recv(1) == b""
print("passed")
