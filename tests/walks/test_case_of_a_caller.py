"""A caller reads the reference of a page aloud, and staff find the enrolment or case behind it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from werkzeug.test import TestResponse

from broker.app import assembly
from broker.cli.main import broker
from broker.demo.people.personas import persona
from tests.plugins.deployment import Deployment, find_text, mark

ASTA = persona("asta").attributes["schacPersonalUniqueID"][0][-10:]
SPELLED = f"{ASTA[:6]}-{ASTA[6:]}"  # on a second card: the database takes it for another number
DESK = {"surname": "Ravn", "firstname": "Asta", "library_id": "AUL", "category_id": "STUDENT"}


Staff = Callable[..., Result]


def reference(page: TestResponse) -> str:
    """Return the reference on a page as somebody reads it aloud."""
    written = find_text(page, "//div[@class='reference']//strong/text()")
    return f"{written[:4]} {written[4:]}".lower()


@pytest.fixture
def pair(deployment: Deployment) -> tuple[str, str]:
    """Return the numbers of two borrowers that Asta's CPR number finds."""
    made = [deployment.koha.patrons.create({**DESK, "cardnumber": card, "userid": card}) for card in (ASTA, SPELLED)]
    return str(made[0]["patron_id"]), str(made[1]["patron_id"])


@pytest.fixture
def staff(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Staff:
    """Return the command line of this very broker."""
    monkeypatch.setattr(assembly, "open_broker", lambda: deployment.parts)

    def ran(*words: str) -> Result:
        result = CliRunner().invoke(broker, words, prog_name="broker")
        assert isinstance(result.exception, SystemExit | None), result.exception
        return result

    return ran


def provoke_refusal(deployment: Deployment, service: str = "my-loans") -> str:
    """Let Asta log in and be refused; give her help code."""
    person = deployment.person()
    page = person.log_in("asta", service=service)
    page = person.agree_if_asked(page)
    assert mark(page)[0] == "refuse"
    return reference(page)


def show_enrolment(staff: Staff, name: str) -> dict[str, Any]:
    """Show an enrolment by help code, borrower number or person id."""
    described: dict[str, Any] = json.loads(staff("person", "show", *name.split(), "--json").stdout)
    return described


def test_staff_get_from_the_help_code_to_the_borrowers_and_end_the_case(
    deployment: Deployment, staff: Staff, pair: tuple[str, str]
) -> None:
    """Staff see the problem, both numbers and what to do. After the merge the retry creates the account."""
    code = provoke_refusal(deployment)
    case = show_enrolment(staff, code)
    assert (case["state"], tuple(case["borrowers"])) == ("case", pair)
    assert case["situation"].startswith("Several borrowers")
    assert case["action"].startswith("Merge them")
    assert ASTA not in f"{case}"
    [listed] = json.loads(staff("enrolments", "list", "--json").stdout)
    assert (listed["person"], listed["action"]) == (case["person"], case["action"])
    deployment.koha.patrons.merge(int(pair[0]), int(pair[1]))
    assert staff("enrolments", "retry", code).stdout == "it will be tried again now\n"
    deployment.wait_until(lambda: show_enrolment(staff, case["person"])["state"] == "done", "the account was made")
    # The number finds the person a moment later, when the index is written.
    deployment.wait_until(
        lambda: show_enrolment(staff, pair[0]).get("borrowers") == [pair[0]], "the number finds the person"
    )
    assert json.loads(staff("enrolments", "list", "--json").stdout) == []
