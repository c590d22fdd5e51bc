"""Starts the whole demo: simulated parties in threads, the broker as a real gunicorn beside them."""

import os
import socket
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import requests
from flask import Flask
from lxml import etree

from broker.adapters.saml.gate import encryption, signature
from broker.core.errors import BrokerError
from broker.demo.koha import simulated_koha
from broker.demo.koha.loans import Circulation
from broker.demo.koha.patrons import Patrons
from broker.demo.library import services
from broker.demo.people.personas import PERSONAS
from broker.demo.run.demo_folder import CLIENT_SECRET, EID, HUB, PARTIES, SERVICES, Ports, Setting
from broker.demo.run.loopback_server import serve_on_loopback
from broker.demo.run.mail_server import Mailbox
from broker.demo.upstreams import nemlogin, wayf_hub

_READY_WITHIN: Final = 60.0
_M: Final = "{urn:oasis:names:tc:SAML:2.0:metadata}"
_D: Final = "{http://www.w3.org/2000/09/xmldsig#}"


class DemoFailed(BrokerError):
    """The demo could not start: a port is taken, or the broker did not come up."""

    reason = "configuration"


def _claim(ports: Ports) -> None:
    """Refuse to start where a port is taken, before anything runs."""
    for party in PARTIES:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", ports.number(party)))
            except OSError:
                msg = f"port {ports.number(party)} is taken; try another --port-base"
                raise DemoFailed(msg) from None


@dataclass(frozen=True, slots=True)
class Running:
    """A demo that answers: its setting, its patron API, its mailbox, and what the library keeps."""

    setting: Setting
    patrons: simulated_koha.Simulation
    mailbox: Mailbox
    broker: subprocess.Popen[bytes]
    circulation: Circulation

    def peer(self) -> services.BrokerAsIdp:
        """Give the broker as the library knows it from its metadata."""
        return _peer(self.setting)


def seeds() -> list[dict[str, str]]:
    """Give the borrowers that the desk has registered before the demo begins."""
    return [dict(each) for person in PERSONAS for each in person.desk]


def lent(patrons: Patrons) -> Circulation:
    """Give the library's circulation, with the loans of those whom the desk has registered."""
    circulation = Circulation(patrons)
    numbers = {row["userid"]: row["patron_id"] for row in patrons.rows()}
    for person in PERSONAS:
        for book in person.loans:
            circulation.lend(numbers[person.desk[0]["userid"]], book)
    return circulation


def _peer(setting: Setting) -> services.BrokerAsIdp:
    """Read the broker's IdP metadata as a service does."""
    port = setting.ports.number("broker")
    answer = requests.get(f"http://127.0.0.1:{port}/saml/idp/metadata", timeout=10)
    root = etree.fromstring(answer.content)
    signing = root.iterfind(
        f"{_M}IDPSSODescriptor/{_M}KeyDescriptor[@use='signing']//{_D}X509Certificate"
    )
    found = tuple(signature.VerifyKey.of(b64decode(each.text or "")) for each in signing)
    sso, slo = (
        next(
            str(each.get("Location"))
            for each in root.iterfind(f"{_M}IDPSSODescriptor/{_M}{kind}")
            if str(each.get("Binding")).endswith("Redirect")
        )
        for kind in ("SingleSignOnService", "SingleLogoutService")
    )
    return services.BrokerAsIdp(str(root.get("entityID")), sso, found, slo)


def _eid_peer(setting: Setting) -> nemlogin.BrokerAsSp:
    """Read the broker's metadata toward NemLog-in as NemLog-in does."""
    port = setting.ports.number("broker")
    root = etree.fromstring(
        requests.get(f"http://127.0.0.1:{port}/saml/sp/nemid/metadata", timeout=10).content
    )
    found = {
        use: [
            b64decode(each.text or "")
            for each in root.iterfind(f".//{_M}KeyDescriptor[@use='{use}']//{_D}X509Certificate")
        ]
        for use in ("signing", "encryption")
    }
    acs = next(str(each.get("Location")) for each in root.iter(f"{_M}AssertionConsumerService"))
    return nemlogin.BrokerAsSp(
        acs, tuple(map(signature.VerifyKey.of, found["signing"])), found["encryption"][0]
    )


def _parties(setting: Setting) -> tuple[Mapping[str, Flask], Circulation]:
    origin = setting.ports.origin
    broker = origin("broker")
    known = {
        f"{broker}/saml/sp/{name}/metadata": f"{broker}/saml/sp/{name}/acs"
        for name in ("wayf", "nemid")
    }
    key = setting.hub.signing
    clients = {"broker": simulated_koha.Client(CLIENT_SECRET)}
    system = simulated_koha.create_app(seeds(), clients=clients)
    circulation = lent(system.extensions["koha"].patrons)
    sites = {
        name: services.Site(title, entity_id, f"{origin('library')}/{name}/acs", danish)
        for name, (title, danish, entity_id) in SERVICES.items()
    }
    opened = encryption.DecryptionKeys.of([setting.library.key.encode()])
    parties = {
        "hub": wayf_hub.create_app(HUB, key, known),
        "nemlogin": nemlogin.create_app(
            nemlogin.NemLogin(EID, setting.nemlogin.signing), lambda: _eid_peer(setting)
        ),
        "library": services.create_app(
            sites,
            lambda: _peer(setting),
            opened,
            circulation,
            broker,
            signing=setting.library.signing,
        ),
        "patrons": system,
    }
    return parties, circulation


def _gunicorn(setting: Setting, log: Path) -> subprocess.Popen[bytes]:
    # Only the demo's own file counts: a variable meant for a real broker could send invented people
    # to a real library.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("BROKER_")}
    environment = {**plain, "BROKER_CONFIG": str(setting.config)}
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "broker.cli", "serve"],
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )


def _await(broker: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _READY_WITHIN
    while time.monotonic() < until:
        if broker.poll() is not None:
            break
        try:
            if (
                requests.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code
                == requests.codes.ok
            ):
                return
        except requests.RequestException:
            pass
        time.sleep(0.05)
    raise DemoFailed(
        "the broker did not start:\n"
        + "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    )


@contextmanager
def running(setting: Setting) -> Iterator[Running]:
    """Start everything, give it once the broker answers, and stop it all at the end; DemoFailed where it cannot."""
    log = setting.folder / "broker.log"
    ports = setting.ports
    _claim(ports)
    parties, circulation = _parties(setting)
    with ExitStack() as stack:
        for name, app in parties.items():
            stack.enter_context(serve_on_loopback(app, ports.number(name)))
        mailbox = Mailbox(ports.number("smtp"), ports.number("mailbox"))
        mailbox.start()
        stack.callback(mailbox.stop)
        broker = _gunicorn(setting, log)
        stack.callback(_end, broker)
        _await(broker, ports.number("broker"), log)
        yield Running(setting, parties["patrons"].extensions["koha"], mailbox, broker, circulation)


def _end(broker: subprocess.Popen[bytes]) -> None:
    broker.terminate()
    try:
        broker.wait(10)
    except subprocess.TimeoutExpired:
        broker.kill()
        broker.wait()
