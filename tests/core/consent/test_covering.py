"""A remembered yes covers less under the same terms, until a later no."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import pytest

from broker.core.consent.consent import (
    REMEMBERED_FOR,
    Question,
    Receipt,
    ReceiptEvent,
    find_question,
    is_covered,
    make_receipt,
)
from broker.core.consent.disclosure import Disclosure, Item
from broker.core.entities import PERSISTENT, TRANSIENT, Controller, Text
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import NAME_ID

WORDS: Final = Text("words", "ord")
OTHER: Final = Text("other", "andet")
MAIL: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
ROLES: Final = Item("eduPersonScopedAffiliation", ("student@au.dk", "member@au.dk"), WORDS)
TITLE: Final = Item("title", ("Ms",), WORDS, optional=True)
ASKED: Final = Disclosure(
    service="my-loans",
    acs="https://loans.example/acs",
    name_id_format=PERSISTENT,
    purpose=WORDS,
    legal_basis="consent",
    giver=Controller(Text("AU", "AU")),
    receiver=Controller(Text("Library", "Bibliotek")),
    items=(
        Item("sn", ("Ravn",), WORDS),
        Item("mail", ("asta@au.dk",), WORDS),
        ROLES,
        TITLE,
        Item("borrower_number", (), WORDS),
    ),
    policy="d",
)
SN, POST, _, _, NUMBER = ASKED.items
BY_MAIL: Final = replace(ASKED, name_id_format=MAIL, items=(Item(NAME_ID, ("asta@au.dk",), WORDS), *ASKED.items))


def items(*chosen: Item) -> Disclosure:
    """Give the disclosure with these items alone."""
    return replace(ASKED, items=chosen)


NARROWER: Final = {
    "the same": ASKED,
    "turned": items(*ASKED.items[::-1]),
    "an attribute less": items(SN, ROLES, TITLE, NUMBER),
    "nothing but the NameID": items(),
    "an affiliation less": items(SN, POST, replace(ROLES, values=("member@au.dk",)), TITLE, NUMBER),
    "another case": items(SN, POST, replace(ROLES, values=("STUDENT@AU.DK",)), TITLE, NUMBER),
    "another surname": items(replace(SN, values=("Holm",))),
    "what may be left out is gone": items(SN, POST, ROLES, NUMBER),
    "what always left may be left out": items(SN, replace(POST, optional=True)),
    "an affiliation may be left out": items(replace(ROLES, optional=True)),
    "no NameID that lasts": replace(ASKED, name_id_format=TRANSIENT),
}
WIDER: Final = {
    "an attribute more": items(*ASKED.items, Item("gn", ("Asta",), WORDS)),
    "an optional one more": items(*ASKED.items, Item("gn", ("Asta",), WORDS, optional=True)),
    "less and more": items(SN, Item("gn", ("Asta",), WORDS)),
    "another affiliation": items(replace(ROLES, values=("employee@au.dk",))),
    "an affiliation more": items(replace(ROLES, values=(*ROLES.values, "employee@au.dk"))),
    "what could be left out always leaves": items(replace(TITLE, optional=False)),
    "a value that is another's name": items(Item("student@au.dk", (), WORDS)),
    "the address as NameID": BY_MAIL,
    "another purpose": replace(ASKED, purpose=OTHER),
    "another basis": replace(ASKED, legal_basis="public_task"),
    "another giver": replace(ASKED, giver=None),
    "another receiver": replace(ASKED, receiver=Controller(OTHER)),
    "another service": replace(ASKED, service="other"),
    "less, for another purpose": replace(items(SN), purpose=OTHER),
}


@pytest.fixture
def yes(hmacs: LookupHmacs, now: datetime) -> Any:
    """Give a maker of remembered answers, a yes by default."""

    def make(shown: Disclosure = ASKED, at: datetime = now, *, answer: bool = True, **how: Any) -> Receipt:
        asked = Question(shown)
        facts = {"remembered_for": REMEMBERED_FOR, "person": "p", "language": "da", "hmacs": hmacs, "now": at, **how}
        return make_receipt(f"r {at} {answer}", asked, answer, **facts)

    return make


@pytest.mark.parametrize("name", NARROWER)
def test_less_under_the_same_terms_is_covered(hmacs: LookupHmacs, now: datetime, yes: Any, name: str) -> None:
    """A person who agreed to more is not asked again."""
    assert find_question(NARROWER[name], [yes()], None, hmacs, now) is None


@pytest.mark.parametrize("name", WIDER)
def test_more_or_other_terms_are_asked(hmacs: LookupHmacs, now: datetime, yes: Any, name: str) -> None:
    """One more part or other terms ask again, even if another part is gone."""
    asked = find_question(WIDER[name], [yes()], None, hmacs, now)
    assert asked is not None
    assert asked.changed_since


def test_an_address_as_nameid_covers_no_other_name(hmacs: LookupHmacs, yes: Any) -> None:
    """Nor its own address in another case; a NameID for one login is less than it."""
    made = yes(BY_MAIL)
    other = replace(BY_MAIL, items=(Item(NAME_ID, ("Asta@au.dk",), WORDS), *ASKED.items))
    assert not is_covered(made, other, hmacs)
    assert not is_covered(made, ASKED, hmacs)
    assert is_covered(made, replace(ASKED, name_id_format=TRANSIENT), hmacs)


def test_receipts_of_two_persons_share_no_digest(hmacs: LookupHmacs, yes: Any) -> None:
    """Two people with one affiliation have no digest of it in common, and none is there twice."""
    first, second = yes(), yes(person="q")
    assert len(set(first.parts)) == len(first.parts) == len(ASKED.parts)
    assert not {*first.parts} & {*second.parts}
    assert not is_covered(replace(first, person="q"), items(SN), hmacs)


def test_a_yes_of_this_login_covers_no_less_than_it_showed(hmacs: LookupHmacs, now: datetime, yes: Any) -> None:
    """Within a login what is shown is what leaves, whatever is on file (docs/reference/design.md#4a-shown)."""
    own = yes()
    assert find_question(ASKED, (), own, hmacs, now) is None
    asked = find_question(items(SN), [yes(items(SN))], own, hmacs, now)
    assert asked == Question(items(SN), own)


def test_a_notice_is_no_consent_to_less(hmacs: LookupHmacs, now: datetime, yes: Any) -> None:
    """Nor a consent a notice: each is asked on its own basis."""
    told = replace(ASKED, legal_basis="contract")
    assert find_question(replace(items(SN), legal_basis="contract"), [yes(told)], None, hmacs, now) is None
    assert find_question(items(SN), [yes(told)], None, hmacs, now) is not None


@pytest.mark.parametrize("event", [ReceiptEvent.REFUSED, ReceiptEvent.WITHDRAWN, ReceiptEvent.FORGOTTEN])
def test_a_no_of_the_same_instant_counts(hmacs: LookupHmacs, now: datetime, yes: Any, event: ReceiptEvent) -> None:
    """In either order on file: a withdrawal is not lost to a yes."""
    no = replace(yes(), event=event, record_id="no")
    for receipts in ([yes(), no], [no, yes()]):
        assert find_question(ASKED, receipts, None, hmacs, now) is not None
