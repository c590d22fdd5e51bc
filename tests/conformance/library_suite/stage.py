"""Interfaces that a library system implements to be tested by the suite (docs/library-systems.md#stage)."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from broker.core.borrowers.library_setup import LibraryCallObserver, LibraryCapability
from broker.core.ports import LibrarySystem

MANY: Final = 1_000_000  # more requests than any test makes


class Trouble(StrEnum):
    """Failures of the library system, beginning at one of the connector's requests.

    The failures after ``LOST`` only occur over HTTP (``Kind.over_http``).
    """

    DOWN = "down"  # no answer, nothing done
    SILENT = "silent"  # no answer during the failure; the request is carried out when it ends
    REFUSED = "refused"  # a refusal that quotes every personal value, nothing done
    HALF = "half an answer"  # request carried out, answer incomplete
    LOST = "lost answer"  # request carried out, no answer
    NO_PAGE = "404 page"  # of a proxy, in HTML; nothing done
    NO_ROUTE = "404 of a gateway"  # in JSON of another system; nothing done
    BAD_GATEWAY = "502 page"  # in HTML; nothing done
    BROKEN = "500"  # the text of REFUSED, as a server error; nothing done
    ANOTHER = "another's answer"  # the answer to the previous request with the same method; nothing done
    TRICKLE = "trickle"  # request carried out, answer arrives byte by byte


class Strike(Protocol):
    """A failure in progress."""

    @property
    def struck(self) -> bool:
        """Whether a request was affected."""
        ...


class Desk(Protocol):
    """Actions of the library's staff and machines, without the connector."""

    def register(self, card: str, category: str, user_name: str = "") -> str:
        """Register a borrower with surname Desk and this card number; return the borrower number."""
        ...

    def close(self, number: str) -> None:
        """Delete a borrower or close the account, as staff do."""
        ...

    def merge(self, kept: str, merged: str) -> None:
        """Merge one borrower into another as staff do."""
        ...

    def count(self) -> int:
        """Return the number of borrowers."""
        ...

    def proves(self, typed: str, pin: str) -> bool:
        """Return whether a machine accepts this card number and PIN."""
        ...

    def cause_trouble(self, trouble: Trouble, after: int = 0, times: int = MANY) -> AbstractContextManager[Strike]:
        """Skip ``after`` requests, then let ``times`` requests fail while the block runs.

        Unanswered requests are carried out when the block ends, or never.
        """
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """An empty library system, opened by its connector, with its desk."""

    library: LibrarySystem
    desk: Desk


class Opened(Protocol):
    """The parsed settings of a connector (broker/adapters/library_systems/library_settings.py)."""

    def open(self, observe: LibraryCallObserver) -> LibrarySystem:
        """Return the library system without calling it."""
        ...


@dataclass(frozen=True, slots=True)
class SoundKeys:
    """Valid keys of ``[library]`` for a system that does not exist, and ``read`` of the settings type.

    ``secrets`` are the values that are never shown. None of them is part of another value.
    """

    read: Callable[[Mapping[str, object]], Opened]
    keys: Mapping[str, object]
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """A setup of a library system: its capabilities, and how to open it.

    ``system`` is its name in the printed table. Slow tests run only with the first kind of a system. ``open`` takes
    the observer of the connector.
    """

    system: str
    capabilities: frozenset[LibraryCapability]
    open: Callable[[LibraryCallObserver], AbstractContextManager[Stage]]
    sound: SoundKeys
    over_http: bool = True
