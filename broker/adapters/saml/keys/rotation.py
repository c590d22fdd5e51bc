"""Walks keys through a rotation, safe to cut short anywhere: make the next one, switch to it, drop the previous one.

The slots on disk are the truth. Every step is taken by one rename or one unlink of a private key; a
certificate goes before its key or follows it, and ``keys.load`` accepts each state between.
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

from broker.adapters.saml.keys import key_ring, rotation_times
from broker.adapters.saml.keys.rotation_times import CACHED_FOR, VALID_FOR, Boot, Since
from broker.core.errors import ConfigurationFaults, Fault
from broker.files import durable_files as durable
from broker.files import key_folder

STORE: Final = "store"
TRACKS: Final = (*(f"{face}-{use}" for face in key_ring.FACES for use in key_ring.USES), STORE)
# Every machine has read the keys again by then, and no message of before is under way.
RELOADED: Final = timedelta(hours=1)


class Phase(StrEnum):
    """How far a track has come, as its slots say."""

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
_PAUSE: Final = (
    VALID_FOR  # between two rotations, so that a command given once too often begins none
)


@dataclass(frozen=True, slots=True)
class RotationStep:
    """What became of one track: the step taken (None: too early), and which comes next, and when at the earliest.

    ``refreshed`` is when peers that fetch our metadata as often as it asks have the newest; None
    where none is needed.
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
    """Take the next step of each of ``tracks`` whose time has come, or of each if ``early``.

    A track begins only where none of ``tracks`` is under way. ``running`` tells whether the clock
    was set since the last call. ``ConfigurationFaults`` where the folder is unsound, or another
    rotation is at work in it. Sources: saml_profiles.md row 8, design 4b.
    """
    with key_folder.alone(folder), key_folder.writing(folder):
        _sound(folder)
        since = rotation_times.read(folder, now, running)
        for track in tracks:
            _mended(folder, track)
        phases = {track: _phase(folder, track) for track in tracks}
        under_way = any(
            phases[each] is not Phase.STEADY or _unsettled(since, each) for each in tracks
        )
        if not under_way and all(
            early or now >= _due(each, phases[each], since, now) for each in tracks
        ):
            since |= {track: Since(_BEGUN, now) for track in tracks}
            rotation_times.write(folder, since, running)
        turns = []
        for track in tracks:
            before = dict(since)
            turns.append(_turn(folder, track, since, now, early=early, size=size))
            if since != before:
                rotation_times.write(folder, since, running)
        _sound(folder)
        return turns


def _sound(folder: Path) -> None:
    """Ask that all keys load, and that the sealing key to come is one of them: what it sealed nobody could open."""
    ring, following = key_ring.read(folder), folder / STORE / "next"
    if (
        following.exists()
        and following.read_text(encoding="ascii", errors="replace") not in ring.sealing
    ):
        what, mend = "names no key of this folder", "delete it: the next call makes another"
        raise ConfigurationFaults([Fault(str(following), what, mend)])


def _turn(
    folder: Path, track: str, since: dict[str, Since], now: datetime, *, early: bool, size: int
) -> RotationStep:
    phase, step = _phase(folder, track), None
    if phase is Phase.STEADY and _unsettled(since, track):
        if since[track].phase == _BEGUN:
            _start(folder, track, now, size)
            step = _STEPS[phase]
        else:  # the last step was taken and not recorded: a process died in between
            step = _STEPS[Phase(since[track].phase)]
    elif phase is not Phase.STEADY and (early or now >= _due(track, phase, since, now)):
        _switch(folder, track) if phase is Phase.STARTED else _finish(folder, track)
        step = _STEPS[phase]
    phase = _phase(folder, track)
    known = since.get(track)
    if step or (phase is not Phase.STEADY and (known is None or known.phase != phase)):
        since[track] = Since(phase, now)
    earliest = _due(track, phase, since, now)
    peers = _WAITS[_use(track)].get(phase, timedelta()) >= VALID_FOR
    return RotationStep(
        track,
        step,
        phase,
        _STEPS[phase],
        earliest,
        earliest - VALID_FOR + CACHED_FOR if peers else None,
    )


def _due(track: str, phase: Phase, since: dict[str, Since], now: datetime) -> datetime:
    """Say when the step out of ``phase`` may be taken; a phase that nobody recorded lasts since now."""
    known = since.get(track)
    if phase is Phase.STEADY:
        return known.at + _PAUSE if known else now
    at = known.at if known and known.phase == phase else now
    return at + _WAITS[_use(track)][phase]


def _use(track: str) -> str:
    return track.rpartition("-")[2]


def _unsettled(since: dict[str, Since], track: str) -> bool:
    """Say whether a track without a second key is in a rotation all the same: wanted, or its end not yet recorded."""
    return track in since and since[track].phase != Phase.STEADY


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
        durable.put(place / f"{name}.key", secrets.token_bytes(key_ring.SECRET))
        durable.put(place / "next", name.encode())
        return
    made = key_ring.pair(track.replace("-", " "), now, size)
    durable.put(place / "next.crt", made.certificate)
    durable.put(place / "next.pem", made.private)


def _switch(folder: Path, track: str) -> None:
    place = folder / track
    if track == STORE:
        durable.moved(place / "next", place / "current")
        return
    for suffix in (".crt", ".pem"):
        durable.put(place / f"previous{suffix}", (place / f"current{suffix}").read_bytes())
    durable.moved(place / "next.pem", place / "current.pem")
    durable.moved(place / "next.crt", place / "current.crt")


def _finish(folder: Path, track: str) -> None:
    for suffix in (".pem", ".crt"):
        durable.gone(folder / track / f"previous{suffix}")


def _mended(folder: Path, track: str) -> None:
    """Finish or undo a step that was cut short, so that each slot is a key and its certificate, or nothing."""
    place = folder / track
    for left in place.glob("*.new"):
        durable.gone(left)
    if track == STORE:
        return
    current, following, previous = (place / f"{slot}.pem" for slot in key_ring.SLOTS)
    if following.exists() and previous.exists() and previous.read_bytes() == current.read_bytes():
        durable.gone(previous)  # the switch has not been taken yet
    left = place / "next.crt"
    if left.exists() and not following.exists():
        faults: list[Fault] = []
        sound = key_ring.slots(folder, track, faults).get("current")
        if sound and sound.certificate == left.read_bytes():
            durable.moved(left, place / "current.crt")  # it has been taken: the certificate follows
        else:
            durable.gone(left)
    if not previous.exists():
        durable.gone(previous.with_suffix(".crt"))
