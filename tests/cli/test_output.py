"""How commands print: tables where a person looks, plain lines in a pipe, JSON for programs."""

import json
from datetime import UTC, datetime

import pytest

from broker.cli import output
from broker.core.ports import NewerRelease

KEYS = [
    {"use": "idp-signing", "bits": 3072, "until": datetime(2031, 5, 1, 12, 30, tzinfo=UTC)},
    {"use": "store [red]", "bits": 256, "until": None},
]


def test_a_pipe_gets_a_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe gets name=value pairs with two spaces between them, and no empty values."""
    output.show(KEYS, as_json=False)
    assert capsys.readouterr().out == (
        "use=idp-signing  bits=3072  until=2031-05-01 12:30:00+00:00\nuse=store [red]  bits=256\n"
    )


@pytest.mark.parametrize(("findings", "code", "said"), [([], None, "all well\n"), (["a", "b"], 1, "a\nb\n")])
def test_findings_are_a_line_each_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], findings: list[str], code: int | None, said: str
) -> None:
    """Exit 1 with any, and all well without; programs get a list."""
    for as_json in (False, True):
        found = None
        try:
            output.show_findings(findings, as_json=as_json)
        except SystemExit as end:
            found = end.code
        printed = capsys.readouterr().out
        assert (found, json.loads(printed) if as_json else printed) == (
            code,
            {"findings": findings} if as_json else said,
        )


def test_a_store_of_a_newer_release_is_one_sentence_with_the_fix() -> None:
    """Restoring a key, the fix for a damaged record, would not help."""
    (fault,) = output.describe_error(NewerRelease("PersonRecord record", 3, 2))
    assert str(fault) == (
        "store: this store was written by a newer release: PersonRecord record has version 3, this release reads 2 "
        "(install that release, or restore the backup from before the upgrade)"
    )
