"""Rotations with a clock that was set or a key that was lost, and the order of writes."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from broker.adapters.saml.keys import key_ring
from broker.adapters.saml.keys.rotation import RELOADED, STORE, refuse_clock_in_the_past, rotate
from broker.core.errors import ConfigurationFaults
from tests.adapters.saml.keys.test_rotation import files
from tests.plugins.saml_parties import NOW, Parties


@pytest.fixture
def folder(parties: Parties, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of a sound keys folder; new keys are small, since these tests ask for nothing of them."""
    made = key_ring.make_pair
    monkeypatch.setattr(key_ring, "make_pair", lambda subject, now, _: made(subject, now, 2048))
    return Path(shutil.copytree(parties.folder / "keys", tmp_path / "keys"))


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
