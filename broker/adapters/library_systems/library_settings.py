"""The settings of library systems: keys that all have in common, and how one is opened."""

import ssl
from collections.abc import Mapping
from typing import ClassVar, Final, Protocol, Self, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from broker.adapters import connectors
from broker.adapters.connectors import LOOPBACK, ConnectorKeys, check_address
from broker.adapters.library_systems.sip2 import PinMachine, Sip2Account, Sip2Client
from broker.core.borrowers.library_system import LibraryCallObserver
from broker.core.ports import LibrarySystem


class Sip2Keys(BaseModel):
    """The keys of ``[library.sip2]``: the account with which a self-service machine checks a PIN.

    ``location`` is sent as institution and as location. SIP2 is plain text, so it needs ``tls``
    unless the host is loopback (a tunnel).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = Field(min_length=1)
    port: int = Field(6001, ge=1, le=65_535)
    login: str = Field(min_length=1, pattern=r"^[^|\r\n]*$")
    password: SecretStr = Field(min_length=1)
    location: str = Field("", pattern=r"^[^|\r\n]*$")
    tls: bool = False

    @model_validator(mode="after")
    def _no_pin_in_the_clear(self) -> Self:
        if not self.tls and self.host not in LOOPBACK:
            raise ValueError("needs tls = true off loopback: CPR numbers and PINs travel over it")
        return self


class ConnectionKeys(ConnectorKeys):
    """The keys of all library systems.

    ``url`` ends before ``api_path``; ``connections`` is the number of connections of a process.
    """

    section = "library"
    tables: ClassVar[Mapping[str, type[BaseModel]]] = {"sip2": Sip2Keys}
    api_path: ClassVar[str]

    url: str
    connections: int = Field(2, ge=1, le=64)
    sip2: Sip2Keys | None = None

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        if cls.api_path.rpartition("/")[0] in urlsplit(url).path + "/":
            raise ValueError(f"must end before {cls.api_path}")
        return check_address(url, loopback=True)

    def machine(self, observe: LibraryCallObserver) -> PinMachine | None:
        """Return the client that checks PINs; None without ``[library.sip2]``."""
        keys = self.sip2
        if keys is None:
            return None
        tls = None
        if keys.tls:
            tls = ssl.create_default_context(cafile=self.ca_file or None)
        password = keys.password.get_secret_value()
        account = Sip2Account(keys.host, keys.port, keys.login, password, keys.location, tls)
        return PinMachine(Sip2Client(account, observe))


GROUP: Final = "broker.library_systems"


class LibrarySettings(Protocol):
    """The settings type of a connector, which an entry point names."""

    @classmethod
    def read(cls, settings: Mapping[str, object]) -> Self:
        """Return the settings; ConfigurationFaults with all faults, without quoting a secret."""
        ...

    @property
    def fields(self) -> frozenset[str]:
        """The names that a policy may use under ``borrower.fields``."""
        ...

    def open(self, observe: LibraryCallObserver) -> LibrarySystem:
        """Return the library system; ``observe`` gets its calls."""
        ...


def open_library(
    system: str, settings: Mapping[str, object], observe: LibraryCallObserver
) -> LibrarySystem:
    """Return the library system ``system`` with its settings from ``[library]``.

    ``observe`` gets its calls. ConfigurationFaults if no connector or several have the name, or
    the settings are faulty.
    """
    return _settings(system, settings).open(observe)


def borrower_fields(system: str, settings: Mapping[str, object]) -> frozenset[str]:
    """Return the borrower fields that a policy may write, without a call.

    ConfigurationFaults as for ``open_library``.
    """
    return _settings(system, settings).fields


def _settings(system: str, settings: Mapping[str, object]) -> LibrarySettings:
    found = connectors.settings_type(GROUP, "library.system", system)
    return cast("type[LibrarySettings]", found).read(settings)
