"""Koha's patron objects: reading borrowers, and bodies of creates and changes."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from broker.adapters.http_exchange import HttpAnswer
from broker.adapters.library_systems.koha.koha_settings import FIELDS, KohaKeys
from broker.adapters.library_systems.record_values import (
    find_real_cpr,
    read_day,
    read_text,
    spell_cpr,
)
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import LibraryRefused, LibraryUnavailable

_TIME_OF_DAY: Final = re.compile(r"(?<=^\d{4}-\d\d-\d\d)t.*")
Patron = Mapping[str, Any]  # a patron object of the REST API

# A taken user name or unique attribute (docs/reference/koha.md#refusals).
_TAKEN: Final = ("Problem with ", "Your action breaks a unique constraint")
_UNIQUE_FIELDS: Final = frozenset({"cardnumber", "userid"})


def read_borrower(patron: Any, settings: KohaKeys) -> Borrower:
    """Read a patron object. Raises LibraryUnavailable if it is malformed.

    The CPR attribute is read before the other fields, because ten digits on a card may be another
    person's number. The first real number counts.
    """
    if not isinstance(patron, Mapping) or type(patron.get("patron_id")) is not int:
        raise LibraryUnavailable("an answer that is no patron")
    if not isinstance(patron.get("category_id"), str):
        raise LibraryUnavailable("an answer that is no patron")
    texts = ((field, read_text(patron, field)) for field in sorted(FIELDS))
    return Borrower(
        number=str(patron["patron_id"]),
        category=patron["category_id"],
        expires=read_day(patron.get("expiry_date")),
        mark=read_text(patron, settings.mark_field),
        email=read_text(patron, "email"),
        born=read_day(patron.get("date_of_birth")),
        cpr=find_real_cpr(list_values(patron, settings.cpr_fields, settings.cpr_attribute)),
        fields={field: text for field, text in texts if text},
        card=read_text(patron, "cardnumber"),
    )


def list_attributes(patron: Patron, kind: str) -> list[Mapping[str, Any]]:
    """Return the extended attributes of a type that the answer has."""
    brought = patron.get("extended_attributes") or []
    if not isinstance(brought, list):
        raise LibraryUnavailable("a patron whose extended_attributes are no list")
    objects = (attribute for attribute in brought if isinstance(attribute, Mapping))
    return [attribute for attribute in objects if kind and attribute.get("type") == kind]


def list_values(patron: Patron, fields: Sequence[str], kind: str) -> list[str]:
    """Return the values of the attributes of a type, then those of ``fields``, without spaces."""
    found = [str(attribute.get("value")) for attribute in list_attributes(patron, kind)]
    found += [read_text(patron, field) or "" for field in fields]
    return [value.strip() for value in found]


def is_taken(answer: HttpAnswer) -> bool:
    """Return whether Koha refused because a unique value is taken.

    Newer releases also answer 409 if a patron of the same name exists. That answer has no
    ``conflict``, and no value is taken.

    Source: docs/reference/koha.md#refusals.
    """
    fields = answer.fields()
    if answer.status == 409:
        conflict = str(fields.get("conflict", ""))
        return conflict.rpartition(".")[2] in _UNIQUE_FIELDS
    error = str(fields.get("error", ""))
    return answer.status == 400 and error.startswith(_TAKEN)


def make_creation(wanted: WantedBorrower, enrolment_id: str, settings: KohaKeys) -> dict[str, Any]:
    """Return the body that creates a borrower.

    Raises LibraryRefused if a required value is missing.
    """
    if wanted.cpr is None:
        raise LibraryRefused("create: the request has no CPR number")
    number = spell_cpr(wanted.cpr)[0]
    body = make_body(number, enrolment_id, wanted.category, wanted.expires, settings)
    for field in wanted.fields:
        body[_field(field.name)] = field.value
    if not body.get("surname"):
        raise LibraryRefused("create: the request has no surname")
    return body


def make_body(
    number: str, enrolment_id: str, category: str, expires: date, settings: KohaKeys
) -> dict[str, Any]:
    """Return the body of a create without the fields that policies write.

    ``number`` is written to the unique field, and also as card number if ``card_number`` is "cpr".
    """
    body: dict[str, Any] = {
        # Without a user name Koha makes one, which may be another patron's card number.
        "userid": enrolment_id,
        settings.unique_field: number,
        settings.mark_field: enrolment_id,
        "library_id": settings.library_id,
        "category_id": category,
        "expiry_date": expires.isoformat(),
    }
    if settings.card_number == "cpr":
        body["cardnumber"] = number
    if settings.cpr_attribute:
        body["extended_attributes"] = [{"type": settings.cpr_attribute, "value": number}]
    return body


def make_changes(patron: Patron, change: Change) -> dict[str, Any]:
    """Return the body of a PUT.

    Koha merges it, but needs three fields each time, which are sent as they are. Other fields are
    not sent: Koha refuses read-only ones, fails at attributes, and would store an old
    ``updated_on``.
    """
    body = select_required(patron)
    for name, value in change.fields:
        body[_field(name)] = value
    if change.category is not None:
        body["category_id"] = change.category
    if change.expires is not None:  # a new category does not change it
        body["expiry_date"] = change.expires.isoformat()
    return body


def select_required(patron: Patron) -> dict[str, Any]:
    """Return the fields that every PUT needs."""
    return {name: patron.get(name) for name in ("surname", "library_id", "category_id")}


def check_stored(patron: Mapping[str, Any], sent: Mapping[str, Any], operation: str) -> None:
    """Raise LibraryRefused if Koha's answer to a write has another value than was sent."""
    lost = [
        name
        for name, value in sent.items()
        if isinstance(value, str) and _normalize(patron.get(name)) != _normalize(value)
    ]
    if lost:
        raise LibraryRefused(f"{operation}: Koha did not store what was sent as {', '.join(lost)}")


def _normalize(value: object) -> str:
    """Normalize a value for comparison: Koha may trim it, change its case, or add a time."""
    text = "" if value is None else str(value)
    return _TIME_OF_DAY.sub("", text.strip().casefold())


def _field(name: str) -> str:
    if name not in FIELDS:
        raise LibraryRefused(f"Koha has no field {name!r}", f"field {name}")
    return name
