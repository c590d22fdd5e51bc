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

from broker.app import background_work, mail_work, metric_gauges, readiness, work_folder
from broker.app.assembly import Parts, assemble
from broker.app.background_work import Loops
from broker.app.forgetting_upkeep import ForgettingUpkeep
from broker.app.mail_work import MailWork
from broker.app.pace import PacedWork
from broker.app.work_folder import WorkLock
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.borrowers.wanted_borrower import Wish, WishedField
from broker.core.errors import MailPutOff
from broker.demo.koha import simulated_koha
from broker.demo.koha.administration import FOUR_DIGIT_PINS
from broker.demo.run.demo_folder import Setting
from broker.demo.run.demo_library import CLIENT_SECRET
from broker.demo.run.loopback_server import serve_on_loopback
from broker.files import durable_files
from broker.files.settings.config import load
from broker.use_cases.proofs.pin_renewal import Asking

PIN: Final = re.compile(r"(?:pinkode er|PIN is): (\d{4})")
# Those that hold a turn of the makers of accounts, and those of the loops that mail alone.
ENDS: Final = date(2036, 1, 1)
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


def mailing(parts: Parts, held: Held) -> Parts:
    """Give what ``broker work`` opens, with this mail server."""
    ports = replace(parts.enrolments.ports, mail=held)
    enrolments = replace(parts.enrolments, ports=ports)
    return replace(parts, enrolments=enrolments, pin_renewal=replace(parts.pin_renewal, mail=held))


@contextmanager
def working(parts: Parts, held: Held) -> Iterator[Loops]:
    """Let the loops work while the block runs, with this mail server."""
    loops = Loops(mailing(parts, held))
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
        parts.enrolments.want(wish(serial))
        loops.wake()


def wish(serial: int) -> Wish:
    """Give an invented wish."""
    address = f"synthetic{serial}@example.org"
    fields = (WishedField("surname", "Prøvesen", "always"), WishedField("email", address, "create"))
    return Wish(cpr(serial), "student", "STUDENT", (), ENDS, fields, address)


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


def enrolled(parts: Parts, mails: MailWork, serial: int) -> Enrolment:
    """Let somebody have an account."""
    parts.enrolments.want(wish(serial))
    enrolment = mails.noted(mails.enrolments().step)
    assert enrolment is not None
    return enrolment


def fall_silent(mails: MailWork) -> None:
    """Let three mails hang."""
    for serial in range(3):
        mails.silence.hung(f"{serial}@example.org")
    assert mails.silence.is_silent()


def owe_pin(parts: Parts, mails: MailWork, before: Enrolment) -> None:
    """Put the PIN of another person off."""
    del before
    assert enrolled(parts, mails, 1).reason == MailPutOff.reason


def owe_letter(parts: Parts, mails: MailWork, before: Enrolment) -> None:
    """Owe the letter behind which a PIN is made."""
    del mails, before
    parts.pin_renewal.ask(cpr(0), "192.0.2.1", lambda: Asking("da"))


@pytest.mark.parametrize("owe", [owe_pin, owe_letter])
def test_only_the_first_loop_of_mails_tries_a_silent_server(
    parts: Parts, owe: Callable[[Parts, MailWork, Enrolment], None]
) -> None:
    """Whatever is owed: once a minute, and what leaves is its answer."""
    held = Held()
    held.go.set()
    parts = mailing(parts, held)
    mails = MailWork(parts, threading.Event())
    before = enrolled(parts, mails, 0)
    assert len(held.sent) == 1
    fall_silent(mails)
    owe(parts, mails, before)
    loops = [list(mails.steps(number)) for number in range(2)]
    assert not any(step() for steps in loops for step in steps)
    mails.silence.clock = lambda: time.monotonic() + 61
    assert not any(step() for step in loops[1])
    assert len(held.came) == 1
    assert any(step() for step in loops[0])
    assert (len(held.sent), mails.silence.is_silent()) == (2, False)


def test_the_first_loop_of_mails_remembers_what_a_process_before_has_put_off(parts: Parts) -> None:
    """Nobody waits for the end of a pause because of a restart."""
    held = Held()
    held.go.set()
    parts = mailing(parts, held)
    before = MailWork(parts, threading.Event())
    fall_silent(before)
    assert enrolled(parts, before, 0).reason == MailPutOff.reason
    after = MailWork(parts, threading.Event())
    assert not any(step() for step in after.steps(1))
    assert any(step() for step in after.steps(0))
    assert len(held.sent) == 1


def test_nobody_is_mailed_before_the_forgotten_are_forgotten_again(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup may have brought them back, and what was owed to them."""
    held, steps = Held(), list[Callable[[], object]]()
    held.go.set()
    parts = mailing(parts, held)
    mails = MailWork(parts, threading.Event())
    owe_letter(parts, mails, enrolled(parts, mails, 0))

    def noted(_: Loops, name: str, found: list[Callable[[], object]], *_more: object) -> None:
        if name == "mails":
            steps.extend(found)

    monkeypatch.setattr(ForgettingUpkeep, "may_go_on", lambda _: False)
    monkeypatch.setattr(Loops, "_start", noted)
    Loops(parts).start()
    assert (bool(steps), any(step() for step in steps), len(held.came)) == (True, False, 1)
    monkeypatch.setattr(ForgettingUpkeep, "may_go_on", lambda _: True)
    assert (any(step() for step in steps), len(held.came)) == (True, 2)


def test_a_mail_put_off_again_uses_up_no_turn_of_the_pace(parts: Parts) -> None:
    """Nor a call of the library system: hundreds may be due at once, before those who are new."""
    loops = Loops(mailing(parts, Held()))
    fall_silent(loops.mails)
    first = enrolled(parts, loops.mails, 0)
    assert loops.mails.enrolments().ports.puts_off_mails()
    paced = loops._enrolling()
    assert isinstance(paced, PacedWork)
    assert not paced.is_free(first)
    assert paced.is_free(replace(first, attempts=first.attempts + 1))


def test_the_process_says_that_the_mail_server_is_silent(parts: Parts) -> None:
    """The sign of life has it; a server that is gone ends the process at once."""
    lock = WorkLock(parts.config.state)
    assert lock.take()
    loops = Loops(parts)
    for silent in (False, True):
        if silent:
            fall_silent(loops.mails)
        with lock.listening() as pipe:
            pipe.wake()
            told = background_work._Told(pipe, server=-1)
            assert background_work._until_told(lambda: parts.config, loops, lock, told) is None
        assert (work_folder.mail_silent(parts.config.state) is not None) is silent
        assert loops.mails_wake.is_set()


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
