"""A remembered yes covers less under the same terms, until a later no."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from broker.core.consent.consent import (
    REMEMBERED_FOR,
    Question,
    Receipt,
    ReceiptEvent,
    compute_answer_time,
    find_left_out,
    find_question,
    find_valid_answer,
    is_covered,
    keep_agreed,
    make_receipt,
    select_yes_in_force,
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
    assert asked.changed


def test_an_address_as_nameid_covers_no_other_name(hmacs: LookupHmacs, yes: Any) -> None:
    """Nor its own address in another case; a NameID for one login is less than it."""
    made = yes(BY_MAIL)
    other = replace(BY_MAIL, items=(Item(NAME_ID, ("Asta@au.dk",), WORDS), *ASKED.items))
    assert not is_covered(made, other, hmacs)
    assert not is_covered(made, ASKED, hmacs)
    assert is_covered(made, replace(ASKED, name_id_format=TRANSIENT), hmacs)


def test_what_a_receipt_holds_is_of_its_person_alone(hmacs: LookupHmacs, yes: Any) -> None:
    """Two people with one affiliation have no digest of it in common, and none is there twice."""
    first, second = yes(), yes(person="q")
    assert len(set(first.parts)) == len(first.parts) == len(ASKED.parts)
    assert not {*first.parts} & {*second.parts}
    assert not is_covered(replace(first, person="q"), items(SN), hmacs)


def test_a_yes_counts_unless_a_no_is_younger(now: datetime, yes: Any) -> None:
    """The withdrawal of one ends every older one; at the same instant the no counts; the newest comes first."""
    earlier, later = yes(items(SN), now), yes(ASKED, now + timedelta(seconds=2))
    for event in (ReceiptEvent.REFUSED, ReceiptEvent.WITHDRAWN, ReceiptEvent.FORGOTTEN):
        no = replace(earlier, event=event, event_time=now + timedelta(seconds=1))
        assert select_yes_in_force([earlier, later]) == (later, earlier)
        assert select_yes_in_force([later, no, earlier]) == (later,)
        assert select_yes_in_force([earlier, replace(no, event_time=later.event_time), later]) == ()


def test_undoing_asks_nobody_again(hmacs: LookupHmacs, now: datetime, yes: Any) -> None:
    """A yes to the policies of before counts again, though a wider question was answered since, for one login."""
    narrow, wide = items(SN), ASKED
    answers = [yes(narrow, now), yes(wide, now + timedelta(days=1), remembered_for=None)]
    after = now + timedelta(days=2)
    assert find_question(wide, answers, None, hmacs, after) is not None
    assert find_valid_answer(narrow, answers, hmacs, after) == answers[0]
    no = replace(answers[1], event=ReceiptEvent.REFUSED)
    assert find_question(narrow, [*answers, no], None, hmacs, after) is not None


def test_the_newest_yes_that_covers_says_what_is_ticked(hmacs: LookupHmacs, now: datetime, yes: Any) -> None:
    """An attribute that the person left out last stays out."""
    ticked, left_out = yes(chosen=("title",)), yes(at=now + timedelta(seconds=1))
    for answers in ([ticked, left_out], [left_out, ticked]):
        assert find_valid_answer(items(TITLE), answers, hmacs, now) == left_out
    assert find_valid_answer(items(TITLE), [ticked], hmacs, now) == ticked


def test_what_the_person_left_out_since_stays_out(hmacs: LookupHmacs, now: datetime, yes: Any) -> None:
    """Under other terms too, until it is ticked again or agreed to as a whole; where it always leaves, it is asked."""
    other = replace(items(TITLE, SN), purpose=OTHER)
    ticked = yes(items(TITLE), now, chosen=("title",))
    silent = yes(replace(items(SN), purpose=OTHER), now + timedelta(hours=2))
    for remember in (True, False):
        since = yes(other, now + timedelta(hours=1), remembered_for=REMEMBERED_FOR if remember else None)
        for answers in ([ticked, since], [silent, since, ticked]):
            by = find_valid_answer(items(TITLE), answers, hmacs, now)
            assert by == replace(ticked, chosen=())
            assert keep_agreed(items(TITLE), by).items == ()
    always = replace(TITLE, optional=False)
    whole = yes(items(always, SN), now - timedelta(hours=1))
    assert find_valid_answer(items(always), [whole, ticked], hmacs, now) == whole
    assert find_valid_answer(items(always), [whole, ticked, since], hmacs, now) is None
    assert find_valid_answer(items(SN), [whole, ticked, since], hmacs, now) == whole
    for last in (yes(other, silent.event_time, chosen=("title",)), yes(items(always), silent.event_time)):
        assert find_left_out(select_yes_in_force([ticked, since, last])) == frozenset()


def test_a_yes_of_this_login_covers_no_less_than_it_showed(hmacs: LookupHmacs, now: datetime, yes: Any) -> None:
    """Within a login what is shown is what leaves, whatever is on file (docs/reference/design.md#4a-shown)."""
    own = yes()
    assert find_question(ASKED, (), own, hmacs, now) is None
    asked = find_question(items(SN), [yes(items(SN))], own, hmacs, now)
    assert asked == Question(items(SN), changed=True)


def test_a_notice_is_no_consent_to_less(hmacs: LookupHmacs, now: datetime, yes: Any) -> None:
    """Nor a consent a notice: each is asked on its own basis."""
    told = replace(ASKED, legal_basis="contract")
    assert find_question(replace(items(SN), legal_basis="contract"), [yes(told)], None, hmacs, now) is None
    assert find_question(items(SN), [yes(told)], None, hmacs, now) is not None


def test_an_answer_is_dated_after_what_it_follows(now: datetime, yes: Any) -> None:
    """A no on a machine whose clock is behind ends the yes that was given on another."""
    ahead = yes(at=now + timedelta(minutes=3))
    assert compute_answer_time([], now) == now
    assert compute_answer_time([yes(at=now - timedelta(days=1))], now) == now
    assert compute_answer_time([yes(), ahead], now) > ahead.event_time
