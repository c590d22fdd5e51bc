"""The answers that a person has given to services, and their withdrawal."""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from broker.core.consent.consent import (
    Receipt,
    ReceiptEvent,
    compute_answer_time,
    is_pseudonym_sent,
    make_withdrawal,
    select_yes_in_force,
)
from broker.core.entities import Controller, Service, Text
from broker.core.lookup_hmacs import LookupHmacs
from broker.core.person_record import PersonRecord
from broker.core.retention import RECEIPT
from broker.use_cases.storage.person_records import PersonRecords

_FOR: Final = f"P{RECEIPT.span.days}D"


@dataclass(frozen=True, slots=True)
class GivenConsent:
    """A person's answers to one service, newest first, at least one."""

    service: str
    receipts: tuple[Receipt, ...]

    @property
    def latest(self) -> Receipt:
        """Return the newest answer."""
        return self.receipts[0]

    def find_remembered(self, now: datetime) -> Receipt | None:
        """Return the answer that the next login uses if it asks for no more than that, or None."""
        found = (
            receipt for receipt in select_yes_in_force(self.receipts) if receipt.is_remembered(now)
        )
        return next(found, None)

    def find_action(self, now: datetime) -> str | None:
        """Return "withdraw" for a consent, "forget" for a remembered notice, or None."""
        ending = self.ending
        if ending and ending.event is ReceiptEvent.GIVEN:
            return "withdraw"
        return "forget" if self.find_remembered(now) else None

    @property
    def ending(self) -> Receipt | None:
        """Return the yes that a withdrawal ends, with every older one, or None.

        A consent comes before a notice. A consent for one login can be withdrawn too, because the
        receiver still relies on it (GDPR 7(3)).
        """
        yes = select_yes_in_force(self.receipts)
        given = (receipt for receipt in yes if receipt.event is ReceiptEvent.GIVEN)
        return next(given, yes[0] if yes else None)


@dataclass(frozen=True, slots=True)
class GivenConsents:
    """The answers in the person record. ``person_id`` is always the logged-in person."""

    persons: PersonRecords
    hmacs: LookupHmacs
    services: Mapping[str, Service]

    def list_all(self, person_id: str | None, now: datetime) -> tuple[GivenConsent, ...]:
        """Return the person's answers by service, in the configured order.

        Services without an answer, and services that are no longer configured, are left out.
        """
        record = self.persons.read(person_id, now) if person_id else None
        if record is None:
            return ()
        found = ((name, record.value.list_receipts(name)) for name in self.services)
        return tuple(GivenConsent(name, receipts) for name, receipts in found if receipts)

    def find_receipt(
        self, person_id: str | None, record_id: str, now: datetime
    ) -> tuple[str, Receipt] | None:
        """Return one of the person's own receipts and its service; None for another person's."""
        for given in self.list_all(person_id, now):
            for receipt in given.receipts:
                if receipt.record_id == record_id:
                    return given.service, receipt
        return None

    def has_pseudonym(self, receipt: Receipt) -> bool:
        """Return whether the answer is also about a pseudonym of the person at the service."""
        return is_pseudonym_sent(receipt, self.hmacs)

    def take_back(
        self, person_id: str | None, service_name: str, language: str, now: datetime
    ) -> Receipt | None:
        """Withdraw the consent, or forget the notice, that counts for a service.

        Return the receipt of it; None if there is nothing to withdraw, for example at a second
        submit. The answer stays: a receipt is added, and the next login asks again.
        """
        receipt: Receipt | None = None

        def add_ending(record: PersonRecord) -> PersonRecord:
            nonlocal receipt
            history = record.list_receipts(service_name)
            given = GivenConsent(service_name, history).ending
            at = compute_answer_time(history, now)
            receipt = make_withdrawal(given, secrets.token_hex(16), language, at) if given else None
            return record.add_receipt(service_name, receipt, now) if receipt else record

        if person_id:
            self.persons.change(person_id, add_ending, now)
        return receipt

    def as_record(
        self,
        receipt: Receipt,
        service: Service,
        withdraw_url: str,
        purpose: Text | None,
        giver: Controller | None,
    ) -> dict[str, Any]:
        """Return the receipt in the fields of ISO/IEC TS 27560 (docs/reference/consent.md#record).

        ``purpose`` and ``giver`` of the information are those of the policies of today.
        It holds names and no value of the person. Its two references are made for this person and
        this service only, so that two receivers of receipts cannot compare them
        (docs/reference/consent.md#person-in-the-record).
        """
        return {
            "record_id": receipt.record_id,
            "schema": 1,
            "event": str(receipt.event),
            "event_time": receipt.event_time.isoformat(),
            "language": receipt.language,
            "user_ref": receipt.person,
            "service_ref": self.hmacs.compute("receipt-service", receipt.person, service.name),
            "policy_version": receipt.policy,
            "notice_version": receipt.shown,
            "legal_basis": receipt.legal_basis,
            "data_categories": list(receipt.agreed_names),
            "optional_not_chosen": [
                name for name in receipt.names if name not in receipt.agreed_names
            ],
            "set_hash": self.hmacs.compute("receipt-set", receipt.terms, *receipt.parts),
            "retention": _FOR,
            "valid_until": receipt.valid_until.isoformat() if receipt.valid_until else None,
            "withdraw_url": withdraw_url,
            "method": "web-form",
            "as_configured_now": _describe_configuration(service, purpose, giver),
        }


def _describe_configuration(
    service: Service, purpose: Text | None, giver: Controller | None
) -> dict[str, Any]:
    # The receipt binds these by its digest, and a change of them asks again.
    recipients = _list_controllers(service.controller)
    notice = service.privacy_notice
    return {
        "service": asdict(service.label),
        "purpose": asdict(purpose) if purpose else None,
        "controllers": _list_controllers(giver) + recipients,
        "recipients": recipients,
        "privacy_notice_url": asdict(notice) if notice else None,
    }


def _list_controllers(controller: Controller | None) -> list[dict[str, Any]]:
    return [asdict(controller)] if controller else []
