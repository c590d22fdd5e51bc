"""What a library system can do beyond the calls that each has, and what is missing without it."""

from enum import StrEnum
from typing import Final


class LibraryCapability(StrEnum):
    """One thing that not every library system can do; the broker has a behaviour without it.

    Source: docs/library-systems.md#capabilities.
    """

    UNIQUE_CPR = "unique_cpr"  # of creates of one person at one time it lets one through
    PIN_CHECKED = "pin_checked"  # it tells a right PIN from a wrong one
    SETUP_TRIED = "setup_tried"  # the categories that policies name are tried before anybody's
    USER_NAMES = "user_names"  # a borrower may have a name to type beside its numbers
    FOUND_BY_BIRTH_DATE = "found_by_birth_date"  # borrowers can be searched by birth date
    LISTED = "listed"  # all borrowers can be read one after the other


ALL_CAPABILITIES: Final = frozenset(LibraryCapability)
