"""The checks that AuthnRequests, Responses and logout messages have in common.

Each check is a function that returns True if the message must be refused.

Sources: saml-core 3.2, saml-bindings 3.4.5.2, docs/reference/attacks.md#17, #19 and #26.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, TypeVar

from broker.adapters.saml.messages import refusal_details
from broker.adapters.saml.xml_security import xml_times
from broker.adapters.saml.xml_security.xml_structure_checks import Bounds
from broker.core.errors import MessageRefused
from broker.core.login.transaction import SKEW

# A browser delivers a message at once, but a person may leave a page with its form open.
MAX_AGE: Final = timedelta(minutes=5)
# The bounds of AuthnRequests and logout messages. Real ones have about 2 kB, or 4 kB with an
# encrypted NameID. The broker stores an AuthnRequest before the visitor is authenticated.
BOUNDS: Final = Bounds(octets=32 * 1024, nodes=1_000, attributes=1_000, namespaces=100)


@dataclass(frozen=True)
class ReceivedMessage:
    """A message and the values that its checks need; ``address`` is our URL that received it."""

    message: Any
    address: str
    signed: bool
    now: datetime

    @property
    def skew(self) -> timedelta:
        """Return how far the sender's clock may differ from ours."""
        return SKEW

    @property
    def max_age(self) -> timedelta:
        """Return how old a message may be, apart from the clock skew."""
        return MAX_AGE

    @cached_property
    def issue_time(self) -> datetime:
        """Return the IssueInstant; a message without a readable one is infinitely old."""
        return xml_times.read(self.message.issue_instant) or xml_times.LONG_AGO

    def list_times(self) -> list[str | None]:
        """Return all times of the message as text; None for one that it does not have."""
        return [self.message.issue_instant]

    def is_ahead(self, start: datetime | None) -> bool:
        """Return whether a time lies in the future, allowing for clock skew."""
        return start is not None and start > self.now + self.skew

    def has_passed(self, end: datetime | None) -> bool:
        """Return whether a time has passed, allowing for clock skew."""
        return end is not None and end <= self.now - self.skew

    def is_too_old(self) -> bool:
        """Return whether the message was delivered late: an attacker may have kept it."""
        return self.issue_time <= self.now - self.max_age - self.skew

    def find_clock_offset(self) -> int | None:
        """Return by how many seconds the sender's clock is ahead, if that is not allowed."""
        if not self.is_ahead(self.issue_time):
            return None
        return round((self.issue_time - self.now).total_seconds())


_Received = TypeVar("_Received", bound=ReceivedMessage)


def _has_other_version(received: ReceivedMessage) -> bool:
    """Refuse another version of SAML: its rules differ."""
    return bool(received.message.version != "2.0")


def _has_other_destination(received: ReceivedMessage) -> bool:
    """Refuse a message made for another address: an attacker may replay it here.

    Only a signed message must have a Destination (bindings 3.4.5.2 and 3.5.5.2). For an unsigned
    Response, the Recipient in the signed Assertion counts (docs/reference/attacks.md#17).
    """
    destination = received.message.destination
    if destination is None:
        return received.signed
    return bool(destination != received.address)


def _has_time_without_zone(received: ReceivedMessage) -> bool:
    """Refuse a time without Z: in another time zone it would be read wrongly."""
    times = [time for time in received.list_times() if time is not None]
    return not all(map(xml_times.is_utc, times))


def _is_from_future(received: ReceivedMessage) -> bool:
    """Refuse a message from the future: the sender's clock is wrong, and its times are useless."""
    return received.is_ahead(received.issue_time)


def _is_too_old(received: ReceivedMessage) -> bool:
    """Refuse a message that was delivered late: a bookmark, or one that an attacker kept."""
    return received.is_too_old()


MESSAGE_CHECKS: Final[dict[str, Callable[[ReceivedMessage], bool]]] = {
    "version": _has_other_version,
    "destination": _has_other_destination,
    "zone": _has_time_without_zone,
    "issued_later": _is_from_future,
    "issued_long_ago": _is_too_old,
}


def apply_checks(
    kind: str, checks: Mapping[str, Callable[[_Received], bool]], received: _Received
) -> None:
    """Raise MessageRefused ``<kind>.<name>`` for the first check that refuses the message."""
    for name, is_refused in checks.items():
        if is_refused(received):
            offset = received.find_clock_offset()
            raise MessageRefused(f"{kind}.{name}", _explain(name, received), clock_off=offset)


def _explain(name: str, received: ReceivedMessage) -> str:
    """Return what the log adds to the check's name for the administrator."""
    if name == "destination":
        return refusal_details.explain_destination(received.message.destination, received.address)
    if name.endswith("zone"):
        return refusal_details.explain_zone(filter(None, received.list_times()))
    return ""
