"""The audit log of whole logins: the events in their order, and no personal data."""

from broker.adapters.audit_log.audit_log import StoredAuditLog
from broker.app import readiness
from broker.cli.audit import verify_configured
from broker.demo.people.personas import persona
from tests.plugins.deployment import Deployment, mark
from tests.plugins.staff_logins import read_audit_log

WORKER_EVENTS = {"enrolment_done"}  # written by the worker, before or after the request's next line


def _open_audit_log(deployment: Deployment) -> StoredAuditLog:
    assert isinstance(deployment.parts.audit_log, StoredAuditLog)
    return deployment.parts.audit_log


def _events(deployment: Deployment) -> list[object]:
    return [each["event"] for each in read_audit_log(deployment)]


def _wait_for_account(deployment: Deployment) -> None:
    """Wait until the worker has written that the account was made: it may be after the assertion has left."""
    deployment.wait_until(lambda: set(_events(deployment)) >= WORKER_EVENTS, "the account was made")


def test_the_audit_log_has_each_login_and_no_personal_data(deployment: Deployment) -> None:
    """Decision, consent, enrolment and release; only the release of a second login; no value of the persona."""
    person, asta = deployment.person(), persona("asta")
    landed = deployment.landing(person.agree(person.log_in("asta"), remember=True))
    _wait_for_account(deployment)
    first = _events(deployment)
    assert [each for each in first if each not in WORKER_EVENTS] == [
        "policies_loaded",
        "decided",
        "consent_given",
        "enrolment_wanted",
        "released",
    ]
    assert [each for each in first if each in WORKER_EVENTS] == ["enrolment_done"]
    again = deployment.person()
    deployment.landing(again.log_in("asta"))
    told = [each for each in _events(deployment) if each not in WORKER_EVENTS]
    assert told[-2:] == ["released", "released"]  # no questions were asked: one line for the second login
    released = read_audit_log(deployment)[-1]
    assert {"cpr", "borrower_number"} <= set(
        map(str, released["attributes"] if isinstance(released["attributes"], list) else ())
    )
    assert str(released["policy"]).startswith("student.yaml:")
    files = b"".join(each.read_bytes() for each in _open_audit_log(deployment).files.folder.iterdir()).decode()
    cookies = [each.value for each in (*person.cookies(""), *again.cookies(""))]
    values = [value for each in asta.attributes.values() for value in each if len(value) > 3]
    landed_values = [value for each in landed.attributes.values() for value in each]
    known = {"au.dk", "Aarhus Universitet", "student"}  # the institution's, not the person's
    assert landed.name_id
    for value in {*values, *landed_values, *cookies, landed.name_id} - known:
        # A short value may occur inside another one by chance, but not as a JSON value by itself.
        bare = value.rpartition(":")[2]
        assert (bare if len(bare) > 3 else f'"{bare}"') not in files, bare
    assert verify_configured(deployment.parts).findings == []


def test_no_assertion_is_sent_if_the_audit_log_cannot_be_written(deployment: Deployment) -> None:
    """The person is asked to try again, readiness reports it, and logins work once the folder is back."""
    person, folder = deployment.person(), _open_audit_log(deployment).files.folder
    deployment.landing(person.agree(person.log_in("asta"), remember=True))
    _wait_for_account(deployment)
    away = folder.rename(folder.with_name("elsewhere"))
    page = deployment.person().log_in("asta")
    assert mark(page) == ("error", "audit_unavailable")
    assert b"SAMLResponse" not in page.get_data()
    assert readiness.readiness(deployment.parts)["audit"]
    away.rename(folder)
    assert not readiness.readiness(deployment.parts)["audit"]
    assert "audit" in readiness.notes(deployment.parts)
    deployment.landing(deployment.person().log_in("asta"))
