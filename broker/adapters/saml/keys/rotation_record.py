"""Since when every track of a rotation is in its phase, by a clock that can be believed.

A wait that begins anew is only longer; one that a wrong clock ended is a key that peers have never
seen.
"""

import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from broker.configuration import durable_files as durable
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.login.transaction import SKEW

# Peers that refresh see a new key within hours; a copy that nobody refreshes dies while its keys
# are still ours. Below 28 days, the longest that services take by mod_shib's example: at 28 one
# whose clock is behind refuses it.
VALID_FOR: Final = timedelta(days=27)
CACHED_FOR: Final = timedelta(hours=6)
RECORD: Final = "rotation.json"
_CLOCK: Final = "clock"
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class PhaseStart:
    """The phase a track was found in, and when for the first time."""

    phase: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Boot:
    """A run of the machine, and when it began by the clock of now, which moves when that is set."""

    name: str
    began: datetime


def boot(now: datetime) -> Boot | None:
    """Return the run of this machine; None where the system (no Linux) does not name it."""
    if not _BOOT.exists():
        return None
    name = _BOOT.read_text().strip()
    up_for = timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))
    return Boot(name, now - up_for)


def refuse_clock_in_the_past(folder: Path, now: datetime) -> None:
    """``ConfigurationFaults`` where a file of the folder is newer than now.

    A wait that begins in the past is over as soon as the clock is set right.
    """
    newest = max(folder.rglob("*"), key=_changed, default=None)
    if newest and _changed(newest) > now + SKEW:
        what = f"is newer than the clock, which says {now:%Y-%m-%d %H:%M} UTC"
        fix = "set the clock; or where that is right: touch the file"
        raise ConfigurationFaults([Fault(str(newest), what, fix)])


def _changed(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def read(folder: Path, now: datetime, running: Boot | None) -> dict[str, PhaseStart]:
    """Return what is recorded; ``ConfigurationFaults`` where that cannot be read.

    Every wait begins anew where the clock was set while the machine ran, and one that begins in the
    future begins now.
    """
    path = folder / RECORD
    if not path.exists():
        return {}
    try:
        recorded = json.loads(path.read_bytes())
        before = _boot(recorded.pop(_CLOCK, None))
        since = {track: _phase_start(written) for track, written in recorded.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        fix = "delete it: the waits then begin anew"
        raise ConfigurationFaults([Fault(str(path), "cannot be read", fix)]) from None
    jumped = _clock_was_set(before, running)
    believed = {}
    for track, start in since.items():
        anew = jumped or start.at > now
        believed[track] = replace(start, at=now) if anew else start
    if believed != since or (running and not _same_boot(before, running)):
        write(folder, believed, running)
    return believed


def _boot(written: Any) -> Boot | None:
    if not written:
        return None
    return Boot(str(written["boot"]), datetime.fromisoformat(written["began"]))


def _phase_start(written: Any) -> PhaseStart:
    return PhaseStart(str(written["phase"]), datetime.fromisoformat(written["at"]))


def _same_boot(before: Boot | None, running: Boot | None) -> bool:
    if before is None or running is None:
        return False
    return before.name == running.name


def _clock_was_set(before: Boot | None, running: Boot | None) -> bool:
    """Return whether the clock was set while the machine ran: its run seems to begin otherwise."""
    if before is None or running is None or before.name != running.name:
        return False
    return abs(running.began - before.began) > SKEW


def write(folder: Path, since: dict[str, PhaseStart], running: Boot | None) -> None:
    """Record it, with the clock by which it is meant."""
    written = {}
    for track, start in since.items():
        written[track] = {"phase": start.phase, "at": start.at.isoformat()}
    if running:
        written[_CLOCK] = {"boot": running.name, "began": running.began.isoformat()}
    durable.put(folder / RECORD, json.dumps(written, indent=1).encode())
