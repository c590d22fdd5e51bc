"""The letters that borrowers are mailed, each with the values that its text names."""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

_LONGEST_NAME: Final = 60


class MailText(NamedTuple):
    """A subject line and a plain text."""

    subject: str
    text: str

    def __repr__(self) -> str:
        """Show nothing: the text may hold a PIN or a code."""
        return "MailText(...)"


# No letter is shown by repr: a PIN, a code or a link that works must not reach a log.


@dataclass(frozen=True, slots=True, repr=False)
class MailboxCodeMail:
    """The code that proves a mailbox.

    ``asker`` is the name of the person who claims it, as the upstream asserted it, for the owner of
    the mailbox to recognise or not.
    """

    code: str
    asker: str
    minutes: int


@dataclass(frozen=True, slots=True, repr=False)
class ClaimCodeMail:
    """The code by which ``asker`` connects an account to their login."""

    code: str
    asker: str


@dataclass(frozen=True, slots=True, repr=False)
class LoginCodeMail:
    """The code of a login with the library account, and when and from where it was asked for."""

    code: str
    asked_at: str
    asked_from: str


@dataclass(frozen=True, slots=True, repr=False)
class PinLinkMail:
    """The link behind which a borrower chooses a PIN, and when it was asked for."""

    link: str
    asked_at: str


@dataclass(frozen=True, slots=True, repr=False)
class WelcomeMail:
    """The link behind which a new borrower chooses a PIN."""

    link: str


@dataclass(frozen=True, slots=True)
class ChangedPinMail:
    """Notice that a new PIN was chosen, or may have been."""


@dataclass(frozen=True, slots=True)
class ConnectedAccountMail:
    """Notice that a login was led to the borrower for the first time."""


MailContent = (
    MailboxCodeMail
    | ClaimCodeMail
    | LoginCodeMail
    | PinLinkMail
    | WelcomeMail
    | ChangedPinMail
    | ConnectedAccountMail
)


def sanitize_name(asserted: str) -> str:
    """Return a person's name as a letter may hold it: letters, hyphens, apostrophes, 60 at most.

    A name is what some upstream asserts; an address, a number or a second line in it would be
    mailed to a stranger in our name.
    """
    words = re.sub(r"[^\w '’-]|[\d_]", " ", asserted).split()
    return " ".join(words)[:_LONGEST_NAME].strip()
