"""Policies that are narrowed, widened and undone, by people whose answer is remembered; and an answer of before."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from werkzeug.test import TestResponse

from broker.core.consent.consent import Receipt, ReceiptEvent
from broker.core.policy.model import Policy, Release
from tests.plugins.deployment import Deployment, Person, find_text, mark

Edit = Callable[[Callable[[Release], Release]], None]


@pytest.fixture
def edit(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Return a way to put the shipped policies in force with every entry for My loans change_policy."""
    policies = deployment.parts.policies
    shipped, *rest = policies._held

    def edit_release(change: Callable[[Release], Release]) -> None:
        def change_policy(policy: Policy) -> Policy:
            releases = (change(each) if each.service == "my-loans" else each for each in policy.releases)
            return replace(policy, releases=tuple(releases))

        made = replace(shipped, policies=tuple(map(change_policy, shipped.policies)), digest="edited")
        monkeypatch.setattr(policies, "_held", (made, *rest))

    return edit_release


def as_shipped(release: Release) -> Release:
    """Return an entry as it is."""
    return release


def remove_attributes(*names: str) -> Callable[[Release], Release]:
    """Return the edit that takes attributes out of an entry."""
    return lambda each: replace(each, attributes=tuple(a for a in each.attributes if a.name not in names))


def on_file(deployment: Deployment) -> list[Receipt]:
    """Return every receipt of the store."""
    records = deployment.parts.enrolment_ports.persons.list_all(deployment.clock.now())
    return [made for record in records for receipts in record.value.receipts.values() for made in receipts]


def test_narrowing_and_undoing_ask_nobody_again(deployment: Deployment, edit: Edit) -> None:
    """An attribute less leaves unasked, and the assertion lacks it; back again nobody is asked; a new purpose asks."""
    edit(remove_attributes("cpr"))
    person = deployment.person()
    person.agree(person.log_in("asta"), remember=True)
    edit(remove_attributes("cpr", "sn"))
    landed = deployment.landing(person.log_in("asta"))
    assert {"sn", "schacPersonalUniqueID"} & {*landed.attributes} == set()
    edit(as_shipped)
    assert mark(person.log_in("asta"))[0] == "ask"
    edit(remove_attributes("cpr"))
    assert "sn" in deployment.landing(person.log_in("asta")).attributes
    edit(lambda each: replace(remove_attributes("cpr")(each), purpose=replace(each.purpose, en="To count you")))
    assert mark(person.log_in("asta"))[0] == "ask"


def no(person: Person, page: TestResponse) -> TestResponse:
    """Press no on a page of consent, though it may not be the last page any more."""
    token = find_text(page, "//form[@class='answer']//input[@name='token']/@value")
    return person.post(page.request.path, {"token": token, "answer": "no"})


def test_a_no_ends_the_login_though_the_policies_were_undone_while_the_page_was_open(
    deployment: Deployment, edit: Edit
) -> None:
    """The older yes covers what is asked by then: nothing leaves by it, in this login or in the next."""
    edit(remove_attributes("cpr"))
    person = deployment.person()
    person.agree(person.log_in("asta"), remember=True)
    edit(as_shipped)
    page = person.log_in("asta")
    edit(remove_attributes("cpr"))
    assert mark(no(person, page)) == ("refuse", "consent_refused")
    assert [made.event for made in on_file(deployment)].count(ReceiptEvent.REFUSED) == 1
    assert mark(person.get(page.request.path.removesuffix("/consent"))) == ("refuse", "consent_refused")
    assert mark(deployment.person().log_in("asta"))[0] == "ask"
