"""The users of the simulated Alma, as desk, pages and machines of the library see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from broker.demo.circulation.library_desk import CONTACTS, Account
from broker.demo.circulation.loan_table import LoanTable
from tests.conformance.simulated_alma.administration import PATRON
from tests.conformance.simulated_alma.refusals import Refused
from tests.conformance.simulated_alma.user_object import CONTACTS as SHAPES
from tests.conformance.simulated_alma.user_object import SEGMENT, UserRow, full_name
from tests.conformance.simulated_alma.users import Users

# Where a contact of the library's pages stands: the list, the field, the type of a new one.
_PLACES: Final = {
    "email": ("email", "email_address", "personal"),
    "phone": ("phone", "phone_number", "home"),
    "address": ("address", "line1", "home"),
}
# The identifiers that a self-check profile takes, the card before all others.
_TYPED: Final = ("BARCODE", "CPR", "INST_ID")


@dataclass(frozen=True, slots=True)
class AlmaDesk:
    """The users of one simulated Alma, and their loans by primary id."""

    users: Users
    table: LoanTable

    def accounts(self) -> list[Account]:
        """Return all borrowers, oldest first."""
        return [_account(row) for row in self.users.rows()]

    def find_borrower(self, typed: str) -> Account | None:
        """Return the borrower of an identifier that a person typed; never of a primary id."""
        row = self.user(typed)
        if row is None:
            return None
        return _account(row)

    def user(self, typed: str) -> UserRow | None:
        """Return the user of an identifier that a person typed, or None."""
        for kind in _TYPED:
            try:
                return self.users.read(typed, kind)
            except Refused:
                continue
        return None

    def edit(self, number: str, contacts: Mapping[str, str], pin: str) -> None:
        """Write what a borrower has edited on the library's own page; an empty PIN stays."""
        row = self.users.read(number)
        edited: dict[str, Any] = {name: _edit_contacts(row, name, contacts[name]) for name in contacts}
        if pin:
            edited["pin_number"] = pin
        self.users.edit(number, **edited)

    def merge(self, kept: str, merged: str) -> None:
        """Merge one user into another as staff do: loans and identifiers move."""
        self.users.merge(kept, merged)
        self.table.move(kept, merged)


def hindrance(row: UserRow) -> str:
    """Return why a user may not borrow, in the words of the machine; "" where they may."""
    today = datetime.now(UTC).date().isoformat()
    if row["status"] != "ACTIVE":
        return "The user is not active."
    if row["expiry_date"] and row["expiry_date"][:10] < today:
        return "The user has expired."
    if row["user_block"]:
        return "The user is blocked."
    if PATRON not in {role["role_type"] for role in row["user_role"]}:
        return "The user has no patron role."
    return ""


def barcode(row: UserRow) -> str:
    """Return the card number of a user, "" for none."""
    for identifier in row["user_identifier"]:
        if identifier["id_type"] == "BARCODE":
            return str(identifier["value"])
    return ""


def contact(row: UserRow, name: str) -> str:
    """Return a contact of a user by its name on the library's pages: the preferred one, or ""."""
    listed, field, _ = _PLACES[name]
    ordered = sorted(row[listed], key=_comes_later)
    for entry in ordered:
        return str(entry[field])
    return ""


def _account(row: UserRow) -> Account:
    identifiers = {identifier["value"] for identifier in row["user_identifier"]}
    return Account(
        number=row["primary_id"],
        name=full_name(row),
        category=row["user_group"],
        expires=row["expiry_date"],
        numbers=frozenset({row["primary_id"], *identifiers}),
        contacts={name: contact(row, name) for name in CONTACTS},
        address=_address(row),
    )


def _address(row: UserRow) -> tuple[str, str, str]:
    for entry in sorted(row["address"], key=_comes_later):
        return (str(entry["line1"] or ""), str(entry["postal_code"] or ""), str(entry["city"] or ""))
    return ("", "", "")


def _edit_contacts(row: UserRow, name: str, value: str) -> list[UserRow]:
    """Return a list of contacts with the preferred one changed, made, or where empty taken out."""
    listed, field, kind = _PLACES[name]
    preferred, *others = sorted(row[listed], key=_comes_later) or [_make_entry(listed, kind)]
    if not value:
        return others
    return [{**preferred, field: value}, *others]


def _make_entry(listed: str, kind: str) -> UserRow:
    empty: UserRow = dict.fromkeys(SHAPES[listed], "")
    return {**empty, f"{listed}_type": (kind,), "preferred": True, SEGMENT: "Internal"}


def _comes_later(entry: UserRow) -> bool:
    return not entry["preferred"]
