"""Consent: the question before anything leaves, and the receipt, bound to what was shown."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal

from broker.core.consent.disclosure import Disclosure
from broker.core.entities import PERSISTENT
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.policy.model import LegalBasis

# How long an answer counts; its receipt is kept longer (``flows.consents.receipts.KEPT_FOR``).
REMEMBERED_FOR: Final = timedelta(days=365)
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
    # A notice is to be shown again: no consent was given that could be withdrawn.
    FORGOTTEN = "forgotten"


# The event that ends an answer: a consent is withdrawn, a notice forgotten.
_ENDS: Final = {
    ReceiptEvent.GIVEN: ReceiptEvent.WITHDRAWN,
    ReceiptEvent.INFORMED: ReceiptEvent.FORGOTTEN,
}
_YES: Final = frozenset(_ENDS)
_TAKEN_BACK: Final = frozenset(_ENDS.values())


@dataclass(frozen=True, slots=True)
class Receipt:
    """One answer, append-only and pseudonymous, after ISO/IEC TS 27560.

    ``material`` and ``shown`` are digests of ``Disclosure``; names are kept, values never.

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
    material: str
    shown: str
    valid_until: datetime | None  # None: for this login only
    chosen: tuple[str, ...] = ()  # the optional attributes that were ticked
    schema: int = 1
    method: str = "web-form"
    optional: tuple[str, ...] = ()  # those that could have been

    @property
    def told(self) -> tuple[str, ...]:
        """Return the names in the answer: without the optional ones that nobody ticked."""
        return tuple(
            name for name in self.names if name not in self.optional or name in self.chosen
        )

    def remembered(self, now: datetime) -> bool:
        """Return whether the answer is a yes for later logins, until something material changes."""
        if self.event not in _YES or self.valid_until is None:
            return False
        return now < self.valid_until


@dataclass(frozen=True, slots=True)
class Question:
    """A screen that asks for consent or informs; ``changed``: because something has changed."""

    variant: Variant
    disclosure: Disclosure
    changed: bool = False


def question(
    disclosure: Disclosure,
    receipts: Iterable[Receipt],
    own: Receipt | None,
    hmacs: LookupHmacs,
    now: datetime,
) -> Question | None:
    """Return what must be shown before ``disclosure`` may leave, or None if the answer is valid.

    ``own`` is this transaction's receipt, good for exactly what it showed; ``receipts`` are those
    on file for this person and service, of which the latest counts, while it is remembered and
    nothing material has changed.
    """
    if not disclosure.items and disclosure.name_id_format != PERSISTENT:
        return None
    if own and own.event in _YES and own.shown == disclosure.shown(hmacs):
        return None
    latest = _latest(receipts)
    if latest is None:
        return Question(_variant(disclosure), disclosure)
    if _is_valid(latest, disclosure, hmacs, now):
        return None
    changed = _has_changed(latest, disclosure, hmacs)
    return Question(_variant(disclosure), disclosure, changed=changed)


def _variant(disclosure: Disclosure) -> Variant:
    return "ask" if disclosure.legal_basis == "consent" else "inform"


def _yes(variant: Variant) -> ReceiptEvent:
    """Return the event of a yes: consent where it was asked for, else a notice that was seen."""
    return ReceiptEvent.GIVEN if variant == "ask" else ReceiptEvent.INFORMED


def _latest(receipts: Iterable[Receipt]) -> Receipt | None:
    return max(receipts, key=lambda receipt: receipt.event_time, default=None)


def _is_valid(latest: Receipt, disclosure: Disclosure, hmacs: LookupHmacs, now: datetime) -> bool:
    wanted = _yes(_variant(disclosure))
    if latest.event is not wanted or not latest.remembered(now):
        return False
    return latest.material == disclosure.material(hmacs)


def _has_changed(latest: Receipt, disclosure: Disclosure, hmacs: LookupHmacs) -> bool:
    # A person who took an answer back knows why the page is here; after an answer that lapsed the
    # page reports no change that there was not.
    if latest.event in _TAKEN_BACK:
        return False
    return latest.material != disclosure.material(hmacs)


def in_force(receipts: Iterable[Receipt], own: Receipt | None) -> Receipt | None:
    """Return the answer that governs: this transaction's own, else the latest on file."""
    return own or _latest(receipts)


def taken_back(given: Receipt, record_id: str, language: str, now: datetime) -> Receipt | None:
    """Return the receipt by which the person takes ``given`` back; None if it cannot be.

    A consent is withdrawn; a notice is forgotten and shown again, no more: it never was consent
    (docs/reference/consent.md#basis).
    """
    event = _ENDS.get(given.event)
    if event is None:
        return None
    # Later than what it ends, though the clock of another machine ran ahead: the latest counts.
    at = max(now, given.event_time + timedelta(microseconds=1))
    return replace(
        given, record_id=record_id, event=event, event_time=at, language=language, valid_until=None
    )


def agreed(disclosure: Disclosure, answer: Receipt | None) -> Disclosure:
    """Return the disclosure without the optional attributes that the person did not tick."""
    chosen = answer.chosen if answer else ()
    items = (item for item in disclosure.items if not item.optional or item.name in chosen)
    return replace(disclosure, items=tuple(items))


def receipt(
    record_id: str,
    asked: Question,
    answer: bool,  # noqa: FBT001 - the one answer a form carries
    *,
    remember: bool,
    chosen: tuple[str, ...] = (),
    person: str,
    language: str,
    hmacs: LookupHmacs,
    now: datetime,
) -> Receipt:
    """Record the answer to ``asked``; a refusal is recorded but never remembered."""
    disclosure = asked.disclosure
    optional = tuple(item.name for item in disclosure.items if item.optional)
    return Receipt(
        record_id=record_id,
        event=_yes(asked.variant) if answer else ReceiptEvent.REFUSED,
        event_time=now,
        language=language,
        person=person,
        policy=disclosure.policy,
        legal_basis=disclosure.legal_basis,
        names=tuple(item.name for item in disclosure.items),
        material=disclosure.material(hmacs),
        shown=disclosure.shown(hmacs),
        valid_until=now + REMEMBERED_FOR if answer and remember else None,
        chosen=tuple(name for name in optional if name in chosen),
        optional=optional,
    )
