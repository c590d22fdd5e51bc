"""The set in force under kills and under load: two machines on one Redis, and a server while people log in."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

import broker
from broker.adapters.trail.audit_trail import KeptTrail
from broker.adapters.trail.verification import verify
from broker.app import policy_moves, policy_operations
from broker.app.policy_moves import Order
from broker.app.policy_operations import PolicyDesk
from broker.app.policy_sources import RecordedPolicies
from broker.app.policy_trail import PolicyTrail
from broker.core.policy.set_digest import digest
from broker.demo.check import persona_check
from broker.demo.check.http_browser import Browser
from broker.demo.people.personas import persona
from broker.demo.run.demo_folder import Ports, Setting, write
from broker.demo.run.running_demo import Running, running
from broker.files.policies.configured_names import ANY_NAMES
from broker.files.policies.live_policies import LivePolicies
from broker.files.policies.policy_folder import PolicyFolder
from broker.use_cases.policies.set_in_force import Move, Proposal
from broker.use_cases.policies.worker_reports import NONE_BEHIND
from tests.plugins.demo import free_base
from tests.plugins.drawn import at_gate

pytestmark = [pytest.mark.server, pytest.mark.slow(seconds=15)]

# At the gate fewer: sixty calls of the few hundred that an apply makes, drawn at random as the two hundred are.
KILLS = at_gate(60, otherwise=200)
APPLIES = at_gate(20, otherwise=50)
# Applies a folder in a process of its own for each line, and kills that at so many calls after all is checked.
_APPLIER = """
import os, signal, sys
from pathlib import Path
from broker.app import policy_moves, policy_operations
desk = policy_operations.opened()
moved = policy_moves._moved
def apply(folder, base, last, out):
    calls = 0
    def count(_frame, _event, _value):
        nonlocal calls
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)
    def counted(*given):
        sys.setprofile(count)
        done = moved(*given)
        sys.setprofile(None)
        return done
    policy_moves._moved = counted
    try:
        policy_moves.applied(desk, Path(folder), policy_moves.Order("because", base))
    finally:
        os.write(out, str(calls).encode())
        os._exit(0)
print("ready", flush=True)
for line in sys.stdin:
    folder, base, last = line.split()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        apply(folder, base, int(last), write)
    os.close(write)
    os.waitpid(child, 0)
    print(os.read(read, 20).decode() or "killed", flush=True)
    os.close(read)
"""


def now() -> datetime:
    """Give the time it is."""
    return datetime.now(UTC)


def a_minute_later() -> datetime:
    """Give a time at which every change is due that is not on a trail."""
    return now() + timedelta(minutes=1)


@dataclass
class Machine:
    """One machine of two: its configuration, an administrator who is killed, a worker that looks."""

    desk: PolicyDesk
    worker: LivePolicies
    applier: "subprocess.Popen[str]"

    def begin(self, folder: Path, base: str, calls: int) -> None:
        """Begin an apply that is killed at so many calls of its writing; 0: not at all."""
        assert self.applier.stdin
        self.applier.stdin.write(f"{folder} {base[:12]} {calls}\n")
        self.applier.stdin.flush()

    def end(self) -> int | None:
        """Wait for its end, and give how many calls it made; None where it was killed."""
        assert self.applier.stdout
        said = self.applier.stdout.readline().strip()
        return None if said == "killed" else int(said)

    @property
    def kept(self) -> KeptTrail:
        """Give its trail."""
        trail = self.desk.trail.trail
        assert isinstance(trail, KeptTrail)
        return trail

    def numbers(self) -> list[int]:
        """Give the changes that are on its trail."""
        journal = self.kept.journal
        texts = [journal.path(month).read_text() for month in journal.months()]
        lines = [json.loads(line) for line in "".join(texts).splitlines()]
        return [line["count"] for line in lines if line["event"].startswith("policies")]


@pytest.fixture
def variants(tmp_path: Path) -> list[Path]:
    """Give folders of one small policy that differ."""
    text = (Path(broker.__path__[0]).parent / "policies" / "student.yaml").read_text()
    alone = "  - name:".join(text.split("  - name:")[:2])  # with its first example
    folders = []
    for number in range(4):
        folder = tmp_path / f"variant-{number}"
        folder.mkdir()
        (folder / "student.yaml").write_text(f"{alone}# {number}\n")
        folders.append(folder)
    return folders


@pytest.fixture
def machines(tmp_path: Path, redis_url: str, variants: list[Path]) -> Iterator[list[Machine]]:
    """Give two machines with the same keys over one Redis, in which the first variant is in force."""
    setting = write(tmp_path / "demo", Ports(free_base()), now(), store=redis_url)
    found = []
    for name in ("a", "b"):
        state = tmp_path / name
        state.mkdir()
        environment = {
            "BROKER_CONFIG": str(setting.config),
            "BROKER_POLICY__LIVE": "apply",
            "BROKER_STATE": str(state),
            "BROKER_AUDIT__FOLDER": str(state / "audit"),
        }
        found.append(_machine(environment, variants[0], state))
    yield found
    for machine in found:
        machine.applier.communicate()


def _machine(environment: dict[str, str], folder: Path, state: Path) -> Machine:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        desk = policy_operations.opened()
        if desk.sets.live(now()) is None:
            files = PolicyFolder(folder).files().files
            change = desk.sets.move(None, Proposal(files, Move.FIRST, "a", "", desk.site), now())
            assert change
            assert desk.trail.tell(change)
        whole = {**os.environ, "PYTHONPATH": str(Path(broker.__path__[0]).parent)}
        applier = subprocess.Popen(
            (sys.executable, "-c", _APPLIER), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=whole
        )
        assert applier.stdout
        assert applier.stdout.readline() == "ready\n"
    source = RecordedPolicies(desk.sets, PolicyFolder(folder), state / "policies", now)
    worker = LivePolicies.load(folder, ANY_NAMES, now(), state=state / "policies", source=source)
    return Machine(desk, worker, applier)


def test_many_kills_of_an_apply(machines: list[Machine], variants: list[Path]) -> None:
    """Old set or new one on both machines, one apply of two at once; history and trails are whole at the end."""
    drawn = random.Random(7)
    digests = {folder: digest(PolicyFolder(folder).files().files) for folder in variants}
    sets = machines[0].desk.sets
    ends: list[int | None] = []
    most = _calls_of_one(machines[0], variants[1], digests[variants[0]])
    moved = 2
    for number in range(KILLS):
        live = sets.live(now())
        assert live
        base = live.value.digest
        others = [folder for folder in variants if digests[folder] != base]
        appliers = machines if number % 4 == 0 else [machines[number % 2]]
        for machine in appliers:
            machine.begin(drawn.choice(others), base, drawn.randrange(1, most))
        ends += [machine.end() for machine in appliers]
        after = sets.live(now())
        assert after
        assert after.value.number - live.value.number in (0, 1)
        moved += after.value.number - live.value.number
        assert {machine.worker.refresh(now()).digest for machine in machines} == {after.value.digest}
        assert after.value.digest in digests.values()
    assert ends.count(None) > KILLS / 2
    assert KILLS / 10 < moved < KILLS
    _everything_is_whole(machines, moved)


def _calls_of_one(machine: Machine, folder: Path, base: str) -> int:
    """Give how many calls an apply makes that nobody kills."""
    machine.begin(folder, base, 0)
    calls = machine.end()
    assert calls
    return calls


def _everything_is_whole(machines: list[Machine], count: int) -> None:
    """Let ``broker work`` write what is missing, and look at history, sets and both trails."""
    for machine in machines:
        work = PolicyTrail(machine.kept, machine.desk.sets, a_minute_later)
        while work.step():
            pass
    history = machines[0].desk.sets.history(now())
    numbers = list(range(1, count + 1))
    assert [change.number for change in history] == numbers
    assert [change.base for change in history[1:]] == [change.digest for change in history[:-1]]
    for name in {change.digest for change in history}:
        assert machines[0].desk.sets.sets.read(name, now())
    assert sorted({number for machine in machines for number in machine.numbers()}) == numbers
    for machine in machines:
        # Without what the store remembers of it: there both machines have this one's name.
        assert verify(machine.kept.journal).findings == []


@pytest.fixture
def applying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """Give a demo whose policies are those of the record, and the environment of its administrator."""
    setting: Setting = write(tmp_path / "demo", Ports(free_base()), now())
    setting.config.write_text(setting.config.read_text() + '\n[policy]\nlive = "apply"\n')
    monkeypatch.setenv("BROKER_CONFIG", str(setting.config))
    with running(setting) as demo:
        yield demo


def test_many_applies_while_people_log_in(applying: Running, tmp_path: Path) -> None:
    """No login fails, and at the end both workers have the last set."""
    ended = Event()

    def logins(name: str) -> int:
        count = 0
        while not ended.is_set():
            browser: Any = Browser()
            persona_check.walk(browser, applying.setting.ports.origin("library"), persona(name), "wayf")
            assert persona_check.texts(browser, "//td[@id='borrower']/text()")
            count += 1
        return count

    desk = policy_operations.opened()
    folder = tmp_path / "proposal"
    folder.mkdir()
    for name, octets in policy_operations.shown(desk, None)[1].items():
        (folder / name).write_bytes(octets)
    text = (folder / "student.yaml").read_text()
    with ThreadPoolExecutor(2) as pool:
        people = [pool.submit(logins, name) for name in ("asta", "bo")]
        for number in range(APPLIES):
            (folder / "student.yaml").write_text(f"{text}# {number}\n")
            base = policy_operations.plan(desk, folder).base
            patience = 20.0 if number == APPLIES - 1 else 0.0
            done = policy_moves.applied(desk, folder, Order(f"edit {number}", base, patience=patience))
            assert done.moved
        ended.set()
        assert min(person.result() for person in people) > 1
    assert done.behind == NONE_BEHIND
    assert len(policy_operations.history(desk)) == APPLIES + 1
