"""A real port that a SIP2 client speaks to, whose answers a test writes."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from broker.adapters.library_systems import sip2
from broker.adapters.library_systems.sip2 import Sip2Account, Sip2Client

STATUS = "64              00920261126    050430" + "0000" * 6

Answers = Callable[[str], bytes]


def checksummed(text: str, sequence: int) -> bytes:
    """Give an answer with sequence number and checksum, ended as Koha ends it."""
    return sip2.message(text, sequence) + b"\n"


def plain(text: str) -> bytes:
    """Give an answer without error detection."""
    return text.encode() + b"\r\n"


class Machine(socketserver.StreamRequestHandler):
    """Reads messages to their carriage return, and answers as the test says."""

    server: "Port"

    def handle(self) -> None:
        """Answer until the other side is gone."""
        while True:
            message = b""
            while not message.endswith(b"\r"):
                piece = self.rfile.read(1)
                if not piece:
                    return
                message += piece
            self.server.seen.append(message.decode())
            self.wfile.write(self.server.answers(message.decode()))
            self.wfile.flush()


class Port(socketserver.ThreadingTCPServer):
    """The port of a library system that machines speak to."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answers: Answers) -> None:
        super().__init__(("127.0.0.1", 0), Machine)
        self.answers = answers
        self.seen: list[str] = []


@contextmanager
def run_sip2_port(answers: Answers) -> Iterator[tuple[Port, Sip2Client, list[tuple[str, str]]]]:
    """Give a port that answers so, a client of it, and what its calls came to."""
    observed: list[tuple[str, str]] = []
    with Port(answers) as port:
        thread = threading.Thread(target=port.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        account = Sip2Account("127.0.0.1", port.server_address[1], "machine", "secret", "AUL", None)
        yield port, Sip2Client(account, lambda call, outcome, _: observed.append((call, outcome))), observed
        port.shutdown()
        thread.join()


def right(card: str) -> str:
    """Give the answer that card and PIN are a borrower's."""
    return f"{STATUS}AOAUL|AA{card}|AEÅse Prøvesen|BLY|CQY|AFGreetings. |"


def accept_pin(card: str, pin: str) -> Answers:
    """Let the card be taken with this PIN alone, after a login."""

    def answers(message: str) -> bytes:
        taken = f"|AD{pin}|" in message
        return answer_with(right(card) if taken else right(card).replace("CQY", "CQN"))(message)

    return answers


def answer_with(text: str, login: bytes = b"") -> Answers:
    """Let every question be answered so, after a login."""

    def answers(message: str) -> bytes:
        if message.startswith("93"):
            return login or checksummed("941", 0)
        return checksummed(text, 1)

    return answers
