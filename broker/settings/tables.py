"""The tables of broker.toml: which keys each may hold, their defaults, and what they become in the core."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from broker.core.entities import Assurance, Controller, Institution, Profile, Text
from broker.settings.addresses import MailUrl, StoreUrl, Url

# A name is part of a URL (/saml/sp/NAME/acs) and of an environment name, where its "-" is written "_".
NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

Name = Annotated[str, StringConstraints(pattern=rf"^{NAME.pattern}$")]
Filled = Annotated[str, StringConstraints(min_length=1)]


def _printable(value: str) -> str:
    """Refuse what would break a line: a subject of ours with one in it is never sent."""
    if not value.isprintable():
        raise ValueError("holds a line break or another character that cannot be printed")
    return value.strip()


Printed = Annotated[str, AfterValidator(_printable)]


def _assurance(value: object) -> object:
    """Read the word of the policy files; anything else is left for the type to refuse."""
    named = {each.name.lower(): each for each in Assurance}
    return named.get(value, "") if isinstance(value, str) else value


class Table(BaseModel):
    """One table of broker.toml: frozen, refusing keys it does not know, and never quoting a value in an error."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Wording(Table):
    """One text in both languages."""

    en: Filled
    da: Filled

    def text(self) -> Text:
        """Give the text as the core has it."""
        return Text(self.en, self.da)


class Links(Table):
    """One address per language."""

    en: Url
    da: Url

    def text(self) -> Text:
        """Give the addresses as the core has them."""
        return Text(self.en, self.da)


class Contact(Table):
    """Whom a borrower may ask; shown on every refusal."""

    name: Printed = ""
    email: Printed = ""
    phone: Printed = ""
    page: Links | None = None
    dpo: Printed = ""  # mail address or telephone number of the data protection officer


class PlacesTable(Table):
    """Where a person whom the broker cannot help is sent; each left out leaves its link out."""

    service_locations: Links | None = None
    sign_up: Links | None = None
    e_resources: Links | None = None
    my_loans: Links | None = None
    search_engine: Links | None = None
    subject_guides: Links | None = None
    databases: Links | None = None
    faq_hospital_da: Links | None = None


class SignUpTable(Table):
    """How people become borrowers: by the policy of which service, and which upstreams the pages speak of."""

    service: Name | None = None
    university: Name | None = None
    national_eid: Name | None = None
    eid_name: Filled = "NemID"


class IdpTable(Table):
    """Our identity provider face, as services see it."""

    entity_id: Filled | None = None
    display_name: Wording = Wording(en="Library login", da="Bibliotekets login")
    description: Wording = Wording(
        en="Sign-in to the library's services with WAYF or national eID.",
        da="Log ind på bibliotekets tjenester med WAYF eller nationalt eID.",
    )


class StoreTable(Table):
    """Where transactions, receipts and enrolments are kept."""

    url: Annotated[StoreUrl, Field(repr=False)] = "sqlite:broker.db"  # may hold a password
    accept_loss: bool = False


class InstitutionTable(Table):
    """One identity provider behind an upstream, and how far it is trusted."""

    entity_id: Filled
    aliases: tuple[Filled, ...] = ()
    scopes: tuple[Filled, ...] = ()
    may_assert: frozenset[Literal["cpr"]] = frozenset()
    max_assurance: Annotated[Assurance, BeforeValidator(_assurance)] = Assurance.HIGH
    label: Wording | None = None

    def institution(self) -> Institution:
        """Give the institution as the core has it."""
        return Institution(
            entity_id=self.entity_id,
            aliases=self.aliases,
            scopes=self.scopes,
            may_assert=frozenset(self.may_assert),
            max_assurance=self.max_assurance,
            label=self.label.text() if self.label else None,
        )


class UpstreamTable(Table):
    """One way to log in; profile "library" is the library account, and has neither entity_id nor institutions."""

    profile: Profile
    entity_id: Filled | None = None
    sp_entity_id: Filled | None = None
    attribute_map: Filled | None = None
    label: Wording
    institutions: tuple[InstitutionTable, ...] = ()
    only: tuple[Filled, ...] = ()
    cbc: bool = False
    requester_id: bool = True

    def parties(self) -> tuple[Institution, ...]:
        """Give its institutions; unless it is a hub, an upstream without any is its own (design 4)."""
        if self.institutions or self.profile in {"wayf", "library"}:
            return tuple(each.institution() for each in self.institutions)
        return (Institution(self.entity_id or ""),)


class ControllerTable(Wording):
    """Who answers for what a service gets (GDPR article 4(7))."""

    contact: str = ""

    def controller(self) -> Controller:
        """Give the controller as the core has it."""
        return Controller(self.text(), self.contact)


class ServiceTable(Table):
    """One SAML service provider of the library."""

    entity_id: Filled
    label: Wording
    description: Wording | None = None
    privacy_notice: Links | None = None
    url: Links | None = None
    methods: tuple[Name, ...] | None = None
    controller: ControllerTable | None = None
    categories: tuple[Filled, ...] = ()
    attribute_map: Filled = "library"


class LibraryTable(Table):
    """The library system; whatever key is not ours is the connector's, which checks it itself."""

    system: Filled
    mode: Literal["live", "observe", "frozen"] = "live"
    url: Url
    settings: Annotated[dict[str, Any], Field(repr=False)] = {}  # holds the connector's secrets

    @model_validator(mode="before")
    @classmethod
    def _sort(cls, given: object) -> object:
        """Put the connector's keys into ``settings``, which can not be written as such."""
        if not isinstance(given, Mapping):
            return given
        ours = {"system", "mode", "url"}
        return {key: value for key, value in given.items() if key in ours} | {
            "settings": {key: value for key, value in given.items() if key not in ours}
        }

    def given(self) -> dict[str, Any]:
        """Give what the connector's settings type is built from: its own keys and the address."""
        return {"url": self.url} | self.settings


class MailTable(Table):
    """The mail server that PINs and codes leave by."""

    url: Annotated[MailUrl, Field(repr=False)]  # may hold a password
    sender: Filled
    username: str | None = None
    password: SecretStr | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password are given together or not at all")
        return self


class ServeTable(Table):
    """How ``broker serve`` listens."""

    bind: Filled = "127.0.0.1:8000"
    workers: Annotated[int, Field(ge=1, le=64)] = 2
    threads: Annotated[int, Field(ge=2, le=64)] = 4  # a request may wait for the library on half of them (design 4c)
    proxies: Annotated[int, Field(ge=0, le=8)] = 0  # how many in front of us add to X-Forwarded-For, and can be trusted
