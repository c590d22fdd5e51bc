"""Reads the users in Alma's answers as borrowers."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from broker.adapters.library_systems.alma.alma_settings import BARCODE, AlmaKeys
from broker.adapters.library_systems.record_values import (
    find_real_cpr,
    is_shaped_as_cpr,
    read_day,
    read_text,
)
from broker.core.borrowers.borrower import Borrower
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.identity.cpr import looks_like_cpr

User = Mapping[str, Any]  # a user object of the REST API
Entry = dict[str, Any]  # one of its addresses, mail addresses, telephone numbers, ...

# Borrower fields in the user object.
TEXTS: Final = {
    "surname": "last_name",
    "firstname": "first_name",
    "middle_name": "middle_name",
    "pref_first_name": "pref_first_name",
    "pref_last_name": "pref_last_name",
}
# Borrower fields in the contact information: the list, and the name in its entry.
CONTACTS: Final = {
    "address": ("address", "line1"),
    "address2": ("address", "line2"),
    "postal_code": ("address", "postal_code"),
    "city": ("address", "city"),
    "email": ("email", "email_address"),
    "phone": ("phone", "phone_number"),
    "mobile": ("phone", "phone_number"),
}
PHONE_TYPES: Final = {"phone": "home", "mobile": "mobile"}
BORN: Final = "date_of_birth"
_ACTIVE: Final = "ACTIVE"
_MARK: Final = re.compile("[0-9a-f]{32}")


def write_day(moment: date) -> str:
    """Return a date in Alma's format, with a Z."""
    return f"{moment.isoformat()}Z"


def read_borrower(user: User, keys: AlmaKeys) -> Borrower:
    """Read a user object.

    Raises LibraryUnavailable if it is malformed, and LibraryRefused if each of its numbers contains
    a CPR number.
    """
    number = find_number(user, keys)
    fields = _fields(user)
    return Borrower(
        number=number,
        category=read_code(user, "user_group"),
        expires=read_day(user.get("expiry_date")),
        mark=find_mark(number, keys),
        email=fields.get("email"),
        born=read_day(user.get("birth_date")),
        cpr=find_real_cpr(list_cpr_values(user, keys)),
        fields=fields,
        card=_card(user),
    )


def find_number(user: User, keys: AlmaKeys) -> str:
    """Return the borrower number: the primary id, or another one if that holds a CPR number.

    Raises LibraryRefused if there is no other: services and staff would see the CPR number.
    """
    numbers = [read_text(user, "primary_id")]
    if keys.number_identifier_type:
        numbers += list_identifiers(user, keys.number_identifier_type)
    own = _cpr_digits(user, keys)
    for number in numbers:
        if number and not holds_cpr(number) and not any(map(_digits(number).count, own)):
            return number
    if not numbers[0]:
        raise LibraryUnavailable("an answer that is no user")
    raise LibraryRefused(
        "a user's primary id holds a CPR number, and it has no other number: give it one of "
        "library.number_identifier_type, or another primary id"
    )


def holds_cpr(number: str) -> bool:
    """Return whether a number holds a CPR number, as people or programs read it."""
    return is_shaped_as_cpr(number.strip()) or looks_like_cpr(number, apart=True)


def _cpr_digits(user: User, keys: AlmaKeys) -> list[str]:
    """Return the CPR numbers of a user as digits, to find them between letters too."""
    values = [*list_cpr_values(user, keys), *list_identifiers(user, BARCODE)]
    return [_digits(value) for value in values if is_shaped_as_cpr(value.strip())]


def _digits(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text)
    return "".join(str(unicodedata.decimal(each)) for each in plain if each.isdecimal())


def find_mark(number: str, keys: AlmaKeys) -> str | None:
    """Return the enrolment id in a number of the broker's series, None for other numbers."""
    prefix = keys.series_prefix.casefold()
    folded = number.casefold()
    if not folded.startswith(prefix):
        return None
    mark = folded.removeprefix(prefix)
    return mark if _MARK.fullmatch(mark) else None


def list_cpr_values(user: User, keys: AlmaKeys) -> list[str]:
    """Return the values of all identifiers that may hold a CPR number."""
    return [value for kind in keys.cpr_types for value in list_identifiers(user, kind)]


def list_identifiers(user: User, kind: str) -> list[str]:
    """Return the values of the identifiers of one type."""
    return [read_text(each, "value") or "" for each in select_identifiers(user, kind)]


def select_identifiers(user: User, kind: str) -> list[Entry]:
    """Return the identifiers of one type."""
    found = list_entries(user.get("user_identifier"))
    return [each for each in found if read_code(each, "id_type") == kind]


def list_entries(listed: object) -> list[Entry]:
    """Return the objects in a list; skip other values, and anything that is no list."""
    if not isinstance(listed, list):
        return []
    return [each for each in listed if isinstance(each, dict)]


def list_contacts(user: User, kind: str) -> list[Entry]:
    """Return the addresses, mail addresses or telephone numbers of a user."""
    contact = user.get("contact_info")
    if not isinstance(contact, Mapping):
        return []
    return list_entries(contact.get(kind))


def find_contact(user: User, field: str) -> Entry | None:
    """Return the entry that holds a borrower field: the preferred one, or else the first.

    A telephone number is of the field's type.
    """
    listed = list_contacts(user, CONTACTS[field][0])
    if kind := PHONE_TYPES.get(field):
        listed = [each for each in listed if kind in _codes(each.get("phone_type"))]
    preferred = [each for each in listed if each.get("preferred") is True]
    return next(iter([*preferred, *listed]), None)


def read_code(entry: Mapping[str, Any], name: str) -> str:
    """Return a code, which Alma writes as an object with a description."""
    value = entry.get(name)
    if not isinstance(value, Mapping):
        return ""
    return read_text(value, "value") or ""


def _codes(listed: object) -> list[str]:
    return [read_text(each, "value") or "" for each in list_entries(listed)]


def _fields(user: User) -> dict[str, str]:
    born = read_day(user.get("birth_date"))
    found = {BORN: born.isoformat() if born else None}
    for field, name in TEXTS.items():
        found[field] = read_text(user, name)
    for field, (_, name) in CONTACTS.items():
        found[field] = read_text(find_contact(user, field) or {}, name)
    return {field: value for field, value in found.items() if value}


def _card(user: User) -> str | None:
    """Return the barcode, the first active one of several."""
    barcodes = select_identifiers(user, BARCODE)
    in_use = [each for each in barcodes if (read_text(each, "status") or _ACTIVE) == _ACTIVE]
    for barcode in (*in_use, *barcodes):
        return read_text(barcode, "value")
    return None
