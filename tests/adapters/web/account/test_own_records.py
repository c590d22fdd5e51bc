"""The page with a person's stored data: only that person sees and deletes it, after a fresh login."""

import json
import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from lxml import html
from werkzeug.test import TestResponse

from broker.adapters.audit_log.forgotten_file import ForgottenFile
from broker.adapters.saml.xml_security import http_bindings
from broker.adapters.web.account import own_records
from broker.core.events.audit_events import AuditEventKind
from broker.core.ports import StoredRecord, lease_key
from broker.demo.upstreams import wayf_hub
from broker.use_cases.personal_data.stored_data import OWN_LOOKS
from broker.use_cases.storage.person_records import person_key
from tests.plugins.deployment import Deployment, Person, find_text, form, mark
from tests.plugins.pin_pages import CPR, PIN, karla, send
from tests.walks.requirements.visits import visitor

PAGE = "/my-choices"
ASTA_CPR = "1403044004"


@pytest.fixture(autouse=True)
def no_lines(deployment: Deployment) -> None:
    """Begin without lines of another test's deletions."""
    (deployment.parts.config.state / "forgotten.log").unlink(missing_ok=True)


def agree_and_return(deployment: Deployment, name: str = "asta") -> None:
    """Be let in at My loans, and have agreed to it."""
    person = deployment.person()
    person.agree(person.log_in(name), remember=True)


def enter(
    deployment: Deployment, name: str = "asta", way: str = "wayf", person: Person | None = None
) -> tuple[Person, Any]:
    """Log in for one's choices."""
    person = person or deployment.person()
    return person, answer(person, person.get(f"{PAGE}?with={way}"), name)


def answer(person: Person, away: TestResponse, name: str) -> TestResponse:
    """Let the upstream that the browser was sent to answer as this persona, and follow."""
    assert away.status_code == 302, mark(away)
    arrived = person.deliver(*person.deployment.answer(away.location, name))
    return person.get(arrived.location)


def link(page: TestResponse, has: str) -> str:
    """Give path and query of the first link of the page's own that has this in it."""
    return PAGE + find_text(page, f"//main//a[contains(@href, '{has}')]/@href")


def show(deployment: Deployment, name: str = "asta", person: Person | None = None) -> tuple[Person, TestResponse]:
    """Log in to see what is kept."""
    person, choices = enter(deployment, name, person=person)
    return person, person.get(link(choices, "do=kept"))


def ask_for(deployment: Deployment, name: str = "asta") -> tuple[Person, TestResponse, TestResponse]:
    """See what is kept, go on to delete it, and give the browser and both pages."""
    person, page = show(deployment, name)
    return person, page, person.get(link(page, "do=forget"))


def here(page: TestResponse) -> str:
    """Give path and query of a page, from the link to its other language."""
    return page.request.path + "?" + re.sub(r"&?lang=\w+", "", find_text(page, "//header//a/@href").lstrip("?"))


def press_delete(person: Person, page: TestResponse, **headers: str) -> TestResponse:
    """Press the one button of the page that confirms."""
    action, fields = form(page)
    return person.post(PAGE + action, fields, **headers)


def lines(deployment: Deployment) -> int:
    """Count the lines of forgotten.log."""
    return len(list(ForgottenFile(deployment.parts.config.state).read()))


def list_kept(deployment: Deployment) -> set[str]:
    """Give the kinds of which anything is kept that could be a person's."""
    of_persons = ("person", "session", "transaction", "audit", "index")
    store, now = deployment.parts.store, deployment.clock.now()
    found = [each for kind in of_persons for each in store.list(kind, None, now)]  # type: ignore[arg-type]
    marks = {key for key, kept in found if key.kind == "session" and b'"browser"' not in kept.value}
    return {key.kind for key, _ in found if key.group != "person keys" and key not in marks}


def test_a_person_sees_what_is_kept_and_saves_it(deployment: Deployment) -> None:
    """After a fresh login: page and file hold what the command shows, the number masked, and both are on the audit log."""
    agree_and_return(deployment)
    person, page = show(deployment)
    assert (mark(page), page.headers["Cache-Control"]) == (("choices", "kept"), "no-store")
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    listed = html.fromstring(page.get_data()).xpath("//section/@data-kind")
    assert {"transaction", "session", "person", "receipts"} <= set(map(str, listed))  # type: ignore[arg-type]
    file = person.get(link(page, "format=json"))
    report = json.loads(file.get_data())
    assert file.headers["Content-Disposition"] == 'attachment; filename="what-is-kept.json"'
    assert report.keys() == {"made", "kept", "events", "recipients"}
    assert [each["service"] for each in report["recipients"]] == ["my-loans"]
    again = json.loads(person.get(link(page, "format=json")).get_data())
    assert [each["event"] for each in again["events"]].count(AuditEventKind.RECORDS_SHOWN) == 2
    for text in (page.text, file.text):
        assert ASTA_CPR not in text
        assert ASTA_CPR[:6] not in re.sub(r"[0-9a-f]{32,}", "", text)


def test_the_page_speaks_in_words_and_in_local_time(deployment: Deployment) -> None:
    """No name of a field and no time of UTC."""
    agree_and_return(deployment)
    _, page = show(deployment, person=visitor(deployment, "en"))
    body = html.fromstring(page.get_data()).find(".//main")
    assert body is not None
    text = " ".join(map(str, body.itertext()))
    assert re.findall(r"\b(?:last.seen|event.time|record.id|facts.hash|consent_given|urn:\S+)", text) == []
    assert re.findall(r"\d{4}-\d\d-\d\d", text) == []
    local = deployment.clock.now().astimezone(ZoneInfo("Europe/Copenhagen"))
    assert f"{local.day} " in text


def test_the_page_requires_a_fresh_login(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """An existing session at the upstream does not open the page."""
    agree_and_return(deployment)
    person, _ = enter(deployment)
    away = person.get(f"{PAGE}?with=wayf")
    sent = http_bindings.read_redirect(urlsplit(away.location).query, "SAMLRequest")
    assert b'ForceAuthn="true"' in sent.xml
    written = wayf_hub.assertion

    def make_session_query(*of: Any) -> Any:
        made = written(*of)
        made.authn_statement[0].authn_instant = f"{deployment.clock.now() - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}"
        return made

    monkeypatch.setattr(wayf_hub, "assertion", make_session_query)
    assert person.deliver(*deployment.answer(away.location, "asta")).status_code != 303


def test_another_persons_records_are_not_shown(deployment: Deployment) -> None:
    """A login shows no data of another person who used the browser before."""
    agree_and_return(deployment, "asta")
    agree_and_return(deployment, "bo")
    person, page = show(deployment, "bo")
    _, hers = show(deployment, "asta", person)
    bos = {
        each["value"]["id"]
        for each in json.loads(person.get(link(page, "json")).text)["kept"]
        if each["kind"] == "session"
    }
    astas = {
        each["value"]["id"]
        for each in json.loads(person.get(link(hers, "json")).text)["kept"]
        if each["kind"] == "session"
    }
    assert bos
    assert bos.isdisjoint(astas)
    assert deployment.person().get(here(page)).status_code == 403
    (b, *_) = person.cookies("a-")
    person.client.delete_cookie(b.key, domain=b.domain, path=b.path)
    assert mark(person.get(here(page)))[1] == "login_cookie_missing"


def test_a_page_that_was_left_open_shows_nothing_after_five_minutes(deployment: Deployment) -> None:
    """Page and file lead to a fresh login instead."""
    agree_and_return(deployment)
    person, page = show(deployment)
    deployment.clock.ahead += timedelta(minutes=5)
    for address in (here(page), link(page, "format=json")):
        assert mark(person.get(address))[1] in {"begin", "transaction_gone"}


def test_a_person_deletes_what_is_kept(deployment: Deployment) -> None:
    """After a fresh login and one more page; Back shows nothing; the NameID stays the same."""
    agree_and_return(deployment)
    name_id = deployment.landing(deployment.person().log_in("asta")).name_id
    person, page, confirm = ask_for(deployment)
    assert mark(confirm) == ("choices", "confirm")
    words = html.fromstring(confirm.get_data()).xpath("//main//text()[not(ancestor::details)]")
    assert len(" ".join(map(str, words)).split()) <= 120  # type: ignore[arg-type]
    assert {"receipts", "person"} <= set(html.fromstring(confirm.get_data()).xpath("//li/@data-kind"))  # type: ignore[arg-type]
    assert lines(deployment) == 0
    done = press_delete(person, confirm)
    assert (done.status_code, mark(done)) == (200, ("choices", "forgotten"))
    assert (lines(deployment), list_kept(deployment)) == (2, set())  # the CPR number's id, and the library id
    for back in (page, confirm):
        assert person.get(here(back)).status_code == 410
    assert mark(deployment.person().log_in("asta"))[0] == "ask"
    fresh = deployment.person()
    assert deployment.landing(fresh.agree(fresh.log_in("asta"))).name_id == name_id


def test_a_deletion_that_must_wait_is_not_confirmed(deployment: Deployment) -> None:
    """The worker has the lease: the page says so, and the same again deletes everything."""
    agree_and_return(deployment)
    person, _, confirm = ask_for(deployment)
    deployment.wait_until_idle()  # until then the worker may have the lease
    store, now = deployment.parts.store, deployment.clock.now()
    (held,) = [key for key, _ in store.list("person", None, now)]
    lease = lease_key(person_key(held.group))
    assert store.put(lease, StoredRecord(b"", "theirs", now + timedelta(minutes=1)), None, now)
    assert mark(press_delete(person, confirm)) == ("choices", "busy")
    assert "person" in list_kept(deployment)
    store.drop(lease)
    again, _, confirm = ask_for(deployment)
    assert mark(press_delete(again, confirm)) == ("choices", "forgotten")
    assert "person" not in list_kept(deployment)


def test_a_login_without_the_right_deletes_nothing(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """The right is asked for again when the button is pressed, not only when the page is shown."""
    agree_and_return(deployment)
    person, _, confirm = ask_for(deployment)
    monkeypatch.setattr(own_records.OwnRecordPages, "_has_right", lambda *_: False)
    assert press_delete(person, confirm).status_code == 422
    assert (lines(deployment), "person" in list_kept(deployment)) == (0, True)


def test_a_library_account_sees_and_deletes_nothing(deployment: Deployment) -> None:
    """A guessed PIN leads to the choices, and from there to a page that shows and deletes nothing."""
    karla(deployment)
    terminal = deployment.person_without_code()
    typed = send(terminal, terminal.get(f"{PAGE}?with=library"), identifier=CPR, pin=PIN)
    choices = terminal.get(typed.location)
    assert "do=forget" not in choices.text
    login = here(choices).partition("login=")[2]
    for address in (link(choices, "do=kept"), f"{PAGE}?login={login}&do=forget"):
        page = terminal.get(address)
        assert mark(page) == ("choices", "unknown")
        assert "data-kind" not in page.text


@pytest.mark.parametrize(
    ("fields", "headers", "status"),
    [({"token": "1~~0"}, {}, 403), ({}, {"Sec-Fetch-Site": "cross-site"}, 403), ({}, {"Sec-Fetch-Site": "none"}, 403)],
)
def test_a_form_that_is_not_ours_deletes_nothing(
    deployment: Deployment, fields: dict[str, str], headers: dict[str, str], status: int
) -> None:
    """A foreign token or page is refused; so is a form of the choices, and one's own after five minutes."""
    agree_and_return(deployment)
    person, choices = enter(deployment)
    _, page = show(deployment, person=person)
    confirm = person.get(link(page, "do=forget"))
    action, own = form(confirm)
    assert person.post(PAGE + action, {**own, **fields}, **headers).status_code == status
    assert person.post(PAGE + action, form(choices)[1]).status_code == 403
    assert deployment.person().post(PAGE + action, own).status_code == 403
    deployment.clock.ahead += timedelta(minutes=5)
    assert person.post(PAGE + action, own).status_code == 410
    assert lines(deployment) == 0


def test_an_address_that_somebody_sends_deletes_nothing(deployment: Deployment) -> None:
    """It leads to a login, and a login for something else deletes nothing."""
    agree_and_return(deployment)
    person, page = show(deployment)
    assert deployment.person().get(f"{PAGE}?do=forget&with=wayf").status_code in {302, 303}
    login = here(page).partition("login=")[2]
    assert person.post(f"{PAGE}?login={login}", {"token": "x"}).status_code == 403
    assert lines(deployment) == 0


def test_looking_again_and_again_is_stopped(deployment: Deployment) -> None:
    """All that is kept is looked through for each page: ten times an hour."""
    agree_and_return(deployment)
    person, page = show(deployment)
    for _ in range(OWN_LOOKS.most - 1):
        assert person.get(here(page)).status_code == 200
    assert person.get(here(page)).status_code == 429
