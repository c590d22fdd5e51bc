"""Starts the demo: simulated parties in threads, and the broker as real processes."""

import os
import socket
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import requests
from flask import Flask
from lxml import etree

from broker.adapters.saml.xml_security import encryption, signature
from broker.core.errors import BrokerError
from broker.demo.koha import simulated_koha
from broker.demo.koha.sip2_server import TERMINALS, serve_sip2
from broker.demo.library import services
from broker.demo.library.sip2_client import Machine
from broker.demo.people.register_people import people_with
from broker.demo.register.simulated_datafordeler import SimulatedDatafordeler
from broker.demo.run import demo_register
from broker.demo.run.demo_folder import EID, HUB, PARTIES, SERVICES, Ports, Setting
from broker.demo.run.demo_library import simulate_koha
from broker.demo.run.loopback_server import serve_on_loopback
from broker.demo.run.mail_server import Mailbox
from broker.demo.story import stories
from broker.demo.story.timeline import BROKER, Entry, Timeline
from broker.demo.upstreams import nemlogin, wayf_hub

_READY_WITHIN: Final = 120.0  # seconds, on a busy machine
_ENDS_WITHIN: Final = 40.0  # as in its systemd unit
_MD: Final = "{urn:oasis:names:tc:SAML:2.0:metadata}"
_DS: Final = "{http://www.w3.org/2000/09/xmldsig#}"


class DemoFailed(BrokerError):
    """Raised when the demo cannot start: a port is in use, or the broker fails."""

    reason = "configuration"


def _check_ports(ports: Ports, parties: Sequence[str]) -> None:
    """Raise DemoFailed if a port is in use, before anything is started."""
    for party in parties:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", ports.number(party)))
            except OSError:
                msg = f"port {ports.number(party)} is taken; try another --port-base"
                raise DemoFailed(msg) from None


@dataclass(frozen=True, slots=True)
class RunningParties:
    """The simulated parties around a broker: library system, mailbox, perhaps a register."""

    setting: Setting
    patrons: simulated_koha.Simulation
    mailbox: Mailbox
    register: SimulatedDatafordeler | None = None

    @property
    def machine(self) -> Machine:
        """The library's lending machine."""
        return _machine(self.setting.ports)

    def peer(self) -> services.BrokerAsIdp:
        """Return the broker as the library knows it from its metadata."""
        return _peer(self.setting)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running(RunningParties):
    """A running demo: the parties, and the processes of the broker."""

    broker: subprocess.Popen[bytes]
    work: subprocess.Popen[bytes]


def _peer(setting: Setting) -> services.BrokerAsIdp:
    """Read the broker's IdP metadata as a service does."""
    root = _read_metadata(setting, "idp")
    keys = tuple(map(signature.VerifyKey.load, _certificates(root, "signing")))
    sso = _redirect_location(root, "SingleSignOnService")
    slo = _redirect_location(root, "SingleLogoutService")
    return services.BrokerAsIdp(str(root.get("entityID")), sso, keys, slo)


def _eid_peer(setting: Setting) -> nemlogin.BrokerAsSp:
    """Read the broker's metadata toward NemLog-in as NemLog-in does."""
    root = _read_metadata(setting, "sp/nemid")
    keys = tuple(map(signature.VerifyKey.load, _certificates(root, "signing")))
    acs = next(root.iter(f"{_MD}AssertionConsumerService")).get("Location")
    return nemlogin.BrokerAsSp(str(acs), keys, _certificates(root, "encryption")[0])


def _read_metadata(setting: Setting, role: str) -> etree._Element:
    port = setting.ports.number("broker")
    answer = requests.get(f"http://127.0.0.1:{port}/saml/{role}/metadata", timeout=60)
    return etree.fromstring(answer.content)


def _certificates(root: etree._Element, use: str) -> list[bytes]:
    path = f".//{_MD}KeyDescriptor[@use='{use}']//{_DS}X509Certificate"
    return [b64decode(node.text or "") for node in root.iterfind(path)]


def _redirect_location(root: etree._Element, kind: str) -> str:
    found = root.iterfind(f"{_MD}IDPSSODescriptor/{_MD}{kind}")
    locations = {str(node.get("Binding")): str(node.get("Location")) for node in found}
    return locations["urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"]


def _parties(setting: Setting) -> Mapping[str, Flask]:
    people = people_with(register=setting.has_register)
    koha = simulate_koha(people)
    origin = setting.ports.origin
    broker = origin("broker")
    acs_addresses = {
        f"{broker}/saml/sp/{name}/metadata": f"{broker}/saml/sp/{name}/acs"
        for name in ("wayf", "nemid")
    }
    key = setting.hub.signing
    sites = {
        name: services.Site(title, entity_id, f"{origin('library')}/{name}/acs", danish)
        for name, (title, danish, entity_id) in SERVICES.items()
    }
    decryption_keys = encryption.DecryptionKeys.load([setting.library.key.encode()])
    eid = nemlogin.NemLogin(EID, setting.nemlogin.signing)
    return {
        "hub": wayf_hub.create_app(HUB, key, acs_addresses, people),
        "nemlogin": nemlogin.create_app(eid, lambda: _eid_peer(setting), people),
        "library": services.create_app(
            sites,
            lambda: _peer(setting),
            decryption_keys,
            koha.extensions["koha"].desk,
            broker,
            machine=_machine(setting.ports),
            signing=setting.library.signing,
        ),
        "patrons": koha,
    }


def _machine(ports: Ports) -> Machine:
    (login,) = TERMINALS.items()
    return Machine(ports.number("sip2"), *login)


def start_command(setting: Setting, command: str) -> subprocess.Popen[bytes]:
    """Start ``broker serve`` or ``broker work`` with the demo's configuration, and its log."""
    # Drop all BROKER_ variables: one meant for a real broker could send invented people to a real
    # library.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("BROKER_")
    }
    environment["BROKER_CONFIG"] = str(setting.config)
    with _log_file(setting).open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "broker.cli.main", command],
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )


def _log_file(setting: Setting) -> Path:
    return setting.folder / "broker.log"


def _wait_until_ready(broker: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _READY_WITHIN
    while time.monotonic() < until:
        if broker.poll() is not None:
            break
        if _is_ready(port):
            return
        time.sleep(0.05)
    last_lines = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise DemoFailed(f"the broker did not start:\n{last_lines}")


def _is_ready(port: int) -> bool:
    try:
        answer = requests.get(f"http://127.0.0.1:{port}/readyz", timeout=2)
    except requests.RequestException:
        return False
    return answer.status_code == 200


def _tell_stories(setting: Setting, parties: Mapping[str, Flask], mailbox: Mailbox) -> None:
    """Record what the parties send each other, and add stories and timeline to the library."""

    def list_mails() -> Iterator[Entry]:
        for mail in mailbox.mails():
            title = f"Mail: {mail.subject}"
            yield Entry(mail.received, BROKER, "Mailbox", (title, title), text=mail.text)

    timeline = Timeline(_log_file(setting), list_mails)
    timeline.watch_identity_provider(parties["hub"], "WAYF")
    timeline.watch_identity_provider(parties["nemlogin"], "NemLog-in")
    timeline.watch_library(parties["library"], "Library")
    timeline.watch_library_system(parties["patrons"], "Library system")
    origin = setting.ports.origin
    places = setting.folder / "policies", origin("mailbox"), origin("patrons")
    stories.serve(parties["library"], timeline, *places)


@contextmanager
def run_parties(setting: Setting) -> Iterator[RunningParties]:
    """Run the simulated parties while the block runs; the caller starts the broker.

    Raise DemoFailed if a port is in use.
    """
    ports = setting.ports
    _check_ports(ports, setting.parties[1:])
    parties = _parties(setting)
    koha: simulated_koha.Simulation = parties["patrons"].extensions["koha"]
    mailbox = Mailbox(ports.number("smtp"), ports.number("mailbox"))
    _tell_stories(setting, parties, mailbox)
    with ExitStack() as stack:
        for name, app in parties.items():
            stack.enter_context(serve_on_loopback(app, ports.number(name)))
        stack.enter_context(serve_sip2(koha.desk, ports.number("sip2")))
        stack.enter_context(mailbox.listen())
        register = None
        if setting.has_register:
            page, service = map(ports.number, demo_register.PARTIES)
            register = stack.enter_context(
                demo_register.serve_register(setting.folder, page, service)
            )
        yield RunningParties(setting, koha, mailbox, register)


@contextmanager
def run_demo(setting: Setting) -> Iterator[Running]:
    """Run the demo while the block runs; yield it when the broker answers.

    Raise DemoFailed if a port is in use or the broker does not start.
    """
    _check_ports(setting.ports, PARTIES[:1])
    with ExitStack() as stack:
        found = stack.enter_context(run_parties(setting))
        broker = start_command(setting, "serve")
        stack.callback(_stop, broker)
        work = start_command(setting, "work")
        stack.callback(_stop, work)
        _wait_until_ready(broker, setting.ports.number("broker"), _log_file(setting))
        yield Running(
            setting, found.patrons, found.mailbox, found.register, broker=broker, work=work
        )


def _stop(broker: subprocess.Popen[bytes]) -> None:
    broker.terminate()
    try:
        broker.wait(_ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        broker.kill()
        broker.wait()
