"""A policy file that disappears: its set stays in force until policies/REMOVED names the affiliation."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.configuration.policies import live_policies
from broker.configuration.policies.live_policies import LivePolicies
from broker.configuration.policies.site_checks import ANY_NAMES
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.policy.model import PolicySet

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
GONE = (
    "policies/hospital.yaml: the affiliation hospital is in force, but no file defines it any more"
    " (put it back, or write the line hospital into policies/REMOVED)"
)


def start(folder: Path, state: Path, now: datetime) -> tuple[PolicySet, tuple[Fault, ...]]:
    """Give the set that a start puts in force, and the faults of the files."""
    live = LivePolicies(folder, ANY_NAMES, now, state=state)
    return live.current, live.file_faults


def move_file_away(folder: Path) -> None:
    """Move the file out of the folder."""
    (folder / "hospital.yaml").rename(folder.parent / "hospital.yaml")


def hide_file(folder: Path) -> None:
    """Give the file a name that is ignored."""
    (folder / "hospital.yaml").rename(folder / ".hospital.yaml")


def rename_affiliation(folder: Path) -> None:
    """Give the affiliation another name."""
    file = folder / "hospital.yaml"
    file.write_text(file.read_text().replace("affiliation: hospital", "affiliation: clinic"))


@pytest.mark.parametrize("go", [move_file_away, hide_file, rename_affiliation], ids=lambda go: go.__name__)
def test_an_affiliation_stays_in_force_until_removed_names_it(folder: Path, go: Callable[[Path], None]) -> None:
    """Hospital staff are let in as before, and the fault says what to do."""
    live = LivePolicies(folder, ANY_NAMES, NOW)
    first = live.current
    go(folder)
    assert live.refresh(NOW + timedelta(seconds=2)) is first
    assert [str(fault) for fault in live.file_faults] == [GONE]
    (folder / "REMOVED").write_text("hospital\n")
    gone = live.refresh(NOW + timedelta(seconds=4))
    assert "hospital" not in {policy.affiliation for policy in gone.policies}
    assert live.file_faults == ()


def test_a_file_with_a_wrong_ending_changes_nothing(folder: Path) -> None:
    """The fault is about the file's new name, not about a missing affiliation."""
    live = LivePolicies(folder, ANY_NAMES, NOW)
    first = live.current
    (folder / "hospital.yaml").rename(folder / "hospital.YAML")
    assert live.refresh(NOW + timedelta(seconds=2)) is first
    (fault,) = live.file_faults
    assert (fault.where, fault.fix[:23]) == ("policies/hospital.YAML", "rename it to hospital.y")


def test_a_restart_compares_with_the_last_good_set_and_a_first_start_with_nothing(folder: Path, tmp_path: Path) -> None:
    """Without a state folder no set is in force yet."""
    state = tmp_path / "state"
    start(folder, state, NOW)
    move_file_away(folder)
    held, file_faults = start(folder, state, NOW)
    assert ([str(fault) for fault in file_faults], len(held.policies)) == ([GONE], 4)
    with pytest.raises(ConfigurationFaults, match="the affiliation hospital is in force"):
        live_policies.load(folder, NOW, state=state)
    assert len(start(folder, tmp_path / "another", NOW)[0].policies) == 3
    (folder / "REMOVED").write_text("hospital\n")
    assert start(folder, state, NOW)[1] == ()
    (folder / "REMOVED").unlink()
    assert start(folder, state, NOW)[1] == ()


def test_a_typo_in_removed_leaves_the_fault_in_place(folder: Path) -> None:
    """The fault names the line to write."""
    live = LivePolicies(folder, ANY_NAMES, NOW)
    move_file_away(folder)
    (folder / "REMOVED").write_text("hopsital\n")
    live.refresh(NOW + timedelta(seconds=2))
    assert str(live.file_faults[0]).endswith("or write the line hospital into policies/REMOVED)")
