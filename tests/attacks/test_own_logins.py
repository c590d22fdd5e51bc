"""Attacks on sign-up, PIN change and consent pages (logins without a service), and on shared computers."""

import time
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from saml2 import saml

from broker.core.login.transaction import LoginPurpose
from broker.core.retention import TRANSACTION_IDLE_SHARED
from broker.demo.people.persona import Persona
from broker.demo.upstreams import wayf_hub
from broker.demo.upstreams.assertion_writer import ReceivedAuthnRequest
from tests.plugins.deployment import Deployment, Person, find_text, form, mark

SHARED = {"BROKER_SHARED_NETWORKS": '["127.0.0.0/8"]'}


def has_force_authn(location: str) -> bool:
    """Return whether the AuthnRequest in ``location`` asks for a fresh login."""
    from broker.adapters.saml.xml_security import http_bindings

    return b'ForceAuthn="true"' in http_bindings.read_redirect(urlsplit(location).query, "SAMLRequest").xml


@pytest.fixture
def an_hour_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hub assert that the person logged in an hour ago, as a hub does that ignores ForceAuthn."""
    plain = wayf_hub.assertion

    def old(name: str, asked: ReceivedAuthnRequest, person: Persona, now: datetime) -> saml.Assertion:
        made = plain(name, asked, person, now)
        made.authn_statement[0].authn_instant = (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return made

    monkeypatch.setattr(wayf_hub, "assertion", old)


@pytest.mark.usefixtures("an_hour_old")
@pytest.mark.parametrize("purpose", ["/sign-up/begin?affiliation=student&upstream=wayf", "/pin?change=wayf"])
def test_a_login_without_a_service_asks_for_a_fresh_login_and_checks_it(deployment: Deployment, purpose: str) -> None:
    """A login for a page of ours needs a fresh login: a session that was left open can neither open an account nor change a PIN."""
    person = deployment.person()
    away = person.get(person.base + purpose)
    assert has_force_authn(away.location)
    assert mark(person.deliver_answer(away.location, "asta")) == ("error", "message_refused")
    plain = person.deliver_answer(person.choose(person.ask()), "asta")
    assert plain.status_code == 303  # a login that did not ask for a fresh authentication accepts an old one


@pytest.mark.attack(28)
@pytest.mark.parametrize(
    "query",
    [
        "affiliation=student&upstream=library",  # a PIN login cannot sign up
        "affiliation=student&upstream=none-such",
        "affiliation=admin&upstream=wayf",
        "affiliation=&upstream=wayf",
        "affiliation=company&upstream=nemid",
    ],
)
def test_an_invalid_sign_up_link_is_refused(deployment: Deployment, query: str) -> None:
    """A sign-up link with an unknown affiliation or upstream is refused."""
    person = deployment.person()
    page = person.get(f"{person.base}/sign-up/begin?{query}")
    assert page.status_code == 422
    assert mark(page) == ("error", "form_refused")


def test_the_way_back_is_not_an_open_redirect(deployment: Deployment) -> None:
    """Open redirect: an address in place of the service's name is ignored."""
    person = deployment.person()
    page = person.agree(person.sign_up("asta", "student", service="https://evil.example/"))
    page = person.follow(page)
    assert mark(page)[0] == "done"
    assert b"evil.example" not in page.get_data()


def test_a_finished_sign_up_gives_no_assertion(deployment: Deployment) -> None:
    """No page of a sign-up login returns an assertion."""
    person = deployment.person()
    page = person.sign_up("asta", "student")
    name = page.request.path.split("/")[2]
    person.agree(page)
    for path in ("", "/consent", "/upgrade", "/proof", "/pin"):
        got = person.get(f"{person.base}/login/{name}{path}")
        assert b"SAMLResponse" not in got.get_data()
    context = deployment.broker.read(name, deployment.clock.now())
    assert context.transaction.purpose is LoginPurpose.SIGN_UP
    assert context.transaction.issued is None


def test_another_browser_cannot_open_a_sign_up(deployment: Deployment) -> None:
    """Another browser cannot open a sign-up page, which shows a person's own borrower number."""
    person = deployment.person()
    page = person.sign_up("asta", "student")
    url = page.request.url
    person.agree(page)
    assert mark(deployment.person().get(url)) == ("error", "other_browser")


def test_the_offer_needs_its_token(deployment: Deployment) -> None:
    """CSRF: another site cannot accept the offer to change the borrower's category."""
    person = deployment.person()
    page = person.sign_up("jens", "student")
    assert mark(page)[0] == "upgrade"
    fields = form(page)[1]
    assert person.post(page.request.path, {"answer": "yes", "token": "0~~x"}).status_code == 403
    assert (
        person.post(page.request.path, {**fields, "answer": "yes"}, **{"Sec-Fetch-Site": "cross-site"}).status_code
        == 403
    )
    assert person.post(page.request.path, {**fields, "answer": "maybe"}).status_code == 422
    assert {row["category_id"] for row in deployment.koha.patrons.rows() if row["userid"] == "2102014459"} == {
        "PRIVATE"
    }


def test_no_category_changes_without_an_offer(deployment: Deployment) -> None:
    """If the library did not answer when the person arrived, no offer was made, so the category does not change."""
    person = deployment.person()
    deployment.koha.faults.down = True
    page = person.log_in("jens")
    assert mark(page)[0] == "ask"
    deployment.koha.faults.down = False
    landed = deployment.landing(person.agree(page))
    assert landed.status == "Success"
    assert {row["category_id"] for row in deployment.koha.patrons.rows() if row["userid"] == "2102014459"} == {
        "PRIVATE"
    }


@pytest.mark.attack(28)
def test_a_remembered_method_must_be_one_of_the_service(deployment: Deployment) -> None:
    """The cookie that remembers a login method works only for methods of the service. It can always be changed."""
    person = deployment.person()
    page = person.ask()
    action, fields = form(page)
    person.post(action, {**fields, "upstream": "wayf", "remember": "yes"})
    assert person.ask().status_code == 302
    for value in ("none-such", "https://evil.example", "nemid "):
        person.client.set_cookie("way", value, domain="broker.localhost")
        assert mark(person.ask())[0] == "choose"
    person.client.set_cookie("way", "wayf", domain="broker.localhost")
    started = person.ask()
    assert started.status_code == 302
    assert b"upstream" in person.get(f"{person.base}/login/{_newest(deployment)}/upstream").get_data()
    begun = person.get("/sign-up/begin?affiliation=student")
    assert mark(begun)[0] == "choose"  # a remembered method is not used for pages of ours


@pytest.mark.parametrize("environment", [SHARED])
def test_a_shared_computer_remembers_nothing(deployment: Deployment) -> None:
    """On a shared network every login is fresh, nothing is remembered, and the last page says so."""
    person = deployment.person()
    person.client.set_cookie("way", "wayf", domain="broker.localhost")
    page = person.ask()
    assert mark(page)[0] == "choose"  # a cookie from elsewhere is ignored
    person.client.delete_cookie("way", domain="broker.localhost")
    action, fields = form(page)
    onward = person.post(action, {**fields, "upstream": "wayf", "remember": "yes"})
    url = person.get(find_text(onward, "//main//a/@href")).location
    assert has_force_authn(url)
    arrived = person.deliver_answer(url, "asta")
    page = person.get(arrived.location)
    last = person.agree(page, remember=True)
    assert b"autopost.js" not in last.get_data()
    assert b'role="status"' in last.get_data()
    assert deployment.landing(last).status == "Success"
    assert [each.key for each in person.cookies("way")] == []
    again = deployment.person()
    assert mark(again.log_in("asta")) == ("ask", "ask")


def test_a_tick_makes_the_computer_a_shared_one(deployment: Deployment) -> None:
    """The tick "shared computer" demands a fresh login, makes all cookies session cookies and shortens the login."""
    person = deployment.person()
    action, fields = form(person.ask())
    onward = person.post(action, {**fields, "upstream": "wayf", "remember": "yes", "shared": "yes"})
    url = person.get(find_text(onward, "//main//a/@href")).location
    assert has_force_authn(url)
    page = person.return_from_hub(url, "asta")
    assert mark(page)[0] == "ask"
    assert [each.key for each in person.cookies("") if each.max_age or each.expires] == []
    deployment.clock.ahead = TRANSACTION_IDLE_SHARED.span + timedelta(seconds=1)
    assert mark(person.get(page.request.path)) == ("error", "transaction_gone")


@pytest.mark.parametrize("path", ["/saml/idp/sso", "/my-choices?with=wayf", "/pin?change=wayf"])
def test_a_tick_holds_until_the_browser_closes(deployment: Deployment, path: str) -> None:
    """The next login in a ticked browser demands a fresh login: the previous person may still be logged in there."""
    person = deployment.person()
    action, fields = form(person.ask())
    person.post(action, {**fields, "upstream": "wayf", "shared": "yes"})
    url = person.choose(person.ask()) if path == "/saml/idp/sso" else ask_from_other_network(person, path)
    assert has_force_authn(url)
    assert [each.key for each in person.cookies("") if each.max_age or each.expires] == []


@pytest.mark.usefixtures("an_hour_old")
@pytest.mark.parametrize("environment", [SHARED])
def test_an_old_login_is_refused_at_a_shared_computer(deployment: Deployment) -> None:
    """The previous person's session at the university does not count: the broker checks the AuthnInstant."""
    person = deployment.person()
    refused = person.deliver_answer(person.choose(person.ask()), "asta")
    assert mark(refused) == ("error", "message_refused")


def ask_from_other_network(person: Person, path: str) -> str:
    """Open an address from another network with this browser's cookies, and choose WAYF where one chooses.

    Return the upstream's address.
    """
    telephone: dict[str, Any] = {"base_url": person.base, "environ_base": {"REMOTE_ADDR": "203.0.113.9"}}
    away = person.client.get(path, **telephone)
    while away.location is None or away.location.startswith(person.base):
        onward = away.location
        if onward is None:
            action, fields = form(away)
            chosen = {"data": {**fields, "upstream": "wayf"}, "headers": person.own_headers()}
            onward = find_text(person.client.post(person.path(action), **chosen, **telephone), "//main//a/@href")
        away = person.client.get(person.path(onward), **telephone)
    return str(away.location)


@pytest.mark.parametrize("environment", [SHARED])
@pytest.mark.parametrize("begun", ["login", "choices"])
def test_a_login_begun_elsewhere_is_fresh_at_a_shared_computer(deployment: Deployment, begun: str) -> None:
    """A login that starts on a phone and continues at a shared computer must be fresh.

    Otherwise the session that another person left open there would log the attacker in.
    """
    person = deployment.person()
    path = person.sso_path() if begun == "login" else "/my-choices?with=wayf"
    elsewhere = deployment.app.test_client().get(
        path, base_url=person.base, environ_base={"REMOTE_ADDR": "203.0.113.9"}
    )
    assert elsewhere.status_code == 303
    page = person.get(elsewhere.location)
    assert has_force_authn(page.location if page.status_code == 302 else person.choose(page))


@pytest.mark.parametrize("environment", [SHARED])
def test_a_response_to_another_network_is_refused_at_a_shared_computer(deployment: Deployment) -> None:
    """A Response to a request from another network is refused at a shared computer, which needs a fresh login."""
    person = deployment.person()
    away = ask_from_other_network(person, person.sso_path())
    assert not has_force_authn(away)
    page = person.return_from_hub(away, "asta")
    assert mark(page)[0] == "choose"
    fresh = person.choose(page)
    assert has_force_authn(fresh)
    assert mark(person.return_from_hub(fresh, "asta"))[0] == "ask"


@pytest.mark.parametrize("environment", [SHARED])
def test_a_second_response_to_another_network_is_refused_too(deployment: Deployment) -> None:
    """Two Responses to one request from another network are both refused at a shared computer."""
    person = deployment.person()
    away = ask_from_other_network(person, person.sso_path())
    assert not has_force_authn(away)
    tabs = [person.deliver_answer(away, "asta") for _ in range(2)]
    assert [mark(person.get(each.location))[0] for each in tabs] == ["choose", "choose"]


@pytest.mark.parametrize("environment", [SHARED])
def test_a_fresh_login_counts_at_a_shared_computer(deployment: Deployment) -> None:
    """A fresh login counts at a shared computer wherever it started, so that nobody logs in twice."""
    person = deployment.person()
    away = ask_from_other_network(person, "/sign-up/begin?affiliation=student&upstream=wayf")
    assert has_force_authn(away)
    page = person.return_from_hub(away, "asta")
    assert mark(page)[0] != "choose"
    assert deployment.broker.read(_newest(deployment), deployment.clock.now()).transaction.shared


def test_a_withdrawn_stored_consent_releases_nothing(deployment: Deployment) -> None:
    """A login that waits for the library asks for consent again if the stored consent was withdrawn meanwhile."""
    first, second = deployment.person(), deployment.person()
    deployment.koha.faults.down = True
    first.agree(first.log_in("asta"), remember=True)
    url = second.choose(second.ask())
    arrived = second.deliver_answer(url, "asta")
    waits = second.get(arrived.location)
    assert mark(waits)[0] == "enrol"  # the stored consent was read, and the library system does not answer
    deployment.koha.faults.down = False
    _withdraw(first)
    deployment.clock.ahead = timedelta(minutes=2)
    assert _wait_for_account(second, waits.request.path) == "ask"


@pytest.mark.parametrize("refused", [False, True])
def test_a_withdrawn_new_consent_releases_nothing(deployment: Deployment, *, refused: bool) -> None:
    """A login that waits for the library asks again if the consent given in this login was withdrawn meanwhile.

    This also holds if the person logged in once more and refused.
    """
    first = deployment.person()
    deployment.koha.faults.down = True
    waits = first.agree(first.log_in("asta"))
    assert mark(waits)[0] == "enrol"
    deployment.koha.faults.down = False
    _withdraw(deployment.person())
    if refused:
        second = deployment.person()
        declined = second.agree(second.log_in("asta"), answer="no")
        assert mark(declined) == ("refuse", "consent_refused")
    deployment.clock.ahead = timedelta(minutes=2)
    path = waits.request.path.removesuffix("/consent")
    assert _wait_for_account(first, path) == "ask"
    assert mark(first.agree(first.get(path)))[0] == "issue"  # a new consent counts


def _wait_for_account(person: Person, path: str) -> str:
    """Reload a page that waits for the library system until it stops waiting, and return its step."""
    until = time.monotonic() + 120
    while (step := mark(person.get(path))[0]) == "enrol" and time.monotonic() < until:
        time.sleep(0.05)
    return step


def _withdraw(person: Person) -> None:
    """Withdraw every consent of this person on /my-choices."""
    page = person.get(f"{person.base}/my-choices?with=wayf")
    arrived = person.deliver_answer(page.location, "asta")
    listed = person.get(arrived.location)
    assert mark(listed)[0] == "choices"
    assert mark(person.press(listed, do="withdraw"))[0] == "choices"


def _newest(deployment: Deployment) -> str:
    listed = deployment.parts.store.list("transaction", None, deployment.clock.now())
    newest = max(
        (key.group for key, _ in listed),
        key=lambda name: deployment.broker.read(name, deployment.clock.now()).transaction.begun,
    )
    return str(newest)
