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


ANSWER = (
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><PersonLookupResponse '
    'xmlns="http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/5/">{}</PersonLookupResponse>'
    "</e:Body></e:Envelope>"
)
PERSON = "<persondata><personnummer>0101800000</personnummer><status><status>1</status></status>{}</persondata>"
MARK = "<beskyttet>true</beskyttet>"
SCHEMA = "xmlns:xs='http://www.w3.org/2001/XMLSchema' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'"
NO_MARK = "<beskyttet>false</beskyttet>"


@pytest.mark.server
@pytest.mark.parametrize(
    ("written", "protected"),
    [
        ("", False),
        (f"<adressebeskyttelse>{NO_MARK}</adressebeskyttelse>", False),
        (f"<markedsfoeringsbeskyttelse>{MARK}</markedsfoeringsbeskyttelse>", False),
        ("<adressebeskyttelse/>", True),
        ("<adressebeskyttelse>true</adressebeskyttelse>", True),
        ('<q:adressebeskyttelse xmlns:q="urn:q"/>', True),
        (f"<adresseBeskyttelse>{MARK}</adresseBeskyttelse>", True),
        (f"<navneOgAdressebeskyttelse>{MARK}</navneOgAdressebeskyttelse>", True),
        (f"<adressebeskyttelse>{NO_MARK}</adressebeskyttelse><beskyttelse/>", True),
    ],
)
def test_an_odd_protection_protects(serviceplatformen: Stage, soon: Soon, written: str, protected: object) -> None:
    """An element that the interface's reader drops, for it is empty or of another name, is not taken for none."""
    serviceplatformen.simulated.faults.answer = ANSWER.format(PERSON.format(written)).encode()
    found = serviceplatformen.opened().look_up(CPR, soon())
    assert found is not None
    assert found.protected is protected


@pytest.mark.server
@pytest.mark.parametrize(
    "answer",
    [
        PERSON.format("") * 2,
        PERSON.format(f"<adressebeskyttelse>{NO_MARK}</adressebeskyttelse>" * 2),
        PERSON.format("") + "<adresse><aktuelAdresse/></adresse>" * 2,
        PERSON.replace(CPR, "0202800000").format(""),
        PERSON.format("<gaeldendePersonnummer>0202</gaeldendePersonnummer>"),
        PERSON.format(f"<startdato xsi:type='xs:decimal' {SCHEMA}>abc</startdato>"),
    ],
    ids=["two persons", "two protections", "two addresses", "another person", "half a number", "no decimal"],
)
def test_two_of_one_or_another_person_are_refused(serviceplatformen: Stage, soon: Soon, answer: str) -> None:
    """Which of two records holds is not guessed, and nobody's address is written to somebody else."""
    serviceplatformen.simulated.faults.answer = ANSWER.format(answer).encode()
    with pytest.raises(RegisterRefused):
        serviceplatformen.opened().look_up(CPR, soon())


@pytest.mark.server
def test_an_answer_of_many_begins_is_read_once(serviceplatformen: Stage, soon: Soon) -> None:
    """Read once for each begin it would take two hours of the worker, whatever the deadline is."""
    serviceplatformen.simulated.faults.answer = ANSWER.format("<persondata/>" * 100_000).encode()
    with pytest.raises(RegisterRefused):
        serviceplatformen.opened().look_up(CPR, soon())


@pytest.mark.server
def test_an_answer_in_another_encoding_is_refused(serviceplatformen: Stage, soon: Soon) -> None:
    """Its elements could not be told apart from others."""
    serviceplatformen.simulated.faults.answer = ANSWER.format(PERSON.format("<adressebeskyttelse/>")).encode("utf-16")
    with pytest.raises(RegisterRefused):
        serviceplatformen.opened().look_up(CPR, soon())


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
