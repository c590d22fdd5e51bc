"""The broker's own keys: two per face with their rotation slots, those of the store, and two that never change.

What ``broker keys list`` shows: every key of a sound folder, none of its secrets.
"""

import hashlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from broker.core.errors import ConfigurationFaults, Fault
from broker.core.pseudonyms import Pseudonyms
from broker.files import key_folder

FACES: Final = ("idp", "sp")
USES: Final = ("signing", "encryption")
SLOTS: Final = (
    "current",
    "next",
    "previous",
)  # rotation: next is published, becomes current, then previous
SIZE: Final = 3072
SMALLEST: Final = 2048  # saml_profiles.md row 7
SECRET: Final = 32
AUDIT: Final = "audit.key"
_MEND: Final = "bring it back from the backup; no other key will do"
_ANOTHERS: Final = ("is not its .crt's key",)
VALID_FOR: Final = timedelta(
    days=3650
)  # peers ignore the expiry (SDP-MD05); the key is what they pin


@dataclass(frozen=True, slots=True, repr=False)
class Pair:
    """One private key and its certificate, both PEM."""

    private: bytes
    certificate: bytes

    def __repr__(self) -> str:
        """Never show the key."""
        return "Pair(...)"


@dataclass(frozen=True, slots=True)
class FaceKeys:
    """The keys of one face.

    ``published`` signing certificates are current and next, so that peers know the next before it
    signs; of the encryption keys only the current is published, and all slots decrypt what peers
    with older metadata still send.
    """

    signing: Pair
    decryption: tuple[Pair, ...]
    signing_certificates: tuple[bytes, ...]
    encryption_certificate: bytes


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """Every key of the broker; ``sealing`` opens records by key id, ``sealing_id`` is the one that writes them."""

    idp: FaceKeys
    sp: FaceKeys
    sealing: dict[str, bytes]
    sealing_id: str
    index: Pseudonyms  # names records; never rotates in service (design 4b)
    person: Pseudonyms  # makes persistent NameIDs; never rotates at all
    audit: bytes  # chains the lines of the audit trail

    def __repr__(self) -> str:
        """Name the sealing key by its id only."""
        return f"KeyRing(sealing_id={self.sealing_id!r})"


def generate(folder: Path, now: datetime, size: int = SIZE) -> None:
    """Fill ``folder`` with new keys, readable by their owner only.

    ``ConfigurationFaults`` where the folder holds anything: a key that is overwritten takes every
    persistent NameID, every record and every peer's trust with it.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationFaults(
            [Fault(str(folder), "holds something already", "name an empty or new folder")]
        )
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for face in FACES:
        for use in USES:
            new_pair(folder / f"{face}-{use}" / "current.pem", f"{face} {use}", now, size)
    key_id = new_id(now)
    _write(folder / "store" / f"{key_id}.key", secrets.token_bytes(SECRET))
    _write(folder / "store" / "current", key_id.encode())
    for name in ("index.key", "person.key", AUDIT):
        _write(folder / name, secrets.token_bytes(SECRET))


def add_audit(folder: Path) -> None:
    """Give a folder of before the audit trail its key; ``ConfigurationFaults`` where it has one.

    It is never made in passing: with a new key in the place of a lost one every line there is would
    look forged.
    """
    if not folder.is_dir() or (folder / AUDIT).exists():
        what = "is there already" if folder.is_dir() else "cannot be made: there is no such folder"
        raise ConfigurationFaults(
            [Fault(str(folder / AUDIT), what, "bring a lost one back from the backup")]
        )
    _write(folder / AUDIT, secrets.token_bytes(SECRET))


def new_id(now: datetime) -> str:
    """Give an id for a new sealing key."""
    return f"{now:%Y%m%d}-{secrets.token_hex(4)}"


def new_pair(path: Path, subject: str, now: datetime, size: int = SIZE) -> None:
    """Write an RSA key to ``path`` (.pem) and its self-signed certificate beside it (.crt); neither may exist."""
    made = pair(subject, now, size)
    _write(path, made.private)
    _write(path.with_suffix(".crt"), made.certificate)


def pair(subject: str, now: datetime, size: int = SIZE) -> Pair:
    """Make an RSA key and its self-signed certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=size)
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"library identity broker {subject}")]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID_FOR)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(private, certificate.public_bytes(Encoding.PEM))


def _write(path: Path, octets: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(octets)


def load(folder: Path) -> KeyRing:
    """Read every key as it is between two steps of a rotation; errors as ``read``."""
    with key_folder.reading(folder):
        return read(folder)


def read(folder: Path) -> KeyRing:
    """Read every key; ``ConfigurationFaults`` with all that is missing, exposed, unreadable, short or mismatched."""
    faults = list(key_folder.exposed(folder))
    if not folder.is_dir():
        raise ConfigurationFaults([Fault(str(folder), "is no folder", "broker keys generate")])
    faces = {face: _face(folder, face, faults) for face in FACES}
    sealing = {
        path.stem: _secret(path, faults) for path in sorted((folder / "store").glob("*.key"))
    }
    current = folder / "store" / "current"
    sealing_id = (
        current.read_text(encoding="ascii", errors="replace").strip() if current.is_file() else ""
    )
    if sealing_id not in sealing:
        faults.append(
            Fault(
                str(current),
                "names no key of this folder",
                "write the id of the key that seals records",
            )
        )
    index, person = (_secret(folder / name, faults) for name in ("index.key", "person.key"))
    audit = _secret(
        folder / AUDIT,
        faults,
        f"{_MEND}; where there never was one: broker keys generate --audit {folder}",
    )
    idp, sp = faces["idp"], faces["sp"]
    if faults or idp is None or sp is None:
        raise ConfigurationFaults(faults)
    return KeyRing(
        idp,
        sp,
        sealing,
        sealing_id,
        Pseudonyms(id_of(index), index),
        Pseudonyms(id_of(person), person),
        audit,
    )


def slots(folder: Path, track: str, faults: list[Fault]) -> dict[str, Pair]:
    """Read the pairs of ``idp-signing`` or another track by slot; what is wrong with any is put into ``faults``."""
    paths = [folder / track / f"{slot}.pem" for slot in SLOTS]
    found = {
        path.stem: _pair(path, faults) for path in paths if path.exists() or path.stem == "current"
    }
    return {slot: each for slot, each in found.items() if each}


def _face(folder: Path, face: str, faults: list[Fault]) -> FaceKeys | None:
    signing, encryption = (slots(folder, f"{face}-{use}", faults) for use in USES)
    if "current" not in signing or "current" not in encryption:
        return None
    return FaceKeys(
        signing=signing["current"],
        decryption=tuple(encryption.values()),
        signing_certificates=tuple(
            each.certificate for slot, each in signing.items() if slot != "previous"
        ),
        encryption_certificate=encryption["current"].certificate,
    )


def _pair(path: Path, faults: list[Fault]) -> Pair | None:
    try:
        private, certificate = path.read_bytes(), path.with_suffix(".crt").read_bytes()
    except OSError as error:
        mend = "broker keys generate, or bring it back from the backup"
        faults.append(Fault(str(error.filename), f"cannot be read: {error.strerror}", mend))
        return None
    found = _wrong(private, certificate)
    if found == _ANOTHERS and (moved := _moving(path)) and not _wrong(private, moved):
        return Pair(private, moved)
    faults.extend(
        Fault(str(path), what, "replace the key and its certificate together") for what in found
    )
    return None if found else Pair(private, certificate)


def _moving(path: Path) -> bytes | None:
    """Give the certificate of a switch that was cut short: its key has moved up already, by itself (rotation.py)."""
    left = path.with_name("next.crt")
    cut = path.stem == "current" and left.exists() and not path.with_name("next.pem").exists()
    return left.read_bytes() if cut else None


@lru_cache(
    maxsize=16
)  # a rotation reads all of them at each step, and loading one costs what saml/signature.py says
def _wrong(private: bytes, certificate: bytes) -> tuple[str, ...]:
    """Say what is wrong with a key and its certificate; the library's own words could quote the key."""
    try:
        key = load_pem_private_key(private, password=None)
    except (ValueError, TypeError):
        return ("is no unencrypted PEM private key",)
    if not isinstance(key, rsa.RSAPrivateKey):
        return ("is no RSA key",)
    if key.key_size < SMALLEST:
        return (f"is an RSA key of {key.key_size} bits; at least {SMALLEST} are needed",)
    try:
        public = x509.load_pem_x509_certificate(certificate).public_key()
    except ValueError:
        return ("has a .crt that is no PEM certificate",)
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return () if public.public_bytes(*form) == key.public_key().public_bytes(*form) else _ANOTHERS


def _secret(path: Path, faults: list[Fault], mend: str = _MEND) -> bytes:
    octets = path.read_bytes() if path.is_file() else b""
    if len(octets) != SECRET:
        what = (
            f"holds {len(octets)} octets where {SECRET} are a key"
            if octets
            else "is missing or empty"
        )
        faults.append(Fault(str(path), what, mend))
    return octets


def id_of(key: bytes) -> str:
    """Derive a key's id from it one-way, so that the two cannot come apart."""
    return hashlib.sha256(b"key id\0" + key).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Listed:
    """One key; ``fingerprint`` is of the certificate, SHA-256 over its DER form."""

    use: str
    slot: str
    bits: int
    fingerprint: str
    until: datetime | None


def listing(folder: Path) -> Iterator[Listed]:
    """Give every key of a sound folder, none of its secrets; ``ConfigurationFaults`` as ``keys.load``."""
    ring = load(folder)
    for track in (f"{face}-{use}" for face in FACES for use in USES):
        for slot, pair in slots(folder, track, []).items():
            yield _listed(track, slot, pair.certificate)
    for key_id in ring.sealing:
        slot = "current" if key_id == ring.sealing_id else "reads"
        yield Listed("store", slot, SECRET * 8, key_id, None)
    yield Listed("index", "current", SECRET * 8, ring.index.key_id, None)
    yield Listed("person", "current", SECRET * 8, ring.person.key_id, None)
    yield Listed("audit", "current", SECRET * 8, id_of(ring.audit), None)


def _listed(use: str, slot: str, pem: bytes) -> Listed:
    certificate = x509.load_pem_x509_certificate(pem)
    public = certificate.public_key()
    bits = public.key_size if isinstance(public, rsa.RSAPublicKey) else 0
    return Listed(
        use,
        slot,
        bits,
        certificate.fingerprint(hashes.SHA256()).hex(),
        certificate.not_valid_after_utc,
    )
