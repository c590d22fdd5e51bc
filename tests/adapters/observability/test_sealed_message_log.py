"""The message log: sealing, retention, and failures of the disk."""

import stat
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broker.adapters.observability.sealed_message_log import MessageLog, make_pair, read
from broker.core.errors import ConfigurationFaults
from broker.core.events.message_log import LoggedMessage

NOW = datetime(2026, 11, 25, 23, 59, 59, tzinfo=UTC)
MESSAGE = LoggedMessage(
    "Response", "nemid", "PHNhbWxwOlJlc3BvbnNlPg==", "accepted", "_q1", "BCDF2345", "192.0.2.7", "uuid", "Eva Storgaard"
)
EVER = (date.min, date.max)
SPKI = PublicFormat.SubjectPublicKeyInfo


class Logged:
    """The events that the message log reports."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.events: list[dict[str, Any]] = []

    def __call__(self, event: str, **facts: Any) -> None:
        """Record one event."""
        self.events.append({"event": event, **facts})


def log(tmp_path: Path, logged: Logged | None = None) -> MessageLog:
    """Give a log in a new folder, and make its key pair the first time."""
    if not (tmp_path / "public.pem").exists():
        make_pair(tmp_path / "private.pem", tmp_path / "public.pem")
    return MessageLog(tmp_path / "log", tmp_path / "public.pem", tell=logged or Logged())


def records(tmp_path: Path) -> list[dict[str, str] | None]:
    """Return the records as the holder of the private key reads them."""
    return list(read(tmp_path / "log", tmp_path / "private.pem", *EVER))


def test_a_message_is_read_by_the_private_key_only(tmp_path: Path) -> None:
    """The whole message and its time; another key opens nothing, and only the owner can read the files."""
    log(tmp_path).write(MESSAGE, NOW)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "log", *(tmp_path / "log").iterdir())]
    assert modes == [0o700, 0o600]
    (found,) = records(tmp_path)
    assert found is not None
    assert found.pop("at") == "2026-11-25T23:59:59.000+00:00"
    assert LoggedMessage(**found) == MESSAGE
    make_pair(tmp_path / "other.pem", tmp_path / "other-public.pem")
    assert list(read(tmp_path / "log", tmp_path / "other.pem", *EVER)) == [None]


@pytest.mark.parametrize("change", ["bit", "day", "torn", "version", "junk"])
def test_a_changed_line_is_not_read(tmp_path: Path, change: str) -> None:
    """Changed, cut or moved to another day: the line is reported as unreadable, and its neighbours are read."""
    kept = log(tmp_path)
    kept.write(MESSAGE, NOW)
    path = tmp_path / "log" / "2026-11-25.sealed"
    line = path.read_bytes()
    touched = {
        "bit": line[:-9] + bytes([line[-9] ^ 1]) + line[-8:],
        "day": line,
        "torn": line[: len(line) // 2],
        "version": b"2" + line[1:],
        "junk": b"\xff\x00 what\n",
    }[change]
    (path if change != "day" else path.with_name("2026-11-24.sealed")).write_bytes(touched)
    kept.write(MESSAGE, NOW)
    found = records(tmp_path)
    assert [each is None for each in found] == ([True, False] if change != "day" else [True, False, False])


@pytest.mark.parametrize("what", ["missing", "private", "another", "junk", "open folder", "no folder"])
def test_an_unusable_key_or_folder_is_a_configuration_fault(tmp_path: Path, what: str) -> None:
    """A missing, wrong or private key; a folder that others can read or that cannot be made."""
    make_pair(tmp_path / "private.pem", tmp_path / "public.pem")
    key, folder = tmp_path / "public.pem", tmp_path / "log"
    if what == "missing":
        key = tmp_path / "none.pem"
    elif what == "private":
        key = tmp_path / "private.pem"
    elif what == "another":
        key.write_bytes(Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, SPKI))
    elif what == "junk":
        key.write_text("x")
    elif what == "open folder":
        folder.mkdir(mode=0o755)
    else:
        folder.write_text("a file")
    with pytest.raises(ConfigurationFaults) as found:
        MessageLog(folder, key, tell=Logged())
    assert len(found.value.faults) == 1


def test_a_key_pair_overwrites_nothing(tmp_path: Path) -> None:
    """Without the old private key nobody could read the log."""
    make_pair(tmp_path / "private.pem", tmp_path / "public.pem")
    before = (tmp_path / "private.pem").read_bytes()
    with pytest.raises(FileExistsError):
        make_pair(tmp_path / "private.pem", tmp_path / "public2.pem")
    assert (tmp_path / "private.pem").read_bytes() == before
    assert stat.S_IMODE((tmp_path / "private.pem").stat().st_mode) == 0o600


def test_a_message_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut loses no message of a login that went on."""
    synced: list[int] = []
    monkeypatch.setattr("broker.adapters.observability.sealed_message_log.os.fsync", synced.append)
    log(tmp_path).write(MESSAGE, NOW)
    assert len(synced) == 1
