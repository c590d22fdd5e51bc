"""Creates and changes in Koha: namesakes, mails, lost values, and how many calls a new account takes."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest

from broker.adapters.library_systems.koha.koha_library import Koha
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField
from broker.core.errors import LibraryRefused
from broker.demo.koha.database.administration import FOUR_DIGIT_PINS
from broker.demo.koha.simulated_koha import Simulation

pytestmark = pytest.mark.server

CPR, OTHER_CPR = "0101800000", "0202810000"
MARK, OTHER_MARK = "a" * 32, "b" * 32

Soon = Callable[..., datetime]


def _make_request(cpr: str = CPR) -> WantedBorrower:
    fields = (
        WantedField("surname", "Jensen", "always"),
        WantedField("firstname", "Anne", "always"),
        WantedField("email", "anne@post.example", "create"),
        WantedField("city", "Aarhus C", "create"),
    )
    return WantedBorrower(cpr, "STUDENT", (), date(2028, 8, 31), fields, pin_to=None)


def _newest(koha: Simulation) -> None:
    koha.patrons.administration = FOUR_DIGIT_PINS.as_newest()


def test_the_newest_koha_makes_a_namesake(koha: Simulation, library: Koha, soon: Soon) -> None:
    """The broker has searched for possible duplicates itself; a namesake is another person."""
    _newest(koha)
    for cpr, mark in ((CPR, MARK), (OTHER_CPR, OTHER_MARK)):
        assert library.create(_make_request(cpr), mark, soon()) is not None
    assert koha.patrons.count() == 2


def test_koha_sends_no_welcome_mail_of_its_own(koha: Simulation, library: Koha, soon: Soon) -> None:
    """The broker sends the welcome mail, with the link to choose a PIN."""
    _newest(koha)
    library.create(_make_request(), MARK, soon())
    assert koha.patrons.welcome_mails == []


@pytest.mark.parametrize("lost", ["city", "expiry_date"])
def test_a_value_that_koha_does_not_store_is_a_refusal(
    *, koha: Simulation, library: Koha, soon: Soon, monkeypatch: pytest.MonkeyPatch, lost: str
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
