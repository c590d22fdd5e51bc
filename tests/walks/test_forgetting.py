"""Forgetting a person on the audit log: whatever they logged in by, and whether or not they have a borrower."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner

from broker.adapters.audit_log.audit_log import StoredAuditLog
from broker.cli.audit import find_events, verify_configured
from broker.cli.main import broker as command
from tests.plugins.deployment import Deployment
from tests.plugins.pin_pages import PIN, pin_page


def _log_in_with_pin(deployment: Deployment, user_name: str) -> None:
    """Log in by the library account at a terminal, from the service to its assertion."""
    person = deployment.person_without_code()
    page = person.press(pin_page(person), do="login", identifier=user_name, pin=PIN)
    deployment.landing(person.agree(page))


def _number(deployment: Deployment, userid: str) -> str:
    return next(str(row["patron_id"]) for row in deployment.koha.patrons.rows() if row["userid"] == userid)


def _keys(deployment: Deployment) -> int:
    return len(list(deployment.parts.store.list("audit", None, deployment.clock.now())))


@pytest.mark.parametrize("userid", ["karla.dam", "temp.tove"])
def test_a_pin_login_is_shown_and_deleted_by_borrower_number(deployment: Deployment, userid: str) -> None:
    """With a CPR number in the library system and without: their link is the account's own, and holds no number."""
    number = _number(deployment, userid)
    _log_in_with_pin(deployment, userid)
    before = [each["event"] for each in find_events(deployment.parts, borrower=number)]
    assert before == ["decided", "pin_verified", "consent_given", "released"]
    stored = deployment.parts.stored_data
    stored.forget(stored.find(borrower=number))
    assert (find_events(deployment.parts, borrower=number), _keys(deployment)) == ([], 0)
    assert verify_configured(deployment.parts).findings == []


@pytest.fixture
def run(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Run a command over the broker of the test."""
    monkeypatch.setattr("broker.app.assembly.open_broker", lambda: deployment.parts)

    def ran(*words: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(command, ["audit", *words])
        return result.exit_code, result.stdout, result.stderr

    return ran


def test_a_trail_that_was_cut_is_found_accepted_and_goes_on(
    deployment: Deployment, run: Callable[..., tuple[int, str, str]]
) -> None:
    """Exit 1 and the place; once staff have seen it, well again, with what they saw as a note."""
    _log_in_with_pin(deployment, "karla.dam")
    audit_log = deployment.parts.audit_log
    assert isinstance(audit_log, StoredAuditLog)
    for path in audit_log.files.folder.iterdir():
        path.unlink()
    code, said, _ = run("verify")
    assert code == 1
    assert "lines 1 to 2 are missing at the end: the store names line 2" in said
    assert run("accept")[:2] == (0, "1 findings accepted\n")
    code, said, _ = run("verify")
    assert (code, said) == (0, "all well\n")
    _log_in_with_pin(deployment, "karla.dam")
    assert run("verify")[0] == 0
    (month,) = audit_log.files.months()
    assert run("delete", month)[0] == 1
