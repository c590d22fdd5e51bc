"""Alma's rules of a user object: mandatory fields, account types, code tables, password and PIN."""

import re
from collections.abc import Collection
from typing import Final

from tests.conformance.simulated_alma.administration import Administration
from tests.conformance.simulated_alma.refusals import Refused, general_error, invalid_type, missing
from tests.conformance.simulated_alma.user_object import SEGMENT, SEGMENTS, UserRow, segments

EXTERNAL: Final = "EXTERNAL"
_ACCOUNT_TYPES: Final = ("INTERNAL", EXTERNAL)
_MANDATORY: Final = ("record_type", "primary_id", "account_type")
_RECORD_TYPES: Final = frozenset({"PUBLIC", "STAFF", "CONTACT"})
_STATUSES: Final = frozenset({"ACTIVE", "INACTIVE"})
_FOUR_DIGITS: Final = re.compile(r"[0-9]{4}")
_SHORTEST_PASSWORD: Final = 8
# Lists of which nothing is published but the name, and tables that the library has left empty.
_NOT_KNOWN: Final = ("library_notice", "proxy_for_user", "rs_library")
# Lists whose entries have a type, and the field with the type.
_TYPED_LISTS: Final = {
    "identifier": ("user_identifier", "id_type"),
    "address": ("address", "address_type"),
    "email": ("email", "email_type"),
    "phone": ("phone", "phone_type"),
    "note": ("user_note", "note_type"),
    "block": ("user_block", "block_type"),
    "statistic": ("user_statistic", "statistic_category"),
}
_EMPTY_TABLES: Final = ("user_title", "job_category", "gender", "campus_code", "cataloger_level")


def check(row: UserRow, administration: Administration, general: str) -> None:
    """Refuse a user that breaks a rule; ``general`` is the code of the call's general error.

    Violations without a published code are a general error.

    Source: docs/alma.md#errors.
    """
    _check_mandatory(row, administration)
    _check_account(row, administration, general)
    if row["user_group"] and row["user_group"] not in administration.user_groups:
        raise Refused("401852", "Given user group is not legal.")
    _check_types(row, administration)
    if not _is_known(row, administration):
        raise general_error(general)


def add_defaults(row: UserRow) -> UserRow:
    """Return the row with Alma's own values of what it leaves open."""
    defaults = {"status": "ACTIVE", "preferred_language": "en"}
    filled = {name: row[name] or value for name, value in defaults.items()}
    return {**row, **filled}


def set_segments(row: UserRow) -> UserRow:
    """Return the row with its segments owned as its account type has them, and its password.

    An internal user's are all internal; an external user's without a legal segment type external.
    An external user has no password here.
    """
    is_external = row["account_type"] == EXTERNAL
    for segment in segments(row):
        if not is_external:
            segment[SEGMENT] = "Internal"
        elif segment[SEGMENT] not in SEGMENTS:
            segment[SEGMENT] = "External"
    if is_external:
        row["password"] = ""
    return row


def _check_mandatory(row: UserRow, administration: Administration) -> None:
    for name in (*_MANDATORY, *administration.mandatory_fields):
        if not row[name]:
            raise missing(name)
    for identifier in row["user_identifier"]:
        for name in ("id_type", "value"):
            if not identifier[name]:
                raise missing(name)


def _check_account(row: UserRow, administration: Administration, general: str) -> None:
    kind = row["account_type"]
    external_id = row["external_id"]
    if kind == "INTEXTAUTH":
        text = "The account type 'Internal with external authentication' is currently not"
        raise Refused("401855", f"{text} supported.")
    if kind not in _ACCOUNT_TYPES:
        text = "The given user account type is illegal (must be INTERNAL/EXTERNAL)."
        raise Refused("401857", text)
    if kind == EXTERNAL and not external_id:
        raise Refused("401854", "External Id must be given for external user.")
    if kind != EXTERNAL and external_id:
        raise Refused("401853", "External Id must be empty for internal user.")
    if external_id and external_id not in administration.external_systems:
        raise general_error(general)
    if kind != EXTERNAL and row["password"] and len(row["password"]) < _SHORTEST_PASSWORD:
        text = "New password must be at least 8 characters long and must not include the"
        raise Refused("500038", f"{text} user-name or any commonly used password.")


def _check_types(row: UserRow, administration: Administration) -> None:
    tables = {"identifier": administration.identifier_types, **administration.contact_types}
    for what, (listed, field) in _TYPED_LISTS.items():
        for code in _codes(row, listed, field):
            if code not in tables[what]:
                raise invalid_type(what, code)


def _codes(row: UserRow, name: str, field: str) -> Collection[str]:
    found: set[str] = set()
    for segment in row[name]:
        value = segment[field]
        if isinstance(value, str):
            value = (value,)
        found.update(value)
    return found


def _is_known(row: UserRow, administration: Administration) -> bool:
    """Return whether everything else about a user is something that the simulation knows."""
    if any(row[name] for name in (*_NOT_KNOWN, *_EMPTY_TABLES)):
        return False
    if row["pin_number"] and not _FOUR_DIGITS.fullmatch(row["pin_number"]):
        return False
    given: set[str] = set()
    for roles in administration.role_rules.values():
        given.update(roles)
    tables = (
        ({row["record_type"]}, _RECORD_TYPES),
        ({row["status"]}, _STATUSES),
        ({row["preferred_language"]}, administration.languages),
        (_codes(row, "address", "country"), {"", *administration.countries}),
        (_codes(row, "user_role", "role_type"), given),
    )
    return all(set(codes).issubset(table) for codes, table in tables)
