"""Who is let in no more gets nothing, however far their login had come: at every page, and at the write itself."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from broker.adapters.saml.gate import http_bindings
from broker.core.audit_events import AuditEventKind
from broker.core.borrowers.owed_look_up import PERSON_DEAD, LookUpOutcome
from broker.core.errors import REQUEST_DENIED
from broker.core.login.transaction import Transaction
from broker.use_cases.login.person_at_login import PersonAtLogin
from tests.attacks.test_one_write_races import OVERTAKEN, STANDS, around_the_write, live_sessions, releases, told
from tests.plugins.house import House, Person, form, forms, mark

pytestmark = pytest.mark.attack(15, 30)
CPR: Final = "1403044004"
CHANGED: Final = LookUpOutcome.NUMBER_CHANGED.value
REASONS: Final = (PERSON_DEAD, CHANGED)
REFUSED: Final = AuditEventKind.REFUSED.value


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.server)])
def environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """Give the store of the broker under test."""
    if request.param == "sqlite":
        return {}
    return {"BROKER_STORE__URL": request.getfixturevalue("redis_url")}


def bar(house: House, reason: str = PERSON_DEAD) -> None:
    """Let nobody in by Asta's number, as a case of the register's does."""
    links = house.broker.lookup.persons.links
    assert links.known_by_cpr(links.of_cpr(CPR))
    links.bar(links.of_cpr(CPR), reason)


def holds(house: House, person: Person, page: TestResponse, reason: str = PERSON_DEAD) -> None:
    """Hold that a page refuses for the reason, with a reference, and takes the refusal to the service alone."""
    for shown in (page, person.get(page.request.path.removesuffix("/consent"))):
        assert mark(shown) == ("refuse", reason)
        name = shown.request.path.split("/")[2]
        reference = house.broker.read(name, house.clock.now()).transaction.reference
        assert reference in shown.get_data(as_text=True).replace(" ", "")
        [answer] = [fields["SAMLResponse"] for _, fields in forms(shown) if "SAMLResponse" in fields]
        xml = http_bindings.decode_post(answer)
        assert str(REQUEST_DENIED.second).encode() in xml
        assert b"Assertion" not in xml.replace(b"SAML:2.0:assertion", b"")


@pytest.mark.parametrize("answer", ["yes", "no"])
@pytest.mark.parametrize("reason", REASONS)
def test_between_the_question_and_its_answer(house: House, reason: str, answer: str) -> None:
    """Neither answer is recorded, and nothing is told as released."""
    person = house.person()
    page = person.log_in("asta")
    before = len(told(house))
    bar(house, reason)
    refused = person.agree(page, answer=answer)
    holds(house, person, refused, reason)
    assert releases(house, before) == ()
    assert told(house)[before] == REFUSED
    assert live_sessions(house) == []


def test_between_the_page_that_waits_and_its_end(house: House) -> None:
    """The library system was down meanwhile; no account is made either."""
    house.koha.faults.down = True
    person = house.person()
    waits = person.agree(person.log_in("asta"))
    assert mark(waits)[0] == "enrol"
    before = len(told(house))
    bar(house)
    house.koha.faults.down = False
    holds(house, person, person.get(waits.request.path.removesuffix("/consent")))
    assert releases(house, before) == ()


def test_while_one_request_waits_for_the_account(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait is as long as a page; nothing is told as released after it."""
    plain = PersonAtLogin.enrol

    def enrol(self: PersonAtLogin, *given: Any, **how: Any) -> Any:
        account = plain(self, *given, **how)
        bar(house)
        return account

    monkeypatch.setattr(PersonAtLogin, "enrol", enrol)
    person = house.person()
    page = person.log_in("asta")
    before = len(told(house))
    holds(house, person, person.agree(page))
    assert releases(house, before) == ()


def bars(house: House, reason: str) -> Callable[[Transaction, Callable[[], bool]], bool]:
    """Give what bars the person between what the issuing request has read and its write."""

    def around(_: Transaction, write: Callable[[], bool]) -> bool:
        bar(house, reason)
        return write()

    return around


@pytest.mark.parametrize("reason", REASONS)
def test_between_read_and_write_of_an_answer(house: House, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    """The page posts nothing but the refusal: the session is called off, the trail takes the release back."""
    person = house.person()
    page = person.log_in("asta")
    before = len(told(house))
    around_the_write(monkeypatch, bars(house, reason))
    holds(house, person, person.agree(page), reason)
    assert releases(house, before) == OVERTAKEN[:2]
    assert live_sessions(house) == []


@pytest.mark.parametrize("reason", REASONS)
def test_between_read_and_write_of_a_login_that_goes_straight_through(
    house: House, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    """The arrival is spent by then; its address leads to the refusal however often it is opened."""
    person = house.person()
    house.landing(person.agree(person.log_in("asta"), remember=True))
    arrived = person.deliver(*house.answer(person.choose(person.ask()), "asta"))
    before, sessions = len(told(house)), len(live_sessions(house))
    around_the_write(monkeypatch, bars(house, reason))
    holds(house, person, person.get(arrived.location), reason)
    assert mark(person.get(arrived.location)) == ("refuse", reason)
    assert releases(house, before) == OVERTAKEN[:2]
    assert len(live_sessions(house)) == sessions


def test_after_what_has_left(house: House) -> None:
    """Nothing is given again; the session that the service has stays, for a logout to end."""
    person = house.person()
    page = person.log_in("asta")
    before = len(told(house))
    house.landing(person.agree(page))
    bar(house)
    refused = person.get(page.request.path.removesuffix("/consent"))
    assert mark(refused) == ("refuse", PERSON_DEAD)
    assert releases(house, before) == STANDS
    assert len(live_sessions(house)) == 1


def test_a_logout_comes_before_a_bar(house: House) -> None:
    """Who has logged out at that browser is told that, and nothing of the case of anybody."""
    person = house.person()
    page = person.log_in("asta")
    held = house.broker.read(page.request.path.split("/")[2], house.clock.now())
    assert held.transaction.browser
    assert held.transaction.person
    browser, whose = held.transaction.browser, held.transaction.person.id
    house.broker.issuance.sessions.close(browser, whose, house.clock.now())
    bar(house)
    token = form(page)[1]["token"]
    late = person.post(page.request.path, {"token": token, "answer": "yes"})
    assert mark(late) == ("error", "transaction_gone")


def test_at_a_service_without_accounts(house: House) -> None:
    """A case about borrowers lets the person go on there; nobody is let in as the dead anywhere."""
    person = house.person()
    page = person.log_in("asta", service="e-resources")
    bar(house, CHANGED)
    if mark(page)[0] == "ask":
        page = person.agree(page)
    assert house.landing(page).session
    other = house.person()
    page = other.log_in("asta", service="e-resources", force=True)
    bar(house)
    assert mark(other.get(page.request.path)) == ("refuse", PERSON_DEAD)


def test_one_s_choices_are_shown_to_nobody_as_the_dead(house: House) -> None:
    """Nor the button that takes them back: the page that stood open meanwhile does nothing more."""
    person = house.person()
    house.landing(person.agree(person.log_in("asta"), remember=True))
    page = person.get(f"{person.base}/my-choices?with=wayf")
    listed = person.get(person.deliver(*house.answer(page.location, "asta")).location)
    assert mark(listed)[0] == "choices"
    bar(house)
    assert mark(person.press(listed, do="withdraw")) == ("refuse", PERSON_DEAD)
    assert mark(person.get(listed.request.full_path)) == ("refuse", PERSON_DEAD)


@pytest.mark.parametrize("reason", REASONS)
def test_no_pin_is_chosen_on_a_page_that_stood_open(house: House, reason: str) -> None:
    """The form is answered by the refusal, and the library system is asked for nothing."""
    person = house.person()
    house.landing(person.agree(person.log_in("asta")))
    house.pin_proved()
    begun = person.get("/pin?change=wayf")
    page = person.get(person.deliver(*house.answer(begun.location, "asta")).location)
    assert mark(page)[0] == "pin"
    bar(house, reason)
    before = house.borrower_calls()
    assert mark(person.press(page, do="choose", pin="8351", again="8351")) == ("refuse", reason)
    assert house.borrower_calls() == before
