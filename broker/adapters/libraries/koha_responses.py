"""What Koha answers, read into our own words; no text of Koha's goes on, for it quotes the CPR."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, TypeGuard

from broker.adapters.libraries.http_exchange import HttpAnswer
from broker.core.borrowers.borrower import Borrower
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.identity import cpr

Patron = Mapping[str, Any]  # a patron object of the REST API

# What a policy calls a field -> what Koha calls it. None of these can hold the person's key, the
# mark or the rights.
FIELDS: Final[Mapping[str, str]] = {
    "surname": "surname",
    "firstname": "firstname",
    "middle_name": "middle_name",
    "title": "title",
    "email": "email",
    "phone": "phone",
    "mobile": "mobile",
    "address": "address",
    "address2": "address2",
    "postal_code": "postal_code",
    "city": "city",
    "country": "country",
    "date_of_birth": "date_of_birth",
}
_NAMEABLE: Final = frozenset(FIELDS.values()) | {
    "category_id",
    "library_id",
    "cardnumber",
    "userid",
    "expiry_date",
    "statistics_1",
    "statistics_2",
    "extended_attributes",
}
_CPR_SHAPED: Final = re.compile(r"[0-9]{6}[- ]?[0-9]{4}")
_MODULE: Final = re.compile("[a-z_]{1,40}")
_GIVEN: Final = re.compile(r"Given (\w+) does not exist")
_ATTRIBUTE_TYPE: Final = "Tried to use an invalid attribute type"
# The user name is taken, or a unique attribute (docs/reference/koha.md#refusals).
_TAKEN: Final = ("Problem with ", "Your action breaks a unique constraint")
_UNIQUE_FIELDS: Final = frozenset({"cardnumber", "userid"})
# The first digit of a replacement number's day is 6 or more (docs/reference/cpr.md#format).
_REPLACEMENT: Final = "6789"


def koha_name(field: str) -> str:
    """Return Koha's name of a policy's field; LibraryRefused where it has none."""
    if field not in FIELDS:
        raise LibraryRefused(f"Koha has no field for {field!r}")
    return FIELDS[field]


def day(text: object) -> date | None:
    """Read a date as GET writes it (2031-11-24) and as POST does (2031-11-24T22:39:08)."""
    if not isinstance(text, str):
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def borrower(
    patron: Any,
    mark_field: str,
    cpr_fields: Sequence[str] = (),
    kind: str = "",
) -> Borrower:
    """Read a patron object; LibraryUnavailable where it is none.

    Its CPR is that of one of ``cpr_fields`` or of the extended attribute ``kind``, where the answer
    brought any.
    """
    if not _is_patron(patron):
        raise LibraryUnavailable("an answer that is no patron")
    fields = {}
    for policy_field, koha_field in FIELDS.items():
        value = patron.get(koha_field)
        if isinstance(value, str) and value:
            fields[policy_field] = value
    return Borrower(
        number=str(patron["patron_id"]),
        category=patron["category_id"],
        expires=day(patron.get("expiry_date")),
        mark=patron.get(mark_field) or None,
        email=patron.get("email") or None,
        born=day(patron.get("date_of_birth")),
        cpr=number_of(patron, cpr_fields, kind),
        fields=fields,
        card=patron.get("cardnumber") or None,
    )


def attributes(patron: Patron, kind: str) -> list[str]:
    """Return the values of the extended attribute ``kind``, as far as the answer brought any."""
    if not kind:
        return []
    brought = patron.get("extended_attributes") or ()
    objects = [attribute for attribute in brought if isinstance(attribute, Mapping)]
    of_kind = [attribute for attribute in objects if attribute.get("type") == kind]
    return [str(attribute.get("value")) for attribute in of_kind]


def number_of(patron: Patron, cpr_fields: Sequence[str], kind: str) -> str | None:
    """Return the real CPR that a patron carries, ten digits; a replacement is none.

    Source: docs/reference/cpr.md#format.
    """
    values = [str(patron.get(field) or "") for field in cpr_fields]
    values += attributes(patron, kind)
    for value in values:
        written = value.strip()
        if not _CPR_SHAPED.fullmatch(written):
            continue
        number = written[:6] + written[-4:]
        if cpr.birth_date(number) and number[0] not in _REPLACEMENT:
            return number
    return None


def patrons(answer: HttpAnswer, operation: str) -> list[Patron]:
    """Return the patron objects of a search; LibraryUnavailable where it is no list of them."""
    body = answer.json()
    if answer.status != 200 or not _are_objects(body):
        raise LibraryUnavailable(f"{operation}: {answer.status}, not a list of patrons")
    return body


def taken(answer: HttpAnswer) -> bool:
    """Return whether Koha refused because a unique value is taken.

    The 409 for namesakes (newer Koha) names no ``conflict`` and is not meant: a namesake is another
    person.

    Source: docs/reference/koha.md#refusals.
    """
    body = answer.json()
    if not isinstance(body, Mapping):
        return False
    if answer.status == 409:
        conflict = str(body.get("conflict", ""))
        return conflict.rpartition(".")[2] in _UNIQUE_FIELDS
    error = str(body.get("error", ""))
    return answer.status == 400 and error.startswith(_TAKEN)


def proves(answer: HttpAnswer, number: str) -> bool:
    """Return whether a password was found right, and is this very patron's.

    A user name may be another patron's card number. LibraryUnavailable for any other answer.
    """
    body = answer.json()
    if isinstance(body, Mapping):
        if answer.status == 201:
            return str(body.get("patron_id")) == number
        if answer.status == 400 and body.get("error") == "Validation failed":
            return False
    raise LibraryUnavailable(f"check_pin: {answer.status}")


def unpermitted(answer: HttpAnswer) -> str:
    """Name the right that a 403 misses, as far as it is one of Koha's module names."""
    body = answer.json()
    names: list[str] = []
    if isinstance(body, Mapping):
        rights = body.get("required_permissions")
        if isinstance(rights, Mapping):
            names = [right for right in rights if _MODULE.fullmatch(str(right))]
    return ", ".join(names) or "unnamed"


def refusal(answer: HttpAnswer, operation: str) -> LibraryRefused:
    """Return the error for a refusal, with the status and the fields at fault.

    Koha's own text is left out, for it may quote the CPR.
    """
    at_fault = _fields_at_fault(answer.json())
    fields = sorted(_NAMEABLE.intersection(at_fault))
    reason = f"{operation}: {answer.status}"
    if fields:
        reason = f"{reason} for {', '.join(fields)}"
    return LibraryRefused(reason)


def _is_patron(body: object) -> TypeGuard[Patron]:
    if not isinstance(body, Mapping):
        return False
    number = body.get("patron_id")
    if not isinstance(number, int) or isinstance(number, bool):
        return False
    return isinstance(body.get("category_id"), str)


def _are_objects(body: object) -> TypeGuard[list[Patron]]:
    if not isinstance(body, list):
        return False
    return all(isinstance(element, Mapping) for element in body)


def _fields_at_fault(body: object) -> Iterator[str]:
    if not isinstance(body, Mapping):
        return
    error = str(body.get("error", ""))
    if given := _GIVEN.match(error):
        yield given[1]
    if error.startswith(_ATTRIBUTE_TYPE):
        yield "extended_attributes"
    errors = body.get("errors")
    if not isinstance(errors, list):
        return
    for schema_error in errors:
        if isinstance(schema_error, Mapping):
            path = str(schema_error.get("path", ""))
            yield path.removeprefix("/body/").partition("/")[0]
