"""A login tried on the staff view: in the words of ``broker policy try``, with nothing typed by mistake kept."""

import re
from typing import Final

import pytest
from click.testing import CliRunner

from broker.app import policy_configuration
from broker.cli.main import broker
from tests.plugins.deployment import Deployment, Person, find_text, mark
from tests.plugins.staff_logins import ADMIN, enter, read_audit_log, read_shown_lines, send

# Drawn at random, so that a short number may stand in it by chance.
TOKEN: Final = re.compile(r'[0-9a-f]{32,}|name="token" value="[^"]*"')
STUDENT = {"upstream": "wayf", "affiliation": "student@au.dk", "cpr": "real", "age": "22", "service": "my-loans"}


@pytest.fixture
def admin(shared_deployment: Deployment) -> Person:
    """Give an identity admin who is logged in."""
    return enter(shared_deployment, ADMIN)


def try_login(staff: Person, **fields: str) -> list[str]:
    """Try a login, and give the lines that come of it."""
    empty = dict.fromkeys(("cpr", "age", "assurance", "service", "intent", "affiliation"), "")
    page = send(staff, "/admin/try", **{**empty, **fields})
    assert page.status_code == 200, page.get_data(as_text=True)
    return read_shown_lines(page)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (STUDENT, ("--as", "student@au.dk", "--cpr", "real", "--age", "22", "--service", "my-loans")),
        (
            {"upstream": "wayf", "affiliation": "affiliate@au.dk", "service": "my-loans"},
            ("--as", "affiliate@au.dk", "--service", "my-loans"),
        ),
        (
            {"upstream": "wayf", "affiliation": "student@au.dk, employee@au.dk", "assurance": "low"},
            ("--as", "student@au.dk", "--as", "employee@au.dk", "--assurance", "low"),
        ),
    ],
)
def test_the_page_says_what_the_command_says(
    admin: Person, monkeypatch: pytest.MonkeyPatch, fields: dict[str, str], words: tuple[str, ...]
) -> None:
    """Line for line in English, but for the set and where it is from, which stand apart on the page."""
    admin.get("/admin?lang=en")
    parts = admin.deployment.parts
    monkeypatch.setattr(policy_configuration, "open_trial_site", lambda *_: parts.make_trial_site())
    printed = CliRunner().invoke(broker, ("policy", "try", "--upstream", "wayf", *words)).stdout.splitlines()
    corner = f"set {parts.policies.current.digest[:12]}, in force"
    assert printed[-1] == corner
    assert try_login(admin, **fields) == printed[:-1]


@pytest.mark.parametrize(
    ("field", "typed", "problem"),
    [
        ("affiliation", "1403044004", "affiliation_cpr"),
        ("affiliation", "student@au.dk 140304-4004", "affiliation_cpr"),
        ("affiliation", "010170ABC1@au.dk", "affiliation_cpr"),
        ("affiliation", "01-01-70-12-34@au.dk", "affiliation_cpr"),
        ("affiliation", "studentin", "affiliation_unread"),
        ("affiliation", "a@b@c", "affiliation_unread"),
        ("affiliation", "student\x1b[31m@au.dk", "affiliation_unread"),
        ("affiliation", "student\u202e@au.dk", "affiliation_unread"),
        ("affiliation", " ".join(["student@au.dk"] * 11), "affiliation_unread"),
    ],
)
def test_a_faulty_field_is_reported_and_not_shown_again(admin: Person, field: str, typed: str, problem: str) -> None:
    """The sentence leads to the field; what was typed stands nowhere again, least of all a CPR number."""
    page = send(admin, "/admin/try", **{**STUDENT, "assurance": "", "intent": "", field: typed})
    assert (page.status_code, mark(page)) == (422, ("admin", "try"))
    assert find_text(page, "//main//*[@role='alert']/@data-problem") == problem
    assert find_text(page, "//main//*[@role='alert']//a/@href") == f"#{field}"
    assert typed not in TOKEN.sub("", page.get_data(as_text=True))
    assert "1403044004" not in str(read_audit_log(admin.deployment))


@pytest.mark.parametrize("field", ["upstream", "cpr", "age", "assurance", "service", "intent"])
def test_a_choice_that_the_page_does_not_offer_is_refused(admin: Person, field: str) -> None:
    """A choice is one of those shown."""
    page = send(admin, "/admin/try", **{**STUDENT, "assurance": "", "intent": "", field: "<b>"})
    assert (page.status_code, mark(page)[1]) == (422, "form_refused")
    assert "<b>" not in page.get_data(as_text=True)


def test_a_trial_stores_nothing(admin: Person) -> None:
    """No person, link or enrolment comes of it, and the library system is not asked."""
    deployment = admin.deployment
    before = deployment.borrower_calls()
    try_login(admin, **STUDENT)
    kinds = ("receipt", "enrolment", "link", "proof")
    assert [kind for kind in kinds if list(deployment.parts.store.list(kind, None, deployment.clock.now()))] == []  # type: ignore[arg-type]
    assert deployment.borrower_calls() == before
