"""Passes connections on to a server of this machine, and its answers back a while later.

python bench/slow_answers.py LISTEN_PORT SERVER_PORT MILLISECONDS
"""

import socket
import sys
import threading
import time


def pump(source: socket.socket, target: socket.socket, seconds: float) -> None:
    """Pass on what comes, each piece after a pause, until the source ends."""
    try:
        while octets := source.recv(65_536):
            if seconds:
                time.sleep(seconds)
            target.sendall(octets)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        target.close()


def main() -> None:
    """Serve until killed."""
    listen_port, server_port = int(sys.argv[1]), int(sys.argv[2])
    seconds = float(sys.argv[3]) / 1000
    with socket.create_server(("127.0.0.1", listen_port), backlog=128) as listening:
        while True:
            client, _ = listening.accept()
            server = socket.create_connection(("127.0.0.1", server_port))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=pump, args=(client, server, 0.0), daemon=True).start()
            threading.Thread(target=pump, args=(server, client, seconds), daemon=True).start()


if __name__ == "__main__":
    main()
