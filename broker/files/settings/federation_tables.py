"""The tables of broker.toml that name upstreams and services, and what they become in the core.

The tables of broker.toml that name feeds of metadata: where from, signed by whom, believed about what.
"""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from broker.core.entities import UNSPECIFIED_CLASS, Assurance, Controller, Institution, Profile
from broker.files.settings.address_types import EntityId, FeedUrl
from broker.files.settings.tables import AddressPerLanguage, Filled, Name, SettingsTable, Wording


def _assurance(value: object) -> object:
    """Read the word of the policy files; anything else is left for the type to refuse."""
    named = {each.name.lower(): each for each in Assurance}
    return named.get(value, "") if isinstance(value, str) else value


def _says_something(value: str) -> str:
    """Refuse the class that stands for one we would not vouch for: it would be good for whatever was configured."""
    if value == UNSPECIFIED_CLASS:
        raise ValueError("says nothing of how the person was authenticated, so it meets no class")
    return value


Class = Annotated[Filled, AfterValidator(_says_something)]


# NemLog-in as an institution of WAYF, by its own name or as the BIRK entity that ends in it, and
# NemLog-in itself.
_NATIONAL: Final = ("nemlogin.wayf.dk", "nemlog-in.dk")
_BETWEEN: Final = re.compile("[/:?#]")


def _national(entity_id: str) -> bool:
    parts = _BETWEEN.split(entity_id.casefold())
    return any(part == name or part.endswith(f".{name}") for part in parts for name in _NATIONAL)


class InstitutionTable(SettingsTable):
    """One identity provider behind an upstream, and how far it is trusted."""

    entity_id: Filled
    aliases: tuple[Filled, ...] | None = None
    scopes: tuple[Filled, ...] | None = None
    may_assert: frozenset[Literal["cpr"]] = frozenset()
    max_assurance: Annotated[Assurance, BeforeValidator(_assurance)] = Assurance.HIGH
    label: Wording | None = None

    def institution(self) -> Institution:
        """Give the institution as the core has it."""
        return Institution(
            entity_id=self.entity_id,
            aliases=self.aliases or (),
            scopes=self.scopes or (),
            may_assert=frozenset(self.may_assert),
            max_assurance=self.max_assurance,
            label=self.label.text() if self.label else None,
            unwritten=frozenset(
                name for name in ("aliases", "scopes") if getattr(self, name) is None
            ),
        )


class UpstreamTable(SettingsTable):
    """One way to log in; profile "library" is the library account, and has neither entity_id nor institutions."""

    profile: Profile
    entity_id: EntityId | None = None
    sp_entity_id: EntityId | None = None
    attribute_map: Filled | None = None
    label: Wording
    institutions: tuple[InstitutionTable, ...] = ()
    only: tuple[Filled, ...] = ()
    cbc: bool = False
    requester_id: bool | None = (
        None  # by default where the upstream is a hub, or another of the federation
    )
    logout: Literal["ask", "always", "never"] = "ask"
    force_authn: bool | None = None  # by default where the national eID is asked
    authn_contexts: dict[Filled, tuple[Class, ...]] = Field(default_factory=dict)
    minimum: Annotated[Assurance | None, BeforeValidator(_assurance)] = None
    assurance_level: bool = False

    @property
    def forces(self) -> bool:
        """Say whether every request asks for a fresh login.

        WAYF does so at NemLog-in for services that publish no logout, and leaves it to those that
        do (wayf.md section 4); a national eID is shared by no two people as long as each logs in
        for themselves.
        """
        return self.national if self.force_authn is None else self.force_authn

    @property
    def national(self) -> bool:
        """Say whether the national eID answers here, for all or for some."""
        names = [self.entity_id or ""]
        names += [
            name for each in self.institutions for name in (each.entity_id, *(each.aliases or ()))
        ]
        return self.profile == "oiosaml3" or any(map(_national, names))

    def parties(self) -> tuple[Institution, ...]:
        """Give its institutions; unless it is a hub, an upstream without any is its own (design 4)."""
        if self.institutions or self.profile in {"wayf", "library"}:
            return tuple(each.institution() for each in self.institutions)
        return (Institution(self.entity_id or "", unwritten=frozenset(("aliases", "scopes"))),)


class ControllerTable(Wording):
    """Who answers for what a service gets (GDPR article 4(7))."""

    contact: str = ""

    def controller(self) -> Controller:
        """Give the controller as the core has it."""
        return Controller(self.text(), self.contact)


class ServiceTable(SettingsTable):
    """One SAML service provider of the library."""

    entity_id: EntityId
    label: Wording
    description: Wording | None = None
    privacy_notice: AddressPerLanguage | None = None
    url: AddressPerLanguage | None = None
    methods: tuple[Name, ...] | None = None
    controller: ControllerTable | None = None
    categories: tuple[Filled, ...] = ()
    attribute_map: Filled = "library"


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
