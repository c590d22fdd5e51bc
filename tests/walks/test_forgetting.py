"""Forgetting a person on the audit trail: whatever they logged in by, and whether or not they have a borrower."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner

from broker.adapters.audit_log.audit_log import StoredAuditLog
from broker.app import audit_operations
from broker.cli.main import broker as command
from tests.plugins.house import House, Person, form, found

PIN = "4071"


def _by_pin(house: House, user_name: str) -> Person:
    """Log in by the library account at a terminal, from the service to its assertion."""
    person = house.person_without_code()
    action, hidden = form(person.ask())
    page = person.get(found(person.post(action, {**hidden, "upstream": "library"}), "//main//a/@href"))
    action, hidden = form(page)
    asked = person.post(action, {**hidden, "do": "login", "identifier": user_name, "pin": PIN})
    house.landing(person.agree(person.get(asked.location)))
    return person


def _number(house: House, userid: str) -> str:
    return next(str(row["patron_id"]) for row in house.koha.patrons.rows() if row["userid"] == userid)


def _keys(house: House) -> int:
    return len(list(house.parts.store.list("audit", None, house.clock.now())))


@pytest.mark.parametrize("userid", ["karla.dam", "temp.tove"])
def test_who_logs_in_by_pin_is_shown_and_forgotten_by_number(house: House, userid: str) -> None:
    """With a CPR number in the library system and without: their link is the account's own, and holds no number."""
    number = _number(house, userid)
    _by_pin(house, userid)
    before = [each["event"] for each in audit_operations.events(house.parts, borrower=number)]
    assert before == ["decided", "pin_verified", "consent_given", "released"]
    assert audit_operations.erased(house.parts, borrower=number) == 1
    assert (audit_operations.events(house.parts, borrower=number), _keys(house)) == ((), 0)
    assert audit_operations.verified(house.parts).findings == []


@pytest.fixture
def run(house: House, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Run a command over the broker of the test."""
    monkeypatch.setattr("broker.app.diagnostics.opened", lambda: house.parts)

    def ran(*words: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(command, ["audit", *words])
        return result.exit_code, result.stdout, result.stderr

    return ran


def test_a_trail_that_was_cut_is_found_accepted_and_goes_on(
    house: House, run: Callable[..., tuple[int, str, str]]
) -> None:
    """Exit 1 and the place; once staff have seen it, well again, with what they saw as a note."""
    _by_pin(house, "karla.dam")
    trail = house.parts.trail
    assert isinstance(trail, StoredAuditLog)
    for path in trail.journal.folder.iterdir():
        path.unlink()
    code, said, _ = run("verify")
    assert code == 1
    assert "lines 1 to 2 are missing at the end: the store names line 2" in said
    assert run("accept")[:2] == (0, "1 findings accepted\n")
    code, said, _ = run("verify")
    assert (code, "note: " in said, "staff had seen 1 findings" in said) == (0, True, True)
    _by_pin(house, "karla.dam")
    assert run("verify")[0] == 0
    (month,) = trail.journal.months()
    assert run("delete", month)[0] == 1
