"""The broker's own keys: for the SAML roles, the store, pseudonyms and the audit log."""

import hashlib
import secrets
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from broker.adapters.saml.xml_security.encryption import DecryptionKeys
from broker.adapters.saml.xml_security.signature import SigningKey
from broker.configuration.exposed_files import find_exposed_files
from broker.core.entities import Names
from broker.core.errors import ConfigurationFaults, Fault
from broker.core.lookup_hmacs import LookupHmacs

ROLES: Final = ("idp", "sp")
USES: Final = ("signing", "encryption")
ROLE_TRACKS: Final = tuple(f"{role}-{use}" for role in ROLES for use in USES)
# A rotation publishes the next key, makes it the current one, and keeps the previous for a while.
SLOTS: Final = ("current", "next", "previous")
SIZE: Final = 3072
SMALLEST: Final = 2048  # docs/reference/saml-profiles.md#7
SECRET: Final = 32
AUDIT: Final = "audit.key"
_RESTORE: Final = "restore it from the backup; no other key can replace it"
_REPLACE: Final = "replace the file: one key, then its certificate"
_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
# Peers ignore the expiry (SDP-MD05); they pin the key.
VALID_FOR: Final = timedelta(days=3650)


@dataclass(frozen=True, slots=True, repr=False)
class KeyPair:
    """One private key and its certificate, both PEM."""

    private: bytes
    certificate: bytes


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """The keys of one role.

    ``signing_certificates`` are published: the current one, and the next one, so that peers know it
    before it signs. Of the encryption keys only the current one is published. The keys of all slots
    decrypt, because peers with older metadata still use the previous one.
    ``known_signing_certificates`` are those of all slots: a process that has not reloaded its keys
    still signs with the previous one.
    """

    signing: KeyPair
    decryption: tuple[KeyPair, ...]
    signing_certificates: tuple[bytes, ...]
    known_signing_certificates: tuple[bytes, ...]
    encryption_certificate: bytes

    def load_signing_key(self) -> SigningKey:
        """Load the current signing key."""
        return SigningKey.load(self.signing.private, self.signing.certificate)

    def load_decryption_keys(self) -> DecryptionKeys:
        """Load the decryption keys of all slots."""
        return DecryptionKeys.load(pair.private for pair in self.decryption)


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """Every key of the broker.

    ``sealing`` are the keys that decrypt records, by key id. The one with ``sealing_id`` encrypts.
    """

    idp: RoleKeys
    sp: RoleKeys
    sealing: dict[str, bytes]
    sealing_id: str
    index: LookupHmacs  # names records; never rotates in service (docs/reference/design.md#sealing)
    person: LookupHmacs  # makes persistent NameIDs; never rotates at all
    audit: bytes  # chains the lines of the audit log

    @property
    def fingerprints(self) -> Names:
        """Return names of the keys that decrypt records and messages, or that peers may know."""
        names = [f"store {key_id}" for key_id in self.sealing]
        for role, keys in self._roles:
            known = keys.known_signing_certificates
            names += [f"{role}-signing {_shorten(each)}" for each in known]
            names += [f"{role}-encryption {_shorten(each.certificate)}" for each in keys.decryption]
        return tuple(sorted(names))

    @property
    def used_fingerprints(self) -> Names:
        """Return names of the keys that encrypt records, that sign, and that peers encrypt to."""
        names = [f"store {self.sealing_id}"]
        for role, keys in self._roles:
            names.append(f"{role}-signing {_shorten(keys.signing.certificate)}")
            names.append(f"{role}-encryption {_shorten(keys.encryption_certificate)}")
        return tuple(sorted(names))

    @property
    def _roles(self) -> tuple[tuple[str, RoleKeys], ...]:
        return (("idp", self.idp), ("sp", self.sp))

    @property
    def person_fingerprint(self) -> str:
        """Return the fingerprint of the keys from which person ids and NameIDs are computed."""
        label = "fingerprint of person keys"
        return f"{self.index.compute(label)} {self.person.compute(label)}"


def _shorten(certificate: bytes) -> str:
    return hashlib.sha256(certificate).hexdigest()[:12]


def generate(folder: Path, now: datetime, size: int = SIZE) -> None:
    """Fill ``folder`` with new keys, readable by their owner only.

    Raises ConfigurationFaults if the folder is not empty: without an overwritten key, all
    persistent NameIDs, all records and the trust of all peers would be lost.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        fault = Fault(str(folder), "holds something already", "name an empty or new folder")
        raise ConfigurationFaults([fault])
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for track in ROLE_TRACKS:
        pair = make_pair(track.replace("-", " "), now, size)
        _write(folder / track / "current.pem", pair.private + pair.certificate)
    key_id = new_sealing_id(now)
    _write(folder / "store" / f"{key_id}.key", secrets.token_bytes(SECRET))
    _write(folder / "store" / "current", key_id.encode())
    for name in ("index.key", "person.key", AUDIT):
        _write(folder / name, secrets.token_bytes(SECRET))


def new_sealing_id(now: datetime) -> str:
    """Return an id for a new sealing key."""
    return f"{now:%Y%m%d}-{secrets.token_hex(4)}"


def make_pair(subject: str, now: datetime, size: int = SIZE) -> KeyPair:
    """Make an RSA key and its self-signed certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=size)
    common_name = f"library identity broker {subject}"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
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
    return KeyPair(private, certificate.public_bytes(Encoding.PEM))


def _write(path: Path, octets: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(octets)


def load(folder: Path) -> KeyRing:
    """Read every key.

    Raises ConfigurationFaults with all keys that are missing, exposed, unreadable, too short or
    mismatched.
    """
    faults = list(find_exposed_files(folder))
    if not folder.is_dir():
        raise ConfigurationFaults([Fault(str(folder), "is no folder", "broker keys generate")])
    roles = {role: _read_role(folder, role, faults) for role in ROLES}
    store_keys = sorted((folder / "store").glob("*.key"))
    sealing = {path.stem: _secret(path, faults) for path in store_keys}
    fix = "write the id of the key that seals records"
    sealing_id = read_sealing_id(folder / "store" / "current", sealing, fix, faults)
    index = _secret(folder / "index.key", faults)
    person = _secret(folder / "person.key", faults)
    audit = _secret(folder / AUDIT, faults)
    idp = roles["idp"]
    sp = roles["sp"]
    if faults or idp is None or sp is None:
        raise ConfigurationFaults(faults)
    return KeyRing(
        idp=idp,
        sp=sp,
        sealing=sealing,
        sealing_id=sealing_id,
        index=LookupHmacs(derive_key_id(index), index),
        person=LookupHmacs(derive_key_id(person), person),
        audit=audit,
    )


def read_sealing_id(path: Path, sealing: Collection[str], fix: str, faults: list[Fault]) -> str:
    """Read the id of the key that encrypts records. It must be one of ``sealing``."""
    sealing_id = ""
    if path.is_file():
        sealing_id = path.read_text(encoding="ascii", errors="replace").strip()
    if sealing_id not in sealing:
        faults.append(Fault(str(path), "names no key of this folder", fix))
    return sealing_id


def read_slots(folder: Path, track: str, faults: list[Fault]) -> dict[str, KeyPair]:
    """Return the pairs of a track (``idp-signing``) by slot; append to ``faults``."""
    found = {}
    # Read the next slot first: a rotation that renames next to current then hides no key.
    for slot in ("next", "current", "previous"):
        path = folder / track / f"{slot}.pem"
        if slot != "current" and not path.exists():
            continue
        key_pair = _read_pair(path, faults)
        if key_pair:
            found[slot] = key_pair
    return {slot: found[slot] for slot in SLOTS if slot in found}


def _read_role(folder: Path, role: str, faults: list[Fault]) -> RoleKeys | None:
    signing = read_slots(folder, f"{role}-signing", faults)
    encryption = read_slots(folder, f"{role}-encryption", faults)
    if "current" not in signing or "current" not in encryption:
        return None
    published = [pair for slot, pair in signing.items() if slot != "previous"]
    return RoleKeys(
        signing=signing["current"],
        decryption=tuple(encryption.values()),
        signing_certificates=tuple(pair.certificate for pair in published),
        known_signing_certificates=tuple(pair.certificate for pair in signing.values()),
        encryption_certificate=encryption["current"].certificate,
    )


def _read_pair(path: Path, faults: list[Fault]) -> KeyPair | None:
    try:
        octets = path.read_bytes()
    except OSError as error:
        fix = "broker keys generate, or restore it from the backup"
        faults.append(Fault(str(path), f"cannot be read: {error.strerror}", fix))
        return None
    private, begin, certificate = octets.partition(_CERTIFICATE)
    pair = KeyPair(private, begin + certificate)
    what = _find_pair_fault(pair.private, pair.certificate)
    if what is None:
        return pair
    faults.append(Fault(str(path), what, _REPLACE))
    return None


# The gauges list all keys at every scrape, and loading a private key takes long.
@lru_cache(maxsize=16)
def _find_pair_fault(private: bytes, certificate: bytes) -> str | None:
    """Return the fault of a key and its certificate, or None.

    The library's own message is left out, because it could quote the key.
    """
    try:
        key = load_pem_private_key(private, password=None)
    except (ValueError, TypeError):
        return "holds no unencrypted PEM private key"
    if not isinstance(key, rsa.RSAPrivateKey):
        return "holds no RSA key"
    if key.key_size < SMALLEST:
        return f"holds an RSA key of {key.key_size} bits; at least {SMALLEST} are needed"
    try:
        public = x509.load_pem_x509_certificate(certificate).public_key()
    except ValueError:
        return "holds no PEM certificate after its key"
    if public != key.public_key():
        return "holds the certificate of another key"
    return None


def _secret(path: Path, faults: list[Fault]) -> bytes:
    octets = path.read_bytes() if path.is_file() else b""
    if not octets:
        faults.append(Fault(str(path), "is missing or empty", _RESTORE))
    elif len(octets) != SECRET:
        what = f"holds {len(octets)} octets where {SECRET} are a key"
        faults.append(Fault(str(path), what, _RESTORE))
    return octets


def derive_key_id(key: bytes) -> str:
    """Return a key's id: a hash, so that it always belongs to this key and does not reveal it."""
    return hashlib.sha256(b"key id\0" + key).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class ListedKey:
    """One key; ``fingerprint`` is of the certificate, SHA-256 over its DER form."""

    use: str
    slot: str
    bits: int
    fingerprint: str
    until: datetime | None


def list_keys(folder: Path) -> Iterator[ListedKey]:
    """Yield every key of a folder without its secret. Raises the errors of ``load``."""
    ring = load(folder)
    for track in ROLE_TRACKS:
        for slot, key_pair in read_slots(folder, track, []).items():
            yield _describe_certificate(track, slot, key_pair.certificate)
    secrets_by_id = [
        *(("store", key_id) for key_id in ring.sealing),
        ("index", ring.index.key_id),
        ("person", ring.person.key_id),
        ("audit", derive_key_id(ring.audit)),
    ]
    for use, key_id in secrets_by_id:
        is_older = use == "store" and key_id != ring.sealing_id
        yield ListedKey(use, "reads" if is_older else "current", SECRET * 8, key_id, until=None)


def _describe_certificate(use: str, slot: str, pem: bytes) -> ListedKey:
    certificate = x509.load_pem_x509_certificate(pem)
    public: Any = certificate.public_key()  # RSA, as ``load`` has checked
    return ListedKey(
        use=use,
        slot=slot,
        bits=public.key_size,
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        until=certificate.not_valid_after_utc,
    )
