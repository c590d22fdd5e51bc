"""Rotates keys, safe to cut short anywhere: make the next, switch to it, drop the previous.

The slots on disk are the truth. Every step is one rename or one unlink of a private key; a
certificate goes before its key or follows it, and ``key_ring.load`` accepts every state between.
``rotation.json`` holds since when a phase lasts and no more: where it is lost, or the clock was
set, the wait begins anew.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from broker.adapters.saml.keys import key_ring, rotation_record
from broker.adapters.saml.keys.rotation_record import CACHED_FOR, VALID_FOR, Boot, PhaseStart
from broker.configuration import durable_files as durable
from broker.configuration import key_folder_locks
from broker.core.errors import ConfigurationFaults, Fault

STORE: Final = "store"
TRACKS: Final = (*(f"{role}-{use}" for role in key_ring.ROLES for use in key_ring.USES), STORE)
# Every machine has read the keys again by then, and no message of before is under way.
RELOADED: Final = timedelta(hours=1)


class Phase(StrEnum):
    """How far a track has come, by its slots."""

    STEADY = "steady"
    STARTED = "started"  # the next key is there
    SWITCHED = "switched"  # the previous key is still there


_BEGUN: Final = "begun"  # wanted, and not yet made
_STEPS: Final = {Phase.STEADY: "start", Phase.STARTED: "switch", Phase.SWITCHED: "finish"}
# A copy of our metadata is good for VALID_FOR. Before a key signs, every copy must hold it; before
# one that decrypts is dropped, no copy may hold it. The other steps need no peer: one decrypts
# before it is published, and signs no more.
_WAITS: Final = {
    "signing": {Phase.STARTED: VALID_FOR + RELOADED, Phase.SWITCHED: RELOADED},
    "encryption": {Phase.STARTED: RELOADED, Phase.SWITCHED: VALID_FOR + RELOADED},
    STORE: {Phase.STARTED: RELOADED},
}
# Between two rotations, so that a command typed once too often begins none.
_PAUSE: Final = VALID_FOR


@dataclass(frozen=True, slots=True)
class RotationStep:
    """What became of one track.

    ``did`` is the step taken, None where it is too early; ``next`` the following step, and
    ``earliest`` its time. ``refreshed`` is when peers that fetch our metadata as often as it asks
    have the newest; None where none is needed.
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
    running: Boot | None = None,
) -> list[RotationStep]:
    """Take the next step of all ``tracks`` whose time has come, or of all if ``early``.

    A track begins only where none of ``tracks`` is under way. ``running`` shows whether the clock
    was set since the last call. ``ConfigurationFaults`` where the folder is unsound, or another
    rotation is at work in it. Sources: docs/reference/saml-profiles.md#8,
    docs/reference/design.md#sealing.
    """
    with key_folder_locks.alone(folder), key_folder_locks.writing(folder):
        _refuse_unsound(folder)
        since = rotation_record.read(folder, now, running)
        for track in tracks:
            _mend(folder, track)
        rotation = _Rotation(folder, since, now, early, size)
        if rotation.may_begin(tracks):
            since |= {track: PhaseStart(_BEGUN, now) for track in tracks}
            rotation_record.write(folder, since, running)
        steps = []
        for track in tracks:
            before = dict(since)
            steps.append(rotation.step(track))
            if since != before:
                rotation_record.write(folder, since, running)
        _refuse_unsound(folder)
        return steps


def _refuse_unsound(folder: Path) -> None:
    """Ask that all keys load, and that the sealing key to come is one of them.

    What another had sealed could never be opened.
    """
    ring = key_ring.read(folder)
    following = folder / STORE / "next"
    if not following.exists():
        return
    sealing_id = following.read_text(encoding="ascii", errors="replace")
    if sealing_id not in ring.sealing:
        what = "names no key of this folder"
        fix = "delete it: the next call makes another"
        raise ConfigurationFaults([Fault(str(following), what, fix)])


@dataclass(frozen=True, slots=True)
class _Rotation:
    """One call over the tracks of a folder; ``since`` is written to as steps are taken."""

    folder: Path
    since: dict[str, PhaseStart]
    now: datetime
    early: bool
    size: int

    def may_begin(self, tracks: Collection[str]) -> bool:
        """Return whether a rotation of these tracks begins now: none of them is under way."""
        for track in tracks:
            phase = _phase(self.folder, track)
            if phase is not Phase.STEADY or self.unsettled(track):
                return False
        return self.early or all(self.now >= self.due(track, Phase.STEADY) for track in tracks)

    def step(self, track: str) -> RotationStep:
        """Take the step of a track that is due, if any, and record since when its phase lasts."""
        did = self._take(track)
        phase = _phase(self.folder, track)
        if did or (phase is not Phase.STEADY and not self._known(track, phase)):
            self.since[track] = PhaseStart(phase, self.now)
        earliest = self.due(track, phase)
        refreshed = None
        if _WAITS[_use(track)].get(phase, timedelta()) >= VALID_FOR:
            refreshed = earliest - VALID_FOR + CACHED_FOR
        return RotationStep(
            track=track,
            did=did,
            phase=phase,
            next=_STEPS[phase],
            earliest=earliest,
            refreshed=refreshed,
        )

    def _take(self, track: str) -> str | None:
        """Take the step that is due, and return its name, None where it is too early."""
        phase = _phase(self.folder, track)
        if phase is Phase.STEADY:
            if not self.unsettled(track):
                return None
            if self.since[track].phase == _BEGUN:
                _start(self.folder, track, self.now, self.size)
                return _STEPS[phase]
            # The last step was taken and not recorded: a process died in between.
            return _STEPS[Phase(self.since[track].phase)]
        if not self.early and self.now < self.due(track, phase):
            return None
        if phase is Phase.STARTED:
            _switch(self.folder, track)
        else:
            _finish(self.folder, track)
        return _STEPS[phase]

    def due(self, track: str, phase: Phase) -> datetime:
        """Return when the step out of ``phase`` may be taken.

        A phase that is not recorded lasts since now.
        """
        start = self.since.get(track)
        if phase is Phase.STEADY:
            return start.at + _PAUSE if start else self.now
        wait = _WAITS[_use(track)][phase]
        if start and start.phase == phase:
            return start.at + wait
        return self.now + wait

    def unsettled(self, track: str) -> bool:
        """Return whether a track without a second key is in a rotation all the same.

        It is wanted, or its end is not yet recorded.
        """
        return track in self.since and self.since[track].phase != Phase.STEADY

    def _known(self, track: str, phase: Phase) -> bool:
        start = self.since.get(track)
        return start is not None and start.phase == phase


def _use(track: str) -> str:
    return track.rpartition("-")[2]


def _phase(folder: Path, track: str) -> Phase:
    if track == STORE:
        return Phase.STARTED if (folder / STORE / "next").exists() else Phase.STEADY
    if (folder / track / "previous.pem").exists():
        return Phase.SWITCHED
    return Phase.STARTED if (folder / track / "next.pem").exists() else Phase.STEADY


def _start(folder: Path, track: str, now: datetime, size: int) -> None:
    place = folder / track
    if track == STORE:
        name = key_ring.new_id(now)
        secret = secrets.token_bytes(key_ring.SECRET)
        durable.put(place / f"{name}.key", secret)
        durable.put(place / "next", name.encode())
        return
    subject = track.replace("-", " ")
    key_pair = key_ring.pair(subject, now, size)
    durable.put(place / "next.crt", key_pair.certificate)
    durable.put(place / "next.pem", key_pair.private)


def _switch(folder: Path, track: str) -> None:
    place = folder / track
    if track == STORE:
        durable.moved(place / "next", place / "current")
        return
    for suffix in (".crt", ".pem"):
        current = place / f"current{suffix}"
        durable.put(place / f"previous{suffix}", current.read_bytes())
    durable.moved(place / "next.pem", place / "current.pem")
    durable.moved(place / "next.crt", place / "current.crt")


def _finish(folder: Path, track: str) -> None:
    for suffix in (".pem", ".crt"):
        durable.gone(folder / track / f"previous{suffix}")


def _mend(folder: Path, track: str) -> None:
    """Finish or undo a step that was cut short: a slot is a key and its certificate, or nothing."""
    place = folder / track
    for left in place.glob("*.new"):
        durable.gone(left)
    if track == STORE:
        return
    current, following, previous = (place / f"{slot}.pem" for slot in key_ring.SLOTS)
    both = following.exists() and previous.exists()
    if both and previous.read_bytes() == current.read_bytes():
        durable.gone(previous)  # the switch has not been taken yet
    if not following.exists():
        _mend_next_certificate(folder, track)
    if not previous.exists():
        durable.gone(previous.with_suffix(".crt"))


def _mend_next_certificate(folder: Path, track: str) -> None:
    """Move or drop a certificate that was left without its key."""
    left = folder / track / "next.crt"
    if not left.exists():
        return
    faults: list[Fault] = []
    sound = key_ring.slots(folder, track, faults).get("current")
    if sound and sound.certificate == left.read_bytes():
        # The switch has been taken: the certificate follows.
        durable.moved(left, folder / track / "current.crt")
    else:
        durable.gone(left)
