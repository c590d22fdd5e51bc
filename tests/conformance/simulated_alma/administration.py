"""Settings of a simulated Alma: code tables, roles, mandatory fields, API keys, limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

PATRON: Final = "200"  # the role without which nobody borrows

CodeTable = Mapping[str, str]  # code: description


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The areas that a key was given: users to read and to write, and the configuration."""

    reads_users: bool = True
    writes_users: bool = True
    reads_configuration: bool = True


def _user_groups() -> CodeTable:
    return {
        "STUDENT": "Student",
        "EMPLOYEE": "Employee",
        "HOSPITAL": "Hospital employee",
        "PRIVATE": "Private borrower",
        "TEMP": "Temporary borrower",
    }


def _identifier_types() -> CodeTable:
    return {
        "BARCODE": "Barcode",
        "INST_ID": "Institution ID",
        "UNIV_ID": "University ID",
        "CPR": "CPR number",
        "OTHER_ID_1": "Other ID 1",
        "OTHER_ID_2": "Other ID 2",
    }


def _role_rules() -> Mapping[str, tuple[str, ...]]:
    return dict.fromkeys(_user_groups(), (PATRON,))


def _contact_types() -> Mapping[str, CodeTable]:
    common = {"home": "Home", "work": "Work", "school": "School", "alternative": "Alternative"}
    return {
        "address": common,
        "email": {**common, "personal": "Personal"},
        "phone": {"home": "Home", "office": "Office", "mobile": "Mobile"},
        "note": {"ADDRESS": "Address", "BARCODE": "Barcode", "GENERAL": "General"},
        "block": {"GENERAL": "General"},
        "statistic": {},
    }


@dataclass(frozen=True, slots=True)
class Administration:
    """All that is set, for a library with the groups and the identifier types of the demo.

    ``external_systems`` are the SIS profiles that the external id of a user may name.
    ``role_rules`` are the role assignment rules: a group's roles. ``mandatory_fields`` are those
    that the library adds to Alma's own. ``per_second`` and ``per_day`` are the calls that the
    institution has; ``keys`` are its API keys. With ``shows_pin`` a read has the PIN. Without
    ``keeps_pin`` a change that names no PIN ends that of an external user too.

    Source: docs/alma.md#simulated.
    """

    user_groups: CodeTable = field(default_factory=_user_groups)
    identifier_types: CodeTable = field(default_factory=_identifier_types)
    contact_types: Mapping[str, CodeTable] = field(default_factory=_contact_types)
    role_rules: Mapping[str, tuple[str, ...]] = field(default_factory=_role_rules)
    external_systems: tuple[str, ...] = ("SIS",)
    mandatory_fields: tuple[str, ...] = ()
    languages: CodeTable = field(default_factory=lambda: {"en": "English", "da": "Danish"})
    countries: CodeTable = field(default_factory=lambda: {"DNK": "Denmark", "SWE": "Sweden", "NOR": "Norway"})
    keys: Mapping[str, ApiKey] = field(default_factory=lambda: {"demo": ApiKey()})
    per_second: int = 25
    per_day: int = 100_000
    shows_pin: bool = False
    keeps_pin: bool = True

    def replace_settings(self, **wanted: object) -> "Administration":
        """Return the same with some settings changed."""
        return replace(self, **wanted)  # type: ignore[arg-type]  # by name
