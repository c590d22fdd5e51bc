"""The application log: masked lines, and lines that are dropped and counted."""

import io
import json

import pytest

from broker.adapters.observability import application_log

SPELT = (
    "1403044004",
    "140304-4004",
    "140304\u20134004",
    "14.03.04 - 4004",
    "\uff11\uff14\uff10\uff13\uff10\uff14\uff14\uff10\uff10\uff14",
    "user_1403044004x",
    "120180ABC1",
)


@pytest.fixture(autouse=True)
def _configure_log() -> None:
    application_log.configure()


@pytest.mark.parametrize("spelt", SPELT)
def test_no_spelling_of_a_number_reaches_the_log(capsys: pytest.CaptureFixture[str], spelt: str) -> None:
    """A fact may quote a number by mistake; the line shows a mask.

    Source: docs/reference/design.md#invariant-4.
    """
    application_log.log_event("asked", fault=f"of {spelt}", reference="BCDFGHJK", count=3)
    line = json.loads(capsys.readouterr().out)
    assert line["fault"].replace("user_", "").rstrip("x") == "of ******-****"
    assert (line["reference"], line["count"], line["event"]) == ("BCDFGHJK", 3, "asked")


def test_times_and_places_stay_readable(capsys: pytest.CaptureFixture[str]) -> None:
    """A mask over the time of an event would make the log useless."""
    application_log.log_event(
        "asked", fault="policies/student.yaml:12: until 2012-06-30 10:12:30.301234, of 10.11.12.13:8080"
    )
    assert "*" not in capsys.readouterr().out


def test_a_line_that_cannot_be_masked_is_dropped_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """A list or an object could hold anything."""
    before = application_log.dropped
    application_log.log_event("asked", fault=["1403044004"])  # type: ignore[arg-type]
    assert (capsys.readouterr().out, application_log.dropped) == ("", before + 1)


@pytest.mark.parametrize("error", [OSError(28, "No space left"), BrokenPipeError(), ValueError("closed file")])
def test_a_line_that_cannot_be_written_is_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A full disk or a closed pipe. An exception would end the thread that logs."""

    class Refusing(io.StringIO):
        def write(self, _: str) -> int:
            raise error

    monkeypatch.setattr("sys.stdout", Refusing())
    before = application_log.dropped
    application_log.log_event("asked")
    application_log.log_unexpected(error, "server")
    assert application_log.dropped == before + 2
