"""Whether a set that the record names may decide on this machine, by its own list of signers."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from broker.adapters.ssh_signatures import Signature, SignatureRefused, SshSignatures
from broker.app import policy_site
from broker.app.policy_signatures import two_people
from broker.app.policy_surroundings import PolicySurroundings
from broker.core.errors import ConfigurationFaults
from broker.core.policy.model import PolicySet
from broker.core.policy.set_digest import digest
from broker.core.policy.site_record import SIGNERS, part_digest, same_part
from broker.files.policies import last_good, live_policies
from broker.files.policies.policy_folder import FoundFiles
from broker.files.settings.config import Config
from broker.use_cases.policies.second_person import NAMESPACE, Statement
from broker.use_cases.policies.set_in_force import SetChange, SetInForce
from broker.use_cases.policies.vouched_changes import UNSHOWN, VouchedChanges

Files = Mapping[str, bytes]
_UNSIGNED: Final = "no two people have signed it"
_OTHER_LIST: Final = "somebody put it there alone, by a policy.signers that is not this machine's"
_SHOWN: Final = 12  # characters of a digest that people are shown
_PAUSE: Final = 0.001  # seconds in which logins run on, at each file and institution


@dataclass(slots=True)
class PolicyVouching:
    """Judges the changes of a record, each once.

    Of two machines that share a store one may have no ``policy.signers``, or others: what its
    administrator has let through in that way decides there, and not here. What decides here
    already is judged no more, nor what somebody with the same list did alone: that is an alarm.

    Source: docs/policies-in-force.md.
    """

    settings: Config
    around: PolicySurroundings
    sets: SetInForce
    _judged: tuple[object, str] | None = field(default=None, init=False)

    def against(self, change: SetChange, files: Files, moment: datetime) -> str:
        """Return why the set of a change may not decide here; nothing where it may.

        ConfigurationFaults where signatures cannot be verified now: whoever asks again is answered.
        StoreUnavailable.
        """
        allowed = policy_site.signers(self.settings)
        if not allowed.strip():
            return ""
        held = last_good.last_good_files(self.settings.state / "policies") or {}
        asked = (change, allowed, digest(held))
        if self._judged is None or self._judged[0] != asked:
            self._judged = (asked, self._against(change, files, held, allowed, moment))
        return self._judged[1]

    def _against(
        self, change: SetChange, files: Files, held: Files, allowed: bytes, moment: datetime
    ) -> str:
        name = digest(held) if held else None
        at_hand = {change.digest: files}
        if name:
            at_hand[name] = held
        judging = _Judging(self, allowed, at_hand, change.digest, moment)
        vouched = VouchedChanges(name, judging.unsigned, judging.wider)
        return vouched.against(change, lambda: judging.earlier(change))


@dataclass(frozen=True, slots=True)
class _Judging:
    """One look at the set ``judged``: who may sign, the files that are at hand, and the time."""

    by: PolicyVouching
    allowed: bytes
    files: Mapping[str, Files]
    judged: str
    moment: datetime

    def earlier(self, change: SetChange) -> tuple[SetChange, ...]:
        """Return the changes of the history before one."""
        history = self.by.sets.history(self.moment)
        return tuple(each for each in history if each.number < change.number)

    def unsigned(self, change: SetChange) -> str:
        """Return why the signatures of a change do not count; nothing where two have signed."""
        if change.alone and self._has_list(change):
            return ""
        if not change.signatures:
            return _OTHER_LIST if change.alone else _UNSIGNED
        statement = Statement.of_change(self.by.settings.base_url, change)
        # As the keys stood then: one that expires takes nothing back that it has signed.
        signatures = SshSignatures(self.allowed, NAMESPACE, str(statement), change.at)
        name = f"a signature of change {change.number}"
        try:
            two_people(signatures, [Signature(name, each.encode()) for each in change.signatures])
        except SignatureRefused as refused:
            return str(refused)
        return ""

    def _has_list(self, change: SetChange) -> bool:
        """Return whether a change was made where the list of signers is what it is here."""
        own = part_digest(self.allowed.decode("utf-8", "replace"))
        return same_part(change.site.get(SIGNERS), own)

    def wider(self, one: str, other: str) -> str:
        """Return what a set lets through that another does not, or that it is at fault itself.

        Each by its digest.
        """
        try:
            after = self._loaded(other)
        except ConfigurationFaults as found:
            return str(found.faults[0])
        before = self._loaded(one)
        return self._wider(before, after) if before and after else UNSHOWN

    def _loaded(self, name: str) -> PolicySet | None:
        """Return a set; None where it is gone, or names what this machine has no more.

        ConfigurationFaults of the one that is judged.
        """
        files = self.files.get(name) or self.by.sets.sets.read(name, self.moment)
        if files is None:
            return None
        found = FoundFiles(files, f"set {name[:_SHOWN]}", binding=False)
        try:
            return live_policies.load_found(
                found, self.moment, self.by.around.names, let_others_run=_rest
            )
        except ConfigurationFaults:
            if name == self.judged:
                raise
            return None

    def _wider(self, before: PolicySet, after: PolicySet) -> str:
        # Imported where nobody has signed: all else compares nothing.
        from broker.app import policy_analysis  # noqa: PLC0415
        from broker.core.analysis.compared_logins import Analysis  # noqa: PLC0415
        from broker.core.analysis.set_differences import difference  # noqa: PLC0415
        from broker.core.analysis.wider_changes import wider  # noqa: PLC0415

        site = policy_analysis.compared_site(self.by.around)
        analysis = Analysis((before, after), site, self.moment, _pausing)
        found = wider(difference(analysis), tuple(analysis.incomplete()))
        return found[0] if found else ""


def _pausing(_done: int, _to_do: int) -> None:
    _rest()


def _rest() -> None:
    time.sleep(_PAUSE)
