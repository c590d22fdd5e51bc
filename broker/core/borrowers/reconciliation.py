"""What a borrower that we made should be by now, compared with what the library system has."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from broker.core.borrowers.borrower import Borrower, wrong_with_borrowers
from broker.core.borrowers.change_plan import Change, plan
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState, Granted
from broker.core.borrowers.wanted_borrower import Wish
from broker.core.entities import Names
from broker.core.policy.model import BorrowerRule, PolicySet

# So long before a borrower expires its person is told that the PIN was never used here.
TOLD_BEFORE: Final = timedelta(days=30)


class Difference(StrEnum):
    """A kind of difference that is mended."""

    CATEGORY = "category"  # one that the policy upgrades, in place of what was granted
    EXPIRY = "expiry"  # nearer than what was granted, and so near that a login would move it
    CARD = "card"  # no card number
    MARK = "mark"  # our mark was cleared
    LEAVER = "leaver"  # expired as granted, of a category that a policy lowers
    GONE = "gone"  # deleted or merged: it is remembered no more
    UNUSED = "pin_unused"  # expires soon, and its PIN was never used here: the person is told


class LeftAlone(StrEnum):
    """A kind of difference that no command mends."""

    STAFF = "category_of_staff"  # one that no policy upgrades: staff gave it
    POLICY = "policy_changed"  # the policy names another category now: the person is asked at login
    NO_POLICY = "no_policy"  # no policy makes borrowers of this affiliation any more
    BARRED = "barred"  # its person is let in no more: dead, or of another number now
    BARRED_WITHOUT = "barred_without_cpr"  # the same, and the borrower's CPR number was taken off
    CLOSED = "closed_by_staff"  # staff brought its expiry to today or before
    KEPT = "kept_by_person"  # its person has said to keep the category it has
    SEVERAL = "several_lower"  # expired, and policies lower its category to several


class Surprise(StrEnum):
    """What no rule explains: a run that mends stops there, and staff look first."""

    ANOTHER_MARK = "another_mark"
    ANOTHER_CPR = "another_cpr"
    NO_CPR = "no_cpr"
    BIRTH_DATE = "birth_date_differs"
    REFUSED = "refused"  # the library system gives no borrower that reads
    UNREAD = "unread"  # the broker's own record does not read


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """What was found of one borrower; ``wish`` is what mends it, through the plan of a login.

    ``expires`` is the borrower's expiry where its person is to be told of it.
    """

    differences: tuple[Difference, ...] = ()
    left: LeftAlone | None = None
    surprise: Surprise | None = None
    wish: Wish | None = None
    expires: date | None = None


def is_compared(enrolment: Enrolment) -> bool:
    """Return whether an enrolment has a borrower that we made, with nothing under way or owed."""
    if enrolment.state is not EnrolmentState.DONE or enrolment.granted is None:
        return False
    return enrolment.number is not None and enrolment.wish is None and not enrolment.pin_owed


def compared(
    enrolment: Enrolment,
    borrower: Borrower | None,
    *,
    carries: bool,
    tells: bool,
    policies: PolicySet,
    today: date,
) -> Comparison:
    """Return what differs between what was granted and the ``borrower`` as it is; None: gone.

    ``carries`` is whether its CPR number is the person's, ``tells`` whether people can be mailed.
    ``is_compared`` holds.
    """
    granted = enrolment.granted
    # One that was merged is found by its CPR number: the mark of the other is another's.
    if borrower is None or granted is None or borrower.number != enrolment.number:
        return Comparison((Difference.GONE,))
    surprise = _surprise(enrolment, borrower, carries=carries)
    if surprise:
        return Comparison(surprise=surprise)
    if _is_closed(granted, borrower, today):
        return Comparison(left=LeftAlone.CLOSED)
    wish, left = _wanted(granted, borrower, policies, today)
    planned = plan((borrower,), wish, today)
    found = []
    if isinstance(planned, Change):
        found.append(_kind(planned, wish))
    if borrower.mark is None:
        found.append(Difference.MARK)
    if borrower.card is None:
        found.append(Difference.CARD)
    if tells and not isinstance(planned, Change) and _is_to_be_told(enrolment, borrower, today):
        found.append(Difference.UNUSED)
        return Comparison(tuple(found), left, wish=wish, expires=borrower.expires)
    return Comparison(tuple(found), left, wish=wish)


def _surprise(enrolment: Enrolment, borrower: Borrower, *, carries: bool) -> Surprise | None:
    if borrower.mark not in {None, enrolment.id}:
        return Surprise.ANOTHER_MARK
    if borrower.cpr is None:
        return Surprise.NO_CPR
    if wrong_with_borrowers((borrower,), borrower.cpr):
        return Surprise.BIRTH_DATE
    return None if carries else Surprise.ANOTHER_CPR


def _is_closed(granted: Granted, borrower: Borrower, today: date) -> bool:
    """Return whether somebody has ended a borrower before its time: it is not opened again."""
    return borrower.expires is not None and borrower.expires <= today < granted.expires


def _kind(change: Change, wish: Wish) -> Difference:
    if change.category is None:
        return Difference.EXPIRY
    return Difference.LEAVER if wish.lowers else Difference.CATEGORY


def _wanted(
    granted: Granted, borrower: Borrower, policies: PolicySet, today: date
) -> tuple[Wish, LeftAlone | None]:
    """Return the wish by which a borrower is kept as it was granted, and what is not wished."""
    present = borrower.expires or date.min
    as_it_is = _wish(replace(granted, category=borrower.category, expires=present), borrower)
    if granted.expires < today:
        expired = borrower.expires is not None and borrower.expires < today
        if expired and borrower.category == granted.category:
            return _lowered(granted, borrower, policies) or (as_it_is, LeftAlone.SEVERAL)
        return as_it_is, None
    rule = _rule(granted.affiliation, policies)
    if rule is None:
        return as_it_is, LeftAlone.NO_POLICY
    if rule.category != granted.category:
        return as_it_is, LeftAlone.POLICY
    if borrower.category not in {granted.category, *rule.upgrades}:
        return as_it_is, LeftAlone.STAFF
    # What staff have made longer stays so.
    longest = replace(granted, expires=max(granted.expires, present))
    return _wish(longest, borrower, rule.upgrades), None


def _lowered(
    granted: Granted, borrower: Borrower, policies: PolicySet
) -> tuple[Wish, LeftAlone | None] | None:
    """Return the wish that lowers a leaver, its expiry as it was: nobody has shown to be there.

    None where policies would lower it to more than one category.
    """
    lowering = {
        policy.borrower.category: policy.affiliation
        for policy in policies.policies
        if policy.borrower and _lowers(policy.borrower, borrower.category)
    }
    if len(lowering) > 1:
        return None
    to = replace(granted, expires=borrower.expires or date.min)
    for category, affiliation in lowering.items():
        to = replace(to, affiliation=affiliation, category=category)
        return _wish(to, borrower, lowers=(borrower.category,)), None
    return _wish(to, borrower), None


def _lowers(rule: BorrowerRule, category: str) -> bool:
    return rule.lowers is not None and category in rule.lowers.categories


def _rule(affiliation: str, policies: PolicySet) -> BorrowerRule | None:
    for policy in policies.policies:
        if policy.affiliation == affiliation:
            return policy.borrower
    return None


def _wish(granted: Granted, borrower: Borrower, upgrades: Names = (), lowers: Names = ()) -> Wish:
    return Wish(
        cpr=borrower.cpr,
        affiliation=granted.affiliation,
        category=granted.category,
        upgrades=upgrades,
        expires=granted.expires,
        fields=(),
        pin_to=None,
        language=granted.language,
        lowers=lowers,
        creates=False,
    )


def _is_to_be_told(enrolment: Enrolment, borrower: Borrower, today: date) -> bool:
    """Return whether a person who was mailed a PIN and never used it here is told of the end."""
    expires = borrower.expires
    if expires is None or not today <= expires <= today + TOLD_BEFORE:
        return False
    if borrower.email is None or enrolment.pin_mailed is None:
        return False
    return not enrolment.pin_used and enrolment.unused_told is None
