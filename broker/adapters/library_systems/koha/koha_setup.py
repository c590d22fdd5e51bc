"""Checks Koha's set-up by dry runs, and tries it with trial borrowers that are deleted again.

Each dry run names an attribute type that does not exist, so Koha refuses and rolls back the create.
Koha reports a wrong category, a wrong branch and a wrong attribute type for the CPR number before
that, so these faults are found (docs/reference/koha.md#check).
"""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from string import ascii_uppercase
from typing import Any, Final

from broker.adapters.http_exchange import HttpAnswer
from broker.adapters.library_systems.koha import koha_calls, koha_patrons
from broker.adapters.library_systems.koha.koha_calls import PATRONS
from broker.adapters.library_systems.koha.koha_searches import PatronSearches
from broker.adapters.library_systems.setup_steps import UNAVAILABLE, Step, run_steps
from broker.adapters.library_systems.sip2 import PinMachine, find_machine_faults
from broker.core.borrowers.library_setup import ExpectedSetup, SetupFault, SetupTrial
from broker.core.borrowers.pins import PIN_LENGTH
from broker.core.errors import LibraryRefused
from broker.core.ports import LibrarySystem

# Ten digits that are no date: no borrower has them, and the search must answer.
_NONEXISTENT_CPR: Final = "0000000000"
_OPERATION: Final = "check_setup"
# Stands in the field of the enrolment id. The broker draws no such enrolment id.
TRIAL_MARK: Final = "0" * 24 + "deadbeef"
_TRIAL: Final = "trial"
_SURNAME: Final = "Trial of the broker"
# An address that cannot exist: if Koha mails a notice to new patrons, nobody gets it.
_EMAIL: Final = "trial@broker.invalid"
_NOT_PROVEN: Final = (
    "Koha sends no mails about the borrowers that the broker makes",
    "the circulation rules allow the borrowers to borrow",
    "the login forms of OPAC and staff client are closed, because a PIN is a weak password",
    "FailedLoginAttempts is empty, unless library_account.mail_code is never",
    "PatronSelfRegistration is off",
    "OPACPatronDetails: a PIN alone does not allow changing the mail address or the CPR attribute",
    "librarians' working accounts have a category that no policy names",
)
_NO_MACHINE: Final = "self-service machines accept the PIN: there is no [library.sip2]"


@dataclass(frozen=True, slots=True)
class SetupCheck:
    """A check, without any change, of what the policies expect of a Koha.

    Every call ends by ``deadline``.
    """

    koha: PatronSearches
    expected: ExpectedSetup
    deadline: datetime
    machine: PinMachine | None

    def faults(self) -> tuple[SetupFault, ...]:
        """Return every fault, once for each setting; stop if Koha is unavailable."""
        steps: tuple[Step, ...] = (
            self._check_search_permission,
            self._check_password_permission,
            self._check_categories,
            partial(find_machine_faults, self.machine, self.deadline),
        )
        return run_steps("Koha", steps, continue_after=("permission",))

    def _check_search_permission(self) -> Iterator[SetupFault]:
        self.koha.find(_NONEXISTENT_CPR, self.deadline)
        yield from ()  # makes this a generator, as run_steps expects; a failed call raises

    def _check_password_permission(self) -> Iterator[SetupFault]:
        # No patron has number 0: the answer is 404 with the permission, 403 without it.
        path = f"{PATRONS}/0/password"
        empty = {"password": "", "password_2": ""}
        answer = self.koha.calls.call(_OPERATION, "POST", path, self.deadline, body=empty)
        if answer.status != 404:
            raise koha_calls.make_unavailable(answer, _OPERATION)
        yield from ()  # makes this a generator, as run_steps expects; a failed call raises

    def _check_categories(self) -> Iterator[SetupFault]:
        for category, place in self.expected.categories.items():
            refusal = self._dry_run(category, _draw_attribute_type())
            if refusal is None:
                continue
            sentence = f"Koha: {refusal}"
            if refusal.setting == f"category_id {category}":
                sentence = f"{place}: {sentence}"
            yield SetupFault(refusal.setting or UNAVAILABLE, sentence)

    def _dry_run(self, category: str, value: str) -> LibraryRefused | None:
        """Return why a borrower of this category cannot be made; None if one could be made.

        ``value`` is the value of the attribute for the CPR number, if there is one.
        """
        impossible = _draw_attribute_type()
        attributes = [{"type": impossible, "value": value}]
        settings = self.koha.settings
        if settings.cpr_attribute:
            attributes.insert(0, {"type": settings.cpr_attribute, "value": value})
        body = {
            "surname": "Dry run",
            "category_id": category,
            "library_id": settings.library_id,
            "extended_attributes": attributes,
        }
        create = partial(self.koha.calls.create, _OPERATION, body, self.deadline)
        answer = create(also=500)
        if answer.status == 500:  # a deadlock with another create at the same time
            answer = create()
        if answer.status == 201:
            raise self._undo(answer)
        refusal = koha_calls.make_refusal(answer, _OPERATION, body)
        if refusal.setting == f"patron attribute type {impossible}":
            return None
        return refusal

    def _undo(self, answer: HttpAnswer) -> LibraryRefused:
        """Delete the patron that this Koha made despite its attributes, and return the error."""
        number = str(answer.fields().get("patron_id"))
        path = koha_calls.patron_path(number)
        self.koha.calls.call(_OPERATION, "DELETE", path, self.deadline)
        sentence = f"set-up check: Koha created patron {number} in a dry run; it was deleted again"
        return LibraryRefused(sentence, "patron attribute types")


@dataclass(frozen=True, slots=True)
class TrialBorrowers:
    """A trial of what the policies expect, with borrowers that are deleted again.

    Every call ends by ``deadline``.
    """

    koha: PatronSearches
    library: LibrarySystem
    deadline: datetime

    def trial(self, expected: ExpectedSetup) -> SetupTrial:
        """Delete what an earlier trial left, then try each category."""
        tried = [partial(self._try, *item) for item in expected.categories.items()]
        steps: list[Step] = [self._delete_leftovers, *tried]
        faults = run_steps("Koha", steps, continue_after=("",))
        not_proven = _NOT_PROVEN if self.koha.settings.sip2 else (*_NOT_PROVEN, _NO_MACHINE)
        return SetupTrial(faults, not_proven)

    def _delete_leftovers(self) -> Iterator[SetupFault]:
        ours = {self.koha.settings.mark_field: TRIAL_MARK, "surname": _SURNAME}
        for patron in self.koha.search(_TRIAL, ours, self.deadline):
            if ours.items() <= patron.items():
                yield from self._delete(patron)

    def _try(self, category: str, place: str) -> Iterator[SetupFault]:
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)
        settings = self.koha.settings
        body = koha_patrons.make_body(_draw_card_number(), TRIAL_MARK, category, tomorrow, settings)
        body |= {"surname": _SURNAME, "email": _EMAIL}
        answer = self.koha.calls.create(_TRIAL, body, self.deadline)
        if answer.status != 201:
            refusal = koha_calls.make_refusal(answer, "create", body)
            setting = refusal.setting or f"category_id {category}"
            yield SetupFault(setting, f"{place}: Koha: no borrower can be made: {refusal}")
            return
        patron = answer.fields()
        try:
            yield from self._faults_of(patron, category, place)
        finally:
            yield from self._delete(patron)

    def _faults_of(
        self, patron: Mapping[str, Any], category: str, place: str
    ) -> Iterator[SetupFault]:
        borrower = koha_patrons.read_borrower(patron, self.koha.settings)
        if borrower.card is None:
            what = "a new borrower has no card number, so no PIN works (autoMemberNum)"
            yield SetupFault("autoMemberNum", f"Koha: {what}")
        pin = "".join(secrets.choice("0123456789") for _ in range(PIN_LENGTH))
        self.library.set_pin(borrower.number, pin, self.deadline)
        is_right = self.library.check_pin(borrower, pin, self.deadline)
        if borrower.card is not None and not is_right:
            what = f"a PIN that was set in {category} is wrong or expired at its first use"
            yield SetupFault(f"PIN {category}", f"{place}: Koha: {what}")

    def _delete(self, patron: Mapping[str, Any]) -> Iterator[SetupFault]:
        number = str(patron.get("patron_id"))
        path = koha_calls.patron_path(number)
        answer = self.koha.calls.call(_TRIAL, "DELETE", path, self.deadline)
        if answer.status != 204:
            what = f"the trial borrower {number} could not be deleted: {answer.status}"
            yield SetupFault(f"trial borrower {number}", f"Koha: {what}")


def _draw_card_number() -> str:
    """Return a card number that nobody has and that is no CPR number."""
    return f"T{secrets.randbelow(10**9):09}"


def _draw_attribute_type() -> str:
    """Return ten letters, the length of an attribute type; no library has this type.

    Letters only: ``koha_calls`` masks digits, and the dry run recognises Koha's refusal by this
    value.
    """
    return "".join(secrets.choice(ascii_uppercase) for _ in range(10))
