"""The rows of enrolments and cases as staff see them listed, and their order."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final

from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.entities import Names
from broker.use_cases.borrowers.enrolment_records import StoredEnrolment

EnrolmentRow = Mapping[str, str | int | bool | Names | None]

_ORDER: Final = ("case", "pin_given_up", "wanted", "pin_owed", "given_up", "observed", "done")


def row(entry: StoredEnrolment) -> EnrolmentRow:
    """Return an enrolment as it is listed: nothing personal in it but the borrower's number."""
    enrolment = entry.enrolment
    wished = enrolment.wish.category if enrolment.wish else None
    return {
        "id": enrolment.id,
        "state": enrolment.listed_state,
        "reason": enrolment.listed_reason,
        "cause": enrolment.cause,
        "outcome": enrolment.outcome.value if enrolment.outcome else None,
        "number": enrolment.number,
        "linked": enrolment.link,
        "borrowers": enrolment.borrowers or None,
        "category": enrolment.category or wished,
        "expires": _iso(enrolment.expires),
        "wanted_at": _iso(enrolment.wanted_at),
        "due": None if enrolment.state is EnrolmentState.CASE else _iso(entry.due),
        "wish_until": _iso(entry.due) if enrolment.state is EnrolmentState.CASE else None,
        "attempts": enrolment.attempts,
        "pin_owed": enrolment.pin_owed,
        "pin_mailed": _iso(enrolment.pin_mailed),
        "would": ", ".join(enrolment.would) or None,
    }


def rank(entry: StoredEnrolment) -> tuple[int, datetime]:
    """Return where an enrolment is listed: what staff must look at first, the oldest before."""
    return _ORDER.index(entry.enrolment.listed_state), entry.enrolment.wanted_at


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
