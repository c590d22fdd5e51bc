"""The record of the policies in force over every store: moved once over one base, with its entry, its set, its turn."""

import random
from datetime import UTC, datetime, timedelta

from broker.core.ports import Store
from broker.use_cases.policies.set_in_force import Live, Move, Proposal, SetInForce
from broker.use_cases.policies.worker_reports import OwnReport, WorkerReport, current

NOW = datetime(2031, 3, 30, 1, 59, 59, 123456, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


def test_a_set_is_moved_once_over_its_base_and_told_once(store: Store) -> None:
    """Record, history, sets of several pieces, and the queue of what no trail has, in one group or in several."""
    drawn = random.Random(1)
    sets = SetInForce(store)
    bases: list[Live] = []
    changes = []
    for number in range(3):
        files = {f"{name}.yaml": drawn.randbytes(100_000) for name in range(4)}
        proposal = Proposal(files, Move.APPLIED, "kirsten", f"edit {number}", {"library": "1"})
        bases.append(sets.live(NOW))
        change = sets.move(bases[-1], proposal, NOW)
        assert change
        changes.append(change)
        assert sets.sets.read(change.digest, NOW) == files
        for base in bases:
            assert sets.move(base, proposal, NOW) is None
        live = sets.live(NOW)
        assert live
        assert live.value == change
    assert sets.history(NOW) == tuple(changes)
    told = []
    while claimed := sets.untold(LATER, LATER):
        told.append(claimed.record.value.number)
        sets.tell_done(claimed.record.value, LATER)
        claimed.lease.end(LATER)
    assert told == [1, 2, 3]
    assert sets.history(LATER) == tuple(changes)


def test_workers_report_side_by_side(store: Store) -> None:
    """Each under a name of its own, until it ends."""
    workers = [OwnReport(store, f"idp1/{number}/a") for number in range(3)]
    for number, worker in enumerate(workers):
        worker.tell(WorkerReport("idp1", number, "digest"), NOW)
    workers[1].drop()
    assert sorted(record.value.pid for record in current(store, NOW).values()) == [0, 2]
