"""The letters about PINs that are owed, as they wait in the store."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True, repr=False)
class OwedPinMail:
    """A letter to be written: the one that was asked for, a new PIN, or a notice.

    "desk" is the letter that "link" is, asked for by staff; "doubt" tells that nobody knows whether
    the PIN was changed. ``choice`` names the choice that a notice tells, ``settled`` says that it
    is known to work.
    """

    what: Literal["link", "desk", "pin", "notice", "doubt"]
    whom: str  # what was typed, as ``pins.identifier_of`` reads it; else a borrower number
    language: str
    asked: datetime
    attempts: int = 0
    asked_at: str = ""
    asked_from: str = ""
    choice: str = ""
    settled: bool = False
