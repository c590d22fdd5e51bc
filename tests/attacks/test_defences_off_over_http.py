"""Switches off each defence of the login flow and the pages, and shows that its attack then succeeds.

Source: docs/reference/attacks.md#15, #16, #30.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from broker.adapters.web.pages import page_security
from broker.adapters.web.pages.cookies import BrowserCookies
from broker.adapters.web.pages.page_security import FormTokens
from broker.core.login import transaction
from broker.core.login.transaction import Transaction
from broker.use_cases.login.arrival_matching import ArrivalMatching
from broker.use_cases.login.arrivals import Arrivals
from broker.use_cases.login.login import LoginFlow
from tests.plugins.deployment import Deployment, Person, find_text, mark


def _replay(deployment: Deployment) -> TestResponse:
    """Replay: post one Response twice."""
    person = deployment.person()
    acs, fields = deployment.answer(person.choose(person.ask()), "asta")
    assert person.deliver(acs, fields).status_code == 303
    return person.deliver(acs, fields)


def _second_try(deployment: Deployment) -> TestResponse:
    """Post a Response that is refused, and then a good one to the same request."""
    person = deployment.person()
    asked = person.choose(person.ask())
    acs, fields = deployment.answer(asked, "asta", deployment.ports.idp_role.key)  # type: ignore[attr-defined]
    assert person.deliver(acs, fields).status_code == 400
    return person.deliver_answer(asked, "asta")


def _answer_twice(deployment: Deployment) -> TestResponse:
    """Post a new Response to a request that was already answered."""
    person = deployment.person()
    asked = person.choose(person.ask())
    person.return_from_hub(asked, "asta")
    return person.deliver_answer(asked, "bo")


def _open_in_other_browser(deployment: Deployment) -> TestResponse:
    """Login CSRF: a victim's browser opens the arrival of an attacker's login."""
    attacker, victim = deployment.person(), deployment.person()
    victim.ask()
    arrived = attacker.deliver_answer(attacker.choose(attacker.ask()), "asta")
    return victim.client.get(victim.path(arrived.location), base_url=victim.base)


def _log_in(deployment: Deployment) -> tuple[Person, TestResponse]:
    person = deployment.person()
    return person, person.log_in("asta")


def _send_forged_token(deployment: Deployment) -> TestResponse:
    """Send the consent form with an invented token."""
    person, page = _log_in(deployment)
    return person.post(page.request.path, {"token": "1~~x", "answer": "yes"})


def _send_cross_site_form(deployment: Deployment) -> TestResponse:
    """CSRF: send the consent form from another site."""
    person, page = _log_in(deployment)
    token = find_text(page, "//form[@class='answer']//input[@name='token']/@value")
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    return person.bare_post(page.request.path, {"token": token, "answer": "no"}, headers)


def _open_with_browser_cookie_only(deployment: Deployment) -> TestResponse:
    """Open the consent page with the browser cookie but without the login cookie."""
    person, page = _log_in(deployment)
    for cookie in person.cookies("a-"):
        person.client.delete_cookie(cookie.key, domain=cookie.domain, path=cookie.path)
    return person.client.get(page.request.path, base_url=person.base)


def _wrap(where: type, name: str, made: Callable[[Any], Any]) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(where, name, made(getattr(where, name)))


def _skip_replay_check(add: Any) -> Any:
    """Store each Response under a different issuer, so that no replay is found."""

    def add_as_new(self: Arrivals, transaction: str, request: str, answer: Any, *rest: Any) -> Any:
        issuer = f"{answer.issuer}{uuid4()}"
        return add(self, transaction, request, replace(answer, issuer=issuer), *rest)

    return add_as_new


def _match_any_browser(match: Any) -> Any:
    return lambda self, brought, _, now: match(self, brought, [brought.context.transaction.browser], now)


DEFENCES: Final[dict[str, tuple[int, Callable[[pytest.MonkeyPatch], None], Callable[[Deployment], TestResponse], int]]] = {
    "an assertion serves once": (15, _wrap(Arrivals, "add", _skip_replay_check), _replay, 303),
    "a refused answer ends its request": (
        15, _wrap(LoginFlow, "consume_request", lambda _: lambda *_: None), _second_try, 303
    ),
    "a request is answered once": (
        16, _wrap(Transaction, "_drop_outstanding", lambda _: lambda asked, _: asked.outstanding), _answer_twice, 303
    ),
    "an arrival is its browser's": (16, _wrap(ArrivalMatching, "match", _match_any_browser), _open_in_other_browser, 303),
    "a token is of this page": (
        30, _wrap(FormTokens, "verify", lambda _: lambda *_: find_text), _send_forged_token, 200
    ),
    "a form is from our own page": (
        30, lambda patch: patch.setattr(page_security, "same_origin", lambda *_: True), _send_cross_site_form, 200
    ),
    "the browser cookie alone opens nothing": (
        30, _wrap(BrowserCookies, "brings_login_cookie", lambda _: lambda *_: True), _open_with_browser_cookie_only, 200
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=pytest.mark.attack(row[0]), id=each) for each, row in DEFENCES.items()]
)
def test_the_attack_succeeds_without_its_defence(
    shared_deployment: Deployment, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the defence the attack gets an error page. Without it the attack succeeds."""
    _, off, attack, status = DEFENCES[name]
    refused = attack(shared_deployment)
    assert (refused.status_code in {400, 403, 410} and mark(refused)[0] == "error") or "/upstream" in refused.location
    off(monkeypatch)
    assert attack(shared_deployment).status_code == status


@pytest.mark.attack(15)
def test_a_late_arrival_succeeds_without_its_time_limit(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An arrival that is older than a minute leads to the chooser. With a longer limit it would continue the login."""
    for minute, lands in ((timedelta(seconds=60), "choose"), (timedelta(hours=1), "ask")):
        monkeypatch.setattr(transaction, "ARRIVAL_USABLE_FOR", minute)
        person = deployment.person()
        arrived = person.deliver_answer(person.choose(person.ask()), "asta")
        deployment.clock.ahead += timedelta(seconds=90)
        assert mark(person.get(arrived.location))[0] == lands
