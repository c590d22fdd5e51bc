"""The patron object of Koha 23.05: its schema, and its search (docs/reference/koha.md#refusals)."""

import re
from collections.abc import Callable, Mapping
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
_KINDS: Mapping[str, type] = {
    **dict.fromkeys(_TEXTS, str),
    **dict.fromkeys(_DATES, str),
    **dict.fromkeys(_TRUTHS, bool),
    **dict.fromkeys(_COUNTS, int),
    "extended_attributes": list,
}
_NEVER_NULL = {"library_id", "category_id"}
_DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
_ATTRIBUTES = "extended_attributes."
_JUNCTIONS: Mapping[str, Callable[[list[bool]], bool]] = {"-and": all, "-or": any}
_COLUMNS = {"code": "type", "type": "type", "value": "value", "attribute": "value"}


def blank() -> dict[str, Any]:
    """Return a patron of whom nothing is known."""
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
    """Return the errors of a body under the API's schema, as Koha words them."""
    if not isinstance(body, Mapping):
        return [_error("Expected object - got null.", "/body")]
    errors = [_error("Missing property.", f"/body/{name}") for name in REQUIRED if name not in body]
    known = {*_KINDS, *_READ_ONLY}
    unknown = ", ".join(sorted(body.keys() - known))
    if unknown:
        errors.append(_error(f"Properties not allowed: {unknown}.", "/body"))
    errors.extend(_error("Read-only.", f"/body/{name}") for name in _READ_ONLY if name in body)
    for name in _KINDS:
        message = _misfit(name, body[name]) if name in body else ""
        if message:
            errors.append(_error(message, f"/body/{name}"))
    return errors


def _misfit(name: str, value: Any) -> str:
    kind = _KINDS[name]
    if value is None and name not in _NEVER_NULL:
        return ""
    if type(value) is not kind:
        return f"Expected {kind.__name__} - got {type(value).__name__}."
    if name in _DATES and not _DAY.fullmatch(str(value)):
        return "Does not match date format."
    return ""


def _error(message: str, path: str) -> dict[str, str]:
    return {"message": message, "path": path}


def shown(patron: Mapping[str, Any], *, embedded: bool, fresh: bool = False) -> dict[str, Any]:
    """Return a patron as the API does: attributes if embedded, dates with a time if ``fresh``."""
    answer = dict(patron)
    if not embedded:
        answer["extended_attributes"] = None
    for name in _DATES:
        if fresh and patron[name]:
            answer[name] = f"{patron[name]}T22:39:08"
    return answer


class Unanswerable(Exception):  # Koha answers 500 where it means 400
    """A query with an unknown column, an unknown operator, or attributes that are not embedded."""


def holds(query: Any, patron: Mapping[str, Any], *, embedded: bool) -> bool:
    """Return whether a patron meets a JSON query: an object is an "and", a list an "or"."""
    if isinstance(query, list):
        return any(holds(part, patron, embedded=embedded) for part in query)
    if not isinstance(query, Mapping):
        raise Unanswerable
    # Every condition is looked at: an unknown column is an error whatever the others say.
    results = []
    of_attributes = {}
    for name, test in query.items():
        if name.startswith(_ATTRIBUTES):
            of_attributes[name.removeprefix(_ATTRIBUTES)] = test
        elif name in _JUNCTIONS:
            parts = [holds(part, patron, embedded=embedded) for part in test]
            results.append(_JUNCTIONS[name](parts))
        else:
            results.append(_column(name.removeprefix("me."), test, patron))
    if of_attributes:
        results.append(_attribute(of_attributes, patron, embedded=embedded))
    return all(results)


def _column(name: str, test: Any, patron: Mapping[str, Any]) -> bool:
    if name not in patron:
        raise Unanswerable
    return _passes(test, patron[name])


def _attribute(wanted: Mapping[str, Any], patron: Mapping[str, Any], *, embedded: bool) -> bool:
    """Return whether an attribute of the patron passes all tests."""
    if not embedded or not wanted.keys() <= _COLUMNS.keys():
        raise Unanswerable
    for row in patron["extended_attributes"]:
        if all(_passes(test, row[_COLUMNS[name]]) for name, test in wanted.items()):
            return True
    return False


def _passes(test: Any, value: Any) -> bool:
    if isinstance(test, list):
        return any(_passes(part, value) for part in test)
    if isinstance(test, Mapping):
        return all(_operator(name, part, value) for name, part in test.items())
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
    """Compare by the kind that ``_match`` names; Koha's default is "contains"."""
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
    """Return whether a patron meets the plain query parameters; ``_name`` steers the search."""
    kind = parameters.get("_match", "contains")
    for name, wanted in parameters.items():
        if name.startswith("_") or name == "q":
            continue
        if not _compare(kind, wanted, patron.get(name)):
            return False
    return True
