"""An installation as the documents write it: init, check, serve under the unit's restrictions, first login."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from broker.configuration.checked_files import FILL_IN
from broker.configuration.settings import new_folder
from broker.demo.people.personas import AU
from broker.demo.run.demo_folder import HUB, SERVICES, Ports, Setting
from broker.demo.run.demo_library import CLIENT_SECRET
from broker.demo.run.running_demo import run_parties
from tests.plugins.demo import write_demo
from tests.plugins.programs import wait_until
from tests.plugins.served_broker import is_ready, log_in
from tests.walks.unit_machine import ROOT, UNIT, UnitMachine, unit_machine

pytestmark = pytest.mark.server

SHELL: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Installed:
    """A machine on which deploy/README.md was typed up to the first check, and what that check said."""

    machine: UnitMachine
    said: "subprocess.CompletedProcess[str]"


@pytest.fixture(scope="module")
def installed_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Yield a machine on which the broker is installed_broker; who uses it leaves nothing in the state folder."""
    with unit_machine(tmp_path_factory.mktemp("machine")) as machine:
        yield Installed(machine, machine.run(read_documented_commands()))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Setting]:
    """Yield a hub, a library and a mail server that wait for a broker."""
    setting = write_demo(tmp_path / "world")
    with run_parties(setting):
        yield setting


def read_documented_commands() -> str:
    """Return the commands of deploy/README.md up to the first check, but for those that fetch the source."""
    first, *_ = SHELL.findall((ROOT / "deploy" / "README.md").read_text(encoding="utf-8"))
    lines = [line for line in first.splitlines() if not line.startswith("git clone")]
    assert lines[-1] == "broker check"
    return "\n".join(lines)


def fill_in_configuration(ports: Ports) -> str:
    """Fill in what ``broker init`` leaves open, by the demo's world in place of WAYF and a library's."""
    library = ports.origin("library")
    answers = {
        "the address that browsers": ports.origin("broker"),
        "the address of the library's statement": f"{library}/accessibility",
        "the address of the library's privacy notice in English": f"{library}/privacy",
        "the address of the library's privacy notice in Danish": f"{library}/privacy",
        "the library's name": "Royal Danish Library",
        "the mail address where": "help@library.example",
        "the university's entityID": AU,
        "the entityID of the service where": SERVICES["my-loans"][2],
        "the entityID of the print": SERVICES["myprint"][2],
        "the entityID of the proxy": SERVICES["e-resources"][2],
        "the address of Koha's": f"http://127.0.0.1:{ports.number('patrons')}",
        "the id of the broker's": "broker",
        "the code of the branch": "AUL",
        "the mail server": f"smtp://127.0.0.1:{ports.number('smtp')}",
        "the address that mails": "library@library.example",
    }
    text = new_folder.make_first_configuration(Path("/var/lib/broker"))
    # The hub's descriptor lies in the folder: there is no signed feed in this world.
    text = re.sub(r"\[feeds\.wayf\].*?\n\n", "", text, flags=re.DOTALL)
    for asked, answer in answers.items():
        text, count = re.subn(f'"{FILL_IN}: {asked}[^"]*"', f'"{answer}"', text)
        assert count == 1, asked
    assert FILL_IN not in text.split("base_url", 1)[1]
    text = re.sub(
        "# ([a-z_]+ = .*https://library.example.*)", r"\1", re.sub(r"# (\[(places|sign_up.links)\])", r"\1", text)
    )
    text = text.replace("https://wayf.wayf.dk", HUB).replace('mode = "frozen"', 'mode = "live"')
    return text.replace('"127.0.0.1:8000"', f'"127.0.0.1:{ports.number("broker")}"')


def test_an_installation_by_the_documents_starts_under_its_unit(
    installed_broker: Installed, world: Setting, tmp_path: Path
) -> None:
    """Typed as deploy/README.md says; /etc is read-only, the state folder empty."""
    ports = world.ports
    machine, left = installed_broker.machine, installed_broker.said
    template = new_folder.make_first_configuration(Path("/var/lib/broker"))
    open_places = [line for line in template.splitlines() if f'"{FILL_IN}' in line]
    faults = [line for line in left.stderr.splitlines() if "is to be filled in" in line]
    assert (left.returncode, len(faults)) == (78, len(open_places) + 1), left.stderr
    assert faults == left.stderr.splitlines()
    assert "/etc/broker/secrets/koha: is to be filled in" in left.stderr

    machine.write("/etc/broker/broker.toml", fill_in_configuration(ports))
    machine.write("/etc/broker/secrets/koha", CLIENT_SECRET)
    for path in (world.folder / "metadata").glob("*.xml"):
        machine.write(f"/etc/broker/metadata/{path.name}", path.read_text())
    assert machine.run("ls -A /var/lib/broker").stdout == ""
    checked = subprocess.run(
        machine.under_unit(machine.unit.one("ExecStartPre")), capture_output=True, check=False, text=True
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.splitlines() == ["all well"]
    with (tmp_path / "log").open("wb") as log, machine.serving(log):
        wait_until(lambda: is_ready(ports.number("broker")))
        assert log_in(ports) == "Success"
    written = machine.run("find /etc/broker -newer /etc/broker/broker.toml -type f -not -path '*/metadata/*'").stdout
    assert written in ("", "/etc/broker/secrets/koha\n")
    assert set(machine.run("ls -A /var/lib/broker").stdout.split()) >= {"broker.db", "audit", "policies"}


def test_configuration_that_the_unit_could_write_is_no_test_of_it(installed_broker: Installed) -> None:
    """Under the restrictions nothing but the state folder can be written."""
    machine = installed_broker.machine
    for place, code in (("/etc/broker/x", 1), ("/opt/broker/x", 1), ("/var/lib/broker/x", 0)):
        tried = subprocess.run(machine.under_unit(f"touch {place}"), capture_output=True, check=False)
        assert tried.returncode == code, tried
    assert machine.run("rm /var/lib/broker/x").returncode == 0


@pytest.mark.parametrize("name", ["broker.service", "broker-work.service"])
def test_a_unit_fits_every_library_system(name: str) -> None:
    """A setting of Koha in the environment stops a broker with an Alma; broker.toml names the secrets."""
    text = UNIT.with_name(name).read_text(encoding="utf-8")
    environment = [line for line in text.splitlines() if line.startswith(("Environment", "LoadCredential"))]
    assert environment == ["Environment=BROKER_CONFIG=/etc/broker/broker.toml"]


def test_the_worker_unit_has_the_restrictions_of_the_server_unit() -> None:
    """The two units differ in what they start, and in nothing that they allow, read or write."""
    server, work = (
        set(UNIT.with_name(name).read_text(encoding="utf-8").splitlines())
        for name in ("broker.service", "broker-work.service")
    )
    named = (
        "Description=",
        "Documentation=",
        "After=",
        "Wants=",
        "PropagatesReloadTo=",
        "Type=",
        "Exec",
        "Restart=",
        "#",
    )
    assert [line for line in server ^ work if not line.startswith(named)] == []


@pytest.mark.parametrize("name", ["broker.service", "broker-work.service"])
def test_systemd_understands_the_unit_and_finds_it_closed(tmp_path: Path, name: str) -> None:
    """No unknown setting, and an exposure below 2 of 10."""
    unit = tmp_path / name
    unit.write_text(
        UNIT.with_name(name).read_text(encoding="utf-8").replace("/opt/broker/.venv/bin/broker", "/bin/true")
    )
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, check=False, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    security: list[str | Path] = ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit]
    assert subprocess.run(security, capture_output=True, check=False).returncode == 0
