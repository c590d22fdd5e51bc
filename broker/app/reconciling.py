"""``broker enrolments reconcile``: one run over the borrowers that we made, and its report."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Final

from broker.app import enrolment_operations
from broker.app.assembly import Parts
from broker.app.pace import Pace
from broker.app.shared_calls import SharedCalls
from broker.core.borrowers.reconciliation import LeftAlone
from broker.use_cases.borrowers.reconciliation import Bounds, Finding, Reconciliation, Stopped

_AT_ONCE: Final = 16  # calls of the library system: at 200 ms each eighty a second
_MOST_ROWS: Final = 1_000
# Seconds between two looks at a borrower that is not there: a proxy, or a copy, may be behind.
_APART: Final = 2.0
_LOW: Final = (
    "the calls of the day are nearly used up (library.daily_calls): the rest is for logins"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What an administrator asked for; ``skip`` names enrolments as the other commands do."""

    applies: bool
    rate: float
    most: int
    skip: Sequence[str]
    anew: bool


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a run found and mended, by kind, since it began; ``rows`` are of this call alone."""

    ended: bool
    stopped: str | None
    resumed: bool
    compared: int
    found: Mapping[str, int]
    mended: Mapping[str, int]
    rows: Sequence[Mapping[str, Any]]
    more_rows: int
    left_out: int = 0

    @property
    def is_finding(self) -> bool:
        """Return whether something is left for an administrator to look at."""
        return not self.ended or any(count > self.mended.get(kind, 0) for kind, count in self._open)

    @property
    def _open(self) -> Iterator[tuple[str, int]]:
        # What is left alone on purpose is told, and is no finding: it is staff's, or a login's.
        left = {kind.value for kind in LeftAlone} - {LeftAlone.SEVERAL.value}
        return ((kind, count) for kind, count in self.found.items() if kind not in left)

    def sentences(self) -> Iterator[str]:
        """Yield the report: how many, each kind, and what has stopped the run."""
        if self.more_rows:
            yield f"and {self.more_rows} more, which are not listed"
        since = ", with those of the run that was stopped" if self.resumed else ""
        yield f"{self.compared} borrowers compared{since}"
        if self.left_out:
            yield f"{self.left_out} left out: skipped, under way, or a case"
        for kind, count in sorted(self.found.items()):
            yield f"{kind}: {count} found, {self.mended.get(kind, 0)} mended"
        if self.stopped:
            yield f"stopped: {self.stopped}"
            what = "where an enrolment is named, --skip ID leaves it as it is"
            yield f"the same command goes on there; {what}"
        elif not self.compared:
            yield "nothing was compared"
        elif not self.found:
            yield "all that were compared are as they were granted"


@dataclass(frozen=True, slots=True)
class _Turn:
    """A turn of the run: at its pace, and of what logins leave of the library system's calls."""

    pace: Pace
    calls: SharedCalls
    interrupted: Event

    def take(self) -> None:
        """Wait for a turn; Stopped once the rest of the day's calls is kept for logins."""
        if self.calls.is_low:
            raise Stopped(_LOW)
        self.pace.wait()
        self.calls.wait(self.interrupted.wait)


@dataclass(slots=True)
class _Listed:
    """The rows of a report, as many as are in memory at most, and how many more there are."""

    rows: list[Mapping[str, Any]] = field(default_factory=list)
    more: int = 0

    def add(self, finding: Finding) -> None:
        """Add the row of a finding."""
        if len(self.rows) < _MOST_ROWS:
            self.rows.append(_row(finding))
        else:
            self.more += 1


def reconciled(parts: Parts, asked: Asked, tell: Callable[[str], None]) -> Reconciled:
    """Compare, and with ``applies`` mend, all that is left of the run; ``tell`` hears how far.

    NoEnrolment for an id to skip that is none; StoreUnavailable, AuditUnavailable.
    """
    skipped = frozenset(enrolment_operations.named(parts, name) for name in asked.skip)
    bounds = Bounds(asked.applies, asked.most, skipped)
    interrupted = Event()
    parts.library_calls.give_way()
    pace = Pace(asked.rate, sleep=interrupted.wait)
    turn = _Turn(pace, parts.library_calls, interrupted)
    listed = _Listed()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        ports = parts.enrolments.ports
        run = Reconciliation(ports, parts.policies.current, bounds, turn.take, pool.map)
        run.apart = lambda: interrupted.wait(_APART)
        run.told = lambda so_far: tell(f"{so_far.share:.0%}, {so_far.compared} compared")
        run.begin(anew=asked.anew)
        try:
            with closing(run.findings()) as findings:
                for finding in findings:
                    listed.add(finding)
        except KeyboardInterrupt:
            # What was found and mended until then is told all the same.
            run.stopped = "interrupted"
        finally:
            interrupted.set()
            pool.shutdown(cancel_futures=True)
    return Reconciled(
        ended=run.ended,
        stopped=run.stopped,
        resumed=run.resumed,
        compared=run.run.compared,
        found=run.run.found,
        mended=run.run.mended,
        rows=listed.rows,
        more_rows=listed.more,
        left_out=run.run.left_out,
    )


def _row(finding: Finding) -> Mapping[str, Any]:
    return {
        "id": finding.id,
        "borrower": finding.number,
        "differs": finding.kinds,
        "outcome": finding.outcome,
    }
