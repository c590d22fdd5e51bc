"""A mailbox shown to be the person's own: what was mailed to it, and what that proved."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

# the proof of an address to write to, in any domain; every other name is a policy file's
MAIL_PROOF: Final = "mail"


@dataclass(frozen=True, slots=True, repr=False)
class Proved:
    """That the person reads the mail of ``address``; good until ``until``. ``name`` is the proof's in the policies."""

    name: str
    address: str
    at: datetime
    until: datetime

    @property
    def domain(self) -> str:
        """Give what stands after the address's last "@"."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True, repr=False)
class Mailing:
    """A code and a link on their way to an address: for one login, for half an hour, for five tries.

    ``link`` is 128 bits that only the mail holds; ``code`` is what a person types. ``until`` ends
    both.
    """

    name: str
    address: str
    code: str
    link: str
    sent: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class ProofOwner:
    """Whom (a pseudonym) an address or a temporary borrower proves, and by which proof."""

    owner: str
    name: str
