"""The patrons of the simulated Koha, with its unique indexes and its race conditions."""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from broker.core.policy.expiry import add_months
from broker.demo.koha.database.administration import PASSWORD_CHANGE, Administration
from broker.demo.koha.database.collation import same
from broker.demo.koha.database.indexed_patrons import ATTRIBUTE, PatronTable
from broker.demo.koha.database.injected_faults import InjectedFaults
from broker.demo.koha.database.passwords import PasswordTable, password_fault
from broker.demo.koha.database.patron_schema import PatronRow, blank, cut_to_columns, trim_texts
from broker.demo.koha.database.refusals import Refused, internal_error
from broker.demo.koha.database.user_names import next_card_number, user_names

_UNIQUE: Final = ("cardnumber", "userid")
# The notice about a changed password goes to the first of these addresses that is set.
_MAIL_FIELDS: Final = ("email", "secondary_email", "altaddress_email")


class Patrons:
    """The table of patrons. As in Koha, checks of unique attributes are outside the transaction.

    ``administration`` holds the library's settings; a test replaces it to change them.
    """

    def __init__(self, administration: Administration, faults: InjectedFaults) -> None:
        self.administration = administration
        self._faults = faults
        self._lock = threading.RLock()
        self.welcome_mails: list[int] = []
        self._rows = PatronTable()
        self.passwords = PasswordTable()
        self._last = self._last_attribute = self._meetings = 0
        self._under_way: Counter[tuple[str, str]] = Counter()

    def rows(self) -> list[PatronRow]:
        """Return a copy of every patron, oldest first."""
        with self._lock:
            return [_copy_row(row) for row in self._rows.values()]

    def count(self) -> int:
        """Return how many patrons there are."""
        return len(self._rows)

    def find_candidates(self, query: Any) -> list[PatronRow]:
        """Return a copy of every patron that may match a JSON query, oldest first."""
        with self._lock:
            numbers = self._rows.find_candidates(query)
            if numbers is None:
                return self.rows()
            return [_copy_row(self._rows[number]) for number in sorted(numbers)]

    def list_after(self, number: int, most: int) -> list[PatronRow]:
        """Return copies of the first ``most`` patrons with a higher number."""
        with self._lock:
            numbers = sorted(other for other in self._rows if other > number)
            return [_copy_row(self._rows[other]) for other in numbers[:most]]

    def row(self, number: int) -> PatronRow:
        """Return a patron; 404 if there is none."""
        with self._lock:
            if number not in self._rows:
                raise Refused(404, error="Patron not found.")
            return dict(self._rows[number])

    def find_patron(
        self, identifier: str, columns: Sequence[str] = ("userid", "cardnumber")
    ) -> Any:
        """Return the patron with this identifier in the first column that has it, or None.

        The internal borrowernumber is no identifier: people do not know it.
        """
        with self._lock:
            for column in columns:
                numbers = self._rows.having(column, identifier)
                if numbers:
                    oldest = min(numbers)
                    return dict(self._rows[oldest])
        return None

    def create(self, body: Mapping[str, Any]) -> PatronRow:
        """Create a patron: check all rules, then insert under two unique indexes.

        Koha's order of the rules: category, user name, card number, library, attributes.
        """
        body = dict(body)
        attributes = body.pop("extended_attributes", None) or []
        values = [(attribute["type"], attribute["value"]) for attribute in attributes]
        with self._lock:
            sent = self._fit_to_store(blank() | trim_texts(body), None)
            row = cut_to_columns(sent)
            self._last += 1  # used up even if the insert fails
            row["patron_id"] = self._last
            self._check_indexes(row, None)
            self._check_new_attributes(values)
            deadlocked = self._deadlocks(values)
            self._under_way.update(values)
        try:
            # The unique attribute has no index: a concurrent check does not see this patron yet.
            time.sleep(self._faults.race_window)
            if deadlocked:
                raise internal_error()
            made = self._insert(row, attributes)
            return made | {name: sent[name] for name in _UNIQUE}  # uncut
        finally:
            with self._lock:
                self._under_way.subtract(values)

    def check_namesakes(self, body: Mapping[str, Any]) -> None:
        """Refuse a patron whose duplicate-matching fields equal those of another patron.

        A blank field on either side counts as equal, as in Koha.
        """
        fields = self.administration.preferences.patron_duplicate_matching
        if not fields:
            return
        with self._lock:
            for row in self._rows.values():
                pairs = [(body.get(name), row[name]) for name in fields]
                if all(not (one and other) or same(str(one), str(other)) for one, other in pairs):
                    text = "A patron record matching these details already exists"
                    raise Refused(409, error=text)

    def send_welcome_mail(self, row: PatronRow) -> None:
        """Send Koha's welcome mail if the preference is on and the patron has an address."""
        if self.administration.preferences.auto_email_new_user and row["email"]:
            self.welcome_mails.append(row["patron_id"])

    def _deadlocks(self, values: Sequence[tuple[str, str]]) -> bool:
        """Return whether this create deadlocks with a concurrent create of the same values."""
        if not any(self._under_way[value] for value in values):
            return False
        self._meetings += 1
        every = self._faults.deadlock_every
        return every > 0 and self._meetings % every == 0

    def _insert(self, row: PatronRow, attributes: Sequence[Mapping[str, str]]) -> PatronRow:
        with self._lock:
            self._check_indexes(row, None)
            today = _now().date()
            months = self.administration.categories[row["category_id"]].months
            row["date_enrolled"] = row["date_enrolled"] or today.isoformat()
            row["expiry_date"] = row["expiry_date"] or add_months(today, months).isoformat()
            row["updated_on"] = _now().isoformat()
            row["extended_attributes"] = [self._attribute(attribute) for attribute in attributes]
            self._rows[row["patron_id"]] = row
            return dict(row)

    def change(self, number: int, body: Mapping[str, Any]) -> PatronRow:
        """Merge the body into a patron; the expiry stays. Attributes in the body are a 500."""
        with self._lock:
            row = self.row(number)
            if "extended_attributes" in body:
                raise internal_error()
            wanted = {name: value for name, value in body.items() if name != "patron_id"}
            # Koha stores an updated_on in the body, even a stale one.
            row["updated_on"] = _now().isoformat()
            row = cut_to_columns(self._fit_to_store(row | trim_texts(wanted), number))
            self._check_indexes(row, number)
            self._rows[number] = row
            return dict(row)

    def edit(self, number: int, **fields: object) -> None:
        """Write fields as staff do at the desk, without the API's rules."""
        with self._lock:
            self._rows[number] = self.row(number) | fields

    def drop(self, number: int) -> None:
        """Delete a patron."""
        with self._lock:
            self.row(number)
            del self._rows[number]
            self.passwords.drop(number)

    def merge(self, kept: int, merged: int) -> None:
        """Merge one patron into another as staff do: its attributes move, then it is deleted.

        An attribute of a type that the kept patron has already is lost.
        """
        with self._lock:
            moving = self.row(merged)["extended_attributes"]
            self.drop(merged)
            for attribute in moving:
                if not _has_type(self.row(kept), attribute["type"]):
                    self.add_attribute(kept, attribute["type"], attribute["value"])

    def add_attribute(self, number: int, kind: str, value: str) -> dict[str, Any]:
        """Add an attribute. A duplicate is a 409 here, but a 400 in a create."""
        with self._lock:
            row = self.row(number)
            self._check_attribute(kind, value, number, repeated=_has_type(row, kind))
            made = self._attribute({"type": kind, "value": value})
            self.edit(number, extended_attributes=[*row["extended_attributes"], made])
            return made

    def drop_attribute(self, number: int, attribute: int) -> None:
        """Delete one attribute of a patron."""
        with self._lock:
            before = self.row(number)["extended_attributes"]
            after = [row for row in before if row["extended_attribute_id"] != attribute]
            if after == before:
                raise Refused(404, error="Attribute not found")
            self.edit(number, extended_attributes=after)

    def set_password(self, number: int, password: str, again: str) -> None:
        """Set the password, which is the PIN, by the rules of preferences and category.

        As in Koha, a missing notice template silently prevents the change.
        """
        with self._lock:
            row = self.row(number)
            preferences = self.administration.preferences
            category = self.administration.categories[row["category_id"]]
            if password != again:
                raise Refused(400, error="Passwords don't match")
            fault = password_fault(password, category, preferences)
            if fault:
                raise Refused(400, error=fault)
            notified = self._is_notified(row, password)
        if notified and PASSWORD_CHANGE not in preferences.notices:
            return
        with self._lock:
            self.passwords.set(number, password)
            self.edit(number, login_attempts=0)

    def _is_notified(self, row: PatronRow, password: str) -> bool:
        """Return whether Koha sends a notice: the password is new, and there is an address."""
        has_address = any(row[name] for name in _MAIL_FIELDS)
        return has_address and not self.passwords.matches(row["patron_id"], password)

    def find_by_password(self, identifier: str, password: str) -> PatronRow | None:
        """Return the patron with this user name or card number and this password, or None.

        If a user name has another password, the patron with this card number is tried too.
        """
        with self._lock:
            for column in ("userid", "cardnumber"):
                row: PatronRow | None = self.find_patron(identifier, (column,))
                if row and self.passwords.matches(row["patron_id"], password):
                    return row
        return None

    def _fit_to_store(self, row: PatronRow, number: int | None) -> PatronRow:
        """Return the row with generated card number and user name, or raise Refused."""
        if self.administration.preferences.auto_member_num and not row["cardnumber"]:
            row["cardnumber"] = next_card_number(one["cardnumber"] for one in self._rows.values())
        if row["category_id"] not in self.administration.categories:
            raise Refused(400, error="Given category_id does not exist")
        if not row["userid"]:
            row["userid"] = self._user_name(row, number)
        elif self._is_taken("userid", row["userid"], number):
            raise Refused(400, error=f"Problem with {row['userid']}")
        return row

    def _user_name(self, row: PatronRow, number: int | None) -> str:
        names = user_names(row["firstname"] or "", row["surname"] or "")
        return next(name for name in names if not self._is_taken("userid", name, number))

    def _check_indexes(self, row: PatronRow, number: int | None) -> None:
        for name in _UNIQUE:
            if row[name] is not None and self._is_taken(name, row[name], number):
                raise Refused(409, error="Duplicate ID", conflict=name)
        if row["library_id"] not in self.administration.libraries:
            raise Refused(400, error="Given library_id does not exist")

    def _is_taken(self, name: str, text: str, number: int | None) -> bool:
        return bool(self._rows.having(name, text) - {number})

    def _check_new_attributes(self, values: Sequence[tuple[str, str]]) -> None:
        """Check the attributes of a new patron in their order, then the mandatory types."""
        types = self.administration.attribute_types
        met: set[str] = set()
        for kind, value in values:
            try:
                self._check_attribute(kind, value, None, repeated=kind in met)
            except Refused as error:
                raise Refused(400, **error.body) from None
            met.add(kind)
        for kind, rule in types.items():
            if rule.mandatory and kind not in met:
                text = f"Missing mandatory extended attribute (type={kind})"
                raise Refused(400, error=text)

    def _check_attribute(
        self, kind: str, value: str, number: int | None, *, repeated: bool
    ) -> None:
        rule = self.administration.attribute_types.get(kind)
        if rule is None:
            raise Refused(400, error=f"Tried to use an invalid attribute type. type={kind}")
        details = f"type={kind} value={value}"
        if repeated:
            text = "Tried to add more than one non-repeatable attributes."
            raise Refused(409, error=f"{text} {details}")
        if rule.unique and self._is_attribute_taken(kind, value, number):
            text = "Your action breaks a unique constraint on the attribute."
            raise Refused(409, error=f"{text} {details}")

    def _is_attribute_taken(self, kind: str, text: str, number: int | None) -> bool:
        """Return whether a patron other than ``number`` has this attribute."""
        having = self._rows.having(ATTRIBUTE, text)
        for other in having - {number}:
            for attribute in self._rows[other]["extended_attributes"]:
                if attribute["type"] == kind and same(attribute["value"], text):
                    return True
        return False

    def _attribute(self, body: Mapping[str, str]) -> dict[str, Any]:
        self._last_attribute += 1
        return {
            "extended_attribute_id": self._last_attribute,
            "type": body["type"],
            "value": body["value"],
        }


def _copy_row(row: PatronRow) -> PatronRow:
    return dict(row, extended_attributes=list(row["extended_attributes"]))


def _has_type(row: PatronRow, kind: str) -> bool:
    return any(attribute["type"] == kind for attribute in row["extended_attributes"])


def _now() -> datetime:
    return datetime.now(UTC)
