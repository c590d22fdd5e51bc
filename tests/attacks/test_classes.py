"""Every class of attack is closed by tests, and there are enough of them."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from broker.adapters.saml.faces import authn_requests, logout_messages
from broker.adapters.saml.faces.assertion_checks import ASSERTION_CHECKS
from broker.adapters.saml.faces.response_checks import RESPONSE_CHECKS
from broker.adapters.saml.gate import encryption, signature_profile, xml_structure_checks
from tests.plugins import defences
from tests.plugins.attack_classes import CLASSES, FOUND, Tally

ROOT: Final = Path(__file__).resolve().parent.parent.parent
LEAST: Final = 250
TO_COME: Final[set[int]] = set()


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Count all tests; where only some were asked for, collect the rest in a process of their own."""
    config = request.config
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.option.keyword:
        return config.stash[FOUND].tally()
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    answer = subprocess.run(command, capture_output=True, check=True, cwd=ROOT, text=True)
    read = Tally()
    for line in answer.stdout.partition("attacks refused, by class")[2].splitlines():
        first, *_, cases, _, controls, _ = line.split() if line.endswith("controls") else ["", "", "", "", ""]
        if first.isdigit():
            read.cases[int(first)], read.controls[int(first)] = int(cases), int(controls)
        elif first == "in":
            read.hostile = int(cases)
    return read


@pytest.mark.server
def test_every_class_has_cases_and_all_have_enough(tally: Tally) -> None:
    """No class of attack is without a hostile message, and there are at least 250 of them.

    Source: docs/reference/attacks.md#1 to #34.
    """
    assert {number for number in CLASSES if not tally.cases[number]} <= TO_COME
    assert tally.hostile >= LEAST
    assert tally.controls.total() > 0


@pytest.mark.parametrize(
    ("tables", "known"),
    [
        ([xml_structure_checks.OCTETS, xml_structure_checks.TREE, xml_structure_checks.LAST], defences.GATE),
        ([signature_profile.SHAPE], defences.SHAPE),
        ([encryption.METHODS], defences.METHODS),
        ([RESPONSE_CHECKS], defences.RESPONSE),
        ([ASSERTION_CHECKS], defences.ASSERTION),
        ([authn_requests.REQUEST_CHECKS], defences.REQUEST),
        ([authn_requests.LIMITS], defences.LIMITS),
        ([logout_messages.LOGOUT_REQUEST_CHECKS, logout_messages.LOGOUT_RESPONSE_CHECKS], defences.LOGOUT),
    ],
)
def test_every_check_belongs_to_a_class(tables: list[dict[str, object]], known: dict[str, int]) -> None:
    """A new check says which attack it is there for."""
    assert {name for table in tables for name in table} == known.keys()
