"""The message log: messages exchanged with NemLog-in, encrypted and kept for 180 days.

The private key that decrypts it is on another machine. Each day has a file. Each line is the
version and an encrypted record: a new X25519 key is agreed with the reader's key, HKDF-SHA256
derives an AES-256-GCM key from the result, and the day is authenticated.

Source: docs/reference/nemlog-in.md#logging.
"""

import errno
import fcntl
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from broker.core.errors import ConfigurationFaults, Fault, MessageLogUnavailable
from broker.core.events.message_log import LoggedMessage

KEPT_FOR: Final = timedelta(days=180)
_SUFFIX: Final = ".sealed"
_VERSION: Final = "1"
_PUBLIC: Final = 32
_KEY: Final = 32
_NONCE: Final = bytes(12)  # constant, because every record has its own key
_PURPOSE: Final = b"library identity broker message log"
_GROUP_AND_OTHERS: Final = 0o077


class MessageLog:
    """The log in one folder; a login fails if its message cannot be logged."""

    def __init__(self, folder: Path, public_key: Path, *, tell: Callable[..., None]) -> None:
        """Make the folder if it is missing.

        Raises ConfigurationFaults if the folder or the key cannot be used.
        """
        self.folder = folder
        self.tell = tell
        self._reader = _load_public_key(public_key)
        self._swept: date | None = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _fault(folder, f"cannot be made: {error.strerror}") from None
        if folder.stat().st_mode & _GROUP_AND_OTHERS:
            raise _fault(folder, "is open to its group or others", f"chmod go= {folder}")

    def write(self, message: LoggedMessage, now: datetime) -> None:
        """Log a message before it takes effect. Raises MessageLogUnavailable if that fails."""
        day = now.astimezone(UTC).date()
        record = {"at": now.isoformat(timespec="milliseconds"), **asdict(message)}
        try:
            self.step(now)
            line = seal_record(json.dumps(record).encode(), self._reader, day)
            _append(self.folder / f"{day.isoformat()}{_SUFFIX}", line)
        except OSError as error:
            self.tell(
                "message_not_kept",
                level="error",
                upstream=message.upstream,
                reference=message.reference,
                fault=error.strerror,
            )
            raise MessageLogUnavailable(f"a message cannot be kept: {error.strerror}") from None

    def step(self, now: datetime) -> None:
        """Delete the files that are older than 180 days, once a day."""
        today = now.astimezone(UTC).date()
        if self._swept == today:
            return
        self._swept = today
        for path, day in _list_days(self.folder):
            if day < today - KEPT_FOR:
                try:
                    path.unlink(missing_ok=True)  # another worker may have deleted it
                except OSError as error:  # logged daily; it stops no login
                    self.tell("message_not_deleted", file=path.name, fault=error.strerror)

    def faults(self) -> Sequence[str]:
        """Return sentences that say why no message can be logged; empty if one can."""
        if os.access(self.folder, os.W_OK | os.X_OK):
            return ()
        return (f"{self.folder} cannot be written to",)


def make_pair(private: Path, public: Path) -> None:
    """Write a new key pair in PEM; neither file may exist.

    The private key belongs on another machine.
    """
    key = X25519PrivateKey.generate()
    private_octets = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public_octets = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write_new(private, 0o600, private_octets)
    _write_new(public, 0o644, public_octets)


def _list_days(folder: Path) -> Iterator[tuple[Path, date]]:
    """Yield the files of the log with their days, oldest first; skip other files."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            yield path, date.fromisoformat(path.name.removesuffix(_SUFFIX))
        except ValueError:
            continue


def seal_record(record: bytes, reader: X25519PublicKey, day: date) -> bytes:
    """Return a record as a line that only ``reader`` can decrypt, and only in this day's file."""
    own = X25519PrivateKey.generate()
    public = _raw(own.public_key())
    key = _derive_key(own.exchange(reader), public + _raw(reader))
    ciphertext = AESGCM(key).encrypt(_NONCE, record, _bind_day(day))
    return f"{_VERSION} {b64encode(public + ciphertext).decode()}\n".encode()


def open_record(line: bytes, key: X25519PrivateKey, day: date) -> dict[str, str] | None:
    """Return the record of a line, or None if ``key`` does not decrypt it.

    Then the line is for another key, incomplete, changed, or from another day.
    """
    try:
        version, body = line.decode("ascii").split()
        octets = b64decode(body, validate=True)
        public = octets[:_PUBLIC]
        shared = key.exchange(X25519PublicKey.from_public_bytes(public))
        secret = _derive_key(shared, public + _raw(key.public_key()))
        plain = AESGCM(secret).decrypt(_NONCE, octets[_PUBLIC:], _bind_day(day))
    except (ValueError, InvalidTag):
        return None
    record: dict[str, str] = json.loads(plain)
    return record if version == _VERSION else None


def read(folder: Path, private: Path, first: date, last: date) -> Iterator[dict[str, str] | None]:
    """Yield the records of these days in order, and None for a line that cannot be decrypted.

    Raises ConfigurationFaults if ``private`` is no X25519 private key.
    """
    try:
        key = load_pem_private_key(private.read_bytes(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, X25519PrivateKey):
        raise _fault(private, "is no X25519 private key", "broker messages keys made it")
    for path, day in _list_days(folder):
        if first <= day <= last:
            for line in path.read_bytes().splitlines():
                yield open_record(line, key, day)


def _load_public_key(path: Path) -> X25519PublicKey:
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise _fault(path, f"cannot be read: {error.strerror}") from None
    if b"PRIVATE KEY" in octets:
        what = "is a private key: an attacker on this machine could read every message"
        raise _fault(path, what, "keep it elsewhere, and name the public one here")
    try:
        key = load_pem_public_key(octets)
    except ValueError:
        key = None
    if not isinstance(key, X25519PublicKey):
        raise _fault(path, "is no X25519 public key", "broker messages keys")
    return key


def _fault(path: Path, what: str, fix: str = "") -> ConfigurationFaults:
    return ConfigurationFaults([Fault(str(path), what, fix)])


def _write_new(path: Path, mode: int, octets: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)


def _append(path: Path, line: bytes) -> None:
    """Write a whole line and sync it, or write nothing."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        if size > 0 and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line  # end the half line of a writer that died
        if os.write(descriptor, line) != len(line):
            os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _derive_key(shared: bytes, salt: bytes) -> bytes:
    return HKDF(hashes.SHA256(), _KEY, salt=salt, info=_PURPOSE).derive(shared)


def _bind_day(day: date) -> bytes:
    return f"{_VERSION} {day.isoformat()}".encode()


def _raw(key: X25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
