"""Trial borrowers in Koha show what no other call shows, and leave nothing."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from broker.adapters.library_systems.koha.koha_library import Koha
from broker.core.borrowers.library_setup import ExpectedSetup, SetupFault
from broker.demo.koha.database.administration import FOUR_DIGIT_PINS, Administration, AttributeType
from broker.demo.koha.loans import Circulation
from broker.demo.koha.simulated_koha import Simulation
from broker.demo.koha.sip2_server import TERMINALS, serve_sip2
from tests.conformance.library_suite.values import soon

pytestmark = pytest.mark.server

POLICIES = ExpectedSetup({"STUDENT": "student.yaml:30", "TEMP": "student.yaml:31"})
STUDENT = FOUR_DIGIT_PINS.categories["STUDENT"]
UNIQUE = AttributeType(unique=True)

Opened = Callable[..., Koha]


def _faults(library: Koha) -> tuple[SetupFault, ...]:
    return library.try_setup(POLICIES, soon()).faults


def test_a_sound_koha_keeps_no_trial_borrower(koha: Simulation, opened: Opened) -> None:
    """One in each category is made, asked for by REST and SIP2, and deleted."""
    with serve_sip2(Circulation(koha.patrons)) as port:
        login, password = next(iter(TERMINALS.items()))
        account = {"host": "127.0.0.1", "port": port, "login": login, "password": password}
        trial = opened(sip2=account, cpr_attribute="CPR").try_setup(POLICIES, soon())
    assert trial.faults == ()
    assert not any("sip2" in sentence for sentence in trial.not_proven)
    assert koha.patrons.count() == 0
    lines = koha.access
    assert sum(line == "POST /api/v1/patrons 201" for line in lines) == len(POLICIES.categories)
    assert sum(line.startswith("DELETE") for line in lines) == len(POLICIES.categories)


@pytest.mark.parametrize(
    ("administration", "settings", "setting"),
    [
        (Administration(), {}, "minPasswordLength"),
        (FOUR_DIGIT_PINS, {"card_number": "system"}, "autoMemberNum"),
        (
            replace(FOUR_DIGIT_PINS, attribute_types={"CPR": UNIQUE, "SEX": AttributeType(mandatory=True)}),
            {},
            "mandatory patron attribute type SEX",
        ),
        (FOUR_DIGIT_PINS.change_preferences(notices=frozenset()), {}, "PIN STUDENT, PIN TEMP"),
        (
            replace(FOUR_DIGIT_PINS, categories={"STUDENT": FOUR_DIGIT_PINS.categories["STUDENT"]}),
            {},
            "category_id TEMP",
        ),
    ],
)
def test_a_trial_shows_what_would_meet_the_first_borrower(
    *, koha: Simulation, opened: Opened, administration: Administration, settings: dict[str, object], setting: str
) -> None:
    """A password rule without any patron of the category, a missing card number, an attribute type."""
    koha.patrons.administration = administration
    assert ", ".join(sorted(fault.setting for fault in _faults(opened(**settings)))) == setting
    assert koha.patrons.count() == 0


def test_a_right_that_is_missing_is_a_fault_and_nothing_is_raised(opened: Opened) -> None:
    """Without the right to delete patrons a trial borrower would stay, so its number is named."""
    assert _faults(opened(client_id="none")) != ()
    assert _faults(opened(url="http://127.0.0.1:1")) != ()
