"""The users of the simulated Alma: unique identifiers, swap-all changes, and what staff do."""

import copy
import hmac
import threading
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from typing import Any, Final

from broker.demo.circulation.indexed_rows import IndexedRows
from tests.conformance.simulated_alma.administration import Administration
from tests.conformance.simulated_alma.refusals import (
    GENERAL,
    NOT_CHANGED,
    NOT_CREATED,
    Refused,
    general_error,
    invalid_type,
    make_taken,
    not_found,
)
from tests.conformance.simulated_alma.user_object import UserRow, read_user
from tests.conformance.simulated_alma.user_rules import EXTERNAL, add_defaults, check, set_segments

ALL_UNIQUE: Final = "all_unique"
# Fields of an external user that a change keeps unless ``override`` names them.
PROTECTED: Final[Mapping[str, str]] = {
    "user_group": "user_group",
    "job_category": "job_category",
    "pin_number": "pin_number",
    "preferred_language": "preferred_language",
    "campus_code": "campus_code",
    "rs_libraries": "rs_library",
    "user_title": "user_title",
    "library_notices": "library_notice",
    "pref_first_name": "pref_first_name",
    "pref_middle_name": "pref_middle_name",
    "pref_last_name": "pref_last_name",
    "cataloger_level": "cataloger_level",
}
_KEPT_WHERE_EMPTY: Final = ("user_role", "password")
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
        self._rows = _index_users(())

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
        if kind not in {None, ALL_UNIQUE, *self.administration.identifier_types}:
            raise invalid_type("identifier", str(kind))
        typed = None if kind == ALL_UNIQUE else kind
        with self._lock:
            keys = self._rows.having(identifier)
            keys |= self._rows.having(_make_key(identifier))
            rows = [self._rows[key] for key in keys]
            found = [row for row in rows if _carries(row, identifier, typed)]
            if len(found) > 1:
                raise general_error(GENERAL)
            if not found:
                raise not_found(identifier, typed)
            return copy.deepcopy(found[0])

    def create(self, body: Any) -> UserRow:
        """Create a user with the roles of the body, or those of the rules where it has none."""
        row = add_defaults(read_user(body))
        with self._lock:
            check(row, self.administration, NOT_CREATED)
            self._check_unique(row, None)
            if not row["user_role"]:
                row["user_role"] = self._roles(row)
            row[_BY_HAND] = frozenset()
            self._rows[_key(row)] = set_segments(row)
            return copy.deepcopy(row)

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
        if not set(override) <= PROTECTED.keys():
            raise general_error(NOT_CHANGED)
        with self._lock:
            kept = self.read(identifier, kind)
            row = _replace_row(kept, read_user(body), override)
            if not self.administration.keeps_pin:
                row["pin_number"] = str(body.get("pin_number") or "")
            self._check_change(kept, row)
            row[_BY_HAND] = kept[_BY_HAND]
            if recalculates_roles:
                row["user_role"] = self._roles(row)
            self._rows[_key(kept)] = set_segments(row)
            return copy.deepcopy(row)

    def edit(self, primary_id: str, **fields: object) -> None:
        """Write fields as staff do at the desk: a change by the API leaves them, where protected.

        Lists are those of ``read_user``; contacts are named ``address``, ``email``, ``phone``.
        """
        with self._lock:
            row = self._row(primary_id)
            by_hand = row[_BY_HAND] | fields.keys()
            self._rows[primary_id.casefold()] = {**row, **fields, _BY_HAND: by_hand}

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
            identifiers = [*row["user_identifier"], *moving]
            self._rows[_key(row)] = {**row, "user_identifier": identifiers}

    def purge(self, today: str) -> None:
        """Delete the users whose purge date has passed; ``today`` is a day in ISO 8601."""
        for row in self.rows():
            if row["purge_date"] and row["purge_date"][:10] < today:
                self.drop(row["primary_id"])

    def has_pin(self, row: UserRow, pin: str) -> bool:
        """Return whether this is the user's PIN; no call of the API tells."""
        kept = row["pin_number"]
        return bool(kept) and hmac.compare_digest(kept.encode(), pin.encode())

    def has_password(self, row: UserRow, password: str) -> bool:
        """Return whether this is the password of an internal user."""
        kept = row["password"]
        return bool(kept) and hmac.compare_digest(kept.encode(), password.encode())

    def _row(self, primary_id: str) -> UserRow:
        row = self._rows.get(primary_id.casefold())
        if row is None:
            raise not_found(primary_id, None)
        return row

    def _check_change(self, kept: UserRow, row: UserRow) -> None:
        check(row, self.administration, NOT_CHANGED)
        if row["external_id"] != kept["external_id"] and kept["account_type"] == EXTERNAL:
            text = "The external id in DB does not fit the given value in xml - external id"
            raise Refused("401858", f"{text} cannot be updated.")
        if _key(row) != _key(kept):
            raise general_error(NOT_CHANGED)
        self._check_unique(row, _key(kept))

    def _check_unique(self, row: UserRow, own: str | None) -> None:
        if own is None and _key(row) in self._rows:
            raise make_taken("Primary Identifier")
        met: set[tuple[str, str]] = set()
        for identifier in _list_identifiers(row):
            if identifier in met or self._is_anothers(identifier, own):
                raise make_taken(identifier[0])
            met.add(identifier)

    def _is_anothers(self, identifier: tuple[str, str], own: str | None) -> bool:
        _, value = identifier
        for key in self._rows.having(value) - {own}:
            other = self._rows[key]
            if identifier in _list_identifiers(other):
                return True
        return False

    def _roles(self, row: UserRow) -> list[UserRow]:
        rules = self.administration.role_rules
        return [
            {"status": "ACTIVE", "scope": "", "role_type": role, "expiry_date": "", "parameter": ()}
            for role in rules.get(row["user_group"], ())
        ]


def _replace_row(kept: UserRow, sent: UserRow, override: Collection[str]) -> UserRow:
    row = dict(sent)
    if row["account_type"] == EXTERNAL:
        for named, name in PROTECTED.items():
            stays = name in kept[_BY_HAND] or not sent[name]
            if stays and named not in override:
                row[name] = kept[name]
    for name in _KEPT_WHERE_EMPTY:
        row[name] = row[name] or kept[name]
    return add_defaults(row)


def _key(row: UserRow) -> str:
    return str(row["primary_id"]).casefold()


def _list_identifiers(row: UserRow) -> Iterator[tuple[str, str]]:
    for identifier in row["user_identifier"]:
        yield identifier["id_type"], identifier["value"]


def _index_users(rows: Iterable[tuple[str, UserRow]]) -> IndexedRows[str]:
    """Return users by primary id, found by the value of each identifier and by that id."""
    indexed: IndexedRows[str] = IndexedRows(_values)
    indexed.update(rows)
    return indexed


def _values(row: UserRow) -> Iterator[Hashable]:
    yield _make_key(row["primary_id"])
    for _, value in _list_identifiers(row):
        yield value


def _make_key(primary_id: str) -> Hashable:
    return "primary_id", primary_id.casefold()


def _carries(row: UserRow, identifier: str, kind: str | None) -> bool:
    if kind is None and _key(row) == identifier.casefold():
        return True
    return any(value == identifier and kind in {None, type_} for type_, value in _list_identifiers(row))
