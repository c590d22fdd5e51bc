"""What ``broker keys list`` shows: every key of a sound folder, none of its secrets."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from broker.adapters.saml.keys.keys import FACES, SECRET, USES, id_of, load, slots


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
