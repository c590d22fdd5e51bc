"""Whoever calls with the reference of their page is helped: it leads staff to the enrolment or case that held it up."""

import pytest
from werkzeug.test import TestResponse

from broker.app import diagnostics
from broker.demo.people.personas import persona
from tests.plugins.house import House, found, mark

ASTA = persona("asta").attributes["schacPersonalUniqueID"][0][-10:]
SPELLED = f"{ASTA[:6]}-{ASTA[6:]}"  # on a second card: the database takes it for another number
DESK = {"surname": "Ravn", "firstname": "Asta", "library_id": "AUL", "category_id": "STUDENT"}


def reference(page: TestResponse) -> str:
    """Give the reference on a page as somebody reads it aloud."""
    written = found(page, "//div[@class='reference']//strong/text()")
    return f"{written[:4]} {written[4:]}".lower()


@pytest.fixture
def pair(house: House) -> tuple[str, str]:
    """Give the numbers of two borrowers that Asta's CPR number finds."""
    made = [house.koha.patrons.create({**DESK, "cardnumber": card, "userid": card}) for card in (ASTA, SPELLED)]
    return str(made[0]["patron_id"]), str(made[1]["patron_id"])


@pytest.mark.parametrize("service", ["my-loans", "myprint"])
def test_the_reference_of_a_refused_page_names_the_case(house: House, pair: tuple[str, str], service: str) -> None:
    """Whether the login wished for a borrower or only needs the one there is; the two numbers stand in it."""
    person = house.person()
    page = person.log_in("asta", service=service)
    page = person.agree(page) if mark(page)[0] == "ask" else page
    assert mark(page) == ("refuse", "two_borrowers")
    trace = diagnostics.trace(house.parts, reference(page))
    assert trace is not None
    [case] = [row for row in house.parts.cases.rows() if row["state"] == "case"]
    assert (trace["enrolment"], trace["reason"]) == (case["id"], "two_borrowers")
    assert case["borrowers"] == ", ".join(pair)
