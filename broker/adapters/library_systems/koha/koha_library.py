"""Koha as a library system: borrowers by REST (docs/reference/koha.md#koha)."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from broker.adapters.http_exchange import HttpAnswer
from broker.adapters.library_systems.koha import koha_calls, koha_patrons
from broker.adapters.library_systems.koha.koha_calls import Calls
from broker.adapters.library_systems.koha.koha_patrons import Patron
from broker.adapters.library_systems.koha.koha_searches import PatronSearches
from broker.adapters.library_systems.koha.koha_settings import KohaKeys
from broker.adapters.library_systems.koha.koha_setup import SetupCheck, TrialBorrowers
from broker.adapters.library_systems.record_values import (
    find_real_cpr,
    is_shaped_as_cpr,
    read_text,
    spell_cpr,
)
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_setup import (
    ALL_CAPABILITIES,
    ExpectedSetup,
    LibraryCallObserver,
    LibraryCapability,
    SetupFault,
    SetupTrial,
    ignore_call,
)
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import LibraryRefused, LibraryUnavailable

_VALIDATION: Final = "/api/v1/auth/password/validation"
_NULL_CARD: Final = {"message": "Expected string - got null.", "path": "/body/cardnumber"}
_EXPIRED: Final = "expired"


class KohaSettings(KohaKeys):
    """The settings type that the entry point ``koha`` names."""

    def open(self, observe: LibraryCallObserver = ignore_call) -> "Koha":
        """Return the library system; ``observe`` gets its calls."""
        return Koha(self, observe)


class Koha(PatronSearches):
    """A Koha as the port ``LibrarySystem`` (core/ports.py); threads may share it."""

    def __init__(self, settings: KohaKeys, observe: LibraryCallObserver = ignore_call) -> None:
        super().__init__(Calls(settings, observe), settings)
        self.machine = settings.machine(observe)

    @property
    def capabilities(self) -> frozenset[LibraryCapability]:
        """Return all capabilities: Koha has every one."""
        return ALL_CAPABILITIES

    def create(self, wanted: WantedBorrower, mark: str, deadline: datetime) -> Borrower | None:
        """Make the borrower; None if its card number, user name or attribute is taken.

        Raises LibraryRefused also if Koha gave it no card number; its next change gives it one.
        """
        body = koha_patrons.make_creation(wanted, mark, self.settings)
        answer = self.calls.create("create", body, deadline)
        if koha_patrons.is_taken(answer):
            return None
        if answer.status != 201:
            raise koha_calls.make_refusal(answer, "create", body)
        borrower = self._read_borrower(answer.json())
        if borrower.mark != mark:
            raise LibraryUnavailable("create: an answer about another patron")
        if borrower.card is None:
            sentence = "create: Koha gave the borrower no card number: autoMemberNum is off"
            raise LibraryRefused(sentence, "autoMemberNum")
        koha_patrons.check_stored(answer.fields(), body, "create")
        return borrower

    def change(self, change: Change, deadline: datetime) -> Borrower:
        """Write the CPR number of ``change`` first, then fields, category and expiry in one PUT.

        The PUT also gives a card number to a borrower without one: the CPR number, or the number
        that Koha adds while autoMemberNum is on.
        """
        patron = self._read_patron(change.number, deadline)
        if patron is None:
            raise LibraryRefused("change: no such borrower")
        before = self._read_borrower(patron)
        cpr = change.cpr or before.cpr
        if change.cpr:
            self._write_cpr(patron, change.cpr, deadline)
        body = koha_patrons.make_changes(patron, change)
        if before.card is None and cpr and self.settings.card_number == "cpr":
            body["cardnumber"] = spell_cpr(cpr)[0]
        after = self._read_borrower(self._put(patron, body, deadline))
        if after.number != change.number:
            raise LibraryUnavailable("change: an answer about another patron")
        # The answer to a change has no attributes.
        return replace(after, cpr=cpr)

    def set_pin(self, number: str, pin: str, deadline: datetime) -> None:
        """Set the password, which is the PIN; Koha's 200 does not prove that it works.

        Source: docs/reference/koha.md#pin-lies.
        """
        path = koha_calls.patron_path(number) + "/password"
        body = {"password": pin, "password_2": pin}
        answer = self.calls.call("set_pin", "POST", path, deadline, body=body)
        if answer.status != 200:
            raise koha_calls.make_refusal(answer, "set_pin", body)

    def check_pin(self, borrower: Borrower, pin: str, deadline: datetime) -> bool:
        """Ask Koha about a PIN, and a self-service machine if ``[library.sip2]`` is configured.

        For a locked account Koha answers as for a wrong PIN.
        """
        card = borrower.card
        if card is None:
            return False
        answer = self._validate(card, pin, deadline)
        if answer.status == 201 and answer.fields():
            # The card number may be another patron's user name, whose PIN this is.
            if str(answer.fields().get("patron_id")) != borrower.number:
                return False
            return self.machine is None or self.machine.accepts(card, pin, deadline)
        if answer.status == 500 and self._is_expired(card, answer, deadline):
            return False
        error = str(answer.fields().get("error"))
        if answer.status == 400 and (error == "Validation failed" or _EXPIRED in error.casefold()):
            return False
        sent = {"password": pin, "cardnumber": card}
        raise koha_calls.make_unavailable(answer, "check_pin", sent)

    def check_setup(self, expected: ExpectedSetup, deadline: datetime) -> tuple[SetupFault, ...]:
        """Return the faults of Koha's set-up, without writing anything."""
        return SetupCheck(self, expected, deadline, self.machine).faults()

    def try_setup(self, expected: ExpectedSetup, deadline: datetime) -> SetupTrial:
        """Try each category with a borrower that is deleted again."""
        return TrialBorrowers(self, self, deadline).trial(expected)

    def _write_cpr(self, patron: Patron, cpr: str, deadline: datetime) -> None:
        """Write the CPR number of a patron that has no real one.

        Write the unique field first, so that only one patron can get the number. A card number of
        another kind stays. Raises LibraryUnavailable if another patron has the number (a new search
        finds that one), and LibraryRefused if this one has another real number.
        """
        settings = self.settings
        written = spell_cpr(cpr)
        values = koha_patrons.list_values(patron, settings.cpr_fields, settings.cpr_attribute)
        if any(find_real_cpr([value]) and value not in written for value in values):
            raise LibraryRefused("change: the patron has another CPR number")
        names = {settings.unique_field}
        names |= {name for name in settings.cpr_fields if _holds_number(patron, name)}
        lacking = [name for name in sorted(names) if patron.get(name) != written[0]]
        if lacking:
            body = koha_patrons.select_required(patron) | dict.fromkeys(lacking, written[0])
            self._put(patron, body, deadline)
        if settings.cpr_attribute:
            self._set_attribute(patron, settings.cpr_attribute, written, deadline)

    def _set_attribute(
        self, patron: Patron, kind: str, written: Sequence[str], deadline: datetime
    ) -> None:
        """Replace the attribute's values with the number."""
        path = koha_calls.patron_path(str(patron.get("patron_id"))) + "/extended_attributes"
        has_number = False
        for attribute in koha_patrons.list_attributes(patron, kind):
            if str(attribute.get("value")).strip() in written:
                has_number = True
                continue
            one = f"{path}/{attribute.get('extended_attribute_id')}"
            answer = self.calls.call("change", "DELETE", one, deadline)
            if answer.status not in {204, 404}:
                raise koha_calls.make_refusal(answer, "change", {})
        if has_number:
            return
        body = {"type": kind, "value": written[0]}
        answer = self.calls.call("change", "POST", path, deadline, body=body)
        if answer.status == 409:
            raise LibraryUnavailable("change: the attribute is another patron's by now")
        if answer.status != 201:
            raise koha_calls.make_refusal(answer, "change", body)

    def _put(self, patron: Patron, body: Mapping[str, Any], deadline: datetime) -> Any:
        path = koha_calls.patron_path(str(patron.get("patron_id")))
        answer = self.calls.call("change", "PUT", path, deadline, body=body)
        if koha_patrons.is_taken(answer):
            raise LibraryUnavailable("change: the number is another patron's by now")
        if answer.status != 200:
            raise koha_calls.make_refusal(answer, "change", body)
        koha_patrons.check_stored(answer.fields(), body, "change")
        return answer.json()

    def _validate(self, card: str, pin: str, deadline: datetime) -> HttpAnswer:
        body = {"identifier": card, "password": pin}
        return self.calls.call("check_pin", "POST", _VALIDATION, deadline, body=body, also=500)

    def _is_expired(self, card: str, answer: HttpAnswer, deadline: datetime) -> bool:
        """Return whether a 500 is Koha's answer to the right PIN after the PIN expired.

        Koha then finds no patron, or one without card number. To tell this from a broken Koha, send
        a random PIN: a working Koha answers 400 to a wrong PIN.

        Source: docs/reference/koha.md#right-pins.
        """
        errors = answer.fields().get("errors")
        if isinstance(errors, list) and _NULL_CARD in errors:
            return True
        return self._validate(card, secrets.token_urlsafe(16), deadline).status == 400


def _holds_number(patron: Patron, field: str) -> bool:
    """Return whether a field holds a number in the form of a CPR number."""
    return is_shaped_as_cpr(read_text(patron, field) or "")
