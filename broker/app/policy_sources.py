"""The source of the policies in force where a record of the store names them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from broker.core.errors import ConfigurationFaults, Fault, StoreUnavailable
from broker.core.policy.set_digest import digest
from broker.files.policies import last_good
from broker.files.policies.policy_folder import FoundFiles, PolicyFolder
from broker.use_cases.policies.set_in_force import SetChange, SetInForce

_AWAY: Final = "the store does not answer, and it says which policies are in force"
_GONE: Final = "stand in no record of the store, and the folder is not what was in force here"
_APPLIED: Final = "see broker policy plan, then broker policy apply --base none --why TEXT"
_TRIED_EVERY: Final = timedelta(seconds=10)
SHOWN: Final = 12  # characters of a digest that people are shown
_UNVOUCHED: Final = "is in force by the record, and does not decide on this machine"
_SIGN: Final = "have two people sign it: broker policy plan on this machine says how"
# Says why the set of a change may not decide here, or nothing.
Against = Callable[[SetChange, Mapping[str, bytes], datetime], str]


def _nothing(_change: SetChange, _files: Mapping[str, bytes], _moment: datetime) -> str:
    return ""


@dataclass(slots=True)
class RecordedPolicies:
    """The files of the set in force; those of the folder where the store has no record yet.

    ``state`` is the folder of the last good set of this machine, which stands in for one that has
    gone from the store. A record that goes while the broker runs changes nothing. ``against`` is
    asked about each change before its set decides.
    """

    sets: SetInForce
    folder: PolicyFolder
    state: Path
    now: Callable[[], datetime]
    against: Against = _nothing
    change: SetChange | None = field(default=None, init=False)  # that put it in force
    _last: str | None = field(default=None, init=False)
    _failed: datetime | None = field(default=None, init=False)
    _tries: int = field(default=0, init=False)

    def signature(self) -> object:
        """Return the digest in force, the last one known while there is none to be had.

        What could not be read is asked for anew every ten seconds.
        """
        moment = self.now()
        if self._failed and abs(moment - self._failed) >= _TRIED_EVERY:
            self._failed = None
            self._tries += 1
        self._last = self._digest(moment) or self._last
        return self._last, self._tries

    def files(self) -> FoundFiles:
        """Return the files in force; ConfigurationFaults where they cannot be had."""
        moment = self.now()
        try:
            live = self.sets.live(moment)
            found = self._vouched(live.value, moment) if live else self._first()
        except StoreUnavailable as error:
            self._failed = moment
            raise ConfigurationFaults([Fault(error.reason, _AWAY)]) from None
        except ConfigurationFaults:
            self._failed = moment
            raise
        return found

    def _first(self) -> FoundFiles:
        """Return the folder's files, which may begin the record of this store.

        Where this machine has had a set in force they must be that set: a store that comes back
        empty puts nothing in force that nobody has applied.
        """
        found = self.folder.files()
        kept = last_good.last_good_digest(self.state)
        if kept is not None and digest(found.files) != kept:
            raise ConfigurationFaults([Fault("the policies in force", _GONE, _APPLIED)])
        return found

    def _vouched(self, change: SetChange, moment: datetime) -> FoundFiles:
        """Return the files of a change; ConfigurationFaults where it may not decide here."""
        found = self._files(change.digest, moment)
        why = self.against(change, found.files, moment)
        if why:
            raise ConfigurationFaults([Fault(found.place, f"{_UNVOUCHED}: {why}", _SIGN)])
        return found

    def _files(self, name: str, moment: datetime) -> FoundFiles:
        files = self.sets.sets.read(name, moment)
        place = f"set {name[:SHOWN]}"
        if files is not None:
            return FoundFiles(files, place, binding=False)
        kept = last_good.last_good_files(self.state)
        if not kept or digest(kept) != name:
            what = f"is in force, and {self.sets.sets.fault(name, moment)}"
            mend = f"put it there with broker policy apply --base {name[:SHOWN]} --from FOLDER"
            raise ConfigurationFaults([Fault(place, what, mend)])
        # It is what the record names, to the octet: the store has it again.
        self.sets.sets.keep(kept, moment)
        return FoundFiles(kept, place, binding=False)

    def _digest(self, moment: datetime) -> str | None:
        try:
            live = self.sets.live(moment)
        except StoreUnavailable:
            return None
        if live is not None:
            self.change = live.value
            return live.value.digest
        if self._last is not None:
            return None
        try:
            return digest(self.folder.files().files)
        except ConfigurationFaults:
            return None
