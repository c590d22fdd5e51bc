"""Facts of one authentication never reach another, however requests of one browser interleave.

Source: docs/reference/design.md#4a-3.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from werkzeug.test import TestResponse

from broker.adapters.saml.faces.identity_provider import IdentityProviderFace
from broker.core.errors import BrokerError
from broker.core.identity.mailbox_proofs import Proved
from broker.core.login.steps import Issue
from broker.core.login.transaction import Errand
from broker.core.ports import Kept, Key, Write
from tests.plugins.house import House, Person, mark

LONG_AGO, FOREVER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)


class Moment:
    """Lets something else happen just before a record of one kind is next written."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand between the broker and its store."""
        self.asking = threading.current_thread()
        self.inner = house.parts.store._store  # type: ignore[attr-defined]
        self.kinds: tuple[str, ...] = ()
        self.then: Callable[[], None] | None = None
        put, put_many = self.inner.put, self.inner.put_many

        def interrupted(key: Key, kept: Kept, *args: Any, **how: Any) -> bool:
            self._passes(key)
            return bool(put(key, kept, *args, **how))

        def interrupted_turn(first: Write, others: Sequence[Write], *args: Any, **how: Any) -> bool:
            if others:  # a turn of one is a put
                for write in (first, *others):
                    self._passes(write.key)
            return bool(put_many(first, others, *args, **how))

        monkeypatch.setattr(self.inner, "put", interrupted)
        monkeypatch.setattr(self.inner, "put_many", interrupted_turn)

    def _passes(self, key: Key) -> None:
        if threading.current_thread() is not self.asking:
            return  # the loop beside the requests, which may still be at the PIN of a login before
        if self.kinds and key.kind == self.kinds[0]:
            self.kinds = self.kinds[1:]
        if self.then and not self.kinds:
            then, self.then = self.then, None
            then()

    def before(self, *kinds: str, then: Callable[[], None]) -> None:
        """Do ``then`` once these kinds have been about to be written, one after the other."""
        self.kinds, self.then = kinds, then


@pytest.fixture
def moment(house: House, monkeypatch: pytest.MonkeyPatch) -> Moment:
    """Give the moment before a write."""
    return Moment(house, monkeypatch)


def shared(house: House) -> tuple[Person, Person, str, TestResponse]:
    """Let two people share a browser cookie and a transaction: the first is asked, the second is at the hub."""
    first, second = house.person(), house.person()
    chooser = first.ask()
    name = chooser.request.path.split("/")[2]
    to_second, to_first = first.choose(chooser), first.choose(first.get(f"/login/{name}/upstream"))
    page = first.get(first.deliver(*house.answer(to_first, "bo")).location)
    for cookie in first.cookies("b-"):
        second.client.set_cookie(cookie.key, cookie.value, domain="broker.localhost")
    return first, second, to_second, page


@pytest.mark.parametrize("kinds", [("transaction",), ("person", "transaction")])
def test_an_answer_never_meets_another_authentication(house: House, moment: Moment, kinds: tuple[str, ...]) -> None:
    """While one person agrees, or waits for the borrower, another joins the transaction: neither gets the other's."""
    known = house.person()
    house.landing(known.agree(known.log_in("asta"), remember=True))
    first, second, to_second, page = shared(house)
    seen: list[TestResponse] = []

    def joins() -> None:
        seen.append(second.get(second.deliver(*house.answer(to_second, "asta")).location))

    moment.before(*kinds, then=joins)
    got = first.agree(page)
    assert mark(got) == ("error", "other_browser")
    assert "Ravn" not in got.get_data(as_text=True)
    landing = house.landing(seen[0])
    asta = next(row for row in house.koha.patrons.rows() if row["userid"] == "1403044004")
    assert landing.attributes["uid"] == (str(asta["patron_id"]),)
    assert landing.attributes["sn"] == ("Ravn",)


@pytest.mark.attack(15)
def test_forged_refusals_leave_one_arrival_a_request(house: House) -> None:
    """Anybody can write an unsigned error status: the second for one request is refused and stores nothing."""
    person = house.person()
    to_hub = person.choose(person.ask())
    answers = [person.deliver(*house.answer(to_hub, None)).status_code for _ in range(5)]
    assert answers == [303, 400, 400, 400, 400]


def test_a_promise_is_made_only_with_a_request_stored(house: House) -> None:
    """With the library down and no address to mail to, nobody is told that an account is on its way."""
    house.koha.faults.down = True
    person = house.person()
    page = person.agree(person.log_in("ida"))
    assert mark(page) == ("refuse", "library_unavailable")
    assert house.enrolments() == []


def test_other_content_never_leaves_under_the_same_ids(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies that change after the assertion left do not send another under its id."""
    person = house.person()
    page = person.log_in("asta")
    house.landing(person.agree(page, remember=True))
    policies = house.parts.policies
    held = policies._held
    student = next(each for each in held[0].policies if each.affiliation == "student")
    fewer = tuple(replace(each, attributes=each.attributes[:1]) for each in student.releases)
    others = tuple(each for each in held[0].policies if each is not student)
    changed = type(held[0])((replace(student, releases=fewer), *others), "other")
    monkeypatch.setattr(policies, "_held", (changed, ()))
    again = person.get(page.request.path.removesuffix("/consent"))
    assert mark(again) == ("refuse", "finished")
    assert not house.landing(again).attributes


@pytest.mark.parametrize("errand", [each for each in Errand if each is not Errand.LOGIN])
def test_no_assertion_leaves_for_an_errand(house: House, errand: Errand) -> None:
    """Even if it came to the step Issue by mistake: no service asked, so there is nobody to write to.

    Source: docs/reference/design.md#invariant-3.
    """
    person = house.person()
    page = person.log_in("asta")
    house.landing(person.agree(page))
    broker = house.broker
    now = house.clock.now()
    held = broker.read(page.request.path.split("/")[2], now)
    step = broker.step(held, now)
    assert isinstance(step, Issue)
    begun = replace(held, transaction=replace(held.transaction, errand=errand, issued=None))
    assert broker.issuance.ids(begun, step, now) is None


def test_a_replacement_number_enrols_nobody_whatever_a_policy_says(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy file that forgets to require a real number makes no borrower of one that is not.

    Source: docs/reference/design.md#invariant-5.
    """
    policies = house.parts.policies
    held = policies._held
    lax = tuple(replace(each, require=replace(each.require, cpr=False)) for each in held[0].policies)
    monkeypatch.setattr(policies, "_held", (type(held[0])(lax, "lax"), ()))
    before = house.koha.patrons.rows()
    person = house.person()
    page = person.log_in("gry")
    page = person.agree(page) if mark(page)[0] == "ask" else page
    assert mark(page) == ("refuse", "replacement_number")
    assert house.koha.patrons.rows() == before


def test_a_service_that_is_gone_is_a_page_and_no_crash(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even the refusal can be addressed, the person gets a page with a reference.

    Source: docs/reference/design.md#invariant-8.
    """
    person = house.person()

    def gone(*_: Any, **__: Any) -> None:
        raise BrokerError("the ACS of this request is no longer registered")

    monkeypatch.setattr(IdentityProviderFace, "refuse", gone)
    page = person.ask(passive=True)
    assert page.status_code == 503
    assert mark(page) == ("error", "unexpected")


TOLD = [{"upgrade": False}, {"proofs": (Proved("mail", "a@b.example", LONG_AGO, FOREVER),)}]


@pytest.mark.parametrize("told", TOLD)
def test_what_is_told_before_an_answer_joins_is_not_of_its_person(
    house: House, moment: Moment, told: dict[str, Any]
) -> None:
    """Between read and write of the GET that joins them somebody adds a fact: it goes, and the person is looked up."""
    person = house.person()
    arrived = person.deliver(*house.answer(person.choose(person.ask()), "asta"))
    name, now = arrived.location.partition("?")[0].rpartition("/")[2], house.clock.now()
    before = house.broker.read(name, now).transaction
    moment.before("link", "transaction", then=telling(house, name, told))
    person.client.get(person.path(arrived.location), base_url=person.base)
    seen = house.broker.read(name, now).transaction
    assert {each: getattr(seen, each) for each in told} == {each: getattr(before, each) for each in told}
    assert seen.authentication
    assert seen.person


def telling(house: House, name: str, told: dict[str, Any]) -> Callable[[], None]:
    """Give another tab, which adds a fact to the transaction."""

    def tell() -> None:
        now = house.clock.now()
        held = house.broker.read(name, now)
        assert house.broker.transactions.put(replace(held.transaction, **told), held.version, now)

    return tell
