"""Since when each track of a rotation is in its phase, and whether the clock that said so can be believed.

A wait that begins anew is only longer; one that a wrong clock ended is a key that peers have never
seen.
"""

import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from broker.core.errors import ConfigurationFaults, Fault
from broker.core.login.transaction import SKEW
from broker.files import durable_files as durable

# Peers that refresh see a new key within hours; a copy that nobody refreshes dies while its keys
# are still ours. Below 28 days, the longest that services take by mod_shib's example: at 28 one
# whose clock is behind refuses it.
VALID_FOR: Final = timedelta(days=27)
CACHED_FOR: Final = timedelta(hours=6)
RECORD: Final = "rotation.json"
_CLOCK: Final = "clock"
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Since:
    """The phase a track was found in, and when for the first time."""

    phase: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Boot:
    """One run of the machine, and when it began by the clock of now: that moves where the clock is set."""

    name: str
    began: datetime


def boot(now: datetime) -> Boot | None:
    """Give the run of this machine; None where the system (no Linux) does not name it."""
    if not _BOOT.exists():
        return None
    return Boot(
        _BOOT.read_text().strip(), now - timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))
    )


def believable(folder: Path, now: datetime) -> None:
    """``ConfigurationFaults`` where a file of the folder is newer than now: the clock is in the past.

    A wait that begins there is over as soon as the clock is set right.
    """
    newest = max(folder.rglob("*"), key=lambda each: each.stat().st_mtime, default=None)
    if newest and datetime.fromtimestamp(newest.stat().st_mtime, UTC) > now + SKEW:
        what = f"is newer than the clock, which says {now:%Y-%m-%d %H:%M} UTC"
        raise ConfigurationFaults(
            [Fault(str(newest), what, "set the clock; or where that is right: touch the file")]
        )


def read(folder: Path, now: datetime, running: Boot | None) -> dict[str, Since]:
    """Give what is recorded; ``ConfigurationFaults`` where that cannot be read.

    Every wait begins anew where the clock was set while the machine ran, and one that begins in the
    future begins now.
    """
    path = folder / RECORD
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_bytes())
        clock = found.pop(_CLOCK, None)
        before = Boot(str(clock["boot"]), datetime.fromisoformat(clock["began"])) if clock else None
        since = {
            track: Since(str(each["phase"]), datetime.fromisoformat(each["at"]))
            for track, each in found.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ConfigurationFaults(
            [Fault(str(path), "cannot be read", "delete it: the waits then begin anew")]
        ) from None
    same = before and running and before.name == running.name
    jumped = before and running and same and abs(running.began - before.began) > SKEW
    believed = {
        track: replace(each, at=now) if jumped or each.at > now else each
        for track, each in since.items()
    }
    if believed != since or (running and not same):
        write(folder, believed, running)
    return believed


def write(folder: Path, since: dict[str, Since], running: Boot | None) -> None:
    """Record it, with the clock by which it is meant."""
    written = {
        track: {"phase": each.phase, "at": each.at.isoformat()} for track, each in since.items()
    }
    if running:
        written[_CLOCK] = {"boot": running.name, "began": running.began.isoformat()}
    durable.put(folder / RECORD, json.dumps(written, indent=1).encode())
