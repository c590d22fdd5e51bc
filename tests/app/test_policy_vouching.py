"""A worker on a machine with signers, and what others put into the record: signed, alone, or by nobody."""

import errno
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.saml.keys import key_ring
from broker.adapters.stores.sqlite import SqliteStore, prepare
from broker.app import policy_surroundings, policy_vouching, sealed_stores
from broker.app.policy_sources import RecordedPolicies
from broker.app.policy_vouching import PolicyVouching
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.event_routes import told_nobody
from broker.core.policy.model import PolicySet
from broker.core.ports import Key as StoreKey
from broker.files.policies import last_good, live_policies
from broker.files.policies.live_policies import LivePolicies
from broker.files.policies.policy_folder import PolicyFolder
from broker.files.settings.config import Config, load
from broker.use_cases.policies.set_in_force import Move, Proposal, SetInForce
from tests.adapters.test_ssh_signatures import Key
from tests.commands.test_policy_apply import Desk
from tests.commands.test_policy_signing import desk, keys, signed, statement, widen

pytestmark = pytest.mark.server  # ssh-keygen itself

__all__ = ["desk", "keys"]


@dataclass
class Worker:
    """A worker of the machine: its own state, and the store that the desk writes."""

    desk: Desk
    state: Path
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    told: list[tuple[Fault, ...]] = field(default_factory=list)

    @property
    def settings(self) -> Config:
        """Give what is configured."""
        return load(self.desk.folder / "broker.toml", {"BROKER_STATE": str(self.state)})

    @property
    def sets(self) -> SetInForce:
        """Give the record."""
        path = self.desk.folder / "state" / "broker.db"
        prepare(path)
        store = sealed_stores.sealed(SqliteStore(path), key_ring.load(self.settings.keys))
        assert store is not None
        return SetInForce(store)

    def start(self) -> LivePolicies:
        """Start it as a server does."""
        settings = self.settings
        sets = self.sets
        around = policy_surroundings.load(settings, told_nobody, self.now)
        against = PolicyVouching(settings, around, sets).against
        state = self.state / "policies"
        folder = PolicyFolder(settings.policies)
        source = RecordedPolicies(sets, folder, state, lambda: self.now, against)
        return LivePolicies.load(
            settings.policies, around.proving, self.now, state=state, tell=self.told.append, source=source
        )

    def start_with(self, name: str) -> LivePolicies:
        """Start it where a set decides already, as before there were signatures in the record."""
        files = self.sets.sets.read(name, self.now)
        assert files
        last_good.promote(self.state / "policies", files)
        return self.start()

    def look(self, live: LivePolicies) -> str:
        """Let it look, a minute later: what is refused is read anew every ten seconds."""
        self.now += timedelta(minutes=1)
        return live.refresh(self.now).digest

    @property
    def said(self) -> str:
        """Give what it told last."""
        (fault,) = self.told[-1]
        return str(fault)


@pytest.fixture
def worker(desk: Desk, tmp_path: Path) -> Worker:
    """Give a worker of a machine with signers."""
    return Worker(desk, tmp_path / "worker")


def unguarded(desk: Desk) -> str:
    """Put the folder in force from a machine without signers."""
    desk.environment["BROKER_POLICY__SIGNERS"] = "[]"
    digest = desk.applied()
    del desk.environment["BROKER_POLICY__SIGNERS"]
    return digest


def twice_signed(desk: Desk, keys: dict[str, Key]) -> str:
    """Put the folder in force, signed by two."""
    text = statement(desk)
    paths = signed(*(keys[name].sign(text) for name in ("kirsten", "mads")))
    return str(desk.said("apply", "--base", desk.base, "--why", "x", *paths)["digest"])


def test_a_worker_refuses_a_set_that_another_machine_let_through(
    desk: Desk, keys: dict[str, Key], worker: Worker
) -> None:
    """It keeps the set that it has, also through a start, and says why; signed by two it decides."""
    first = twice_signed(desk, keys)
    live = worker.start()
    widen(desk)
    wider = unguarded(desk)
    assert worker.look(live) == worker.start().current.digest == first
    assert worker.said.startswith(f"set {wider[:12]}: is in force by the record, and does not decide on this machine: ")
    assert "alone, by a policy.signers that is not this machine's, and WIDER at e-resources, student" in worker.said
    assert live.stale
    planned = desk.run("plan", "--no-analysis")
    assert "needs a second person: the set in force does not decide on this machine" in planned.stdout
    refused = desk.run("apply", "--base", wider[:12], "--why", "x")
    assert refused.exit_code == 1
    assert twice_signed(desk, keys) == wider
    assert worker.look(live) == wider
    assert not live.stale
    assert desk.run("plan").exit_code == 0


def test_what_lets_no_more_through_decides_without_signatures(
    desk: Desk, keys: dict[str, Key], worker: Worker, tmp_path: Path
) -> None:
    """As a plan says it does; on a machine that begins too, which goes back to what two signed."""
    twice_signed(desk, keys)
    live = worker.start()
    desk.edit("one")
    desk.applied()
    second = desk.edit("two")
    assert desk.applied() == second == worker.look(live)
    assert Worker(desk, tmp_path / "new").start().current.digest == second


def test_what_one_did_alone_decides(desk: Desk, worker: Worker) -> None:
    """It is an emergency, and an alarm on trail and log."""
    first = desk.said("apply", "--base", "none", "--why", "x", "--alone")["digest"]
    live = worker.start()
    assert live.current.digest == first
    widen(desk)
    desk.run("apply", "--base", first[:12], "--why", "x", "--alone")
    assert worker.look(live) == desk.digest


def test_a_record_that_nobody_signed_decides_nothing_more(desk: Desk, keys: dict[str, Key], worker: Worker) -> None:
    """As a program writes it that asks nobody; it says what the set lets through."""
    first = twice_signed(desk, keys)
    live = worker.start()
    widen(desk)
    wider = forged(desk, worker)
    assert worker.look(live) == first != wider
    assert "no two people have signed it, and WIDER at e-resources, student: + eduPersonScoped" in worker.said


def test_a_wider_folder_that_began_an_emptied_store_does_not_come_back_by_a_rollback(
    desk: Desk, keys: dict[str, Key], worker: Worker
) -> None:
    """Neither what the machine has refused, nor by way of the set that it has: that is narrower, and asks nobody."""
    path = desk.folder / "policies" / "student.yaml"
    narrow = path.read_text()
    first = twice_signed(desk, keys)
    live = worker.start()
    widen(desk)
    wide = begun_anew(desk, worker)
    assert worker.look(live) == first
    path.write_text(narrow)
    assert desk.applied() == first == worker.look(live)
    assert not live.stale
    desk.run("rollback", wide[:12], "--why", "within thirty days")
    assert worker.look(live) == worker.start().current.digest == first
    assert "no two people have signed it, and WIDER at e-resources, student: + eduPersonScoped" in worker.said


def begun_anew(desk: Desk, worker: Worker) -> str:
    """Empty the record, and begin it with the folder, as the first start of another machine does."""
    sets = worker.sets
    live = sets.live(worker.now)
    assert live
    entries = [key for key, _ in sets.store.list("policy", "live", worker.now)]
    for key in (StoreKey("policy", "live"), *entries):
        sets.store.drop(key)
    files = PolicyFolder(desk.folder / "policies").files().files
    change = sets.move(None, Proposal(files, Move.FIRST, "the first start", "", live.value.site), worker.now)
    assert change
    return change.digest


def forged(desk: Desk, worker: Worker) -> str:
    """Write the folder into the record without asking anybody."""
    sets = worker.sets
    files = PolicyFolder(desk.folder / "policies").files().files
    live = sets.live(worker.now)
    site = live.value.site if live else {}
    change = sets.move(live, Proposal(files, Move.APPLIED, "somebody", "because", site), worker.now)
    assert change
    return change.digest


def test_a_machine_that_begins_takes_nothing_that_nobody_signed(desk: Desk, worker: Worker) -> None:
    """It has no set to keep, and does not start; its administrator is told how the set gets signed."""
    forged(desk, worker)
    with pytest.raises(ConfigurationFaults, match="no two people have signed it, and nothing here shows") as refused:
        worker.start()
    assert refused.value.faults[0].mend == "have two people sign it: broker policy plan on this machine says how"


@pytest.mark.parametrize(
    "signers", ["kirsten {kirsten}\nother {other}", 'kirsten {kirsten}\nmads valid-before="20200101" {mads}']
)
def test_signatures_count_by_the_list_of_the_machine_itself(
    desk: Desk, keys: dict[str, Key], worker: Worker, signers: str
) -> None:
    """Of whoever is not on it, or was not any more at that time, none does."""
    desk.said("apply", "--base", "none", "--why", "x", "--alone")
    live = worker.start()
    first = live.current.digest
    widen(desk)
    wider = twice_signed(desk, keys)
    own = desk.folder / "signers"
    listed = own.read_text()
    own.write_text(signers.format(**{name: each.public for name, each in keys.items()}))
    assert worker.look(live) == first
    assert "a signature of change 2 is signed by a key that" in worker.said
    own.write_text(listed)
    assert worker.look(live) == wider


def test_a_key_that_expires_takes_nothing_back(desk: Desk, keys: dict[str, Key], worker: Worker) -> None:
    """Else a machine that is added later could not begin: what counts is the list at the time of the change."""
    moment = datetime.now(UTC)
    digest = twice_signed(desk, keys)
    live = worker.sets.live(moment)
    assert live
    own = desk.folder / "signers"
    listed = own.read_text()
    for days, taken in ((-1, False), (1, True)):
        until = f'valid-before="{live.value.at.astimezone() + timedelta(days=days):%Y%m%d%H%M%S}" ssh-ed25519'
        own.write_text(listed.replace("ssh-ed25519", until))
        if taken:
            assert worker.start().current.digest == digest
        else:
            with pytest.raises(ConfigurationFaults, match="has expired by"):
                worker.start()


def test_a_set_is_judged_once(
    desk: Desk, keys: dict[str, Key], worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often a worker looks, and reads anew what it has refused."""
    twice_signed(desk, keys)
    live = worker.start()
    compared: list[tuple[int, int]] = []
    monkeypatch.setattr(policy_vouching, "_pausing", lambda *of: compared.append(of))
    widen(desk)
    forged(desk, worker)
    worker.look(live)
    once = len(compared)
    for _ in range(5):
        worker.look(live)
    assert len(compared) == once > 0
    assert len(worker.told) == 1


def test_a_machine_without_ssh_keygen_takes_no_signed_set(
    desk: Desk, keys: dict[str, Key], worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot tell, says what to install, and goes on with what it has."""
    first = twice_signed(desk, keys)
    live = worker.start()
    widen(desk)
    twice_signed(desk, keys)
    empty = worker.state / "nothing"
    empty.mkdir()
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(empty))
        assert worker.look(live) == first
    assert worker.said.endswith("(install openssh-client)")
    assert worker.look(live) == desk.digest
    shutil.rmtree(empty)


def slow(_program: str) -> object:
    """Stand in for a machine that is too busy to answer."""
    raise subprocess.TimeoutExpired("ssh-keygen", 10)


def full(_program: str) -> object:
    """Stand in for a machine that can begin no other process."""
    raise OSError(errno.EAGAIN, "Resource temporarily unavailable")


@pytest.mark.parametrize("fails", [slow, full])
def test_a_machine_that_could_not_verify_for_a_moment_looks_again(
    desk: Desk, keys: dict[str, Key], worker: Worker, monkeypatch: pytest.MonkeyPatch, fails: Callable[[str], object]
) -> None:
    """It keeps the set that it has, says that, and takes the one that two signed as soon as it can."""
    first = twice_signed(desk, keys)
    live = worker.start()
    widen(desk)
    wider = twice_signed(desk, keys)
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "run", lambda called, **_: fails(called))
        assert worker.look(live) == first
    assert live.stale
    assert "ssh-keygen" in worker.said
    assert worker.look(live) == wider
    assert not live.stale


def test_a_rollback_of_lately_asks_for_a_second_person_where_workers_would_not_take_it(
    desk: Desk, worker: Worker
) -> None:
    """The record of before shows no signature that counts: the command says so, and alone it is an alarm."""
    widen(desk)
    wide = unguarded(desk)
    worker.state = desk.folder / "state"
    live = worker.start_with(wide)
    path = desk.folder / "policies" / "student.yaml"
    path.write_text(path.read_text().replace(", 'alum@*'", ""))
    narrow = desk.applied()
    assert worker.look(live) == narrow
    refused = desk.run("rollback", wide[:12], "--why", "x")
    assert refused.exit_code == 1
    assert "needs a second person: no two people have signed it, and WIDER at e-resources" in refused.stderr
    assert worker.look(live) == narrow
    desk.run("rollback", wide[:12], "--why", "x", "--alone")
    assert worker.look(live) == wide


def test_a_set_at_fault_is_read_once(
    desk: Desk, keys: dict[str, Key], worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a thousand files a load takes seconds: one that names what this machine has not yet is not loaded for ever."""
    first = twice_signed(desk, keys)
    live = worker.start()
    path = desk.folder / "policies" / "student.yaml"
    path.write_text(path.read_text().replace("schacHomeOrganization: [", "schacHomeOrg: ["))
    forged(desk, worker)
    loads: list[object] = []
    load_found = live_policies.load_found

    def counted(*of: Any, **how: Any) -> PolicySet:
        loads.append(of)
        found: PolicySet = load_found(*of, **how)
        return found

    monkeypatch.setattr(live_policies, "load_found", counted)
    for _ in range(3):
        assert worker.look(live) == first
    assert "'schacHomeOrg'" in worker.said
    assert len(loads) == 1
