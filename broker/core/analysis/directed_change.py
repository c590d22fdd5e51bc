"""One change that a class of logins sees, and which way it goes."""

from dataclasses import dataclass
from enum import StrEnum

from broker.core.policy.model import PolicyLine


class Direction(StrEnum):
    """Which way a change goes; in the order in which people should read them."""

    WIDER = "WIDER"
    REFUSED = "refused"
    OTHER = "other"
    NARROWER = "narrower"


@dataclass(frozen=True, slots=True)
class Change:
    """One change for one class: its direction, in words, and the line that makes it so.

    ``was`` is whether the line is one of the set before, ``account`` whether another account comes
    of it.
    """

    direction: Direction
    text: str
    place: PolicyLine | None = None
    was: bool = False
    account: bool = False
