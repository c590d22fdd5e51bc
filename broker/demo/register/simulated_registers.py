"""The simulated registers by the names of their connectors: the service, and its configuration."""

from collections.abc import Callable, Mapping
from typing import Final

from flask import Flask

from broker.demo.register import simulated_datafordeler, simulated_serviceplatformen
from broker.demo.register.register_rows import RegisterRow
from broker.demo.register.simulated_datafordeler import SimulatedDatafordeler
from broker.demo.register.simulated_serviceplatformen import SimulatedServiceplatformen

SimulatedRegister = SimulatedDatafordeler | SimulatedServiceplatformen

_DATAFORDELER: Final = """\
url = "{address}"
token_url = "{address}{token}"
client_id = "{client}\""""
_SERVICEPLATFORMEN: Final = """\
url = "{address}{path}"
municipality = "{municipality}\""""

_SIMULATED: Final[Mapping[str, Callable[[Mapping[str, RegisterRow]], SimulatedRegister]]] = {
    "datafordeler": SimulatedDatafordeler,
    "serviceplatformen": SimulatedServiceplatformen,
}
SYSTEMS: Final = tuple(_SIMULATED)


def simulated(system: str, rows: Mapping[str, RegisterRow]) -> SimulatedRegister:
    """Return the register that the connector ``system`` talks to; KeyError if there is none."""
    return _SIMULATED[system](rows)


def create_app(register: SimulatedRegister) -> Flask:
    """Return a register's service as a Flask application."""
    if isinstance(register, SimulatedDatafordeler):
        return simulated_datafordeler.create_app(register)
    return simulated_serviceplatformen.create_app(register)


def keys_of_table(system: str, address: str) -> str:
    """Return the connector's own keys of ``[person_register]``, for a register at ``address``."""
    if system == "datafordeler":
        return _DATAFORDELER.format(
            address=address,
            token=simulated_datafordeler.TOKEN_PATH,
            client=SimulatedDatafordeler.client_id,
        )
    return _SERVICEPLATFORMEN.format(
        address=address,
        path=simulated_serviceplatformen.PATH,
        municipality=SimulatedServiceplatformen.municipality,
    )
