"""The patrons in Koha's answers, read into borrowers; a value of another type is no patron's."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, TypeGuard

from broker.adapters.http_exchange import HttpAnswer
from broker.adapters.library_systems import koha_refusals
from broker.adapters.library_systems.cpr_spellings import first_real
from broker.adapters.library_systems.koha_settings import FIELDS
from broker.core.borrowers.borrower import Bar, Borrower
from broker.core.errors import LibraryUnavailable

Patron = Mapping[str, Any]  # a patron object of the REST API

# The user name is taken, or a unique attribute (docs/reference/koha.md#refusals).
_TAKEN: Final = ("Problem with ", "Your action breaks a unique constraint")
_UNIQUE_FIELDS: Final = frozenset({"cardnumber", "userid"})
_BARS: Final[Mapping[str, Bar]] = {
    "restricted": Bar.RESTRICTED,
    "patron_card_lost": Bar.CARD_LOST,
    "incorrect_address": Bar.ADDRESS_UNKNOWN,
}


def day(text: object) -> date | None:
    """Read a date as GET writes it (2031-11-24) and as POST does (2031-11-24T22:39:08)."""
    if not isinstance(text, str):
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def borrower(
    patron: Any, mark_field: str, cpr_fields: Sequence[str] = (), kind: str = ""
) -> Borrower:
    """Read a patron object; LibraryUnavailable where it is none.

    Its CPR is that of the extended attribute ``kind``, where the answer brought any, or of one of
    ``cpr_fields``.
    """
    if not _is_patron(patron):
        raise LibraryUnavailable("an answer that is no patron")
    fields = {}
    for field in sorted(FIELDS):
        value = text_of(patron, field)
        if value:
            fields[field] = value
    expires = day(patron.get("expiry_date"))
    return Borrower(
        number=str(patron["patron_id"]),
        category=patron["category_id"],
        expires=expires,
        mark=text_of(patron, mark_field),
        email=text_of(patron, "email"),
        born=day(patron.get("date_of_birth")),
        cpr=number_of(patron, cpr_fields, kind),
        fields=fields,
        card=text_of(patron, "cardnumber"),
        bars=_bars(patron, expires),
    )


def text_of(patron: Patron, field: str) -> str | None:
    """Return the text of a field, None where it is empty; LibraryUnavailable where it is none."""
    value = patron.get(field)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)  # a card number that Koha has just counted up
    raise LibraryUnavailable(f"a patron whose {field} is no text")


def _bars(patron: Patron, expires: date | None) -> frozenset[Bar]:
    bars = set()
    for field, bar in _BARS.items():
        if patron.get(field) is True:
            bars.add(bar)
    today = datetime.now(UTC).date()
    if expires and expires < today:
        bars.add(Bar.EXPIRED)
    return frozenset(bars)


def attributes(patron: Patron, kind: str) -> list[str]:
    """Return the values of the extended attribute ``kind``, as far as the answer brought any."""
    if not kind:
        return []
    brought = patron.get("extended_attributes") or []
    if not isinstance(brought, list):
        raise LibraryUnavailable("a patron whose extended_attributes are no list")
    objects = [attribute for attribute in brought if isinstance(attribute, Mapping)]
    of_kind = [attribute for attribute in objects if attribute.get("type") == kind]
    return [str(attribute.get("value")) for attribute in of_kind]


def number_of(patron: Patron, cpr_fields: Sequence[str], kind: str) -> str | None:
    """Return the real CPR that a patron carries, ten digits.

    The attribute is made for it and goes first: ten digits of a card may be a stranger's number.
    """
    return first_real(number_values(patron, cpr_fields, kind))


def number_values(patron: Patron, cpr_fields: Sequence[str], kind: str) -> list[str]:
    """Return the values that stand where the CPR number of a patron stands."""
    fields = [str(patron.get(field) or "") for field in cpr_fields]
    return attributes(patron, kind) + fields


def patrons(answer: HttpAnswer, operation: str) -> list[Patron]:
    """Return the patron objects of a search; LibraryUnavailable where it is no list of them."""
    body = answer.json()
    if answer.status == 200 and _are_objects(body):
        return body
    raise koha_refusals.unavailable(answer, operation)


def taken(answer: HttpAnswer) -> bool:
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
