"""Races: requests of one browser interleave, so that facts of one authentication reach another or are lost.

Source: docs/reference/design.md#4a-3.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from broker.adapters.saml.idp.identity_provider import IdentityProvider
from broker.adapters.web.pages.cookies import MOST_LOGIN_COOKIES
from broker.core.errors import BrokerError, StoreUnavailable
from broker.core.identity.mailbox_proofs import MailboxProof
from broker.core.login.steps import Issue
from broker.core.login.transaction import LoginPurpose
from broker.core.ports import Key, Write
from tests.plugins.deployment import Deployment, Person, form, mark

LONG_AGO, FOREVER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)


class Moment:
    """Runs a function just before the next write of a certain kind of record."""

    def __init__(self, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
        """Wrap the store's write method."""
        self.asking = threading.current_thread()
        self.inner = deployment.parts.store._store  # type: ignore[attr-defined]
        self.kinds: tuple[str, ...] = ()
        self.then: Callable[[], None] | None = None
        put_many = self.inner.put_many

        def run_then_put_many(first: Write, others: Sequence[Write], *args: Any, **how: Any) -> bool:
            for write in (first, *others):
                self._passes(write.key)
            return bool(put_many(first, others, *args, **how))

        monkeypatch.setattr(self.inner, "put_many", run_then_put_many)

    def _passes(self, key: Key) -> None:
        if threading.current_thread() is not self.asking:
            return  # ignore the background loop, which may still write the PIN of an earlier login
        if self.kinds and key.kind == self.kinds[0]:
            self.kinds = self.kinds[1:]
        if self.then and not self.kinds:
            then, self.then = self.then, None
            then()

    def before(self, *kinds: str, then: Callable[[], None]) -> None:
        """Run ``then`` when records of these kinds are about to be written, in this order."""
        self.kinds, self.then = kinds, then


@pytest.fixture
def moment(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Moment:
    """Return an object that runs a function before a write."""
    return Moment(deployment, monkeypatch)


def share_login(deployment: Deployment) -> tuple[Person, Person, str, TestResponse]:
    """Let two people share a browser cookie and a login: the first sees the consent page, the second is at the hub."""
    first, second = deployment.person(), deployment.person()
    chooser = first.ask()
    name = chooser.request.path.split("/")[2]
    to_second, to_first = first.choose(chooser), first.choose(first.get(f"/login/{name}/upstream"))
    page = first.return_from_hub(to_first, "bo")
    for cookie in first.cookies("b-"):
        second.client.set_cookie(cookie.key, cookie.value, domain="broker.localhost")
    return first, second, to_second, page


@pytest.mark.parametrize("kinds", [("transaction",), ("person", "transaction")])
def test_a_consent_never_applies_to_another_authentication(
    deployment: Deployment, moment: Moment, kinds: tuple[str, ...]
) -> None:
    """While one person consents or waits, another one joins the login. The first person does not receive the second one's data, nor the other way round."""
    known = deployment.person()
    deployment.landing(known.agree(known.log_in("asta"), remember=True))
    first, second, to_second, page = share_login(deployment)
    seen: list[TestResponse] = []

    def joins() -> None:
        seen.append(second.return_from_hub(to_second, "asta"))

    moment.before(*kinds, then=joins)
    got = first.agree(page)
    assert mark(got) == ("error", "other_browser")
    assert "Ravn" not in got.get_data(as_text=True)
    landing = deployment.landing(seen[0])
    asta = next(row for row in deployment.koha.patrons.rows() if row["userid"] == "1403044004")
    assert landing.attributes["uid"] == (str(asta["patron_id"]),)
    assert landing.attributes["sn"] == ("Ravn",)


def test_a_no_after_a_yes_is_the_last_word(deployment: Deployment, moment: Moment) -> None:
    """A no in a second tab, while the yes waits for the library, stops the release."""
    deployment.koha.faults.down = True
    person = deployment.person()
    page = person.log_in("asta")
    assert mark(person.agree(page))[0] == "enrol"
    token = form(page)[1]["token"]
    refused = person.post(page.request.path, {"token": token, "answer": "no"})
    assert mark(refused) == ("refuse", "consent_refused")
    assert mark(person.get(page.request.path.removesuffix("/consent"))) == ("refuse", "consent_refused")
    assert moment.then is None


def test_a_no_after_the_assertion_sends_nothing_again(deployment: Deployment) -> None:
    """A no after the assertion left cannot take it back, and does not send it once more."""
    person = deployment.person()
    page = person.log_in("asta")
    token = form(page)[1]["token"]
    deployment.landing(person.agree(page))
    late = person.post(page.request.path, {"token": token, "answer": "no"})
    assert mark(late) == ("error", "finished")
    assert b"SAMLResponse" not in late.get_data()


def test_a_policy_reload_that_permits_looks_the_person_up(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a policy reload permits a login that was denied, the person is looked up as in a new login."""
    person = deployment.person()
    policies = deployment.parts.policies
    held = policies._held
    nobody = held[0].__class__((), held[0].digest)
    monkeypatch.setattr(policies, "_held", (nobody, ()))
    page = person.log_in("asta")
    assert mark(page) == ("refuse", "no_affiliation")
    monkeypatch.setattr(policies, "_held", held)
    asked = person.get(page.request.path.removesuffix("/consent"))
    assert mark(asked)[0] == "ask"
    assert deployment.landing(person.agree(asked)).attributes["uid"]


@pytest.mark.attack(15)
def test_forged_refusals_store_one_arrival_for_a_request(deployment: Deployment) -> None:
    """An attacker can forge an unsigned error status. The second one for a request is refused and stored nowhere."""
    person = deployment.person()
    to_hub = person.choose(person.ask())
    answers = [person.deliver_answer(to_hub, None).status_code for _ in range(5)]
    assert answers == [303, 400, 400, 400, 400]


def test_an_account_is_promised_only_if_it_is_queued(deployment: Deployment) -> None:
    """With the library down and without a mail address, the page does not claim that an account is on its way."""
    deployment.koha.faults.down = True
    person = deployment.person()
    page = person.agree(person.log_in("ida"))
    assert mark(page) == ("refuse", "library_unavailable")
    assert deployment.enrolments() == []


def _count_issued(capsys: pytest.CaptureFixture[str]) -> int:
    return sum('"event": "issued"' in line for line in capsys.readouterr().out.splitlines())


def test_another_tabs_write_does_not_hide_the_assertion(
    deployment: Deployment, moment: Moment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another tab changes the login while the assertion is recorded. The assertion leaves once and is logged once."""
    person = deployment.person()
    page = person.log_in("asta")
    name = page.request.path.split("/")[2]
    capsys.readouterr()
    # The consent is the first write of the transaction, the enrolment's result the second, the issue the third.
    moment.before("transaction", "transaction", "transaction", then=lambda: _elsewhere(person, name))
    assert deployment.landing(person.agree(page)).status == "Success"
    assert moment.then is None
    assert _count_issued(capsys) == 1


def _elsewhere(person: Person, name: str) -> None:
    person.choose(person.get(f"/login/{name}/upstream"))


def test_a_double_click_is_logged_once(deployment: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """A double click returns the same assertion twice and writes one log line."""
    person = deployment.person()
    page = person.log_in("asta")
    fields = {"token": form(page)[1]["token"], "answer": "yes"}
    tabs = [Person(deployment, deployment.app.test_client()) for _ in range(2)]
    for tab in tabs:
        for cookie in person.cookies(""):
            tab.client.set_cookie(cookie.key, cookie.value, domain="broker.localhost")
    capsys.readouterr()
    with ThreadPoolExecutor(2) as pool:
        pages = list(pool.map(lambda tab: tab.post(page.request.path, fields), tabs))
    landings = [deployment.landing(each) for each in pages if mark(each)[0] == "issue"]
    assert landings
    assert len({(each.name_id, each.attributes["uid"]) for each in landings}) == 1
    assert _count_issued(capsys) == 1


def test_other_content_never_leaves_under_the_same_ids(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """If policies change after an assertion left, no other content leaves under its id."""
    person = deployment.person()
    page = person.log_in("asta")
    deployment.landing(person.agree(page, remember=True))
    policies = deployment.parts.policies
    held = policies._held
    student = next(each for each in held[0].policies if each.affiliation == "student")
    fewer = tuple(replace(each, attributes=each.attributes[:1]) for each in student.releases)
    others = tuple(each for each in held[0].policies if each is not student)
    changed = type(held[0])((replace(student, releases=fewer), *others), "other")
    monkeypatch.setattr(policies, "_held", (changed, ()))
    again = person.get(page.request.path.removesuffix("/consent"))
    assert mark(again) == ("refuse", "finished")
    assert not deployment.landing(again).attributes


def test_recorded_ids_stand_for_one_assertion(deployment: Deployment) -> None:
    """Under the ids of an issued assertion only the same content can leave again."""
    person = deployment.person()
    page = person.log_in("asta")
    deployment.landing(person.agree(page))
    broker = deployment.broker
    now = deployment.clock.now()
    context = broker.read(page.request.path.split("/")[2], now)
    step = broker.next_step(context, now)
    assert isinstance(step, Issue)
    assert broker.issuance.make_ids(context, step, now) == context.transaction.issued
    assert broker.issuance.make_ids(context, replace(step, number="another"), now) is None


@pytest.mark.parametrize("purpose", [each for each in LoginPurpose if each is not LoginPurpose.LOGIN])
def test_no_assertion_leaves_for_a_page_of_ours(deployment: Deployment, purpose: LoginPurpose) -> None:
    """A login for a page of ours has no service, so no assertion is issued, even if the login reached the step Issue by mistake.

    Source: docs/reference/design.md#invariant-3.
    """
    person = deployment.person()
    page = person.log_in("asta")
    deployment.landing(person.agree(page))
    broker = deployment.broker
    now = deployment.clock.now()
    context = broker.read(page.request.path.split("/")[2], now)
    step = broker.next_step(context, now)
    assert isinstance(step, Issue)
    begun = replace(context, transaction=replace(context.transaction, purpose=purpose, issued=None))
    assert broker.issuance.make_ids(begun, step, now) is None


def test_a_no_after_the_assertion_keeps_the_stored_yes(deployment: Deployment, moment: Moment) -> None:
    """A no that was decided before and written after another tab's assertion does not replace the stored yes."""
    deployment.koha.faults.down = True
    person = deployment.person()
    page = person.log_in("asta")
    token = form(page)[1]["token"]
    assert mark(person.agree(page, remember=True))[0] == "enrol"
    deployment.koha.faults.down = False
    base = page.request.path.removesuffix("/consent")

    def lands() -> None:
        deployment.wait_until(lambda: mark(person.get(base))[0] == "issue", "the account is made")

    moment.before("person", then=lands)
    late = person.post(page.request.path, {"token": token, "answer": "no"})
    assert mark(late)[0] != "refuse"
    assert mark(deployment.person().log_in("asta"))[0] == "issue"


def test_nothing_is_released_without_a_stored_receipt(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the consent receipt cannot be stored, the login does not continue, not even after a reload."""
    person = deployment.person()
    page = person.log_in("asta")
    inner = deployment.parts.store._store  # type: ignore[attr-defined]
    put_many = inner.put_many

    def fails(first: Write, *args: Any, **how: Any) -> bool:
        if first.key.kind == "person":
            raise StoreUnavailable("no")
        return bool(put_many(first, *args, **how))

    monkeypatch.setattr(inner, "put_many", fails)
    assert mark(person.agree(page)) == ("error", "store_unavailable")
    monkeypatch.undo()
    assert mark(person.get(page.request.path.removesuffix("/consent")))[0] == "ask"


def test_a_cancelled_login_costs_no_cookie(deployment: Deployment) -> None:
    """An upstream's refusal sets no cookie, so a page with many refusals cannot evict the cookies of real logins."""
    person = deployment.person()
    for _ in range(3):
        arrived = person.deliver_answer(person.choose(person.ask()), None)
        assert mark(person.get(arrived.location)) == ("refuse", "upstream_refused")
    assert person.cookies("a-") == []


def test_many_logins_keep_the_header_small(deployment: Deployment) -> None:
    """A browser keeps the cookies of its last few logins only, so that the Cookie header stays small."""
    person = deployment.person()
    for _ in range(MOST_LOGIN_COOKIES + 2):
        person.log_in("asta")
    assert len(person.cookies("a-")) == MOST_LOGIN_COOKIES


def test_an_unclaimed_request_expires_after_five_minutes(deployment: Deployment) -> None:
    """An AuthnRequest that no browser follows is deleted after five minutes.

    A login with a browser lasts half an hour.
    """
    person, other = deployment.person(), deployment.person()
    begun = person.client.get(person.sso_path(), base_url=person.base)
    chooser = other.ask()
    deployment.clock.ahead = timedelta(minutes=6)
    assert mark(person.get(begun.location)) == ("error", "transaction_gone")
    assert mark(other.get(chooser.request.path))[0] == "choose"


def test_a_replacement_number_enrols_nobody_whatever_a_policy_says(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replacement number creates no borrower, even if a policy forgets to require a real CPR number.

    Source: docs/reference/design.md#invariant-5.
    """
    policies = deployment.parts.policies
    held = policies._held
    lax = tuple(replace(each, require=replace(each.require, cpr=False)) for each in held[0].policies)
    monkeypatch.setattr(policies, "_held", (type(held[0])(lax, "lax"), ()))
    before = deployment.koha.patrons.rows()
    person = deployment.person()
    page = person.log_in("gry")
    page = person.agree_if_asked(page)
    assert mark(page) == ("refuse", "replacement_number")
    assert deployment.koha.patrons.rows() == before


def test_a_removed_service_shows_a_page(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """If not even an error Response can be addressed, the person gets a page with an error reference.

    Source: docs/reference/design.md#invariant-8.
    """
    person = deployment.person()

    def raise_gone(*_: Any, **__: Any) -> None:
        raise BrokerError("the ACS of this request is no longer registered")

    monkeypatch.setattr(IdentityProvider, "refuse", raise_gone)
    page = person.ask(passive=True)
    assert page.status_code == 503
    assert mark(page) == ("error", "unexpected")


TOLD = [{"upgrade": False}, {"proofs": (MailboxProof("mail", "a@b.example", LONG_AGO, FOREVER),)}]


@pytest.mark.parametrize("told", TOLD)
def test_a_fact_added_during_the_look_up_is_kept(deployment: Deployment, moment: Moment, told: dict[str, Any]) -> None:
    """Another tab adds a fact while the person is looked up. The fact is kept, and the person is looked up again."""
    person = deployment.person()
    page = person.log_in("asta")
    name, now = page.request.path.split("/")[2], deployment.clock.now()
    context = deployment.broker.read(name, now)
    assert deployment.broker.transactions.put(context.transaction.clear_look_up(), context.version, now)
    moment.before("transaction", then=make_tab(deployment, name, told))
    person.get(f"/login/{name}")
    seen = deployment.broker.read(name, now).transaction
    assert {each: getattr(seen, each) for each in told} == told
    assert (seen.person, seen.account) == (None, None)


@pytest.mark.parametrize("told", TOLD)
def test_a_fact_added_before_a_response_joins_is_dropped(
    deployment: Deployment, moment: Moment, told: dict[str, Any]
) -> None:
    """A fact that another tab adds before a Response joins is dropped, because it may belong to another person."""
    person = deployment.person()
    arrived = person.deliver_answer(person.choose(person.ask()), "asta")
    name, now = arrived.location.partition("?")[0].rpartition("/")[2], deployment.clock.now()
    before = deployment.broker.read(name, now).transaction
    moment.before("link", "transaction", then=make_tab(deployment, name, told))
    person.client.get(person.path(arrived.location), base_url=person.base)
    seen = deployment.broker.read(name, now).transaction
    assert {each: getattr(seen, each) for each in told} == {each: getattr(before, each) for each in told}
    assert seen.authentication
    assert seen.person


def make_tab(deployment: Deployment, name: str, told: dict[str, Any]) -> Callable[[], None]:
    """Return a function that adds facts to the login, as another tab does."""

    def tell() -> None:
        now = deployment.clock.now()
        context = deployment.broker.read(name, now)
        assert deployment.broker.transactions.put(replace(context.transaction, **told), context.version, now)

    return tell
