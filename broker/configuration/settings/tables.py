"""The tables of broker.toml: keys, types and defaults, and their values for the core."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from broker.configuration.checked_files import Span
from broker.configuration.settings.value_types import (
    AddressPerLanguage,
    AttributeScope,
    BindAddress,
    EntityId,
    Filled,
    LinkName,
    MailUrl,
    Name,
    Network,
    Printed,
    PrintedWording,
    SettingsTable,
    StoreUrl,
    Url,
    Wording,
)
from broker.core.entities import Assurance, Text
from broker.core.staff.staff_rules import StaffRole, StaffRules, eppn_fault


def _check_trust(trust: timedelta) -> timedelta:
    """Refuse more than a day."""
    if trust > timedelta(days=1):
        raise ValueError("must be a day at most")
    return trust


Trust = Annotated[Span, AfterValidator(_check_trust)]


class Contact(SettingsTable):
    """The library's contact, shown on every refusal."""

    name: Printed | PrintedWording = ""  # one name, or one in each language
    email: Printed = ""
    phone: Printed = ""
    page: AddressPerLanguage | None = None
    dpo: Printed = ""  # mail address or telephone number of the data protection officer

    def library_name(self) -> Text | None:
        """Return the library's name in both languages; None if none is written."""
        if isinstance(self.name, PrintedWording):
            return self.name.text()
        return Text(self.name, self.name) if self.name else None


class RecordTable(SettingsTable):
    """Answers for the record of processing activities (GDPR article 30(1)).

    No decision uses them. ``broker policy report`` asks for missing ones.
    """

    joint_controllers: Wording | None = None
    security: Wording | None = None  # measures in addition to the broker's
    # By the name of a service, "library_system" or "mail_server".
    receivers: dict[str, Wording] = Field(default_factory=dict)


class PlacesTable(SettingsTable):
    """Pages of the library that the broker links to. A page that is left out has no link."""

    service_locations: AddressPerLanguage | None = None
    sign_up: AddressPerLanguage | None = None
    e_resources: AddressPerLanguage | None = None
    loan_terms: AddressPerLanguage | None = None


class SignUpTable(SettingsTable):
    """How people become borrowers: the service whose policy decides, and the upstreams."""

    service: Name | None = None
    university: Name | None = None
    national_eid: Name | None = None  # its label is what pages call the national eID
    links: dict[LinkName, AddressPerLanguage] = Field(default_factory=dict)  # of its texts


class IdpTable(SettingsTable):
    """Our identity provider, as services see it."""

    entity_id: EntityId | None = None
    scope: AttributeScope | None = None
    display_name: Wording | None = None


class StoreTable(SettingsTable):
    """The store of transactions, receipts and enrolments."""

    url: Annotated[StoreUrl, Field(repr=False)]  # may hold a password
    accept_loss: bool = False


def _eppn(value: str) -> str:
    """Refuse a text that no login can have as its eppn."""
    fault = eppn_fault(value)
    if fault:
        raise ValueError(fault)
    return value


Eppn = Annotated[str, AfterValidator(_eppn)]


class AdminTable(SettingsTable):
    """The staff view: where staff log in, who is listed, and which pages they see."""

    institution: EntityId
    assurance: Literal["low", "substantial", "high"] = "substantial"
    roles: dict[StaffRole, tuple[Eppn, ...]]

    def rules(self, upstream: str) -> StaffRules:
        """Return the table as a value of the core; ``upstream`` is that of the institution."""
        roles: dict[str, frozenset[StaffRole]] = {}
        for role, eppns in self.roles.items():
            for eppn in eppns:
                roles[eppn] = roles.get(eppn, frozenset()) | {role}
        least = Assurance.parse(self.assurance)
        return StaffRules(upstream, self.institution, roles, least)


class ConnectorTable(SettingsTable):
    """An external system. Its connector checks the keys that are not listed here."""

    system: Filled
    # The keys of the connector, with its secrets.
    settings: dict[str, Any] = Field(default_factory=dict, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _separate_settings(cls, given: object) -> object:
        """Move the keys of the connector into ``settings``, which is not a key of the file."""
        if not isinstance(given, Mapping):
            return given
        settings = dict(given)
        table: dict[str, object] = {"settings": settings}
        for key in cls.model_fields.keys() - {"settings"}:
            if key in settings:
                table[key] = settings.pop(key)
        return table


NUMBER_PLACE: Final = "{number}"


def _has_number_place(value: str) -> str:
    """Refuse an address without the place of the borrower number."""
    if NUMBER_PLACE not in value:
        raise ValueError(f"has no {NUMBER_PLACE}, the place of the borrower number")
    return value


StaffUrl = Annotated[Url, AfterValidator(_has_number_place)]


class LibraryTable(ConnectorTable):
    """The library system."""

    mode: Literal["live", "frozen"] = "live"
    url: Url
    staff_url: StaffUrl | None = None  # a borrower's page for staff, with {number} in it
    trust_for: Trust = timedelta(minutes=10)
    # Connections to the library system per process, and enrolments at a time.
    connections: int = Field(default=2, ge=1, le=64)
    # More borrower categories that may choose a PIN here. Never that of staff accounts.
    pin_categories: tuple[Filled, ...] = ()

    def connector_settings(self) -> dict[str, Any]:
        """Return the fields of the connector's settings type: its own keys and the address."""
        return {"url": self.url, "connections": self.connections} | self.settings


class LibraryAccountTable(SettingsTable):
    """Logins with the library account: when a mailed code is needed in addition to the PIN."""

    mail_code: Literal["unknown_browsers", "always", "never"] = "unknown_browsers"


class RegisterTable(ConnectorTable):
    """The register of persons."""


class MailTable(SettingsTable):
    """The mail server for links and codes."""

    url: Annotated[MailUrl, Field(repr=False)]  # may hold a password
    sender: Filled
    username: str | None = None
    password: SecretStr | None = None
    accept_plain: bool = False  # smtp:// to another machine over a trusted network

    @model_validator(mode="after")
    def _username_and_password(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password are given together or not at all")
        return self


class MessageLogTable(SettingsTable):
    """Messages with NemLog-in are stored for 180 days, encrypted to a key held elsewhere."""

    public_key: Path


Beginnings = Annotated[int, Field(ge=1, le=1_000_000)]


class LimitsTable(SettingsTable):
    """How many logins may begin in a minute, in each worker."""

    beginnings: int = Field(default=600, ge=10, le=1_000_000)  # from one network
    # By the network of many people, which has another limit.
    campuses: dict[Network, Beginnings] = Field(default_factory=dict)


class ServeTable(SettingsTable):
    """How ``broker serve`` listens."""

    bind: BindAddress = "127.0.0.1:8000"
    workers: int = Field(default=2, ge=1, le=64)
    # Half of them may wait for the library system (docs/reference/design.md#waiting).
    threads: int = Field(default=4, ge=2, le=64)
    metrics_token: SecretStr | None = None  # without it, only this machine can read /metrics
    # The number of trusted proxies that add to X-Forwarded-For.
    proxies: int = Field(default=0, ge=0, le=8)
