"""The change plan: upgrades, declined upgrades, and lowering."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change, describe_outcome, plan_change
from broker.core.borrowers.enrolment import Enrolment, EnrolmentOutcome, EnrolmentState
from broker.core.borrowers.matching import PersonFacts
from broker.core.borrowers.wanted_borrower import WantedBorrower, WantedField

TODAY = date(2026, 11, 25)
FAR = date(2028, 11, 25)
SOON = TODAY + timedelta(days=9)
CPR = "0101990000"
NAME = WantedField("surname", "Prøvesen", "always")
AASE = PersonFacts("Prøvesen", "Åse", date(1999, 1, 1))
NAMES = {"surname": "Prøvesen", "firstname": "Åse"}
WANTED = WantedBorrower(CPR, "student", "STUD", ("PRIV",), FAR, (NAME,), None, person=AASE)
THERE = Borrower("7", "PRIV", SOON, fields=NAMES, born=AASE.birth_date, card="7")
RENAMED = replace(THERE, fields={**NAMES, "surname": "Eksempel"})
LOWERING = WantedBorrower(
    CPR, "private", "PRIV", (), FAR, (), None, lowers=("STUD", "EMPL"), creates=False, person=AASE
)


@pytest.mark.parametrize(
    ("found", "wanted", "planned", "offer", "result"),
    [
        (THERE, WANTED, Change("7", (), "STUD", FAR), "PRIV", EnrolmentOutcome.UPGRADED),
        (THERE, replace(WANTED, upgrade=False), None, None, EnrolmentOutcome.UNCHANGED),
        (
            RENAMED,
            replace(WANTED, upgrade=False),
            Change("7", (("surname", "Prøvesen"),)),
            None,
            EnrolmentOutcome.UPDATED,
        ),
        (
            replace(THERE, fields={"firstname": "Åse"}),
            replace(WANTED, upgrade=False),
            Change("7", (("surname", "Prøvesen"),)),
            None,
            EnrolmentOutcome.UPDATED,
        ),
        (
            replace(THERE, category="STUD"),
            replace(WANTED, upgrade=False),
            Change("7", (), None, FAR),
            None,
            EnrolmentOutcome.UPDATED,
        ),
        (replace(THERE, category="STUD"), LOWERING, Change("7", (), "PRIV", FAR), None, EnrolmentOutcome.LOWERED),
        (replace(THERE, category="HOSP", expires=SOON), LOWERING, None, None, EnrolmentOutcome.UNCHANGED),
        (replace(THERE, category="STUD"), replace(LOWERING, lowers=()), None, None, EnrolmentOutcome.UNCHANGED),
    ],
)
def test_a_category_moves_as_asked_and_allowed(
    found: Borrower, wanted: WantedBorrower, planned: Change | None, offer: str | None, result: EnrolmentOutcome
) -> None:
    """An upgrade is offered and can be declined (R40), and only what the policy lists is lowered (R47)."""
    assert plan_change(found, wanted, TODAY) == planned
    assert wanted.upgrades_from(found.category) is (offer is not None)
    assert describe_outcome(found, planned, wanted) == result


def test_neither_a_change_nor_a_borrower_nor_a_request_shows_the_cpr() -> None:
    """They end in tracebacks and test reports."""
    claim = Change("9", (), cpr=CPR)
    pending = Enrolment("e", EnrolmentState.PENDING, datetime(2026, 11, 25, 12, tzinfo=UTC), WANTED)
    assert CPR not in f"{claim!r}{replace(THERE, cpr=CPR)!r}{WANTED!r}{pending!r}"


categories = st.sampled_from(["STUD", "EMPL", "PRIV", "TEMP"])
numbers = st.sampled_from(["7", "9"])
borrowers = st.builds(
    Borrower,
    numbers,
    categories,
    st.none() | st.dates(TODAY, FAR + timedelta(days=900)),
    born=st.sampled_from([None, date(1999, 1, 1), date(1980, 5, 5)]),
    cpr=st.sampled_from([None, CPR, "0202990000"]),
    card=st.just("7"),
)
requests = st.builds(
    WantedBorrower,
    st.none() | st.just(CPR),
    st.just("student"),
    categories,
    st.lists(categories, max_size=3).map(tuple),
    st.just(FAR),
    st.just((NAME,)),
    st.none(),
    upgrade=st.booleans(),
    lowers=st.lists(categories, max_size=2).map(tuple),
    creates=st.booleans(),
)


@given(requests, borrowers)
def test_a_plan_moves_only_as_the_login_may(wanted: WantedBorrower, before: Borrower) -> None:
    """No category moves that is neither upgraded nor lowered, and no login brings the expiry nearer."""
    planned = plan_change(before, wanted, TODAY)
    if planned:
        assert planned.category in {None, before.category} or wanted.moves(before.category)
        assert planned.cpr is None
        assert planned.expires is None or wanted.category in {before.category, planned.category}
        assert not (planned.expires and before.expires) or planned.expires > before.expires
