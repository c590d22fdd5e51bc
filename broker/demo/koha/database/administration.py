"""Koha's administration settings: preferences, notices, categories, attribute types."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

# PatronDuplicateMatchingAddFields of the newest Koha: the fields that a create compares.
NEWEST_DUPLICATE_MATCHING: Final = ("surname", "firstname", "date_of_birth")
PASSWORD_CHANGE: Final = "PASSWORD_CHANGE"


@dataclass(frozen=True, slots=True)
class SystemPreferences:
    """Koha's system preferences that change an answer to the broker, with Koha's own defaults.

    ``failed_login_attempts`` 0 turns the lock-out off. ``notices`` are the codes of all notices.
    ``patron_duplicate_matching`` is empty in releases without that check.

    Source: docs/reference/koha.md#preferences.
    """

    min_password_length: int = 8
    require_strong_password: bool = True
    auto_member_num: bool = False
    failed_login_attempts: int = 0
    patron_duplicate_matching: tuple[str, ...] = ()
    auto_email_new_user: bool = False
    notices: frozenset[str] = frozenset({PASSWORD_CHANGE})


@dataclass(frozen=True, slots=True)
class Category:
    """A patron category: its validity in months, and its password rules if it has any."""

    months: int = 24
    min_password_length: int | None = None
    require_strong_password: bool | None = None


@dataclass(frozen=True, slots=True)
class AttributeType:
    """A type of extended attributes."""

    unique: bool = False
    mandatory: bool = False


def _categories() -> Mapping[str, Category]:
    return {
        "STUDENT": Category(12),
        "EMPLOYEE": Category(24),
        "HOSPITAL": Category(24),
        "PRIVATE": Category(60),
        "TEMP": Category(3),
    }


def _attribute_types() -> Mapping[str, AttributeType]:
    return {"CPR": AttributeType(unique=True)}


@dataclass(frozen=True, slots=True)
class Administration:
    """The settings of a library with one branch, five categories and a CPR attribute."""

    preferences: SystemPreferences = field(default_factory=SystemPreferences)
    categories: Mapping[str, Category] = field(default_factory=_categories)
    libraries: tuple[str, ...] = ("AUL",)
    attribute_types: Mapping[str, AttributeType] = field(default_factory=_attribute_types)

    def change_preferences(self, **changed: object) -> "Administration":
        """Return a copy with changed preferences."""
        preferences = replace(self.preferences, **changed)  # type: ignore[arg-type]  # by name
        return replace(self, preferences=preferences)

    def allow_four_digit_pins(self) -> "Administration":
        """Return a copy whose categories accept a four-digit PIN as password."""
        categories = {
            name: replace(category, min_password_length=4, require_strong_password=False)
            for name, category in self.categories.items()
        }
        return replace(self, categories=categories)

    def as_newest(self) -> "Administration":
        """Return a copy as in the newest Koha: a create compares names and sends a mail."""
        return self.change_preferences(
            patron_duplicate_matching=NEWEST_DUPLICATE_MATCHING, auto_email_new_user=True
        )


FOUR_DIGIT_PINS: Final = Administration().allow_four_digit_pins()  # as the broker needs it
