"""The patron object of Koha 23.05, and the schema of its API (docs/reference/koha.md#refusals)."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
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
_NEVER_NULL = frozenset(
    {
        "library_id",
        "category_id",
        "check_previous_checkout",
        "lang",
        "updated_on",
        "autorenew_checkouts",
        "privacy_guarantor_fines",
        "patron_id",
        "privacy",
        "privacy_guarantor_checkouts",
        "extended_attributes",
    }
)
_JSON_NAMES: Mapping[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
_DAY = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")
# The database silently truncates longer values.
_LONGEST: Mapping[str, int] = {"cardnumber": 32, "userid": 75}

PatronRow = dict[str, Any]


def blank() -> PatronRow:
    """Return a patron with default values only."""
    return {
        **dict.fromkeys(_KINDS),
        **dict.fromkeys(_TRUTHS, False),
        **dict.fromkeys(_READ_ONLY, False),
        "privacy": 1,
        "privacy_guarantor_checkouts": 0,
        "login_attempts": 0,
        "check_previous_checkout": "inherit",
        "lang": "default",
        "extended_attributes": [],
    }


def find_schema_errors(body: Any) -> list[dict[str, str]]:
    """Return the schema errors of a body, with Koha's messages."""
    if not isinstance(body, dict):
        return [schema_error(f"Expected object - got {json_name(body)}.", "/body")]
    errors = [
        schema_error("Missing property.", f"/body/{name}") for name in REQUIRED if name not in body
    ]
    unknown = ", ".join(sorted(body.keys() - _KINDS.keys()))
    if unknown:
        errors.append(schema_error(f"Properties not allowed: {unknown}.", "/body"))
    for name in _KINDS:
        message = _find_schema_error(name, body[name]) if name in body else ""
        if message:
            errors.append(schema_error(message, f"/body/{name}"))
    return errors


def _find_schema_error(name: str, value: Any) -> str:
    kind = _KINDS[name]
    if value is None and name not in _NEVER_NULL:
        return ""
    if kind is str and type(value) in {int, float}:  # Koha converts numbers to text
        return ""
    if type(value) is not kind:
        expected = _JSON_NAMES[kind]
        if name not in _NEVER_NULL:
            expected += "/null"
        return f"Expected {expected} - got {json_name(value)}."
    if name in _DATES:
        return "" if _DAY.fullmatch(str(value)) else "Does not match date format."
    return ""


def schema_error(message: str, path: str) -> dict[str, str]:
    """Return one error of a schema, as Koha writes it."""
    return {"message": message, "path": path}


def json_name(value: object) -> str:
    """Return the JSON Schema name of a value's type."""
    return _JSON_NAMES.get(type(value), "object")


def trim_texts(body: Mapping[str, Any]) -> PatronRow:
    """Return a body as Koha stores it: numbers as text, and texts stripped."""
    stored: PatronRow = {}
    for name, value in body.items():
        is_text = value is not None and _KINDS.get(name) is str
        stored[name] = str(value).strip() if is_text else value
    return stored


def cut_to_columns(row: PatronRow) -> PatronRow:
    """Return the row with texts truncated to the size of their columns."""
    cut = dict(row)
    for name, most in _LONGEST.items():
        if cut[name] is not None:
            cut[name] = cut[name][:most]
    return cut


def render_patron(
    patron: Mapping[str, Any], *, embedded: bool, made_now: Sequence[str] = ()
) -> PatronRow:
    """Return a patron as the API does, with attributes if ``embedded``.

    ``made_now`` are the dates that Koha has just set itself: the answer to a create shows them with
    a time.
    """
    answer = dict(patron)
    if not embedded:
        answer["extended_attributes"] = None
    now = datetime.now(UTC).strftime("%H:%M:%S")
    for name in made_now:
        answer[name] = f"{patron[name]}T{now}"
    return answer
