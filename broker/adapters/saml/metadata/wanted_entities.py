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
    """The entityIDs to read: of upstreams, of services, and of institutions (for scopes).

    ``fed`` is the upstreams whose metadata a feed publishes.
    """

    upstreams: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    institutions: frozenset[str] = frozenset()
    fed: frozenset[str] = frozenset()

    @property
    def every(self) -> frozenset[str]:
        """Return all entityIDs."""
        return self.upstreams | self.services | self.institutions


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
        fed = frozenset(name for feed in self.feeds for name in self.upstreams_of(feed))
        return WantedIds(upstreams, services, frozenset(names), fed)

    def list_feed_ids(self, feed: Feed, local: Collection[str]) -> set[str]:
        """Return the entityIDs that ``feed`` may publish; ``local`` is parties of the folder."""
        ids = {*self.upstreams_of(feed), *self.services_of(feed)}.difference(local)
        for institution in self.institutions_of(feed):
            ids.update(list_spellings(institution, feed.birk))
        return ids

    def upstreams_of(self, feed: Feed) -> list[str]:
        """Return the entityIDs of the upstreams that ``feed`` may publish."""
        found = self._list_parties(feed, UPSTREAMS, self.upstreams, self.named_feeds)
        return [upstream.entity_id for upstream in found if not upstream.local]

    def services_of(self, feed: Feed) -> list[str]:
        """Return the entityIDs of the services that ``feed`` may publish."""
        found = self._list_parties(feed, SERVICES, self.services, self.service_feeds)
        return [service.entity_id for service in found]

    def institutions_of(self, feed: Feed) -> list[Institution]:
        """Return the institutions that ``feed`` may publish."""
        found = self._list_parties(feed, INSTITUTIONS, self.upstreams, self.named_feeds)
        return [institution for upstream in found for institution in upstream.institutions]

    def _list_parties(
        self,
        feed: Feed,
        kind: str,
        parties: Mapping[str, _Party],
        named: Mapping[str, tuple[str, ...]],
    ) -> Iterator[_Party]:
        """Yield the parties that only this feed may publish: the first that may, and is named.

        If that feed loses a party, no other feed replaces it: its publisher could set another key,
        ACS or encryption key (docs/reference/attacks.md#33).
        """
        feed_names = [each.name for each in self.feeds if kind in each.speaks_for]
        for name, party in parties.items():
            allowed = named.get(name) or feed_names
            if next((each for each in feed_names if each in allowed), None) == feed.name:
                yield party
