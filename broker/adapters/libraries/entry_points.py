"""Finds the connector of a library system by its entry point; no other file reads entry points."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Protocol, Self, cast

from broker.core.errors import ConfigurationFaults, Fault
from broker.core.ports import LibrarySystem

GROUP = "broker.libraries"


class LibrarySettings(Protocol):
    """What an entry point of the group ``broker.libraries`` names: the settings type of one connector."""

    @classmethod
    def read(cls, settings: Mapping[str, object]) -> Self:
        """Give the settings; ``ConfigurationFaults`` with every fault, none of which quotes a secret."""
        ...

    def open(self) -> LibrarySystem:
        """Give the library system; nothing is called yet."""
        ...


def open_library(system: str, settings: Mapping[str, object]) -> LibrarySystem:
    """Give the library system named ``system``, from the keys of ``[library]`` that are its own.

    ``ConfigurationFaults`` where none or several are installed under the name, or its settings are
    faulty.
    """
    found = entry_points(group=GROUP)
    named = [each for each in found if each.name == system]
    if len({each.value for each in named}) != 1:
        what = (
            f"{len(named)} connectors are installed for {system!r}"
            if named
            else f"no connector for {system!r}"
        )
        installed = ", ".join(sorted({each.name for each in found})) or "none"
        raise ConfigurationFaults([Fault("library.system", what, f"installed: {installed}")])
    return cast("type[LibrarySettings]", named[0].load()).read(settings).open()
