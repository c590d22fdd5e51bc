"""User objects that are sent to Alma: a new one, or the one that was read, with changes.

A PUT replaces the whole user: entries that it lacks are deleted (docs/alma.md).
"""

import copy
import secrets
from datetime import date
from typing import Any, Final, TypeVar

from broker.adapters.library_systems.alma import alma_users
from broker.adapters.library_systems.alma.alma_settings import BARCODE, FIELDS, AlmaKeys
from broker.adapters.library_systems.alma.alma_users import User
from broker.adapters.library_systems.record_values import (
    find_real_cpr,
    read_day,
    read_text,
    spell_cpr,
)
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import LibraryRefused
from broker.core.policy.expiry import add_months

Draft = dict[str, Any]
_Part = TypeVar("_Part")

_EXTERNAL: Final = "EXTERNAL"
_INTERNAL: Final = "INTERNAL"
_PIN: Final = "pin_number"
# Fields of an external user that Alma keeps after staff edited them, unless the call names them.
_KEPT_UNLESS_NAMED: Final = frozenset({"pref_first_name", "pref_last_name"})
# Fields that are not sent back: those that only answers have, the PIN, and the roles. Alma keeps
# roles that are not sent, and may refuse old ones.
_NOT_SENT_BACK: Final = (
    "full_name",
    "link",
    "loans",
    "requests",
    "fees",
    "password",
    _PIN,
    "user_role",
)
# Parts of the old address that no policy writes; they go when a new first line comes.
_ADDRESS_REST: Final = (
    "line3",
    "line4",
    "line5",
    "state_province",
    "country",
    "address_note",
    "start_date",
    "end_date",
)
_DEMANDED: Final = ("address", "email", "phone")  # an entry without this field is refused
_CARD_DIGITS: Final = 13


def make_creation(wanted: WantedBorrower, mark: str, keys: AlmaKeys) -> Draft:
    """Return the user object of a new borrower.

    Raises LibraryRefused if a required value is missing.
    """
    if wanted.cpr is None:
        raise LibraryRefused("create: the request has no CPR number")
    number = spell_cpr(wanted.cpr)[0]
    draft: Draft = {
        "record_type": {"value": "PUBLIC"},
        "primary_id": f"{keys.series_prefix}{mark}",
        "account_type": {"value": _EXTERNAL},
        "external_id": keys.external_id,
        "status": {"value": "ACTIVE"},
        "user_group": {"value": wanted.category},
    }
    _set_expiry(draft, wanted.expires, keys)
    for field in wanted.fields:
        _set_field(draft, field.name, field.value, keys)
    if not draft.get("last_name"):
        raise LibraryRefused("create: the request has no surname")
    _set_identifier(draft, keys.cpr_identifier_type, number)
    card = number if keys.card_number == "cpr" else _make_card(int(mark, 16), keys)
    _set_identifier(draft, BARCODE, card)
    return _drop_incomplete(draft)


def copy_user(user: User) -> Draft:
    """Return the user without the fields that are not sent back."""
    draft = copy.deepcopy(dict(user))
    for name in _NOT_SENT_BACK:
        draft.pop(name, None)
    return draft


def apply_change(user: User, change: Change, keys: AlmaKeys) -> Draft:
    """Return the user with a change applied. Raises LibraryRefused if it has another CPR number."""
    draft = copy_user(user)
    _keep_pin(draft, user, keys)
    if dict(change.fields).get("address"):
        _clear_address(draft)
    for name, value in change.fields:
        _set_field(draft, name, value, keys)
    if change.category is not None:
        draft["user_group"] = {"value": change.category}
    if change.expires is not None:
        _set_expiry(draft, change.expires, keys)
    if change.cpr is not None:
        _identify(draft, change.cpr, keys)
    _give_card(draft, keys)
    return _drop_incomplete(draft)


def list_overridden(change: Change) -> list[str]:
    """Return the fields of a change that replace edits of staff, as its policy says."""
    names = {name for name, _ in change.fields} & _KEPT_UNLESS_NAMED
    if change.category is not None:
        names.add("user_group")
    return sorted(names)


def _make_card(seed: int, keys: AlmaKeys) -> str:
    digits = seed % 10**_CARD_DIGITS
    return f"{keys.series_prefix[0].upper()}{digits:0{_CARD_DIGITS}}"


def _keep_pin(draft: Draft, user: User, keys: AlmaKeys) -> None:
    """Send an internal user's PIN back, or make the user external: otherwise Alma deletes it.

    Alma keeps the PIN of an external user if none is sent (docs/alma.md).
    """
    if alma_users.read_code(user, "account_type") != _INTERNAL:
        return
    pin = read_text(user, _PIN)
    if pin is not None:
        draft[_PIN] = pin
        return
    draft["account_type"] = {"value": _EXTERNAL}
    draft["external_id"] = keys.external_id


def _clear_address(draft: Draft) -> None:
    """Remove the rest of the old address, of which a new street would be a part."""
    entry = alma_users.find_contact(draft, "address") or {}
    for name in _ADDRESS_REST:
        entry.pop(name, None)


def _set_expiry(draft: Draft, expires: date, keys: AlmaKeys) -> None:
    """Set the last day and a later purge date; keep a later purge date of staff."""
    draft["expiry_date"] = alma_users.write_day(expires)
    kept = read_day(draft.get("purge_date"))
    purge = add_months(expires, keys.purge_after_months)
    draft["purge_date"] = alma_users.write_day(max(purge, kept or purge))


def _set_field(draft: Draft, name: str, value: str, keys: AlmaKeys) -> None:
    if name not in FIELDS:
        raise LibraryRefused(f"Alma has no field {name!r}", f"field {name}")
    if name in alma_users.TEXTS:
        draft[alma_users.TEXTS[name]] = value
    elif name == alma_users.BORN:
        draft["birth_date"] = f"{value}Z" if value else None
    else:
        entry = alma_users.find_contact(draft, name) or _add_contact(draft, name, keys)
        entry[alma_users.CONTACTS[name][1]] = value


def _add_contact(draft: Draft, field: str, keys: AlmaKeys) -> Draft:
    """Add an entry for a borrower field to the contact information, and return it."""
    listed = alma_users.CONTACTS[field][0]
    present = _get_part(_get_part(draft, "contact_info", dict), listed, list)
    types = {"address": keys.address_type, "email": keys.email_type, **alma_users.PHONE_TYPES}
    entry: Draft = {
        "preferred": not present,
        f"{listed}_type": [{"value": types.get(field) or types[listed]}],
        "segment_type": _segment(draft),
    }
    present.append(entry)
    return entry


def _get_part(entry: Draft, name: str, kind: type[_Part]) -> _Part:
    """Return a part of an object; an empty one takes the place of another value."""
    found = entry.get(name)
    if not isinstance(found, kind):
        found = entry[name] = kind()
    return found


def _drop_incomplete(draft: Draft) -> Draft:
    """Drop entries that Alma refuses, such as an address without a line."""
    for listed, name in dict(alma_users.CONTACTS[each] for each in _DEMANDED).items():
        if present := alma_users.list_contacts(draft, listed):
            draft["contact_info"][listed] = [each for each in present if each.get(name)]
    return draft


def _identify(draft: Draft, cpr: str, keys: AlmaKeys) -> None:
    """Write the CPR number of a user that has no real one.

    Raises LibraryRefused if it has another.
    """
    written = spell_cpr(cpr)
    carried = [value.strip() for value in alma_users.list_cpr_values(draft, keys)]
    if any(find_real_cpr([value]) and value not in written for value in carried):
        raise LibraryRefused("change: the user carries another number")
    _set_identifier(draft, keys.cpr_identifier_type, written[0])
    if keys.card_number == "cpr":
        _set_identifier(draft, BARCODE, written[0])


def _give_card(draft: Draft, keys: AlmaKeys) -> None:
    """Give a user without a barcode a new one: a stolen card must not be valid again."""
    if alma_users.list_identifiers(draft, BARCODE):
        return
    number = find_real_cpr(alma_users.list_cpr_values(draft, keys))
    if number is None:
        return
    if keys.card_number == "system":
        number = _make_card(secrets.randbits(128), keys)
    _set_identifier(draft, BARCODE, number)


def _set_identifier(draft: Draft, kind: str, value: str) -> None:
    """Set the user's identifier of a type, and replace the present one.

    A barcode is added as the first one, so that existing cards stay valid.
    """
    present = _get_part(draft, "user_identifier", list)
    if value in alma_users.list_identifiers(draft, kind):
        return
    of_kind = alma_users.select_identifiers(draft, kind)
    if of_kind and kind != BARCODE:
        of_kind[0]["value"] = value
        return
    entry = {
        "segment_type": _segment(draft),
        "id_type": {"value": kind},
        "value": value,
        "status": "ACTIVE",
    }
    present.insert(0 if kind == BARCODE else len(present), entry)


def _segment(draft: Draft) -> str:
    """Return the segment of new entries: external users have one for the broker's entries."""
    external = alma_users.read_code(draft, "account_type") == _EXTERNAL
    return "External" if external else "Internal"
