"""The configured upstreams and services, and which feed may publish metadata of each."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from broker.adapters.saml.feeds.feed_fetch import Feed
from broker.adapters.saml.metadata.published_scopes import list_spellings
from broker.core.entities import Institution, Service, Upstream

UPSTREAMS: Final = "upstreams"
INSTITUTIONS: Final = "institutions"
SERVICES: Final = "services"
_Party = TypeVar("_Party", Upstream, Service)


@dataclass(frozen=True, slots=True)
class WantedIds:
    """The entityIDs to read: of upstreams, of services, and of institutions (for their scopes).

    ``feed_upstreams`` are the upstreams whose metadata a feed publishes.
    """

    upstreams: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    institutions: frozenset[str] = frozenset()
    feed_upstreams: frozenset[str] = frozenset()

    @property
    def all_ids(self) -> frozenset[str]:
        """Return all entityIDs."""
        return self.upstreams | self.services | self.institutions


@dataclass(frozen=True, slots=True)
class WantedEntities:
    """The upstreams and services of broker.toml, by name.

    ``upstream_feeds`` are the feeds that an upstream names, ``service_feeds`` those that a service
    names. No other feed may publish its metadata.
    """

    upstreams: Mapping[str, Upstream]
    services: Mapping[str, Service]
    upstream_feeds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    service_feeds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    feeds: Sequence[Feed] = ()

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

    def list_folder_ids(self) -> WantedIds:
        """Return the entityIDs to read from the metadata folder."""
        names: set[str] = set()
        for institution in self.institutions:
            names.update(list_spellings(institution, ""))
        upstreams, services = frozenset(self.upstream_ids), frozenset(self.service_ids)
        feed_upstreams = frozenset(
            name for feed in self.feeds for name in self.list_upstream_ids(feed)
        )
        return WantedIds(upstreams, services, frozenset(names), feed_upstreams)

    def list_feed_ids(self, feed: Feed, in_folder: Collection[str]) -> set[str]:
        """Return the entityIDs that ``feed`` may publish.

        Upstreams and services ``in_folder`` are left out.
        """
        ids = {*self.list_upstream_ids(feed), *self.list_service_ids(feed)}.difference(in_folder)
        for institution in self.list_institutions(feed):
            ids.update(list_spellings(institution, feed.birk_prefix))
        return ids

    def list_upstream_ids(self, feed: Feed) -> list[str]:
        """Return the entityIDs of the upstreams that ``feed`` may publish."""
        found = self._list_parties_of(feed, UPSTREAMS, self.upstreams, self.upstream_feeds)
        return [upstream.entity_id for upstream in found if not upstream.local]

    def list_service_ids(self, feed: Feed) -> list[str]:
        """Return the entityIDs of the services that ``feed`` may publish."""
        found = self._list_parties_of(feed, SERVICES, self.services, self.service_feeds)
        return [service.entity_id for service in found]

    def list_institutions(self, feed: Feed) -> list[Institution]:
        """Return the institutions that ``feed`` may publish."""
        found = self._list_parties_of(feed, INSTITUTIONS, self.upstreams, self.upstream_feeds)
        return [institution for upstream in found for institution in upstream.institutions]

    def _list_parties_of(
        self,
        feed: Feed,
        kind: str,
        parties: Mapping[str, _Party],
        named: Mapping[str, tuple[str, ...]],
    ) -> Iterator[_Party]:
        """Yield the parties whose metadata only this feed may publish.

        The feed of a party is the first configured one that may publish its ``kind``. If the party
        names feeds, it must be one of them. If a party disappears from its feed, no other feed
        replaces it: the publisher of the other feed could set another key or ACS
        (docs/reference/attacks.md#33).
        """
        feed_names = [each.name for each in self.feeds if kind in each.speaks_for]
        for name, party in parties.items():
            allowed = named.get(name) or feed_names
            if next((each for each in feed_names if each in allowed), None) == feed.name:
                yield party
