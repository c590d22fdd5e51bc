"""A web worker's part in the record of the policies in force: it adds, reports and records."""

import os
import platform
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from broker.app.policy_trail import PolicyTrail
from broker.core.errors import ConfigurationFaults, StoreUnavailable
from broker.core.policy.set_digest import changes, digest
from broker.files.policies.live_policies import LivePolicies
from broker.files.policies.policy_folder import PolicyFolder
from broker.flows.policies.set_in_force import Live, Move, Proposal, SetInForce
from broker.flows.policies.worker_reports import OwnReport, WorkerReport

_MOST_FAULTS: Final = 3  # that a report carries: an administrator sees them all by a check


@dataclass(slots=True)
class PolicyFollowing:
    """One worker's part in the record: ``live`` is the setting ``policy.live``.

    ``site`` gives the site record of the moment.
    """

    live: Literal["apply", "save"]
    folder: PolicyFolder
    policies: LivePolicies
    trail: PolicyTrail
    site: Callable[[], Mapping[str, str]]
    now: Callable[[], datetime]
    _recorded: str | None = field(default=None, init=False)
    _own: OwnReport | None = field(default=None, init=False)

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
                self._record(None, Move.FIRST, f"the first start, on {platform.node()}")
        except StoreUnavailable:
            return

    def step(self) -> None:
        """Report the digest in force here, or record what an edit of the folder has put in force.

        To be called once a second, by no request.
        """
        if self.live == "apply":
            self._report()
        elif self._recorded != self.policies.current.digest:
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
        """Record the set of the folder, by one worker: of several only one comes first."""
        current = self.policies.current.digest
        try:
            live = self.sets.live(self.now())
            stands = live is not None and live.value.digest == current
            if not stands:
                self._record(live, Move.SAVED, f"an edit of the folder on {platform.node()}")
        except StoreUnavailable:
            return
        if stands:
            self._recorded = current

    def _record(self, live: Live, move: Move, who: str) -> None:
        try:
            files = self.folder.files().files
        except ConfigurationFaults:
            return
        if digest(files) != self.policies.current.digest:
            return  # the last good set stands in, or the next edit is under way
        before = self.sets.sets.read(live.value.digest, self.now()) if live else None
        summary = changes(before or {}, files)
        proposal = Proposal(files, move, who, "", self.site(), summary)
        change = self.sets.move(live, proposal, self.now())
        if change is not None:
            self.trail.tell(change)
