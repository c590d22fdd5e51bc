"""Opens the library system that the configuration names, by the entry point of its connector."""

from collections.abc import Mapping
from typing import Final, Protocol, Self, cast

from broker.adapters import connectors
from broker.core.borrowers.library_calls import LibraryCallObserver
from broker.core.ports import LibrarySystem

GROUP: Final = "broker.library_systems"


class LibrarySettings(Protocol):
    """The settings type of one connector, which an entry point of the group names."""

    @classmethod
    def read(cls, settings: Mapping[str, object]) -> Self:
        """Return the settings; ConfigurationFaults with all faults, without quoting a secret."""
        ...

    @property
    def fields(self) -> frozenset[str]:
        """The names that a policy may use under ``borrower.fields``."""
        ...

    def open(self, observe: LibraryCallObserver) -> LibrarySystem:
        """Return the library system, of whose calls ``observe`` hears; nothing is called yet."""
        ...


def open_library(
    system: str, settings: Mapping[str, object], observe: LibraryCallObserver
) -> LibrarySystem:
    """Return the library system named ``system``, from the keys of ``[library]`` that are its own.

    ``observe`` hears of every call. ConfigurationFaults where none or several are installed under
    the name, or its settings are faulty.
    """
    return _settings(system, settings).open(observe)


def borrower_fields(system: str, settings: Mapping[str, object]) -> frozenset[str]:
    """Return the borrower fields that a policy may write in ``system``; it is not called for it.

    ConfigurationFaults as of ``open_library``.
    """
    return _settings(system, settings).fields


def _settings(system: str, settings: Mapping[str, object]) -> LibrarySettings:
    found = connectors.settings_type(GROUP, "library.system", system)
    return cast("type[LibrarySettings]", found).read(settings)
