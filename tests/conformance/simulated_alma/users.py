"""The users of the simulated Alma: unique identifiers, swap-all changes, and what staff do."""

import copy
import hmac
import threading
from collections.abc import Collection, Iterator
from typing import Any, Final

from tests.conformance.simulated_alma.administration import GROUPS, IDENTIFIER_TYPES, PATRON, TYPES, Administration
from tests.conformance.simulated_alma.refusals import GENERAL, NOT_CHANGED, NOT_CREATED, Refused, not_found
from tests.conformance.simulated_alma.user_object import CONTACTS, LISTS, SEGMENT, UserRow, read_user

ALL_UNIQUE: Final = "all_unique"
EXTERNAL: Final = "EXTERNAL"
# Fields of an external user that a change keeps unless ``override`` names them.
PROTECTED: Final = frozenset({"user_group", "pin_number", "pref_first_name", "pref_last_name"})
_MANDATORY: Final = ("record_type", "primary_id", "account_type")
_BY_HAND: Final = "by_hand"  # of a row: the fields that staff have edited


class Users:
    """The table of users by primary id, without regard to capitals; each call is a transaction.

    ``administration`` holds the library's settings, which a test may replace. A user is not locked
    between a read and a change: the last change wins. ``pin_letters`` are the primary ids of users
    to whom Alma has sent a letter with the PIN.
    """

    def __init__(self, administration: Administration) -> None:
        self.administration = administration
        self.pin_letters: list[str] = []
        self._lock = threading.RLock()
        self._rows: dict[str, UserRow] = {}

    def rows(self) -> list[UserRow]:
        """Return a copy of every user, oldest first."""
        with self._lock:
            return copy.deepcopy(list(self._rows.values()))

    def read(self, identifier: str, kind: str | None = None) -> UserRow:
        """Return the user with an identifier of a type, or of any unique one.

        The primary id is compared without regard to capitals, the others with. 401861 or 401890
        where there is none, 401864 for an unknown type; an identifier of two users is a general
        error.
        """
        typed = None if kind == ALL_UNIQUE else kind
        if typed is not None and typed not in IDENTIFIER_TYPES:
            raise Refused("401864", f"Given identifier type ({typed}) is invalid.")
        found = [row for row in self.rows() if _carries(row, identifier, typed)]
        if len(found) > 1:
            raise Refused(GENERAL)
        if not found:
            raise not_found(identifier, typed)
        return found[0]

    def create(self, body: Any) -> UserRow:
        """Create a user with the role of its group."""
        row = read_user(body)
        with self._lock:
            _check(row)
            if _key(row) in self._rows:
                raise _make_taken("Primary Identifier")
            self._check_unique(row, None)
            row["user_role"] = row["user_role"] or _list_roles()
            return self._store(row, frozenset())

    def change(
        self,
        identifier: str,
        kind: str | None,
        body: Any,
        *,
        override: Collection[str] = (),
        recalculates_roles: bool = False,
    ) -> UserRow:
        """Swap all of a user for the body, but roles, password and what staff have edited.

        Source: docs/alma.md#change.
        """
        with self._lock:
            kept, row = self.read(identifier, kind), read_user(body)
            if row["account_type"] == EXTERNAL:
                for name in PROTECTED.difference(override):
                    if name in kept[_BY_HAND] or not row[name]:
                        row[name] = kept[name]
            for name in ("user_role", "password"):
                row[name] = row[name] or kept[name]
            _check(row)
            if not set(override) <= PROTECTED or _key(row) != _key(kept):
                raise Refused(NOT_CHANGED)
            if row["external_id"] != kept["external_id"] and kept["account_type"] == EXTERNAL:
                raise Refused("401858", "The external id in DB does not fit the given value.")
            self._check_unique(row, _key(kept))
            if recalculates_roles:
                row["user_role"] = _list_roles()
            return self._store(row, kept[_BY_HAND])

    def edit(self, primary_id: str, **fields: object) -> None:
        """Write fields as staff do at the desk: a change by the API leaves them, where protected.

        Lists are those of ``read_user``; contacts are named ``address``, ``email``, ``phone``.
        """
        with self._lock:
            row = self._row(primary_id)
            by_hand = row[_BY_HAND] | fields.keys()
            self._rows[_key(row)] = {**row, **fields, _BY_HAND: by_hand}

    def drop(self, primary_id: str) -> None:
        """Delete a user, as staff do or the purge job: nobody is found by any identifier of it."""
        with self._lock:
            del self._rows[_key(self._row(primary_id))]

    def merge(self, kept: str, merged: str) -> None:
        """Merge one user into another, as staff do: identifiers move, the primary id is gone."""
        with self._lock:
            moving = self._row(merged)["user_identifier"]
            self.drop(merged)
            row = self._row(kept)
            self._rows[_key(row)] = {**row, "user_identifier": [*row["user_identifier"], *moving]}

    def has_pin(self, row: UserRow, pin: str) -> bool:
        """Return whether this is the user's PIN; no call of the API tells."""
        kept = row["pin_number"]
        return bool(kept) and hmac.compare_digest(kept.encode(), pin.encode())

    def _row(self, primary_id: str) -> UserRow:
        row = self._rows.get(primary_id.casefold())
        if row is None:
            raise not_found(primary_id, None)
        return row

    def _store(self, row: UserRow, by_hand: frozenset[str]) -> UserRow:
        """Store a user; an external one has no password here, and an internal one internal parts only."""
        row["status"] = row["status"] or "ACTIVE"
        for listed in (*LISTS, *CONTACTS):
            for entry in row[listed]:
                if SEGMENT in entry and row["account_type"] != EXTERNAL:
                    entry[SEGMENT] = "Internal"
        if row["account_type"] == EXTERNAL:
            row["password"] = ""
        self._rows[_key(row)] = {**row, _BY_HAND: by_hand}
        return copy.deepcopy(row)

    def _check_unique(self, row: UserRow, own: str | None) -> None:
        others = {pair for key, other in self._rows.items() if key != own for pair in _list_identifiers(other)}
        for pair in _list_identifiers(row):
            if pair in others:
                raise _make_taken(pair[0])
            others.add(pair)


def _check(row: UserRow) -> None:
    """Refuse a user that breaks a rule.

    Source: docs/alma.md#errors.
    """
    for name in _MANDATORY:
        if not row[name]:
            raise Refused("401664", f"Mandatory field is missing: {name}")
    if (row["account_type"] == EXTERNAL) != (row["external_id"] == "SIS"):
        raise Refused("401854", "External Id must be given for external user.")
    if row["user_group"] and row["user_group"] not in GROUPS:
        raise Refused("401852", "Given user group is not legal.")
    if row["pin_number"] and len(row["pin_number"]) != 4:
        raise Refused(NOT_CREATED)
    for listed, (field, types) in TYPES.items():
        for entry in row[listed]:
            codes = entry[field]
            for code in codes if isinstance(codes, tuple) else (codes,):
                if code not in types:
                    raise Refused("401864", f"Given {listed} type ({code}) is invalid.")


def _list_roles() -> list[UserRow]:
    return [{"status": "ACTIVE", "scope": "", "role_type": PATRON, "expiry_date": "", "parameter": ()}]


def _make_taken(kind: str) -> Refused:
    return Refused("401851", f"User with identifier of type {kind} already exists.")


def _key(row: UserRow) -> str:
    return str(row["primary_id"]).casefold()


def _list_identifiers(row: UserRow) -> Iterator[tuple[str, str]]:
    for identifier in row["user_identifier"]:
        yield identifier["id_type"], identifier["value"]


def _carries(row: UserRow, identifier: str, kind: str | None) -> bool:
    if kind is None and _key(row) == identifier.casefold():
        return True
    return any(value == identifier and kind in {None, type_} for type_, value in _list_identifiers(row))
