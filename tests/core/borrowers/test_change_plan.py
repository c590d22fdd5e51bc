"""The change plan: upgrades, declined upgrades, lowering, and cases."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import (
    Case,
    Change,
    Create,
    Gone,
    Nothing,
    Plan,
    offered,
    outcome,
    plan,
    plan_for_matching,
)
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
        (THERE, replace(WANTED, upgrade=False), Nothing("7"), None, EnrolmentOutcome.UNCHANGED),
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
            EnrolmentOutcome.FILLED_IN,
        ),
        (
            replace(THERE, category="STUD"),
            replace(WANTED, upgrade=False),
            Change("7", (), None, FAR),
            None,
            EnrolmentOutcome.UPDATED,
        ),
        (replace(THERE, category="STUD"), LOWERING, Change("7", (), "PRIV", FAR), None, EnrolmentOutcome.LOWERED),
        (replace(THERE, category="HOSP", expires=SOON), LOWERING, Nothing("7"), None, EnrolmentOutcome.UNCHANGED),
        (replace(THERE, category="STUD"), replace(LOWERING, lowers=()), Nothing("7"), None, EnrolmentOutcome.UNCHANGED),
        (None, LOWERING, Gone(), None, None),
        (None, replace(WANTED, creates=False), Gone(), None, None),
        (None, replace(WANTED, upgrade=False), Create(replace(WANTED, upgrade=False)), None, None),
    ],
)
def test_a_category_moves_as_asked_and_allowed(
    found: Borrower | None, wanted: WantedBorrower, planned: Plan, offer: str | None, result: EnrolmentOutcome | None
) -> None:
    """An upgrade is offered and can be declined (R40), and only what the policy lists is lowered (R47).

    Nobody is made for a request that may make none.
    """
    there = (found,) if found else ()
    assert plan(there, wanted, TODAY) == planned
    assert offered(planned, there, wanted) == offer
    if result and found:
        assert outcome(found, planned if isinstance(planned, Change) else None, wanted) == result


def test_neither_a_change_nor_a_borrower_nor_a_request_shows_the_cpr() -> None:
    """They end in tracebacks and test reports."""
    claim = Change("9", (), cpr=CPR)
    pending = Enrolment("e", EnrolmentState.PENDING, datetime(2026, 11, 25, 12, tzinfo=UTC), WANTED)
    assert CPR not in f"{claim!r}{replace(THERE, cpr=CPR)!r}{WANTED!r}{Create(WANTED)!r}{pending!r}"
    assert repr(pending) == "Enrolment('e', 'pending', None)"


categories = st.sampled_from(["STUD", "EMPL", "PRIV", "TEMP"])
numbers = st.sampled_from(["7", "9"])
borrowers = st.builds(
    Borrower,
    numbers,
    categories,
    st.none() | st.dates(TODAY, FAR),
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


def test_two_borrowers_with_one_number_are_a_case() -> None:
    """Nothing is changed, and staff see both."""
    assert plan((THERE, replace(THERE, number="9")), WANTED, TODAY) == Case("several_borrowers", ("7", "9"))


@given(requests, st.lists(borrowers, max_size=2))
def test_a_plan_creates_and_moves_only_as_the_login_may(wanted: WantedBorrower, found: list[Borrower]) -> None:
    """No create without CPR number and right to create; no category moves that is neither upgraded nor lowered."""
    planned = plan(tuple(found), wanted, TODAY)
    if isinstance(planned, Create):
        assert wanted.cpr
        assert wanted.creates
        assert found == []
    if isinstance(planned, Change):
        before = next(each for each in found if each.number == planned.number)
        assert planned.category in {None, before.category} or wanted.moves(before.category)
        assert planned.cpr is None


@given(requests, borrowers)
def test_a_plan_that_was_carried_out_is_not_repeated(wanted: WantedBorrower, borrower: Borrower) -> None:
    """After its own change the plan is Nothing."""
    planned = plan_for_matching((borrower,), wanted, TODAY)
    if isinstance(planned, Change):
        after = replace(
            borrower,
            category=planned.category or borrower.category,
            expires=planned.expires or borrower.expires,
            fields={**borrower.fields, **dict(planned.fields)},
        )
        wanted = replace(wanted, upgrade=False, lowers=())
        assert plan_for_matching((after,), wanted, TODAY) == Nothing(borrower.number)
