"""Of one borrower one change at a time, in whatever process it is made."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores import sqlite
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_setup import ExpectedSetup
from broker.core.borrowers.matching import PersonFacts
from broker.core.errors import ChangeUnanswered, LibraryRefused, LibraryUnavailable
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key
from broker.core.retention import LEASE
from broker.use_cases.library_system.guarded_library import LATE, GuardedLibrary
from broker.use_cases.library_system.setup_check import SetupChecker
from broker.use_cases.storage.records import Lease
from tests.use_cases.conftest import Hooks, Shelf

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
BY = NOW + timedelta(seconds=10)


def change_name(library: GuardedLibrary) -> None:
    """Change the given name of the borrower."""
    library.change(Change("7", (("firstname", "Åse"),)), BY)


def change_address(library: GuardedLibrary, deadline: datetime = BY) -> None:
    """Change the mail address of the same borrower."""
    library.change(Change("7", (("email", "aase@example.org"),)), deadline)


class Deployment:
    """Two processes before one store and one library system, and the clock of both."""

    def __init__(self, path: Path) -> None:
        self.now = NOW
        self.hooks = Hooks()
        self.shelf = Shelf(self.hooks)
        self.shelf.add(PersonFacts(), "0101800007", number="7")
        self.path = path
        sqlite.prepare(path)

    def process(self) -> GuardedLibrary:
        """Give the library system as one process has it."""
        return GuardedLibrary(self.shelf, SqliteStore(self.path), LookupHmacs("k1", b"k" * 32), lambda: self.now)


@pytest.fixture(name="deployment")
def _deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "broker.db")


def test_a_second_change_of_the_borrower_comes_later(deployment: Deployment) -> None:
    """Two whole writes at the same time would undo each other."""
    one, other = deployment.process(), deployment.process()

    def meanwhile() -> None:
        with pytest.raises(LibraryUnavailable, match="under way"):
            change_address(other)

    deployment.hooks.before["change"] = meanwhile
    change_name(one)
    assert deployment.hooks.calls == ["change"]
    change_address(other)
    assert deployment.hooks.calls == ["change", "change"]


@pytest.mark.parametrize("fault", [ChangeUnanswered("no answer"), KeyboardInterrupt(), RuntimeError()], ids=repr)
def test_a_write_without_an_answer_is_waited_for(deployment: Deployment, fault: BaseException) -> None:
    """It may come ten minutes later, over another change: no answer, Ctrl-C and an internal error are alike."""

    def fail() -> None:
        raise fault

    deployment.hooks.before["change"] = fail
    library = deployment.process()
    with pytest.raises(type(fault)):
        change_name(library)
    for now in (NOW, BY + LATE):
        deployment.now = now
        with pytest.raises(LibraryUnavailable, match="under way"):
            change_address(library, BY + LATE)
    deployment.now = LEASE.until(BY + LATE)
    change_address(library, BY + LATE)


def test_a_change_waits_for_the_write_of_a_crashed_process(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It learned of no answer: its write may come ten minutes later, over another change."""
    with monkeypatch.context() as killed:
        killed.setattr(Lease, "end", lambda *_: None)
        change_name(deployment.process())
    library = deployment.process()
    for now in (BY + timedelta(seconds=6), BY + LATE):
        deployment.now = now
        with pytest.raises(LibraryUnavailable, match="under way"):
            change_address(library, BY + LATE)
    deployment.now = LEASE.until(BY + LATE)
    change_address(library, BY + LATE)


@pytest.mark.parametrize(("setting", "is_due"), [("minPasswordLength", True), (None, False)])
def test_an_error_that_names_a_setting_makes_the_setup_check_due(
    deployment: Deployment, setting: str | None, is_due: bool
) -> None:
    """An error about one person's data says nothing about the set-up."""
    store = SqliteStore(deployment.path)
    checker = SetupChecker(deployment.shelf, store, lambda: ExpectedSetup({}), lambda _: None, lambda: deployment.now)
    checker.step()

    def refuse() -> None:
        raise LibraryRefused("no", setting)

    deployment.hooks.before["change"] = refuse
    with pytest.raises(LibraryRefused):
        change_name(deployment.process())
    record = store.get(Key("figures", "library setup"), deployment.now)
    assert record is not None
    assert (b"0001-01-01" in record.value) is is_due
