"""The record of a person: everything that the store keeps about them after a login."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final

from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.enrolment import CaseReason, Enrolment, EnrolmentState
from broker.core.borrowers.register_look_up import REFRESH_AFTER, LookUpReason, RegisterLookUp
from broker.core.consent.consent import Receipt, newest_first, select_usable_answers
from broker.core.identity.mailbox_proofs import MAIL_PROOF, MailboxProof
from broker.core.policy.model import RegisterRule
from broker.core.retention import RECEIPT

# The cases that a search shows before anything is requested.
_SHOWN_BY_SEARCH: Final = frozenset({CaseReason.SEVERAL_BORROWERS, CaseReason.DIFFERENT_PERSON})
_SEEN_EVERY: Final = timedelta(days=1)
MOST_WRONG_PINS: Final = 10
_MOST_BROWSERS: Final = 16
# Receipts of one service. Answers that still count are kept even if there are more. The audit log
# has all answers.
_MOST_RECEIPTS: Final = 50


@dataclass(frozen=True, slots=True, repr=False)
class RememberedBrowser:
    """A browser that needs no mailed code, only number and PIN. Its cookie's secret is hashed."""

    borrower_number: str
    secret_hash: str
    expires_at: datetime
    wrong_pins: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class ConfirmedBorrower:
    """The borrower of a person, as the library system confirmed it last.

    ``number`` is the library system's own number. ``facts_hash`` is the keyed hash of the name and
    birth date that agreed with the borrower, and ``wanted_hash`` that of the request that found it
    as wanted.
    """

    number: str
    confirmed_at: datetime
    category: str
    expires: date | None
    facts_hash: str | None
    wanted_hash: str | None


@dataclass(frozen=True, slots=True, repr=False)
class PersonRecord:
    """Everything that is kept about one person, under the person id.

    ``register_note`` tells staff why the register of persons gave no address. ``receipts`` are the
    answers to each service.
    """

    last_seen: datetime
    begun_at: datetime
    borrower: ConfirmedBorrower | None = None
    # keyed hash of a first match about which the person has been asked and has not answered
    match_hash: str | None = None
    enrolment: Enrolment | None = None
    browsers: tuple[RememberedBrowser, ...] = ()
    register_look_up: RegisterLookUp | None = None
    register_asked_at: datetime | None = None
    register_note: str | None = None
    receipts: Mapping[str, tuple[Receipt, ...]] = field(default_factory=dict)
    proofs: tuple[MailboxProof, ...] = ()

    @property
    def borrower_number(self) -> str | None:
        """Return the library system's own number of the borrower, or None."""
        return self.borrower.number if self.borrower else None

    @property
    def due(self) -> datetime | None:
        """Return when the worker must look at this person; None for never."""
        look_up = self.register_look_up
        times = [self.enrolment_due, look_up.due_at if look_up else None]
        return min((time for time in times if time), default=None)

    @property
    def enrolment_due(self) -> datetime | None:
        """Return when the enrolment is tried next; None if none is pending."""
        if self.enrolment and self.enrolment.state is EnrolmentState.PENDING:
            return self.enrolment.next_attempt
        return None

    @property
    def has_open_case(self) -> bool:
        """Return whether staff must decide something about this person."""
        return self.enrolment is not None and self.enrolment.state is EnrolmentState.CASE

    @property
    def is_for_staff(self) -> bool:
        """Return whether the person has an open case, or an enrolment that fails."""
        return self.has_open_case or (self.enrolment is not None and self.enrolment.has_failed)

    def mark_seen(self, now: datetime) -> "PersonRecord":
        """Return the record of a person who has just logged in; unchanged within a day.

        A login prolongs the record, but no receipt: old ones are dropped.
        """
        if now - self.last_seen < _SEEN_EVERY:
            return self
        live = self._select_receipts(lambda _, each: now < RECEIPT.until(each.event_time))
        return replace(live, last_seen=now)

    def confirm_borrower(
        self,
        borrower: Borrower,
        now: datetime,
        facts_hash: str | None = None,
        wanted_hash: str | None = None,
    ) -> "PersonRecord":
        """Return the record after the library system has confirmed ``borrower``.

        ``facts_hash`` is the hash of the facts that agreed, ``wanted_hash`` that of the request
        that the borrower meets.
        """
        confirmed = ConfirmedBorrower(
            borrower.number, now, borrower.category, borrower.expires, facts_hash, wanted_hash
        )
        return replace(self, borrower=confirmed, match_hash=None)

    def note_match(self, match_hash: str) -> "PersonRecord":
        """Return the record after a first match whose address the person has not confirmed.

        The record names no borrower until the person confirms the address.
        """
        return replace(self, borrower=None, match_hash=match_hash)

    def set_enrolment(self, enrolment: Enrolment | None) -> "PersonRecord":
        """Return the record with another enrolment."""
        return replace(self, enrolment=enrolment)

    def end_corrected_case(self, now: datetime) -> "PersonRecord":
        """Return the record after a search that no longer shows its case.

        The request behind the case, if there is one, is tried again.
        """
        enrolment = self.enrolment
        if enrolment is None or enrolment.reason not in _SHOWN_BY_SEARCH:
            return self
        return replace(self, enrolment=enrolment.retry(now) if enrolment.wanted else None)

    def remember_browser(self, browser: RememberedBrowser, now: datetime) -> "PersonRecord":
        """Return the record with one more known browser; the oldest may be dropped."""
        live = tuple(each for each in self.browsers if now < each.expires_at)
        return replace(self, browsers=(*live, browser)[-_MOST_BROWSERS:])

    def find_browser(self, secret_hash: str, now: datetime) -> RememberedBrowser | None:
        """Return the known browser with this keyed hash, or None."""
        for browser in self.browsers:
            if browser.secret_hash == secret_hash and now < browser.expires_at:
                return browser
        return None

    def note_pin(self, secret_hash: str, *, is_right: bool) -> "PersonRecord":
        """Return the record after a PIN in a known browser; the tenth wrong one ends it."""
        kept = []
        for browser in self.browsers:
            wrong_pins = browser.wrong_pins
            if browser.secret_hash == secret_hash:
                wrong_pins = 0 if is_right else wrong_pins + 1
            if wrong_pins < MOST_WRONG_PINS:
                kept.append(replace(browser, wrong_pins=wrong_pins))
        return replace(self, browsers=tuple(kept))

    def request_look_up(
        self, cpr: str, borrower_number: str, rule: RegisterRule | None, now: datetime
    ) -> "PersonRecord":
        """Return the record with a look-up that is due, unless the last answer is recent."""
        asked_at = self.register_asked_at
        is_recent = asked_at is not None and now - asked_at < REFRESH_AFTER
        if rule is None or is_recent or self.register_look_up:
            return self
        reason = LookUpReason.REFRESH if asked_at else LookUpReason.ENROLMENT
        look_up = RegisterLookUp(cpr, borrower_number, reason, rule, now, now)
        return replace(self, register_look_up=look_up)

    def postpone_look_up(self, look_up: RegisterLookUp, due_at: datetime) -> "PersonRecord":
        """Return the record with ``look_up`` due later, unless it has ended or been deleted."""
        if self.register_look_up != look_up:
            return self
        return replace(self, register_look_up=look_up.postpone(due_at))

    def end_look_up(self, note: str | None, now: datetime) -> "PersonRecord":
        """Return the record after a look-up, without its CPR number."""
        return replace(self, register_look_up=None, register_asked_at=now, register_note=note)

    def list_receipts(self, service_name: str) -> tuple[Receipt, ...]:
        """Return the answers to a service, newest first."""
        return newest_first(self.receipts.get(service_name, ()))

    def add_receipt(self, service_name: str, receipt: Receipt, now: datetime) -> "PersonRecord":
        """Return the record with one more answer; the same answer again changes nothing."""
        before = self.receipts.get(service_name, ())
        if receipt.record_id in {each.record_id for each in before}:
            return self
        live = newest_first(
            each for each in (*before, receipt) if now < RECEIPT.until(each.event_time)
        )
        kept = dict.fromkeys((*live[:_MOST_RECEIPTS], *select_usable_answers(live)))
        return replace(self, receipts={**self.receipts, service_name: tuple(kept)})

    def drop_receipt(self, service_name: str, record_id: str) -> "PersonRecord":
        """Return the record without an answer that came too late to count."""
        return self._select_receipts(
            lambda name, each: name != service_name or each.record_id != record_id
        )

    def _select_receipts(self, is_kept: Callable[[str, Receipt], bool]) -> "PersonRecord":
        """Return the record with some answers only, and no service without any."""
        receipts = {}
        for name, answers in self.receipts.items():
            kept = tuple(each for each in answers if is_kept(name, each))
            if kept:
                receipts[name] = kept
        return replace(self, receipts=receipts)

    def list_proofs(self, now: datetime) -> tuple[MailboxProof, ...]:
        """Return the proofs that have not ended."""
        return tuple(each for each in self.proofs if not self.has_proof_ended(each, now))

    def has_proof_ended(self, proof: MailboxProof, now: datetime) -> bool:
        """Return whether a proof has ended, by itself or with the borrower that it led to."""
        if now >= proof.until:
            return True
        expires = self.borrower.expires if self.borrower else None
        if proof.name == MAIL_PROOF or expires is None:
            return False
        return proof.at.date() <= expires < now.date()

    def add_proof(self, proof: MailboxProof) -> "PersonRecord":
        """Return the record with ``proof``, which replaces one of the same name."""
        return replace(self, proofs=(*self.drop_proof(proof.name).proofs, proof))

    def drop_proof(self, proof_name: str) -> "PersonRecord":
        """Return the record without the proof of this name."""
        return replace(self, proofs=tuple(each for each in self.proofs if each.name != proof_name))

    def keep_after(self, moment: datetime, now: datetime) -> "PersonRecord | None":
        """Return what stays of the record of a person who was deleted at ``moment``, or None.

        A record that was begun later stays as it is. An earlier one was restored from a backup. It
        keeps only what the person has asked for and answered since.
        """
        if self.begun_at > moment:
            return self
        enrolment = self.enrolment
        if enrolment and enrolment.requested_at <= moment:
            enrolment = None
        receipts = self._select_receipts(lambda _, each: each.event_time > moment).receipts
        if not (receipts or enrolment):
            return None
        return PersonRecord(self.last_seen, now, enrolment=enrolment, receipts=receipts)
