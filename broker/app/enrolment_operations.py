"""What staff ask of enrolments: from a page's reference to the case, and to the borrower today."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from broker.app.assembly import Parts, now
from broker.app.fault_accounts import NoEnrolment
from broker.core.borrowers.borrower import Bar
from broker.core.identity.cpr import looks_like_cpr
from broker.core.stateless_references import StatelessReferences
from broker.use_cases.borrowers.borrower_look import BorrowerLook, Found, Looked
from broker.use_cases.borrowers.enrolment_records import StoredEnrolment
from broker.use_cases.login.support_traces import SupportTrace, SupportTraces
from broker.use_cases.transactions import is_reference

Row = Mapping[str, Any]

_IDS: Final = "broker enrolments list shows the ids"
_NOT_THERE: Final[Mapping[Found, str]] = {
    Found.GONE: "deleted or merged in the library system; the next login looks by the CPR number",
    Found.NEVER: "the library system has no borrower of this number",
}
_BARRED: Final[Mapping[Bar, str]] = {
    Bar.EXPIRED: "it has expired: nothing is lent until it is renewed",
    Bar.RESTRICTED: "it is restricted: nothing is lent until staff lift that",
    Bar.CARD_LOST: "its card is marked as lost",
    Bar.ADDRESS_UNKNOWN: "its address is marked as wrong",
}


def shown(parts: Parts, name: str) -> Row:
    """Return all that is known of the enrolment of an id or a page's reference; NoEnrolment."""
    enrolment = named(parts, name)
    row = parts.cases.show(enrolment)
    if row is None:
        raise NoEnrolment(f"no such enrolment; {_IDS}")
    return {**row, "references": SupportTraces(parts.store).naming(enrolment, now())}


def named(parts: Parts, name: str) -> str:
    """Return the id of the enrolment that an id, or a reference as read aloud, names; NoEnrolment.

    The name is quoted nowhere: what is typed by mistake may be a person's number.
    """
    entry = _entry(parts, name)
    if entry is None:
        what = "references of pages are kept for 30 days"
        raise NoEnrolment(f"no such enrolment or reference; {_IDS}, and {what}")
    return entry.enrolment.id


@dataclass(frozen=True, slots=True)
class LookResult:
    """A row a borrower, and a sentence for each thing that is not as it should be."""

    rows: Sequence[Row]
    sentences: Sequence[str]


def looked(parts: Parts, name: str) -> LookResult:
    """Ask the library system at once about the borrowers of an id, reference or borrower number.

    What is remembered of them is believed no more: their next login asks too. NoEnrolment for a
    reference that leads to none; LibraryUnavailable or LibraryRefused where the library system does
    not say.
    """
    look = BorrowerLook(parts.enrolments.question)
    entry = _entry(parts, name)
    if entry is not None:
        found = look.at(entry)
        if not found:
            raise NoEnrolment("no borrower is known to it yet; see broker enrolments show")
    elif is_reference(name):
        raise NoEnrolment("no page of the last 30 days had this reference")
    else:
        found = (look.at_number(name.strip()),)
    sentences = [sentence for each in found for sentence in _sentences(each)]
    return LookResult([_looked_row(each) for each in found], sentences)


def _entry(parts: Parts, name: str) -> StoredEnrolment | None:
    """Return the enrolment that a name leads to, None for an unknown one; NoEnrolment."""
    if looks_like_cpr(name, apart=True):
        what = "it must not stand in a command, which shells and machines write down"
        raise NoEnrolment(f"a CPR number names no enrolment: {what}. Use the page's reference")
    entry = parts.cases.find(name.strip().lower())
    if entry is not None:
        return entry
    moment = now()
    stranger = StatelessReferences(parts.keys.index).read(name, moment)
    if stranger is not None:
        # Whoever had shown no authentication there leads to nothing.
        return _traced(parts, SupportTrace(stranger.at, stranger.step, reason=stranger.reason))
    trace = SupportTraces(parts.store).find(name, moment)
    if trace is None:
        return None
    return _traced(parts, trace)


def _traced(parts: Parts, trace: SupportTrace) -> StoredEnrolment:
    facts = {"at": f"{trace.at:%Y-%m-%d %H:%M} UTC", "step": trace.step, "reason": trace.reason}
    told = ", ".join(f"{fact} {value}" for fact, value in facts.items() if value)
    if trace.enrolment is None:
        raise NoEnrolment(f"the page of this reference led to no enrolment: {told}")
    entry = parts.cases.find(trace.enrolment)
    if entry is None:
        what = "which has been ended or carried out"
        raise NoEnrolment(f"the page of this reference named a case {what}: {told}")
    return entry


def _looked_row(looked: Looked) -> Row:
    row: dict[str, Any] = {"number": looked.number, "found": looked.found.value}
    borrower = looked.borrower
    if borrower is None:
        return row
    return {
        **row,
        "cpr": looked.cpr,
        "category": borrower.category,
        "expires": borrower.expires.isoformat() if borrower.expires else None,
        "card": "yes" if borrower.card else "no",
        "bars": tuple(sorted(borrower.bars)),
    }


def _sentences(looked: Looked) -> Iterator[str]:
    borrower = looked.borrower
    if borrower is None:
        yield f"{looked.number}: {_NOT_THERE[looked.found]}"
        return
    if looked.cpr == "another's":
        yield f"{looked.number}: it has another person's CPR number in the library system"
    if borrower.card is None:
        yield f"{looked.number}: it has no card number; the next change of it writes one"
    for bar in sorted(borrower.bars):
        yield f"{looked.number}: {_BARRED[bar]}"
