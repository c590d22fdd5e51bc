"""The patrons of the simulated Koha, with its unique indexes and its unlocked checks."""

import hashlib
import hmac
import secrets
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from broker.core.borrowers.wanted_borrower import months_after
from broker.demo.koha.injected_faults import InjectedFaults
from broker.demo.koha.patron_schema import blank


@dataclass(frozen=True, slots=True)
class Category:
    """A patron category: its months of validity, and the shortest password it accepts."""

    months: int = 24
    min_password_length: int = 4


class Refused(Exception):  # an answer of the simulated Koha, no error of ours
    """An answer other than success."""

    def __init__(self, status: int, /, **body: object) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def broken() -> Refused:
    """Return Koha's answer to everything that it did not expect."""
    return Refused(
        500,
        error="Something went wrong, check Koha logs for details.",
        error_code="internal_server_error",
    )


class Patrons:
    """The table of patrons; a write is a transaction, checks of unique attributes are outside."""

    def __init__(
        self,
        categories: Mapping[str, Category],
        libraries: Sequence[str],
        unique: Sequence[str],
        faults: InjectedFaults,
    ) -> None:
        self._categories = categories
        self.libraries = tuple(libraries)
        self._kinds = tuple(unique)
        self._faults = faults
        self._lock = threading.RLock()
        self._rows: dict[int, dict[str, Any]] = {}
        self._passwords: dict[int, bytes] = {}
        self._pepper = secrets.token_bytes(32)
        self._last = self._last_attribute = self._meetings = 0
        self._under_way: Counter[tuple[str, str]] = Counter()

    def rows(self) -> list[dict[str, Any]]:
        """Return a copy of every patron, oldest first."""
        with self._lock:
            return [
                dict(row, extended_attributes=list(row["extended_attributes"]))
                for row in self._rows.values()
            ]

    def row(self, number: int) -> dict[str, Any]:
        """Return a patron; 404 where there is none."""
        with self._lock:
            if number not in self._rows:
                raise Refused(404, error="Patron not found")
            return dict(self._rows[number])

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a patron: check user name and attributes, then insert under two unique indexes."""
        body = dict(body)
        attributes = body.pop("extended_attributes", None) or []
        values = [(attribute["type"], attribute["value"]) for attribute in attributes]
        with self._lock:
            self._check(body, None)
            self._check_unique(values, None)
            deadlocked = self._deadlocks(values)
            self._under_way.update(values)
        try:
            # The unique attribute has no index: a check in this time sees nothing.
            time.sleep(self._faults.race_window)
            if deadlocked:
                raise broken()
            return self._insert(body, attributes)
        finally:
            with self._lock:
                self._under_way.subtract(values)

    def _deadlocks(self, values: Sequence[tuple[str, str]]) -> bool:
        """Return whether this create meets another of these values, and is the one to fail."""
        if not any(self._under_way[value] for value in values):
            return False
        self._meetings += 1
        every = self._faults.deadlock_every
        return every > 0 and self._meetings % every == 0

    def _insert(
        self, body: Mapping[str, Any], attributes: Sequence[Mapping[str, str]]
    ) -> dict[str, Any]:
        with self._lock:
            self._indexes(body, None)
            self._last += 1
            row = blank() | dict(body)
            row |= {"patron_id": self._last, "updated_on": _now().isoformat()}
            row["userid"] = row["userid"] or self._user_name(row)
            row["date_enrolled"] = row["date_enrolled"] or _now().date().isoformat()
            months = self._categories[row["category_id"]].months
            expiry = months_after(_now().date(), months)
            row["expiry_date"] = row["expiry_date"] or expiry.isoformat()
            self._rows[self._last] = row
            row["extended_attributes"] = [self._attribute(attribute) for attribute in attributes]
            return dict(row)

    def change(self, number: int, body: Mapping[str, Any]) -> dict[str, Any]:
        """Merge the body into a patron, leaving its expiry; attributes in the body are a 500."""
        with self._lock:
            row = self.row(number)
            if "extended_attributes" in body:
                raise broken()
            wanted = {name: value for name, value in body.items() if name != "patron_id"}
            self._check(wanted, number)
            self._indexes(wanted, number)
            # Koha stores a stale updated_on that was echoed to it, unasked.
            row["updated_on"] = _now().isoformat()
            self._rows[number] = row | wanted
            return dict(self._rows[number])

    def drop(self, number: int) -> None:
        """Delete a patron."""
        with self._lock:
            self.row(number)
            del self._rows[number]

    def add_attribute(self, number: int, kind: str, value: str) -> dict[str, Any]:
        """Add an attribute; a taken unique one is a 409 here, a 400 at the patron's creation."""
        with self._lock:
            row = self.row(number)
            try:
                self._check_unique([(kind, value)], number)
            except Refused as error:
                status = 409 if "breaks" in str(error.body["error"]) else 400
                raise Refused(status, **error.body) from None
            made = self._attribute({"type": kind, "value": value})
            self._rows[number]["extended_attributes"] = [*row["extended_attributes"], made]
            return made

    def drop_attribute(self, number: int, attribute: int) -> None:
        """Delete one attribute of a patron."""
        with self._lock:
            kept = self.row(number)["extended_attributes"]
            left = [row for row in kept if row["extended_attribute_id"] != attribute]
            if left == kept:
                raise Refused(404, error="Attribute not found")
            self._rows[number]["extended_attributes"] = left

    def set_password(self, number: int, password: str, again: str) -> None:
        """Set the password, which is the PIN, by the category's rules."""
        with self._lock:
            category = self._categories[self.row(number)["category_id"]]
            shortest = max(3, category.min_password_length)
            if password != again:
                raise Refused(400, error="Passwords don't match")
            if len(password) < shortest:
                text = f"Password length ({len(password)}) is shorter than required ({shortest})"
                raise Refused(400, error=text)
            if password != password.strip():
                raise Refused(
                    400, error="[Password contains leading/trailing whitespace character(s)]"
                )
            self._passwords[number] = self._digest(password)

    def has_password(self, number: int) -> bool:
        """Return whether a patron has a password."""
        with self._lock:
            return number in self._passwords

    def proven(self, identifier: str, password: str) -> dict[str, Any] | None:
        """Return the patron with this user name or card number and this password, or None."""
        with self._lock:
            for number, row in self._rows.items():
                kept = self._passwords.get(number)
                if not kept or identifier not in {row["userid"], row["cardnumber"]}:
                    continue
                if hmac.compare_digest(kept, self._digest(password)):
                    return dict(row)
                return None
        return None

    def _check(self, body: Mapping[str, Any], number: int | None) -> None:
        if body["category_id"] not in self._categories:
            raise Refused(400, error="Given category_id does not exist")
        if body.get("userid") and self._taken("userid", body["userid"], number):
            raise Refused(400, error=f"Problem with {body['userid']}")
        if body["library_id"] not in self.libraries:
            raise Refused(400, error="Given library_id does not exist")

    def _indexes(self, body: Mapping[str, Any], number: int | None) -> None:
        for name in ("cardnumber", "userid"):
            if body.get(name) is not None and self._taken(name, body[name], number):
                raise Refused(409, error="Duplicate ID", conflict=name)

    def _taken(self, name: str, value: str, number: int | None) -> bool:
        wanted = value.casefold()
        for row in self._others(number):
            if row[name] is not None and row[name].casefold() == wanted:
                return True
        return False

    def _others(self, number: int | None) -> list[dict[str, Any]]:
        return [row for other, row in self._rows.items() if other != number]

    def _check_unique(self, values: Sequence[tuple[str, str]], number: int | None) -> None:
        for kind, value in values:
            if kind not in self._kinds:
                raise Refused(400, error=f"Tried to use an invalid attribute type. type={kind}")
            for row in self._others(number):
                _refuse_taken(row, kind, value)

    def _attribute(self, body: Mapping[str, str]) -> dict[str, Any]:
        self._last_attribute += 1
        return {
            "extended_attribute_id": self._last_attribute,
            "type": body["type"],
            "value": body["value"],
        }

    def _user_name(self, row: Mapping[str, Any]) -> str:
        full = f"{row['firstname'] or ''}.{row['surname'] or ''}"
        name = full.strip(".").lower().replace(" ", "")
        if self._taken("userid", name, None):
            return f"{name}{row['patron_id']}"
        return name

    def _digest(self, password: str) -> bytes:
        return hashlib.blake2b(password.encode(), key=self._pepper).digest()


def _refuse_taken(row: Mapping[str, Any], kind: str, value: str) -> None:
    for attribute in row["extended_attributes"]:
        if (attribute["type"], attribute["value"]) == (kind, value):
            unique = "Your action breaks a unique constraint on the attribute."
            raise Refused(400, error=f"{unique} type={kind} value={value}")


def _now() -> datetime:
    return datetime.now(UTC)
