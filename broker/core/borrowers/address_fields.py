"""The borrower fields that hold an address, and what a register's address is written there as."""

from collections.abc import Mapping
from typing import Final

from broker.core.borrowers import field_values
from broker.core.borrowers.registered_person import RegisteredAddress
from broker.core.entities import Names

# Every connector that can write an address knows them by these names.
_STREET: Final = "address"
_BESIDE: Final = "address2"
_POSTAL_CODE: Final = "postal_code"
_CITY: Final = "city"
ADDRESS_FIELDS: Final[Names] = (_STREET, _BESIDE, _POSTAL_CODE, _CITY)


def address_fields(address: RegisteredAddress) -> Mapping[str, str] | None:
    """Return every address field with its text, "" for none; None where no letter would arrive.

    Without a street the place stands in its line; an address without both, or without postal code
    or city, is none.
    """
    street = address.street or address.place
    beside = [f"c/o {address.care_of}"] if address.care_of else []
    if address.street and address.place:
        beside.append(address.place)
    lines = {
        _STREET: street,
        _BESIDE: ", ".join(beside),
        _POSTAL_CODE: address.postal_code,
        _CITY: address.city,
    }
    fields = {name: field_values.harmless(name, text) or "" for name, text in lines.items()}
    if not (fields[_STREET] and fields[_POSTAL_CODE] and fields[_CITY]):
        return None
    return fields
