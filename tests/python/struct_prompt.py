"""A client of the struct wire in the manner of the assignment's, with its prompt: one recv is taken as one message."""
import os
import socket
import struct
import sys

BUFFER_SIZE = 1024
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def connme():
    s.send(b"connme")
    print(s.recv(BUFFER_SIZE).decode())


def upload():
    path = input("path: ")
    s.send(b"upload")
    s.recv(BUFFER_SIZE)
    name = os.path.basename(path).encode()
    s.send(struct.pack("h", len(name)))
    s.send(name)
    size = os.path.getsize(path)
    s.send(struct.pack("i", size))
    with open(path, "rb") as file:
        while piece := file.read(BUFFER_SIZE):
            s.send(piece)
    print(s.recv(BUFFER_SIZE).decode())
    print("seconds:", struct.unpack("f", s.recv(4))[0])


def list_files():
    s.send(b"ls")
    for _ in range(struct.unpack("i", s.recv(4))[0]):
        length = struct.unpack("i", s.recv(4))[0]
        name = s.recv(length).decode()
        print(name, struct.unpack("i", s.recv(4))[0])
        s.send(b"1")
    print("total:", struct.unpack("i", s.recv(4))[0])


def named(command):
    name = input("name: ")
    s.send(command)
    s.recv(BUFFER_SIZE)
    s.send(struct.pack("h", len(name.encode())))
    s.send(name.encode())
    return name


def get_size():
    named(b"size")
    print(struct.unpack("i", s.recv(4))[0], "bytes")


def download():
    name = named(b"download")
    size = struct.unpack("i", s.recv(4))[0]
    if size == -1:
        print("no such file")
        return
    with open(name, "wb") as file:
        while size > 0:
            piece = s.recv(BUFFER_SIZE)
            file.write(piece)
            size -= len(piece)
    s.send(b"1")
    print("seconds:", struct.unpack("f", s.recv(4))[0])


def delete():
    named(b"rm")
    answer = input("really? (Y/N) ")
    s.send(answer.encode())
    if answer == "Y":
        print("removed" if struct.unpack("i", s.recv(4))[0] == 1 else "not removed")


COMMANDS = {
    "connme": connme,
    "upload": upload,
    "ls": list_files,
    "size": get_size,
    "download": download,
    "rm": delete,
}

s.connect((sys.argv[1], int(sys.argv[2])))
while (command := input("command: ")) != "byebye":
    COMMANDS[command]()
s.send(b"byebye")
s.close()
