"""The register of persons that a demo may have: its table, its certificates, its servers."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.demo.people import register_people
from broker.demo.register import register_page, simulated_registers
from broker.demo.register.register_tls import Certificates, server_side
from broker.demo.register.simulated_registers import SimulatedRegister
from broker.demo.run.loopback_server import serve_on_loopback

PARTIES: Final = ("register", "register-service")
_OWN: Final = "register"
_ANOTHER: Final = "another-authority"
_TABLE: Final = """
# The register of persons, simulated: it lets in who shows a certificate of its authority.
[person_register]
system = "{system}"
{keys}
certificate = "register/certificate.pem"
key = "register/key.pem"
ca_file = "register/authority.pem"
"""


def table(system: str, port: int) -> str:
    """Return ``[person_register]`` of a demo with this register, whose service has this port."""
    keys = simulated_registers.keys_of_table(system, f"https://127.0.0.1:{port}")
    return _TABLE.format(system=system, keys=keys)


def write_certificates(folder: Path, now: datetime) -> None:
    """Write the certificates of register and broker, and one of an authority that is neither's."""
    for name in (_OWN, _ANOTHER):
        Certificates.made(folder / name, now)


@contextmanager
def serving(system: str, folder: Path, page: int, service: int) -> Iterator[SimulatedRegister]:
    """Serve the register of a demo's folder, and its page, at two ports while the block runs."""
    register = simulated_registers.simulated(system, register_people.rows())
    own, another = (Certificates.kept(folder / name) for name in (_OWN, _ANOTHER))
    tls = server_side(own, another, register.faults)
    with ExitStack() as stack:
        app = simulated_registers.create_app(register)
        stack.enter_context(serve_on_loopback(app, service, tls))
        stack.enter_context(serve_on_loopback(register_page.create_app(register), page))
        yield register
