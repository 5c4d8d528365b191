"""A server of the struct wire in the manner of the assignment's: one recv is taken as one message, what
comes behind a payload goes into the file, and the end of the stream is not noticed."""
import os
import socket
import struct
import sys

BUFFER_SIZE = 1024
FOLDER = "stored"
os.mkdir(FOLDER)
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.bind(("127.0.0.1", 0))
s.listen(5)
print(s.getsockname()[1], flush=True)


def path(conn):
    length = struct.unpack("h", conn.recv(2))[0]
    return os.path.join(FOLDER, conn.recv(length).decode())


def upload(conn):
    conn.send(b"ready")
    name = path(conn)
    size = struct.unpack("i", conn.recv(4))[0]
    with open(name, "wb") as file:
        while size > 0:
            piece = conn.recv(BUFFER_SIZE)  # It may be more than the file.
            file.write(piece)
            size -= len(piece)
    conn.send(b"received")
    conn.send(struct.pack("f", 0.5))


def list_files(conn):
    names = sorted(os.listdir(FOLDER))
    conn.send(struct.pack("i", len(names)))
    total = 0
    for name in names:
        size = os.path.getsize(os.path.join(FOLDER, name))
        conn.send(struct.pack("i", len(name.encode())))
        conn.send(name.encode())
        conn.send(struct.pack("i", size))
        total += size
        conn.recv(BUFFER_SIZE)
    conn.send(struct.pack("i", total))


def download(conn):
    conn.send(b"ready")
    name = path(conn)
    if not os.path.exists(name):
        conn.send(struct.pack("i", -1))
        return
    conn.send(struct.pack("i", os.path.getsize(name)))
    with open(name, "rb") as file:
        conn.sendall(file.read())
    conn.recv(BUFFER_SIZE)
    conn.send(struct.pack("f", 0.5))


def get_size(conn):
    conn.send(b"ready")
    name = path(conn)
    conn.send(struct.pack("i", os.path.getsize(name) if os.path.exists(name) else -1))


def serve(conn):
    spins = 0
    while True:
        command = conn.recv(BUFFER_SIZE).decode()
        if command == "byebye":
            conn.close()
            return
        elif command == "connme":
            conn.send(b"connected")
        elif command == "upload":
            upload(conn)
        elif command == "ls":
            list_files(conn)
        elif command == "download":
            download(conn)
        elif command == "size":
            get_size(conn)
        elif command != "":
            sys.exit(f"not a command: {command!r}")
        else:
            # The original goes on like this for ever, and answers nobody any more.
            spins += 1
            if spins > 1000:
                sys.exit("a client left without byebye")


while True:
    conn, address = s.accept()
    serve(conn)
