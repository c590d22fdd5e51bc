"""A finished enrolment against a wish: as wished, worth a look, or up for another category."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import near
from broker.core.borrowers.enrolment import Enrolment, EnrolmentOutcome, EnrolmentState
from broker.core.borrowers.wanted_borrower import Wish
from broker.flows.borrowers.enrolment_ports import EnrolmentPorts


@dataclass(frozen=True, slots=True)
class EnrolmentBeforeWish:
    """The borrower as it is known before a wish is written down.

    ``enrolment`` is the finished one of a borrower that is as wished. Or else ``number`` is that of
    the one borrower that the wish would change, and ``upgrade_from`` its category where the person
    is asked about that first (docs/reference/requirements.md#r40).
    """

    enrolment: Enrolment | None = None
    upgrade_from: str | None = None
    number: str | None = None


def as_wished(before: Enrolment, wish: Wish, ports: EnrolmentPorts) -> bool:
    """Return whether the borrower is as ``wish`` has it, as far as can be known without a look."""
    if before.number is None or before.carried != ports.carried(wish):
        return False
    if wish.moves(before.category or ""):
        return False
    if wish.temporary not in {None, before.number}:
        return False
    if before.expires is None or before.category != wish.category:
        return True
    return not near(before.expires, wish.expires, ports.now().date())


def looked_up_within(before: Enrolment, now: datetime, within: timedelta) -> bool:
    """Return whether the library was last asked about the borrower ``within`` this time."""
    return before.settled is not None and now - before.settled < within


def as_found(
    borrower: Borrower,
    before: Enrolment,
    wish: Wish,
    ports: EnrolmentPorts,
) -> Enrolment:
    """Return the enrolment of a borrower that a look found as wished: done, and nothing changed.

    A PIN that is owed stays owed, and one that was given up keeps what a retry needs.
    """
    owed = before.pin_owed and before.number == borrower.number
    kept = owed or before.pin_given_up
    return replace(
        before,
        state=EnrolmentState.DONE,
        wish=before.wish if kept else None,
        pin_owed=owed,
        number=borrower.number,
        category=borrower.category,
        expires=borrower.expires,
        outcome=EnrolmentOutcome.UNCHANGED,
        carried=ports.carried(wish),
        settled=ports.now(),
    )
