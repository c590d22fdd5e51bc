"""Malformed users in Alma's answers, and names in any script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.adapters.library_systems.alma import alma_calls, alma_users
from broker.adapters.library_systems.alma.alma_library import AlmaSettings
from broker.core.borrowers.borrower import Borrower
from broker.core.errors import LibraryError, LibraryRefused

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
LEAF = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3) | st.sampled_from([CPR, "2031-11-24Z"])
CODE = LEAF | st.fixed_dictionaries({"value": LEAF | st.sampled_from(["BARCODE", "CPR", "mobile", "ACTIVE"])})
ENTRY = LEAF | st.dictionaries(
    st.sampled_from(
        ["id_type", "value", "status", "preferred", "email_address", "line1", "city", "phone_number", "phone_type"]
    ),
    CODE | st.lists(CODE, max_size=2),
    max_size=4,
)
LISTED = LEAF | CODE | st.lists(ENTRY, max_size=3)
USER = st.fixed_dictionaries(
    {"primary_id": LEAF | st.just("L-1")},
    optional={
        **dict.fromkeys(("last_name", "birth_date", "expiry_date", "purge_date"), LISTED),
        **dict.fromkeys(("user_group", "status", "account_type"), CODE),
        **dict.fromkeys(("user_identifier", "user_block"), LISTED),
        "contact_info": LEAF | st.dictionaries(st.sampled_from(["address", "email", "phone"]), LISTED),
    },
)


@given(USER)
def test_a_user_that_is_wrong_in_every_field_is_a_borrower_or_a_cause(user: dict[str, object]) -> None:
    """A malformed field leads to a documented error or is ignored."""
    try:
        borrower = alma_users.read_borrower(user, KEYS)
    except LibraryError:
        return
    assert isinstance(borrower, Borrower)
    assert borrower.number != CPR
    texts = (borrower.number, borrower.category, *borrower.fields.values())
    assert all(isinstance(text, str) for text in texts)
    for text in (borrower.mark, borrower.email, borrower.cpr, borrower.card):
        assert text is None or isinstance(text, str)


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


@pytest.mark.parametrize(("number", "by_own"), HOLDS)
def test_a_number_that_holds_the_cpr_number_is_no_number(number: str, *, by_own: bool) -> None:
    """In every spelling, also between letters if it is the user's CPR number."""
    own = {"primary_id": number, "user_identifier": [{"id_type": {"value": "CPR"}, "value": "010180-0000"}]}
    with pytest.raises(LibraryRefused) as raised:
        alma_users.find_number(own, KEYS)
    assert CPR not in str(raised.value)
    if not by_own:
        assert not alma_calls.is_possible_number(number)
        with pytest.raises(LibraryRefused):
            alma_users.find_number({"primary_id": number}, KEYS)


@pytest.mark.parametrize(
    "number", [f"L-{MARK}", "L-01018000001234567890123456789012", "AU123456", "N-77", "20261126011"]
)
def test_a_number_that_holds_none_stays(number: str) -> None:
    """A number of the series does, whatever digits are in it."""
    assert alma_users.find_number({"primary_id": number}, KEYS) == number
    assert alma_calls.is_possible_number(number)


@pytest.mark.parametrize(
    ("identifiers", "card"),
    [([("1", "ACTIVE")], "1"), ([("1", "INACTIVE"), ("2", "ACTIVE")], "2"), ([("1", "INACTIVE")], "1"), ([], None)],
)
def test_the_card_is_the_barcode_in_use(identifiers: list[tuple[str, str]], card: str | None) -> None:
    """One that staff have set aside lends nothing."""
    listed = [{"id_type": {"value": "BARCODE"}, "value": value, "status": status} for value, status in identifiers]
    borrower = alma_users.read_borrower({"primary_id": "L-1", "user_identifier": listed}, KEYS)
    assert borrower.card == card
