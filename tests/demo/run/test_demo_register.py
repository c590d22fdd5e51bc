"""The register that a demo may have: its folder lets the broker's own connector in."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.person_register.open_register import open_register
from broker.core.borrowers.registered_person import RegisteredAddress, RegisterUnavailable
from broker.demo.people.personas import persona
from broker.demo.run import demo_register
from broker.demo.run.demo_folder import PARTIES, Ports, write
from broker.files.settings.config import load
from tests.adapters.person_register.conftest import unheard
from tests.plugins.demo import free_base


@pytest.mark.server
@pytest.mark.parametrize("system", ["datafordeler", "serviceplatformen"])
def test_the_connector_comes_in_by_the_demo_s_configuration(tmp_path: Path, system: str) -> None:
    """With the certificates that lie beside broker.toml, until the register shows another authority's."""
    ports = Ports(free_base())
    setting = write(tmp_path / "demo", ports, datetime.now(UTC), register=system)
    table = load(setting.config, {}).person_register
    assert table is not None
    register = open_register(table.system, table.settings, unheard)
    asta = persona("asta").cpr
    page, service = map(ports.number, demo_register.PARTIES)
    by = datetime.now(UTC) + timedelta(seconds=20)
    with demo_register.serving(system, setting.folder, page, service) as simulated:
        found = register.look_up(asta or "", by)
        simulated.faults.wrong_certificate = True
        with pytest.raises(RegisterUnavailable, match="SSLError"):
            register.look_up(asta or "", by)
    assert found is not None
    assert found.address == RegisteredAddress("", "Birkestien 1", "", "8000", "Aarhus C")


def test_a_demo_without_a_register_has_none(tmp_path: Path) -> None:
    """Neither its table nor its ports."""
    setting = write(tmp_path / "demo", Ports(8080), datetime.now(UTC))
    assert load(setting.config, {}).person_register is None
    assert setting.parties == PARTIES
    assert not (setting.folder / "register").exists()
