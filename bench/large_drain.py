"""Lets ``broker work`` carry out wishes that have waited, before a slow library system over HTTP.

The process, the store, the trail, the mail server's protocol and the simulated Koha are the real ones.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from aiosmtpd.controller import Controller

from bench import processes
from bench.borrowers import KnownLogins, known_meanwhile
from bench.figures import Figure, Row, part, row
from bench.large_reconciliation import installation, library_running, resident
from bench.seeded_library import Seed, cpr
from broker.app.assembly import assemble
from broker.core.borrowers.wanted_borrower import Wish, WishedField
from broker.files.settings import config

_CALL: Final = 0.2  # seconds
_SETTLED: Final = 30.0
_ALONE: Final = 15.0
# A machine that is busy with other things holds the pace back; one that carries nothing out is broken.
_SLOWEST: Final = 2.0  # a second
_PATIENCE: Final = 300.0
_KNOWN: Final = Seed("koha", 200, 0)
# More than three times as many as are under way at once: what is so late was tried in vain and put off.
_OVERTAKEN: Final = 200
_LASTS: Final = timedelta(days=600)


@dataclass
class Mails:
    """Takes every mail, as a mail server's handler, and keeps for whom in which order."""

    serials: list[int] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take one."""
        local, _, _ = envelope.rcpt_tos[0].partition("@")
        self.serials.append(int(local.removeprefix("synthetic")))
        return "250 OK"

    def mailed(self) -> int:
        """Return how many people have had a mail."""
        return len(set(self.serials))

    def places_late(self) -> list[int]:
        """Return of each person how many places their first mail came later than their wish, the least first."""
        first = dict.fromkeys(self.serials)
        return sorted(place - (serial - _KNOWN.borrowers) for place, serial in enumerate(first))


def wish_of(serial: int) -> Wish:
    """Return the wish of a synthetic person."""
    ends = (datetime.now(UTC) + _LASTS).date()
    email = f"synthetic{serial}@example.org"
    fields = (WishedField("surname", "Synthetic", "always"), WishedField("email", email, "create"))
    return Wish(cpr(serial), "student", "STUDENT", (), ends, fields, email)


def drained(wishes: int) -> Iterator[Row]:
    """Measure how fast they are carried out, what the process holds, and what others wait meanwhile."""
    with installation(_KNOWN) as setting:
        parts = assemble(config.load(setting.config, {}))
        first = _KNOWN.borrowers
        for serial in range(first, first + wishes):
            parts.enrolments.want(wish_of(serial))
        mails = Mails()
        server = Controller(mails, hostname="127.0.0.1", port=setting.ports.number("smtp"))
        server.start()
        try:
            with library_running(_KNOWN, setting.ports.number("patrons"), _CALL):
                known = KnownLogins(parts, [wish_of(serial) for serial in _KNOWN.numbers()])
                with known.beside() as before:
                    time.sleep(_ALONE)
                with working(setting.config) as pid, known.beside() as during:
                    yield _watched(pid, mails, wishes)
                yield known_meanwhile(before, during)
        finally:
            server.stop()


@contextmanager
def working(settings: Path) -> Iterator[int]:
    """Run ``broker work`` while the block runs; yield its process id."""
    command = [sys.executable, "-m", "broker.cli", "--config", str(settings), "work"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as work:
        try:
            yield work.pid
        finally:
            work.terminate()


def _watched(pid: int, mails: Mails, wishes: int) -> Row:
    while not mails.serials:
        time.sleep(0.1)
    first, began = mails.mailed(), time.monotonic()
    most = began + wishes / _SLOWEST + _PATIENCE
    held: list[tuple[float, float]] = []
    while mails.mailed() < wishes and time.monotonic() < most:
        time.sleep(1)
        held.append((time.monotonic() - began, resident(pid)))
    seconds = time.monotonic() - began
    settled = [memory for at, memory in held if at >= min(_SETTLED, seconds / 3)]
    taken, late = mails.mailed(), mails.places_late()
    return row(
        f"{taken:,} of {wishes:,} wishes, {_CALL * 1000:.0f} ms a call, over HTTP",
        Figure("a second", (taken - first) / seconds),
        Figure("s", seconds),
        Figure("ms CPU each", processes.cpu(pid) * 1000 / wishes),
        Figure("MB after 30 s", settled[0]),
        Figure("MB middle", settled[len(settled) // 2]),
        Figure("MB end", settled[-1]),
        Figure("MB most", max(settled)),
        Figure("mailed more than once", len(mails.serials) - taken),
        Figure("places late p50", part(late, 0.5)),
        Figure("p99", part(late, 0.99)),
        Figure("most", late[-1]),
        Figure("of them over 200", sum(places > _OVERTAKEN for places in late)),
    )


def main() -> None:
    """Measure so many wishes."""
    parser = argparse.ArgumentParser(prog="bench.large_drain")
    parser.add_argument("wishes", type=int)
    asked = parser.parse_args()
    for each in drained(asked.wishes):
        print(each, flush=True)


if __name__ == "__main__":
    main()
