"""Borrowers that we made, kept as they were granted: compared one by one, mended within bounds."""

import heapq
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Protocol

from broker.core.audit_events import of_enrolment
from broker.core.borrowers.enrolment import Enrolment, EnrolmentState
from broker.core.borrowers.reconciliation import Comparison, Difference, Surprise
from broker.core.entities import Names
from broker.core.errors import LibraryRefused, LibraryUnavailable
from broker.core.policy.model import PolicySet
from broker.core.ports import Key
from broker.core.retention.table import RECONCILED
from broker.use_cases.borrowers.borrower_comparison import BorrowerComparison, Compared
from broker.use_cases.borrowers.borrower_mend import BorrowerMend, NotMended
from broker.use_cases.borrowers.category_letters import CategoryLetters
from broker.use_cases.borrowers.enrolment_ports import EnrolmentPorts
from broker.use_cases.borrowers.enrolment_records import StoredEnrolment
from broker.use_cases.records import Content, Record, Records

_MENDING: Final = Key("figures", "reconciliation")
_COMPARING: Final = Key("figures", "comparison")
# So many names of enrolments are in memory at once, however many there are.
_AT_HAND: Final = 10_000
_SIDE_BY_SIDE: Final = 64
# The digits that are kept of the place: every 65,536th of the enrolments, and nobody's name.
_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class ReconciliationRun:
    """How far a run has come, and what it found; no person.

    ``place`` are the first digits of the keyed hashes that have all been compared; the hashes are
    spread evenly.
    """

    began: datetime
    applies: bool
    place: str = ""
    compared: int = 0
    left_out: int = 0
    found: Mapping[str, int] = field(default_factory=dict)
    mended: Mapping[str, int] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Return how much of the whole has been compared, between 0 and 1."""
        if not self.place:
            return 0.0
        return int(self.place, 16) / float(16 ** len(self.place))


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one enrolment, by its id; ``outcome`` says what became of it."""

    id: str
    number: str | None
    kinds: Names
    outcome: str  # found, mended, left, under way, or surprise


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a run may do: mend at all, ``most`` of one kind, and nothing of the ids ``skipped``."""

    applies: bool
    most: int = 100
    skipped: frozenset[str] = frozenset()


class SideBySide(Protocol):
    """Does several things at once and gives their results in order, as ``map`` does."""

    def __call__(
        self, look: Callable[[Key], Compared | None], keys: Sequence[Key], /
    ) -> Iterable[Compared | None]:
        """Return the results, each as it is asked for."""
        ...


class Stopped(Exception):
    """The run has to stop; the text says why, without a personal value."""


@dataclass(slots=True)
class Reconciliation:
    """One run over all enrolments, which goes on where an earlier one was stopped.

    ``pace`` is waited for before a borrower is asked about; it raises Stopped where nobody is to be
    asked about any more. ``apart`` is waited for before a borrower that is not there is asked about
    once more. ``told`` hears now and then how far the run has come. ``ended`` is whether the run
    came to the end of all, ``stopped`` what has stopped it before that.
    """

    ports: EnrolmentPorts
    policies: PolicySet
    bounds: Bounds
    pace: Callable[[], object]
    side_by_side: SideBySide = map
    apart: Callable[[], object] = lambda: None
    told: Callable[[ReconciliationRun], object] = lambda _: None
    run: ReconciliationRun = field(init=False)
    resumed: bool = field(default=False, init=False)
    stopped: str | None = field(default=None, init=False)
    ended: bool = field(default=False, init=False)
    _stored: Record[ReconciliationRun] | None = field(default=None, init=False)
    _found: Counter[str] = field(init=False)
    _mended: Counter[str] = field(init=False)
    # What a run that goes on counts no second time, and the digits of what it compares again.
    _whole: ReconciliationRun = field(init=False)
    _lasting: Counter[str] = field(init=False)
    _at: str = field(default="", init=False)

    def begin(self, *, anew: bool = False) -> None:
        """Go on where a run of the same kind was stopped, else begin; StoreUnavailable.

        It is written at once, so that an earlier run stops before this one mends anything.
        """
        now = self.ports.now()
        self._stored = self._runs.get(self._key, now)
        self.run = ReconciliationRun(now, self.bounds.applies)
        if self._stored and not anew and self._stored.value.applies == self.bounds.applies:
            self.run = self._stored.value
            self.resumed = True
        self._found = Counter(self.run.found)
        self._mended = Counter(self.run.mended)
        self._come_to("")
        self._keep()

    def findings(self) -> Generator[Finding]:
        """Yield what is found, until the end or what stops the run; the place is kept all along.

        StoreUnavailable, AuditUnavailable.
        """
        try:
            for keys in self._portions():
                looks = self.side_by_side(self._look_in_turn, keys)
                for key, looked in zip(keys, looks, strict=True):
                    self._come_to(_digits(key)[:_DIGITS])
                    if looked:
                        yield from self._told(looked)
                self._keep_going()
                self.told(self.run)
            self._come_to("")
            self._runs.drop(self._key)
            self.ended = True
        except Stopped as reason:
            self.stopped = str(reason)
        except (LibraryUnavailable, LibraryRefused) as error:
            self.stopped = f"{error.reason}: {error}"
        finally:
            if not self.ended:
                self._keep()

    def _come_to(self, place: str) -> None:
        """Come to an enrolment: what has other first digits than ``place`` is behind the run."""
        if self._at and place == self._at:
            return
        self.run = replace(self.run, place=self._at or self.run.place)
        self._at = place
        self._whole = self.run
        self._lasting = Counter(self._found)

    def _portions(self) -> Iterator[Sequence[Key]]:
        """Yield the keys of all enrolments in the order of their hashes, some at a time."""
        after = self.run.place
        while True:
            at_hand = heapq.nsmallest(_AT_HAND, self._digits_after(after))
            for start in range(0, len(at_hand), _SIDE_BY_SIDE):
                portion = at_hand[start : start + _SIDE_BY_SIDE]
                yield [Key("enrolment", group) for _, group in portion]
            if len(at_hand) < _AT_HAND:
                return
            after = at_hand[-1][0]

    def _digits_after(self, after: str) -> Iterator[tuple[str, str]]:
        # The digits of a place are fewer: whatever has the same is behind it.
        for key, _ in self.ports.records.store.list("enrolment", None, self.ports.now()):
            digits = _digits(key)
            is_ahead = not after or digits[: len(after)] > after
            if is_ahead and not key.name:
                yield digits, key.group

    def _look_in_turn(self, key: Key) -> Compared | None:
        """Ask the library system about one, at the pace of the run; Stopped."""
        return self._comparison.look(key, self.pace)

    def _told(self, looked: Compared) -> Iterator[Finding]:
        """Yield what was found of one enrolment, and count it."""
        entry = looked.entry
        if looked.found is None:
            if entry and entry.enrolment.granted:
                self.run = replace(self.run, left_out=self.run.left_out + 1)
            return
        if entry:
            yield from self._handle(entry, looked.found)
        else:
            # It has no id that a run could skip it by, and nothing of it is written.
            self._found[Surprise.UNREAD] += 1
            yield Finding("", None, (Surprise.UNREAD,), "surprise")
        self.run = replace(self.run, compared=self.run.compared + 1)

    def _handle(self, entry: StoredEnrolment, found: Comparison) -> Iterator[Finding]:
        """Yield what was found of one borrower, once it is mended where it may be."""
        enrolment = entry.enrolment
        surprise = found.surprise
        if surprise:
            yield _finding(enrolment, "surprise", surprise)
            if self.bounds.applies:
                # Counted once the run is past it: the same command begins with it again.
                raise Stopped(f"{enrolment.id}: {surprise}")
            self._found[surprise] += 1
        left = found.left
        if left:
            self._found[left] += 1
            yield _finding(enrolment, "left", left)
        kinds = found.differences
        if not kinds:
            return
        if not self.bounds.applies:
            self._found.update(kinds)
            yield _finding(enrolment, "found", *kinds)
            return
        most = self.bounds.most
        for kind in kinds:
            if self._mended[kind] >= most:
                raise Stopped(f"more than {most} of {kind}")
        outcome = "under way"
        if self._mend(entry, found):
            self._mended.update(kinds)
            # The next look does not find it.
            self._lasting.update(kinds)
            outcome = "mended"
        self._found.update(kinds)
        yield _finding(enrolment, outcome, *kinds)
        # A kill before the end of a portion leaves the counts of what is mended as they are.
        self._keep_going()

    def _mend(self, entry: StoredEnrolment, found: Comparison) -> bool:
        """Mend a borrower; False where somebody else is at it. Stopped where it does not work."""
        if Difference.GONE in found.differences:
            return self._remember_no_more(entry)
        if found.expires:
            told = replace(entry.enrolment, unused_told=self.ports.now())
            written = self.ports.records.write(entry, told, entry.due)
            if written is None:
                return False
            CategoryLetters(self.ports).owe_before_expiry(told, found.expires)
            entry = written
        if set(found.differences) == {Difference.UNUSED}:
            return True
        return self._carry_out(entry, found)

    def _remember_no_more(self, entry: StoredEnrolment) -> bool:
        """Write that a borrower is gone: the next login looks by the CPR number."""
        before = entry.enrolment
        gone = replace(
            before,
            state=EnrolmentState.GIVEN_UP,
            reason="borrower_gone",
            settled=None,
            carried=None,
            granted=None,
        )
        if self.ports.records.write(entry, gone, None) is None:
            return False
        person = self.ports.links.holder(entry.key.group)
        for event in of_enrolment(before, gone, person, self.ports.now()):
            self.ports.trail.add(event)
        return True

    def _carry_out(self, entry: StoredEnrolment, found: Comparison) -> bool:
        """Mend under the lease what still differs as it was found, as after a login."""
        lease = self.ports.records.lease(entry.key)
        if lease is None:
            return False
        try:
            again = self._comparison.look(entry.key)
            if again is None or again.found is None or again.borrower is None:
                return False
            version = again.entry.version if again.entry else None
            if version != entry.version or not _is_same(again.found, found):
                return False
            entry = self._wanted(entry, again.found)
            if not BorrowerMend(entry, lease, self.ports, again.borrower).mend():
                return False
        except NotMended as reason:
            raise Stopped(f"{entry.enrolment.id}: {reason}") from reason
        finally:
            lease.end(self.ports.now())
        self._demand_mended(entry, found)
        return True

    def _wanted(self, entry: StoredEnrolment, found: Comparison) -> StoredEnrolment:
        """Return the enrolment with the wish of a mend, which is on the trail and not stored."""
        wanted = replace(
            entry.enrolment,
            state=EnrolmentState.WANTED,
            wanted_at=self.ports.now(),
            wish=found.wish,
            attempts=0,
            reason=None,
            cause=None,
        )
        self.ports.record_wanted(entry.key, wanted)
        return entry._replace(enrolment=wanted)

    def _demand_mended(self, entry: StoredEnrolment, found: Comparison) -> None:
        """Ask the library system again; Stopped where it took a mend and has the same as before."""
        looked = self._comparison.look(entry.key)
        if looked and looked.found:
            same = set(looked.found.differences) & set(found.differences)
            if same:
                kinds = ", ".join(sorted(same))
                raise Stopped(f"{entry.enrolment.id}: {kinds}: mended, and the same as before")

    def _keep_going(self) -> None:
        if not self._keep():
            raise Stopped("another run has begun meanwhile, and goes on")

    def _keep(self) -> bool:
        """Keep the place and the counts; False where another run has begun meanwhile."""
        mended = dict(self._mended)
        self.run = replace(self.run, found=dict(self._found), mended=mended)
        kept = replace(self._whole, found=dict(self._lasting), mended=mended)
        now = self.ports.now()
        was = self._stored.version if self._stored else None
        content = Content(kept, RECONCILED.until(now))
        written = self._runs.write(self._key, content, was, now)
        self._stored = written or self._stored
        return written is not None

    @property
    def _comparison(self) -> BorrowerComparison:
        return BorrowerComparison(self.ports, self.policies, self.bounds.skipped, self.apart)

    @property
    def _key(self) -> Key:
        # A comparison in between leaves the place of a mending run as it is.
        return _MENDING if self.bounds.applies else _COMPARING

    @property
    def _runs(self) -> Records[ReconciliationRun]:
        return Records(self.ports.records.store, ReconciliationRun)


def _is_same(again: Comparison, found: Comparison) -> bool:
    """Return whether a second look has found the same; that a person is told is written by then."""
    told = {Difference.UNUSED}
    return set(again.differences) - told == set(found.differences) - told


def _finding(enrolment: Enrolment, outcome: str, *kinds: str) -> Finding:
    return Finding(enrolment.id, enrolment.number, kinds, outcome)


def _digits(key: Key) -> str:
    return key.group.rpartition(".")[2]
