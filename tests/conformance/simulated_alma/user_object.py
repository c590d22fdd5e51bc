"""The user object of Alma's users API: how it is read and shown."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from tests.conformance.simulated_alma.refusals import not_understood

UserRow = dict[str, Any]

_LONGEST: Final = 255
_DAY: Final = re.compile(r"(\d{4}-\d\d-\d\dZ)?")
SEGMENT: Final = "segment_type"
FIELDS: Final = (
    "primary_id",
    "first_name",
    "last_name",
    "pref_first_name",
    "pref_last_name",
    "birth_date",
    "expiry_date",
    "purge_date",
    "user_group",
    "status",
    "record_type",
    "account_type",
    "external_id",
    "job_description",
    "pin_number",
    "password",
)
_MADE: Final = ("created_by", "created_date", SEGMENT)
LISTS: Final[Mapping[str, Collection[str]]] = {
    "user_identifier": ("id_type", "value", "note", "status", SEGMENT),
    "user_role": ("status", "scope", "role_type", "expiry_date", "parameter"),
    "user_block": ("block_type", "block_description", "block_status", "block_note", *_MADE),
    "user_note": ("note_type", "note_text", "user_viewable", "popup_note", *_MADE),
}
_LINES: Final = ("line1", "line2", "line3", "line4", "line5", "city", "state_province", "postal_code", "country")
CONTACTS: Final[Mapping[str, Collection[str]]] = {
    "address": (*_LINES, "address_note", "start_date", "end_date", "preferred", "address_type", SEGMENT),
    "email": ("email_address", "description", "preferred", "email_type", SEGMENT),
    "phone": ("phone_number", "preferred", "preferred_sms", "phone_type", SEGMENT),
}
# The fields that are codes, which the API shows with a description.
_CODES: Final = frozenset(
    {
        "user_group",
        "record_type",
        "account_type",
        "id_type",
        "role_type",
        "block_type",
        "note_type",
        "address_type",
        "email_type",
        "phone_type",
        "country",
    }
)
# Alma makes these, and leaves them out of what is sent back.
_OUTPUT: Final = frozenset({"full_name", "link", "requests", "loans", "fees"})
_SECRET: Final = frozenset({"pin_number", "password"})


def read_user(body: Any) -> UserRow:
    """Return the user object of a request, codes as texts; 401676 for whatever it may not hold."""
    members = _members(body, {*FIELDS, *LISTS, "contact_info", *_OUTPUT})
    contacts = _members(members.get("contact_info") or {}, CONTACTS)
    row: UserRow = {name: _read(name, members.get(name)) for name in FIELDS}
    for listed, names in (*LISTS.items(), *CONTACTS.items()):
        sent = (contacts if listed in CONTACTS else members).get(listed) or []
        entries = [_members(entry, names) for entry in sent]
        row[listed] = [{name: _read(name, entry.get(name)) for name in names} for entry in entries]
    return row


def show_user(row: UserRow, link: str) -> UserRow:
    """Return a user as the API shows it: without PIN, with an empty password."""
    shown = {name: _write(name, row[name]) for name in FIELDS if name not in _SECRET and row[name]}
    for listed in (*LISTS, *CONTACTS):
        entries = [{name: _write(name, value) for name, value in entry.items()} for entry in row[listed]]
        (shown.setdefault("contact_info", {}) if listed in CONTACTS else shown)[listed] = entries
    return shown | {"full_name": full_name(row), "password": "", "link": link, "requests": None}


def full_name(row: UserRow) -> str:
    """Return the name that Alma makes of first and last name."""
    return f"{row['first_name']} {row['last_name']}".strip()


def _members(value: Any, known: Collection[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not value.keys() <= set(known):
        raise not_understood()
    return value


def _read(name: str, value: Any) -> Any:
    """Return the value of a field: a text, a truth or the texts of codes; "" for none."""
    if isinstance(value, list):
        return tuple(_read(name, code) for code in value)
    if isinstance(value, dict):
        value = _members(value, ("value", "desc")).get("value")
    if value is None or isinstance(value, bool):
        return value or ""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise not_understood()
    if name.endswith("_date") and name != "created_date" and not _DAY.fullmatch(value):
        raise not_understood()
    return value


def _write(name: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return [_write(name, code) for code in value]
    if name in _CODES:
        return {"value": value, "desc": value.capitalize()}
    return (value or None) if name.endswith("_date") else value
