"""Whole users of Alma that are read and written back: nothing between the two calls."""

from collections.abc import Callable, Iterator
from datetime import date, datetime

import pytest
from flask import Flask

from broker.adapters.library_systems.alma.alma_library import Alma, AlmaSettings
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import CallNotMade, LibraryRefused
from broker.demo.run.loopback_server import serve_on_loopback
from tests.conformance.simulated_alma.simulated_alma import Simulation, create_app

pytestmark = pytest.mark.server

Soon = Callable[..., datetime]

MARK = "a" * 32
NUMBER = f"L-{MARK}"
UPGRADE = Change(NUMBER, (("surname", "Ny"),), "EMPLOYEE", date(2029, 1, 31))
WRITES: dict[str, Callable[[Alma, datetime], object]] = {
    "change": lambda library, by: library.change(UPGRADE, by),
    "set_pin": lambda library, by: library.set_pin(NUMBER, "4071", by),
}
BLOCK = {"block_type": "GENERAL", "block_description": "", "block_status": "ACTIVE", "block_note": "owes"}
BLOCK |= {"segment_type": "Internal", "created_by": "", "created_date": ""}


class Moments:
    """Changes that a simulated Alma makes after its next read or write."""

    def __init__(self, alma: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let nothing happen yet."""
        self.after: dict[str, Callable[[], object]] = {}
        for name in ("read", "change"):
            monkeypatch.setattr(alma.users, name, self._call_then_change(name, getattr(alma.users, name)))

    def _call_then_change(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        def call_then_change(*given: object, **options: object) -> object:
            happens = self.after.pop(name, lambda: None)
            answer = call(*given, **options)
            happens()
            return answer

        return call_then_change


@pytest.fixture(name="app")
def _app() -> Flask:
    return create_app()


@pytest.fixture(name="alma")
def _alma(app: Flask) -> Simulation:
    simulation: Simulation = app.extensions["alma"]
    return simulation


@pytest.fixture(name="moments")
def _moments(alma: Simulation, monkeypatch: pytest.MonkeyPatch) -> Moments:
    return Moments(alma, monkeypatch)


@pytest.fixture(name="library")
def _library(app: Flask) -> Iterator[Alma]:
    keys: dict[str, object] = {"api_key": "demo", "external_id": "SIS", "cpr_identifier_type": "CPR"}
    keys |= {"card_number": "cpr"}
    with serve_on_loopback(app) as url:
        yield AlmaSettings.read({"url": url} | keys).open()


@pytest.fixture(name="made", autouse=True)
def _make_borrower(library: Alma, wanted: WantedBorrower, soon: Soon) -> Borrower:
    borrower = library.create(wanted, MARK, soon())
    assert borrower is not None
    return borrower


def lines(alma: Simulation) -> list[str]:
    """Give method and status of each call."""
    return [f"{line.split()[0]} {line.split()[-1]}" for line in alma.access.lines()]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("fault", ["quota", "key"])
def test_a_write_that_is_turned_away_is_no_write_without_an_answer(
    alma: Simulation, library: Alma, moments: Moments, soon: Soon, *, write: str, fault: str
) -> None:
    """The day's calls used up, the key withdrawn behind the look: nothing was written, nobody waits for it."""
    nobody = alma.users.administration.replace_keys({})
    faults: dict[str, Callable[[], object]] = {
        "quota": lambda: setattr(alma.faults, "quota_gone", True),
        "key": lambda: setattr(alma.users, "administration", nobody),
    }
    before = alma.users.read(NUMBER)
    moments.after["read"] = faults[fault]
    with pytest.raises(CallNotMade):
        WRITES[write](library, soon())
    assert lines(alma)[1] == "GET 200"
    assert alma.users.read(NUMBER) == before


@pytest.mark.parametrize("listed", ["user_block", "user_note"])
def test_a_block_or_a_note_that_is_gone_behind_a_change_is_a_case(
    alma: Simulation, library: Alma, soon: Soon, listed: str
) -> None:
    """Alma has not taken it back: staff must look."""
    note = {"note_type": "GENERAL", "note_text": "asked", "user_viewable": False, "popup_note": False}
    note |= {"segment_type": "Internal", "created_by": "", "created_date": ""}
    alma.users.edit(NUMBER, user_block=[BLOCK], user_note=[note])
    alma.faults.plan("change", "wrong fields", field=listed)
    with pytest.raises(LibraryRefused, match=f"has not stored 1 {listed.removeprefix('user_')}s") as raised:
        library.change(UPGRADE, soon())
    assert raised.value.setting is None
