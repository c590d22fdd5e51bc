"""Policies that are narrowed, widened and undone, by people whose answer is remembered; and an answer of before."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from werkzeug.test import TestResponse

from broker.core.consent.consent import Receipt, ReceiptEvent
from broker.core.policy.model import Policy, Release
from tests.plugins.house import House, Person, found, mark

Edit = Callable[[Callable[[Release], Release]], None]


@pytest.fixture
def edit(house: House, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Give a way to put the shipped policies in force with every entry for My loans changed."""
    policies = house.parts.policies
    shipped, *rest = policies._held

    def edited(change: Callable[[Release], Release]) -> None:
        def changed(policy: Policy) -> Policy:
            releases = (change(each) if each.service == "my-loans" else each for each in policy.releases)
            return replace(policy, releases=tuple(releases))

        made = replace(shipped, policies=tuple(map(changed, shipped.policies)), digest="edited")
        monkeypatch.setattr(policies, "_held", (made, *rest))

    return edited


def as_shipped(release: Release) -> Release:
    """Give an entry as it is."""
    return release


def without(*names: str) -> Callable[[Release], Release]:
    """Give the edit that takes attributes out of an entry."""
    return lambda each: replace(each, attributes=tuple(a for a in each.attributes if a.name not in names))


def on_file(house: House) -> list[Receipt]:
    """Give every receipt of the store."""
    records = house.parts.enrolment_ports.persons.list_all(house.clock.now())
    return [made for record in records for receipts in record.value.receipts.values() for made in receipts]


def test_narrowing_and_undoing_ask_nobody_again(house: House, edit: Edit) -> None:
    """An attribute less leaves unasked, and the assertion lacks it; back again nobody is asked; a new purpose asks."""
    edit(without("cpr"))
    person = house.person()
    person.agree(person.log_in("asta"), remember=True)
    edit(without("cpr", "sn"))
    landed = house.landing(person.log_in("asta"))
    assert {"sn", "schacPersonalUniqueID"} & {*landed.attributes} == set()
    edit(as_shipped)
    assert mark(person.log_in("asta"))[0] == "ask"
    edit(without("cpr"))
    assert "sn" in house.landing(person.log_in("asta")).attributes
    edit(lambda each: replace(without("cpr")(each), purpose=replace(each.purpose, en="To count you")))
    assert mark(person.log_in("asta"))[0] == "ask"


def test_a_no_meanwhile_asks_again_though_the_policies_are_undone(house: House, edit: Edit) -> None:
    """The wider question was refused in another browser: what was agreed to before counts no more."""
    edit(without("cpr"))
    one, other = house.person(), house.person()
    one.agree(one.log_in("asta"), remember=True)
    edit(as_shipped)
    other.agree(other.log_in("asta"), answer="no")
    edit(without("cpr"))
    assert mark(one.log_in("asta"))[0] == "ask"


def no(person: Person, page: TestResponse) -> TestResponse:
    """Press no on a page of consent, though it may not be the last page any more."""
    token = found(page, "//form[@class='answer']//input[@name='token']/@value")
    return person.post(page.request.path, {"token": token, "answer": "no"})


def test_a_no_ends_the_login_though_the_policies_were_undone_while_the_page_was_open(house: House, edit: Edit) -> None:
    """The older yes covers what is asked by then: nothing leaves by it, in this login or in the next."""
    edit(without("cpr"))
    person = house.person()
    person.agree(person.log_in("asta"), remember=True)
    edit(as_shipped)
    page = person.log_in("asta")
    edit(without("cpr"))
    assert mark(no(person, page)) == ("refuse", "consent_refused")
    assert [made.event for made in on_file(house)].count(ReceiptEvent.REFUSED) == 1
    assert mark(person.get(page.request.path.removesuffix("/consent"))) == ("refuse", "consent_refused")
    assert mark(house.person().log_in("asta"))[0] == "ask"


def test_a_no_on_a_page_that_nobody_is_asked_any_more_sends_nothing(house: House, edit: Edit) -> None:
    """Nothing was agreed to before, and nothing is listed by then."""
    person = house.person()
    page = person.log_in("asta")
    edit(lambda each: replace(each, attributes=(), name_id="transient"))
    assert mark(no(person, page)) == ("refuse", "consent_refused")


def test_a_no_by_back_from_the_page_about_the_category_sends_nothing(house: House) -> None:
    """The yes was to be remembered: what came after it had shown a page of its own, and nothing had left."""
    first, person = house.person(), house.person()
    first.agree(first.log_in("otto"))
    question = person.log_in("otto-left")
    token = found(question, "//form[@class='answer']//input[@name='token']/@value")
    sent = person.post(question.request.path, {"token": token, "answer": "yes", "remember": "yes"})
    told = person.get(sent.location)
    assert mark(told)[0] == "changed"
    assert mark(no(person, question)) == ("refuse", "consent_refused")
    assert mark(person.press(told)) == ("refuse", "consent_refused")
    assert mark(house.person().log_in("otto-left"))[0] == "ask"


def test_a_no_on_a_machine_whose_clock_is_behind_is_the_last_word(house: House) -> None:
    """Both pages were open when the yes was given on the other machine."""
    one, other = house.person(), house.person()
    first, second = one.log_in("asta"), other.log_in("asta")
    house.clock.ahead = timedelta(seconds=100)
    one.agree(first, remember=True)
    house.clock.ahead = timedelta(seconds=20)
    other.agree(second, answer="no")
    for seconds in (60, 160):
        house.clock.ahead = timedelta(seconds=seconds)
        assert mark(house.person().log_in("asta"))[0] == "ask"


def test_what_was_left_out_last_stays_out_when_the_policies_are_undone(house: House, edit: Edit) -> None:
    """Ticked at first, left out when another purpose was asked for; where it would always leave, that is asked."""

    def optional(each: Release) -> Release:
        return replace(each, attributes=tuple(replace(a, optional=a.name == "sn") for a in each.attributes))

    edit(optional)
    person = house.person()
    ticked = person.agree(person.log_in("asta"), remember=True, optional="sn")
    assert "sn" in house.landing(ticked).attributes
    edit(lambda each: replace(optional(each), purpose=replace(each.purpose, en="To count you")))
    assert "sn" not in house.landing(person.agree(person.log_in("asta"), remember=True)).attributes
    edit(optional)
    assert "sn" not in house.landing(person.log_in("asta")).attributes
    edit(as_shipped)
    assert mark(person.log_in("asta"))[0] == "ask"


def test_the_choices_say_which_answer_counts_when_less_is_asked(house: House, edit: Edit) -> None:
    """Whoever answered a wider question for one login is told that the earlier answer still counts for less."""
    edit(without("cpr"))
    person = house.person()
    person.agree(person.log_in("asta"), remember=True)
    edit(as_shipped)
    person.agree(person.log_in("asta"), remember=False)
    begun = person.get("/my-choices?with=wayf&lang=en")
    page = person.get(person.deliver(*house.answer(begun.location, "asta")).location + "&lang=en")
    assert "You see the page again, unless no more is asked for than what you answered on" in page.get_data(
        as_text=True
    )
    assert found(page, "//button[@value='withdraw']/@name") == "do"
