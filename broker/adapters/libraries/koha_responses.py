"""What Koha answers, read into our own words; no text of Koha's goes on, for it quotes the CPR."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from broker.adapters.libraries.http_exchange import HttpAnswer
from broker.core.borrowers.borrower import Borrower
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.identity import cpr

# What a policy calls a field -> what Koha calls it. None of these can hold the person's key, the
# mark or the rights.
FIELDS: Mapping[str, str] = {
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
_NAMEABLE = frozenset(FIELDS.values()) | {
    "category_id",
    "library_id",
    "cardnumber",
    "userid",
    "expiry_date",
    "statistics_1",
    "statistics_2",
    "extended_attributes",
}
_SPELLED = re.compile(r"[0-9]{6}[- ]?[0-9]{4}")
_GIVEN = re.compile(r"Given (\w+) does not exist")
_ATTRIBUTE_TYPE = "Tried to use an invalid attribute type"
_TAKEN = (
    "Problem with ",
    "Your action breaks a unique constraint",
)  # library_systems.md 1.2: userid; unique attribute


def koha_name(field: str) -> str:
    """Give Koha's name of a policy's field; ``LibraryRefused`` where it has none."""
    if field not in FIELDS:
        raise LibraryRefused(f"Koha has no field for {field!r}")
    return FIELDS[field]


def day(text: object) -> date | None:
    """Read a date as GET gives it (2031-11-24) and as POST does (2031-11-24T22:39:08)."""
    try:
        return date.fromisoformat(text[:10]) if isinstance(text, str) else None
    except ValueError:
        return None


def borrower(
    patron: Any, mark_field: str, cpr_fields: Sequence[str] = (), kind: str = ""
) -> Borrower:
    """Read a patron object; ``LibraryUnavailable`` where it is none.

    Its CPR is that of one of ``cpr_fields`` or of the extended attribute ``kind``, where the answer
    brought any.
    """
    number = patron.get("patron_id") if isinstance(patron, Mapping) else None
    if (
        not isinstance(number, int)
        or isinstance(number, bool)
        or not isinstance(patron.get("category_id"), str)
    ):
        raise LibraryUnavailable("an answer that is no patron")
    given = {ours: patron.get(theirs) for ours, theirs in FIELDS.items()}
    return Borrower(
        number=str(number),
        category=patron["category_id"],
        expires=day(patron.get("expiry_date")),
        mark=patron.get(mark_field) or None,
        email=patron.get("email") or None,
        born=day(patron.get("date_of_birth")),
        cpr=number_of(patron, cpr_fields, kind),
        fields={ours: value for ours, value in given.items() if isinstance(value, str) and value},
    )


def attributes(patron: Mapping[str, Any], kind: str) -> list[str]:
    """Give the values of the extended attribute ``kind``, as far as the answer brought any."""
    found = patron.get("extended_attributes") or ()
    return [
        str(each.get("value"))
        for each in found
        if isinstance(each, Mapping) and kind and each.get("type") == kind
    ]


def number_of(patron: Mapping[str, Any], cpr_fields: Sequence[str], kind: str) -> str | None:
    """Give the real number that a patron carries, in ten digits; a replacement number is none (cpr.md)."""
    values = (*(str(patron.get(field) or "") for field in cpr_fields), *attributes(patron, kind))
    numbers = (
        value[:6] + value[-4:] for value in map(str.strip, values) if _SPELLED.fullmatch(value)
    )
    return next((each for each in numbers if cpr.birth_date(each) and each[0] not in "6789"), None)


def patrons(answer: HttpAnswer, asked: str) -> list[Mapping[str, Any]]:
    """Give the patron objects of a search; ``LibraryUnavailable`` where the answer is no list of them."""
    read = answer.json()
    if (
        answer.status != 200
        or not isinstance(read, list)
        or not all(isinstance(each, Mapping) for each in read)
    ):
        raise LibraryUnavailable(f"{asked}: {answer.status}, not a list of patrons")
    return read


def taken(answer: HttpAnswer) -> bool:
    """Say whether Koha refused a create because a unique value is someone's already (library_systems.md 1.2).

    The 409 for namesakes (newer Koha) names no ``conflict`` and is not meant: a namesake is another
    person.
    """
    read = answer.json()
    if not isinstance(read, Mapping):
        return False
    if answer.status == 409:
        return str(read.get("conflict", "")).rpartition(".")[2] in {"cardnumber", "userid"}
    return answer.status == 400 and str(read.get("error", "")).startswith(_TAKEN)


def proves(answer: HttpAnswer, number: str) -> bool:
    """Say whether a password was found right, and for this very patron: its user name may be another's card number."""
    read = answer.json()
    if answer.status == 201 and isinstance(read, Mapping):
        return str(read.get("patron_id")) == number
    if (
        answer.status == 400
        and isinstance(read, Mapping)
        and read.get("error") == "Validation failed"
    ):
        return False
    raise LibraryUnavailable(f"check_pin: {answer.status}")


def unpermitted(answer: HttpAnswer) -> str:
    """Name the right that a 403 misses, as far as it is one of Koha's module names."""
    read = answer.json()
    rights = read.get("required_permissions") if isinstance(read, Mapping) else None
    names = (
        [each for each in rights if re.fullmatch("[a-z_]{1,40}", str(each))]
        if isinstance(rights, Mapping)
        else []
    )
    return ", ".join(names) or "unnamed"


def refusal(answer: HttpAnswer, asked: str) -> LibraryRefused:
    """Give the error for a refusal: the status and the fields at fault, never Koha's text, which may quote the CPR."""
    fields = sorted({name for name in _fields(answer.json()) if name in _NAMEABLE})
    return LibraryRefused(
        f"{asked}: {answer.status}" + (f" for {', '.join(fields)}" if fields else "")
    )


def _fields(read: object) -> Iterable[str]:
    if not isinstance(read, Mapping):
        return
    error, errors = str(read.get("error", "")), read.get("errors")
    if given := _GIVEN.match(error):
        yield given[1]
    if error.startswith(_ATTRIBUTE_TYPE):
        yield "extended_attributes"
    for each in errors if isinstance(errors, list) else ():
        yield (
            str(each.get("path", "") if isinstance(each, Mapping) else "")
            .removeprefix("/body/")
            .partition("/")[0]
        )
