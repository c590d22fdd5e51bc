"""Koha as a library system: borrowers by REST (docs/reference/koha.md#koha)."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final

from broker.adapters.http_exchange import HttpAnswer, moment
from broker.adapters.library_systems import koha_calls, koha_patrons, koha_refusals
from broker.adapters.library_systems.koha_calls import PATRONS, Calls
from broker.adapters.library_systems.koha_patrons import Patron
from broker.adapters.library_systems.koha_searches import PatronSearches
from broker.adapters.library_systems.koha_settings import KohaKeys
from broker.adapters.library_systems.koha_setup import SetupProof, TrialBorrowers
from broker.adapters.library_systems.record_values import find_real_cpr, is_shaped_as_cpr, spell_cpr
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_system import (
    ALL_CAPABILITIES,
    ExpectedSetup,
    LibraryCallObserver,
    LibraryCapability,
    SetupFault,
    SetupTrial,
    ignore_call,
)
from broker.core.borrowers.pins import PinAnswer
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import LibraryRefused, LibraryUnavailable

_VALIDATION: Final = "/api/v1/auth/password/validation"
_NULL_CARD: Final = {"message": "Expected string - got null.", "path": "/body/cardnumber"}
_EXPIRED: Final = "expired"


class KohaSettings(KohaKeys):
    """The settings type that the entry point ``koha`` names."""

    def open(self, observe: LibraryCallObserver = ignore_call) -> "Koha":
        """Return the library system; nothing is called yet. ``observe`` hears of every call."""
        return Koha(self, observe)


class Koha:
    """One Koha behind the port ``LibrarySystem`` (core/ports.py); safe to share between threads."""

    def __init__(self, settings: KohaKeys, observe: LibraryCallObserver = ignore_call) -> None:
        self._settings = settings
        self._calls = Calls(settings, observe)
        self._searches = PatronSearches(self._calls, settings)
        self._machine = settings.machine(observe)

    @property
    def capabilities(self) -> frozenset[LibraryCapability]:
        """Return that Koha can do everything."""
        return ALL_CAPABILITIES

    def find(self, cpr: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return the borrowers with this CPR as card number, user name or attribute.

        Any spelling that staff use is found. LibraryUnavailable where the answer holds others.
        """
        return self._borrowers(self._searches.by_cpr(cpr, deadline))

    def find_similar(
        self, birth_date: date | None, email: str | None, deadline: datetime
    ) -> tuple[Borrower, ...]:
        """Return the borrowers with this mail address or this birth date, at most 200."""
        return self._borrowers(self._searches.similar(birth_date, email, deadline))

    def find_typed(self, text: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return the borrowers of a CPR number or card; of a user name where it is nobody's card.

        What comes back is compared again: Koha's database takes more for equal than we do.
        """
        return self._borrowers(self._searches.find_typed(text, deadline))

    def list_borrowers(self) -> Iterator[Borrower]:
        """Yield every borrower in the order of their numbers."""
        return map(self._borrower, self._searches.everybody())

    def read(self, number: str, deadline: datetime) -> Borrower | None:
        """Return the borrower with this ``patron_id``, or None."""
        patron = self._searches.patron(number, deadline)
        return self._borrower(patron) if patron is not None else None

    def create(self, wanted: WantedBorrower, mark: str, deadline: datetime) -> Borrower | None:
        """Make the borrower; None where its card number, user name or attribute is taken.

        LibraryRefused too where Koha made it without the card number that it was to give: the
        borrower gets one by its next change.
        """
        body = koha_patrons.make_creation(wanted, mark, self._settings)
        headers = koha_calls.CREATE_HEADERS
        answer = self._calls.call("create", "POST", PATRONS, deadline, headers=headers, body=body)
        if koha_patrons.is_taken(answer):
            return None
        if answer.status != 201:
            raise koha_refusals.make_refusal(answer, "create", body)
        made = self._borrower(answer.json())
        if made.mark != mark:
            raise LibraryUnavailable("create: an answer about another patron")
        if made.card is None:
            sentence = "create: Koha gave the borrower no card number: autoMemberNum is off"
            raise LibraryRefused(sentence, "autoMemberNum")
        koha_refusals.demand_kept(answer.fields(), body, "create")
        return made

    def change(self, change: Change, deadline: datetime) -> Borrower:
        """Write the CPR number of ``change`` first, then fields, category and expiry in one PUT.

        A borrower without a card number gets one by the same PUT: the CPR number, or the number
        that Koha gives to every patron that is written without one while autoMemberNum is on.
        """
        patron = self._searches.patron(change.number, deadline)
        if patron is None:
            raise LibraryRefused("change: no such borrower")
        before = self._borrower(patron)
        cpr = change.cpr or before.cpr
        if change.cpr:
            self._identify(patron, change.cpr, deadline)
        body = koha_patrons.make_changes(patron, change)
        if before.card is None and cpr and self._settings.card_number == "cpr":
            body["cardnumber"] = spell_cpr(cpr)[0]
        after = self._borrower(self._put(patron, body, deadline))
        if after.number != change.number:
            raise LibraryUnavailable("change: an answer about another patron")
        # The answer to a change brings no attributes; what was read before it did.
        return replace(after, cpr=cpr)

    def set_pin(self, number: str, pin: str, deadline: datetime) -> None:
        """Make ``pin`` the password, which is the PIN; Koha's 200 does not prove it.

        Source: docs/reference/koha.md#pin-lies.
        """
        path = koha_calls.patron_path(number) + "/password"
        body = {"password": pin, "password_2": pin}
        answer = self._calls.call("set_pin", "POST", path, deadline, body=body)
        if answer.status != 200:
            raise koha_refusals.make_refusal(answer, "set_pin", body)

    def check_pin(self, borrower: Borrower, pin: str, deadline: datetime) -> PinAnswer:
        """Return what Koha, and with ``[library.sip2]`` a machine too, says of a PIN.

        Koha counts no try at a locked account and answers like to a wrong PIN.
        """
        card = borrower.card
        if card is None:
            return PinAnswer.NO_CARD_NUMBER
        answer = self._validate(card, pin, deadline)
        if answer.status == 201 and answer.fields():
            # A card number may be another patron's user name: that PIN is the other's.
            if str(answer.fields().get("patron_id")) != borrower.number:
                return PinAnswer.WRONG
            return self._ask_machine(card, pin, deadline)
        if answer.status == 500 and self._is_expired(card, answer, deadline):
            return PinAnswer.EXPIRED
        error = str(answer.fields().get("error"))
        if answer.status == 400 and _EXPIRED in error.casefold():
            return PinAnswer.EXPIRED
        if answer.status == 400 and error == "Validation failed":
            return PinAnswer.WRONG
        sent = {"password": pin, "cardnumber": card}
        raise koha_refusals.make_unavailable(answer, "check_pin", sent)

    def prove(self, expected: ExpectedSetup, deadline: datetime) -> tuple[SetupFault, ...]:
        """Return what in Koha's set-up breaks a promise of ours; nothing is written."""
        calls, searches, settings = self._calls, self._searches, self._settings
        return SetupProof(calls, searches, settings, expected, deadline, self._machine).faults()

    def try_setup(self, expected: ExpectedSetup, deadline: datetime) -> SetupTrial:
        """Try each category with a borrower that is deleted again."""
        trial = TrialBorrowers(self._calls, self._searches, self, self._settings, deadline)
        return trial.trial(expected)

    def _borrowers(self, patrons: Sequence[Patron]) -> tuple[Borrower, ...]:
        # A search by field and one by attribute may find the same borrower.
        borrowers = map(self._borrower, patrons)
        return tuple({borrower.number: borrower for borrower in borrowers}.values())

    def _borrower(self, patron: Any) -> Borrower:
        return koha_patrons.read_borrower(patron, self._settings)

    def _identify(self, patron: Patron, cpr: str, deadline: datetime) -> None:
        """Write the CPR of a patron that has no real number.

        The database's unique field goes first, so that of two patrons only one can get the number.
        A card number of another kind stays. LibraryUnavailable where another patron has the number
        (look again, and find that one), LibraryRefused where this one carries another real number.
        """
        settings = self._settings
        written = spell_cpr(cpr)
        values = koha_patrons.list_number_values(patron, settings)
        if any(find_real_cpr([value]) and value.strip() not in written for value in values):
            raise LibraryRefused("change: the patron carries another number")
        names = {settings.unique_field}
        names |= {name for name in settings.cpr_fields if _holds_number(patron, name)}
        lacking = [name for name in sorted(names) if patron.get(name) != written[0]]
        if lacking:
            body = koha_patrons.keep_demanded(patron) | dict.fromkeys(lacking, written[0])
            self._put(patron, body, deadline, identifying=True)
        if settings.cpr_attribute:
            self._set_attribute(patron, settings.cpr_attribute, written, deadline)

    def _set_attribute(
        self, patron: Patron, kind: str, written: Sequence[str], deadline: datetime
    ) -> None:
        """Give the patron one attribute with the number, in the place of any other value."""
        path = koha_calls.patron_path(str(patron.get("patron_id"))) + "/extended_attributes"
        has_number = False
        for attribute in koha_patrons.list_attributes(patron, kind):
            if str(attribute.get("value")).strip() in written:
                has_number = True
                continue
            one = f"{path}/{attribute.get('extended_attribute_id')}"
            answer = self._calls.call("change", "DELETE", one, deadline)
            if answer.status not in {204, 404}:
                raise koha_refusals.make_refusal(answer, "change", {})
        if has_number:
            return
        body = {"type": kind, "value": written[0]}
        answer = self._calls.call("change", "POST", path, deadline, body=body)
        if answer.status == 409:
            raise LibraryUnavailable("change: the attribute is another patron's by now")
        if answer.status != 201:
            raise koha_refusals.make_refusal(answer, "change", body)

    def _put(
        self,
        patron: Patron,
        body: Mapping[str, Any],
        deadline: datetime,
        *,
        identifying: bool = False,
    ) -> Any:
        path = koha_calls.patron_path(str(patron.get("patron_id")))
        answer = self._calls.call("change", "PUT", path, deadline, body=body)
        if identifying and koha_patrons.is_taken(answer):
            raise LibraryUnavailable("change: the number is another patron's by now")
        if answer.status != 200:
            raise koha_refusals.make_refusal(answer, "change", body)
        koha_refusals.demand_kept(answer.fields(), body, "change")
        return answer.json()

    def _validate(self, card: str, pin: str, deadline: datetime) -> HttpAnswer:
        body = {"identifier": card, "password": pin}
        return self._calls.call("check_pin", "POST", _VALIDATION, deadline, body=body, also=500)

    def _ask_machine(self, card: str, pin: str, deadline: datetime) -> PinAnswer:
        """Return what a machine says of a PIN that Koha finds right; RIGHT where there is none."""
        if self._machine is None:
            return PinAnswer.RIGHT
        until = moment(deadline, self._settings.timeout)
        return PinAnswer.RIGHT if self._machine.accepts(card, pin, until) else PinAnswer.WRONG

    def _is_expired(self, card: str, answer: HttpAnswer, deadline: datetime) -> bool:
        """Return whether a 500 is Koha's answer to the right PIN after that has expired.

        Koha then finds no patron, or one whose card number is null. It refuses a PIN that cannot be
        right in order, if it is well.

        Source: docs/reference/koha.md#right-pins.
        """
        errors = answer.fields().get("errors")
        if isinstance(errors, list) and _NULL_CARD in errors:
            return True
        return self._validate(card, secrets.token_urlsafe(16), deadline).status == 400


def _holds_number(patron: Patron, field: str) -> bool:
    """Return whether a field holds a number that is written as a CPR number is."""
    return is_shaped_as_cpr(koha_patrons.read_text(patron, field) or "")
