"""Measures how long a new account takes while the mail server accepts connections and says nothing.

The process, the store, the trail and the simulated Koha are the real ones; so is the server that hangs, and the one
that answers in its place in the end. Before it begins, some people have an account whose PIN is owed, and is due.
"""

import argparse
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiosmtpd.controller import Controller

from bench.figures import Figure, Row, part, row
from bench.large_drain import Mails, wish_of, working
from bench.large_reconciliation import installation, library_running
from bench.seeded_library import Seed
from broker.app.assembly import Parts, assemble
from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.errors import MailUnavailable
from broker.core.event_routes import told_nobody
from broker.core.ports import Key
from broker.files.settings import config
from broker.use_cases.borrowers.enrolment_records import EnrolmentDraft, StoredEnrolment
from broker.use_cases.borrowers.known_borrower import person_key

_CALL: Final = 0.2  # seconds
_KNOWN: Final = Seed("koha", 200, 0)
_THREADS: Final = 24
_LOOK_EVERY: Final = 0.05
_PATIENCE: Final = 120.0
_STARTS: Final = 5.0
_UNTIL_MAILED: Final = 300.0


class Hanging:
    """A mail server that accepts and says nothing."""

    def __init__(self, port: int) -> None:
        """Listen."""
        self._listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self._held: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connections(self) -> int:
        """Return how many have come."""
        return len(self._held)

    def stop(self) -> None:
        """End every connection, and take no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for held in self._held:
            held.close()

    def _accept(self) -> None:
        while True:
            try:
                self._held.append(self._listener.accept()[0])
            except OSError:
                return


@dataclass(frozen=True, slots=True)
class _NoMail:
    """A mail server that takes nothing, at once."""

    def address(self, recipient: str, deadline: datetime) -> Any:
        """Refuse."""
        del recipient, deadline
        raise MailUnavailable("seeding")


def _owed(parts: Parts, serials: range) -> None:
    """Make accounts whose PIN is owed, and is due."""
    for serial in serials:
        parts.enrolments.want(wish_of(serial))
    ports = replace(parts.enrolments.ports, mail=_NoMail(), tell=told_nobody)
    enrolments = replace(parts.enrolments, ports=ports)
    later = datetime.now(UTC) + timedelta(hours=1)

    def put_off(entry: StoredEnrolment) -> EnrolmentDraft:
        return entry.enrolment, later

    def carry_out() -> None:
        while made := enrolments.step():
            # Its pause of a few seconds would end while others are made.
            ports.records.amend(person_key(made.person), put_off)

    threads = [threading.Thread(target=carry_out) for _ in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now = datetime.now(UTC)

    def due(entry: StoredEnrolment) -> EnrolmentDraft:
        return entry.enrolment, now

    for serial in serials:
        ports.records.amend(_key(parts, serial), due)


def _key(parts: Parts, serial: int) -> Key:
    return parts.enrolments.person_key(wish_of(serial).cpr or "")


@dataclass
class NewAccounts:
    """New wishes, one a second, and how long each account took."""

    parts: Parts
    waited: dict[int, float] = field(default_factory=dict)
    _began: dict[int, float] = field(default_factory=dict)

    def come(self, serials: range) -> None:
        """Let them come; wait for the last."""
        begin = time.monotonic()
        for place, serial in enumerate(serials):
            self._look_until(begin + place)
            self._began[serial] = time.monotonic()
            self.parts.enrolments.want(wish_of(serial))
        self._look_until(time.monotonic() + _PATIENCE, stop_when_done=True)

    def times(self) -> list[float]:
        """Return how long each has waited, the least first; who waits still counts as long as that."""
        now = time.monotonic()
        return sorted(self.waited.get(serial, now - began) for serial, began in self._began.items())

    def _look_until(self, end: float, *, stop_when_done: bool = False) -> None:
        while time.monotonic() < end:
            for serial in self._began.keys() - self.waited.keys():
                enrolment = self.parts.enrolments.ports.records.enrolment(_key(self.parts, serial))
                if enrolment and enrolment.state is EnrolmentState.DONE:
                    self.waited[serial] = time.monotonic() - self._began[serial]
            if stop_when_done and len(self.waited) == len(self._began):
                return
            time.sleep(_LOOK_EVERY)


@contextmanager
def _answering(port: int) -> Iterator[Mails]:
    mails = Mails()
    server = Controller(mails, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield mails
    finally:
        server.stop()


def measured(owed: int, new: int) -> Iterator[Row]:
    """Measure new accounts while it hangs, and then how long the mails take."""
    first = _KNOWN.borrowers
    late = range(first + owed, first + owed + new)
    with installation(_KNOWN) as setting:
        parts = assemble(config.load(setting.config, {}))
        port = setting.ports.number("smtp")
        with library_running(_KNOWN, setting.ports.number("patrons"), _CALL):
            _owed(parts, range(first, first + owed))
            hanging = Hanging(port)
            with working(setting.config):
                time.sleep(_STARTS)
                accounts = NewAccounts(parts)
                accounts.come(late)
                yield _told(owed, accounts, hanging)
                hanging.stop()
                with _answering(port) as mails:
                    yield _mailed(mails, owed + new)


def _told(owed: int, accounts: NewAccounts, hanging: Hanging) -> Row:
    times = accounts.times()
    return row(
        f"{owed} PINs owed, a new account a second, the mail server hangs",
        Figure("s p50", part(times, 0.5)),
        Figure("s p95", part(times, 0.95)),
        Figure("s the longest", times[-1]),
        Figure("not made", len(times) - len(accounts.waited)),
        Figure("connections", hanging.connections),
    )


def _mailed(mails: Mails, people: int) -> Row:
    began = time.monotonic()
    halves = 0.0
    while mails.mailed() < people and time.monotonic() - began < _UNTIL_MAILED:
        time.sleep(0.1)
        if not halves and mails.mailed() >= people / 2:
            halves = time.monotonic() - began
    return row(
        f"it answers again, {people} PINs",
        Figure("s until half are mailed", halves),
        Figure("s", time.monotonic() - began),
        Figure("not mailed", people - mails.mailed()),
        Figure("mailed more than once", len(mails.serials) - mails.mailed()),
    )


def main() -> None:
    """Measure with so many PINs owed and so many new accounts."""
    parser = argparse.ArgumentParser(prog="bench.hanging_mail")
    parser.add_argument("owed", type=int)
    parser.add_argument("new", type=int)
    asked = parser.parse_args()
    for each in measured(asked.owed, asked.new):
        print(each, flush=True)


if __name__ == "__main__":
    main()
