"""The audit log has failed tries, acts of staff and upstream logouts, each exactly once."""

import json

import pytest

from broker.cli.audit import find_events
from broker.demo.library import services
from tests.plugins.deployment import Deployment, Person, mark
from tests.plugins.logout_client import LogoutClient
from tests.plugins.mailbox_proof_bench import NURSE
from tests.plugins.pin_pages import pin_page
from tests.plugins.staff_logins import read_audit_log


def _list_reasons(deployment: Deployment, kind: str) -> list[str | None]:
    """Return the reasons of all events of this kind."""
    return [each.get("reason") for each in read_audit_log(deployment) if each["event"] == kind]


def test_a_wrong_pin_is_a_refusal_and_a_slip_of_the_pen_is_not(deployment: Deployment) -> None:
    """A wrong PIN is logged without a borrower number: the typed number may be another person's."""
    person = deployment.person_without_code()
    number = next(str(row["patron_id"]) for row in deployment.koha.patrons.rows() if row["userid"] == "karla.dam")
    page = pin_page(person)
    for fields in ({"identifier": "karla.dam", "pin": ""}, {"identifier": "kårla", "pin": "1"}):
        page = person.press(page, **fields)
    assert _list_reasons(deployment, "refused") == []
    person.press(page, identifier="karla.dam", pin="4072")
    assert _list_reasons(deployment, "refused") == ["pin_wrong"]
    assert find_events(deployment.parts, borrower=number) == []


def test_a_wrong_code_of_a_mailbox_is_a_refusal(deployment: Deployment) -> None:
    """A wrong mailbox code is logged."""
    person = deployment.person()
    page = person.sign_up("eva", "hospital", way="nemid")
    assert mark(page) == ("proof", "kaldemail")
    page = person.press(page, do="mail", address=NURSE)
    person.press(page, do="code", code="00000000")
    assert _list_reasons(deployment, "refused") == ["code_wrong"]


def test_a_passive_request_of_a_browser_without_cookies_is_in_the_log_alone(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service gets an answer; the audit log has nothing because nobody was authenticated."""
    person, url = (
        deployment.person(),
        services.request_url(deployment.site("my-loans"), "my-loans", deployment.peer, force=False, passive=True),
    )
    for _ in range(3):
        page = deployment.app.test_client().get(Person.path(url), base_url=person.base)
        url = page.location or ""
    assert "NoPassive" in deployment.landing(page).status
    assert _list_reasons(deployment, "refused") == []
    assert '"reason": "cookies_needed"' in capsys.readouterr().out


@pytest.mark.parametrize(
    "refusal", [("finn", "nemid", "too_young", "private.yaml:16"), ("mia", "wayf", "no_affiliation", None)]
)
def test_a_refusal_names_the_line_that_decided(
    deployment: Deployment, capsys: pytest.CaptureFixture[str], refusal: tuple[str, str, str, str | None]
) -> None:
    """In log and audit log, for staff: the requirement, not the entry; where none fits the nearest."""
    name, way, reason, rule = refusal
    page = deployment.person().log_in(name, way)
    assert mark(page) == ("refuse", reason)
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if f'"reason": "{reason}"' in line]
    (kept,) = [each for each in read_audit_log(deployment) if each["event"] == "refused"]
    assert (line.get("rule"), kept.get("policy")) == (rule, rule)
    assert "attribute" not in line
    nearest = "student.yaml:10 value_not_matched"
    assert (nearest in line.get("near_misses", ""), nearest in kept.get("near_misses", ())) == (rule is None,) * 2
    assert "yaml" not in page.get_data(as_text=True)


def _ends(deployment: Deployment) -> list[tuple[str, int | None, str | None]]:
    """Give kind, count and reason of every end of a logout."""
    ends = {"logout_done", "logout_partial"}
    return [
        (each["event"], each.get("count"), each.get("reason"))
        for each in read_audit_log(deployment)
        if each["event"] in ends
    ]


def test_a_logout_that_leaves_something_open_is_told_once_by_the_page_that_says_so(deployment: Deployment) -> None:
    """A logout is logged once: if the person does not return to the service, and if the person reloads."""
    leaver = LogoutClient(deployment, deployment.person())
    first, _ = leaver.log_in(), leaver.log_in(service="e-resources")
    asked = leaver.press(leaver.ask("my-loans", first), "scope=services")
    page = leaver.answer(asked, "urn:oasis:names:tc:SAML:2.0:status:Responder")
    assert mark(page) == ("logout", "remains")
    assert _ends(deployment) == [("logout_partial", 2, None)]
    for _ in range(2):
        leaver.get(page.request.path)
        leaver.press(page, "back=1")
    assert len(_ends(deployment)) == 1


def test_a_case_for_staff_is_told_once_and_so_is_what_they_decide(deployment: Deployment) -> None:
    """That two borrowers match, and that staff have let it be tried again."""
    for number in ("T-1", "T-2"):
        desk = {"surname": "Ravn", "firstname": "Asta", "library_id": "AUL", "category_id": "STUDENT"}
        spelled = {"T-1": "1403044004", "T-2": "140304-4004"}[number]
        deployment.koha.patrons.create({**desk, "userid": number, "cardnumber": spelled})
    for _ in range(2):
        person = deployment.person()
        assert mark(person.log_in("asta")) == ("refuse", "several_borrowers")
    assert _list_reasons(deployment, "enrolment_case") == ["several_borrowers"]
    [case] = deployment.list_staff_cases()
    assert deployment.try_again(case.person_id)
    assert _list_reasons(deployment, "enrolment_retried") == ["several_borrowers"]
