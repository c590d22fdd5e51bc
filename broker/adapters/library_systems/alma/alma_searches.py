"""Searches of Alma users: by CPR number, borrower number, mail address or typed text."""

import re
from collections.abc import Iterable
from datetime import date, datetime
from itertools import product
from typing import Final
from urllib.parse import urlencode

from broker.adapters.library_systems.alma import alma_calls, alma_users
from broker.adapters.library_systems.alma.alma_calls import ALL_TYPES, USERS, Calls
from broker.adapters.library_systems.alma.alma_settings import BARCODE, AlmaKeys
from broker.adapters.library_systems.alma.alma_users import User
from broker.adapters.library_systems.record_values import (
    drop_repeated,
    is_shaped_as_cpr,
    read_text,
    spell_cpr,
)
from broker.core.borrowers.borrower import Borrower
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.input_normalization import remove_invisible, remove_spaces

_CPR_IN_OTHER_FIELD: Final = (
    "find: the CPR number is only a user's primary id or barcode: if it is this person's, "
    "write it as library.cpr_identifier_type says, and give the user another primary id"
)
# A card number or user name. Characters with a meaning in URLs or searches are not accepted.
_IDENTIFIER: Final = re.compile(r"[\w@+$-][\w.@+$-]{0,74}")

# Search only for mail addresses without characters of Alma's query language.
_MAIL_ADDRESS: Final = re.compile(r"[\w.+-]+@[\w.-]+", re.ASCII)
_MOST_SIMILAR: Final = 20  # each costs a call, and calls are limited for the whole library


class UserSearches:
    """The searches of the port ``LibrarySystem``: look-ups by an identifier and its type.

    Each answer is compared with the question.
    """

    def __init__(self, calls: Calls, settings: AlmaKeys) -> None:
        self.calls = calls
        self.settings = settings

    def find(self, cpr: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return the users with this CPR number as an identifier, in any spelling that staff use.

        Raises LibraryRefused if the number is found only as a primary id or barcode. It may belong
        to another person by coincidence: staff must look before a second borrower is made.
        """
        found = self._find_by_types(spell_cpr(cpr), self.settings.cpr_types, "find", deadline)
        if not found and self._is_other_identifier(cpr, deadline):
            raise LibraryRefused(_CPR_IN_OTHER_FIELD)
        return self._read_borrowers(found)

    def find_typed(self, text: str, deadline: datetime) -> tuple[Borrower, ...]:
        """Return the users of a CPR number or barcode, or else of a user name.

        Identifiers in Alma are case sensitive: search as typed, and in the usual cases.
        """
        return self._read_borrowers(self._find_typed_users(text, deadline))

    def _find_typed_users(self, text: str, deadline: datetime) -> list[User]:
        number = remove_spaces(text)
        if is_shaped_as_cpr(number):
            types = dict.fromkeys((*self.settings.cpr_types, BARCODE))
            return self._find_by_types(spell_cpr(number), types, "typed", deadline)
        name = remove_invisible(text)
        if not _IDENTIFIER.fullmatch(name):
            return []
        cases = dict.fromkeys((name, name.upper(), name.lower(), name.capitalize()))
        # Cards have ASCII digits and letters only.
        if name.isascii() and (found := self._find_by_types(cases, (BARCODE,), "typed", deadline)):
            return found
        if kind := self.settings.user_name_identifier_type:
            return self._find_by_types(cases, (kind,), "typed", deadline)
        return []

    def find_similar(
        self, birth_date: date | None, email: str | None, deadline: datetime
    ) -> tuple[Borrower, ...]:
        """Return the users with this mail address, at most 20; Alma has no search by birth date.

        The search returns names and primary ids only; each user costs another call.
        """
        del birth_date
        if not (email and _MAIL_ADDRESS.fullmatch(email)):
            return ()
        asked = urlencode({"q": f"email~{email}", "limit": _MOST_SIMILAR})
        path = f"{USERS}?{asked}"
        found = []
        answer = self.calls.call("find_similar", "GET", path, deadline)
        for entry in alma_users.list_entries(answer.get("user")):
            primary_id = read_text(entry, "primary_id") or ""
            user_path = alma_calls.make_user_path(primary_id, ALL_TYPES)
            user = self._user(user_path, "find_similar", deadline)
            if user is not None and _has_address(user, email):
                found.append(user)
        return self._read_borrowers(found)

    def read(self, number: str, deadline: datetime) -> Borrower | None:
        """Return the user with this number, or None."""
        user = self._find_by_number(number, deadline, "read")
        return alma_users.read_borrower(user, self.settings) if user is not None else None

    def _read_borrowers(self, users: Iterable[User]) -> tuple[Borrower, ...]:
        return drop_repeated(alma_users.read_borrower(user, self.settings) for user in users)

    def _find_by_number(self, number: str, deadline: datetime, operation: str) -> User | None:
        """Return the user of this borrower number, or None."""
        path = alma_calls.make_numbered_path(number)
        user = self._user(path, operation, deadline)
        if user is None:
            return None
        wanted = number.casefold()
        if wanted == alma_users.find_number(user, self.settings).casefold():
            return user
        # The number may be another user's barcode or user name. Any other user, for example from a
        # cache on the way, is an error: the broker would change it or mail it a PIN.
        listed = alma_users.list_entries(user.get("user_identifier"))
        values = [read_text(each, "value") or "" for each in listed]
        if wanted in map(str.casefold, values):
            return None
        raise LibraryUnavailable(f"{operation}: an answer about another user")

    def _find_by_types(
        self, values: Iterable[str], types: Iterable[str], operation: str, deadline: datetime
    ) -> list[User]:
        pairs = product(values, types)
        looked = [self._find_identified(*pair, operation, deadline) for pair in pairs]
        return [user for user in looked if user is not None]

    def _find_identified(
        self, value: str, kind: str, operation: str, deadline: datetime
    ) -> User | None:
        user = self._user(alma_calls.make_user_path(value, kind), operation, deadline)
        if user is not None and value not in alma_users.list_identifiers(user, kind):
            raise LibraryUnavailable(f"{operation}: Alma gave a user that was not asked for")
        return user

    def _is_other_identifier(self, cpr: str, deadline: datetime) -> bool:
        """Return whether the CPR number is a user's barcode or primary id, which has no type."""
        types = {BARCODE}.difference(self.settings.cpr_types)
        if self._find_by_types(spell_cpr(cpr), types, "find", deadline):
            return True
        for value in spell_cpr(cpr):
            user = self._user(alma_calls.make_user_path(value, ALL_TYPES), "find", deadline)
            if user is not None and read_text(user, "primary_id") == value:
                return True
        return False

    def _user(self, path: str, operation: str, deadline: datetime) -> User | None:
        user = self.calls.call(operation, "GET", path, deadline, unless=alma_calls.NOT_FOUND)
        return user or None


def _has_address(user: User, email: str) -> bool:
    listed = alma_users.list_contacts(user, "email")
    addresses = [read_text(each, "email_address") or "" for each in listed]
    return email.casefold() in map(str.casefold, addresses)
