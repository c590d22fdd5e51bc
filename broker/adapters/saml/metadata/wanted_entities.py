"""The upstreams and services of the configuration, and which feed may speak for each."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from broker.adapters.saml.feeds.feed_fetch import Feed
from broker.adapters.saml.metadata.folder_files import WantedIds
from broker.adapters.saml.metadata.published_scopes import spellings
from broker.core.entities import Institution, Service, Upstream

UPSTREAMS: Final = "upstreams"
INSTITUTIONS: Final = "institutions"
SERVICES: Final = "services"


@dataclass(frozen=True, slots=True)
class WantedEntities:
    """The upstreams and services as broker.toml describes them, by name.

    ``named_feeds`` are the feeds that an upstream names, by its name, and ``service_feeds`` those
    that a service names: no other speaks for it.
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

    def in_folder(self, feeds: Sequence[Feed]) -> WantedIds:
        """Return what is read of the metadata folder beside these feeds."""
        names: set[str] = set()
        for institution in self.institutions:
            names.update(spellings(institution, ""))
        upstreams, services = frozenset(self.upstream_ids), frozenset(self.service_ids)
        fed = frozenset(name for feed in feeds for name in self.upstreams_of(feed, feeds))
        return WantedIds(upstreams, services, frozenset(names), fed)

    def upstreams_of(self, feed: Feed, feeds: Sequence[Feed]) -> list[str]:
        """Return the entityIDs of the upstreams that a feed speaks for, of all ``feeds``."""
        found = self._spoken_for(feed, feeds, UPSTREAMS)
        return [upstream.entity_id for upstream in found if not upstream.local]

    def services_of(self, feed: Feed, feeds: Sequence[Feed]) -> list[str]:
        """Return the entityIDs of the services that a feed speaks for, of all ``feeds``.

        A feed that loses one leaves it without: another's publisher would give it an ACS and an
        encryption key of their own.
        """
        speakers = [each.name for each in feeds if SERVICES in each.speaks_for]
        found = []
        for name, service in self.services.items():
            if _speaker(speakers, self.service_feeds.get(name, ())) == feed.name:
                found.append(service.entity_id)
        return found

    def institutions_of(self, feed: Feed, feeds: Sequence[Feed]) -> list[Institution]:
        """Return the institutions that a feed speaks for, of all ``feeds``."""
        found = self._spoken_for(feed, feeds, INSTITUTIONS)
        return [institution for upstream in found for institution in upstream.institutions]

    def _spoken_for(
        self, feed: Feed, feeds: Sequence[Feed], kind: Literal["upstreams", "institutions"]
    ) -> Iterator[Upstream]:
        """Yield the upstreams whose one speaker of a kind is this feed.

        There is one for each, whatever it holds at the moment: once it loses an upstream, the
        publisher of another would give that a key of their own (docs/reference/attacks.md#33).
        """
        speakers = [each.name for each in feeds if kind in each.speaks_for]
        for name, upstream in self.upstreams.items():
            if _speaker(speakers, self.named_feeds.get(name, ())) == feed.name:
                yield upstream


def _speaker(speakers: Sequence[str], named: Collection[str]) -> str | None:
    """Return the one that speaks: the first of those named, or of all where none is named."""
    return next((each for each in speakers if not named or each in named), None)
