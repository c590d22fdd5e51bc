"""The registers are found by their names, an unknown one named beside them."""

import pytest

from broker.adapters.person_register.datafordeler import Datafordeler
from broker.adapters.person_register.open_register import open_register
from broker.adapters.person_register.serviceplatformen import Serviceplatformen
from broker.core.errors import ConfigurationFaults
from tests.adapters.person_register.conftest import unheard

CERTIFICATE = {"certificate": "certificate.pem", "key": "key.pem"}


def test_the_supplied_registers_are_opened_by_their_names() -> None:
    """Opening a register calls nothing and reads no certificate."""
    system = open_register("datafordeler", CERTIFICATE | {"client_id": "x"}, unheard)
    assert isinstance(system, Datafordeler)
    system = open_register("serviceplatformen", CERTIFICATE | {"municipality": "12345678"}, unheard)
    assert isinstance(system, Serviceplatformen)


def test_an_unknown_register_is_told_what_there_is() -> None:
    """A typing error shows the names that would do."""
    with pytest.raises(ConfigurationFaults, match=r"person_register.system: no register 'cpr' \(known: data"):
        open_register("cpr", {}, unheard)


@pytest.mark.parametrize(
    ("system", "keys", "where"),
    [
        ("datafordeler", {"client_id": "x", "certificate": "c.pem"}, ""),
        ("datafordeler", CERTIFICATE | {"client_id": "x", "url": "http://127.0.0.1"}, "url"),
        ("datafordeler", CERTIFICATE | {"client_id": "x", "token_url": "https://user:pass@x.example"}, "token_url"),
        ("serviceplatformen", CERTIFICATE, "municipality"),
        ("serviceplatformen", CERTIFICATE | {"municipality": "0101800000"}, "municipality"),
        ("serviceplatformen", CERTIFICATE | {"municipality": "12345678", "verify": False}, "verify"),
    ],
)
def test_a_faulty_key_is_named_without_its_value(system: str, keys: dict[str, object], where: str) -> None:
    """Plain http, no credentials, or TLS without verification cannot be configured."""
    with pytest.raises(ConfigurationFaults) as caught:
        open_register(system, keys, unheard)
    (fault,) = caught.value.faults
    assert fault.where == f"person_register.{where}".rstrip(".")
    assert "0101800000" not in str(fault)
    assert "pass@" not in str(fault)
