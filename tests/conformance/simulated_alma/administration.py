"""Settings of a simulated Alma: code tables, roles and API keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

PATRON: Final = "200"  # the role without which nobody borrows
GROUPS: Final = ("STUDENT", "EMPLOYEE", "HOSPITAL", "PRIVATE", "TEMP")
IDENTIFIER_TYPES: Final = ("BARCODE", "INST_ID", "UNIV_ID", "CPR", "OTHER_ID_1", "OTHER_ID_2")
_PLACES: Final = ("home", "work", "school", "alternative")
# The legal types of the entries of each list, and the field with the type.
TYPES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "user_identifier": ("id_type", IDENTIFIER_TYPES),
    "address": ("address_type", _PLACES),
    "email": ("email_type", (*_PLACES, "personal")),
    "phone": ("phone_type", ("home", "office", "mobile")),
    "user_note": ("note_type", ("ADDRESS", "BARCODE", "GENERAL")),
    "user_block": ("block_type", ("GENERAL",)),
}


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The areas that a key was given: users to read and to write, and the configuration."""

    reads_users: bool = True
    writes_users: bool = True
    reads_configuration: bool = True


@dataclass(frozen=True, slots=True)
class Administration:
    """The API keys of the institution; each group has the role of a patron.

    Source: docs/alma.md#simulated.
    """

    keys: Mapping[str, ApiKey] = field(default_factory=lambda: {"demo": ApiKey()})

    def replace_keys(self, keys: Mapping[str, ApiKey]) -> "Administration":
        """Return the same with other keys."""
        return replace(self, keys=keys)
