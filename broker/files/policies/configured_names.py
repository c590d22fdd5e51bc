"""The names of a configuration that policies may use; where none are known, any will do."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from broker.core.entities import Names, Service
from broker.core.identity.canonical_attributes import AttributeMap


@dataclass(frozen=True, slots=True)
class NameableInPolicies:
    """The services, attributes and upstreams that policies may name; None where any name will do.

    With ``configured`` and ``maps`` the services as they are configured, and the attributes that
    they read, are compared with the releases to them. ``upstreams`` that are values of the core,
    and not names alone, say which scopes may come by them. ``borrower_fields`` are those that the
    library system's connector can write, ``desk_categories`` the borrower categories that staff
    make and no policy does.
    """

    services: Collection[str] | None = None
    attributes: Collection[str] | None = None
    configured: Mapping[str, Service] | None = None
    maps: Mapping[str, AttributeMap] | None = None
    upstreams: Collection[str] | None = None
    borrower_fields: Collection[str] | None = None
    desk_categories: Names | None = None


ANY_NAMES: Final = NameableInPolicies()
