"""Rotates keys in three steps: make the next key, switch to it, drop the previous key.

A track is the folder of the keys of one use; its slots are the current, next and previous key.
These files are its only state. A step takes effect by one rename or one removal, so after a crash
the folder still loads, and the next call repeats or continues the step. The modification time of a
slot is the beginning of its phase. If that time is lost, the wait is only longer.
"""

import fcntl
import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from broker.adapters.saml.keys import key_ring
from broker.configuration import durable_files as durable
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.login.transaction import SKEW

# Peers that refresh our metadata see a new key within hours. A copy that is not refreshed expires
# while we still use its keys. mod_shib's example accepts at most 28 days: with 28, a service whose
# clock is behind would refuse the metadata.
VALID_FOR: Final = timedelta(days=27)
CACHED_FOR: Final = timedelta(hours=6)
STORE: Final = "store"
TRACKS: Final = (*key_ring.ROLE_TRACKS, STORE)
# After this time every machine has reloaded its keys, and every earlier message has arrived.
RELOADED: Final = timedelta(hours=1)
_FINISHED: Final = "rotated"  # an empty file, written when a rotation ends


class Phase(StrEnum):
    """How far the rotation of a track has come."""

    STEADY = "steady"
    STARTED = "started"  # the next key exists
    SWITCHED = "switched"  # the previous key still exists


_STEPS: Final = {Phase.STEADY: "start", Phase.STARTED: "switch", Phase.SWITCHED: "finish"}
# A copy of our metadata is valid for VALID_FOR. Before a key signs, every copy must contain it, and
# before an encryption key is dropped, no copy may contain it. The other two waits do not depend on
# peers: a key decrypts before it is published, and a previous key does not sign.
_WAITS: Final = {
    "signing": {Phase.STARTED: VALID_FOR + RELOADED, Phase.SWITCHED: RELOADED},
    "encryption": {Phase.STARTED: RELOADED, Phase.SWITCHED: VALID_FOR + RELOADED},
    STORE: {Phase.STARTED: RELOADED},
}
# The pause between two rotations: a repeated command does not start another one by mistake.
_PAUSE: Final = VALID_FOR


@dataclass(frozen=True, slots=True)
class RotationStep:
    """The result of a call for one track.

    ``did`` is the step taken, None if it is too early. ``next`` is the following step, and
    ``earliest`` its time. ``refreshed`` is when every peer that respects ``cacheDuration`` has our
    newest metadata, None if no peer needs it.
    """

    track: str
    did: str | None
    phase: str
    next: str
    earliest: datetime
    refreshed: datetime | None


def rotate(
    folder: Path,
    now: datetime,
    tracks: Collection[str] = TRACKS,
    *,
    early: bool = False,
    size: int = key_ring.SIZE,
) -> list[RotationStep]:
    """Take the next step of every track whose time has come, or of all ``tracks`` if ``early``.

    A rotation starts only if all ``tracks`` have finished the last one. Raises
    ``ConfigurationFaults`` if a key does not load, or if another process rotates keys in the
    folder. Sources: docs/reference/saml-profiles.md#8, docs/reference/design.md#sealing.
    """
    with _lock(folder):
        _check_keys(folder)
        rotating = [_Track(folder / track, track, now) for track in tracks]
        may_start = all(
            track.phase is Phase.STEADY and (early or now >= track.due) for track in rotating
        )
        return [_take_step(track, size, early=early, may_start=may_start) for track in rotating]


def refuse_clock_in_the_past(folder: Path, now: datetime) -> None:
    """Raise ConfigurationFaults if a file of the folder is newer than ``now``.

    A wait that starts at a wrong time in the past would end as soon as the clock is corrected.
    """
    newest = max(folder.rglob("*"), key=_read_mtime, default=None)
    if newest and _read_mtime(newest) > now + SKEW:
        what = f"is newer than the clock, which says {now:%Y-%m-%d %H:%M} UTC"
        fix = "set the clock; or if the clock is right: touch the file"
        raise ConfigurationFaults([Fault(str(newest), what, fix)])


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Lock the folder until this rotation is done, or its process dies.

    Raises ConfigurationFaults if another process has locked it.
    """
    if not folder.is_dir():
        fault = Fault(str(folder), "is no folder", "broker keys generate")
        raise ConfigurationFaults([fault])
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        fault = Fault(str(folder), "is being rotated already", "wait until that is done")
        raise ConfigurationFaults([fault]) from None
    finally:
        os.close(descriptor)


def _check_keys(folder: Path) -> None:
    """Check that all keys load, and that the next key for records is one of them.

    Otherwise records could not be decrypted after the switch. Raises ConfigurationFaults.
    """
    ring = key_ring.load(folder)
    following = folder / STORE / "next"
    faults: list[Fault] = []
    if following.exists():
        fix = "delete it: the next call makes another"
        key_ring.read_sealing_id(following, ring.sealing, fix, faults)
    if faults:
        raise ConfigurationFaults(faults)


def _read_mtime(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


@dataclass(frozen=True, slots=True)
class _Track:
    """The keys of one use: ``place`` is their folder."""

    place: Path
    name: str
    now: datetime

    @property
    def phase(self) -> Phase:
        if self.slot("next").exists():
            return Phase.STARTED
        return Phase.SWITCHED if self.slot("previous").exists() else Phase.STEADY

    @property
    def wait(self) -> timedelta:
        """Return how long the phase lasts."""
        use = self.name.rpartition("-")[2]
        return _PAUSE if self.phase is Phase.STEADY else _WAITS[use][self.phase]

    @property
    def due(self) -> datetime:
        """Return when the next step may be taken."""
        marks = {Phase.STARTED: self.slot("next"), Phase.SWITCHED: self.slot("previous")}
        mark = marks.get(self.phase, self.place / _FINISHED)
        if not mark.exists():
            return self.now
        return _read_mtime(mark) + self.wait

    def slot(self, name: str) -> Path:
        return self.place / (name if self.name == STORE else f"{name}.pem")

    def write_file(self, path: Path, octets: bytes) -> None:
        """Write a file, whole or not at all, and stamp it with the time of this call."""
        durable.replace_file(path, octets)
        os.utime(path, (self.now.timestamp(), self.now.timestamp()))

    def start(self, size: int) -> None:
        if self.name == STORE:
            key_id = key_ring.new_sealing_id(self.now)
            durable.replace_file(self.place / f"{key_id}.key", secrets.token_bytes(key_ring.SECRET))
            self.write_file(self.slot("next"), key_id.encode())
            return
        pair = key_ring.make_pair(self.name.replace("-", " "), self.now, size)
        self.write_file(self.slot("next"), pair.private + pair.certificate)

    def switch(self) -> None:
        if self.name == STORE:
            self.write_file(self.place / _FINISHED, b"")  # the old key stays, to decrypt records
        else:
            self.write_file(self.slot("previous"), self.slot("current").read_bytes())
        durable.rename_file(self.slot("next"), self.slot("current"))

    def finish(self) -> None:
        self.write_file(self.place / _FINISHED, b"")
        durable.remove_file(self.slot("previous"))


def _take_step(track: _Track, size: int, *, early: bool, may_start: bool) -> RotationStep:
    for draft in track.place.glob("*.new"):  # of a step that a crash interrupted
        durable.remove_file(draft)
    before = track.phase
    taken = may_start if before is Phase.STEADY else early or track.now >= track.due
    if taken and before is Phase.STEADY:
        track.start(size)
    elif taken and before is Phase.STARTED:
        track.switch()
    elif taken:
        track.finish()
    after = track.phase
    refreshed = None
    if after is not Phase.STEADY and track.wait > VALID_FOR:
        refreshed = track.due - VALID_FOR + CACHED_FOR
    return RotationStep(
        track=track.name,
        did=_STEPS[before] if taken else None,
        phase=after,
        next=_STEPS[after],
        earliest=track.due,
        refreshed=refreshed,
    )
