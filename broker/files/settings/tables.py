"""The tables of broker.toml: which keys each may hold, their defaults, and what they become in the core."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from broker.core.entities import Text
from broker.files.settings.address_types import AttributeScope, EntityId, MailUrl, StoreUrl, Url

# A name is part of a URL (/saml/sp/NAME/acs) and of an environment name, where its "-" is written
# "_".
NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

Name = Annotated[str, StringConstraints(pattern=rf"^{NAME.pattern}$")]
Filled = Annotated[str, StringConstraints(min_length=1)]


def _printable(value: str) -> str:
    """Refuse what would break a line: a subject of ours with one in it is never sent."""
    if not value.isprintable():
        raise ValueError("holds a line break or another character that cannot be printed")
    return value.strip()


Printed = Annotated[str, AfterValidator(_printable)]


class SettingsTable(BaseModel):
    """One table of broker.toml: frozen, refusing keys it does not know, and never quoting a value in an error."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True
    )


class Wording(SettingsTable):
    """One text in both languages."""

    en: Filled
    da: Filled

    def text(self) -> Text:
        """Give the text as the core has it."""
        return Text(self.en, self.da)


class AddressPerLanguage(SettingsTable):
    """One address per language."""

    en: Url
    da: Url

    def text(self) -> Text:
        """Give the addresses as the core has them."""
        return Text(self.en, self.da)


class Contact(SettingsTable):
    """Whom a borrower may ask; shown on every refusal."""

    name: Printed = ""
    email: Printed = ""
    phone: Printed = ""
    page: AddressPerLanguage | None = None
    dpo: Printed = ""  # mail address or telephone number of the data protection officer


class PlacesTable(SettingsTable):
    """Where a person whom the broker cannot help is sent; each left out leaves its link out."""

    service_locations: AddressPerLanguage | None = None
    sign_up: AddressPerLanguage | None = None
    e_resources: AddressPerLanguage | None = None
    my_loans: AddressPerLanguage | None = None
    search_engine: AddressPerLanguage | None = None
    subject_guides: AddressPerLanguage | None = None
    databases: AddressPerLanguage | None = None
    faq_hospital_da: AddressPerLanguage | None = None


class SignUpTable(SettingsTable):
    """How people become borrowers: by the policy of which service, and which upstreams the pages speak of."""

    service: Name | None = None
    university: Name | None = None
    national_eid: Name | None = None
    eid_name: Filled = "NemID"


class IdpTable(SettingsTable):
    """Our identity provider face, as services see it."""

    entity_id: EntityId | None = None
    scope: AttributeScope | None = None
    display_name: Wording | None = None
    description: Wording | None = None


class StoreTable(SettingsTable):
    """Where transactions, receipts and enrolments are kept."""

    url: Annotated[StoreUrl, Field(repr=False)] = "sqlite:broker.db"  # may hold a password
    accept_loss: bool = False


class AuditTable(SettingsTable):
    """The audit trail: where it is kept, and whether an assertion may leave that is not on it."""

    on: bool = True
    folder: Filled = "audit"
    required: bool = True
    sync: bool = True


class LibraryTable(SettingsTable):
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


class MailTable(SettingsTable):
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


class MessageLogTable(SettingsTable):
    """Where messages with NemLog-in are kept for 180 days, sealed to a key whose private half is elsewhere."""

    folder: Path
    public_key: Path
    upstreams: tuple[Name, ...] | None = None  # every one of profile oiosaml3, where none is named
    required: bool = True  # a message that cannot be kept goes nowhere


class ServeTable(SettingsTable):
    """How ``broker serve`` listens."""

    bind: Filled = "127.0.0.1:8000"
    workers: Annotated[int, Field(ge=1, le=64)] = 2
    threads: Annotated[int, Field(ge=2, le=64)] = (
        4  # a request may wait for the library on half of them (design 4c)
    )
    metrics_token: SecretStr | None = None  # without it, this machine alone reads /metrics
    proxies: Annotated[int, Field(ge=0, le=8)] = (
        0  # how many in front of us add to X-Forwarded-For, and can be trusted
    )
