"""The patron object of Koha 23.05 and what its API says of a body that does not fit it (library_systems.md 1.2).

How the simulated Koha searches: its JSON queries and its plain parameters (library_systems.md 1.3).
"""

import re
from collections.abc import Mapping
from typing import Any

_TEXTS = (
    "cardnumber",
    "surname",
    "firstname",
    "middle_name",
    "title",
    "other_name",
    "initials",
    "pronouns",
    "street_number",
    "street_type",
    "address",
    "address2",
    "city",
    "state",
    "postal_code",
    "country",
    "email",
    "phone",
    "mobile",
    "fax",
    "secondary_email",
    "secondary_phone",
    "altaddress_street_number",
    "altaddress_street_type",
    "altaddress_address",
    "altaddress_address2",
    "altaddress_city",
    "altaddress_state",
    "altaddress_postal_code",
    "altaddress_country",
    "altaddress_email",
    "altaddress_phone",
    "library_id",
    "category_id",
    "staff_notes",
    "relationship_type",
    "gender",
    "userid",
    "opac_notes",
    "altaddress_notes",
    "statistics_1",
    "statistics_2",
    "altcontact_firstname",
    "altcontact_surname",
    "altcontact_address",
    "altcontact_address2",
    "altcontact_city",
    "altcontact_state",
    "altcontact_postal_code",
    "altcontact_country",
    "altcontact_phone",
    "sms_number",
    "check_previous_checkout",
    "lang",
    "overdrive_auth_token",
    "updated_on",
    "last_seen",
)
_DATES = ("date_of_birth", "date_enrolled", "expiry_date", "date_renewed")
_TRUTHS = (
    "incorrect_address",
    "patron_card_lost",
    "autorenew_checkouts",
    "privacy_guarantor_fines",
)
_COUNTS = (
    "patron_id",
    "sms_provider_id",
    "privacy",
    "privacy_guarantor_checkouts",
    "login_attempts",
)
_READ_ONLY = ("restricted", "anonymized")
REQUIRED = ("surname", "library_id", "category_id")
_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(_TEXTS, (str,)),
    **dict.fromkeys(_DATES, (str,)),
    **dict.fromkeys(_TRUTHS, (bool,)),
    **dict.fromkeys(_COUNTS, (int,)),
    "extended_attributes": (list,),
}
_NEVER_NULL = {"library_id", "category_id"}
_DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


def blank() -> dict[str, Any]:
    """Give a patron of whom nothing is known."""
    return {
        **dict.fromkeys(_KINDS),
        **dict.fromkeys(_TRUTHS, False),
        **dict.fromkeys(_READ_ONLY, False),
        "privacy": 1,
        "privacy_guarantor_checkouts": 0,
        "check_previous_checkout": "inherit",
        "lang": "default",
        "extended_attributes": [],
    }


def misfits(body: Any) -> list[dict[str, str]]:
    """Give what the API's schema refuses in a body, empty where nothing."""
    if not isinstance(body, Mapping):
        return [_error("Expected object - got null.", "/body")]
    found = [_error("Missing property.", f"/body/{name}") for name in REQUIRED if name not in body]
    unknown = sorted(body.keys() - _KINDS.keys() - set(_READ_ONLY))
    if unknown:
        found.append(_error(f"Properties not allowed: {', '.join(unknown)}.", "/body"))
    found += [_error("Read-only.", f"/body/{name}") for name in _READ_ONLY if name in body]
    return found + [each for name in _KINDS if name in body for each in _value(name, body[name])]


def _value(name: str, value: Any) -> list[dict[str, str]]:
    kind = _KINDS[name][0]
    if value is None and name not in _NEVER_NULL:
        return []
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return [_error(f"Expected {kind.__name__} - got {type(value).__name__}.", f"/body/{name}")]
    if name in _DATES and not _DAY.fullmatch(str(value)):
        return [_error("Does not match date format.", f"/body/{name}")]
    return []


def _error(message: str, path: str) -> dict[str, str]:
    return {"message": message, "path": path}


def shown(patron: Mapping[str, Any], *, embedded: bool, fresh: bool = False) -> dict[str, Any]:
    """Give a patron as the API shows it: attributes only when embedded, dates of a ``fresh`` one with a time."""
    answer = dict(patron)
    if not embedded:
        answer["extended_attributes"] = None
    if fresh:
        answer |= {name: f"{patron[name]}T22:39:08" for name in _DATES if patron[name]}
    return answer


_ATTRIBUTES = "extended_attributes."
_COLUMNS = {"code": "type", "type": "type", "value": "value", "attribute": "value"}


class Unanswerable(Exception):  # Koha answers 500 where it means 400
    """A query with an unknown column, an unknown operator, or attributes that are not embedded."""


def holds(query: Any, patron: Mapping[str, Any], *, embedded: bool) -> bool:
    """Say whether a JSON query holds of a patron: an object is an "and", a list an "or"."""
    if isinstance(query, list):
        return any(holds(each, patron, embedded=embedded) for each in query)
    if not isinstance(query, Mapping):
        raise Unanswerable
    wanted = {
        name.removeprefix(_ATTRIBUTES): test
        for name, test in query.items()
        if name.startswith(_ATTRIBUTES)
    }
    answers = [_attribute(wanted, patron, embedded=embedded)] if wanted else []
    for name, test in query.items():
        if name in {"-and", "-or"}:
            parts = [holds(each, patron, embedded=embedded) for each in test]
            answers.append(all(parts) if name == "-and" else any(parts))
        elif not name.startswith(_ATTRIBUTES):
            column = name.removeprefix("me.")
            if column not in patron:
                raise Unanswerable
            answers.append(_passes(test, patron[column]))
    return all(answers)


def _attribute(wanted: Mapping[str, Any], patron: Mapping[str, Any], *, embedded: bool) -> bool:
    if not embedded or not wanted.keys() <= _COLUMNS.keys():
        raise Unanswerable
    rows = patron["extended_attributes"]
    return any(
        all(_passes(test, row[_COLUMNS[name]]) for name, test in wanted.items()) for row in rows
    )


def _passes(test: Any, value: Any) -> bool:
    if isinstance(test, list):
        return any(_passes(each, value) for each in test)
    if isinstance(test, Mapping):
        return all(_operator(name, each, value) for name, each in test.items())
    if test is None or value is None:
        return test is value
    return _text(test) == _text(value)


def _operator(name: str, test: Any, value: Any) -> bool:
    if name == "=":
        return _passes(test, value)
    if name == "!=":
        return not _passes(test, value)
    if name in {"like", "-like"} and isinstance(test, str):
        return _compare("contains", test.strip("%"), value)
    raise Unanswerable


def _text(value: Any) -> str:
    return str(value).casefold()  # the database's collation tells no capitals apart


def _compare(kind: str, wanted: str, value: Any) -> bool:
    """Compare as ``_match`` says; without it Koha finds what merely contains the value."""
    if value is None:
        return False
    part, whole = _text(wanted), _text(value)
    tests = {
        "contains": part in whole,
        "exact": part == whole,
        "starts_with": whole.startswith(part),
        "ends_with": whole.endswith(part),
    }
    if kind not in tests:
        raise Unanswerable
    return tests[kind]


def parameters_hold(parameters: Mapping[str, str], patron: Mapping[str, Any]) -> bool:
    """Say whether the plain query parameters hold of a patron; those with an underscore first steer the search."""
    kind = parameters.get("_match", "contains")
    fields = {
        name: wanted
        for name, wanted in parameters.items()
        if not name.startswith("_") and name != "q"
    }
    return all(_compare(kind, wanted, patron.get(name)) for name, wanted in fields.items())
