"""PINs in every library system, and the PIN record of the broker over it."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores.open_store import open_store
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_capabilities import LibraryCapability
from broker.core.borrowers.pins import PinAnswer
from broker.core.errors import LibraryUnavailable, PinUnsettled
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.ports import Store
from broker.use_cases.borrowers.enrolment_records import CALL
from broker.use_cases.borrowers.pin_setting import PinSetting
from tests.plugins.library_suite.stage import Stage, Trouble
from tests.plugins.library_suite.values import CPR, NEXT_PIN, OTHER_CPR, PIN, made, soon

pytestmark = pytest.mark.library("PIN")
CHECKED = LibraryCapability.PIN_CHECKED


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Store:
    return open_store("sqlite:broker.db", tmp_path)


@pytest.fixture(name="setting")
def _setting(stage: Stage, store: Store) -> Callable[..., PinSetting]:
    hmacs = LookupHmacs("h1", b"h" * 32)

    def setting(seconds: float = 20) -> PinSetting:
        """Give the broker's PINs, each of whose calls ends so many seconds after it began."""
        behind = CALL - timedelta(seconds=seconds)
        return PinSetting(store, hmacs, stage.library, lambda: datetime.now(UTC) - behind)

    return setting


def test_the_last_pin_works(stage: Stage) -> None:
    """A PIN that is set is good at once, and the one before it no longer."""
    borrower = made(stage)
    stage.library.set_pin(borrower.number, PIN, soon())
    stage.library.set_pin(borrower.number, NEXT_PIN, soon())
    assert stage.desk.proves(CPR, NEXT_PIN)
    assert not stage.desk.proves(CPR, PIN)


@pytest.mark.library(needs=LibraryCapability.PIN_KEPT)
def test_a_pin_outlives_a_change(stage: Stage) -> None:
    """Whoever moves to another category keeps the PIN that was mailed."""
    borrower = made(stage)
    stage.library.set_pin(borrower.number, PIN, soon())
    stage.library.change(Change(borrower.number, (("surname", "Ny"),), "EMPLOYEE"), soon())
    assert stage.desk.proves(CPR, PIN)


@pytest.mark.library(needs=CHECKED)
def test_a_pin_is_checked(stage: Stage) -> None:
    """The borrower's PIN is right, another is wrong, one without a PIN and nobody's number have none."""
    borrower = made(stage)
    stage.library.set_pin(borrower.number, PIN, soon())
    other = stage.desk.register(OTHER_CPR, "PRIVATE")
    assert stage.library.check_pin(borrower.number, PIN, soon()) is PinAnswer.RIGHT
    assert stage.library.check_pin(borrower.number, PIN, soon(), borrower.card) is PinAnswer.RIGHT
    assert stage.library.check_pin(borrower.number, NEXT_PIN, soon()) is PinAnswer.WRONG
    assert stage.library.check_pin(borrower.number, NEXT_PIN, soon(), borrower.card) is PinAnswer.WRONG
    assert stage.library.check_pin(other, PIN, soon()) is PinAnswer.WRONG
    for nobodys in ("999999", "0", "nobody", CPR):
        assert stage.library.check_pin(nobodys, PIN, soon()) is PinAnswer.WRONG


@pytest.mark.library(needs=CHECKED)
def test_anothers_pin_proves_nothing(stage: Stage) -> None:
    """A card number that was read before it became another's lets nobody in to the account that is asked about."""
    borrower = made(stage)
    other = stage.desk.register("Card-0042", "PRIVATE")
    stage.library.set_pin(other, PIN, soon())
    assert stage.library.check_pin(borrower.number, PIN, soon(), "Card-0042") is PinAnswer.WRONG


@pytest.mark.library(lacks=CHECKED)
def test_a_pin_that_cannot_be_checked_is_unknown(stage: Stage) -> None:
    """Right, wrong or nobody's: a system that does not tell is never taken for one that does."""
    borrower = made(stage)
    stage.library.set_pin(borrower.number, PIN, soon())
    for number, pin in ((borrower.number, PIN), (borrower.number, NEXT_PIN), ("999999", PIN)):
        assert stage.library.check_pin(number, pin, soon()) is PinAnswer.UNKNOWN


def test_a_mailed_pin_works(stage: Stage, setting: Callable[..., PinSetting]) -> None:
    """It is set before it is mailed, and where the system tells, asked back."""
    borrower = made(stage)
    mailed: list[str] = []
    setting().mail(borrower.number, lambda _: False, mailed.append, soon(), card=borrower.card)
    assert stage.desk.proves(CPR, mailed[0])


def test_a_choice_whose_answer_was_lost_is_settled(stage: Stage, setting: Callable[..., PinSetting]) -> None:
    """Nobody knows whether it works; carried out again, it does."""
    borrower = made(stage)
    with stage.desk.troubled(Trouble.LOST), pytest.raises(PinUnsettled):
        setting().choose(borrower.number, PIN)
    assert setting().settle_choice(borrower.number)
    assert stage.desk.proves(CPR, PIN)


@pytest.mark.library(once=True)
def test_a_late_call_sets_the_pin_that_was_mailed(stage: Stage, setting: Callable[..., PinSetting]) -> None:
    """Whenever the library system carries it out: every call that may still come sets the same PIN."""
    number = made(stage).number
    mailed: list[str] = []
    with stage.desk.troubled(Trouble.SILENT, times=1) as strike:
        with suppress(LibraryUnavailable):
            setting(1.0).mail(number, lambda _: False, mailed.append, soon())
        assert strike.struck
        assert mailed == []
        setting().mail(number, lambda _: False, mailed.append, soon())
        assert stage.desk.proves(CPR, mailed[0])
    assert stage.desk.proves(CPR, mailed[0])
