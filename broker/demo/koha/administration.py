"""What an administrator sets in Koha: preferences, notices, categories, attribute types."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

# What the newest Koha compares at a create (PatronDuplicateMatchingAddFields).
NEWEST_DUPLICATE_MATCHING: Final = ("surname", "firstname", "date_of_birth")
PASSWORD_CHANGE: Final = "PASSWORD_CHANGE"


@dataclass(frozen=True, slots=True)
class SystemPreferences:
    """Koha's system preferences that change an answer to the broker, with Koha's own defaults.

    ``failed_login_attempts`` 0 is off. ``notices`` are the codes of the notices that there are. The
    one value that is not Koha's own is ``rest_oauth2_client_credentials``: with Koha's, which is
    off, no token is granted. ``patron_duplicate_matching`` is empty in releases without that check.

    Source: docs/reference/koha.md#preferences.
    """

    min_password_length: int = 8
    require_strong_password: bool = True
    notify_password_change: bool = True
    auto_member_num: bool = False
    failed_login_attempts: int = 0
    rest_default_page_size: int = 20
    rest_oauth2_client_credentials: bool = True
    patron_duplicate_matching: tuple[str, ...] = ()
    auto_email_new_user: bool = False
    notices: frozenset[str] = frozenset({PASSWORD_CHANGE})


@dataclass(frozen=True, slots=True)
class Category:
    """A patron category: its months of validity, and its own password rules where it has any.

    ``password_expiry_days`` is how long a password lasts, None for ever.
    """

    months: int = 24
    min_password_length: int | None = None
    require_strong_password: bool | None = None
    password_expiry_days: int | None = None


@dataclass(frozen=True, slots=True)
class AttributeType:
    """A type of extended attributes."""

    repeatable: bool = False
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
    """All that is set: Koha's own rules, for a library with a branch, categories and CPR."""

    preferences: SystemPreferences = field(default_factory=SystemPreferences)
    categories: Mapping[str, Category] = field(default_factory=_categories)
    libraries: tuple[str, ...] = ("AUL",)
    attribute_types: Mapping[str, AttributeType] = field(default_factory=_attribute_types)

    def with_preferences(self, **changed: object) -> "Administration":
        """Return the same with some preferences changed."""
        preferences = replace(self.preferences, **changed)  # type: ignore[arg-type]  # by name
        return replace(self, preferences=preferences)

    def with_four_digit_pins(self) -> "Administration":
        """Return the same with categories that take a PIN of four digits for a password."""
        categories = {
            name: replace(category, min_password_length=4, require_strong_password=False)
            for name, category in self.categories.items()
        }
        return replace(self, categories=categories)

    def as_newest(self) -> "Administration":
        """Return the same in the newest Koha: a create compares names and sends a mail."""
        return self.with_preferences(
            patron_duplicate_matching=NEWEST_DUPLICATE_MATCHING, auto_email_new_user=True
        )


FOUR_DIGIT_PINS: Final = Administration().with_four_digit_pins()  # as the broker needs it
