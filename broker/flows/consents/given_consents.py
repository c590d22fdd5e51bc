"""What a person has answered to whom, found again by trying every service there is, and how it is taken back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from broker.core.consent.consent import Receipt, ReceiptEvent, taken_back
from broker.core.entities import Controller, Service, Text
from broker.core.ports import Store
from broker.core.pseudonyms import Pseudonyms
from broker.flows.consents.receipts import KEPT_FOR, Receipts

_FOR: Final = f"P{KEPT_FOR.days}D"


@dataclass(frozen=True, slots=True)
class GivenConsent:
    """A person's answers for one service, newest first; there is at least one."""

    service: str
    receipts: tuple[Receipt, ...]

    @property
    def latest(self) -> Receipt:
        """Give the answer that counts."""
        return self.receipts[0]

    def standing(self, now: datetime) -> Receipt | None:
        """Give the answer if the next login goes by it, as long as nothing material changes."""
        return self.latest if self.latest.remembered(now) else None

    def offer(self, now: datetime) -> str | None:
        """Say what the person may do: "withdraw" a consent, "forget" a notice that is remembered, or nothing.

        A consent that was good for one login can be withdrawn too: the receiver still relies on it
        (GDPR 7(3)).
        """
        if self.latest.event is ReceiptEvent.GIVEN:
            return "withdraw"
        return "forget" if self.standing(now) else None


@dataclass(frozen=True, slots=True)
class CurrentQuestion:
    """What the rules of today say of a disclosure: its purpose, and who gives the information; None where nothing."""

    purpose: Text | None = None
    giver: Controller | None = None


@dataclass(frozen=True, slots=True)
class GivenConsents:
    """The answers on file, by person; ``person`` is always the id of the one who is logged in."""

    store: Store
    pseudonyms: Pseudonyms
    services: Mapping[str, Service]

    def of(self, person: str, now: datetime) -> tuple[GivenConsent, ...]:
        """Give what the person answered, service by service as configured; those never asked for are left out.

        The store does not say whose a receipt is, nor for which service: both pseudonyms are made
        again and looked up (consent.md section 5). What was answered for a service that is
        configured no longer is not found.
        """
        if not person:
            return ()
        receipts = Receipts(self.store)
        found = ((name, receipts.history(self._group(person, name), now)) for name in self.services)
        return tuple(GivenConsent(name, history) for name, history in found if history)

    def receipt(
        self,
        person: str,
        record_id: str,
        now: datetime,
    ) -> tuple[str, Receipt] | None:
        """Give one of the person's own receipts and its service; None for anybody else's."""
        own = (
            (choice.service, each) for choice in self.of(person, now) for each in choice.receipts
        )
        return next((found for found in own if found[1].record_id == record_id), None)

    def take_back(
        self,
        person: str,
        service: str,
        language: str,
        now: datetime,
    ) -> Receipt | None:
        """Withdraw the consent, or forget the notice, that counts for ``service``, and give the receipt of it.

        None where there is nothing to take back, as after the first of two submits. Nothing is
        overwritten: a receipt is added, durably, and the next login asks again.
        """
        receipts, group = Receipts(self.store), self._group(person, service)
        given = receipts.latest(group, now)
        # Named after what it ends, so that two submits at once add one receipt.
        made = given and taken_back(given, self._ending(given), language, now)
        if made is None:
            return None
        receipts.file(group, made, now)
        return made

    def as_record(
        self,
        made: Receipt,
        service: Service,
        withdraw_url: str,
        today: CurrentQuestion | None = None,
    ) -> dict[str, Any]:
        """Give the receipt in the fields of ISO/IEC TS 27560 (consent.md section 5): names and no value of the person.

        Both references are good for this person and this service only: who shows a receipt to two
        receivers gives them nothing to compare (the record's person is needlessly exposed
        elsewhere, consent.md section 2).
        """
        return {
            "record_id": made.record_id,
            "schema": made.schema,
            "event": str(made.event),
            "event_time": made.event_time.isoformat(),
            "language": made.language,
            "user_ref": made.person,
            "service_ref": self.pseudonyms.of("receipt-service", made.person, service.name),
            "policy_version": made.policy,
            "notice_version": made.shown,
            "legal_basis": made.legal_basis,
            "data_categories": list(made.told),
            "optional_not_chosen": [name for name in made.names if name not in made.told],
            "set_hash": made.material,
            "retention": _FOR,
            "valid_until": made.valid_until.isoformat() if made.valid_until else None,
            "withdraw_url": withdraw_url,
            "method": made.method,
            # Who they are today: the receipt binds them by its digest, and a change of them asks
            # again.
            "as_configured_now": {
                "service": _both(service.label.en, service.label.da),
                "purpose": _both(today.purpose.en, today.purpose.da)
                if today and today.purpose
                else None,
                "controllers": _named(today.giver if today else None) + _named(service.controller),
                "recipients": _named(service.controller),
                "privacy_notice_url": (
                    _both(service.privacy_notice.en, service.privacy_notice.da)
                    if service.privacy_notice
                    else None
                ),
            },
        }

    def _group(self, person: str, service: str) -> str:
        return self.pseudonyms.of("receipts", person, service)

    def _ending(self, given: Receipt) -> str:
        return self.pseudonyms.of("receipt-end", given.person, given.record_id).partition(".")[2][
            :32
        ]


def _both(en: str, da: str) -> dict[str, str]:
    return {"en": en, "da": da}


def _named(controller: Controller | None) -> list[dict[str, Any]]:
    if controller is None:
        return []
    return [{"name": _both(controller.name.en, controller.name.da), "contact": controller.contact}]
