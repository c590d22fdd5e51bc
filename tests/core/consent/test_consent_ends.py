"""How an answer is taken back, what that leaves on file, and what the next screen says."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from broker.core.consent.consent import (
    REMEMBERED_FOR,
    Question,
    Receipt,
    ReceiptEvent,
    find_question,
    make_receipt,
    make_withdrawal,
)
from broker.core.consent.disclosure import Disclosure, Item
from broker.core.entities import Text
from broker.core.lookup_hmacs import LookupHmacs

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.fixture
def answer(disclosure: Disclosure, hmacs: LookupHmacs) -> Any:
    """Give a maker of receipts for a disclosure."""

    def make(shown: Disclosure = disclosure, *, yes: bool = True, **how: Any) -> Receipt:
        asked = Question(shown)
        facts = {"remembered_for": REMEMBERED_FOR, "person": "p", "language": "da", "hmacs": hmacs, "now": NOW, **how}
        return make_receipt("r1", asked, yes, **facts)

    return make


@pytest.mark.parametrize("how", [{"remembered_for": None}, {"yes": False}])
def test_a_question_repeated_is_not_called_changed(
    disclosure: Disclosure, hmacs: LookupHmacs, now: datetime, answer: Any, how: dict[str, bool]
) -> None:
    """A person who did not tick the box, or said no, sees the same page without "changed"."""
    asked = find_question(disclosure, [answer(**how)], None, hmacs, now)
    assert asked is not None
    assert not asked.changed_since


def test_a_receipt_tells_what_was_agreed_to(disclosure: Disclosure, answer: Any) -> None:
    """A receipt names the ticked attributes and not those that were offered and left out."""
    more = replace(
        disclosure,
        items=(disclosure.items[0], *(Item(name, ("v",), Text("x", "x"), optional=True) for name in ("mail", "title"))),
    )
    assert answer(more, chosen=("mail",)).agreed_names == ("sn", "mail")
    assert answer(more).agreed_names == ("sn",)
    assert answer(more).names == ("sn", "mail", "title")


@pytest.mark.parametrize("event", ReceiptEvent)
def test_only_a_yes_or_a_notice_can_be_taken_back(answer: Any, event: ReceiptEvent) -> None:
    """A consent is withdrawn, a notice forgotten, and nothing else ends."""
    ends = {ReceiptEvent.GIVEN: ReceiptEvent.WITHDRAWN, ReceiptEvent.INFORMED: ReceiptEvent.FORGOTTEN}
    end = make_withdrawal(replace(answer(), event=event), "r2", "en", NOW)
    assert (end and end.event) == ends.get(event)
