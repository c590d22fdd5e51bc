"""Serviceplatformen: agreement, faults, and incomplete elements."""

from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.adapters.person_register import serviceplatformen as connector
from broker.core.borrowers.registered_person import RegisteredPerson, RegisterError, RegisterRefused
from tests.adapters.person_register.conftest import Stage
from tests.conformance.library_suite.values import soon

CPR = "0101800000"


@pytest.mark.server
def test_another_municipality_has_no_agreement(serviceplatformen: Stage) -> None:
    """The error has the fault's code, but not its text, which may repeat the number."""
    with pytest.raises(RegisterRefused, match="a fault: NO_AGREEMENT"):
        serviceplatformen.opened(municipality="87654321").look_up(CPR, soon())


ANSWER = (
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><PersonLookupResponse '
    'xmlns="http://serviceplatformen.dk/xml/wsdl/soap11/CPR/PersonBaseDataExtended/5/">{}</PersonLookupResponse>'
    "</e:Body></e:Envelope>"
)
PERSON = "<persondata><personnummer>0101800000</personnummer><status><status>1</status></status>{}</persondata>"
MARK = "<beskyttet>true</beskyttet>"
NO_MARK = "<beskyttet>false</beskyttet>"


def read(*written: str) -> RegisteredPerson | None:
    """Return the person of an answer."""
    return connector.read_answer(ANSWER.format("".join(written)).encode(), CPR)


@pytest.mark.parametrize(
    ("written", "protected"),
    [
        ("", False),
        (f"<adressebeskyttelse>{NO_MARK}</adressebeskyttelse>", False),
        ("<adressebeskyttelse><beskyttet>0</beskyttet></adressebeskyttelse>", False),
        ("<adressebeskyttelse><startdato>2025-01-01</startdato></adressebeskyttelse>", True),
        (f"<adressebeskyttelse>{MARK}</adressebeskyttelse>", True),
        (f"<markedsfoeringsbeskyttelse>{MARK}</markedsfoeringsbeskyttelse>", False),
        ("<adressebeskyttelse/>", True),
        ("<adressebeskyttelse>true</adressebeskyttelse>", True),
        ('<q:adressebeskyttelse xmlns:q="urn:q"/>', True),
        (f"<adresseBeskyttelse>{MARK}</adresseBeskyttelse>", True),
        (f"<navneOgAdressebeskyttelse>{MARK}</navneOgAdressebeskyttelse>", True),
        (f"<adressebeskyttelse>{NO_MARK}</adressebeskyttelse><beskyttelse/>", True),
    ],
)
def test_an_odd_protection_protects(written: str, protected: object) -> None:
    """A protection element that is empty, has only dates or has an unknown name counts as protection."""
    found = read(PERSON.format(written))
    assert found is not None
    assert found.protected is protected


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "<adresse/>",
        PERSON.format("") * 2,
        "<persondata/>" * 20_000,
        PERSON.format(f"<adressebeskyttelse>{NO_MARK}</adressebeskyttelse>" * 2),
        PERSON.format("<adressebeskyttelse><beskyttet>maybe</beskyttet></adressebeskyttelse>"),
        PERSON.format("") + "<adresse><aktuelAdresse/></adresse>" * 2,
        PERSON.format("") + "<adresse><aktuelAdresse><bynavn/><bynavn/></aktuelAdresse></adresse>",
        PERSON.format("") + "<adresse><aktuelAdresse><bynavn><b/></bynavn></aktuelAdresse></adresse>",
        PERSON.replace(CPR, "0202800000").format(""),
        PERSON.format("<gaeldendePersonnummer>0202</gaeldendePersonnummer>"),
    ],
)
def test_repeated_elements_and_another_person_are_refused(answer: str) -> None:
    """The broker does not guess which of two elements is right, and never takes another person's address."""
    with pytest.raises(RegisterRefused, match="not as documented"):
        read(answer)


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", b"\xff\xfe", b'<!DOCTYPE x [<!ENTITY e "0">]>' + ANSWER.format(PERSON.format("&e;")).encode()],
)
def test_an_answer_that_is_no_message_is_refused(answer: bytes) -> None:
    """A DOCTYPE is refused too: its entities could define any content."""
    with pytest.raises(RegisterRefused, match="not an XML message of the interface"):
        connector.read_answer(answer, CPR)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=300))
def test_any_text_in_an_element_is_read_or_refused(junk: str) -> None:
    """In both cases a protected person stays protected."""
    protection = f"<adressebeskyttelse>{MARK}</adressebeskyttelse>"
    text = escape(junk)
    address = f"<adresse><aktuelAdresse><vejnavn>{text}</vejnavn><conavn>{text}</conavn></aktuelAdresse></adresse>"
    try:
        found = read(PERSON.format(f"{protection}<gaeldendePersonnummer>{text}</gaeldendePersonnummer>"), address)
    except RegisterError:
        return
    assert found is not None
    assert found.protected
