"""The tables of broker.toml about other parties: upstreams, services, and metadata feeds."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, FilePath

from broker.configuration.settings.value_types import (
    AddressPerLanguage,
    EntityId,
    FeedUrl,
    Filled,
    Name,
    SettingsTable,
    Wording,
    optional_text,
)
from broker.core.entities import (
    UNSPECIFIED_CLASS,
    Assurance,
    Controller,
    Encryption,
    Institution,
    Profile,
)
from broker.core.identity.attribute_values import lower_scope

# NemLog-in as an institution of WAYF, by its own name or as the BIRK entity that ends in it, and
# NemLog-in itself.
_NATIONAL_EID_HOSTS: Final = ("nemlogin.wayf.dk", "nemlog-in.dk")
_URI_DELIMITERS: Final = re.compile("[/:?#]")
_ASSURANCES: Final = {level.name.lower(): level for level in Assurance}
_UNWRITTEN: Final = frozenset(("aliases", "scopes"))

_PUBLISHED: Final = ("metadata",)

FilledList = tuple[Filled, ...]
FeedKind = Literal["upstreams", "institutions", "services"]


def _read_assurance(value: object) -> object:
    """Read the word of the policy files. The type refuses all others."""
    if isinstance(value, str):
        return _ASSURANCES.get(value, "")
    return value


def _refuse_unspecified(value: str) -> str:
    """Refuse the class that says nothing."""
    if value == UNSPECIFIED_CLASS:
        raise ValueError("says nothing of how the person was authenticated, so it meets no class")
    return value


def _read_published(value: object) -> object:
    """Read the word "metadata": the scopes are those of the descriptor."""
    return _PUBLISHED if value == "metadata" else value


def _read_several(value: object) -> object:
    """Read one name as a list of one."""
    return (value,) if isinstance(value, str) else value


PublishedOrListed = Annotated[FilledList, BeforeValidator(_read_published)]
OneOrSeveral = Annotated[tuple[Name, ...], BeforeValidator(_read_several)]
Level = Annotated[Assurance, BeforeValidator(_read_assurance)]
AuthnContextClass = Annotated[Filled, AfterValidator(_refuse_unspecified)]


class InstitutionTable(SettingsTable):
    """An identity provider behind an upstream, and what it may assert."""

    entity_id: Filled
    aliases: FilledList | None = None
    scopes: PublishedOrListed | None = None
    may_assert: frozenset[Literal["cpr", "alumni_cpr"]] = frozenset()
    max_assurance: Level = Assurance.HIGH
    assurance: Literal["low"] | None = None  # of a login without eduPersonAssurance
    label: Wording | None = None

    def institution(self, *, national_eid: bool = False) -> Institution:
        """Return the institution as a value of the core.

        ``national_eid`` says that its upstream is the national eID, whatever its names are.
        """
        published = self.scopes == _PUBLISHED
        scopes = None if published else self.scopes
        lists = {"aliases": self.aliases, "scopes": scopes}
        unwritten = [name for name, written in lists.items() if written is None]
        return Institution(
            entity_id=self.entity_id,
            aliases=self.aliases or (),
            scopes=tuple(map(lower_scope, scopes or ())),
            may_assert=frozenset(self.may_assert),
            max_assurance=self.max_assurance,
            assurance=Assurance.LOW if self.assurance else None,
            label=optional_text(self.label),
            national_eid=national_eid or any(map(names_national_eid, self.names())),
            unwritten=frozenset(unwritten),
            folder_scopes=published,
        )

    def names(self) -> tuple[str, ...]:
        """Return the entityID and the aliases."""
        return (self.entity_id, *(self.aliases or ()))


class UpstreamTable(SettingsTable):
    """A way to log in. Profile "library" is the library account and has no institutions."""

    profile: Profile
    entity_id: EntityId | None = None
    sp_entity_id: EntityId | None = None
    attribute_map: Filled | None = None
    label: Wording
    institutions: tuple[InstitutionTable, ...] = ()
    feed: OneOrSeveral = ()  # the feeds that may describe it, one for each kind
    only: FilledList = ()
    encryption: Encryption = "gcm"
    requester_id: bool | None = None  # default: not for profile oiosaml3
    subject_hint: bool = False
    logout: Literal["ask", "always", "never"] = "ask"
    authn_contexts: dict[Filled, tuple[AuthnContextClass, ...]] = Field(default_factory=dict)

    @property
    def sends_requester_id(self) -> bool:
        """Return whether requests name the services that asked."""
        if self.requester_id is None:
            return self.profile != "oiosaml3"
        return self.requester_id

    @property
    def national(self) -> bool:
        """Return whether the national eID answers here, for all people or for some.

        Each of our requests then asks for a fresh login. WAYF asks NemLog-in for one only for
        services that publish no logout (docs/reference/wayf.md#force-authn). Without a fresh login
        the session of another person at the same computer could answer.
        """
        if self.profile == "oiosaml3":
            return True
        return any(map(names_national_eid, self._names()))

    def _names(self) -> Iterator[str]:
        yield self.entity_id or ""
        for institution in self.institutions:
            yield from institution.names()

    def core_institutions(self) -> tuple[Institution, ...]:
        """Return the institutions as values of the core.

        An upstream without institutions is its own institution, unless it is a hub
        (docs/reference/design.md#institutions).
        """
        if self.institutions or self.profile in {"wayf", "library"}:
            direct = self.profile == "oiosaml3"
            return tuple(table.institution(national_eid=direct) for table in self.institutions)
        entity_id = self.entity_id or ""
        return (Institution(entity_id, national_eid=self.national, unwritten=_UNWRITTEN),)


def names_national_eid(entity_id: str) -> bool:
    """Return whether an entityID or alias is that of the national eID."""
    for part in _URI_DELIMITERS.split(entity_id.casefold()):
        for host in _NATIONAL_EID_HOSTS:
            if f".{part}".endswith(f".{host}"):
                return True
    return False


class ControllerTable(Wording):
    """The controller of the data that a service gets (GDPR article 4(7))."""

    contact: str = ""

    def controller(self) -> Controller:
        """Return the controller as a value of the core."""
        return Controller(self.text(), self.contact)


class ServiceTable(SettingsTable):
    """A SAML service provider of the library."""

    entity_id: EntityId
    label: Wording
    description: Wording | None = None
    privacy_notice: AddressPerLanguage | None = None
    url: AddressPerLanguage | None = None
    methods: tuple[Name, ...] | None = None
    controller: ControllerTable | None = None
    categories: FilledList = ()
    attribute_map: Filled = "library"
    feed: OneOrSeveral = ()  # the feed that may speak for it
    encryption: Encryption | None = None  # by default the first that its metadata lists


def _not_empty(kinds: frozenset[FeedKind]) -> frozenset[FeedKind]:
    """Refuse a feed that may describe nothing."""
    if not kinds:
        what = 'names nothing; leave it out, or list "upstreams", "institutions" or "services"'
        raise ValueError(what)
    return kinds


class FeedTable(SettingsTable):
    """A signed feed, or with ``mdq`` a service that is queried for each entity.

    ``pins`` are files with the certificate or public key that signs the feed. There are two while
    the publisher changes its key.
    """

    url: FeedUrl
    pins: tuple[Path, ...] = Field(min_length=1, max_length=2)
    mdq: bool = False
    speaks_for: Annotated[frozenset[FeedKind], AfterValidator(_not_empty)] = frozenset(
        ("upstreams", "institutions", "services")
    )
    window_days: int = Field(default=14, ge=1, le=90)
    ca_file: FilePath | None = None

    @property
    def window(self) -> timedelta:
        """Return how far in the future ``validUntil`` may be."""
        return timedelta(days=self.window_days)
