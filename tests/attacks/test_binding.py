"""Attack: a login is moved between browsers, by login CSRF, session fixation, stolen cookies or forged forms.

A login belongs to one browser. Two cookies bind it: the browser cookie ("b-") from the first page on, and the login
cookie ("a-") from the authentication on. Source: docs/reference/design.md#4a.
"""

import re
import secrets
from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from broker.adapters.web.pages.cookies import MOST_LOGIN_COOKIES
from broker.demo.people.personas import persona
from tests.plugins.deployment import Deployment, Person, find_text, form, mark
from tests.plugins.pin_pages import has_no_number


@pytest.mark.attack(16, 30)
def test_a_fixed_session_gives_no_access(deployment: Deployment) -> None:
    """Session fixation: the attacker starts a login and lures the victim to the hub. Neither browser gets anything."""
    attacker, victim = deployment.person(), deployment.person()
    to_hub = attacker.choose(attacker.ask())
    arrived = victim.deliver_answer(to_hub, "asta")
    at_victim = victim.get(arrived.location)
    assert at_victim.status_code == 403
    assert mark(at_victim) == ("error", "other_browser")
    at_attacker = attacker.get(arrived.location)
    assert mark(at_attacker)[0] == "choose"


@pytest.mark.attack(16)
def test_a_victim_cannot_answer_the_attackers_second_request(deployment: Deployment) -> None:
    """The attacker answers the first request of a login and sends the victim the second.

    The login stays the attacker's.
    """
    attacker, victim = deployment.person(), deployment.person()
    page = attacker.log_in("bo")
    name = page.request.path.split("/")[2]
    second = attacker.choose(attacker.get(f"/login/{name}/upstream"))
    arrived = victim.deliver_answer(second, "asta")
    assert mark(victim.get(arrived.location)) == ("error", "other_browser")
    assert mark(attacker.get(arrived.location))[0] == "choose"


@pytest.mark.attack(16)
def test_login_csrf_is_refused(deployment: Deployment) -> None:
    """Login CSRF: the victim opens the attacker's arrival link.

    The victim is not logged in, and the link is used up.
    """
    attacker, victim = deployment.person(), deployment.person()
    arrived = attacker.deliver_answer(attacker.choose(attacker.ask()), "bo")
    assert mark(victim.get(arrived.location)) == ("error", "other_browser")
    assert mark(attacker.get(arrived.location))[0] == "choose"


@pytest.mark.attack(30)
def test_the_browser_cookie_alone_opens_nothing(deployment: Deployment) -> None:
    """A fixed or stolen browser cookie ("b-") alone opens no page of an authenticated login.

    Source: docs/reference/design.md#4a-4.
    """
    person = deployment.person()
    page = person.log_in("asta")
    thief = deployment.person()
    for cookie in person.cookies("b-"):
        thief.client.set_cookie(cookie.key, cookie.value, domain="broker.localhost")
    assert mark(thief.get(page.request.path)) == ("error", "login_cookie_missing")
    answer = {"token": _token(page), "answer": "yes"}
    assert mark(thief.post(page.request.path, answer)) == ("error", "login_cookie_missing")
    assert mark(thief.get(page.request.path.removesuffix("/consent")))[0] == "choose"


@pytest.mark.attack(30)
def test_the_login_cookie_alone_opens_nothing(deployment: Deployment) -> None:
    """A stolen login cookie ("a-") without the browser cookie opens no page."""
    person = deployment.person()
    page = person.log_in("asta")
    thief = deployment.person()
    for cookie in person.cookies("a-"):
        thief.client.set_cookie(cookie.key, cookie.value, domain="broker.localhost")
    assert mark(thief.get(page.request.path)) == ("error", "other_browser")


@pytest.mark.attack(30)
def test_the_login_cookie_of_an_earlier_authentication_is_invalid(deployment: Deployment) -> None:
    """A second authentication in the same login makes the earlier login cookie and its form token invalid."""
    person = deployment.person()
    page = person.log_in("bo")
    old_token = _token(page)
    old = [(each.key, each.value) for each in person.cookies("a-")]
    name = page.request.path.split("/")[2]
    arrived = person.deliver_answer(person.choose(person.get(f"/login/{name}/upstream")), "asta")
    again = person.get(arrived.location)
    assert mark(person.post(again.request.path, {"token": old_token, "answer": "yes"})) == ("error", "token_refused")
    for key, value in old:
        person.client.set_cookie(key, value, domain="broker.localhost")
    assert mark(person.get(again.request.path)) == ("error", "login_cookie_missing")


@pytest.mark.profile(12)
def test_the_acs_reads_and_sets_no_cookie(deployment: Deployment) -> None:
    """The ACS works without cookies: a cross-site POST carries no SameSite=Lax cookie, and the response sets none.

    Source: docs/reference/design.md#4a-2.
    """
    person = deployment.person()
    arrived = person.deliver_answer(person.choose(person.ask()), "asta")
    assert arrived.status_code == 303
    assert "Set-Cookie" not in arrived.headers


def test_an_sso_request_sets_no_cookie(deployment: Deployment) -> None:
    """An AuthnRequest sets no cookie, so that a page with 200 of them cannot evict the cookies of a real login."""
    person = deployment.person()
    begun = person.client.get(person.sso_path(), base_url=person.base)
    assert begun.status_code == 303
    assert "Set-Cookie" not in begun.headers
    person.ask()
    for _ in range(5):
        person.ask()
    assert len(person.cookies("b-")) == 1


@pytest.mark.parametrize("tabs", [3, 12])
def test_simultaneous_first_tabs_all_finish(deployment: Deployment, tabs: int) -> None:
    """Several tabs that open before the first cookie each get their own cookie, and each login succeeds."""
    person = deployment.person()
    begun = [person.client.get(person.sso_path(), base_url=person.base).location for _ in range(tabs)]
    bare = [deployment.app.test_client().get(Person.path(url), base_url=person.base) for url in begun]
    for each in bare:
        key, _, rest = each.headers["Set-Cookie"].partition("=")
        person.client.set_cookie(key, rest.partition(";")[0], domain="broker.localhost")
    pages = []
    for each in bare:
        to_hub = person.choose(person.get(each.location))
        arrived = person.deliver_answer(to_hub, "asta")
        pages.append(person.get(arrived.location))
    assert len(person.cookies("b-")) == tabs
    assert [mark(page)[0] for page in pages] == ["ask"] * tabs
    assert [deployment.landing(person.agree(page)).status for page in pages] == ["Success"] * tabs


def test_the_oldest_of_too_many_logins_shows_its_own_page(deployment: Deployment) -> None:
    """If a browser has too many logins, the oldest one shows a page that says so and starts a new login."""
    person = deployment.person()
    pages = [person.log_in("asta") for _ in range(MOST_LOGIN_COOKIES + 1)]
    fields = {"token": _token(pages[0]), "answer": "yes"}
    told = person.post(pages[0].request.path, fields)
    assert (told.status_code, mark(told)) == (403, ("error", "login_cookie_missing"))
    arrived = person.deliver_answer(person.choose(person.get(find_text(told, "//main//a/@href"))), "asta")
    assert deployment.landing(person.agree(person.get(arrived.location))).status == "Success"
    assert deployment.landing(person.agree(pages[2])).status == "Success"


@pytest.mark.attack(16, control=True)
@pytest.mark.profile(22)
def test_tabs_side_by_side_do_not_mix(deployment: Deployment) -> None:
    """Two logins of different people in two tabs of one browser each end with their own person."""
    person = deployment.person()
    first, second = person.choose(person.ask()), person.choose(person.ask())
    one = person.deliver_answer(second, "bo")
    two = person.deliver_answer(first, "asta")
    bo, asta = person.get(one.location), person.get(two.location)
    assert "Lindegaard" in bo.get_data(as_text=True)
    assert "Ravn" in asta.get_data(as_text=True)
    assert deployment.landing(person.agree(bo)).status == "Success"
    assert deployment.landing(person.agree(asta)).status == "Success"


def test_a_browser_without_cookies_gets_a_page(deployment: Deployment) -> None:
    """A browser that rejects cookies gets a page that says so, and no redirect loop."""
    person = deployment.person()
    begun = person.client.get(person.sso_path(), base_url=person.base)
    once = deployment.app.test_client().get(Person.path(begun.location), base_url=person.base)
    page = deployment.app.test_client().get(Person.path(once.location), base_url=person.base)
    assert page.status_code == 400
    assert mark(page) == ("error", "cookies_needed")


@pytest.mark.attack(15, control=True)
def test_a_lost_answer_is_repeated(deployment: Deployment) -> None:
    """If the browser lost the answer to its arrival, it can open the same address again."""
    person = deployment.person()
    arrived = person.deliver_answer(person.choose(person.ask()), "asta")
    person.get(arrived.location)
    for cookie in person.cookies("a-"):
        person.client.delete_cookie(cookie.key, domain="broker.localhost")
    assert mark(person.get(arrived.location))[0] == "ask"


@pytest.mark.attack(15)
def test_an_arrival_expires_after_a_minute(deployment: Deployment) -> None:
    """An arrival link expires after sixty seconds."""
    person = deployment.person()
    arrived = person.deliver_answer(person.choose(person.ask()), "asta")
    deployment.clock.ahead = timedelta(seconds=61)
    assert mark(person.get(arrived.location))[0] == "choose"


@pytest.mark.attack(15)
@pytest.mark.profile(18)
def test_a_replayed_response_is_refused_and_the_first_succeeds(deployment: Deployment) -> None:
    """Replay: the second POST of a Response is refused, and the first login continues."""
    person = deployment.person()
    answer = deployment.answer(person.choose(person.ask()), "asta")
    first, second = person.deliver(*answer), person.deliver(*answer)
    assert second.status_code == 400
    assert mark(second) == ("error", "message_refused")
    assert mark(person.get(first.location))[0] == "ask"


@pytest.mark.attack(18)
def test_a_response_at_another_upstreams_acs_is_refused(deployment: Deployment) -> None:
    """A Response to a request to WAYF is refused at the ACS of another upstream, and continues at its own."""
    person = deployment.person()
    acs, fields = deployment.answer(person.choose(person.ask()), "asta")
    page = person.deliver(acs.replace("/sp/wayf/", "/sp/nemid/"), fields)
    assert mark(page) == ("error", "transaction_gone")
    arrived = person.deliver(acs, fields)
    assert mark(person.get(arrived.location))[0] == "ask"


@pytest.mark.attack(16)
def test_a_bound_transaction_opens_in_no_other_browser(deployment: Deployment) -> None:
    """Another browser that opens the address of a login sees nothing and is not sent to the upstream."""
    person, other = deployment.person(), deployment.person()
    other.ask()
    chooser = person.ask()
    assert mark(other.get(chooser.request.path)) == ("error", "other_browser")
    assert mark(other.get(f"/login/{_name(chooser)}/upstream")) == ("error", "other_browser")


@pytest.mark.attack(16)
def test_an_unknown_arrival_leads_to_the_chooser(deployment: Deployment) -> None:
    """A made-up arrival id changes nothing: the broker shows the chooser."""
    person = deployment.person()
    page = person.ask()
    name = _name(page)
    assert mark(person.get(f"/login/{name}?arrival={'0' * 64}"))[0] == "choose"


FORMS = {
    "no token": {"token": ""},
    "foreign token": {"token": "1~x~y"},
    "other origin": {"origin": "https://evil.example"},
    "cross-site": {"site": "cross-site"},
    "no origin at all": {"site": "", "origin": ""},
}


@pytest.mark.attack(30)
@pytest.mark.parametrize("name", FORMS)
def test_a_forged_consent_is_refused(deployment: Deployment, name: str) -> None:
    """CSRF: a consent form without the right token, or from another origin, is refused and changes nothing."""
    person = deployment.person()
    page = person.log_in("asta")
    forged = FORMS[name]
    headers = {}
    if "site" in forged or "origin" in forged:
        headers = {"Sec-Fetch-Site": forged.get("site", ""), "Origin": forged.get("origin", "")}
    fields = {"token": forged.get("token", _token(page)), "answer": "yes"}
    refused = person.bare_post(page.request.path, fields, headers or person.own_headers())
    assert refused.status_code == 403
    assert mark(refused) == ("error", "token_refused")
    assert mark(person.get(page.request.path))[0] == "ask"


@pytest.mark.attack(30)
def test_a_token_expires_after_ten_minutes(deployment: Deployment) -> None:
    """A form token expires after ten minutes."""
    person = deployment.person()
    page = person.log_in("asta")
    deployment.clock.ahead = timedelta(minutes=10, seconds=1)
    refused = person.post(page.request.path, {"token": _token(page), "answer": "yes"})
    assert mark(refused) == ("error", "token_refused")


@pytest.mark.attack(30)
def test_a_token_of_another_transaction_is_refused(deployment: Deployment) -> None:
    """The token of one login is refused in another login of the same browser."""
    person = deployment.person()
    one, other = person.log_in("asta"), person.log_in("bo")
    refused = person.post(one.request.path, {"token": _token(other), "answer": "yes"})
    assert mark(refused) == ("error", "token_refused")


def test_a_second_submit_gives_the_same_assertion(deployment: Deployment) -> None:
    """Submitting the consent form twice returns the same assertion and does not issue a second one."""
    person = deployment.person()
    page = person.log_in("asta")
    fields = {"token": _token(page), "answer": "yes"}
    first = deployment.landing(person.post(page.request.path, fields))
    second = deployment.landing(person.post(page.request.path, fields))
    assert (first.name_id, first.in_response_to) == (second.name_id, second.in_response_to)
    assert first.attributes == second.attributes


@pytest.mark.parametrize(("seconds", "given"), [(180, True), (241, False)])
def test_an_assertion_is_repeated_while_it_is_valid(deployment: Deployment, seconds: int, given: bool) -> None:
    """The broker repeats an assertion for four of its five minutes. Later the page says that the login is finished."""
    person = deployment.person()
    page = person.log_in("asta")
    fields = {"token": _token(page), "answer": "yes"}
    deployment.landing(person.post(page.request.path, fields))
    deployment.clock.ahead = timedelta(seconds=seconds)
    again = person.post(page.request.path, fields)
    assert mark(again) == (("issue", "") if given else ("error", "finished"))


@pytest.mark.attack(30)
def test_consent_cannot_be_given_by_a_link(deployment: Deployment) -> None:
    """A GET with the answer in the query shows the page and records no consent."""
    person = deployment.person()
    page = person.log_in("asta")
    shown = person.get(f"{page.request.path}?answer=yes&token={_token(page)}")
    assert mark(shown)[0] == "ask"


def test_the_cpr_number_is_on_the_reveal_page_only(deployment: Deployment) -> None:
    """Only the reveal page shows the whole CPR number: once for each login, at most five minutes after arrival.

    No other page has it in its source, nor the date of birth. Source: docs/reference/design.md#invariant-4.
    """
    person = deployment.person()
    page = person.log_in("asta")
    number = persona("asta").attributes["schacPersonalUniqueID"][0][-10:]
    source = page.get_data(as_text=True)
    assert not {number, number[6:], number[:6]} & set(re.findall(r"\d+", source))
    assert "Aarhus" in source  # the AuthenticatingAuthority of the assertion, by its name
    reveal = {"token": _token(page), "reveal": "1"}
    assert f"{number[:6]}-{number[6:]}" in person.post(page.request.path, reveal).get_data(as_text=True)
    again = person.post(page.request.path, reveal)
    assert (again.status_code, has_no_number(again)) == (200, True)
    assert 'name="reveal"' not in person.get(page.request.path).get_data(as_text=True)
    person = deployment.person()
    page = person.log_in("asta")
    deployment.clock.ahead = timedelta(minutes=5, seconds=1)
    fresh = person.get(page.request.path)
    late = person.post(page.request.path, {"token": _token(fresh), "reveal": "1"})
    assert (mark(late)[0], has_no_number(late)) == ("authenticate", True)


@pytest.mark.attack(30)
def test_another_browser_cannot_see_the_cpr_number(deployment: Deployment) -> None:
    """The reveal page with the CPR number opens only in the browser of the login."""
    person = deployment.person()
    page = person.log_in("asta")
    refused = deployment.person().post(page.request.path, {"token": _token(page), "reveal": "1"})
    assert mark(refused) == ("error", "other_browser")


@pytest.mark.attack(30)
def test_unknown_login_ids_are_gone(deployment: Deployment) -> None:
    """Unknown login ids get status 410 at every address."""
    name = secrets.token_hex(16)
    for path in (f"/login/{name}", f"/login/{name}/consent", f"/login/{name}/upstream"):
        assert deployment.person().get(path).status_code == 410


def _token(page: TestResponse) -> str:
    return form(page)[1]["token"]


def _name(page: TestResponse) -> str:
    return str(page.request.path.split("/")[2])
