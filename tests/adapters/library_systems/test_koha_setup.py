"""The check of a Koha's set-up: one line for each cause."""

from collections.abc import Callable

import pytest

from broker.adapters.library_systems.koha.koha_library import Koha
from broker.core.borrowers.library_setup import ExpectedSetup, SetupFault
from broker.demo.koha.loans import Circulation
from broker.demo.koha.simulated_koha import Simulation
from broker.demo.koha.sip2_server import TERMINALS, serve_sip2
from tests.adapters.library_systems.test_koha import register_at_desk
from tests.conformance.library_suite.values import soon

pytestmark = pytest.mark.server

CPR = "0101800000"
POLICIES = ExpectedSetup({"STUDENT": "student.yaml:30", "TEMP": "student.yaml:30", "PRIVATE": "private.yaml:20"})

Opened = Callable[..., Koha]


def _prove(library: Koha, expected: ExpectedSetup = POLICIES) -> tuple[SetupFault, ...]:
    return library.check_setup(expected, soon())


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
def test_one_cause_is_one_line(*, opened: Opened, settings: dict[str, object], setting: str, words: str) -> None:
    """However many categories and steps meet it, with the setting's own name in Koha."""
    faults = _prove(opened(**settings))
    assert [fault.setting for fault in faults] == [setting]
    assert words in faults[0].sentence


def test_each_missing_right_is_a_line(opened: Opened) -> None:
    """The right to read and make borrowers, and the one to change them and their PINs."""
    faults = _prove(opened(client_id="none"))
    assert [fault.setting for fault in faults] == ["permission borrowers: edit_borrowers", "permission borrowers"]


def test_the_machine_port_is_proved_by_a_login_and_a_card_of_nobody(opened: Opened, koha: Simulation) -> None:
    """A wrong port or a refused account shows before the first PIN; no patron is asked about."""
    register_at_desk(koha, cardnumber="C-1")
    with serve_sip2(Circulation(koha.patrons)) as port:
        login, password = next(iter(TERMINALS.items()))
        account = {"host": "127.0.0.1", "port": port, "login": login, "password": password}
        assert _prove(opened(sip2=account)) == ()
        (refused,) = _prove(opened(sip2=account | {"password": "wrong"}))
    assert (refused.setting, "refused" in refused.sentence) == ("library.sip2", True)
    (closed,) = _prove(opened(sip2=account))
    assert (closed.setting, "sip2: no answer" in closed.sentence) == ("library.sip2", True)
