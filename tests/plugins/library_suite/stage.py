"""What the suite of library systems asks of a system that it is to try (docs/library-systems.md#stage)."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from broker.core.borrowers.library_capabilities import LibraryCapability
from broker.core.ports import LibrarySystem

MANY: Final = 1_000_000  # more requests than any test makes


class Trouble(StrEnum):
    """The ways in which the library system fails the connector, from one of its requests on."""

    DOWN = "down"  # no answer, nothing done
    SILENT = "silent"  # no answer while the trouble lasts; what was asked is done when it ends
    REFUSED = "refused"  # a no that quotes every personal value, nothing done
    HALF = "half an answer"  # all done, and the answer breaks off
    LOST = "lost answer"  # all done, and no answer


class Strike(Protocol):
    """A trouble that lasts."""

    @property
    def struck(self) -> bool:
        """Whether a request has met it."""
        ...


class Desk(Protocol):
    """The library's staff and machines, past the connector."""

    def register(self, card: str, category: str, user_name: str = "") -> str:
        """Make a borrower of the surname Desk with this card number, and give its number."""
        ...

    def close(self, number: str) -> None:
        """Delete a borrower, or close its account, as staff do."""
        ...

    def merge(self, kept: str, merged: str) -> None:
        """Merge one borrower into another as staff do."""
        ...

    def count(self) -> int:
        """Count the borrowers that there are."""
        ...

    def proves(self, typed: str, pin: str) -> bool:
        """Try a card number and a PIN as a machine does."""
        ...

    def troubled(self, trouble: Trouble, after: int = 0, times: int = MANY) -> AbstractContextManager[Strike]:
        """Let ``times`` requests fail so while the block runs, from the first after ``after`` others on.

        What was held back in silence is done when the block has ended, or never: then the connector has given up.
        """
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """A library system without borrowers, opened by its connector, and its desk."""

    library: LibrarySystem
    desk: Desk


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to set a library system up: what it can do so, and how it is put on the stage.

    ``system`` is its name in the printed table; the costly tests play on the first kind of a system.
    """

    system: str
    capabilities: frozenset[LibraryCapability]
    open: Callable[[], AbstractContextManager[Stage]]
