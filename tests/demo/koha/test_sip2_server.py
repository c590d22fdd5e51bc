"""The simulated Koha's SIP2 answers to a self-service machine, byte by byte (docs/reference/koha.md#sip2)."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from flask import Flask

from broker.demo.koha.database.administration import FOUR_DIGIT_PINS
from broker.demo.koha.loans import Circulation
from broker.demo.koha.simulated_koha import create_app
from broker.demo.koha.sip2_server import serve_sip2

pytestmark = pytest.mark.server

CPR, PIN = "0101990000", "4711"
NOW = "20261126    050430"
BLANK = " " * 14
AASE = {
    "surname": "Prøvesen",
    "firstname": "Åse",
    "library_id": "AUL",
    "category_id": "STUDENT",
    "userid": "aase.prove",
    "cardnumber": CPR,
    "email": "aase@post.example",
    "address": "Testvej 1",
}
NO_CARD = {"surname": "Kortløs", "library_id": "AUL", "category_id": "PRIVATE", "userid": "no.card", "password": PIN}
NO_PIN = {"surname": "Pinløs", "library_id": "AUL", "category_id": "PRIVATE", "cardnumber": "P1"}
LOGIN = "9300CNmachine|COdemo-terminal|CPAUL|"


@pytest.fixture(name="app")
def _app() -> Flask:
    return create_app([{**AASE, "password": PIN}, NO_CARD, NO_PIN], administration=FOUR_DIGIT_PINS)


@pytest.fixture(name="circulation")
def _circulation(app: Flask) -> Circulation:
    return Circulation(app.extensions["koha"].patrons)


class Wire:
    """A raw connection of a machine."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 60)

    def send(self, *messages: str) -> list[str]:
        """Send messages in one packet; give as many answers without CR LF, "" where the connection ended."""
        self._socket.sendall("".join(f"{message}\r" for message in messages).encode())
        answers = []
        for _ in messages:
            received = b""
            while not received.endswith(b"\r"):
                piece = self._socket.recv(1)
                if not piece:
                    break
                received += piece.strip(b"\n")
            answers.append(received.decode().rstrip("\r"))
        return answers

    def ask(self, message: str) -> str:
        """Send one message and give its answer, the time in it replaced."""
        return re.sub(r"\d{8}    \d{6}", NOW, self.send(message)[0])

    def close(self) -> None:
        """End the connection."""
        self._socket.close()


@pytest.fixture(name="wire")
def _wire(circulation: Circulation) -> Iterator[Callable[[], Wire]]:
    with ExitStack() as stack:
        port = stack.enter_context(serve_sip2(circulation))

        def connect() -> Wire:
            connection = Wire(port)
            stack.callback(connection.close)
            return connection

        yield connect


@pytest.fixture(name="machine")
def _machine(wire: Callable[[], Wire]) -> Wire:
    """Return a connection that has logged in."""
    machine = wire()
    assert machine.ask(LOGIN) == "941"
    return machine


def information(typed: str = CPR, pin: str | None = PIN, *, summary: str = " " * 10) -> str:
    """Write a 63 as a machine does."""
    secret = "" if pin is None else f"AD{pin}|"
    return f"63000{NOW}{summary}AOAUL|AA{typed}|{secret}AC|"


def test_a_borrower_is_proved_by_card_number_and_pin(machine: Wire) -> None:
    """63 returns the whole borrower, 23 only the status; 35 ends the session."""
    assert machine.ask(information()) == (
        f"64{BLANK}000{NOW}{'0000' * 6}AOAUL|AA{CPR}|AEÅse Prøvesen|BLY|CQY|CC5|BDTestvej 1|BEaase@post.example|"
        "PCSTUDENT|PIY|AFGreetings from Koha. |"
    )
    assert machine.ask(f"23000{NOW}AOAUL|AA{CPR}|AC|AD{PIN}|") == (
        f"24{BLANK}000{NOW}AEÅse Prøvesen|AA{CPR}|BLY|CQY|AFGreetings from Koha. |AOAUL|"
    )
    assert machine.ask(f"35{NOW}AOAUL|AA{CPR}|") == f"36Y{NOW}AOAUL|AA{CPR}|AFThank you !|"


def test_anothers_pin_opens_an_account_whose_user_name_is_their_card(machine: Wire, app: Flask) -> None:
    """Koha checks the PIN by user name, then card number: a machine cannot tell the two apart."""
    patrons = app.extensions["koha"].patrons
    other = patrons.create({**NO_PIN, "cardnumber": "X1", "userid": "p1.other"})["patron_id"]
    patrons.create({**NO_PIN, "cardnumber": "X2", "userid": "X1"})
    patrons.set_password(other, "5182", "5182")
    assert "AAX2|" in (answer := machine.ask(information("X2", "5182")))
    assert "CQY|" in answer
