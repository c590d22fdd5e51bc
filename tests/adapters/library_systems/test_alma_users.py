"""Alma users whose primary id holds a CPR number, and the barcode that is the card."""

import pytest

from broker.adapters.library_systems.alma import alma_calls, alma_users
from broker.adapters.library_systems.alma.alma_library import AlmaSettings
from broker.core.errors import LibraryRefused

CPR, MARK = "0101800000", "a" * 32
KEYS = AlmaSettings.read(
    {
        "url": "https://api-eu.hosted.exlibrisgroup.com",
        "api_key": "k",
        "external_id": "SIS",
        "cpr_identifier_type": "CPR",
        "card_number": "cpr",
        "number_identifier_type": "OTHER_ID_1",
    }
)


HOLDS = [
    (CPR, False),
    (f" {CPR}", False),
    ("010180-0000", False),
    (f"{CPR}@au.dk", False),
    ("010180.0000", False),
    ("010180\u20110000", False),
    ("CPR-" + CPR, False),
    ("\N{FULLWIDTH DIGIT ZERO}101800000", False),
    (f"AU{CPR}", True),
    ("AU010180-0000x", True),
]


@pytest.mark.parametrize(("number", "only_if_own"), HOLDS)
def test_a_primary_id_with_the_cpr_number_is_refused(number: str, *, only_if_own: bool) -> None:
    """Every spelling is refused; between letters only the user's own CPR number is recognised."""
    own = {"primary_id": number, "user_identifier": [{"id_type": {"value": "CPR"}, "value": "010180-0000"}]}
    with pytest.raises(LibraryRefused) as raised:
        alma_users.find_number(own, KEYS)
    assert CPR not in str(raised.value)
    if not only_if_own:
        assert not alma_calls.is_possible_number(number)
        with pytest.raises(LibraryRefused):
            alma_users.find_number({"primary_id": number}, KEYS)


@pytest.mark.parametrize(
    "number", [f"L-{MARK}", "L-01018000001234567890123456789012", "AU123456", "N-77", "20261126011"]
)
def test_other_primary_ids_are_accepted(number: str) -> None:
    """An enrolment id is accepted too if it happens to contain the digits of a CPR number."""
    assert alma_users.find_number({"primary_id": number}, KEYS) == number
    assert alma_calls.is_possible_number(number)


@pytest.mark.parametrize(
    ("identifiers", "card"),
    [([("1", "ACTIVE")], "1"), ([("1", "INACTIVE"), ("2", "ACTIVE")], "2"), ([("1", "INACTIVE")], "1"), ([], None)],
)
def test_the_card_is_the_active_barcode_else_any(identifiers: list[tuple[str, str]], card: str | None) -> None:
    """An active barcode comes before an inactive one."""
    listed = [{"id_type": {"value": "BARCODE"}, "value": value, "status": status} for value, status in identifiers]
    borrower = alma_users.read_borrower({"primary_id": "L-1", "user_identifier": listed}, KEYS)
    assert borrower.card == card
