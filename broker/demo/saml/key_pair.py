"""The key and certificate of a simulated party, generated for each demo."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from broker.adapters.saml.xml_security import signature
from broker.configuration import durable_files


@dataclass(frozen=True, slots=True, repr=False)
class KeyPair:
    """An RSA-2048 private key and a self-signed certificate, both PEM."""

    key: str
    certificate: str

    @property
    def signing(self) -> signature.SigningKey:
        """Return the key to sign with."""
        return signature.SigningKey.load(self.key.encode(), self.certificate.encode())

    def save(self, folder: Path, name: str) -> None:
        """Write the pair into ``folder``, for its owner only."""
        for suffix, text in ((".key", self.key), (".crt", self.certificate)):
            durable_files.replace_file(folder / f"{name}{suffix}", text.encode())

    @classmethod
    def load(cls, folder: Path, name: str) -> "KeyPair":
        """Read the pair that ``save`` wrote. Raise OSError if it is missing."""
        key = (folder / f"{name}.key").read_text()
        return cls(key, (folder / f"{name}.crt").read_text())

    @classmethod
    def generate(cls, name: str, now: datetime) -> "KeyPair":
        """Generate a pair for ``name``, valid for thirty days."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}.demo.example")])
        serial, begin, end = x509.random_serial_number(), now - timedelta(1), now + timedelta(30)
        certificate = x509.CertificateBuilder(
            subject, subject, private.public_key(), serial, begin, end
        ).sign(private, hashes.SHA256())
        pem = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return cls(pem.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode())
