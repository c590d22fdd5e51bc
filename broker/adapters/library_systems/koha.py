"""Koha as a library system: borrowers by REST (docs/reference/koha.md#koha)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from broker.adapters.library_systems import koha_refusals, koha_requests, koha_responses
from broker.adapters.library_systems.koha_changes import PatronChanges, demand_card
from broker.adapters.library_systems.koha_pins import PatronPins
from broker.adapters.library_systems.koha_requests import PATRONS, Calls
from broker.adapters.library_systems.koha_responses import Patron
from broker.adapters.library_systems.koha_searches import PatronSearches
from broker.adapters.library_systems.koha_settings import KohaKeys
from broker.adapters.library_systems.koha_setup import SetupProof
from broker.adapters.library_systems.koha_trial import TrialBorrowers
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_calls import LibraryCallObserver, unobserved
from broker.core.borrowers.library_capabilities import ALL_CAPABILITIES, LibraryCapability
from broker.core.borrowers.library_setup import ExpectedSetup, SetupFault, SetupTrial
from broker.core.borrowers.pins import PinAnswer
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import LibraryRefused, LibraryUnavailable


class KohaSettings(KohaKeys):
    """The settings type that the entry point ``koha`` names."""

    def open(self, observe: LibraryCallObserver = unobserved) -> "Koha":
        """Return the library system; nothing is called yet. ``observe`` hears of every call."""
        return Koha(self, observe)


class Koha:
    """One Koha behind the port ``LibrarySystem`` (core/ports.py); safe to share between threads."""

    def __init__(self, settings: KohaKeys, observe: LibraryCallObserver = unobserved) -> None:
        self._settings = settings
        self._calls = Calls(settings, observe)
        self._searches = PatronSearches(self._calls, settings)
        self._changes = PatronChanges(self._calls, settings)
        self._machine = settings.machine(observe)
        self._pins = PatronPins(self._calls, self._searches, self._machine, settings.timeout)

    @property
    def capabilities(self) -> frozenset[LibraryCapability]:
        """Return all but one: to the number of a merged patron Koha answers that there is none.

        Source: docs/koha.md.
        """
        return ALL_CAPABILITIES - {LibraryCapability.MERGED_TOLD}

    def find(self, cpr: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return the borrowers with this CPR as card number, user name or attribute.

        Any spelling that staff use is found. LibraryUnavailable where the answer holds others.
        """
        return self._borrowers(self._searches.by_cpr(cpr, deadline))

    def marked(self, mark: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return the borrowers made under this enrolment id."""
        return self._borrowers(self._searches.marked(mark, deadline))

    def find_similar(
        self, birth_date: date | None, email: str | None, deadline: datetime
    ) -> tuple[Borrower, ...]:
        """Return the borrowers with this mail address or this birth date, at most 200."""
        return self._borrowers(self._searches.similar(birth_date, email, deadline))

    def list_borrowers(self) -> Iterator[Borrower]:
        """Yield every borrower in the order of their numbers."""
        return map(self._borrower, self._searches.everybody())

    def read(self, number: str, deadline: datetime) -> Borrower | None:
        """Return the borrower with this ``patron_id``, or None."""
        patron = self._searches.patron(number, deadline)
        if patron is None:
            return None
        return self._borrower(patron)

    def find_typed(self, text: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return the borrowers of a CPR number or card; of a user name where it is nobody's card.

        What comes back is compared again: Koha's database takes more for equal than we do.
        """
        return self._borrowers(self._searches.find_typed(text, deadline))

    def create(self, wanted: WantedBorrower, mark: str, deadline: datetime) -> Borrower | None:
        """Make the borrower; None where its card number, user name or attribute is taken.

        LibraryRefused too where Koha made it without the card number that it was to give: it is
        found by its mark, and gets one by its next change.
        """
        body = koha_requests.creation(wanted, mark, self._settings)
        headers = koha_requests.CREATE_HEADERS
        answer = self._calls.call("create", "POST", PATRONS, deadline, headers=headers, body=body)
        if koha_responses.taken(answer):
            return None
        if answer.status != 201:
            raise koha_refusals.refused(answer, "create", body)
        made = self._borrower(answer.json())
        if made.mark != mark:
            raise LibraryUnavailable("create: an answer about another patron")
        demand_card(answer.json(), "create")
        koha_refusals.demand_kept(answer.fields(), body, "create")
        return made

    def change(self, change: Change, deadline: datetime) -> Borrower:
        """Set fields, category, expiry and mark of one borrower, and before them its CPR."""
        patron = self._searches.patron(change.number, deadline)
        if patron is None:
            raise LibraryRefused("change: no such borrower")
        after = self._borrower(self._changes.change(patron, change, deadline))
        if after.number != change.number:
            raise LibraryUnavailable("change: an answer about another patron")
        # The answer to a change brings no attributes; what was read before it did.
        cpr = change.cpr or self._borrower(patron).cpr
        return replace(after, cpr=cpr)

    def set_pin(self, number: str, pin: str, deadline: datetime) -> None:
        """Make ``pin`` the borrower's password, the PIN of Koha's self-service machines."""
        self._pins.set_pin(number, pin, deadline)

    def check_pin(
        self, number: str, pin: str, deadline: datetime, card: str | None = None
    ) -> PinAnswer:
        """Return what Koha, and with ``[library.sip2]`` a machine too, says of a PIN."""
        if card is not None and self._pins.proves(card, number, pin, deadline):
            return self._pins.at_machine(card, pin, deadline)
        return self._pins.check_pin(number, pin, deadline)

    def prove(self, expected: ExpectedSetup, deadline: datetime) -> tuple[SetupFault, ...]:
        """Return what in Koha's set-up breaks a promise of ours; nothing is written."""
        proof = SetupProof(
            self._calls, self._searches, self._settings, expected, deadline, machine=self._machine
        )
        return proof.faults()

    def try_setup(self, expected: ExpectedSetup, deadline: datetime) -> SetupTrial:
        """Try each category with a borrower that is deleted again."""
        trial = TrialBorrowers(self._calls, self._searches, self._pins, self._settings, deadline)
        return trial.trial(expected)

    def _borrowers(self, patrons: Sequence[Patron]) -> tuple[Borrower, ...]:
        # A search by field and one by attribute may find the same borrower.
        borrowers = {}
        for patron in patrons:
            borrower = self._borrower(patron)
            borrowers[borrower.number] = borrower
        return tuple(borrowers.values())

    def _borrower(self, patron: Any) -> Borrower:
        settings = self._settings
        return koha_responses.borrower(
            patron, settings.mark_field, settings.cpr_fields, settings.cpr_attribute
        )
