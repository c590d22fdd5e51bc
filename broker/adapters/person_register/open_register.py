"""Opens the configured register of persons."""

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from broker.core.borrowers.library_setup import LibraryCallObserver
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.ports import PersonRegister

_SYSTEMS: Final = ("datafordeler", "serviceplatformen")


def open_register(
    system: str, settings: Mapping[str, object], observe: LibraryCallObserver
) -> PersonRegister:
    """Return the register ``system`` with its settings from ``[person_register]``.

    ``observe`` gets every call. Raises ConfigurationFaults for an unknown name or faulty settings.
    """
    if system not in _SYSTEMS:
        known = f"known: {', '.join(_SYSTEMS)}"
        raise ConfigurationFaults(
            [Fault("person_register.system", f"no register {system!r}", known)]
        )
    # Import only the module that is used.
    module = import_module(f"{__package__}.{system}")
    register: PersonRegister = module.Settings.read(settings).open(observe)
    return register
