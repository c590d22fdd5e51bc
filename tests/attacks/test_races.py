"""Facts of one authentication never reach another, however requests of one browser interleave (design 4a.3)."""

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from broker.core.ports import Kept, Key
from tests.plugins.house import House, Person, form, mark


class Moment:
    """Lets something else happen just before a record of one kind is next written."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand between the broker and its store."""
        self.inner = house.parts.store._store  # type: ignore[attr-defined]
        self.kinds: tuple[str, ...] = ()
        self.then: Callable[[], None] | None = None
        put = self.inner.put

        def interrupted(key: Key, kept: Kept, *args: Any, **how: Any) -> bool:
            if self.kinds and key.kind == self.kinds[0]:
                self.kinds = self.kinds[1:]
            if self.then and not self.kinds:
                then, self.then = self.then, None
                then()
            return bool(put(key, kept, *args, **how))

        monkeypatch.setattr(self.inner, "put", interrupted)

    def before(self, *kinds: str, then: Callable[[], None]) -> None:
        """Do ``then`` once these kinds have been about to be written, one after the other."""
        self.kinds, self.then = kinds, then


@pytest.fixture
def moment(house: House, monkeypatch: pytest.MonkeyPatch) -> Moment:
    """Give the moment before a write."""
    return Moment(house, monkeypatch)


def shared(house: House) -> tuple[Person, Person, str, TestResponse]:
    """Let two people share a cookie b and a transaction: the first is asked, the second is at the hub."""
    first, second = house.person(), house.person()
    chooser = first.ask()
    name = chooser.request.path.split("/")[2]
    to_second, to_first = first.choose(chooser), first.choose(first.get(f"/login/{name}/upstream"))
    page = first.get(first.deliver(*house.answer(to_first, "bo")).location)
    for cookie in first.cookies("b-"):
        second.client.set_cookie(cookie.key, cookie.value, domain="broker.localhost")
    return first, second, to_second, page


@pytest.mark.parametrize("kinds", [("transaction",), ("enrolment", "transaction")])
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


def test_a_no_after_a_yes_is_the_last_word(house: House, moment: Moment) -> None:
    """A no from a second tab, while the yes waits for the library, sends nothing."""
    house.koha.faults.down = True
    person = house.person()
    page = person.log_in("asta")
    assert mark(person.agree(page))[0] == "enrol"
    token = form(page)[1]["token"]
    refused = person.post(page.request.path, {"token": token, "answer": "no"})
    assert mark(refused) == ("refuse", "consent_refused")
    assert mark(person.get(page.request.path.removesuffix("/consent"))) == ("refuse", "consent_refused")
    assert moment.then is None


def test_a_no_after_the_assertion_sends_nothing_again(house: House) -> None:
    """What has been sent cannot be called back; a no from a second tab is no reason to send it once more."""
    person = house.person()
    page = person.log_in("asta")
    token = form(page)[1]["token"]
    house.landing(person.agree(page))
    late = person.post(page.request.path, {"token": token, "answer": "no"})
    assert mark(late) == ("error", "finished")
    assert b"SAMLResponse" not in late.get_data()


def test_policies_that_come_to_permit_look_the_person_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload from deny to permit in the middle of a login finds the person as if permitted from the start."""
    person = house.person()
    policies = house.parts.policies
    held = policies._held
    nobody = held[0].__class__((), held[0].digest)
    monkeypatch.setattr(policies, "_held", (nobody, ()))
    page = person.log_in("asta")
    assert mark(page) == ("refuse", "no_affiliation")
    monkeypatch.setattr(policies, "_held", held)
    asked = person.get(page.request.path.removesuffix("/consent"))
    assert mark(asked)[0] == "ask"
    assert house.landing(person.agree(asked)).attributes["uid"]


def test_forged_refusals_leave_one_arrival_a_request(house: House) -> None:
    """Anybody can write an unsigned error status: the second for one request is refused and stores nothing."""
    person = house.person()
    to_hub = person.choose(person.ask())
    answers = [person.deliver(*house.answer(to_hub, None)).status_code for _ in range(5)]
    assert answers == [303, 400, 400, 400, 400]


def test_a_promise_is_made_only_with_a_wish_stored(house: House) -> None:
    """With the library down and no address to mail to, nobody is told that an account is on its way."""
    house.koha.faults.down = True
    person = house.person()
    page = person.agree(person.log_in("ida"))
    assert mark(page) == ("refuse", "library_unavailable")
    assert list(house.parts.cases.rows()) == []
