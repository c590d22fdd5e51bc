"""When the screen is shown, what the answer records, and when it is asked again."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from broker.core.consent.consent import (
    REMEMBERED_FOR,
    Question,
    Receipt,
    ReceiptEvent,
    find_question,
    keep_agreed,
    make_receipt,
)
from broker.core.consent.disclosure import Disclosure, Item, LookedUp
from broker.core.entities import PERSISTENT, TRANSIENT, Text
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import LegalBasis

YES = True


@pytest.fixture
def answer(disclosure: Disclosure, hmacs: LookupHmacs, now: datetime) -> Any:
    """Give a maker of receipts for the disclosure."""

    def make(*, yes: bool = True, remember: bool = True, basis: LegalBasis = "consent", **more: Any) -> Receipt:
        shown = replace(disclosure, legal_basis=basis)
        asked = Question(shown)
        return make_receipt(
            "r1",
            asked,
            yes,
            remembered_for=REMEMBERED_FOR if remember else None,
            person="p",
            language="da",
            hmacs=hmacs,
            now=now,
            **more,
        )

    return make


def test_other_bases_inform(disclosure: Disclosure, hmacs: LookupHmacs, now: datetime) -> None:
    """Under a public task the screen informs; its receipt never says consent was given."""
    informed = replace(disclosure, legal_basis="public_task")
    asked = find_question(informed, (), None, hmacs, now)
    assert asked is not None
    assert asked.variant == "inform"
    made = make_receipt("r", asked, YES, remembered_for=REMEMBERED_FOR, person="p", language="da", hmacs=hmacs, now=now)
    assert made.event is ReceiptEvent.INFORMED


def test_it_stands_for_a_year(disclosure: Disclosure, hmacs: LookupHmacs, now: datetime, answer: Any) -> None:
    """Twelve months later the person is asked again."""
    assert find_question(disclosure, [answer()], None, hmacs, now + timedelta(days=364)) is None
    assert find_question(disclosure, [answer()], None, hmacs, now + timedelta(days=365)) is not None


def test_this_login_s_answer_is_bound_to_what_it_showed(
    disclosure: Disclosure, hmacs: LookupHmacs, now: datetime, answer: Any
) -> None:
    """An answer counts for exactly the values shown: others in the same login ask again.

    Source: docs/reference/design.md#invariant-3.
    """
    own = answer(remember=False)
    assert find_question(disclosure, (), own, hmacs, now) is None
    changed = replace(disclosure, items=(replace(disclosure.items[0], values=("Other",)), *disclosure.items[1:]))
    assert find_question(changed, (), own, hmacs, now) is not None


def test_nothing_to_send_asks_nothing(disclosure: Disclosure, hmacs: LookupHmacs, now: datetime) -> None:
    """A service that gets no attribute and no lasting NameID needs no screen."""
    nothing = replace(disclosure, items=())
    assert find_question(replace(nothing, name_id_format=TRANSIENT), (), None, hmacs, now) is None
    assert find_question(replace(nothing, name_id_format=PERSISTENT), (), None, hmacs, now) is not None
    assert (
        find_question(replace(nothing, name_id_format=TRANSIENT, looked_up="number"), (), None, hmacs, now) is not None
    )


@pytest.mark.parametrize(
    ("told", "now_asked", "again"),
    [
        ("", "number", True),
        ("", "address", True),
        ("number", "address", True),
        ("address", "number", False),
        ("number", "", False),
        ("address", "address", False),
    ],
)
def test_a_look_up_that_nobody_was_told_of_is_asked_about(
    disclosure: Disclosure, hmacs: LookupHmacs, now: datetime, told: LookedUp, now_asked: LookedUp, *, again: bool
) -> None:
    """A yes of before a policy asked the register, or asked it for the address, is none to that; less is covered."""
    asked = Question(replace(disclosure, looked_up=told))
    before = make_receipt(
        "r1", asked, YES, remembered_for=REMEMBERED_FOR, person="p", language="da", hmacs=hmacs, now=now
    )
    assert (find_question(replace(disclosure, looked_up=now_asked), (before,), None, hmacs, now) is not None) == again


@pytest.mark.parametrize(("yes", "remember", "kept"), [(True, True, 365), (True, False, None), (False, True, None)])
def test_only_a_yes_is_remembered_if_the_person_asks(
    now: datetime, answer: Any, *, yes: bool, remember: bool, kept: int | None
) -> None:
    """A refusal is on file, with no day until which it would hold."""
    assert answer(yes=yes, remember=remember).valid_until == (kept and now + timedelta(days=kept))


def test_a_receipt_holds_no_value(answer: Any) -> None:
    """Names are kept, values never (docs/reference/consent.md#record)."""
    assert "1403044004" not in repr(answer())
    assert "Ravn" not in repr(answer())
    assert answer().names == ("sn", "cpr", "borrower_number")


def test_optional_attributes_leave_only_if_ticked(disclosure: Disclosure, hmacs: LookupHmacs, now: datetime) -> None:
    """An optional attribute that was not ticked, or was ticked but never offered, does not leave."""
    offered = replace(disclosure, items=(*disclosure.items, Item("mail", ("m",), Text("x", "x"), optional=True)))
    asked = Question(offered)

    def chosen(*names: str) -> list[str]:
        made = make_receipt(
            "r", asked, YES, remembered_for=None, chosen=names, person="p", language="da", hmacs=hmacs, now=now
        )
        return [each.name for each in keep_agreed(offered, made).items]

    assert "mail" not in chosen()
    assert "mail" not in chosen("sn", "title")
    assert "mail" in chosen("mail")
    assert "mail" not in [each.name for each in keep_agreed(offered, None).items]
