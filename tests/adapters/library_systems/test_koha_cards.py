"""Card numbers of new borrowers, and of borrowers that get one later."""

from collections.abc import Callable
from datetime import datetime

import pytest

from broker.adapters.library_systems.koha.koha_library import Koha
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import LibraryRefused
from broker.demo.koha.database.administration import FOUR_DIGIT_PINS
from broker.demo.koha.simulated_koha import Simulation

pytestmark = pytest.mark.server

CPR = "0101800000"
MARK = "a" * 32
RENAMED = (("firstname", "Aase"),)

Soon = Callable[..., datetime]
Opened = Callable[..., Koha]


def _desk(koha: Simulation, **more: object) -> str:
    body = {"surname": "Desk", "library_id": "AUL", "category_id": "PRIVATE", "userid": CPR}
    return str(koha.patrons.create(body | more)["patron_id"])


@pytest.fixture
def _automatic(koha: Simulation) -> None:
    """Let Koha count card numbers."""
    koha.patrons.administration = FOUR_DIGIT_PINS.change_preferences(auto_member_num=True)


@pytest.mark.usefixtures("_automatic")
def test_koha_gives_the_card_number_where_the_settings_say_so(
    koha: Simulation, opened: Opened, wanted: WantedBorrower, soon: Soon
) -> None:
    """The CPR is the user name, by which the database holds the person unique, and on no card."""
    made = opened(card_number="system").create(wanted, MARK, soon())
    assert made is not None
    (row,) = koha.patrons.rows()
    assert (row["userid"], row["cardnumber"]) == (CPR, made.card)
    assert made.card
    assert made.card != CPR


def test_a_borrower_that_koha_made_without_a_card_number_is_a_fault(
    opened: Opened, wanted: WantedBorrower, soon: Soon
) -> None:
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
    koha: Simulation, library: Koha, soon: Soon, held: dict[str, object]
) -> None:
    """The number is read where Koha has it. Without a card number no PIN works."""
    assert library.change(Change(_desk(koha, **held), RENAMED), soon()).card == CPR


@pytest.mark.parametrize(
    ("more", "card"),
    [({"statistics_1": MARK, "cardnumber": "C-1"}, "C-1"), ({"statistics_1": MARK, "userid": "no.number"}, None)],
)
def test_no_other_card_number_is_written(
    koha: Simulation, library: Koha, soon: Soon, more: dict[str, object], card: str | None
) -> None:
    """A card that is there stays, and a record without a CPR number has none to give."""
    assert library.change(Change(_desk(koha, **more), RENAMED), soon()).card == card
