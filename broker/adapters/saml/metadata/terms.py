"""The terms of a feed: until when it may be used, how long it may be cached, and which publication it is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from lxml import etree

from broker.adapters.saml.gate import times
from broker.core.errors import MessageRefused
from broker.core.transaction import SKEW

_PUBLICATION: Final = "{urn:oasis:names:tc:SAML:metadata:rpi}PublicationInfo"
_DURATION: Final = re.compile(
    r"P(?:(\d{1,4})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})(?:\.\d+)?S)?)?"
)


@dataclass(frozen=True, slots=True)
class FeedPublication:
    """One publication of a feed: when its publisher made it, if it says so, when it ends, and what was signed.

    ``name`` is which of its publisher's feeds it is, empty where it does not say (saml-metadata
    2.3.1).
    """

    created: datetime | None
    until: datetime
    digest: str
    name: str = ""

    def before(self, other: "FeedPublication") -> bool:
        """Say whether this one was published before another: by creationInstant where both have one, else by the end.

        The end alone would let a short-lived feed, which takes something back, lose to the one
        before it.
        """
        if self.created and other.created and self.created != other.created:
            return self.created < other.created
        return self.until < other.until


def valid_until(root: etree._Element, window: timedelta, now: datetime) -> datetime:
    """Give the end of a feed, and refuse one without: an old copy could be brought for ever (saml_profiles.md row 6).

    ``MessageRefused``: ``feed.unbounded``, ``feed.expired``, ``feed.window``.
    """
    written = root.get("validUntil", "")
    end = times.read(written)
    if end is None or not times.marked(written):
        raise MessageRefused("feed.unbounded")
    if end <= now - SKEW:
        raise MessageRefused("feed.expired")
    if end > now + window + SKEW:
        raise MessageRefused("feed.window")
    return end


def publication_of(extensions: Sequence[etree._Element], now: datetime) -> datetime | None:
    """Give when a feed says that it was made (mdrpi 2.2), from the Extensions of its root, or None where it does not.

    ``MessageRefused`` (``feed.created``) where it says so twice, in no calendar, or that it is yet
    to come: after that one, all others would be older.
    """
    listed = [each for one in extensions for each in one.iterfind(_PUBLICATION)]
    written = [each.get("creationInstant", "") for each in listed]
    if len(written) > 1:
        raise MessageRefused("feed.created")
    if not written or not written[0]:
        return None
    instant = times.read(written[0])
    if instant is None or instant > now + SKEW:
        raise MessageRefused("feed.created")
    return instant


def duration(written: str) -> timedelta | None:
    """Read the days, hours, minutes and seconds of an xs:duration; None for any other, years and months among them."""
    found = _DURATION.fullmatch(written.strip())
    if not found or not any(found.groups()):
        return None
    days, hours, minutes, seconds = (int(each or 0) for each in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
