"""The certificate of the simulated register and the broker, and the register's TLS settings."""

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

_HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files of a certificate and its key. The certificate is its own authority.

    Register and broker share it: each trusts nothing else.
    """

    certificate: str
    key: str

    @classmethod
    def create(cls, folder: Path, now: datetime, *, days: int = 30) -> "Certificates":
        """Write a certificate for 127.0.0.1, valid for ``days``, and its key.

        A negative number makes an expired certificate.
        """
        folder.mkdir(mode=0o700, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        begin, end = now - timedelta(days=30), now + timedelta(days=days)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(_HOST))])
        public = key.public_key()
        certificate = (
            x509.CertificateBuilder(name, name, public, 1, begin, end)
            .add_extension(address, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(key, hashes.SHA256())
        )
        found = cls.from_folder(folder)
        Path(found.certificate).write_bytes(certificate.public_bytes(Encoding.PEM))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        Path(found.key).write_bytes(pem)
        return found

    @classmethod
    def from_folder(cls, folder: Path) -> "Certificates":
        """Return the names of the files that ``create`` wrote into ``folder``."""
        return cls(str(folder / "certificate.pem"), str(folder / "key.pem"))


def server_side(own: Certificates, other: Certificates, faults: RegisterFaults) -> ssl.SSLContext:
    """Return the TLS settings of a register that requires the client certificate ``own``.

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
    tls.load_verify_locations(own.certificate)
    tls.verify_mode = ssl.CERT_REQUIRED
    return tls
