"""Policies that are narrowed, widened and undone, by people whose answer is remembered; and an answer of before."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from broker.core.consent.consent import Receipt
from broker.core.policy.model import Policy, Release
from broker.flows.consents.receipts import Receipts
from broker.flows.records import Records
from tests.plugins.house import House, found, mark

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
    records = Records(house.parts.store, Receipt).list("receipt", None, house.clock.now())
    return [record.value for record in records]


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


def test_a_receipt_of_before_is_moved_by_the_login_that_goes_by_it(house: House, edit: Edit) -> None:
    """It lacked the digests of its parts: then a narrowing that takes the CPR number out asks nobody either."""
    person = house.person()
    person.agree(person.log_in("asta"), remember=True)
    (record,) = Records(house.parts.store, Receipt).list("receipt", None, house.clock.now())
    made = record.value
    bare = replace(made, terms="", parts=())
    Receipts(house.parts.store).take_back(record.key.group, made)
    Receipts(house.parts.store).file(record.key.group, bare, house.clock.now())
    house.landing(person.log_in("asta"))
    assert on_file(house) == [made]
    edit(without("cpr"))
    assert mark(person.log_in("asta"))[0] == "issue"


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
