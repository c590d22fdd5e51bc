"""What differs between a borrower as it was granted and as it is; what staff did stays."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change, plan
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState, Granted
from broker.core.borrowers.reconciliation import Comparison, Difference, LeftAlone, Surprise, compared, is_compared
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.entities import Text
from broker.core.policy.model import BorrowerRule, Lowering, Policy, PolicyLine, PolicySet, Requirement

TODAY: Final = date(2026, 11, 25)
SOON: Final = TODAY + timedelta(days=20)
LATER: Final = TODAY + timedelta(days=400)
PAST: Final = TODAY - timedelta(days=1)
AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
MARK: Final = "a" * 32
CPR: Final = "0101990000"
PLACE: Final = PolicyLine("p.yaml", 1)
STUDENT: Final = BorrowerRule(("cpr",), "STUD", ("PRIV",), 24, (), "mail", PLACE)
PRIVATE: Final = BorrowerRule(("cpr",), "PRIV", (), 24, (), "mail", PLACE, Lowering(("wayf",), ("STUD", "EMPL")))
GUEST: Final = BorrowerRule(("cpr",), "GUEST", (), 24, (), "mail", PLACE, Lowering(("wayf",), ("STUD",)))


def policies(**rules: BorrowerRule | None) -> PolicySet:
    """Give a policy for each affiliation, with its rule about borrowers."""
    words = Text("words", "ord")
    return PolicySet(
        tuple(
            Policy("p.yaml", name, place, words, "o", TODAY, (), (), Requirement(), rule, ())
            for place, (name, rule) in enumerate(rules.items())
        ),
        "",
    )


POLICIES: Final = policies(student=STUDENT, private=PRIVATE)


def enrolment(expires: date = LATER, **changes: Any) -> Enrolment:
    """Give the finished enrolment of a student whom we made a borrower."""
    done = Enrolment(MARK, EnrolmentState.DONE, AT, None, "p", number="5", category="STUD", expires=expires)
    return replace(done, **{"granted": Granted("student", "STUD", expires), **changes})


def borrower(**changes: Any) -> Borrower:
    """Give the borrower as we made it."""
    made = Borrower("5", "STUD", LATER, MARK, email="aase@example.org", cpr=CPR, card=CPR)
    return replace(made, **changes)


def comparison(
    before: Enrolment, there: Borrower | None, rules: PolicySet = POLICIES, *, carries: bool = True
) -> Comparison:
    """Compare one borrower, today, with letters."""
    return compared(before, there, carries=carries, tells=True, policies=rules, today=TODAY)


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (borrower(), ()),
        (None, (Difference.GONE,)),
        (borrower(number="6", mark="b" * 32), (Difference.GONE,)),  # merged into that one
        (borrower(category="PRIV"), (Difference.CATEGORY,)),
        (borrower(expires=SOON), (Difference.EXPIRY,)),
        (borrower(card=None), (Difference.CARD,)),
        (borrower(mark=None), (Difference.MARK,)),
        (borrower(mark=None, card=None, category="PRIV"), (Difference.CATEGORY, Difference.MARK, Difference.CARD)),
        (borrower(expires=LATER - timedelta(days=1)), ()),  # a login would not move it either
        (borrower(expires=LATER + timedelta(days=1)), ()),  # staff have made it longer
        (borrower(expires=None), ()),
        (borrower(fields={"surname": "Eksempel"}), ()),  # what people and the desk write is theirs
    ],
)
def test_each_kind_of_difference_is_found(there: Borrower | None, found: tuple[Difference, ...]) -> None:
    """Category, expiry, card number and mark, as a login's plan has them; nothing that staff raised."""
    assert comparison(enrolment(), there).differences == found


@pytest.mark.parametrize(
    ("there", "carries", "surprise"),
    [
        (borrower(mark="b" * 32), True, Surprise.ANOTHER_MARK),
        (borrower(mark="Biologi"), True, Surprise.ANOTHER_MARK),
        (borrower(cpr=None), False, Surprise.NO_CPR),
        (borrower(), False, Surprise.ANOTHER_CPR),
        (borrower(born=date(1980, 1, 2)), True, Surprise.BIRTH_DATE),
    ],
)
def test_a_borrower_that_may_be_anothers_is_a_surprise(there: Borrower, surprise: Surprise, *, carries: bool) -> None:
    """However it differs beside that: nothing is wished for it."""
    found = comparison(enrolment(), replace(there, card=None, category="PRIV"), carries=carries)
    assert found == Comparison(surprise=surprise)


@pytest.mark.parametrize(
    ("there", "rules", "left"),
    [
        (borrower(category="VIP"), POLICIES, LeftAlone.STAFF),
        (borrower(), policies(private=PRIVATE), LeftAlone.NO_POLICY),
        (borrower(), policies(student=None), LeftAlone.NO_POLICY),
        (borrower(), policies(student=replace(STUDENT, category="STUD-AU", upgrades=("STUD",))), LeftAlone.POLICY),
    ],
)
def test_what_no_rule_moves_is_left_alone(there: Borrower, rules: PolicySet, left: LeftAlone) -> None:
    """Told, and not mended: a category of staff's, a policy that is gone, one that asks the person at a login."""
    found = comparison(enrolment(), replace(there, expires=SOON, card=None), rules)
    assert (found.left, found.differences) == (left, (Difference.CARD,))


def test_a_leaver_is_lowered_once_the_expiry_has_passed() -> None:
    """To the category of the policy that lowers it, its expiry as it was: nothing is lent to nobody known."""
    found = comparison(enrolment(PAST), borrower(expires=PAST))
    assert found.differences == (Difference.LEAVER,)
    assert found.wish is not None
    assert plan((borrower(expires=PAST),), found.wish, TODAY) == Change("5", (), "PRIV", PAST)
    assert (found.wish.affiliation, found.wish.creates, found.wish.pin_to) == ("private", False, None)
    assert comparison(enrolment(TODAY), borrower(expires=TODAY)).differences == ()
    assert comparison(enrolment(TODAY), borrower(expires=PAST)).differences == (Difference.EXPIRY,)


@pytest.mark.parametrize(
    ("there", "rules", "left"),
    [
        (borrower(expires=LATER), POLICIES, None),  # staff have made it longer
        (borrower(expires=PAST, category="EMPL"), POLICIES, None),  # staff gave the category
        (borrower(expires=PAST, category="PRIV"), POLICIES, None),  # lowered by staff already, and not raised
        (borrower(expires=PAST), policies(student=STUDENT), None),  # no policy lowers it
        (borrower(expires=PAST), policies(private=PRIVATE, guest=GUEST), LeftAlone.SEVERAL),
    ],
)
def test_whom_no_rule_lowers_is_not(there: Borrower, rules: PolicySet, left: LeftAlone | None) -> None:
    """Nor is anything raised after the end of what was granted."""
    assert comparison(enrolment(PAST), there, rules) == replace(
        comparison(enrolment(PAST), there, rules), differences=(), left=left
    )


@pytest.mark.parametrize(
    ("told", "changes"),
    [(True, {}), (False, {"pin_used": True}), (False, {"unused_told": AT}), (False, {"pin_mailed": None})],
)
def test_whoever_never_used_the_pin_is_told_once_before_the_end(changes: dict[str, Any], *, told: bool) -> None:
    """Of those who were mailed one; whoever has used it here, or was told, is not."""
    before = enrolment(SOON, **{"pin_mailed": AT, **changes})
    assert (Difference.UNUSED in comparison(before, borrower(expires=SOON)).differences) is told


@pytest.mark.parametrize("there", [borrower(expires=LATER), borrower(expires=PAST), borrower(expires=SOON, email=None)])
def test_nobody_is_told_too_early_too_late_or_nowhere(there: Borrower) -> None:
    """Within the thirty days before the end, by the address that the library system has."""
    found = comparison(enrolment(there.expires or LATER, pin_mailed=AT), there)
    assert Difference.UNUSED not in found.differences


@pytest.mark.parametrize(
    "changes",
    [
        {"granted": None},
        {"state": EnrolmentState.WANTED},
        {"state": EnrolmentState.CASE},
        {"pin_owed": True},
        {"number": None},
        {"wish": Wish(None, "student", "STUD", (), LATER, (), "aase@example.org")},
    ],
)
def test_only_finished_borrowers_of_ours_are_compared(changes: dict[str, Any]) -> None:
    """None that we found or adopted, none that something is owed to or under way."""
    assert is_compared(enrolment())
    assert not is_compared(enrolment(**changes))


DAYS: Final = st.integers(-40, 800).map(lambda days: TODAY + timedelta(days=days))


@given(granted=DAYS, there=st.none() | DAYS, category=st.sampled_from(["STUD", "PRIV", "EMPL", "VIP"]))
def test_nothing_is_ever_made_shorter(granted: date, there: date | None, category: str) -> None:
    """Whatever was granted and is there, no change brings an expiry nearer, or moves one that is none."""
    present = borrower(expires=there, category=category)
    found = comparison(enrolment(granted), present)
    if found.wish is None:
        assert (found.left, found.differences) == (LeftAlone.CLOSED, ())
        return
    planned = plan((present,), found.wish, TODAY)
    if isinstance(planned, Change) and planned.expires and there:
        assert planned.expires >= there
    if isinstance(planned, Change) and planned.category:
        assert (category, planned.category) in {("PRIV", "STUD"), ("STUD", "PRIV")}


@pytest.mark.parametrize("ends", [TODAY, TODAY - timedelta(days=1), PAST])
def test_a_borrower_that_staff_have_ended_is_not_opened_again(ends: date) -> None:
    """By an expiry of today or before, earlier than granted: nothing of it is mended."""
    there = borrower(expires=ends, card=None, mark=None, category="PRIV")
    found = comparison(enrolment(), there)
    assert (found.left, found.differences, found.wish) == (LeftAlone.CLOSED, (), None)
