"""The register's page in the demo: who is in it, how often they were looked up, what is wrong with it."""

import pytest
from flask.testing import FlaskClient

from broker.demo.register.register_faults import RegisterFaults
from broker.demo.register.register_page import create_app
from broker.demo.register.register_rows import RegisterRow
from broker.demo.register.simulated_datafordeler import SimulatedDatafordeler

CPR = "0101800000"
ADDRESS = {"vejadresseringsnavn": "Prøvevej", "husnummer": "012", "postnummer": "8000", "postdistrikt": "Aarhus C"}


@pytest.fixture(name="register")
def _register() -> SimulatedDatafordeler:
    rows = {CPR: RegisterRow(given="Åse", middle="Test", surname="Prøvesen", address=ADDRESS)}
    return SimulatedDatafordeler(rows, looked_up=[CPR, CPR])


@pytest.fixture(name="page")
def _page(register: SimulatedDatafordeler) -> FlaskClient:
    return create_app(register).test_client()


def test_persons_are_shown_without_their_numbers(page: FlaskClient) -> None:
    """With address and look-ups, since that is what somebody who tries the demo wants to compare."""
    text = page.get("/").text
    assert "Åse Test Prøvesen" in text
    assert "Prøvevej 012 8000 Aarhus C" in text
    assert "<td>2</td>" in text
    assert "010180-••••" in text
    assert CPR not in text


@pytest.mark.parametrize(
    ("choice", "faults"),
    [
        ("Down", RegisterFaults(down=True)),
        ("Slow: a minute to each answer", RegisterFaults(slow=60.0)),
        ("Quota gone", RegisterFaults(quota_gone=True)),
        ("Certificate of another authority", RegisterFaults(wrong_certificate=True)),
        ("Knows nobody", RegisterFaults(unknown=True)),
        ("Half a record of everybody", RegisterFaults(half_a_record=True)),
        ("None: it answers", RegisterFaults()),
    ],
)
def test_a_choice_turns_on_one_fault(
    page: FlaskClient, register: SimulatedDatafordeler, choice: str, faults: RegisterFaults
) -> None:
    """All others are off, and the page shows the choice that is in force."""
    register.faults.down = register.faults.unknown = True
    assert "Several things" in page.get("/").text
    assert page.post("/", data={"fault": choice}).status_code == 303
    assert register.faults == faults
    assert f"<option selected>{choice}</option>" in page.get("/").text


def test_a_choice_that_there_is_not_changes_nothing(page: FlaskClient, register: SimulatedDatafordeler) -> None:
    """The page is shown again."""
    assert page.post("/", data={"fault": "Fire"}).status_code == 303
    assert register.faults == RegisterFaults()


def test_a_program_sets_the_switches_as_of_the_library_system(
    page: FlaskClient, register: SimulatedDatafordeler
) -> None:
    """By their names, from this machine alone; one that is unknown or of another type sets none."""
    assert page.post("/__faults", json={"slow": 1, "down": True}).status_code == 204
    assert register.faults == RegisterFaults(down=True, slow=1)
    wrongs: tuple[object, ...] = ({"fire": True}, {"unknown": True, "down": "no"}, {"answer": "x"}, [], None)
    for wrong in wrongs:
        assert page.post("/__faults", json=wrong).status_code == 400
    strange = page.post("/__faults", json={"down": False}, environ_base={"REMOTE_ADDR": "192.0.2.1"})
    assert strange.status_code == 403
    assert register.faults == RegisterFaults(down=True, slow=1)
