"""The settings of library systems: keys that all have in common, and how one is opened."""

from collections.abc import Mapping
from typing import ClassVar, Final, Protocol, Self, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator

from broker.adapters import connectors
from broker.adapters.connectors import ConnectorKeys, check_address
from broker.adapters.http_exchange import Exchange
from broker.adapters.library_systems.sip2 import PinMachine, Sip2Keys
from broker.core.borrowers.library_setup import LibraryCallObserver
from broker.core.errors import CallNotMade, CallNotSent, LibraryError, LibrarySilent
from broker.core.ports import LibrarySystem


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
        if self.sip2 is None:
            return None
        return PinMachine(self.sip2, self.ca_file, self.timeout, observe)

    def open_exchange(self, unavailable: type[LibraryError] = LibrarySilent) -> Exchange:
        """Return an HTTP client of the library system; ``unavailable`` is raised without answer."""
        return Exchange(
            self.url,
            self.ca_file,
            unavailable=unavailable,
            unsent=CallNotSent,
            busy=CallNotMade,
            connections=self.connections,
        )


GROUP: Final = "broker.library_systems"


class LibrarySettings(Protocol):
    """The settings type of a connector, which an entry point names."""

    @classmethod
    def read(cls, settings: Mapping[str, object]) -> Self:
        """Return the settings.

        Raises ConfigurationFaults with all faults, without quoting a secret.
        """
        ...

    @property
    def fields(self) -> frozenset[str]:
        """The names that a policy may use under ``borrower.fields``."""
        ...

    def open(self, observe: LibraryCallObserver) -> LibrarySystem:
        """Return the library system; ``observe`` gets its calls."""
        ...


def read_settings(system: str, settings: Mapping[str, object]) -> LibrarySettings:
    """Return the settings of the library system ``system`` from ``[library]``.

    Raises ConfigurationFaults if no connector or several have the name, or the settings are faulty.
    """
    found = connectors.settings_type(GROUP, "library.system", system)
    return cast("type[LibrarySettings]", found).read(settings)
