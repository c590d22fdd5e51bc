"""The simulated library beside its SAML services: the machine that lends, the profile, and the plain pages."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from lxml import html
from werkzeug.test import TestResponse

from broker.adapters.saml.gate import encryption, safe_parser
from broker.adapters.saml.gate.http_bindings import inflate_redirect
from broker.demo.circulation.library_desk import account
from broker.demo.koha import simulated_koha
from broker.demo.koha.administration import FOUR_DIGIT_PINS
from broker.demo.koha.loans import BOOKS, Circulation
from broker.demo.koha.sip2_server import TERMINALS, serve_sip2
from broker.demo.library import services
from broker.demo.library.information_pages import PLACES
from broker.demo.library.sip2_client import Machine, MachineFailed
from broker.demo.people.personas import PERSONAS, persona
from broker.demo.run.demo_folder import SERVICES
from broker.demo.run.demo_library import lent, seeds

pytestmark = pytest.mark.server

PEER = services.BrokerAsIdp("https://broker.example/idp", "https://broker.example/sso", ())
ISSUED = "{urn:oasis:names:tc:SAML:2.0:protocol}"


@dataclass(slots=True)
class Hall:
    """The library without a broker."""

    circulation: Circulation
    koha: simulated_koha.Simulation
    client: FlaskClient

    def row(self, name: str) -> dict[str, Any]:
        """Return the borrower that staff have registered for a persona."""
        rows = self.circulation.patrons.rows()
        return next(each for each in rows if each["userid"] == persona(name).registered[0]["userid"])


@pytest.fixture
def hall() -> Iterator[Hall]:
    """Return the library with its registered borrowers, and its lending machine connected."""
    system = simulated_koha.create_app(seeds(), administration=FOUR_DIGIT_PINS)
    koha = system.extensions["koha"]
    circulation = lent(koha.patrons)
    sites = {
        name: services.Site(title, entity_id, f"https://library.example/{name}/acs", danish)
        for name, (title, danish, entity_id) in SERVICES.items()
    }
    keys = encryption.DecryptionKeys.of([])
    with serve_sip2(circulation) as port:
        machine = Machine(port, *next(iter(TERMINALS.items())))
        app = services.create_app(sites, lambda: PEER, keys, circulation, "https://broker.example", machine=machine)
        yield Hall(circulation, koha, app.test_client())


def texts(answer: TestResponse, path: str) -> list[str]:
    """Return what an XPath finds on a page."""
    found = html.fromstring(answer.get_data()).xpath(path)
    assert isinstance(found, list)
    return [str(each) for each in found]


def test_the_machine_lends_to_number_and_pin(hall: Hall) -> None:
    """A borrower types the number on the card and the PIN, gets a book once, and sees every loan."""
    form = {"identifier": "0303651330", "pin": "8362", "book": BOOKS[0]}
    for told in ("You have borrowed", "You have that book already."):
        answer = hall.client.post("/machine", data=form)
        assert answer.status_code == 200
        assert texts(answer, "//ul[@id='loans']/li/text()") == [BOOKS[2], BOOKS[0]]
        assert "".join(texts(answer, "//*[@id='lent']//text()")).startswith(told)
    assert texts(answer, "//strong[@id='borrower']/text()") == ["Vera Friis"]


@pytest.mark.parametrize("typed", ["0303651330", " 0303651330 "])
def test_the_machine_knows_a_cpr_number_and_shows_it_nowhere(hall: Hall, typed: str) -> None:
    """The health card's number is the card number: it opens the machine and stands on no page."""
    answer = hall.client.post("/machine", data={"identifier": typed, "pin": "8362"})
    assert answer.status_code == 200
    assert "1330" not in answer.get_data(as_text=True)


def test_the_internal_number_opens_no_machine(hall: Hall) -> None:
    """No card and no machine knows it, and no page shows it."""
    row = hall.row("vera")
    for page in ("/machine", "/profile"):
        assert hall.client.post(page, data={"identifier": str(row["patron_id"]), "pin": "8362"}).status_code == 422


@pytest.mark.parametrize("page", ["/machine", "/profile"])
def test_a_machine_without_its_library_system_says_so(hall: Hall, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told that their PIN is wrong."""

    def silent(*_: object) -> None:
        raise MachineFailed("down")

    monkeypatch.setattr(Machine, "borrower", silent)
    answer = hall.client.post(page, data={"identifier": "0303651330", "pin": "8362"})
    assert answer.status_code == 503
    assert texts(answer, "//*[@id='problem']//text()") == ["No connection to the library system just now."]


@pytest.mark.parametrize("state", [{"restricted": True}, {"patron_card_lost": True}, {"expiry_date": "2020-01-01"}])
def test_the_machine_says_that_lending_is_barred(hall: Hall, state: dict[str, object]) -> None:
    """Number and PIN are right, and no book is lent: the machine sends the borrower to the desk."""
    hall.koha.patrons.edit(hall.row("vera")["patron_id"], **state)
    answer = hall.client.post("/machine", data={"identifier": "0303651330", "pin": "8362", "book": BOOKS[0]})
    assert answer.status_code == 200
    assert "Ask at the desk" in "".join(texts(answer, "//*[@id='lent']//text()"))
    assert hall.circulation.loans(hall.row("vera")["patron_id"]) == BOOKS[2:]


@pytest.mark.parametrize("page", ["/machine", "/profile"])
@pytest.mark.parametrize("form", [{}, {"identifier": "vera", "pin": "8362"}, {"identifier": "0303651330", "pin": "1"}])
def test_a_wrong_pin_is_told_in_one_sentence(hall: Hall, page: str, form: dict[str, str]) -> None:
    """An unknown number and a wrong PIN look alike, nothing is lent, and nothing that was typed comes back."""
    answer = hall.client.post(page, data={"book": BOOKS[0], **form})
    assert answer.status_code == 422
    assert texts(answer, "//*[@id='problem']//text()") == ["The number and the PIN do not belong together."]
    assert "0303651330" not in answer.get_data(as_text=True)
    assert hall.circulation.loans(hall.row("vera")["patron_id"]) == BOOKS[2:]


def test_the_profile_is_edited_and_the_pin_changed(hall: Hall) -> None:
    """Mail, telephone, address and PIN are written to the library system; category and name stay."""
    before = hall.row("vera")
    number = before["cardnumber"]
    opened = hall.client.post("/profile", data={"identifier": "0303651330", "pin": "8362"})
    assert texts(opened, "//input[@name='email']/@value") == ["vera@own.example"]
    assert number not in opened.get_data(as_text=True)
    wanted = {"email": "vera@new.example", "phone": "+45 11 11 11 11", "address": "Bakken 3"}
    form = {"identifier": number, "pin": "8362", "new_pin": "5926", "again": "5926", **wanted}
    assert texts(hall.client.post("/profile", data=form), "//*[@id='saved']/text()") == ["Your profile is saved."]
    after = hall.row("vera")
    assert {name: after[name] for name in wanted} == wanted
    assert {name: after[name] for name in ("category_id", "surname")} == {
        name: before[name] for name in ("category_id", "surname")
    }
    assert hall.koha.patrons.proven(number, "8362") is None
    assert hall.koha.patrons.proven(number, "5926") is not None


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"email": "nobody"}, "Write a mail address"),
        ({"phone": "1" * 201}, "One of the lines is too long"),
        ({"new_pin": "12", "again": "12"}, "The new PIN must be four digits"),
        ({"new_pin": "5926", "again": "5927"}, "The two new PINs differ"),
        ({"pin": "0000"}, "The number and the PIN do not belong together"),
    ],
)
def test_a_fault_in_the_profile_changes_nothing(hall: Hall, fault: dict[str, str], sentence: str) -> None:
    """The form comes back with what was typed, and the borrower is as before."""
    before = hall.row("vera")
    form = {"identifier": "0303651330", "pin": "8362", "email": "v@new.example", "phone": "", "address": ""}
    answer = hall.client.post("/profile", data={**form, **fault})
    assert answer.status_code == 422
    assert sentence in "".join(texts(answer, "//*[@id='problem']//text()"))
    assert texts(answer, "//input[@name='email']/@value") == [{**form, **fault}["email"]]
    after = hall.row("vera")
    assert {**after, "login_attempts": 0} == before


def test_the_profile_tells_nobody_who_is_registered(hall: Hall) -> None:
    """A filled form with a wrong PIN gets the same page for a number that there is and one that there is not."""
    pages = set()
    for number in ("0303651330", "0303651331", "T-2002", "99999"):
        form = {"identifier": number, "pin": "0000", "email": "v@new.example", "phone": "", "address": ""}
        answer = hall.client.post("/profile", data=form)
        assert answer.status_code == 422
        assert number not in answer.get_data(as_text=True)
        pages.add(answer.get_data())
    assert len(pages) == 1


@pytest.mark.parametrize("path", ["", "machine", "profile", *PLACES])
@pytest.mark.parametrize("language", ["en", "da"])
def test_every_page_speaks_both_languages(hall: Hall, path: str, language: str) -> None:
    """Each page is in the language asked for, the next one too; the Danish hospital page is always Danish."""
    answer = hall.client.get(f"/{path}?lang={language}")
    assert answer.status_code == 200
    assert texts(answer, "//html/@lang") == ["da" if path == "hospital-da" else language]
    assert texts(hall.client.get("/machine"), "//html/@lang") == [language]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", []),
        ("?way=wayf", ["https://idp.au.example"]),
        ("?way=nemid", ["https://nemlogin.wayf.dk"]),
        ("?way=library", [PEER.entity_id]),
        ("?way=other", []),
    ],
)
def test_the_way_is_named_in_the_request(hall: Hall, query: str, named: list[str]) -> None:
    """My loans leaves the choice to the broker, or names one way by an IDPList."""
    sent = hall.client.get(f"/my-loans{query}").location.partition("?")[2]
    asked = safe_parser.parse(inflate_redirect(sent, "SAMLRequest").xml, ISSUED + "AuthnRequest")
    assert [each.get("ProviderID") for each in asked.iter(ISSUED + "IDPEntry")] == named


def test_loans_stay_with_the_number(hall: Hall) -> None:
    """Another category is another row in nothing: what was lent before is there after."""
    row = hall.row("jens")
    changed = {"category_id": "STUDENT", "surname": row["surname"], "library_id": row["library_id"]}
    hall.circulation.patrons.change(row["patron_id"], changed)
    assert hall.circulation.loans(row["patron_id"]) == BOOKS[:1]
    assert hall.circulation.balance(row["patron_id"]) == 50


def test_a_merge_moves_the_loans(hall: Hall) -> None:
    """The kept number has the loans of both, each book once; the other number is nobody's."""
    jens, vera = (hall.row(name)["patron_id"] for name in ("jens", "vera"))
    hall.circulation.lend(jens, BOOKS[2])
    hall.circulation.merge(vera, jens)
    assert hall.circulation.loans(vera) == (BOOKS[2], BOOKS[0])
    assert account(hall.circulation, str(jens)) is None
    assert hall.circulation.loans(jens) == ()


def test_every_persona_has_a_name_of_its_own() -> None:
    """A persona is picked by name, at the hub and in tests."""
    names = [each.name for each in PERSONAS]
    assert len(set(names)) == len(names)
