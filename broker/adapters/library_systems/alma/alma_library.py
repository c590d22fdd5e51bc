"""Alma as a library system: borrowers are its users, by REST (docs/alma.md)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from broker.adapters.library_systems.alma import alma_calls, alma_changes, alma_users
from broker.adapters.library_systems.alma.alma_calls import USERS, Calls
from broker.adapters.library_systems.alma.alma_changes import Draft
from broker.adapters.library_systems.alma.alma_searches import UserSearches
from broker.adapters.library_systems.alma.alma_settings import AlmaKeys
from broker.adapters.library_systems.alma.alma_setup import SetupCheck
from broker.adapters.library_systems.alma.alma_users import User
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.library_setup import (
    ExpectedSetup,
    LibraryCallObserver,
    LibraryCapability,
    SetupFault,
    SetupTrial,
    ignore_call,
)
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import CallNotMade, ChangeUnanswered, LibraryRefused, LibraryUnavailable

Query = Mapping[str, str | Sequence[str]]

# Alma fields that only staff write; the broker leaves them as they are.
_OF_STAFF: Final = {"user_block": "blocks", "user_note": "notes"}
_NOT_TRIED: Final = (
    "anything that needs a user: make one by hand in each user group, give it a PIN, and try a "
    "self-service machine (docs/alma.md)"
)


class AlmaSettings(AlmaKeys):
    """The settings type that the entry point ``alma`` names."""

    def open(self, observe: LibraryCallObserver = ignore_call) -> "Alma":
        """Return the library system; ``observe`` gets its calls."""
        return Alma(self, observe)


class Alma(UserSearches):
    """An Alma as the port ``LibrarySystem`` (core/ports.py); threads may share it."""

    def __init__(self, settings: AlmaKeys, observe: LibraryCallObserver = ignore_call) -> None:
        super().__init__(Calls(settings, observe), settings)
        self.machine = settings.machine(observe)

    @property
    def capabilities(self) -> frozenset[LibraryCapability]:
        """Return what Alma can do. Only a self-service machine checks PINs."""
        can = {LibraryCapability.UNIQUE_CPR, LibraryCapability.SETUP_TRIED}
        if self.machine is not None:
            can.add(LibraryCapability.PIN_CHECKED)
        if self.settings.user_name_identifier_type:
            can.add(LibraryCapability.USER_NAMES)
        return frozenset(can)

    def list_borrowers(self) -> Iterator[Borrower]:
        """Refuse: each user would cost one of the calls of the day."""
        raise LibraryRefused("Alma lists users without numbers: use Alma Analytics")

    def create(self, wanted: WantedBorrower, mark: str, deadline: datetime) -> Borrower | None:
        """Make the user; None if one of its identifiers is taken.

        Alma does not say which one: ours, if an answer was lost, or another user's.
        """
        body = alma_changes.make_creation(wanted, mark, self.settings)
        group, taken = wanted.category, alma_calls.TAKEN
        user = self.calls.call(
            "create", "POST", USERS, deadline, body=body, group=group, unless=taken
        )
        if not user:
            return None
        borrower = alma_users.read_borrower(user, self.settings)
        if borrower.mark != mark:
            raise LibraryUnavailable("create: an answer about another user")
        return borrower

    def change(self, change: Change, deadline: datetime) -> Borrower:
        """Write the whole user back with fields, group, expiry and CPR number of ``change``.

        Changes of staff between the two calls are lost (docs/alma.md#writes). Raises LibraryRefused
        if the answer lacks a value that was sent.
        """

        def draft(user: User) -> Draft:
            return alma_changes.apply_change(user, change, self.settings)

        query: dict[str, str | Sequence[str]] = {"override": alma_changes.list_overridden(change)}
        if change.category is not None:
            query["recalculate_roles"] = "true"
        group = change.category or ""
        sent, user = self._write(change.number, "change", draft, query, deadline, group=group)
        after = alma_users.read_borrower(user, self.settings)
        if lost := _describe_loss(change, after) or _describe_staff_loss(sent, user):
            raise LibraryRefused(f"change: Alma took it and has not stored {lost}")
        return after

    def set_pin(self, number: str, pin: str, deadline: datetime) -> None:
        """Set the user's PIN for self-service machines; Alma must send no letter about it.

        Alma cannot confirm that the PIN works.
        """

        def draft(user: User) -> Draft:
            return alma_changes.copy_user(user) | {"pin_number": pin}

        query = {"override": "pin_number", "send_pin_number_letter": "false"}
        self._write(number, "set_pin", draft, query, deadline)

    def check_pin(self, borrower: Borrower, pin: str, deadline: datetime) -> bool:
        """Ask a self-service machine about barcode and PIN; False if none is configured.

        Read the user again first, because the barcode may belong to another user by now. Raises
        LibraryUnavailable if the machine accepts any PIN.
        """
        if self.machine is None:
            return False
        present = self.read(borrower.number, deadline)
        if present is None or present.card is None:
            return False
        return self.machine.accepts(present.card, pin, deadline)

    def check_setup(self, expected: ExpectedSetup, deadline: datetime) -> tuple[SetupFault, ...]:
        """Return the faults of Alma's set-up; nothing is written."""
        check = SetupCheck(self.calls, self.settings, expected, deadline, self.machine)
        return check.faults()

    def try_setup(self, expected: ExpectedSetup, deadline: datetime) -> SetupTrial:
        """Try nothing; name what only a user would show."""
        del expected, deadline
        return SetupTrial((), (_NOT_TRIED,))

    def _write(
        self,
        number: str,
        operation: str,
        draft: Callable[[User], Draft],
        query: Query,
        deadline: datetime,
        *,
        group: str = "",
    ) -> tuple[Draft, User]:
        """Write back what ``draft`` makes of the user with this number; return it and the answer.

        Raises LibraryRefused if there is no such user. Raises ChangeUnanswered if it is unknown
        whether the user was written. Raises LibraryUnavailable if an identifier is another user's
        by now.
        """
        user = self._find_by_number(number, deadline, operation)
        if user is None:
            raise LibraryRefused(f"{operation}: no such borrower")
        sent = draft(user)
        asked = {name: value for name, value in query.items() if value}
        path = alma_calls.make_numbered_path(number, **asked)
        try:
            written = self.calls.call(
                operation, "PUT", path, deadline, body=sent, group=group, unless=alma_calls.TAKEN
            )
        except CallNotMade:
            raise
        except LibraryUnavailable as error:
            raise ChangeUnanswered(str(error), error.setting) from error
        if not written:
            raise LibraryUnavailable(f"{operation}: the number is another user's by now")
        if alma_users.find_number(written, self.settings).casefold() != number.casefold():
            raise LibraryUnavailable(f"{operation}: an answer about another user")
        return sent, written


def _describe_loss(change: Change, after: Borrower) -> str:
    """Return the parts of a change that the borrower lacks, in words, or ""."""
    lost = []
    if change.category not in {None, after.category}:
        lost.append("user_group")
    if change.expires not in {None, after.expires}:
        lost.append("expiry_date")
    if change.cpr not in {None, after.cpr}:
        lost.append("the CPR number")
    return ", ".join(lost)


def _describe_staff_loss(sent: User, after: User) -> str:
    """Return how many blocks and notes of staff are missing after a write, or ""."""
    gone = []
    for listed, name in _OF_STAFF.items():
        count = len(alma_users.list_entries(sent.get(listed))) - len(
            alma_users.list_entries(after.get(listed))
        )
        if count > 0:
            gone.append(f"{count} {name}")
    return ", ".join(gone)
