"""A rotation and what goes wrong around it: a clock that is set, a key that was lost, a worker that reads meanwhile."""

import os
import shutil
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from broker.adapters.saml.keys import key_ring, rotation_record
from broker.adapters.saml.keys.rotation import RELOADED, STORE, rotate
from broker.adapters.saml.keys.rotation_record import VALID_FOR, Boot
from broker.core.errors import ConfigurationFaults
from tests.plugins.saml_parties import NOW, Parties

DAY = timedelta(days=1)
TRACK = "idp-signing"
WAIT = VALID_FOR + RELOADED


@pytest.fixture
def folder(parties: Parties, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of a sound keys folder; new keys are small, since these tests ask for nothing of them."""
    made = key_ring.pair
    monkeypatch.setattr(key_ring, "pair", lambda subject, now, _: made(subject, now, 2048))
    return Path(shutil.copytree(parties.folder / "keys", tmp_path / "keys"))


def files(folder: Path) -> dict[str, bytes]:
    """Give every file of the folder."""
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


@pytest.mark.parametrize("named", ["20200101-00000000", "", "../index"])
def test_a_sealing_key_that_is_not_there_is_not_switched_to(folder: Path, named: str) -> None:
    """It would leave the broker without one; it is told, nothing is changed, and the broker reads the folder still."""
    rotate(folder, NOW, [STORE])
    (folder / STORE / "next").write_text(named)
    before = files(folder)
    with pytest.raises(ConfigurationFaults, match="names no key of this folder"):
        rotate(folder, NOW + RELOADED, [STORE])
    assert files(folder) == before
    key_ring.load(folder)


def boot(name: str, began: timedelta) -> Boot:
    """Give a run of the machine that began then, by its clock."""
    return Boot(name, NOW + began)


@pytest.mark.parametrize(
    ("later", "waits_on"),
    [
        (boot("one", timedelta()), False),
        (boot("one", timedelta(minutes=3)), False),  # what the clock was corrected by in passing
        (boot("one", timedelta(minutes=4)), True),
        (boot("one", WAIT), True),
        (boot("one", -DAY), True),
        (boot("two", WAIT), False),
        (None, False),
    ],
)
def test_a_clock_that_was_set_begins_the_wait_anew(folder: Path, later: Boot | None, waits_on: bool) -> None:
    """It began in the past: the whole wait seems over a moment after peers could first see the key."""
    rotate(folder, NOW, [TRACK], running=boot("one", timedelta()))
    now = NOW + WAIT
    (turn,) = rotate(folder, now, [TRACK], running=later)
    assert turn.did == (None if waits_on else "switch")
    if waits_on:
        assert turn.earliest == now + WAIT
        (turn,) = rotate(folder, now + WAIT, [TRACK], running=later)
        assert turn.did == "switch"


def test_a_clock_is_watched_after_a_new_start_too(folder: Path) -> None:
    """The next run of the machine is recorded at the first call in it, though that is too early for a step."""
    rotate(folder, NOW, [TRACK], running=boot("one", timedelta()))
    rotate(folder, NOW + DAY, [TRACK], running=boot("two", DAY))
    (turn,) = rotate(folder, NOW + WAIT, [TRACK], running=boot("two", WAIT))
    assert turn.did is None


def test_a_wait_that_begins_in_the_future_begins_now(folder: Path) -> None:
    """A clock that was ahead and is right again does not make the wait longer than a whole one."""
    rotate(folder, NOW + 400 * DAY, [TRACK])
    (turn,) = rotate(folder, NOW, [TRACK])
    assert (turn.did, turn.earliest) == (None, NOW + WAIT)
    (turn,) = rotate(folder, NOW + WAIT, [TRACK])
    assert turn.did == "switch"


@pytest.mark.parametrize(("seconds", "refused"), [(180, False), (181, True)])
def test_a_clock_behind_the_folder_is_refused(folder: Path, seconds: int, refused: bool) -> None:
    """Files are never written after now: a wait that begins by that clock would be over once it is set right."""
    for each in folder.rglob("*"):
        os.utime(each, (NOW.timestamp(), NOW.timestamp()))
    now = NOW - timedelta(seconds=seconds)
    if refused:
        with pytest.raises(ConfigurationFaults, match="is newer than the clock"):
            rotation_record.refuse_clock_in_the_past(folder, now)
    else:
        rotation_record.refuse_clock_in_the_past(folder, now)


def test_the_run_of_this_machine_is_the_same_twice() -> None:
    """Asked again it has its name, and began when it began."""
    first, second = rotation_record.boot(NOW), rotation_record.boot(NOW)
    assert first is not None
    assert second is not None
    assert first.name == second.name
    assert abs(first.began - second.began) < timedelta(minutes=3)


def test_who_reads_meanwhile_sees_no_half_step(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that reloads in a switch waits for its end, or the switch for the worker's; it never sees a mixture."""
    rotate(folder, NOW, [TRACK])
    switch = Thread(target=rotate, args=(folder, NOW, [TRACK]), kwargs={"early": True})
    certificate = folder / TRACK / "current.crt"
    read = Path.read_bytes

    def reading(path: Path) -> bytes:
        if path == certificate and switch.ident is None:  # the key has been read, and its certificate has not
            switch.start()
            switch.join(2)  # it takes thousandths where nothing holds it up
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", reading)
    old = read(certificate)
    assert key_ring.load(folder).idp.signing.certificate == old
    switch.join()
    assert key_ring.load(folder).idp.signing.certificate != old


def test_what_is_renamed_is_on_the_disk_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a loss of power leaves the new name on an empty file: a key that is gone."""
    synced: set[int] = set()
    renamed: list[bool] = []
    sync, rename = os.fsync, Path.replace

    def syncing(opened: Any) -> None:
        synced.add(os.fstat(opened).st_ino)
        sync(opened)

    def renaming(path: Path, target: Path) -> Path:
        if path.suffix == ".new":
            renamed.append(path.stat().st_ino in synced)
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(Path, "replace", renaming)
    for _ in range(3):
        rotate(folder, NOW, [TRACK, STORE], early=True)
    assert len(renamed) > 8
    assert all(renamed)
