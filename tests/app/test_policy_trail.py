"""Changes of the policies on the trail: what they say, and none is lost where its maker died or the disk was full."""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.adapters.stores.sqlite import SqliteStore, prepare
from broker.adapters.trail.hash_chain import LONGEST
from broker.app.policy_trail import PolicyTrail
from broker.core.audit_events import AuditEvent, AuditEventKind, NoTrail
from broker.core.errors import AuditUnavailable
from broker.use_cases.policies.set_in_force import Move, Proposal, SetChange, SetInForce

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class Listed(NoTrail):
    """A trail that can be full."""

    events: list[AuditEvent] = field(default_factory=list)
    full: bool = False

    def add(self, event: AuditEvent) -> None:
        """Keep an event."""
        if self.full:
            raise AuditUnavailable("full")
        self.events.append(event)


@pytest.fixture
def told(tmp_path: Path) -> tuple[PolicyTrail, Listed]:
    """Give the trail of a machine over an empty store, a minute after its changes."""
    prepare(tmp_path / "broker.db")
    listed = Listed()
    sets = SetInForce(SqliteStore(tmp_path / "broker.db"))
    return PolicyTrail(listed, sets, lambda: NOW + MINUTE), listed


def moved(sets: SetInForce, move: Move, text: str) -> SetChange:
    """Put a set in force, and say nothing of it."""
    proposal = Proposal({"student.yaml": text.encode()}, move, "kirsten@idp1", "age 15", {}, ("student.yaml changed",))
    change = sets.move(sets.live(NOW), proposal, NOW)
    assert change
    return change


def test_a_change_of_a_thousand_files_has_room_on_the_trail(told: tuple[PolicyTrail, Listed]) -> None:
    """Its line says how many more there are: one that is too long would never be written, and be tried for ever."""
    trail, listed = told
    many = tuple(f"{number:04}-universitet-på-øen.yaml tilføjet" for number in range(1_000))
    change = trail.sets.move(None, Proposal({"a.yaml": b""}, Move.SAVED, "", "", {}, many, broken=many), NOW)
    assert change
    assert trail.tell(change)
    (event,) = listed.events
    assert len(json.dumps(event.changes)) < LONGEST - 2_000
    lines = [int(each.split()[1]) if each.startswith("and ") else 1 for each in event.changes]
    assert (sum(lines), lines.count(1) > 100) == (2_000, True)
    assert change.summary == many


def test_a_line_says_what_from_who_and_why(told: tuple[PolicyTrail, Listed]) -> None:
    """Each way to come into force has a kind of its own."""
    trail, listed = told
    changes = [moved(trail.sets, move, str(move)) for move in Move]
    assert [trail.tell(change) for change in changes] == [True] * len(changes)
    assert [event.kind for event in listed.events] == [
        AuditEventKind.POLICIES_BEGUN,
        AuditEventKind.POLICIES_APPLIED,
        AuditEventKind.POLICIES_ROLLED_BACK,
        AuditEventKind.POLICIES_SAVED,
    ]
    second = listed.events[1]
    assert (second.digest, second.base) == (changes[1].digest[:12], changes[0].digest[:12])
    assert (second.by, second.why, second.changes, second.count) == (
        "kirsten@idp1",
        "age 15",
        ("student.yaml changed",),
        2,
    )
    assert not trail.step()


def test_a_line_says_who_has_signed_or_that_one_was_alone(told: tuple[PolicyTrail, Listed]) -> None:
    """Both people with their keys, or the code of the alarm."""
    trail, listed = told
    wanted = Proposal({"student.yaml": b"1"}, Move.APPLIED, "kirsten@idp1", "age 15", {})
    for proposal in (replace(wanted, approved_by=("kirsten SHA256:a", "mads SHA256:b")), replace(wanted, alone=True)):
        change = trail.sets.move(trail.sets.live(NOW), proposal, NOW)
        assert change
        trail.tell(change)
    assert [(event.approved_by, event.reason) for event in listed.events] == [
        (("kirsten SHA256:a", "mads SHA256:b"), None),
        ((), "alone"),
    ]


def test_broker_work_writes_what_others_died_over(told: tuple[PolicyTrail, Listed]) -> None:
    """The earliest first, each once; then it looks every ten seconds only."""
    trail, listed = told
    changes = [moved(trail.sets, Move.APPLIED, text) for text in "abc"]
    trail.tell(changes[1])
    assert [trail.step(), trail.step(), trail.step()] == [True, True, False]
    assert [event.count for event in listed.events] == [2, 1, 3]
    moved(trail.sets, Move.APPLIED, "d")
    assert not trail.step()


def test_a_trail_that_is_full_gets_the_line_later(told: tuple[PolicyTrail, Listed]) -> None:
    """The change has happened, and waits for its line."""
    trail, listed = told
    change = moved(trail.sets, Move.APPLIED, "a")
    listed.full = True
    assert not trail.tell(change)
    assert not trail.step()
    listed.full = False
    assert trail.step()
    assert [event.count for event in listed.events] == [1]
