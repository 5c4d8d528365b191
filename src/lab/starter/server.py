"""A server as one writes it first. Run it with: python3 server.py PORT"""

import os
import socket
import sys
import threading

TCP_IP = "127.0.0.1"
TCP_PORT = 1234
BUFFER_SIZE = 1024
UPLOAD_FOLDER = "uploads"


def handle_client(connection):
    while True:
        words = receive(connection).split()
        command = words[0] if words else ""
        name = words[1] if len(words) > 1 else ""
        if command == "connme":
            send(connection, "ok connected\n")
        elif command == "ls":
            list_files(connection)
        elif command == "size":
            get_size(connection, name)
        elif command == "rm":
            delete(connection, name)
        elif command == "download":
            download(connection, name)
        elif command == "upload":
            upload(connection, name)
        elif command == "byebye":
            send(connection, "ok byebye\n")
            break
        elif command == "":
            break
        else:
            send(connection, "error unknown-command no such command\n")
    connection.close()


def receive(connection):
    return connection.recv(BUFFER_SIZE).decode()


def send(connection, text):
    connection.send(text.encode())


def path_of(name):
    return os.path.join(UPLOAD_FOLDER, name)


def list_files(connection):
    lines = ""
    total = 0
    names = os.listdir(UPLOAD_FOLDER)
    for name in names:
        size = os.path.getsize(path_of(name))
        lines += f"file {size} {name}\n"
        total += size
    send(connection, f"ok {len(names)}\n{lines}total {total}\n")


def get_size(connection, name):
    size = os.path.getsize(path_of(name))
    send(connection, f"ok {size} bytes ({size / 1000000:.6f} MB)\n")


def delete(connection, name):
    os.remove(path_of(name))
    send(connection, f"ok removed {name}\n")


def download(connection, name):
    with open(path_of(name), "rb") as file:
        data = file.read()
    send(connection, f"ok {len(data)}\n")
    connection.send(data)


def upload(connection, name):
    send(connection, "ok ready\n")
    header, _, data = connection.recv(BUFFER_SIZE).partition(b"\n")
    size = int(header)
    stored = free_name(name)
    if len(data) < size:
        data += connection.recv(size - len(data))
    with open(path_of(stored), "wb") as file:
        file.write(data)
    send(connection, f"ok received {len(data)} {stored}\n")


def free_name(name):
    stem, extension = os.path.splitext(name)
    count = 0
    while os.path.exists(path_of(name)):
        count += 1
        name = f"{stem}_{count}{extension}"
    return name


def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else TCP_PORT
    os.makedirs(UPLOAD_FOLDER, exist_ok=True)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((TCP_IP, port))
        server.listen()
        print(f"listening on {TCP_IP}:{server.getsockname()[1]}", flush=True)
        while True:
            connection, _ = server.accept()
            threading.Thread(target=handle_client, args=(connection,)).start()


main()
