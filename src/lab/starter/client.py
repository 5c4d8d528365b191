"""A client as one writes it first. Run it with: python3 client.py HOST PORT"""

import os
import socket
import sys

TCP_IP = "127.0.0.1"
TCP_PORT = 1234
BUFFER_SIZE = 1024
DOWNLOAD_FOLDER = "downloads"


def receive(connection):
    return connection.recv(BUFFER_SIZE).decode()


def send(connection, text):
    connection.send(text.encode())


def connme(connection):
    send(connection, "connme\n")
    print(receive(connection))


def list_files(connection):
    send(connection, "ls\n")
    print(receive(connection))


def get_size(connection):
    name = input("name: ")
    send(connection, f"size {name}\n")
    print(receive(connection))


def delete(connection):
    name = input("name: ")
    if input("really? (Y/N) ") == "Y":
        send(connection, f"rm {name}\n")
        print(receive(connection))


def download(connection):
    name = input("name: ")
    send(connection, f"download {name}\n")
    size = int(receive(connection).split()[1])
    data = b""
    while len(data) < size:
        data += connection.recv(BUFFER_SIZE)
    with open(os.path.join(DOWNLOAD_FOLDER, name), "wb") as file:
        file.write(data)
    print(f"received {size} bytes")


def upload(connection):
    path = input("path: ")
    send(connection, f"upload {os.path.basename(path)}\n")
    receive(connection)
    with open(path) as file:
        text = file.read()
    send(connection, f"{len(text)}\n")
    send(connection, text)
    print(receive(connection))


COMMANDS = {
    "connme": connme,
    "ls": list_files,
    "size": get_size,
    "rm": delete,
    "download": download,
    "upload": upload,
}


def main():
    host = sys.argv[1] if len(sys.argv) > 1 else TCP_IP
    port = int(sys.argv[2]) if len(sys.argv) > 2 else TCP_PORT
    os.makedirs(DOWNLOAD_FOLDER, exist_ok=True)
    with socket.create_connection((host, port)) as connection:
        while True:
            command = input("command: ")
            if command == "byebye":
                send(connection, "byebye\n")
                break
            if command in COMMANDS:
                COMMANDS[command](connection)
            else:
                print("unknown command")


main()
