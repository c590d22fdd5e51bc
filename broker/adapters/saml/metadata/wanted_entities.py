"""The configured upstreams and services, and which feed may publish metadata of each."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from broker.adapters.saml.feeds.feed_fetch import Feed
from broker.adapters.saml.metadata.folder_files import WantedIds
from broker.adapters.saml.metadata.published_scopes import list_spellings
from broker.core.entities import Institution, Service, Upstream

UPSTREAMS: Final = "upstreams"
INSTITUTIONS: Final = "institutions"
SERVICES: Final = "services"


@dataclass(frozen=True, slots=True)
class WantedEntities:
    """The upstreams and services of broker.toml, by name.

    ``named_feeds`` is the feeds that an upstream names, ``service_feeds`` those of a service: no
    other feed may publish its metadata.
    """

    upstreams: Mapping[str, Upstream]
    services: Mapping[str, Service]
    named_feeds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    service_feeds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def upstream_ids(self) -> list[str]:
        """Return the entityIDs of the upstreams that speak SAML."""
        return [each.entity_id for each in self.upstreams.values() if not each.local]

    @property
    def service_ids(self) -> list[str]:
        """Return the entityIDs of the services."""
        return [service.entity_id for service in self.services.values()]

    @property
    def institutions(self) -> Iterator[Institution]:
        """Yield the institutions of all upstreams."""
        for upstream in self.upstreams.values():
            yield from upstream.institutions

    def list_folder_ids(self, feeds: Sequence[Feed]) -> WantedIds:
        """Return the entityIDs to read from the metadata folder."""
        names: set[str] = set()
        for institution in self.institutions:
            names.update(list_spellings(institution, ""))
        upstreams, services = frozenset(self.upstream_ids), frozenset(self.service_ids)
        fed = frozenset(name for feed in feeds for name in self.upstreams_of(feed, feeds))
        return WantedIds(upstreams, services, frozenset(names), fed)

    def upstreams_of(self, feed: Feed, feeds: Sequence[Feed]) -> list[str]:
        """Return the entityIDs of the upstreams that ``feed`` may publish."""
        found = self._list_upstreams(feed, feeds, UPSTREAMS)
        return [upstream.entity_id for upstream in found if not upstream.local]

    def services_of(self, feed: Feed, feeds: Sequence[Feed]) -> list[str]:
        """Return the entityIDs of the services that ``feed`` may publish.

        If that feed loses a service, no other feed replaces it: its publisher could set another
        ACS and encryption key.
        """
        feed_names = [each.name for each in feeds if SERVICES in each.speaks_for]
        found = []
        for name, service in self.services.items():
            if _choose_feed(feed_names, self.service_feeds.get(name, ())) == feed.name:
                found.append(service.entity_id)
        return found

    def institutions_of(self, feed: Feed, feeds: Sequence[Feed]) -> list[Institution]:
        """Return the institutions that ``feed`` may publish."""
        found = self._list_upstreams(feed, feeds, INSTITUTIONS)
        return [institution for upstream in found for institution in upstream.institutions]

    def _list_upstreams(
        self, feed: Feed, feeds: Sequence[Feed], kind: Literal["upstreams", "institutions"]
    ) -> Iterator[Upstream]:
        """Yield the upstreams that only this feed may publish.

        If that feed loses an upstream, no other feed replaces it: its publisher could set another
        key (docs/reference/attacks.md#33).
        """
        feed_names = [each.name for each in feeds if kind in each.speaks_for]
        for name, upstream in self.upstreams.items():
            if _choose_feed(feed_names, self.named_feeds.get(name, ())) == feed.name:
                yield upstream


def _choose_feed(feed_names: Sequence[str], named: Collection[str]) -> str | None:
    """Return the first of the named feeds, or of all feeds if none is named."""
    return next((each for each in feed_names if not named or each in named), None)
