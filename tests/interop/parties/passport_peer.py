"""Starts the passport-saml services under Node, with the packages that ``make peers`` installs in ``.node``."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import requests
from lxml import etree

from broker.demo.saml.key_pair import KeyPair

NODE: Final = "/usr/bin/node"
_PROGRAM: Final = Path(__file__).parent / "node" / "passport_service.js"
_PACKAGES: Final = Path(__file__).parents[3] / ".node" / "node_modules"
_WITHIN: Final = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """One of the services: its address, and whether it publishes an encryption key."""

    entity_id: str
    host: str
    port: int
    encrypts: bool

    @property
    def origin(self) -> str:
        """Return the service's origin."""
        return f"http://{self.host}.localhost:{self.port}"

    def metadata(self) -> bytes:
        """Return the service's metadata as passport-saml writes it."""
        return requests.get(f"http://127.0.0.1:{self.port}/metadata", timeout=30).content


@dataclass(frozen=True, slots=True)
class Passport:
    """The running services; ``folder`` holds their files and their log."""

    folder: Path
    places: Sequence[Place]

    def learn(self, descriptor: bytes) -> None:
        """Configure the broker's addresses and certificates, which passport-saml needs one by one."""
        root = etree.fromstring(descriptor)
        redirects = {
            etree.QName(each).localname: each.get("Location")
            for each in root.iterfind("{*}IDPSSODescriptor/*[@Binding]")
            if str(each.get("Binding")).endswith("HTTP-Redirect")
        }
        signing = root.iterfind("{*}IDPSSODescriptor/{*}KeyDescriptor[@use='signing']//{*}X509Certificate")
        found = {
            "sso": redirects["SingleSignOnService"],
            "slo": redirects["SingleLogoutService"],
            "certificates": ["".join(str(each.text).split()) for each in signing],
        }
        (self.folder / "broker.json").write_text(json.dumps(found))


@contextmanager
def serving(folder: Path, key: KeyPair, places: Sequence[Place]) -> Iterator[Passport]:
    """Start the services in ``folder``, which is created."""
    folder.mkdir()
    (folder / "own.key").write_text(key.key)
    (folder / "own.crt").write_text(key.certificate)
    written = [
        {"port": each.port, "origin": each.origin, "entityId": each.entity_id, "encrypts": each.encrypts}
        for each in places
    ]
    (folder / "services.json").write_text(json.dumps(written))
    with (folder / "log").open("ab") as out:
        running = subprocess.Popen(
            [NODE, _PROGRAM, folder],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "NODE_PATH": str(_PACKAGES)},
        )
    try:
        _await(running, places[-1], folder)
        yield Passport(folder, places)
    finally:
        running.terminate()
        running.wait(60)


def _await(running: "subprocess.Popen[bytes]", last: Place, folder: Path) -> None:
    until = time.monotonic() + _WITHIN
    while time.monotonic() < until and running.poll() is None:
        try:
            if last.metadata():
                return
        except requests.RequestException:
            time.sleep(0.05)
    raise AssertionError((folder / "log").read_text())
