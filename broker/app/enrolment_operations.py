"""The search and the enrolments of staff, joined from the parts of a broker."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from broker.app.assembly import Parts, now
from broker.app.fault_accounts import NoEnrolment
from broker.core.identity.cpr import looks_like_cpr
from broker.core.identity.mail_addresses import mask_address
from broker.core.staff.staff_sentences import PAGES, REGISTER_NOTES, STATES
from broker.use_cases.enrolment.cases import StaffEnrolment
from broker.use_cases.staff.staff_search import FoundPerson, StaffSearch
from broker.use_cases.storage.mail_outbox import QueuedMail

_SHELL: Final = "shell"  # its guesses of help codes are counted together


def search(parts: Parts, clock: Callable[[], datetime] = now) -> StaffSearch:
    """Return the search of staff."""
    cases = parts.enrolment_cases
    return StaffSearch(cases, parts.outbox, parts.store, parts.keys.index, clock)


def find_person(parts: Parts, typed: str) -> FoundPerson:
    """Return the person of a help code, borrower number or person id; NoEnrolment.

    What was typed is not quoted: it may be a CPR number.
    """
    if looks_like_cpr(typed, apart=True):
        raise NoEnrolment("a CPR number finds nobody: use the help code or the borrower number")
    found = search(parts).find(typed.strip(), _SHELL)
    if found is None:
        raise NoEnrolment("no page of the last 30 days has this code, and nobody this number or id")
    return found


def find_enrolment(parts: Parts, typed: str) -> StaffEnrolment:
    """Return the enrolment that ``find_person`` leads to; NoEnrolment with what staff do."""
    found = find_person(parts, typed)
    if found.enrolment is None:
        raise NoEnrolment(f"there is no enrolment: {describe_person(found)['action']}")
    return found.enrolment


def describe_person(found: FoundPerson) -> Mapping[str, Any]:
    """Return what staff see of a person, as a row of the command line."""
    described: dict[str, Any] = {}
    if found.page is not None:
        described["page_shown"] = found.page.at.isoformat(timespec="minutes")
        described["page_reason"] = found.page.reason or None
    if found.enrolment is not None:
        described |= found.enrolment.as_row()
    elif found.page is not None:
        described["action"] = PAGES.get(found.page.reason, "Nothing to do for the library.")
    else:
        described["situation"] = STATES["unknown"].situation
        described["action"] = STATES["unknown"].action
    addresses = [
        f"{mask_address(each.address)} until {each.until:%Y-%m-%d}" for each in found.proofs
    ]
    described["confirmed_addresses"] = tuple(addresses) or None
    if found.register_note:
        described["register_note"] = REGISTER_NOTES[found.register_note]
    described["mails"] = tuple(map(_describe_mail, found.mails)) or None
    return described


def _describe_mail(mail: QueuedMail) -> str:
    at = mail.sent_at or mail.refused_at or mail.queued_at
    return f"{mail.state} {at:%Y-%m-%d %H:%M}: {mail.subject}, to {mail.shown_recipient}"
