"""The letters that borrowers are mailed, each with the values that its text names."""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

_LONGEST_NAME: Final = 60


class LetterText(NamedTuple):
    """A subject line and a plain text."""

    subject: str
    text: str

    def __repr__(self) -> str:
        """Show nothing: the text may hold a PIN or a code."""
        return "LetterText(...)"


# No letter is shown by repr: a PIN, a code or a link that works must not reach a log.


@dataclass(frozen=True, slots=True, repr=False)
class PinLetter:
    """The PIN of a new borrower."""

    pin: str


@dataclass(frozen=True, slots=True)
class PinPointerLetter:
    """Where a new borrower whose PIN could not be mailed makes one."""


@dataclass(frozen=True, slots=True, repr=False)
class MailboxCodeLetter:
    """The code that proves a mailbox.

    ``asker`` is the name of the person who claims it, as the upstream asserted it, for the owner of
    the mailbox to recognise or not.
    """

    code: str
    asker: str
    minutes: int


@dataclass(frozen=True, slots=True, repr=False)
class AccountCodeLetter:
    """The code, and the link that holds it, by which a borrower shows or renews the PIN.

    ``asked_at`` and ``asked_from`` are the time and the network that it was asked from, worded in
    the language of the letter, for its owner to recognise or not.
    """

    code: str
    link: str
    asked_at: str
    asked_from: str


@dataclass(frozen=True, slots=True, repr=False)
class RenewedPinLetter:
    """The PIN that a borrower asked for."""

    pin: str


@dataclass(frozen=True, slots=True)
class ChangedPinLetter:
    """Notice that somebody who was logged in as the borrower chose a new PIN."""


@dataclass(frozen=True, slots=True)
class DoubtfulPinLetter:
    """Notice that nobody can tell whether the PIN was changed, and where to make one."""


LetterContent = (
    PinLetter
    | PinPointerLetter
    | MailboxCodeLetter
    | AccountCodeLetter
    | RenewedPinLetter
    | ChangedPinLetter
    | DoubtfulPinLetter
)


def named(asserted: str) -> str:
    """Return a person's name as a letter may hold it: letters, hyphens, apostrophes, 60 at most.

    A name is what some upstream asserts; an address, a number or a second line in it would be
    mailed to a stranger in our name.
    """
    words = re.sub(r"[^\w '’-]|[\d_]", " ", asserted).split()
    return " ".join(words)[:_LONGEST_NAME].strip()
