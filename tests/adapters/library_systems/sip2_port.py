"""A real port for a SIP2 client; a test defines the answers."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pydantic import SecretStr

from broker.adapters.library_systems import sip2
from broker.adapters.library_systems.sip2 import PinMachine, Sip2Keys

STATUS = "64              00920261126    050430" + "0000" * 6

Answers = Callable[[str], bytes]


def add_checksum(text: str, sequence: int) -> bytes:
    """Return an answer with sequence number and checksum, ended as Koha ends it."""
    return sip2.message(text, sequence) + b"\n"


def plain(text: str) -> bytes:
    """Return an answer without error detection."""
    return text.encode() + b"\r\n"


class Machine(socketserver.StreamRequestHandler):
    """Reads each message up to its carriage return and sends the test's answer."""

    server: "Port"

    def handle(self) -> None:
        """Answer until the client disconnects."""
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
    """The SIP2 port of a library system."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answers: Answers) -> None:
        super().__init__(("127.0.0.1", 0), Machine)
        self.answers = answers
        self.seen: list[str] = []


def make_account(port: int) -> Sip2Keys:
    """Return the account of a machine at a port of this machine."""
    password = SecretStr("secret")
    return Sip2Keys(host="127.0.0.1", port=port, login="machine", password=password, location="AUL")


@contextmanager
def run_sip2_port(answers: Answers) -> Iterator[tuple[Port, PinMachine, list[tuple[str, str]]]]:
    """Run a port with these answers; return it, a client, and the list of call outcomes."""
    observed: list[tuple[str, str]] = []
    with Port(answers) as port:
        thread = threading.Thread(target=port.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        account = make_account(port.server_address[1])
        yield port, PinMachine(account, "", 10.0, lambda call, outcome, _: observed.append((call, outcome))), observed
        port.shutdown()
        thread.join()


def right(card: str) -> str:
    """Return the answer to a valid card and PIN."""
    return f"{STATUS}AOAUL|AA{card}|AEÅse Prøvesen|BLY|CQY|AFGreetings. |"


def accept_pin(card: str, pin: str) -> Answers:
    """Return answers that accept the card with this PIN only, after a login."""

    def answers(message: str) -> bytes:
        taken = f"|AD{pin}|" in message
        return answer_with(right(card) if taken else right(card).replace("CQY", "CQN"))(message)

    return answers


def answer_with(text: str, login: bytes = b"") -> Answers:
    """Return answers that give ``text`` to every message after a login."""

    def answers(message: str) -> bytes:
        if message.startswith("93"):
            return login or add_checksum("941", 0)
        return add_checksum(text, 1)

    return answers
