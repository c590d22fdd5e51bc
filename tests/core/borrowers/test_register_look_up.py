"""The address that an answer of the register of persons gives a borrower, and the note about a number."""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.borrowers.register_look_up import ADDRESS_FIELDS, address_changes, address_fields
from broker.core.borrowers.registered_person import RegisteredAddress
from broker.core.policy.model import RegisterRule

ADDRESS: Final = RegisteredAddress("Hansen", "Prøvevej 12, 2. th", "Nørre Prøve", "8000", "Aarhus C")
WRITTEN: Final = (
    ("address", "Prøvevej 12, 2. th"),
    ("address2", "c/o Hansen, Nørre Prøve"),
    ("postal_code", "8000"),
    ("city", "Aarhus C"),
)
ALWAYS: Final = RegisterRule("always")
IF_EMPTY: Final = RegisterRule("set_if_empty")


def test_an_address_is_written_as_a_whole() -> None:
    """A line of the former address that the new one does not have is emptied."""
    assert address_changes(ADDRESS, {}, ALWAYS) == WRITTEN
    plain = replace(ADDRESS, care_of="", place="")
    changes = address_changes(plain, {"address": "Gammelvej 1", "address2": "c/o Olsen"}, ALWAYS)
    assert changes[1] == ("address2", "")
    assert [name for name, _ in address_changes(plain, {}, ALWAYS)] == ["address", "postal_code", "city"]


@pytest.mark.parametrize("field", ADDRESS_FIELDS)
def test_set_if_empty_keeps_the_address_that_is_there(field: str) -> None:
    """One line of an address is enough to keep it."""
    assert address_changes(ADDRESS, {}, IF_EMPTY) == WRITTEN
    assert address_changes(ADDRESS, {field: "x"}, IF_EMPTY) == ()
    assert address_changes(ADDRESS, {field: "x"}, ALWAYS) == WRITTEN


def test_nothing_is_written_without_a_difference_an_address_or_a_rule() -> None:
    """The library system is not called for a change that changes nothing."""
    assert address_changes(ADDRESS, dict(WRITTEN), ALWAYS) == ()
    assert address_changes(None, {"address": "Gammelvej 1"}, ALWAYS) == ()
    assert address_changes(ADDRESS, {}, RegisterRule()) == ()


@given(st.builds(RegisteredAddress, *[st.text(max_size=8)] * 5))
def test_an_incomplete_address_is_none(address: RegisteredAddress) -> None:
    """Without a street line, a postal code or a city nothing is written; every field is harmless."""
    fields = address_fields(address)
    if fields is None:
        return
    assert tuple(fields) == ADDRESS_FIELDS
    assert fields["address"]
    assert fields["postal_code"]
    assert fields["city"]
    assert not any(text.startswith(("=", "+", "-", "@")) or "<" in text for text in fields.values())
