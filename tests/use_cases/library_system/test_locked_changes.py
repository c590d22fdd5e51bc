"""Of one borrower one change at a time, in whatever process it is made."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores import sqlite
from broker.adapters.stores.sqlite import SqliteStore
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_system import ExpectedSetup
from broker.core.errors import ChangeUnanswered, LibraryRefused, LibraryUnavailable
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Key
from broker.core.retention import LEASE
from broker.use_cases.library_system.guarded_library import LATE, GuardedLibrary
from broker.use_cases.library_system.setup_proof import LibraryProof
from broker.use_cases.storage.records import Lease
from tests.use_cases.conftest import Hooks, Shelf

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
BY = NOW + timedelta(seconds=10)
CHANGES: dict[str, Callable[[GuardedLibrary, str], object]] = {
    "given name": lambda library, number: library.change(Change(number, (("firstname", "Åse"),)), BY),
    "surname": lambda library, number: library.change(Change(number, (("surname", "Skov"),)), BY),
}


def change_address(library: GuardedLibrary, number: str, deadline: datetime) -> None:
    """Make another change."""
    library.change(Change(number, (("email", "aase@example.org"),)), deadline)


class Deployment:
    """Two processes before one store and one library system, and the clock of both."""

    def __init__(self, path: Path) -> None:
        self.now = NOW
        self.hooks = Hooks()
        self.shelf = Shelf(self.hooks)
        for number in ("7", "8"):
            self.shelf.add(f"010180000{number}", Borrower(number, "STUDENT"))
        self.path = path
        sqlite.prepare(path)

    def process(self) -> GuardedLibrary:
        """Give the library system as one process has it."""
        return GuardedLibrary(self.shelf, SqliteStore(self.path), LookupHmacs("k1", b"k" * 32), lambda: self.now)


@pytest.fixture(name="deployment")
def _deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "broker.db")


@pytest.mark.parametrize("first", CHANGES)
@pytest.mark.parametrize("second", CHANGES)
def test_a_second_change_of_the_borrower_comes_later(deployment: Deployment, first: str, second: str) -> None:
    """Two whole writes at the same time would undo each other."""
    one, other = deployment.process(), deployment.process()

    def meanwhile() -> None:
        with pytest.raises(LibraryUnavailable, match="under way"):
            CHANGES[second](other, "7")

    deployment.hooks.before["change"] = meanwhile
    CHANGES[first](one, "7")
    assert deployment.hooks.calls == ["change"]
    CHANGES[second](other, "7")
    assert deployment.hooks.calls == ["change", "change"]


@pytest.mark.parametrize("second", CHANGES)
def test_a_whole_write_without_an_answer_is_waited_for(deployment: Deployment, second: str) -> None:
    """It may come ten minutes later, over another change."""

    def lost() -> None:
        raise ChangeUnanswered("no answer")

    deployment.hooks.before["change"] = lost
    library = deployment.process()
    with pytest.raises(ChangeUnanswered):
        CHANGES["given name"](library, "7")
    for now in (NOW, BY + LATE):
        deployment.now = now
        with pytest.raises(LibraryUnavailable, match="under way"):
            CHANGES[second](library, "7")
    deployment.now = LEASE.until(BY + LATE)
    CHANGES[second](library, "7")


@pytest.mark.parametrize("fault", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("first", CHANGES)
def test_a_write_whose_answer_nobody_read_is_waited_for(
    deployment: Deployment, first: str, fault: type[BaseException]
) -> None:
    """After Ctrl-C or an internal error the write may still arrive."""

    def interrupted() -> None:
        raise fault

    deployment.hooks.before["change"] = interrupted
    library = deployment.process()
    with pytest.raises(fault):
        CHANGES[first](library, "7")
    with pytest.raises(LibraryUnavailable, match="under way"):
        change_address(library, "7", BY)
    deployment.now = LEASE.until(BY + LATE)
    change_address(library, "7", BY + LATE)


@pytest.mark.parametrize("first", CHANGES)
def test_what_a_process_that_died_has_sent_is_waited_for(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """It learned of no answer: its write may come ten minutes later, over another change."""
    with monkeypatch.context() as killed:
        killed.setattr(Lease, "end", lambda *_: None)
        CHANGES[first](deployment.process(), "7")
    library = deployment.process()
    for now in (BY + timedelta(seconds=6), BY + LATE):
        deployment.now = now
        with pytest.raises(LibraryUnavailable, match="under way"):
            change_address(library, "7", BY + LATE)
    deployment.now = LEASE.until(BY + LATE)
    change_address(library, "7", BY + LATE)


@pytest.mark.parametrize(("setting", "is_due"), [("minPasswordLength", True), (None, False)])
def test_an_error_that_names_a_setting_makes_the_proof_due(
    deployment: Deployment, setting: str | None, is_due: bool
) -> None:
    """An error about one person's data says nothing about the set-up."""
    store = SqliteStore(deployment.path)
    proof = LibraryProof(deployment.shelf, store, lambda: ExpectedSetup({}), lambda _: None, lambda: deployment.now)
    proof.step()

    def refuse() -> None:
        raise LibraryRefused("no", setting)

    deployment.hooks.before["change"] = refuse
    with pytest.raises(LibraryRefused):
        CHANGES["given name"](deployment.process(), "7")
    record = store.get(Key("figures", "library setup"), deployment.now)
    assert record is not None
    assert (b"0001-01-01" in record.value) is is_due
