"""Koha's patron objects: read into borrowers, and written for creates and changes."""

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

# The user name is taken, or a unique attribute (docs/reference/koha.md#refusals).
_TAKEN: Final = ("Problem with ", "Your action breaks a unique constraint")
_UNIQUE_FIELDS: Final = frozenset({"cardnumber", "userid"})


def read_borrower(patron: Any, settings: KohaKeys) -> Borrower:
    """Read a patron object; LibraryUnavailable where it is none.

    The CPR number is the first real one. The attribute is made for it and goes first: ten digits of
    a card may be a stranger's number.
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
    """Return the text of a field, None where it is empty; LibraryUnavailable where it is none."""
    value = patron.get(field)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)  # a card number that Koha has just counted up
    raise LibraryUnavailable(f"a patron whose {field} is no text")


def list_attributes(patron: Patron, kind: str) -> list[Mapping[str, Any]]:
    """Return the extended attributes of the type ``kind``, as far as the answer brought any."""
    brought = patron.get("extended_attributes") or []
    if not isinstance(brought, list):
        raise LibraryUnavailable("a patron whose extended_attributes are no list")
    objects = (attribute for attribute in brought if isinstance(attribute, Mapping))
    return [attribute for attribute in objects if kind and attribute.get("type") == kind]


def list_number_values(patron: Patron, settings: KohaKeys) -> list[str]:
    """Return the values that stand where the CPR number of a patron stands."""
    found = list_attributes(patron, settings.cpr_attribute)
    fields = [str(patron.get(field) or "") for field in settings.cpr_fields]
    return [str(attribute.get("value")) for attribute in found] + fields


def read_patrons(answer: HttpAnswer, operation: str) -> list[Patron]:
    """Return the patron objects of a search; LibraryUnavailable where it is no list of them."""
    body = answer.json()
    if answer.status == 200 and _are_objects(body):
        return body
    raise koha_refusals.make_unavailable(answer, operation)


def is_taken(answer: HttpAnswer) -> bool:
    """Return whether Koha refused because a unique value is taken.

    The 409 for namesakes (newer Koha) names no ``conflict`` and is not meant: a namesake is another
    person.

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
    """Return the body of the POST that makes a borrower; LibraryRefused if something lacks.

    The CPR is the unique field, and with ``card_number`` "cpr" the card number.
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
    # A user name that Koha makes up may be somebody's card number.
    body.setdefault("userid", mark)
    body[settings.mark_field] = mark
    body["library_id"] = settings.library_id
    body["category_id"] = wanted.category
    body["expiry_date"] = wanted.expires.isoformat()
    return body


def list_number_fields(settings: KohaKeys) -> list[str]:
    """Return the fields of our borrowers that hold the CPR."""
    fields = {settings.unique_field}
    if settings.card_number == "cpr":
        fields.add("cardnumber")
    return sorted(fields)


def make_changes(patron: Patron, change: Change) -> dict[str, Any]:
    """Return the body of a PUT.

    Koha merges, but demands three fields each time; they go back as they are. Nothing else of the
    object does: read-only fields are refused, attributes are a 500, an old ``updated_on`` would be
    stored.
    """
    body = keep_demanded(patron)
    for name, value in change.fields:
        body[_field(name)] = value
    if change.category is not None:
        body["category_id"] = change.category
    if change.expires is not None:  # a new category does not move the expiry by itself
        body["expiry_date"] = change.expires.isoformat()
    return body


def keep_demanded(patron: Patron) -> dict[str, Any]:
    """Return the fields of a patron without which Koha takes no PUT."""
    return {name: patron.get(name) for name in ("surname", "library_id", "category_id")}


def _field(name: str) -> str:
    if name not in FIELDS:
        raise LibraryRefused(f"Koha has no field {name!r}", f"field {name}")
    return name
