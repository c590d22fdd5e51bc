"""The demo with an Alma in the place of the Koha: the same personas end as they do there."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest

from broker.demo.check import persona_check
from broker.demo.check.persona_check import PersonaReport
from broker.demo.circulation.machine_server import TERMINALS, serve_machines
from broker.demo.people.persona import Persona
from broker.demo.people.personas import persona
from broker.demo.run import demo_library
from broker.demo.run.demo_folder import Ports, write
from broker.demo.run.demo_library import DemoLibrary
from broker.demo.run.running_demo import Running, run_demo
from tests.conformance.simulated_alma import registered_users, simulated_alma
from tests.conformance.simulated_alma.administration import Administration, ApiKey
from tests.conformance.simulated_alma.alma_desk import AlmaDesk
from tests.conformance.simulated_alma.sip2_session import Sip2Session
from tests.plugins.demo import free_base

TABLE = """\
[library]
system = "alma"
mode = "live"
url = "http://127.0.0.1:{patrons}"
api_key = "{secret}"
external_id = "SIS"
cpr_identifier_type = "CPR"
card_number = "cpr"
user_name_identifier_type = "INST_ID"
pin_categories = ["TEMP"]

# A PIN is tried as a machine tries it: no call of Alma's says whether it is right.
[library.sip2]
host = "127.0.0.1"
port = {sip2}
login = "{login}"
password = "{password}"
"""

pytestmark = [pytest.mark.full, pytest.mark.server]

# One for each thing that is done to a user: made, found by a hyphened card, upgraded, two of them, lowered,
# logged in by number and PIN.
WALKED = ("asta", "karla", "jens", "per", "otto", "otto-left", "vera")


@pytest.fixture(name="demo", scope="module")
def _demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("alma") / "demo"
    setting = write(folder, Ports(free_base()), datetime.now(UTC))
    ports = setting.ports
    values = {"secret": demo_library.CLIENT_SECRET, "patrons": ports.number("patrons")}
    written = setting.config.read_text(encoding="utf-8")
    ((login, password),) = TERMINALS.items()
    alma = TABLE.format(**values, sip2=ports.number("sip2"), login=login, password=password)
    koha = demo_library.TABLE.format(**values)
    assert koha in written
    setting.config.write_text(written.replace(koha, alma), encoding="utf-8")
    with run_demo(setting, simulate_alma) as found:
        yield found


def simulate_alma(people: Sequence[Persona]) -> DemoLibrary:
    """Return an Alma with the borrowers of ``people`` that staff have registered."""
    # A real Alma takes too long per call for two connections to reach its limit; this one answers at once.
    administration = Administration(keys={demo_library.CLIENT_SECRET: ApiKey()}, per_second=1000)
    app = simulated_alma.create_app(administration=administration)
    alma: simulated_alma.Simulation = app.extensions["alma"]
    registered_users.register(alma.users, demo_library.seeds(people))
    desk = AlmaDesk(alma.users, alma.loans)
    demo_library.lend_to_personas(desk)
    return DemoLibrary(app, desk, lambda port: serve_machines(lambda: Sip2Session(desk, TERMINALS), port))


@pytest.fixture(name="reports", scope="module")
def _reports(demo: Running) -> Sequence[PersonaReport]:
    """Let each persona log in, and give what each ended as."""
    return persona_check.check(demo, [persona(name) for name in WALKED])


def test_personas_end_as_with_a_koha_and_no_letter_is_almas(demo: Running, reports: Sequence[PersonaReport]) -> None:
    """Every persona gets the expected category and a PIN that works at a machine; only the broker sends mail."""
    assert [report.persona for report in reports if not report.ok] == []
    assert [report.borrower for report in reports] == [
        "created",
        "unchanged",
        "upgraded",
        "unchanged",
        "created",
        "lowered",
        "unchanged",
    ]
    alma: simulated_alma.Simulation = demo.library.app.extensions["alma"]
    assert alma.users.pin_letters == []


@pytest.mark.usefixtures("reports")
def test_a_borrower_of_the_broker_is_an_external_user_with_typed_identifiers(demo: Running) -> None:
    """A borrower created by the broker has a primary id of the broker's series; the CPR number is a typed identifier only."""
    alma: simulated_alma.Simulation = demo.library.app.extensions["alma"]
    cpr = persona("asta").cpr or ""
    row = alma.users.read(cpr, "CPR")
    assert row["account_type"] == "EXTERNAL"
    assert cpr not in row["primary_id"]
    assert {each["id_type"] for each in row["user_identifier"]} == {"CPR", "BARCODE"}
    assert [role["role_type"] for role in row["user_role"]] == ["200"]
    assert row["expiry_date"] < row["purge_date"]


@pytest.mark.usefixtures("reports")
def test_no_cpr_number_stands_in_the_log_of_the_broker(demo: Running) -> None:
    """Identifiers stand in the paths of Alma's calls, and its errors repeat them: none reaches the broker's log."""
    log = (demo.setting.folder / "broker.log").read_text(encoding="utf-8")
    numbers = [persona(name).cpr for name in WALKED]
    assert [number for number in numbers if number and number in log] == []
