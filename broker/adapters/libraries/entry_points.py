"""Finds the connector of a library system by its entry point; no other file reads entry points."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Final, Protocol, Self, cast

from broker.core.borrowers.library_calls import LibraryCallObserver
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.ports import LibrarySystem

GROUP: Final = "broker.libraries"


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
    system: str,
    settings: Mapping[str, object],
    observe: LibraryCallObserver,
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
    installed = entry_points(group=GROUP)
    named = [entry for entry in installed if entry.name == system]
    if len({entry.value for entry in named}) != 1:
        what = f"no connector for {system!r}"
        if named:
            what = f"{len(named)} connectors are installed for {system!r}"
        names = sorted({entry.name for entry in installed})
        mend = f"installed: {', '.join(names) or 'none'}"
        raise ConfigurationFaults([Fault("library.system", what, mend)])
    settings_type = cast("type[LibrarySettings]", named[0].load())
    return settings_type.read(settings)
