"""The mails to borrowers, each with the values that its text shows."""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

_LONGEST_NAME: Final = 60


class MailText(NamedTuple):
    """A subject line and a plain text."""

    subject: str
    text: str

    def __repr__(self) -> str:
        """Show no text: it may hold a code."""
        return "MailText(...)"


# The repr of a mail with a code or link shows no values: they must not reach a log.


@dataclass(frozen=True, slots=True, repr=False)
class MailboxCodeMail:
    """The code that proves a mailbox.

    ``claimant`` is the name of the person who claims it, as the upstream sent it, so that the owner
    of the mailbox can recognise it.
    """

    code: str
    claimant: str


@dataclass(frozen=True, slots=True, repr=False)
class ClaimCodeMail:
    """The code with which the person ``claimant`` connects an existing account to their login."""

    code: str
    claimant: str


@dataclass(frozen=True, slots=True, repr=False)
class LoginCodeMail:
    """The code of a login with the library account, with the time and place of the request."""

    code: str
    asked_at: str
    asked_from: str


@dataclass(frozen=True, slots=True, repr=False)
class PinLinkMail:
    """The link behind which a borrower chooses a PIN, and the time of the request."""

    link: str
    asked_at: str


@dataclass(frozen=True, slots=True, repr=False)
class WelcomeMail:
    """The link behind which a new borrower chooses a PIN."""

    link: str


@dataclass(frozen=True, slots=True)
class ChangedPinMail:
    """Notice that the PIN was changed, or may be: the library system gave no clear answer."""


@dataclass(frozen=True, slots=True)
class ConnectedAccountMail:
    """Notice that a login was connected to the borrower for the first time."""


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
    """Return a person's name as a mail may show it: letters, hyphens, apostrophes, 60 at most.

    An upstream sends the name. An address, a number or a second line in it would be mailed to a
    stranger in the library's name.
    """
    words = re.sub(r"[^\w '’-]|[\d_]", " ", asserted).split()
    return " ".join(words)[:_LONGEST_NAME].strip()
