"""The staff view in Danish: no English of ours but what the commands print of files and causes, marked as such."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache

import pytest
from babel.messages.pofile import read_po
from lxml import html
from werkzeug.test import TestResponse

from broker.adapters.translations.catalogue import FOLDER
from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.event_routes import TraceFacts
from broker.core.staff_sentences import PAGES, REASONS
from broker.core.stateless_references import SPEAKABLE
from broker.demo.people.personas import persona
from broker.use_cases.login.support_traces import SupportTraces
from tests.plugins.house import House, Person, found, mark
from tests.plugins.staff import ADMIN, DESK, enter, send

EMPTY = dict.fromkeys(("cpr", "age", "assurance", "service", "intent", "affiliation"), "")
LOGINS = {
    "a student everywhere": {"upstream": "wayf", "affiliation": "student@au.dk", "cpr": "real", "age": "22"},
    "nobody of the library's": {"upstream": "wayf", "affiliation": "affiliate@au.dk", "nearest": "yes"},
    "by the national eID": {"upstream": "nemid", "assurance": "low", "cpr": "constructed", "nearest": "yes"},
    "chosen at the sign-up": {"upstream": "nemid", "intent": "hospital", "cpr": "replacement", "nearest": "yes"},
    "by number and PIN": {"upstream": "library", "cpr": "none", "nearest": "yes"},
    "two affiliations": {"upstream": "wayf", "affiliation": "student@au.dk employee@au.dk", "assurance": "high"},
}
CAUSE = "the library system answered 400"
REFUSED = ("lars", "finn", "gry")
# Names of attributes, services and affiliations are words of the files in any language.
CODES = {
    "mail",
    "student",
    "private",
    "employee",
    "hospital",
    "affiliate",
    "matched",
    "service",
    "browser",
    "library",
    "cpr",
}
# A rule is quoted as its file writes it.
QUOTED = r"\b(?:upstream|assurance|age|cpr|service|borrower|affiliation): [\w-]+(?:, [\w-]+)*"


def words(text: str) -> set[str]:
    """Give the words of a text that are no codes, paths, names of files, or quoted commands."""
    spoken = re.sub(QUOTED + r"|`[^`]*`|%\(\w+\)s|\S*[_.:@/*\d]\S*\w", " ", text)
    return {each.lower() for each in re.findall(r"(?<![\w-])[^\W\d_]{2,}(?![\w-])", spoken)}


@cache
def english() -> frozenset[str]:
    """Give the words that stand in an English text of ours, and in no Danish one."""
    with (FOLDER / "da" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        texts = [(str(each.id), str(each.string)) for each in read_po(file, locale="da") if each.id]
    ours = {word for text, _ in texts for word in words(text)}
    danish = {word for _, text in texts for word in words(text)}
    return frozenset(ours - danish - CODES)


def read(page: TestResponse) -> Iterator[str]:
    """Give the texts of a page outside what is marked as English."""
    texts = html.fromstring(page.get_data(as_text=True)).xpath("//body//text()[not(ancestor::*[@lang='en'])]")
    assert isinstance(texts, list)
    yield from map(str, texts)


def check(page: TestResponse) -> None:
    """Hold that a page is Danish: in its texts, and in all but what is printed elsewhere in English."""
    assert page.status_code == 200, page.get_data(as_text=True)
    tree = html.fromstring(page.get_data(as_text=True))
    assert tree.get("lang") == "da"
    assert tree.xpath("//main//*[@lang='en' and not(@data-printed)]") == []
    assert {word for text in read(page) for word in words(text)} & english() == set()


def refused(house: House, name: str) -> str:
    """Let a person of the demo be refused, and give the reference."""
    page = house.person().log_in(name, persona(name).way)
    assert mark(page)[0] == "refuse"
    return found(page, "//div[@class='reference']//strong/text()")


@pytest.fixture
def admin(old_house: House) -> Person:
    """Give an identity admin who is logged in, and reads Danish."""
    return enter(old_house, ADMIN)


def test_the_words_that_are_looked_for_are_english() -> None:
    """Of the lines of a trial and the advice of staff, too: the other tests would find them."""
    assert {"refused", "leaves", "stays", "would", "merge", "nothing", "borrower", "the", "masked"} <= english()


@pytest.mark.parametrize("path", ["/admin", "/admin/try", "/admin/explain"])
def test_every_page_of_an_admin_is_danish(admin: Person, path: str) -> None:
    """As it opens; what the checks say of files is marked as English."""
    check(admin.get(path))


@pytest.mark.parametrize("login", LOGINS)
def test_what_comes_of_a_trial_is_danish(admin: Person, login: str) -> None:
    """And names every line and code that the English page names, in their order."""
    fields = {**EMPTY, **LOGINS[login]}
    danish = send(admin, "/admin/try", **fields)
    check(danish)
    admin.get("/admin?lang=en")
    assert named(danish) == named(send(admin, "/admin/try", **fields))


@pytest.mark.parametrize("name", REFUSED)
def test_an_explained_refusal_is_danish(admin: Person, name: str) -> None:
    """With the same lines and codes as in English."""
    reference = refused(admin.house, name)
    danish = send(admin, "/admin/explain", reference=reference)
    check(danish)
    admin.get("/admin?lang=en")
    assert named(danish) == named(send(admin, "/admin/explain", reference=reference))


def test_a_stranger_s_reference_is_explained_in_danish(admin: Person) -> None:
    """Of whom nothing is kept."""
    page = admin.house.person().get("/login/nothing")
    check(send(admin, "/admin/explain", reference=found(page, "//div[@class='reference']//strong/text()")))


def named(page: TestResponse) -> list[str]:
    """Give the lines of files and the codes that a page shows of what it found."""
    return re.findall(r"\w*\.?\w*:\d+|\b[a-z]+_[a-z_]+\b", found(page, "//pre/text()"))


def states() -> Iterator[tuple[EnrolmentState, str | None]]:
    """Give every state and reason that an enrolment can be listed with."""
    yield EnrolmentState.PENDING, None
    yield EnrolmentState.DONE, None
    for reason in REASONS:
        yield EnrolmentState.CASE, reason


def test_the_page_of_a_person_is_danish_for_every_state_and_reason(house: House) -> None:
    """The sentences are; only the answer of the library system is as it came."""
    person = house.person()
    person.agree(person.log_in("asta"))
    house.at_rest()
    desk = enter(house, DESK)
    persons, now = house.parts.enrolment_ports.persons, house.clock.now()
    [person_id] = [each.key.group for each in persons.list_all(now) if each.value.enrolment]
    [first] = house.enrolments()
    for state, reason in states():
        # Due tomorrow: the background worker leaves it as it is written here.
        there = replace(first, state=state, reason=reason, last_error=CAUSE, next_attempt=now + timedelta(days=1))
        persons.change(person_id, lambda record, there=there: record.with_enrolment(there), now)  # type: ignore[misc]
        page = send(desk, "/admin/person", find=person_id, do="find")
        check(page)
        assert found(page, "//section/@data-state") == state.value
        assert found(page, "//section[@data-state]//*[@data-printed]/text()") == CAUSE
        check(desk.get("/admin"))


def test_what_staff_do_about_a_page_is_danish(house: House) -> None:
    """For every reason of a page that sends a person to the library."""
    desk = enter(house, DESK)
    traces, now = SupportTraces(house.parts.store), house.clock.now()
    for number, reason in enumerate(PAGES):
        code = f"BCDFGH{SPEAKABLE[number // 20]}{SPEAKABLE[number % 20]}"
        traces.leave(TraceFacts(code, now, "refuse", reason))
        check(send(desk, "/admin/person", find=code, do="find"))
