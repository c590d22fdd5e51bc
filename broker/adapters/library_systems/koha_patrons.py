"""Koha's patron objects: reading borrowers, and bodies of creates and changes."""

from collections.abc import Mapping
from typing import Any, Final, TypeGuard

from broker.adapters.http_exchange import HttpAnswer
from broker.adapters.library_systems import koha_refusals
from broker.adapters.library_systems.koha_settings import FIELDS, KohaKeys
from broker.adapters.library_systems.record_values import find_real_cpr, read_day, spell_cpr
from broker.core.borrowers.borrower import Borrower
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import LibraryRefused, LibraryUnavailable

Patron = Mapping[str, Any]  # a patron object of the REST API

# A taken user name or unique attribute (docs/reference/koha.md#refusals).
_TAKEN: Final = ("Problem with ", "Your action breaks a unique constraint")
_UNIQUE_FIELDS: Final = frozenset({"cardnumber", "userid"})


def read_borrower(patron: Any, settings: KohaKeys) -> Borrower:
    """Read a patron object; LibraryUnavailable if it is malformed.

    The CPR number is the first real one, in the attribute first: ten digits of a card may be
    another person's number.
    """
    if not _is_patron(patron):
        raise LibraryUnavailable("an answer that is no patron")
    texts = ((field, read_text(patron, field)) for field in sorted(FIELDS))
    return Borrower(
        number=str(patron["patron_id"]),
        category=patron["category_id"],
        expires=read_day(patron.get("expiry_date")),
        mark=read_text(patron, settings.mark_field),
        email=read_text(patron, "email"),
        born=read_day(patron.get("date_of_birth")),
        cpr=find_real_cpr(list_number_values(patron, settings)),
        fields={field: text for field, text in texts if text},
        card=read_text(patron, "cardnumber"),
    )


def read_text(patron: Patron, field: str) -> str | None:
    """Return a text, None if it is empty; LibraryUnavailable for another type."""
    value = patron.get(field)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)  # a card number that Koha has just made
    raise LibraryUnavailable(f"a patron whose {field} is no text")


def list_attributes(patron: Patron, kind: str) -> list[Mapping[str, Any]]:
    """Return the extended attributes of a type that the answer has."""
    brought = patron.get("extended_attributes") or []
    if not isinstance(brought, list):
        raise LibraryUnavailable("a patron whose extended_attributes are no list")
    objects = (attribute for attribute in brought if isinstance(attribute, Mapping))
    return [attribute for attribute in objects if kind and attribute.get("type") == kind]


def list_number_values(patron: Patron, settings: KohaKeys) -> list[str]:
    """Return the values of all fields and attributes that may hold the CPR number."""
    found = list_attributes(patron, settings.cpr_attribute)
    fields = [str(patron.get(field) or "") for field in settings.cpr_fields]
    return [str(attribute.get("value")) for attribute in found] + fields


def read_patrons(answer: HttpAnswer, operation: str) -> list[Patron]:
    """Return the patron objects of a search; LibraryUnavailable for another answer."""
    body = answer.json()
    if answer.status == 200 and _are_objects(body):
        return body
    raise koha_refusals.make_unavailable(answer, operation)


def is_taken(answer: HttpAnswer) -> bool:
    """Return whether Koha refused because a unique value is taken.

    The 409 of newer releases for namesakes has no ``conflict`` and does not count.

    Source: docs/reference/koha.md#refusals.
    """
    fields = answer.fields()
    if answer.status == 409:
        conflict = str(fields.get("conflict", ""))
        return conflict.rpartition(".")[2] in _UNIQUE_FIELDS
    error = str(fields.get("error", ""))
    return answer.status == 400 and error.startswith(_TAKEN)


def _is_patron(body: object) -> TypeGuard[Patron]:
    if not isinstance(body, Mapping):
        return False
    if type(body.get("patron_id")) is not int:
        return False
    return isinstance(body.get("category_id"), str)


def _are_objects(body: object) -> TypeGuard[list[Patron]]:
    if not isinstance(body, list):
        return False
    return all(isinstance(element, Mapping) for element in body)


def make_creation(wanted: WantedBorrower, mark: str, settings: KohaKeys) -> dict[str, Any]:
    """Return the body that makes a borrower; LibraryRefused if a required value is missing.

    The CPR number is the unique field, and with ``card_number`` "cpr" the card number.
    """
    if wanted.cpr is None:
        raise LibraryRefused("create: the request has no CPR number")
    number = spell_cpr(wanted.cpr)[0]
    body: dict[str, Any] = {}
    for field in wanted.fields:
        body[_field(field.name)] = field.value
    if not body.get("surname"):
        raise LibraryRefused("create: the request has no surname")
    for name in list_number_fields(settings):
        body[name] = number
    if settings.cpr_attribute:
        attribute = {"type": settings.cpr_attribute, "value": number}
        body["extended_attributes"] = [attribute]
    # A user name that Koha makes may be another patron's card number.
    body.setdefault("userid", mark)
    body[settings.mark_field] = mark
    body["library_id"] = settings.library_id
    body["category_id"] = wanted.category
    body["expiry_date"] = wanted.expires.isoformat()
    return body


def list_number_fields(settings: KohaKeys) -> list[str]:
    """Return the fields in which new borrowers get the CPR number."""
    fields = {settings.unique_field}
    if settings.card_number == "cpr":
        fields.add("cardnumber")
    return sorted(fields)


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


def _field(name: str) -> str:
    if name not in FIELDS:
        raise LibraryRefused(f"Koha has no field {name!r}", f"field {name}")
    return name
