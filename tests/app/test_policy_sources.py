"""The policies of the record: in force for every start and worker, through a store that is away or has lost them."""

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores.sqlite import SqliteStore, prepare
from broker.app.policy_sources import RecordedPolicies
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.set_digest import digest
from broker.core.ports import Key
from broker.files.policies.configured_names import ANY_NAMES, NameableInPolicies
from broker.files.policies.live_policies import LivePolicies
from broker.files.policies.policy_folder import PolicyFolder
from broker.use_cases.policies.set_in_force import Move, Proposal, SetInForce

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TOLD = tuple[Fault, ...]


@dataclass
class Machine:
    """One machine: its folder, its last good set, and the store that it shares."""

    path: Path
    store: SqliteStore
    now: datetime = NOW
    told: list[TOLD] = field(default_factory=list)
    away: bool = False
    sources: list[RecordedPolicies] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Its proposal."""
        return self.path / "policies"

    @property
    def sets(self) -> SetInForce:
        """The record; of a store that is away, none that answers."""
        return SetInForce(SqliteStore(self.path / "none" / "broker.db") if self.away else self.store)

    def start(self, names: NameableInPolicies = ANY_NAMES) -> LivePolicies:
        """Start a worker on it."""
        state = self.path / "state"
        source = RecordedPolicies(self.sets, PolicyFolder(self.folder), state, lambda: self.now)
        self.sources.append(source)
        return LivePolicies.load(self.folder, names, self.now, state=state, tell=self.told.append, source=source)

    def reach(self, *, away: bool) -> None:
        """Let the store go away from the machine, or come back to it."""
        self.away = away
        for source in self.sources:
            source.sets = self.sets

    def files(self) -> dict[str, bytes]:
        """Give the folder's files."""
        return dict(PolicyFolder(self.folder).files().files)

    def edit(self, old: str = "precedence: 20", new: str = "precedence: 21") -> None:
        """Change the folder."""
        path = self.folder / "student.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def apply(self) -> str:
        """Put the folder in force."""
        change = self.sets.move(
            self.sets.live(self.now), Proposal(self.files(), Move.APPLIED, "kirsten", "because", {}), self.now
        )
        assert change
        return change.digest

    def look(self, worker: LivePolicies, seconds: int = 1) -> str:
        """Let a worker look once, some seconds later; give its digest."""
        self.now += seconds * SECOND
        return worker.refresh(self.now).digest


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Give a machine with the shipped policies as its folder, and an empty store."""
    prepare(tmp_path / "broker.db")
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    (tmp_path / "state").mkdir()
    return Machine(tmp_path, SqliteStore(tmp_path / "broker.db"))


def test_over_an_empty_store_the_folder_is_read(machine: Machine) -> None:
    """So that a first start has policies; whoever adds them to the store changes nothing by that."""
    worker = machine.start()
    held = worker.current
    assert held.digest == digest(machine.files())
    machine.apply()
    assert machine.look(worker) == held.digest
    assert worker.current is held


def test_neither_a_start_nor_an_edit_moves_what_is_in_force(machine: Machine) -> None:
    """The folder is a proposal, whatever it holds."""
    name = machine.apply()
    machine.edit()
    worker = machine.start()
    assert (worker.current.digest, machine.look(worker)) == (name, name)
    for path in machine.folder.glob("*.yaml"):
        path.unlink()
    assert (machine.start().current.digest, machine.look(worker)) == (name, name)
    assert machine.told == []


def test_what_is_applied_is_in_force_at_the_next_look(machine: Machine) -> None:
    """On every worker of every machine."""
    machine.apply()
    workers = [machine.start(), machine.start()]
    machine.edit()
    name = machine.apply()
    assert [machine.look(worker) for worker in workers] == [name, name]


def test_a_store_that_is_away_changes_nothing(machine: Machine) -> None:
    """Workers keep what they have; a start takes the last good set of its machine, and says so until it is back."""
    name = machine.apply()
    worker = machine.start()
    machine.reach(away=True)
    assert machine.look(worker) == name
    second = machine.start()
    assert second.current.digest == name
    assert [fault.what for fault in second.stale] == [
        "the store does not answer, and it says which policies are in force"
    ]
    assert [machine.look(each, 11) for each in (worker, second)] == [name, name]
    machine.reach(away=False)
    assert [machine.look(each, 11) for each in (worker, second)] == [name, name]
    assert (worker.stale, second.stale) == ((), ())
    assert [bool(told) for told in machine.told] == [True, False]


def test_a_first_start_needs_the_store(machine: Machine) -> None:
    """Without a last good set nothing says what is in force: the folder is only a proposal."""
    machine.reach(away=True)
    with pytest.raises(ConfigurationFaults) as found:
        machine.start()
    assert [fault.where for fault in found.value.faults] == ["store_unavailable"]


def test_a_record_that_goes_while_workers_run_changes_nothing(machine: Machine) -> None:
    """A store that was emptied puts no proposal in force."""
    name = machine.apply()
    worker = machine.start()
    machine.edit()
    machine.store.drop(Key("policy", "live"))
    assert [machine.look(worker) for _ in range(3)] == [name] * 3


def test_a_store_that_comes_back_empty_puts_no_proposal_in_force(machine: Machine) -> None:
    """A start without it goes by the last good set, and stays with that; the next start, too, until it is applied."""
    name = machine.apply()
    machine.start()
    machine.edit()
    machine.reach(away=True)
    worker = machine.start()
    machine.store.drop(Key("policy", "live"))
    machine.reach(away=False)
    assert [machine.look(worker, 11) for _ in range(3)] == [name] * 3
    assert machine.start().current.digest == name
    assert [fault.where for fault in worker.stale] == ["the policies in force"]
    assert machine.look(worker, 11) != machine.apply()
    assert machine.look(worker, 11) == digest(machine.files())


def lose(machine: Machine, name: str) -> None:
    """Delete a set from the store."""
    for key, _ in list(machine.store.list("policy", f"set/{name}", NOW)):
        machine.store.drop(key)


def test_a_set_that_is_lost_is_brought_back_by_a_machine_that_has_it(machine: Machine) -> None:
    """The last good set hashes to what the record names, so it is that set."""
    name = machine.apply()
    machine.start()
    lose(machine, name)
    assert machine.start().current.digest == name
    assert machine.sets.sets.read(name, NOW)
    assert machine.told == []


def test_a_set_that_is_lost_everywhere_leaves_workers_as_they_are(machine: Machine) -> None:
    """It is told which, and what to do; ten seconds after it is back every worker has it."""
    first = machine.apply()
    worker = machine.start()
    machine.edit()
    files = machine.files()
    name = machine.apply()
    lose(machine, name)
    assert machine.look(worker) == first
    (fault,) = worker.stale
    assert fault.where == f"set {name[:12]}"
    assert f"--base {name[:12]}" in fault.mend
    machine.sets.sets.keep(files, NOW)
    assert machine.look(worker) == first
    assert machine.look(worker, 10) == name
    assert worker.stale == ()


def test_a_set_that_names_what_a_machine_has_not_is_told_there(machine: Machine) -> None:
    """By the set and its lines, not by the folder, which is another."""
    machine.apply()
    with pytest.raises(ConfigurationFaults) as found:
        machine.start(NameableInPolicies(upstreams=("wafy", "nemid")))
    assert {fault.where.partition("/")[0] for fault in found.value.faults} == {f"set {digest(machine.files())[:12]}"}


def test_an_example_that_only_time_has_broken_stops_no_start(machine: Machine) -> None:
    """A set in force stays in force: what does not hold any more is a warning, as of the last good set."""
    machine.edit("effect: permit", "effect: deny")
    name = machine.apply()
    worker = machine.start()
    assert worker.current.digest == name
    assert any("example" in str(warning) for warning in worker.current.warnings)
