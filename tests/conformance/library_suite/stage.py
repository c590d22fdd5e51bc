"""Ports that a library system must offer to be tested by the suite (docs/library-systems.md#stage)."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from broker.core.borrowers.library_system import LibraryCallObserver, LibraryCapability
from broker.core.ports import LibrarySystem

MANY: Final = 1_000_000  # more requests than any test makes


class Trouble(StrEnum):
    """The ways in which the library system fails the connector, from one of its requests on.

    Those below ``LOST`` are of systems that are spoken to over HTTP (``Kind.over_http``).
    """

    DOWN = "down"  # no answer, nothing done
    SILENT = "silent"  # no answer while the trouble lasts; what was asked is done when it ends
    REFUSED = "refused"  # a no that quotes every personal value, nothing done
    HALF = "half an answer"  # all done, and the answer breaks off
    LOST = "lost answer"  # all done, and no answer
    NO_PAGE = "404 page"  # of a proxy, in HTML; nothing done
    NO_ROUTE = "404 of a gateway"  # in JSON that is not the system's own; nothing done
    BAD_GATEWAY = "502 page"  # in HTML; nothing done
    BROKEN = "500"  # the words of REFUSED, as an error of the server; nothing done
    ANOTHER = "another's answer"  # of the last request by the same method before the trouble; nothing done
    TRICKLE = "trickle"  # all done, and the answer comes a byte at a time


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

    def cause_trouble(self, trouble: Trouble, after: int = 0, times: int = MANY) -> AbstractContextManager[Strike]:
        """Let ``times`` requests fail while the block runs, after ``after`` others.

        Requests without an answer are carried out when the block ends, or never.
        """
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """A library system without borrowers, opened by its connector, and its desk."""

    library: LibrarySystem
    desk: Desk


class Opened(Protocol):
    """The settings of a connector, read (broker/adapters/library_systems/library_settings.py)."""

    def open(self, observe: LibraryCallObserver) -> LibrarySystem:
        """Return the library system; nothing is called yet."""
        ...


@dataclass(frozen=True, slots=True)
class SoundKeys:
    """Keys of ``[library]`` that are good, though nothing answers there, and ``read`` of the settings type.

    ``secrets`` are the values among them that are never shown: no part of another value.
    """

    read: Callable[[Mapping[str, object]], Opened]
    keys: Mapping[str, object]
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to set a library system up: what it can do so, and how it is put on the stage.

    ``system`` is its name in the printed table; the costly tests play on the first kind of a system. ``open`` takes
    the observer that the connector is opened with.
    """

    system: str
    capabilities: frozenset[LibraryCapability]
    open: Callable[[LibraryCallObserver], AbstractContextManager[Stage]]
    sound: SoundKeys
    over_http: bool = True
