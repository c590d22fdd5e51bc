"""What is Serviceplatformen's own: its agreement, its faults, and elements that half say something."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.adapters.registers import serviceplatformen_answer
from broker.core.borrowers.registered_person import RegisterError, RegisterRefused
from tests.adapters.registers.conftest import Stage

Soon = Callable[..., datetime]

CPR = "0101800000"


@pytest.mark.server
def test_another_municipality_has_no_agreement(serviceplatformen: Stage, soon: Soon) -> None:
    """The fault's code is told, its text is not: it may repeat the number."""
    with pytest.raises(RegisterRefused, match="a fault: NO_AGREEMENT"):
        serviceplatformen.opened(municipality="87654321").look_up(CPR, soon())


@pytest.mark.parametrize(
    ("protection", "protected"),
    [(None, False), ({"startdato": "2025-01-01"}, True), ({"beskyttet": "true"}, True), ({"beskyttet": "0"}, False)],
)
def test_protection_with_dates_alone_protects(protection: object, protected: object) -> None:
    """The interface leaves the mark optional."""
    person = {"status": {"status": "1"}, "adressebeskyttelse": protection}
    assert serviceplatformen_answer.read({"persondata": person}, CPR).protected is protected


def test_an_answer_without_a_person_is_refused() -> None:
    """Every element is optional in the interface; one without the person says nothing of anybody."""
    with pytest.raises(RegisterRefused, match="persondata"):
        serviceplatformen_answer.read({"adresse": None}, CPR)


JUNK = st.recursive(
    st.none() | st.booleans() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = ("navn", "status", "gaeldendePersonnummer", "umyndiggoerelse", "adresse")


@given(st.sampled_from(NAMES), JUNK)
def test_any_element_may_be_of_any_shape(name: str, junk: Any) -> None:
    """It is read as a person or refused, and a protected person stays protected."""
    person = {"status": {"status": "1"}, "adressebeskyttelse": {"beskyttet": "true"}, name: junk}
    try:
        read = serviceplatformen_answer.read({"persondata": person, "adresse": junk}, CPR)
    except RegisterError:
        return
    assert read.protected
