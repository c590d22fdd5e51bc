"""Mails that hang hold their share of the loops of ``broker work``, and no account waits for them."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from broker.app import background_work, mail_work, metric_gauges, readiness
from broker.app.assembly import Parts, assemble
from broker.app.background_work import Loops
from broker.app.work_folder import WorkLock
from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.borrowers.wanted_borrower import Wish, WishedField
from broker.demo.koha import simulated_koha
from broker.demo.koha.administration import FOUR_DIGIT_PINS
from broker.demo.run.demo_folder import Setting
from broker.demo.run.demo_library import CLIENT_SECRET
from broker.demo.run.loopback_server import serve_on_loopback
from broker.files import durable_files
from broker.files.settings.config import load
from broker.flows.proofs.pin_renewal import Asking

PIN: Final = re.compile(r"(?:pinkode er|PIN is): (\d{4})")
# Those that hold a turn of the makers of accounts, and those of the loops that mail alone.
MOST: Final = mail_work._MOST_AT_ONCE + len(mail_work.IDLE)

pytestmark = pytest.mark.server


@dataclass
class Held:
    """A mail server that says nothing until it is let go, and takes every mail then."""

    go: threading.Event = field(default_factory=threading.Event)
    came: list[str] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)

    def address(self, recipient: str, deadline: datetime) -> "HeldLetter":
        """Say nothing; then accept."""
        del deadline
        self.came.append(recipient)
        self.go.wait()
        return HeldLetter(self, recipient)


@dataclass
class HeldLetter:
    """A letter to one recipient."""

    server: Held
    to: str

    def send(self, subject: str, text: str) -> None:
        """Take it."""
        self.server.sent.append((self.to, f"{subject}\n{text}"))

    def close(self) -> None:
        """End."""


@pytest.fixture
def parts(setting: Setting, tmp_path: Path) -> Iterator[Parts]:
    """Give what ``broker work`` opens, beside a simulated library system."""
    clients = {"broker": simulated_koha.Client(CLIENT_SECRET)}
    system = simulated_koha.create_app([], administration=FOUR_DIGIT_PINS, clients=clients)
    with serve_on_loopback(system) as url:
        state = tmp_path / "state"
        environ = {
            "BROKER_CONFIG": str(setting.config),
            "BROKER_STATE": str(state),
            "BROKER_STORE__URL": f"sqlite:{state / 'broker.db'}",
            "BROKER_LIBRARY__URL": url,
        }
        settings = load(setting.config, environ)
        durable_files.make_state(settings.state)
        yield assemble(settings)


@pytest.fixture(autouse=True)
def nobody_looks_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loops that are woken where more is to do sleep until they are."""
    monkeypatch.setattr(background_work, "_MORE_IDLE", 3600.0)


@contextmanager
def working(parts: Parts, held: Held) -> Iterator[Loops]:
    """Let the loops work while the block runs, with this mail server."""
    ports = replace(parts.enrolments.ports, mail=held)
    enrolments = replace(parts.enrolments, ports=ports)
    renewal = replace(parts.pin_renewal, mail=held)
    loops = Loops(replace(parts, enrolments=enrolments, pin_renewal=renewal))
    loops.start()
    try:
        yield loops
    finally:
        held.go.set()
        loops.end()


def until(loops: Loops, true: Callable[[], object]) -> None:
    """Wait until something holds, and look meanwhile as the process does."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        loops.look()
        time.sleep(0.02)


def cpr(serial: int) -> str:
    """Give an invented number."""
    month, day = divmod(serial, 28)
    return f"{day + 1:02}{month + 1:02}990000"


def want(parts: Parts, loops: Loops, serials: range) -> None:
    """Let people want accounts."""
    for serial in serials:
        address = f"synthetic{serial}@example.org"
        fields = (WishedField("surname", "Prøvesen", "always"), WishedField("email", address, "create"))
        parts.enrolments.want(Wish(cpr(serial), "student", "STUDENT", (), date(2036, 1, 1), fields, address))
        loops.wake()


def made(parts: Parts, serials: range) -> bool:
    """Say whether all of them have their account."""
    stored = [parts.enrolments.stored(cpr(serial)) for serial in serials]
    return all(each is not None and each.state is EnrolmentState.DONE for each in stored)


def addressed(held: Held) -> list[str]:
    """Give whom a PIN was mailed to."""
    return sorted(to for to, text in held.sent if PIN.search(text))


def test_accounts_are_made_while_every_mail_hangs(parts: Parts) -> None:
    """More people than loops all have theirs before one mail has left; let go, each of them is mailed once."""
    held, people = Held(), range(80)
    with working(parts, held) as loops:
        want(parts, loops, people)
        until(loops, lambda: made(parts, people))
        assert (len(held.came) <= MOST, held.sent) == (True, [])
        held.go.set()
        until(loops, lambda: len(addressed(held)) >= len(people))
    assert addressed(held) == sorted(f"synthetic{serial}@example.org" for serial in people)


def test_letters_that_hang_hold_no_loop_that_makes_accounts(parts: Parts) -> None:
    """As many letters as there are loops for them are asked for, and then an account is wanted."""
    held, people = Held(), range(20)
    held.go.set()
    with working(parts, held) as loops:
        want(parts, loops, people)
        until(loops, lambda: len(addressed(held)) == len(people))
        held.go.clear()
        for serial in people:
            parts.pin_renewal.ask(cpr(serial), f"192.0.2.{serial}", lambda: Asking("da"))
            loops.wake()
        until(loops, lambda: len(held.came) == len(people) + len(mail_work.IDLE))
        want(parts, loops, range(20, 21))
        until(loops, lambda: made(parts, range(20, 21)))


def test_a_silent_mail_server_is_told_while_it_is_silent(parts: Parts) -> None:
    """To whoever asks for readiness, and by a figure; logins go on."""
    lock = WorkLock(parts.config.state)
    assert lock.take()
    said = "the mail server has left mails without an answer for 90 s: PINs and letters wait"
    for seconds in (None, 90.0):
        lock.tell_alive(0, seconds)
        note = readiness.notes(parts).get("mail", "")
        assert note.startswith(said) if seconds else note == ""
        assert figure(parts) == (seconds or 0.0)
    assert not any(readiness.readiness(parts)["library"])


def figure(parts: Parts) -> Any:
    """Give for how long the metrics call it silent."""
    name = "broker_mail_silent_seconds"
    (found,) = [gauge for gauge in metric_gauges.gauges(parts) if gauge.name == name]
    return found.value
