"""Lets ``broker work`` carry out wishes that have waited, before a slow library system over HTTP.

The process, the store, the trail, the mail server's protocol and the simulated Koha are the real ones.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from aiosmtpd.controller import Controller

from bench import processes
from bench.figures import Figure, Row, row
from bench.large_reconciliation import installation, library_running, resident
from bench.seeded_library import Seed, cpr
from broker.app.assembly import assemble
from broker.core.borrowers.wanted_borrower import Wish, WishedField
from broker.demo.run.demo_folder import Setting
from broker.files.settings import config

_CALL: Final = 0.2  # seconds
_SETTLED: Final = 30.0
_PATIENCE: Final = 300.0
_NOBODY: Final = Seed("koha", 0, 0)
_LASTS: Final = timedelta(days=600)
_EMAIL: Final = "synthetic@example.org"


@dataclass
class Mails:
    """Takes every mail, as a mail server's handler, and counts."""

    taken: int = 0

    async def handle_DATA(self, _server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take one."""
        self.taken += 1
        return "250 OK"


def _want(setting: Setting, wishes: int) -> None:
    parts = assemble(config.load(setting.config, {}))
    ends = (datetime.now(UTC) + _LASTS).date()
    fields = (WishedField("surname", "Synthetic", "always"), WishedField("email", _EMAIL, "create"))
    for serial in range(wishes):
        parts.enrolments.want(Wish(cpr(serial), "student", "STUDENT", (), ends, fields, _EMAIL))


def drained(wishes: int) -> Iterator[Row]:
    """Measure how fast they are carried out, and what the process holds meanwhile."""
    with installation(_NOBODY) as setting:
        _want(setting, wishes)
        mails = Mails()
        server = Controller(mails, hostname="127.0.0.1", port=setting.ports.number("smtp"))
        server.start()
        try:
            with library_running(_NOBODY, setting.ports.number("patrons"), _CALL):
                yield from _worked(setting.config, mails, wishes)
        finally:
            server.stop()


def _worked(settings: Path, mails: Mails, wishes: int) -> Iterator[Row]:
    command = [sys.executable, "-m", "broker.cli", "--config", str(settings), "work"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as work:
        try:
            yield _watched(work.pid, mails, wishes)
        finally:
            work.terminate()


def _watched(pid: int, mails: Mails, wishes: int) -> Row:
    while not mails.taken:
        time.sleep(0.1)
    first, began = mails.taken, time.monotonic()
    most = began + wishes / 20 + _PATIENCE
    held: list[tuple[float, float]] = []
    while mails.taken < wishes and time.monotonic() < most:
        time.sleep(1)
        held.append((time.monotonic() - began, resident(pid)))
    seconds = time.monotonic() - began
    settled = [memory for at, memory in held if at >= min(_SETTLED, seconds / 3)]
    return row(
        f"{mails.taken:,} of {wishes:,} wishes, {_CALL * 1000:.0f} ms a call, over HTTP",
        Figure("a second", (mails.taken - first) / seconds),
        Figure("s", seconds),
        Figure("ms CPU each", processes.cpu(pid) * 1000 / wishes),
        Figure("MB after 30 s", settled[0]),
        Figure("MB middle", settled[len(settled) // 2]),
        Figure("MB end", settled[-1]),
        Figure("MB most", max(settled)),
    )


def main() -> None:
    """Measure so many wishes."""
    parser = argparse.ArgumentParser(prog="bench.large_drain")
    parser.add_argument("wishes", type=int)
    asked = parser.parse_args()
    for each in drained(asked.wishes):
        print(each)


if __name__ == "__main__":
    main()
