"""Walks keys through a rotation, safe to cut short anywhere: make the next one, switch to it, drop the previous one.

The slots on disk are the truth. Every step is taken by one rename or one unlink of a private key; a certificate
goes before its key or follows it, and ``keys.load`` accepts each state between. ``rotation.json`` holds since when a
phase lasts and no more: where it is lost, the wait begins anew.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from broker.core.errors import ConfigurationFaults, Fault
from broker.saml import keys
from broker.saml.descriptors import CACHED_FOR, VALID_FOR

STORE: Final = "store"
TRACKS: Final = (*(f"{face}-{use}" for face in keys.FACES for use in keys.USES), STORE)
# Every machine has read the keys again by then, and no message of before is under way.
RELOADED: Final = timedelta(hours=1)
RECORD: Final = "rotation.json"


class Phase(StrEnum):
    """How far a track has come, as its slots say."""

    STEADY = "steady"
    STARTED = "started"  # the next key is there
    SWITCHED = "switched"  # the previous key is still there


_BEGUN: Final = "begun"  # wanted, and not yet made
_STEPS: Final = {Phase.STEADY: "start", Phase.STARTED: "switch", Phase.SWITCHED: "finish"}
# A copy of our metadata is good for VALID_FOR. Before a key signs, every copy must hold it; before one that decrypts is
# dropped, no copy may hold it. The other steps need no peer: one decrypts before it is published, and signs no more.
_WAITS: Final = {
    "signing": {Phase.STARTED: VALID_FOR + RELOADED, Phase.SWITCHED: RELOADED},
    "encryption": {Phase.STARTED: RELOADED, Phase.SWITCHED: VALID_FOR + RELOADED},
    STORE: {Phase.STARTED: RELOADED},
}
_PAUSE: Final = VALID_FOR  # between two rotations, so that a command given once too often begins none


@dataclass(frozen=True, slots=True)
class Turn:
    """What became of one track: the step taken (None: too early), and which comes next, and when at the earliest.

    ``refreshed`` is when peers that fetch our metadata as often as it asks have the newest; None where none is needed.
    """

    track: str
    did: str | None
    phase: str
    next: str
    earliest: datetime
    refreshed: datetime | None


@dataclass(frozen=True, slots=True)
class _Since:
    phase: str
    at: datetime


def rotate(
    folder: Path, now: datetime, tracks: Collection[str] = TRACKS, *, early: bool = False, size: int = keys.SIZE
) -> list[Turn]:
    """Take the next step of each of ``tracks`` whose time has come, or of each if ``early``.

    A track begins only where none of ``tracks`` is under way. ``ConfigurationFaults`` where the folder is unsound, or
    another rotation is at work in it. Sources: saml_profiles.md row 8, design 4b.
    """
    with _alone(folder):
        keys.load(folder)
        since = _recorded(folder)
        for track in tracks:
            _mended(folder, track)
        phases = {track: _phase(folder, track) for track in tracks}
        under_way = any(phases[each] is not Phase.STEADY or _phase_of(since, each) == _BEGUN for each in tracks)
        if not under_way and all(early or now >= _due(each, phases[each], since, now) for each in tracks):
            since |= {track: _Since(_BEGUN, now) for track in tracks}
            _record(folder, since)
        turns = [_turn(folder, track, since, now, early=early, size=size) for track in tracks]
        keys.load(folder)
        return turns


def _turn(folder: Path, track: str, since: dict[str, _Since], now: datetime, *, early: bool, size: int) -> Turn:
    phase, step = _phase(folder, track), None
    if phase is Phase.STEADY and _phase_of(since, track) == _BEGUN:
        _start(folder, track, now, size)
        step = _STEPS[phase]
    elif phase is not Phase.STEADY and (early or now >= _due(track, phase, since, now)):
        _switch(folder, track) if phase is Phase.STARTED else _finish(folder, track)
        step = _STEPS[phase]
    phase = _phase(folder, track)
    known = since.get(track)
    if step or (phase is not Phase.STEADY and (known is None or known.phase != phase)):
        since[track] = _Since(phase, now)
        _record(folder, since)
    earliest = _due(track, phase, since, now)
    peers = _WAITS[_use(track)].get(phase, timedelta()) >= VALID_FOR
    return Turn(track, step, phase, _STEPS[phase], earliest, earliest - VALID_FOR + CACHED_FOR if peers else None)


def _due(track: str, phase: Phase, since: dict[str, _Since], now: datetime) -> datetime:
    """Say when the step out of ``phase`` may be taken; a phase that nobody recorded lasts since now."""
    known = since.get(track)
    if phase is Phase.STEADY:
        return known.at + _PAUSE if known and known.phase == phase else now
    at = known.at if known and known.phase == phase else now
    return at + _WAITS[_use(track)][phase]


def _use(track: str) -> str:
    return track.rpartition("-")[2]


def _phase_of(since: dict[str, _Since], track: str) -> str | None:
    known = since.get(track)
    return known.phase if known else None


def _phase(folder: Path, track: str) -> Phase:
    if track == STORE:
        return Phase.STARTED if (folder / STORE / "next").exists() else Phase.STEADY
    if (folder / track / "previous.pem").exists():
        return Phase.SWITCHED
    return Phase.STARTED if (folder / track / "next.pem").exists() else Phase.STEADY


def _start(folder: Path, track: str, now: datetime, size: int) -> None:
    place = folder / track
    if track == STORE:
        name = keys.new_id(now)
        _put(place / f"{name}.key", secrets.token_bytes(keys.SECRET))
        _put(place / "next", name.encode())
        return
    made = keys.pair(track.replace("-", " "), now, size)
    _put(place / "next.crt", made.certificate)
    _put(place / "next.pem", made.private)


def _switch(folder: Path, track: str) -> None:
    place = folder / track
    if track == STORE:
        _moved(place / "next", place / "current")
        return
    for suffix in (".crt", ".pem"):
        _put(place / f"previous{suffix}", (place / f"current{suffix}").read_bytes())
    _moved(place / "next.pem", place / "current.pem")
    _moved(place / "next.crt", place / "current.crt")


def _finish(folder: Path, track: str) -> None:
    for suffix in (".pem", ".crt"):
        _gone(folder / track / f"previous{suffix}")


def _mended(folder: Path, track: str) -> None:
    """Finish or undo a step that was cut short, so that each slot is a key and its certificate, or nothing."""
    place = folder / track
    for left in place.glob("*.new"):
        _gone(left)
    if track == STORE:
        return
    current, following, previous = (place / f"{slot}.pem" for slot in keys.SLOTS)
    if following.exists() and previous.exists() and previous.read_bytes() == current.read_bytes():
        _gone(previous)  # the switch has not been taken yet
    left = place / "next.crt"
    if left.exists() and not following.exists():
        faults: list[Fault] = []
        sound = keys.slots(folder, track, faults).get("current")
        if sound and sound.certificate == left.read_bytes():
            _moved(left, place / "current.crt")  # it has been taken: the certificate follows
        else:
            _gone(left)
    if not previous.exists():
        _gone(previous.with_suffix(".crt"))


def _put(path: Path, octets: bytes) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    new = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    _moved(new, path)


def _moved(old: Path, new: Path) -> None:
    old.replace(new)
    _kept(new.parent)


def _gone(path: Path) -> None:
    path.unlink(missing_ok=True)
    _kept(path.parent)


def _kept(folder: Path) -> None:
    """Wait until the disk has what was renamed, so that steps reach it in their order."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second rotation out until this one is done, or its process dead."""
    try:
        opened = os.open(folder, os.O_RDONLY)
    except OSError:
        raise ConfigurationFaults([Fault(str(folder), "is no folder", "broker keys generate")]) from None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise ConfigurationFaults([Fault(str(folder), "is being rotated already", "wait until that is done")]) from None
    finally:
        os.close(opened)


def _recorded(folder: Path) -> dict[str, _Since]:
    path = folder / RECORD
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_bytes())
        return {track: _Since(str(each["phase"]), datetime.fromisoformat(each["at"])) for track, each in found.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ConfigurationFaults(
            [Fault(str(path), "cannot be read", "delete it: the waits then begin anew")]
        ) from None


def _record(folder: Path, since: dict[str, _Since]) -> None:
    written = {track: {"phase": each.phase, "at": each.at.isoformat()} for track, each in since.items()}
    _put(folder / RECORD, json.dumps(written, indent=1).encode())
