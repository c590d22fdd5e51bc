"""Starts the Lasso identity provider under Debian's own Python, the only one that has Lasso."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.demo.saml.key_pair import KeyPair
from tests.plugins.ports import free_port

PYTHON: Final = "/usr/bin/python3"
_PROGRAM: Final = Path(__file__).with_name("lasso_idp.py")
_WITHIN: Final = 60.0
_METADATA: Final = """<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"
 xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="{entity_id}">
<md:IDPSSODescriptor WantAuthnRequestsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate>
</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{origin}/slo"/>
<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="{origin}/sso"/>
</md:IDPSSODescriptor></md:EntityDescriptor>"""


@dataclass(frozen=True, slots=True)
class Lasso:
    """A running Lasso provider; ``folder`` holds its files and its log."""

    folder: Path
    origin: str

    def metadata(self) -> bytes:
        """Return the provider's metadata."""
        return (self.folder / "idp.xml").read_bytes()

    def learn(self, descriptor: bytes) -> None:
        """Install the broker's SP descriptor for this upstream."""
        (self.folder / "sp.xml").write_bytes(descriptor)


@contextmanager
def serving(
    folder: Path, entity_id: str, key: KeyPair, people: Mapping[str, Mapping[str, Sequence[str]]]
) -> Iterator[Lasso]:
    """Start the provider in ``folder``, which is created."""
    folder.mkdir()
    port = free_port()
    made = Lasso(folder, f"http://lasso.localhost:{port}")
    body = "".join(line for line in key.certificate.splitlines() if "CERTIFICATE" not in line)
    (folder / "idp.xml").write_text(_METADATA.format(entity_id=entity_id, certificate=body, origin=made.origin))
    (folder / "key.pem").write_text(key.key)
    (folder / "key.crt").write_text(key.certificate)
    (folder / "people.json").write_text(json.dumps(people, default=list))
    with (folder / "log").open("ab") as out:
        running = subprocess.Popen([PYTHON, _PROGRAM, str(port), folder], stdout=out, stderr=subprocess.STDOUT)
    try:
        _await(running, port, folder)
        yield made
    finally:
        running.terminate()
        running.wait(60)


def _await(running: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    until = time.monotonic() + _WITHIN
    while time.monotonic() < until and running.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError((folder / "log").read_text())
