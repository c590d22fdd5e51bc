"""Attack: the next person at a shared computer restores tabs and cookies of the previous one.

A login from a shared computer ends early, and shows nothing about its person. Source:
docs/reference/design.md#4a-shared.
"""

from datetime import timedelta
from typing import Final

import pytest
from lxml import html
from werkzeug.test import TestResponse

from broker.core.retention import TRANSACTION_DONE, TRANSACTION_IDLE_SHARED
from broker.demo.people.personas import persona
from tests.plugins.deployment import Deployment, Person, find_text, form, mark
from tests.plugins.pin_pages import CPR, PIN, code_in, has_no_number, karla, link_in, pin_page, send

SHARED: Final = pytest.mark.parametrize("environment", [{"BROKER_SHARED_NETWORKS": '["127.0.0.0/8"]'}])
GONE: Final = ("error", "transaction_gone")
SECOND: Final = timedelta(seconds=1)
pytestmark = pytest.mark.attack(30)


def consent_fields(page: TestResponse) -> dict[str, str]:
    """Return the fields of a consent form, without an answer."""
    return {"token": find_text(page, "//form[@class='answer']//input[@name='token']/@value")}


def try_restored_browser(person: Person, page: TestResponse) -> list[TestResponse]:
    """Try everything with a restored browser: reload, open pages, show the number, submit the form."""
    path, fields = page.request.path, consent_fields(page)
    return [
        person.get(path),
        person.get(path.removesuffix("/consent")),
        person.post(path, {**fields, "reveal": "1"}),
        person.post(path, {**fields, "answer": "yes"}),
        person.post(path, {**fields, "reconsider": "1"}),
    ]


def has_no_personal_data(page: TestResponse, name: str = "asta") -> bool:
    """Return whether a page contains no data of the persona."""
    return persona(name).attributes["sn"][0] not in page.get_data(as_text=True) and has_no_number(page, name)


@SHARED
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_a_finished_login_expires_after_thirty_seconds(deployment: Deployment, answer: str) -> None:
    """Thirty seconds after the last page, all cookies and addresses of the login are useless."""
    person = deployment.person()
    page = person.log_in("asta")
    person.agree(page, answer=answer)
    deployment.clock.ahead = timedelta(seconds=30) if answer == "yes" else TRANSACTION_IDLE_SHARED.span + SECOND
    for got in try_restored_browser(person, page):
        assert mark(got) == GONE
        assert has_no_personal_data(got)


@SHARED
def test_a_second_press_gets_the_same_assertion(deployment: Deployment) -> None:
    """Control: within these seconds a second click returns the same assertion, as on other computers."""
    person = deployment.person()
    page = person.log_in("asta")
    fields = {**consent_fields(page), "answer": "yes"}
    first, second = (deployment.landing(person.post(page.request.path, fields)) for _ in range(2))
    assert (first.name_id, first.status) == (second.name_id, "Success")
    deployment.clock.ahead = TRANSACTION_DONE.span + SECOND
    assert mark(person.post(page.request.path, fields)) == GONE


@SHARED
def test_an_idle_login_expires_after_three_minutes(deployment: Deployment) -> None:
    """An idle login ends after three minutes. Each request of its browser extends it; an invented arrival does not."""
    person = deployment.person()
    page = person.log_in("asta")
    assert find_text(page, "//p[@class='late']/a/@href") == ""  # the page warns, and its link is such a request
    for minutes in (2, 4, 6):
        deployment.clock.ahead = timedelta(minutes=minutes)
        assert mark(person.get(page.request.path))[0] == "ask"
    deployment.clock.ahead = timedelta(minutes=8, seconds=50)
    path = page.request.path.removesuffix("/consent")
    person.get(f"{path}?arrival={'0' * 64}")
    deployment.clock.ahead = timedelta(minutes=9, seconds=1)
    assert all(mark(got) == GONE and has_no_personal_data(got) for got in try_restored_browser(person, page))


@SHARED
@pytest.mark.parametrize("page_of", ["", "/consent"])
def test_a_login_becomes_shared_once_it_comes_from_a_shared_network(deployment: Deployment, page_of: str) -> None:
    """A login that started from another network is treated as shared once it comes from a shared network."""
    person = deployment.person().use_address("2001:db8::1")
    page = person.log_in("asta")
    person.use_address("127.0.0.1")
    path = page.request.path.removesuffix("/consent")
    page = person.get(path + page_of)
    assert mark(person.post(page.request.path, {**consent_fields(page), "reveal": "1"}))[0] == "authenticate"
    deployment.clock.ahead = TRANSACTION_IDLE_SHARED.span + SECOND
    assert all(mark(got) == GONE for got in try_restored_browser(person, page))


@SHARED
def test_visits_do_not_extend_a_login_beyond_half_an_hour(deployment: Deployment) -> None:
    """No login lasts longer than half an hour, however often its pages are opened."""
    person = deployment.person()
    page = person.log_in("asta")
    for minutes in range(2, 30, 2):
        deployment.clock.ahead = timedelta(minutes=minutes)
        assert mark(person.get(page.request.path))[0] == "ask"
    deployment.clock.ahead = timedelta(minutes=30, seconds=1)
    assert mark(person.get(page.request.path)) == GONE


@SHARED
def test_a_login_at_the_upstream_has_ten_minutes(deployment: Deployment) -> None:
    """Control: a login at the upstream may take ten minutes, because it contains no personal data yet."""
    person = deployment.person()
    to_hub = person.choose(person.ask())
    deployment.clock.ahead = timedelta(minutes=10)
    arrived = person.deliver_answer(to_hub, "asta")
    assert mark(person.get(arrived.location))[0] == "ask"


@SHARED
def test_a_login_begun_elsewhere_idles_out_too(deployment: Deployment) -> None:
    """A login that started elsewhere becomes subject to the idle limit once it comes from a shared computer."""
    person = deployment.person().use_address("198.51.100.9")
    page = person.log_in("asta")
    path = page.request.path.removesuffix("/consent")
    again = person.choose(person.get(f"{path}/upstream"))
    person.use_address("127.0.0.1")
    arrived = person.deliver_answer(again, "asta")
    person.get(arrived.location)
    again = person.choose(person.get(f"{path}/upstream"))
    arrived = person.deliver_answer(again, "asta")
    page = person.get(arrived.location)
    assert mark(page)[0] == "ask"
    deployment.clock.ahead = TRANSACTION_IDLE_SHARED.span + SECOND
    assert all(mark(got) == GONE for got in try_restored_browser(person, page))


@SHARED
def test_the_whole_number_is_never_shown(deployment: Deployment) -> None:
    """The whole CPR number is never shown: the page has no button, and a forged form is refused."""
    person = deployment.person()
    page = person.log_in("asta")
    assert 'name="reveal"' not in page.get_data(as_text=True)
    asked = person.post(page.request.path, {**consent_fields(page), "reveal": "1"})
    assert mark(asked)[0] == "authenticate"
    assert has_no_number(asked)


@SHARED
def test_cookies_last_as_long_as_the_session(deployment: Deployment) -> None:
    """Cookies end with the browser session."""
    person = deployment.person()
    person.log_in("asta")
    cookies = person.cookies("a-") + person.cookies("b-")
    assert len(cookies) == 2
    assert [(each.max_age, each.expires) for each in cookies] == [(None, None)] * 2


@SHARED
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_the_last_page_has_a_button_that_ends_it(deployment: Deployment, answer: str) -> None:
    """The last page has a button that deletes the login and its cookies, and says what stays in the browser."""
    person = deployment.person()
    page = person.log_in("asta")
    last = person.agree(page, answer=answer)
    (action, fields), *_ = [each for each in forms_of(last) if each[0].endswith("/end")]
    kept = person.cookies("a-") + person.cookies("b-")
    ended = person.post(action, fields)
    assert mark(ended) == ("end", "")
    assert ended.headers["Clear-Site-Data"] == '"cookies", "storage"'
    assert person.cookies("a-") + person.cookies("b-") == []
    for each in kept:
        person.client.set_cookie(each.key, each.value, domain="broker.localhost")
    deployment.clock.ahead = TRANSACTION_DONE.span + SECOND
    assert all(mark(got) == GONE for got in try_restored_browser(person, page))


@SHARED
def test_another_site_or_browser_ends_no_login(deployment: Deployment) -> None:
    """Neither a form on another site nor another browser can end a login."""
    person = deployment.person()
    page = person.log_in("asta")
    last = person.agree(page, answer="no")
    action, fields = next(each for each in forms_of(last) if each[0].endswith("/end"))
    refused = person.post(action, fields, **{"Sec-Fetch-Site": "cross-site"})
    assert (mark(refused), "Clear-Site-Data" in refused.headers) == (("error", "token_refused"), False)
    deployment.person().post(action, fields)
    assert mark(person.get(page.request.path.removesuffix("/consent")))[0] == "refuse"
    person.post(action, fields)
    assert mark(person.get(page.request.path)) == GONE


@SHARED
def test_a_page_with_a_form_for_a_service_clears_no_cookies(deployment: Deployment) -> None:
    """A page that posts to a service must not clear site data: the service needs its cookies for the Response."""
    person = deployment.person()
    page = person.log_in("asta")
    for answer in ("no", "yes"):
        sent = person.agree(person.get(page.request.path), answer=answer)
        assert "Clear-Site-Data" not in sent.headers
        if answer == "no":
            review, fields = next(each for each in forms_of(sent) if each[0].endswith("/consent"))
            person.post(review, {**fields, "reconsider": "1"})


@SHARED
def test_forms_forbid_autocompletion(deployment: Deployment) -> None:
    """Forms in a login, for a PIN and for a mailbox forbid autocompletion."""
    karla(deployment)
    person = deployment.person()
    arrived = person.deliver_answer(person.get("/pin?change=wayf").location, "karla")
    choosing = person.get(arrived.location)
    guess = pin_page(person)
    pages = [
        person.log_in("asta"),
        person.get("/pin"),
        choosing,
        guess,
        person.get(send(person, guess, "login", identifier=CPR, pin=PIN).location),
        person.sign_up("dorte", "hospital", "nemid"),
    ]
    assert all(b"<input" in page.get_data() for page in pages)
    for page in pages:
        for field in html.fromstring(page.get_data()).iter("input"):
            if field.get("type") == "hidden":
                continue
            own = field.get("autocomplete")
            around = next(field.iterancestors("form")).get("autocomplete")
            assert (own or around) == "off", field.get("name")


@SHARED
@pytest.mark.parametrize("by", ["code", "link"])
def test_no_shared_computer_becomes_known(deployment: Deployment, by: str) -> None:
    """A shared computer cannot become a known browser, not even with a forged form."""
    karla(deployment)
    person = deployment.person()
    if by == "code":
        page = person.get(send(person, pin_page(person), "login", identifier=CPR, pin=PIN).location)
        assert send(person, page, "code", code=code_in(deployment), own="yes").status_code == 303
    else:
        person.press(person.get("/pin"), identifier=CPR)
        deployment.wait_for_mails(1)
        page = person.get(link_in(deployment))
        assert mark(send(person, page, "choose", pin="5926", again="5926", own="yes")) == ("pin", "set")
    assert b'name="own"' not in page.get_data()
    assert person.cookies("k-") == []


@SHARED
def test_no_page_says_that_closing_the_windows_is_enough(deployment: Deployment) -> None:
    """No last page claims that closing the windows is enough to log out."""
    person = deployment.person()
    page = person.log_in("asta")
    for text in (person.agree(page).get_data(as_text=True), person.log_in("finn", "nemid").get_data(as_text=True)):
        assert "Lukker du kun vinduet" in text or "Det er ikke nok at lukke vinduet" in text


def forms_of(page: TestResponse) -> list[tuple[str, dict[str, str]]]:
    """Return action and hidden fields of each form of a page."""
    count = len(list(html.fromstring(page.get_data()).iter("form")))
    return [form(page, at) for at in range(count)]
