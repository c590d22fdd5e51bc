"""The demo's lending machine over a real connection, and what it makes of a library system that fails."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from broker.demo.koha.administration import FOUR_DIGIT_PINS
from broker.demo.koha.loans import BOOKS, Circulation
from broker.demo.koha.simulated_koha import create_app
from broker.demo.koha.sip2_server import serve_sip2
from broker.demo.library.sip2_client import Machine, MachineFailed
from tests.plugins.ports import free_port

pytestmark = pytest.mark.server

CPR, PIN = "0101990000", "4711"
AASE = {
    "surname": "Prøvesen",
    "firstname": "Åse",
    "library_id": "AUL",
    "category_id": "STUDENT",
    "cardnumber": CPR,
    "password": PIN,
}


@pytest.fixture(name="circulation")
def _circulation() -> Circulation:
    return Circulation(create_app([AASE], administration=FOUR_DIGIT_PINS).extensions["koha"].patrons)


@pytest.fixture(name="machine")
def _machine(circulation: Circulation) -> Iterator[Machine]:
    with serve_sip2(circulation, terminals={"one": "secret"}) as port:
        yield Machine(port, "one", "secret")


def test_a_borrower_is_proved_and_lent_to(machine: Machine) -> None:
    """Number and PIN bring name, card number and loans, and a book is lent once."""
    before = machine.borrower(f" {CPR} ", PIN)
    assert (before.is_proven, before.may_borrow) == (True, True)
    assert (before.card, before.name, before.loans) == (CPR, "Åse Prøvesen", ())
    after, is_lent = machine.lend(CPR, PIN, BOOKS[0])
    assert (after.loans, is_lent) == ((BOOKS[0],), True)
    assert machine.lend(CPR, PIN, BOOKS[0])[1] is False


@pytest.mark.parametrize(
    ("typed", "pin"),
    [(CPR, "4712"), ("NOPE", PIN), ("1", PIN), ("", PIN), (f"{CPR}|AD{PIN}", "0000"), (f"x\r63{CPR}", PIN)],
)
def test_nothing_that_is_typed_becomes_a_field_or_a_message(machine: Machine, typed: str, pin: str) -> None:
    """A wrong PIN, an unknown number, an internal one and a forged field prove nobody, and no book is lent."""
    assert not machine.borrower(typed, pin).is_proven
    borrower, is_lent = machine.lend(typed, pin, BOOKS[0])
    assert (borrower.is_proven, is_lent, borrower.loans) == (False, False, ())


def test_who_may_not_borrow_is_proved_all_the_same(machine: Machine, circulation: Circulation) -> None:
    """The flags bar lending, and the message says why."""
    circulation.patrons.edit(1, incorrect_address=True)
    borrower, is_lent = machine.lend(CPR, PIN, BOOKS[0])
    assert (borrower.is_proven, borrower.may_borrow, is_lent) == (True, False, False)
    assert "no valid address" in borrower.message


def test_a_machine_with_a_wrong_login_fails(machine: Machine) -> None:
    """Its own password is wrong: that is nobody's PIN."""
    with pytest.raises(MachineFailed, match="login"):
        Machine(machine.port, "one", "wrong").borrower(CPR, PIN)


@contextmanager
def _answering(*answers: bytes) -> Iterator[int]:
    """Serve one machine with fixed answers, then end the connection."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for answer in answers:
                    connection.recv(4096)
                    connection.sendall(answer)
                connection.recv(4096)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ((), "ended the connection"),
        ((b"941\r\n", b"98\r\n"), "ended the connection"),
        ((b"941\r\n", b"98\r\n", b"96\r\n"), "96 is no answer to 63"),
        ((b"941AY0AZ0000\r\n",), "damaged"),
        ((b"98YYYYNN\r\n",), "98 is no answer to 93"),
    ],
)
def test_a_library_system_that_fails_is_told(answers: tuple[bytes, ...], why: str) -> None:
    """Silence, damage and answers to something else are no verdict about a PIN."""
    with _answering(*answers) as port, pytest.raises(MachineFailed, match=why):
        Machine(port, "one", "secret").borrower(CPR, PIN)


def test_nobody_at_the_port_is_told() -> None:
    """A library system that is down is no wrong PIN either."""
    with pytest.raises(MachineFailed):
        Machine(free_port(), "one", "secret").borrower(CPR, PIN)
