"""The proof that a mailbox is the person's own."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

# The proof of an address to write to, in any domain; every other name is a policy file's.
MAIL_PROOF: Final = "mail"


@dataclass(frozen=True, slots=True, repr=False)
class Proved:
    """The proof that the person reads the mail of ``address``, good until ``until``.

    ``name`` is the proof's name in the policies.
    """

    name: str
    address: str
    at: datetime
    until: datetime

    @property
    def domain(self) -> str:
        """Return the part of the address after its last "@"."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True, repr=False)
class Mailing:
    """The address that a code was mailed to in this login, and when the code expires."""

    name: str
    address: str
    until: datetime
