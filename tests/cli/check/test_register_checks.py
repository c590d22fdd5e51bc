"""Findings of ``broker check`` about the register of persons."""

import shutil
from pathlib import Path

import pytest

from broker.app.assembly import assemble
from broker.cli.check.checks import find_all
from broker.configuration.settings.config import load
from broker.demo.register.simulated_datafordeler import TOKEN_PATH, SimulatedDatafordeler, create_app
from broker.demo.run.demo_folder import Setting
from tests.adapters.person_register.conftest import certificates, serving

pytestmark = pytest.mark.server


@pytest.mark.parametrize(
    ("client_id", "found"),
    [("broker", []), ("nobody", ["person_register.client_id: no token: 400: no IT system has the id nobody"])],
)
def test_a_register_that_does_not_let_us_in_is_told_with_its_key(
    setting: Setting, tmp_path: Path, client_id: str, found: list[str]
) -> None:
    """Before the first enrolment needs it, and without looking anybody up."""
    folder = shutil.copytree(setting.folder, tmp_path / "demo")
    own = certificates(tmp_path / "tls")
    register = SimulatedDatafordeler({})
    with serving(create_app(register), own, register.faults) as url:
        path = folder / "broker.toml"
        table = f"""
[person_register]
system = "datafordeler"
url = "{url}"
token_url = "{url}{TOKEN_PATH}"
client_id = "{client_id}"
certificate = "../tls/certificate.pem"
key = "../tls/key.pem"
ca_file = "../tls/certificate.pem"
"""
        path.write_text(path.read_text() + table)
        parts = assemble(load(path, {"BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}"}))
        told = [line for line in find_all(parts) if "person_register" in line]
    assert told == found
    assert register.looked_up == []
