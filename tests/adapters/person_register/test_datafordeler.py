"""Datafordeler: tokens, versions of the schema, and missing fields."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.adapters.person_register import datafordeler as connector
from broker.core.borrowers.registered_person import RegisterError, RegisterRefused
from broker.demo.register.register_rows import make_person_node
from broker.demo.register.simulated_datafordeler import SimulatedDatafordeler
from tests.adapters.person_register.conftest import ROWS, Stage
from tests.conformance.library_suite.values import soon

CPR = "0101800000"


def get_simulation(stage: Stage) -> SimulatedDatafordeler:
    """Return the simulated service of the stage."""
    assert isinstance(stage.simulated, SimulatedDatafordeler)
    return stage.simulated


@pytest.mark.server
def test_a_token_that_has_expired_is_fetched_anew(datafordeler: Stage) -> None:
    """A 401 in the middle of its lifetime costs one more request and no look-up."""
    register = datafordeler.opened()
    register.look_up(CPR, soon())
    get_simulation(datafordeler).revoke()
    assert register.look_up(CPR, soon()) is not None


@pytest.mark.server
def test_another_version_is_another_service(datafordeler: Stage) -> None:
    """A version that is gone is a fault of the configuration, with its key."""
    with pytest.raises(RegisterRefused) as caught:
        datafordeler.opened(version="v9").look_up(CPR, soon())
    assert caught.value.setting == "person_register.version"


@pytest.mark.server
@pytest.mark.parametrize(
    ("more", "setting"), [({"client_id": "nobody"}, "person_register.client_id"), ({}, "person_register.certificate")]
)
def test_a_wrong_system_and_a_wrong_secret_are_told_apart(
    datafordeler: Stage, more: dict[str, object], setting: str
) -> None:
    """The check names the key of the one that is wrong."""
    get_simulation(datafordeler).client_secret = "" if more else "another"
    (fault,) = datafordeler.opened(**more).check_setup(soon())
    assert fault.setting == setting


@pytest.mark.server
@pytest.mark.parametrize(
    "nodes",
    [
        "null",
        "[1]",
        "[{}]",
        '[{"beskyttelser": 1}]',
        '[{"beskyttelser": null}]',
        '[{"beskyttelser": [], "status": "bopael_i_danmark", "adresseoplysninger": [[]]}]',
        '[{"beskyttelser": []}, {"beskyttelser": []}]',
    ],
)
def test_half_a_record_is_refused(datafordeler: Stage, nodes: str) -> None:
    """A person whose protection is not told is not taken as unprotected; nor are two persons for one number."""
    answer = f'{{"data": {{"CPRCustom_PublicSectorPerson": {{"nodes": {nodes}}}}}}}'
    datafordeler.simulated.faults.answer = answer.encode()
    with pytest.raises(RegisterRefused):
        datafordeler.opened().look_up(CPR, soon())


@pytest.mark.parametrize(
    ("row", "protected"),
    [
        ({"status": "aktuel"}, True),
        ({"status": None}, True),
        ({}, True),
        ({"status": "Aktuel"}, True),
        ({"status": "aktuel_korrigeret"}, True),
        ({"status": "historisk"}, False),
        ({"status": "rettet"}, False),
        ({"status": "fortrudt"}, False),
    ],
)
def test_a_protection_counts_until_it_has_ended(row: dict[str, str | None], *, protected: bool) -> None:
    """A status that is missing, or that nobody has told us of, is not taken as an end."""
    written = {**make_person_node(CPR, ROWS[CPR]), "beskyttelser": [{"beskyttelsestype": "navne_og_adresse", **row}]}
    assert connector.read_person(written).protected is protected


ROAD = {"status": "aktuel", "cprAdresse": {"vejnavn": "Prøvevej"}}
ANOTHER = {"status": "aktuel", "cprAdresse": {"vejnavn": "Andenvej"}}


@pytest.mark.parametrize(
    "rows",
    [
        [ROAD, ANOTHER],
        [{**ROAD, "conavn": "010180-0000 Hansen"}],
        [{"status": "aktuel", "cprAdresse": {"postnummer": "+45"}}],
    ],
)
def test_two_of_one_another_person_and_what_is_no_text_are_refused(rows: list[object]) -> None:
    """Which of two records holds is not guessed, and nobody's address is written to somebody else."""
    with pytest.raises(RegisterRefused, match=r"not as documented"):
        connector.read_person({**make_person_node(CPR, ROWS[CPR]), "adresseoplysninger": rows})


def test_a_row_without_a_danish_address_is_passed_over() -> None:
    """The others count, though they say the same twice."""
    rows = [{"status": "aktuel", "cprAdresse": None}, ROAD, ROAD]
    assert connector.read_person({**make_person_node(CPR, ROWS[CPR]), "adresseoplysninger": rows}).address is not None


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(ROWS)), st.data())
def test_any_field_may_be_of_any_shape(cpr: str, data: st.DataObject) -> None:
    """It is read as a person or refused: never another error, and never unprotected where it was protected."""
    written = json.loads(json.dumps(make_person_node(cpr, ROWS[cpr])))
    spoilt = data.draw(st.sampled_from(sorted(set(written) - {"beskyttelser"})))
    written[spoilt] = data.draw(JUNK)
    try:
        person = connector.read_person(written)
    except RegisterError:
        return
    assert person.protected is ROWS[cpr].is_protected
