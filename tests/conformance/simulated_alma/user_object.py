"""The user object of Alma's users API: what it may hold, how it is read and shown."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from enum import Enum, auto
from typing import Any, Final

from tests.conformance.simulated_alma.administration import Administration, CodeTable
from tests.conformance.simulated_alma.refusals import not_understood

UserRow = dict[str, Any]

_LONGEST: Final = 255
_ZONED_DAY: Final = re.compile(r"(\d{4}-\d\d-\d\d)Z")
SEGMENT: Final = "segment_type"
SEGMENTS: Final = ("Internal", "External")


class Kind(Enum):
    """The kinds of values: a text, a code with its description, a day, a truth, a list of codes."""

    TEXT = auto()
    CODE = auto()
    DAY = auto()
    TRUTH = auto()
    CODES = auto()


Shape = Mapping[str, Kind]

_SEGMENTED: Final[Shape] = {SEGMENT: Kind.TEXT}
_MADE: Final[Shape] = {"created_by": Kind.TEXT, "created_date": Kind.TEXT}
SCALARS: Final[Shape] = {
    **dict.fromkeys(
        (
            "primary_id",
            "first_name",
            "middle_name",
            "last_name",
            "pref_first_name",
            "pref_middle_name",
            "pref_last_name",
            "pin_number",
            "job_description",
            "web_site_url",
            "external_id",
            "password",
            "force_password_change",
        ),
        Kind.TEXT,
    ),
    **dict.fromkeys(
        (
            "record_type",
            "account_type",
            "user_group",
            "status",
            "user_title",
            "job_category",
            "gender",
            "campus_code",
            "cataloger_level",
            "preferred_language",
        ),
        Kind.CODE,
    ),
    **dict.fromkeys(("birth_date", "expiry_date", "purge_date"), Kind.DAY),
}
LISTS: Final[Mapping[str, Shape]] = {
    "user_identifier": {"id_type": Kind.CODE, "value": Kind.TEXT, "note": Kind.TEXT, "status": Kind.TEXT, **_SEGMENTED},
    "user_role": {
        "status": Kind.CODE,
        "scope": Kind.CODE,
        "role_type": Kind.CODE,
        "expiry_date": Kind.DAY,
        "parameter": Kind.CODES,
    },
    "user_block": {
        "block_type": Kind.CODE,
        "block_description": Kind.CODE,
        "block_status": Kind.TEXT,
        "block_note": Kind.TEXT,
        **_MADE,
        **_SEGMENTED,
    },
    "user_note": {
        "note_type": Kind.CODE,
        "note_text": Kind.TEXT,
        "user_viewable": Kind.TRUTH,
        "popup_note": Kind.TRUTH,
        **_MADE,
        **_SEGMENTED,
    },
    "user_statistic": {
        "statistic_category": Kind.CODE,
        "category_type": Kind.CODE,
        "statistic_note": Kind.TEXT,
        **_SEGMENTED,
    },
    "proxy_for_user": {"primary_id": Kind.TEXT, "full_name": Kind.TEXT},
    "rs_library": {"code": Kind.CODE},
    "library_notice": {},
}
CONTACTS: Final[Mapping[str, Shape]] = {
    "address": {
        **dict.fromkeys(
            ("line1", "line2", "line3", "line4", "line5", "city", "state_province", "postal_code", "address_note"),
            Kind.TEXT,
        ),
        "country": Kind.CODE,
        "start_date": Kind.DAY,
        "end_date": Kind.DAY,
        "preferred": Kind.TRUTH,
        "address_type": Kind.CODES,
        **_SEGMENTED,
    },
    "email": {
        "email_address": Kind.TEXT,
        "description": Kind.TEXT,
        "preferred": Kind.TRUTH,
        "email_type": Kind.CODES,
        **_SEGMENTED,
    },
    "phone": {
        "phone_number": Kind.TEXT,
        "preferred": Kind.TRUTH,
        "preferred_sms": Kind.TRUTH,
        "phone_type": Kind.CODES,
        **_SEGMENTED,
    },
}
# Sent back as they came, they are left out: Alma makes them.
_OUTPUT: Final = frozenset({"full_name", "link", "requests", "loans", "fees"})
_SECRET: Final = frozenset({"pin_number", "password"})


def read_user(body: Any) -> UserRow:
    """Return the user object of a request; 401676 for whatever it may not hold."""
    members = _members(body, {*SCALARS, *LISTS, "contact_info", *_OUTPUT})
    contacts = _members(members.get("contact_info") or {}, CONTACTS.keys())
    row = {name: _read(kind, members.get(name)) for name, kind in SCALARS.items()}
    row |= {name: _list_rows(members.get(name), shape) for name, shape in LISTS.items()}
    row |= {name: _list_rows(contacts.get(name), shape) for name, shape in CONTACTS.items()}
    return row


def segments(row: UserRow) -> list[UserRow]:
    """Return all parts of a user that staff or a system outside may own."""
    shapes = {**LISTS, **CONTACTS}
    owned = [name for name, shape in shapes.items() if SEGMENT in shape]
    return [segment for name in owned for segment in row[name]]


def show_user(row: UserRow, administration: Administration, link: str) -> UserRow:
    """Return a user as the API shows it: with an empty password, codes described.

    The PIN is shown only where ``administration`` has it so: clients do not agree on it.
    """
    tables = _tables(administration)
    hidden = set(_SECRET)
    if administration.shows_pin and row["pin_number"]:
        hidden.remove("pin_number")
    answer = {
        name: _write_value(kind, row[name], tables.get(name, {}))
        for name, kind in SCALARS.items()
        if name not in hidden and (row[name] or kind is not Kind.DAY)
    }
    answer |= {name: _write_list(row[name], LISTS[name], tables) for name in LISTS}
    answer["contact_info"] = {name: _write_list(row[name], CONTACTS[name], tables) for name in CONTACTS}
    return answer | {
        "full_name": full_name(row),
        "password": "",
        "link": link,
        "requests": None,
        "loans": None,
        "fees": None,
    }


def brief(row: UserRow, link: str) -> UserRow:
    """Return a user as a list of users has it."""
    return {
        "primary_id": row["primary_id"],
        "first_name": row["first_name"],
        "last_name": row["last_name"],
        "status": {"value": row["status"], "desc": row["status"].capitalize()},
        "link": link,
    }


def full_name(row: UserRow) -> str:
    """Return the name that Alma makes of first, middle and last name."""
    names = (row["first_name"], row["middle_name"], row["last_name"])
    return " ".join(name for name in names if name)


def _members(value: Any, known: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not value.keys() <= set(known):
        raise not_understood()
    return value


def _list_rows(value: Any, shape: Shape) -> list[UserRow]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise not_understood()
    rows = [_members(one, shape.keys()) for one in value]
    return [{name: _read(kind, row.get(name)) for name, kind in shape.items()} for row in rows]


def _read(kind: Kind, value: Any) -> Any:
    readers: Mapping[Kind, Callable[[Any], Any]] = {
        Kind.TEXT: _text,
        Kind.CODE: _code,
        Kind.DAY: _day,
        Kind.TRUTH: _truth,
        Kind.CODES: _codes,
    }
    return readers[kind](value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise not_understood()
    return value


def _code(value: Any) -> str:
    if value is None:
        return ""
    return _text(_members(value, ("value", "desc")).get("value"))


def _codes(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise not_understood()
    return tuple(map(_code, value))


def _truth(value: Any) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise not_understood()
    return value


def _day(value: Any) -> str:
    text = _text(value)
    if not text:
        return ""
    found = _ZONED_DAY.fullmatch(text)
    try:
        date.fromisoformat(found[1] if found else "")
    except ValueError:
        raise not_understood() from None
    return text


def _tables(administration: Administration) -> Mapping[str, CodeTable]:
    contact_types = administration.contact_types
    return {
        "user_group": administration.user_groups,
        "id_type": administration.identifier_types,
        "preferred_language": administration.languages,
        "country": administration.countries,
        "role_type": {"200": "Patron"},
        **{f"{name}_type": table for name, table in contact_types.items()},
    }


def _write_value(kind: Kind, value: Any, table: CodeTable) -> Any:
    if kind is Kind.CODE:
        return {"value": value, "desc": table.get(value, value.capitalize())}
    if kind is Kind.CODES:
        return [_write_value(Kind.CODE, one, table) for one in value]
    if kind is Kind.DAY:
        return value or None
    return value


def _write_list(rows: Sequence[UserRow], shape: Shape, tables: Mapping[str, CodeTable]) -> list[UserRow]:
    return [{name: _write_value(kind, row[name], tables.get(name, {})) for name, kind in shape.items()} for row in rows]
