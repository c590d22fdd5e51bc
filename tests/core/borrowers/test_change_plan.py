"""Declined upgrades, lowering, and the CPR of a borrower that had none: what is done, and what is left alone."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Case, Change, Create, Gone, Nothing, Plan, offered, outcome, plan
from broker.core.borrowers.enrolment import Enrolment, EnrolmentOutcome, EnrolmentState
from broker.core.borrowers.matching import PersonFacts
from broker.core.borrowers.wanted_borrower import Wish, WishedField

TODAY = date(2026, 11, 25)
FAR = date(2028, 11, 25)
SOON = TODAY + timedelta(days=9)
CPR = "0101990000"
NAME = WishedField("surname", "Prøvesen", "always")
AASE = PersonFacts("Prøvesen", "Åse", date(1999, 1, 1))
NAMES = {"surname": "Prøvesen", "firstname": "Åse"}
WISH = Wish(CPR, "student", "STUD", ("PRIV",), FAR, (NAME,), None, adopts=("TEMP",), person=AASE)
THERE = Borrower("7", "PRIV", SOON, fields=NAMES, born=AASE.birth_date)
RENAMED = replace(THERE, fields={**NAMES, "surname": "Eksempel"})
TEMP = Borrower("9", "TEMP", SOON, fields={**NAMES, "email": "desk@post.example"})
LOWERING = Wish(CPR, "private", "PRIV", (), FAR, (), None, lowers=("STUD", "EMPL"), creates=False, person=AASE)


@pytest.mark.parametrize(
    ("found", "wish", "planned", "offer", "result"),
    [
        (THERE, WISH, Change("7", (), "STUD", FAR), "PRIV", EnrolmentOutcome.UPGRADED),
        (THERE, replace(WISH, upgrade=False), Nothing("7"), None, EnrolmentOutcome.UNCHANGED),
        (
            RENAMED,
            replace(WISH, upgrade=False),
            Change("7", (("surname", "Prøvesen"),)),
            None,
            EnrolmentOutcome.UPDATED,
        ),
        (
            replace(THERE, fields={"firstname": "Åse"}),
            replace(WISH, upgrade=False),
            Change("7", (("surname", "Prøvesen"),)),
            None,
            EnrolmentOutcome.FILLED_IN,
        ),
        (
            replace(THERE, category="STUD"),
            replace(WISH, upgrade=False),
            Change("7", (), None, FAR),
            None,
            EnrolmentOutcome.UPDATED,
        ),
        (replace(THERE, category="STUD"), LOWERING, Change("7", (), "PRIV", FAR), None, EnrolmentOutcome.LOWERED),
        (replace(THERE, category="HOSP", expires=SOON), LOWERING, Nothing("7"), None, EnrolmentOutcome.UNCHANGED),
        (replace(THERE, category="STUD"), replace(LOWERING, lowers=()), Nothing("7"), None, EnrolmentOutcome.UNCHANGED),
        (None, LOWERING, Gone(), None, None),
        (None, replace(WISH, creates=False), Gone(), None, None),
        (None, replace(WISH, upgrade=False), Create(replace(WISH, upgrade=False)), None, None),
    ],
)
def test_a_category_moves_as_asked_and_allowed(
    found: Borrower | None, wish: Wish, planned: Plan, offer: str | None, result: EnrolmentOutcome | None
) -> None:
    """An upgrade is offered and can be declined (R40), and only what the policy lists is lowered (R47).

    Nobody is made for a wish that may make none.
    """
    there = (found,) if found else ()
    assert plan(there, wish, TODAY) == planned
    assert offered(planned, there, wish) == offer
    if result and found:
        assert outcome(found, planned if isinstance(planned, Change) else None, wish) == result


ADOPTING = replace(WISH, temporary="9")
ADOPTED = Change("9", (), "STUD", FAR, CPR)


@pytest.mark.parametrize(
    ("found", "wish", "temporary", "planned"),
    [
        ((), ADOPTING, TEMP, ADOPTED),
        ((), ADOPTING, replace(TEMP, born=date(1999, 1, 1)), ADOPTED),
        ((), ADOPTING, replace(TEMP, born=date(1999, 1, 2)), Case("temporary_unfit", ("9",))),
        ((), ADOPTING, replace(TEMP, cpr="0202990000"), Case("temporary_unfit", ("9",))),
        ((), ADOPTING, replace(TEMP, category="PRIV"), Case("temporary_unfit", ("9",))),
        ((), ADOPTING, None, Case("temporary_unfit")),
        ((), replace(ADOPTING, adopts=()), TEMP, Case("temporary_unfit", ("9",))),
        ((), replace(ADOPTING, creates=False), TEMP, Case("temporary_unfit", ("9",))),
        ((THERE,), ADOPTING, TEMP, Case("temporary_and_cpr", ("7", "9"))),
        ((THERE,), ADOPTING, None, Change("7", (), "STUD", FAR)),
        ((THERE, TEMP), ADOPTING, None, Case("several_borrowers", ("7", "9"))),
        ((replace(TEMP, cpr=CPR),), ADOPTING, None, ADOPTED),
        ((replace(TEMP, cpr=CPR),), ADOPTING, replace(TEMP, cpr=CPR), ADOPTED),
        ((replace(TEMP, category="STUD", expires=FAR, cpr=CPR),), ADOPTING, None, Nothing("9")),
        ((replace(TEMP, cpr=CPR),), WISH, None, Nothing("9")),
    ],
)
def test_a_cpr_that_arrives_later(
    found: tuple[Borrower, ...], wish: Wish, temporary: Borrower | None, planned: Plan
) -> None:
    """The temporary borrower gets it where that can be nobody else's; staff get every doubt."""
    assert plan(found, wish, TODAY, temporary) == planned
    assert found or offered(planned, found, wish) is None  # nothing is offered of a borrower that the CPR did not find


def test_neither_a_change_nor_a_borrower_nor_a_wish_shows_the_cpr() -> None:
    """They end in tracebacks and test reports."""
    pending = Enrolment("e", EnrolmentState.PENDING, datetime(2026, 11, 25, 12, tzinfo=UTC), WISH)
    assert CPR not in f"{ADOPTED!r}{replace(TEMP, cpr=CPR)!r}{ADOPTING!r}{Create(WISH)!r}{pending!r}"
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
)
wishes = st.builds(
    Wish,
    st.none() | st.just(CPR),
    st.just("student"),
    categories,
    st.lists(categories, max_size=3).map(tuple),
    st.just(FAR),
    st.just((NAME,)),
    st.none(),
    upgrade=st.booleans(),
    lowers=st.lists(categories, max_size=2).map(tuple),
    temporary=st.none() | numbers,
    adopts=st.lists(categories, max_size=2).map(tuple),
    creates=st.booleans(),
)


@given(wishes, st.lists(borrowers, max_size=2), st.none() | borrowers)
def test_who_said_no_keeps_the_category_and_who_may_not_enrol_gets_no_borrower(
    wish: Wish, found: list[Borrower], temporary: Borrower | None
) -> None:
    """Whatever is there: no create without CPR and leave, no move that is neither wished, lowered nor adopted.

    The CPR goes to nobody but the temporary borrower that was proved.
    """
    temporary = replace(temporary, number=wish.temporary) if temporary and wish.temporary else None
    planned = plan(tuple(found), wish, TODAY, temporary)
    if isinstance(planned, Create):
        assert wish.cpr
        assert wish.creates
        assert (found, wish.temporary) == ([], None)
    if isinstance(planned, Change):
        before = next(each for each in (*found, *([temporary] if temporary else [])) if each.number == planned.number)
        moved = planned.category not in {None, before.category}
        assert not moved or planned.cpr or wish.moves(before.category)
        assert planned.cpr in {None, wish.cpr}
        assert not planned.cpr or (planned.number == wish.temporary and before.category in wish.adopts)


@given(wishes, borrowers)
def test_what_was_adopted_need_not_be_adopted_again(wish: Wish, temporary: Borrower) -> None:
    """After its own change the plan is Nothing, as long as an adopted category is none that is adopted."""
    wish = replace(wish, cpr=CPR, temporary=temporary.number, adopts=("TEMP",), category="STUD")
    planned = plan((), wish, TODAY, temporary)
    if isinstance(planned, Change):
        after = replace(
            temporary, category="STUD", expires=FAR, cpr=CPR, fields={**temporary.fields, **dict(planned.fields)}
        )
        assert plan((after,), wish, TODAY) == Nothing(temporary.number)
