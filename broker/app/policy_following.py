"""A web worker's part in the record of the policies in force: it adds, reports and records."""

import os
import platform
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from broker.app.policy_trail import PolicyTrail
from broker.core.errors import ConfigurationFaults, StoreUnavailable
from broker.core.policy.set_digest import changes, digest
from broker.files.policies import last_good
from broker.files.policies.live_policies import LivePolicies
from broker.files.policies.policy_folder import PolicyFolder
from broker.use_cases.policies.set_in_force import Live, Move, Proposal, SetInForce
from broker.use_cases.policies.worker_reports import OwnReport, WorkerReport

Files = Mapping[str, bytes] | None
_MOST_FAULTS: Final = 3  # that a report carries: an administrator sees them all by a check


@dataclass(frozen=True, slots=True)
class _Saved:
    """The files of a set that an edit of the folder put in force, and when."""

    files: Mapping[str, bytes]
    at: datetime


@dataclass(slots=True)
class PolicyFollowing:
    """One worker's part in the record: ``live`` is the setting ``policy.live``.

    ``state`` is the folder of the last good set of this machine, ``site`` gives the site record of
    the moment.
    """

    live: Literal["apply", "save"]
    folder: PolicyFolder
    state: Path
    policies: LivePolicies
    trail: PolicyTrail
    site: Callable[[], Mapping[str, str]]
    now: Callable[[], datetime]
    _recorded: str | None = field(default=None, init=False)
    _own: OwnReport | None = field(default=None, init=False)
    # What decided while the store was away, and the number of the last change that it told of.
    _missed: list[_Saved] = field(default_factory=list, init=False)
    _number: int | None = field(default=None, init=False)

    @property
    def sets(self) -> SetInForce:
        """The record."""
        return self.trail.sets

    def begin(self) -> None:
        """Add the folder's set where the store has none: no start moves what is in force.

        A store that is away is asked by the next start.
        """
        if self.live != "apply":
            return
        try:
            if self.sets.live(self.now()) is None:
                found = (self._in_folder(),)
                self._record(None, found, Move.FIRST, f"the first start, on {platform.node()}")
        except StoreUnavailable:
            return

    def step(self) -> None:
        """Report the digest in force here, or record what an edit of the folder has put in force.

        To be called once a second, by no request.
        """
        if self.live == "apply":
            self._report()
        elif self._missed or self._recorded != self.policies.current.digest:
            self._record_saved()

    def announce(self) -> None:
        """Report this worker before it looks for the first time.

        Whoever moves the record after that look finds the report and waits for this worker; what
        was moved before it the look finds.
        """
        if self._own is None and self.live == "apply":
            self._report()

    def renew(self) -> None:
        """Renew the report, if it is time: to be called in a load, which may take a while."""
        if self._own is not None:
            self._own.renew(self.now())

    def end(self) -> None:
        """Take the report of this worker back."""
        if self._own is not None:
            self._own.drop()

    def _report(self) -> None:
        if self._own is None:
            # Made here, and not before a fork: workers have their own.
            name = f"{platform.node()}/{os.getpid()}/{secrets.token_hex(4)}"
            self._own = OwnReport(self.sets.store, name)
        faults = tuple(map(str, self.policies.stale[:_MOST_FAULTS]))
        digest_here = self.policies.current.digest
        report = WorkerReport(platform.node(), os.getpid(), digest_here, faults)
        self._own.tell(report, self.now())

    def _record_saved(self) -> None:
        """Record the set that decides, by one worker: of several only one comes first.

        Of two saves the second may come before the first is recorded: the last good set is what
        decided between them, whatever the folder holds by then.
        """
        current = self.policies.current.digest
        try:
            live = self._caught_up(self.sets.live(self.now()))
            stands = live is not None and live.value.digest == current
            if not stands:
                self._record(live, self._at_hand(), Move.SAVED, _edit())
        except StoreUnavailable:
            self._miss(current)
            return
        if stands:
            self._recorded = current
            self._number = live.value.number if live else None

    def _at_hand(self) -> tuple[Files, ...]:
        return last_good.last_good_files(self.state), self._in_folder()

    def _miss(self, current: str) -> None:
        """Keep what decides until the store is back: by then it may decide no more."""
        last = digest(self._missed[-1].files) if self._missed else self._recorded
        files = _named(current, self._at_hand())
        if current != last and files is not None:
            self._missed.append(_Saved(files, self.now()))

    def _caught_up(self, live: Live) -> Live:
        """Record what decided while the store was away, and no other worker has recorded."""
        while self._missed:
            if self._has_moved(live):
                self._missed.clear()
                break
            saved = self._missed[0]
            if live is None or live.value.digest != digest(saved.files):
                self._record(live, (saved.files,), Move.SAVED, _edit(), saved)
            del self._missed[0]
            live = self.sets.live(self.now())
        return live

    def _has_moved(self, live: Live) -> bool:
        """Return whether another worker has recorded something since the store went away.

        A worker that began while it was away has told of no change: by the time of the last one.
        """
        if live is None:
            return False
        if self._number is not None:
            return live.value.number != self._number
        return live.value.at >= self._missed[0].at and self._has_missed(live.value.digest)

    def _has_missed(self, name: str) -> bool:
        return name in {digest(saved.files) for saved in self._missed}

    def _in_folder(self) -> Files:
        try:
            return self.folder.files().files
        except ConfigurationFaults:
            return None

    def _record(
        self, live: Live, found: Iterable[Files], move: Move, who: str, saved: _Saved | None = None
    ) -> None:
        """Move the record to the set that decides here, or did, where it is among those found.

        It is not where a last good set stands in for the folder at a first start, or where the next
        edit is under way and the disk keeps no last good set.
        """
        current = digest(saved.files) if saved else self.policies.current.digest
        files = _named(current, found)
        if files is None:
            return
        before = self.sets.sets.read(live.value.digest, self.now()) if live else None
        summary = changes(before or {}, files)
        proposal = Proposal(files, move, who, "", self.site(), summary)
        change = self.sets.move(live, proposal, saved.at if saved else self.now())
        if change is not None:
            self._number = change.number
            self.trail.tell(change)


def _named(name: str, found: Iterable[Files]) -> Files:
    """Return the files of which ``name`` is the digest."""
    return next((files for files in found if files and digest(files) == name), None)


def _edit() -> str:
    return f"an edit of the folder on {platform.node()}"
