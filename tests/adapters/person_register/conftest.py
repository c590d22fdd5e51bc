"""Each simulated register over TLS that asks for a client certificate, and the connector to it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask

from broker.adapters.person_register import datafordeler, serviceplatformen
from broker.core.ports import PersonRegister
from broker.demo.register.register_faults import RegisterFaults
from broker.demo.register.register_rows import RegisterRow
from broker.demo.register.register_tls import Certificates, server_side
from broker.demo.register.simulated_datafordeler import TOKEN_PATH, SimulatedDatafordeler
from broker.demo.register.simulated_datafordeler import create_app as create_datafordeler
from broker.demo.run.loopback_server import serve_on_loopback
from tests.adapters.person_register.simulated_serviceplatformen import PATH, SimulatedServiceplatformen
from tests.adapters.person_register.simulated_serviceplatformen import create_app as create_serviceplatformen

ADDRESS = {
    "vejadresseringsnavn": "Prøvevej",
    "vejnavn": "Prøvevej",
    "husnummer": "012B",
    "etage": "02",
    "sidedoer": "th",
    "bynavn": "Nørre Prøve",
    "postnummer": "8000",
    "postdistrikt": "Aarhus C",
}
ROWS = {
    "0101800000": RegisterRow(given="Åse", middle="Test", surname="Prøvesen", address=ADDRESS),
    "0202800000": RegisterRow(surname="Skjult", address=ADDRESS, protections=("navne_og_adresse",)),
    "0303800000": RegisterRow(surname="Reklame", address=ADDRESS, protections=("markedsfoering",)),
    "0404800000": RegisterRow(status="doed", surname="Hansen", address=ADDRESS),
    "0505800000": RegisterRow(status="nedlagt_person", surname="Nyborg", later_number="0506800000"),
    "0606800000": RegisterRow(status="bopael_i_danmark_hoej_vejkode", address=ADDRESS),
    "0707800000": RegisterRow(surname="Ung", address=ADDRESS),
    "0808800000": RegisterRow(status="flyttet_til_maanen", address=ADDRESS),
    "0909800000": RegisterRow(surname="Ny <&> Ånd", address=ADDRESS, protections=("helt_ny_beskyttelse",)),
}


@contextmanager
def serving(app: Flask, own: Certificates, faults: RegisterFaults) -> Iterator[str]:
    """Serve ``app`` over TLS to those alone that show a certificate of the same authority."""
    other = certificates(Path(own.certificate).parent.with_name("another"))
    with serve_on_loopback(app, tls=server_side(own, other, faults)) as url:
        yield url


def certificates(folder: Path, *, days: int = 1) -> Certificates:
    """Write an authority and one certificate for 127.0.0.1, good for so many days (negative: past)."""
    return Certificates.create(folder, datetime.now(UTC), days=days)


@pytest.fixture(name="own", scope="package")
def _own(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"))


@dataclass(frozen=True)
class Stage:
    """A simulated register that serves, and how its connector is opened, with other keys if wanted."""

    simulated: SimulatedDatafordeler | SimulatedServiceplatformen
    opened: Callable[..., PersonRegister]


@contextmanager
def _datafordeler(own: Certificates) -> Iterator[Stage]:
    simulated = SimulatedDatafordeler(ROWS)
    with serving(create_datafordeler(simulated), own, simulated.faults) as url:
        keys = _keys(own, url) | {"token_url": url + TOKEN_PATH, "client_id": "broker"}
        yield Stage(simulated, lambda **more: datafordeler.Settings.read(keys | more).open(unheard))


@contextmanager
def _serviceplatformen(own: Certificates) -> Iterator[Stage]:
    simulated = SimulatedServiceplatformen(ROWS)
    with serving(create_serviceplatformen(simulated), own, simulated.faults) as url:
        keys = _keys(own, url + PATH) | {"municipality": simulated.municipality}
        yield Stage(simulated, lambda **more: serviceplatformen.Settings.read(keys | more).open(unheard))


def _keys(own: Certificates, url: str) -> dict[str, object]:
    return {"url": url, "certificate": own.certificate, "key": own.key, "ca_file": own.certificate}


def unheard(call: str, outcome: str, seconds: float) -> None:
    """Hear of a call and forget it."""


STAGES = {"datafordeler": _datafordeler, "serviceplatformen": _serviceplatformen}


@pytest.fixture(name="stage", params=sorted(STAGES))
def _stage(request: pytest.FixtureRequest, own: Certificates) -> Iterator[Stage]:
    with STAGES[request.param](own) as stage:
        yield stage


@pytest.fixture(name="datafordeler")
def _one_datafordeler(own: Certificates) -> Iterator[Stage]:
    with _datafordeler(own) as stage:
        yield stage


@pytest.fixture(name="serviceplatformen")
def _one_serviceplatformen(own: Certificates) -> Iterator[Stage]:
    with _serviceplatformen(own) as stage:
        yield stage
