"""The commands that show a person what is kept, and forget them, as an administrator types them."""

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from broker.app.assembly import Parts
from broker.cli.main import broker as command
from tests.plugins.stored_persons import ASTA, KARLA

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(parts_with_persons: Parts, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command over the parts, with ``typed`` on standard input."""
    monkeypatch.setattr("broker.app.assembly.open_broker", lambda: parts_with_persons)

    def ran(*words: str, typed: str = "") -> tuple[int, str, str]:
        result = CliRunner().invoke(command, ["person", *words], input=typed)
        return result.exit_code, result.stdout, result.stderr

    return ran


def test_a_person_is_exported(run: Run) -> None:
    """By the CPR number on standard input, or by borrower number; the number is masked."""
    code, told, _ = run("export", typed=f"{ASTA.cpr}\n")
    assert (code, "kept" in json.loads(told), ASTA.cpr in told, "too_young" in told) == (0, True, False, True)
    assert run("export", "--borrower", ASTA.number)[0] == 0


def test_a_person_is_shown_by_each_thing_that_leads_to_them(run: Run) -> None:
    """Borrower number or CPR number: the same enrolment."""
    shown = {run("show", *words, typed=typed) for words, typed in (((ASTA.number,), ""), ((), ASTA.cpr))}
    ((code, told, said),) = shown
    assert (code, said) == (0, "")
    assert "state=pending" in told


@pytest.mark.parametrize("option", ["--borrower"])
def test_a_cpr_number_is_no_argument(run: Run, option: str) -> None:
    """Shells and machines write arguments down: it is refused unread, and not repeated."""
    code, _, said = run("export", option, ASTA.cpr)
    assert (code, "standard input" in said, ASTA.cpr in said) == (2, True, False)


def test_forgetting_says_first_what_it_does_and_then_does_it(run: Run) -> None:
    """Exit 3 without --yes, with a warning; then who is to be told, and nobody is found."""
    code, told, said = run("forget", typed=ASTA.cpr)
    assert code == 3
    assert "What is deleted cannot be brought back" in said
    assert "Nothing is deleted yet: repeat the command with --yes." in said
    assert "receipts" in told
    code, told, _ = run("forget", "--yes", "--json", typed=ASTA.cpr)
    outcome = json.loads(told)
    assert (code, outcome["forgotten"], outcome["pending"]) == (0, True, [])
    assert [each["service"] for each in outcome["recipients"]] == ["my-loans", "reading-room"]
    code, _, said = run("forget", "--yes", typed=ASTA.cpr)
    assert (code, said.startswith("person: nothing is stored")) == (1, True)
    assert run("export", typed=KARLA.cpr)[0] == 0


def test_a_replay_is_for_everybody(run: Run) -> None:
    """After a restore, for all of forgotten.log at once."""
    code, told, _ = run("forget", "--replay", "--json")
    assert (code, json.loads(told)) == (0, {"person_ids": 0, "pending": []})
    assert run("forget", "--replay", "--borrower", "1")[0] == 2


@pytest.mark.parametrize(
    ("words", "typed", "code"),
    [
        (("export",), "", 2),
        (("export", ASTA.cpr), "", 2),
        (("export",), "1111116666", 1),
        (("forget", "--yes", "--borrower", "no such"), "", 1),
    ],
)
def test_a_newcomer_s_mistakes_are_one_sentence(run: Run, words: tuple[str, ...], typed: str, code: int) -> None:
    """No traceback; a number on standard input is quoted nowhere."""
    ended, told, said = run(*words, typed=typed)
    assert (ended, told) == (code, "")
    assert "Traceback" not in said
    assert not typed or typed not in said
