"""What comes between a login and its assertion: its person's logout, or a bar on its person."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.core.entities import Names
from broker.core.login.transaction import Transaction
from broker.core.ports import Key
from broker.use_cases.identity.person_links import PersonLinks
from broker.use_cases.logout.sessions import Sessions
from broker.use_cases.records import Reads, read_together


@dataclass(frozen=True, slots=True)
class Interruption:
    """Whether the person of a login has logged out since, and why they are let in no more."""

    logged_out: bool = False
    barred: str | None = None


_NONE: Final = Interruption()


@dataclass(frozen=True, slots=True)
class Watched:
    """The keys of what may come between: the marks of logouts, and what a bar would stand on."""

    marks: tuple[Key, ...]
    bars: tuple[Key, ...]

    @property
    def keys(self) -> tuple[Key, ...]:
        """Return all of them."""
        return (*self.marks, *self.bars)


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
        watched = self.watched(transaction)
        reads = read_together(self.sessions.store, watched.keys, now)
        return self.found(transaction, watched, reads)

    def watched(self, transaction: Transaction) -> Watched:
        """Return where that stands which may come between."""
        marks = self.sessions.marks(transaction)
        bars = self.links.keys(*_names(transaction))
        return Watched(tuple(marks), tuple(bars))

    def found(self, transaction: Transaction, watched: Watched, reads: Reads) -> Interruption:
        """Return what has come between as ``reads`` has it; KeyError where it was not read."""
        logged_out = self.sessions.ended(transaction, watched.marks, reads)
        barred = self.links.bar_of(_names(transaction), reads)
        return Interruption(logged_out, barred)


def _names(transaction: Transaction) -> Names:
    if transaction.person is None:
        return ()
    return transaction.person.led_by
