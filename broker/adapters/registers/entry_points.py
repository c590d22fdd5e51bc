"""Opens the register of persons that the configuration names, by its connector's entry point."""

from collections.abc import Mapping
from typing import Final, Protocol, Self, cast

from broker.adapters import connectors
from broker.core.borrowers.library_calls import LibraryCallObserver
from broker.core.ports import PersonRegister

GROUP: Final = "broker.registers"


class RegisterSettings(Protocol):
    """The settings type of one connector, which an entry point of the group names."""

    @classmethod
    def read(cls, settings: Mapping[str, object]) -> Self:
        """Return the settings; ConfigurationFaults with all faults, without quoting a secret."""
        ...

    def open(self, observe: LibraryCallObserver) -> PersonRegister:
        """Return the register, of whose calls ``observe`` hears; nothing is called yet."""
        ...


def open_register(
    system: str, settings: Mapping[str, object], observe: LibraryCallObserver
) -> PersonRegister:
    """Return the register named ``system``, by its own keys of ``[person_register]``.

    ``observe`` hears of every call. ConfigurationFaults where none or several are installed under
    the name, or its settings are faulty.
    """
    found = connectors.settings_type(GROUP, "person_register.system", system)
    return cast("type[RegisterSettings]", found).read(settings).open(observe)
