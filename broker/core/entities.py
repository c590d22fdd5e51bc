"""The entities of a login: upstreams, their institutions, services; and levels of assurance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, Literal

PERSISTENT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
UNSPECIFIED: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
EMAIL: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
UNSPECIFIED_CLASS: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"

Names = tuple[str, ...]

# library: no SAML, the library system itself verifies a borrower's number and PIN
Profile = Literal["wayf", "saml", "oiosaml3", "library"]
# How assertions are encrypted: with AES-GCM, with AES-CBC, or not at all.
Encryption = Literal["gcm", "cbc", "none"]


@dataclass(frozen=True, slots=True)
class Text:
    """One text in the two languages of the library."""

    en: str
    da: str

    def __getitem__(self, language: str) -> str:
        """Return the text in ``language``; Danish where it is neither "en" nor "da"."""
        return self.en if language == "en" else self.da


class Assurance(IntEnum):
    """The level of assurance, one order for WAYF's numbers and NSIS levels.

    Source: docs/reference/design.md#assurance.
    """

    SELF_ASSERTED = 1
    LOW = 2
    SUBSTANTIAL = 3
    HIGH = 4

    @classmethod
    def parse(cls, name: str) -> "Assurance":
        """Return the level that a policy file spells "self_asserted" ... "high".

        Raises KeyError for any other text.
        """
        return cls[name.upper()]


@dataclass(frozen=True, slots=True)
class Institution:
    """One identity provider behind an upstream.

    Its entity ID, other spellings of it, and what it may assert.
    """

    entity_id: str
    aliases: Names = ()
    scopes: Names = ()
    may_assert: frozenset[str] = frozenset()  # "cpr", "alumni_cpr": core/identity/rights.py
    max_assurance: Assurance = Assurance.HIGH
    # The assurance of a login without eduPersonAssurance; None for none.
    assurance: Assurance | None = None
    label: Text | None = None
    # only the national eID's cprUuid is believed (docs/reference/design.md#find-by-cpr)
    national_eid: bool = False
    # "aliases", "scopes": not written in broker.toml and so left to its metadata in a pinned feed;
    # the scopes to its metadata in the folder only where broker.toml says so in a word.
    unwritten: frozenset[str] = field(default=frozenset(), compare=False)
    folder_scopes: bool = field(default=False, compare=False)

    def is_known_as(self, name: str) -> bool:
        """Return whether ``name`` (an AuthenticatingAuthority) is this institution."""
        return name == self.entity_id or name in self.aliases


@dataclass(frozen=True, slots=True)
class Upstream:
    """One way to log in."""

    name: str
    profile: Profile
    entity_id: str
    sp_entity_id: str
    attribute_map: str
    label: Text
    institutions: tuple[Institution, ...] = ()
    only: Names = ()  # entityIDs put into Scoping; empty means all institutions
    # "cbc": AES-CBC is decrypted too (docs/reference/attacks.md#23). "none": our descriptor has no
    # encryption key.
    encryption: Encryption = "gcm"
    requester_id: bool = True
    subject_hint: bool = False  # whether it gets the user name that the service expects
    logout: Literal["ask", "always", "never"] = "ask"  # whether a logout goes on to this upstream
    force_authn: bool = False  # every AuthnRequest demands a fresh login there
    # For classes that services ask for, those of this upstream that are as good
    # (docs/reference/saml-profiles.md#15).
    meets: Mapping[str, Names] = field(default_factory=dict)
    least: Assurance = Assurance.SUBSTANTIAL  # profile oiosaml3: below this level nobody is let in

    @property
    def local(self) -> bool:
        """Return whether the library system verifies the person, by a borrower's number and PIN."""
        return self.profile == "library"

    @property
    def national_eid(self) -> bool:
        """Return whether the national eID answers here, for all people or for some."""
        return any(institution.national_eid for institution in self.institutions)

    @property
    def is_national_eid(self) -> bool:
        """Return whether only the national eID answers here: no hub with other logins too."""
        return bool(self.institutions) and all(each.national_eid for each in self.institutions)

    def institution(self, authority: str) -> Institution | None:
        """Find the institution that ``authority`` names, by entityID or alias."""
        for institution in self.institutions:
            if institution.is_known_as(authority):
                return institution
        return None

    def idp_list(self) -> Names:
        """Return the entityIDs that an AuthnRequest to this upstream names in its IDPList."""
        return self.only or tuple(institution.entity_id for institution in self.institutions)


@dataclass(frozen=True, slots=True)
class Controller:
    """The data controller (GDPR article 4(7)) of a service, as the consent screen names it."""

    name: Text
    contact: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A SAML service provider of the library, as broker.toml and its metadata describe it."""

    name: str
    entity_id: str
    label: Text
    methods: Names  # upstreams a person may use, in the order shown
    controller: Controller | None = None
    categories: Names = ()
    description: Text | None = None
    privacy_notice: Text | None = None
    url: Text | None = None  # its start page, for the way back after a sign-up
    # Assertions are encrypted. Without that no CPR leaves (docs/reference/design.md#invariant-4).
    encrypts: bool = False
    encryption: Encryption | None = None  # as broker.toml states it; None: as its metadata lists
    attribute_map: str = "library"
    scope: str | None = None  # of the identifiers that we make for people; without one none is made
    requires: frozenset[str] = frozenset()  # Names on the wire that its metadata marks as required
    required: frozenset[str] | None = None  # the same in our names; None: not looked at
    # which of those identifiers its metadata wants: subject-id, pairwise-id, any or none
    subject_id_req: str | None = None
