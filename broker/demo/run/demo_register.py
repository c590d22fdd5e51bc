"""The optional register of persons of a demo: configuration, certificates, servers."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from broker.demo.people import register_people
from broker.demo.register import register_page, simulated_datafordeler
from broker.demo.register.register_tls import Certificates, server_side
from broker.demo.register.simulated_datafordeler import SimulatedDatafordeler
from broker.demo.run.loopback_server import serve_on_loopback

PARTIES: Final = ("register", "register-service")
_OWN: Final = "register"
_ANOTHER: Final = "another-authority"
_TABLE: Final = """
# The register of persons, simulated: it requires the client certificate.
[person_register]
system = "datafordeler"
url = "{address}"
token_url = "{address}{token}"
client_id = "{client}"
certificate = "register/certificate.pem"
key = "register/key.pem"
ca_file = "register/certificate.pem"
"""


def table(port: int) -> str:
    """Return the configuration table of a register on this port."""
    return _TABLE.format(
        address=f"https://127.0.0.1:{port}",
        token=simulated_datafordeler.TOKEN_PATH,
        client=SimulatedDatafordeler.client_id,
    )


def write_certificates(folder: Path, now: datetime) -> None:
    """Write the certificate of register and broker, and one of another authority."""
    for name in (_OWN, _ANOTHER):
        Certificates.create(folder / name, now)


@contextmanager
def serve_register(folder: Path, page: int, service: int) -> Iterator[SimulatedDatafordeler]:
    """Serve the register and its page on two ports while the block runs."""
    register = SimulatedDatafordeler(register_people.rows())
    own, another = (Certificates.from_folder(folder / name) for name in (_OWN, _ANOTHER))
    tls = server_side(own, another, register.faults)
    with ExitStack() as stack:
        app = simulated_datafordeler.create_app(register)
        stack.enter_context(serve_on_loopback(app, service, tls))
        stack.enter_context(serve_on_loopback(register_page.create_app(register), page))
        yield register
