"""A CPR that a Koha patron gets later: where it is written, in which order, and what stops it."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from broker.adapters.library_systems.koha.koha_library import Koha
from broker.core.borrowers.change_plan import Change
from broker.core.errors import LibraryUnavailable
from broker.demo.koha.simulated_koha import Simulation
from tests.conformance.library_suite.values import soon

pytestmark = pytest.mark.server

CPR = "0101800000"
UNTIL = date(2028, 8, 31)

Opened = Callable[..., Koha]


def _temporary(koha: Simulation, **more: object) -> str:
    body = {
        "surname": "Desk",
        "library_id": "AUL",
        "category_id": "TEMP",
        "userid": "temp.4711",
        "cardnumber": "T-4711",
    }
    return str(koha.patrons.create(body | more)["patron_id"])


def _change(number: str) -> Change:
    return Change(number, (), "STUDENT", UNTIL, CPR)


def _read_row(koha: Simulation) -> dict[str, Any]:
    (row,) = koha.patrons.rows()
    kinds = {each["type"]: each["value"] for each in row["extended_attributes"]}
    return {name: row[name] for name in ("userid", "cardnumber", "category_id", "expiry_date")} | kinds


ADOPTED = {"category_id": "STUDENT", "expiry_date": "2028-08-31"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"userid": CPR, "cardnumber": "T-4711", "CPR": CPR}),
        ({"cpr_attribute": ""}, {"userid": CPR, "cardnumber": "T-4711"}),
        ({"card_number": "system"}, {"userid": CPR, "cardnumber": "T-4711", "CPR": CPR}),
        ({"unique_field": "cardnumber", "cpr_attribute": ""}, {"userid": "temp.4711", "cardnumber": CPR}),
    ],
)
def test_the_number_goes_where_those_of_created_borrowers_lie(
    koha: Simulation, opened: Opened, settings: dict[str, object], expected: dict[str, str]
) -> None:
    """Unique field, card number and attribute as configured; the borrower found by it is the one that was changed."""
    library, number = opened(**settings), _temporary(koha)
    after = library.change(_change(number), soon())
    assert _read_row(koha) == expected | ADOPTED
    assert (after.number, after.category, after.cpr) == (number, "STUDENT", CPR)
    assert library.find(CPR, soon()) == (after,)
    assert library.read(number, soon()) == after


def test_an_attribute_that_is_anothers_by_now_leaves_the_category(koha: Simulation, library: Koha) -> None:
    """Two carry the number then: the next look finds both."""
    number = _temporary(koha)
    _temporary(koha, userid="b", cardnumber="b", extended_attributes=[{"type": "CPR", "value": CPR}])
    with pytest.raises(LibraryUnavailable):
        library.change(_change(number), soon())
    assert koha.patrons.row(int(number))["category_id"] == "TEMP"
    assert len(library.find(CPR, soon())) == 2


@pytest.mark.parametrize(
    ("fields", "settings", "cpr"),
    [
        ({"userid": "010180-0000"}, {}, CPR),
        ({"cardnumber": "010180 0000"}, {}, CPR),
        ({"extended_attributes": [{"type": "CPR", "value": "010180-0000"}]}, {}, CPR),
        ({"cardnumber": CPR}, {"cpr_fields": ["userid"], "card_number": "system"}, None),
        ({"userid": "6101800000"}, {}, None),
        ({}, {}, None),
    ],
)
def test_a_borrower_brings_the_cpr_that_koha_holds(
    *, koha: Simulation, opened: Opened, fields: dict[str, Any], settings: dict[str, object], cpr: str | None
) -> None:
    """Ten digits that are a date, in a field where they are a CPR; a replacement number is none."""
    borrower = opened(**settings).read(_temporary(koha, **fields), soon())
    assert borrower is not None
    assert borrower.cpr == cpr
    assert CPR not in repr(borrower)


@pytest.mark.parametrize("constructed", ["6101800000", "3113800000", "unknown"])
def test_a_number_that_is_no_cpr_number_gives_way(*, koha: Simulation, library: Koha, constructed: str) -> None:
    """A replacement or constructed number counts as none, in the attribute and in the card number."""
    number = _temporary(koha, cardnumber=constructed, extended_attributes=[{"type": "CPR", "value": constructed}])
    library.change(_change(number), soon())
    card = constructed if constructed == "unknown" else CPR
    assert _read_row(koha) == {"userid": CPR, "cardnumber": card, "CPR": CPR} | ADOPTED
