"""Certificates of the simulated register and the broker, and the register's TLS settings."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from broker.demo.register.register_faults import RegisterFaults

_FILES: Final = ("authority.pem", "certificate.pem", "key.pem")
_HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files of an authority, a certificate that it signed, and the certificate's key."""

    authority: str
    certificate: str
    key: str

    @classmethod
    def create(cls, folder: Path, now: datetime, *, days: int = 30) -> "Certificates":
        """Write an authority and one certificate for 127.0.0.1, valid for ``days``.

        A negative number makes an expired certificate.
        """
        folder.mkdir(mode=0o700, exist_ok=True)
        authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = _create_authority(folder.name, authority, now)
        leaf = _sign_certificate(own.public_key(), root, authority, now + timedelta(days=days))
        found = cls(*(str(folder / name) for name in _FILES))
        Path(found.authority).write_bytes(root.public_bytes(Encoding.PEM))
        Path(found.certificate).write_bytes(leaf.public_bytes(Encoding.PEM))
        pem = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        Path(found.key).write_bytes(pem)
        return found

    @classmethod
    def from_folder(cls, folder: Path) -> "Certificates":
        """Return the names of the files that ``create`` wrote into ``folder``."""
        return cls(*(str(folder / name) for name in _FILES))


def server_side(own: Certificates, other: Certificates, faults: RegisterFaults) -> ssl.SSLContext:
    """Return the TLS settings of a register that requires a client certificate of ``own``.

    While ``faults.wrong_certificate`` is set, the register presents the certificate of ``other``.
    """
    right, wrong = _tls(own), _tls(other)

    def choose(connection: ssl.SSLObject, _name: str | None, _tls: ssl.SSLContext) -> None:
        if faults.wrong_certificate:
            connection.context = wrong

    right.sni_callback = choose
    return right


def _tls(own: Certificates) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(own.certificate, own.key)
    tls.load_verify_locations(own.authority)
    tls.verify_mode = ssl.CERT_REQUIRED
    return tls


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _create_authority(
    name: str, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.Certificate:
    subject = _name(f"authority {name}")
    public = key.public_key()
    begin, end = now - timedelta(days=30), now + timedelta(days=30)
    return (
        x509.CertificateBuilder(subject, subject, public, 1, begin, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _sign_certificate(
    public: ec.EllipticCurvePublicKey,
    root: x509.Certificate,
    authority: ec.EllipticCurvePrivateKey,
    end: datetime,
) -> x509.Certificate:
    signer = authority.public_key()
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(_HOST))])
    key_of_signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer)
    begin = root.not_valid_before_utc
    return (
        x509.CertificateBuilder(root.subject, _name(_HOST), public, 2, begin, end)
        .add_extension(address, critical=False)
        .add_extension(key_of_signer, critical=False)
        .sign(authority, hashes.SHA256())
    )
