"""What is asked or told before anything leaves, and the receipt of the answer, bound to exactly what was shown."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal

from broker.core.consent.disclosure import Disclosure
from broker.core.entities import PERSISTENT
from broker.core.policy.model import LegalBasis
from broker.core.pseudonyms import Pseudonyms

REMEMBERED_FOR: Final = timedelta(days=365)
TOKEN_VALID_FOR: Final = timedelta(minutes=10)


class ReceiptEvent(StrEnum):
    """What a receipt records; an acknowledged notice is never recorded as consent (consent.md section 1)."""

    GIVEN = "given"
    INFORMED = "informed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    FORGOTTEN = (
        "forgotten"  # a notice is to be shown again: nothing was given that could be withdrawn
    )


@dataclass(frozen=True, slots=True)
class Receipt:
    """One answer, append-only and pseudonymous, shaped after ISO/IEC TS 27560 (consent.md section 5).

    ``material`` and ``shown`` are digests of ``Disclosure``; names are kept, values never.
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
        """Return the names that the answer is about: without the optional ones that nobody ticked."""
        return tuple(
            name for name in self.names if name not in self.optional or name in self.chosen
        )

    def remembered(self, now: datetime) -> bool:
        """Return whether the answer is a yes that counts for later logins, as long as nothing material changes."""
        yes = self.event in {ReceiptEvent.GIVEN, ReceiptEvent.INFORMED}
        return yes and self.valid_until is not None and now < self.valid_until


@dataclass(frozen=True, slots=True)
class Question:
    """A screen to show: asks for consent or informs, and whether that is because something has changed."""

    variant: Literal["ask", "inform"]
    disclosure: Disclosure
    changed: bool = False


def question(
    disclosure: Disclosure,
    receipts: Iterable[Receipt],
    own: Receipt | None,
    pseudonyms: Pseudonyms,
    now: datetime,
) -> Question | None:
    """Say what must be shown before ``disclosure`` may leave, or None if the answer stands.

    ``own`` is this transaction's receipt, good for exactly what it showed; ``receipts`` are those
    on file for this person and service, of which the latest counts, while it is remembered and
    nothing material has changed.
    """
    if not disclosure.items and disclosure.name_id_format != PERSISTENT:
        return None
    if (
        own
        and own.event in {ReceiptEvent.GIVEN, ReceiptEvent.INFORMED}
        and own.shown == disclosure.shown(pseudonyms)
    ):
        return None
    latest = max(receipts, key=lambda each: each.event_time, default=None)
    if latest and _stands(latest, disclosure, pseudonyms, now):
        return None
    variant: Literal["ask", "inform"] = "ask" if disclosure.legal_basis == "consent" else "inform"
    return Question(
        variant, disclosure, changed=latest is not None and _changed(latest, disclosure, pseudonyms)
    )


def _stands(latest: Receipt, disclosure: Disclosure, pseudonyms: Pseudonyms, now: datetime) -> bool:
    wanted = ReceiptEvent.GIVEN if disclosure.legal_basis == "consent" else ReceiptEvent.INFORMED
    return (
        latest.event is wanted
        and latest.remembered(now)
        and latest.material == disclosure.material(pseudonyms)
    )


def _changed(latest: Receipt, disclosure: Disclosure, pseudonyms: Pseudonyms) -> bool:
    # Who took an answer back knows why the page is here; who let it lapse is told of no change that
    # there was not.
    taken_back = latest.event in {ReceiptEvent.WITHDRAWN, ReceiptEvent.FORGOTTEN}
    return not taken_back and latest.material != disclosure.material(pseudonyms)


def in_force(receipts: Iterable[Receipt], own: Receipt | None) -> Receipt | None:
    """Return the answer that governs: this transaction's own, else the latest on file."""
    return own or max(receipts, key=lambda each: each.event_time, default=None)


def taken_back(given: Receipt, record_id: str, language: str, now: datetime) -> Receipt | None:
    """Record that the person takes ``given`` back: a consent is withdrawn, a notice forgotten, anything else neither.

    A forgotten notice is shown again, no more: it never was consent (consent.md section 1).
    """
    ends = {
        ReceiptEvent.GIVEN: ReceiptEvent.WITHDRAWN,
        ReceiptEvent.INFORMED: ReceiptEvent.FORGOTTEN,
    }
    if given.event not in ends:
        return None
    # Later than what it ends, though the clock of another machine ran ahead: the latest counts.
    at = max(now, given.event_time + timedelta(microseconds=1))
    event = ends[given.event]
    return replace(
        given, record_id=record_id, event=event, event_time=at, language=language, valid_until=None
    )


def agreed(disclosure: Disclosure, answer: Receipt | None) -> Disclosure:
    """Leave out the optional attributes that the person did not tick."""
    chosen = answer.chosen if answer else ()
    return replace(
        disclosure,
        items=tuple(each for each in disclosure.items if not each.optional or each.name in chosen),
    )


def receipt(
    record_id: str,
    asked: Question,
    answer: bool,  # noqa: FBT001 - the one answer a form carries
    *,
    remember: bool,
    chosen: tuple[str, ...] = (),
    person: str,
    language: str,
    pseudonyms: Pseudonyms,
    now: datetime,
) -> Receipt:
    """Record the answer to ``asked``; a refusal is recorded but never remembered."""
    yes = ReceiptEvent.GIVEN if asked.variant == "ask" else ReceiptEvent.INFORMED
    return Receipt(
        record_id=record_id,
        event=yes if answer else ReceiptEvent.REFUSED,
        event_time=now,
        language=language,
        person=person,
        policy=asked.disclosure.policy,
        legal_basis=asked.disclosure.legal_basis,
        names=tuple(item.name for item in asked.disclosure.items),
        material=asked.disclosure.material(pseudonyms),
        shown=asked.disclosure.shown(pseudonyms),
        valid_until=now + REMEMBERED_FOR if answer and remember else None,
        chosen=tuple(
            item.name for item in asked.disclosure.items if item.optional and item.name in chosen
        ),
        optional=tuple(item.name for item in asked.disclosure.items if item.optional),
    )
