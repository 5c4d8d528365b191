"""A client of the count wire in the manner of the assignment's: a message, and nothing behind it."""
import os
import socket

for message in ["halo, dunia", "é漢😀", "a"]:
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.connect(("127.0.0.1", int(os.environ["COUNT_PORT"])))
    s.settimeout(15)
    s.send(message.encode())
    assert s.recv(1024).decode() == str(len(message))
print("passed")
