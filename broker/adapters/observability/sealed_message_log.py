"""The message log: messages with NemLog-in, kept sealed for 180 days.

The private half of the key they are sealed to is elsewhere. One file a day, one record a line:
version, key id and a sealed record. Every record is sealed by itself: a new X25519 key agrees with
the reader's, HKDF-SHA256 makes an AES-256-GCM key and nonce of it, and the day is authenticated.

Source: docs/reference/nemlog-in.md#logging.
"""

import fcntl
import hashlib
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
_NONCE: Final = 12
_ID: Final = 8
_PURPOSE: Final = b"library identity broker message log"
_OTHERS: Final = 0o077


class MessageLog:
    """The log in one folder; a message that cannot be kept ends its login."""

    def __init__(self, folder: Path, public_key: Path, *, tell: Callable[..., None]) -> None:
        """Make the folder if need be; ConfigurationFaults where it or the key cannot be used."""
        self.folder = folder
        self.tell = tell
        self._reader = _public(public_key)
        self._swept: date | None = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _fault(folder, f"cannot be made: {error.strerror}") from None
        if folder.stat().st_mode & _OTHERS:
            raise _fault(folder, "is open to its group or others", f"chmod go= {folder}")

    def write(self, message: LoggedMessage, now: datetime) -> None:
        """Keep a message before anything else follows from it.

        MessageLogUnavailable where it cannot be kept.
        """
        day = now.astimezone(UTC).date()
        record = {"at": now.isoformat(timespec="milliseconds"), **asdict(message)}
        try:
            self.step(now)
            line = sealed(json.dumps(record).encode(), self._reader, day)
            _append(self.folder / f"{day.isoformat()}{_SUFFIX}", line)
        except OSError as error:
            self.tell(
                "message_not_kept",
                upstream=message.upstream,
                reference=message.reference,
                fault=error.strerror,
            )
            raise MessageLogUnavailable(f"a message cannot be kept: {error.strerror}") from None

    def step(self, now: datetime) -> None:
        """Delete the files of days that are over by 180 days, once a day."""
        today = now.astimezone(UTC).date()
        if self._swept == today:
            return
        self._swept = today
        for path, day in days(self.folder):
            if day < today - KEPT_FOR:
                self._delete(path)

    def _delete(self, path: Path) -> None:
        """Delete a file; a failure stops no login, and is logged daily until the file is gone."""
        try:
            path.unlink(missing_ok=True)  # another worker may have come first
        except OSError as error:
            self.tell("message_not_deleted", file=path.name, fault=error.strerror)

    def faults(self) -> Sequence[str]:
        """Return why no message could be kept now, in sentences; empty where one could."""
        if os.access(self.folder, os.W_OK | os.X_OK):
            return ()
        return (f"{self.folder} cannot be written to",)


def make_pair(private: Path, public: Path) -> None:
    """Write a new key pair, PEM; neither file may exist.

    The private one belongs to a machine that is not ours.
    """
    key = X25519PrivateKey.generate()
    private_octets = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public_octets = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write_new(private, 0o600, private_octets)
    _write_new(public, 0o644, public_octets)


def days(folder: Path) -> Iterator[tuple[Path, date]]:
    """Yield the files of the log with their days, oldest first; other files are passed over."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            yield path, date.fromisoformat(path.name.removesuffix(_SUFFIX))
        except ValueError:
            continue


def sealed(record: bytes, reader: X25519PublicKey, day: date) -> bytes:
    """Return a record as a line that only ``reader`` can open, and only as one of that day."""
    own = X25519PrivateKey.generate()
    public = _raw(own.public_key())
    theirs = _raw(reader)
    head = f"{_VERSION} {_id(theirs)}"
    key, nonce = _derived(own.exchange(reader), public, theirs)
    authenticated = f"{head} {day.isoformat()}".encode()
    ciphertext = AESGCM(key).encrypt(nonce, record, authenticated)
    body = b64encode(public + ciphertext).decode()
    return f"{head} {body}\n".encode()


def opened(line: bytes, key: X25519PrivateKey, day: date) -> dict[str, str] | None:
    """Return the record of a line, or None where this key does not open it.

    The line is then another key's, torn, changed or moved to another day.
    """
    try:
        version, key_id, body = line.decode("ascii").split()
        octets = b64decode(body, validate=True)
        public = octets[:_PUBLIC]
        ciphertext = octets[_PUBLIC:]
        shared = key.exchange(X25519PublicKey.from_public_bytes(public))
        secret, nonce = _derived(shared, public, _raw(key.public_key()))
        authenticated = f"{version} {key_id} {day.isoformat()}".encode()
        plain = AESGCM(secret).decrypt(nonce, ciphertext, authenticated)
    except (ValueError, InvalidTag):
        return None
    record: dict[str, str] = json.loads(plain)
    return record


def read(folder: Path, private: Path, first: date, last: date) -> Iterator[dict[str, str] | None]:
    """Yield the records of these days in the order written; None for a line that does not open.

    ConfigurationFaults where ``private`` is no X25519 private key.
    """
    try:
        key = load_pem_private_key(private.read_bytes(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, X25519PrivateKey):
        raise _fault(private, "is no X25519 private key", "broker messages keys made it")
    for path, day in days(folder):
        if first <= day <= last:
            for line in path.read_bytes().splitlines():
                yield opened(line, key, day)


def _public(path: Path) -> X25519PublicKey:
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise _fault(path, f"cannot be read: {error.strerror}") from None
    if b"PRIVATE KEY" in octets:
        what = "is a private key: whoever has this machine could read every message"
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
    """Write a line whole and durably, or not at all: a disk that is full leaves no half of one."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        whole = line
        if size > 0 and os.pread(descriptor, 1, size - 1) != b"\n":
            whole = b"\n" + line  # a writer died in the middle of a line
        if os.write(descriptor, whole) != len(whole):
            os.ftruncate(descriptor, size)
            raise OSError(None, "no room for it")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _derived(shared: bytes, public: bytes, theirs: bytes) -> tuple[bytes, bytes]:
    salt = public + theirs
    derivation = HKDF(hashes.SHA256(), _KEY + _NONCE, salt=salt, info=_PURPOSE)
    octets = derivation.derive(shared)
    return octets[:_KEY], octets[_KEY:]


def _raw(key: X25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _id(public: bytes) -> str:
    return hashlib.sha256(b"key id\0" + public).hexdigest()[:_ID]
