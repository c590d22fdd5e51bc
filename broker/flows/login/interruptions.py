"""What comes between a login and its assertion: its person's logout, or a bar on its person."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.core.entities import Names
from broker.core.login.transaction import Transaction
from broker.core.ports import Key
from broker.flows.identity.person_links import PersonLinks
from broker.flows.logout.sessions import Sessions
from broker.flows.records import Reads, read_together


@dataclass(frozen=True, slots=True)
class Interruption:
    """Whether the person of a login has logged out since, and why they are let in no more."""

    logged_out: bool = False
    barred: str | None = None


_NONE: Final = Interruption()


@dataclass(frozen=True, slots=True)
class Interruptions:
    """Reads the marks of logouts and the bars on a login's person together."""

    sessions: Sessions
    links: PersonLinks

    def since(self, transaction: Transaction, now: datetime) -> Interruption:
        """Return what has come between since a transaction was authenticated.

        In one turn of the store, which the marks of logouts cost anyway.
        """
        if transaction.authentication is None:
            return _NONE
        reads = read_together(self.sessions.store, self.keys(transaction), now)
        return self.found(transaction, now, reads)

    def keys(self, transaction: Transaction) -> list[Key]:
        """Return the keys of what may have come between: marks of logouts, and bars."""
        marks = self.sessions.marks(transaction)
        return [*marks, *self.links.keys(*_names(transaction))]

    def found(self, transaction: Transaction, now: datetime, reads: Reads) -> Interruption:
        """Return what has come between as ``reads`` has it, which holds the ``keys``."""
        return Interruption(
            logged_out=self.sessions.over(transaction, now, reads),
            barred=self.links.bar_of(_names(transaction), reads),
        )


def _names(transaction: Transaction) -> Names:
    return transaction.person.led_by if transaction.person else ()
