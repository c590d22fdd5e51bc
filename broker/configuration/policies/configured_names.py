"""The names of a configuration that policies may use; where none are known, any will do."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.core.entities import Names, Service, Upstream
from broker.core.identity.canonical_attributes import AttributeMap


@dataclass(frozen=True, slots=True)
class NameableInPolicies:
    """The services, attributes and upstreams that policies may name; None where any name will do.

    With ``configured`` and ``maps`` the services as they are configured, and the attributes that
    they read, are compared with the releases to them. ``upstreams`` that are values of the core,
    and not names alone, say which scopes may come by them. ``borrower_fields`` are those that the
    library system's connector can write, ``desk_categories`` the borrower categories that staff
    make and no policy does, ``person_register`` whether one is configured. ``site_rules`` is the
    file of the rules that a proposed set is held against; None where it is not.
    """

    services: Collection[str] | None = None
    attributes: Collection[str] | None = None
    configured: Mapping[str, Service] | None = None
    maps: Mapping[str, AttributeMap] | None = None
    upstreams: Collection[str] | None = None
    borrower_fields: Collection[str] | None = None
    desk_categories: Names | None = None
    person_register: bool | None = None
    site_rules: Path | None = None

    @property
    def upstream_values(self) -> Iterator[Upstream]:
        """Yield the upstreams of which more than the name is known."""
        known = self.upstreams if isinstance(self.upstreams, Mapping) else {}
        yield from known.values()


ANY_NAMES: Final = NameableInPolicies()
