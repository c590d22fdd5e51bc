"""The simulated Koha's SIP2 answers to a self-service machine, byte by byte (docs/reference/koha.md#sip2)."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from flask import Flask

from broker.demo.circulation.sip2_messages import read_message
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


@pytest.mark.parametrize(
    ("typed", "pin", "found", "proven", "card"),
    [
        (CPR, "4712", "Y", "N", CPR),
        (CPR, "", "Y", "N", CPR),
        (CPR, None, "Y", None, CPR),
        ("aase.prove", PIN, "Y", "Y", CPR),
        ("\uff10101990000", PIN, "Y", "Y", CPR),
        ("1", PIN, "N", None, "1"),
        ("NOPE", PIN, "N", None, "NOPE"),
        ("010199-0000", PIN, "N", None, "010199-0000"),
        ("no.card", PIN, "Y", "Y", ""),
        ("P1", PIN, "Y", "N", "P1"),
        ("P1", "", "Y", "N", "P1"),
    ],
)
def test_a_borrower_is_found_by_number_and_pin(
    *, machine: Wire, typed: str, pin: str | None, found: str, proven: str | None, card: str
) -> None:
    """Card number, then user name, never the internal number; the answer has the card number on file."""
    answer = read_message(machine.ask(information(typed, pin)).encode())
    assert [answer.field(name) for name in ("BL", "CQ", "AA")] == [found, proven, card]


@pytest.mark.parametrize(
    ("state", "status", "proven", "told"),
    [
        ({"expiry_date": "2020-01-01"}, "YYYY ", "Y", "PATRON EXPIRED"),
        ({"restricted": True}, "YYYY ", "Y", ""),
        ({"patron_card_lost": True}, "YYYYY", "Y", " -- Borrower's card reported lost."),
        ({"incorrect_address": True}, "YYYYY", "Y", " -- Borrower has no valid address."),
        ({"login_attempts": -1}, "YYYY ", "N", "ACCOUNT LOCKED -- Invalid password"),
    ],
)
def test_the_status_shows_why_lending_is_blocked(
    *, machine: Wire, app: Flask, state: dict[str, object], status: str, proven: str, told: str
) -> None:
    """The PIN stays right, except for a locked account. Lost cards and wrong addresses have their own flags."""
    app.extensions["koha"].patrons.edit(1, **state)
    answer = read_message(machine.ask(information()).encode())
    assert answer.fixed[:5] == status
    assert (answer.field("BL"), answer.field("CQ")) == ("Y", proven)
    assert answer.field("AF") == f"Greetings from Koha. {told}"


def test_tries_at_the_machine_count_and_lock(machine: Wire, app: Flask) -> None:
    """Where the library locks after three, the right PIN is wrong then, here as over REST."""
    patrons = app.extensions["koha"].patrons
    patrons.administration = patrons.administration.change_preferences(failed_login_attempts=3)
    for _ in range(3):
        machine.ask(information(pin="4712"))
    assert "BLY|CQN|" in machine.ask(information())
    patrons.set_password(1, "5182", "5182")
    assert "BLY|CQY|" in machine.ask(information(pin="5182"))


def test_anothers_pin_opens_an_account_whose_user_name_is_their_card(machine: Wire, app: Flask) -> None:
    """Koha checks the PIN by user name, then card number: a machine cannot tell the two apart."""
    patrons = app.extensions["koha"].patrons
    other = patrons.create({**NO_PIN, "cardnumber": "X1", "userid": "p1.other"})["patron_id"]
    patrons.create({**NO_PIN, "cardnumber": "X2", "userid": "X1"})
    patrons.set_password(other, "5182", "5182")
    assert "AAX2|" in (answer := machine.ask(information("X2", "5182")))
    assert "CQY|" in answer
