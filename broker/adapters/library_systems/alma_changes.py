"""The whole user that is sent to Alma: a new one, or the one that was read with its changes.

A PUT swaps everything: what is left out of a list is gone (docs/alma.md).
"""

import copy
import secrets
from datetime import date
from typing import Any, Final

from broker.adapters.library_systems import alma_users
from broker.adapters.library_systems.alma_settings import BARCODE, FIELDS, AlmaKeys
from broker.adapters.library_systems.alma_users import User
from broker.adapters.library_systems.record_values import find_real_cpr, read_day, spell_cpr
from broker.core.borrowers.change_plan import Change
from broker.core.borrowers.wanted_borrower import WantedBorrower
from broker.core.errors import LibraryRefused
from broker.core.policy.expiry import add_months

Draft = dict[str, Any]

_EXTERNAL: Final = "EXTERNAL"
_OF_THE_DESK: Final = "INTERNAL"
_PIN: Final = "pin_number"
# What Alma keeps for an external user once staff have edited it, unless it is named.
_KEPT_UNLESS_NAMED: Final = frozenset({"pref_first_name", "pref_last_name"})
# Not sent back: what only an answer has, a PIN that nobody asked for, and the roles, which Alma
# keeps where none come, while old ones may lack what it demands of them by now.
_NOT_ECHOED: Final = (
    "full_name",
    "link",
    "loans",
    "requests",
    "fees",
    "password",
    _PIN,
    "user_role",
)
# What belongs to the place that a new first line replaces, and that no policy writes.
_OF_THE_PLACE: Final = (
    "line3",
    "line4",
    "line5",
    "state_province",
    "country",
    "address_note",
    "start_date",
    "end_date",
)
_CARD_DIGITS: Final = 13


def make_creation(wanted: WantedBorrower, mark: str, keys: AlmaKeys) -> Draft:
    """Return the user that makes a borrower; LibraryRefused where the request lacks something."""
    if wanted.cpr is None:
        raise LibraryRefused("create: the request has no CPR number")
    number = spell_cpr(wanted.cpr)[0]
    draft: Draft = {
        "record_type": {"value": "PUBLIC"},
        "primary_id": make_series_number(mark, keys),
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
    _set_identifier(draft, BARCODE, _card_number(number, mark, keys))
    return _whole(draft)


def copy_user(user: User) -> Draft:
    """Return the user as it goes back, with what Alma writes itself left out."""
    draft = copy.deepcopy(dict(user))
    for name in _NOT_ECHOED:
        draft.pop(name, None)
    return draft


def make_changed(user: User, change: Change, keys: AlmaKeys) -> Draft:
    """Return the user that was read with a change made to it.

    LibraryRefused where it carries another CPR number than the one of the change.
    """
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
    return _whole(draft)


def list_overridden(change: Change) -> list[str]:
    """Return the fields that a change writes over what staff have edited.

    Only those that the change names: its policy says so.
    """
    names = {name for name, _ in change.fields} & _KEPT_UNLESS_NAMED
    if change.category is not None:
        names.add("user_group")
    return sorted(names)


def make_series_number(mark: str, keys: AlmaKeys) -> str:
    """Return the number of our series under which an enrolment makes its borrower."""
    return f"{keys.series_prefix}{mark}"


def _card_number(number: str, mark: str, keys: AlmaKeys) -> str:
    if keys.card_number == "cpr":
        return number
    return _own_card(int(mark, 16), keys)


def _own_card(seed: int, keys: AlmaKeys) -> str:
    digits = seed % 10**_CARD_DIGITS
    return f"{keys.series_prefix[0].upper()}{digits:0{_CARD_DIGITS}}"


def _keep_pin(draft: Draft, user: User, keys: AlmaKeys) -> None:
    """Send an internal user's PIN back, or make the user external: Alma clears it otherwise.

    Of an external user Alma keeps a PIN that no body has (docs/alma.md).
    """
    if alma_users.read_code(user, "account_type") != _OF_THE_DESK:
        return
    pin = alma_users.read_text(user, _PIN)
    if pin is not None:
        draft[_PIN] = pin
        return
    draft["account_type"] = {"value": _EXTERNAL}
    draft["external_id"] = keys.external_id


def _clear_address(draft: Draft) -> None:
    """Take from the address that is written anew what would stand under another's street."""
    entry = alma_users.choose_entry(alma_users.list_contacts(draft, "address"))
    if isinstance(entry, dict):
        for name in _OF_THE_PLACE:
            entry.pop(name, None)


def _set_expiry(draft: Draft, expires: date, keys: AlmaKeys) -> None:
    """Set the last day, and have the user kept for a while after; staff may keep it longer."""
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
    elif name in alma_users.LINES:
        address = _contact(draft, "address", "address_type", keys.address_type)
        address[alma_users.LINES[name]] = value
    elif name in alma_users.PHONES:
        kind = alma_users.PHONES[name]
        phone = _contact(draft, "phone", "phone_type", kind, same=True)
        phone["phone_number"] = value
    else:
        email = _contact(draft, "email", "email_type", keys.email_type)
        email["email_address"] = value


def _contact(draft: Draft, listed: str, types: str, kind: str, *, same: bool = False) -> Draft:
    """Return the preferred entry of a list, made where there is none; ``same``: of this type."""
    contact = draft.get("contact_info")
    if not isinstance(contact, dict):
        contact = draft["contact_info"] = {}
    present = contact.get(listed)
    if not isinstance(present, list):
        present = contact[listed] = []
    fitting = alma_users.list_entries(present)
    if same:
        fitting = alma_users.select_type(fitting, types, kind)
    found = alma_users.choose_entry(fitting)
    if isinstance(found, dict):
        return found
    made: Draft = {
        "preferred": not present,
        types: [{"value": kind}],
        "segment_type": _segment(draft),
    }
    present.append(made)
    return made


def _whole(draft: Draft) -> Draft:
    """Return the draft without entries that Alma refuses whole: without a line, a number, ..."""
    contact = draft.get("contact_info")
    if isinstance(contact, dict):
        demanded = {"address": "line1", "email": "email_address", "phone": "phone_number"}
        for listed, name in demanded.items():
            if isinstance(contact.get(listed), list):
                present = alma_users.list_entries(contact[listed])
                contact[listed] = [each for each in present if each.get(name)]
    return draft


def _identify(draft: Draft, cpr: str, keys: AlmaKeys) -> None:
    """Write the CPR of a user that has no real number; done twice, it is done once."""
    written = spell_cpr(cpr)
    carried = [value.strip() for value in alma_users.list_cpr_values(draft, keys)]
    if any(find_real_cpr([value]) and value not in written for value in carried):
        raise LibraryRefused("change: the user carries another number")
    _set_identifier(draft, keys.cpr_identifier_type, written[0])
    if keys.card_number == "cpr":
        _set_identifier(draft, BARCODE, written[0])


def _give_card(draft: Draft, keys: AlmaKeys) -> None:
    """Give a user without a barcode one.

    Never one that the user had before: a stolen card would be good again.
    """
    if alma_users.list_identifiers(draft, BARCODE):
        return
    number = find_real_cpr(alma_users.list_cpr_values(draft, keys))
    if number is None:
        return
    if keys.card_number == "system":
        number = _own_card(secrets.randbits(128), keys)
    _set_identifier(draft, BARCODE, number)


def _set_identifier(draft: Draft, kind: str, value: str) -> None:
    """Give the user one identifier of a type, in the place of the one that it has.

    A barcode comes beside the others, as the first: a card in somebody's hand stays good.
    """
    present = draft.get("user_identifier")
    if not isinstance(present, list):
        present = draft["user_identifier"] = []
    if value in alma_users.list_identifiers(draft, kind):
        return
    of_kind = [
        each
        for each in present
        if isinstance(each, dict) and alma_users.read_code(each, "id_type") == kind
    ]
    if of_kind and kind != BARCODE:
        of_kind[0]["value"] = value
        return
    made = {
        "segment_type": _segment(draft),
        "id_type": {"value": kind},
        "value": value,
        "status": "ACTIVE",
    }
    present.insert(0 if kind == BARCODE else len(present), made)


def _segment(draft: Draft) -> str:
    """Return the segment of what we write: only an external user has one of its own for it."""
    external = alma_users.read_code(draft, "account_type") == _EXTERNAL
    return "External" if external else "Internal"
