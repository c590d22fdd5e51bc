"""Keys that roll: every step, what is published in between, peers that refresh or not, and being killed anywhere."""

import os
import shutil
import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from broker.adapters.saml.keys import key_ring, rotation
from broker.adapters.saml.keys.rotation import RELOADED, STORE, refuse_clock_in_the_past, rotate
from broker.adapters.stores.encrypted_store import EncryptedStore
from broker.adapters.stores.open_store import open_store
from broker.core.errors import ConfigurationFaults
from broker.core.ports import Key, StoredRecord
from tests.plugins.saml_parties import NOW, Parties

DAY = timedelta(days=1)
HELD = rotation.VALID_FOR
ROLES = key_ring.ROLE_TRACKS


@pytest.fixture(scope="module")
def stock() -> list[key_ring.KeyPair]:
    """Make a few pairs once: these tests use many, and none cares which."""
    return [key_ring.make_pair("stock", NOW, 2048) for _ in range(4)]


@pytest.fixture(scope="module")
def cached_pair_check() -> Callable[[bytes, bytes], str | None]:
    """Judge a pair once, however often it is read: the arithmetic takes long and depends on nothing else."""
    return cache(key_ring._find_pair_fault)


@pytest.fixture(autouse=True)
def quick(stock: list[key_ring.KeyPair], cached_pair_check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let new keys come from the stock, each once a test."""
    left, made = list(stock), key_ring.make_pair

    def pair(subject: str, now: datetime, size: int) -> key_ring.KeyPair:
        return left.pop() if left else made(subject, now, min(size, 2048))

    monkeypatch.setattr(key_ring, "make_pair", pair)
    monkeypatch.setattr(key_ring, "_find_pair_fault", cached_pair_check)


@pytest.fixture
def folder(parties: Parties, tmp_path: Path) -> Path:
    """Give a copy of a sound keys folder."""
    return Path(shutil.copytree(parties.folder / "keys", tmp_path / "keys"))


def files(folder: Path) -> dict[str, bytes]:
    """Give every file of the folder."""
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def certificates(folder: Path, track: str) -> dict[str, bytes]:
    """Give the certificate of each slot."""
    return {slot: each.certificate for slot, each in key_ring.read_slots(folder, track, []).items()}


@pytest.mark.parametrize("track", ROLES)
def test_the_three_steps(folder: Path, track: str) -> None:
    """Start makes the next, switch moves everybody up, finish leaves the new one alone: nothing else ever changes."""
    before, old = files(folder), certificates(folder, track)["current"]
    (turn,) = rotate(folder, NOW, [track])
    assert (turn.did, turn.phase, turn.next) == ("start", "started", "switch")
    new = certificates(folder, track)["next"]
    assert certificates(folder, track) == {"current": old, "next": new}
    (turn,) = rotate(folder, turn.earliest, [track])
    assert (turn.did, turn.phase, turn.next) == ("switch", "switched", "finish")
    assert certificates(folder, track) == {"current": new, "previous": old}
    (turn,) = rotate(folder, turn.earliest, [track])
    assert (turn.did, turn.phase, turn.next) == ("finish", "steady", "start")
    assert certificates(folder, track) == {"current": new}
    after = files(folder)
    own = {f"{track}/rotated", f"{track}/current.pem"}
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == own


@pytest.mark.parametrize(
    ("use", "switch", "finish"), [("signing", HELD + RELOADED, RELOADED), ("encryption", RELOADED, HELD + RELOADED)]
)
def test_each_step_waits_for_the_oldest_valid_copy(
    folder: Path, use: str, switch: timedelta, finish: timedelta
) -> None:
    """A key signs when every valid copy has it, and is removed when no valid copy encrypts to it."""
    at, track = NOW, f"sp-{use}"
    rotate(folder, at, [track])
    for wait, did in ((switch, "switch"), (finish, "finish")):
        (early,) = rotate(folder, at + wait - timedelta(seconds=1), [track])
        assert (early.did, early.earliest) == (None, at + wait)
        at += wait
        (turn,) = rotate(folder, at, [track])
        assert turn.did == did


def test_a_new_sealing_key_reads_before_it_writes(folder: Path, tmp_path: Path) -> None:
    """Between start and switch every process opens what the new one will seal; the old one opens its own for ever."""
    bare = open_store("sqlite:broker.db", tmp_path)
    place, until = Key("reference", "g"), NOW + 400 * DAY

    def store() -> EncryptedStore:
        ring = key_ring.load(folder)
        return EncryptedStore(bare, ring.sealing, ring.sealing_id)

    first, old = store(), key_ring.load(folder).sealing_id
    assert first.put(place, StoredRecord(b"old", "1", until), None, NOW)
    (turn,) = rotate(folder, NOW, [STORE])
    waiting = store()
    assert key_ring.load(folder).sealing_id == old
    (turn,) = rotate(folder, turn.earliest, [STORE])
    assert (turn.did, turn.phase) == ("switch", "steady")
    assert key_ring.load(folder).sealing_id != old
    assert store().put(place, StoredRecord(b"new", "2", until), "1", NOW)
    kept = waiting.get(place, NOW)
    assert kept is not None
    assert kept.value == b"new"
    assert old in key_ring.load(folder).sealing


@pytest.mark.long("dies before every step of a rotation")
@pytest.mark.parametrize("track", ["sp-encryption", STORE])
@pytest.mark.parametrize("steps", [0, 1, 2])
def test_killed_anywhere_the_folder_is_sound_and_the_next_call_goes_on(
    folder: Path, track: str, steps: int, tmp_path: Path
) -> None:
    """After every single write, rename and unlink: all keys load, none that is needed is lost, and it ends."""
    for _ in range(steps):
        rotate(folder, NOW, [track], early=True)
    held = key_ring.load(folder)
    deaths = 0
    while True:
        copy = Path(shutil.copytree(folder, tmp_path / f"copy{deaths}"))
        if not _dies(copy, track, deaths):
            break
        ring = key_ring.load(copy)
        whole = {each.private for each in ring.sp.decryption}
        assert held.sp.decryption[0].private in whole
        assert held.sealing.items() <= ring.sealing.items()
        moved = certificates(copy, "sp-encryption")["current"] != certificates(folder, "sp-encryption")["current"]
        first = _goes_on(copy, track)
        # The interrupted step is repeated, and no other step is taken.
        assert first == ("finish" if moved else "switch") or steps != 1 or track == STORE
        deaths += 1
    assert deaths >= 2


def _dies(folder: Path, track: str, number: int) -> bool:
    """Take the next step in another process that is killed at the sync of that number; False where it was none."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    synced, real = iter(range(1000)), os.fsync

    def dying(opened: int) -> None:
        if next(synced) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        real(opened)

    try:
        setattr(os, "fsync", dying)  # noqa: B010 - of this process only, which ends here
        rotate(folder, NOW, [track], early=True)
    finally:
        os._exit(0)


def _goes_on(folder: Path, track: str) -> str | None:
    """Call until the track is steady with one key, nothing left lying about, and give the first step taken."""
    first = None
    for _ in range(4):
        (turn,) = rotate(folder, NOW, [track], early=True)
        first = first or turn.did
        if turn.phase == "steady" and turn.did:
            break
    assert turn.phase == "steady"
    names = {each.name for each in (folder / track).iterdir()}
    assert not any(name.endswith(".new") for name in names)
    assert names == {"current.pem", "rotated"} or track == STORE
    assert len(key_ring.load(folder).sp.decryption) == 1
    return first


def test_everything_written_is_its_owners_alone(folder: Path) -> None:
    """Each file 0600 in every phase, whatever the umask says."""
    before = os.umask(0)
    try:
        for _ in range(2):
            rotate(folder, NOW, early=True)
            assert {each.stat().st_mode & 0o777 for each in folder.rglob("*") if each.is_file()} == {0o600}
    finally:
        os.umask(before)


def test_two_do_not_rotate_at_once(folder: Path) -> None:
    """The second rotation is refused; the lock of a dead process is released."""
    with rotation._lock(folder), pytest.raises(ConfigurationFaults, match="is being rotated already"):
        rotate(folder, NOW)
    assert rotate(folder, NOW)[0].did == "start"


@pytest.mark.parametrize("named", ["20200101-00000000", "", "../index"])
def test_a_sealing_key_that_is_not_there_is_not_switched_to(folder: Path, named: str) -> None:
    """The switch would leave the broker without sealing key: it is refused, and the folder still loads."""
    rotate(folder, NOW, [STORE])
    (folder / STORE / "next").write_text(named)
    before = files(folder)
    with pytest.raises(ConfigurationFaults, match="names no key of this folder"):
        rotate(folder, NOW + RELOADED, [STORE])
    assert files(folder) == before
    key_ring.load(folder)


@pytest.mark.parametrize(("seconds", "refused"), [(180, False), (181, True)])
def test_a_clock_behind_the_folder_is_refused(folder: Path, seconds: int, refused: bool) -> None:
    """Files are never written after now: a wait that begins by that clock would be over once it is set right."""
    for each in folder.rglob("*"):
        os.utime(each, (NOW.timestamp(), NOW.timestamp()))
    now = NOW - timedelta(seconds=seconds)
    if refused:
        with pytest.raises(ConfigurationFaults, match="is newer than the clock"):
            refuse_clock_in_the_past(folder, now)
    else:
        refuse_clock_in_the_past(folder, now)
