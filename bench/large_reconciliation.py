"""Runs ``broker enrolments reconcile`` over many borrowers, interrupts it, kills it, and lets it go on.

The command, the store, the trail and the simulated library system are the real ones, the two programs processes of
their own with HTTP between them. What the command shows on a terminal is read from one.
"""

import argparse
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bench.brokers import free_ports
from bench.figures import Figure, Row, row
from bench.seeded_library import Seed, cpr, enrolment
from broker.app.assembly import assemble
from broker.demo.run import demo_folder
from broker.demo.run.demo_folder import Ports, Setting
from broker.files.settings import config
from broker.use_cases.records import Content

# As many calls of an Alma as the broker can be told to send; a real one allows 25 to 50 a second.
_MOST_CALLS: Final = "\ncalls_a_second = 50\n"
_TOLD: Final = re.compile(r"(\d+)%, (\d+) compared")
_KEPT: Final = timedelta(days=400)
_AT_ONCE: Final = 1_000
_SAMPLED_EVERY: Final = 0.2
# What a killed run was at is left alone for so long.
_LEASE: Final = 21.0
_KILOBYTE: Final = 1024
_END: Final = 100
# A run tells how far it has come after each 64: of fewer it is over before anybody can interrupt it twice.
_SMALLEST: Final = 192


@dataclass
class Run:
    """One run of the command: its report, how it ended, and what it cost."""

    arguments: Sequence[str]
    code: int = 0
    report: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    cpu: float = 0.0
    told: list[tuple[int, int]] = field(default_factory=list)  # per cent, and how many were compared
    held: list[tuple[int, float]] = field(default_factory=list)  # per cent, and megabytes

    def megabytes(self, share: int) -> float:
        """Return what it held when so many per cent were compared."""
        at = [held for percent, held in self.held if percent >= share]
        return at[0] if at else self.held[-1][1]

    @property
    def most(self) -> float:
        """Return the most that it held."""
        return max(held for _, held in self.held)

    def as_row(self, name: str) -> Row:
        """Return its figures."""
        first = self.held[0][0] if self.held else 0
        done = self.report.get("compared", 0)
        return row(
            name,
            Figure("s", self.seconds),
            Figure("s CPU", self.cpu),
            Figure("compared", done),
            Figure("found", sum(self.report.get("found", {}).values())),
            Figure("mended", sum(self.report.get("mended", {}).values())),
            Figure("MB start", self.megabytes(first + 1)),
            Figure("MB middle", self.megabytes((first + self.held[-1][0]) // 2)),
            Figure("MB end", self.held[-1][1]),
            Figure("MB most", self.most),
        )


@dataclass
class Command:
    """The command of one installation."""

    config: Path

    def run(self, *arguments: str, sent: int = 0, at: int = _END) -> Run:
        """Run it to its end, or until it is sent the signal ``sent`` at so many per cent."""
        words = ("--config", str(self.config), "enrolments", "reconcile", "--json", "--rate", "1000")
        run = Run(arguments)
        # A shell lets what it starts in the background ignore Ctrl-C, and its children too.
        heeding = ("env", "--default-signal=INT")
        command = [*heeding, sys.executable, "-m", "broker.cli", *words, *arguments]
        began = time.monotonic()
        terminal, shown = pty.openpty()
        with tempfile.TemporaryFile() as printed:
            environ = {**os.environ, "TERM": "xterm"}
            running = subprocess.Popen(command, stdout=printed, stderr=shown, env=environ)
            os.close(shown)
            watch = _Watch(run, running.pid, terminal, sent, at)
            watch.begin()
            # The kernel tells what a process has cost to whoever waits for it.
            _, status, usage = os.wait4(running.pid, 0)
            running.returncode = run.code = os.waitstatus_to_exitcode(status)
            watch.end()
            printed.seek(0)
            text = printed.read()
        run.seconds = time.monotonic() - began
        run.cpu = usage.ru_utime + usage.ru_stime
        run.report = json.loads(text) if text else {}
        return run


@dataclass
class _Watch:
    """Reads how far a run has come, from its terminal, and what it holds, until it ends."""

    run: Run
    pid: int
    terminal: int
    sent: int
    at: int
    ended: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def begin(self) -> None:
        """Begin to watch."""
        for work in (self._read, self._sample):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            self.threads.append(thread)

    def end(self) -> None:
        """Watch no more."""
        self.ended.set()
        for thread in self.threads:
            thread.join()
        os.close(self.terminal)

    def _read(self) -> None:
        text = ""
        # Reading fails with the end of whoever writes.
        with suppress(OSError):
            while piece := os.read(self.terminal, 65_536):
                text += piece.decode(errors="replace")
                for percent, compared in _TOLD.findall(text):
                    self._hear(int(percent), int(compared))
                text = text[-100:]

    def _hear(self, percent: int, compared: int) -> None:
        self.run.told.append((percent, compared))
        # A run that is killed at its first word has been sampled once all the same.
        self._take_sample()
        if self.sent and percent >= self.at:
            os.kill(self.pid, self.sent)
            self.sent = 0

    def _sample(self) -> None:
        while not self.ended.wait(_SAMPLED_EVERY):
            self._take_sample()

    def _take_sample(self) -> None:
        with suppress(OSError):
            held = resident(self.pid)
            if held and self.run.told:
                self.run.held.append((self.run.told[-1][0], held))


def resident(pid: int) -> float:
    """Return the megabytes that a process holds; 0 for one that has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / _KILOBYTE
    return 0.0


@contextmanager
def installation(seed: Seed, store: str = "sqlite:state/broker.db") -> Iterator[Setting]:
    """Write the folder of a broker, with the enrolments of all borrowers in its store."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        setting = written(Path(folder) / "demo", free_ports(), seed, store)
        yield setting


def written(folder: Path, ports: Ports, seed: Seed, store: str = "sqlite:state/broker.db") -> Setting:
    """Write such a folder; return its setting."""
    now = datetime.now(UTC)
    setting = demo_folder.write(folder, ports, now, system=seed.system, store=store)
    if seed.system == "alma":
        text = setting.config.read_text()
        setting.config.write_text(text.replace("\ndaily_calls", f"{_MOST_CALLS}daily_calls"))
    _enrol(setting, seed)
    return setting


def _enrol(setting: Setting, seed: Seed) -> None:
    parts = assemble(config.load(setting.config, {}))
    records = parts.enrolments.ports.records._records  # noqa: SLF001 - many at once, which no room ever writes
    now = datetime.now(UTC)
    drafts = []
    for serial in seed.numbers():
        key = parts.enrolments.person_key(cpr(serial))
        content = Content(enrolment(seed, serial, key.group), now + _KEPT)
        drafts.append(records.drafted(key, content, None))
    for start in range(0, len(drafts), _AT_ONCE):
        first, *others = drafts[start : start + _AT_ONCE]
        parts.store.put_many(first, others, now)


@contextmanager
def library_running(seed: Seed, port: int, slow: float = 0.0) -> Iterator[None]:
    """Run the library system in a process of its own; each call takes ``slow`` seconds."""
    words = (seed.system, str(port), str(seed.borrowers), str(seed.differing), "--slow", str(slow))
    command = [sys.executable, "-m", "bench.seeded_library", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            if running.stdout is None or running.stdout.readline() != "ready\n":
                raise SystemExit("the simulated library system did not start")
            yield
        finally:
            running.terminate()


def interrupted_and_mended(
    command: Command, seed: Seed, tell: Callable[[str, Run], None], lease: float = _LEASE
) -> Mapping[str, Run]:
    """Mend with Ctrl-C at a quarter and a kill at a half, to the end, and once more; each run by its name.

    SystemExit for so few borrowers that a run has ended by then, or that some kind of difference is not among them.
    """
    if seed.borrowers < _SMALLEST or 0 in seed.of_each_kind().values():
        raise SystemExit(f"too few: {_SMALLEST} borrowers are needed, and one that differs for each kind")
    applies = ("--apply", "--most", str(max(1, seed.differing)))
    runs = {}
    for name, sent, at in (
        ("until Ctrl-C", signal.SIGINT, 25),
        ("gone on, until kill -9", signal.SIGKILL, 50),
        ("gone on, to the end", 0, _END),
        ("a second run", 0, _END),
    ):
        runs[name] = command.run(*applies, sent=sent, at=at)
        tell(name, runs[name])
        if sent == signal.SIGKILL:
            time.sleep(lease)
    return runs


def measured(seed: Seed, store: str = "sqlite:state/broker.db") -> Iterator[Row]:
    """Measure all of it; SystemExit where a difference was not found, not mended, or found again."""
    rows: list[Row] = []
    with installation(seed, store) as setting, library_running(seed, setting.ports.number("patrons")):
        names = f"{seed.borrowers:,} borrowers of {seed.system}, {seed.differing} differ"

        def tell(name: str, run: Run) -> None:
            rows.append(run.as_row(f"{names}: {name}"))
            print(f"  {rows[-1]}\n  {run.code} {dict(run.report.get('found', {}))}", file=sys.stderr, flush=True)

        runs = interrupted_and_mended(Command(setting.config), seed, tell)
    yield from rows
    faults = list(faulty(runs, seed))
    if faults:
        raise SystemExit("; ".join(faults))


def faulty(runs: Mapping[str, Run], seed: Seed) -> Iterator[str]:
    """Yield what is not as it should be: a kill may cost the count of one mend, and no mend."""
    first, killed, mended, again = runs.values()
    if (first.code, first.report.get("stopped")) != (1, "interrupted"):
        yield f"Ctrl-C: {first.code}, {first.report}"
    if killed.code != -signal.SIGKILL:
        yield f"kill -9: {killed.code}"
    if not mended.report["resumed"]:
        yield "kill -9: the run had ended before it, so nothing was gone on with"
    seeded, found = seed.of_each_kind(), mended.report["found"]
    missed = {kind: count - found.get(kind, 0) for kind, count in seeded.items()}
    if sum(missed.values()) not in {0, 1} or not set(missed.values()) <= {0, 1}:
        yield f"seeded {seeded}, found {found}"
    if mended.report["mended"] != found or (mended.code, mended.report["ended"]) != (0, True):
        yield f"not mended: {mended.code}, {mended.report}"
    there = seed.borrowers - seeded["gone"]
    report = again.report
    if (again.code, report["found"], report["compared"]) != (0, {}, there):
        yield f"a second run: {again.code}, {report}"


def main() -> None:
    """Measure one size of one library system."""
    parser = argparse.ArgumentParser(prog="bench.large_reconciliation")
    parser.add_argument("system", choices=["koha", "alma"])
    parser.add_argument("borrowers", type=int)
    parser.add_argument("--differing", type=int, default=500)
    parser.add_argument("--store", default="sqlite:state/broker.db")
    asked = parser.parse_args()
    for each in measured(Seed(asked.system, asked.borrowers, asked.differing), asked.store):
        print(each)


if __name__ == "__main__":
    main()
