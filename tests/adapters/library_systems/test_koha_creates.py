"""Creates and changes in Koha: card numbers, namesakes, and values that Koha does not store."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from broker.adapters.library_systems.koha.koha_library import Koha
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField
from broker.core.errors import LibraryRefused
from broker.demo.koha.database.administration import FOUR_DIGIT_PINS
from broker.demo.koha.simulated_koha import Simulation
from tests.conformance.library_suite.values import soon

pytestmark = pytest.mark.server

CPR, OTHER_CPR = "0101800000", "0202810000"
MARK, OTHER_MARK = "a" * 32, "b" * 32
RENAMED = (("firstname", "Aase"),)

Opened = Callable[..., Koha]


def _make_request(cpr: str = CPR) -> WantedBorrower:
    fields = (
        WantedField("surname", "Jensen", "always"),
        WantedField("firstname", "Anne", "always"),
        WantedField("email", "anne@post.example", "create"),
        WantedField("city", "Aarhus C", "create"),
    )
    return WantedBorrower(cpr, "STUDENT", (), date(2028, 8, 31), fields, pin_to=None)


def test_the_newest_koha_makes_a_namesake(koha: Simulation, library: Koha) -> None:
    """The broker has searched for possible duplicates itself; a namesake is another person."""
    koha.patrons.administration = FOUR_DIGIT_PINS.as_newest()
    for cpr, mark in ((CPR, MARK), (OTHER_CPR, OTHER_MARK)):
        assert library.create(_make_request(cpr), mark, soon()) is not None
    assert koha.patrons.count() == 2


@pytest.mark.parametrize("lost", ["city", "expiry_date"])
def test_a_value_that_koha_does_not_store_is_a_refusal(
    *, koha: Simulation, library: Koha, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """A plug-in or a rule of the library may drop a value, although Koha answers with success."""
    made = library.create(_make_request(), MARK, soon())
    assert made is not None
    change = koha.patrons.change

    def lose(number: int, body: dict[str, Any]) -> object:
        return change(number, {name: value for name, value in body.items() if name != lost})

    monkeypatch.setattr(koha.patrons, "change", lose)
    wanted = Change(made.number, (("city", "Odense C"),), expires=date(2029, 8, 31))
    with pytest.raises(LibraryRefused, match=f"Koha did not store what was sent as {lost}"):
        library.change(wanted, soon())


def _desk(koha: Simulation, **more: object) -> str:
    body = {"surname": "Desk", "library_id": "AUL", "category_id": "PRIVATE", "userid": CPR}
    return str(koha.patrons.create(body | more)["patron_id"])


@pytest.fixture
def _automatic(koha: Simulation) -> None:
    """Let Koha count card numbers."""
    koha.patrons.administration = FOUR_DIGIT_PINS.change_preferences(auto_member_num=True)


@pytest.mark.usefixtures("_automatic")
def test_koha_gives_the_card_number_where_the_settings_say_so(
    koha: Simulation, opened: Opened, wanted: WantedBorrower
) -> None:
    """The CPR is the user name, by which the database holds the person unique, and on no card."""
    made = opened(card_number="system").create(wanted, MARK, soon())
    assert made is not None
    (row,) = koha.patrons.rows()
    assert (row["userid"], row["cardnumber"]) == (CPR, made.card)
    assert made.card
    assert made.card != CPR


def test_a_borrower_that_koha_made_without_a_card_number_is_a_fault(opened: Opened, wanted: WantedBorrower) -> None:
    """Without a card number no PIN works. The next attempt finds the borrower."""
    library = opened(card_number="system")
    with pytest.raises(LibraryRefused, match="autoMemberNum is off") as caught:
        library.create(wanted, MARK, soon())
    assert caught.value.setting == "autoMemberNum"
    assert [borrower.card for borrower in library.find(CPR, soon())] == [None]


@pytest.mark.parametrize(
    "held", [{}, {"userid": "desk", "extended_attributes": [{"type": "CPR", "value": "010180-0000"}]}]
)
def test_a_borrower_without_a_card_number_gets_the_cpr_at_its_next_change(
    koha: Simulation, library: Koha, held: dict[str, object]
) -> None:
    """The number is read where Koha has it. Without a card number no PIN works."""
    assert library.change(Change(_desk(koha, **held), RENAMED), soon()).card == CPR


@pytest.mark.parametrize(
    ("more", "card"),
    [({"statistics_1": MARK, "cardnumber": "C-1"}, "C-1"), ({"statistics_1": MARK, "userid": "no.number"}, None)],
)
def test_no_other_card_number_is_written(
    koha: Simulation, library: Koha, more: dict[str, object], card: str | None
) -> None:
    """A card that is there stays, and a record without a CPR number has none to give."""
    assert library.change(Change(_desk(koha, **more), RENAMED), soon()).card == card
