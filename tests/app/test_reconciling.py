"""The report of ``broker enrolments reconcile``: what is a finding, and what is said of a run that was stopped."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from broker.app.assembly import Parts, assemble, now
from broker.app.reconciling import Asked, Reconciled
from broker.app.reconciling import reconciled as run_reconciliation
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState, Granted
from broker.core.borrowers.library_calls import QUOTA_LOW
from broker.demo.run.demo_folder import Ports, Setting, write
from broker.files.settings.config import load
from broker.use_cases.borrowers.enrolment_records import StoredEnrolment


def reconciled(
    found: Mapping[str, int], mended: Mapping[str, int], stopped: str | None = None, *, resumed: bool = False
) -> Reconciled:
    """Give what a run over nine borrowers came to."""
    return Reconciled(stopped is None, stopped, resumed, 9, found, mended, (), 0)


@pytest.mark.parametrize(
    ("found", "mended", "is_finding"),
    [
        ({}, {}, False),
        ({"card": 2}, {"card": 2}, False),
        ({"card": 2}, {"card": 1}, True),
        ({"category_of_staff": 4, "policy_changed": 1, "no_policy": 1}, {}, False),
        ({"several_lower": 1}, {}, True),
        ({"another_mark": 1}, {}, True),
    ],
)
def test_what_is_left_for_somebody_to_look_at_is_a_finding(
    found: Mapping[str, int], mended: Mapping[str, int], *, is_finding: bool
) -> None:
    """What is staff's, or a login's, is told and is none."""
    assert reconciled(found, mended).is_finding is is_finding


def test_a_run_that_was_stopped_is_a_finding_and_says_how_to_go_on() -> None:
    """It never says that all is well."""
    stopped = reconciled({}, {}, "library_unavailable: no answer", resumed=True)
    assert stopped.is_finding
    said = list(stopped.sentences())
    assert said[:2] == [
        "9 borrowers compared, with those of the run that was stopped",
        "stopped: library_unavailable: no answer",
    ]
    assert "the same command goes on there" in said[2]
    assert list(reconciled({}, {}).sentences()) == [
        "9 borrowers compared",
        "all that were compared are as they were granted",
    ]
    assert "card: 2 found, 1 mended" in reconciled({"card": 2}, {"card": 1}).sentences()


def test_whoever_was_left_out_is_said() -> None:
    """A run that compared nobody never says that all is well."""
    nobody = replace(reconciled({}, {}), compared=0, left_out=2)
    assert list(nobody.sentences()) == [
        "0 borrowers compared",
        "2 left out: skipped, under way, or a case",
        "nothing was compared",
    ]


@pytest.fixture(name="parts")
def _parts(setting: Setting, tmp_path: Path) -> Parts:
    environ = {"BROKER_STORE__URL": f"sqlite:{tmp_path / 'broker.db'}"}
    return assemble(load(setting.folder / "broker.toml", environ))


def test_a_run_leaves_the_rest_of_the_day_to_logins(parts: Parts) -> None:
    """Once the library system's calls of the day are nearly used up it asks nothing more, and says so."""
    key = parts.enrolments.person_key("0101990000")
    at = now()
    granted = Granted("student", "STUDENT", at.date())
    done = Enrolment("a" * 32, EnrolmentState.DONE, at, None, key.group, "5", granted=granted)
    assert parts.enrolments.ports.records.write(StoredEnrolment(key, done, None, None), done, None)
    parts.library_calls(QUOTA_LOW, "done", 0.0)
    asked = Asked(applies=False, rate=100, most=1, skip=(), anew=True)
    found = run_reconciliation(parts, asked, lambda _: None)
    assert (found.ended, found.compared) == (False, 0)
    assert found.stopped is not None
    assert found.stopped.startswith("the calls of the day are nearly used up (library.daily_calls)")


@pytest.mark.parametrize(("system", "limit"), [("koha", None), ("alma", 7.0)])
def test_the_calls_of_a_second_are_those_of_the_configuration(tmp_path: Path, system: str, limit: float | None) -> None:
    """An Alma's, which its contract limits; a Koha has no such limit, and nothing is counted for it."""
    setting = write(tmp_path / "demo", Ports(21_040), now(), system=system)
    environ = {"BROKER_LIBRARY__CALLS_A_SECOND": "7"} if limit else {}
    assert assemble(load(setting.config, environ)).library_calls.limit == limit
