"""Consent: the question before anything is sent, and the receipt of the answer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from typing import Final, Literal

from broker.core.consent.disclosure import ALWAYS, Disclosure, Part
from broker.core.entities import PERSISTENT
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import Decision, LegalBasis

# How long an answer counts; its receipt is kept longer.
REMEMBERED_FOR: Final = timedelta(days=365)
# Shorter without a usable CPR number: an institution may reassign an identifier to another person.
REMEMBERED_WITHOUT_CPR_FOR: Final = timedelta(days=181)
TOKEN_VALID_FOR: Final = timedelta(minutes=10)

Variant = Literal["ask", "inform"]


class ReceiptEvent(StrEnum):
    """The event of a receipt; a notice that was seen is never consent.

    Source: docs/reference/consent.md#basis.
    """

    GIVEN = "given"
    INFORMED = "informed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    # The person asks to see a notice again. A notice is no consent and cannot be withdrawn.
    FORGOTTEN = "forgotten"


# The event that ends an answer: a consent is withdrawn, a notice forgotten.
_ENDS: Final = {
    ReceiptEvent.GIVEN: ReceiptEvent.WITHDRAWN,
    ReceiptEvent.INFORMED: ReceiptEvent.FORGOTTEN,
}
_YES: Final = frozenset(_ENDS)
_INSTANT: Final = timedelta(microseconds=1)
_DIGITS: Final = 32  # of a keyed hash, for one person and service
_WITHDRAWAL_EVENTS: Final = frozenset(_ENDS.values())


@dataclass(frozen=True, slots=True)
class Receipt:
    """An answer of a person, with the fields of ISO/IEC TS 27560.

    A receipt never changes. It names the person by a pseudonym.

    ``shown`` is the digest of everything on the page, and ``terms`` the digest of its legal terms.
    ``parts`` contains a digest of each part of the disclosure. A later login compares the digests:
    it needs no new answer if it discloses no more under the same terms. The receipt contains
    attribute names, never their values.

    Source: docs/reference/consent.md#record.
    """

    record_id: str
    event: ReceiptEvent
    event_time: datetime
    language: str
    person: str  # pseudonym of person id and service
    policy: str
    legal_basis: LegalBasis
    names: tuple[str, ...]
    shown: str
    valid_until: datetime | None  # None: for this login only
    chosen: tuple[str, ...] = ()  # the optional attributes that were ticked
    optional: tuple[str, ...] = ()  # the optional attributes that the page offered
    terms: str = ""
    parts: tuple[str, ...] = ()

    @property
    def is_yes(self) -> bool:
        """Return whether it is a consent, or a notice that was seen."""
        return self.event in _YES

    @property
    def agreed_names(self) -> tuple[str, ...]:
        """Return the names in the answer, without optional ones that were not ticked."""
        return tuple(
            name for name in self.names if name not in self.optional or name in self.chosen
        )

    def is_remembered(self, now: datetime) -> bool:
        """Return whether the answer is a yes that counts for later logins."""
        if not self.is_yes or self.valid_until is None:
            return False
        return now < self.valid_until


@dataclass(frozen=True, slots=True)
class Question:
    """A page that asks for consent or informs.

    ``changed_since`` is the latest answer, if what is sent is not the same as it was then.
    """

    disclosure: Disclosure
    changed_since: Receipt | None = None

    @property
    def variant(self) -> Variant:
        """Return whether the page asks for consent or informs."""
        return "ask" if self.disclosure.legal_basis == "consent" else "inform"


def find_question(
    disclosure: Disclosure,
    receipts: Sequence[Receipt],
    own: Receipt | None,
    hmacs: LookupHmacs,
    now: datetime,
) -> Question | None:
    """Return what must be shown before ``disclosure`` may be sent; None if the answer is valid.

    ``own`` is the receipt of this login. It is valid only for exactly what its page showed. After
    any change the page is shown again, whatever receipts are stored
    (docs/reference/design.md#4a-shown). ``receipts`` are the stored receipts of this person and
    service.
    """
    names_nobody = not disclosure.items and disclosure.name_id_format != PERSISTENT
    if names_nobody and not disclosure.looked_up:
        return None
    latest = own
    if own and own.is_yes:
        if own.shown == disclosure.page_digest(hmacs):
            return None
    elif find_valid_answer(disclosure, receipts, hmacs, now):
        return None
    else:
        latest = next(iter(newest_first(receipts)), None)
    has_changed = latest is not None and _has_changed(latest, disclosure, hmacs)
    return Question(disclosure, latest if has_changed else None)


def _has_changed(latest: Receipt, disclosure: Disclosure, hmacs: LookupHmacs) -> bool:
    # A person who withdrew an answer knows why the page is shown. After an answer that expired the
    # page reports no change.
    if latest.event in _ENDS.values():
        return False
    if latest.terms != disclosure.terms_digest(hmacs):
        return True
    return latest.parts != _digests(disclosure, latest.person, hmacs)


def newest_first(receipts: Iterable[Receipt]) -> tuple[Receipt, ...]:
    """Return receipts by their time, the newest first.

    Of a yes and a no at the same instant, the no counts as the newer one.
    """
    return tuple(sorted(receipts, key=_age, reverse=True))


def _age(receipt: Receipt) -> tuple[datetime, bool]:
    return receipt.event_time, not receipt.is_yes


def select_yes_in_force(receipts: Iterable[Receipt]) -> tuple[Receipt, ...]:
    """Return each yes after the last no, withdrawal or request to be informed again.

    The newest comes first.
    """
    return tuple(takewhile(lambda receipt: receipt.is_yes, newest_first(receipts)))


def select_usable_answers(receipts: Iterable[Receipt]) -> tuple[Receipt, ...]:
    """Return the answers that a login may use: the last one, and each yes that may count.

    A yes for one login only is kept if it is the newest answer that offered some attribute, and
    the person left that attribute out. The newest answer comes first.
    """
    answers = newest_first(receipts)
    counting = []
    known: set[str] = set()
    for each in select_yes_in_force(answers):
        left_out = {*each.names} - {*each.agreed_names}
        if each.valid_until or left_out - known:
            counting.append(each)
        known |= {*each.names}
    return tuple(dict.fromkeys([*answers[:1], *counting]))


def find_valid_answer(
    disclosure: Disclosure, receipts: Iterable[Receipt], hmacs: LookupHmacs, now: datetime
) -> Receipt | None:
    """Return the newest remembered yes that covers ``disclosure``, or None.

    A login that discloses less than the yes allows is covered. An optional attribute that the
    person left out in a later answer stays out. If the policy now always releases that attribute,
    no yes covers the disclosure, and the person is asked (docs/reference/consent.md#covers).
    """
    answers = select_yes_in_force(receipts)
    left_out = find_left_out(answers)
    if any(item.name in left_out and not item.optional for item in disclosure.items):
        return None
    for receipt in answers:
        if receipt.is_remembered(now) and is_covered(receipt, disclosure, hmacs):
            chosen = tuple(name for name in receipt.chosen if name not in left_out)
            return receipt if chosen == receipt.chosen else replace(receipt, chosen=chosen)
    return None


def find_left_out(answers: Iterable[Receipt]) -> frozenset[str]:
    """Return the attributes that were not ticked in the last answer that offered them.

    ``answers`` are newest first.
    """
    agreed: dict[str, bool] = {}
    for receipt in answers:
        agreed_then = frozenset(receipt.agreed_names)
        for name in receipt.names:
            agreed.setdefault(name, name in agreed_then)
    return frozenset(name for name, is_agreed in agreed.items() if not is_agreed)


def is_covered(receipt: Receipt, disclosure: Disclosure, hmacs: LookupHmacs) -> bool:
    """Return whether a receipt includes all of ``disclosure``, under the same terms."""
    if receipt.terms != disclosure.terms_digest(hmacs):
        return False
    answered = frozenset(receipt.parts)
    return all(_is_among(part, answered, receipt.person, hmacs) for part in disclosure.parts)


def _digests(disclosure: Disclosure, person: str, hmacs: LookupHmacs) -> tuple[str, ...]:
    return tuple(sorted(_digest(part, person, hmacs) for part in disclosure.parts))


def _digest(part: Part, person: str, hmacs: LookupHmacs) -> str:
    # The hash is for this person at this service: two receipts cannot be compared.
    return hmacs.compute("receipt-part", person, *part).partition(".")[2][:_DIGITS]


def _is_among(part: Part, answered: frozenset[str], person: str, hmacs: LookupHmacs) -> bool:
    # An answer to a part that was always released covers the same part as an optional one: it is
    # released only if the person ticks it.
    whole = (ALWAYS, *part[1:])
    return any(_digest(each, person, hmacs) in answered for each in (part, whole))


def is_pseudonym_sent(receipt: Receipt, hmacs: LookupHmacs) -> bool:
    """Return whether the pseudonym of the person at the service belongs to the answer."""
    return _digest((ALWAYS, PERSISTENT, ""), receipt.person, hmacs) in receipt.parts


def compute_answer_time(receipts: Iterable[Receipt], now: datetime) -> datetime:
    """Return the time of an answer that follows ``receipts``.

    It is later than the time of each receipt, even if the clock of another machine was ahead.
    Otherwise a new no could sort before an earlier yes.
    """
    return max([now, *(each.event_time + _INSTANT for each in receipts)])


def make_withdrawal(given: Receipt, record_id: str, language: str, now: datetime) -> Receipt | None:
    """Return the receipt by which the person withdraws ``given``; None if that is impossible.

    A consent is withdrawn. A notice is only shown again, because it never was a consent
    (docs/reference/consent.md#basis).
    """
    event = _ENDS.get(given.event)
    if event is None:
        return None
    at = compute_answer_time([given], now)
    return replace(
        given, record_id=record_id, event=event, event_time=at, language=language, valid_until=None
    )


def make_refusal(
    over: Receipt, record_id: str, shown: str, language: str, now: datetime
) -> Receipt:
    """Return the receipt of a no that follows an earlier yes, given on the page ``shown``."""
    return replace(
        over,
        record_id=record_id,
        event=ReceiptEvent.REFUSED,
        event_time=now,
        shown=shown,
        language=language,
        valid_until=None,
    )


def make_refusal_of_decision(
    decision: Decision, record_id: str, shown: str, *, person: str, language: str, now: datetime
) -> Receipt | None:
    """Return the receipt of a no on the page ``shown`` if there is no question any more.

    The receipt names the attributes that would be released now. None if ``decision`` releases
    nothing.
    """
    release = decision.release
    if release is None:
        return None
    return Receipt(
        record_id=record_id,
        event=ReceiptEvent.REFUSED,
        event_time=now,
        language=language,
        person=person,
        policy=decision.digest,
        legal_basis=release.legal_basis,
        names=tuple(listed.name for listed, _ in decision.released),
        shown=shown,
        valid_until=None,
    )


def keep_agreed(disclosure: Disclosure, answer: Receipt | None) -> Disclosure:
    """Return the disclosure without the optional attributes that the person did not tick."""
    chosen = answer.chosen if answer else ()
    items = (item for item in disclosure.items if not item.optional or item.name in chosen)
    return replace(disclosure, items=tuple(items))


def make_receipt(
    record_id: str,
    asked: Question,
    answer: bool,  # noqa: FBT001 - the one answer a form carries
    *,
    remembered_for: timedelta | None,
    chosen: tuple[str, ...] = (),
    person: str,
    language: str,
    hmacs: LookupHmacs,
    now: datetime,
) -> Receipt:
    """Return the receipt of the answer to ``asked``; a refusal is never remembered.

    ``remembered_for`` is how long a yes counts, from now; None for this login only.
    """
    disclosure = asked.disclosure
    yes = ReceiptEvent.GIVEN if asked.variant == "ask" else ReceiptEvent.INFORMED
    optional = tuple(item.name for item in disclosure.items if item.optional)
    return Receipt(
        record_id=record_id,
        event=yes if answer else ReceiptEvent.REFUSED,
        event_time=now,
        language=language,
        person=person,
        policy=disclosure.policy,
        legal_basis=disclosure.legal_basis,
        names=tuple(item.name for item in disclosure.items),
        shown=disclosure.page_digest(hmacs),
        valid_until=now + remembered_for if answer and remembered_for else None,
        chosen=tuple(name for name in optional if name in chosen),
        optional=optional,
        terms=disclosure.terms_digest(hmacs),
        parts=_digests(disclosure, person, hmacs),
    )
