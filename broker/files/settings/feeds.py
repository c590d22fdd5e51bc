"""The tables of broker.toml that name feeds of metadata: where from, signed by whom, believed about what."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from broker.files.settings.addresses import FeedUrl
from broker.files.settings.tables import SettingsTable

_BIRK: Final = (
    "https://birk.wayf.dk/birk.php/"  # wayf.md 2: what stands before an institution's own entityID
)
_MEGABYTE: Final = 1024 * 1024

FeedKind = Literal["upstreams", "institutions", "services"]


def _some(kinds: frozenset[FeedKind]) -> frozenset[FeedKind]:
    """Refuse a feed that would be fetched for nothing."""
    if not kinds:
        raise ValueError(
            'names nothing; leave it out, or list "upstreams", "institutions" or "services"'
        )
    return kinds


class FeedTable(SettingsTable):
    """One signed feed, or with ``mdq`` a service that answers with the one entity it is asked for.

    ``pins`` are files, each with the certificate or public key that signs the feed: two while the
    publisher rolls over.
    """

    url: FeedUrl
    pins: Annotated[tuple[Path, ...], Field(min_length=1, max_length=2)]
    mdq: bool = False
    speaks_for: Annotated[frozenset[FeedKind], AfterValidator(_some)] = frozenset(
        ("upstreams", "institutions", "services")
    )
    window_days: Annotated[int, Field(ge=1, le=90)] = 14
    every_seconds: Annotated[int, Field(ge=1, le=86_400)] = 3600
    largest_megabytes: Annotated[int, Field(ge=1, le=1024)] = 128
    ca_file: Path | None = None
    birk: str = _BIRK

    @property
    def window(self) -> timedelta:
        """Give how far in the future its end may lie."""
        return timedelta(days=self.window_days)

    @property
    def every(self) -> timedelta:
        """Give the longest time between two fetches."""
        return timedelta(seconds=self.every_seconds)

    @property
    def largest(self) -> int:
        """Give the most octets of it that are read."""
        return self.largest_megabytes * _MEGABYTE
