"""A help code explained on the staff view: in the words of ``broker policy explain``, and no CPR number that was typed."""

import pytest
from click.testing import CliRunner

from broker.app import assembly
from broker.cli.audit import find_events
from broker.cli.main import broker
from broker.demo.people.personas import persona
from broker.use_cases.staff.staff_search import UNKNOWN_CODES
from tests.plugins.deployment import Deployment, Person, find_text, mark
from tests.plugins.staff_logins import ADMIN, enter, read_audit_log, read_shown_lines, send


def refuse(deployment: Deployment, name: str = "lars") -> str:
    """Let a person of the demo be refused, and give the reference as they read it out."""
    page = deployment.person().log_in(name, persona(name).upstream)
    assert mark(page)[0] == "refuse"
    written = find_text(page, "//div[@class='reference']//strong/text()")
    return f"{written[:4]} {written[4:]}".lower()


@pytest.fixture
def admin(shared_deployment: Deployment) -> Person:
    """Give an identity admin who is logged in."""
    return enter(shared_deployment, ADMIN)


def test_the_page_says_what_the_command_says(admin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """In English the rule that refused, what would come of it now, and what the person read."""
    admin.get("/admin?lang=en")
    spoken = refuse(admin.deployment)
    page = send(admin, "/admin/person", find=spoken, do="find")
    assert (page.status_code, mark(page)) == (200, ("admin", "person"))
    monkeypatch.setattr(assembly, "open_broker", lambda: admin.deployment.parts)
    printed = CliRunner().invoke(broker, ("policy", "explain", *spoken.split())).stdout.splitlines()
    assert read_shown_lines(page) == printed
    assert printed[0].startswith("refused ")


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("1403044004", "find_cpr"),
        ("140304-4004", "find_cpr"),
        ("140304 4004", "find_cpr"),
        ("\u0661\u0664\u0660\u0663\u0660\u0664\u0664\u0660\u0660\u0664", "find_cpr"),
        (" ", "find_missing"),
    ],
)
def test_a_text_that_is_no_help_code_is_discarded(
    admin: Person, capsys: pytest.CaptureFixture[str], typed: str, problem: str
) -> None:
    """It is on no page and in no log, because it may be a CPR number."""
    page = send(admin, "/admin/person", find=typed, do="find")
    assert page.status_code == 422
    assert find_text(page, "//main//*[@role='alert']/@data-problem") == problem
    written = page.get_data(as_text=True) + capsys.readouterr().out + str(read_audit_log(admin.deployment))
    assert typed == " " or typed not in written
    assert page.request.query_string == b""


def test_an_explained_login_is_in_the_audit_log(deployment: Deployment) -> None:
    """Which page, by which role; the reference is sealed with who looked, whose page it does not become."""
    spoken = refuse(deployment)
    staff = enter(deployment, ADMIN)
    send(staff, "/admin/person", find=spoken, do="find")
    looked = [line for line in read_audit_log(deployment) if line["event"] == "staff_looked"]
    assert [line["reason"] for line in looked] == ["person", "person"]
    assert spoken.replace(" ", "").upper() not in str(looked)
    assert all("tag" not in line for line in looked)
    shown = find_events(deployment.parts, staff="bo@au.dk")
    assert [each["event"] for each in shown] == ["staff_logged_in", "staff_looked", "staff_looked"]
    assert shown[-1]["about"] == spoken
    assert find_events(deployment.parts, staff="cilla@au.dk") == []


def test_guessing_help_codes_is_limited(deployment: Deployment) -> None:
    """Ten unknown codes in ten minutes; known codes do not count."""
    staff = enter(deployment, ADMIN)
    spoken = refuse(deployment)
    for _ in range(UNKNOWN_CODES.most):
        assert send(staff, "/admin/person", find="BCDFGHJK", do="find").status_code == 422
        if _ < UNKNOWN_CODES.most - 1:
            assert send(staff, "/admin/person", find=spoken, do="find").status_code == 200
    stopped = send(staff, "/admin/person", find=spoken, do="find")
    assert (stopped.status_code, mark(stopped)[1]) == (429, "too_many")
