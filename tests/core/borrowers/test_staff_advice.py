"""What staff are told to do, for every reason that an enrolment can have."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.borrowers.staff_advice import BY_REASON, advice
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.errors import PIN_UNUSABLE

OPERATIONS = Path(__file__).resolve().parents[3] / "docs" / "operations.md"
NOW = datetime(2026, 11, 25, tzinfo=UTC)
WISH = Wish("0101990000", "student", "STUD", (), date(2028, 1, 1), (), None)
CASE = Enrolment("e", EnrolmentState.CASE, NOW, WISH, "p", reason="several_borrowers")


def test_the_page_for_staff_has_the_reasons_that_the_commands_advise_on() -> None:
    """Each of them, and no other."""
    _, _, desk = OPERATIONS.read_text().partition("\n## Enrolments")
    cells = re.findall(r"^\| (`.*?`) \| ", desk.partition("\n### ")[0], re.MULTILINE)
    assert {code for cell in cells for code in re.findall(r"`(\w+)`", cell)} == set(BY_REASON)


def test_every_reason_of_a_pin_that_is_of_no_use_is_advised_on() -> None:
    """What was given up is tried again, whatever the reason: staff read what to mend first."""
    assert set(BY_REASON) >= PIN_UNUSABLE
    for reason in (*PIN_UNUSABLE, "mail_unavailable"):
        given_up = replace(CASE, state=EnrolmentState.DONE, reason=None, pin_given_up=reason)
        assert "`retry`" in advice(given_up, listed_apart=False).todo
        assert advice(given_up, listed_apart=False).retry.startswith("A PIN is set")


@pytest.mark.parametrize("state", EnrolmentState)
def test_every_state_has_its_advice(state: EnrolmentState) -> None:
    """With a reason that nobody foresaw too."""
    told = advice(replace(CASE, state=state, reason="unheard_of"), listed_apart=False)
    assert told.todo
    assert told.retry


def test_what_a_retry_would_do_follows_what_is_left_of_the_case() -> None:
    """With its wish it goes on; without, staff end it; listed by itself a retry is its end."""
    assert advice(CASE, listed_apart=False).retry.startswith("It looks again")
    assert "the wish was dropped" in advice(replace(CASE, wish=None), listed_apart=False).retry
    assert advice(replace(CASE, wish=None), listed_apart=True).retry.startswith("It ends the case")
    done = replace(CASE, state=EnrolmentState.DONE, reason=None, wish=None)
    assert advice(done, listed_apart=False).retry.startswith("Nothing")
