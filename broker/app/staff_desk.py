"""What the desk sees and does by the reference on a caller's page: no search leads to a person."""

from datetime import timedelta
from typing import Final

from broker.adapters.web.admin.staff_ports import CallerAccount, CallerCase
from broker.app import refusal_explanations, refusal_text
from broker.app.assembly import Parts, now
from broker.app.told_words import Wording
from broker.core.borrowers.enrolment import EnrolmentState
from broker.core.borrowers.staff_advice import advice
from broker.core.entities import Names
from broker.core.errors import PinNoAddress
from broker.use_cases.borrowers.enrolment_records import StoredEnrolment
from broker.use_cases.login.support_traces import SupportTraces
from broker.use_cases.proofs.rate_limits import Limit, Limits

RETRIES: Final = Limit("staff-retries", 6, timedelta(hours=1))


def case(parts: Parts, reference: str, language: str) -> CallerCase | None:
    """Return what a reference stands for and leads to; None for one that no page had."""
    found = refusal_explanations.explained(parts, reference, now())
    if found is None:
        return None
    words = Wording(language)
    entry, ended = _entry(parts, reference)
    return CallerCase(
        reason=found.reason,
        lines=tuple(refusal_text.lines(found, words)),
        account=_account(parts, entry, words) if entry else None,
        ended=ended,
    )


def retry(parts: Parts, reference: str) -> bool:
    """Let the enrolment or case of a reference be tried again; False where nothing is left to.

    TooMany after six an hour: each asks the library system anew, and is a line of the trail.
    """
    entry, _ = _entry(parts, reference)
    if entry is None:
        return False
    Limits(parts.store, parts.keys.index, now).take((RETRIES, entry.enrolment.id))
    return parts.cases.retry(entry.enrolment.id)


def mail_pin_link(parts: Parts, reference: str, language: str, asked_at: str) -> bool:
    """Mail a PIN link to the borrower of a reference; False if there is none to mail to."""
    entry, _ = _entry(parts, reference)
    number = _own_number(entry) if entry else None
    if number is None or not parts.pin_mails.live:
        return False
    try:
        parts.pin_mails.request_by_staff(number, language, asked_at)
    except PinNoAddress:
        return False
    return True


def _entry(parts: Parts, reference: str) -> tuple[StoredEnrolment | None, bool]:
    """Return the enrolment that the page of a reference named, and whether it has ended since."""
    trace = SupportTraces(parts.store).find(reference, now())
    if trace is None or trace.enrolment is None:
        return None, False
    entry = parts.cases.find(trace.enrolment)
    return entry, entry is None


def _account(parts: Parts, entry: StoredEnrolment, words: Wording) -> CallerAccount:
    enrolment = entry.enrolment
    advised = advice(enrolment, listed_apart=bool(entry.key.name))
    return CallerAccount(
        state=enrolment.listed_state,
        reason=enrolment.listed_reason or "",
        cause=enrolment.cause or "",
        numbers=_numbers(entry),
        todo=words.say(advised.todo),
        retry_would=words.say(advised.retry),
        may_retry=bool(entry.key.name) or enrolment.wish is not None,
        may_letter=_own_number(entry) is not None and parts.pin_mails.live,
    )


def _numbers(entry: StoredEnrolment) -> Names:
    enrolment = entry.enrolment
    own = (enrolment.number,) if enrolment.number else ()
    temporary = enrolment.wish.temporary if enrolment.wish else None
    proved = (temporary,) if temporary else ()
    return tuple(dict.fromkeys((*own, *enrolment.borrowers, *proved)))


def _own_number(entry: StoredEnrolment) -> str | None:
    """Return the borrower that a finished enrolment has made or found; None for any other.

    Whose a letter would be, nobody can say of a case, and a retry forgets what made it one.
    """
    finished = entry.enrolment.state is EnrolmentState.DONE and not entry.key.name
    return entry.enrolment.number if finished else None
