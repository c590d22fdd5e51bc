"""What stands in both of two compared sets: what is played under one of them comes of the other."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from broker.core.analysis.set_pairs import unchanged_policies
from broker.core.policy.model import Policy, PolicyLine, PolicySet
from broker.files.policies import live_policies

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
POLICIES = live_policies.load(Path(__file__).resolve().parents[3] / "policies", NOW)


def standing(edited: Policy) -> set[str]:
    """Give the affiliations that stand where the policy of that name was edited so."""
    files = [edited if each.affiliation == edited.affiliation else each for each in POLICIES.policies]
    pairs = unchanged_policies((POLICIES, PolicySet(tuple(files), "after")))
    return {POLICIES.policies[before].affiliation for before, _ in pairs if before is not None}


def test_a_policy_that_is_written_anew_word_for_word_stands() -> None:
    """Each of the others does, and nobody's too."""
    assert standing(replace(POLICIES.named["student"])) == POLICIES.named.keys()


def test_a_key_on_another_line_is_told_with_its_own() -> None:
    """Rules that decide alike do not stand for each other where a change would name the old line."""
    student = POLICIES.named["student"]
    first, *others = student.releases
    moved = replace(first, lines={**first.lines, "purpose": PolicyLine("student.yaml", 999)})

    edited = replace(student, releases=(moved, *others))

    assert edited == student
    assert standing(edited) == POLICIES.named.keys() - {"student"}
