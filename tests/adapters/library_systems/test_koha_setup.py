"""The check of a Koha's set-up: one line for each cause."""

from collections.abc import Callable
from datetime import datetime

import pytest

from broker.adapters.library_systems.koha.koha_library import Koha
from broker.core.borrowers.library_system import ExpectedSetup, SetupFault
from broker.demo.koha.loans import Circulation
from broker.demo.koha.simulated_koha import Simulation
from broker.demo.koha.sip2_server import TERMINALS, serve_sip2
from tests.adapters.library_systems.test_koha import register_at_desk

pytestmark = pytest.mark.server

CPR = "0101800000"
POLICIES = ExpectedSetup({"STUDENT": "student.yaml:30", "TEMP": "student.yaml:30", "PRIVATE": "private.yaml:20"})

Soon = Callable[..., datetime]
Opened = Callable[..., Koha]


def _prove(library: Koha, soon: Soon, expected: ExpectedSetup = POLICIES) -> tuple[SetupFault, ...]:
    return library.prove(expected, soon())


def test_a_sound_setup_has_no_fault_and_is_left_as_it_was(koha: Simulation, library: Koha, soon: Soon) -> None:
    """Creates that are always rolled back, one for each category, and no patron after them."""
    register_at_desk(koha, extended_attributes=[{"type": "CPR", "value": CPR}])
    before = koha.patrons.rows()
    assert _prove(library, soon) == ()
    assert koha.patrons.rows() == before
    assert sum(line == "POST /api/v1/patrons 400" for line in koha.access.lines()) == len(POLICIES.categories)
    assert CPR not in "".join(koha.access.lines())


@pytest.mark.parametrize(
    ("settings", "setting", "words"),
    [
        ({"library_id": "XXX"}, "library_id XXX", "library_id XXX: Given library_id does not exist"),
        ({"cpr_attribute": "CPPR"}, "patron attribute type CPPR", "patron attribute type CPPR: Tried to use"),
        ({"client_secret": "wrong"}, "library.client_secret", "the secret is not that of the API key broker"),
        ({"client_id": "weak"}, "permission borrowers", "lacks a permission: borrowers"),
        ({"url": "http://127.0.0.1:1"}, "unavailable", "no answer: ConnectionError"),
    ],
)
def test_one_cause_is_one_line(
    *, opened: Opened, soon: Soon, settings: dict[str, object], setting: str, words: str
) -> None:
    """However many categories and steps meet it, with the setting's own name in Koha."""
    faults = _prove(opened(**settings), soon)
    assert [fault.setting for fault in faults] == [setting]
    assert words in faults[0].sentence


def test_each_missing_right_is_a_line(opened: Opened, soon: Soon) -> None:
    """The right to read and make borrowers, and the one to change them and their PINs."""
    faults = _prove(opened(client_id="none"), soon)
    assert [fault.setting for fault in faults] == ["permission borrowers: edit_borrowers", "permission borrowers"]


def test_each_category_of_each_policy_is_tried(library: Koha, soon: Soon) -> None:
    """Also a category that only an upgrade names. The fault names the line of the policy file."""
    expected = ExpectedSetup({"STUDNT": "student.yaml:30", "STUDENT": "s:1", "OLD": "student.yaml:33"})
    assert [(fault.setting, fault.sentence) for fault in _prove(library, soon, expected)] == [
        (
            f"category_id {category}",
            f"student.yaml:{line}: Koha: prove: 400: category_id {category}: Given category_id does not exist",
        )
        for category, line in (("STUDNT", 30), ("OLD", 33))
    ]


def test_the_machine_port_is_proved_by_a_login_and_a_card_of_nobody(
    opened: Opened, koha: Simulation, soon: Soon
) -> None:
    """A wrong port or a refused account shows before the first PIN; no patron is asked about."""
    register_at_desk(koha, cardnumber="C-1")
    with serve_sip2(Circulation(koha.patrons)) as port:
        login, password = next(iter(TERMINALS.items()))
        account = {"host": "127.0.0.1", "port": port, "login": login, "password": password}
        assert _prove(opened(sip2=account), soon) == ()
        (refused,) = _prove(opened(sip2=account | {"password": "wrong"}), soon)
    assert (refused.setting, "refused" in refused.sentence) == ("library.sip2", True)
    (closed,) = _prove(opened(sip2=account), soon)
    assert (closed.setting, "sip2: no answer" in closed.sentence) == ("library.sip2", True)
