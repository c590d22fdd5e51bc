"""A server that publishes a metadata feed over HTTP or HTTPS; a test changes, breaks and repairs the feed."""

import hashlib
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from wsgiref.types import StartResponse, WSGIEnvironment

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from werkzeug.serving import make_server

Answer = tuple[str, bytes, list[tuple[str, str]]]


@dataclass
class Publisher:
    """The documents of the server by path, and the requests that it received."""

    base: str = ""
    documents: dict[str, bytes] = field(default_factory=dict)
    status: str = "200 OK"
    headers: list[tuple[str, str]] = field(default_factory=list)
    trickle: Callable[[bytes], Iterable[bytes]] | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)  # path, If-None-Match

    @property
    def url(self) -> str:
        """Return the feed's address."""
        return f"{self.base}/feed.xml"

    def publish(self, octets: bytes, path: str = "/feed.xml") -> None:
        """Publish this document from now on."""
        self.documents[path] = octets

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path, if_none_match = str(environ["REQUEST_URI"]), str(environ.get("HTTP_IF_NONE_MATCH", ""))
        self.asked.append((path, if_none_match))
        status, body, headers = self._answer(path, if_none_match)
        start_response(status, [*headers, *self.headers])
        return self.trickle(body) if self.trickle else [body]

    def _answer(self, path: str, if_none_match: str) -> Answer:
        if not self.status.startswith("200"):
            return self.status, b"", []
        body = self.documents.get(path)
        if body is None:
            return "404 Not Found", b"", []
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if if_none_match == etag:
            return "304 Not Modified", b"", [("ETag", etag)]
        return "200 OK", body, [("ETag", etag), ("Content-Type", "application/samlmetadata+xml")]


@contextmanager
def publishing(tls: ssl.SSLContext | None = None) -> Iterator[Publisher]:
    """Run a publisher on loopback."""
    publisher = Publisher()
    server = make_server("127.0.0.1", 0, publisher, threaded=True, ssl_context=tls)
    publisher.base = f"http{'s' if tls else ''}://127.0.0.1:{server.port}"
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    try:
        yield publisher
    finally:
        server.shutdown()
        serving.join(10)
        server.server_close()


def make_tls(folder: Path, host: str = "127.0.0.1") -> tuple[ssl.SSLContext, Path]:
    """Make a self-signed certificate for ``host``; return the server's TLS context and the certificate file."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "publisher.example")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / "tls.pem", folder / "tls.key"
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    return tls, certificate
